"""A connection that travels: what happens to it, to what is open inside, and to the wire, when the
networks of its machine come, go, break and change. See roaming.py for the laboratory."""

import contextlib
import json
import random
import stat
import subprocess

import pytest

from lab import wait_until
from roaming import RoamingLab
from sides import wait_agreed
from traffic import Pings, Talk

GATEWAYS = ("tern", "strongswan")
SOON = 20  # seconds, on a busy machine; what is measured is measured by tools/bench/handover


class Journey:
    """A lab with a connection through it, and a TCP connection inside that has to survive it all."""

    def __init__(self, lab, kind, roaming=(), gateway=(), **profile):
        self.lab = lab
        lab.start_intranet()
        self.gateway = lab.start_gateway(kind, **dict(gateway))
        self.tern = lab.tern()
        self.profile = lab.profile(self.tern, roaming=roaming, **profile)
        self.tern.up(self.profile)

    def status(self):
        return self.tern.status()

    def interface(self):
        return self.status()["path"]["interface"]

    def wait_for(self, what, probe, within=SOON):
        return wait_until(probe, within, f"{what}: {self.tern.log}")

    def wait_on(self, interface, handovers=None):
        def there():
            status = self.status()
            return (status["state"] == "up" and status["path"]["interface"] == interface and
                    (handovers is None or status["handovers"] >= handovers))
        self.wait_for(f"the path by {interface}", there)
        return self.status()


@pytest.fixture
def travel(build, tmp_path):
    """travel(kind, lab options...) -> a Journey, which goes with the test. Everything that crosses
    the client's outer interfaces is captured, and has to be with the gateway, by IKE's ports, or
    among neighbours."""
    with contextlib.ExitStack() as stack:
        def start(kind, roaming=(), gateway=(), profile=(), **options):
            lab = stack.enter_context(RoamingLab(build, directory=tmp_path, **options))
            wire = stack.enter_context(lab.capture())
            stack.callback(assert_nothing_leaks, wire, lab)
            stack.callback(assert_each_by_its_own_interface, wire, lab)
            return Journey(lab, kind, roaming, gateway, **dict(profile))
        yield start


def assert_nothing_leaks(wire, lab):
    wire.stop()
    gateway = f"(ip.addr == {lab.GATEWAY[0]} or ipv6.addr == {lab.GATEWAY[1]})"
    strange = wire.fields(
        f"not ({gateway} and (udp.port == 500 or udp.port == 4500) or arp or icmpv6.type >= 130)",
        "frame.number", "ip.dst", "ipv6.dst", "_ws.col.Info")
    assert strange == []


def assert_each_by_its_own_interface(wire, lab):
    """What bears the address of one network does not leave by the other, whatever the routes say."""
    wire.stop()
    for network in lab.networks.values():
        own = " || ".join(f"{'ip' if v == 4 else 'ipv6'}.src == {r}"
                          for v, r in network.ranges.items())
        # Not what the kernel says of a datagram that came when nobody listened any more.
        assert wire.fields(f'udp && !icmp && !icmpv6 && frame.interface_name != '
                           f'"{network.interface}" && ({own})',
                           "frame.number", "frame.interface_name", "ip.src", "ipv6.src") == []


def spis(status):
    return status["ike"]["spi_i"], status["ike"]["spi_r"]


@pytest.mark.sanitize
@pytest.mark.parametrize("kind", GATEWAYS)
def test_out_of_range_and_back(travel, kind):
    """Wi-Fi goes, cellular carries on; Wi-Fi is back, and is moved to; the IKE SA stays."""
    journey = travel(kind)
    lab, before = journey.lab, journey.status()
    assert before["path"]["interface"] == "wifi0"
    with Talk(lab.client, lab.INTRANET[0]) as talk, Talk(lab.client, lab.INTRANET[1]) as talk6:
        lab.link_down("wifi")
        status = journey.wait_on("cell0", handovers=1)
        assert status["last_handover"]["from"] == "wifi0"
        assert status["last_handover"]["to"] == "cell0"
        assert spis(status) == spis(before)
        blocks = talk.blocks(), talk6.blocks()
        journey.wait_for("both to go on", lambda: talk.blocks() > blocks[0] + 5 and
                         talk6.blocks() > blocks[1] + 5)
        lab.link_up("wifi")
        status = journey.wait_on("wifi0", handovers=2)
        assert spis(status) == spis(before)
        assert status["reconnects"] == 0
    journey.tern.down()
    journey.tern.wait_gone()


