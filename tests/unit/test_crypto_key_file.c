/* Keys behind a passphrase and PKCS#12 containers, as the openssl command and python3-cryptography
 * write them (RFC 5958, RFC 7292, RFC 8018, RFC 7914, RFC 1421 4.6), and keys that others keep. */
#include "common/crypto/key_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/external_key.h"
#include "common/crypto/prf.h"
#include "common/crypto/secret.h"
#include "tests/support/fixture.h"
#include "tests/support/support.h"

#define PASSPHRASE "passphrase"
#define MESSAGE    span_text("what is signed")

static const struct span good = {(const uint8_t *)PASSPHRASE, sizeof(PASSPHRASE) - 1};

static void make_keys(void)
{
    fixture_enter();
    fixture_shell(
        "set -e; printf '#!/bin/sh\\nexec /usr/bin/python3 \"$@\"\\n' >py; chmod 755 py\n"
        "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem\n"
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.pem\n"
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.pem\n"
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out p521.pem\n"
        "openssl genpkey -algorithm ED25519 -out ed25519.pem\n"
        "for k in rsa p256 p384 p521 ed25519; do\n"
        "  openssl pkey -in $k.pem -pubout -outform DER -out $k.pub; done\n"
        "openssl req -x509 -new -key p256.pem -subj /CN=root -days 400 -out root.crt\n"
        "openssl req -new -key rsa.pem -subj /CN=middle | openssl x509 -req -CA root.crt -CAkey "
        "p256.pem -set_serial 2 -days 300 -out middle.crt\n"
        "openssl req -new -key ed25519.pem -subj /CN=leaf | openssl x509 -req -CA middle.crt "
        "-CAkey "
        "rsa.pem -set_serial 3 -days 300 -out leaf.crt\n"
        "cat root.crt middle.crt >others.crt\n");
}

static struct public_key *public_key(const char *name)
{
    char file[64];
    struct public_key *k = NULL;
    snprintf(file, sizeof file, "%s.pub", name);
    struct span der = fixture_read(file);
    ck_ok(public_key_parse(der, &k));
    free((void *)der.data);
    return k;
}

static void expect_key(const struct private_key *k, const char *name)
{
    struct public_key *pub = public_key(name);
    ck_assert(private_key_matches(k, pub));
    public_key_free(pub);
}

static enum err parse(struct span passphrase, struct private_key **ret, struct fault *f)
{
    struct span file = fixture_read("k");
    enum err e = private_key_parse_encrypted(file, passphrase, ret, f);
    free((void *)file.data);
    return e;
}

/* --- keys --- */

#define PKCS8(options)                                                                             \
    "openssl pkcs8 -topk8 -in rsa.pem -passout pass:" PASSPHRASE " -out k " options

