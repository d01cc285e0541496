/* The payloads of RFC 7296 3.4 to 3.13 and 3.16: what parses, what does not, and the round trip.
 * The Configuration payload is test_ike_payload_cp.c. */
#include <stdlib.h>
#include <string.h>

#include "common/base/be.h"
#include "common/crypto/algorithm.h"
#include "common/ike/payload.h"
#include "tests/support/support.h"

static const struct ike_header header = {.spi_i = 1, .major = 2, .exchange = EXCHANGE_IKE_AUTH};

struct message {
    uint8_t bytes[2048];
    struct message_writer m;
};

static struct message_writer *begin(struct message *x)
{
    message_begin(&x->m, x->bytes, sizeof x->bytes, &header);
    return &x->m;
}

/* The one payload written, which must be of that type. */
static struct span body(struct message *x, uint8_t type)
{
    struct span all;
    struct payload_list l;
    uint8_t bad;
    ck_ok(message_finish(&x->m, &all));
    ck_ok(payload_list_parse(
        x->bytes[16], span_make(all.data + IKE_HEADER_LEN, all.len - IKE_HEADER_LEN), &l, &bad));
    ck_assert_uint_eq(l.count, 1);
    ck_assert_uint_eq(l.items[0].type, type);
    return l.items[0].body;
}

/* Each parser behind one face, to be tried on hostile lengths. */
static enum err parse_ke(struct span s)
{
    struct ke_payload p;
    return ke_payload_parse(s, &p);
}
static enum err parse_id(struct span s)
{
    struct identity p;
    return id_payload_parse(s, &p);
}
static enum err parse_cert(struct span s)
{
    struct cert_payload p;
    return cert_payload_parse(s, &p);
}
static enum err parse_auth(struct span s)
{
    struct auth_payload p;
    return auth_payload_parse(s, &p);
}
static enum err parse_nonce(struct span s)
{
    struct span p;
    return nonce_payload_parse(s, &p);
}
static enum err parse_notify(struct span s)
{
    struct notify_payload p;
    return notify_payload_parse(s, &p);
}
static enum err parse_delete(struct span s)
{
    struct delete_payload p;
    return delete_payload_parse(s, &p);
}
static enum err parse_ts(struct span s)
{
    struct selector_list p;
    return ts_payload_parse(s, &p);
}
static enum err parse_eap(struct span s)
{
    struct span p;
    return eap_payload_parse(s, &p);
}

/* Parse in a heap copy of exactly that size. */
static enum err parse_hex(enum err (*parser)(struct span), const char *hex)
{
    uint8_t bytes[512];
    size_t len = support_hex(hex, bytes, sizeof bytes);
    uint8_t *exact = support_exact_copy(span_make(bytes, len));
    enum err e = parser(span_make(exact, len));
    free(exact);
    return e;
}

#define TS4 "07 06 0010 0050 01bb 0a000001 0a0000ff"
#define TS6 "08 00 0028 0000 ffff 20010db8000000000000000000000000 20010db80000000000000000000000ff"

/* Cut at every length: `least` octets and more parse (0: nothing but the whole does). */
static const struct {
    const char *name;
    enum err (*parser)(struct span);
    const char *hex;
    size_t least;
} shapes[] = {
    {"KE", parse_ke, "001f0000 0102030405", 4},
    {"ID FQDN", parse_id, "02000000 676174652e6578616d706c65", 5},
    {"ID IPv4", parse_id, "01000000 c0000201", 0},
    {"ID IPv6", parse_id, "05000000 20010db8000000000000000000000001", 0},
    {"CERT", parse_cert, "04 3082", 1},
    {"AUTH", parse_auth, "02000000 0102", 4},
    {"Nonce", parse_nonce, "000102030405060708090a0b0c0d0e0f 10", 16},
    {"N", parse_notify, "03 04 4009 01020304 0506", 8},
    {"D of IKE", parse_delete, "01 00 0000", 0},
    {"D of ESP", parse_delete, "03 04 0002 01020304 05060708", 0},
    {"TS", parse_ts, "02000000" TS4 TS6, 0},
    {"EAP", parse_eap, "01 07 0009 1a01020304", 0},
};

