"""EAP whose server is a hostapd behind strongSwan: the cryptobinding of EAP-PEAP, and OCSP
responses that are stapled in the handshake of EAP-TLS, EAP-TTLS and EAP-PEAP."""

import pytest

import client
import revocation
from canary import CANARY, nothing_is_left  # noqa: F401
from client import assert_failure
from hostapd import Hostapd, methods, user
from radius import load, strongswan  # noqa: F401

UNTRUSTED, REFUSED = 22, 23
SERVER = "radius.example.com"
STALE = (-7, -2)  # days: thisUpdate and nextUpdate

both_versions = pytest.mark.parametrize("tls", ["1.2", "1.3"])


@pytest.fixture
def hostapd(lab):
    with Hostapd(lab.gateway) as it:
        yield it


@pytest.fixture
def server_authority(pki):
    return pki.authority("rsa", "hostapd-ca")


@pytest.fixture
def server(pki, server_authority):
    return pki.gateway("rsa", name=SERVER, authority=server_authority, label="hostapd")


@pytest.fixture
def alice(pki, server_authority):
    return pki.client("ecdsa256", authority=server_authority, label="hostapd-alice")


@pytest.fixture
def ask(tern, strongswan, hostapd, pki, authority, server_authority, server):
    """Makes gateway, EAP server and a profile that fits them: gateway=, local= are its keys."""
    load(strongswan, pki, authority)

    def start(users, gateway=(), local=(), credential=server, **kwargs):
        hostapd.start(credential, server_authority, users, **kwargs)
        return tern.profile(
            gateway={**client.by_certificate(authority), **dict(gateway)},
            local={"Authentication": "eap", "UserName": "alice", "Password": CANARY,
                   "PresharedKey": None, "EAPServer": SERVER, "EAPCA": server_authority.file,
                   **dict(local)})
    return start


def by_tls(credential):
    return {**client.with_certificate(credential), "Authentication": "eap", "EAPMethods": "tls",
            "UserName": None, "Password": None}


# --- passwords ---

PEAP = {
    "mschapv2": "MSCHAPV2",
    "gtc": "GTC",  # makes no key: what is bound is that of the tunnel
    "md5": "MD5",
}


@pytest.mark.sanitize
@both_versions
@pytest.mark.parametrize("inner", list(PEAP))
def test_peap(lab, tern, ask, hostapd, inner, tls):
    profile = ask([methods("PEAP"), user("alice", CANARY, PEAP[inner])], tls=tls,
                  local={"EAPMethods": "peap", "EAPInner": inner})
    with lab.client.capture("up0"):
        tern.up(profile)
        assert lab.client.ping(lab.INTRANET[0], 3) == 3
    assert f"TLS {tls}" in tern.log.read_text()
    # The key of IKE is then made of the bound one, at both ends, or there would be no IKE SA.
    assert "EAP-PEAP: Valid cryptobinding TLV received" in hostapd.text()


TTLS = {
    "mschapv2": "MSCHAPV2",
    "gtc": "GTC",
    "md5": "MD5",
    "pap": "TTLS-PAP",
    "mschapv2-no-eap": "TTLS-MSCHAPV2",
}


@both_versions
@pytest.mark.parametrize("inner", list(TTLS))
def test_ttls(lab, tern, ask, inner, tls):
    profile = ask([methods("TTLS"), user("alice", CANARY, TTLS[inner])], tls=tls,
                  local={"EAPMethods": "ttls", "EAPInner": inner})
    with lab.client.capture("up0"):
        tern.up(profile)
        assert lab.client.ping(lab.INTRANET[0], 3) == 3
    assert f"TLS {tls}" in tern.log.read_text()


@pytest.mark.parametrize("method", ["peap", "ttls"])
def test_name_is_said_inside_alone(lab, tern, ask, hostapd, strongswan, method):
    profile = ask([methods(method.upper()), user("alice", CANARY, "MSCHAPV2")],
                  local={"EAPMethods": method, "EAPInner": "mschapv2", "Identity": None,
                         "EAPIdentity": "anonymous@example.com"})
    tern.up(profile)
    assert lab.client.ping(lab.INTRANET[0], 3) == 3
    (sa,) = strongswan.sas()
    assert sa["remote-id"] == "anonymous@example.com"
    assert "alice" not in strongswan.log_text()


