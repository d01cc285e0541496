/* EAP as a server: who are you, one method, an end. A user that nobody knows is asked as one that
 * somebody does, and refused at the end. */
#include "tools/gateway/eap_server.h"

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/wire.h"
#include "common/crypto/legacy.h"

enum opcode { CHALLENGE = 1, RESPONSE = 2, SUCCESS = 3, FAILURE = 4 };

/* --- what is said --- */

static void begin(struct eap_server *s, struct session_eap_step *ret, struct wire_writer *w,
                  uint8_t code)
{
    wire_writer_init(w, ret->packet, sizeof(ret->packet));
    if (code == EAP_REQUEST)
        s->identifier++;
    wire_write_u8(w, code);
    wire_write_u8(w, s->identifier);
    wire_write_u16(w, 0);
}

static enum err finish(struct wire_writer *w, struct session_eap_step *ret)
{
    wire_patch_len_u16(w, 2, 0);
    ret->packet_len = w->len;
    return wire_write_finish(w);
}

static enum err ask_identity(struct eap_server *s, struct session_eap_step *ret)
{
    struct wire_writer w;
    begin(s, ret, &w, EAP_REQUEST);
    wire_write_u8(&w, EAP_IDENTITY);
    s->stage = EAP_SERVER_IDENTITY;
    return finish(&w, ret);
}

static enum err end(struct eap_server *s, struct session_eap_step *ret)
{
    struct wire_writer w;
    s->stage = EAP_SERVER_OVER;
    ret->outcome = s->proven ? EAP_SUCCEEDED : EAP_FAILED;
    ret->peer = s->peer;
    if (s->proven && s->method == EAP_MSCHAPV2) {
        uint8_t msk[MSCHAPV2_MSK_LEN];
        mschapv2_msk(&s->m, msk);
        enum err e = secret_set(&ret->msk, SPAN_OF(msk));
        wipe(msk, sizeof(msk));
        if (e != ERR_OK)
            return e;
    }
    if (s->proven && s->method == EAP_TLS) {
        uint8_t msk[EAP_TLS_SERVER_KEY_LEN];
        enum err e = eap_tls_server_key(&s->tls, "client EAP encryption", msk);
        if (e == ERR_OK)
            e = secret_set(&ret->msk, SPAN_OF(msk));
        wipe(msk, sizeof(msk));
        if (e != ERR_OK)
            return e;
    }
    wipe(&s->password, sizeof(s->password));
    wipe(&s->m, sizeof(s->m));
    eap_tls_server_wipe(&s->tls);
    begin(s, ret, &w, s->proven ? EAP_SUCCESS : EAP_FAILURE);
    return finish(&w, ret);
}

static enum err say_tls(struct eap_server *s, struct session_eap_step *ret)
{
    struct wire_writer w;
    begin(s, ret, &w, EAP_REQUEST);
    wire_write_u8(&w, EAP_TLS);
    eap_tls_server_write(&s->tls, &w);
    s->stage = EAP_SERVER_TLS;
    return finish(&w, ret);
}

static enum err begin_tls(struct eap_server *s, const struct eap_server_policy *policy,
                          struct session_eap_step *ret)
{
    struct tls_config c = policy->tls;
    c.wall_time = policy->wall_time(policy->ctx);
    enum err e = eap_tls_server_begin(&s->tls, EAP_TLS, &c);
    return e == ERR_OK ? say_tls(s, ret) : e;
}

/* The method's first request. */
static enum err challenge(struct eap_server *s, const struct eap_server_policy *policy,
                          struct session_eap_step *ret)
{
    static const char name[] = "tern-gateway";
    struct wire_writer w;
    if (s->method == EAP_TLS)
        return begin_tls(s, policy, ret);
    random_fill(&policy->random, s->m.server_challenge, sizeof(s->m.server_challenge));
    begin(s, ret, &w, EAP_REQUEST);
    wire_write_u8(&w, s->method);
    if (s->method == EAP_GTC) {
        wire_write_span(&w, span_text("Code: "));
    } else {
        if (s->method == EAP_MSCHAPV2) {
            wire_write_u8(&w, CHALLENGE);
            wire_write_u8(&w, s->identifier);
            wire_write_u16(&w, 4 + 1 + sizeof(s->m.server_challenge) + sizeof(name) - 1);
        }
        wire_write_u8(&w, sizeof(s->m.server_challenge));
        wire_write_span(&w, SPAN_OF(s->m.server_challenge));
        wire_write_span(&w, span_text(name));
    }
    s->stage = EAP_SERVER_METHOD;
    return finish(&w, ret);
}

