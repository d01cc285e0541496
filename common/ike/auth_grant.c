/* What IKE_AUTH is about beside proof (RFC 7296 1.2), both directions: addresses, servers and the
 * first Child SA, as a client asks for them and a gateway grants them. Granting, and using what was
 * granted, begins once the other side is proven (exchange_auth.c, _eap.c, _second.c). */
#include "common/ike/auth.h"

#include <string.h>

#include "common/base/log.h"

static void established(struct ike_sa *sa, mono_ms now)
{
    sa->state = SA_ESTABLISHED;
    sa_start_life(sa, now);
    sa_handshake_free(sa);
    ASSERT(sa->peer_id.type != IDENTITY_NONE);
    struct session_event *event = session_emit(sa->session, SESSION_EVENT_PHASE);
    if (event != NULL) {
        event->phase.phase = SESSION_PHASE_AUTH;
        char id[IDENTITY_TEXT_MAX];
        struct fault text = {0};
        (void)fault_set(&text, ERR_OK, "%.200s", identity_format(&sa->peer_id, id));
        memcpy(event->phase.text, text.text, sizeof(event->phase.text) - 1);
    }
    session_established(sa, now);
}

/* --- initiator: asking --- */

static bool wants_address(const struct session_config *c)
{
    return c->request_ipv4 || c->request_ipv6;
}

/* TSi: with a requested address everything of its family, which the gateway narrows to what it
 * assigns (RFC 7296 2.19); else our own address. */
static void local_offer(const struct ike_sa *sa, struct selector_list *ret)
{
    const struct session_config *c = sa->config;
    *ret = (struct selector_list){0};
    const struct prefix all_v4 = {.ip = {.family = IP_V4}}, all_v6 = {.ip = {.family = IP_V6}};
    if (!wants_address(c)) {
        struct prefix host = prefix_host(&sa->path.local.ip);
        ret->items[ret->count++] = selector_from_prefix(&host);
        return;
    }
    if (c->request_ipv4)
        ret->items[ret->count++] = selector_from_prefix(&all_v4);
    if (c->request_ipv6)
        ret->items[ret->count++] = selector_from_prefix(&all_v6);
}

/* The address to ask for: the one that the profile fixes; or the one we had, so that connections
 * through the tunnel survive a new IKE SA; or any. */
static struct ip wanted(const struct ike_sa *sa, enum ip_family family, const struct ip *fixed)
{
    const struct configuration *before = session_assigned(sa->session);
    if (fixed->family == family)
        return *fixed;
    for (size_t i = 0; i < before->address_count; i++) {
        if (before->addresses[i].ip.family == family)
            return before->addresses[i].ip;
    }
    return (struct ip){.family = family};
}

static void write_configuration_request(const struct ike_sa *sa, struct message_writer *m)
{
    const struct session_config *c = sa->config;
    if (!wants_address(c))
        return;
    struct configuration request = {.type = CP_REQUEST};
    if (c->request_ipv4) {
        struct ip ip = wanted(sa, IP_V4, &c->fixed_ipv4);
        request.addresses[request.address_count++] = (struct prefix){ip, 32};
        if (c->request_dns)
            request.dns[request.dns_count++] = (struct ip){.family = IP_V4};
    }
    if (c->request_ipv6) {
        struct ip ip = wanted(sa, IP_V6, &c->fixed_ipv6);
        request.addresses[request.address_count++] = (struct prefix){ip, 128};
        if (c->request_dns)
            request.dns[request.dns_count++] = (struct ip){.family = IP_V6};
    }
    if (c->request_dns) /* RFC 8598 3.1: an empty one asks for whatever names are inside */
        request.domain_count = 1;
    cp_payload_write(m, &request);
}

/* RFC 6023: the Child SA is made in an exchange of its own. */
static bool childless(const struct ike_sa *sa)
{
    return sa->config->childless && sa->handshake->peer_childless;
}

