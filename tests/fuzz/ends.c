/* Two sessions under a fuzzer's hand. */
#include "tests/fuzz/ends.h"

#include <stdlib.h>
#include <string.h>

#include "common/ike/keys.h"

enum {
    PUMP_MAX = 200,        /* datagrams at once; more is a conversation without end */
    SAME_DEADLINE_MAX = 8, /* timeouts in a row without time passing */
    PIECE_MAX = 160        /* octets of a message that goes in pieces */
};

static enum err find_psk(void *ctx, const struct identity *peer, struct secret *ret)
{
    const struct ends *e = ctx;
    (void)peer;
    *ret = e->psk;
    return ERR_OK;
}

static enum err find_ppk(void *ctx, const struct identity *peer, struct span id, struct secret *ret)
{
    const struct ends *e = ctx;
    (void)peer;
    *ret = e->ppk;
    return span_equal(id, span_text("ppk")) ? ERR_OK : ERR_NOT_FOUND;
}

static enum err assign(void *ctx, const struct identity *peer, const struct configuration *request,
                       struct configuration *ret)
{
    const struct ends *e = ctx;
    (void)peer;
    CHECK(request->address_count <= CP_ADDRESSES_MAX);
    *ret = e->assigned;
    return ERR_OK;
}

static void set_proposals(struct session_config *c, unsigned variant)
{
    struct fault f;
    const char *ike = (variant & ENDS_CBC) != 0 ? "aes128-sha256-x25519-ecp256"
                                                : "aes256gcm16-prfsha256-x25519-ecp256";
    const char *esp = (variant & ENDS_CBC) != 0 ? "aes128-sha256" : "aes256gcm16";
    if ((variant & ENDS_CHILD_KE) != 0)
        esp = "aes256gcm16-x25519-ecp256";
    CHECK(proposal_list_from_text(ike, PROTOCOL_IKE, &c->ike, &f) == ERR_OK);
    CHECK(proposal_list_from_text(esp, PROTOCOL_ESP, &c->esp, &f) == ERR_OK);
}

void ends_init(struct ends *e, unsigned variant)
{
    memset(e, 0, sizeof(*e));
    e->client.is_client = true;
    e->path = (struct path){
        .local = {ip_v4(192, 0, 2, 1), 40000},
        .remote = {ip_v4(203, 0, 113, 1), IKE_PORT},
        .interface = 2,
    };
    e->assigned.type = CP_REPLY;
    e->assigned.addresses[0] = (struct prefix){ip_v4(10, 7, 0, 2), 32};
    e->assigned.address_count = 1;
    e->assigned.dns[0] = ip_v4(10, 9, 0, 53);
    e->assigned.dns_count = 1;
    CHECK(secret_set(&e->psk, span_text("a shared key of the fuzzers")) == ERR_OK);
    CHECK(secret_set(&e->ppk, span_text("a post-quantum key of the fuzzers")) == ERR_OK);

    struct session_config *c = &e->client_config, *g = &e->gateway_config;
    session_config_default(c);
    c->role = SESSION_INITIATOR;
    c->random = fuzz_random(&e->seed);
    set_proposals(c, variant);
    CHECK(identity_parse("alice@example.com", &c->local_id) == ERR_OK);
    CHECK(identity_parse("gw.example.com", &c->remote_id) == ERR_OK);
    c->local_auth = SESSION_AUTH_PSK;
    c->remote_auth = SESSION_AUTH_PSK;
    c->local_psk = c->remote_psk = e->psk;
    const struct prefix served = {ip_v4(10, 9, 0, 0), 24};
    const struct selector s = selector_from_prefix(&served);
    CHECK(selector_list_add(&c->remote_selectors, &s) == ERR_OK);
    c->request_ipv4 = c->request_dns = true;
    c->childless = (variant & ENDS_CHILDLESS) != 0;
    if ((variant & ENDS_SHORT) != 0)
        c->lifetimes = (struct session_lifetimes){.ike_ms = 60000, .child_ms = 20000};
    if ((variant & ENDS_PPK) != 0)
        c->ppk = (struct session_ppk){.use = SESSION_PPK_OPTIONAL, .key = e->ppk, .id = "ppk"};

    *g = *c;
    if ((variant & ENDS_SECOND) != 0) {
        c->second = (struct session_second){.auth = SESSION_AUTH_PSK, .psk = e->psk};
        CHECK(identity_parse("alice", &c->second.id) == ERR_OK);
        g->second_use = SESSION_SECOND_OPTIONAL;
    }
    g->role = SESSION_RESPONDER;
    g->local_id = c->remote_id;
    g->remote_id = (struct identity){0};
    g->request_ipv4 = g->request_dns = false;
    g->additional[g->additional_count++] = ip_v4(203, 0, 113, 66);
    g->return_routability = (variant & ENDS_CHECKED) != 0;
    g->policy = (struct session_policy){
        .ctx = e, .find_psk = find_psk, .assign = assign, .find_ppk = find_ppk};
}

