/* Reading a profile: key by key (profile_keys.c), then what was not given, and the checks between
 * keys. The first fault never ends the reading. */
#include "client/profile.h"

#include <stdlib.h>
#include <string.h>

#include "client/file.h"
#include "client/profile_eap.h"
#include "client/profile_keys.h"
#include "client/profile_own.h"
#include "client/profile_user.h"
#include "platform/privileges.h"

static void take_sections(struct profile *p, const struct ini *ini, struct fault_list *faults)
{
    p->gateway_line = p->local_line = 1;
    bool gateway = false, local = false;
    for (size_t i = 0; i < ini->section_count; i++) {
        const struct ini_section *s = &ini->sections[i];
        if (!profile_section_known(s->name))
            fault_list_add(faults, s->line, "unknown section [%s]", s->name);
        if (!gateway && strcmp(s->name, "Gateway") == 0) {
            p->gateway_line = s->line;
            gateway = true;
        }
        if (!local && strcmp(s->name, "Local") == 0) {
            p->local_line = s->line;
            local = true;
        }
        if (p->user_line == 0 && strcmp(s->name, "User") == 0)
            p->user_line = s->line;
    }
}

/* --- between keys --- */

static void check_not_both(const struct profile *p, enum profile_key a, enum profile_key b,
                           struct fault_list *faults)
{
    if (profile_has(p, a) && profile_has(p, b))
        fault_list_add(faults, p->lines[p->lines[a] > p->lines[b] ? a : b],
                       "%s and %s are both given; keep one", profile_key_name(a),
                       profile_key_name(b));
}

static void check_own_not_both(const struct profile *p, const struct profile_own_keys *k,
                               struct fault_list *faults)
{
    check_not_both(p, k->passphrase, k->passphrase_file, faults);
    check_not_both(p, k->pkcs12, k->certificate, faults);
    check_not_both(p, k->pkcs12, k->private_key, faults);
}

static void check_secret_in_profile(const struct profile *p, struct fault_list *faults)
{
    struct fault f = {0};
    unsigned line = p->own.pin_line != 0 ? p->own.pin_line : p->user_own.pin_line;
    for (unsigned i = 0; i < PROFILE_KEYS; i++) {
        if (profile_key_secret(i) && p->lines[i] != 0) {
            line = p->lines[i]; /* once is enough */
            break;
        }
    }
    if (line != 0 && privileges_check_secret_file(p->path, &f) != ERR_OK)
        fault_list_add_fault(faults, line, &f);
}

static void default_gateway(struct profile *p, struct fault_list *faults)
{
    bool psk = profile_has(p, KEY_GATEWAY_PSK) || profile_has(p, KEY_GATEWAY_PSK_FILE);
    bool local_psk_given = profile_has(p, KEY_LOCAL_PSK) || profile_has(p, KEY_LOCAL_PSK_FILE);
    if (!profile_has(p, KEY_GATEWAY_ADDRESS))
        fault_list_add(faults, p->gateway_line, "[Gateway] has no Address");
    if (!profile_has(p, KEY_GATEWAY_AUTHENTICATION))
        p->gateway_authentication = psk ? AUTHENTICATION_PSK : AUTHENTICATION_CERTIFICATE;
    if (p->gateway_authentication == AUTHENTICATION_PSK && !psk && !local_psk_given)
        fault_list_add(faults,
                       profile_has(p, KEY_GATEWAY_AUTHENTICATION)
                           ? p->lines[KEY_GATEWAY_AUTHENTICATION]
                           : p->gateway_line,
                       "Authentication = psk needs PresharedKey or PresharedKeyFile");
    if (!profile_has(p, KEY_GATEWAY_CA)) {
        memcpy(p->cas.items[0], "system", sizeof("system"));
        p->cas.count = 1;
    }
    if (!profile_has(p, KEY_GATEWAY_IDENTITY) && p->addresses.count > 0 &&
        identity_parse(p->addresses.items[0], &p->gateway_identity) != ERR_OK)
        fault_list_add(faults, p->lines[KEY_GATEWAY_ADDRESS],
                       "Address cannot serve as the gateway's identity; set Identity");
}

