"""Certification authorities and certificates for the tests, made with python3-cryptography: an
implementation that is neither tern's nor strongSwan's."""

import datetime
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

GATEWAY_NAME = "vpn.example.com"
CLIENT_NAME = "alice@example.com"

KINDS = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "rsa4096": lambda: rsa.generate_private_key(65537, 4096),
    "ecdsa256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ecdsa384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ecdsa521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}
HASHES = {"rsa": hashes.SHA256, "rsa4096": hashes.SHA256, "ecdsa256": hashes.SHA256, "ecdsa384": hashes.SHA384,
          "ecdsa521": hashes.SHA512}


class Credential:
    """A private key and its certificate, as files; `chain` is the certificate and what is between
    it and the root, the root left out."""

    def __init__(self, pki, name, kind, key, certificate, issuer):
        self.name, self.kind, self.key, self.certificate = name, kind, key, certificate
        self.issuer = issuer or self
        self.key_file = pki.directory / f"{name}.key"
        self.file = pki.directory / f"{name}.pem"
        self.chain_file = pki.directory / f"{name}.chain.pem"
        self.key_file.touch(mode=0o600)
        self.key_file.write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))
        self.file.write_bytes(self.pem())
        self.chain_file.write_bytes(b"".join(c.pem() for c in self.chain()))

    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def chain(self):
        links = [self]
        while links[-1].issuer.issuer is not links[-1].issuer:
            links.append(links[-1].issuer)
        return links if self.issuer is not self else []

    @property
    def root(self):
        authority = self
        while authority.issuer is not authority:
            authority = authority.issuer
        return authority


class Pki:
    """Everything is made on first use and kept for the run."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.made = {}

    def authority(self, kind="rsa", name=None, issuer=None, path_length=None):
        name = name or f"ca-{kind}"
        return self._once(name, lambda: self._issue(name, kind, f"tern test {name}", issuer, True,
                                                    path_length=path_length))

    def deep_authority(self, kind="rsa4096", depth=4):
        """The lowest of `depth` authorities, each certified by the one above."""
        authority = None
        for level in range(depth):
            authority = self.authority(kind, f"ca-{kind}-{level}", authority)
        return authority

    def gateway(self, kind="rsa", name=GATEWAY_NAME, authority=None, days=(-1, 365), label=None):
        """days: validity relative to now. label: where a second one of a kind is needed."""
        label = label or f"gateway-{kind}"
        return self._once(label, lambda: self._issue(
            label, kind, name, authority or self.authority(kind), False, days,
            [x509.DNSName(name)], ExtendedKeyUsageOID.SERVER_AUTH))

    def client(self, kind="rsa", name=CLIENT_NAME, authority=None, label=None):
        label = label or f"client-{kind}"
        return self._once(label, lambda: self._issue(
            label, kind, name, authority or self.authority(kind), False, (-1, 365),
            [x509.RFC822Name(name)], ExtendedKeyUsageOID.CLIENT_AUTH))

    def _once(self, label, make):
        if label not in self.made:
            self.made[label] = make()
        return self.made[label]

    def _issue(self, label, kind, common_name, issuer, is_authority, days=(-1, 3650), names=(),
               usage=None, path_length=None):
        key = KINDS[kind]()
        subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "tern tests"),
                             x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        signer = issuer.key if issuer else key
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=days[0]))
            .not_valid_after(now + datetime.timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=path_length), critical=True)
            .add_extension(x509.KeyUsage(
                digital_signature=not is_authority, key_cert_sign=is_authority,
                crl_sign=is_authority, content_commitment=False, key_encipherment=False,
                data_encipherment=False, key_agreement=False, encipher_only=False,
                decipher_only=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        digest = HASHES.get(issuer.kind if issuer else kind)
        return Credential(self, label, kind, key, builder.sign(signer, digest and digest()), issuer)
