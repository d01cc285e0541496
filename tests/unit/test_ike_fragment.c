/* IKE messages in pieces (RFC 7383): what is cut comes together again, in whatever order, and
 * nothing else does. */
#include <stdlib.h>
#include <string.h>

#include "common/ike/fragment.h"
#include "tests/support/support.h"

enum { FIRST = PAYLOAD_VENDOR };

static const struct aead_suite suites[] = {
    {ENCR_AES_GCM_8, 128, INTEG_NONE},
    {ENCR_AES_GCM_12, 192, INTEG_NONE},
    {ENCR_AES_GCM_16, 256, INTEG_NONE},
    {ENCR_CHACHA20_POLY1305, 0, INTEG_NONE},
    {ENCR_AES_CBC, 128, INTEG_HMAC_SHA1_96},
    {ENCR_AES_CBC, 192, INTEG_HMAC_SHA2_256_128},
    {ENCR_AES_CBC, 256, INTEG_HMAC_SHA2_384_192},
    {ENCR_AES_CBC, 256, INTEG_HMAC_SHA2_512_256},
};
enum { SUITE_COUNT = sizeof(suites) / sizeof(suites[0]) };

static const struct ike_header header = {
    .spi_i = 0x0102030405060708,
    .spi_r = 0x1112131415161718,
    .major = 2,
    .exchange = EXCHANGE_IKE_AUTH,
    .flags = IKE_FLAG_INITIATOR,
    .message_id = 1,
};

static struct aead *aead; /* of the suite that the looping test is at */
static struct fragment_assembly assembly;
static uint8_t plain[IKE_MESSAGE_MAX + 1000]; /* messages are built here, */
static uint8_t out[FRAGMENT_TRAIN_MAX];       /* and sealed here */
static uint64_t counter;

static void use_suite(int i)
{
    uint8_t key[64];
    size_t enc, integ;
    memset(key, 0x5a, sizeof(key));
    aead_key_lens(&suites[i], &enc, &integ);
    aead_free(aead);
    ck_ok(aead_new(&suites[i], span_make(key, enc), span_make(key, integ), &aead));
}

static void setup(void)
{
    assembly = (struct fragment_assembly){.total = 0};
    counter = 1000;
    use_suite(0);
}

static void teardown(void)
{
    fragment_assembly_wipe(&assembly);
    aead_free(aead);
    aead = NULL;
}

