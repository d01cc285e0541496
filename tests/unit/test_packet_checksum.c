/* The Internet checksum (RFC 1071), its partial sums, and its mending (RFC 1624), against the
 * plainest way to add. */
#include <stdlib.h>
#include <string.h>

#include "common/packet/checksum.h"
#include "common/packet/checksum_internal.h"
#include "tests/support/packets.h"
#include "tests/support/support.h"

static uint16_t plain_checksum(const uint8_t *data, size_t len)
{
    return (uint16_t)~packets_sum(0, span_make(data, len));
}

/* RFC 1071, 3: the example sums to ddf2. */
START_TEST(checksum_of_rfc1071)
{
    static const uint8_t data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    ck_assert_uint_eq(packets_sum(0, SPAN_OF(data)), 0xddf2);
    ck_assert_uint_eq(checksum_fold(checksum_add(0, SPAN_OF(data))), 0xddf2);
    ck_assert_uint_eq(checksum_finish(checksum_add(0, SPAN_OF(data))), (uint16_t)~0xddf2);
    ck_assert_uint_eq(checksum_finish(checksum_add(0, SPAN_EMPTY)), 0xffff);
}
END_TEST

START_TEST(checksum_of_every_length_and_split)
{
    uint8_t data[80];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 37 + 200);
    for (size_t len = 0; len <= sizeof(data); len++) {
        uint8_t *exact = support_exact_copy(span_make(data, len));
        ck_assert_uint_eq(checksum_finish(checksum_add(0, span_make(exact, len))),
                          plain_checksum(data, len));
        for (size_t split = 0; split <= len; split += 2) {
            uint32_t sum = checksum_add(0, span_make(exact, split));
            sum = checksum_add(sum, span_make(exact + split, len - split));
            ck_assert_uint_eq(checksum_finish(sum), plain_checksum(data, len));
        }
        free(exact);
    }
}
END_TEST

START_TEST(every_carry_is_taken_along)
{
    static uint8_t ones[65575];
    memset(ones, 0xff, sizeof(ones));
    uint32_t sum = 0;
    for (int i = 0; i < 100; i++)
        sum = checksum_add(sum, span_make(ones, 65534));
    ck_assert_uint_eq(checksum_finish(sum), 0);
    for (size_t len = sizeof(ones) - 200; len <= sizeof(ones); len++)
        ck_assert_uint_eq(checksum_finish(checksum_add(0, span_make(ones, len))),
                          plain_checksum(ones, len));
}
END_TEST

/* Octets that make carries likely, in blocks of exactly their size, wherever they begin. */
START_TEST(checksum_of_random_octets)
{
    uint64_t seed = 1071;
    for (int round = 0; round < 2000; round++) {
        size_t before = packets_below(&seed, 64),
               len = packets_below(&seed, round < 100 ? 9000 : 700);
        uint8_t *data = malloc(before + len + 1), many = (uint8_t)packets_random(&seed);
        ck_assert_ptr_nonnull(data);
        for (size_t i = 0; i < before + len; i++)
            data[i] = packets_below(&seed, 4) == 0 ? (uint8_t)packets_random(&seed) : many;
        uint8_t *exact = support_exact_copy(span_make(data, before + len));
        ck_assert_uint_eq(checksum_finish(checksum_add(0, span_make(exact + before, len))),
                          plain_checksum(data + before, len));
        uint32_t start = (uint32_t)packets_random(&seed) & 0x1ffff;
        ck_assert_uint_eq(checksum_fold(checksum_add(start, span_make(exact + before, len))),
                          packets_sum(start, span_make(data + before, len)));
        free(exact);
        free(data);
    }
}
END_TEST

