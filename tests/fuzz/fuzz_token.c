/* What tern-token says to us, and we to it: single messages, which must write back as they were
 * read; and whole conversations, of answers to all that can be asked. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/token.h"
#include "tests/fuzz/fuzz.h"

static uint8_t again[TOKEN_MESSAGE_MAX];

static void message(struct span bytes)
{
    struct token_request r;
    struct token_answer a;
    size_t len = 0;
    uint8_t *copy = fuzz_copy(bytes);
    struct span s = span_make(copy, bytes.len);
    if (token_request_parse(s, &r) == ERR_OK) {
        CHECK(token_request_write(&r, again, &len) == ERR_OK);
        CHECK(span_equal(span_make(again, len), s));
    }
    if (token_answer_parse(s, &a) == ERR_OK) {
        CHECK(token_answer_write(&a, again, &len) == ERR_OK);
        CHECK(span_equal(span_make(again, len), s));
    }
    free(copy);
}

static void use(struct token *t)
{
    uint8_t out[SIGNATURE_MAX];
    struct fault f = {.code = ERR_OK};
    struct span der = SPAN_EMPTY;
    size_t len = 0;
    enum err e = token_login(t, span_text("1234"), &f);
    CHECK(e == ERR_OK || f.text[0] != '\0');
    CHECK(strlen(token_state(t)->label) <= TOKEN_LABEL_MAX);
    if (token_certificate(t, 0, &der, &f) == ERR_OK)
        CHECK(der.len < TOKEN_MESSAGE_MAX);
    const struct key_signer s = token_signer(t);
    const struct key_request r = {.mechanism = KEY_MECHANISM_ED25519, .input = span_text("x")};
    if (s.sign(s.ctx, &r, out, sizeof(out), &len, &f) == ERR_OK)
        CHECK(len > 0 && len <= sizeof(out));
}

/* All that is answered lies there already. */
static void conversation(struct wire_reader *r)
{
    int ends[2];
    struct token *t = NULL;
    struct fault f = {.code = ERR_OK};
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    for (unsigned i = 0; i < 4 && wire_left(r) > 0; i++) {
        struct span answer = fuzz_piece(r);
        (void)send(ends[1], answer.data, answer.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    (void)shutdown(ends[1], SHUT_WR);
    enum err e = token_attach(ends[0], 1000, "pkcs11:", "", &t, &f);
    CHECK((e == ERR_OK) == (t != NULL) && (e == ERR_OK || f.text[0] != '\0'));
    if (t != NULL)
        use(t);
    token_free(t);
    close(ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader r;
    wire_reader_init(&r, span_make(data, size));
    if ((wire_read_u8(&r) & 1) == 0)
        message(wire_read_rest(&r));
    else
        conversation(&r);
    return 0;
}
