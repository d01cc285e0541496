"""A hostapd of its own beside a gateway of the lab, as a RADIUS server with an EAP server in it,
whose PEAP binds the inner method to the tunnel, and which staples an OCSP response. strongSwan asks
it as it asks FreeRADIUS, with radius.py's settings and secret."""

from lab import end, wait_until
from radius import SECRET

CONFIG = """
interface=lo
driver=none
eap_server=1
eap_user_file={directory}/users
ca_cert={ca}
server_cert={chain}
private_key={key}
radius_server_clients={directory}/clients
radius_server_auth_port=1812
tls_flags={flags}
fragment_size={fragment_size}
{extra}
"""

TLS_FLAGS = {"1.2": "[DISABLE-TLSv1.3]", "1.3": "[ENABLE-TLSv1.3][DISABLE-TLSv1.2]"}


class Hostapd:
    def __init__(self, machine):
        self.machine = machine
        self.directory = machine.directory / "hostapd"
        self.log = self.directory / "hostapd.log"  # without keys and passwords, if nobody says -K
        self.child = None

    def __enter__(self):
        self.directory.mkdir()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        end(self.child)

    def start(self, credential, authority, users, tls="1.2", ocsp=None,
              fragment_size=1400):
        """users: lines of its user file, which user() and methods() write. ocsp: a file with the
        response to staple. Returns once it listens."""
        (self.directory / "users").write_text("\n".join(users) + "\n")
        (self.directory / "clients").write_text(f"127.0.0.1 {SECRET}\n")
        conf = self.directory / "hostapd.conf"
        conf.write_text(CONFIG.format(
            directory=self.directory, ca=authority.file, chain=credential.chain_file,
            key=credential.key_file, flags=TLS_FLAGS[tls], fragment_size=fragment_size,
            extra=f"ocsp_stapling_response={ocsp}" if ocsp else ""))
        before = len(self.text())  # it appends
        with open(self.directory / "hostapd.err", "ab") as err:
            self.child = self.machine.spawn("hostapd", "-dd", "-t", "-f", self.log, conf,
                                            stdout=err, stderr=err)

        def listens():
            assert self.child.poll() is None, self.text()[-3000:]
            return "Setup of interface done" in self.text()[before:]
        wait_until(listens, 15, "hostapd to listen")
        return self

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def methods(*names, version=None):
    """A line of the user file: what is offered to everybody, best first. version: of PEAP, the only
    one that is spoken."""
    return f"* {','.join(names)}" + (f" [ver={version}]" if version is not None else "")


def user(name, password, *names):
    """Another one: who may prove himself inside a tunnel, and by what."""
    return f'"{name}" {",".join(names)} "{password}" [2]'
