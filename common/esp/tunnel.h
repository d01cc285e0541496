/* The tunnel: which Child SA a packet takes, and whether what arrives may enter (RFC
 * 4301 5.1, 5.2). Holds a few Child SAs at once, so that a new one listens before the old one is
 * gone.
 *
 * One thread controls it: all functions but those that say otherwise. Sealing may have another
 * thread, and opening a third; nothing they do locks or waits, and a child that control has removed
 * is freed, its keys wiped, when neither can be using it any more: at once, or by a later call of
 * tunnel_expiring or of those that add and remove. */
#ifndef TERN_ESP_TUNNEL_H
#define TERN_ESP_TUNNEL_H

#include "common/esp/esp.h"

struct tunnel_child_parameters {
    struct esp_parameters in, out;
    struct selector_list local, remote; /* what may leave from, and what may be reached */
    /* The child that this one succeeds, 0: none. With outbound_waits nothing is sealed with it
     * until one of its packets has been opened, or its predecessor is drained or removed: before,
     * the peer may not have it yet (RFC 7296 2.8). */
    uint32_t replaces_spi_in;
    bool outbound_waits;
    bool copy_dscp; /* into the outer header, where it is 0 otherwise (RFC 4301 5.1.2) */
    /* Outbound: at the soft bounds tunnel_expiring tells of it, beyond the hard ones nothing is
     * sealed. Bytes are inner octets. 0: none. */
    uint64_t soft_bytes, hard_bytes, soft_packets, hard_packets;
};

struct tunnel_child_status {
    uint32_t spi_in, spi_out;
    struct esp_counters in, out;
};

enum { TUNNEL_CHILDREN_MAX = 16 };

struct tunnel;

CHECKED enum err tunnel_new(struct tunnel **ret);
/* Nobody seals or opens any more. NULL is fine. */
void tunnel_free(struct tunnel *t);

/* The newest child whose selectors match carries outbound traffic. ERR_LIMIT, ERR_MEMORY,
 * ERR_STATE where that inbound SPI is taken, and esp_out_new's own errors. */
CHECKED enum err tunnel_add_child(struct tunnel *t, const struct tunnel_child_parameters *p);
/* Both by the inbound SPI. ERR_NOT_FOUND. Drained, it seals nothing more and still opens. (What
 * another thread is sealing just then may be the last.) */
CHECKED enum err tunnel_drain_child(struct tunnel *t, uint32_t spi_in);
CHECKED enum err tunnel_remove_child(struct tunnel *t, uint32_t spi_in);
size_t tunnel_children(const struct tunnel *t);
CHECKED enum err tunnel_child_status(const struct tunnel *t, uint32_t spi_in,
                                     struct tunnel_child_status *ret);

/* A child that has reached a soft bound since it was last asked for: true once for each. */
bool tunnel_expiring(struct tunnel *t, uint32_t *ret_spi_in);
/* May tunnel_expiring have something to tell? For the thread that seals. */
bool tunnel_may_expire(const struct tunnel *t);
/* Is there any child that seals at all? */
bool tunnel_can_seal(const struct tunnel *t);

/* Of a sealing thread, around all that it seals at once, routes included; where control has the
 * same thread neither is needed. */
void tunnel_seal_begin(struct tunnel *t);
void tunnel_seal_end(struct tunnel *t);

/* Which child an inner packet takes, and with it all that have the same addresses, protocol, ports
 * and TOS octet, as the segments of a large packet have. Good until a child is added, drained or
 * removed. */
struct tunnel_route {
    enum err err; /* ERR_OK; ERR_SELECTOR where no child's selectors match, or ip_header_parse's
                   * own: then tunnel_seal only counts, and returns it */
    struct child *child; /* the tunnel's; NULL: none */
    uint32_t spi;        /* of its outbound SA; 0: none */
    size_t front;        /* octets that come before the inner packet, ESP_HEADROOM at most */
    uint8_t tos;         /* that the outer header is to carry */
};
struct tunnel_route tunnel_route(const struct tunnel *t, struct span inner);

/* An inner packet to the ESP packet *p, as esp_seal does it and with its errors; ERR_EXHAUSTED also
 * beyond a hard bound of the child. p->tos is then what the outer header is to carry. */
CHECKED enum err tunnel_seal(struct tunnel *t, const struct tunnel_route *r, struct span inner,
                             struct packet *p);

/* One result per packet of a batch; packets are changed in place. */
struct tunnel_result {
    enum err err; /* ERR_OK: the packet is ready; anything else: it is dropped */
    uint32_t spi; /* of the SA that was used; 0 where none matched */
};

/* ESP packets to inner packets; each one's tos is what its outer header carried. ERR_NOT_FOUND for
 * an unknown SPI, ERR_SELECTOR after decryption where the inner packet lies outside the child's
 * selectors, ERR_REFUSED where it was marked as congested and inside knows no ECN, and esp_open's
 * own errors. A dummy packet gives ERR_NOT_FOUND with its SPI set. */
void tunnel_open(struct tunnel *t, struct packet *packets, struct tunnel_result *results,
                 size_t count);

/* Totals over living and removed children, for any thread. `authentic` counts every ESP packet that
 * verified, the liveness signal for dead peer detection. */
struct tunnel_counters {
    struct esp_counters in, out;
    uint64_t authentic;
    uint64_t unknown_spi, no_child;
};
struct tunnel_counters tunnel_counters(const struct tunnel *t);

#endif
