/* The server's side of TLS within EAP. A client's message is bounded, and so is what it makes us
 * send: TLS says nothing that was not asked for. */
#include "tools/gateway/eap_tls_server.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

enum { FLAG_LENGTH = 0x80, FLAG_MORE = 0x40, FLAG_START = 0x20 };

enum err eap_tls_server_begin(struct eap_tls_server *s, uint8_t type, const struct tls_config *c)
{
    s->type = type;
    return tls_new(c, &s->tls);
}

void eap_tls_server_wipe(struct eap_tls_server *s)
{
    tls_free(s->tls);
    free(s->message);
    wipe(s, sizeof(*s));
}

static enum err keep(struct eap_tls_server *s, struct span piece)
{
    if (piece.len > EAP_TLS_SERVER_MESSAGE_MAX - s->message_len)
        return ERR_MALFORMED;
    uint8_t *more = realloc(s->message, s->message_len + piece.len + 1);
    if (more == NULL)
        return ERR_MEMORY;
    s->message = more;
    if (piece.len > 0)
        memcpy(more + s->message_len, piece.data, piece.len);
    s->message_len += piece.len;
    return ERR_OK;
}

static void give(struct eap_tls_server *s)
{
    struct fault f = {.code = ERR_OK};
    if (tls_input(s->tls, span_make(s->message, s->message_len), &f) != ERR_OK) {
        log_info("TLS with a client of EAP failed: %s", f.text);
        s->refused = true;
    }
    s->message_len = 0;
}

enum err eap_tls_server_input(struct eap_tls_server *s, struct span data, bool *ret_whole)
{
    struct wire_reader r;
    wire_reader_init(&r, data);
    uint8_t flags = wire_read_u8(&r);
    if ((flags & FLAG_LENGTH) != 0)
        wire_skip(&r, 4);
    struct span piece = wire_read_rest(&r);
    if (r.failed || (flags & FLAG_START) != 0)
        return ERR_MALFORMED;
    *ret_whole = false;
    if (s->sent > 0 || s->refused) /* the next piece of ours, please */
        return piece.len == 0 && flags == 0 ? ERR_OK : ERR_MALFORMED;
    enum err e = keep(s, piece);
    if (e != ERR_OK)
        return e;
    s->receiving = (flags & FLAG_MORE) != 0;
    if (!s->receiving) {
        *ret_whole = true;
        give(s);
    }
    return ERR_OK;
}

void eap_tls_server_write(struct eap_tls_server *s, struct wire_writer *w)
{
    struct span all = tls_output(s->tls);
    size_t room = w->cap - w->len - 5, left = all.len - s->sent;
    if (!s->started) {
        wire_write_u8(w, FLAG_START);
        s->started = true;
        return;
    }
    if (s->piece_max > 0 && room > s->piece_max)
        room = s->piece_max;
    bool more = left > room, first = more && s->sent == 0;
    wire_write_u8(w, (uint8_t)((first ? FLAG_LENGTH : 0) | (more ? FLAG_MORE : 0)));
    if (first)
        wire_write_u32(w, (uint32_t)all.len);
    struct wire_reader rest;
    wire_reader_init(&rest, all);
    wire_skip(&rest, s->sent);
    size_t len = more ? room : left;
    wire_write_span(w, wire_read_span(&rest, len));
    s->sent += len;
    if (!more) {
        tls_output_sent(s->tls);
        s->sent = 0;
    }
}

bool eap_tls_server_idle(const struct eap_tls_server *s)
{
    return s->started && !s->receiving && tls_output(s->tls).len == 0;
}

enum err eap_tls_server_key(const struct eap_tls_server *s, const char *label,
                            uint8_t out[EAP_TLS_SERVER_KEY_LEN])
{
    uint8_t both[2 * EAP_TLS_SERVER_KEY_LEN]; /* MSK and EMSK (RFC 9190 2.3) */
    enum err e = tls_is_1_3(s->tls) ? tls_export(s->tls, "EXPORTER_EAP_TLS_Key_Material",
                                                 span_make(&s->type, 1), both, sizeof(both))
                                    : tls_export(s->tls, label, SPAN_EMPTY, both, sizeof(both));
    if (e == ERR_OK)
        memcpy(out, both, EAP_TLS_SERVER_KEY_LEN);
    wipe(both, sizeof(both));
    return e;
}
