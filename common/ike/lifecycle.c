/* Which IKE SA a session lives on: established, replaced, rebuilt, ended. How a new one is come by
 * is attempt.c's.
 *
 * A connection that was up is not given up. When the gateway is silent the old IKE SA is held and
 * goes on asking, while new attempts are made with growing pauses; whichever is heard first wins. A
 * new IKE SA stands before the old one goes (make before break). */
#include "common/ike/session_state.h"

#include <stdlib.h>

#include "common/base/log.h"

enum {
    STOP_MS = 5000,
    REPLACED_MS = 30000, /* the peer's time to delete what it replaced */
    OVERLAP_MS = 500,    /* for what is on its way by the old keys when new ones stand */
    DEAD_MS = 20000      /* the last answer may be asked for again that long */
};

bool session_is_current(const struct ike_sa *sa)
{
    return sa->session->current == sa;
}

bool session_was_up(const struct session *s)
{
    return s->was_up;
}

void lifecycle_end(struct session *s, enum session_down_reason reason, const struct fault *f)
{
    if (s->down)
        return;
    s->down = true;
    s->current = s->attempt = NULL;
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (s->children[i] != NULL)
            child_remove(s->children[i]);
    }
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) { /* what is left of them repeats answers */
        if (s->sas[i] == NULL)
            continue;
        s->sas[i]->state = SA_DEAD;
        if (reason == SESSION_DOWN_UNREACHABLE) /* to whom we gave up we do not seem to live */
            window_wipe(&s->sas[i]->window);
        sa_forget_keys(s->sas[i]);
    }
    s->down_reason = reason;
    s->down_fault = *f;
}

/* --- the list --- */

static void release(struct session *s, size_t i)
{
    struct ike_sa *sa = s->sas[i];
    children_remove(sa);
    for (size_t j = 0; j < SESSION_SAS_MAX; j++) {
        if (s->sas[j] != NULL && s->sas[j]->rival == sa)
            s->sas[j]->rival = NULL;
    }
    sa_free(sa);
    s->sas[i] = NULL;
}

static size_t free_place(struct session *s)
{
    size_t oldest = SESSION_SAS_MAX;
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        if (s->sas[i] == NULL)
            return i;
        if (s->sas[i]->state == SA_DEAD && s->sas[i]->buried &&
            (oldest == SESSION_SAS_MAX || s->sas[i]->expires_at < s->sas[oldest]->expires_at))
            oldest = i;
    }
    if (oldest < SESSION_SAS_MAX)
        release(s, oldest);
    return oldest;
}

enum err session_add_sa(struct session *s, struct ike_sa *sa)
{
    size_t i = free_place(s);
    if (i == SESSION_SAS_MAX)
        return ERR_LIMIT;
    s->sas[i] = sa;
    return ERR_OK;
}

struct ike_sa *session_predecessor(const struct ike_sa *rival)
{
    const struct session *s = rival->session;
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        if (s->sas[i] != NULL && s->sas[i]->rival == rival)
            return s->sas[i];
    }
    return NULL;
}

/* --- from one IKE SA to the next --- */

void lifecycle_search(struct session *s, enum session_down_reason reason, const struct fault *f)
{
    struct session_event *event = session_emit(s, SESSION_EVENT_SEARCHING);
    s->searching = true;
    s->up_told = false;
    if (event != NULL) {
        event->searching.reason = reason;
        event->searching.fault = *f;
    }
}

void lifecycle_rebuild(struct session *s, mono_ms now, enum attempt_kind kind)
{
    if (s->config.role != SESSION_INITIATOR || s->stopping || s->down)
        return;
    /* What stands may still come up, and is then not to end with an attempt beside it. */
    s->attempt_kind = s->was_up || s->current != NULL ? kind : ATTEMPT_FIRST;
    if (kind != ATTEMPT_MOVE)
        s->candidate_limit = 0;
    if (!attempt_going_on(s) && s->attempt_at == MONO_NEVER)
        attempt_begin(s, now);
}

