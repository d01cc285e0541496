/* The hand-driven peer: its handshake, its sealing and opening, its eyes. What it says in each
 * exchange is hostile_say.c. */
#include "tests/support/hostile.h"

#include <stdlib.h>
#include <string.h>

#include "common/ike/protect.h"

static const struct path client_seen_from_gateway = {
    .local = {{.family = IP_V4, .bytes = {203, 0, 113, 1}}, IKE_PORT},
    .remote = {{.family = IP_V4, .bytes = {192, 0, 2, 1}}, 40000},
    .interface = 1,
};

void hostile_init(struct hostile *h, bool as_gateway)
{
    struct fault f;
    memset(h, 0, sizeof(*h));
    pair_init(&h->pair);
    h->as_gateway = as_gateway;
    ck_ok(proposal_list_from_text("aes128gcm16-prfsha256-x25519", PROTOCOL_IKE, &h->ike, &f));
    ck_ok(proposal_list_from_text("aes128gcm16", PROTOCOL_ESP, &h->esp, &f));
    h->pair.client_config.ike = h->pair.gateway_config.ike = h->ike;
    h->pair.client_config.esp = h->pair.gateway_config.esp = h->esp;
    h->path = as_gateway ? h->pair.client_path : client_seen_from_gateway;
    h->next_spi = 0x11220000;
}

static void sa_wipe(struct hostile_sa *sa)
{
    ike_keys_wipe(&sa->keys);
    aead_free(sa->seal);
    aead_free(sa->open);
    *sa = (struct hostile_sa){0};
}

void hostile_wipe(struct hostile *h)
{
    session_free(h->session);
    kex_free(h->kex);
    sa_wipe(&h->sa);
    sa_wipe(&h->before);
    fragment_assembly_wipe(&h->assembly);
    pair_wipe(&h->pair);
    h->session = NULL;
    h->kex = NULL;
}

/* Each ck_assert writes to Check's pipe; what is looked at with every message has no time for it.
 */
static void must_fail(const char *what, int line)
{
    ck_abort_msg("hostile.c:%d: not so: %s", line, what);
}
#define must(condition) ((condition) ? (void)0 : must_fail(#condition, __LINE__))

static void collect(struct hostile *h)
{
    struct session_event e;
    while (session_next_event(h->session, &e)) {
        must(e.type <= SESSION_EVENT_DOWN);
        h->events[e.type]++;
        h->last[e.type] = e;
    }
}

void hostile_begin(struct hostile *h)
{
    if (!h->as_gateway) {
        ck_ok(session_new(&h->pair.gateway_config, &h->session));
        h->sa.initiator = true;
        return;
    }
    ck_ok(session_new(&h->pair.client_config, &h->session));
    session_networks_changed(h->session, h->now, &h->path, 1);
    ck_ok(session_start(h->session, h->now));
    hostile_expect(h, &h->init_request, EXCHANGE_IKE_SA_INIT, false);
    h->sa.spi_i = h->init_request.header.spi_i;
    h->sa.spi_r = 0x8877665544332211;
}

/* --- out --- */

struct ike_header hostile_header(const struct hostile *h, uint8_t exchange, bool response,
                                 uint32_t id)
{
    return (struct ike_header){
        .spi_i = h->sa.spi_i,
        .spi_r = h->sa.spi_r,
        .major = 2,
        .exchange = exchange,
        .flags = (uint8_t)((h->sa.initiator ? IKE_FLAG_INITIATOR : 0) |
                           (response ? IKE_FLAG_RESPONSE : 0)),
        .message_id = id,
    };
}

void hostile_send_bytes(struct hostile *h, struct span message)
{
    uint8_t *exact = support_exact_copy(message);
    session_input(h->session, h->now, &h->path, span_make(exact, message.len));
    free(exact);
    collect(h);
}

static void write_chain(struct message_writer *m, const struct hostile_chain *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct hostile_payload *p = &c->items[i];
        size_t at = payload_begin(m, p->type);
        wire_patch_u8(&m->w, at + 1, p->flags);
        wire_write_span(&m->w, span_make(p->body, p->len));
        payload_end(m, at);
    }
}

