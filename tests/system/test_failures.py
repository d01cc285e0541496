"""What goes wrong ends with the right exit code and with words that say what was seen."""

import os
import pathlib
import re
import signal
import time

import pytest

import client
import strongswan as swan
from client import assert_failure
from gateway import psk_config
from lab import RESOLV_CONF, wait_until
from strongswan import connection

pytestmark = pytest.mark.sanitize

USAGE, NO_PROFILE, PROFILE_INVALID, RUNNING = 2, 10, 11, 12
UNREACHABLE, NO_PROPOSAL, UNTRUSTED, REFUSED, SELECTORS, PRIVILEGE = 20, 21, 22, 23, 24, 25


@pytest.fixture(autouse=True)
def nothing_is_left(lab, tern):
    """After any failure the system is as it was, and no process stays."""
    before = lab.client.state()
    yield
    assert tern.pids() == []
    assert lab.client.state() == before


# --- the gateway says no, or we do ---

def test_wrong_pre_shared_key(tern, strongswan):
    """RFC 7296: the responder cannot verify us, and says AUTHENTICATION_FAILED."""
    strongswan.load(connection())
    profile = tern.profile(local={"PresharedKey": "not the key"})
    assert_failure(tern.up(profile, code=REFUSED), "AUTHENTICATION_FAILED", "alice@example.com")
    assert strongswan.sas() == []


def test_gateway_with_another_pre_shared_key(tern, strongswan):
    """Our own proof is accepted, its proof is not; and neither key is shown to anybody."""
    strongswan.load(connection(psk="the one of us"))
    profile = tern.profile(gateway={"PresharedKey": "quite another"},
                           local={"PresharedKey": "the one of us"})
    result = tern.up(profile, code=UNTRUSTED)
    assert_failure(result)
    for text in (result.stderr, tern.log.read_text()):
        assert "quite another" not in text and "the one of us" not in text
    strongswan.wait_for_sas(0)


def refuse_certificate(tern, gateway, credential, authorities, trusted, identity=None):
    how = swan.by_certificate(credential, authorities[0])
    gateway.load(connection(local=how["local"], identity=identity), [credential], authorities)
    result = tern.up(tern.profile(gateway=client.by_certificate(trusted)), code=UNTRUSTED)
    # Nothing of ours is accepted by the gateway before it is proven; it holds no SA afterwards.
    gateway.wait_for_sas(0)
    return result


def test_gateway_certificate_of_another_authority(tern, strongswan, pki):
    other = pki.authority("ecdsa256", "other-ca")
    credential = pki.gateway("ecdsa256", authority=other, label="gateway-of-other-ca")
    result = refuse_certificate(tern, strongswan, credential, [other], pki.authority("ecdsa256"))
    assert_failure(result, "tern test other-ca")


def test_gateway_certificate_has_expired(tern, strongswan, pki):
    authority = pki.authority("ecdsa256")
    credential = pki.gateway("ecdsa256", authority=authority, days=(-30, -1),
                             label="gateway-expired")
    assert_failure(refuse_certificate(tern, strongswan, credential, [authority], authority),
                   "expired")


def test_gateway_certificate_is_not_yet_valid(tern, strongswan, pki):
    authority = pki.authority("ecdsa256")
    credential = pki.gateway("ecdsa256", authority=authority, days=(10, 30),
                             label="gateway-early")
    assert_failure(refuse_certificate(tern, strongswan, credential, [authority], authority),
                   "is not yet valid")


def test_gateway_certificate_is_for_another_name(tern, strongswan, pki):
    authority = pki.authority("ecdsa256")
    credential = pki.gateway("ecdsa256", name="vpn.example.net", authority=authority,
                             label="gateway-other-name")
    result = refuse_certificate(tern, strongswan, credential, [authority], authority,
                                identity="vpn.example.net")
    assert_failure(result, "vpn.example.net", "vpn.example.com")


def test_no_common_ike_proposal(tern, strongswan):
    strongswan.load(connection(proposals="aes256-sha256-modp2048"))
    profile = tern.profile(crypto={"IKE": "aes128gcm16-prfsha256-x25519"})
    assert_failure(tern.up(profile, code=NO_PROPOSAL), "NO_PROPOSAL_CHOSEN",
                   "aes128gcm16-prfsha256-x25519")


def test_no_common_esp_proposal(tern, strongswan):
    """The child is refused; the IKE SA that came with it must not be left behind."""
    strongswan.load(connection(esp="aes256-sha256"))
    profile = tern.profile(crypto={"ESP": "aes128gcm16"})
    assert_failure(tern.up(profile, code=NO_PROPOSAL), "NO_PROPOSAL_CHOSEN", "aes128gcm16")
    strongswan.wait_for_sas(0)


