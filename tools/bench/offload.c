/* bench_offload [MILLISECONDS]: what segmentation, coalescing and the checksum cost on this
 * processor, in nanoseconds a packet and gigabytes of packets a second. Each line is the best of
 * many short runs, that many milliseconds in all (default 300): what the code costs, not what else
 * the machine had to do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/wire.h"
#include "common/packet/gro.h"
#include "common/packet/gso.h"
#include "common/packet/protocol.h"

enum {
    LARGE_MAX = 65535,
    LARGE_COUNT = 8, /* half a megabyte: beyond the first cache, as what the kernel wrote */
    PACKET_ROOM = 2048,
    HEADER_ROOM = 128,
    RESTORED = 64, /* the headers, and no more than any packet has */
    BATCH = 256,
    HEADROOM = 24
};

static uint8_t large[LARGE_COUNT][LARGE_MAX + 1];
static size_t large_len;
static struct vnet_header vnet;
static uint8_t packets[BATCH][PACKET_ROOM], headers[BATCH][HEADER_ROOM];
static size_t packet_lens[BATCH];
static uint8_t slots[BATCH][PACKET_ROOM];
static struct gro gro;
static size_t size_of_sum;
static volatile uint32_t sink; /* keeps results from being thought useless */
static double budget_ns = 300e6;

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* What one call of a run dealt with. */
struct amount {
    size_t packets, octets;
};

static void measure(const char *name, struct amount (*run)(void))
{
    double best = 0, started = now_ns();
    struct amount a = run(); /* warms up */
    do {
        double t = now_ns();
        a = run();
        t = now_ns() - t;
        best = best == 0 || t < best ? t : best;
    } while (now_ns() - started < budget_ns);
    printf("%-44s %8.1f ns/packet %7.2f GB/s\n", name, best / (double)a.packets,
           (double)a.octets / best);
}

/* --- a large packet --- */

/* Of TCP with timestamps, or of UDP, as the kernel gives it. */
static size_t write_large(uint8_t *out, bool v6, bool udp, uint16_t port, size_t len)
{
    struct wire_writer w;
    size_t upper_at = v6 ? IPV6_HEADER_LEN : IPV4_HEADER_LEN, upper_len = len - upper_at;
    uint8_t protocol = udp ? PROTOCOL_UDP : PROTOCOL_TCP;
    wire_writer_init(&w, out, len);
    wire_write_u32(&w, v6 ? 0x60000000 : 0x45000000 | (uint32_t)len);
    wire_write_u32(&w, v6 ? (uint32_t)upper_len << 16 | (uint32_t)protocol << 8 | 64 : 0x4000);
    if (!v6)
        wire_write_u32(&w, 0x40000000 | (uint32_t)protocol << 16);
    for (size_t i = 0; i < (v6 ? 8 : 2); i++)
        wire_write_u32(&w, 0x0a090001 + (uint32_t)i);
    wire_write_u16(&w, port);
    wire_write_u16(&w, 443);
    if (udp) {
        wire_write_u32(&w, (uint32_t)upper_len << 16);
    } else {
        wire_write_u64(&w, 0x1234567887654321);
        wire_write_u32(&w, 0x80100fff);
        wire_write_u32(&w, 0);
        wire_write_u64(&w, 0x0101080a00112233);
        wire_write_u32(&w, 0x44556677);
    }
    size_t header_len = w.len;
    while (w.len < len)
        wire_write_u8(&w, (uint8_t)(w.len * 131 + (w.len >> 8)));
    uint16_t csum_offset = udp ? 6 : 16;
    struct span addresses = span_make(out + (v6 ? 8 : 12), v6 ? 32 : 8);
    wire_patch_u16(&w, upper_at + csum_offset,
                   checksum_fold(checksum_pseudo(addresses, protocol, upper_len)));
    vnet.gso = udp ? VNET_GSO_UDP_L4 : v6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
    vnet.needs_csum = true;
    vnet.csum_start = (uint16_t)upper_at;
    vnet.csum_offset = csum_offset;
    return header_len;
}

static void prepare_large(bool v6, bool udp, size_t packet_len)
{
    large_len = LARGE_MAX;
    for (uint16_t i = 0; i < LARGE_COUNT; i++) {
        size_t header_len = write_large(large[i], v6, udp, i, large_len);
        vnet.gso_size = (uint16_t)(packet_len - header_len);
        memcpy(headers[i], large[i], HEADER_ROOM);
    }
}

static void must(bool condition)
{
    if (!condition) {
        fprintf(stderr, "bench_offload: its own packets are not taken\n");
        exit(EXIT_FAILURE);
    }
}

/* --- segmentation --- */

static struct amount segment(size_t i, struct amount a, bool join, bool copy)
{
    struct gso g;
    struct gso_segment s;
    uint32_t sum = 0;
    memcpy(large[i], headers[i], HEADER_ROOM); /* joined, it was written over */
    must(gso_begin(&g, &vnet, large[i], large_len) == ERR_OK);
    for (size_t n = 0; gso_next(&g, &s); n++) {
        struct packet p = {.data = slots[n % BATCH], .cap = PACKET_ROOM, .start = HEADROOM};
        if (join)
            sum += gso_join(&g, &s).data[0];
        if (copy)
            must(gso_copy(&s, &p) == ERR_OK);
        sum += s.header.data[10];
        a.packets++;
        a.octets += s.header.len + s.payload.len;
    }
    sink += sum;
    return a;
}

