/* The cursor over received bytes, the builder of sent ones, and spans. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/wire.h"
#include "tests/support/support.h"

static const uint8_t digits[] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08};

START_TEST(reads_in_network_order)
{
    uint8_t *bytes = support_exact_copy(SPAN_OF(digits));
    struct wire_reader r;
    wire_reader_init(&r, span_make(bytes, sizeof digits));
    ck_assert_uint_eq(wire_left(&r), sizeof digits);
    ck_assert_uint_eq(wire_read_u64(&r), 0x0123456789abcdefULL);
    ck_assert_uint_eq(wire_read_u8(&r), 2);
    ck_assert_uint_eq(wire_read_u16(&r), 0x0304);
    ck_assert_uint_eq(wire_read_u32(&r), 0x05060708);
    ck_assert_uint_eq(wire_left(&r), 0);
    ck_ok(wire_read_finish(&r));
    ck_assert_uint_eq(wire_read_rest(&r).len, 0);
    ck_ok(wire_read_finish(&r));
    free(bytes);
}
END_TEST

/* A read of each kind that finds too few octets (where there are enough for that kind, a skip
 * instead): zero, and a failure that lasts. */
START_TEST(short_input_fails_and_stays_failed)
{
    for (size_t len = 0; len < 8; len++) {
        uint8_t *bytes = support_exact_copy(span_make(digits, len));
        struct wire_reader r;
        for (int kind = 0; kind < 6; kind++) {
            wire_reader_init(&r, span_make(bytes, len));
            uint64_t got = 0;
            if (kind == 0)
                got = wire_read_u64(&r);
            else if (kind == 1 && len < 4)
                got = wire_read_u32(&r);
            else if (kind == 2 && len < 2)
                got = wire_read_u16(&r);
            else if (kind == 3 && len < 1)
                got = wire_read_u8(&r);
            else if (kind == 4)
                got = wire_read_span(&r, len + 1).len;
            else
                wire_skip(&r, SIZE_MAX);
            ck_assert_uint_eq(got, 0);
            ck_assert(r.failed);
            ck_assert_uint_eq(wire_left(&r), 0);
            ck_assert_uint_eq(wire_read_u8(&r), 0);
            ck_assert_uint_eq(wire_read_rest(&r).len, 0);
            ck_assert_uint_eq(wire_read_span(&r, 0).len, 0);
            ck_err(wire_read_finish(&r), ERR_MALFORMED);
        }
        free(bytes);
    }
}
END_TEST

START_TEST(a_failed_read_consumes_nothing_more)
{
    struct wire_reader r;
    wire_reader_init(&r, SPAN_OF(digits));
    wire_skip(&r, 14);
    ck_assert_uint_eq(wire_read_u16(&r), 0);
    ck_assert_uint_eq(wire_read_u8(&r), 0); /* the octet that is there is not given out any more */
    ck_err(wire_read_finish(&r), ERR_MALFORMED);
}
END_TEST

START_TEST(leftovers_and_told_failures_are_malformed)
{
    struct wire_reader r;
    wire_reader_init(&r, SPAN_OF(digits));
    ck_assert_uint_eq(wire_read_u8(&r), 1);
    ck_err(wire_read_finish(&r), ERR_MALFORMED);
    struct span rest = wire_read_rest(&r);
    ck_span_eq(rest, span_make(digits + 1, sizeof digits - 1));
    ck_ok(wire_read_finish(&r));
    wire_read_fail(&r);
    ck_err(wire_read_finish(&r), ERR_MALFORMED);

    wire_reader_init(&r, SPAN_EMPTY);
    ck_assert_uint_eq(wire_read_span(&r, 0).len, 0);
    ck_ok(wire_read_finish(&r));
}
END_TEST

START_TEST(writes_in_network_order)
{
    uint8_t buffer[sizeof digits + 3];
    struct wire_writer w;
    memset(buffer, 0xff, sizeof buffer);
    wire_writer_init(&w, buffer, sizeof buffer);
    wire_write_u64(&w, 0x0123456789abcdefULL);
    wire_write_u8(&w, 2);
    wire_write_u16(&w, 0x0304);
    wire_write_u32(&w, 0x05060708);
    ck_span_eq(wire_written(&w), SPAN_OF(digits));
    wire_write_zeros(&w, 3);
    wire_write_span(&w, SPAN_EMPTY);
    wire_write_zeros(&w, 0);
    ck_ok(wire_write_finish(&w));
    ck_assert_mem_eq(buffer + sizeof digits, "\0\0", 3);

    wire_writer_init(&w, buffer, sizeof buffer);
    wire_write_span(&w, SPAN_OF(digits));
    ck_span_eq(wire_written(&w), SPAN_OF(digits));
}
END_TEST