START_TEST(keys_of_every_kind_of_encryption)
{
    static const struct {
        const char *command, *name;
    } cases[] = {
        {PKCS8(""), "rsa"},
        {PKCS8("-outform DER"), "rsa"},
        {PKCS8("-v2 aes-128-cbc"), "rsa"},
        {PKCS8("-v2 aes-192-cbc"), "rsa"},
        {PKCS8("-v2 aes-256-cbc -v2prf hmacWithSHA1"), "rsa"},
        {PKCS8("-v2 aes-256-cbc -v2prf hmacWithSHA224"), "rsa"},
        {PKCS8("-v2 aes-256-cbc -v2prf hmacWithSHA384"), "rsa"},
        {PKCS8("-v2 aes-256-cbc -v2prf hmacWithSHA512 -iter 100000"), "rsa"},
        {PKCS8("-v2 des3"), "rsa"},
        {PKCS8("-v1 PBE-SHA1-3DES"), "rsa"},
        {PKCS8("-scrypt"), "rsa"},
        {PKCS8("-scrypt -scrypt_N 1024 -scrypt_r 4 -scrypt_p 3 -v2 aes-128-cbc"), "rsa"},
        {"openssl rsa -in rsa.pem -aes128 -traditional -passout pass:" PASSPHRASE " -out k", "rsa"},
        {"openssl rsa -in rsa.pem -aes256 -traditional -passout pass:" PASSPHRASE " -out k", "rsa"},
        {"openssl rsa -in rsa.pem -des3 -traditional -passout pass:" PASSPHRASE " -out k", "rsa"},
        {"openssl ec -in p256.pem -aes192 -passout pass:" PASSPHRASE " -out k", "p256"},
        {"openssl pkey -in ed25519.pem -aes256 -passout pass:" PASSPHRASE " -out k", "ed25519"},
        {"./py -c \"from cryptography.hazmat.primitives.serialization import *; "
         "k = load_pem_private_key(open('p521.pem', 'rb').read(), None); "
         "open('k', 'wb').write(k.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, "
         "BestAvailableEncryption(b'" PASSPHRASE "')))\"",
         "p521"},
        {"cp p384.pem k", "p384"}, /* not encrypted at all */
        {"{ openssl ecparam -name secp384r1; cat leaf.crt; openssl ec -in p384.pem -aes256 "
         "-passout pass:" PASSPHRASE "; } >k",
         "p384"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct private_key *k = NULL;
        struct fault f = {.text = ""};
        fixture_shell("%s", cases[i].command);
        enum err e = parse(good, &k, &f);
        ck_assert_msg(e == ERR_OK, "%s: %s", cases[i].command, f.text);
        expect_key(k, cases[i].name);
        private_key_free(k);
        if (strstr(cases[i].command, "cp ") == cases[i].command)
            continue;
        static const char *const wrong[] = {"Passphrase", "", "passphrase ", "passphras"};
        for (size_t j = 0; j < sizeof wrong / sizeof wrong[0]; j++) {
            k = NULL;
            e = parse(span_text(wrong[j]), &k, &f);
            ck_assert_msg(e == ERR_INTEGRITY, "%s with %s: %s", cases[i].command, wrong[j], f.text);
            ck_assert_str_eq(f.text, "the passphrase is wrong");
            ck_assert_ptr_null(k);
        }
        struct span file = fixture_read("k");
        ck_err(private_key_parse(file, &k, &f), ERR_STATE);
        free((void *)file.data);
    }
}
END_TEST

/* Octets are octets: UTF-8, zeroes, the longest. */
START_TEST(passphrases_of_every_kind)
{
    static uint8_t longest[SECRET_MAX];
    memset(longest, 'x', sizeof longest);
    const struct span cases[] = {span_text("gr\303\274\303\237e \342\202\254"), SPAN_OF(longest),
                                 span_text("'\"$(id)\\")};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct private_key *k = NULL;
        struct fault f = {.text = ""};
        fixture_write("passphrase", cases[i]);
        fixture_shell("openssl pkcs8 -topk8 -in p256.pem -passout file:passphrase -out k");
        ck_ok(parse(cases[i], &k, &f));
        expect_key(k, "p256");
        private_key_free(k);
    }
}
END_TEST

