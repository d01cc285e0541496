/* Whether a certificate was revoked by who issued it, told by CRLs (RFC 5280 5, 6.3) and OCSP
 * responses (RFC 6960). Nothing is fetched: a VPN client has no network to trust before its tunnel.
 * What there is comes from files beside the profile, and from the peer, in the exchange that proves
 * it (RFC 7296 3.6, RFC 4806; in TLS the stapled response). */
#ifndef TERN_CRYPTO_REVOCATION_H
#define TERN_CRYPTO_REVOCATION_H

#include "common/base/err.h"
#include "common/base/span.h"

enum revocation_policy {
    REVOCATION_OFF = 0, /* nothing is asked for, nothing is looked at */
    REVOCATION_SOFT,    /* known to be revoked: refused; unknown: accepted, and logged */
    REVOCATION_STRICT   /* every certificate of the chain but the anchor is known to be good, by
                         * something that is of today; else refused */
};

/* What came with one proof: borrowed, as it came, read for the first time by trust_verify. What
 * does not parse, is about somebody else or is signed by somebody else counts as absent. */
enum { TRUST_EVIDENCE_MAX = 16 };
struct trust_evidence {
    struct span crls[TRUST_EVIDENCE_MAX]; /* each a DER CertificateList */
    size_t crl_count;
    struct span ocsp[TRUST_EVIDENCE_MAX]; /* each a DER OCSPResponse */
    size_t ocsp_count;
};
/* One more; false (and nothing is added) where there are TRUST_EVIDENCE_MAX. */
bool trust_evidence_add_crl(struct trust_evidence *e, struct span der);
bool trust_evidence_add_ocsp(struct trust_evidence *e, struct span der);

/* RFC 5280 5.3.1. Others are read as REASON_UNSPECIFIED. */
enum revocation_reason {
    REASON_UNSPECIFIED = 0,
    REASON_KEY_COMPROMISE = 1,
    REASON_CA_COMPROMISE = 2,
    REASON_AFFILIATION_CHANGED = 3,
    REASON_SUPERSEDED = 4,
    REASON_CESSATION_OF_OPERATION = 5,
    REASON_CERTIFICATE_HOLD = 6, /* the only one that may be taken back */
    REASON_REMOVE_FROM_CRL = 8,
    REASON_PRIVILEGE_WITHDRAWN = 9,
    REASON_AA_COMPROMISE = 10
};
struct revocation {
    int64_t at; /* seconds since 1970 */
    enum revocation_reason reason;
};
const char *revocation_reason_text(enum revocation_reason r); /* "key compromise" */

#endif