START_TEST(every_short_length)
{
    uint8_t bytes[512];
    size_t whole = support_hex(shapes[_i].hex, bytes, sizeof bytes);
    for (size_t len = 0; len <= whole; len++) {
        uint8_t *exact = support_exact_copy(span_make(bytes, len));
        bool good = len == whole || (shapes[_i].least > 0 && len >= shapes[_i].least);
        enum err e = shapes[_i].parser(span_make(exact, len));
        ck_assert_msg(e == (good ? ERR_OK : ERR_MALFORMED), "%s, %zu octets: %s", shapes[_i].name,
                      len, err_text(e));
        free(exact);
    }
}
END_TEST

/* Every octet set to every value: whatever comes of it stays within the copy. */
START_TEST(every_octet_value_is_survived)
{
    uint8_t bytes[512];
    size_t len = support_hex(shapes[_i].hex, bytes, sizeof bytes);
    uint8_t *exact = support_exact_copy(span_make(bytes, len));
    for (size_t at = 0; at < len; at++) {
        for (unsigned v = 0; v < 256; v++) {
            exact[at] = (uint8_t)v;
            enum err e = shapes[_i].parser(span_make(exact, len));
            ck_assert(e == ERR_OK || e == ERR_MALFORMED || e == ERR_UNSUPPORTED || e == ERR_LIMIT);
        }
        exact[at] = bytes[at];
    }
    ck_ok(shapes[_i].parser(span_make(exact, len)));
    free(exact);
}
END_TEST

START_TEST(ke)
{
    struct message x;
    struct ke_payload p;
    ke_payload_write(begin(&x), KE_X25519, span_text("value"));
    ck_ok(ke_payload_parse(body(&x, PAYLOAD_KE), &p));
    ck_assert_uint_eq(p.method, KE_X25519);
    ck_span_eq(p.value, span_text("value"));
}
END_TEST

START_TEST(id)
{
    static const char *const texts[] = {"gate.example", "alice@example.com",
                                        "192.0.2.1",    "2001:db8::1",
                                        "@#0011ff",     "C=DE, O=tern, CN=gate"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct message x;
        struct identity sent, got;
        ck_ok(identity_parse(texts[i], &sent));
        id_payload_write(begin(&x), PAYLOAD_ID_R, &sent);
        struct span b = body(&x, PAYLOAD_ID_R);
        ck_assert_mem_eq(b.data + 1, "\0\0\0", 3);
        ck_ok(id_payload_parse(b, &got));
        ck_assert(identity_equal(&sent, &got));
        ck_assert_int_eq(sent.type, got.type);
    }
    ck_err(parse_hex(parse_id, "04000000 01"), ERR_UNSUPPORTED);
    ck_err(parse_hex(parse_id, "00000000 01"), ERR_UNSUPPORTED);
    ck_err(parse_hex(parse_id, "01000000 c000020101"), ERR_MALFORMED);
    ck_ok(parse_hex(parse_id, "02ffffff 61")); /* reserved octets are not looked at */
    static uint8_t longest[4 + IDENTITY_MAX + 1] = {IDENTITY_KEY_ID};
    ck_ok(parse_id(span_make(longest, sizeof longest - 1)));
    ck_err(parse_id(span_make(longest, sizeof longest)), ERR_LIMIT);
}
END_TEST

START_TEST(cert_and_certreq)
{
    struct message x;
    struct cert_payload p;
    cert_payload_write(begin(&x), PAYLOAD_CERTREQ, CERT_X509_SIGNATURE, span_text("hash"));
    ck_ok(cert_payload_parse(body(&x, PAYLOAD_CERTREQ), &p));
    ck_assert_uint_eq(p.encoding, CERT_X509_SIGNATURE);
    ck_span_eq(p.data, span_text("hash"));
}
END_TEST

START_TEST(auth)
{
    struct message x;
    struct auth_payload p;
    auth_payload_write(begin(&x), 14, span_text("signature"));
    struct span b = body(&x, PAYLOAD_AUTH);
    ck_assert_mem_eq(b.data, "\x0e\0\0\0", 4);
    ck_ok(auth_payload_parse(b, &p));
    ck_assert_uint_eq(p.method, 14);
    ck_span_eq(p.data, span_text("signature"));
}
END_TEST

/* RFC 7296 3.9 */
START_TEST(nonce_lengths)
{
    uint8_t bytes[NONCE_MAX + 1] = {0};
    for (size_t len = 0; len <= sizeof bytes; len++) {
        struct span got;
        bool good = len >= 16 && len <= 256;
        ck_err(nonce_payload_parse(span_make(bytes, len), &got), good ? ERR_OK : ERR_MALFORMED);
        if (good)
            ck_assert_uint_eq(got.len, len);
    }
}
END_TEST

