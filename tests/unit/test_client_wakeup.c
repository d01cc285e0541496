/* The one deadline: due at its time, once, whatever it is set to and from wherever; and the news
 * that the machine has slept, which a test can only play. */
#include "client/wakeup.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/support.h"

enum { BOUND_MS = 30000, LATER_MS = 3600000, FDS_MAX = 4 };

static uv_loop_t loop;
static uv_timer_t bound; /* what does not come is found by it */
static bool overdue;
static struct wakeup *wakeup;
static struct fault f;
static unsigned dues, sleeps;
static int64_t slept_last_ms;
static mono_ms due_at;
static void (*inside)(void); /* is done by whichever is called next */

/* --- between us and the C library --- */

static int64_t played_sleep_ms; /* ahead of the real CLOCK_BOOTTIME */
static int timers_left;         /* that can be made; negative: any */
static int timer_fds[FDS_MAX];  /* in the order in which they were made */
static size_t timer_count;
static unsigned settings; /* of the alarm: calls to the kernel */

int clock_gettime(clockid_t clock, struct timespec *t)
{
    int status = (int)syscall(SYS_clock_gettime, clock, t);
    if (status == 0 && clock == CLOCK_BOOTTIME)
        t->tv_sec += played_sleep_ms / 1000;
    return status;
}

int timerfd_create(clockid_t clock, int flags)
{
    if (timers_left == 0)
        return -1;
    if (timers_left > 0)
        timers_left--;
    int fd = (int)syscall(SYS_timerfd_create, clock, flags);
    if (timer_count < FDS_MAX)
        timer_fds[timer_count++] = fd;
    return fd;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *t, struct itimerspec *old)
{
    if (timer_count > 0 && fd == timer_fds[0])
        settings++;
    return (int)syscall(SYS_timerfd_settime, fd, flags, t, old);
}

/* Another descriptor's file in the place of the watcher's timer says that something was. It is put
 * there before the loop looks at it first. */
static void put_resume_signal(bool told)
{
    int fd = eventfd(told ? 1 : 0, EFD_NONBLOCK | EFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(dup2(fd, timer_fds[1]), timer_fds[1]);
    close(fd);
}

static void signal_resume(void)
{
    const uint64_t one = 1;
    ck_assert_int_eq(write(timer_fds[1], &one, sizeof(one)), (ssize_t)sizeof(one));
}

/* --- the loop --- */

static void on_bound(uv_timer_t *timer)
{
    (void)timer;
    overdue = true;
}

static void do_inside(void)
{
    void (*what)(void) = inside;
    inside = NULL;
    if (what != NULL)
        what();
}

static void on_due(void *ctx)
{
    ck_assert_ptr_eq(ctx, &loop);
    dues++;
    due_at = clock_now();
    do_inside();
}

static void on_slept(void *ctx, int64_t slept_ms)
{
    ck_assert_ptr_eq(ctx, &loop);
    sleeps++;
    slept_last_ms = slept_ms;
    do_inside();
}

static void setup(void)
{
    played_sleep_ms = 0;
    timers_left = -1;
    timer_count = 0;
    settings = dues = sleeps = 0;
    inside = NULL;
    wakeup = NULL;
    overdue = false;
    f = (struct fault){0};
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(uv_timer_init(&loop, &bound), 0);
    ck_assert_int_eq(uv_timer_start(&bound, on_bound, BOUND_MS, 0), 0);
    ck_assert_msg(wakeup_open(&loop, on_due, on_slept, &loop, &wakeup, &f) == ERR_OK, "%s", f.text);
    ck_assert_uint_eq(timer_count, 2);
}

static void close_wakeup(void)
{
    wakeup_close(wakeup);
    wakeup = NULL;
}

/* The loop ends by itself: nothing is left in it. */
static void teardown(void)
{
    close_wakeup();
    uv_close((uv_handle_t *)&bound, NULL);
    ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}

static void await(const unsigned *counter, unsigned count)
{
    while (*counter < count && !overdue)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_uint_eq(*counter, count);
}

/* Whatever is ready by now; the second time for what that led to. */
static void look_once(void)
{
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_run(&loop, UV_RUN_NOWAIT);
}

/* --- the deadline --- */

START_TEST(due_at_its_time_and_once)
{
    mono_ms at = clock_now() + 30;
    wakeup_at(wakeup, at);
    look_once();
    ck_assert(dues == 0 || due_at >= at);
    await(&dues, 1);
    ck_assert(due_at >= at);
    look_once();
    ck_assert_uint_eq(dues, 1);
    wakeup_at(wakeup, clock_now() + 1); /* and again, when it is asked again */
    await(&dues, 2);
}
END_TEST

START_TEST(what_has_passed_is_due_at_once)
{
    const mono_ms passed[] = {INT64_MIN, -1, 0, 1, 1000, clock_now()};
    for (unsigned i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
        wakeup_at(wakeup, passed[i]);
        ck_assert_uint_eq(dues, i); /* by the loop, not from inside */
        await(&dues, i + 1);
        wakeup_at(wakeup, passed[i]); /* the same, which was due already: once more */
        await(&dues, i + 2);
        dues--;
    }
    look_once();
    ck_assert_uint_eq(dues, sizeof(passed) / sizeof(passed[0]));
}
END_TEST

START_TEST(never_is_never)
{
    static const mono_ms never[] = {MONO_NEVER, MONO_NEVER - 1, INT64_MAX / 2};
    look_once(); /* nothing was asked yet */
    ck_assert_uint_eq(dues, 0);
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        wakeup_at(wakeup, 1); /* due, and taken back before the loop has seen it */
        wakeup_at(wakeup, never[i]);
        look_once();
        ck_assert_uint_eq(dues, 0);
    }
    wakeup_at(NULL, 1);
    wakeup_at(wakeup, 1);
    await(&dues, 1);
}
END_TEST

