"""The laboratory for roaming: what it claims to do to a client's networks, it does."""

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys

import pytest

import lab as lab_module
from lab import wait_until
from roaming import RoamingLab
from traffic import Intranet, Pings

ROOT = lab_module.HERE.parents[1]


@pytest.fixture
def make(build, tmp_path):
    """make(options...) -> a RoamingLab, which goes with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(
            RoamingLab(build, directory=tmp_path, **options))


def shortest_ms(machine, address, *args):
    """The shortest of ping's round trips."""
    text = machine.run("ping", "-n", "-q", *args, address).stdout
    return float(re.search(r"= ([\d.]+)/", text).group(1))


def shortest_by(lab, interface, address):
    """Of ten. (With a deadline ping waits for so many; without, for twice the longest.)"""
    return shortest_ms(lab.client, address, "-c10", "-w20", "-i0.02", "-I", interface)


def test_a_delay_is_at_least_what_was_asked_for_and_the_shorter_one_is_shorter(make):
    lab = make(delay="10ms")
    for address in lab.GATEWAY:
        for name, interface in (("wifi", "wifi0"), ("cell", "cell0")):
            near = shortest_by(lab, interface, address)
            assert near >= 20
            lab.shape(name, delay="100ms")
            far = shortest_by(lab, interface, address)
            assert far >= 200 > near
            lab.shape(name, delay="10ms")
            assert shortest_by(lab, interface, address) < far
    with pytest.raises(ValueError, match="delay takes a time"):
        lab.shape("wifi", delay="fast")
    with pytest.raises(ValueError, match="no network"):
        lab.shape("lan", delay="1ms")


def test_neighbours_are_found_without_the_delay(make):
    """What has never been asked for costs one round trip, not two."""
    lab = make(delay="200ms")

    def first_ms(address):
        for machine in (lab.client, lab.router):
            machine.run("ip", "neigh", "flush", "all")
        return shortest_ms(lab.client, address, "-c1")

    for address in lab.GATEWAY:
        # This machine may have been late at one of them.
        assert 400 <= min(first_ms(address) for _ in range(3)) < 800


def test_the_same_seed_loses_the_same_packets(build, tmp_path):
    arrived = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        with RoamingLab(build, delay="1ms", seed=7, directory=tmp_path / name) as lab:
            lab.shape("wifi", loss="20%")
            with Pings(lab.client, lab.GATEWAY[0]) as pings:
                wait_until(lambda: any(n > 100 for _, n in pings.answers()), 20, "a hundred echoes")
                arrived.append([n for _, n in pings.answers() if n <= 100])
    assert 0 < len(arrived[0]) < 100
    assert arrived[0] == arrived[1]


def test_a_black_hole_is_silent(make):
    lab = make(delay="1ms")
    before = lab.client.state()
    for address in lab.GATEWAY:
        assert lab.client.ping(address, 5) == 5
    lab.blackhole("wifi")
    for address in lab.GATEWAY:
        assert lab.client.ping(address, timeout=1) == 0
    assert lab.client.ping(lab.GATEWAY[0], source="cell0") == 1
    assert lab.client.state() == before
    lab.blackhole("wifi", False)
    swallowed = lab.counters("wifi")
    assert lab.client.ping(lab.GATEWAY[0], 5) == 5
    lab.blackhole("wifi", direction="down")
    assert lab.client.ping(lab.GATEWAY[0], timeout=1) == 0
    assert swallowed["up"]["blackholed"] >= 2
    after = lab.counters("wifi")
    assert after["up"]["blackholed"] == swallowed["up"]["blackholed"]
    assert after["down"]["blackholed"] > swallowed["down"]["blackholed"]


def test_what_leaves_and_what_comes_back(make):
    lab = make()
    before = lab.client.state()
    assert "default via 192.168.10.1 dev wifi0 metric 600" in before
    lab.link_down("wifi")
    for family in ("-4", "-6"):
        assert lab.client.run("ip", family, "addr", "show", "dev", "wifi0").stdout == ""
        routes = lab.client.run("ip", family, "route", "show", "table", "all").stdout
        assert "wifi0" not in routes and "dev cell0 metric 700" in routes
    for address in lab.GATEWAY:
        assert lab.client.ping(address) == 1
    lab.link_up("wifi")
    wait_as(lab, before)
    lab.link_unplug("wifi")
    brief = ("ip", "-br", "addr", "show", "dev", "wifi0")
    wait_until(lambda: "DOWN" in lab.client.run(*brief).stdout, 10, "the carrier to have gone")
    gone = lab.client.run(*brief).stdout
    assert "192.168.10.10/24" in gone and "2001:db8:10::10/64" in gone
    lab.link_up("wifi")
    wait_as(lab, before)
    for address in lab.GATEWAY:
        assert lab.client.ping(address, source="wifi0") == 1


