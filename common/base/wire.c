/* The cursor and the builder that all parsing and writing of packets goes through.
 *
 * Invariants: at <= bytes.len and len <= cap always; once failed is set neither moves again. The
 * only pointer arithmetic on a peer's data in tern is take() and room() below. */
#include "common/base/wire.h"

#include <string.h>

void wire_reader_init(struct wire_reader *r, struct span bytes)
{
    *r = (struct wire_reader){.bytes = bytes};
}

/* The next len octets, or NULL and the sticky failure. */
static const uint8_t *take(struct wire_reader *r, size_t len)
{
    if (r->failed || len > r->bytes.len - r->at) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *p = r->bytes.data + r->at;
    r->at += len;
    return p;
}

static uint64_t read_number(struct wire_reader *r, size_t len)
{
    const uint8_t *p = take(r, len);
    uint64_t v = 0;
    for (size_t i = 0; p != NULL && i < len; i++)
        v = v << 8 | p[i];
    return v;
}

uint8_t wire_read_u8(struct wire_reader *r)
{
    return (uint8_t)read_number(r, 1);
}

uint16_t wire_read_u16(struct wire_reader *r)
{
    return (uint16_t)read_number(r, 2);
}

uint32_t wire_read_u32(struct wire_reader *r)
{
    return (uint32_t)read_number(r, 4);
}

uint64_t wire_read_u64(struct wire_reader *r)
{
    return read_number(r, 8);
}

struct span wire_read_span(struct wire_reader *r, size_t len)
{
    if (len == 0)
        return SPAN_EMPTY; /* also of a reader over nothing, whose data may be NULL */
    const uint8_t *p = take(r, len);
    return p == NULL ? SPAN_EMPTY : span_make(p, len);
}

struct span wire_read_rest(struct wire_reader *r)
{
    return wire_read_span(r, wire_left(r));
}

void wire_skip(struct wire_reader *r, size_t len)
{
    (void)wire_read_span(r, len);
}

size_t wire_left(const struct wire_reader *r)
{
    return r->failed ? 0 : r->bytes.len - r->at;
}

void wire_read_fail(struct wire_reader *r)
{
    r->failed = true;
}

enum err wire_read_finish(const struct wire_reader *r)
{
    return r->failed || r->at != r->bytes.len ? ERR_MALFORMED : ERR_OK;
}

void wire_writer_init(struct wire_writer *w, uint8_t *data, size_t cap)
{
    *w = (struct wire_writer){.data = data, .cap = cap};
}

/* Room for len octets at the end, which then count as written; or NULL and the sticky failure. */
static uint8_t *room(struct wire_writer *w, size_t len)
{
    if (w->failed || len > w->cap - w->len) {
        w->failed = true;
        return NULL;
    }
    uint8_t *p = w->data + w->len;
    w->len += len;
    return p;
}

static void put_number(uint8_t *p, size_t len, uint64_t v)
{
    for (size_t i = len; i > 0; i--) {
        p[i - 1] = (uint8_t)v;
        v >>= 8;
    }
}

static void write_number(struct wire_writer *w, size_t len, uint64_t v)
{
    uint8_t *p = room(w, len);
    if (p != NULL)
        put_number(p, len, v);
}

void wire_write_u8(struct wire_writer *w, uint8_t v)
{
    write_number(w, 1, v);
}

void wire_write_u16(struct wire_writer *w, uint16_t v)
{
    write_number(w, 2, v);
}

void wire_write_u32(struct wire_writer *w, uint32_t v)
{
    write_number(w, 4, v);
}

void wire_write_u64(struct wire_writer *w, uint64_t v)
{
    write_number(w, 8, v);
}

void wire_write_span(struct wire_writer *w, struct span s)
{
    if (s.len == 0)
        return;
    uint8_t *p = room(w, s.len);
    if (p != NULL)
        memmove(p, s.data, s.len); /* the span may lie in the same buffer */
}

void wire_write_zeros(struct wire_writer *w, size_t len)
{
    if (len == 0)
        return;
    uint8_t *p = room(w, len);
    if (p != NULL)
        memset(p, 0, len);
}

static void patch_number(struct wire_writer *w, size_t at, size_t len, uint64_t v)
{
    if (w->failed)
        return;
    ASSERT(at <= w->len && len <= w->len - at);
    put_number(w->data + at, len, v);
}

void wire_patch_u8(struct wire_writer *w, size_t at, uint8_t v)
{
    patch_number(w, at, 1, v);
}

void wire_patch_u16(struct wire_writer *w, size_t at, uint16_t v)
{
    patch_number(w, at, 2, v);
}

void wire_patch_u32(struct wire_writer *w, size_t at, uint32_t v)
{
    patch_number(w, at, 4, v);
}

void wire_patch_len_u16(struct wire_writer *w, size_t at, size_t from)
{
    if (w->failed)
        return;
    ASSERT(from <= w->len);
    if (w->len - from > UINT16_MAX)
        w->failed = true;
    else
        wire_patch_u16(w, at, (uint16_t)(w->len - from));
}

struct span wire_written(const struct wire_writer *w)
{
    return span_make(w->data, w->len);
}

enum err wire_write_finish(const struct wire_writer *w)
{
    return w->failed ? ERR_LIMIT : ERR_OK;
}
