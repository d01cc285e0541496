/* The tunnel's policy: which child carries a packet out, and what may come in (RFC 4301 5.1, 5.2).
 */
#include "common/esp/tunnel.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/be.h"
#include "common/packet/protocol.h"
#include "tests/support/support.h"

enum { ROOM = 256 };

/* A packet in storage of its own. */
struct parcel {
    uint8_t storage[ESP_HEADROOM + ROOM + ESP_TAILROOM];
    struct packet packet;
};

/* An IPv4 packet of 60 octets. For ICMP the source port is type and code. */
static void write_parcel(struct parcel *p, const char *source, const char *destination,
                         uint8_t protocol, uint16_t source_port, uint16_t destination_port)
{
    struct ip from, to;
    ck_ok(ip_parse(source, &from));
    ck_ok(ip_parse(destination, &to));
    memset(p->storage, 0, sizeof(p->storage));
    p->packet = (struct packet){
        .data = p->storage, .cap = sizeof(p->storage), .start = ESP_HEADROOM, .len = 60};
    uint8_t *b = packet_bytes(&p->packet);
    b[0] = 0x45;
    b[3] = 60;
    b[8] = 64;
    b[9] = protocol;
    memcpy(b + 12, from.bytes, 4);
    memcpy(b + 16, to.bytes, 4);
    be_write_u16(b + 20, source_port);
    be_write_u16(b + 22, destination_port);
}

/* The same of IPv6, from fd00::LAST to fd00:9::. */
static void write_parcel_v6(struct parcel *p, uint8_t last)
{
    write_parcel(p, "10.1.0.7", "10.9.0.1", PROTOCOL_UDP, 1, 2);
    uint8_t *b = packet_bytes(&p->packet);
    memset(b, 0, 60);
    b[0] = 0x60;
    b[5] = 20;
    b[6] = PROTOCOL_UDP;
    b[8] = b[24] = 0xfd;
    b[23] = last;
    b[27] = 9;
}

static struct esp_parameters sa_of(uint32_t spi, uint8_t key)
{
    struct esp_parameters p = {.spi = spi, .suite = {ENCR_AES_GCM_16, 128, INTEG_NONE}};
    p.enc_key.len = 20;
    memset(p.enc_key.data, key, p.enc_key.len);
    return p;
}

static void allow(struct selector_list *l, const char *prefix, uint8_t protocol, uint16_t first,
                  uint16_t last)
{
    struct prefix p;
    ck_ok(prefix_parse(prefix, &p));
    struct selector s = selector_from_prefix(&p);
    s.protocol = protocol;
    s.port_first = first;
    s.port_last = last;
    ck_ok(selector_list_add(l, &s));
}

/* Any traffic between two prefixes; spi_in == spi_out, key from the SPI, so that a tunnel with the
 * prefixes exchanged is the other end. */
static struct tunnel_child_parameters child_of(uint32_t spi, const char *local, const char *remote)
{
    struct tunnel_child_parameters p = {.in = sa_of(spi, (uint8_t)spi),
                                        .out = sa_of(spi, (uint8_t)spi)};
    allow(&p.local, local, 0, 0, 65535);
    allow(&p.remote, remote, 0, 0, 65535);
    return p;
}

static struct tunnel *tunnel_with(const struct tunnel_child_parameters *p)
{
    struct tunnel *t;
    ck_ok(tunnel_new(&t));
    ck_ok(tunnel_add_child(t, p));
    return t;
}

static struct tunnel_result seal_in_place(struct tunnel *t, struct packet *p)
{
    struct span inner = span_make(packet_bytes(p), p->len);
    struct tunnel_route r = tunnel_route(t, inner);
    return (struct tunnel_result){tunnel_seal(t, &r, inner, p), r.spi};
}

static struct tunnel_result seal_one(struct tunnel *t, struct parcel *p)
{
    return seal_in_place(t, &p->packet);
}

static struct tunnel_result open_one(struct tunnel *t, struct parcel *p)
{
    struct tunnel_result r;
    tunnel_open(t, &p->packet, &r, 1);
    return r;
}

