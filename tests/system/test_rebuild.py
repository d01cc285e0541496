"""A connection that was up is not given up: proof shown again in time, a fresh IKE SA on command,
and a gateway that died and came back; the addresses, the routes and what runs inside stay."""

import re
import time

import pytest

from client import assert_failure
from gateway import TernGateway, psk_config
from lab import wait_until
from sides import wait_agreed
from strongswan import connection
from traffic import Pings, Talk

DPD_MS = 1000
# Three transmissions of the question, the third of which had its time.
QUESTION_MS = 500 + 900 + 1620
BACK_MS = 3000


def fresh(tern, before):
    """The status once another IKE SA stands than that of `before`, alone."""
    def other():
        status = tern.status()
        return (status["state"] == "up" and len(status["children"]) == 1 and
                status["ike"]["spi_r"] != before["ike"]["spi_r"] and status)
    return wait_until(other, 30, "another IKE SA")


class Inside:
    """Echoes and a TCP connection in the tunnel."""

    def __init__(self, lab):
        self.pings = Pings(lab.client, lab.INTRANET[0])
        self.talk = Talk(lab.client, lab.INTRANET[0])

    def __enter__(self):
        self.wait_more()
        return self

    def __exit__(self, *how):
        self.pings.stop()
        self.talk.__exit__(*how)

    def wait_more(self, timeout=10):
        pings, blocks = self.pings.seen(), self.talk.blocks()
        wait_until(lambda: self.pings.seen() > pings + 5 and self.talk.blocks() > blocks, timeout,
                   "traffic to flow")


# --- make before break ---

def test_reconnect_loses_nothing(lab, tern, strongswan, intranet):
    strongswan.load(connection())
    tern.up(profile := tern.profile())
    before, system = tern.status(), lab.client.state()
    with Inside(lab) as inside:
        for round in range(1, 6):
            last = tern.status()
            tern.run("reconnect", profile)
            assert fresh(tern, last)["reconnects"] == round
            wait_agreed(tern, strongswan)
        inside.wait_more()
        assert inside.pings.lost() == []
    after = tern.status()
    assert after["addresses"] == before["addresses"]
    assert lab.client.state() == system


def test_packets_wait_for_the_answer_that_brings_their_keys(lab, tern, strongswan):
    """strongSwan sends by the new Child SA before its answer to IKE_AUTH is on its way, and goes on
    while that is lost: what comes until the second one is none the less delivered."""
    strongswan.load(connection())
    tern.up(profile := tern.profile(roaming={"Retransmit": "100ms, 8s, 8"}))
    before = tern.status()
    with Pings(lab.client, lab.INTRANET[0], interval=0.004) as pings:
        wait_until(lambda: pings.seen() > 5, 10, "echoes")
        lab.router.nft("""
            table inet late { chain out { type filter hook forward priority 0
                udp sport 4500 @th,64,32 0 @th,240,8 35 quota until 600 bytes drop
            }
            }""")
        tern.run("reconnect", profile)
        fresh(tern, before)
        seen = pings.seen()
        wait_until(lambda: pings.seen() > seen + 5, 10, "echoes to go on")
        assert pings.lost() == []
    assert "received retransmit of request with ID 1" in strongswan.log_text()


@pytest.mark.slow
def test_the_gateway_wants_proof_again(lab, tern, strongswan, intranet):
    """reauth_time at the gateway, announced by AUTH_LIFETIME (RFC 4478)."""
    strongswan.load(connection(extra="reauth_time = 8s\nover_time = 4s"))
    tern.up(tern.profile())
    before, system = tern.status(), lab.client.state()
    with Inside(lab) as inside:
        last = before
        for _ in range(2):
            last = fresh(tern, last)
        inside.wait_more()
        assert inside.pings.lost() == []
    assert "AUTH_LFT" in strongswan.log_text()
    wait_agreed(tern, strongswan)
    assert tern.status()["addresses"] == before["addresses"]
    assert lab.client.state() == system


@pytest.mark.slow
def test_tern_gateway_wants_proof_again(lab, tern, tern_gateway, intranet):
    tern_gateway.start(psk_config(AuthLifetime=4))
    tern.up(profile := tern.profile())
    before = tern.status()
    with Inside(lab) as inside:
        last = before
        for _ in range(2):
            last = fresh(tern, last)
        tern.run("reconnect", profile)
        last = fresh(tern, last)
        inside.wait_more()
        assert inside.pings.lost() == []
    assert last["addresses"] == before["addresses"]


# --- the gateway ends it ---

# Echoes that a gateway may lose when it ends an IKE SA: those that it has already passed on find no
# way back. Ours wait in the TUN until the next one stands, two round trips later.
LOST_MAX = 2


@pytest.mark.slow
def test_an_ike_sa_that_is_deleted_under_traffic(lab, tern, strongswan, intranet, record_property):
    """No AUTH_LIFETIME, no warning: five times the gateway deletes what carries traffic."""
    strongswan.load(connection())
    tern.up(tern.profile())
    before, system = tern.status(), lab.client.state()
    with lab.client.capture("up0") as capture, Inside(lab) as inside:
        for round in range(1, 6):
            last = tern.status()
            strongswan.terminate()
            assert fresh(tern, last)["reconnects"] == round
            wait_agreed(tern, strongswan)
            inside.wait_more()
        lost, gap = inside.pings.lost(), inside.pings.gap()
    record_property("lost", lost)
    record_property("gap", gap)
    assert len(lost) <= 5 * LOST_MAX, lost
    after = tern.status()
    assert after["addresses"] == before["addresses"] and lab.client.state() == system
    assert_nothing_in_the_clear(lab, capture, before)