static void check_local_keys(const struct profile *p, unsigned line, struct fault_list *faults)
{
    bool psk = profile_has(p, KEY_LOCAL_PSK) || profile_has(p, KEY_LOCAL_PSK_FILE) ||
               profile_has(p, KEY_GATEWAY_PSK) || profile_has(p, KEY_GATEWAY_PSK_FILE);
    if (p->authentication == AUTHENTICATION_PSK && !psk)
        fault_list_add(faults, line, "Authentication = psk needs PresharedKey or PresharedKeyFile");
    if (p->authentication == AUTHENTICATION_PSK && p->identity.type == IDENTITY_NONE &&
        !profile_has(p, KEY_LOCAL_IDENTITY))
        fault_list_add(faults, p->local_line,
                       "[Local] needs an Identity with Authentication = psk");
    profile_check_own(p, &p->own, p->authentication == AUTHENTICATION_CERTIFICATE, line, faults);
}

static void default_local(struct profile *p, struct fault_list *faults)
{
    unsigned line = p->local_line;
    if (profile_has(p, KEY_LOCAL_AUTHENTICATION)) {
        line = p->lines[KEY_LOCAL_AUTHENTICATION];
    } else if (profile_own_certificate(p, &p->own)) {
        p->authentication = AUTHENTICATION_CERTIFICATE;
    } else if (profile_has(p, KEY_LOCAL_PSK) || profile_has(p, KEY_LOCAL_PSK_FILE) ||
               p->gateway_authentication == AUTHENTICATION_PSK) {
        p->authentication = AUTHENTICATION_PSK;
    } else if (profile_has(p, KEY_LOCAL_USER_NAME)) {
        p->authentication = AUTHENTICATION_EAP;
    } else {
        fault_list_add(faults, line,
                       "[Local] has no credentials: set Authentication, and "
                       "PresharedKeyFile, Certificate and PrivateKey, or UserName");
        return;
    }
    if (!profile_has(p, KEY_LOCAL_IDENTITY))
        profile_eap_default_identity(p, &p->identity, "our", faults);
    check_local_keys(p, line, faults);
    if (p->authentication == AUTHENTICATION_EAP)
        profile_check_eap(p, line, faults);
    else if (p->gateway_authentication == AUTHENTICATION_EAP)
        fault_list_add(faults, p->lines[KEY_GATEWAY_AUTHENTICATION],
                       "Authentication = eap in [Gateway] needs Authentication = eap in [Local]");
}

/* RFC 8784 5.1: the gateway finds it by its name. */
static void check_ppk(const struct profile *p, struct fault_list *faults)
{
    bool key = profile_has(p, KEY_LOCAL_PPK) || profile_has(p, KEY_LOCAL_PPK_FILE);
    if (profile_has(p, KEY_LOCAL_PPK_IDENTITY) && !key)
        fault_list_add(faults, p->lines[KEY_LOCAL_PPK_IDENTITY],
                       "PPKIdentity needs PPK or PPKFile");
    if (key && !profile_has(p, KEY_LOCAL_PPK_IDENTITY))
        fault_list_add(faults,
                       p->lines[profile_has(p, KEY_LOCAL_PPK) ? KEY_LOCAL_PPK : KEY_LOCAL_PPK_FILE],
                       "a PPK needs PPKIdentity, which is what the gateway calls it");
    if (profile_has(p, KEY_GATEWAY_REQUIRE_PPK) && p->require_ppk && !key)
        fault_list_add(faults, p->lines[KEY_GATEWAY_REQUIRE_PPK],
                       "RequirePPK = yes needs PPKIdentity and PPK or PPKFile in [Local]");
}

static void default_tunnel(struct profile *p)
{
    static const struct prefix all[] = {{{IP_V4, {0}}, 0}, {{IP_V6, {0}}, 0}};
    if (!profile_has(p, KEY_TUNNEL_ROUTES)) {
        for (size_t i = 0; i < 2; i++) {
            struct selector s = selector_from_prefix(&all[i]);
            ASSERT(selector_list_add(&p->routes, &s) == ERR_OK);
        }
    }
    if (!profile_has(p, KEY_CRYPTO_IKE))
        proposal_list_default(PROTOCOL_IKE, &p->ike);
    if (!profile_has(p, KEY_CRYPTO_ESP))
        proposal_list_default(PROTOCOL_ESP, &p->esp);
}

static void set_defaults(struct profile *p)
{
    profile_own_begin(p);
    p->port = IKE_PORT;
    p->request_ipv4 = p->request_ipv6 = true;
    p->dns = true;
    p->require_ppk = true;
    p->mtu = PROFILE_MTU_AUTO;
    p->offload = true;
    p->ike_lifetime_s = 4 * 3600;
    p->esp_lifetime_s = 3600;
    p->mobike = true;
    p->dpd_s = 30;
    p->keepalive_s = PROFILE_KEEPALIVE_AUTO;
    p->revocation = REVOCATION_SOFT;
    p->hold_down_s = 30 * 60;
    p->retransmit_first_ms = 500;
    p->retransmit_max_ms = 8000;
    p->retransmit_tries = 8;
}

