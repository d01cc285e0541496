/* The peer's side of EAP (RFC 3748): who is asked. A request goes in, what to answer comes out. No
 * clock and no retransmission: the lower layer (IKE_AUTH, RFC 7296 2.16) is reliable, and
 * authenticates the server before any of this is said to it.
 *
 * What it holds to: an answer names a method that the configuration has, and none besides once one
 * was begun; Success counts where a method has run to its end, and, of a method that proves both
 * sides, where the server has proven itself; rounds are bounded; a repeated request gets the answer
 * that it had. */
#ifndef TERN_EAP_EAP_H
#define TERN_EAP_EAP_H

#include "common/crypto/certificate.h"
#include "common/crypto/random.h"
#include "common/crypto/secret.h"

enum eap_code { EAP_REQUEST = 1, EAP_RESPONSE = 2, EAP_SUCCESS = 3, EAP_FAILURE = 4 };

enum eap_type {
    EAP_IDENTITY = 1,
    EAP_NOTIFICATION = 2,
    EAP_NAK = 3,
    EAP_MD5 = 4,
    EAP_GTC = 6,
    EAP_TLS = 13,
    EAP_TTLS = 21,
    EAP_PEAP = 25,
    EAP_MSCHAPV2 = 26,
    EAP_EXPANDED = 254
};

enum {
    EAP_HEADER_LEN = 4, /* code, identifier, length */
    EAP_METHODS_MAX = 6,
    EAP_NAME_MAX = 253,     /* RFC 7542 2.2: octets of a user's name */
    EAP_RESPONSE_MAX = 1024 /* octets of a packet that we make */
};

/* What EAP-TTLS says inside, where that is not EAP again (RFC 5281 11.2). */
enum eap_plain {
    EAP_PLAIN_NONE,
    EAP_PLAIN_PAP,     /* the password itself, to a server that has been verified */
    EAP_PLAIN_MSCHAPV2 /* MS-CHAP-V2 with the challenge that TLS makes */
};

/* What is borrowed lives as long as the peer. */
struct eap_config {
    uint8_t methods[EAP_METHODS_MAX]; /* enum eap_type, best first */
    size_t method_count;
    char name[EAP_NAME_MAX + 1];  /* of the user, UTF-8 */
    char outer[EAP_NAME_MAX + 1]; /* what is said outside TLS instead; empty: the name */
    struct secret password;       /* or the code that one is to enter; empty: none is needed */

    /* Inside EAP-TTLS and EAP-PEAP: methods of EAP, of those that have nothing inside; or plain, of
     * EAP-TTLS alone. */
    uint8_t inner[EAP_METHODS_MAX];
    size_t inner_count;
    enum eap_plain plain;

    /* Methods with TLS. The server's certificate must prove `server`. */
    const struct trust_store *trust; /* borrowed */
    struct identity server;
    const struct private_key *key;        /* borrowed; EAP-TLS alone */
    const struct certificate_list *chain; /* borrowed; likewise */
    int64_t (*wall_time)(void *ctx);      /* seconds since 1970 */
    void *wall_time_ctx;
};

/* It has what its methods need. */
bool eap_config_usable(const struct eap_config *c);
/* Every method of it has the server proven by a certificate, and makes a key (RFC 5998 4). */
bool eap_config_proves_server(const struct eap_config *c);

/* The type of a method as profiles name it ("mschapv2"); 0 where it is none that we have. */
uint8_t eap_type_from_text(const char *text);
/* With TLS: it proves the server by a certificate. */
bool eap_type_has_tls(uint8_t type);
/* It needs the user's password, itself or inside. */
bool eap_type_has_password(uint8_t type);
/* "EAP-MSCHAPv2", also of methods that we do not have; NULL for what has no name here. */
const char *eap_type_name(uint8_t type);

struct eap_peer;

/* Copies *c. ERR_MEMORY. */
CHECKED enum err eap_peer_new(const struct eap_config *c, const struct random_source *random,
                              struct eap_peer **ret);
void eap_peer_free(struct eap_peer *p); /* wipes; NULL is fine */
/* In place of eap_config.trust, which is needed no more; borrowed. */
void eap_peer_set_trust(struct eap_peer *p, const struct trust_store *trust);

enum eap_outcome {
    EAP_GOING_ON, /* the response is to be sent */
    EAP_SUCCEEDED,
    EAP_FAILED /* nothing more is to be said */
};

struct eap_result {
    enum eap_outcome outcome;
    struct span response; /* valid until the next call */
    /* EAP_FAILED: ERR_REFUSED where the server said so or wants what we do not have; ERR_INTEGRITY
     * where it did not prove what it had to; else what is wrong with its packet, or here. */
    struct fault fault;
    bool refused; /* the server's own word, EAP Failure: it is done with us */
};

/* One packet from the server, code to data. */
void eap_peer_input(struct eap_peer *p, struct span packet, struct eap_result *ret);

/* The key that both sides have of the method; empty where it makes none. After EAP_SUCCEEDED. */
struct span eap_peer_msk(const struct eap_peer *p);
/* Words for a refusal that came by another way than EAP Failure, or that we made first: the code is
 * ERR_INTEGRITY where it was we who did not accept the server. */
void eap_peer_refused(const struct eap_peer *p, struct fault *ret);
/* A password was put to use: what came of it is about the password. */
bool eap_peer_tried(const struct eap_peer *p);
/* Whoever is on the other side has seen the password itself. */
bool eap_peer_told_password(const struct eap_peer *p);

#endif
