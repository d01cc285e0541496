/* The path manager where it cannot move as it likes: without any network, at the end of an IKE SA,
 * with a gateway that lacks MOBIKE or says something of its own, and after sleep. */
#include "common/ike/session.h"

#include <string.h>

#include "common/ike/session_state.h"
#include "tests/support/roaming.h"

/* --- no network --- */

START_TEST(without_a_network_nothing_is_sent)
{
    pair.client_config.lifetimes.ike_ms = 100000;
    come_up(&wifi, &cell);
    uint64_t spi = pair.client_children.items[0].spi_in;
    networks(NULL, NULL);
    pair_pump(&pair);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_SEARCHING);
    traffic(1, MONO_NEVER);
    ck_ok(session_rekey(pair.client, pair.now, SESSION_REKEY_BOTH));
    pair_run(&pair, 10000);
    ck_assert_uint_eq(pair.datagrams, 0);
    networks(&cell, NULL);
    pair_run(&pair, 10010);
    ck_on(&cell);
    ck_assert_ptr_nonnull(pair_client_event(&pair, SESSION_EVENT_UP));
    ck_assert_uint_ne(spi, pair.client_children.items[0].spi_in); /* the rekeying was not lost */
    struct session_status status;
    session_status(pair.client, &status);
    ck_assert_uint_eq(status.reconnects, 0);
}
END_TEST

START_TEST(ten_minutes_without_a_network_keep_the_sas)
{
    come_up(&wifi, NULL);
    uint64_t spi = pair.client_children.items[0].spi_in;
    networks(NULL, NULL);
    pair_run(&pair, 600000);
    ck_assert_uint_eq(pair.datagrams, 0);
    networks(&wifi, NULL);
    pair_pump(&pair);
    ck_on(&wifi);
    ck_assert_uint_eq(pair.datagrams, 2);
    ck_assert_uint_eq(spi, pair.client_children.items[0].spi_in);
}
END_TEST

START_TEST(holding_without_a_network_has_an_end)
{
    pair.client_config.hold_ms = 60000;
    come_up(&wifi, NULL);
    networks(NULL, NULL);
    pair_run(&pair, 100000);
    ck_assert_uint_eq(pair.client_children.count, 0);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_SEARCHING);
    ck_assert_uint_eq(pair.datagrams, 0);
    networks(&cell, NULL);
    pair_run(&pair, 100010);
    ck_on(&cell);
    struct session_status status;
    session_status(pair.client, &status);
    ck_assert_uint_eq(status.reconnects, 1);
}
END_TEST

START_TEST(stopping_without_a_network_takes_no_time)
{
    come_up(&wifi, NULL);
    networks(NULL, NULL);
    session_stop(pair.client, pair.now);
    pair_pump(&pair);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_DOWN);
}
END_TEST

START_TEST(an_attempt_waits_for_a_network)
{
    dead_all = true;
    pair_start(&pair);
    pair_pump(&pair);
    networks(NULL, NULL);
    unsigned before = pair.datagrams;
    pair_run(&pair, 60000);
    ck_assert_uint_eq(pair.datagrams, before);
    dead_all = false;
    networks(&cell, NULL);
    pair_pump(&pair);
    ck_on(&cell);
}
END_TEST

START_TEST(an_attempt_follows_the_network)
{
    dead_local = wifi.local.ip;
    pair_start(&pair);
    pair_pump(&pair);
    networks(&cell, NULL);
    pair_pump(&pair);
    ck_on(&cell);
}
END_TEST

/* RFC 7296 3.1; behind the marker of port 4500. */
static uint8_t exchange_of(const uint8_t *bytes)
{
    static const uint8_t marker[4];
    return bytes[memcmp(bytes, marker, sizeof(marker)) == 0 ? 22 : 18];
}

static bool only_beginnings(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    (void)p;
    (void)from_client;
    (void)len;
    return exchange_of(bytes) == EXCHANGE_IKE_SA_INIT;
}

static unsigned beginnings;

static bool no_proofs(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    beginnings += from_client && exchange_of(bytes) == EXCHANGE_IKE_SA_INIT ? 1 : 0;
    return exchange_of(bytes) != EXCHANGE_IKE_AUTH && wire(p, from_client, bytes, len);
}

/* What was begun while the gateway was silent has an answer, and is not needed any more; it cannot
 * follow to another address, and nothing else is begun in its place. */
