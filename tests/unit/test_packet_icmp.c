/* "Fragmentation needed" and "packet too big" (RFC 792, RFC 1191, RFC 4443). */
#include <stdlib.h>
#include <string.h>

#include "common/base/be.h"
#include "common/packet/packet.h"
#include "common/packet/protocol.h"
#include "tests/support/support.h"

enum { ROOM = 2000, DF = 0x40 };

/* A packet of len octets that may be answered: UDP, with DF where it is IPv4. */
static void write_packet(uint8_t *out, enum ip_family family, size_t len)
{
    static const uint8_t v4[20] = {0x45, 0, 0,  0, 0, 0, DF, 0, 64, PROTOCOL_UDP,
                                   0,    0, 10, 1, 0, 7, 10, 9, 0,  1};
    static const uint8_t v6[40] = {0x60,         0,  0,    0,           0,    0,
                                   PROTOCOL_UDP, 64, 0xfd, [23] = 0x07, 0xfd, [39] = 1};
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(i * 3);
    size_t head = family == IP_V4 ? 20 : 40;
    memcpy(out, family == IP_V4 ? v4 : v6, head);
    size_t value = family == IP_V4 ? len : len - 40;
    be_write_u16(out + (family == IP_V4 ? 2 : 4), (uint16_t)value);
}

START_TEST(ipv4_answer)
{
    static const size_t lens[] = {28, 29, 100, 547, 548, 549, 1400, 1500};
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        uint8_t packet[ROOM];
        write_packet(packet, IP_V4, lens[i]);
        size_t quoted = lens[i] < 548 ? lens[i] : 548;
        uint8_t *out = malloc(28 + quoted);
        ck_assert_ptr_nonnull(out);
        size_t len = 0;
        /* link padding behind the packet is not quoted */
        ck_ok(packet_too_big(span_make(packet, lens[i] + 7), 1360, out, 28 + quoted, &len));
        ck_assert_uint_eq(len, 28 + quoted);
        struct ip_header h;
        ck_ok(ip_header_parse(span_make(out, len), &h));
        struct ip from = ip_v4(10, 9, 0, 1), to = ip_v4(10, 1, 0, 7);
        ck_assert(ip_equal(&h.source, &from));
        ck_assert(ip_equal(&h.destination, &to));
        ck_assert_uint_eq(h.total_len, len);
        ck_assert_uint_eq(h.protocol, PROTOCOL_ICMP);
        ck_assert_uint_eq(h.source_port, 0x0304); /* unreachable, fragmentation needed */
        ck_assert_uint_eq(checksum_finish(checksum_add(0, span_make(out, 20))), 0);
        ck_assert_uint_eq(checksum_finish(checksum_add(0, span_make(out + 20, len - 20))), 0);
        static const uint8_t mtu[4] = {0, 0, 1360 >> 8, 1360 & 0xff};
        ck_span_eq(span_make(out + 24, 4), SPAN_OF(mtu));
        ck_span_eq(span_make(out + 28, quoted), span_make(packet, quoted));
        free(out);
    }
}
END_TEST

START_TEST(ipv6_answer)
{
    static const size_t lens[] = {48, 49, 1231, 1232, 1233, 1500};
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        uint8_t packet[ROOM];
        write_packet(packet, IP_V6, lens[i]);
        size_t quoted = lens[i] < 1232 ? lens[i] : 1232;
        uint8_t *out = malloc(48 + quoted);
        ck_assert_ptr_nonnull(out);
        size_t len = 0;
        ck_ok(packet_too_big(span_make(packet, lens[i] + 7), 1360, out, 48 + quoted, &len));
        ck_assert_uint_eq(len, 48 + quoted);
        struct ip_header h, of_packet;
        ck_ok(ip_header_parse(span_make(out, len), &h));
        ck_ok(ip_header_parse(span_make(packet, lens[i]), &of_packet));
        ck_assert(ip_equal(&h.source, &of_packet.destination));
        ck_assert(ip_equal(&h.destination, &of_packet.source));
        ck_assert_uint_eq(h.total_len, len);
        ck_assert_uint_eq(h.source_port, 0x0200); /* packet too big */
        /* RFC 8200 8.1: addresses, upper-layer length, three zeros and the next header */
        uint8_t pseudo[40] = {0};
        memcpy(pseudo, out + 8, 32);
        pseudo[34] = (uint8_t)((len - 40) >> 8);
        pseudo[35] = (uint8_t)(len - 40);
        pseudo[39] = PROTOCOL_ICMPV6;
        uint32_t sum = checksum_add(0, SPAN_OF(pseudo));
        ck_assert_uint_eq(checksum_finish(checksum_add(sum, span_make(out + 40, len - 40))), 0);
        static const uint8_t mtu[4] = {0, 0, 1360 >> 8, 1360 & 0xff};
        ck_span_eq(span_make(out + 44, 4), SPAN_OF(mtu));
        ck_span_eq(span_make(out + 48, quoted), span_make(packet, quoted));
        free(out);
    }
}
END_TEST

