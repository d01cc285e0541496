/* The ECN field at the end of a tunnel (RFC 6040 4.2): every mark outside on every mark inside. */
#include <stdlib.h>
#include <string.h>

#include "common/base/be.h"
#include "common/packet/packet.h"
#include "common/packet/protocol.h"
#include "tests/support/support.h"

enum { DROPPED = 4, LEN = 48, DSCP_EF = 0xb8 };

/* What comes out: a row for each mark inside, a column for each outside; the columns, as the enum,
 * are Not-ECT, ECT(1), ECT(0), CE. */
static const int expected[4][4] = {
    [ECN_NOT_ECT] = {ECN_NOT_ECT, ECN_NOT_ECT, ECN_NOT_ECT, DROPPED},
    [ECN_ECT_1] = {ECN_ECT_1, ECN_ECT_1, ECN_ECT_1, ECN_CE},
    [ECN_ECT_0] = {ECN_ECT_0, ECN_ECT_1, ECN_ECT_0, ECN_CE},
    [ECN_CE] = {ECN_CE, ECN_CE, ECN_CE, ECN_CE},
};

/* A packet of LEN octets with that TOS octet; for IPv4 with four octets of options, this
 * identification, and a header checksum that fits. */
static void write_packet(uint8_t *out, enum ip_family family, uint8_t tos, uint16_t identification)
{
    for (size_t i = 0; i < LEN; i++)
        out[i] = (uint8_t)(i * 37 + 11);
    if (family == IP_V6) {
        out[0] = (uint8_t)(0x60 | tos >> 4);
        out[1] = (uint8_t)(tos << 4 | 0x0c); /* the first bits of a flow label */
        be_write_u16(out + 4, LEN - IPV6_HEADER_LEN);
        out[6] = 253;
        return;
    }
    out[0] = 0x46;
    out[1] = tos;
    be_write_u16(out + 2, LEN);
    be_write_u16(out + 4, identification);
    be_write_u16(out + 6, 0x4000);
    out[9] = 253;
    be_write_u16(out + 10, 0);
    be_write_u16(out + 10, checksum_finish(checksum_add(0, span_make(out, 24))));
}

/* Joins in a buffer of exactly the packet's size, somewhere inside of which it begins. */
static enum err join(uint8_t *bytes, enum ecn outer)
{
    struct ip_header h;
    struct packet p = {.cap = LEN + 3, .start = 3, .len = LEN, .tos = (uint8_t)(DSCP_EF | outer)};
    p.data = malloc(p.cap);
    ck_assert_ptr_nonnull(p.data);
    memcpy(packet_bytes(&p), bytes, LEN);
    ck_ok(ip_header_parse(span_make(bytes, LEN), &h));
    enum err e = packet_join_ecn(&p, h.tos);
    ck_assert(p.start == 3 && p.len == LEN && p.tos == (DSCP_EF | outer));
    memcpy(bytes, packet_bytes(&p), LEN);
    free(p.data);
    return e;
}

START_TEST(the_field_of_the_octet)
{
    ck_assert_int_eq(ecn_of(DSCP_EF), ECN_NOT_ECT);
    ck_assert_int_eq(ecn_of(0x01), ECN_ECT_1);
    ck_assert_int_eq(ecn_of(0x02), ECN_ECT_0);
    ck_assert_int_eq(ecn_of(0xff), ECN_CE);
}
END_TEST

/* Nothing but the mark and, with IPv4, the checksum of a header that has another mark, changes. */
START_TEST(every_mark_outside_on_every_mark_inside)
{
    static const uint8_t dscps[] = {0, DSCP_EF, 0xfc};
    for (int v6 = 0; v6 < 2; v6++) {
        for (size_t i = 0; i < 4 * 4 * sizeof(dscps); i++) {
            enum ip_family family = v6 ? IP_V6 : IP_V4;
            enum ecn inner = ecn_of((uint8_t)i), outer = ecn_of((uint8_t)(i / 4));
            uint8_t dscp = dscps[i / 16], bytes[LEN], wanted[LEN];
            int then = expected[inner][outer];
            write_packet(bytes, family, (uint8_t)(dscp | inner), 0x1234);
            write_packet(wanted, family,
                         (uint8_t)(dscp | (then == DROPPED ? inner : (enum ecn)then)), 0x1234);
            ck_err(join(bytes, outer), then == DROPPED ? ERR_REFUSED : ERR_OK);
            ck_assert_mem_eq(bytes, wanted, LEN);
        }
    }
}
END_TEST

/* Whatever carries there are in the sum. */
START_TEST(every_checksum_is_mended)
{
    for (unsigned identification = 0; identification <= 0xffff; identification++) {
        uint8_t bytes[LEN];
        write_packet(bytes, IP_V4, DSCP_EF | ECN_ECT_0, (uint16_t)identification);
        ck_ok(join(bytes, identification % 2 == 0 ? ECN_CE : ECN_ECT_1));
        ck_assert_uint_eq(checksum_finish(checksum_add(0, span_make(bytes, 24))), 0);
    }
}
END_TEST

/* A header that was damaged before it came into the tunnel is not made good. */
START_TEST(a_wrong_checksum_stays_wrong)
{
    uint8_t bytes[LEN];
    write_packet(bytes, IP_V4, ECN_ECT_0, 7);
    bytes[11] ^= 0x40;
    ck_ok(join(bytes, ECN_CE));
    ck_assert_uint_eq(bytes[1], ECN_CE);
    ck_assert_uint_ne(checksum_finish(checksum_add(0, span_make(bytes, 24))), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("packet ecn");
    TCase *t = tcase_create("join");
    tcase_add_test(t, the_field_of_the_octet);
    tcase_add_test(t, every_mark_outside_on_every_mark_inside);
    tcase_add_test(t, every_checksum_is_mended);
    tcase_add_test(t, a_wrong_checksum_stays_wrong);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
