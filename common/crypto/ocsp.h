/* OCSP responses (RFC 6960 4.2): reading one. Whether it is to be believed, and what follows from
 * it, is trust_verify's business (revocation_check.c). */
#ifndef TERN_CRYPTO_OCSP_H
#define TERN_CRYPTO_OCSP_H

#include "common/crypto/revocation.h"
#include "common/crypto/signature.h"

struct ocsp_response {                     /* all spans borrow the response's bytes */
    struct span tbs, algorithm, signature; /* signed octets, AlgorithmIdentifier, signature */
    struct span responder_name;            /* ResponderID: Name, empty where it is the key's */
    struct span responder_key;             /* SHA-1 of the key, empty where it is the name */
    struct span certificates;              /* certificates one after the other; may be empty */
    struct span answers;                   /* for ocsp_next */
};

enum ocsp_status { OCSP_GOOD, OCSP_REVOKED, OCSP_UNKNOWN };

struct ocsp_answer { /* about one certificate */
    /* CertID: the hashes of its issuer's name and key, its serial number (an INTEGER's octets) */
    enum hash_id hash; /* 0: none that we know */
    struct span name_hash, key_hash, serial;
    enum ocsp_status status;
    struct revocation revocation;     /* where it is OCSP_REVOKED */
    int64_t this_update, next_update; /* seconds since 1970 */
    bool has_next_update;
    bool unusable; /* it has a critical extension, and none is known here */
};

/* der: one OCSPResponse. Every answer is read. ERR_MALFORMED; ERR_REFUSED where the responder
 * answers that it has no answer; ERR_UNSUPPORTED for a kind other than id-pkix-ocsp-basic, or a
 * critical extension. */
CHECKED enum err ocsp_parse(struct span der, struct ocsp_response *ret, struct fault *f);

/* Takes the next answer from *answers, a copy of r->answers; false at the end. */
bool ocsp_next(struct span *answers, struct ocsp_answer *ret);

#endif
