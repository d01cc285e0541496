"""Answers the first messages of others, faster than who was asked: forger.py CLIENT GATEWAY

Every IKE_SA_INIT request that passes from CLIENT to GATEWAY (IPv4) is answered from the gateway's
address with all complaints that a gateway could have. Prints `ready`, then a line for each request
that was answered.
"""

import socket
import struct
import sys

IP_TRANSPARENT = 19
NOTIFY, RESPONSE = 41, 0x20

NO_PROPOSAL_CHOSEN, INVALID_KE_PAYLOAD, AUTHENTICATION_FAILED = 14, 17, 24
# Type and data.
COMPLAINTS = (
    (1, b"\xff"),  # UNSUPPORTED_CRITICAL_PAYLOAD
    (4, b""),  # INVALID_IKE_SPI
    (5, b""),  # INVALID_MAJOR_VERSION
    (7, b""),  # INVALID_SYNTAX
    (NO_PROPOSAL_CHOSEN, b""),
    (INVALID_KE_PAYLOAD, b"\xff\xff"),
    (AUTHENTICATION_FAILED, b""),
    (16390, bytes(65)),  # COOKIE, too long
    (16390, b"biscuit"),
    (16407, b"\x03\x0bevil.invalid"),  # REDIRECT
    (16407, b"\x01\x04\xc6\x33\x64\x42" + bytes(32)),
)


def complaint(request, kind, data, spi_r):
    payload = struct.pack(">BBHBBH", 0, 0, 8 + len(data), 0, 0, kind) + data
    return (request[:8] + spi_r + struct.pack(">BBBBII", NOTIFY, 0x20, 34, RESPONSE, 0,
                                              28 + len(payload)) + payload)


def main(client, gateway):
    ends = socket.inet_aton(client) + socket.inet_aton(gateway)
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    mouth.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
    mouth.bind((gateway, 500))
    print("ready", flush=True)
    while True:
        packet, origin = tap.recvfrom(65535)
        port, request = struct.unpack(">H", packet[20:22])[0], packet[28:]
        if (origin[2] == socket.PACKET_OUTGOING or packet[12:20] != ends or packet[9] != 17 or
                len(request) < 28 or request[18] != 34 or packet[22:24] != b"\x01\xf4"):
            continue
        for spi_r in (bytes(8), b"whatever"):
            for kind, data in COMPLAINTS:
                mouth.sendto(complaint(request, kind, data, spi_r), (client, port))
        print("answered", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
