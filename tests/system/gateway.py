"""tern-gateway on a machine of the lab."""

import pathlib
import select
import signal
import subprocess
import time

from lab import Lab, wait_until

START_TIMEOUT = 20


def psk_config(**keys):
    """[Gateway] keys that fit client.Tern.profile()'s defaults; None drops one."""
    return {"Identity": "vpn.example.com", "PresharedKey": "correct horse battery staple",
            "Pool": ", ".join(Lab.POOLS), "DNS": "10.9.0.53, fd09::53",
            "Networks": "10.9.0.0/24, fd09::/64", **keys}


def certificate_config(credential, authority, **keys):
    return psk_config(**{"PresharedKey": None, "Certificate": credential.chain_file,
                         "PrivateKey": credential.key_file, "CA": authority.file, **keys})


class TernGateway:
    def __init__(self, machine, build, name="tern-gateway"):
        self.machine = machine
        self.binary = pathlib.Path(build) / "tern-gateway"
        self.directory = machine.directory / name
        self.log = self.directory / "gateway.log"
        self.child = None

    def __enter__(self):
        self.directory.mkdir()
        return self

    def __exit__(self, kind, *_):
        code = self.stop()
        if kind is None:
            assert code in (None, 0), self.log_text()

    def start(self, config=None, users=(), passwords=(), level="info", ppks=()):
        """config: [Gateway] keys; users: name -> pre-shared key; passwords: of EAP, and ppks,
        likewise. Returns once it listens."""
        text = "[Gateway]\n" + "".join(
            f"{k} = {v}\n" for k, v in (config or psk_config()).items() if v is not None)
        for name, key in dict(users).items():
            text += f"[User {name}]\nPresharedKey = {key}\n"
        for name, password in dict(passwords).items():
            text += f"[User {name}]\nPassword = {password}\n"
        for name, key in dict(ppks).items():
            text += f"[PPK {name}]\nKey = {key}\n"
        conf = self.directory / "gateway.conf"
        conf.write_text(text)
        conf.chmod(0o600)
        with open(self.log, "ab") as log:
            self.child = self.machine.spawn(
                self.binary, conf, "--foreground", "--log-level", level, stdout=subprocess.PIPE, stderr=log,
                env={"ASAN_OPTIONS": "exitcode=99"})
        end = time.monotonic() + START_TIMEOUT
        ready, _, _ = select.select([self.child.stdout], [], [], START_TIMEOUT)
        assert ready and time.monotonic() < end, "tern-gateway never got ready"
        line = self.child.stdout.readline()
        assert line == "ready\n", f"tern-gateway said {line!r}\n{self.log_text()}"
        return self

    def stop(self, how=signal.SIGTERM):
        """Its exit code."""
        if self.child is None:
            return None
        if self.child.poll() is None:
            self.child.send_signal(how)
        code = self.child.wait(30)
        return code

    def kill(self):
        self.child.kill()
        self.child.wait()
        self.child = None

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_log(self, words):
        """The gateway answers first, and says what it thinks of it then."""
        wait_until(lambda: words in self.log_text(), 10, f"the gateway to say: {words}")