#define ck_result(result, expected_err, expected_spi)                                              \
    do {                                                                                           \
        struct tunnel_result ck_r = (result);                                                      \
        ck_err(ck_r.err, expected_err);                                                            \
        ck_assert_uint_eq(ck_r.spi, expected_spi);                                                 \
    } while (0)

START_TEST(a_batch_crosses_and_is_counted)
{
    enum { BATCH = 5 };
    struct tunnel_child_parameters ours = child_of(0x1001, "10.1.0.0/24", "10.9.0.0/16");
    struct tunnel_child_parameters theirs = child_of(0x1001, "10.9.0.0/16", "10.1.0.0/24");
    struct tunnel *here = tunnel_with(&ours), *there = tunnel_with(&theirs);
    struct parcel parcels[BATCH];
    struct packet packets[BATCH];
    struct tunnel_result results[BATCH];
    for (size_t i = 0; i < BATCH; i++) {
        /* the third has nowhere to go, and holds up no other */
        write_parcel(&parcels[i], "10.1.0.7", i == 2 ? "192.0.2.1" : "10.9.200.1", PROTOCOL_UDP,
                     (uint16_t)(1000 + i), 53);
        packets[i] = parcels[i].packet;
    }
    for (size_t i = 0; i < BATCH; i++)
        ck_result(seal_in_place(here, &packets[i]), i == 2 ? ERR_SELECTOR : ERR_OK,
                  i == 2 ? 0 : 0x1001);
    packets[2] = packets[4];
    tunnel_open(there, packets, results, 4);
    for (size_t i = 0; i < 4; i++) {
        ck_result(results[i], ERR_OK, 0x1001);
        ck_assert_uint_eq(packets[i].len, 60);
        ck_assert_uint_eq(packet_bytes(&packets[i])[21], (uint8_t)(1000 + (i == 2 ? 4 : i)));
    }
    const struct tunnel_counters sent = tunnel_counters(here), received = tunnel_counters(there);
    ck_assert_uint_eq(sent.out.packets, 4);
    ck_assert_uint_eq(sent.out.bytes, 240);
    ck_assert_uint_eq(sent.no_child, 1);
    ck_assert_uint_eq(received.in.packets, 4);
    ck_assert_uint_eq(received.in.bytes, 240);
    ck_assert_uint_eq(received.authentic, 4);
    ck_assert_uint_eq(received.in.bad + received.in.replayed + received.unknown_spi, 0);
    tunnel_free(here);
    tunnel_free(there);
}
END_TEST

START_TEST(the_newest_child_that_matches_carries)
{
    struct tunnel_child_parameters old = child_of(0x1001, "10.1.0.0/24", "10.0.0.0/8");
    struct tunnel_child_parameters new = child_of(0x1002, "10.1.0.0/24", "10.9.0.0/16");
    struct tunnel *t = tunnel_with(&old);
    ck_ok(tunnel_add_child(t, &new));
    ck_assert_uint_eq(tunnel_children(t), 2);
    struct parcel p;
    write_parcel(&p, "10.1.0.7", "10.9.0.1", PROTOCOL_UDP, 1, 2);
    ck_result(seal_one(t, &p), ERR_OK, 0x1002);
    write_parcel(&p, "10.1.0.7", "10.8.0.1", PROTOCOL_UDP, 1, 2);
    ck_result(seal_one(t, &p), ERR_OK, 0x1001);
    ck_ok(tunnel_remove_child(t, 0x1002));
    write_parcel(&p, "10.1.0.7", "10.9.0.1", PROTOCOL_UDP, 1, 2);
    ck_result(seal_one(t, &p), ERR_OK, 0x1001);
    tunnel_free(t);
}
END_TEST

