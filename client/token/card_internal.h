/* Between card.c (the token, who has logged in) and card_objects.c (what lies on it). */
#ifndef TERN_CLIENT_TOKEN_CARD_INTERNAL_H
#define TERN_CLIENT_TOKEN_CARD_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include <p11-kit/p11-kit.h>
#include <p11-kit/pkcs11.h>
#include <p11-kit/uri.h>

#include "client/token/card.h"

enum { CARD_ID_MAX = 256 };

struct card {
    CK_FUNCTION_LIST **modules;   /* all that p11-kit knows of; NULL where */
    CK_FUNCTION_LIST *one_module; /* the URI named one */
    CK_FUNCTION_LIST *module;     /* that has the token */
    CK_SLOT_ID slot;
    bool has_session;
    CK_SESSION_HANDLE session;
    P11KitUri *key_uri, *certificate_uri; /* NULL: not given */

    bool has_key;
    CK_OBJECT_HANDLE key;
    bool pss;
    uint8_t id[CARD_ID_MAX]; /* the key's CKA_ID */
    size_t id_len;
    bool asks_each_time; /* CKA_ALWAYS_AUTHENTICATE: then the PIN is kept, and wiped in the end */
    uint8_t pin[TOKEN_PIN_MAX];
    size_t pin_len;
    char label[TOKEN_LABEL_MAX + 1];
};

/* "what: what the driver says", and TOKEN_GONE where that means so. Returns false. */
bool card_refuse(const struct card *c, struct card_fault *f, const char *what, CK_RV rv);
bool card_fail(struct card_fault *f, enum token_fault kind, const char *format, ...)
    PRINTF_LIKE(3, 4);
CHECKED bool card_find_key(struct card *c, struct card_fault *f);

#endif
