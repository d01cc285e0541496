/* Who sleeps in poll() is woken, once for however many calls, and sees what was written before. */
#include "platform/waker.h"

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>

#include "tests/support/support.h"

static struct waker *waker;
static unsigned written;

static bool readable(int timeout_ms)
{
    struct pollfd p = {.fd = waker_fd(waker), .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1;
}

static void setup(void)
{
    struct fault f = {0};
    ck_assert_msg(waker_open(&waker, &f) == ERR_OK, "%s", f.text);
}

static void teardown(void)
{
    waker_close(waker);
}

START_TEST(counts_once)
{
    ck_assert(!readable(0));
    for (int i = 0; i < 3; i++)
        waker_wake(waker);
    ck_assert(readable(0));
    ck_assert(readable(0)); /* until it is cleared */
    waker_clear(waker);
    ck_assert(!readable(0));
    waker_clear(waker); /* does not wait */
    waker_close(NULL);
}
END_TEST

static void *sleep_until_woken(void *seen)
{
    if (readable(-1))
        waker_clear(waker);
    *(unsigned *)seen = written;
    return NULL;
}

START_TEST(wakes_a_thread)
{
    pthread_t sleeper;
    unsigned seen = 0;
    ck_assert_int_eq(pthread_create(&sleeper, NULL, sleep_until_woken, &seen), 0);
    written = 7;
    waker_wake(waker);
    ck_assert_int_eq(pthread_join(sleeper, NULL), 0);
    ck_assert_uint_eq(seen, 7);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("platform waker");
    TCase *t = tcase_create("waker");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, counts_once);
    tcase_add_test(t, wakes_a_thread);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
