"""EAP whose server is a FreeRADIUS behind strongSwan: EAP-PEAP, EAP-TTLS, EAP-TLS and EAP-MSCHAPv2,
and what a person reads where it says no."""

import pathlib

import pytest

import client
import strongswan as swan
from client import assert_failure
from radius import STRONGSWAN_PLUGINS, STRONGSWAN_SETTINGS, FreeRadius, user
from strongswan import StrongSwan, connection

UNTRUSTED, REFUSED = 22, 23
# Looked for in every log and every capture.
CANARY = "kanarienvogel-7Zq!"
SERVER = "radius.example.com"


@pytest.fixture
def strongswan(lab):
    with StrongSwan(lab.gateway, settings=STRONGSWAN_SETTINGS, plugins=STRONGSWAN_PLUGINS) as it:
        yield it


@pytest.fixture
def radius(lab):
    with FreeRadius(lab.gateway) as it:
        yield it


@pytest.fixture
def authority(pki):
    """Of the gateways; RADIUS has one of its own."""
    return pki.authority("ecdsa256")


@pytest.fixture
def radius_authority(pki):
    return pki.authority("rsa", "radius-ca")


@pytest.fixture
def server(pki, radius_authority):
    return pki.gateway("rsa", name=SERVER, authority=radius_authority, label="radius")


@pytest.fixture(autouse=True)
def nothing_is_left(lab, tern):
    before = lab.client.state()
    yield
    if tern.pids():
        tern.down()
        tern.wait_gone()
    assert lab.client.state() == before
    for path in pathlib.Path(lab.client.directory).parent.rglob("*"):
        if path.is_file() and path.suffix in (".log", ".pcap", ".pcapng", ".err", ".json"):
            assert not any(needle in path.read_bytes() for needle in (
                CANARY.encode(), CANARY.encode("utf-16-le"), CANARY.encode().hex().encode())), path


def load(gateway, pki, authority):
    credential = pki.gateway("ecdsa256", authority=authority)
    how = swan.by_certificate(credential, authority)
    gateway.load(connection(local=how["local"], remote="auth = eap-radius\neap_id = %any",
                            psk=None), [credential], [authority])


def profile_of(tern, authority, radius_authority, **local):
    return tern.profile(gateway=client.by_certificate(authority), local={
        "Authentication": "eap", "UserName": "alice", "Password": CANARY, "PresharedKey": None,
        "EAPServer": SERVER, "EAPCA": radius_authority.file, **local})


METHODS = {
    "peap-mschapv2": {"EAPMethods": "peap", "EAPInner": "mschapv2"},
    "peap-gtc": {"EAPMethods": "peap", "EAPInner": "gtc"},
    "ttls-pap": {"EAPMethods": "ttls", "EAPInner": "pap"},
    "ttls-mschapv2-no-eap": {"EAPMethods": "ttls", "EAPInner": "mschapv2-no-eap"},
    "ttls-mschapv2": {"EAPMethods": "ttls", "EAPInner": "mschapv2"},
    "ttls-gtc": {"EAPMethods": "ttls", "EAPInner": "gtc"},
    "ttls-md5": {"EAPMethods": "ttls", "EAPInner": "md5"},
    "mschapv2": {"EAPMethods": "mschapv2", "EAPServer": None, "EAPCA": None},
}


@pytest.mark.parametrize("tls", ["1.2", "1.3"])
@pytest.mark.parametrize("method", list(METHODS))
def test_user_with_a_password(lab, tern, strongswan, radius, pki, authority, radius_authority,
                              server, method, tls):
    radius.start(server, radius_authority, [user("alice", CANARY)], tls=tls)
    load(strongswan, pki, authority)
    with lab.client.capture("up0"):
        tern.up(profile_of(tern, authority, radius_authority, **METHODS[method]))
        assert lab.client.ping(lab.INTRANET[0], 3) == 3
    if method != "mschapv2":
        assert f"TLS {tls}" in tern.log.read_text()


@pytest.mark.parametrize("tls", ["1.2", "1.3"])
def test_user_with_a_certificate(lab, tern, strongswan, radius, pki, authority, radius_authority,
                                 server, tls):
    radius.start(server, radius_authority, ["DEFAULT"], method="tls", tls=tls)
    load(strongswan, pki, authority)
    credential = pki.client("rsa", authority=radius_authority, label="radius-alice")
    profile = profile_of(tern, authority, radius_authority, **{
        **client.with_certificate(credential), "Authentication": "eap", "EAPMethods": "tls",
        "UserName": None, "Password": None})
    tern.up(profile)
    assert lab.client.ping(lab.INTRANET[0], 3) == 3
    assert f"TLS {tls}" in tern.log.read_text()
