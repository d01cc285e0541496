"""Tunnels to strongSwan, one for each way to prove who is who. Each carries a thousand pings and a
large transfer in both directions, and leaves nothing behind: not at the gateway, not here."""

import pytest

import client
import strongswan as swan
from pki import CLIENT_NAME, GATEWAY_NAME


def use_and_leave(lab, tern, gateway, intranet, profile, size, addresses=None):
    """The whole life of a tunnel, with everything that must be as before checked at its end."""
    before = lab.client.state()
    tern.up(profile)
    assert len(gateway.wait_for_sas(1) and gateway.children()) == 1
    for address in addresses or lab.INTRANET:
        assert lab.client.ping(address, 1000, timeout=30) == 1000
    intranet.exchange(lab.client, lab.INTRANET[0], size)
    (child,) = gateway.children()
    assert int(child["bytes-in"]) > size and int(child["bytes-out"]) > size
    tern.down(profile)
    assert gateway.sas() == []
    assert lab.client.state() == before
    tern.wait_gone()


@pytest.mark.sanitize
def test_pre_shared_key(lab, tern, strongswan, intranet, transfer_size):
    strongswan.load(swan.connection())
    use_and_leave(lab, tern, strongswan, intranet, tern.profile(), transfer_size)


# name -> (kind of key, what strongSwan is told to sign with, what its log then says)
SIGNATURES = {
    "rsa-pkcs1": ("rsa", "ike:rsa-sha256-sha384-sha512", "RSA_EMSA_PKCS1_SHA2_"),
    "rsa-pss": ("rsa", "ike:rsa/pss-sha256-sha384-sha512", "RSA_EMSA_PSS_SHA2_"),
    "ecdsa-256": ("ecdsa256", "pubkey", "ECDSA_WITH_SHA256"),
    "ecdsa-384": ("ecdsa384", "pubkey", "ECDSA_WITH_SHA384"),
    "ecdsa-521": ("ecdsa521", "pubkey", "ECDSA_WITH_SHA512"),
    "ed25519": ("ed25519", "pubkey", "ED25519"),
}


def load_certificates(gateway, pki, kind, auth="pubkey"):
    credential, authority = pki.gateway(kind), pki.authority(kind)
    gateway.load(swan.connection(**swan.by_certificate(credential, authority, auth)),
                 [credential], [authority])


def certificate_profile(tern, pki, kind):
    return tern.profile(gateway=client.by_certificate(pki.authority(kind)),
                        local=client.with_certificate(pki.client(kind)))


@pytest.mark.parametrize("name", SIGNATURES)
def test_certificates(lab, tern, strongswan, intranet, pki, transfer_size, name):
    kind, auth, logged = SIGNATURES[name]
    load_certificates(strongswan, pki, kind, auth)
    use_and_leave(lab, tern, strongswan, intranet, certificate_profile(tern, pki, kind),
                  transfer_size)
    log = strongswan.log_text()
    # Which of the two RSA signatures is ours is for us to choose; all else follows from the key.
    ours = "RSA_EMSA_" if kind == "rsa" else logged
    assert f"authentication of '{CLIENT_NAME}' with {ours}" in log
    assert f"authentication of '{GATEWAY_NAME}' (myself) with {logged}" in log


@pytest.mark.parametrize("kind", ["rsa", "ecdsa256", "ecdsa384", "ecdsa521"])
def test_certificates_at_a_gateway_older_than_rfc_7427(lab, tern, pki, kind):
    """No hash notification: the authentication methods of RFC 7296 and RFC 4754."""
    with swan.StrongSwan(lab.gateway, settings="signature_authentication = no") as gateway:
        load_certificates(gateway, pki, kind)
        tern.up(certificate_profile(tern, pki, kind))
        assert lab.client.ping(lab.INTRANET[0]) == 1
        tern.down()
        assert gateway.sas() == []


def test_chain_with_an_intermediate(lab, tern, strongswan, intranet, pki, transfer_size):
    """Both sides know the root alone, and send what lies between."""
    root = pki.authority("rsa", "root")
    staff = pki.authority("ecdsa256", "staff", issuer=root)
    servers = pki.authority("ecdsa384", "servers", issuer=root)
    ours = pki.client("ecdsa256", authority=staff, label="chained-client")
    theirs = pki.gateway("ecdsa256", authority=servers, label="chained-gateway")
    # strongSwan sends the intermediates that it finds in x509ca; ours it has never seen.
    strongswan.load(swan.connection(**swan.by_certificate(theirs, root)), [theirs], [root, servers])
    profile = tern.profile(gateway=client.by_certificate(root), local=client.with_certificate(ours))
    use_and_leave(lab, tern, strongswan, intranet, profile, transfer_size)
    log = strongswan.log_text()
    assert 'received issuer cert "O=tern tests, CN=tern test staff"' in log
    assert 'sending issuer cert "O=tern tests, CN=tern test servers"' in log


@pytest.mark.sanitize
def test_gateway_by_certificate_and_client_by_pre_shared_key(lab, tern, strongswan, intranet, pki,
                                                             transfer_size):
    credential, authority = pki.gateway("ecdsa256"), pki.authority("ecdsa256")
    how = swan.by_certificate(credential, authority)
    strongswan.load(swan.connection(local=how["local"]), [credential], [authority])
    profile = tern.profile(gateway=client.by_certificate(authority))
    use_and_leave(lab, tern, strongswan, intranet, profile, transfer_size)