void hostile_send_clear(struct hostile *h, const struct ike_header *header,
                        const struct hostile_chain *c)
{
    static uint8_t bytes[IKE_MESSAGE_MAX];
    struct message_writer m;
    struct span message;
    message_begin(&m, bytes, sizeof(bytes), header);
    write_chain(&m, c);
    ck_ok(message_finish(&m, &message));
    if (header->exchange == EXCHANGE_IKE_SA_INIT && h->stage == HOSTILE_BEGUN) {
        struct hostile_message *own = h->as_gateway ? &h->init_response : &h->init_request;
        memcpy(own->raw, bytes, message.len);
        own->raw_len = message.len;
    }
    hostile_send_bytes(h, message);
}

size_t hostile_seal(struct hostile *h, const struct ike_header *header,
                    const struct hostile_chain *c, uint8_t out[IKE_MESSAGE_MAX])
{
    struct message_writer m;
    struct span message;
    message_begin(&m, out, IKE_MESSAGE_MAX, header);
    size_t at = sk_begin(&m, h->sa.seal);
    write_chain(&m, c);
    ck_ok(sk_seal(&m, at, h->sa.seal, h->sa.counter++, &message));
    return message.len;
}

void hostile_send_sealed(struct hostile *h, const struct ike_header *header,
                         const struct hostile_chain *c)
{
    static uint8_t bytes[IKE_MESSAGE_MAX];
    size_t len = hostile_seal(h, header, c, bytes);
    hostile_send_bytes(h, span_make(bytes, len));
}

void hostile_send_inner(struct hostile *h, const struct ike_header *header, uint8_t first,
                        struct span inner)
{
    static uint8_t bytes[IKE_MESSAGE_MAX];
    struct message_writer m;
    struct span message;
    message_begin(&m, bytes, sizeof(bytes), header);
    size_t at = sk_begin(&m, h->sa.seal);
    wire_patch_u8(&m.w, at, first);
    wire_write_span(&m.w, inner);
    ck_ok(sk_seal(&m, at, h->sa.seal, h->sa.counter++, &message));
    hostile_send_bytes(h, message);
}

size_t hostile_flatten(const struct hostile_chain *c, uint8_t out[IKE_MESSAGE_MAX])
{
    static uint8_t bytes[IKE_MESSAGE_MAX];
    static const struct ike_header none;
    struct message_writer m;
    message_begin(&m, bytes, sizeof(bytes), &none);
    write_chain(&m, c);
    ck_assert(!m.w.failed);
    memcpy(out, bytes + IKE_HEADER_LEN, m.w.len - IKE_HEADER_LEN);
    return m.w.len - IKE_HEADER_LEN;
}

void hostile_send_pieces(struct hostile *h, const struct ike_header *header,
                         const struct hostile_chain *c, uint16_t total, uint32_t which)
{
    static uint8_t plain[IKE_MESSAGE_MAX], bytes[IKE_MESSAGE_MAX];
    struct message_writer m;
    message_begin(&m, plain, sizeof(plain), header);
    write_chain(&m, c);
    size_t len = m.w.len - IKE_HEADER_LEN;
    for (uint16_t i = 0; i < total; i++) {
        size_t from = len * i / total, to = len * (i + 1u) / total;
        struct span message;
        if ((which & 1u << i) == 0)
            continue;
        message_begin(&m, bytes, sizeof(bytes), header);
        size_t at = skf_begin(&m, h->sa.seal, i == 0 ? plain[16] : 0, (uint16_t)(i + 1), total);
        wire_write_span(&m.w, span_make(plain + IKE_HEADER_LEN + from, to - from));
        ck_ok(skf_seal(&m, at, h->sa.seal, h->sa.counter++, &message));
        hostile_send_bytes(h, message);
    }
}

void hostile_ask(struct hostile *h, uint8_t exchange, const struct hostile_chain *c)
{
    struct ike_header header = hostile_header(h, exchange, false, h->sa.next_id++);
    hostile_send_sealed(h, &header, c);
}

