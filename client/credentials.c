/* Reading what a profile points to. Goes on after a fault, so that a person sees all of them; a
 * secret file that others can read is refused before it is opened. Our own key and certificate are
 * credentials_key.c's, and on a token credentials_token.c's. */
#include "client/credentials_internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/ask.h"
#include "client/profile_eap.h"
#include "client/profile_own.h"
#include "client/profile_user.h"
#include "platform/privileges.h"

enum { CA_FILE_MAX = 4 * 1024 * 1024, KEEPALIVE_AUTO_MS = 20000 };

bool loading_read(struct loading *l, unsigned line, const char *name, size_t max, bool secret,
                  struct file_bytes *ret)
{
    char path[PROFILE_PATH_MAX];
    struct fault f = {0};
    profile_file(l->p, name, path);
    enum err e = secret ? privileges_check_secret_file(path, &f) : ERR_OK;
    if (e == ERR_OK)
        e = file_read(path, max, ret, &f);
    if (e != ERR_OK)
        fault_list_add_fault(l->faults, line, &f);
    return e == ERR_OK;
}

void loading_fault(struct loading *l, unsigned line, const char *name, const struct fault *from)
{
    struct fault f = {0};
    (void)fault_about(&f, name, from);
    fault_list_add_fault(l->faults, line, &f);
}

void loading_secret_file(struct loading *l, unsigned line, const char *name,
                         enum err (*set)(struct secret *s, struct span text), struct secret *out)
{
    struct file_bytes bytes;
    if (!loading_read(l, line, name, KEY_FILE_MAX, true, &bytes))
        return;
    size_t len = bytes.len;
    while (len > 0 && (bytes.data[len - 1] == '\n' || bytes.data[len - 1] == '\r'))
        len--;
    enum err e = set(out, span_make(bytes.data, len));
    if (len == 0)
        fault_list_add(l->faults, line, "%s is empty", name);
    else if (e == ERR_LIMIT)
        fault_list_add(l->faults, line, "the key in %s is longer than %d octets", name,
                       (int)SECRET_MAX);
    else if (e != ERR_OK)
        fault_list_add(l->faults, line,
                       "the key in %s begins with 0x and goes on with something else than pairs of "
                       "hexadecimal digits",
                       name);
    file_bytes_wipe(&bytes);
}

/* A secret that the profile has, or names a file with. */
static void load_secret(struct loading *l, enum profile_key file_key, const char *file,
                        enum err (*set)(struct secret *s, struct span text),
                        const struct secret *given, struct secret *out)
{
    if (file[0] != '\0')
        loading_secret_file(l, l->p->lines[file_key], file, set, out);
    else
        *out = *given;
}

/* One key may serve both directions: whichever side of the profile has it. */
static void load_psk(struct loading *l)
{
    const struct profile *p = l->p;
    struct credentials *c = l->c;
    load_secret(l, KEY_LOCAL_PSK_FILE, p->psk_file, secret_set_shared_key, &p->psk, &c->psk);
    load_secret(l, KEY_GATEWAY_PSK_FILE, p->gateway_psk_file, secret_set_shared_key,
                &p->gateway_psk, &c->gateway_psk);
    if (c->psk.len == 0)
        c->psk = c->gateway_psk;
    if (c->gateway_psk.len == 0)
        c->gateway_psk = c->psk;
}

static void load_password(struct loading *l)
{
    const struct profile *p = l->p;
    const struct kept_secret kept = {.credential = "password",
                                     .credential_line = p->lines[KEY_LOCAL_AUTHENTICATION],
                                     .file = p->password_file,
                                     .file_line = p->lines[KEY_LOCAL_PASSWORD_FILE],
                                     .given = &p->password};
    unsigned line;
    (void)loading_kept_secret(l, &kept, &l->c->password, &line);
}

