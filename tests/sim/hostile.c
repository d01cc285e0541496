/* The third party. It hears everything, writes what it likes with any source address, answers in
 * the gateway's place and knocks at the gateway; but it has no key. */
#include "tests/sim/sim.h"

#include <stdlib.h>

/* Who a forged datagram is meant for, and the conversation that it pretends to belong to. */
struct target {
    bool to_gateway;
    size_t client;
    struct endpoint from, to;
    const struct datagram *capture; /* of that direction; NULL: none yet */
};

static const struct datagram *some_capture(struct world *w)
{
    struct network *n = &w->network;
    size_t count = n->captured < CAPTURES_MAX ? n->captured : CAPTURES_MAX;
    return count == 0 ? NULL : n->captures[rng_below(&w->hostile.random, count)];
}

static bool is_ike(const struct datagram *d, struct ike_header *h, struct span *ret)
{
    uint16_t port = d->to_gateway ? d->to.port : d->from.port;
    return datagram_classify(port != IKE_PORT, span_make(d->bytes, d->len), ret) == DATAGRAM_IKE &&
           ike_header_parse(*ret, h) == ERR_OK;
}

static void send_later(struct world *w, const struct datagram *like, struct span bytes,
                       bool genuine, mono_ms after)
{
    struct rng *r = &w->hostile.random;
    struct datagram *d =
        datagram_new(like->to_gateway, like->client, &like->from, &like->to, bytes);
    d->genuine = d->sealed = genuine;
    if (like->to_gateway && rng_chance(r, 300))
        d->from = (struct endpoint){ip_v4(192, 0, 2, 66), (uint16_t)rng_between(r, 1, 65535)};
    network_inject(w, d, after);
}

static void send(struct world *w, const struct datagram *like, struct span bytes, bool genuine)
{
    send_later(w, like, bytes, genuine, rng_between(&w->hostile.random, 0, 30));
}

static void random_bytes(struct world *w, const struct datagram *like)
{
    uint8_t bytes[200];
    struct rng *r = &w->hostile.random;
    size_t len = rng_below(r, sizeof(bytes));
    rng_fill(r, bytes, len);
    if (rng_chance(r, 500) && len > 4)
        memset(bytes, 0, 4);
    send(w, like, span_make(bytes, len), false);
}

static void mutated(struct world *w, const struct datagram *like)
{
    struct rng *r = &w->hostile.random;
    uint8_t *bytes = sim_alloc(like->len + 16);
    memcpy(bytes, like->bytes, like->len);
    size_t len = like->len;
    switch (rng_below(r, 3)) {
    case 0: /* bits */
        for (unsigned n = 0; n < 4; n++)
            bytes[rng_below(r, len)] ^= (uint8_t)rng_between(r, 1, 255);
        break;
    case 1: /* cut */
        len = rng_below(r, len);
        break;
    default: /* lengthened */
        rng_fill(r, bytes + len, 16);
        len += (size_t)rng_between(r, 1, 16);
    }
    if (len != like->len || memcmp(bytes, like->bytes, len) != 0)
        send(w, like, span_make(bytes, len), false);
    sim_free(bytes);
}

/* Errors and requests in the clear, with the SPIs of a conversation that was overheard. */
static void clear_notify(struct world *w, const struct datagram *like)
{
    static const uint16_t types[] = {
        NOTIFY_AUTHENTICATION_FAILED, NOTIFY_NO_PROPOSAL_CHOSEN,
        NOTIFY_INVALID_KE_PAYLOAD,    NOTIFY_COOKIE,
        NOTIFY_INVALID_SPI,           NOTIFY_INVALID_IKE_SPI,
        NOTIFY_INVALID_SYNTAX,        NOTIFY_INVALID_MAJOR_VERSION,
        NOTIFY_TEMPORARY_FAILURE,     NOTIFY_CHILD_SA_NOT_FOUND,
    };
    static const uint8_t exchanges[] = {EXCHANGE_IKE_SA_INIT, EXCHANGE_IKE_SA_INIT,
                                        EXCHANGE_IKE_AUTH, EXCHANGE_CREATE_CHILD_SA,
                                        EXCHANGE_INFORMATIONAL};
    struct rng *r = &w->hostile.random;
    struct ike_header h;
    struct span message;
    if (!is_ike(like, &h, &message))
        return;
    h.exchange = exchanges[rng_below(r, sizeof(exchanges))];
    if (rng_chance(r, 700))
        h.flags |= IKE_FLAG_RESPONSE;
    if (rng_chance(r, 300))
        h.message_id += (uint32_t)rng_between(r, 0, 2);
    if (rng_chance(r, 200))
        h.spi_r = rng_u64(r);
    uint8_t data[80], out[300] = {0};
    rng_fill(r, data, sizeof(data));
    uint16_t type = types[rng_below(r, sizeof(types) / sizeof(types[0]))];
    size_t len = rng_below(r, sizeof(data));
    if (type == NOTIFY_INVALID_KE_PAYLOAD) {
        static const uint8_t groups[] = {KE_X25519, KE_ECP_256, KE_MODP_1024, 77};
        data[0] = 0;
        data[1] = groups[rng_below(r, sizeof(groups))];
        len = 2;
    }
    uint16_t port = like->to_gateway ? like->to.port : like->from.port;
    size_t marker = port == IKE_PORT ? 0 : NON_ESP_MARKER_LEN;
    struct message_writer m;
    message_begin(&m, out + marker, sizeof(out) - marker, &h);
    notify_write(&m, type, span_make(data, len));
    struct span whole;
    if (message_finish(&m, &whole) == ERR_OK)
        send(w, like, span_make(out, marker + whole.len), false);
}

