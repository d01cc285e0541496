/* The server's side of EAP for the embedded gateway: MSCHAPv2, MD5 and GTC, with passwords from its
 * configuration, and EAP-TLS. What it says is put together by hand, apart from the client's code,
 * so that the one does not share the other's mistakes; the arithmetic of MS-CHAP-V2 is
 * common/eap's. */
#ifndef TERN_TOOLS_GATEWAY_EAP_SERVER_H
#define TERN_TOOLS_GATEWAY_EAP_SERVER_H

#include "common/eap/mschapv2.h"
#include "common/ike/session.h"
#include "tools/gateway/eap_tls_server.h"

struct eap_server_policy {
    uint8_t methods[EAP_METHODS_MAX]; /* enum eap_type, in the order in which they are tried */
    size_t method_count;              /* at least one */
    struct tls_config tls;            /* of EAP-TLS; wall_time is asked for: */
    int64_t (*wall_time)(void *ctx);
    struct random_source random;
    void *ctx;
    /* The password of the user of that name, and whom it proves. ERR_NOT_FOUND. */
    enum err (*find_password)(void *ctx, struct span name, struct secret *ret_password,
                              struct identity *ret_peer);
};

enum eap_server_stage {
    EAP_SERVER_IDLE,
    EAP_SERVER_IDENTITY, /* asked who it is */
    EAP_SERVER_METHOD,   /* the method's first request is out */
    EAP_SERVER_JUDGED,   /* MSCHAPv2: the client has been told, and is to say that it has heard */
    EAP_SERVER_TLS,      /* EAP-TLS goes on */
    EAP_SERVER_OVER
};

/* One conversation; all zero before it begins. */
struct eap_server {
    enum eap_server_stage stage;
    uint8_t identifier, method;
    char name[EAP_NAME_MAX + 1];
    struct secret password; /* empty: nobody is called that */
    struct identity peer;
    struct mschapv2 m;
    struct eap_tls_server tls;
    bool proven;
};

/* The client's packet (empty: it begins), and what is said to it. ERR_MALFORMED. */
CHECKED enum err eap_server_step(struct eap_server *s, const struct eap_server_policy *policy,
                                 struct span response, struct session_eap_step *ret);
void eap_server_wipe(struct eap_server *s);

#endif
