"""Bad datagrams by the thousand at a connection in use: noise, replays, mutations and forgeries by
somebody who hears everything and has no keys. tools/bench/storm makes it a million."""

import pytest

from storm import ClientUnderStorm, GatewayUnderStorm, begin, endure
from strongswan import connection

SEED = 1
# What buffers may still grow by: the client's for datagrams, and the gateway's with sessions that
# are half open.
CLIENT_KILOBYTES, GATEWAY_KILOBYTES = 2048, 16384


@pytest.fixture
def weight(request):
    """How much of a storm these binaries are given: datagrams, a second, turns."""
    return (10_000, 2_000, 5) if request.config.getoption("--sanitize") else (50_000, 10_000, 10)


@pytest.fixture
def resident_kilobytes(request):
    """A sanitizer keeps what is freed, and says itself where something leaks."""
    return not request.config.getoption("--sanitize")


def assert_client_endures(lab, build, tern, weight, resident_kilobytes):
    weather, leaving = begin(lab, build, tern, SEED)
    figures = endure(weather, ClientUnderStorm(tern), leaving, *weight)
    assert not resident_kilobytes or (
        figures["rss_kb"][2] - figures["rss_kb"][0] < CLIENT_KILOBYTES), figures


@pytest.mark.slow
@pytest.mark.sanitize
def test_client_of_tern_gateway(lab, build, tern, tern_gateway, intranet, weight,
                                resident_kilobytes):
    tern_gateway.start()
    assert_client_endures(lab, build, tern, weight, resident_kilobytes)
    tern.down()


@pytest.mark.slow
@pytest.mark.sanitize
def test_client_of_strongswan(lab, build, tern, strongswan, intranet, weight, resident_kilobytes):
    strongswan.load(connection())
    assert_client_endures(lab, build, tern, weight, resident_kilobytes)
    assert len(strongswan.sas()) == 1
    tern.down()
    assert strongswan.sas() == []


@pytest.mark.slow
@pytest.mark.sanitize
def test_tern_gateway(lab, build, tern, tern_gateway, intranet, weight, resident_kilobytes):
    tern_gateway.start()
    weather, leaving = begin(lab, build, tern, SEED, at_gateway=True)
    victim = GatewayUnderStorm(tern_gateway)
    figures = endure(weather, victim, leaving, *weight)
    assert not resident_kilobytes or (
        figures["rss_kb"][2] - figures["rss_kb"][0] < GATEWAY_KILOBYTES), figures
    assert victim.half_open <= 32, victim.half_open  # then it asks for cookies
    tern.down()
