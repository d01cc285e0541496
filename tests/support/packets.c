/* Packets for the tests of segmentation and coalescing. */
#include "tests/support/packets.h"

#include <string.h>

#include "common/base/be.h"
#include "common/base/wire.h"

enum { TCP = 6, UDP = 17 };

uint16_t packets_sum(uint32_t start, struct span data)
{
    uint64_t sum = start;
    for (size_t i = 0; i < data.len; i++)
        sum += (uint64_t)data.data[i] << (i % 2 == 0 ? 8 : 0);
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static size_t ip_header_len(const struct packet_recipe *r)
{
    return (r->v6 ? 40 : 20) + r->options.len;
}

size_t packets_header_len(const struct packet_recipe *r)
{
    return ip_header_len(r) + (r->udp ? 8 : 20 + r->tcp_options.len);
}

static void write_ip(struct wire_writer *w, const struct packet_recipe *r, size_t len)
{
    uint8_t protocol = r->udp ? UDP : TCP;
    if (r->v6) {
        wire_write_u32(w, 6u << 28 | (uint32_t)r->tos << 20 | (r->flow_label & 0xfffff));
        wire_write_u16(w, (uint16_t)(len - 40));
        wire_write_u8(w, r->options.len > 0 ? r->first_extension : protocol);
        wire_write_u8(w, r->ttl);
        for (uint8_t last = 0; last < 2; last++) {
            wire_write_u64(w, 0xfd00000900000000 | last);
            wire_write_u64(w, last == 0 ? r->host : 0x8000000000000001);
        }
        wire_write_span(w, r->options);
        return;
    }
    wire_write_u8(w, (uint8_t)(0x45 + r->options.len / 4));
    wire_write_u8(w, r->tos);
    wire_write_u16(w, (uint16_t)len);
    wire_write_u16(w, r->id);
    wire_write_u16(w, r->flags);
    wire_write_u8(w, r->ttl);
    wire_write_u8(w, protocol);
    wire_write_u16(w, 0);
    wire_write_u32(w, 0x0a010000u | r->host);
    wire_write_u32(w, 0x0a090001);
    wire_write_span(w, r->options);
    wire_patch_u16(w, 10, (uint16_t)~packets_sum(0, wire_written(w)));
}

static void write_upper(struct wire_writer *w, const struct packet_recipe *r)
{
    wire_write_u16(w, r->source_port);
    wire_write_u16(w, r->destination_port);
    if (r->udp) {
        wire_write_u16(w, (uint16_t)(8 + r->payload.len));
        wire_write_u16(w, 0);
        return;
    }
    wire_write_u32(w, r->sequence);
    wire_write_u32(w, r->acknowledged);
    wire_write_u8(w, (uint8_t)((5 + r->tcp_options.len / 4) << 4));
    wire_write_u8(w, r->tcp_flags);
    wire_write_u16(w, r->window);
    wire_write_u16(w, 0);
    wire_write_u16(w, r->urgent);
    wire_write_span(w, r->tcp_options);
}

static uint16_t pseudo_sum(const uint8_t *packet, uint8_t protocol, size_t upper_len)
{
    bool v6 = packet[0] >> 4 == 6;
    return packets_sum((uint32_t)upper_len + protocol,
                       span_make(packet + (v6 ? 8 : 12), v6 ? 32 : 8));
}

static uint8_t *checksum_field(const struct packet_recipe *r, uint8_t *packet)
{
    return packet + ip_header_len(r) + (r->udp ? 6 : 16);
}

size_t packets_make(const struct packet_recipe *r, uint8_t *out)
{
    struct wire_writer w;
    size_t len = packets_header_len(r) + r->payload.len, upper_at = ip_header_len(r);
    wire_writer_init(&w, out, len);
    write_ip(&w, r, len);
    write_upper(&w, r);
    wire_write_span(&w, r->payload);
    ASSERT(wire_write_finish(&w) == ERR_OK && w.len == len);
    uint16_t sum = pseudo_sum(out, r->udp ? UDP : TCP, len - upper_at);
    uint16_t checksum = (uint16_t)~packets_sum(sum, span_make(out + upper_at, len - upper_at));
    be_write_u16(checksum_field(r, out), r->udp && checksum == 0 ? 0xffff : checksum);
    return len;
}

void packets_make_partial(const struct packet_recipe *r, uint8_t *packet, size_t len)
{
    be_write_u16(checksum_field(r, packet),
                 pseudo_sum(packet, r->udp ? UDP : TCP, len - ip_header_len(r)));
}

/* Past extension headers of eight-octet units; 0 where they run out of the packet. */
static size_t skip_extensions(struct span packet, uint8_t *protocol)
{
    size_t at = 40;
    *protocol = packet.data[6];
    while (*protocol == 0 || *protocol == 43 || *protocol == 60) {
        if (at + 8 > packet.len)
            return 0;
        *protocol = packet.data[at];
        at += 8 * ((size_t)packet.data[at + 1] + 1);
    }
    return at;
}

static const char *upper_fault(struct span packet, size_t at, uint8_t protocol)
{
    if (at > packet.len)
        return "headers beyond the end";
    const uint8_t *upper = packet.data + at;
    size_t len = packet.len - at;
    if (protocol != TCP && protocol != UDP)
        return "neither TCP nor UDP";
    if (len < (protocol == TCP ? 20 : 8))
        return "transport header cut off";
    if (protocol == TCP && ((upper[12] >> 4) < 5 || (size_t)(upper[12] >> 4) * 4 > len))
        return "TCP data offset";
    if (protocol == UDP && (size_t)(upper[4] << 8 | upper[5]) != len)
        return "UDP length";
    if (protocol == UDP && upper[6] == 0 && upper[7] == 0)
        return "UDP without a checksum";
    uint16_t sum = pseudo_sum(packet.data, protocol, len);
    return packets_sum(sum, span_make(upper, len)) == 0xffff ? NULL : "transport checksum";
}

const char *packets_fault(struct span packet)
{
    const uint8_t *ip = packet.data;
    if (packet.len > 0 && ip[0] >> 4 == 4) {
        size_t header_len = (size_t)(ip[0] & 0x0f) * 4;
        if (packet.len < 20 || header_len < 20 || header_len > packet.len)
            return "IPv4 header length";
        if ((size_t)(ip[2] << 8 | ip[3]) != packet.len)
            return "IPv4 total length";
        if ((ip[6] & 0x3f) != 0 || ip[7] != 0)
            return "a fragment";
        if (packets_sum(0, span_make(ip, header_len)) != 0xffff)
            return "IPv4 header checksum";
        return upper_fault(packet, header_len, ip[9]);
    }
    if (packet.len < 40 || ip[0] >> 4 != 6)
        return "no IP packet";
    if ((size_t)(ip[4] << 8 | ip[5]) + 40 != packet.len)
        return "IPv6 payload length";
    uint8_t protocol;
    size_t at = skip_extensions(packet, &protocol);
    return at == 0 ? "IPv6 extension headers" : upper_fault(packet, at, protocol);
}

/* splitmix64 */
uint64_t packets_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

size_t packets_below(uint64_t *state, size_t bound)
{
    return (size_t)(packets_random(state) % bound);
}