def wait_as(lab, before):
    """The kernel notices a carrier, and gives the address of the link, in its own time."""
    wait_until(lambda: addresses_and_routes(lab.client.state()) == addresses_and_routes(before),
               10, "all to be as before")


def addresses_and_routes(text):
    """Without the order in which they came, and without what counts time."""
    return sorted(re.sub(r"qlen \d+|(valid|preferred)_lft \w+|state \w+", "", line).rstrip()
                  for line in text.splitlines())


def test_another_address_in_the_same_network(make):
    lab = make()
    for host in (11, 12):
        lab.renumber("wifi")
        text = lab.client.run("ip", "addr", "show", "dev", "wifi0", "scope", "global").stdout
        assert re.findall(r"inet6? (\S+)", text) == [f"192.168.10.{host}/24",
                                                     f"2001:db8:10::{host}/64"]
        for address in lab.GATEWAY:
            assert lab.client.ping(address, source="wifi0") == 1


# Tells who asked, after as many seconds as asked for.
ECHO = """
import socket, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("0.0.0.0", 9))
print("ready", flush=True)
while True:
    pause, sender = sock.recvfrom(100)
    time.sleep(float(pause))
    sock.sendto("{}:{}".format(*sender).encode(), sender)
    print("answered", flush=True)
"""
ASK = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((sys.argv[1], 4500))
sock.settimeout(10)
for line in sys.stdin:
    sock.sendto(line.encode(), (sys.argv[2], 9))
    print(sock.recv(100).decode(), flush=True)
"""


class Mirror:
    """A socket at the client's end of a network: as what does the gateway see it?"""

    def __init__(self, lab, name):
        self.child = lab.client.spawn(
            sys.executable, "-c", ASK, lab.network(name).address()[0], lab.GATEWAY[0],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1)

    def ask(self, pause):
        self.child.stdin.write(f"{pause}\n")

    def __call__(self):
        self.ask(0)
        address, _, port = self.child.stdout.readline().strip().partition(":")
        return address, int(port)


def mirrored(lab):
    server = lab.gateway.spawn(sys.executable, "-c", ECHO, stdout=subprocess.PIPE)
    assert server.stdout.readline() == "ready\n"
    # by source address, not by the routes' metrics
    lab.client.ip("rule add from 100.64.20.0/24 lookup 20", "route add default via 100.64.20.1 "
                  "dev cell0 table 20")
    return Mirror(lab, "wifi"), Mirror(lab, "cell"), server


def test_a_nat_that_forgets(make):
    """The same socket is seen at another port, while another network's keeps its own; and what
    comes to the old port does not arrive, nor does an error tell so."""
    lab = make(delay="1ms")
    wifi, cell, _ = mirrored(lab)
    seen = [(wifi(), cell())]
    for _ in range(2):
        address, first, last = lab.outer("wifi")
        assert seen[-1][0][0] == address == "203.0.113.10"
        assert first <= seen[-1][0][1] <= last
        assert wifi() == seen[-1][0]
        lab.rebind("wifi")
        seen.append((wifi(), cell()))
    assert len({w for w, _ in seen}) == 3
    assert len({c for _, c in seen}) == 1 and seen[0][1][0] == "203.0.113.20"
    with lab.gateway.capture("wan0") as capture, lab.client.capture("wifi0") as inside:
        for port in (seen[0][0][1], seen[2][0][1]):
            lab.gateway.run(sys.executable, "-c", "import socket, sys\n"
                            "sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                            "sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
                            "sock.connect((sys.argv[1], int(sys.argv[2])))\n"
                            "sock.send(b'hello')", "203.0.113.10", port)
        assert lab.client.ping(lab.GATEWAY[0]) == 1  # behind which all has arrived
    assert len(capture.fields("udp", "frame.number")) == 2
    assert capture.fields("icmp.type == 3", "frame.number") == []
    assert inside.fields("udp", "frame.number") == []  # the gateway's port 9 alone is let in


