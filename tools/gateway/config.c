/* Reads the gateway's INI file: which sections and keys there are, what each may hold, and what
 * must go together. Values become the core's own types at once, so that nothing after this file
 * meets text. The client's profile is another format with a reader of its own (client/profile.c).
 */
#include "tools/gateway/config.h"

#include <errno.h>
#include <ini_configobj.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "platform/privileges.h"

enum { FILE_LEN_MAX = 1 << 20, ITEM_LEN_MAX = 512 };

struct reader {
    const char *path;
    uint32_t line; /* of the value being read, 0: none */
    struct ini_cfgobj *ini;
    struct gateway_config *config;
    struct gateway_user *user; /* the [User] section being read */
    struct fault *fault;
};

struct key {
    const char *name;
    bool repeats; /* several lines add up */
    enum err (*set)(struct reader *r, const char *value);
};

PRINTF_LIKE(3, 4)
static enum err refuse(struct reader *r, enum err code, const char *format, ...)
{
    char text[sizeof(r->fault->text)];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (r->line == 0)
        return fault_set(r->fault, code, "%s: %s", r->path, text);
    return fault_set(r->fault, code, "%s:%u: %s", r->path, (unsigned)r->line, text);
}

/* A fault from below, kept with its hint but put behind FILE:LINE. */
static enum err refuse_below(struct reader *r, const char *what, const struct fault *below)
{
    enum err err = refuse(r, below->code, "%s: %s", what, below->text);

    if (below->hint[0] != '\0')
        fault_hint(r->fault, "%s", below->hint);
    return err;
}

/* Comma-separated items, each handed to `take` without the blanks around it. */
static enum err each_item(struct reader *r, const char *value,
                          enum err (*take)(struct reader *r, const char *item))
{
    char item[ITEM_LEN_MAX];

    for (;;) {
        value += strspn(value, " \t");
        size_t len = strcspn(value, ",");
        const char *end = value + len;

        while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
            len--;
        if (len == 0)
            return refuse(r, ERR_MALFORMED, "an empty item in a list");
        if (len >= sizeof(item))
            return refuse(r, ERR_LIMIT, "an item of more than %d characters", ITEM_LEN_MAX - 1);
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

static enum err file_read(struct reader *r, const char *path, struct file *ret)
{
    FILE *in = fopen(path, "rbe");
    if (in == NULL)
        return refuse(r, errno == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM, "%s: %s", path,
                      strerror(errno));
    struct file file = {.bytes = malloc(FILE_LEN_MAX), .len = 0};
    if (file.bytes == NULL) {
        fclose(in);
        return refuse(r, ERR_MEMORY, "%s: %s", path, err_text(ERR_MEMORY));
    }
    setvbuf(in, NULL, _IONBF, 0); /* no second copy of a key in stdio's buffer */
    file.len = fread(file.bytes, 1, FILE_LEN_MAX, in);
    bool whole = ferror(in) == 0 && file.len < FILE_LEN_MAX;
    fclose(in);
    if (!whole) {
        file_wipe(&file);
        return refuse(r, ERR_LIMIT, "%s: cannot be read, or is longer than %d octets", path,
                      FILE_LEN_MAX - 1);
    }
    *ret = file;
    return ERR_OK;
}

/* --- [Gateway] --- */

static enum err take_listen(struct reader *r, const char *item)
{
    struct gateway_config *c = r->config;

    if (c->listen_count == GATEWAY_LISTEN_MAX)
        return refuse(r, ERR_LIMIT, "more than %d addresses to listen on", GATEWAY_LISTEN_MAX);
    if (ip_parse(item, &c->listen[c->listen_count]) != ERR_OK)
        return refuse(r, ERR_MALFORMED, "\"%s\" is not an address", item);
    c->listen_count++;
    return ERR_OK;
}

static enum err set_listen(struct reader *r, const char *value)
{
    return each_item(r, value, take_listen);
}

static enum err parse_port(struct reader *r, const char *value, uint16_t *ret)
{
    size_t digits = strspn(value, "0123456789");
    unsigned long port = digits > 0 && digits <= 5 ? strtoul(value, NULL, 10) : 0;

    if (value[digits] != '\0' || port == 0 || port > UINT16_MAX)
        return refuse(r, ERR_MALFORMED, "\"%s\" is not a port (1 to 65535)", value);
    *ret = (uint16_t)port;
    return ERR_OK;
}

static enum err set_port(struct reader *r, const char *value)
{
    return parse_port(r, value, &r->config->port);
}

static enum err set_nat_port(struct reader *r, const char *value)
{
    return parse_port(r, value, &r->config->nat_port);
}

static enum err set_identity(struct reader *r, const char *value)
{
    if (identity_parse(value, &r->config->identity) != ERR_OK)
        return refuse(r, ERR_MALFORMED, "\"%s\" is not an identity", value);
    return ERR_OK;
}

static enum err take_certificate(struct reader *r, const char *item)
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
        return refuse(r, ERR_LIMIT, "a chain of more than %d certificates", CERTIFICATES_MAX);
    }
    for (size_t i = 0; i < more.count; i++)
        chain->items[chain->count++] = more.items[i];
    return ERR_OK;
}

