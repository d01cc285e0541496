/* The hand-driven peer of support/hostile.h, with MOBIKE: what the tests of both roles share. */
#ifndef TERN_TESTS_MOBIKE_PEER_H
#define TERN_TESTS_MOBIKE_PEER_H

#include <string.h>

#include "tests/support/hostile.h"

static struct hostile hostile;
static struct hostile_chain chain;
static struct hostile_message got;
static struct path home; /* of the session, where it came up */

static inline void setup(void) /* we are the gateway of a client */
{
    hostile_init(&hostile, true);
}

static inline void setup_client(void) /* we are the client of a gateway */
{
    hostile_init(&hostile, false);
}

static inline void teardown(void)
{
    hostile_wipe(&hostile);
}

static inline void afresh(bool as_gateway)
{
    hostile_wipe(&hostile);
    hostile_init(&hostile, as_gateway);
}

/* IKE_AUTH as a good peer would, with what `more` holds beside it. */
static inline void authenticate(const struct hostile_chain *more)
{
    struct ike_header header;
    hostile_reach(&hostile, HOSTILE_KEYED);
    hostile_next(&hostile, &header, &chain);
    for (size_t i = 0; i < more->count; i++)
        hostile_add(&chain, more->items[i].type,
                    span_make(more->items[i].body, more->items[i].len));
    hostile_send_sealed(&hostile, &header, &chain);
}

static inline struct session_status status(void)
{
    struct session_status s;
    session_status(hostile.session, &s);
    return s;
}

static inline void come_up_with(struct hostile_chain *more)
{
    hostile_add_notify(more, NOTIFY_MOBIKE_SUPPORTED, SPAN_EMPTY);
    authenticate(more);
    hostile_advance(&hostile);
    home = hostile.path;
    ck_assert(status().peer_mobike);
}

static inline void come_up(void)
{
    static struct hostile_chain more;
    more.count = 0;
    come_up_with(&more);
}

static inline void say(uint16_t type, struct span data)
{
    hostile_add_notify(&chain, type, data);
}

static inline void say_address(const struct ip *ip)
{
    say(ip->family == IP_V4 ? NOTIFY_ADDITIONAL_IP4_ADDRESS : NOTIFY_ADDITIONAL_IP6_ADDRESS,
        ip_span(ip));
}

/* What the chain says is asked, and answered. */
static inline void ask(void)
{
    hostile_ask(&hostile, EXCHANGE_INFORMATIONAL, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, true);
    ck_assert_uint_eq(got.header.message_id, hostile.sa.next_id - 1);
}

/* The IKE SA is rekeyed by us; the old one stays until we delete it. */
static inline void rekey(void)
{
    hostile_ike_request(&hostile, &chain);
    hostile_ask(&hostile, EXCHANGE_CREATE_CHILD_SA, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, true);
    hostile_ike_follow(&hostile, &got);
}

static inline size_t notifies_of(const struct hostile_message *m, uint16_t type, struct span *ret)
{
    const struct payload *p = NULL;
    struct notify_payload n;
    size_t count = 0;
    while ((p = payload_next(&m->payloads, PAYLOAD_NOTIFY, p)) != NULL) {
        ck_ok(notify_payload_parse(p->body, &n));
        if (n.type != type)
            continue;
        count++;
        *ret = n.data;
    }
    return count;
}

static inline size_t notifies(uint16_t type, struct span *ret)
{
    return notifies_of(&got, type, ret);
}

static inline bool says(uint16_t type)
{
    struct span data;
    return notifies(type, &data) > 0;
}

/* The session's request gets the answer that it wants. */
static inline void answer_well(void)
{
    struct span cookie;
    chain.count = 0;
    if (notifies_of(&hostile.request, NOTIFY_COOKIE2, &cookie) > 0)
        say(NOTIFY_COOKIE2, cookie);
    hostile_answer(&hostile, &chain);
}

static inline void ck_path(const struct path *path)
{
    struct session_status s = status();
    ck_assert(path_equal(&s.path, path));
}

/* Has an IKE SA that is not about to end. */
static inline void ck_stands(void)
{
    ck_assert_int_eq(status().state, SESSION_UP);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_SEARCHING], 0);
    hostile_ck_alive(&hostile);
}

/* It does not wake up again and again. */
static inline void ck_sleeps(void)
{
    mono_ms due = session_next_timeout(hostile.session);
    ck_assert(due == MONO_NEVER || due > hostile.now);
}

#endif
