/* An IKE peer that is driven by hand: it completes a handshake with a real session, so that it
 * knows the keys, and can then say anything: any exchange, flags, message ID and payloads, sealed,
 * in pieces, or in the clear. As the gateway of a client, or as the client of a gateway. */
#ifndef TERN_TESTS_HOSTILE_H
#define TERN_TESTS_HOSTILE_H

#include "common/crypto/kex.h"
#include "common/ike/fragment.h"
#include "common/ike/keys.h"
#include "tests/support/pair.h"

enum { HOSTILE_PAYLOADS_MAX = 80, HOSTILE_BODY_MAX = 1536 };

/* Payloads on their way out, to be changed at will. */
struct hostile_payload {
    uint8_t type, flags; /* flags: 0x80 critical, the rest reserved */
    size_t len;
    uint8_t body[HOSTILE_BODY_MAX];
};
struct hostile_chain {
    struct hostile_payload items[HOSTILE_PAYLOADS_MAX];
    size_t count;
};

/* What the session sent, taken apart: in the clear, or opened with our keys. */
struct hostile_message {
    struct path path; /* as the session sent it */
    struct ike_header header;
    uint8_t raw[IKE_MESSAGE_MAX]; /* without the marker */
    size_t raw_len;
    uint8_t plain[IKE_MESSAGE_MAX];
    bool sealed;  /* in SK, or in pieces */
    bool partial; /* a piece, and the message is not whole yet: no payloads */
    struct payload_list payloads;
};

/* One IKE SA as we see it. */
struct hostile_sa {
    bool initiator; /* we are its original initiator */
    uint64_t spi_i, spi_r;
    struct suite suite;
    struct ike_keys keys;
    struct aead *seal, *open;
    uint64_t counter; /* of our IVs */
    uint32_t next_id; /* of our next request */
};

enum hostile_stage {
    HOSTILE_BEGUN, /* client: its IKE_SA_INIT request is here; gateway: nothing was said */
    HOSTILE_KEYED, /* client: its IKE_AUTH request is here; gateway: it answered IKE_SA_INIT */
    HOSTILE_UP
};

struct hostile {
    struct pair pair;        /* its configurations and policy; change them before hostile_begin */
    bool as_gateway;         /* we are the gateway, the session is a client */
    struct session *session; /* what is tried */
    mono_ms now;
    struct path path; /* where we are, as the session sees it */
    enum hostile_stage stage;

    /* What we do. */
    struct proposal_list ike, esp;
    bool fragmentation; /* say that we can put pieces together */
    bool without_cp;
    enum ke_id child_ke; /* KE_NONE: no key exchange for children of CREATE_CHILD_SA */

    struct hostile_sa sa, before; /* before: the one that was rekeyed */
    struct kex *kex;
    uint8_t nonce_i[NONCE_MAX], nonce_r[NONCE_MAX];
    size_t nonce_i_len, nonce_r_len;
    struct hostile_message init_request, init_response, request; /* request: the session's last */
    struct fragment_assembly assembly;
    uint32_t spi, peer_spi; /* of the first child: ours, the session's inbound one */
    uint32_t next_spi;

    unsigned datagrams; /* that the session sent */
    size_t longest;     /* of them */
    unsigned events[SESSION_EVENT_DOWN + 1];
    struct session_event last[SESSION_EVENT_DOWN + 1];
};

/* Configured with one suite of each kind, so that it comes up. */
void hostile_init(struct hostile *h, bool as_gateway);
void hostile_wipe(struct hostile *h);
/* The session is made; a client starts, and its first request is taken. */
void hostile_begin(struct hostile *h);

/* Header and payloads of what a good peer would say now: its part of IKE_SA_INIT or IKE_AUTH, or
 * an empty INFORMATIONAL request. */
void hostile_next(struct hostile *h, struct ike_header *ret, struct hostile_chain *c);
/* The session's reaction to it brings us to the next stage. */
void hostile_advance(struct hostile *h);
void hostile_reach(struct hostile *h, enum hostile_stage stage);

/* --- what we say --- */

/* A header under the IKE SA as it is now, with our I flag. */
struct ike_header hostile_header(const struct hostile *h, uint8_t exchange, bool response,
                                 uint32_t id);
void hostile_send_clear(struct hostile *h, const struct ike_header *header,
                        const struct hostile_chain *c);
