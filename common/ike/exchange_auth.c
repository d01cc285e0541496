/* IKE_AUTH (RFC 7296 1.2), both directions: each side proves who it is; addresses are assigned and
 * the first Child SA is made. Nothing that the peer asks for is granted, and nothing it grants is
 * used, before its AUTH has been checked. */
#include "common/ike/sa.h"

#include <string.h>

#include "common/base/log.h"

static void write_proposals(struct message_writer *m, const struct proposal_list *l)
{
    size_t at = payload_begin(m, PAYLOAD_SA);
    proposal_list_write(&m->w, l);
    payload_end(m, at);
}

static void spi_to_octets(uint32_t spi, uint8_t out[4])
{
    out[0] = (uint8_t)(spi >> 24);
    out[1] = (uint8_t)(spi >> 16);
    out[2] = (uint8_t)(spi >> 8);
    out[3] = (uint8_t)spi;
}

/* The peer's SPI in a proposal of a Child SA. */
static enum err read_spi(const struct proposal *p, uint32_t *ret)
{
    struct wire_reader r;
    wire_reader_init(&r, span_make(p->spi, p->spi_len));
    uint32_t spi = wire_read_u32(&r);
    enum err e = wire_read_finish(&r);
    if (e == ERR_OK && (p->protocol != PROTOCOL_ESP || spi < 256))
        e = ERR_MALFORMED; /* RFC 4303 2.1: reserved */
    if (e == ERR_OK)
        *ret = spi;
    return e;
}

static void established(struct ike_sa *sa, mono_ms now)
{
    sa->state = SA_ESTABLISHED;
    sa->established = now;
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
    session_established(sa->session, now);
}

/* --- initiator --- */

/* Our offer for the first Child SA: our SPI, and no key exchange, for IKE_AUTH has none (1.2). */
static void child_offer(struct ike_sa *sa, struct proposal_list *ret)
{
    *ret = sa->config->esp;
    for (size_t i = 0; i < ret->count; i++) {
        struct proposal *p = &ret->items[i];
        p->protocol = PROTOCOL_ESP;
        p->spi_len = 4;
        spi_to_octets(sa->handshake->child_spi_in, p->spi);
        size_t kept = 0;
        for (size_t j = 0; j < p->count; j++) {
            if (p->transforms[j].type != TRANSFORM_KE)
                p->transforms[kept++] = p->transforms[j];
        }
        p->count = kept;
    }
}

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

static void write_configuration_request(const struct ike_sa *sa, struct message_writer *m)
{
    const struct session_config *c = sa->config;
    if (!wants_address(c))
        return;
    struct configuration request = {.type = CP_REQUEST};
    if (c->request_ipv4) {
        struct ip ip = c->fixed_ipv4;
        ip.family = IP_V4;
        request.addresses[request.address_count++] = (struct prefix){ip, 32};
        if (c->request_dns)
            request.dns[request.dns_count++] = (struct ip){.family = IP_V4};
    }
    if (c->request_ipv6) {
        struct ip ip = c->fixed_ipv6;
        ip.family = IP_V6;
        request.addresses[request.address_count++] = (struct prefix){ip, 128};
        if (c->request_dns)
            request.dns[request.dns_count++] = (struct ip){.family = IP_V6};
    }
    cp_payload_write(m, &request);
}

enum err auth_request_send(struct ike_sa *sa, mono_ms now)
{
    const struct session_config *c = sa->config;
    struct message_writer m;
    size_t sk;
    sa_request_begin(sa, &m, EXCHANGE_IKE_AUTH, &sk);
    id_payload_write(&m, PAYLOAD_ID_I, &c->local_id);
    proof_write_certificates(sa, &m);
    proof_write_certreq(sa, &m);
    if (sa->send_remote_id)
        id_payload_write(&m, PAYLOAD_ID_R, &c->remote_id);
    enum err e = proof_write_auth(sa, &m);
    if (e != ERR_OK)
        return e;
    write_configuration_request(sa, &m);
    sa->handshake->child_spi_in = child_new_spi(sa);
    struct proposal_list offer;
    struct selector_list local;
    child_offer(sa, &offer);
    local_offer(sa, &local);
    write_proposals(&m, &offer);
    ts_payload_write(&m, PAYLOAD_TS_I, &local);
    ts_payload_write(&m, PAYLOAD_TS_R, &c->remote_selectors);
    return sa_request_send(sa, now, &m, sk, &c->retransmit);
}

