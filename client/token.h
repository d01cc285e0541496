/* A key and its certificates on a token (a smart card, a USB key, SoftHSM) that tern-token speaks
 * with for us: the conversation of client/token/protocol.h, from our side.
 *
 * Every call blocks until the answer is there, or its bound is reached: then, as after anything
 * else that is wrong with the conversation, the socket is closed, and all calls fail from there on.
 * One thread at a time. The process outlives a fork: whoever has the socket last goes on with it.
 */
#ifndef TERN_CLIENT_TOKEN_H
#define TERN_CLIENT_TOKEN_H

#include "client/token/protocol.h"
#include "common/crypto/external_key.h"

enum {
    TOKEN_ANSWER_MS = 30000, /* drivers look for readers; somebody may have to touch the token */
    TOKEN_PINPAD_MS = 80000  /* while a PIN is entered at the reader */
};

struct token;

struct token_state {
    uint8_t flags;                   /* of enum token_flag, as the last STATUS had them */
    char label[TOKEN_LABEL_MAX + 1]; /* any octets */
};

/* Starts tern-token and opens what the URIs say; "" for one that is not given. ERR_NOT_FOUND: there
 * is no tern-token, or no such token; ERR_SYSTEM, ERR_MEMORY, ERR_REFUSED. The fault has the words.
 */
CHECKED enum err token_open(const char *key_uri, const char *certificate_uri, struct token **ret,
                            struct fault *f);
/* The same over a socket at whose other end somebody is already; the token owns it in any case.
 * answer_ms: instead of TOKEN_ANSWER_MS. */
CHECKED enum err token_attach(int fd, uint32_t answer_ms, const char *key_uri,
                              const char *certificate_uri, struct token **ret, struct fault *f);
void token_free(struct token *t); /* hangs up; NULL is fine */

const struct token_state *token_state(const struct token *t);
/* An empty PIN where it is entered at the reader. ERR_INTEGRITY where it was wrong: the state says
 * what is left. */
CHECKED enum err token_login(struct token *t, struct span pin, struct fault *f);
/* DER of a certificate, borrowed until the next call; empty: there are no more. */
CHECKED enum err token_certificate(struct token *t, uint16_t index, struct span *ret_der,
                                   struct fault *f);
/* Signs by the token's key: for private_key_external, with the token as its ctx. */
struct key_signer token_signer(struct token *t);

/* Starts the program (token_process.c); *ret_fd is our end of the socket. */
CHECKED enum err token_process_start(int *ret_fd, struct fault *f);

#endif
