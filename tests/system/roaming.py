"""The laboratory for roaming: a client between two access networks, on links that behave as told.

              wifi0 ~~ link ~~ wifi0
    client                          router --- gateway --- intranet
              cell0 ~~ link ~~ cell0     wan0   wan0 lan0   lan0

Each link is a tern-link (tools/lab_link): delay, jitter, loss, duplicates, reordering, a rate, black
holes. The router translates a network's IPv4 addresses to one outer address of that network and to
ports of a small block, which `rebind` exchanges for the next. The client's interfaces are veths, as
true to a network card as namespaces get: a bridge on the machine `air` ties each to its link.

Everything below assumes that it already runs inside (lab.enter); tools/lab is the way in for people.

    with RoamingLab(build) as lab:
        intranet, gateway, tern = lab.start_intranet(), lab.start_gateway(), lab.start_tern()
        with Pings(lab.client, lab.INTRANET[0]) as pings:
            lab.link_down("wifi")
"""

import ipaddress
import json
import pathlib
import select
import subprocess

from client import Tern
from gateway import TernGateway, psk_config
from lab import HERE, Lab, wait_until
from strongswan import PATIENT, StrongSwan, connection, initiator
from traffic import Intranet

DELAY = "25ms"
ANSWER_TIMEOUT = 10
# What a TAP holds for a tern-link that a busy machine does not let run.
ROOM = "txqueuelen 10000"
PAGE = "The terns are back from the south."


class Network:
    """An access network: what the client's interface and the router's side of it are given."""

    def __init__(self, name, index, metric, v4, v6, outer):
        self.name = name
        self.index = index  # which the router's connection marks bear
        self.interface = f"{name}0"
        self.metric = metric
        self.ranges = {4: ipaddress.ip_network(v4), 6: ipaddress.ip_network(v6)}
        self.outer = outer
        self.nat = True
        self.host = 10  # the client's number in both ranges
        self.block = 0  # of the translator's ports
        self.state = "up"
        self.blackhole = "off"

    def address(self, host=None):
        """The client's addresses (or another host's), of the families that the network has."""
        return [sized.split("/")[0] for sized in self.sized(host or self.host)]

    def sized(self, host):
        """With the prefix length; the tenth host ends in .10 and in ::10."""
        return [f"{r[host if v == 4 else int(str(host), 16)]}/{r.prefixlen}"
                for v, r in self.ranges.items()]

    def ports(self):
        first = 20000 + 1000 * self.index + 10 * (self.block % 100)
        return first, first + 9


def networks():
    return [Network("wifi", 1, 600, "192.168.10.0/24", "2001:db8:10::/64", "203.0.113.10"),
            Network("cell", 2, 700, "100.64.20.0/24", "2001:db8:20::/64", "203.0.113.20")]


