/* The peer's state: what RFC 3748 says of all methods. */
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/crypto/printable.h"
#include "common/eap/tls_layer.h"

enum {
    ROUNDS_MAX = 64,      /* requests of one conversation; five are needed without TLS, */
    ROUNDS_TLS_MAX = 256, /* and with it as many as there are pieces */
    TOLD_MAX = 400        /* octets of a server's words */
};

static const struct eap_method *const methods[] = {&eap_mschapv2, &eap_tls, &eap_ttls,
                                                   &eap_peap,     &eap_gtc, &eap_md5};

static const struct eap_method *find_method(uint8_t type)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (methods[i]->type == type)
            return methods[i];
    }
    return NULL;
}

uint8_t eap_type_from_text(const char *text)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(methods[i]->text, text) == 0)
            return methods[i]->type;
    }
    return 0;
}

static bool has_trait(uint8_t type, enum method_trait trait)
{
    const struct eap_method *m = find_method(type);
    return m != NULL && (m->traits & trait) != 0;
}

bool eap_type_has_tls(uint8_t type)
{
    return has_trait(type, METHOD_TLS);
}

bool eap_type_has_password(uint8_t type)
{
    return has_trait(type, METHOD_PASSWORD);
}

const char *eap_type_name(uint8_t type)
{
    static const struct {
        uint8_t type;
        const char *name;
    } names[] = {
        {EAP_IDENTITY, "EAP-Identity"},
        {EAP_NOTIFICATION, "EAP-Notification"},
        {EAP_NAK, "EAP-Nak"},
        {EAP_MD5, "EAP-MD5"},
        {5, "EAP-OTP"},
        {EAP_GTC, "EAP-GTC"},
        {EAP_TLS, "EAP-TLS"},
        {18, "EAP-SIM"},
        {EAP_TTLS, "EAP-TTLS"},
        {23, "EAP-AKA"},
        {EAP_PEAP, "EAP-PEAP"},
        {EAP_MSCHAPV2, "EAP-MSCHAPv2"},
        {43, "EAP-FAST"},
        {50, "EAP-AKA'"},
        {52, "EAP-PWD"},
        {55, "EAP-TEAP"},
        {EAP_EXPANDED, "a vendor's EAP method"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].type == type)
            return names[i].name;
    }
    return NULL;
}

/* --- what is configured --- */

static bool inner_usable(const struct eap_config *c, uint8_t type)
{
    for (size_t i = 0; i < c->inner_count; i++) {
        if (find_method(c->inner[i]) == NULL || eap_type_has_tls(c->inner[i]))
            return false;
    }
    return c->inner_count > 0 || (type == EAP_TTLS && c->plain != EAP_PLAIN_NONE);
}

static bool method_usable(const struct eap_config *c, uint8_t type)
{
    if (find_method(type) == NULL || (eap_type_has_password(type) && c->password.len == 0))
        return false;
    if (eap_type_has_tls(type) && (c->trust == NULL || c->wall_time == NULL))
        return false;
    if (type == EAP_TLS)
        return c->key != NULL && c->chain != NULL && c->chain->count > 0;
    return !eap_type_has_tls(type) || inner_usable(c, type);
}

bool eap_config_usable(const struct eap_config *c)
{
    for (size_t i = 0; i < c->method_count; i++) {
        if (!method_usable(c, c->methods[i]))
            return false;
    }
    return c->method_count > 0 && c->name[0] != '\0';
}

bool eap_config_proves_server(const struct eap_config *c)
{
    for (size_t i = 0; i < c->method_count; i++) {
        if (!eap_type_has_tls(c->methods[i]))
            return false;
    }
    return c->server.type != IDENTITY_NONE;
}

/* --- making and freeing --- */

enum err eap_peer_new(const struct eap_config *c, const struct random_source *random,
                      struct eap_peer **ret)
{
    struct eap_peer *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return ERR_MEMORY;
    p->config = *c;
    p->random = *random;
    *ret = p;
    return ERR_OK;
}

