/* The IKE SA's clock: what is due when, what silence leads to, and which request is next.
 * Invariants: one request of ours is out at a time, and sa_pump alone decides which; every deadline
 * handled is cleared or moved on. */
#include "common/ike/sa.h"

#include <inttypes.h>

#include "common/base/log.h"

enum {
    SUSPECT_TRIES = 3, /* transmissions without an answer before other ways are tried */
    SILENT_MS = 8000,  /* and then the pace at which the question goes on, */
    IN_USE_MS = 1500   /* or where somebody waits for the connection, and it can move */
};

/* --- time --- */

/* When the next request of our own accord is due; only while none is out. */
static mono_ms due_at(const struct ike_sa *sa)
{
    if (!sa_alive(sa) || !session_is_current(sa) || sa->window.request.active ||
        session_stranded(sa->session))
        return MONO_NEVER;
    mono_ms due = sa->rekey_wanted ? 0 : sa->rekey_at;
    const struct child_sa *c;
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        c = session_children(sa->session)[i];
        if (c != NULL && c->sa == sa && c->state == CHILD_INSTALLED)
            due = mono_earlier(due, c->rekey_wanted ? 0 : c->rekey_at);
    }
    if (sa->config->role == SESSION_INITIATOR && child_first(sa) == NULL)
        due = 0;
    if (due == MONO_NEVER)
        return due;
    return due < sa->retry_at ? sa->retry_at : due;
}

/* RFC 7383 2.6: when pieces that wait for others have waited long enough. */
static mono_ms pieces_until(const struct ike_sa *sa, size_t i)
{
    return sa->assemblies[i].total != 0 ? sa->pieces_until[i] : MONO_NEVER;
}

mono_ms sa_next_timeout(const struct ike_sa *sa)
{
    if (sa->state == SA_DEAD)
        return mono_earlier(sa->expires_at, children_next_timeout(sa));
    mono_ms next = mono_earlier(mono_earlier(sa->expires_at, sa->close_by), sa->hold_until);
    if (sa->window.request.active && !session_stranded(sa->session))
        next = mono_earlier(next, sa->window.request.next_at);
    if (sa->handshake != NULL)
        next = mono_earlier(next, sa->handshake->complaint_at);
    for (size_t i = 0; i < 2; i++)
        next = mono_earlier(next, pieces_until(sa, i));
    next = mono_earlier(next, due_at(sa));
    return mono_earlier(next, children_next_timeout(sa));
}

static void drop_old_pieces(struct ike_sa *sa, mono_ms now)
{
    for (size_t i = 0; i < 2; i++) {
        if (now >= pieces_until(sa, i))
            fragment_assembly_wipe(&sa->assemblies[i]);
    }
}

static void no_answer(struct ike_sa *sa)
{
    const struct window_request *r = &sa->window.request;
    char gateway[ENDPOINT_TEXT_MAX];
    endpoint_format(&sa->path.remote, gateway);
    struct fault f = {0};
    (void)fault_set(&f, ERR_NOT_FOUND, "no answer from %s to %s after %" PRIu32 " transmissions",
                    gateway, exchange_name(r->exchange), r->sent);
    if (sa->state == SA_EAP_GOING || sa->state == SA_EAP_DONE)
        fault_hint(&f, "EAP had begun: what asks for passwords behind the gateway may be away");
    else if (r->exchange == EXCHANGE_IKE_AUTH)
        fault_hint(&f, "IKE_SA_INIT was answered; check that UDP port 4500 and large (fragmented) "
                       "datagrams can pass");
    else if (r->exchange == EXCHANGE_IKE_SA_INIT)
        fault_hint(&f, "check the Address in [Gateway] and that UDP ports 500 and 4500 can pass");
    sa_die(sa, SESSION_DOWN_UNREACHABLE, &f);
}

/* The peer, or the network, was away for as long as the driver cares to wait. */
static void given_up(struct ike_sa *sa)
{
    struct fault f = {0};
    if (sa->window.request.active && !session_stranded(sa->session)) {
        no_answer(sa);
        return;
    }
    (void)fault_set(&f, ERR_NOT_FOUND, "no network led to the gateway for too long");
    sa_die(sa, SESSION_DOWN_UNREACHABLE, &f);
}

/* The connection that an initiator had is held: the question goes on, at a slower pace, while other
 * ways are tried. */
static bool held(const struct ike_sa *sa)
{
    return sa->config->role == SESSION_INITIATOR && sa_alive(sa) && session_is_current(sa) &&
           session_was_up(sa->session);
}

static void request_failed(struct ike_sa *sa, mono_ms now)
{
    if (sa->close_wanted)
        sa_die(sa, sa->end_reason, &sa->end_fault);
    else if (held(sa))
        window_request_go_on(&sa->window, now, SILENT_MS);
    else
        no_answer(sa);
}

