/* One IKE SA: its state, and what the exchanges' files share. Inside common/ike only; the public
 * object is the session (session.h).
 *
 * Where things are: sa.c has the transition table and takes messages in; sa_timers.c has its clock
 * and what it asks of its own accord; sa_message.c builds, seals and answers; exchange_*.c hold
 * each exchange with both directions side by side (auth.h is about IKE_AUTH, and who proves what);
 * child.c the Child SAs; session.c is the shell around all of it, and lifecycle.c decides which
 * IKE SA the session lives on, and when a new one is made.
 *
 * A session has several IKE SAs at times: one that is current, one that is being connected, and
 * those that were replaced and are being deleted. Child SAs belong to the session and name the IKE
 * SA they hang on, so that a rekeyed IKE SA hands them over by a name changed (RFC 7296 2.8). */
#ifndef TERN_IKE_SA_H
#define TERN_IKE_SA_H

#include "common/eap/eap.h"
#include "common/ike/fragment.h"
#include "common/ike/keys.h"
#include "common/ike/protect.h"
#include "common/ike/window.h"

enum sa_state {
    SA_IDLE,
    SA_INIT_SENT,     /* initiator: IKE_SA_INIT is out */
    SA_AUTH_SENT,     /* initiator: made of an answer to it, IKE_AUTH is out */
    SA_FIRST_SENT,    /* initiator: likewise, with the first of two proofs (RFC 4739) */
    SA_SECOND_SENT,   /* initiator: and the second, where that is not by EAP */
    SA_INIT_ANSWERED, /* responder: keys agreed, waiting for IKE_AUTH */
    SA_FIRST_PROVEN,  /* responder: by the first of two; waiting for the second */
    SA_EAP_ASKED,     /* initiator: IKE_AUTH without AUTH is out: we want EAP */
    SA_EAP_GOING,     /* the responder has proven itself, EAP goes on */
    SA_EAP_DONE,      /* EAP has succeeded; AUTH follows, of both */
    SA_ESTABLISHED,
    SA_REPLACED, /* a successor carries on, and the peer is to delete this one */
    SA_CLOSING,  /* our Delete (or failure notice) is out */
    SA_DEAD      /* ended; stays a while to repeat its last answer */
};

enum {
    SA_COOKIE_MAX = 64,
    SA_INIT_RESTARTS_MAX = 6,
    SA_ANSWERS_MAX = 8,     /* to one IKE_SA_INIT request, told apart by their spi_r */
    SA_KE_RESTARTS_MAX = 3, /* INVALID_KE_PAYLOAD rounds of one CREATE_CHILD_SA */
    CHILDREN_MAX = 16
};

/* An owned run of bytes that an exchange must remember. */
struct blob {
    uint8_t *data;
    size_t len;
};

struct nonce {
    uint8_t data[NONCE_MAX];
    size_t len;
};

/* Where the two are about a PPK (RFC 8784 3). */
enum ppk_stage {
    PPK_OPEN,    /* no AUTH of the initiator's has been sent, or judged */
    PPK_OFFERED, /* initiator: it has, with PPK_IDENTITY; whether it counts the answer tells */
    PPK_GRANTED, /* responder: it counts, and the answer has to say so */
    PPK_SETTLED
};

/* What is needed until both sides are proven, then wiped. */
struct handshake {
    struct kex *kex;
    enum ke_id ke; /* the method the next request uses */
    struct nonce nonce_i, nonce_r;
    struct blob init_request, init_response; /* as sent or received (RFC 7296 2.15) */
    uint8_t cookie[SA_COOKIE_MAX];
    size_t cookie_len;
    uint64_t answered_by[SA_ANSWERS_MAX]; /* spi_r of the answers so far, each good for one try */
    size_t answer_count;
    unsigned restarts; /* COOKIE and INVALID_KE_PAYLOAD rounds so far */
    hash_set peer_hashes;
    bool peer_childless; /* CHILDLESS_IKEV2_SUPPORTED (RFC 6023) */
    bool peer_ppk;       /* both announced USE_PPK (RFC 8784) */
    enum ppk_stage ppk;
    struct ike_keys mixed; /* PPK_OFFERED: the keys with the PPK in them */
    uint32_t child_spi_in;
    bool second; /* initiator: the gateway and our first proof are good, the second is next */
    /* EAP (RFC 7296 2.16). */
    struct eap_peer *eap;      /* initiator, once the gateway has proven itself */
    struct secret msk;         /* empty where the method makes none */
    struct blob peer_id_body;  /* of the peer's ID payload: AUTH is about it */
    struct blob asked_bytes;   /* responder: what the client asked for in its first IKE_AUTH, */
    struct payload_list asked; /* which is granted in the last */
    /* An unauthenticated complaint is believed only when no good answer comes in time. */
    mono_ms complaint_at; /* MONO_NEVER: none */
    enum session_down_reason complaint;
    struct fault complaint_fault;
};

