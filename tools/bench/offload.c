/* bench_offload [MILLISECONDS [LINE]]: what segmentation, coalescing and the checksum cost on this
 * processor, in nanoseconds a packet and gigabytes of packets a second; then the whole way of a
 * packet but for the system calls, both ways, and the AEAD's part of it. Each line is the best of
 * many short runs, that many milliseconds in all (default 300): what the code costs, not what else
 * the machine had to do. LINE: only those whose name contains it.
 *
 * In instructions, which do not depend on what else the machine does:
 *     valgrind --tool=callgrind --toggle-collect=run_outwards bench_offload 0.001 outwards
 * (or run_inwards, inwards): two runs are made then, of PATH_FRAMES large packets each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/wire.h"
#include "common/esp/outbound.h"
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
    PATH_FRAMES = 3, /* what one batch holds */
    PATH_PACKET = 1400,
    OPENED = 128 /* packets that are opened at once, as in client/datapath.c */
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
static const char *wanted; /* NULL: all lines */

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

/* prepare: what a run needs each time, and is not part of it; NULL: nothing. */
static void measure_prepared(const char *name, void (*prepare)(void), struct amount (*run)(void))
{
    double best = 0, started = now_ns();
    if (wanted != NULL && strstr(name, wanted) == NULL)
        return;
    if (prepare != NULL)
        prepare();
    struct amount a = run(); /* warms up */
    do {
        if (prepare != NULL)
            prepare();
        double t = now_ns();
        a = run();
        t = now_ns() - t;
        best = best == 0 || t < best ? t : best;
    } while (now_ns() - started < budget_ns);
    printf("%-44s %8.1f ns/packet %7.2f GB/s\n", name, best / (double)a.packets,
           (double)a.octets / best);
}

static void measure(const char *name, struct amount (*run)(void))
{
    measure_prepared(name, NULL, run);
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

static struct amount segment(size_t i, struct amount a, bool join)
{
    struct gso g;
    struct gso_segment s;
    uint32_t sum = 0;
    memcpy(large[i], headers[i], HEADER_ROOM); /* joined, it was written over */
    must(gso_begin(&g, &vnet, large[i], large_len) == ERR_OK);
    while (gso_next(&g, &s)) {
        if (join)
            sum += gso_join(&g, &s).data[0];
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
        a = segment(i, a, false);
    return a;
}

static struct amount run_join(void)
{
    struct amount a = {0, 0};
    for (size_t i = 0; i < LARGE_COUNT; i++)
        a = segment(i, a, true);
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
        must(gso_next(&g[flow], &s));
        struct span packet = gso_join(&g[flow], &s);
        memcpy(packets[n], packet.data, packet.len);
        packet_lens[n] = packet.len;
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
    } ways[] = {{"header and payload apart", run_spans}, {"joined in place", run_join}};
    prepare_large(v6, udp, 1400);
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        char name[64];
        snprintf(name, sizeof(name), "segment %s, 1400: %s", what, ways[i].name);
        measure(name, ways[i].run);
    }
}

/* --- the whole way --- */

static struct tunnel *tunnel;
static struct outbound outbound;
static uint8_t frame[VNET_HEADER_LEN + LARGE_MAX];
static const struct aead_suite suite = {ENCR_AES_GCM_16, 256, INTEG_NONE};

/* To itself. */
static struct tunnel *loop_tunnel(void)
{
    struct tunnel_child_parameters p = {.in = {.spi = 0x1001, .suite = suite}};
    struct tunnel *t;
    struct prefix all;
    aead_key_lens(&suite, &p.in.enc_key.len, &p.in.integ_key.len);
    p.out = p.in;
    must(prefix_parse("0.0.0.0/0", &all) == ERR_OK);
    struct selector any = selector_from_prefix(&all);
    must(selector_list_add(&p.local, &any) == ERR_OK &&
         selector_list_add(&p.remote, &any) == ERR_OK);
    must(tunnel_new(&t) == ERR_OK && tunnel_add_child(t, &p) == ERR_OK);
    return t;
}

/* As the TUN gives it; sealed, it was written over. */
static void write_frame(size_t i)
{
    vnet_write(&vnet, frame);
    memcpy(frame + VNET_HEADER_LEN, large[i], large_len);
}

static void prepare_outwards(void)
{
    outbound_begin(&outbound);
    write_frame(0);
}