static uint32_t draw(void)
{
    static uint32_t state = 2463534242; /* xorshift32 */
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

/* A draft with text_len octets of plaintext: nothing, or a payload of them all. */
static struct fragment_draft draft_of(size_t text_len, size_t clear_len)
{
    struct message_writer m;
    struct fragment_draft d;
    static uint8_t body[IKE_MESSAGE_MAX];
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (uint8_t)draw();
    message_begin(&m, plain, sizeof(plain), &header);
    if (clear_len > 0) {
        payload_write(&m, PAYLOAD_NOTIFY, SPAN_EMPTY);
        payload_write(&m, PAYLOAD_NONCE, span_make(body, clear_len));
    }
    size_t at = sk_begin(&m, aead);
    ck_assert(text_len == 0 || text_len >= 4);
    if (text_len > 0)
        payload_write(&m, FIRST, span_make(body, text_len - 4));
    ck_ok(fragment_draft_init(&d, &m, at));
    return d;
}

static struct span text_of(const struct fragment_draft *d)
{
    size_t at = d->sk_at + SK_HEADER_LEN + aead_iv_len(aead);
    return span_make(d->unsealed.data + at, d->unsealed.len - at);
}

/* One piece, as a peer might make it, right or wrong. */
static struct span piece(uint8_t *buffer, size_t cap, const struct ike_header *h, uint8_t first,
                         uint16_t number, uint16_t total, struct span text)
{
    struct message_writer m;
    struct span message;
    message_begin(&m, buffer, cap, h);
    size_t at = skf_begin(&m, aead, first, number, total);
    wire_write_span(&m.w, text);
    ck_ok(skf_seal(&m, at, aead, counter++, &message));
    return message;
}

/* As the IKE SA does: parse, open, and only then the assembly. */
static enum err receive(struct span message, bool *ret_complete)
{
    struct ike_header h;
    struct payload_list outer;
    struct skf_payload p;
    uint8_t bad;
    uint8_t *exact = support_exact_copy(message);
    enum err e = ike_header_parse(span_make(exact, message.len), &h);
    if (e == ERR_OK)
        e = payload_list_parse(h.next_payload,
                               span_make(exact + IKE_HEADER_LEN, message.len - IKE_HEADER_LEN),
                               &outer, &bad);
    if (e == ERR_OK)
        e = skf_open(exact, message.len, &outer, aead, &p);
    if (e == ERR_OK)
        e = fragment_add(&assembly, &h, &p, ret_complete);
    free(exact);
    return e;
}

static void expect_piece(struct span message, bool complete)
{
    bool got = !complete;
    ck_ok(receive(message, &got));
    ck_assert(got == complete);
}

/* Refused, and nothing changed. */
static void expect_refused(struct span message, enum err expected)
{
    struct fragment_assembly before = assembly;
    static uint8_t held[IKE_MESSAGE_MAX];
    if (assembly.len > 0)
        memcpy(held, assembly.buffer, assembly.len);
    bool complete = true;
    enum err e = receive(message, &complete);
    ck_assert_int_ne(e, ERR_OK);
    if (expected != ERR_OK)
        ck_assert_int_eq(e, expected);
    ck_assert(complete); /* not written */
    ck_assert_mem_eq(&assembly, &before, sizeof(before));
    if (assembly.len > 0)
        ck_assert_mem_eq(held, assembly.buffer, assembly.len);
}

static void expect_result(uint8_t first, struct span text)
{
    uint8_t got_first = 99;
    struct span got;
    fragment_assembly_result(&assembly, &got_first, &got);
    ck_assert_uint_eq(got_first, first);
    ck_span_eq(got, text);
}

/* Takes a train apart; returns how many. */
static size_t messages_of(struct span train, struct span list[FRAGMENTS_MAX])
{
    size_t count = 0;
    while (fragment_train_next(&train, &list[count]))
        if (++count == FRAGMENTS_MAX)
            break;
    ck_assert_uint_eq(train.len, 0);
    return count;
}

static size_t seal(struct fragment_draft *d, size_t datagram_max, struct span list[FRAGMENTS_MAX])
{
    struct span train;
    ck_ok(fragment_seal(d, aead, &counter, datagram_max, out, sizeof(out), &train));
    size_t count = messages_of(train, list);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_le(list[i].len, datagram_max);
    return count;
}

/* Cuts a message into exactly that many. */
static size_t seal_into(size_t count, struct fragment_draft *d, struct span list[FRAGMENTS_MAX])
{
    *d = draft_of(40 * count, 0);
    d->total = (uint16_t)(count - 1); /* fewer would do; but the total must grow */
    size_t whole = d->unsealed.len + aead_icv_len(aead);
    ck_assert_uint_eq(seal(d, whole, list), count);
    return count;
}

/* --- sending --- */

/* Byte for byte what sk_seal makes, up to the very octet where it does not fit any more. */
START_TEST(whole_where_it_fits)
{
    use_suite(_i);
    for (size_t text_len = 4; text_len < 80; text_len++) {
        struct fragment_draft d = draft_of(text_len, text_len % 3);
        struct message_writer m = {.w = {.data = malloc(400), .cap = 400}};
        wire_write_span(&m.w, d.unsealed);
        struct span whole, train, list[FRAGMENTS_MAX];
        ck_ok(sk_seal(&m, d.sk_at, aead, counter, &whole));
        ck_ok(fragment_seal(&d, aead, &counter, whole.len, out, sizeof(out), &train));
        ck_span_eq(train, whole);
        ck_assert_uint_eq(d.total, 0);
        ck_assert_uint_eq(messages_of(train, list), 1);
        ck_ok(fragment_seal(&d, aead, &counter, SIZE_MAX, out, sizeof(out), &train));
        ck_assert_uint_eq(train.len, whole.len);
        expect_refused(train, ERR_MALFORMED); /* no piece */
        enum err e = fragment_seal(&d, aead, &counter, whole.len - 1, out, sizeof(out), &train);
        if (e == ERR_OK)
            ck_assert_uint_ge(d.total, 2);
        else
            ck_assert_int_eq(e, ERR_LIMIT);
        ck_assert_int_eq(e == ERR_OK, text_len >= 40 || d.total != 0);
        free(m.w.data);
    }
}
END_TEST

START_TEST(nothing_inside)
{
    use_suite(_i);
    struct fragment_draft d = draft_of(0, 0);
    struct span train;
    size_t whole = d.unsealed.len + aead_block_len(aead) + aead_icv_len(aead);
    ck_ok(fragment_seal(&d, aead, &counter, whole, out, sizeof(out), &train));
    ck_assert_uint_eq(train.len, whole);
    for (size_t max = 0; max < whole; max++)
        ck_err(fragment_seal(&d, aead, &counter, max, out, sizeof(out), &train), ERR_LIMIT);
}
END_TEST

/* RFC 7383 2.5 */
START_TEST(what_a_piece_looks_like)
{
    use_suite(_i);
    struct fragment_draft d = draft_of(3000, 0);
    struct span list[FRAGMENTS_MAX];
    size_t iv_len = aead_iv_len(aead);
    size_t count = seal(&d, 544, list);
    ck_assert_uint_eq(count, d.total);
    ck_assert_uint_ge(count, 6);
    ck_assert_uint_eq(counter, 1000 + count);
    for (size_t i = 0; i < count; i++) {
        struct ike_header h;
        ck_ok(ike_header_parse(list[i], &h));
        ck_assert_uint_eq(h.next_payload, PAYLOAD_SKF);
        ck_assert_uint_eq(h.length, list[i].len);
        ck_assert_mem_eq(list[i].data, d.unsealed.data, 16);
        ck_assert_mem_eq(list[i].data + 17, d.unsealed.data + 17, 7);
        struct wire_reader r;
        wire_reader_init(&r, list[i]);
        wire_skip(&r, IKE_HEADER_LEN);
        ck_assert_uint_eq(wire_read_u8(&r), i == 0 ? FIRST : PAYLOAD_NONE);
        ck_assert_uint_eq(wire_read_u8(&r), 0);
        ck_assert_uint_eq(wire_read_u16(&r), list[i].len - IKE_HEADER_LEN);
        ck_assert_uint_eq(wire_read_u16(&r), i + 1);
        ck_assert_uint_eq(wire_read_u16(&r), count);
        uint8_t iv[16];
        aead_write_iv(aead, 1000 + i, iv);
        ck_span_eq(wire_read_span(&r, iv_len), span_make(iv, iv_len));
        for (size_t j = 0; j < i; j++) /* never the same twice */
            ck_assert_mem_ne(list[j].data + 36, list[i].data + 36, iv_len);
        expect_piece(list[i], i + 1 == count);
    }
    expect_result(FIRST, text_of(&d));
    ck_assert_uint_eq(assembly.largest, list[0].len > list[1].len ? list[0].len : list[1].len);
}
END_TEST

START_TEST(clear_payloads_go_into_the_first)
{
    use_suite(_i);
    struct fragment_draft d = draft_of(900, 50);
    struct span list[FRAGMENTS_MAX];
    size_t count = seal(&d, 400, list);
    ck_assert_uint_ge(count, 3);
    for (size_t i = 0; i < count; i++) {
        struct payload_list outer;
        uint8_t bad;
        ck_ok(payload_list_parse(
            list[i].data[16],
            span_make(list[i].data + IKE_HEADER_LEN, list[i].len - IKE_HEADER_LEN), &outer, &bad));
        ck_assert_uint_eq(outer.count, i == 0 ? 3 : 1);
        ck_assert_uint_eq(outer.items[outer.count - 1].type, PAYLOAD_SKF);
        if (i == 0)
            ck_assert_uint_eq(payload_find(&outer, PAYLOAD_NONCE)->body.len, 50);
        expect_piece(list[i], i + 1 == count);
    }
    expect_result(FIRST, text_of(&d));
}
END_TEST

START_TEST(any_size_comes_back)
{
    use_suite(_i);
    for (int round = 0; round < 150; round++) {
        struct fragment_draft d = draft_of(4 + draw() % 16000, draw() % 4 == 0 ? draw() % 40 : 0);
        size_t max = 60 + draw() % 1500, count;
        struct span train, list[FRAGMENTS_MAX];
        enum err e = fragment_seal(&d, aead, &counter, max, out, sizeof(out), &train);
        if (e != ERR_OK) { /* only where it cannot be: 200 is more than any piece costs */
            ck_assert_int_eq(e, ERR_LIMIT);
            ck_assert(max < 200 || text_of(&d).len > FRAGMENTS_MAX * (max - 200));
            continue;
        }
        count = messages_of(train, list);
        if (count == 1) {
            ck_assert_uint_eq(list[0].data[16],
                              d.sk_at > IKE_HEADER_LEN ? PAYLOAD_NOTIFY : PAYLOAD_SK);
            ck_assert_uint_eq(d.total, 0);
            continue;
        }
        for (size_t i = count; i-- > 0;) {
            ck_assert_uint_le(list[i].len, max);
            expect_piece(list[i], i == 0);
        }
        expect_result(FIRST, text_of(&d));
        fragment_assembly_wipe(&assembly);
    }
}
END_TEST

START_TEST(the_longest)
{
    use_suite(_i);
    size_t text_len = IKE_MESSAGE_MAX - IKE_HEADER_LEN - SK_HEADER_LEN - aead_iv_len(aead);
    struct fragment_draft d = draft_of(text_len, 0);
    struct span list[FRAGMENTS_MAX], train;
    /* The smallest datagrams that carry it: 64 of them, or hardly less where blocks are coarse. */
    size_t max = 0, count;
    while (fragment_seal(&d, aead, &counter, max, out, sizeof(out), &train) == ERR_LIMIT)
        max++;
    count = messages_of(train, list);
    ck_assert_uint_eq(count, d.total);
    ck_assert(aead_block_len(aead) > 1 ? count >= 60 : count == FRAGMENTS_MAX);
    for (size_t i = 0; i < count; i++)
        expect_piece(list[i], i + 1 == count);
    expect_result(FIRST, text_of(&d));
    /* Up to the last total; then it cannot grow any more. */
    for (; count < FRAGMENTS_MAX; count++)
        ck_ok(fragment_seal(&d, aead, &counter, max, out, sizeof(out), &train));
    ck_assert_uint_eq(d.total, FRAGMENTS_MAX);
    ck_err(fragment_seal(&d, aead, &counter, max, out, sizeof(out), &train), ERR_LIMIT);
    ck_err(fragment_seal(&d, aead, &counter, 1200, out, sizeof(out), &train), ERR_LIMIT);
    ck_ok(fragment_seal(&d, aead, &counter, SIZE_MAX, out, sizeof(out), &train));
    ck_assert_uint_eq(d.total, FRAGMENTS_MAX); /* remembered: those pieces may be underway */
}
END_TEST

START_TEST(too_long_a_draft)
{
    struct message_writer m;
    struct fragment_draft d;
    static const uint8_t body[IKE_MESSAGE_MAX];
    message_begin(&m, plain, sizeof(plain), &header);
    size_t at = sk_begin(&m, aead);
    payload_write(&m, FIRST, SPAN_OF(body));
    ck_err(fragment_draft_init(&d, &m, at), ERR_LIMIT);
    message_begin(&m, plain, 60, &header);
    at = sk_begin(&m, aead);
    payload_write(&m, FIRST, span_make(body, 100));
    ck_err(fragment_draft_init(&d, &m, at), ERR_LIMIT);
}
END_TEST

/* Whatever room there is: all of it, or an error that leaves no plaintext behind. */
START_TEST(no_room_in_out)
{
    use_suite(_i);
    struct fragment_draft d = draft_of(300, 0);
    struct span train;
    ck_ok(fragment_seal(&d, aead, &counter, 200, out, sizeof(out), &train));
    for (size_t max = 200; max <= 600; max += 400) {
        bool fitted = false;
        for (size_t cap = 0; cap < 1500 && !fitted; cap++) {
            uint8_t *exact = malloc(cap + 1);
            memset(exact, 0xee, cap + 1);
            uint16_t total = d.total;
            enum err e = fragment_seal(&d, aead, &counter, max, exact, cap, &train);
            fitted = e == ERR_OK;
            ck_assert(fitted || e == ERR_LIMIT);
            size_t left = 0;
            for (size_t i = 0; i < cap && !fitted; i++)
                left += exact[i] != 0;
            ck_assert_uint_eq(left, 0);
            ck_assert_uint_eq(exact[cap], 0xee);
            ck_assert(fitted || d.total == total);
            free(exact);
        }
        ck_assert(fitted);
    }
}
END_TEST

/* RFC 7383 2.5.2: the draft outlives the buffer it was built in, and every new cut has a larger
 * total, even where the size would not need it; no IV is used twice. */
START_TEST(cut_smaller_again)
{
    use_suite(_i);
    struct fragment_draft d = draft_of(2500, 0);
    struct span list[FRAGMENTS_MAX];
    static uint8_t text[2500];
    memcpy(text, text_of(&d).data, sizeof(text));
    ck_ok(fragment_draft_keep(&d));
    ck_ok(fragment_draft_keep(&d)); /* once is enough */
    memset(plain, 0, sizeof(plain));
    static const size_t sizes[] = {1472, 1252, 1250, 1250, 548, 548, 2000};
    size_t before = 0, sealed = 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t count = seal(&d, sizes[i], list);
        ck_assert_uint_gt(count, before);
        before = count;
        sealed += count;
        ck_assert_uint_eq(counter, 1000 + sealed);
        /* The last but one never arrives whole; the new set takes its place. */
        for (size_t j = 0; j + 1 < count; j++)
            expect_piece(list[j], false);
        ck_assert_uint_eq(assembly.total, count);
        ck_assert_uint_eq(assembly.count, count - 1);
    }
    expect_piece(list[before - 1], true);
    expect_result(FIRST, SPAN_OF(text));
    fragment_draft_wipe(&d);
    ck_assert_ptr_null(d.own);
    ck_assert_ptr_null(d.unsealed.data);
    fragment_draft_wipe(&d);
}
END_TEST

