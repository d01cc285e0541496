"""capture.py FILE INTERFACE...: write every frame to FILE until SIGTERM or SIGINT; prints `ready`.

A pcap file; of several interfaces a pcapng file, which names the interface of each frame. An
interface may go down and come back meanwhile. Exits with 1 if the kernel had to drop a frame, so that
nothing is ever proved by a gap.
"""

import selectors
import signal
import socket
import struct
import sys
import time

ETH_P_ALL = 3
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
ARPHRD_ETHER = 1
LINKTYPE_ETHERNET, LINKTYPE_RAW = 1, 101


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


def listen(interface):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    for option in (SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, 16 << 20)
            break
        except PermissionError:
            continue
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.bind((interface, 0))
    sock.setblocking(False)
    return sock


def drain(sock, number, out):
    """Everything that has arrived."""
    while True:
        try:
            data, ancillary, _, _ = sock.recvmsg(65535, socket.CMSG_SPACE(16))
        except BlockingIOError:
            return
        except OSError:  # told once: the interface went down, or is gone
            continue
        stamps = [struct.unpack("qq", value[:16]) for level, kind, value in ancillary
                  if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS)]
        out.frame(number, *(stamps[0] if stamps else divmod(time.time_ns(), 1_000_000_000)), data)


def main(path, *interfaces):
    told, tell = until_told()
    sockets = [listen(interface) for interface in interfaces]
    selector = selectors.DefaultSelector()
    selector.register(told, selectors.EVENT_READ)
    for sock in sockets:
        selector.register(sock, selectors.EVENT_READ)
    with open(path, "wb", buffering=0) as file:
        out = (Pcap if len(interfaces) == 1 else PcapNg)(file, interfaces, [link_type(sock) for sock in sockets])
        print("ready", flush=True)
        stopping = False
        while not stopping:
            stopping = told in (key.fileobj for key, _ in selector.select())
            for number, sock in enumerate(sockets):
                drain(sock, number, out)
    dropped = sum(struct.unpack("II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
                  for sock in sockets)
    if dropped:
        print(f"{dropped} frames lost", flush=True)
    return 1 if dropped else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
