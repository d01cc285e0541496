"""Post-quantum pre-shared keys (RFC 8784) against strongSwan and tern-gateway: optional and required
at either end, with the same key, another one, and a name that nobody knows."""

import pathlib

import pytest

import client
import strongswan as swan
from canary import CANARY, nothing_is_left  # noqa: F401
from client import assert_failure
from gateway import certificate_config, psk_config
from lab import Lab, wait_until
from sides import wait_agreed, wait_rekeyed
from strongswan import StrongSwan, connection, initiator
from test_eap import by_password

pytestmark = pytest.mark.sanitize

PROFILE_INVALID, UNTRUSTED, REFUSED = 11, 22, 23
NAME = "ppk-alice@example.com"
KEY = "kanarienvogel: 32 octets of it, and more"
OTHER = "another key of as many octets, not ours."


@pytest.fixture(autouse=True)
def key_is_untold(lab):
    """In no log of anybody's, at the level of debugging, nor on the wire."""
    yield
    needles = [KEY.encode(), KEY.encode().hex().encode()]
    for path in pathlib.Path(lab.client.directory).parent.rglob("*"):
        if path.is_file() and path.suffix in (".log", ".pcap", ".err", ".json"):
            content = path.read_bytes()
            assert not any(needle in content for needle in needles), path


def ppk_keys(use, key=KEY, name=NAME):
    """[Gateway] and [Local] keys of a profile."""
    if use == "off":
        return {}, {}
    return ({"RequirePPK": "yes" if use == "required" else "no"},
            {"PPK": key, "PPKIdentity": name})


def profile_of(tern, use, gateway=(), local=(), **ppk):
    ours, mine = ppk_keys(use, **ppk)
    return tern.profile(gateway={**dict(gateway), **ours}, local={**dict(local), **mine})


def settings(use, key=KEY, name=NAME):
    """extra and secrets of a swanctl.conf."""
    extra = "ppk_required = yes" if use == "required" else ""
    return extra, "" if use == "off" else f'\nppk-alice {{ id = {name}\n secret = "{key}" }}'


def load(gateway, use, **kwargs):
    extra, secrets = settings(use, **kwargs)
    gateway.load(connection(extra=extra, secrets=secrets))


def load_certificates(gateway, pki, authority, use, remote=None, secrets="", **kwargs):
    extra, ours = settings(use, **kwargs)
    credential = pki.gateway("ecdsa256", authority=authority)
    how = swan.by_certificate(credential, authority)
    gateway.load(connection(local=how["local"], remote=remote or how["remote"], psk=None,
                            extra=extra, secrets=ours + secrets), [credential], [authority])


def assert_in_use(lab, tern, strongswan, used):
    assert tern.status()["ike"]["ppk"] is used
    assert (", with a PPK" in tern.run("status").stdout) is used
    (sa,) = strongswan.sas()
    assert (sa.get("ppk") == "yes") is used
    assert lab.client.ping(lab.INTRANET[0], 3) == 3


# The client's wish, the gateway's, whose key it has; what becomes of it: is it in use, or which
# exit code with which words.
COMBINATIONS = [
    ("off", "optional", "same", False),
    ("off", "required", "same", (REFUSED, "refused our credentials")),
    ("optional", "off", "same", False),
    ("optional", "optional", "same", True),
    ("optional", "required", "same", True),
    ("optional", "optional", "other", (REFUSED, f'the PPK "{NAME}" of 40 octets')),
    ("optional", "optional", "unknown", False),
    ("optional", "required", "unknown", (REFUSED, f'the PPK "{NAME}" of 40 octets')),
    ("required", "off", "same", (UNTRUSTED, "no USE_PPK", "RequirePPK = no")),
    ("required", "optional", "same", True),
    ("required", "required", "same", True),
    ("required", "optional", "other", (REFUSED, f'the PPK "{NAME}" of 40 octets')),
    ("required", "required", "other", (REFUSED, f'the PPK "{NAME}" of 40 octets')),
    ("required", "optional", "unknown", (REFUSED, f'the PPK "{NAME}" of 40 octets')),
]