static enum err set_certificate(struct reader *r, const char *value)
{
    return each_item(r, value, take_certificate);
}

static enum err set_private_key(struct reader *r, const char *value)
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

static enum err take_ca(struct reader *r, const char *item)
{
    struct fault below = {.code = ERR_OK};
    struct file file = {0};
    size_t added = 0;

    if (r->config->trust == NULL && trust_store_new(&r->config->trust) != ERR_OK)
        return refuse(r, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    enum err err = file_read(r, item, &file);
    if (err != ERR_OK)
        return err;
    err = trust_store_add_pem(r->config->trust, span_make(file.bytes, file.len), false, &added,
                              &below);
    file_wipe(&file);
    if (err != ERR_OK)
        return refuse_below(r, item, &below);
    return added > 0 ? ERR_OK : refuse(r, ERR_MALFORMED, "%s: no certificate in it", item);
}

static enum err set_ca(struct reader *r, const char *value)
{
    return each_item(r, value, take_ca);
}

/* Who can read the configuration can be any of its users. */
static enum err parse_psk(struct reader *r, const char *value, struct secret *ret)
{
    struct fault below = {.code = ERR_OK};

    if (privileges_check_secret_file(r->path, &below) != ERR_OK)
        return refuse_below(r, "holds a PresharedKey", &below);
    if (value[0] == '\0')
        return refuse(r, ERR_MALFORMED, "the PresharedKey is empty");
    if (secret_set(ret, span_text(value)) != ERR_OK)
        return refuse(r, ERR_LIMIT, "a PresharedKey of more than %d octets", SECRET_MAX);
    return ERR_OK;
}

static enum err set_psk(struct reader *r, const char *value)
{
    return parse_psk(r, value, &r->config->psk);
}

static enum err take_pool(struct reader *r, const char *item)
{
    struct gateway_config *c = r->config;
    struct pool *trial = NULL;

    if (c->pool_count == POOL_PREFIXES_MAX)
        return refuse(r, ERR_LIMIT, "more than %d pools", POOL_PREFIXES_MAX);
    if (prefix_parse(item, &c->pools[c->pool_count]) != ERR_OK)
        return refuse(r, ERR_MALFORMED, "\"%s\" is not a prefix such as 10.7.0.0/24", item);
    c->pool_count++;
    switch (pool_new(c->pools, c->pool_count, &trial)) {
    case ERR_OK:
        pool_free(trial);
        return ERR_OK;
    case ERR_LIMIT:
        return refuse(r, ERR_LIMIT, "%s leaves no address for a client", item);
    case ERR_MALFORMED:
        return refuse(r, ERR_MALFORMED, "%s overlaps another pool", item);
    default:
        return refuse(r, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    }
}

static enum err set_pool(struct reader *r, const char *value)
{
    return each_item(r, value, take_pool);
}

static enum err take_dns(struct reader *r, const char *item)
{
    struct gateway_config *c = r->config;

