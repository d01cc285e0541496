/* [Local] and [User]: where a key of ours and its certificate come from, and what opens them. */
#include <string.h>

#include "client/pkcs11_uri.h"
#include "client/profile_keys_internal.h"

/* A PIN that is in one of the URIs is for the token, of which a section has one. */
static void take_pin(struct reading *r, struct profile_own *own, const struct pkcs11_uri *uri)
{
    if (uri->pin.len == 0 && uri->pin_file[0] == '\0')
        return;
    if (own->pin.len > 0 || own->pin_file[0] != '\0' ||
        (uri->pin.len > 0 && uri->pin_file[0] != '\0')) {
        FAULT(r, "%s: the PIN is given twice; keep one pin-value or pin-source", r->key);
        return;
    }
    own->pin = uri->pin;
    if (uri->pin.len > 0)
        own->pin_line = r->line;
    memcpy(own->pin_file, uri->pin_file, sizeof(own->pin_file));
}

static void take_object(struct reading *r, struct profile_own *own, const char *value,
                        const char *type, char out[PROFILE_PATH_MAX])
{
    struct pkcs11_uri uri;
    struct fault f = {0};
    if (!pkcs11_uri_is_one(value)) {
        value_take_text(r, value, out, PROFILE_PATH_MAX);
        return;
    }
    if (pkcs11_uri_parse(value, type, &uri, &f) != ERR_OK) {
        FAULT(r, "%s: %s", r->key, f.text);
        return;
    }
    memcpy(out, uri.text, sizeof(uri.text));
    take_pin(r, own, &uri);
    wipe(&uri, sizeof(uri));
}

_Static_assert((int)PKCS11_URI_MAX <= (int)PROFILE_PATH_MAX, "a URI fits where a path does");

static void take_certificate(struct reading *r, struct profile_own *own, const char *value)
{
    own->certificate_line = r->line;
    take_object(r, own, value, "cert", own->certificate);
}

static void take_private_key(struct reading *r, struct profile_own *own, const char *value)
{
    own->private_key_line = r->line;
    take_object(r, own, value, "private", own->private_key);
}

static void take_pkcs12(struct reading *r, struct profile_own *own, const char *value)
{
    own->pkcs12_line = r->line;
    value_take_text(r, value, own->pkcs12, sizeof(own->pkcs12));
}

static void take_passphrase(struct reading *r, struct profile_own *own, const char *value)
{
    own->passphrase_line = r->line;
    value_take_secret(r, value, &own->passphrase);
}

static void take_passphrase_file(struct reading *r, struct profile_own *own, const char *value)
{
    own->passphrase_file_line = r->line;
    value_take_text(r, value, own->passphrase_file, sizeof(own->passphrase_file));
}

void key_local_certificate(struct reading *r, const char *value)
{
    take_certificate(r, &r->p->own, value);
}

void key_local_private_key(struct reading *r, const char *value)
{
    take_private_key(r, &r->p->own, value);
}

void key_local_pkcs12(struct reading *r, const char *value)
{
    take_pkcs12(r, &r->p->own, value);
}

void key_local_passphrase(struct reading *r, const char *value)
{
    take_passphrase(r, &r->p->own, value);
}

void key_local_passphrase_file(struct reading *r, const char *value)
{
    take_passphrase_file(r, &r->p->own, value);
}

void key_user_certificate(struct reading *r, const char *value)
{
    take_certificate(r, &r->p->user_own, value);
}

void key_user_private_key(struct reading *r, const char *value)
{
    take_private_key(r, &r->p->user_own, value);
}

void key_user_pkcs12(struct reading *r, const char *value)
{
    take_pkcs12(r, &r->p->user_own, value);
}

void key_user_passphrase(struct reading *r, const char *value)
{
    take_passphrase(r, &r->p->user_own, value);
}

void key_user_passphrase_file(struct reading *r, const char *value)
{
    take_passphrase_file(r, &r->p->user_own, value);
}
