/* Receiving IKE messages in pieces (RFC 7383 2.6): any order and any repeat make the message, and
 * nothing else does. */
#include "tests/unit/fragment_pieces.h"

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
            /* noticed before anything is decrypted */
            b[IKE_HEADER_LEN + SKF_HEADER_LEN + 20] ^= 1;
            expect_refused(span_make(b, b[27]), ERR_MALFORMED);
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
    /* What is about to be discarded does not count. */
    fragment_assembly_wipe(&assembly);
    expect_piece(piece(b, sizeof(b), &header, FIRST, 1, 2, span_make(text, 8000)), false);
    expect_piece(piece(b, sizeof(b), &header, FIRST, 1, 3, span_make(text, 10000)), false);
    ck_assert_uint_eq(assembly.len, 10000);
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

/* Framed by Scapy and sealed by Python's cryptography, independently of us: two pieces under
 * AES-GCM with the IVs that we would use, and the second under AES-CBC with HMAC-SHA2-256. */
START_TEST(made_by_others)
{
    static const char *const gcm[] = {
        "010203040506070811121314151617183520230800000001000000512b0000350001000200000000000003e8"
        "2eaf60b8d44736f8c009072dc7700f4dd4480e6303105faa5c8c14d0fa20801c843f7eb45c",
        "01020304050607081112131415161718352023080000000100000051000000350002000200000000000003e9"
        "a50c34981b2bafe097e8fcdd9180f2870ddd3259a507b646f5086b2710d41315161f263215"};
    static const char cbc[] =
        "010203040506070811121314151617183520230800000001000000640000004800020002"
        "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf47e74592bff7ebba32c4b42968805989a6e6aa82a898a2b8e87751d851"
        "50dd9c68bb7f1bc8324d954be70cba50415c0f";
    uint8_t text[40], bytes[128], ours[128];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)(16 + i % 20);
    use_suite(2);
    for (uint16_t i = 0; i < 2; i++) {
        struct span theirs = span_make(bytes, support_hex(gcm[i], bytes, sizeof(bytes)));
        ck_span_eq(piece(ours, sizeof(ours), &header, i == 0 ? FIRST : PAYLOAD_NONE,
                         (uint16_t)(i + 1), 2, span_make(text, 20)),
                   theirs);
        expect_piece(theirs, i == 1);
    }
    expect_result(FIRST, SPAN_OF(text));
    fragment_assembly_wipe(&assembly);
    use_suite(5);
    expect_piece(span_make(bytes, support_hex(cbc, bytes, sizeof(bytes))), false);
    expect_piece(piece(ours, sizeof(ours), &header, FIRST, 1, 2, span_make(text, 20)), true);
    expect_result(FIRST, SPAN_OF(text));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ike fragment assembly");
    TCase *t = tcase_create("assembly");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, made_by_others);
    tcase_add_test(t, every_order_with_repeats);
    tcase_add_test(t, one_missing_and_it_is_not_whole);
    tcase_add_test(t, totals_grow_and_do_not_shrink);
    tcase_add_test(t, another_message_is_not_mixed_in);
    tcase_add_test(t, wrong_numbers);
    tcase_add_test(t, single_and_empty_pieces);
    tcase_add_loop_test(t, every_bit_counts, 0, SUITE_COUNT);
    tcase_add_loop_test(t, every_short_length, 0, SUITE_COUNT);
    tcase_add_test(t, padding_longer_than_the_text);
    tcase_add_test(t, memory_is_bounded);
    tcase_add_test(t, neither_opens_the_others);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
