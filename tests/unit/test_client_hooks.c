/* Hooks: what programs are told, in which order they run, and that whatever they do, or the gateway
 * says, harms nobody. */
#include "client/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "tests/support/fixture.h"
#include "tests/support/support.h"

enum { LOG_MAX = 65536, BOUND_S = 50 };

static uv_loop_t loop;
static struct hooks *hooks;
static struct profile profile;
static char logged[LOG_MAX];
static const struct hook_facts nothing = {.gap_ms = -1};

static void keep_line(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    size_t at = strlen(logged);
    snprintf(logged + at, sizeof(logged) - at, "%d %s\n", (int)level, line);
}

static void make_hooks(uint32_t patience_ms)
{
    ck_ok(hooks_new(&loop, &profile, patience_ms, &hooks));
}

static void setup(void)
{
    logged[0] = '\0';
    hooks = NULL;
    memset(&profile, 0, sizeof(profile));
    snprintf(profile.name, sizeof(profile.name), "office");
    log_to(keep_line, NULL, LOG_LEVEL_INFO);
    ck_assert_int_eq(uv_loop_init(&loop), 0);
}

/* The loop ends by itself: nothing is left in it. */
static void finish(void)
{
    hooks_close(hooks);
    hooks = NULL;
    ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}

static void teardown(void)
{
    log_to(NULL, NULL, LOG_LEVEL_ERROR);
}

static void want(enum profile_hook which, const char *line)
{
    struct profile_hook_list *l = &profile.hooks[which];
    struct fault f = {0};
    ck_assert_msg(command_line_parse(line, &l->items[l->count++], &f) == ERR_OK, "%s", f.text);
}

/* A script in the working directory, as a hook. */
static void want_script(enum profile_hook which, const char *name, const char *text)
{
    char here[256], line[COMMAND_LINE_MAX];
    ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
    fixture_write(name, span_text(text));
    ck_assert_int_eq(chmod(name, 0700), 0);
    snprintf(line, sizeof(line), "%s/%s %s", here, name, here);
    want(which, line);
}

static void expect_file(const char *name, const char *text)
{
    struct span got = fixture_read(name);
    ck_assert_msg(span_equal(got, span_text(text)), "%.*s", (int)got.len, (const char *)got.data);
    free((void *)(uintptr_t)got.data);
}

START_TEST(what_a_program_is_told)
{
    struct prefix addresses[2];
    struct ip dns[2];
    static const char *const domains[] = {"example.com", "corp.example"};
    ck_ok(prefix_parse("10.7.0.1/32", &addresses[0]));
    ck_ok(prefix_parse("fd07::1/128", &addresses[1]));
    ck_ok(ip_parse("10.9.0.53", &dns[0]));
    ck_ok(ip_parse("fd09::53", &dns[1]));
    const struct hook_facts facts = {
        .interface = "tern0",
        .state = "up",
        .from = "wlan0",
        .to = "wwan0",
        .reason = "address-gone",
        .gap_ms = 3.14,
        .gateway = ip_v4(203, 0, 113, 1),
        .addresses = addresses,
        .address_count = 2,
        .dns = dns,
        .dns_count = 2,
        .domains = domains,
        .domain_count = 2,
    };
    ck_assert_int_eq(setenv("SECRET", "of ours", 1), 0);
    want(PROFILE_HOOK_HANDOVER, "/usr/bin/env");
    make_hooks(HOOKS_PATIENCE_MS);
    hooks_run(hooks, PROFILE_HOOK_HANDOVER, &facts);
    ck_assert_str_eq(logged, ""); /* beside the loop */
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_str_eq(logged, "2 /usr/bin/env: "
                             "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
                             "2 /usr/bin/env: TERN_EVENT=handover\n"
                             "2 /usr/bin/env: TERN_PROFILE=office\n"
                             "2 /usr/bin/env: TERN_INTERFACE=tern0\n"
                             "2 /usr/bin/env: TERN_STATE=up\n"
                             "2 /usr/bin/env: TERN_FROM=wlan0\n"
                             "2 /usr/bin/env: TERN_TO=wwan0\n"
                             "2 /usr/bin/env: TERN_REASON=address-gone\n"
                             "2 /usr/bin/env: TERN_GAP_MS=3.1\n"
                             "2 /usr/bin/env: TERN_GATEWAY=203.0.113.1\n"
                             "2 /usr/bin/env: TERN_ADDRESSES=10.7.0.1/32 fd07::1/128\n"
                             "2 /usr/bin/env: TERN_DNS=10.9.0.53 fd09::53\n"
                             "2 /usr/bin/env: TERN_DOMAINS=example.com corp.example\n");
    finish();
}
END_TEST

