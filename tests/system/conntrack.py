"""conntrack.py MARK: the kernel forgets the connections that bear this mark, in this namespace.

(What `conntrack -D -m MARK` does, without another package.)
"""

import os
import socket
import struct
import sys

NETLINK_NETFILTER = 12
CTNETLINK, DELETE = 1, 2  # nfnetlink's subsystem, and its message
REQUEST, ACK = 1, 4
NLMSG_ERROR = 2
CTA_MARK, CTA_MARK_MASK = 8, 21


def forget(mark):
    attributes = b"".join(struct.pack("=HHL", 8, kind, socket.htonl(value))
                          for kind, value in ((CTA_MARK, mark), (CTA_MARK_MASK, 0xFFFFFFFF)))
    body = struct.pack("=BBH", socket.AF_UNSPEC, 0, 0) + attributes
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
        sock.send(struct.pack("=LHHLL", 16 + len(body), CTNETLINK << 8 | DELETE, REQUEST | ACK, 1,
                              0) + body)
        answer = sock.recv(4096)
    kind, error = struct.unpack_from("=H10xi", answer, 4)
    if kind != NLMSG_ERROR or error not in (0, -2):  # ENOENT: there was none
        raise OSError(-error, os.strerror(-error) if kind == NLMSG_ERROR else "no answer")


if __name__ == "__main__":
    forget(int(sys.argv[1]))