/* The peer's proof did not convince: say so in an exchange of its own (RFC 7296 2.21.2), and end.
 */
static void reject_peer(struct ike_sa *sa, mono_ms now, enum session_down_reason reason,
                        const struct fault *f)
{
    sa_close(sa, now, reason, f, NOTIFY_AUTHENTICATION_FAILED);
}

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
    child_offer(sa, &offer);
    *ret_reason = SESSION_DOWN_NO_PROPOSAL;
    enum err e = proposal_list_parse(payload_find(&in->payloads, PAYLOAD_SA)->body, &answer);
    if (e == ERR_OK)
        e = proposal_check_answer(&offer, &answer, true, &chosen);
    if (e == ERR_OK)
        e = proposal_suite(&chosen, &g->suite);
    if (e == ERR_OK)
        e = read_spi(&chosen, &g->spi_out);
    if (e != ERR_OK)
        return fault_set(f, e, "the gateway's choice for ESP is none of our proposals");
    *ret_reason = SESSION_DOWN_SELECTORS;
    e = read_selectors(sa, in, g, f);
    if (e == ERR_OK)
        e = read_configuration(sa, in, g, f);
    return e;
}

static enum err install_grant(struct ike_sa *sa, const struct grant *g)
{
    const struct handshake *h = sa->handshake;
    struct session_event *event = session_emit(sa->session, SESSION_EVENT_CONFIG);
    if (event == NULL)
        return ERR_MEMORY;
    event->config = g->config;
    return child_install(sa, true, h->child_spi_in, g->spi_out, &g->suite, SPAN_EMPTY, &h->nonce_i,
                         &h->nonce_r, &g->local, &g->remote);
}

/* The exchange has its answer; whatever comes of it. */
static void auth_answered(struct ike_sa *sa, const struct sa_input *in)
{
    int64_t rtt = window_request_end(&sa->window, in->now);
    if (rtt >= 0)
        sa->rtt_ms = rtt;
    struct notify_payload n;
    sa->peer_mobike = notify_find(&in->payloads, NOTIFY_MOBIKE_SUPPORTED, &n);
}

enum err auth_response_in(struct ike_sa *sa, struct sa_input *in)
{
    enum session_down_reason reason;
    struct fault f = {0};
    auth_answered(sa, in);
    if (proof_check_peer(sa, in, PAYLOAD_ID_R, &reason, &f) != ERR_OK) {
        reject_peer(sa, in->now, reason, &f);
        return ERR_OK;
    }
    struct grant g = {0};
    if (read_grant(sa, in, &g, &reason, &f) != ERR_OK) {
        sa_close(sa, in->now, reason, &f, 0);
        return ERR_OK;
    }
    enum err e = install_grant(sa, &g);
    if (e == ERR_OK)
        established(sa, in->now);
    return e;
}

