/* The keys of a profile: one table says which there are, how often each may stand, and which
 * function takes its value. Every function takes the whole value or adds a fault. */
#include "client/profile_keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/profile_value.h"

/* What a value parser works on. */
struct reading {
    struct profile *p;
    struct fault_list *faults;
    const char *key;
    unsigned line;
};

#define FAULT(r, ...) fault_list_add((r)->faults, (r)->line, __VA_ARGS__)

static void copy_text(struct reading *r, const char *value, char *out, size_t cap)
{
    if (strlen(value) >= cap)
        FAULT(r, "%s is longer than %zu octets", r->key, cap - 1);
    else
        memcpy(out, value, strlen(value) + 1);
}

/* Calls `take` for every item of the list. */
static void each(struct reading *r, const char *value,
                 void (*take)(struct reading *r, const char *item))
{
    char item[PROFILE_TEXT_MAX];
    bool too_long;
    for (const char *at = value; value_next(&at, item, sizeof(item), &too_long);) {
        if (too_long)
            FAULT(r, "an item of %s is longer than %zu octets", r->key, sizeof(item) - 1);
        else if (item[0] == '\0')
            FAULT(r, "an item of %s is empty", r->key);
        else
            take(r, item);
    }
}

static void list_add(struct reading *r, struct profile_list *l, const char *item)
{
    if (l->count == PROFILE_LIST_MAX)
        FAULT(r, "%s has more than %d items", r->key, (int)PROFILE_LIST_MAX);
    else
        memcpy(l->items[l->count++], item, strlen(item) + 1);
}

static void take_secret(struct reading *r, const char *value, struct secret *out)
{
    if (secret_set(out, span_text(value)) != ERR_OK)
        FAULT(r, "%s is longer than %d octets", r->key, (int)SECRET_MAX);
}

static void take_shared_key(struct reading *r, const char *value, struct secret *out)
{
    enum err e = secret_set_shared_key(out, span_text(value));
    if (e == ERR_LIMIT)
        FAULT(r, "%s is longer than %d octets", r->key, (int)SECRET_MAX);
    else if (e != ERR_OK)
        FAULT(r,
              "%s begins with 0x and goes on with something else than pairs of hexadecimal digits",
              r->key);
}

static void take_bool(struct reading *r, const char *value, bool *out)
{
    if (value_bool(value, out) != ERR_OK)
        FAULT(r, "%s = %s: expected yes or no", r->key, value);
}

static void take_duration(struct reading *r, const char *value, uint32_t min_s, uint32_t max_s,
                          const char *range, uint32_t *out)
{
    enum err e = value_duration(value, min_s, max_s, out);
    if (e == ERR_LIMIT)
        FAULT(r, "%s = %s is out of range (%s)", r->key, value, range);
    else if (e != ERR_OK)
        FAULT(r, "%s = %s: expected a time such as 30s, 5m, 4h", r->key, value);
}

static void take_identity(struct reading *r, const char *value, struct identity *out)
{
    enum err e = identity_parse(value, out);
    if (e == ERR_LIMIT)
        FAULT(r, "%s is too long", r->key);
    else if (e != ERR_OK)
        FAULT(r, "%s = %s: expected an email, a host name, an address or a DN", r->key, value);
}

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
    list_add(r, &r->p->addresses, item);
}

static void gateway_address(struct reading *r, const char *value)
{
    each(r, value, take_address);
}

static void gateway_port(struct reading *r, const char *value)
{
    uint64_t v;
    if (value_number(value, 1, 65535, &v) != ERR_OK)
        FAULT(r, "Port = %s is not a port (1 to 65535)", value);
    else
        r->p->port = (uint16_t)v;
}

static void gateway_identity(struct reading *r, const char *value)
{
    take_identity(r, value, &r->p->gateway_identity);
}

static void gateway_authentication(struct reading *r, const char *value)
{
    if (strcmp(value, "certificate") == 0)
        r->p->gateway_authentication = AUTHENTICATION_CERTIFICATE;
    else if (strcmp(value, "psk") == 0)
        r->p->gateway_authentication = AUTHENTICATION_PSK;
    else
        FAULT(r, "Authentication = %s: expected certificate or psk", value);
}

static void take_ca(struct reading *r, const char *item)
{
    list_add(r, &r->p->cas, item);
}

static void gateway_ca(struct reading *r, const char *value)
{
    each(r, value, take_ca);
}

static void gateway_psk(struct reading *r, const char *value)
{
    take_shared_key(r, value, &r->p->gateway_psk);
}

static void gateway_psk_file(struct reading *r, const char *value)
{
    copy_text(r, value, r->p->gateway_psk_file, sizeof(r->p->gateway_psk_file));
}