START_TEST(notify)
{
    struct message x;
    struct notify_payload p;
    const struct notify_payload sent = {PROTOCOL_ESP, span_text("spi4"), NOTIFY_REKEY_SA,
                                        span_text("more")};
    notify_payload_write(begin(&x), &sent);
    ck_ok(notify_payload_parse(body(&x, PAYLOAD_NOTIFY), &p));
    ck_assert_uint_eq(p.protocol, PROTOCOL_ESP);
    ck_assert_uint_eq(p.type, NOTIFY_REKEY_SA);
    ck_span_eq(p.spi, span_text("spi4"));
    ck_span_eq(p.data, span_text("more"));

    notify_write(begin(&x), NOTIFY_COOKIE, span_text("c"));
    ck_ok(notify_payload_parse(body(&x, PAYLOAD_NOTIFY), &p));
    ck_assert_uint_eq(p.protocol, 0);
    ck_assert_uint_eq(p.spi.len, 0);
    ck_span_eq(p.data, span_text("c"));

    ck_err(parse_hex(parse_notify, "01 ff 4009 01"), ERR_MALFORMED);
    ck_ok(parse_hex(parse_notify, "01 00 4009"));
}
END_TEST

START_TEST(notifies_in_a_list)
{
    struct message x;
    struct message_writer *m = begin(&x);
    struct span all;
    struct payload_list l;
    struct notify_payload n;
    uint8_t bad;
    payload_write(m, PAYLOAD_NOTIFY,
                  SPAN_OF(((const uint8_t[]){0, 9, 0x40, 6}))); /* SPI overruns */
    notify_write(m, NOTIFY_MOBIKE_SUPPORTED, SPAN_EMPTY);
    payload_write(m, PAYLOAD_VENDOR, SPAN_OF(((const uint8_t[]){0, 0, 0, 14})));
    notify_write(m, NOTIFY_COOKIE, span_text("first"));
    notify_write(m, NOTIFY_COOKIE, span_text("second"));
    size_t before_error = m->w.len;
    notify_write(m, NOTIFY_ERROR_LAST, span_text("error"));
    notify_write(m, NOTIFY_NO_PROPOSAL_CHOSEN, SPAN_EMPTY);
    ck_ok(message_finish(m, &all));
    struct span chain = span_make(all.data + IKE_HEADER_LEN, all.len - IKE_HEADER_LEN);
    ck_ok(payload_list_parse(PAYLOAD_NOTIFY, chain, &l, &bad));
    ck_assert(notify_find(&l, NOTIFY_COOKIE, &n));
    ck_span_eq(n.data, span_text("first"));
    ck_assert(notify_find(&l, NOTIFY_NO_PROPOSAL_CHOSEN, &n));
    ck_assert(!notify_find(&l, NOTIFY_REKEY_SA, &n));
    ck_assert(notify_find_error(&l, &n));
    ck_span_eq(n.data, span_text("error"));

    l.count = 5; /* those before the errors */
    ck_assert(l.items[4].body.data < all.data + before_error);
    ck_assert(!notify_find_error(&l, &n));
}
END_TEST

