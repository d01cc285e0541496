"""A FreeRADIUS of its own beside a gateway of the lab, on 127.0.0.1 there: the EAP server that
strongSwan's eap-radius asks, and that strongSwan."""

import subprocess

import pytest

from lab import end, wait_until
from strongswan import StrongSwan, by_certificate, connection

SECRET = "a secret of both"

# What strongSwan needs to ask it: settings for its charon, and a plugin.
SETTINGS = f"""
    plugins {{ eap-radius {{
        servers {{ only {{ address = 127.0.0.1
            secret = {SECRET} }} }}
    }} }}
"""
PLUGINS = "eap-radius"


@pytest.fixture
def strongswan(lab):
    """For modules that import it."""
    with StrongSwan(lab.gateway, settings=SETTINGS, plugins=PLUGINS) as it:
        yield it


def load(gateway, pki, authority):
    """strongSwan has a certificate of that authority, and asks the RADIUS server about users."""
    credential = pki.gateway("ecdsa256", authority=authority)
    how = by_certificate(credential, authority)
    gateway.load(connection(local=how["local"], remote="auth = eap-radius\neap_id = %any",
                            psk=None), [credential], [authority])

CONFIG = """
prefix = {directory}
logdir = {directory}
run_dir = {directory}
raddbdir = {directory}
libdir = /usr/lib/freeradius
pidfile = {directory}/pid
max_requests = 64
log {{
    destination = stdout
}}
security {{
    reject_delay = 0
    allow_vulnerable_openssl = yes
}}
client gateway {{
    ipaddr = 127.0.0.1
    secret = "{secret}"
}}
modules {{
    files {{
        usersfile = {directory}/users
    }}
    pap {{
    }}
    mschap {{
    }}
    eap {{
        default_eap_type = {method}
        max_sessions = 64
        md5 {{
        }}
        gtc {{
            auth_type = PAP
        }}
        mschapv2 {{
            send_error = yes
        }}
        tls-config common {{
            private_key_file = {key}
            certificate_file = {chain}
            ca_file = {ca}
            fragment_size = {fragment_size}
            tls_min_version = "{tls}"
            tls_max_version = "{tls}"
        }}
        tls {{
            tls = common
        }}
        ttls {{
            tls = common
            default_eap_type = {inner}
            virtual_server = inner
        }}
        peap {{
            tls = common
            default_eap_type = {inner}
            virtual_server = inner
        }}
    }}
}}
server outer {{
    listen {{
        type = auth
        ipaddr = 127.0.0.1
        port = 1812
    }}
    authorize {{
        eap {{
            ok = return
        }}
        files
    }}
    authenticate {{
        Auth-Type MS-CHAP {{
            mschap
        }}
        mschap
        eap
    }}
}}
server inner {{
    authorize {{
        mschap
        eap {{
            ok = return
        }}
        files
        pap
    }}
    authenticate {{
        Auth-Type PAP {{
            pap
        }}
        Auth-Type MS-CHAP {{
            mschap
        }}
        mschap
        eap
    }}
}}
"""


class FreeRadius:
    def __init__(self, machine):
        self.machine = machine
        self.directory = machine.directory / "radius"
        # It tells passwords, which it knows anyway: no .log that is searched for them.
        self.output = self.directory / "output"
        self.child = None

    def __enter__(self):
        self.directory.mkdir()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        end(self.child)
        self.output.unlink(missing_ok=True)

    def start(self, credential, authority, users, method="peap", inner="mschapv2", tls="1.2",
              fragment_size=1024):
        """users: lines of its users file. Returns once it listens."""
        (self.directory / "users").write_text("\n".join(users) + "\n")
        (self.directory / "radiusd.conf").write_text(CONFIG.format(
            directory=self.directory, secret=SECRET, key=credential.key_file,
            chain=credential.chain_file, ca=authority.file, method=method, inner=inner, tls=tls,
            fragment_size=fragment_size))
        (self.directory / "dictionary").touch()  # of one's own attributes
        with open(self.output, "ab") as out:
            self.child = self.machine.spawn("freeradius", "-X", "-d", self.directory, "-D",
                                            "/usr/share/freeradius", stdout=out,
                                            stderr=subprocess.STDOUT)
        wait_until(self._listens, 15, "FreeRADIUS to listen")
        return self

    def _listens(self):
        assert self.child.poll() is None, self.text()[-3000:]
        return "Ready to process requests" in self.text()

    def text(self):
        return self.output.read_text(errors="replace") if self.output.exists() else ""


def user(name, password, check=(), reply=()):
    """A line of the users file."""
    first = ", ".join([f'Cleartext-Password := "{password}"', *check])
    return f'{name} {first}' + "".join(f"\n\t{r}" for r in reply)
