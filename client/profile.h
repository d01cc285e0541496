/* A profile: what one configured connection is, as a person wrote it. Reading it checks every key
 * and value, also those of files and features that are not used in the end; the files it names are
 * read by credentials.h. */
#ifndef TERN_CLIENT_PROFILE_H
#define TERN_CLIENT_PROFILE_H

#include "client/command_line.h"
#include "client/fault_list.h"
#include "common/base/selector.h"
#include "common/crypto/identity.h"
#include "common/crypto/revocation.h"
#include "common/crypto/secret.h"
#include "common/eap/eap.h"
#include "common/ike/proposal.h"
#include "common/ike/session.h"

enum {
    PROFILE_NAME_MAX = 64, /* base name, terminating zero included: also names socket and state */
    PROFILE_TEXT_MAX = 256,
    PROFILE_LIST_MAX = 8,
    PROFILE_EXCLUDES_MAX = 64,
    PROFILE_HOOK_COMMANDS_MAX = 4,
    PROFILE_PATH_MAX = 1024
};

/* Every key a profile may hold; the table in profile_keys.c says where and what. */
enum profile_key {
    KEY_GATEWAY_ADDRESS,
    KEY_GATEWAY_PORT,
    KEY_GATEWAY_IDENTITY,
    KEY_GATEWAY_AUTHENTICATION,
    KEY_GATEWAY_CA,
    KEY_GATEWAY_PSK,
    KEY_GATEWAY_PSK_FILE,
    KEY_GATEWAY_REQUIRE_PPK,
    KEY_GATEWAY_REVOCATION,
    KEY_GATEWAY_CRL,
    KEY_LOCAL_IDENTITY,
    KEY_LOCAL_AUTHENTICATION,
    KEY_LOCAL_PSK,
    KEY_LOCAL_PSK_FILE,
    KEY_LOCAL_CERTIFICATE,
    KEY_LOCAL_PRIVATE_KEY,
    KEY_LOCAL_PKCS12,
    KEY_LOCAL_USER_NAME,
    KEY_LOCAL_PASSWORD,
    KEY_LOCAL_PASSWORD_FILE,
    KEY_LOCAL_EAP_METHODS,
    KEY_LOCAL_PASSPHRASE,
    KEY_LOCAL_PASSPHRASE_FILE,
    KEY_LOCAL_EAP_INNER,
    KEY_LOCAL_EAP_IDENTITY,
    KEY_LOCAL_EAP_SERVER,
    KEY_LOCAL_EAP_CA,
    KEY_LOCAL_PPK,
    KEY_LOCAL_PPK_FILE,
    KEY_LOCAL_PPK_IDENTITY,
    KEY_USER_IDENTITY,
    KEY_USER_AUTHENTICATION,
    KEY_USER_PSK,
    KEY_USER_PSK_FILE,
    KEY_USER_CERTIFICATE,
    KEY_USER_PRIVATE_KEY,
    KEY_USER_PKCS12,
    KEY_USER_PASSPHRASE,
    KEY_USER_PASSPHRASE_FILE,
    KEY_USER_USER_NAME,
    KEY_USER_PASSWORD,
    KEY_USER_PASSWORD_FILE,
    KEY_USER_EAP_METHODS,
    KEY_USER_EAP_INNER,
    KEY_USER_EAP_IDENTITY,
    KEY_USER_EAP_SERVER,
    KEY_USER_EAP_CA,
    KEY_TUNNEL_INTERFACE,
    KEY_TUNNEL_ROUTES,
    KEY_TUNNEL_EXCLUDE,
    KEY_TUNNEL_REQUEST_ADDRESS,
    KEY_TUNNEL_DNS,
    KEY_TUNNEL_MTU,
    KEY_TUNNEL_OFFLOAD,
    KEY_TUNNEL_DSCP,
    KEY_CRYPTO_IKE,
    KEY_CRYPTO_ESP,
    KEY_CRYPTO_IKE_LIFETIME,
    KEY_CRYPTO_ESP_LIFETIME,
    KEY_CRYPTO_ESP_BYTES,
    KEY_ROAMING_MOBIKE,
    KEY_ROAMING_PREFER,
    KEY_ROAMING_DPD,
    KEY_ROAMING_KEEPALIVE,
    KEY_ROAMING_HOLD_DOWN,
    KEY_ROAMING_RETRANSMIT,
    KEY_HOOKS_UP,
    KEY_HOOKS_DOWN,
    KEY_HOOKS_HANDOVER,
    PROFILE_KEYS
};

enum profile_authentication {
    AUTHENTICATION_UNSET = 0,
    AUTHENTICATION_CERTIFICATE,
    AUTHENTICATION_PSK,
    AUTHENTICATION_EAP
};

enum { PROFILE_KEEPALIVE_AUTO = -1, PROFILE_MTU_AUTO = 0 };

struct profile_list {
    char items[PROFILE_LIST_MAX][PROFILE_TEXT_MAX];
    size_t count;
};

enum profile_hook { PROFILE_HOOK_UP, PROFILE_HOOK_DOWN, PROFILE_HOOK_HANDOVER, PROFILE_HOOKS };

