#!/usr/bin/python3
"""revocation.py: make tests/vectors/revocation: certificates, CRLs and OCSP responses, with
python3-cryptography, which is neither tern's BoringSSL nor its readers of CRLs and OCSP. What that
will not make because nobody should, the few lines of DER below do.

Keys are drawn anew every time, so that all files change together. Tests take DAY below as today.
"""

import datetime
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

OUT = pathlib.Path(__file__).resolve().parent / "revocation"
DER = serialization.Encoding.DER
DAY = datetime.datetime(2026, 6, 15, 12)
EARLY, LATE = datetime.datetime(2026, 1, 1), datetime.datetime(2046, 1, 1)
THIS, NEXT = datetime.datetime(2026, 6, 1), datetime.datetime(2026, 7, 1)
REVOKED = datetime.datetime(2026, 5, 20, 8, 30)
POINT = "http://crl.example.com/a.crl"
SHA256 = hashes.SHA256()
BASIC = "1.3.6.1.5.5.7.48.1.1"
ECDSA_SHA256 = "1.2.840.10045.4.3.2"


# --- DER ---

def tlv(tag, *contents):
    body = b"".join(contents)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def sequence(*items):
    return tlv(0x30, *items)


def integer(n):
    return tlv(2, n.to_bytes(n.bit_length() // 8 + 1, "big"))


def oid(text):
    first, second, *rest = (int(n) for n in text.split("."))
    octets = bytearray([40 * first + second])
    for n in rest:
        groups = [n & 127]
        while n := n >> 7:
            groups.append(n & 127 | 128)
        octets += bytes(reversed(groups))
    return tlv(6, octets)


def utc(when):
    return tlv(23, when.strftime("%y%m%d%H%M%SZ").encode())


def generalized(when):
    return tlv(24, when.strftime("%Y%m%d%H%M%SZ").encode())


def extension(name, value, critical=False):
    return sequence(oid(name), *[tlv(1, b"\xff")] * critical, tlv(4, value))


def signed(key, tbs):
    return (tbs, sequence(oid(ECDSA_SHA256)),
            tlv(3, b"\0", key.sign(tbs, ec.ECDSA(SHA256))))


# --- certificates ---

class Entity:
    def __init__(self, name, issuer=None, ca=False, key=None, serial=None, common_name=None,
                 crl_sign=True, digest=SHA256, validity=(EARLY, LATE), more=(), subject=None,
                 digital_signature=True):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.issuer = issuer or self
        self.name = subject or x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, common_name or name)])
        builder = (
            x509.CertificateBuilder().subject_name(self.name).issuer_name(self.issuer.name)
            .public_key(self.key.public_key()).serial_number(serial or 0x10 + len(name))
            .not_valid_before(validity[0]).not_valid_after(validity[1])
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(
                digital_signature=not ca and digital_signature, key_cert_sign=ca,
                crl_sign=ca and crl_sign, content_commitment=False,
                key_encipherment=not digital_signature, data_encipherment=False,
                key_agreement=False, encipher_only=False, decipher_only=False), critical=True))
        for value, critical in more:
            builder = builder.add_extension(value, critical)
        if isinstance(self.issuer.key, ed25519.Ed25519PrivateKey):
            digest = None
        self.certificate = builder.sign(self.issuer.key, digest)
        self.serial = self.certificate.serial_number
        write(name, self.certificate.public_bytes(DER))


def write(name, der):
    (OUT / f"{name}.der").write_bytes(der)


# --- CRLs ---

def revoked(serial, reason=None, when=REVOKED, more=()):
    builder = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when)
    if reason:
        builder = builder.add_extension(x509.CRLReason(reason), False)
    for value, critical in more:
        builder = builder.add_extension(value, critical)
    return builder.build()


