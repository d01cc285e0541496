"""A connection from `up` to the end, however it ends; and what it leaves and takes meanwhile."""

import ipaddress
import re
import signal
import socket

import pytest

import client
import strongswan as swan
from client import PATIENT, Tern, assert_failure
from gateway import certificate_config, psk_config
from lab import wait_until
from sides import agreed
from strongswan import connection

RESIDENT_MAX_KILOBYTES = 12 * 1024

unhurried = pytest.mark.parametrize("strongswan", [swan.UNHURRIED], ids=["unhurried"],
                                    indirect=True)


# --- up, status, list ---

@pytest.mark.sanitize
def test_traffic_flows_as_soon_as_up_returns(lab, tern, strongswan):
    """The very first packet, sent by the next command, arrives."""
    strongswan.load(connection())
    up = " ".join(map(str, tern.command("up", tern.profile())))
    result = lab.client.run("sh", "-c", f"{up} && ping -n -c1 -W10 10.9.0.80", env=tern.env,
                            check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_progress_is_a_line_per_phase(lab, tern, strongswan):
    strongswan.load(connection())
    result = tern.run("up", tern.profile())
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) >= 3, result.stderr
    assert all(re.search(r"\d+(\.\d+)? ?ms", line) for line in lines), result.stderr


def test_quiet(tern, strongswan):
    strongswan.load(connection())
    result = tern.run("up", tern.profile(), "--quiet")
    assert result.stdout == "" and result.stderr == ""


