/* The gateway's address pool: who gets what, and what is remembered. */
#include "tests/support/addresses.h"
#include "tests/support/support.h"
#include "tools/gateway/pool.h"

static struct identity who(const char *text)
{
    struct identity id;

    ck_ok(identity_parse(text, &id));
    return id;
}

static struct pool *pool_of(const char *a, const char *b)
{
    struct prefix prefixes[2] = {prefix_of(a)};
    struct pool *p = NULL;

    if (b != NULL)
        prefixes[1] = prefix_of(b);
    ck_ok(pool_new(prefixes, b == NULL ? 1 : 2, &p));
    return p;
}

/* Leases for name, as itself, and checks the address. */
static void expect_lease(struct pool *p, enum ip_family family, const char *wanted,
                         const char *name, void *holder, const char *expected)
{
    const struct ip none = {.family = IP_NONE};
    const struct ip asked = wanted == NULL ? none : ip_of(wanted);
    const struct identity owner = who(name);
    struct ip got;
    char text[IP_TEXT_MAX];

    ck_ok(pool_lease(p, family, &asked, &owner, holder, &got));
    ck_assert_str_eq(ip_format(&got, text), expected);
    ck_assert_ptr_eq(pool_holder(p, &got), holder);
}

static void expect_exhausted(struct pool *p, enum ip_family family, const char *name)
{
    const struct ip any = {.family = family};
    const struct identity owner = who(name);
    struct ip got;
    int holder;

    ck_err(pool_lease(p, family, &any, &owner, &holder, &got), ERR_EXHAUSTED);
}

static void release(struct pool *p, const char *address)
{
    const struct ip a = ip_of(address);

    pool_release(p, &a);
    ck_assert_ptr_null(pool_holder(p, &a));
}

START_TEST(in_order_from_both_families)
{
    struct pool *p = pool_of("10.7.0.0/24", "fd07::/64");
    int a, b;
    char text[PREFIX_TEXT_MAX];

    expect_lease(p, IP_V4, NULL, "a", &a, "10.7.0.2");
    expect_lease(p, IP_V6, NULL, "a", &a, "fd07::2");
    expect_lease(p, IP_V4, "0.0.0.0", "b", &b, "10.7.0.3");
    expect_lease(p, IP_V6, "::", "b", &b, "fd07::3");
    const struct prefix v4 = pool_gateway_address(p, 0), v6 = pool_gateway_address(p, 1);
    ck_assert_str_eq(prefix_format(&v4, text), "10.7.0.1/24");
    ck_assert_str_eq(prefix_format(&v6, text), "fd07::1/64");
    pool_free(p);
}
END_TEST

START_TEST(the_same_identity_gets_its_address_again)
{
    struct pool *p = pool_of("10.7.0.0/24", NULL);
    int a, b, c;

    expect_lease(p, IP_V4, NULL, "a", &a, "10.7.0.2");
    expect_lease(p, IP_V4, NULL, "b", &b, "10.7.0.3");
    release(p, "10.7.0.2");
    release(p, "10.7.0.3");
    /* A stranger does not take what another had while fresh ones are left. */
    expect_lease(p, IP_V4, NULL, "c", &c, "10.7.0.4");
    expect_lease(p, IP_V4, NULL, "b", &b, "10.7.0.3");
    expect_lease(p, IP_V4, NULL, "a", &a, "10.7.0.2");
    pool_free(p);
}
END_TEST

/* An email and an FQDN of the same octets are two identities (RFC 7296 3.5). */
START_TEST(the_type_is_part_of_the_identity)
{
    struct pool *p = pool_of("10.7.0.0/24", NULL);
    struct identity fqdn, key_id;
    const struct ip any = {.family = IP_V4};
    struct ip first, second;
    int a;

    ck_ok(identity_set(&fqdn, IDENTITY_FQDN, span_text("ab")));
    ck_ok(identity_set(&key_id, IDENTITY_KEY_ID, span_text("ab")));
    ck_ok(pool_lease(p, IP_V4, &any, &fqdn, &a, &first));
    pool_release(p, &first);
    ck_ok(pool_lease(p, IP_V4, &any, &key_id, &a, &second));
    ck_assert(!ip_equal(&first, &second));
    pool_free(p);
}
END_TEST

START_TEST(a_wanted_address_is_given_when_free)
{
    struct pool *p = pool_of("10.7.0.0/24", "fd07::/64");
    int a, b;

    expect_lease(p, IP_V4, "10.7.0.77", "a", &a, "10.7.0.77");
    expect_lease(p, IP_V6, "fd07::1234", "a", &a, "fd07::1234");
    expect_lease(p, IP_V4, "10.7.0.77", "b", &b, "10.7.0.2"); /* taken */
    release(p, "10.7.0.77");
    expect_lease(p, IP_V4, "10.7.0.77", "c", &b, "10.7.0.77"); /* another's of old, but free */
    pool_free(p);
}
END_TEST

