/* [Local], as far as it is about EAP: by which methods we agree to be asked, what goes inside those
 * with TLS, and which server has to be behind them. */
#include <string.h>

#include "client/profile_keys_internal.h"

static void take_eap_method(struct reading *r, const char *item)
{
    struct profile *p = r->p;
    uint8_t type = eap_type_from_text(item);
    if (type == 0)
        FAULT(r, "EAPMethods: %s is unknown (mschapv2, tls, ttls, peap, gtc, md5)", item);
    else if (memchr(p->eap_methods, type, p->eap_method_count) != NULL)
        FAULT(r, "EAPMethods: %s is given twice", item);
    else
        p->eap_methods[p->eap_method_count++] = type;
}

void key_local_eap_methods(struct reading *r, const char *value)
{
    value_take_each(r, value, take_eap_method);
}

static void take_eap_inner(struct reading *r, const char *item)
{
    struct profile *p = r->p;
    uint8_t type = eap_type_from_text(item);
    bool plain = strcmp(item, "pap") == 0 || strcmp(item, "mschapv2-no-eap") == 0;
    if (plain && p->eap_plain == EAP_PLAIN_NONE)
        p->eap_plain = item[0] == 'p' ? EAP_PLAIN_PAP : EAP_PLAIN_MSCHAPV2;
    else if (plain)
        FAULT(r, "EAPInner: only one of pap and mschapv2-no-eap can be said inside ttls");
    else if (type == 0 || eap_type_has_tls(type))
        FAULT(r, "EAPInner: %s is unknown (mschapv2, gtc, md5, mschapv2-no-eap, pap)", item);
    else if (memchr(p->eap_inner, type, p->eap_inner_count) != NULL)
        FAULT(r, "EAPInner: %s is given twice", item);
    else
        p->eap_inner[p->eap_inner_count++] = type;
}

void key_local_eap_inner(struct reading *r, const char *value)
{
    value_take_each(r, value, take_eap_inner);
}

void key_local_eap_identity(struct reading *r, const char *value)
{
    value_take_text(r, value, r->p->eap_identity, EAP_NAME_MAX + 1);
}

void key_local_eap_server(struct reading *r, const char *value)
{
    value_take_identity(r, value, &r->p->eap_server);
}

static void take_eap_ca(struct reading *r, const char *item)
{
    value_take_item(r, &r->p->eap_cas, item);
}

void key_local_eap_ca(struct reading *r, const char *value)
{
    value_take_each(r, value, take_eap_ca);
}
