/* Key exchange: RFC 7748, RFC 5903, values computed by Python's pow() for the MODP groups, and peer
 * values that must be refused (RFC 6989). */
#include <stdlib.h>
#include <string.h>

#include "common/crypto/kex.h"
#include "common/crypto/kex_modp.h"
#include "common/crypto/prf.h"
#include "tests/support/fixed_random.h"
#include "tests/support/support.h"

static const enum ke_id methods[] = {KE_X25519,    KE_ECP_256,   KE_ECP_384,   KE_ECP_521,
                                     KE_MODP_1024, KE_MODP_2048, KE_MODP_3072, KE_MODP_4096};

static const enum ke_id ecp_methods[] = {KE_ECP_256, KE_ECP_384, KE_ECP_521};

enum {
    METHOD_COUNT = sizeof(methods) / sizeof(methods[0]),
    ECP_COUNT = sizeof(ecp_methods) / sizeof(ecp_methods[0]),
    MODP_COUNT = 4,
    MODP_PRIVATE_LEN = 64
};

static struct kex *pair_of(enum ke_id id, struct span private_key)
{
    struct fixed_random fixed;
    struct random_source source = fixed_random(&fixed, private_key);
    struct kex *k;
    ck_ok(kex_new(id, &source, &k));
    ck_assert_uint_eq(fixed.at, private_key.len);
    return k;
}

static struct span hex(const char *text, uint8_t *out)
{
    return span_make(out, support_hex(text, out, KEX_PUBLIC_MAX));
}

static void check_pair(enum ke_id id, const char *const a[2], const char *const b[2],
                       const char *shared)
{
    uint8_t buffer[KEX_PUBLIC_MAX];
    struct kex *ka = pair_of(id, hex(a[0], buffer)), *kb = pair_of(id, hex(b[0], buffer));
    ck_span_eq(kex_public(ka), hex(a[1], buffer));
    ck_span_eq(kex_public(kb), hex(b[1], buffer));
    struct secret s;
    ck_ok(kex_shared(ka, kex_public(kb), &s));
    ck_span_eq(secret_span(&s), hex(shared, buffer));
    ck_ok(kex_shared(kb, kex_public(ka), &s));
    ck_span_eq(secret_span(&s), hex(shared, buffer));
    kex_free(ka);
    kex_free(kb);
}

