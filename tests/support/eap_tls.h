/* Both ends of an EAP method with TLS in one process: the peer under test, and a server that a test
 * makes say what it likes, within the tunnel and outside. */
#ifndef TERN_TESTS_EAP_TLS_H
#define TERN_TESTS_EAP_TLS_H

#include "common/eap/eap.h"
#include "tests/support/fixture.h"
#include "tests/support/support.h"
#include "tools/gateway/eap_tls_server.h"

#define EAP_TLS_PASSWORD "canary of the tests"

enum { EAP_TLS_PACKET_MAX = 2048 };

/* root signs radius (radius.example.com) and alice (alice@example.com); other signs others of the
 * same names. Unchecked fixtures. */
extern struct fixture_credential eap_tls_radius, eap_tls_alice;
extern struct fixture_credential eap_tls_other_radius, eap_tls_other_alice;
extern struct trust_store *eap_tls_root, *eap_tls_other;
void eap_tls_certificates(void);
void eap_tls_certificates_drop(void);

struct eap_tls_ends {
    struct eap_config config; /* of the peer: may be changed before eap_tls_start */
    struct tls_config server_config;
    struct eap_peer *peer;
    struct eap_tls_server server;
    uint8_t identifier;
    uint8_t packet[EAP_TLS_PACKET_MAX]; /* the server's last */
    size_t packet_len;
    struct eap_result result; /* of that */
    unsigned rounds;
};

/* A peer of that method, inside it EAP-MSCHAPv2, and a server; TLS 1.2 where `old`. */
void eap_tls_prepare(struct eap_tls_ends *e, uint8_t type, bool old);
void eap_tls_start(struct eap_tls_ends *e);
void eap_tls_wipe(struct eap_tls_ends *e);

/* The peer gets a packet, in memory of just that size. */
enum eap_outcome eap_tls_give(struct eap_tls_ends *e, uint8_t code, uint8_t identifier,
                              struct span rest);
/* The server's next packet. False where the peer does not go on. */
bool eap_tls_ask(struct eap_tls_ends *e);
/* What the peer answered goes to the server's TLS. False where it was no answer to the type. */
bool eap_tls_hear(struct eap_tls_ends *e);
/* To the end of the handshake, of which the server has heard. False where it does not come. */
bool eap_tls_handshake(struct eap_tls_ends *e);
/* Within the tunnel: the peer is told that (nothing: an acknowledgement), and *ret_len is what it
 * says in answer. False where it does not go on. */
bool eap_tls_say(struct eap_tls_ends *e, struct span data, uint8_t *out, size_t cap,
                 size_t *ret_len);
/* The peer has ended it, with that error and these words. */
void eap_tls_ck_failed(const struct eap_tls_ends *e, enum err error, const char *words);

#endif