void ends_wipe(struct ends *e)
{
    session_free(e->client.session);
    session_free(e->gateway.session);
    memset(e, 0, sizeof(*e));
}

void ends_start(struct ends *e)
{
    CHECK(session_new(&e->client_config, &e->client.session) == ERR_OK);
    session_networks_changed(e->client.session, e->now, &e->path, 1);
    CHECK(session_start(e->client.session, e->now) == ERR_OK);
}

/* --- what must hold --- */

static void judge_child(const struct ends *e, const struct ends_side *side,
                        const struct session_child *c)
{
    const struct session_config *config = side->is_client ? &e->client_config : &e->gateway_config;
    CHECK(c->spi_in > 255 && c->local.count > 0 && c->remote.count > 0);
    CHECK(c->enc_in.len > 0 && c->enc_out.len > 0);
    for (size_t i = 0; i < c->local.count; i++)
        CHECK(range_valid(&c->local.items[i].range));
    for (size_t i = 0; i < c->remote.count; i++)
        CHECK(range_valid(&c->remote.items[i].range));
    /* nothing wider than what was asked for, or is served */
    CHECK(
        selector_list_within(side->is_client ? &c->remote : &c->local, &config->remote_selectors));
}

/* Somebody's, somewhere else. */
static void judge_address(const struct ip *ip)
{
    CHECK(!ip_is_unspecified(ip) && !ip_is_multicast(ip) && !ip_is_loopback(ip));
}

static void judge_event(struct ends *e, struct ends_side *side, const struct session_event *event)
{
    CHECK(!side->down); /* it was the last one */
    side->events++;
    switch (event->type) {
    case SESSION_EVENT_CONFIG:
        CHECK(side->is_client && event->config.type == CP_REPLY);
        for (size_t i = 0; i < event->config.address_count; i++)
            CHECK(!ip_is_unspecified(&event->config.addresses[i].ip));
        side->configs++;
        break;
    case SESSION_EVENT_CHILD_UP:
        judge_child(e, side, &event->child);
        side->children_up++;
        break;
    case SESSION_EVENT_UP:
        side->up = true;
        break;
    case SESSION_EVENT_SEARCHING:
        CHECK(side->is_client && side->up);
        break;
    case SESSION_EVENT_REDIRECT:
        CHECK(side->is_client);
        e->redirect = event->redirect;
        side->redirected = true;
        break;
    case SESSION_EVENT_ADDRESSES:
        CHECK(side->is_client && event->addresses.count <= SESSION_ADDRESSES_MAX);
        for (size_t i = 0; i < event->addresses.count; i++)
            judge_address(&event->addresses.items[i]);
        break;
    case SESSION_EVENT_HANDOVER:
        CHECK(side->is_client && side->up);
        break;
    case SESSION_EVENT_DOWN:
        side->down = true;
        break;
    default:
        break;
    }
}

static void judge_counts(const struct session *s)
{
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        const struct ike_sa *sa = s->sas[i];
        if (sa == NULL)
            continue;
        if (sa->state == SA_ESTABLISHED)
            CHECK(sa->peer_id.type != IDENTITY_NONE && sa->seal != NULL && sa->handshake == NULL);
        if (sa->window.request.active)
            CHECK(sa->window.request.id == sa->window.next_id && sa->window.request.bytes != NULL);
    }
}

void ends_judge(struct ends *e, struct ends_side *side)
{
    struct session_event event;
    struct session_status status;
    if (side->session == NULL)
        return;
    while (session_next_event(side->session, &event)) {
        judge_event(e, side, &event);
        session_event_wipe(&event);
    }
    session_status(side->session, &status);
    CHECK(side->down == (status.state == SESSION_DOWN));
    mono_ms next = session_next_timeout(side->session);
    CHECK(!side->down || next == MONO_NEVER);
    if (status.state == SESSION_CONNECTING || status.state == SESSION_SEARCHING ||
        status.state == SESSION_STOPPING)
        CHECK(!side->is_client || session_stranded(side->session) ||
              next != MONO_NEVER); /* what is in motion does not wait for ever */
    judge_counts(side->session);
}

/* --- the wire --- */