static struct amount run_spans(void)
{
    struct amount a = {0, 0};
    for (size_t i = 0; i < LARGE_COUNT; i++)
        a = segment(i, a, false, false);
    return a;
}

static struct amount run_join(void)
{
    struct amount a = {0, 0};
    for (size_t i = 0; i < LARGE_COUNT; i++)
        a = segment(i, a, true, false);
    return a;
}

static struct amount run_copy(void)
{
    struct amount a = {0, 0};
    for (size_t i = 0; i < LARGE_COUNT; i++)
        a = segment(i, a, false, true);
    return a;
}

/* --- coalescing --- */

/* BATCH packets of that many flows, which come in turns; cut from large packets. */
static void prepare_batch(bool udp, size_t packet_len, size_t flows)
{
    struct gso g[LARGE_COUNT];
    struct gso_segment s;
    for (size_t n = 0; n < BATCH; n++) {
        size_t flow = n % flows;
        if (n / flows % 40 == 0) { /* a large packet has that many of the longest ones */
            size_t header_len =
                write_large(large[flow], false, udp, (uint16_t)flow, 41 * packet_len);
            vnet.gso_size = (uint16_t)(packet_len - header_len);
            must(gso_begin(&g[flow], &vnet, large[flow], 41 * packet_len) == ERR_OK);
        }
        struct packet p = {.data = packets[n], .cap = PACKET_ROOM};
        must(gso_next(&g[flow], &s) && gso_copy(&s, &p) == ERR_OK);
        packet_lens[n] = p.len;
        memcpy(headers[n], packets[n], HEADER_ROOM);
    }
}

static size_t write_count;

static struct amount run_coalesce(void)
{
    struct gro_write w;
    struct amount a = {0, 0};
    gro_begin(&gro, &(struct gro_options){.tcp = true, .udp = true});
    for (size_t n = 0; n < BATCH; n++) {
        memcpy(packets[n], headers[n], RESTORED); /* the first of several was written over */
        must(gro_add(&gro, packets[n], packet_lens[n]) == ERR_OK);
        a.packets++;
        a.octets += packet_lens[n];
    }
    write_count = 0;
    for (; gro_next(&gro, &w); write_count++)
        sink += w.spans[0].data[0] + (uint32_t)w.count;
    return a;
}

static void measure_coalesce(const char *what, bool udp, size_t packet_len, size_t flows)
{
    char name[64];
    prepare_batch(udp, packet_len, flows);
    (void)run_coalesce();
    snprintf(name, sizeof(name), "coalesce %s (%d to %zu)", what, BATCH, write_count);
    measure(name, run_coalesce);
}

/* --- the checksum --- */

static struct amount run_checksum(void)
{
    uint32_t sum = 0;
    struct amount a = {0, 0};
    for (size_t at = 0; at + size_of_sum <= LARGE_MAX; at += size_of_sum) {
        sum += checksum_add(0, span_make(large[0] + at, size_of_sum));
        a.packets++;
        a.octets += size_of_sum;
    }
    sink += sum;
    return a;
}

static void measure_segments(const char *what, bool v6, bool udp)
{
    static const struct {
        const char *name;
        struct amount (*run)(void);
    } ways[] = {{"header and payload apart", run_spans},
                {"joined in place", run_join},
                {"copied", run_copy}};
    prepare_large(v6, udp, 1400);
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        char name[64];
        snprintf(name, sizeof(name), "segment %s, 1400: %s", what, ways[i].name);
        measure(name, ways[i].run);
    }
}

int main(int argc, char **argv)
{
    static const size_t sums[] = {64, 576, 1400, 65535};
    if (argc > 2 || (argc == 2 && atof(argv[1]) <= 0)) {
        fprintf(stderr, "usage: bench_offload [MILLISECONDS]\n");
        return EXIT_FAILURE;
    }
    if (argc == 2)
        budget_ns = atof(argv[1]) * 1e6;
    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
        char name[64];
        size_of_sum = sums[i];
        snprintf(name, sizeof(name), "checksum of %zu octets", size_of_sum);
        measure(name, run_checksum);
    }
    measure_segments("TCP/IPv4", false, false);
    measure_segments("TCP/IPv6", true, false);
    measure_segments("UDP/IPv4", false, true);
    measure_coalesce("TCP/IPv4, 1400, a flow", false, 1400, 1);
    measure_coalesce("TCP/IPv4, 1400, 8 flows", false, 1400, 8);
    measure_coalesce("UDP/IPv4, 1400, a flow", true, 1400, 1);
    measure_coalesce("UDP/IPv4, 64, a flow", true, 64, 1);
    return EXIT_SUCCESS;
}
