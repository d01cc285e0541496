"""Trust in certificates, at strongSwan and at tern-gateway: chains, revocation by CRLs and OCSP
responses, and which signatures each side asks for.

Every kind of key with its own signature, PSS, gateways older than RFC 7427 and one intermediate on
each side are in test_tunnel.py; other authorities, other names and validity in test_failures.py.
strongSwan 5.9 sends no OCSP responses in IKE: what is about them is tried at tern-gateway, with
responses that python3-cryptography makes.
"""

import shutil

import pytest
from cryptography.hazmat.primitives import hashes

import client
import revocation
import strongswan as swan
from client import assert_failure
from gateway import certificate_config
from lab import wait_until

INVALID, UNTRUSTED, REFUSED = 11, 22, 23
# Of today, and of the day before yesterday.
FRESH, STALE = (-1, 7), (-7, -2)


@pytest.fixture
def root(pki):
    return pki.authority("ecdsa256", "certificates-root")


@pytest.fixture
def server(pki, root):
    return pki.gateway("ecdsa256", authority=root, label="certificates-server")


def by_root(root, **keys):
    return {**client.by_certificate(root), **keys}


def load(strongswan, server, authorities, **how):
    """strongSwan proves itself by that certificate, and clients by the shared key."""
    keys = swan.by_certificate(server, authorities[0])
    strongswan.load(swan.connection(local=keys["local"], **how), [server], authorities)


def connects(lab, tern, profile):
    tern.up(profile)
    assert lab.client.ping(lab.INTRANET[0]) == 1
    tern.down(profile)


def refused(tern, profile, *words):
    result = tern.up(profile, code=UNTRUSTED)
    assert_failure(result, *words)
    return result


# --- chains ---

def test_long_chains_both_ways(lab, tern, strongswan, pki):
    """Three authorities between each certificate and the root, which alone both sides know; ours
    come in CERT payloads, in order, and strongSwan puts them together."""
    low = pki.deep_authority("ecdsa256", 4)
    root = low.root
    theirs = pki.gateway("ecdsa256", authority=low, label="deep-server")
    ours = pki.client("ecdsa256", authority=low, label="deep-client")
    links = theirs.chain()[1:]
    assert len(links) == 3
    how = swan.by_certificate(theirs, root)
    strongswan.load(swan.connection(**how), [theirs], [root, *links])
    profile = tern.profile(gateway=by_root(root), local=client.with_certificate(ours))
    connects(lab, tern, profile)
    log = strongswan.log_text()
    positions = [log.index(f'received issuer cert "O=tern tests, CN=tern test {c.name}"')
                 for c in links]
    assert positions == sorted(positions)
    assert log.index('received end entity cert') < positions[0]


def test_gateway_sends_no_intermediate(tern, strongswan, pki, root):
    servers = pki.authority("ecdsa256", "certificates-servers", issuer=root)
    theirs = pki.gateway("ecdsa256", authority=servers, label="certificates-lone-server")
    load(strongswan, theirs, [root])
    refused(tern, tern.profile(gateway=by_root(root)),
            'was issued by "O=tern tests, CN=tern test certificates-servers"',
            "neither trusted nor among the certificates sent")


def test_a_missing_intermediate_may_be_in_the_profile(lab, tern, strongswan, pki, root):
    servers = pki.authority("ecdsa256", "certificates-servers", issuer=root)
    theirs = pki.gateway("ecdsa256", authority=servers, label="certificates-lone-server")
    load(strongswan, theirs, [root])
    connects(lab, tern, tern.profile(gateway=by_root(root, CA=f"{root.file}, {servers.file}")))


def test_client_sends_no_intermediate(tern, strongswan, pki, root, server):
    staff = pki.authority("ecdsa256", "certificates-staff", issuer=root)
    ours = pki.client("ecdsa256", authority=staff, label="certificates-lone-client")
    strongswan.load(swan.connection(**swan.by_certificate(server, root)), [server], [root])
    local = client.with_certificate(ours)
    profile = tern.profile(gateway=by_root(root), local={**local, "Certificate": ours.file})
    assert_failure(tern.up(profile, code=REFUSED), "AUTHENTICATION_FAILED")
    connected = tern.profile(gateway=by_root(root), local=local)
    tern.up(connected)
    tern.down(connected)


