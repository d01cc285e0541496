/* The Child SAs of a session: installed, replaced, drained, forgotten. The exchanges that make and
 * delete them are in exchange_child.c and exchange_informational.c; their packets are common/esp's.
 *
 * A child is not cut off: its successor listens before it goes (make before break), and what the
 * peer sent before it heard of the Delete may still come in for a moment. */
#include <inttypes.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/ike/sa.h"

enum {
    LINGER_MS = 3000,   /* for packets that were overtaken by the Delete */
    REPLACED_MS = 30000 /* the peer's time to delete what it replaced */
};

struct child_sa *child_by_spi_in(const struct session *s, uint32_t spi_in)
{
    struct child_sa **children = session_children(s);
    for (size_t i = 0; i < CHILDREN_MAX && spi_in != 0; i++) {
        if (children[i] != NULL && children[i]->spi_in == spi_in)
            return children[i];
    }
    return NULL;
}

/* RFC 7296 1.4.1: what the peer calls a child by, its inbound SPI. */
struct child_sa *child_by_spi_out(const struct ike_sa *sa, uint32_t spi_out)
{
    struct child_sa **children = session_children(sa->session);
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        struct child_sa *c = children[i];
        if (c != NULL && c->sa == sa && c->installed && c->spi_out == spi_out &&
            c->state != CHILD_LINGERING)
            return c;
    }
    return NULL;
}

struct child_sa *child_first(const struct ike_sa *sa)
{
    struct child_sa **children = session_children(sa->session);
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        struct child_sa *c = children[i];
        if (c != NULL && c->sa == sa && c->installed && !c->delete_wanted &&
            (c->state == CHILD_INSTALLED || c->state == CHILD_REKEYING))
            return c;
    }
    return NULL;
}

uint32_t child_new_spi(struct ike_sa *sa)
{
    uint32_t spi;
    do
        spi = (uint32_t)random_u64(&sa->config->random);
    while (spi < 256 || child_by_spi_in(sa->session, spi) != NULL);
    return spi;
}

/* --- beginning --- */

static void forget(struct child_sa **slot)
{
    wipe(*slot, sizeof(**slot));
    free(*slot);
    *slot = NULL;
}

/* An empty place; where there is none, that of the child which has lingered longest. */
static struct child_sa **free_slot(struct session *s)
{
    struct child_sa **children = session_children(s), **oldest = NULL;
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        struct child_sa *c = children[i];
        if (c == NULL)
            return &children[i];
        if (c->state == CHILD_LINGERING &&
            (oldest == NULL || c->expires_at < (*oldest)->expires_at))
            oldest = &children[i];
    }
    if (oldest != NULL)
        child_remove(*oldest);
    return oldest;
}

static struct child_sa *child_new(struct ike_sa *sa, uint32_t spi_in)
{
    struct child_sa **slot = free_slot(sa->session);
    struct child_sa *c = slot != NULL ? malloc(sizeof(*c)) : NULL;
    if (c == NULL)
        return NULL;
    *c = (struct child_sa){
        .sa = sa, .spi_in = spi_in, .rekey_at = MONO_NEVER, .expires_at = MONO_NEVER};
    *slot = c;
    return c;
}

static void start_life(struct child_sa *c, mono_ms now)
{
    const struct session_config *config = c->sa->config;
    uint32_t life_ms = config->lifetimes.child_ms;
    if (life_ms == 0)
        return;
    uint32_t tenth_ms = life_ms / 10 + 1;
    c->expires_at = now + (mono_ms)life_ms;
    c->rekey_at = c->expires_at - (mono_ms)tenth_ms - random_below(&config->random, tenth_ms);
}

/* 80 to 90 % of it. */
static uint64_t soft_end(const struct ike_sa *sa, uint64_t hard)
{
    uint64_t tenth = hard / 10;
    if (hard == 0)
        return 0;
    uint32_t bound = tenth < UINT32_MAX ? (uint32_t)tenth + 1 : UINT32_MAX;
    return hard - tenth - random_below(&sa->config->random, bound);
}

