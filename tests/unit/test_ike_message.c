/* The IKE header, the chain of payloads, and what kind of datagram it came in (RFC 7296 2.5, 3.1,
 * 3.2; RFC 3948 2). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ike/session.h"
#include "tests/support/support.h"

static const struct ike_header header = {
    .spi_i = 0x0102030405060708,
    .spi_r = 0x1112131415161718,
    .major = 2,
    .minor = 1,
    .exchange = EXCHANGE_INFORMATIONAL,
    .flags = IKE_FLAG_INITIATOR | IKE_FLAG_RESPONSE,
    .message_id = 0xa1a2a3a4,
};

static const char message_hex[] = "0102030405060708 1112131415161718 29 21 25 28 a1a2a3a4 0000002f"
                                  "2b 00 0008 01020304"        /* N */
                                  "00 00 000b 76656e646f7221"; /* V */

static struct span message(uint8_t out[64])
{
    return span_make(out, support_hex(message_hex, out, 64));
}

START_TEST(header_parses)
{
    uint8_t bytes[64];
    struct ike_header h;
    ck_ok(ike_header_parse(message(bytes), &h));
    ck_assert_uint_eq(h.spi_i, header.spi_i);
    ck_assert_uint_eq(h.spi_r, header.spi_r);
    ck_assert_uint_eq(h.next_payload, PAYLOAD_NOTIFY);
    ck_assert_uint_eq(h.major, 2);
    ck_assert_uint_eq(h.minor, 1);
    ck_assert_uint_eq(h.exchange, EXCHANGE_INFORMATIONAL);
    ck_assert_uint_eq(h.flags, header.flags);
    ck_assert_uint_eq(h.message_id, header.message_id);
    ck_assert_uint_eq(h.length, 47);
}
END_TEST

START_TEST(header_of_another_length_is_refused)
{
    uint8_t bytes[64];
    size_t whole = message(bytes).len;
    for (size_t len = 0; len < whole; len++) {
        uint8_t *exact = support_exact_copy(span_make(bytes, len));
        struct ike_header h;
        ck_err(ike_header_parse(span_make(exact, len), &h), ERR_MALFORMED);
        /* The length field told the truth: then only runts are refused. */
        if (len >= IKE_HEADER_LEN) {
            exact[27] = (uint8_t)len;
            ck_ok(ike_header_parse(span_make(exact, len), &h));
            exact[24] = 1;
            ck_err(ike_header_parse(span_make(exact, len), &h), ERR_MALFORMED);
        }
        free(exact);
    }
}
END_TEST

static enum err parse(uint8_t first, const char *hex, struct payload_list *ret, uint8_t *bad)
{
    uint8_t bytes[512];
    size_t len = support_hex(hex, bytes, sizeof bytes);
    uint8_t *exact = support_exact_copy(span_make(bytes, len));
    enum err e = payload_list_parse(first, span_make(exact, len), ret, bad);
    free(exact); /* the list's bodies dangle: callers look at types and lengths alone */
    return e;
}

START_TEST(chain_parses)
{
    struct payload_list l;
    uint8_t bad = 0;
    ck_ok(parse(PAYLOAD_NOTIFY, "29000008 01020304 2b00000a 050607080910 29000004 00000007 111213",
                &l, &bad));
    ck_assert_uint_eq(l.count, 4);
    ck_assert_uint_eq(payload_count(&l, PAYLOAD_NOTIFY), 3);
    ck_assert_uint_eq(payload_count(&l, PAYLOAD_VENDOR), 1);
    ck_assert_uint_eq(payload_count(&l, PAYLOAD_SA), 0);
    ck_assert_ptr_null(payload_find(&l, PAYLOAD_SA));
    const struct payload *p = payload_find(&l, PAYLOAD_NOTIFY);
    ck_assert_ptr_eq(p, &l.items[0]);
    ck_assert_uint_eq(p->body.len, 4);
    ck_assert_uint_eq(p->next, PAYLOAD_NOTIFY);
    p = payload_next(&l, PAYLOAD_NOTIFY, p);
    ck_assert_ptr_eq(p, &l.items[1]);
    ck_assert_uint_eq(p->body.len, 6);
    p = payload_next(&l, PAYLOAD_NOTIFY, p);
    ck_assert_ptr_eq(p, &l.items[3]);
    ck_assert_ptr_null(payload_next(&l, PAYLOAD_NOTIFY, p));
    ck_assert_uint_eq(payload_find(&l, PAYLOAD_VENDOR)->body.len, 0);
    ck_ok(parse(PAYLOAD_NONE, "", &l, &bad));
    ck_assert_uint_eq(l.count, 0);
}
END_TEST

