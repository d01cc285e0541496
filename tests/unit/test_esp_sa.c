/* One ESP SA in each direction: numbers, window, integrity (RFC 4303 2.2, 3.3.3, 3.4.3). What the
 * protected text may hold is in test_esp_text.c. */
#include "common/esp/esp_internal.h"
#include "tests/unit/esp_pair.h"

#define TWO_32 (UINT64_C(1) << 32)

static void round_trip(const struct aead_suite *suite, struct pair *sas, size_t len,
                       enum ip_family family)
{
    struct packet p = inner_new(len, family);
    uint8_t *original = support_exact_copy(wire_of(&p));
    ck_ok(seal_in_place(sas->out, &p));
    ck_assert_uint_eq(p.len, len + esp_overhead(suite, len));
    ck_assert_uint_eq(p.len % 4, 0);
    struct packet received = received_new(wire_of(&p));
    ck_ok(esp_open(sas->in, &received));
    ck_span_eq(wire_of(&received), span_make(original, len));
    free(received.data);
    free(original);
    free(p.data);
}

START_TEST(round_trip_of_every_length)
{
    const struct aead_suite *suite = &suites[_i / 2];
    struct pair sas = pair_new(suite, _i % 2 == 1);
    uint64_t packets = 0, bytes = 0;
    for (size_t len = 20; len <= 1500; len += len < 120 ? 1 : 23, packets++, bytes += len)
        round_trip(suite, &sas, len, IP_V4);
    uint64_t v4 = packets;
    for (size_t len = 40; len <= 1500; len += len < 120 ? 1 : 23, packets++)
        round_trip(suite, &sas, len, IP_V6);
    ck_assert_uint_gt(v4, 100);
    ck_assert_uint_eq(esp_out_counters(sas.out).packets, packets);
    ck_assert_uint_eq(esp_in_counters(sas.in).packets, packets);
    ck_assert_uint_eq(esp_in_counters(sas.in).bytes, esp_out_counters(sas.out).bytes);
    ck_assert_uint_gt(esp_in_counters(sas.in).bytes, bytes);
    ck_assert_uint_eq(esp_in_counters(sas.in).bad + esp_in_counters(sas.in).replayed, 0);
    pair_free(&sas);
}
END_TEST

/* What fits is found without trying: one octet more and it does not, one less and it does. */
START_TEST(the_longest_packet_that_fits)
{
    const struct aead_suite *suite = &suites[_i];
    size_t least = 1 + esp_overhead(suite, 1);
    ck_assert_uint_eq(esp_inner_max(suite, 0), 0);
    ck_assert_uint_eq(esp_inner_max(suite, least - 1), 0);
    for (size_t esp_max = least; esp_max < 1600; esp_max++) {
        size_t len = esp_inner_max(suite, esp_max);
        ck_assert_uint_ge(len, 1);
        for (size_t shorter = len > 40 ? len - 40 : 1; shorter <= len; shorter++)
            ck_assert_uint_le(shorter + esp_overhead(suite, shorter), esp_max);
        ck_assert_uint_gt(len + 1 + esp_overhead(suite, len + 1), esp_max);
    }
}
END_TEST

START_TEST(header_room_and_tail_room_suffice_exactly)
{
    const struct aead_suite *suite = &suites[_i];
    struct pair sas = pair_new(suite, false);
    for (size_t len = 20; len < 52; len++) {
        size_t overhead = esp_overhead(suite, len);
        size_t front = ESP_HEADER_LEN + (suite->encr == ENCR_NULL      ? 0
                                         : suite->encr == ENCR_AES_CBC ? 16
                                                                       : 8);
        ck_assert_uint_le(front, ESP_HEADROOM);
        ck_assert_uint_le(overhead - front, ESP_TAILROOM);
        uint8_t *storage = malloc(len + overhead);
        ck_assert_ptr_nonnull(storage);
        write_inner(storage + front, len, IP_V4);
        struct packet p = {.data = storage, .cap = len + overhead, .start = front, .len = len};
        struct packet short_behind = p, short_before = p;
        short_behind.cap--;
        short_before.data++;
        short_before.start--;
        short_before.cap--;
        uint64_t left = esp_out_left(sas.out);
        ck_err(seal_in_place(sas.out, &short_behind), ERR_LIMIT);
        ck_err(seal_in_place(sas.out, &short_before), ERR_LIMIT);
        ck_assert_uint_eq(esp_out_left(sas.out), left);
        ck_ok(seal_in_place(sas.out, &p));
        ck_assert_uint_eq(p.start, 0);
        ck_assert_uint_eq(p.len, p.cap);
        free(storage);
    }
    pair_free(&sas);
}
END_TEST

