/* One direction of an ESP SA in tunnel mode (RFC 4303), in UDP encapsulation (RFC 3948): what the
 * caller hands in and gets is the UDP payload. No heap, no clock and no lock per packet: an
 * outbound SA belongs to one sender, an inbound SA to one receiver. */
#ifndef TERN_ESP_ESP_H
#define TERN_ESP_ESP_H

#include "common/base/selector.h"
#include "common/crypto/aead.h"
#include "common/packet/packet.h"

enum {
    ESP_HEADER_LEN = 8,
    /* Room esp_seal needs around the inner packet: SPI, sequence number and IV in front; padding
     * (up to a block and the four-octet alignment), pad length, next header and ICV behind. */
    ESP_HEADROOM = 24,
    ESP_TAILROOM = 64,
    ESP_REPLAY_WINDOW = 2048 /* packets */
};

struct esp_parameters {
    uint32_t spi; /* host order, never 0..255 */
    struct aead_suite suite;
    struct secret enc_key, integ_key; /* copied into the cipher; the caller wipes its own */
    bool esn;
};

struct esp_counters {
    uint64_t packets, bytes; /* bytes: inner octets */
    uint64_t replayed;       /* inbound: old or repeated */
    uint64_t bad;            /* inbound: ICV, padding, inner header or selector */
    uint64_t congested;      /* inbound: marked so on the way, and inside no ECN to tell of it */
};

struct esp_out;
struct esp_in;

CHECKED enum err esp_out_new(const struct esp_parameters *p, struct esp_out **ret);
void esp_out_free(struct esp_out *sa);
CHECKED enum err esp_in_new(const struct esp_parameters *p, struct esp_in **ret);
void esp_in_free(struct esp_in *sa);

uint32_t esp_out_spi(const struct esp_out *sa);
uint32_t esp_in_spi(const struct esp_in *sa);
/* As they are now; also while another thread seals or opens. */
struct esp_counters esp_out_counters(const struct esp_out *sa);
struct esp_counters esp_in_counters(const struct esp_in *sa);
/* Packets that may still be sent before the sequence number ends (RFC 4303 3.3.3). */
uint64_t esp_out_left(const struct esp_out *sa);
/* The octets sealing adds to an inner packet of that length. */
size_t esp_overhead(const struct aead_suite *suite, size_t inner_len);
/* The longest inner packet whose ESP packet has at most esp_max octets; 0 where there is none. All
 * shorter ones fit as well. */
size_t esp_inner_max(const struct aead_suite *suite, size_t esp_max);

/* Octets that the SA puts in front of an inner packet; ESP_HEADROOM at most. */
size_t esp_out_front(const struct esp_out *sa);

/* inner: an IP packet, which is read only. It becomes the ESP packet *p: its text lies where p
 * began, its header in front of that. inner is what p was (sealed in place), or overlaps p's buffer
 * nowhere; p->len is not read. ERR_EXHAUSTED at the end of the sequence numbers (nothing is sent
 * any more), ERR_LIMIT without head- or tailroom, ERR_MALFORMED where it is not IPv4 or IPv6. */
CHECKED enum err esp_seal(struct esp_out *sa, struct span inner, struct packet *p);

/* *p: an ESP packet whose SPI is this SA's, made into its inner packet in place (trimmed to the
 * inner header's own length). Only an authenticated packet moves the replay window (RFC
 * 4303 3.4.3). ERR_REPLAYED, ERR_INTEGRITY, ERR_MALFORMED (padding, inner header); ERR_NOT_FOUND
 * for a dummy packet (next header 59), which counts as authentic but has nothing to deliver. */
CHECKED enum err esp_open(struct esp_in *sa, struct packet *p);

#endif
