/* Coalescing: what stays apart, and parts what comes before it from what comes after. */
#include "common/base/be.h"
#include "tests/unit/gro_scene.h"

/* The second of two that would go together has one thing that differs. */
static void differ(size_t which, struct packet_recipe *r)
{
    static const uint8_t later[] = {1, 1, 8, 10, 0, 1, 2, 4, 4, 5, 6, 7};
    switch (which) {
    case 0:
        r->tos ^= 1; /* ECN */
        break;
    case 1:
        r->tos ^= 0x20;
        break;
    case 2:
        r->ttl--;
        break;
    case 3:
        if (r->v6)
            r->flow_label++;
        else
            r->flags = 0;
        break;
    case 4:
        if (r->v6)
            r->flow_label ^= 0x80000;
        else
            r->id++;
        break;
    case 5:
        r->sequence++;
        break;
    case 6:
        r->sequence -= SIZE; /* sent again */
        break;
    case 7:
        r->acknowledged++;
        break;
    case 8:
        r->window++;
        break;
    case 9:
        r->urgent++;
        break;
    case 10:
        r->tcp_flags |= PACKETS_TCP_ECE;
        break;
    case 11:
        r->tcp_options = SPAN_OF(later);
        break;
    case 12:
        r->tcp_options.len -= 4;
        break;
    case 13:
        r->tcp_options = SPAN_EMPTY;
        break;
    default:
        break;
    }
}

START_TEST(one_thing_that_differs)
{
    enum { OF_IP = 5, OF_TCP = 14 };
    for (int kind = 0; kind < 4; kind++) {
        for (size_t which = 0; which < (kind & 2 ? OF_IP : OF_TCP); which++) {
            struct packet_recipe r = flow(kind & 1, kind & 2);
            begin(&all);
            add(&r);
            advance(&r, SIZE);
            differ(which, &r);
            add(&r);
            check_all_alone();
        }
    }
}
END_TEST

START_TEST(flags_that_belong_to_one_packet)
{
    static const uint8_t flags[] = {0x00, 0x02, 0x12, 0x11, 0x14, 0x30, 0x90, 0x08, 0xd0};
    for (size_t i = 0; i < sizeof(flags); i++) {
        struct packet_recipe r = flow(false, false);
        begin(&all);
        r.tcp_flags = flags[i];
        for (int n = 0; n < 3; n++) {
            add(&r);
            advance(&r, SIZE);
        }
        check_all_alone();
    }
    /* the reserved one of IPv4 */
    struct packet_recipe evil = flow(false, false);
    begin(&all);
    evil.flags = 0xc000;
    add(&evil);
    advance(&evil, SIZE);
    add(&evil);
    check_all_alone();
    /* the reserved bits of TCP, of which one is AE (RFC 9768) */
    for (uint8_t bit = 1; bit < 0x10; bit = (uint8_t)(bit << 1)) {
        struct packet_recipe r = flow(false, false);
        begin(&all);
        for (int n = 0; n < 2; n++) {
            size_t len = packets_make(&r, scratch);
            scratch[20 + 12] |= bit;
            uint16_t sum = (uint16_t) ~(scratch[36] << 8 | scratch[37]);
            sum = (uint16_t)~packets_sum(sum, span_make((uint8_t[]){bit, 0}, 2));
            be_write_u16(scratch + 36, sum);
            ck_assert_ptr_null(packets_fault(span_make(scratch, len)));
            add_bytes(scratch, len);
            advance(&r, SIZE);
        }
        check_all_alone();
    }
}
END_TEST

/* What cannot be coalesced parts what comes before it from what comes after. */
START_TEST(order_within_a_flow)
{
    for (int kind = 0; kind < 5; kind++) {
        struct packet_recipe r = flow(false, false), odd, second, other = flow(true, false);
        struct packet_recipe first = r, other_first = other;
        begin(&all);
        add(&r);
        advance(&r, SIZE);
        add(&r);
        add(&other);
        advance(&other, SIZE);
        odd = r;
        advance(&odd, kind == 0 ? 0 : SIZE); /* a mere ACK */
        if (kind == 1)
            odd.tcp_flags |= PACKETS_TCP_FIN;
        if (kind == 2)
            odd.options = span_make("\1\1\1", 4);
        size_t len = packets_make(&odd, scratch);
        if (kind == 3)
            scratch[len - 1] ^= 1; /* came to harm */
        if (kind == 4)
            scratch[20 + 12] = 0x40; /* a data offset within the header */
        add_bytes(scratch, len);
        advance(&r, SIZE);
        second = r;
        add(&r);
        add(&other);
        advance(&r, SIZE);
        add(&r);
        take();
        ck_assert_uint_eq(written_count, 4);
        check_joined(0, &first, 2 * SIZE, 2);
        check_joined(1, &other_first, 2 * SIZE, 2); /* this one is of another flow */
        check_alone(2, 3);
        check_joined(3, &second, 2 * SIZE, 2);
    }
}
END_TEST