def test_selectors_refused(tern, strongswan):
    strongswan.load(connection())
    profile = tern.profile(tunnel={"Routes": "172.20.0.0/16"})
    assert_failure(tern.up(profile, code=SELECTORS), "TS_UNACCEPTABLE", "172.20.0.0/16")
    strongswan.wait_for_sas(0)


def test_no_address_for_us(tern, strongswan):
    strongswan.load(connection(pools=""))
    assert_failure(tern.up(tern.profile(), code=SELECTORS), "address")
    strongswan.wait_for_sas(0)


# --- nobody there ---

def assert_backs_off(times):
    """The first interval is no flood, and each is longer than the one before was meant to be: on a
    busy machine it may have been longer than that."""
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert len(gaps) >= 2, f"only {len(times)} transmissions"
    for number, gap in enumerate(gaps):
        assert gap >= 0.45 * 1.5 ** number, gaps


def test_absent_gateway(lab, tern):
    """A machine that swallows everything: bounded, and retransmitted ever more slowly."""
    lab.gateway.nft("""
        table inet silence { chain in { type filter hook input priority 0; policy drop
            meta l4proto ipv6-icmp accept
        }
        }""")
    profile = tern.profile()
    start = time.monotonic()
    with lab.client.capture("up0") as capture:
        result = tern.run("up", profile, "--timeout", 8, code=UNREACHABLE, timeout=15)
    assert time.monotonic() - start > 7
    assert_failure(result, lab.GATEWAY[0])
    rows = capture.fields("isakmp.exchangetype == 34", "frame.time_epoch", "udp.payload")
    assert_backs_off([float(time) for time, _ in rows])
    assert len({payload for _, payload in rows}) == 1, "retransmissions are not byte-identical"


def test_gateway_that_is_silent_on_4500(lab, tern, strongswan):
    """IKE_SA_INIT is answered, IKE_AUTH is not: the words tell the two apart."""
    strongswan.load(connection())
    lab.gateway.nft("""
        table inet silence { chain in { type filter hook input priority 0
            udp dport 4500 drop
        }
        }""")
    result = tern.run("up", tern.profile(), "--timeout", 8, code=UNREACHABLE, timeout=15)
    assert_failure(result, "4500")


def test_no_route_to_the_gateway(lab, tern):
    profile = tern.profile(gateway={"Address": "198.51.100.250"})
    lab.client.ip("route del default via 192.0.2.1")
    try:
        result = tern.run("up", profile, "--timeout", 3, code=UNREACHABLE, timeout=15)
        assert_failure(result)
    finally:
        lab.client.ip("route add default via 192.0.2.1")


def test_a_name_that_does_not_resolve(tern):
    profile = tern.profile(gateway={"Address": "vpn.invalid"})
    result = tern.run("up", profile, "--timeout", 3, code=UNREACHABLE, timeout=15)
    assert_failure(result, "vpn.invalid")


# --- this machine ---

@pytest.mark.parametrize("command", ["up", "check"])
def test_profile_with_faults(tern, command):
    """Every fault has its file and line; nothing is sent."""
    path = tern.write_profile(
        "[Gateway]\nAddress = 203.0.113.1\nAuthentication = psk\nPresharedKey = x\n\n"
        "[Local]\nAuthentication = psk\nPresharedKey = x\nIdentity = alice@example.com\n\n"
        "[Tunnel]\nMTU = 12\nRoute = 10.0.0.0/8\n")
    result = tern.run(command, path, code=PROFILE_INVALID)
    text = result.stdout + result.stderr
    assert f"{path}:12: " in text and "MTU" in text
    assert f"{path}:13: " in text and "Route" in text


def test_check_accepts_what_up_accepts(tern, pki):
    authority, ours = pki.authority("ed25519"), pki.client("ed25519")
    profile = tern.profile(gateway=client.by_certificate(authority),
                           local=client.with_certificate(ours))
    tern.run("check", profile)


def test_nothing_enciphered_is_warned_of(lab, tern, tern_gateway):
    """RFC 2410, for debugging: only where the profile names it, and not in silence."""
    tern_gateway.start(psk_config(ESP="null-sha256"))
    result = tern.run("check", tern.profile(crypto={"ESP": "aes256gcm16, null-sha256"}))
    assert "warning: ESP offers null" in result.stderr and "office.conf:" in result.stderr
    assert "warning" not in tern.run("check", tern.profile("plain")).stderr
    tern.up(tern.profile("plain"), code=NO_PROPOSAL)
    tern.up(tern.profile(crypto={"ESP": "aes256gcm16, null-sha256"}))
    with lab.client.capture("up0") as capture:
        lab.client.run("ping", "-n", "-c1", "-p", b"plain".hex(), lab.INTRANET[0])
    assert capture.contains(b"plainplainplain")
    assert "the Child SA enciphers nothing" in tern.log.read_text()
    tern.down()
    tern.wait_gone()