def crl(name, issuer, *entries, this=THIS, until=NEXT, more=(), digest=SHA256, encoding=DER,
        issuer_name=None):
    builder = (x509.CertificateRevocationListBuilder().issuer_name(issuer_name or issuer.name)
               .last_update(this).next_update(until)
               .add_extension(x509.CRLNumber(7), False)
               .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
                   issuer.key.public_key()), False))
    for entry in entries:
        builder = builder.add_revoked_certificate(entry)
    for value, critical in more:
        builder = builder.add_extension(value, critical)
    if isinstance(issuer.key, ed25519.Ed25519PrivateKey):
        digest = None
    made = builder.sign(issuer.key, digest).public_bytes(encoding)
    if name:
        write(name, made)
    return made


def point(full_name=POINT, users=False, authorities=False, reasons=None, indirect=False,
          attributes=False, relative=None):
    names = [x509.UniformResourceIdentifier(full_name)] if full_name else None
    return x509.IssuingDistributionPoint(
        full_name=names, relative_name=relative, only_contains_user_certs=users,
        only_contains_ca_certs=authorities, only_some_reasons=reasons, indirect_crl=indirect,
        only_contains_attribute_certs=attributes), True


def raw_crl(name, issuer, *after_this, version=(integer(1),), inner=ECDSA_SHA256, this=utc(THIS)):
    """A CertificateList of which everything behind thisUpdate is given."""
    tbs = sequence(*version, sequence(oid(inner)), issuer.name.public_bytes(), this, *after_this)
    write(name, sequence(*signed(issuer.key, tbs)))


def raw_entry(serial, *more):
    return sequence(integer(serial), utc(REVOKED), *more)