/* Every length in the generic header of a payload with four octets of body behind it. */
START_TEST(generic_header_lengths)
{
    for (unsigned field = 0; field <= 0xffff; field = field < 20 ? field + 1 : field * 2 + 1) {
        char hex[32];
        struct payload_list l;
        uint8_t bad = 0;
        snprintf(hex, sizeof hex, "0000%04x01020304", field);
        ck_err(parse(PAYLOAD_NONCE, hex, &l, &bad), field == 8 ? ERR_OK : ERR_MALFORMED);
    }
    static const char *const cut[] = {"",         "28",         "2800",         "280000",
                                      "28000004", "2800000400", "280000040000", "28000004000000"};
    for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++) {
        struct payload_list l = {.count = 99};
        uint8_t bad = 99;
        ck_err(parse(PAYLOAD_NONCE, cut[i], &l, &bad), ERR_MALFORMED);
        ck_assert_uint_eq(l.count, 99);
        ck_assert_uint_eq(bad, 99);
    }
}
END_TEST

START_TEST(octets_behind_the_last_payload_are_refused)
{
    struct payload_list l;
    uint8_t bad;
    ck_err(parse(PAYLOAD_NONE, "00", &l, &bad), ERR_MALFORMED);
    ck_err(parse(PAYLOAD_NONCE, "00000004 00", &l, &bad), ERR_MALFORMED);
    ck_err(parse(PAYLOAD_NONCE, "00000004 00000004", &l, &bad), ERR_MALFORMED);
}
END_TEST

/* RFC 7296 2.5 */
START_TEST(unknown_payloads)
{
    struct payload_list l = {.count = 99};
    uint8_t bad = 0;
    static const uint8_t unknown[] = {1, 32, 49, 52, 54, 128, 255};
    for (size_t i = 0; i < sizeof unknown; i++) {
        ck_ok(parse(unknown[i], "2800000555 00000004", &l, &bad));
        ck_assert_uint_eq(l.count, 2);
        ck_assert_uint_eq(l.items[0].type, unknown[i]);
        ck_assert(!l.items[0].critical);
        l.count = 99;
        ck_err(parse(unknown[i], "2880000555 00000004", &l, &bad), ERR_UNSUPPORTED);
        ck_assert_uint_eq(bad, unknown[i]);
        ck_assert_uint_eq(l.count, 2);
        /* a broken message is broken, whatever it says is critical */
        l.count = 99;
        ck_err(parse(unknown[i], "2880000555 00000005", &l, &bad), ERR_MALFORMED);
        ck_assert_uint_eq(l.count, 99);
    }
    /* the first of two */
    ck_err(parse(200, "c9800004 00800004", &l, &bad), ERR_UNSUPPORTED);
    ck_assert_uint_eq(bad, 200);
    /* the reserved bits beside the critical bit mean nothing */
    ck_ok(parse(200, "007f0004", &l, &bad));
    /* nor does the critical bit on what we know */
    for (uint8_t type = PAYLOAD_SA; type <= PAYLOAD_EAP; type++) {
        ck_ok(parse(type, "00800004", &l, &bad));
        ck_assert(l.items[0].critical);
    }
    ck_ok(parse(PAYLOAD_SKF, "00800004", &l, &bad));
}
END_TEST

/* RFC 7296 3.14, RFC 7383 2.5: the type after SK is that of the first payload inside. */
START_TEST(encrypted_payload_ends_the_chain)
{
    static const uint8_t kinds[] = {PAYLOAD_SK, PAYLOAD_SKF};
    for (size_t i = 0; i < 2; i++) {
        struct payload_list l;
        uint8_t bad;
        ck_ok(parse(kinds[i], "23000006 aabb", &l, &bad));
        ck_assert_uint_eq(l.count, 1);
        ck_assert_uint_eq(l.items[0].next, PAYLOAD_ID_I);
        ck_assert_uint_eq(l.items[0].body.len, 2);
        ck_err(parse(kinds[i], "23000006 aabb 00000004", &l, &bad), ERR_MALFORMED);
        ck_err(parse(kinds[i], "23000006 aa", &l, &bad), ERR_MALFORMED);
    }
}
END_TEST