void hostile_answer(struct hostile *h, const struct hostile_chain *c)
{
    const struct ike_header *q = &h->request.header;
    struct ike_header header = hostile_header(h, q->exchange, true, q->message_id);
    if (q->exchange == EXCHANGE_IKE_SA_INIT)
        hostile_send_clear(h, &header, c);
    else
        hostile_send_sealed(h, &header, c);
}

void hostile_run(struct hostile *h, mono_ms until)
{
    for (;;) {
        mono_ms next = session_next_timeout(h->session);
        if (next == MONO_NEVER || next > until)
            break;
        if (next > h->now)
            h->now = next;
        session_handle_timeout(h->session, h->now);
        collect(h);
    }
    h->now = until;
}

/* --- in --- */

static void open_whole(struct hostile_message *m, const struct aead *open)
{
    struct payload_list outer;
    uint8_t bad, first;
    struct span inner;
    memcpy(m->plain, m->raw, m->raw_len);
    ck_ok(payload_list_parse(m->header.next_payload,
                             span_make(m->plain + IKE_HEADER_LEN, m->raw_len - IKE_HEADER_LEN),
                             &outer, &bad));
    ck_assert_uint_eq(outer.items[outer.count - 1].type, PAYLOAD_SK);
    ck_ok(sk_open(m->plain, m->raw_len, &outer, open, &first, &inner));
    ck_ok(payload_list_parse(first, inner, &m->payloads, &bad));
}

static void open_piece(struct hostile *h, struct hostile_message *m, const struct aead *open)
{
    static uint8_t copy[IKE_MESSAGE_MAX];
    struct payload_list outer;
    struct skf_payload piece;
    bool complete;
    uint8_t bad, first;
    struct span inner;
    memcpy(copy, m->raw, m->raw_len);
    ck_ok(payload_list_parse(m->header.next_payload,
                             span_make(copy + IKE_HEADER_LEN, m->raw_len - IKE_HEADER_LEN), &outer,
                             &bad));
    ck_ok(skf_open(copy, m->raw_len, &outer, open, &piece));
    enum err e = fragment_add(&h->assembly, &m->header, &piece, &complete);
    m->partial = e != ERR_OK || !complete;
    if (m->partial)
        return;
    fragment_assembly_result(&h->assembly, &first, &inner);
    memcpy(m->plain, inner.data, inner.len);
    ck_ok(payload_list_parse(first, span_make(m->plain, inner.len), &m->payloads, &bad));
    fragment_assembly_wipe(&h->assembly);
}

/* RFC 7296 2.5, 3.1, 3.2, 3.14, whatever it is: version 2.0, no flag but I and R and those where
 * they belong, nothing critical or reserved, nothing encrypted twice. */
static void ck_proper(const struct hostile_sa *sa, const struct hostile_message *m)
{
    must(m->raw[17] == 0x20);
    must((m->raw[19] & 0xd7) == 0);
    must(((m->header.flags & IKE_FLAG_INITIATOR) != 0) == !sa->initiator);
    must(m->raw[IKE_HEADER_LEN + 1] == 0); /* the first payload, SK too */
    for (size_t i = 0; i < m->payloads.count; i++) {
        const struct payload *p = &m->payloads.items[i];
        must(p->body.data[-3] == 0 && p->type != PAYLOAD_SK && p->type != PAYLOAD_SKF);
    }
    must(m->sealed == (m->header.exchange != EXCHANGE_IKE_SA_INIT));
}

static const struct hostile_sa *sa_of(const struct hostile *h, const struct ike_header *header)
{
    bool before = h->before.open != NULL && header->spi_i == h->before.spi_i &&
                  header->spi_r == h->before.spi_r;
    return before ? &h->before : &h->sa;
}

