"""A token without hardware, for the client under test: SoftHSM, which p11-kit knows of by the
distribution's own configuration, with a store of its own."""

import os
import pathlib
import subprocess

from cryptography.hazmat.primitives import serialization

MODULES = [pathlib.Path(directory) / "softhsm/libsofthsm2.so"
           for directory in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib")]


def module():
    return next(path for path in MODULES if path.exists())


class SoftToken:
    """One token, named as such; `env` is for the client."""

    def __init__(self, directory, pin, label="tern card"):
        self.directory = pathlib.Path(directory)
        self.pin, self.label = pin, label
        self.store = self.directory / "tokens"
        self.store.mkdir(parents=True)
        conf = self.directory / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {self.store}\nobjectstore.backend = file\n"
                        "log.level = ERROR\nslots.removable = false\n")
        self.env = {"SOFTHSM2_CONF": str(conf)}
        self.uri = "pkcs11:token=" + label.replace(" ", "%20")
        self._run("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", pin,
                  "--so-pin", "8" * 8)

    def _run(self, *argv):
        subprocess.run([str(a) for a in argv], check=True, capture_output=True, text=True,
                       env=dict(os.environ, **self.env))

    def add(self, credential, number=1, certificate=True):
        """The credential's key, and its certificate, as objects of that id; its URI."""
        key = self.directory / f"{number}.key"
        key.touch(mode=0o600)
        key.write_bytes(credential.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))
        self._run("softhsm2-util", "--import", key, "--token", self.label, "--label",
                  f"key {number}", "--id", f"{number:02x}", "--pin", self.pin)
        key.unlink()
        if certificate:
            self.add_certificate(credential, number)
        return f"{self.uri};id=%{number:02x}"

    def add_certificate(self, credential, number=1):
        self._write(credential.certificate.public_bytes(serialization.Encoding.DER), number, "cert")

    def add_asking_each_time(self, credential, number=1):
        """A key that wants the PIN for every signature (CKA_ALWAYS_AUTHENTICATE)."""
        self._write(credential.key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()), number, "privkey", "--always-auth", "--usage-sign")
        self.add_certificate(credential, number)
        return f"{self.uri};id=%{number:02x}"

    def _write(self, content, number, kind, *options):
        path = self.directory / "object"
        path.touch(mode=0o600)
        path.write_bytes(content)
        self._run("pkcs11-tool", "--module", module(), "--login", "--pin", self.pin,
                  "--write-object", path, "--type", kind, "--id", f"{number:02x}",
                  "--label", f"key {number}", *options)
        path.unlink()

    def pull_out(self):
        """As far as files can be."""
        self.store.rename(self.directory / "elsewhere")
