/* Addresses, prefixes and ranges: text both ways, and arithmetic. */
#include <stdlib.h>
#include <string.h>

#include "common/base/addr.h"
#include "tests/support/addresses.h"
#include "tests/support/support.h"

static struct ip_range range(const char *first, const char *last)
{
    return (struct ip_range){.first = ip_of(first), .last = ip_of(last)};
}

static const struct {
    const char *in, *out; /* out as RFC 5952 writes it */
} texts[] = {
    {"0.0.0.0", "0.0.0.0"},
    {"192.0.2.1", "192.0.2.1"},
    {"255.255.255.255", "255.255.255.255"},
    {"::", "::"},
    {"::1", "::1"},
    {"1::", "1::"},
    {"0:0:0:0:0:0:0:0", "::"},
    {"2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"}, /* 4.2.3: the first run */
    {"2001:db8:0:0:1:0:0:0", "2001:db8:0:0:1::"},                     /* 4.2.3: the longest run */
    {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},                 /* 4.2.2: not one group */
    {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
    {"2001:DB8:AAAA:bbbb:CcCc:dDdD:EEEE:ffff", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"}, /* 4.3 */
    {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
    {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
    {"fe80::0204:61ff:fe9d:f156", "fe80::204:61ff:fe9d:f156"},
    {"::ffff:192.0.2.128", "::ffff:192.0.2.128"}, /* 5 */
    {"::ffff:c000:280", "::ffff:192.0.2.128"},
    {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
    {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
    {"::1.2.3.4", "::102:304"},
};

START_TEST(address_text_round_trip)
{
    char out[IP_TEXT_MAX];
    struct ip a = ip_of(texts[_i].in), again;
    ck_assert_str_eq(ip_format(&a, out), texts[_i].out);
    ck_ok(ip_parse(out, &again));
    ck_assert(ip_equal(&a, &again));
    ck_assert_uint_eq(a.family, strchr(texts[_i].in, ':') != NULL ? IP_V6 : IP_V4);
}
END_TEST

static const char *const bad_texts[] = {
    "",
    " ",
    "1",
    "1.2",
    "1.2.3",
    "1.2.3.",
    "1.2.3.4.",
    "1.2.3.4.5",
    ".1.2.3.4",
    "1..2.3",
    "256.1.1.1",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.04",
    "00.0.0.0",
    "1.2.3.0004",
    "0x1.2.3.4",
    "1.2.3.4 ",
    " 1.2.3.4",
    "-1.2.3.4",
    "+1.2.3.4",
    "1.2.3.a",
    "1.2.3.4/24",
    "99999999999.1.1.1",
    ":",
    ":::",
    "::1::",
    "1::2::3",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:",
    "1:2:3:4:5:6:7:8:",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    "1:2:3:4::5:6:7:8",
    "12345::",
    "::g",
    "::1%eth0",
    "fe80::1%1",
    "::1.2.3",
    "::1.2.3.4.5",
    "::1.2.3.256",
    "::1.2.3.4:1",
    "1:2:3:4:5:6:7:1.2.3.4",
    "1:2:3:4:5:1.2.3.4",
    "[::1]",
    "::1 ",
    "::/0",
    "1.2.3.4::",
    "::.1.2.3",
    "::01.2.3.4",
    "ffff:",
    "1:::2",
};

START_TEST(bad_address_text_is_refused)
{
    struct ip a = ip_v4(9, 9, 9, 9), before = a;
    struct span text = span_text(bad_texts[_i]);
    uint8_t *exact = support_exact_copy(span_make(bad_texts[_i], text.len + 1));
    ck_err(ip_parse((const char *)exact, &a), ERR_MALFORMED);
    ck_assert(ip_equal(&a, &before));
    free(exact);
}
END_TEST

START_TEST(prefix_text)
{
    static const char *const same[] = {"10.9.0.0/24",    "10.9.0.7/24",  "0.0.0.0/0", "::/0",
                                       "2001:db8::1/64", "192.0.2.1/32", "::1/128"};
    static const char *const bad[] = {"",
                                      "/24",
                                      "10.0.0.0/",
                                      "10.0.0.0/33",
                                      "::/129",
                                      "10.0.0.0/-1",
                                      "10.0.0.0/ 1",
                                      "10.0.0.0/08",
                                      "10.0.0.0/1x",
                                      "10.0.0.0/24/24",
                                      "10.0.0/24",
                                      "10.0.0.0/256",
                                      "10.0.0.0/4294967297",
                                      "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa/64"};
    char out[PREFIX_TEXT_MAX];
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        struct prefix p = prefix_of(same[i]);
        ck_assert_str_eq(prefix_format(&p, out), same[i]);
    }
    struct prefix host = prefix_of("192.0.2.1");
    ck_assert_uint_eq(host.bits, 32);
    host = prefix_of("2001:db8::1");
    ck_assert_uint_eq(host.bits, 128);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct prefix p;
        ck_err(prefix_parse(bad[i], &p), ERR_MALFORMED);
    }
}
END_TEST

START_TEST(longest_texts_fit)
{
    char text[ENDPOINT_TEXT_MAX], p[PREFIX_TEXT_MAX], none[IP_TEXT_MAX];
    struct endpoint e = {.ip = ip_of("1111:2222:3333:4444:5555:6666:7777:8888"), .port = 65535};
    ck_assert_str_eq(endpoint_format(&e, text), "[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
    e = (struct endpoint){.ip = ip_v4(192, 0, 2, 1), .port = 500};
    ck_assert_str_eq(endpoint_format(&e, text), "192.0.2.1:500");
    struct prefix wide = {.ip = ip_of("1111:2222:3333:4444:5555:6666:7777:8888"), .bits = 128};
    ck_assert_str_eq(prefix_format(&wide, p), "1111:2222:3333:4444:5555:6666:7777:8888/128");
    ck_assert_str_eq(ip_format(&(struct ip){.family = IP_NONE}, none), "none");
}
END_TEST

START_TEST(from_and_to_octets)
{
    const uint8_t bytes[17] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17};
    for (size_t len = 0; len <= sizeof bytes; len++) {
        uint8_t *exact = support_exact_copy(span_make(bytes, len));
        struct ip a = ip_from_span(span_make(exact, len));
        bool good = len == 4 || len == 16;
        ck_assert_uint_eq(a.family, len == 4 ? IP_V4 : len == 16 ? IP_V6 : IP_NONE);
        ck_assert_uint_eq(ip_span(&a).len, good ? len : 0);
        if (good)
            ck_span_eq(ip_span(&a), span_make(bytes, len));
        free(exact);
    }
    struct ip a = ip_from_span(span_make(bytes, 4)), b = ip_v4(1, 2, 3, 4);
    ck_assert_mem_eq(a.bytes, b.bytes, 16);
    ck_assert_uint_eq(ip_bits(IP_V4), 32);
    ck_assert_uint_eq(ip_bits(IP_V6), 128);
    ck_assert_uint_eq(ip_bits(IP_NONE), 0);
}
END_TEST

START_TEST(kinds_of_addresses)
{
    static const struct {
        const char *text;
        bool unspecified, multicast, loopback, link_local;
    } kinds[] = {
        {"0.0.0.0", true, false, false, false},
        {"0.0.0.1", false, false, false, false},
        {"127.0.0.1", false, false, true, false},
        {"127.255.255.255", false, false, true, false},
        {"128.0.0.0", false, false, false, false},
        {"169.254.0.1", false, false, false, true},
        {"169.253.0.1", false, false, false, false},
        {"223.255.255.255", false, false, false, false},
        {"224.0.0.1", false, true, false, false},
        {"239.255.255.255", false, true, false, false},
        {"240.0.0.1", false, false, false, false},
        {"::", true, false, false, false},
        {"::1", false, false, true, false},
        {"::2", false, false, false, false},
        {"fe80::1", false, false, false, true},
        {"febf::1", false, false, false, true},
        {"fec0::1", false, false, false, false},
        {"ff02::1", false, true, false, false},
        {"2001:db8::1", false, false, false, false},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct ip a = ip_of(kinds[i].text);
        ck_assert_int_eq(ip_is_unspecified(&a), kinds[i].unspecified);
        ck_assert_int_eq(ip_is_multicast(&a), kinds[i].multicast);
        ck_assert_int_eq(ip_is_loopback(&a), kinds[i].loopback);
        ck_assert_int_eq(ip_is_link_local(&a), kinds[i].link_local);
    }
    struct ip none = {.family = IP_NONE};
    ck_assert(ip_is_unspecified(&none));
    ck_assert(!ip_is_multicast(&none) && !ip_is_loopback(&none) && !ip_is_link_local(&none));
}
END_TEST

START_TEST(order)
{
    static const char *const rising[] = {"0.0.0.0", "1.0.0.0", "1.0.0.1", "255.0.0.0",
                                         "::",      "::1",     "2001::",  "ffff::"};
    for (size_t i = 0; i < 8; i++) {
        for (size_t j = 0; j < 8; j++) {
            struct ip a = ip_of(rising[i]), b = ip_of(rising[j]);
            ck_assert_int_eq(ip_compare(&a, &b), i < j ? -1 : i > j ? 1 : 0);
            ck_assert_int_eq(ip_equal(&a, &b), i == j);
        }
    }
    struct path p = {{ip_of("192.0.2.1"), 500}, {ip_of("192.0.2.2"), 500}, 1}, q = p;
    ck_assert(path_equal(&p, &q));
    q.interface = 2;
    ck_assert(!path_equal(&p, &q));
    q = p;
    q.local.port = 4500;
    ck_assert(!path_equal(&p, &q));
    q = p;
    q.remote.ip = ip_of("192.0.2.3");
    ck_assert(!path_equal(&p, &q));
    ck_assert(endpoint_equal(&p.local, &q.local));
}
END_TEST

START_TEST(one_of_a_list)
{
    const struct ip list[] = {ip_v4(192, 0, 2, 1), ip_v4(192, 0, 2, 2)};
    const struct ip other = ip_v4(192, 0, 2, 3), v6 = {.family = IP_V6};
    ck_assert(ip_listed(list, 2, &list[0]));
    ck_assert(ip_listed(list, 2, &list[1]));
    ck_assert(!ip_listed(list, 1, &list[1]));
    ck_assert(!ip_listed(list, 2, &other));
    ck_assert(!ip_listed(list, 2, &v6));
    ck_assert(!ip_listed(NULL, 0, &other));
}
END_TEST

START_TEST(prefix_arithmetic)
{
    char out[PREFIX_TEXT_MAX], first[IP_TEXT_MAX], last[IP_TEXT_MAX];
    static const struct {
        const char *prefix, *network, *first, *last;
    } cases[] = {
        {"10.9.8.7/24", "10.9.8.0/24", "10.9.8.0", "10.9.8.255"},
        {"10.9.8.7/22", "10.9.8.0/22", "10.9.8.0", "10.9.11.255"},
        {"10.9.8.7/32", "10.9.8.7/32", "10.9.8.7", "10.9.8.7"},
        {"10.9.8.7/31", "10.9.8.6/31", "10.9.8.6", "10.9.8.7"},
        {"10.9.8.7/1", "0.0.0.0/1", "0.0.0.0", "127.255.255.255"},
        {"10.9.8.7/0", "0.0.0.0/0", "0.0.0.0", "255.255.255.255"},
        {"2001:db8::1/33", "2001:db8::/33", "2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"},
        {"::1/0", "::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct prefix p = prefix_of(cases[i].prefix), n = prefix_network(&p);
        ck_assert_str_eq(prefix_format(&n, out), cases[i].network);
        struct ip_range r = range_from_prefix(&p);
        ck_assert_str_eq(ip_format(&r.first, first), cases[i].first);
        ck_assert_str_eq(ip_format(&r.last, last), cases[i].last);
        ck_assert(prefix_contains(&p, &r.first) && prefix_contains(&p, &r.last));
        ck_assert(prefix_equal(&p, &n));
    }
    struct prefix p = prefix_of("10.0.0.0/8"), q = prefix_of("10.0.0.0/9"), v6 = prefix_of("::/8");
    struct ip out_of_it = ip_of("11.0.0.0"), below = ip_of("9.255.255.255"), six = ip_of("a00::");
    ck_assert(!prefix_equal(&p, &q));
    ck_assert(!prefix_equal(&p, &v6));
    ck_assert(!prefix_contains(&p, &out_of_it));
    ck_assert(!prefix_contains(&p, &below));
    ck_assert(!prefix_contains(&p, &six));
    struct prefix host = prefix_host(&six);
    ck_assert_uint_eq(host.bits, 128);
}
END_TEST

START_TEST(ranges_meet_and_contain)
{
    struct ip_range a = range("10.0.0.10", "10.0.0.20"), b = range("10.0.0.15", "10.0.0.30");
    struct ip_range c = range("10.0.0.21", "10.0.0.30"), d = range("10.0.0.12", "10.0.0.13");
    struct ip_range down = range("10.0.0.2", "10.0.0.1"), mixed = range("10.0.0.1", "::1");
    struct ip_range none = {.first = {.family = IP_NONE}}, both = none;
    struct ip_range v6 = range("::", "ffff::");
    ck_assert(range_valid(&a) && range_valid(&v6));
    ck_assert(!range_valid(&down) && !range_valid(&mixed) && !range_valid(&none));
    ck_assert(range_within(&d, &a) && range_within(&a, &a));
    ck_assert(!range_within(&a, &d) && !range_within(&b, &a) && !range_within(&a, &b));
    ck_assert(!range_within(&down, &a) && !range_within(&a, &v6));

    ck_assert(range_intersect(&a, &b, &both));
    ck_assert(ip_equal(&both.first, &b.first) && ip_equal(&both.last, &a.last));
    ck_assert(range_intersect(&d, &a, &both));
    ck_assert(ip_equal(&both.first, &d.first) && ip_equal(&both.last, &d.last));
    struct ip_range before = both;
    ck_assert(!range_intersect(&a, &c, &both));
    ck_assert(!range_intersect(&a, &v6, &both));
    ck_assert(!range_intersect(&a, &down, &both));
    ck_assert(!range_intersect(&none, &none, &both));
    ck_assert(ip_equal(&before.first, &both.first));
}
END_TEST

/* Each prefix starts where the last one ended, and the fewest do it: no two could be one. */
static void check_cover(const struct ip_range *r, const struct prefix *p, size_t count)
{
    struct ip_range one = {.last = r->first};
    for (size_t i = 0; i < count; i++) {
        one = range_from_prefix(&p[i]);
        ck_assert(ip_equal(&one.first, &p[i].ip));
        if (i == 0)
            ck_assert(ip_equal(&one.first, &r->first));
        if (i + 1 < count) {
            struct ip next = one.last;
            for (size_t k = ip_len(next.family); k > 0 && ++next.bytes[k - 1] == 0; k--)
                continue;
            ck_assert(ip_equal(&next, &p[i + 1].ip));
            struct prefix wider = {.ip = p[i].ip, .bits = (uint8_t)(p[i].bits - 1)};
            ck_assert(p[i].bits != p[i + 1].bits || !prefix_contains(&wider, &p[i + 1].ip));
        }
    }
    ck_assert(ip_equal(&one.last, &r->last));
}

START_TEST(ranges_as_prefixes)
{
    static const struct {
        const char *first, *last;
        size_t count;
    } cases[] = {
        {"10.0.0.0", "10.0.0.255", 1},
        {"10.0.0.1", "10.0.0.7", 3},
        {"10.0.0.7", "10.0.0.7", 1},
        {"0.0.0.0", "255.255.255.255", 1},
        {"0.0.0.1", "255.255.255.254", 62},
        {"255.255.255.254", "255.255.255.255", 1},
        {"10.0.0.255", "10.0.1.0", 2},
        {"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1},
        {"::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", RANGE_PREFIXES_MAX},
        {"2001:db8::", "2001:db8:0:ffff:ffff:ffff:ffff:ffff", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ip_range r = range(cases[i].first, cases[i].last);
        struct prefix *out = malloc(cases[i].count * sizeof *out);
        size_t count = 777;
        ck_ok(range_prefixes(&r, out, cases[i].count, &count));
        ck_assert_uint_eq(count, cases[i].count);
        check_cover(&r, out, count);
        count = 777;
        ck_err(range_prefixes(&r, out, cases[i].count - 1, &count), ERR_LIMIT);
        ck_assert_uint_eq(count, 777);
        free(out);
    }
    struct ip_range down = range("10.0.0.2", "10.0.0.1");
    struct prefix one;
    size_t count;
    ck_err(range_prefixes(&down, &one, 1, &count), ERR_MALFORMED);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("base/addr");
    TCase *t = tcase_create("text");
    tcase_add_loop_test(t, address_text_round_trip, 0, (int)(sizeof texts / sizeof texts[0]));
    tcase_add_loop_test(t, bad_address_text_is_refused, 0,
                        (int)(sizeof bad_texts / sizeof bad_texts[0]));
    tcase_add_test(t, prefix_text);
    tcase_add_test(t, longest_texts_fit);
    suite_add_tcase(s, t);
    t = tcase_create("values");
    tcase_add_test(t, from_and_to_octets);
    tcase_add_test(t, kinds_of_addresses);
    tcase_add_test(t, order);
    tcase_add_test(t, one_of_a_list);
    tcase_add_test(t, prefix_arithmetic);
    tcase_add_test(t, ranges_meet_and_contain);
    tcase_add_test(t, ranges_as_prefixes);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