START_TEST(keys_that_cannot_be_opened)
{
    static const struct {
        const char *command;
        enum err expected;
        const char *says;
    } cases[] = {
        {PKCS8("-v2 camellia-256-cbc"), ERR_UNSUPPORTED, "by a cipher that is not supported"},
        {PKCS8("-v2 aes-256-cbc -iter 5000000"), ERR_LIMIT, "takes too long"},
        /* N = 1024, r = 8, p = 1 become 16384, 127, 127 */
        {PKCS8(
             "-outform DER -scrypt -scrypt_N 1024 -scrypt_r 8 -scrypt_p 1") " && ./py -c \"d = "
                                                                            "open('k', "
                                                                            "'rb').read(); a, b = "
                                                                            "bytes.fromhex('"
                                                                            "02020400020108020101')"
                                                                            ", "
                                                                            "bytes.fromhex('"
                                                                            "0202400002017f02017f')"
                                                                            "; assert a in d; "
                                                                            "open('k', "
                                                                            "'wb').write(d.replace("
                                                                            "a, b))\"",
         ERR_LIMIT, "takes too long"},
        {"openssl rsa -in rsa.pem -camellia256 -traditional -passout pass:" PASSPHRASE " -out k",
         ERR_UNSUPPORTED, "by a cipher that is not supported"},
        {"openssl rsa -in rsa.pem -aes128 -traditional -passout pass:" PASSPHRASE
         " | sed 's/^DEK-Info:.*/DEK-Info: AES-128-CBC,00/' >k",
         ERR_MALFORMED, "damaged"},
        {"openssl rsa -in rsa.pem -aes128 -traditional -passout pass:" PASSPHRASE
         " | sed 's/^DEK-Info:.*//' >k",
         ERR_MALFORMED, "damaged"},
        {"openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 | openssl pkcs8 -topk8 "
         "-passout pass:" PASSPHRASE " -out k",
         ERR_REFUSED, "1024 bits"},
        {"openssl genpkey -algorithm X25519 | openssl pkcs8 -topk8 -passout pass:" PASSPHRASE
         " -out k",
         ERR_UNSUPPORTED, "a kind that is not supported"},
        {"echo hello >k", ERR_MALFORMED, "neither PEM"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct private_key *k = NULL;
        struct fault f = {.text = ""};
        fixture_shell("%s", cases[i].command);
        enum err e = parse(good, &k, &f);
        ck_assert_msg(e == cases[i].expected && strstr(f.text, cases[i].says) != NULL,
                      "%s: %s (%s)", cases[i].command, f.text, err_text(e));
        ck_assert_ptr_null(k);
        ck_assert_int_eq(f.code, e);
    }
}
END_TEST

/* Whatever is cut off or changed gives a key that is the one, or none. */
START_TEST(damaged_encrypted_keys)
{
    fixture_shell("openssl pkcs8 -topk8 -in p256.pem -iter 1 -outform DER -passout "
                  "pass:" PASSPHRASE " -out k");
    struct span der = fixture_read("k");
    for (size_t len = 0; len < der.len; len++) {
        struct private_key *k = NULL;
        uint8_t *cut = support_exact_copy(span_make(der.data, len));
        ck_assert_int_ne(private_key_parse_encrypted(span_make(cut, len), good, &k, NULL), ERR_OK);
        free(cut);
    }
    for (size_t bit = 0; bit < der.len * 8; bit++) {
        struct private_key *k = NULL;
        struct fault f = {.text = ""};
        uint8_t *changed = support_exact_copy(der);
        changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (private_key_parse_encrypted(span_make(changed, der.len), good, &k, &f) == ERR_OK)
            expect_key(k, "p256");
        else
            ck_assert_int_ne(f.text[0], '\0');
        private_key_free(k);
        free(changed);
    }
    free((void *)der.data);
}
END_TEST

/* --- containers --- */

#define EXPORT(options)                                                                            \
    "openssl pkcs12 -export -inkey ed25519.pem -in leaf.crt -certfile others.crt -passout "        \
    "pass:" PASSPHRASE " -out k " options

static enum err parse_container(struct span passphrase, struct private_key **ret,
                                struct certificate_list *ret_chain, struct fault *f)
{
    struct span file = fixture_read("k");
    enum err e = pkcs12_parse(file, passphrase, ret, ret_chain, f);
    free((void *)file.data);
    return e;
}

static void expect_subject(const struct certificate *c, const char *subject)
{
    char text[IDENTITY_TEXT_MAX];
    ck_assert_str_eq(certificate_subject(c, text), subject);
}

START_TEST(containers)
{
    static const char *const commands[] = {
        EXPORT(""),
        EXPORT("-keypbe AES-128-CBC -certpbe AES-192-CBC -macalg sha1"),
        EXPORT("-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1"),
        EXPORT("-certpbe NONE -macalg sha512"),
        EXPORT("-iter 100000 -maciter"),
        EXPORT("-name 'a friendly name'"),
        "./py -c \"from cryptography.hazmat.primitives.serialization import *; "
        "from cryptography.hazmat.primitives.serialization.pkcs12 import *; "
        "from cryptography import x509; "
        "k = load_pem_private_key(open('ed25519.pem', 'rb').read(), None); "
        "c = [x509.load_pem_x509_certificate(open(n, 'rb').read()) "
        "for n in ('leaf.crt', 'root.crt', 'middle.crt')]; "
        "open('k', 'wb').write(serialize_key_and_certificates(b'x', k, c[0], c[1:], "
        "BestAvailableEncryption(b'" PASSPHRASE "')))\"",
    };
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        struct private_key *k = NULL;
        struct certificate_list l = {.count = 0};
        struct fault f = {.text = ""};
        fixture_shell("%s", commands[i]);
        enum err e = parse_container(good, &k, &l, &f);
        ck_assert_msg(e == ERR_OK, "%s: %s", commands[i], f.text);
        expect_key(k, "ed25519");
        ck_assert_uint_eq(l.count,
                          2); /* ours, and the one between; who certifies itself is not sent */
        expect_subject(l.items[0], "CN=leaf");
        expect_subject(l.items[1], "CN=middle");
        private_key_free(k);
        certificate_list_wipe(&l);
        k = NULL;
        ck_err(parse_container(span_text("Passphrase"), &k, &l, &f), ERR_INTEGRITY);
        ck_err(parse_container(SPAN_EMPTY, &k, &l, &f), ERR_INTEGRITY);
        ck_err(parse_container(span_make("pass\0hrase", 10), &k, &l, &f), ERR_INTEGRITY);
        ck_err(parse_container(span_text("\xff\xfe"), &k, &l, &f), ERR_INTEGRITY);
        ck_assert_str_eq(f.text, "the passphrase is wrong");
        ck_assert_ptr_null(k);
        ck_assert_uint_eq(l.count, 0);
    }
}
END_TEST