/* --- [Local] --- */

static void local_identity(struct reading *r, const char *value)
{
    take_identity(r, value, &r->p->identity);
}

static void local_authentication(struct reading *r, const char *value)
{
    if (strcmp(value, "certificate") == 0) {
        r->p->authentication = AUTHENTICATION_CERTIFICATE;
    } else if (strcmp(value, "psk") == 0) {
        r->p->authentication = AUTHENTICATION_PSK;
    } else if (strcmp(value, "eap") == 0) {
        r->p->authentication = AUTHENTICATION_EAP;
    } else {
        FAULT(r, "Authentication = %s: expected psk, certificate or eap", value);
    }
}

static void local_psk(struct reading *r, const char *value)
{
    take_shared_key(r, value, &r->p->psk);
}

static void local_psk_file(struct reading *r, const char *value)
{
    copy_text(r, value, r->p->psk_file, sizeof(r->p->psk_file));
}

static void take_object(struct reading *r, const char *value, char *out, size_t cap)
{
    if (strncmp(value, "pkcs11:", 7) == 0)
        FAULT(r, "%s: pkcs11: URIs are not supported yet; use a file", r->key);
    else
        copy_text(r, value, out, cap);
}

static void local_certificate(struct reading *r, const char *value)
{
    take_object(r, value, r->p->certificate, sizeof(r->p->certificate));
}

static void local_private_key(struct reading *r, const char *value)
{
    take_object(r, value, r->p->private_key, sizeof(r->p->private_key));
}

static void local_pkcs12(struct reading *r, const char *value)
{
    (void)value;
    FAULT(r, "PKCS12 is not supported yet; use Certificate and PrivateKey");
}

static void local_user_name(struct reading *r, const char *value)
{
    copy_text(r, value, r->p->user_name, EAP_NAME_MAX + 1);
}

static void local_password(struct reading *r, const char *value)
{
    take_secret(r, value, &r->p->password);
}

static void local_password_file(struct reading *r, const char *value)
{
    copy_text(r, value, r->p->password_file, sizeof(r->p->password_file));
}

static void take_eap_method(struct reading *r, const char *item)
{
    static const char *const missing[] = {"tls", "ttls", "peap"};
    struct profile *p = r->p;
    uint8_t type = eap_type_from_text(item);
    if (type != 0 && memchr(p->eap_methods, type, p->eap_method_count) == NULL) {
        p->eap_methods[p->eap_method_count++] = type;
        return;
    }
    if (type != 0) {
        FAULT(r, "EAPMethods: %s is given twice", item);
        return;
    }
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        if (strcmp(item, missing[i]) == 0) {
            p->eap_missing = missing[i];
            return;
        }
    }
    FAULT(r, "EAPMethods: %s is unknown (mschapv2, tls, ttls, peap, gtc, md5)", item);
}

static void local_eap_methods(struct reading *r, const char *value)
{
    each(r, value, take_eap_method);
}

/* --- [Tunnel] --- */

static void tunnel_interface(struct reading *r, const char *value)
{
    if (value_is_interface(value, false))
        memcpy(r->p->interface, value, strlen(value) + 1);
    else
        FAULT(r, "Interface = %s is not an interface name (1 to 15 letters, digits, - _ .)", value);
}

static void take_route(struct reading *r, const char *item)
{
    struct prefix prefix;
    if (prefix_parse(item, &prefix) != ERR_OK) {
        FAULT(r, "Routes: %s is not a network such as 10.9.0.0/24", item);
        return;
    }
    prefix = prefix_network(&prefix);
    struct selector s = selector_from_prefix(&prefix);
    if (selector_list_add(&r->p->routes, &s) != ERR_OK)
        FAULT(r, "Routes has more than %d networks", (int)SELECTORS_MAX);
}

static void tunnel_routes(struct reading *r, const char *value)
{
    each(r, value, take_route);
}

static void take_exclude(struct reading *r, const char *item)
{
    struct prefix prefix;
    if (prefix_parse(item, &prefix) != ERR_OK)
        FAULT(r, "Exclude: %s is not a network such as 192.168.0.0/16", item);
    else if (r->p->exclude_count == PROFILE_EXCLUDES_MAX)
        FAULT(r, "Exclude has more than %d networks", (int)PROFILE_EXCLUDES_MAX);
    else
        r->p->excludes[r->p->exclude_count++] = prefix_network(&prefix);
}

static void tunnel_exclude(struct reading *r, const char *value)
{
    each(r, value, take_exclude);
}

