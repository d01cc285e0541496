/* Which IKE SA a session lives on: connecting, replacing, rebuilding, ending.
 *
 * A connection that was up is not given up. When the gateway is silent the old IKE SA is held and
 * goes on asking, while new attempts are made with growing pauses; whichever is heard first wins. A
 * new IKE SA stands before the old one goes (make before break). */
#include "common/ike/session_state.h"

#include <stdlib.h>

#include "common/base/log.h"

enum {
    TRIES_PER_CANDIDATE = 2, /* transmissions before another way gets its turn */
    STOP_MS = 5000,
    REPLACED_MS = 30000, /* the peer's time to delete what it replaced */
    DEAD_MS = 20000,     /* the last answer may be asked for again that long */
    REDIRECT_MS = 10000, /* to find out where to go */
    REDIRECTS_MAX = 5,   /* within REDIRECT_PERIOD_MS (RFC 5685 10) */
    REDIRECT_PERIOD_MS = 300000,
    REFUSALS_MAX = 3 /* our credentials, refused that often in a row: no sense in more */
};

static void begin_attempt(struct session *s, mono_ms now);

bool session_is_current(const struct ike_sa *sa)
{
    return sa->session->current == sa;
}

bool session_was_up(const struct session *s)
{
    return s->was_up;
}

static void end_session(struct session *s, enum session_down_reason reason, const struct fault *f)
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

/* --- attempts --- */

/* A rebuild asks quickly and briefly, and again after a pause, and so does who was sent elsewhere
 * and has somewhere to go back to; the first connection is as patient as the driver wants. */
const struct session_retransmit *session_init_policy(const struct session *s)
{
    static const struct session_retransmit brief = {
        .first_ms = 500, .max_ms = 2000, .growth_percent = 180, .tries = 5};
    return s->attempt_kind == ATTEMPT_FIRST && !s->redirecting ? &s->config.retransmit : &brief;
}

static const struct path *ways(const struct session *s, size_t *ret_count)
{
    *ret_count = s->redirecting ? s->redirect_path_count : s->candidate_count;
    return s->redirecting ? s->redirect_paths : s->candidates;
}

static void abandon_attempt(struct session *s)
{
    const struct fault none = {0};
    if (s->attempt == NULL)
        return;
    s->attempt->disowned = true;
    sa_die(s->attempt, SESSION_DOWN_REQUESTED, &none);
    s->attempt = NULL;
}

static void emit_searching(struct session *s, enum session_down_reason reason,
                           const struct fault *f)
{
    struct session_event *event = session_emit(s, SESSION_EVENT_SEARCHING);
    s->searching = true;
    s->up_told = false;
    if (event != NULL) {
        event->searching.reason = reason;
        event->searching.fault = *f;
    }
}

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
        end_session(s, reason, f);
        return;
    }
    if (s->stopping)
        return;
    s->failures++;
    s->refusals = reason == SESSION_DOWN_REFUSED ? s->refusals + 1 : 0;
    if (s->refusals >= REFUSALS_MAX && s->current == NULL) {
        end_session(s, reason, f);
        return;
    }
    log_info("no new IKE SA: %s", f->text);
    s->attempt_at = now + pause(s);
    if (s->searching)
        emit_searching(s, reason, f);
}

/* A fresh IKE SA, with fresh SPIs, on the current candidate. */
static enum err attempt_on_candidate(struct session *s, mono_ms now)
{
    size_t count;
    const struct path *paths = ways(s, &count);
    struct ike_sa *sa;
    if (count == 0)
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
    sa->path = paths[s->candidate % count];
    s->tried++;
    s->attempt = sa;
    return init_request_send(sa, now);
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
    abandon_attempt(s);
    attempt_failed(s, now, e == ERR_NOT_FOUND ? SESSION_DOWN_UNREACHABLE : SESSION_DOWN_INTERNAL,
                   &f);
}

