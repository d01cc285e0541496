/* Those who follow a connection: what they are sent, how many there may be, and that a slow one is
 * closed and nobody else. The real loop on one side, the asking side's own code on the other, in
 * one thread. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client/control.h"
#include "client/events.h"
#include "platform/clock.h"
#include "tests/support/fixture.h"
#include "tests/support/support.h"

enum { BOUND_MS = 30000 };

static uv_loop_t loop;
static uv_timer_t tick; /* so that the loop returns to us */
static struct runtime runtime;
static struct control *control;
static struct fault fault;
static json_t *monitor_request;
static unsigned calls;
static bool refuse;

static json_t *handle(void *ctx, const json_t *request)
{
    (void)ctx;
    (void)request;
    calls++;
    return refuse ? json_pack("{s:s}", "error", "not now") : json_pack("{s:s}", "state", "up");
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static void setup(void)
{
    ck_assert(fixture_try("rm -rf run"));
    ck_assert_int_eq(setenv("TERN_RUNTIME_DIR", "run", 1), 0);
    ck_ok(runtime_open(true, &runtime, &fault));
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(uv_timer_init(&loop, &tick), 0);
    ck_assert_int_eq(uv_timer_start(&tick, on_tick, 5, 5), 0);
    calls = 0;
    refuse = false;
    ck_ok(control_open(&loop, &runtime, "office", handle, NULL, &control, &fault));
    monitor_request = json_pack("{s:s}", "command", "monitor");
}

static void teardown(void)
{
    control_close(control);
    uv_close((uv_handle_t *)&tick, NULL);
    ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    json_decref(monitor_request);
    runtime_close(&runtime);
}

/* A few turns, in which the loop sees all that was sent before. */
static void turn(void)
{
    for (int i = 0; i < 4; i++)
        uv_run(&loop, UV_RUN_ONCE);
}

/* The next line, while the loop runs; NULL where it ended. */
static json_t *hear(struct control_follow *c)
{
    json_t *line = NULL;
    enum err e = ERR_AGAIN;
    for (mono_ms end = clock_now() + BOUND_MS; e == ERR_AGAIN && clock_now() < end;) {
        e = control_follow_next(c, 0, &line);
        if (e == ERR_AGAIN)
            uv_run(&loop, UV_RUN_ONCE);
    }
    ck_assert_msg(e == ERR_OK || e == ERR_NOT_FOUND, "%s", err_text(e));
    return line;
}

static void expect_ended(struct control_follow *c)
{
    ck_assert_ptr_null(hear(c));
    control_follow_close(c);
    turn();
}

static struct control_follow begin(const char *key, const char *value)
{
    struct control_follow c;
    ck_ok(control_follow_open(&runtime, "office", monitor_request, &c, &fault));
    json_t *answer = hear(&c);
    ck_assert_ptr_nonnull(answer);
    ck_assert_str_eq(json_string_value(json_object_get(answer, key)), value);
    json_decref(answer);
    return c;
}

static struct control_follow follow(void)
{
    return begin("state", "up");
}

static void leave(struct control_follow *c)
{
    control_follow_close(c);
    turn();
}

static void say(const char *text)
{
    events_emit(control,
                (struct client_event){.type = CLIENT_EVENT_LOG, .log = {LOG_LEVEL_INFO, text}});
}

static void expect(struct control_follow *c, const char *text)
{
    json_t *event = hear(c);
    ck_assert_ptr_nonnull(event);
    ck_assert_str_eq(json_string_value(json_object_get(event, "event")), "log");
    ck_assert_str_eq(json_string_value(json_object_get(event, "text")), text);
    json_decref(event);
}

START_TEST(an_answer_then_what_happens)
{
    say("before");
    ck_assert(!control_followed(control));
    struct control_follow a = follow();
    ck_assert(control_followed(control));
    say("one");
    struct control_follow b = follow();
    say("two");
    expect(&a, "one");
    expect(&a, "two");
    expect(&b, "two");
    leave(&a);
    say("three");
    expect(&b, "three");
    leave(&b);
    ck_assert(!control_followed(control));
    ck_assert_uint_eq(calls, 2);
    events_emit(NULL, (struct client_event){.type = CLIENT_EVENT_LOG});
}
END_TEST

static void expect_text(const json_t *event, const char *key, const char *text)
{
    ck_assert_str_eq(json_string_value(json_object_get(event, key)), text);
}

/* What the session says is told as it is; what it says to us alone is not. */
START_TEST(what_the_session_says)
{
    static struct session_event e;
    struct control_follow c = follow();
    memset(&e, 0, sizeof(e));
    e.type = SESSION_EVENT_UP;
    events_of_session(control, &e);
    e.type = SESSION_EVENT_CHILD_UP;
    e.child.spi_in = 0xabc;
    e.child.spi_out = 0xdef;
    events_of_session(control, &e);
    memset(&e, 0, sizeof(e));
    e.child_down_spi_in = 0xabc;
    e.type = SESSION_EVENT_CHILD_DRAIN;
    events_of_session(control, &e);
    e.type = SESSION_EVENT_CHILD_DOWN;
    events_of_session(control, &e);
    memset(&e, 0, sizeof(e));
    e.type = SESSION_EVENT_REKEYED;
    e.rekeyed.ike = true;
    events_of_session(control, &e);
    memset(&e, 0, sizeof(e));
    e.type = SESSION_EVENT_CONFIG;
    e.config.dns_count = 1;
    e.config.dns[0] = ip_v4(10, 9, 0, 53);
    events_of_session(control, &e);

    static const char *const changes[] = {"up", "drain", "down"};
    for (size_t i = 0; i < 3; i++) {
        json_t *event = hear(&c);
        expect_text(event, "event", "child");
        expect_text(event, "change", changes[i]);
        expect_text(event, "spi_in", "00000abc");
        ck_assert(json_is_string(json_object_get(event, "spi_out")) == (i == 0));
        json_decref(event);
    }
    json_t *event = hear(&c);
    expect_text(event, "event", "rekey");
    expect_text(event, "sa", "ike");
    json_decref(event);
    event = hear(&c);
    expect_text(event, "event", "config");
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(event, "dns"), 0)),
                     "10.9.0.53");
    json_decref(event);
    leave(&c);
}
END_TEST

