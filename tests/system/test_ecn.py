"""Explicit congestion notification across the tunnel (RFC 6040, RFC 7296 2.24), and the class of its
packets (RFC 4301 5.1.2): what outer headers carry, and what becomes of what a router sets on them.

tern-gateway does what tern does, so both directions are seen with it. strongSwan's kernel-libipsec
neither copies marks outwards nor heeds those it gets: with it, this is about the client alone.
"""

import json
import re
import signal

import pytest

from lab import wait_until
from strongswan import connection

MARKS = [NOT_ECT, ECT_1, ECT_0, CE] = [0, 1, 2, 3]
DSCP = 0xB8  # expedited forwarding: nobody outside is to see it, and nobody inside to lose it
SCAVENGER = 0x20  # a router's own opinion

# What a congested router does on its way out by one interface: of what knows ECN it drops nothing ...
CONGESTED = """
    table inet congested {
        chain forward {
            type filter hook forward priority 0
            oifname "%s" ip ecn { ect0, ect1 } ip ecn set ce
            oifname "%s" ip6 ecn { ect0, ect1 } ip6 ecn set ce
        }
    }"""
# ... and here what none should do: to mark what does not say that it knows ECN.
BROKEN = """
    table inet broken {
        chain forward {
            type filter hook forward priority 0
            oifname "%s" ip ecn set ce
            oifname "%s" ip6 ecn set ce
        }
    }"""
# What many networks do at their edge, on the way out by two interfaces.
RECLASSIFYING = """
    table inet reclassifying {
        chain forward {
            type filter hook forward priority 0
            oifname { "down0", "wan0" } ip dscp set cs1
            oifname { "down0", "wan0" } ip6 dscp set cs1
        }
    }"""
TO_CLIENT, TO_GATEWAY = ("down0", "down0"), ("wan0", "wan0")

families = pytest.mark.parametrize("family", [0, 1], ids=["ipv4-outside", "ipv6-outside"])
gateways = pytest.mark.parametrize("kind", ["tern_gateway", "strongswan"])


def start(request, kind):
    gateway = request.getfixturevalue(kind)
    if kind == "strongswan":
        gateway.load(connection())
    else:
        gateway.start()
    return gateway


def up(lab, tern, family=0, **tunnel):
    """Up; the TUN's name and the addresses inside."""
    tern.up(tern.profile(gateway={"Address": lab.GATEWAY[family]}, tunnel=tunnel))
    status = tern.status()
    return status["interface"], [a.split("/")[0] for a in status["addresses"]]


def ping(machine, address, octet, patience=10):
    """Whether one echo, as somebody counts them, with that octet is answered."""
    return machine.run("ping", "-n", "-q", "-c1", "-W", patience, "-Q", octet, address,
                       check=False).returncode == 0


def ping_all(machine, addresses, lost=()):
    """An echo with every mark to every address. Which were answered; the lost ones are not waited
    for as long."""
    return [mark for address in addresses for mark in MARKS
            if ping(machine, address, DSCP | mark, 1 if mark in lost else 10)]


def octets(capture, display_filter):
    """TOS octets or traffic classes of those IP headers."""
    return [int(v4 or v6, 0)
            for v4, v6 in capture.fields(display_filter, "ip.dsfield", "ipv6.tclass")]


def inner(marks):
    return [DSCP | mark for mark in marks]


def assert_checksums(capture):
    """Those of IPv4 headers, which were mended on the way."""
    for status, many in ((0, False), (1, True)):
        frames = capture.tshark("-o", "ip.check_checksum:TRUE", "-Y",
                                f"ip.checksum.status == {status}")
        assert (frames != "") == many, frames


def requests_of(capture):
    """Of the echo requests, in order."""
    return octets(capture, "icmp.type == 8 or icmpv6.type == 128")


@families
@gateways
def test_marks_inside_go_outside(request, lab, tern, kind, family):
    start(request, kind)
    with lab.client.capture("up0") as outer, lab.intranet.capture("lan0") as arrived:
        up(lab, tern, family)
        assert ping_all(lab.client, lab.INTRANET) == MARKS * 2
        tern.down()
    ours, theirs = (f"ip{'v6' * family}.src == {end[family]}" for end in (lab.CLIENT, lab.GATEWAY))
    assert octets(outer, f"esp and {ours}") == MARKS * 2
    if kind == "tern_gateway":  # in echo replies, which have the octet of their requests
        assert octets(outer, f"esp and {theirs}") == MARKS * 2
    ike = octets(outer, f"isakmp and {ours}")
    assert ike and set(ike) == {NOT_ECT}
    assert requests_of(arrived) == inner(MARKS * 2)


