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
}
