/* Messages too long for their path, in pieces that are IKE messages themselves (RFC 7383).
 *
 * Only what is encrypted can be cut, so IKE_SA_INIT never is; and only where both ends said
 * IKEV2_FRAGMENTATION_SUPPORTED.
 *
 * To send: build the message as ever (sk_begin, payloads), then instead of sk_seal
 *
 *     struct fragment_draft d;
 *     fragment_draft_init(&d, &m, sk_at);
 *     max = fragment_datagram_max(mtu, ipv6, marker);
 *     fragment_seal(&d, aead, &counter, max, out, cap, &train);
 *
 * and send what fragment_train_next takes off the train, now and at every retransmission. Where a
 * request in pieces (d.total > 0) may have to be cut smaller later, fragment_draft_keep(&d) and put
 * d beside the outstanding request: after some transmissions without an answer take the next size
 * of fragment_mtu_next and call fragment_seal again with the same draft (the same message ID, new
 * IVs), which makes sure that the total grows: by that the peer tells the sets apart (2.5.2). Wipe
 * the draft when the exchange ends. A responder cuts its answer once and repeats it as it is.
 *
 * To receive: skf_open, then, where the window would take a message with this ID, fragment_add;
 * when that completes the message, fragment_assembly_result and payload_list_parse, and at the end
 * fragment_assembly_wipe. A whole message (SK) of the same ID needs no pieces: handle it and wipe.
 * Of a request that was answered already, piece 1 alone has the answer repeated, once it has
 * opened, whatever its total; the other pieces are dropped (2.6.1). */
#ifndef TERN_IKE_FRAGMENT_H
#define TERN_IKE_FRAGMENT_H

#include "common/ike/protect.h"

enum {
    FRAGMENTS_MAX = 64, /* pieces of one message, both ways */
    /* Room for the train of the longest message: each piece costs at most 28 octets of header, 8 of
     * payload header, 16 of IV, 16 of padding, 32 of ICV. */
    FRAGMENT_TRAIN_MAX = IKE_MESSAGE_MAX + FRAGMENTS_MAX * 100
};

/* --- sending --- */

/* A message built, and not yet sealed. */
struct fragment_draft {
    struct span unsealed; /* header, clear payloads, SK payload in plain; borrowed unless kept */
    size_t sk_at;
    uint16_t total; /* pieces when it was last sealed in pieces; 0: never so far */
    uint8_t *own;   /* the copy, where kept */
};

/* Borrows m's buffer. sk_at: what sk_begin returned. ERR_LIMIT where the message did not fit m, or
 * is longer than IKE_MESSAGE_MAX. */
CHECKED enum err fragment_draft_init(struct fragment_draft *d, const struct message_writer *m,
                                     size_t sk_at);
/* From here on the draft owns a copy and m's buffer may go. ERR_MEMORY (d stays as it was). */
CHECKED enum err fragment_draft_keep(struct fragment_draft *d);
/* Wipes and frees the copy; a borrowed buffer, which holds plaintext still, is its owner's. */
void fragment_draft_wipe(struct fragment_draft *d);

/* The message in datagrams of at most datagram_max octets (IKE header to ICV): sealed whole where
 * that fits (SIZE_MAX: always), else as a train of pieces, one after the other in out. Clear
 * payloads before SK go into piece 1. Each sealing uses one value of *counter and advances it, on
 * errors too. *ret_train borrows out, which must not overlap the draft; FRAGMENT_TRAIN_MAX octets
 * suffice for every train. ERR_LIMIT where datagram_max leaves no room, FRAGMENTS_MAX pieces do not
 * suffice, the total cannot grow any more, or out is too short; out is wiped on errors. */
CHECKED enum err fragment_seal(struct fragment_draft *d, const struct aead *a, uint64_t *counter,
                               size_t datagram_max, uint8_t *out, size_t cap,
                               struct span *ret_train);

/* Takes the first message off the front. A single message is a train too. False, and nothing is
 * taken, at the end and where no whole message is left. */
bool fragment_train_next(struct span *train, struct span *ret_message);

/* Octets that IKE has in an IP packet of mtu octets; 0 where none. marker: on port 4500 */
size_t fragment_datagram_max(uint16_t mtu, bool ipv6, bool marker);
/* The next smaller packet to try where mtu brought no answer; 0 where every path must bear mtu
 * already (RFC 7383 2.5.1). */
uint16_t fragment_mtu_next(uint16_t mtu, bool ipv6);

/* --- receiving --- */

/* The pieces of one message of one peer, in any order: one for requests, one for responses. Zero
 * is the empty one. The buffer, IKE_MESSAGE_MAX octets, stands from the first piece to the wipe. */
struct fragment_assembly {
    uint32_t id;
    uint8_t exchange;
    bool response;
    uint8_t first;
    uint16_t total;  /* 0: empty */
    uint16_t count;  /* pieces that are here */
    size_t len;      /* octets of them */
    size_t largest;  /* longest message that brought one: the path bears that much */
    uint8_t *buffer; /* owned: the pieces that are here, joined in order */
    bool here[FRAGMENTS_MAX];
    uint16_t lens[FRAGMENTS_MAX]; /* 0 where not here */
};

/* Add a piece that skf_open vouched for. *ret_complete: the message is whole.
 * A piece of another message (ID, exchange, direction) or of a larger total, the sender having cut
 * smaller, discards what is here and begins anew (RFC 7383 2.6).
 * ERR_REPLAYED (here already, or of a smaller total, or the message is whole), ERR_LIMIT (more than
 * FRAGMENTS_MAX or IKE_MESSAGE_MAX), ERR_MALFORMED, ERR_MEMORY: nothing changed. */
CHECKED enum err fragment_add(struct fragment_assembly *f, const struct ike_header *h,
                              const struct skf_payload *p, bool *ret_complete);
/* Of a complete one: the chain for payload_list_parse, borrowed until the wipe. */
void fragment_assembly_result(const struct fragment_assembly *f, uint8_t *ret_first,
                              struct span *ret_inner);
/* Empties, wipes and frees. */
void fragment_assembly_wipe(struct fragment_assembly *f);

#endif
