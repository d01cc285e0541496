/* Moving: all IKE SAs of the connection, and what they are asking, from one path to another (RFC
 * 4555 3.5), or a new IKE SA where the gateway lacks MOBIKE; and on the gateway's side, following a
 * client that moves. Whether to move, and where to, is roam.c's. */
#include "common/ike/session_state.h"

#include <inttypes.h>

#include "common/base/log.h"

enum { FORGIVE_MS = 60000 }; /* an interface that carried that long is as good as new */

/* MOBIKE goes on port 4500, or wherever the conversation was moved to (RFC 4555 3.3). */
struct path roam_along(const struct ike_sa *sa, const struct path *way)
{
    struct path path = *way;
    path.remote.port = sa->path.remote.port;
    return path;
}

void roam_steady(struct roam *r)
{
    r->mode = ROAM_STEADY;
    r->target = r->hint = (struct path){.interface = 0};
}

static const char *const move_texts[] = {
    [SESSION_MOVE_ADDRESS_GONE] = "the address is gone",
    [SESSION_MOVE_BETTER_PATH] = "a better path works",
    [SESSION_MOVE_DEAD_PATH] = "the path is dead",
    [SESSION_MOVE_NAT_CHANGED] = "the address translator has changed",
    [SESSION_MOVE_PEER_MOVED] = "the gateway has moved",
};

void roam_move_begin(struct session *s, mono_ms now, enum session_move reason)
{
    struct roam *r = &s->roam;
    if (!r->moving) {
        bool silent = reason == SESSION_MOVE_DEAD_PATH || reason == SESSION_MOVE_NAT_CHANGED;
        r->handover = (struct session_handover){.from = s->current->path, .reason = reason};
        r->left_at = silent && r->silence_since != MONO_NEVER ? r->silence_since : now;
        r->moving = true;
    }
    r->moved_at = now;
    r->took_ms = 0;
    r->heard_at = MONO_NEVER;
    s->nat_tried_ms = 0;
    r->update_wanted = r->hurry = true;
}

void roam_announce_path(struct session *s)
{
    struct session_event *event = session_emit(s, SESSION_EVENT_PATH);
    if (event != NULL)
        event->path = s->current->path;
}

/* Every IKE SA of the connection goes along, with what it is asking (RFC 4555 3.5). */
static void take_along(struct session *s, const struct path *to)
{
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        struct ike_sa *sa = s->sas[i];
        if (sa != NULL &&
            (sa->state == SA_ESTABLISHED || sa->state == SA_REPLACED || sa->state == SA_CLOSING))
            sa->path = *to;
    }
}

void roam_ask_again(struct session *s, mono_ms now)
{
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        struct ike_sa *sa = s->sas[i];
        if (sa == NULL || sa->state == SA_DEAD || !sa->window.request.active ||
            sa->handshake != NULL)
            continue;
        window_request_anew(&sa->window, now);
        sa_request_repeat(sa, now);
    }
}

/* The interface that is being left, where that is why. */
static void blame(struct session *s, mono_ms now, enum session_move reason)
{
    struct roam *r = &s->roam;
    const struct path *left = &s->current->path;
    bool went = reason == SESSION_MOVE_ADDRESS_GONE && !ways_have_source(s, left);
    if (!went && reason != SESSION_MOVE_DEAD_PATH)
        return;
    if (r->path_since != MONO_NEVER && now - r->path_since > FORGIVE_MS)
        ways_forgive(r, left->interface);
    ways_failed(r, now, left->interface, went ? WAYS_WENT : WAYS_DEAD);
}

void roam_move(struct session *s, mono_ms now, const struct path *way, enum session_move reason,
               bool resend)
{
    struct roam *r = &s->roam;
    struct ike_sa *sa = s->current;
    struct path to = roam_along(sa, way);
    char from_text[ENDPOINT_TEXT_MAX], to_text[ENDPOINT_TEXT_MAX];
    log_info("moving from %s to %s: %s", endpoint_format(&sa->path.local, from_text),
             endpoint_format(&to.local, to_text), move_texts[reason]);
    blame(s, now, reason);
    roam_move_begin(s, now, reason);
    roam_steady(r);
    r->seen_known = false;
    r->path_since = now;
    take_along(s, &to);
    roam_announce_path(s);
    if (sa->window.request.active)
        r->scattered = true;
    if (resend)
        roam_ask_again(s, now);
}

