/* A storm of bad datagrams, from between two ends of a connection: for storm.py.
 *
 *     storm VICTIM PEER SEED      two IPv4 addresses; needs CAP_NET_RAW and CAP_NET_ADMIN
 *
 * It listens to what the two say to each other and has no keys. Each line "COUNT RATE" on stdin
 * sends COUNT datagrams to the victim, RATE a second, most of them with the peer's address and
 * port, and answers with one line of JSON: how many of each kind. What the listening brings decides
 * the contents, so a seed repeats the choices, not the octets. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum {
    KEPT_MAX = 64, /* datagrams of each sort */
    KEPT_LEN = 2048,
    DATAGRAM_MAX = 65507,
    SMALL_MAX = 1472, /* what no path here fragments */
    MARKER_LEN = 4,
    IKE_HEADER_LEN = 28,
    IKE_PORT = 500,
    BATCH = 16,
    FLAG_INITIATOR = 0x08,
    FLAG_RESPONSE = 0x20,
    NOTIFY = 41,
    DELETE = 42,
    SK = 46,
    SKF = 53
};

struct kept {
    size_t len;
    uint8_t bytes[KEPT_LEN];
};

/* The first half stays, which is where a handshake is; the second is what came last. */
struct corpus {
    size_t seen;
    struct kept items[KEPT_MAX];
};

/* Where datagrams seem to come from. */
struct mask {
    int fd;
    uint16_t port;
};

enum { TO_VICTIM, FROM_VICTIM };

struct storm {
    struct in_addr victim, peer;
    uint16_t victim_port, peer_port;
    bool victim_begins; /* it is the initiator */
    uint64_t random;
    int ike_tap, esp_tap;
    struct mask masks[5]; /* the first is the peer */
    size_t mask_count;
    struct corpus ike[2], esp[2]; /* by direction; IKE without the marker */
    uint8_t spis[16];             /* of the IKE SA */
    uint32_t request_id[2];       /* the last seen */
    uint32_t esp_spi[2], esp_sequence[2];
    uint8_t out[DATAGRAM_MAX + 1];
};

static void die(const char *what)
{
    fprintf(stderr, "storm: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* --- chance --- */

static uint64_t next_random(struct storm *s)
{
    uint64_t z = s->random += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static size_t below(struct storm *s, size_t bound)
{
    return (size_t)(next_random(s) % bound);
}

static bool one_in(struct storm *s, size_t n)
{
    return below(s, n) == 0;
}

static void fill(struct storm *s, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)next_random(s);
}

static void put16(uint8_t *out, size_t value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
}

static void put32(uint8_t *out, size_t value)
{
    put16(out, value >> 16 & 0xffff);
    put16(out + 2, value & 0xffff);
}

static uint32_t get32(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

/* --- listening --- */

/* IPv4 and UDP, whole, and not what this machine sends: IKE (port 500, or a marker of zeros) or
 * everything else. Offsets are from the IP header. */
static int open_tap(bool ike)
{
    const struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 13, 0),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 11),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x3fff, 9, 0),
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IKE_PORT, 4, 0),
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IKE_PORT, 2, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_IND, 8),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, ike ? 0xffff : 0),
        BPF_STMT(BPF_RET | BPF_K, ike ? 0 : 0xffff),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {.len = COUNT_OF(code), .filter = (struct sock_filter *)code};
    int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETHERTYPE_IP));
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0)
        die("listening");
    return fd;
}

static void keep(struct corpus *c, const uint8_t *bytes, size_t len)
{
    enum { HALF = KEPT_MAX / 2 };
    size_t at = c->seen < KEPT_MAX ? c->seen : HALF + c->seen % HALF;
    if (len > KEPT_LEN)
        return;
    c->seen++;
    c->items[at].len = len;
    memcpy(c->items[at].bytes, bytes, len);
}

static void learn_ike(struct storm *s, int direction, const uint8_t *m, size_t len)
{
    if (len < IKE_HEADER_LEN)
        return;
    bool response = (m[19] & FLAG_RESPONSE) != 0;
    /* The answers to a storm are heard as well, so the first handshake counts. */
    if (get32(s->spis + 8) == 0 && m[18] == 34 && response && get32(m + 8) != 0) {
        s->victim_begins = direction == TO_VICTIM;
        memcpy(s->spis, m, sizeof(s->spis));
    }
    if (!response)
        s->request_id[direction] = get32(m + 20);
    keep(&s->ike[direction], m, len);
}