static void take_request(struct reading *r, const char *item)
{
    struct profile *p = r->p;
    struct ip ip;
    if (strcmp(item, "ipv4") == 0) {
        p->request_ipv4 = true;
    } else if (strcmp(item, "ipv6") == 0) {
        p->request_ipv6 = true;
    } else if (ip_parse(item, &ip) != ERR_OK) {
        FAULT(r, "RequestAddress: %s: expected ipv4, ipv6, none or an address", item);
    } else if (ip_is_unspecified(&ip) || ip_is_multicast(&ip) || ip_is_loopback(&ip)) {
        FAULT(r, "RequestAddress: %s cannot be an address of ours", item);
    } else if ((ip.family == IP_V4 ? p->fixed_ipv4 : p->fixed_ipv6).family != IP_NONE) {
        FAULT(r, "RequestAddress: more than one address of a family");
    } else if (ip.family == IP_V4) {
        p->request_ipv4 = true;
        p->fixed_ipv4 = ip;
    } else {
        p->request_ipv6 = true;
        p->fixed_ipv6 = ip;
    }
}

static void tunnel_request_address(struct reading *r, const char *value)
{
    r->p->request_ipv4 = r->p->request_ipv6 = false;
    if (strcmp(value, "none") != 0)
        each(r, value, take_request);
}

static void tunnel_dns(struct reading *r, const char *value)
{
    if (strcmp(value, "auto") == 0)
        r->p->dns = true;
    else if (strcmp(value, "off") == 0)
        r->p->dns = false;
    else
        FAULT(r, "DNS = %s: expected auto or off", value);
}

static void tunnel_mtu(struct reading *r, const char *value)
{
    uint64_t v;
    if (strcmp(value, "auto") == 0)
        r->p->mtu = PROFILE_MTU_AUTO;
    else if (value_number(value, MTU_MIN, MTU_MAX, &v) != ERR_OK)
        FAULT(r, "MTU = %s: expected auto, or octets from %d to %d", value, (int)MTU_MIN,
              (int)MTU_MAX);
    else
        r->p->mtu = (uint16_t)v;
}

static void tunnel_offload(struct reading *r, const char *value)
{
    r->p->offload = strcmp(value, "auto") == 0;
    if (!r->p->offload && strcmp(value, "off") != 0)
        FAULT(r, "Offload = %s: expected auto or off", value);
}

static void tunnel_dscp(struct reading *r, const char *value)
{
    r->p->copy_dscp = strcmp(value, "copy") == 0;
    if (!r->p->copy_dscp && strcmp(value, "inside") != 0)
        FAULT(r, "DSCP = %s: expected inside or copy", value);
}

/* --- [Crypto] --- */

static void take_proposals(struct reading *r, const char *value, uint8_t protocol,
                           struct proposal_list *out)
{
    /* Repeated keys add: the whole list is numbered anew. */
    struct proposal_list more;
    struct fault f = {0};
    if (proposal_list_from_text(value, protocol, &more, &f) != ERR_OK) {
        FAULT(r, "%s: %s", r->key, f.text);
        return;
    }
    if (out->count + more.count > PROPOSALS_MAX) {
        FAULT(r, "%s has more than %d proposals", r->key, (int)PROPOSALS_MAX);
        return;
    }
    for (size_t i = 0; i < more.count; i++) {
        out->items[out->count] = more.items[i];
        out->items[out->count].number = (uint8_t)(out->count + 1);
        out->count++;
    }
}

static void crypto_ike(struct reading *r, const char *value)
{
    take_proposals(r, value, PROTOCOL_IKE, &r->p->ike);
}

static void crypto_esp(struct reading *r, const char *value)
{
    take_proposals(r, value, PROTOCOL_ESP, &r->p->esp);
}

static void crypto_ike_lifetime(struct reading *r, const char *value)
{
    take_duration(r, value, 10, 7 * 86400, "10s to 7d", &r->p->ike_lifetime_s);
}

static void crypto_esp_lifetime(struct reading *r, const char *value)
{
    take_duration(r, value, 10, 7 * 86400, "10s to 7d", &r->p->esp_lifetime_s);
}

static void crypto_esp_bytes(struct reading *r, const char *value)
{
    enum err e = value_size(value, 65536, UINT64_MAX, &r->p->esp_bytes);
    if (e == ERR_LIMIT)
        FAULT(r, "ESPBytes = %s is out of range (64K and more)", value);
    else if (e != ERR_OK)
        FAULT(r, "ESPBytes = %s: expected octets such as 500M or 4G", value);
}

/* --- [Roaming] --- */

static void roaming_mobike(struct reading *r, const char *value)
{
    take_bool(r, value, &r->p->mobike);
}