/* From a buffer that holds the inner packet and nothing more, to one that ends with the ICV: the
 * same ESP packet as in place, and the inner one as it was. */
START_TEST(sealed_from_elsewhere)
{
    const struct aead_suite *suite = &suites[_i / 2];
    struct pair in_place = pair_new(suite, _i % 2 == 1), apart = pair_new(suite, _i % 2 == 1);
    for (size_t len = 40; len < 1500; len += len < 120 ? 1 : 31) {
        struct packet p = inner_new(len, len % 2 == 0 ? IP_V4 : IP_V6);
        uint8_t *inner = support_exact_copy(wire_of(&p)), *before = support_exact_copy(wire_of(&p));
        ck_ok(seal_in_place(in_place.out, &p));
        struct packet to = {.cap = len + esp_overhead(suite, len), .len = 9999};
        to.start = esp_out_front(apart.out);
        to.data = malloc(to.cap);
        ck_assert_ptr_nonnull(to.data);
        ck_ok(esp_seal(apart.out, span_make(inner, len), &to));
        ck_span_eq(wire_of(&to), wire_of(&p));
        ck_assert_uint_eq(to.start, 0);
        ck_assert_mem_eq(inner, before, len);
        to.start = 1;
        uint64_t left = esp_out_left(apart.out);
        ck_err(esp_seal(apart.out, span_make(inner, len), &to), ERR_LIMIT);
        ck_assert_uint_eq(esp_out_left(apart.out), left);
        free(before);
        free(inner);
        free(to.data);
        free(p.data);
    }
    ck_assert_uint_eq(esp_out_counters(apart.out).bytes, esp_out_counters(in_place.out).bytes);
    pair_free(&in_place);
    pair_free(&apart);
}
END_TEST

START_TEST(seals_nothing_but_ip)
{
    struct pair sas = pair_new(&suites[GCM], false);
    static const struct {
        uint8_t first;
        size_t len;
    } cases[] = {{0x45, 0}, {0x45, 19}, {0x60, 39}, {0x05, 60}, {0x55, 60}, {0xf0, 60}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct packet p = inner_new(60, IP_V4);
        packet_bytes(&p)[0] = cases[i].first;
        p.len = cases[i].len;
        ck_err(seal_in_place(sas.out, &p), ERR_MALFORMED);
        ck_assert_uint_eq(p.len, cases[i].len);
        free(p.data);
    }
    ck_assert_uint_eq(esp_out_left(sas.out), UINT32_MAX);
    pair_free(&sas);
}
END_TEST

START_TEST(wire_format)
{
    struct pair sas = pair_new(&suites[GCM], false);
    for (uint8_t sequence = 1; sequence <= 3; sequence++) {
        struct packet p = sealed_new(sas.out);
        /* SPI, sequence number from 1, and the IV: the sequence number as 64 bits */
        uint8_t expected[16] = {0x40, 0xff, 0xee, 0x01, 0, 0, 0, sequence,
                                0,    0,    0,    0,    0, 0, 0, sequence};
        ck_span_eq(span_make(p.data, 16), SPAN_OF(expected));
        free(p.data);
    }
    ck_assert_uint_eq(esp_out_left(sas.out), UINT32_MAX - 3);
    ck_assert_uint_eq(esp_out_spi(sas.out), SPI);
    ck_assert_uint_eq(esp_in_spi(sas.in), SPI);
    pair_free(&sas);
}
END_TEST

START_TEST(reserved_spis_and_bad_keys_are_refused)
{
    struct esp_out *out;
    struct esp_in *in;
    static const uint32_t reserved[] = {0, 1, 255};
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        struct esp_parameters p = parameters_of(&suites[GCM], false);
        p.spi = reserved[i];
        ck_err(esp_out_new(&p, &out), ERR_MALFORMED);
        ck_err(esp_in_new(&p, &in), ERR_MALFORMED);
    }
    struct esp_parameters p = parameters_of(&suites[GCM], false);
    p.enc_key.len--;
    ck_assert_int_ne(esp_out_new(&p, &out), ERR_OK);
    ck_assert_int_ne(esp_in_new(&p, &in), ERR_OK);
    esp_out_free(NULL);
    esp_in_free(NULL);
}
END_TEST

