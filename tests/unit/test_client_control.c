/* The control socket against clients of every kind: raw sockets on one side, the real loop on the
 * other, in one thread. Whatever one client does, only that client is closed. */
#include "client/control.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/fixture.h"
#include "tests/support/support.h"

enum { ANSWER_MAX = 65536, BOUND_S = 30, MANY = 40, HUGE = 1024 * 1024 };

static uv_loop_t loop;
static uv_timer_t tick; /* so that the loop returns to us */
static struct runtime runtime;
static struct control *control;
static struct fault fault;
static unsigned calls, ticks;
static size_t padding; /* octets more in each answer */
static bool close_in_handler;

static json_t *handle(void *ctx, const json_t *request)
{
    ck_assert_ptr_eq(ctx, &calls);
    calls++;
    if (close_in_handler) {
        control_close(control);
        control = NULL;
    }
    char *pad = calloc(1, padding + 1);
    ck_assert_ptr_nonnull(pad);
    memset(pad, 'x', padding);
    json_t *answer = json_pack("{s:O, s:s}", "echo", json_object_get(request, "n"), "pad", pad);
    free(pad);
    return answer != NULL ? answer : json_pack("{s:n}", "echo");
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
    ticks++;
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
    padding = 0;
    close_in_handler = false;
    ck_assert_msg(control_open(&loop, &runtime, "office", handle, &calls, &control, &fault) ==
                      ERR_OK,
                  "%s", fault.text);
}

/* Everything the control socket held is given back: the loop has no handle left. */
static void teardown(void)
{
    control_close(control);
    control_close(NULL);
    uv_close((uv_handle_t *)&tick, NULL);
    ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    ck_assert_int_eq(access("run/office.sock", F_OK), -1);
    runtime_close(&runtime);
}

/* --- a client --- */

static int try_to_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (runtime_socket_path(&runtime, "office", address.sun_path, &fault) != ERR_OK)
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Waits for room in the listener's queue. */
static int client(void)
{
    int fd = try_to_connect();
    for (time_t end = time(NULL) + BOUND_S; fd < 0 && time(NULL) < end; fd = try_to_connect())
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_msg(fd >= 0, "cannot connect: %s", strerror(errno));
    return fd;
}

static void say(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            uv_run(&loop, UV_RUN_ONCE);
            continue;
        }
        if (n < 0)
            return; /* closed already: for the caller to find out */
        text += n;
        len -= (size_t)n;
    }
}

static void say_text(int fd, const char *text)
{
    say(fd, text, strlen(text));
}

/* What arrives until the other side closes; the loop runs meanwhile. Returns the octets, of which
 * the first ANSWER_MAX - 1 are kept. */
static size_t hear(int fd, char out[ANSWER_MAX])
{
    static char spill[ANSWER_MAX];
    size_t len = 0, kept = 0;
    for (time_t end = time(NULL) + BOUND_S; time(NULL) < end;) {
        ssize_t n = recv(fd, spill, sizeof(spill), 0);
        if (n < 0 && errno == EAGAIN) {
            uv_run(&loop, UV_RUN_ONCE);
            continue;
        }
        if (n <= 0) {
            close(fd);
            out[kept] = '\0';
            return len;
        }
        size_t keep = (size_t)n < ANSWER_MAX - 1 - kept ? (size_t)n : ANSWER_MAX - 1 - kept;
        memcpy(out + kept, spill, keep);
        kept += keep;
        len += (size_t)n;
    }
    ck_abort_msg("neither answered nor closed");
}

static void expect_answer(int fd, const char *expected)
{
    char answer[ANSWER_MAX];
    (void)hear(fd, answer);
    ck_assert_str_eq(answer, expected);
}

static void expect_closed(int fd)
{
    expect_answer(fd, "");
}

/* A few turns, in which the loop sees all that was sent before. */
static void turn(void)
{
    for (int i = 0; i < 4; i++)
        uv_run(&loop, UV_RUN_ONCE);
}

/* --- one client --- */

START_TEST(a_request_and_its_answer)
{
    int fd = client();
    say_text(fd, "{\"n\":7}\n");
    expect_answer(fd, "{\"echo\":7,\"pad\":\"\"}\n");
    ck_assert_uint_eq(calls, 1);
}
END_TEST