static void load_ppk(struct loading *l)
{
    const struct profile *p = l->p;
    struct secret *ppk = &l->c->ppk;
    enum profile_key key = p->ppk_file[0] != '\0' ? KEY_LOCAL_PPK_FILE : KEY_LOCAL_PPK;
    load_secret(l, key, p->ppk_file, secret_set_shared_key, &p->ppk, ppk);
    if (ppk->len > 0 && ppk->len < CREDENTIALS_PPK_MIN)
        fault_list_add(l->faults, p->lines[key],
                       "the PPK has %zu octets; it needs %d, and %d random ones are good", ppk->len,
                       (int)CREDENTIALS_PPK_MIN, (int)CREDENTIALS_PPK_GOOD);
}

bool credentials_lack_password(const struct profile *p, const struct credentials *c)
{
    return profile_eap_password(p) && c->password.len == 0;
}

enum err credentials_ask_password(const struct profile *p, struct credentials *c, struct fault *f)
{
    bool code = p->eap_method_count == 1 && p->eap_methods[0] == EAP_GTC;
    struct fault prompt = {0}; /* escapes what a terminal would obey */
    (void)fault_set(&prompt, ERR_OK, "%s of %s for %s", code ? "Code" : "Password", p->user_name,
                    p->name);
    enum err e = ask_secret(prompt.text, &c->password, f);
    c->password_asked = e == ERR_OK;
    if (e == ERR_NOT_FOUND)
        fault_hint(f, "set PasswordFile in [%s]", p->user_line != 0 ? "User" : "Local");
    return e;
}

/* The second proof; what EAP needs is loaded as for the first. */
static void load_user(struct loading *l)
{
    const struct profile *p = l->p;
    struct credentials *c = l->c;
    if (p->user_authentication == AUTHENTICATION_PSK)
        load_secret(l, KEY_USER_PSK_FILE, p->user_psk_file, secret_set_shared_key, &p->user_psk,
                    &c->user_psk);
    if (p->user_authentication == AUTHENTICATION_CERTIFICATE)
        loading_user_own(l);
    c->user_identity = p->user_identity;
    if (c->user_identity.type == IDENTITY_NONE && c->user_own.chain.count > 0)
        certificate_default_identity(c->user_own.chain.items[0], &c->user_identity);
}

static void load_ca(struct loading *l, enum profile_key key, const char *name,
                    struct trust_store *trust)
{
    bool system = strcmp(name, "system") == 0;
    unsigned line = l->p->lines[key] != 0 ? l->p->lines[key] : l->p->gateway_line;
    char path[PROFILE_PATH_MAX];
    struct file_bytes bytes;
    struct fault f = {0};
    profile_file(l->p, system ? CREDENTIALS_SYSTEM_CA : name, path);
    if (file_read(path, CA_FILE_MAX, &bytes, &f) != ERR_OK) {
        fault_list_add_fault(l->faults, line, &f);
        return;
    }
    size_t added = 0; /* may stay 0: all of them were there already */
    enum err e = trust_store_add_pem(trust, span_make(bytes.data, bytes.len), system, &added, &f);
    file_bytes_wipe(&bytes);
    if (e != ERR_OK)
        loading_fault(l, line, path, &f);
    else if (trust_store_count(trust) == 0)
        fault_list_add(l->faults, line, "%s holds no certificate", path);
}

static void load_trust(struct loading *l, enum profile_key key, const struct profile_list *cas,
                       struct trust_store **ret)
{
    if (trust_store_new(ret) != ERR_OK) {
        fault_list_add(l->faults, l->p->gateway_line, "out of memory");
        return;
    }
    for (size_t i = 0; i < cas->count; i++)
        load_ca(l, key, cas->items[i], *ret);
}

static const struct own_credentials *eap_own(const struct profile *p, const struct credentials *c)
{
    return profile_eap_second(p) ? &c->user_own : &c->own;
}