/* RFC 7296 2.8.1: of two children for the same traffic one carries, and both are listened to. */
START_TEST(both_children_for_the_same_traffic_receive)
{
    struct tunnel_child_parameters c = child_of(0x1001, "10.1.0.0/24", "10.9.0.0/16");
    struct tunnel *here = tunnel_with(&c);
    c = child_of(0x1002, "10.1.0.0/24", "10.9.0.0/16");
    ck_ok(tunnel_add_child(here, &c));
    for (uint32_t n = 0; n < 6; n++) {
        uint32_t spi = 0x1001 + n % 2;
        struct parcel p;
        c = child_of(spi, "10.9.0.0/16", "10.1.0.0/24");
        struct tunnel *there = tunnel_with(&c);
        for (uint32_t i = 0; i <= n; i++) { /* a sequence number that is new */
            write_parcel(&p, "10.9.0.1", "10.1.0.7", PROTOCOL_UDP, 1, 2);
            ck_result(seal_one(there, &p), ERR_OK, spi);
        }
        ck_result(open_one(here, &p), ERR_OK, spi);
        tunnel_free(there);
    }
    tunnel_free(here);
}
END_TEST

START_TEST(outbound_source_is_checked_too)
{
    struct tunnel_child_parameters ours = child_of(0x1001, "10.1.0.7/32", "0.0.0.0/0");
    struct tunnel *t = tunnel_with(&ours);
    struct parcel p;
    write_parcel(&p, "10.1.0.8", "10.9.0.1", PROTOCOL_UDP, 1, 2);
    ck_result(seal_one(t, &p), ERR_SELECTOR, 0);
    ck_assert_uint_eq(p.packet.len, 60);
    write_parcel(&p, "10.1.0.7", "10.9.0.1", PROTOCOL_UDP, 1, 2);
    packet_bytes(&p.packet)[0] = 0x75;
    ck_result(seal_one(t, &p), ERR_MALFORMED, 0);
    ck_assert_uint_eq(tunnel_counters(t).no_child, 2);
    ck_assert_uint_eq(tunnel_counters(t).out.packets, 0);
    tunnel_free(t);
}
END_TEST

/* RFC 4301 5.2: what a peer sends within its SA but outside the negotiated selectors is dropped,
 * though it is authentic, and is no second chance for its sequence number. */
START_TEST(inbound_selectors_hold_after_decryption)
{
    static const struct {
        const char *source, *destination;
        enum err expected;
    } cases[] = {
        {"10.9.0.1", "10.1.0.7", ERR_OK},
        {"10.8.0.1", "10.1.0.7", ERR_SELECTOR},
        {"10.9.0.1", "10.1.1.7", ERR_SELECTOR},
        {"10.1.0.7", "10.9.0.1", ERR_SELECTOR}, /* the right pair the wrong way round */
    };
    struct tunnel_child_parameters ours = child_of(0x1001, "10.1.0.0/24", "10.9.0.0/16");
    struct tunnel_child_parameters theirs = child_of(0x1001, "0.0.0.0/0", "0.0.0.0/0");
    struct tunnel *here = tunnel_with(&ours), *there = tunnel_with(&theirs);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct parcel p, again;
        write_parcel(&p, cases[i].source, cases[i].destination, PROTOCOL_UDP, 1, 2);
        ck_result(seal_one(there, &p), ERR_OK, 0x1001);
        again = p;
        again.packet.data = again.storage;
        ck_result(open_one(here, &p), cases[i].expected, 0x1001);
        ck_result(open_one(here, &again), ERR_REPLAYED, 0x1001);
    }
    struct tunnel_child_status status;
    ck_ok(tunnel_child_status(here, 0x1001, &status));
    ck_assert_uint_eq(status.in.packets, 1);
    ck_assert_uint_eq(status.in.bytes, 60);
    ck_assert_uint_eq(status.in.bad, 3);
    ck_assert_uint_eq(status.in.replayed, 4);
    const struct tunnel_counters all = tunnel_counters(here);
    ck_assert_mem_eq(&status.in, &all.in, sizeof(status.in));
    ck_assert_uint_eq(tunnel_counters(here).authentic, 4);
    tunnel_free(here);
    tunnel_free(there);
}
END_TEST