static void set_limits(const struct ike_sa *sa, struct session_child *c)
{
    const struct session_lifetimes *l = &sa->config->lifetimes;
    uint64_t packets = l->child_packets;
    /* RFC 4303 3.3.3: the sequence number never wraps. */
    if (!c->suite.esn && (packets == 0 || packets > UINT32_MAX))
        packets = UINT32_MAX;
    c->hard_bytes = l->child_bytes;
    c->hard_packets = packets;
    c->soft_bytes = soft_end(sa, c->hard_bytes);
    c->soft_packets = soft_end(sa, c->hard_packets);
}

static enum err announce(struct ike_sa *sa, const struct child_terms *t, struct child_sa *old)
{
    struct child_keys keys = {0};
    enum err e = child_keys_derive(sa->suite.prf, &sa->keys.d, &t->suite, t->shared,
                                   nonce_span(t->nonce_i), nonce_span(t->nonce_r), &keys);
    if (e != ERR_OK)
        return e;
    struct session_event *event = session_emit(sa->session, SESSION_EVENT_CHILD_UP);
    if (event == NULL) {
        child_keys_wipe(&keys);
        return ERR_MEMORY;
    }
    event->child = (struct session_child){
        .spi_in = t->spi_in,
        .spi_out = t->spi_out,
        .replaces_spi_in = old != NULL ? old->spi_in : 0,
        .outbound_waits = old != NULL && !t->we_initiated,
        .suite = t->suite,
        .enc_out = t->we_initiated ? keys.enc_i : keys.enc_r,
        .integ_out = t->we_initiated ? keys.integ_i : keys.integ_r,
        .enc_in = t->we_initiated ? keys.enc_r : keys.enc_i,
        .integ_in = t->we_initiated ? keys.integ_r : keys.integ_i,
        .local = *t->local,
        .remote = *t->remote,
    };
    set_limits(sa, &event->child);
    child_keys_wipe(&keys);
    return ERR_OK;
}

enum err child_install(struct ike_sa *sa, mono_ms now, const struct child_terms *t,
                       struct child_sa *old, struct child_sa **ret)
{
    struct child_sa *c = child_new(sa, t->spi_in);
    if (c == NULL)
        return ERR_LIMIT;
    c->spi_out = t->spi_out;
    c->local = *t->local;
    c->remote = *t->remote;
    c->suite = t->suite;
    c->lowest = nonce_lower(t->nonce_i, t->nonce_r) ? *t->nonce_i : *t->nonce_r;
    c->generation = old != NULL ? old->generation + 1 : 0;
    start_life(c, now);
    enum err e = announce(sa, t, old);
    if (e != ERR_OK) {
        child_remove(c);
        return e;
    }
    c->installed = true;
    if (ret != NULL)
        *ret = c;
    return ERR_OK;
}

void child_discard(struct ike_sa *sa, mono_ms now, uint32_t spi_in)
{
    struct child_sa *c = child_new(sa, spi_in);
    if (c == NULL) {
        /* The peer would send by what nobody here can open: better no IKE SA than that. */
        struct fault f = {0};
        (void)fault_set(&f, ERR_MEMORY, "no memory to delete a Child SA that the peer has");
        sa_close(sa, now, SESSION_DOWN_INTERNAL, &f, 0);
        return;
    }
    c->state = CHILD_REPLACED;
    c->delete_wanted = true;
}

/* --- succession --- */

static void emit_rekeyed(const struct child_sa *old, const struct child_sa *made)
{
    struct session_event *event = session_emit(old->sa->session, SESSION_EVENT_REKEYED);
    if (event == NULL)
        return;
    event->rekeyed.old_spi_in = old->spi_in;
    event->rekeyed.spi_in = made->spi_in;
}

/* One of the two is over: its maker deletes it at once, or we wait until the peer does. */
static void give_up(struct child_sa *c, uint32_t successor, bool ours_to_delete, mono_ms now)
{
    c->state = CHILD_REPLACED;
    c->rival = 0;
    c->successor = successor;
    c->delete_wanted = ours_to_delete;
    c->expires_at = mono_earlier(c->expires_at, now + REPLACED_MS); /* its keys' own end stands */
}

/* RFC 7296 2.8.1: of two successors the one whose exchange had the lowest of the four nonces goes,
 * and its maker deletes it; the maker of the other one deletes what was rekeyed. */
