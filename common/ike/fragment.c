/* Cutting and joining of messages (RFC 7383).
 *
 * Invariant of an assembly: the buffer holds the pieces that are here without gaps, in the order of
 * their numbers; len is the sum of lens. So a complete one is the message. */
#include "common/ike/fragment.h"

#include <stdlib.h>
#include <string.h>

enum {
    NEXT_PAYLOAD_AT = 16, /* in the message's header */
    LENGTH_AT = 24,
    IPV4_OVERHEAD = 20 + 8, /* with UDP */
    IPV6_OVERHEAD = 40 + 8,
    IPV6_MTU_MIN = 1280, /* what every IPv6 path bears (RFC 8200 5) */
    IPV4_MTU_MIN = 576   /* what every IPv4 host takes (RFC 791 3.1) */
};

enum err fragment_draft_init(struct fragment_draft *d, const struct message_writer *m, size_t sk_at)
{
    if (m->w.failed || m->w.len > IKE_MESSAGE_MAX)
        return ERR_LIMIT;
    *d = (struct fragment_draft){.unsealed = wire_written(&m->w), .sk_at = sk_at};
    return ERR_OK;
}

enum err fragment_draft_keep(struct fragment_draft *d)
{
    if (d->own != NULL)
        return ERR_OK;
    uint8_t *own = malloc(d->unsealed.len);
    if (own == NULL)
        return ERR_MEMORY;
    memcpy(own, d->unsealed.data, d->unsealed.len);
    d->own = own;
    d->unsealed.data = own;
    return ERR_OK;
}

void fragment_draft_wipe(struct fragment_draft *d)
{
    if (d->own != NULL)
        wipe(d->own, d->unsealed.len);
    free(d->own);
    *d = (struct fragment_draft){.own = NULL};
}

/* The length of a message whose payload's own header ends at iv_at: padding, and the octet that
 * counts it, fill whole blocks. */
static size_t sealed_len(const struct aead *a, size_t iv_at, size_t text_len)
{
    size_t block = aead_block_len(a);
    return iv_at + aead_iv_len(a) + (text_len / block + 1) * block + aead_icv_len(a);
}

/* The longest text that such a message can have within max octets. */
static size_t text_room(const struct aead *a, size_t iv_at, size_t max)
{
    size_t block = aead_block_len(a), least = sealed_len(a, iv_at, 0);
    return max < least ? 0 : ((max - least) / block + 1) * block - 1;
}

/* A writer at the end of the first len octets of the draft, copied to out. */
static void copy_head(struct message_writer *m, const struct fragment_draft *d, size_t len,
                      uint8_t *out, size_t cap)
{
    wire_writer_init(&m->w, out, cap);
    m->next_at = NEXT_PAYLOAD_AT;
    wire_write_span(&m->w, span_make(d->unsealed.data, len));
}

/* Where the octet lies that says SK comes next: in the header, or in the last clear payload. */
static size_t next_before_sk(const struct fragment_draft *d)
{
    size_t next_at = NEXT_PAYLOAD_AT;
    struct wire_reader r;
    wire_reader_init(&r, span_make(d->unsealed.data, d->sk_at));
    wire_skip(&r, IKE_HEADER_LEN);
    while (wire_left(&r) > 0) {
        next_at = r.at;
        wire_skip(&r, 2);
        size_t len = wire_read_u16(&r);
        ASSERT(len >= SK_HEADER_LEN);
        wire_skip(&r, len - SK_HEADER_LEN);
    }
    ASSERT(!r.failed);
    return next_at;
}

static enum err seal_whole(const struct fragment_draft *d, const struct aead *a, uint64_t *counter,
                           uint8_t *out, size_t cap, struct span *ret)
{
    struct message_writer m;
    copy_head(&m, d, d->unsealed.len, out, cap);
    if (m.w.failed)
        return ERR_LIMIT;
    return sk_seal(&m, d->sk_at, a, (*counter)++, ret);
}

static enum err seal_piece(const struct fragment_draft *d, const struct aead *a, uint64_t *counter,
                           uint16_t number, uint16_t total, struct span text, uint8_t *out,
                           size_t cap, struct span *ret)
{
    struct message_writer m;
    copy_head(&m, d, number == 1 ? d->sk_at : (size_t)IKE_HEADER_LEN, out, cap);
    if (number == 1)
        m.next_at = next_before_sk(d);
    uint8_t first = number == 1 ? d->unsealed.data[d->sk_at] : (uint8_t)PAYLOAD_NONE;
    size_t at = skf_begin(&m, a, first, number, total);
    wire_write_span(&m.w, text);
    if (m.w.failed)
        return ERR_LIMIT;
    return skf_seal(&m, at, a, (*counter)++, ret);
}

/* How many pieces; 0 where it cannot be. */
static size_t piece_count(const struct fragment_draft *d, size_t text_len, size_t room)
{
    if (room == 0)
        return 0;
    size_t total = (text_len + room - 1) / room;
    if (total <= d->total)
        total = (size_t)d->total + 1;
    return total <= FRAGMENTS_MAX && total <= text_len ? total : 0;
}

