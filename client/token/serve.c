/* Requests in, answers out, one after the other. The PIN passes through one buffer, wiped each
 * time.
 */
#include "client/token/serve.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/token/card.h"

struct server {
    int fd;
    struct card *card;
    uint8_t in[TOKEN_MESSAGE_MAX], out[TOKEN_MESSAGE_MAX], made[TOKEN_MESSAGE_MAX];
};

static bool send_answer(struct server *s, const struct token_answer *a)
{
    size_t len = 0;
    return token_answer_write(a, s->out, &len) == ERR_OK &&
           send(s->fd, s->out, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool send_fault(struct server *s, const struct card_fault *f)
{
    return send_answer(s, &(struct token_answer){
                              .type = TOKEN_FAULT, .fault = f->kind, .text = span_text(f->text)});
}

static bool send_status(struct server *s, uint8_t more)
{
    struct card_status status;
    struct card_fault f;
    if (!card_status(s->card, &status, &f))
        return send_fault(s, &f);
    return send_answer(s, &(struct token_answer){.type = TOKEN_STATUS,
                                                 .flags = status.flags | more,
                                                 .text = span_text(status.label)});
}

static void text_of(struct span s, char out[TOKEN_URI_MAX + 1])
{
    if (s.len > 0)
        memcpy(out, s.data, s.len);
    out[s.len] = '\0';
}

static bool on_open(struct server *s, const struct token_request *r)
{
    char key[TOKEN_URI_MAX + 1], certificate[TOKEN_URI_MAX + 1];
    struct card_fault f;
    text_of(r->key_uri, key);
    text_of(r->certificate_uri, certificate);
    return card_open(key, certificate, &s->card, &f) ? send_status(s, 0) : send_fault(s, &f);
}

static bool on_login(struct server *s, const struct token_request *r)
{
    struct card_fault f;
    bool wrong = false;
    if (!card_login(s->card, r->pin, &wrong, &f))
        return send_fault(s, &f);
    return send_status(s, wrong ? TOKEN_WRONG : 0);
}

static bool on_certificate(struct server *s, const struct token_request *r)
{
    struct card_fault f;
    size_t len = 0;
    /* One octet of a message is its type. */
    if (!card_certificate(s->card, r->index, s->made, sizeof(s->made) - 1, &len, &f))
        return send_fault(s, &f);
    return send_answer(s,
                       &(struct token_answer){.type = TOKEN_DER, .bytes = span_make(s->made, len)});
}

static bool on_sign(struct server *s, const struct token_request *r)
{
    struct card_fault f;
    size_t len = 0;
    if (!card_sign(s->card, r, s->made, sizeof(s->made) - 1, &len, &f))
        return send_fault(s, &f);
    return send_answer(
        s, &(struct token_answer){.type = TOKEN_SIGNATURE, .bytes = span_make(s->made, len)});
}

/* One token for one conversation: opened first, and once; used once the key is found. */
static bool allowed(struct server *s, enum token_request_type type)
{
    struct card_status status;
    struct card_fault f;
    if (type == TOKEN_OPEN || type == TOKEN_LOGIN)
        return (s->card == NULL) == (type == TOKEN_OPEN);
    /* What has gone since is for the request itself to tell. */
    return s->card != NULL &&
           (!card_status(s->card, &status, &f) || (status.flags & TOKEN_KEY) != 0);
}

static bool answer(struct server *s, size_t len)
{
    static bool (*const handlers[])(struct server * s, const struct token_request *r) = {
        [TOKEN_OPEN] = on_open,
        [TOKEN_LOGIN] = on_login,
        [TOKEN_CERTIFICATE] = on_certificate,
        [TOKEN_SIGN] = on_sign,
    };
    struct token_request r;
    return token_request_parse(span_make(s->in, len), &r) == ERR_OK && allowed(s, r.type) &&
           handlers[r.type](s, &r);
}

void serve(int fd)
{
    static struct server s;
    bool good = true;
    s = (struct server){.fd = fd};
    while (good) {
        ssize_t n = recv(fd, s.in, sizeof(s.in), MSG_TRUNC);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || (size_t)n > sizeof(s.in))
            break;
        (void)alarm(SERVE_PATIENCE_S);
        good = answer(&s, (size_t)n);
        (void)alarm(0);
        explicit_bzero(s.in, (size_t)n);
    }
    (void)alarm(SERVE_PATIENCE_S);
    card_close(s.card);
    s.card = NULL;
}
