/* Secrets and randomness. */
#include <string.h>

#include "common/crypto/random.h"
#include "common/crypto/secret.h"
#include "tests/support/fixed_random.h"
#include "tests/support/support.h"

static bool all_zero(const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++)
        if (p[i] != 0)
            return false;
    return true;
}

START_TEST(set_keeps_and_clears)
{
    struct secret s;
    uint8_t long_key[SECRET_MAX];
    memset(long_key, 0xa5, sizeof(long_key));
    ck_ok(secret_set(&s, SPAN_OF(long_key)));
    ck_span_eq(secret_span(&s), SPAN_OF(long_key));

    ck_ok(secret_set(&s, span_text("key")));
    ck_span_eq(secret_span(&s), span_text("key"));
    ck_assert(all_zero(s.data + 3, SECRET_MAX - 3));

    ck_ok(secret_set(&s, SPAN_EMPTY));
    ck_assert(all_zero(&s, sizeof(s)));
}
END_TEST

START_TEST(set_takes_a_part_of_itself)
{
    struct secret s;
    ck_ok(secret_set(&s, span_text("abcdefgh")));
    ck_ok(secret_set(&s, span_make(s.data + 2, 5)));
    ck_span_eq(secret_span(&s), span_text("cdefg"));
    ck_assert(all_zero(s.data + 5, SECRET_MAX - 5));
}
END_TEST

START_TEST(too_long_leaves_nothing)
{
    struct secret s;
    uint8_t too_long[SECRET_MAX + 1] = {1};
    ck_ok(secret_set(&s, span_text("old")));
    ck_err(secret_set(&s, SPAN_OF(too_long)), ERR_LIMIT);
    ck_assert(all_zero(&s, sizeof(s)));
}
END_TEST

START_TEST(wiping)
{
    struct secret s;
    memset(&s, 0xff, sizeof(s));
    secret_wipe(&s);
    ck_assert(all_zero(&s, sizeof(s)));
    uint8_t b[4] = {1, 2, 3, 4};
    wipe(b + 1, 2);
    ck_assert_mem_eq(b, ((const uint8_t[]){1, 0, 0, 4}), 4);
    wipe(NULL, 0);
}
END_TEST

START_TEST(comparing)
{
    ck_assert(secret_equal(span_text("same"), span_text("same")));
    ck_assert(!secret_equal(span_text("same"), span_text("sane")));
    ck_assert(!secret_equal(span_text("same"), span_text("sam")));
    ck_assert(!secret_equal(span_text(""), span_text("x")));
    ck_assert(secret_equal(SPAN_EMPTY, SPAN_EMPTY));
}
END_TEST

START_TEST(numbers_from_octets)
{
    static const uint8_t octets[] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct fixed_random fixed;
    struct random_source r = fixed_random(&fixed, SPAN_OF(octets));
    ck_assert(random_u64(&r) == UINT64_C(0x0102030405060708));
    r = fixed_random(&fixed, SPAN_OF(octets));
    ck_assert_uint_eq(random_below(&r, 1000), 0x01020304 % 1000);
    ck_assert_uint_eq(fixed.at, 4);
}
END_TEST

/* 2^32 = 1431655765 * 3 + 1: the draw 2^32 - 1 has no place in a third and is drawn again. */
START_TEST(below_refuses_the_uneven_rest)
{
    static const uint8_t octets[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe};
    struct fixed_random fixed;
    struct random_source r = fixed_random(&fixed, SPAN_OF(octets));
    ck_assert_uint_eq(random_below(&r, 3), 0xfffffffe % 3);
    ck_assert_uint_eq(fixed.at, 8);
    /* A power of two has no rest. */
    r = fixed_random(&fixed, SPAN_OF(octets));
    ck_assert_uint_eq(random_below(&r, 256), 255);
    ck_assert_uint_eq(fixed.at, 4);
}
END_TEST

START_TEST(below_stays_below)
{
    struct random_source r = random_system();
    unsigned seen[6] = {0};
    for (int i = 0; i < 6000; i++) {
        uint32_t v = random_below(&r, 6);
        ck_assert_uint_lt(v, 6);
        seen[v]++;
    }
    /* The chance that a fair die falls outside of this is below 10^-20. */
    for (int i = 0; i < 6; i++)
        ck_assert_msg(seen[i] > 700 && seen[i] < 1300, "%d came %u times", i, seen[i]);
    for (int i = 0; i < 100; i++)
        ck_assert_uint_eq(random_below(&r, 1), 0);
}
END_TEST

START_TEST(system_source_differs_every_time)
{
    struct random_source r = random_system();
    uint8_t a[32], b[32];
    random_fill(&r, a, sizeof(a));
    random_fill(&r, b, sizeof(b));
    ck_assert_mem_ne(a, b, sizeof(a));
    ck_assert(!all_zero(a, sizeof(a)));
}
END_TEST

/* RFC 7296 2.15 */
START_TEST(shared_key_as_text_and_in_hex)
{
    struct secret s = {.len = 0}, t = {.len = 0};
    ck_ok(secret_set_shared_key(&s, span_text("0x746572Ee")));
    static const uint8_t octets[] = {0x74, 0x65, 0x72, 0xee};
    ck_span_eq(secret_span(&s), SPAN_OF(octets));
    ck_ok(secret_set_shared_key(&s, span_text("0X74")));
    ck_span_eq(secret_span(&s), span_text("0X74"));
    ck_ok(secret_set_shared_key(&s, span_text("a tern's key")));
    ck_ok(secret_set_shared_key(&t, span_text("0x61207465726e2773206b6579")));
    ck_assert(secret_equal(secret_span(&s), secret_span(&t)));
    static const char *const bad[] = {"0x", "0x1", "0x123", "0x1g", "0xg1", "0x 1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_ok(secret_set_shared_key(&s, span_text("before")));
        ck_err(secret_set_shared_key(&s, span_text(bad[i])), ERR_MALFORMED);
        ck_assert_uint_eq(s.len, 0);
    }
    char longest[2 + 2 * SECRET_MAX + 3] = "0x";
    memset(longest + 2, '7', 2 * SECRET_MAX);
    ck_ok(secret_set_shared_key(&s, span_text(longest)));
    ck_assert_uint_eq(s.len, SECRET_MAX);
    memset(longest + 2, '7', 2 * SECRET_MAX + 2);
    ck_err(secret_set_shared_key(&s, span_text(longest)), ERR_LIMIT);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("crypto/secret");
    TCase *c = tcase_create("secret");
    tcase_add_test(c, set_keeps_and_clears);
    tcase_add_test(c, set_takes_a_part_of_itself);
    tcase_add_test(c, too_long_leaves_nothing);
    tcase_add_test(c, wiping);
    tcase_add_test(c, comparing);
    tcase_add_test(c, shared_key_as_text_and_in_hex);
    suite_add_tcase(s, c);
    TCase *r = tcase_create("random");
    tcase_add_test(r, numbers_from_octets);
    tcase_add_test(r, below_refuses_the_uneven_rest);
    tcase_add_test(r, below_stays_below);
    tcase_add_test(r, system_source_differs_every_time);
    suite_add_tcase(s, r);
    return s;
}

int main(void)
{
    return support_run(suite());
}
