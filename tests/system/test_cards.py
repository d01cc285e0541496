"""Where our own key and certificate come from, against strongSwan: encrypted keys, PKCS#12, and a
token (SoftHSM) behind tern-token."""

import os
import pathlib
import re
import signal
import subprocess

import pytest

import client
import strongswan as swan
from asking import askpass, on_terminal
from canary import assert_untold
from client import assert_failure
from lab import wait_until
from strongswan import connection
from tokens import SoftToken, module

pytestmark = pytest.mark.sanitize

PROFILE_INVALID, RUNNING, REFUSED, PRIVILEGE = 11, 12, 23, 25
# Looked for in every log, and in what everybody can read of every process.
PIN = "4711-kanarienvogel"
PASSPHRASE = "kanarienvogel-7Zq!"
KINDS = ("rsa", "ecdsa256", "ecdsa384", "ecdsa521", "ed25519")


@pytest.fixture
def token(tern):
    if not (tern.binary.parent / "tern-token").exists():
        pytest.skip("built without p11-kit")
    it = SoftToken(tern.directory / "softhsm", PIN)
    tern.env.update(it.env)
    return it


@pytest.fixture(autouse=True)
def nothing_is_left(lab, tern):
    before = lab.client.state()
    yield
    if tern.pids():
        tern.down()
        tern.wait_gone()
    wait_until(lambda: not token_pids(), 10, "tern-token to be gone")
    assert lab.client.state() == before
    assert_untold(lab, PIN, PASSPHRASE)


def assert_secrets_unseen():
    """By who looks at the processes, ours among them."""
    looked_at = 0
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                content = (process / name).read_bytes()
            except OSError:
                continue
            looked_at += 1
            assert PIN.encode() not in content and PASSPHRASE.encode() not in content, process
    assert looked_at > 2


def token_pids():
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            state = re.search(r"\) (\S)", (process / "stat").read_text()).group(1)
            if (process / "comm").read_text() == "tern-token\n" and state not in "ZX":
                found.append(int(process.name))
        except OSError:
            continue
    return found


def load(gateway, pki, authority, extra=""):
    credential = pki.gateway("ecdsa256", authority=authority)
    gateway.load(connection(**swan.by_certificate(credential, authority), extra=extra),
                 [credential], [authority])


def client_of(pki, authority, kind="ecdsa256"):
    return pki.client(kind, authority=authority, label=f"client-{kind}-of-{authority.name}")


def profile_of(tern, authority, **local):
    keys = {"Authentication": "certificate", "PresharedKey": None, **local}
    return tern.profile(gateway=client.by_certificate(authority), local=keys)


def secret_file(tern, name, content):
    path = tern.directory / name
    path.touch(mode=0o600)
    path.write_text(content)
    return path


def with_pin(tern, uri):
    return f"{uri}?pin-source=file:{secret_file(tern, 'card.pin', PIN)}"


def assert_carries(lab, strongswan):
    """Packets, and one IKE SA of alice's; an attempt without a proof strongSwan forgets later."""
    assert lab.client.ping(lab.INTRANET[0], 3) == 3

    def standing():
        return [sa["remote-id"] for sa in strongswan.sas() if sa["state"] == "ESTABLISHED"]
    wait_until(lambda: standing() == ["alice@example.com"], 10, "one IKE SA at strongSwan")


# --- tokens ---

@pytest.mark.parametrize("kind", KINDS)
def test_key_on_a_token(lab, tern, strongswan, pki, authority, token, kind):
    load(strongswan, pki, authority)
    uri = token.add(client_of(pki, authority, kind))
    profile = profile_of(tern, authority, PrivateKey=with_pin(tern, uri))
    tern.run("check", profile)
    tern.up(profile)
    assert_carries(lab, strongswan)
    assert_secrets_unseen()
    expected = {"rsa": "RSA_EMSA_PSS_SHA2_256", "ed25519": "ED25519"}.get(kind, "ECDSA_WITH_SHA")
    assert re.search(f"authentication of 'alice@example.com' with {expected}.* successful",
                     strongswan.log_text())
    # Another IKE SA, another signature, and nobody is asked.
    tern.run("reconnect", "office")
    wait_until(lambda: tern.status()["reconnects"] == 1, 10, "another IKE SA")
    assert_carries(lab, strongswan)