    if (c->dns_count == CP_DNS_MAX)
        return refuse(r, ERR_LIMIT, "more than %d DNS servers", CP_DNS_MAX);
    if (ip_parse(item, &c->dns[c->dns_count]) != ERR_OK)
        return refuse(r, ERR_MALFORMED, "\"%s\" is not an address", item);
    c->dns_count++;
    return ERR_OK;
}

static enum err set_dns(struct reader *r, const char *value)
{
    return each_item(r, value, take_dns);
}

static enum err take_network(struct reader *r, const char *item)
{
    struct prefix prefix;

    if (prefix_parse(item, &prefix) != ERR_OK)
        return refuse(r, ERR_MALFORMED, "\"%s\" is not a prefix such as 10.9.0.0/24", item);
    prefix = prefix_network(&prefix);
    struct selector selector = selector_from_prefix(&prefix);
    if (selector_list_add(&r->config->networks, &selector) != ERR_OK)
        return refuse(r, ERR_LIMIT, "more than %d networks", SELECTORS_MAX);
    return ERR_OK;
}

static enum err set_networks(struct reader *r, const char *value)
{
    return each_item(r, value, take_network);
}

static enum err set_interface(struct reader *r, const char *value)
{
    if (value[0] == '\0' || strlen(value) >= TUN_NAME_MAX || strpbrk(value, "/ \t") != NULL)
        return refuse(r, ERR_MALFORMED, "\"%s\" is no interface name (1 to %d characters)", value,
                      TUN_NAME_MAX - 1);
    memcpy(r->config->interface, value, strlen(value) + 1);
    return ERR_OK;
}

static enum err parse_proposals(struct reader *r, const char *value, uint8_t protocol,
                                struct proposal_list *ret)
{
    struct fault below = {.code = ERR_OK};

    if (proposal_list_from_text(value, protocol, ret, &below) != ERR_OK)
        return refuse_below(r, protocol == PROTOCOL_IKE ? "IKE" : "ESP", &below);
    return ERR_OK;
}

static enum err set_ike(struct reader *r, const char *value)
{
    return parse_proposals(r, value, PROTOCOL_IKE, &r->config->ike);
}

static enum err set_esp(struct reader *r, const char *value)
{
    return parse_proposals(r, value, PROTOCOL_ESP, &r->config->esp);
}

static enum err set_mobike(struct reader *r, const char *value)
{
    r->config->mobike = strcmp(value, "yes") == 0;
    if (!r->config->mobike && strcmp(value, "no") != 0)
        return refuse(r, ERR_MALFORMED, "MOBIKE is yes or no, not \"%s\"", value);
    return ERR_OK;
}

static enum err set_cookies(struct reader *r, const char *value)
{
    if (strcmp(value, "auto") == 0)
        r->config->cookies = GATEWAY_COOKIES_AUTO;
    else if (strcmp(value, "always") == 0)
        r->config->cookies = GATEWAY_COOKIES_ALWAYS;
    else if (strcmp(value, "off") == 0)
        r->config->cookies = GATEWAY_COOKIES_OFF;
    else
        return refuse(r, ERR_MALFORMED, "Cookies is auto, always or off, not \"%s\"", value);
    return ERR_OK;
}

static const struct key gateway_keys[] = {
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
    {"Cookies", false, set_cookies},
    {NULL, false, NULL},
};

/* --- [User NAME] --- */

static enum err set_user_psk(struct reader *r, const char *value)
{
    return parse_psk(r, value, &r->user->psk);
}

static enum err refuse_password(struct reader *r, const char *value)
{
    (void)value;
    enum err err = refuse(r, ERR_UNSUPPORTED, "Password needs EAP, which is not implemented yet");

