/* The anti-replay window and the inference of the upper half (RFC 4303 3.4.3, A2). */
#include "common/esp/replay.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

#define TWO_32 (UINT64_C(1) << 32)

START_TEST(zero_is_never_fresh)
{
    struct replay_window w;
    replay_init(&w, 0);
    ck_assert(!replay_is_fresh(&w, 0));
    ck_assert(replay_is_fresh(&w, 1));
}
END_TEST

START_TEST(each_number_passes_once_in_any_order)
{
    static const uint64_t order[] = {5, 1, 3, 2, 4, 2048, 6, 2049, 64, 63, 65, 128, 2047};
    struct replay_window w;
    replay_init(&w, 0);
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        ck_assert_msg(replay_is_fresh(&w, order[i]), "%zu", i);
        replay_mark(&w, order[i]);
        for (size_t j = 0; j <= i; j++)
            ck_assert_msg(!replay_is_fresh(&w, order[j]), "%zu after %zu", j, i);
    }
}
END_TEST

START_TEST(the_window_is_exactly_as_wide_as_it_says)
{
    struct replay_window w;
    for (uint64_t top = ESP_REPLAY_WINDOW; top < ESP_REPLAY_WINDOW + 200; top++) {
        replay_init(&w, 0);
        replay_mark(&w, top);
        ck_assert(replay_is_fresh(&w, top - ESP_REPLAY_WINDOW + 1));
        ck_assert(!replay_is_fresh(&w, top - ESP_REPLAY_WINDOW));
    }
}
END_TEST

START_TEST(a_jump_forgets_only_what_falls_out)
{
    struct replay_window w;
    replay_init(&w, 0);
    for (uint64_t n = 1; n <= 3000; n++)
        replay_mark(&w, n);
    replay_mark(&w, 4000);
    for (uint64_t n = 4000 - ESP_REPLAY_WINDOW + 1; n <= 3000; n++)
        ck_assert(!replay_is_fresh(&w, n));
    for (uint64_t n = 3001; n < 4000; n++)
        ck_assert(replay_is_fresh(&w, n));
    replay_mark(&w, TWO_32 * 5);
    ck_assert(!replay_is_fresh(&w, 4000));
    for (uint64_t n = TWO_32 * 5 - ESP_REPLAY_WINDOW + 1; n < TWO_32 * 5; n++)
        ck_assert(replay_is_fresh(&w, n));
}
END_TEST

/* Against a plain table of everything seen, with steps that linger, leap words and leap windows. */
START_TEST(agrees_with_a_plain_model)
{
    enum { NUMBERS = 60000, STEPS = 200000 };
    static bool seen[NUMBERS];
    memset(seen, 0, sizeof(seen));
    struct replay_window w;
    replay_init(&w, 0);
    uint64_t top = 0;
    uint32_t state = 2463534242; /* xorshift32 */
    for (unsigned i = 0; i < STEPS; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        uint64_t reach = state % 64 == 0 ? 300 : 3;
        uint64_t base = top > 2300 ? top - 2300 : 0;
        uint64_t n = base + (state >> 8) % (top - base + reach);
        if (n >= NUMBERS)
            break;
        bool fresh = n != 0 && !seen[n] && n + ESP_REPLAY_WINDOW > top;
        ck_assert_msg(replay_is_fresh(&w, n) == fresh, "%u", i);
        if (!fresh)
            continue;
        replay_mark(&w, n);
        seen[n] = true;
        top = n > top ? n : top;
        ck_assert_uint_eq(w.top, top);
    }
    ck_assert_uint_gt(top, 10000);
}
END_TEST

/* RFC 4303 A2.2, both its cases, and the edges it leaves to the reader. */
START_TEST(upper_half_is_inferred)
{
    static const struct {
        uint64_t top;
        uint32_t low;
        uint64_t expected;
    } cases[] = {
        {0, 1, 1},
        {0, UINT32_MAX, UINT32_MAX},
        {0, 0, TWO_32},
        {100, 99, 99},
        {100, 0, TWO_32},
        {TWO_32 - 1, 0, TWO_32},
        {TWO_32 - 1, UINT32_MAX - 5, TWO_32 - 6},
        {TWO_32 + 5, UINT32_MAX, TWO_32 - 1},
        {TWO_32 + 5, UINT32_MAX - ESP_REPLAY_WINDOW + 7, TWO_32 - ESP_REPLAY_WINDOW + 6},
        {TWO_32 + 5, UINT32_MAX - ESP_REPLAY_WINDOW + 6, 2 * TWO_32 - ESP_REPLAY_WINDOW + 5},
        {TWO_32 + 5, 6, TWO_32 + 6},
        {7 * TWO_32 + 50000, 50001 - ESP_REPLAY_WINDOW, 7 * TWO_32 + 50001 - ESP_REPLAY_WINDOW},
        {7 * TWO_32 + 50000, 50000 - ESP_REPLAY_WINDOW, 8 * TWO_32 + 50000 - ESP_REPLAY_WINDOW},
        {UINT64_MAX - 5, UINT32_MAX, UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct replay_window w;
        replay_init(&w, cases[i].top);
        ck_assert_msg(replay_extend(&w, cases[i].low) == cases[i].expected, "case %zu: %llx", i,
                      (unsigned long long)replay_extend(&w, cases[i].low));
    }
}
END_TEST

START_TEST(beyond_the_last_number_nothing_is_fresh)
{
    struct replay_window w;
    replay_init(&w, UINT64_MAX);
    uint32_t below = UINT32_MAX - ESP_REPLAY_WINDOW;
    ck_assert(!replay_is_fresh(&w, replay_extend(&w, below)));
    ck_assert(!replay_is_fresh(&w, replay_extend(&w, 0)));
    ck_assert(!replay_is_fresh(&w, replay_extend(&w, 12345)));
    ck_assert(replay_is_fresh(&w, replay_extend(&w, below + 1)));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("esp replay");
    TCase *c = tcase_create("window");
    tcase_add_test(c, zero_is_never_fresh);
    tcase_add_test(c, each_number_passes_once_in_any_order);
    tcase_add_test(c, the_window_is_exactly_as_wide_as_it_says);
    tcase_add_test(c, a_jump_forgets_only_what_falls_out);
    tcase_add_test(c, agrees_with_a_plain_model);
    tcase_add_test(c, upper_half_is_inferred);
    tcase_add_test(c, beyond_the_last_number_nothing_is_fresh);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return support_run(suite());
}
