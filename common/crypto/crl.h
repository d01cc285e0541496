/* Certificate revocation lists (RFC 5280 5): reading one. Whether it is to be believed, and what
 * follows from it, is trust_verify's business (revocation_check.c). */
#ifndef TERN_CRYPTO_CRL_H
#define TERN_CRYPTO_CRL_H

#include "common/crypto/revocation.h"

struct crl {                               /* all spans borrow the list's bytes */
    struct span tbs, algorithm, signature; /* signed octets, AlgorithmIdentifier, signature */
    struct span issuer;                    /* Name */
    struct span revoked;                   /* the entries; empty where nothing is revoked */
    size_t revoked_count;
    int64_t this_update, next_update; /* seconds since 1970 */
    bool has_next_update;
    /* issuingDistributionPoint: it tells of a part of what its issuer revoked. */
    bool partitioned;               /* by distribution point */
    struct span distribution_names; /* GeneralName one after the other; may be empty */
    bool only_end_entities, only_authorities;
    bool only_attributes;   /* of attribute certificates: of none of ours */
    bool only_some_reasons; /* who is absent may be revoked for another */
};

/* der: one CertificateList. Every entry is read. ERR_MALFORMED; ERR_UNSUPPORTED for a delta CRL, an
 * indirect one, or one with a critical extension that is not known here, of itself or of an entry:
 * such a list says nothing about anybody (RFC 5280 5.2, 5.3). */
CHECKED enum err crl_parse(struct span der, struct crl *ret, struct fault *f);

/* Is that serial number (an INTEGER's octets) in the list? */
bool crl_find(const struct crl *c, struct span serial, struct revocation *ret);

/* Would the list hold such a certificate, were it revoked? distribution_points: the value of its
 * cRLDistributionPoints, empty where it has none. */
bool crl_covers(const struct crl *c, bool authority, struct span distribution_points);

#endif