static void take_prefer(struct reading *r, const char *item)
{
    if (value_is_interface(item, true))
        list_add(r, &r->p->prefer, item);
    else
        FAULT(r, "Prefer: %s is not an interface name or pattern", item);
}

static void roaming_prefer(struct reading *r, const char *value)
{
    each(r, value, take_prefer);
}

static void roaming_dpd(struct reading *r, const char *value)
{
    if (strcmp(value, "off") == 0)
        r->p->dpd_s = 0;
    else
        take_duration(r, value, 1, 3600, "1s to 1h, or off", &r->p->dpd_s);
}

static void roaming_keepalive(struct reading *r, const char *value)
{
    uint32_t s = 0;
    if (strcmp(value, "auto") == 0) {
        r->p->keepalive_s = PROFILE_KEEPALIVE_AUTO;
    } else {
        if (strcmp(value, "off") != 0)
            take_duration(r, value, 1, 3600, "1s to 1h, auto or off", &s);
        r->p->keepalive_s = (int32_t)s;
    }
}

static void roaming_hold_down(struct reading *r, const char *value)
{
    take_duration(r, value, 0, 7 * 86400, "0 to 7d", &r->p->hold_down_s);
}

enum { RETRANSMIT_PARTS = 3 };

/* The first pause, the longest, and how many transmissions: each pause is 1.8 times the one before.
 */
static void roaming_retransmit(struct reading *r, const char *value)
{
    char parts[RETRANSMIT_PARTS][PROFILE_TEXT_MAX], item[PROFILE_TEXT_MAX];
    size_t count = 0;
    bool too_long = false;
    for (const char *at = value; value_next(&at, item, sizeof(item), &too_long); count++) {
        if (count < RETRANSMIT_PARTS && !too_long)
            memcpy(parts[count], item, sizeof(item));
    }
    struct profile *p = r->p;
    uint64_t tries = 0;
    if (count != RETRANSMIT_PARTS || too_long ||
        value_milliseconds(parts[0], 100, 60000, &p->retransmit_first_ms) != ERR_OK ||
        value_milliseconds(parts[1], p->retransmit_first_ms, 120000, &p->retransmit_max_ms) !=
            ERR_OK ||
        value_number(parts[2], 2, 100, &tries) != ERR_OK) {
        FAULT(r,
              "Retransmit = %s: expected the first pause, the longest, and how many times, such as "
              "500ms, 8s, 8",
              value);
        return;
    }
    p->retransmit_tries = (uint32_t)tries;
}

/* --- [Hooks] --- */

/* It will run with our privileges: what others can write to is not for us to run. */
static void check_program(struct reading *r, const char *path)
{
    struct stat st;
    if (path[0] != '/')
        FAULT(r, "%s: %s is not an absolute path", r->key, path);
    else if (stat(path, &st) != 0)
        FAULT(r, "%s: %s: %s", r->key, path, strerror(errno));
    else if (!S_ISREG(st.st_mode) || access(path, X_OK) != 0)
        FAULT(r, "%s: %s is not a program that can be run", r->key, path);
    else if ((st.st_mode & S_IWOTH) != 0)
        FAULT(r, "%s: %s can be written by everybody: chmod o-w %s", r->key, path, path);
}

static void hook(struct reading *r, const char *value)
{
    enum profile_hook which = strcmp(r->key, "Up") == 0     ? PROFILE_HOOK_UP
                              : strcmp(r->key, "Down") == 0 ? PROFILE_HOOK_DOWN
                                                            : PROFILE_HOOK_HANDOVER;
    struct profile_hook_list *l = &r->p->hooks[which];
    struct command_line line;
    struct fault f = {0};
    if (l->count == PROFILE_HOOK_COMMANDS_MAX) {
        FAULT(r, "%s is given more than %d times", r->key, (int)PROFILE_HOOK_COMMANDS_MAX);
    } else if (command_line_parse(value, &line, &f) != ERR_OK) {
        FAULT(r, "%s: %s", r->key, f.text);
    } else {
        check_program(r, command_line_argument(&line, 0));
        l->items[l->count++] = line;
    }
}

/* --- the table --- */

enum key_flag {
    KEY_ADDS = 1,  /* repeated keys add */
    KEY_SECRET = 2 /* the profile itself becomes a secret file */
};