/* What the client wants beside proof; no child where the gateway lets it come later. */
void auth_write_wishes(struct ike_sa *sa, struct message_writer *m)
{
    struct proposal_list offer;
    struct selector_list local;
    write_configuration_request(sa, m);
    mobike_write_support(sa, m);
    if (childless(sa))
        return;
    sa->handshake->child_spi_in = child_new_spi(sa);
    child_offer(sa, sa->handshake->child_spi_in, true, &offer);
    local_offer(sa, &local);
    write_proposals(m, &offer);
    ts_payload_write(m, PAYLOAD_TS_I, &local);
    ts_payload_write(m, PAYLOAD_TS_R, &sa->config->remote_selectors);
}

/* --- initiator: what was granted --- */

/* What the first Child SA was granted. */
struct grant {
    struct suite suite;
    uint32_t spi_out;
    struct selector_list local, remote;
    struct configuration config;
};

static enum err read_selectors(struct ike_sa *sa, const struct sa_input *in, struct grant *g,
                               struct fault *f)
{
    struct selector_list offered;
    local_offer(sa, &offered);
    enum err e = ts_payload_parse(payload_find(&in->payloads, PAYLOAD_TS_I)->body, &g->local);
    if (e == ERR_OK)
        e = ts_payload_parse(payload_find(&in->payloads, PAYLOAD_TS_R)->body, &g->remote);
    if (e != ERR_OK || g->local.count == 0 || g->remote.count == 0)
        return fault_set(f, ERR_MALFORMED, "the gateway's traffic selectors are broken");
    if (!selector_list_within(&g->local, &offered) ||
        !selector_list_within(&g->remote, &sa->config->remote_selectors)) {
        char local[SELECTOR_LIST_TEXT_MAX], remote[SELECTOR_LIST_TEXT_MAX];
        return fault_set(f, ERR_SELECTOR,
                         "the gateway grants wider selectors than we asked for: %.120s to %.120s",
                         selector_list_format(&g->local, local),
                         selector_list_format(&g->remote, remote));
    }
    return ERR_OK;
}

static enum err read_configuration(struct ike_sa *sa, const struct sa_input *in, struct grant *g,
                                   struct fault *f)
{
    const struct payload *p = payload_find(&in->payloads, PAYLOAD_CP);
    if (p != NULL && cp_payload_parse(p->body, &g->config) != ERR_OK)
        return fault_set(f, ERR_MALFORMED, "the gateway's configuration payload is broken");
    bool reply = p != NULL && g->config.type == CP_REPLY;
    size_t addresses = 0;
    for (size_t i = 0; reply && i < g->config.address_count; i++) {
        if (!ip_is_unspecified(&g->config.addresses[i].ip))
            g->config.addresses[addresses++] = g->config.addresses[i];
    }
    g->config.address_count = addresses;
    if (wants_address(sa->config) && addresses == 0) {
        (void)fault_set(f, ERR_REFUSED, "the gateway assigned no address");
        fault_hint(f, "if it serves none, set RequestAddress = none in [Tunnel]");
        return ERR_REFUSED;
    }
    if (!wants_address(sa->config) || !reply)
        g->config = (struct configuration){.type = CP_REPLY};
    return ERR_OK;
}

static enum err read_grant(struct ike_sa *sa, const struct sa_input *in, struct grant *g,
                           enum session_down_reason *ret_reason, struct fault *f)
{
    struct proposal_list offer, answer;
    struct proposal chosen;
    child_offer(sa, sa->handshake->child_spi_in, true, &offer);
    *ret_reason = SESSION_DOWN_NO_PROPOSAL;
    enum err e = proposal_list_parse(payload_find(&in->payloads, PAYLOAD_SA)->body, &answer);
    if (e == ERR_OK)
        e = proposal_check_answer(&offer, &answer, true, &chosen);
    if (e == ERR_OK)
        e = proposal_suite(&chosen, &g->suite);
    if (e == ERR_OK)
        e = child_spi_read(&chosen, &g->spi_out);
    if (e != ERR_OK)
        return fault_set(f, e, "the gateway's choice for ESP is none of our proposals");
    *ret_reason = SESSION_DOWN_SELECTORS;
    e = read_selectors(sa, in, g, f);
    if (e == ERR_OK)
        e = read_configuration(sa, in, g, f);
    return e;
}

