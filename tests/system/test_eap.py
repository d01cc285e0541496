"""EAP in IKE_AUTH (RFC 7296 2.16) against strongSwan and tern-gateway: users with passwords."""

import signal

import pytest

import client
import strongswan as swan
from asking import askpass, on_terminal
from canary import CANARY, nothing_is_left  # noqa: F401
from client import assert_failure
from gateway import certificate_config
from lab import wait_until
from strongswan import connection

pytestmark = pytest.mark.sanitize

PROFILE_INVALID, UNTRUSTED, REFUSED = 11, 22, 23


def by_password(password=CANARY, **keys):
    """[Local] keys for a user with one."""
    return {"Authentication": "eap", "UserName": "alice", "Password": password,
            "PresharedKey": None, **keys}


def profile_of(tern, authority, local=None, **kwargs):
    return tern.profile(gateway=client.by_certificate(authority), local=local or by_password(),
                        **kwargs)


def load(gateway, pki, authority, remote="auth = eap-mschapv2\neap_id = %any", password=CANARY,
         user="alice", extra=""):
    credential = pki.gateway("ecdsa256", authority=authority)
    how = swan.by_certificate(credential, authority)
    gateway.load(connection(local=how["local"], remote=remote, psk=None, extra=extra, secrets=(
        f'\neap-user {{ id = {user}\n secret = "{password}" }}')), [credential], [authority])


METHODS = {"mschapv2": "eap-mschapv2", "md5": "eap-md5", "gtc": "eap-gtc"}


@pytest.mark.parametrize("method", list(METHODS))
def test_user_with_a_password(lab, tern, strongswan, pki, authority, method):
    load(strongswan, pki, authority, remote=f"auth = {METHODS[method]}\neap_id = %any")
    profile = profile_of(tern, authority, by_password(EAPMethods=method))
    with lab.client.capture("up0"):
        tern.up(profile)
        assert lab.client.ping(lab.INTRANET[0], 3) == 3
    (sa,) = strongswan.sas()
    assert sa["remote-eap-id"] == "alice"


def test_wrong_password(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority, password="another one")
    with lab.client.capture("up0"):
        result = tern.up(profile_of(tern, authority), code=REFUSED)
    assert_failure(result, "wrong user name or password", "691", '"alice"')
    strongswan.wait_for_sas(0)


def test_unknown_user(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority, user="bob")
    with lab.client.capture("up0"):
        result = tern.up(profile_of(tern, authority), code=REFUSED)
    assert_failure(result, '"alice"')
    strongswan.wait_for_sas(0)


@pytest.mark.parametrize("method", ["md5", "gtc"])
def test_wrong_password_by_methods_without_words(lab, tern, strongswan, pki, authority, method):
    load(strongswan, pki, authority, remote=f"auth = eap-{method}\neap_id = %any",
         password="another one")
    with lab.client.capture("up0"):
        result = tern.up(profile_of(tern, authority, by_password(EAPMethods=method)), code=REFUSED)
    assert_failure(result, "EAP", '"alice"')
    strongswan.wait_for_sas(0)


def test_the_gateway_wants_another_method(lab, tern, strongswan, pki, authority):
    """We say what we would take; strongSwan has one alone, and gives up."""
    load(strongswan, pki, authority, remote="auth = eap-md5\neap_id = %any")
    result = tern.up(profile_of(tern, authority), code=REFUSED)
    assert_failure(result, "the gateway wants EAP-MD5; we offer EAP-MSCHAPv2", "EAPMethods")
    assert "received EAP_NAK" in strongswan.log_text()


def test_identity_and_user_name_are_two(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority)
    tern.up(profile_of(tern, authority, by_password(Identity="laptop7@example.com")))
    (sa,) = strongswan.sas()
    assert (sa["remote-id"], sa["remote-eap-id"]) == ("laptop7@example.com", "alice")


def test_domain_before_the_user(lab, tern, strongswan, pki, authority):
    """RFC 2759 4: the name that is hashed is without it."""
    load(strongswan, pki, authority, user="CORP\\alice")
    tern.up(profile_of(tern, authority, by_password(UserName="CORP\\alice",
                                                    Identity="alice@example.com")))
    assert len(strongswan.sas()) == 1


def test_password_of_all_characters(lab, tern, strongswan, pki, authority):
    password = "grüße; # €"
    load(strongswan, pki, authority, password=password)
    tern.up(profile_of(tern, authority, by_password(password)))
    assert len(strongswan.sas()) == 1


def test_not_a_word_for_a_gateway_that_is_not_trusted(lab, tern, strongswan, pki, authority):
    """The gateway begins EAP together with its proof: no answer of ours ever comes."""
    load(strongswan, pki, authority)
    other = pki.authority("ecdsa256", "other-ca")
    assert_failure(tern.up(profile_of(tern, other), code=UNTRUSTED))
    log = strongswan.log_text()
    assert "EAP/REQ" in log and "EAP/RES" not in log
    assert "N(AUTH_FAILED)" in log