/* RFC 2759 5, 6. */
static enum err tell_judgement(struct eap_server *s, struct session_eap_step *ret)
{
    struct wire_writer w;
    uint8_t proof[MSCHAPV2_PROOF_LEN];
    char text[160] = "E=691 R=0 C=00000000000000000000000000000000 V=3 M=No such user or password";
    if (s->proven) {
        mschapv2_prove(&s->m, span_text(s->name), proof);
        for (size_t i = 0; i < sizeof(proof); i++)
            snprintf(text + 2 + 2 * i, 3, "%02X", proof[i]);
        text[0] = 'S';
        snprintf(text + 2 + 2 * sizeof(proof), 20, " M=Welcome");
    }
    begin(s, ret, &w, EAP_REQUEST);
    wire_write_u8(&w, EAP_MSCHAPV2);
    wire_write_u8(&w, s->proven ? SUCCESS : FAILURE);
    wire_write_u8(&w, s->identifier);
    wire_write_u16(&w, (uint16_t)(4 + strlen(text)));
    wire_write_span(&w, span_text(text));
    s->stage = EAP_SERVER_JUDGED;
    return finish(&w, ret);
}

/* --- what the client says --- */

static enum err take_name(struct eap_server *s, const struct eap_server_policy *policy,
                          struct span name)
{
    if (name.len == 0 || name.len > EAP_NAME_MAX || memchr(name.data, 0, name.len) != NULL)
        return ERR_MALFORMED;
    memcpy(s->name, name.data, name.len);
    s->name[name.len] = '\0';
    if (policy->find_password(policy->ctx, name, &s->password, &s->peer) != ERR_OK) {
        log_debug("nobody has a password who is called \"%s\"", s->name);
        s->password.len = 0;
    }
    return ERR_OK;
}

/* RFC 3748 5.3.1: the first of theirs that is ours too, in our order. */
static enum err other_method(struct eap_server *s, const struct eap_server_policy *policy,
                             struct span wanted, struct session_eap_step *ret)
{
    for (size_t i = 0; i < policy->method_count; i++) {
        uint8_t method = policy->methods[i];
        if (method != s->method && wanted.len > 0 &&
            memchr(wanted.data, method, wanted.len) != NULL) {
            s->method = method;
            return challenge(s, policy, ret);
        }
    }
    log_debug("the client wants none of our EAP methods");
    return end(s, ret);
}

static enum err judge_mschapv2(struct eap_server *s, struct wire_reader *r)
{
    uint8_t expected[MSCHAPV2_RESPONSE_LEN];
    uint8_t opcode = wire_read_u8(r);
    wire_skip(r, 1); /* identifier */
    uint16_t len = wire_read_u16(r);
    if (opcode != RESPONSE || len != r->bytes.len - 5 || wire_read_u8(r) != 49)
        return ERR_MALFORMED;
    struct span peer_challenge = wire_read_span(r, sizeof(s->m.peer_challenge));
    wire_skip(r, 8);
    struct span response = wire_read_span(r, sizeof(s->m.response));
    wire_skip(r, 1); /* flags */
    struct span name = wire_read_rest(r);
    if (r->failed || !span_equal(name, span_text(s->name)) ||
        mschapv2_set_password(&s->m, secret_span(&s->password)) != ERR_OK)
        return ERR_MALFORMED;
    memcpy(s->m.peer_challenge, peer_challenge.data, peer_challenge.len);
    memcpy(s->m.response, response.data, response.len);
    mschapv2_respond(&s->m, name, expected);
    s->proven = s->password.len > 0 && secret_equal(SPAN_OF(expected), response);
    return ERR_OK;
}

static enum err judge_md5(struct eap_server *s, struct wire_reader *r)
{
    uint8_t expected[MD5_LEN];
    struct span value = wire_read_span(r, wire_read_u8(r));
    if (r->failed)
        return ERR_MALFORMED;
    const struct span parts[] = {span_make(&s->identifier, 1), secret_span(&s->password),
                                 SPAN_OF(s->m.server_challenge)};
    hash_md5(parts, 3, expected);
    s->proven = s->password.len > 0 && secret_equal(SPAN_OF(expected), value);
    return ERR_OK;
}

