/* The gateway's configuration file. */
#ifndef TERN_TOOLS_GATEWAY_CONFIG_H
#define TERN_TOOLS_GATEWAY_CONFIG_H

#include "common/crypto/certificate.h"
#include "common/crypto/secret.h"
#include "common/ike/payload.h"
#include "common/ike/proposal.h"
#include "common/ike/session.h"
#include "platform/tun.h"
#include "tools/gateway/pool.h"

enum { GATEWAY_LISTEN_MAX = 8 };

enum gateway_cookies {
    GATEWAY_COOKIES_AUTO, /* asked for while many sessions are half open */
    GATEWAY_COOKIES_ALWAYS,
    GATEWAY_COOKIES_OFF
};

struct gateway_user {
    struct gateway_user *next;
    struct identity identity;
    char name[EAP_NAME_MAX + 1]; /* of EAP, as the section has it */
    struct secret psk;           /* empty: it has none of its own */
    struct secret password;      /* of EAP; likewise */
};

/* RFC 8784: [PPK ID] */
struct gateway_ppk {
    struct gateway_ppk *next;
    char id[SESSION_PPK_ID_MAX + 1];
    struct secret key;
};

struct gateway_config {
    struct ip listen[GATEWAY_LISTEN_MAX]; /* none: every address of both families */
    size_t listen_count;
    uint16_t port, nat_port;
    struct identity identity;
    struct certificate_list chain; /* ours first; empty: we prove ourselves by PSK */
    struct private_key *key;
    struct trust_store *trust;      /* NULL: clients cannot use certificates */
    struct trust_evidence evidence; /* CRLs and OCSP responses sent to clients; the octets owned */
    struct secret psk;              /* for every identity that is no [User]; empty: none */
    struct prefix pools[POOL_PREFIXES_MAX];
    size_t pool_count;
    struct ip dns[CP_DNS_MAX];
    size_t dns_count;
    struct selector_list networks;
    char interface[TUN_NAME_MAX]; /* empty: the first free ternN */
    struct proposal_list ike, esp;
    bool mobike;
    bool return_routability;
    enum gateway_cookies cookies;
    struct session_lifetimes lifetimes;
    uint32_t auth_lifetime_s;        /* 0: not announced */
    struct redirect_target redirect; /* clients are sent there; nowhere: they stay */
    struct gateway_user *users;
    uint8_t eap_methods[EAP_METHODS_MAX]; /* enum eap_type, in the order in which they are tried */
    size_t eap_method_count;
    bool eap_only; /* EAP alone proves us to those who ask for that (RFC 5998) */
    struct gateway_ppk *ppks;
    bool require_ppk; /* of every client */
    enum session_second_use second_proof;
};

/* *c is written in any case; wipe it in any case. The fault's text begins with FILE:LINE where a
 * line is to blame. ERR_NOT_FOUND where there is no such file. */
CHECKED enum err gateway_config_load(const char *path, struct gateway_config *c, struct fault *f);
void gateway_config_wipe(struct gateway_config *c);

#endif
