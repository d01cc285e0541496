/* What a profile's keys about EAP must be together, and what follows where they are not given. */
#include "client/profile_eap.h"

#include <string.h>

#include "client/profile_keys.h"
#include "client/profile_own.h"
#include "client/profile_user.h"

static bool offers(const struct profile *p, uint8_t type)
{
    return memchr(p->eap_methods, type, p->eap_method_count) != NULL;
}

static bool offers_any(const struct profile *p, bool (*trait)(uint8_t type))
{
    for (size_t i = 0; i < p->eap_method_count; i++) {
        if (trait(p->eap_methods[i]))
            return true;
    }
    return false;
}

bool profile_eap_second(const struct profile *p)
{
    return p->user_authentication == AUTHENTICATION_EAP;
}

const struct profile_own *profile_eap_own(const struct profile *p)
{
    return profile_eap_second(p) ? &p->user_own : &p->own;
}

bool profile_eap_password(const struct profile *p)
{
    return profile_uses_eap(p) && offers_any(p, eap_type_has_password);
}

bool profile_eap_certificate(const struct profile *p)
{
    return profile_uses_eap(p) && offers(p, EAP_TLS);
}

bool profile_eap_tls(const struct profile *p)
{
    return profile_uses_eap(p) && offers_any(p, eap_type_has_tls);
}

/* What there are credentials for: a password that is given, or is to be asked for where there is no
 * certificate. */
static void default_methods(struct profile *p)
{
    bool password = profile_has(p, KEY_LOCAL_PASSWORD) || profile_has(p, KEY_LOCAL_PASSWORD_FILE);
    if (password || !profile_own_certificate(p, profile_eap_own(p)))
        p->eap_methods[p->eap_method_count++] = EAP_MSCHAPV2;
    if (profile_own_certificate(p, profile_eap_own(p)))
        p->eap_methods[p->eap_method_count++] = EAP_TLS;
}

/* The user's name is the identity's where it has none of its own; else, without a password, the
 * certificate's, which is read later. */
static void default_user_name(struct profile *p)
{
    const struct identity *id = p->user_line != 0 ? &p->user_identity : &p->identity;
    bool text = id->type == IDENTITY_EMAIL || id->type == IDENTITY_FQDN;
    if (p->user_name[0] == '\0' && text && id->len <= EAP_NAME_MAX)
        memcpy(p->user_name, id->data, id->len);
}

static void check_inner(struct profile *p, struct fault_list *faults)
{
    bool given = profile_has(p, KEY_LOCAL_EAP_INNER);
    if (given && !offers(p, EAP_TTLS) && !offers(p, EAP_PEAP))
        fault_list_add(faults, p->lines[KEY_LOCAL_EAP_INNER],
                       "EAPInner is of use with ttls or peap in EAPMethods alone");
    if (!given)
        p->eap_inner[p->eap_inner_count++] = EAP_MSCHAPV2;
    if (p->eap_plain == EAP_PLAIN_NONE)
        return;
    if (offers(p, EAP_PEAP) && p->eap_inner_count == 0)
        fault_list_add(faults, p->lines[KEY_LOCAL_EAP_INNER],
                       "EAPInner: pap and mschapv2-no-eap are for ttls; peap needs mschapv2, gtc "
                       "or md5 beside");
    if (!offers(p, EAP_PEAP) && p->eap_inner_count > 0)
        fault_list_add(faults, p->lines[KEY_LOCAL_EAP_INNER],
                       "EAPInner: ttls says either pap or mschapv2-no-eap, or EAP (mschapv2, gtc, "
                       "md5); keep one kind");
}

/* Only a method that says the name once more, inside, can do without it before. */
static void check_identity(const struct profile *p, struct fault_list *faults)
{
    for (size_t i = 0; i < p->eap_method_count; i++) {
        if (profile_has(p, KEY_LOCAL_EAP_IDENTITY) && !eap_type_has_tls(p->eap_methods[i])) {
            fault_list_add(faults, p->lines[KEY_LOCAL_EAP_IDENTITY],
                           "EAPIdentity hides the user's name with ttls, peap and tls alone; set "
                           "EAPMethods to these");
            return;
        }
    }
}

/* RFC 7296 2.16; RFC 5998 4 without it. */
static void check_gateway(const struct profile *p, unsigned line, struct fault_list *faults)
{
    if (p->gateway_authentication == AUTHENTICATION_PSK)
        fault_list_add(faults, line,
                       "Authentication = eap needs a gateway that proves itself by a certificate: "
                       "set Authentication = certificate in [Gateway]");
    if (p->gateway_authentication != AUTHENTICATION_EAP)
        return;
    for (size_t i = 0; i < p->eap_method_count; i++) {
        if (!eap_type_has_tls(p->eap_methods[i])) {
            fault_list_add(faults, p->lines[KEY_GATEWAY_AUTHENTICATION],
                           "Authentication = eap in [Gateway] needs methods that prove the server "
                           "by a certificate: set EAPMethods in [Local] to tls, ttls or peap");
            return;
        }
    }
}

void profile_eap_default_identity(const struct profile *p, struct identity *ret, const char *whose,
                                  struct fault_list *faults)
{
    enum profile_key key =
        profile_has(p, KEY_LOCAL_EAP_IDENTITY) ? KEY_LOCAL_EAP_IDENTITY : KEY_LOCAL_USER_NAME;
    const char *text = key == KEY_LOCAL_EAP_IDENTITY ? p->eap_identity : p->user_name;
    if (profile_has(p, key) && identity_parse(text, ret) != ERR_OK)
        fault_list_add(faults, p->lines[key], "%s cannot serve as %s identity; set Identity",
                       profile_key_name(key), whose);
}

void profile_check_eap(struct profile *p, unsigned line, struct fault_list *faults)
{
    if (!profile_has(p, KEY_LOCAL_EAP_METHODS))
        default_methods(p);
    default_user_name(p);
    if (p->user_name[0] == '\0' && !profile_has(p, KEY_LOCAL_USER_NAME) &&
        (profile_eap_password(p) || !profile_own_certificate(p, profile_eap_own(p))))
        fault_list_add(faults, line, "Authentication = eap needs UserName");
    if (offers(p, EAP_TLS) && !profile_own_certificate_and_key(p, profile_eap_own(p)))
        fault_list_add(
            faults, profile_has(p, KEY_LOCAL_EAP_METHODS) ? p->lines[KEY_LOCAL_EAP_METHODS] : line,
            "EAPMethods: tls needs Certificate and PrivateKey");
    check_inner(p, faults);
    check_identity(p, faults);
    check_gateway(p, line, faults);
}
