/* Our own key and certificate: from files, a container, or (credentials_token.c) a token; and the
 * passphrases that open files. A passphrase lies in a struct secret, and is wiped as soon as the
 * key is open. */
#include "client/credentials_internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/ask.h"
#include "client/pkcs11_uri.h"
#include "client/profile_eap.h"
#include "client/profile_own.h"
#include "common/crypto/key_file.h"

static const char *format_time(int64_t seconds, char out[32])
{
    time_t t = (time_t)seconds;
    struct tm tm;
    if (gmtime_r(&t, &tm) == NULL || strftime(out, 32, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        memcpy(out, "?", 2);
    return out;
}

/* Our certificate, once it is there, is valid now. */
static void check_validity(struct loading *l, const struct certificate *ours, unsigned line)
{
    char now[32], when[32];
    format_time(l->wall_time, now);
    if (l->wall_time > certificate_not_after(ours))
        fault_list_add(l->faults, line, "our certificate expired on %s; it is now %s",
                       format_time(certificate_not_after(ours), when), now);
    else if (l->wall_time < certificate_not_before(ours))
        fault_list_add(l->faults, line, "our certificate is valid from %s; it is now %s",
                       format_time(certificate_not_before(ours), when), now);
}

/* --- secrets that are kept, and those that are asked for --- */

/* systemd's LoadCredential= and its relations: NAME.what in a directory that only we can read. */
static bool system_credential(const struct profile *p, const char *what, char out[PROFILE_PATH_MAX])
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    if (directory == NULL || directory[0] != '/')
        return false;
    int n = snprintf(out, PROFILE_PATH_MAX, "%s/%s.%s", directory, p->name, what);
    return n < PROFILE_PATH_MAX && access(out, F_OK) == 0;
}

bool loading_kept_secret(struct loading *l, const struct kept_secret *k, struct secret *out,
                         unsigned *ret_line)
{
    char path[PROFILE_PATH_MAX];
    out->len = 0;
    if (system_credential(l->p, k->credential, path)) {
        *ret_line = k->credential_line;
        loading_secret_file(l, *ret_line, path, secret_set, out);
        return true;
    }
    if (k->file[0] != '\0') {
        *ret_line = k->file_line;
        loading_secret_file(l, *ret_line, k->file, secret_set, out);
        return true;
    }
    *ret_line = k->given_line;
    *out = *k->given;
    return out->len > 0;
}

enum err loading_ask(struct loading *l, unsigned line, const char *prompt, const char *subject,
                     const char *advice, struct secret *out)
{
    struct fault f = {0}, text = {0}, safe = {0};
    if (l->notes != NULL && !ask_attended()) {
        fault_list_add(l->notes, line,
                       "%s: nobody is here to be asked, and so it was not looked into", subject);
        return ERR_STATE;
    }
    (void)fault_set(&safe, ERR_OK, "%s", prompt); /* escapes what a terminal would obey */
    enum err e = ask_secret(safe.text, out, &f);
    if (e == ERR_OK)
        return e;
    (void)fault_set(&text, e, "%s: %s", subject, f.text);
    if (e == ERR_NOT_FOUND)
        fault_hint(&text, "%s", advice);
    fault_list_add_fault(l->faults, line, &text);
    return ERR_STATE;
}

/* --- what a passphrase opens --- */

/* A file that may be encrypted. `open` without a passphrase: ERR_STATE where it takes one. */
struct protected_file {
    unsigned line;
    const char *name;
    struct span bytes;
    enum err (*open)(const struct own_loading *o, struct span bytes,
                     const struct secret *passphrase, struct fault *f);
};

static enum err open_key(const struct own_loading *o, struct span bytes,
                         const struct secret *passphrase, struct fault *f)
{
    return passphrase == NULL
               ? private_key_parse(bytes, &o->to->key, f)
               : private_key_parse_encrypted(bytes, secret_span(passphrase), &o->to->key, f);
}

/* A container without a passphrase has the empty one. */
static enum err open_container(const struct own_loading *o, struct span bytes,
                               const struct secret *passphrase, struct fault *f)
{
    struct span text = passphrase != NULL ? secret_span(passphrase) : SPAN_EMPTY;
    enum err e = pkcs12_parse(bytes, text, &o->to->key, &o->to->chain, f);
    return e == ERR_INTEGRITY && passphrase == NULL ? ERR_STATE : e;
}

static void open_by_kept(const struct own_loading *o, const struct protected_file *p,
                         const struct secret *passphrase, unsigned line)
{
    struct fault f = {0};
    if (passphrase->len == 0)
        return; /* there is a fault already */
    enum err e = p->open(o, p->bytes, passphrase, &f);
    if (e == ERR_INTEGRITY)
        fault_list_add(o->l->faults, line, "the passphrase that is given does not open %s",
                       p->name);
    else if (e != ERR_OK)
        loading_fault(o->l, p->line, p->name, &f);
}

static void open_by_asking(const struct own_loading *o, const struct protected_file *p)
{
    char prompt[2 * PROFILE_PATH_MAX], subject[PROFILE_PATH_MAX + 16], advice[64];
    struct secret passphrase = {.len = 0};
    enum err e = ERR_INTEGRITY;
    (void)snprintf(subject, sizeof(subject), "%s is encrypted", p->name);
    (void)snprintf(advice, sizeof(advice), "set PassphraseFile in [%s]", o->from->keys->section);
    for (unsigned i = 0; i < SECRET_TRIES && e == ERR_INTEGRITY; i++) {
        struct fault f = {0};
        (void)snprintf(prompt, sizeof(prompt), "%sassphrase of %s for %s",
                       i > 0 ? "Wrong passphrase; once more the p" : "P", p->name, o->l->p->name);
        if (loading_ask(o->l, p->line, prompt, subject, advice, &passphrase) != ERR_OK)
            return;
        e = p->open(o, p->bytes, &passphrase, &f);
        secret_wipe(&passphrase);
        if (e != ERR_OK && e != ERR_INTEGRITY)
            loading_fault(o->l, p->line, p->name, &f);
    }
    if (e == ERR_INTEGRITY)
        fault_list_add(o->l->faults, p->line, "the passphrase of %s was wrong %d times", p->name,
                       (int)SECRET_TRIES);
}

static void open_file(const struct own_loading *o, const struct protected_file *file)
{
    const struct kept_secret kept = {.credential = o->passphrase_credential,
                                     .credential_line = o->section_line,
                                     .file = o->from->passphrase_file,
                                     .file_line = own_line(o, o->from->keys->passphrase_file),
                                     .given = &o->from->passphrase,
                                     .given_line = own_line(o, o->from->keys->passphrase)};
    struct secret passphrase;
    unsigned line;
    struct fault f = {0};
    enum err e = file->open(o, file->bytes, NULL, &f);
    if (e != ERR_OK && e != ERR_STATE)
        loading_fault(o->l, file->line, file->name, &f);
    if (e != ERR_STATE)
        return;
    if (loading_kept_secret(o->l, &kept, &passphrase, &line))
        open_by_kept(o, file, &passphrase, line);
    else
        open_by_asking(o, file);
    secret_wipe(&passphrase);
}

static void load_protected(const struct own_loading *o, unsigned line, const char *name,
                           enum err (*open)(const struct own_loading *o, struct span bytes,
                                            const struct secret *passphrase, struct fault *f))
{
    struct file_bytes bytes;
    if (!loading_read(o->l, line, name, KEY_FILE_MAX, true, &bytes))
        return;
    const struct protected_file file = {
        .line = line, .name = name, .bytes = span_make(bytes.data, bytes.len), .open = open};
    open_file(o, &file);
    file_bytes_wipe(&bytes);
}

static void load_certificate(const struct own_loading *o)
{
    const char *name = o->from->certificate;
    unsigned line = own_line(o, o->from->keys->certificate);
    struct file_bytes bytes;
    struct fault f = {0};
    if (!loading_read(o->l, line, name, KEY_FILE_MAX, false, &bytes))
        return;
    if (certificate_parse_file(span_make(bytes.data, bytes.len), &o->to->chain, &f) != ERR_OK)
        loading_fault(o->l, line, name, &f);
    file_bytes_wipe(&bytes);
}

static void check_pair(const struct own_loading *o)
{
    const struct own_credentials *to = o->to;
    if (to->key != NULL && to->chain.count > 0 &&
        !private_key_matches(to->key, certificate_key(to->chain.items[0])))
        fault_list_add(o->l->faults, own_line(o, o->from->keys->private_key),
                       "%s is not the key of the certificate in %s", o->from->private_key,
                       o->from->certificate);
}

/* --- from where the profile says --- */

bool credentials_may_ask(const struct profile *p)
{
    return p->authentication == AUTHENTICATION_CERTIFICATE ||
           p->user_authentication == AUTHENTICATION_CERTIFICATE || profile_eap_certificate(p);
}

static void load_own(const struct own_loading *o)
{
    const struct profile_own *from = o->from;
    unsigned container = own_line(o, from->keys->pkcs12);
    if (container != 0)
        load_protected(o, container, from->pkcs12, open_container);
    else if (from->certificate[0] != '\0' && !pkcs11_uri_is_one(from->certificate))
        load_certificate(o);
    if (profile_own_token(from))
        loading_token(o);
    else if (container == 0)
        load_protected(o, own_line(o, from->keys->private_key), from->private_key, open_key);
    if (o->to->chain.count > 0)
        check_validity(o->l, o->to->chain.items[0], profile_own_line(o->l->p, from));
    check_pair(o);
}

void loading_own(struct loading *l)
{
    const struct own_loading o = {.l = l,
                                  .from = &l->p->own,
                                  .to = &l->c->own,
                                  .section_line = l->p->local_line,
                                  .passphrase_credential = "passphrase",
                                  .pin_credential = "pin"};
    load_own(&o);
}

void loading_user_own(struct loading *l)
{
    const struct own_loading o = {.l = l,
                                  .from = &l->p->user_own,
                                  .to = &l->c->user_own,
                                  .section_line = l->p->user_line,
                                  .passphrase_credential = "user-passphrase",
                                  .pin_credential = "user-pin"};
    load_own(&o);
}
