/* How a session comes by an IKE SA: which way is tried, how often, who may answer; and where the
 * gateway may send us (RFC 5685). What becomes of it once it stands is lifecycle.c's. */
#include "common/ike/session_state.h"

#include "common/base/log.h"

enum {
    TRIES_PER_CANDIDATE = 2, /* transmissions before another way gets its turn */
    CONTENDERS_MAX = 4,
    REDIRECT_MS = 10000, /* to find out where to go */
    REDIRECTS_MAX = 5,   /* within REDIRECT_PERIOD_MS (RFC 5685 10) */
    REDIRECT_PERIOD_MS = 300000,
    REFUSALS_MAX = 3 /* our credentials, refused that often in a row: no sense in more */
};

/* A rebuild asks quickly and briefly, and again after a pause, and so does who was sent elsewhere
 * and has somewhere to go back to; the first connection is as patient as the driver wants. */
const struct session_retransmit *session_init_policy(const struct session *s)
{
    static const struct session_retransmit brief = {
        .first_ms = 500, .max_ms = 2000, .growth_percent = 180, .tries = 5};
    return s->attempt_kind == ATTEMPT_FIRST && !s->redirecting ? &s->config.retransmit : &brief;
}

static size_t way_count(const struct session *s)
{
    if (s->redirecting)
        return s->redirect_path_count;
    size_t count = s->roam.way_count;
    return s->candidate_limit != 0 && s->candidate_limit < count ? s->candidate_limit : count;
}

/* The one whose turn it is; there is one. */
static struct path way_now(const struct session *s)
{
    size_t i = s->candidate % way_count(s);
    return s->redirecting ? s->redirect_paths[i] : s->roam.ways[i].path;
}

/* --- contenders --- */

/* Whoever sees an IKE_SA_INIT request can answer it first, with a key of his own. So every answer
 * that looks right gets an IKE SA of its own, and IKE_AUTH to go with it, while the request goes on
 * being sent; what proves itself wins, and all the others go (RFC 7296 2.4 allows as much). */
static bool alive(const struct ike_sa *sa)
{
    return sa != NULL && sa->contender && sa->state != SA_DEAD;
}

static size_t contenders(const struct session *s)
{
    size_t count = 0;
    for (size_t i = 0; i < SESSION_SAS_MAX; i++)
        count += alive(s->sas[i]) ? 1 : 0;
    return count;
}

bool attempt_answered(const struct session *s)
{
    return contenders(s) > 0;
}

bool attempt_going_on(const struct session *s)
{
    return s->attempt != NULL || contenders(s) > 0;
}

const struct ike_sa *attempt_face(const struct session *s)
{
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        if (alive(s->sas[i]))
            return s->sas[i];
    }
    return s->attempt;
}

static void disown(struct ike_sa *sa)
{
    const struct fault none = {0};
    sa->contender = false;
    sa->disowned = true;
    sa_die(sa, SESSION_DOWN_REQUESTED, &none);
}

static void stop_asking(struct session *s)
{
    if (s->attempt != NULL)
        disown(s->attempt);
    s->attempt = NULL;
}

void attempt_abandon(struct session *s)
{
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        if (alive(s->sas[i]))
            disown(s->sas[i]);
    }
    stop_asking(s);
}

void session_proven(struct ike_sa *sa)
{
    stop_asking(sa->session);
}

enum err session_contend(struct ike_sa *sa)
{
    struct session *s = sa->session;
    if (contenders(s) >= CONTENDERS_MAX)
        return ERR_LIMIT;
    sa->contender = true;
    return session_add_sa(s, sa);
}

/* --- pauses, and the end of patience --- */

/* The pause doubles with each failure, and is drawn between half and whole, so that the clients of
 * a gateway that restarts do not come all at once. */
static mono_ms pause(const struct session *s)
{
    uint64_t ms = s->config.rebuild_first_ms;
    for (uint32_t i = 1; i < s->failures && ms < s->config.rebuild_max_ms; i++)
        ms *= 2;
    if (ms > s->config.rebuild_max_ms)
        ms = s->config.rebuild_max_ms;
    return (mono_ms)(ms / 2 + random_below(&s->config.random, (uint32_t)(ms / 2) + 1));
}

/* Where we were sent there is no way: back to who sent us, without asking to be sent again. */
static void redirect_in_vain(struct session *s)
{
    s->redirecting = false;
    s->redirected_from = (struct ip){.family = IP_NONE};
    s->redirect_unwanted = true;
}

void session_spend_password(struct session *s)
{
    s->password_spent = s->config.eap_once;
}

void session_refuse_password(struct session *s)
{
    s->password_refused = true;
}

bool session_password_spent(const struct session *s)
{
    return s->password_spent;
}

