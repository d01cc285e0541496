/* The asking side of the control socket against listeners of every kind, the real one among them.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/control.h"
#include "tests/support/fixture.h"
#include "tests/support/support.h"

static struct runtime runtime;
static struct fault fault;
static json_t *request;

static void setup(void)
{
    ck_assert(fixture_try("rm -rf run"));
    ck_assert_int_eq(setenv("TERN_RUNTIME_DIR", "run", 1), 0);
    ck_ok(runtime_open(true, &runtime, &fault));
    fault = (struct fault){0};
    request = json_pack("{s:i, s:s}", "v", 1, "command", "status");
    ck_assert_ptr_nonnull(request);
}

static void teardown(void)
{
    json_decref(request);
    runtime_close(&runtime);
}

static int listener(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ck_ok(runtime_socket_path(&runtime, name, address.sun_path, &fault));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(fd, 4), 0);
    return fd;
}

/* In a process of its own: takes one client, reads its line, says `answer` `times` times in one go
 * or octet by octet, and closes. Exit code 0 where the line was the request as it should be. */
static pid_t serve(int fd, const char *answer, size_t times, bool by_octets)
{
    static const char expected[] = "{\"v\":1,\"command\":\"status\"}\n";
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child != 0)
        return child;
    char line[256];
    size_t len = 0;
    alarm(60);
    int peer = accept(fd, NULL, NULL);
    while (len < sizeof(line) && (len == 0 || line[len - 1] != '\n')) {
        ssize_t n = recv(peer, line + len, sizeof(line) - len, 0);
        if (n <= 0)
            _exit(2);
        len += (size_t)n;
    }
    size_t step = by_octets ? 1 : strlen(answer);
    for (size_t i = 0; i < times; i++) {
        for (size_t at = 0; at < strlen(answer); at += step) {
            if (send(peer, answer + at, step, MSG_NOSIGNAL) < 0)
                _exit(0); /* it has heard enough */
        }
    }
    _exit(len == sizeof(expected) - 1 && memcmp(line, expected, len) == 0 ? 0 : 3);
}

static void expect_served(pid_t child)
{
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}

static void expect_no_answer(const char *answer, size_t times)
{
    json_t *got = NULL;
    int fd = listener("office");
    pid_t child = serve(fd, answer, times, false);
    close(fd);
    ck_err(control_request(&runtime, "office", request, &got, &fault), ERR_SYSTEM);
    ck_assert_ptr_null(got);
    ck_assert_str_eq(fault.text, "connection \"office\" gave no answer");
    expect_served(child);
    runtime_remove_socket(&runtime, "office");
}

START_TEST(an_answer)
{
    json_t *got = NULL;
    int fd = listener("office");
    pid_t child = serve(fd, "{\"state\": \"up\"}\n", 1, false);
    ck_ok(control_request(&runtime, "office", request, &got, &fault));
    ck_assert_str_eq(json_string_value(json_object_get(got, "state")), "up");
    json_decref(got);
    expect_served(child);
    child = serve(fd, "{\"state\": \"down\"}\n", 1, true);
    ck_ok(control_request(&runtime, "office", request, &got, &fault));
    ck_assert_str_eq(json_string_value(json_object_get(got, "state")), "down");
    json_decref(got);
    expect_served(child);
    close(fd);
}
END_TEST

START_TEST(a_long_answer)
{
    static char answer[900 * 1024];
    json_t *got = NULL;
    memset(answer, 'x', sizeof(answer) - 1);
    memcpy(answer, "{\"n\":\"", 6);
    memcpy(answer + sizeof(answer) - 4, "\"}\n", 3);
    int fd = listener("office");
    pid_t child = serve(fd, answer, 1, false);
    ck_ok(control_request(&runtime, "office", request, &got, &fault));
    ck_assert_uint_eq(strlen(json_string_value(json_object_get(got, "n"))), sizeof(answer) - 10);
    json_decref(got);
    expect_served(child);
    close(fd);
}
END_TEST

START_TEST(no_answer)
{
    expect_no_answer("", 1);
    expect_no_answer("{\"state\":\"up\"}", 1); /* the line's end is missing */
    expect_no_answer("nonsense\n", 1);
    expect_no_answer("{}{}\n", 1);
    expect_no_answer("{\"a\":\"\xff\"}\n", 1);
    expect_no_answer("a line without end, of which we keep a part ", 400000); /* 17 MB */
}
END_TEST

START_TEST(nobody_there)
{
    json_t *got = NULL;
    ck_err(control_request(&runtime, "office", request, &got, &fault), ERR_NOT_FOUND);
    ck_assert_str_eq(fault.text,
                     "connection \"office\" does not answer: No such file or directory");
    close(listener("office")); /* killed: the socket's name is still there */
    ck_err(control_request(&runtime, "office", request, &got, &fault), ERR_NOT_FOUND);
    ck_assert_str_eq(fault.text, "connection \"office\" does not answer: Connection refused");

    struct runtime deep = {.fd = runtime.fd};
    memset(deep.directory, 'd', 120);
    ck_err(control_request(&deep, "office", request, &got, &fault), ERR_LIMIT);
    ck_assert_ptr_null(got);
}
END_TEST

/* --- the real listener, with several who ask at once --- */

static json_t *echo(void *ctx, const json_t *asked)
{
    (void)ctx;
    return json_pack("{s:O}", "echo", json_object_get(asked, "n"));
}

static unsigned asking;

struct asker {
    uv_thread_t thread;
    uv_async_t done;
    int n;
    enum err err;
    json_int_t echo;
};

static void ask(void *arg)
{
    struct asker *a = arg;
    struct fault f;
    json_t *question = json_pack("{s:i}", "n", a->n), *got = NULL;
    a->err = control_request(&runtime, "office", question, &got, &f);
    a->echo = json_integer_value(json_object_get(got, "echo"));
    json_decref(question);
    json_decref(got);
    uv_async_send(&a->done);
}

static void on_done(uv_async_t *async)
{
    uv_close((uv_handle_t *)async, NULL);
    asking--;
}

START_TEST(both_sides_of_ours)
{
    enum { ASKERS = 24 };
    static struct asker askers[ASKERS];
    uv_loop_t loop;
    struct control *control;
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_ok(control_open(&loop, &runtime, "office", echo, NULL, &control, &fault));
    for (int i = 0; i < ASKERS; i++) {
        askers[i].n = i + 1;
        ck_assert_int_eq(uv_async_init(&loop, &askers[i].done, on_done), 0);
        ck_assert_int_eq(uv_thread_create(&askers[i].thread, ask, &askers[i]), 0);
    }
    for (asking = ASKERS; asking > 0;)
        uv_run(&loop, UV_RUN_ONCE);
    for (int i = 0; i < ASKERS; i++) {
        ck_assert_int_eq(uv_thread_join(&askers[i].thread), 0);
        ck_ok(askers[i].err);
        ck_assert_int_eq(askers[i].echo, i + 1);
    }
    control_close(control);
    ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("client_control_request");
    TCase *t = tcase_create("request");

    tcase_add_unchecked_fixture(t, fixture_enter, fixture_leave);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, an_answer);
    tcase_add_test(t, a_long_answer);
    tcase_add_test(t, no_answer);
    tcase_add_test(t, nobody_there);
    tcase_add_test(t, both_sides_of_ours);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return support_run(suite());
}