START_TEST(train_with_broken_lengths)
{
    struct fragment_draft d;
    struct span list[FRAGMENTS_MAX], message;
    size_t count = seal_into(3, &d, list);
    struct span train = span_make(out, (size_t)(list[count - 1].data + list[count - 1].len - out));
    for (size_t len = 0; len < train.len; len++) {
        uint8_t *exact = support_exact_copy(span_make(train.data, len));
        struct span rest = span_make(exact, len);
        size_t taken = 0;
        while (fragment_train_next(&rest, &message)) {
            ck_span_eq(message, list[taken]);
            taken++;
        }
        ck_assert_uint_eq(taken, len / list[0].len); /* they are all of one length here */
        ck_assert_uint_eq(rest.len, len % list[0].len);
        free(exact);
    }
    static const uint32_t wrong[] = {0, 1, 27, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint8_t *exact = support_exact_copy(train);
        for (size_t j = 0; j < 4; j++)
            exact[24 + j] = (uint8_t)(wrong[i] >> (24 - 8 * j));
        struct span rest = span_make(exact, train.len);
        ck_assert(!fragment_train_next(&rest, &message));
        ck_assert_ptr_eq(rest.data, exact);
        ck_assert_uint_eq(rest.len, train.len);
        free(exact);
    }
    struct span empty = SPAN_EMPTY;
    ck_assert(!fragment_train_next(&empty, &message));
}
END_TEST