/* A protected message, or an ESP packet far ahead, with the right numbers and nothing true in it.
 */
static void false_seal(struct world *w, const struct datagram *like)
{
    struct rng *r = &w->hostile.random;
    uint8_t *bytes = sim_alloc(like->len);
    memcpy(bytes, like->bytes, like->len);
    struct ike_header h;
    struct span message;
    size_t keep = 8;
    if (is_ike(like, &h, &message)) {
        size_t marker = like->len - message.len;
        if (message.len < IKE_HEADER_LEN + 4) {
            sim_free(bytes);
            return;
        }
        keep = marker + IKE_HEADER_LEN + 4;
        bytes[marker + 23] = (uint8_t)(bytes[marker + 23] + rng_below(r, 3));
        if (rng_chance(r, 500))
            bytes[marker + 19] ^= IKE_FLAG_RESPONSE;
        if (rng_chance(r, 500))
            bytes[marker + 18] = (uint8_t)rng_between(r, EXCHANGE_IKE_SA_INIT, 37);
    } else if (like->len > 8) {
        bytes[4 + rng_below(r, 4)] += (uint8_t)rng_between(r, 0, 200);
    } else {
        keep = like->len;
    }
    if (like->len > keep)
        rng_fill(r, bytes + keep, like->len - keep);
    if (memcmp(bytes, like->bytes, like->len) != 0)
        send(w, like, span_make(bytes, like->len), false);
    sim_free(bytes);
}

/* --- ends of its own --- */

static void intruder_start(struct world *w)
{
    struct hostile *o = &w->hostile;
    if (o->intruder != NULL)
        return;
    struct session_config config = w->plan.client;
    ASSERT(identity_parse("client1.example.com", &config.local_id) == ERR_OK);
    config.second.id = config.local_id;
    config.local_psk.data[0] ^= 1;
    config.eap.password.data[0] ^= 1;
    memcpy(config.eap.name, "client1.example.com", sizeof("client1.example.com"));
    certificates_use(&config, CERTIFIED_INTRUDER);
    config.random = (struct random_source){rng_fill, &o->random};
    struct end *e = end_new(w, END_INTRUDER, &config);
    if (e == NULL)
        return;
    const struct path path = {
        .local = {ip_v4(192, 0, 2, 66), 4500},
        .remote = {gateway_outer(), IKE_NAT_PORT},
        .interface = 2,
    };
    o->intruder = e;
    session_networks_changed(e->session, end_clock(e), &path, 1);
    bool begun = session_start(e->session, end_clock(e)) == ERR_OK;
    end_settle(e);
    if (!begun) {
        end_free(e);
        o->intruder = NULL;
    }
}

/* It knows how to believe: the first question, which is how to check the client, gets the true
 * answer, so that the client hears the proof that follows. For that, it has no key. */
static enum err impostor_psk(void *ctx, const struct identity *peer, struct secret *ret)
{
    struct end *e = ctx;
    (void)peer;
    *ret = e->world->psk;
    if (e->leased)
        ret->data[0] ^= 1;
    e->leased = true;
    return ERR_OK;
}