static void learn(struct storm *s, const uint8_t *packet, size_t len)
{
    size_t header = (size_t)(packet[0] & 15) * 4;
    if (len < header + 8)
        return;
    bool to = memcmp(packet + 12, &s->peer, 4) == 0 && memcmp(packet + 16, &s->victim, 4) == 0;
    bool from = memcmp(packet + 12, &s->victim, 4) == 0 && memcmp(packet + 16, &s->peer, 4) == 0;
    if (!to && !from)
        return;
    int direction = to ? TO_VICTIM : FROM_VICTIM;
    const uint8_t *udp = packet + header, *data = udp + 8;
    size_t left = len - header - 8;
    uint16_t source = (uint16_t)(udp[0] << 8 | udp[1]), target = (uint16_t)(udp[2] << 8 | udp[3]);
    if (source == IKE_PORT || target == IKE_PORT) {
        learn_ike(s, direction, data, left);
        return;
    }
    s->victim_port = to ? target : source;
    s->peer_port = to ? source : target;
    if (left >= 8 && get32(data) == 0) {
        learn_ike(s, direction, data + MARKER_LEN, left - MARKER_LEN);
    } else if (left >= 8) {
        s->esp_spi[direction] = get32(data);
        s->esp_sequence[direction] = get32(data + 4);
        keep(&s->esp[direction], data, left);
    }
}

static void listen_to(struct storm *s, int tap, size_t most)
{
    uint8_t packet[4096];
    for (size_t i = 0; i < most; i++) {
        ssize_t n = recv(tap, packet, sizeof(packet), 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n > 20)
            learn(s, packet, (size_t)n);
    }
}

static bool knows_enough(const struct storm *s)
{
    for (int d = 0; d < 2; d++) {
        if (s->ike[d].seen < 2 || s->esp[d].seen == 0)
            return false;
    }
    return s->peer_port != 0 && get32(s->spis + 8) != 0;
}

/* --- what is sent: each returns a length --- */

static size_t copy_of(struct storm *s, const struct corpus *c, uint8_t *out)
{
    size_t count = c->seen < KEPT_MAX ? c->seen : KEPT_MAX;
    const struct kept *k = &c->items[below(s, count)];
    memcpy(out, k->bytes, k->len);
    return k->len;
}

static size_t flipped(struct storm *s, uint8_t *out, size_t len)
{
    for (size_t i = 0, bits = 1 + below(s, 8); i < bits; i++)
        out[below(s, len)] ^= (uint8_t)(1 << below(s, 8));
    return len;
}

static size_t stretched(struct storm *s, uint8_t *out, size_t len)
{
    size_t more = 1 + below(s, 64);
    fill(s, out + len, more);
    return len + more;
}

static size_t noise(struct storm *s, uint8_t *out)
{
    size_t len = one_in(s, 32) ? below(s, DATAGRAM_MAX + 1) : below(s, SMALL_MAX + 1);
    fill(s, out, len);
    return len;
}

static size_t short_noise(struct storm *s, uint8_t *out)
{
    size_t len = below(s, 64);
    fill(s, out, len);
    return len;
}

/* Nothing at all, a keepalive, or another octet. */
static size_t keepalive(struct storm *s, uint8_t *out)
{
    out[0] = one_in(s, 2) ? 0xff : (uint8_t)next_random(s);
    return below(s, 2);
}

static size_t ike_noise(struct storm *s, uint8_t *out)
{
    size_t len = below(s, SMALL_MAX - MARKER_LEN);
    fill(s, out, len);
    return len;
}

static size_t ike_replay(struct storm *s, uint8_t *out)
{
    return copy_of(s, &s->ike[TO_VICTIM], out);
}

static size_t ike_reflection(struct storm *s, uint8_t *out)
{
    return copy_of(s, &s->ike[FROM_VICTIM], out);
}

static size_t ike_flipped(struct storm *s, uint8_t *out)
{
    return flipped(s, out, copy_of(s, &s->ike[TO_VICTIM], out));
}

/* The header's length follows half of the time. */
static size_t ike_cut(struct storm *s, uint8_t *out)
{
    size_t len = below(s, copy_of(s, &s->ike[TO_VICTIM], out));
    if (len >= IKE_HEADER_LEN && one_in(s, 2))
        put32(out + 24, len);
    return len;
}

