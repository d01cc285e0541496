/* The files a profile names, read and checked: keys, certificates, trust. With them a profile
 * becomes the core's session_config. */
#ifndef TERN_CLIENT_CREDENTIALS_H
#define TERN_CLIENT_CREDENTIALS_H

#include "client/profile.h"
#include "common/crypto/certificate.h"
#include "common/ike/session.h"

#define CREDENTIALS_SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

struct credentials {
    struct identity identity;       /* what we say we are */
    struct secret psk, gateway_psk; /* our proof, the gateway's */
    struct private_key *key;        /* NULL without a certificate */
    struct certificate_list chain;
    struct trust_store *trust; /* NULL where the gateway proves itself by a key we share */
};

/* Adds a fault for each thing that is wrong, at the line of the key that named it; ERR_MALFORMED
 * then. wall_time: seconds since 1970, for our own certificate's validity. */
CHECKED enum err credentials_load(const struct profile *p, int64_t wall_time,
                                  struct credentials **ret, struct fault_list *faults);
void credentials_free(struct credentials *c); /* wipes; NULL is fine */

/* Borrows from both for as long as the session lives. The caller wipes *ret. */
void credentials_session_config(const struct profile *p, const struct credentials *c,
                                struct session_config *ret);

#endif
