/* fuzz_seeds DIRECTORY: write the seed corpora. What goes over the wire is recorded from a client
 * and a gateway that talk to each other, and decrypted with their keys. */
#include "tests/fuzz/seeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/ends.h"

enum { RECORDS_MAX = 64, SEED_MAX = 16384, PATH_TEXT_MAX = 1024, SCENES = 18 };

static const char *directory;

void seed_write(const char *target, const char *name, unsigned n, struct span bytes)
{
    char path[PATH_TEXT_MAX];
    snprintf(path, sizeof(path), "%s/%s", directory, target);
    (void)mkdir(path, 0777);
    snprintf(path, sizeof(path), "%s/%s/%s-%02u", directory, target, name, n);
    FILE *f = fopen(path, "wb");
    CHECK(f != NULL);
    CHECK(fwrite(bytes.data, 1, bytes.len, f) == bytes.len && fclose(f) == 0);
}

/* --- recording --- */

struct record {
    bool from_client;
    struct ike_header header;
    uint8_t first;                        /* of the chain */
    struct span chain, datagram, message; /* owned */
};

struct recording {
    struct record records[RECORDS_MAX];
    size_t count;
};

static struct recording recording;

static void record_clear(void)
{
    for (size_t i = 0; i < recording.count; i++) {
        free((void *)(uintptr_t)recording.records[i].chain.data);
        free((void *)(uintptr_t)recording.records[i].datagram.data);
        free((void *)(uintptr_t)recording.records[i].message.data);
    }
    recording.count = 0;
}

/* The sender's SA of that message. */
static const struct ike_sa *sa_of(const struct session *s, const struct ike_header *h)
{
    for (size_t i = 0; s != NULL && i < SESSION_SAS_MAX; i++)
        if (s->sas[i] != NULL && s->sas[i]->spi_i == h->spi_i && s->sas[i]->seal != NULL)
            return s->sas[i];
    return NULL;
}

static struct span kept(struct span s)
{
    return span_make(fuzz_copy(s), s.len);
}

static bool record(struct ends *e, bool from_client, const struct path *path, struct span bytes)
{
    struct record *r = &recording.records[recording.count];
    struct span message, inner;
    struct payload_list outer;
    uint8_t bad;
    bool marker = (from_client ? path->remote.port : path->local.port) != IKE_PORT;
    if (recording.count == RECORDS_MAX ||
        datagram_classify(marker, bytes, &message) != DATAGRAM_IKE ||
        ike_header_parse(message, &r->header) != ERR_OK)
        return true;
    uint8_t *copy = fuzz_copy(message);
    struct span body = span_make(copy + IKE_HEADER_LEN, message.len - IKE_HEADER_LEN);
    CHECK(payload_list_parse(r->header.next_payload, body, &outer, &bad) == ERR_OK);
    r->from_client = from_client;
    r->first = r->header.next_payload;
    inner = body;
    const struct ike_sa *sa =
        sa_of(from_client ? e->client.session : e->gateway.session, &r->header);
    if (r->header.exchange == EXCHANGE_IKE_SA_INIT ||
        (sa != NULL && sk_open(copy, message.len, &outer, sa->seal, &r->first, &inner) == ERR_OK)) {
        r->chain = kept(inner);
        r->datagram = kept(bytes);
        r->message = kept(message);
        recording.count++;
    }
    free(copy);
    return true;
}

