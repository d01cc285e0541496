/* One IKE SA: its state, and what the exchanges' files share. Inside common/ike only; the public
 * object is the session (session.h).
 *
 * Where things are: sa.c has the transition table and takes messages in; exchange_*.c hold each
 * exchange with both directions side by side; proof.c makes and checks AUTH; session.c is the shell
 * around all of it: paths, events, timers. */
#ifndef TERN_IKE_SA_H
#define TERN_IKE_SA_H

#include "common/ike/keys.h"
#include "common/ike/protect.h"
#include "common/ike/window.h"

enum sa_state {
    SA_IDLE,
    SA_INIT_SENT,     /* initiator: IKE_SA_INIT is out */
    SA_AUTH_SENT,     /* initiator: keys agreed, IKE_AUTH is out */
    SA_INIT_ANSWERED, /* responder: keys agreed, waiting for IKE_AUTH */
    SA_ESTABLISHED,
    SA_CLOSING, /* our Delete (or failure notice) is out */
    SA_DEAD
};

enum { SA_CHILDREN_MAX = 4, SA_COOKIE_MAX = 64, SA_INIT_RESTARTS_MAX = 6 };

/* An owned run of bytes that an exchange must remember. */
struct blob {
    uint8_t *data;
    size_t len;
};

struct nonce {
    uint8_t data[NONCE_MAX];
    size_t len;
};

/* What is needed until both sides are proven, then wiped. */
struct handshake {
    struct kex *kex;
    enum ke_id ke; /* the method the next request uses */
    struct nonce nonce_i, nonce_r;
    struct blob init_request, init_response; /* as sent or received (RFC 7296 2.15) */
    uint8_t cookie[SA_COOKIE_MAX];
    size_t cookie_len;
    unsigned restarts; /* COOKIE and INVALID_KE_PAYLOAD rounds so far */
    hash_set peer_hashes;
    uint32_t child_spi_in;
    /* An unauthenticated complaint is believed only when no good answer comes in time. */
    mono_ms complaint_at; /* MONO_NEVER: none */
    enum session_down_reason complaint;
    struct fault complaint_fault;
};

struct sa_child {
    bool used;
    uint32_t spi_in, spi_out;
};

struct ike_sa {
    struct session *session;
    const struct session_config *config;
    enum sa_state state;
    bool initiator; /* we are the original initiator */
    uint64_t spi_i, spi_r;
    struct path path;
    struct window window;
    struct handshake *handshake; /* NULL once established */
    struct suite suite;
    struct ike_keys keys;
    struct aead *seal, *open;
    uint64_t seal_counter;
    bool nat_local, nat_remote;
    bool send_remote_id; /* initiator: IDr in IKE_AUTH */
    bool peer_fragmentation, peer_mobike;
    struct identity peer_id; /* once proven */
    struct sa_child children[SA_CHILDREN_MAX];
    mono_ms established;
    mono_ms last_in; /* last authenticated message */
    int64_t rtt_ms;
    /* Why we are closing; reported when the peer has answered or the budget is used up. */
    enum session_down_reason closing_reason;
    struct fault closing_fault;
};

/* One message, taken apart. */
struct sa_input {
    mono_ms now;
    const struct path *path;
    struct ike_header header;
    struct span message;          /* as received */
    struct payload_list payloads; /* decrypted where the exchange is protected */
};

/* --- sa.c --- */

void sa_init(struct ike_sa *sa, struct session *s, const struct session_config *config);
void sa_wipe(struct ike_sa *sa);
void sa_input(struct ike_sa *sa, mono_ms now, const struct path *path,
              const struct ike_header *header, struct span message);
mono_ms sa_next_timeout(const struct ike_sa *sa);
void sa_handle_timeout(struct ike_sa *sa, mono_ms now);
CHECKED enum err sa_handshake_new(struct ike_sa *sa);
void sa_handshake_free(struct ike_sa *sa);
CHECKED enum err blob_set(struct blob *b, struct span bytes);

/* Begin a message in the session's buffer; for a protected one *ret_sk is the SK payload's offset.
 */
void sa_request_begin(struct ike_sa *sa, struct message_writer *m, uint8_t exchange,
                      size_t *ret_sk);
void sa_response_begin(struct ike_sa *sa, struct message_writer *m, const struct sa_input *in,
                       size_t *ret_sk);
/* Seal, remember for retransmission, send. */
CHECKED enum err sa_request_send(struct ike_sa *sa, mono_ms now, struct message_writer *m,
                                 size_t sk, const struct session_retransmit *policy);