/* Programs that are run, in order. */
struct profile_hook_list {
    struct command_line items[PROFILE_HOOK_COMMANDS_MAX];
    size_t count;
};

/* The keys of [Local], or of [User], about a key of ours and its certificate. */
struct profile_own_keys {
    const char *section;
    enum profile_key certificate, private_key, pkcs12, passphrase, passphrase_file;
};

/* Where these come from, and what opens them. */
struct profile_own {
    const struct profile_own_keys *keys;
    /* Files, or pkcs11: URIs without what these said of the PIN, which is below. */
    char certificate[PROFILE_PATH_MAX], private_key[PROFILE_PATH_MAX];
    char pkcs12[PROFILE_PATH_MAX];
    struct secret passphrase; /* of the key's file, or of the container */
    char passphrase_file[PROFILE_PATH_MAX];
    struct secret pin; /* of the token */
    unsigned pin_line; /* where a URI has it; 0: none does */
    char pin_file[PROFILE_PATH_MAX];
};

struct profile {
    char path[PROFILE_PATH_MAX]; /* as it was found; relative file names inside start beside it */
    char name[PROFILE_NAME_MAX];
    unsigned lines[PROFILE_KEYS]; /* where each key stands; 0: it does not */
    unsigned local_line;          /* the [Local] header, or 1 */
    unsigned gateway_line;
    unsigned user_line; /* 0: there is no [User] */

    struct profile_list addresses; /* names or addresses of the gateway, in order */
    uint16_t port;
    struct identity gateway_identity; /* never none */
    enum profile_authentication gateway_authentication;
    struct profile_list cas; /* file names, or "system" */
    struct secret gateway_psk;
    char gateway_psk_file[PROFILE_PATH_MAX];
    enum revocation_policy revocation;
    struct profile_list crls; /* file names */

    struct identity identity; /* none: take it from the certificate */
    enum profile_authentication authentication;
    struct secret psk;
    char psk_file[PROFILE_PATH_MAX];
    struct profile_own own;
    char user_name[PROFILE_TEXT_MAX];
    struct secret password;
    char password_file[PROFILE_PATH_MAX];
    uint8_t eap_methods[EAP_METHODS_MAX]; /* enum eap_type, best first */
    size_t eap_method_count;
    uint8_t eap_inner[EAP_METHODS_MAX]; /* the same, inside ttls and peap */
    size_t eap_inner_count;
    enum eap_plain eap_plain;
    char eap_identity[PROFILE_TEXT_MAX]; /* empty: the user's name */
    struct identity eap_server;          /* none: the gateway's */
    struct profile_list eap_cas;         /* likewise */

    /* [User], proven after the above (RFC 4739); unset: there is none. Its name and password are
     * those above, where it is asked by EAP. */
    enum profile_authentication user_authentication;
    struct identity user_identity; /* none: take it from the certificate */
    struct secret user_psk;
    char user_psk_file[PROFILE_PATH_MAX];
    struct profile_own user_own;

    /* RFC 8784; empty identity: no PPK. */
    char ppk_identity[SESSION_PPK_ID_MAX + 1];
    struct secret ppk;
    char ppk_file[PROFILE_PATH_MAX];
    bool require_ppk;

    char interface[PROFILE_TEXT_MAX]; /* empty: the first free ternN */
    struct selector_list routes;
    struct prefix excludes[PROFILE_EXCLUDES_MAX];
    size_t exclude_count;
    bool request_ipv4, request_ipv6;
    struct ip fixed_ipv4, fixed_ipv6; /* family none: any */
    bool dns;
    bool copy_dscp; /* into the outer header, for who watches and who queues */
    bool offload;   /* several packets may come and go in one piece */
    uint16_t mtu;

    struct proposal_list ike, esp;
    uint32_t ike_lifetime_s, esp_lifetime_s;
    uint64_t esp_bytes; /* 0: no limit of its own */

    bool mobike;
    struct profile_list prefer; /* interface names or patterns (* and ?), best first */
    uint32_t dpd_s;             /* 0: off */
    int32_t keepalive_s;        /* 0: off */
    uint32_t hold_down_s;
    uint32_t retransmit_first_ms, retransmit_max_ms, retransmit_tries;

    struct profile_hook_list hooks[PROFILE_HOOKS];
};

enum { MTU_DEFAULT = 1400, MTU_MIN = 1280, MTU_MAX = 9000 };

/* Does the key stand in it? */
static inline bool profile_has(const struct profile *p, enum profile_key key)
{
    return p->lines[key] != 0;
}

/* ERR_NOT_FOUND where there is no such file (no fault is added); ERR_MALFORMED where anything is
 * wrong with it, all of it in *faults; ERR_MEMORY. */
CHECKED enum err profile_load(const char *path, struct profile **ret, struct fault_list *faults);
/* Wipes; NULL is fine. */
void profile_free(struct profile *p);

/* "office" from "/etc/tern/office.conf". ERR_MALFORMED where it cannot name a connection. */
CHECKED enum err profile_name(const char *path, char out[PROFILE_NAME_MAX]);

/* A file named inside the profile: absolute, or beside the profile. Returns out. */
const char *profile_file(const struct profile *p, const char *name, char out[PROFILE_PATH_MAX]);

#endif
