/* A key of ours on a token: the PIN, the certificates, and the key that signs there. The
 * certificate may lie in a file all the same. */
#include "client/credentials_internal.h"

#include <stdio.h>
#include <string.h>

#include "client/pkcs11_uri.h"

struct token_loading {
    struct loading *l;
    const struct own_loading *o;
    unsigned line;
    struct token *token;
    char label[TOKEN_LABEL_MAX + 1]; /* who prints escapes what a terminal would obey */
};

static bool has_flag(const struct token_loading *t, enum token_flag flag)
{
    return (token_state(t->token)->flags & flag) != 0;
}

static const char *tries_left(const struct token_loading *t)
{
    return has_flag(t, TOKEN_LAST_TRY)    ? " (the last try before it is locked)"
           : has_flag(t, TOKEN_FEW_TRIES) ? " (few tries are left before it is locked)"
                                          : "";
}

static void refuse_locked(struct token_loading *t)
{
    struct fault f = {0};
    (void)fault_set(&f, ERR_REFUSED, "the PIN of the token \"%s\" is locked", t->label);
    fault_hint(&f, "unlock it with its PUK, by the program that it came with");
    fault_list_add_fault(t->l->faults, t->line, &f);
}

/* False where a wrong PIN is not the matter, or the last word. */
static bool may_try_again(struct token_loading *t, enum err e, const struct fault *f)
{
    if (e == ERR_INTEGRITY && has_flag(t, TOKEN_LOCKED))
        refuse_locked(t);
    else if (e != ERR_OK && e != ERR_INTEGRITY)
        fault_list_add_fault(t->l->faults, t->line, f);
    return e == ERR_INTEGRITY && !has_flag(t, TOKEN_LOCKED);
}

static void login_by_asking(struct token_loading *t)
{
    char prompt[512], subject[256];
    const char *advice = has_flag(t, TOKEN_LAST_TRY)
                             ? "a stored PIN is not risked: enter it by hand"
                             : "put pin-source= into the URI";
    struct secret pin = {.len = 0};
    enum err e = ERR_INTEGRITY;
    (void)snprintf(subject, sizeof(subject), "the token \"%s\" wants its PIN%s", t->label,
                   tries_left(t));
    for (unsigned i = 0; i < SECRET_TRIES && e == ERR_INTEGRITY; i++) {
        struct fault f = {0};
        (void)snprintf(prompt, sizeof(prompt), "%sPIN of the token \"%s\" for %s%s",
                       i > 0 ? "Wrong PIN; once more the " : "", t->label, t->l->p->name,
                       tries_left(t));
        if (loading_ask(t->l, t->line, prompt, subject, advice, &pin) != ERR_OK)
            return;
        e = token_login(t->token, secret_span(&pin), &f);
        secret_wipe(&pin);
        if (!may_try_again(t, e, &f))
            return;
    }
    fault_list_add(t->l->faults, t->line, "the PIN of the token \"%s\" was wrong %d times%s",
                   t->label, (int)SECRET_TRIES, tries_left(t));
}

/* Once, since nobody can say that it was mistyped. */
static void login_by_kept(struct token_loading *t, const struct secret *pin, unsigned line)
{
    struct fault f = {0};
    if (pin->len == 0)
        return; /* there is a fault already */
    enum err e = token_login(t->token, secret_span(pin), &f);
    if (may_try_again(t, e, &f))
        fault_list_add(t->l->faults, line,
                       "the PIN that is given is not that of the token \"%s\"%s", t->label,
                       tries_left(t));
}

static void login_at_reader(struct token_loading *t)
{
    struct fault f = {0}, text = {0};
    (void)fault_set(&text, ERR_OK, "enter the PIN of the token \"%s\" at its reader%s", t->label,
                    tries_left(t));
    fprintf(stderr, "%s\n", text.text);
    if (may_try_again(t, token_login(t->token, SPAN_EMPTY, &f), &f))
        fault_list_add(t->l->faults, t->line, "the PIN of the token \"%s\" was wrong%s", t->label,
                       tries_left(t));
}

static void login(struct token_loading *t)
{
    const struct profile_own *from = t->o->from;
    const struct kept_secret kept = {.credential = t->o->pin_credential,
                                     .credential_line = t->o->section_line,
                                     .file = from->pin_file,
                                     .file_line = t->line,
                                     .given = &from->pin,
                                     .given_line = from->pin_line};
    struct secret pin = {.len = 0};
    unsigned line;
    if (has_flag(t, TOKEN_LOCKED)) {
        refuse_locked(t);
        return;
    }
    if (has_flag(t, TOKEN_PINPAD)) {
        login_at_reader(t);
        return;
    }
    /* The last try is a person's to risk. */
    if (!has_flag(t, TOKEN_LAST_TRY) && loading_kept_secret(t->l, &kept, &pin, &line))
        login_by_kept(t, &pin, line);
    else
        login_by_asking(t);
    secret_wipe(&pin);
}

static bool read_certificates(struct token_loading *t)
{
    struct certificate_list *chain = &t->o->to->chain;
    struct fault f = {0};
    enum err e = ERR_OK;
    for (uint16_t i = 0; i < TOKEN_CERTIFICATES_MAX && e == ERR_OK; i++) {
        struct span der = SPAN_EMPTY;
        struct certificate *c = NULL;
        e = token_certificate(t->token, i, &der, &f);
        if (e == ERR_OK && der.len == 0)
            break;
        if (e == ERR_OK)
            e = certificate_parse_der(der, &c, &f);
        if (e == ERR_OK)
            chain->items[chain->count++] = c;
    }
    if (e != ERR_OK)
        fault_list_add_fault(t->l->faults, t->line, &f);
    else if (chain->count == 0)
        fault_list_add(t->l->faults, t->line,
                       "the token \"%s\" has no certificate with the key's id: set Certificate",
                       t->label);
    return e == ERR_OK && chain->count > 0;
}

_Static_assert((int)TOKEN_CERTIFICATES_MAX <= (int)CERTIFICATES_MAX, "a chain takes them all");

static void take_key(struct token_loading *t)
{
    struct own_credentials *to = t->o->to;
    const char *certificate = t->o->from->certificate;
    struct fault f = {0};
    bool in_file = certificate[0] != '\0' && !pkcs11_uri_is_one(certificate);
    if (in_file ? to->chain.count == 0 : !read_certificates(t))
        return;
    const struct key_signer signer = token_signer(t->token);
    if (private_key_external(certificate_key(to->chain.items[0]), &signer, &to->key, &f) != ERR_OK)
        fault_list_add_fault(t->l->faults, t->line, &f);
}

void loading_token(const struct own_loading *o)
{
    const struct profile_own *from = o->from;
    struct fault f = {0};
    struct token_loading t = {.l = o->l, .o = o, .line = own_line(o, from->keys->private_key)};
    if (t.line == 0)
        t.line = own_line(o, from->keys->certificate);
    const char *key = pkcs11_uri_is_one(from->private_key) ? from->private_key : "";
    const char *certificate = pkcs11_uri_is_one(from->certificate) ? from->certificate : "";
    if (token_open(key, certificate, &o->to->token, &f) != ERR_OK) {
        fault_list_add_fault(o->l->faults, t.line, &f);
        return;
    }
    t.token = o->to->token;
    memcpy(t.label, token_state(t.token)->label, sizeof(t.label));
    if (!has_flag(&t, TOKEN_KEY))
        login(&t);
    if (has_flag(&t, TOKEN_KEY))
        take_key(&t);
}
