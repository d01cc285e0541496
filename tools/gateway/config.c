/* Reads the gateway's INI file: sections, repeated keys, the lines that faults name, and what must
 * go together. The single keys are config_keys.c's; the client's profile is another format with a
 * reader of its own (client/profile.c). */
#include "tools/gateway/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "tools/gateway/config_keys.h"

enum err config_refuse(struct config_reader *r, enum err code, const char *format, ...)
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

/* All values of one key, in the file's order. */
static enum err read_key(struct config_reader *r, const char *section, const char *name,
                         const struct config_key *keys)
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
            return config_refuse(r, ERR_MALFORMED, "no section is called [%s]", section);
        if (keys->name == NULL)
            return config_refuse(r, ERR_MALFORMED, "[%s] has no key \"%s\"", section, name);
        if (!first && !keys->repeats)
            return config_refuse(r, ERR_MALFORMED, "%s is given twice", name);
        if (text == NULL)
            return config_refuse(r, ERR_MALFORMED, "%s has a value that cannot be read", name);
        enum err err = keys->set(r, text);
        if (err != ERR_OK)
            return err;
        first = false;
        mode = INI_GET_NEXT_VALUE;
    }
    r->line = 0;
    return ERR_OK;
}

static enum err read_section(struct config_reader *r, const char *section,
                             const struct config_key *keys)
{
    int count = 0, error = 0;
    char **names = ini_get_attribute_list(r->ini, section, &count, &error);
    enum err err = ERR_OK;

    if (names == NULL)
        return config_refuse(r, ERR_MALFORMED, "[%s] cannot be read", section);
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

static enum err read_user(struct config_reader *r, const char *section, const char *name)
{
    struct gateway_user *user = calloc(1, sizeof(*user));
    if (user == NULL)
        return config_refuse(r, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    user->next = r->config->users;
    r->config->users = user;
    r->user = user;
    name += strspn(name, " \t");
    if (identity_parse(name, &user->identity) != ERR_OK || strlen(name) > EAP_NAME_MAX)
        return config_refuse(r, ERR_MALFORMED, "[%s]: \"%s\" is not an identity", section, name);
    memcpy(user->name, name, strlen(name) + 1);
    enum err err = read_section(r, section, config_user_keys);
    if (err != ERR_OK)
        return err;
    if (user->psk.len == 0 && user->password.len == 0)
        return config_refuse(r, ERR_MALFORMED, "[%s] has neither PresharedKey nor Password",
                             section);
    return ERR_OK;
}

static enum err read_ppk(struct config_reader *r, const char *section, const char *id)
{
    struct gateway_ppk *ppk = calloc(1, sizeof(*ppk));
    if (ppk == NULL)
        return config_refuse(r, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    ppk->next = r->config->ppks;
    r->config->ppks = ppk;
    r->ppk = ppk;
    id += strspn(id, " \t");
    if (id[0] == '\0' || strlen(id) > SESSION_PPK_ID_MAX)
        return config_refuse(r, ERR_MALFORMED, "[%s]: a PPK's name has 1 to %d octets", section,
                             (int)SESSION_PPK_ID_MAX);
    memcpy(ppk->id, id, strlen(id) + 1);
    enum err err = read_section(r, section, config_ppk_keys);
    if (err == ERR_OK && ppk->key.len == 0)
        err = config_refuse(r, ERR_MALFORMED, "[%s] has no Key", section);
    return err;
}

static enum err read_sections(struct config_reader *r)
{
    int count = 0, error = 0;
    char **sections = ini_get_section_list(r->ini, &count, &error);
    enum err err = ERR_OK;
    static const struct config_key no_keys[] = {{NULL, false, NULL}};

    if (sections == NULL)
        return config_refuse(r, ERR_MALFORMED, "no section in it");
    for (int i = 0; i < count && err == ERR_OK; i++) {
        if (strcmp(sections[i], "Gateway") == 0)
            err = read_section(r, sections[i], config_gateway_keys);
        else if (strncmp(sections[i], "User ", 5) == 0)
            err = read_user(r, sections[i], sections[i] + 5);
        else if (strncmp(sections[i], "PPK ", 4) == 0)
            err = read_ppk(r, sections[i], sections[i] + 4);
        else if ((err = read_section(r, sections[i], no_keys)) == ERR_OK) /* it holds no key */
            err = config_refuse(r, ERR_MALFORMED, "no section is called [%s]", sections[i]);
    }
    ini_free_section_list(sections);
    return err;
}

/* libini-config says "Error (5) on line 15: Equal sign is missing." */
static enum err syntax_fault(struct config_reader *r)
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
    enum err err = config_refuse(r, ERR_MALFORMED, "%s", text);
    if (errors != NULL)
        ini_config_free_errors(errors);
    return err;
}

static enum err parse_file(struct config_reader *r)
{
    struct ini_cfgfile *file = NULL;
    int opened = ini_config_file_open(r->path, INI_META_NONE, &file);

    if (opened != 0)
        return config_refuse(r, opened == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM, "%s",
                             strerror(opened));
    int parsed =
        ini_config_parse(file, INI_STOP_ON_ANY, INI_MV1S_ALLOW | INI_MV2S_ALLOW | INI_MS_MERGE,
                         INI_PARSE_NOWRAP | INI_PARSE_NO_C_COMMENTS, r->ini);
    enum err err = parsed == 0 ? read_sections(r) : syntax_fault(r);
    ini_config_file_destroy(file);
    return err;
}

/* What the keys must be together. */
static enum err check_whole(struct config_reader *r)
{
    struct gateway_config *c = r->config;
    bool by_certificate = c->chain.count > 0;

    r->line = 0;
    if (c->pool_count == 0)
        return config_refuse(r, ERR_MALFORMED, "[Gateway] needs Pool=");
    if (by_certificate != (c->key != NULL))
        return config_refuse(r, ERR_MALFORMED, "Certificate and PrivateKey go together");
    if (by_certificate && !private_key_matches(c->key, certificate_key(c->chain.items[0])))
        return config_refuse(r, ERR_MALFORMED,
                             "the first Certificate does not belong to PrivateKey");
    if (c->psk.len == 0 && c->users == NULL && c->trust == NULL)
        return config_refuse(r, ERR_MALFORMED,
                             "clients need CA=, PresharedKey= or a [User] section");
    if (!by_certificate && c->psk.len == 0 && c->users == NULL)
        return config_refuse(r, ERR_MALFORMED, "the gateway needs a Certificate or a PresharedKey");
    for (const struct gateway_user *u = c->users; u != NULL && !by_certificate; u = u->next) {
        if (u->password.len > 0) /* RFC 7296 2.16 */
            return config_refuse(r, ERR_MALFORMED,
                                 "[User %s] has a Password, and EAP needs a Certificate", u->name);
    }
    if (memchr(c->eap_methods, EAP_TLS, c->eap_method_count) != NULL &&
        (!by_certificate || c->trust == NULL))
        return config_refuse(r, ERR_MALFORMED,
                             "EAPMethods has tls, which needs Certificate and CA");
    if (c->eap_only && (c->eap_method_count != 1 || c->eap_methods[0] != EAP_TLS))
        return config_refuse(r, ERR_MALFORMED, "EAPOnly = yes needs EAPMethods = tls");
    if (c->require_ppk && c->ppks == NULL)
        return config_refuse(r, ERR_MALFORMED, "RequirePPK = yes needs a [PPK] section");
    if (c->identity.type == IDENTITY_NONE) {
        if (!by_certificate)
            return config_refuse(r, ERR_MALFORMED, "[Gateway] needs Identity=");
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
    struct config_reader r = {.path = path, .config = c, .fault = f};

    *c = (struct gateway_config){.port = IKE_PORT, .nat_port = IKE_NAT_PORT, .mobike = true};
    proposal_list_default(PROTOCOL_IKE, &c->ike);
    proposal_list_default(PROTOCOL_ESP, &c->esp);
    if (ini_config_create(&r.ini) != 0)
        return config_refuse(&r, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    enum err err = parse_file(&r);
    ini_config_destroy(r.ini);
    if (err == ERR_OK)
        err = check_whole(&r);
    if (err == ERR_OK && c->networks.count == 0)
        serve_everything(c);
    if (c->eap_method_count == 0)
        c->eap_methods[c->eap_method_count++] = EAP_MSCHAPV2;
    return err;
}

void gateway_config_wipe(struct gateway_config *c)
{
    certificate_list_wipe(&c->chain);
    private_key_free(c->key);
    trust_store_free(c->trust);
    for (size_t i = 0; i < c->evidence.crl_count; i++)
        free((void *)(uintptr_t)c->evidence.crls[i].data);
    for (size_t i = 0; i < c->evidence.ocsp_count; i++)
        free((void *)(uintptr_t)c->evidence.ocsp[i].data);
    while (c->users != NULL) {
        struct gateway_user *user = c->users;
        c->users = user->next;
        wipe(user, sizeof(*user));
        free(user);
    }
    while (c->ppks != NULL) {
        struct gateway_ppk *ppk = c->ppks;
        c->ppks = ppk->next;
        wipe(ppk, sizeof(*ppk));
        free(ppk);
    }
    wipe(c, sizeof(*c));
}
