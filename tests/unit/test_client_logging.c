/* Where log lines go: the file's mode, one line for one event whatever it says, nothing below the
 * level, nothing after the end. */
#include "client/logging.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/fixture.h"
#include "tests/support/support.h"

static struct command_options options;
static struct fault fault;

static void setup(void)
{
    ck_assert(fixture_try("rm -rf log link target"));
    options = (struct command_options){.log_level = LOG_LEVEL_DEBUG, .log_file = "log"};
    fault = (struct fault){0};
}

static void teardown(void)
{
    logging_stop();
}

static void start(void)
{
    ck_assert_msg(logging_start(&options, &fault) == ERR_OK, "%s", fault.text);
}

/* The lines without their times, each of which must be one. */
static void read_lines(char out[4096])
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ ";
    struct span all = fixture_read("log");
    const char *at = (const char *)all.data, *end = at + all.len;
    out[0] = '\0';
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        ck_assert_ptr_nonnull(newline);
        ck_assert_uint_gt((size_t)(newline - at), sizeof(form) - 1);
        for (size_t i = 0; i < sizeof(form) - 1; i++)
            ck_assert_msg(form[i] == 'd' ? at[i] >= '0' && at[i] <= '9' : at[i] == form[i],
                          "no time: %.*s", (int)(newline - at), at);
        strncat(out, at + sizeof(form) - 1, (size_t)(newline - at) - sizeof(form) + 2);
        at = newline + 1;
    }
    free((void *)all.data);
}

static void expect_lines(const char *expected)
{
    char lines[4096];
    read_lines(lines);
    ck_assert_str_eq(lines, expected);
}

START_TEST(a_line_for_each_event)
{
    start();
    log_error("a %d", 1);
    log_warn("b");
    log_info("c");
    log_debug("d");
    /* on the disk at once: the process may be killed */
    expect_lines("error a 1\nwarn  b\ninfo  c\ndebug d\n");
}
END_TEST

START_TEST(levels)
{
    static const char *const expected[] = {"error a\n", "error a\nwarn  b\n",
                                           "error a\nwarn  b\ninfo  c\n",
                                           "error a\nwarn  b\ninfo  c\ndebug d\n"};
    for (int level = LOG_LEVEL_ERROR; level <= (int)LOG_LEVEL_DEBUG; level++) {
        options.log_level = (enum log_level)level;
        start();
        log_error("a");
        log_warn("b");
        log_info("c");
        log_debug("d");
        logging_stop();
        expect_lines(expected[level]);
        ck_assert_int_eq(unlink("log"), 0);
    }
}
END_TEST

START_TEST(nothing_forges_a_line)
{
    start();
    log_info("peer says \"%s\"", "x\n2026-01-01T00:00:00.000Z error forged\r\x1b[2J\x7f\xc2\x9b"
                                 "\xe2\x80\xa8\xe2\x80\xae\xff");
    expect_lines("info  peer says \"x\\x0a2026-01-01T00:00:00.000Z error forged\\x0d\\x1b[2J\\x7f"
                 "\\xc2\\x9b\\xe2\\x80\\xa8\\xe2\\x80\\xae\\xff\"\n");
}
END_TEST

START_TEST(long_lines_are_cut)
{
    char lines[4096];
    start();
    log_info("%03000d", 0);
    log_info("next");
    read_lines(lines);
    size_t len = strcspn(lines, "\n");
    ck_assert_uint_gt(len, 500);
    ck_assert_uint_lt(len, LOG_LINE_MAX + 8);
    ck_assert_str_eq(lines + len, "\ninfo  next\n");
}
END_TEST

START_TEST(for_us_alone)
{
    struct stat st;
    mode_t mask = umask(0);
    start();
    umask(mask);
    ck_assert_int_eq(stat("log", &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(appended_to)
{
    start();
    log_info("first");
    logging_stop();
    start();
    log_info("second");
    logging_stop();
    log_error("after the end");
    ck_assert(!log_enabled(LOG_LEVEL_ERROR));
    expect_lines("info  first\ninfo  second\n");
}
END_TEST

START_TEST(what_cannot_be_written)
{
    fixture_write("target", span_text("precious"));
    ck_assert_int_eq(symlink("target", "link"), 0);
    options.log_file = "link"; /* nobody else's link says what we write to */
    ck_err(logging_start(&options, &fault), ERR_SYSTEM);
    ck_assert_str_eq(fault.text, "log file link: Too many levels of symbolic links");
    options.log_file = "absent/log";
    ck_err(logging_start(&options, &fault), ERR_SYSTEM);
    ck_assert_str_eq(fault.text, "log file absent/log: No such file or directory");
    options.log_file = "/";
    ck_err(logging_start(&options, &fault), ERR_SYSTEM);
    ck_assert(!log_enabled(LOG_LEVEL_ERROR));
    log_error("to nobody");
    struct span content = fixture_read("target");
    ck_span_eq(content, span_text("precious"));
    free((void *)content.data);
}
END_TEST

START_TEST(in_the_foreground)
{
    options.log_file = NULL;
    options.foreground = true;
    fflush(stderr);
    int before = dup(STDERR_FILENO), log = open("log", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(before, 0);
    ck_assert_int_ge(dup2(log, STDERR_FILENO), 0);
    enum err e = logging_start(&options, &fault);
    log_info("to stderr");
    logging_stop();
    ck_assert_int_ge(dup2(before, STDERR_FILENO), 0); /* and stderr is still open */
    close(before);
    close(log);
    ck_ok(e);
    expect_lines("info  to stderr\n");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("client_logging");
    TCase *t = tcase_create("logging");

    tcase_add_unchecked_fixture(t, fixture_enter, fixture_leave);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_line_for_each_event);
    tcase_add_test(t, levels);
    tcase_add_test(t, nothing_forges_a_line);
    tcase_add_test(t, long_lines_are_cut);
    tcase_add_test(t, for_us_alone);
    tcase_add_test(t, appended_to);
    tcase_add_test(t, what_cannot_be_written);
    tcase_add_test(t, in_the_foreground);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