void hostile_send_sealed(struct hostile *h, const struct ike_header *header,
                         const struct hostile_chain *c);
/* Sealed, with these octets as what is inside. */
void hostile_send_inner(struct hostile *h, const struct ike_header *header, uint8_t first,
                        struct span inner);
/* A chain as octets; returns their number. */
size_t hostile_flatten(const struct hostile_chain *c, uint8_t out[IKE_MESSAGE_MAX]);
/* Cut into that many pieces; bit i of `which` set: piece i + 1 is sent. */
void hostile_send_pieces(struct hostile *h, const struct ike_header *header,
                         const struct hostile_chain *c, uint16_t total, uint32_t which);
void hostile_send_bytes(struct hostile *h, struct span message);
/* Builds a message without sending it; returns its length. */
size_t hostile_seal(struct hostile *h, const struct ike_header *header,
                    const struct hostile_chain *c, uint8_t out[IKE_MESSAGE_MAX]);
/* A request of ours, sealed, with the next ID, which is used up. */
void hostile_ask(struct hostile *h, uint8_t exchange, const struct hostile_chain *c);
/* The answer to h->request. */
void hostile_answer(struct hostile *h, const struct hostile_chain *c);

/* Time passes up to then; what falls due is handled. What the session sends meanwhile is left for
 * hostile_receive. */
void hostile_run(struct hostile *h, mono_ms until);

/* --- what it says --- */

/* The next datagram; false where there is none. Fails the test where it is no proper message. A
 * request is kept in h->request. What is sealed is opened once there are keys. */
bool hostile_receive(struct hostile *h, struct hostile_message *m);
/* There must be one, of that exchange and direction. */
void hostile_expect(struct hostile *h, struct hostile_message *m, uint8_t exchange, bool response);
void hostile_expect_nothing(struct hostile *h);
/* The message holds one notify of that type and nothing else. */
void hostile_ck_notify_alone(const struct hostile_message *m, uint16_t type);
/* An empty request of ours is answered as it should be. */
void hostile_ck_alive(struct hostile *h);

/* What a session is, seen from outside. */
struct hostile_view {
    struct session_status status;
    unsigned events, datagrams;
    mono_ms deadline;
};
void hostile_look(struct hostile *h, struct hostile_view *ret);
/* Nothing was sent, said or changed since. */
void hostile_ck_unchanged(struct hostile *h, const struct hostile_view *before);

/* --- payloads --- */

void hostile_add(struct hostile_chain *c, uint8_t type, struct span body);
void hostile_add_notify(struct hostile_chain *c, uint16_t type, struct span data);
void hostile_insert(struct hostile_chain *c, size_t at, uint8_t type, struct span body);
void hostile_remove(struct hostile_chain *c, size_t at);
void hostile_double(struct hostile_chain *c, size_t at);
/* The first of that type; fails the test where there is none. */
struct hostile_payload *hostile_find(struct hostile_chain *c, uint8_t type);
void hostile_add_proposals(struct hostile_chain *c, const struct proposal_list *l);
void hostile_add_ke(struct hostile_chain *c, uint16_t method, struct span value);
void hostile_add_ts(struct hostile_chain *c, uint8_t type, const char *prefix);
void hostile_add_delete(struct hostile_chain *c, const uint32_t *spis, size_t count);

/* CREATE_CHILD_SA. A child, new or (spi not 0) in place of the one that we call by it; the
 * successor of the IKE SA. h->kex, nonces and SPIs are fresh. */
void hostile_child_request(struct hostile *h, struct hostile_chain *c, uint32_t rekeyed);
void hostile_child_response(struct hostile *h, struct hostile_chain *c);
void hostile_ike_request(struct hostile *h, struct hostile_chain *c);
void hostile_ike_response(struct hostile *h, struct hostile_chain *c);
/* Both sides have said their part, of which `theirs` is the session's: keys of the successor. */
void hostile_ike_follow(struct hostile *h, const struct hostile_message *theirs);
/* A client begins afresh: its IKE_SA_INIT request is h->request. The IKE SA so far is h->before. */
void hostile_restart(struct hostile *h);
/* Our words come under the predecessor again, or no longer; call it in pairs. */
void hostile_swap(struct hostile *h);

#endif