@pytest.mark.parametrize("ours,theirs,whose,outcome", COMBINATIONS)
def test_combinations_with_pre_shared_keys(lab, tern, strongswan, ours, theirs, whose, outcome):
    load(strongswan, theirs, key=OTHER if whose == "other" else KEY,
         name="ppk-bob@example.com" if whose == "unknown" else NAME)
    profile = profile_of(tern, ours)
    if isinstance(outcome, tuple):
        code, *words = outcome
        assert_failure(tern.up(profile, code=code), *words)
        if code == REFUSED:  # else nobody has told strongSwan
            strongswan.wait_for_sas(0)
        return
    tern.up(profile)
    assert_in_use(lab, tern, strongswan, outcome)


@pytest.mark.parametrize("ours,known", [("required", True), ("optional", True),
                                        ("optional", False), ("required", False)])
def test_certificates(lab, tern, strongswan, pki, authority, ours, known):
    """NO_PPK_AUTH holds a signature."""
    load_certificates(strongswan, pki, authority, "optional",
                      name=NAME if known else "ppk-bob@example.com")
    profile = profile_of(tern, ours, client.by_certificate(authority),
                         client.with_certificate(pki.client("ecdsa256", authority=authority)))
    if ours == "required" and not known:
        assert_failure(tern.up(profile, code=REFUSED), f'the PPK "{NAME}" of 40 octets')
        return
    tern.up(profile)
    assert_in_use(lab, tern, strongswan, known)
    words = f"using PPK for PPK_ID '{NAME}'" if known else "no PPK available, using NO_PPK_AUTH"
    assert words in strongswan.log_text()


@pytest.mark.parametrize("method", ["mschapv2", "md5"])
@pytest.mark.parametrize("ours,theirs,known", [
    ("required", "required", True), ("optional", "optional", False), ("required", "optional", False)])
def test_users_with_passwords(lab, tern, strongswan, pki, authority, method, ours, theirs, known):
    """The last AUTH has it; MD5 makes no key, so that it stands on SK_pi alone."""
    load_certificates(strongswan, pki, authority, theirs, f"auth = eap-{method}\neap_id = %any",
                      f'\neap-user {{ id = alice\n secret = "{CANARY}" }}',
                      name=NAME if known else "ppk-bob@example.com")
    profile = profile_of(tern, ours, client.by_certificate(authority),
                         by_password(EAPMethods=method))
    if ours == "required" and not known:
        assert_failure(tern.up(profile, code=REFUSED), "though EAP had succeeded",
                       f'the PPK "{NAME}" of 40 octets')
        return
    tern.up(profile)
    assert_in_use(lab, tern, strongswan, known)


def test_rekeying_goes_on_from_it(lab, tern, strongswan):
    load(strongswan, "required")
    tern.up(profile_of(tern, "required"))
    tern.run("rekey", "office")
    wait_rekeyed(tern, 1, 1)
    wait_agreed(tern, strongswan)  # else the gateway's is refused for a while (RFC 7296 2.25)
    assert_in_use(lab, tern, strongswan, True)
    strongswan.rekey("ike")
    wait_rekeyed(tern, 2, 1)
    wait_agreed(tern, strongswan)
    strongswan.rekey("child")
    wait_rekeyed(tern, 2, 2)
    assert_in_use(lab, tern, strongswan, True)


def test_what_is_built_anew_uses_it_again(lab, tern, strongswan):
    load(strongswan, "required")
    tern.up(profile_of(tern, "required"))
    tern.run("reconnect", "office")
    wait_until(lambda: tern.status()["reconnects"] == 1, 10, "another IKE SA")
    strongswan.wait_for_sas(1)
    assert_in_use(lab, tern, strongswan, True)
    assert strongswan.log_text().count(f"using PPK for PPK_ID '{NAME}'") == 2


def test_after_loss(lab, tern, strongswan):
    """The gateway loses all it knows, and the key with it: what requires it, waits for it."""
    load(strongswan, "required")
    gateway, local = ppk_keys("required")
    tern.up(tern.profile(gateway=gateway, local=local, roaming={"DPD": 5}))
    strongswan.kill()
    strongswan.start_again()
    lab.client.ping(lab.INTRANET[0], 1)
    wait_until(lambda: tern.status()["reconnects"] == 1, 30, "another IKE SA")
    tern.wait_up()
    assert_in_use(lab, tern, strongswan, True)


