/* Messages between tern and tern-token, read and written. Both ends are linked to this file. */
#include "client/token/protocol.h"

#include "common/base/wire.h"

static struct span read_text(struct wire_reader *r, size_t max)
{
    size_t len = wire_read_u16(r);
    if (len > max)
        wire_read_fail(r);
    return wire_read_span(r, len);
}

static void write_text(struct wire_writer *w, struct span text)
{
    wire_write_u16(w, (uint16_t)text.len);
    wire_write_span(w, text);
}

/* Text of no zeroes: it goes to those who end it by one. */
static bool has_zero(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == 0)
            return true;
    }
    return false;
}

/* Which lengths a request may have: for both directions. */
static bool request_good(const struct token_request *r)
{
    switch (r->type) {
    case TOKEN_OPEN:
        return r->key_uri.len <= TOKEN_URI_MAX && r->certificate_uri.len <= TOKEN_URI_MAX &&
               r->key_uri.len + r->certificate_uri.len > 0 && !has_zero(r->key_uri) &&
               !has_zero(r->certificate_uri);
    case TOKEN_LOGIN:
        return r->pin.len <= TOKEN_PIN_MAX;
    case TOKEN_CERTIFICATE:
        return r->index < TOKEN_CERTIFICATES_MAX;
    case TOKEN_SIGN:
        return r->mechanism >= TOKEN_PKCS1 && r->mechanism <= TOKEN_EDDSA && r->input.len > 0;
    }
    return false;
}

enum err token_request_parse(struct span message, struct token_request *ret)
{
    struct wire_reader r;
    wire_reader_init(&r, message);
    struct token_request q = {.type = (enum token_request_type)wire_read_u8(&r)};
    switch (q.type) {
    case TOKEN_OPEN:
        q.key_uri = read_text(&r, TOKEN_URI_MAX);
        q.certificate_uri = read_text(&r, TOKEN_URI_MAX);
        break;
    case TOKEN_LOGIN:
        q.pin = wire_read_rest(&r);
        break;
    case TOKEN_CERTIFICATE:
        q.index = wire_read_u16(&r);
        break;
    case TOKEN_SIGN:
        q.mechanism = (enum token_mechanism)wire_read_u8(&r);
        q.hash = wire_read_u8(&r);
        q.salt_len = wire_read_u16(&r);
        q.input = wire_read_rest(&r);
        break;
    }
    if (wire_read_finish(&r) != ERR_OK || message.len > TOKEN_MESSAGE_MAX || !request_good(&q))
        return ERR_MALFORMED;
    *ret = q;
    return ERR_OK;
}

enum err token_request_write(const struct token_request *q, uint8_t out[TOKEN_MESSAGE_MAX],
                             size_t *ret_len)
{
    struct wire_writer w;
    if (!request_good(q))
        return ERR_LIMIT;
    wire_writer_init(&w, out, TOKEN_MESSAGE_MAX);
    wire_write_u8(&w, (uint8_t)q->type);
    switch (q->type) {
    case TOKEN_OPEN:
        write_text(&w, q->key_uri);
        write_text(&w, q->certificate_uri);
        break;
    case TOKEN_LOGIN:
        wire_write_span(&w, q->pin);
        break;
    case TOKEN_CERTIFICATE:
        wire_write_u16(&w, q->index);
        break;
    case TOKEN_SIGN:
        wire_write_u8(&w, (uint8_t)q->mechanism);
        wire_write_u8(&w, q->hash);
        wire_write_u16(&w, q->salt_len);
        wire_write_span(&w, q->input);
        break;
    }
    *ret_len = w.len;
    return wire_write_finish(&w);
}

static bool answer_good(const struct token_answer *a)
{
    switch (a->type) {
    case TOKEN_STATUS:
        return (a->flags & ~TOKEN_FLAGS) == 0 && a->text.len <= TOKEN_LABEL_MAX &&
               !has_zero(a->text);
    case TOKEN_DER:
        return true;
    case TOKEN_SIGNATURE:
        return a->bytes.len > 0;
    case TOKEN_FAULT:
        return a->fault >= TOKEN_OTHER && a->fault <= TOKEN_GONE && a->text.len > 0 &&
               a->text.len <= TOKEN_TEXT_MAX && !has_zero(a->text);
    }
    return false;
}

enum err token_answer_parse(struct span message, struct token_answer *ret)
{
    struct wire_reader r;
    wire_reader_init(&r, message);
    struct token_answer a = {.type = (enum token_answer_type)wire_read_u8(&r)};
    switch (a.type) {
    case TOKEN_STATUS:
        a.flags = wire_read_u8(&r);
        a.text = read_text(&r, TOKEN_LABEL_MAX);
        break;
    case TOKEN_DER:
    case TOKEN_SIGNATURE:
        a.bytes = wire_read_rest(&r);
        break;
    case TOKEN_FAULT:
        a.fault = (enum token_fault)wire_read_u8(&r);
        a.text = read_text(&r, TOKEN_TEXT_MAX);
        break;
    }
    if (wire_read_finish(&r) != ERR_OK || message.len > TOKEN_MESSAGE_MAX || !answer_good(&a))
        return ERR_MALFORMED;
    *ret = a;
    return ERR_OK;
}

enum err token_answer_write(const struct token_answer *a, uint8_t out[TOKEN_MESSAGE_MAX],
                            size_t *ret_len)
{
    struct wire_writer w;
    if (!answer_good(a))
        return ERR_LIMIT;
    wire_writer_init(&w, out, TOKEN_MESSAGE_MAX);
    wire_write_u8(&w, (uint8_t)a->type);
    switch (a->type) {
    case TOKEN_STATUS:
        wire_write_u8(&w, a->flags);
        write_text(&w, a->text);
        break;
    case TOKEN_DER:
    case TOKEN_SIGNATURE:
        wire_write_span(&w, a->bytes);
        break;
    case TOKEN_FAULT:
        wire_write_u8(&w, (uint8_t)a->fault);
        write_text(&w, a->text);
        break;
    }
    *ret_len = w.len;
    return wire_write_finish(&w);
}
