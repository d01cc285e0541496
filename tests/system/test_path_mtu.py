"""Paths that bear less than their first cable: what routers tell is learned (RFC 1191, RFC 8201), the
tunnel's MTU follows, and no packet is lost in silence."""

import re
import sys

import pytest

import traffic
from lab import wait_until
from strongswan import connection

IP_FRAGMENT = "ip.flags.mf == 1 or ip.frag_offset > 0 or ipv6.fraghdr.nxt"
OUTER = (20 + 8, 40 + 8)  # IP and UDP
HEADERS = (20 + 20, 40 + 20)  # IP and TCP, inside
LEAST = 1280  # of an interface with IPv6
SIZE = 3_000_000

# What some do with all ICMP.
SILENT = """
    table inet silent {
        chain output {
            type filter hook output priority 0
            icmp type destination-unreachable drop
            icmpv6 type packet-too-big drop
        }
    }"""

MUTE = """
    table inet mute {
        chain input {
            type filter hook input priority 0
            icmp type echo-request drop
        }
    }"""

families = pytest.mark.parametrize("family", [0, 1], ids=["ipv4-outside", "ipv6-outside"])
gateways = pytest.mark.parametrize("kind", ["tern_gateway", "strongswan"])


def start(request, kind):
    gateway = request.getfixturevalue(kind)
    if kind == "strongswan":
        gateway.load(connection(esp="aes256gcm16"))
    else:
        gateway.start()


def narrow(lab, mtu):
    """The cable between the router and the gateway carries no more; the client's does."""
    for machine in (lab.router, lab.gateway):
        machine.ip(f"link set wan0 mtu {mtu}")


def inner_max(mtu, family):
    """AES-GCM: SPI, sequence number, IV and ICV; text in units of four octets, two of them ESP's."""
    return (mtu - OUTER[family] - 8 - 8 - 16) // 4 * 4 - 2


def up(lab, tern, family):
    tern.up(tern.profile(gateway={"Address": lab.GATEWAY[family]}))
    return tern.status()


def ping(machine, address, length):
    """One echo of that many octets, header included, that nobody on the way may fragment."""
    headers = 48 if ":" in address else 28
    return machine.run("ping", "-n", "-M", "do", "-c1", "-W1", "-s", length - headers, address,
                       check=False)


def told_mtu(result):
    """By the kernel, or by tern's ICMP; ping's words for them differ."""
    match = re.search(r"mtu[ :=]+(\d+)", result.stdout + result.stderr)
    return match and int(match.group(1))


def wait_learned(lab, tern, path_mtu, mtu, length=1400):
    """Only what is sent tells."""
    def learned():
        for address in lab.INTRANET:
            ping(lab.client, address, length)
        status = tern.status()
        return (status["path"]["mtu"], status["mtu"]) == (path_mtu, mtu)
    wait_until(learned, 10, f"the path to be known to bear {path_mtu}")


@pytest.mark.sanitize
@families
@gateways
@pytest.mark.parametrize("mtu", [1400, 1280])
def test_a_narrow_path(request, lab, tern, intranet, kind, family, mtu):
    """TCP, both ways, is what comes first; then as much as fits in one piece, and no octet more."""
    start(request, kind)
    narrow(lab, mtu)
    assert up(lab, tern, family)["mtu"] == 1400
    for address in lab.INTRANET:
        intranet.exchange(lab.client, address, SIZE)
    fits = inner_max(mtu, family)
    wait_learned(lab, tern, mtu, max(fits, LEAST))
    with lab.client.capture("up0") as outer:
        for address in lab.INTRANET:
            most = max(fits, LEAST) if ":" in address else fits
            wait_until(lambda: ping(lab.client, address, most).returncode == 0, 10,
                       "the gateway to know the path as well")
            result = ping(lab.client, address, most + 1)
            assert result.returncode != 0 and told_mtu(result) == most
    # RFC 8200 5: at 1280 octets IPv6 cannot be told to send less; then ESP goes in fragments.
    ours = f"ip{'v6' * family}.src == {lab.CLIENT[family]}"
    fragments = outer.tshark("-Y", f"({IP_FRAGMENT}) and {ours}")
    assert (fragments != "") == (LEAST > fits), fragments
    tern.down()


def mss(capture, display_filter):
    return [int(value) for (value,) in capture.fields(f"tcp.flags.syn == 1 and {display_filter}",
                                                      "tcp.options.mss_val")]


