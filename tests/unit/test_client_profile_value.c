/* Values of profiles: the whole text or nothing, and the edges of every range. */
#include "client/profile_value.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

START_TEST(lists)
{
    static const struct {
        const char *text;
        const char *items[4];
        size_t count;
    } cases[] = {
        {"a", {"a"}, 1},
        {" a ,\tb c\t", {"a", "b c"}, 2},
        {"a,,b", {"a", "", "b"}, 3},
        {"a,", {"a", ""}, 2},
        {",", {"", ""}, 2},
        {"", {""}, 1},
        {"   ", {""}, 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *at = cases[i].text;
        char item[8];
        bool too_long;
        for (size_t k = 0; k < cases[i].count; k++) {
            ck_assert(value_next(&at, item, sizeof(item), &too_long));
            ck_assert(!too_long);
            ck_assert_str_eq(item, cases[i].items[k]);
        }
        ck_assert(!value_next(&at, item, sizeof(item), &too_long));
    }
}
END_TEST

START_TEST(items_longer_than_their_room)
{
    const char *at = "1234567, 12345678, x";
    char *item = malloc(8); /* so that ASan sees an overrun */
    bool too_long;
    ck_assert_ptr_nonnull(item);
    ck_assert(value_next(&at, item, 8, &too_long));
    ck_assert(!too_long);
    ck_assert_str_eq(item, "1234567");
    ck_assert(value_next(&at, item, 8, &too_long));
    ck_assert(too_long);
    ck_assert_str_eq(item, "1234567");
    ck_assert(value_next(&at, item, 8, &too_long));
    ck_assert(!too_long);
    ck_assert_str_eq(item, "x");
    free(item);
}
END_TEST

START_TEST(booleans)
{
    static const char *const yes[] = {"yes", "true", "on", "1", "YES", "True"};
    static const char *const no[] = {"no", "false", "off", "0", "NO", "Off"};
    static const char *const neither[] = {"", "y", "n", "yes ", " yes", "2", "01", "yess", "ye"};
    bool b;
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        b = false;
        ck_ok(value_bool(yes[i], &b));
        ck_assert(b);
        b = true;
        ck_ok(value_bool(no[i], &b));
        ck_assert(!b);
    }
    for (size_t i = 0; i < sizeof(neither) / sizeof(neither[0]); i++)
        ck_err(value_bool(neither[i], &b), ERR_MALFORMED);
}
END_TEST

START_TEST(numbers)
{
    static const char *const bad[] = {"",    " 1",  "1 ",  "-1", "+1",      "0x10",
                                      "1e3", "1.0", "one", "1s", "\xd9\xa1"};
    uint64_t v = 7;
    ck_ok(value_number("1", 1, 65535, &v));
    ck_assert_uint_eq(v, 1);
    ck_ok(value_number("65535", 1, 65535, &v));
    ck_assert_uint_eq(v, 65535);
    ck_ok(value_number("00080", 1, 65535, &v)); /* decimal, not octal */
    ck_assert_uint_eq(v, 80);
    ck_ok(value_number("18446744073709551615", 0, UINT64_MAX, &v));
    ck_assert_uint_eq(v, UINT64_MAX);
    v = 7;
    ck_err(value_number("0", 1, 65535, &v), ERR_LIMIT);
    ck_err(value_number("65536", 1, 65535, &v), ERR_LIMIT);
    /* would be 0 and 1 where the sum wraps */
    ck_err(value_number("18446744073709551616", 0, 65535, &v), ERR_LIMIT);
    ck_err(value_number("18446744073709551617", 0, 65535, &v), ERR_LIMIT);
    ck_err(value_number("99999999999999999999999999999999999999", 0, 65535, &v), ERR_LIMIT);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_err(value_number(bad[i], 0, UINT64_MAX, &v), ERR_MALFORMED);
    ck_assert_uint_eq(v, 7);
}
END_TEST

