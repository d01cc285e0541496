/* The path manager: by which of the ways to the gateway the connection goes, and when by another
 * (RFC 4555). Moving itself is roam_move.c's, what MOBIKE's messages say exchange_mobike.c's.
 *
 * A way that is not listed any more is left at once, without a question: UPDATE_SA_ADDRESSES and
 * ESP leave by the best other way together. A better way is asked first, while the old one goes on
 * carrying. Where an answer fails to come, what is being asked goes by every way, and the first
 * answer decides. An interface that failed has to wait, each time longer, before it is asked again.
 *
 * Invariants: requests keep their bytes whichever way they go; after a move the gateway is told,
 * by a request that went by that way alone; without a way nothing is sent. */
#include "common/ike/session_state.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/log.h"

enum {
    HURRY_MIN_MS = 150,   /* for an answer to what went by a new path */
    HURRY_SLACK_MS = 400, /* more than it took before, at most */
    DOUBT_MIN_MS = 1000,  /* of silence, before a path that carried is doubted */
    DOUBT_QUIET_MAX = 5,
    TOOK_MAX_MS = 2500,   /* what came later says more about the network than about the way */
    HINT_PAUSE_MS = 2000, /* a gateway that moves is followed that often at most */
};

bool session_stranded(const struct session *s)
{
    return s->roam.stranded;
}

bool session_roams(const struct ike_sa *sa)
{
    return sa->config->role == SESSION_INITIATOR && sa->config->mobike && sa->peer_mobike &&
           session_is_current(sa) && sa_alive(sa);
}

static struct ike_sa *roamer(const struct session *s)
{
    return s->current != NULL && session_roams(s->current) ? s->current : NULL;
}

/* --- where things stand --- */

void roam_init(struct session *s)
{
    struct roam *r = &s->roam;
    r->path_since = r->silence_since = MONO_NEVER;
    r->left_at = r->moved_at = r->heard_at = MONO_NEVER;
    for (size_t i = 0; i < SESSION_PATHS_MAX; i++)
        r->ways[i].srtt_ms = -1;
}

static void settle_here(struct roam *r)
{
    roam_steady(r);
    r->update_wanted = r->update_out = r->scattered = r->hurry = false;
    r->seen_known = r->moving = false;
    r->silence_since = MONO_NEVER;
    r->quiet = 0;
    r->took_ms = 0;
}

void roam_begin(struct session *s, mono_ms now)
{
    settle_here(&s->roam);
    s->roam.path_since = now;
    s->roam.astray = false;
}

/* --- the network has changed --- */

/* Nothing is sent, nothing is given up. */
static void strand(struct session *s, mono_ms now)
{
    struct roam *r = &s->roam;
    struct ike_sa *sa = s->current;
    struct fault f = {0};
    if (sa == NULL || !s->was_up)
        return;
    if (r->mode != ROAM_STEADY)
        r->scattered = true;
    roam_steady(r);
    if (sa->config->hold_ms != 0 && sa->hold_until == MONO_NEVER)
        sa->hold_until = now + (mono_ms)sa->config->hold_ms;
    (void)fault_set(&f, ERR_NOT_FOUND, "no network leads to the gateway");
    fault_hint(&f, "the connection is held; it goes on when there is one");
    if (!s->searching)
        lifecycle_search(s, SESSION_DOWN_UNREACHABLE, &f);
}

static void race(struct session *s, mono_ms now)
{
    struct roam *r = &s->roam;
    log_info("no answer by this path: asking by %zu", r->way_count);
    r->mode = ROAM_RACING;
    r->raced_at = now;
    sa_request_repeat(s->current, now);
}

/* An interface that comes up shows its ways one after the other: the first need not be the one that
 * carries. */
static void follow_new_ways(struct session *s, mono_ms now)
{
    struct roam *r = &s->roam;
    mono_ms at;
    const struct way *better = ways_better(s, &at);
    if (!s->current->window.request.active)
        return;
    if (r->mode == ROAM_PROBING && r->target_reason == SESSION_MOVE_BETTER_PATH && better != NULL &&
        at <= now && !ways_same_ends(&better->path, &r->target)) {
        r->target = roam_along(s->current, &better->path);
        r->scattered = true;
        roam_ask_again(s, now);
    } else if (r->mode == ROAM_STEADY && r->hurry) {
        race(s, now);
    }
}

