"""Addresses inside and outside, networks in between, and what may enter the tunnel."""

import subprocess

import pytest

import strongswan as swan
from gateway import psk_config
from lab import RESOLV_CONF, Lab, wait_until
from strongswan import connection

FULL = "0.0.0.0/0, ::/0"


def assert_only_the_tunnel(capture, *secrets):
    """On the outer wire there is IKE and ESP in UDP, what neighbours need to find each other, and
    nothing of what was said inside."""
    outside = ("not (udp.port == 500 or udp.port == 4500) and not arp and "
               "not (icmpv6.type >= 130 and icmpv6.type <= 143)")
    strangers = capture.tshark("-Y", outside)
    assert strangers == "", strangers
    for secret in secrets:
        assert not capture.contains(secret)


def addresses(machine, interface):
    text = machine.run("ip", "-o", "addr", "show", "dev", interface, "scope", "global").stdout
    return sorted(line.split()[3] for line in text.splitlines())


@pytest.mark.parametrize("pools,request_address,index", [
    ("pool4", "ipv4", 0), ("pool6", "ipv6", 1)], ids=["ipv4", "ipv6"])
def test_one_virtual_address(lab, tern, strongswan, pools, request_address, index):
    networks = ("10.9.0.0/24", "fd09::/64")
    strongswan.load(connection(pools=pools))
    profile = tern.profile(tunnel={"RequestAddress": request_address})
    tern.up(profile)
    status = tern.status(profile)
    (address,) = status["addresses"]
    assert address == ("10.7.0.1/32", "fd07::1/128")[index]
    assert addresses(lab.client, status["interface"]) == [address]
    assert lab.client.ping(lab.INTRANET[index]) == 1
    assert [r for r in status["routes"] if r == networks[index]]
    assert status["dns"] == [("10.9.0.53", "fd09::53")[index]]


@pytest.mark.sanitize
def test_both_virtual_addresses(lab, tern, strongswan):
    strongswan.load(connection())
    profile = tern.profile()
    tern.up(profile)
    status = tern.status(profile)
    assert sorted(status["addresses"]) == ["10.7.0.1/32", "fd07::1/128"]
    assert addresses(lab.client, status["interface"]) == ["10.7.0.1/32", "fd07::1/128"]
    assert sorted(status["dns"]) == ["10.9.0.53", "fd09::53"]
    assert sorted(status["routes"]) == ["10.9.0.0/24", "fd09::/64"]
    (child,) = strongswan.children()
    assert child["remote-ts"] == ["10.7.0.1/32", "fd07::1/128"]
    for address in lab.INTRANET:
        assert lab.client.ping(address, 20) == 20


def test_a_fixed_address_is_asked_for(lab, tern, strongswan):
    strongswan.load(connection())
    profile = tern.profile(tunnel={"RequestAddress": "10.7.0.77"})
    tern.up(profile)
    # Its pool gives what it likes; what we asked for is in its log, what it gave is what we use.
    assert "peer requested virtual IP 10.7.0.77" in strongswan.log.read_text()
    (child,) = strongswan.children()
    assert tern.status(profile)["addresses"] == child["remote-ts"]
    assert lab.client.ping(lab.INTRANET[0]) == 1


def test_no_virtual_address(lab, tern, strongswan):
    """RequestAddress = none: our own address is the selector."""
    strongswan.load(connection(pools="", dns=None))
    profile = tern.profile(tunnel={"RequestAddress": "none", "Routes": "10.9.0.0/24"})
    tern.up(profile)
    assert tern.status(profile)["addresses"] == []
    (child,) = strongswan.children()
    assert child["remote-ts"] == [f"{lab.CLIENT[0]}/32"]
    assert lab.client.ping(lab.INTRANET[0], 20) == 20


def test_ipv6_outside(lab, tern, strongswan, intranet):
    strongswan.load(connection())
    profile = tern.profile(gateway={"Address": lab.GATEWAY[1]})
    with lab.client.capture("up0") as capture:
        tern.up(profile)
        assert tern.status(profile)["gateway"]["address"] == lab.GATEWAY[1]
        for address in lab.INTRANET:
            assert lab.client.ping(address, 100) == 100
        intranet.exchange(lab.client, lab.INTRANET[0], 5_000_000)
        tern.down(profile)
    assert capture.tshark("-Y", "esp and ipv6") != ""
    assert capture.tshark("-Y", "esp and ip") == ""  # where it was slow, the client has asked there
    assert_only_the_tunnel(capture)