START_TEST(when_it_happened)
{
    struct control_follow c = follow();
    time_t before = time(NULL);
    mono_ms mono = clock_now();
    say("now");
    json_t *event = hear(&c);
    char text[64];
    struct tm tm;
    gmtime_r(&before, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M", &tm);
    ck_assert_int_eq(json_integer_value(json_object_get(event, "v")), 1);
    ck_assert_int_ge(json_integer_value(json_object_get(event, "mono_ms")), mono);
    ck_assert_int_le(json_integer_value(json_object_get(event, "mono_ms")), clock_now());
    ck_assert_int_ge(strncmp(json_string_value(json_object_get(event, "at")), text, strlen(text)),
                     0);
    json_decref(event);
    leave(&c);
}
END_TEST

START_TEST(who_is_refused_does_not_follow)
{
    refuse = true;
    struct control_follow c = begin("error", "not now");
    ck_assert(!control_followed(control));
    expect_ended(&c);
}
END_TEST

/* There is always room for a request, and for the next one when one goes. */
START_TEST(not_too_many)
{
    struct control_follow c[CONTROL_FOLLOWERS_MAX];
    for (size_t i = 0; i < CONTROL_FOLLOWERS_MAX; i++)
        c[i] = follow();
    struct control_follow more = begin("error", "too many follow it already");
    expect_ended(&more);
    say("all");
    for (size_t i = 0; i < CONTROL_FOLLOWERS_MAX; i++)
        expect(&c[i], "all");
    leave(&c[3]);
    c[3] = follow();
    say("again");
    for (size_t i = 0; i < CONTROL_FOLLOWERS_MAX; i++) {
        expect(&c[i], "again");
        leave(&c[i]);
    }
}
END_TEST

/* Who does not read is closed when the bound is reached; who reads misses nothing. */
START_TEST(a_slow_one_is_closed_and_it_alone)
{
    struct control_follow slow = follow(), good = follow();
    char text[1001];
    unsigned said = 0, bound = 4 * CONTROL_BACKLOG_MAX / 1000;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    int least = 1; /* as little as the kernel lets the receiver have */
    ck_assert_int_eq(setsockopt(slow.fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)), 0);
    for (; said < bound; said++) {
        snprintf(text, 8, "%06u", said);
        text[6] = 'x';
        say(text);
        expect(&good, text);
    }
    unsigned heard = 0;
    for (json_t *event = hear(&slow); event != NULL; event = hear(&slow)) {
        snprintf(text, 8, "%06u", heard++);
        text[6] = 'x'; /* in order, without a gap, to the end */
        ck_assert_str_eq(json_string_value(json_object_get(event, "text")), text);
        json_decref(event);
    }
    ck_assert_uint_lt(heard, bound);
    control_follow_close(&slow);
    say("still there");
    expect(&good, "still there");
    leave(&good);
}
END_TEST