CHECKED enum err sa_response_send(struct ike_sa *sa, struct message_writer *m,
                                  const struct sa_input *in, size_t sk);
/* A response that holds one notify and nothing else. */
CHECKED enum err sa_response_notify(struct ike_sa *sa, const struct sa_input *in, uint16_t type,
                                    struct span data);

/* The session ends now, without a word to the peer. */
void sa_die(struct ike_sa *sa, enum session_down_reason reason, const struct fault *f);
/* Tell the peer (a Delete; or AUTHENTICATION_FAILED, RFC 7296 2.21.2), then end. */
void sa_close(struct ike_sa *sa, mono_ms now, enum session_down_reason reason,
              const struct fault *f, uint16_t notify);

/* --- exchange_init.c --- */

CHECKED enum err init_request_send(struct ike_sa *sa, mono_ms now);
CHECKED enum err init_request_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err init_response_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err init_notify_in(struct ike_sa *sa, struct sa_input *in);

/* --- exchange_auth.c --- */

CHECKED enum err auth_request_send(struct ike_sa *sa, mono_ms now);
CHECKED enum err auth_request_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err auth_request_refuse_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err auth_response_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err auth_response_childless_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err auth_notify_in(struct ike_sa *sa, struct sa_input *in);

/* --- exchange_child.c --- */

CHECKED enum err child_request_in(struct ike_sa *sa, struct sa_input *in);
/* Inbound SPIs are unpredictable, non-zero, and outside the reserved range (RFC 4303 2.1). */
uint32_t child_new_spi(struct ike_sa *sa);
/* Derive keys, keep the SPIs, tell the driver (CHILD_UP). we_initiated: the exchange is ours. */
CHECKED enum err child_install(struct ike_sa *sa, bool we_initiated, uint32_t spi_in,
                               uint32_t spi_out, const struct suite *suite, struct span shared,
                               const struct nonce *nonce_i, const struct nonce *nonce_r,
                               const struct selector_list *local,
                               const struct selector_list *remote);
/* NULL where no child has that outbound SPI. */
struct sa_child *child_by_spi_out(struct ike_sa *sa, uint32_t spi_out);
void child_remove(struct ike_sa *sa, struct sa_child *child);

/* --- exchange_informational.c --- */

CHECKED enum err informational_request_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err informational_response_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err closing_response_in(struct ike_sa *sa, struct sa_input *in);
/* An empty request: is the peer alive? Does nothing where a request is out already. */
CHECKED enum err informational_probe(struct ike_sa *sa, mono_ms now);

/* --- proof.c --- */

/* Write our CERT payloads (certificate authentication), then elsewhere our AUTH. */
void proof_write_certificates(struct ike_sa *sa, struct message_writer *m);
void proof_write_certreq(struct ike_sa *sa, struct message_writer *m);
CHECKED enum err proof_write_auth(struct ike_sa *sa, struct message_writer *m);
/* Check the peer's ID (`id_type`: its payload), CERT and AUTH payloads. On success sa->peer_id is
 * set; otherwise the fault has the words and *ret_reason the reason. */
CHECKED enum err proof_check_peer(struct ike_sa *sa, const struct sa_input *in, uint8_t id_type,
                                  enum session_down_reason *ret_reason, struct fault *f);
/* "identity "alice@example.com" with a pre-shared key of 20 octets", for hints. */
enum { PROOF_TEXT_MAX = 1024 };
const char *proof_sent_text(const struct ike_sa *sa, char out[PROOF_TEXT_MAX]);

/* --- session.c --- */

/* The buffer in which messages are built: IKE_MESSAGE_MAX octets. */
uint8_t *session_buffer(struct session *s);
/* The buffer in which they are decrypted, of the same size. */
uint8_t *session_scratch(struct session *s);
void session_transmit(struct session *s, const struct path *path, struct span message);
/* A new event at the end of the queue, zeroed but for its type; NULL without memory. */
struct session_event *session_emit(struct session *s, enum session_event_type type);
void session_ended(struct session *s, enum session_down_reason reason, const struct fault *f);
/* The peer has been heard: NAT, path and liveness bookkeeping around the SA. */
void session_established(struct session *s, mono_ms now);
/* Initiator: AUTHENTICATION_FAILED after we named the gateway. Begin again without naming it, so
 * that its own name can be seen. False where that has been done already. */
bool session_retry_without_remote_id(struct session *s, mono_ms now);

#endif
