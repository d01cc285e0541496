"""IKE messages in pieces (RFC 7383): chains of large certificates over paths that lose IP
fragments, as many home routers and mobile networks do."""

import pytest

import client
import strongswan as swan
from client import assert_failure
from gateway import certificate_config
from strongswan import connection

# One worker: the keys take longer to make than the tests take to run.
pytestmark = pytest.mark.xdist_group("fragments")

SKF = "isakmp.nextpayload == 53 or isakmp.typepayload == 53"
IP_FRAGMENT = "ip.flags.mf == 1 or ip.frag_offset > 0 or ipv6.fraghdr.nxt"

# Before any reassembly on the router, which is at -400.
NO_FRAGMENTS = """
table inet fragments { chain in { type filter hook prerouting priority -450
    ip frag-off & 0x3fff != 0 drop
    exthdr frag exists drop
}
}"""


@pytest.fixture
def chains(pki):
    """Both sides' credentials, below the same deep authority."""
    authority = pki.deep_authority()
    return (pki.gateway("rsa4096", authority=authority, label="gateway-deep"),
            pki.client("rsa4096", authority=authority, label="client-deep"))


def profile(tern, chains, **gateway):
    ours = chains[1]
    return tern.profile(gateway={**client.by_certificate(ours.root), **gateway},
                        local=client.with_certificate(ours))


def load(gateway, chains, extra=""):
    credential = chains[0]
    intermediates = credential.chain()[1:]
    gateway.load(connection(**swan.by_certificate(credential, credential.root), extra=extra),
                 [credential], [*intermediates, credential.root])


def narrow(lab, mtu):
    """The cable between the router and the gateway carries no more."""
    for machine in (lab.router, lab.gateway):
        machine.ip(f"link set wan0 mtu {mtu}")


def assert_in_pieces(lab, capture, family):
    """Pieces both ways, and no fragment of IP."""
    sources = {row[0] for row in capture.fields(SKF, ("ip.src", "ipv6.src")[family])}
    assert sources == {lab.CLIENT[family], lab.GATEWAY[family]}
    assert capture.tshark("-Y", IP_FRAGMENT) == ""


@pytest.mark.slow
@pytest.mark.sanitize
@pytest.mark.parametrize("family", [0, 1], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("mtu", [1500, 1280])
def test_a_path_that_loses_fragments(lab, tern, strongswan, chains, mtu, family):
    lab.router.nft(NO_FRAGMENTS)
    narrow(lab, mtu)
    load(strongswan, chains)
    with lab.client.capture("up0") as here, lab.gateway.capture("wan0") as there:
        tern.up(profile(tern, chains, Address=lab.GATEWAY[family]))
        assert tern.status()["ike"]["fragmentation"] is True
        assert lab.client.ping(lab.INTRANET[0]) == 1
        tern.run("rekey", "--ike")
        tern.down()
    assert_in_pieces(lab, here, family)
    assert_in_pieces(lab, there, family)


def test_a_gateway_that_does_not_cut(lab, tern, strongswan, chains):
    """Without its consent the request is one large datagram, which is lost; that is said."""
    lab.router.nft(NO_FRAGMENTS)
    load(strongswan, chains, extra="fragmentation = no")
    result = tern.up(profile(tern, chains), "--timeout", 6, code=20)
    assert_failure(result, "IKE_AUTH", "large datagrams")


@pytest.mark.parametrize("mtu", [1500, 1280])
def test_tern_gateway_cuts_as_well(lab, tern, tern_gateway, chains, mtu):
    lab.router.nft(NO_FRAGMENTS)
    narrow(lab, mtu)
    tern_gateway.start(certificate_config(chains[0], chains[0].root))
    with lab.client.capture("up0") as here, lab.gateway.capture("wan0") as there:
        tern.up(profile(tern, chains))
        assert lab.client.ping(lab.INTRANET[0]) == 1
        tern.down()
    assert_in_pieces(lab, here, 0)
    assert_in_pieces(lab, there, 0)