START_TEST(sizes)
{
    ck_assert_uint_eq(fragment_datagram_max(1280, true, true), 1280 - 40 - 8 - 4);
    ck_assert_uint_eq(fragment_datagram_max(1280, true, false), 1280 - 40 - 8);
    ck_assert_uint_eq(fragment_datagram_max(576, false, true), 576 - 20 - 8 - 4);
    ck_assert_uint_eq(fragment_datagram_max(576, false, false), 576 - 20 - 8);
    for (uint16_t mtu = 0; mtu <= 28; mtu++)
        ck_assert_uint_eq(fragment_datagram_max(mtu, false, false), 0);
    ck_assert_uint_eq(fragment_datagram_max(52, true, true), 0);
    ck_assert_uint_eq(fragment_datagram_max(53, true, true), 1);
    ck_assert_uint_eq(fragment_mtu_next(65535, false), 1280);
    ck_assert_uint_eq(fragment_mtu_next(1281, true), 1280);
    ck_assert_uint_eq(fragment_mtu_next(1280, true), 0);
    ck_assert_uint_eq(fragment_mtu_next(1280, false), 576);
    ck_assert_uint_eq(fragment_mtu_next(577, false), 576);
    ck_assert_uint_eq(fragment_mtu_next(576, false), 0);
    ck_assert_uint_eq(fragment_mtu_next(0, false), 0);
    ck_assert_uint_eq(fragment_mtu_next(0, true), 0);
}
END_TEST