@pytest.mark.sanitize
@families
def test_congestion_on_the_way(lab, tern, tern_gateway, family):
    """A router that has a choice marks instead of dropping, and whoever shall slow down hears it."""
    tern_gateway.start()
    interface, addresses = up(lab, tern, family)
    for direction in (TO_CLIENT, TO_GATEWAY):
        lab.router.nft(CONGESTED % direction)
        with (lab.client.capture(interface) as inward, lab.intranet.capture("lan0") as outward):
            if direction is TO_CLIENT:
                assert ping_all(lab.intranet, addresses) == MARKS * 2
            else:
                assert ping_all(lab.client, lab.INTRANET) == MARKS * 2
        arrived = inward if direction is TO_CLIENT else outward
        assert requests_of(arrived) == inner([NOT_ECT, CE, CE, CE] * 2)
        assert_checksums(arrived)
        lab.router.nft("delete table inet congested")
    tern.down()


@gateways
def test_marks_nobody_asked_for(request, lab, tern, kind):
    """RFC 6040 4.2: marked as congested outside, and inside a sender that would not hear of it: the
    packet is lost, as it would have been at a router without ECN. All others arrive with the mark."""
    start(request, kind)
    interface, addresses = up(lab, tern)
    lab.router.nft(BROKEN % TO_CLIENT)
    with lab.client.capture(interface) as capture:
        assert ping_all(lab.client, lab.INTRANET, lost=[NOT_ECT]) == MARKS[1:] * 2
    assert_checksums(capture)
    arrived = octets(capture, "icmp.type == 0 or icmpv6.type == 129")
    assert arrived == inner([CE, CE, CE] * 2)
    # Either the first of them, or both.
    wait_until(lambda: re.search(" [12] marked as congested without ECN inside",
                                 tern.log.read_text()), 5,
               "the count of what was dropped in the log")
    tern.down()  # though IKE is marked like everything else


def test_marks_nobody_asked_for_at_tern_gateway(lab, tern, tern_gateway):
    tern_gateway.start()
    up(lab, tern)
    lab.router.nft(BROKEN % TO_GATEWAY)
    with lab.intranet.capture("lan0") as capture:
        assert ping_all(lab.client, lab.INTRANET, lost=[NOT_ECT]) == MARKS[1:] * 2
    assert_checksums(capture)
    assert requests_of(capture) == inner([CE, CE, CE] * 2)
    tern_gateway.child.send_signal(signal.SIGUSR1)
    session = json.loads(tern_gateway.child.stdout.readline())
    assert session["rx"]["congested"] == 2 and session["rx"]["bad"] == 0, session
    tern.down()


@families
def test_the_class_of_packets(lab, tern, tern_gateway, family):
    """DSCP = copy: packets that come one after the other leave with the class that each has inside.
    What comes in keeps its own, whatever became of it on the way; IKE's is nobody's."""
    tern_gateway.start()
    lab.router.nft(RECLASSIFYING)
    with (lab.client.capture("up0") as outer, lab.gateway.capture("wan0") as beyond,
          lab.intranet.capture("lan0") as arrived):
        up(lab, tern, family, DSCP="copy")
        assert ping_all(lab.client, lab.INTRANET) == MARKS * 2
        for address in lab.INTRANET:
            assert ping(lab.client, address, 0)
        tern.down()
    ours, theirs = (f"ip{'v6' * family}.src == {end[family]}" for end in (lab.CLIENT, lab.GATEWAY))
    assert octets(outer, f"esp and {ours}") == inner(MARKS * 2) + [0, 0]
    assert set(octets(outer, f"isakmp and {ours}")) == {0}
    assert octets(beyond, f"esp and {ours}") == [SCAVENGER | m for m in MARKS * 2 + [0, 0]]
    assert octets(outer, f"esp and {theirs}") == [SCAVENGER | m for m in MARKS * 2 + [0, 0]]
    assert requests_of(arrived) == inner(MARKS * 2) + [0, 0]