static void begin_attempt(struct session *s, mono_ms now)
{
    s->attempt_at = MONO_NEVER;
    s->tried = 0;
    s->candidate = 0;
    try_candidate(s, now);
}

enum err session_start(struct session *s, mono_ms now)
{
    if (s->config.role != SESSION_INITIATOR || s->started)
        return ERR_STATE;
    if (s->candidate_count == 0)
        return ERR_NOT_FOUND;
    s->started = true;
    begin_attempt(s, now);
    lifecycle_settle(s, now);
    return ERR_OK;
}

bool session_retry_without_remote_id(struct ike_sa *sa, mono_ms now)
{
    struct session *s = sa->session;
    if (s->remote_id_withheld || s->attempt != sa)
        return false;
    log_info("the gateway refused us; asking once more without naming it, to see its own name");
    s->remote_id_withheld = true;
    abandon_attempt(s);
    try_candidate(s, now);
    return true;
}

bool session_retry_afresh(struct ike_sa *sa, mono_ms now)
{
    struct session *s = sa->session;
    if (s->retried_afresh || s->attempt != sa)
        return false;
    log_info("the gateway refused us, perhaps for a request it never saw; asking once more");
    s->retried_afresh = true;
    abandon_attempt(s);
    try_candidate(s, now);
    return true;
}

/* Several ways to the gateway, and this one is silent: the next one's turn. */
static bool next_candidate_due(const struct session *s, mono_ms now)
{
    const struct ike_sa *sa = s->attempt;
    const struct session_retransmit *policy = session_init_policy(s);
    size_t count;
    (void)ways(s, &count);
    if (sa == NULL || sa->state != SA_INIT_SENT || count < 2)
        return false;
    const struct window_request *r = &sa->window.request;
    if (!r->active || now < r->next_at || r->sent < TRIES_PER_CANDIDATE ||
        sa->handshake->complaint_at != MONO_NEVER)
        return false;
    return policy->tries == 0 || s->tried * TRIES_PER_CANDIDATE < policy->tries;
}

/* --- from one IKE SA to the next --- */

/* Make what stands anew, at once or when it is time again. */
static void rebuild(struct session *s, mono_ms now, enum attempt_kind kind)
{
    if (s->config.role != SESSION_INITIATOR || s->stopping || s->down)
        return;
    s->attempt_kind = s->was_up ? kind : ATTEMPT_FIRST;
    if (s->attempt == NULL && s->attempt_at == MONO_NEVER)
        begin_attempt(s, now);
}

void session_reauthenticate(struct session *s, mono_ms now)
{
    rebuild(s, now, s->searching ? ATTEMPT_REBUILD : ATTEMPT_REAUTH);
}

void session_silent(struct ike_sa *sa, mono_ms now)
{
    struct session *s = sa->session;
    struct fault f = {0};
    char gateway[ENDPOINT_TEXT_MAX];
    if (s->searching)
        return;
    (void)fault_set(&f, ERR_NOT_FOUND, "the gateway %s does not answer any more",
                    endpoint_format(&sa->path.remote, gateway));
    fault_hint(&f, "the connection is held and tried anew; nothing leaves outside the tunnel");
    emit_searching(s, SESSION_DOWN_UNREACHABLE, &f);
    rebuild(s, now, ATTEMPT_REBUILD);
}

/* It is there after all. An attempt that has keys already goes on: the gateway may have taken it
 * for the one that counts. */
