"""The parts of tools/test, in the order in which they run.

    build      Release and Sanitize with gcc, Release with clang, what runs under ThreadSanitizer, the
               fuzz targets; warnings are errors
    layers     who may include whom; and that the check finds planted violations
    rules      every rule in tests/rules has a test that is there; and that the check finds planted
               faults
    format     clang-format; skipped where another version than Debian 12's disagrees
    unit       unit tests, built with ASan and UBSan
    threads    unit tests of what several threads do at once, under ThreadSanitizer
    sim        the simulator: 10,000 seeds, and some under ASan and UBSan; and that it tells of a
               crash, and that the faults planted for it (tools/planted-faults) fit the code
    valgrind   unit tests of parsing and state, under valgrind
    demo       tools/demo
    system     pytest in namespaces: strongSwan and tern-gateway as the gateway; two tests a core at
               a time, for they mostly wait
    sanitize   a selection of these with the ASan and UBSan binaries
    fuzz       every fuzz target for a minute (tools/fuzz for longer); at the lowest priority, and
               begun ahead of the two before it, which leave it most of the machine

tools/test              all of them
tools/test unit demo    some of them, in the order above (what they need is built first)
tools/test system -k wrong_pre_shared_key      further arguments go to ctest or pytest
tools/test system -k wrong_pre_shared_key -n 0 --pdb   one at a time, with Python's debugger
tools/test system -k test_rekey --full         with all repetitions (100 IKE and 1000 Child SA
                                               rekeys): ten times as long, the figures in system.xml
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
BUILDS = {
    "release": ("Release", "gcc"),
    "sanitize": ("Sanitize", "gcc"),
    "thread": ("Thread", "clang"),  # of this, what the part threads runs
    "clang": ("Release", "clang"),
}
# Under valgrind everything is some thirty times slower: not where most of the time is arithmetic, as
# with hundreds of handshakes of TLS. And not where a test expects an abort, which needs the fork.
VALGRIND = (r"^test_(packet|client|platform|gateway(?!_eap_t)|lab)_|^test_base_(addr|selector)"
            r"|^test_ike_(cookie|message|payload|proposal|window)")


# Where several threads are at work.
THREADED = ("test_base_epoch", "test_base_ring", "test_client_datapath",
            "test_client_datapath_storm", "test_esp_threads", "test_esp_tunnel",
            "test_platform_waker")


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def one(self, passed):
        if passed:
            self.passed += 1
        else:
            self.failed += 1

    def junit(self, path, code):
        """Count what a JUnit report holds; a run that broke off without one is a failure."""
        if not path.exists():
            self.failed += 1
            return
        suites = xml.etree.ElementTree.parse(path).iter("testsuite")
        failed = 0
        for suite in suites:
            failed_here = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped = int(suite.get("skipped", 0))
            self.passed += int(suite.get("tests")) - failed_here - skipped
            self.skipped += skipped
            failed += failed_here
        if code != 0 and failed == 0:
            failed = 1
        self.failed += failed


def run(*argv, env=(), cwd=ROOT):
    return subprocess.run([str(a) for a in argv], cwd=cwd,
                          env=dict(os.environ, **dict(env))).returncode


def build(name, tally=None):
    kind, compiler = BUILDS[name]
    directory = BUILD / name
    code = run("cmake", "-S", ROOT, "-B", directory, "-G", "Ninja", "-DTERN_TESTS=ON",
               f"-DCMAKE_BUILD_TYPE={kind}", f"-DCMAKE_C_COMPILER={compiler}", "-Wno-dev",
               "--log-level=WARNING")
    targets = ("--target", *THREADED) if name == "thread" else ()
    code = code or run("cmake", "--build", directory, *targets)
    if tally:
        tally.one(code == 0)
    elif code != 0:
        sys.exit(f"test: build/{name} does not build")


def part_build(tally, _):
    for name in BUILDS:
        build(name, tally)
    tally.one(run(ROOT / "tools/fuzz", "--build") == 0)


def part_layers(tally, _):
    tally.one(run(ROOT / "tools/checks/layers") == 0)
    tally.one(run(ROOT / "tools/checks/layers-selftest") == 0)


def part_rules(tally, _):
    tally.one(run(ROOT / "tools/checks/rules") == 0)
    tally.one(run(ROOT / "tools/checks/rules-selftest") == 0)


def part_format(tally, _):
    code = run(ROOT / "tools/checks/format")
    if code == 77:
        tally.skipped += 1
    else:
        tally.one(code == 0)


def ctest(tally, directory, *args, env=()):
    report = directory / "unit.xml"
    report.unlink(missing_ok=True)
    code = run("ctest", "--test-dir", directory, "--output-on-failure", "--no-tests=error", "-j2",
               "--timeout", 300, "--output-junit", report, *args, env=env)
    tally.junit(report, code)


def part_unit(tally, args):
    ctest(tally, BUILD / "sanitize", *args)


def part_threads(tally, args):
    ctest(tally, BUILD / "thread", "-R", f"^({'|'.join(THREADED)})$", *args)


def part_valgrind(tally, _):
    """Each program as it is, without the fork that Check makes for each test."""
    programs = sorted(p for p in (BUILD / "release").iterdir()
                      if re.match(VALGRIND, p.name) and os.access(p, os.X_OK))
    if not programs:
        tally.one(False)

    def check(program):
        return subprocess.run(
            ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full",
             "--errors-for-leak-kinds=definite,indirect", program], text=True, errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT,
            env=dict(os.environ, CK_FORK="no", CK_DEFAULT_TIMEOUT="300"))

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for program, result in zip(programs, pool.map(check, programs)):
            print(f"valgrind {program.name}\n{result.stdout}", end="", flush=True)
            tally.one(result.returncode == 0)


def part_sim(tally, args):
    tally.one(run(ROOT / "tools/checks/sim-selftest", BUILD / "release/tern_sim") == 0)
    tally.one(run(ROOT / "tools/planted-faults", "--dry-run") == 0)
    for name, seeds in (("release", 10000), ("sanitize", 400)):
        print(f"sim: {seeds} seeds, build/{name}", flush=True)
        tally.one(run(ROOT / "tools/sim", "--seeds", seeds, *args,
                      env={"TERN_BUILD": str(BUILD / name)}) == 0)


def part_demo(tally, _):
    tally.one(run(ROOT / "tools/demo", env={"TERN_BUILD": str(BUILD / "release")}) == 0)


def pytest(tally, directory, *args):
    """(loadgroup hands out tests one by one: one may take as long as a hundred others.)"""
    workers = ("-n", 2 * os.cpu_count(), "--dist=loadgroup")
    if any(str(arg).startswith("-n") for arg in args):
        workers = ()
    report = directory / "system.xml"
    report.unlink(missing_ok=True)
    code = run("/usr/bin/python3", "-B", "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rs",
               "--durations=10", "-o", "junit_family=xunit1", f"--junitxml={report}", *workers,
               "--build", directory, "tests/system", *args)
    tally.junit(report, code)


def part_system(tally, args):
    pytest(tally, BUILD / "release", *args)


def part_sanitize(tally, args):
    pytest(tally, BUILD / "sanitize", "--sanitize", "--size", 10, *args)


class Fuzzing:
    """Beside other parts, so that what it has to say is kept until they have ended."""

    COMMAND = ("nice", "-n", "19", str(ROOT / "tools/fuzz"), "--seconds", "60")
    child = None

    @classmethod
    def begin(cls):
        if not cls.child:
            cls.out = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
            cls.child = subprocess.Popen(cls.COMMAND, cwd=ROOT, stdout=cls.out,
                                         stderr=subprocess.STDOUT)

    @classmethod
    def end(cls):
        """Its exit code, once all of its time is over."""
        code = cls.child.wait()
        cls.out.seek(0)
        print(cls.out.read(), end="", flush=True)
        return code


def part_fuzz(tally, _):
    """A corpus of their own keeps what earlier runs found, so that time adds up."""
    tally.one((Fuzzing.end() if Fuzzing.child else run(*Fuzzing.COMMAND)) == 0)


# name -> (what runs, which builds it needs)
PARTS = {
    "build": (part_build, ()),
    "layers": (part_layers, ()),
    "rules": (part_rules, ()),
    "format": (part_format, ()),
    "unit": (part_unit, ("sanitize",)),
    "threads": (part_threads, ("thread",)),
    "sim": (part_sim, ("release", "sanitize")),
    "valgrind": (part_valgrind, ("release",)),
    "demo": (part_demo, ("release",)),
    "system": (part_system, ("release",)),
    "sanitize": (part_sanitize, ("sanitize",)),
    "fuzz": (part_fuzz, ()),
}
# Parts that mostly wait.
FUZZED_BESIDE = ("system", "sanitize")


def main(argv):
    if "-h" in argv or "--help" in argv:
        print(__doc__.strip())
        return 0
    chosen = []
    while argv and argv[0] in PARTS:
        chosen.append(argv.pop(0))
    if argv and argv[0] == "--":
        argv.pop(0)
    if argv and len(chosen) != 1:
        print(f"test: what is {argv[0]}? the parts are: {' '.join(PARTS)}", file=sys.stderr)
        return 2
    if not chosen:
        chosen = list(PARTS)
    elif "build" not in chosen:
        for name in sorted({b for part in chosen for b in PARTS[part][1]}):
            build(name)

    lines = []
    total = Tally()
    for part in (p for p in PARTS if p in chosen):
        if part in FUZZED_BESIDE and "fuzz" in chosen:
            Fuzzing.begin()
        print(f"\n=== {part}", flush=True)
        tally, start = Tally(), time.monotonic()
        PARTS[part][0](tally, argv)
        lines.append(f"{part:10} {tally.passed:5} passed {tally.failed:5} failed "
                     f"{tally.skipped:5} skipped {time.monotonic() - start:6.0f} s")
        total.passed += tally.passed
        total.failed += tally.failed
        total.skipped += tally.skipped
    print("\n" + "\n".join(lines))
    print(f"{total.passed} passed, {total.failed} failed" +
          (f", {total.skipped} skipped" if total.skipped else ""))
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
