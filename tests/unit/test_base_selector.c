/* Traffic selectors: meeting, covering, narrowing (RFC 7296 2.9), matching packets, text. */
#include <string.h>

#include "common/base/selector.h"
#include "tests/support/support.h"

static struct selector sel(const char *text, uint8_t protocol, uint16_t first, uint16_t last)
{
    struct prefix p;
    ck_ok(prefix_parse(text, &p));
    struct selector s = selector_from_prefix(&p);
    s.protocol = protocol;
    s.port_first = first;
    s.port_last = last;
    return s;
}

static struct selector any(const char *text)
{
    return sel(text, 0, 0, 65535);
}

static struct selector opaque(const char *text)
{
    return sel(text, 6, 65535, 0);
}

static struct selector_list list(size_t count, const struct selector *items)
{
    struct selector_list l = {.count = 0};
    for (size_t i = 0; i < count; i++)
        ck_ok(selector_list_add(&l, &items[i]));
    return l;
}
#define LIST(...)                                                                                  \
    list(sizeof(struct selector[]){__VA_ARGS__} / sizeof(struct selector),                         \
         (struct selector[]){__VA_ARGS__})

static void check_text(const struct selector_list *l, const char *expected)
{
    char out[SELECTOR_LIST_TEXT_MAX];
    ck_assert_str_eq(selector_list_format(l, out), expected);
}

START_TEST(a_prefix_is_for_everything)
{
    struct selector s = any("10.9.8.7/24");
    char out[SELECTOR_TEXT_MAX];
    ck_assert_uint_eq(s.protocol, 0);
    ck_assert_str_eq(selector_format(&s, out), "10.9.8.0/24");
}
END_TEST

START_TEST(text)
{
    struct selector range = any("10.0.0.1");
    range.range.last = ip_v4(10, 0, 0, 7);
    range.protocol = 6;
    range.port_first = range.port_last = 443;
    struct selector_list l =
        LIST(any("0.0.0.0/0"), any("fd07::/64"), range, sel("10.0.0.1", 17, 1000, 2000),
             sel("10.0.0.1", 6, 0, 65535), opaque("10.0.0.1"), sel("10.0.0.1", 99, 5, 5),
             sel("10.0.0.1", 0, 80, 80), sel("::1", 58, 0, 65535), sel("10.0.0.1", 1, 2048, 2048),
             sel("10.0.0.1", 132, 0, 0));
    check_text(&l, "0.0.0.0/0,fd07::/64,10.0.0.1-10.0.0.7[tcp/443],10.0.0.1/32[udp/1000-2000],"
                   "10.0.0.1/32[tcp],10.0.0.1/32[tcp/opaque],10.0.0.1/32[99/5],"
                   "10.0.0.1/32[any/80],::1/128[ipv6-icmp],10.0.0.1/32[icmp/2048],"
                   "10.0.0.1/32[sctp/0]");
    struct selector_list none = {.count = 0};
    check_text(&none, "");
}
END_TEST

START_TEST(text_that_is_too_long_says_so)
{
    struct selector longest = sel("1111:2222:3333:4444:5555:6666:7777:8888", 58, 10000, 20000);
    ck_ok(ip_parse("1111:2222:3333:4444:5555:6666:7777:9999", &longest.range.last));
    struct selector_list l = {.count = 0};
    while (l.count < SELECTORS_MAX)
        ck_ok(selector_list_add(&l, &longest));
    char one[SELECTOR_TEXT_MAX], out[SELECTOR_LIST_TEXT_MAX];
    selector_format(&longest, one);
    ck_assert_str_eq(one, "1111:2222:3333:4444:5555:6666:7777:8888-"
                          "1111:2222:3333:4444:5555:6666:7777:9999[ipv6-icmp/10000-20000]");
    size_t len = strlen(one);
    selector_list_format(&l, out);
    ck_assert_mem_eq(out, one, len);
    ck_assert_str_eq(out + strlen(out) - 4, ",...");
    ck_assert_uint_eq((strlen(out) - 4 + 1) % (len + 1), 0); /* whole items alone */
}
END_TEST

START_TEST(list_is_bounded)
{
    struct selector_list l = {.count = 0};
    struct selector s = any("10.0.0.1");
    for (size_t i = 0; i < SELECTORS_MAX; i++)
        ck_ok(selector_list_add(&l, &s));
    ck_err(selector_list_add(&l, &s), ERR_LIMIT);
    ck_assert_uint_eq(l.count, SELECTORS_MAX);
}
END_TEST