/* What has not moved, for want of MOBIKE or because it is about to end, has something to say yet,
 * and must not say it from an address that is gone. */
static void leave_gone_ways(struct session *s, mono_ms now)
{
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        struct ike_sa *sa = s->sas[i];
        if (sa == NULL || sa->state == SA_DEAD || ways_have_source(s, &sa->path))
            continue;
        sa->path = roam_along(sa, &ways_best(s, now, &sa->path)->path);
        if (sa != s->current)
            continue;
        roam_announce_path(s);
        s->roam.update_wanted = true; /* a rekeying that is out may still bring a successor */
    }
}

static void follow_ways(struct session *s, mono_ms now, bool was_stranded, bool more)
{
    struct roam *r = &s->roam;
    struct ike_sa *sa = s->current;
    bool gone = !ways_lists(s, &sa->path);
    if (roamer(s) == NULL) {
        if (gone && s->was_up)
            roam_move_anew(s, now);
        else if (was_stranded)
            s->suspect = true;
        return;
    }
    sa->hold_until = was_stranded ? MONO_NEVER : sa->hold_until;
    if (gone || was_stranded) {
        roam_move(s, now, &ways_best(s, now, &sa->path)->path, SESSION_MOVE_ADDRESS_GONE, true);
    } else if (r->mode == ROAM_PROBING && ways_find(s, &r->target) == NULL) {
        roam_steady(r); /* what it asked goes by the path */
        r->scattered = true;
        leave_gone_ways(s, now); /* of older IKE SAs */
        roam_ask_again(s, now);
    } else if (more) {
        follow_new_ways(s, now);
    }
}

void session_networks_changed(struct session *s, mono_ms now, const struct path *paths,
                              size_t count)
{
    struct roam *r = &s->roam;
    bool was_stranded = r->stranded;
    if (s->config.role != SESSION_INITIATOR)
        return; /* a gateway goes nowhere of its own accord */
    bool more = ways_set(s, paths, count);
    if (!ways_lists(s, &r->hint))
        r->hint = (struct path){.interface = 0};
    if (!s->started || s->down)
        return;
    r->stranded = count == 0;
    if (s->stopping) {
        if (count > 0)
            leave_gone_ways(s, now);
        return;
    }
    attempt_ways_going(s);
    if (count == 0)
        strand(s, now);
    else if (s->current != NULL && sa_alive(s->current))
        follow_ways(s, now, was_stranded, more);
    attempt_ways_changed(s, now);
    if (count > 0)
        leave_gone_ways(s, now);
    lifecycle_settle(s, now);
}

void session_resumed(struct session *s, mono_ms now)
{
    if (s->current == NULL || s->down || s->stopping)
        return;
    log_info("this machine slept: asking whether the gateway still knows us");
    s->suspect = true;
    if (s->roam.silence_since == MONO_NEVER)
        s->roam.silence_since = now;
    lifecycle_settle(s, now);
}

/* --- asking --- */

/* Which way the one before it went is of no matter to its answer. */
void roam_asking(struct ike_sa *sa, struct span train)
{
    if (session_roams(sa))
        sa->session->roam.scattered = false;
    roam_transmit(sa, train);
}

void roam_transmit(struct ike_sa *sa, struct span train)
{
    struct session *s = sa->session;
    struct roam *r = &s->roam;
    if (!session_roams(sa)) {
        session_transmit(s, &sa->path, train);
        return;
    }
    if (r->mode == ROAM_RACING) {
        /* Where the path in use is the only way, an answer says how we are seen there. */
        r->scattered |= r->way_count > 1 || !ways_same_ends(&r->ways[0].path, &sa->path);
        for (size_t i = 0; i < r->way_count; i++) {
            struct path path = roam_along(sa, &r->ways[i].path);
            session_transmit(s, &path, train);
        }
        r->handover.messages += (uint32_t)r->way_count;
        return;
    }
    session_transmit(s, r->mode == ROAM_PROBING ? &r->target : &sa->path, train);
    r->handover.messages++;
}