bool ends_output(struct ends *e, struct ends_side *side, struct session_datagram *ret)
{
    struct span message;
    struct ike_header h;
    if (side->session == NULL || !session_output(side->session, e->now, ret))
        return false;
    side->datagrams++;
    const struct path *p = &ret->path;
    bool marker = (side->is_client ? p->remote.port : p->local.port) != IKE_PORT;
    switch (datagram_classify(marker, ret->bytes, &message)) {
    case DATAGRAM_IKE:
        CHECK(ike_header_parse(message, &h) == ERR_OK && message.len <= IKE_MESSAGE_MAX);
        break;
    case DATAGRAM_KEEPALIVE:
        break;
    default:
        CHECK(false);
    }
    return true;
}

static struct path turned(const struct path *path)
{
    return (struct path){.local = path->remote, .remote = path->local, .interface = 1};
}

static void input(struct ends *e, struct ends_side *side, const struct path *path,
                  struct span message)
{
    uint8_t *copy = fuzz_copy(message);
    session_input(side->session, e->now, path, span_make(copy, message.len));
    free(copy);
    ends_judge(e, side);
}

/* A beginning that is nobody's: the gateway has a session for it, and soon forgets it. */
static void stranger(struct ends *e, const struct path *path, struct span message)
{
    struct ends_side side = {.is_client = false};
    struct session_datagram d;
    CHECK(session_new(&e->gateway_config, &side.session) == ERR_OK);
    input(e, &side, path, message);
    for (unsigned i = 0; ends_output(e, &side, &d); i++)
        CHECK(i == 0); /* or we are an amplifier */
    session_free(side.session);
}

/* The gateway's driver makes a session for each beginning that none owns. */
static void gateway_input(struct ends *e, const struct path *path, struct span message)
{
    struct ends_side *side = &e->gateway;
    struct ike_header h;
    if (ike_header_parse(message, &h) != ERR_OK)
        return;
    bool begins = h.exchange == EXCHANGE_IKE_SA_INIT && h.spi_r == 0;
    bool owned = side->session != NULL && session_owns(side->session, &h, message);
    if (begins && !owned && e->lasting && side->session != NULL) {
        stranger(e, path, message);
        return;
    }
    if (begins && !owned) {
        session_free(side->session);
        *side = (struct ends_side){0};
        CHECK(session_new(&e->gateway_config, &side->session) == ERR_OK);
    }
    if (side->session != NULL)
        input(e, side, path, message);
}

void ends_input(struct ends *e, struct ends_side *side, struct span message)
{
    struct path path = e->path;
    struct session_status status;
    session_status(e->client.session, &status);
    if (status.path.remote.ip.family != IP_NONE)
        path = status.path;
    if (!side->is_client)
        path = turned(&path);
    if (side->session != NULL)
        input(e, side, &path, message);
}

void ends_deliver(struct ends *e, bool to_client, const struct path *sent_on, struct span payload)
{
    struct path at = turned(sent_on);
    struct span message;
    bool marker = (to_client ? at.remote.port : at.local.port) != IKE_PORT;
    if (datagram_classify(marker, payload, &message) != DATAGRAM_IKE)
        return;
    if (to_client)
        input(e, &e->client, &at, message);
    else
        gateway_input(e, &at, message);
}

static bool carry(struct ends *e, struct ends_side *from)
{
    struct session_datagram d;
    if (!ends_output(e, from, &d))
        return false;
    struct path path = d.path;
    uint8_t *copy = fuzz_copy(d.bytes);
    struct span bytes = span_make(copy, d.bytes.len);
    if (e->wire == NULL || e->wire(e, from->is_client, &path, bytes))
        ends_deliver(e, !from->is_client, &path, bytes);
    free(copy);
    return true;
}

void ends_pump(struct ends *e)
{
    unsigned carried = 0;
    bool moved = true;
    ends_judge(e, &e->client);
    ends_judge(e, &e->gateway);
    while (moved) {
        moved = carry(e, &e->client);
        moved |= carry(e, &e->gateway);
        CHECK(carried++ < PUMP_MAX);
    }
}

void ends_networks(struct ends *e, struct ends_side *side, size_t count, unsigned first)
{
    struct path all[ENDS_WAYS_MAX + 1], ways[ENDS_WAYS_MAX];
    for (unsigned i = 0; i <= ENDS_WAYS_MAX; i++) {
        all[i] = e->path;
        all[i].local.ip.bytes[2] = (uint8_t)(2 + i);
        all[i].interface = 2 + i;
    }
    all[2].remote.ip.bytes[3] = 66;
    CHECK(count <= ENDS_WAYS_MAX);
    for (size_t i = 0; i < count; i++)
        ways[i] = all[(first + i) % (ENDS_WAYS_MAX + 1)];
    session_networks_changed(side->session, e->now, ways, count);
}