/* What our outstanding request is about, and what its answer will need. */
enum task_kind {
    TASK_NONE, /* IKE_SA_INIT, IKE_AUTH, a plain liveness check: nothing to remember */
    TASK_NEW_CHILD,
    TASK_REKEY_CHILD,
    TASK_DELETE_CHILD,
    TASK_REKEY_IKE,
    TASK_UPDATE, /* UPDATE_SA_ADDRESSES */
    TASK_PROBE   /* MOBIKE's liveness check, or its questions */
};

enum { TASK_DELETED_MAX = 4, COOKIE2_LEN = 16 };

struct task {
    enum task_kind kind;
    struct kex *kex; /* NULL: no key exchange in it */
    struct nonce nonce_i;
    uint32_t child_spi_in;        /* of the child to rekey */
    uint32_t new_spi_in;          /* of the child to be */
    uint64_t new_spi;             /* of the IKE SA to be */
    uint8_t cookie2[COOKIE2_LEN]; /* to be returned (RFC 4555 3.7), where it was sent */
    bool cookie2_sent;
    /* Unknown SPIs that the peer deleted meanwhile: perhaps of what it made for us. */
    uint32_t deleted_out[TASK_DELETED_MAX];
    size_t deleted_count;
};

enum child_state {
    CHILD_INSTALLED,
    CHILD_REKEYING, /* our request to replace it is out */
    CHILD_REPLACED, /* it has a successor; one side is about to delete it */
    CHILD_DELETING, /* our Delete is out */
    CHILD_LINGERING /* gone for the peer; what is still on the way may come in */
};

struct child_sa {
    enum child_state state;
    struct ike_sa *sa;
    uint32_t spi_in, spi_out;
    struct selector_list local, remote;
    struct suite suite;
    bool installed;      /* the driver has its keys; false: only there to be deleted */
    bool drained;        /* nothing leaves by it any more */
    bool rekey_wanted;   /* asked for, or a bound in bytes or packets is near */
    bool delete_wanted;  /* we have to send a Delete for it */
    struct nonce lowest; /* the lower one of the exchange that made it (RFC 7296 2.8.1) */
    uint32_t rival;      /* the successor that the peer's rekeying made while ours is out; 0 */
    uint32_t successor;  /* in CHILD_REPLACED: whatever came in its place; 0 */
    uint32_t generation; /* rekeys that led here */
    mono_ms rekey_at;    /* soft end; MONO_NEVER */
    mono_ms expires_at;  /* hard end; in CHILD_REPLACED: when we delete it ourselves; in
                            CHILD_LINGERING: when it is forgotten */
};

struct ike_sa {
    struct session *session;
    const struct session_config *config;
    enum sa_state state;
    bool initiator; /* the original initiator of this IKE SA: of its first exchange or rekeying */
    uint64_t spi_i, spi_r;
    struct path path;
    struct window window;
    struct handshake *handshake; /* NULL once established */
    struct task task;            /* of window.request */
    /* RFC 7383: pieces of the peer's requests, and of its responses; our outstanding request, where
     * it went in pieces and may have to be cut smaller; what the path is believed to bear. */
    struct fragment_assembly assemblies[2];
    mono_ms pieces_until[2]; /* when what is not whole by then is dropped */
    struct fragment_draft draft;
    uint16_t fragment_mtu;
    struct suite suite;
    struct ike_keys keys;
    struct aead *seal, *open;
    uint64_t seal_counter;
    uint8_t init_hash[SHA256_LEN]; /* responder: of the IKE_SA_INIT request that it began with */
    bool nat_local, nat_remote;
    bool send_remote_id; /* initiator: IDr in IKE_AUTH */
    bool peer_fragmentation, peer_mobike, peer_redirects;
    bool ppk;                /* its keys, or those they come from, have a PPK in them */
    struct identity peer_id; /* once proven */
    mono_ms established;
    mono_ms last_in; /* last authenticated message */
    int64_t rtt_ms;

