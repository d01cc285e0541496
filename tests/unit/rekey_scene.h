/* A connection that stands, between two sessions on virtual time: whatever comes, in the end both
 * hold the same SAs, crosswise. */
#ifndef TERN_TESTS_REKEY_SCENE_H
#define TERN_TESTS_REKEY_SCENE_H

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

static void come_up(void)
{
    pair_start(&pair);
    pair_pump(&pair);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_UP);
}

/* One IKE SA, one Child SA, the same on both sides. */
static void ck_agree(void)
{
    struct session_status c, g;
    session_status(pair.client, &c);
    session_status(pair.gateway, &g);
    ck_assert_int_eq(c.state, SESSION_UP);
    ck_assert_int_eq(g.state, SESSION_UP);
    ck_assert_uint_eq(c.spi_i, g.spi_i);
    ck_assert_uint_eq(c.spi_r, g.spi_r);
    ck_assert_uint_eq(pair.client_children.count, 1);
    ck_assert_uint_eq(pair.gateway_children.count, 1);
    ck_assert_uint_eq(pair.client_children.items[0].spi_in, pair.gateway_children.items[0].spi_out);
    ck_assert_uint_eq(pair.client_children.items[0].spi_out, pair.gateway_children.items[0].spi_in);
}

static uint64_t spi_i(void)
{
    struct session_status status;
    session_status(pair.client, &status);
    return status.spi_i;
}

static Suite *suite_of(const char *name, TCase **t)
{
    Suite *suite = suite_create(name);
    *t = tcase_create("rekey");
    tcase_add_checked_fixture(*t, setup, teardown);
    tcase_set_timeout(*t, 120);
    suite_add_tcase(suite, *t);
    return suite;
}

#endif