/* We may reach TCP port 443 from any of our ports, and send echo requests (type 8, code 0). */
START_TEST(protocol_and_ports_both_ways)
{
    static const struct {
        uint8_t protocol;
        uint16_t our_port, their_port;
        enum err out, in;
    } cases[] = {
        {PROTOCOL_TCP, 50000, 443, ERR_OK, ERR_OK},
        {PROTOCOL_TCP, 443, 50000, ERR_SELECTOR, ERR_SELECTOR},
        {PROTOCOL_TCP, 50000, 444, ERR_SELECTOR, ERR_SELECTOR},
        {PROTOCOL_UDP, 50000, 443, ERR_SELECTOR, ERR_SELECTOR},
    };
    struct tunnel_child_parameters ours = {.in = sa_of(0x1001, 1), .out = sa_of(0x1001, 1)};
    allow(&ours.local, "10.1.0.7/32", PROTOCOL_TCP, 0, 65535);
    allow(&ours.remote, "10.9.0.0/16", PROTOCOL_TCP, 443, 443);
    allow(&ours.local, "10.1.0.7/32", PROTOCOL_ICMP, 0x0800, 0x0800);
    allow(&ours.remote, "10.9.0.0/16", PROTOCOL_ICMP, 0x0800, 0x0800);
    struct tunnel_child_parameters theirs = child_of(0x1001, "0.0.0.0/0", "0.0.0.0/0");
    struct tunnel *here = tunnel_with(&ours), *there = tunnel_with(&theirs);
    struct parcel p;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_parcel(&p, "10.1.0.7", "10.9.0.1", cases[i].protocol, cases[i].our_port,
                     cases[i].their_port);
        ck_err(seal_one(here, &p).err, cases[i].out);
        write_parcel(&p, "10.9.0.1", "10.1.0.7", cases[i].protocol, cases[i].their_port,
                     cases[i].our_port);
        ck_err(seal_one(there, &p).err, ERR_OK);
        ck_err(open_one(here, &p).err, cases[i].in);
    }
    /* the second word of an ICMP header is its checksum, which is no port */
    write_parcel(&p, "10.1.0.7", "10.9.0.1", PROTOCOL_ICMP, 0x0800, 0xbeef);
    ck_err(seal_one(here, &p).err, ERR_OK);
    write_parcel(&p, "10.1.0.7", "10.9.0.1", PROTOCOL_ICMP, 0x0d00, 0x0800);
    ck_err(seal_one(here, &p).err, ERR_SELECTOR);
    /* a later fragment shows no ports, and 443 alone is not "any" */
    write_parcel(&p, "10.1.0.7", "10.9.0.1", PROTOCOL_TCP, 50000, 443);
    packet_bytes(&p.packet)[7] = 5;
    ck_err(seal_one(here, &p).err, ERR_SELECTOR);
    tunnel_free(here);
    tunnel_free(there);
}
END_TEST

START_TEST(ipv6_and_ipv4_share_a_child)
{
    struct tunnel_child_parameters ours = child_of(0x1001, "10.1.0.7/32", "10.9.0.0/16");
    allow(&ours.local, "fd00::7/128", 0, 0, 65535);
    allow(&ours.remote, "fd00:9::/64", 0, 0, 65535);
    struct tunnel_child_parameters theirs = ours;
    theirs.local = ours.remote;
    theirs.remote = ours.local;
    struct tunnel *here = tunnel_with(&ours), *there = tunnel_with(&theirs);
    struct parcel p;
    for (uint8_t last = 7; last <= 8; last++) {
        write_parcel_v6(&p, last);
        ck_err(seal_one(here, &p).err, last == 7 ? ERR_OK : ERR_SELECTOR);
        if (last == 7)
            ck_err(open_one(there, &p).err, ERR_OK);
    }
    write_parcel(&p, "10.1.0.7", "10.9.0.1", PROTOCOL_UDP, 1, 2);
    ck_err(seal_one(here, &p).err, ERR_OK);
    ck_err(open_one(there, &p).err, ERR_OK);
    tunnel_free(here);
    tunnel_free(there);
}
END_TEST

