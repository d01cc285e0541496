"""Servers for names go to systemd-resolved, and to nobody's files."""

import re

import pytest

from client import assert_failure
from lab import RESOLV_CONF, wait_until
from resolved import Resolved
from strongswan import connection

pytestmark = pytest.mark.sanitize

FULL = "0.0.0.0/0, ::/0"
REVERSE = ("~0.9.10.in-addr.arpa "
           "~0.0.0.0.0.0.0.0.0.0.0.0.9.0.d.f.ip6.arpa")


@pytest.fixture
def resolved(lab, build):
    with Resolved(lab.client, build) as it:
        yield it


@pytest.fixture(autouse=True)
def the_system_is_as_before(lab, tern):
    """Whatever happened: nothing of ours is left, and nobody's resolv.conf was touched."""
    before = lab.client.state()
    yield
    tern.run("down", code=None)
    tern.wait_gone()
    assert lab.client.state() == before
    assert lab.client.run("cat", "/etc/resolv.conf").stdout == RESOLV_CONF


def gateway_with_domains(**kwargs):
    """RFC 8598: the gateway names the domains inside (attribute 25 is INTERNAL_DNS_DOMAIN)."""
    text = connection(**kwargs)
    return text.replace("addrs = 10.7.0.0/24", "addrs = 10.7.0.0/24\n25 = corp.example")


def servers(line):
    return sorted(line.split()[3:])


def test_split_dns(tern, strongswan, resolved):
    """Names under the gateway's domains and the addresses inside; the rest goes where it went.
    Domains come before servers, and both before the link is up."""
    resolved.start()
    strongswan.load(gateway_with_domains())
    profile = tern.profile(tunnel={"DNS": "auto"})
    tern.up(profile)
    status = tern.status(profile)
    interface = status["interface"]
    domains, default_route, dns = resolved.lines()
    assert domains == f"SetLinkDomains {interface} down ~corp.example {REVERSE}"
    assert default_route == f"SetLinkDefaultRoute {interface} down no"
    assert dns.startswith(f"SetLinkDNS {interface} down ")
    assert servers(dns) == ["10.9.0.53", "fd09::53"]
    assert status["domains"] == ["corp.example"]
    # Not every gateway tells what it was not asked for.
    assert re.search(r"CPRQ\([^)]*DOMAIN", strongswan.log_text())
    tern.down(profile)
    tern.wait_gone()
    assert re.fullmatch(f"RevertLink {interface} (up|down)", resolved.lines()[3])
    assert len(resolved.lines()) == 4


@pytest.mark.parametrize("routes", [FULL, "10.9.0.0/24"], ids=["full", "no-domains"])
def test_all_names(tern, strongswan, resolved, routes):
    """A tunnel for everything takes every name; and so do servers that came without domains
    (RFC 7296), as nothing says what else they would be for."""
    resolved.start()
    strongswan.load(gateway_with_domains(local_ts=FULL) if routes == FULL else connection())
    profile = tern.profile(tunnel={"DNS": "auto", "Routes": routes})
    tern.up(profile)
    interface = tern.status(profile)["interface"]
    domains, default_route, dns = resolved.lines()
    more = " ~corp.example" if routes == FULL else ""
    assert domains == f"SetLinkDomains {interface} down ~.{more}"
    assert default_route == f"SetLinkDefaultRoute {interface} down yes"
    assert "10.9.0.53" in servers(dns)


@pytest.mark.parametrize("command", ["up", "down"])
def test_after_a_sigkill(lab, tern, strongswan, resolved, command):
    """The next start, and `down`, take back what the dead process had said."""
    resolved.start()
    strongswan.load(connection())
    profile = tern.profile(tunnel={"DNS": "auto"})
    tern.up(profile)
    link = lab.client.run("ip", "-o", "link", "show", tern.status(profile)["interface"]).stdout
    index = link.split(":")[0]
    assert len(resolved.lines()) == 3
    tern.kill()
    tern.run(command, profile, code=0 if command == "up" else None)
    lines = resolved.lines()
    assert lines[3] == f"RevertLink {index} absent"
    assert len(lines) == (7 if command == "up" else 4)


def test_dns_off_tells_nobody(tern, strongswan, resolved):
    resolved.start()
    strongswan.load(connection())
    profile = tern.profile(tunnel={"DNS": "off"})
    tern.up(profile)
    assert sorted(tern.status(profile)["dns"]) == ["10.9.0.53", "fd09::53"]
    tern.down(profile)
    assert resolved.lines() == []


def test_resolved_refuses(lab, tern, strongswan, resolved):
    resolved.start("--refuse", "SetLinkDNS")
    strongswan.load(connection())
    result = tern.up(tern.profile(tunnel={"DNS": "auto"}), code=26)
    assert_failure(result, "systemd-resolved: SetLinkDNS: not today")
    assert resolved.lines()[-1].startswith("RevertLink tern")
    strongswan.wait_for_sas(0)


def test_neither_resolved_nor_resolvconf(lab, tern, strongswan):
    """Nobody takes the servers: that is said, with what to do, and nothing is left half done."""
    strongswan.load(connection())
    profile = tern.profile(tunnel={"DNS": "auto"})
    result = lab.client.run("env", "PATH=/nowhere", *tern.command("up", profile), check=False,
                            env=tern.env)
    assert result.returncode == 26, result.stderr
    assert_failure(result, "neither systemd-resolved nor resolvconf", "DNS = off")
    assert lab.client.interfaces() == ["lo", "up0"]
    strongswan.wait_for_sas(0)


def test_resolved_is_restarted(tern, strongswan, resolved):
    """A new one, which knows nothing, is told the same again; and goes without it do no harm."""
    resolved.start()
    strongswan.load(gateway_with_domains())
    profile = tern.profile(tunnel={"DNS": "auto"})
    tern.up(profile)
    first = resolved.lines()
    for round_ in (1, 2):
        resolved.stop()
        assert tern.status(profile)["state"] == "up"
        resolved.start()
        wait_until(lambda: len(resolved.lines()) == 3 * (round_ + 1), 10, "the same again")
        assert [line.replace(" up ", " down ") for line in resolved.lines()[-3:]] == first
    tern.down(profile)
    assert resolved.lines()[-1].startswith("RevertLink tern")


def test_the_bus_goes_away(lab, tern, strongswan, resolved):
    """The tunnel stays, and its end is as clean as it can be."""
    resolved.start()
    strongswan.load(connection())
    profile = tern.profile(tunnel={"DNS": "auto"})
    tern.up(profile)
    resolved.bus.kill()
    wait_until(lambda: "the system bus is gone" in tern.log.read_text(), 10, "the client to see it")
    assert lab.client.ping(lab.INTRANET[0]) == 1
    tern.down(profile)
