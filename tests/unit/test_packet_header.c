/* IP header views (RFC 791, RFC 8200), the MSS clamp. */
#include <stdlib.h>
#include <string.h>

#include "common/base/be.h"
#include "common/packet/packet.h"
#include "common/packet/protocol.h"
#include "tests/support/support.h"

enum { ROOM = 512 };

/* Parse a copy in a buffer of exactly that size. */
static enum err parse(const uint8_t *bytes, size_t len, struct ip_header *ret)
{
    uint8_t *exact = support_exact_copy(span_make(bytes, len));
    enum err e = ip_header_parse(span_make(exact, len), ret);
    free(exact);
    return e;
}

static enum err parse_hex(const char *hex, struct ip_header *ret)
{
    uint8_t bytes[ROOM];
    return parse(bytes, support_hex(hex, bytes, sizeof(bytes)), ret);
}

#define V4_ADDRESSES "0a010007 0a090001"
#define V6_ADDRESSES "fd000000 00000000 00000000 00000007 fd000009 00000000 00000000 00000001"

START_TEST(ipv4_fields)
{
    struct ip_header h;
    /* with four octets of options, and two octets of link padding behind */
    ck_ok(
        parse_hex("46b80020 12344000 40060000" V4_ADDRESSES "01010100 c35001bb 01020304 ffff", &h));
    struct ip source = ip_v4(10, 1, 0, 7), destination = ip_v4(10, 9, 0, 1);
    ck_assert(ip_equal(&h.source, &source));
    ck_assert(ip_equal(&h.destination, &destination));
    ck_assert_uint_eq(h.tos, 0xb8);
    ck_assert_uint_eq(h.protocol, PROTOCOL_TCP);
    ck_assert_uint_eq(h.source_port, 50000);
    ck_assert_uint_eq(h.destination_port, 443);
    ck_assert_uint_eq(h.header_len, 24);
    ck_assert_uint_eq(h.total_len, 32);
    ck_assert(!h.later_fragment);
}
END_TEST

START_TEST(ipv6_fields)
{
    struct ip_header h;
    struct ip source, destination;
    ck_ok(ip_parse("fd00::7", &source));
    ck_ok(ip_parse("fd00:9::1", &destination));
    ck_ok(parse_hex("6b812345 00081140" V6_ADDRESSES "c350 0035 0008 0000 eeee", &h));
    ck_assert(ip_equal(&h.source, &source));
    ck_assert(ip_equal(&h.destination, &destination));
    ck_assert_uint_eq(h.tos, 0xb8);
    ck_assert_uint_eq(h.protocol, PROTOCOL_UDP);
    ck_assert_uint_eq(h.source_port, 50000);
    ck_assert_uint_eq(h.destination_port, 53);
    ck_assert_uint_eq(h.header_len, 40);
    ck_assert_uint_eq(h.total_len, 48);
    ck_assert(!h.later_fragment);
}
END_TEST

START_TEST(icmp_shows_type_and_code)
{
    struct ip_header h;
    ck_ok(parse_hex("4500001c 00004000 40010000" V4_ADDRESSES "0300 1234 00000000", &h));
    ck_assert_uint_eq(h.source_port, 0x0300);
    ck_assert_uint_eq(h.destination_port, 0);
    ck_ok(parse_hex("60000000 00043a40" V6_ADDRESSES "8001 1234", &h));
    ck_assert_uint_eq(h.source_port, 0x8001);
    ck_assert_uint_eq(h.destination_port, 0);
}
END_TEST

START_TEST(later_fragments_have_no_ports)
{
    struct ip_header h;
    /* the first fragment of two has them */
    ck_ok(parse_hex("4500001c 00002000 40110000" V4_ADDRESSES "c3500035 00000000", &h));
    ck_assert(!h.later_fragment);
    ck_assert_uint_eq(h.destination_port, 53);
    ck_ok(parse_hex("4500001c 00000001 40110000" V4_ADDRESSES "c3500035 00000000", &h));
    ck_assert(h.later_fragment);
    ck_assert_uint_eq(h.protocol, PROTOCOL_UDP);
    ck_assert_uint_eq(h.source_port | h.destination_port, 0);
    ck_ok(parse_hex("60000000 00102c40" V6_ADDRESSES "11000001 00000000 c3500035 00000000", &h));
    ck_assert(!h.later_fragment);
    ck_assert_uint_eq(h.header_len, 48);
    ck_assert_uint_eq(h.destination_port, 53);
    ck_ok(parse_hex("60000000 00102c40" V6_ADDRESSES "11000008 00000000 c3500035 00000000", &h));
    ck_assert(h.later_fragment);
    ck_assert_uint_eq(h.protocol, PROTOCOL_UDP);
    ck_assert_uint_eq(h.source_port | h.destination_port, 0);
    /* what a later fragment calls its next header lies in the first one: nothing is walked */
    ck_ok(parse_hex("60000000 00102c40" V6_ADDRESSES "3c000008 00000000 11ff0035 00000000", &h));
    ck_assert_uint_eq(h.protocol, PROTOCOL_DESTINATION_OPTIONS);
    ck_assert_uint_eq(h.header_len, 48);
}
END_TEST