void session_reauthenticate(struct session *s, mono_ms now)
{
    lifecycle_rebuild(s, now, s->searching ? ATTEMPT_REBUILD : ATTEMPT_REAUTH);
}

/* With MOBIKE silence is noticed within seconds, and mostly it is the way that is silent, not the
 * gateway: what stands is asked, by every way, for as long as DPD says before it is made anew;
 * unless there is a sign that the gateway has forgotten us. */
static mono_ms rebuild_at(const struct session *s, mono_ms now)
{
    if (!session_roams(s->current) || session_hinted(s) || s->config.dpd_ms == 0)
        return now;
    mono_ms since = s->current->window.request.active ? s->current->window.request.first_at : now;
    return mono_earlier(since, s->roam.silence_since) + (mono_ms)s->config.dpd_ms;
}

void session_silent(struct ike_sa *sa, mono_ms now)
{
    struct session *s = sa->session;
    struct fault f = {0};
    char gateway[ENDPOINT_TEXT_MAX];
    (void)fault_set(&f, ERR_NOT_FOUND, "the gateway %s does not answer any more",
                    endpoint_format(&sa->path.remote, gateway));
    fault_hint(&f, "the connection is held and tried anew; nothing leaves outside the tunnel");
    session_probe_over(s, now, false);
    if (!s->searching)
        lifecycle_search(s, SESSION_DOWN_UNREACHABLE, &f);
    mono_ms at = rebuild_at(s, now);
    if (at > now && !attempt_going_on(s) && s->attempt_at == MONO_NEVER) {
        s->attempt_kind = ATTEMPT_REBUILD;
        s->attempt_at = at;
    } else {
        lifecycle_rebuild(s, now, ATTEMPT_REBUILD);
    }
}

/* It is there after all. An attempt that has keys already goes on: the gateway may have taken it
 * for the one that counts. */
void session_heard(struct ike_sa *sa, mono_ms now)
{
    struct session *s = sa->session;
    if (s->current != sa)
        return;
    roam_heard(s, now);
    s->hinted = false;
    s->unanswered_since = MONO_NEVER;
    if (!s->searching || !sa_alive(sa) || s->roam.astray)
        return;
    log_info("the gateway answers again");
    if (!attempt_answered(s))
        attempt_abandon(s);
    if (!attempt_going_on(s))
        s->attempt_at = MONO_NEVER;
    s->attempt_owed = false;
    s->failures = 0;
    s->searching = s->up_told = false;
}

void session_auth_lifetime(struct ike_sa *sa, mono_ms now, uint32_t lifetime_s)
{
    mono_ms life_ms = (mono_ms)lifetime_s * 1000;
    mono_ms tenth_ms = life_ms / 10 + 1;
    uint32_t bound = tenth_ms < INT32_MAX ? (uint32_t)tenth_ms : INT32_MAX;
    sa->reauth_at = now + life_ms - tenth_ms - random_below(&sa->config->random, bound);
    log_info("the gateway wants to see our proof again within %u s", (unsigned)lifetime_s);
}

void session_established(struct ike_sa *sa, mono_ms now)
{
    struct session *s = sa->session;
    struct ike_sa *old = s->current;
    const struct fault none = {0};
    sa->last_in = now;
    s->current = sa;
    sa->contender = false;
    attempt_abandon(s);
    s->attempt_at = MONO_NEVER;
    s->failures = s->refusals = 0;
    s->password_refused = false;
    s->redirecting = s->redirect_unwanted = s->searching = false;
    s->redirected_from = (struct ip){.family = IP_NONE};
    s->up_told = false;
    s->asked = s->suspect = s->hinted = s->attempt_owed = false;
    s->unanswered_since = MONO_NEVER;
    s->candidate_limit = 0;
    roam_begin(s, now);
    if (s->was_up)
        s->reconnects++;
    if (old != NULL && old != sa) {
        children_gone(old, now);
        if (!ways_lists(s, &old->path))
            old->path = sa->path; /* its Delete has to get there */
        if (old->state == SA_ESTABLISHED && !s->stopping) {
            old->state = SA_REPLACED;
            old->expires_at = now + OVERLAP_MS; /* deleted then */
            old->reauth_at = MONO_NEVER;
        } else {
            sa_close(old, now, SESSION_DOWN_REQUESTED, &none, 0);
        }
    }
    if (s->stopping)
        sa_close(sa, now, SESSION_DOWN_REQUESTED, &none, 0);
}