@pytest.mark.slow
def test_an_ike_sa_that_is_deleted_for_want_of_proof(lab, tern, strongswan, intranet):
    """The gateway wants proof again and our way to it (port 500) is shut, so it ends the IKE SA at
    the end of its patience; the connection is held, and built anew when the way is open."""
    strongswan.load(connection(extra="reauth_time = 6s\nover_time = 2s"))
    tern.up(tern.profile())
    before, system = tern.status(), lab.client.state()
    with lab.client.capture("up0") as capture, Inside(lab) as inside:
        lab.router.nft("""
            table inet shut { chain out { type filter hook forward priority 0
                udp dport 500 drop
            }
            }""")
        held = wait_until(lambda: (s := tern.status())["state"] == "searching" and s, 30,
                          "searching")
        assert "deleted the IKE SA" in held["last_error"]
        assert held["addresses"] == before["addresses"] and lab.client.state() == system
        assert inside.talk.child.poll() is None
        lab.router.nft("delete table inet shut")
        tern.wait_up()
        inside.wait_more(timeout=60)
        wait_agreed(tern, strongswan)
    assert tern.status()["addresses"] == before["addresses"] and lab.client.state() == system
    assert_nothing_in_the_clear(lab, capture, before)


# --- the gateway dies ---

def assert_nothing_in_the_clear(lab, capture, status):
    """On the outer wire there is much, and nothing of the inner addresses."""
    assert capture.tshark("-Y", "udpencap") != ""
    inner = [re.sub("/.*", "", address) for address in status["addresses"]]
    for four, six in (inner, lab.INTRANET):
        assert capture.tshark("-Y", f"ip.addr == {four} or ipv6.addr == {six}") == ""


def dies_and_comes_back(lab, tern, gateway, restart, budget_ms):
    """Kill it under traffic and start it again; traffic flows again within the budget, once it
    is back."""
    tern.up(tern.profile(roaming={"DPD": DPD_MS // 1000}))
    before, system = tern.status(), lab.client.state()
    with lab.client.capture("up0") as capture, Inside(lab) as inside:
        start = time.monotonic()
        gateway.kill()
        restart()
        away = time.monotonic() - start
        inside.wait_more(timeout=30)
        gap = inside.pings.gap()
    assert (gap - away) * 1000 < budget_ms, f"{gap} s without an answer"
    after = fresh(tern, before)
    assert after["addresses"] == before["addresses"]
    assert after["reconnects"] >= 1 and after["interface"] == before["interface"]
    assert lab.client.state() == system
    assert_nothing_in_the_clear(lab, capture, before)
    return gap


def test_a_gateway_that_died_is_found_again(lab, tern, strongswan, intranet, record_property):
    strongswan.load(connection())
    gap = dies_and_comes_back(lab, tern, strongswan, strongswan.start_again,
                              DPD_MS + QUESTION_MS + BACK_MS)
    wait_agreed(tern, strongswan)
    record_property("gap", gap)


def test_a_tern_gateway_that_died_is_found_again(lab, tern, tern_gateway, intranet,
                                                 record_property):
    """It says that it does not know us (INVALID_SPI): quicker than silence would be noticed."""
    tern_gateway.start()
    gap = dies_and_comes_back(lab, tern, tern_gateway, tern_gateway.start, DPD_MS + QUESTION_MS)
    record_property("gap", gap)


def test_held_while_the_gateway_is_away(lab, tern, strongswan, intranet):
    """Silence: status says `searching`, routes and addresses stay, nothing leaves in the clear; and
    once it is back, the tunnel is."""
    strongswan.load(connection())
    tern.up(tern.profile(roaming={"DPD": DPD_MS // 1000}))
    before, system = tern.status(), lab.client.state()
    with lab.client.capture("up0") as capture, Inside(lab) as inside:
        strongswan.kill()
        held = wait_until(lambda: (s := tern.status())["state"] == "searching" and s, 20,
                          "searching")
        assert "does not answer" in held["last_error"]
        assert held["addresses"] == before["addresses"] and lab.client.state() == system
        assert inside.talk.child.poll() is None
        strongswan.start_again()
        tern.wait_up()
        inside.wait_more(timeout=60)
    after = tern.status()
    assert after["addresses"] == before["addresses"] and lab.client.state() == system
    assert_nothing_in_the_clear(lab, capture, before)


# --- sent elsewhere ---

@pytest.mark.sanitize
@pytest.mark.parametrize("family", [0, 1], ids=["ipv4", "ipv6"])
def test_redirected_before_anything_else(lab, build, tern, tern_gateway, family):
    """RFC 5685 3: the first gateway sends every client to the second, with the same identity."""
    tern_gateway.start()
    with TernGateway(lab.router, build) as first:
        first.start(psk_config(Redirect=lab.GATEWAY[family]))
        profile = tern.profile(gateway={"Address": lab.ROUTER[0]})
        tern.up(profile)
        status = tern.status()
        assert status["gateway"]["address"] == lab.GATEWAY[family]
        assert lab.client.ping(lab.INTRANET[0], 10) == 10
        tern.down(profile)
