"""A system bus on a machine of the lab, with a stand-in for systemd-resolved that writes down what it
is told (fake_resolved.c)."""

import contextlib
import pathlib
import subprocess

from lab import wait_until

SOCKET = "/run/dbus/system_bus_socket"  # where every system has it; the machine's /run is its own

BUS = """
<busconfig>
  <listen>unix:path={socket}</listen>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
"""


class Resolved:
    def __init__(self, machine, build):
        self.machine = machine
        self.binary = pathlib.Path(build) / "fake_resolved"
        self.directory = machine.directory / "resolved"
        self.told = self.directory / "told.log"
        self.stack = contextlib.ExitStack()
        self.bus = self.child = None

    def __enter__(self):
        self.directory.mkdir()
        conf = self.directory / "bus.conf"
        conf.write_text(BUS.format(socket=SOCKET))
        self.machine.run("mkdir", "-p", pathlib.Path(SOCKET).parent)
        log = self.stack.enter_context(open(self.directory / "bus.log", "ab"))
        self.bus = self.machine.spawn("dbus-daemon", f"--config-file={conf}", "--nofork",
                                      "--print-address", stdout=subprocess.PIPE, stderr=log)
        assert SOCKET in self.bus.stdout.readline()  # it listens
        return self

    def __exit__(self, *_):
        self.stack.close()

    def start(self, *options):
        told = self.stack.enter_context(open(self.told, "ab"))
        before = self.told.read_text().count("ready\n")
        self.child = self.machine.spawn(self.binary, *options, stdout=told)
        wait_until(lambda: self.told.read_text().count("ready\n") > before, 10, "resolved")
        return self

    def stop(self):
        self.child.terminate()
        self.child.wait(30)

    def lines(self):
        """What it was told so far."""
        return [line for line in self.told.read_text().splitlines() if line != "ready"]