START_TEST(an_attempt_that_is_not_needed_any_more_ends_with_its_network)
{
    pair.client_config.retransmit.max_ms = 1000; /* what stands is asked while the attempt lasts */
    come_up(&wifi, &cell);
    pair.wire = only_beginnings;
    traffic(pair.now + 1, MONO_NEVER);
    while (!attempt_answered(pair.client) && pair.now < 300000)
        pair_run(&pair, pair.now + 100);
    ck_assert(attempt_answered(pair.client));
    pair.wire = no_proofs;
    while (pair_client_state(&pair) != SESSION_UP && pair.now < 300000)
        pair_run(&pair, pair.now + 100);
    ck_assert(attempt_answered(pair.client));
    struct session_status status;
    beginnings = 0;
    session_status(pair.client, &status);
    networks(ip_equal(&status.path.local.ip, &wifi.local.ip) ? &cell : &wifi, NULL);
    pair_run(&pair, pair.now + 5000);
    ck_assert_uint_eq(beginnings, 0);
    session_status(pair.client, &status);
    ck_assert_int_eq(status.state, SESSION_UP);
    ck_assert_uint_eq(status.reconnects, 0);
}
END_TEST

/* --- what is about to end --- */

START_TEST(what_is_being_ended_leaves_an_address_that_is_gone)
{
    come_up(&wifi, &cell);
    dead_all = true;
    session_stop(pair.client, pair.now);
    pair_run(&pair, 300);
    dead_all = false;
    gone_local = wifi.local.ip;
    networks(&cell, NULL);
    pair_run(&pair, 3000);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_DOWN);
    ck_assert_ptr_nonnull(pair_gateway_event(&pair, SESSION_EVENT_DOWN));
}
END_TEST

START_TEST(what_is_being_ended_is_silent_without_a_network)
{
    come_up(&wifi, &cell);
    dead_all = true;
    session_stop(pair.client, pair.now);
    pair_run(&pair, 300);
    gone_all = true;
    networks(NULL, NULL);
    pair_run(&pair, 10000);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_DOWN);
}
END_TEST

/* Its time is over, but the rekeying that is out is answered after all. */
START_TEST(what_comes_of_an_ike_sa_at_its_end_is_told_where_it_is)
{
    pair.client_config.lifetimes.ike_ms = 10000;
    come_up(&wifi, &cell);
    pair_run(&pair, 5000);
    dead_all = true;
    pair_run(&pair, 10100);
    gone_local = wifi.local.ip;
    networks(&cell, NULL);
    dead_all = false;
    pair_run(&pair, 13000);
    ck_on(&cell);
    ck_assert_uint_ge(pair_count_events(&pair, true, SESSION_EVENT_REKEYED), 1);
}
END_TEST

/* --- a gateway without MOBIKE --- */

/* One attempt asks by few ways; the others must have their turn. */
START_TEST(every_way_has_its_turn)
{
    struct path ways[6];
    struct session_status status;
    pair.gateway_config.mobike = false;
    come_up(&wifi, NULL);
    for (size_t i = 0; i < 6; i++) {
        ways[i] = wifi;
        ways[i].remote.ip.bytes[3] = (uint8_t)(100 + i);
    }
    ways[5] = cell;
    open_local = cell.local.ip;
    session_networks_changed(pair.client, pair.now, ways, 6);
    pair_run(&pair, 60000);
    ck_on(&cell);
    session_status(pair.client, &status);
    ck_assert_uint_eq(status.reconnects, 1);
}
END_TEST

/* What it still asks the gateway about the old IKE SA, and keepalives, leave from where it is. */
START_TEST(without_mobike_too_an_address_that_is_gone_is_left)
{
    pair.gateway_config.mobike = false;
    pair.nat_port = 20000;
    come_up(&wifi, &cell);
    ck_ok(session_rekey(pair.client, pair.now, SESSION_REKEY_BOTH));
    pair_forget_events(&pair);
    dead_all = true;
    pair_pump(&pair);
    gone_local = wifi.local.ip;
    networks(&cell, NULL);
    pair_run(&pair, 60000);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_PATH);
    ck_assert_ptr_nonnull(e);
    ck_assert(ip_equal(&e->path.local.ip, &cell.local.ip));
}
END_TEST

START_TEST(where_it_is_sent_to_it_goes_from_where_it_is)
{
    const struct redirect_target to = {.ip = ip_v4(203, 0, 113, 99)};
    pair.gateway_config.mobike = _i == 0;
    come_up(&wifi, &cell);
    ck_ok(session_redirect(pair.gateway, pair.now, &to));
    pair_pump(&pair);
    ck_assert_ptr_nonnull(pair_client_event(&pair, SESSION_EVENT_REDIRECT));
    struct path there = wifi;
    there.remote.ip = to.ip;
    dead_all = true;
    session_redirected(pair.client, pair.now, &there, 1);
    pair_run(&pair, 1000);
    gone_local = wifi.local.ip;
    networks(&cell, NULL);
    pair_run(&pair, 20000);
    dead_all = false;
    pair_run(&pair, 40000);
    ck_on(&cell);
}
END_TEST

