"""EAP with TLS (EAP-TLS, EAP-TTLS) against strongSwan: with the gateway proven by its own signature,
and with EAP alone to prove it (RFC 5998)."""

import pathlib

import pytest

import client
import strongswan as swan
from client import assert_failure
from strongswan import connection
from test_fragments import IP_FRAGMENT, SKF

pytestmark = pytest.mark.sanitize

PROFILE_INVALID, UNTRUSTED, REFUSED = 11, 22, 23
# Looked for in every log and every capture.
CANARY = "kanarienvogel-7Zq!"


@pytest.fixture
def authority(pki):
    return pki.authority("ecdsa256")


@pytest.fixture(autouse=True)
def nothing_is_left(lab, tern):
    before = lab.client.state()
    yield
    if tern.pids():
        tern.down()
        tern.wait_gone()
    assert lab.client.state() == before
    assert_password_untold(lab)


def assert_password_untold(lab):
    """In no log of anybody's, at the level of debugging, nor on the wire in any of its forms."""
    needles = [CANARY.encode(), CANARY.encode("utf-16-le"), CANARY.encode().hex().encode()]
    for path in pathlib.Path(lab.client.directory).parent.rglob("*"):
        if path.is_file() and path.suffix in (".log", ".pcap", ".pcapng", ".err", ".json"):
            content = path.read_bytes()
            assert not any(needle in content for needle in needles), path


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


def test_tls(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority)
    profile = profile_of(tern, authority, by_tls(pki.client("ecdsa256", authority=authority)))
    tern.run("check", profile)
    tern.up(profile)
    assert lab.client.ping(lab.INTRANET[0], 3) == 3
    (sa,) = strongswan.sas()
    assert sa["remote-eap-id"] == "alice@example.com"


def test_ttls(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority, remote="auth = eap-ttls\neap_id = %any")
    with lab.client.capture("up0"):
        tern.up(profile_of(tern, authority, by_ttls()))
        assert lab.client.ping(lab.INTRANET[0], 3) == 3


def test_tls_only(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority, only="eap-tls")
    tern.up(profile_of(tern, authority, by_tls(pki.client("ecdsa256", authority=authority)),
                       gateway={"Authentication": "eap"}))
    assert lab.client.ping(lab.INTRANET[0], 3) == 3
    assert "EAP_ONLY" in strongswan.log_text()


def test_ttls_only(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority, remote="auth = eap-ttls\neap_id = %any", only="eap-ttls")
    tern.up(profile_of(tern, authority, by_ttls(), gateway={"Authentication": "eap"}))
    assert lab.client.ping(lab.INTRANET[0], 3) == 3