/* RFC 7748 6.1. */
START_TEST(rfc7748_x25519)
{
    check_pair(
        KE_X25519,
        (const char *const[]){"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
                              "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"},
        (const char *const[]){"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
                              "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"},
        "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}
END_TEST

/* RFC 5903 8.1. */
START_TEST(rfc5903_ecp_256)
{
    check_pair(
        KE_ECP_256,
        (const char *const[]){"C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433",
                              "DAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C3772581180"
                              "5271A0461CDB8252D61F1C456FA3E59AB1F45B33ACCF5F58389E0577B8990BB3"},
        (const char *const[]){"C6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53",
                              "D12DFB5289C8D4F81208B70270398C342296970A0BCCB74C736FC7554494BF63"
                              "56FBF3CA366CC23E8157854C13C58D6AAC23F046ADA30F8353E74F33039872AB"},
        "D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE");
}
END_TEST

/* RFC 5903 8.2. */
START_TEST(rfc5903_ecp_384)
{
    check_pair(
        KE_ECP_384,
        (const char *const[]){"099F3C7034D4A2C699884D73A375A67F7624EF7C6B3C0F160647B67414DCE655"
                              "E35B538041E649EE3FAEF896783AB194",
                              "667842D7D180AC2CDE6F74F37551F55755C7645C20EF73E31634FE72B4C55EE6"
                              "DE3AC808ACB4BDB4C88732AEE95F41AA"
                              "9482ED1FC0EEB9CAFC4984625CCFC23F65032149E0E144ADA024181535A0F38E"
                              "EB9FCFF3C2C947DAE69B4C634573A81C"},
        (const char *const[]){"41CB0779B4BDB85D47846725FBEC3C9430FAB46CC8DC5060855CC9BDA0AA2942"
                              "E0308312916B8ED2960E4BD55A7448FC",
                              "E558DBEF53EECDE3D3FCCFC1AEA08A89A987475D12FD950D83CFA41732BC509D"
                              "0D1AC43A0336DEF96FDA41D0774A3571"
                              "DCFBEC7AACF3196472169E838430367F66EEBE3C6E70C416DD5F0C68759DD1FF"
                              "F83FA40142209DFF5EAAD96DB9E6386C"},
        "11187331C279962D93D604243FD592CB9D0A926F422E47187521287E7156C5C4"
        "D603135569B9E9D09CF5D4A270F59746");
}
END_TEST

/* RFC 5903 8.3. */
START_TEST(rfc5903_ecp_521)
{
    check_pair(
        KE_ECP_521,
        (const char *const[]){"0037ADE9319A89F4DABDB3EF411AACCCA5123C61ACAB57B5393DCE47608172A0"
                              "95AA85A30FE1C2952C6771D937BA9777F5957B2639BAB072462F68C27A57382D"
                              "4A52",
                              "0015417E84DBF28C0AD3C278713349DC7DF153C897A1891BD98BAB4357C9ECBE"
                              "E1E3BF42E00B8E380AEAE57C2D107564941885942AF5A7F4601723C4195D176C"
                              "ED3E"
                              "017CAE20B6641D2EEB695786D8C946146239D099E18E1D5A514C739D7CB4A10A"
                              "D8A788015AC405D7799DC75E7B7D5B6CF2261A6A7F1507438BF01BEB6CA3926F"
                              "9582"},
        (const char *const[]){"0145BA99A847AF43793FDD0E872E7CDFA16BE30FDC780F97BCCC3F078380201E"
                              "9C677D600B343757A3BDBF2A3163E4C2F869CCA7458AA4A4EFFC311F5CB15168"
                              "5EB9",
                              "00D0B3975AC4B799F5BEA16D5E13E9AF971D5E9B984C9F39728B5E5739735A21"
                              "9B97C356436ADC6E95BB0352F6BE64A6C2912D4EF2D0433CED2B6171640012D9"
                              "460F"
                              "015C68226383956E3BD066E797B623C27CE0EAC2F551A10C2C724D9852077B87"
                              "220B6536C5C408A1D2AEBB8E86D678AE49CB57091F4732296579AB44FCD17F0F"
                              "C56A"},
        "01144C7D79AE6956BC8EDB8E7C787C4521CB086FA64407F97894E5E6B2D79B04"
        "D1427E73CA4BAA240A34786859810C06B3C715A3A8CC3151F2BEE417996D19F3"
        "DDEA");
}
END_TEST

/* Python: a = 01 02 .. 40, b = c8 c5 c2 .. (each three less), both 64 octets; SHA-256 of 2^a, 2^b
 * and 2^ab mod p, each as long as p. And for a small exponent the secret 2^(a small), chosen so
 * that its first octet is zero: RFC 7296 2.14 wants it kept. */
static const struct modp_case {
    enum ke_id id;
    size_t len;
    const char *public_a, *public_b, *shared;
    uint16_t small;
    const char *padded;
} modp_cases[MODP_COUNT] = {
    {KE_MODP_1024, 128, "27db84123663a2cbf34c7606477c23ea00a792ebb565df0d944d90ce6907d9dc",
     "49b5fecf8affe5f65e300c2acac28295be34fd17655dee8839d38f59d12780db",
     "c3d10bc8977034159a9d795397293e185f410463fdeaa1bb0b987e7691bc2a0a", 329,
     "e4a4f4ae04a84e52a51f94808d57f938d1b993eb2c1f64e1fa3493d7de4841a8"},
    {KE_MODP_2048, 256, "5141ed60d422816c251a9a61f4dc090fc6161ec870357a0af29fb84a0bb34e5e",
     "cd3f197f847d92b83a4573cacf9e168a650a841952577d3e828a35fc20a84ae6",
     "6e8b66a858f568da7a65cdc31585dc2fd54e6896822379e70d756136d83f3e2a", 32,
     "24cbb52d14fb8fd1cb47d244a63c18749b8d6cfe3fa937b790259c7466765595"},
    {KE_MODP_3072, 384, "077dffd743a6dda7e2400cb20075f1619d72d9eb8c6fb5d0c2af92940f79bddc",
     "127ad7d4d7964d780d099ee82ca13c1ed7417cecab5ea85312b651ac0de6a32b",
     "26e548655586fa4c79d268fa3edb19130fc24c8e978828d7a6e4d857f3c24a8e", 195,
     "9f704c9d421b16d36675832a1ec027a98fe3bcfc8521284109f1bbc985f41d00"},
    {KE_MODP_4096, 512, "0439872574dafc9b300359ea0dd742c3976ccf9fa56883bdb8268462adedf8cf",
     "55600e5df3c890e9d9d5c207d0607ae31a5ebea6c9a382f1980da1929f0e1925",
     "bb89d32865155934f032707ec99d6535f0928e2f36e016bc71144e4692b5911d", 28,
     "caa34c5dbc7ac125062aa901d86aec1f5c7967fbc3e8958609fc962884db259a"},
};

static void ck_digest(struct span bytes, const char *expected)
{
    uint8_t digest[SHA256_LEN], want[SHA256_LEN];
    hash_sha256(&bytes, 1, digest);
    support_hex(expected, want, sizeof(want));
    ck_assert_mem_eq(digest, want, SHA256_LEN);
}

START_TEST(modp_known_answers)
{
    const struct modp_case *c = &modp_cases[_i];
    uint8_t a[MODP_PRIVATE_LEN], b[MODP_PRIVATE_LEN], small[MODP_PRIVATE_LEN] = {0};
    for (size_t i = 0; i < MODP_PRIVATE_LEN; i++) {
        a[i] = (uint8_t)(i + 1);
        b[i] = (uint8_t)(200 - 3 * (int)i);
    }
    small[MODP_PRIVATE_LEN - 2] = (uint8_t)(c->small >> 8);
    small[MODP_PRIVATE_LEN - 1] = (uint8_t)c->small;
    struct kex *ka = pair_of(c->id, SPAN_OF(a)), *kb = pair_of(c->id, SPAN_OF(b));
    struct kex *ks = pair_of(c->id, SPAN_OF(small));
    ck_assert_uint_eq(kex_public(ka).len, c->len);
    ck_digest(kex_public(ka), c->public_a);
    ck_digest(kex_public(kb), c->public_b);
    struct secret s;
    ck_ok(kex_shared(ka, kex_public(kb), &s));
    ck_digest(secret_span(&s), c->shared);
    ck_ok(kex_shared(kb, kex_public(ka), &s));
    ck_digest(secret_span(&s), c->shared);

    ck_ok(kex_shared(ka, kex_public(ks), &s));
    ck_assert_uint_eq(s.len, c->len);
    ck_assert_uint_eq(s.data[0], 0);
    ck_digest(secret_span(&s), c->padded);
    kex_free(ka);
    kex_free(kb);
    kex_free(ks);
}
END_TEST

START_TEST(two_sides_agree)
{
    const enum ke_id id = methods[_i];
    struct random_source r = random_system();
    struct kex *a, *b;
    ck_ok(kex_new(id, &r, &a));
    ck_ok(kex_new(id, &r, &b));
    ck_assert_int_eq(kex_id(a), id);
    ck_assert_uint_eq(kex_public(a).len, kex_public_len(id));
    ck_assert(!span_equal(kex_public(a), kex_public(b)));
    struct secret sa, sb;
    ck_ok(kex_shared(a, kex_public(b), &sa));
    ck_ok(kex_shared(b, kex_public(a), &sb));
    ck_span_eq(secret_span(&sa), secret_span(&sb));
    kex_free(a);
    kex_free(b);
}
END_TEST

static void ck_refused(const struct kex *k, struct span peer)
{
    struct secret s = {.len = 3, .data = "old"};
    uint8_t *copy = support_exact_copy(peer);
    ck_err(kex_shared(k, span_make(copy, peer.len), &s), ERR_CRYPTO);
    ck_span_eq(secret_span(&s), span_text("old"));
    free(copy);
}

START_TEST(wrong_lengths_and_zero)
{
    struct random_source r = random_system();
    struct kex *k;
    ck_ok(kex_new(methods[_i], &r, &k));
    uint8_t peer[KEX_PUBLIC_MAX + 1] = {0};
    const size_t len = kex_public_len(methods[_i]);
    memcpy(peer, kex_public(k).data, len);
    ck_refused(k, SPAN_EMPTY);
    ck_refused(k, span_make(peer, 1));
    ck_refused(k, span_make(peer, len - 1));
    ck_refused(k, span_make(peer, len + 1));
    memset(peer, 0, sizeof(peer));
    ck_refused(k, span_make(peer, len));
    kex_free(k);
}
END_TEST

/* RFC 6989 2.1: 1 < value < p - 1. */
START_TEST(modp_range)
{
    static const char *const primes[] = {modp_1024, modp_2048, modp_3072, modp_4096};
    const size_t len = modp_cases[_i].len;
    uint8_t two[MODP_PRIVATE_LEN] = {0}, value[KEX_PUBLIC_MAX] = {0};
    two[MODP_PRIVATE_LEN - 1] = 2;
    struct kex *k = pair_of(modp_cases[_i].id, SPAN_OF(two));
    struct secret s;

    value[len - 1] = 1;
    ck_refused(k, span_make(value, len));
    value[len - 1] = 2;
    ck_ok(kex_shared(k, span_make(value, len), &s));
    ck_assert_uint_eq(s.data[len - 1], 4);

    ck_assert_uint_eq(support_hex(primes[_i], value, sizeof(value)), len);
    ck_refused(k, span_make(value, len)); /* p, which ends in 0xff */
    value[len - 1] = 0xfe;
    ck_refused(k, span_make(value, len));
    value[len - 1] = 0xfd; /* p - 2, whose square is 4 */
    ck_ok(kex_shared(k, span_make(value, len), &s));
    ck_assert_uint_eq(s.data[len - 1], 4);
    memset(value, 0xff, len);
    ck_refused(k, span_make(value, len));
    kex_free(k);
}
END_TEST

/* RFC 6989 2.3: on the curve, with coordinates below the field's prime. */
START_TEST(ecp_points)
{
    const enum ke_id id = ecp_methods[_i];
    struct random_source r = random_system();
    struct kex *k;
    ck_ok(kex_new(id, &r, &k));
    const size_t len = kex_public_len(id);
    uint8_t peer[KEX_PUBLIC_MAX];
    /* A curve has two points for an x: y and p - y, which differ in more than one bit. */
    memcpy(peer, kex_public(k).data, len);
    peer[len - 1] ^= 1;
    ck_refused(k, span_make(peer, len));
    memset(peer, 0xff, len);
    ck_refused(k, span_make(peer, len));
    kex_free(k);
}
END_TEST

/* Zero and the order itself are no private keys: they are drawn again. */
START_TEST(ecp_draws_again)
{
    uint8_t octets[4 * 32] = {0}, expected[32];
    support_hex("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551", octets + 32,
                32);
    memset(octets + 64, 0xff, 32);
    support_hex("C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433", octets + 96,
                32);
    struct kex *k = pair_of(KE_ECP_256, SPAN_OF(octets));
    support_hex("DAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C3772581180", expected, 32);
    ck_assert_mem_eq(kex_public(k).data, expected, 32);
    kex_free(k);
}
END_TEST

static void fill_zeros(void *ctx, uint8_t *out, size_t len)
{
    (void)ctx;
    memset(out, 0, len);
}

/* A source that gives zeros for ever is refused, not waited for (X25519 sets a bit itself). */
START_TEST(broken_random_source)
{
    const struct random_source zeros = {fill_zeros, NULL};
    struct kex *k = NULL;
    enum err e = kex_new(methods[_i], &zeros, &k);
    ck_err(e, methods[_i] == KE_X25519 ? ERR_OK : ERR_CRYPTO);
    ck_assert((k != NULL) == (e == ERR_OK));
    kex_free(k);
}
END_TEST

/* RFC 8031 2.3 and RFC 7748 6.1: points of low order give zero. */
START_TEST(x25519_low_order)
{
    static const char *const points[] = {
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};
    struct random_source r = random_system();
    struct kex *k;
    ck_ok(kex_new(KE_X25519, &r, &k));
    uint8_t point[KEX_PUBLIC_MAX];
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
        ck_refused(k, hex(points[i], point));
    kex_free(k);
}
END_TEST

START_TEST(unknown_method)
{
    struct random_source r = random_system();
    struct kex *k = NULL;
    ck_assert(!kex_supported(KE_NONE));
    ck_assert(!kex_supported((enum ke_id)5)); /* 1536-bit MODP */
    ck_assert_uint_eq(kex_public_len((enum ke_id)5), 0);
    ck_err(kex_new((enum ke_id)5, &r, &k), ERR_UNSUPPORTED);
    ck_assert_ptr_null(k);
    kex_free(NULL);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("crypto/kex");
    TCase *c = tcase_create("kex");
    tcase_set_timeout(c, 30);
    tcase_add_test(c, rfc7748_x25519);
    tcase_add_test(c, rfc5903_ecp_256);
    tcase_add_test(c, rfc5903_ecp_384);
    tcase_add_test(c, rfc5903_ecp_521);
    tcase_add_loop_test(c, modp_known_answers, 0, MODP_COUNT);
    tcase_add_loop_test(c, two_sides_agree, 0, METHOD_COUNT);
    suite_add_tcase(s, c);
    TCase *bad = tcase_create("refused");
    tcase_set_timeout(bad, 30);
    tcase_add_loop_test(bad, wrong_lengths_and_zero, 0, METHOD_COUNT);
    tcase_add_loop_test(bad, modp_range, 0, MODP_COUNT);
    tcase_add_loop_test(bad, ecp_points, 0, ECP_COUNT);
    tcase_add_test(bad, ecp_draws_again);
    tcase_add_loop_test(bad, broken_random_source, 0, METHOD_COUNT);
    tcase_add_test(bad, x25519_low_order);
    tcase_add_test(bad, unknown_method);
    suite_add_tcase(s, bad);
    return s;
}

int main(void)
{
    return support_run(suite());
}
