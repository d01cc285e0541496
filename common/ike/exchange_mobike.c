/* What MOBIKE adds to INFORMATIONAL and IKE_AUTH (RFC 4555), both directions: where we are, where
 * else the peer could be found, whether an address is really the one who claims it. When we move,
 * and where to, is roam.c's.
 *
 * Our own other addresses are not told (RFC 4555 3.4 leaves it to us): the gateway could do nothing
 * with them that we do not do sooner, and they tell a stranger's network where its user goes. */
#include "common/ike/sa.h"

#include "common/base/log.h"

enum { COOKIE2_MIN = 8, COOKIE2_MAX = 64 };

/* --- addresses --- */

static void write_addresses(struct message_writer *m, const struct ip *addresses, size_t count)
{
    for (size_t i = 0; i < count; i++)
        notify_write(m,
                     addresses[i].family == IP_V4 ? NOTIFY_ADDITIONAL_IP4_ADDRESS
                                                  : NOTIFY_ADDITIONAL_IP6_ADDRESS,
                     ip_span(&addresses[i]));
    if (count == 0)
        notify_write(m, NOTIFY_NO_ADDITIONAL_ADDRESSES, SPAN_EMPTY);
}

/* The list is whole each time (RFC 4555 3.6); false where the message holds none. */
static bool read_addresses(const struct ike_sa *sa, const struct payload_list *l, struct ip *ret,
                           size_t *ret_count)
{
    const struct payload *p = NULL;
    struct notify_payload n;
    bool seen = false;
    *ret_count = 0;
    while ((p = payload_next(l, PAYLOAD_NOTIFY, p)) != NULL) {
        if (notify_payload_parse(p->body, &n) != ERR_OK)
            continue;
        seen |= n.type == NOTIFY_NO_ADDITIONAL_ADDRESSES;
        if (n.type != NOTIFY_ADDITIONAL_IP4_ADDRESS && n.type != NOTIFY_ADDITIONAL_IP6_ADDRESS)
            continue;
        struct ip ip = ip_from_span(n.data);
        enum ip_family family = n.type == NOTIFY_ADDITIONAL_IP4_ADDRESS ? IP_V4 : IP_V6;
        seen = true;
        if (ip.family == family && *ret_count < SESSION_ADDITIONAL_MAX &&
            addresses_usable(sa, &ip) && !ip_listed(ret, *ret_count, &ip))
            ret[(*ret_count)++] = ip;
    }
    return seen;
}

/* Who has not proven itself may still ask something while it is told so, and has no addresses. */
static void take_addresses(struct ike_sa *sa, const struct sa_input *in)
{
    struct ip addresses[SESSION_ADDITIONAL_MAX];
    size_t count;
    if (sa->config->role == SESSION_INITIATOR && sa->established != MONO_NEVER &&
        read_addresses(sa, &in->payloads, addresses, &count))
        addresses_said(sa, in->now, sa->established, addresses, count);
}

/* --- IKE_AUTH --- */

void mobike_write_support(const struct ike_sa *sa, struct message_writer *m)
{
    const struct session_config *c = sa->config;
    if (!c->mobike || (c->role == SESSION_RESPONDER && !sa->peer_mobike))
        return;
    notify_write(m, NOTIFY_MOBIKE_SUPPORTED, SPAN_EMPTY);
    if (c->role == SESSION_RESPONDER && c->additional_count > 0)
        write_addresses(m, c->additional, c->additional_count);
}

void mobike_read_support(struct ike_sa *sa, const struct sa_input *in)
{
    struct notify_payload n;
    sa->peer_mobike = sa->config->mobike && notify_find(&in->payloads, NOTIFY_MOBIKE_SUPPORTED, &n);
}

/* Of a new IKE SA: what an earlier one said does not count any more. */
void mobike_read_addresses(struct ike_sa *sa, const struct sa_input *in)
{
    struct ip addresses[SESSION_ADDITIONAL_MAX];
    size_t count = 0;
    if (sa->peer_mobike)
        (void)read_addresses(sa, &in->payloads, addresses, &count);
    addresses_said(sa, in->now, in->now, addresses, count);
}

