/* A token by PKCS#11: finding it, logging in, its certificates, signing. For tern-token alone; one
 * at a time. */
#ifndef TERN_CLIENT_TOKEN_CARD_H
#define TERN_CLIENT_TOKEN_CARD_H

#include "client/token/protocol.h"

struct card;

/* How it is with the token, for STATUS. */
struct card_status {
    uint8_t flags; /* of enum token_flag */
    char label[TOKEN_LABEL_MAX + 1];
};

/* Every function that fails says why: `kind` for the other side, `text` for people. */
struct card_fault {
    enum token_fault kind;
    char text[TOKEN_TEXT_MAX + 1];
};

/* The token that both URIs (RFC 7512) fit, one of them empty perhaps. Where it wants no PIN, the
 * key is looked for at once. */
CHECKED bool card_open(const char *key_uri, const char *certificate_uri, struct card **ret,
                       struct card_fault *f);
void card_close(struct card *c); /* logs out; NULL is fine */
/* Asks the token anew. */
CHECKED bool card_status(struct card *c, struct card_status *ret, struct card_fault *f);
/* true where the PIN was wrong as well: *ret_wrong. Then finds the key. */
CHECKED bool card_login(struct card *c, struct span pin, bool *ret_wrong, struct card_fault *f);
/* Into out; *ret_len 0: there is none of that number. */
CHECKED bool card_certificate(struct card *c, size_t index, uint8_t *out, size_t cap,
                              size_t *ret_len, struct card_fault *f);
CHECKED bool card_sign(struct card *c, const struct token_request *r, uint8_t *out, size_t cap,
                       size_t *ret_len, struct card_fault *f);

#endif
