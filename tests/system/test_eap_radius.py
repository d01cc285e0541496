"""EAP whose server is a FreeRADIUS behind strongSwan: EAP-PEAP, EAP-TTLS, EAP-TLS and EAP-MSCHAPv2,
and what a person reads where it says no."""

import pytest

import client
from canary import CANARY, nothing_is_left  # noqa: F401
from client import assert_failure
from radius import FreeRadius, load, strongswan, user  # noqa: F401

UNREACHABLE, UNTRUSTED, REFUSED = 20, 22, 23
SERVER = "radius.example.com"


@pytest.fixture
def radius(lab):
    with FreeRadius(lab.gateway) as it:
        yield it


@pytest.fixture
def radius_authority(pki):
    return pki.authority("rsa", "radius-ca")


@pytest.fixture
def server(pki, radius_authority):
    return pki.gateway("rsa", name=SERVER, authority=radius_authority, label="radius")


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


@pytest.mark.parametrize("method", ["peap-mschapv2", "ttls-pap", "ttls-mschapv2"])
def test_name_is_said_inside_alone(lab, tern, strongswan, radius, pki, authority, radius_authority,
                                   server, method):
    radius.start(server, radius_authority, [user("alice", CANARY)])
    load(strongswan, pki, authority)
    tern.up(profile_of(tern, authority, radius_authority, Identity=None,
                       EAPIdentity="anonymous@example.com", **METHODS[method]))
    assert lab.client.ping(lab.INTRANET[0], 3) == 3
    (sa,) = strongswan.sas()
    assert sa["remote-id"] == "anonymous@example.com"
    assert "alice" not in strongswan.log_text()


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


@pytest.mark.parametrize("offered, wanted", [("tls", "peap"), ("md5", "ttls"), ("peap", "mschapv2")])
def test_server_begins_with_another_method(lab, tern, strongswan, radius, pki, authority,
                                           radius_authority, server, offered, wanted):
    """It is told what we would take, and takes that."""
    radius.start(server, radius_authority, [user("alice", CANARY)], method=offered)
    load(strongswan, pki, authority)
    tern.up(profile_of(tern, authority, radius_authority, EAPMethods=wanted))
    assert lab.client.ping(lab.INTRANET[0], 3) == 3
    assert "which is not among EAPMethods; asking for another" in tern.log.read_text()


def test_server_has_none_of_our_methods(lab, tern, strongswan, radius, pki, authority,
                                        radius_authority, server):
    radius.start(server, radius_authority,
                 [user("alice", CANARY, check=["EAP-Type := TLS"])], method="tls")
    load(strongswan, pki, authority)
    result = tern.up(profile_of(tern, authority, radius_authority, EAPMethods="peap"),
                     code=REFUSED)
    assert_failure(result, "the gateway wants EAP-TLS; we offer EAP-PEAP", "EAPMethods")


WRONG = {
    "peap-mschapv2": ("wrong user name or password", "691", '"alice"'),
    "peap-gtc": ("refused our credentials", "EAP-GTC", '"alice"'),
    "ttls-pap": ("refused our credentials", "EAP-TTLS", '"alice"'),
    "ttls-mschapv2-no-eap": ("refused our credentials", "EAP-TTLS", '"alice"'),  # without its words
    "ttls-mschapv2": ("wrong user name or password", "691", '"alice"'),
    "mschapv2": ("wrong user name or password", "691", '"alice"'),
}


@pytest.mark.parametrize("method", list(WRONG))
def test_wrong_password(lab, tern, strongswan, radius, pki, authority, radius_authority, server,
                        method):
    radius.start(server, radius_authority, [user("alice", "another one")])
    load(strongswan, pki, authority)
    with lab.client.capture("up0"):
        result = tern.up(profile_of(tern, authority, radius_authority, **METHODS[method]),
                         code=REFUSED)
    assert_failure(result, *WRONG[method])
    strongswan.wait_for_sas(0)