static int64_t at_least(int64_t least, int64_t ms)
{
    return ms > least ? ms : least;
}

static int64_t round_trip_ms(const struct session *s)
{
    for (size_t i = 0; i < s->roam.way_count; i++) {
        if (ways_same_ends(&s->roam.ways[i].path, &s->current->path) &&
            s->roam.ways[i].srtt_ms >= 0)
            return s->roam.ways[i].srtt_ms;
    }
    return s->current->rtt_ms;
}

mono_ms roam_patience(const struct session *s)
{
    if (roamer(s) == NULL)
        return MONO_NEVER;
    unsigned doublings = s->roam.quiet < DOUBT_QUIET_MAX ? s->roam.quiet : DOUBT_QUIET_MAX;
    return at_least(DOUBT_MIN_MS, 4 * round_trip_ms(s)) << doublings;
}

/* When the outstanding request goes by every way. */
static mono_ms race_at(const struct session *s)
{
    const struct roam *r = &s->roam;
    const struct ike_sa *sa = roamer(s);
    if (sa == NULL || r->stranded || r->mode == ROAM_RACING || !sa->window.request.active)
        return MONO_NEVER;
    mono_ms asked = sa->window.request.first_at;
    int64_t doubt_ms = at_least(DOUBT_MIN_MS, 4 * round_trip_ms(s));
    if (r->mode == ROAM_PROBING)
        return asked + doubt_ms;
    if (r->hurry) { /* but for a way that has shown that it is slower */
        int64_t known_ms = at_least(r->took_ms, round_trip_ms(s));
        int64_t slack_ms = known_ms < HURRY_SLACK_MS ? known_ms : HURRY_SLACK_MS;
        return asked + at_least(HURRY_MIN_MS, known_ms + slack_ms);
    }
    if (r->way_count < 2)
        return MONO_NEVER;
    mono_ms in = liveness_last_in(s);
    return (in != MONO_NEVER && in > asked ? in : asked) + doubt_ms;
}

/* When a better way is to be asked. */
static mono_ms probe_at(const struct session *s)
{
    const struct roam *r = &s->roam;
    mono_ms at;
    if (r->stranded || r->mode != ROAM_STEADY || r->moving || s->current == NULL || s->searching ||
        s->stopping || !sa_alive(s->current))
        return MONO_NEVER;
    if (roamer(s) == NULL) {
        if (attempt_going_on(s) || s->attempt_at != MONO_NEVER)
            return MONO_NEVER;
    } else if (s->current->window.request.active) {
        return MONO_NEVER;
    }
    if (ways_is_path(&r->hint) && roamer(s) != NULL)
        return r->hint_after;
    return ways_better(s, &at) != NULL ? at : MONO_NEVER;
}

mono_ms roam_next_timeout(const struct session *s)
{
    return mono_earlier(race_at(s), probe_at(s));
}

void roam_handle_timeout(struct session *s, mono_ms now)
{
    mono_ms at;
    if (now >= race_at(s))
        race(s, now);
    if (now >= probe_at(s) && roamer(s) == NULL) {
        const struct way *better = ways_better(s, &at);
        log_info("a better path, and a gateway without MOBIKE: a new IKE SA on it");
        s->candidate_limit = (size_t)(better - s->roam.ways) + 1;
        lifecycle_rebuild(s, now, ATTEMPT_MOVE);
    }
}

bool roam_wants_update(const struct ike_sa *sa)
{
    return session_roams(sa) && sa->session->roam.update_wanted;
}

bool roam_wants_probe(const struct ike_sa *sa, mono_ms now)
{
    return session_roams(sa) && now >= probe_at(sa->session);
}

void roam_updating(struct ike_sa *sa)
{
    struct roam *r = &sa->session->roam;
    r->update_wanted = false;
    r->update_out = r->hurry = true;
}