START_TEST(the_last_word_counts)
{
    wakeup_at(wakeup, 1);
    wakeup_at(wakeup, clock_now() + LATER_MS);
    look_once();
    ck_assert_uint_eq(dues, 0);
    wakeup_at(wakeup, clock_now() + 10); /* earlier than what is set */
    await(&dues, 1);
    look_once();
    ck_assert_uint_eq(dues, 1);
}
END_TEST

/* It is set after every packet that the session has seen: the kernel is asked for a change alone.
 */
START_TEST(what_does_not_change_costs_nothing)
{
    mono_ms at = clock_now() + LATER_MS;
    wakeup_at(wakeup, MONO_NEVER);
    ck_assert_uint_eq(settings, 0);
    for (int i = 0; i < 1000; i++)
        wakeup_at(wakeup, at);
    ck_assert_uint_eq(settings, 1);
    wakeup_at(wakeup, at + 1);
    ck_assert_uint_eq(settings, 2);
    wakeup_at(wakeup, MONO_NEVER);
    wakeup_at(wakeup, MONO_NEVER);
    ck_assert_uint_eq(settings, 3);
}
END_TEST

/* --- from its own callback --- */

static void set_past(void)
{
    wakeup_at(wakeup, 1);
}

static void set_soon(void)
{
    wakeup_at(wakeup, clock_now() + 10);
}

static void set_never(void)
{
    wakeup_at(wakeup, 1);
    wakeup_at(wakeup, MONO_NEVER);
}

START_TEST(set_again_from_its_own_callback)
{
    wakeup_at(wakeup, 1); /* and then to the very same */
    inside = set_past;
    await(&dues, 1);
    ck_assert_uint_eq(dues, 1); /* not from inside the first call */
    await(&dues, 2);
    inside = set_soon;
    wakeup_at(wakeup, 1);
    await(&dues, 3);
    await(&dues, 4);
    inside = set_never;
    wakeup_at(wakeup, 1);
    await(&dues, 5);
    look_once();
    ck_assert_uint_eq(dues, 5);
}
END_TEST

static unsigned dues_when_put_off;

static void set_later(void)
{
    dues_when_put_off = dues;
    wakeup_at(wakeup, clock_now() + LATER_MS);
}

/* Due, and in the same turn of the loop put off by somebody who was called before: whichever of the
 * two was ready first. */
START_TEST(put_off_in_the_turn_in_which_it_is_due)
{
    put_resume_signal(false);
    look_once();
    played_sleep_ms = 5000;
    if (_i == 0)
        wakeup_at(wakeup, 1);
    signal_resume();
    wakeup_at(wakeup, 1);
    while (sleeps == 0 && !overdue) {
        inside = set_later;
        uv_run(&loop, UV_RUN_ONCE);
    }
    ck_assert_uint_eq(sleeps, 1);
    look_once();
    ck_assert_uint_eq(dues, dues_when_put_off);
    wakeup_at(wakeup, 1);
    await(&dues, dues_when_put_off + 1);
}
END_TEST