START_TEST(too_many_payloads)
{
    uint8_t bytes[4 * (PAYLOADS_MAX + 1)];
    for (size_t count = PAYLOADS_MAX - 1; count <= PAYLOADS_MAX + 1; count++) {
        for (size_t i = 0; i < count; i++)
            memcpy(bytes + 4 * i, i + 1 == count ? "\0\0\0\4" : "\x29\0\0\4", 4);
        uint8_t *exact = support_exact_copy(span_make(bytes, 4 * count));
        struct payload_list l = {.count = 999};
        uint8_t bad;
        enum err expected = count <= PAYLOADS_MAX ? ERR_OK : ERR_LIMIT;
        ck_err(payload_list_parse(PAYLOAD_NOTIFY, span_make(exact, 4 * count), &l, &bad), expected);
        ck_assert_uint_eq(l.count, expected == ERR_OK ? count : 999);
        free(exact);
    }
}
END_TEST

static enum err write_message(uint8_t *buffer, size_t cap, struct span *ret)
{
    struct message_writer m;
    message_begin(&m, buffer, cap, &header);
    size_t at = payload_begin(&m, PAYLOAD_NOTIFY);
    wire_write_u32(&m.w, 0x01020304);
    payload_end(&m, at);
    payload_write(&m, PAYLOAD_VENDOR, span_text("vendor!"));
    return message_finish(&m, ret);
}

START_TEST(writes_what_it_parses)
{
    uint8_t expected[64];
    struct span want = message(expected), got = SPAN_EMPTY;
    for (size_t cap = 0; cap <= want.len + 1; cap++) {
        uint8_t *buffer = malloc(cap > 0 ? cap : 1);
        ck_err(write_message(buffer, cap, &got), cap < want.len ? ERR_LIMIT : ERR_OK);
        if (cap >= want.len)
            ck_span_eq(got, want);
        free(buffer);
    }
}
END_TEST

START_TEST(writes_an_empty_message)
{
    uint8_t buffer[IKE_HEADER_LEN];
    struct message_writer m;
    struct span got;
    struct ike_header h;
    message_begin(&m, buffer, sizeof buffer, &header);
    ck_ok(message_finish(&m, &got));
    ck_ok(ike_header_parse(got, &h));
    ck_assert_uint_eq(h.next_payload, PAYLOAD_NONE);
}
END_TEST

/* The first inner payload's type goes into the SK payload's own header. */
START_TEST(writes_payloads_inside_sk)
{
    uint8_t buffer[128];
    struct message_writer m;
    struct span got;
    struct payload_list l;
    uint8_t bad;
    message_begin(&m, buffer, sizeof buffer, &header);
    size_t sk = payload_begin(&m, PAYLOAD_SK);
    size_t inner = m.w.len;
    payload_write(&m, PAYLOAD_ID_I, span_text("id"));
    payload_write(&m, PAYLOAD_AUTH, span_text("auth"));
    payload_end(&m, sk);
    ck_ok(message_finish(&m, &got));
    ck_assert_uint_eq(buffer[16], PAYLOAD_SK);
    ck_ok(payload_list_parse(PAYLOAD_SK, span_make(buffer + 28, got.len - 28), &l, &bad));
    ck_assert_uint_eq(l.items[0].next, PAYLOAD_ID_I);
    ck_ok(
        payload_list_parse(l.items[0].next, span_make(buffer + inner, got.len - inner), &l, &bad));
    ck_assert_uint_eq(l.count, 2);
    ck_span_eq(l.items[0].body, span_text("id"));
    ck_span_eq(payload_find(&l, PAYLOAD_AUTH)->body, span_text("auth"));
}
END_TEST

START_TEST(a_payload_beyond_its_length_field_fails)
{
    static uint8_t buffer[70000];
    struct message_writer m;
    struct span got;
    message_begin(&m, buffer, sizeof buffer, &header);
    size_t at = payload_begin(&m, PAYLOAD_VENDOR);
    wire_write_zeros(&m.w, 65532);
    payload_end(&m, at);
    ck_err(message_finish(&m, &got), ERR_LIMIT);
}
END_TEST