START_TEST(a_short_buffer_is_refused)
{
    uint8_t packet[ROOM];
    for (int v6 = 0; v6 < 2; v6++) {
        write_packet(packet, v6 ? IP_V6 : IP_V4, 1500);
        size_t full = v6 ? 1280 : 576, len = 4711;
        for (size_t cap = 0; cap < full; cap++) {
            uint8_t *out = malloc(cap > 0 ? cap : 1);
            ck_assert_ptr_nonnull(out);
            ck_err(packet_too_big(span_make(packet, 1500), 1360, out, cap, &len), ERR_LIMIT);
            ck_assert_uint_eq(len, 4711);
            free(out);
        }
        uint8_t out[1280];
        ck_ok(packet_too_big(span_make(packet, 1500), 1360, out, full, &len));
        ck_assert_uint_eq(len, full);
    }
}
END_TEST

static enum err answer_to(const uint8_t *packet, size_t len)
{
    uint8_t out[1280];
    size_t out_len;
    return packet_too_big(span_make(packet, len), 1360, out, sizeof(out), &out_len);
}

/* Changes to single octets of an answerable packet. */
struct change {
    size_t at;
    uint8_t value;
};

static enum err answer_with(enum ip_family family, const struct change *changes, size_t count)
{
    uint8_t packet[ROOM];
    write_packet(packet, family, 1500);
    for (size_t i = 0; i < count; i++)
        packet[changes[i].at] = changes[i].value;
    return answer_to(packet, 1500);
}

#define ANSWER(family, ...)                                                                        \
    answer_with(family, (const struct change[]){__VA_ARGS__},                                      \
                sizeof((const struct change[]){__VA_ARGS__}) / sizeof(struct change))

START_TEST(ipv4_silence)
{
    ck_err(ANSWER(IP_V4, {6, 0}), ERR_REFUSED);                    /* DF is not set */
    ck_err(ANSWER(IP_V4, {6, DF | 0x20}), ERR_OK);                 /* a first fragment */
    ck_err(ANSWER(IP_V4, {7, 1}), ERR_REFUSED);                    /* a later one */
    ck_err(ANSWER(IP_V4, {16, 224}), ERR_REFUSED);                 /* to a group */
    ck_err(ANSWER(IP_V4, {16, 255}), ERR_REFUSED);                 /* to everyone */
    ck_err(ANSWER(IP_V4, {12, 224}), ERR_REFUSED);                 /* from a group */
    ck_err(ANSWER(IP_V4, {12, 240}), ERR_REFUSED);                 /* from a reserved address */
    ck_err(ANSWER(IP_V4, {12, 127}), ERR_REFUSED);                 /* from loopback */
    ck_err(ANSWER(IP_V4, {12, 0}, {13, 0}, {15, 0}), ERR_REFUSED); /* from nobody */
    static const uint8_t errors[] = {3, 4, 5, 11, 12};
    static const uint8_t queries[] = {0, 8, 13, 14};
    for (size_t i = 0; i < sizeof(errors); i++)
        ck_err(ANSWER(IP_V4, {9, PROTOCOL_ICMP}, {20, errors[i]}), ERR_REFUSED);
    for (size_t i = 0; i < sizeof(queries); i++)
        ck_err(ANSWER(IP_V4, {9, PROTOCOL_ICMP}, {20, queries[i]}), ERR_OK);
}
END_TEST

START_TEST(ipv6_silence)
{
    ck_err(ANSWER(IP_V6, {24, 0xff}), ERR_REFUSED);      /* to a group */
    ck_err(ANSWER(IP_V6, {8, 0xff}), ERR_REFUSED);       /* from a group */
    ck_err(ANSWER(IP_V6, {8, 0}, {23, 0}), ERR_REFUSED); /* from nobody */
    ck_err(ANSWER(IP_V6, {8, 0}, {23, 1}), ERR_REFUSED); /* from loopback */
    ck_err(ANSWER(IP_V6, {6, PROTOCOL_FRAGMENT}, {42, 0}, {43, 8}), ERR_REFUSED);
    ck_err(ANSWER(IP_V6, {6, PROTOCOL_FRAGMENT}, {40, PROTOCOL_UDP}, {42, 0}, {43, 1}), ERR_OK);
    static const uint8_t errors[] = {1, 2, 3, 4, 127, 137};
    static const uint8_t queries[] = {128, 129, 135, 136};
    for (size_t i = 0; i < sizeof(errors); i++)
        ck_err(ANSWER(IP_V6, {6, PROTOCOL_ICMPV6}, {40, errors[i]}), ERR_REFUSED);
    for (size_t i = 0; i < sizeof(queries); i++)
        ck_err(ANSWER(IP_V6, {6, PROTOCOL_ICMPV6}, {40, queries[i]}), ERR_OK);
}
END_TEST

START_TEST(malformed_packets_get_no_answer)
{
    uint8_t packet[ROOM];
    write_packet(packet, IP_V4, 1500);
    ck_err(answer_to(packet, 1499), ERR_MALFORMED);
    ck_err(answer_to(packet, 0), ERR_MALFORMED);
    write_packet(packet, IP_V6, 1500);
    ck_err(answer_to(packet, 1499), ERR_MALFORMED);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("packet icmp");
    TCase *c = tcase_create("too big");
    tcase_add_test(c, ipv4_answer);
    tcase_add_test(c, ipv6_answer);
    tcase_add_test(c, a_short_buffer_is_refused);
    tcase_add_test(c, ipv4_silence);
    tcase_add_test(c, ipv6_silence);
    tcase_add_test(c, malformed_packets_get_no_answer);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return support_run(suite());
}