void child_replaced(struct child_sa *old, struct child_sa *made, bool we_initiated, mono_ms now)
{
    struct child_sa *rival = child_by_spi_in(old->sa->session, old->rival);
    if (rival == NULL || rival == made) {
        emit_rekeyed(old, made);
        give_up(old, made->spi_in, we_initiated, now);
        return;
    }
    bool ours_goes = nonce_lower(&made->lowest, &rival->lowest);
    log_debug("both sides rekeyed at once: %s successor stays", ours_goes ? "the peer's" : "our");
    struct child_sa *stays = ours_goes ? rival : made, *goes = ours_goes ? made : rival;
    emit_rekeyed(old, stays);
    give_up(old, stays->spi_in, !ours_goes, now);
    give_up(goes, stays->spi_in, ours_goes, now);
    if (ours_goes)
        child_drain(made);
}

void children_move(struct ike_sa *from, struct ike_sa *to)
{
    struct child_sa **children = session_children(from->session);
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (children[i] != NULL && children[i]->sa == from)
            children[i]->sa = to;
    }
}

/* --- end --- */

static void emit(struct child_sa *c, enum session_event_type type)
{
    struct session_event *event = c->installed ? session_emit(c->sa->session, type) : NULL;
    if (event != NULL)
        event->child_down_spi_in = c->spi_in;
}

void child_drain(struct child_sa *c)
{
    if (c->drained)
        return;
    c->drained = true;
    emit(c, SESSION_EVENT_CHILD_DRAIN);
}

void child_remove(struct child_sa *c)
{
    struct child_sa **children = session_children(c->sa->session);
    emit(c, SESSION_EVENT_CHILD_DOWN);
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (children[i] == c)
            forget(&children[i]);
    }
}

void child_gone(struct child_sa *c, mono_ms now)
{
    if (c->state == CHILD_LINGERING)
        return;
    if (!c->installed) {
        child_remove(c);
        return;
    }
    child_drain(c);
    c->state = CHILD_LINGERING;
    c->delete_wanted = false;
    c->expires_at = now + LINGER_MS;
}

void child_deleted(struct child_sa *c, mono_ms now)
{
    struct child_sa **children = session_children(c->sa->session);
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        struct child_sa *old = children[i];
        if (old == NULL || old->successor != c->spi_in || old->state != CHILD_REPLACED ||
            old->delete_wanted || old->drained)
            continue;
        log_info("the peer goes on with the Child SA with our SPI %08" PRIx32, old->spi_in);
        old->state = CHILD_INSTALLED;
        old->rekey_wanted = true; /* it has until expires_at for that */
    }
    child_gone(c, now);
}

void children_remove(struct ike_sa *sa)
{
    struct child_sa **children = session_children(sa->session);
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (children[i] != NULL && children[i]->sa == sa)
            child_remove(children[i]);
    }
}

void children_gone(struct ike_sa *sa, mono_ms now)
{
    struct child_sa **children = session_children(sa->session);
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (children[i] != NULL && children[i]->sa == sa)
            child_gone(children[i], now);
    }
}

/* --- time --- */

mono_ms children_next_timeout(const struct ike_sa *sa)
{
    mono_ms next = MONO_NEVER;
    struct child_sa **children = session_children(sa->session);
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (children[i] != NULL && children[i]->sa == sa)
            next = mono_earlier(next, children[i]->expires_at);
    }
    return next;
}

static void child_expired(struct child_sa *c, mono_ms now)
{
    c->expires_at = MONO_NEVER;
    if (c->state == CHILD_LINGERING) {
        child_remove(c);
        return;
    }
    if (c->state == CHILD_DELETING)
        return; /* the answer, or the end of the IKE SA, will be its end */
    log_info("the Child SA with our SPI %08" PRIx32 " has reached its end", c->spi_in);
    child_drain(c); /* a key that has served its time serves no longer */
    give_up(c, 0, true, now);
    c->expires_at = MONO_NEVER;
}

void children_handle_timeout(struct ike_sa *sa, mono_ms now)
{
    struct child_sa **children = session_children(sa->session);
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (children[i] != NULL && children[i]->sa == sa && now >= children[i]->expires_at)
            child_expired(children[i], now);
    }
}
