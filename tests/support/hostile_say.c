/* What the hand-driven peer says: the payloads of a good peer, exchange by exchange, for tests to
 * spoil. */
#include <string.h>

#include "tests/support/hostile.h"

static const char *const inside[] = {"10.7.0.2/32",
                                     "10.9.0.0/24"}; /* the client's, the gateway's */

/* --- chains --- */

void hostile_insert(struct hostile_chain *c, size_t at, uint8_t type, struct span body)
{
    if (c->count == HOSTILE_PAYLOADS_MAX || body.len > HOSTILE_BODY_MAX || at > c->count)
        ck_abort_msg("a payload that does not fit");
    memmove(&c->items[at + 1], &c->items[at], (c->count - at) * sizeof(c->items[0]));
    c->count++;
    c->items[at].type = type;
    c->items[at].flags = 0;
    c->items[at].len = body.len;
    if (body.len > 0)
        memcpy(c->items[at].body, body.data, body.len);
}

void hostile_add(struct hostile_chain *c, uint8_t type, struct span body)
{
    hostile_insert(c, c->count, type, body);
}

void hostile_remove(struct hostile_chain *c, size_t at)
{
    ck_assert_uint_lt(at, c->count);
    c->count--;
    memmove(&c->items[at], &c->items[at + 1], (c->count - at) * sizeof(c->items[0]));
}

void hostile_double(struct hostile_chain *c, size_t at)
{
    static struct hostile_payload p;
    p = c->items[at];
    hostile_insert(c, at + 1, p.type, span_make(p.body, p.len));
}

struct hostile_payload *hostile_find(struct hostile_chain *c, uint8_t type)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->items[i].type == type)
            return &c->items[i];
    }
    ck_abort_msg("no payload of type %u", type);
    return NULL;
}

/* What the writers of common/ike put into a message, as payloads of a chain. */
static uint8_t draft[8192];

static void draft_begin(struct message_writer *m)
{
    static const struct ike_header none;
    message_begin(m, draft, sizeof(draft), &none);
}

static void draft_end(struct message_writer *m, struct hostile_chain *c)
{
    struct payload_list l;
    struct span all;
    uint8_t bad;
    ck_ok(message_finish(m, &all));
    ck_ok(payload_list_parse(draft[16], span_make(draft + IKE_HEADER_LEN, all.len - IKE_HEADER_LEN),
                             &l, &bad));
    for (size_t i = 0; i < l.count; i++)
        hostile_add(c, l.items[i].type, l.items[i].body);
}

void hostile_add_notify(struct hostile_chain *c, uint16_t type, struct span data)
{
    struct message_writer m;
    draft_begin(&m);
    notify_write(&m, type, data);
    draft_end(&m, c);
}

void hostile_add_proposals(struct hostile_chain *c, const struct proposal_list *l)
{
    struct message_writer m;
    draft_begin(&m);
    size_t at = payload_begin(&m, PAYLOAD_SA);
    proposal_list_write(&m.w, l);
    payload_end(&m, at);
    draft_end(&m, c);
}

void hostile_add_ke(struct hostile_chain *c, uint16_t method, struct span value)
{
    struct message_writer m;
    draft_begin(&m);
    ke_payload_write(&m, method, value);
    draft_end(&m, c);
}

void hostile_add_ts(struct hostile_chain *c, uint8_t type, const char *prefix)
{
    struct message_writer m;
    struct prefix p;
    ck_ok(prefix_parse(prefix, &p));
    const struct selector_list l = {.items = {selector_from_prefix(&p)}, .count = 1};
    draft_begin(&m);
    ts_payload_write(&m, type, &l);
    draft_end(&m, c);
}

void hostile_add_delete(struct hostile_chain *c, const uint32_t *spis, size_t count)
{
    struct message_writer m;
    draft_begin(&m);
    if (count > 0)
        delete_esp_write(&m, spis, count);
    else
        delete_ike_write(&m);
    draft_end(&m, c);
}