void ends_wait(struct ends *e, struct ends_side *side, mono_ms ms)
{
    if (side->session == NULL)
        return;
    mono_ms until = e->now + ms, next = session_next_timeout(side->session);
    if (next > until) {
        e->now = until;
        return;
    }
    if (next > e->now)
        e->now = next;
    for (int i = 0; session_next_timeout(side->session) <= e->now; i++) {
        CHECK(i < SAME_DEADLINE_MAX);
        session_handle_timeout(side->session, e->now);
        ends_judge(e, side);
    }
}

/* --- behind the encryption --- */

struct ike_sa *ends_sa(const struct session *s, unsigned which)
{
    struct ike_sa *with_keys[SESSION_SAS_MAX];
    unsigned count = 0;
    for (size_t i = 0; s != NULL && i < SESSION_SAS_MAX; i++) {
        if (s->sas[i] != NULL && s->sas[i]->state != SA_DEAD && s->sas[i]->open != NULL)
            with_keys[count++] = s->sas[i];
    }
    return count > 0 ? with_keys[which % count] : NULL;
}

void ends_seal(const struct ike_sa *sa, const struct ike_header *h, uint8_t first,
               struct span chain, bool in_pieces, struct span *ret_train)
{
    static uint8_t buffer[IKE_MESSAGE_MAX], train[FRAGMENT_TRAIN_MAX];
    static uint64_t counter = (uint64_t)1 << 40; /* no matter how often: nothing here is secret */
    struct message_writer m;
    struct fragment_draft d;
    *ret_train = SPAN_EMPTY;
    message_begin(&m, buffer, sizeof(buffer), h);
    size_t at = sk_begin(&m, sa->open);
    wire_write_span(&m.w, chain);
    if (m.w.failed)
        return;
    buffer[at] = first; /* the SK payload's own header names what is inside */
    size_t max = in_pieces ? (size_t)PIECE_MAX : SIZE_MAX;
    if (fragment_draft_init(&d, &m, at) != ERR_OK ||
        fragment_seal(&d, sa->open, &counter, max, train, sizeof(train), ret_train) != ERR_OK)
        *ret_train = SPAN_EMPTY;
}

/* The keys by which that message's AUTH is made: with the PPK in them where it says so, and they
 * are not yet. */
static void keys_for(const struct ends *e, const struct ike_sa *sa, const struct payload_list *l,
                     struct ike_keys *ret)
{
    struct notify_payload n;
    *ret = sa->keys;
    if (sa->handshake->peer_ppk && sa->handshake->ppk != PPK_SETTLED &&
        notify_find(l, NOTIFY_PPK_IDENTITY, &n) &&
        (sa->initiator || span_equal(n.data, span_text("\2ppk"))))
        CHECK(ike_keys_mix(sa->suite.prf, &e->ppk, ret) == ERR_OK);
}

bool ends_prove(const struct ends *e, const struct ike_sa *sa, uint8_t first, uint8_t *chain,
                size_t len)
{
    static uint8_t octets[2 * IKE_MESSAGE_MAX];
    const struct handshake *h = sa->handshake;
    struct payload_list l;
    uint8_t bad, proof[PRF_OUT_MAX];
    if (h == NULL || payload_list_parse(first, span_make(chain, len), &l, &bad) != ERR_OK)
        return false;
    const struct payload *id = payload_find(&l, sa->initiator ? PAYLOAD_ID_R : PAYLOAD_ID_I);
    const struct payload *auth = payload_find(&l, PAYLOAD_AUTH);
    size_t proof_len = prf_len(sa->suite.prf);
    if (id == NULL || auth == NULL || auth->body.len != 4 + proof_len ||
        auth->body.data[0] != AUTH_METHOD_PSK)
        return false;
    /* what the peer signs: its own first message, our nonce, its ID (RFC 7296 2.15) */
    const struct blob *message = sa->initiator ? &h->init_response : &h->init_request;
    struct span signed_octets;
    struct ike_keys keys;
    keys_for(e, sa, &l, &keys);
    CHECK(auth_octets(sa->suite.prf, sa->initiator ? &keys.pr : &keys.pi,
                      span_make(message->data, message->len),
                      nonce_span(sa->initiator ? &h->nonce_i : &h->nonce_r), id->body, octets,
                      sizeof(octets), &signed_octets) == ERR_OK);
    CHECK(auth_shared_key(sa->suite.prf, secret_span(&e->psk), signed_octets, proof) == ERR_OK);
    memcpy(chain + (auth->body.data - chain) + 4, proof, proof_len);
    return true;
}