START_TEST(extension_headers_are_passed_over)
{
    struct ip_header h;
    ck_ok(parse_hex("60000000 00340040" V6_ADDRESSES      /* hop-by-hop options first */
                    "2b000104 00000000"                   /* next: routing */
                    "3c010000 00000000 00000000 00000000" /* two units; next: destination options */
                    "2c000104 00000000"                   /* next: fragment */
                    "06000001 00000000"                   /* offset 0; next: TCP */
                    "c35001bb 00000000 00000000",
                    &h));
    ck_assert_uint_eq(h.protocol, PROTOCOL_TCP);
    ck_assert_uint_eq(h.header_len, 80);
    ck_assert_uint_eq(h.destination_port, 443);
    /* RFC 4301 4.4.1.1: to policy AH is a protocol, not an extension */
    ck_ok(parse_hex("60000000 00083340" V6_ADDRESSES "06000000 00000000", &h));
    ck_assert_uint_eq(h.protocol, 51);
    ck_assert_uint_eq(h.header_len, 40);
}
END_TEST

START_TEST(extension_headers_end_somewhere)
{
    uint8_t bytes[40 + 40 * 8] = {0x60};
    struct ip_header h;
    for (size_t count = 0; count <= 40; count++) {
        memset(bytes + 1, 0, sizeof(bytes) - 1);
        bytes[5] = (uint8_t)(count * 8);
        bytes[4] = (uint8_t)(count * 8 >> 8);
        bytes[6] = count == 0 ? 253 : PROTOCOL_DESTINATION_OPTIONS;
        for (size_t i = 0; i < count; i++)
            bytes[40 + i * 8] = i + 1 < count ? PROTOCOL_DESTINATION_OPTIONS : 253;
        ck_err(parse(bytes, 40 + count * 8, &h), count <= 16 ? ERR_OK : ERR_MALFORMED);
        if (count <= 16)
            ck_assert_uint_eq(h.header_len, 40 + count * 8);
    }
}
END_TEST

START_TEST(what_does_not_hold_together)
{
    static const char *const packets[] = {
        "44000014 00000000 40fd0000" V4_ADDRESSES,            /* IHL 4 */
        "46000014 00000000 40fd0000" V4_ADDRESSES,            /* IHL beyond the total length */
        "45000013 00000000 40fd0000" V4_ADDRESSES,            /* total length below the header */
        "45000015 00000000 40fd0000" V4_ADDRESSES,            /* total length beyond the packet */
        "55000014 00000000 40fd0000" V4_ADDRESSES,            /* version 5 */
        "45000017 00000000 40060000" V4_ADDRESSES "c35001",   /* TCP without both ports */
        "45000015 00000000 40010000" V4_ADDRESSES "08",       /* ICMP without a code */
        "45000014 00000000 40110000" V4_ADDRESSES "c3500035", /* ports behind the total length */
        "60000000 0001fd40" V6_ADDRESSES,                     /* payload beyond the packet */
        "60000000 00080040" V6_ADDRESSES "3b010000 00000000", /* extension beyond the payload */
        "60000000 00080040" V6_ADDRESSES "00000000 00000000", /* another, but the payload ended */
        "60000000 00043c40" V6_ADDRESSES "11000000 00000000", /* half an extension in the payload */
        "60000000 00042c40" V6_ADDRESSES "11000000 00000000", /* half a fragment header */
        "60000000 00000040" V6_ADDRESSES "3bc20400 00011000", /* a jumbogram (RFC 2675) */
    };
    struct ip_header h;
    for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++)
        ck_assert_msg(parse_hex(packets[i], &h) == ERR_MALFORMED, "%s", packets[i]);
}
END_TEST