/* --- we ask --- */

/* RFC 4555 3.7. */
static void write_cookie2(struct ike_sa *sa, struct message_writer *m)
{
    struct task *t = &sa->task;
    random_fill(&sa->config->random, t->cookie2, sizeof(t->cookie2));
    t->cookie2_sent = true;
    notify_write(m, NOTIFY_COOKIE2, SPAN_OF(t->cookie2));
}

enum err mobike_update_send(struct ike_sa *sa, mono_ms now)
{
    struct message_writer m;
    size_t sk;
    roam_updating(sa);
    task_end(&sa->task);
    sa->task.kind = TASK_UPDATE;
    sa_request_begin(sa, &m, EXCHANGE_INFORMATIONAL, &sk);
    notify_write(&m, NOTIFY_UPDATE_SA_ADDRESSES, SPAN_EMPTY);
    nat_detection_write(sa, &m, &sa->path, sa->spi_r);
    if (roam_gateway_has_several(sa))
        write_cookie2(sa, &m);
    return sa_request_send(sa, now, &m, sk, &sa->config->retransmit);
}

enum err mobike_probe_send(struct ike_sa *sa, mono_ms now)
{
    struct message_writer m;
    size_t sk;
    task_end(&sa->task);
    sa->task.kind = TASK_PROBE;
    sa_request_begin(sa, &m, EXCHANGE_INFORMATIONAL, &sk);
    nat_detection_write(sa, &m, &sa->path, sa->spi_r);
    if (roam_gateway_has_several(sa))
        write_cookie2(sa, &m);
    return sa_request_send(sa, now, &m, sk, &sa->config->retransmit);
}

/* What a gateway has to say of its own accord: our other addresses; are you there? */
bool mobike_wants(const struct ike_sa *sa)
{
    return sa->config->role == SESSION_RESPONDER && sa->peer_mobike &&
           (roam_wants_check(sa) || roam_wants_announcement(sa));
}

enum err mobike_send(struct ike_sa *sa, mono_ms now)
{
    struct message_writer m;
    size_t sk;
    task_end(&sa->task);
    sa->task.kind = TASK_PROBE;
    sa_request_begin(sa, &m, EXCHANGE_INFORMATIONAL, &sk);
    if (roam_wants_announcement(sa))
        write_addresses(&m, sa->config->additional, sa->config->additional_count);
    if (roam_wants_check(sa))
        write_cookie2(sa, &m);
    roam_said(sa);
    return sa_request_send(sa, now, &m, sk, &sa->config->retransmit);
}

/* --- the peer answers --- */

/* False where the answer does not return what it has to. */
static bool cookie2_returned(const struct ike_sa *sa, const struct sa_input *in)
{
    const struct task *t = &sa->task;
    struct notify_payload n;
    return !t->cookie2_sent || (notify_find(&in->payloads, NOTIFY_COOKIE2, &n) &&
                                span_equal(n.data, SPAN_OF(t->cookie2)));
}

static void read_nat(struct ike_sa *sa, const struct sa_input *in)
{
    struct notify_payload n;
    if (!notify_find(&in->payloads, NOTIFY_NAT_DETECTION_DESTINATION_IP, &n) ||
        n.data.len != NAT_HASH_LEN)
        return;
    bool was_nat = sa->nat_local;
    sa->nat_local = nat_between(in, NOTIFY_NAT_DETECTION_DESTINATION_IP, &sa->path.local);
    sa->nat_remote = nat_between(in, NOTIFY_NAT_DETECTION_SOURCE_IP, &sa->path.remote);
    roam_seen_as(sa, in->now, n.data, was_nat);
}