/* What happens in a scene of the target decrypted, with nothing lost; see there. */
static void play(struct ends *e, unsigned scene, unsigned variant)
{
    record_clear();
    ends_init(e, scene == 17 ? variant | ENDS_CHECKED : variant);
    e->wire = record;
    ends_start(e);
    ends_pump(e);
    CHECK(e->client.up && e->gateway.up);
    struct session *c = e->client.session, *g = e->gateway.session;
    const struct session_traffic silent = {.last_out = 1, .last_in = MONO_NEVER};
    const struct redirect_target to = {.name = "other.example.com"};
    switch (scene) {
    case 2:
        CHECK(session_rekey(c, e->now, SESSION_REKEY_CHILD) == ERR_OK);
        break;
    case 3:
        CHECK(session_rekey(c, e->now, SESSION_REKEY_IKE) == ERR_OK);
        break;
    case 4:
        session_stop(c, e->now);
        break;
    case 5:
        session_traffic(c, e->now, &silent);
        ends_wait(e, &e->client, 40000);
        break;
    case 6:
    case 12:
        CHECK(session_rekey(g, e->now, SESSION_REKEY_IKE) == ERR_OK);
        break;
    case 7:
        e->lasting = false;
        CHECK(session_reconnect(c, e->now) == ERR_OK);
        break;
    case 11:
        CHECK(session_rekey(g, e->now, SESSION_REKEY_CHILD) == ERR_OK);
        break;
    case 13:
        session_stop(g, e->now);
        break;
    case 15:
    case 17:
        ends_networks(e, &e->client, 1, 1);
        break;
    case 16:
        ends_networks(e, &e->client, 3, 1);
        break;
    case 14:
        CHECK(session_redirect(g, e->now, &to) == ERR_OK);
        break;
    default:
        break;
    }
    ends_pump(e);
    ends_wait(e, &e->client, 1000);
    ends_pump(e);
}

/* --- the targets that are fed with recordings --- */

/* As a step of the target decrypted. */
static void write_step(struct wire_writer *w, const struct record *r)
{
    uint8_t kind = (r->header.flags & IKE_FLAG_RESPONSE) != 0 ? 0x80 : 0;
    kind |= (uint8_t)((r->header.exchange - EXCHANGE_IKE_AUTH) << 5);
    wire_write_u8(w, kind);
    wire_write_u8(w, r->first);
    wire_write_u16(w, (uint16_t)r->chain.len);
    wire_write_span(w, r->chain);
}

static void decrypted_seeds(unsigned scene, unsigned variant)
{
    static uint8_t all[SEED_MAX], one[SEED_MAX];
    static struct ends e;
    struct wire_writer a, o;
    bool to_client = scene < 9 || scene == 15 || scene == 16;
    unsigned n = 0;
    play(&e, scene, variant & ~(unsigned)ENDS_PIECES);
    wire_writer_init(&a, all, sizeof(all));
    wire_write_u8(&a, (uint8_t)scene);
    wire_write_u8(&a, (uint8_t)variant);
    char name[32];
    snprintf(name, sizeof(name), "scene%02u-%02u", scene, variant);
    for (size_t i = 0; i < recording.count; i++) {
        const struct record *r = &recording.records[i];
        bool begins = r->header.exchange == EXCHANGE_IKE_AUTH && scene != 0 && scene != 9;
        if (r->from_client == to_client || r->header.exchange == EXCHANGE_IKE_SA_INIT || begins)
            continue;
        write_step(&a, r);
        wire_writer_init(&o, one, sizeof(one));
        wire_write_u8(&o, (uint8_t)scene);
        wire_write_u8(&o, (uint8_t)variant);
        write_step(&o, r);
        seed_write("decrypted", name, ++n, wire_written(&o));
    }
    /* then a wait and each command */
    static const uint8_t steps[] = {0x10, 0x20, 0x00, 0x18, 0x10, 0x10, 0x00, 0x58, 0x38, 0xd8};
    wire_write_span(&a, SPAN_OF(steps));
    seed_write("decrypted", name, 0, wire_written(&a));
    ends_wipe(&e);
}

/* --- MOBIKE, said by hand --- */

struct word {
    uint16_t type;
    size_t len;
    uint8_t data[20];
};

static const struct word words[] = {
    {NOTIFY_UPDATE_SA_ADDRESSES, 0, {0}},
    {NOTIFY_ADDITIONAL_IP4_ADDRESS, 4, {203, 0, 113, 67}},
    {NOTIFY_ADDITIONAL_IP6_ADDRESS, 16, {0x20, 1, 0x0d, 0xb8, [15] = 7}},
    {NOTIFY_NO_ADDITIONAL_ADDRESSES, 0, {0}},
    {NOTIFY_COOKIE2, 8, {1, 2, 3, 4, 5, 6, 7, 8}},
    {NOTIFY_NO_NATS_ALLOWED,
     12,
     {192, 0, 3, 1, 203, 0, 113, 1, 40000 >> 8, 40000 & 0xff, 4500 >> 8, 4500 & 0xff}},
    {NOTIFY_UNACCEPTABLE_ADDRESSES, 0, {0}},
    {NOTIFY_UNEXPECTED_NAT_DETECTED, 0, {0}},
    {NOTIFY_NAT_DETECTION_SOURCE_IP, 20, {1}},
    {NOTIFY_NAT_DETECTION_DESTINATION_IP, 20, {2}},
};

