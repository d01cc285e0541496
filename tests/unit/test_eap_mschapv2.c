/* The arithmetic of MS-CHAP-V2 against RFC 2759 9.2 and RFC 3079 3.5.3, and what it is made of
 * against RFC 1320 and RFC 1321. */
#include "common/eap/mschapv2.h"

#include <stdlib.h>
#include <string.h>

#include "common/crypto/legacy.h"
#include "tests/support/support.h"

static void set(struct mschapv2 *m, const char *password)
{
    memset(m, 0, sizeof(*m));
    ck_ok(mschapv2_set_password(m, span_text(password)));
    support_hex("5B5D7C7D7B3F2F3E3C2C602132262628", m->server_challenge, 16);
    support_hex("21402324255E262A28295F2B3A337C7E", m->peer_challenge, 16);
    support_hex("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF", m->response, 24);
}

static void ck_hex(struct span got, const char *hex)
{
    uint8_t want[64];
    size_t len = support_hex(hex, want, sizeof(want));
    ck_span_eq(got, span_make(want, len));
}

START_TEST(rfc2759)
{
    struct mschapv2 m;
    uint8_t response[MSCHAPV2_RESPONSE_LEN], proof[MSCHAPV2_PROOF_LEN];
    set(&m, "clientPass");
    ck_hex(SPAN_OF(m.password_hash), "44EBBA8D5312B8D611474411F56989AE");
    mschapv2_respond(&m, span_text("User"), response);
    ck_span_eq(SPAN_OF(response), SPAN_OF(m.response));
    mschapv2_prove(&m, span_text("User"), proof);
    ck_hex(SPAN_OF(proof), "407A5589115FD0D6209F510FE9C04566932CDA56");
}
END_TEST

/* RFC 2759 4: a domain before the name is not part of the hash. */
START_TEST(a_domain_does_not_count)
{
    struct mschapv2 m;
    uint8_t response[MSCHAPV2_RESPONSE_LEN];
    set(&m, "clientPass");
    mschapv2_respond(&m, span_text("BIGCO\\User"), response);
    ck_span_eq(SPAN_OF(response), SPAN_OF(m.response));
    ck_span_eq(mschapv2_user(span_text("a\\b\\User")), span_text("User"));
    ck_assert_uint_eq(mschapv2_user(span_text("User\\")).len, 0);
}
END_TEST

START_TEST(rfc3079)
{
    struct mschapv2 m;
    uint8_t msk[MSCHAPV2_MSK_LEN];
    static const uint8_t zeros[32];
    set(&m, "clientPass");
    mschapv2_msk(&m, msk);
    /* SendStartKey128 of the server, as the RFC has it. */
    ck_hex(span_make(msk + 16, 16), "8B7CDC149B993A1BA118CB153F56DCCB");
    ck_span_eq(span_make(msk + 32, 32), SPAN_OF(zeros));
}
END_TEST

/* RFC 2759 8.3: the password is hashed in UTF-16, little end first. */
START_TEST(passwords_of_all_characters)
{
    static const uint8_t units[] = {'p', 0, 0xe4, 0, 0xac, 0x20, 0x3d, 0xd8, 0x00, 0xde};
    const struct span all = SPAN_OF(units);
    struct mschapv2 m;
    uint8_t hash[MD4_LEN];
    ck_ok(mschapv2_set_password(&m, span_text("p\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80")));
    hash_md4(&all, 1, hash);
    ck_span_eq(SPAN_OF(m.password_hash), SPAN_OF(hash));
    ck_ok(mschapv2_set_password(&m, SPAN_EMPTY));
    ck_hex(SPAN_OF(m.password_hash), "31d6cfe0d16ae931b73c59d7e0c089c0");
}
END_TEST

START_TEST(passwords_that_are_none)
{
    static const char *const bad[] = {"\x80",
                                      "\xc3",
                                      "\xc0\x80",
                                      "\xe2\x82",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf0\x80\x80\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf8\x88\x80\x80",
                                      "a\xc3(",
                                      "\xff"};
    struct mschapv2 m;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t *exact = support_exact_copy(span_text(bad[i]));
        ck_err(mschapv2_set_password(&m, span_make(exact, strlen(bad[i]))), ERR_MALFORMED);
        free(exact);
    }
    char many[MSCHAPV2_PASSWORD_MAX + 1];
    memset(many, 'a', sizeof(many));
    ck_ok(mschapv2_set_password(&m, span_make(many, MSCHAPV2_PASSWORD_MAX)));
    ck_err(mschapv2_set_password(&m, span_make(many, sizeof(many))), ERR_LIMIT);
}
END_TEST

START_TEST(hashes)
{
    uint8_t out[16];
    const struct span parts[] = {span_text("message "), SPAN_EMPTY, span_text("digest")};
    hash_md4(parts, 3, out);
    ck_hex(SPAN_OF(out), "d9130a8164549fe818874806e1c7014b");
    hash_md5(parts, 3, out);
    ck_hex(SPAN_OF(out), "f96b697d7cb7938d525a2f31aaf161d0");
}
END_TEST

/* FIPS 81's first block, under a key whose parity bits have been taken out. */
START_TEST(des)
{
    uint8_t key[DES_KEY_LEN], clear[DES_BLOCK_LEN], out[DES_BLOCK_LEN];
    support_hex("00451338957377", key, sizeof(key)); /* 0123456789abcdef */
    support_hex("4e6f772069732074", clear, sizeof(clear));
    des_encrypt(key, clear, out);
    ck_hex(SPAN_OF(out), "3fa40e8a984d4815");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mschapv2");
    TCase *t = tcase_create("vectors");
    tcase_add_test(t, rfc2759);
    tcase_add_test(t, a_domain_does_not_count);
    tcase_add_test(t, rfc3079);
    tcase_add_test(t, passwords_of_all_characters);
    tcase_add_test(t, passwords_that_are_none);
    tcase_add_test(t, hashes);
    tcase_add_test(t, des);
    suite_add_tcase(s, t);
    return support_run(s);
}