def test_key_file(lab, tern, strongswan):
    load(strongswan, "required", key="0x" + bytes(range(32)).hex())
    secret = tern.directory / "office.ppk"
    secret.write_text("0x" + bytes(range(32)).hex() + "\n")
    secret.chmod(0o644)
    profile = tern.profile(local={"PPKFile": secret, "PPKIdentity": NAME})
    assert_failure(tern.up(profile, code=PROFILE_INVALID), f"{secret} is open to other users")
    secret.chmod(0o600)
    tern.run("check", profile)
    tern.up(profile)
    assert_in_use(lab, tern, strongswan, True)


def test_short_keys(lab, tern, strongswan):
    """RFC 8784 6 wants 256 bits of entropy: less is said, much less is refused."""
    load(strongswan, "required", key="sixteen octets..")
    profile = profile_of(tern, "required", key="sixteen octets..")
    result = tern.run("check", profile)
    assert "warning: the PPK has 16 octets" in result.stderr
    tern.up(profile)
    assert "the PPK has 16 octets; against a quantum computer 32" in tern.log.read_text()
    tern.down()
    tern.wait_gone()
    profile = profile_of(tern, "required", key="fifteen octets.")
    assert_failure(tern.up(profile, code=PROFILE_INVALID), "the PPK has 15 octets")


# --- tern-gateway ---

@pytest.mark.parametrize("ours,theirs,whose,outcome", COMBINATIONS)
def test_tern_gateway(lab, tern, tern_gateway, ours, theirs, whose, outcome):
    name = "ppk-bob@example.com" if whose == "unknown" else NAME
    ppks = {} if theirs == "off" else {name: OTHER if whose == "other" else KEY}
    tern_gateway.start(psk_config(RequirePPK="yes" if theirs == "required" else None), ppks=ppks)
    profile = profile_of(tern, ours)
    if isinstance(outcome, tuple):
        code, *words = outcome
        assert_failure(tern.up(profile, code=code), *words)
        return
    tern.up(profile)
    assert tern.status()["ike"]["ppk"] is outcome
    assert lab.client.ping(lab.INTRANET[0], 3) == 3


def test_tern_gateway_and_a_user_with_a_password(lab, tern, tern_gateway, pki, authority):
    credential = pki.gateway("ecdsa256", authority=authority)
    config = certificate_config(credential, authority, CA=None, RequirePPK="yes")
    tern_gateway.start(config, passwords={"alice": CANARY}, ppks={NAME: KEY})
    tern.up(profile_of(tern, "required", client.by_certificate(authority), by_password()))
    assert tern.status()["ike"]["ppk"] is True
    assert lab.client.ping(lab.INTRANET[0], 3) == 3


@pytest.mark.parametrize("ours", ["optional", "required"])
@pytest.mark.parametrize("known", [True, False])
def test_strongswan_as_the_client(lab, tern_gateway, ours, known):
    """tern-gateway's side of it, by an implementation that is not ours."""
    tern_gateway.start(ppks={NAME if known else "ppk-bob@example.com": KEY})
    extra, secrets = settings(ours)
    with StrongSwan(lab.client) as it:
        it.load(initiator([Lab.GATEWAY[0]], extra=f"ppk_id = {NAME}\n{extra}", secrets=secrets))
        if ours == "required" and not known:
            result = it.swanctl("--initiate", "--child", "net", "--timeout", 10, check=False)
            assert result.returncode != 0
            tern_gateway.wait_log("the client's PPK is not known, and it requires it")
            return
        it.initiate()
        (sa,) = it.sas()
        assert (sa.get("ppk") == "yes") is known
        before = sa["initiator-spi"]
        it.rekey("ike")
        wait_until(lambda: [sa["state"] for sa in it.sas() if sa["initiator-spi"] != before] ==
                   ["ESTABLISHED"], 10, "another IKE SA")
        it.rekey("child")
