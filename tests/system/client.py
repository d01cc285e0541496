"""The client under test, on a machine of the lab: its profiles, its commands, what it says."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess

from lab import Lab, process_status, wait_until
from strongswan import PSK

# The phases of a connection take milliseconds here; this bounds what a broken one may cost.
UP_TIMEOUT = 20

# [Roaming] keys for tests that count messages: none is sent twice because a machine was busy.
PATIENT = {"Retransmit": "10s, 10s, 8"}
PSK_GATEWAY = {"Authentication": "psk", "PresharedKey": PSK}
PSK_LOCAL = {"Authentication": "psk", "PresharedKey": PSK}


def by_certificate(authority):
    """[Gateway] keys for a gateway that proves itself by a certificate."""
    return {"Authentication": "certificate", "CA": authority.file, "PresharedKey": None}


def with_certificate(credential):
    """[Local] keys for a client that does."""
    return {"Authentication": "certificate", "Certificate": credential.chain_file,
            "PrivateKey": credential.key_file, "PresharedKey": None}


class Tern:
    def __init__(self, machine, build, name="tern"):
        self.machine = machine
        self.binary = pathlib.Path(build) / "tern"
        self.directory = machine.directory / name
        self.runtime = self.directory / "run"
        self.log = self.directory / "tern.log"
        self.env = {"TERN_RUNTIME_DIR": str(self.runtime), "LC_ALL": "C.UTF-8",
                    "ASAN_OPTIONS": f"log_path={self.directory}/asan.log:exitcode=99",
                    "UBSAN_OPTIONS": "print_stacktrace=1"}

    def __enter__(self):
        self.directory.mkdir()
        return self

    def __exit__(self, kind, *_):
        self._kill_all()
        if kind is None:
            self.assert_sane()

    def assert_sane(self):
        """The sanitizers, where built in, had nothing to say."""
        for report in self.directory.glob("asan.log.*"):
            raise AssertionError(report.read_text(errors="replace"))

    # --- profiles ---

    def profile(self, name="office", gateway=(), local=(), tunnel=(), crypto=(), roaming=(),
                user=()):
        """A profile that fits strongswan.connection(); the arguments override keys, None drops
        them. Returns its path."""
        sections = {
            "Gateway": {"Address": Lab.GATEWAY[0], "Identity": "vpn.example.com", **PSK_GATEWAY,
                        **dict(gateway)},
            "Local": {"Identity": "alice@example.com", **PSK_LOCAL, **dict(local)},
            "User": dict(user),
            "Tunnel": {"Routes": "10.9.0.0/24, fd09::/64", "DNS": "off", **dict(tunnel)},
            "Crypto": dict(crypto),
            "Roaming": dict(roaming),
        }
        text = "".join(
            f"[{section}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items() if v is not None)
            for section, keys in sections.items() if keys)
        return self.write_profile(text, name)

    def write_profile(self, text, name="office", mode=0o600):
        path = self.directory / f"{name}.conf"
        path.write_text(text)
        path.chmod(mode)
        return path

    # --- commands ---

    def command(self, *args):
        return [self.binary, *args]

    def run(self, *args, code=0, timeout=UP_TIMEOUT + 10, env=()):
        """Run a command to its end and check its exit code (None: any)."""
        result = self.machine.run(*self.command(*args), check=False, timeout=timeout,
                                  env={**self.env, **dict(env)})
        if code is not None:
            assert result.returncode == code, (
                f"tern {' '.join(map(str, args))}: exit {result.returncode}, expected {code}\n"
                f"{result.stdout}{result.stderr}")
        return result

    def up(self, profile, *args, code=0, **kwargs):
        return self.run("up", profile, "--timeout", UP_TIMEOUT, "--log-level", "debug",
                        "--log-file", self.log, *args, code=code, **kwargs)

    def down(self, *args, code=0, **kwargs):
        return self.run("down", *args, code=code, **kwargs)

    def foreground(self, profile, *args, before=(), **kwargs):
        """`up --foreground` as a running process; wait with wait_up()."""
        log = open(self.log, "ab")
        return self.machine.spawn(
            *before, *self.command("up", profile, "--foreground", "--timeout", UP_TIMEOUT, *args),
            env=self.env, stdout=subprocess.PIPE, stderr=log, **kwargs)

    @staticmethod
    def parsed(result):
        return json.loads(result.stdout)

    def status(self, *args):
        return self.parsed(self.run("status", "--json", *args))

    def wait_up(self, *args, timeout=UP_TIMEOUT):
        def up():
            result = self.run("status", "--json", *args, code=None)
            if result.returncode == 0:
                status = self.parsed(result)
                return status if status["state"] == "up" else None
            return None
        return wait_until(up, timeout, "tern to be up")

    def wait_gone(self, timeout=10):
        wait_until(lambda: not self.pids(), timeout, "tern to be gone")

    def pids(self):
        """Running processes of this name on this machine, among those that this process of pytest
        sees, which are its own tests' (conftest.py)."""
        found = set()
        namespace = network_namespace(pathlib.Path(f"/proc/{self.machine.pid}"))
        # A process that is ending is out of its namespaces before its sockets are closed, and these
        # are open until its last thread, whichever that is, is a zombie.
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # gone meanwhile
                if (process / "comm").read_text() != f"{self.binary.name}\n":
                    continue
                for task in (process / "task").iterdir():
                    with contextlib.suppress(OSError):  # this thread alone may be gone
                        state = re.search(r"\) (\S)", (task / "stat").read_text()).group(1)
                        if state not in "ZX" and network_namespace(task) in (namespace, None):
                            found.add(int(process.name))
        return sorted(found)

    def kill(self):
        """SIGKILL to the client, as the machine's out-of-memory killer would do it."""
        assert self._kill_all()
        self.wait_gone()

    def _kill_all(self):
        """Those that were there; one that was ending may be gone by now."""
        pids = self.pids()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return pids

    def resident_kilobytes(self):
        (pid,) = self.pids()
        return process_status(pid, "VmRSS")

    def sleeps(self):
        """How often its loop has gone to sleep. (What it loses the processor to is not its doing.)"""
        (pid,) = self.pids()
        return process_status(pid, "voluntary_ctxt_switches")

    def descriptors(self):
        """What it keeps open. What it has open for a moment, as the socket by which it asks for
        routes, is opened and closed in one turn of its loop, which has turned when it answers."""
        (pid,) = self.pids()
        before = self._descriptors_now(pid)
        self.run("status", code=None)
        self.wait_unasked()
        return sorted(name for _, name in before & self._descriptors_now(pid))

    def wait_unasked(self):
        """Until it has closed what it was asked by: who asked has its answer before."""
        def nobody_asks():
            # What was accepted is of the network namespace of who asked.
            names = [pathlib.Path(f"/proc/{who}/net/unix").read_text()
                     for who in (self.machine.pid, "self")]
            return sum(n.count(f" {self.runtime}/") for n in names) <= 1  # the one that listens
        wait_until(nobody_asks, 5, "tern to be done with who asked it")

    @staticmethod
    def _descriptors_now(pid):
        found = set()
        for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                found.add((descriptor.name, os.readlink(descriptor)))
        return found


def network_namespace(process):
    """None where it is in none any more."""
    try:
        return os.stat(process / "ns/net").st_ino
    except OSError:
        return None


def assert_failure(result, *words):
    """The contract for failures: one line of what was seen, one of what to do, both on stderr,
    nothing on stdout."""
    lines = result.stderr.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    hints = [line for line in lines if line.startswith("hint: ")]
    assert result.stdout == "", result.stdout
    assert len(errors) == 1, result.stderr
    assert len(hints) <= 1, result.stderr
    for word in words:
        assert word in errors[0] + "\n" + "".join(hints), f"{word!r} is missing in\n{result.stderr}"
