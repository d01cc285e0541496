"""The tunnels that tools/bench/throughput compares: each in a pair of namespaces of its own, joined by
one veth. A tunnel says where the far end is reached through it (`far`) and which processes are its
client (`pids`); everything else is alike."""

import contextlib
import os
import pathlib
import select
import subprocess
import sys

from client import Tern
from gateway import TernGateway, psk_config
from lab import Lab, wait_until
from strongswan import PATIENT, StrongSwan, connection, initiator

ESP = "aes256gcm16"
READY_S = 30


class Pair(Lab):
    """A client and a gateway, back to back. What is behind the gateway is an address of its own, to
    which the client has no route but by a tunnel."""

    CLIENT = ("203.0.113.10", "2001:db8:2::10")

    def _build(self):
        self.client = self.machine("client")
        self.gateway = self.machine("gateway")
        self.link(self.client, "up0", self.gateway, "wan0", *self.pairs(self.CLIENT, self.GATEWAY))
        self.gateway.ip(f"addr add {self.LAN[0]}/32 dev lo", f"addr add {self.LAN[1]}/128 dev lo")


class Bare:
    """No tunnel."""

    name, title, far = "veth", "bare veth", Lab.GATEWAY[0]

    def __init__(self, options):
        self.options = options
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.lab = stack.enter_context(Pair())
            self.client, self.gateway = self.lab.client, self.lab.gateway
            self.start(stack)
            wait_until(lambda: self.client.ping(self.far), READY_S, f"an echo through {self.title}")
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def start(self, stack):
        pass

    def pids(self):
        return []


class TernToTern(Bare):
    name, title, far, offload, suffix = "tern", "tern", Lab.LAN[0], "auto", ""

    def start(self, stack):
        gateway = stack.enter_context(TernGateway(self.gateway, self.options.build))
        gateway.binary = gateway.binary.with_name(gateway.binary.name + self.suffix)
        gateway.start(psk_config())
        self.tern = stack.enter_context(Tern(self.client, self.options.build))
        self.tern.binary = self.tern.binary.with_name(self.tern.binary.name + self.suffix)
        profile = self.tern.profile(tunnel={"Offload": self.offload}, crypto={"ESP": ESP})
        # Not Tern.up(): its log of everything is for tests.
        self.tern.run("up", profile, "--log-file", self.tern.log)

    def pids(self):
        return self.tern.pids()


class TernWithoutOffload(TernToTern):
    name, title, offload = "tern-off", "tern, Offload = off", "off"


class NullToNull(TernToTern):
    """The very same without an AEAD: what is left is the price of all the rest."""

    name, title, suffix = "null", "tern, no AEAD", "-null"

    def start(self, stack):
        os.environ["TERN_PROTECTS_NOTHING"] = "yes"  # they do not run without
        super().start(stack)


def build_null(options):
    built = subprocess.run(["cmake", "--build", options.build, "--target", "tern-null",
                            "tern-gateway-null"], stdout=sys.stderr)
    if built.returncode != 0:
        sys.exit(f"throughput: {options.build} cannot build the null tunnel; choose others by --tunnel")


class StrongSwanToStrongSwan(Bare):
    name, title, far = "strongswan", "strongSwan", Lab.LAN[0]

    def start(self, stack):
        gateway = stack.enter_context(StrongSwan(self.gateway, timing=PATIENT))
        gateway.load(connection(esp=ESP))
        self.swan = stack.enter_context(StrongSwan(self.client, timing=PATIENT))
        self.swan.load(initiator([Lab.GATEWAY[0]], esp=ESP))
        self.swan.initiate()

    def pids(self):
        return [self.swan.child.pid]


class Peer(Bare):
    """Whatever --peer starts, at both ends: see PEER_HELP."""

    name, title, far = "peer", "peer", Lab.LAN[0]

    def start(self, stack):
        shared = self.lab.directory / "peer"
        shared.mkdir()
        known = {"DIRECTORY": shared, "CLIENT_PID": self.client.pid, "GATEWAY_PID": self.gateway.pid,
                 "CLIENT": self.lab.CLIENT[0], "GATEWAY": self.lab.GATEWAY[0], "FAR": self.far,
                 "INSIDE": self.lab.pool(4, 1)}
        self.children = {}
        for role, machine in (("gateway", self.gateway), ("client", self.client)):
            with open(self.lab.directory / f"peer-{role}.log", "wb") as log:
                child = machine.spawn(
                    "sh", "-c", self.options.peer, stdout=subprocess.PIPE, stderr=log,
                    env={"TERN_PEER_ROLE": role,
                         **{f"TERN_PEER_{k}": str(v) for k, v in known.items()}})
            self.children[role] = child
            self._wait_ready(role, child.stdout, pathlib.Path(log.name))

    @staticmethod
    def _wait_ready(role, out, log):
        told = select.select([out], [], [], READY_S)[0] and out.readline()
        if told != "ready\n":
            raise AssertionError(f"--peer as {role} said {told!r}, not ready\n{log.read_text()}")

    def pids(self):
        """The command and what it has started."""
        parents = {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        found = [self.children["client"].pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found


PEER_HELP = """\
--peer CMD joins another tunnel. `sh -c CMD` runs twice, as root of one end's namespaces each, the
gateway first; it says "ready" on a line of stdout and stays in the foreground until SIGTERM. In its
environment:
    TERN_PEER_ROLE                             gateway or client
    TERN_PEER_DIRECTORY                        both see it; empty at first (keys may be left there)
    TERN_PEER_CLIENT, TERN_PEER_GATEWAY        the two ends' addresses on the veth
    TERN_PEER_INSIDE                           an address that the client may take inside
    TERN_PEER_FAR                              the gateway's address inside; it has it, on lo
    TERN_PEER_CLIENT_PID, TERN_PEER_GATEWAY_PID  processes that hold the namespaces (nsenter -t)
It must bring up that the client reaches TERN_PEER_FAR by the tunnel alone, and back; the gateway is
ready when it listens, the client when packets pass. The client's CPU time and memory are those of
CMD and its descendants."""


def tunnels(options):
    kinds = [Bare, NullToNull, TernToTern, TernWithoutOffload, StrongSwanToStrongSwan]
    if options.peer:
        kinds.append(Peer)
    return [kind(options) for kind in kinds if not options.tunnel or kind.name in options.tunnel]


NAMES = ("veth", "null", "tern", "tern-off", "strongswan", "peer")


def settings(tunnel):
    """What a figure depends on besides the tunnels, for whoever compares."""
    def read(name):
        # Some cannot be read in a namespace.
        return tunnel.client.run("cat", f"/proc/sys/net/{name}", check=False).stdout.strip() or None
    link = tunnel.client.run("ip", "-d", "link", "show", "up0").stdout
    return {"kernel": os.uname().release, "cores": os.cpu_count(), "esp": ESP,
            "congestion": tunnel.options.congestion, "veth": link.splitlines(),
            **{name: read(name) for name in ("ipv4/tcp_rmem", "ipv4/tcp_wmem", "core/rmem_max",
                                             "core/wmem_max", "core/rmem_default")}}
