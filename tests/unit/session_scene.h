/* A client and a gateway, from the first message on. */
#ifndef TERN_TESTS_SESSION_SCENE_H
#define TERN_TESTS_SESSION_SCENE_H

#include "common/ike/session.h"

#include "tests/support/pair.h"

static struct pair pair;

static void setup(void)
{
    pair_init(&pair);
}

static void teardown(void)
{
    pair_wipe(&pair);
}

static const struct session_event *ck_down(enum session_down_reason reason)
{
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_DOWN);
    ck_assert_ptr_nonnull(e);
    ck_assert_msg(e->down.reason == reason, "down for reason %d (%s), expected %d", e->down.reason,
                  e->down.fault.text, reason);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_DOWN);
    ck_assert(session_next_timeout(pair.client) == MONO_NEVER);
    return e;
}

static Suite *suite_of(const char *name, TCase **t)
{
    Suite *suite = suite_create(name);
    *t = tcase_create("session");
    tcase_add_checked_fixture(*t, setup, teardown);
    tcase_set_timeout(*t, 60);
    suite_add_tcase(suite, *t);
    return suite;
}

#endif
