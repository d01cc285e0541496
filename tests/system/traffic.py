"""Traffic with a checksum, and the servers of the intranet.

traffic.py serve [ADDRESS]...         a TCP server on port 7000 of all addresses; prints `ready`
traffic.py send|receive ADDRESS SIZE  move SIZE bytes; prints the SHA-256 if both ends agree
traffic.py talk ADDRESS PAUSE         one connection on which blocks go there and come back, PAUSE
                                      seconds apart, until SIGTERM; prints how many as they come
traffic.py flow ADDRESS               receive until stdin ends, and see that all of it is right;
                                      prints `ready`, and at the end how many bytes
"""

import contextlib
import hashlib
import pathlib
import random
import re
import signal
import select
import socket
import struct
import subprocess
import sys
import threading
import time

PORT = 7000
CHUNK = 1 << 18
BLOCK = 1 << 14
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
    data = bytearray()
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError("connection closed early")
        data += more
    return bytes(data)


def answer(sock):
    with sock:
        direction, size = struct.unpack(">cQ", exactly(sock, 9))
        if direction == b"t":
            while data := sock.recv(CHUNK):
                sock.sendall(data)
            return
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


def talk(address, pause):
    more = True

    def stop(*_):
        nonlocal more
        more = False

    signal.signal(signal.SIGTERM, stop)
    block = random.Random(BLOCK).randbytes(BLOCK)
    with socket.create_connection((address, PORT), timeout=60) as sock:
        sock.sendall(struct.pack(">cQ", b"t", 0))
        count = 0
        while more:
            data = struct.pack(">Q", count) + block
            sock.sendall(data)
            if hashlib.sha256(exactly(sock, len(data))).digest() != hashlib.sha256(data).digest():
                raise ValueError(f"block {count} came back changed")
            count += 1
            print(count, flush=True)
            time.sleep(pause)


class Talk:
    """A TCP connection that is used for as long as the block lasts; if it breaks, the test fails."""

    def __init__(self, machine, address, pause=0.01):
        self.path = machine.directory / "talk.out"
        with open(self.path, "wb") as out:
            self.child = machine.spawn(sys.executable, pathlib.Path(__file__), "talk", address,
                                       pause, stdout=out, stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def blocks(self):
        """How many have come back so far."""
        assert self.child.poll() is None, self.child.stderr.read()
        return self.path.read_bytes().count(b"\n")

    def __exit__(self, kind, *_):
        if self.child.poll() is None:
            self.child.terminate()
        _, err = self.child.communicate(timeout=70)
        if kind is None:
            assert self.child.returncode == 0, err


class Pings:
    """Echo requests at an interval for as long as the block lasts. (Where the next one is due within
    10 ms and no answer is, ping does not sleep but spins: the interval is longer.)"""

    def __init__(self, machine, address, interval=0.015):
        self.path = machine.directory / f"ping-{address.replace(':', '-')}.out"
        with open(self.path, "wb") as out:
            self.child = machine.spawn("ping", "-n", "-D", "-i", interval, address, stdout=out,
                                       stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGINT)
        self.child.wait(30)

    def answers(self):
        """(time, sequence number) of each answer so far, in the order of arrival; the numbers
        go on above 65535."""
        found, high = [], 0
        text = self.path.read_text()
        for at, number in re.findall(r"^\[([\d.]+)\] .* icmp_seq=(\d+) .*time=", text, re.M):
            number = int(number)
            if number < 16384 and high % 65536 > 49152:
                high += 65536 - high % 65536
            high = max(high, high - high % 65536 + number)
            found.append((float(at), high - high % 65536 + number))
        return found

    def seen(self):
        return len(self.answers())

    def lost(self):
        """Numbers that never came back, of those before the last that did."""
        numbers = {n for _, n in self.answers()}
        assert numbers, "not one echo came back"
        return sorted(set(range(1, max(numbers) + 1)) - numbers)

    def gap(self):
        """The longest time between two answers, in seconds."""
        times = [at for at, _ in self.answers()]
        return max(b - a for a, b in zip(times, times[1:]))


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
    elif sys.argv[1] == "talk":
        talk(sys.argv[2], float(sys.argv[3]))
    elif sys.argv[1] == "flow":
        sys.exit(flow(sys.argv[2]))
    else:
        sys.exit(transfer(sys.argv[1], sys.argv[2], int(sys.argv[3])))