def make_crls(root, inter, twin, nosign, old, edward, leaf, others):
    reason = x509.ReasonFlags
    other = revoked(0xabcdef)
    crl("crl-good", root, other)
    crl("crl-empty", root)
    crl("crl-revoked", root, other, revoked(leaf.serial, reason.key_compromise))
    crl("crl-no-reason", root, revoked(leaf.serial))
    crl("crl-hold", root, revoked(leaf.serial, reason.certificate_hold))
    crl("crl-hold-late", root, revoked(leaf.serial, reason.certificate_hold),
        this=datetime.datetime(2026, 6, 10))
    crl("crl-revoked-early", root, revoked(leaf.serial, reason.superseded),
        this=datetime.datetime(2026, 5, 25), until=datetime.datetime(2026, 5, 30))
    crl("crl-stale", root, other, this=datetime.datetime(2026, 5, 1), until=THIS)
    crl("crl-future", root, other, this=datetime.datetime(2026, 6, 20))
    crl("crl-revoked-inter", root, revoked(inter.serial, reason.ca_compromise))
    crl("crl-revoked-responder", root, revoked(others["responder"].serial, reason.superseded))
    crl("crl-inter", inter, other)
    crl("crl-inter-revoked", inter, revoked(others["below"].serial, reason.superseded))
    crl("crl-twin", twin, revoked(leaf.serial, reason.key_compromise))
    crl("crl-nosign", nosign, revoked(others["undernosign"].serial))
    crl("crl-misnamed", root, revoked(leaf.serial), issuer_name=others["twin-name"].name)
    crl("crl-sha1", root, revoked(leaf.serial), digest=hashes.SHA1())
    crl("crl-old", old, revoked(others["underold"].serial, reason.privilege_withdrawn))
    crl("crl-edward", edward, revoked(others["underedward"].serial, reason.affiliation_changed))
    crl("crl-delta", root, revoked(leaf.serial), more=[(x509.DeltaCRLIndicator(3), True)])
    crl("crl-indirect", root, revoked(leaf.serial), more=[point(None, indirect=True)])
    crl("crl-critical", root, revoked(leaf.serial), more=[
        (x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\5\0"), True)])
    crl("crl-unknown", root, other, more=[
        (x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\5\0"), False)])
    crl("crl-point", root, other, more=[point()])
    crl("crl-other-point", root, other, more=[point("http://crl.example.com/b.crl")])
    crl("crl-other-point-revoked", root, revoked(leaf.serial, reason.cessation_of_operation),
        more=[point("http://crl.example.com/b.crl")])
    crl("crl-relative", root, other, more=[point(None, relative=x509.RelativeDistinguishedName(
        [x509.NameAttribute(NameOID.COMMON_NAME, "a")]))])
    crl("crl-users", root, other, more=[point(None, users=True)])
    crl("crl-authorities", root, other, more=[point(None, authorities=True)])
    crl("crl-attributes", root, other, more=[point(None, attributes=True)])
    crl("crl-some-reasons", root, other,
        more=[point(None, reasons=frozenset([reason.key_compromise]))])
    crl("crl-dated", root, revoked(0xabcdef, reason.superseded, more=[
        (x509.InvalidityDate(EARLY), False)]))
    crl("crl-dated-critical", root, revoked(0xabcdef, reason.superseded, more=[
        (x509.InvalidityDate(EARLY), True)]))
    crl("crl-entry-issuer", root, revoked(leaf.serial, more=[
        (x509.CertificateIssuer([x509.DirectoryName(twin.name)]), True)]))
    crl("crl-many", root, *[revoked(n) for n in range(0x20000, 0x20028)], revoked(leaf.serial))
    crl("crl-2050", root, other, until=datetime.datetime(2051, 1, 1))
    make_raw_crls(root, leaf)
    both = [crl(None, c, other, encoding=serialization.Encoding.PEM) for c in (root, inter)]
    (OUT / "both.pem").write_bytes(b"Two lists.\n" + b"\n".join(both))
    (OUT / "damaged.pem").write_bytes(both[0].replace(b"M", b"*", 1))


def make_raw_crls(root, leaf):
    until, entries = utc(NEXT), sequence(raw_entry(leaf.serial))
    serial = integer(leaf.serial)
    reason = lambda value: extension("2.5.29.21", value)
    issuing = lambda *parts: tlv(0xa0, sequence(extension("2.5.29.28", sequence(*parts), True)))
    raw_crl("crl-v1", root, until, entries, version=())
    raw_crl("crl-no-next", root, sequence(raw_entry(0xabcdef)))
    raw_crl("crl-flag-false", root, until, tlv(0xa0, sequence(
        sequence(oid("1.2.3.4"), tlv(1, b"\0"), tlv(4, b"\5\0")))))
    raw_crl("crl-number-critical", root, until, tlv(0xa0, sequence(
        extension("2.5.29.20", integer(9), True), extension("2.5.29.35", sequence(), True))))
    raw_crl("crl-unusual-reason", root, until, sequence(raw_entry(leaf.serial, sequence(
        reason(tlv(10, b"\7"))))))
    for name, parts in {
            "version": {"version": (integer(2),)},
            "algorithms": {"inner": "1.2.840.10045.4.3.3"},
            "time": {"this": utc(THIS)[:-1] + b"X"},
            "short-time": {"this": tlv(23, b"2606010000Z")},
            "month": {"this": tlv(23, b"261301000000Z")},
            "no-time": {"this": integer(1)},
    }.items():
        raw_crl(f"bad-crl-{name}", root, until, entries, **parts)
    for name, parts in {
            "next": [utc(NEXT)[:-1] + b"X"],
            "entry": [until, sequence(sequence(serial))],
            "entry-type": [until, sequence(serial)],
            "serial": [until, sequence(sequence(tlv(2, b"\0\1"), utc(REVOKED)))],
            "entry-more": [until, sequence(raw_entry(leaf.serial, sequence()))],
            "entry-type-more": [until, sequence(raw_entry(leaf.serial, integer(1)))],
            "entries-cut": [until, b"\x30\x50"],
            "extension-flag-cut": [until, tlv(0xa0, sequence(
                tlv(0x30, oid("1.2.3"), b"\1\5")))],
            "point-flag-cut": [until, issuing(b"\x81\5")],
            "point-names-cut": [until, issuing(tlv(0xa0, b"\xa0\5"))],
            "entry-extension": [until, sequence(raw_entry(leaf.serial, sequence(serial)))],
            "entry-trailer": [until, sequence(raw_entry(leaf.serial, sequence(
                reason(tlv(10, b"\1"))), serial))],
            "reason": [until, sequence(raw_entry(leaf.serial, sequence(reason(b"\5\0"))))],
            "reason-two": [until, sequence(raw_entry(leaf.serial, sequence(
                reason(tlv(10, b"\1\1")))))],
            "reason-none": [until, sequence(raw_entry(leaf.serial, sequence(
                reason(tlv(10, b"")))))],
            "reason-trailer": [until, sequence(raw_entry(leaf.serial, sequence(
                reason(tlv(10, b"\1") + b"\5\0"))))],
            "extensions": [until, tlv(0xa0, serial)],
            "extensions-none": [until, tlv(0xa0, sequence())],
            "extensions-two": [until, tlv(0xa0, sequence(extension("1.2.3", b"")), b"\5\0")],
            "extension": [until, tlv(0xa0, sequence(sequence(oid("1.2.3"))))],
            "extension-flag": [until, tlv(0xa0, sequence(
                sequence(oid("1.2.3"), tlv(1, b"\xff\xff"), tlv(4, b""))))],
            "extension-no-flag": [until, tlv(0xa0, sequence(
                sequence(oid("1.2.3"), tlv(1, b""), tlv(4, b""))))],
            "extension-trailer": [until, tlv(0xa0, sequence(
                sequence(oid("1.2.3"), tlv(4, b""), serial)))],
            "trailer": [until, entries, serial],
            "point": [until, tlv(0xa0, sequence(extension("2.5.29.28", serial, True)))],
            "point-two": [until, tlv(0xa0, sequence(
                extension("2.5.29.28", sequence() + sequence(), True)))],
            "point-name": [until, issuing(tlv(0xa0, tlv(0xa2)))],
            "point-names": [until, issuing(tlv(0xa0, tlv(0xa0), tlv(0xa0)))],
            "point-relative": [until, issuing(tlv(0xa0, tlv(0xa1), tlv(0xa1)))],
            "point-flag": [until, issuing(tlv(0x81, b"\xff\xff"))],
            "point-no-flag": [until, issuing(tlv(0x82, b""))],
            "point-flags": [until, issuing(tlv(0x85, b"\xff"), tlv(0x84, b"\xff"))],
            "point-cut": [until, tlv(0xa0, sequence(
                extension("2.5.29.28", tlv(0x30, b"\xa0\5"), True)))],
            "point-reasons-cut": [until, tlv(0xa0, sequence(
                extension("2.5.29.28", tlv(0x30, b"\x83\5"), True)))],
            "point-indirect-flag": [until, issuing(tlv(0x84, b"\xff\xff"))],
            "point-attribute-flag": [until, issuing(tlv(0x85, b""))],
    }.items():
        raw_crl(f"bad-crl-{name}", root, *parts)
    good = (OUT / "crl-v1.der").read_bytes()
    write("bad-crl-more", good + b"\0")
    tbs = sequence(sequence(oid(ECDSA_SHA256)), root.name.public_bytes(), utc(THIS), until)
    write("bad-crl-parts", sequence(*signed(root.key, tbs), integer(1)))
    write("bad-crl-bits", sequence(tbs, sequence(oid(ECDSA_SHA256)), tlv(3, b"\1\0")))
    write("bad-crl-no-bits", sequence(tbs, sequence(oid(ECDSA_SHA256)), tlv(3)))


# --- OCSP ---

def response(name, x, signer, digest=hashes.SHA1(), issuer=None, certificates=(), by_name=False,
             status=ocsp.OCSPCertStatus.GOOD, this=THIS, until=NEXT, reason=None, more=(),
             algorithm=SHA256):
    """About x, by signer."""
    gone = status == ocsp.OCSPCertStatus.REVOKED
    encoding = ocsp.OCSPResponderEncoding.NAME if by_name else ocsp.OCSPResponderEncoding.HASH
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=x.certificate, issuer=(issuer or x.issuer).certificate, algorithm=digest,
        cert_status=status, this_update=this, next_update=until,
        revocation_time=REVOKED if gone else None, revocation_reason=reason,
    ).responder_id(encoding, signer.certificate)
    if certificates:
        builder = builder.certificates([c.certificate for c in certificates])
    for value, critical in more:
        builder = builder.add_extension(value, critical)
    if isinstance(signer.key, ed25519.Ed25519PrivateKey):
        algorithm = None
    write(name, builder.sign(signer.key, algorithm).public_bytes(DER))


def hashed(algorithm, octets):
    digest = hashes.Hash(algorithm)
    digest.update(octets)
    return digest.finalize()


def key_octets(entity):
    return entity.key.public_key().public_bytes(serialization.Encoding.X962,
                                                serialization.PublicFormat.UncompressedPoint)


HASH_OIDS = {"sha1": "1.3.14.3.2.26", "sha256": "2.16.840.1.101.3.4.2.1",
             "sha384": "2.16.840.1.101.3.4.2.2", "md5": "1.2.840.113549.2.5"}


def certificate_id(x, digest="sha1", names=None, key=None):
    algorithm = {"sha1": hashes.SHA1(), "sha256": SHA256, "sha384": hashes.SHA384(),
                 "md5": hashes.MD5()}[digest]
    name = (names or x.issuer).name.public_bytes()
    return sequence(sequence(oid(HASH_OIDS[digest]), b"\5\0"), tlv(4, hashed(algorithm, name)),
                    tlv(4, hashed(algorithm, key_octets(key or x.issuer))), integer(x.serial))


GOOD, UNKNOWN = tlv(0x80), tlv(0x82)


def answer(x, *after_status, status=GOOD, this=generalized(THIS), certificate=None):
    return sequence(certificate or certificate_id(x), status, this, *after_status)


def raw_response(name, signer, *answers, responder=None, version=(), after=(), produced=None,
                 certificates=(), kind=BASIC, answer_list=None, outer=None):
    responder = responder or tlv(0xa1, signer.name.public_bytes())
    tbs = sequence(*version, responder, produced or generalized(THIS),
                   answer_list if answer_list is not None else sequence(*answers), *after)
    basic = sequence(*signed(signer.key, tbs), *certificates)
    write(name, outer(basic) if outer else wrap(basic, kind))


def wrap(basic, kind=BASIC, status=b"\0"):
    return sequence(tlv(10, status), tlv(0xa0, sequence(oid(kind), tlv(4, basic))))


def make_responses(root, inter, twin, leaf, others):
    status, reason = ocsp.OCSPCertStatus, x509.ReasonFlags
    by = others["responder"]
    response("ocsp-sha1", leaf, root)
    response("ocsp-sha256", leaf, root, digest=SHA256)
    response("ocsp-by-name", leaf, root, by_name=True)
    response("ocsp-revoked", leaf, root, status=status.REVOKED, reason=reason.key_compromise)
    response("ocsp-no-reason", leaf, root, status=status.REVOKED)
    response("ocsp-hold", leaf, root, status=status.REVOKED, reason=reason.certificate_hold)
    response("ocsp-late", leaf, root, this=datetime.datetime(2026, 6, 12))
    response("ocsp-unknown", leaf, root, status=status.UNKNOWN)
    response("ocsp-stale", leaf, root, this=datetime.datetime(2026, 5, 1), until=THIS)
    response("ocsp-future", leaf, root, this=datetime.datetime(2026, 6, 20))
    response("ocsp-no-next", leaf, root, this=DAY - datetime.timedelta(minutes=30), until=None)
    response("ocsp-twin", leaf, twin)
    response("ocsp-twin-by-name", leaf, twin, by_name=True)
    response("ocsp-sha1-signature", leaf, root, algorithm=hashes.SHA1())
    response("ocsp-nonce", leaf, root, more=[(x509.OCSPNonce(b"12345678"), False)])
    response("ocsp-inter", inter, root)
    response("ocsp-inter-revoked", inter, root, status=status.REVOKED,
             reason=reason.ca_compromise)
    response("ocsp-below", others["below"], inter)
    response("ocsp-other", others["other"], root)
    response("ocsp-delegated", leaf, by, certificates=[by])
    response("ocsp-delegated-name", leaf, by, certificates=[by], by_name=True)
    response("ocsp-delegated-second", leaf, by, certificates=[others["other"], by])
    response("ocsp-delegated-revoked", leaf, by, certificates=[by], status=status.REVOKED,
             reason=reason.key_compromise)
    response("ocsp-delegated-absent", leaf, by)
    for name in ("no-eku", "other-eku", "expired", "early", "of-twin", "sha1", "no-signing",
                 "critical"):
        other = others[f"responder-{name}"]
        response(f"ocsp-by-{name}", leaf, other, certificates=[other])
    make_raw_responses(root, leaf, by, others)


def make_raw_responses(root, leaf, by, others):
    critical = sequence(extension("1.2.3.4", b"\5\0", True))
    plain = sequence(extension("1.2.3.4", b"\5\0"))
    until = tlv(0xa0, generalized(NEXT))
    known = answer(leaf, until)
    version = tlv(0xa0, integer(0))
    raw_response("ocsp-two", root, answer(others["other"], until), known)
    raw_response("ocsp-both", root, known, answer(leaf, until, status=tlv(
        0xa1, generalized(REVOKED), tlv(0xa0, tlv(10, b"\1")))))
    raw_response("ocsp-sha384", root, answer(leaf, until,
                                             certificate=certificate_id(leaf, "sha384")))
    raw_response("ocsp-md5", root, answer(leaf, until, certificate=certificate_id(leaf, "md5")))
    raw_response("ocsp-misnamed", root, answer(leaf, until, certificate=certificate_id(
        leaf, names=others["twin-name"])))
    raw_response("ocsp-other-key", root, answer(leaf, until, certificate=certificate_id(
        leaf, key=others["twin-name"])))
    raw_response("ocsp-version", root, known, version=[version])
    raw_response("ocsp-answer-extension", root, answer(leaf, until, tlv(0xa1, plain)))
    raw_response("ocsp-answer-critical", root, answer(leaf, until, tlv(0xa1, critical)))
    raw_response("ocsp-two-extensions", root, answer(leaf, until, tlv(0xa1, sequence(
        extension("1.2.3.4", b"\5\0", True), extension("1.2.3.5", b"\5\0")))))
    raw_response("ocsp-misnamed-responder", root, known,
                 responder=tlv(0xa1, sequence(integer(1))))
    raw_response("ocsp-critical", root, known, after=[tlv(0xa1, critical)])
    raw_response("ocsp-none", root)
    raw_response("ocsp-kind", root, known, kind="1.2.3.4")
    raw_response("ocsp-junk-certificate", by, known,
                 certificates=[tlv(0xa0, sequence(sequence(), sequence()))])
    many = [others["other"].certificate.public_bytes(DER)] * 8
    raw_response("ocsp-many-certificates", by, known, certificates=[
        tlv(0xa0, sequence(*many, by.certificate.public_bytes(DER)))])
    for number, name in enumerate(("malformed", "internal", "later", "four", "unsigned",
                                   "unauthorized", "seven"), 1):
        write(f"ocsp-status-{name}", sequence(tlv(10, bytes([number]))))
    gone = lambda *parts: answer(leaf, until, status=tlv(0xa1, *parts))
    for name, one in {
            "id": answer(leaf, until, certificate=sequence(integer(1))),
            "id-type": answer(leaf, until, certificate=integer(1)),
            "id-hash": answer(leaf, until, certificate=sequence(
                sequence(oid(HASH_OIDS["sha1"]), integer(1)), tlv(4), tlv(4), integer(1))),
            "id-name": answer(leaf, until, certificate=sequence(
                sequence(oid(HASH_OIDS["sha1"])), integer(1))),
            "id-key": answer(leaf, until, certificate=sequence(
                sequence(oid(HASH_OIDS["sha1"])), tlv(4), integer(1))),
            "id-serial": answer(leaf, until, certificate=sequence(
                sequence(oid(HASH_OIDS["sha1"])), tlv(4), tlv(4), tlv(4))),
            "id-trailer": answer(leaf, until, certificate=sequence(
                sequence(oid(HASH_OIDS["sha1"])), tlv(4), tlv(4), integer(1), integer(1))),
            "no-status": sequence(certificate_id(leaf)),
            "status": answer(leaf, until, status=tlv(0x83)),
            "good": answer(leaf, until, status=tlv(0x80, b"\0")),
            "unknown": answer(leaf, until, status=tlv(0x82, b"\0")),
            "revoked": gone(),
            "revoked-utc": gone(utc(REVOKED)),
            "revoked-trailer": gone(generalized(REVOKED), integer(1)),
            "revoked-cut": gone(generalized(REVOKED), b"\xa0\5"),
            "reason": gone(generalized(REVOKED), tlv(0xa0, integer(1))),
            "reason-two": gone(generalized(REVOKED), tlv(0xa0, tlv(10, b"\1\1"))),
            "reason-none": gone(generalized(REVOKED), tlv(0xa0, tlv(10))),
            "reason-trailer": gone(generalized(REVOKED), tlv(0xa0, tlv(10, b"\1"), integer(1))),
            "this": answer(leaf, until, this=utc(THIS)),
            "next": answer(leaf, tlv(0xa0, utc(NEXT))),
            "next-cut": answer(leaf, b"\xa0\5"),
            "next-trailer": answer(leaf, tlv(0xa0, generalized(NEXT), integer(1))),
            "extensions": answer(leaf, until, tlv(0xa1, integer(1))),
            "extensions-cut": answer(leaf, until, b"\xa1\5"),
            "extensions-two": answer(leaf, until, tlv(0xa1, plain, plain)),
            "extension": answer(leaf, until, tlv(0xa1, sequence(integer(1)))),
            "trailer": answer(leaf, until, integer(1)),
            "answer": integer(1),
    }.items():
        raw_response(f"bad-ocsp-{name}", root, one)
    octets = tlv(4, bytes(20))
    for name, parts in {
            "version": {"version": [tlv(0xa0, integer(1))]},
            "version-type": {"version": [tlv(0xa0, octets)]},
            "responder": {"responder": tlv(0xa3, octets)},
            "responder-name": {"responder": tlv(0xa1, integer(1))},
            "responder-names": {"responder": tlv(0xa1, sequence(), sequence())},
            "responder-cut": {"responder": b"\xa1\x83\1"},
            "responder-key": {"responder": tlv(0xa2, integer(1))},
            "responder-keys": {"responder": tlv(0xa2, octets, octets)},
            "produced": {"produced": utc(THIS)},
            "answers": {"answer_list": integer(1)},
            "data-trailer": {"after": [integer(1)]},
            "data-extensions": {"after": [tlv(0xa1, integer(1))]},
            "certificates": {"certificates": [tlv(0xa0, integer(1))]},
            "certificates-two": {"certificates": [tlv(0xa0, sequence(), sequence())]},
            "certificates-cut": {"certificates": [b"\xa0\5"]},
            "basic-trailer": {"certificates": [integer(1)]},
            "octets": {"outer": lambda basic: wrap(basic + b"\0")},
            "basic": {"outer": lambda basic: wrap(integer(1))},
            "no-data": {"outer": lambda basic: wrap(sequence())},
            "data": {"outer": lambda basic: wrap(sequence(
                sequence(integer(1)), sequence(), tlv(3, b"\0")))},
            "outer-trailer": {"outer": lambda basic: wrap(basic) + b"\0"},
            "status-two": {"outer": lambda basic: wrap(basic, status=b"\0\0")},
            "status-none": {"outer": lambda basic: wrap(basic, status=b"")},
            "status-type": {"outer": lambda basic: sequence(integer(0))},
            "bytes-trailer": {"outer": lambda basic: sequence(
                tlv(10, b"\0"), tlv(0xa0, sequence(oid(BASIC), tlv(4, basic)), integer(1)))},
            "bytes-none": {"outer": lambda basic: sequence(tlv(10, b"\0"))},
            "bytes": {"outer": lambda basic: sequence(tlv(10, b"\0"), tlv(0xa0, integer(1)))},
            "body-trailer": {"outer": lambda basic: sequence(
                tlv(10, b"\0"), tlv(0xa0, sequence(oid(BASIC), tlv(4, basic))), integer(1))},
            "kind": {"outer": lambda basic: sequence(
                tlv(10, b"\0"), tlv(0xa0, sequence(integer(1), tlv(4, basic))))},
            "response": {"outer": lambda basic: sequence(
                tlv(10, b"\0"), tlv(0xa0, sequence(oid(BASIC), integer(1))))},
            "response-trailer": {"outer": lambda basic: sequence(
                tlv(10, b"\0"), tlv(0xa0, sequence(oid(BASIC), tlv(4, basic), integer(1))))},
            "refusal": {"outer": lambda basic: wrap(basic, status=b"\3")},
    }.items():
        raw_response(f"bad-ocsp-{name}", root, known, **parts)


def main():
    OUT.mkdir(exist_ok=True)
    for file in OUT.iterdir():
        file.unlink()
    points = x509.CRLDistributionPoints([
        x509.DistributionPoint(None, None, None, [x509.DirectoryName(x509.Name([]))]),
        x509.DistributionPoint(
            [x509.DNSName("x"), x509.UniformResourceIdentifier(POINT)], None, None, None)])
    signing = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False)
    server = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
    root = Entity("root", ca=True, common_name="Root")
    twin = Entity("twin", ca=True, common_name="Root")
    inter = Entity("inter", root, ca=True, serial=0x2001, common_name="Intermediate")
    nosign = Entity("nosign", root, ca=True, crl_sign=False, common_name="Signs no CRL")
    old = Entity("old", ca=True, common_name="RSA Root",
                 key=rsa.generate_private_key(65537, 2048))
    edward = Entity("edward", ca=True, common_name="Edward",
                    key=ed25519.Ed25519PrivateKey.generate())
    leaf = Entity("leaf", root, serial=0x8f01020304, common_name="vpn.example.com",
                  more=[(points, False)])
    others = {
        "other": Entity("other", root, serial=0x3001),
        "below": Entity("below", inter, serial=0x3002),
        "undernosign": Entity("undernosign", nosign, serial=0x3003),
        "underold": Entity("underold", old, serial=0x3004),
        "underedward": Entity("underedward", edward, serial=0x3005),
        "responder": Entity("responder", root, serial=0x4001, more=[signing]),
        "responder-no-eku": Entity("responder-no-eku", root, serial=0x4002),
        "responder-other-eku": Entity("responder-other-eku", root, serial=0x4003, more=[server]),
        "responder-expired": Entity("responder-expired", root, serial=0x4004, more=[signing],
                                    validity=(EARLY, THIS)),
        "responder-early": Entity("responder-early", root, serial=0x4005, more=[signing],
                                  validity=(NEXT, LATE)),
        "responder-of-twin": Entity("responder-of-twin", twin, serial=0x4006, more=[signing]),
        "responder-sha1": Entity("responder-sha1", root, serial=0x4007, more=[signing],
                                 digest=hashes.SHA1()),
        "responder-no-signing": Entity("responder-no-signing", root, serial=0x4008,
                                       more=[signing], digital_signature=False),
        "responder-critical": Entity("responder-critical", root, serial=0x4009, more=[
            signing, (x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\5\0"), True)]),
        "twin-name": Entity("misnamed", root, ca=True, common_name="Another Name"),
    }
    make_crls(root, inter, twin, nosign, old, edward, leaf, others)
    make_responses(root, inter, twin, leaf, others)


if __name__ == "__main__":
    main()