@pytest.mark.parametrize("nat_timeout_s", [1, None])
def test_a_nat_that_forgets_the_silent(make, nat_timeout_s):
    """An answer that takes longer than the NAT remembers does not come in."""
    lab = make(delay="1ms", nat_timeout_s=nat_timeout_s)
    wifi, _, server = mirrored(lab)
    with lab.client.capture("wifi0") as capture:
        wifi.ask(1.5)
        assert server.stdout.readline() == "answered\n"
        assert lab.client.ping(lab.GATEWAY[0]) == 1  # behind which it would have arrived
    answers = capture.fields("udp.srcport == 9 && ip.dst == 192.168.10.10 && !icmp", "frame.number")
    assert len(answers) == (1 if nat_timeout_s is None else 0)


def test_without_a_nat_the_gateway_sees_the_client(make):
    lab = make(delay="1ms", nat=("cell",))
    wifi, cell, _ = mirrored(lab)
    assert wifi() == ("192.168.10.10", 4500)
    assert cell()[0] == "203.0.113.20"
    assert lab.outer("wifi") is None
    with pytest.raises(ValueError, match="no NAT"):
        lab.rebind("wifi")


@pytest.mark.parametrize("only, family, other", [("ipv6_only", "-6", "-4"),
                                                 ("ipv4_only", "-4", "-6")])
def test_networks_of_one_family(make, only, family, other):
    lab = make(delay="1ms", **{only: ["wifi"]})
    reached = lab.GATEWAY[family == "-6"]
    for _ in range(2):
        for what in (("addr", "show", "scope", "global"), ("route", "show", "default")):
            ip = ("ip", other, *what, "dev")
            assert lab.client.run(*ip, "wifi0").stdout == "" != lab.client.run(*ip, "cell0").stdout
        assert lab.client.ping(reached, source="wifi0") == 1
        lab.link_down("wifi")
        lab.link_up("wifi")


def checksum_errors(machine):
    text = machine.run("cat", "/proc/net/snmp").stdout
    names, values = re.findall(r"^Tcp: (.*)", text, re.M)
    return int(values.split()[names.split().index("InCsumErrors")])


@pytest.mark.parametrize("shape", [{}, {"loss": "1%", "reorder": "1%", "duplicate": "1%",
                                        "jitter": "1ms", "rate": "50mbit"}], ids=["cable", "radio"])
def test_tcp_arrives_whole(make, shape):
    """No offload, and no half-made checksum, survives the way through the link."""
    lab = make(delay="1ms")
    if shape:
        lab.shape("wifi", **shape)
    with Intranet(lab.gateway) as server:
        for address in lab.GATEWAY:
            server.exchange(lab.client, address, 4_000_000)
    assert checksum_errors(lab.client) == checksum_errors(lab.gateway) == 0
    for direction in lab.counters("wifi").values():
        assert direction["packets"] > 1000
        for what in ("lost", "reordered", "duplicated"):
            assert (direction[what] > 0) == bool(shape)


def test_a_capture_names_the_interfaces(make):
    """Also where one of them goes down meanwhile."""
    lab = make(delay="1ms")
    with lab.capture() as capture:
        for step in (lambda: None, lambda: lab.link_down("wifi"), lambda: lab.link_up("wifi")):
            step()
            assert lab.client.ping(lab.GATEWAY[0]) == 1
    requests = capture.fields("icmp.type == 8", "frame.interface_name")
    # ping asks once more where the answer is late.
    assert [name for (name,), _ in itertools.groupby(requests)] == ["wifi0", "cell0", "wifi0"]


@pytest.mark.parametrize("kind", RoamingLab.GATEWAYS)
def test_tern_connects(make, kind):
    """By either family."""
    lab = make(delay="5ms", ipv6_only=["cell"])
    lab.start_gateway(kind)
    tern = lab.start_tern()
    assert tern.status()["path"]["interface"] == "wifi0" and tern.status()["path"]["nat"]
    assert lab.client.ping(lab.INTRANET[0], 20) == 20
    tern.down()
    lab.link_down("wifi")
    tern.up(tern.directory / "office.conf")
    assert tern.status()["gateway"]["address"] == lab.GATEWAY[1]
    assert lab.client.ping(lab.INTRANET[0], 20) == 20
    tern.down()


