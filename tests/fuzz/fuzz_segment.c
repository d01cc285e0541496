/* What a TUN with IFF_VNET_HDR gives to read: a vnet header, which the first octet may mend so that
 * it agrees with the packet, and the packet. */
#include <stdlib.h>
#include <string.h>

#include "common/base/be.h"
#include "common/packet/gso.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/packets.h"

/* Bits of the first octet. */
enum { MEND_VNET = 1, MEND_LENGTHS = 2, MEND_CHECKSUM = 4, JOIN = 8 };

/* As the kernel would have it, as far as the packet is one. */
static void mend(unsigned how, struct vnet_header *v, uint8_t *packet, size_t len)
{
    struct ip_header h;
    bool v4 = len > 0 && packet[0] >> 4 == IP_V4;
    if (how & MEND_LENGTHS && len >= 40)
        be_write_u16(packet + (v4 ? 2 : 4), (uint16_t)(v4 ? len : len - 40));
    if (ip_header_parse(span_make(packet, len), &h) != ERR_OK)
        return;
    bool udp = h.protocol == 17;
    if (how & MEND_VNET) {
        v->gso = udp ? VNET_GSO_UDP_L4 : v4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6;
        v->needs_csum = true;
        v->csum_start = (uint16_t)h.header_len;
        v->csum_offset = udp ? 6 : 16;
        v->gso_size = v->gso_size == 0 ? 1 : v->gso_size;
    }
    size_t field = (size_t)v->csum_start + v->csum_offset;
    if (how & MEND_CHECKSUM && field + 2 <= len && v->csum_start >= h.header_len)
        be_write_u16(packet + field, packets_sum((uint32_t)(len - h.header_len) + h.protocol,
                                                 span_make(packet + (v4 ? 12 : 8), v4 ? 8 : 32)));
}

/* Does a segment's checksum follow from what was given? */
static bool can_tell(unsigned how, const struct vnet_header *v)
{
    return v->gso != VNET_GSO_NONE && (!v->needs_csum || how & MEND_CHECKSUM);
}

static void cut(unsigned how, const struct vnet_header *v, uint8_t *packet, size_t len)
{
    struct gso g;
    struct gso_segment s;
    uint8_t *before = fuzz_copy(span_make(packet, len));
    enum err e = gso_begin(&g, v, packet, len);
    CHECK(e == ERR_OK || e == ERR_MALFORMED || e == ERR_UNSUPPORTED || e == ERR_LIMIT);
    if (e != ERR_OK) {
        CHECK(len == 0 || memcmp(before, packet, len) == 0);
        free(before);
        return;
    }
    size_t longest = gso_packet_max(&g), at = v->gso == VNET_GSO_NONE ? 0 : len, header_len = 0;
    for (size_t left = gso_left(&g); gso_next(&g, &s); left--) {
        CHECK(gso_left(&g) == left - 1);
        if (at == len)
            at = header_len = s.header.len;
        CHECK(s.header.len == header_len && s.payload.len > 0 && at + s.payload.len <= len);
        CHECK(v->gso == VNET_GSO_NONE || (s.payload.len <= v->gso_size && header_len > 0 &&
                                          memcmp(before + at, s.payload.data, s.payload.len) == 0));
        at += s.payload.len;
        CHECK(s.header.len + s.payload.len <= longest);
        uint8_t *bytes = malloc(longest);
        CHECK(bytes != NULL);
        memcpy(bytes, s.header.data, s.header.len);
        memcpy(bytes + s.header.len, s.payload.data, s.payload.len);
        struct span copy = span_make(bytes, s.header.len + s.payload.len);
        if (how & JOIN)
            CHECK(span_equal(gso_join(&g, &s), copy));
        struct ip_header h;
        bool plain = ip_header_parse(copy, &h) == ERR_OK &&
                     h.header_len == (h.source.family == IP_V4 ? 20 : 40);
        if (can_tell(how, v) && plain)
            CHECK(packets_fault(copy) == NULL);
        free(bytes);
        if (at == len)
            CHECK(gso_left(&g) == 0);
    }
    CHECK(at == len);
    free(before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader r;
    struct vnet_header v = {0};
    wire_reader_init(&r, span_make(data, size));
    unsigned how = wire_read_u8(&r);
    struct span given = wire_read_rest(&r);
    enum err e = vnet_parse(given, &v);
    CHECK(e == ERR_OK || e == ERR_MALFORMED || e == ERR_UNSUPPORTED);
    if (given.len < VNET_HEADER_LEN)
        return 0;
    CHECK(e == ERR_OK || v.gso_size == 0); /* not written */
    if (e == ERR_OK) {
        uint8_t again[VNET_HEADER_LEN];
        vnet_write(&v, again);
        CHECK(memcmp(again, given.data, VNET_HEADER_LEN) == 0);
    } else if ((how & MEND_VNET) == 0) {
        return 0;
    }
    struct span rest = span_make(given.data + VNET_HEADER_LEN, given.len - VNET_HEADER_LEN);
    if (e != ERR_OK)
        memcpy(&v.gso_size, given.data + 4, sizeof(v.gso_size));
    uint8_t *packet = fuzz_copy(rest);
    mend(how, &v, packet, rest.len);
    uint8_t *exact = fuzz_copy(span_make(packet, rest.len));
    cut(how, &v, exact, rest.len);
    free(exact);
    free(packet);
    return 0;
}