static enum err impostor_assign(void *ctx, const struct identity *peer,
                                const struct configuration *request, struct configuration *ret)
{
    struct end *e = ctx;
    (void)peer;
    (void)request;
    if (e->certified || e->world->plan.gateway.eap_only) /* EAP should have told the client */
        violate(e->world, "up-before-auth", "client%zu takes the impostor for the gateway",
                e->client + 1);
    struct ip any = ip_v4(10, 7, 0, 99);
    *ret = (struct configuration){.type = CP_REPLY, .address_count = 1};
    ret->addresses[0] = prefix_host(&any);
    return ERR_OK;
}

static enum err eap_packet(struct session_eap_step *ret, uint8_t code, uint8_t identifier,
                           struct span rest)
{
    struct wire_writer out;
    wire_writer_init(&out, ret->packet, sizeof(ret->packet));
    wire_write_u8(&out, code);
    wire_write_u8(&out, identifier);
    wire_write_u16(&out, (uint16_t)(4 + rest.len));
    wire_write_span(&out, rest);
    ret->packet_len = out.len;
    return wire_write_finish(&out);
}

/* It has the gateway's certificate, but nobody's password, or the client is to see its certificate
 * by EAP alone: it plays along as far as it cares to, and then says that all is well, or something
 * else that no fair server says. */
static enum err impostor_eap(void *ctx, const struct identity *claimed, struct span response,
                             struct session_eap_step *ret)
{
    static const char *const says[] = {"\x01who?",      "\x02patience",
                                       "\x0d ",         "\x1a\x04\x01\xff\x01 E=691 R=1 M=\033[2J",
                                       "\x06Password:", "\x1a"};
    struct end *e = ctx;
    struct rng *r = &e->world->hostile.random;
    uint8_t identifier = response.len > 1 ? response.data[1] : 0, noise[40];
    bool alone = e->world->plan.gateway.eap_only;
    if (response.len > 0 && !e->certified && !alone)
        violate(e->world, "credential-early", "client%zu says something of EAP to the impostor",
                e->client + 1);
    if (e->patient || rng_chance(r, 850)) {
        enum err err = gateway_eap(ctx, claimed, response, ret);
        if (err == ERR_OK && e->eap.stage == EAP_SERVER_JUDGED)
            ret->packet[20] ^= 1; /* within its proof: whoever takes it is let in */
        if (err == ERR_OK && alone && ret->outcome == EAP_SUCCEEDED)
            violate(e->world, "credential-early", "client%zu shows the impostor its certificate",
                    e->client + 1);
        return err;
    }
    *ret = (struct session_eap_step){.outcome = EAP_GOING_ON};
    rng_fill(r, noise, sizeof(noise));
    switch (rng_below(r, 4)) {
    case 0:
        return eap_packet(ret, EAP_REQUEST, identifier,
                          span_make(noise, rng_below(r, sizeof(noise))));
    case 1:
        return eap_packet(ret, EAP_REQUEST, (uint8_t)(identifier + 1),
                          span_text(says[rng_below(r, sizeof(says) / sizeof(says[0]))]));
    default:
        ret->outcome = EAP_SUCCEEDED;
        ret->peer.type = IDENTITY_FQDN;
        return eap_packet(ret, EAP_SUCCESS, identifier, SPAN_EMPTY);
    }
}

static void impostor_new(struct world *w)
{
    struct session_config config = w->plan.gateway;
    /* With a method that proves the user alone, the certificate is all there is to the gateway. */
    bool certified = plan_uses_eap(&w->plan) && w->plan.client.eap.methods[0] == EAP_MSCHAPV2 &&
                     rng_chance(&w->hostile.random, 700);
    certificates_use(&config, certified ? CERTIFIED_GATEWAY : CERTIFIED_IMPOSTOR);
    config.random = (struct random_source){rng_fill, &w->hostile.random};
    config.policy = (struct session_policy){.find_psk = impostor_psk,
                                            .assign = impostor_assign,
                                            .eap = impostor_eap,
                                            .find_ppk = gateway_ppk};
    w->hostile.impostor = end_new(w, END_IMPOSTOR, &config);
    if (w->hostile.impostor != NULL) {
        w->hostile.impostor->certified = certified;
        w->hostile.impostor->patient = certified && rng_chance(&w->hostile.random, 500);
    }
    if (w->hostile.impostor != NULL && w->plan.client.local_auth == SESSION_AUTH_CERTIFICATE)
        w->hostile.impostor->leased = true; /* the first question is about its own key */
}

