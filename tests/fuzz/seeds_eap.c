/* Seeds of EAP: what the embedded gateway says to a peer of ours, in all methods, to the good end
 * and to the bad one. */
#include "tests/fuzz/eap_user.h"
#include "tests/fuzz/seeds.h"
#include "tools/gateway/eap_server.h"

enum { SEED_MAX = 4096, ALL_METHODS = 7 };

static const char *password;

static enum err find_password(void *ctx, struct span name, struct secret *ret_password,
                              struct identity *ret_peer)
{
    (void)ctx;
    (void)name;
    *ret_peer = (struct identity){.type = IDENTITY_NONE};
    return secret_set(ret_password, span_text(password));
}

/* The server begins with its first method, of which the peer accepts `methods`. */
static void conversation(unsigned n, unsigned methods, const struct eap_server_policy *policy)
{
    uint8_t out[SEED_MAX];
    uint64_t seed = EAP_USER_SEED;
    struct random_source random = fuzz_random(&seed);
    struct eap_config config;
    struct eap_server server = {.stage = EAP_SERVER_IDLE};
    struct session_eap_step step;
    struct eap_result result = {.outcome = EAP_GOING_ON};
    struct eap_peer *p;
    struct wire_writer w;
    eap_user_config(methods, &config);
    CHECK(eap_peer_new(&config, &random, &p) == ERR_OK);
    wire_writer_init(&w, out, sizeof(out));
    wire_write_u8(&w, (uint8_t)methods);
    do {
        CHECK(eap_server_step(&server, policy, result.response, &step) == ERR_OK);
        struct span packet = span_make(step.packet, step.packet_len);
        wire_write_u16(&w, (uint16_t)packet.len);
        wire_write_span(&w, packet);
        eap_peer_input(p, packet, &result);
    } while (result.outcome == EAP_GOING_ON);
    CHECK(wire_write_finish(&w) == ERR_OK);
    seed_write("eap", "server", n, wire_written(&w));
    eap_peer_free(p);
    eap_server_wipe(&server);
}

/* Others' words, which our gateway does not have. */
static void by_hand(void)
{
    static const uint8_t said[] = "\x07"
                                  "\0\x0b\x01\x01\0\x0b\x01"
                                  "hello?"
                                  "\0\x09\x01\x02\0\x09\x02"
                                  "note"
                                  "\0\x06\x01\x03\0\x06\x0d\x20"
                                  "\0\x0c\x01\x04\0\x0c\xfe\0\0\x09\0\0\0\x01"
                                  "\0\x2a\x01\x05\0\x2a\x1a\x01\x05\0\x25\x10"
                                  "0123456789abcdef"
                                  "a server of name"
                                  "\0\0"
                                  "\0\x04\x03\x09\0\x04";
    seed_write("eap", "hand", 0, span_make(said, sizeof(said) - 1));
}

/* What fuzz_eap_tls.c takes for steps: whole handshakes of each kind, then words inside. */
static void tls_seed(unsigned n, unsigned options, unsigned rounds, struct span words,
                     unsigned more)
{
    enum { TRUE_PACKET = 0, INSIDE = 3, PIECES = 4, SUCCESS = 5 };
    uint8_t out[SEED_MAX];
    struct wire_writer w;
    wire_writer_init(&w, out, sizeof(out));
    wire_write_u8(&w, (uint8_t)options);
    for (unsigned i = 0; i < rounds; i++) {
        wire_write_u8(&w, n % 2 == 1 && i == 0 ? PIECES : TRUE_PACKET);
        wire_write_u16(&w, 1);
        wire_write_u8(&w, 60);
    }
    wire_write_u8(&w, INSIDE);
    wire_write_u16(&w, (uint16_t)words.len);
    wire_write_span(&w, words);
    for (unsigned i = 0; i < more; i++) {
        wire_write_u8(&w, TRUE_PACKET);
        wire_write_u16(&w, 0);
    }
    wire_write_u8(&w, SUCCESS);
    wire_write_u16(&w, 0);
    CHECK(wire_write_finish(&w) == ERR_OK);
    seed_write("eap_tls", "steps", n, wire_written(&w));
}

static void seeds_of_eap_tls(void)
{
    enum { OLD = 4, GTC = 2 << 3, ALL = 7 << 3, PLAIN = 0x40, PAP = 0x80 };
    static const uint8_t identity[] = {EAP_IDENTITY}, gtc[] = {EAP_GTC, '?'}, zero[] = {0};
    static const uint8_t md5[] = {EAP_MD5, 4, 1, 2, 3, 4, 'x'};
    static const uint8_t result[] = {1, 9, 0, 11, 33, 0x80, 3, 0, 2, 0, 1};
    static const uint8_t challenge[] = "\x1a\x01\x05\0\x16\x10"
                                       "0123456789abcdef!";
    static const uint8_t avp[] = {0, 0, 0, 79, 0x40, 0, 0, 14, 1, 5, 0, 6, 6, '?', 0, 0};
    static const uint8_t ms_error[] = "\0\0\0\x02\xc0\0\0\x18\0\0\x01\x37"
                                      "\1E=691 R=0 ";
    unsigned n = 0;
    for (unsigned old = 0; old <= OLD; old += OLD) {
        for (unsigned rounds = 3; rounds < 6; rounds++) {
            tls_seed(n++, 0 | old | ALL, rounds, SPAN_OF(zero), 1);
            tls_seed(n++, 1 | old | ALL, rounds, SPAN_OF(avp), 1);
            tls_seed(n++, 1 | old | ALL | PLAIN, rounds, span_make(ms_error, 24), 1);
            tls_seed(n++, 1 | old | ALL | PLAIN | PAP, rounds, SPAN_EMPTY, 0);
            tls_seed(n++, 2 | old | GTC, rounds, SPAN_OF(gtc), 0);
            tls_seed(n++, 2 | old | ALL, rounds, SPAN_OF(md5), 0);
            tls_seed(n++, 2 | old | ALL, rounds, SPAN_OF(identity), 1);
            tls_seed(n++, 2 | old | ALL, rounds, SPAN_OF(result), 0);
            tls_seed(n++, 2 | old | ALL, rounds, span_make(challenge, 22), 1);
        }
    }
}

void seeds_of_eap(void)
{
    static const uint8_t types[] = {EAP_MSCHAPV2, EAP_GTC, EAP_MD5};
    uint64_t seed = 1;
    struct eap_server_policy policy = {
        .method_count = 1, .random = fuzz_random(&seed), .find_password = find_password};
    unsigned n = 0;
    for (unsigned i = 0; i < 2 * sizeof(types); i++) {
        policy.methods[0] = types[i / 2];
        password = i % 2 == 0 ? EAP_USER_PASSWORD : "another";
        conversation(n++, ALL_METHODS, &policy);
    }
    policy = (struct eap_server_policy){.methods = {EAP_MD5, EAP_GTC, EAP_MSCHAPV2},
                                        .method_count = 3,
                                        .random = policy.random,
                                        .find_password = find_password};
    password = EAP_USER_PASSWORD;
    conversation(n++, 1, &policy);
    by_hand();
    seeds_of_eap_tls();
}
