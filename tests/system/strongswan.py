"""A strongSwan of its own, in a machine of the lab: charon with kernel-libipsec, driven by swanctl.

The binaries are copied first, so that a distribution's AppArmor profiles, which go by path and know
nothing of our directories, do not get in the way.
"""

import pathlib
import re
import shutil

from lab import end, wait_until

CHARON = pathlib.Path("/usr/lib/ipsec/charon")
SWANCTL = pathlib.Path("/usr/sbin/swanctl")
# The order matters: kernel-libipsec must be there before kernel-netlink for it to get the SAs.
PLUGINS = ("random nonce x509 revocation constraints pubkey pkcs1 pkcs8 pem openssl gmp curve25519 "
           "hmac kdf mgf1 sha1 sha2 aes gcm chapoly kernel-libipsec kernel-netlink socket-default "
           "vici updown eap-identity eap-mschapv2 eap-md5 eap-gtc eap-tls eap-ttls md5 "
           "xauth-generic")

SETTINGS = """
charon {{
    load = {plugins}
    port = 500
    port_nat_t = 4500
    {timing}
    {settings}
    plugins {{
        vici {{ socket = unix://{socket} }}
        kernel-libipsec {{ load = yes
            allow_peer_ts = yes }}
        socket-default {{ fwmark = 0x42 }}
        eap-gtc {{ backend = generic }}
        kernel-netlink {{ fwmark = !0x42 }}
    }}
    filelog {{ log {{
        path = {log}
        default = 1
        ike = 2
        flush_line = yes
        time_format = %T
        time_add_ms = yes
    }} }}
    syslog {{ daemon {{ default = -1 }} auth {{ default = -1 }} }}
}}
swanctl {{ load = pem pkcs1 pkcs8 x509 pubkey openssl random }}
"""

# A gateway that tests need not wait for.
QUICK = """
    install_virtual_ip_on = lo
    retransmit_timeout = 1
    retransmit_tries = 3
    delete_rekeyed_delay = 1
"""
# One that sends nothing twice because a machine was busy, for tests that count messages.
UNHURRIED = "retransmit_timeout = 10"
# strongSwan's own defaults, for what is compared with it.
PATIENT = ""

# A road-warrior connection; everything can be overridden by keyword.
CONNECTION = """
connections {{ {name} {{
    version = 2
    {proposals}
    {pools}
    send_cert = always
    {connection}
    local {{ id = {id}
        {local} }}
    remote {{ {remote} }}
    children {{ net {{
        {esp}
        local_ts = {local_ts}
        mode = tunnel
        {child}
    }} }}
}} }}
pools {{
    pool4 {{ addrs = 10.7.0.0/24
        {dns4} }}
    pool6 {{ addrs = fd07::/64
        {dns6} }}
}}
secrets {{ {secrets} }}
"""

# The other end of it.
INITIATOR = """
connections {{ {name} {{
    version = 2
    remote_addrs = {remote_addresses}
    vips = {vips}
    mobike = yes
    dpd_delay = {dpd_delay}
    {proposals}
    {connection}
    local {{ id = {id}
        auth = psk }}
    remote {{ id = vpn.example.com
        auth = psk }}
    children {{ net {{
        {esp}
        remote_ts = {remote_ts}
        mode = tunnel
        {child}
    }} }}
}} }}
secrets {{ ike-shared {{ secret = "{psk}" }}
    {secrets} }}
"""

PSK = "correct horse battery staple"
# For tests that count messages: what tern offers first, so that its first guess is right. Left to its
# own defaults, strongSwan 6 wants another group, and says so with INVALID_KE_PAYLOAD.
GUESSED = "aes256gcm16-prfsha384-x25519"


def connection(name="office", proposals=None, esp=None, pools="pool4, pool6", identity=None,
               local="auth = psk", remote="auth = psk", local_ts="10.9.0.0/24, fd09::/64",
               child="", extra="", dns=("10.9.0.53", "fd09::53"), psk=PSK, secrets=""):
    """The text of a swanctl.conf."""
    if psk is not None:
        secrets += f'\nike-shared {{ secret = "{psk}" }}'
    return CONNECTION.format(
        name=name, proposals=f"proposals = {proposals}" if proposals else "",
        pools=f"pools = {pools}" if pools else "",
        connection=extra, id=identity or "vpn.example.com", local=local, remote=remote,
        esp=f"esp_proposals = {esp}" if esp else "", local_ts=local_ts, child=child,
        dns4=f"dns = {dns[0]}" if dns else "", dns6=f"dns = {dns[1]}" if dns else "",
        secrets=secrets)


def initiator(remote_addresses, name="office", identity="alice@example.com", vips="0.0.0.0, ::",
              remote_ts="10.9.0.0/24, fd09::/64", proposals=None, esp=None, dpd_delay="30s",
              child="", extra="", psk=PSK, secrets=""):
    """The text of a swanctl.conf for strongSwan as the client of connection()'s gateway."""
    return INITIATOR.format(
        name=name, remote_addresses=", ".join(remote_addresses), id=identity, vips=vips,
        remote_ts=remote_ts, proposals=f"proposals = {proposals}" if proposals else "",
        esp=f"esp_proposals = {esp}" if esp else "", dpd_delay=dpd_delay, child=child,
        connection=extra, psk=psk, secrets=secrets)


