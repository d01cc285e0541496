/* TLS within EAP, the peer's side.
 *
 * Invariants: a message of theirs is bounded, whatever length it claims, and so are the rounds
 * (peer.c); while ours goes out in pieces, theirs are acknowledgements; what a method says inside
 * is said after the handshake's end, and so to a server whose certificate was accepted. */
#include "common/eap/tls_layer.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

enum { FLAG_LENGTH = 0x80, FLAG_MORE = 0x40, FLAG_START = 0x20 };

void tls_layer_free(struct tls_layer *l)
{
    if (l == NULL)
        return;
    tls_free(l->tls);
    free(l->message);
    free(l);
}

/* --- words --- */

static void explain_alert(const struct eap_peer *p, const struct fault *why, struct fault *ret)
{
    char subject[IDENTITY_TEXT_MAX], issuer[IDENTITY_TEXT_MAX];
    const struct certificate_list *chain = p->tls->chain;
    bool about = tls_alert_about_certificate(tls_alert(p->tls->tls));
    if (about && chain == NULL) {
        (void)fault_set(ret, ERR_REFUSED, "the EAP server wants a certificate of ours (%s)",
                        why->text);
        fault_hint(ret, "ask for EAP-TLS instead (EAPMethods = tls, Certificate and PrivateKey)");
    } else if (about) {
        (void)fault_set(ret, ERR_REFUSED, "the EAP server refused our certificate \"%.150s\" (%s)",
                        certificate_subject(chain->items[0], subject), why->text);
        fault_hint(ret, "does the EAP server trust its issuer, \"%.150s\", and know this user?",
                   certificate_issuer(chain->items[0], issuer));
    } else {
        (void)fault_set(ret, ERR_REFUSED, "the EAP server ended the TLS handshake (%s)", why->text);
        fault_hint(ret, "TLS 1.2 and 1.3 are spoken here, with forward secrecy and SHA-2");
    }
}

static void explain(const struct eap_peer *p, const struct fault *why, struct fault *ret)
{
    switch (why->code) {
    case ERR_INTEGRITY:
        (void)fault_set(ret, ERR_INTEGRITY, "the EAP server was not accepted: %s", why->text);
        fault_hint(ret, "%s%s",
                   why->hint[0] != '\0'
                       ? why->hint
                       : "set EAPServer= in [Local] to the name that the EAP server has to prove",
                   strstr(why->hint, "CA=") != NULL ? " (EAPCA=, where that is given)" : "");
        break;
    case ERR_REFUSED:
        explain_alert(p, why, ret);
        break;
    case ERR_CRYPTO:
        *ret = *why;
        break;
    default:
        (void)fault_set(ret, why->code, "TLS with the EAP server failed: %s", why->text);
        fault_hint(ret, "the EAP server's log may say more");
        break;
    }
}

enum err tls_layer_give_up(struct eap_peer *p, const struct fault *f)
{
    p->refusal = *f;
    p->done = false;
    p->tls->over = true;
    log_debug("%s", f->text);
    return ERR_OK;
}

static enum err tls_failed(struct eap_peer *p, const struct fault *why)
{
    struct fault f = {0};
    explain(p, why, &f);
    return tls_layer_give_up(p, &f);
}

/* --- beginning --- */

static enum err begin(struct eap_peer *p, struct fault *f)
{
    const struct eap_config *c = &p->config;
    bool shows = p->method->type == EAP_TLS;
    const struct tls_config config = {.key = shows ? c->key : NULL,
                                      .chain = shows ? c->chain : NULL,
                                      .trust = c->trust,
                                      .name = c->server,
                                      .wall_time = c->wall_time(c->wall_time_ctx)};
    p->tls = calloc(1, sizeof(*p->tls));
    if (p->tls == NULL)
        return fault_set(f, ERR_MEMORY, "out of memory");
    p->tls->chain = config.chain;
    enum err e = tls_new(&config, &p->tls->tls);
    return e == ERR_OK ? e : fault_set(f, e, "TLS cannot be begun: %s", err_text(e));
}

/* --- pieces --- */

static enum err broken(const struct eap_peer *p, struct fault *f, const char *what)
{
    return fault_set(f, ERR_MALFORMED, "the gateway's %s packet %s", eap_type_name(p->method->type),
                     what);
}

