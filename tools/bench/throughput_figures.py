"""What tools/bench/throughput measures of one tunnel, once: each returns a dictionary of numbers."""

import json
import os
import pathlib
import subprocess
import sys
import time

from handover import Echoes
from lab import process_status, wait_until

TICKS = os.sysconf("SC_CLK_TCK")
# IPv4 and UDP headers make it 64 octets.
SMALL_PAYLOAD = 36
LOSS_MAX = 0.001
# Less than that of what was asked for has queued somewhere, or the sender could not.
KEPT_UP = 0.95
LOWEST_RATE, HIGHEST_RATE = 2000, 2_000_000
HALVINGS, TRIES = 4, 3
PACKETS_PORT = 5202


# --- what it costs ---

def cpu_of(pids):
    """Seconds in user and kernel mode."""
    total = [0.0, 0.0]
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total[0] += int(fields[11]) / TICKS
        total[1] += int(fields[12]) / TICKS
    return total


def cpu_of_machine():
    """Seconds in which the processors had anything to do."""
    fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq = map(int, fields[:7])
    return (user + nice + system + irq + softirq) / TICKS


def peak_kilobytes(pids):
    """Since these processes began."""
    return sum(process_status(pid, "VmHWM") for pid in pids)


# --- figures ---

class Server:
    """iperf3 at the far end."""

    def __init__(self, tunnel):
        self.tunnel, self.runs = tunnel, 0
        self.log = tunnel.lab.directory / "iperf3.log"
        with open(self.log, "wb") as log:
            tunnel.gateway.spawn("iperf3", "-s", "--forceflush", stdout=log, stderr=log)

    def run(self, seconds, *args):
        wait_until(lambda: self.log.read_text().count("Server listening") > self.runs, 10,
                   "iperf3's server")
        self.runs += 1
        result = self.tunnel.client.run("iperf3", "-c", self.tunnel.far, "-t", seconds, "-J", "-C",
                                        self.tunnel.options.congestion, *args,
                                        check=False, timeout=seconds + 30)
        told = json.loads(result.stdout)
        if "error" in told:
            raise AssertionError(f"iperf3: {told['error']}")
        return told["end"]


def tcp(direction, flows):
    args = {"up": (), "down": ("-R",), "both": ("--bidir",)}[direction]

    def measure(tunnel, seconds):
        pids = tunnel.pids()
        before, machine = cpu_of(pids), cpu_of_machine()
        end = tunnel.server.run(seconds, "-P", flows, *args)
        after, machine_after = cpu_of(pids), cpu_of_machine()
        received = [end[k] for k in ("sum_received", "sum_received_bidir_reverse") if k in end]
        gigabytes = sum(r["bytes"] for r in received) / 1e9
        if not gigabytes:
            raise AssertionError("nothing arrived")
        spent = {"machine_s_per_gb": (machine_after - machine) / gigabytes}
        if pids:
            user, system = (b - a for a, b in zip(before, after))
            spent.update(client_s_per_gb=(user + system) / gigabytes,
                         client_user_s_per_gb=user / gigabytes)
        return {"gbit_s": sum(r["bits_per_second"] for r in received) / 1e9, **spent}
    return measure


def offer(tunnel, rate, seconds):
    """(packets a second that arrived, the share of those sent, whether it could send that many)."""
    program = pathlib.Path(tunnel.options.build) / "bench_packets"
    receiver = tunnel.gateway.spawn(program, "receive", PACKETS_PORT, stdout=subprocess.PIPE)
    assert receiver.stdout.readline() == "ready\n"
    sent, sending_s = tunnel.client.run(program, "send", tunnel.far, PACKETS_PORT, rate,
                                        round(1000 * seconds), SMALL_PAYLOAD).stdout.split()
    # What still stands in a queue belongs to it: the receiver goes on until nothing comes.
    got, receiving_s = receiver.communicate(timeout=120)[0].split()
    sent, got = int(sent), int(got)
    return (got / max(float(sending_s), float(receiving_s)), got / sent,
            sent / float(sending_s) >= KEPT_UP * rate)


def keeps_up(tunnel, rate, seconds):
    """(the rate that arrived, or None where too much was lost, whether the sender could send it). It
    has some tries: what else the machine does can only take from it."""
    for _ in range(TRIES):
        arrived, share, could = offer(tunnel, rate, seconds)
        if share >= 1 - LOSS_MAX and (arrived >= KEPT_UP * rate or not could):
            return arrived, could
    return None, could


def packets(tunnel, seconds):
    """The highest rate that arrives, but for one in a thousand: doubled until it does not, then
    narrowed down. From below, as what is flooded may be busy with that for long."""
    step_s = min(seconds, 2)
    best, low, high, rate, narrowed = 0.0, 0.0, None, LOWEST_RATE, 0
    while narrowed < HALVINGS and rate <= HIGHEST_RATE:
        arrived, could = keeps_up(tunnel, rate, step_s)
        if arrived is None:
            high = rate
        else:
            best, low = max(best, arrived), rate
        if not could or not low:
            break
        narrowed += high is not None
        rate = (low * high) ** 0.5 if high else 2 * rate
    if not best:
        raise AssertionError(f"more than {LOSS_MAX} of {LOWEST_RATE} packets a second were lost")
    return {"packets_s": best}


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def latency(tunnel, seconds):
    """Of echoes, a hundred a second."""
    with Echoes(tunnel.client, tunnel.far) as echoes:
        time.sleep(seconds)
        echoes.stop()
        trips = [1e6 * (at - echoes.sent[number]) for number, at in echoes.answered.items()]
    return {"p50_us": quantile(trips, 0.5), "p99_us": quantile(trips, 0.99),
            "lost": len(echoes.sent) - len(trips)}


FIGURES = {
    "tcp-up": tcp("up", 1), "tcp-down": tcp("down", 1), "tcp-both": tcp("both", 1),
    "tcp-up-4": tcp("up", 4), "tcp-down-4": tcp("down", 4),
    "tcp-up-16": tcp("up", 16), "tcp-down-16": tcp("down", 16),
    "latency": latency, "packets": packets,
}


def measure(name, figure, tunnel, seconds):
    """Its numbers, or {"error": ...}: one that fails is no reason to forget the others."""
    try:
        found = figure(tunnel, seconds)
        if tunnel.pids():
            found["peak_kb"] = peak_kilobytes(tunnel.pids())
        return found
    except Exception as error:  # noqa: BLE001
        print(f"{name}, {tunnel.title}: {error}", file=sys.stderr)
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
