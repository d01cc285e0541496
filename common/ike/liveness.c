/* Is the peer still there? Asks only when silence follows traffic (RFC 7296 2.4): an idle
 * connection has no deadline here. */
#include "common/ike/session_state.h"

#include "common/base/log.h"

enum {
    IN_USE_MS = 4000,
    SUSPECT_PAUSE_MS = 2000, /* hints cost at most one question in that time */
    DOUBT_MS = 30000,        /* two notices about one child within that time belong together */
    DOUBT_PAUSE_MS = 60000   /* and cost at most one rekeying in that time */
};

static mono_ms later(mono_ms a, mono_ms b)
{
    if (a == MONO_NEVER)
        return b;
    return b == MONO_NEVER || a > b ? a : b;
}

mono_ms liveness_last_in(const struct session *s)
{
    return later(s->traffic.last_in, s->current != NULL ? s->current->last_in : MONO_NEVER);
}

/* The IKE SA that questions go to; NULL while it is busy with one, or there is no network. */
static const struct ike_sa *listener(const struct session *s)
{
    const struct ike_sa *sa = s->current;
    if (sa == NULL || !sa_alive(sa) || sa->window.request.active || session_stranded(s))
        return NULL;
    return sa;
}

/* What comes through a Child SA shows that the peer is there, with our keys, whatever has become of
 * a request that was lost; but for one that has been sent as often as it may be. */
static void heard_through_child(struct session *s, mono_ms now)
{
    struct ike_sa *sa = s->current;
    s->roam.quiet = 0;
    s->roam.silence_since = MONO_NEVER;
    roam_heard(s, s->traffic.last_in);
    /* What is still on its way to an address that is gone says nothing. */
    if (!s->searching || sa == NULL || !session_roams(sa) || !sa->silent || session_stranded(s) ||
        (sa->window.request.active && sa->window.request.policy.tries == 0))
        return;
    sa_heard(sa, now);
    lifecycle_settle(s, now);
}

bool session_heard_lately(const struct session *s, mono_ms now, mono_ms since)
{
    mono_ms in = liveness_last_in(s);
    return in != MONO_NEVER && in > since && now - in < IN_USE_MS;
}

/* The last word was ours. A download that breaks off ends with what we acknowledged, often in the
 * same millisecond. */
static bool awaits_answer(const struct session *s, mono_ms in)
{
    const struct session_traffic *t = &s->traffic;
    if (t->last_out == MONO_NEVER)
        return false;
    return in == MONO_NEVER || t->last_out > in ||
           (t->last_out == in && t->last_in == in && t->out_was_last);
}

void session_traffic(struct session *s, mono_ms now, const struct session_traffic *report)
{
    bool heard = report->last_in != MONO_NEVER && report->last_in != s->traffic.last_in;
    s->traffic = *report;
    if (heard)
        heard_through_child(s, now);
    mono_ms in = liveness_last_in(s);
    if (s->unanswered_since != MONO_NEVER && in != MONO_NEVER && in >= s->unanswered_since)
        s->unanswered_since = MONO_NEVER;
    if (s->unanswered_since == MONO_NEVER && awaits_answer(s, in)) {
        bool first = report->first_out != 0 && (in == MONO_NEVER || report->first_out >= in);
        s->unanswered_since = first ? report->first_out : report->last_out;
    }
}

bool session_asks(const struct session *s)
{
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        if (s->sas[i] != NULL && s->sas[i]->window.request.active)
            return true;
    }
    return false;
}

void session_suspect(struct session *s, mono_ms now)
{
    if (s->current == NULL || now < s->suspect_after)
        return;
    log_info("somebody says that the peer does not know us any more: asking it");
    s->suspect = s->hinted = true;
    s->suspect_after = now + SUSPECT_PAUSE_MS;
    if (s->searching && s->failures == 0 && s->attempt_at != MONO_NEVER)
        s->attempt_at = now; /* and no use in waiting for what has been asked already */
    lifecycle_settle(s, now);
}

/* INVALID_SPI about one of our children. If the peer answers our question, and the notice comes
 * again after a while in which nothing came through the child, then the IKE SA lives and that child
 * is dead: the peer may have lost it alone. A new one costs little, even where somebody lied. */
void liveness_doubt_child(struct session *s, mono_ms now, struct child_sa *c)
{
    bool again = s->doubted_spi_in == c->spi_in && now - s->doubted_at < DOUBT_MS;
    bool heard = s->traffic.last_in != MONO_NEVER && s->traffic.last_in >= s->doubted_at;
    bool ripe = now - s->doubted_at >= SUSPECT_PAUSE_MS;
    if (again && ripe && !s->hinted && !heard && now >= s->doubt_after &&
        c->state == CHILD_INSTALLED) {
        log_info("the peer answers, but does not know the Child SA: rekeying it");
        s->doubt_after = now + DOUBT_PAUSE_MS;
        c->rekey_wanted = true;
        lifecycle_settle(s, now);
        return;
    }
    if (!again) {
        s->doubted_spi_in = c->spi_in;
        s->doubted_at = now;
    }
    session_suspect(s, now);
}

bool session_in_use(const struct session *s, mono_ms now)
{
    return s->traffic.last_out != MONO_NEVER && now - s->traffic.last_out < IN_USE_MS;
}

/* What has come since from the peer itself weighs more. */
bool session_hinted(const struct session *s)
{
    mono_ms hinted_at = s->suspect_after - SUSPECT_PAUSE_MS;
    return s->hinted && (s->traffic.last_in == MONO_NEVER || s->traffic.last_in <= hinted_at);
}

/* When silence has to be answered; only while nothing else is being asked. */
static mono_ms probe_at(const struct session *s)
{
    if (listener(s) == NULL)
        return MONO_NEVER;
    if (s->suspect)
        return 0;
    if (s->config.dpd_ms == 0 || s->unanswered_since == MONO_NEVER)
        return MONO_NEVER;
    return s->unanswered_since + mono_earlier(s->config.dpd_ms, roam_patience(s));
}

bool session_wants_probe(const struct session *s, mono_ms now)
{
    return now >= probe_at(s);
}

static void tell(struct session *s, mono_ms now, enum session_liveness result)
{
    struct session_event *event = session_emit(s, SESSION_EVENT_LIVENESS);
    mono_ms in = liveness_last_in(s);
    s->asked = result == SESSION_LIVENESS_ASKED;
    if (event == NULL)
        return;
    event->liveness.result = result;
    event->liveness.silence_ms = in != MONO_NEVER ? now - in : -1;
}

void session_probe_over(struct session *s, mono_ms now, bool answered)
{
    if (s->asked)
        tell(s, now, answered ? SESSION_LIVENESS_ANSWERED : SESSION_LIVENESS_SILENT);
}

void session_probed(struct session *s, mono_ms now)
{
    tell(s, now, SESSION_LIVENESS_ASKED);
    s->suspect = false;
    if (s->roam.silence_since == MONO_NEVER)
        s->roam.silence_since = s->unanswered_since;
    s->unanswered_since = now; /* and again, should the answer not be the end of it */
}

mono_ms liveness_next_timeout(const struct session *s)
{
    return probe_at(s);
}
