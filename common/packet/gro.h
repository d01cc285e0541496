/* Coalescing (GRO): packets that arrived in one batch, into as few writes to a TUN with
 * IFF_VNET_HDR as they make. Pure: no heap, no lock, no I/O, no time. Nothing waits for a next
 * batch.
 *
 *     gro_begin(&g, &options);
 *     for each packet
 *         if (gro_add(&g, packet, len) != ERR_OK)
 *             ... take all writes out, and add it again
 *     while (gro_next(&g, &w))
 *         writev(tun, w.spans, w.count)
 *
 * What is written together has headers that differ in nothing but what segmentation (gso.h) counts
 * up, so that the kernel, or who cuts it again, has the very same packets. Packets of one flow keep
 * their order; flows may pass each other by. */
#ifndef TERN_PACKET_GRO_H
#define TERN_PACKET_GRO_H

#include "common/base/err.h"
#include "common/packet/vnet.h"

enum {
    GRO_PACKETS_MAX = 512, /* of one batch */
    GRO_FLOWS_MAX = 16,    /* open at once; one more closes another */
    GRO_SEGMENTS_MAX = 64, /* of one write; Linux's own for UDP */
    GRO_LEN_MAX = 65535    /* of one write without the vnet header, octets */
};

struct gro_options {
    bool tcp, udp; /* what is coalesced at all: what the TUN takes (UDP: Linux 6.2) */
    /* IPv4 with DF: the identification need not count up by one. Such a packet is never in
     * fragments, so its identification says nothing (RFC 6864 4.1), and many senders leave it at
     * zero; cut again it has another one. */
    bool any_id;
};

/* A packet of the batch, or the first of several that go together. */
struct gro_packet {
    uint8_t *bytes;
    uint32_t len;        /* octets */
    uint32_t total_len;  /* with the payloads of those that were appended */
    uint16_t next, last; /* of those that go together, by index */
    uint16_t count;      /* of them; 0: appended to another */
    uint8_t upper_at, header_len;
    bool is_v4, is_tcp;
    bool verified; /* its checksums */
    bool closed;   /* nothing may follow: PSH, or a shorter payload */
};

struct gro_flow {
    uint32_t hash;
    uint16_t head; /* the packet to which the flow's next may be appended, by index */
};

/* In the caller's storage, its fields nobody else's business. */
struct gro {
    struct gro_options options;
    size_t count, taken;
    size_t flow_count, flow_replaced; /* the latter: next, where all are in use */
    struct gro_flow flows[GRO_FLOWS_MAX];
    struct gro_packet packets[GRO_PACKETS_MAX];
    uint8_t vnet[VNET_HEADER_LEN];
};

/* One write: the vnet header, a packet, and the payloads of those that follow. */
struct gro_write {
    struct span spans[1 + GRO_SEGMENTS_MAX];
    size_t count;   /* of spans */
    size_t packets; /* how many it stands for */
    size_t len;     /* octets of all spans */
};

/* An empty batch. */
void gro_begin(struct gro *g, const struct gro_options *o);

/* The next packet of the batch, whatever it is. Its buffer is borrowed until the batch has been
 * taken out; its headers may be written over then. ERR_LIMIT where the batch is full. */
CHECKED enum err gro_add(struct gro *g, uint8_t *packet, size_t len);

/* The next write, good until the next call; false where there is none, and the batch empty again.
 * No packet may be added in between. */
bool gro_next(struct gro *g, struct gro_write *ret);

#endif