static enum err emit_configuration(struct ike_sa *sa, const struct grant *g)
{
    struct session_event *event = session_emit(sa->session, SESSION_EVENT_CONFIG);
    if (event == NULL)
        return ERR_MEMORY;
    event->config = g->config;
    session_set_assigned(sa->session, &g->config);
    return ERR_OK;
}

static enum err install_child(struct ike_sa *sa, mono_ms now, const struct grant *g)
{
    const struct handshake *h = sa->handshake;
    const struct child_terms t = {.spi_in = h->child_spi_in,
                                  .spi_out = g->spi_out,
                                  .suite = g->suite,
                                  .shared = SPAN_EMPTY,
                                  .nonce_i = &h->nonce_i,
                                  .nonce_r = &h->nonce_r,
                                  .local = &g->local,
                                  .remote = &g->remote,
                                  .we_initiated = sa->initiator};
    return child_install(sa, now, &t, NULL, NULL);
}

/* Our addresses inside: what the gateway assigned, or our own. */
static void own_scope(const struct ike_sa *sa, const struct grant *g, struct selector_list *ret)
{
    *ret = (struct selector_list){.count = 0};
    if (!wants_address(sa->config)) {
        local_offer(sa, ret);
        return;
    }
    for (size_t i = 0; i < g->config.address_count; i++) {
        struct prefix host = prefix_host(&g->config.addresses[i].ip);
        ret->items[ret->count++] = selector_from_prefix(&host);
    }
}

static void set_scope(struct ike_sa *sa, const struct grant *g)
{
    struct selector_list own;
    own_scope(sa, g, &own);
    session_set_scope(sa->session, &own, &sa->config->remote_selectors);
}

/* RFC 4478: the gateway's trust in this proof ends then. */
static void read_auth_lifetime(struct ike_sa *sa, const struct sa_input *in)
{
    struct notify_payload n;
    struct wire_reader r;
    if (!notify_find(&in->payloads, NOTIFY_AUTH_LIFETIME, &n))
        return;
    wire_reader_init(&r, n.data);
    uint32_t lifetime_s = wire_read_u32(&r);
    if (wire_read_finish(&r) == ERR_OK && lifetime_s > 0)
        session_auth_lifetime(sa, in->now, lifetime_s);
}

static void finish(struct ike_sa *sa, const struct sa_input *in, const struct grant *g)
{
    set_scope(sa, g);
    read_auth_lifetime(sa, in);
    mobike_read_addresses(sa, in);
    established(sa, in->now);
}

static enum err granted_child(struct ike_sa *sa, const struct sa_input *in)
{
    enum session_down_reason reason;
    struct fault f = {0};
    if (auth_not_granted(sa, in))
        return ERR_OK;
    struct grant g = {0};
    if (read_grant(sa, in, &g, &reason, &f) != ERR_OK) {
        sa_close(sa, in->now, reason, &f, 0);
        return ERR_OK;
    }
    enum err e = emit_configuration(sa, &g);
    if (e == ERR_OK)
        e = install_child(sa, in->now, &g);
    if (e == ERR_OK)
        finish(sa, in, &g);
    return e;
}

/* No child was asked for, and none is granted: addresses come all the same. */
static enum err childless_in(struct ike_sa *sa, const struct sa_input *in)
{
    struct grant g = {.spi_out = 0};
    struct fault f = {0};
    if (read_configuration(sa, in, &g, &f) != ERR_OK) {
        sa_close(sa, in->now, SESSION_DOWN_SELECTORS, &f, 0);
        return ERR_OK;
    }
    enum err e = emit_configuration(sa, &g);
    if (e == ERR_OK)
        finish(sa, in, &g);
    return e;
}