START_TEST(cut_at_every_length)
{
    static const char *const packets[] = {
        "46b80020 12344000 40060000" V4_ADDRESSES "01010100 c35001bb 01020304",
        "60000000 00200040" V6_ADDRESSES
        "3c000104 00000000 2c000104 00000000 11000001 00000000 c3500035 00080000",
    };
    for (size_t i = 0; i < 2; i++) {
        uint8_t bytes[ROOM];
        size_t whole = support_hex(packets[i], bytes, sizeof(bytes));
        struct ip_header h;
        memset(&h, 0x5a, sizeof(h));
        struct ip_header untouched = h;
        for (size_t len = 0; len < whole; len++) {
            ck_err(parse(bytes, len, &h), ERR_MALFORMED);
            ck_assert_mem_eq(&h, &untouched, sizeof(h));
        }
        ck_ok(parse(bytes, whole, &h));
    }
}
END_TEST

/* Whatever the bytes, the views stay within the packet. */
START_TEST(random_packets)
{
    uint32_t state = 2463534242; /* xorshift32 */
    unsigned parsed = 0;
    for (unsigned i = 0; i < 100000; i++) {
        uint8_t bytes[128];
        for (size_t j = 0; j < sizeof(bytes); j++) {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            bytes[j] = (uint8_t)(state >> 9);
        }
        bool v6 = state % 2 == 0;
        bytes[0] = v6 ? 0x60 : (uint8_t)(0x40 | (bytes[0] & 0x0f));
        bytes[v6 ? 4 : 2] = 0;
        static const uint8_t next[] = {0, 43, 44, 60, 6, 17};
        bytes[6] = v6 ? next[bytes[6] % 6] : bytes[6];
        bytes[40] = v6 ? next[bytes[40] % 6] : bytes[40];
        size_t len = state >> 8 & 127;
        struct ip_header h;
        if (parse(bytes, len, &h) != ERR_OK)
            continue;
        parsed++;
        ck_assert_uint_le(h.header_len, h.total_len);
        ck_assert_uint_le(h.total_len, len);
    }
    ck_assert_uint_gt(parsed, 1000);
}
END_TEST

/* A TCP segment's checksum, with the pseudo-header, sums to zero. */
static uint16_t tcp_residue(struct span packet)
{
    struct ip_header h;
    ck_ok(ip_header_parse(packet, &h));
    size_t len = h.total_len - h.header_len;
    uint32_t sum = checksum_add((uint32_t)len + PROTOCOL_TCP, ip_span(&h.source));
    sum = checksum_add(sum, ip_span(&h.destination));
    return checksum_finish(checksum_add(sum, span_make(packet.data + h.header_len, len)));
}

/* A TCP segment with these options and a valid checksum. Returns its length. */
static size_t write_segment(uint8_t *out, enum ip_family family, uint8_t flags, const char *options)
{
    static const uint8_t v4[20] = {0x45, 0, 0,  0, 0, 0, 0x40, 0, 64, 6,
                                   0,    0, 10, 1, 0, 7, 10,   9, 0,  1};
    static const uint8_t v6[40] = {0x60, 0, 0, 0, 0, 0, 6, 64, 0xfd, [23] = 7, 0xfd, [39] = 1};
    size_t head = family == IP_V4 ? 20 : 40;
    memset(out, 0, ROOM);
    memcpy(out, family == IP_V4 ? v4 : v6, head);
    uint8_t *tcp = out + head;
    size_t tcp_len = 20 + support_hex(options, tcp + 20, 40);
    ck_assert_uint_eq(tcp_len % 4, 0);
    tcp[0] = 0xc3;
    tcp[3] = 80;
    tcp[12] = (uint8_t)(tcp_len / 4 << 4);
    tcp[13] = flags;
    if (family == IP_V4)
        out[3] = (uint8_t)(head + tcp_len);
    else
        out[5] = (uint8_t)tcp_len;
    uint16_t checksum = tcp_residue(span_make(out, head + tcp_len));
    be_write_u16(tcp + 16, checksum);
    return head + tcp_len;
}

/* Clamp to 1240 in a buffer of exactly that size; the packet comes back in place. */
static void clamp(uint8_t *bytes, size_t len)
{
    uint8_t *exact = support_exact_copy(span_make(bytes, len));
    struct packet p = {.data = exact, .cap = len, .start = 0, .len = len};
    packet_clamp_mss(&p, 1240);
    memcpy(bytes, exact, len);
    free(exact);
}

