/* At what pace something is done that others force on us, on a clock of the test's own. */
#include "client/pace.h"

#include "tests/support/support.h"

/* As often as it may: the moments at which it is done, from `now` on, while it is always due. */
static mono_ms do_again(struct pace *p, mono_ms now)
{
    now += pace_wait_ms(p, now);
    pace_done(p, now);
    return now;
}

START_TEST(the_first_time_is_soon)
{
    struct pace p = {0};
    ck_assert_int_eq(pace_wait_ms(&p, 0), PACE_SETTLE_MS);
    ck_assert_int_eq(pace_wait_ms(&p, 1000000), PACE_SETTLE_MS);
}
END_TEST

START_TEST(ever_more_seldom_down_to_once_a_minute)
{
    static const int pauses_s[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
    struct pace p = {0};
    mono_ms at = do_again(&p, 5000);
    ck_assert_int_eq(at, 5000 + PACE_SETTLE_MS);
    for (size_t i = 0; i < sizeof(pauses_s) / sizeof(pauses_s[0]); i++) {
        mono_ms next = do_again(&p, at);
        ck_assert_int_eq(next - at, pauses_s[i] * 1000);
        at = next;
    }
}
END_TEST

/* Whoever comes late in the pause waits for its end, whoever comes after it hardly at all. */
START_TEST(within_a_pause_and_after_it)
{
    struct pace p = {0};
    mono_ms at = do_again(&p, 0);
    ck_assert_int_eq(pace_wait_ms(&p, at + 400), 600);
    ck_assert_int_eq(pace_wait_ms(&p, at + 995), PACE_SETTLE_MS);
    ck_assert_int_eq(pace_wait_ms(&p, at + 1500), PACE_SETTLE_MS);
    pace_done(&p, at + 1500); /* still the same trouble */
    ck_assert_int_eq(pace_wait_ms(&p, at + 1500), 2000);
}
END_TEST

START_TEST(a_quiet_time_forgives)
{
    struct pace p = {0};
    mono_ms at = 0;
    for (int i = 0; i < 10; i++)
        at = do_again(&p, at);
    ck_assert_int_eq(pace_wait_ms(&p, at), PACE_LAST_MS);
    pace_done(&p, at + 2 * PACE_LAST_MS); /* not quiet enough */
    ck_assert_int_eq(pace_wait_ms(&p, at + 2 * PACE_LAST_MS), PACE_LAST_MS);
    at += 10 * PACE_LAST_MS;
    ck_assert_int_eq(pace_wait_ms(&p, at), PACE_SETTLE_MS);
    pace_done(&p, at);
    ck_assert_int_eq(pace_wait_ms(&p, at), PACE_FIRST_MS);
}
END_TEST

/* Whatever others do, and whenever: never twice within a second. */
START_TEST(never_twice_within_a_second)
{
    for (mono_ms step = 1; step < 5000; step += 37) {
        struct pace p = {0};
        mono_ms last = -PACE_FIRST_MS, now = 0;
        for (int i = 0; i < 200; i++) {
            mono_ms at = do_again(&p, now);
            ck_assert_int_ge(at - last, PACE_FIRST_MS);
            last = at;
            now = at + step;
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client pace");
    TCase *t = tcase_create("pace");
    tcase_add_test(t, the_first_time_is_soon);
    tcase_add_test(t, ever_more_seldom_down_to_once_a_minute);
    tcase_add_test(t, within_a_pause_and_after_it);
    tcase_add_test(t, a_quiet_time_forgives);
    tcase_add_test(t, never_twice_within_a_second);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