START_TEST(for_us_alone)
{
    struct stat st;
    mode_t mask = umask(022);
    umask(mask);
    ck_assert_int_eq(lstat("run/office.sock", &st), 0);
    ck_assert(S_ISSOCK(st.st_mode));
    ck_assert_uint_eq(st.st_mode & 0777, 0600);

    umask(0); /* even then, and it comes back */
    struct control *other;
    ck_ok(control_open(&loop, &runtime, "other", handle, &calls, &other, &fault));
    ck_assert_uint_eq(umask(mask), 0);
    ck_assert_int_eq(lstat("run/other.sock", &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    control_close(other);
    turn();
    ck_assert_int_eq(access("run/other.sock", F_OK), -1);
}
END_TEST

/* A killed process left its socket, or something else of that name. */
START_TEST(what_was_there_before_is_replaced)
{
    struct control *other;
    fixture_write("run/other.sock", span_text("x"));
    ck_ok(control_open(&loop, &runtime, "other", handle, &calls, &other, &fault));
    control_close(other);
    ck_assert_int_eq(mkdir("run/third.sock", 0700), 0); /* this one stays in the way */
    other = NULL;
    ck_err(control_open(&loop, &runtime, "third", handle, &calls, &other, &fault), ERR_SYSTEM);
    ck_assert_ptr_null(other);
    ck_assert_ptr_nonnull(strstr(fault.text, "third.sock: address already in use"));
    struct runtime deep = {.fd = runtime.fd};
    memset(deep.directory, 'd', 120);
    ck_err(control_open(&loop, &deep, "x", handle, &calls, &other, &fault), ERR_LIMIT);
    turn();
}
END_TEST

START_TEST(octet_by_octet)
{
    static const char request[] = " { \"n\" :\t[1, {\"a\": null}] } \r\n";
    int fd = client();
    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        say(fd, request + i, 1);
        uv_run(&loop, UV_RUN_ONCE);
    }
    expect_answer(fd, "{\"echo\":[1,{\"a\":null}],\"pad\":\"\"}\n");
}
END_TEST

START_TEST(one_answer_for_a_client)
{
    int fd = client();
    say_text(fd, "{\"n\":1}\n{\"n\":2}\nnonsense");
    expect_answer(fd, "{\"echo\":1,\"pad\":\"\"}\n");
    ck_assert_uint_eq(calls, 1);
}
END_TEST

/* Also while the first answer is on its way. */
START_TEST(no_second_request)
{
    char answer[ANSWER_MAX];
    padding = HUGE;
    int fd = client();
    say_text(fd, "{\"n\":1}\n");
    turn();
    ck_assert_uint_eq(calls, 1);
    say_text(fd, "{\"n\":2}\n");
    turn();
    ck_assert_uint_eq(hear(fd, answer), HUGE + strlen("{\"echo\":1,\"pad\":\"\"}\n"));
    ck_assert_uint_eq(calls, 1);
}
END_TEST

START_TEST(as_long_as_a_request_may_be)
{
    char line[CONTROL_REQUEST_MAX + 1];
    memset(line, ' ', sizeof(line));
    memcpy(line, "{\"n\":1}", 7);
    line[CONTROL_REQUEST_MAX - 1] = '\n';
    int fd = client();
    say(fd, line, CONTROL_REQUEST_MAX);
    expect_answer(fd, "{\"echo\":1,\"pad\":\"\"}\n");

    line[CONTROL_REQUEST_MAX - 1] = ' ';
    line[CONTROL_REQUEST_MAX] = '\n';
    fd = client();
    say(fd, line, CONTROL_REQUEST_MAX + 1);
    expect_closed(fd);
    ck_assert_uint_eq(calls, 1);
}
END_TEST

/* --- hostile ones, beside one that is in the middle of its request --- */

START_TEST(nonsense)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
#define BYTES(text) {text, sizeof(text) - 1}
        BYTES("\n"),
        BYTES("nonsense\n"),
        BYTES("{\n"),
        BYTES("[]\n"),
        BYTES("7\n"),
        BYTES("null\n"),
        BYTES("\"n\"\n"),
        BYTES("{\"n\":1}{\"n\":2}\n"),
        BYTES("{\"n\":1} x\n"),
        BYTES("{\"n\":1,\"n\":2}\n"), /* a key twice */
        BYTES("{\"n\":{\"a\":1,\"a\":1}}\n"),
        BYTES("{\"n\":\"\xff\"}\n"),
        BYTES("{\"n\":\"\\ud800\"}\n"),
        BYTES("{\"n\":1e999}\n"),
        BYTES("{\"n\":99999999999999999999}\n"),
        BYTES("{\"n\":1}\0\n"),
        BYTES("\0\n"),
        BYTES("\x16\x03\x01\x02\x00\x01\n"),
    };
    int bystander = client();
    say_text(bystander, "{\"n\":");
    turn();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = client();
        say(fd, cases[i].bytes, cases[i].len);
        expect_closed(fd);
    }
    ck_assert_uint_eq(calls, 0);
    say_text(bystander, "true}\n");
    expect_answer(bystander, "{\"echo\":true,\"pad\":\"\"}\n");
}
END_TEST

