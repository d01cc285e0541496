/* Proposals on the wire (RFC 7296 3.3): what parses, what does not, and the round trip. The choice
 * among them is test_ike_proposal_choice.c. */
#include "common/ike/proposal.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/be.h"
#include "tests/support/support.h"

enum { BODY_MAX = 8192 };

/* Parse in a heap copy of exactly that size. */
static enum err parse(struct span bytes, struct proposal_list *ret)
{
    uint8_t *exact = support_exact_copy(bytes);
    enum err e = proposal_list_parse(span_make(exact, bytes.len), ret);
    free(exact);
    return e;
}

static enum err parse_hex(const char *hex, struct proposal_list *ret)
{
    static uint8_t bytes[BODY_MAX];
    return parse(span_make(bytes, support_hex(hex, bytes, sizeof bytes)), ret);
}

static void ck_transform(const struct transform *t, uint8_t type, uint16_t id, uint16_t key_bits)
{
    ck_assert_uint_eq(t->type, type);
    ck_assert_uint_eq(t->id, id);
    ck_assert_uint_eq(t->key_bits, key_bits);
}

/* AES-GCM-16 of 256 bits, PRF SHA-256, X25519; and ESP: AES-CBC-128, SHA-256-128, no ESN. */
#define GCM_256  "0300 000c 01 00 0014 800e 0100"
#define PRF_256  "0300 0008 02 00 0005"
#define X25519   "0000 0008 04 00 001f"
#define IKE_LAST "0000 0024 01 01 00 03" GCM_256 PRF_256 X25519
#define IKE_MORE "0200 0024 01 01 00 03" GCM_256 PRF_256 X25519
#define ESP_LAST                                                                                   \
    "0000 0028 02 03 04 03 c0ffee01 0300 000c 01 00 000c 800e 0080 0300 0008 03 00 000c"           \
    "0000 0008 05 00 0000"
/* with an SPI, and a type that nobody knows */
#define IKE_REKEY                                                                                  \
    "0000 0030 01 01 08 03 0102030405060708 0300 000c 01 00 000c 800e 00c0 0300 0008 02 00 0007"   \
    "0000 000c 4d 00 0001 800e 0001"