START_TEST(delete)
{
    struct message x;
    struct delete_payload p;
    delete_ike_write(begin(&x));
    ck_ok(delete_payload_parse(body(&x, PAYLOAD_DELETE), &p));
    ck_assert_uint_eq(p.protocol, PROTOCOL_IKE);
    ck_assert_uint_eq(p.count, 0);

    const uint32_t spis[] = {0x01020304, 0xfffefdfc};
    delete_esp_write(begin(&x), spis, 2);
    ck_ok(delete_payload_parse(body(&x, PAYLOAD_DELETE), &p));
    ck_assert_uint_eq(p.protocol, PROTOCOL_ESP);
    ck_assert_uint_eq(p.spi_len, 4);
    ck_assert_uint_eq(p.count, 2);
    ck_assert_uint_eq(delete_payload_esp_spi(&p, 0), spis[0]);
    ck_assert_uint_eq(delete_payload_esp_spi(&p, 1), spis[1]);

    /* RFC 7296 3.11: the count, the SPI's size and what is there must agree */
    static const char *const bad[] = {"03 04 0000 01020304",
                                      "03 04 0001",
                                      "03 04 0001 010203",
                                      "03 04 0001 0102030405",
                                      "03 04 0002 01020304",
                                      "03 04 ffff 01020304",
                                      "03 ff ffff 01020304",
                                      "03 00 0001",
                                      "03 08 0001 0102030405060708",
                                      "02 08 0001 0102030405060708",
                                      "01 04 0001 01020304",
                                      "01 08 0001 0102030405060708",
                                      "01 00 0000 00"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_err(parse_hex(parse_delete, bad[i]), ERR_MALFORMED);
    ck_ok(parse_hex(parse_delete, "03 04 0000"));
    ck_ok(parse_hex(parse_delete, "02 04 0001 01020304"));
    ck_ok(parse_hex(parse_delete, "09 03 0001 010203"));
}
END_TEST

static void check_ts(struct span b, const char *expected)
{
    struct selector_list l;
    char out[SELECTOR_LIST_TEXT_MAX];
    ck_ok(ts_payload_parse(b, &l));
    ck_assert_str_eq(selector_list_format(&l, out), expected);
}

START_TEST(ts)
{
    struct message x;
    struct selector_list l;
    uint8_t bytes[256];
    size_t len = support_hex("03000000" TS4 TS6 "07 11 0010 ffff 0000 0a000000 0a0000ff", bytes,
                             sizeof bytes);
    struct span b = span_make(bytes, len);
    check_ts(b, "10.0.0.1-10.0.0.255[tcp/80-443],2001:db8::/120,10.0.0.0/24[udp/opaque]");
    ck_ok(ts_payload_parse(b, &l));
    ts_payload_write(begin(&x), PAYLOAD_TS_R, &l);
    ck_span_eq(body(&x, PAYLOAD_TS_R), b);

    l.count = 0;
    while (l.count < SELECTORS_MAX)
        l.items[l.count++] = l.items[0];
    ts_payload_write(begin(&x), PAYLOAD_TS_I, &l);
    ck_ok(ts_payload_parse(body(&x, PAYLOAD_TS_I), &l));
    ck_assert_uint_eq(l.count, SELECTORS_MAX);
}
END_TEST

/* RFC 7296 3.13.1: a type we do not know is passed over, by its length. */
START_TEST(ts_of_unknown_types)
{
    uint8_t bytes[256];
    size_t len = support_hex("04000000 09 00 0004" TS4 "ff ff 0007 010203 0a000008 01020304", bytes,
                             sizeof bytes);
    check_ts(span_make(bytes, len), "10.0.0.1-10.0.0.255[tcp/80-443]");
    len = support_hex("01000000 09 00 0004", bytes, sizeof bytes);
    check_ts(span_make(bytes, len), "");
    ck_err(parse_hex(parse_ts, "01000000 09 00 0003"), ERR_MALFORMED);
    ck_err(parse_hex(parse_ts, "01000000 09 00 0000"), ERR_MALFORMED);
    ck_err(parse_hex(parse_ts, "01000000 09 00 0005"), ERR_MALFORMED);
}
END_TEST

START_TEST(ts_that_is_wrong)
{
    static const char *const bad[] = {
        "00000000",                                        /* selects nothing */
        "00000000" TS4,                                    /* count too small */
        "01000000" TS4 TS4,                                /* count too small */
        "02000000" TS4,                                    /* count too large */
        "ff000000" TS4,                                    /* count too large */
        "01000000 07 06 0010 0051 0050 0a000001 0a0000ff", /* ports upside down */
        "01000000 07 06 0010 ffff 0001 0a000001 0a0000ff", /* not OPAQUE either */
        "01000000 07 06 0010 0000 ffff 0a000002 0a000001", /* addresses upside down */
        "01000000 08 00 0010 0000 ffff 0a000001 0a0000ff", /* IPv6 of IPv4's length */
        "01000000 07 00 0028 0000 ffff 20010db8000000000000000000000000"
        "20010db80000000000000000000000ff", /* IPv4 of IPv6's length */
        "01000000" TS4 "00",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_err(parse_hex(parse_ts, bad[i]), ERR_MALFORMED);
}
END_TEST

/* Every length field around the true one, and the largest, with the octets that are there. */
START_TEST(ts_length_fields)
{
    uint8_t bytes[256];
    static const char *const hex[] = {"01000000" TS4, "01000000" TS6, "02000000" TS4 TS6};
    for (size_t i = 0; i < 3; i++) {
        size_t len = support_hex(hex[i], bytes, sizeof bytes);
        uint8_t *exact = support_exact_copy(span_make(bytes, len));
        unsigned truth = (unsigned)(exact[6] << 8 | exact[7]);
        for (unsigned field = 0; field <= 0xffff; field += field < 100 ? 1 : 0x1f1f) {
            be_write_u16(exact + 6, (uint16_t)field);
            enum err e = parse_ts(span_make(exact, len));
            ck_assert_int_eq(e, field == truth ? ERR_OK : ERR_MALFORMED);
        }
        free(exact);
    }
}
END_TEST

/* RFC 7296 3.13 allows 255: the first ones are taken, and the others still have to be right. */
START_TEST(ts_beyond_the_limit)
{
    static uint8_t bytes[4 + 16 * 255];
    struct selector_list l;
    for (size_t i = 0; i < 255; i++)
        support_hex(TS4, bytes + 4 + 16 * i, 16);
    for (size_t count = SELECTORS_MAX - 1; count <= 255; count++) {
        bytes[0] = (uint8_t)count;
        ck_ok(ts_payload_parse(span_make(bytes, 4 + 16 * count), &l));
        ck_assert_uint_eq(l.count, count < SELECTORS_MAX ? count : SELECTORS_MAX);
        bytes[4 + 16 * (count - 1) + 3] ^= 1;
        ck_err(parse_ts(span_make(bytes, 4 + 16 * count)), ERR_MALFORMED);
        bytes[4 + 16 * (count - 1) + 3] ^= 1;
    }
}
END_TEST

START_TEST(eap)
{
    struct span got;
    uint8_t bytes[16];
    size_t len = support_hex("01 07 0009 1a01020304", bytes, sizeof bytes);
    ck_ok(eap_payload_parse(span_make(bytes, len), &got));
    ck_span_eq(got, span_make(bytes, len));
    ck_ok(parse_hex(parse_eap, "03 07 0004"));
    ck_err(parse_hex(parse_eap, "03 07 0003"), ERR_MALFORMED);
    ck_err(parse_hex(parse_eap, "03 07 0005"), ERR_MALFORMED);
    ck_err(parse_hex(parse_eap, "03 07 0000"), ERR_MALFORMED);
    ck_err(parse_hex(parse_eap, "03 07 ffff"), ERR_MALFORMED);
    ck_err(parse_hex(parse_eap, "03 07 0004 00"), ERR_MALFORMED);
}
END_TEST

/* RFC 7296 2.23; the digests computed apart, with Python's hashlib. */
START_TEST(nat_detection)
{
    uint8_t got[NAT_HASH_LEN], expected[NAT_HASH_LEN];
    struct endpoint e = {.ip = ip_v4(192, 0, 2, 1), .port = 500};
    support_hex("d798d986143f878f70765e0e869c80bbc375f701", expected, sizeof expected);
    nat_detection_hash(0x0102030405060708, 0x1112131415161718, &e, got);
    ck_assert_mem_eq(got, expected, sizeof got);
    ck_ok(ip_parse("2001:db8::1", &e.ip));
    e.port = 4500;
    support_hex("98c75483db80168697635aa7844504963e87de33", expected, sizeof expected);
    nat_detection_hash(0x0102030405060708, 0, &e, got);
    ck_assert_mem_eq(got, expected, sizeof got);
}
END_TEST

static Suite *suite(void)
{
    const int all = (int)(sizeof shapes / sizeof shapes[0]);
    Suite *s = suite_create("ike/payload");
    TCase *t = tcase_create("hostile");
    tcase_add_loop_test(t, every_short_length, 0, all);
    tcase_add_loop_test(t, every_octet_value_is_survived, 0, all);
    suite_add_tcase(s, t);
    t = tcase_create("payloads");
    tcase_add_test(t, ke);
    tcase_add_test(t, id);
    tcase_add_test(t, cert_and_certreq);
    tcase_add_test(t, auth);
    tcase_add_test(t, nonce_lengths);
    tcase_add_test(t, notify);
    tcase_add_test(t, notifies_in_a_list);
    tcase_add_test(t, delete);
    tcase_add_test(t, ts);
    tcase_add_test(t, ts_of_unknown_types);
    tcase_add_test(t, ts_that_is_wrong);
    tcase_add_test(t, ts_length_fields);
    tcase_add_test(t, ts_beyond_the_limit);
    tcase_add_test(t, eap);
    tcase_add_test(t, nat_detection);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
