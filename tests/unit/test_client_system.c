/* What a gateway may assign, and what is refused before anything of the system is changed. */
#include "client/system.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/addresses.h"
#include "tests/support/support.h"

static struct configuration config;
static struct ip gateway;
static struct profile profile;
static struct selector_list none;

static enum err check(struct fault *f)
{
    const struct system_plan plan = {.profile = &profile,
                                     .config = &config,
                                     .local = &none,
                                     .remote = &none,
                                     .gateway = &gateway};
    *f = (struct fault){0};
    return system_check(&plan, f);
}

static void setup(void)
{
    config = (struct configuration){0};
    gateway = prefix_of("203.0.113.1").ip;
}

START_TEST(what_a_fair_gateway_assigns)
{
    static const char *const fair[] = {"10.7.0.1",       "10.7.0.1/24",      "10.0.0.0/8",
                                       "100.64.0.9/10",  "198.51.100.7/25",  "203.0.113.2",
                                       "203.0.113.2/32", "203.0.113.128/25", "fd07::1/64",
                                       "2001:db8::7",    "223.255.255.255"};
    struct fault f;
    ck_ok(check(&f)); /* nothing at all */
    for (size_t i = 0; i < sizeof(fair) / sizeof(fair[0]); i++) {
        config.address_count = 1;
        config.addresses[0] = prefix_of(fair[i]);
        ck_assert_msg(check(&f) == ERR_OK, "%s: %s", fair[i], f.text);
    }
    config.address_count = CP_ADDRESSES_MAX;
    for (size_t i = 0; i < CP_ADDRESSES_MAX; i++)
        config.addresses[i] = (struct prefix){ip_v4(10, 7, 0, (uint8_t)(i + 1)), 32};
    config.dns_count = 3;
    config.dns[0] = prefix_of("10.9.0.53").ip;
    config.dns[1] = prefix_of("2001:db8::53").ip;
    config.dns[2] = gateway; /* it may well serve names, too */
    ck_ok(check(&f));
}
END_TEST

static void expect_address_refused(const char *text)
{
    char words[128];
    struct fault f;
    config.address_count = 2;
    config.addresses[0] = prefix_of("10.7.0.1");
    config.addresses[1] = prefix_of(text);
    ck_assert_msg(check(&f) == ERR_REFUSED, "%s is accepted", text);
    ck_assert_int_eq(f.code, ERR_REFUSED);
    snprintf(words, sizeof(words), "the gateway assigned us the address %s, which cannot be", text);
    ck_assert_str_eq(f.text, words);
}

START_TEST(addresses_that_cannot_be_ours)
{
    static const char *const refused[] = {
        "0.0.0.0/32",
        "::/128", /* none at all */
        "10.7.0.1/0",
        "2001:db8::1/0", /* everything */
        "127.0.0.1/32",
        "127.1.2.3/8",
        "::1/128", /* loopback */
        "224.0.0.1/32",
        "239.255.255.255/32",
        "ff02::1/128",
        "ff05::2/64", /* multicast */
        "169.254.1.1/16",
        "fe80::1/64", /* link-local */
        "255.255.255.255/32",
        "240.0.0.1/32", /* broadcast, never assigned (RFC 1112 4) */
        "0.1.2.3/32",
        "0.0.0.1/8", /* this network (RFC 1122 3.2.1.3) */
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        expect_address_refused(refused[i]);
}
END_TEST

START_TEST(nothing_with_the_gateway_in_it)
{
    expect_address_refused("203.0.113.1/32");
    expect_address_refused("203.0.113.7/24");
    expect_address_refused("203.0.113.0/31");
    expect_address_refused("200.0.0.1/5");
    gateway = prefix_of("2001:db8::1").ip;
    expect_address_refused("2001:db8::1/128");
    expect_address_refused("2001:db8::99/64");
    expect_address_refused("2000::1/3");
    setup();
    gateway = prefix_of("2001:db8::1").ip; /* of the other family: not in it */
    config.address_count = 1;
    config.addresses[0] = prefix_of("32.1.13.184/8");
    struct fault f;
    ck_ok(check(&f));
}
END_TEST

START_TEST(dns_servers_that_cannot_be)
{
    static const char *const refused[] = {"0.0.0.0",         "::",         "224.0.0.251",
                                          "ff02::fb",        "127.0.0.53", "::1",
                                          "255.255.255.255", "240.0.0.1",  "0.1.2.3"};
    char words[128];
    struct fault f;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        config.dns_count = 2;
        config.dns[0] = prefix_of("10.9.0.53").ip;
        config.dns[1] = prefix_of(refused[i]).ip;
        ck_assert_msg(check(&f) == ERR_REFUSED, "%s is accepted", refused[i]);
        snprintf(words, sizeof(words), "the gateway names the DNS server %s, which cannot be",
                 refused[i]);
        ck_assert_str_eq(f.text, words);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("client_system");
    TCase *t = tcase_create("check");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, what_a_fair_gateway_assigns);
    tcase_add_test(t, addresses_that_cannot_be_ours);
    tcase_add_test(t, nothing_with_the_gateway_in_it);
    tcase_add_test(t, dns_servers_that_cannot_be);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