@pytest.mark.parametrize("method", list(WRONG))
def test_unknown_user(lab, tern, strongswan, radius, pki, authority, radius_authority, server,
                      method):
    radius.start(server, radius_authority, [user("bob", CANARY)])
    load(strongswan, pki, authority)
    with lab.client.capture("up0"):
        result = tern.up(profile_of(tern, authority, radius_authority, **METHODS[method]),
                         code=REFUSED)
    assert_failure(result, '"alice"')
    strongswan.wait_for_sas(0)


@pytest.mark.parametrize("method", ["peap-mschapv2", "ttls-mschapv2", "mschapv2"])
def test_locked_account(lab, tern, strongswan, radius, pki, authority, radius_authority, server,
                        method):
    radius.start(server, radius_authority,
                 [user("alice", CANARY, check=['SMB-Account-CTRL-TEXT := "[UL         ]"'])])
    load(strongswan, pki, authority)
    with lab.client.capture("up0"):
        result = tern.up(profile_of(tern, authority, radius_authority, **METHODS[method]),
                         code=REFUSED)
    assert_failure(result, '"alice"', "the account is disabled", "647")
    strongswan.wait_for_sas(0)


@pytest.mark.parametrize("method", ["peap-gtc", "ttls-pap"])
@pytest.mark.parametrize("wrong", ["authority", "name", "expired"])
def test_nothing_is_said_to_a_server_that_is_not_trusted(
        lab, tern, strongswan, radius, pki, authority, radius_authority, server, method, wrong):
    expired = pki.gateway("rsa", name=SERVER, authority=radius_authority, days=(-10, -1),
                          label="radius-expired")
    radius.start(expired if wrong == "expired" else server, radius_authority,
                 [user("alice", CANARY)])
    load(strongswan, pki, authority)
    keys = {"authority": {"EAPCA": None}, "name": {"EAPServer": None}, "expired": {}}[wrong]
    words = {"authority": "not among the trusted ones", "expired": "expired on",
             "name": 'is for "radius.example.com", profile expects "vpn.example.com"'}[wrong]
    with lab.client.capture("up0"):
        result = tern.up(profile_of(tern, authority, radius_authority,
                                    **{**METHODS[method], **keys}), code=UNTRUSTED)
    assert_failure(result, "the EAP server was not accepted", words)
    alert = "certificate_expired" if wrong == "expired" else "bad_certificate"
    assert f"recv TLS 1.2 Alert, fatal {alert}" in radius.text()
    assert "server inner" not in radius.text().split("Ready to process requests")[1]


@pytest.mark.parametrize("tls", ["1.2", "1.3"])
def test_certificate_of_another_authority(lab, tern, strongswan, radius, pki, authority,
                                          radius_authority, server, tls):
    """FreeRADIUS keeps its alert to itself: what was shown is all there is to say."""
    radius.start(server, radius_authority, ["DEFAULT"], method="tls", tls=tls)
    load(strongswan, pki, authority)
    stranger = pki.client("ecdsa256", authority=authority)
    result = tern.up(profile_of(tern, authority, radius_authority, **{
        **client.with_certificate(stranger), "Authentication": "eap", "EAPMethods": "tls",
        "UserName": None, "Password": None}), code=REFUSED)
    assert_failure(result, "refused", 'certificate "O=tern tests, CN=alice@example.com"',
                   '"O=tern tests, CN=tern test ca-ecdsa256"')


def test_server_is_away(lab, tern, strongswan, pki, authority, radius_authority):
    load(strongswan, pki, authority)
    lab.gateway.nft("""
        table inet radius { chain in { type filter hook input priority 0
            udp dport 1812 drop
        }
        }""")
    result = tern.up(profile_of(tern, authority, radius_authority, EAPMethods="peap"),
                     "--timeout", 6, code=UNREACHABLE)
    assert_failure(result, "203.0.113.1 has proven itself, but EAP did not come to its end within 6 s",
                   "may be slow or away")