@pytest.mark.parametrize("kind", ["rsa", "ecdsa256"])
def test_key_on_a_token_signs_within_eap(lab, tern, strongswan, pki, authority, token, kind):
    credential = pki.gateway("ecdsa256", authority=authority)
    how = {**swan.by_certificate(credential, authority),
           "remote": "auth = eap-tls\neap_id = %any"}
    strongswan.load(connection(**how), [credential], [authority])
    uri = token.add(client_of(pki, authority, kind))
    profile = profile_of(tern, authority, Authentication="eap", EAPMethods="tls",
                         PrivateKey=with_pin(tern, uri))
    tern.run("check", profile)
    tern.up(profile)
    assert_carries(lab, strongswan)
    assert "EAP method EAP_TLS succeeded" in strongswan.log_text()
    assert_secrets_unseen()


def test_chain_in_a_file_and_key_on_a_token(lab, tern, strongswan, pki, token):
    root = pki.authority("ecdsa256")
    middle = pki.authority("ecdsa256", "ca-ecdsa256-middle", root)
    load(strongswan, pki, root)
    credential = client_of(pki, middle)
    uri = token.add(credential, certificate=False)
    profile = profile_of(tern, root, PrivateKey=with_pin(tern, uri),
                         Certificate=credential.chain_file)
    tern.up(profile)
    assert_carries(lab, strongswan)


def test_certificate_names_the_key(lab, tern, strongswan, pki, authority, token):
    load(strongswan, pki, authority)
    token.add(client_of(pki, authority, "rsa"), 1)
    uri = token.add(client_of(pki, authority), 2)
    tern.up(profile_of(tern, authority, Certificate=with_pin(tern, uri + ";type=cert")))
    assert_carries(lab, strongswan)


def test_key_that_wants_the_pin_each_time(lab, tern, strongswan, pki, authority, token):
    load(strongswan, pki, authority)
    uri = token.add_asking_each_time(client_of(pki, authority))
    env, asked = askpass(tern, PIN + "\n")
    tern.up(profile_of(tern, authority, PrivateKey=uri), env=env)
    tern.run("reconnect", "office")
    wait_until(lambda: tern.status()["reconnects"] == 1, 10, "another IKE SA")
    assert_carries(lab, strongswan)
    assert len(asked.read_text().splitlines()) == 1


def test_machine_on_a_token_and_its_user(lab, tern, strongswan, pki, authority, token):
    """RFC 4739: the first proof is signed by the token, the second is a password."""
    gateway = pki.gateway("ecdsa256", authority=authority)
    strongswan.load(connection(
        local=swan.by_certificate(gateway, authority)["local"], psk=None,
        remote=f"round = 1\nauth = pubkey\ncacerts = {authority.file}",
        extra="remote-2 { round = 2\nauth = eap-mschapv2\neap_id = %any }",
        secrets=f'\neap-user {{ id = alice\n secret = "{PASSPHRASE}" }}'), [gateway], [authority])
    uri = with_pin(tern, token.add(client_of(pki, authority)))
    profile = tern.profile(
        gateway=client.by_certificate(authority),
        local={"Authentication": "certificate", "PresharedKey": None, "PrivateKey": uri},
        user={"UserName": "alice", "Password": PASSPHRASE})
    tern.up(profile)
    assert lab.client.ping(lab.INTRANET[0], 3) == 3
    token.pull_out()
    tern.run("reconnect", "office")
    wait_until(lambda: "our key cannot be used" in tern.log.read_text(), 10, "words of the token")
    assert lab.client.ping(lab.INTRANET[0], 3) == 3