@pytest.mark.parametrize("lab", ["nat"], indirect=True)
@pytest.mark.parametrize("family", [0, 1], ids=["ipv4", "ipv6"])
def test_behind_a_nat(lab, tern, strongswan, intranet, family):
    strongswan.load(connection())
    profile = tern.profile(gateway={"Address": lab.GATEWAY[family]})
    with lab.gateway.capture("wan0") as capture:
        tern.up(profile)
        status = tern.status(profile)
        for address in lab.INTRANET:
            assert lab.client.ping(address, 100) == 100
        intranet.exchange(lab.client, lab.INTRANET[0], 5_000_000)
        (sa,) = strongswan.sas()
        tern.down(profile)
    assert status["path"]["nat"] is True
    assert status["path"]["local"] == lab.CLIENT[family]
    assert sa["remote-host"] == lab.UPLINK[family]
    assert sa["nat-remote"] == "yes"
    # After IKE_SA_INIT everything is on 4500, from whatever port the translator chose.
    later = "isakmp.exchangetype >= 35 or esp"
    assert {row[0] for row in capture.fields(later, "udp.port")} != set()
    assert all("4500" in row[0].split(",") for row in capture.fields(later, "udp.port"))
    assert_only_the_tunnel(capture)


@pytest.mark.parametrize("family", [0, 1], ids=["ipv4-outside", "ipv6-outside"])
def test_full_tunnel(lab, tern, strongswan, intranet, family):
    """Everything goes inside, our own outer packets do not, and nothing shows on the wire."""
    strongswan.load(connection(local_ts=FULL))
    profile = tern.profile(gateway={"Address": lab.GATEWAY[family]}, tunnel={"Routes": FULL})
    before = lab.client.state()
    secret = b"no ear shall hear this"
    with lab.client.capture("up0") as capture:
        tern.up(profile)
        for address in (*lab.INTRANET, *lab.ELSEWHERE):
            assert lab.client.ping(address, 20) == 20
        intranet.exchange(lab.client, lab.ELSEWHERE[0], 5_000_000)
        lab.client.run("ping", "-c2", "-i0.1", "-p", secret[:16].hex(), lab.ELSEWHERE[0])
        # The gateway's own address is reached from inside as well: a loop would end here.
        assert lab.client.ping(lab.GATEWAY[1 - family], 5) == 5
        assert sorted(tern.status(profile)["routes"]) == ["0.0.0.0/0", "::/0"]
        tern.down(profile)
    assert_only_the_tunnel(capture, secret[:16])
    assert lab.client.state() == before


def test_full_tunnel_with_an_excluded_network(lab, tern, strongswan):
    """The path to Exclude= stays outside, and is the only thing that does."""
    strongswan.load(connection(local_ts=FULL))
    outside = lab.UPLINK[0]
    profile = tern.profile(tunnel={"Routes": FULL, "Exclude": f"{outside}/32, 192.168.0.0/16"})
    with lab.client.capture("up0") as capture:
        tern.up(profile)
        assert lab.client.ping(outside, 5) == 5
        assert lab.client.ping(lab.ELSEWHERE[0], 5) == 5
        tern.down(profile)
    plain = capture.fields("icmp and not esp", "ip.dst", "ip.src")
    assert plain and {a for row in plain for a in row} == {outside, lab.CLIENT[0]}


def test_a_more_specific_route_of_the_local_network_does_not_win(lab, tern, strongswan):
    """TunnelVision: a DHCP server's route to the intranet must not beat the tunnel."""
    strongswan.load(connection())
    profile = tern.profile()
    tern.up(profile)
    lab.client.ip(f"route add 10.9.0.80/32 via {lab.ROUTER[0]} dev up0")
    with lab.client.capture("up0") as capture:
        assert lab.client.ping(lab.INTRANET[0], 5) == 5
    assert capture.tshark("-Y", "icmp") == ""


def test_selectors_are_narrowed_by_the_gateway(lab, tern, strongswan):
    """We ask for everything, it serves two networks: those are routed, and nothing else."""
    strongswan.load(connection())
    profile = tern.profile(tunnel={"Routes": FULL})
    tern.up(profile)
    status = tern.status(profile)
    assert sorted(status["routes"]) == ["10.9.0.0/24", "fd09::/64"]
    assert sorted(status["children"][0]["remote"]) == ["10.9.0.0/24", "fd09::/64"]
    assert lab.client.ping(lab.INTRANET[0], 5) == 5
    with lab.client.capture("up0") as capture:
        lab.client.ping(lab.UPLINK[0])
    assert len(capture.fields("icmp", "ip.dst")) >= 2  # outside, as before


def test_selectors_are_narrowed_by_us(lab, tern, strongswan):
    """It serves everything, we ask for one network."""
    strongswan.load(connection(local_ts=FULL))
    profile = tern.profile(tunnel={"Routes": "10.9.0.0/25"})
    tern.up(profile)
    assert tern.status(profile)["routes"] == ["10.9.0.0/25"]
    (child,) = strongswan.children()
    assert child["local-ts"] == ["10.9.0.0/25"]
    assert lab.client.ping(lab.INTRANET[0], 5) == 5
    inside = lab.client.run("ip", "route", "get", "10.9.0.80").stdout
    outside = lab.client.run("ip", "route", "get", "10.9.0.200").stdout
    assert " dev tern" in inside and " dev up0" in outside


