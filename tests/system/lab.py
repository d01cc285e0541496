"""A small internet without root: machines, cables and addresses inside user namespaces.

    client --- router --- gateway --- intranet
      up0     down0 wan0   wan0 lan0   lan0

Everything below assumes that it already runs as uid 0 of a user namespace with its own network,
mount and process namespaces; `enter()` gets there. Each machine is a child process that holds a
network namespace and a mount namespace (private /run and /etc/resolv.conf), so what a program under
test does to "its system" stays in that machine and goes when the lab is closed.
"""

import contextlib
import ipaddress
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
INSIDE = "TERN_LAB"  # set once we are inside the namespaces
# Nobody listens there, and says so at once: no look-up of a name takes long.
RESOLV_CONF = "nameserver 127.0.0.1\n"


# --- getting in, and proof that nothing outside was touched ---

def inside():
    return os.environ.get(INSIDE) == "1"


def separate(argv, *more):
    """argv, in a network, mounts and processes of its own. The shell stays as process 1: it reaps
    what daemons leave behind."""
    return ["unshare", *more, "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child",
            "--propagation", "private",
            "sh", "-c", 'ip link set lo up && "$@"; exit $?', "lab", *argv]


def enter_command(argv):
    """The same, and root there: the way in for everybody."""
    return separate(argv, "--user", "--map-root-user")


def machine_state():
    """What the machine itself routes and resolves: compared before and after, outside."""
    text = system_state(lambda *argv: subprocess.run(argv, capture_output=True, text=True).stdout)
    return re.sub(r" expires -?\d+sec| (valid|preferred)_lft \w+", "", text)


def system_state(run):
    """Routes, rules, addresses and resolver of one machine as text; run(argv...) -> stdout."""
    commands = (
        ("ip", "-4", "rule"), ("ip", "-6", "rule"),
        ("ip", "-4", "route", "show", "table", "all"), ("ip", "-6", "route", "show", "table", "all"),
        ("ip", "addr"), ("cat", "/etc/resolv.conf"),
    )
    return "\n".join(f"$ {' '.join(c)}\n{run(*c)}" for c in commands)


