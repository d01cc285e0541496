"""Traffic with a checksum, and the servers of the intranet.

traffic.py serve [ADDRESS]...         a TCP server on port 7000 of all addresses; prints `ready`
traffic.py send|receive ADDRESS SIZE  move SIZE bytes; prints the SHA-256 if both ends agree
"""

import hashlib
import pathlib
import random
import socket
import struct
import subprocess
import sys
import threading

PORT = 7000
CHUNK = 1 << 18


def produce(sock, size):
    """Send size bytes, no two chunks alike; returns their digest."""
    block = random.Random(size).randbytes(CHUNK)
    digest = hashlib.sha256()
    sent = 0
    while sent < size:
        data = (struct.pack(">Q", sent) + block)[:min(CHUNK, size - sent)]
        digest.update(data)
        sock.sendall(data)
        sent += len(data)
    return digest.digest()


def consume(sock, size):
    digest = hashlib.sha256()
    while size > 0:
        data = sock.recv(min(CHUNK, size))
        if not data:
            raise EOFError(f"{size} bytes are missing")
        digest.update(data)
        size -= len(data)
    return digest.digest()


def exactly(sock, size):
    data = sock.recv(size, socket.MSG_WAITALL)
    if len(data) != size:
        raise EOFError("connection closed early")
    return data


def answer(sock):
    with sock:
        direction, size = struct.unpack(">cQ", exactly(sock, 9))
        digest = (consume if direction == b"s" else produce)(sock, size)
        sock.sendall(digest)


def serve():
    with socket.create_server(("::", PORT), family=socket.AF_INET6,
                              dualstack_ipv6=True) as listener:
        print("ready", flush=True)
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=answer, args=(sock,), daemon=True).start()


def transfer(direction, address, size):
    with socket.create_connection((address, PORT), timeout=20) as sock:
        sock.sendall(struct.pack(">cQ", direction[0].encode(), size))
        ours = (produce if direction == "send" else consume)(sock, size)
        theirs = exactly(sock, 32)
    if ours != theirs:
        print("the two ends saw different bytes", file=sys.stderr)
        return 1
    print(ours.hex())
    return 0


class Intranet:
    """The server on a machine, and transfers to it from another."""

    def __init__(self, machine):
        self.machine = machine

    def __enter__(self):
        self.child = self.machine.spawn(sys.executable, __file__, "serve", stdout=subprocess.PIPE)
        assert self.child.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()

    def exchange(self, machine, address, size, timeout=90):
        """size bytes in each direction; an AssertionError unless both arrive intact."""
        for direction in ("send", "receive"):
            machine.run(sys.executable, pathlib.Path(__file__), direction, address, size,
                        timeout=timeout)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        sys.exit(transfer(sys.argv[1], sys.argv[2], int(sys.argv[3])))
