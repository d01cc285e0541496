"""The cases of tools/bench/handover: what happens to the traveller, what of it is measured, and how
good that has to be. Each case is a function of a Trip's options that makes a laboratory of its own
and returns figures; times are milliseconds."""

import random
import time

from handover import INTERVAL_S, Trip, ike_packets, keepalives
from lab import wait_until

RTT_MS = 50
NETWORKS = ("wifi", "cell")
RSS_GROWTH_KB = 256  # in the second half: by then what fills once is full


class Options:
    """build, patience_s, gone_s, toggles, idle_s, pings, seed"""

    def __init__(self, **values):
        self.__dict__.update(values)


def milliseconds(seconds):
    return None if seconds is None else round(1000 * seconds, 1)


def figures(echoes, at, back, trip, since_event=False):
    """What the echoes tell of an event at that moment; back: they came back. since_event: the
    silence began before it on purpose, and what counts is how long it went on."""
    echoes.stop()
    begin, end = echoes.silence(at)
    first = echoes.first_after(at)
    gap = end - begin
    if since_event:
        gap = first - at if first is not None else echoes.sent[-1] - at
    return {
        "gap_ms": milliseconds(gap), "back": back, "lost": len(echoes.lost()),
        "sent": len(echoes.sent), "first_ms": milliseconds(first - at if first else None),
        "rtt_ms": milliseconds(echoes.round_trip(at)),
        "stall_ms": milliseconds(echoes.stall(begin, end)),
        "same_ike": trip.traveller.identity() == trip.before,
    }


def travel(options, client, gateway, **lab):
    trip = Trip(options.build, client, gateway, **lab)
    trip.before = trip.traveller.identity()
    return trip


# --- cases ---

def hard(options, client, gateway):
    """The wifi goes, the cell is there."""
    with travel(options, client, gateway) as trip:
        echoes = trip.echoes()
        at = trip.down("wifi", echoes)
        back = echoes.steady(at, options.patience_s)
        return figures(echoes, at, back, trip)


