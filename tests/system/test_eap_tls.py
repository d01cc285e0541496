"""EAP with TLS (EAP-TLS, EAP-TTLS) against strongSwan: with the gateway proven by its own signature,
and with EAP alone to prove it (RFC 5998)."""

import pytest

import client
import strongswan as swan
from canary import CANARY, nothing_is_left  # noqa: F401
from client import assert_failure
from gateway import certificate_config
from strongswan import connection
from test_fragments import IP_FRAGMENT, SKF

pytestmark = pytest.mark.sanitize

PROFILE_INVALID, UNTRUSTED, REFUSED = 11, 22, 23


def by_tls(credential, **keys):
    """[Local] keys for EAP-TLS; nobody is asked for anything."""
    return {**client.with_certificate(credential), "Authentication": "eap", "EAPMethods": "tls",
            "Identity": None, **keys}


def by_ttls(password=CANARY, **keys):
    return {"Authentication": "eap", "UserName": "alice", "Password": password,
            "PresharedKey": None, "EAPMethods": "ttls", "EAPInner": "md5", **keys}


def load(gateway, pki, authority, remote="auth = eap-tls\neap_id = %any", only=None, extra="",
         credential=None, password=CANARY, user="alice"):
    """only: the gateway's own proof is EAP too."""
    credential = credential or pki.gateway("ecdsa256", authority=authority)
    how = swan.by_certificate(credential, authority)
    local = f"auth = {only}\ncerts = {credential.file}" if only else how["local"]
    gateway.load(connection(local=local, remote=remote, psk=None, extra=extra, secrets=(
        f'\neap-user {{ id = {user}\n secret = "{password}" }}')),
        [credential], [*credential.chain()[1:], authority])


def profile_of(tern, authority, local, gateway=(), **kwargs):
    return tern.profile(gateway={**client.by_certificate(authority), **dict(gateway)}, local=local,
                        **kwargs)


KINDS = ["rsa", "ecdsa384", "ed25519"]


@pytest.mark.parametrize("kind", KINDS)
def test_tls(lab, tern, strongswan, pki, kind):
    authority = pki.authority(kind)
    load(strongswan, pki, authority, credential=pki.gateway(kind, authority=authority))
    profile = profile_of(tern, authority, by_tls(pki.client(kind, authority=authority)))
    tern.run("check", profile)
    tern.up(profile)
    assert lab.client.ping(lab.INTRANET[0], 3) == 3
    assert len(strongswan.sas()) == 1
    assert "EAP method EAP_TLS succeeded, MSK established" in strongswan.log_text()


def test_tls_alone(lab, tern, strongswan, pki, authority):
    """RFC 5998: no certificate and no signature in IKE itself, of neither side."""
    load(strongswan, pki, authority, only="eap-tls")
    tern.up(profile_of(tern, authority, by_tls(pki.client("ecdsa256", authority=authority)),
                       gateway={"Authentication": "eap"}))
    assert lab.client.ping(lab.INTRANET[0], 3) == 3
    log = strongswan.log_text()
    assert "N(EAP_ONLY)" in log and "generating IKE_AUTH response 1 [ IDr EAP/REQ/ID ]" in log


def test_gateway_that_signs_all_the_same(lab, tern, strongswan, pki, authority):
    """It may: EAP alone is an offer."""
    load(strongswan, pki, authority)
    tern.up(profile_of(tern, authority, by_tls(pki.client("ecdsa256", authority=authority)),
                       gateway={"Authentication": "eap"}))
    assert "[ IDr CERT AUTH EAP/REQ/ID ]" in strongswan.log_text()


def test_ttls(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority, remote="auth = eap-ttls\neap_id = %any")
    with lab.client.capture("up0"):
        tern.up(profile_of(tern, authority, by_ttls()))
        assert lab.client.ping(lab.INTRANET[0], 3) == 3


