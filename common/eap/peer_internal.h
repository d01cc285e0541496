/* Between peer.c and the methods, one file each. */
#ifndef TERN_EAP_PEER_INTERNAL_H
#define TERN_EAP_PEER_INTERNAL_H

#include "common/base/wire.h"
#include "common/crypto/prf.h"
#include "common/eap/eap.h"
#include "common/eap/mschapv2.h"

struct eap_method {
    uint8_t type;
    const char *text; /* as profiles name it */
    /* A request's data after the type: write the data of the response. Anything but ERR_OK ends the
     * conversation, with the fault's words. Sets done, msk, refusal, told_password. */
    enum err (*input)(struct eap_peer *p, uint8_t identifier, struct span data,
                      struct wire_writer *w, struct fault *f);
};

extern const struct eap_method eap_mschapv2, eap_md5, eap_gtc;

enum mschapv2_stage { MSCHAPV2_BEGUN, MSCHAPV2_ANSWERED, MSCHAPV2_OVER };

struct eap_peer {
    struct eap_config config;
    struct random_source random;
    const struct eap_method *method; /* begun; NULL: none yet */
    uint8_t unwanted;                /* a type that we refused (Nak); 0: none */
    bool done;                       /* the method, as far as it is ours: Success may come */
    bool told_password;
    struct secret msk;
    struct fault refusal; /* the server's words, where it had any; code ERR_OK: it had none */
    unsigned rounds;
    /* The last request, by its hash, and what was answered. */
    uint8_t request_hash[SHA256_LEN];
    uint8_t response[EAP_RESPONSE_MAX];
    size_t response_len; /* 0: nothing yet */

    struct {
        enum mschapv2_stage stage;
        struct mschapv2 m;
    } mschapv2;
};

/* The user's name as bytes. */
struct span eap_name(const struct eap_peer *p);
/* A server's words for people, at information level, where there are any. */
void eap_tell(const char *what, struct span text);

#endif