bool hostile_receive(struct hostile *h, struct hostile_message *m)
{
    struct session_datagram d;
    struct span message;
    m->payloads.count = 0;
    m->partial = m->sealed = false;
    do {
        if (!session_output(h->session, h->now, &d))
            return false;
        h->datagrams++;
    } while (d.bytes.len == 1); /* a keepalive */
    const struct endpoint *gateway = h->as_gateway ? &d.path.remote : &d.path.local;
    ck_assert_int_eq(datagram_classify(gateway->port != IKE_PORT, d.bytes, &message), DATAGRAM_IKE);
    m->path = d.path;
    memcpy(m->raw, message.data, message.len);
    m->raw_len = message.len;
    if (message.len > h->longest)
        h->longest = message.len;
    ck_ok(ike_header_parse(message, &m->header));
    uint8_t first = m->header.next_payload, bad;
    const struct hostile_sa *sa = sa_of(h, &m->header);
    m->sealed = first == PAYLOAD_SK || first == PAYLOAD_SKF;
    if (m->sealed && sa->open == NULL) /* before hostile_advance has made our keys */
        return true;
    if (first == PAYLOAD_SK)
        open_whole(m, sa->open);
    else if (first == PAYLOAD_SKF)
        open_piece(h, m, sa->open);
    else
        ck_ok(payload_list_parse(first,
                                 span_make(m->raw + IKE_HEADER_LEN, m->raw_len - IKE_HEADER_LEN),
                                 &m->payloads, &bad));
    ck_proper(sa, m);
    if ((m->header.flags & IKE_FLAG_RESPONSE) == 0 && m != &h->request) {
        h->request = *m;
        ptrdiff_t moved = (uint8_t *)&h->request - (uint8_t *)m;
        for (size_t i = 0; i < m->payloads.count; i++)
            h->request.payloads.items[i].body.data += moved;
    }
    return true;
}

void hostile_expect(struct hostile *h, struct hostile_message *m, uint8_t exchange, bool response)
{
    ck_assert_msg(hostile_receive(h, m), "nothing was sent");
    ck_assert_uint_eq(m->header.exchange, exchange);
    ck_assert_int_eq((m->header.flags & IKE_FLAG_RESPONSE) != 0, response);
}

void hostile_expect_nothing(struct hostile *h)
{
    static struct hostile_message m;
    if (hostile_receive(h, &m))
        ck_abort_msg("exchange %u was sent, flags %02x, ID %u", m.header.exchange, m.header.flags,
                     m.header.message_id);
}

void hostile_ck_notify_alone(const struct hostile_message *m, uint16_t type)
{
    struct notify_payload n;
    ck_assert_uint_eq(m->payloads.count, 1);
    ck_assert_uint_eq(m->payloads.items[0].type, PAYLOAD_NOTIFY);
    ck_ok(notify_payload_parse(m->payloads.items[0].body, &n));
    ck_assert_msg(n.type == type, "notify %u, expected %u", n.type, type);
}

void hostile_ck_alive(struct hostile *h)
{
    static const struct hostile_chain empty;
    static struct hostile_message m;
    hostile_ask(h, EXCHANGE_INFORMATIONAL, &empty);
    hostile_expect(h, &m, EXCHANGE_INFORMATIONAL, true);
    ck_assert_uint_eq(m.header.message_id, h->sa.next_id - 1);
    ck_assert_uint_eq(m.payloads.count, 0);
    hostile_expect_nothing(h);
}

void hostile_look(struct hostile *h, struct hostile_view *ret)
{
    static struct hostile_message m;
    collect(h);
    while (hostile_receive(h, &m))
        ;
    session_status(h->session, &ret->status);
    ret->events = 0;
    for (size_t i = 0; i <= SESSION_EVENT_DOWN; i++)
        ret->events += h->events[i];
    ret->datagrams = h->datagrams;
    ret->deadline = session_next_timeout(h->session);
}

void hostile_ck_unchanged(struct hostile *h, const struct hostile_view *before)
{
    struct hostile_view now;
    hostile_look(h, &now);
    const struct session_status *a = &now.status, *b = &before->status;
    must(now.datagrams == before->datagrams);
    must(now.events == before->events);
    must(now.deadline == before->deadline);
    must(a->state == b->state);
    must(a->spi_i == b->spi_i);
    must(a->spi_r == b->spi_r);
    must(path_equal(&a->path, &b->path));
    must(a->ike.prf == b->ike.prf);
    must(a->nat_local == b->nat_local);
    must(a->nat_remote == b->nat_remote);
    must(a->remote_id.type == b->remote_id.type);
    must(a->established == b->established);
    must(a->rtt_ms == b->rtt_ms);
    must(a->ike_rekeys == b->ike_rekeys);
    must(a->reconnects == b->reconnects);
}