def test_path_length(tern, strongswan, pki, root):
    """An authority that may have none below it, and has."""
    narrow = pki.authority("ecdsa256", "certificates-narrow", issuer=root, path_length=0)
    below = pki.authority("ecdsa256", "certificates-below", issuer=narrow)
    theirs = pki.gateway("ecdsa256", authority=below, label="certificates-too-deep")
    load(strongswan, theirs, [root, narrow, below])
    refused(tern, tern.profile(gateway=by_root(root)),
            "CN=tern test certificates-narrow", "allows fewer intermediate CAs")


# --- signatures ---

# What the gateway signs with, and what it wants of us.
@pytest.mark.parametrize("kind,theirs,ours", [
    ("rsa", "ike:rsa/pss-sha384", "ike:rsa/pss-sha256"),
    ("rsa", "ike:rsa-sha512", "ike:rsa/pss-sha256-sha384-sha512"),
    ("ecdsa384", "ike:ecdsa-sha512", "ike:ecdsa-sha384"),
    ("ecdsa256", "ike:ecdsa-sha384", "ike:ecdsa-sha256"),
    ("ed25519", "ike:ed25519", "ike:ed25519"),
], ids=lambda v: v.replace("/", "-").removeprefix("ike:"))
def test_constrained_signatures(lab, tern, strongswan, pki, kind, theirs, ours):
    authority = pki.authority(kind)
    credential, local = pki.gateway(kind), pki.client(kind)
    how = swan.by_certificate(credential, authority, theirs)
    how["remote"] = f"auth = {ours}\ncacerts = {authority.file}"
    strongswan.load(swan.connection(**how), [credential], [authority])
    connects(lab, tern, tern.profile(gateway=client.by_certificate(authority),
                                     local=client.with_certificate(local)))


def test_a_signature_that_the_gateway_does_not_want(tern, strongswan, pki):
    authority, credential = pki.authority("ecdsa256"), pki.gateway("ecdsa256")
    how = swan.by_certificate(credential, authority)
    how["remote"] = f"auth = ike:ecdsa-sha512\ncacerts = {authority.file}"
    strongswan.load(swan.connection(**how), [credential], [authority])
    profile = tern.profile(gateway=client.by_certificate(authority),
                           local=client.with_certificate(pki.client("ecdsa256")))
    assert_failure(tern.up(profile, code=REFUSED), "AUTHENTICATION_FAILED")


# --- CRLs ---

@pytest.mark.parametrize("policy", ["soft", "strict"])
@pytest.mark.parametrize("pem", [True, False], ids=["pem", "der"])
def test_crl_file(lab, tern, strongswan, root, server, policy, pem):
    load(strongswan, server, [root])
    other = root  # anybody but the gateway
    good = revocation.crl(root, [other], name="good", pem=pem)
    connects(lab, tern, tern.profile(gateway=by_root(root, Revocation=policy, CRL=good)))
    bad = revocation.crl(root, [other, server], name="bad", pem=pem)
    refused(tern, tern.profile(gateway=by_root(root, Revocation=policy, CRL=bad)),
            "CN=vpn.example.com", f"(serial {serial_text(server)})", "was revoked on 20",
            "(key compromise)")


