#include "tests/support/eap_tls.h"

#include <stdlib.h>
#include <string.h>

struct fixture_credential eap_tls_radius, eap_tls_alice, eap_tls_other_radius, eap_tls_other_alice;
struct trust_store *eap_tls_root, *eap_tls_other;

void eap_tls_certificates(void)
{
    fixture_enter();
    fixture_authority("root");
    fixture_authority("other");
    fixture_issue("root", "radius-root", "radius", "subjectAltName=DNS:radius.example.com");
    fixture_issue("root", "alice-root", "alice", "subjectAltName=email:alice@example.com");
    fixture_issue("other", "radius-other", "radius", "subjectAltName=DNS:radius.example.com");
    fixture_issue("other", "alice-other", "alice", "subjectAltName=email:alice@example.com");
    fixture_credential_read("radius-root", &eap_tls_radius);
    fixture_credential_read("alice-root", &eap_tls_alice);
    fixture_credential_read("radius-other", &eap_tls_other_radius);
    fixture_credential_read("alice-other", &eap_tls_other_alice);
    eap_tls_root = fixture_trust("root.pem");
    eap_tls_other = fixture_trust("other.pem");
}

void eap_tls_certificates_drop(void)
{
    fixture_credential_wipe(&eap_tls_radius);
    fixture_credential_wipe(&eap_tls_alice);
    fixture_credential_wipe(&eap_tls_other_radius);
    fixture_credential_wipe(&eap_tls_other_alice);
    trust_store_free(eap_tls_root);
    trust_store_free(eap_tls_other);
    fixture_leave();
}

void eap_tls_prepare(struct eap_tls_ends *e, uint8_t type, bool old)
{
    *e = (struct eap_tls_ends){.identifier = 7};
    e->config = (struct eap_config){.methods = {type},
                                    .method_count = 1,
                                    .name = "alice",
                                    .inner = {EAP_MSCHAPV2},
                                    .inner_count = 1,
                                    .trust = eap_tls_root,
                                    .key = eap_tls_alice.key,
                                    .chain = &eap_tls_alice.chain,
                                    .wall_time = fixture_wall_time};
    ck_ok(secret_set(&e->config.password, span_text(EAP_TLS_PASSWORD)));
    ck_ok(identity_parse("radius.example.com", &e->config.server));
    e->server_config = (struct tls_config){.server = true,
                                           .key = eap_tls_radius.key,
                                           .chain = &eap_tls_radius.chain,
                                           .trust = type == EAP_TLS ? eap_tls_root : NULL,
                                           .wall_time = fixture_wall_time(NULL),
                                           .no_1_3 = old};
}

void eap_tls_start(struct eap_tls_ends *e)
{
    struct random_source random = random_system();
    ck_assert(eap_config_usable(&e->config));
    ck_ok(eap_peer_new(&e->config, &random, &e->peer));
    ck_ok(eap_tls_server_begin(&e->server, e->config.methods[0], &e->server_config));
}

void eap_tls_wipe(struct eap_tls_ends *e)
{
    eap_peer_free(e->peer);
    eap_tls_server_wipe(&e->server);
    wipe(e, sizeof(*e));
}

enum eap_outcome eap_tls_give(struct eap_tls_ends *e, uint8_t code, uint8_t identifier,
                              struct span rest)
{
    struct wire_writer w;
    wire_writer_init(&w, e->packet, sizeof(e->packet));
    wire_write_u8(&w, code);
    wire_write_u8(&w, identifier);
    wire_write_u16(&w, (uint16_t)(EAP_HEADER_LEN + rest.len));
    wire_write_span(&w, rest);
    ck_ok(wire_write_finish(&w));
    e->packet_len = w.len;
    uint8_t *exact = support_exact_copy(wire_written(&w));
    eap_peer_input(e->peer, span_make(exact, w.len), &e->result);
    free(exact);
    e->rounds++;
    ck_assert((e->result.outcome == EAP_FAILED) == (e->result.fault.text[0] != '\0'));
    ck_assert_ptr_null(strstr(e->result.fault.text, EAP_TLS_PASSWORD));
    ck_assert_uint_le(e->result.response.len, EAP_RESPONSE_MAX);
    return e->result.outcome;
}

bool eap_tls_ask(struct eap_tls_ends *e)
{
    uint8_t rest[EAP_TLS_PACKET_MAX / 2];
    struct wire_writer w;
    wire_writer_init(&w, rest, sizeof(rest));
    wire_write_u8(&w, e->server.type);
    eap_tls_server_write(&e->server, &w);
    ck_ok(wire_write_finish(&w));
    return eap_tls_give(e, EAP_REQUEST, ++e->identifier, wire_written(&w)) == EAP_GOING_ON;
}

bool eap_tls_hear(struct eap_tls_ends *e)
{
    struct span r = e->result.response;
    bool whole;
    if (r.len < EAP_HEADER_LEN + 2 || r.data[EAP_HEADER_LEN] != e->server.type)
        return false;
    return eap_tls_server_input(&e->server, span_make(r.data + 5, r.len - 5), &whole) == ERR_OK;
}

bool eap_tls_handshake(struct eap_tls_ends *e)
{
    while (!tls_established(e->server.tls) || !eap_tls_server_idle(&e->server)) {
        if (!eap_tls_ask(e) || !eap_tls_hear(e) || e->server.refused)
            return false;
    }
    return true;
}

bool eap_tls_say(struct eap_tls_ends *e, struct span data, uint8_t *out, size_t cap,
                 size_t *ret_len)
{
    size_t len = 0, n;
    struct fault f;
    if (data.len > 0)
        ck_ok(tls_write(e->server.tls, data));
    do {
        if (!eap_tls_ask(e) || !eap_tls_hear(e))
            return false;
    } while (!eap_tls_server_idle(&e->server));
    while (tls_read(e->server.tls, out + len, cap - len, &n, &f) == ERR_OK)
        len += n;
    *ret_len = len;
    return true;
}

void eap_tls_ck_failed(const struct eap_tls_ends *e, enum err error, const char *words)
{
    const struct fault *f = &e->result.fault;
    ck_assert_int_eq(e->result.outcome, EAP_FAILED);
    ck_assert_msg(f->code == error, "%s (%s)", err_text(f->code), f->text);
    ck_assert_msg(strstr(f->text, words) != NULL, "%s", f->text);
}