void roam_probing(struct ike_sa *sa, mono_ms now)
{
    struct roam *r = &sa->session->roam;
    mono_ms at;
    char text[ENDPOINT_TEXT_MAX];
    r->mode = ROAM_PROBING;
    if (ways_is_path(&r->hint)) {
        r->target = r->hint;
        r->target_reason = SESSION_MOVE_PEER_MOVED;
        r->hint_after = now + HINT_PAUSE_MS;
        r->hint = (struct path){.interface = 0};
    } else {
        r->target = roam_along(sa, &ways_better(sa->session, &at)->path);
        r->target_reason = SESSION_MOVE_BETTER_PATH;
    }
    log_info("another path from %s may be better: asking by it",
             endpoint_format(&r->target.local, text));
}

/* A path that answers and yet brings nothing: perhaps somebody on the way passed on what we said
 * from an address of his own, and the peer has us there. */
bool roam_doubting(struct ike_sa *sa)
{
    struct roam *r = &sa->session->roam;
    r->hurry = true;
    r->took_ms = 0; /* that was another time */
    return r->quiet++ > 0;
}

bool roam_gateway_has_several(const struct ike_sa *sa)
{
    const struct roam *r = &sa->session->roam;
    for (size_t i = 0; i < r->way_count; i++) {
        if (!ip_equal(&r->ways[i].path.remote.ip, &sa->path.remote.ip))
            return true;
    }
    return false;
}

/* --- what came in --- */

static void measure(struct session *s, mono_ms now, const struct sa_input *in)
{
    const struct window_request *q = &s->current->window.request;
    struct way *way = ways_find(s, in->path);
    if (way == NULL || q->sent != 1 || s->roam.scattered)
        return;
    int64_t rtt = now - q->first_at;
    way->srtt_ms = way->srtt_ms < 0 ? rtt : (7 * way->srtt_ms + rtt) / 8;
}

static void told_of_probe(struct session *s, bool answered)
{
    struct session_event *event = session_emit(s, SESSION_EVENT_PATH_PROBE);
    if (event == NULL)
        return;
    event->path_probe.path = s->roam.target;
    event->path_probe.answered = answered;
}

/* By the way that was probed, or by another one of its interface. */
static bool answers_probe(const struct roam *r, const struct sa_input *in, const struct way *way)
{
    return ways_same_ends(in->path, &r->target) ||
           (r->target_reason == SESSION_MOVE_BETTER_PATH && way != NULL &&
            way->path.interface == r->target.interface);
}

/* By which of its transmissions the winner was asked is not known: by the first that went by it. A
 * path that carried, and was silent, is measured from the race on, as the others are. */
static int64_t race_took_ms(const struct ike_sa *sa, mono_ms now, bool elsewhere)
{
    const struct roam *r = &sa->session->roam;
    mono_ms asked = r->hurry && !elsewhere ? sa->window.request.first_at : r->raced_at;
    return now - asked < TOOK_MAX_MS ? now - asked : TOOK_MAX_MS;
}

void roam_answered(struct ike_sa *sa, const struct sa_input *in)
{
    struct session *s = sa->session;
    struct roam *r = &s->roam;
    enum roam_mode mode = r->mode;
    if (!session_roams(sa))
        return;
    measure(s, in->now, in);
    r->handover.messages++;
    r->mode = ROAM_STEADY;
    const struct way *way = ways_find(s, in->path);
    bool probed = ways_is_path(&r->target), by_target = probed && answers_probe(r, in, way);
    if (probed)
        told_of_probe(s, by_target);
    if (probed && !by_target)
        ways_failed(r, in->now, r->target.interface, WAYS_UNHEARD);
    r->target = (struct path){.interface = 0};
    bool elsewhere = way != NULL && !ways_same_ends(in->path, &sa->path);
    int64_t took_ms = mode == ROAM_RACING ? race_took_ms(sa, in->now, elsewhere) : 0;
    r->hurry = false;
    if (elsewhere && by_target)
        roam_move(s, in->now, &way->path, r->target_reason, false);
    else if (elsewhere && mode == ROAM_RACING)
        roam_move(s, in->now, &way->path, SESSION_MOVE_DEAD_PATH, false);
    if (took_ms > 0 || (!r->moving && !r->scattered))
        r->took_ms = took_ms;
}