def test_check_finds_a_key_that_does_not_fit(tern, pki):
    authority, ours = pki.authority("ed25519"), pki.client("ed25519")
    other = pki.client("ecdsa256")
    profile = tern.profile(gateway=client.by_certificate(authority), local={
        **client.with_certificate(ours), "PrivateKey": other.key_file})
    result = tern.run("check", profile, code=PROFILE_INVALID)
    lines = profile.read_text().splitlines()
    numbers = [n for n, line in enumerate(lines, 1) if line.startswith(("PrivateKey", "Cert"))]
    text = result.stdout + result.stderr
    assert any(f"{profile}:{n}: " in text for n in numbers), text


def test_unknown_profile(tern):
    assert_failure(tern.run("up", "no-such-profile", code=NO_PROFILE), "no-such-profile")
    assert_failure(tern.run("check", "./no/such.conf", code=NO_PROFILE), "no/such.conf")


@pytest.mark.parametrize("arguments", [
    (), ("fly",), ("up",), ("up", "--no-such-option", "x"), ("up", "x", "--timeout", "soon"),
    ("status", "a", "b", "c")], ids=" ".join)
def test_usage(tern, arguments):
    result = tern.run(*arguments, code=USAGE)
    assert result.stderr and result.stdout == ""


def test_help_and_version_are_no_errors(tern):
    for arguments in (("--help",), ("up", "--help"), ("--version",)):
        result = tern.run(*arguments)
        assert result.stdout and result.stderr == ""


def assert_secret_refused(tern, profile, secret):
    """FILE:LINE, which file is open to whom, and how to close it."""
    result = tern.run("up", profile, code=PROFILE_INVALID)
    assert_failure(result, f"{secret} is open to other users", f"chmod 600 {secret}")
    assert re.search(rf"{re.escape(str(profile))}:\d+: ", result.stderr)


def test_secret_that_others_can_read(tern):
    profile = tern.profile()
    profile.chmod(0o644)
    assert_secret_refused(tern, profile, profile)


def test_secret_file_that_others_can_read(tern):
    secret = tern.directory / "key"
    secret.write_text("x\n")
    secret.chmod(0o640)
    profile = tern.profile(local={"PresharedKey": None, "PresharedKeyFile": secret})
    assert_secret_refused(tern, profile, secret)


def test_private_key_that_others_can_read(tern, pki):
    ours = pki.client("ed25519")
    key = tern.directory / "open.key"
    key.write_bytes(ours.key_file.read_bytes())
    key.chmod(0o644)
    profile = tern.profile(gateway=client.by_certificate(pki.authority("ed25519")), local={
        **client.with_certificate(ours), "PrivateKey": key})
    assert_secret_refused(tern, profile, key)


def test_without_the_right_to_change_the_network(lab, tern, strongswan):
    """No CAP_NET_ADMIN: said before anything is sent, with the line that mends it."""
    strongswan.load(connection())
    with lab.client.capture("up0") as capture:
        result = lab.client.run(
            "setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin",
            *tern.command("up", tern.profile()), check=False, env=tern.env)
    assert result.returncode == PRIVILEGE, result.stderr
    assert_failure(result, "CAP_NET_ADMIN", "setcap")
    assert capture.tshark("-Y", "isakmp") == ""


def test_without_the_tun_device(lab, tern, strongswan):
    strongswan.load(connection())
    lab.client.run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", "/dev/net")
    result = tern.run("up", tern.profile(), code=PRIVILEGE)
    assert_failure(result, "/dev/net/tun")


def test_interface_name_is_taken(lab, tern, strongswan):
    strongswan.load(connection())
    lab.client.ip("tuntap add mode tun name wg7")
    try:
        result = tern.up(tern.profile(tunnel={"Interface": "wg7"}), code=PRIVILEGE)
        assert_failure(result, "wg7")
    finally:
        lab.client.ip("tuntap del dev wg7 mode tun")
    strongswan.wait_for_sas(0)


def test_already_running(lab, tern, strongswan):
    strongswan.load(connection())
    profile = tern.profile()
    tern.up(profile)
    assert_failure(tern.up(profile, code=RUNNING), "office")
    assert lab.client.ping(lab.INTRANET[0]) == 1
    assert len(strongswan.sas()) == 1
    tern.down(profile)
    tern.wait_gone()


def test_not_running(tern):
    profile = tern.profile()
    assert_failure(tern.down(profile, code=RUNNING), "office")
    assert_failure(tern.down(code=RUNNING))
    assert_failure(tern.run("status", profile, code=RUNNING), "office")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# name -> (what breaks sending, what mends it)
