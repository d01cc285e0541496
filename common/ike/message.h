/* The IKE message: header and the chain of payloads (RFC 7296 3.1, 3.2), as a parser and a writer.
 * What the payloads hold is payload.h's; protection is protect.h's. */
#ifndef TERN_IKE_MESSAGE_H
#define TERN_IKE_MESSAGE_H

#include "common/base/wire.h"
#include "common/ike/numbers.h"

enum {
    PAYLOADS_MAX = 64,      /* more in one chain: dropped */
    IKE_MESSAGE_MAX = 16384 /* octets of one message we build */
};

struct ike_header {
    uint64_t spi_i, spi_r;
    uint8_t next_payload;
    uint8_t major, minor;
    uint8_t exchange; /* enum exchange_type, or unknown */
    uint8_t flags;
    uint32_t message_id;
    uint32_t length; /* octets, header included */
};

/* The 28 octets, without the non-ESP marker. ERR_MALFORMED for a runt or a length that is not the
 * datagram's. Version, SPIs and flags are the caller's to judge. */
CHECKED enum err ike_header_parse(struct span datagram, struct ike_header *ret);

struct payload {
    uint8_t type;
    bool critical;
    uint8_t next;     /* the type named in its own header: for SK the first inner payload */
    struct span body; /* after the four-octet generic header; borrowed */
};

struct payload_list {
    struct payload items[PAYLOADS_MAX];
    size_t count;
};

/* A chain beginning with type `first`. An SK or SKF payload ends it (RFC 7296 3.14), and must be
 * last. ERR_MALFORMED (lengths), ERR_LIMIT (too many), ERR_UNSUPPORTED (an unknown payload has its
 * critical bit set; *ret_bad_type tells which, and *ret is as with ERR_OK). Unknown payloads
 * without it are kept in the list. */
CHECKED enum err payload_list_parse(uint8_t first, struct span bytes, struct payload_list *ret,
                                    uint8_t *ret_bad_type);
size_t payload_count(const struct payload_list *l, uint8_t type);
/* The first of that type; NULL where there is none. */
const struct payload *payload_find(const struct payload_list *l, uint8_t type);
/* The next one after `after` (NULL: the first). */
const struct payload *payload_next(const struct payload_list *l, uint8_t type,
                                   const struct payload *after);

/* Writer: header, then payloads; each knows where the "next payload" octet before it lies. */
struct message_writer {
    struct wire_writer w;
    size_t next_at; /* offset of the octet that names the next payload's type */
};

/* Writes the header with length zero and next payload none. */
void message_begin(struct message_writer *m, uint8_t *buffer, size_t cap,
                   const struct ike_header *h);
/* Generic header; returns its offset, to be handed to payload_end. Body: write to m->w. */
size_t payload_begin(struct message_writer *m, uint8_t type);
void payload_end(struct message_writer *m, size_t at);
/* Whole payload at once */
void payload_write(struct message_writer *m, uint8_t type, struct span body);
/* Patches the header's length. *ret borrows the buffer. ERR_LIMIT where it did not fit. */
CHECKED enum err message_finish(struct message_writer *m, struct span *ret);

#endif