/* Words for an error that concerns the Child SA or the addresses. */
static enum session_down_reason child_refusal(const struct ike_sa *sa, uint16_t type,
                                              struct fault *f)
{
    char text[PROPOSAL_LIST_TEXT_MAX];
    const char *name = notify_name(type);
    switch (type) {
    case NOTIFY_NO_PROPOSAL_CHOSEN:
        (void)fault_set(f, ERR_REFUSED,
                        "the gateway accepts none of our ESP proposals (NO_PROPOSAL_CHOSEN)");
        fault_hint(f, "offered: %s; set ESP = in [Crypto] to what the gateway accepts",
                   proposal_list_format(&sa->config->esp, text));
        return SESSION_DOWN_NO_PROPOSAL;
    case NOTIFY_TS_UNACCEPTABLE:
    case NOTIFY_SINGLE_PAIR_REQUIRED:
    case NOTIFY_INVALID_SELECTORS:
        (void)fault_set(f, ERR_REFUSED, "the gateway refuses the traffic selectors %.200s (%s)",
                        selector_list_format(&sa->config->remote_selectors, text), name);
        fault_hint(f, "set Routes = in [Tunnel] to the networks that the gateway serves");
        return SESSION_DOWN_SELECTORS;
    case NOTIFY_INTERNAL_ADDRESS_FAILURE:
    case NOTIFY_FAILED_CP_REQUIRED:
        (void)fault_set(f, ERR_REFUSED, "the gateway has no address for us (%s)", name);
        fault_hint(f, "check RequestAddress in [Tunnel] and the gateway's address pool");
        return SESSION_DOWN_SELECTORS;
    default:
        (void)fault_set(f, ERR_REFUSED, "the gateway refused the Child SA with error %u (%s)", type,
                        name != NULL ? name : "unknown");
        return SESSION_DOWN_PROTOCOL;
    }
}

enum err auth_response_childless_in(struct ike_sa *sa, struct sa_input *in)
{
    enum session_down_reason reason;
    struct fault f = {0};
    auth_answered(sa, in);
    if (proof_check_peer(sa, in, PAYLOAD_ID_R, &reason, &f) != ERR_OK) {
        reject_peer(sa, in->now, reason, &f);
        return ERR_OK;
    }
    struct notify_payload n;
    if (!notify_find_error(&in->payloads, &n))
        return ERR_MALFORMED;
    reason = child_refusal(sa, n.type, &f);
    sa_close(sa, in->now, reason, &f, 0);
    return ERR_OK;
}

enum err auth_notify_in(struct ike_sa *sa, struct sa_input *in)
{
    struct notify_payload n;
    struct fault f = {0};
    if (!notify_find_error(&in->payloads, &n))
        return ERR_MALFORMED;
    auth_answered(sa, in);
    if (n.type != NOTIFY_AUTHENTICATION_FAILED) {
        sa_die(sa, child_refusal(sa, n.type, &f), &f);
        return ERR_OK;
    }
    if (sa->send_remote_id && session_retry_without_remote_id(sa->session, in->now))
        return ERR_OK;
    char sent[PROOF_TEXT_MAX];
    (void)fault_set(&f, ERR_REFUSED, "the gateway refused our credentials (AUTHENTICATION_FAILED)");
    fault_hint(&f, "sent %s; compare with what the gateway has for this user",
               proof_sent_text(sa, sent));
    sa_die(sa, SESSION_DOWN_REFUSED, &f);
    return ERR_OK;
}

/* --- responder --- */

/* Refuse the client altogether: nothing stays. The reason is ours alone to know (2.21.2). */
static enum err refuse(struct ike_sa *sa, const struct sa_input *in, const struct fault *f)
{
    enum err e = sa_response_notify(sa, in, NOTIFY_AUTHENTICATION_FAILED, SPAN_EMPTY);
    sa_die(sa, SESSION_DOWN_REFUSED, f);
    return e;
}

enum err auth_request_refuse_in(struct ike_sa *sa, struct sa_input *in)
{
    struct fault f = {0};
    (void)fault_set(&f, ERR_REFUSED, "the client wants EAP, or asks for no Child SA");
    return refuse(sa, in, &f);
}