def test_ttls_alone(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority, remote="auth = eap-ttls\neap_id = %any", only="eap-ttls")
    with lab.client.capture("up0"):
        tern.up(profile_of(tern, authority, by_ttls(), gateway={"Authentication": "eap"}))
        assert lab.client.ping(lab.INTRANET[0], 3) == 3
    assert "EAP method EAP_TTLS succeeded, MSK established" in strongswan.log_text()


def settings(plugin, **keys):
    return f"plugins {{ {plugin} {{\n" + "\n".join(f"{k} = {v}" for k, v in keys.items()) + "\n} }"


@pytest.mark.parametrize("strongswan", [
    settings("eap-ttls", phase2_piggyback="yes"),
    settings("eap-ttls", phase2_method="mschapv2"),
    settings("eap-ttls", phase2_method="mschapv2", phase2_piggyback="yes", fragment_size=300)],
    indirect=True, ids=["piggyback", "mschapv2", "both-in-small-pieces"])
def test_ttls_as_it_can_be_set(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority, remote="auth = eap-ttls\neap_id = %any")
    with lab.client.capture("up0"):
        tern.up(profile_of(tern, authority, by_ttls(EAPInner="mschapv2, md5")))
        assert lab.client.ping(lab.INTRANET[0], 3) == 3


# --- large chains ---

# One worker, with test_fragments: the keys take longer to make than the tests take to run.
@pytest.mark.xdist_group("fragments")
@pytest.mark.parametrize("strongswan", [
    settings("eap-tls", fragment_size=200, max_message_count=128),
    settings("eap-tls", fragment_size=1024),
    settings("eap-tls", fragment_size=16000)], indirect=True, ids=["200", "1024", "16000"])
def test_large_chains(lab, tern, strongswan, pki):
    """In pieces of EAP; and where these are longer than a datagram, in pieces of IKE beside."""
    deep = pki.deep_authority()
    gateway = pki.gateway("rsa4096", authority=deep, label="gateway-deep")
    ours = pki.client("rsa4096", authority=deep, label="client-deep")
    load(strongswan, pki, deep.root, credential=gateway, only="eap-tls")
    with lab.client.capture("up0") as capture:
        tern.up(profile_of(tern, deep.root, by_tls(ours), gateway={"Authentication": "eap"}))
        assert lab.client.ping(lab.INTRANET[0], 3) == 3
    assert capture.tshark("-Y", IP_FRAGMENT) == ""
    sources = {row[0] for row in capture.fields(SKF, "ip.src")}
    assert (lab.GATEWAY[0] in sources) == ("16000" in strongswan.settings)


# --- who is not trusted, and who is refused ---

def test_unknown_authority(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority, remote="auth = eap-ttls\neap_id = %any", only="eap-ttls")
    other = pki.authority("ecdsa256", "other-ca")
    result = tern.up(profile_of(tern, other, by_ttls(), gateway={"Authentication": "eap"}),
                     code=UNTRUSTED)
    assert_failure(result, "the EAP server was not accepted",
                   'issued by "O=tern tests, CN=tern test ca-ecdsa256"', "CA=")
    assert "EAP method EAP_TTLS failed" in strongswan.log_text()
    strongswan.wait_for_sas(0)


def test_another_authority_for_the_server(lab, tern, strongswan, pki, authority):
    """The gateway's own proof holds; the EAP server's does not."""
    load(strongswan, pki, authority, remote="auth = eap-ttls\neap_id = %any")
    other = pki.authority("ecdsa256", "other-ca")
    with lab.client.capture("up0"):
        result = tern.up(profile_of(tern, authority, by_ttls(EAPCA=other.file)), code=UNTRUSTED)
    assert_failure(result, "the EAP server was not accepted", "issued by")
    strongswan.wait_for_sas(0)


def test_another_name(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority, remote="auth = eap-ttls\neap_id = %any")
    with lab.client.capture("up0"):
        result = tern.up(profile_of(tern, authority, by_ttls(EAPServer="radius.example.com")),
                         code=UNTRUSTED)
    assert_failure(result, 'is for "vpn.example.com", profile expects "radius.example.com"',
                   "EAPServer=")


