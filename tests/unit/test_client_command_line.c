/* Command lines as profiles write them. */
#include "client/command_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

static struct fault f;

/* The arguments with | between them; "!..." where it is refused. */
static const char *split(const char *text)
{
    static char out[2 * COMMAND_LINE_MAX];
    struct command_line line;
    char *copy = (char *)support_exact_copy(span_make(text, strlen(text) + 1));
    f = (struct fault){0};
    enum err e = command_line_parse(copy, &line, &f);
    free(copy);
    out[0] = '\0';
    if (e != ERR_OK) {
        ck_assert(f.text[0] != '\0');
        return strcat(strcpy(out, "!"), err_text(e));
    }
    for (size_t i = 0; i < line.count; i++)
        strcat(strcat(out, i > 0 ? "|" : ""), command_line_argument(&line, i));
    return out;
}

static void expect(const char *text, const char *words)
{
    ck_assert_str_eq(split(text), words);
}

START_TEST(words_and_quotes)
{
    expect("/bin/true", "/bin/true");
    expect(" \t /bin/echo  a\tb ", "/bin/echo|a|b");
    expect("/bin/echo 'a b' \"c  d\"", "/bin/echo|a b|c  d");
    expect("/bin/echo a' 'b\"c\"", "/bin/echo|a bc");
    expect("/bin/echo '' \"\" x", "/bin/echo|||x");
    expect("/bin/echo '\"' \"'\"", "/bin/echo|\"|'");
}
END_TEST

START_TEST(escapes)
{
    expect("/bin/echo a\\sb \\\\ \\\" \\' \\x41\\x7a", "/bin/echo|a b|\\|\"|'|Az");
    expect("/bin/echo \"\\\"\" '\\''", "/bin/echo|\"|'");
    expect("/bin/echo \\n\\t\\r.", "/bin/echo|\n\t\r.");
}
END_TEST

/* No shell: what would mean something there is text. */
START_TEST(nothing_is_expanded)
{
    expect("/bin/echo $HOME `id` %i * a;b >c #d", "/bin/echo|$HOME|`id`|%i|*|a;b|>c|#d");
}
END_TEST

START_TEST(what_is_refused)
{
    char malformed[64];
    snprintf(malformed, sizeof(malformed), "!%s", err_text(ERR_MALFORMED));
    static const char *const bad[] = {"",       "  ",     "/a 'b",   "/a \"b",   "/a \\",
                                      "/a \\q", "/a \\x", "/a \\x4", "/a \\xg0", "/a \\x00"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect(bad[i], malformed);
}
END_TEST

START_TEST(limits)
{
    char text[COMMAND_LINE_MAX + 8], limit[64];
    snprintf(limit, sizeof(limit), "!%s", err_text(ERR_LIMIT));
    expect("/a 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15", "/a|1|2|3|4|5|6|7|8|9|10|11|12|13|14|15");
    expect("/a 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", limit);
    memset(text, 'x', sizeof(text));
    text[COMMAND_LINE_MAX - 1] = '\0';
    expect(text, text);
    text[COMMAND_LINE_MAX - 1] = 'x';
    text[COMMAND_LINE_MAX] = '\0';
    expect(text, limit);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client command line");
    TCase *t = tcase_create("split");
    tcase_add_test(t, words_and_quotes);
    tcase_add_test(t, escapes);
    tcase_add_test(t, nothing_is_expanded);
    tcase_add_test(t, what_is_refused);
    tcase_add_test(t, limits);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
