"""Where a client's processor time goes while one TCP flow passes, in shares of all of it: in the
kernel, by its accounting; and in user mode by perf's samples, in the AEAD and in the rest. perf in a
namespace does not see into the kernel: which part of that is copying, is told where it does (copies)."""

import re
import shutil
import subprocess

from throughput_figures import cpu_of, tcp

# Of BoringSSL and OpenSSL, where they are not a library of their own.
AEAD = re.compile(r"libcrypto|aes|gcm|ghash|chacha|poly1305", re.I)
KERNEL = re.compile(r"^\[k")
COPIES = re.compile(r"copy|memcpy|rep_movs")
SAMPLES_A_SECOND = 2000
# "  12.34% libcrypto.so.0 [.] aesni_gcm_encrypt"
LINE = re.compile(r"^\s*([\d.]+)%\s+(\S+)\s+\[(.)\]\s+(.+?)[\s-]*$", re.M)


def available():
    return shutil.which("perf") is not None


def shares(report):
    """user, aead, kernel, copies: what of the samples is each (aead is part of user, copies of
    kernel)."""
    found = dict.fromkeys(("user", "aead", "kernel", "copies"), 0.0)
    for percent, binary, mode, symbol in LINE.findall(report):
        where, part = ("kernel", COPIES.search(symbol)) if mode == "k" or KERNEL.match(binary) else (
            "user", AEAD.search(f"{binary} {symbol}"))
        found[where] += float(percent)
        if part:
            found["copies" if where == "kernel" else "aead"] += float(percent)
    return found


def profiled(direction):
    measure = tcp(direction, 1)

    def profile(tunnel, seconds):
        pids = tunnel.pids()
        if not pids:
            return {}
        path = tunnel.lab.directory / "perf.data"
        perf = subprocess.Popen(
            ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(SAMPLES_A_SECOND), "-o", path,
             "-p", ",".join(map(str, pids)), "--", "sleep", str(seconds + 1)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        before = cpu_of(pids)
        measure(tunnel, seconds)
        user, system = (b - a for a, b in zip(before, cpu_of(pids)))
        _, err = perf.communicate(timeout=60)
        report = subprocess.run(["perf", "report", "-i", path, "--stdio", "--sort", "dso,symbol"],
                                capture_output=True, text=True, timeout=120).stdout
        found = shares(report)
        if not found["user"] or not user + system:
            raise AssertionError(f"perf saw nothing: {err}")
        kernel = system / (user + system)
        aead = (1 - kernel) * found["aead"] / found["user"]
        result = {"kernel": kernel, "aead": aead, "rest": 1 - kernel - aead}
        if found["kernel"]:
            result["copies"] = kernel * found["copies"] / found["kernel"]
        return result
    return profile