static enum err seal_train(struct fragment_draft *d, const struct aead *a, uint64_t *counter,
                           struct span text, size_t room, uint8_t *out, size_t cap,
                           struct span *ret)
{
    size_t total = piece_count(d, text.len, room), used = 0;
    if (total == 0)
        return ERR_LIMIT;
    for (size_t i = 0; i < total; i++) {
        /* equal shares, to the octet: never longer than the room, and exactly that many */
        size_t from = text.len * i / total, to = text.len * (i + 1) / total;
        struct span piece;
        enum err e =
            seal_piece(d, a, counter, (uint16_t)(i + 1), (uint16_t)total,
                       span_make(text.data + from, to - from), out + used, cap - used, &piece);
        if (e != ERR_OK)
            return e;
        used += piece.len;
    }
    d->total = (uint16_t)total;
    *ret = span_make(out, used);
    return ERR_OK;
}

enum err fragment_seal(struct fragment_draft *d, const struct aead *a, uint64_t *counter,
                       size_t datagram_max, uint8_t *out, size_t cap, struct span *ret_train)
{
    size_t text_at = d->sk_at + SK_HEADER_LEN + aead_iv_len(a);
    ASSERT(text_at <= d->unsealed.len);
    struct span text = span_make(d->unsealed.data + text_at, d->unsealed.len - text_at);
    enum err e;
    if (sealed_len(a, d->sk_at + SK_HEADER_LEN, text.len) <= datagram_max) {
        e = seal_whole(d, a, counter, out, cap, ret_train);
    } else {
        /* Reckoned as if every piece carried the clear payloads, which are hardly ever any. */
        size_t room = text_room(a, d->sk_at + SKF_HEADER_LEN, datagram_max);
        e = seal_train(d, a, counter, text, room, out, cap, ret_train);
    }
    if (e != ERR_OK)
        wipe(out, cap); /* plaintext may have got as far as here */
    return e;
}

bool fragment_train_next(struct span *train, struct span *ret_message)
{
    struct wire_reader r;
    wire_reader_init(&r, *train);
    wire_skip(&r, LENGTH_AT);
    size_t len = wire_read_u32(&r);
    if (r.failed || len < IKE_HEADER_LEN || len > train->len)
        return false;
    *ret_message = span_make(train->data, len);
    *train = span_make(train->data + len, train->len - len);
    return true;
}

size_t fragment_datagram_max(uint16_t mtu, bool ipv6, bool marker)
{
    size_t overhead =
        (size_t)(ipv6 ? IPV6_OVERHEAD : IPV4_OVERHEAD) + (marker ? NON_ESP_MARKER_LEN : 0);
    return mtu > overhead ? mtu - overhead : 0;
}

uint16_t fragment_mtu_next(uint16_t mtu, bool ipv6)
{
    if (mtu > IPV6_MTU_MIN)
        return IPV6_MTU_MIN;
    return mtu > IPV4_MTU_MIN && !ipv6 ? IPV4_MTU_MIN : 0;
}

static bool same_message(const struct fragment_assembly *f, const struct ike_header *h)
{
    return f->total != 0 && f->id == h->message_id && f->exchange == h->exchange &&
           f->response == ((h->flags & IKE_FLAG_RESPONSE) != 0);
}

/* Empty, for another message; the buffer stays. */
static void begin_anew(struct fragment_assembly *f, const struct ike_header *h, uint16_t total)
{
    uint8_t *buffer = f->buffer;
    wipe(buffer, f->len);
    *f = (struct fragment_assembly){
        .id = h->message_id,
        .exchange = h->exchange,
        .response = (h->flags & IKE_FLAG_RESPONSE) != 0,
        .total = total,
        .buffer = buffer,
    };
}

static void insert(struct fragment_assembly *f, const struct skf_payload *p)
{
    size_t index = p->number - 1u, at = 0;
    for (size_t i = 0; i < index; i++)
        at += f->lens[i];
    memmove(f->buffer + at + p->text.len, f->buffer + at, f->len - at);
    if (p->text.len > 0)
        memcpy(f->buffer + at, p->text.data, p->text.len);
    f->here[index] = true;
    f->lens[index] = (uint16_t)p->text.len;
    f->len += p->text.len;
    f->count++;
    if (p->number == 1)
        f->first = p->first;
    if (p->message_len > f->largest)
        f->largest = p->message_len;
}

enum err fragment_add(struct fragment_assembly *f, const struct ike_header *h,
                      const struct skf_payload *p, bool *ret_complete)
{
    if (p->number == 0 || p->number > p->total)
        return ERR_MALFORMED;
    if (p->total > FRAGMENTS_MAX)
        return ERR_LIMIT;
    bool same = same_message(f, h);
    if (same && (f->count == f->total || p->total < f->total))
        return ERR_REPLAYED;
    bool anew = !same || p->total > f->total;
    if (!anew && f->here[p->number - 1])
        return ERR_REPLAYED;
    if (p->text.len > IKE_MESSAGE_MAX - (anew ? 0 : f->len))
        return ERR_LIMIT;
    if (f->buffer == NULL && (f->buffer = malloc(IKE_MESSAGE_MAX)) == NULL)
        return ERR_MEMORY;
    if (anew)
        begin_anew(f, h, p->total);
    insert(f, p);
    *ret_complete = f->count == f->total;
    return ERR_OK;
}

void fragment_assembly_result(const struct fragment_assembly *f, uint8_t *ret_first,
                              struct span *ret_inner)
{
    ASSERT(f->total != 0 && f->count == f->total);
    *ret_first = f->first;
    *ret_inner = span_make(f->buffer, f->len);
}

void fragment_assembly_wipe(struct fragment_assembly *f)
{
    if (f->buffer != NULL)
        wipe(f->buffer, f->len);
    free(f->buffer);
    *f = (struct fragment_assembly){.total = 0};
}