def serial_text(credential):
    serial = credential.certificate.serial_number
    return serial.to_bytes((serial.bit_length() + 7) // 8, "big").hex()


def test_an_outdated_crl(lab, tern, strongswan, root, server):
    load(strongswan, server, [root])
    stale = revocation.crl(root, days=STALE, name="stale")
    connects(lab, tern, tern.profile(gateway=by_root(root, CRL=stale)))
    assert "was revoked is not known: the CRL of" in tern.log.read_text()
    refused(tern, tern.profile(gateway=by_root(root, Revocation="strict", CRL=stale)),
            "is outdated since", "this machine's clock says")
    # who was revoked on it stays so
    bad = revocation.crl(root, [server], days=STALE, name="stale-bad")
    refused(tern, tern.profile(gateway=by_root(root, CRL=bad)), "was revoked on")


def test_strict_without_a_word(tern, strongswan, root, server):
    load(strongswan, server, [root])
    result = refused(tern, tern.profile(gateway=by_root(root, Revocation="strict")),
                     "was revoked is not known: there is neither a CRL nor an OCSP response")
    assert "Revocation = soft" in result.stderr


def test_revocation_off(lab, tern, strongswan, root, server):
    load(strongswan, server, [root])
    bad = revocation.crl(root, [server], name="off")
    connects(lab, tern, tern.profile(gateway=by_root(root, Revocation="off", CRL=bad)))


def test_revoked_intermediate(lab, tern, strongswan, pki, root):
    servers = pki.authority("ecdsa256", "certificates-servers", issuer=root)
    theirs = pki.gateway("ecdsa256", authority=servers, label="certificates-lone-server")
    load(strongswan, theirs, [root, servers])
    low = revocation.crl(servers, name="servers")
    good = revocation.crl(root, name="root-good")
    bad = revocation.crl(root, [servers], name="root-bad")
    connects(lab, tern, tern.profile(
        gateway=by_root(root, Revocation="strict", CRL=f"{good}, {low}")))
    refused(tern, tern.profile(gateway=by_root(root, Revocation="strict", CRL=good)),
            "CN=vpn.example.com", "not known")
    refused(tern, tern.profile(gateway=by_root(root, CRL=f"{bad}, {low}")),
            "CN=tern test certificates-servers", "was revoked on")


def test_crl_changes_while_connected(lab, tern, strongswan, root, server):
    """The list is read again where it is another by then, however the profile was named."""
    load(strongswan, server, [root])
    file = revocation.crl(root, name="changing")
    profile = tern.profile(gateway=by_root(root, Revocation="strict", CRL=file))
    tern.up(profile)

    def reconnect(count):
        tern.run("reconnect", "office")
        wait_until(lambda: tern.status()["reconnects"] == count, 10, "another IKE SA")
        assert lab.client.ping(lab.INTRANET[0]) == 1

    file.write_bytes(b"not a list")
    reconnect(1)
    assert "cannot be used, the old ones go on" in tern.log.read_text()
    revocation.crl(root, name="changing", days=(0, 9))
    reconnect(2)
    assert "the CRLs have changed and were read again" in tern.log.read_text()
    revocation.crl(root, [server], name="changing")
    tern.run("reconnect", "office", code=None)
    wait_until(lambda: "was revoked on" in tern.log.read_text(), 10, "the new list to be heeded")


def test_revoked_client(tern, strongswan, pki, root, server):
    """strongSwan has the list."""
    ours = pki.client("ecdsa256", authority=root, label="certificates-revoked-client")
    folder = strongswan.directory / "swanctl" / "x509crl"
    folder.mkdir()
    shutil.copy(revocation.crl(root, [ours], name="client"), folder)
    how = swan.by_certificate(server, root)
    how["remote"] += "\nrevocation = strict"
    strongswan.load(swan.connection(**how), [server], [root])
    profile = tern.profile(gateway=by_root(root), local=client.with_certificate(ours))
    assert_failure(tern.up(profile, code=REFUSED), "AUTHENTICATION_FAILED")
    assert "certificate was revoked on" in strongswan.log_text()


# --- what the gateway sends ---

@pytest.fixture
def serve(pki, root, server, tern_gateway):
    """tern-gateway with that certificate, and more keys; the profile of its client."""
    ours = pki.client("ecdsa256", authority=root, label="certificates-client")

    def start(tern, policy, **keys):
        if tern_gateway.child:
            tern_gateway.stop()
        tern_gateway.start(certificate_config(server, root, **keys))
        return tern.profile(gateway=by_root(root, Revocation=policy),
                            local=client.with_certificate(ours))
    return start


@pytest.mark.sanitize
@pytest.mark.parametrize("digest", [hashes.SHA1(), hashes.SHA256()], ids=["sha1", "sha256"])
def test_ocsp_response_in_ike(lab, tern, serve, server, digest):
    """RFC 4806: asked for and sent; without it the same profile does not connect."""
    good = revocation.response(server, digest=digest, name="good")
    connects(lab, tern, serve(tern, "strict", SendOCSP=good))
    refused(tern, serve(tern, "strict"), "neither a CRL nor an OCSP response")


@pytest.mark.parametrize("revoked", [False, True], ids=["good", "revoked"])
def test_ocsp_response_before_eap(lab, tern, tern_gateway, root, server, revoked):
    """The gateway's proof comes with the first packet of EAP; where it is refused, no password has
    left."""
    answer = revocation.response(server, revoked=revoked, name=f"eap-{revoked}")
    tern_gateway.start(certificate_config(server, root, CA=None, SendOCSP=answer),
                       passwords={"alice": "the password"})
    profile = tern.profile(gateway=by_root(root, Revocation="strict"),
                           local={"Authentication": "eap", "PresharedKey": None,
                                  "UserName": "alice", "Password": "the password"})
    if revoked:
        refused(tern, profile, "was revoked on 20")
    else:
        connects(lab, tern, profile)


@pytest.mark.sanitize
@pytest.mark.parametrize("policy", ["soft", "strict"])
def test_ocsp_response_says_revoked(tern, serve, server, policy):
    bad = revocation.response(server, revoked=True, name="bad")
    refused(tern, serve(tern, policy, SendOCSP=bad), "was revoked on 20", "(key compromise)")


def test_an_outdated_ocsp_response(lab, tern, serve, server):
    stale = revocation.response(server, days=STALE, name="stale")
    connects(lab, tern, serve(tern, "soft", SendOCSP=stale))
    refused(tern, serve(tern, "strict", SendOCSP=stale), "the OCSP response is outdated since")


def test_ocsp_response_about_another(lab, tern, serve, pki, root):
    other = pki.gateway("ecdsa256", authority=root, label="certificates-other-server")
    about_other = revocation.response(other, revoked=True)
    connects(lab, tern, serve(tern, "soft", SendOCSP=about_other))
    refused(tern, serve(tern, "strict", SendOCSP=about_other), "not known")


def test_no_ocsp_response_unasked(lab, tern, serve, server):
    """Revocation = off does not ask, and so none comes."""
    bad = revocation.response(server, revoked=True, name="unasked")
    connects(lab, tern, serve(tern, "off", SendOCSP=bad))


@pytest.mark.sanitize
def test_crl_sent_by_the_gateway(lab, tern, serve, root, server):
    """RFC 7296 3.6, in pieces (RFC 7383): it is longer than a datagram."""
    good = revocation.crl(root, [root] * 60, name="sent-good", pem=False)
    assert good.stat().st_size > 2000
    connects(lab, tern, serve(tern, "strict", SendCRL=good))
    bad = revocation.crl(root, [root] * 60 + [server], name="sent-bad", pem=False)
    refused(tern, serve(tern, "soft", SendCRL=bad), "was revoked on")


@pytest.mark.sanitize
def test_junk_sent_by_the_gateway(lab, tern, serve, server, tmp_path):
    junk, empty = tmp_path / "junk", tmp_path / "empty"
    junk.write_bytes(bytes(range(256)) * 4)
    empty.write_bytes(b"")
    profile = serve(tern, "soft", SendCRL=f"{junk}, {empty}", SendOCSP=f"{empty}, {junk}")
    connects(lab, tern, profile)
    good = revocation.response(server, name="beside-junk")
    connects(lab, tern, serve(tern, "strict", SendCRL=f"{junk}, {empty}",
                              SendOCSP=f"{junk}, {good}"))


# --- tern check ---

def test_check_reads_crls(tern, pki, root, tmp_path):
    def profile(policy="strict", **keys):
        return tern.profile(gateway=by_root(root, Revocation=policy, **keys))

    good = revocation.crl(root, name="checked")
    assert tern.run("check", profile(CRL=good)).stderr == ""
    stale = revocation.crl(root, days=STALE, name="checked-stale")
    assert_failure(tern.run("check", profile(CRL=stale), code=INVALID), "outdated since")
    warned = tern.run("check", profile("soft", CRL=f"{good}, {stale}"))
    assert "warning: " in warned.stderr and "is outdated since" in warned.stderr
    assert warned.stderr.count("warning") == 1
    unused = tern.run("check", profile("off", CRL=good))
    assert "warning: CRL is of no use where Revocation = off" in unused.stderr

    servers = pki.authority("ecdsa256", "certificates-servers", issuer=root)
    low = revocation.crl(servers, name="checked-servers")
    assert "none of the trusted CAs" in tern.run("check", profile(CRL=low)).stderr
    assert tern.run("check", profile(CRL=low, CA=f"{root.file}, {servers.file}")).stderr == ""

    wrong = tmp_path / "wrong.crl"
    wrong.write_bytes(bytearray(revocation.crl(root, name="checked-der", pem=False).read_bytes()))
    octets = bytearray(wrong.read_bytes())
    octets[-1] ^= 1
    wrong.write_bytes(octets)
    assert_failure(tern.run("check", profile(CRL=wrong), code=INVALID), "not signed by the CA")
    assert_failure(tern.run("check", profile(CRL=root.file), code=INVALID), "no CRL found")
    assert_failure(tern.run("check", profile(CRL=tmp_path / "absent"), code=INVALID), "absent")
    assert_failure(tern.run("check", profile("sometimes"), code=INVALID),
                   "Revocation = sometimes: expected off, soft or strict")
