/* The keys of the gateway's configuration: what each may hold, and what it becomes. Values turn
 * into the core's own types at once, so that nothing after this file meets text. How the file is
 * taken apart, and what must go together, is config.c's. */
#include "tools/gateway/config_keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/privileges.h"

enum { FILE_LEN_MAX = 1 << 20, ITEM_LEN_MAX = 512 };

/* A fault from below, kept with its hint but put behind FILE:LINE. */
static enum err refuse_below(struct config_reader *r, const char *what, const struct fault *below)
{
    enum err err = config_refuse(r, below->code, "%s: %s", what, below->text);

    if (below->hint[0] != '\0')
        fault_hint(r->fault, "%s", below->hint);
    return err;
}

/* Comma-separated items, each handed to `take` without the blanks around it. */
static enum err each_item(struct config_reader *r, const char *value,
                          enum err (*take)(struct config_reader *r, const char *item))
{
    char item[ITEM_LEN_MAX];

    for (;;) {
        value += strspn(value, " \t");
        size_t len = strcspn(value, ",");
        const char *end = value + len;

        while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
            len--;
        if (len == 0)
            return config_refuse(r, ERR_MALFORMED, "an empty item in a list");
        if (len >= sizeof(item))
            return config_refuse(r, ERR_LIMIT, "an item of more than %d characters",
                                 ITEM_LEN_MAX - 1);
        memcpy(item, value, len);
        item[len] = '\0';
        enum err err = take(r, item);
        if (err != ERR_OK || *end == '\0')
            return err;
        value = end + 1;
    }
}

/* --- files --- */

struct file {
    uint8_t *bytes; /* wiped when freed: it may hold a key */
    size_t len;
};

static void file_wipe(struct file *file)
{
    if (file->bytes != NULL)
        wipe(file->bytes, file->len);
    free(file->bytes);
    *file = (struct file){0};
}

static enum err file_read(struct config_reader *r, const char *path, struct file *ret)
{
    FILE *in = fopen(path, "rbe");
    if (in == NULL)
        return config_refuse(r, errno == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM, "%s: %s", path,
                             strerror(errno));
    struct file file = {.bytes = malloc(FILE_LEN_MAX), .len = 0};
    if (file.bytes == NULL) {
        fclose(in);
        return config_refuse(r, ERR_MEMORY, "%s: %s", path, err_text(ERR_MEMORY));
    }
    setvbuf(in, NULL, _IONBF, 0); /* no second copy of a key in stdio's buffer */
    file.len = fread(file.bytes, 1, FILE_LEN_MAX, in);
    bool whole = ferror(in) == 0 && file.len < FILE_LEN_MAX;
    fclose(in);
    if (!whole) {
        file_wipe(&file);
        return config_refuse(r, ERR_LIMIT, "%s: cannot be read, or is longer than %d octets", path,
                             FILE_LEN_MAX - 1);
    }
    *ret = file;
    return ERR_OK;
}

/* --- [Gateway] --- */

static enum err take_listen(struct config_reader *r, const char *item)
{
    struct gateway_config *c = r->config;

    if (c->listen_count == GATEWAY_LISTEN_MAX)
        return config_refuse(r, ERR_LIMIT, "more than %d addresses to listen on",
                             GATEWAY_LISTEN_MAX);
    if (ip_parse(item, &c->listen[c->listen_count]) != ERR_OK)
        return config_refuse(r, ERR_MALFORMED, "\"%s\" is not an address", item);
    c->listen_count++;
    return ERR_OK;
}

static enum err set_listen(struct config_reader *r, const char *value)
{
    return each_item(r, value, take_listen);
}

static enum err parse_port(struct config_reader *r, const char *value, uint16_t *ret)
{
    size_t digits = strspn(value, "0123456789");
    unsigned long port = digits > 0 && digits <= 5 ? strtoul(value, NULL, 10) : 0;

    if (value[digits] != '\0' || port == 0 || port > UINT16_MAX)
        return config_refuse(r, ERR_MALFORMED, "\"%s\" is not a port (1 to 65535)", value);
    *ret = (uint16_t)port;
    return ERR_OK;
}