    fault_hint(r->fault, "give the user a PresharedKey instead");
    return err;
}

static const struct key user_keys[] = {
    {"PresharedKey", false, set_user_psk},
    {"Password", false, refuse_password},
    {NULL, false, NULL},
};

/* --- the file --- */

/* All values of one key, in the file's order. */
static enum err read_key(struct reader *r, const char *section, const char *name,
                         const struct key *keys)
{
    struct value_obj *value = NULL;
    int mode = INI_GET_FIRST_VALUE;
    bool first = true, known_section = keys->name != NULL;

    while (keys->name != NULL && strcmp(keys->name, name) != 0)
        keys++;
    while (ini_get_config_valueobj(section, name, r->ini, mode, &value) == 0 && value != NULL) {
        int error = 0;

        value_get_line(value, &r->line);
        const char *text = ini_get_const_string_config_value(value, &error);
        if (!known_section)
            return refuse(r, ERR_MALFORMED, "no section is called [%s]", section);
        if (keys->name == NULL)
            return refuse(r, ERR_MALFORMED, "[%s] has no key \"%s\"", section, name);
        if (!first && !keys->repeats)
            return refuse(r, ERR_MALFORMED, "%s is given twice", name);
        if (text == NULL)
            return refuse(r, ERR_MALFORMED, "%s has a value that cannot be read", name);
        enum err err = keys->set(r, text);
        if (err != ERR_OK)
            return err;
        first = false;
        mode = INI_GET_NEXT_VALUE;
    }
    r->line = 0;
    return ERR_OK;
}

static enum err read_section(struct reader *r, const char *section, const struct key *keys)
{
    int count = 0, error = 0;
    char **names = ini_get_attribute_list(r->ini, section, &count, &error);
    enum err err = ERR_OK;

    if (names == NULL)
        return refuse(r, ERR_MALFORMED, "[%s] cannot be read", section);
    for (int i = 0; i < count && err == ERR_OK; i++) {
        bool seen = false; /* a repeated key is listed once for each line */

        for (int j = 0; j < i && !seen; j++)
            seen = strcmp(names[i], names[j]) == 0;
        if (!seen)
            err = read_key(r, section, names[i], keys);
    }
    ini_free_attribute_list(names);
    return err;
}

static enum err read_user(struct reader *r, const char *section, const char *name)
{
    struct gateway_user *user = calloc(1, sizeof(*user));
    if (user == NULL)
        return refuse(r, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    user->next = r->config->users;
    r->config->users = user;
    r->user = user;
    name += strspn(name, " \t");
    if (identity_parse(name, &user->identity) != ERR_OK)
        return refuse(r, ERR_MALFORMED, "[%s]: \"%s\" is not an identity", section, name);
    enum err err = read_section(r, section, user_keys);
    if (err != ERR_OK)
        return err;
    if (user->psk.len == 0)
        return refuse(r, ERR_MALFORMED, "[%s] has no PresharedKey", section);
    return ERR_OK;
}

static enum err read_sections(struct reader *r)
{
    int count = 0, error = 0;
    char **sections = ini_get_section_list(r->ini, &count, &error);
    enum err err = ERR_OK;
    static const struct key no_keys[] = {{NULL, false, NULL}};

    if (sections == NULL)
        return refuse(r, ERR_MALFORMED, "no section in it");
    for (int i = 0; i < count && err == ERR_OK; i++) {
        if (strcmp(sections[i], "Gateway") == 0)
            err = read_section(r, sections[i], gateway_keys);
        else if (strncmp(sections[i], "User ", 5) == 0)
            err = read_user(r, sections[i], sections[i] + 5);
        else if ((err = read_section(r, sections[i], no_keys)) == ERR_OK) /* it holds no key */
            err = refuse(r, ERR_MALFORMED, "no section is called [%s]", sections[i]);
    }
    ini_free_section_list(sections);
    return err;
}

/* libini-config says "Error (5) on line 15: Equal sign is missing." */
static enum err syntax_fault(struct reader *r)
{
    char **errors = NULL;
    const char *text = "not an INI file";

    if (ini_config_error_count(r->ini) > 0)
        (void)ini_config_get_errors(r->ini, &errors);
    const char *at = errors == NULL ? NULL : strstr(errors[0], " on line ");
    if (at != NULL) {
        char *end = NULL;

        r->line = (uint32_t)strtoul(at + strlen(" on line "), &end, 10);
        text = *end == ':' ? end + 2 : errors[0];
    }
    enum err err = refuse(r, ERR_MALFORMED, "%s", text);
    if (errors != NULL)
        ini_config_free_errors(errors);
    return err;
}

static enum err parse_file(struct reader *r)
{
    struct ini_cfgfile *file = NULL;
    int opened = ini_config_file_open(r->path, INI_META_NONE, &file);