@families
def test_segments_are_what_fits(lab, tern, tern_gateway, intranet, family):
    """What both ends of a TCP connection agree on fits, though neither knows the path: nothing goes
    in fragments, IPv6 neither."""
    tern_gateway.start()
    narrow(lab, 1300)
    interface = up(lab, tern, family)["interface"]
    wait_learned(lab, tern, 1300, LEAST)
    for address, headers in zip(lab.INTRANET, HEADERS):
        expected = inner_max(1300, family) - headers
        with (lab.client.capture(interface) as ours, lab.intranet.capture("lan0") as theirs,
              lab.client.capture("up0") as outer):
            intranet.exchange(lab.client, address, SIZE)
        assert set(mss(theirs, "tcp.dstport == 7000")) == {expected}
        assert set(mss(ours, "tcp.srcport == 7000")) == {expected}
        assert mss(theirs, "tcp.srcport == 7000")[0] > expected
        assert outer.tshark("-Y", IP_FRAGMENT) == ""
        assert ours.tshark("-o", "tcp.check_checksum:TRUE", "-Y",
                           "tcp.flags.syn == 1 and tcp.srcport == 7000 and "
                           "tcp.checksum.status == 0") == ""
    tern.down()


@families
def test_a_path_grows_wide_again(lab, tern, tern_gateway, family):
    tern_gateway.start()
    narrow(lab, 1380)
    up(lab, tern, family)
    wait_learned(lab, tern, 1380, inner_max(1380, family))
    narrow(lab, 1500)
    # As after ten minutes.
    for version in ("-4", "-6"):
        lab.client.run("ip", version, "route", "flush", "cache")
    wait_learned(lab, tern, 1500, 1400, length=100)
    for address in lab.INTRANET:
        assert ping(lab.client, address, 1400).returncode == 0
    tern.down()


@families
def test_what_may_be_fragmented_is(lab, tern, tern_gateway, family):
    """Without DF, longer than the TUN's MTU: cut before it comes into the tunnel, by this machine.
    The fragments pass the selectors and are put together behind the gateway."""
    tern_gateway.start()
    up(lab, tern, family)
    for address in lab.INTRANET:
        with lab.intranet.capture("lan0") as arrived:
            assert lab.client.ping(address, 1, size=4000) == 1
        assert arrived.fields(IP_FRAGMENT, "ip.src") != []
    tern.down()


def test_a_fixed_mtu_stays(lab, tern, tern_gateway, intranet):
    """The profile's word counts; what does not fit is answered or goes in fragments outside."""
    tern_gateway.start()
    narrow(lab, 1300)
    tern.up(tern.profile(tunnel={"MTU": 1400}))
    intranet.exchange(lab.client, lab.INTRANET[0], SIZE)
    wait_learned(lab, tern, 1300, 1400)
    for address, most in zip(lab.INTRANET, (inner_max(1300, 0), LEAST)):
        wait_until(lambda: told_mtu(ping(lab.client, address, 1400)) == most, 10,
                   "the answer to what is too long")
    assert lab.client.ping(lab.INTRANET[0], 1, size=1300) == 1  # no DF
    tern.down()


@families
def test_routers_that_keep_silent(lab, tern, tern_gateway, intranet, family):
    """RFC 2923 2.1: what is too long is lost, and nobody tells. An upload gets through all the same."""
    tern_gateway.start()
    lab.router.nft(SILENT)
    narrow(lab, 1300)
    up(lab, tern, family)
    lab.client.run(sys.executable, traffic.__file__, "send", lab.INTRANET[0], SIZE, timeout=60)
    status = tern.status()
    assert status["path"]["mtu"] == status["mtu"] == LEAST
    assert "long ones do not" in tern.log.read_text()
    assert ping(lab.client, lab.INTRANET[0], inner_max(LEAST, family)).returncode == 0
    if family == 0:  # IPv6's would have to be fragmented by the kernel, which knows of nothing
        assert lab.client.ping(lab.INTRANET[0], 1, size=LEAST) == 1  # no DF
        assert lab.client.ping(lab.INTRANET[1], 1, size=LEAST - 48) == 1
    tern.down()


def test_who_gets_no_answer_is_no_reason(lab, tern, tern_gateway):
    """Short packets to somebody who does not answer, for longer than it takes to find a router out."""
    tern_gateway.start()
    lab.intranet.nft(MUTE)
    up(lab, tern, 0)
    with lab.client.capture("up0") as capture:
        lab.client.run("ping", "-n", "-i", "0.1", "-w", "5", lab.INTRANET[0], check=False)
    asked = capture.fields(f"isakmp.exchangetype == 37 and ip.src == {lab.CLIENT[0]}", "ip.src")
    assert len(asked) >= 2  # the gateway was asked, and answered, again and again
    assert tern.status()["path"]["mtu"] == 1500
    tern.down()