START_TEST(without_mobike_a_new_ike_sa_is_made)
{
    pair.gateway_config.mobike = false;
    come_up(&wifi, &cell);
    networks(&cell, NULL);
    pair_run(&pair, 2000);
    ck_on(&cell);
    struct session_status status;
    session_status(pair.client, &status);
    ck_assert_uint_eq(status.reconnects, 1);
    ck_assert_uint_eq(status.handovers, 0);
}
END_TEST

/* What was being asked is answered where we are now; the Child SAs stay where we were. */
START_TEST(without_mobike_an_answer_does_not_make_up_for_it)
{
    struct session_status status;
    pair.client_config.mobike = false;
    pair.delay = delay;
    pair.client_path = wifi;
    pair_start(&pair);
    networks(&wifi, &cell);
    pair_run(&pair, 1000);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_UP);
    ck_ok(session_rekey(pair.client, pair.now, SESSION_REKEY_IKE));
    pair_run(&pair, pair.now + FAST_MS / 2);
    slow_local = cell.local.ip;
    networks(&cell, NULL);
    pair_run(&pair, pair.now + 5000);
    ck_on(&cell);
    session_status(pair.client, &status);
    ck_assert_uint_eq(status.reconnects, 1);
}
END_TEST

static uint64_t forgotten_spi_i; /* the first that would prove itself; 0: none yet */

/* The gateway forgets that one before it has proven itself. */
static bool forgetting(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    struct ike_header h;
    struct span message;
    if (!from_client ||
        datagram_classify(p->wire_path.remote.port != IKE_PORT, span_make(bytes, len), &message) !=
            DATAGRAM_IKE ||
        ike_header_parse(message, &h) != ERR_OK || h.exchange != EXCHANGE_IKE_AUTH)
        return true;
    if (forgotten_spi_i == 0)
        forgotten_spi_i = h.spi_i;
    return h.spi_i != forgotten_spi_i;
}

/* An attempt for a better way that is not answered is no reason to wait when the old way goes. */
START_TEST(without_mobike_what_hangs_is_begun_anew)
{
    pair.gateway_config.mobike = false;
    come_up(&cell, NULL);
    forgotten_spi_i = 0;
    pair.wire = forgetting;
    networks(&wifi, &cell);
    pair_run(&pair, pair.now + 2000);
    ck_assert_uint_ne(forgotten_spi_i, 0);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_UP);
    networks(&wifi, NULL);
    pair_run(&pair, pair.now + 500);
    ck_on(&wifi);
}
END_TEST

START_TEST(without_mobike_a_better_path_is_taken_make_before_break)
{
    pair.gateway_config.mobike = false;
    come_up(&cell, NULL);
    networks(&wifi, &cell);
    pair_run(&pair, 2000);
    ck_on(&wifi);
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_SEARCHING));
}
END_TEST

START_TEST(without_mobike_a_better_path_that_is_dead_changes_nothing)
{
    pair.gateway_config.mobike = false;
    come_up(&cell, NULL);
    dead_local = wifi.local.ip;
    networks(&wifi, &cell);
    pair_run(&pair, 60000);
    ck_on(&cell);
    struct session_status status;
    session_status(pair.client, &status);
    ck_assert_uint_eq(status.reconnects, 0);
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_SEARCHING));
}
END_TEST

START_TEST(without_mobike_a_better_path_that_goes_away_changes_nothing)
{
    struct session_status status;
    pair.gateway_config.mobike = false;
    come_up(&cell, NULL);
    dead_local = wifi.local.ip;
    networks(&wifi, &cell);
    pair_run(&pair, pair.now + 1000);
    pair.wire = no_proofs;
    beginnings = 0;
    networks(&cell, NULL);
    pair_run(&pair, pair.now + 5000);
    ck_assert_uint_eq(beginnings, 0);
    ck_on(&cell);
    session_status(pair.client, &status);
    ck_assert_uint_eq(status.reconnects, 0);
}
END_TEST

static bool no_children(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    return exchange_of(bytes) != EXCHANGE_CREATE_CHILD_SA && wire(p, from_client, bytes, len);
}

