"""CRLs and OCSP responses for the tests, by the authorities of pki.py, made with
python3-cryptography."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from pki import HASHES

DAY = datetime.timedelta(days=1)
REASON = x509.ReasonFlags.key_compromise


def digest_of(authority):
    digest = HASHES.get(authority.kind)
    return digest and digest()


def crl(authority, revoked=(), days=(-1, 7), name=None, pem=True):
    """A file with what authority has revoked; days: thisUpdate and nextUpdate relative to now."""
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now + days[0] * DAY).next_update(now + days[1] * DAY)
        .add_extension(x509.CRLNumber(1), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
            authority.key.public_key()), False))
    for credential in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(credential.certificate.serial_number)
            .revocation_date(now - 2 * DAY)
            .add_extension(x509.CRLReason(REASON), False).build())
    made = builder.sign(authority.key, digest_of(authority))
    file = authority.file.with_name(f"{name or authority.name}.crl")
    file.write_bytes(made.public_bytes(
        serialization.Encoding.PEM if pem else serialization.Encoding.DER))
    return file


def response(credential, revoked=False, days=(-1, 7), digest=None, name="response"):
    """A file with what the authority of credential answers about it."""
    now = datetime.datetime.now(datetime.timezone.utc)
    authority = credential.issuer
    status = ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD
    made = (
        ocsp.OCSPResponseBuilder()
        .add_response(credential.certificate, authority.certificate, digest or hashes.SHA256(),
                      status, now + days[0] * DAY, now + days[1] * DAY,
                      now - 2 * DAY if revoked else None, REASON if revoked else None)
        .responder_id(ocsp.OCSPResponderEncoding.HASH, authority.certificate)
        .sign(authority.key, digest_of(authority)))
    file = credential.file.with_name(f"{credential.name}-{name}.ocsp")
    file.write_bytes(made.public_bytes(serialization.Encoding.DER))
    return file