void session_heard(struct ike_sa *sa, mono_ms now)
{
    struct session *s = sa->session;
    (void)now;
    if (s->current != sa)
        return;
    s->hinted = false;
    if (!s->searching || !sa_alive(sa))
        return;
    log_info("the gateway answers again");
    if (s->attempt != NULL && s->attempt->state == SA_INIT_SENT)
        abandon_attempt(s);
    if (s->attempt == NULL)
        s->attempt_at = MONO_NEVER;
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
    s->attempt = NULL;
    s->attempt_at = MONO_NEVER;
    s->failures = s->refusals = 0;
    s->redirecting = s->redirect_unwanted = s->searching = false;
    s->redirected_from = (struct ip){.family = IP_NONE};
    s->up_told = false;
    s->suspect = s->hinted = false;
    s->unanswered_since = MONO_NEVER;
    if (s->was_up)
        s->reconnects++;
    if (old != NULL && old != sa) {
        children_gone(old, now);
        old->state = old->state == SA_ESTABLISHED ? SA_REPLACED : old->state;
        sa_close(old, now, SESSION_DOWN_REQUESTED, &none, 0);
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

void session_stop(struct session *s, mono_ms now)
{
    const struct fault none = {0};
    if (s->stopping || s->down)
        return;
    s->stopping = true;
    s->stop_by = now + STOP_MS;
    s->attempt_at = MONO_NEVER;
    if (s->attempt != NULL && s->attempt->state == SA_INIT_SENT)
        abandon_attempt(s);
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        struct ike_sa *sa = s->sas[i];
        if (sa == NULL)
            continue;
        /* With IKE_AUTH out the gateway may have the IKE SA already: its answer decides. */
        if (sa->state == SA_ESTABLISHED || sa->state == SA_REPLACED || sa->state == SA_AUTH_SENT)
            sa_close(sa, now, SESSION_DOWN_REQUESTED, &none, 0);
        else if (!sa->close_wanted)
            sa_die(sa, SESSION_DOWN_REQUESTED, &none);
    }
    lifecycle_settle(s, now);
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
        s->attempt = NULL;
        sa->disowned = true; /* its end is no failure */
        if (sa->state == SA_INIT_SENT) {
            const struct fault none = {0};
            sa_die(sa, SESSION_DOWN_REQUESTED, &none);
        }
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
    if (!s->redirecting || s->attempt != NULL || s->stopping || s->down)
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
        begin_attempt(s, now);
    }
    lifecycle_settle(s, now);
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

/* --- what has ended, and what is due --- */

/* The current one ended: not by our wish, or session_stop would wait for it. */
static void current_ended(struct session *s, mono_ms now, const struct ike_sa *sa)
{
    s->current = NULL;
    if (s->stopping || s->down)
        return;
    if (s->config.role == SESSION_RESPONDER || !s->was_up) {
        end_session(s, sa->end_reason, &sa->end_fault);
        return;
    }
    emit_searching(s, sa->end_reason, &sa->end_fault);
    rebuild(s, now, ATTEMPT_REBUILD);
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
    if (sa == s->attempt) {
        struct fault f = sa->end_fault;
        s->attempt = NULL;
        attempt_failed(s, now, sa->end_reason, &f);
    } else if (sa == s->current) {
        current_ended(s, now, sa);
    } else if (s->config.role == SESSION_RESPONDER && s->current == NULL) {
        end_session(s, sa->end_reason, &sa->end_fault); /* turned away, or never finished */
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
    if (s->broken && !s->down) {
        struct fault f = {0};
        (void)fault_set(&f, ERR_MEMORY, "no memory for what had to be said");
        end_session(s, SESSION_DOWN_INTERNAL, &f);
    }
    if (s->down)
        return;
    if (s->stopping && all_dead(s))
        end_session(s, SESSION_DOWN_REQUESTED, &none);
    else if (!s->stopping)
        tell_up(s);
}

static mono_ms reauth_at(const struct session *s)
{
    bool idle = s->attempt == NULL && s->attempt_at == MONO_NEVER;
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
        end_session(s, SESSION_DOWN_REQUESTED, &none);
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
    if (next_candidate_due(s, now)) {
        s->candidate++;
        abandon_attempt(s);
        try_candidate(s, now);
    }
    if (now >= s->attempt_at) {
        if (s->redirecting && s->redirect_path_count == 0)
            redirect_in_vain(s);
        begin_attempt(s, now);
    }
}
