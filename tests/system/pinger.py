"""pinger.py ADDRESS INTERVAL_S: echo requests at an interval until SIGTERM, and when what happened.

Lines on stdout, with seconds since the epoch: `s SEQ AT` sent, `r SEQ AT` its answer is here (as the
kernel stamps it), `e SEQ AT` it could not be sent, `down NAME AT` an interface went down, `way NAME
AT` it has a default route (again). Behind SIGTERM nothing more is sent, and what is on its way has
half a second to arrive.

A slot that this process slept through is left out, not caught up with: bursts are no answer to how
long there was silence.
"""

import errno
import selectors
import signal
import socket
import struct
import sys
import time

SO_TIMESTAMPNS = 35
SOL_RAW, ICMP_FILTER = 255, 1
ECHO, ECHO_REPLY = 8, 0
LAST_ANSWERS_S = 0.5

NETLINK_ROUTE = 0
GROUPS = 0x1 | 0x40 | 0x400  # links, routes of IPv4 and of IPv6
NEWLINK, NEWROUTE = 16, 24
IFF_UP = 1
RTA_OIF, MAIN = 4, 254


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def request(identifier, number):
    body = struct.pack("!Q", number) + bytes(48)
    head = struct.pack("!BBHHH", ECHO, 0, 0, identifier, number & 0xFFFF)
    return struct.pack("!BBHHH", ECHO, 0, checksum(head + body), identifier, number & 0xFFFF) + body


def open_echo():
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    sock.setsockopt(SOL_RAW, ICMP_FILTER, struct.pack("=I", 0xFFFFFFFF & ~(1 << ECHO_REPLY)))
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.setblocking(False)
    return sock


def answers(sock, identifier):
    """(number, when) of those that have come."""
    while True:
        try:
            data, ancillary, _, _ = sock.recvmsg(2048, socket.CMSG_SPACE(16))
        except BlockingIOError:
            return
        except OSError:
            continue
        ihl = (data[0] & 15) * 4
        if len(data) < ihl + 16 or struct.unpack_from("!4xH", data, ihl)[0] != identifier:
            continue
        seconds, nanoseconds = next(struct.unpack("qq", value[:16]) for level, kind, value
                                    in ancillary if (level, kind) ==
                                    (socket.SOL_SOCKET, SO_TIMESTAMPNS))
        yield struct.unpack_from("!Q", data, ihl + 8)[0], seconds + nanoseconds / 1e9


def watch_network():
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE)
    sock.bind((0, GROUPS))
    sock.setblocking(False)
    return sock


def name_of(index):
    try:
        return socket.if_indextoname(index)
    except OSError:
        return None  # gone


def route_out(body):
    """The interface of a default route in the main table, else None."""
    destination_len, table = body[1], body[4]
    if destination_len != 0 or table != MAIN:
        return None
    at = 12
    while at + 4 <= len(body):
        length, kind = struct.unpack_from("=HH", body, at)
        if kind == RTA_OIF:
            return name_of(struct.unpack_from("=I", body, at + 4)[0])
        at += max(4, length + 3 & ~3)
    return None


def changes(sock):
    """(what, interface) of what the kernel tells."""
    try:
        data = sock.recv(1 << 16)
    except OSError:
        return
    at = 0
    while at + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        body = data[at + 16:at + length]
        if kind == NEWLINK:
            index, flags = struct.unpack_from("=4xiI", body)
            if not flags & IFF_UP:
                yield "down", name_of(index)
        elif kind == NEWROUTE:
            yield "way", route_out(body)
        at += max(16, length + 3 & ~3)


def send(sock, identifier, number, address):
    """Whether it left, and when."""
    packet = request(identifier, number)
    at = time.time()
    try:
        sock.sendto(packet, (address, 0))
    except OSError as error:
        # A full queue is a loss; anything else: there is no way to where it should go.
        return ("s" if error.errno in (errno.ENOBUFS, errno.EAGAIN) else "e"), at
    return "s", at


def main(address, interval):
    stop, _ = told = socket.socketpair()
    for end in told:
        end.setblocking(False)
    signal.set_wakeup_fd(told[1].fileno())
    signal.signal(signal.SIGTERM, lambda *_: None)
    echo, network = open_echo(), watch_network()
    selector = selectors.DefaultSelector()
    for sock in (stop, echo, network):
        selector.register(sock, selectors.EVENT_READ)
    identifier = time.time_ns() >> 10 & 0xFFFF
    number, next_at, end_at = 0, time.monotonic(), None
    while end_at is None or time.monotonic() < end_at:
        wake = next_at if end_at is None else end_at
        ready = [key.fileobj for key, _ in selector.select(max(0, wake - time.monotonic()))]
        lines = [f"r {n} {at:.6f}" for n, at in answers(echo, identifier)]
        if network in ready:
            lines += [f"{what} {name} {time.time():.6f}" for what, name in changes(network) if name]
        if stop in ready:
            stop.recv(64)
            end_at = time.monotonic() + LAST_ANSWERS_S
        now = time.monotonic()
        if end_at is None and now >= next_at:
            what, at = send(echo, identifier, number, address)
            lines.append(f"{what} {number} {at:.6f}")
            number += 1
            next_at += interval * (1 + (now - next_at) // interval)
        if lines:
            print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
