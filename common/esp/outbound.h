/* What the kernel gives in one piece, into ESP datagrams that leave in one piece: segments are cut,
 * sealed, and laid one behind the other, so that datagrams of equal length make a train (UDP GSO).
 * Pure: no heap, no clock, no I/O. Payloads are not copied: they are read where the kernel put them
 * and sealed to where they leave from. */
#ifndef TERN_ESP_OUTBOUND_H
#define TERN_ESP_OUTBOUND_H

#include "common/esp/tunnel.h"
#include "common/packet/gso.h"

enum {
    OUTBOUND_TRAINS_MAX = 64,
    OUTBOUND_DATAGRAMS_MAX = 64, /* of a train */
    OUTBOUND_TRAIN_LEN_MAX = 65000,
    OUTBOUND_LEN = 256 * 1024 /* three frames of 64 KiB, cut as usual */
};

/* Datagrams of equal length, but for the last, which may be shorter. */
struct outbound_train {
    uint8_t *data;
    size_t len;     /* octets of all */
    size_t segment; /* of each */
    size_t count;
    uint8_t tos; /* that the outer header is to carry */
};

/* In the caller's storage; trains and count are read, the rest is nobody else's business. */
struct outbound {
    struct outbound_train trains[OUTBOUND_TRAINS_MAX];
    size_t count;
    size_t packets; /* sealed since the beginning of the batch */
    size_t used;    /* octets of bytes */
    struct gso gso;
    uint8_t bytes[OUTBOUND_LEN];
};

/* An empty batch; what was in it must have left. */
void outbound_begin(struct outbound *o);

/* A vnet header and a packet, as a TUN gives them; the buffer is written over. *ret_dropped:
 * packets that could not be sealed (the tunnel counts why). ERR_MALFORMED and gso_begin's own
 * errors where the frame makes no sense. ERR_LIMIT where there is no more room: some of it is
 * sealed; send what there is, begin anew, and go on with outbound_resume. */
CHECKED enum err outbound_add(struct outbound *o, struct tunnel *t, uint8_t *frame, size_t len,
                              size_t *ret_dropped);
CHECKED enum err outbound_resume(struct outbound *o, struct tunnel *t, size_t *ret_dropped);

#endif