/* RFC 5216 5.2: without a name of its own, the user is called what the certificate says. */
static void name_user(struct loading *l)
{
    struct credentials *c = l->c;
    const struct certificate_list *chain = &eap_own(l->p, c)->chain;
    struct identity id;
    char text[IDENTITY_TEXT_MAX];
    memcpy(c->user_name, l->p->user_name, sizeof(c->user_name));
    if (c->user_name[0] != '\0' || chain->count == 0)
        return;
    certificate_default_identity(chain->items[0], &id);
    identity_format(&id, text);
    if (strlen(text) >= sizeof(c->user_name))
        fault_list_add(l->faults, profile_own_line(l->p, profile_eap_own(l->p)),
                       "the certificate's name is too long for EAP; set UserName");
    else
        memcpy(c->user_name, text, strlen(text) + 1);
}

static void load_eap(struct loading *l)
{
    const struct profile *p = l->p;
    if (profile_eap_password(p))
        load_password(l);
    if (profile_eap_certificate(p) && profile_eap_second(p))
        loading_user_own(l);
    else if (profile_eap_certificate(p))
        loading_own(l);
    if (profile_eap_tls(p) && p->eap_cas.count > 0)
        load_trust(l, KEY_LOCAL_EAP_CA, &p->eap_cas, &l->c->trust.eap);
    name_user(l);
}

static enum err load(const struct profile *p, int64_t wall_time, struct credentials **ret,
                     struct fault_list *faults, struct fault_list *notes)
{
    struct credentials *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        fault_list_add(faults, 1, "out of memory");
        return ERR_MEMORY;
    }
    struct loading l = {.p = p, .c = c, .wall_time = wall_time, .faults = faults, .notes = notes};
    if (p->authentication == AUTHENTICATION_PSK || p->gateway_authentication == AUTHENTICATION_PSK)
        load_psk(&l);
    if (p->authentication == AUTHENTICATION_CERTIFICATE)
        loading_own(&l);
    if (profile_uses_eap(p))
        load_eap(&l);
    load_user(&l);
    if (p->gateway_authentication != AUTHENTICATION_PSK) {
        load_trust(&l, KEY_GATEWAY_CA, &p->cas, &c->trust.gateway);
        if (c->trust.gateway != NULL)
            credentials_load_crls(p, c, faults);
    }
    if (p->ppk_identity[0] != '\0')
        load_ppk(&l);
    c->identity = p->identity;
    if (c->identity.type == IDENTITY_NONE && c->own.chain.count > 0)
        certificate_default_identity(c->own.chain.items[0], &c->identity);
    if (fault_list_any(faults)) {
        credentials_free(c);
        return ERR_MALFORMED;
    }
    *ret = c;
    return ERR_OK;
}

enum err credentials_load(const struct profile *p, int64_t wall_time, struct credentials **ret,
                          struct fault_list *faults)
{
    return load(p, wall_time, ret, faults, NULL);
}

enum err credentials_check(const struct profile *p, int64_t wall_time, struct credentials **ret,
                           struct fault_list *faults, struct fault_list *notes)
{
    return load(p, wall_time, ret, faults, notes);
}

void trust_stores_free(struct trust_stores *t)
{
    trust_store_free(t->gateway);
    trust_store_free(t->eap);
    *t = (struct trust_stores){.gateway = NULL};
}

static void free_own(struct own_credentials *o)
{
    private_key_free(o->key);
    token_free(o->token);
    certificate_list_wipe(&o->chain);
}

void credentials_free(struct credentials *c)
{
    if (c == NULL)
        return;
    free_own(&c->own);
    free_own(&c->user_own);
    trust_stores_free(&c->trust);
    wipe(c, sizeof(*c));
    free(c);
}

static int64_t wall_clock(void *ctx)
{
    (void)ctx;
    return (int64_t)time(NULL);
}

static void set_eap(const struct profile *p, const struct credentials *c,
                    struct session_config *ret)
{
    struct eap_config *eap = &ret->eap;
    const struct own_credentials *own = eap_own(p, c);
    memcpy(eap->methods, p->eap_methods, sizeof(eap->methods));
    eap->method_count = p->eap_method_count;
    memcpy(eap->inner, p->eap_inner, sizeof(eap->inner));
    eap->inner_count = p->eap_inner_count;
    eap->plain = p->eap_plain;
    memcpy(eap->name, c->user_name, sizeof(eap->name));
    memcpy(eap->outer, p->eap_identity, sizeof(eap->outer));
    eap->password = c->password;
    eap->key = own->key;
    eap->chain = &own->chain;
    eap->trust = c->trust.eap != NULL ? c->trust.eap : c->trust.gateway;
    eap->server = p->eap_server.type != IDENTITY_NONE ? p->eap_server : p->gateway_identity;
    eap->wall_time = wall_clock;
    ret->eap_once = c->password_asked;
}

