"""Traffic with a checksum, and the servers of the intranet.

traffic.py serve [ADDRESS]...         a TCP server on port 7000 of all addresses; prints `ready`
traffic.py send|receive ADDRESS SIZE  move SIZE bytes; prints the SHA-256 if both ends agree
traffic.py flow ADDRESS               receive until stdin ends, and see that all of it is right;
                                      prints `ready`, and at the end how many bytes
"""

import contextlib
import hashlib
import pathlib
import random
import select
import socket
import struct
import subprocess
import sys
import threading

PORT = 7000
CHUNK = 1 << 18
# What a flow has on its way at most: less than the queues of the lab hold, so that none of it is
# lost and what shares them is not either.
FLOW_WINDOW = 128 << 10


def chunks(size):
    """size bytes, no two chunks alike."""
    block = random.Random(size).randbytes(CHUNK)
    for at in range(0, size, CHUNK):
        yield (struct.pack(">Q", at) + block)[:min(CHUNK, size - at)]


def produce(sock, size):
    """Send size bytes; returns their digest."""
    digest = hashlib.sha256()
    for data in chunks(size):
        digest.update(data)
        sock.sendall(data)
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
        if direction == b"f":
            with contextlib.suppress(ConnectionError):  # it ends as the client likes
                for data in chunks(size):
                    sock.sendall(data)
            return
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


def flow(address):
    size = 1 << 62
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FLOW_WINDOW)
        sock.settimeout(20)
        sock.connect((address, PORT))
        sock.sendall(struct.pack(">cQ", b"f", size))
        print("ready", flush=True)
        received = 0
        for expected in chunks(size):
            if select.select([sys.stdin], [], [], 0)[0]:
                break
            data = memoryview(expected)
            while data:
                got = sock.recv(len(data))
                if not got or got != data[:len(got)]:
                    print(f"wrong or no bytes after {received} right ones", file=sys.stderr)
                    return 1
                data = data[len(got):]
                received += len(got)
    print(received)
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
    elif sys.argv[1] == "flow":
        sys.exit(flow(sys.argv[2]))
    else:
        sys.exit(transfer(sys.argv[1], sys.argv[2], int(sys.argv[3])))
