/* The header before every packet of a TUN that was opened with IFF_VNET_HDR: struct virtio_net_hdr
 * of Linux's <linux/virtio_net.h> (VIRTIO 1.2 5.1.6), ten octets in the machine's own byte order.
 * It says what is left to do to the packet behind it: a checksum to finish, segments to cut. */
#ifndef TERN_PACKET_VNET_H
#define TERN_PACKET_VNET_H

#include "common/base/err.h"
#include "common/base/span.h"

enum { VNET_HEADER_LEN = 10 };

/* Values of gso_type. UFO (3) is not among them: nothing asks for it, and Linux has given it up. */
enum vnet_gso {
    VNET_GSO_NONE = 0,
    VNET_GSO_TCPV4 = 1,
    VNET_GSO_TCPV6 = 4,
    VNET_GSO_UDP_L4 = 5 /* either family */
};

struct vnet_header {
    enum vnet_gso gso;
    bool ecn;             /* TCP alone: CWR may be set in what is to be cut */
    bool needs_csum;      /* the field at csum_start + csum_offset holds the folded sum of the
                           * pseudo-header alone */
    bool data_valid;      /* the checksum was verified, or never left this machine */
    uint16_t hdr_len;     /* all headers, octets; a hint, and wrong on forwarded packets */
    uint16_t gso_size;    /* payload octets of every segment but the last; 0 without GSO */
    uint16_t csum_start;  /* from the IP header's start, octets; 0 without needs_csum */
    uint16_t csum_offset; /* from there */
};

/* bytes: what was read, of which the header is the beginning. ERR_MALFORMED where it is shorter
 * than a header, or its fields contradict each other; ERR_UNSUPPORTED for flags and kinds of GSO
 * that were not asked for. Whether it agrees with the packet is gso_begin's to see. */
CHECKED enum err vnet_parse(struct span bytes, struct vnet_header *ret);
void vnet_write(const struct vnet_header *h, uint8_t out[VNET_HEADER_LEN]);

#endif