void eap_peer_free(struct eap_peer *p)
{
    if (p == NULL)
        return;
    eap_peer_free(p->inner);
    tls_layer_free(p->tls);
    wipe(p, sizeof(*p));
    free(p);
}

void eap_peer_set_trust(struct eap_peer *p, const struct trust_store *trust)
{
    p->config.trust = trust;
    if (p->tls != NULL && p->tls->tls != NULL)
        tls_set_trust(p->tls->tls, trust);
}

struct span eap_name(const struct eap_peer *p)
{
    return span_text(p->config.name);
}

struct span eap_peer_msk(const struct eap_peer *p)
{
    return secret_span(&p->msk);
}

bool eap_peer_tried(const struct eap_peer *p)
{
    return p->tried;
}

bool eap_peer_told_password(const struct eap_peer *p)
{
    return p->told_password;
}

void eap_tell(const char *what, struct span text)
{
    char printable[TOLD_MAX];
    struct text_builder t;
    if (text.len == 0)
        return;
    printable_begin(&t, printable, sizeof(printable));
    printable_add(&t, text, "");
    log_info("%s: %s", what, printable_finish(&t));
}

/* --- words --- */

/* What is said to who asks for a name, outside and inside. */
static const char *said_name(const struct eap_peer *p)
{
    return p->config.outer[0] != '\0' && !p->inside ? p->config.outer : p->config.name;
}

/* What there is to compare with what the server has for this user. */
static void hint_sent(const struct eap_peer *p, struct fault *ret)
{
    char subject[IDENTITY_TEXT_MAX], issuer[IDENTITY_TEXT_MAX];
    if (p->method->type != EAP_TLS) {
        fault_hint(ret,
                   "sent user name \"%.100s\" and proof by %s; compare with what the gateway "
                   "has for this user",
                   p->config.name, eap_type_name(p->method->type));
        return;
    }
    const struct certificate *shown = p->config.chain->items[0];
    fault_hint(ret,
               "sent user name \"%.60s\" and showed certificate \"%.100s\" of issuer \"%.100s\"; "
               "does the EAP server trust that, and know this user?",
               p->config.name, certificate_subject(shown, subject),
               certificate_issuer(shown, issuer));
}

static void add_ours(const struct eap_peer *p, struct text_builder *t)
{
    for (size_t i = 0; i < p->config.method_count; i++)
        text_add(t, "%s%s", i > 0 ? ", " : "", eap_type_name(p->config.methods[i]));
}

static void add_type(uint8_t type, struct text_builder *t)
{
    const char *name = eap_type_name(type);
    if (name != NULL)
        text_add(t, "%s", name);
    else
        text_add(t, "EAP type %u", type);
}

void eap_peer_refused(const struct eap_peer *p, struct fault *ret)
{
    char text[200];
    struct text_builder t;
    text_begin(&t, text, sizeof(text));
    if (p->refusal.code != ERR_OK) {
        *ret = p->refusal;
    } else if (p->inner != NULL && (p->inner->method != NULL || p->inner->unwanted != 0)) {
        eap_peer_refused(p->inner, ret);
    } else if (p->tried || (p->method != NULL && p->method->type == EAP_TLS)) {
        (void)fault_set(ret, ERR_REFUSED, "the gateway refused our credentials (EAP Failure)");
        hint_sent(p, ret);
    } else if (p->method != NULL && p->inner == NULL) {
        (void)fault_set(ret, ERR_REFUSED,
                        "the EAP server ended %s before anything was said inside (EAP Failure)",
                        eap_type_name(p->method->type));
        fault_hint(ret,
                   "sent user name \"%.100s\"; %sTLS 1.2 and 1.3 are spoken here, and the EAP "
                   "server's log may say more",
                   said_name(p), p->method->type == EAP_PEAP ? "PEAPv0, " : "");
    } else if (p->method == NULL && p->unwanted != 0) {
        add_type(p->unwanted, &t);
        text_add(&t, "; we offer ");
        add_ours(p, &t);
        (void)fault_set(ret, ERR_REFUSED, "the gateway wants %s", text);
        fault_hint(ret, "set %s in [Local] to what the gateway has for user \"%.100s\"",
                   p->inside ? "EAPInner" : "EAPMethods", p->config.name);
    } else {
        (void)fault_set(ret, ERR_REFUSED, "the gateway refused us before any proof (EAP Failure)");
        fault_hint(ret, "sent user name \"%.100s\"; does the gateway know this user?",
                   said_name(p->inner != NULL ? p->inner : p));
    }
}