    if (opened != 0)
        return refuse(r, opened == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM, "%s", strerror(opened));
    int parsed =
        ini_config_parse(file, INI_STOP_ON_ANY, INI_MV1S_ALLOW | INI_MV2S_ALLOW | INI_MS_MERGE,
                         INI_PARSE_NOWRAP | INI_PARSE_NO_C_COMMENTS, r->ini);
    enum err err = parsed == 0 ? read_sections(r) : syntax_fault(r);
    ini_config_file_destroy(file);
    return err;
}

/* What the keys must be together. */
static enum err check_whole(struct reader *r)
{
    struct gateway_config *c = r->config;
    bool by_certificate = c->chain.count > 0;

    r->line = 0;
    if (c->pool_count == 0)
        return refuse(r, ERR_MALFORMED, "[Gateway] needs Pool=");
    if (by_certificate != (c->key != NULL))
        return refuse(r, ERR_MALFORMED, "Certificate and PrivateKey go together");
    if (by_certificate && !private_key_matches(c->key, certificate_key(c->chain.items[0])))
        return refuse(r, ERR_MALFORMED, "the first Certificate does not belong to PrivateKey");
    if (c->psk.len == 0 && c->users == NULL && c->trust == NULL)
        return refuse(r, ERR_MALFORMED, "clients need CA=, PresharedKey= or a [User] section");
    if (!by_certificate && c->psk.len == 0 && c->users == NULL)
        return refuse(r, ERR_MALFORMED, "the gateway needs a Certificate or a PresharedKey");
    if (c->identity.type == IDENTITY_NONE) {
        if (!by_certificate)
            return refuse(r, ERR_MALFORMED, "[Gateway] needs Identity=");
        certificate_default_identity(c->chain.items[0], &c->identity);
    }
    /* Only a warning: clients are tested against gateways that are not who they say. */
    if (by_certificate && !certificate_proves(c->chain.items[0], &c->identity)) {
        char names[IDENTITY_TEXT_MAX];
        log_warn("%s: the certificate proves %s, not the gateway's identity", r->path,
                 certificate_names(c->chain.items[0], names));
    }
    return ERR_OK;
}

/* Where no networks are named, any address is served. */
static void serve_everything(struct gateway_config *c)
{
    static const struct prefix everything[] = {{{IP_V4, {0}}, 0}, {{IP_V6, {0}}, 0}};

    for (size_t i = 0; i < 2; i++) {
        struct selector all = selector_from_prefix(&everything[i]);
        enum err added = selector_list_add(&c->networks, &all);
        ASSERT(added == ERR_OK);
    }
}

enum err gateway_config_load(const char *path, struct gateway_config *c, struct fault *f)
{
    struct reader r = {.path = path, .config = c, .fault = f};

    *c = (struct gateway_config){.port = IKE_PORT, .nat_port = IKE_NAT_PORT, .mobike = true};
    proposal_list_default(PROTOCOL_IKE, &c->ike);
    proposal_list_default(PROTOCOL_ESP, &c->esp);
    if (ini_config_create(&r.ini) != 0)
        return refuse(&r, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    enum err err = parse_file(&r);
    ini_config_destroy(r.ini);
    if (err == ERR_OK)
        err = check_whole(&r);
    if (err == ERR_OK && c->networks.count == 0)
        serve_everything(c);
    return err;
}

void gateway_config_wipe(struct gateway_config *c)
{
    certificate_list_wipe(&c->chain);
    private_key_free(c->key);
    trust_store_free(c->trust);
    while (c->users != NULL) {
        struct gateway_user *user = c->users;
        c->users = user->next;
        wipe(user, sizeof(*user));
        free(user);
    }
    wipe(c, sizeof(*c));
}