START_TEST(nested_without_end)
{
    char line[CONTROL_REQUEST_MAX];
    int fd = client();
    memset(line, '[', sizeof(line));
    memcpy(line, "{\"n\":", 5);
    line[sizeof(line) - 1] = '\n';
    say(fd, line, sizeof(line));
    expect_closed(fd);
    ck_assert_uint_eq(calls, 0);
}
END_TEST

START_TEST(a_line_without_end)
{
    static char much[1024 * 1024];
    int bystander = client(), fd = client();
    say_text(bystander, "{\"n\"");
    memset(much, 'x', sizeof(much));
    say(fd, much, sizeof(much));
    expect_closed(fd);
    say_text(bystander, ":0}\n");
    expect_answer(bystander, "{\"echo\":0,\"pad\":\"\"}\n");
    ck_assert_uint_eq(calls, 1);
}
END_TEST

START_TEST(those_that_hang_up)
{
    int bystander = client();
    say_text(bystander, "{\"n\"");
    turn();
    for (int i = 0; i < 2 * CONTROL_CLIENTS_MAX; i++) { /* no slot may be lost */
        int fd = client();
        if (i % 4 == 1)
            say_text(fd, "{\"n\":");
        if (i % 4 == 2)
            say_text(fd, "{\"n\":1}\n");
        if (i % 4 == 3) { /* with a reset */
            say_text(fd, "{\"n\":1}\n");
            turn();
        }
        close(fd);
        if (i % 3 == 0)
            turn();
    }
    turn();
    say_text(bystander, ":0}\n");
    expect_answer(bystander, "{\"echo\":0,\"pad\":\"\"}\n");

    int half = client(); /* done with sending, still listening */
    say_text(half, "{\"n\":2}\n");
    ck_assert_int_eq(shutdown(half, SHUT_WR), 0);
    expect_answer(half, "{\"echo\":2,\"pad\":\"\"}\n");
    half = client();
    say_text(half, "{\"n\":2}");
    ck_assert_int_eq(shutdown(half, SHUT_WR), 0);
    expect_closed(half);
}
END_TEST

/* More at once than there is room for: they wait, and all are served. */
START_TEST(many_at_once)
{
    int fds[MANY];
    char expected[64], request[64];
    for (int i = 0; i < MANY; i++) {
        snprintf(request, sizeof(request), "{\"n\":%d}\n", i);
        fds[i] = client();
        say_text(fds[i], request);
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(expected, sizeof(expected), "{\"echo\":%d,\"pad\":\"\"}\n", i);
        expect_answer(fds[i], expected);
    }
    ck_assert_uint_eq(calls, MANY);
}
END_TEST

/* Every slot is taken by somebody who says nothing, or a word now and then, or does not listen to
 * the answer: their time ends, and who came after them is served. */