/* --- answers --- */

static bool wanted(const struct eap_peer *p, uint8_t type)
{
    return memchr(p->config.methods, type, p->config.method_count) != NULL;
}

/* RFC 3748 5.3: what we would take instead, best first. */
static void nak(struct eap_peer *p, uint8_t type, struct wire_writer *w)
{
    const char *name = eap_type_name(type);
    log_info("the gateway offers %s (type %u), which is not among %s; asking for another",
             name != NULL ? name : "an EAP method", type, p->inside ? "EAPInner" : "EAPMethods");
    p->unwanted = type;
    if (type != EAP_EXPANDED) {
        wire_write_u8(w, EAP_NAK);
        wire_write_span(w, span_make(p->config.methods, p->config.method_count));
        return;
    }
    wire_write_u8(w, EAP_EXPANDED);
    wire_write_u32(w, 0); /* vendor: IETF, 24 bits; and the first octet of the type, Nak */
    wire_write_zeros(w, 2);
    wire_write_u8(w, EAP_NAK);
    for (size_t i = 0; i < p->config.method_count; i++) {
        wire_write_u8(w, EAP_EXPANDED);
        wire_write_zeros(w, 6);
        wire_write_u8(w, p->config.methods[i]);
    }
}

static enum err ask_method(struct eap_peer *p, uint8_t type, uint8_t identifier, struct span data,
                           struct wire_writer *w, struct fault *f)
{
    if (p->method != NULL && p->method->type != type) /* RFC 3748 2.1: no sequence of methods */
        return fault_set(f, ERR_MALFORMED,
                         "the gateway changes from %s to EAP type %u in mid-conversation",
                         eap_type_name(p->method->type), type);
    /* The same password again would not be better; what has TLS knows itself what may follow. */
    if (p->done && !eap_type_has_tls(type))
        return fault_set(f, ERR_REFUSED, "the gateway goes on asking by %s after its end",
                         eap_type_name(type));
    if (p->method == NULL && !wanted(p, type)) {
        nak(p, type, w);
        return ERR_OK;
    }
    if (p->method == NULL)
        log_debug("the gateway asks by %s", eap_type_name(type));
    p->method = find_method(type);
    p->tried |= (p->method->traits & METHOD_TLS) == 0;
    wire_write_u8(w, type);
    return p->method->input(p, identifier, data, w, f);
}

/* The type's data and what it is answered with, type included. */
static enum err answer(struct eap_peer *p, uint8_t type, uint8_t identifier, struct span data,
                       struct wire_writer *w, struct fault *f)
{
    switch (type) {
    case EAP_IDENTITY: /* RFC 3748 5.1: a prompt; the user's name */
        if (p->method != NULL)
            return fault_set(f, ERR_MALFORMED,
                             "the gateway asks who we are in the midst of a method");
        eap_tell("the gateway asks who we are", data);
        wire_write_u8(w, EAP_IDENTITY);
        wire_write_span(w, span_text(said_name(p)));
        return ERR_OK;
    case EAP_NOTIFICATION: /* 5.2 */
        eap_tell("the gateway says", data);
        wire_write_u8(w, EAP_NOTIFICATION);
        return ERR_OK;
    case 0:
    case EAP_NAK:
        return fault_set(f, ERR_MALFORMED, "the gateway's EAP request is of type %u", type);
    default:
        return ask_method(p, type, identifier, data, w, f);
    }
}

