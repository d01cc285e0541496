/* EAP with TLS: a server that knows TLS and means ill. The input is a list of steps, each an octet
 * of what and a piece behind its length: the server's true next packet; that with one octet
 * changed; any packet at all; octets said inside the tunnel; another size of its pieces; the true
 * answer of MS-CHAP-V2's server is never among them. The first octet says which method, which TLS,
 * and what the user agrees to inside. */
#include <stdlib.h>
#include <string.h>

#include "common/eap/eap.h"
#include "tests/fuzz/eap_tls_certificates.h"
#include "tests/fuzz/eap_user.h"
#include "tools/gateway/eap_tls_server.h"

enum step { STEP_TRUE, STEP_CHANGED, STEP_ANY, STEP_INSIDE, STEP_PIECES, STEP_SUCCESS, STEPS };
enum { PACKET_MAX = 2048, WALL_TIME = 1800000000 };

struct ends {
    struct eap_config config;
    struct eap_peer *peer;
    struct eap_tls_server server;
    struct eap_result result;
    uint8_t identifier;
    uint8_t packet[PACKET_MAX];
    size_t len;
    bool closed; /* the server has lost the thread */
};

static struct {
    bool loaded;
    struct trust_store *trust;
    struct certificate_list server, client;
    struct private_key *server_key, *client_key;
} certificates;

static void load(void)
{
    struct fault f;
    size_t added;
    struct span server = span_text(eap_tls_server_pem), client = span_text(eap_tls_client_pem);
    certificates.loaded = true;
    CHECK(trust_store_new(&certificates.trust) == ERR_OK);
    CHECK(trust_store_add_pem(certificates.trust, span_text(eap_tls_root_pem), false, &added, &f) ==
          ERR_OK);
    CHECK(certificate_parse_file(server, &certificates.server, &f) == ERR_OK);
    CHECK(private_key_parse(server, &certificates.server_key, &f) == ERR_OK);
    CHECK(certificate_parse_file(client, &certificates.client, &f) == ERR_OK);
    CHECK(private_key_parse(client, &certificates.client_key, &f) == ERR_OK);
}

static int64_t wall_time(void *ctx)
{
    (void)ctx;
    return WALL_TIME;
}

static void configure(struct eap_config *c, unsigned options)
{
    static const uint8_t types[] = {EAP_TLS, EAP_TTLS, EAP_PEAP, EAP_PEAP};
    eap_user_config(options >> 3, c); /* what is agreed to inside, for the moment */
    memcpy(c->inner, c->methods, sizeof(c->inner));
    c->inner_count = c->method_count;
    c->methods[0] = types[options & 3];
    c->method_count = 1;
    if (c->methods[0] == EAP_TTLS && (options & 0x40) != 0)
        c->plain = (options & 0x80) != 0 ? EAP_PLAIN_PAP : EAP_PLAIN_MSCHAPV2;
    c->trust = certificates.trust;
    c->key = certificates.client_key;
    c->chain = &certificates.client;
    c->wall_time = wall_time;
    CHECK(identity_parse("radius.example.com", &c->server) == ERR_OK);
}

static void begin(struct ends *e, unsigned options, const struct random_source *random)
{
    bool tls = (options & 3) == 0;
    const struct tls_config config = {.server = true,
                                      .key = certificates.server_key,
                                      .chain = &certificates.server,
                                      .trust = tls ? certificates.trust : NULL,
                                      .wall_time = WALL_TIME,
                                      .no_1_3 = (options & 4) != 0};
    CHECK(eap_tls_server_begin(&e->server, e->config.methods[0], &config) == ERR_OK);
    CHECK(eap_peer_new(&e->config, random, &e->peer) == ERR_OK);
}

static void true_packet(struct ends *e)
{
    struct wire_writer w;
    wire_writer_init(&w, e->packet, 1024);
    wire_write_u8(&w, EAP_REQUEST);
    wire_write_u8(&w, ++e->identifier);
    wire_write_u16(&w, 0);
    wire_write_u8(&w, e->server.type);
    eap_tls_server_write(&e->server, &w);
    wire_patch_len_u16(&w, 2, 0);
    CHECK(wire_write_finish(&w) == ERR_OK);
    e->len = w.len;
}

