/* How interfaces and translators are remembered: which way is to be preferred, what failed has to
 * wait for, and how long a translator (NAT) is trusted to keep us in mind. What a connection makes
 * of it is test_ike_roam.c's. */
#include <string.h>

#include "common/ike/session_state.h"
#include "tests/support/pair.h"

enum { FREE = 2, LONGEST_MS = 60000, KEEPALIVE_MS = 20000, STRETCH_MAX_MS = 300000 };

static struct pair pair;
static struct path wifi, cell, wifi_b; /* wifi_b: to the gateway's other address */

static void setup(void)
{
    pair_init(&pair);
    wifi = pair.client_path;
    cell = wifi;
    cell.local.ip = ip_v4(198, 51, 100, 7);
    cell.interface = wifi.interface + 1;
    wifi_b = wifi;
    wifi_b.remote.ip = ip_v4(203, 0, 113, 66);
}

static void teardown(void)
{
    pair_wipe(&pair);
}

static void come_up(const struct path *ways, size_t count)
{
    pair.client_path = ways[0];
    pair_start(&pair);
    session_networks_changed(pair.client, pair.now, ways, count);
    pair_pump(&pair);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_UP);
    pair_forget_events(&pair);
}

static void out_at(mono_ms at)
{
    pair.client->traffic.last_out = at;
}

/* --- trust --- */

static void go_away(unsigned times, mono_ms now, uint32_t interface)
{
    for (unsigned i = 0; i < times; i++)
        ways_failed(&pair.client->roam, now, interface, WAYS_WENT);
}

START_TEST(two_failures_are_free_and_then_each_doubles_the_wait)
{
    static const mono_ms waits[] = {2000, 4000, 8000, 16000, 32000, LONGEST_MS, LONGEST_MS};
    come_up(&wifi, 1);
    out_at(1000000);
    ck_assert_int_eq(ways_trusted_at(pair.client, 7), 0);
    go_away(FREE, 5000, 7);
    ck_assert_int_eq(ways_trusted_at(pair.client, 7), 0);
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        go_away(1, 6000 + (mono_ms)i, 7);
        ck_assert_int_eq(ways_trusted_at(pair.client, 7), 6000 + (mono_ms)i + waits[i]);
    }
    go_away(1000, 7000, 7);
    ck_assert_int_eq(ways_trusted_at(pair.client, 7), 7000 + LONGEST_MS);
    ck_assert_int_eq(ways_trusted_at(pair.client, 8), 0); /* each for itself */
}
END_TEST

/* What was there and did not carry is no cable that was pulled. */
START_TEST(a_dead_way_waits_from_the_first_time_on)
{
    come_up(&wifi, 1);
    out_at(1000000);
    ways_failed(&pair.client->roam, 5000, 7, WAYS_DEAD);
    ck_assert_int_eq(ways_trusted_at(pair.client, 7), 7000);
    ways_failed(&pair.client->roam, 8000, 7, WAYS_DEAD);
    ck_assert_int_eq(ways_trusted_at(pair.client, 7), 12000);
    go_away(FREE, 9000, 8); /* and after free failures no longer than that */
    ways_failed(&pair.client->roam, 9000, 8, WAYS_DEAD);
    ck_assert_int_eq(ways_trusted_at(pair.client, 8), 11000);
}
END_TEST

/* One that did not answer when it was asked, once more: its first packets may have been late. */
START_TEST(what_was_not_heard_is_asked_once_more)
{
    come_up(&wifi, 1);
    out_at(1000000);
    ways_failed(&pair.client->roam, 5000, 7, WAYS_UNHEARD);
    ck_assert_int_eq(ways_trusted_at(pair.client, 7), 0);
    ways_failed(&pair.client->roam, 6000, 7, WAYS_UNHEARD);
    ck_assert_int_eq(ways_trusted_at(pair.client, 7), 8000);
}
END_TEST

/* An idle machine sleeps: what failed is asked again once something was sent after that. */
START_TEST(without_use_nothing_is_asked_again)
{
    come_up(&wifi, 1);
    ways_failed(&pair.client->roam, 5000, 7, WAYS_DEAD);
    out_at(MONO_NEVER);
    ck_assert(ways_trusted_at(pair.client, 7) == MONO_NEVER);
    out_at(5000);
    ck_assert(ways_trusted_at(pair.client, 7) == MONO_NEVER);
    out_at(5001);
    ck_assert_int_eq(ways_trusted_at(pair.client, 7), 7000);
}
END_TEST