static const struct key_rule {
    const char *section, *key;
    unsigned flags;
    void (*take)(struct reading *r, const char *value);
} rules[PROFILE_KEYS] = {
    [KEY_GATEWAY_ADDRESS] = {"Gateway", "Address", KEY_ADDS, gateway_address},
    [KEY_GATEWAY_PORT] = {"Gateway", "Port", 0, gateway_port},
    [KEY_GATEWAY_IDENTITY] = {"Gateway", "Identity", 0, gateway_identity},
    [KEY_GATEWAY_AUTHENTICATION] = {"Gateway", "Authentication", 0, gateway_authentication},
    [KEY_GATEWAY_CA] = {"Gateway", "CA", KEY_ADDS, gateway_ca},
    [KEY_GATEWAY_PSK] = {"Gateway", "PresharedKey", KEY_SECRET, gateway_psk},
    [KEY_GATEWAY_PSK_FILE] = {"Gateway", "PresharedKeyFile", 0, gateway_psk_file},
    [KEY_LOCAL_IDENTITY] = {"Local", "Identity", 0, local_identity},
    [KEY_LOCAL_AUTHENTICATION] = {"Local", "Authentication", 0, local_authentication},
    [KEY_LOCAL_PSK] = {"Local", "PresharedKey", KEY_SECRET, local_psk},
    [KEY_LOCAL_PSK_FILE] = {"Local", "PresharedKeyFile", 0, local_psk_file},
    [KEY_LOCAL_CERTIFICATE] = {"Local", "Certificate", 0, local_certificate},
    [KEY_LOCAL_PRIVATE_KEY] = {"Local", "PrivateKey", 0, local_private_key},
    [KEY_LOCAL_PKCS12] = {"Local", "PKCS12", 0, local_pkcs12},
    [KEY_LOCAL_USER_NAME] = {"Local", "UserName", 0, local_user_name},
    [KEY_LOCAL_PASSWORD] = {"Local", "Password", KEY_SECRET, local_password},
    [KEY_LOCAL_PASSWORD_FILE] = {"Local", "PasswordFile", 0, local_password_file},
    [KEY_LOCAL_EAP_METHODS] = {"Local", "EAPMethods", KEY_ADDS, local_eap_methods},
    [KEY_TUNNEL_INTERFACE] = {"Tunnel", "Interface", 0, tunnel_interface},
    [KEY_TUNNEL_ROUTES] = {"Tunnel", "Routes", KEY_ADDS, tunnel_routes},
    [KEY_TUNNEL_EXCLUDE] = {"Tunnel", "Exclude", KEY_ADDS, tunnel_exclude},
    [KEY_TUNNEL_REQUEST_ADDRESS] = {"Tunnel", "RequestAddress", 0, tunnel_request_address},
    [KEY_TUNNEL_DNS] = {"Tunnel", "DNS", 0, tunnel_dns},
    [KEY_TUNNEL_MTU] = {"Tunnel", "MTU", 0, tunnel_mtu},
    [KEY_TUNNEL_OFFLOAD] = {"Tunnel", "Offload", 0, tunnel_offload},
    [KEY_TUNNEL_DSCP] = {"Tunnel", "DSCP", 0, tunnel_dscp},
    [KEY_CRYPTO_IKE] = {"Crypto", "IKE", KEY_ADDS, crypto_ike},
    [KEY_CRYPTO_ESP] = {"Crypto", "ESP", KEY_ADDS, crypto_esp},
    [KEY_CRYPTO_IKE_LIFETIME] = {"Crypto", "IKELifetime", 0, crypto_ike_lifetime},
    [KEY_CRYPTO_ESP_LIFETIME] = {"Crypto", "ESPLifetime", 0, crypto_esp_lifetime},
    [KEY_CRYPTO_ESP_BYTES] = {"Crypto", "ESPBytes", 0, crypto_esp_bytes},
    [KEY_ROAMING_MOBIKE] = {"Roaming", "MOBIKE", 0, roaming_mobike},
    [KEY_ROAMING_PREFER] = {"Roaming", "Prefer", KEY_ADDS, roaming_prefer},
    [KEY_ROAMING_DPD] = {"Roaming", "DPD", 0, roaming_dpd},
    [KEY_ROAMING_KEEPALIVE] = {"Roaming", "Keepalive", 0, roaming_keepalive},
    [KEY_ROAMING_HOLD_DOWN] = {"Roaming", "HoldDown", 0, roaming_hold_down},
    [KEY_ROAMING_RETRANSMIT] = {"Roaming", "Retransmit", 0, roaming_retransmit},
    [KEY_HOOKS_UP] = {"Hooks", "Up", KEY_ADDS, hook},
    [KEY_HOOKS_DOWN] = {"Hooks", "Down", KEY_ADDS, hook},
    [KEY_HOOKS_HANDOVER] = {"Hooks", "Handover", KEY_ADDS, hook},
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