static void any_packet(struct ends *e, struct span piece)
{
    e->len = piece.len < PACKET_MAX ? piece.len : PACKET_MAX;
    if (e->len > 0)
        memcpy(e->packet, piece.data, e->len);
    if (e->len >= EAP_HEADER_LEN) { /* lengths that are wrong are the target eap's */
        e->packet[2] = (uint8_t)(e->len >> 8);
        e->packet[3] = (uint8_t)e->len;
    }
}

static bool has_inside(const struct ends *e)
{
    return !e->server.refused && tls_established(e->server.tls);
}

static void prepare(struct ends *e, uint8_t step, struct span piece)
{
    switch (step % STEPS) {
    case STEP_CHANGED:
        true_packet(e);
        if (piece.len >= 3)
            e->packet[(size_t)(piece.data[0] << 8 | piece.data[1]) % e->len] ^= piece.data[2];
        break;
    case STEP_ANY:
        any_packet(e, piece);
        break;
    case STEP_INSIDE:
        if (has_inside(e) && piece.len > 0 && tls_write(e->server.tls, piece) != ERR_OK)
            e->closed = true; /* what was changed has broken it */
        true_packet(e);
        break;
    case STEP_PIECES:
        e->server.piece_max = piece.len > 0 ? 1U + piece.data[0] * 4U : 0;
        true_packet(e);
        break;
    case STEP_SUCCESS:
        e->packet[0] = EAP_SUCCESS;
        e->packet[1] = e->identifier;
        e->packet[2] = 0;
        e->packet[3] = EAP_HEADER_LEN;
        e->len = EAP_HEADER_LEN;
        break;
    default:
        true_packet(e);
        break;
    }
}

/* The server hears the answer, and drains what is said inside. */
static void hear(struct ends *e)
{
    struct span r = e->result.response;
    uint8_t inside[4096];
    size_t len;
    bool whole;
    CHECK(r.len >= 5 && r.len <= EAP_RESPONSE_MAX && r.data[0] == EAP_RESPONSE);
    CHECK((size_t)(r.data[2] << 8 | r.data[3]) == r.len);
    CHECK(!fuzz_holds(r, span_text(EAP_USER_PASSWORD)));
    if (e->closed || r.len < 6 || r.data[4] != e->server.type)
        return;
    e->closed =
        eap_tls_server_input(&e->server, span_make(r.data + 5, r.len - 5), &whole) != ERR_OK;
    while (has_inside(e) && tls_read(e->server.tls, inside, sizeof(inside), &len, NULL) == ERR_OK)
        continue;
}

/* What is earned with these: nothing by MS-CHAP-V2, whose proof nobody has here. */
static void judge(const struct ends *e)
{
    if (e->result.outcome != EAP_SUCCEEDED)
        return;
    uint8_t key[EAP_TLS_SERVER_KEY_LEN];
    const char *label =
        e->server.type == EAP_TTLS ? "ttls keying material" : "client EAP encryption";
    const struct eap_config *c = &e->config;
    CHECK(has_inside(e));
    CHECK(e->server.type == EAP_TLS || c->plain == EAP_PLAIN_PAP ||
          (c->plain == EAP_PLAIN_NONE && (c->inner_count > 1 || c->inner[0] != EAP_MSCHAPV2)));
    CHECK(eap_tls_server_key(&e->server, label, key) == ERR_OK);
    CHECK(span_equal(eap_peer_msk(e->peer), SPAN_OF(key)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader r;
    struct ends e = {.identifier = 7};
    uint64_t seed = EAP_USER_SEED;
    struct random_source random = fuzz_random(&seed);
    if (!certificates.loaded)
        load();
    wire_reader_init(&r, span_make(data, size));
    unsigned options = wire_read_u8(&r);
    if (size < 2 || (options >> 3 & 7) == 0)
        return 0;
    configure(&e.config, options);
    CHECK(eap_config_usable(&e.config));
    begin(&e, options, &random);
    do {
        uint8_t step = wire_read_u8(&r);
        prepare(&e, step, fuzz_piece(&r));
        uint8_t *copy = fuzz_copy(span_make(e.packet, e.len));
        eap_peer_input(e.peer, span_make(copy, e.len), &e.result);
        free(copy);
        CHECK((e.result.outcome == EAP_FAILED) == (e.result.fault.text[0] != '\0'));
        if (e.result.outcome == EAP_GOING_ON)
            hear(&e);
    } while (e.result.outcome == EAP_GOING_ON && wire_left(&r) > 0);
    judge(&e);
    eap_peer_free(e.peer);
    eap_tls_server_wipe(&e.server);
    return 0;
}