START_TEST(forgiven_is_as_good_as_before)
{
    come_up(&wifi, 1);
    out_at(1000000);
    go_away(10, 5000, 7);
    go_away(10, 5000, 8);
    ways_forgive(&pair.client->roam, 7);
    ways_forgive(&pair.client->roam, 9); /* which never failed */
    ck_assert_int_eq(ways_trusted_at(pair.client, 7), 0);
    ck_assert_int_eq(ways_trusted_at(pair.client, 8), 5000 + LONGEST_MS);
    go_away(FREE, 6000, 7); /* from the beginning */
    ck_assert_int_eq(ways_trusted_at(pair.client, 7), 0);
    go_away(1, 6000, 7);
    ck_assert_int_eq(ways_trusted_at(pair.client, 7), 8000);
}
END_TEST

/* More interfaces than are remembered: the one that failed longest ago is forgotten. */
START_TEST(the_oldest_failure_is_forgotten)
{
    come_up(&wifi, 1);
    out_at(1000000);
    for (uint32_t i = 0; i < TRUSTS_MAX; i++)
        ways_failed(&pair.client->roam, i == 3 ? 100 : 5000 + i, 50 + i, WAYS_DEAD);
    ways_failed(&pair.client->roam, 6000, 99, WAYS_DEAD);
    ck_assert_int_eq(ways_trusted_at(pair.client, 99), 8000);
    for (uint32_t i = 0; i < TRUSTS_MAX; i++)
        ck_assert_int_eq(ways_trusted_at(pair.client, 50 + i), i == 3 ? 0 : 7000 + i);
    ways_forgive(&pair.client->roam, 54); /* there is room again */
    ways_failed(&pair.client->roam, 6000, 98, WAYS_DEAD);
    ck_assert_int_eq(ways_trusted_at(pair.client, 50), 7000);
    ck_assert_int_eq(ways_trusted_at(pair.client, 98), 8000);
}
END_TEST

/* --- choosing --- */

START_TEST(in_a_hurry_the_first_that_is_trusted)
{
    const struct path ways[] = {wifi, cell};
    come_up(ways, 2);
    out_at(1000000);
    ck_assert(ways_same_ends(&ways_best(pair.client, 5000, &wifi)->path, &wifi));
    ways_failed(&pair.client->roam, 5000, wifi.interface, WAYS_DEAD);
    ck_assert(ways_same_ends(&ways_best(pair.client, 6999, &wifi)->path, &cell));
    ck_assert(ways_same_ends(&ways_best(pair.client, 7000, &wifi)->path, &wifi));
    ways_failed(&pair.client->roam, 5000, cell.interface,
                WAYS_DEAD); /* neither: one has to be taken */
    ck_assert(ways_same_ends(&ways_best(pair.client, 5500, &cell)->path, &wifi));
}
END_TEST

/* Of an interface's ways the one to the gateway's address in use; else the faster. */
START_TEST(of_one_interface_the_nearest)
{
    struct path wifi_c = wifi;
    wifi_c.remote.ip = ip_v4(203, 0, 113, 67);
    const struct path ways[] = {wifi, wifi_b, wifi_c, cell};
    struct path elsewhere = cell;
    elsewhere.remote.ip = ip_v4(203, 0, 113, 99);
    come_up(ways, 4);
    ck_assert(ways_same_ends(&ways_best(pair.client, 0, &wifi_c)->path, &wifi_c));
    ways_find(pair.client, &wifi)->srtt_ms = 30;
    ways_find(pair.client, &wifi_b)->srtt_ms = 20;
    ck_assert(ways_same_ends(&ways_best(pair.client, 0, &elsewhere)->path, &wifi_b));
    ways_find(pair.client, &wifi_b)->srtt_ms = -1; /* not measured is not faster */
    ck_assert(ways_same_ends(&ways_best(pair.client, 0, &elsewhere)->path, &wifi));
}
END_TEST

START_TEST(what_stands_before_the_path_is_better)
{
    mono_ms at = 0;
    struct path lan = wifi;
    lan.local.ip = ip_v4(192, 0, 2, 99);
    lan.interface = cell.interface + 1;
    const struct path ways[] = {lan, wifi, cell};
    come_up(&cell, 1);
    out_at(1000000);
    (void)ways_set(pair.client, ways, 3);
    ck_assert(ways_same_ends(&ways_better(pair.client, &at)->path, &lan));
    ck_assert_int_eq(at, 0);
    ways_failed(&pair.client->roam, 5000, lan.interface, WAYS_DEAD);
    ck_assert(ways_same_ends(&ways_better(pair.client, &at)->path, &wifi));
    ck_assert_int_eq(at, 0);
    ways_failed(&pair.client->roam, 9000, wifi.interface,
                WAYS_DEAD); /* both: the first that may be */
    ck_assert(ways_same_ends(&ways_better(pair.client, &at)->path, &lan));
    ck_assert_int_eq(at, 7000);
    (void)ways_set(pair.client, &ways[2], 1);
    ck_assert_ptr_null(ways_better(pair.client, &at));
    ck_assert(at == MONO_NEVER);
    const struct path same_interface[] = {cell, lan};
    (void)ways_set(pair.client, same_interface, 2);
    ck_assert_ptr_null(ways_better(pair.client, &at));
}
END_TEST