static size_t ike_stretched(struct storm *s, uint8_t *out)
{
    size_t len = stretched(s, out, copy_of(s, &s->ike[TO_VICTIM], out));
    if (one_in(s, 2))
        put32(out + 24, len);
    return len;
}

/* One field of the header: an SPI, next payload, version, exchange, flags, message ID, length. */
static size_t ike_field(struct storm *s, uint8_t *out)
{
    static const struct {
        size_t at, len;
    } fields[] = {{0, 8}, {8, 8}, {16, 1}, {17, 1}, {18, 1}, {19, 1}, {20, 4}, {24, 4}};
    size_t i = below(s, COUNT_OF(fields));
    size_t len = copy_of(s, &s->ike[TO_VICTIM], out);
    fill(s, out + fields[i].at, fields[i].len);
    return len;
}

/* A header as the peer would write it, with a message ID that may well be the expected one. */
static void write_header(struct storm *s, uint8_t *out, uint8_t next, size_t exchange, size_t len)
{
    const uint32_t ids[] = {0,
                            1,
                            2,
                            s->request_id[TO_VICTIM],
                            s->request_id[TO_VICTIM] + 1,
                            s->request_id[FROM_VICTIM],
                            s->request_id[FROM_VICTIM] + 1,
                            (uint32_t)next_random(s)};
    uint8_t flags = s->victim_begins != one_in(s, 8) ? 0 : FLAG_INITIATOR;
    if (one_in(s, 2))
        flags |= FLAG_RESPONSE;
    memcpy(out, s->spis, sizeof(s->spis));
    if (one_in(s, 8))
        memset(out + 8, 0, 8);
    out[16] = next;
    out[17] = 0x20;
    out[18] = (uint8_t)exchange;
    out[19] = flags;
    put32(out + 20, ids[below(s, COUNT_OF(ids))]);
    put32(out + 24, len);
}

static size_t some_exchange(struct storm *s)
{
    return one_in(s, 16) ? below(s, 256) : 34 + below(s, 4);
}

/* A payload's own header and a body of noise, after `len` octets; returns the new length. */
static size_t add_payload(struct storm *s, uint8_t *out, size_t len, uint8_t next, size_t body)
{
    out[len] = next;
    out[len + 1] = 0;
    put16(out + len + 2, 4 + body);
    fill(s, out + len + 4, body);
    return len + 4 + body;
}

static size_t sk_forged(struct storm *s, uint8_t *out)
{
    size_t body = one_in(s, 2) ? below(s, 65) : below(s, 1200);
    size_t len = add_payload(s, out, IKE_HEADER_LEN, (uint8_t)(33 + below(s, 20)), body);
    write_header(s, out, SK, some_exchange(s), len);
    return len;
}

static size_t skf_forged(struct storm *s, uint8_t *out)
{
    size_t body = one_in(s, 4) ? below(s, 5) : 4 + below(s, 600);
    size_t len = add_payload(s, out, IKE_HEADER_LEN, (uint8_t)(33 + below(s, 20)), body);
    if (body >= 4 && !one_in(s, 4)) {
        size_t total = one_in(s, 4) ? 0xffff : 1 + below(s, 70);
        put16(out + IKE_HEADER_LEN + 4, 1 + below(s, total));
        put16(out + IKE_HEADER_LEN + 6, total);
    }
    write_header(s, out, SKF, some_exchange(s), len);
    return len;
}

/* Errors and requests in the clear; where a notify names an SPI, the true one. */
static size_t notify_forged(struct storm *s, uint8_t *out)
{
    static const uint16_t types[] = {
        1 /* UNSUPPORTED_CRITICAL_PAYLOAD */,
        4 /* INVALID_IKE_SPI */,
        5 /* INVALID_MAJOR */,
        7 /* INVALID_SYNTAX */,
        9 /* INVALID_MESSAGE_ID*/,
        11 /* INVALID_SPI */,
        14 /* NO_PROPOSAL_CHOSEN */,
        17 /* INVALID_KE */,
        24 /* AUTH_FAILED */,
        38 /* TS_UNACCEPTABLE */,
        43 /* TEMPORARY_FAILURE */,
        44 /* CHILD_NOT_FOUND */,
        16384 /* INITIAL_CONTACT */,
        16390 /* COOKIE */,
        16400 /* UPDATE_SA */,
        16407 /* REDIRECT */,
        16408 /* REDIRECTED_FROM*/,
    };
    size_t data = below(s, 80), at = IKE_HEADER_LEN;
    uint16_t type = types[below(s, COUNT_OF(types))];
    if (type == 11 && !one_in(s, 4))
        data = 4;
    size_t len = add_payload(s, out, at, 0, 4 + data);
    out[at + 4] = out[at + 5] = 0;
    put16(out + at + 6, type);
    if (data == 4)
        put32(out + at + 8, s->esp_spi[one_in(s, 2)]);
    write_header(s, out, NOTIFY, some_exchange(s), len);
    return len;
}