def enter(argv, cwd=None):
    """Run argv inside fresh namespaces. Returns its exit code, or fails where the namespaces
    cannot be had, or where the machine's own network was found changed afterwards."""
    before = machine_state()
    environment = dict(os.environ, **{INSIDE: "1"})
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells the child as well
    try:
        child = subprocess.Popen(
            enter_command(argv), env=environment, cwd=cwd,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
        code = child.wait()
    finally:
        signal.signal(signal.SIGINT, interrupt)
    after = machine_state()
    if after != before:
        print(f"lab: the machine's own network changed:\n--- before\n{before}\n--- after\n{after}",
              file=sys.stderr)
        return code or 1
    return code


def add_build_option(parser):
    """Where the programs are that are tried; as seen from where the command was called."""
    parser.add_argument("--build", type=lambda text: pathlib.Path(text).resolve(),
                        default=HERE.parents[1] / "build/release")


# --- waiting for events ---

class Timeout(AssertionError):
    pass


def wait_until(probe, timeout, what):
    """Poll probe() until it returns something true; that is returned. Bounded, and says what. What
    takes long to ask is asked less often: a busy machine is not kept busy by the asking."""
    end = time.monotonic() + timeout
    while True:
        asked = time.monotonic()
        value = probe()
        if value:
            return value
        now = time.monotonic()
        if now > end:
            raise Timeout(f"after {timeout} s still waiting for {what}")
        time.sleep(min(max(0.01, 2 * (now - asked)), 0.2))


# --- machines ---

class Machine:
    def __init__(self, lab, name):
        self.lab = lab
        self.name = name
        self.directory = lab.directory / name
        self.directory.mkdir()
        self.children = []
        resolv = self.directory / "resolv.conf"
        resolv.write_text(RESOLV_CONF)
        # A symbolic link (systemd-resolved's) would dangle under the new /run: give it its target.
        script = (
            'target=$(readlink -m /etc/resolv.conf) && mount -t tmpfs -o mode=755 tmpfs /run && '
            'case "$target" in '
            '/run/*) mkdir -p "$(dirname "$target")" && cp "$1" "$target";; '
            '*) mount --bind "$1" /etc/resolv.conf;; '
            'esac && hostname "$2" && ip link set lo up && echo ready && exec sleep infinity')
        self.holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--uts", "--propagation", "private",
             "sh", "-c", script, "machine", str(resolv), name],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        if self.holder.stdout.readline() != "ready\n":
            raise RuntimeError(f"machine {name} did not start")
        self.pid = self.holder.pid
        self.resolv_conf = resolv

    def prefix(self):
        return ["nsenter", "-t", str(self.pid), "--net", "--mount", "--uts"]

    def run(self, *argv, check=True, timeout=30, env=None, **kwargs):
        """Run to the end; stdout and stderr captured as text."""
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        result = subprocess.run(
            self.prefix() + [str(a) for a in argv], capture_output=True, text=True,
            timeout=timeout, env=None if env is None else dict(os.environ, **env),
            **{k: v for k, v in kwargs.items() if k != "stdin" or "input" not in kwargs})
        if check and result.returncode != 0:
            raise AssertionError(
                f"{self.name}: {' '.join(map(str, argv))}: exit {result.returncode}\n"
                f"{result.stdout}{result.stderr}")
        return result

    def spawn(self, *argv, env=None, **kwargs):
        """Start and keep; ended with the machine at the latest."""
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        child = subprocess.Popen(
            self.prefix() + [str(a) for a in argv], text=True,
            env=None if env is None else dict(os.environ, **env), **kwargs)
        self.children.append(child)
        return child

    def ip(self, *lines):
        """Lines for `ip -batch`."""
        self.run("ip", "-batch", "-", input="\n".join(lines) + "\n")

    def sysctl(self, **values):
        for key, value in values.items():
            self.run("sh", "-c", 'echo "$1" > "$2"', "sysctl", value,
                     "/proc/sys/net/" + key.replace("__", "/"))

    def forward(self):
        self.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)

    def nft(self, rules):
        self.run("nft", "-f", "-", input=rules)

    def state(self):
        """Once the kernel is done: each IPv6 address has a route of its own, which it adds a moment
        after the address."""
        wait_until(lambda: len(self._ipv6("addr show -tentative")) ==
                   len(self._ipv6("route show table local type local")), 5, "routes of addresses")
        return system_state(lambda *argv: self.run(*argv).stdout)

    def _ipv6(self, what):
        return self.run("ip", "-6", "-o", *what.split()).stdout.splitlines()

    def interfaces(self, *which):
        return re.findall(r"^\d+: ([^:@]+)", self.run("ip", "-o", "link", "show", *which).stdout,
                          re.M)

    def ping(self, address, count=1, timeout=None, source=None, size=56):
        """Flood-like, until `count` echoes are answered or the time is over; returns how many were.
        (ping asks again while answers are late, so on a busy machine more than that may come.)"""
        timeout = timeout or 10 + count // 10
        extra = ["-I", source] if source else []
        result = self.run("ping", "-n", "-q", "-f" if count > 1 else "-W2", "-c", count, "-w",
                          timeout, "-s", size, *extra, address, check=False, timeout=timeout + 10)
        match = re.search(r"(\d+) received", result.stdout)
        return min(int(match.group(1)), count) if match else 0

    @contextlib.contextmanager
    def capture(self, *interfaces, path=None):
        """Everything on an interface, as a pcap file (of several: pcapng); yields the Capture."""
        suffix = "pcap" if len(interfaces) == 1 else "pcapng"
        path = path or self.directory / f"{'-'.join(interfaces)}.{suffix}"
        capture = Capture(self, interfaces, path)
        try:
            yield capture
        finally:
            capture.stop()

    def close(self):
        for child in self.children:
            if child.poll() is None:
                child.terminate()
        for child in self.children:
            try:
                child.wait(3)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            for stream in (child.stdout, child.stderr, child.stdin):
                if stream:
                    stream.close()
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