/* The IKE SA stands, and its first Child SA is not there yet (RFC 6023). */
START_TEST(without_mobike_a_better_path_that_is_dead_does_not_end_what_is_coming_up)
{
    pair.gateway_config.mobike = false;
    pair.client_config.childless = true;
    pair.client_path = cell;
    pair.wire = no_children;
    pair_start(&pair);
    pair_pump(&pair);
    dead_local = wifi.local.ip;
    networks(&wifi, &cell);
    pair_run(&pair, 1000);
    ck_assert(attempt_going_on(pair.client));
    ck_assert_int_eq(pair_client_state(&pair), SESSION_CONNECTING);
    pair.wire = wire;
    pair_run(&pair, 60000);
    ck_on(&cell);
}
END_TEST

/* --- what the gateway says --- */

START_TEST(the_gateways_addresses_are_told)
{
    pair.gateway_config.additional[0] = ip_v4(203, 0, 113, 66);
    pair.gateway_config.additional_count = 1;
    pair_start(&pair);
    pair_pump(&pair);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_ADDRESSES);
    ck_assert_ptr_nonnull(e);
    ck_assert_uint_eq(e->addresses.count, 2);
    ck_assert(ip_equal(&e->addresses.items[0], &wifi6.remote.ip));
    ck_assert(ip_equal(&e->addresses.items[1], &wifi.remote.ip));
    pair_forget_events(&pair);
    ck_ok(session_set_additional(pair.gateway, pair.now, NULL, 0));
    pair_pump(&pair);
    e = pair_client_event(&pair, SESSION_EVENT_ADDRESSES);
    ck_assert_ptr_nonnull(e);
    ck_assert_uint_eq(e->addresses.count, 1);
}
END_TEST

/* RFC 4555 3.7: ESP goes to the new address once somebody has answered there. */
START_TEST(the_gateway_may_check_first)
{
    pair.gateway_config.return_routability = true;
    come_up(&wifi, &cell);
    networks(&cell, NULL);
    pair_pump(&pair);
    ck_on(&cell);
    ck_assert_uint_eq(pair.datagrams, 4);
    ck_assert_uint_eq(pair_count_events(&pair, false, SESSION_EVENT_PATH), 1);
}
END_TEST

/* RFC 4555 3.5: its request, which went to where the client is no more, goes where it is at once.
 */
START_TEST(the_gateways_request_in_flight_follows)
{
    come_up(&wifi, &cell);
    dead_local = wifi.local.ip;
    ck_ok(session_rekey(pair.gateway, pair.now, SESSION_REKEY_CHILD));
    pair_run(&pair, 1000);
    networks(&cell, NULL);
    pair_pump(&pair);
    ck_on(&cell);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_REKEYED), 1);
}
END_TEST

/* Also a client that comes back to where it was, long after the first time of asking. */
START_TEST(the_gateways_request_awaits_who_was_away)
{
    come_up(&wifi, NULL);
    dead_all = true;
    networks(NULL, NULL);
    ck_ok(session_rekey(pair.gateway, pair.now, SESSION_REKEY_CHILD));
    pair_run(&pair, 6000);
    dead_all = false;
    networks(&wifi, NULL);
    pair_pump(&pair); /* no time passes */
    ck_on(&wifi);
    ck_assert_uint_eq(pair_count_events(&pair, true, SESSION_EVENT_REKEYED), 1);
}
END_TEST

static uint8_t heard[2048]; /* the client's last datagram */
static size_t heard_len;

static bool overhear(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    if (from_client && !dead_all) {
        ck_assert_uint_le(len, sizeof(heard));
        memcpy(heard, bytes, len);
        heard_len = len;
    }
    return wire(p, from_client, bytes, len);
}

/* What it answered before is no sign of life to whom it gave up. */
START_TEST(a_gateway_that_gave_up_repeats_nothing)
{
    struct session_status status;
    struct session_datagram d;
    struct span message;
    come_up(&wifi, NULL);
    pair.wire = overhear;
    ck_ok(session_rekey(pair.client, pair.now, SESSION_REKEY_CHILD));
    pair_pump(&pair);
    session_status(pair.gateway, &status);
    ck_assert_int_eq(datagram_classify(true, span_make(heard, heard_len), &message), DATAGRAM_IKE);
    session_input(pair.gateway, pair.now, &status.path, message);
    ck_assert(session_output(pair.gateway, pair.now, &d));
    dead_all = true;
    ck_ok(session_rekey(pair.gateway, pair.now, SESSION_REKEY_CHILD));
    pair_run(&pair, 600000);
    ck_assert_ptr_nonnull(pair_gateway_event(&pair, SESSION_EVENT_DOWN));
    session_input(pair.gateway, pair.now, &status.path, message);
    ck_assert(!session_output(pair.gateway, pair.now, &d));
}
END_TEST