def by_certificate(credential, authority, auth="pubkey"):
    """Keywords for connection(): the gateway shows this credential and signs by `auth`, clients
    show one of authority."""
    return {
        "local": f"auth = {auth}\ncerts = {credential.file}",
        "remote": f"auth = pubkey\ncacerts = {authority.file}",
        "psk": None,
    }


class StrongSwan:
    def __init__(self, machine, settings="", timing=QUICK, plugins=""):
        self.machine = machine
        self.directory = machine.directory / "strongswan"
        self.log = self.directory / "charon.log"
        self.socket = self.directory / "vici"
        self.settings = settings
        self.plugins = f"{PLUGINS} {plugins}"  # more than are always there
        self.timing = timing
        self.child = None

    def __enter__(self):
        (self.directory / "bin").mkdir(parents=True, exist_ok=True)
        for program in (CHARON, SWANCTL):
            shutil.copy(program, self.directory / "bin")
        # swanctl looks for keys and certificates below one directory.
        for name in ("x509", "x509ca", "private"):
            (self.directory / "swanctl" / name).mkdir(parents=True)
        self.conf = self.directory / "strongswan.conf"
        self.conf.write_text(SETTINGS.format(plugins=self.plugins, settings=self.settings,
                                             timing=self.timing,
                                             socket=self.socket, log=self.log))
        self.env = {"STRONGSWAN_CONF": str(self.conf), "SWANCTL_DIR":
                    str(self.directory / "swanctl")}
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        with open(self.directory / "charon.err", "ab") as err:
            self.child = self.machine.spawn(self.directory / "bin" / "charon", env=self.env, stdout=err,
                                            stderr=err)
        wait_until(self._answers, 15, "charon's vici socket")

    def _answers(self):
        assert self.child.poll() is None, self.log_text() + (
            self.directory / "charon.err").read_text()
        return self.socket.exists() and self.swanctl("--stats", check=False).returncode == 0

    def stop(self):
        end(self.child)

    def kill(self):
        """Gone without a word, as in a power cut."""
        self.child.kill()
        self.child.wait()
        self.socket.unlink(missing_ok=True)
        self.machine.run("sh", "-c", "rm -f /run/charon.pid")

    def start_again(self):
        """With what was loaded before."""
        self.start()
        self.swanctl("--load-all", "--clear", "--file",
                     self.directory / "swanctl" / "swanctl.conf")

    def swanctl(self, command, *args, check=True, timeout=30):
        return self.machine.run(self.directory / "bin" / "swanctl", command, *args, "--uri",
                                f"unix://{self.socket}", env=self.env, check=check,
                                timeout=timeout)

    def load(self, text, credentials=(), authorities=()):
        """Replace the configuration; credentials and authorities are Pki's."""
        conf = self.directory / "swanctl" / "swanctl.conf"
        conf.write_text(text)
        for folder, files in (
                ("x509", [c.file for c in credentials]),
                ("private", [c.key_file for c in credentials]),
                ("x509ca", [a.file for a in authorities])):
            for old in (self.directory / "swanctl" / folder).iterdir():
                old.unlink()
            for file in files:
                shutil.copy(file, self.directory / "swanctl" / folder)
        self.swanctl("--load-all", "--clear", "--file", conf)

    def sas(self):
        """IKE SAs as dictionaries; their "child-sas" likewise, by name."""
        raw = self.swanctl("--list-sas", "--raw", "--pretty").stdout
        return [sa for name, sa in parse_pretty(raw)]

    def children(self):
        return [child for sa in self.sas() for child in sa.get("child-sas", {}).values()]

    def wait_for_sas(self, count, timeout=10):
        return wait_until(lambda: len(self.sas()) == count or None, timeout,
                          f"{count} IKE SAs at strongSwan")

    def initiate(self, child="net", timeout=20):
        self.swanctl("--initiate", "--child", child, "--timeout", timeout, timeout=timeout + 5)

    def terminate(self, name="office", **kwargs):
        self.swanctl("--terminate", "--ike", name, **kwargs)

    def rekey(self, what, **kwargs):
        """what: "ike" or "child"."""
        self.swanctl("--rekey", f"--{what}", {"ike": "office", "child": "net"}[what], **kwargs)

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def parse_pretty(text):
    """swanctl's pretty raw form: `list-sa event {` blocks with `key = value` a line, `key {`
    sections and `key = [` lists. Returns (name, dictionary) of the IKE SAs."""
    lines = iter(text.splitlines())

    def section():
        entries = {}
        for line in lines:
            line = line.strip()
            if line == "}":
                return entries
            if line.endswith("{"):
                entries[line[:-1].strip()] = section()
            elif re.search(r"= \[$", line):
                entries[line[:-3].strip()] = items()
            elif line:
                key, _, value = line.partition(" = ")
                entries[key] = value
        return entries

    def items():
        values = []
        for line in lines:
            line = line.strip()
            if line == "]":
                return values
            values.append(line)
        return values

    found = []
    for line in lines:
        if line.startswith("list-sa event {"):
            found += list(section().items())
    return found
