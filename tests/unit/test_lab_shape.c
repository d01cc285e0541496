/* The words for a link's shape: what they mean, and what is refused. */
#include <string.h>

#include "tests/support/support.h"
#include "tools/lab_link/lab_shape.h"

START_TEST(every_key)
{
    struct lab_shape s = LAB_SHAPE_DEFAULT;
    struct fault f;
    ck_ok(lab_shape_parse("delay 25ms jitter 1.5ms loss 2% duplicate 0.25% reorder 100% "
                          "rate 20mbit queue 64k",
                          &s, &f));
    ck_assert_uint_eq(s.delay_us, 25000);
    ck_assert_uint_eq(s.jitter_us, 1500);
    ck_assert_uint_eq(s.loss_ppm, 20000);
    ck_assert_uint_eq(s.duplicate_ppm, 2500);
    ck_assert_uint_eq(s.reorder_ppm, 1000000);
    ck_assert_uint_eq(s.rate_bps, 20000000);
    ck_assert_uint_eq(s.queue_len, 65536);
    ck_ok(lab_shape_parse("  loss 0% ", &s, &f)); /* the rest stays */
    ck_assert_uint_eq(s.loss_ppm, 0);
    ck_assert_uint_eq(s.delay_us, 25000);
    ck_ok(lab_shape_parse("", &s, &f));
    ck_assert_uint_eq(s.rate_bps, 20000000);
}
END_TEST

START_TEST(units_and_limits)
{
    struct lab_shape s = LAB_SHAPE_DEFAULT;
    struct fault f;
    ck_ok(lab_shape_parse("delay 60s jitter 7us rate 10000mbit queue 16384k", &s, &f));
    ck_assert_uint_eq(s.delay_us, 60000000);
    ck_assert_uint_eq(s.jitter_us, 7);
    ck_assert_uint_eq(s.rate_bps, 10000000000);
    ck_assert_uint_eq(s.queue_len, 16 << 20);
    ck_ok(lab_shape_parse("delay 0.5s jitter 0ms rate 0bit queue 1500", &s, &f));
    ck_assert_uint_eq(s.delay_us, 500000);
    ck_assert_uint_eq(s.rate_bps, 0);
    ck_assert_uint_eq(s.queue_len, 1500);
    ck_ok(lab_shape_parse("rate 2.5kbit loss 0.0001%", &s, &f));
    ck_assert_uint_eq(s.rate_bps, 2500);
    ck_assert_uint_eq(s.loss_ppm, 1);
}
END_TEST

START_TEST(what_is_refused_changes_nothing)
{
    static const char *const bad[] = {
        "delay",
        "delay 25",
        "delay ms",
        "delay -1ms",
        "delay 1.ms",
        "delay .5ms",
        "delay 1e3ms",
        "delay 61s",
        "delay 60.000001s",
        "delay 25 ms",
        "delay 25msx",
        "loss 2",
        "loss 101%",
        "loss 100.0001%",
        "loss 2%%",
        "rate 20",
        "rate 10001mbit",
        "rate 1gbit",
        "queue 64m",
        "queue 16385k",
        "delya 25ms",
        "delay=25ms",
        "rate 9999999999999999999bit",
        "delay 1.1234567ms",
        "delay 0000000001ms",
        "delay 111111111111111111111111111111111111111111111111ms",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct lab_shape s = {.delay_us = 1}, before = s;
        struct fault f = {.code = ERR_OK};
        char text[128] = "delay 9ms ";
        strcat(text, bad[i]);
        ck_err(lab_shape_parse(text, &s, &f), ERR_MALFORMED);
        ck_assert_uint_gt(strlen(f.text), 0);
        ck_assert_uint_eq(s.delay_us, before.delay_us);
        ck_assert_uint_eq(s.loss_ppm, before.loss_ppm);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lab_shape");
    TCase *tests = tcase_create("lab_shape");
    tcase_add_test(tests, every_key);
    tcase_add_test(tests, units_and_limits);
    tcase_add_test(tests, what_is_refused_changes_nothing);
    suite_add_tcase(suite, tests);
    return support_run(suite);
}