/* A step of the target decrypted that says the words of that set. */
static void write_words(struct wire_writer *w, bool response, unsigned set)
{
    static const struct ike_header none;
    uint8_t buffer[1024];
    struct message_writer m;
    struct span message;
    message_begin(&m, buffer, sizeof(buffer), &none);
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if ((set & 1u << i) != 0)
            notify_write(&m, words[i].type, span_make(words[i].data, words[i].len));
    CHECK(message_finish(&m, &message) == ERR_OK);
    wire_write_u8(w, (uint8_t)((response ? 0x80 : 0) | 2 << 5));
    wire_write_u8(w, buffer[16]);
    wire_write_u16(w, (uint16_t)(message.len - IKE_HEADER_LEN));
    wire_write_span(w, span_make(buffer + IKE_HEADER_LEN, message.len - IKE_HEADER_LEN));
}

static void mobike_seeds(void)
{
    /* each word, some together; then other networks, wakefulness, time */
    static const uint8_t scenes[] = {1, 5, 6, 8, 10, 15, 16, 17};
    static const uint8_t then[] = {0xb8, 0xb9, 0x10, 0, 50, 0x7c, 0xba, 0x10, 4, 0, 0xbd};
    enum { ALL = 1u << sizeof(words) / sizeof(words[0]), LISTS = 2 | 4, SEEN = 256 | 512 };
    static const unsigned sets[] = {1, LISTS, 8, 16, 1 | 32, 64, 128, SEEN, 1 | 16 | SEEN, ALL - 1};
    static uint8_t seed[SEED_MAX];
    for (size_t i = 0; i < sizeof(scenes); i++) {
        struct wire_writer w;
        wire_writer_init(&w, seed, sizeof(seed));
        wire_write_u8(&w, scenes[i]);
        wire_write_u8(&w, 0);
        for (size_t j = 0; j < sizeof(sets) / sizeof(sets[0]); j++)
            write_words(&w, (i + j) % 2 == 0, sets[j]);
        wire_write_span(&w, SPAN_OF(then));
        seed_write("decrypted", "mobike", scenes[i], wire_written(&w));
    }
}

static uint8_t codec_of(uint8_t type)
{
    static const uint8_t types[] = {
        PAYLOAD_KE, PAYLOAD_ID_I,   PAYLOAD_CERT, PAYLOAD_AUTH, PAYLOAD_NONCE, PAYLOAD_NOTIFY,
        0,          PAYLOAD_DELETE, PAYLOAD_TS_I, PAYLOAD_CP};
    for (uint8_t i = 0; i < sizeof(types); i++)
        if (types[i] == type)
            return i;
    return UINT8_MAX;
}

static void with_option(const char *target, const char *name, unsigned n, uint8_t option,
                        struct span bytes)
{
    static uint8_t seed[SEED_MAX];
    struct wire_writer w;
    wire_writer_init(&w, seed, sizeof(seed));
    wire_write_u8(&w, option);
    wire_write_span(&w, bytes);
    seed_write(target, name, n, wire_written(&w));
}

static void message_seeds(const struct record *r, unsigned n)
{
    static uint8_t buffer[SEED_MAX];
    struct message_writer m;
    struct payload_list l;
    struct span message;
    uint8_t bad;
    seed_write("message", "wire", n, r->message);
    with_option("datagram", "wire", n, r->message.len != r->datagram.len, r->datagram);
    message_begin(&m, buffer, sizeof(buffer), &r->header);
    CHECK(payload_list_parse(r->first, r->chain, &l, &bad) == ERR_OK);
    for (size_t i = 0; i < l.count; i++) {
        const struct payload *p = &l.items[i];
        payload_write(&m, p->type, p->body);
        if (p->type == PAYLOAD_SA)
            with_option("proposal", "wire", n, 0, p->body);
        else if (codec_of(p->type) != UINT8_MAX)
            with_option("payload", "wire", n * 16 + (unsigned)i, codec_of(p->type), p->body);
    }
    CHECK(message_finish(&m, &message) == ERR_OK);
    seed_write("message", "plain", n, message);
}