static void put_spi(struct proposal_list *l, uint8_t protocol, uint64_t spi)
{
    for (size_t i = 0; i < l->count; i++) {
        struct proposal *p = &l->items[i];
        struct wire_writer w;
        p->protocol = protocol;
        p->spi_len = protocol == PROTOCOL_IKE ? 8 : 4;
        wire_writer_init(&w, p->spi, sizeof(p->spi));
        if (protocol == PROTOCOL_IKE)
            wire_write_u64(&w, spi);
        else
            wire_write_u32(&w, (uint32_t)spi);
    }
}

static uint64_t get_spi(const struct proposal *p)
{
    struct wire_reader r;
    wire_reader_init(&r, span_make(p->spi, p->spi_len));
    return p->spi_len == 8 ? wire_read_u64(&r) : wire_read_u32(&r);
}

static const struct payload *must_have(const struct hostile_message *m, uint8_t type)
{
    const struct payload *p = payload_find(&m->payloads, type);
    if (p == NULL)
        ck_abort_msg("no payload of type %u", type);
    return p;
}

static void proposals_of(const struct hostile_message *m, struct proposal_list *ret)
{
    ck_ok(proposal_list_parse(must_have(m, PAYLOAD_SA)->body, ret));
}

/* Our choice of what the session offered. */
static void choose(const struct hostile_message *m, const struct proposal_list *ours,
                   bool without_ke, struct proposal_list *ret)
{
    struct proposal_list offered;
    proposals_of(m, &offered);
    *ret = (struct proposal_list){.count = 1};
    ck_ok(proposal_select(&offered, ours, true, without_ke, &ret->items[0]));
}

/* --- nonces, key exchange --- */

static void fresh_nonce(struct hostile *h, bool of_initiator)
{
    const struct random_source *random = &h->pair.client_config.random;
    uint8_t *nonce = of_initiator ? h->nonce_i : h->nonce_r;
    random_fill(random, nonce, NONCE_LEN);
    *(of_initiator ? &h->nonce_i_len : &h->nonce_r_len) = NONCE_LEN;
}

static void fresh_kex(struct hostile *h, enum ke_id method)
{
    kex_free(h->kex);
    h->kex = NULL;
    ck_ok(kex_new(method, &h->pair.client_config.random, &h->kex));
}

static void take_nonce(struct hostile *h, const struct hostile_message *m, bool of_initiator)
{
    struct span nonce;
    ck_ok(nonce_payload_parse(must_have(m, PAYLOAD_NONCE)->body, &nonce));
    memcpy(of_initiator ? h->nonce_i : h->nonce_r, nonce.data, nonce.len);
    *(of_initiator ? &h->nonce_i_len : &h->nonce_r_len) = nonce.len;
}

static void add_nonce(struct hostile_chain *c, const struct hostile *h, bool of_initiator)
{
    hostile_add(c, PAYLOAD_NONCE,
                of_initiator ? span_make(h->nonce_i, h->nonce_i_len)
                             : span_make(h->nonce_r, h->nonce_r_len));
}

/* Of h->sa, whose SPIs and roles are set; `old` where it succeeds another one. */
static void derive(struct hostile *h, const struct hostile_message *theirs,
                   const struct hostile_sa *old)
{
    struct hostile_sa *sa = &h->sa;
    struct ke_payload ke;
    struct secret shared;
    ck_ok(ke_payload_parse(must_have(theirs, PAYLOAD_KE)->body, &ke));
    ck_ok(kex_shared(h->kex, ke.value, &shared));
    const struct ike_keys_input in = {.nonce_i = span_make(h->nonce_i, h->nonce_i_len),
                                      .nonce_r = span_make(h->nonce_r, h->nonce_r_len),
                                      .spi_i = sa->spi_i,
                                      .spi_r = sa->spi_r,
                                      .shared = secret_span(&shared)};
    if (old == NULL)
        ck_ok(ike_keys_derive(&sa->suite, &in, &sa->keys));
    else
        ck_ok(ike_keys_rederive(old->suite.prf, &old->keys.d, &sa->suite, &in, &sa->keys));
    const struct ike_keys *k = &sa->keys;
    struct aead *i, *r;
    ck_ok(aead_new(&sa->suite.cipher, secret_span(&k->ei), secret_span(&k->ai), &i));
    ck_ok(aead_new(&sa->suite.cipher, secret_span(&k->er), secret_span(&k->ar), &r));
    sa->seal = sa->initiator ? i : r;
    sa->open = sa->initiator ? r : i;
}