static enum err keep(struct eap_peer *p, struct span piece, struct fault *f)
{
    struct tls_layer *l = p->tls;
    size_t max = l->message_total > 0 ? l->message_total : TLS_LAYER_MESSAGE_MAX;
    if (piece.len > max - l->message_len)
        return broken(p, f, "is longer than it said, or than it may be");
    uint8_t *message = realloc(l->message, l->message_len + piece.len + 1);
    if (message == NULL)
        return fault_set(f, ERR_MEMORY, "out of memory");
    l->message = message;
    if (piece.len > 0)
        memcpy(message + l->message_len, piece.data, piece.len);
    l->message_len += piece.len;
    return ERR_OK;
}

/* The first piece of a message: its length, where it is told, is that of all of it. */
static enum err begin_message(struct eap_peer *p, size_t total, struct fault *f)
{
    if (total > TLS_LAYER_MESSAGE_MAX)
        return broken(p, f, "is of a message that is too long");
    p->tls->message_len = 0;
    p->tls->message_total = total;
    return ERR_OK;
}

/* Their data, and whether a message is complete with it. */
static enum err take_piece(struct eap_peer *p, struct span data, bool *ret_whole, struct fault *f)
{
    struct tls_layer *l = p->tls;
    struct wire_reader r;
    wire_reader_init(&r, data);
    uint8_t flags = wire_read_u8(&r);
    size_t total = (flags & FLAG_LENGTH) != 0 ? wire_read_u32(&r) : 0;
    struct span piece = wire_read_rest(&r);
    bool more = (flags & FLAG_MORE) != 0;
    if (wire_read_finish(&r) != ERR_OK || (flags & FLAG_START) != 0 ||
        (more && piece.len == 0)) /* rounds without an end would be had for nothing */
        return broken(p, f, "has wrong flags");
    if (l->receiving && total > 0 && total != l->message_total)
        return broken(p, f, "changes the length of its message");
    enum err e = l->receiving ? ERR_OK : begin_message(p, total, f);
    if (e == ERR_OK)
        e = keep(p, piece, f);
    if (e != ERR_OK)
        return e;
    if (!more && l->message_total > 0 && l->message_len != l->message_total)
        return broken(p, f, "is shorter than it said");
    l->receiving = more;
    *ret_whole = !more;
    return ERR_OK;
}

/* The next piece of ours, or the acknowledgement that nothing is to be said. */
static void write_piece(struct eap_peer *p, struct wire_writer *w)
{
    struct tls_layer *l = p->tls;
    struct span all = tls_output(l->tls);
    enum { HEAD_LEN = 1 + 4 };
    size_t left = all.len - l->sent, room = w->cap - w->len - HEAD_LEN;
    bool more = left > room;
    bool first = more && l->sent == 0;
    wire_write_u8(w, (uint8_t)((first ? FLAG_LENGTH : 0) | (more ? FLAG_MORE : 0)));
    if (first)
        wire_write_u32(w, (uint32_t)all.len);
    struct wire_reader rest;
    wire_reader_init(&rest, all);
    wire_skip(&rest, l->sent);
    size_t len = more ? room : left;
    wire_write_span(w, wire_read_span(&rest, len));
    l->sent += len;
    if (!more) {
        tls_output_sent(l->tls);
        l->sent = 0;
    }
}

/* --- messages --- */

static enum err take_message(struct eap_peer *p,
                             enum err (*inside)(struct eap_peer *p, struct fault *f),
                             struct fault *f)
{
    struct tls_layer *l = p->tls;
    struct fault why = {0};
    bool established = tls_established(l->tls);
    enum err e = tls_input(l->tls, span_make(l->message, l->message_len), &why);
    l->message_len = 0;
    if (e == ERR_MEMORY)
        return fault_set(f, e, "out of memory");
    if (e != ERR_OK)
        return tls_failed(p, &why);
    if (!established && tls_established(l->tls))
        log_info("the EAP server has proven itself: %s, %s", tls_version_text(l->tls),
                 tls_cipher_text(l->tls));
    /* What is ours of the handshake goes first, alone: its acknowledgement comes back here. */
    if (!tls_established(l->tls) || tls_output(l->tls).len > 0)
        return ERR_OK;
    return inside(p, f);
}

