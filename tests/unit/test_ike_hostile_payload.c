/* Every message of every exchange, in both directions, with its payloads left out, emptied,
 * doubled, cut, disordered, and with others among them: what is wrong is refused as RFC 7296 says,
 * and what need not be understood does no harm. */
#include <stdlib.h>
#include <string.h>

#include "common/base/be.h"
#include "tests/support/hostile.h"

static struct hostile hostile;
static struct hostile_chain chain, spoilt;
static struct ike_header header;
static struct hostile_message got;

enum kind {
    INIT,
    AUTH,
    ASK_CHILD,
    ASK_REKEY_CHILD,
    ASK_REKEY_IKE,
    GRANT_CHILD,
    GRANT_IKE,
    ASK_INFORMATION,
    GRANT_INFORMATION,
    KINDS
};

static void setup(void)
{
    hostile_init(&hostile, false);
}

static void teardown(void)
{
    hostile_wipe(&hostile);
}

/* Our part of what the session began. */
static void ask_session(enum kind kind)
{
    if (kind == GRANT_INFORMATION)
        session_suspect(hostile.session, hostile.now);
    else
        ck_ok(session_rekey(hostile.session, hostile.now,
                            kind == GRANT_CHILD ? SESSION_REKEY_CHILD : SESSION_REKEY_IKE));
    ck_assert(hostile_receive(&hostile, &got));
    chain.count = 0;
    if (kind == GRANT_CHILD)
        hostile_child_response(&hostile, &chain);
    else if (kind == GRANT_IKE)
        hostile_ike_response(&hostile, &chain);
    header = hostile_header(&hostile, got.header.exchange, true, got.header.message_id);
}

static void ask(enum kind kind)
{
    uint8_t exchange = EXCHANGE_CREATE_CHILD_SA;
    if (kind == ASK_REKEY_IKE) {
        hostile_ike_request(&hostile, &chain);
    } else if (kind == ASK_INFORMATION) {
        exchange = EXCHANGE_INFORMATIONAL;
        chain.count = 0;
        hostile_add_notify(&chain, NOTIFY_ADDITIONAL_TS_POSSIBLE, SPAN_EMPTY);
        hostile_add_delete(&chain, &hostile.spi, 1);
    } else {
        hostile_child_request(&hostile, &chain, kind == ASK_CHILD ? 0 : hostile.spi);
    }
    header = hostile_header(&hostile, exchange, false, hostile.sa.next_id);
}

/* The good message stands in header and chain, and the session waits for it. */
static void prepare(bool as_gateway, enum kind kind)
{
    hostile_wipe(&hostile);
    hostile_init(&hostile, as_gateway);
    hostile_reach(&hostile, kind == INIT   ? HOSTILE_BEGUN
                            : kind == AUTH ? HOSTILE_KEYED
                                           : HOSTILE_UP);
    if (kind <= AUTH)
        hostile_next(&hostile, &header, &chain);
    else if (kind == GRANT_CHILD || kind == GRANT_IKE || kind == GRANT_INFORMATION)
        ask_session(kind);
    else
        ask(kind);
}

static void say(const struct hostile_chain *c)
{
    if (header.exchange == EXCHANGE_IKE_SA_INIT)
        hostile_send_clear(&hostile, &header, c);
    else
        hostile_send_sealed(&hostile, &header, c);
}

static bool is_request(void)
{
    return (header.flags & IKE_FLAG_RESPONSE) == 0;
}

/* What came of it. */
struct outcome {
    bool granted;      /* as after a good message */
    bool answered;     /* got: the response */
    bool deleted;      /* the session deletes the IKE SA */
    bool alive;        /* the IKE SA stands */
    uint16_t refusal;  /* the notify that was the answer, and alone; 0: none */
    struct span datum; /* of it */
};

static void read_answer(struct outcome *o)
{
    struct notify_payload n;
    ck_assert(!o->answered);
    ck_assert(is_request());
    ck_assert_uint_eq(got.header.message_id, header.message_id);
    ck_assert_uint_eq(got.header.exchange, header.exchange);
    o->answered = true;
    if (notify_find_error(&got.payloads, &n) && payload_find(&got.payloads, PAYLOAD_AUTH) == NULL) {
        hostile_ck_notify_alone(&got, n.type); /* RFC 7296 2.21.2 */
        o->refusal = n.type;
        o->datum = n.data;
        return;
    }
    o->granted = header.exchange == EXCHANGE_INFORMATIONAL
                     ? payload_find(&got.payloads, PAYLOAD_DELETE) != NULL
                     : payload_find(&got.payloads, PAYLOAD_SA) != NULL;
}