/* A list of ways is nothing to a gateway, least of all something to wake up for. */
START_TEST(a_gateway_goes_nowhere)
{
    pair.gateway_config.mobike = false;
    come_up(&wifi, NULL);
    session_networks_changed(pair.gateway, pair.now, &cell, 1);
    ck_assert(session_next_timeout(pair.gateway) == MONO_NEVER);
    pair_pump(&pair);
    ck_assert_uint_eq(pair.datagrams, 0);
}
END_TEST

START_TEST(mobike_can_be_switched_off)
{
    pair.client_config.mobike = false;
    come_up(&wifi, &cell);
    struct session_status status;
    session_status(pair.client, &status);
    ck_assert(!status.peer_mobike);
    session_status(pair.gateway, &status);
    ck_assert(!status.peer_mobike);
}
END_TEST

/* --- sleep --- */

START_TEST(after_sleep_the_gateway_is_asked)
{
    come_up(&wifi, &cell);
    pair.now = 3600000;
    session_resumed(pair.client, pair.now);
    pair_pump(&pair);
    ck_assert_uint_ge(pair.datagrams, 2);
    ck_on(&wifi);
}
END_TEST

START_TEST(after_sleep_no_expired_key_is_used)
{
    pair.client_config.lifetimes.ike_ms = 600000;
    pair.client_config.lifetimes.child_ms = 300000;
    come_up(&wifi, NULL);
    struct session_status before, after;
    session_status(pair.client, &before);
    pair.now = 3600000;
    session_handle_timeout(pair.client, pair.now);
    session_resumed(pair.client, pair.now);
    pair_run(&pair, 3610000);
    ck_on(&wifi);
    session_status(pair.client, &after);
    ck_assert_uint_ne(before.spi_i, after.spi_i);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("roam held");
    TCase *t = tcase_create("held");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, without_a_network_nothing_is_sent);
    tcase_add_test(t, ten_minutes_without_a_network_keep_the_sas);
    tcase_add_test(t, holding_without_a_network_has_an_end);
    tcase_add_test(t, stopping_without_a_network_takes_no_time);
    tcase_add_test(t, what_is_being_ended_leaves_an_address_that_is_gone);
    tcase_add_test(t, what_is_being_ended_is_silent_without_a_network);
    tcase_add_test(t, what_comes_of_an_ike_sa_at_its_end_is_told_where_it_is);
    tcase_add_test(t, an_attempt_waits_for_a_network);
    tcase_add_test(t, an_attempt_follows_the_network);
    tcase_add_test(t, an_attempt_that_is_not_needed_any_more_ends_with_its_network);
    tcase_add_test(t, after_sleep_the_gateway_is_asked);
    tcase_add_test(t, after_sleep_no_expired_key_is_used);
    suite_add_tcase(s, t);

    t = tcase_create("gateway");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, every_way_has_its_turn);
    tcase_add_test(t, without_mobike_too_an_address_that_is_gone_is_left);
    tcase_add_loop_test(t, where_it_is_sent_to_it_goes_from_where_it_is, 0, 2);
    tcase_add_test(t, without_mobike_a_new_ike_sa_is_made);
    tcase_add_test(t, without_mobike_an_answer_does_not_make_up_for_it);
    tcase_add_test(t, without_mobike_what_hangs_is_begun_anew);
    tcase_add_test(t, without_mobike_a_better_path_is_taken_make_before_break);
    tcase_add_test(t, without_mobike_a_better_path_that_is_dead_changes_nothing);
    tcase_add_test(t, without_mobike_a_better_path_that_goes_away_changes_nothing);
    tcase_add_test(t, without_mobike_a_better_path_that_is_dead_does_not_end_what_is_coming_up);
    tcase_add_test(t, the_gateways_addresses_are_told);
    tcase_add_test(t, the_gateway_may_check_first);
    tcase_add_test(t, the_gateways_request_in_flight_follows);
    tcase_add_test(t, the_gateways_request_awaits_who_was_away);
    tcase_add_test(t, a_gateway_that_gave_up_repeats_nothing);
    tcase_add_test(t, a_gateway_goes_nowhere);
    tcase_add_test(t, mobike_can_be_switched_off);
    suite_add_tcase(s, t);
    return support_run(s);
}
