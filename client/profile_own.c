/* Which of the keys about our own keys and certificates go together, and what is missing. */
#include "client/profile_own.h"

#include "client/pkcs11_uri.h"

void profile_own_begin(struct profile *p)
{
    static const struct profile_own_keys local = {
        "Local",          KEY_LOCAL_CERTIFICATE, KEY_LOCAL_PRIVATE_KEY,
        KEY_LOCAL_PKCS12, KEY_LOCAL_PASSPHRASE,  KEY_LOCAL_PASSPHRASE_FILE};
    static const struct profile_own_keys user = {
        "User",          KEY_USER_CERTIFICATE, KEY_USER_PRIVATE_KEY,
        KEY_USER_PKCS12, KEY_USER_PASSPHRASE,  KEY_USER_PASSPHRASE_FILE};
    p->own.keys = &local;
    p->user_own.keys = &user;
}

static bool certificate_on_token(const struct profile_own *o)
{
    return pkcs11_uri_is_one(o->certificate);
}

static bool key_on_token(const struct profile_own *o)
{
    return pkcs11_uri_is_one(o->private_key);
}

bool profile_own_certificate(const struct profile *p, const struct profile_own *o)
{
    return profile_has(p, o->keys->pkcs12) || profile_has(p, o->keys->certificate) ||
           key_on_token(o);
}

static bool has_key(const struct profile *p, const struct profile_own *o)
{
    return profile_has(p, o->keys->pkcs12) || profile_has(p, o->keys->private_key) ||
           certificate_on_token(o);
}

bool profile_own_certificate_and_key(const struct profile *p, const struct profile_own *o)
{
    return profile_own_certificate(p, o) && has_key(p, o);
}

bool profile_own_token(const struct profile_own *o)
{
    return key_on_token(o) || certificate_on_token(o);
}

unsigned profile_own_line(const struct profile *p, const struct profile_own *o)
{
    const enum profile_key keys[] = {o->keys->pkcs12, o->keys->certificate, o->keys->private_key};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (profile_has(p, keys[i]))
            return p->lines[keys[i]];
    }
    return 0;
}

void profile_check_own(const struct profile *p, const struct profile_own *o, bool needed,
                       unsigned line, struct fault_list *faults)
{
    if (needed && !profile_own_certificate(p, o))
        fault_list_add(faults, line, "Authentication = certificate needs Certificate");
    if (needed && !has_key(p, o))
        fault_list_add(faults, line, "Authentication = certificate needs PrivateKey");
    if (certificate_on_token(o) && profile_has(p, o->keys->private_key) && !key_on_token(o))
        fault_list_add(faults, p->lines[o->keys->private_key],
                       "Certificate is on a token, and PrivateKey is not");
}