/* What is not known is empty; what could mean something to a shell does not get there. */
START_TEST(values_are_harmless)
{
    static const char *const domains[] = {"$(id).example", "good.example", "a b", "x;y"};
    struct hook_facts facts = {
        .interface = "a;b`c$(d)\n\"'\\|&<>*?{}[]~#!%^=\xc3\xa9",
        .reason = "--x",
        .gap_ms = -1,
        .domains = domains,
        .domain_count = 4,
    };
    want(PROFILE_HOOK_UP, "/usr/bin/env");
    make_hooks(HOOKS_PATIENCE_MS);
    hooks_run(hooks, PROFILE_HOOK_UP, &facts);
    finish();
    ck_assert_ptr_nonnull(strstr(logged, "TERN_INTERFACE=a_b_c__d_______________________\n"));
    ck_assert_ptr_nonnull(strstr(logged, "TERN_REASON=--x\n"));
    ck_assert_ptr_nonnull(strstr(logged, "TERN_DOMAINS=good.example\n"));
    static const char *const empty[] = {"STATE",   "FROM",      "TO", "GAP_MS",
                                        "GATEWAY", "ADDRESSES", "DNS"};
    for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
        char line[64];
        snprintf(line, sizeof(line), "TERN_%s=\n", empty[i]);
        ck_assert_msg(strstr(logged, line) != NULL, "%s in %s", line, logged);
    }
}
END_TEST

START_TEST(a_value_beyond_all_bounds)
{
    static char much[20000];
    memset(much, 'x', sizeof(much) - 1);
    struct hook_facts facts = {.interface = much, .state = "up", .gap_ms = -1};
    want(PROFILE_HOOK_UP, "/usr/bin/env");
    make_hooks(HOOKS_PATIENCE_MS);
    hooks_run(hooks, PROFILE_HOOK_UP, &facts);
    finish();
    ck_assert_ptr_nonnull(strstr(logged, "TERN_INTERFACE=xxx"));
}
END_TEST

START_TEST(one_at_a_time_and_in_order)
{
    static const char slow[] = "#!/bin/sh\ncd $1; echo begin $TERN_EVENT >> order\n"
                               "sleep 0.2; echo end $TERN_EVENT >> order\n";
    static const char quick[] = "#!/bin/sh\ncd $1; echo quick $TERN_EVENT >> order\n";
    want_script(PROFILE_HOOK_UP, "slow", slow);
    want_script(PROFILE_HOOK_UP, "quick", quick);
    want_script(PROFILE_HOOK_HANDOVER, "quick", quick);
    make_hooks(HOOKS_PATIENCE_MS);
    hooks_run(hooks, PROFILE_HOOK_UP, &nothing);
    hooks_run(hooks, PROFILE_HOOK_HANDOVER, &nothing);
    hooks_run(hooks, PROFILE_HOOK_DOWN, &nothing); /* none is wanted */
    uv_run(&loop, UV_RUN_DEFAULT);
    expect_file("order", "begin up\nend up\nquick up\nquick handover\n");
    finish();
    ck_assert_str_eq(logged, "");
}
END_TEST