START_TEST(unknown_spis_and_runts)
{
    struct tunnel_child_parameters ours = child_of(0x1001, "0.0.0.0/0", "0.0.0.0/0");
    struct tunnel *t = tunnel_with(&ours);
    struct parcel p;
    write_parcel(&p, "10.1.0.7", "10.9.0.1", PROTOCOL_UDP, 1, 2);
    ck_result(seal_one(t, &p), ERR_OK, 0x1001);
    packet_bytes(&p.packet)[3] ^= 0x10;
    ck_result(open_one(t, &p), ERR_NOT_FOUND, 0);
    ck_assert_uint_eq(tunnel_counters(t).unknown_spi, 1);
    packet_bytes(&p.packet)[3] ^= 0x10;
    size_t whole = p.packet.len;
    for (size_t len = 0; len < whole; len++) {
        uint8_t *exact = support_exact_copy(span_make(packet_bytes(&p.packet), len));
        struct packet cut = {.data = exact, .cap = len, .len = len};
        struct tunnel_result r;
        tunnel_open(t, &cut, &r, 1);
        ck_assert_msg(r.err == ERR_MALFORMED || r.err == ERR_INTEGRITY, "%zu", len);
        ck_assert_uint_eq(r.spi, len < ESP_HEADER_LEN ? 0 : 0x1001);
        free(exact);
    }
    ck_assert_uint_eq(tunnel_counters(t).in.bad, whole);
    ck_assert_uint_eq(tunnel_counters(t).authentic, 0);
    ck_result(open_one(t, &p), ERR_OK, 0x1001);
    ck_assert_uint_eq(tunnel_counters(t).authentic, 1);
    tunnel_free(t);
}
END_TEST

START_TEST(dummies_are_a_sign_of_life)
{
    struct tunnel_child_parameters ours = child_of(0x1001, "0.0.0.0/0", "0.0.0.0/0");
    struct tunnel *t = tunnel_with(&ours);
    struct aead *aead;
    ck_ok(aead_new(&ours.in.suite, secret_span(&ours.in.enc_key), SPAN_EMPTY, &aead));
    struct parcel p;
    write_parcel(&p, "10.1.0.7", "10.9.0.1", PROTOCOL_UDP, 1, 2);
    uint8_t *b = packet_bytes(&p.packet);
    memset(b, 0, 60);
    b[2] = 0x10;
    b[3] = 0x01;
    b[7] = 1;
    aead_write_iv(aead, 1, b + ESP_HEADER_LEN);
    b[ESP_HEADER_LEN + 8 + 19] = PROTOCOL_NONE;
    ck_ok(aead_seal(aead, b, ESP_HEADER_LEN, 20, NULL));
    p.packet.len = ESP_HEADER_LEN + 8 + 20 + 16;
    ck_result(open_one(t, &p), ERR_NOT_FOUND, 0x1001);
    ck_assert_uint_eq(tunnel_counters(t).authentic, 1);
    ck_assert_uint_eq(tunnel_counters(t).in.packets + tunnel_counters(t).in.bad, 0);
    ck_assert_uint_eq(tunnel_counters(t).unknown_spi, 0);
    aead_free(aead);
    tunnel_free(t);
}
END_TEST

START_TEST(children_come_and_go)
{
    struct tunnel *t;
    struct tunnel_child_status status;
    struct parcel p;
    tunnel_free(NULL);
    ck_ok(tunnel_new(&t));
    ck_assert_uint_eq(tunnel_children(t), 0);
    write_parcel(&p, "10.1.0.7", "10.9.0.1", PROTOCOL_UDP, 1, 2);
    ck_result(seal_one(t, &p), ERR_SELECTOR, 0);
    for (uint32_t spi = 0x1001; spi < 0x1001 + TUNNEL_CHILDREN_MAX; spi++) {
        struct tunnel_child_parameters c = child_of(spi, "0.0.0.0/0", "0.0.0.0/0");
        c.out.spi = spi + 0x1000;
        ck_ok(tunnel_add_child(t, &c));
    }
    struct tunnel_child_parameters more = child_of(0x5000, "0.0.0.0/0", "0.0.0.0/0");
    ck_err(tunnel_add_child(t, &more), ERR_LIMIT);
    ck_result(seal_one(t, &p), ERR_OK, 0x2000 + TUNNEL_CHILDREN_MAX);
    ck_ok(tunnel_remove_child(t, 0x1003));
    ck_err(tunnel_remove_child(t, 0x1003), ERR_NOT_FOUND);
    ck_err(tunnel_child_status(t, 0x1003, &status), ERR_NOT_FOUND);
    more.in.spi = 0x1004;
    ck_err(tunnel_add_child(t, &more), ERR_STATE); /* that SPI is taken */
    more.in.spi = 0x5000;
    more.out.enc_key.len--;
    ck_assert_int_ne(tunnel_add_child(t, &more), ERR_OK);
    ck_assert_uint_eq(tunnel_children(t), TUNNEL_CHILDREN_MAX - 1);
    for (uint32_t spi = 0x1001; spi < 0x1001 + TUNNEL_CHILDREN_MAX; spi++) {
        if (spi == 0x1003)
            continue;
        ck_ok(tunnel_child_status(t, spi, &status));
        ck_assert_uint_eq(status.spi_in, spi);
        ck_assert_uint_eq(status.spi_out, spi + 0x1000);
        ck_assert_uint_eq(status.out.packets, spi == 0x1000 + TUNNEL_CHILDREN_MAX ? 1 : 0);
        ck_ok(tunnel_remove_child(t, spi));
    }
    ck_assert_uint_eq(tunnel_children(t), 0);
    ck_assert_uint_eq(tunnel_counters(t).out.packets, 1); /* of a child that is gone */
    tunnel_free(t);
}
END_TEST