static void wire_seeds(void)
{
    static struct ends e;
    static const unsigned scenes[] = {2, 12, 13, 14};
    unsigned n = 0;
    for (size_t s = 0; s < sizeof(scenes) / sizeof(scenes[0]); s++) {
        play(&e, scenes[s], s == 0 ? ENDS_CBC : ENDS_CHILD_KE);
        for (size_t i = s == 0 ? 0 : 4; i < recording.count; i++)
            message_seeds(&recording.records[i], n++);
        ends_wipe(&e);
    }
}

/* --- scripts of the target session --- */

static void session_script(const char *name, uint8_t variant, struct span steps)
{
    with_option("session", name, 0, variant, steps);
}

/* A datagram that anybody may forge, with the SPIs put in by the target: INVALID_IKE_SPI and the
 * like in the clear, and an SK payload of any length. */
static void forgery(struct wire_writer *w, bool to_client, uint8_t exchange, uint8_t flags,
                    uint8_t next, struct span body)
{
    wire_write_u8(w, (uint8_t)(4 | (to_client ? 8 : 0) | 0x10));
    wire_write_u16(w, (uint16_t)(IKE_HEADER_LEN + body.len));
    wire_write_zeros(w, 16);
    wire_write_u8(w, next);
    wire_write_u8(w, 0x20);
    wire_write_u8(w, exchange);
    wire_write_u8(w, flags);
    wire_write_zeros(w, 4);
    wire_write_u32(w, (uint32_t)(IKE_HEADER_LEN + body.len));
    wire_write_span(w, body);
}

static void session_forgeries(void)
{
    static uint8_t steps[SEED_MAX];
    static const uint8_t notify[] = {0, 0, 0, 8, 0, 0, 0, NOTIFY_INVALID_IKE_SPI};
    static const uint8_t refusal[] = {0, 0, 0, 8, 0, 0, 0, NOTIFY_NO_PROPOSAL_CHOSEN};
    static const uint8_t other_group[] = {0, 0, 0, 10, 0, 0, 0, NOTIFY_INVALID_KE_PAYLOAD, 0, 19};
    static const uint8_t cookie[] = {0, 0, 0, 12, 0, 0, 0x40, 0x06, 1, 2, 3, 4};
    static const uint8_t sk[] = {0, 0, 0, 5, 0};
    struct wire_writer w;
    wire_writer_init(&w, steps, sizeof(steps));
    for (int to_client = 0; to_client < 2; to_client++) {
        uint8_t response = to_client ? IKE_FLAG_RESPONSE : IKE_FLAG_INITIATOR;
        forgery(&w, to_client, EXCHANGE_INFORMATIONAL, 0, PAYLOAD_NOTIFY, SPAN_OF(notify));
        forgery(&w, to_client, EXCHANGE_INFORMATIONAL, response, PAYLOAD_SK, SPAN_OF(sk));
        forgery(&w, to_client, EXCHANGE_IKE_AUTH, response, PAYLOAD_SK, SPAN_OF(sk));
    }
    session_script("forged-late", 0x40, wire_written(&w));
    wire_writer_init(&w, steps, sizeof(steps));
    forgery(&w, true, EXCHANGE_IKE_SA_INIT, IKE_FLAG_RESPONSE, PAYLOAD_NOTIFY, SPAN_OF(cookie));
    forgery(&w, true, EXCHANGE_IKE_SA_INIT, IKE_FLAG_RESPONSE, PAYLOAD_NOTIFY,
            SPAN_OF(other_group));
    forgery(&w, true, EXCHANGE_IKE_SA_INIT, IKE_FLAG_RESPONSE, PAYLOAD_NOTIFY, SPAN_OF(refusal));
    wire_write_u8(&w, 6 | 8);
    session_script("forged-early", 0, wire_written(&w));
}