START_TEST(what_is_not_ours_to_give_is_not_given)
{
    static const char *const wanted[] = {
        "10.7.0.0",   /* the network */
        "10.7.0.1",   /* the gateway */
        "10.7.0.255", /* the broadcast */
        "10.8.0.9",   /* elsewhere */
        "fd07::9",    /* the other family */
    };
    struct pool *p = pool_of("10.7.0.0/24", "fd07::/64");
    int a;

    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        expect_lease(p, IP_V4, wanted[i], "a", &a, "10.7.0.2");
        release(p, "10.7.0.2");
    }
    expect_lease(p, IP_V6, "fd07::1:0", "a", &a, "fd07::2"); /* beyond what is handed out */
    const struct ip beyond = ip_of("fd07::1:2"), foreign = ip_of("192.0.2.1");
    ck_assert_ptr_null(pool_holder(p, &beyond)); /* not fd07::2, whose last octets it shares */
    ck_assert_ptr_null(pool_holder(p, &foreign));
    pool_release(p, &foreign);
    pool_free(p);
}
END_TEST

START_TEST(exhaustion_then_the_oldest_memory_gives_way)
{
    struct pool *p = pool_of("10.7.0.0/29", NULL); /* hosts 2 to 6 */
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    int holder;

    for (size_t i = 0; i < 5; i++) {
        char expected[] = "10.7.0.2";
        expected[7] = (char)('2' + i);
        expect_lease(p, IP_V4, NULL, names[i], &holder, expected);
    }
    expect_exhausted(p, IP_V4, "f");
    expect_exhausted(p, IP_V6, "a"); /* no pool of that family */
    release(p, "10.7.0.4");
    expect_lease(p, IP_V4, NULL, "f", &holder, "10.7.0.4");
    expect_exhausted(p, IP_V4, "c");
    pool_free(p);
}
END_TEST

START_TEST(a_second_prefix_goes_on_where_the_first_ends)
{
    struct pool *p = pool_of("10.7.0.0/30", "10.8.0.0/30");
    int a, b;

    expect_lease(p, IP_V4, NULL, "a", &a, "10.7.0.2");
    expect_lease(p, IP_V4, NULL, "b", &b, "10.8.0.2");
    expect_exhausted(p, IP_V4, "c");
    ck_assert(pool_has_family(p, IP_V4));
    ck_assert(!pool_has_family(p, IP_V6));
    pool_free(p);
}
END_TEST

START_TEST(large_prefixes_are_used_up_to_the_bound)
{
    struct pool *p = pool_of("10.0.0.0/8", "fd07::/48");
    int a;

    expect_lease(p, IP_V4, "10.0.255.255", "a", &a, "10.0.255.255"); /* no broadcast in a /8 */
    expect_lease(p, IP_V6, "fd07::ffff", "a", &a, "fd07::ffff");
    expect_lease(p, IP_V4, "10.1.0.2", "b", &a, "10.0.0.2");
    pool_free(p);
}
END_TEST

START_TEST(pools_that_cannot_be)
{
    static const struct {
        const char *a, *b;
        enum err expected;
    } cases[] = {
        {"10.7.0.0/31", NULL, ERR_LIMIT},
        {"10.7.0.0/32", NULL, ERR_LIMIT},
        {"fd07::/127", NULL, ERR_LIMIT},
        {"fd07::/128", NULL, ERR_LIMIT},
        {"10.7.0.0/24", "10.7.0.0/16", ERR_MALFORMED},
        {"10.7.0.0/16", "10.7.9.0/24", ERR_MALFORMED},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct prefix prefixes[2] = {prefix_of(cases[i].a)};
        struct pool *p = NULL;

        if (cases[i].b != NULL)
            prefixes[1] = prefix_of(cases[i].b);
        ck_err(pool_new(prefixes, cases[i].b == NULL ? 1 : 2, &p), cases[i].expected);
        ck_assert_ptr_null(p);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("gateway_pool");
    TCase *t = tcase_create("pool");

    tcase_add_test(t, in_order_from_both_families);
    tcase_add_test(t, the_same_identity_gets_its_address_again);
    tcase_add_test(t, the_type_is_part_of_the_identity);
    tcase_add_test(t, a_wanted_address_is_given_when_free);
    tcase_add_test(t, what_is_not_ours_to_give_is_not_given);
    tcase_add_test(t, exhaustion_then_the_oldest_memory_gives_way);
    tcase_add_test(t, a_second_prefix_goes_on_where_the_first_ends);
    tcase_add_test(t, large_prefixes_are_used_up_to_the_bound);
    tcase_add_test(t, pools_that_cannot_be);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
