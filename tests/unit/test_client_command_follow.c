/* `tern wait` and `tern monitor` against a connection that a process of the test's plays. The
 * commands run in processes of their own, as they do for people. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/commands.h"
#include "client/control.h"
#include "client/events.h"
#include "platform/clock.h"
#include "tests/support/fixture.h"
#include "tests/support/support.h"

enum { BOUND_MS = 40000 };

/* --- the connection --- */

/* One letter each, through a pipe. */
enum order {
    ORDER_UP = 'u',
    ORDER_SEARCHING = 's',
    ORDER_HANDOVER = 'h', /* to cell0 */
    ORDER_LOG = 'l',
    ORDER_TRAFFIC = 't', /* from now on, between any two looks */
    ORDER_STOP = 'q'
};

static struct {
    uv_loop_t loop;
    struct control *control;
    const char *state, *interface;
    int packets, per_look;
} played;

static json_t *on_request(void *ctx, const json_t *request)
{
    (void)ctx;
    (void)request;
    played.packets += played.per_look;
    return json_pack("{s:i, s:s, s:s, s:{s:s}, s:[{s:{s:i}, s:{s:i}}]}", "v", 1, "profile",
                     "office", "state", played.state, "path", "interface", played.interface,
                     "children", "rx", "packets", played.packets, "tx", "packets", 7);
}

static void become(const char *state)
{
    events_emit(played.control, (struct client_event){.type = CLIENT_EVENT_STATE,
                                                      .state = {state, played.state, NULL}});
    played.state = state;
}

