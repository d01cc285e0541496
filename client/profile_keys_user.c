/* [User]: who uses the machine that [Local] proves (RFC 4739). What it has for EAP goes where
 * [Local] has it: there is one user. */
#include "client/pkcs11_uri.h"
#include "client/profile_keys_internal.h"

void key_user_identity(struct reading *r, const char *value)
{
    value_take_identity(r, value, &r->p->user_identity);
}

void key_user_authentication(struct reading *r, const char *value)
{
    value_take_authentication(r, value, "eap, certificate or psk", &r->p->user_authentication);
}

void key_user_psk(struct reading *r, const char *value)
{
    value_take_shared_key(r, value, &r->p->user_psk);
}

void key_user_psk_file(struct reading *r, const char *value)
{
    value_take_text(r, value, r->p->user_psk_file, sizeof(r->p->user_psk_file));
}

/* One proof may be on a token: the machine's. */
static void take_file(struct reading *r, const char *value, char out[PROFILE_PATH_MAX])
{
    if (pkcs11_uri_is_one(value))
        FAULT(r, "%s: a pkcs11: URI can stand in [Local] alone", r->key);
    else
        value_take_text(r, value, out, PROFILE_PATH_MAX);
}

void key_user_certificate(struct reading *r, const char *value)
{
    take_file(r, value, r->p->user_certificate);
}

void key_user_private_key(struct reading *r, const char *value)
{
    take_file(r, value, r->p->user_private_key);
}