@pytest.mark.parametrize("kind", RoamingLab.GATEWAYS)
def test_strongswan_as_the_client(make, kind):
    """It connects, and is on the other network soon after it has lost the first: by MOBIKE, or with
    a new IKE SA where the gateway has none."""
    lab = make()
    lab.start_gateway(kind)
    swan = lab.start_strongswan_client()
    (before_it,) = swan.sas()
    assert before_it["local-host"] == "192.168.10.10"
    with Pings(lab.client, lab.INTRANET[0]) as pings:
        wait_until(pings.seen, 10, "the first answer")
        lab.link_down("wifi")
        before = pings.seen()
        wait_until(lambda: pings.seen() > before + 20, 20, "answers over the other network")
    (sa,) = [sa for sa in swan.sas() if sa["state"] == "ESTABLISHED"]
    assert sa["local-host"] in lab.network("cell").address()  # whichever family answers first
    if kind == "strongswan":
        assert sa["initiator-spi"] == before_it["initiator-spi"]


class Command:
    """tools/lab, as people type it."""

    def __init__(self, build, directory):
        self.environment = dict(os.environ, TERN_LAB_DIR=str(directory), TERN_BUILD=str(build))

    def __call__(self, *args, code=0):
        result = subprocess.run([ROOT / "tools/lab", *args], capture_output=True, text=True,
                                timeout=120, env=self.environment)
        assert result.returncode == code, result.stdout + result.stderr
        return result.stdout if code == 0 else result.stderr

    def start(self, *args):
        return subprocess.Popen([ROOT / "tools/lab", *args], stdout=subprocess.PIPE, text=True,
                                env=self.environment)


def processes():
    """Those of this lab and of those inside it: we see no others."""
    return {entry for entry in os.listdir("/proc") if entry.isdigit()}


@pytest.mark.slow
def test_the_command(build, tmp_path):
    directory = tmp_path / "lab"
    lab = Command(build, directory)
    machine, running = lab_module.machine_state(), processes()
    assert "no lab is up" in lab("status", code=12)
    assert "exec MACHINE" in lab("--help")
    assert "tools/lab exec client -- tern status office" in lab("up", "--gateway", "strongswan",
                                                                "--delay", "5ms")
    try:
        assert "a lab is up already" in lab("up", code=12)
        assert json.loads(lab("exec", "client", "--", "tern", "status", "--json"))["state"] == "up"
        assert "terns" in lab("exec", "client", "--", "curl", "-sS", "http://10.9.0.80/")
        lab("exec", "router", "--", "sh", "-c", "exit 7", code=7)
        lab("exec", "router", "--", "sh", "-c", "kill -9 $$", code=128 + 9)
        capture = lab.start("capture", tmp_path / "out.pcapng")
        assert capture.stdout.readline() == "ready\n"
        lab("exec", "client", "--", "ping", "-c1", "203.0.113.1")
        capture.send_signal(signal.SIGINT)
        capture.communicate(timeout=10)
        assert capture.returncode == 0 and b"wifi0" in (tmp_path / "out.pcapng").read_bytes()
        assert lab("link", "wifi", "down") == "wifi is down\n"
        assert "wifi0" not in lab("exec", "client", "--", "ip", "route")
        assert lab("link", "wifi", "up") == "wifi is up\n"
        assert lab("blackhole", "cell", "on") == "cell: black hole on\n"
        assert lab("rebind", "wifi") == "wifi is now seen as 203.0.113.10:21010-21019\n"
        assert "192.168.10.11" in lab("renumber", "wifi")
        assert lab("shape", "cell", "--loss", "2%") == "cell both: loss 2%\n"
        assert "a part like" in lab("shape", "cell", "--loss", "2", code=2)
        lab("shape", "cell", code=2)
        lab("link", "lan", "up", code=2)
        status = json.loads(lab("status", "--json"))
        assert status["networks"]["cell"]["blackhole"] == "on"
        assert status["networks"]["cell"]["link"]["up"]["loss_ppm"] == 20000
        assert "black hole on" in lab("status")
    finally:
        assert lab("down") == "The lab is down.\n"
    assert not directory.exists()
    assert lab_module.machine_state() == machine
    wait_until(lambda: processes() <= running, 10, "all of the lab's processes to be gone")
    assert "no lab is up" in lab("down", code=12)


def test_the_command_that_cannot_start_leaves_nothing(build, tmp_path):
    directory = tmp_path / "lab"
    lab = Command(build, directory)
    running = processes()
    assert "neither" in lab("up", "--ipv6-only", "wifi", "--ipv4-only", "wifi", code=1)
    assert "delay takes" in lab("up", "--delay", "soon", code=1)
    assert not directory.exists()
    wait_until(lambda: processes() <= running, 10, "all of the lab's processes to be gone")
    directory.mkdir()
    (directory / "somebody's file").touch()
    assert "holds no lab" in lab("up", code=1)
    assert (directory / "somebody's file").exists()