enum err tls_layer_input(struct eap_peer *p, struct span data, struct wire_writer *w,
                         enum err (*inside)(struct eap_peer *p, struct fault *f), struct fault *f)
{
    bool whole = false;
    enum err e = ERR_OK;
    if (p->tls == NULL) {
        if (data.len == 0 || (data.data[0] & FLAG_START) == 0)
            return broken(p, f, "is no beginning");
        e = begin(p, f);
        whole = true;
    } else if (p->tls->over) {
        *f = p->refusal;
        return f->code;
    } else {
        e = take_piece(p, data, &whole, f);
    }
    if (e == ERR_OK && p->tls->sent > 0 && (!whole || p->tls->message_len > 0))
        return broken(p, f, "comes while ours is not at its end");
    if (e == ERR_OK && p->tls->sent == 0 && whole)
        e = take_message(p, inside, f);
    if (e == ERR_OK && whole)
        write_piece(p, w);
    else if (e == ERR_OK)
        wire_write_u8(w, 0);
    return e;
}

/* --- inside --- */

enum err tls_layer_read(struct eap_peer *p, uint8_t *out, size_t cap, size_t *ret_len,
                        struct fault *f)
{
    size_t len = 0, n;
    struct fault why = {0};
    enum err e = ERR_OK;
    while (len < cap && (e = tls_read(p->tls->tls, out + len, cap - len, &n, &why)) == ERR_OK)
        len += n;
    if (e == ERR_OK)
        return fault_set(f, ERR_LIMIT, "the gateway says more inside %s than is taken",
                         eap_type_name(p->method->type));
    *ret_len = len;
    /* Who closes it has something to say outside. */
    return e == ERR_AGAIN || e == ERR_EXHAUSTED ? ERR_OK : tls_failed(p, &why);
}

enum err tls_layer_write(struct eap_peer *p, struct span data, struct fault *f)
{
    enum err e = tls_write(p->tls->tls, data);
    return e == ERR_OK ? e : fault_set(f, e, "TLS takes nothing more: %s", err_text(e));
}

enum err tls_layer_export(const struct eap_peer *p, const char *label, uint8_t *out, size_t len)
{
    const struct tls *t = p->tls->tls;
    struct span type = span_make(&p->method->type, 1);
    return tls_is_1_3(t) ? tls_export(t, "EXPORTER_EAP_TLS_Key_Material", type, out, len)
                         : tls_export(t, label, SPAN_EMPTY, out, len);
}

enum err tls_layer_finish(struct eap_peer *p, const char *label, struct fault *f)
{
    /* MSK and EMSK: with TLS 1.3 the length that is asked for is part of what comes. */
    uint8_t key[2 * TLS_LAYER_KEY_LEN];
    enum err e = tls_layer_export(p, label, key, sizeof(key));
    if (e == ERR_OK)
        e = secret_set(&p->msk, span_make(key, TLS_LAYER_KEY_LEN));
    wipe(key, sizeof(key));
    if (e != ERR_OK)
        return fault_set(f, e, "TLS makes no key: %s", err_text(e));
    p->done = true;
    return ERR_OK;
}

enum err tls_layer_inner_begin(struct eap_peer *p, struct fault *f)
{
    struct eap_config c = p->config;
    memcpy(c.methods, c.inner, sizeof(c.methods));
    c.method_count = c.inner_count;
    enum err e = eap_peer_new(&c, &p->random, &p->inner);
    wipe(&c.password, sizeof(c.password));
    if (e != ERR_OK)
        return fault_set(f, e, "out of memory");
    p->inner->inside = true;
    return ERR_OK;
}

enum err tls_layer_inner(struct eap_peer *p, struct span packet, struct span *ret_response,
                         struct fault *f)
{
    struct eap_result r;
    eap_peer_input(p->inner, packet, &r);
    p->tried |= p->inner->tried;
    p->told_password |= p->inner->told_password;
    *ret_response = r.response;
    if (r.outcome != EAP_FAILED)
        return ERR_OK;
    *f = r.fault;
    return r.fault.code;
}
