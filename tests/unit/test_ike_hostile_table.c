/* What lies outside the legal table, said by a peer that knows the keys or by one that does not:
 * every exchange, direction and payload, in every state. Nothing is granted for it, and of what is
 * not authentic nothing is even noticed. */
#include <string.h>

#include "tests/support/hostile.h"

static struct hostile hostile;
static struct hostile_chain chain;
static struct hostile_message got;

/* _i & 1: who we are. */
static void reach(int i, enum hostile_stage stage)
{
    hostile_wipe(&hostile);
    hostile_init(&hostile, (i & 1) != 0);
    hostile_reach(&hostile, stage);
}

static void setup(void)
{
    hostile_init(&hostile, false);
}

static void teardown(void)
{
    hostile_wipe(&hostile);
}

/* The peer is a good one where it wants to be; else all that follows says nothing. */
START_TEST(the_peer_is_understood)
{
    reach(_i, HOSTILE_UP);
    for (unsigned i = 0; i < 3; i++)
        hostile_ck_alive(&hostile);
    hostile_child_request(&hostile, &chain, hostile.spi);
    hostile_ask(&hostile, EXCHANGE_CREATE_CHILD_SA, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, true);
    ck_assert_ptr_nonnull(payload_find(&got.payloads, PAYLOAD_SA));
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 2);
    hostile_ike_request(&hostile, &chain);
    hostile_ask(&hostile, EXCHANGE_CREATE_CHILD_SA, &chain);
    hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, true);
    hostile_ike_follow(&hostile, &got);
    hostile_ck_alive(&hostile);
    ck_ok(session_rekey(hostile.session, hostile.now, SESSION_REKEY_CHILD));
    hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, false);
    hostile_child_response(&hostile, &chain);
    hostile_answer(&hostile, &chain);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 3);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false); /* Delete */
    chain.count = 0;
    hostile_answer(&hostile, &chain);
    ck_ok(session_rekey(hostile.session, hostile.now, SESSION_REKEY_IKE));
    hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, false);
    hostile_ike_response(&hostile, &chain);
    hostile_answer(&hostile, &chain);
    hostile_ike_follow(&hostile, &hostile.request);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
    ck_assert_uint_eq(got.header.spi_i, hostile.before.spi_i);
    hostile_ck_alive(&hostile);
}
END_TEST

/* --- states --- */

enum state { BEGUN, KEYED, UP, CLOSING, STATES };

static struct hostile_chain auth_chain; /* of the last handshake */

static void reach_state(int i, enum state state)
{
    struct ike_header header;
    reach(i, state == BEGUN ? HOSTILE_BEGUN : HOSTILE_KEYED);
    if (state == BEGUN)
        return;
    hostile_next(&hostile, &header, &auth_chain);
    if (state == KEYED)
        return;
    hostile_send_sealed(&hostile, &header, &auth_chain);
    hostile_advance(&hostile);
    if (state == UP)
        return;
    session_stop(hostile.session, hostile.now);
    hostile_expect(&hostile, &got, EXCHANGE_INFORMATIONAL, false);
}

/* After all that was said, a good peer gets where it always gets. */
static void ck_goes_on(enum state state)
{
    hostile_reach(&hostile, HOSTILE_UP);
    if (state == CLOSING) {
        chain.count = 0;
        hostile_answer(&hostile, &chain);
        ck_assert_uint_eq(hostile.events[SESSION_EVENT_DOWN], 1);
        ck_assert_int_eq(hostile.last[SESSION_EVENT_DOWN].down.reason, SESSION_DOWN_REQUESTED);
        return;
    }
    hostile_ck_alive(&hostile);
}

static const uint8_t exchanges[] = {0,
                                    33,
                                    EXCHANGE_IKE_SA_INIT,
                                    EXCHANGE_IKE_AUTH,
                                    EXCHANGE_CREATE_CHILD_SA,
                                    EXCHANGE_INFORMATIONAL,
                                    38,
                                    255};
enum { EXCHANGES = sizeof(exchanges) };

/* --- not authentic --- */

enum manner { CLEAR, BAD_ICV, BAD_ICV_PIECE, MANNERS };

static void say_badly(enum manner manner, const struct ike_header *header)
{
    static uint8_t bytes[IKE_MESSAGE_MAX];
    if (manner == CLEAR) {
        hostile_send_clear(&hostile, header, &chain);
        return;
    }
    size_t len = hostile_seal(&hostile, header, &chain, bytes);
    bytes[len - 1] ^= 1;
    if (manner == BAD_ICV_PIECE) { /* what was the IV counts as number and total */
        bytes[16] = PAYLOAD_SKF;
        memcpy(bytes + IKE_HEADER_LEN + 4, "\x00\x01\x00\x01", 4);
    }
    hostile_send_bytes(&hostile, span_make(bytes, len));
}