START_TEST(durations)
{
    static const char *const bad[] = {"", "s", "1 s", "1S", "1w", "1ms", "1h30m", "-1s", "1.5h"};
    uint32_t s = 7;
    ck_ok(value_duration("90", 1, 3600, &s));
    ck_assert_uint_eq(s, 90);
    ck_ok(value_duration("90s", 1, 3600, &s));
    ck_assert_uint_eq(s, 90);
    ck_ok(value_duration("5m", 1, 3600, &s));
    ck_assert_uint_eq(s, 300);
    ck_ok(value_duration("1h", 1, 3600, &s));
    ck_assert_uint_eq(s, 3600);
    ck_ok(value_duration("7d", 1, 7 * 86400, &s));
    ck_assert_uint_eq(s, 7 * 86400);
    s = 7;
    ck_err(value_duration("3601", 1, 3600, &s), ERR_LIMIT);
    ck_err(value_duration("0", 1, 3600, &s), ERR_LIMIT);
    /* 2^32 seconds and 2^64 of them: one second where the product wraps */
    ck_err(value_duration("4294967297", 0, UINT32_MAX, &s), ERR_LIMIT);
    ck_err(value_duration("213503982334602d", 0, UINT32_MAX, &s), ERR_LIMIT);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_err(value_duration(bad[i], 0, UINT32_MAX, &s), ERR_MALFORMED);
    ck_assert_uint_eq(s, 7);
}
END_TEST

START_TEST(sizes)
{
    static const char *const bad[] = {"", "K", "1k", "1 K", "1KB", "1KiB", "1P", "-1K"};
    uint64_t v = 7;
    ck_ok(value_size("1000", 0, UINT64_MAX, &v));
    ck_assert_uint_eq(v, 1000);
    ck_ok(value_size("64K", 65536, UINT64_MAX, &v));
    ck_assert_uint_eq(v, 65536);
    ck_ok(value_size("3M", 0, UINT64_MAX, &v));
    ck_assert_uint_eq(v, 3145728);
    ck_ok(value_size("4G", 0, UINT64_MAX, &v));
    ck_assert_uint_eq(v, 4294967296);
    ck_ok(value_size("16777215T", 0, UINT64_MAX, &v));
    ck_assert_uint_eq(v, 16777215 * ((uint64_t)1 << 40));
    v = 7;
    ck_err(value_size("16777216T", 0, UINT64_MAX, &v), ERR_LIMIT);
    ck_err(value_size("65535", 65536, UINT64_MAX, &v), ERR_LIMIT);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_err(value_size(bad[i], 0, UINT64_MAX, &v), ERR_MALFORMED);
    ck_assert_uint_eq(v, 7);
}
END_TEST

#define TEN   "abcdefghij"
#define SIXTY TEN TEN TEN TEN TEN TEN

START_TEST(host_names)
{
    static const char *const good[] = {
        "a",           "vpn.example.com",       "vpn.example.com.", "1and1.de",
        "a-b.c",       "xn--bcher-kva.example", "_ike.a",           "9.a",
        SIXTY "abc.de"};
    static const char *const bad[] = {"",           ".",         "a..b",          ".a",    "-a",
                                      "a-",         "a-.b",      "a.-b",          "a b",   "a/b",
                                      "1.2.3",      "1.2.3.256", "1234",          "a\n",   "a%eth0",
                                      "\xc3\xa9.a", "a:b",       SIXTY "abcd.de", "[::1]", "::1"};
    char name[300];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        ck_assert_msg(value_is_host_name(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(!value_is_host_name(bad[i]), "%s", bad[i]);
    memset(name, 'a', sizeof(name));
    for (size_t i = 50; i < sizeof(name); i += 51)
        name[i] = '.';
    name[253] = '\0';
    ck_assert(value_is_host_name(name));
    name[253] = 'a';
    name[254] = '\0';
    ck_assert(!value_is_host_name(name));
}
END_TEST

START_TEST(interfaces)
{
    static const char *const good[] = {"tern0",  "a",      "wlan0.100",
                                       "veth@x", "br-1_2", "123456789012345"};
    static const char *const bad[] = {"",      ".",   "..",       "a b", "a/b", "1234567890123456",
                                      "a\x01", "a:1", "\xc3\xa9", "a%d", "a\n", "$(a)"};
    static const char *const patterns[] = {"*", "wlan*", "?th0", "w?an*"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_msg(value_is_interface(good[i], false), "%s", good[i]);
        ck_assert_msg(value_is_interface(good[i], true), "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(!value_is_interface(bad[i], false), "%s", bad[i]);
        ck_assert_msg(!value_is_interface(bad[i], true), "%s", bad[i]);
    }
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        ck_assert_msg(!value_is_interface(patterns[i], false), "%s", patterns[i]);
        ck_assert_msg(value_is_interface(patterns[i], true), "%s", patterns[i]);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("client_profile_value");
    TCase *t = tcase_create("values");

    tcase_add_test(t, lists);
    tcase_add_test(t, items_longer_than_their_room);
    tcase_add_test(t, booleans);
    tcase_add_test(t, numbers);
    tcase_add_test(t, durations);
    tcase_add_test(t, sizes);
    tcase_add_test(t, host_names);
    tcase_add_test(t, interfaces);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