void roam_asked(struct ike_sa *sa, const struct sa_input *in)
{
    /* Where it came to where we are not (any more), the gateway had not heard of the move. */
    bool here = ip_equal(&in->path->local.ip, &sa->path.local.ip);
    if (session_roams(sa) && here && !ways_same_ends(in->path, &sa->path) &&
        ways_lists(sa->session, in->path))
        sa->session->roam.hint = roam_along(sa, in->path);
}

void roam_updated(struct ike_sa *sa, mono_ms now)
{
    struct roam *r = &sa->session->roam;
    r->update_out = false;
    if (roam_certain(sa))
        roam_move_finish(sa->session, now);
    else /* moved meanwhile: this answer is old news (RFC 4555 3.5) */
        r->update_wanted = true;
}

void roam_refused(struct ike_sa *sa, mono_ms now)
{
    struct session *s = sa->session;
    struct roam *r = &s->roam;
    char text[ENDPOINT_TEXT_MAX];
    r->update_out = false;
    if (r->update_wanted || r->stranded) /* asked again from wherever we are by then */
        return;
    log_warn("the gateway does not accept our address %s", endpoint_format(&sa->path.local, text));
    ways_failed(r, now, sa->path.interface, WAYS_DEAD);
    const struct way *other = ways_best(s, now, &sa->path);
    if (!ways_same_ends(&other->path, &sa->path) &&
        ways_trusted_at(s, other->path.interface) <= now)
        roam_move(s, now, &other->path, r->handover.reason, false);
    else
        roam_move_anew(s, now);
}

bool roam_certain(const struct ike_sa *sa)
{
    return !sa->session->roam.scattered && !sa->session->roam.update_wanted;
}

/* Something is wrong, perhaps the address translator: told again, nobody has to know. */
void roam_uncertain(struct ike_sa *sa)
{
    struct roam *r = &sa->session->roam;
    r->update_wanted = r->update_wanted || r->silence_since != MONO_NEVER;
}

static void told_of_nat(struct ike_sa *sa)
{
    struct session_event *event = session_emit(sa->session, SESSION_EVENT_NAT_CHANGED);
    if (event == NULL)
        return;
    event->nat.nat_local = sa->nat_local;
    event->nat.path = sa->path;
}

void roam_seen_as(struct ike_sa *sa, mono_ms now, struct span hash, bool was_nat)
{
    struct session *s = sa->session;
    struct roam *r = &s->roam;
    bool changed = r->seen_known && !span_equal(hash, SPAN_OF(r->seen));
    bool unknown = !r->seen_known && sa->nat_local; /* how it was before */
    ASSERT(hash.len == NAT_HASH_LEN);
    if (r->seen_known && !r->update_out)
        keepalive_judge(s, changed);
    if (changed || was_nat != sa->nat_local)
        told_of_nat(sa);
    memcpy(r->seen, hash.data, NAT_HASH_LEN);
    r->seen_known = true;
    if (r->update_out || (!changed && !unknown))
        return;
    if (!changed && r->silence_since == MONO_NEVER) {
        r->update_wanted = true; /* nothing seems wrong; that the gateway knows it, is to be sure */
        return;
    }
    log_info("the address translator in front of us has changed");
    roam_move_begin(s, now, SESSION_MOVE_NAT_CHANGED);
}

void roam_replaced(struct ike_sa *made)
{
    struct roam *r = &made->session->roam;
    r->seen_known = false; /* the SPIs are part of it */
    if (r->update_out)     /* the peer may have made its successor before it heard of it */
        r->update_wanted = true;
    r->update_out = false;
    /* Responder: what is being asked and told may end with the old one, without an answer. */
    r->check_wanted |= r->path_unconfirmed;
    r->announce_wanted |= r->list_unconfirmed;
}

void roam_not_better(struct session *s, mono_ms now)
{
    mono_ms at;
    const struct way *way = ways_better(s, &at);
    s->candidate_limit = 0;
    if (way != NULL)
        ways_failed(&s->roam, now, way->path.interface, WAYS_UNHEARD);
}