static void attempt_failed(struct session *s, mono_ms now, enum session_down_reason reason,
                           const struct fault *f)
{
    if (s->redirecting) {
        log_info("no connection where the gateway sent us: %s", f->text);
        redirect_in_vain(s);
        s->attempt_at = now;
        return;
    }
    if (s->attempt_kind == ATTEMPT_FIRST) {
        lifecycle_end(s, reason, f);
        return;
    }
    if (s->stopping)
        return;
    if (s->attempt_kind == ATTEMPT_MOVE) { /* what stands stays where it is */
        log_info("no new IKE SA on the better path: %s", f->text);
        roam_not_better(s, now);
        return;
    }
    s->failures++;
    s->candidate++; /* few ways get their turn in one attempt: the next begins with the next */
    s->refusals = reason == SESSION_DOWN_REFUSED ? s->refusals + 1 : 0;
    /* An account may be locked for a password that is wrong too often: once is enough. */
    bool password = reason == SESSION_DOWN_REFUSED && s->password_refused;
    bool stands = s->current != NULL && !(password && s->searching);
    if (s->refusals >= (password ? 1 : REFUSALS_MAX) && !stands) {
        lifecycle_end(s, reason, f);
        return;
    }
    if (password) {
        log_warn("%s; not tried again while the IKE SA that we have stands", f->text);
        return;
    }
    log_info("no new IKE SA: %s", f->text);
    s->attempt_at = now + pause(s);
    if (s->searching)
        lifecycle_search(s, reason, f);
}

/* A fresh IKE SA, with fresh SPIs, on the current candidate. */
static enum err attempt_on_candidate(struct session *s, mono_ms now)
{
    struct ike_sa *sa;
    if (way_count(s) == 0)
        return ERR_NOT_FOUND;
    enum err e = sa_new(s, &s->config, true, &sa);
    if (e != ERR_OK)
        return e;
    if ((e = session_add_sa(s, sa)) != ERR_OK) {
        sa_free(sa);
        return e;
    }
    if (s->remote_id_withheld)
        sa->send_remote_id = false;
    sa->path = way_now(s);
    s->tried++;
    s->attempt = sa;
    return init_request_send(sa, now);
}

/* One who asked, or one who was answered, is dead. What it leaves behind may still succeed: another
 * answer; or the request itself, where the answer led to silence alone. */
void attempt_member_ended(struct session *s, mono_ms now, struct ike_sa *sa)
{
    struct fault f = sa->end_fault;
    sa->contender = false;
    if (sa == s->attempt)
        s->attempt = NULL;
    if (contenders(s) > 0 || (s->attempt != NULL && sa->end_reason == SESSION_DOWN_UNREACHABLE))
        return;
    attempt_abandon(s);
    attempt_failed(s, now, sa->end_reason, &f);
}

static void try_candidate(struct session *s, mono_ms now)
{
    enum err e = attempt_on_candidate(s, now);
    if (e == ERR_OK)
        return;
    struct fault f = {0};
    (void)fault_set(&f, e,
                    e == ERR_NOT_FOUND ? "there is no way to the gateway"
                                       : "IKE_SA_INIT could not be made: %s",
                    err_text(e));
    attempt_abandon(s);
    attempt_failed(s, now, e == ERR_NOT_FOUND ? SESSION_DOWN_UNREACHABLE : SESSION_DOWN_INTERNAL,
                   &f);
}

void attempt_begin(struct session *s, mono_ms now)
{
    s->attempt_at = MONO_NEVER;
    s->tried = 0;
    if (s->failures == 0)
        s->candidate = 0;
    s->attempt_owed = s->roam.stranded && !s->redirecting;
    if (!s->attempt_owed)
        try_candidate(s, now);
}

enum err session_start(struct session *s, mono_ms now)
{
    if (s->config.role != SESSION_INITIATOR || s->started)
        return ERR_STATE;
    if (s->roam.way_count == 0)
        return ERR_NOT_FOUND;
    s->started = true;
    attempt_begin(s, now);
    lifecycle_settle(s, now);
    return ERR_OK;
}

bool session_retry_without_remote_id(struct ike_sa *sa, mono_ms now)
{
    struct session *s = sa->session;
    if (s->remote_id_withheld || !sa->contender || contenders(s) > 1)
        return false;
    log_info("the gateway refused us; asking once more without naming it, to see its own name");
    s->remote_id_withheld = true;
    attempt_abandon(s);
    try_candidate(s, now);
    return true;
}

bool session_retry_afresh(struct ike_sa *sa, mono_ms now)
{
    struct session *s = sa->session;
    if (s->retried_afresh || !sa->contender || contenders(s) > 1)
        return false;
    log_info("the gateway refused us, perhaps for a request it never saw; asking once more");
    s->retried_afresh = true;
    attempt_abandon(s);
    try_candidate(s, now);
    return true;
}