static enum session_auth auth_of(enum profile_authentication a)
{
    switch (a) {
    case AUTHENTICATION_CERTIFICATE:
        return SESSION_AUTH_CERTIFICATE;
    case AUTHENTICATION_EAP:
        return SESSION_AUTH_EAP;
    case AUTHENTICATION_PSK:
    case AUTHENTICATION_UNSET:
        break;
    }
    return SESSION_AUTH_PSK;
}

void credentials_session_config(const struct profile *p, const struct credentials *c,
                                struct session_config *ret)
{
    session_config_default(ret);
    ret->role = SESSION_INITIATOR;
    ret->wall_time = wall_clock;
    ret->ike = p->ike;
    ret->esp = p->esp;
    ret->local_id = c->identity;
    ret->remote_id = p->gateway_identity;
    ret->send_remote_id = p->lines[KEY_GATEWAY_IDENTITY] != 0;
    ret->local_auth = auth_of(p->authentication);
    if (p->user_authentication != AUTHENTICATION_UNSET)
        ret->second = (struct session_second){.auth = auth_of(p->user_authentication),
                                              .id = c->user_identity,
                                              .psk = c->user_psk,
                                              .key = c->user_own.key,
                                              .chain = &c->user_own.chain};
    if (profile_uses_eap(p))
        set_eap(p, c, ret);
    if (c->ppk.len > 0) {
        ret->ppk.use = p->require_ppk ? SESSION_PPK_REQUIRED : SESSION_PPK_OPTIONAL;
        ret->ppk.key = c->ppk;
        memcpy(ret->ppk.id, p->ppk_identity, sizeof(ret->ppk.id));
    }
    ret->remote_auth = p->gateway_authentication == AUTHENTICATION_PSK ? SESSION_AUTH_PSK
                                                                       : SESSION_AUTH_CERTIFICATE;
    if (p->gateway_authentication == AUTHENTICATION_EAP)
        ret->remote_auth |= SESSION_AUTH_EAP;
    ret->local_psk = c->psk;
    ret->remote_psk = c->gateway_psk;
    ret->key = c->own.key;
    ret->chain = &c->own.chain;
    ret->trust = c->trust.gateway;
    ret->remote_selectors = p->routes;
    ret->request_ipv4 = p->request_ipv4;
    ret->request_ipv6 = p->request_ipv6;
    ret->fixed_ipv4 = p->fixed_ipv4;
    ret->fixed_ipv6 = p->fixed_ipv6;
    ret->request_dns = true; /* DNS = off leaves the system alone; status still tells */
    ret->keepalive_learns = p->keepalive_s == PROFILE_KEEPALIVE_AUTO;
    ret->keepalive_ms = p->keepalive_s == PROFILE_KEEPALIVE_AUTO ? KEEPALIVE_AUTO_MS
                                                                 : (uint32_t)p->keepalive_s * 1000;
    ret->mobike = p->mobike;
    ret->dpd_ms = p->dpd_s * 1000;
    ret->hold_ms = p->hold_down_s > 0 ? p->hold_down_s * 1000 : 1;
    ret->retransmit.first_ms = p->retransmit_first_ms;
    ret->retransmit.max_ms = p->retransmit_max_ms;
    ret->retransmit.tries = p->retransmit_tries;
    ret->lifetimes = (struct session_lifetimes){.ike_ms = p->ike_lifetime_s * 1000,
                                                .child_ms = p->esp_lifetime_s * 1000,
                                                .child_bytes = p->esp_bytes};
}
