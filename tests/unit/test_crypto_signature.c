/* Keys and the signatures of AUTH payloads (RFC 7296 2.15, RFC 4754, RFC 7427, RFC 8420): our own
 * both ways, against the openssl command both ways, and everything that must be refused. Published
 * vectors in bulk are in test_crypto_signature_vectors.c. */
#include "common/crypto/signature.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/certificate.h"
#include "tests/support/fixture.h"
#include "tests/support/support.h"

enum { TIMEOUT_S = 120 };

#define SHA2(n) ((hash_set)1 << HASH_SHA2_##n)
#define SHA1    ((hash_set)1 << HASH_SHA1)
#define ED      ((hash_set)1 << HASH_IDENTITY)
#define ALL     (SHA1 | SHA2(256) | SHA2(384) | SHA2(512) | ED)

static const struct key_kind {
    const char *name, *options;
    enum key_type type;
    unsigned bits;
} kinds[] = {
    {"rsa2048", "RSA -pkeyopt rsa_keygen_bits:2048", KEY_RSA, 2048},
    {"rsa3072", "RSA -pkeyopt rsa_keygen_bits:3072", KEY_RSA, 3072},
    {"p256", "EC -pkeyopt ec_paramgen_curve:P-256", KEY_ECDSA, 256},
    {"p384", "EC -pkeyopt ec_paramgen_curve:P-384", KEY_ECDSA, 384},
    {"p521", "EC -pkeyopt ec_paramgen_curve:P-521", KEY_ECDSA, 521},
    {"ed25519", "ED25519", KEY_ED25519, 256},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static const uint8_t text[] = "the octets that AUTH covers";
#define MESSAGE SPAN_OF(text)

/* NAME.pem and NAME.pub (DER) for every kind, and for those we refuse. */
static void make_keys(void)
{
    fixture_enter();
    for (size_t i = 0; i < KINDS; i++)
        fixture_shell("openssl genpkey -algorithm %s -out %s.pem && "
                      "openssl pkey -in %s.pem -pubout -outform DER -out %s.pub",
                      kinds[i].options, kinds[i].name, kinds[i].name, kinds[i].name);
    fixture_shell(
        "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out rsa1024.pem && "
        "openssl pkey -in rsa1024.pem -pubout -outform DER -out rsa1024.pub");
    fixture_write("message", MESSAGE);
}

static enum err parse_key_file(const char *name, struct private_key **ret, struct fault *f)
{
    struct span file = fixture_read(name);
    enum err e = private_key_parse(file, ret, f);
    free((void *)file.data);
    return e;
}

static struct private_key *private_key(const char *name)
{
    char file[64];
    struct private_key *k = NULL;
    struct fault f = {.text = ""};
    snprintf(file, sizeof file, "%s.pem", name);
    enum err e = parse_key_file(file, &k, &f);
    ck_assert_msg(e == ERR_OK, "%s: %s", file, f.text);
    return k;
}

static struct public_key *public_key(const char *name)
{
    char file[64];
    struct public_key *k = NULL;
    snprintf(file, sizeof file, "%s.pub", name);
    struct span der = fixture_read(file);
    enum err e = public_key_parse(der, &k);
    free((void *)der.data);
    ck_assert_msg(e == ERR_OK, "%s: %s", file, err_text(e));
    return k;
}

struct made {
    enum auth_method method;
    uint8_t data[SIGNATURE_MAX];
    size_t len;
};

static struct made make(const char *name, hash_set hashes, bool pss)
{
    struct made m = {.method = (enum auth_method)0};
    struct private_key *k = private_key(name);
    ck_ok(signature_make(k, hashes, pss, MESSAGE, &m.method, m.data, &m.len, NULL));
    private_key_free(k);
    return m;
}

static enum err verify_exact(const struct public_key *k, enum auth_method method,
                             struct span message, struct span data)
{
    uint8_t *copy = support_exact_copy(data);
    enum err e = signature_verify(k, method, message, span_make(copy, data.len));
    free(copy);
    return e;
}

/* One changed bit in each octet, each cut, and other bytes behind: all refused. */
static void refuse_changes(const struct public_key *k, const struct made *m)
{
    struct made c = *m;
    uint8_t other[sizeof text];
    for (size_t i = 0; i < m->len; i++) {
        c.data[i] ^= (uint8_t)(1u << i % 8);
        ck_assert_msg(verify_exact(k, m->method, MESSAGE, span_make(c.data, c.len)) != ERR_OK,
                      "method %d: octet %zu changed", m->method, i);
        c.data[i] = m->data[i];
        ck_assert_msg(verify_exact(k, m->method, MESSAGE, span_make(m->data, i)) != ERR_OK,
                      "method %d: cut to %zu", m->method, i);
    }
    c.data[c.len++] = 0;
    ck_assert_int_ne(verify_exact(k, m->method, MESSAGE, span_make(c.data, c.len)), ERR_OK);
    for (size_t i = 0; i < sizeof text; i++) {
        memcpy(other, text, sizeof text);
        other[i] ^= (uint8_t)(1u << i % 8);
        ck_err(verify_exact(k, m->method, SPAN_OF(other), span_make(m->data, m->len)),
               ERR_INTEGRITY);
    }
    ck_err(verify_exact(k, m->method, SPAN_EMPTY, span_make(m->data, m->len)), ERR_INTEGRITY);
}

START_TEST(signs_and_verifies)
{
    static const hash_set announced[] = {ALL, SHA2(256) | ED, SHA2(384) | ED, SHA2(512) | ED, 0};
    const struct key_kind *kind = &kinds[_i];
    struct public_key *k = public_key(kind->name);
    ck_assert_int_eq(public_key_type(k), kind->type);
    ck_assert_uint_eq(public_key_bits(k), kind->bits);
    for (size_t i = 0; i < sizeof announced / sizeof announced[0]; i++) {
        for (int pss = 0; pss <= (kind->type == KEY_RSA); pss++) {
            if (kind->type == KEY_ED25519 && announced[i] == 0)
                continue;
            struct made m = make(kind->name, announced[i], pss);
            ck_assert((m.method == AUTH_METHOD_SIGNATURE) == (announced[i] != 0));
            ck_ok(verify_exact(k, m.method, MESSAGE, span_make(m.data, m.len)));
            refuse_changes(k, &m);
        }
    }
    public_key_free(k);
}
END_TEST

/* RFC 7427 appendix A.1 to A.4, RFC 8420 appendix A; the length octet before. */
#define A_RSA(last)   "0f 300d06092a864886f70d0101" last "0500"
#define A_ECDSA(last) "0c 300a06082a8648ce3d0403" last
#define A_PSS(hash, salt)                                                                          \
    "43 304106092a864886f70d01010a3034 a00f300d06096086480165030402" hash                          \
    "0500 a11c301a06092a864886f70d010108300d06096086480165030402" hash "0500 a2030201" salt

START_TEST(chooses_as_announced)
{
    static const struct {
        const char *key;
        hash_set announced;
        bool pss;
        enum auth_method method;
        const char *head, *words;
    } cases[] = {
        {"rsa2048", ALL, true, 14, A_PSS("01", "20"), "RSA-PSS with SHA-256"},
        {"rsa2048", SHA2(384) | SHA2(512), true, 14, A_PSS("03", "40"), "RSA-PSS with SHA-512"},
        {"rsa2048", SHA2(384) | SHA1, true, 14, A_PSS("02", "30"), "RSA-PSS with SHA-384"},
        {"rsa2048", ALL, false, 14, A_RSA("0b"), "RSA with SHA-256"},
        {"rsa3072", SHA2(384), false, 14, A_RSA("0c"), "RSA with SHA-384"},
        {"rsa3072", SHA2(512), false, 14, A_RSA("0d"), "RSA with SHA-512"},
        {"rsa2048", SHA1, true, 1, "", "RSA"},
        {"rsa2048", ED, true, 1, "", "RSA"},
        {"rsa2048", 0, true, 1, "", "RSA"},
        {"p256", ALL, true, 14, A_ECDSA("02"), "ECDSA with SHA-256"},
        {"p384", ALL, true, 14, A_ECDSA("03"), "ECDSA with SHA-384"},
        {"p521", ALL, true, 14, A_ECDSA("04"), "ECDSA with SHA-512"},
        {"p384", SHA2(256), true, 14, A_ECDSA("02"), "ECDSA with SHA-256"},
        {"p256", SHA2(384) | SHA2(512), true, 14, A_ECDSA("04"), "ECDSA with SHA-512"},
        {"p256", 0, true, 9, "", "ECDSA on P-256 with SHA-256"},
        {"p384", SHA1, true, 10, "", "ECDSA on P-384 with SHA-384"},
        {"p521", 0, true, 11, "", "ECDSA on P-521 with SHA-512"},
        {"ed25519", ED, true, 14, "07 300506032b6570", "Ed25519"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t head[128];
        size_t len = support_hex(cases[i].head, head, sizeof head);
        struct made m = make(cases[i].key, cases[i].announced, cases[i].pss);
        ck_assert_int_eq(m.method, cases[i].method);
        ck_assert_uint_gt(m.len, len);
        ck_assert_mem_eq(m.data, head, len);
        ck_assert_str_eq(signature_text(m.method, span_make(m.data, m.len)), cases[i].words);
    }
    /* RFC 4754 7: fixed widths */
    ck_assert_uint_eq(make("p256", 0, true).len, 64);
    ck_assert_uint_eq(make("p384", 0, true).len, 96);
    ck_assert_uint_eq(make("p521", 0, true).len, 132);
    ck_assert_uint_eq(make("rsa3072", 0, true).len, 384);

    struct private_key *k = private_key("ed25519");
    struct made m;
    ck_err(signature_make(k, ALL & ~ED, true, MESSAGE, &m.method, m.data, &m.len, NULL),
           ERR_UNSUPPORTED);
    ck_err(signature_make(k, 0, true, MESSAGE, &m.method, m.data, &m.len, NULL), ERR_UNSUPPORTED);
    private_key_free(k);
}
END_TEST

/* How the openssl command signs and checks what each AlgorithmIdentifier says. */
static const struct openssl_scheme {
    const char *key;
    hash_set announced;
    bool pss;
    const char *head, *tool;
} openssl_schemes[] = {
    {"rsa2048", SHA2(256), false, A_RSA("0b"), "dgst -sha256"},
    {"rsa3072", SHA2(384), false, A_RSA("0c"), "dgst -sha384"},
    {"rsa2048", SHA2(512), false, A_RSA("0d"), "dgst -sha512"},
    {"rsa2048", SHA2(256), true, A_PSS("01", "20"),
     "dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32"},
    {"rsa3072", SHA2(384), true, A_PSS("02", "30"),
     "dgst -sha384 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:48"},
    {"rsa2048", SHA2(512), true, A_PSS("03", "40"),
     "dgst -sha512 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:64"},
    {"p256", SHA2(256), true, A_ECDSA("02"), "dgst -sha256"},
    {"p384", SHA2(384), true, A_ECDSA("03"), "dgst -sha384"},
    {"p521", SHA2(512), true, A_ECDSA("04"), "dgst -sha512"},
    {"ed25519", ED, true, "07 300506032b6570", NULL},
};
enum { OPENSSL_SCHEMES = sizeof openssl_schemes / sizeof openssl_schemes[0] };

START_TEST(openssl_accepts_ours)
{
    const struct openssl_scheme *s = &openssl_schemes[_i];
    struct made m = make(s->key, s->announced, s->pss);
    size_t head = 1 + (size_t)m.data[0];
    fixture_write("signature", span_make(m.data + head, m.len - head));
    if (s->tool == NULL)
        fixture_shell("openssl pkeyutl -verify -pubin -keyform DER -inkey %s.pub -rawin "
                      "-in message -sigfile signature",
                      s->key);
    else
        fixture_shell("openssl %s -keyform DER -verify %s.pub -signature signature message",
                      s->tool, s->key);
}
END_TEST

START_TEST(accepts_openssls)
{
    const struct openssl_scheme *s = &openssl_schemes[_i];
    uint8_t data[SIGNATURE_MAX];
    size_t head = support_hex(s->head, data, sizeof data);
    if (s->tool == NULL)
        fixture_shell("openssl pkeyutl -sign -inkey %s.pem -rawin -in message -out signature",
                      s->key);
    else
        fixture_shell("openssl %s -sign %s.pem -out signature message", s->tool, s->key);
    struct span signature = fixture_read("signature");
    ck_assert_uint_le(signature.len, sizeof data - head);
    memcpy(data + head, signature.data, signature.len);
    struct public_key *k = public_key(s->key);
    ck_ok(verify_exact(k, AUTH_METHOD_SIGNATURE, MESSAGE, span_make(data, head + signature.len)));
    /* RFC 7427 leaves ECDSA's curve free; the old methods do not apply to what was made here. */
    ck_assert_int_ne(verify_exact(k, AUTH_METHOD_ECDSA_256, MESSAGE, signature), ERR_OK);
    free((void *)signature.data);
    public_key_free(k);
}
END_TEST

/* Method 1: SHA-1 is what RFC 7296 asks for; peers have used SHA-2. */
START_TEST(old_rsa_with_any_hash)
{
    static const char *const hashes[] = {"sha1", "sha256", "sha384", "sha512"};
    struct public_key *k = public_key("rsa2048");
    struct made m = make("rsa2048", 0, true);
    fixture_write("signature", span_make(m.data, m.len));
    fixture_shell(
        "openssl dgst -sha1 -keyform DER -verify rsa2048.pub -signature signature message");
    for (size_t i = 0; i < 4; i++) {
        fixture_shell("openssl dgst -%s -sign rsa2048.pem -out signature message", hashes[i]);
        struct span signature = fixture_read("signature");
        ck_ok(verify_exact(k, AUTH_METHOD_RSA, MESSAGE, signature));
        free((void *)signature.data);
    }
    fixture_shell("openssl dgst -md5 -sign rsa2048.pem -out signature message");
    struct span signature = fixture_read("signature");
    ck_err(verify_exact(k, AUTH_METHOD_RSA, MESSAGE, signature), ERR_INTEGRITY);
    free((void *)signature.data);
    public_key_free(k);
}
END_TEST

static enum err verify_with_head(const char *key, const char *head_hex, const char *tool)
{
    uint8_t data[SIGNATURE_MAX];
    size_t head = support_hex(head_hex, data, sizeof data);
    fixture_shell("openssl %s -sign %s.pem -out signature message", tool, key);
    struct span signature = fixture_read("signature");
    memcpy(data + head, signature.data, signature.len);
    struct public_key *k = public_key(key);
    enum err e =
        verify_exact(k, AUTH_METHOD_SIGNATURE, MESSAGE, span_make(data, head + signature.len));
    public_key_free(k);
    free((void *)signature.data);
    return e;
}

/* Genuine signatures under AlgorithmIdentifiers that are wrong, weak, or merely unusual. */
START_TEST(algorithm_identifiers)
{
#define PSS_256 "dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:"
    static const struct {
        const char *key, *head, *tool;
        enum err expected;
    } cases[] = {
        /* RFC 4055 5: parameters NULL, and absent */
        {"rsa2048", "0d 300b06092a864886f70d01010b", "dgst -sha256", ERR_OK},
        {"rsa2048", "0f 300d06092a864886f70d01010b0400", "dgst -sha256", ERR_MALFORMED},
        {"rsa2048", "10 300d06092a864886f70d01010b0500 00", "dgst -sha256", ERR_MALFORMED},
        {"rsa2048", "10 30810d06092a864886f70d01010b0500", "dgst -sha256", ERR_MALFORMED},
        {"rsa2048", "10 308006092a864886f70d01010b05000000", "dgst -sha256", ERR_MALFORMED},
        {"rsa2048", "00", "dgst -sha256", ERR_MALFORMED},
        {"rsa2048", A_RSA("05"), "dgst -sha1", ERR_REFUSED},
        {"rsa2048", A_RSA("04"), "dgst -md5", ERR_UNSUPPORTED},
        {"rsa2048", A_RSA("01"), "dgst -sha256", ERR_UNSUPPORTED},
        {"rsa2048", A_RSA("0c"), "dgst -sha256", ERR_INTEGRITY},
        {"rsa2048", A_PSS("01", "20"), "dgst -sha256", ERR_INTEGRITY},
        {"rsa2048", A_RSA("0b"), PSS_256 "32", ERR_INTEGRITY},
        {"rsa2048", A_ECDSA("02"), "dgst -sha256", ERR_INTEGRITY},
        {"rsa2048", "07 300506032b6570", "dgst -sha256", ERR_INTEGRITY},
        /* the salt is as long as the parameters say */
        {"rsa2048", A_PSS("01", "00"), PSS_256 "0", ERR_OK},
        {"rsa2048", A_PSS("01", "40"), PSS_256 "64", ERR_OK},
        {"rsa2048", A_PSS("01", "20"), PSS_256 "31", ERR_INTEGRITY},
        /* RFC 4055 3.1: no parameters but the defaults means SHA-1 */
        {"rsa2048", "0f 300d06092a864886f70d01010a3000",
         "dgst -sha1 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:20", ERR_REFUSED},
        {"rsa2048", "0d 300b06092a864886f70d01010a", PSS_256 "32", ERR_MALFORMED},
        /* trailerField written out, and another one */
        {"rsa2048",
         "48 304606092a864886f70d01010a3039 a00f300d060960864801650304020105 00"
         "a11c301a06092a864886f70d010108300d06096086480165030402010500 a203020120 a303020101",
         PSS_256 "32", ERR_OK},
        {"rsa2048",
         "48 304606092a864886f70d01010a3039 a00f300d060960864801650304020105 00"
         "a11c301a06092a864886f70d010108300d06096086480165030402010500 a203020120 a303020102",
         PSS_256 "32", ERR_UNSUPPORTED},
        /* MGF1 with another hash */
        {"rsa2048",
         "43 304106092a864886f70d01010a3034 a00f300d06096086480165030402010500"
         "a11c301a06092a864886f70d010108300d06096086480165030402030500 a203020120",
         PSS_256 "32 -sigopt rsa_mgf1_md:sha512", ERR_UNSUPPORTED},
        /* RFC 5758 3.2: no parameters with ECDSA; any curve with any SHA-2 */
        {"p256", "0e 300c06082a8648ce3d0403020500", "dgst -sha256", ERR_MALFORMED},
        {"p256", "0b 300906072a8648ce3d0401", "dgst -sha1", ERR_REFUSED},
        {"p256", A_ECDSA("01"), "dgst -sha224", ERR_UNSUPPORTED},
        {"p256", A_ECDSA("04"), "dgst -sha512", ERR_OK},
        {"p521", A_ECDSA("02"), "dgst -sha256", ERR_OK},
        {"p256", A_RSA("0b"), "dgst -sha256", ERR_INTEGRITY},
        {"rsa1024", A_RSA("0b"), "dgst -sha256", ERR_REFUSED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum err e = verify_with_head(cases[i].key, cases[i].head, cases[i].tool);
        ck_assert_msg(e == cases[i].expected, "%s %s (%s): %s", cases[i].key, cases[i].head,
                      cases[i].tool, err_text(e));
    }
}
END_TEST

START_TEST(methods_need_their_key)
{
    static const enum auth_method old[] = {AUTH_METHOD_RSA, AUTH_METHOD_ECDSA_256,
                                           AUTH_METHOD_ECDSA_384, AUTH_METHOD_ECDSA_521};
    for (size_t i = 0; i < KINDS; i++) {
        struct public_key *k = public_key(kinds[i].name);
        struct made m = make(kinds[i].name, kinds[i].type == KEY_ED25519 ? ED : 0, true);
        for (size_t j = 0; j < 4; j++) {
            if (old[j] != m.method)
                ck_err(verify_exact(k, old[j], MESSAGE, span_make(m.data, m.len)), ERR_INTEGRITY);
        }
        ck_err(verify_exact(k, AUTH_METHOD_PSK, MESSAGE, span_make(m.data, m.len)),
               ERR_UNSUPPORTED);
        ck_err(verify_exact(k, (enum auth_method)13, MESSAGE, span_make(m.data, m.len)),
               ERR_UNSUPPORTED);
        public_key_free(k);
    }
    /* zeros as r and s, of every width */
    uint8_t zeros[132] = {0};
    struct public_key *k = public_key("p256");
    for (size_t len = 0; len <= sizeof zeros; len++)
        ck_err(verify_exact(k, AUTH_METHOD_ECDSA_256, MESSAGE, span_make(zeros, len)),
               ERR_INTEGRITY);
    public_key_free(k);
    struct public_key *weak = public_key("rsa1024");
    ck_err(verify_exact(weak, AUTH_METHOD_RSA, MESSAGE, SPAN_OF(zeros)), ERR_REFUSED);
    public_key_free(weak);
}
END_TEST

/* The two INTEGERs of an ECDSA signature in DER, each right-aligned in `width` octets. */
static void raw_from_der(struct span der, uint8_t *out, size_t width)
{
    size_t at = 2;
    for (size_t i = 0; i < 2; i++) {
        ck_assert_uint_lt(at + 1, der.len);
        size_t len = der.data[at + 1];
        const uint8_t *value = der.data + at + 2;
        at += 2 + len;
        ck_assert_uint_le(at, der.len);
        while (len > 0 && *value == 0) {
            value++;
            len--;
        }
        memset(out + i * width, 0, width);
        memcpy(out + (i + 1) * width - len, value, len);
    }
}

/* RFC 4754 3: method 10 is P-384; the same hash and widths under another curve are not. */
START_TEST(old_ecdsa_needs_its_curve)
{
    static const struct {
        const char *key;
        bool right;
    } cases[] = {{"p384", true}, {"p256", false}};
    for (size_t i = 0; i < 2; i++) {
        uint8_t raw[96];
        fixture_shell("openssl dgst -sha384 -sign %s.pem -out signature message", cases[i].key);
        struct span signature = fixture_read("signature");
        raw_from_der(signature, raw, 48);
        free((void *)signature.data);
        struct public_key *k = public_key(cases[i].key);
        ck_err(verify_exact(k, AUTH_METHOD_ECDSA_384, MESSAGE, SPAN_OF(raw)),
               cases[i].right ? ERR_OK : ERR_INTEGRITY);
        public_key_free(k);
    }
}
END_TEST

static struct public_key *key_from_hex(const char *hex)
{
    uint8_t der[512];
    struct public_key *k = NULL;
    ck_ok(public_key_parse(span_make(der, support_hex(hex, der, sizeof der)), &k));
    return k;
}

/* RFC 4754 8.1: the message "abc" */
START_TEST(rfc4754_p256)
{
    struct public_key *k =
        key_from_hex("3059301306072a8648ce3d020106082a8648ce3d030107034200 04"
                     "2442a5cc0ecd015fa3ca31dc8e2bbc70bf42d60cbca20085e0822cb04235e970"
                     "6fc98bd7e50211a4a27102fa3549df79ebcb4bf246b80945cddfe7d509bbfd7d");
    uint8_t raw[64];
    ck_assert_uint_eq(
        support_hex("cb28e0999b9c7715fd0a80d8e47a77079716cbbf917dd72e97566ea1c066957c"
                    "86fa3bb4e26cad5bf90b7f81899256ce7594bb1ea0c89212748bff3b3d5b0315",
                    raw, sizeof raw),
        sizeof raw);
    ck_ok(signature_verify(k, AUTH_METHOD_ECDSA_256, span_text("abc"), SPAN_OF(raw)));
    ck_err(signature_verify(k, AUTH_METHOD_ECDSA_256, span_text("abd"), SPAN_OF(raw)),
           ERR_INTEGRITY);
    public_key_free(k);
}
END_TEST

/* RFC 8032 7.1, test 3, under RFC 8420's AlgorithmIdentifier */
START_TEST(rfc8032_ed25519)
{
    struct public_key *k =
        key_from_hex("302a300506032b6570032100"
                     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
    uint8_t data[128], message[2];
    size_t len = support_hex("07 300506032b6570"
                             "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
                             "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
                             data, sizeof data);
    support_hex("af82", message, sizeof message);
    ck_ok(signature_verify(k, AUTH_METHOD_SIGNATURE, SPAN_OF(message), span_make(data, len)));
    public_key_free(k);
}
END_TEST

START_TEST(key_files)
{
    static const char *const forms[] = {
        "openssl pkey -in in -out k", /* PKCS#8 */
        "openssl pkey -in in -outform DER -out k",
        "openssl pkey -in in -traditional -out k",
        "openssl pkey -in in -traditional -outform DER -out k",
        "{ echo 'Bag Attributes: none'; cat in; } >k",
        "openssl req -x509 -new -key in -subj /CN=a -out c && cat c in >k",
    };
    for (size_t i = 0; i < KINDS; i++) {
        for (size_t j = 0; j < sizeof forms / sizeof forms[0]; j++) {
            if (kinds[i].type == KEY_ED25519 && strstr(forms[j], "traditional") != NULL)
                continue; /* has PKCS#8 alone (RFC 8410) */
            fixture_shell("cp %s.pem in && %s", kinds[i].name, forms[j]);
            struct private_key *k = NULL;
            struct fault f = {.text = ""};
            enum err e = parse_key_file("k", &k, &f);
            ck_assert_msg(e == ERR_OK, "%s: %s: %s", kinds[i].name, forms[j], f.text);
            ck_assert_int_eq(private_key_type(k), kinds[i].type);
            for (size_t other = 0; other < KINDS; other++) {
                struct public_key *p = public_key(kinds[other].name);
                ck_assert(private_key_matches(k, p) == (other == i));
                public_key_free(p);
            }
            private_key_free(k);
        }
    }
}
END_TEST

START_TEST(refused_key_files)
{
    static const struct {
        const char *command;
        enum err expected;
        const char *says;
    } cases[] = {
        {"openssl pkcs8 -topk8 -in p256.pem -passout pass:x -out k", ERR_STATE, "encrypted"},
        {"openssl pkcs8 -topk8 -in p256.pem -passout pass:x -outform DER -out k", ERR_STATE,
         "encrypted"},
        {"openssl rsa -in rsa2048.pem -aes128 -traditional -passout pass:x -out k", ERR_STATE,
         "encrypted"},
        {"openssl req -x509 -new -key p256.pem -subj /CN=a -out k", ERR_MALFORMED, "a certificate"},
        {"openssl req -x509 -new -key p256.pem -subj /CN=a -outform DER -out k", ERR_MALFORMED,
         "a certificate"},
        {"openssl pkey -in p256.pem -pubout -out k", ERR_MALFORMED, "a public key"},
        {"openssl req -x509 -new -key p256.pem -subj /CN=a -out c && "
         "openssl pkcs12 -export -in c -inkey p256.pem -passout pass:x -out k",
         ERR_MALFORMED, "PKCS#12"},
        {"openssl ecparam -name prime256v1 -out k", ERR_MALFORMED, "PEM of another kind"},
        {"ssh-keygen -q -t ed25519 -N '' -f ssh 2>/dev/null && mv ssh k || printf "
         "'%s\\nYQ==\\n%s\\n' "
         "'-----BEGIN OPENSSH PRIVATE KEY-----' '-----END OPENSSH PRIVATE KEY-----' >k",
         ERR_MALFORMED, "OpenSSH"},
        {"head -c 700 rsa2048.pem >k", ERR_MALFORMED, "damaged"},
        {"sed 's/^M/*/' p256.pem >k", ERR_MALFORMED, "damaged"},
        {"openssl pkey -in p256.pem -outform DER | head -c 100 >k", ERR_MALFORMED, "neither PEM"},
        {"openssl pkey -in p256.pem -outform DER -out k && echo >>k", ERR_MALFORMED, "neither PEM"},
        {"echo hello >k", ERR_MALFORMED, "neither PEM"},
        {": >k", ERR_MALFORMED, "empty"},
        {"head -c 2000000 /dev/zero >k", ERR_LIMIT, "2000000"},
        {"cp rsa1024.pem k", ERR_REFUSED, "1024 bits"},
        {"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-224 -out k", ERR_UNSUPPORTED,
         "not supported"},
        {"openssl genpkey -algorithm X25519 -out k", ERR_UNSUPPORTED, "not supported"},
        {"openssl genpkey -algorithm ED448 -out k", ERR_MALFORMED, "not supported"},
        {"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out k", ERR_MALFORMED,
         "not supported"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct private_key *k = NULL;
        struct fault f = {.text = ""};
        fixture_shell("%s", cases[i].command);
        enum err e = parse_key_file("k", &k, &f);
        ck_assert_msg(e == cases[i].expected && strstr(f.text, cases[i].says) != NULL,
                      "%s: %s (%s)", cases[i].command, f.text, err_text(e));
        ck_assert_ptr_null(k);
        ck_assert_int_eq(f.code, e);
    }
}
END_TEST

/* Every cut of a key's DER, and changes in it, are refused or give a key that works. */
START_TEST(damaged_keys)
{
    static const char *const names[] = {"p256", "ed25519"};
    for (size_t n = 0; n < 2; n++) {
        fixture_shell("openssl pkey -in %s.pem -outform DER -out k", names[n]);
        struct span der = fixture_read("k");
        struct private_key *k = NULL;
        for (size_t len = 0; len < der.len; len++) {
            uint8_t *cut = support_exact_copy(span_make(der.data, len));
            ck_assert_int_ne(private_key_parse(span_make(cut, len), &k, NULL), ERR_OK);
            free(cut);
        }
        for (size_t bit = 0; bit < der.len * 8; bit++) {
            uint8_t *changed = support_exact_copy(der);
            changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (private_key_parse(span_make(changed, der.len), &k, NULL) == ERR_OK) {
                struct made m;
                ck_ok(signature_make(k, ALL, true, MESSAGE, &m.method, m.data, &m.len, NULL));
                private_key_free(k);
            }
            free(changed);
        }
        free((void *)der.data);
    }
}
END_TEST

START_TEST(damaged_public_keys)
{
    for (size_t n = 0; n < KINDS; n++) {
        char file[32];
        snprintf(file, sizeof file, "%s.pub", kinds[n].name);
        struct span der = fixture_read(file);
        struct public_key *k = NULL;
        for (size_t len = 0; len < der.len; len++) {
            uint8_t *cut = support_exact_copy(span_make(der.data, len));
            ck_err(public_key_parse(span_make(cut, len), &k), ERR_MALFORMED);
            free(cut);
        }
        free((void *)der.data);
    }
    fixture_shell("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-224 | "
                  "openssl pkey -pubout -outform DER -out k");
    struct span der = fixture_read("k");
    struct public_key *k = NULL;
    ck_err(public_key_parse(der, &k), ERR_UNSUPPORTED);
    free((void *)der.data);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("crypto/signature");
    TCase *t = tcase_create("signature");
    tcase_set_timeout(t, TIMEOUT_S);
    tcase_add_unchecked_fixture(t, make_keys, fixture_leave);
    tcase_add_loop_test(t, signs_and_verifies, 0, KINDS);
    tcase_add_test(t, chooses_as_announced);
    tcase_add_loop_test(t, openssl_accepts_ours, 0, OPENSSL_SCHEMES);
    tcase_add_loop_test(t, accepts_openssls, 0, OPENSSL_SCHEMES);
    tcase_add_test(t, old_rsa_with_any_hash);
    tcase_add_test(t, algorithm_identifiers);
    tcase_add_test(t, methods_need_their_key);
    tcase_add_test(t, old_ecdsa_needs_its_curve);
    tcase_add_test(t, rfc4754_p256);
    tcase_add_test(t, rfc8032_ed25519);
    tcase_add_test(t, key_files);
    tcase_add_test(t, refused_key_files);
    tcase_add_test(t, damaged_keys);
    tcase_add_test(t, damaged_public_keys);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
