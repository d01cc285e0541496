/* IKE identities (RFC 7296 3.5) as values: in profiles, in ID payloads, in certificates. */
#ifndef TERN_CRYPTO_IDENTITY_H
#define TERN_CRYPTO_IDENTITY_H

#include "common/base/addr.h"

enum identity_type {
    IDENTITY_NONE = 0, /* none given; matches anything where it is an expectation */
    IDENTITY_IPV4 = 1,
    IDENTITY_FQDN = 2,
    IDENTITY_EMAIL = 3, /* ID_RFC822_ADDR */
    IDENTITY_IPV6 = 5,
    IDENTITY_DN = 9, /* ID_DER_ASN1_DN: data is the DER of the Name */
    IDENTITY_KEY_ID = 11
};

enum { IDENTITY_MAX = 512, IDENTITY_TEXT_MAX = 640 };

struct identity {
    enum identity_type type;
    size_t len;
    uint8_t data[IDENTITY_MAX]; /* as the ID payload carries it, without its four-octet head */
};

/* From a profile: an address, "name@domain" (email), "CN=..., O=..." (a DN, strongSwan's and
 * RFC 4514's order as written, ',' or '/' separated), "@#hex" (key ID), "@name" or name (FQDN).
 * ERR_MALFORMED for text that is none of these, ERR_LIMIT where it is too long. */
CHECKED enum err identity_parse(const char *text, struct identity *ret);
/* From an ID payload. ERR_UNSUPPORTED for a type we do not know. */
CHECKED enum err identity_set(struct identity *id, uint8_t type, struct span data);
/* For people; control characters are escaped. Returns out. */
const char *identity_format(const struct identity *id, char out[IDENTITY_TEXT_MAX]);
struct span identity_span(const struct identity *id);
/* Same type and value; FQDN and the domain of an email compare without case, DNs as Names. */
bool identity_equal(const struct identity *a, const struct identity *b);

#endif