static size_t delete_forged(struct storm *s, uint8_t *out)
{
    size_t at = IKE_HEADER_LEN;
    bool ike = one_in(s, 2);
    size_t len = add_payload(s, out, at, 0, ike ? 4 : 8);
    out[at + 4] = ike ? 1 : 3;
    out[at + 5] = ike ? 0 : 4;
    put16(out + at + 6, ike ? 0 : 1);
    if (!ike)
        put32(out + at + 8, s->esp_spi[one_in(s, 2)]);
    write_header(s, out, DELETE, 37, len);
    return len;
}

/* Chains in the clear: unknown and repeated types, critical bits, lengths that lie, too many. */
static size_t chain_forged(struct storm *s, uint8_t *out)
{
    size_t len = IKE_HEADER_LEN, count = one_in(s, 4) ? 1 + below(s, 100) : 1 + below(s, 5);
    uint8_t first = one_in(s, 8) ? (uint8_t)below(s, 256) : (uint8_t)(33 + below(s, 21));
    for (size_t i = 0; i < count && len < 1200; i++) {
        size_t at = len;
        len = add_payload(s, out, at, i + 1 == count ? 0 : (uint8_t)(33 + below(s, 24)),
                          below(s, 40));
        if (one_in(s, 8))
            out[at + 1] = 0x80;
        if (one_in(s, 8))
            put16(out + at + 2, one_in(s, 2) ? below(s, 5) : below(s, 0x10000));
    }
    write_header(s, out, one_in(s, 8) ? 0 : first, some_exchange(s), len);
    return len;
}

static size_t esp_replay(struct storm *s, uint8_t *out)
{
    return copy_of(s, &s->esp[TO_VICTIM], out);
}

static size_t esp_reflection(struct storm *s, uint8_t *out)
{
    return copy_of(s, &s->esp[FROM_VICTIM], out);
}

static size_t esp_flipped(struct storm *s, uint8_t *out)
{
    return flipped(s, out, copy_of(s, &s->esp[TO_VICTIM], out));
}

static size_t esp_cut(struct storm *s, uint8_t *out)
{
    return below(s, copy_of(s, &s->esp[TO_VICTIM], out));
}

static size_t esp_stretched(struct storm *s, uint8_t *out)
{
    return stretched(s, out, copy_of(s, &s->esp[TO_VICTIM], out));
}

/* A packet of noise with that SPI and sequence number. */
static size_t esp_noise(struct storm *s, uint8_t *out, size_t spi, size_t sequence)
{
    size_t len = 8 + below(s, one_in(s, 2) ? 64 : SMALL_MAX - 8);
    fill(s, out, len);
    put32(out, spi);
    put32(out + 4, sequence);
    return len;
}

static size_t esp_ahead(struct storm *s, uint8_t *out)
{
    size_t far = one_in(s, 2) ? below(s, UINT32_MAX) : 1 + below(s, 5000);
    return esp_noise(s, out, s->esp_spi[TO_VICTIM], s->esp_sequence[TO_VICTIM] + far);
}

static size_t esp_stranger(struct storm *s, uint8_t *out)
{
    return esp_noise(s, out, one_in(s, 4) ? 1 + below(s, 255) : 1 + below(s, UINT32_MAX),
                     below(s, UINT32_MAX));
}

