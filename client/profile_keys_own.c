/* [Local] and [User]: where a key of ours and its certificate come from, and what opens them. */
#include <string.h>

#include "client/pkcs11_uri.h"
#include "client/profile_keys_internal.h"

/* A PIN that is in one of the URIs is for the token, of which a section has one. */
static void take_pin(struct reading *r, const struct pkcs11_uri *uri)
{
    struct profile_own *own = r->own;
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

static void take_object(struct reading *r, const char *value, const char *type,
                        char out[PROFILE_PATH_MAX])
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
    take_pin(r, &uri);
    wipe(&uri, sizeof(uri));
}

_Static_assert((int)PKCS11_URI_MAX <= (int)PROFILE_PATH_MAX, "a URI fits where a path does");

void key_own_certificate(struct reading *r, const char *value)
{
    take_object(r, value, "cert", r->own->certificate);
}

void key_own_private_key(struct reading *r, const char *value)
{
    take_object(r, value, "private", r->own->private_key);
}

void key_own_pkcs12(struct reading *r, const char *value)
{
    value_take_text(r, value, r->own->pkcs12, sizeof(r->own->pkcs12));
}

void key_own_passphrase(struct reading *r, const char *value)
{
    value_take_secret(r, value, &r->own->passphrase);
}

void key_own_passphrase_file(struct reading *r, const char *value)
{
    value_take_text(r, value, r->own->passphrase_file, sizeof(r->own->passphrase_file));
}
