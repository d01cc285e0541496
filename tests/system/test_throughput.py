"""tools/bench/throughput works: what it measures of each tunnel, and of one that somebody brings.

How fast anything is, is not for a test to say."""

import json
import re
import subprocess

import pytest

import lab as lab_module

# One at a time: they build what they measure.
pytestmark = pytest.mark.xdist_group("throughput")
THROUGHPUT = lab_module.HERE.parents[1] / "tools/bench/throughput"
# A tunnel of a few lines: what comes out of a TUN goes into a UDP socket, and back.
PEER = """
import fcntl, os, select, socket, struct, subprocess
role = os.environ["TERN_PEER_ROLE"]
client, gateway, inside, far = (os.environ["TERN_PEER_" + n] for n in
                                ("CLIENT", "GATEWAY", "INSIDE", "FAR"))
us, them, away = (client, gateway, far) if role == "client" else (gateway, client, inside)
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH22x", b"t0", 0x1001))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
udp.bind((us, 7000))
udp.connect((them, 7000))
def ip(*words):
    subprocess.run(["ip", *words], check=True)
ip("link", "set", "t0", "up", "mtu", "1400", "txqueuelen", "10000")
if role == "client":
    ip("addr", "add", inside + "/32", "dev", "t0")
ip("route", "add", away + "/32", "dev", "t0", "src", inside if role == "client" else far)
print("ready", flush=True)
while True:
    for ready in select.select([tun, udp], [], [])[0]:
        try:
            if ready is udp:
                os.write(tun, udp.recv(2048))
            else:
                udp.send(os.read(tun, 2048))
        except ConnectionRefusedError:
            pass
"""


def measure(build, tmp_path, *args):
    out, picture = tmp_path / "out.json", tmp_path / "out.svg"
    result = subprocess.run([THROUGHPUT, "--rounds", "1", "--seconds", "1", "--build", build, "--json",
                             out, "--svg", picture, *args],
                            capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr + result.stdout
    return json.loads(out.read_text())["figures"], result.stdout, picture.read_text()


@pytest.mark.slow
def test_the_benchmark_measures_tunnels(build, tmp_path):
    figures, text, picture = measure(build, tmp_path, "--only", "tcp-up", "--only", "latency")
    for tunnel in ("null", "tern", "tern-off", "strongswan"):
        (tcp,), (echoes,) = figures["tcp-up"][tunnel], figures["latency"][tunnel]
        assert tcp["gbit_s"] > 0 and tcp["peak_kb"] > 0, tcp
        # The client is part of the machine; a tick of either may be counted for the other.
        assert 0 < tcp["client_s_per_gb"] < 1.5 * tcp["machine_s_per_gb"], tcp
        assert 0 < echoes["p50_us"] <= echoes["p99_us"], echoes
    assert "client_s_per_gb" not in figures["tcp-up"]["veth"][0]
    assert "TCP up, Gbit/s" in text and "strongSwan" in text
    assert picture.count("<rect") == 5
    # What tern would carry if it were the null tunnel and its AEAD: less than the null tunnel does.
    model = re.search(r"^TCP up, Gbit/s: .* = ([\d.]+); tern reaches ", text, re.M)
    assert model and 0 < float(model[1]) <= round(figures["tcp-up"]["null"][0]["gbit_s"], 2), text


def test_the_null_tunnel_is_not_to_be_mistaken_for_tern(build):
    """Its programs, if built, say what they are and do not run by mistake, and are not installed."""
    subprocess.run(["cmake", "--build", build, "--target", "tern-null", "tern-gateway-null"], check=True,
                   capture_output=True, timeout=240)
    for program in ("tern-null", "tern-gateway-null"):
        for consent, code in (({}, 1), ({"TERN_PROTECTS_NOTHING": "yes"}, 0)):
            result = subprocess.run([build / program, "--version"], capture_output=True, text=True,
                                    env=consent, timeout=10)
            assert result.returncode == code and "enciphers nothing" in result.stderr, result
    installed = (build / "cmake_install.cmake").read_text()
    assert '"' + str(build / "tern") + '"' in installed and "null" not in installed


@pytest.mark.slow
def test_the_benchmark_takes_a_tunnel_of_somebody_else_s(build, tmp_path):
    peer = tmp_path / "peer.py"
    peer.write_text(PEER)
    figures, text, _ = measure(build, tmp_path, "--tunnel", "peer", "--peer",
                               f"exec python3 {peer}", "--only", "tcp-both", "--only", "packets")
    (tcp,), (packets,) = figures["tcp-both"]["peer"], figures["packets"]["peer"]
    assert tcp["gbit_s"] > 0 and tcp["client_s_per_gb"] > 0, tcp
    assert packets["packets_s"] > 0, packets
    assert "64-octet packets/s" in text
