"""Bad datagrams by the thousand at a connection in use: noise, replays, mutations and forgeries by
somebody who hears everything and has no keys. tools/bench/storm makes it a million."""

import contextlib
import socket
import subprocess
import sys
import time

import pytest

from lab import HERE, wait_until
from storm import ClientUnderStorm, GatewayUnderStorm, Weather, begin, endure
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


def assert_client_endures(weather, leaving, weight, resident_kilobytes, **kwargs):
    figures = endure(weather, ClientUnderStorm(weather.tern, **kwargs), leaving, *weight)
    assert not resident_kilobytes or (
        figures["rss_kb"][2] - figures["rss_kb"][0] < CLIENT_KILOBYTES), figures


@pytest.mark.slow
@pytest.mark.sanitize
def test_client_of_tern_gateway(lab, build, tern, tern_gateway, intranet, weight,
                                resident_kilobytes):
    tern_gateway.start()
    assert_client_endures(*begin(lab, build, tern, SEED), weight, resident_kilobytes)
    tern.down()


@pytest.mark.slow
@pytest.mark.sanitize
def test_client_of_strongswan(lab, build, tern, strongswan, intranet, weight, resident_kilobytes):
    """After a rekeying by the gateway: the storm has requests of its to replay as well."""
    strongswan.load(connection())
    weather, leaving = begin(lab, build, tern, SEED)
    (first,) = tern.status()["children"]
    strongswan.rekey("child")
    wait_until(lambda: [c["spi_in"] != first["spi_in"] for c in tern.status()["children"]] == [True],
               10, "the second Child SA alone")
    assert_client_endures(weather, leaving, weight, resident_kilobytes, has_answered=True)
    assert len(strongswan.sas()) == 1
    tern.down()
    strongswan.wait_for_sas(0)


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


@pytest.mark.sanitize
def test_forged_complaints_while_connecting(lab, tern, strongswan):
    """The gateway does not hear the first request; a stranger does, and says no in every way there
    is. The genuine answer, to the second request, wins."""
    strongswan.load(connection())
    lab.gateway.nft("""
        table inet deaf { chain in { type filter hook input priority 0
            udp dport 500 quota until 600 bytes drop
        }
        }""")
    forger = lab.router.spawn(sys.executable, HERE / "forger.py", lab.CLIENT[0], lab.GATEWAY[0],
                              stdout=subprocess.PIPE)
    assert forger.stdout.readline() == "ready\n"
    with lab.client.capture("up0") as capture:
        tern.up(tern.profile())
        assert forger.stdout.readline() == "answered\n"
        assert lab.client.ping(lab.INTRANET[0], 10) == 10
        tern.down()
    # One request, what it took for the genuine answer, and no more: no answer to the forged ones.
    requests = capture.fields("isakmp.exchangetype == 34 and isakmp.flag_r == 0", "frame.number")
    assert 2 <= len(requests) <= 4, requests


class RudeClients:
    """Strangers at the control socket, in the place of a storm: silent ones, slow ones, endless
    lines, nonsense. (They run as the same user: nobody else can open it.)"""

    REQUESTS = (b"", b"{", b'{"command":"sta', b"x" * 100_000, b"[" * 4000 + b"\n", b"\0" * 5000,
                b'{"command":"nothing"}\n', b'{"command":7}\n', b"[]\n", b"null\n", b"\n" * 4000,
                b'{"command":"status"}\n', b'{"command":"status","command":"down"}\n',
                b'{"command":"status"}' * 4000)

    def __init__(self, path):
        self.path = path
        self.held = []
        self.sent = 0

    def blow(self, count, rate):
        start = time.monotonic()
        for i in range(count):
            rude = socket.socket(socket.AF_UNIX)
            rude.setblocking(False)
            with contextlib.suppress(BlockingIOError):  # the queue at the door is full
                rude.connect(str(self.path))
                with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionError):
                    rude.send(self.REQUESTS[self.sent % len(self.REQUESTS)])
                self.sent += 1
            self.held.append(rude)
            while len(self.held) > 64:
                self.held.pop(0).close()
            time.sleep(max(0, start + i / rate - time.monotonic()))
        while self.held:
            self.held.pop().close()


@pytest.mark.slow
@pytest.mark.sanitize
def test_rude_clients_of_the_control_socket(lab, tern, tern_gateway, intranet, resident_kilobytes):
    """They come by the hundred while the tunnel is in use, and only they notice."""
    tern_gateway.start()
    tern.up(tern.profile())
    (path,) = [p for p in tern.runtime.rglob("*") if p.is_socket()]
    victim = ClientUnderStorm(tern)
    before, resident, descriptors = victim.identity(), tern.resident_kilobytes(), tern.descriptors()
    rude = RudeClients(path)
    weather = Weather(lab, tern, rude)
    weather.run(2000, 1000, 4)
    assert rude.sent >= 100, rude.sent
    assert weather.lost == 0
    assert victim.identity() == before
    wait_until(lambda: tern.descriptors() == descriptors, 10, "descriptors as before")
    assert not resident_kilobytes or tern.resident_kilobytes() - resident < CLIENT_KILOBYTES
    tern.down()