START_TEST(who_follows_has_no_say)
{
    struct control_follow c = follow(), good = follow();
    ck_assert_int_eq(send(c.fd, "{}\n", 3, MSG_NOSIGNAL), 3);
    expect_ended(&c);
    ck_assert_uint_eq(calls, 2);
    say("still there");
    expect(&good, "still there");
    leave(&good);
}
END_TEST

/* The patience with requests is not for those who follow. */
START_TEST(who_follows_may_wait)
{
    struct control_follow c = follow();
    for (mono_ms end = clock_now() + CONTROL_PATIENCE_MS + 500; clock_now() < end;)
        uv_run(&loop, UV_RUN_ONCE);
    say("late");
    expect(&c, "late");
    leave(&c);
}
END_TEST

START_TEST(the_last_words_arrive)
{
    struct control_follow c = follow();
    say("bye");
    control_close(control);
    control = NULL;
    expect(&c, "bye");
    expect_ended(&c);
}
END_TEST

/* --- the reading side --- */

static struct control_follow pair(int *ret_other)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    *ret_other = ends[1];
    return (struct control_follow){.fd = ends[0]};
}

static void send_text(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void expect_number(struct control_follow *c, int n)
{
    json_t *line = NULL;
    ck_ok(control_follow_next(c, clock_now() + BOUND_MS, &line));
    ck_assert_int_eq(json_integer_value(json_object_get(line, "n")), n);
    json_decref(line);
}

START_TEST(lines_in_pieces_and_together)
{
    int other;
    json_t *line = NULL;
    struct control_follow c = pair(&other);
    ck_err(control_follow_next(&c, 0, &line), ERR_AGAIN);
    send_text(other, "{\"n\":1}\n{\"n\":2}\n{\"n\"");
    expect_number(&c, 1);
    expect_number(&c, 2);
    ck_err(control_follow_next(&c, clock_now() + 20, &line), ERR_AGAIN);
    send_text(other, ":3}\n{\"n\":4}\n{\"n\":5");
    expect_number(&c, 3);
    close(other);
    expect_number(&c, 4);
    ck_err(control_follow_next(&c, MONO_NEVER, &line), ERR_NOT_FOUND);
    control_follow_close(&c);
    ck_assert_ptr_null(line);
}
END_TEST

START_TEST(what_is_no_event)
{
    int other;
    json_t *line = NULL;
    struct control_follow c = pair(&other);
    send_text(other, "nonsense\n[1]\n\n{\"n\":1,\"n\":2}\n{\"n\":7}\n");
    for (int i = 0; i < 4; i++)
        ck_err(control_follow_next(&c, MONO_NEVER, &line), ERR_MALFORMED);
    expect_number(&c, 7);
    control_follow_close(&c);
    close(other);
}
END_TEST

START_TEST(a_line_without_end)
{
    int other;
    json_t *line = NULL;
    struct control_follow c = pair(&other);
    static const char much[65536];
    enum err e = ERR_AGAIN;
    for (unsigned i = 0; i < 64 && e == ERR_AGAIN; i++) {
        ssize_t n = send(other, much, sizeof(much), MSG_NOSIGNAL | MSG_DONTWAIT);
        ck_assert(n > 0 || errno == EAGAIN);
        e = control_follow_next(&c, 0, &line);
    }
    ck_err(e, ERR_LIMIT);
    control_follow_close(&c);
    close(other);
}
END_TEST

START_TEST(nobody_to_follow)
{
    struct control_follow c;
    ck_err(control_follow_open(&runtime, "home", monitor_request, &c, &fault), ERR_NOT_FOUND);
    ck_assert(fault.text[0] != '\0');
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client follow");
    TCase *t = tcase_create("follow");
    signal(SIGPIPE, SIG_IGN);
    tcase_set_timeout(t, 120);
    tcase_add_unchecked_fixture(t, fixture_enter, fixture_leave);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, an_answer_then_what_happens);
    tcase_add_test(t, what_the_session_says);
    tcase_add_test(t, when_it_happened);
    tcase_add_test(t, who_is_refused_does_not_follow);
    tcase_add_test(t, not_too_many);
    tcase_add_test(t, a_slow_one_is_closed_and_it_alone);
    tcase_add_test(t, who_follows_has_no_say);
    tcase_add_test(t, who_follows_may_wait);
    tcase_add_test(t, the_last_words_arrive);
    tcase_add_test(t, lines_in_pieces_and_together);
    tcase_add_test(t, what_is_no_event);
    tcase_add_test(t, a_line_without_end);
    tcase_add_test(t, nobody_to_follow);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