static enum err set_port(struct config_reader *r, const char *value)
{
    return parse_port(r, value, &r->config->port);
}

static enum err set_nat_port(struct config_reader *r, const char *value)
{
    return parse_port(r, value, &r->config->nat_port);
}

static enum err set_identity(struct config_reader *r, const char *value)
{
    if (identity_parse(value, &r->config->identity) != ERR_OK)
        return config_refuse(r, ERR_MALFORMED, "\"%s\" is not an identity", value);
    return ERR_OK;
}

static enum err take_certificate(struct config_reader *r, const char *item)
{
    struct certificate_list more = {.count = 0};
    struct certificate_list *chain = &r->config->chain;
    struct fault below = {.code = ERR_OK};
    struct file file = {0};
    enum err err = file_read(r, item, &file);

    if (err != ERR_OK)
        return err;
    err = certificate_parse_file(span_make(file.bytes, file.len), &more, &below);
    file_wipe(&file);
    if (err != ERR_OK)
        return refuse_below(r, item, &below);
    if (more.count > CERTIFICATES_MAX - chain->count) {
        certificate_list_wipe(&more);
        return config_refuse(r, ERR_LIMIT, "a chain of more than %d certificates",
                             CERTIFICATES_MAX);
    }
    for (size_t i = 0; i < more.count; i++)
        chain->items[chain->count++] = more.items[i];
    return ERR_OK;
}

static enum err set_certificate(struct config_reader *r, const char *value)
{
    return each_item(r, value, take_certificate);
}

static enum err set_private_key(struct config_reader *r, const char *value)
{
    struct fault below = {.code = ERR_OK};
    struct file file = {0};

    if (privileges_check_secret_file(value, &below) != ERR_OK)
        return refuse_below(r, "PrivateKey", &below);
    enum err err = file_read(r, value, &file);
    if (err != ERR_OK)
        return err;
    err = private_key_parse(span_make(file.bytes, file.len), &r->config->key, &below);
    file_wipe(&file);
    return err == ERR_OK ? ERR_OK : refuse_below(r, value, &below);
}

static enum err take_ca(struct config_reader *r, const char *item)
{
    struct fault below = {.code = ERR_OK};
    struct file file = {0};
    size_t added = 0;

    if (r->config->trust == NULL && trust_store_new(&r->config->trust) != ERR_OK)
        return config_refuse(r, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    enum err err = file_read(r, item, &file);
    if (err != ERR_OK)
        return err;
    err = trust_store_add_pem(r->config->trust, span_make(file.bytes, file.len), false, &added,
                              &below);
    file_wipe(&file);
    if (err != ERR_OK)
        return refuse_below(r, item, &below);
    return added > 0 ? ERR_OK : config_refuse(r, ERR_MALFORMED, "%s: no certificate in it", item);
}

static enum err set_ca(struct config_reader *r, const char *value)
{
    return each_item(r, value, take_ca);
}

/* Who can read the configuration can be any of its users. */
static enum err check_secret(struct config_reader *r, const char *why)
{
    struct fault below = {.code = ERR_OK};

    if (privileges_check_secret_file(r->path, &below) != ERR_OK)
        return refuse_below(r, why, &below);
    return ERR_OK;
}

static enum err parse_key(struct config_reader *r, const char *key, const char *value,
                          struct secret *ret)
{
    char why[32];