/* --- receiving --- */

static void arrive_in(const size_t *order, size_t count, const struct span *list,
                      const struct fragment_draft *d)
{
    for (size_t i = 0; i < count; i++) {
        expect_piece(list[order[i]], i + 1 == count);
        for (size_t j = 0; j <= i; j++) /* repeats of all that came */
            expect_refused(list[order[j]], ERR_REPLAYED);
        ck_assert_uint_eq(assembly.count, i + 1);
    }
    expect_result(FIRST, text_of(d));
    fragment_assembly_wipe(&assembly);
    ck_assert_ptr_null(assembly.buffer);
}

static void permute(size_t *order, size_t at, size_t count, const struct span *list,
                    const struct fragment_draft *d, size_t *seen)
{
    if (at == count) {
        arrive_in(order, count, list, d);
        ++*seen;
        return;
    }
    for (size_t i = at; i < count; i++) {
        size_t swap = order[at];
        order[at] = order[i];
        order[i] = swap;
        permute(order, at + 1, count, list, d, seen);
        order[i] = order[at];
        order[at] = swap;
    }
}

START_TEST(every_order_with_repeats)
{
    size_t expected = 1;
    for (size_t count = 2; count <= 5; count++) {
        struct fragment_draft d;
        struct span list[FRAGMENTS_MAX];
        seal_into(count, &d, list);
        size_t order[] = {0, 1, 2, 3, 4}, seen = 0;
        permute(order, 0, count, list, &d, &seen);
        expected *= count;
        ck_assert_uint_eq(seen, expected);
    }
}
END_TEST