/* An attempt for a better way may wait for a gateway that has forgotten it: that did not matter as
 * long as the old way carried. */
static bool attempt_hangs(const struct session *s)
{
    const struct ike_sa *face = attempt_face(s);
    return face != NULL && face->window.request.active && face->window.request.sent > 1;
}

void roam_move_anew(struct session *s, mono_ms now)
{
    struct fault f = {0};
    s->roam.astray = true;
    if (!s->searching) {
        (void)fault_set(&f, ERR_NOT_FOUND,
                        "the network has changed, and the gateway does not know MOBIKE");
        fault_hint(&f, "the connection is made anew; nothing leaves outside the tunnel");
        lifecycle_search(s, SESSION_DOWN_UNREACHABLE, &f);
    }
    s->attempt_at = MONO_NEVER;
    if (attempt_hangs(s))
        attempt_abandon(s);
    lifecycle_rebuild(s, now, ATTEMPT_REBUILD);
}

void roam_heard(struct session *s, mono_ms at)
{
    struct roam *r = &s->roam;
    if (r->moving && r->heard_at == MONO_NEVER && at >= r->moved_at)
        r->heard_at = at;
}

void roam_move_finish(struct session *s, mono_ms now)
{
    struct roam *r = &s->roam;
    if (!r->moving)
        return;
    r->moving = false;
    r->handovers++;
    r->handover.to = s->current->path;
    r->handover.gap_ms = (r->heard_at != MONO_NEVER ? r->heard_at : now) - r->left_at;
    r->silence_since = MONO_NEVER;
    /* What the peer was sending us comes again by this path; if it does not, that is asked about,
     * though we have nothing to send. */
    if (session_in_use(s, now) && s->traffic.last_in <= r->moved_at)
        s->unanswered_since = now;
    struct session_event *event = NULL;
    if (s->was_up) /* before there is a Child SA it is no handover of anything */
        event = session_emit(s, SESSION_EVENT_HANDOVER);
    if (event != NULL)
        event->handover = r->handover;
    log_info("moved in %" PRId64 " ms with %" PRIu32 " messages", r->handover.gap_ms,
             r->handover.messages);
}

/* --- the responder --- */

void roam_peer_moved(struct ike_sa *sa, const struct sa_input *in)
{
    struct session *s = sa->session;
    struct roam *r = &s->roam;
    /* One that a rekeying made counts before its Delete of the old one has come. */
    bool counts = session_is_current(sa) || session_predecessor(sa) != NULL;
    if (!counts)
        return;
    if (path_equal(&sa->path, in->path)) { /* it was away, and is back */
        if (sa->window.request.active && sa->window.request.sent > 1)
            roam_ask_again(s, in->now);
        return;
    }
    take_along(s, in->path);
    roam_ask_again(s, in->now); /* RFC 4555 3.5: what went to the old address */
    s->roam.handovers++;
    if (sa->config->return_routability)
        r->check_wanted = true;
    else
        roam_announce_path(s);
}

bool roam_wants_check(const struct ike_sa *sa)
{
    return sa->session->roam.check_wanted;
}

bool roam_wants_announcement(const struct ike_sa *sa)
{
    return sa->session->roam.announce_wanted;
}

void roam_said(struct ike_sa *sa)
{
    struct roam *r = &sa->session->roam;
    r->path_unconfirmed = r->check_wanted;
    r->list_unconfirmed = r->announce_wanted;
    r->check_wanted = r->announce_wanted = false;
}

void roam_checked(struct ike_sa *sa)
{
    struct roam *r = &sa->session->roam;
    if (r->path_unconfirmed && !r->check_wanted)
        roam_announce_path(sa->session);
    r->path_unconfirmed = r->list_unconfirmed = false;
}

enum err session_set_additional(struct session *s, mono_ms now, const struct ip *addresses,
                                size_t count)
{
    if (s->config.role != SESSION_RESPONDER || s->current == NULL || !s->current->peer_mobike)
        return ERR_STATE;
    s->config.additional_count = count < SESSION_ADDITIONAL_MAX ? count : SESSION_ADDITIONAL_MAX;
    for (size_t i = 0; i < s->config.additional_count; i++)
        s->config.additional[i] = addresses[i];
    /* Where the IKE SA is at its end, by a successor, should there be one. */
    s->roam.announce_wanted = true;
    lifecycle_settle(s, now);
    return ERR_OK;
}