    snprintf(why, sizeof(why), "holds a %s", key);
    if (check_secret(r, why) != ERR_OK)
        return r->fault->code;
    if (value[0] == '\0')
        return config_refuse(r, ERR_MALFORMED, "the %s is empty", key);
    enum err err = secret_set_shared_key(ret, span_text(value));
    if (err == ERR_LIMIT)
        return config_refuse(r, err, "a %s of more than %d octets", key, SECRET_MAX);
    if (err != ERR_OK)
        return config_refuse(r, err, "a %s after 0x is pairs of hexadecimal digits", key);
    return ERR_OK;
}

/* DER, as it goes to clients; what they make of it is theirs to say. */
static enum err take_evidence(struct config_reader *r, const char *item,
                              bool (*add)(struct trust_evidence *e, struct span der))
{
    struct file file = {0};
    enum err err = file_read(r, item, &file);

    if (err != ERR_OK)
        return err;
    if (add(&r->config->evidence, span_make(file.bytes, file.len)))
        return ERR_OK;
    file_wipe(&file);
    return config_refuse(r, ERR_LIMIT, "more than %d files", TRUST_EVIDENCE_MAX);
}

static enum err take_crl(struct config_reader *r, const char *item)
{
    return take_evidence(r, item, trust_evidence_add_crl);
}

static enum err set_send_crl(struct config_reader *r, const char *value)
{
    return each_item(r, value, take_crl);
}

static enum err take_ocsp(struct config_reader *r, const char *item)
{
    return take_evidence(r, item, trust_evidence_add_ocsp);
}

static enum err set_send_ocsp(struct config_reader *r, const char *value)
{
    return each_item(r, value, take_ocsp);
}

static enum err set_psk(struct config_reader *r, const char *value)
{
    return parse_key(r, "PresharedKey", value, &r->config->psk);
}

static enum err take_pool(struct config_reader *r, const char *item)
{
    struct gateway_config *c = r->config;
    struct pool *trial = NULL;

    if (c->pool_count == POOL_PREFIXES_MAX)
        return config_refuse(r, ERR_LIMIT, "more than %d pools", POOL_PREFIXES_MAX);
    if (prefix_parse(item, &c->pools[c->pool_count]) != ERR_OK)
        return config_refuse(r, ERR_MALFORMED, "\"%s\" is not a prefix such as 10.7.0.0/24", item);
    c->pool_count++;
    switch (pool_new(c->pools, c->pool_count, &trial)) {
    case ERR_OK:
        pool_free(trial);
        return ERR_OK;
    case ERR_LIMIT:
        return config_refuse(r, ERR_LIMIT, "%s leaves no address for a client", item);
    case ERR_MALFORMED:
        return config_refuse(r, ERR_MALFORMED, "%s overlaps another pool", item);
    default:
        return config_refuse(r, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    }
}

static enum err set_pool(struct config_reader *r, const char *value)
{
    return each_item(r, value, take_pool);
}

static enum err take_dns(struct config_reader *r, const char *item)
{
    struct gateway_config *c = r->config;

    if (c->dns_count == CP_DNS_MAX)
        return config_refuse(r, ERR_LIMIT, "more than %d DNS servers", CP_DNS_MAX);
    if (ip_parse(item, &c->dns[c->dns_count]) != ERR_OK)
        return config_refuse(r, ERR_MALFORMED, "\"%s\" is not an address", item);
    c->dns_count++;
    return ERR_OK;
}

static enum err set_dns(struct config_reader *r, const char *value)
{
    return each_item(r, value, take_dns);
}

static enum err take_network(struct config_reader *r, const char *item)
{
    struct prefix prefix;

    if (prefix_parse(item, &prefix) != ERR_OK)
        return config_refuse(r, ERR_MALFORMED, "\"%s\" is not a prefix such as 10.9.0.0/24", item);
    prefix = prefix_network(&prefix);
    struct selector selector = selector_from_prefix(&prefix);
    if (selector_list_add(&r->config->networks, &selector) != ERR_OK)
        return config_refuse(r, ERR_LIMIT, "more than %d networks", SELECTORS_MAX);
    return ERR_OK;
}

static enum err set_networks(struct config_reader *r, const char *value)
{
    return each_item(r, value, take_network);
}

static enum err set_interface(struct config_reader *r, const char *value)
{
    if (value[0] == '\0' || strlen(value) >= TUN_NAME_MAX || strpbrk(value, "/ \t") != NULL)
        return config_refuse(r, ERR_MALFORMED, "\"%s\" is no interface name (1 to %d characters)",
                             value, TUN_NAME_MAX - 1);
    memcpy(r->config->interface, value, strlen(value) + 1);
    return ERR_OK;
}

static enum err parse_proposals(struct config_reader *r, const char *value, uint8_t protocol,
                                struct proposal_list *ret)
{
    struct fault below = {.code = ERR_OK};