def end(child, patience=5):
    """SIGTERM to a process, and SIGKILL to one that does not heed it; None is fine."""
    if child is None or child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(patience)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def process_status(pid, key):
    """A number of /proc/PID/status, or PID/task/TID's."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{key}:\s+(\d+)", text, re.M).group(1))


class Capture:
    """A capture being written. (tcpdump wants to change its user, which a namespace with a single
    user cannot do, so capture.py writes the file; everybody can read it.)"""

    def __init__(self, machine, interfaces, path):
        self.path = pathlib.Path(path)
        self.child = machine.spawn(sys.executable, HERE / "capture.py", path, *interfaces,
                                   stdout=subprocess.PIPE)
        if self.child.stdout.readline() != "ready\n":
            raise RuntimeError(f"no capture on {machine.name}: {', '.join(interfaces)}")

    def stop(self):
        if self.child.poll() is None:
            self.child.terminate()
        dropped, _ = self.child.communicate(timeout=10)
        if self.child.returncode != 0:
            raise AssertionError(f"capture {self.path} is incomplete: {dropped}")

    def tshark(self, *args):
        """Run tshark over what was captured; returns its stdout."""
        result = subprocess.run(["tshark", "-n", "-r", str(self.path), *args], capture_output=True,
                                text=True, timeout=60)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def fields(self, display_filter, *names):
        """Rows of the named tshark fields, for the frames that match."""
        args = [a for n in names for a in ("-e", n)]
        text = self.tshark("-Y", display_filter, "-T", "fields", "-E", "separator=|", *args)
        return [line.split("|") for line in text.splitlines()]

    def contains(self, data):
        return data in self.path.read_bytes()


class Lab:
    """The four machines, cabled and addressed. nat=True: the router masquerades the client."""

    CLIENT = ("192.0.2.10", "2001:db8:1::10")
    ROUTER = ("192.0.2.1", "2001:db8:1::1")
    UPLINK = ("203.0.113.254", "2001:db8:2::fe")
    GATEWAY = ("203.0.113.1", "2001:db8:2::1")
    LAN = ("10.9.0.1", "fd09::1")
    INTRANET = ("10.9.0.80", "fd09::80")
    ELSEWHERE = ("198.51.100.7", "2001:db8:c::7")  # "the internet", which only the gateway reaches
    POOLS = ("10.7.0.0/24", "fd07::/64")

    def __init__(self, nat=False, directory=None):
        self.owned = None
        if directory is None:
            self.owned = tempfile.TemporaryDirectory(prefix="tern-lab-")
            directory = self.owned.name
        self.directory = pathlib.Path(directory)
        self.stack = contextlib.ExitStack()
        self.next_index = 10
        self.machines = {}
        try:
            self._build()
            self._settle()
            if nat:
                self.masquerade()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stack.close()
        if self.owned:
            self.owned.cleanup()

    def _build(self):
        self.client = self.machine("client")
        self.router = self.machine("router")
        self.gateway = self.machine("gateway")
        self.intranet = self.machine("intranet")
        self._cable_client()
        self._cable()

    def machine(self, name):
        machine = self.machines[name] = Machine(self, name)
        self.stack.callback(machine.close)
        # IPv6 addresses are usable at once, and nothing configures itself.
        for scope in ("all", "default"):
            machine.sysctl(**{f"ipv6__conf__{scope}__accept_dad": 0,
                              f"ipv6__conf__{scope}__accept_ra": 0})
        return machine

    def link(self, a, a_name, b, b_name, *addresses):
        """A cable; addresses are (a's, b's) pairs with prefix lengths."""
        # Where both ends have the same index, the kernel takes a second to notice the carrier.
        first = self.next_index
        self.next_index += 2
        a.ip(f"link add {a_name} index {first} type veth "
             f"peer name {b_name} index {first + 1} netns {b.pid}")
        for machine, name, index in ((a, a_name, 0), (b, b_name, 1)):
            lines = [f"addr add {pair[index]} dev {name}" +
                     (" nodad" if ":" in pair[index] else "") for pair in addresses]
            machine.ip(*lines, f"link set {name} up")

    @staticmethod
    def pairs(a, b):
        """Two machines' (IPv4, IPv6) as addresses for link()."""
        return [(f"{x}/{24 if '.' in x else 64}", f"{y}/{24 if '.' in y else 64}")
                for x, y in zip(a, b)]

    def _cable_client(self):
        self.link(self.client, "up0", self.router, "down0", *self.pairs(self.CLIENT, self.ROUTER))
        self.client.ip(*(f"route add default via {a}" for a in self.ROUTER))

    def _cable(self):
        self.router.forward()
        self.gateway.forward()
        self.link(self.router, "wan0", self.gateway, "wan0",
                  *self.pairs(self.UPLINK, self.GATEWAY))
        self.link(self.gateway, "lan0", self.intranet, "lan0", *self.pairs(self.LAN, self.INTRANET))
        self.gateway.ip(*(f"route add default via {a}" for a in self.UPLINK),
                        *(f"route add {e} via {i}" for e, i in zip(self.ELSEWHERE, self.INTRANET)))
        self.intranet.ip(*(f"route add default via {a}" for a in self.LAN),
                         *(f"addr add {a}/{32 if '.' in a else 128} dev lo" for a in self.ELSEWHERE))

    def _settle(self):
        """All is settled before a test takes a picture of the system."""
        for machine in self.machines.values():
            cables = len(machine.interfaces("up")) - 1
            wait_until(lambda: machine.run("ip", "-6", "addr", "show", "scope", "link", "up",
                                           "-tentative").stdout.count("inet6") == cables, 5,
                       f"addresses of {machine.name}")

    def another_client(self, number):
        """A second client (number 1, 2 ...) on a cable of its own to the router."""
        machine = self.machine(f"client{number}")
        self.link(machine, "up0", self.router, f"down{number}",
                  (f"192.0.2.{16 * number + 10}/28", f"192.0.2.{16 * number + 1}/28"))
        machine.ip(f"route add default via 192.0.2.{16 * number + 1}")
        return machine

    def masquerade(self):
        self.router.nft("""
            table inet nat {
                chain post {
                    type nat hook postrouting priority 100
                    oifname "wan0" masquerade
                }
            }""")

    def pool(self, family, index):
        """The index-th address of the gateway's pool."""
        return str(ipaddress.ip_network(self.POOLS[0 if family == 4 else 1])[index])