START_TEST(failures_are_told_and_end_nothing)
{
    want(PROFILE_HOOK_UP, "/nowhere/at/all");
    want(PROFILE_HOOK_UP, "/bin/sh -c 'exit 7'");
    want(PROFILE_HOOK_UP, "/bin/sh -c 'kill -TERM $$'");
    want(PROFILE_HOOK_UP, "/bin/echo 'still there'");
    make_hooks(HOOKS_PATIENCE_MS);
    hooks_run(hooks, PROFILE_HOOK_UP, &nothing);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_str_eq(logged, "0 /nowhere/at/all cannot be run: no such file or directory\n"
                             "1 /bin/sh ended with status 7\n"
                             "1 /bin/sh was ended by signal 15\n"
                             "2 /bin/echo: still there\n");
    finish();
}
END_TEST

/* What it is given: nothing to read, a clean slate of descriptors and signals, a session of its
 * own. */
START_TEST(a_program_stands_alone)
{
    signal(SIGPIPE, SIG_IGN);
    int ours = dup(STDERR_FILENO);
    ck_assert_int_ge(ours, 3);
    ck_assert_int_eq(fcntl(ours, F_SETFD, 0), 0); /* as the shell that started us may have */
    want(PROFILE_HOOK_UP, "/bin/sh -c 'read x; echo \"<$x>\"; pwd; ls /proc/$$/fd; "
                          "grep SigIgn /proc/$$/status; [ $(ps -o sid= -p $$) = $$ ] && echo own'");
    make_hooks(HOOKS_PATIENCE_MS);
    hooks_run(hooks, PROFILE_HOOK_UP, &nothing);
    finish();
    close(ours);
    ck_assert_str_eq(logged, "2 /bin/sh: <>\n2 /bin/sh: /\n"
                             "2 /bin/sh: 0\n2 /bin/sh: 1\n2 /bin/sh: 2\n"
                             "2 /bin/sh: SigIgn:\\x090000000000000000\n"
                             "2 /bin/sh: own\n");
}
END_TEST

/* Until the process is gone, within the bound. */
static bool gone(pid_t pid)
{
    for (time_t end = time(NULL) + BOUND_S; time(NULL) < end;) {
        if (kill(pid, 0) != 0 && errno == ESRCH)
            return true;
        struct timespec moment = {.tv_nsec = 10000000};
        nanosleep(&moment, NULL);
    }
    return false;
}

START_TEST(who_does_not_end_is_killed_with_its_children)
{
    want_script(PROFILE_HOOK_UP, "stuck",
                "#!/bin/sh\ncd $1; trap '' TERM\nsleep 1000 & echo $! > pid.new\n"
                "mv pid.new pid; wait\n");
    want(PROFILE_HOOK_UP, "/bin/echo next");
    make_hooks(4000); /* the script is begun by then */
    hooks_run(hooks, PROFILE_HOOK_UP, &nothing);
    uv_run(&loop, UV_RUN_DEFAULT);
    finish();
    ck_assert_ptr_nonnull(strstr(logged, "2 /bin/echo: next\n"));
    ck_assert_ptr_nonnull(strstr(logged, "/stuck did not end in time and was killed\n"));
    struct span text = fixture_read("pid");
    ck_assert(gone((pid_t)strtol((const char *)text.data, NULL, 10)));
    free((void *)(uintptr_t)text.data);
}
END_TEST

START_TEST(much_output_is_passed_over)
{
    want(PROFILE_HOOK_UP, "/bin/sh -c 'seq 100000; seq 100000 >&2; head -c 3000 /dev/zero'");
    make_hooks(HOOKS_PATIENCE_MS);
    hooks_run(hooks, PROFILE_HOOK_UP, &nothing);
    finish();
    unsigned lines = 0;
    for (const char *at = logged; *at != '\0'; at++)
        lines += *at == '\n';
    ck_assert_uint_eq(lines, HOOKS_LINES_MAX + 1);
    ck_assert_ptr_nonnull(strstr(logged, "/bin/sh prints more, which is passed over\n"));
}
END_TEST

