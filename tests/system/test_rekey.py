"""New keys without anybody noticing: rekeying by either side, by command, time and bytes, also by
both at once, under traffic of which nothing is lost."""

import threading

import pytest

from client import PATIENT
from gateway import psk_config
from lab import wait_until
from sides import agreed, rekeys, wait_agreed, wait_rekeyed
from strongswan import UNHURRIED, connection
from traffic import Pings, Talk

# Of a process that has seen a tenth of it; what is deleted is remembered for seconds, and bounded.
GROWTH_MAX_KILOBYTES = 512


@pytest.fixture
def traffic(lab, intranet):
    """Both kinds, started once the tunnel is up; checked at the end by lossless()."""
    running = []

    def start():
        running.extend([Pings(lab.client, lab.INTRANET[0]), Talk(lab.client, lab.INTRANET[0]),
                        Pings(lab.client, lab.INTRANET[1])])
        wait_until(lambda: all(moved(r) for r in running), 10, "the first answers")
        return running

    yield start
    stop(running)


def stop(running):
    while running:
        running.pop().__exit__(None, None, None)


def moved(one):
    return one.blocks() if isinstance(one, Talk) else one.seen()


def assert_lossless(running):
    """Everything still moves, and no echo is missing, up to one sent after this was asked."""
    before = [moved(one) for one in running]
    wait_until(lambda: all(moved(one) > b + 5 for one, b in zip(running, before)), 10,
               "traffic to go on")
    for one in running:
        if isinstance(one, Pings):
            assert one.lost() == [], f"lost of {one.seen()}"


def rekey(side, tern, gateway, what):
    if side == "tern":
        tern.run("rekey", f"--{what}")
    else:
        gateway.rekey(what)


def rekey_in_turn(tern, gateway, ikes, children):
    """Each side starts every second one; returns resident memory after the first tenth."""
    done_ike = done_child = 0
    resident = None
    for _ in range(ikes):
        rekey(("tern", "gateway")[done_ike % 2], tern, gateway, "ike")
        done_ike += 1
        wait_rekeyed(tern, done_ike, done_child)
        wait_until(lambda: [sa["state"] for sa in gateway.sas()] == ["ESTABLISHED"], 10,
                   "one IKE SA at the gateway")
        for _ in range(children // ikes):
            rekey(("tern", "gateway")[done_child % 2], tern, gateway, "child")
            done_child += 1
            wait_rekeyed(tern, done_ike, done_child)
        if done_ike >= ikes / 10 and resident is None:
            resident = tern.resident_kilobytes()
    return resident


@pytest.mark.slow
@pytest.mark.parametrize("strongswan", [UNHURRIED], ids=["unhurried"], indirect=True)
@pytest.mark.parametrize("esp", ["aes256gcm16", "aes256gcm16-x25519"], ids=["plain", "pfs"])
def test_rekeying_in_turn_under_traffic(lab, tern, strongswan, traffic, full, record_property, esp):
    ikes, children = (100, 1000) if full else (6, 30)
    strongswan.load(connection(esp=esp))
    tern.up(tern.profile(crypto={"ESP": esp}, roaming=PATIENT))
    running = traffic()
    resident = rekey_in_turn(tern, strongswan, ikes, children)
    assert_lossless(running)
    status = wait_agreed(tern, strongswan)
    assert rekeys(status) == (ikes, children)
    assert status["reconnects"] == 0
    assert "retransmit" not in strongswan.log_text()
    assert tern.resident_kilobytes() <= resident + GROWTH_MAX_KILOBYTES
    pings = [one for one in running if isinstance(one, Pings)]
    record_property("echoes", sum(one.seen() for one in pings))
    record_property("gap", max(one.gap() for one in pings))
    record_property("blocks", running[1].blocks())
    record_property("resident", (resident, tern.resident_kilobytes()))


@pytest.mark.slow
@pytest.mark.parametrize("what", ["ike", "child"])
@pytest.mark.parametrize("esp", ["aes256gcm16", "aes256gcm16-x25519"], ids=["plain", "pfs"])
def test_both_sides_rekey_at_once(tern, strongswan, traffic, full, what, esp):
    """RFC 7296 2.8.1, 2.25: whoever's request is out first, one of each is left."""
    strongswan.load(connection(esp=esp))
    tern.up(tern.profile(crypto={"ESP": esp}))
    running = traffic()
    status = wait_agreed(tern, strongswan)
    for _ in range(100 if full else 10):
        before = rekeys(status)
        start = threading.Barrier(2)

        def one(side):
            start.wait()
            rekey(side, tern, strongswan, what)

        threads = [threading.Thread(target=one, args=(side,)) for side in ("tern", "gateway")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        status = wait_until(lambda: (s := agreed(tern, strongswan)) and rekeys(s) > before and s,
                            20, "both sides to agree again")
    assert_lossless(running)
    assert status["reconnects"] == 0


@pytest.mark.slow
def test_lifetimes_of_seconds_on_both_sides(tern, strongswan, traffic):
    """The gateway rekeys its children each 4 s and the IKE SA each 15 s, about when we do."""
    # Left to itself it leaves no time between the rekeying of what lives so shortly and its end.
    strongswan.load(connection(extra="rekey_time = 15s\nrand_time = 1s\nover_time = 10s",
                               child="rekey_time = 4s\nrand_time = 1s\nlife_time = 10s"))
    tern.up(tern.profile(crypto={"IKELifetime": 17, "ESPLifetime": 10}))
    running = traffic()
    wait_until(lambda: min(n - m for n, m in zip(rekeys(tern.status()), (2, 5))) >= 0, 90,
               "two rekeys of the IKE SA, five of the child")
    wait_agreed(tern, strongswan)
    assert_lossless(running)
    assert tern.status()["reconnects"] == 0


def test_bytes_lead_to_rekeying(tern, strongswan, traffic):
    strongswan.load(connection())
    tern.up(tern.profile(crypto={"ESPBytes": "1M"}))
    running = traffic()
    wait_until(lambda: rekeys(tern.status())[1] >= 10, 60, "ten rekeys of the child")
    assert_lossless(running)
    stop(running)  # with traffic there is always one that is just being replaced
    wait_agreed(tern, strongswan)
    assert tern.status()["reconnects"] == 0 and rekeys(tern.status())[0] == 0


# --- tern-gateway ---

@pytest.mark.slow
def test_tern_gateway_rekeys_too(tern, tern_gateway, traffic):
    """The gateway by time, we by command; the IKE SA and the child."""
    tern_gateway.start(psk_config(IKELifetime=5, ESPLifetime=2))
    tern.up(tern.profile())
    running = traffic()
    for _ in range(5):
        before = rekeys(tern.status())
        tern.run("rekey")
        wait_until(lambda: min(now - then for now, then in zip(rekeys(tern.status()), before)) > 0,
                   10, "both to be rekeyed")
    wait_until(lambda: min(rekeys(tern.status())) >= 7, 60, "two more by the gateway")
    assert_lossless(running)
    assert tern.status()["reconnects"] == 0
    wait_until(lambda: len(tern.status()["children"]) == 1, 10, "one Child SA")


def test_tern_gateway_rekeys_by_bytes(tern, tern_gateway, traffic):
    tern_gateway.start(psk_config(ESPBytes=1_000_000))
    tern.up(tern.profile())
    running = traffic()
    wait_until(lambda: rekeys(tern.status())[1] >= 10, 60, "ten rekeys of the child")
    assert_lossless(running)