static void handle_request_timeout(struct ike_sa *sa, mono_ms now)
{
    const struct window_request *r = &sa->window.request;
    if (session_stranded(sa->session))
        return;
    switch (window_request_due(&sa->window, now)) {
    case WINDOW_WAIT:
        return;
    case WINDOW_RESEND:
        log_debug("no answer to %s yet, sending it again (%" PRIu32 ")", exchange_name(r->exchange),
                  r->sent);
        sa_request_repeat(sa, now);
        if (session_roams(sa) && session_in_use(sa->session, now))
            window_request_no_later(&sa->window, now + IN_USE_MS);
        break;
    case WINDOW_FAILED:
        request_failed(sa, now);
        break;
    }
    uint32_t patience = session_hinted(sa->session) ? 1 : SUSPECT_TRIES;
    bool heard = session_heard_lately(sa->session, now, r->first_at) && r->policy.tries != 0;
    if (held(sa) && r->active && r->sent > patience && !sa->silent && !heard) {
        sa->silent = true;
        if (sa->config->hold_ms != 0)
            sa->hold_until = now + (mono_ms)sa->config->hold_ms;
        session_silent(sa, now);
    }
}

/* The hard end. */
static void expire(struct ike_sa *sa, mono_ms now)
{
    struct fault f = {0};
    sa->expires_at = MONO_NEVER;
    if (sa->state == SA_REPLACED) {
        sa_close(sa, now, SESSION_DOWN_REQUESTED, &f, 0);
        return;
    }
    (void)fault_set(&f, ERR_EXHAUSTED, "the IKE SA's lifetime ended before it could be rekeyed");
    sa_close(sa, now, SESSION_DOWN_UNREACHABLE, &f, 0);
}

void sa_handle_timeout(struct ike_sa *sa, mono_ms now)
{
    struct handshake *h = sa->handshake;
    if (sa->state == SA_DEAD) { /* who looks after the session forgets it */
        children_handle_timeout(sa, now);
        return;
    }
    drop_old_pieces(sa, now);
    if (h != NULL && now >= h->complaint_at) {
        struct fault f = h->complaint_fault;
        sa_die(sa, h->complaint, &f);
        return;
    }
    if (now >= sa->close_by) {
        sa_die(sa, sa->end_reason, &sa->end_fault);
        return;
    }
    if (now >= sa->hold_until) {
        given_up(sa);
        return;
    }
    if (now >= sa->expires_at)
        expire(sa, now);
    children_handle_timeout(sa, now);
    handle_request_timeout(sa, now);
}

/* --- what is next --- */

static struct child_sa *due_child(const struct ike_sa *sa, mono_ms now)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        struct child_sa *c = session_children(sa->session)[i];
        if (c != NULL && c->sa == sa && c->state == CHILD_INSTALLED &&
            (c->rekey_wanted || now >= c->rekey_at))
            return c;
    }
    return NULL;
}

static bool child_to_delete(const struct ike_sa *sa)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        const struct child_sa *c = session_children(sa->session)[i];
        if (c != NULL && c->sa == sa && c->delete_wanted)
            return true;
    }
    return false;
}

static enum err send_due(struct ike_sa *sa, mono_ms now)
{
    if (roam_wants_update(sa))
        return mobike_update_send(sa, now);
    if (child_to_delete(sa))
        return informational_delete_children(sa, now);
    if (!session_is_current(sa))
        return ERR_OK; /* one of two rekeyings at once: which one counts is not known yet */
    if (session_wants_probe(sa->session, now) || roam_wants_probe(sa, now) ||
        keepalive_wants_question(sa->session, now))
        return informational_probe(sa, now);
    if (mobike_wants(sa))
        return mobike_send(sa, now);
    if (sa->redirect != NULL)
        return informational_redirect(sa, now, sa->redirect);
    if (due_at(sa) > now)
        return ERR_OK;
    if (sa->rekey_wanted || now >= sa->rekey_at)
        return rekey_request_send(sa, now);
    return child_request_send(sa, now, due_child(sa, now));
}

void sa_pump(struct ike_sa *sa, mono_ms now)
{
    if (sa->state == SA_DEAD || sa->window.request.active || session_stranded(sa->session))
        return;
    enum err e = ERR_OK;
    if (sa->close_wanted)
        e = informational_close(sa, now);
    else if (sa->state == SA_ESTABLISHED)
        e = send_due(sa, now);
    if (e == ERR_OK)
        return;
    struct fault f = {0};
    (void)fault_set(&f, e, "a request could not be made: %s", err_text(e));
    sa_die(sa, sa->close_wanted ? sa->end_reason : SESSION_DOWN_INTERNAL,
           sa->close_wanted ? &sa->end_fault : &f);
}
