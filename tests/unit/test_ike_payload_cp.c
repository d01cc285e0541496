/* The Configuration payload (RFC 7296 3.15, RFC 8598): what parses, what is passed over, what does
 * not parse, and the round trip. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/be.h"
#include "common/base/log.h"
#include "common/ike/payload.h"
#include "tests/support/support.h"

static struct configuration got;

/* Parse into `got`, in a heap copy of exactly that size. */
static enum err parse(struct span bytes)
{
    uint8_t *exact = support_exact_copy(bytes);
    enum err e = cp_payload_parse(span_make(exact, bytes.len), &got);
    free(exact);
    return e;
}

static enum err parse_hex(const char *hex)
{
    uint8_t bytes[2048];
    return parse(span_make(bytes, support_hex(hex, bytes, sizeof bytes)));
}

static void ck_prefix(const struct prefix *p, const char *expected)
{
    char text[PREFIX_TEXT_MAX];
    ck_assert_str_eq(prefix_format(p, text), expected);
}

static void ck_ip(const struct ip *a, const char *expected)
{
    char text[IP_TEXT_MAX];
    ck_assert_str_eq(ip_format(a, text), expected);
}

#define ADDRESS4 "0001 0004 0a070002"
#define NETMASK  "0002 0004 ffffff00"
#define DNS4     "0003 0004 0a090035"
#define ADDRESS6 "0008 0011 20010db8000000000000000000000002 40"
#define DNS6     "000a 0010 20010db8000000000000000000000035"
#define SUBNET4  "000d 0008 0a090000 ffff0000"
#define SUBNET6  "000f 0011 20010db8000900000000000000000000 30"
#define DOMAIN   "0019 000c 636f72702e6578616d706c65" /* corp.example */
#define REPLY    "02000000" ADDRESS4 ADDRESS6 DNS4 DNS6 SUBNET4 SUBNET6 DOMAIN
#define REQUEST  "01000000 0001 0000 0008 0000 0003 0000 000a 0000 0019 0000"
#define BY_VALUE "01000000 0001 0004 0a070009" ADDRESS6