BROKEN = {
    "EPERM": (("nft", "add table inet no; add chain inet no out { type filter hook output priority 0; "
               "}; add rule inet no out udp dport 4500 drop"), ("nft", "delete table inet no")),
    "ENETUNREACH": (("ip", "route", "del", "default", "via", "192.0.2.1"),
                    ("ip", "route", "add", "default", "via", "192.0.2.1")),
    "EMSGSIZE": (("ip", "link", "set", "up0", "mtu", 1280), ("ip", "link", "set", "up0", "mtu", 1500)),
}


@pytest.mark.sanitize
@pytest.mark.parametrize("what", BROKEN)
def test_sending_fails_for_a_while(lab, tern, strongswan, what):
    """Packets are dropped, or cut where they are too long; the client does not spin, does not fill
    its log, and goes on as if nothing had been."""
    strongswan.load(connection())
    tern.up(tern.profile(), "--log-level", "info")
    (pid,) = tern.pids()
    before = tern.status()
    assert lab.client.ping(lab.INTRANET[0], 5) == 5
    lines = len(tern.log.read_text().splitlines())
    breaks, mends = BROKEN[what]
    spent, start = cpu_seconds(pid), time.monotonic()
    lab.client.run(*breaks)
    # Five hundred attempts, without waiting for answers; no longer than a second on a busy machine
    # either, for after three the client holds what it has and begins anew beside it.
    lab.client.run("ping", "-n", "-q", "-c", 500, "-i", 0.002, "-s", 1300, "-w", 1, lab.INTRANET[0],
                   check=False)
    lab.client.run(*mends)
    seconds = time.monotonic() - start
    assert cpu_seconds(pid) - spent < seconds / 2
    # That it moved to another path and back, where that took long, is told as well.
    assert len(tern.log.read_text().splitlines()) - lines <= seconds + 15
    assert lab.client.ping(lab.INTRANET[0], 20, timeout=20) == 20
    after = tern.status()
    for key in ("state", "pid", "reconnects"):
        assert after[key] == before[key], key
    for key in ("spi_i", "spi_r", "rekeys"):
        assert after["ike"][key] == before["ike"][key], key
    tern.down()
    tern.wait_gone()


# --- a resolver that does not answer ---

@pytest.fixture
def silent_resolver(lab):
    """The client's name server is there and says nothing; the client's patience with it is minutes."""
    lab.gateway.nft("""
        table inet resolver { chain in { type filter hook input priority 0
            udp dport 53 drop
        }
        }""")
    lab.client.run("sh", "-c", "cat > /etc/resolv.conf", input=(
        f"nameserver {lab.GATEWAY[0]}\noptions timeout:30 attempts:5\n"))
    yield
    lab.client.run("sh", "-c", "cat > /etc/resolv.conf", input=RESOLV_CONF)


@pytest.mark.sanitize
@pytest.mark.parametrize("how", ["background", "foreground"])
def test_the_timeout_does_not_wait_for_the_resolver(lab, tern, silent_resolver, how):
    before = lab.client.state()
    profile = tern.profile(gateway={"Address": "vpn.example.com"})
    more = ["--foreground"] if how == "foreground" else []
    result = tern.run("up", profile, "--timeout", 2, *more, code=20, timeout=20)
    assert "the name vpn.example.com was not resolved within 2 s" in result.stderr
    assert "hint: " in result.stderr
    assert tern.pids() == []
    assert lab.client.state() == before
    assert_failure(tern.run("status", profile, code=12))
    # The lock is free: the next one gets as far.
    tern.run("up", profile, "--timeout", 1, code=20, timeout=20)


@pytest.mark.sanitize
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_does_not_wait_for_the_resolver(lab, tern, silent_resolver, how):
    before = lab.client.state()
    profile = tern.profile(gateway={"Address": "vpn.example.com"})
    with lab.client.capture("up0") as capture:
        child = tern.foreground(profile)
        wait_until(lambda: capture.contains(b"\3vpn\7example\3com"), 10, "the question")
        child.send_signal(how)
        assert child.wait(20) == 1
    assert "stopped before the connection was up" in tern.log.read_text()
    assert lab.client.state() == before
    assert_failure(tern.run("status", profile, code=12))


def test_down_does_not_wait_for_the_resolver(lab, tern, silent_resolver):
    profile = tern.profile(gateway={"Address": "vpn.example.com"})
    child = tern.foreground(profile)
    wait_until(lambda: tern.run("status", profile, code=None).returncode == 0, 10, "its socket")
    tern.down(profile, timeout=20)
    assert child.wait(20) == 1
