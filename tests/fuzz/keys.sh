#!/bin/sh
# keys.sh: make the seeds of the target private_key. The passphrase is "passphrase".
set -eu
here=$(cd "$(dirname "$0")" && pwd)
seeds=$here/corpus/private_key
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$seeds"
cd "$work"

openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.key
openssl genpkey -algorithm ED25519 -out ed.key
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key 2>/dev/null
openssl req -x509 -key ec.key -subj /CN=ca -days 36500 -out ca.pem
openssl req -new -key ed.key -subj /CN=alice |
    openssl x509 -req -CA ca.pem -CAkey ec.key -days 36500 -out alice.pem 2>/dev/null

# KIND NAME: 0 container, 1 encrypted, 2 in the clear
seed() {
    { printf '%b' "\\000$1"; cat; } >"$seeds/$2"
}

encrypt() { # KEY OPTIONS...
    key=$1
    shift
    openssl pkcs8 -topk8 -in "$key.key" -passout pass:passphrase "$@"
}

export_all() {
    openssl pkcs12 -export -inkey ed.key -in alice.pem -certfile ca.pem -iter 1 \
        -passout pass:passphrase "$@"
}

encrypt ed -outform DER -iter 1 | seed 1 pbkdf2
encrypt ed -outform DER -iter 1 -v2 aes-128-cbc -v2prf hmacWithSHA512 | seed 1 pbkdf2-sha512
encrypt ed -outform DER -v2 des3 -iter 1 | seed 1 des3
encrypt ed -outform DER -scrypt -scrypt_N 2 -scrypt_r 1 -scrypt_p 1 | seed 1 scrypt
encrypt ed -outform DER -v1 PBE-SHA1-3DES -iter 1 | seed 1 pbes1
encrypt ec -iter 1 | seed 1 pem
openssl ec -in ec.key -aes128 -passout pass:passphrase 2>/dev/null | seed 1 traditional
openssl pkey -in ed.key -outform DER | seed 2 ed25519
openssl pkcs8 -topk8 -nocrypt -in ec.key -outform DER | seed 2 ec
openssl ec -in ec.key -outform DER 2>/dev/null | seed 2 ec-traditional
openssl rsa -in rsa.key -traditional -outform DER 2>/dev/null | seed 2 rsa-traditional
{ openssl ecparam -name prime256v1; cat ec.key; } | seed 2 parameters-first
export_all -certpbe AES-256-CBC -keypbe AES-128-CBC | seed 0 container
export_all -certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES -macalg sha1 | seed 0 container-old
export_all -certpbe NONE -keypbe NONE | seed 0 container-clear
export_all -nomac | seed 0 container-no-mac