    if (proposal_list_from_text(value, protocol, ret, &below) != ERR_OK)
        return refuse_below(r, protocol == PROTOCOL_IKE ? "IKE" : "ESP", &below);
    return ERR_OK;
}

static enum err set_ike(struct config_reader *r, const char *value)
{
    return parse_proposals(r, value, PROTOCOL_IKE, &r->config->ike);
}

static enum err set_esp(struct config_reader *r, const char *value)
{
    return parse_proposals(r, value, PROTOCOL_ESP, &r->config->esp);
}

static enum err read_yes_no(struct config_reader *r, const char *key, const char *value, bool *ret)
{
    *ret = strcmp(value, "yes") == 0;
    if (!*ret && strcmp(value, "no") != 0)
        return config_refuse(r, ERR_MALFORMED, "%s is yes or no, not \"%s\"", key, value);
    return ERR_OK;
}

static enum err set_mobike(struct config_reader *r, const char *value)
{
    return read_yes_no(r, "MOBIKE", value, &r->config->mobike);
}

static enum err set_return_routability(struct config_reader *r, const char *value)
{
    return read_yes_no(r, "ReturnRoutability", value, &r->config->return_routability);
}

static enum err set_cookies(struct config_reader *r, const char *value)
{
    if (strcmp(value, "auto") == 0)
        r->config->cookies = GATEWAY_COOKIES_AUTO;
    else if (strcmp(value, "always") == 0)
        r->config->cookies = GATEWAY_COOKIES_ALWAYS;
    else if (strcmp(value, "off") == 0)
        r->config->cookies = GATEWAY_COOKIES_OFF;
    else
        return config_refuse(r, ERR_MALFORMED, "Cookies is auto, always or off, not \"%s\"", value);
    return ERR_OK;
}

static enum err parse_number(struct config_reader *r, const char *key, const char *value,
                             uint64_t min, uint64_t max, uint64_t *ret)
{
    char *end;

    errno = 0;
    unsigned long long v = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0 || v < min || v > max)
        return config_refuse(r, ERR_MALFORMED, "%s is a number from %llu to %llu, not \"%s\"", key,
                             (unsigned long long)min, (unsigned long long)max, value);
    *ret = v;
    return ERR_OK;
}

enum { LIFETIME_MAX_S = 7 * 86400 };

static enum err parse_seconds(struct config_reader *r, const char *key, const char *value,
                              uint32_t unit, uint32_t *ret)
{
    uint64_t v = 0;
    enum err err = parse_number(r, key, value, 1, LIFETIME_MAX_S, &v);

    if (err == ERR_OK)
        *ret = (uint32_t)v * unit;
    return err;
}

static enum err set_ike_lifetime(struct config_reader *r, const char *value)
{
    return parse_seconds(r, "IKELifetime", value, 1000, &r->config->lifetimes.ike_ms);
}

static enum err set_esp_lifetime(struct config_reader *r, const char *value)
{
    return parse_seconds(r, "ESPLifetime", value, 1000, &r->config->lifetimes.child_ms);
}

static enum err set_esp_bytes(struct config_reader *r, const char *value)
{
    return parse_number(r, "ESPBytes", value, 65536, UINT64_MAX, &r->config->lifetimes.child_bytes);
}

static enum err set_auth_lifetime(struct config_reader *r, const char *value)
{
    return parse_seconds(r, "AuthLifetime", value, 1, &r->config->auth_lifetime_s);
}

static enum err set_redirect(struct config_reader *r, const char *value)
{
    struct redirect_target *to = &r->config->redirect;

    if (ip_parse(value, &to->ip) == ERR_OK)
        return ERR_OK;
    if (!host_name_good(span_text(value)) || strlen(value) > REDIRECT_NAME_MAX)
        return config_refuse(r, ERR_MALFORMED, "Redirect is an address or a name, not \"%s\"",
                             value);
    memcpy(to->name, value, strlen(value) + 1);
    return ERR_OK;
}

static enum err take_eap_method(struct config_reader *r, const char *item)
{
    struct gateway_config *c = r->config;
    uint8_t type = eap_type_from_text(item);

