/* X.509 certificates: parsing, chains, identities, trust. Reads no clock and no file: the wall time
 * and the bytes are handed in. */
#ifndef TERN_CRYPTO_CERTIFICATE_H
#define TERN_CRYPTO_CERTIFICATE_H

#include "common/crypto/identity.h"
#include "common/crypto/prf.h"
#include "common/crypto/revocation.h"
#include "common/crypto/signature.h"

struct certificate; /* immutable, counted */
struct trust_store; /* a set of CA certificates */

enum { CERTIFICATES_MAX = 16 }; /* in one chain, one bundle or one message */

struct certificate_list {
    struct certificate *items[CERTIFICATES_MAX]; /* owned references */
    size_t count;
};
void certificate_list_wipe(struct certificate_list *l);

CHECKED enum err certificate_parse_der(struct span der, struct certificate **ret, struct fault *f);
/* PEM with one or more certificates, or one DER. In the file's order. Text between PEM blocks is
 * passed over; a broken block is a fault. */
CHECKED enum err certificate_parse_file(struct span bytes, struct certificate_list *ret,
                                        struct fault *f);
struct certificate *certificate_ref(struct certificate *c);
void certificate_free(struct certificate *c); /* drops one reference; NULL is fine */

struct span certificate_der(const struct certificate *c);              /* borrowed */
const struct public_key *certificate_key(const struct certificate *c); /* borrowed */
/* "CN=..., O=..." with hostile bytes escaped; returns out */
const char *certificate_subject(const struct certificate *c, char out[IDENTITY_TEXT_MAX]);
const char *certificate_issuer(const struct certificate *c, char out[IDENTITY_TEXT_MAX]);
/* Seconds since 1970. */
int64_t certificate_not_before(const struct certificate *c);
int64_t certificate_not_after(const struct certificate *c);
/* The names it proves, for error messages: "vpn.example.net, 192.0.2.1"; returns out. */
const char *certificate_names(const struct certificate *c, char out[IDENTITY_TEXT_MAX]);
/* The identity to send as IDi where the profile has none: the first subjectAltName email, FQDN or
 * IP, else the subject DN. */
void certificate_default_identity(const struct certificate *c, struct identity *ret);

/* Does it prove that identity? subjectAltName for FQDN (left-most label wildcard), email and IP
 * (RFC 7296 3.5, RFC 4945 3.1); the subject, compared as a Name, for a DN; where there is no
 * subjectAltName dNSName at all, no fallback to CN. Key IDs are never proven by a certificate. */
bool certificate_proves(const struct certificate *c, const struct identity *id);

CHECKED enum err trust_store_new(struct trust_store **ret);
void trust_store_free(struct trust_store *t);
/* One with the anchors and the policy of `like`, and no CRLs. */
CHECKED enum err trust_store_new_like(const struct trust_store *like, struct trust_store **ret);
/* Any certificate added is a trust anchor (self-signed or not). Takes a reference of its own. */
CHECKED enum err trust_store_add(struct trust_store *t, struct certificate *c);
/* PEM bundle, e.g. the system's; ignores what does not parse if `lenient`. */
CHECKED enum err trust_store_add_pem(struct trust_store *t, struct span pem, bool lenient,
                                     size_t *ret_added, struct fault *f);
size_t trust_store_count(const struct trust_store *t);
/* SHA-1 of the i-th anchor's SubjectPublicKeyInfo, for CERTREQ (RFC 7296 3.7). */
void trust_store_key_hash(const struct trust_store *t, size_t i, uint8_t out[SHA1_LEN]);
/* What trust_verify asks for beside the chain; REVOCATION_OFF in a new store. */
void trust_store_set_revocation(struct trust_store *t, enum revocation_policy policy);
enum revocation_policy trust_store_revocation(const struct trust_store *t);
/* CRLs for every verification: PEM with one or more, or one DER. ERR_MALFORMED where one does not
 * parse or is of a kind that cannot be used (delta, indirect, with a critical extension that is not
 * known here), ERR_LIMIT. Those before the one at fault stay added. */
CHECKED enum err trust_store_add_crls(struct trust_store *t, struct span bytes, size_t *ret_added,
                                      struct fault *f);
size_t trust_store_crl_count(const struct trust_store *t);
/* What there is to say of the i-th of them before anybody is met: ERR_INTEGRITY where a trusted CA
 * has that name and did not sign it, or may not; ERR_NOT_FOUND where none has (an intermediate CA
 * may); ERR_EXHAUSTED where it is not valid any more. */
CHECKED enum err trust_store_check_crl(const struct trust_store *t, size_t i, int64_t wall_time,
                                       struct fault *f);

enum certificate_purpose { PURPOSE_GATEWAY, PURPOSE_CLIENT };

/* chain->items[0] is the end entity; the rest are intermediates in any order (extra ones ignored;
 * of several ways to an anchor, one that holds is enough). evidence: what came with the chain about
 * revocation, NULL for nothing; the store's policy says how much it matters.
 * Checks signatures, validity at wall_time (seconds since 1970), basicConstraints, path length,
 * name constraints, key usage (digitalSignature or nonRepudiation where present), and the end
 * entity's EKU where present (gateway: serverAuth, ikeIntermediate or any; client: clientAuth,
 * ikeIntermediate or any). ERR_REFUSED with the reason in words, both clocks where it is a matter
 * of time, and the issuer where it is unknown. */
CHECKED enum err trust_verify(const struct trust_store *t, const struct certificate_list *chain,
                              const struct trust_evidence *evidence,
                              enum certificate_purpose purpose, int64_t wall_time, struct fault *f);

#endif