/* Asked for by a client, or granted to it. */
bool auth_has_child(const struct payload_list *l)
{
    return payload_find(l, PAYLOAD_SA) != NULL && payload_find(l, PAYLOAD_TS_I) != NULL &&
           payload_find(l, PAYLOAD_TS_R) != NULL;
}

enum err auth_granted_in(struct ike_sa *sa, const struct sa_input *in)
{
    /* One that was not asked for is none: it would have no SPI of ours. */
    if (!childless(sa) && auth_has_child(&in->payloads))
        return granted_child(sa, in);
    if (auth_redirected(sa, in) || auth_not_granted(sa, in))
        return ERR_OK;
    return childless(sa) ? childless_in(sa, in) : ERR_MALFORMED;
}

/* --- responder --- */

/* Addresses for the client, and with them what its children may cover. 0, or the notify that says
 * why not. */
static uint16_t assign(struct ike_sa *sa, const struct sa_input *in, struct grant *g)
{
    const struct session_config *c = sa->config;
    const struct payload *cp = payload_find(&in->payloads, PAYLOAD_CP);
    struct selector_list theirs = {.count = 0};
    struct configuration request = {.type = 0};
    if (cp != NULL && cp_payload_parse(cp->body, &request) != ERR_OK)
        return NOTIFY_INVALID_SYNTAX;
    if (cp != NULL && request.type == CP_REQUEST && request.address_count > 0) {
        g->config.type = CP_REPLY;
        if (c->policy.assign == NULL ||
            c->policy.assign(c->policy.ctx, &sa->peer_id, &request, &g->config) != ERR_OK ||
            g->config.address_count == 0)
            return NOTIFY_INTERNAL_ADDRESS_FAILURE;
        for (size_t i = 0; i < g->config.address_count; i++) {
            struct prefix host = prefix_host(&g->config.addresses[i].ip);
            theirs.items[theirs.count++] = selector_from_prefix(&host);
        }
    } else {
        struct prefix host = prefix_host(&in->path->remote.ip);
        theirs.items[theirs.count++] = selector_from_prefix(&host);
    }
    session_set_scope(sa->session, &c->remote_selectors, &theirs);
    return 0;
}

/* Choose ESP, narrow the selectors. 0, or the notify that says why not. */
static uint16_t make_grant(struct ike_sa *sa, const struct sa_input *in,
                           struct proposal *ret_chosen, struct grant *g)
{
    const struct payload_list *l = &in->payloads;
    struct proposal_list offered;
    struct selector_list ts_i, ts_r;
    if (proposal_list_parse(payload_find(l, PAYLOAD_SA)->body, &offered) != ERR_OK ||
        ts_payload_parse(payload_find(l, PAYLOAD_TS_I)->body, &ts_i) != ERR_OK ||
        ts_payload_parse(payload_find(l, PAYLOAD_TS_R)->body, &ts_r) != ERR_OK)
        return NOTIFY_INVALID_SYNTAX;
    if (proposal_select(&offered, &sa->config->esp, true, true, ret_chosen) != ERR_OK ||
        proposal_suite(ret_chosen, &g->suite) != ERR_OK ||
        child_spi_read(ret_chosen, &g->spi_out) != ERR_OK)
        return NOTIFY_NO_PROPOSAL_CHOSEN;
    uint16_t refusal = assign(sa, in, g);
    if (refusal != 0)
        return refusal;
    selector_list_narrow(&ts_i, session_scope_remote(sa->session), &g->remote);
    selector_list_narrow(&ts_r, session_scope_local(sa->session), &g->local);
    return g->remote.count == 0 || g->local.count == 0 ? NOTIFY_TS_UNACCEPTABLE : 0;
}