START_TEST(slow_ones)
{
    int slow[CONTROL_CLIENTS_MAX];
    char answer[ANSWER_MAX];
    padding = HUGE; /* more than the socket holds */
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        slow[i] = client();
        if (i % 4 == 1)
            say_text(slow[i], "{\"n\":");
        if (i % 4 == 2)
            say_text(slow[i], "{\"n\":1}\n");
        turn();
    }
    ck_assert_uint_eq(calls, CONTROL_CLIENTS_MAX / 4);
    padding = 0;
    int late = client();
    say_text(late, "{\"n\":2}\n");
    unsigned told = ticks;
    for (time_t end = time(NULL) + BOUND_S; time(NULL) < end;) {
        /* a blank is a sign of life, no more */
        for (int i = 3; told != ticks && i < CONTROL_CLIENTS_MAX; i += 4)
            (void)!send(slow[i], " ", 1, MSG_NOSIGNAL);
        told = ticks;
        uv_run(&loop, UV_RUN_ONCE);
        if (recv(late, answer, 1, MSG_PEEK) == 1)
            break;
    }
    expect_answer(late, "{\"echo\":2,\"pad\":\"\"}\n");
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        if (i % 4 != 2)
            expect_closed(slow[i]);
    }
    /* The last of those came last of all: the others' time is over as well. */
    for (int i = 2; i < CONTROL_CLIENTS_MAX; i += 4)
        ck_assert_uint_lt(hear(slow[i], answer), HUGE);
}
END_TEST

/* A handler that ends the connection, as `down` may. */
START_TEST(closed_in_the_middle_of_a_request)
{
    char answer[ANSWER_MAX];
    int fd = client(), idle = client();
    say_text(idle, "{");
    turn();
    close_in_handler = true;
    say_text(fd, "{\"n\":1}\n");
    (void)hear(fd, answer);
    expect_closed(idle);
    ck_assert_uint_eq(calls, 1);
}
END_TEST

/* With clients in every state; teardown sees that nothing is left. */
START_TEST(closed_with_clients)
{
    int fds[CONTROL_CLIENTS_MAX + 4];
    padding = HUGE;
    for (int i = 0; i < CONTROL_CLIENTS_MAX + 4; i++) {
        fds[i] = client();
        if (i % 3 == 1)
            say_text(fds[i], "{\"n\":");
        if (i % 3 == 2)
            say_text(fds[i], "{\"n\":1}\n");
    }
    turn();
    control_close(control);
    control_close(control); /* twice is fine before the loop runs */
    control = NULL;
    turn();
    for (int i = 0; i < CONTROL_CLIENTS_MAX + 4; i++)
        close(fds[i]);
}
END_TEST

/* The permissions keep others out; and where they do not, who asks is asked. */
START_TEST(another_user)
{
    int status, go[2];
    if (geteuid() != 0)
        return; /* nobody else to be */
    ck_assert_int_eq(chmod(".", 0711), 0);
    ck_assert_int_eq(chmod("run", 0711), 0);
    ck_assert_int_eq(chmod("run/office.sock", 0666), 0);
    ck_assert_int_eq(pipe(go), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        char octet;
        if (setresuid(65534, 65534, 65534) != 0)
            _exit(2);
        int fd = try_to_connect();
        if (fd < 0 || send(fd, "{\"n\":1}\n", 8, MSG_NOSIGNAL) < 0 || write(go[1], "x", 1) != 1)
            _exit(3);
        alarm(BOUND_S);
        struct timeval forever = {0};
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
        while (recv(fd, &octet, 1, 0) < 0 && errno == EAGAIN)
            usleep(1000);
        _exit(recv(fd, &octet, 1, 0) <= 0 ? 0 : 4);
    }
    char octet;
    close(go[1]);
    ck_assert_int_eq(read(go[0], &octet, 1), 1);
    close(go[0]);
    for (pid_t ended = 0; ended == 0; ended = waitpid(child, &status, WNOHANG))
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    ck_assert_uint_eq(calls, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("client_control");
    TCase *t = tcase_create("control");

    tcase_add_unchecked_fixture(t, fixture_enter, fixture_leave);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_request_and_its_answer);
    tcase_add_test(t, for_us_alone);
    tcase_add_test(t, what_was_there_before_is_replaced);
    tcase_add_test(t, octet_by_octet);
    tcase_add_test(t, one_answer_for_a_client);
    tcase_add_test(t, no_second_request);
    tcase_add_test(t, as_long_as_a_request_may_be);
    tcase_add_test(t, nonsense);
    tcase_add_test(t, nested_without_end);
    tcase_add_test(t, a_line_without_end);
    tcase_add_test(t, those_that_hang_up);
    tcase_add_test(t, many_at_once);
    tcase_add_test(t, slow_ones);
    tcase_add_test(t, closed_in_the_middle_of_a_request);
    tcase_add_test(t, closed_with_clients);
    tcase_add_test(t, another_user);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as in tern itself: libuv writes with it in force */
    return support_run(suite());
}
