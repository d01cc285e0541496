"""capture.py INTERFACE FILE: write every frame to a pcap file until SIGTERM; prints `ready`.

Exits with 1 if the kernel had to drop a frame, so that nothing is ever proved by a gap.
"""

import signal
import socket
import struct
import sys
import time

ETH_P_ALL = 3
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_RCVBUFFORCE = 33
ARPHRD_ETHER = 1
LINKTYPE_ETHERNET, LINKTYPE_RAW = 1, 101


class Stop(Exception):
    pass


def stop(*_):
    raise Stop


def main(interface, path):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    for option in (SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, 16 << 20)
            break
        except PermissionError:
            continue
    sock.bind((interface, 0))
    signal.signal(signal.SIGTERM, stop)
    # A TUN has no link layer.
    linktype = LINKTYPE_ETHERNET if sock.getsockname()[3] == ARPHRD_ETHER else LINKTYPE_RAW
    with open(path, "wb", buffering=0) as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, linktype))

        def drain(flags=0):
            frame = sock.recv(65535, flags)
            now = time.time()
            out.write(struct.pack("<IIII", int(now), int(now % 1 * 1e6), len(frame), len(frame)) +
                      frame)

        print("ready", flush=True)
        try:
            while True:
                drain()
        except Stop:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            while True:
                drain(socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
    _, dropped = struct.unpack("II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    if dropped:
        print(f"{dropped} frames lost", flush=True)
    return 1 if dropped else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