def test_what_is_built_anew_does_not_ask_anybody(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority)
    tern.up(profile_of(tern, authority))
    tern.run("reconnect", "office")
    wait_until(lambda: tern.status()["reconnects"] == 1, 10, "another IKE SA")
    tern.wait_up()
    strongswan.wait_for_sas(1)
    tern.run("rekey", "office")
    assert lab.client.ping(lab.INTRANET[0], 3) == 3


# --- where the password comes from ---

def test_password_file(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority)
    secret = tern.directory / "alice.password"
    secret.write_text(CANARY + "\n")
    secret.chmod(0o644)
    profile = profile_of(tern, authority, by_password(None, PasswordFile=secret))
    result = tern.up(profile, code=PROFILE_INVALID)
    assert_failure(result, f"{secret} is open to other users")
    secret.chmod(0o600)
    tern.run("check", profile)
    tern.up(profile)


def test_credential_of_systemd(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority)
    directory = tern.directory / "credentials"
    directory.mkdir(mode=0o700)
    (directory / "office.password").write_text(CANARY)
    (directory / "office.password").chmod(0o400)
    profile = profile_of(tern, authority, by_password("the one of the profile does not count"))
    tern.up(profile, env={"CREDENTIALS_DIRECTORY": str(directory)})


def test_a_mistyped_password_is_asked_for_again(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority)
    env, asked = askpass(tern, "mistyped\n", CANARY + "\n")
    profile = profile_of(tern, authority, by_password(None))
    tern.run("check", profile, env=env)
    assert not asked.exists()
    tern.up(profile, env=env)
    assert asked.read_text() == "Password of alice for office\n" * 2
    strongswan.wait_for_sas(1)  # without that of the first attempt
    result = tern.up(profile, code=12, env=env)  # nobody is asked for what runs already
    assert_failure(result, "office")
    assert len(asked.read_text().splitlines()) == 2


def test_three_mistyped_passwords(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority)
    env, asked = askpass(tern, "one", "two", "three", CANARY)
    result = tern.up(profile_of(tern, authority, by_password(None)), code=REFUSED, env=env)
    assert result.stderr.count("error: ") == 3
    assert len(asked.read_text().splitlines()) == 3
    strongswan.wait_for_sas(0)


def test_nobody_answers(tern, authority):
    env, _ = askpass(tern)
    profile = profile_of(tern, authority, by_password(None))
    assert_failure(tern.up(profile, code=REFUSED, env=env), "did not say a password")


def test_nobody_to_be_asked(lab, tern, authority):
    profile = profile_of(tern, authority, by_password(None))
    result = lab.client.run("setsid", "-w", *tern.command("up", profile), check=False, env=tern.env)
    assert result.returncode == PROFILE_INVALID
    assert_failure(result, "no terminal", "PasswordFile")


# --- a terminal ---

def test_terminal(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority)
    profile = profile_of(tern, authority, by_password(None))
    seen = on_terminal(lab, tern, profile, b"mistyped\n", CANARY.encode() + b"\n")
    assert seen.count("Password of alice for office: ") == 2
    assert CANARY not in seen and "mistyped" not in seen
    strongswan.wait_for_sas(1)  # without that of the first attempt


def test_terminal_interrupted(lab, tern, authority):
    profile = profile_of(tern, authority, by_password(None))
    seen = on_terminal(lab, tern, profile, b"\x03", code=-signal.SIGINT)
    assert "error" not in seen


# --- tern-gateway ---

@pytest.mark.parametrize("method", list(METHODS))
def test_tern_gateway(lab, tern, tern_gateway, pki, authority, method):
    credential = pki.gateway("ecdsa256", authority=authority)
    config = certificate_config(credential, authority, CA=None, EAPMethods="md5, gtc, mschapv2")
    tern_gateway.start(config, passwords={"alice": CANARY}, level="debug")
    with lab.client.capture("up0"):
        tern.up(profile_of(tern, authority, by_password(EAPMethods=method)))
        assert lab.client.ping(lab.INTRANET[0], 3) == 3
    tern_gateway.wait_log("alice is up")


def test_tern_gateway_and_a_wrong_password(lab, tern, tern_gateway, pki, authority):
    credential = pki.gateway("ecdsa256", authority=authority)
    tern_gateway.start(certificate_config(credential, authority, CA=None),
                       passwords={"alice": "another one"})
    assert_failure(tern.up(profile_of(tern, authority), code=REFUSED), "691")


def test_a_code_is_asked_for_again_by_the_next_up_alone(lab, tern, tern_gateway, pki, authority):
    """GTC: what was entered has been used; what needs another one says so, and what stands stays."""
    credential = pki.gateway("ecdsa256", authority=authority)
    config = certificate_config(credential, authority, CA=None, EAPMethods="gtc")
    tern_gateway.start(config, passwords={"alice": CANARY})
    env, asked = askpass(tern, CANARY)
    tern.up(profile_of(tern, authority, by_password(None, EAPMethods="gtc")), env=env)
    assert asked.read_text() == "Code of alice for office\n"
    tern.run("reconnect", "office", code=None)
    wait_until(lambda: "wants a new code" in tern.log.read_text(), 10, "words of a new code")
    assert lab.client.ping(lab.INTRANET[0], 3) == 3
    assert tern.status()["reconnects"] == 0