/* Several ways to the gateway, and this one is silent: the next one's turn. */
static bool next_candidate_due(const struct session *s, mono_ms now)
{
    const struct ike_sa *sa = s->attempt;
    const struct session_retransmit *policy = session_init_policy(s);
    if (sa == NULL || way_count(s) < 2 || contenders(s) > 0)
        return false;
    const struct window_request *r = &sa->window.request;
    if (!r->active || now < r->next_at || r->sent < TRIES_PER_CANDIDATE ||
        sa->handshake->complaint_at != MONO_NEVER)
        return false;
    return policy->tries == 0 || s->tried * TRIES_PER_CANDIDATE < policy->tries;
}

/* --- redirection (RFC 5685) --- */

bool session_wants_redirect(const struct session *s)
{
    return !s->redirect_unwanted;
}

const struct ip *session_redirected_from(const struct session *s)
{
    return &s->redirected_from;
}

bool session_follow_redirect(struct ike_sa *sa, mono_ms now, const struct redirect_target *to)
{
    struct session *s = sa->session;
    if (s->config.role != SESSION_INITIATOR || s->stopping)
        return false;
    if (now - s->redirects_since > REDIRECT_PERIOD_MS) {
        s->redirects = 0;
        s->redirects_since = now;
    }
    if (s->redirects >= REDIRECTS_MAX)
        return false;
    struct session_event *event = session_emit(s, SESSION_EVENT_REDIRECT);
    if (event == NULL)
        return false;
    event->redirect = *to;
    s->redirects++;
    s->redirected_from = sa->path.remote.ip;
    if (s->attempt == sa) {
        attempt_abandon(s);
    } else if (sa->contender) { /* it proved itself; its end, a Delete, is no failure */
        sa->contender = false;
        sa->disowned = true;
        attempt_abandon(s);
    } else {
        s->attempt_kind = ATTEMPT_REAUTH;
    }
    s->redirecting = true;
    s->redirect_path_count = 0;
    s->attempt_at = now + REDIRECT_MS; /* without an answer, the old ways again */
    return true;
}

void session_redirected(struct session *s, mono_ms now, const struct path *candidates, size_t count)
{
    if (!s->redirecting || attempt_going_on(s) || s->stopping || s->down)
        return;
    s->redirect_path_count = count < SESSION_PATHS_MAX ? count : SESSION_PATHS_MAX;
    for (size_t i = 0; i < s->redirect_path_count; i++)
        s->redirect_paths[i] = candidates[i];
    if (count == 0) {
        struct fault f = {0};
        (void)fault_set(&f, ERR_NOT_FOUND, "the gateway sends us to another one that has no way");
        s->attempt_at = MONO_NEVER;
        attempt_failed(s, now, SESSION_DOWN_UNREACHABLE, &f);
    } else {
        attempt_begin(s, now);
    }
    lifecycle_settle(s, now);
}

/* --- the network --- */

/* Of the ways to where we were sent those stay that can still be gone. */
static void keep_redirect_paths(struct session *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->redirect_path_count; i++) {
        if (ways_have_source(s, &s->redirect_paths[i]))
            s->redirect_paths[kept++] = s->redirect_paths[i];
    }
    s->redirect_path_count = kept;
}

void attempt_ways_going(struct session *s)
{
    const struct ike_sa *face = attempt_face(s);
    keep_redirect_paths(s);
    if (s->redirecting && (s->roam.stranded || (face != NULL && !ways_have_source(s, &face->path))))
        redirect_in_vain(s); /* what the driver listed then is not so any more */
}

void attempt_ways_changed(struct session *s, mono_ms now)
{
    const struct ike_sa *face = attempt_face(s);
    if (s->redirecting)
        return;
    if (s->roam.stranded) {
        s->attempt_owed |= attempt_going_on(s) || s->attempt_at != MONO_NEVER;
        s->attempt_at = MONO_NEVER;
        attempt_abandon(s);
    } else if (s->attempt_owed || (face != NULL && !ways_lists(s, &face->path))) {
        /* The gateway may have answered again since a rebuild was begun, and the better way may be
         * gone: what stands, follows. */
        bool beside = s->attempt_kind == ATTEMPT_REBUILD || s->attempt_kind == ATTEMPT_MOVE;
        bool needed = !beside || s->searching;
        attempt_abandon(s);
        if (needed)
            attempt_begin(s, now);
    }
}

/* --- time --- */

void attempt_handle_timeout(struct session *s, mono_ms now)
{
    if (next_candidate_due(s, now)) {
        s->candidate++;
        attempt_abandon(s);
        try_candidate(s, now);
    }
    if (now >= s->attempt_at) {
        if (s->redirecting && s->redirect_path_count == 0)
            redirect_in_vain(s);
        attempt_begin(s, now);
    }
}