START_TEST(a_repeated_packet_is_refused)
{
    struct pair sas = pair_new(&suites[_i], false);
    struct packet p = sealed_new(sas.out);
    ck_ok(open_copy(sas.in, &p));
    ck_err(open_copy(sas.in, &p), ERR_REPLAYED);
    ck_err(open_copy(sas.in, &p), ERR_REPLAYED);
    ck_assert_uint_eq(esp_in_counters(sas.in).replayed, 2);
    ck_assert_uint_eq(esp_in_counters(sas.in).packets, 1);
    free(p.data);
    pair_free(&sas);
}
END_TEST

START_TEST(the_window_has_an_edge)
{
    struct pair sas = pair_new(&suites[GCM], false);
    struct packet old = sealed_new(sas.out);  /* 1 */
    struct packet edge = sealed_new(sas.out); /* 2 */
    esp_out_start_at(sas.out, ESP_REPLAY_WINDOW + 1);
    struct packet top = sealed_new(sas.out);
    ck_ok(open_copy(sas.in, &top));
    ck_err(open_copy(sas.in, &old), ERR_REPLAYED);
    ck_ok(open_copy(sas.in, &edge));
    ck_err(open_copy(sas.in, &edge), ERR_REPLAYED);
    free(old.data);
    free(edge.data);
    free(top.data);
    pair_free(&sas);
}
END_TEST

/* RFC 4303 3.4.3: only an authenticated packet moves the window. */
START_TEST(a_forged_number_far_ahead_moves_nothing)
{
    struct pair sas = pair_new(&suites[GCM], _i == 1);
    struct packet first = sealed_new(sas.out), second = sealed_new(sas.out);
    ck_ok(open_copy(sas.in, &first));
    struct packet forged = received_new(wire_of(&second));
    forged.data[4] = 0x7f;
    ck_err(open_copy(sas.in, &forged), ERR_INTEGRITY);
    ck_ok(open_copy(sas.in, &second));
    ck_assert_uint_eq(esp_in_counters(sas.in).bad, 1);
    free(first.data);
    free(second.data);
    free(forged.data);
    pair_free(&sas);
}
END_TEST

START_TEST(number_zero_is_never_accepted)
{
    struct pair sas = pair_new(&suites[GCM], false);
    struct packet p = sealed_new(sas.out);
    memset(p.data + 4, 0, 4);
    ck_err(open_copy(sas.in, &p), ERR_REPLAYED);
    free(p.data);
    pair_free(&sas);
}
END_TEST