START_TEST(names)
{
    ck_assert_str_eq(exchange_name(EXCHANGE_IKE_SA_INIT), "IKE_SA_INIT");
    ck_assert_str_eq(exchange_name(EXCHANGE_CREATE_CHILD_SA), "CREATE_CHILD_SA");
    ck_assert_ptr_null(exchange_name(33));
    ck_assert_str_eq(payload_name(PAYLOAD_SA), "SA");
    ck_assert_str_eq(payload_name(PAYLOAD_TS_R), "TSr");
    ck_assert_ptr_null(payload_name(PAYLOAD_NONE));
    ck_assert_ptr_null(payload_name(49));
    for (uint8_t type = PAYLOAD_SA; type <= PAYLOAD_EAP; type++)
        ck_assert_ptr_nonnull(payload_name(type));
    ck_assert_str_eq(notify_name(NOTIFY_NO_PROPOSAL_CHOSEN), "NO_PROPOSAL_CHOSEN");
    ck_assert_str_eq(notify_name(NOTIFY_SIGNATURE_HASH_ALGORITHMS), "SIGNATURE_HASH_ALGORITHMS");
    ck_assert_ptr_null(notify_name(0));
    ck_assert_ptr_null(notify_name(NOTIFY_ERROR_LAST));
    ck_assert_ptr_null(notify_name(40000));
}
END_TEST

START_TEST(datagrams)
{
    static const struct {
        const char *hex;
        enum datagram_kind plain, marked; /* on port 500, and on another */
    } cases[] = {
        {"", DATAGRAM_BAD, DATAGRAM_BAD},
        {"ff", DATAGRAM_KEEPALIVE, DATAGRAM_KEEPALIVE},
        {"00", DATAGRAM_IKE, DATAGRAM_BAD},
        {"ffff", DATAGRAM_IKE, DATAGRAM_BAD},
        {"000000", DATAGRAM_IKE, DATAGRAM_BAD},
        {"00000000", DATAGRAM_IKE, DATAGRAM_BAD},
        {"0000000001", DATAGRAM_IKE, DATAGRAM_IKE},
        {"00000001", DATAGRAM_IKE, DATAGRAM_BAD},
        {"00000001000000", DATAGRAM_IKE, DATAGRAM_BAD},
        {"0000000100000001", DATAGRAM_IKE, DATAGRAM_ESP},
        {"ffffffffffffffff", DATAGRAM_IKE, DATAGRAM_ESP},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[16];
        size_t len = support_hex(cases[i].hex, bytes, sizeof bytes);
        uint8_t *exact = support_exact_copy(span_make(bytes, len));
        for (int marked = 0; marked < 2; marked++) {
            struct span ike = SPAN_EMPTY;
            enum datagram_kind kind = marked ? cases[i].marked : cases[i].plain;
            ck_assert_int_eq(datagram_classify(marked, span_make(exact, len), &ike), kind);
            ck_assert_ptr_eq(ike.data, kind == DATAGRAM_IKE ? exact + 4 * marked : NULL);
            ck_assert_uint_eq(ike.len, kind == DATAGRAM_IKE ? len - (size_t)(4 * marked) : 0);
        }
        free(exact);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ike/message");
    TCase *t = tcase_create("parse");
    tcase_add_test(t, header_parses);
    tcase_add_test(t, header_of_another_length_is_refused);
    tcase_add_test(t, chain_parses);
    tcase_add_test(t, generic_header_lengths);
    tcase_add_test(t, octets_behind_the_last_payload_are_refused);
    tcase_add_test(t, unknown_payloads);
    tcase_add_test(t, encrypted_payload_ends_the_chain);
    tcase_add_test(t, too_many_payloads);
    suite_add_tcase(s, t);
    t = tcase_create("write");
    tcase_add_test(t, writes_what_it_parses);
    tcase_add_test(t, writes_an_empty_message);
    tcase_add_test(t, writes_payloads_inside_sk);
    tcase_add_test(t, a_payload_beyond_its_length_field_fails);
    suite_add_tcase(s, t);
    t = tcase_create("around");
    tcase_add_test(t, names);
    tcase_add_test(t, datagrams);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