def test_a_better_network_costs_nothing(travel):
    """No packet is lost where the gateway moves its SAs in place; and Prefer turns the order."""
    journey = travel("tern", roaming={"Prefer": "cell*, wifi*"})
    lab = journey.lab
    assert journey.interface() == "cell0"
    lab.link_down("cell")
    journey.wait_on("wifi0", handovers=1)
    with Pings(lab.client, lab.INTRANET[0]) as pings:
        journey.wait_for("answers", lambda: pings.seen() > 50)
        lab.link_up("cell")
        journey.wait_on("cell0", handovers=2)
        seen = pings.seen()
        journey.wait_for("answers", lambda: pings.seen() > seen + 50)
        pings.stop()
        assert pings.lost() == []


def test_a_better_network_that_does_not_carry_changes_nothing(travel):
    journey = travel("tern")
    lab = journey.lab
    lab.link_down("wifi")
    journey.wait_on("cell0", handovers=1)
    lab.blackhole("wifi")
    monitor = lab.client.spawn(*journey.tern.command("monitor", "--json"), env=journey.tern.env,
                               stdout=subprocess.PIPE)
    monitor.stdout.readline()  # it follows from here on
    with Pings(lab.client, lab.INTRANET[0]) as pings:
        journey.wait_for("answers", lambda: pings.seen() > 20)
        lab.link_up("wifi")
        for line in monitor.stdout:
            event = json.loads(line)
            if event["event"] == "path-probe":
                assert event["result"] == "silent"
                break
        pings.stop()
        assert pings.lost() == []
    monitor.terminate()
    monitor.wait(30)
    assert journey.interface() == "cell0"
    assert journey.status()["handovers"] == 1