START_TEST(one_missing_and_it_is_not_whole)
{
    struct fragment_draft d;
    struct span list[FRAGMENTS_MAX];
    size_t count = seal_into(7, &d, list);
    for (size_t missing = 0; missing < count; missing++) {
        for (size_t i = 0; i < count; i++)
            if (i != missing)
                expect_piece(list[i], false);
        expect_piece(list[missing], true);
        expect_result(FIRST, text_of(&d));
        fragment_assembly_wipe(&assembly);
    }
}
END_TEST

/* RFC 7383 2.6 */
START_TEST(totals_grow_and_do_not_shrink)
{
    static const uint8_t text[] = "abcdefgh";
    uint8_t b[6][128];
    struct span small[2], large[3];
    small[0] = piece(b[0], 128, &header, FIRST, 1, 2, span_make(text, 4));
    small[1] = piece(b[1], 128, &header, 0, 2, 2, span_make(text + 4, 4));
    large[0] = piece(b[2], 128, &header, FIRST, 1, 3, span_make(text, 3));
    large[1] = piece(b[3], 128, &header, 0, 2, 3, span_make(text + 3, 3));
    large[2] = piece(b[4], 128, &header, 0, 3, 3, span_make(text + 6, 2));
    expect_piece(small[1], false);
    expect_piece(large[1], false); /* anew */
    ck_assert_uint_eq(assembly.total, 3);
    ck_assert_uint_eq(assembly.count, 1);
    ck_assert_uint_eq(assembly.len, 3);
    expect_refused(small[0], ERR_REPLAYED);
    expect_refused(small[1], ERR_REPLAYED);
    expect_piece(large[2], false);
    expect_piece(large[0], true);
    expect_result(FIRST, span_make(text, 8));
    /* Whole: neither a smaller nor a larger total matters now. */
    expect_refused(small[0], ERR_REPLAYED);
    expect_refused(large[0], ERR_REPLAYED);
    expect_refused(piece(b[5], 128, &header, FIRST, 1, 4, span_make(text, 2)), ERR_REPLAYED);
}
END_TEST

START_TEST(another_message_is_not_mixed_in)
{
    static const uint8_t text[] = "abcdefgh";
    struct ike_header other[3] = {header, header, header};
    other[0].message_id++;
    other[1].exchange = EXCHANGE_CREATE_CHILD_SA;
    other[2].flags |= IKE_FLAG_RESPONSE;
    for (size_t i = 0; i < 3; i++) {
        uint8_t b[128];
        expect_piece(piece(b, 128, &header, FIRST, 1, 2, span_make(text, 4)), false);
        expect_piece(piece(b, 128, &other[i], 0, 2, 2, span_make(text + 4, 4)), false);
        ck_assert_uint_eq(assembly.count, 1);
        expect_piece(piece(b, 128, &other[i], FIRST, 1, 2, span_make(text, 4)), true);
        expect_result(FIRST, span_make(text, 8));
        fragment_assembly_wipe(&assembly);
    }
}
END_TEST

