/* Cursor over received bytes and builder of sent ones, network byte order.
 *
 * Both have a sticky failure: after the first overrun every read returns zero (or an empty span)
 * and every write does nothing, so that a parser reads like the figure in the RFC and asks once, at
 * the end, whether all of it held. No other file does pointer arithmetic on peer data. */
#ifndef TERN_BASE_WIRE_H
#define TERN_BASE_WIRE_H

#include "common/base/err.h"
#include "common/base/span.h"

struct wire_reader {
    struct span bytes;
    size_t at; /* next octet to read, <= bytes.len */
    bool failed;
};

void wire_reader_init(struct wire_reader *r, struct span bytes);
uint8_t wire_read_u8(struct wire_reader *r);
uint16_t wire_read_u16(struct wire_reader *r);
uint32_t wire_read_u32(struct wire_reader *r);
uint64_t wire_read_u64(struct wire_reader *r);
/* The next len octets, borrowed; empty on failure. */
struct span wire_read_span(struct wire_reader *r, size_t len);
/* All that is left (perhaps nothing); empty after a failure. */
struct span wire_read_rest(struct wire_reader *r);
void wire_skip(struct wire_reader *r, size_t len);
/* Octets left; 0 after a failure, so that `while (wire_left(&r) > 0)` ends. */
size_t wire_left(const struct wire_reader *r);
void wire_read_fail(struct wire_reader *r);
/* ERR_MALFORMED on a failure or where octets are left over. */
CHECKED enum err wire_read_finish(const struct wire_reader *r);

struct wire_writer {
    uint8_t *data; /* caller's buffer */
    size_t cap;    /* its size in octets */
    size_t len;    /* written so far */
    bool failed;
};

void wire_writer_init(struct wire_writer *w, uint8_t *data, size_t cap);
void wire_write_u8(struct wire_writer *w, uint8_t v);
void wire_write_u16(struct wire_writer *w, uint16_t v);
void wire_write_u32(struct wire_writer *w, uint32_t v);
void wire_write_u64(struct wire_writer *w, uint64_t v);
void wire_write_span(struct wire_writer *w, struct span s);
void wire_write_zeros(struct wire_writer *w, size_t len);

/* Overwrite what was written earlier at offset `at`, an earlier value of w->len. */
void wire_patch_u8(struct wire_writer *w, size_t at, uint8_t v);
void wire_patch_u16(struct wire_writer *w, size_t at, uint16_t v);
void wire_patch_u32(struct wire_writer *w, size_t at, uint32_t v);
/* Put the distance from `from` to the end into the 16-bit field at `at`; fails beyond 65535. */
void wire_patch_len_u16(struct wire_writer *w, size_t at, size_t from);

/* What was written, borrowed from the caller's buffer. */
struct span wire_written(const struct wire_writer *w);
/* ERR_LIMIT where the buffer was too short. */
CHECKED enum err wire_write_finish(const struct wire_writer *w);

#endif