static const char *const shapes[] = {
    REPLY, REQUEST, "02000000" ADDRESS4 NETMASK, "02000000", BY_VALUE,
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

START_TEST(reply)
{
    ck_ok(parse_hex(REPLY));
    ck_assert_uint_eq(got.type, CP_REPLY);
    ck_assert_uint_eq(got.address_count, 2);
    ck_prefix(&got.addresses[0], "10.7.0.2/32");
    ck_prefix(&got.addresses[1], "2001:db8::2/64");
    ck_assert_uint_eq(got.dns_count, 2);
    ck_ip(&got.dns[0], "10.9.0.53");
    ck_ip(&got.dns[1], "2001:db8::35");
    ck_assert_uint_eq(got.subnet_count, 2);
    ck_prefix(&got.subnets[0], "10.9.0.0/16");
    ck_prefix(&got.subnets[1], "2001:db8:9::/48");
    ck_assert_uint_eq(got.domain_count, 1);
    ck_assert_str_eq(got.domains[0], "corp.example");
}
END_TEST

START_TEST(request)
{
    ck_ok(parse_hex(REQUEST));
    ck_assert_uint_eq(got.type, CP_REQUEST);
    ck_assert_uint_eq(got.address_count, 2);
    ck_prefix(&got.addresses[0], "0.0.0.0/32");
    ck_prefix(&got.addresses[1], "::/128");
    ck_assert_uint_eq(got.dns_count, 2);
    ck_ip(&got.dns[0], "0.0.0.0");
    ck_ip(&got.dns[1], "::");
    ck_assert_uint_eq(got.domain_count, 1);
    ck_assert_str_eq(got.domains[0], "");
}
END_TEST

START_TEST(writes_what_it_parses)
{
    static const struct ike_header header = {.major = 2, .exchange = EXCHANGE_IKE_AUTH};
    uint8_t bytes[1024], out[1024];
    struct message_writer m;
    struct span all;
    size_t len = support_hex(shapes[_i], bytes, sizeof bytes);
    ck_ok(parse(span_make(bytes, len)));
    message_begin(&m, out, sizeof out, &header);
    cp_payload_write(&m, &got);
    ck_ok(message_finish(&m, &all));
    ck_assert_uint_eq(out[16], PAYLOAD_CP);
    ck_assert_uint_eq(all.len, IKE_HEADER_LEN + 4 + len);
    ck_assert_int_eq(out[IKE_HEADER_LEN + 2] << 8 | out[IKE_HEADER_LEN + 3], (int)(4 + len));
    ck_span_eq(span_make(out + IKE_HEADER_LEN + 4, len), span_make(bytes, len));
    /* and with every room that is too small */
    for (size_t cap = 0; cap <= all.len; cap++) {
        uint8_t *small = malloc(cap > 0 ? cap : 1);
        ck_assert_ptr_nonnull(small);
        message_begin(&m, small, cap, &header);
        cp_payload_write(&m, &got);
        struct span whole;
        ck_err(message_finish(&m, &whole), cap == all.len ? ERR_OK : ERR_LIMIT);
        free(small);
    }
}
END_TEST

/* The largest that the structure holds, there and back. */
START_TEST(full)
{
    static uint8_t out[IKE_MESSAGE_MAX];
    static struct configuration sent;
    static const struct ike_header header = {.major = 2, .exchange = EXCHANGE_IKE_AUTH};
    struct message_writer m;
    struct span all;
    sent = (struct configuration){.type = CP_REPLY};
    for (uint8_t i = 0; i < CP_ADDRESSES_MAX; i++)
        sent.addresses[sent.address_count++] = (struct prefix){ip_v4(10, 1, 1, i), 24};
    for (uint8_t i = 0; i < CP_DNS_MAX; i++)
        sent.dns[sent.dns_count++] = ip_v4(10, 1, 2, i);
    for (uint8_t i = 0; i < CP_SUBNETS_MAX; i++)
        sent.subnets[sent.subnet_count++] = (struct prefix){ip_v4(10, i, 0, 0), i};
    for (char i = 0; i < CP_DOMAINS_MAX; i++) {
        char *d = sent.domains[sent.domain_count++];
        for (int label = 0; label < 253; label++)
            d[label] = label % 64 == 63 ? '.' : (char)('a' + i);
    }
    message_begin(&m, out, sizeof out, &header);
    cp_payload_write(&m, &sent);
    ck_ok(message_finish(&m, &all));
    ck_ok(parse(span_make(all.data + IKE_HEADER_LEN + 4, all.len - IKE_HEADER_LEN - 4)));
    ck_assert_uint_eq(got.address_count, CP_ADDRESSES_MAX);
    for (size_t i = 0; i < CP_ADDRESSES_MAX; i++) {
        ck_assert(ip_equal(&got.addresses[i].ip, &sent.addresses[i].ip));
        ck_assert_uint_eq(got.addresses[i].bits, 24);
    }
    ck_assert_uint_eq(got.dns_count, CP_DNS_MAX);
    for (size_t i = 0; i < CP_DNS_MAX; i++)
        ck_assert(ip_equal(&got.dns[i], &sent.dns[i]));
    ck_assert_uint_eq(got.subnet_count, CP_SUBNETS_MAX);
    for (size_t i = 0; i < CP_SUBNETS_MAX; i++) {
        ck_assert(ip_equal(&got.subnets[i].ip, &sent.subnets[i].ip));
        ck_assert_uint_eq(got.subnets[i].bits, i);
    }
    ck_assert_uint_eq(got.domain_count, CP_DOMAINS_MAX);
    for (size_t i = 0; i < CP_DOMAINS_MAX; i++)
        ck_assert_str_eq(got.domains[i], sent.domains[i]);
}
END_TEST

/* --- lengths --- */

static const struct {
    uint16_t type;
    size_t valid; /* beside 0; SIZE_MAX: any */
} lengths[] = {
    {CP_INTERNAL_IP4_ADDRESS, 4},
    {CP_INTERNAL_IP4_NETMASK, 4},
    {CP_INTERNAL_IP4_DNS, 4},
    {CP_INTERNAL_IP6_ADDRESS, 17},
    {CP_INTERNAL_IP6_DNS, 16},
    {CP_INTERNAL_IP4_SUBNET, 8},
    {CP_INTERNAL_IP6_SUBNET, 17},
    {CP_INTERNAL_DNS_DOMAIN, SIZE_MAX},
    {CP_APPLICATION_VERSION, SIZE_MAX},
    {CP_SUPPORTED_ATTRIBUTES, SIZE_MAX},
    {0, SIZE_MAX},
    {4, SIZE_MAX}, /* INTERNAL_IP4_NBNS */
    {16384, SIZE_MAX},
    {0x7fff, SIZE_MAX},
};

/* Every length from nothing to eight octets beyond the right one, and the largest: in a buffer of
 * just that size, and in one that is an octet short. */
START_TEST(attribute_lengths)
{
    static uint8_t bytes[4 + 4 + 0xffff];
    const size_t valid = lengths[_i].valid;
    const size_t most = (valid == SIZE_MAX ? 20 : valid) + 8;
    for (size_t len = 0; len <= most + 1; len++) {
        size_t field = len <= most ? len : 0xffff;
        for (unsigned cp = CP_REQUEST; cp <= CP_ACK; cp++) {
            memset(bytes, 0, sizeof bytes);
            bytes[0] = (uint8_t)cp;
            bytes[4] = (uint8_t)(lengths[_i].type >> 8);
            bytes[5] = (uint8_t)lengths[_i].type;
            be_write_u16(bytes + 6, (uint16_t)field);
            bool good = valid == SIZE_MAX || field == 0 || field == valid;
            enum err e = parse(span_make(bytes, 8 + field));
            ck_assert_msg(e == (good ? ERR_OK : ERR_MALFORMED), "type %u, %zu octets: %s",
                          lengths[_i].type, field, err_text(e));
            for (size_t missing = 1; missing <= field + 3; missing += field > 100 ? 0x2000 : 1)
                if (parse(span_make(bytes, 8 + field - missing)) != ERR_MALFORMED)
                    ck_abort_msg("type %u, %zu octets without %zu", lengths[_i].type, field,
                                 missing);
            bytes[4] |= 0x80; /* the reserved bit says nothing */
            ck_err(parse(span_make(bytes, 8 + field)), good ? ERR_OK : ERR_MALFORMED);
        }
    }
}
END_TEST

START_TEST(every_short_length)
{
    uint8_t bytes[512];
    size_t whole = support_hex(shapes[_i], bytes, sizeof bytes);
    /* It may be cut where an attribute begins, nowhere else. */
    bool begins[sizeof bytes + 1] = {false};
    for (size_t at = 4; at <= whole;) {
        begins[at] = true;
        at += at == whole ? 1 : 4 + (size_t)(bytes[at + 2] << 8 | bytes[at + 3]);
    }
    for (size_t len = 0; len <= whole; len++)
        ck_err(parse(span_make(bytes, len)), begins[len] ? ERR_OK : ERR_MALFORMED);
}
END_TEST

static bool in_bounds(void)
{
    if (got.address_count > CP_ADDRESSES_MAX || got.dns_count > CP_DNS_MAX ||
        got.subnet_count > CP_SUBNETS_MAX || got.domain_count > CP_DOMAINS_MAX)
        return false;
    for (size_t i = 0; i < got.address_count; i++)
        if (got.addresses[i].bits > ip_bits(got.addresses[i].ip.family))
            return false;
    for (size_t i = 0; i < got.subnet_count; i++)
        if (got.subnets[i].bits > ip_bits(got.subnets[i].ip.family))
            return false;
    for (size_t i = 0; i < got.dns_count; i++)
        if (ip_len(got.dns[i].family) == 0)
            return false;
    for (size_t i = 0; i < got.domain_count; i++)
        if (memchr(got.domains[i], '\0', CP_DOMAIN_MAX) == NULL ||
            strspn(got.domains[i], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789-_.") != strlen(got.domains[i]))
            return false;
    return true;
}

START_TEST(every_octet_value_is_survived)
{
    uint8_t bytes[512];
    size_t len = support_hex(shapes[_i], bytes, sizeof bytes);
    uint8_t *exact = support_exact_copy(span_make(bytes, len));
    for (size_t at = 0; at < len; at++) {
        for (unsigned v = 0; v < 256; v++) {
            exact[at] = (uint8_t)v;
            enum err e = cp_payload_parse(span_make(exact, len), &got);
            if ((e != ERR_OK && e != ERR_MALFORMED) || (e == ERR_OK && !in_bounds()))
                ck_abort_msg("octet %zu = %u: %s", at, v, err_text(e));
        }
        exact[at] = bytes[at];
    }
    free(exact);
}
END_TEST

/* --- values --- */

START_TEST(netmask)
{
    /* before or behind, for all of IPv4 and nothing else */
    ck_ok(parse_hex("02000000" NETMASK ADDRESS4 "0001 0004 0a070003" ADDRESS6));
    ck_assert_uint_eq(got.address_count, 3);
    ck_prefix(&got.addresses[0], "10.7.0.2/24");
    ck_prefix(&got.addresses[1], "10.7.0.3/24");
    ck_prefix(&got.addresses[2], "2001:db8::2/64");
    ck_ok(parse_hex("02000000" ADDRESS4 NETMASK));
    ck_prefix(&got.addresses[0], "10.7.0.2/24");
    /* the first of two counts; an empty one is none */
    ck_ok(parse_hex("02000000" ADDRESS4 "0002 0000" NETMASK "0002 0004 ffff0000"));
    ck_prefix(&got.addresses[0], "10.7.0.2/24");
    ck_ok(parse_hex("02000000" ADDRESS4 "0002 0000"));
    ck_prefix(&got.addresses[0], "10.7.0.2/32");
    /* alone it is nothing, and neither for an address that is only asked for */
    ck_ok(parse_hex("02000000" NETMASK));
    ck_assert_uint_eq(got.address_count, 0);
    ck_ok(parse_hex("01000000" NETMASK "0001 0000"));
    ck_prefix(&got.addresses[0], "0.0.0.0/32");
}
END_TEST

START_TEST(every_mask)
{
    char hex[128];
    for (unsigned bits = 0; bits <= 32; bits++) {
        const uint32_t mask = bits == 0 ? 0 : UINT32_MAX << (32 - bits);
        char expected[PREFIX_TEXT_MAX];
        snprintf(hex, sizeof hex, "02000000" ADDRESS4 "0002 0004 %08x", mask);
        ck_ok(parse_hex(hex));
        snprintf(expected, sizeof expected, "10.7.0.2/%u", bits);
        ck_prefix(&got.addresses[0], expected);
        snprintf(hex, sizeof hex, "02000000 000d 0008 0a090000 %08x", mask);
        ck_ok(parse_hex(hex));
        ck_assert_uint_eq(got.subnets[0].bits, bits);
        /* a hole in it */
        if (bits >= 2) {
            snprintf(hex, sizeof hex, "02000000" ADDRESS4 "0002 0004 %08x", mask ^ 0x80000000);
            ck_err(parse_hex(hex), ERR_MALFORMED);
            snprintf(hex, sizeof hex, "02000000 000d 0008 0a090000 %08x", mask ^ 0x80000000);
            ck_err(parse_hex(hex), ERR_MALFORMED);
        }
    }
    ck_err(parse_hex("02000000 0002 0004 000000ff"), ERR_MALFORMED);
    ck_err(parse_hex("02000000 0002 0004 ffffff01"), ERR_MALFORMED);
}
END_TEST

START_TEST(ipv6_prefix_lengths)
{
    for (unsigned bits = 0; bits < 256; bits++) {
        char hex[128];
        enum err expected = bits <= 128 ? ERR_OK : ERR_MALFORMED;
        snprintf(hex, sizeof hex, "02000000 0008 0011 20010db8000000000000000000000002 %02x", bits);
        ck_err(parse_hex(hex), expected);
        if (bits <= 128)
            ck_assert_uint_eq(got.addresses[0].bits, bits);
        snprintf(hex, sizeof hex, "02000000 000f 0011 20010db8000000000000000000000002 %02x", bits);
        ck_err(parse_hex(hex), expected);
        if (bits <= 128)
            ck_assert_uint_eq(got.subnets[0].bits, bits);
    }
}
END_TEST

/* RFC 7296 3.15.1: an empty value asks; in an answer it gives nothing. */
START_TEST(empty_values)
{
    static const char empty[] = "%02x000000 0001 0000 0008 0000 0003 0000 000a 0000 000d 0000"
                                "000f 0000 0019 0000 0002 0000 0007 0000";
    for (unsigned type = 0; type < 6; type++) {
        char hex[128];
        snprintf(hex, sizeof hex, empty, type);
        ck_ok(parse_hex(hex));
        bool request_type = type == CP_REQUEST;
        ck_assert_uint_eq(got.type, type);
        ck_assert_uint_eq(got.address_count, request_type ? 2 : 0);
        ck_assert_uint_eq(got.dns_count, request_type ? 2 : 0);
        ck_assert_uint_eq(got.domain_count, request_type ? 1 : 0);
        ck_assert_uint_eq(got.subnet_count, 0);
    }
}
END_TEST

START_TEST(unknown_attributes_are_passed_over)
{
    ck_ok(parse_hex("02ffffff 0000 0000" ADDRESS4 "7fff 0003 010203" DNS4 "0007 0001 41 0006 0004"
                    "0a090001 0005 0004 00000e10")); /* 5: RFC 7296 1.7 */
    ck_assert_uint_eq(got.address_count, 1);
    ck_assert_uint_eq(got.dns_count, 1);
}
END_TEST

struct heard {
    size_t count;
    char line[LOG_LINE_MAX];
};

static void hear(void *ctx, enum log_level level, const char *line)
{
    struct heard *h = ctx;
    ck_assert_int_eq(level, LOG_LEVEL_WARN);
    h->count++;
    snprintf(h->line, sizeof h->line, "%s", line);
}

/* More than we keep: the first ones are kept, and one line tells of the others. */
START_TEST(too_many)
{
    static const struct {
        const char *attribute;
        size_t max;
    } kinds[] = {
        {ADDRESS4, CP_ADDRESSES_MAX}, {ADDRESS6, CP_ADDRESSES_MAX}, {DNS4, CP_DNS_MAX},
        {DNS6, CP_DNS_MAX},           {SUBNET4, CP_SUBNETS_MAX},    {SUBNET6, CP_SUBNETS_MAX},
        {DOMAIN, CP_DOMAINS_MAX},
    };
    struct heard h = {.count = 0};
    log_to(hear, &h, LOG_LEVEL_DEBUG);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        uint8_t bytes[1024] = {CP_REPLY};
        size_t len = 4;
        for (size_t n = 0; n < kinds[i].max; n++)
            len += support_hex(kinds[i].attribute, bytes + len, sizeof bytes - len);
        h.count = 0;
        ck_ok(parse(span_make(bytes, len)));
        ck_assert_uint_eq(h.count, 0);
        for (size_t n = 0; n < 3; n++)
            len += support_hex(kinds[i].attribute, bytes + len, sizeof bytes - len);
        ck_ok(parse(span_make(bytes, len)));
        ck_assert(in_bounds());
        ck_assert_uint_eq(got.address_count + got.dns_count + got.subnet_count + got.domain_count,
                          kinds[i].max);
        ck_assert_uint_eq(h.count, 1);
        ck_assert_ptr_nonnull(strstr(h.line, "3 attributes"));
    }
    log_to(NULL, NULL, LOG_LEVEL_ERROR);
}
END_TEST

#define LABEL_63 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"

/* What a gateway may put into the resolver's configuration. */
static const struct {
    const char *sent, *kept; /* NULL: passed over */
} domains[] = {
    {"corp.example", "corp.example"},
    {"corp.example.", "corp.example"},
    {"Corp.EXAMPLE", "Corp.EXAMPLE"},
    {"example", "example"},
    {"a.b.c.d", "a.b.c.d"},
    {"xn--bcher-kva.example", "xn--bcher-kva.example"},
    {"_tcp.corp.example", "_tcp.corp.example"},
    {"a-b.1.example", "a-b.1.example"},
    {LABEL_63 ".example", LABEL_63 ".example"},
    {LABEL_63 "x.example", NULL},
    {".", NULL},
    {"..", NULL},
    {".corp.example", NULL},
    {"corp..example", NULL},
    {"corp.example..", NULL},
    {"-corp.example", NULL},
    {"corp-.example", NULL},
    {"corp.example-", NULL},
    {"corp.-example", NULL},
    {"corp.example-.", NULL},
    {"corp example", NULL},
    {"corp.example\n", NULL},
    {"corp.example\nnameserver 192.0.2.66", NULL},
    {"corp/example", NULL},
    {"~corp.example", NULL},
    {"*.example", NULL},
    {"$(reboot).example", NULL},
    {"b\xc3\xbc"
     "cher.example",
     NULL},
    {"corp\x7f.example", NULL},
};

static enum err parse_domain(uint8_t type, struct span domain)
{
    uint8_t bytes[1024] = {type, 0, 0, 0, 0, CP_INTERNAL_DNS_DOMAIN};
    bytes[6] = (uint8_t)(domain.len >> 8);
    bytes[7] = (uint8_t)domain.len;
    ck_assert_uint_le(domain.len, sizeof bytes - 8);
    memcpy(bytes + 8, domain.data, domain.len);
    return parse(span_make(bytes, 8 + domain.len));
}

START_TEST(domain_names)
{
    ck_ok(parse_domain(CP_REPLY, span_text(domains[_i].sent)));
    ck_assert_uint_eq(got.domain_count, domains[_i].kept != NULL ? 1 : 0);
    if (domains[_i].kept != NULL)
        ck_assert_str_eq(got.domains[0], domains[_i].kept);
}
END_TEST

START_TEST(domain_octets_and_lengths)
{
    /* every octet by itself, zero too */
    for (unsigned v = 0; v < 256; v++) {
        const uint8_t name[] = {'a', (uint8_t)v, 'b'};
        bool good = (v >= 'a' && v <= 'z') || (v >= 'A' && v <= 'Z') || (v >= '0' && v <= '9') ||
                    v == '-' || v == '_' || v == '.';
        ck_ok(parse_domain(CP_REPLY, SPAN_OF(name)));
        ck_assert_uint_eq(got.domain_count, good);
    }
    /* RFC 1035 2.3.4: 253 octets as text, the root's dot not counted */
    uint8_t name[300];
    for (size_t i = 0; i < sizeof name; i++)
        name[i] = i % 50 == 49 ? '.' : 'a';
    for (size_t len = 251; len <= 256; len++) {
        ck_ok(parse_domain(CP_REPLY, span_make(name, len)));
        ck_assert_uint_eq(got.domain_count, len <= 253);
        if (len <= 253)
            ck_assert_uint_eq(strlen(got.domains[0]), len);
        name[len] = '.';
        ck_ok(parse_domain(CP_REPLY, span_make(name, len + 1)));
        ck_assert_uint_eq(got.domain_count, len <= 253);
        name[len] = 'a';
    }
}
END_TEST

START_TEST(nothing_is_returned_on_failure)
{
    static struct configuration before;
    memset(&got, 0x55, sizeof got);
    before = got;
    ck_err(parse_hex(REPLY "0001 0003 0a0700"), ERR_MALFORMED);
    ck_assert_mem_eq(&got, &before, sizeof got);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ike/payload_cp");
    TCase *t = tcase_create("parse");
    tcase_add_test(t, reply);
    tcase_add_test(t, request);
    tcase_add_loop_test(t, writes_what_it_parses, 0, SHAPES);
    tcase_add_test(t, full);
    tcase_add_test(t, netmask);
    tcase_add_test(t, every_mask);
    tcase_add_test(t, ipv6_prefix_lengths);
    tcase_add_test(t, empty_values);
    tcase_add_test(t, unknown_attributes_are_passed_over);
    tcase_add_test(t, too_many);
    tcase_add_loop_test(t, domain_names, 0, (int)(sizeof domains / sizeof domains[0]));
    tcase_add_test(t, domain_octets_and_lengths);
    suite_add_tcase(s, t);
    t = tcase_create("hostile");
    tcase_add_loop_test(t, attribute_lengths, 0, (int)(sizeof lengths / sizeof lengths[0]));
    tcase_add_loop_test(t, every_short_length, 0, SHAPES);
    tcase_add_loop_test(t, every_octet_value_is_survived, 0, SHAPES);
    tcase_add_test(t, nothing_is_returned_on_failure);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
