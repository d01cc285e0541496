/* The client's driver: a user who wants the connection up, and begins again when it went down. */
#include "tests/sim/sim.h"

enum { START_AGAIN_MIN_MS = 100, START_AGAIN_MAX_MS = 1000 };

/* A patient user: the pauses grow, in long runs to a two-hundredth of them. */
static void start_later(struct world *w, size_t i)
{
    mono_ms pause = rng_between(&w->random, START_AGAIN_MIN_MS, START_AGAIN_MAX_MS);
    mono_ms most = w->healed ? START_AGAIN_MAX_MS : w->plan.faulty_ms / 200 + START_AGAIN_MAX_MS;
    unsigned doublings = w->clients[i].attempts < 20 ? w->clients[i].attempts : 20;
    w->clients[i].attempts++;
    world_at(w, mono_earlier(pause << doublings, most), DUE_CLIENT_START, (unsigned)i, NULL);
}

void client_start(struct world *w, size_t i)
{
    struct client *c = &w->clients[i];
    if (c->end != NULL || !c->wanted || c->paused)
        return;
    struct session_config config = w->plan.client;
    char id[] = "client1.example.com";
    id[6] = (char)('1' + i);
    ASSERT(identity_parse(id, &config.local_id) == ERR_OK);
    certificates_use(&config, i == 0 ? CERTIFIED_CLIENT1 : CERTIFIED_CLIENT2);
    config.random = (struct random_source){rng_fill, &c->random};
    c->end = end_new(w, END_CLIENT, &config);
    wipe(&config, sizeof(config));
    if (c->end == NULL) {
        start_later(w, i);
        return;
    }
    c->end->client = i;
    const struct path path = {
        .local = {c->outer, (uint16_t)(40000 + rng_below(&w->random, 10000))},
        .remote = {gateway_outer(), rng_chance(&w->random, 800) ? IKE_PORT : IKE_NAT_PORT},
        .interface = 2,
    };
    session_networks_changed(c->end->session, client_clock(w), &path, 1);
    enum err err = session_start(c->end->session, client_clock(w));
    end_settle(c->end);
    if (err != ERR_OK) {
        if (err != ERR_MEMORY)
            violate(w, "unexpected-error", "session_start: %s", err_text(err));
        end_free(c->end);
        c->end = NULL;
        start_later(w, i);
        return;
    }
    client_settled(w, i);
}

void client_settled(struct world *w, size_t i)
{
    struct client *c = &w->clients[i];
    if (c->end == NULL || !c->end->down)
        return;
    check_reason(c->end);
    if (c->end->was_up)
        c->attempts = 0;
    end_free(c->end);
    c->end = NULL;
    if (c->wanted)
        start_later(w, i);
}

void client_datagram(struct world *w, struct datagram *d)
{
    struct client *c = &w->clients[d->client];
    if (c->end == NULL || c->paused)
        return;
    const struct path path = {.local = d->to, .remote = d->from, .interface = 2};
    struct span payload = span_make(d->bytes, d->len), message;
    switch (datagram_classify(d->from.port != IKE_PORT, payload, &message)) {
    case DATAGRAM_IKE: {
        struct ike_header h;
        bool parsed = ike_header_parse(message, &h) == ERR_OK;
        bool established = c->end->up;
        uint64_t before = established ? check_print(c->end) : 0;
        bool fresh = d->sealed && parsed && !observe_delivered(c->end, &h, message, d->genuine);
        end_input(c->end, &path, message);
        if (established && !(fresh && d->genuine) && !memory_failed() &&
            check_print(c->end) != before)
            violate(w, "forgery-believed", "client%zu: an unauthenticated datagram changed it",
                    d->client + 1);
        break;
    }
    case DATAGRAM_ESP:
        end_esp_in(c->end, &path, payload);
        break;
    case DATAGRAM_KEEPALIVE:
    case DATAGRAM_BAD:
        break;
    }
    client_settled(w, d->client);
}

/* What users and administrators do at a client. */
void client_command(struct world *w, size_t i)
{
    struct client *c = &w->clients[i];
    if (c->paused)
        return;
    if (c->end == NULL) {
        c->wanted = true;
        start_later(w, i);
        return;
    }
    struct session *s = c->end->session;
    enum err err = ERR_OK;
    if (rng_chance(&w->random, 500)) {
        enum session_rekey what = (enum session_rekey)rng_below(&w->random, 3);
        transcript_note(w, "client", "command: rekey %d", (int)what);
        err = session_rekey(s, client_clock(w), what);
    } else if (rng_chance(&w->random, 500)) {
        transcript_note(w, "client", "command: reconnect");
        err = session_reconnect(s, client_clock(w));
    } else {
        transcript_note(w, "client", "command: stop");
        c->wanted = rng_chance(&w->random, 700); /* and up again, or with a later command */
        c->end->stopping = true;
        session_stop(s, client_clock(w));
    }
    if (err != ERR_OK && err != ERR_STATE && err != ERR_MEMORY)
        violate(w, "unexpected-error", "a command at the client: %s", err_text(err));
    end_settle(c->end);
    client_settled(w, i);
}