/* What this processor has beside what all have: checksum_add would ask only the better one. */
START_TEST(both_ways_to_sum_blocks)
{
    uint64_t seed = 2;
    for (int round = 0; round < 2000; round++) {
        size_t before = packets_below(&seed, 64),
               len = packets_below(&seed, 40) * CHECKSUM_BLOCK_LEN;
        uint8_t *data = malloc(before + len + 1);
        ck_assert_ptr_nonnull(data);
        for (size_t i = 0; i < before + len; i++)
            data[i] = round % 3 == 0 ? 0xff : (uint8_t)packets_random(&seed);
        uint8_t *exact = support_exact_copy(span_make(data, before + len));
        uint64_t plain = 0;
        for (size_t at = before; at < before + len; at += 4) {
            uint32_t word;
            memcpy(&word, data + at, sizeof(word));
            plain += word;
        }
        ck_assert_uint_eq(checksum_blocks(exact + before, len), plain);
        if (checksum_has_wide())
            ck_assert_uint_eq(checksum_blocks_wide(exact + before, len), plain);
        free(exact);
        free(data);
    }
}
END_TEST

START_TEST(numbers_are_added_and_taken_away)
{
    uint64_t seed = 1624;
    for (int round = 0; round < 20000; round++) {
        uint8_t data[8];
        uint64_t random = packets_random(&seed);
        memcpy(data, &random, sizeof(data));
        uint16_t a = (uint16_t)(data[0] << 8 | data[1]), b = (uint16_t)(data[2] << 8 | data[3]);
        uint32_t c =
            (uint32_t)data[4] << 24 | (uint32_t)data[5] << 16 | (uint32_t)data[6] << 8 | data[7];
        uint32_t sum = checksum_add_u32(checksum_add_u16(checksum_add_u16(0, a), b), c);
        ck_assert_uint_eq(checksum_fold(sum), packets_sum(0, SPAN_OF(data)));
        uint16_t without = checksum_fold(checksum_take_u16(sum, b));
        data[2] = data[3] = 0;
        uint16_t expected = packets_sum(0, SPAN_OF(data));
        ck_assert(without == expected || (without == 0xffff && expected == 0));
    }
    ck_assert_uint_eq(checksum_fold(checksum_add_u32(0xffff, 0xffffffff)), 0xffff);
    ck_assert_uint_eq(checksum_fold(UINT32_MAX), 0xffff);
}
END_TEST

START_TEST(a_replaced_word_is_as_a_new_sum)
{
    uint64_t seed = 3;
    for (int round = 0; round < 20000; round++) {
        uint8_t data[40];
        for (size_t i = 0; i < sizeof(data); i++)
            data[i] = (uint8_t)packets_random(&seed);
        uint16_t before = plain_checksum(data, sizeof(data));
        size_t at = 2 * packets_below(&seed, sizeof(data) / 2);
        uint16_t gone = (uint16_t)(data[at] << 8 | data[at + 1]);
        uint16_t came = round % 3 == 0 ? 0 : (uint16_t)packets_random(&seed);
        data[at] = (uint8_t)(came >> 8);
        data[at + 1] = (uint8_t)came;
        ck_assert_uint_eq(checksum_replace(before, gone, came), plain_checksum(data, sizeof(data)));
    }
}
END_TEST

START_TEST(pseudo_headers)
{
    static const uint8_t v4[] = {10, 1, 0, 7, 10, 9, 0, 1, 0, 17, 0x05, 0xdc};
    ck_assert_uint_eq(checksum_fold(checksum_pseudo(span_make(v4, 8), 17, 0x05dc)),
                      packets_sum(0, SPAN_OF(v4)));
    /* RFC 8200 8.1: its length has 32 bits */
    uint8_t v6[40] = {0xfd, [15] = 7, [16] = 0xfd, [31] = 1, [33] = 1, 0, 0x17, [39] = 6};
    ck_assert_uint_eq(checksum_fold(checksum_pseudo(span_make(v6, 32), 6, 0x10017)),
                      packets_sum(0, SPAN_OF(v6)));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("packet checksum");
    TCase *c = tcase_create("sums");
    tcase_add_test(c, checksum_of_rfc1071);
    tcase_add_test(c, checksum_of_every_length_and_split);
    tcase_add_test(c, every_carry_is_taken_along);
    tcase_add_test(c, checksum_of_random_octets);
    tcase_add_test(c, both_ways_to_sum_blocks);
    suite_add_tcase(s, c);
    c = tcase_create("changes");
    tcase_add_test(c, numbers_are_added_and_taken_away);
    tcase_add_test(c, a_replaced_word_is_as_a_new_sum);
    tcase_add_test(c, pseudo_headers);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return support_run(suite());
}
