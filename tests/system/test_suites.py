"""Every suite of ESP in all four combinations of IPv4 and IPv6, inside and outside, with and without
extended sequence numbers, to one tern-gateway. (strongSwan, whose kernel-libipsec knows no ESN, has
the suites in test_matrix.py; Scapy opens and seals packets of each in test_esp_scapy.py.)"""

import pytest

import lab as lab_module
from client import Tern
from gateway import TernGateway, psk_config

AES = [f"aes{bits}" for bits in (128, 192, 256)]
COMBINED = [f"{aes}gcm{icv}" for aes in AES for icv in (16, 12, 8)] + ["chacha20poly1305"]
HASHES = ["sha1", "sha256", "sha384", "sha512"]
SUITES = COMBINED + [f"{aes}-{name}" for aes in AES for name in HASHES]
SUITES += ["null-sha256"]
ACCEPTED = ", ".join("-".join([*names, "esn", "noesn"])
                     for names in (COMBINED, AES + HASHES, ["null", "sha256"]))


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with lab_module.Lab(directory=tmp_path_factory.mktemp("suites")) as it:
        yield it


@pytest.fixture(scope="module")
def gateway(lab, build):
    with TernGateway(lab.gateway, build) as it:
        yield it.start(psk_config(ESP=ACCEPTED))


@pytest.fixture(scope="module")
def tern(lab, build, gateway):
    with Tern(lab.client, build) as it:
        yield it


@pytest.mark.parametrize("family", [0, 1], ids=["ipv4-outside", "ipv6-outside"])
@pytest.mark.parametrize("esn", ["", "-esn"], ids=["", "esn"])
@pytest.mark.parametrize("suite", SUITES)
def test_suite(lab, tern, suite, esn, family):
    profile = tern.profile(gateway={"Address": lab.GATEWAY[family]},
                           crypto={"ESP": suite + esn})
    tern.up(profile)
    try:
        for address in lab.INTRANET:
            # Sizes around a cipher block and its padding, and as much as the TUN takes.
            for size in (16, 17, 30, 31, 1320):
                assert lab.client.ping(address, size=size) == 1, f"{size} octets"
        (child,) = tern.status(profile)["children"]
        assert child["proposal"] == suite + esn
        assert child["rx"]["packets"] >= 10 and child["rx"]["bad"] == child["rx"]["replayed"] == 0
    finally:
        tern.down(profile)