@pytest.mark.parametrize("where", ["the user", "both"])
def test_user_on_a_token(lab, tern, strongswan, pki, authority, token, where):
    """RFC 4739: the second proof is signed by the token; the first with a file, or by it as well."""
    gateway = pki.gateway("ecdsa256", authority=authority)
    strongswan.load(connection(
        local=swan.by_certificate(gateway, authority)["local"], psk=None,
        remote=f"round = 1\nauth = pubkey\ncacerts = {authority.file}",
        extra=f"remote-2 {{ round = 2\nauth = pubkey\ncacerts = {authority.file}\n"
              "id = alice@example.com }"), [gateway], [authority])
    machine = pki.client("ecdsa256", "laptop7@example.com", authority, "client-laptop7")
    user = with_pin(tern, token.add(client_of(pki, authority)))
    keys = {k: v for k, v in client.with_certificate(machine).items() if v is not None}
    if where == "both":
        keys = {"PrivateKey": with_pin(tern, token.add(machine, 2))}
    profile = tern.profile(
        gateway=client.by_certificate(authority),
        local={"Identity": None, "Authentication": "certificate", "PresharedKey": None, **keys},
        user={"PrivateKey": user})
    tern.run("check", profile)
    tern.up(profile)
    assert_carries(lab, strongswan)
    assert "authentication of 'laptop7@example.com'" in strongswan.log_text()
    assert_secrets_unseen()
    wait_until(lambda: len(token_pids()) == (2 if where == "both" else 1), 10,
               "those of `tern check` to be gone")
    token.pull_out()
    tern.run("reconnect", "office")
    wait_until(lambda: "our key cannot be used" in tern.log.read_text(), 10, "words of the token")
    assert lab.client.ping(lab.INTRANET[0], 3) == 3


def test_module_by_its_path(lab, tern, strongswan, pki, authority, token):
    load(strongswan, pki, authority)
    uri = token.add(client_of(pki, authority))
    copy = tern.directory / "module.so"
    copy.write_bytes(module().read_bytes())
    copy.chmod(0o666)
    where = f"{with_pin(tern, uri)}&module-path={copy}"
    profile = profile_of(tern, authority, PrivateKey=where)
    assert_failure(tern.run("check", profile, code=PROFILE_INVALID), "others could write", str(copy))
    copy.chmod(0o644)
    tern.up(profile)
    assert_carries(lab, strongswan)


@pytest.mark.parametrize("where", ["absent", "two keys", "two tokens", "no certificate", "key"])
def test_what_does_not_fit(tern, pki, authority, token, where):
    credential = client_of(pki, authority)
    if where == "absent":
        uri, words = "pkcs11:token=nowhere", "no token fits the URI"
    elif where == "two keys":
        token.add(credential, 1)
        token.add(credential, 2)
        uri, words = token.uri, 'several private keys on the token "tern card" fit the URI'
    elif where == "two tokens":
        subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", "another", "--pin",
                        PIN, "--so-pin", "8" * 8], env=dict(os.environ, **token.env), check=True,
                       capture_output=True)
        uri, words = "pkcs11:manufacturer=SoftHSM%20project", "2 tokens fit the URI"
    elif where == "no certificate":
        uri, words = token.add(credential, certificate=False), "has no certificate with the key's id"
    else:
        token.add(credential)
        uri, words = token.uri + ";id=%07", "no private key that signs"
    profile = profile_of(tern, authority, PrivateKey=with_pin(tern, uri))
    result = tern.up(profile, code=PROFILE_INVALID)
    assert_failure(result, words)
    text = profile.read_text()
    line = text[:text.index("PrivateKey")].count("\n") + 1
    assert f"error: {profile}:{line}: " in result.stderr


def test_wrong_pin_is_asked_for_again(lab, tern, strongswan, pki, authority, token):
    load(strongswan, pki, authority)
    profile = profile_of(tern, authority, PrivateKey=token.add(client_of(pki, authority)))
    env, asked = askpass(tern, "mistyped\n", PIN + "\n")
    tern.up(profile, env=env)
    assert asked.read_text().splitlines() == [
        'PIN of the token "tern card" for office',
        'Wrong PIN; once more the PIN of the token "tern card" for office (few tries are left before '
        "it is locked)"]
    assert_carries(lab, strongswan)
    assert_failure(tern.up(profile, code=RUNNING, env=env), "office")
    assert len(asked.read_text().splitlines()) == 2  # nobody is asked for what runs already


def test_wrong_pin_in_a_file(tern, pki, authority, token):
    uri = token.add(client_of(pki, authority))
    pin = secret_file(tern, "card.pin", "1234")
    profile = profile_of(tern, authority, PrivateKey=f"{uri}?pin-source=file:{pin}")
    result = tern.up(profile, code=PROFILE_INVALID)
    assert_failure(result, 'the PIN that is given is not that of the token "tern card"',
                   "few tries are left")
    pin.chmod(0o644)
    assert_failure(tern.up(profile, code=PROFILE_INVALID), "is open to other users")


