/* What the tunnel, and tests that start near the end of the numbers, need of an ESP SA beyond its
 * public face. */
#ifndef TERN_ESP_INTERNAL_H
#define TERN_ESP_INTERNAL_H

#include "common/base/tally.h"
#include "common/esp/esp.h"

/* struct esp_counters while it is being counted, by one thread. */
struct esp_tally {
    struct tally packets, bytes, replayed, bad, congested;
};
struct esp_counters esp_tally_read(const struct esp_tally *t);
const struct esp_tally *esp_out_tally(const struct esp_out *sa);

/* What became known while a packet was opened; always written. */
struct esp_opened {
    bool authentic;         /* the ICV verified, whatever came after */
    struct ip_header inner; /* set where the packet opened */
};

/* esp_open without the counting: the tunnel has yet to judge the inner packet. */
CHECKED enum err esp_open_inner(struct esp_in *sa, struct packet *p, struct esp_opened *opened);
/* Count one inbound packet by what became of it; inner_len matters only for ERR_OK. A dummy packet
 * (ERR_NOT_FOUND) is neither delivered nor bad. */
void esp_tally_add(struct esp_tally *t, enum err result, size_t inner_len);
void esp_in_count(struct esp_in *sa, enum err result, size_t inner_len);

/* As though all packets before that number (1 or above) had been sent; or received, all of them
 * long ago but none of the window's. */
void esp_out_start_at(struct esp_out *sa, uint64_t sequence);
void esp_in_start_at(struct esp_in *sa, uint64_t sequence);

#endif
