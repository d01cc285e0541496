"""ESP against Scapy's, an independent implementation: each opens what the other sealed.

The build directory comes from TERN_BUILD; our half is its esp_peer program.
"""

import hmac
import os
import re
import warnings

import pytest

warnings.filterwarnings("ignore")

from cryptography.hazmat.primitives.ciphers.algorithms import AES  # noqa: E402
from cryptography.hazmat.primitives.ciphers.modes import GCM  # noqa: E402
from scapy.compat import raw  # noqa: E402
from scapy.layers.inet import ICMP, IP, TCP, UDP  # noqa: E402
from scapy.layers.inet6 import IPv6  # noqa: E402
from scapy.layers.ipsec import (CryptAlgo, ESP, IPSecIntegrityError,  # noqa: E402
                                SecurityAssociation)
from scapy.packet import Raw  # noqa: E402

from peer import Peer  # noqa: E402

SPI = 0xC0FFEE01
OUTER = IP(src="192.0.2.1", dst="192.0.2.2")

# name in a profile: (Scapy's cipher, key octets with salt, Scapy's integrity, key octets)
SUITES = {
    "aes128gcm16": ("AES-GCM", 20, None, 0),
    "aes192gcm16": ("AES-GCM", 28, None, 0),
    "aes256gcm16": ("AES-GCM", 36, None, 0),
    "chacha20poly1305": ("CHACHA20-POLY1305", 36, None, 0),
    "null-sha1": ("NULL", 0, "HMAC-SHA1-96", 20),
    "null-sha256": ("NULL", 0, "SHA2-256-128", 32),
}
for bits in (128, 192, 256):
    for icv in (8, 12):
        SUITES[f"aes{bits}gcm{icv}"] = ("AES-GCM", bits // 8 + 4, None, 0)
    for name, scapy_name, key_len in (
        ("sha1", "HMAC-SHA1-96", 20),
        ("sha256", "SHA2-256-128", 32),
        ("sha384", "SHA2-384-192", 48),
        ("sha512", "SHA2-512-256", 64),
    ):
        SUITES[f"aes{bits}-{name}"] = ("AES-CBC", bits // 8, scapy_name, key_len)
AEAD_SUITES = [name for name, suite in SUITES.items() if suite[2] is None]
MAC_SUITES = [name for name, suite in SUITES.items() if suite[2] is not None]

INNER = {
    "IPv4 UDP": IP(src="10.1.0.7", dst="10.9.0.1") / UDP(sport=40000, dport=53) / Raw(b"q" * 33),
    "IPv4 ICMP": IP(src="10.1.0.7", dst="10.9.0.1") / ICMP() / Raw(bytes(range(56))),
    "IPv4 TCP full": IP(src="10.1.0.7", dst="10.9.0.1") / TCP(dport=443) / Raw(b"\xa5" * 1300),
    "IPv6 UDP": IPv6(src="fd00::7", dst="fd00:9::1") / UDP(sport=40000, dport=53) / Raw(b"q" * 6),
    "IPv6 TCP": IPv6(src="fd00::7", dst="fd00:9::1") / TCP(dport=443) / Raw(b"\x5a" * 1201),
}


class EspPeer(Peer):
    def ask(self, verb, suite, enc_key, integ_key, packet, sequence=None):
        words = [verb, suite, enc_key.hex() or "-", integ_key.hex() or "-", str(SPI), packet.hex()]
        if sequence is not None:
            words.append(str(sequence))
        return self.ask_line(*words)


@pytest.fixture(scope="module")
def peer():
    with EspPeer("esp_peer") as p:
        yield p


def keys_of(suite):
    _, enc_len, _, integ_len = SUITES[suite]
    return os.urandom(enc_len), os.urandom(integ_len)


def association(suite, enc_key, integ_key):
    cipher, _, integrity, _ = SUITES[suite]
    sa = SecurityAssociation(
        ESP,
        spi=SPI,
        crypt_algo=cipher,
        crypt_key=enc_key,
        auth_algo=integrity,
        auth_key=integ_key or None,
        tunnel_header=OUTER,
    )
    if icv := re.search(r"gcm(8|12)$", suite):  # Scapy's own has 16 octets, as its library's AEADs
        own = sa.crypt_algo
        sa.crypt_algo = CryptAlgo(own.name, AES, GCM, iv_size=own.iv_size, salt_size=own.salt_size,
                                  icv_size=int(icv.group(1)), format_mode_iv=own._format_mode_iv)
    return sa


def decrypt(sa, esp, **esn):
    outer = IP(raw(OUTER.copy() / Raw(esp)))
    outer.proto = 50
    del outer.len, outer.chksum
    return raw(sa.decrypt(IP(raw(outer)), **esn))


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("suite", SUITES)
def test_scapy_opens_what_tern_sealed(peer, suite, inner):
    enc_key, integ_key = keys_of(suite)
    packet = raw(INNER[inner])
    esp = bytes.fromhex(peer.ask("seal", suite, enc_key, integ_key, packet))
    assert esp[:8] == SPI.to_bytes(4, "big") + (1).to_bytes(4, "big")
    assert (packet[12:32] in esp) == suite.startswith("null")
    assert decrypt(association(suite, enc_key, integ_key), esp) == packet


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("suite", SUITES)
def test_tern_opens_what_scapy_sealed(peer, suite, inner):
    enc_key, integ_key = keys_of(suite)
    sealed = association(suite, enc_key, integ_key).encrypt(INNER[inner], seq_num=7)
    answer = peer.ask("open", suite, enc_key, integ_key, raw(sealed[ESP]))
    assert answer == raw(INNER[inner]).hex()


@pytest.mark.parametrize("suite", SUITES)
def test_both_refuse_a_changed_packet(peer, suite):
    enc_key, integ_key = keys_of(suite)
    sa = association(suite, enc_key, integ_key)
    packet = INNER["IPv4 UDP"]

    esp = bytearray.fromhex(peer.ask("seal", suite, enc_key, integ_key, raw(packet)))
    esp[30] ^= 1
    with pytest.raises(IPSecIntegrityError):
        decrypt(sa, bytes(esp))

    esp = bytearray(raw(sa.encrypt(packet)[ESP]))
    esp[30] ^= 1
    assert peer.ask("open", suite, enc_key, integ_key, esp).startswith("error: ")


# Scapy knows extended sequence numbers for combined modes alone.
@pytest.mark.parametrize("sequence", [5, 2**32 - 1, 2**32, 7 * 2**32 + 12345])
@pytest.mark.parametrize("suite", AEAD_SUITES)
def test_extended_sequence_numbers(peer, suite, sequence):
    enc_key, integ_key = keys_of(suite)
    packet = INNER["IPv6 UDP"]
    high, low = sequence >> 32, sequence & 0xFFFFFFFF
    sa = association(suite, enc_key, integ_key)
    # A half of zero would read as "not given" in Scapy's arguments, so the attributes are set.
    sa.esn_en, sa.esn, sa.seq_num = True, high, low

    esp = bytes.fromhex(peer.ask("seal", suite, enc_key, integ_key, raw(packet), sequence))
    assert int.from_bytes(esp[4:8], "big") == low
    assert decrypt(sa, esp) == raw(packet)

    sealed = raw(sa.encrypt(packet)[ESP])
    opened = peer.ask("open", suite, enc_key, integ_key, sealed, sequence)
    assert opened == raw(packet).hex()
    earlier = peer.ask("open", suite, enc_key, integ_key, sealed, sequence + 2**32)
    assert earlier.startswith("error: "), "another upper half must not verify"


@pytest.mark.parametrize("sequence", [5, 2**32, 7 * 2**32 + 12345])
@pytest.mark.parametrize("suite", MAC_SUITES)
def test_extended_sequence_numbers_under_an_hmac(peer, suite, sequence):
    """RFC 4303 2.2.1: the upper half is appended for the MAC's sake alone. All else is as without, so
    the packet is Scapy's with another ICV."""
    enc_key, integ_key = keys_of(suite)
    packet = INNER["IPv4 UDP"]
    name, digest = suite.split("-")[1], {"sha1": 12, "sha256": 16, "sha384": 24, "sha512": 32}
    high, icv_len = (sequence >> 32).to_bytes(4, "big"), digest[name]

    def icv(covered, upper):
        return hmac.new(integ_key, covered + upper, name).digest()[:icv_len]

    esp = bytes.fromhex(peer.ask("seal", suite, enc_key, integ_key, raw(packet), sequence))
    covered = esp[:-icv_len]
    assert esp[-icv_len:] == icv(covered, high)
    sa = association(suite, enc_key, integ_key)
    assert decrypt(sa, covered + icv(covered, b"")) == raw(packet)

    covered = raw(sa.encrypt(packet, seq_num=sequence & 0xFFFFFFFF)[ESP])[:-icv_len]
    sealed = covered + icv(covered, high)
    assert peer.ask("open", suite, enc_key, integ_key, sealed, sequence) == raw(packet).hex()
    earlier = peer.ask("open", suite, enc_key, integ_key, sealed, sequence + 2**32)
    assert earlier.startswith("error: "), "another upper half must not verify"
