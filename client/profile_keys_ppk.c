/* Post-quantum pre-shared keys (RFC 8784): what [Gateway] and [Local] have of them. */
#include "client/profile_keys_internal.h"

void key_gateway_require_ppk(struct reading *r, const char *value)
{
    r->p->require_ppk = false; /* one fault is enough where it is neither */
    value_take_bool(r, value, &r->p->require_ppk);
}

void key_local_ppk(struct reading *r, const char *value)
{
    value_take_shared_key(r, value, &r->p->ppk);
}

void key_local_ppk_file(struct reading *r, const char *value)
{
    value_take_text(r, value, r->p->ppk_file, sizeof(r->p->ppk_file));
}

void key_local_ppk_identity(struct reading *r, const char *value)
{
    value_take_text(r, value, r->p->ppk_identity, sizeof(r->p->ppk_identity));
}