/* _i: state and who we are. RFC 7296 2.4, 2.21: nothing is concluded from what anybody could have
 * sent. */
START_TEST(what_is_not_authentic_is_not_noticed)
{
    static const uint32_t ids[] = {0, 1, 2, UINT32_MAX};
    static const uint8_t junk[8] = {0, 0, 0x40, 0, 1, 2, 3, 4}; /* also an unknown status notify */
    enum state state = (enum state)(_i / 2);
    struct hostile_view before;
    reach_state(_i, state);
    hostile_look(&hostile, &before);
    for (unsigned n = 0; n < EXCHANGES * 2 * 2 * 4 * 24; n++) {
        uint8_t exchange = exchanges[n % EXCHANGES];
        unsigned rest = n / EXCHANGES;
        struct ike_header header =
            hostile_header(&hostile, exchange, rest % 2 == 1, ids[rest / 4 % 4]);
        header.flags ^= rest / 2 % 2 == 1 ? IKE_FLAG_INITIATOR : 0;
        if (state == BEGUN && exchange == EXCHANGE_IKE_SA_INIT)
            continue; /* which is in the clear for both */
        chain.count = 0;
        if (rest / 16 > 0)
            hostile_add(&chain, (uint8_t)(PAYLOAD_SA + rest / 16 - 1), SPAN_OF(junk));
        for (enum manner m = state == BEGUN ? MANNERS : CLEAR; m < MANNERS; m++)
            say_badly(m, &header);
        if (state == BEGUN)
            hostile_send_clear(&hostile, &header, &chain);
        hostile_ck_unchanged(&hostile, &before);
    }
    ck_goes_on(state);
}
END_TEST

/* Of any length: also where there is no room for IV and ICV. */
START_TEST(no_length_makes_it_authentic)
{
    static uint8_t zeros[128];
    static const uint8_t types[] = {PAYLOAD_SK, PAYLOAD_SKF};
    enum state state = (enum state)(_i / 2);
    struct hostile_view before;
    reach_state(_i, state);
    hostile_look(&hostile, &before);
    for (size_t len = 0; len < sizeof(zeros); len++) {
        for (unsigned n = 0; n < 2 * 2 * EXCHANGES; n++) {
            uint8_t exchange = exchanges[n / 4];
            bool response = n / 2 % 2 == 1;
            struct ike_header header =
                hostile_header(&hostile, exchange, response,
                               response ? hostile.request.header.message_id : hostile.sa.next_id);
            if (state == BEGUN && exchange == EXCHANGE_IKE_SA_INIT)
                continue;
            chain.count = 0;
            hostile_add(&chain, types[n % 2], span_make(zeros, len));
            hostile_send_clear(&hostile, &header, &chain);
            hostile_ck_unchanged(&hostile, &before);
        }
    }
    ck_goes_on(state);
}
END_TEST

/* --- authentic, and out of place --- */

enum content { EMPTY, INIT, AUTH, CHILD, REKEY_CHILD, REKEY_IKE, CONTENTS };

static void fill(enum content content)
{
    chain.count = 0;
    if (content == AUTH)
        chain = auth_chain;
    else if (content == CHILD || content == REKEY_CHILD)
        hostile_child_request(&hostile, &chain, content == CHILD ? 0 : hostile.spi);
    else if (content == REKEY_IKE)
        hostile_ike_request(&hostile, &chain);
    else if (content == INIT) {
        hostile_add_proposals(&chain, &hostile.ike);
        hostile_add_ke(&chain, (uint16_t)kex_id(hostile.kex), kex_public(hostile.kex));
        hostile_add(&chain, PAYLOAD_NONCE, span_make(hostile.nonce_i, hostile.nonce_i_len));
    }
}

static bool legal(enum state state, uint8_t exchange, bool response, enum content content)
{
    if (state == KEYED)
        return exchange == EXCHANGE_IKE_AUTH && response == hostile.as_gateway && content == AUTH;
    return state == UP && exchange == EXCHANGE_CREATE_CHILD_SA && !response && content > AUTH;
}

