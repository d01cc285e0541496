/* [Gateway] and [Local]: where the gateway is, and who proves what to whom. EAP has
 * profile_keys_eap.c. */
#include <string.h>

#include "client/profile_keys_internal.h"
#include "client/profile_value.h"

/* --- [Gateway] --- */

static void take_address(struct reading *r, const char *item)
{
    struct ip ip;
    if (ip_parse(item, &ip) == ERR_OK) {
        if (ip_is_unspecified(&ip) || ip_is_multicast(&ip)) {
            FAULT(r, "%s = %s cannot be a gateway's address", r->key, item);
            return;
        }
    } else if (!value_is_host_name(item)) {
        FAULT(r, "%s = %s is neither a host name nor an address", r->key, item);
        return;
    }
    value_take_item(r, &r->p->addresses, item);
}

void key_gateway_address(struct reading *r, const char *value)
{
    value_take_each(r, value, take_address);
}

void key_gateway_port(struct reading *r, const char *value)
{
    uint64_t v;
    if (value_number(value, 1, 65535, &v) != ERR_OK)
        FAULT(r, "Port = %s is not a port (1 to 65535)", value);
    else
        r->p->port = (uint16_t)v;
}

void key_gateway_identity(struct reading *r, const char *value)
{
    value_take_identity(r, value, &r->p->gateway_identity);
}

void key_gateway_authentication(struct reading *r, const char *value)
{
    value_take_authentication(r, value, "certificate, psk or eap", &r->p->gateway_authentication);
}

static void take_ca(struct reading *r, const char *item)
{
    value_take_item(r, &r->p->cas, item);
}

void key_gateway_ca(struct reading *r, const char *value)
{
    value_take_each(r, value, take_ca);
}

void key_gateway_psk(struct reading *r, const char *value)
{
    value_take_shared_key(r, value, &r->p->gateway_psk);
}

void key_gateway_psk_file(struct reading *r, const char *value)
{
    value_take_text(r, value, r->p->gateway_psk_file, sizeof(r->p->gateway_psk_file));
}

void key_gateway_revocation(struct reading *r, const char *value)
{
    static const char *const texts[] = {
        [REVOCATION_OFF] = "off", [REVOCATION_SOFT] = "soft", [REVOCATION_STRICT] = "strict"};
    for (int i = REVOCATION_OFF; i <= REVOCATION_STRICT; i++) {
        if (strcmp(value, texts[i]) == 0) {
            r->p->revocation = (enum revocation_policy)i;
            return;
        }
    }
    FAULT(r, "Revocation = %s: expected off, soft or strict", value);
}

static void take_crl(struct reading *r, const char *item)
{
    value_take_item(r, &r->p->crls, item);
}

void key_gateway_crl(struct reading *r, const char *value)
{
    value_take_each(r, value, take_crl);
}

/* --- [Local] --- */

void key_local_identity(struct reading *r, const char *value)
{
    value_take_identity(r, value, &r->p->identity);
}

void key_local_authentication(struct reading *r, const char *value)
{
    value_take_authentication(r, value, "psk, certificate or eap", &r->p->authentication);
}

void key_local_psk(struct reading *r, const char *value)
{
    value_take_shared_key(r, value, &r->p->psk);
}

void key_local_psk_file(struct reading *r, const char *value)
{
    value_take_text(r, value, r->p->psk_file, sizeof(r->p->psk_file));
}

void key_local_user_name(struct reading *r, const char *value)
{
    value_take_text(r, value, r->p->user_name, EAP_NAME_MAX + 1);
}

void key_local_password(struct reading *r, const char *value)
{
    value_take_secret(r, value, &r->p->password);
}

void key_local_password_file(struct reading *r, const char *value)
{
    value_take_text(r, value, r->p->password_file, sizeof(r->p->password_file));
}
