/* Message IDs, retransmission and repeats (RFC 7296 2.1 to 2.3), with a window of one each way. */
#ifndef TERN_IKE_WINDOW_H
#define TERN_IKE_WINDOW_H

#include "common/base/mono.h"
#include "common/crypto/prf.h"
#include "common/ike/session.h"

/* Our outstanding request. The bytes are sent as they are, every time, unless they are recut. */
struct window_request {
    bool active;
    uint8_t exchange;
    uint32_t id;
    uint8_t *bytes; /* owned: a message, or its pieces one after the other */
    size_t len;
    uint32_t sent;     /* transmissions so far */
    mono_ms first_at;  /* time of the first */
    mono_ms next_at;   /* when to send again, or to give up */
    uint64_t interval; /* ms, the one that runs */
    struct session_retransmit policy;
};

struct window {
    uint32_t next_id; /* of our next request */
    struct window_request request;

    uint32_t expected_id; /* of the peer's next request */
    uint8_t *response;    /* to the peer's last request; owned, NULL for none */
    size_t response_len;
    uint8_t request_hash[SHA256_LEN]; /* of that request, as received */
};

void window_init(struct window *w);
void window_wipe(struct window *w);

/* Begin a request with the ID next_id: copies the bytes and counts the first transmission. The
 * caller sends them. ERR_STATE where one is outstanding; ERR_EXHAUSTED at the last ID. */
CHECKED enum err window_request_begin(struct window *w, mono_ms now, uint8_t exchange,
                                      struct span bytes, const struct session_retransmit *policy);

enum window_due { WINDOW_WAIT, WINDOW_RESEND, WINDOW_FAILED };
/* To be asked at next_at; RESEND counts the transmission and arms the next interval. */
enum window_due window_request_due(struct window *w, mono_ms now);
/* It has been sent as often as the policy says, and is to go on all the same, every pace_ms. */
void window_request_go_on(struct window *w, mono_ms now, uint32_t pace_ms);
/* The next transmission is not to be later than that. */
void window_request_no_later(struct window *w, mono_ms at);
/* It goes another way, or the way has come back: the schedule begins anew, with a transmission that
 * the caller makes. */
void window_request_anew(struct window *w, mono_ms now);
/* The same request in other pieces (RFC 7383 2.5.1): from now on these bytes are sent. */
CHECKED enum err window_request_recut(struct window *w, mono_ms now, struct span bytes);
/* Does this response answer the outstanding request? */
bool window_request_matches(const struct window *w, uint8_t exchange, uint32_t id);
/* The exchange is over; the next request gets the next ID. The round trip in ms where it is known
 * for certain (one transmission alone), else -1. */
int64_t window_request_end(struct window *w, mono_ms now);
/* The first request, IKE_SA_INIT, was made elsewhere; the next has ID 1. */
void window_begin_at_one(struct window *w);
/* Forget the request and its ID: IKE_SA_INIT begins anew with ID 0 (RFC 7296 2.6, 2.7). */
void window_request_restart(struct window *w);

enum window_arrival { WINDOW_NEW, WINDOW_REPEAT, WINDOW_FOREIGN };
/* A request of the peer: the expected one; its last one again, to the octet, whose response is to
 * be repeated; or neither, to be dropped. */
enum window_arrival window_arrival(const struct window *w, uint32_t id, struct span message);
/* The peer's last request again, to the octet? */
bool window_is_repeat(const struct window *w, uint32_t id, struct span message);
/* Has a request with that ID been answered, and nothing come after it? */
bool window_is_answered(const struct window *w, uint32_t id);
/* Keep the response to the request that was just handled. */
CHECKED enum err window_respond(struct window *w, struct span request, struct span response);

#endif