/* RC2 with 40 bits and 3DES, as everybody wrote them until 2021; openssl pkcs12 -export -legacy. */
static const char legacy[] =
    "3082037a0201033082034006092a864886f70d010701a08203310482032d308203293082021f06092a864886"
    "f70d010706a08202103082020c0201003082020506092a864886f70d010701301c060a2a864886f70d010c01"
    "06300e0408b506344394d473f602020800808201d8ae7710c763708b2c15e28f5a5e42d08fcdd1b47d2a702d"
    "c31a29fb8b176b85348481ab72aa44b62da53848a4bf52996e6d7167f7953169e87b7e3f75ff84486c9af598"
    "bb4cb73f040f36081c187834a996a8a503d08be67bc5b63ceb464c8313f93bda1d6d68332599792a72e01deb"
    "579806773ac0bbb9603bff6b8f9c1c6ef2f394a19d45e7af9242e5b6ec108fe5b5d57762a603ddee06dc426f"
    "0c688875e7054128a2761543a23e4f6e1e6d5872920f1cbef4f3c938b8a0f66e7c94e8993bd59da120fc2c6d"
    "dee1a8112525bf8687f82f65d4a9b8efe6b1e26f3593f929710649337f5a5ddf025a6d3c8137e49a2b8d26bb"
    "b56aaf094286c6cc7d3046936b02163e7872aaadbdead683b52c8b2e00b6e49e5967879f409b09bea33acf01"
    "87ef52143cd655da15b284827be303fc08947c50b6744964cb26cc733d60064f0723305f123cf15ad4face89"
    "c44d122c063ad6a1b1a3e8c3dd1abb9cac23f67b954ebee45ae2fc7e70252028abcae5bc2cd38a07ced97bf5"
    "e5f8913657fe2b69bb908a31361064f942f0f439967aee92d969232303fd0571bcf843c2756681f5fc10036d"
    "18466ae32601cd11e52e33e710d698df6a9ea49298eb3cc5ecb9f8da02f9bd2f46466745a642559292378911"
    "c6493e42d722a3e2bc3082010206092a864886f70d010701a081f40481f13081ee3081eb060b2a864886f70d"
    "010c0a0102a081b43081b1301c060a2a864886f70d010c0103300e0408c3fabef0f116bf9002020800048190"
    "0ce20a2c56c8861a976015913e3aaddf9a728533487d36010524006e2c471fd633b012e47b6a69ace174fd34"
    "31c641d53f1d5b7d79d6c65b2623fc62a8df14e7c9407e1213c19ced38dba8aee33538342e8b75dc91752a0f"
    "f3aebac03e8f0a3c159f8ebc1e78ac05166dd53a2efd857ec9562362db014fae1dda8df57aa2c023adc8b5e0"
    "d1fd48ac85cf5e60ba9212683125302306092a864886f70d010915311604140af0c4340de23234987652ddb8"
    "2bc3334619594d30313021300906052b0e03021a0500041476d4ca8aa1fb794e34920d38825ba6be967f0fbf"
    "0408cf4a27604a08630302020800";