/* Nothing that is printed makes a line of the log's own. */
START_TEST(output_is_escaped)
{
    want(PROFILE_HOOK_UP, "/bin/printf 'a\\\\rb\\\\033[31m\\\\n\\\\nno end'");
    make_hooks(HOOKS_PATIENCE_MS);
    hooks_run(hooks, PROFILE_HOOK_UP, &nothing);
    finish();
    ck_assert_str_eq(logged, "2 /bin/printf: a\\x0db\\x1b[31m\n2 /bin/printf: no end\n");
}
END_TEST

/* A program that leaves somebody behind has ended all the same. */
START_TEST(who_is_left_behind_holds_nobody_up)
{
    want_script(PROFILE_HOOK_UP, "daemon",
                "#!/bin/sh\ncd $1; sleep 1000 & echo $! > pid.new; mv pid.new pid\n");
    want(PROFILE_HOOK_UP, "/bin/echo next");
    make_hooks(HOOKS_PATIENCE_MS);
    hooks_run(hooks, PROFILE_HOOK_UP, &nothing);
    uv_run(&loop, UV_RUN_DEFAULT);
    finish();
    ck_assert_str_eq(logged, "2 /bin/echo: next\n");
    struct span text = fixture_read("pid");
    ck_assert_int_eq(kill((pid_t)strtol((const char *)text.data, NULL, 10), SIGKILL), 0);
    free((void *)(uintptr_t)text.data);
}
END_TEST

START_TEST(at_the_end_only_down_is_still_run)
{
    want(PROFILE_HOOK_UP, "/bin/sh -c 'sleep 0.2; echo up'");
    want(PROFILE_HOOK_HANDOVER, "/bin/echo moved");
    want(PROFILE_HOOK_DOWN, "/bin/echo down");
    make_hooks(HOOKS_PATIENCE_MS);
    hooks_run(hooks, PROFILE_HOOK_UP, &nothing);
    hooks_run(hooks, PROFILE_HOOK_HANDOVER, &nothing);
    hooks_run(hooks, PROFILE_HOOK_DOWN, &nothing);
    hooks_run(hooks, PROFILE_HOOK_HANDOVER, &nothing);
    struct hooks *h = hooks;
    hooks_close(h);
    hooks_run(h, PROFILE_HOOK_DOWN, &nothing); /* too late */
    hooks = h;
    finish();
    ck_assert_str_eq(logged, "2 /bin/sh: up\n2 /bin/echo: down\n");
}
END_TEST

START_TEST(too_many_are_not_run)
{
    want(PROFILE_HOOK_UP, "/bin/true");
    make_hooks(HOOKS_PATIENCE_MS);
    for (unsigned i = 0; i < HOOKS_WAITING_MAX + 2; i++)
        hooks_run(hooks, PROFILE_HOOK_UP, &nothing);
    finish();
    ck_assert_str_eq(logged, "1 /bin/true is not run: too many wait\n"
                             "1 /bin/true is not run: too many wait\n");
}
END_TEST

START_TEST(nothing_to_run)
{
    make_hooks(HOOKS_PATIENCE_MS);
    hooks_run(hooks, PROFILE_HOOK_UP, &nothing);
    hooks_close(NULL);
    finish();
    ck_assert_str_eq(logged, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client hooks");
    TCase *t = tcase_create("hooks");
    tcase_set_timeout(t, 60);
    tcase_add_unchecked_fixture(t, fixture_enter, fixture_leave);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, what_a_program_is_told);
    tcase_add_test(t, values_are_harmless);
    tcase_add_test(t, a_value_beyond_all_bounds);
    tcase_add_test(t, one_at_a_time_and_in_order);
    tcase_add_test(t, failures_are_told_and_end_nothing);
    tcase_add_test(t, a_program_stands_alone);
    tcase_add_test(t, who_does_not_end_is_killed_with_its_children);
    tcase_add_test(t, much_output_is_passed_over);
    tcase_add_test(t, output_is_escaped);
    tcase_add_test(t, who_is_left_behind_holds_nobody_up);
    tcase_add_test(t, at_the_end_only_down_is_still_run);
    tcase_add_test(t, too_many_are_not_run);
    tcase_add_test(t, nothing_to_run);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