def test_pin_in_the_profile(lab, tern, strongswan, pki, authority, token):
    load(strongswan, pki, authority)
    uri = token.add(client_of(pki, authority))
    profile = profile_of(tern, authority, PrivateKey=f"{uri}?pin-value={PIN}")
    profile.chmod(0o644)
    assert_failure(tern.up(profile, code=PROFILE_INVALID), "office.conf is open to other users")
    profile.chmod(0o600)
    tern.up(profile)
    assert_carries(lab, strongswan)
    assert_secrets_unseen()


def test_nobody_to_be_asked(lab, tern, pki, authority, token):
    profile = profile_of(tern, authority, PrivateKey=token.add(client_of(pki, authority)))
    result = lab.client.run("setsid", "-w", *tern.command("up", profile), check=False, env=tern.env)
    assert result.returncode == PROFILE_INVALID
    assert_failure(result, 'the token "tern card" wants its PIN', "no terminal", "pin-source")
    # Which is no fault of the profile.
    result = lab.client.run("setsid", "-w", *tern.command("check", profile), check=False,
                            env=tern.env)
    assert result.returncode == 0 and "no faults" in result.stdout
    assert "wants its PIN: nobody is here to be asked" in result.stderr


def test_pin_on_a_terminal(lab, tern, strongswan, pki, authority, token):
    load(strongswan, pki, authority)
    profile = profile_of(tern, authority, PrivateKey=token.add(client_of(pki, authority)))
    seen = on_terminal(lab, tern, profile, b"mistyped\n", PIN.encode() + b"\n")
    assert seen.count("PIN of the token") == 2 and "few tries are left" in seen
    assert PIN not in seen and "mistyped" not in seen
    # The terminal is closed by now, and its processes were told so: the token is still there.
    tern.run("reconnect", "office")
    wait_until(lambda: tern.status()["reconnects"] == 1, 10, "another IKE SA")
    assert_carries(lab, strongswan)


def test_token_is_gone_before(tern, pki, authority, token):
    profile = profile_of(tern, authority, PrivateKey=with_pin(
        tern, token.add(client_of(pki, authority))))
    token.pull_out()
    assert_failure(tern.up(profile, code=PROFILE_INVALID), "no token fits the URI")


def test_token_is_pulled_out(lab, tern, strongswan, pki, authority, token):
    """What stands goes on until something has to be signed; and then still does."""
    load(strongswan, pki, authority)
    tern.up(profile_of(tern, authority, PrivateKey=with_pin(
        tern, token.add(client_of(pki, authority)))))
    token.pull_out()
    tern.run("rekey", "office")
    assert_carries(lab, strongswan)
    tern.run("reconnect", "office")
    wait_until(lambda: "our key cannot be used" in tern.log.read_text(), 10, "words of the token")
    assert 'the token "tern card"' in tern.log.read_text()
    assert_carries(lab, strongswan)
    assert tern.status()["state"] == "up" and tern.status()["reconnects"] == 0


def test_token_process_dies(lab, tern, strongswan, pki, authority, token):
    load(strongswan, pki, authority)
    tern.up(profile_of(tern, authority, PrivateKey=with_pin(
        tern, token.add(client_of(pki, authority)))))
    (pid,) = token_pids()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not token_pids(), 10, "tern-token to be gone")
    tern.run("reconnect", "office")
    wait_until(lambda: "tern-token, which speaks with the token, has ended" in
               tern.log.read_text(), 10, "words of tern-token")
    assert_carries(lab, strongswan)


def test_token_process_dies_before_it_has_signed(lab, tern, strongswan, pki, authority, token):
    load(strongswan, pki, authority)
    profile = profile_of(tern, authority, PrivateKey=with_pin(
        tern, token.add(client_of(pki, authority))))
    lab.gateway.nft("table inet silence {\nchain in {\ntype filter hook input priority 0;\n"
                    "udp dport 500 counter drop\n}\n}")
    child = tern.foreground(profile)
    # It has the key, and asks the gateway.
    wait_until(lambda: "packets 0 " not in lab.gateway.run("nft", "list", "ruleset").stdout, 10,
               "IKE_SA_INIT")
    (pid,) = token_pids()
    os.kill(pid, signal.SIGKILL)
    lab.gateway.nft("delete table inet silence")
    assert child.wait(20) == REFUSED
    assert "error: our key cannot be used: tern-token" in tern.log.read_text()