static void read_items(struct profile *p, const struct ini *ini, struct fault_list *faults)
{
    set_defaults(p);
    take_sections(p, ini, faults);
    for (size_t i = 0; i < ini->item_count; i++)
        profile_take_item(p, &ini->items[i], faults);
    default_gateway(p, faults);
    default_local(p, faults);
    profile_default_user(p, faults);
    default_tunnel(p);
    check_ppk(p, faults);
    check_not_both(p, KEY_GATEWAY_PSK, KEY_GATEWAY_PSK_FILE, faults);
    check_not_both(p, KEY_LOCAL_PSK, KEY_LOCAL_PSK_FILE, faults);
    check_not_both(p, KEY_LOCAL_PASSWORD, KEY_LOCAL_PASSWORD_FILE, faults);
    check_own_not_both(p, p->own.keys, faults);
    check_not_both(p, KEY_USER_PSK, KEY_USER_PSK_FILE, faults);
    check_own_not_both(p, p->user_own.keys, faults);
    check_not_both(p, KEY_LOCAL_PPK, KEY_LOCAL_PPK_FILE, faults);
    check_secret_in_profile(p, faults);
}

static enum err read_text(const char *path, struct ini **ret, struct fault_list *faults)
{
    struct fault f = {0};
    struct file_bytes bytes;
    enum err e = file_read(path, INI_SIZE_MAX, &bytes, &f);
    if (e == ERR_NOT_FOUND)
        return e;
    if (e != ERR_OK) {
        fault_list_add_fault(faults, 1, &f);
        return ERR_MALFORMED;
    }
    e = ini_parse((char *)bytes.data, bytes.len, ret, faults);
    file_bytes_wipe(&bytes);
    if (e != ERR_OK && !fault_list_any(faults))
        fault_list_add(faults, 1, "the profile cannot be read: %s", err_text(e));
    return e;
}

enum err profile_load(const char *path, struct profile **ret, struct fault_list *faults)
{
    char name[PROFILE_NAME_MAX];
    if (strlen(path) >= PROFILE_PATH_MAX || profile_name(path, name) != ERR_OK) {
        fault_list_add(faults, 1,
                       "the file's name cannot name a connection (letters, digits, . _ "
                       "- and at most %d octets)",
                       (int)PROFILE_NAME_MAX - 1);
        return ERR_MALFORMED;
    }
    struct ini *ini = NULL;
    enum err e = read_text(path, &ini, faults);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND || e == ERR_MEMORY ? e : ERR_MALFORMED;
    struct profile *p = calloc(1, sizeof(*p));
    if (p == NULL) {
        ini_free(ini);
        return ERR_MEMORY;
    }
    memcpy(p->path, path, strlen(path) + 1);
    memcpy(p->name, name, sizeof(name));
    read_items(p, ini, faults);
    ini_free(ini);
    if (fault_list_any(faults)) {
        profile_free(p);
        return ERR_MALFORMED;
    }
    *ret = p;
    return ERR_OK;
}

void profile_free(struct profile *p)
{
    if (p == NULL)
        return;
    wipe(p, sizeof(*p));
    free(p);
}

enum err profile_name(const char *path, char out[PROFILE_NAME_MAX])
{
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    size_t len = strlen(base);
    if (len > 5 && strcmp(base + len - 5, ".conf") == 0)
        len -= 5;
    if (len == 0 || len >= PROFILE_NAME_MAX || base[0] == '.')
        return ERR_MALFORMED;
    for (size_t i = 0; i < len; i++) {
        bool fine = (base[i] >= 'a' && base[i] <= 'z') || (base[i] >= 'A' && base[i] <= 'Z') ||
                    (base[i] >= '0' && base[i] <= '9') || strchr("._-@+", base[i]) != NULL;
        if (!fine)
            return ERR_MALFORMED;
    }
    memcpy(out, base, len);
    out[len] = '\0';
    return ERR_OK;
}

const char *profile_file(const struct profile *p, const char *name, char out[PROFILE_PATH_MAX])
{
    const char *slash = strrchr(p->path, '/');
    int dir = name[0] == '/' || slash == NULL ? 0 : (int)(slash + 1 - p->path);
    int n = snprintf(out, PROFILE_PATH_MAX, "%.*s%s", dir, p->path, name);
    if (n >= PROFILE_PATH_MAX)
        out[0] = '\0'; /* opens nothing: reported as not found */
    return out;
}
