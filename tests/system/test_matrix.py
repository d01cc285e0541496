"""Algorithms, pair by pair, over IPv4 and over IPv6: strongSwan is told to accept nothing but the pair,
and the profile offers nothing else. One lab and one strongSwan serve them all; each pair is its own
connection. test_suites.py has ESP's with extended sequence numbers."""

import os
import sys

import pytest

import lab as lab_module
import strongswan as swan
from client import PATIENT, Tern

# IKE proposal, ESP proposal. Every cipher, integrity algorithm, PRF and group is there on both
# layers where both have it.
PAIRS = [
    ("aes128gcm16-prfsha256-x25519", "aes128gcm16"),
    ("aes192gcm16-prfsha256-x25519", "aes192gcm16"),
    ("aes256gcm16-prfsha384-x25519", "aes256gcm16"),
    ("aes128gcm12-prfsha256-ecp256", "aes128gcm12"),
    ("aes192gcm12-prfsha384-ecp384", "aes192gcm12"),
    ("aes256gcm12-prfsha512-ecp521", "aes256gcm12"),
    ("aes128gcm8-prfsha256-modp2048", "aes128gcm8"),
    ("aes192gcm8-prfsha384-modp3072", "aes192gcm8"),
    ("aes256gcm8-prfsha512-modp4096", "aes256gcm8"),
    ("chacha20poly1305-prfsha256-x25519", "chacha20poly1305"),
    ("chacha20poly1305-prfsha512-ecp521", "aes256-sha512"),
    ("aes128-sha1-modp1024", "aes128-sha1"),
    ("aes192-sha1-modp2048", "aes192-sha1"),
    ("aes256-sha1-ecp256", "aes256-sha1"),
    ("aes128-sha256-modp2048", "aes128-sha256"),
    ("aes192-sha256-ecp256", "aes192-sha256"),
    ("aes256-sha256-x25519", "aes256-sha256"),
    ("aes128-sha384-modp3072", "aes128-sha384"),
    ("aes192-sha384-ecp384", "aes192-sha384"),
    ("aes256-sha384-ecp384", "aes256-sha384"),
    ("aes128-sha512-modp4096", "aes128-sha512"),
    ("aes192-sha512-ecp521", "aes192-sha512"),
    ("aes256-sha512-ecp521", "chacha20poly1305"),
    ("aes256-sha256-prfsha512-x25519", "aes128gcm16"),
    ("aes256-sha512-prfsha1-modp1024", "aes256gcm16"),
    ("aes128gcm16-prfsha1-modp1024", "aes128-sha256"),
    ("aes256gcm16-prfsha384-x25519", "null-sha256"),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with lab_module.Lab(directory=tmp_path_factory.mktemp("matrix")) as it:
        yield it


@pytest.fixture(scope="module")
def strongswan(lab):
    with swan.StrongSwan(lab.gateway, settings="cookie_threshold = 1") as it:
        yield it


@pytest.fixture(scope="module")
def tern(lab, build):
    with Tern(lab.client, build) as it:
        yield it


def spellings(ike):
    """An IKE proposal without a PRF has the one of its integrity algorithm; both are its name."""
    parts = ike.split("-")
    if len(parts) == 3 and parts[1].startswith("sha"):
        return {ike, "-".join([parts[0], parts[1], "prf" + parts[1], parts[2]])}
    return {ike}


@pytest.mark.parametrize("family", [0, 1], ids=["ipv4-outside", "ipv6-outside"])
@pytest.mark.parametrize("ike,esp", PAIRS, ids=["+".join(p) for p in PAIRS])
def test_pair(lab, strongswan, tern, ike, esp, family):
    strongswan.load(swan.connection(proposals=ike, esp=esp))
    profile = tern.profile(gateway={"Address": lab.GATEWAY[family]},
                           crypto={"IKE": ike, "ESP": esp})
    tern.up(profile)
    try:
        for address in lab.INTRANET:
            # Sizes around a cipher block and its padding.
            for size in (16, 17, 29, 30, 31, 32, 1300):
                assert lab.client.ping(address, 1, size=size) == 1, f"{size} octets"
        status = tern.status(profile)
        assert status["ike"]["proposal"] in spellings(ike)
        assert [child["proposal"] for child in status["children"]] == [esp]
    finally:
        tern.down(profile)
    assert strongswan.sas() == []


def test_the_default_profile_takes_the_gateways_best(lab, strongswan, tern):
    """No [Crypto]: whatever a default strongSwan has in common with us."""
    strongswan.load(swan.connection())
    profile = tern.profile()
    tern.up(profile)
    assert lab.client.ping(lab.INTRANET[0]) == 1
    status = tern.status(profile)
    tern.down(profile)
    assert "modp1024" not in status["ike"]["proposal"]
    assert status["children"][0]["proposal"]


def test_the_gateway_wants_another_group_first(lab, strongswan, tern):
    """INVALID_KE_PAYLOAD: the guess was wrong, the second try is right."""
    strongswan.load(swan.connection(proposals="aes256gcm16-prfsha256-ecp384"))
    profile = tern.profile(crypto={"IKE": "aes256gcm16-prfsha256-x25519-ecp384"},
                           roaming=PATIENT)
    with lab.client.capture("up0") as capture:
        tern.up(profile)
        status = tern.status(profile)
        tern.down(profile)
    assert status["ike"]["proposal"] == "aes256gcm16-prfsha256-ecp384"
    assert capture.fields("isakmp.notify.msgtype == 17", "isakmp.exchangetype") == [["34"]]


def test_the_gateway_asks_for_a_cookie(lab, strongswan, tern):
    """RFC 7296 2.6: with another exchange half open, strongSwan wants ours back with a cookie."""
    strongswan.load(swan.connection(proposals=swan.GUESSED))
    profile = tern.profile(roaming=PATIENT)
    request = "isakmp.exchangetype == 34 and ip.src == 192.0.2.10"
    with lab.client.capture("up0") as capture:
        tern.up(profile)
        tern.down(profile)
    ((payload,),) = capture.fields(request, "udp.payload")
    # Somebody else's request, which will never be followed up: ours, with another SPI.
    stray = os.urandom(8) + bytes.fromhex(payload.replace(":", ""))[8:]
    lab.client.run(sys.executable, "-c", "import socket, sys\n"
                   "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                   "s.connect((sys.argv[1], 500))\n"
                   "s.send(bytes.fromhex(sys.argv[2]))\n"
                   "s.settimeout(5)\n"
                   "s.recv(2000)", lab.GATEWAY[0], stray.hex())
    with lab.client.capture("up0") as capture:
        tern.up(profile)
        tern.down(profile)
    cookies = capture.fields("isakmp.notify.msgtype == 16390", "ip.src")
    assert [row[0] for row in cookies] == [lab.GATEWAY[0], lab.CLIENT[0]]