/* --- IKE_SA_INIT, IKE_AUTH --- */

static void init_chain(struct hostile *h, struct hostile_chain *c)
{
    if (h->as_gateway) {
        struct proposal_list chosen;
        choose(&h->init_request, &h->ike, false, &chosen);
        ck_ok(proposal_suite(&chosen.items[0], &h->sa.suite));
        take_nonce(h, &h->init_request, true);
        hostile_add_proposals(c, &chosen);
    } else {
        ck_ok(proposal_suite(&h->ike.items[0], &h->sa.suite));
        hostile_add_proposals(c, &h->ike);
    }
    fresh_kex(h, h->sa.suite.ke);
    fresh_nonce(h, !h->as_gateway);
    hostile_add_ke(c, (uint16_t)h->sa.suite.ke, kex_public(h->kex));
    add_nonce(c, h, !h->as_gateway);
    if (h->fragmentation)
        hostile_add_notify(c, NOTIFY_IKEV2_FRAGMENTATION_SUPPORTED, SPAN_EMPTY);
}

static void add_auth(struct hostile *h, struct hostile_chain *c)
{
    static uint8_t octets[IKE_MESSAGE_MAX];
    const struct hostile_message *own = h->as_gateway ? &h->init_response : &h->init_request;
    const struct hostile_payload *id = hostile_find(c, h->as_gateway ? PAYLOAD_ID_R : PAYLOAD_ID_I);
    struct span signed_octets, other_nonce = h->as_gateway ? span_make(h->nonce_i, h->nonce_i_len)
                                                           : span_make(h->nonce_r, h->nonce_r_len);
    uint8_t auth[PRF_OUT_MAX];
    struct message_writer m;
    ck_ok(auth_octets(h->sa.suite.prf, h->as_gateway ? &h->sa.keys.pr : &h->sa.keys.pi,
                      span_make(own->raw, own->raw_len), other_nonce, span_make(id->body, id->len),
                      octets, sizeof(octets), &signed_octets));
    ck_ok(auth_shared_key(h->sa.suite.prf, secret_span(&h->pair.psk), signed_octets, auth));
    draft_begin(&m);
    auth_payload_write(&m, AUTH_METHOD_PSK, span_make(auth, prf_len(h->sa.suite.prf)));
    draft_end(&m, c);
}

static void add_cp(struct hostile *h, struct hostile_chain *c)
{
    struct configuration cp = {.type = CP_REQUEST};
    struct message_writer m;
    if (h->without_cp)
        return;
    if (h->as_gateway)
        cp = h->pair.assigned;
    else
        cp.addresses[cp.address_count++] = (struct prefix){{.family = IP_V4}, 32};
    draft_begin(&m);
    cp_payload_write(&m, &cp);
    draft_end(&m, c);
}

static void auth_chain(struct hostile *h, struct hostile_chain *c)
{
    const struct identity *id =
        h->as_gateway ? &h->pair.gateway_config.local_id : &h->pair.client_config.local_id;
    struct proposal_list esp = h->esp;
    struct message_writer m;
    draft_begin(&m);
    id_payload_write(&m, h->as_gateway ? PAYLOAD_ID_R : PAYLOAD_ID_I, id);
    draft_end(&m, c);
    add_auth(h, c);
    add_cp(h, c);
    if (h->as_gateway && payload_find(&h->request.payloads, PAYLOAD_SA) != NULL)
        choose(&h->request, &h->esp, true, &esp);
    h->spi = h->next_spi++;
    put_spi(&esp, PROTOCOL_ESP, h->spi);
    hostile_add_proposals(c, &esp);
    hostile_add_ts(c, PAYLOAD_TS_I, inside[0]);
    hostile_add_ts(c, PAYLOAD_TS_R, inside[1]);
}