    bool rekey_wanted;
    uint32_t rekeys;      /* that led here */
    struct nonce lowest;  /* as a child's */
    struct ike_sa *rival; /* the successor that the peer's rekeying made while ours is out */
    mono_ms rekey_at;     /* soft end of its keys */
    mono_ms expires_at;   /* hard end; in SA_REPLACED: when we delete it ourselves; in SA_DEAD:
                             when it is forgotten */
    mono_ms reauth_at;    /* the peer announced an end to its trust (RFC 4478) */
    mono_ms retry_at;     /* after TEMPORARY_FAILURE: nothing is tried again before */
    uint32_t retries;     /* in a row */
    bool silent;          /* the outstanding request has been sent too often */
    mono_ms hold_until;   /* and until then it goes on; MONO_NEVER */

    /* To be closed as soon as the window allows: with a Delete, or with this notify. */
    bool close_wanted;
    uint16_t close_notify; /* 0: a Delete */
    mono_ms close_by;      /* when the peer's answer is no longer waited for */
    enum session_down_reason end_reason;
    struct fault end_fault;
    bool contender; /* of an attempt: one of those who answered */
    bool disowned;  /* the session expects its end, and nothing follows from it */
    bool buried;    /* dead, and the session has dealt with that */

    struct redirect_target *redirect; /* owned; where the peer is to be sent (RFC 5685 5) */
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

CHECKED enum err sa_new(struct session *s, const struct session_config *config, bool initiator,
                        struct ike_sa **ret);
void sa_free(struct ike_sa *sa);
/* False where the message was of no use: it was dropped, or its answer repeated. */
bool sa_input(struct ike_sa *sa, mono_ms now, const struct path *path,
              const struct ike_header *header, struct span message);
CHECKED enum err sa_handshake_new(struct ike_sa *sa);
void sa_handshake_free(struct ike_sa *sa);
void task_end(struct task *t);
CHECKED enum err blob_set(struct blob *b, struct span bytes);
/* Keys are of no use any more, answers still are. */
void sa_forget_keys(struct ike_sa *sa);
/* Ciphers from sa->keys. */
CHECKED enum err sa_make_ciphers(struct ike_sa *sa);
/* Draws the ends of its life, from config->lifetimes. */
void sa_start_life(struct ike_sa *sa, mono_ms now);
/* Is it one on which exchanges go on? */
bool sa_alive(const struct ike_sa *sa);
/* IKE_AUTH has begun, and is not over. */
bool sa_authenticating(const struct ike_sa *sa);

/* The IKE SA ends now, without a word to the peer. */
void sa_die(struct ike_sa *sa, enum session_down_reason reason, const struct fault *f);
/* Tell the peer as soon as the window allows (a Delete; or AUTHENTICATION_FAILED, RFC 7296 2.21.2),
 * then end. */
void sa_close(struct ike_sa *sa, mono_ms now, enum session_down_reason reason,
              const struct fault *f, uint16_t notify);
/* Something authentic of the peer's came in. */
void sa_heard(struct ike_sa *sa, mono_ms now);
/* Our request has its answer: measures the round trip; the next request may go. */
void sa_answered(struct ike_sa *sa, mono_ms now);
/* The peer has no time for us now (TEMPORARY_FAILURE): later, and then still later. */
void sa_retry_later(struct ike_sa *sa, mono_ms now);

/* --- sa_timers.c --- */

mono_ms sa_next_timeout(const struct ike_sa *sa);
void sa_handle_timeout(struct ike_sa *sa, mono_ms now);
/* Sends the next request that is due, where none is out. */
void sa_pump(struct ike_sa *sa, mono_ms now);

/* --- sa_message.c --- */

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
/* The outstanding request again; in smaller pieces where larger ones brought no answer. */
void sa_request_repeat(struct ike_sa *sa, mono_ms now);
/* A response that holds one notify and nothing else. */
CHECKED enum err sa_response_notify(struct ike_sa *sa, const struct sa_input *in, uint16_t type,
                                    struct span data);

/* Helpers of several exchanges. */
CHECKED enum err nonce_set(struct nonce *n, struct span value);
void nonce_make(const struct ike_sa *sa, struct nonce *n);
struct span nonce_span(const struct nonce *n);
/* As octet strings are compared: the first octet that differs decides, then the length. */
bool nonce_lower(const struct nonce *a, const struct nonce *b);
uint64_t sa_new_spi(const struct ike_sa *sa);
void write_proposals(struct message_writer *m, const struct proposal_list *l);

/* --- abilities.c: what IKE_SA_INIT announces --- */

void abilities_write(const struct ike_sa *sa, struct message_writer *m);
void abilities_read(struct ike_sa *sa, const struct sa_input *in);

/* --- exchange_init.c --- */

/* NAT_DETECTION_SOURCE_IP and _DESTINATION_IP of a message on that path (RFC 7296 2.23). */
void nat_detection_write(const struct ike_sa *sa, struct message_writer *m, const struct path *path,
                         uint64_t spi_r);
/* True where notifies of that type came and none of them is of that endpoint. */
bool nat_between(const struct sa_input *in, uint16_t type, const struct endpoint *e);
CHECKED enum err init_request_send(struct ike_sa *sa, mono_ms now);
CHECKED enum err init_request_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err init_response_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err init_notify_in(struct ike_sa *sa, struct sa_input *in);
/* Choose for a request; an initiator that guessed an acceptable group is not sent away for a more
 * preferred one (RFC 7296 2.7 leaves the choice to us, a round trip is worth more). */
CHECKED enum err init_choose(const struct proposal_list *ours, const struct proposal_list *offered,
                             uint16_t method, struct proposal *ret);

/* --- exchange_create.c: CREATE_CHILD_SA, whatever it creates --- */

CHECKED enum err create_request_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err create_request_not_now_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err create_response_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err create_notify_in(struct ike_sa *sa, struct sa_input *in);
/* The group that INVALID_KE_PAYLOAD asks for: one of ours, and not the one that was refused.
 * ERR_REFUSED. */
CHECKED enum err create_other_group(const struct ike_sa *sa, const struct proposal_list *ours,
                                    const struct notify_payload *n, enum ke_id *ret);

/* --- exchange_child.c --- */

/* Make a child, or (old not NULL) a successor of one. */
CHECKED enum err child_request_send(struct ike_sa *sa, mono_ms now, struct child_sa *old);
CHECKED enum err child_request_in(struct ike_sa *sa, struct sa_input *in,
                                  const struct proposal_list *offered);
CHECKED enum err child_response_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err child_notify_in(struct ike_sa *sa, struct sa_input *in,
                                 const struct notify_payload *n);
/* Words and reason for an error notify that concerns the Child SA or the addresses. */
enum session_down_reason child_refusal(const struct ike_sa *sa, uint16_t type, struct fault *f);
/* Our offer for a child with that SPI; without key exchange methods where there is none to make
 * (IKE_AUTH, RFC 7296 1.2). */
void child_offer(const struct ike_sa *sa, uint32_t spi_in, bool without_ke,
                 struct proposal_list *ret);
/* The peer's SPI in a proposal of a Child SA. */
CHECKED enum err child_spi_read(const struct proposal *p, uint32_t *ret);
void child_spi_put(struct proposal *p, uint32_t spi_in);

/* --- exchange_rekey.c: the IKE SA's own rekeying --- */

CHECKED enum err rekey_request_send(struct ike_sa *sa, mono_ms now);
CHECKED enum err rekey_request_in(struct ike_sa *sa, struct sa_input *in,
                                  const struct proposal_list *offered);
CHECKED enum err rekey_response_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err rekey_notify_in(struct ike_sa *sa, struct sa_input *in,
                                 const struct notify_payload *n);
/* The peer takes its own rekeying for the one that counts: so do we. */
void rekey_settle_for_rival(struct ike_sa *sa, mono_ms now);

/* --- exchange_informational.c --- */

CHECKED enum err informational_request_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err informational_response_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err closing_response_in(struct ike_sa *sa, struct sa_input *in);
/* An empty request: is the peer alive? */
CHECKED enum err informational_probe(struct ike_sa *sa, mono_ms now);
/* Delete the children of this SA that want it. */
CHECKED enum err informational_delete_children(struct ike_sa *sa, mono_ms now);
CHECKED enum err informational_close(struct ike_sa *sa, mono_ms now);
CHECKED enum err informational_redirect(struct ike_sa *sa, mono_ms now,
                                        const struct redirect_target *to);

/* --- exchange_mobike.c --- */

/* IKE_AUTH: that we know MOBIKE, and (responder) where else we are. */
void mobike_write_support(const struct ike_sa *sa, struct message_writer *m);
void mobike_read_support(struct ike_sa *sa, const struct sa_input *in);
void mobike_read_addresses(struct ike_sa *sa, const struct sa_input *in);
CHECKED enum err mobike_update_send(struct ike_sa *sa, mono_ms now);
/* A liveness check whose answer tells how the peer sees us. */
CHECKED enum err mobike_probe_send(struct ike_sa *sa, mono_ms now);
/* Responder: has it something to say of its own accord? */
bool mobike_wants(const struct ike_sa *sa);
CHECKED enum err mobike_send(struct ike_sa *sa, mono_ms now);
/* To a request of the two kinds of task above. */
void mobike_response_in(struct ike_sa *sa, const struct sa_input *in);

/* Does the peer want no translator between us, and there is one (RFC 4555 3.9)? */
bool mobike_nat_unexpected(const struct ike_sa *sa, const struct sa_input *in);

struct mobike_request {
    bool update, nat_detection;
    struct span cookie2; /* to be returned; empty: none */
    uint16_t refusal;    /* 0: none */
};
/* ERR_MALFORMED */
CHECKED enum err mobike_request_read(const struct ike_sa *sa, const struct sa_input *in,
                                     struct mobike_request *ret);
void mobike_answer_write(struct ike_sa *sa, struct message_writer *m, const struct sa_input *in,
                         const struct mobike_request *q);
void mobike_request_act(struct ike_sa *sa, const struct sa_input *in,
                        const struct mobike_request *q);

/* --- child.c --- */

/* Inbound SPIs are unpredictable, non-zero, and outside the reserved range (RFC 4303 2.1). */
uint32_t child_new_spi(struct ike_sa *sa);

struct child_terms {
    uint32_t spi_in, spi_out;
    struct suite suite;
    struct span shared; /* g^ir of its own key exchange, or empty */
    const struct nonce *nonce_i, *nonce_r;
    const struct selector_list *local, *remote;
    bool we_initiated; /* the exchange is ours */
};
/* Derive keys, keep the child, tell the driver (CHILD_UP). old: the one it replaces, or NULL. */
CHECKED enum err child_install(struct ike_sa *sa, mono_ms now, const struct child_terms *t,
                               struct child_sa *old, struct child_sa **ret);
/* A child that the peer has and we could not make: there to be deleted. */
void child_discard(struct ike_sa *sa, mono_ms now, uint32_t spi_in);
/* NULL where there is none of that SA. */
struct child_sa *child_by_spi_in(const struct session *s, uint32_t spi_in);
struct child_sa *child_by_spi_out(const struct ike_sa *sa, uint32_t spi_out);
struct child_sa *child_first(const struct ike_sa *sa); /* in use or about to be; NULL for none */
/* No more packets leave by it; those on their way still come in for a while, where another child
 * carries on. */
void child_drain(struct child_sa *c);
void child_gone(struct child_sa *c, mono_ms now);
/* By the peer. Where it made that one, and could not use it, and does not delete what it stood in
 * for (RFC 7296 2.8), that goes on. */
void child_deleted(struct child_sa *c, mono_ms now);
void child_remove(struct child_sa *c); /* at once */
void children_remove(struct ike_sa *sa);
void children_gone(struct ike_sa *sa, mono_ms now);
void children_move(struct ike_sa *from, struct ike_sa *to);
/* A successor made by us or the peer stands: who deletes what (RFC 7296 2.8.1). */
void child_replaced(struct child_sa *old, struct child_sa *made, bool we_initiated, mono_ms now);
mono_ms children_next_timeout(const struct ike_sa *sa);
void children_handle_timeout(struct ike_sa *sa, mono_ms now);

/* --- session.c --- */

/* The buffer in which messages are built: IKE_MESSAGE_MAX octets. */
uint8_t *session_buffer(struct session *s);
/* The buffer in which they are decrypted, of the same size. */
uint8_t *session_scratch(struct session *s);
/* The buffer in which they are sealed: FRAGMENT_TRAIN_MAX octets. */
uint8_t *session_train(struct session *s);
/* A message, or the train of its pieces. */
void session_transmit(struct session *s, const struct path *path, struct span train);
/* A new event at the end of the queue, zeroed but for its type; NULL without memory. */
struct session_event *session_emit(struct session *s, enum session_event_type type);
struct child_sa **session_children(const struct session *s); /* CHILDREN_MAX places */
/* What a Child SA of this session may cover at most: ours, the peer's. */
const struct selector_list *session_scope_local(const struct session *s);
const struct selector_list *session_scope_remote(const struct session *s);
void session_set_scope(struct session *s, const struct selector_list *local,
                       const struct selector_list *remote);
/* Initiator: what the gateway assigned last, to be asked for again; no address at first. */
const struct configuration *session_assigned(const struct session *s);
void session_set_assigned(struct session *s, const struct configuration *c);

/* --- lifecycle.c --- */

bool session_is_current(const struct ike_sa *sa);
bool session_was_up(const struct session *s);
/* Both sides are proven: the session lives on this IKE SA from now on. */
void session_established(struct ike_sa *sa, mono_ms now);
/* `made` carries on what `old` carried; who deletes which is the exchange's business. */
void session_replaced(struct ike_sa *old, struct ike_sa *made, mono_ms now);
/* The IKE SA that `rival` would succeed, were its own rekeying not the other one; NULL. */
struct ike_sa *session_predecessor(const struct ike_sa *rival);
/* The peer's trust in us ends then (RFC 4478). */
void session_auth_lifetime(struct ike_sa *sa, mono_ms now, uint32_t lifetime_s);
/* An IKE SA beside the first one; ERR_LIMIT. On success the session owns it. */
CHECKED enum err session_add_sa(struct session *s, struct ike_sa *sa);
/* The current IKE SA's request is not answered; an IKE SA's peer has been heard. */
void session_silent(struct ike_sa *sa, mono_ms now);
void session_heard(struct ike_sa *sa, mono_ms now);
/* Initiator: what the peer refuses to renew is built anew, beside what stands. */
void session_reauthenticate(struct session *s, mono_ms now);
/* Initiator: an IKE SA for an answer to IKE_SA_INIT, beside whatever other answers bring;
 * ERR_LIMIT. On success the session owns it. */
CHECKED enum err session_contend(struct ike_sa *sa);
/* Initiator: the gateway has proven itself on this one, and EAP is next: nobody else need be asked.
 */
void session_proven(struct ike_sa *sa);
/* How patiently an IKE_SA_INIT request is sent. */
const struct session_retransmit *session_init_policy(const struct session *s);
/* Initiator: AUTHENTICATION_FAILED, which need not mean our credentials. After we named the
 * gateway: begin again without naming it, so that its own name can be seen. After IKE_SA_INIT had
 * to be sent anew: begin afresh, for which of the requests was answered, and so what was to be
 * signed, is not known for certain. False where that has been done already. */
bool session_retry_without_remote_id(struct ike_sa *sa, mono_ms now);
bool session_retry_afresh(struct ike_sa *sa, mono_ms now);
/* Initiator: the gateway sends us elsewhere (RFC 5685). False where it does so too often. */
bool session_follow_redirect(struct ike_sa *sa, mono_ms now, const struct redirect_target *to);
/* Do we let ourselves be sent elsewhere? */
bool session_wants_redirect(const struct session *s);
/* Initiator: what was given for one use (a code) has been used; has it been? */
void session_spend_password(struct session *s);
bool session_password_spent(const struct session *s);
/* Initiator: it is not what the gateway wants, and would not be if it were said again. */
void session_refuse_password(struct session *s);
/* Where we were sent away from; family none: nowhere. */
const struct ip *session_redirected_from(const struct session *s);

/* --- roam.c --- */

/* Initiator: no way to the gateway is known. Nothing is sent. */
bool session_stranded(const struct session *s);
/* Initiator: does the connection on this IKE SA move by MOBIKE? */
bool session_roams(const struct ike_sa *sa);
/* A request, for the first time and again: by the path, by the one that is probed, or by all. */
void roam_asking(struct ike_sa *sa, struct span train);
void roam_transmit(struct ike_sa *sa, struct span train);
/* What is to be asked next; and that it is being asked. */
bool roam_wants_update(const struct ike_sa *sa);
void roam_updating(struct ike_sa *sa);
bool roam_wants_probe(const struct ike_sa *sa, mono_ms now); /* of another way */
void roam_probing(struct ike_sa *sa, mono_ms now);
/* Of the path in use; true where an answer was not the end of it, so that the peer is to be told
 * where we are. */
bool roam_doubting(struct ike_sa *sa);
bool roam_gateway_has_several(const struct ike_sa *sa); /* addresses */
/* An authentic response came, before it is acted upon; an authentic request. */
void roam_answered(struct ike_sa *sa, const struct sa_input *in);
void roam_asked(struct ike_sa *sa, const struct sa_input *in);
/* Is the path that the outstanding request went by, and no other, the one in use? */
bool roam_certain(const struct ike_sa *sa);
/* The peer has taken UPDATE_SA_ADDRESSES; or has refused. */
/* The answer to a question does not tell how the peer sees us. */
void roam_uncertain(struct ike_sa *sa);
void roam_updated(struct ike_sa *sa, mono_ms now);
void roam_refused(struct ike_sa *sa, mono_ms now);
/* So the peer hashes our end of the path (NAT_HASH_LEN octets); was_nat: sa->nat_local before. */
void roam_seen_as(struct ike_sa *sa, mono_ms now, struct span hash, bool was_nat);
/* That IKE SA has become current by rekeying. */
void roam_replaced(struct ike_sa *made);
/* RFC 4555 3.7: a fresh COOKIE2 for a request; the one that its answer must return, if any. */
/* Responder: the client is where that message came from. Whether that has to be checked, whether
 * our addresses are to be told; both are being said; the client answered. */
void roam_peer_moved(struct ike_sa *sa, const struct sa_input *in);
bool roam_wants_check(const struct ike_sa *sa);
bool roam_wants_announcement(const struct ike_sa *sa);
void roam_said(struct ike_sa *sa);
void roam_checked(struct ike_sa *sa);

/* --- addresses.c --- */

/* Initiator: can that be an address of the gateway's? */
bool addresses_usable(const struct ike_sa *sa, const struct ip *ip);
/* These are all that it has beside the path's, SESSION_ADDITIONAL_MAX at most; born: when the IKE
 * SA that says so was established. */
void addresses_said(struct ike_sa *sa, mono_ms now, mono_ms born, const struct ip *items,
                    size_t count);

/* --- keepalive.c --- */

/* Is it time to ask whether the translator in front of us still remembers? It is being asked. */
bool keepalive_wants_question(const struct session *s, mono_ms now);
void keepalive_asking(struct session *s, mono_ms now);

/* --- liveness.c --- */

/* Is a liveness check wanted now? */
bool session_wants_probe(const struct session *s, mono_ms now);
/* Is there a hint, not yet disproved, that the peer forgot us? */
bool session_hinted(const struct session *s);
/* Has something been sent through a Child SA just now? Has anything authentic come in, and after
 * `since`? */
bool session_in_use(const struct session *s, mono_ms now);
bool session_heard_lately(const struct session *s, mono_ms now, mono_ms since);
/* One is on its way. */
void session_probed(struct session *s, mono_ms now);
/* It was answered, or has been asked too often. */
void session_probe_over(struct session *s, mono_ms now, bool answered);

#endif