/* RFC 6040 4.1: what leaves carries the mark inside; of the DSCP nothing, or all of it (RFC 4301
 * 5.1.2). */
START_TEST(marks_inside_go_outside)
{
    struct tunnel_child_parameters ours = child_of(0x1001, "10.1.0.0/24", "10.9.0.0/16");
    allow(&ours.local, "fd00::/64", 0, 0, 65535);
    allow(&ours.remote, "fd00:9::/64", 0, 0, 65535);
    ours.copy_dscp = _i != 0;
    struct tunnel *t = tunnel_with(&ours);
    for (uint8_t mark = ECN_NOT_ECT; mark <= ECN_CE; mark++) {
        uint8_t expected = ours.copy_dscp ? 0xb8 | mark : mark;
        struct parcel v4, v6;
        write_parcel(&v4, "10.1.0.7", "10.9.0.1", PROTOCOL_UDP, 1, 2);
        packet_bytes(&v4.packet)[1] = 0xb8 | mark;
        write_parcel_v6(&v6, 7);
        packet_bytes(&v6.packet)[0] = 0x6b;
        packet_bytes(&v6.packet)[1] = (uint8_t)(0x80 | mark << 4);
        /* whatever the buffer held before */
        v4.packet.tos = v6.packet.tos = (uint8_t)~mark;
        ck_result(seal_one(t, &v4), ERR_OK, 0x1001);
        ck_result(seal_one(t, &v6), ERR_OK, 0x1001);
        ck_assert_uint_eq(v4.packet.tos, expected);
        ck_assert_uint_eq(v6.packet.tos, expected);
    }
    tunnel_free(t);
}
END_TEST

/* RFC 6040 4.2. test_packet_ecn.c has the whole table; here it is reached, and counted, after all
 * else that is held against a packet. */
