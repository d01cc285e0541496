"""Two proofs in one IKE_AUTH (RFC 4739) against strongSwan and tern-gateway: the machine's, by a
certificate or a key, and then its user's."""

import pytest

import client
import strongswan as swan
from canary import CANARY, nothing_is_left  # noqa: F401
from client import assert_failure
from gateway import certificate_config, psk_config
from lab import Lab, wait_until
from strongswan import StrongSwan, connection, initiator

pytestmark = pytest.mark.sanitize

UNTRUSTED, REFUSED = 22, 23
MACHINE, USER = "laptop7.example.com", "alice@example.com"
KEY = "the key of the machine"


@pytest.fixture
def machine(pki, authority):
    """Clients' names are addresses of mail in this PKI, and a machine may be called so."""
    return pki.client("ecdsa256", "laptop7@example.com", authority, "client-laptop7")


@pytest.fixture
def user(pki, authority):
    return pki.client("ecdsa256", USER, authority, "client-alice")


def by_password(password=CANARY, **keys):
    """[User] keys."""
    return {"UserName": "alice", "Password": password, **keys}


def profile_of(tern, authority, machine, user=None, **kwargs):
    """machine: a credential, or None for a key."""
    local = {"Identity": None, **client.with_certificate(machine)} if machine else {
        "Identity": MACHINE, "Authentication": "psk", "PresharedKey": KEY}
    return tern.profile(gateway=client.by_certificate(authority), local=local,
                        user=by_password() if user is None else user, **kwargs)


def load(gateway, pki, authority, first="auth = pubkey", second="auth = eap-mschapv2\neap_id = %any",
         password=CANARY, secrets="", extra=""):
    """second: None: strongSwan asks once."""
    credential = pki.gateway("ecdsa256", authority=authority)
    how = swan.by_certificate(credential, authority)
    another = f"remote-2 {{ round = 2\n{second} }}\n" if second else ""
    if "pubkey" in first:
        first += f"\ncacerts = {authority.file}"
    gateway.load(connection(local=how["local"], remote=f"round = 1\n{first}", psk=None,
                            extra=another + extra, secrets=secrets + (
        f'\neap-user {{ id = alice\n secret = "{password}" }}')), [credential], [authority])


def assert_up(lab, strongswan, machine, user):
    (sa,) = strongswan.sas()
    assert sa["remote-id"] == user
    # The last one counts; the log has both.
    assert f"authentication of '{machine}'" in strongswan.log_text()
    assert lab.client.ping(lab.INTRANET[0], 3) == 3


# --- strongSwan ---

def test_machine_and_user(lab, tern, strongswan, pki, authority, machine):
    """strongSwan's own scenarios have the second round by EAP; so do companies."""
    load(strongswan, pki, authority)
    with lab.client.capture("up0"):
        tern.up(profile_of(tern, authority, machine))
        assert_up(lab, strongswan, "laptop7@example.com", "alice")
    log = strongswan.log_text()
    assert "N(MULT_AUTH) N(AUTH_FOLLOWS)" in log
    assert "parsed IKE_AUTH request 2 [ IDi ]" in log


@pytest.mark.parametrize("method", ["md5", "gtc"])
def test_methods_without_a_key(lab, tern, strongswan, pki, authority, machine, method):
    """AUTH stands on SK_pi, over the user's identity."""
    load(strongswan, pki, authority, second=f"auth = eap-{method}\neap_id = %any")
    tern.up(profile_of(tern, authority, machine, by_password(EAPMethods=method)))
    assert_up(lab, strongswan, "laptop7@example.com", "alice")


def test_user_by_eap_with_tls(lab, tern, strongswan, pki, authority, machine, user):
    """The user's certificate is another one than the machine's, and so is the name."""
    load(strongswan, pki, authority, second="auth = eap-tls\neap_id = %any")
    keys = {k: v for k, v in client.with_certificate(user).items() if v is not None}
    tern.up(profile_of(tern, authority, machine, {**keys, "Authentication": "eap",
                                                  "EAPMethods": "tls"}))
    assert_up(lab, strongswan, "laptop7@example.com", USER)


def test_user_inside_eap_with_tls(lab, tern, strongswan, pki, authority, machine):
    load(strongswan, pki, authority, second="auth = eap-ttls\neap_id = %any")
    with lab.client.capture("up0"):
        tern.up(profile_of(tern, authority, machine,
                           by_password(EAPMethods="ttls", EAPInner="md5")))
        assert_up(lab, strongswan, "laptop7@example.com", "alice")


def test_machine_with_a_key(lab, tern, strongswan, pki, authority):
    load(strongswan, pki, authority, "auth = psk", secrets=f'\nike-machine {{ secret = "{KEY}" }}')
    tern.up(profile_of(tern, authority, None))
    assert_up(lab, strongswan, MACHINE, "alice")