START_TEST(a_full_buffer_fails_and_stays_failed)
{
    for (size_t cap = 0; cap < 8; cap++) {
        uint8_t *buffer = malloc(cap > 0 ? cap : 1);
        struct wire_writer w;
        wire_writer_init(&w, buffer, cap);
        wire_write_u64(&w, 1);
        ck_err(wire_write_finish(&w), ERR_LIMIT);
        wire_write_u8(&w, 1); /* would fit */
        ck_assert_uint_eq(wire_written(&w).len, 0);
        wire_write_span(&w, SPAN_OF(digits));
        wire_write_zeros(&w, SIZE_MAX);
        wire_patch_u32(&w, 1000, 1); /* of no consequence once failed */
        wire_patch_len_u16(&w, 1000, 1000);
        ck_assert_uint_eq(wire_written(&w).len, 0);
        ck_err(wire_write_finish(&w), ERR_LIMIT);
        free(buffer);
    }
}
END_TEST

START_TEST(patches_what_was_written)
{
    uint8_t buffer[16] = {0};
    const uint8_t expected[] = {0xaa, 0xbb, 0xcc, 0xdd, 0x11, 0x22, 0x33, 0x00, 0x04};
    struct wire_writer w;
    wire_writer_init(&w, buffer, sizeof buffer);
    wire_write_zeros(&w, 9);
    wire_patch_u32(&w, 0, 0xaabbccdd);
    wire_patch_u16(&w, 4, 0x1122);
    wire_patch_u8(&w, 6, 0x33);
    wire_patch_len_u16(&w, 7, 5);
    ck_span_eq(wire_written(&w), SPAN_OF(expected));
    ck_ok(wire_write_finish(&w));
}
END_TEST

START_TEST(lengths_beyond_the_field_fail)
{
    static uint8_t buffer[UINT16_MAX + 10];
    struct wire_writer w;
    wire_writer_init(&w, buffer, sizeof buffer);
    wire_write_zeros(&w, UINT16_MAX);
    wire_patch_len_u16(&w, 0, 0);
    ck_ok(wire_write_finish(&w));
    ck_assert_uint_eq(buffer[0], 0xff);
    ck_assert_uint_eq(buffer[1], 0xff);
    wire_write_u8(&w, 0);
    wire_patch_len_u16(&w, 0, 0);
    ck_err(wire_write_finish(&w), ERR_LIMIT);
}
END_TEST

START_TEST(patching_the_unwritten_is_our_mistake)
{
    uint8_t buffer[16];
    struct wire_writer w;
    wire_writer_init(&w, buffer, sizeof buffer);
    wire_write_u16(&w, 0);
    wire_patch_u16(&w, 1, 0);
}
END_TEST

START_TEST(spans)
{
    ck_assert(span_equal(SPAN_EMPTY, span_make("x", 0)));
    ck_assert(span_equal(span_text("abc"), span_make("abcd", 3)));
    ck_assert(!span_equal(span_text("abc"), span_text("abd")));
    ck_assert(!span_equal(span_text("abc"), span_text("ab")));
    ck_assert_uint_eq(span_text("").len, 0);

    static const char *const cut[] = {"", "", "", "01", "01", "0123", "0123", "012345"};
    for (size_t size = 1; size < 8; size++) {
        char *out = malloc(size);
        span_hex(SPAN_OF(digits), out, size);
        ck_assert_str_eq(out, cut[size]);
        free(out);
    }
    char all[2 * sizeof digits + 1], none[1] = {'x'};
    span_hex(SPAN_OF(digits), all, sizeof all);
    ck_assert_str_eq(all, "0123456789abcdef02030405060708");
    span_hex(SPAN_OF(digits), none, 0);
    ck_assert_int_eq(none[0], 'x');
    span_hex(SPAN_EMPTY, all, sizeof all);
    ck_assert_str_eq(all, "");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("base/wire");
    TCase *t = tcase_create("read");
    tcase_add_test(t, reads_in_network_order);
    tcase_add_test(t, short_input_fails_and_stays_failed);
    tcase_add_test(t, a_failed_read_consumes_nothing_more);
    tcase_add_test(t, leftovers_and_told_failures_are_malformed);
    suite_add_tcase(s, t);
    t = tcase_create("write");
    tcase_add_test(t, writes_in_network_order);
    tcase_add_test(t, a_full_buffer_fails_and_stays_failed);
    tcase_add_test(t, patches_what_was_written);
    tcase_add_test(t, lengths_beyond_the_field_fail);
    tcase_add_test_raise_signal(t, patching_the_unwritten_is_our_mistake, SIGABRT);
    suite_add_tcase(s, t);
    t = tcase_create("span");
    tcase_add_test(t, spans);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