static struct outcome outcome(void)
{
    static struct hostile_message other;
    struct outcome o = {.alive = false};
    unsigned up = hostile.events[SESSION_EVENT_CHILD_UP],
             rekeyed = hostile.events[SESSION_EVENT_REKEYED];
    while (hostile_receive(&hostile, &other)) {
        const struct ike_header *h = &other.header;
        if ((h->flags & IKE_FLAG_RESPONSE) != 0) {
            got = other;
            ptrdiff_t moved = (uint8_t *)&got - (uint8_t *)&other;
            for (size_t i = 0; i < got.payloads.count; i++)
                got.payloads.items[i].body.data += moved;
            read_answer(&o);
        } else if (h->exchange == EXCHANGE_IKE_AUTH) {
            o.granted = true;
        } else if (h->exchange == EXCHANGE_INFORMATIONAL &&
                   h->spi_i == hostile.sa.spi_i) { /* not that of a child */
            const struct payload *p = payload_find(&other.payloads, PAYLOAD_DELETE);
            o.deleted |= p != NULL && p->body.data[0] == PROTOCOL_IKE;
            o.deleted |= payload_find(&other.payloads, PAYLOAD_NOTIFY) != NULL;
        }
    }
    if (!is_request() && header.exchange == EXCHANGE_IKE_AUTH)
        o.granted = hostile.events[SESSION_EVENT_UP] > 0;
    else if (!is_request() && header.exchange == EXCHANGE_CREATE_CHILD_SA)
        o.granted = rekeyed > 0;
    else if (!is_request() && header.exchange == EXCHANGE_INFORMATIONAL)
        o.granted = !o.deleted && hostile.events[SESSION_EVENT_SEARCHING] == 0;
    else if (is_request() && header.exchange == EXCHANGE_CREATE_CHILD_SA && rekeyed == 0)
        ck_assert_int_eq(up - 1, o.granted); /* what is said is what there is */
    if (rekeyed > 0 && hostile.last[SESSION_EVENT_REKEYED].rekeyed.ike)
        o.deleted = false; /* but the one that has a successor now */
    o.alive = !o.deleted && hostile.events[SESSION_EVENT_SEARCHING] == 0 &&
              hostile.events[SESSION_EVENT_DOWN] == 0;
    return o;
}

/* _i: kind and who we are. */
static bool as_gateway(int i)
{
    return (i & 1) != 0;
}

static enum kind kind_of(int i)
{
    return (enum kind)(i / 2);
}

static void ck_granted(const char *what)
{
    struct outcome o = outcome();
    ck_assert_msg(o.granted, "%s: not granted (%s)", what,
                  o.refusal != 0 ? notify_name(o.refusal) : "no refusal");
    ck_assert_msg(o.alive, "%s: ended", what);
}

START_TEST(the_good_one)
{
    prepare(as_gateway(_i), kind_of(_i));
    say(&chain);
    ck_granted("good");
}
END_TEST

/* RFC 7296 2.5: payloads may come in any order. Every rotation, forwards and backwards. */
START_TEST(any_order)
{
    size_t count = 1;
    for (size_t n = 0; n < 2 * count; n++) {
        prepare(as_gateway(_i), kind_of(_i));
        count = chain.count;
        spoilt.count = count;
        for (size_t i = 0; i < count; i++)
            spoilt.items[i] = chain.items[(n < count ? i + n : 2 * count + n - i) % count];
        say(&spoilt);
        ck_granted("another order");
    }
}
END_TEST

/* --- what need not be understood --- */

static void spoil_harmlessly(unsigned how)
{
    static const uint8_t junk[] = {0, 0, 1, 2, 3, 4, 5, 6};
    size_t at = how / 8 <= spoilt.count ? how / 8 : spoilt.count;
    struct notify_payload n = {.type = 50000};
    switch (how % 8) {
    case 0: /* 3.12 */
        hostile_insert(&spoilt, at, PAYLOAD_VENDOR, SPAN_OF(junk));
        break;
    case 1: /* 2.5 */
        hostile_insert(&spoilt, at, 54, SPAN_OF(junk));
        break;
    case 2:
        hostile_insert(&spoilt, at, 200, SPAN_EMPTY);
        break;
    case 3: /* 3.10.1: an unknown status */
        hostile_insert(&spoilt, at, PAYLOAD_NOTIFY, span_make("\x00\x00\xc3\x50", 4));
        ck_assert_uint_eq(n.type, 0xc350);
        break;
    case 4: /* an unknown error, in a request */
        if (is_request())
            hostile_insert(&spoilt, at, PAYLOAD_NOTIFY, span_make("\x00\x00\x1f\xff", 4));
        break;
    case 5: /* 2.5, 3.2: reserved bits */
        for (size_t i = 0; i < spoilt.count; i++)
            spoilt.items[i].flags = 0x7f;
        break;
    case 6: /* 2.5: the critical bit where the type is known */
        for (size_t i = 0; i < spoilt.count; i++)
            spoilt.items[i].flags = 0x80;
        break;
    default: /* 2.5, 3.1: minor version, undefined flags, the V flag */
        header.minor = 9;
        header.flags |= 0xc7 | IKE_FLAG_VERSION;
        break;
    }
}