START_TEST(closed_from_its_own_callback)
{
    if (_i == 0) {
        inside = close_wakeup;
        wakeup_at(wakeup, 1);
        await(&dues, 1);
    } else { /* with the deadline due in the same turn */
        put_resume_signal(true);
        played_sleep_ms = 5000;
        inside = close_wakeup;
        if (_i == 2)
            wakeup_at(wakeup, 1);
        while (dues + sleeps == 0 && !overdue)
            uv_run(&loop, UV_RUN_ONCE);
    }
    ck_assert_ptr_null(wakeup);
    look_once();
    ck_assert_uint_eq(dues + sleeps, 1); /* nothing is told any more */
}
END_TEST

/* --- sleep --- */

START_TEST(sleep_is_told)
{
    put_resume_signal(false);
    look_once();
    ck_assert_uint_eq(sleeps, 0);
    played_sleep_ms = 60000;
    signal_resume();
    await(&sleeps, 1);
    ck_assert_msg(slept_last_ms > 59000 && slept_last_ms < 61000, "%lld", (long long)slept_last_ms);
    look_once();
    ck_assert_uint_eq(sleeps, 1);
    played_sleep_ms += 7000; /* the next one is told for itself */
    signal_resume();
    await(&sleeps, 2);
    ck_assert_msg(slept_last_ms > 6000 && slept_last_ms < 8000, "%lld", (long long)slept_last_ms);
    ck_assert_uint_eq(dues, 0);
}
END_TEST

/* Setting the wall clock wakes the same descriptor, and is no sleep. */
START_TEST(a_wall_clock_that_is_set_is_no_sleep)
{
    put_resume_signal(true);
    look_once();
    ck_assert_uint_eq(sleeps, 0);
    played_sleep_ms = 60000;
    signal_resume();
    await(&sleeps, 1); /* and it is still heard */
}
END_TEST

static void set_for_the_new_time(void)
{
    wakeup_at(wakeup, 1);
}

START_TEST(a_deadline_set_on_waking)
{
    put_resume_signal(false);
    wakeup_at(wakeup, clock_now() + LATER_MS);
    played_sleep_ms = 2 * LATER_MS;
    inside = set_for_the_new_time;
    signal_resume();
    await(&sleeps, 1);
    await(&dues, 1);
}
END_TEST

static void count_active(uv_handle_t *handle, void *count)
{
    *(unsigned *)count += handle->type == UV_POLL && uv_is_active(handle) ? 1 : 0;
}

static unsigned polled(void)
{
    unsigned count = 0;
    uv_walk(&loop, count_active, &count);
    return count;
}

/* A descriptor that fails for good is let go: no turn after turn for it. The deadline works on. */
START_TEST(a_watcher_that_fails_is_left)
{
    int failing = socket(AF_UNIX, SOCK_STREAM, 0); /* readable, and what is read is EINVAL */
    ck_assert_int_eq(dup2(failing, timer_fds[1]), timer_fds[1]);
    close(failing);
    ck_assert_uint_eq(polled(), 2);
    while (polled() == 2 && !overdue)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_uint_eq(polled(), 1);
    ck_assert_uint_eq(sleeps, 0);
    wakeup_at(wakeup, 1);
    await(&dues, 1);
}
END_TEST

/* --- opening and closing --- */

START_TEST(closed_without_ever_a_turn)
{
    wakeup_at(wakeup, 1);
    close_wakeup();
    wakeup_close(NULL);
    look_once();
    ck_assert_uint_eq(dues + sleeps, 0);
}
END_TEST

START_TEST(what_cannot_be_opened_leaves_nothing)
{
    struct wakeup *other = NULL;
    timers_left = _i; /* none; the first one alone */
    ck_err(wakeup_open(&loop, on_due, on_slept, NULL, &other, &f), ERR_SYSTEM);
    ck_assert_ptr_null(other);
    ck_assert_str_ne(f.text, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client wakeup");
    TCase *t = tcase_create("wakeup");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, due_at_its_time_and_once);
    tcase_add_test(t, what_has_passed_is_due_at_once);
    tcase_add_test(t, never_is_never);
    tcase_add_test(t, the_last_word_counts);
    tcase_add_test(t, what_does_not_change_costs_nothing);
    tcase_add_test(t, set_again_from_its_own_callback);
    tcase_add_loop_test(t, put_off_in_the_turn_in_which_it_is_due, 0, 2);
    tcase_add_loop_test(t, closed_from_its_own_callback, 0, 3);
    tcase_add_test(t, sleep_is_told);
    tcase_add_test(t, a_wall_clock_that_is_set_is_no_sleep);
    tcase_add_test(t, a_deadline_set_on_waking);
    tcase_add_test(t, a_watcher_that_fails_is_left);
    tcase_add_test(t, closed_without_ever_a_turn);
    tcase_add_loop_test(t, what_cannot_be_opened_leaves_nothing, 0, 2);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
