"""What a bystander sees: a capture of whole connections, read by tshark."""

import pytest

import client
import strongswan as swan
from strongswan import connection

pytestmark = pytest.mark.sanitize

# A train of datagrams would be one frame to the capture, of which tshark sees the first datagram.
SINGLY = {"Offload": "off"}

# IPv4: the later fragments of an IKE_AUTH message that carries certificates.
ALLOWED = {"ISAKMP", "ESP", "UDPENCAP", "ARP", "ICMPv6", "IPv4"}


def assert_well_formed(capture):
    """tshark finds nothing malformed, nothing to warn of, and nothing that does not belong."""
    for complaint in ("_ws.malformed", '_ws.expert.severity == "Error"',
                      '_ws.expert.severity == "Warning"'):
        assert capture.tshark("-Y", complaint) == "", complaint
    protocols = {row[0] for row in capture.fields("frame", "_ws.col.Protocol")}
    assert protocols <= ALLOWED, protocols
    assert {"ISAKMP", "ESP"} <= protocols
    # ICMPv6: neighbours and multicast groups alone, never an echo or an error.
    assert capture.tshark("-Y", "icmpv6 and icmpv6.type < 130") == ""


def each_once(rows):
    """What waits long for its answer is sent again, octet for octet."""
    return list(dict.fromkeys(map(tuple, rows)))


def assert_in_order(capture):
    """RFC 7296 2.2: our requests count from 0 without a gap; RFC 4303 2.2: a sequence number is
    never sent twice within an SA."""
    requests = capture.fields("isakmp.flag_i == 1 and isakmp.flag_r == 0", "isakmp.messageid",
                              "udp.payload")
    numbers = [int(number, 0) for number, _ in each_once(requests)]
    assert numbers == list(range(len(numbers))), numbers
    seen = {}
    for spi, sequence in capture.fields("esp", "esp.spi", "esp.sequence"):
        assert int(sequence) == seen.get(spi, 0) + 1, (spi, sequence)
        seen[spi] = int(sequence)
    assert len(seen) == 2


def whole_connection(lab, tern, profile):
    with lab.client.capture("up0") as capture:
        tern.up(profile)
        for address in lab.INTRANET:
            lab.client.run("ping", "-n", "-c10", "-i0.01", "-p", b"audible".hex(), address)
        tern.down(profile)
    return capture


@pytest.mark.parametrize("family", [0, 1], ids=["ipv4-outside", "ipv6-outside"])
def test_pre_shared_key(lab, tern, strongswan, family):
    strongswan.load(connection(proposals=swan.GUESSED))
    capture = whole_connection(lab, tern,
                               tern.profile(gateway={"Address": lab.GATEWAY[family]}, tunnel=SINGLY))
    assert_well_formed(capture)
    assert_in_order(capture)
    # Those that we begin; strongSwan tells a list of addresses when its kernel has news of them.
    ours = ("isakmp.flag_i == 1 and isakmp.flag_r == 0 or "
            "isakmp.flag_i == 0 and isakmp.flag_r == 1")
    messages = capture.fields(ours, "isakmp.exchangetype", "udp.payload")
    exchanges = [exchange for exchange, _ in each_once(messages)]
    assert exchanges == ["34", "34", "35", "35", "37", "37"]
    for secret in (b"audible", b"alice@example.com", b"vpn.example.com"):
        assert not capture.contains(secret)


def test_certificates(lab, tern, strongswan, pki):
    """Large IKE_AUTH messages, and still nobody can read who connects."""
    credential, authority = pki.gateway("rsa"), pki.authority("rsa")
    strongswan.load(connection(**swan.by_certificate(credential, authority)), [credential],
                    [authority])
    profile = tern.profile(tunnel=SINGLY, gateway=client.by_certificate(authority),
                           local=client.with_certificate(pki.client("rsa")))
    capture = whole_connection(lab, tern, profile)
    assert_well_formed(capture)
    for secret in (b"audible", b"alice@example.com", b"vpn.example.com", b"tern tests"):
        assert not capture.contains(secret)


def test_the_marker_on_4500_and_none_on_500(lab, tern, strongswan):
    """RFC 3948 2.2: four zero octets before IKE on 4500; RFC 7296: none on 500."""
    strongswan.load(connection())
    capture = whole_connection(lab, tern, tern.profile(tunnel=SINGLY))
    for port, payload in capture.fields("isakmp and ip.src == 192.0.2.10", "udp.dstport",
                                        "udp.payload"):
        assert payload.replace(":", "").startswith("00000000") == (port == "4500"), (port, payload)
    start = capture.fields("isakmp.exchangetype == 34", "udp.dstport")
    assert start[0] == ["500"]


def test_starting_on_4500(lab, tern, strongswan):
    strongswan.load(connection())
    capture = whole_connection(lab, tern, tern.profile(gateway={"Port": 4500}, tunnel=SINGLY))
    assert_well_formed(capture)
    assert capture.tshark("-Y", "udp.port == 500") == ""


def test_what_we_offer_and_say(lab, tern, strongswan):
    """IKE_SA_INIT by an independent dissector: the proposal asked for, both NAT detection
    notifications and the signature hashes of RFC 7427."""
    strongswan.load(connection(proposals="aes256gcm16-prfsha384-ecp384"))
    capture = whole_connection(lab, tern, tern.profile(
        tunnel=SINGLY, crypto={"IKE": "aes256gcm16-prfsha384-ecp384"}))
    request = "isakmp.exchangetype == 34 and isakmp.flag_r == 0"
    ((encr, prf, group, bits, notifies),) = each_once(capture.fields(
        request, "isakmp.tf.id.encr", "isakmp.tf.id.prf", "isakmp.tf.id.dh",
        "isakmp.ike2.attr.key_length", "isakmp.notify.msgtype"))
    assert (encr, prf, group, bits) == ("20", "6", "20", "256")
    assert {"16388", "16389", "16431"} <= set(notifies.split(","))
