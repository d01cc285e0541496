/* Sending IKE messages in pieces (RFC 7383 2.5): what is cut comes together again, fits where it
 * was to fit, and no IV is used twice. */
#include "tests/unit/fragment_pieces.h"

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

int main(void)
{
    Suite *suite = suite_create("ike fragment");
    TCase *t = tcase_create("send");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, whole_where_it_fits, 0, SUITE_COUNT);
    tcase_add_loop_test(t, nothing_inside, 0, SUITE_COUNT);
    tcase_add_loop_test(t, what_a_piece_looks_like, 0, SUITE_COUNT);
    tcase_add_loop_test(t, clear_payloads_go_into_the_first, 0, SUITE_COUNT);
    tcase_add_loop_test(t, any_size_comes_back, 0, SUITE_COUNT);
    tcase_add_loop_test(t, the_longest, 0, SUITE_COUNT);
    tcase_add_test(t, too_long_a_draft);
    tcase_add_loop_test(t, no_room_in_out, 0, SUITE_COUNT);
    tcase_add_loop_test(t, cut_smaller_again, 0, SUITE_COUNT);
    tcase_add_test(t, train_with_broken_lengths);
    tcase_add_test(t, sizes);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
