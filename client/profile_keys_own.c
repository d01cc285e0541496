/* [Local]: where our own key and certificate come from, and what opens them. */
#include <string.h>

#include "client/pkcs11_uri.h"
#include "client/profile_keys_internal.h"

/* A PIN that is in one of the URIs is for the token, of which there is one. */
static void take_pin(struct reading *r, const struct pkcs11_uri *uri)
{
    struct profile *p = r->p;
    if (uri->pin.len == 0 && uri->pin_file[0] == '\0')
        return;
    if (p->pin.len > 0 || p->pin_file[0] != '\0' ||
        (uri->pin.len > 0 && uri->pin_file[0] != '\0')) {
        FAULT(r, "%s: the PIN is given twice; keep one pin-value or pin-source", r->key);
        return;
    }
    p->pin = uri->pin;
    if (uri->pin.len > 0)
        p->pin_value_line = r->line;
    memcpy(p->pin_file, uri->pin_file, sizeof(p->pin_file));
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

void key_local_certificate(struct reading *r, const char *value)
{
    take_object(r, value, "cert", r->p->certificate);
}

void key_local_private_key(struct reading *r, const char *value)
{
    take_object(r, value, "private", r->p->private_key);
}

void key_local_pkcs12(struct reading *r, const char *value)
{
    value_take_text(r, value, r->p->pkcs12, sizeof(r->p->pkcs12));
}

void key_local_passphrase(struct reading *r, const char *value)
{
    value_take_secret(r, value, &r->p->passphrase);
}

void key_local_passphrase_file(struct reading *r, const char *value)
{
    value_take_text(r, value, r->p->passphrase_file, sizeof(r->p->passphrase_file));
}
