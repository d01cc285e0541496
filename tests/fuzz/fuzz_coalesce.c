/* A batch of packets that came out of the tunnel: of a few flows, with what the input does to them,
 * and any octets. Whatever goes together, segmentation gives back what went in. */
#include <stdlib.h>
#include <string.h>

#include "common/packet/gro.h"
#include "common/packet/gso.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/packets.h"

enum { FLOWS = 4, ANY = FLOWS, PACKET_MAX = 2048, ADDED_MAX = 200 };
/* What the next octet of the input does: its lower half what, its upper half with which flow. */
enum op { SEND, SEND_SHORT, SEND_FLAGS, CHANGE, DAMAGE, RAW, OPS };

struct added {
    uint8_t *bytes, *original;
    size_t len, flow;
    bool seen;
};

static struct added added[ADDED_MAX];
static size_t added_count;
static struct gro gro;
static uint8_t payload[65536];

static void fill_payload(void)
{
    static bool filled;
    for (size_t i = 0; !filled && i < sizeof(payload); i++)
        payload[i] = (uint8_t)(i * 131 + (i >> 8));
    filled = true;
}

static void add(struct span packet, size_t flow)
{
    if (added_count == ADDED_MAX)
        return;
    struct added *a = &added[added_count++];
    *a = (struct added){fuzz_copy(packet), fuzz_copy(packet), packet.len, flow, false};
    CHECK(gro_add(&gro, a->bytes, a->len) == ERR_OK);
}

static void flow_init(struct packet_recipe *f, size_t n)
{
    *f = (struct packet_recipe){
        .v6 = n & 1,
        .udp = n & 2,
        .host = 1,
        .ttl = 64,
        .flags = PACKETS_V4_DF,
        .source_port = 443,
        .destination_port = 50000,
        .tcp_flags = PACKETS_TCP_ACK,
        .payload = span_make(payload, 100),
    };
}

static void change(struct packet_recipe *f, struct wire_reader *r)
{
    uint8_t what = wire_read_u8(r);
    uint32_t value = wire_read_u16(r);
    switch (what % 10) {
    case 0:
        f->tos = (uint8_t)value;
        break;
    case 1:
        f->ttl = (uint8_t)value;
        break;
    case 2:
        f->flags = (uint16_t)value;
        break;
    case 3:
        f->id = (uint16_t)value;
        break;
    case 4:
        f->flow_label = value;
        break;
    case 5:
        f->sequence += value << 16 | value;
        break;
    case 6:
        f->acknowledged = value;
        break;
    case 7:
        f->window = (uint16_t)value;
        break;
    case 8:
        f->payload = span_make(payload + value % 512, 1 + value % 1400);
        break;
    default:
        f->tcp_options = span_make(payload, 4 * (value % 11));
        break;
    }
}

static void send_flow(struct packet_recipe *f, size_t n, enum op op, struct wire_reader *r)
{
    static uint8_t packet[PACKET_MAX];
    struct packet_recipe now = *f;
    if (op == SEND_SHORT)
        now.payload.len = wire_read_u8(r) % (now.payload.len + 1);
    if (op == SEND_FLAGS)
        now.tcp_flags = wire_read_u8(r);
    size_t len = packets_make(&now, packet);
    if (op == DAMAGE) {
        size_t at = wire_read_u16(r);
        packet[at % len] ^= wire_read_u8(r);
    }
    /* Harm may have made it another flow's. */
    add(span_make(packet, len), op == DAMAGE ? ANY : n);
    f->id++;
    f->sequence += (uint32_t)now.payload.len;
}

/* It is one of those that were added and, of a known flow, the next. */
static void see(struct span packet)
{
    bool passed[FLOWS + 1] = {false};
    for (size_t i = 0; i < added_count; i++) {
        struct added *a = &added[i];
        if (a->seen || passed[a->flow])
            continue;
        if (a->len == packet.len &&
            (a->len == 0 || memcmp(a->original, packet.data, a->len) == 0)) {
            a->seen = true;
            return;
        }
        passed[a->flow] = a->flow != ANY;
    }
    CHECK(false && "a packet that was not sent, or out of order");
}

static void cut_again(const struct gro_write *w)
{
    uint8_t *read = malloc(w->len);
    size_t len = 0, count = 0;
    struct vnet_header v;
    struct gso g;
    struct gso_segment s;
    CHECK(read != NULL);
    for (size_t i = 0; i < w->count; i++) {
        CHECK(len + w->spans[i].len <= w->len);
        if (w->spans[i].len > 0)
            memcpy(read + len, w->spans[i].data, w->spans[i].len);
        len += w->spans[i].len;
    }
    CHECK(len == w->len && vnet_parse(span_make(read, len), &v) == ERR_OK);
    if (w->packets == 1) {
        CHECK(v.gso == VNET_GSO_NONE && !v.needs_csum);
        see(span_make(read + VNET_HEADER_LEN, len - VNET_HEADER_LEN));
        free(read);
        return;
    }
    CHECK(len <= VNET_HEADER_LEN + GRO_LEN_MAX && w->packets <= GRO_SEGMENTS_MAX);
    CHECK(gso_begin(&g, &v, read + VNET_HEADER_LEN, len - VNET_HEADER_LEN) == ERR_OK);
    CHECK(gso_left(&g) == w->packets);
    for (; gso_next(&g, &s); count++) {
        struct span packet = gso_join(&g, &s);
        CHECK(packets_fault(packet) == NULL);
        see(packet);
    }
    CHECK(count == w->packets);
    free(read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader r;
    struct packet_recipe flows[FLOWS];
    struct gro_write w;
    wire_reader_init(&r, span_make(data, size));
    uint8_t options = wire_read_u8(&r);
    fill_payload();
    gro_begin(&gro, &(struct gro_options){.tcp = options & 1, .udp = options & 2});
    for (size_t n = 0; n < FLOWS; n++)
        flow_init(&flows[n], n);
    while (wire_left(&r) > 0 && added_count < ADDED_MAX) {
        uint8_t next = wire_read_u8(&r);
        enum op op = (enum op)((next & 0x0f) % OPS);
        struct packet_recipe *f = &flows[next >> 4 & 3];
        if (f->payload.data + f->payload.len > payload + sizeof(payload) - PACKET_MAX)
            f->payload.data = payload;
        if (op == RAW)
            add(fuzz_piece(&r), ANY);
        else if (op == CHANGE)
            change(f, &r);
        else
            send_flow(f, (size_t)(f - flows), op, &r);
    }
    while (gro_next(&gro, &w))
        cut_again(&w);
    for (size_t i = 0; i < added_count; i++) {
        CHECK(added[i].seen);
        free(added[i].bytes);
        free(added[i].original);
    }
    added_count = 0;
    return 0;
}