@pytest.mark.slow
def test_token_hangs(lab, tern, strongswan, pki, authority, token):
    """It is not waited for without end, and packets pass meanwhile."""
    load(strongswan, pki, authority)
    tern.up(profile_of(tern, authority, PrivateKey=with_pin(
        tern, token.add(client_of(pki, authority)))))
    (pid,) = token_pids()
    os.kill(pid, signal.SIGSTOP)
    try:
        tern.run("reconnect", "office")
        assert lab.client.ping(lab.INTRANET[0], 3) == 3
        wait_until(lambda: "does not answer" in tern.log.read_text(), 40, "an end of the patience")
    finally:
        os.kill(pid, signal.SIGKILL)
    assert_carries(lab, strongswan)


def test_token_process_ends_with_tern(lab, tern, strongswan, pki, authority, token):
    load(strongswan, pki, authority)
    profile = profile_of(tern, authority, PrivateKey=with_pin(
        tern, token.add(client_of(pki, authority))))
    tern.up(profile)
    assert len(token_pids()) == 1
    tern.kill()
    wait_until(lambda: not token_pids(), 10, "tern-token to be gone")
    tern.up(profile)
    assert len(token_pids()) == 1
    tern.down()
    tern.wait_gone()
    wait_until(lambda: not token_pids(), 10, "tern-token to be gone")


def test_two_libraries_in_two_processes(tern, strongswan, pki, authority, token):
    """BoringSSL here, OpenSSL there; and there no right to do anything to networks."""
    load(strongswan, pki, authority)
    tern.up(profile_of(tern, authority, PrivateKey=with_pin(
        tern, token.add(client_of(pki, authority)))))
    (ours,), (theirs,) = tern.pids(), token_pids()
    maps = {pid: pathlib.Path(f"/proc/{pid}/maps").read_text() for pid in (ours, theirs)}
    assert "libsofthsm2" in maps[theirs] and "libsofthsm2" not in maps[ours]
    assert "p11-kit" in maps[theirs] and "p11-kit" not in maps[ours]
    libraries = {pid: set(re.findall(r"/\S*libcrypto\S*", maps[pid])) for pid in maps}
    assert not libraries[ours] & libraries[theirs]
    status = pathlib.Path(f"/proc/{theirs}/status").read_text()
    assert re.search(r"NoNewPrivs:\s+1", status)
    # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    assert int(re.search(r"CapPrm:\s+(\S+)", status).group(1), 16) & ~0b110 == 0


def test_without_tern_token(lab, tern, authority):
    profile = profile_of(tern, authority, PrivateKey="pkcs11:token=a")
    result = tern.up(profile, code=PROFILE_INVALID, env={"TERN_TOKEN": "/nowhere/tern-token"})
    assert_failure(result, "TERN_TOKEN=/nowhere/tern-token cannot be run")


# --- files ---

def encrypted_key(tern, credential, *options):
    path = tern.directory / "alice.key"
    subprocess.run(["openssl", "pkcs8", "-topk8", "-in", credential.key_file, "-out", path,
                    "-passout", "env:PASSPHRASE", *options], check=True, capture_output=True,
                   env=dict(os.environ, PASSPHRASE=PASSPHRASE))
    path.chmod(0o600)
    return path


ENCRYPTIONS = {
    "aes256": (),
    "aes128": ("-v2", "aes-128-cbc"),  # as strongSwan's rw-pkcs8 has it, and the next
    "3des-pbes1": ("-v1", "PBE-SHA1-3DES"),
    "scrypt": ("-scrypt",),
    "der": ("-outform", "DER", "-v2prf", "hmacWithSHA512"),
}


@pytest.mark.parametrize("encryption", list(ENCRYPTIONS))
def test_encrypted_key(lab, tern, strongswan, pki, authority, encryption):
    load(strongswan, pki, authority)
    credential = client_of(pki, authority, "rsa")
    profile = profile_of(
        tern, authority, Certificate=credential.chain_file,
        PrivateKey=encrypted_key(tern, credential, *ENCRYPTIONS[encryption]),
        PassphraseFile=secret_file(tern, "passphrase", PASSPHRASE + "\n"))
    tern.up(profile)
    assert_carries(lab, strongswan)
    assert_secrets_unseen()


