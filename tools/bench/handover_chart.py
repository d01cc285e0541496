"""One trip of both clients as a picture: the round trip of every echo and what was lost, against
time, with the events and the moments at which the gateway was told of a move. SVG, written by hand;
its colours follow the reader's light or dark."""

import time

from handover import TRAVELLERS, Trip

WIDTH, LEFT, RIGHT, PANEL, TOP, BETWEEN = 960, 56, 12, 150, 64, 62
HIGHEST_MS = 200
TITLES = {"tern": "tern", "strongswan": "strongSwan"}
# (seconds, what, of which network): None is the one that the client is on.
EVENTS = [(2, "wifi down", "down", "wifi"), (5, "wifi up", "up", "wifi"),
          (8, "black hole", "hole", "wifi"), (13, "lifted", "lift", "wifi"),
          (16, "NAT rebinds", "rebind", None)]
END_S = 20
STYLE = """
text{font:12px sans-serif;fill:#24292f}.t{font-weight:bold;font-size:14px}.s{fill:#57606a}
.a{stroke:#d0d7de;fill:none}.r{stroke:#0969da;fill:none;stroke-width:1.5}.l{fill:#cf222e}
.e{stroke:#57606a;stroke-dasharray:3 3}.u{fill:#1a7f37}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.s{fill:#9198a1}.a{stroke:#3d444d}
.r{stroke:#4493f8}.l{fill:#f85149}.e{stroke:#9198a1}.u{fill:#3fb950}}
"""


def act(trip, what, name):
    if name is None:
        interface = trip.traveller.interface()
        name = next((n.name for n in trip.lab.networks.values() if n.interface == interface), "wifi")
    {"down": trip.lab.link_down, "up": trip.lab.link_up, "hole": trip.lab.blackhole,
     "lift": lambda n: trip.lab.blackhole(n, False), "rebind": trip.lab.rebind}[what](name)


def travel(options, client):
    """(samples, marks, updates): (second sent, round trip in ms or None), (second, text), seconds."""
    with Trip(options.build, client, "tern") as trip, trip.traveller.updates() as updates:
        echoes, marks = trip.echoes(), []
        begin = time.time()
        for at, text, what, name in EVENTS:
            time.sleep(max(0, begin + at - time.time()))
            marks.append((time.time() - begin, text))
            act(trip, what, name)
        time.sleep(max(0, begin + END_S - time.time()))
        echoes.stop()
    samples = [(at - begin, 1000 * (echoes.answered[n] - at) if n in echoes.answered else None)
               for n, at in enumerate(echoes.sent) if 0 <= at - begin <= END_S]
    return samples, marks, [at - begin for at in updates if 0 <= at - begin <= END_S]


def x_of(second):
    return LEFT + (WIDTH - LEFT - RIGHT) * second / END_S


def strokes(samples, top):
    """A stroke from the shortest to the longest round trip for each column of the picture."""
    columns = {}
    for second, ms in samples:
        if ms is not None:
            columns.setdefault(round(x_of(second)), []).append(min(ms, HIGHEST_MS))

    def y(ms):
        return round(top + PANEL - PANEL * ms / HIGHEST_MS)
    return "".join(f"M{x} {y(min(found))}V{y(max(found)) - 1}"
                   for x, found in sorted(columns.items()))


def losses(samples):
    """(first second, behind the last) of each run of echoes that never came back."""
    runs, since = [], None
    for second, ms in [*samples, (END_S, 0)]:
        if ms is None and since is None:
            since = second
        elif ms is not None and since is not None:
            runs.append((since, second))
            since = None
    return runs


def panel(client, top, samples, marks, updates):
    lost = sum(ms is None for _, ms in samples)
    bottom, right = top + PANEL, WIDTH - RIGHT
    out = [f'<text class="t" x="{LEFT}" y="{top - 26}">{TITLES[client]}: {lost} of {len(samples)} '
           'lost</text>']
    for ms in range(0, HIGHEST_MS + 1, 50):
        y = round(bottom - PANEL * ms / HIGHEST_MS)
        out.append(f'<path class="a" d="M{LEFT} {y}H{right}"/>'
                   f'<text class="s" x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{ms}</text>')
    for second, text in marks:
        x = round(x_of(second))
        out.append(f'<path class="e" d="M{x} {top}V{bottom}"/>'
                   f'<text x="{x}" y="{top - 6}" text-anchor="middle">{text}</text>')
    out.append(f'<path class="r" d="{strokes(samples, top)}"/>')
    for begin, end in losses(samples):
        out.append(f'<rect class="l" x="{x_of(begin):.1f}" y="{bottom + 2}" '
                   f'width="{max(1, x_of(end) - x_of(begin)):.1f}" height="7"/>')
    for second in updates:
        x = round(x_of(second))
        out.append(f'<path class="u" d="M{x} {bottom}l-5 -9h10z"/>')
    return "\n".join(out)


def picture(trips):
    """client -> what travel() returned."""
    height = TOP + len(trips) * (PANEL + BETWEEN)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
           'aria-label="Round trip and loss against time">', f"<style>{STYLE}</style>"]
    top = TOP
    for client, trip in trips.items():
        out.append(panel(client, top, *trip))
        top += PANEL + BETWEEN
    bottom = top - BETWEEN
    out += [f'<text class="s" x="{x_of(s):.0f}" y="{bottom + 24}" text-anchor="middle">{s} s</text>'
            for s in range(0, END_S, 2)]
    out.append(f'<text class="s" x="{LEFT}" y="16">round trip in ms, an echo every 10 ms; '
               '<tspan class="l">\u25a0</tspan> lost, <tspan class="u">\u25b2</tspan> the gateway is '
               'told of a move (UPDATE_SA_ADDRESSES)</text></svg>')
    return "\n".join(out) + "\n"


def draw(options):
    return picture({client: travel(options, client) for client in TRAVELLERS})