START_TEST(one_flipped_bit_anywhere_is_noticed)
{
    const struct aead_suite *suite = &suites[_i / 2];
    struct pair sas = pair_new(suite, _i % 2 == 1);
    struct packet first = sealed_new(sas.out), p = sealed_new(sas.out);
    ck_ok(open_copy(sas.in, &first));
    for (size_t bit = 0; bit < p.len * 8; bit++) {
        p.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        enum err e = open_copy(sas.in, &p);
        /* a flip in the sequence number may look old; anything else fails the ICV */
        bool in_sequence = bit / 8 >= 4 && bit / 8 < 8;
        ck_assert_msg(e == ERR_INTEGRITY || (in_sequence && e == ERR_REPLAYED), "bit %zu: %s", bit,
                      err_text(e));
        p.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert_uint_eq(esp_in_counters(sas.in).packets, 1);
    ck_ok(open_copy(sas.in, &p)); /* nothing of all that changed the SA */
    free(first.data);
    free(p.data);
    pair_free(&sas);
}
END_TEST

START_TEST(short_packets_of_every_length)
{
    struct pair sas = pair_new(&suites[_i], false);
    struct packet p = sealed_new(sas.out);
    for (size_t len = 0; len < p.len; len++) {
        struct packet cut = received_new(span_make(p.data, len));
        enum err e = esp_open(sas.in, &cut);
        ck_assert_msg(e == ERR_MALFORMED || e == ERR_INTEGRITY, "%zu: %s", len, err_text(e));
        ck_assert_msg(len >= ESP_HEADER_LEN + 8 + 8 || e == ERR_MALFORMED, "%zu", len);
        free(cut.data);
    }
    ck_ok(open_copy(sas.in, &p));
    free(p.data);
    pair_free(&sas);
}
END_TEST

START_TEST(sequence_numbers_end)
{
    struct pair sas = pair_new(&suites[GCM], _i == 1);
    uint64_t last = _i == 1 ? UINT64_MAX : UINT32_MAX;
    ck_assert_uint_eq(esp_out_left(sas.out), last);
    esp_out_start_at(sas.out, last - 1);
    esp_in_start_at(sas.in, last - 1);
    ck_assert_uint_eq(esp_out_left(sas.out), 2);
    for (int i = 0; i < 2; i++) {
        struct packet p = sealed_new(sas.out);
        ck_ok(open_copy(sas.in, &p));
        ck_err(open_copy(sas.in, &p), ERR_REPLAYED);
        free(p.data);
    }
    ck_assert_uint_eq(esp_out_left(sas.out), 0);
    for (int i = 0; i < 3; i++) {
        struct packet p = inner_new(60, IP_V4);
        uint8_t *before = support_exact_copy(span_make(p.data, p.cap));
        ck_err(seal_in_place(sas.out, &p), ERR_EXHAUSTED);
        ck_assert_mem_eq(p.data, before, p.cap);
        free(before);
        free(p.data);
    }
    ck_assert_uint_eq(esp_out_counters(sas.out).packets, 2);
    pair_free(&sas);
}
END_TEST

/* RFC 4303 A2: across 2^32, in order and reordered. */
START_TEST(extended_numbers_cross_the_boundary)
{
    enum { PACKETS = 8 };
    const struct aead_suite *suite = &suites[_i / 2];
    bool backwards = _i % 2 == 1;
    struct pair sas = pair_new(suite, true);
    struct packet packets[PACKETS];
    esp_out_start_at(sas.out, TWO_32 - PACKETS / 2);
    for (size_t i = 0; i < PACKETS; i++)
        packets[i] = sealed_new(sas.out);
    esp_in_start_at(sas.in, TWO_32 - 100);
    for (size_t i = 0; i < PACKETS; i++)
        ck_ok(open_copy(sas.in, &packets[backwards ? PACKETS - 1 - i : i]));
    for (size_t i = 0; i < PACKETS; i++) {
        ck_err(open_copy(sas.in, &packets[i]), ERR_REPLAYED);
        free(packets[i].data);
    }
    pair_free(&sas);
}
END_TEST

/* RFC 4303 2.2.1: the half that is not sent is authenticated all the same. */
START_TEST(the_upper_half_is_authenticated)
{
    struct pair sas = pair_new(&suites[_i], true);
    esp_out_start_at(sas.out, 3 * TWO_32 + 5);
    struct packet p = sealed_new(sas.out);
    ck_err(open_copy(sas.in, &p), ERR_INTEGRITY); /* taken for number 5 */
    esp_in_start_at(sas.in, 3 * TWO_32 + 1);
    ck_ok(open_copy(sas.in, &p));
    free(p.data);
    pair_free(&sas);
}
END_TEST

START_TEST(extended_and_plain_numbers_do_not_mix)
{
    for (size_t i = 0; i < SUITES; i++) {
        struct pair plain = pair_new(&suites[i], false), extended = pair_new(&suites[i], true);
        struct packet p = sealed_new(plain.out), q = sealed_new(extended.out);
        ck_err(open_copy(extended.in, &p), ERR_INTEGRITY);
        ck_err(open_copy(plain.in, &q), ERR_INTEGRITY);
        free(p.data);
        free(q.data);
        pair_free(&plain);
        pair_free(&extended);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("esp sa");
    TCase *c = tcase_create("sealing");
    tcase_add_loop_test(c, round_trip_of_every_length, 0, 2 * SUITES);
    tcase_add_loop_test(c, the_longest_packet_that_fits, 0, SUITES);
    tcase_add_loop_test(c, header_room_and_tail_room_suffice_exactly, 0, SUITES);
    tcase_add_loop_test(c, sealed_from_elsewhere, 0, 2 * SUITES);
    tcase_add_test(c, seals_nothing_but_ip);
    tcase_add_test(c, wire_format);
    tcase_add_test(c, reserved_spis_and_bad_keys_are_refused);
    tcase_add_loop_test(c, sequence_numbers_end, 0, 2);
    suite_add_tcase(s, c);

    c = tcase_create("replay");
    tcase_add_loop_test(c, a_repeated_packet_is_refused, 0, SUITES);
    tcase_add_test(c, the_window_has_an_edge);
    tcase_add_loop_test(c, a_forged_number_far_ahead_moves_nothing, 0, 2);
    tcase_add_test(c, number_zero_is_never_accepted);
    tcase_add_loop_test(c, extended_numbers_cross_the_boundary, 0, 2 * SUITES);
    tcase_add_loop_test(c, the_upper_half_is_authenticated, 0, SUITES);
    tcase_add_test(c, extended_and_plain_numbers_do_not_mix);
    suite_add_tcase(s, c);

    c = tcase_create("opening");
    tcase_add_loop_test(c, one_flipped_bit_anywhere_is_noticed, 0, 2 * SUITES);
    tcase_add_loop_test(c, short_packets_of_every_length, 0, SUITES);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return support_run(suite());
}