def container(tern, credential, *options):
    """Key, certificate, and those above it up to the root."""
    path = tern.directory / "alice.p12"
    others = tern.directory / "others.pem"
    others.write_bytes(b"".join(c.pem() for c in [*credential.chain()[1:], credential.root]))
    subprocess.run(["openssl", "pkcs12", "-export", "-inkey", credential.key_file, "-in",
                    credential.file, "-certfile", others, "-out", path, "-passout",
                    "env:PASSPHRASE", *options], check=True, capture_output=True,
                   env=dict(os.environ, PASSPHRASE=PASSPHRASE))
    path.chmod(0o600)
    return path


LEGACY = ("-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1")


@pytest.mark.parametrize("options", [(), LEGACY], ids=["modern", "legacy"])
def test_container(lab, tern, strongswan, pki, options):
    """As strongSwan's net2net-pkcs12: all that is ours in one file; and who certified us, where the
    gateway knows the root alone."""
    root = pki.authority("ecdsa256")
    middle = pki.authority("ecdsa256", "ca-ecdsa256-middle", root)
    load(strongswan, pki, root)
    profile = profile_of(tern, root, PKCS12=container(tern, client_of(pki, middle), *options),
                         PassphraseFile=secret_file(tern, "passphrase", PASSPHRASE))
    tern.run("check", profile)
    tern.up(profile)
    assert_carries(lab, strongswan)


def test_passphrase_is_asked_for(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority)
    profile = profile_of(tern, authority, PKCS12=container(tern, client_of(pki, authority)))
    env, asked = askpass(tern, "mistyped\n", PASSPHRASE + "\n")
    tern.up(profile, env=env)
    name = tern.directory / "alice.p12"
    assert asked.read_text().splitlines() == [
        f"Passphrase of {name} for office",
        f"Wrong passphrase; once more the passphrase of {name} for office"]
    assert_carries(lab, strongswan)


def test_nobody_is_asked_in_vain(lab, tern, pki, authority):
    """By who may not make an interface in any case."""
    profile = profile_of(tern, authority, PKCS12=container(tern, client_of(pki, authority)))
    env, asked = askpass(tern, PASSPHRASE)
    result = lab.client.run("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin",
                            *tern.command("up", profile), check=False, env={**tern.env, **env})
    assert result.returncode == PRIVILEGE
    assert_failure(result, "CAP_NET_ADMIN")
    assert not asked.exists()


def test_three_wrong_passphrases(tern, pki, authority):
    profile = profile_of(tern, authority, PKCS12=container(tern, client_of(pki, authority)))
    env, asked = askpass(tern, "one", "two", "three", PASSPHRASE)
    assert_failure(tern.up(profile, code=PROFILE_INVALID, env=env), "was wrong 3 times")
    assert len(asked.read_text().splitlines()) == 3


def test_wrong_passphrase_in_a_file(tern, pki, authority):
    wrong = secret_file(tern, "passphrase", "wrong")
    profile = profile_of(tern, authority, PKCS12=container(tern, client_of(pki, authority)),
                         PassphraseFile=wrong)
    line = profile.read_text().splitlines().index(f"PassphraseFile = {wrong}") + 1
    result = tern.up(profile, code=PROFILE_INVALID)
    assert_failure(result, f"{profile}:{line}: the passphrase that is given does not open")


def test_check_asks_where_somebody_is(lab, tern, pki, authority):
    credential = client_of(pki, authority)
    other = client_of(pki, authority, "rsa")
    profile = profile_of(tern, authority, Certificate=other.file,
                         PrivateKey=encrypted_key(tern, credential))
    seen = on_terminal(lab, tern, profile, PASSPHRASE.encode() + b"\n", code=PROFILE_INVALID,
                       command="check")
    assert "is not the key of the certificate" in seen and PASSPHRASE not in seen
    result = lab.client.run("setsid", "-w", *tern.command("check", profile), check=False,
                            env=tern.env)
    assert result.returncode == 0
    assert "alice.key is encrypted: nobody is here to be asked" in result.stderr
