/* Judged by a few octets, as it is done for every frame and every packet: whether a frame is longer
 * than what fits (most are not, but for those of several segments), and whether it is a SYN. What
 * is found is looked at closely by packet_too_big and packet_clamp_mss, which are in icmp.c and
 * packet.c. A SYN behind IPv6 extension headers is not found, and keeps its MSS.
 *
 * The answers need no limit to their rate: they go to the machine itself or into the networks that
 * it forwards for, one for a packet that was sent to us at the same cost (Linux exempts its own
 * from its limit as well). */
#include "common/packet/fit.h"

#include "common/packet/packet_internal.h"
#include "common/packet/protocol.h"

static uint16_t mss_of(uint16_t packet_max, uint16_t ip_header_len)
{
    uint16_t headers = (uint16_t)(ip_header_len + TCP_HEADER_LEN);
    return (uint16_t)(packet_max > headers ? packet_max - headers : 0);
}

struct fit fit_make(uint16_t inner_max, uint16_t tun_mtu)
{
    uint16_t packet_max = inner_max < tun_mtu ? inner_max : tun_mtu;
    return (struct fit){
        .inner_max = inner_max,
        .mss_v4 = mss_of(packet_max, IPV4_HEADER_LEN),
        .mss_v6 = mss_of(packet_max, IPV6_HEADER_LEN),
    };
}

static bool is_v4(const uint8_t *packet)
{
    return packet[0] >> 4 == IP_V4;
}

/* Where TCP begins, or 0 where it is not seen to. */
static size_t tcp_at(const uint8_t *packet, size_t len)
{
    size_t at;
    if (len < IPV4_HEADER_LEN)
        return 0;
    if (is_v4(packet)) {
        at = (size_t)(packet[0] & 0x0f) * 4;
        if (packet[IPV4_PROTOCOL_AT] != PROTOCOL_TCP)
            return 0;
    } else {
        at = IPV6_HEADER_LEN;
        if (packet[IPV6_NEXT_HEADER_AT] != PROTOCOL_TCP)
            return 0;
    }
    return at + TCP_HEADER_LEN <= len ? at : 0;
}

static bool is_syn(const uint8_t *packet, size_t len)
{
    size_t at = tcp_at(packet, len);
    return at != 0 && (packet[at + TCP_FLAGS_AT] & TCP_FLAG_SYN) != 0;
}

/* An MSS of 0 clamps nothing. */
static void clamp(const struct fit *f, uint8_t *packet, size_t len)
{
    struct packet p = {.data = packet, .cap = len, .len = len};
    uint16_t mss = is_v4(packet) ? f->mss_v4 : f->mss_v6;
    if (mss != 0)
        packet_clamp_mss(&p, mss);
}

/* A checksum that is still to be finished holds the sum of the pseudo-header, in which the options
 * are not. */
static void clamp_unfinished(const struct fit *f, const struct vnet_header *v, uint8_t *packet,
                             size_t len)
{
    size_t at = (size_t)v->csum_start + v->csum_offset;
    if (at + 2 > len)
        return; /* makes no sense; gso_begin says so */
    uint16_t sum = be_read_u16(packet + at);
    clamp(f, packet, len);
    be_write_u16(packet + at, sum);
}

/* Octets of the longest packet that the frame is cut into; 0 where it makes no sense, which is
 * gso_begin's to say. */
static size_t longest(const struct vnet_header *v, const uint8_t *packet, size_t len)
{
    struct ip_header h;
    if (v->gso == VNET_GSO_NONE)
        return len;
    if (ip_header_parse(span_make(packet, len), &h) != ERR_OK)
        return 0;
    size_t header_len = h.header_len;
    if (v->gso == VNET_GSO_UDP_L4)
        header_len += UDP_HEADER_LEN;
    else if (header_len + TCP_HEADER_LEN <= len)
        header_len += (size_t)(packet[header_len + TCP_DATA_OFFSET_AT] >> 4) * 4;
    return header_len + v->gso_size < len ? header_len + v->gso_size : len;
}

/* Can the answer be made? Then its frame: a vnet header of zeros, as nothing is left to do to it.
 */
static bool answer_too_big(const struct fit *f, const uint8_t *packet, size_t len,
                           uint8_t answer[FIT_ANSWER_MAX], size_t *ret_len)
{
    uint16_t mtu = f->inner_max;
    size_t answer_len;
    if (!is_v4(packet) && mtu < FIT_IPV6_MTU_MIN)
        mtu = FIT_IPV6_MTU_MIN;
    if (packet_too_big(span_make(packet, len), mtu, answer + VNET_HEADER_LEN,
                       FIT_ANSWER_MAX - VNET_HEADER_LEN, &answer_len) != ERR_OK)
        return false;
    vnet_write(&(struct vnet_header){.gso = VNET_GSO_NONE}, answer);
    *ret_len = VNET_HEADER_LEN + answer_len;
    return true;
}

bool fit_outbound(const struct fit *f, uint8_t *frame, size_t len, uint8_t answer[FIT_ANSWER_MAX],
                  size_t *ret_answer_len)
{
    uint8_t *packet = frame + VNET_HEADER_LEN;
    size_t packet_len = len > VNET_HEADER_LEN ? len - VNET_HEADER_LEN : 0;
    struct vnet_header v;
    if (packet_len == 0)
        return true;
    bool fits = f->inner_max == 0 || packet_len <= f->inner_max;
    if (fits && !is_syn(packet, packet_len))
        return true;
    if (vnet_parse(span_make(frame, len), &v) != ERR_OK)
        return true;
    if (v.gso == VNET_GSO_NONE && is_syn(packet, packet_len)) {
        if (v.needs_csum)
            clamp_unfinished(f, &v, packet, packet_len);
        else
            clamp(f, packet, packet_len);
    }
    size_t needs = fits ? 0 : longest(&v, packet, packet_len);
    bool least_v6 = !is_v4(packet) && needs <= FIT_IPV6_MTU_MIN;
    if (needs <= f->inner_max || f->inner_max == 0 || least_v6)
        return true;
    return !answer_too_big(f, packet, packet_len, answer, ret_answer_len);
}

void fit_inbound(const struct fit *f, uint8_t *packet, size_t len)
{
    if (is_syn(packet, len))
        clamp(f, packet, len);
}
