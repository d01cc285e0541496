"""capture.py FILE INTERFACE...: write every frame to FILE until SIGTERM or SIGINT; prints `ready`.

A pcap file; of several interfaces a pcapng file, which names the interface of each frame. An
interface may go down and come back meanwhile. Exits with 1 if the kernel had to drop a frame, so that
nothing is ever proved by a gap.
"""

import bisect
import mmap
import operator
import selectors
import signal
import socket
import struct
import sys
import time

ETH_P_ALL = 3
SOL_PACKET, PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION = 263, 5, 6, 10
ARPHRD_ETHER = 1
LINKTYPE_ETHERNET, LINKTYPE_RAW = 1, 101
# For so long frames of one interface wait for earlier ones of another.
HELD_S = 0.05
WHEN = operator.itemgetter(0)


def link_type(sock):
    """A TUN has no link layer."""
    return LINKTYPE_ETHERNET if sock.getsockname()[3] == ARPHRD_ETHER else LINKTYPE_RAW


class Pcap:
    def __init__(self, out, _, types):
        self.out = out
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, types[0]))

    def frame(self, _, seconds, nanoseconds, data):
        self.out.write(struct.pack("<IIII", seconds, nanoseconds // 1000, len(data), len(data)) +
                       data)


class PcapNg:
    def __init__(self, out, interfaces, types):
        self.out = out
        self.block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
        for name, kind in zip(interfaces, types):
            name = name.encode()
            self.block(1, struct.pack("<HHI", kind, 0, 65535) +
                       struct.pack("<HH", 2, len(name)) + padded(name) +  # if_name
                       struct.pack("<HHI", 9, 1, 9) + bytes(4))  # if_tsresol: nanoseconds; the end

    def block(self, kind, body):
        length = struct.pack("<I", 12 + len(body))
        self.out.write(struct.pack("<I", kind) + length + body + length)

    def frame(self, interface, seconds, nanoseconds, data):
        at = seconds * 1_000_000_000 + nanoseconds
        self.block(6, struct.pack("<IIIII", interface, at >> 32, at & 0xFFFFFFFF, len(data),
                                  len(data)) + padded(data))


def padded(data):
    return data + bytes(-len(data) % 4)


def until_told():
    """A socket that becomes readable once we are told to stop."""
    told, tell = socket.socketpair()
    tell.setblocking(False)
    signal.set_wakeup_fd(tell.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return told, tell


class Ring:
    """What arrives at an interface, in blocks that we share with the kernel (TPACKET_V3): a socket's
    own buffer is as small as the machine wants it. A block is ours when it is full, or a moment after
    its first frame."""

    BLOCK, BLOCKS, FRAME, MOMENT_MS = 1 << 18, 64, 1 << 11, 10
    VERSION_3, OURS = 2, 1

    def __init__(self, interface):
        # Of no protocol, so that nothing comes from other interfaces before it is bound.
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.sock.setsockopt(SOL_PACKET, PACKET_VERSION, self.VERSION_3)
        size = self.BLOCK * self.BLOCKS
        self.sock.setsockopt(SOL_PACKET, PACKET_RX_RING, struct.pack(
            "7I", self.BLOCK, self.BLOCKS, self.FRAME, size // self.FRAME, self.MOMENT_MS, 0, 0))
        self.memory = mmap.mmap(self.sock.fileno(), size)
        self.at = 0
        self.sock.bind((interface, ETH_P_ALL))

    def _block(self):
        """Whose the next one is, how many frames are in it by now, where the first one is."""
        return struct.unpack_from("3I", self.memory, self.at + 8)

    def holds(self):
        """Whether there is more to come of what has arrived."""
        return self._block()[:2] != (0, 0)

    def frames(self):
        """(nanoseconds, frame) of what is ours."""
        self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # told once: it went down, or is gone
        while (block := self._block())[0] & self.OURS:
            at = self.at + block[2]
            for _ in range(block[1]):
                following, seconds, nanoseconds, length, mac = struct.unpack_from("4I8xH", self.memory,
                                                                                  at)
                yield (seconds * 1_000_000_000 + nanoseconds,
                       self.memory[at + mac:at + mac + length])
                at += following
            struct.pack_into("2I", self.memory, self.at + 8, 0, 0)
            self.at = (self.at + self.BLOCK) % len(self.memory)

    def dropped(self):
        return struct.unpack("II", self.sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]


def main(path, *interfaces):
    told, tell = until_told()
    rings = [Ring(interface) for interface in interfaces]
    selector = selectors.DefaultSelector()
    for waited_for in (told, *(ring.sock for ring in rings)):
        selector.register(waited_for, selectors.EVENT_READ)
    with open(path, "wb", buffering=0) as file:
        out = (Pcap if len(interfaces) == 1 else PcapNg)(file, interfaces,
                                                         [link_type(ring.sock) for ring in rings])
        print("ready", flush=True)
        waiting, stopping, done = [], False, False
        while not done:
            events = selector.select(HELD_S if waiting or stopping else None)
            if told in (key.fileobj for key, _ in events):
                selector.unregister(told)
                stopping = True
            for number, ring in enumerate(rings):
                waiting += ((at, number, data) for at, data in ring.frames())
            done = stopping and not any(ring.holds() for ring in rings)
            waiting.sort(key=WHEN)
            ripe = len(waiting) if done else bisect.bisect(
                waiting, time.time_ns() - int(HELD_S * 1e9), key=WHEN)
            for at, number, data in waiting[:ripe]:
                out.frame(number, *divmod(at, 1_000_000_000), data)
            del waiting[:ripe]
    dropped = sum(ring.dropped() for ring in rings)
    if dropped:
        print(f"{dropped} frames lost", flush=True)
    return 1 if dropped else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