    if (type == 0 || type == EAP_TTLS || type == EAP_PEAP)
        return config_refuse(r, ERR_MALFORMED,
                             "EAPMethods has mschapv2, md5, gtc and tls, not \"%s\"", item);
    if (memchr(c->eap_methods, type, c->eap_method_count) != NULL)
        return config_refuse(r, ERR_MALFORMED, "EAPMethods has %s twice", item);
    c->eap_methods[c->eap_method_count++] = type;
    return ERR_OK;
}

static enum err set_eap_methods(struct config_reader *r, const char *value)
{
    return each_item(r, value, take_eap_method);
}

static enum err set_eap_only(struct config_reader *r, const char *value)
{
    return read_yes_no(r, "EAPOnly", value, &r->config->eap_only);
}

static enum err set_require_ppk(struct config_reader *r, const char *value)
{
    return read_yes_no(r, "RequirePPK", value, &r->config->require_ppk);
}

static enum err set_second_proof(struct config_reader *r, const char *value)
{
    if (strcmp(value, "no") == 0)
        r->config->second_proof = SESSION_SECOND_OFF;
    else if (strcmp(value, "yes") == 0)
        r->config->second_proof = SESSION_SECOND_OPTIONAL;
    else if (strcmp(value, "required") == 0)
        r->config->second_proof = SESSION_SECOND_REQUIRED;
    else
        return config_refuse(r, ERR_MALFORMED, "SecondProof is no, yes or required, not \"%s\"",
                             value);
    return ERR_OK;
}

const struct config_key config_gateway_keys[] = {
    {"Listen", true, set_listen},
    {"Port", false, set_port},
    {"NatPort", false, set_nat_port},
    {"Identity", false, set_identity},
    {"Certificate", true, set_certificate},
    {"PrivateKey", false, set_private_key},
    {"CA", true, set_ca},
    {"PresharedKey", false, set_psk},
    {"Pool", true, set_pool},
    {"DNS", true, set_dns},
    {"Networks", true, set_networks},
    {"Interface", false, set_interface},
    {"IKE", false, set_ike},
    {"ESP", false, set_esp},
    {"MOBIKE", false, set_mobike},
    {"ReturnRoutability", false, set_return_routability},
    {"Cookies", false, set_cookies},
    {"IKELifetime", false, set_ike_lifetime},
    {"ESPLifetime", false, set_esp_lifetime},
    {"ESPBytes", false, set_esp_bytes},
    {"AuthLifetime", false, set_auth_lifetime},
    {"Redirect", false, set_redirect},
    {"EAPMethods", true, set_eap_methods},
    {"EAPOnly", false, set_eap_only},
    {"RequirePPK", false, set_require_ppk},
    {"SecondProof", false, set_second_proof},
    {"SendCRL", true, set_send_crl},
    {"SendOCSP", true, set_send_ocsp},
    {NULL, false, NULL},
};

/* --- [User NAME] --- */

static enum err set_user_psk(struct config_reader *r, const char *value)
{
    return parse_key(r, "PresharedKey", value, &r->user->psk);
}

static enum err set_user_password(struct config_reader *r, const char *value)
{
    if (check_secret(r, "holds a Password") != ERR_OK)
        return r->fault->code;
    if (value[0] == '\0' || secret_set(&r->user->password, span_text(value)) != ERR_OK)
        return config_refuse(r, ERR_LIMIT, "Password has 1 to %d octets", (int)SECRET_MAX);
    return ERR_OK;
}

const struct config_key config_user_keys[] = {
    {"PresharedKey", false, set_user_psk},
    {"Password", false, set_user_password},
    {NULL, false, NULL},
};

/* --- [PPK ID] --- */

static enum err set_ppk_key(struct config_reader *r, const char *value)
{
    return parse_key(r, "Key", value, &r->ppk->key);
}

const struct config_key config_ppk_keys[] = {
    {"Key", false, set_ppk_key},
    {NULL, false, NULL},
};
