/* What fits a tunnel: the answers to what does not (RFC 1191, RFC 8201), and SYNs. */
#include <stdlib.h>
#include <string.h>

#include "common/packet/fit.h"
#include "common/packet/protocol.h"
#include "tests/support/packets.h"
#include "tests/support/support.h"

enum { ROOM = 70000, SYN = 0x02, SYN_ACK = 0x12, NARROW = 1214, TUN_MTU = 1400 };

static uint8_t frame[ROOM], before[ROOM], answer[FIT_ANSWER_MAX], payload[65000];
static const struct fit narrow = {.inner_max = NARROW, .mss_v4 = 1174, .mss_v6 = 1154};

static struct packet_recipe recipe(bool v6, bool udp, size_t payload_len)
{
    return (struct packet_recipe){.v6 = v6,
                                  .udp = udp,
                                  .host = 7,
                                  .ttl = 64,
                                  .flags = PACKETS_V4_DF,
                                  .source_port = 40000,
                                  .destination_port = 443,
                                  .tcp_flags = PACKETS_TCP_ACK,
                                  .payload = span_make(payload, payload_len)};
}

static size_t make_frame(const struct packet_recipe *r, const struct vnet_header *v)
{
    size_t len = packets_make(r, frame + VNET_HEADER_LEN);
    if (v->needs_csum)
        packets_make_partial(r, frame + VNET_HEADER_LEN, len);
    vnet_write(v, frame);
    memcpy(before, frame, VNET_HEADER_LEN + len);
    return VNET_HEADER_LEN + len;
}

/* In a buffer of exactly that size. */
static bool goes(const struct fit *f, size_t len, size_t *ret_answer_len)
{
    uint8_t *exact = support_exact_copy(span_make(frame, len));
    *ret_answer_len = 0;
    bool leaves = fit_outbound(f, exact, len, answer, ret_answer_len);
    memcpy(frame, exact, len);
    free(exact);
    return leaves;
}

static bool untouched(size_t len)
{
    return memcmp(frame, before, len) == 0;
}

