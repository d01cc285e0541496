/* The small parts of revocation.h. */
#include "common/crypto/revocation.h"

#include "common/crypto/x509_internal.h"

bool trust_evidence_add_crl(struct trust_evidence *e, struct span der)
{
    if (e->crl_count == TRUST_EVIDENCE_MAX)
        return false;
    e->crls[e->crl_count++] = der;
    return true;
}

bool trust_evidence_add_ocsp(struct trust_evidence *e, struct span der)
{
    if (e->ocsp_count == TRUST_EVIDENCE_MAX)
        return false;
    e->ocsp[e->ocsp_count++] = der;
    return true;
}

static const char *const reasons[] = {
    [REASON_UNSPECIFIED] = "no reason given",
    [REASON_KEY_COMPROMISE] = "key compromise",
    [REASON_CA_COMPROMISE] = "compromise of the CA",
    [REASON_AFFILIATION_CHANGED] = "affiliation changed",
    [REASON_SUPERSEDED] = "superseded",
    [REASON_CESSATION_OF_OPERATION] = "cessation of operation",
    [REASON_CERTIFICATE_HOLD] = "on hold",
    [REASON_REMOVE_FROM_CRL] = "removed from the list",
    [REASON_PRIVILEGE_WITHDRAWN] = "privilege withdrawn",
    [REASON_AA_COMPROMISE] = "compromise of the attribute authority",
};

enum revocation_reason revocation_reason_from(uint8_t n)
{
    bool known = n < sizeof reasons / sizeof reasons[0] && reasons[n] != NULL;
    return known ? (enum revocation_reason)n : REASON_UNSPECIFIED;
}

const char *revocation_reason_text(enum revocation_reason r)
{
    return reasons[revocation_reason_from((uint8_t)r)];
}
