"""What a handover costs: a client that travels through the laboratory for roaming while it is pinged,
and what was seen of it.

A Trip is a fresh laboratory with one gateway and one client, tern's or strongSwan's own, who stand
behind the same few words (Traveller). Echoes tells to the fraction of a millisecond when there was
silence. The cases in which both are compared are tools/bench/handover's.
"""

import bisect
import calendar
import contextlib
import json
import os
import re
import sys
import time

from gateway import psk_config
from lab import HERE, Lab, Timeout, process_status, wait_until
from roaming import RoamingLab
from traffic import Talk

INTERVAL_S = 0.01
# So many answers to what was sent after an event: it is over.
STEADY_ANSWERS = 50
DISTURBED_S = 2 * INTERVAL_S


class Echoes:
    """pinger.py on the client, and what it has seen: times are seconds since the epoch."""

    def __init__(self, machine, address, interval=INTERVAL_S):
        self.path = machine.directory / f"echoes-{time.time_ns()}.out"
        self.tail, self.offset = "", 0
        self.sent = []  # times, by number; a number that could not be sent has one as well
        self.answered = {}  # number -> time
        self.arrivals = []
        self.changes = []  # (what, interface, time)
        self.kept_out = 0
        with open(self.path, "wb") as out:
            self.child = machine.spawn(sys.executable, HERE / "pinger.py", address, interval,
                                       stdout=out)
        self.wait_answers(10, 10, "the first echoes")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.child.poll() is None:
            self.child.terminate()
        self.child.wait(30)
        self.read()

    def read(self):
        with open(self.path, encoding="ascii") as file:
            file.seek(self.offset)
            text = file.read()
            self.offset = file.tell()
        *lines, self.tail = (self.tail + text).split("\n")
        for line in lines:
            what, name, at = line.split()
            at = float(at)
            if what in ("s", "e"):
                self.sent.append(at)
                self.kept_out += what == "e"
            elif what == "r":
                self.answered.setdefault(int(name), at)
                self.arrivals.append(at)
            else:
                self.changes.append((what, name, at))

    # --- waiting ---

    def answers_since(self, at):
        """How many of those sent after that moment have come back."""
        self.read()
        first = bisect.bisect_right(self.sent, at)
        return sum(number >= first for number in self.answered)

    def wait_answers(self, count, timeout, what, since=0.0):
        return wait_until(lambda: self.answers_since(since) >= count, timeout, what)

    def steady(self, since, patience, count=STEADY_ANSWERS):
        """Whether echoes come back again, within that time."""
        try:
            self.wait_answers(count, patience, "echoes", since)
            return True
        except Timeout:
            return False

    def change(self, what, interface, since):
        """When the kernel told so."""
        return wait_until(lambda: self.read() or next(
            (at for w, name, at in self.changes if (w, name) == (what, interface) and at >= since),
            None), 5, f"{interface} {what}")

    # --- what was seen ---

    def silence(self, since):
        """(begin, end) of the longest time without an answer that went on after that moment; what
        never ended, ends with the last request."""
        times = [at for at in sorted(self.arrivals) if at <= self.sent[-1]] + [self.sent[-1]]
        pairs = [(a, b) for a, b in zip(times, times[1:]) if b > since]
        return max(pairs, key=lambda pair: pair[1] - pair[0])

    def first_after(self, at):
        """When the first answer came to what was sent after that moment, or None."""
        first = bisect.bisect_right(self.sent, at)
        return min((t for n, t in self.answered.items() if n >= first), default=None)

    def lost(self):
        return [n for n in range(len(self.sent)) if n not in self.answered]

    def round_trip(self, until):
        """The median of those before."""
        trips = sorted(t - self.sent[n] for n, t in self.answered.items() if t < until)
        return trips[len(trips) // 2]

    def stall(self, begin, end):
        """The longest time in which nothing was sent because this machine was busy: what a silence
        there is worth."""
        times = [at for at in self.sent if begin - 1 <= at <= end + 1]
        return max((b - a for a, b in zip(times, times[1:])), default=0.0)


# --- the two clients ---

# What tern says when it is about to send UPDATE_SA_ADDRESSES.
TOLD = ("moving from ", "the address translator in front of us has changed")


class TernTraveller:
    """tern, connected."""

    def __init__(self, lab):
        # As often as strongSwan's, which learns nothing.
        self.tern = lab.start_tern(roaming={"Keepalive": "20s"})
        self.log = self.tern.log
        (self.pid,) = self.tern.pids()
        self.rekeying = None

    def interface(self):
        result = self.tern.run("status", "--json", code=None)
        status = self.tern.parsed(result) if result.returncode == 0 else {}
        return (status.get("path") or {}).get("interface")

    def identity(self):
        """The SPIs of the IKE SA, or None where there is none."""
        result = self.tern.run("status", "--json", code=None)
        status = self.tern.parsed(result) if result.returncode == 0 else {}
        ike = status.get("ike") or {}
        return (ike["spi_i"], ike["spi_r"]) if status.get("state") == "up" else None

    def children(self):
        return {child["spi_in"] for child in self.tern.status()["children"]}

    def rekey(self):
        """Ask for a rekeying of the Child SA; returns when the request has left."""
        before = self._log().count("rekeying the Child SA")
        self.rekeying = self.tern.machine.spawn(
            *self.tern.command("rekey", "--child"), env=self.tern.env)
        wait_until(lambda: self._log().count("rekeying the Child SA") > before, 5,
                   "the request for new keys")

    def _log(self):
        return self.log.read_text(errors="replace")

    @contextlib.contextmanager
    def updates(self):
        """Yields a list that holds, once the block is over, when it told the gateway of a move."""
        out = self.tern.directory / "monitor.out"
        with open(out, "wb") as file:
            child = self.tern.machine.spawn(*self.tern.command("monitor", "--json"),
                                            env=self.tern.env, stdout=file)
        wait_until(lambda: out.read_bytes().count(b"\n") > 0, 5, "tern monitor")
        found = []
        try:
            yield found
        finally:
            child.terminate()
            child.wait(30)
            for line in out.read_text().splitlines():
                event = json.loads(line)
                # Said when the path is another one, which is when the request leaves.
                if event["event"] == "log" and any(words in event["text"] for words in TOLD):
                    found.append(epoch(event["at"]))


class SwanTraveller:
    """strongSwan as the client, connected."""

    def __init__(self, lab):
        self.swan = lab.start_strongswan_client()
        self.log = self.swan.log
        self.pid = self.swan.child.pid
        self.network = {n.address()[i]: n.interface for n in lab.networks.values()
                        for i in range(len(n.address()))}

    def _sas(self):
        return [sa for sa in self.swan.sas() if sa["state"] == "ESTABLISHED"]

    def interface(self):
        sas = self._sas()
        return self.network.get(sas[-1]["local-host"]) if sas else None

    def identity(self):
        sas = self._sas()
        return (sas[-1]["initiator-spi"], sas[-1]["responder-spi"]) if sas else None

    def children(self):
        return {child["spi-in"] for sa in self._sas() for child in sa.get("child-sas", {}).values()
                if child["state"] == "INSTALLED"}

    def rekey(self):
        pattern = "generating CREATE_CHILD_SA request"
        before = self.swan.log_text().count(pattern)
        self.swan.rekey("child")
        wait_until(lambda: self.swan.log_text().count(pattern) > before, 5,
                   "the request for new keys")

    @contextlib.contextmanager
    def updates(self):
        found = []
        begin = time.time()
        yield found
        midnight = time.mktime((*time.localtime(begin)[:3], 0, 0, 0, 0, 0, -1))
        for hours, minutes, seconds in re.findall(
                r"^(\d\d):(\d\d):([\d.]+) .*generating INFORMATIONAL request .*UPD_SA_ADDR",
                self.swan.log_text(), re.M):
            at = midnight + int(hours) * 3600 + int(minutes) * 60 + float(seconds)
            at += 86400 if at < begin - 43200 else 0
            if at >= begin:
                found.append(at)


TRAVELLERS = {"tern": TernTraveller, "strongswan": SwanTraveller}


def epoch(text):
    """2026-11-24T14:00:00.123Z"""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float("0." + fraction)


class Trip:
    """A laboratory of its own, a gateway and a client in it that is connected; away: names of
    networks that are out of reach as yet."""

    def __init__(self, build, client, gateway, away=(), **lab):
        self.client_kind, self.gateway_kind = client, gateway
        self.stack = contextlib.ExitStack()
        try:
            self.lab = self.stack.enter_context(RoamingLab(build, **lab))
            self.lab.start_intranet()
            # A gateway that tells its other addresses has to be told which they are.
            keys = psk_config(Listen=", ".join(Lab.GATEWAY)) if gateway == "tern" else {}
            self.lab.start_gateway(gateway, **keys)
            for name in away:
                self.lab.link_down(name)
            self.traveller = TRAVELLERS[client](self.lab)
            self.machine = self.lab.client
        except BaseException:
            self.stack.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return self.stack.__exit__(*exception)

    def echoes(self):
        return self.stack.enter_context(Echoes(self.machine, self.lab.INTRANET[0]))

    def talk(self):
        """A TCP connection on which blocks go there and come back."""
        return Talk(self.machine, self.lab.INTRANET[0])

    # --- what happens; each returns when it did ---

    def down(self, name, echoes):
        at = time.time()
        self.lab.link_down(name)
        return echoes.change("down", self.lab.network(name).interface, at)

    def up(self, name, echoes):
        at = time.time()
        self.lab.link_up(name)
        return echoes.change("way", self.lab.network(name).interface, at)

    def blackhole(self, name, on=True):
        at = time.time()
        self.lab.blackhole(name, on)
        return at

    def rebind(self, name):
        at = time.time()
        self.lab.rebind(name)
        return at

    def wait_interface(self, name, timeout):
        """Whether the client gets to use that network, within that time."""
        interface = self.lab.network(name).interface
        try:
            return wait_until(lambda: self.traveller.interface() == interface, timeout, interface)
        except Timeout:
            return False

    # --- of the client's process ---

    def wakeups(self):
        """How often its threads have slept and were woken."""
        threads = f"{self.traveller.pid}/task"
        return sum(process_status(f"{threads}/{thread}", "voluntary_ctxt_switches")
                   for thread in os.listdir(f"/proc/{threads}"))

    def holds(self):
        """What it could leak: descriptors, resident kilobytes, and the machine's routes and rules."""
        pid = self.traveller.pid
        run = self.machine.run
        routes = [line for family in ("-4", "-6") for what in (("route", "show", "table", "all"),
                                                               ("rule",))
                  for line in run("ip", family, *what).stdout.splitlines()]
        return {
            "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
            "rss_kb": process_status(pid, "VmRSS"),
            "routes": sorted(re.sub(r" (expires|pref|proto|metric|table|hoplimit) \S+", "", line)
                             for line in routes),
        }


# --- messages, as the client's outer interfaces have them ---

def ike_packets(capture, since):
    """(at, octets of IP) of the packets of IKE since that moment."""
    rows = capture.fields("isakmp && !icmp && !icmpv6", "frame.time_epoch", "frame.len")
    return [(float(at), int(octets) - 14) for at, octets in rows if float(at) >= since]


def keepalives(capture):
    return len(capture.fields("udp.dstport == 4500 && udp.length == 9", "frame.number"))