void mobike_response_in(struct ike_sa *sa, const struct sa_input *in)
{
    struct notify_payload n;
    enum task_kind kind = sa->task.kind;
    if (!cookie2_returned(sa, in)) {
        struct fault f = {0};
        (void)fault_set(&f, ERR_REFUSED,
                        "the peer did not return COOKIE2: it may not be where it says it is");
        sa_close(sa, in->now, SESSION_DOWN_PROTOCOL, &f, 0); /* RFC 4555 3.7 */
        return;
    }
    if (sa->config->role == SESSION_RESPONDER) {
        roam_checked(sa);
        return;
    }
    if (!session_roams(sa)) /* replaced meanwhile, or about to end: its successor tells and asks */
        return;
    if (roam_certain(sa))
        read_nat(sa, in);
    else if (kind == TASK_PROBE)
        roam_uncertain(sa);
    if (kind != TASK_UPDATE)
        return;
    if (notify_find(&in->payloads, NOTIFY_UNACCEPTABLE_ADDRESSES, &n) ||
        notify_find(&in->payloads, NOTIFY_UNEXPECTED_NAT_DETECTED, &n))
        roam_refused(sa, in->now);
    else
        roam_updated(sa, in->now);
}

/* --- the peer asks --- */

/* RFC 4555 3.9, 4.2.6: both addresses, then both ports, as their sender sees them. */
static bool nat_unexpected(struct span data, const struct path *path)
{
    struct wire_reader r;
    size_t len = ip_len(path->remote.ip.family);
    wire_reader_init(&r, data);
    struct span source = wire_read_span(&r, len);
    struct span destination = wire_read_span(&r, len);
    uint16_t source_port = wire_read_u16(&r);
    uint16_t destination_port = wire_read_u16(&r);
    return wire_read_finish(&r) != ERR_OK || !span_equal(source, ip_span(&path->remote.ip)) ||
           !span_equal(destination, ip_span(&path->local.ip)) || source_port != path->remote.port ||
           destination_port != path->local.port;
}

bool mobike_nat_unexpected(const struct ike_sa *sa, const struct sa_input *in)
{
    struct notify_payload n;
    return sa->peer_mobike && notify_find(&in->payloads, NOTIFY_NO_NATS_ALLOWED, &n) &&
           nat_unexpected(n.data, in->path);
}

enum err mobike_request_read(const struct ike_sa *sa, const struct sa_input *in,
                             struct mobike_request *ret)
{
    struct notify_payload n;
    const struct payload_list *l = &in->payloads;
    *ret = (struct mobike_request){.cookie2 = SPAN_EMPTY};
    if (!sa->peer_mobike)
        return ERR_OK;
    ret->update =
        notify_find(l, NOTIFY_UPDATE_SA_ADDRESSES, &n) && sa->config->role == SESSION_RESPONDER;
    ret->nat_detection = notify_find(l, NOTIFY_NAT_DETECTION_SOURCE_IP, &n) ||
                         notify_find(l, NOTIFY_NAT_DETECTION_DESTINATION_IP, &n);
    if (notify_find(l, NOTIFY_COOKIE2, &n)) {
        if (n.data.len < COOKIE2_MIN || n.data.len > COOKIE2_MAX)
            return ERR_MALFORMED;
        ret->cookie2 = n.data;
    }
    if (mobike_nat_unexpected(sa, in))
        ret->refusal = NOTIFY_UNEXPECTED_NAT_DETECTED;
    return ERR_OK;
}

void mobike_answer_write(struct ike_sa *sa, struct message_writer *m, const struct sa_input *in,
                         const struct mobike_request *q)
{
    if (q->refusal != 0)
        notify_write(m, q->refusal, SPAN_EMPTY);
    if (q->nat_detection)
        nat_detection_write(sa, m, in->path, sa->spi_r);
    if (q->cookie2.len > 0)
        notify_write(m, NOTIFY_COOKIE2, q->cookie2);
}

void mobike_request_act(struct ike_sa *sa, const struct sa_input *in,
                        const struct mobike_request *q)
{
    if (!sa->peer_mobike)
        return;
    roam_asked(sa, in);
    take_addresses(sa, in);
    if (!q->update || q->refusal != 0)
        return;
    sa->nat_local = nat_between(in, NOTIFY_NAT_DETECTION_DESTINATION_IP, &in->path->local);
    sa->nat_remote = nat_between(in, NOTIFY_NAT_DETECTION_SOURCE_IP, &in->path->remote);
    roam_peer_moved(sa, in);
}
