/* The conversation with tern-token: a request, and its one answer, within a bound. What comes from
 * there is judged as if it came from a stranger: a driver that is broken may have written it. */
#include "client/token.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/crypto/secret.h"
#include "platform/clock.h"

struct token {
    int fd; /* -1: the conversation is over */
    uint32_t answer_ms;
    struct token_state state;
    uint8_t message[TOKEN_MESSAGE_MAX];
};

static enum err hang_up(struct token *t, struct fault *f, const char *why)
{
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
    (void)fault_set(f, ERR_REFUSED, "tern-token, which speaks with the token, %s", why);
    return ERR_REFUSED;
}

static enum err send_request(struct token *t, const struct token_request *r, struct fault *f)
{
    size_t len = 0;
    if (t->fd < 0)
        return hang_up(t, f, "has ended before");
    enum err e = token_request_write(r, t->message, &len);
    if (e != ERR_OK)
        return fault_set(f, e, "what the token is asked is too long");
    ssize_t n = send(t->fd, t->message, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    wipe(t->message, len); /* it may be a PIN */
    return n == (ssize_t)len ? ERR_OK : hang_up(t, f, "has ended");
}

static bool wait_readable(int fd, uint32_t patience_ms)
{
    int64_t until = clock_awake_ms() + patience_ms;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = until - clock_awake_ms();
        int n = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (n >= 0 || errno != EINTR)
            return n > 0;
    }
}

static enum err read_answer(struct token *t, uint32_t patience_ms, enum token_answer_type expected,
                            struct token_answer *ret, struct fault *f)
{
    if (!wait_readable(t->fd, patience_ms))
        return hang_up(t, f, "does not answer");
    ssize_t n;
    do
        n = recv(t->fd, t->message, sizeof(t->message), MSG_TRUNC);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return hang_up(t, f, "has ended");
    if ((size_t)n > sizeof(t->message) ||
        token_answer_parse(span_make(t->message, (size_t)n), ret) != ERR_OK ||
        (ret->type != expected && ret->type != TOKEN_FAULT))
        return hang_up(t, f, "says what makes no sense");
    if (ret->type != TOKEN_FAULT)
        return ERR_OK;
    enum err e = ret->fault == TOKEN_NOT_FOUND ? ERR_NOT_FOUND : ERR_REFUSED;
    return fault_set(f, e, "%.*s", (int)ret->text.len, (const char *)ret->text.data);
}

static enum err ask(struct token *t, const struct token_request *r, uint32_t patience_ms,
                    enum token_answer_type expected, struct token_answer *ret, struct fault *f)
{
    enum err e = send_request(t, r, f);
    return e == ERR_OK ? read_answer(t, patience_ms, expected, ret, f) : e;
}

static void take_state(struct token *t, const struct token_answer *a)
{
    t->state.flags = a->flags;
    if (a->text.len > 0)
        memcpy(t->state.label, a->text.data, a->text.len);
    t->state.label[a->text.len] = '\0';
}

enum err token_attach(int fd, uint32_t answer_ms, const char *key_uri, const char *certificate_uri,
                      struct token **ret, struct fault *f)
{
    struct token *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        close(fd);
        return fault_set(f, ERR_MEMORY, "out of memory");
    }
    t->fd = fd;
    t->answer_ms = answer_ms;
    const struct token_request open = {.type = TOKEN_OPEN,
                                       .key_uri = span_text(key_uri),
                                       .certificate_uri = span_text(certificate_uri)};
    struct token_answer a;
    enum err e = ask(t, &open, answer_ms, TOKEN_STATUS, &a, f);
    if (e != ERR_OK) {
        token_free(t);
        return e;
    }
    take_state(t, &a);
    *ret = t;
    return ERR_OK;
}

enum err token_open(const char *key_uri, const char *certificate_uri, struct token **ret,
                    struct fault *f)
{
    int fd;
    enum err e = token_process_start(&fd, f);
    return e == ERR_OK ? token_attach(fd, TOKEN_ANSWER_MS, key_uri, certificate_uri, ret, f) : e;
}

void token_free(struct token *t)
{
    if (t == NULL)
        return;
    if (t->fd >= 0)
        close(t->fd);
    wipe(t, sizeof(*t));
    free(t);
}

const struct token_state *token_state(const struct token *t)
{
    return &t->state;
}

enum err token_login(struct token *t, struct span pin, struct fault *f)
{
    const struct token_request login = {.type = TOKEN_LOGIN, .pin = pin};
    bool pinpad = (t->state.flags & TOKEN_PINPAD) != 0;
    struct token_answer a;
    if (pin.len > TOKEN_PIN_MAX)
        return fault_set(f, ERR_INTEGRITY, "a PIN has %d octets at most", (int)TOKEN_PIN_MAX);
    enum err e = ask(t, &login, pinpad ? TOKEN_PINPAD_MS : t->answer_ms, TOKEN_STATUS, &a, f);
    if (e != ERR_OK)
        return e;
    take_state(t, &a);
    return (a.flags & TOKEN_WRONG) == 0 ? ERR_OK : fault_set(f, ERR_INTEGRITY, "the PIN is wrong");
}

enum err token_certificate(struct token *t, uint16_t index, struct span *ret_der, struct fault *f)
{
    const struct token_request r = {.type = TOKEN_CERTIFICATE, .index = index};
    struct token_answer a;
    enum err e = ask(t, &r, t->answer_ms, TOKEN_DER, &a, f);
    if (e == ERR_OK)
        *ret_der = a.bytes;
    return e;
}

_Static_assert((int)TOKEN_PKCS1 == (int)KEY_MECHANISM_PKCS1 &&
                   (int)TOKEN_RSA_PSS == (int)KEY_MECHANISM_PSS &&
                   (int)TOKEN_ECDSA == (int)KEY_MECHANISM_ECDSA &&
                   (int)TOKEN_EDDSA == (int)KEY_MECHANISM_ED25519,
               "the protocol's numbers are the core's");

/* Whatever is wrong, the key cannot be used: nobody is there to enter the PIN again. */
static enum err sign(void *ctx, const struct key_request *k, uint8_t *out, size_t cap,
                     size_t *ret_len, struct fault *f)
{
    struct token *t = ctx;
    struct fault seen = {0};
    const struct token_request r = {.type = TOKEN_SIGN,
                                    .mechanism = (enum token_mechanism)k->mechanism,
                                    .hash = (uint8_t)k->hash,
                                    .salt_len = (uint16_t)k->salt_len,
                                    .input = k->input};
    struct token_answer a;
    enum err e = ask(t, &r, t->answer_ms, TOKEN_SIGNATURE, &a, &seen);
    if (e == ERR_OK && a.bytes.len > cap)
        e = hang_up(t, &seen, "says what makes no sense");
    if (e == ERR_OK) {
        memcpy(out, a.bytes.data, a.bytes.len);
        *ret_len = a.bytes.len;
        return ERR_OK;
    }
    log_warn("our key cannot be used: %s", seen.text);
    (void)fault_set(f, ERR_REFUSED, "our key cannot be used: %s", seen.text);
    fault_hint(f, "put the token back; then tern down, and tern up, which asks for its PIN");
    return ERR_REFUSED;
}

struct key_signer token_signer(struct token *t)
{
    return (struct key_signer){.sign = sign, .ctx = t, .pss = (t->state.flags & TOKEN_PSS) != 0};
}