/* A checksum that is wrong is handed on wrong, by the packet alone: put together it would be taken
 * as right. */
START_TEST(what_came_to_harm_stays_alone)
{
    for (int kind = 0; kind < 4; kind++) {
        struct packet_recipe r = flow(kind & 1, kind & 2);
        size_t len = packets_make(&r, scratch);
        for (size_t at = 0; at < len; at++) {
            bool upper = at >= (r.v6 ? 40 : 20);
            if (r.v6 && !upper)
                continue; /* IPv6 has no checksum of its own */
            for (size_t which = 0; which < 2; which++) {
                r = flow(kind & 1, kind & 2);
                begin(&all);
                for (size_t i = 0; i < 2; i++) {
                    packets_make(&r, scratch);
                    if (i == which)
                        scratch[at] ^= 0x10;
                    add_bytes(scratch, len);
                    advance(&r, SIZE);
                }
                check_all_alone();
            }
        }
    }
}
END_TEST

/* What verifies, but is not what a sender writes, would come out differently. */
START_TEST(the_other_zero_stays_alone)
{
    /* TCP: 0xffff for 0; the IPv4 header's likewise */
    for (int ip = 0; ip < 2; ip++) {
        struct packet_recipe r = flow(false, false);
        uint8_t text[SIZE] = {0};
        size_t field = ip ? 10 : 36;
        if (ip) {
            r.ttl = 0;
            r.id = 0;
            packets_make(&r, scratch);
            r.id = (uint16_t)(scratch[field] << 8 | scratch[field + 1]);
        } else {
            r.payload = SPAN_OF(text);
            packets_make(&r, scratch);
            memcpy(text, scratch + field, 2);
        }
        size_t len = packets_make(&r, scratch);
        ck_assert(scratch[field] == 0 && scratch[field + 1] == 0);
        begin(&all);
        scratch[field] = scratch[field + 1] = 0xff;
        ck_assert_ptr_null(packets_fault(span_make(scratch, len)));
        add_bytes(scratch, len);
        r.id++;
        r.sequence += SIZE;
        add(&r);
        check_all_alone();
    }
    /* UDP over IPv4 without a checksum; also where that is just what the sum comes to */
    struct packet_recipe r = flow(false, true);
    begin(&all);
    for (int i = 0; i < 4; i++) {
        uint8_t text[SIZE] = {0};
        r.payload = SPAN_OF(text);
        size_t len = packets_make(&r, scratch);
        if (i >= 2) {
            memcpy(text, scratch + 26, 2);
            len = packets_make(&r, scratch);
            ck_assert(scratch[26] == 0xff && scratch[27] == 0xff);
        }
        be_write_u16(scratch + 26, 0);
        add_bytes(scratch, len);
        r.id++;
    }
    check_all_alone();
}
END_TEST

START_TEST(udp_that_is_no_candidate)
{
    struct packet_recipe r = flow(false, true);
    r.payload.len = 0;
    add(&r);
    advance(&r, 0);
    add(&r);
    check_all_alone();
    /* a length of its own that is not the packet's */
    begin(&all);
    r.payload.len = SIZE;
    for (int i = 0; i < 2; i++) {
        size_t len = packets_make(&r, scratch);
        scratch[25]--;
        be_write_u16(scratch + 26, (uint16_t)((scratch[26] << 8 | scratch[27]) + 1));
        add_bytes(scratch, len);
        advance(&r, SIZE);
    }
    check_all_alone();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("packet GRO apart");
    TCase *c;
    add_case(s, &c, "apart");
    tcase_add_test(c, one_thing_that_differs);
    tcase_add_test(c, flags_that_belong_to_one_packet);
    tcase_add_test(c, order_within_a_flow);
    tcase_add_test(c, what_came_to_harm_stays_alone);
    tcase_add_test(c, the_other_zero_stays_alone);
    tcase_add_test(c, udp_that_is_no_candidate);
    return s;
}

int main(void)
{
    return support_run(suite());
}