void hostile_impostor(struct world *w)
{
    struct hostile *o = &w->hostile;
    if (rng_chance(&o->random, 500)) {
        intruder_start(w);
        return;
    }
    o->victim = rng_below(&o->random, w->plan.clients);
    o->impostor_until = w->now + rng_between(&o->random, 500, 5000);
    transcript_note(w, "hostile", "takes client%zu's datagrams for a while", o->victim + 1);
}

static void end_done(struct end **e)
{
    if (*e == NULL || !(*e)->down)
        return;
    end_free(*e);
    *e = NULL;
}

/* Once it has taken a client it says where else it is, whatever that thinks of its proof. */
static void impostor_announces(struct end *e)
{
    const struct ip own = ip_v4(192, 0, 2, 66);
    if (!e->up || e->additional > 0 ||
        session_set_additional(e->session, end_clock(e), &own, 1) != ERR_OK)
        return;
    e->additional = 1;
    end_settle(e);
}

static bool to_impostor(struct world *w, const struct datagram *d)
{
    struct hostile *o = &w->hostile;
    if (!d->to_gateway || !d->genuine || d->client != o->victim || w->now >= o->impostor_until ||
        !has_fault(w, FAULT_IMPOSTOR))
        return false;
    struct ike_header h;
    struct span message;
    if (!is_ike(d, &h, &message))
        return true; /* ESP vanishes */
    if (h.exchange == EXCHANGE_IKE_SA_INIT && h.spi_r == 0 &&
        (o->impostor == NULL || !session_owns(o->impostor->session, &h, message))) {
        end_free(o->impostor);
        impostor_new(w);
    }
    if (o->impostor == NULL)
        return true;
    o->impostor->client = d->client;
    const struct path path = {.local = d->to, .remote = d->from, .interface = 1};
    end_input(o->impostor, &path, message);
    impostor_announces(o->impostor);
    end_done(&o->impostor);
    return true;
}

bool hostile_datagram(struct world *w, const struct datagram *d)
{
    struct hostile *o = &w->hostile;
    const struct ip own = ip_v4(192, 0, 2, 66);
    if (!d->to_gateway && ip_equal(&d->to.ip, &own)) {
        struct span message;
        const struct path path = {.local = d->to, .remote = d->from, .interface = 2};
        if (o->intruder != NULL &&
            datagram_classify(true, span_make(d->bytes, d->len), &message) == DATAGRAM_IKE) {
            end_input(o->intruder, &path, message);
            end_done(&o->intruder);
        }
        return true;
    }
    return to_impostor(w, d);
}

mono_ms hostile_deadline(const struct world *w)
{
    const struct hostile *o = &w->hostile;
    mono_ms next = o->intruder != NULL ? end_deadline(o->intruder) : MONO_NEVER;
    return o->impostor != NULL ? mono_earlier(next, end_deadline(o->impostor)) : next;
}

void hostile_timeouts(struct world *w)
{
    struct end **ends[] = {&w->hostile.intruder, &w->hostile.impostor};
    for (size_t i = 0; i < 2; i++) {
        if (*ends[i] == NULL || end_deadline(*ends[i]) > w->now)
            continue;
        end_timeout(*ends[i]);
        end_done(ends[i]);
    }
}

void hostile_free(struct world *w)
{
    end_free(w->hostile.intruder);
    end_free(w->hostile.impostor);
    w->hostile.intruder = w->hostile.impostor = NULL;
}

void hostile_burst(struct world *w)
{
    enum { REPLAYS = 4 };
    struct rng *r = &w->hostile.random;
    const struct datagram *like = some_capture(w);
    struct ike_header h;
    struct span message;
    if (like == NULL || like->len < ESP_HEADER_LEN || is_ike(like, &h, &message))
        return;
    traffic_burst(w, like->client, !like->to_gateway,
                  ESP_REPLAY_WINDOW + (size_t)rng_below(r, 100));
    for (mono_ms i = 1; i <= REPLAYS; i++)
        send_later(w, like, span_make(like->bytes, like->len), true,
                   rng_between(r, 0, i * 2 * w->plan.traffic_ms));
}

void hostile_act(struct world *w)
{
    const struct datagram *like = some_capture(w);
    if (like == NULL || like->len == 0)
        return;
    switch (rng_below(&w->hostile.random, 6)) {
    case 0:
        random_bytes(w, like);
        break;
    case 1:
        mutated(w, like);
        break;
    case 2: /* as it was */
        send(w, like, span_make(like->bytes, like->len), true);
        break;
    case 3:
    case 4:
        clear_notify(w, like);
        break;
    default:
        false_seal(w, like);
    }
}
