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

/* Where a proof's key and certificate go, and what may open them. */
struct own_place {
    struct private_key **key;
    struct certificate_list *chain;
    struct kept_secret passphrase;
    const char *advice; /* where nobody can be asked */
};

/* A file that may be encrypted. `open` without a passphrase: ERR_STATE where it takes one. */
struct protected_file {
    unsigned line;
    const char *name;
    struct span bytes;
    enum err (*open)(const struct own_place *o, struct span bytes, const struct secret *passphrase,
                     struct fault *f);
};

static enum err open_key(const struct own_place *o, struct span bytes,
                         const struct secret *passphrase, struct fault *f)
{
    return passphrase == NULL
               ? private_key_parse(bytes, o->key, f)
               : private_key_parse_encrypted(bytes, secret_span(passphrase), o->key, f);
}

/* A container without a passphrase has the empty one. */
static enum err open_container(const struct own_place *o, struct span bytes,
                               const struct secret *passphrase, struct fault *f)
{
    struct span text = passphrase != NULL ? secret_span(passphrase) : SPAN_EMPTY;
    enum err e = pkcs12_parse(bytes, text, o->key, o->chain, f);
    return e == ERR_INTEGRITY && passphrase == NULL ? ERR_STATE : e;
}

static void open_by_kept(struct loading *l, const struct own_place *o,
                         const struct protected_file *p, const struct secret *passphrase,
                         unsigned line)
{
    struct fault f = {0};
    if (passphrase->len == 0)
        return; /* there is a fault already */
    enum err e = p->open(o, p->bytes, passphrase, &f);
    if (e == ERR_INTEGRITY)
        fault_list_add(l->faults, line, "the passphrase that is given does not open %s", p->name);
    else if (e != ERR_OK)
        loading_fault(l, p->line, p->name, &f);
}

static void open_by_asking(struct loading *l, const struct own_place *o,
                           const struct protected_file *p)
{
    char prompt[2 * PROFILE_PATH_MAX], subject[PROFILE_PATH_MAX + 16];
    struct secret passphrase = {.len = 0};
    enum err e = ERR_INTEGRITY;
    (void)snprintf(subject, sizeof(subject), "%s is encrypted", p->name);
    for (unsigned i = 0; i < SECRET_TRIES && e == ERR_INTEGRITY; i++) {
        struct fault f = {0};
        (void)snprintf(prompt, sizeof(prompt), "%sassphrase of %s for %s",
                       i > 0 ? "Wrong passphrase; once more the p" : "P", p->name, l->p->name);
        if (loading_ask(l, p->line, prompt, subject, o->advice, &passphrase) != ERR_OK)
            return;
        e = p->open(o, p->bytes, &passphrase, &f);
        secret_wipe(&passphrase);
        if (e != ERR_OK && e != ERR_INTEGRITY)
            loading_fault(l, p->line, p->name, &f);
    }
    if (e == ERR_INTEGRITY)
        fault_list_add(l->faults, p->line, "the passphrase of %s was wrong %d times", p->name,
                       (int)SECRET_TRIES);
}

static void open_file(struct loading *l, const struct own_place *o,
                      const struct protected_file *file)
{
    struct secret passphrase;
    unsigned line;
    struct fault f = {0};
    enum err e = file->open(o, file->bytes, NULL, &f);
    if (e != ERR_OK && e != ERR_STATE)
        loading_fault(l, file->line, file->name, &f);
    if (e != ERR_STATE)
        return;
    if (loading_kept_secret(l, &o->passphrase, &passphrase, &line))
        open_by_kept(l, o, file, &passphrase, line);
    else
        open_by_asking(l, o, file);
    secret_wipe(&passphrase);
}