static const char *const shapes[] = {
    IKE_LAST,
    ESP_LAST,
    IKE_MORE ESP_LAST,
    IKE_REKEY,
    /* no transforms at all */
    "0000 0008 01 01 00 00",
    /* a protocol that nobody knows, its SPI of another length */
    "0000 0013 09 7f 03 01 010203 0000 0008 ff 00 ffff",
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

START_TEST(parses)
{
    struct proposal_list l;
    ck_ok(parse_hex(IKE_MORE ESP_LAST, &l));
    ck_assert_uint_eq(l.count, 2);
    const struct proposal *p = &l.items[0];
    ck_assert_uint_eq(p->number, 1);
    ck_assert_uint_eq(p->protocol, PROTOCOL_IKE);
    ck_assert_uint_eq(p->spi_len, 0);
    ck_assert_uint_eq(p->count, 3);
    ck_transform(&p->transforms[0], TRANSFORM_ENCR, ENCR_AES_GCM_16, 256);
    ck_transform(&p->transforms[1], TRANSFORM_PRF, PRF_HMAC_SHA2_256, 0);
    ck_transform(&p->transforms[2], TRANSFORM_KE, KE_X25519, 0);
    p++;
    ck_assert_uint_eq(p->number, 2);
    ck_assert_uint_eq(p->protocol, PROTOCOL_ESP);
    ck_assert_uint_eq(p->spi_len, 4);
    ck_assert_mem_eq(p->spi, "\xc0\xff\xee\x01", 4);
    ck_assert_uint_eq(p->count, 3);
    ck_transform(&p->transforms[0], TRANSFORM_ENCR, ENCR_AES_CBC, 128);
    ck_transform(&p->transforms[1], TRANSFORM_INTEG, INTEG_HMAC_SHA2_256_128, 0);
    ck_transform(&p->transforms[2], TRANSFORM_ESN, ESN_NO, 0);
}
END_TEST

START_TEST(writes_what_it_parses)
{
    uint8_t bytes[256], out[256];
    struct proposal_list l;
    struct wire_writer w;
    size_t len = support_hex(shapes[_i], bytes, sizeof bytes);
    ck_ok(parse(span_make(bytes, len), &l));
    wire_writer_init(&w, out, sizeof out);
    proposal_list_write(&w, &l);
    ck_span_eq(wire_written(&w), span_make(bytes, len));
    /* and with every room that is too small */
    for (size_t cap = 0; cap <= len; cap++) {
        uint8_t *small = malloc(cap > 0 ? cap : 1);
        ck_assert_ptr_nonnull(small);
        wire_writer_init(&w, small, cap);
        proposal_list_write(&w, &l);
        ck_err(wire_write_finish(&w), cap == len ? ERR_OK : ERR_LIMIT);
        free(small);
    }
}
END_TEST

START_TEST(every_short_length)
{
    uint8_t bytes[256];
    size_t whole = support_hex(shapes[_i], bytes, sizeof bytes);
    struct proposal_list l;
    for (size_t len = 0; len < whole; len++)
        ck_err(parse(span_make(bytes, len), &l), ERR_MALFORMED);
    ck_ok(parse(span_make(bytes, whole), &l));
    bytes[whole] = 0;
    ck_err(parse(span_make(bytes, whole + 1), &l), ERR_MALFORMED);
}
END_TEST

/* Every octet set to every value: whatever comes of it stays within the copy, and what parses is
 * within bounds. */
START_TEST(every_octet_value_is_survived)
{
    uint8_t bytes[256];
    size_t len = support_hex(shapes[_i], bytes, sizeof bytes);
    uint8_t *exact = support_exact_copy(span_make(bytes, len));
    struct proposal_list l;
    for (size_t at = 0; at < len; at++) {
        for (unsigned v = 0; v < 256; v++) {
            exact[at] = (uint8_t)v;
            enum err e = proposal_list_parse(span_make(exact, len), &l);
            if (e != ERR_OK && e != ERR_MALFORMED && e != ERR_LIMIT)
                ck_abort_msg("octet %zu = %u: %s", at, v, err_text(e));
            if (e == ERR_OK && (l.count == 0 || l.count > PROPOSALS_MAX ||
                                l.items[0].count > TRANSFORMS_MAX || l.items[0].spi_len > 8))
                ck_abort_msg("octet %zu = %u: out of bounds", at, v);
        }
        exact[at] = bytes[at];
    }
    free(exact);
}
END_TEST

/* A length field at `at`, set to all values from 0 to eight beyond the truth, and to the largest:
 * the one true value alone parses. */
static void ck_only_true_length(const char *hex, size_t at)
{
    uint8_t bytes[256];
    struct proposal_list l;
    size_t len = support_hex(hex, bytes, sizeof bytes);
    const unsigned truth = (unsigned)(bytes[at] << 8 | bytes[at + 1]);
    for (unsigned field = 0; field <= truth + 9; field++) {
        unsigned v = field == truth + 9 ? 0xffff : field;
        be_write_u16(bytes + at, (uint16_t)v);
        enum err e = parse(span_make(bytes, len), &l);
        ck_assert_msg(e == (v == truth ? ERR_OK : ERR_MALFORMED), "%s at %zu = %u: %s", hex, at, v,
                      err_text(e));
    }
}

START_TEST(length_fields)
{
    ck_only_true_length(IKE_LAST, 2);               /* the proposal's */
    ck_only_true_length(IKE_LAST, 8 + 2);           /* the first transform's */
    ck_only_true_length(IKE_LAST, 8 + 12 + 2);      /* the second's */
    ck_only_true_length(IKE_LAST, 8 + 12 + 8 + 2);  /* the last one's */
    ck_only_true_length(IKE_MORE ESP_LAST, 2);      /* of two proposals */
    ck_only_true_length(IKE_MORE ESP_LAST, 36 + 2); /* the second */
    /* a long attribute: type 1, four octets */
    ck_only_true_length("0000 0018 01 01 00 01 0000 0010 01 00 000c 0001 0004 00010101", 8 + 8 + 2);
}
END_TEST

/* All lengths of a single proposal and of a single transform, in a buffer just as long. */
START_TEST(headers_in_buffers_of_their_own_length)
{
    struct proposal_list l;
    uint8_t bytes[32];
    for (size_t len = 0; len <= 8 + 8; len++) {
        memset(bytes, 0, sizeof bytes);
        bytes[3] = (uint8_t)len;
        bytes[4] = 1;
        bytes[5] = PROTOCOL_IKE;
        ck_err(parse(span_make(bytes, len), &l), len == 8 ? ERR_OK : ERR_MALFORMED);
        bytes[3] = (uint8_t)(8 + len);
        bytes[7] = 1; /* one transform */
        bytes[8 + 3] = (uint8_t)len;
        /* 12 and 16: attributes of type 0 and short length 0, long form: well-formed */
        bool good = len >= 8 && len % 4 == 0;
        ck_err(parse(span_make(bytes, 8 + len), &l), good ? ERR_OK : ERR_MALFORMED);
    }
}
END_TEST

START_TEST(last_and_more)
{
    static const char *const bad[] = {
        "",
        IKE_MORE,                                                          /* more, but none */
        IKE_LAST ESP_LAST,                                                 /* none, but more */
        "0100 0008 01 01 00 00",                                           /* neither 0 nor 2 */
        "0300 0008 01 01 00 00",                                           /* a transform's */
        "0000 0010 01 01 00 01 0300 0008 01 00 0014",                      /* more, but none */
        "0000 0010 01 01 00 01 0200 0008 01 00 0014",                      /* a proposal's */
        "0000 0018 01 01 00 02 0000 0008 01 00 0014 0000 0008 02 00 0005", /* last, but one more */
        "0000 0010 01 01 00 00 0000 0008 01 00 0014",                      /* more than said */
        "0000 0010 01 01 00 02 0300 0008 01 00 0014",                      /* fewer than said */
        "0000 0010 01 01 00 28 0300 0008 01 00 0014",
    };
    struct proposal_list l;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_err(parse_hex(bad[i], &l), ERR_MALFORMED);
    /* reserved octets are not looked at */
    ck_ok(parse_hex("00ff 0010 01 01 00 01 00ff 0008 01 ff 0014", &l));
    ck_transform(&l.items[0].transforms[0], TRANSFORM_ENCR, ENCR_AES_GCM_16, 0);
}
END_TEST

/* RFC 7296 3.3.1 */
START_TEST(spi_lengths)
{
    for (unsigned protocol = 0; protocol < 6; protocol++) {
        for (unsigned len = 0; len < 256; len++) {
            uint8_t bytes[8 + 255] = {0};
            struct proposal_list l;
            bytes[2] = (uint8_t)((8 + len) >> 8);
            bytes[3] = (uint8_t)(8 + len);
            bytes[4] = 1;
            bytes[5] = (uint8_t)protocol;
            bytes[6] = (uint8_t)len;
            for (unsigned i = 0; i < len; i++)
                bytes[8 + i] = (uint8_t)(i + 1);
            bool good = protocol == PROTOCOL_IKE                              ? len == 0 || len == 8
                        : protocol == PROTOCOL_AH || protocol == PROTOCOL_ESP ? len == 4
                                                                              : len <= 8;
            enum err e = parse(span_make(bytes, 8 + len), &l);
            if (e != ERR_OK)
                ck_abort_msg("protocol %u, SPI of %u: %s", protocol, len, err_text(e));
            if (l.count != 1 || (l.items[0].count == 0) != good) /* else spoilt: never chosen */
                ck_abort_msg("protocol %u, SPI of %u: is taken", protocol, len);
            if (good && memcmp(l.items[0].spi, bytes + 8, len) != 0)
                ck_abort_msg("protocol %u, SPI of %u is another", protocol, len);
        }
    }
}
END_TEST

/* RFC 7296 3.3.5, 3.3.6: an attribute that is not understood spoils its transform, no more. */
static const struct {
    const char *attributes;
    uint16_t id, key_bits;
} attributes[] = {
    {"", ENCR_AES_CBC, 0},
    {"800e 0080", ENCR_AES_CBC, 128},
    {"800e ffff", ENCR_AES_CBC, 65535},
    {"800e 0000", TRANSFORM_ID_UNUSABLE, 0},           /* a key of no length */
    {"800e 0080 800e 0080", TRANSFORM_ID_UNUSABLE, 0}, /* said twice */
    {"800e 0080 800e 0100", TRANSFORM_ID_UNUSABLE, 0},
    {"800f 0080", TRANSFORM_ID_UNUSABLE, 0}, /* another, short */
    {"8000 0000", TRANSFORM_ID_UNUSABLE, 0},
    {"ffff ffff", TRANSFORM_ID_UNUSABLE, 0},
    {"000e 0002 0080", TRANSFORM_ID_UNUSABLE, 0}, /* the key length in the long form */
    {"0001 0000", TRANSFORM_ID_UNUSABLE, 0},      /* another, long and empty */
    {"0001 0005 0102030405", TRANSFORM_ID_UNUSABLE, 0},
    {"0001 0001 ff 800e 0080", TRANSFORM_ID_UNUSABLE, 0}, /* around the one that we know */
    {"800e 0080 0001 0001 ff", TRANSFORM_ID_UNUSABLE, 0},
};

START_TEST(transform_attributes)
{
    uint8_t bytes[64], extra[32];
    struct proposal_list l;
    size_t len = support_hex(attributes[_i].attributes, extra, sizeof extra);
    size_t at = support_hex("0000 0000 01 01 00 02 0300 0000 01 00 000c", bytes, sizeof bytes);
    bytes[3] = (uint8_t)(24 + len);
    bytes[11] = (uint8_t)(8 + len);
    if (len > 0)
        memcpy(bytes + at, extra, len);
    at += len;
    at += support_hex("0000 0008 03 00 000c", bytes + at, sizeof bytes - at);
    ck_ok(parse(span_make(bytes, at), &l));
    ck_assert_uint_eq(l.items[0].count, 2);
    ck_transform(&l.items[0].transforms[0], TRANSFORM_ENCR, attributes[_i].id,
                 attributes[_i].key_bits);
    ck_transform(&l.items[0].transforms[1], TRANSFORM_INTEG, INTEG_HMAC_SHA2_256_128, 0);
    ck_assert_ptr_null(
        algorithm_by_id(TRANSFORM_ENCR, TRANSFORM_ID_UNUSABLE, l.items[0].transforms[0].key_bits));
    /* every cut of the attributes, lengths made to fit: whole attributes parse alone */
    for (size_t cut = 0; cut < len; cut++) {
        bytes[3] = (uint8_t)(16 + cut);
        bytes[7] = 1;
        bytes[8] = 0;
        bytes[11] = (uint8_t)(8 + cut);
        enum err e = parse(span_make(bytes, 16 + cut), &l);
        if (cut % 4 != 0 && cut < 5)
            ck_err(e, ERR_MALFORMED);
        ck_assert(e == ERR_OK || e == ERR_MALFORMED);
    }
}
END_TEST

/* More than we keep is no fault of the peer's (RFC 7296 3.3.6): a proposal with too many transforms
 * is never chosen, the others are as they are; too many proposals are passed over. */
START_TEST(limits)
{
    static uint8_t bytes[BODY_MAX];
    struct proposal_list l;
    for (size_t count = TRANSFORMS_MAX - 1; count <= 255; count++) {
        size_t len = 8 + 8 * count, next = support_hex(IKE_LAST, bytes + len, 64);
        memset(bytes, 0, len);
        bytes[0] = 2;
        be_write_u16(bytes + 2, (uint16_t)len);
        bytes[5] = PROTOCOL_IKE;
        bytes[7] = (uint8_t)count;
        for (size_t i = 0; i < count; i++) {
            bytes[8 + 8 * i] = i + 1 < count ? 3 : 0;
            bytes[8 + 8 * i + 3] = 8;
        }
        ck_ok(parse(span_make(bytes, len + next), &l));
        ck_assert_uint_eq(l.count, 2);
        ck_assert_uint_eq(l.items[0].count, count <= TRANSFORMS_MAX ? count : 1);
        ck_assert(count <= TRANSFORMS_MAX || l.items[0].transforms[0].type > TRANSFORM_ESN);
        ck_assert_uint_eq(l.items[1].count, 3);
        bytes[8 + 8 * (count - 1)] = 3; /* and yet all of it is looked at */
        ck_err(parse(span_make(bytes, len + next), &l), ERR_MALFORMED);
    }
    for (size_t count = 1; count <= 255; count++) {
        memset(bytes, 0, sizeof bytes);
        for (size_t i = 0; i < count; i++) {
            bytes[8 * i] = i + 1 < count ? 2 : 0;
            bytes[8 * i + 3] = 8;
            bytes[8 * i + 4] = (uint8_t)(i + 1);
            bytes[8 * i + 5] = PROTOCOL_IKE;
        }
        ck_ok(parse(span_make(bytes, 8 * count), &l));
        ck_assert_uint_eq(l.count, count <= PROPOSALS_MAX ? count : PROPOSALS_MAX);
        bytes[8 * (count - 1) + 3] = 7;
        ck_err(parse(span_make(bytes, 8 * count), &l), ERR_MALFORMED);
    }
}
END_TEST

START_TEST(nothing_is_returned_on_failure)
{
    struct proposal_list l, before;
    memset(&l, 0x55, sizeof l);
    before = l;
    ck_err(parse_hex(IKE_MORE, &l), ERR_MALFORMED);
    ck_assert_mem_eq(&l, &before, sizeof l);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ike/proposal");
    TCase *t = tcase_create("parse");
    tcase_add_test(t, parses);
    tcase_add_loop_test(t, writes_what_it_parses, 0, SHAPES);
    tcase_add_test(t, last_and_more);
    tcase_add_test(t, spi_lengths);
    tcase_add_loop_test(t, transform_attributes, 0,
                        (int)(sizeof attributes / sizeof attributes[0]));
    tcase_add_test(t, limits);
    suite_add_tcase(s, t);
    t = tcase_create("hostile");
    tcase_add_loop_test(t, every_short_length, 0, SHAPES);
    tcase_add_loop_test(t, every_octet_value_is_survived, 0, SHAPES);
    tcase_add_test(t, length_fields);
    tcase_add_test(t, headers_in_buffers_of_their_own_length);
    tcase_add_test(t, nothing_is_returned_on_failure);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
