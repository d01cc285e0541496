/* The keys of a profile: one table says which there are, how often each may stand, and which
 * function takes its value. Every function takes the whole value or adds a fault. */
#include "client/profile_keys.h"

#include <string.h>

#include "client/profile_keys_internal.h"

enum key_flag {
    KEY_ADDS = 1,  /* repeated keys add */
    KEY_SECRET = 2 /* the profile itself becomes a secret file */
};

static const struct key_rule {
    const char *section, *key;
    unsigned flags;
    void (*take)(struct reading *r, const char *value);
} rules[PROFILE_KEYS] = {
    [KEY_GATEWAY_ADDRESS] = {"Gateway", "Address", KEY_ADDS, key_gateway_address},
    [KEY_GATEWAY_PORT] = {"Gateway", "Port", 0, key_gateway_port},
    [KEY_GATEWAY_IDENTITY] = {"Gateway", "Identity", 0, key_gateway_identity},
    [KEY_GATEWAY_AUTHENTICATION] = {"Gateway", "Authentication", 0, key_gateway_authentication},
    [KEY_GATEWAY_CA] = {"Gateway", "CA", KEY_ADDS, key_gateway_ca},
    [KEY_GATEWAY_PSK] = {"Gateway", "PresharedKey", KEY_SECRET, key_gateway_psk},
    [KEY_GATEWAY_PSK_FILE] = {"Gateway", "PresharedKeyFile", 0, key_gateway_psk_file},
    [KEY_GATEWAY_REQUIRE_PPK] = {"Gateway", "RequirePPK", 0, key_gateway_require_ppk},
    [KEY_GATEWAY_REVOCATION] = {"Gateway", "Revocation", 0, key_gateway_revocation},
    [KEY_GATEWAY_CRL] = {"Gateway", "CRL", KEY_ADDS, key_gateway_crl},
    [KEY_LOCAL_IDENTITY] = {"Local", "Identity", 0, key_local_identity},
    [KEY_LOCAL_AUTHENTICATION] = {"Local", "Authentication", 0, key_local_authentication},
    [KEY_LOCAL_PSK] = {"Local", "PresharedKey", KEY_SECRET, key_local_psk},
    [KEY_LOCAL_PSK_FILE] = {"Local", "PresharedKeyFile", 0, key_local_psk_file},
    [KEY_LOCAL_CERTIFICATE] = {"Local", "Certificate", 0, key_own_certificate},
    [KEY_LOCAL_PRIVATE_KEY] = {"Local", "PrivateKey", 0, key_own_private_key},
    [KEY_LOCAL_PKCS12] = {"Local", "PKCS12", 0, key_own_pkcs12},
    [KEY_LOCAL_USER_NAME] = {"Local", "UserName", 0, key_local_user_name},
    [KEY_LOCAL_PASSWORD] = {"Local", "Password", KEY_SECRET, key_local_password},
    [KEY_LOCAL_PASSWORD_FILE] = {"Local", "PasswordFile", 0, key_local_password_file},
    [KEY_LOCAL_EAP_METHODS] = {"Local", "EAPMethods", KEY_ADDS, key_local_eap_methods},
    [KEY_LOCAL_PASSPHRASE] = {"Local", "Passphrase", KEY_SECRET, key_own_passphrase},
    [KEY_LOCAL_PASSPHRASE_FILE] = {"Local", "PassphraseFile", 0, key_own_passphrase_file},
    [KEY_LOCAL_EAP_INNER] = {"Local", "EAPInner", KEY_ADDS, key_local_eap_inner},
    [KEY_LOCAL_EAP_IDENTITY] = {"Local", "EAPIdentity", 0, key_local_eap_identity},
    [KEY_LOCAL_EAP_SERVER] = {"Local", "EAPServer", 0, key_local_eap_server},
    [KEY_LOCAL_EAP_CA] = {"Local", "EAPCA", KEY_ADDS, key_local_eap_ca},
    [KEY_LOCAL_PPK] = {"Local", "PPK", KEY_SECRET, key_local_ppk},
    [KEY_LOCAL_PPK_FILE] = {"Local", "PPKFile", 0, key_local_ppk_file},
    [KEY_LOCAL_PPK_IDENTITY] = {"Local", "PPKIdentity", 0, key_local_ppk_identity},
    [KEY_USER_IDENTITY] = {"User", "Identity", 0, key_user_identity},
    [KEY_USER_AUTHENTICATION] = {"User", "Authentication", 0, key_user_authentication},
    [KEY_USER_PSK] = {"User", "PresharedKey", KEY_SECRET, key_user_psk},
    [KEY_USER_PSK_FILE] = {"User", "PresharedKeyFile", 0, key_user_psk_file},
    [KEY_USER_CERTIFICATE] = {"User", "Certificate", 0, key_own_certificate},
    [KEY_USER_PRIVATE_KEY] = {"User", "PrivateKey", 0, key_own_private_key},
    [KEY_USER_PKCS12] = {"User", "PKCS12", 0, key_own_pkcs12},
    [KEY_USER_PASSPHRASE] = {"User", "Passphrase", KEY_SECRET, key_own_passphrase},
    [KEY_USER_PASSPHRASE_FILE] = {"User", "PassphraseFile", 0, key_own_passphrase_file},
    [KEY_USER_USER_NAME] = {"User", "UserName", 0, key_local_user_name},
    [KEY_USER_PASSWORD] = {"User", "Password", KEY_SECRET, key_local_password},
    [KEY_USER_PASSWORD_FILE] = {"User", "PasswordFile", 0, key_local_password_file},
    [KEY_USER_EAP_METHODS] = {"User", "EAPMethods", KEY_ADDS, key_local_eap_methods},
    [KEY_USER_EAP_INNER] = {"User", "EAPInner", KEY_ADDS, key_local_eap_inner},
    [KEY_USER_EAP_IDENTITY] = {"User", "EAPIdentity", 0, key_local_eap_identity},
    [KEY_USER_EAP_SERVER] = {"User", "EAPServer", 0, key_local_eap_server},
    [KEY_USER_EAP_CA] = {"User", "EAPCA", KEY_ADDS, key_local_eap_ca},
    [KEY_TUNNEL_INTERFACE] = {"Tunnel", "Interface", 0, key_tunnel_interface},
    [KEY_TUNNEL_ROUTES] = {"Tunnel", "Routes", KEY_ADDS, key_tunnel_routes},
    [KEY_TUNNEL_EXCLUDE] = {"Tunnel", "Exclude", KEY_ADDS, key_tunnel_exclude},
    [KEY_TUNNEL_REQUEST_ADDRESS] = {"Tunnel", "RequestAddress", 0, key_tunnel_request_address},
    [KEY_TUNNEL_DNS] = {"Tunnel", "DNS", 0, key_tunnel_dns},
    [KEY_TUNNEL_MTU] = {"Tunnel", "MTU", 0, key_tunnel_mtu},
    [KEY_TUNNEL_OFFLOAD] = {"Tunnel", "Offload", 0, key_tunnel_offload},
    [KEY_TUNNEL_DSCP] = {"Tunnel", "DSCP", 0, key_tunnel_dscp},
    [KEY_CRYPTO_IKE] = {"Crypto", "IKE", KEY_ADDS, key_crypto_ike},
    [KEY_CRYPTO_ESP] = {"Crypto", "ESP", KEY_ADDS, key_crypto_esp},
    [KEY_CRYPTO_IKE_LIFETIME] = {"Crypto", "IKELifetime", 0, key_crypto_ike_lifetime},
    [KEY_CRYPTO_ESP_LIFETIME] = {"Crypto", "ESPLifetime", 0, key_crypto_esp_lifetime},
    [KEY_CRYPTO_ESP_BYTES] = {"Crypto", "ESPBytes", 0, key_crypto_esp_bytes},
    [KEY_ROAMING_MOBIKE] = {"Roaming", "MOBIKE", 0, key_roaming_mobike},
    [KEY_ROAMING_PREFER] = {"Roaming", "Prefer", KEY_ADDS, key_roaming_prefer},
    [KEY_ROAMING_DPD] = {"Roaming", "DPD", 0, key_roaming_dpd},
    [KEY_ROAMING_KEEPALIVE] = {"Roaming", "Keepalive", 0, key_roaming_keepalive},
    [KEY_ROAMING_HOLD_DOWN] = {"Roaming", "HoldDown", 0, key_roaming_hold_down},
    [KEY_ROAMING_RETRANSMIT] = {"Roaming", "Retransmit", 0, key_roaming_retransmit},
    [KEY_HOOKS_UP] = {"Hooks", "Up", KEY_ADDS, key_hook},
    [KEY_HOOKS_DOWN] = {"Hooks", "Down", KEY_ADDS, key_hook},
    [KEY_HOOKS_HANDOVER] = {"Hooks", "Handover", KEY_ADDS, key_hook},
};

