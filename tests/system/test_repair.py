"""Others change what a connection has set up in the system: its interface, addresses, routes, rules.
It is noticed and mended, at a bounded rate, and what belongs into the tunnel does not leave in the
clear meanwhile."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time

import pytest

from client import assert_failure
from gateway import psk_config
from lab import wait_until
from resolved import Resolved
from traffic import Pings, Talk

FULL = "0.0.0.0/0, ::/0"
SPLIT = "10.9.0.0/24, fd09::/64"
SOON = 20  # seconds, on a busy machine
PRIVILEGE = 25
PRIORITY = 5200


def system(machine):
    """Without the numbers of interfaces and their queues' states: those of one that is made anew
    are others."""
    return re.sub(r"^\d+: |(?<= )expires \S+ ?", "", machine.state(), flags=re.M)


class Connection:
    """tern with tern-gateway, and an eye on everything that leaves."""

    def __init__(self, lab, tern, gateway, routes):
        self.lab, self.tern = lab, tern
        self.client = lab.client
        gateway.start(psk_config(Networks=routes))
        self.profile = tern.profile(tunnel={"Routes": routes})
        self.pristine = lab.client.state()
        tern.up(self.profile)
        self.system = system(lab.client)
        self.name = tern.status()["interface"]
        self.inside = lab.ELSEWHERE if routes == FULL else lab.INTRANET

    @property
    def table(self):
        """Our routing table, as the rule has it that was there first."""
        return re.search(rf"^{PRIORITY}:.* lookup (\d+)", self.system, re.M).group(1)

    def ip(self, *lines):
        self.client.ip(*lines)

    def harm(self, command):
        self.client.run("sh", "-c", command.format(name=self.name, table=self.table,
                                                  pid=self.client.pid))

    def log(self):
        return self.tern.log.read_text(errors="replace")

    def repairs(self):
        return self.log().count("was changed by others; put back: ")

    def put_back(self):
        """All that was, so far."""
        found = re.findall(r"was changed by others; put back: (.*)", self.log())
        return {word for words in found for word in words.split(", ")}

    def wait_for(self, what, probe):
        return wait_until(probe, SOON, what)

    def wait_mended(self, repairs=1):
        self.wait_for("the repair", lambda: self.repairs() >= repairs and
                      system(self.client) == self.system)

    def assert_carries(self):
        for address in self.inside:
            assert self.client.ping(address, 10) == 10

    def down(self):
        """And nothing is left."""
        self.tern.down(self.profile)
        self.tern.wait_gone()
        assert self.client.state() == self.pristine

    @contextlib.contextmanager
    def nothing_leaks(self):
        """Echoes are asked for all the time, and some are answered in the end; on the wire there is
        the tunnel and what neighbours need to find each other."""
        with self.client.capture("up0") as wire, contextlib.ExitStack() as stack:
            pings = [stack.enter_context(Pings(self.client, a, 0.003)) for a in self.inside]
            self.wait_for("answers", lambda: all(p.seen() > 5 for p in pings))
            yield
            seen = [p.seen() for p in pings]
            self.wait_for("more answers",
                          lambda: all(p.seen() > n + 5 for p, n in zip(pings, seen)))
        strange = wire.fields(
            "not (udp.port == 500 or udp.port == 4500 or arp or icmpv6.type >= 130)",
            "frame.number", "ip.dst", "ipv6.dst", "_ws.col.Info")
        assert strange == []


@pytest.fixture(params=[FULL, SPLIT], ids=["full", "split"])
def connection(request, lab, tern, tern_gateway, intranet):
    it = Connection(lab, tern, tern_gateway, request.param)
    it.assert_carries()
    return it


@pytest.fixture
def full(lab, tern, tern_gateway, intranet):
    return Connection(lab, tern, tern_gateway, FULL)


# --- noticed and put back ---

# name -> (what others do, with the interface's name, our table and a process of the machine filled
# in; what is put back). None of it leaves a moment in which a packet could leave in the clear.
HARMS = {
    "link-deleted": ("ip link del {name}", {"interface", "routes"}),
    "link-down": ("ip link set {name} down", {"link", "routes"}),
    "link-down-and-up": ("ip link set {name} down; ip link set {name} up", {"addresses", "routes"}),
    "addresses-deleted": ("ip addr flush dev {name}", {"addresses", "routes"}),
    "ways-deleted": ("ip -4 route flush table {table} dev {name}; "
                     "ip -6 route flush table {table} dev {name}", {"routes"}),
    "to-another-namespace": ("unshare --net sh -c 'nsenter -t {pid} --net "
                             "ip link set {name} netns $$ && sleep 1'", {"interface", "routes"}),
}


@pytest.mark.sanitize
@pytest.mark.parametrize("harm", HARMS)
def test_put_back_without_a_leak(connection, harm):
    command, words = HARMS[harm]
    before = connection.tern.status()
    with connection.nothing_leaks(), Talk(connection.client, connection.inside[0]) as talk:
        connection.wait_for("blocks", lambda: talk.blocks() > 5)
        connection.harm(command)
        connection.wait_mended()
        blocks = talk.blocks()
        connection.wait_for("more blocks", lambda: talk.blocks() > blocks + 5)
    assert words <= connection.put_back()
    after = connection.tern.status()
    for key in ("state", "pid", "interface", "addresses", "routes", "mtu", "reconnects"):
        assert after[key] == before[key], key
    assert after["ike"]["spi_i"] == before["ike"]["spi_i"]
    connection.assert_carries()
    connection.down()


@pytest.mark.sanitize
@pytest.mark.parametrize("harm", [
    "ip -4 rule del pref 5200; ip -6 rule del pref 5200",
    "ip -4 rule flush; ip -6 rule flush; for f in -4 -6; do ip $f rule add pref 32766 lookup main; "
    "done; ip -4 rule add pref 32767 lookup default",
    "ip -4 route flush table {table}; ip -6 route flush table {table}"],
    ids=["rules-deleted", "all-rules-flushed", "table-flushed"])
def test_rules_and_guards_are_put_back(connection, harm):
    """Without them nothing holds packets back: all that can be done is to be quick. What happens
    after that is inside again."""
    connection.harm(harm)
    connection.wait_mended()
    assert connection.put_back() & {"rules", "routes"}
    with connection.nothing_leaks():
        pass
    connection.assert_carries()
    connection.down()


def test_what_others_put_into_our_table_goes(full):
    """A way that would beat ours."""
    with full.nothing_leaks():
        full.client.run("ip", "route", "add", "198.18.0.0/15", "via", full.lab.ROUTER[0], "table",
                        full.table)
        full.wait_mended()
        full.client.run("ip", "route", "replace", "throw", "default", "table", full.table,
                        "metric", "2147418112")  # in the place of the guard
        full.wait_mended(2)
    full.down()


def test_the_tunnel_wins_over_routes_that_others_add(full):
    """Whatever another program, or a DHCP server, adds to the main table."""
    v4, v6 = full.lab.ROUTER
    routes = [f"{what} via {via} dev up0" for via, whats in (
        (v4, ("default", "0.0.0.0/1", "128.0.0.0/1", f"{full.inside[0]}/32")),
        (v6, ("default metric 1", "::/1", "8000::/1", f"{full.inside[1]}/128"))) for what in whats]
    with full.nothing_leaks():
        full.ip(*(f"route replace {r}" for r in routes))
    assert full.repairs() == 0
    full.assert_carries()


# --- the interface ---

def test_a_new_name(connection):
    """The connection goes on under it, and all of it is gone at the end."""
    old, new = connection.name, "wan-of-ours"
    connection.ip(f"link set {old} name {new}")
    connection.wait_for("the new name",
                        lambda: connection.tern.status()["interface"] == new)
    assert f"somebody named {old} {new}" in connection.log()
    connection.system = connection.system.replace(old, new)
    connection.assert_carries()
    # It keeps this one where it has to be made anew.
    with connection.nothing_leaks():
        connection.ip(f"link del {new}")
        connection.wait_mended()
    assert connection.tern.status()["interface"] == new
    connection.assert_carries()
    connection.down()


def test_its_name_is_taken_meanwhile(lab, tern, tern_gateway):
    """Then that is said, and the connection ends."""
    tern_gateway.start(psk_config(Networks=FULL))
    before = lab.client.state()
    child = tern.foreground(tern.profile(tunnel={"Routes": FULL, "Interface": "wan7"}))
    tern.wait_up()
    (pid,) = tern.pids()
    os.kill(pid, signal.SIGSTOP)
    lab.client.ip("link del wan7", "tuntap add mode tun name wan7")
    os.kill(pid, signal.SIGCONT)
    assert child.wait(SOON) == PRIVILEGE
    text = tern.log.read_text()
    assert "wan7 is gone" in text
    assert "error: the interface name wan7 is taken\nhint: ip link show wan7\n" in text
    lab.client.ip("tuntap del mode tun name wan7")
    assert lab.client.state() == before
    assert_failure(tern.run("status", "office", code=12))


# --- who follows ---

def test_it_is_told(full):
    monitor = full.client.spawn(*full.tern.command("monitor", "--json"),
                                env=full.tern.env, stdout=subprocess.PIPE)
    json.loads(monitor.stdout.readline())  # it follows from here on
    name = full.name

    def told():
        for line in monitor.stdout:
            event = json.loads(line)
            if event["event"] == "repair":
                return {key: event[key] for key in ("interface", "was", "missing", "fault")}

    full.ip(f"addr flush dev {name}")
    event = told()
    assert (event["interface"], event["was"], event["fault"]) == (name, None, None)
    assert "addresses" in event["missing"]
    full.ip(f"link set {name} name wan8")
    assert told() == {"interface": "wan8", "was": name, "missing": [], "fault": None}
    monitor.terminate()
    monitor.wait(30)


# --- somebody who does not give up ---

@pytest.mark.slow
def test_the_rate_is_bounded(full):
    """Once a second at most, and ever more seldom; in the end it is as it should be."""
    start = time.monotonic()
    remover = full.client.spawn(
        "sh", "-c", "while :; do ip rule del pref 5200 2>/dev/null || sleep 0.01; done")
    full.wait_for("some repairs", lambda: full.repairs() >= 4)
    remover.kill()
    remover.wait()
    repairs, seconds = full.repairs(), time.monotonic() - start
    assert repairs <= 1 + seconds
    # The pauses are 1, 2, 4 seconds.
    assert seconds >= 6
    full.wait_mended(repairs)
    full.assert_carries()
    full.down()


def test_nothing_is_looked_at_without_a_reason(full):
    """A connection that is idle is not woken to look."""
    full.tern.status()
    last = [full.tern.sleeps()]

    def still():
        time.sleep(1)
        last.append(full.tern.sleeps())
        return last[-1] == last[-2]
    full.wait_for("a second without a wake-up", still)
    assert full.repairs() == 0


# --- killed ---

@pytest.mark.sanitize
def test_killed_after_a_repair(full):
    """What is left holds back what belongs into the tunnel, until the next command; then it is gone."""
    full.ip(f"link del {full.name}")
    full.wait_mended()
    with full.client.capture("up0") as wire:
        full.tern.kill()
        assert [full.client.ping(a, timeout=2) for a in full.inside] == [0, 0]
    assert wire.fields("icmp.type == 8 or icmpv6.type == 128", "frame.number") == []
    full.tern.up(full.profile)
    full.assert_carries()
    full.down()


@pytest.mark.parametrize("how", ["down", "down-by-name", "another-connection"])
def test_what_a_killed_one_holds_back_is_let_go(full, how):
    full.tern.kill()
    if how == "another-connection":
        other = full.tern.profile("other", tunnel={"Routes": "10.9.0.0/24"})
        full.tern.up(other)
        assert full.client.ping(full.lab.INTRANET[0], 5) == 5
        full.tern.down(other)
    else:
        full.tern.down(*([full.profile] if how == "down-by-name" else []))
    assert full.client.state() == full.pristine


# --- servers for names ---

def test_resolved_is_told_of_an_interface_that_is_made_anew(lab, build, tern, tern_gateway):
    """Before it is up, and under its new number; what it has under another name goes at the end."""
    with Resolved(lab.client, build) as resolved:
        resolved.start()
        tern_gateway.start()
        profile = tern.profile(tunnel={"DNS": "auto"})
        before = lab.client.state()
        tern.up(profile)
        first = resolved.lines()
        assert len(first) == 3 and all(f" {tern.status()['interface']} down" in l for l in first)
        lab.client.ip("link del tern0")
        wait_until(lambda: len(resolved.lines()) == 6, SOON, "the same again")
        assert resolved.lines()[3:] == first
        wait_until(lambda: lab.client.ping(lab.INTRANET[0]) == 1, SOON, "an answer")
        lab.client.ip("link set tern0 name wan8")
        wait_until(lambda: tern.status()["interface"] == "wan8", SOON, "the new name")
        assert len(resolved.lines()) == 6
        tern.down(profile)
        tern.wait_gone()
        assert resolved.lines()[6].startswith("RevertLink wan8") and len(resolved.lines()) == 7
        assert lab.client.state() == before


RESOLVCONF = """#!/bin/sh
# What it has been told, and by whom.
case "$1" in
-a) cat > /run/new && mv /run/new /run/resolvconf."$2" ;;
-d) rm -f /run/resolvconf."$2" ;;
esac
"""


def test_resolvconf_is_told_of_a_new_name(lab, tern, tern_gateway):
    """It knows interfaces by their names."""
    tools = tern.directory / "tools"
    tools.mkdir()
    (tools / "resolvconf").write_text(RESOLVCONF)
    (tools / "resolvconf").chmod(0o755)
    tern.env["PATH"] = f"{tools}:{os.environ['PATH']}"

    def told():
        return [name for name in lab.client.run("ls", "/run").stdout.split() if "resolvconf" in name]

    tern_gateway.start()
    tern.up(tern.profile(tunnel={"DNS": "auto"}))
    assert told() == ["resolvconf.tern0.tern"]
    lab.client.ip("link set tern0 name wan8")
    wait_until(lambda: told() == ["resolvconf.wan8.tern"], SOON, "the new name")
    assert "nameserver 10.9.0.53" in lab.client.run("cat", "/run/resolvconf.wan8.tern").stdout
    tern.down()
    tern.wait_gone()
    assert lab.client.run("sh", "-c", "ls /run").stdout.count("resolvconf") == 0