static const struct kind {
    const char *name;
    bool ike; /* goes behind a marker, where one belongs */
    size_t (*make)(struct storm *s, uint8_t *out);
} kinds[] = {
    {"noise", false, noise},
    {"short_noise", false, short_noise},
    {"keepalive", false, keepalive},
    {"ike_noise", true, ike_noise},
    {"ike_replay", true, ike_replay},
    {"ike_reflection", true, ike_reflection},
    {"ike_flipped", true, ike_flipped},
    {"ike_cut", true, ike_cut},
    {"ike_stretched", true, ike_stretched},
    {"ike_field", true, ike_field},
    {"sk_forged", true, sk_forged},
    {"skf_forged", true, skf_forged},
    {"notify_forged", true, notify_forged},
    {"delete_forged", true, delete_forged},
    {"chain_forged", true, chain_forged},
    {"esp_replay", false, esp_replay},
    {"esp_reflection", false, esp_reflection},
    {"esp_flipped", false, esp_flipped},
    {"esp_cut", false, esp_cut},
    {"esp_stretched", false, esp_stretched},
    {"esp_ahead", false, esp_ahead},
    {"esp_stranger", false, esp_stranger},
};

/* --- sending --- */

static void add_mask(struct storm *s, struct in_addr address, uint16_t port)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1, off = IP_PMTUDISC_DONT;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = address};
    /* Foreign addresses may be worn where the socket is transparent. */
    if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on)) != 0 ||
        setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &off, sizeof(off)) != 0 ||
        bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
        die("a forged source");
    s->masks[s->mask_count++] = (struct mask){fd, port};
}

static void put_masks_on(struct storm *s)
{
    struct in_addr nobody, within;
    inet_pton(AF_INET, "198.51.100.66", &nobody);
    inet_pton(AF_INET, "10.9.0.80", &within);
    add_mask(s, s->peer, s->peer_port);
    add_mask(s, s->peer, IKE_PORT);
    add_mask(s, s->peer, 4511);
    add_mask(s, nobody, s->peer_port);
    add_mask(s, within, 4500);
}

/* False where the system did not take it. */
static bool send_one(struct storm *s, const struct kind *k)
{
    const struct mask *m = &s->masks[one_in(s, 8) ? below(s, s->mask_count) : 0];
    uint16_t target = !s->victim_begins && one_in(s, 4) ? IKE_PORT : s->victim_port;
    size_t len = k->make(s, s->out + (k->ike ? MARKER_LEN : 0));
    const uint8_t *bytes = s->out;
    if (k->ike && (s->victim_begins ? m->port : target) == IKE_PORT) {
        bytes += MARKER_LEN;
    } else if (k->ike) {
        memset(s->out, 0, MARKER_LEN);
        len += MARKER_LEN;
    }
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(target), .sin_addr = s->victim};
    return sendto(m->fd, bytes, len, 0, (struct sockaddr *)&to, sizeof(to)) == (ssize_t)len;
}

static void pause_until(const struct timespec *start, double seconds)
{
    struct timespec until = *start;
    until.tv_sec += (time_t)seconds;
    until.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        continue;
}

static void blow(struct storm *s, size_t count, double rate)
{
    size_t sent[COUNT_OF(kinds)] = {0}, refused = 0;
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (size_t i = 0; i < count; i++) {
        size_t k = below(s, COUNT_OF(kinds));
        if (send_one(s, &kinds[k]))
            sent[k]++;
        else
            refused++;
        if (i % BATCH != BATCH - 1)
            continue;
        listen_to(s, s->ike_tap, BATCH);
        listen_to(s, s->esp_tap, 2);
        pause_until(&start, (double)(i + 1) / rate);
    }
    printf("{\"refused\": %zu", refused);
    for (size_t k = 0; k < COUNT_OF(kinds); k++)
        printf(", \"%s\": %zu", kinds[k].name, sent[k]);
    puts("}");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct storm s;
    size_t count;
    double rate;
    if (argc != 4 || inet_pton(AF_INET, argv[1], &s.victim) != 1 ||
        inet_pton(AF_INET, argv[2], &s.peer) != 1) {
        fputs("usage: storm VICTIM PEER SEED\n", stderr);
        return 2;
    }
    s.random = strtoull(argv[3], NULL, 0);
    s.ike_tap = open_tap(true);
    s.esp_tap = open_tap(false);
    puts("ready");
    fflush(stdout);
    while (scanf("%zu %lf", &count, &rate) == 2) {
        listen_to(&s, s.ike_tap, SIZE_MAX);
        listen_to(&s, s.esp_tap, KEPT_MAX);
        if (!knows_enough(&s)) {
            fputs("storm: no handshake and traffic was heard\n", stderr);
            return 1;
        }
        if (s.mask_count == 0)
            put_masks_on(&s);
        blow(&s, count, rate);
    }
    return 0;
}
