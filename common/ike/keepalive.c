/* Keepalives (RFC 3948 4), and how long the translator in front of us remembers: asked of it, not
 * assumed. Where nothing has gone either way for somewhat longer than it is known to remember, the
 * keepalive is a question (its answer tells how the gateway sees us): seen as before, that long is
 * good, and the next silence may be longer; seen elsewhere, it stays at what was good before. Seen
 * elsewhere without such a question, what was learned is not true any more, and is learned anew.
 * Each network has its own memory of that.
 *
 * Only while nothing else is sent: a connection in use needs none of it. */
#include "common/ike/session_state.h"

#include "common/base/log.h"

enum {
    STRETCH_PERCENT = 125,
    STRETCH_MAX_MS = 300000,
    INWARD_MS = 1000 /* what comes in that long after our last packet keeps a translator awake */
};

static struct nat_memory *memory_of(struct session *s)
{
    const struct path *path = &s->current->path;
    struct nat_memory *oldest = &s->nats[0];
    for (size_t i = 0; i < NATS_MAX; i++) {
        struct nat_memory *m = &s->nats[i];
        if (m->good_ms > 0 && m->interface == path->interface &&
            ip_equal(&m->local, &path->local.ip))
            return m;
        if (m->good_ms == 0 || (oldest->good_ms > 0 && m->used < oldest->used))
            oldest = m;
    }
    *oldest = (struct nat_memory){
        .interface = path->interface, .local = path->local.ip, .good_ms = s->config.keepalive_ms};
    return oldest;
}

static const struct nat_memory *known_memory(const struct session *s)
{
    const struct path *path = &s->current->path;
    for (size_t i = 0; i < NATS_MAX; i++) {
        const struct nat_memory *m = &s->nats[i];
        if (m->good_ms > 0 && m->interface == path->interface &&
            ip_equal(&m->local, &path->local.ip))
            return m;
    }
    return NULL;
}

static mono_ms last_out(const struct session *s)
{
    mono_ms esp = s->traffic.last_out, ike = s->last_sent;
    if (esp == MONO_NEVER || ike == MONO_NEVER)
        return esp == MONO_NEVER ? ike : esp;
    return esp > ike ? esp : ike;
}

static bool needed(const struct session *s)
{
    return s->current != NULL && sa_alive(s->current) && s->config.keepalive_ms != 0 &&
           s->current->nat_local && last_out(s) != MONO_NEVER && !session_stranded(s);
}

static bool learns(const struct session *s)
{
    return s->config.keepalive_learns && session_roams(s->current) &&
           !s->current->window.request.active;
}

/* After how much silence; *ret_trial: it is to be a question. */
static uint32_t interval_ms(const struct session *s, bool *ret_trial)
{
    const struct nat_memory *m = known_memory(s);
    uint32_t good_ms = m != NULL ? m->good_ms : s->config.keepalive_ms;
    mono_ms in = liveness_last_in(s);
    *ret_trial = false;
    if (!learns(s) || (m != NULL && m->bounded))
        return good_ms;
    *ret_trial = true;
    if (!s->roam.seen_known) /* what it is to be compared with is asked first */
        return good_ms;
    if (in != MONO_NEVER && in > last_out(s) + INWARD_MS) {
        *ret_trial = false;
        return good_ms;
    }
    uint32_t ms = good_ms / 100 * STRETCH_PERCENT;
    return ms < STRETCH_MAX_MS ? ms : STRETCH_MAX_MS;
}

mono_ms keepalive_next_timeout(const struct session *s)
{
    bool trial;
    return needed(s) ? last_out(s) + (mono_ms)interval_ms(s, &trial) : MONO_NEVER;
}

bool keepalive_wants_question(const struct session *s, mono_ms now)
{
    bool trial;
    return needed(s) && now >= last_out(s) + (mono_ms)interval_ms(s, &trial) && trial;
}

void keepalive_asking(struct session *s, mono_ms now)
{
    bool trial;
    memory_of(s)->used = now;
    s->nat_tried_ms = s->roam.seen_known ? interval_ms(s, &trial) : 0;
}

void keepalive_judge(struct session *s, bool changed)
{
    struct nat_memory *m = memory_of(s);
    uint32_t tried_ms = s->nat_tried_ms;
    s->nat_tried_ms = 0;
    if (tried_ms == 0 && changed) { /* within what it stood before: it is another one by now */
        m->good_ms = s->config.keepalive_ms;
        m->bounded = false;
    }
    if (tried_ms == 0)
        return;
    if (changed)
        m->bounded = true;
    else if (tried_ms > m->good_ms)
        m->good_ms = tried_ms;
    if (m->good_ms >= STRETCH_MAX_MS)
        m->bounded = true;
    log_info("the address translator %s %u s of silence: keepalives after %u s",
             changed ? "forgets us within" : "remembers us for", (unsigned)(tried_ms / 1000),
             (unsigned)(m->good_ms / 1000));
}

void keepalive_handle_timeout(struct session *s, mono_ms now)
{
    static const uint8_t keepalive[] = {0xff};
    bool trial;
    if (!needed(s) || now < last_out(s) + (mono_ms)interval_ms(s, &trial) || trial)
        return; /* a question is asked by sa_pump */
    s->last_sent = now;
    session_queue(s, &s->current->path, SPAN_OF(keepalive));
}
