"""A storm of bad datagrams over a live connection, and what it may not do.

The storm itself is storm.c, in the router between the two ends. Here it blows in turns with calm
weather of the same length while a TCP transfer and pings use the tunnel, so that both weathers see
the same machine; before and after stand pictures of the client and the gateway.
"""

import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import time

from lab import process_status, wait_until
from traffic import Pings

HERE = pathlib.Path(__file__).resolve().parent
PING_S = 0.02


class Storm:
    """storm.c between `victim` and `peer`; to be started before they know each other."""

    def __init__(self, machine, build, victim, peer, seed):
        self.child = machine.spawn(pathlib.Path(build) / "storm", victim, peer, seed,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.child.stdout.readline() == "ready\n"
        self.kinds = {}

    def blow(self, count, rate):
        self.child.stdin.write(f"{count} {rate}\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        assert line, "the storm has ended"
        for kind, sent in json.loads(line).items():
            self.kinds[kind] = self.kinds.get(kind, 0) + sent

    @property
    def sent(self):
        return sum(count for kind, count in self.kinds.items() if kind != "refused")


class Leaving:
    """Counts in the router what a machine's cable brings: ESP, IKE, everything else."""

    RULES = """
        table inet leaving {
            counter of_ike { }
            counter of_esp { }
            counter of_icmp { }
            counter of_others { }
            chain in { type filter hook prerouting priority -300
                iifname != "%s" return
                udp sport 500 counter name of_ike return
                udp dport 500 counter name of_ike return
                meta l4proto udp @th,64,32 0 counter name of_ike return
                meta l4proto udp counter name of_esp return
                icmp type destination-unreachable counter name of_icmp return
                meta l4proto ipv6-icmp return
                counter name of_others
            }
        }"""

    def __init__(self, router, interface):
        self.router = router
        router.nft(self.RULES % interface)

    def counts(self):
        """name -> (packets, bytes)"""
        text = self.router.run("nft", "list", "counters", "table", "inet", "leaving").stdout
        found = re.findall(r"counter of_(\w+) {\s+packets (\d+) bytes (\d+)", text)
        return {name: (int(packets), int(octets)) for name, packets, octets in found}


class ClientUnderStorm:
    """What of the client no stranger may change, and what he may make it count."""

    # Hints in the clear lead to a question in two seconds, and nothing else is answered ...
    ANSWERS_A_SECOND = 1

    def __init__(self, tern, has_answered=False):
        self.tern = tern
        # ... but a repeat of the request that was answered last, with the same answer.
        self.has_answered = has_answered
        (self.pid,) = tern.pids()
        self.log = tern.log

    def descriptors(self):
        return len(self.tern.descriptors())

    def identity(self):
        status = self.tern.status()
        rx = [child.pop("rx") for child in status["children"]]
        for child in status["children"]:
            del child["tx"]
        # Our own questions are under way at times, and say how long the way is.
        del status["path"]["rtt_ms"], status["ike"]["outstanding"]
        self.counters = {k: sum(r[k] for r in rx) for k in ("replayed", "bad")}
        return status


class GatewayUnderStorm:
    """The same of tern-gateway's session with the client."""

    # Who begins an IKE SA is answered, with a cookie if nothing else.
    ANSWERS_A_SECOND = None

    def __init__(self, gateway):
        self.gateway = gateway
        self.pid = gateway.child.pid
        self.log = gateway.log

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def identity(self):
        self.gateway.child.send_signal(signal.SIGUSR1)
        sessions = []
        while "sessions" not in (line := json.loads(self.gateway.child.stdout.readline())):
            sessions.append(line)
        self.half_open = line["half_open"]
        (ours,) = (s for s in sessions if s["state"] == "up")
        self.counters = {k: sum(c["rx"][k] for c in ours["children"]) for k in ("replayed", "bad")}
        return {k: ours[k] for k in ("spi_i", "spi_r", "peer", "path", "addresses", "rekeys")} | {
            "children": [(c["spi_in"], c["spi_out"]) for c in ours["children"]]}


def received(machine, interface):
    text = pathlib.Path(f"/proc/{machine.pid}/net/dev").read_text()
    return int(re.search(rf"^\s*{interface}:\s*(\d+)", text, re.M).group(1))


class Weather:
    """Storm and calm in turns over a connection that is up and in use."""

    def __init__(self, lab, tern, storm):
        self.lab, self.tern, self.storm = lab, tern, storm
        self.calm, self.stormy = [], []  # bytes a second
        self.lost = self.pings = self.flowed = 0

    @staticmethod
    def _window(came, act):
        """How many octets came during that, and how many a second."""
        before, start = came(), time.monotonic()
        act()
        seconds = time.monotonic() - start
        octets = came() - before
        return octets, octets / seconds

    def run(self, count, rate, turns, each_turn=lambda: None):
        """count datagrams in that many turns, each with the calm after it: until as much has come
        as in the storm."""
        address = self.lab.INTRANET[0]
        interface = self.tern.status()["interface"]
        flow = self.lab.client.spawn(sys.executable, HERE / "traffic.py", "flow", address,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert flow.stdout.readline() == "ready\n"
        share = count // turns

        def came():
            return received(self.lab.client, interface)
        with Pings(self.lab.client, address, PING_S) as pings:
            for _ in range(turns):
                octets, speed = self._window(came, lambda: self.storm.blow(share, rate))
                self.stormy.append(speed)
                each_turn()
                end = came() + octets
                _, speed = self._window(came, lambda: wait_until(
                    lambda: came() >= end, 10 + 10 * share / rate, "as much without a storm"))
                self.calm.append(speed)
            # What was on its way has come before these.
            seen = pings.seen()
            wait_until(lambda: pings.seen() > seen + 5, 20, "echoes behind the storm")
        self.lost = len(pings.lost())
        self.pings = pings.seen() + self.lost
        out, _ = flow.communicate("", timeout=30)
        assert flow.returncode == 0, "the transfer was disturbed"
        self.flowed = int(out)

    def ratio(self):
        """Throughput in the storm as a share of that in the calm around it. The middle of all
        turns: others use the machine as well."""
        return statistics.median(s / c for s, c in zip(self.stormy, self.calm))


def begin(lab, build, tern, seed, at_gateway=False):
    """The connection comes up while the storm listens: it knows all that was said."""
    ends = (lab.CLIENT[0], lab.GATEWAY[0])
    storm = Storm(lab.router, build, *(ends[::-1] if at_gateway else ends), seed)
    leaving = Leaving(lab.router, "wan0" if at_gateway else "down0")
    tern.up(tern.profile(), "--log-level", "info")
    return Weather(lab, tern, storm), leaving


def endure(weather, victim, leaving, count, rate, turns):
    """A storm of that many datagrams over the victim. Fails where it changed anything; returns the
    figures."""
    lab = weather.lab
    # The storm hears traffic both ways, and buffers are touched that will be.
    wait_until(lambda: lab.client.ping(lab.INTRANET[0], 100) == 100, 10, "traffic")
    before, counters = victim.identity(), victim.counters
    resident, descriptors = process_status(victim.pid, "VmRSS"), victim.descriptors()
    lines, left, start = len(victim.log.read_bytes().splitlines()), leaving.counts(), time.monotonic()
    halfway = []

    def look():
        now = victim.identity()
        assert now == before, (
            {k: (before[k], now[k]) for k in now if now[k] != before.get(k)},
            victim.log.read_text(errors="replace")[-2000:])
        halfway.append(process_status(victim.pid, "VmRSS"))

    weather.run(count, rate, turns, look)
    seconds = time.monotonic() - start
    figures = {
        "datagrams": weather.storm.sent, "a_second": rate, "seconds": round(seconds),
        "throughput_calm": round(statistics.median(weather.calm) * 8 / 1e6),
        "throughput_storm": round(statistics.median(weather.stormy) * 8 / 1e6),
        "ratio": round(weather.ratio(), 3),
        "bytes_intact": weather.flowed, "pings": weather.pings, "pings_lost": weather.lost,
        "rss_kb": (resident, halfway[len(halfway) // 2], process_status(victim.pid, "VmRSS")),
        "descriptors": (descriptors, victim.descriptors()),
        "counted": {k: victim.counters[k] - counters[k] for k in counters},
        "log_lines": len(victim.log.read_bytes().splitlines()) - lines,
        "answers": {k: n - left[k][0] for k, (n, _) in leaving.counts().items()},
        "kinds": weather.storm.kinds,
    }
    assert figures["pings_lost"] == 0, figures
    assert figures["descriptors"][0] == figures["descriptors"][1], figures
    # A second has room for a line or two, whatever comes.
    assert figures["log_lines"] <= 2 * seconds + 10, figures
    assert figures["counted"]["bad"] > 0 and figures["counted"]["replayed"] > 0, figures
    if victim.ANSWERS_A_SECOND is not None:
        repeats = weather.storm.kinds["ike_replay"] if victim.has_answered else 0
        assert figures["answers"]["ike"] <= (
            victim.ANSWERS_A_SECOND * seconds + 10 + repeats), figures
    assert figures["answers"]["icmp"] == figures["answers"]["others"] == 0, figures
    return figures