class Link:
    """A running tern-link; `up` is from the first machine to the second."""

    def __init__(self, build, seed, a, a_name, b, b_name):
        self.child = subprocess.Popen(
            [pathlib.Path(build) / "tern-link", "--seed", str(seed), f"{a.pid}:{a_name}",
             f"{b.pid}:{b_name}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self._expect("ready")

    def ask(self, line):
        self.child.stdin.write(line + "\n")
        return self._answer()

    def tell(self, line):
        self.child.stdin.write(line + "\n")
        self._expect("ok")

    def counters(self):
        """What happened, and how the link is shaped: {"up": {...}, "down": {...}}."""
        return json.loads(self.ask("counters"))

    def _answer(self):
        ready, _, _ = select.select([self.child.stdout], [], [], ANSWER_TIMEOUT)
        line = self.child.stdout.readline() if ready else ""
        if not line:
            raise RuntimeError("tern-link does not answer")
        return line.rstrip("\n")

    def _expect(self, word):
        answer = self._answer()
        if answer != word:
            raise ValueError(answer.removeprefix("error: "))

    def close(self):
        self.child.stdin.close()
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.child.stdout.close()


class RoamingLab(Lab):
    """nat: names of the networks whose IPv4 is translated; nat_timeout_s: after how much silence a
    mapping of UDP is forgotten (default: the kernel's); ipv4_only, ipv6_only: names of those that
    have that family alone. What the links do to the n-th packet of a direction follows from the
    seed."""

    GATEWAYS = ("tern", "strongswan")

    def __init__(self, build, nat=("wifi", "cell"), nat_timeout_s=None, ipv4_only=(), ipv6_only=(),
                 delay=DELAY, seed=1, directory=None):
        self.nat_timeout_s = nat_timeout_s
        self.build = pathlib.Path(build)
        self.delay = delay
        self.seed = seed
        self.networks = {n.name: n for n in networks()}
        self.links = {}
        for names, family in ((ipv4_only, 6), (ipv6_only, 4)):
            for name in names:
                self.network(name).ranges.pop(family)
        for network in self.networks.values():
            if not network.ranges:
                raise ValueError(f"{network.name} would have neither IPv4 nor IPv6")
            network.nat = network.name in nat and 4 in network.ranges
        for name in nat:
            self.network(name)
        super().__init__(directory=directory)

    def network(self, name):
        if name not in self.networks:
            raise ValueError(f"there is no network {name!r}: they are {', '.join(self.networks)}")
        return self.networks[name]

    # --- building ---

    def _cable_client(self):
        self.air = self.machine("air")
        self.air.sysctl(ipv6__conf__all__disable_ipv6=1, ipv6__conf__default__disable_ipv6=1)
        for network in self.networks.values():
            self._connect(network)

    def _connect(self, network):
        name, interface = network.name, network.interface
        link = Link(self.build, 2 * self.seed + network.index, self.air, f"{name}-tap",
                    self.router, interface)
        self.links[name] = link
        self.stack.callback(link.close)
        if self.delay:
            link.tell(f"shape both delay {self.delay}")
        first = self.next_index
        self.next_index += 2
        self.client.ip(f"link add {interface} index {first} type veth peer name {name}-veth "
                       f"index {first + 1} netns {self.air.pid}")
        self.air.ip(f"link add {name}-bridge type bridge mcast_snooping 0",
                    *(f"link set dev {name}-{port} master {name}-bridge"
                      for port in ("tap", "veth")),
                    *(f"link set dev {name}-{port} up {ROOM}"
                      for port in ("tap", "veth", "bridge")))
        self.router.ip(*(f"addr add {a} dev {interface}" for a in network.sized(1)),
                       f"link set dev {interface} up {ROOM}")
        self.client.ip(f"link set dev {interface} up", *self._configuration(network))

    @staticmethod
    def _configuration(network):
        """What DHCP and router advertisements would tell the client, for `ip -batch`."""
        device = f"dev {network.interface}"
        return ([f"addr replace {a} {device}" + (" nodad" if ":" in a else "")
                 for a in network.sized(network.host)] +
                [f"route replace default via {r} {device} metric {network.metric}"
                 for r in network.address(1)])

    def _cable(self):
        super()._cable()
        self.router.ip(*(f"addr add {n.outer}/24 dev wan0" for n in self.networks.values()
                         if n.nat))
        self._translate()

    def _settle(self):
        self.machines.pop("air")  # has no addresses to wait for
        super()._settle()
        self.machines["air"] = self.air

    # --- the router's translators ---

    def _translate(self):
        """Connections are marked with their network, so that those of one can be forgotten. What
        comes for a port that leads nowhere is dropped: no ICMP error tells that a mapping is
        gone."""
        nats = [n for n in self.networks.values() if n.nat]
        marks = "\n".join(f'iifname "{n.interface}" ct mark set {n.index}' for n in nats)
        chains = "\n".join(f"chain {n.name} {{\n}}" for n in nats)
        jumps = "\n".join(f'oifname "wan0" ct mark {n.index} jump {n.name}' for n in nats)
        self.router.nft(f"""
            table ip lab {{
                chain before {{
                    type filter hook prerouting priority -150
                    {marks}
                }}
                chain within {{
                    type filter hook input priority 0
                    iifname "wan0" meta l4proto {{ tcp, udp }} drop
                }}
                {chains}
                chain after {{
                    type nat hook postrouting priority 100
                    {jumps}
                }}
            }}""")
        for network in nats:
            self._translate_to(network)
        if self.nat_timeout_s:
            for kind in ("", "_stream"):
                self.router.sysctl(**{f"netfilter__nf_conntrack_udp_timeout{kind}":
                                      self.nat_timeout_s})

    def _translate_to(self, network):
        first, last = network.ports()
        self.router.nft(f"""
            flush chain ip lab {network.name}
            add rule ip lab {network.name} \
                meta l4proto {{ tcp, udp }} snat to {network.outer}:{first}-{last}
            add rule ip lab {network.name} snat to {network.outer}
            """)

    def outer(self, name):
        """(address, first port, last port) that the gateway sees; None where it sees the client's."""
        network = self.network(name)
        return (network.outer, *network.ports()) if network.nat else None

    # --- what happens to a traveller ---

    def link_down(self, name):
        """Out of range: the interface goes down, and with it its addresses and routes."""
        network = self.network(name)
        self.client.ip(f"link set dev {network.interface} down",
                       f"addr flush dev {network.interface}")
        network.state = "down"

    def link_unplug(self, name):
        """The carrier is lost and nobody has acted on it: the addresses and routes are there."""
        network = self.network(name)
        self.air.ip(f"link set dev {name}-veth down")
        network.state = "unplugged"

    def link_up(self, name):
        network = self.network(name)
        if network.state == "unplugged":
            self.air.ip(f"link set dev {name}-veth up")
        self.client.ip(f"link set dev {network.interface} up", *self._configuration(network))
        network.state = "up"

    def blackhole(self, name, on=True, direction="both"):
        """Addresses and carrier stay, nothing passes; `up` is from the client."""
        self._tell(name, f"blackhole {direction} {'on' if on else 'off'}")
        counters = self.links[name].counters()
        holes = [d for d in ("up", "down") if counters[d]["blackhole"]]
        self.network(name).blackhole = {0: "off", 1: "".join(holes), 2: "on"}[len(holes)]

    def rebind(self, name):
        """The translator forgets, and maps to other ports what comes now. Returns outer()."""
        network = self.network(name)
        if not network.nat:
            raise ValueError(f"{name} has no NAT")
        network.block += 1
        self._translate_to(network)
        self.router.run("/usr/bin/python3", HERE / "conntrack.py", network.index)
        return self.outer(name)

    def renumber(self, name):
        """The client gets other addresses in that network, and loses those it had."""
        network = self.network(name)
        old = network.sized(network.host)
        network.host = 10 + (network.host - 9) % 100
        if network.state == "down":
            return network.address()
        self.client.ip(*(f"addr del {a} dev {network.interface}" for a in old),
                       *self._configuration(network))
        return network.address()

    def shape(self, name, direction="both", **values):
        """delay="40ms", jitter=, loss="2%", duplicate=, reorder=, rate="20mbit", queue="64k"."""
        self._tell(name, f"shape {direction} " + " ".join(f"{k} {v}" for k, v in values.items()))

    def counters(self, name):
        self.network(name)
        return self.links[name].counters()

    def _tell(self, name, line):
        self.network(name)
        self.links[name].tell(line)

    def interfaces(self):
        return [n.interface for n in self.networks.values()]

    def capture(self, path=None):
        """All that crosses the client's outer interfaces, as one pcapng file."""
        return self.client.capture(*self.interfaces(), path=path)

    # --- who is there ---

    def start_gateway(self, kind="tern", **keys):
        """tern-gateway or strongSwan; keys are those of psk_config() or connection()."""
        if kind == "tern":
            gateway = self.stack.enter_context(TernGateway(self.gateway, self.build))
            return gateway.start(psk_config(**keys))
        if kind != "strongswan":
            raise ValueError(f"there is no gateway {kind!r}: they are {', '.join(self.GATEWAYS)}")
        gateway = self.stack.enter_context(StrongSwan(self.gateway))
        gateway.load(connection(**keys))
        return gateway

    def start_intranet(self):
        """The traffic server (traffic.py), and a page at http://10.9.0.80/."""
        www = self.directory / "www"
        www.mkdir()
        (www / "index.html").write_text(f"<h1>{PAGE}</h1>\n")
        self.intranet.spawn("/usr/bin/python3", "-m", "http.server", "80", "--bind",
                            self.INTRANET[0], "--directory", www, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
        wait_until(lambda: "LISTEN" in self.intranet.run(
            "ss", "-Htln", "sport = :80").stdout, 10, "the web server")
        return self.stack.enter_context(Intranet(self.intranet))

    def tern(self, binary=None):
        """tern on the client, not connected."""
        return self.stack.enter_context(Tern(self.client, binary or self.build))

    def profile(self, tern, roaming=(), **sections):
        """A profile that knows the gateway by all its addresses; see Tern.profile()."""
        gateway = {"Address": ", ".join(self.GATEWAY), **dict(sections.pop("gateway", ()))}
        return tern.profile(gateway=gateway, roaming=roaming, **sections)

    def start_tern(self, **sections):
        """tern, connected."""
        tern = self.tern()
        tern.up(self.profile(tern, **sections))
        return tern

    def start_strongswan_client(self, family=None, **keys):
        """strongSwan as the client, connected, with the same credentials and its own timing, but DPD
        after 30 s. family: 4 or 6 for one of the gateway's addresses alone."""
        addresses = [a for a, f in zip(self.GATEWAY, (4, 6)) if family in (None, f)]
        swan = self.stack.enter_context(StrongSwan(self.client, timing=PATIENT))
        swan.load(initiator(remote_addresses=addresses, **keys))
        swan.initiate()
        return swan