/* The same frame again and again: what lies in it makes no difference but for its header. */
static __attribute__((noinline)) struct amount run_outwards(void)
{
    size_t dropped;
    for (size_t i = 0; i < PATH_FRAMES; i++) {
        memcpy(frame + VNET_HEADER_LEN, headers[0], HEADER_ROOM);
        must(outbound_add(&outbound, tunnel, frame, VNET_HEADER_LEN + large_len, &dropped) ==
             ERR_OK);
    }
    return (struct amount){outbound.packets, PATH_FRAMES * large_len};
}

static void prepare_inwards(void)
{
    size_t dropped;
    outbound_begin(&outbound);
    for (size_t i = 0; i < PATH_FRAMES; i++) {
        write_frame(i);
        must(outbound_add(&outbound, tunnel, frame, VNET_HEADER_LEN + large_len, &dropped) ==
             ERR_OK);
    }
}

static void open_packets(struct packet *opened, size_t count)
{
    static struct tunnel_result results[OPENED];
    tunnel_open(tunnel, opened, results, count);
    for (size_t i = 0; i < count; i++)
        must(results[i].err == ERR_OK &&
             gro_add(&gro, packet_bytes(&opened[i]), opened[i].len) == ERR_OK);
}

/* What was sealed comes back. */
static __attribute__((noinline)) struct amount run_inwards(void)
{
    static struct packet opened[OPENED];
    size_t count = 0;
    struct gro_write w;
    gro_begin(&gro, &(struct gro_options){.tcp = true, .udp = true, .any_id = true});
    for (size_t i = 0; i < outbound.count; i++) {
        const struct outbound_train *t = &outbound.trains[i];
        for (size_t at = 0; at < t->len; at += t->segment) {
            size_t len = t->len - at < t->segment ? t->len - at : t->segment;
            if (count == OPENED) {
                open_packets(opened, count);
                count = 0;
            }
            opened[count++] = (struct packet){.data = t->data + at, .cap = len, .len = len};
        }
    }
    open_packets(opened, count);
    while (gro_next(&gro, &w))
        sink += (uint32_t)w.count;
    return (struct amount){outbound.packets, PATH_FRAMES * large_len};
}

/* --- the AEAD alone --- */

static struct aead *aead;

static struct amount run_seal(void)
{
    struct amount a = {0, 0};
    for (size_t n = 0; n < BATCH; n++) {
        aead_write_iv(aead, n, slots[n] + 8);
        must(aead_seal(aead, slots[n], 8, PATH_PACKET, NULL) == ERR_OK);
        a.packets++;
        a.octets += PATH_PACKET;
    }
    return a;
}

static void prepare_open(void)
{
    (void)run_seal();
}

static struct amount run_open(void)
{
    struct amount a = {0, 0};
    size_t text_len;
    for (size_t n = 0; n < BATCH; n++) {
        must(aead_open(aead, slots[n], 8 + 8 + PATH_PACKET + 16, 8, NULL, &text_len) == ERR_OK);
        a.packets++;
        a.octets += text_len;
    }
    return a;
}

static void measure_path(void)
{
    uint8_t key[64] = {0};
    size_t enc_len, integ_len;
    aead_key_lens(&suite, &enc_len, &integ_len);
    must(aead_new(&suite, span_make(key, enc_len), span_make(key, 0), &aead) == ERR_OK);
    tunnel = loop_tunnel();
    prepare_large(false, false, PATH_PACKET);
    measure_prepared("outwards: frame to trains, AES-256-GCM", prepare_outwards, run_outwards);
    measure_prepared("inwards: trains to frames, AES-256-GCM", prepare_inwards, run_inwards);
    measure("AES-256-GCM alone, 1400 octets: seal", run_seal);
    measure_prepared("AES-256-GCM alone, 1400 octets: open", prepare_open, run_open);
    tunnel_free(tunnel);
    aead_free(aead);
}

int main(int argc, char **argv)
{
    static const size_t sums[] = {64, 576, 1400, 65535};
    if (argc > 3 || (argc > 1 && atof(argv[1]) <= 0)) {
        fprintf(stderr, "usage: bench_offload [MILLISECONDS [LINE]]\n");
        return EXIT_FAILURE;
    }
    if (argc > 1)
        budget_ns = atof(argv[1]) * 1e6;
    wanted = argc > 2 ? argv[2] : NULL;
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
    measure_path();
    return EXIT_SUCCESS;
}