/* What may be said to something that is out of place: one error, nothing, or the end. */
static void ck_nothing_but_refusal(const struct ike_header *header)
{
    struct notify_payload n;
    bool response = (header->flags & IKE_FLAG_RESPONSE) != 0;
    for (unsigned count = 0; hostile_receive(&hostile, &got);) {
        if (got.header.exchange == EXCHANGE_IKE_SA_INIT) { /* a client begins afresh */
            ck_assert_uint_eq(hostile.events[SESSION_EVENT_SEARCHING], 1);
            continue;
        }
        ck_assert_uint_eq(count++, 0);
        if ((got.header.flags & IKE_FLAG_RESPONSE) == 0) { /* a Delete */
            ck_assert(response && got.header.exchange == EXCHANGE_INFORMATIONAL);
            ck_assert_uint_eq(got.payloads.count, 1);
            continue;
        }
        ck_assert(!response);
        ck_assert_uint_eq(got.header.message_id, header->message_id);
        ck_assert_uint_eq(got.header.exchange, header->exchange);
        ck_assert_uint_le(got.payloads.count, 1);
        ck_assert(got.payloads.count == 1 || header->exchange == EXCHANGE_INFORMATIONAL);
        ck_assert(got.payloads.count == 0 || notify_find_error(&got.payloads, &n));
    }
}

START_TEST(what_is_out_of_place_grants_nothing)
{
    enum state state = (enum state)(_i / 2);
    for (unsigned n = 0; n < EXCHANGES * 2 * CONTENTS; n++) {
        uint8_t exchange = exchanges[n % EXCHANGES];
        bool response = n / EXCHANGES % 2 == 1;
        enum content content = (enum content)(n / EXCHANGES / 2);
        struct hostile_view before;
        reach_state(_i, state);
        fill(content);
        if (legal(state, exchange, response, content) || exchange == EXCHANGE_IKE_SA_INIT)
            continue;
        hostile_look(&hostile, &before);
        unsigned granted = hostile.events[SESSION_EVENT_CHILD_UP],
                 up = hostile.events[SESSION_EVENT_UP],
                 configured = hostile.events[SESSION_EVENT_CONFIG];
        bool outstanding = (state == KEYED && hostile.as_gateway) || state == CLOSING;
        uint32_t id = response ? hostile.request.header.message_id : hostile.sa.next_id;
        struct ike_header header = hostile_header(&hostile, exchange, response, id);
        hostile_send_sealed(&hostile, &header, &chain);
        if (response && (!outstanding || exchange != hostile.request.header.exchange))
            hostile_ck_unchanged(&hostile, &before);
        ck_nothing_but_refusal(&header);
        ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], granted);
        ck_assert_uint_eq(hostile.events[SESSION_EVENT_UP], up);
        ck_assert_uint_eq(hostile.events[SESSION_EVENT_CONFIG], configured);
        if (!response && state != CLOSING && exchange >= EXCHANGE_CREATE_CHILD_SA &&
            exchange <= EXCHANGE_INFORMATIONAL && state == KEYED)
            hostile_ck_unchanged(&hostile, &before); /* it is too early: not even refused */
    }
}
END_TEST

/* --- the header --- */

/* RFC 7296 2.2, 2.3, 2.5, 3.1, with everything else as it should be, keys included. */
static void spoil(struct ike_header *header, int how)
{
    switch (how) {
    case 0:
        header->flags ^= IKE_FLAG_INITIATOR;
        break;
    case 1:
        header->flags ^= IKE_FLAG_RESPONSE;
        break;
    case 2:
        header->major = 3;
        break;
    case 3:
        header->major = 1;
        break;
    case 4:
        header->message_id++;
        break;
    case 5:
        header->message_id--;
        break;
    case 6:
        header->message_id ^= 0x80000000;
        break;
    case 7:
        header->spi_i ^= 1;
        break;
    default:
        header->spi_r ^= 1;
        break;
    }
}

START_TEST(a_wrong_header_is_not_noticed)
{
    enum state state = (enum state)(_i / 2);
    struct hostile_view before;
    reach_state(_i, state);
    for (int how = 0; how < 9; how++) {
        struct ike_header header;
        hostile_look(&hostile, &before);
        if (state == CLOSING) {
            header = hostile_header(&hostile, EXCHANGE_INFORMATIONAL, true,
                                    hostile.request.header.message_id);
            chain.count = 0;
        } else {
            hostile_next(&hostile, &header, &chain);
        }
        spoil(&header, how);
        hostile_send_sealed(&hostile, &header, &chain);
        hostile_ck_unchanged(&hostile, &before);
    }
    ck_goes_on(state);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ike hostile table");
    TCase *t = tcase_create("table");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, the_peer_is_understood, 0, 2);
    tcase_add_loop_test(t, what_is_not_authentic_is_not_noticed, 0, STATES * 2);
    tcase_add_loop_test(t, no_length_makes_it_authentic, 0, STATES * 2);
    tcase_add_loop_test(t, what_is_out_of_place_grants_nothing, KEYED * 2, STATES * 2);
    tcase_add_loop_test(t, a_wrong_header_is_not_noticed, KEYED * 2, STATES * 2);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