@both_versions
def test_tls(lab, tern, ask, alice, tls):
    profile = ask([methods("TLS")], tls=tls, local=by_tls(alice))
    tern.up(profile)
    assert lab.client.ping(lab.INTRANET[0], 3) == 3
    assert f"TLS {tls}" in tern.log.read_text()


@both_versions
@pytest.mark.parametrize("method", ["peap", "ttls"])
def test_wrong_password(lab, tern, ask, hostapd, strongswan, method, tls):
    profile = ask([methods(method.upper()), user("alice", "another one", "MSCHAPV2")], tls=tls,
                  local={"EAPMethods": method, "EAPInner": "mschapv2"})
    with lab.client.capture("up0"):
        result = tern.up(profile, code=REFUSED)
    assert_failure(result, "wrong user name or password", "691", '"alice"')
    assert "Valid cryptobinding TLV" not in hostapd.text()
    strongswan.wait_for_sas(0)


@both_versions
@pytest.mark.parametrize("method", ["peap", "ttls"])
def test_unknown_user(lab, tern, ask, strongswan, method, tls):
    """hostapd says no before it asks for a proof."""
    profile = ask([methods(method.upper()), user("bob", CANARY, "MSCHAPV2")], tls=tls,
                  local={"EAPMethods": method, "EAPInner": "mschapv2"})
    with lab.client.capture("up0"):
        result = tern.up(profile, code=REFUSED)
    assert_failure(result, "refused us before any proof", 'sent user name "alice"')
    strongswan.wait_for_sas(0)


@both_versions
def test_certificate_of_another_authority(tern, ask, pki, authority, tls):
    """hostapd keeps its alert to itself, as FreeRADIUS does."""
    stranger = pki.client("ecdsa256", authority=authority)
    result = tern.up(ask([methods("TLS")], tls=tls, local=by_tls(stranger)), code=REFUSED)
    assert_failure(result, "refused", 'certificate "O=tern tests, CN=alice@example.com"',
                   '"O=tern tests, CN=tern test ca-ecdsa256"')


def test_peap_of_either_version(tern, ask, hostapd):
    """It begins with version 1 where it is free to; tern takes version 0."""
    profile = ask([methods("PEAP"), user("alice", CANARY, "MSCHAPV2")],
                  local={"EAPMethods": "peap", "EAPInner": "mschapv2"})
    tern.up(profile)
    assert "EAP-PEAP: peer ver=0, own ver=1; use version 0" in hostapd.text()


def test_peap_of_version_0_alone(tern, ask, hostapd):
    profile = ask([methods("PEAP", version=0), user("alice", CANARY, "MSCHAPV2")],
                  local={"EAPMethods": "peap", "EAPInner": "mschapv2"})
    tern.up(profile)
    assert "EAP-PEAP: Valid cryptobinding TLV received" in hostapd.text()


def test_peap_of_version_1_alone(tern, ask, hostapd):
    profile = ask([methods("PEAP", version=1), user("alice", CANARY, "MSCHAPV2")],
                  local={"EAPMethods": "peap", "EAPInner": "mschapv2"})
    result = tern.up(profile, code=REFUSED)
    assert_failure(result, "ended EAP-PEAP before anything was said inside", "PEAPv0")
    assert "(forced=1 peer=0) - reject" in hostapd.text()


# --- stapled OCSP responses ---

STAPLED = "OCSP status callback - send cached response"
INSIDE = "Phase1 done, starting Phase2"
KINDS = {
    "tls": {"EAPMethods": "tls"},
    "ttls": {"EAPMethods": "ttls", "EAPInner": "mschapv2"},
    "peap": {"EAPMethods": "peap", "EAPInner": "mschapv2"},
}


@pytest.fixture
def staple(ask, alice, authority):
    """As ask, by one of KINDS; a CRL tells of the gateway's own certificate."""
    def start(kind="tls", policy="strict", crls=(), **kwargs):
        local = {**by_tls(alice), **KINDS[kind]} if kind == "tls" else KINDS[kind]
        files = [revocation.crl(authority, name="hostapd-gateways"), *crls]
        return ask([methods(kind.upper()), user("alice", CANARY, "MSCHAPV2")],
                   gateway={"Revocation": policy, "CRL": ", ".join(map(str, files))}, local=local,
                   **kwargs)
    return start


