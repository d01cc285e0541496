/* Segmentation (GSO): one large packet of the kernel's, with its vnet header, into the packets that
 * go on the wire. Pure: no heap, no lock, no I/O.
 *
 *     struct gso g;
 *     struct gso_segment s;
 *     if (vnet_parse(read, &v) == ERR_OK && gso_begin(&g, &v, packet, len) == ERR_OK)
 *         while (gso_next(&g, &s))
 *             ...
 *
 * A segment is a header that was made for it and a payload that lies where it was: nothing is
 * copied. Who needs it in one piece takes gso_join, which copies the header alone. */
#ifndef TERN_PACKET_GSO_H
#define TERN_PACKET_GSO_H

#include "common/packet/packet.h"
#include "common/packet/vnet.h"

/* IP header with options or extension headers, TCP or UDP header with options. */
enum { GSO_HEADER_MAX = 512 };

/* The packet is the one, then the other. */
struct gso_segment {
    struct span header; /* empty where the packet is none of several: it is all payload then */
    struct span payload;
};

/* A packet that is being cut; in the caller's storage, its fields nobody else's business. */
struct gso {
    uint8_t header[GSO_HEADER_MAX];
    size_t header_len, upper_at; /* octets; upper_at: where TCP or UDP begins */
    uint8_t *payload;            /* of the segment that comes next */
    size_t left;                 /* octets from there */
    size_t size;                 /* payload octets of every segment but the last */
    uint8_t *joint;              /* where the last segment's payload lies */
    bool is_v4, is_tcp, is_first;
    uint16_t id;
    uint32_t sequence;
    uint8_t tcp_flags;
    uint32_t ip_sum, upper_sum; /* of all that stays the same from one segment to the next */
};

/* packet: the len octets behind the vnet header. The buffer belongs to g, which may write there,
 * until the last segment has been taken. Without GSO the packet comes out as the one segment, its
 * checksum finished where the header asks for it.
 * ERR_MALFORMED where the packet and the header do not agree, or the packet is none that could be
 * cut (fragments, SYN, no payload, other lengths than its own headers say); ERR_UNSUPPORTED where
 * its checksum has no pseudo-header to start from and an option may have changed that;
 * ERR_LIMIT where its headers are longer than GSO_HEADER_MAX. Then the buffer is untouched. */
CHECKED enum err gso_begin(struct gso *g, const struct vnet_header *v, uint8_t *packet, size_t len);

/* Segments still to come, and the longest packet that they make, octets. */
size_t gso_left(const struct gso *g);
size_t gso_packet_max(const struct gso *g);

/* The next segment; false where there is none. It is good until the next call: the header lies in
 * *g, the payload in the packet's buffer. */
bool gso_next(struct gso *g, struct gso_segment *ret);

/* The segment that gso_next gave last in one run of octets, its header put in front of its payload,
 * over what earlier segments left there. Good until the buffer is used again or a later segment is
 * joined. */
struct span gso_join(struct gso *g, const struct gso_segment *s);

#endif
