/* PKCS#11 URIs (RFC 7512), as far as tern has to know them: what they say about the PIN is taken
 * out, and the rest, which may be logged, goes to tern-token. */
#ifndef TERN_CLIENT_PKCS11_URI_H
#define TERN_CLIENT_PKCS11_URI_H

#include "common/base/err.h"
#include "common/crypto/secret.h"

enum { PKCS11_URI_MAX = 1024 }; /* terminating zero included */

struct pkcs11_uri {
    char text[PKCS11_URI_MAX];     /* without pin-value and pin-source */
    char pin_file[PKCS11_URI_MAX]; /* pin-source: an absolute path; empty: none */
    struct secret pin;             /* pin-value; empty: none */
};

bool pkcs11_uri_is_one(const char *text);
/* wanted: what `type` may say where it is there, "cert" or "private". ERR_MALFORMED, ERR_LIMIT; the
 * fault says what is wrong, and nothing of a PIN. The caller wipes *ret. */
CHECKED enum err pkcs11_uri_parse(const char *text, const char *wanted, struct pkcs11_uri *ret,
                                  struct fault *f);

#endif