/* A new list keeps what was measured, says whether it has anything new, and is no longer than there
 * is room. */
START_TEST(a_list_in_the_place_of_another)
{
    struct path many[SESSION_PATHS_MAX + 3];
    const struct path ways[] = {wifi, cell};
    come_up(ways, 2);
    ways_find(pair.client, &cell)->srtt_ms = 42;
    ck_assert(!ways_set(pair.client, &cell, 1));
    ck_assert_int_eq(ways_find(pair.client, &cell)->srtt_ms, 42);
    ck_assert_ptr_null(ways_find(pair.client, &wifi));
    ck_assert(ways_set(pair.client, ways, 2));
    ck_assert_int_eq(ways_find(pair.client, &wifi)->srtt_ms, -1);
    ck_assert_int_eq(ways_find(pair.client, &cell)->srtt_ms, 42);
    for (size_t i = 0; i < SESSION_PATHS_MAX + 3; i++) {
        many[i] = wifi;
        many[i].local.ip = ip_v4(192, 0, 2, (uint8_t)(100 + i));
    }
    ck_assert(ways_set(pair.client, many, SESSION_PATHS_MAX + 3));
    ck_assert_uint_eq(pair.client->roam.way_count, SESSION_PATHS_MAX);
    ck_assert(!ways_set(pair.client, many, 0));
    ck_assert(!ways_lists(pair.client, &many[0]));
}
END_TEST

/* --- how long a translator remembers --- */

/* When the next keepalive or question leaves, measured from the last datagram. */
static mono_ms silence(void)
{
    return session_next_timeout(pair.client) - pair.client->last_sent;
}

/* Of the one network that has been met. */
static mono_ms known_good_ms(void)
{
    mono_ms good = 0;
    for (size_t i = 0; i < NATS_MAX; i++)
        good += pair.client->nats[i].good_ms;
    return good;
}

static void up_behind_a_translator(void)
{
    pair.client_config.keepalive_ms = KEEPALIVE_MS;
    pair.nat_port = 20000;
    come_up(&wifi, 1);
}

/* Each question that is answered, and finds us where we were, allows a longer silence; to an end.
 */
START_TEST(success_raises_to_a_bound)
{
    mono_ms longest = 0;
    unsigned raised = 0;
    up_behind_a_translator();
    while (pair.now < 4 * 3600000) {
        mono_ms next = silence();
        ck_assert_int_ge(next, KEEPALIVE_MS);
        ck_assert_int_le(next, STRETCH_MAX_MS);
        ck_assert_int_ge(next, longest);
        ck_assert_int_le(next, longest == 0 ? KEEPALIVE_MS : longest + longest / 4);
        raised += next > longest ? 1 : 0;
        longest = next;
        pair_run(&pair, session_next_timeout(pair.client));
    }
    ck_assert_int_eq(longest, STRETCH_MAX_MS);
    ck_assert_uint_ge(raised, 10);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_NAT_CHANGED), 0);
    unsigned before = pair.datagrams; /* known by now: a keepalive, and no question, each time */
    pair_run(&pair, pair.now + 10 * STRETCH_MAX_MS);
    ck_assert_uint_eq(pair.datagrams, before + 10);
}
END_TEST

static bool all_but_wifi(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    (void)from_client;
    (void)bytes;
    (void)len;
    return !ip_equal(&p->wire_path.local.ip, &wifi.local.ip);
}

/* A better way that does not answer, so that the question goes by both: what its answer says of the
 * translator is not certain. What the next ones say is. */
START_TEST(a_race_spoils_its_own_answer_alone)
{
    struct path ways[] = {wifi, cell};
    pair.client_config.keepalive_ms = KEEPALIVE_MS;
    pair.nat_port = 20000;
    come_up(&cell, 1);
    pair.wire = all_but_wifi;
    session_networks_changed(pair.client, pair.now, ways, 2);
    pair_run(&pair, pair.now + 10000);
    ck_assert_uint_ge(pair_count_events(&pair, true, SESSION_EVENT_PATH_PROBE), 1);
    for (mono_ms last = KEEPALIVE_MS; last < 2 * KEEPALIVE_MS; last = known_good_ms()) {
        pair_run(&pair, session_next_timeout(pair.client)); /* what is to be compared with */
        pair_run(&pair, session_next_timeout(pair.client));
        ck_assert_int_gt(known_good_ms(), last);
    }
    ck_assert(ways_same_ends(&pair.client->current->path, &cell));
}
END_TEST

