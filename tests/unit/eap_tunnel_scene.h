/* A client and a server of EAP-TTLS or EAP-PEAP, and what they say to each other inside. */
#ifndef TERN_TESTS_EAP_TUNNEL_SCENE_H
#define TERN_TESTS_EAP_TUNNEL_SCENE_H

#include <string.h>

#include "tests/support/eap_tls.h"
#include "tools/gateway/eap_server.h"

enum { SAID_MAX = 4096 };

static struct eap_tls_ends ends;
static struct eap_server inner;
static struct eap_server_policy policy;
static uint8_t said[SAID_MAX];
static size_t said_len;
static const char *password;

static enum err find_password(void *ctx, struct span name, struct secret *ret_password,
                              struct identity *ret_peer)
{
    (void)ctx;
    ck_span_eq(name, span_text("alice"));
    ck_ok(identity_parse("alice", ret_peer));
    return secret_set(ret_password, span_text(password));
}

static void setup(void)
{
    support_log_begin();
    password = EAP_TLS_PASSWORD;
    policy = (struct eap_server_policy){.methods = {EAP_MSCHAPV2},
                                        .method_count = 1,
                                        .random = random_system(),
                                        .find_password = find_password};
}

static void teardown(void)
{
    ck_assert_ptr_null(strstr(support_logged, EAP_TLS_PASSWORD));
    support_log_end();
    eap_tls_wipe(&ends);
    eap_server_wipe(&inner);
}

static void begin(uint8_t type, bool old)
{
    eap_tls_wipe(&ends);
    eap_server_wipe(&inner);
    eap_tls_prepare(&ends, type, old);
}

/* Up to where what is inside begins: the server has said all of its handshake. */
static void start(void)
{
    eap_tls_start(&ends);
    ck_assert(eap_tls_handshake(&ends));
}

static bool say(struct span data)
{
    return eap_tls_say(&ends, data, said, sizeof(said), &said_len);
}

static enum eap_outcome end_with(uint8_t code)
{
    return eap_tls_give(&ends, code, ends.identifier, SPAN_EMPTY);
}

static void ck_unearned(void)
{
    end_with(EAP_SUCCESS);
    eap_tls_ck_failed(&ends, ERR_INTEGRITY, "has not come to its end");
    ck_assert_uint_eq(eap_peer_msk(ends.peer).len, 0);
}

static void ck_succeeds(const char *label)
{
    uint8_t key[EAP_TLS_SERVER_KEY_LEN];
    ck_assert_int_eq(end_with(EAP_SUCCESS), EAP_SUCCEEDED);
    ck_ok(eap_tls_server_key(&ends.server, label, key));
    ck_span_eq(eap_peer_msk(ends.peer), SPAN_OF(key));
}

/* length: what the AVP claims, 0: the truth */
static struct span avp(uint8_t *out, uint32_t vendor, uint32_t code, struct span data,
                       uint32_t length)
{
    struct wire_writer w;
    size_t head = vendor != 0 ? 12 : 8;
    wire_writer_init(&w, out, SAID_MAX);
    wire_write_u32(&w, code);
    uint32_t len = length != 0 ? length : (uint32_t)(head + data.len);
    wire_write_u32(&w, (vendor != 0 ? 0xc0000000 : 0x40000000) | len);
    if (vendor != 0)
        wire_write_u32(&w, vendor);
    wire_write_span(&w, data);
    wire_write_zeros(&w, (4 - data.len % 4) % 4);
    return wire_written(&w);
}

/* The client begins: nothing was said to it but TLS's own. */
static void hear_first(void)
{
    struct fault f;
    size_t n;
    said_len = 0;
    while (tls_read(ends.server.tls, said + said_len, sizeof(said) - said_len, &n, &f) == ERR_OK)
        said_len += n;
    if (said_len == 0) /* TLS 1.3: its Finished came first, alone */
        ck_assert(say(SPAN_EMPTY));
    ck_assert_uint_gt(said_len, 0);
}

static struct span wrap(uint8_t *out, const struct session_eap_step *step)
{
    if (ends.server.type == EAP_TTLS)
        return avp(out, 0, 79, span_make(step->packet, step->packet_len), 0);
    ck_assert_uint_gt(step->packet_len, EAP_HEADER_LEN);
    return span_make(step->packet + EAP_HEADER_LEN, step->packet_len - EAP_HEADER_LEN);
}

/* The client's packet, with the header that PEAP leaves out. */
static struct span unwrap(uint8_t *out)
{
    if (ends.server.type == EAP_TTLS) {
        ck_assert_uint_gt(said_len, 8);
        size_t len = (size_t)(said[6] << 8 | said[7]) - 8;
        memcpy(out, said + 8, len);
        return span_make(out, len);
    }
    out[0] = EAP_RESPONSE;
    out[1] = inner.identifier;
    out[2] = (uint8_t)((said_len + 4) >> 8);
    out[3] = (uint8_t)(said_len + 4);
    memcpy(out + 4, said, said_len);
    return span_make(out, said_len + 4);
}

static struct session_eap_step step;

/* The inner conversation, to where the server knows; at most `rounds` of its packets. */
static bool converse(unsigned rounds)
{
    uint8_t wrapped[SAID_MAX], heard[SAID_MAX];
    struct span response = SPAN_EMPTY;
    ck_ok(eap_server_step(&inner, &policy, SPAN_EMPTY, &step));
    bool asked = true; /* TTLS: the client has said who it is, unasked */
    if (ends.server.type == EAP_TTLS) {
        hear_first();
        heard[0] = 0;
        response = unwrap(heard);
        heard[1] = inner.identifier;
        asked = false;
    }
    for (unsigned i = 0; i < rounds; i++) {
        if (asked) {
            if (!say(wrap(wrapped, &step)) || said_len == 0)
                return false;
            if (ends.server.type == EAP_PEAP) /* there is no other in what was said */
                inner.identifier = ends.identifier;
            response = unwrap(heard);
        }
        asked = true;
        ck_ok(eap_server_step(&inner, &policy, response, &step));
        if (step.outcome != EAP_GOING_ON)
            return step.outcome == EAP_SUCCEEDED;
    }
    return false;
}

static const uint8_t inside[] = {EAP_MSCHAPV2, EAP_GTC, EAP_MD5};

static void use(uint8_t type, uint8_t method, bool old)
{
    begin(type, old);
    ends.config.inner[0] = policy.methods[0] = method;
    start();
}

static Suite *suite_of(const char *name, TCase **t)
{
    Suite *suite = suite_create(name);
    *t = tcase_create("tunnel");
    tcase_add_unchecked_fixture(*t, eap_tls_certificates, eap_tls_certificates_drop);
    tcase_add_checked_fixture(*t, setup, teardown);
    suite_add_tcase(suite, *t);
    return suite;
}

#endif
