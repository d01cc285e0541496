/* [User]: who uses the machine that [Local] proves (RFC 4739). What it has for EAP goes where
 * [Local] has it: there is one user. */
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