static void learn_until(mono_ms longer_than)
{
    while (silence() <= longer_than)
        pair_run(&pair, session_next_timeout(pair.client));
}

/* A question that finds us elsewhere: back to what was good, and no longer silence is tried. */
START_TEST(loss_lowers_to_what_was_good)
{
    up_behind_a_translator();
    learn_until(40000);
    mono_ms tried = silence(), good = tried * 4 / 5;
    pair.nat_port = 20001;
    pair_run(&pair, session_next_timeout(pair.client));
    pair_run(&pair, pair.now + 10);
    ck_assert_int_le(silence(), good + 1000);
    ck_assert_int_ge(silence(), good - 1000);
    mono_ms settled = silence();
    for (int i = 0; i < 50; i++) {
        pair_run(&pair, session_next_timeout(pair.client));
        ck_assert_int_eq(silence(), settled);
    }
}
END_TEST

/* It forgets us within a silence that it stood before, as another one at the same address would:
 * what was learned is not true any more, and is learned again from the beginning. */
START_TEST(what_turns_out_wrong_is_learned_anew)
{
    up_behind_a_translator();
    learn_until(_i == 0 ? 100000 : STRETCH_MAX_MS - 1);
    if (_i == 1) /* also where it is not asked any more */
        pair_run(&pair, session_next_timeout(pair.client));
    mono_ms learned = silence();
    pair_run(&pair, pair.now + 1000);
    pair.nat_port = 20001;
    session_resumed(pair.client, pair.now); /* a question that is none of keepalive's */
    pair_run(&pair, pair.now + 10);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_NAT_CHANGED), 1);
    ck_assert_int_lt(silence(), learned);
    ck_assert_int_le(silence(), KEEPALIVE_MS * 5 / 4);
    learn_until(100000);
}
END_TEST

/* A question is about the network in which it was asked. */
START_TEST(every_network_has_a_memory_of_its_own)
{
    up_behind_a_translator();
    learn_until(100000);
    mono_ms learned = silence();
    session_networks_changed(pair.client, pair.now, &cell, 1);
    pair_run(&pair, pair.now + 10);
    ck_assert_int_le(silence(), KEEPALIVE_MS * 5 / 4);
    session_networks_changed(pair.client, pair.now, &wifi, 1);
    pair_run(&pair, pair.now + 10);
    ck_assert_int_ge(silence(), learned * 4 / 5 - 1000);
}
END_TEST

/* What comes in keeps a translator awake as well: then a silence of ours proves nothing. */
START_TEST(what_came_in_meanwhile_is_no_proof)
{
    up_behind_a_translator();
    learn_until(25000);
    mono_ms good = silence() * 4 / 5;
    pair.client->traffic.last_in = pair.client->last_sent + 15000;
    ck_assert_int_le(silence(), good + 1000);
    unsigned before = pair.datagrams;
    pair_run(&pair, session_next_timeout(pair.client));
    ck_assert_uint_eq(pair.datagrams, before + 1); /* the keepalive */
    ck_assert_int_eq(known_good_ms() / 1000, good / 1000);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ways");
    TCase *t = tcase_create("trust");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, two_failures_are_free_and_then_each_doubles_the_wait);
    tcase_add_test(t, a_dead_way_waits_from_the_first_time_on);
    tcase_add_test(t, what_was_not_heard_is_asked_once_more);
    tcase_add_test(t, without_use_nothing_is_asked_again);
    tcase_add_test(t, forgiven_is_as_good_as_before);
    tcase_add_test(t, the_oldest_failure_is_forgotten);
    suite_add_tcase(s, t);

    t = tcase_create("choosing");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, in_a_hurry_the_first_that_is_trusted);
    tcase_add_test(t, of_one_interface_the_nearest);
    tcase_add_test(t, what_stands_before_the_path_is_better);
    tcase_add_test(t, a_list_in_the_place_of_another);
    suite_add_tcase(s, t);

    t = tcase_create("keepalive");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, success_raises_to_a_bound);
    tcase_add_test(t, a_race_spoils_its_own_answer_alone);
    tcase_add_test(t, loss_lowers_to_what_was_good);
    tcase_add_loop_test(t, what_turns_out_wrong_is_learned_anew, 0, 2);
    tcase_add_test(t, every_network_has_a_memory_of_its_own);
    tcase_add_test(t, what_came_in_meanwhile_is_no_proof);
    suite_add_tcase(s, t);
    return support_run(s);
}
