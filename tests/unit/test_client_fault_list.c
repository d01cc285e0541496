/* The list of a profile's faults: order, escaping, and what happens beyond its room. */
#include "client/fault_list.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

static struct fault_list list;

static char *print(const char *file)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    ck_assert_ptr_nonnull(f);
    fault_list_print(&list, file, f);
    ck_assert_int_eq(fclose(f), 0);
    return text;
}

static void setup(void)
{
    fault_list_init(&list);
}

START_TEST(printed_by_line_and_then_as_found)
{
    struct fault lower = {0};
    (void)fault_set(&lower, ERR_REFUSED, "k is open to other users");
    fault_hint(&lower, "chmod 600 k");
    fault_list_add(&list, 9, "last");
    fault_list_add(&list, 2, "b %d", 1);
    fault_list_add_fault(&list, 5, &lower);
    fault_list_add(&list, 2, "a");
    fault_list_add(&list, 1, "first");
    char *text = print("/a/b.conf");
    ck_assert_str_eq(text, "/a/b.conf:1: first\n"
                           "/a/b.conf:2: b 1\n"
                           "/a/b.conf:2: a\n"
                           "/a/b.conf:5: k is open to other users (chmod 600 k)\n"
                           "/a/b.conf:9: last\n");
    free(text);
}
END_TEST

START_TEST(nothing)
{
    ck_assert(!fault_list_any(&list));
    char *text = print("x");
    ck_assert_str_eq(text, "");
    free(text);
}
END_TEST

START_TEST(hostile_words_stay_one_line)
{
    fault_list_add(&list, 1, "a\nb.conf:2: forged\r\x1b[2J\x9b\xff\xe2\x80\xa8%%s");
    char *text = print("a");
    ck_assert_str_eq(text, "a:1: a\\x0ab.conf:2: forged\\x0d\\x1b[2J\\x9b\\xff\\xe2\\x80\\xa8%s\n");
    free(text);
}
END_TEST

START_TEST(words_longer_than_their_room)
{
    static char words[2000];
    memset(words, 'x', sizeof(words) - 1);
    fault_list_add(&list, 1, "%s", words);
    size_t len = strlen(list.items[0].fault.text);
    ck_assert_uint_gt(len, 200);
    ck_assert_uint_lt(len, sizeof(list.items[0].fault.text));
    ck_assert_uint_eq(strspn(list.items[0].fault.text, "x"), len);
}
END_TEST

START_TEST(more_than_are_kept_are_counted)
{
    char expected[64];
    for (unsigned i = 0; i < FAULTS_MAX; i++)
        fault_list_add(&list, FAULTS_MAX - i, "x");
    char *full = print("a");
    ck_assert_ptr_null(strstr(full, "more"));
    free(full);
    for (unsigned i = 0; i < 7; i++)
        fault_list_add(&list, 1, "x");
    ck_assert_uint_eq(list.count, FAULTS_MAX);
    char *text = print("a");
    snprintf(expected, sizeof(expected), "a:%d: x\na: and 7 more\n", FAULTS_MAX);
    ck_assert_uint_gt(strlen(text), strlen(expected));
    ck_assert_str_eq(text + strlen(text) - strlen(expected), expected);
    ck_assert_int_eq(strncmp(text, "a:1: x\na:2: x\n", 14), 0);
    free(text);
}
END_TEST

START_TEST(as_the_one_error_of_a_command)
{
    struct fault only = {0}, f;
    (void)fault_set(&only, ERR_REFUSED, "what was seen");
    fault_hint(&only, "what to do");
    fault_list_add_fault(&list, 7, &only);
    fault_list_summary(&list, "/a/b.conf", &f);
    ck_assert_int_eq(f.code, ERR_REFUSED);
    ck_assert_str_eq(f.text, "/a/b.conf:7: what was seen");
    ck_assert_str_eq(f.hint, "what to do");

    fault_list_add(&list, 8, "another");
    fault_list_summary(&list, "/a/b.conf", &f);
    ck_assert_int_eq(f.code, ERR_MALFORMED);
    ck_assert_str_eq(f.text, "/a/b.conf has 2 faults");
    ck_assert_str_eq(f.hint, "");

    for (unsigned i = 0; i < FAULTS_MAX; i++)
        fault_list_add(&list, 1, "x");
    fault_list_summary(&list, "/a/b.conf", &f);
    ck_assert_str_eq(f.text, "/a/b.conf has 66 faults");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("client_fault_list");
    TCase *t = tcase_create("fault_list");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, printed_by_line_and_then_as_found);
    tcase_add_test(t, nothing);
    tcase_add_test(t, hostile_words_stay_one_line);
    tcase_add_test(t, words_longer_than_their_room);
    tcase_add_test(t, more_than_are_kept_are_counted);
    tcase_add_test(t, as_the_one_error_of_a_command);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
