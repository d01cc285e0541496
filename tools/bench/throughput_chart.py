"""What the tunnels carry as bars, each figure with a scale of its own. SVG, written by hand; its
colours follow the reader's light or dark."""

WIDTH, LEFT, RIGHT, BAR, GAP, TITLE = 760, 150, 90, 16, 4, 34
STYLE = """
text{font:12px sans-serif;fill:#24292f}.t{font-weight:bold;font-size:13px}.s{fill:#57606a}
.b{fill:#8c959f}.o{fill:#0969da}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.s{fill:#9198a1}.b{fill:#656c76}.o{fill:#4493f8}}
"""


def escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;")


def draw(groups):
    """groups: (title, [(tunnel, value, how it reads)]); tern's own bars stand out."""
    out, y = [], 0
    for title, bars in groups:
        y += TITLE
        out.append(f'<text class="t" x="12" y="{y - 8}">{escaped(title)}</text>')
        most = max((value for _, value, _ in bars), default=0) or 1
        for name, value, text in bars:
            length = (WIDTH - LEFT - RIGHT) * value / most
            kind = "o" if name.startswith("tern") else "b"
            out.append(
                f'<text class="s" x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{escaped(name)}</text>'
                f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}"/>'
                f'<text x="{LEFT + length + 6:.1f}" y="{y + 12}">{text}</text>')
            y += BAR + GAP
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 12}" role="img" '
            'aria-label="What each tunnel carries">')
    return "\n".join([head, f"<style>{STYLE}</style>", *out]) + "</svg>\n"
