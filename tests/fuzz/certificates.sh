#!/bin/sh
# certificates.sh: make tests/fuzz/ca.der, and of it the seeds of the target certificate.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
seeds=$here/corpus/certificate
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$seeds"
cd "$work"

key() { # NAME ALGORITHM...
    name=$1
    shift
    openssl genpkey -quiet -out "$name.key" "$@" 2>/dev/null ||
        openssl genpkey -out "$name.key" "$@" 2>/dev/null
}

# NAME SUBJECT ISSUER EXTENSIONS
certify() {
    openssl req -new -key "$1.key" -subj "$2" -out "$1.csr" -utf8
    printf '%b' "$4" >extensions
    openssl x509 -req -in "$1.csr" -CA "$3.pem" -CAkey "$3.key" -days 36500 -extfile extensions \
        -out "$1.pem" 2>/dev/null
    openssl x509 -in "$1.pem" -outform DER -out "$1.der"
}

# KIND NAME...: option octet, then each certificate behind its length
chain() {
    printf '%b' "\\$1" >"$seeds/$2"
    shift
    out=$seeds/$1
    for name in "$@"; do
        len=$(wc -c <"$name.der")
        printf '%b' "\\0$(printf %o $((len / 256)))\\0$(printf %o $((len % 256)))" >>"$out"
        cat "$name.der" >>"$out"
    done
}

ec="-algorithm EC -pkeyopt ec_paramgen_curve:P-256"
# shellcheck disable=SC2086
for name in ca middle gateway wildcard nameless constrained strange; do key $name $ec; done
key client -algorithm ED25519
key old -algorithm RSA -pkeyopt rsa_keygen_bits:2048

openssl req -x509 -key ca.key -subj "/O=Example/CN=Example CA" -days 36500 -out ca.pem \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
openssl x509 -in ca.pem -outform DER -out ca.der
cp ca.der "$here/ca.der"

certify middle "/O=Example/CN=Middle" ca "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=keyCertSign"
certify gateway "/O=Example/CN=vpn.example.com" middle \
    "subjectAltName=DNS:vpn.example.com,IP:192.0.2.1,IP:2001:db8::1\nextendedKeyUsage=serverAuth\nkeyUsage=digitalSignature"
certify client "/O=Example/CN=alice/emailAddress=alice@example.com" middle \
    "subjectAltName=email:alice@example.com\nextendedKeyUsage=clientAuth,1.3.6.1.5.5.8.2.2"
certify wildcard "/CN=w" ca "subjectAltName=DNS:*.example.com,otherName:1.2.3.4;UTF8:x,URI:http://x/,dirName:dn\n[dn]\nO=Example\n"
certify nameless "/C=XX/ST=\303\204/L=x/O=Example/OU=y+OU=z/CN=caf\303\251/serialNumber=7/DC=example" ca "keyUsage=keyAgreement"
certify constrained "/CN=constrained" ca \
    "basicConstraints=critical,CA:TRUE\nnameConstraints=critical,permitted;DNS:example.net,excluded;IP:10.0.0.0/255.0.0.0"
certify strange "/CN=strange" constrained "subjectAltName=DNS:vpn.example.com\n1.2.3.4.5=critical,ASN1:UTF8String:what"
certify old "/CN=old" ca "subjectAltName=DNS:vpn.example.com\nkeyUsage=nonRepudiation\nextendedKeyUsage=anyExtendedKeyUsage"

chain 0000 gateway middle
chain 0002 client middle
chain 0000 wildcard
chain 0000 nameless
chain 0000 strange constrained
chain 0000 old
chain 0000 middle
chain 0000 ca
chain 0002 constrained
{ printf '\001'; echo "words before"; cat gateway.pem middle.pem; } >"$seeds/bundle"
{ printf '\001'; cat client.key client.pem; } >"$seeds/key-first"
{ printf '\001'; cat old.der; } >"$seeds/single-der"