START_TEST(what_is_unknown_does_no_harm)
{
    for (unsigned how = 0; how < 8 * 9; how++) {
        prepare(as_gateway(_i), kind_of(_i));
        spoilt = chain;
        spoil_harmlessly(how);
        say(&spoilt);
        ck_granted("with something unknown");
    }
}
END_TEST

/* --- what must be understood --- */

static void ck_critical(enum kind kind, uint8_t type)
{
    struct outcome o = outcome();
    ck_assert(!o.granted);
    ck_assert_int_eq(o.answered, is_request());
    if (is_request()) { /* RFC 7296 2.5 */
        ck_assert_uint_eq(o.refusal, NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD);
        ck_span_eq(o.datum, span_make(&type, 1));
        ck_assert_int_eq(o.alive, kind > AUTH); /* 2.21.2 */
        if (o.alive) {
            hostile.sa.next_id++;
            hostile_ck_alive(&hostile);
        }
    } else if (kind == INIT) { /* anybody may have sent it: the genuine one still wins */
        say(&chain);
        ck_granted("the genuine one");
    } else {
        ck_assert(o.deleted);
        ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], kind == AUTH ? 0 : 1);
    }
}

START_TEST(what_is_critical_is_refused)
{
    static const uint8_t types[] = {1, 49, 54, 255};
    for (size_t at = 0; at < 9; at++) {
        uint8_t type = types[at % 4];
        prepare(as_gateway(_i), kind_of(_i));
        spoilt = chain;
        at = at <= chain.count ? at : 9;
        if (at == 9)
            break;
        hostile_insert(&spoilt, at, type, SPAN_EMPTY);
        spoilt.items[at].flags = 0x80;
        say(&spoilt);
        ck_critical(kind_of(_i), type);
    }
}
END_TEST

/* --- left out, emptied, doubled --- */

/* Of what is authentic something is always said (RFC 7296 2.21.3): a request has its answer, and
 * what ends is deleted. What is not changes nothing. */
static void ck_refused(enum kind kind)
{
    struct outcome o = outcome();
    ck_assert(!o.granted);
    if (kind == INIT) {
        if (o.refusal == 0 && hostile.events[SESSION_EVENT_DOWN] == 0) {
            say(&chain);
            ck_granted("the genuine one");
        }
        return;
    }
    if (is_request()) {
        ck_assert(o.answered);
        return;
    }
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], kind == AUTH ? 0 : 1);
    bool rebuilt = kind > AUTH && hostile.datagrams > 0; /* beside what stands, or instead */
    ck_assert(o.deleted || rebuilt);
}

/* Notifies say nothing where they are broken or missing, and may come twice. */
static bool may_be_spoilt(uint8_t type)
{
    return type == PAYLOAD_NOTIFY;
}

START_TEST(left_out_emptied_doubled)
{
    size_t count = 1;
    for (size_t n = 0; n < 3 * count; n++) {
        size_t at = n / 3;
        prepare(as_gateway(_i), kind_of(_i));
        count = chain.count;
        spoilt = chain;
        uint8_t type = spoilt.items[at].type;
        if (may_be_spoilt(type) || (type == PAYLOAD_DELETE && n % 3 != 1))
            continue;
        if (n % 3 == 0)
            hostile_remove(&spoilt, at);
        else if (n % 3 == 1)
            spoilt.items[at].len = 0;
        else
            hostile_double(&spoilt, at);
        say(&spoilt);
        ck_refused(kind_of(_i));
    }
}
END_TEST

/* --- every short length --- */

/* A shorter nonce is a nonce, of which other keys come; a configuration may lack its last part. */
static bool may_be_cut(uint8_t type, size_t len)
{
    return may_be_spoilt(type) || type == PAYLOAD_CP || (type == PAYLOAD_NONCE && len >= NONCE_MIN);
}