void hostile_next(struct hostile *h, struct ike_header *ret, struct hostile_chain *c)
{
    uint8_t exchange = h->stage == HOSTILE_BEGUN   ? EXCHANGE_IKE_SA_INIT
                       : h->stage == HOSTILE_KEYED ? EXCHANGE_IKE_AUTH
                                                   : EXCHANGE_INFORMATIONAL;
    bool response = h->as_gateway && h->stage != HOSTILE_UP;
    c->count = 0;
    if (h->stage == HOSTILE_BEGUN && !h->as_gateway) {
        h->sa.spi_i = random_u64(&h->pair.client_config.random);
        h->sa.spi_r = 0;
    }
    if (h->stage == HOSTILE_BEGUN)
        init_chain(h, c);
    else if (h->stage == HOSTILE_KEYED)
        auth_chain(h, c);
    *ret = hostile_header(h, exchange, response,
                          response ? h->request.header.message_id : h->sa.next_id);
}

void hostile_advance(struct hostile *h)
{
    static struct hostile_message m;
    struct proposal_list esp;
    if (!h->as_gateway || h->stage == HOSTILE_UP)
        h->sa.next_id++;
    if (h->stage == HOSTILE_BEGUN && h->as_gateway) {
        derive(h, &h->init_request, NULL);
        do
            hostile_expect(h, &m, EXCHANGE_IKE_AUTH, false);
        while (m.partial);
        h->path = m.path;                                    /* on to port 4500 */
        if (payload_find(&m.payloads, PAYLOAD_SA) != NULL) { /* else it is childless */
            proposals_of(&m, &esp);
            h->peer_spi = (uint32_t)get_spi(&esp.items[0]);
        }
    } else if (h->stage == HOSTILE_BEGUN) {
        hostile_expect(h, &h->init_response, EXCHANGE_IKE_SA_INIT, true);
        h->sa.spi_r = h->init_response.header.spi_r;
        take_nonce(h, &h->init_response, false);
        derive(h, &h->init_response, NULL);
    } else if (h->stage == HOSTILE_KEYED && !h->as_gateway) {
        hostile_expect(h, &m, EXCHANGE_IKE_AUTH, true);
        proposals_of(&m, &esp);
        h->peer_spi = (uint32_t)get_spi(&esp.items[0]);
    } else if (h->stage == HOSTILE_UP) {
        hostile_expect(h, &m, EXCHANGE_INFORMATIONAL, true);
        return;
    }
    h->stage++;
    if (h->stage == HOSTILE_UP) {
        ck_assert_uint_eq(h->events[SESSION_EVENT_UP], 1);
        hostile_expect_nothing(h);
    }
}

void hostile_reach(struct hostile *h, enum hostile_stage stage)
{
    static struct hostile_chain c;
    struct ike_header header;
    if (h->session == NULL)
        hostile_begin(h);
    while (h->stage < stage) {
        hostile_next(h, &header, &c);
        if (h->stage == HOSTILE_BEGUN)
            hostile_send_clear(h, &header, &c);
        else
            hostile_send_sealed(h, &header, &c);
        hostile_advance(h);
    }
}

/* --- CREATE_CHILD_SA --- */

/* TSi and TSr, by who asks. */
static void add_selectors(const struct hostile *h, struct hostile_chain *c, bool we_ask)
{
    bool client_asks = we_ask != h->as_gateway;
    hostile_add_ts(c, PAYLOAD_TS_I, inside[client_asks ? 0 : 1]);
    hostile_add_ts(c, PAYLOAD_TS_R, inside[client_asks ? 1 : 0]);
}

void hostile_child_request(struct hostile *h, struct hostile_chain *c, uint32_t rekeyed)
{
    struct proposal_list esp = h->esp;
    c->count = 0;
    if (rekeyed != 0) {
        const uint8_t spi[] = {(uint8_t)(rekeyed >> 24), (uint8_t)(rekeyed >> 16),
                               (uint8_t)(rekeyed >> 8), (uint8_t)rekeyed};
        const struct notify_payload n = {
            .protocol = PROTOCOL_ESP, .spi = SPAN_OF(spi), .type = NOTIFY_REKEY_SA};
        struct message_writer m;
        draft_begin(&m);
        notify_payload_write(&m, &n);
        draft_end(&m, c);
    }
    put_spi(&esp, PROTOCOL_ESP, h->next_spi++);
    hostile_add_proposals(c, &esp);
    fresh_nonce(h, true);
    add_nonce(c, h, true);
    if (h->child_ke != KE_NONE) {
        fresh_kex(h, h->child_ke);
        hostile_add_ke(c, (uint16_t)h->child_ke, kex_public(h->kex));
    }
    add_selectors(h, c, true);
}

