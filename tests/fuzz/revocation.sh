#!/bin/sh
# revocation.sh: make the seeds of the target revocation of what tests/vectors/revocation.py made.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
seeds=$here/corpus/revocation
cd "$here/../vectors/revocation"
mkdir -p "$seeds"

# NAME KIND FILE: an option octet before it
seed() {
    { printf '%b' "\\0$2"; cat "$3"; } >"$seeds/$1"
}

# NAME FILE...: as evidence, each behind its length
evidence() {
    out=$seeds/$1
    shift
    printf '\002' >"$out"
    for file in "$@"; do
        len=$(wc -c <"$file")
        printf '%b' "\\0$(printf %o $((len / 256)))\\0$(printf %o $((len % 256)))" >>"$out"
        cat "$file" >>"$out"
    done
}

for file in crl-*.der; do seed "${file%.der}" 0 "$file"; done
for file in ocsp-*.der; do seed "${file%.der}" 1 "$file"; done
evidence both crl-good.der ocsp-sha1.der
evidence held crl-hold.der ocsp-late.der
evidence delegated ocsp-delegated-name.der
evidence revoked ocsp-delegated-revoked.der crl-revoked-responder.der
evidence outdated ocsp-stale.der crl-stale.der ocsp-unknown.der crl-other-point.der
seed pem 3 both.pem
seed der 3 crl-revoked.der
seed stranger 3 crl-inter.der
