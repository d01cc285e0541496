/* Errors, faults, log lines, and the escaping that guards both. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "tests/support/support.h"

START_TEST(every_error_has_its_own_words)
{
    for (int a = ERR_OK; a <= ERR_AGAIN; a++) {
        ck_assert_str_ne(err_text((enum err)a), err_text((enum err)99));
        for (int b = ERR_OK; b < a; b++)
            ck_assert_str_ne(err_text((enum err)a), err_text((enum err)b));
    }
    ck_assert_str_eq(err_text((enum err)99), "unknown error");
}
END_TEST

START_TEST(fault_keeps_code_text_and_hint)
{
    struct fault f;
    memset(&f, 0x55, sizeof f);
    ck_err(fault_set(&f, ERR_REFUSED, "seen %d of \"%s\"", 3, "x"), ERR_REFUSED);
    ck_assert_int_eq(f.code, ERR_REFUSED);
    ck_assert_str_eq(f.text, "seen 3 of \"x\"");
    ck_assert_str_eq(f.hint, "");
    fault_hint(&f, "do %s", "this");
    ck_assert_str_eq(f.hint, "do this");
    ck_assert_str_eq(f.text, "seen 3 of \"x\"");
    /* a second fault does not keep the first one's advice */
    (void)fault_set(&f, ERR_LIMIT, "other");
    ck_assert_str_eq(f.hint, "");
}
END_TEST

START_TEST(fault_may_be_absent_or_quote_itself)
{
    ck_err(fault_set(NULL, ERR_STATE, "%s", "nobody listens"), ERR_STATE);
    fault_hint(NULL, "nobody listens");
    struct fault f;
    (void)fault_set(&f, ERR_STATE, "inner");
    (void)fault_set(&f, ERR_STATE, "outer: %s", f.text);
    ck_assert_str_eq(f.text, "outer: inner");
    fault_hint(&f, "see");
    fault_hint(&f, "%s also", f.hint);
    ck_assert_str_eq(f.hint, "see also");
}
END_TEST

static const struct {
    const char *in, *out;
} escapes[] = {
    {"plain text, with \\ and %", "plain text, with \\ and %"},
    {"two\nlines\r\t", "two\\x0alines\\x0d\\x09"},
    {"\x1b[2J\x7f", "\\x1b[2J\\x7f"},
    {"gr\xc3\xbc\xc3\x9f dich \xe2\x82\xac \xf0\x9f\x90\xa6",
     "gr\xc3\xbc\xc3\x9f dich \xe2\x82\xac \xf0\x9f\x90\xa6"},
    {"\xc2\x9b", "\\xc2\\x9b"},                               /* C1: an 8-bit CSI */
    {"\xe2\x80\xa8", "\\xe2\\x80\\xa8"},                      /* line separator */
    {"\xe2\x80\xae", "\\xe2\\x80\\xae"},                      /* right-to-left override */
    {"\xe2\x81\xa6", "\\xe2\\x81\\xa6"},                      /* left-to-right isolate */
    {"\x80\xbf", "\\x80\\xbf"},                               /* continuation without a head */
    {"\xc0\xaf", "\\xc0\\xaf"},                               /* overlong */
    {"\xe0\x9f\xbf", "\\xe0\\x9f\\xbf"},                      /* overlong */
    {"\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf"},             /* overlong */
    {"\xed\xa0\x80", "\\xed\\xa0\\x80"},                      /* surrogate */
    {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},             /* beyond U+10FFFF */
    {"\xf5\xff\xfe", "\\xf5\\xff\\xfe"},                      /* never in UTF-8 */
    {"\xe2\x82", "\\xe2\\x82"},                               /* ends in the middle */
    {"\xe2\x82g", "\\xe2\\x82g"},                             /* broken off by another character */
    {"\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80"}, /* beside the surrogates */
    {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},                 /* the last code point */
};

START_TEST(hostile_bytes_are_escaped)
{
    struct fault f;
    (void)fault_set(&f, ERR_MALFORMED, "<%s>", escapes[_i].in);
    char expected[128];
    snprintf(expected, sizeof expected, "<%s>", escapes[_i].out);
    ck_assert_str_eq(f.text, expected);
}
END_TEST