void session_replaced(struct ike_sa *old, struct ike_sa *made, mono_ms now)
{
    struct session *s = old->session;
    const struct fault none = {0};
    children_move(old, made);
    if (old->state == SA_ESTABLISHED) {
        old->state = SA_REPLACED;
        old->expires_at = now + REPLACED_MS;
    }
    old->reauth_at = MONO_NEVER;
    if (s->current == old) {
        struct session_event *event = session_emit(s, SESSION_EVENT_REKEYED);
        s->current = made;
        roam_replaced(made);
        if (event != NULL)
            event->rekeyed.ike = true;
    }
    if (s->stopping)
        sa_close(made, now, SESSION_DOWN_REQUESTED, &none, 0);
}

/* --- commands --- */

enum err session_rekey(struct session *s, mono_ms now, enum session_rekey what)
{
    if (s->current == NULL || !sa_alive(s->current))
        return ERR_STATE;
    if (what != SESSION_REKEY_CHILD)
        s->current->rekey_wanted = true;
    for (size_t i = 0; i < CHILDREN_MAX && what != SESSION_REKEY_IKE; i++) {
        if (s->children[i] != NULL && s->children[i]->state == CHILD_INSTALLED)
            s->children[i]->rekey_wanted = true;
    }
    lifecycle_settle(s, now);
    return ERR_OK;
}

void session_child_expiring(struct session *s, mono_ms now, uint32_t spi_in)
{
    struct child_sa *c = child_by_spi_in(s, spi_in);
    if (c == NULL || c->state != CHILD_INSTALLED)
        return;
    c->rekey_wanted = true;
    lifecycle_settle(s, now);
}

enum err session_reconnect(struct session *s, mono_ms now)
{
    if (s->config.role != SESSION_INITIATOR || !s->was_up || s->stopping || s->down)
        return ERR_STATE;
    s->attempt_at = MONO_NEVER; /* now, whatever pause was planned */
    session_reauthenticate(s, now);
    lifecycle_settle(s, now);
    return ERR_OK;
}

enum err session_redirect(struct session *s, mono_ms now, const struct redirect_target *to)
{
    if (s->current == NULL || !sa_alive(s->current) || !s->current->peer_redirects)
        return ERR_STATE;
    struct redirect_target *copy = malloc(sizeof(*copy));
    if (copy == NULL)
        return ERR_MEMORY;
    *copy = *to;
    free(s->current->redirect);
    s->current->redirect = copy;
    lifecycle_settle(s, now);
    return ERR_OK;
}

void session_stop(struct session *s, mono_ms now)
{
    const struct fault none = {0};
    if (s->stopping || s->down)
        return;
    s->stopping = true;
    s->stop_by = now + STOP_MS;
    s->attempt_at = MONO_NEVER;
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        struct ike_sa *sa = s->sas[i];
        if (sa == NULL)
            continue;
        /* With IKE_AUTH out the gateway may have the IKE SA already: its answer decides. */
        if (sa->state == SA_ESTABLISHED || sa->state == SA_REPLACED || sa_authenticating(sa))
            sa_close(sa, now, SESSION_DOWN_REQUESTED, &none, 0);
        else if (!sa->close_wanted)
            sa_die(sa, SESSION_DOWN_REQUESTED, &none);
    }
    lifecycle_settle(s, now);
}

/* --- what has ended, and what is due --- */

/* The current one ended: not by our wish, or session_stop would wait for it. */
static void current_ended(struct session *s, mono_ms now, const struct ike_sa *sa)
{
    s->current = NULL;
    if (s->stopping || s->down)
        return;
    if (s->config.role == SESSION_RESPONDER || !s->was_up) {
        lifecycle_end(s, sa->end_reason, &sa->end_fault);
        return;
    }
    lifecycle_search(s, sa->end_reason, &sa->end_fault);
    lifecycle_rebuild(s, now, ATTEMPT_REBUILD);
}