START_TEST(every_short_length)
{
    prepare(as_gateway(_i), kind_of(_i));
    for (size_t at = 0; at < chain.count; at++) {
        for (size_t len = 0; at < chain.count && len < chain.items[at].len; len++) {
            uint8_t type = chain.items[at].type;
            if (may_be_cut(type, len))
                continue;
            spoilt = chain;
            spoilt.items[at].len = len;
            say(&spoilt);
            ck_refused(kind_of(_i));
            prepare(as_gateway(_i), kind_of(_i));
        }
    }
}
END_TEST

/* A payload's length field that is another than its length: the chain falls apart, or into other
 * payloads than were meant. */
START_TEST(every_length_field)
{
    static uint8_t inner[IKE_MESSAGE_MAX];
    static const uint16_t wrong[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 0x7fff, 0x8000, 0xffff};
    size_t at = 0, payloads = 1;
    for (size_t i = 0; i < payloads; i++, at += 4 + chain.items[i - 1].len) {
        for (size_t n = 0; n < sizeof(wrong) / sizeof(wrong[0]) + 8; n++) {
            prepare(as_gateway(_i), kind_of(_i));
            payloads = chain.count;
            size_t all = hostile_flatten(&chain, inner);
            size_t len = n < 12 ? wrong[n] : 4 + chain.items[i].len + n - 16;
            if (len == 4 + chain.items[i].len)
                continue;
            be_write_u16(inner + at + 2, (uint16_t)len);
            hostile_send_inner(&hostile, &header, chain.items[0].type, span_make(inner, all));
            ck_refused(kind_of(_i));
        }
    }
}
END_TEST

/* Octets of what is inside, changed one by one, under a good seal: no more than another answer. */
START_TEST(every_octet)
{
    static uint8_t inner[IKE_MESSAGE_MAX];
    static const uint8_t changes[] = {0x01, 0x80, 0xff};
    size_t all = 1;
    for (size_t at = 0; at < all; at++) {
        prepare(as_gateway(_i), kind_of(_i));
        all = hostile_flatten(&chain, inner);
        inner[at] ^= changes[at % 3];
        hostile_send_inner(&hostile, &header, chain.items[0].type, span_make(inner, all));
        (void)outcome(); /* which looks at what is said */
        hostile_run(&hostile, hostile.now + 100);
    }
}
END_TEST

/* --- too many --- */

START_TEST(more_payloads_than_there_are)
{
    for (size_t count = 60; count <= 70; count++) {
        prepare(as_gateway(_i), kind_of(_i));
        spoilt = chain;
        while (spoilt.count < count)
            hostile_add(&spoilt, PAYLOAD_VENDOR, SPAN_EMPTY);
        say(&spoilt);
        if (count <= PAYLOADS_MAX)
            ck_granted("64 payloads");
        else
            ck_refused(kind_of(_i));
    }
}
END_TEST

/* RFC 6023: the client leaves the first Child SA for later, and is granted one all the same. */
START_TEST(a_child_that_was_not_asked_for_is_none)
{
    hostile_wipe(&hostile);
    hostile_init(&hostile, true);
    hostile.pair.client_config.childless = true;
    hostile_reach(&hostile, HOSTILE_BEGUN);
    hostile_next(&hostile, &header, &chain);
    hostile_add_notify(&chain, NOTIFY_CHILDLESS_IKEV2_SUPPORTED, SPAN_EMPTY);
    say(&chain);
    hostile_advance(&hostile);
    hostile_next(&hostile, &header, &chain);
    ck_assert_ptr_nonnull(hostile_find(&chain, PAYLOAD_SA));
    say(&chain);
    hostile_expect(&hostile, &got, EXCHANGE_CREATE_CHILD_SA, false);
    ck_assert_uint_eq(hostile.events[SESSION_EVENT_CHILD_UP], 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ike hostile payload");
    TCase *t = tcase_create("payload");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, the_good_one, 0, KINDS * 2);
    tcase_add_loop_test(t, any_order, 0, KINDS * 2);
    tcase_add_loop_test(t, what_is_unknown_does_no_harm, 0, KINDS * 2);
    tcase_add_loop_test(t, what_is_critical_is_refused, 0, KINDS * 2);
    tcase_add_loop_test(t, left_out_emptied_doubled, 0, GRANT_INFORMATION * 2);
    tcase_add_loop_test(t, every_short_length, 0, GRANT_INFORMATION * 2);
    tcase_add_loop_test(t, every_length_field, AUTH * 2, GRANT_INFORMATION * 2);
    tcase_add_loop_test(t, every_octet, AUTH * 2, GRANT_INFORMATION * 2);
    tcase_add_loop_test(t, more_payloads_than_there_are, 0, KINDS * 2);
    tcase_add_test(t, a_child_that_was_not_asked_for_is_none);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