KEYS = {
    "": "v profile state since pid interface gateway path addresses dns domains routes mtu ike "
        "children handovers reconnects last_handover last_error",
    "gateway": "host address port identity",
    "path": "local local_port interface nat rtt_ms mtu",
    "ike": "spi_i spi_r proposal established rekeys mobike fragmentation ppk",
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.mark.sanitize
def test_status(lab, tern, strongswan):
    """Every field of the contract, with the values that the gateway has as well."""
    strongswan.load(connection())
    profile = tern.profile()
    tern.up(profile)
    lab.client.run("ping", "-n", "-c", 10, "-i", 0.01, lab.INTRANET[0])  # not one more
    status = tern.status(profile)
    for part, keys in KEYS.items():
        assert set(keys.split()) <= set(status[part] if part else status), part
    (sa,) = strongswan.sas()
    (child,) = strongswan.children()
    assert status["v"] == 1
    assert status["profile"] == "office"
    assert status["state"] == "up"
    assert TIME.fullmatch(status["since"]) and TIME.fullmatch(status["ike"]["established"])
    assert [status["pid"]] == tern.pids()
    assert status["interface"] in lab.client.interfaces()
    assert status["gateway"] == {"host": lab.GATEWAY[0], "address": lab.GATEWAY[0], "port": 4500,
                                 "identity": "vpn.example.com"}
    assert status["path"]["local"] == lab.CLIENT[0]
    assert status["path"]["interface"] == "up0"
    assert str(status["path"]["local_port"]) == sa["remote-port"]
    assert status["ike"]["spi_i"] == sa["initiator-spi"]
    assert status["ike"]["spi_r"] == sa["responder-spi"]
    (ours,) = status["children"]
    assert ours["spi_in"] == child["spi-out"] and ours["spi_out"] == child["spi-in"]
    assert sorted(ours["local"]) == sorted(child["remote-ts"])
    assert sorted(ours["remote"]) == sorted(child["local-ts"])
    assert ours["tx"]["packets"] == int(child["packets-in"]) == 10
    assert ours["rx"]["packets"] == int(child["packets-out"]) == 10
    assert ours["rx"]["replayed"] == 0 and ours["rx"]["bad"] == 0
    assert status["handovers"] == 0 and status["reconnects"] == 0
    assert status["last_handover"] is None and status["last_error"] is None

    text = tern.run("status").stdout  # exactly one runs: its name may be left out
    for word in ("office", "up", lab.GATEWAY[0], "10.7.0.1", status["interface"],
                 status["ike"]["proposal"]):
        assert word in text, text


def test_profiles_by_name(lab, tern, strongswan):
    """NAME is $XDG_CONFIG_HOME/tern/NAME.conf; `list` shows what there is and what runs."""
    strongswan.load(connection())
    home = tern.directory / "config"
    (home / "tern").mkdir(parents=True)
    for name in ("office", "attic"):
        tern.profile(name).rename(home / "tern" / f"{name}.conf")
    tern.env["XDG_CONFIG_HOME"] = str(home)
    tern.up("office")
    lines = {line.split()[0]: line for line in tern.run("list").stdout.splitlines() if line.strip()}
    assert "up" in lines["office"].split() and "up" not in lines["attic"].split()
    assert tern.status("office")["profile"] == "office"
    tern.down("office")
    tern.wait_gone()
    lines = {line.split()[0]: line for line in tern.run("list").stdout.splitlines() if line.strip()}
    assert "up" not in lines["office"].split()


def test_two_connections_side_by_side(lab, tern, strongswan):
    # kernel-libipsec wants an address of its own in each network that it serves.
    lab.gateway.ip("addr add 198.51.100.1/32 dev lo")
    strongswan.load(connection(local_ts="10.9.0.0/24, 198.51.100.0/24"))
    one = tern.profile("one", tunnel={"Routes": "10.9.0.0/24"})
    two = tern.profile("two", tunnel={"Routes": "198.51.100.0/24"},
                       local={"Identity": "bob@example.com"})
    before = lab.client.state()
    tern.up(one)
    tern.up(two)
    assert tern.status(one)["interface"] != tern.status(two)["interface"]
    assert lab.client.ping(lab.INTRANET[0], 5) == 5
    assert lab.client.ping(lab.ELSEWHERE[0], 5) == 5
    assert_failure(tern.run("status", code=2))  # which one?
    tern.down(one)
    assert lab.client.ping(lab.ELSEWHERE[0], 5) == 5
    tern.down(two)
    assert lab.client.state() == before


# --- how it ends ---

@pytest.mark.sanitize
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_foreground_cleanly(lab, tern, strongswan, how):
    strongswan.load(connection())
    before = lab.client.state()
    child = tern.foreground(tern.profile())
    tern.wait_up()
    assert lab.client.ping(lab.INTRANET[0]) == 1
    child.send_signal(how)
    assert child.wait(30) == 0
    assert strongswan.sas() == []
    assert lab.client.state() == before


def test_a_signal_while_connecting(lab, tern):
    """Nobody answers, and the user has had enough."""
    lab.gateway.nft("""
        table inet silence { chain in { type filter hook input priority 0
            udp dport { 500, 4500 } drop
        }
        }""")
    before = lab.client.state()
    with lab.client.capture("up0") as capture:
        child = tern.foreground(tern.profile())
        wait_until(lambda: len(capture.path.read_bytes()) > 400, 10, "the first request")
        child.send_signal(signal.SIGINT)
        assert child.wait(30) != 0
    assert lab.client.state() == before


def test_the_gateway_is_gone_when_we_leave(lab, tern, strongswan):
    """`down` asks, gets no answer, and still ends soon, with everything restored."""
    strongswan.load(connection())
    before = lab.client.state()
    profile = tern.profile()
    tern.up(profile)
    strongswan.kill()
    tern.down(profile, timeout=15, code=None)
    tern.wait_gone()
    assert lab.client.state() == before


@pytest.mark.sanitize
def test_the_next_start_recovers_from_sigkill(lab, tern, strongswan):
    """Killed with rules and routes in place: the next `up` works, and `down` leaves nothing of
    either life."""
    strongswan.load(connection(local_ts="0.0.0.0/0, ::/0"))
    before = lab.client.state()
    profile = tern.profile(tunnel={"Routes": "0.0.0.0/0, ::/0"})
    tern.up(profile)
    tern.kill()
    assert_failure(tern.run("status", profile, code=12))
    tern.up(profile)
    assert lab.client.ping(lab.ELSEWHERE[0], 5) == 5
    tern.down(profile)
    assert lab.client.state() == before
    # RFC 7296 2.4: a user's credentials may be at work on two machines, so INITIAL_CONTACT must not
    # be sent, and the SA of the life before is the gateway's to find dead.
    assert len(strongswan.sas()) == 1


def test_down_cleans_up_after_sigkill(lab, tern, strongswan):
    strongswan.load(connection())
    before = lab.client.state()
    profile = tern.profile()
    tern.up(profile)
    tern.kill()
    tern.down(profile, code=None)
    assert lab.client.state() == before


@pytest.mark.sanitize
@unhurried
def test_the_gateway_deletes_the_ike_sa(lab, tern, strongswan):
    """The Delete is answered, and a new IKE SA built, with everything as it was for the system."""
    strongswan.load(connection())
    tern.up(tern.profile(roaming=PATIENT))
    before, system = tern.status(), lab.client.state()
    strongswan.swanctl("--terminate", "--ike", "office", "--timeout", 5)
    status = wait_until(lambda: (s := agreed(tern, strongswan)) and s["reconnects"] == 1 and s, 10,
                        "another IKE SA")
    assert status["ike"]["spi_r"] != before["ike"]["spi_r"]
    assert status["addresses"] == before["addresses"]
    assert "deleted the IKE SA" in status["last_error"]
    assert lab.client.state() == system
    assert lab.client.ping(lab.INTRANET[0], 10) == 10
    assert "retransmit" not in strongswan.log_text()


@pytest.mark.sanitize
@unhurried
def test_the_gateway_deletes_the_child(lab, tern, strongswan):
    """The only one is made again, on the IKE SA that stands."""
    strongswan.load(connection())
    tern.up(tern.profile(roaming=PATIENT))
    before, system = tern.status(), lab.client.state()
    strongswan.swanctl("--terminate", "--child", "net", "--timeout", 5)
    old = before["children"][0]["spi_in"]
    status = wait_until(
        lambda: (s := agreed(tern, strongswan)) and s["children"][0]["spi_in"] != old and s, 10,
        "another Child SA")
    assert status["ike"]["spi_r"] == before["ike"]["spi_r"]
    assert status["reconnects"] == 0
    assert lab.client.state() == system
    assert lab.client.ping(lab.INTRANET[0], 10) == 10
    assert "retransmit" not in strongswan.log_text()


def test_liveness_of_the_gateway_is_answered(lab, tern):
    with swan.StrongSwan(lab.gateway) as gateway:
        gateway.load(connection(extra="dpd_delay = 1s"))
        tern.up(tern.profile())
        wait_until(lambda: gateway.log_text().count("sending DPD request") >= 2, 15, "two requests")
        wait_until(lambda: re.search(r"parsed INFORMATIONAL response \d+ \[ \]",
                                     gateway.log_text()), 5, "an answer")
        assert len(gateway.sas()) == 1
        assert lab.client.ping(lab.INTRANET[0]) == 1


# --- what it takes ---

def test_an_idle_client_is_small_and_keeps_no_descriptor(lab, tern, strongswan, intranet):
    strongswan.load(connection())
    profile = tern.profile()
    tern.up(profile)
    tern.status(profile)
    descriptors = tern.descriptors()
    for _ in range(20):
        tern.status(profile)
    path = next(p for p in tern.runtime.rglob("*") if p.is_socket())
    for _ in range(20):  # clients of the control socket that say nothing, or half of something
        with socket.socket(socket.AF_UNIX) as rude:
            rude.connect(str(path))
            rude.send(b'{"comm')
    intranet.exchange(lab.client, lab.INTRANET[0], 5_000_000)
    tern.status(profile)
    wait_until(lambda: tern.descriptors() == descriptors, 5, f"descriptors as before {descriptors}")
    assert tern.resident_kilobytes() < RESIDENT_MAX_KILOBYTES


def test_reconnecting_takes_the_same_every_time(lab, tern, strongswan):
    strongswan.load(connection())
    profile = tern.profile()
    held = []
    for _ in range(4):
        tern.up(profile)
        tern.status(profile)  # once it answers, it is past its start
        held.append(tern.descriptors())
        tern.down(profile)
        tern.wait_gone()
    # Sockets and pipes have numbers of their own every time.
    kinds = [[re.sub(r"\[\d+\]", "", name) for name in names] for names in held]
    assert all(k == kinds[0] for k in kinds), kinds
    assert strongswan.sas() == []


def test_the_control_socket_is_ours_alone(tern, strongswan):
    strongswan.load(connection())
    tern.up(tern.profile())
    (path,) = [p for p in tern.runtime.rglob("*") if p.is_socket()]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_valgrind_has_nothing_to_say(lab, tern, strongswan, pki):
    """A connection by certificate under valgrind: no error, no leak, no descriptor left."""
    if "-fsanitize" in (tern.binary.parent / "build.ninja").read_text():
        pytest.skip("sanitizers and valgrind exclude each other")
    credential, authority = pki.gateway("ecdsa256"), pki.authority("ecdsa256")
    strongswan.load(connection(**swan.by_certificate(credential, authority)), [credential],
                    [authority])
    profile = tern.profile(gateway=client.by_certificate(authority),
                           local=client.with_certificate(pki.client("ecdsa256")))
    report = tern.directory / "valgrind.log"
    child = tern.foreground(profile, "--timeout", 60, before=(
        "valgrind", "--error-exitcode=99", "--leak-check=full", "--track-fds=yes",
        "--errors-for-leak-kinds=definite,indirect,possible", f"--log-file={report}"))
    tern.wait_up(timeout=60)
    assert lab.client.ping(lab.INTRANET[0], 100, timeout=60) == 100
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == 0, report.read_text()
    text = report.read_text()
    assert "ERROR SUMMARY: 0 errors" in text, text
    # Some versions of valgrind count their own report, others do not.
    assert "FILE DESCRIPTORS: " in text
    still_open = re.findall(r"Open file descriptor \d+: (.*)", text)
    assert set(still_open) <= {str(report)}, text


# --- the same against tern-gateway ---

@pytest.mark.sanitize
@pytest.mark.parametrize("family", [0, 1], ids=["ipv4-outside", "ipv6-outside"])
def test_tern_gateway_with_a_pre_shared_key(lab, tern, tern_gateway, intranet, transfer_size,
                                            family):
    tern_gateway.start()
    before = lab.client.state()
    profile = tern.profile(gateway={"Address": lab.GATEWAY[family]})
    tern.up(profile)
    status = tern.status(profile)
    pools = [ipaddress.ip_network(pool) for pool in lab.POOLS]
    ours = [ipaddress.ip_interface(address).ip for address in status["addresses"]]
    assert [address in pool for address, pool in zip(ours, pools)] == [True, True]
    for address in lab.INTRANET:
        assert lab.client.ping(address, 1000) == 1000
    intranet.exchange(lab.client, lab.INTRANET[family], transfer_size)
    tern.down(profile)
    assert lab.client.state() == before


@pytest.mark.sanitize
@pytest.mark.parametrize("kind", ["rsa", "ecdsa384", "ed25519"])
def test_tern_gateway_with_certificates(lab, tern, tern_gateway, pki, kind):
    authority = pki.authority(kind)
    tern_gateway.start(certificate_config(pki.gateway(kind), authority))
    profile = tern.profile(gateway=client.by_certificate(authority),
                           local=client.with_certificate(pki.client(kind)))
    tern.up(profile)
    assert lab.client.ping(lab.INTRANET[0], 10) == 10
    tern.down(profile)


@pytest.mark.parametrize("lab", ["nat"], indirect=True)
def test_tern_gateway_behind_a_nat_with_a_full_tunnel(lab, tern, tern_gateway):
    everything = "0.0.0.0/0, ::/0"
    tern_gateway.start(psk_config(Networks=everything))
    tern.up(tern.profile(tunnel={"Routes": everything}))
    for address in (*lab.INTRANET, *lab.ELSEWHERE):
        assert lab.client.ping(address, 10) == 10
    assert tern.status()["path"]["nat"] is True
    tern.down()


@pytest.mark.sanitize
def test_tern_gateway_refuses_a_wrong_pre_shared_key(tern, tern_gateway):
    tern_gateway.start()
    profile = tern.profile(local={"PresharedKey": "not the key"})
    assert_failure(tern.up(profile, code=23), "AUTHENTICATION_FAILED")
    tern.wait_gone()


@pytest.mark.sanitize
def test_tern_gateway_refuses_what_it_must(tern, tern_gateway):
    tern_gateway.start(psk_config(IKE="aes256gcm16-prfsha384-x25519"))
    assert_failure(tern.up(tern.profile(crypto={"IKE": "aes128-sha256-ecp256"}), code=21))
    assert_failure(tern.up(tern.profile(tunnel={"Routes": "172.20.0.0/16"}), code=24))
    tern.up(tern.profile())  # and still serves those who may
    tern.down()


def test_tern_gateway_with_a_key_for_each_user(lab, tern, tern_gateway):
    tern_gateway.start(users={"alice@example.com": "hers alone"})
    refused = tern.up(tern.profile(), code=23)
    assert_failure(refused)
    profile = tern.profile(gateway={"PresharedKey": "hers alone"},
                           local={"PresharedKey": "hers alone"})
    tern.up(profile)
    assert lab.client.ping(lab.INTRANET[0]) == 1


@pytest.mark.sanitize
def test_tern_gateway_serves_several_clients(lab, build, tern_gateway, intranet):
    """Four clients at once, each with its own addresses; one leaves, the others stay."""
    tern_gateway.start()
    machines = [lab.client] + [lab.another_client(n) for n in (1, 2, 3)]
    clients = []
    for number, machine in enumerate(machines):
        tern = Tern(machine, build)
        tern.__enter__()
        clients.append(tern)
        tern.up(tern.profile(local={"Identity": f"user{number}@example.com"}))
    try:
        addresses = [a for tern in clients for a in tern.status()["addresses"]]
        assert len(addresses) == 8 and len(set(addresses)) == 8
        for machine in machines:
            for address in lab.INTRANET:
                assert machine.ping(address, 100) == 100
        intranet.exchange(machines[2], lab.INTRANET[0], 5_000_000)
        clients[0].down()
        assert [machine.ping(lab.INTRANET[0], 20) for machine in machines[1:]] == [20, 20, 20]
        clients[0].up(clients[0].directory / "office.conf")
        assert machines[0].ping(lab.INTRANET[0], 20) == 20
    finally:
        for tern in clients:
            tern.__exit__(None)


def test_tern_gateway_stops_and_tells_its_clients(lab, tern, tern_gateway):
    """SIGTERM deletes the SAs at the clients, and leaves no interface behind. They hold what they
    have until it is back, or until they are told to go."""
    before_there = lab.gateway.state()
    before = lab.client.state()
    tern_gateway.start()
    profile = tern.profile()
    tern.up(profile)
    assert tern_gateway.stop() == 0
    assert lab.gateway.state() == before_there
    held = wait_until(lambda: (s := tern.status())["state"] == "searching" and s, 10, "searching")
    assert "deleted the IKE SA" in held["last_error"] or lab.GATEWAY[0] in held["last_error"]
    tern_gateway.start()
    assert tern.wait_up()["addresses"] == held["addresses"]
    assert lab.client.ping(lab.INTRANET[0], 10) == 10
    assert tern_gateway.stop() == 0
    wait_until(lambda: tern.status()["state"] == "searching", 10, "searching")
    tern.down(profile)
    tern.wait_gone()
    assert lab.client.state() == before