static enum err judge(struct eap_server *s, struct wire_reader *r, struct session_eap_step *ret)
{
    enum err e = ERR_OK;
    if (s->method == EAP_MSCHAPV2) {
        e = judge_mschapv2(s, r);
        return e == ERR_OK ? tell_judgement(s, ret) : e;
    }
    if (s->method == EAP_MD5)
        e = judge_md5(s, r);
    else
        s->proven =
            s->password.len > 0 && secret_equal(secret_span(&s->password), wire_read_rest(r));
    return e == ERR_OK ? end(s, ret) : e;
}

/* RFC 5216 2.1.1, RFC 9190 2.1.1: the client has nothing more to say once it has our last word,
 * which with TLS 1.3 is an octet of zero. */
static enum err take_tls(struct eap_server *s, struct span data, struct session_eap_step *ret)
{
    static const uint8_t commitment = 0;
    bool before = tls_established(s->tls.tls), whole = false;
    if (s->tls.refused && eap_tls_server_idle(&s->tls))
        return end(s, ret);
    if (before && eap_tls_server_idle(&s->tls)) {
        certificate_default_identity(tls_peer(s->tls.tls), &s->peer);
        s->proven = true;
        return end(s, ret);
    }
    enum err e = eap_tls_server_input(&s->tls, data, &whole);
    if (e != ERR_OK)
        return ERR_MALFORMED;
    if (s->tls.refused && eap_tls_server_idle(&s->tls))
        return end(s, ret);
    if (!before && tls_established(s->tls.tls) && tls_is_1_3(s->tls.tls))
        e = tls_write(s->tls.tls, span_make(&commitment, 1));
    return e == ERR_OK ? say_tls(s, ret) : e;
}

static enum err take(struct eap_server *s, const struct eap_server_policy *policy,
                     struct wire_reader *r, uint8_t type, struct session_eap_step *ret)
{
    switch (s->stage) {
    case EAP_SERVER_IDENTITY:
        if (type != EAP_IDENTITY || take_name(s, policy, wire_read_rest(r)) != ERR_OK)
            return ERR_MALFORMED;
        s->method = policy->methods[0];
        return challenge(s, policy, ret);
    case EAP_SERVER_METHOD:
        if (type == EAP_NAK)
            return other_method(s, policy, wire_read_rest(r), ret);
        return type == s->method ? judge(s, r, ret) : ERR_MALFORMED;
    case EAP_SERVER_TLS:
        if (type == EAP_NAK && !tls_established(s->tls.tls)) {
            eap_tls_server_wipe(&s->tls);
            return other_method(s, policy, wire_read_rest(r), ret);
        }
        return type == EAP_TLS ? take_tls(s, wire_read_rest(r), ret) : ERR_MALFORMED;
    case EAP_SERVER_JUDGED:
        if (type != EAP_MSCHAPV2 || wire_read_u8(r) != (s->proven ? SUCCESS : FAILURE))
            return ERR_MALFORMED;
        return end(s, ret);
    case EAP_SERVER_IDLE:
    case EAP_SERVER_OVER:
        break;
    }
    return ERR_MALFORMED;
}

enum err eap_server_step(struct eap_server *s, const struct eap_server_policy *policy,
                         struct span response, struct session_eap_step *ret)
{
    struct wire_reader r;
    *ret = (struct session_eap_step){.outcome = EAP_GOING_ON};
    if (s->stage == EAP_SERVER_IDLE)
        return response.len == 0 ? ask_identity(s, ret) : ERR_MALFORMED;
    wire_reader_init(&r, response);
    uint8_t code = wire_read_u8(&r), identifier = wire_read_u8(&r);
    uint16_t len = wire_read_u16(&r);
    uint8_t type = wire_read_u8(&r);
    if (r.failed || len != response.len || code != EAP_RESPONSE || identifier != s->identifier)
        return ERR_MALFORMED;
    return take(s, policy, &r, type, ret);
}

void eap_server_wipe(struct eap_server *s)
{
    eap_tls_server_wipe(&s->tls);
    wipe(s, sizeof(*s));
}