START_TEST(an_old_container)
{
    static uint8_t bytes[2048];
    struct span file = span_make(bytes, support_hex(legacy, bytes, sizeof bytes));
    struct private_key *k = NULL;
    struct certificate_list l = {.count = 0};
    struct fault f = {.text = ""};
    ck_err(pkcs12_parse(file, span_text("x"), &k, &l, &f), ERR_INTEGRITY);
    ck_ok(pkcs12_parse(file, good, &k, &l, &f));
    ck_assert_uint_eq(l.count, 1);
    expect_subject(l.items[0], "CN=legacy"); /* certifies itself, and is ours */
    private_key_free(k);
    certificate_list_wipe(&l);
}
END_TEST

START_TEST(a_container_without_a_passphrase)
{
    struct private_key *k = NULL;
    struct certificate_list l = {.count = 0};
    struct fault f = {.text = ""};
    fixture_shell("openssl pkcs12 -export -inkey ed25519.pem -in leaf.crt -passout pass: -out k");
    ck_ok(parse_container(SPAN_EMPTY, &k, &l, &f));
    private_key_free(k);
    certificate_list_wipe(&l);
}
END_TEST

START_TEST(containers_that_cannot_be_used)
{
    static const struct {
        const char *command;
        enum err expected;
        const char *says;
    } cases[] = {
        {EXPORT("-keypbe camellia-256-cbc"), ERR_UNSUPPORTED, "a method that is not supported"},
        {EXPORT("-macalg sha3-256"), ERR_UNSUPPORTED, "a method that is not supported"},
        {EXPORT("-nomac"), ERR_UNSUPPORTED, "no checksum"},
        {"openssl pkcs12 -export -nokeys -in leaf.crt -passout pass:" PASSPHRASE " -out k",
         ERR_MALFORMED, "no private key"},
        {"openssl pkcs12 -export -nocerts -inkey ed25519.pem -passout pass:" PASSPHRASE " -out k",
         ERR_MALFORMED, "no certificate for its private key"},
        {"cp leaf.crt k", ERR_MALFORMED, "no PKCS#12 container"},
        {": >k", ERR_MALFORMED, "no PKCS#12 container"},
        {"head -c 2000000 /dev/zero >k", ERR_LIMIT, "2000000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct private_key *k = NULL;
        struct certificate_list l = {.count = 0};
        struct fault f = {.text = ""};
        fixture_shell("%s", cases[i].command);
        enum err e = parse_container(good, &k, &l, &f);
        ck_assert_msg(e == cases[i].expected && strstr(f.text, cases[i].says) != NULL,
                      "%s: %s (%s)", cases[i].command, f.text, err_text(e));
        ck_assert_ptr_null(k);
        ck_assert_uint_eq(l.count, 0);
        ck_assert_int_eq(f.code, e);
    }
}
END_TEST

/* --- keys that others keep --- */

/* A card: signs by a key that it has, and notes what it was asked. */
struct card {
    const char *name;
    struct private_key *key;
    struct key_request asked;
    uint8_t input[256];
    enum way { HONEST, ANOTHER_KEY, SHORT, REFUSES } way;
};

static enum err sign(void *ctx, const struct key_request *r, uint8_t *out, size_t cap,
                     size_t *ret_len, struct fault *f)
{
    struct card *c = ctx;
    c->asked = *r;
    ck_assert_uint_le(r->input.len, sizeof c->input);
    memcpy(c->input, r->input.data, r->input.len);
    if (c->way == REFUSES)
        return fault_set(f, ERR_REFUSED, "the card is gone");
    fixture_write("input", r->input);
    static const char *const hashes[] = {"", "sha1", "sha256", "sha384", "sha512"};
    char options[128] = "";
    if (r->mechanism == KEY_MECHANISM_PSS)
        snprintf(options, sizeof options,
                 "-pkeyopt rsa_padding_mode:pss -pkeyopt digest:%s -pkeyopt rsa_pss_saltlen:%u",
                 hashes[r->hash], r->salt_len);
    if (r->mechanism == KEY_MECHANISM_ED25519)
        snprintf(options, sizeof options, "-rawin");
    fixture_shell("openssl %s -sign -inkey %s.pem -in input -out signature %s",
                  r->mechanism == KEY_MECHANISM_PKCS1 ? "rsautl" : "pkeyutl",
                  c->way == ANOTHER_KEY ? "other" : c->name, options);
    if (r->mechanism == KEY_MECHANISM_ECDSA) /* as cards have it */
        fixture_shell(
            "./py -c \"from cryptography.hazmat.primitives.asymmetric.utils import *; "
            "n = {'p256': 32, 'p384': 48, 'p521': 66}['%s']; "
            "r, s = decode_dss_signature(open('signature', 'rb').read()); "
            "open('signature', 'wb').write(r.to_bytes(n, 'big') + s.to_bytes(n, 'big'))\"",
            c->name);
    struct span made = fixture_read("signature");
    size_t len = c->way == SHORT ? made.len - 1 : made.len;
    ck_assert_uint_le(made.len, cap);
    memcpy(out, made.data, len);
    free((void *)made.data);
    *ret_len = len;
    return ERR_OK;
}

static struct private_key *on_card(struct card *c, bool pss)
{
    struct public_key *pub = public_key(c->name);
    struct private_key *k = NULL;
    const struct key_signer signer = {.sign = sign, .ctx = c, .pss = pss};
    ck_ok(private_key_external(pub, &signer, &k, NULL));
    ck_assert(private_key_is_external(k));
    ck_assert(private_key_matches(k, pub));
    ck_assert_int_eq(private_key_type(k), public_key_type(pub));
    public_key_free(pub);
    return k;
}

enum {
    SHA256 = 1 << HASH_SHA2_256,
    SHA384 = 1 << HASH_SHA2_384,
    SHA512 = 1 << HASH_SHA2_512,
    ED = 1 << HASH_IDENTITY
};

/* RFC 7427, RFC 4754, RFC 8420: each kind of signature, by a key on a card. */
START_TEST(signatures_of_cards)
{
    static const struct {
        const char *name;
        hash_set hashes;
        bool pss;
        enum auth_method method;
        enum key_mechanism mechanism;
        size_t input_len;
        const char *text;
    } cases[] = {
        {"rsa", SHA256, true, 14, KEY_MECHANISM_PSS, 32, "RSA-PSS with SHA-256"},
        {"rsa", SHA512, true, 14, KEY_MECHANISM_PSS, 64, "RSA-PSS with SHA-512"},
        {"rsa", SHA384, false, 14, KEY_MECHANISM_PKCS1, 48 + 19, "RSA with SHA-384"},
        {"rsa", 0, true, 1, KEY_MECHANISM_PKCS1, 20 + 15, "RSA"},
        {"p256", SHA256, false, 14, KEY_MECHANISM_ECDSA, 32, "ECDSA with SHA-256"},
        {"p256", SHA512, false, 14, KEY_MECHANISM_ECDSA, 32, "ECDSA with SHA-512"}, /* cut */
        {"p256", 0, false, 9, KEY_MECHANISM_ECDSA, 32, "ECDSA on P-256 with SHA-256"},
        {"p384", 0, false, 10, KEY_MECHANISM_ECDSA, 48, "ECDSA on P-384 with SHA-384"},
        {"p521", SHA512, false, 14, KEY_MECHANISM_ECDSA, 64, "ECDSA with SHA-512"},
        {"p521", 0, false, 11, KEY_MECHANISM_ECDSA, 64, "ECDSA on P-521 with SHA-512"},
        {"ed25519", ED, false, 14, KEY_MECHANISM_ED25519, 14, "Ed25519"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct card card = {.name = cases[i].name};
        struct private_key *k = on_card(&card, cases[i].pss);
        struct public_key *pub = public_key(cases[i].name);
        uint8_t out[SIGNATURE_MAX];
        size_t len = 0;
        enum auth_method method = 0;
        struct fault f = {.text = ""};
        enum err e = signature_make(k, cases[i].hashes, true, MESSAGE, &method, out, &len, &f);
        ck_assert_msg(e == ERR_OK, "%s: %s", cases[i].text, f.text);
        ck_assert_int_eq(method, cases[i].method);
        ck_assert_int_eq(card.asked.mechanism, cases[i].mechanism);
        ck_assert_uint_eq(card.asked.input.len, cases[i].input_len);
        ck_assert_str_eq(signature_text(method, span_make(out, len)), cases[i].text);
        ck_ok(signature_verify(pub, method, MESSAGE, span_make(out, len)));
        public_key_free(pub);
        private_key_free(k);
    }
}
END_TEST

/* What a card says is no signature until the certificate's key has verified it. */
START_TEST(cards_that_lie_or_refuse)
{
    static const struct {
        const char *name;
        enum way way;
        const char *says;
    } cases[] = {
        {"rsa", ANOTHER_KEY, "no signature that our certificate verifies"},
        {"rsa", SHORT, "no signature that our certificate verifies"},
        {"p256", SHORT, "no signature that our certificate verifies"},
        {"ed25519", SHORT, "no signature that our certificate verifies"},
        {"p256", REFUSES, "the card is gone"},
    };
    fixture_shell("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out other.pem");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct card card = {.name = cases[i].name, .way = cases[i].way};
        struct private_key *k = on_card(&card, true);
        uint8_t out[SIGNATURE_MAX];
        size_t len = 0;
        enum auth_method method;
        struct fault f = {.text = ""};
        ck_err(signature_make(k, SHA256 | ED, true, MESSAGE, &method, out, &len, &f), ERR_REFUSED);
        ck_assert_msg(strstr(f.text, cases[i].says) != NULL, "%s", f.text);
        ck_assert_uint_eq(len, 0);
        private_key_free(k);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("crypto/key_file");
    TCase *t = tcase_create("key_file");
    tcase_add_unchecked_fixture(t, make_keys, fixture_leave);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, keys_of_every_kind_of_encryption);
    tcase_add_test(t, passphrases_of_every_kind);
    tcase_add_test(t, keys_that_cannot_be_opened);
    tcase_add_test(t, damaged_encrypted_keys);
    tcase_add_test(t, containers);
    tcase_add_test(t, an_old_container);
    tcase_add_test(t, a_container_without_a_passphrase);
    tcase_add_test(t, containers_that_cannot_be_used);
    tcase_add_test(t, signatures_of_cards);
    tcase_add_test(t, cards_that_lie_or_refuse);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
