/* Seeds of what a TUN with IFF_VNET_HDR gives and takes. */
#include <stddef.h>

#include "common/packet/vnet.h"
#include "tests/fuzz/seeds.h"
#include "tests/support/packets.h"

enum { SEED_MAX = 2048 };

static uint8_t seed[SEED_MAX], packet[SEED_MAX], payload[SEED_MAX];

static const uint8_t timestamps[] = {1, 1, 8, 10, 0, 1, 2, 3, 4, 5, 6, 7};
static const uint8_t router_alert[] = {0x94, 4, 0, 0};
static const uint8_t extension_tcp[] = {6, 0, 1, 4, 0, 0, 0, 0};

static struct packet_recipe recipe(unsigned n)
{
    struct packet_recipe r = {
        .v6 = n & 1,
        .udp = n & 2,
        .ttl = 64,
        .flags = PACKETS_V4_DF,
        .source_port = 443,
        .destination_port = 50000,
        .tcp_flags = n & 8 ? 0xd9 : PACKETS_TCP_ACK,
        .payload = span_make(payload, 300),
    };
    if (n & 4) {
        r.options = r.v6 ? SPAN_OF(extension_tcp) : SPAN_OF(router_alert);
        r.first_extension = 60;
        r.udp = false;
    }
    if (n & 8)
        r.tcp_options = SPAN_OF(timestamps);
    return r;
}

/* Whole, with a checksum to finish, to be cut; as given, and mended. */
static void segment_seeds(void)
{
    for (unsigned n = 0; n < 32; n++) {
        struct packet_recipe r = recipe(n & 15);
        struct wire_writer w;
        size_t len = packets_make(&r, packet), upper_at = (r.v6 ? 40u : 20u) + r.options.len;
        struct vnet_header v = {.csum_start = (uint16_t)upper_at, .csum_offset = r.udp ? 6 : 16};
        uint8_t bytes[VNET_HEADER_LEN];
        v.needs_csum = n % 3 != 0;
        if (v.needs_csum)
            packets_make_partial(&r, packet, len);
        if (n & 16) {
            v.gso = r.udp ? VNET_GSO_UDP_L4 : r.v6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
            v.gso_size = n & 1 ? 100 : 77;
            v.data_valid = !v.needs_csum;
        }
        vnet_write(&v, bytes);
        wire_writer_init(&w, seed, sizeof(seed));
        wire_write_u8(&w, (uint8_t)(n % 2 == 0 ? 4 : 15));
        wire_write_span(&w, SPAN_OF(bytes));
        wire_write_span(&w, span_make(packet, len));
        CHECK(wire_write_finish(&w) == ERR_OK);
        seed_write("segment", "read", n, wire_written(&w));
    }
}

static void coalesce_seeds(void)
{
    /* of each flow in turns; short, with PSH, with a change of each kind, harmed */
    static const uint8_t turns[] = {3, 0,    0x10, 0x20, 0x30, 0,    0x10, 0x20, 0x30,
                                    0, 0x10, 0x20, 0x30, 0,    0x10, 0x20, 0x30};
    static const uint8_t shorts[] = {3, 0, 0, 1, 7, 0, 0, 0x20, 0x20, 0x21, 9, 0x20, 0x20, 1, 0, 0};
    static const uint8_t flags[] = {3, 0, 0, 2, 0x18, 0, 0, 2, 0x11, 0, 2, 0x50, 2, 0x50, 2, 2, 0};
    static const uint8_t changes[] = {
        3, 0, 0, 3, 0, 0, 9, 0,    0, 3,    1, 0, 9, 0, 0,    3,    2, 0, 0, 0, 0, 3,    2, 0x20, 0,
        0, 0, 3, 3, 1, 1, 0, 0x10, 0, 0x13, 4, 1, 1, 0, 0x10, 0x10, 3, 5, 0, 1, 0, 0,    3, 6,    0,
        1, 0, 0, 3, 7, 9, 9, 0,    0, 3,    8, 5, 0, 0, 0,    3,    9, 0, 3, 0, 0, 0x20, 0};
    static const uint8_t harm[] = {3, 0, 0, 4, 0, 60, 1, 0, 0, 4, 0, 9, 1, 0, 0, 4, 0, 33, 8, 0};
    seed_write("coalesce", "turns", 0, SPAN_OF(turns));
    seed_write("coalesce", "shorts", 0, SPAN_OF(shorts));
    seed_write("coalesce", "flags", 0, SPAN_OF(flags));
    seed_write("coalesce", "changes", 0, SPAN_OF(changes));
    seed_write("coalesce", "harm", 0, SPAN_OF(harm));
    for (unsigned n = 0; n < 16; n++) {
        struct packet_recipe r = recipe(n);
        struct wire_writer w;
        wire_writer_init(&w, seed, sizeof(seed));
        wire_write_u8(&w, 3);
        for (unsigned i = 0; i < 3; i++) {
            r.payload = span_make(payload, 50);
            size_t len = packets_make(&r, packet);
            wire_write_u8(&w, 5);
            wire_write_u16(&w, (uint16_t)len);
            wire_write_span(&w, span_make(packet, len));
            r.id++;
            r.sequence += 50;
        }
        CHECK(wire_write_finish(&w) == ERR_OK);
        seed_write("coalesce", "raw", n, wire_written(&w));
    }
}

void seeds_of_offloads(void)
{
    segment_seeds();
    coalesce_seeds();
}
