/* Who uses the machine: defaults of [User], and the checks between its keys. */
#include "client/profile_user.h"

#include <string.h>

#include "client/profile_eap.h"
#include "client/profile_keys.h"
#include "client/profile_own.h"

bool profile_uses_eap(const struct profile *p)
{
    return p->authentication == AUTHENTICATION_EAP || p->user_authentication == AUTHENTICATION_EAP;
}

/* What may stand in either section, and in one of them. */
static void merge_lines(struct profile *p, struct fault_list *faults)
{
    static const struct {
        enum profile_key user, local;
    } keys[] = {
        {KEY_USER_USER_NAME, KEY_LOCAL_USER_NAME},
        {KEY_USER_PASSWORD, KEY_LOCAL_PASSWORD},
        {KEY_USER_PASSWORD_FILE, KEY_LOCAL_PASSWORD_FILE},
        {KEY_USER_EAP_METHODS, KEY_LOCAL_EAP_METHODS},
        {KEY_USER_EAP_INNER, KEY_LOCAL_EAP_INNER},
        {KEY_USER_EAP_IDENTITY, KEY_LOCAL_EAP_IDENTITY},
        {KEY_USER_EAP_SERVER, KEY_LOCAL_EAP_SERVER},
        {KEY_USER_EAP_CA, KEY_LOCAL_EAP_CA},
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        unsigned line = p->lines[keys[i].user];
        if (line == 0)
            continue;
        if (profile_has(p, keys[i].local))
            fault_list_add(faults, line, "%s stands in [Local] and in [User]; keep this one",
                           profile_key_name(keys[i].user));
        p->lines[keys[i].local] = line;
    }
}

static void default_authentication(struct profile *p)
{
    if (profile_has(p, KEY_USER_AUTHENTICATION))
        return;
    if (profile_own_certificate(p, &p->user_own) || profile_has(p, KEY_USER_PRIVATE_KEY))
        p->user_authentication = AUTHENTICATION_CERTIFICATE;
    else if (profile_has(p, KEY_USER_PSK) || profile_has(p, KEY_USER_PSK_FILE))
        p->user_authentication = AUTHENTICATION_PSK;
    else
        p->user_authentication = AUTHENTICATION_EAP;
}

static void check_keys(struct profile *p, unsigned line, struct fault_list *faults)
{
    bool psk = profile_has(p, KEY_USER_PSK) || profile_has(p, KEY_USER_PSK_FILE);
    if (p->user_authentication == AUTHENTICATION_PSK && !psk)
        fault_list_add(faults, line, "Authentication = psk needs PresharedKey or PresharedKeyFile");
    if (p->user_authentication == AUTHENTICATION_PSK && !profile_has(p, KEY_USER_IDENTITY))
        fault_list_add(faults, p->user_line, "[User] needs an Identity with Authentication = psk");
    profile_check_own(p, &p->user_own, p->user_authentication == AUTHENTICATION_CERTIFICATE, line,
                      faults);
    if (p->user_authentication == AUTHENTICATION_EAP)
        profile_check_eap(p, line, faults);
}

void profile_default_user(struct profile *p, struct fault_list *faults)
{
    if (p->user_line == 0)
        return;
    unsigned line =
        profile_has(p, KEY_USER_AUTHENTICATION) ? p->lines[KEY_USER_AUTHENTICATION] : p->user_line;
    default_authentication(p);
    merge_lines(p, faults);
    if (p->authentication == AUTHENTICATION_EAP)
        fault_list_add(faults, p->user_line,
                       "[User] is proven after the machine: set Authentication = certificate or "
                       "psk in [Local], or leave [User] out");
    if (!profile_has(p, KEY_USER_IDENTITY))
        profile_eap_default_identity(p, &p->user_identity, "the user's", faults);
    check_keys(p, line, faults);
}