def connects(lab, tern, profile):
    tern.up(profile)
    assert lab.client.ping(lab.INTRANET[0]) == 1


def refused(lab, tern, profile, *words):
    with lab.client.capture("up0"):
        result = tern.up(profile, code=UNTRUSTED)
    assert_failure(result, "the EAP server was not accepted", *words)
    return result


@pytest.mark.sanitize
@both_versions
@pytest.mark.parametrize("kind", list(KINDS))
def test_response_that_is_good(lab, tern, staple, hostapd, server, kind, tls):
    good = revocation.response(server, name="good")
    connects(lab, tern, staple(kind, tls=tls, ocsp=good))
    assert STAPLED in hostapd.text()
    assert (INSIDE in hostapd.text()) == (kind != "tls")


@both_versions
def test_response_in_small_pieces(lab, tern, staple, hostapd, server, tls):
    good = revocation.response(server, name="in-pieces")
    connects(lab, tern, staple(tls=tls, ocsp=good, fragment_size=100))
    assert STAPLED in hostapd.text() and "SSL: Fragment acknowledged" in hostapd.text()


@both_versions
@pytest.mark.parametrize("kind", list(KINDS))
def test_response_that_says_revoked(lab, tern, staple, hostapd, server, kind, tls):
    """Nothing is said inside to who shows that certificate."""
    bad = revocation.response(server, revoked=True, name="revoked")
    refused(lab, tern, staple(kind, "soft", tls=tls, ocsp=bad), f"CN={SERVER}", "was revoked on 20",
            "(key compromise)")
    assert STAPLED in hostapd.text() and INSIDE not in hostapd.text()


@both_versions
@pytest.mark.parametrize("which", ["stale", "of another", "none"])
def test_response_that_says_nothing(lab, tern, staple, hostapd, pki, server, server_authority,
                                    which, tls):
    """Strict wants to know; soft connects, and its log says what is not known."""
    other = pki.gateway("ecdsa256", name=SERVER, authority=server_authority, label="hostapd-other")
    response, words = {
        "stale": (revocation.response(server, days=STALE, name="stale"),
                  "the OCSP response is outdated since"),
        "of another": (revocation.response(other, revoked=True, name="of-another"),
                       "neither a CRL nor an OCSP response"),
        "none": (None, "neither a CRL nor an OCSP response"),
    }[which]
    result = refused(lab, tern, staple(tls=tls, ocsp=response), f"CN={SERVER}", "not known", words)
    assert "Revocation = soft" in result.stderr
    hostapd.stop()
    connects(lab, tern, staple(policy="soft", tls=tls, ocsp=response))
    assert "was revoked is not known: " in tern.log.read_text()
    assert hostapd.text().count(STAPLED) == (2 if response else 0)


def test_no_response_unasked(lab, tern, staple, hostapd, server):
    """Revocation = off does not ask, and so none comes."""
    bad = revocation.response(server, revoked=True, name="unasked")
    connects(lab, tern, staple(policy="off", ocsp=bad))
    assert "OCSP status callback" not in hostapd.text()


@both_versions
def test_response_and_an_intermediate(lab, tern, staple, hostapd, pki, server_authority, tls):
    """The one response is about the server; of the authority between it and the anchor a CRL has to
    tell."""
    servers = pki.authority("ecdsa256", "hostapd-servers", issuer=server_authority)
    deep = pki.gateway("ecdsa256", name=SERVER, authority=servers, label="hostapd-deep")
    good = revocation.response(deep, name="deep")
    refused(lab, tern, staple(credential=deep, tls=tls, ocsp=good),
            "CN=tern test hostapd-servers", "neither a CRL nor an OCSP response")
    hostapd.stop()
    crl = revocation.crl(server_authority, name="hostapd-root")
    connects(lab, tern, staple(credential=deep, crls=[crl], tls=tls, ocsp=good))