START_TEST(congestion_outside_comes_inside)
{
    static const struct {
        uint8_t inner, outer;
        enum err expected;
        uint8_t then;
    } cases[] = {
        {ECN_ECT_0, ECN_ECT_0, ERR_OK, ECN_ECT_0}, {ECN_ECT_0, ECN_CE, ERR_OK, ECN_CE},
        {ECN_ECT_1, ECN_CE, ERR_OK, ECN_CE},       {ECN_ECT_0, ECN_ECT_1, ERR_OK, ECN_ECT_1},
        {ECN_CE, ECN_NOT_ECT, ERR_OK, ECN_CE},     {ECN_NOT_ECT, ECN_CE, ERR_REFUSED, ECN_NOT_ECT},
    };
    enum { COUNT = sizeof(cases) / sizeof(cases[0]) };
    struct tunnel_child_parameters ours = child_of(0x1001, "10.1.0.0/24", "10.9.0.0/16");
    struct tunnel_child_parameters theirs = child_of(0x1001, "0.0.0.0/0", "0.0.0.0/0");
    struct tunnel *here = tunnel_with(&ours), *there = tunnel_with(&theirs);
    struct parcel p;
    for (size_t i = 0; i < COUNT; i++) {
        write_parcel(&p, "10.9.0.1", "10.1.0.7", PROTOCOL_UDP, 1, 2);
        packet_bytes(&p.packet)[1] = 0xb8 | cases[i].inner;
        ck_result(seal_one(there, &p), ERR_OK, 0x1001);
        p.packet.tos = cases[i].outer;
        ck_result(open_one(here, &p), cases[i].expected, 0x1001);
        ck_assert_uint_eq(packet_bytes(&p.packet)[1], 0xb8 | cases[i].then);
    }
    write_parcel(&p, "10.8.0.1", "10.1.0.7", PROTOCOL_UDP, 1, 2);
    ck_result(seal_one(there, &p), ERR_OK, 0x1001);
    p.packet.tos = ECN_CE;
    ck_result(open_one(here, &p), ERR_SELECTOR, 0x1001); /* not for the mark's sake */
    const struct tunnel_counters counters = tunnel_counters(here);
    ck_assert_uint_eq(counters.in.congested, 1);
    ck_assert_uint_eq(counters.in.bad, 1);
    ck_assert_uint_eq(counters.in.packets, COUNT - 1);
    ck_assert_uint_eq(counters.authentic, COUNT + 1);
    struct tunnel_child_status status;
    ck_ok(tunnel_child_status(here, 0x1001, &status));
    ck_assert_uint_eq(status.in.congested, 1);
    tunnel_free(here);
    tunnel_free(there);
}
END_TEST

/* Removed by control while a sealing thread has it in hand: what it seals still is a packet, and
 * only then the child goes. (That it is there until then, and not after, ASan sees.) */
START_TEST(a_removed_child_stays_for_who_seals_with_it)
{
    struct tunnel_child_parameters ours = child_of(0x1001, "10.1.0.0/24", "10.9.0.0/16");
    struct tunnel_child_parameters theirs = child_of(0x1001, "10.9.0.0/16", "10.1.0.0/24");
    struct tunnel *here = tunnel_with(&ours), *there = tunnel_with(&theirs);
    struct parcel p;
    uint32_t spi;
    write_parcel(&p, "10.1.0.7", "10.9.0.1", PROTOCOL_UDP, 1, 2);
    struct span inner = span_make(packet_bytes(&p.packet), p.packet.len);
    tunnel_seal_begin(here);
    struct tunnel_route route = tunnel_route(here, inner);
    ck_ok(tunnel_remove_child(here, 0x1001));
    ck_assert_uint_eq(tunnel_children(here), 0);
    ck_assert(!tunnel_expiring(here, &spi)); /* frees nothing that is in use */
    ck_err(tunnel_route(here, inner).err, ERR_SELECTOR);
    ck_ok(tunnel_seal(here, &route, inner, &p.packet));
    tunnel_seal_end(here);
    ck_assert(!tunnel_expiring(here, &spi));
    ck_result(open_one(there, &p), ERR_OK, 0x1001);
    tunnel_free(here);
    tunnel_free(there);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("esp tunnel");
    TCase *c = tcase_create("policy");
    tcase_add_test(c, a_batch_crosses_and_is_counted);
    tcase_add_test(c, the_newest_child_that_matches_carries);
    tcase_add_test(c, both_children_for_the_same_traffic_receive);
    tcase_add_test(c, outbound_source_is_checked_too);
    tcase_add_test(c, inbound_selectors_hold_after_decryption);
    tcase_add_test(c, protocol_and_ports_both_ways);
    tcase_add_test(c, ipv6_and_ipv4_share_a_child);
    tcase_add_loop_test(c, marks_inside_go_outside, 0, 2);
    tcase_add_test(c, congestion_outside_comes_inside);
    tcase_add_test(c, unknown_spis_and_runts);
    tcase_add_test(c, dummies_are_a_sign_of_life);
    tcase_add_test(c, children_come_and_go);
    tcase_add_test(c, a_removed_child_stays_for_who_seals_with_it);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return support_run(suite());
}