def better(options, client, gateway):
    """On the cell; the wifi, which costs less, comes within reach for the first time: one that was
    lost a moment ago has to earn trust again."""
    with travel(options, client, gateway, away=["wifi"]) as trip:
        echoes = trip.echoes()
        echoes.wait_answers(options.pings // 4, 60, "echoes before")
        at = trip.up("wifi", echoes)
        moved = trip.wait_interface("wifi", INTERVAL_S * options.pings * 0.7)
        wait_until(lambda: echoes.read() or len(echoes.sent) >= options.pings, 60, "the echoes")
        return figures(echoes, at, True, trip) | {"moved": bool(moved)}


def blackhole(options, client, gateway):
    """The router loses all of the wifi's packets and tells nobody."""
    with travel(options, client, gateway) as trip:
        echoes = trip.echoes()
        at = trip.blackhole("wifi")
        back = echoes.steady(at, options.patience_s)
        return figures(echoes, at, back, trip)


def rebind(options, client, gateway):
    """The NAT in front of the client forgets, and maps to another port."""
    with travel(options, client, gateway) as trip:
        echoes = trip.echoes()
        at = trip.rebind("wifi")
        back = echoes.steady(at, options.patience_s)
        return figures(echoes, at, back, trip)


def family(options, client, gateway):
    """From a network that has IPv4 alone to one that has IPv6 alone, and back."""
    with travel(options, client, gateway, ipv4_only=["wifi"], ipv6_only=["cell"]) as trip:
        echoes = trip.echoes()
        at = trip.down("wifi", echoes)
        back = echoes.steady(at, options.patience_s)
        there = echoes.silence(at)
        trip.up("wifi", echoes)
        # Who moves by itself has done so when the other network goes.
        trip.wait_interface("wifi", 2)
        again = trip.down("cell", echoes)
        back = echoes.steady(again, options.patience_s) and back
        result = figures(echoes, at, back, trip)
        home = echoes.silence(again)
        return result | {"there_ms": milliseconds(there[1] - there[0]),
                         "home_ms": milliseconds(home[1] - home[0])}


def rekey(options, client, gateway):
    """New keys are asked for into a black hole, and then the wifi goes."""
    with travel(options, client, gateway) as trip:
        echoes = trip.echoes()
        before = trip.traveller.children()
        trip.blackhole("wifi")
        trip.traveller.rekey()
        at = trip.down("wifi", echoes)
        back = echoes.steady(at, options.patience_s)
        result = figures(echoes, at, back, trip, since_event=True)

        def rekeyed():
            now = trip.traveller.children()
            return bool(now) and not now & before
        try:
            done = wait_until(rekeyed, 5, "the new keys alone")
        except AssertionError:
            done = False
        return result | {"rekeyed": done}


def gone(options, client, gateway):
    """No network at all for a while."""
    with travel(options, client, gateway) as trip:
        echoes = trip.echoes()
        trip.down("cell", echoes)
        trip.down("wifi", echoes)
        time.sleep(options.gone_s)
        at = trip.up("wifi", echoes)
        back = echoes.steady(at, options.patience_s)
        return figures(echoes, at, back, trip, since_event=True)


def toggles(options, client, gateway):
    """Two interfaces go and come as chance has it, while a connection inside is used."""
    chance = random.Random(options.seed)
    with travel(options, client, gateway) as trip:
        talk = trip.talk()
        wait_until(talk.blocks, 20, "the first block")
        before = trip.holds()
        most = before["descriptors"] + len(NETWORKS)  # tern sends by a socket of each, with IPv6
        up = dict.fromkeys(NETWORKS, True)
        halfway = before["rss_kb"]
        for number in range(options.toggles):
            if number == options.toggles // 2:
                halfway = trip.holds()["rss_kb"]
            name = chance.choice(NETWORKS)
            (trip.lab.link_down if up[name] else trip.lab.link_up)(name)
            up[name] = not up[name]
            time.sleep(chance.uniform(0.05, 1))
        for name in NETWORKS:
            if not up[name]:
                trip.lab.link_up(name)
        blocks, alive = talk.blocks(), True
        try:
            # TCP itself asks again ever less often.
            wait_until(lambda: talk.blocks() > blocks + 20, 90, "the connection to go on")
        except AssertionError:
            alive = False
        same = trip.traveller.identity() == trip.before
        try:
            after = wait_until(lambda: (now := trip.holds())["routes"] == before["routes"] and
                               now["descriptors"] <= most and now, 20, "no leak")
        except AssertionError:
            after = trip.holds()
        leaks = (after["descriptors"] > most) + (
            after["rss_kb"] - halfway > RSS_GROWTH_KB) + (
            after["routes"] != before["routes"])
        return {
            "leaks": leaks,
            "same_ike": same, "socket": alive, "back": alive, "toggles": options.toggles,
            "descriptors": [before["descriptors"], after["descriptors"]],
            "rss_kb": [before["rss_kb"], halfway, after["rss_kb"]],
            "routes": sorted(set(after["routes"]) ^ set(before["routes"])),
        }


def messages(options, client, gateway):
    """IKE's packets on the client's outer interfaces, from the event until all is said."""
    with travel(options, client, gateway) as trip:
        echoes = trip.echoes()
        with trip.lab.capture() as capture:
            begun = time.time()  # the first may be gone before the change is seen
            at = trip.down("wifi", echoes)
            back = echoes.steady(at, options.patience_s, count=200)
        packets = ike_packets(capture, begun)
        return figures(echoes, at, back, trip) | {
            "messages": len(packets), "octets": sum(octets for _, octets in packets)}


def idle(options, client, gateway):
    """Nothing to say, behind a NAT."""
    with travel(options, client, gateway) as trip:
        time.sleep(2)  # what follows the connection's beginning
        with trip.machine.capture("wifi0") as capture:
            before = trip.wakeups()
            time.sleep(options.idle_s)
            woken = trip.wakeups() - before
        sent = keepalives(capture)
        return {"wakeups": woken, "keepalives": sent, "extra": woken - sent, "back": True,
                "seconds": options.idle_s, "same_ike": trip.traveller.identity() == trip.before}


# --- and how good that has to be ---

class Case:
    """measure: what is shown of several rounds; limit: of it, by gateway; wanted: what else has to be
    true of each round."""

    def __init__(self, run, title, limits, measure="gap_ms", wanted=lambda f: f["back"],
                 gateways=("tern",), unit="ms", note=lambda rounds: ""):
        self.run, self.name, self.title = run, run.__name__, title
        self.limits, self.measure, self.wanted = limits, measure, wanted
        self.gateways, self.unit, self.note = gateways, unit, note

    def limit(self, gateway):
        return self.limits[gateway] if isinstance(self.limits, dict) else self.limits

    def value(self, gateway, one):
        measure = self.measure[gateway] if isinstance(self.measure, dict) else self.measure
        return one[measure]

    def good(self, gateway, one):
        return bool(self.wanted(one)) and self.value(gateway, one) <= self.limit(gateway)

    def goal(self, gateway):
        unit = self.unit[gateway] if isinstance(self.unit, dict) else self.unit
        return f"<= {self.limit(gateway)} {unit}"


def worst(rounds, key):
    return max(r[key] for r in rounds)


def lost_note(rounds):
    return f"{worst(rounds, 'lost')} lost"


def toggles_note(rounds):
    first, second = (max(r["rss_kb"][i + 1] - r["rss_kb"][i] for r in rounds) for i in (0, 1))
    return ", ".join([
        "same IKE SA" if all(r["same_ike"] for r in rounds) else "IKE SA lost",
        "socket open" if all(r["socket"] for r in rounds) else "socket lost",
        f"fds {max(r['descriptors'][1] - r['descriptors'][0] for r in rounds):+d}",
        f"RSS {first:+d} kB, then {second:+d}", f"routes {max(len(r['routes']) for r in rounds):+d}"])


IN_PLACE, REKEYING = RTT_MS + 15, 2 * RTT_MS + 15
BY_GATEWAY = {"tern": IN_PLACE, "strongswan": REKEYING}

CASES = [
    Case(hard, "interface down, another up", BY_GATEWAY, gateways=("tern", "strongswan"),
         wanted=lambda f: f["back"] and f["same_ike"], note=lost_note),
    # An in-place gateway costs nothing at all; of silence there is always the interval.
    Case(better, "better interface appears", {"tern": 0, "strongswan": RTT_MS + 15},
         measure={"tern": "lost", "strongswan": "gap_ms"},
         unit={"tern": "lost", "strongswan": "ms"},
         gateways=("tern", "strongswan"), wanted=lambda f: f["moved"] and f["same_ike"],
         note=lambda rounds: ("moves" if all(r["moved"] for r in rounds) else "does not move") +
         f", {worst(rounds, 'lost')} lost of {rounds[0]['sent']}"
         f", silence {worst(rounds, 'gap_ms'):.0f} ms"),
    Case(blackhole, "black hole, address stays", 1500,
         wanted=lambda f: f["back"] and f["same_ike"], note=lost_note),
    Case(rebind, "NAT rebinds, traffic flowing", 1500,
         wanted=lambda f: f["back"] and f["same_ike"], note=lost_note),
    Case(family, "IPv4 network, IPv6 network, and back", RTT_MS + 250,
         wanted=lambda f: f["back"] and f["same_ike"], note=lost_note),
    # What is being asked comes first, then the move, then what the gateway asks for it: with a window
    # of one message each of these is a round trip.
    Case(rekey, "move while a rekey is in flight",
         {"tern": REKEYING, "strongswan": REKEYING + RTT_MS}, gateways=("tern", "strongswan"),
         wanted=lambda f: f["back"] and f["rekeyed"],
         note=lambda rounds: "rekeyed" if all(r["rekeyed"] for r in rounds) else "not rekeyed"),
    Case(gone, "all networks gone, then back", RTT_MS + 250,
         wanted=lambda f: f["back"] and f["same_ike"],
         note=lambda rounds: "same SPIs" if all(r["same_ike"] for r in rounds) else "other SPIs"),
    Case(toggles, "random toggles of two interfaces", 0, measure="leaks", unit="leaks",
         wanted=lambda f: f["same_ike"] and f["socket"], note=toggles_note),
    # Two of ours; a gateway that rekeys has four of its own.
    Case(messages, "messages per hard handover", {"tern": 2, "strongswan": 6}, measure="messages",
         unit="packets", gateways=("tern", "strongswan"),
         wanted=lambda f: f["back"] and f["octets"] < (400 if f["messages"] <= 2 else 1600),
         note=lambda rounds: f"{worst(rounds, 'octets')} bytes"),
    Case(idle, "idle behind a NAT", 0, measure="extra", unit="wake-ups",
         wanted=lambda f: f["same_ike"] and f["keepalives"] > 0,
         note=lambda rounds: f"{worst(rounds, 'wakeups')} for {worst(rounds, 'keepalives')} "
         f"keepalives in {rounds[0]['seconds']:g} s"),
]