enum { SYN = 0x02, SYN_ACK = 0x12, ACK = 0x10 };

START_TEST(mss_is_lowered_and_the_checksum_mended)
{
    static const struct {
        const char *options;
        size_t mss_at; /* from the TCP header */
    } cases[] = {
        {"020405b4", 22},           {"0204ffff 01010402", 22},
        {"0402 020405b4 0101", 24}, {"01 020405b4 01 0402", 23}, /* at an odd offset */
        {"010101 020404d9 00", 25}, {"080a 00000001 00000002 01 020405b4 00", 33},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int v6 = 0; v6 < 2; v6++) {
            for (int ack = 0; ack < 2; ack++) {
                uint8_t bytes[ROOM];
                size_t len =
                    write_segment(bytes, v6 ? IP_V6 : IP_V4, ack ? SYN_ACK : SYN, cases[i].options);
                uint8_t *before = support_exact_copy(span_make(bytes, len));
                clamp(bytes, len);
                size_t at = (v6 ? 40 : 20) + cases[i].mss_at;
                ck_assert_int_eq(bytes[at] << 8 | bytes[at + 1], 1240);
                ck_assert_uint_eq(tcp_residue(span_make(bytes, len)), 0);
                /* and nothing else was changed */
                size_t checksum_at = (v6 ? 40 : 20) + 16;
                memcpy(bytes + at, before + at, 2);
                memcpy(bytes + checksum_at, before + checksum_at, 2);
                ck_assert_mem_eq(bytes, before, len);
                free(before);
            }
        }
    }
}
END_TEST

START_TEST(other_packets_are_left_alone)
{
    static const struct {
        uint8_t flags;
        const char *options;
    } cases[] = {
        {ACK, "020405b4"},           /* no SYN */
        {SYN, "020404d8"},           /* exactly 1240 */
        {SYN, "02040218"},           /* below */
        {SYN, "00 020405b4 000000"}, /* behind the end of the options */
        {SYN, "020305b4"},           /* a length MSS does not have */
        {SYN, "0300 020405b4 0101"}, /* an option of no length */
        {SYN, "0301 020405b4 0101"},
        {SYN, "0309 020405b4 0101"}, /* an option beyond the header */
        {SYN, "010101 02"},          /* cut after the kind */
        {SYN, "0101 0204"},          /* cut after the length */
        {SYN, ""},
    };
    uint8_t bytes[ROOM], before[ROOM];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len = write_segment(bytes, IP_V4, cases[i].flags, cases[i].options);
        memcpy(before, bytes, len);
        clamp(bytes, len);
        ck_assert_msg(memcmp(bytes, before, len) == 0, "case %zu", i);
    }
    /* another protocol, a later fragment, a data offset beyond the packet or below its header */
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = {{9, 253}, {7, 1}, {32, 0x70}, {32, 0x40}, {0, 0x55}};
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        size_t len = write_segment(bytes, IP_V4, SYN, "020405b4");
        bytes[changes[i].at] = changes[i].value;
        memcpy(before, bytes, len);
        clamp(bytes, len);
        ck_assert_msg(memcmp(bytes, before, len) == 0, "change %zu", i);
    }
    /* cut anywhere, with the total length agreeing */
    size_t whole = write_segment(bytes, IP_V4, SYN, "01 020405b4 01 0402");
    for (size_t len = 0; len < whole; len++) {
        write_segment(bytes, IP_V4, SYN, "01 020405b4 01 0402");
        bytes[3] = (uint8_t)len;
        memcpy(before, bytes, len);
        clamp(bytes, len);
        ck_assert_mem_eq(bytes, before, len);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("packet header");
    TCase *c = tcase_create("views");
    tcase_add_test(c, ipv4_fields);
    tcase_add_test(c, ipv6_fields);
    tcase_add_test(c, icmp_shows_type_and_code);
    tcase_add_test(c, later_fragments_have_no_ports);
    tcase_add_test(c, extension_headers_are_passed_over);
    tcase_add_test(c, extension_headers_end_somewhere);
    tcase_add_test(c, what_does_not_hold_together);
    tcase_add_test(c, cut_at_every_length);
    tcase_add_test(c, random_packets);
    suite_add_tcase(s, c);
    c = tcase_create("mss");
    tcase_add_test(c, mss_is_lowered_and_the_checksum_mended);
    tcase_add_test(c, other_packets_are_left_alone);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return support_run(suite());
}