/* Choose ESP, assign addresses, narrow the selectors. 0, or the notify that says why not. */
static uint16_t make_grant(struct ike_sa *sa, const struct sa_input *in,
                           struct proposal *ret_chosen, struct grant *g)
{
    const struct session_config *c = sa->config;
    const struct payload_list *l = &in->payloads;
    struct proposal_list offered;
    struct selector_list ts_i, ts_r;
    if (proposal_list_parse(payload_find(l, PAYLOAD_SA)->body, &offered) != ERR_OK ||
        ts_payload_parse(payload_find(l, PAYLOAD_TS_I)->body, &ts_i) != ERR_OK ||
        ts_payload_parse(payload_find(l, PAYLOAD_TS_R)->body, &ts_r) != ERR_OK)
        return NOTIFY_INVALID_SYNTAX;
    if (proposal_select(&offered, &c->esp, true, true, ret_chosen) != ERR_OK ||
        proposal_suite(ret_chosen, &g->suite) != ERR_OK ||
        read_spi(ret_chosen, &g->spi_out) != ERR_OK)
        return NOTIFY_NO_PROPOSAL_CHOSEN;

    struct selector_list theirs = {0};
    const struct payload *cp = payload_find(l, PAYLOAD_CP);
    struct configuration request = {0};
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
    selector_list_narrow(&ts_i, &theirs, &g->remote);
    selector_list_narrow(&ts_r, &c->remote_selectors, &g->local);
    return g->remote.count == 0 || g->local.count == 0 ? NOTIFY_TS_UNACCEPTABLE : 0;
}

static enum err auth_response_send(struct ike_sa *sa, const struct sa_input *in, uint16_t refusal,
                                   struct proposal *chosen, const struct grant *g)
{
    struct message_writer m;
    size_t sk;
    sa_response_begin(sa, &m, in, &sk);
    id_payload_write(&m, PAYLOAD_ID_R, &sa->config->local_id);
    proof_write_certificates(sa, &m);
    enum err e = proof_write_auth(sa, &m);
    if (e != ERR_OK)
        return e;
    if (refusal != 0) {
        notify_write(&m, refusal, SPAN_EMPTY);
        return sa_response_send(sa, &m, in, sk);
    }
    if (g->config.address_count > 0)
        cp_payload_write(&m, &g->config);
    chosen->spi_len = 4;
    spi_to_octets(sa->handshake->child_spi_in, chosen->spi);
    const struct proposal_list answer = {.items = {*chosen}, .count = 1};
    write_proposals(&m, &answer);
    ts_payload_write(&m, PAYLOAD_TS_I, &g->remote);
    ts_payload_write(&m, PAYLOAD_TS_R, &g->local);
    return sa_response_send(sa, &m, in, sk);
}

enum err auth_request_in(struct ike_sa *sa, struct sa_input *in)
{
    enum session_down_reason reason;
    struct fault f = {0};
    if (proof_check_peer(sa, in, PAYLOAD_ID_I, &reason, &f) != ERR_OK)
        return refuse(sa, in, &f);
    struct grant g = {0};
    struct proposal chosen = {0};
    sa->handshake->child_spi_in = child_new_spi(sa);
    uint16_t refusal = make_grant(sa, in, &chosen, &g);
    if (refusal == NOTIFY_INVALID_SYNTAX)
        return ERR_MALFORMED;
    enum err e = auth_response_send(sa, in, refusal, &chosen, &g);
    if (e != ERR_OK)
        return e;
    sa->path = *in->path; /* the port that the client moved to */
    if (refusal == 0) {
        const struct handshake *h = sa->handshake;
        e = child_install(sa, false, h->child_spi_in, g.spi_out, &g.suite, SPAN_EMPTY, &h->nonce_i,
                          &h->nonce_r, &g.local, &g.remote);
        if (e != ERR_OK)
            return e;
    } else {
        log_info("no Child SA for this client: %s", notify_name(refusal));
    }
    /* RFC 7296 1.3.1: the IKE SA stands even where the Child SA was refused. */
    established(sa, in->now);
    return ERR_OK;
}