def test_user_with_a_certificate(lab, tern, strongswan, pki, authority, machine, user):
    load(strongswan, pki, authority, second=f"auth = pubkey\ncacerts = {authority.file}\nid = {USER}")
    keys = {k: v for k, v in client.with_certificate(user).items() if v is not None}
    tern.up(profile_of(tern, authority, machine, keys))
    assert_up(lab, strongswan, "laptop7@example.com", USER)


def test_user_with_a_key(lab, tern, strongswan, pki, authority, machine):
    load(strongswan, pki, authority, second=f"auth = psk\nid = {USER}",
         secrets=f'\nike-alice {{ id = {USER}\n secret = "hers alone" }}')
    tern.up(profile_of(tern, authority, machine, {"Identity": USER, "PresharedKey": "hers alone"}))
    assert_up(lab, strongswan, "laptop7@example.com", USER)


def test_machine_refused(lab, tern, strongswan, pki, authority, machine):
    """strongSwan wants another machine. Of the user it hears nothing."""
    load(strongswan, pki, authority, "auth = pubkey\nid = desktop1@example.com")
    result = tern.up(profile_of(tern, authority, machine), code=REFUSED)
    assert_failure(result, "our credentials of [Local]", '"laptop7@example.com" with certificate')
    strongswan.wait_for_sas(0)
    assert "IKE_AUTH request 2" not in strongswan.log_text()


def test_user_refused(lab, tern, strongswan, pki, authority, machine):
    load(strongswan, pki, authority, password="another one")
    result = tern.up(profile_of(tern, authority, machine), code=REFUSED)
    assert_failure(result, "wrong user name or password", "691", '"alice"')
    strongswan.wait_for_sas(0)


def test_user_with_a_certificate_refused(lab, tern, strongswan, pki, authority, machine, user):
    load(strongswan, pki, authority,
         second=f"auth = pubkey\ncacerts = {authority.file}\nid = bob@example.com")
    keys = {k: v for k, v in client.with_certificate(user).items() if v is not None}
    result = tern.up(profile_of(tern, authority, machine, keys), code=REFUSED)
    assert_failure(result, "our credentials of [User], not those of [Local]",
                   f'"{USER}" with certificate')
    strongswan.wait_for_sas(0)


def test_the_gateway_asks_twice_and_the_profile_has_one(lab, tern, strongswan, pki, authority,
                                                        machine):
    load(strongswan, pki, authority)
    profile = tern.profile(gateway=client.by_certificate(authority),
                           local={"Identity": None, **client.with_certificate(machine)})
    result = tern.up(profile, code=REFUSED)
    assert_failure(result, "refused our credentials", '"laptop7@example.com" with certificate')


def test_the_gateway_asks_once_and_the_profile_has_two(lab, tern, strongswan, pki, authority,
                                                       machine):
    """It knows of two, and wants one."""
    load(strongswan, pki, authority, second=None)
    result = tern.up(profile_of(tern, authority, machine), code=REFUSED)
    assert_failure(result, "refused")
    strongswan.wait_for_sas(0)


def test_not_a_word_for_a_gateway_that_is_not_trusted(lab, tern, strongswan, pki, authority,
                                                      machine):
    load(strongswan, pki, authority)
    other = pki.authority("ecdsa256", "other-ca")
    assert_failure(tern.up(profile_of(tern, other, machine), code=UNTRUSTED))
    log = strongswan.log_text()
    assert "N(AUTH_FOLLOWS)" in log
    assert "IKE_AUTH request 2" not in log


def test_what_is_built_anew_proves_both(lab, tern, strongswan, pki, authority, machine):
    load(strongswan, pki, authority)
    tern.up(profile_of(tern, authority, machine))
    tern.run("reconnect", "office")
    wait_until(lambda: tern.status()["reconnects"] == 1, 10, "another IKE SA")
    tern.wait_up()
    strongswan.wait_for_sas(1)
    tern.run("rekey", "office")
    wait_until(lambda: tern.status()["ike"]["rekeys"] == 1, 10, "the IKE SA to be rekeyed")
    strongswan.wait_for_sas(1)  # the old one is deleted after that
    assert_up(lab, strongswan, "laptop7@example.com", "alice")


def test_after_loss(lab, tern, strongswan, pki, authority, machine):
    load(strongswan, pki, authority)
    tern.up(profile_of(tern, authority, machine, roaming={"DPD": 5}))
    strongswan.kill()
    strongswan.start_again()
    lab.client.ping(lab.INTRANET[0], 1)
    wait_until(lambda: tern.status()["reconnects"] == 1, 30, "another IKE SA")
    tern.wait_up()
    assert_up(lab, strongswan, "laptop7@example.com", "alice")