static void load_protected(struct loading *l, const struct own_place *o, unsigned line,
                           const char *name,
                           enum err (*open)(const struct own_place *o, struct span bytes,
                                            const struct secret *passphrase, struct fault *f))
{
    struct file_bytes bytes;
    if (!loading_read(l, line, name, KEY_FILE_MAX, true, &bytes))
        return;
    const struct protected_file file = {
        .line = line, .name = name, .bytes = span_make(bytes.data, bytes.len), .open = open};
    open_file(l, o, &file);
    file_bytes_wipe(&bytes);
}

static void load_certificate(struct loading *l, const struct own_place *o, unsigned line,
                             const char *name)
{
    struct file_bytes bytes;
    struct fault f = {0};
    if (!loading_read(l, line, name, KEY_FILE_MAX, false, &bytes))
        return;
    if (certificate_parse_file(span_make(bytes.data, bytes.len), o->chain, &f) != ERR_OK)
        loading_fault(l, line, name, &f);
    file_bytes_wipe(&bytes);
}

static void check_pair(struct loading *l, const struct own_place *o, unsigned line,
                       const char *key_name, const char *certificate_name)
{
    if (*o->key != NULL && o->chain->count > 0 &&
        !private_key_matches(*o->key, certificate_key(o->chain->items[0])))
        fault_list_add(l->faults, line, "%s is not the key of the certificate in %s", key_name,
                       certificate_name);
}

/* --- from where the profile says --- */

bool credentials_may_ask(const struct profile *p)
{
    return p->authentication == AUTHENTICATION_CERTIFICATE ||
           p->user_authentication == AUTHENTICATION_CERTIFICATE || profile_eap_certificate(p);
}

void loading_own_key(struct loading *l)
{
    const struct profile *p = l->p;
    const struct own_place own = {
        .key = &l->c->key,
        .chain = &l->c->chain,
        .passphrase = {.credential = "passphrase",
                       .credential_line = p->local_line,
                       .file = p->passphrase_file,
                       .file_line = p->lines[KEY_LOCAL_PASSPHRASE_FILE],
                       .given = &p->passphrase,
                       .given_line = p->lines[KEY_LOCAL_PASSPHRASE]},
        .advice = "set PassphraseFile in [Local]",
    };
    unsigned line = p->lines[KEY_LOCAL_CERTIFICATE];
    if (p->lines[KEY_LOCAL_PKCS12] != 0) {
        line = p->lines[KEY_LOCAL_PKCS12];
        load_protected(l, &own, line, p->pkcs12, open_container);
    } else if (line != 0 && !pkcs11_uri_is_one(p->certificate)) {
        load_certificate(l, &own, line, p->certificate);
    }
    if (pkcs11_uri_is_one(p->private_key) || pkcs11_uri_is_one(p->certificate))
        loading_token(l);
    else if (p->lines[KEY_LOCAL_PKCS12] == 0)
        load_protected(l, &own, p->lines[KEY_LOCAL_PRIVATE_KEY], p->private_key, open_key);
    if (own.chain->count > 0)
        check_validity(l, own.chain->items[0], line != 0 ? line : p->lines[KEY_LOCAL_PRIVATE_KEY]);
    check_pair(l, &own, p->lines[KEY_LOCAL_PRIVATE_KEY], p->private_key, p->certificate);
}

void loading_user_key(struct loading *l)
{
    static const struct secret none;
    const struct profile *p = l->p;
    const struct own_place own = {
        .key = &l->c->user_key,
        .chain = &l->c->user_chain,
        .passphrase = {.credential = "user-passphrase",
                       .credential_line = p->local_line,
                       .file = "",
                       .given = &none},
        .advice = "hand it over as the systemd credential NAME.user-passphrase",
    };
    unsigned line = p->lines[KEY_USER_CERTIFICATE];
    load_certificate(l, &own, line, p->user_certificate);
    load_protected(l, &own, p->lines[KEY_USER_PRIVATE_KEY], p->user_private_key, open_key);
    if (own.chain->count > 0)
        check_validity(l, own.chain->items[0], line);
    check_pair(l, &own, p->lines[KEY_USER_PRIVATE_KEY], p->user_private_key, p->user_certificate);
}
