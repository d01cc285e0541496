/* Between peer.c and the methods, one file each. */
#ifndef TERN_EAP_PEER_INTERNAL_H
#define TERN_EAP_PEER_INTERNAL_H

#include "common/base/wire.h"
#include "common/crypto/prf.h"
#include "common/eap/eap.h"
#include "common/eap/mschapv2.h"

enum method_trait {
    METHOD_TLS = 1,     /* records of TLS, in pieces: many rounds */
    METHOD_PASSWORD = 2 /* uses config.password, itself or inside */
};

struct eap_method {
    uint8_t type;
    const char *text; /* as profiles name it */
    unsigned traits;
    /* A request's data after the type: write the data of the response. Anything but ERR_OK ends the
     * conversation, with the fault's words. Sets done, msk, refusal, told_password. */
    enum err (*input)(struct eap_peer *p, uint8_t identifier, struct span data,
                      struct wire_writer *w, struct fault *f);
};

extern const struct eap_method eap_mschapv2, eap_md5, eap_gtc, eap_tls, eap_ttls, eap_peap;

struct tls_layer; /* tls_layer.h */

/* EAP-TTLS and EAP-PEAP, once TLS stands. */
enum tunnel_stage { TUNNEL_BEGUN, TUNNEL_ASKED, TUNNEL_OVER };

enum mschapv2_stage { MSCHAPV2_BEGUN, MSCHAPV2_ANSWERED, MSCHAPV2_OVER };

struct eap_peer {
    struct eap_config config;
    struct random_source random;
    bool inside;                     /* within another peer's tunnel */
    const struct eap_method *method; /* begun; NULL: none yet */
    uint8_t unwanted;                /* a type that we refused (Nak); 0: none */
    bool done;                       /* the method, as far as it is ours: Success may come */
    bool tried;                      /* the password was put to use */
    bool told_password;
    struct secret msk;
    /* The server's words, where it had any, or ours, where we have refused it and said so; code
     * ERR_OK: there are none. */
    struct fault refusal;
    unsigned rounds;
    /* The last request, by its hash, and what was answered. */
    uint8_t request_hash[SHA256_LEN];
    uint8_t response[EAP_RESPONSE_MAX];
    size_t response_len; /* 0: nothing yet */

    struct {
        enum mschapv2_stage stage;
        struct mschapv2 m;
    } mschapv2;

    struct tls_layer *tls; /* a method with TLS was begun */
    enum tunnel_stage tunnel;
    struct eap_peer *inner; /* EAP inside EAP-TTLS or EAP-PEAP */
    uint8_t peap_identifier;
};

/* The user's name as bytes. */
struct span eap_name(const struct eap_peer *p);
/* What EAP-MSCHAPv2 shares with the MS-CHAP-V2 that EAP-TTLS has natively; both work on
 * p->mschapv2: the password into it; our challenge and response to the server's challenge, which is
 * there, with what is reserved between them; the server's "S=..." (ERR_INTEGRITY where it has not
 * the password), and its "E=...", which becomes p->refusal; the end, after which nothing of it is
 * left. */
CHECKED enum err eap_mschapv2_begin(struct eap_peer *p, struct fault *f);
void eap_mschapv2_respond(struct eap_peer *p, struct wire_writer *w);
CHECKED enum err eap_mschapv2_check(const struct eap_peer *p, struct span data, struct fault *f);
CHECKED enum err eap_mschapv2_refused(struct eap_peer *p, struct span data, struct fault *f);
void eap_mschapv2_end(struct eap_peer *p);
/* A server's words for people, at information level, where there are any. */
void eap_tell(const char *what, struct span text);

#endif