def test_two_addresses_for_one_gateway(lab, tern, strongswan):
    """The first does not answer; the second does."""
    strongswan.load(connection())
    profile = tern.profile(gateway={"Address": f"203.0.113.99, {lab.GATEWAY[0]}"})
    tern.up(profile)
    assert tern.status(profile)["gateway"]["address"] == lab.GATEWAY[0]
    assert lab.client.ping(lab.INTRANET[0]) == 1


def test_the_gateway_by_name(lab, tern, strongswan):
    """A name with addresses of both families (as /etc/hosts knows it)."""
    hosts = lab.client.directory / "hosts"
    hosts.write_text("127.0.0.1 localhost\n" +
                     "".join(f"{a} vpn.example.com\n" for a in lab.GATEWAY))
    lab.client.run("mount", "--bind", hosts, "/etc/hosts")
    strongswan.load(connection())
    profile = tern.profile(gateway={"Address": "vpn.example.com", "Identity": None})
    tern.up(profile)
    status = tern.status(profile)
    assert status["gateway"]["host"] == "vpn.example.com"
    assert status["gateway"]["identity"] == "vpn.example.com"
    assert status["gateway"]["address"] in Lab.GATEWAY


def test_servers_for_names_go_to_resolvconf(lab, tern, strongswan):
    """DNS = auto where resolvconf is what the system has; and it is told when the tunnel ends."""
    log = lab.client.directory / "resolvconf.calls"
    program = lab.client.directory / "resolvconf"
    program.write_text(f'#!/bin/sh\necho "$@" >> {log}\n[ "$1" = -d ] || cat >> {log}\n')
    program.chmod(0o755)
    # The machine's own /sbin is not ours to write to.
    lab.client.run("sh", "-c", 'for d in /usr/local/sbin /usr/local/bin; do '
                   'mount -t tmpfs tmpfs $d && cp "$1" $d/resolvconf; done', "sh", program)
    strongswan.load(swan.connection())
    profile = tern.profile(tunnel={"DNS": "auto"})
    tern.up(profile)
    told = log.read_text()
    assert "nameserver 10.9.0.53" in told and "nameserver fd09::53" in told
    interface = tern.status(profile)["interface"]
    tern.down(profile)
    calls = [line for line in log.read_text().splitlines() if line.startswith("-")]
    assert calls[0].startswith(f"-a {interface}") and calls[-1].startswith(f"-d {interface}")
    assert lab.client.resolv_conf.read_text() == RESOLV_CONF


@pytest.mark.sanitize
def test_a_gateway_that_comes_back_with_other_addresses(lab, tern, tern_gateway):
    """It forgot everything and has another pool now: the interface stays, its addresses change, and
    meanwhile nothing that belongs into the tunnel goes beside it."""
    before = lab.client.state()
    tern_gateway.start(psk_config(Pool="10.7.0.0/24"))
    profile = tern.profile(tunnel={"RequestAddress": "ipv4"}, roaming={"DPD": "1s"})
    tern.up(profile)
    first = tern.status(profile)
    pings = lab.client.spawn("ping", "-n", "-i", "0.02", lab.INTRANET[0],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with lab.client.capture("up0") as capture:
            tern_gateway.kill()
            tern_gateway.start(psk_config(Pool="10.77.0.0/24"))
            wait_until(lambda: tern.status(profile)["addresses"] == ["10.77.0.2/32"], 30,
                       "the new address")
            wait_until(lambda: lab.client.ping(lab.INTRANET[0], 1), 10, "traffic")
        assert_only_the_tunnel(capture)
    finally:
        pings.terminate()
        pings.wait()
    status = tern.status(profile)
    assert (status["state"], status["interface"]) == ("up", first["interface"])
    assert status["reconnects"] == 1
    assert lab.client.ping(lab.INTRANET[0], 100) == 100
    addresses = lab.client.run("ip", "-o", "addr", "show", "dev", status["interface"]).stdout
    assert "10.77.0.2/32" in addresses and "10.7.0." not in addresses
    routes = lab.client.run("ip", "route", "get", lab.INTRANET[0]).stdout
    assert "src 10.77.0.2" in routes
    tern.down(profile)
    assert lab.client.state() == before


def test_sent_to_a_gateway_that_is_none(lab, tern, tern_gateway):
    """Where the first one names nobody answers: then the first one it is."""
    tern_gateway.start(psk_config(Redirect="192.0.2.1"))
    profile = tern.profile()
    tern.up(profile, "--timeout", "60")
    assert tern.status(profile)["gateway"]["address"] == lab.GATEWAY[0]
    tern.down(profile)