def test_with_a_post_quantum_key(lab, tern, strongswan, pki, authority, machine):
    """The first AUTH has it, and what follows goes on from there."""
    load(strongswan, pki, authority, extra="ppk_required = yes",
         secrets='\nppk-alice { id = ppk-alice\n secret = "thirty-two octets or some more of it" }')
    profile = tern.profile(
        gateway=client.by_certificate(authority),
        local={"Identity": None, **client.with_certificate(machine), "PPKIdentity": "ppk-alice",
               "PPK": "thirty-two octets or some more of it"}, user=by_password())
    tern.up(profile)
    assert tern.status()["ike"]["ppk"] is True
    assert_up(lab, strongswan, "laptop7@example.com", "alice")


# --- tern-gateway ---

def start(tern_gateway, pki, authority, second="required", password=CANARY, **kwargs):
    credential = pki.gateway("ecdsa256", authority=authority)
    tern_gateway.start(certificate_config(credential, authority, SecondProof=second, **kwargs),
                       passwords={"alice": password}, level="debug")


@pytest.mark.parametrize("second", ["yes", "required"])
def test_tern_gateway(lab, tern, tern_gateway, pki, authority, machine, second):
    start(tern_gateway, pki, authority, second)
    tern.up(profile_of(tern, authority, machine))
    assert lab.client.ping(lab.INTRANET[0], 3) == 3
    log = tern_gateway.log_text()
    assert '"laptop7@example.com" is proven, and another proof follows' in log
    tern_gateway.wait_log("alice is up")


def test_tern_gateway_and_a_user_with_a_certificate(lab, tern, tern_gateway, pki, authority,
                                                    machine, user):
    start(tern_gateway, pki, authority)
    keys = {k: v for k, v in client.with_certificate(user).items() if v is not None}
    tern.up(profile_of(tern, authority, machine, keys))
    tern_gateway.wait_log(f"{USER} is up")


def test_tern_gateway_that_takes_one(lab, tern, tern_gateway, pki, authority, machine):
    """Before any credential leaves."""
    start(tern_gateway, pki, authority, "no")
    result = tern.up(profile_of(tern, authority, machine), code=UNTRUSTED)
    assert_failure(result, "does not take two proofs", "leave [User] out")
    assert "IKE_AUTH" not in tern_gateway.log_text()


def test_tern_gateway_and_the_machine_alone(lab, tern, tern_gateway, pki, authority, machine):
    start(tern_gateway, pki, authority)
    profile = tern.profile(gateway=client.by_certificate(authority),
                           local={"Identity": None, **client.with_certificate(machine)})
    assert_failure(tern.up(profile, code=REFUSED), "refused our credentials")


def test_tern_gateway_and_a_wrong_password(lab, tern, tern_gateway, pki, authority, machine):
    start(tern_gateway, pki, authority, password="another one")
    assert_failure(tern.up(profile_of(tern, authority, machine), code=REFUSED), "691")


def test_password_is_asked_for(lab, tern, tern_gateway, pki, authority, machine):
    start(tern_gateway, pki, authority)
    program = tern.directory / "ask"
    program.write_text(f"#!/bin/sh\necho \"$1\" >>{tern.directory}/asked\necho '{CANARY}'\n")
    program.chmod(0o755)
    tern.up(profile_of(tern, authority, machine, {"UserName": "alice"}),
            env={"TERN_ASKPASS": str(program)})
    assert (tern.directory / "asked").read_text() == "Password of alice for office\n"


@pytest.mark.parametrize("key", ["hers alone", "another one"])
def test_strongswan_as_the_client(lab, tern_gateway, key):
    """tern-gateway's side of it, by an implementation that is not ours."""
    tern_gateway.start(psk_config(SecondProof="required"), users={USER: "hers alone"})
    secrets = "".join(  # with both names: strongSwan prefers what fits the other side's
        f'\nike-{i} {{ id-1 = {name}\n id-2 = vpn.example.com\n secret = "{secret}" }}'
        for i, (name, secret) in enumerate([(MACHINE, swan.PSK), (USER, key)]))
    with StrongSwan(lab.client) as it:
        it.load(initiator([Lab.GATEWAY[0]], identity=MACHINE, secrets=secrets,
                          extra=f"local-2 {{ round = 2\nauth = psk\nid = {USER} }}\n"))
        if key == "another one":
            result = it.swanctl("--initiate", "--child", "net", "--timeout", 10, check=False)
            assert result.returncode != 0
            tern_gateway.wait_log("is proven, and another proof follows")
            tern_gateway.wait_log("the client's pre-shared key is not ours")
            return
        it.initiate()
        tern_gateway.wait_log(f"{USER} is up")
        assert lab.client.ping(lab.INTRANET[0], 3) == 3
