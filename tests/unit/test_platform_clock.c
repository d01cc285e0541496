/* Time, alarms, and sleep, which a test can only play: it moves CLOCK_BOOTTIME ahead by standing
 * between us and the C library. */
#include "platform/clock.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/support.h"

static struct fault f;
static int64_t played_sleep_ms; /* ahead of the real CLOCK_BOOTTIME */
static struct alarm *alarm_clock;
static struct resume_watch *watch;

int clock_gettime(clockid_t clock, struct timespec *t)
{
    int status = (int)syscall(SYS_clock_gettime, clock, t);
    if (status == 0 && clock == CLOCK_BOOTTIME)
        t->tv_sec += played_sleep_ms / 1000;
    return status;
}

static void setup(void)
{
    played_sleep_ms = 0;
    alarm_clock = NULL;
    watch = NULL;
    ck_assert_msg(alarm_open(&alarm_clock, &f) == ERR_OK, "%s", f.text);
    ck_assert_msg(resume_watch_open(&watch, &f) == ERR_OK, "%s", f.text);
}

static void teardown(void)
{
    alarm_close(alarm_clock);
    alarm_close(NULL);
    resume_watch_close(watch);
    resume_watch_close(NULL);
}

static bool readable(int fd, int patience_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, patience_ms) == 1;
}

START_TEST(time_goes_on_while_the_machine_sleeps)
{
    mono_ms a = clock_now(), b = clock_now();
    ck_assert(a > 0 && a <= b);
    played_sleep_ms = 60000;
    ck_assert(clock_now() >= b + 60000);
}
END_TEST

START_TEST(time_awake_stands_still_meanwhile)
{
    int64_t before = clock_awake_ms();
    played_sleep_ms = 7 * 86400000LL;
    int64_t passed = clock_awake_ms() - before;
    ck_assert_msg(passed >= 0 && passed < 86400000, "%lld", (long long)passed);
}
END_TEST

START_TEST(an_alarm_comes_at_its_moment)
{
    mono_ms at = clock_now() + 30;
    ck_assert_int_ne(fcntl(alarm_fd(alarm_clock), F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_ne(fcntl(alarm_fd(alarm_clock), F_GETFD) & FD_CLOEXEC, 0);
    alarm_set(alarm_clock, at);
    ck_assert(readable(alarm_fd(alarm_clock), 30000));
    ck_assert(clock_now() >= at);
    ck_assert(alarm_read(alarm_clock));
    ck_assert(!alarm_read(alarm_clock)); /* once */
    ck_assert(!readable(alarm_fd(alarm_clock), 0));
}
END_TEST

START_TEST(a_moment_that_has_passed_counts_at_once)
{
    const mono_ms passed[] = {INT64_MIN, -1, 0, 1, clock_now()};
    for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
        alarm_set(alarm_clock, passed[i]);
        ck_assert(readable(alarm_fd(alarm_clock), 30000));
        ck_assert(alarm_read(alarm_clock));
    }
}
END_TEST

START_TEST(an_alarm_is_put_off_or_taken_back)
{
    alarm_set(alarm_clock, 1);
    alarm_set(alarm_clock, clock_now() + 3600000); /* before it was read */
    ck_assert(!readable(alarm_fd(alarm_clock), 0));
    alarm_set(alarm_clock, 1);
    alarm_clear(alarm_clock);
    ck_assert(!readable(alarm_fd(alarm_clock), 0));
    alarm_set(alarm_clock, 1);
    alarm_set(alarm_clock, MONO_NEVER);
    ck_assert(!readable(alarm_fd(alarm_clock), 0));
    alarm_set(alarm_clock, MONO_NEVER - 1); /* later than anybody waits, and no error */
    ck_assert(!readable(alarm_fd(alarm_clock), 0));
    ck_assert(!alarm_read(alarm_clock));
}
END_TEST

/* The kernel's own words on a descriptor, "KEY:\tVALUE". */
static void expect_info(int fd, const char *line)
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    FILE *in = fopen(path, "r");
    ck_assert_ptr_nonnull(in);
    text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
    fclose(in);
    ck_assert_msg(strstr(text, line) != NULL, "no \"%s\" in %s", line, text);
}

START_TEST(the_timers_are_of_the_right_clocks)
{
    alarm_set(alarm_clock, clock_now() + 3600000);
    expect_info(alarm_fd(alarm_clock), "clockid: 7\n"); /* CLOCK_BOOTTIME */
    expect_info(alarm_fd(alarm_clock), "settime flags: 01\n");
    expect_info(resume_watch_fd(watch), "clockid: 0\n");        /* CLOCK_REALTIME */
    expect_info(resume_watch_fd(watch), "settime flags: 03\n"); /* told where it is set */
    ck_assert_int_ne(fcntl(resume_watch_fd(watch), F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_ne(fcntl(resume_watch_fd(watch), F_GETFD) & FD_CLOEXEC, 0);
}
END_TEST

START_TEST(nothing_is_told_of_a_machine_that_stays_awake)
{
    int64_t slept = -1;
    ck_assert(!readable(resume_watch_fd(watch), 0));
    ck_err(resume_watch_read(watch, &slept), ERR_AGAIN);
    ck_assert_int_eq(slept, -1);
}
END_TEST

/* Another descriptor in the place of the timer says that something was. */
static int64_t wake(void)
{
    int64_t slept = -1;
    int told = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
    ck_assert_int_ge(told, 0);
    ck_assert_int_eq(dup2(told, resume_watch_fd(watch)), resume_watch_fd(watch));
    close(told);
    ck_ok(resume_watch_read(watch, &slept));
    ck_err(resume_watch_read(watch, &slept), ERR_AGAIN);
    return slept;
}

START_TEST(how_long_the_machine_slept)
{
    ck_assert_int_eq(wake(), 0); /* the wall clock was set */
    played_sleep_ms = 5000;
    int64_t slept = wake();
    ck_assert_msg(slept > 4000 && slept < 6000, "%lld", (long long)slept);
    ck_assert_int_eq(wake(), 0); /* it is told once */
    played_sleep_ms += 7 * 86400000LL;
    slept = wake();
    ck_assert_msg(slept > 7 * 86400000LL - 1000 && slept < 7 * 86400000LL + 1000, "%lld",
                  (long long)slept);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("platform clock");
    TCase *t = tcase_create("clock");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, time_goes_on_while_the_machine_sleeps);
    tcase_add_test(t, time_awake_stands_still_meanwhile);
    tcase_add_test(t, an_alarm_comes_at_its_moment);
    tcase_add_test(t, a_moment_that_has_passed_counts_at_once);
    tcase_add_test(t, an_alarm_is_put_off_or_taken_back);
    tcase_add_test(t, the_timers_are_of_the_right_clocks);
    tcase_add_test(t, nothing_is_told_of_a_machine_that_stays_awake);
    tcase_add_test(t, how_long_the_machine_slept);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