START_TEST(long_text_is_cut_at_a_whole_character)
{
    /* Whatever the offset, the cut splits neither the three octets of a euro sign nor an escape. */
    for (size_t lead = 0; lead < 4; lead++) {
        char in[600];
        size_t at = 0;
        while (at < lead)
            in[at++] = 'a';
        while (at + 4 <= sizeof in) {
            memcpy(in + at, "\xe2\x82\xac", 3);
            at += 3;
        }
        in[at] = '\0';
        struct fault f;
        (void)fault_set(&f, ERR_LIMIT, "%s", in);
        size_t len = strlen(f.text);
        ck_assert_uint_eq((len - lead) % 3, 0);
        ck_assert_uint_gt(len, sizeof f.text - 4);
        ck_assert_mem_eq(f.text, in, len);

        memset(in + lead, '\n', sizeof in - 1 - lead);
        in[sizeof in - 1] = '\0';
        (void)fault_set(&f, ERR_LIMIT, "%s", in);
        len = strlen(f.text);
        ck_assert_uint_eq((len - lead) % 4, 0);
        ck_assert_uint_gt(len, sizeof f.text - 5);
        ck_assert_str_eq(f.text + len - 4, "\\x0a");
    }
}
END_TEST

START_TEST(builder_leaves_out_what_does_not_fit)
{
    char out[8];
    struct text_builder t;
    text_begin(&t, out, sizeof out);
    ck_assert_str_eq(out, "");
    text_add(&t, "%d,", 123);
    text_add(&t, "%s", "456");
    ck_assert_str_eq(out, "123,456");
    ck_assert(!t.cut);
    text_add(&t, "%s", "");
    ck_assert(!t.cut);
    text_add(&t, "7");
    ck_assert(t.cut);
    ck_assert_str_eq(out, "123,456");

    text_begin(&t, out, sizeof out);
    text_add(&t, "12345678");
    text_add(&t, "9"); /* nothing may follow a gap */
    ck_assert(t.cut);
    ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(broken_invariant_aborts)
{
    ASSERT(1 + 1 == 3);
}
END_TEST

struct heard {
    size_t count;
    enum log_level level;
    char line[LOG_LINE_MAX];
};

static void hear(void *ctx, enum log_level level, const char *line)
{
    struct heard *h = ctx;
    h->count++;
    h->level = level;
    ck_assert_uint_lt(strlen(line), sizeof h->line);
    strcpy(h->line, line);
}

START_TEST(log_drops_all_by_default)
{
    ck_assert(!log_enabled(LOG_LEVEL_ERROR));
    log_error("into the void %d", 1);
}
END_TEST

START_TEST(log_writes_up_to_its_level)
{
    struct heard h = {.count = 0};
    log_to(hear, &h, LOG_LEVEL_INFO);
    ck_assert(log_enabled(LOG_LEVEL_INFO));
    ck_assert(!log_enabled(LOG_LEVEL_DEBUG));
    log_debug("not %s", "this");
    ck_assert_uint_eq(h.count, 0);
    log_info("up on %s", "tern0");
    ck_assert_uint_eq(h.count, 1);
    ck_assert_int_eq(h.level, LOG_LEVEL_INFO);
    ck_assert_str_eq(h.line, "up on tern0");
    log_warn("w");
    ck_assert_int_eq(h.level, LOG_LEVEL_WARN);
    log_error("e");
    ck_assert_int_eq(h.level, LOG_LEVEL_ERROR);
    log_to(hear, &h, LOG_LEVEL_DEBUG);
    log_debug("now");
    ck_assert_str_eq(h.line, "now");
    log_to(NULL, NULL, LOG_LEVEL_DEBUG);
    log_error("gone");
    ck_assert_uint_eq(h.count, 4);
}
END_TEST

START_TEST(log_line_cannot_forge_another)
{
    struct heard h = {.count = 0};
    log_to(hear, &h, LOG_LEVEL_INFO);
    log_info("peer \"%s\"", "x\"\nerror: all is lost");
    ck_assert_uint_eq(h.count, 1);
    ck_assert_str_eq(h.line, "peer \"x\"\\x0aerror: all is lost\"");
    char text[LOG_LINE_MAX + 100];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    log_info("%s", text);
    ck_assert_uint_eq(strlen(h.line), LOG_LINE_MAX - 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("base/err");
    TCase *t = tcase_create("fault");
    tcase_add_test(t, every_error_has_its_own_words);
    tcase_add_test(t, fault_keeps_code_text_and_hint);
    tcase_add_test(t, fault_may_be_absent_or_quote_itself);
    tcase_add_loop_test(t, hostile_bytes_are_escaped, 0, (int)(sizeof escapes / sizeof escapes[0]));
    tcase_add_test(t, long_text_is_cut_at_a_whole_character);
    tcase_add_test(t, builder_leaves_out_what_does_not_fit);
    tcase_add_test_raise_signal(t, broken_invariant_aborts, SIGABRT);
    suite_add_tcase(s, t);
    t = tcase_create("log");
    tcase_add_test(t, log_drops_all_by_default);
    tcase_add_test(t, log_writes_up_to_its_level);
    tcase_add_test(t, log_line_cannot_forge_another);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