const char *profile_key_name(enum profile_key key)
{
    return rules[key].key;
}

bool profile_key_secret(enum profile_key key)
{
    return (rules[key].flags & KEY_SECRET) != 0;
}

bool profile_section_known(const char *name)
{
    for (size_t i = 0; i < PROFILE_KEYS; i++) {
        if (strcmp(rules[i].section, name) == 0)
            return true;
    }
    return false;
}

static const struct key_rule *find_rule(const struct ini_item *item)
{
    for (size_t i = 0; i < PROFILE_KEYS; i++) {
        if (strcmp(rules[i].section, item->section) == 0 && strcmp(rules[i].key, item->key) == 0)
            return &rules[i];
    }
    return NULL;
}

void profile_take_item(struct profile *p, const struct ini_item *item, struct fault_list *faults)
{
    struct reading r = {.p = p, .faults = faults, .key = item->key, .line = item->line};
    r.own = strcmp(item->section, p->user_own.keys->section) == 0 ? &p->user_own : &p->own;
    if (!profile_section_known(item->section))
        return; /* said once, at the header */
    const struct key_rule *rule = find_rule(item);
    if (rule == NULL) {
        FAULT(&r, "unknown key %s in [%s]", item->key, item->section);
        return;
    }
    unsigned *line = &p->lines[rule - rules];
    if (*line != 0 && (rule->flags & KEY_ADDS) == 0) {
        FAULT(&r, "%s is given twice; the first is on line %u", item->key, *line);
        return;
    }
    if (*line == 0)
        *line = item->line;
    if (item->value[0] == '\0')
        FAULT(&r, "%s is empty", item->key);
    else
        rule->take(&r, item->value);
}