static void session_seeds(void)
{
    /* ops: 0 deliver, 2 drop, 3 damage, 5 wait, 6 open (8) or close, 7 command */
    static const uint8_t hand_over[] = {0, 0, 0, 0, 0x0f, 0, 0, 0, 0, 0x1f, 0, 0, 0, 0};
    static const uint8_t loss[] = {2, 0x0d, 1, 0, 0, 2, 0x0d, 1, 0, 0, 0, 2, 0x0d, 1, 0, 0, 0};
    static const uint8_t twice[] = {0x80, 0, 0x80, 0, 0x80, 0, 0x80, 0, 0, 0};
    static const uint8_t harm[] = {3, 0, 50, 1, 0, 3,    0, 60, 1, 0,
                                   3, 0, 40, 9, 0, 0x0b, 0, 40, 0, 0};
    static const uint8_t rekeys[] = {0x0f, 0x1f, 0x07, 0x17, 6,    0x0f, 0x07, 0,   0,
                                     0,    0,    0,    0,    0x0e, 0x1f, 0x17, 0x2f};
    static const uint8_t ending[] = {6, 0x7f, 0x77, 0, 0, 0, 0};
    static const uint8_t silence[] = {0x3f, 6, 0x0d, 0x20, 0, 0x0d, 0x20, 0, 0x0d,
                                      0x20, 0, 0x0d, 0x20, 0, 0x0d, 0x20, 0, 0x0e};
    static const uint8_t elsewhere[] = {0x57, 0, 0xdf, 0x4f, 0x6f, 0x05, 1, 0};
    /* one way, others, several, none and again; with what is on its way lost, and in order */
    static const uint8_t networks[] = {0xef, 1 << 2 | 1, 0xef, 3,          0xef, 2 << 2 | 2,
                                       0xef, 0,          0xef, 1 << 2 | 1, 0x0f, 0xef,
                                       3,    0x0d,       1,    0,          0xef, 1};
    static const uint8_t networks_lost[] = {6,    0xef, 1 << 2 | 3, 2,    0x0d, 0,    100, 0x40, 1,
                                            0,    0xef, 0,          0x80, 0,    0,    0,   0xef, 3,
                                            0x0e, 0x0d, 1,          0,    0x3f, 0x0d, 2,   0};
    static const uint8_t slept[] = {0xbf, 30, 0xb7, 2, 0xef, 0, 0xbf, 200, 0xef, 3, 0x0d, 1, 0};
    session_script("hand-over", 0, SPAN_OF(hand_over));
    session_script("loss", ENDS_CBC, SPAN_OF(loss));
    session_script("twice", ENDS_CHILDLESS, SPAN_OF(twice));
    session_script("harm", 0x80, SPAN_OF(harm));
    session_script("rekeys", 0x40 | ENDS_CHILD_KE, SPAN_OF(rekeys));
    session_script("lifetimes", 0x40 | ENDS_SHORT, SPAN_OF(silence));
    session_script("ending", 0x40, SPAN_OF(ending));
    session_script("silence", 0x40, SPAN_OF(silence));
    session_script("networks", 0x40, SPAN_OF(networks));
    session_script("networks-lost", 0x40 | ENDS_CHECKED, SPAN_OF(networks_lost));
    session_script("slept", 0x40 | ENDS_SHORT, SPAN_OF(slept));
    session_script("elsewhere", 0x40 | 0x80, SPAN_OF(elsewhere));
    session_forgeries();
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: fuzz_seeds DIRECTORY\n");
        return EXIT_FAILURE;
    }
    directory = argv[1];
    (void)mkdir(directory, 0777);
    for (unsigned scene = 0; scene < SCENES; scene++)
        decrypted_seeds(scene, scene % 3 == 0 ? ENDS_CHILD_KE : scene % 3 == 1 ? ENDS_PIECES : 0);
    decrypted_seeds(0, ENDS_CHILDLESS);
    decrypted_seeds(2, ENDS_CHILD_KE);
    decrypted_seeds(9, ENDS_CHILDLESS);
    decrypted_seeds(10, ENDS_CHILD_KE);
    for (unsigned scene = 0; scene <= 9; scene += 9) {
        decrypted_seeds(scene, ENDS_PPK);
        decrypted_seeds(scene, ENDS_SECOND);
        decrypted_seeds(scene, ENDS_PPK | ENDS_SECOND);
    }
    mobike_seeds();
    wire_seeds();
    session_seeds();
    seeds_of_eap();
    seeds_of_texts();
    seeds_of_packets();
    seeds_of_offloads();
    record_clear();
    return EXIT_SUCCESS;
}
