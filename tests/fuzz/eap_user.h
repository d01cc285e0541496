/* The user of the EAP fuzzer and of its seeds: both sides of a conversation follow from it, so that
 * a seed's proofs are good ones. */
#ifndef TERN_TESTS_FUZZ_EAP_USER_H
#define TERN_TESTS_FUZZ_EAP_USER_H

#include "common/eap/eap.h"
#include "tests/fuzz/fuzz.h"

#define EAP_USER_NAME     "CORP\\alice"
#define EAP_USER_PASSWORD "a password that is long enough"
enum { EAP_USER_SEED = 7 };

/* Accepts the methods of which the bits are set. */
static inline void eap_user_config(unsigned methods, struct eap_config *ret)
{
    static const uint8_t types[] = {EAP_MSCHAPV2, EAP_GTC, EAP_MD5};
    *ret = (struct eap_config){.name = EAP_USER_NAME};
    for (unsigned i = 0; i < sizeof(types); i++) {
        if ((methods >> i & 1) != 0)
            ret->methods[ret->method_count++] = types[i];
    }
    CHECK(secret_set(&ret->password, span_text(EAP_USER_PASSWORD)) == ERR_OK);
}

#endif