static void write_auth_lifetime(const struct ike_sa *sa, struct message_writer *m)
{
    uint8_t octets[4];
    struct wire_writer w;
    if (sa->config->auth_lifetime_s == 0)
        return;
    wire_writer_init(&w, octets, sizeof(octets));
    wire_write_u32(&w, sa->config->auth_lifetime_s);
    notify_write(m, NOTIFY_AUTH_LIFETIME, SPAN_OF(octets));
}

/* chosen NULL: no child. */
static enum err auth_response_send(struct ike_sa *sa, const struct sa_input *in, uint16_t refusal,
                                   struct proposal *chosen, const struct grant *g)
{
    struct message_writer m;
    size_t sk;
    sa_response_begin(sa, &m, in, &sk);
    enum err e = ERR_OK;
    if (sa->state == SA_INIT_ANSWERED) { /* else it has been said */
        e = proof_write_gateway(sa, in, &m);
    } else if (sa->state == SA_EAP_DONE) {
        e = proof_write_eap_auth(sa, &m);
    }
    if (e != ERR_OK)
        return e;
    write_auth_lifetime(sa, &m);
    mobike_write_support(sa, &m);
    if (refusal != 0) {
        notify_write(&m, refusal, SPAN_EMPTY);
        return sa_response_send(sa, &m, in, sk);
    }
    if (g->config.address_count > 0)
        cp_payload_write(&m, &g->config);
    if (chosen != NULL) {
        child_spi_put(chosen, sa->handshake->child_spi_in);
        const struct proposal_list answer = {.items = {*chosen}, .count = 1};
        write_proposals(&m, &answer);
        ts_payload_write(&m, PAYLOAD_TS_I, &g->remote);
        ts_payload_write(&m, PAYLOAD_TS_R, &g->local);
    }
    return sa_response_send(sa, &m, in, sk);
}

/* RFC 4555 3.9: to where the request came from. The client may begin anew. */
static enum err refuse_translator(struct ike_sa *sa, const struct sa_input *in)
{
    struct fault f = {0};
    enum err e = sa_response_notify(sa, in, NOTIFY_UNEXPECTED_NAT_DETECTED, SPAN_EMPTY);
    (void)fault_set(&f, ERR_REFUSED, "the client wants no address translator, and there is one");
    sa_die(sa, SESSION_DOWN_REFUSED, &f);
    return e;
}

static enum err grant(struct ike_sa *sa, const struct sa_input *in)
{
    bool with_child = auth_has_child(&in->payloads);
    mobike_read_support(sa, in);
    if (mobike_nat_unexpected(sa, in))
        return refuse_translator(sa, in);
    struct grant g = {.spi_out = 0};
    struct proposal chosen = {.number = 0};
    sa->handshake->child_spi_in = child_new_spi(sa);
    uint16_t refusal = with_child ? make_grant(sa, in, &chosen, &g) : assign(sa, in, &g);
    if (refusal == NOTIFY_INVALID_SYNTAX)
        return ERR_MALFORMED;
    if (refusal != 0)
        log_info("no Child SA for this client: %s", notify_name(refusal));
    /* Keys first, the answer after them (RFC 7296 2.8); and the IKE SA stands even where the Child
     * SA was refused (1.3.1). */
    enum err e = refusal == 0 && with_child ? install_child(sa, in->now, &g) : ERR_OK;
    if (e == ERR_OK)
        e = auth_response_send(sa, in, refusal, with_child ? &chosen : NULL, &g);
    if (e != ERR_OK)
        return e;
    sa->path = *in->path; /* the port that the client moved to */
    established(sa, in->now);
    return ERR_OK;
}

enum err auth_grant(struct ike_sa *sa, const struct sa_input *in)
{
    struct sa_input asking = *in;
    if (sa->handshake->asked.count > 0) /* at first, before the proof was whole */
        asking.payloads = sa->handshake->asked;
    return grant(sa, &asking);
}
