/* Message IDs, retransmission, repeats (RFC 7296 2.1 to 2.3). */
#include "common/ike/window.h"

#include "tests/support/support.h"

static const struct session_retransmit policy = {
    .first_ms = 500, .max_ms = 2000, .growth_percent = 200, .tries = 4};
static const uint8_t bytes[] = {1, 2, 3};
static struct window window;

static void setup(void)
{
    window_init(&window);
}

static void teardown(void)
{
    window_wipe(&window);
}

START_TEST(backs_off_up_to_a_bound_and_gives_up)
{
    static const mono_ms due[] = {500, 1500, 3500, 5500};
    ck_ok(window_request_begin(&window, 0, EXCHANGE_INFORMATIONAL, SPAN_OF(bytes), &policy));
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(window.request.next_at, due[i]);
        ck_assert_int_eq(window_request_due(&window, due[i] - 1), WINDOW_WAIT);
        ck_assert_int_eq(window_request_due(&window, due[i]),
                         i < 3 ? WINDOW_RESEND : WINDOW_FAILED);
    }
}
END_TEST

START_TEST(without_tries_it_goes_on)
{
    struct session_retransmit endless = policy;
    endless.tries = 0;
    ck_ok(window_request_begin(&window, 0, EXCHANGE_IKE_SA_INIT, SPAN_OF(bytes), &endless));
    for (unsigned i = 0; i < 1000; i++)
        ck_assert_int_eq(window_request_due(&window, window.request.next_at), WINDOW_RESEND);
}
END_TEST

START_TEST(one_at_a_time_and_ids_count)
{
    for (uint32_t id = 0; id < 5; id++) {
        ck_ok(window_request_begin(&window, 10, EXCHANGE_INFORMATIONAL, SPAN_OF(bytes), &policy));
        ck_err(window_request_begin(&window, 10, EXCHANGE_INFORMATIONAL, SPAN_OF(bytes), &policy),
               ERR_STATE);
        ck_assert(window_request_matches(&window, EXCHANGE_INFORMATIONAL, id));
        ck_assert(!window_request_matches(&window, EXCHANGE_INFORMATIONAL, id + 1));
        ck_assert(!window_request_matches(&window, EXCHANGE_IKE_AUTH, id));
        ck_assert_int_eq(window_request_end(&window, 17), 7);
        ck_assert(!window_request_matches(&window, EXCHANGE_INFORMATIONAL, id));
    }
}
END_TEST

/* Which of two transmissions was answered cannot be known: no round trip is measured then. */
START_TEST(round_trips_of_single_transmissions_alone)
{
    ck_ok(window_request_begin(&window, 0, EXCHANGE_INFORMATIONAL, SPAN_OF(bytes), &policy));
    ck_assert_int_eq(window_request_due(&window, 500), WINDOW_RESEND);
    ck_assert_int_eq(window_request_end(&window, 510), -1);
}
END_TEST

/* RFC 7296 2.2 */
START_TEST(ids_do_not_wrap)
{
    window.next_id = UINT32_MAX;
    ck_err(window_request_begin(&window, 0, EXCHANGE_INFORMATIONAL, SPAN_OF(bytes), &policy),
           ERR_EXHAUSTED);
}
END_TEST

START_TEST(answers_are_repeated_for_the_same_request_alone)
{
    static const uint8_t request[] = {9, 9, 9}, other[] = {9, 9, 8};
    ck_assert_int_eq(window_arrival(&window, 0, SPAN_OF(request)), WINDOW_NEW);
    ck_assert_int_eq(window_arrival(&window, 1, SPAN_OF(request)), WINDOW_FOREIGN);
    ck_assert_int_eq(window_arrival(&window, UINT32_MAX, SPAN_OF(request)), WINDOW_FOREIGN);
    ck_ok(window_respond(&window, SPAN_OF(request), SPAN_OF(bytes)));
    ck_assert_int_eq(window_arrival(&window, 0, SPAN_OF(request)), WINDOW_REPEAT);
    ck_assert_int_eq(window_arrival(&window, 0, SPAN_OF(other)), WINDOW_FOREIGN);
    ck_span_eq(span_make(window.response, window.response_len), SPAN_OF(bytes));
    ck_assert_int_eq(window_arrival(&window, 1, SPAN_OF(other)), WINDOW_NEW);
    ck_assert_int_eq(window_arrival(&window, 2, SPAN_OF(other)), WINDOW_FOREIGN);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ike window");
    TCase *t = tcase_create("window");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, backs_off_up_to_a_bound_and_gives_up);
    tcase_add_test(t, without_tries_it_goes_on);
    tcase_add_test(t, one_at_a_time_and_ids_count);
    tcase_add_test(t, round_trips_of_single_transmissions_alone);
    tcase_add_test(t, ids_do_not_wrap);
    tcase_add_test(t, answers_are_repeated_for_the_same_request_alone);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
