/* Inner packets: headers, the MSS clamp, the ECN field, the answer "too big", what fits a tunnel,
 * and selectors against all of it. */
#include <stdlib.h>
#include <string.h>

#include "common/base/selector.h"
#include "common/packet/fit.h"
#include "common/packet/packet.h"
#include "tests/fuzz/fuzz.h"

enum { ANSWER_MAX = 1280 };

static void check_header(const struct ip_header *h, size_t len)
{
    CHECK(h->source.family == h->destination.family && h->source.family != IP_NONE);
    CHECK(h->header_len <= h->total_len && h->total_len <= len);
    CHECK(!h->later_fragment || (h->source_port == 0 && h->destination_port == 0));
}

static void match(const struct ip_header *h, struct wire_reader *r)
{
    struct selector_list l = {0};
    struct selector s = {
        .range = {h->source, h->source},
        .protocol = wire_read_u8(r),
        .port_first = wire_read_u16(r),
        .port_last = wire_read_u16(r),
    };
    CHECK(selector_list_add(&l, &s) == ERR_OK);
    bool matched =
        selector_list_match(&l, &h->source, h->protocol, h->source_port, h->later_fragment);
    if (s.protocol == 0 && s.port_first == 0 && s.port_last == UINT16_MAX)
        CHECK(matched);
    if (s.protocol != 0 && s.protocol != h->protocol)
        CHECK(!matched);
    CHECK(!selector_list_match(&(struct selector_list){0}, &h->source, h->protocol, h->source_port,
                               h->later_fragment));
}

static void clamp(struct span packet, uint16_t mss)
{
    uint8_t *copy = fuzz_copy(packet), *once;
    struct packet p = {.data = copy, .cap = packet.len, .len = packet.len};
    packet_clamp_mss(&p, mss);
    CHECK(p.start == 0 && p.len == packet.len);
    once = fuzz_copy(span_make(copy, p.len));
    packet_clamp_mss(&p, mss);
    CHECK(packet.len == 0 || memcmp(once, copy, packet.len) == 0);
    free(once);
    free(copy);
}

static void join_ecn(struct span packet, const struct ip_header *h, enum ecn outer)
{
    uint8_t *copy = fuzz_copy(packet);
    struct packet p = {.data = copy, .cap = packet.len, .len = packet.len, .tos = (uint8_t)outer};
    struct ip_header joined;
    enum err e = packet_join_ecn(&p, h->tos);
    CHECK(e == (outer == ECN_CE && ecn_of(h->tos) == ECN_NOT_ECT ? ERR_REFUSED : ERR_OK));
    CHECK(ip_header_parse(span_make(copy, p.len), &joined) == ERR_OK);
    CHECK(joined.tos >> 2 == h->tos >> 2);
    CHECK(e != ERR_OK || outer != ECN_CE || ecn_of(joined.tos) == ECN_CE);
    CHECK(ip_equal(&joined.source, &h->source) && joined.total_len == h->total_len);
    free(copy);
}

static void too_big(struct span packet, const struct ip_header *asked, uint16_t mtu, size_t room)
{
    uint8_t *out = malloc(room > 0 ? room : 1);
    CHECK(out != NULL);
    size_t len;
    struct ip_header h;
    enum err e = packet_too_big(packet, mtu, out, room, &len);
    CHECK(e == ERR_OK || e == ERR_REFUSED || e == ERR_LIMIT || e == ERR_MALFORMED);
    CHECK(e != ERR_LIMIT || room < ANSWER_MAX);
    if (e == ERR_OK) {
        CHECK(asked != NULL && len <= room);
        CHECK(ip_header_parse(span_make(out, len), &h) == ERR_OK && h.total_len == len);
        CHECK(ip_equal(&h.source, &asked->destination));
        CHECK(ip_equal(&h.destination, &asked->source));
        /* never an answer to an answer */
        size_t more;
        uint8_t nested[ANSWER_MAX];
        CHECK(packet_too_big(span_make(out, len), mtu, nested, sizeof(nested), &more) ==
              ERR_REFUSED);
    }
    free(out);
}

/* The data as a packet, and as a frame with a vnet header of its own. */
static void fit(struct span data, uint16_t inner_max, uint16_t tun_mtu)
{
    uint8_t answer[FIT_ANSWER_MAX], *copy = fuzz_copy(data);
    const struct fit f = fit_make(inner_max, tun_mtu);
    size_t len;
    struct ip_header h;
    if (!fit_outbound(&f, copy, data.len, answer, &len)) {
        CHECK(len > VNET_HEADER_LEN && len <= FIT_ANSWER_MAX);
        CHECK(data.len > VNET_HEADER_LEN + (size_t)inner_max);
        CHECK(ip_header_parse(span_make(answer + VNET_HEADER_LEN, len - VNET_HEADER_LEN), &h) ==
              ERR_OK);
    }
    fit_inbound(&f, copy, data.len);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader r;
    wire_reader_init(&r, span_make(data, size));
    uint16_t mtu = wire_read_u16(&r), mss = wire_read_u16(&r), room = wire_read_u16(&r);
    struct wire_reader head = r;
    wire_skip(&r, 5); /* the selector's */
    struct span rest = wire_read_rest(&r);
    uint8_t *copy = fuzz_copy(rest);
    struct span packet = span_make(copy, rest.len);
    struct ip_header h;
    bool good = ip_header_parse(packet, &h) == ERR_OK;
    if (good) {
        check_header(&h, packet.len);
        match(&h, &head);
        join_ecn(packet, &h, ecn_of((uint8_t)room));
    }
    clamp(packet, mss);
    fit(packet, mtu, mss);
    too_big(packet, good ? &h : NULL, mtu, room % (2 * ANSWER_MAX));
    free(copy);
    return 0;
}