/* Once for each that died. What hung on it goes, what waited for it is told. */
static void bury(struct session *s, mono_ms now, struct ike_sa *sa)
{
    struct ike_sa *rival = sa->rival;
    sa->buried = true;
    sa->expires_at = now + DEAD_MS;
    sa->rival = NULL;
    if (rival != NULL && sa_alive(rival) && sa == s->current && !s->stopping)
        session_replaced(sa, rival, now); /* the peer's rekeying outlives ours */
    children_gone(sa, now);
    sa_forget_keys(sa);
    if (sa->disowned)
        return;
    if (sa == s->attempt || sa->contender) {
        attempt_member_ended(s, now, sa);
    } else if (sa == s->current) {
        current_ended(s, now, sa);
    } else if (s->config.role == SESSION_RESPONDER && s->current == NULL) {
        lifecycle_end(s, sa->end_reason, &sa->end_fault); /* turned away, or never finished */
    }
}

/* IKE SA and a Child SA stand: say so once. */
static void tell_up(struct session *s)
{
    const struct ike_sa *sa = s->current;
    if (s->up_told || s->searching || sa == NULL || !sa_alive(sa) || child_first(sa) == NULL)
        return;
    struct session_event *event = session_emit(s, SESSION_EVENT_PATH);
    if (event != NULL)
        event->path = sa->path;
    s->up_told = s->was_up = true;
    (void)session_emit(s, SESSION_EVENT_UP);
}

static bool all_dead(const struct session *s)
{
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        if (s->sas[i] != NULL && s->sas[i]->state != SA_DEAD)
            return false;
    }
    return true;
}

/* The dead that have no answer to repeat are of no use. */
static void forget_silent(struct session *s)
{
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        if (s->sas[i] != NULL && s->sas[i]->buried && s->sas[i]->window.response == NULL)
            release(s, i);
    }
}

void lifecycle_settle(struct session *s, mono_ms now)
{
    const struct fault none = {0};
    bool more = true;
    while (more && !s->down) { /* what one end leads to may be another's end */
        more = false;
        for (size_t i = 0; i < SESSION_SAS_MAX && !s->down; i++) {
            struct ike_sa *sa = s->sas[i];
            if (sa == NULL)
                continue;
            sa_pump(sa, now);
            if (sa->state == SA_DEAD && !sa->buried) {
                bury(s, now, sa);
                more = true;
            }
        }
    }
    forget_silent(s);
    if (s->down)
        return;
    if (s->stopping && all_dead(s))
        lifecycle_end(s, SESSION_DOWN_REQUESTED, &none);
    else if (!s->stopping && !s->broken)
        tell_up(s);
    if (s->broken && !s->down) { /* UP itself may have been one word too many */
        struct fault f = {0};
        (void)fault_set(&f, ERR_MEMORY, "no memory for what had to be said");
        lifecycle_end(s, SESSION_DOWN_INTERNAL, &f);
    }
}

static mono_ms reauth_at(const struct session *s)
{
    bool idle = !attempt_going_on(s) && s->attempt_at == MONO_NEVER;
    return s->current != NULL && idle ? s->current->reauth_at : MONO_NEVER;
}

mono_ms lifecycle_next_timeout(const struct session *s)
{
    return mono_earlier(mono_earlier(s->attempt_at, s->stop_by), reauth_at(s));
}

void lifecycle_handle_timeout(struct session *s, mono_ms now)
{
    const struct fault none = {0};
    if (now >= s->stop_by) {
        lifecycle_end(s, SESSION_DOWN_REQUESTED, &none);
        return;
    }
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        if (s->sas[i] != NULL && s->sas[i]->buried && now >= s->sas[i]->expires_at)
            release(s, i);
    }
    if (now >= reauth_at(s)) {
        s->current->reauth_at = MONO_NEVER;
        session_reauthenticate(s, now);
    }
    attempt_handle_timeout(s, now);
}