START_TEST(segments_of_a_tunnel)
{
    static const struct {
        uint16_t inner_max, tun_mtu, mss_v4, mss_v6;
    } cases[] = {
        {1438, 1400, 1360, 1340}, /* what the user said is less */
        {1350, 1400, 1310, 1290}, {1214, 1280, 1174, 1154}, {61, 1280, 21, 1}, {40, 1280, 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fit f = fit_make(cases[i].inner_max, cases[i].tun_mtu);
        ck_assert_uint_eq(f.inner_max, cases[i].inner_max);
        ck_assert_uint_eq(f.mss_v4, cases[i].mss_v4);
        ck_assert_uint_eq(f.mss_v6, cases[i].mss_v6);
    }
}
END_TEST

/* Every length around what fits: answered from the first octet too many on, with what fits. */
START_TEST(too_long_is_answered)
{
    bool v6 = _i != 0;
    size_t limit = v6 ? FIT_IPV6_MTU_MIN : NARROW;
    struct packet_recipe r = recipe(v6, true, 0);
    size_t head = packets_header_len(&r);
    for (size_t len = limit - 2; len < limit + 3; len++) {
        size_t answer_len;
        r.payload.len = len - head;
        size_t frame_len = make_frame(&r, &(struct vnet_header){0});
        bool leaves = goes(&narrow, frame_len, &answer_len);
        ck_assert_msg(leaves == (len <= limit), "%zu octets", len);
        ck_assert(untouched(frame_len));
        if (leaves)
            continue;
        struct vnet_header v;
        struct ip_header h, of_packet;
        struct span got = span_make(answer + VNET_HEADER_LEN, answer_len - VNET_HEADER_LEN);
        ck_ok(vnet_parse(span_make(answer, answer_len), &v));
        ck_assert(v.gso == VNET_GSO_NONE && !v.needs_csum && !v.data_valid);
        ck_ok(ip_header_parse(got, &h));
        ck_ok(ip_header_parse(span_make(before + VNET_HEADER_LEN, len), &of_packet));
        ck_assert(ip_equal(&h.destination, &of_packet.source));
        ck_assert_uint_eq(h.source_port, v6 ? 0x0200 : 0x0304);
        size_t mtu_at = h.header_len + 6; /* the lower half of ICMPv6's */
        ck_assert_uint_eq((size_t)(got.data[mtu_at] << 8 | got.data[mtu_at + 1]), limit);
    }
}
END_TEST

/* Without DF it goes, in outer fragments; and so does what may not be answered. */
START_TEST(what_is_not_answered)
{
    size_t answer_len;
    struct packet_recipe r = recipe(false, true, NARROW);
    r.flags = 0;
    ck_assert(goes(&narrow, make_frame(&r, &(struct vnet_header){0}), &answer_len));
    r.flags = PACKETS_V4_DF;
    size_t len = make_frame(&r, &(struct vnet_header){0});
    frame[VNET_HEADER_LEN + 16] = 224; /* to a group */
    ck_assert(goes(&narrow, len, &answer_len));
    /* nothing is known yet */
    make_frame(&r, &(struct vnet_header){0});
    ck_assert(goes(&(struct fit){0}, len, &answer_len));
    ck_assert(!goes(&narrow, len, &answer_len));
}
END_TEST

/* What the kernel gives in one piece is judged by its segments. */
START_TEST(trains_are_judged_by_their_segments)
{
    bool v6 = (_i & 1) != 0, udp = (_i & 2) != 0;
    struct packet_recipe r = recipe(v6, udp, 20000);
    r.tcp_options = udp ? SPAN_EMPTY : span_make("\1\1\x8\xa\0\0\0\1\0\0\0\2", 12);
    size_t head = packets_header_len(&r), limit = v6 ? FIT_IPV6_MTU_MIN : NARROW;
    struct vnet_header v = {.gso = udp  ? VNET_GSO_UDP_L4
                                   : v6 ? VNET_GSO_TCPV6
                                        : VNET_GSO_TCPV4,
                            .needs_csum = true,
                            .csum_start = v6 ? 40 : 20,
                            .csum_offset = udp ? 6 : 16};
    for (size_t segment = limit - head - 1; segment <= limit - head + 1; segment++) {
        size_t answer_len;
        v.gso_size = (uint16_t)segment;
        size_t len = make_frame(&r, &v);
        ck_assert_msg(goes(&narrow, len, &answer_len) == (head + segment <= limit), "%zu", segment);
        ck_assert(untouched(len));
    }
    /* one segment alone, shorter than it could be */
    r.payload.len = limit - head;
    v.gso_size = 2000;
    size_t answer_len, len = make_frame(&r, &v);
    ck_assert(goes(&narrow, len, &answer_len));
    /* a frame that makes no sense is somebody else's business */
    len = make_frame(&r, &v);
    frame[VNET_HEADER_LEN] = 0x15;
    memset(frame + VNET_HEADER_LEN + 4, 0xff, 2);
    ck_assert(goes(&narrow, len, &answer_len));
}
END_TEST

static uint16_t mss_of(const uint8_t *packet, size_t head)
{
    return (uint16_t)(packet[head + 22] << 8 | packet[head + 23]);
}

static struct packet_recipe syn(bool v6, uint8_t flags)
{
    struct packet_recipe r = recipe(v6, false, 0);
    r.tcp_flags = flags;
    r.tcp_options = span_make("\x2\x4\x5\xb4", 4); /* 1460 */
    return r;
}

/* Out, with the checksum finished and not; and in. */
START_TEST(syns_are_clamped)
{
    bool v6 = (_i & 1) != 0;
    uint8_t flags = (_i & 2) != 0 ? SYN_ACK : SYN;
    struct packet_recipe r = syn(v6, flags);
    size_t head = v6 ? 40 : 20, answer_len;
    uint16_t expected = v6 ? narrow.mss_v6 : narrow.mss_v4;

    size_t len = make_frame(&r, &(struct vnet_header){0});
    uint8_t *packet = frame + VNET_HEADER_LEN;
    ck_assert(goes(&narrow, len, &answer_len));
    ck_assert_uint_eq(mss_of(packet, head), expected);
    ck_assert_ptr_null(packets_fault(span_make(packet, len - VNET_HEADER_LEN)));

    make_frame(&r, &(struct vnet_header){
                       .needs_csum = true, .csum_start = (uint16_t)head, .csum_offset = 16});
    ck_assert(goes(&narrow, len, &answer_len));
    ck_assert_uint_eq(mss_of(packet, head), expected);
    ck_assert_mem_eq(packet + head + 16, before + VNET_HEADER_LEN + head + 16, 2);

    make_frame(&r, &(struct vnet_header){0});
    fit_inbound(&narrow, packet, len - VNET_HEADER_LEN);
    ck_assert_uint_eq(mss_of(packet, head), expected);
    ck_assert_ptr_null(packets_fault(span_make(packet, len - VNET_HEADER_LEN)));
}
END_TEST

START_TEST(nothing_else_is_clamped)
{
    size_t answer_len;
    struct packet_recipe r = syn(_i != 0, PACKETS_TCP_ACK);
    size_t len = make_frame(&r, &(struct vnet_header){0});
    uint8_t *packet = frame + VNET_HEADER_LEN;
    ck_assert(goes(&narrow, len, &answer_len));
    fit_inbound(&narrow, packet, len - VNET_HEADER_LEN);
    ck_assert(untouched(len));
    r.tcp_flags = SYN;
    len = make_frame(&r, &(struct vnet_header){0});
    ck_assert(goes(&(struct fit){0}, len, &answer_len)); /* nothing is known yet */
    ck_assert(untouched(len));
    /* cut anywhere: nothing behind the end is read or written (exact buffers) */
    for (size_t cut = 0; cut < len; cut++) {
        memcpy(frame, before, len);
        ck_assert(goes(&narrow, cut, &answer_len));
        uint8_t *exact = support_exact_copy(span_make(before, cut));
        fit_inbound(&narrow, exact, cut);
        free(exact);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("packet fit");
    TCase *tc = tcase_create("fit");
    tcase_add_test(tc, segments_of_a_tunnel);
    tcase_add_loop_test(tc, too_long_is_answered, 0, 2);
    tcase_add_test(tc, what_is_not_answered);
    tcase_add_loop_test(tc, trains_are_judged_by_their_segments, 0, 4);
    tcase_add_loop_test(tc, syns_are_clamped, 0, 4);
    tcase_add_loop_test(tc, nothing_else_is_clamped, 0, 2);
    suite_add_tcase(suite, tc);
    return support_run(suite);
}
