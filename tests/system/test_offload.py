"""Segmentation and coalescing against Scapy, which makes packets and their checksums on its own.

The build directory comes from TERN_BUILD; our half is its offload_peer program. The kernel as a
second opinion is tests/unit/test_packet_kernel.c's.
"""

import random
import struct
import warnings

import pytest

warnings.filterwarnings("ignore")

from scapy.compat import raw  # noqa: E402
from scapy.layers.inet import IP, TCP, UDP, IPOption_Router_Alert  # noqa: E402
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, PadN  # noqa: E402
from scapy.packet import Raw  # noqa: E402

from peer import Peer  # noqa: E402

NEEDS_CSUM = 1
TCPV4, TCPV6, UDP_L4, ECN = 1, 4, 5, 0x80
VNET = struct.Struct("=BBHHHH")  # flags, type, hdr_len, gso_size, csum_start, csum_offset
TIMESTAMPS = [("NOP", None), ("NOP", None), ("Timestamp", (0x01020304, 0x05060708))]

V4 = IP(src="10.1.0.7", dst="10.9.0.1", tos=0x2A, ttl=60, id=0xFFFD, flags="DF")
V6 = IPv6(src="fd00::7", dst="fd00:9::1", tc=0x2A, fl=0x12345, hlim=60)
LOWER = {
    "IPv4": V4,
    "IPv4 with options": IP(raw(IP(src="10.1.0.7", dst="10.9.0.1", id=7, flags="DF",
                                   options=[IPOption_Router_Alert()]))),
    "IPv6": V6,
    "IPv6 with an extension header": V6 / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)]),
}
PLAIN = ["IPv4", "IPv6"]
FLAGS = ["A", "PA", "FPA", "AEC", "FPAEC"]


class OffloadPeer(Peer):
    def ask(self, verb, *packets):
        """The packets or writes that it answers."""
        answer = self.ask_line(verb, *(p.hex() for p in packets))
        assert not answer.startswith("error"), answer
        return [bytes.fromhex(word) for word in answer.split(" ")]


@pytest.fixture(scope="module")
def peer():
    with OffloadPeer("offload_peer") as p:
        yield p


def payload_of(length):
    return random.Random(length).randbytes(length)


def packet(lower, upper, payload, at=0, **changes):
    """One packet of a flow whose payload begins there, with lengths and checksums of Scapy's."""
    lower, upper = LOWER[lower].copy(), upper.copy()
    index = changes.pop("index", 0)
    if isinstance(lower, IP):
        lower.id = (lower.id + index) % 65536
        del lower.len, lower.chksum
    if isinstance(upper, TCP):
        upper.seq = (upper.seq + at) % 2**32
    for name, value in changes.items():
        setattr(upper, name, value)
    if isinstance(lower, IP):
        lower.proto = 6 if isinstance(upper, TCP) else 17
    return raw(lower / upper / Raw(payload))


def large(lower, upper, payload, size):
    """As the kernel gives it to a TUN: the vnet header, and one packet with a partial checksum."""
    whole = bytearray(packet(lower, upper, payload))
    tcp = isinstance(upper, TCP)
    header_len = len(whole) - len(payload)
    start = header_len - len(raw(upper))
    offset = 16 if tcp else 6
    addresses = whole[12:20] if whole[0] >> 4 == 4 else whole[8:40]
    words = struct.unpack(f">{len(addresses) // 2}H", addresses)
    total = sum(words) + len(whole) - start + (6 if tcp else 17)
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    whole[start + offset:start + offset + 2] = total.to_bytes(2, "big")
    kind = UDP_L4 if not tcp else TCPV4 if whole[0] >> 4 == 4 else TCPV6
    if tcp and "C" in upper.flags:
        kind |= ECN
    return VNET.pack(NEEDS_CSUM, kind, header_len, size, start, offset) + bytes(whole)


def segments(lower, upper, payload, size):
    """The same packets from a sender without offloads."""
    made = []
    for index, at in enumerate(range(0, len(payload), size)):
        changes = {}
        if isinstance(upper, TCP):
            first, last = at == 0, at + size >= len(payload)
            changes["flags"] = "".join(f for f in str(upper.flags) if (f not in "FP" or last) and
                                       (f != "C" or first))
        made.append(packet(lower, upper, payload[at:at + size], at, index=index, **changes))
    return made


def tcp(flags):
    return TCP(sport=40000, dport=443, seq=0xFFFFFC00, ack=7, flags=flags, window=999,
               options=TIMESTAMPS)


@pytest.mark.parametrize("length, size", [(5000, 1000), (5001, 1348), (100, 1348), (64001, 1401)])
@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("lower", LOWER)
def test_tcp_is_cut_as_scapy_would_send_it(peer, lower, flags, length, size):
    payload = payload_of(length)
    cut = peer.ask("segment", large(lower, tcp(flags), payload, size))
    assert cut == segments(lower, tcp(flags), payload, size)


@pytest.mark.parametrize("length, size", [(5000, 1000), (5001, 1200), (100, 1200)])
@pytest.mark.parametrize("lower", LOWER)
def test_udp_is_cut_as_scapy_would_send_it(peer, lower, length, size):
    upper, payload = UDP(sport=40000, dport=443), payload_of(length)
    cut = peer.ask("segment", large(lower, upper, payload, size))
    assert cut == segments(lower, upper, payload, size)


@pytest.mark.parametrize("length, size", [(5000, 1000), (5001, 1200)])
@pytest.mark.parametrize("upper", ["A", "PA", "UDP"])
@pytest.mark.parametrize("lower", PLAIN)
def test_scapy_s_packets_are_put_together(peer, lower, upper, length, size):
    upper, payload = UDP(sport=40000, dport=443) if upper == "UDP" else tcp(upper), payload_of(length)
    writes = peer.ask("coalesce", *segments(lower, upper, payload, size))
    assert writes == [large(lower, upper, payload, size)]


def test_flows_in_turns(peer):
    """Of each flow one write, in the order in which the flows began."""
    payload = payload_of(4000)
    uppers = [UDP(sport=port, dport=443) if port % 2 else
              TCP(sport=port, dport=443, seq=port, ack=1, flags="A") for port in range(1000, 1008)]
    flows = [segments(PLAIN[number % 2], upper, payload, 1000) for number, upper in enumerate(uppers)]
    batch = [flow[n] for n in range(4) for flow in flows]
    assert peer.ask("coalesce", *batch) == [large(PLAIN[number % 2], upper, payload, 1000)
                                            for number, upper in enumerate(uppers)]


@pytest.mark.parametrize("seed", range(20))
def test_a_few_octets_are_changed(peer, seed):
    """Whatever came to harm on the way is alone, and as it came."""
    rng = random.Random(seed)
    payload = payload_of(20000)
    sent = segments(rng.choice(PLAIN), tcp("A"), payload, 1000)
    harmed = rng.sample(range(len(sent)), 3)
    for number in harmed:
        octets = bytearray(sent[number])
        octets[rng.randrange(len(octets) - 900, len(octets))] ^= 1 << rng.randrange(8)
        sent[number] = bytes(octets)
    writes = peer.ask("coalesce", *sent)
    alone = bytes(VNET.size)
    for number in harmed:
        assert alone + sent[number] in writes
    back = [p for write in writes for p in peer.ask("segment", write)]
    assert back == sent
    assert len(writes) <= 7