START_TEST(wrong_numbers)
{
    static const uint16_t wrong[][2] = {{0, 0}, {0, 1}, {0, 3}, {1, 0}, {2, 1}, {4, 3}, {65535, 1}};
    static const uint16_t many[][2] = {{1, 65}, {65, 65}, {1, 65535}, {65535, 65535}};
    static const uint8_t text[] = "abcd";
    uint8_t b[128];
    for (int held = 0; held < 2; held++) {
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
            expect_refused(piece(b, 128, &header, FIRST, wrong[i][0], wrong[i][1], SPAN_OF(text)),
                           ERR_MALFORMED);
            struct skf_payload p = {.number = wrong[i][0], .total = wrong[i][1]};
            bool complete;
            ck_err(fragment_add(&assembly, &header, &p, &complete), ERR_MALFORMED);
        }
        for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++)
            expect_refused(piece(b, 128, &header, FIRST, many[i][0], many[i][1], SPAN_OF(text)),
                           ERR_LIMIT);
        if (held == 0)
            expect_piece(piece(b, 128, &header, FIRST, 2, 3, SPAN_OF(text)), false);
    }
}
END_TEST

/* A message in one piece is allowed, and so are pieces without content. Only piece 1 names the
 * first payload, whatever the others say. */
START_TEST(single_and_empty_pieces)
{
    static const uint8_t text[] = "abcd";
    uint8_t b[128];
    expect_piece(piece(b, 128, &header, FIRST, 1, 1, SPAN_OF(text)), true);
    expect_result(FIRST, SPAN_OF(text));
    fragment_assembly_wipe(&assembly);
    expect_piece(piece(b, 128, &header, PAYLOAD_NONE, 1, 1, SPAN_EMPTY), true);
    expect_result(PAYLOAD_NONE, span_make(text, 0));
    fragment_assembly_wipe(&assembly);
    expect_piece(piece(b, 128, &header, 99, 3, 3, SPAN_EMPTY), false);
    expect_refused(piece(b, 128, &header, 99, 3, 3, SPAN_OF(text)), ERR_REPLAYED);
    expect_piece(piece(b, 128, &header, FIRST, 1, 3, SPAN_EMPTY), false);
    expect_piece(piece(b, 128, &header, 98, 2, 3, SPAN_OF(text)), true);
    expect_result(FIRST, SPAN_OF(text));
}
END_TEST

/* All of a piece is authenticated, header and numbers included. */
START_TEST(every_bit_counts)
{
    use_suite(_i);
    struct fragment_draft d;
    struct span list[FRAGMENTS_MAX];
    seal_into(2, &d, list);
    expect_piece(list[0], false);
    for (size_t bit = 0; bit < 8 * list[1].len; bit++) {
        uint8_t *exact = support_exact_copy(list[1]);
        exact[bit / 8] ^= (uint8_t)(1 << bit % 8);
        bool icv = bit / 8 >= list[1].len - aead_icv_len(aead);
        expect_refused(span_make(exact, list[1].len), icv ? ERR_INTEGRITY : ERR_OK);
        free(exact);
    }
    expect_piece(list[1], true);
    expect_result(FIRST, text_of(&d));
}
END_TEST

START_TEST(every_short_length)
{
    use_suite(_i);
    struct fragment_draft d;
    struct span list[FRAGMENTS_MAX];
    seal_into(2, &d, list);
    expect_piece(list[1], false);
    for (size_t len = 0; len < list[0].len; len++) {
        uint8_t cut[256];
        ck_assert_uint_le(list[0].len, sizeof(cut));
        memcpy(cut, list[0].data, len);
        expect_refused(span_make(cut, len), ERR_MALFORMED);
        if (len < IKE_HEADER_LEN)
            continue;
        cut[27] = (uint8_t)len; /* the header's length agrees */
        expect_refused(span_make(cut, len), ERR_MALFORMED);
        if (len < IKE_HEADER_LEN + SK_HEADER_LEN)
            continue;
        cut[31] = (uint8_t)(len - IKE_HEADER_LEN); /* and the payload's */
        expect_refused(span_make(cut, len), ERR_OK);
    }
    expect_piece(list[0], true);
}
END_TEST

/* A peer may be authentic and wrong about its padding (RFC 7296 3.14). */
START_TEST(padding_longer_than_the_text)
{
    uint8_t b[128];
    struct message_writer m;
    message_begin(&m, b, sizeof(b), &header);
    size_t at = skf_begin(&m, aead, FIRST, 1, 2);
    size_t text_at = m.w.len;
    wire_write_u8(&m.w, 7);
    wire_write_u8(&m.w, 2); /* two octets of padding, of which one is there */
    wire_write_zeros(&m.w, aead_icv_len(aead));
    payload_end(&m, at);
    struct span message;
    ck_ok(message_finish(&m, &message));
    ck_ok(aead_seal(aead, b, text_at - aead_iv_len(aead), 2, NULL));
    expect_refused(message, ERR_MALFORMED);
}
END_TEST