@pytest.mark.parametrize("options", [{}, {"ipv6_only": ("wifi", "cell")}], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("kind", GATEWAYS)
def test_a_network_that_is_there_and_does_not_carry(travel, kind, options):
    """Wi-Fi's route is still the better one; what comes from the other address must not take it."""
    journey = travel(kind, **options)
    lab, before = journey.lab, journey.status()
    with Talk(lab.client, lab.INTRANET[0]) as talk:
        journey.wait_for("a start", lambda: talk.blocks() > 5)
        lab.blackhole("wifi")
        status = journey.wait_on("cell0", handovers=1)
        assert spis(status) == spis(before)
        blocks = talk.blocks()
        journey.wait_for("it to go on", lambda: talk.blocks() > blocks + 5)


@pytest.mark.parametrize("kind", GATEWAYS)
def test_a_translator_that_changes_its_mind(travel, kind):
    journey = travel(kind)
    lab, before = journey.lab, journey.status()
    assert before["path"]["nat"]
    with Talk(lab.client, lab.INTRANET[0]) as talk:
        for _ in range(2):
            blocks = talk.blocks()
            journey.wait_for("traffic", lambda b=blocks: talk.blocks() > b + 5)
            lab.rebind("wifi")
            blocks = talk.blocks()
            journey.wait_for("it to go on", lambda b=blocks: talk.blocks() > b + 20)
    status = journey.wait_on("wifi0")
    assert spis(status) == spis(before)
    assert status["reconnects"] == 0


def test_another_address_in_the_same_network(travel):
    journey = travel("tern")
    lab, before = journey.lab, journey.status()
    lab.link_down("cell")
    with Talk(lab.client, lab.INTRANET[0]) as talk:
        new = lab.renumber("wifi")
        journey.wait_for("the new address",
                         lambda: journey.status()["path"]["local"] in new and
                         journey.status()["state"] == "up")
        blocks = talk.blocks()
        journey.wait_for("it to go on", lambda: talk.blocks() > blocks + 5)
    assert spis(journey.status()) == spis(before)


@pytest.mark.parametrize("kind", GATEWAYS)
def test_from_ipv4_alone_to_ipv6_alone_and_back(travel, kind):
    journey = travel(kind, ipv4_only=("wifi",), ipv6_only=("cell",))
    lab, before = journey.lab, journey.status()
    assert ":" not in before["path"]["local"]
    with Talk(lab.client, lab.INTRANET[0]) as talk:
        lab.link_down("wifi")
        status = journey.wait_on("cell0", handovers=1)
        assert ":" in status["path"]["local"]
        blocks = talk.blocks()
        journey.wait_for("it to go on", lambda: talk.blocks() > blocks + 5)
        lab.link_up("wifi")
        status = journey.wait_on("wifi0", handovers=2)
    assert spis(status) == spis(before)


@pytest.mark.sanitize
@pytest.mark.parametrize("kind", GATEWAYS)
def test_no_network_at_all_for_a_while(travel, kind):
    """Held, with addresses and routes; nothing is sent; and goes on when there is one."""
    journey = travel(kind)
    lab, before = journey.lab, journey.status()
    with Talk(lab.client, lab.INTRANET[0]) as talk:
        journey.wait_for("a start", lambda: talk.blocks() > 5)
        lab.link_down("wifi")
        lab.link_down("cell")
        journey.wait_for("the search", lambda: journey.status()["state"] == "searching")
        assert journey.status()["addresses"] == before["addresses"]
        assert "dev tern0" in lab.client.run("ip", "route", "get", lab.INTRANET[0]).stdout
        lab.link_up("cell")
        status = journey.wait_on("cell0")
        blocks = talk.blocks()
        journey.wait_for("it to go on", lambda: talk.blocks() > blocks + 5)
    assert spis(status) == spis(before)
    lab.link_down("cell")
    journey.wait_for("the search", lambda: journey.status()["state"] == "searching")
    journey.tern.down()
    journey.tern.wait_gone()


def test_held_for_too_long(travel):
    journey = travel("tern", roaming={"HoldDown": "1s"})
    lab, before = journey.lab, journey.status()
    with Talk(lab.client, lab.INTRANET[0]) as talk:
        lab.link_down("wifi")
        lab.link_down("cell")
        journey.wait_for("the end of patience", lambda: journey.status()["children"] == [])
        lab.link_up("cell")
        status = journey.wait_on("cell0")
        blocks = talk.blocks()
        journey.wait_for("it to go on", lambda: talk.blocks() > blocks + 5)
    assert spis(status) != spis(before)
    assert status["addresses"] == before["addresses"]
    assert status["reconnects"] == 1


@pytest.mark.parametrize("kind, roaming, gateway", [
    ("tern", {"MOBIKE": "no"}, {}),
    ("tern", {}, {"MOBIKE": "no"}),
    ("strongswan", {}, {"extra": "mobike = no"}),
])
def test_without_mobike(travel, kind, roaming, gateway):
    """A new IKE SA from the new network, with the same addresses inside. (strongSwan gives others
    while it still holds the old IKE SA's; what was open inside is lost then.)"""
    journey = travel(kind, roaming=roaming, gateway=gateway)
    lab, before = journey.lab, journey.status()
    assert not before["ike"]["mobike"]
    with contextlib.ExitStack() as stack:
        if kind == "tern":
            talk = stack.enter_context(Talk(lab.client, lab.INTRANET[0]))
        for change, interface in ((lab.link_down, "cell0"), (lab.link_up, "wifi0")):
            change("wifi")
            status = journey.wait_on(interface)
            journey.wait_for("echoes", lambda: lab.client.ping(lab.INTRANET[0], 1, timeout=2))
            assert spis(status) != spis(before)
            if kind == "tern":
                assert status["addresses"] == before["addresses"]
                blocks = talk.blocks()
                journey.wait_for("it to go on", lambda b=blocks: talk.blocks() > b + 5)


@pytest.mark.parametrize("kind", GATEWAYS)
def test_a_move_while_a_rekeying_is_under_way(travel, kind):
    journey = travel(kind)
    lab, before = journey.lab, journey.status()
    with Talk(lab.client, lab.INTRANET[0]) as talk:
        journey.wait_for("a start", lambda: talk.blocks() > 5)
        lab.blackhole("wifi")
        journey.tern.run("rekey")
        lab.link_down("wifi")
        journey.wait_on("cell0", handovers=1)
        journey.wait_for("the rekeying", lambda: journey.status()["ike"]["rekeys"] == 1 and
                         journey.status()["children"][-1]["rekeys"] >= 1)
        blocks = talk.blocks()
        journey.wait_for("it to go on", lambda: talk.blocks() > blocks + 5)
    assert journey.status()["reconnects"] == before["reconnects"]


def test_scripts_can_follow(travel, tmp_path):
    """monitor, wait, and the profile's programs."""
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\nenv | grep ^TERN_ > {tmp_path}/hook.$TERN_EVENT\n")
    hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
    journey = travel("tern")
    lab, tern = journey.lab, journey.tern
    tern.run("wait", "office", "up", "--timeout", SOON)
    tern.run("wait", "office", "interface=wifi0", "--timeout", SOON)
    tern.run("wait", "office", "handover", "--timeout", 1, code=3)
    tern.down()
    tern.wait_gone()
    text = journey.profile.read_text() + "[Hooks]\n" + "".join(
        f"{which} = {hook}\n" for which in ("Up", "Down", "Handover"))
    tern.up(tern.write_profile(text))
    monitor = lab.client.spawn(*tern.command("monitor", "--json"), env=tern.env,
                               stdout=subprocess.PIPE)
    first = json.loads(monitor.stdout.readline())  # it follows from here on
    waiting = lab.client.spawn(*tern.command("wait", "office", "interface=cell0"), env=tern.env)
    lab.link_down("wifi")
    assert waiting.wait(SOON) == 0
    journey.wait_for("the program", lambda: (tmp_path / "hook.handover").exists())
    tern.down()
    tern.wait_gone()
    lines, _ = monitor.communicate(timeout=SOON)
    events = [first, *map(json.loads, lines.splitlines())]
    assert all(e["v"] == 1 and e["at"].endswith("Z") and e["mono_ms"] > 0 for e in events)
    (moved,) = [e for e in events if e["event"] == "handover"]
    assert (moved["from"], moved["to"], moved["reason"]) == ("wifi0", "cell0", "address-gone")
    # Two, or more where this machine was late; tests/sim counts them exactly.
    assert moved["messages"] >= 2 and moved["gap_ms"] >= 0
    assert {"network", "state", "handover", "child", "log"} <= {e["event"] for e in events}
    facts = {}
    for which in ("up", "handover", "down"):
        wait_until(lambda w=which: (tmp_path / f"hook.{w}").read_text(), SOON, which)
        facts[which] = dict(line.split("=", 1) for line in
                            (tmp_path / f"hook.{which}").read_text().splitlines())
    assert facts["up"]["TERN_INTERFACE"] == "tern0"
    assert facts["handover"]["TERN_FROM"] == "wifi0"
    assert facts["handover"]["TERN_REASON"] == "address-gone"
    assert facts["down"]["TERN_STATE"] == "down"


def test_a_full_tunnel_leaks_nothing_on_the_way(travel):
    """Whatever comes and goes, what is not for the gateway goes through it or nowhere. (The fixture
    looks at every frame.)"""
    journey = travel("tern", profile={"tunnel": {"Routes": "0.0.0.0/0, ::/0"}},
                     gateway={"Networks": "0.0.0.0/0, ::/0"})
    lab = journey.lab
    with contextlib.ExitStack() as stack:
        # The router is near, and would answer if it were asked in the clear; the others are reached
        # through the gateway alone.
        for address in lab.UPLINK:
            stack.enter_context(Pings(lab.client, address))
        elsewhere = [stack.enter_context(Pings(lab.client, a)) for a in lab.ELSEWHERE]
        for change, carries in ((lambda: lab.link_down("wifi"), True),
                                (lambda: lab.link_up("wifi"), True),
                                (lambda: lab.blackhole("wifi"), True),
                                (lambda: lab.renumber("cell"), True),
                                (lambda: lab.link_down("cell"), False),
                                (lambda: lab.link_down("wifi"), False),
                                (lambda: lab.blackhole("wifi", False), False),
                                (lambda: lab.link_up("cell"), True),
                                (lambda: lab.link_up("wifi"), True)):
            change()
            if carries:
                seen = [pings.seen() for pings in elsewhere]
                journey.wait_for("answers", lambda before=seen: all(
                    pings.seen() > count + 20 for pings, count in zip(elsewhere, before)))
            else:
                assert lab.client.ping(lab.INTRANET[0], 1, timeout=2) == 0
        journey.wait_on("wifi0")


def wander(lab, rng):
    """One thing that happens to a traveller; one network at least stays."""
    name, other = rng.sample(["wifi", "cell"], 2)
    network, rest = lab.network(name), lab.network(other)
    whole = rest.state == "up" and rest.blackhole == "off"
    what = rng.randrange(5)
    if network.state == "down":
        lab.link_up(name)
    elif network.blackhole != "off":
        lab.blackhole(name, False)
    elif what == 0 and whole:
        lab.link_down(name)
    elif what == 1 and whole:
        lab.blackhole(name)
    elif what == 2:
        lab.renumber(name)
    elif what == 3:
        lab.rebind(name)
    elif whole:
        lab.link_down(name)


@pytest.mark.slow
@pytest.mark.parametrize("kind", GATEWAYS)
def test_a_long_walk(travel, full, kind):
    """Whatever happens: one TCP connection, one IKE SA, nothing left over."""
    steps = 1000 if full else 40
    journey = travel(kind)
    lab, tern, before = journey.lab, journey.tern, journey.status()
    rng = random.Random(steps)
    fds, rules = tern.descriptors(), lab.client.run("ip", "rule").stdout
    with Talk(lab.client, lab.INTRANET[0]) as talk:
        for _ in range(steps):
            blocks = talk.blocks()
            wander(lab, rng)
            with contextlib.suppress(subprocess.TimeoutExpired):  # some steps come quick
                talk.child.wait(rng.choice([0.05, 0.3, 1.5]))
            assert talk.child.poll() is None
            if rng.random() < 0.2:
                # As long as a keepalive takes, where the server has the word and the translator
                # forgot us.
                journey.wait_for("it to go on", lambda b=blocks: talk.blocks() > b, within=60)
        for name in ("wifi", "cell"):
            lab.blackhole(name, False)
            lab.link_up(name)
        status = journey.wait_for("all to be well", lambda: journey.status()["state"] == "up" and
                                  journey.status())
        blocks = talk.blocks()
        journey.wait_for("it to go on", lambda: talk.blocks() > blocks + 20)
    assert spis(status) == spis(before), status
    assert status["reconnects"] == 0
    # By IPv6 an interface has a socket of its own to send by, for either port, which is kept.
    assert len(tern.descriptors()) <= len(fds) + 2 * len(lab.networks)
    assert lab.client.run("ip", "rule").stdout == rules
    assert tern.resident_kilobytes() < 12000
    if kind == "strongswan":
        wait_agreed(tern, journey.gateway)
    tern.down()
    tern.wait_gone()


@pytest.mark.slow
def test_idle_means_idle(travel):
    """No packet, no wake-up: without a translator, and without anything to say."""
    journey = travel("tern", nat=())
    lab = journey.lab
    journey.tern.run("wait", "office", "idle", "--timeout", 2 * SOON)
    journey.tern.wait_unasked()
    counters, before = lab.counters("wifi"), journey.tern.sleeps()
    child = lab.client.spawn("sleep", 30)
    child.wait(40)
    assert journey.tern.sleeps() - before <= 2
    assert lab.counters("wifi")["up"]["packets"] - counters["up"]["packets"] <= 2  # neighbours
    journey.tern.run("down")
    journey.tern.wait_gone()