static enum err respond(struct eap_peer *p, uint8_t identifier, struct span rest, struct fault *f)
{
    struct wire_reader r;
    struct wire_writer w;
    wire_reader_init(&r, rest);
    uint8_t type = wire_read_u8(&r);
    struct span data = wire_read_rest(&r);
    if (wire_read_finish(&r) != ERR_OK)
        return fault_set(f, ERR_MALFORMED, "the gateway's EAP request has no type");
    wire_writer_init(&w, p->response, sizeof(p->response));
    wire_write_u8(&w, EAP_RESPONSE);
    wire_write_u8(&w, identifier);
    wire_write_u16(&w, 0);
    p->response_len = 0;
    enum err e = answer(p, type, identifier, data, &w, f);
    if (e != ERR_OK)
        return e;
    wire_patch_len_u16(&w, 2, 0);
    if (wire_write_finish(&w) != ERR_OK)
        return fault_set(f, ERR_LIMIT, "our EAP response would be longer than %d octets",
                         (int)EAP_RESPONSE_MAX);
    p->response_len = w.len;
    return ERR_OK;
}

/* --- what comes in --- */

static enum err request(struct eap_peer *p, uint8_t identifier, struct span packet,
                        struct span rest, struct eap_result *ret)
{
    uint8_t hash[SHA256_LEN];
    enum err e = ERR_OK;
    bool tls = p->method != NULL && (p->method->traits & METHOD_TLS) != 0;
    if (++p->rounds > (tls ? ROUNDS_TLS_MAX : ROUNDS_MAX))
        return fault_set(&ret->fault, ERR_LIMIT, "the gateway asks by EAP without end");
    hash_sha256(&packet, 1, hash);
    /* RFC 3748 4.1: the same request has the same answer. */
    if (p->response_len == 0 || memcmp(hash, p->request_hash, sizeof(hash)) != 0)
        e = respond(p, identifier, rest, &ret->fault);
    memcpy(p->request_hash, hash, sizeof(hash));
    ret->response = span_make(p->response, p->response_len);
    return e;
}

/* RFC 3748 4.2. Some servers count one on for it. */
static enum err success(const struct eap_peer *p, uint8_t identifier, struct fault *f)
{
    uint8_t ahead = p->response_len > 0 ? (uint8_t)(identifier - p->response[1]) : UINT8_MAX;
    if (!p->done || ahead > 1)
        return fault_set(f, ERR_INTEGRITY,
                         "the gateway claims that EAP has succeeded, and it has "
                         "not come to its end");
    return ERR_OK;
}

static enum err take(struct eap_peer *p, struct span packet, struct eap_result *ret)
{
    struct wire_reader r;
    wire_reader_init(&r, packet);
    uint8_t code = wire_read_u8(&r), identifier = wire_read_u8(&r);
    uint16_t len = wire_read_u16(&r);
    struct span rest = wire_read_rest(&r);
    if (wire_read_finish(&r) != ERR_OK || len != packet.len)
        return fault_set(&ret->fault, ERR_MALFORMED, "the gateway's EAP packet is broken");
    if (code == EAP_REQUEST)
        return request(p, identifier, packet, rest, ret);
    if ((code != EAP_SUCCESS && code != EAP_FAILURE) || rest.len != 0)
        return fault_set(&ret->fault, ERR_MALFORMED,
                         "the gateway's EAP packet has code %u and %zu octets", code, packet.len);
    ret->outcome = EAP_SUCCEEDED;
    if (code == EAP_SUCCESS)
        return success(p, identifier, &ret->fault);
    ret->refused = true;
    eap_peer_refused(p, &ret->fault);
    return ret->fault.code;
}

void eap_peer_input(struct eap_peer *p, struct span packet, struct eap_result *ret)
{
    *ret = (struct eap_result){.outcome = EAP_GOING_ON};
    if (take(p, packet, ret) != ERR_OK) {
        ret->outcome = EAP_FAILED;
        ret->response = SPAN_EMPTY;
    }
}
