/* A client's and a gateway's session for the fuzz targets: as tests/support/pair.h, without Check,
 * with the invariants that hold whatever arrives, and with a look inside so that a message can be
 * sealed as the peer would seal it. */
#ifndef TERN_TESTS_FUZZ_ENDS_H
#define TERN_TESTS_FUZZ_ENDS_H

#include "common/ike/session_state.h"
#include "tests/fuzz/fuzz.h"

struct ends;

/* What one side has seen happen. */
struct ends_side {
    struct session *session;
    bool is_client;
    bool up, down, redirected;
    unsigned children_up, configs, events;
    unsigned datagrams; /* sent */
};

/* Which octets go over the wire; false: lost. `bytes` is the UDP payload. */
typedef bool ends_wire(struct ends *e, bool from_client, const struct path *path,
                       struct span bytes);

struct ends {
    struct session_config client_config, gateway_config;
    struct ends_side client, gateway;
    struct path path;
    mono_ms now;
    uint64_t seed;
    struct secret psk, ppk;
    struct configuration assigned;
    ends_wire *wire; /* NULL: all arrives */
    void *wire_ctx;
    bool lasting; /* the gateway's session stays when another one begins; false: the new one counts
                   */
    struct redirect_target redirect; /* seen last */
};

/* Ways in which a pair may differ. */
enum ends_variant {
    ENDS_CBC = 1,       /* aes128-sha256 instead of a combined mode */
    ENDS_CHILDLESS = 2, /* the first Child SA in an exchange of its own */
    ENDS_SHORT = 4,     /* keys live for seconds */
    ENDS_CHILD_KE = 8,  /* rekeyed Child SAs with a key exchange */
    ENDS_PIECES = 16,   /* for the target: what it seals goes in pieces */
    ENDS_CHECKED = 32,  /* the gateway asks at a new address before it is used (RFC 4555 3.7) */
    ENDS_PPK = 64,      /* a post-quantum pre-shared key, optional at both ends (RFC 8784) */
    ENDS_SECOND = 128   /* the client proves itself twice (RFC 4739) */
};
enum { ENDS_WAYS_MAX = 3 };
void ends_init(struct ends *e, unsigned variant);
void ends_wipe(struct ends *e);
/* The client begins. The gateway's session is made by the first IKE_SA_INIT request. */
void ends_start(struct ends *e);
/* Carries what is waiting on both sides until nothing is, at most a bounded number of times. */
void ends_pump(struct ends *e);
/* The next datagram of a side, judged; false where there is none. */
bool ends_output(struct ends *e, struct ends_side *side, struct session_datagram *ret);
/* A UDP payload arrives at a side that was sent on that path by the other. */
void ends_deliver(struct ends *e, bool to_client, const struct path *sent_on, struct span payload);
/* An IKE message arrives at a side from where the peer is expected. */
void ends_input(struct ends *e, struct ends_side *side, struct span message);
/* The client's network is another: `count` ways (0: none), of four, from the `first` one on. The
 * first of all is the one that it began on; the third leads to another address of the gateway's. */
void ends_networks(struct ends *e, struct ends_side *side, size_t count, unsigned first);
/* Lets time pass to the next deadline of that side, or by ms where that is sooner. */
void ends_wait(struct ends *e, struct ends_side *side, mono_ms ms);
/* Takes and judges the events, and looks at the deadline. */
void ends_judge(struct ends *e, struct ends_side *side);

/* The IKE SA of a session that has keys, is alive, and is `which`-th among those; NULL for none. */
struct ike_sa *ends_sa(const struct session *s, unsigned which);

/* A message to that SA with that chain in its SK payload, or in small pieces (fragment_train_next),
 * sealed as its peer would. *ret_train is empty where it does not fit; good until the next call. */
void ends_seal(const struct ike_sa *sa, const struct ike_header *h, uint8_t first,
               struct span chain, bool in_pieces, struct span *ret_train);
/* Put the right proof by pre-shared key into the chain's AUTH payload, where it has an ID and an
 * AUTH payload of the right size, for the peer of an SA that is waiting for it. */
bool ends_prove(const struct ends *e, const struct ike_sa *sa, uint8_t first, uint8_t *chain,
                size_t len);

#endif