void hostile_child_response(struct hostile *h, struct hostile_chain *c)
{
    struct proposal_list chosen;
    c->count = 0;
    choose(&h->request, &h->esp, h->child_ke == KE_NONE, &chosen);
    put_spi(&chosen, PROTOCOL_ESP, h->next_spi++);
    hostile_add_proposals(c, &chosen);
    fresh_nonce(h, false);
    add_nonce(c, h, false);
    if (h->child_ke != KE_NONE) {
        fresh_kex(h, h->child_ke);
        hostile_add_ke(c, (uint16_t)h->child_ke, kex_public(h->kex));
    }
    add_selectors(h, c, false);
}

static const uint64_t our_new_spi = 0x4142434445464748;

void hostile_ike_request(struct hostile *h, struct hostile_chain *c)
{
    struct proposal_list ike = h->ike;
    c->count = 0;
    put_spi(&ike, PROTOCOL_IKE, our_new_spi + h->next_spi++);
    hostile_add_proposals(c, &ike);
    fresh_nonce(h, true);
    add_nonce(c, h, true);
    fresh_kex(h, proposal_list_first_ke(&h->ike));
    hostile_add_ke(c, (uint16_t)kex_id(h->kex), kex_public(h->kex));
}

void hostile_ike_response(struct hostile *h, struct hostile_chain *c)
{
    struct proposal_list chosen;
    struct suite suite;
    c->count = 0;
    choose(&h->request, &h->ike, false, &chosen);
    ck_ok(proposal_suite(&chosen.items[0], &suite));
    put_spi(&chosen, PROTOCOL_IKE, our_new_spi + h->next_spi++);
    hostile_add_proposals(c, &chosen);
    fresh_nonce(h, false);
    add_nonce(c, h, false);
    fresh_kex(h, suite.ke);
    hostile_add_ke(c, (uint16_t)suite.ke, kex_public(h->kex));
}

void hostile_ike_follow(struct hostile *h, const struct hostile_message *theirs)
{
    struct proposal_list l;
    bool we_asked = (theirs->header.flags & IKE_FLAG_RESPONSE) != 0;
    uint64_t ours = our_new_spi + h->next_spi - 1;
    proposals_of(theirs, &l);
    take_nonce(h, theirs, !we_asked);
    aead_free(h->before.seal);
    aead_free(h->before.open);
    h->before = h->sa;
    h->sa = (struct hostile_sa){.initiator = we_asked, .suite = h->before.suite};
    h->sa.spi_i = we_asked ? ours : get_spi(&l.items[0]);
    h->sa.spi_r = we_asked ? get_spi(&l.items[0]) : ours;
    derive(h, theirs, &h->before);
}

static void move_message(struct hostile_message *to, const struct hostile_message *from)
{
    *to = *from;
    ptrdiff_t moved = (uint8_t *)to - (uint8_t *)(uintptr_t)from;
    for (size_t i = 0; i < to->payloads.count; i++)
        to->payloads.items[i].body.data += moved;
}

void hostile_restart(struct hostile *h)
{
    ck_assert(h->as_gateway && h->request.header.exchange == EXCHANGE_IKE_SA_INIT);
    move_message(&h->init_request, &h->request);
    aead_free(h->before.seal);
    aead_free(h->before.open);
    h->before = h->sa;
    h->sa = (struct hostile_sa){.spi_i = h->request.header.spi_i, .spi_r = h->before.spi_r + 1};
    h->stage = HOSTILE_BEGUN;
}

void hostile_swap(struct hostile *h)
{
    struct hostile_sa sa = h->sa;
    h->sa = h->before;
    h->before = sa;
}