static void obey(enum order order)
{
    switch (order) {
    case ORDER_UP:
        become("up");
        break;
    case ORDER_SEARCHING:
        become("searching");
        break;
    case ORDER_HANDOVER:
        played.interface = "cell0";
        events_emit(
            played.control,
            (struct client_event){.type = CLIENT_EVENT_HANDOVER,
                                  .handover = {"wlan0", "cell0", "address-gone", NULL, 2, 1.5}});
        break;
    case ORDER_LOG:
        events_emit(played.control, (struct client_event){.type = CLIENT_EVENT_LOG,
                                                          .log = {LOG_LEVEL_INFO, "a line"}});
        break;
    case ORDER_TRAFFIC:
        played.per_look = 1;
        break;
    case ORDER_STOP:
        become("down");
        control_close(played.control);
        uv_stop(&played.loop);
        break;
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char space[64];
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(space, sizeof(space));
}

static void on_order(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    if (n < 0)
        _exit(1); /* the test is gone */
    for (ssize_t i = 0; i < n; i++)
        obey((enum order)buf->base[i]);
    /* obeyed: as many letters back */
    int fd = *(int *)stream->data;
    if (write(fd, buf->base, (size_t)n) != n)
        _exit(1);
}

static struct player {
    pid_t pid;
    int orders, obeyed;
} player;

static void play(int orders, int obeyed)
{
    struct runtime r;
    struct runtime_lock lock;
    struct runtime_state stale, state = {.pid = getpid()};
    struct fault f = {0};
    uv_pipe_t pipe;
    played.state = "connecting";
    played.interface = "wlan0";
    signal(SIGPIPE, SIG_IGN);
    if (runtime_open(true, &r, &f) != ERR_OK ||
        runtime_lock(&r, "office", &lock, &stale, &f) != ERR_OK ||
        runtime_write(&lock, &state, &f) != ERR_OK || uv_loop_init(&played.loop) != 0 ||
        control_open(&played.loop, &r, "office", on_request, NULL, &played.control, &f) != ERR_OK)
        _exit(2);
    uv_pipe_init(&played.loop, &pipe, 0);
    pipe.data = &obeyed;
    uv_pipe_open(&pipe, orders);
    uv_read_start((uv_stream_t *)&pipe, on_alloc, on_order);
    if (write(obeyed, "!", 1) != 1) /* listens */
        _exit(1);
    uv_run(&played.loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&pipe, NULL);
    uv_run(&played.loop, UV_RUN_DEFAULT);
    runtime_unlock(&r, &lock);
    _exit(0);
}

static void await_obeyed(void)
{
    char letter;
    ck_assert_int_eq(read(player.obeyed, &letter, 1), 1);
}

static void begin_playing(void)
{
    int orders[2], obeyed[2];
    ck_assert_int_eq(pipe2(orders, O_CLOEXEC) | pipe2(obeyed, O_CLOEXEC), 0);
    player.pid = fork();
    ck_assert_int_ge(player.pid, 0);
    if (player.pid == 0) {
        close(orders[1]);
        close(obeyed[0]);
        play(orders[0], obeyed[1]);
    }
    close(orders[0]);
    close(obeyed[1]);
    player.orders = orders[1];
    player.obeyed = obeyed[0];
    await_obeyed();
}

static void order(enum order o)
{
    char letter = (char)o;
    ck_assert_int_eq(write(player.orders, &letter, 1), 1);
    await_obeyed();
}

static void end_playing(int kill_with)
{
    int status;
    if (player.pid <= 0)
        return;
    if (kill_with != 0)
        kill(player.pid, kill_with);
    else
        order(ORDER_STOP);
    ck_assert_int_eq(waitpid(player.pid, &status, 0), player.pid);
    close(player.orders);
    close(player.obeyed);
    player.pid = 0;
}

/* --- the commands --- */

static pid_t start(enum exit_code (*command)(const struct command_options *o),
                   const struct command_options *options)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return pid;
    int out = open("out", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (out < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(99);
    enum exit_code code = command(options);
    fflush(NULL);
    _exit((int)code);
}

static pid_t start_waiting(const char *what, uint32_t timeout_s)
{
    const struct command_options o = {.profile = "office", .what = what, .timeout_s = timeout_s};
    return start(command_wait, &o);
}

/* -1: it goes on. */
static int code_of(pid_t pid, bool block)
{
    int status;
    pid_t ended = waitpid(pid, &status, block ? 0 : WNOHANG);
    if (ended == 0)
        return -1;
    ck_assert_int_eq(ended, pid);
    ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

static bool holds(const char *file, const char *text)
{
    return fixture_try("grep -q -- '%s' %s", text, file);
}

/* Until the process sleeps on what it waits for: a connected socket, or a watched directory. */
static void await_asleep(pid_t pid, bool connected)
{
    struct timespec moment = {.tv_nsec = 5000000};
    for (mono_ms end = clock_now() + BOUND_MS; clock_now() < end;) {
        if (fixture_try("grep -q '^State:.*S' /proc/%d/status && %s", (int)pid,
                        connected ? "true" : "false") ||
            fixture_try("grep -q '^State:.*S' /proc/%d/status && "
                        "grep -qs '^inotify wd' /proc/%d/fdinfo/*",
                        (int)pid, (int)pid))
            return;
        nanosleep(&moment, NULL);
    }
    ck_abort_msg("it does not sleep");
}

static void setup(void)
{
    player.pid = 0;
    ck_assert(fixture_try("rm -rf run out"));
    ck_assert_int_eq(setenv("TERN_RUNTIME_DIR", "run", 1), 0);
}

static void teardown(void)
{
    end_playing(SIGKILL);
}

static void expect_code(pid_t pid, enum exit_code code)
{
    int got = code_of(pid, true);
    struct span out = fixture_read("out");
    ck_assert_msg(got == (int)code, "%d: %.*s", got, (int)out.len, (const char *)out.data);
    free((void *)(uintptr_t)out.data);
}

/* --- wait --- */

START_TEST(where_nothing_runs)
{
    expect_code(start_waiting("down", 0), EXIT_CODE_DONE);
    expect_code(start_waiting("handover", 0), EXIT_CODE_RUNNING_STATE);
    ck_assert(holds("out", "error: \"office\" is not running"));
    expect_code(start_waiting("idle", 0), EXIT_CODE_RUNNING_STATE);
    expect_code(start_waiting("interface=wlan0", 0), EXIT_CODE_RUNNING_STATE);
    ck_assert(!fixture_try("test -e run")); /* who only asks leaves nothing */
    expect_code(start_waiting("up", 1), EXIT_CODE_TIMEOUT);
    ck_assert(holds("out", "error: \"office\": waited 1 s for up in vain"));
}
END_TEST

START_TEST(words_that_mean_nothing)
{
    static const char *const bad[] = {"", "Up", "interface", "interface=", "up down"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_code(start_waiting(bad[i], 1), EXIT_CODE_USAGE);
    const struct command_options o = {.profile = "of fice", .what = "up"};
    expect_code(start(command_wait, &o), EXIT_CODE_NO_PROFILE);
}
END_TEST

/* It sleeps until the socket appears, and then until the connection is up. */
START_TEST(up_before_anything_runs)
{
    pid_t pid = start_waiting("up", 0);
    await_asleep(pid, false);
    begin_playing();
    order(ORDER_LOG);
    order(ORDER_SEARCHING);
    ck_assert_int_eq(code_of(pid, false), -1);
    order(ORDER_UP);
    expect_code(pid, EXIT_CODE_DONE);
}
END_TEST

START_TEST(up_already)
{
    begin_playing();
    order(ORDER_UP);
    expect_code(start_waiting("up", 0), EXIT_CODE_DONE);
    expect_code(start_waiting("interface=wlan0", 0), EXIT_CODE_DONE);
}
END_TEST

/* A connection that failed is not the last one. */
START_TEST(up_at_the_second_attempt)
{
    begin_playing();
    pid_t pid = start_waiting("up", 0);
    await_asleep(pid, true);
    end_playing(SIGKILL); /* and its socket is left behind */
    await_asleep(pid, false);
    ck_assert_int_eq(code_of(pid, false), -1);
    begin_playing();
    end_playing(0);
    ck_assert_int_eq(code_of(pid, false), -1);
    begin_playing();
    order(ORDER_UP);
    expect_code(pid, EXIT_CODE_DONE);
}
END_TEST

START_TEST(down)
{
    begin_playing();
    expect_code(start_waiting("down", 1), EXIT_CODE_TIMEOUT);
    pid_t pid = start_waiting("down", 0);
    await_asleep(pid, true);
    end_playing(0);
    expect_code(pid, EXIT_CODE_DONE);
    begin_playing();
    pid = start_waiting("down", 0);
    await_asleep(pid, true);
    end_playing(SIGKILL);
    expect_code(pid, EXIT_CODE_DONE);
}
END_TEST

START_TEST(handover_and_interface)
{
    begin_playing();
    order(ORDER_UP);
    expect_code(start_waiting("handover", 1), EXIT_CODE_TIMEOUT);
    expect_code(start_waiting("interface=cell0", 1), EXIT_CODE_TIMEOUT);
    pid_t one = start_waiting("handover", 0), other = start_waiting("interface=cell0", 0);
    pid_t third = start_waiting("handover", 0);
    /* Told again and again: whoever was late sees a later one. */
    for (mono_ms end = clock_now() + BOUND_MS; clock_now() < end;) {
        order(ORDER_HANDOVER);
        if (fixture_try("for p in %d %d %d; do grep -q Z /proc/$p/stat || exit 1; done", (int)one,
                        (int)other, (int)third))
            break;
    }
    expect_code(one, EXIT_CODE_DONE);
    expect_code(other, EXIT_CODE_DONE);
    expect_code(third, EXIT_CODE_DONE);
    pid_t last = start_waiting("handover", 0);
    await_asleep(last, true);
    end_playing(0);
    expect_code(last, EXIT_CODE_RUNNING_STATE);
}
END_TEST

START_TEST(idle)
{
    begin_playing();
    order(ORDER_UP);
    mono_ms before = clock_now();
    expect_code(start_waiting("idle", 30), EXIT_CODE_DONE);
    ck_assert_int_ge(clock_now() - before, 5000);
    order(ORDER_TRAFFIC);
    expect_code(start_waiting("idle", 7), EXIT_CODE_TIMEOUT);
}
END_TEST

/* --- monitor --- */

START_TEST(monitor_where_nothing_runs)
{
    const struct command_options o = {.profile = "office"}, any = {0};
    expect_code(start(command_monitor, &o), EXIT_CODE_RUNNING_STATE);
    expect_code(start(command_monitor, &any), EXIT_CODE_RUNNING_STATE);
}
END_TEST

START_TEST(monitor_to_the_end)
{
    const struct command_options o = {.json = true};
    begin_playing();
    pid_t pid = start(command_monitor, &o);
    for (mono_ms end = clock_now() + BOUND_MS; clock_now() < end;) {
        if (fixture_try("grep -qs '\"state\":\"connecting\"' out"))
            break;
    }
    order(ORDER_UP);
    order(ORDER_HANDOVER);
    order(ORDER_LOG);
    end_playing(0);
    expect_code(pid, EXIT_CODE_DONE);
    static const char *const said[] = {
        "^{\"v\":1,\"at\":\"[^\"]*Z\",\"mono_ms\":[0-9]*,\"event\":\"state\",.*\"connecting\"",
        "\"event\":\"state\",\"state\":\"up\",\"was\":\"connecting\",\"reason\":null}$",
        "\"event\":\"handover\",\"from\":\"wlan0\",\"to\":\"cell0\",\"reason\":\"address-gone\"",
        "\"event\":\"log\",\"level\":\"info\",\"text\":\"a line\"}$",
        "\"event\":\"state\",\"state\":\"down\",\"was\":\"up\",\"reason\":null}$",
    };
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
        ck_assert_msg(fixture_try("sed -n %zup out | grep -q '%s'", i + 1, said[i]), "%s", said[i]);
    ck_assert(fixture_try("test $(wc -l < out) = 5"));
}
END_TEST

START_TEST(monitor_for_people)
{
    const struct command_options o = {.profile = "/etc/tern/office.conf"};
    begin_playing();
    pid_t pid = start(command_monitor, &o);
    for (mono_ms end = clock_now() + BOUND_MS; clock_now() < end;) {
        if (fixture_try("grep -qs 'Z  state        connecting$' out"))
            break;
    }
    order(ORDER_HANDOVER);
    end_playing(0);
    expect_code(pid, EXIT_CODE_DONE);
    ck_assert(holds("out", "Z  handover     wlan0 to cell0 (address-gone), 2 messages, "
                           "a gap of 1.5 ms$"));
    ck_assert(holds("out", "Z  state        down after connecting$"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client command follow");
    TCase *t = tcase_create("commands");
    tcase_set_timeout(t, 120);
    tcase_add_unchecked_fixture(t, fixture_enter, fixture_leave);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, where_nothing_runs);
    tcase_add_test(t, words_that_mean_nothing);
    tcase_add_test(t, up_before_anything_runs);
    tcase_add_test(t, up_already);
    tcase_add_test(t, up_at_the_second_attempt);
    tcase_add_test(t, down);
    tcase_add_test(t, handover_and_interface);
    tcase_add_test(t, idle);
    tcase_add_test(t, monitor_where_nothing_runs);
    tcase_add_test(t, monitor_to_the_end);
    tcase_add_test(t, monitor_for_people);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