START_TEST(memory_is_bounded)
{
    static uint8_t b[2 * IKE_MESSAGE_MAX], text[IKE_MESSAGE_MAX + 1];
    memset(text, 0x77, sizeof(text));
    expect_refused(piece(b, sizeof(b), &header, FIRST, 1, 2, SPAN_OF(text)), ERR_LIMIT);
    ck_assert_ptr_null(assembly.buffer);
    expect_piece(piece(b, sizeof(b), &header, FIRST, 1, 3, span_make(text, 8000)), false);
    size_t left = IKE_MESSAGE_MAX - 8000;
    expect_refused(piece(b, sizeof(b), &header, 0, 3, 3, span_make(text, left + 1)), ERR_LIMIT);
    /* too long even when it begins anew: what is here stays */
    expect_refused(piece(b, sizeof(b), &header, 0, 3, 4, SPAN_OF(text)), ERR_LIMIT);
    expect_piece(piece(b, sizeof(b), &header, 0, 3, 3, span_make(text, left)), false);
    expect_refused(piece(b, sizeof(b), &header, 0, 2, 3, span_make(text, 1)), ERR_LIMIT);
    expect_piece(piece(b, sizeof(b), &header, 0, 2, 3, SPAN_EMPTY), true);
    expect_result(FIRST, span_make(text, IKE_MESSAGE_MAX));
}
END_TEST

START_TEST(neither_opens_the_others)
{
    struct fragment_draft d = draft_of(100, 0);
    struct span list[FRAGMENTS_MAX], inner;
    struct payload_list outer;
    uint8_t bad, first;
    ck_assert_uint_ge(seal(&d, 130, list), 2);
    uint8_t *exact = support_exact_copy(list[0]);
    size_t len = list[0].len;
    struct span body = span_make(exact + IKE_HEADER_LEN, len - IKE_HEADER_LEN);
    ck_ok(payload_list_parse(PAYLOAD_SKF, body, &outer, &bad));
    ck_err(sk_open(exact, len, &outer, aead, &first, &inner), ERR_MALFORMED);
    outer.count = 0;
    struct skf_payload p;
    ck_err(skf_open(exact, len, &outer, aead, &p), ERR_MALFORMED);
    free(exact);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ike fragment");
    TCase *send = tcase_create("send"), *receive_case = tcase_create("receive");
    tcase_add_checked_fixture(send, setup, teardown);
    tcase_add_loop_test(send, whole_where_it_fits, 0, SUITE_COUNT);
    tcase_add_loop_test(send, nothing_inside, 0, SUITE_COUNT);
    tcase_add_loop_test(send, what_a_piece_looks_like, 0, SUITE_COUNT);
    tcase_add_loop_test(send, clear_payloads_go_into_the_first, 0, SUITE_COUNT);
    tcase_add_loop_test(send, any_size_comes_back, 0, SUITE_COUNT);
    tcase_add_loop_test(send, the_longest, 0, SUITE_COUNT);
    tcase_add_test(send, too_long_a_draft);
    tcase_add_loop_test(send, no_room_in_out, 0, SUITE_COUNT);
    tcase_add_loop_test(send, cut_smaller_again, 0, SUITE_COUNT);
    tcase_add_test(send, train_with_broken_lengths);
    tcase_add_test(send, sizes);
    suite_add_tcase(suite, send);
    tcase_add_checked_fixture(receive_case, setup, teardown);
    tcase_add_test(receive_case, every_order_with_repeats);
    tcase_add_test(receive_case, one_missing_and_it_is_not_whole);
    tcase_add_test(receive_case, totals_grow_and_do_not_shrink);
    tcase_add_test(receive_case, another_message_is_not_mixed_in);
    tcase_add_test(receive_case, wrong_numbers);
    tcase_add_test(receive_case, single_and_empty_pieces);
    tcase_add_loop_test(receive_case, every_bit_counts, 0, SUITE_COUNT);
    tcase_add_loop_test(receive_case, every_short_length, 0, SUITE_COUNT);
    tcase_add_test(receive_case, padding_longer_than_the_text);
    tcase_add_test(receive_case, memory_is_bounded);
    tcase_add_test(receive_case, neither_opens_the_others);
    suite_add_tcase(suite, receive_case);
    return support_run(suite);
}