START_TEST(within)
{
    const struct {
        struct selector inner, outer;
        bool within;
    } cases[] = {
        {any("10.0.0.0/24"), any("10.0.0.0/8"), true},
        {any("10.0.0.0/8"), any("10.0.0.0/24"), false},
        {any("10.0.0.0/8"), any("10.0.0.0/8"), true},
        {any("10.0.0.0/8"), any("::/0"), false},
        {sel("10.0.0.1", 6, 80, 80), any("10.0.0.1"), true},
        {any("10.0.0.1"), sel("10.0.0.1", 6, 0, 65535), false},
        {sel("10.0.0.1", 6, 80, 80), sel("10.0.0.1", 17, 0, 65535), false},
        {sel("10.0.0.1", 6, 80, 90), sel("10.0.0.1", 6, 80, 90), true},
        {sel("10.0.0.1", 6, 79, 90), sel("10.0.0.1", 6, 80, 90), false},
        {sel("10.0.0.1", 6, 80, 91), sel("10.0.0.1", 6, 80, 90), false},
        {opaque("10.0.0.1"), any("10.0.0.1"), true},
        {opaque("10.0.0.1"), opaque("10.0.0.1"), true},
        {opaque("10.0.0.1"), sel("10.0.0.1", 6, 0, 65534), false},
        {sel("10.0.0.1", 6, 80, 80), opaque("10.0.0.1"), false},
        {sel("10.0.0.1", 6, 0, 65535), opaque("10.0.0.1"), false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_msg(selector_within(&cases[i].inner, &cases[i].outer) == cases[i].within,
                      "case %zu", i);
        /* What lies within another meets it in itself, and only that does. */
        struct selector both;
        bool whole = selector_intersect(&cases[i].inner, &cases[i].outer, &both) &&
                     selector_within(&cases[i].inner, &both);
        ck_assert_msg(whole == cases[i].within, "case %zu", i);
    }
}
END_TEST

START_TEST(intersect)
{
    char out[SELECTOR_TEXT_MAX];
    struct selector a = sel("10.0.0.0/8", 0, 80, 443), b = sel("10.1.0.0/16", 6, 100, 500), both;
    ck_assert(selector_intersect(&a, &b, &both));
    ck_assert_str_eq(selector_format(&both, out), "10.1.0.0/16[tcp/100-443]");
    ck_assert(selector_intersect(&b, &a, &both));
    ck_assert_str_eq(selector_format(&both, out), "10.1.0.0/16[tcp/100-443]");

    struct selector hidden = opaque("10.0.0.0/8"), all = any("10.0.0.0/8");
    ck_assert(selector_intersect(&hidden, &all, &both));
    ck_assert_str_eq(selector_format(&both, out), "10.0.0.0/8[tcp/opaque]");
    ck_assert(selector_intersect(&hidden, &hidden, &both));
    ck_assert_str_eq(selector_format(&both, out), "10.0.0.0/8[tcp/opaque]");

    struct selector udp = sel("10.0.0.0/8", 17, 0, 65535), ports = sel("10.0.0.0/8", 6, 1, 79);
    struct selector elsewhere = any("11.0.0.0/8");
    ck_assert(!selector_intersect(&udp, &b, &both));
    ck_assert(!selector_intersect(&ports, &a, &both));
    ck_assert(!selector_intersect(&hidden, &ports, &both));
    ck_assert(!selector_intersect(&elsewhere, &a, &both));
    ck_assert_str_eq(selector_format(&both, out), "10.0.0.0/8[tcp/opaque]");
}
END_TEST

START_TEST(list_within_needs_one_item_for_each)
{
    struct selector_list halves = LIST(any("10.0.0.0/25"), any("10.0.0.128/25"));
    struct selector_list whole = LIST(any("10.0.0.0/24")), none = {.count = 0};
    ck_assert(selector_list_within(&halves, &whole));
    ck_assert(!selector_list_within(&whole, &halves));
    ck_assert(selector_list_within(&none, &whole));
    ck_assert(!selector_list_within(&whole, &none));
}
END_TEST

START_TEST(narrowing)
{
    struct selector_list offered = LIST(any("0.0.0.0/0"), any("::/0")), got;
    struct selector_list policy = LIST(any("10.9.0.0/24"), any("fd07::/64"), any("10.9.0.0/16"));
    selector_list_narrow(&offered, &policy, &got);
    check_text(&got, "10.9.0.0/16,fd07::/64"); /* the smaller one is covered */

    /* what is offered first stays first, unless a later one covers it */
    offered =
        LIST(sel("10.9.0.5", 6, 80, 80), any("10.9.0.0/24"), sel("10.8.0.0/16", 17, 0, 65535));
    policy = LIST(any("10.8.0.0/15"));
    selector_list_narrow(&offered, &policy, &got);
    check_text(&got, "10.9.0.0/24,10.8.0.0/16[udp]");

    policy = LIST(any("10.9.0.5"), any("10.9.0.5"));
    selector_list_narrow(&offered, &policy, &got);
    check_text(&got, "10.9.0.5/32");

    policy = LIST(any("172.16.0.0/12"));
    selector_list_narrow(&offered, &policy, &got);
    ck_assert_uint_eq(got.count, 0);

    selector_list_narrow(&offered, &offered, &offered); /* the result may be an argument */
    check_text(&offered, "10.9.0.0/24,10.8.0.0/16[udp]");
}
END_TEST

START_TEST(narrowing_is_bounded)
{
    struct selector_list offered = {.count = 0}, policy = {.count = 0}, got;
    for (uint16_t i = 0; i < SELECTORS_MAX; i++) {
        struct selector odd = sel("10.0.0.0/8", 0, 0, 65535), ports = sel("0.0.0.0/0", 0, 0, 0);
        odd.range.first = odd.range.last = ip_v4(10, 0, 0, (uint8_t)(2 * i));
        ports.port_first = ports.port_last = (uint16_t)(2 * i);
        ck_ok(selector_list_add(&offered, &odd));
        ck_ok(selector_list_add(&policy, &ports));
    }
    selector_list_narrow(&offered, &policy, &got); /* 32 x 32 meetings */
    ck_assert_uint_eq(got.count, SELECTORS_MAX);
    ck_assert(selector_list_within(&got, &offered) && selector_list_within(&got, &policy));
}
END_TEST

START_TEST(matching_packets)
{
    struct selector_list l =
        LIST(sel("10.0.0.0/24", 6, 80, 90), sel("10.0.1.0/24", 0, 0, 65535),
             sel("10.0.2.0/24", 17, 65535, 0), sel("fd07::/64", 58, 0x8000, 0x80ff));
    const struct {
        const char *address;
        uint8_t protocol;
        uint16_t port;
        bool later_fragment, match;
    } cases[] = {
        {"10.0.0.1", 6, 80, false, true},      {"10.0.0.1", 6, 90, false, true},
        {"10.0.0.1", 6, 79, false, false},     {"10.0.0.1", 6, 91, false, false},
        {"10.0.0.1", 17, 80, false, false},    {"10.0.0.1", 6, 80, true, false},
        {"10.0.1.1", 47, 0, false, true},      {"10.0.1.1", 17, 65535, false, true},
        {"10.0.1.1", 17, 0, true, true},       {"10.0.2.1", 17, 0, true, true},
        {"10.0.2.1", 17, 0, false, false},     {"10.0.2.1", 17, 65535, false, false},
        {"10.0.2.1", 6, 0, true, false},       {"10.0.3.1", 6, 80, false, false},
        {"fd07::1", 58, 0x8000, false, true},  {"fd07::1", 58, 0x8100, false, false},
        {"fd08::1", 58, 0x8000, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ip a;
        ck_ok(ip_parse(cases[i].address, &a));
        ck_assert_msg(selector_list_match(&l, &a, cases[i].protocol, cases[i].port,
                                          cases[i].later_fragment) == cases[i].match,
                      "case %zu", i);
    }
    struct selector_list none = {.count = 0};
    struct ip a = ip_v4(10, 0, 1, 1);
    ck_assert(!selector_list_match(&none, &a, 6, 80, false));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("base/selector");
    TCase *t = tcase_create("selector");
    tcase_add_test(t, a_prefix_is_for_everything);
    tcase_add_test(t, text);
    tcase_add_test(t, text_that_is_too_long_says_so);
    tcase_add_test(t, list_is_bounded);
    tcase_add_test(t, within);
    tcase_add_test(t, intersect);
    tcase_add_test(t, list_within_needs_one_item_for_each);
    tcase_add_test(t, narrowing);
    tcase_add_test(t, narrowing_is_bounded);
    tcase_add_test(t, matching_packets);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
