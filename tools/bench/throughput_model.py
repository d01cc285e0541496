"""What tern would carry if it were its null tunnel and its AEAD, and nothing were lost between the two:
the yardstick of tools/bench/throughput. Both ends work side by side where there are two processors, the
one sealing what the other opens."""

import os
import pathlib
import re
import subprocess

MILLISECONDS = 100
# "AES-256-GCM alone, 1400 octets: seal            362.6 ns/packet    3.86 GB/s"
LINE = re.compile(r"^AES-256-GCM alone, .*: (seal|open)\s.*\s([\d.]+) GB/s$", re.M)


def aead_speed(build):
    """Gigabytes a second of one processor: {"seal": ..., "open": ...}."""
    told = subprocess.run([pathlib.Path(build) / "bench_offload", str(MILLISECONDS), "alone"],
                          capture_output=True, text=True, check=True, timeout=60).stdout
    speed = {what: float(rate) for what, rate in LINE.findall(told)}
    if set(speed) != {"seal", "open"}:
        raise AssertionError(f"bench_offload said {told!r}")
    return speed


def rate_line(title, null, tern, speed):
    """Gbit/s."""
    ends = min(2, os.cpu_count())
    aead = 8 * ends / (1 / speed["seal"] + 1 / speed["open"])
    model = 1 / (1 / null + 1 / aead)
    return (f"{title}: 1 / (1 / {null:.2f} without AEAD + 1 / {aead:.1f} of the AEAD) = {model:.2f}; "
            f"tern reaches {tern:.2f}, {tern / model:.0%}")


def cost_line(title, null, tern, speed, what):
    """Seconds of the client's for a gigabyte."""
    aead = 1 / speed[what]
    model = null + aead
    return (f"{title}: {null:.2f} without AEAD + {aead:.2f} to {what} = {model:.2f}; "
            f"tern takes {tern:.2f}, {tern / model:.0%}")