def test_expired_server(lab, tern, strongswan, pki, authority):
    expired = pki.gateway("ecdsa256", authority=authority, days=(-10, -1), label="gateway-expired")
    load(strongswan, pki, authority, credential=expired, only="eap-tls")
    result = tern.up(profile_of(tern, authority, by_tls(pki.client("ecdsa256",
                                                                   authority=authority)),
                                gateway={"Authentication": "eap"}), code=UNTRUSTED)
    assert_failure(result, "expired on", "this machine's clock")
    assert "received fatal TLS alert 'certificate expired'" in strongswan.log_text()


def test_our_certificate_is_refused(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority)
    other = pki.authority("ecdsa256", "other-ca")
    ours = pki.client("ecdsa256", authority=other, label="client-of-another")
    result = tern.up(profile_of(tern, authority, by_tls(ours)), code=REFUSED)
    assert_failure(result, 'the EAP server refused our certificate "O=tern tests, '
                   'CN=alice@example.com"', "TLS alert", 'issuer, "O=tern tests, CN=tern test '
                   'other-ca"')
    strongswan.wait_for_sas(0)


def test_wrong_password_inside(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority, remote="auth = eap-ttls\neap_id = %any",
         password="another one")
    with lab.client.capture("up0"):
        result = tern.up(profile_of(tern, authority, by_ttls()), code=REFUSED)
    assert_failure(result, "refused our credentials", '"alice"', "EAP-MD5")
    strongswan.wait_for_sas(0)


def test_wrong_method_inside(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority, remote="auth = eap-ttls\neap_id = %any")
    result = tern.up(profile_of(tern, authority, by_ttls(EAPInner="gtc")), code=REFUSED)
    assert_failure(result, "the gateway wants EAP-MD5; we offer EAP-GTC", "EAPInner")


# --- tern-gateway ---

@pytest.mark.xdist_group("fragments")
@pytest.mark.parametrize("alone", [False, True])
def test_tern_gateway(lab, tern, tern_gateway, pki, alone):
    deep = pki.deep_authority()
    credential = pki.gateway("rsa4096", authority=deep, label="gateway-deep")
    ours = pki.client("rsa4096", authority=deep, label="client-deep")
    tern_gateway.start(certificate_config(credential, deep.root, EAPMethods="tls",
                                          EAPOnly="yes" if alone else "no"), level="debug")
    with lab.client.capture("up0") as capture:
        tern.up(profile_of(tern, deep.root, by_tls(ours),
                           gateway={"Authentication": "eap"} if alone else {}))
        assert lab.client.ping(lab.INTRANET[0], 3) == 3
    assert capture.tshark("-Y", IP_FRAGMENT) == ""
    tern_gateway.wait_log("alice@example.com is up")
    assert "TLS 1.3" in tern.log.read_text()


def test_tern_gateway_refuses_a_certificate(lab, tern, tern_gateway, pki, authority):
    credential = pki.gateway("ecdsa256", authority=authority)
    other = pki.authority("ecdsa256", "other-ca")
    stranger = pki.client("ecdsa256", authority=other, label="client-of-another")
    tern_gateway.start(certificate_config(credential, authority, EAPMethods="tls"))
    result = tern.up(profile_of(tern, authority, by_tls(stranger)), code=REFUSED)
    assert_failure(result, "the EAP server refused our certificate", "bad certificate")
    tern_gateway.wait_log("TLS with a client of EAP failed")


def test_tern_gateway_has_both(lab, tern, tern_gateway, pki, authority):
    """A user with a password takes the gateway's second method."""
    credential = pki.gateway("ecdsa256", authority=authority)
    tern_gateway.start(certificate_config(credential, authority, EAPMethods="tls, mschapv2"),
                       passwords={"alice": CANARY})
    tern.up(profile_of(tern, authority, by_ttls(EAPMethods="mschapv2", EAPInner=None)))
    tern_gateway.wait_log("alice is up")
