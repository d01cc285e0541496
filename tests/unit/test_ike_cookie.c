/* The responder's stateless cookies (RFC 7296 2.6): good for one request from one place, and for as
 * long as their secret or the one after it. */
#include "common/ike/cookie.h"

#include <stdlib.h>
#include <string.h>

#include "common/crypto/algorithm.h"
#include "common/ike/payload.h"
#include "tests/support/fixed_random.h"
#include "tests/support/support.h"

static uint8_t secrets[32 * 300];
static struct fixed_random fixed;
static struct random_source source;
static struct cookie_jar jar;
static uint8_t nonce[NONCE_MAX];
static struct endpoint sender;

static void setup(void)
{
    for (size_t i = 0; i < sizeof secrets; i++)
        secrets[i] = (uint8_t)(i % 32 < 2 ? i / 32 >> 8 * (i % 32) : i);
    for (size_t i = 0; i < sizeof nonce; i++)
        nonce[i] = (uint8_t)(0xa0 + i);
    source = fixed_random(&fixed, SPAN_OF(secrets));
    cookie_jar_init(&jar, &source);
    sender = (struct endpoint){ip_v4(192, 0, 2, 1), 500};
}

/* An IKE_SA_INIT request as far as anybody looks here. */
struct request {
    struct ike_header header;
    struct span nonce, cookie; /* len 0: no such payload */
    uint8_t critical;          /* an unknown payload with that bit; 0: none */
    uint8_t bytes[1024];
    struct span message;
};

static void build(struct request *q)
{
    struct message_writer m;
    message_begin(&m, q->bytes, sizeof q->bytes, &q->header);
    if (q->cookie.len > 0)
        notify_write(&m, NOTIFY_COOKIE, q->cookie);
    payload_write(&m, PAYLOAD_SA, span_text("any"));
    ke_payload_write(&m, KE_X25519, span_text("any"));
    if (q->nonce.len > 0)
        payload_write(&m, PAYLOAD_NONCE, q->nonce);
    if (q->critical != 0) {
        size_t at = payload_begin(&m, q->critical);
        wire_patch_u8(&m.w, at + 1, 0x80);
        payload_end(&m, at);
    }
    ck_ok(message_finish(&m, &q->message));
}

static struct request request(void)
{
    return (struct request){
        .header = {.spi_i = 0x0102030405060708,
                   .major = 2,
                   .exchange = EXCHANGE_IKE_SA_INIT,
                   .flags = IKE_FLAG_INITIATOR},
        .nonce = span_make(nonce, 32),
    };
}

/* Asks for a cookie, and adds it to the request. */
static void challenge(struct request *q, const struct endpoint *from, uint8_t cookie[COOKIE_LEN])
{
    uint8_t out[256];
    struct span answer;
    struct ike_header h;
    struct payload_list l;
    struct notify_payload n;
    uint8_t bad;
    build(q);
    ck_ok(cookie_jar_challenge(&jar, from, q->message, out, sizeof out, &answer));
    ck_ok(ike_header_parse(answer, &h));
    ck_assert(h.spi_i == q->header.spi_i && h.spi_r == 0 && h.major == 2 && h.minor == 0);
    ck_assert(h.exchange == EXCHANGE_IKE_SA_INIT && h.flags == IKE_FLAG_RESPONSE);
    ck_assert_uint_eq(h.message_id, 0);
    ck_ok(payload_list_parse(h.next_payload,
                             span_make(answer.data + IKE_HEADER_LEN, answer.len - IKE_HEADER_LEN),
                             &l, &bad));
    ck_assert_uint_eq(l.count, 1);
    ck_assert(notify_find(&l, NOTIFY_COOKIE, &n));
    ck_assert_uint_eq(n.data.len, COOKIE_LEN);
    memcpy(cookie, n.data.data, COOKIE_LEN);
    q->cookie = span_make(cookie, COOKIE_LEN);
    build(q);
}

START_TEST(a_cookie_proves_its_sender)
{
    struct request q = request();
    uint8_t cookie[COOKIE_LEN], again[COOKIE_LEN];
    build(&q);
    ck_assert(!cookie_jar_check(&jar, &sender, q.message));
    challenge(&q, &sender, cookie);
    ck_assert(cookie_jar_check(&jar, &sender, q.message));
    ck_assert(cookie_jar_check(&jar, &sender, q.message)); /* a retransmission */
    challenge(&q, &sender, again);
    ck_assert_mem_eq(cookie, again, COOKIE_LEN); /* no state, so the same once more */
}
END_TEST

START_TEST(it_proves_no_other)
{
    struct request q = request();
    uint8_t cookie[COOKIE_LEN];
    challenge(&q, &sender, cookie);
    struct endpoint other = sender;
    other.port++;
    ck_assert(!cookie_jar_check(&jar, &other, q.message));
    other = sender;
    other.ip.bytes[3]++;
    ck_assert(!cookie_jar_check(&jar, &other, q.message));
    ck_ok(ip_parse("::ffff:192.0.2.1", &other.ip));
    ck_assert(!cookie_jar_check(&jar, &other, q.message));

    struct request changed = q;
    changed.header.spi_i++;
    build(&changed);
    ck_assert(!cookie_jar_check(&jar, &sender, changed.message));
    changed = q;
    changed.nonce.len--;
    build(&changed);
    ck_assert(!cookie_jar_check(&jar, &sender, changed.message));
    for (size_t i = 0; i < COOKIE_LEN; i++) {
        cookie[i] ^= 1;
        build(&q);
        ck_assert(!cookie_jar_check(&jar, &sender, q.message));
        cookie[i] ^= 1;
    }
    for (size_t len = 1; len < COOKIE_LEN; len++) {
        q.cookie = span_make(cookie, len);
        build(&q);
        ck_assert(!cookie_jar_check(&jar, &sender, q.message));
    }
}
END_TEST

/* The nonce's length is the sender's to choose. What it gives away must not pass for a part of an
 * address: a cookie fetched over IPv4 would prove IPv6 addresses where nobody receives. */
START_TEST(fields_do_not_run_into_each_other)
{
    struct request q = request();
    uint8_t cookie[COOKIE_LEN], tail[14];
    challenge(&q, &sender, cookie);
    /* nonce | SPI | port | IPv4 address, read again with an IPv6 address at the end ... */
    struct wire_writer w;
    wire_writer_init(&w, tail, sizeof tail);
    wire_write_u64(&w, q.header.spi_i);
    wire_write_u16(&w, sender.port);
    wire_write_span(&w, ip_span(&sender.ip));
    ck_ok(wire_write_finish(&w));
    struct request shifted = request();
    shifted.cookie = q.cookie;
    shifted.nonce.len = 32 - 12;
    shifted.header.spi_i = 0;
    for (size_t i = 20; i < 28; i++)
        shifted.header.spi_i = shifted.header.spi_i << 8 | nonce[i];
    struct endpoint victim = {.ip = {.family = IP_V6},
                              .port = (uint16_t)(nonce[28] << 8 | nonce[29])};
    memcpy(victim.ip.bytes, nonce + 30, 2);
    memcpy(victim.ip.bytes + 2, tail, 14);
    build(&shifted);
    ck_assert(!cookie_jar_check(&jar, &victim, shifted.message));

    /* ... and SPI | port | address | nonce, with the address taking the nonce's first octets. */
    shifted = request();
    shifted.cookie = q.cookie;
    shifted.nonce = span_make(nonce + 12, 32 - 12);
    victim = (struct endpoint){.ip = {.family = IP_V6}, .port = sender.port};
    memcpy(victim.ip.bytes, sender.ip.bytes, 4);
    memcpy(victim.ip.bytes + 4, nonce, 12);
    build(&shifted);
    ck_assert(!cookie_jar_check(&jar, &victim, shifted.message));
}
END_TEST

START_TEST(a_secret_lasts_until_the_second_rotation)
{
    struct request old = request(), q = request();
    uint8_t cookie[COOKIE_LEN], next[COOKIE_LEN];
    challenge(&old, &sender, cookie);
    cookie_jar_rotate(&jar, &source);
    ck_assert(cookie_jar_check(&jar, &sender, old.message));
    challenge(&q, &sender, next);
    ck_assert(cookie_jar_check(&jar, &sender, q.message));
    ck_assert_mem_ne(cookie, next, COOKIE_LEN);
    cookie_jar_rotate(&jar, &source);
    ck_assert(!cookie_jar_check(&jar, &sender, old.message));
    ck_assert(cookie_jar_check(&jar, &sender, q.message));
    cookie_jar_rotate(&jar, &source);
    ck_assert(!cookie_jar_check(&jar, &sender, q.message));
}
END_TEST

/* A cookie under the all-zero key that a new jar has for "previous" proves nothing. */
START_TEST(a_new_jar_has_no_previous_secret)
{
    struct request q = request();
    uint8_t cookie[COOKIE_LEN];
    const uint8_t zeros[32] = {0};
    struct cookie_jar other = jar;
    memcpy(other.keys[0], zeros, sizeof zeros);
    other.version = (uint8_t)(jar.version - 1);
    const struct cookie_jar kept = jar;
    jar = other;
    challenge(&q, &sender, cookie);
    ck_assert(cookie_jar_check(&jar, &sender, q.message));
    jar = kept;
    ck_assert(!cookie_jar_check(&jar, &sender, q.message));
}
END_TEST

START_TEST(the_version_wraps)
{
    struct request q = request(), ancient = request();
    uint8_t cookie[COOKIE_LEN], first[COOKIE_LEN];
    challenge(&ancient, &sender, first);
    for (int i = 0; i < 255; i++)
        cookie_jar_rotate(&jar, &source);
    challenge(&q, &sender, cookie);
    ck_assert(!cookie_jar_check(&jar, &sender, ancient.message));
    cookie_jar_rotate(&jar, &source); /* the number of the first again */
    ck_assert(cookie_jar_check(&jar, &sender, q.message));
    ck_assert(!cookie_jar_check(&jar, &sender, ancient.message));
}
END_TEST

static void ck_no_request(struct span message)
{
    uint8_t out[256];
    struct span answer;
    ck_err(cookie_jar_challenge(&jar, &sender, message, out, sizeof out, &answer), ERR_MALFORMED);
    ck_assert(!cookie_jar_check(&jar, &sender, message));
}

START_TEST(only_a_request_is_answered)
{
    const struct request good = request();
    struct request q;
#define WRONG(change)                                                                              \
    do {                                                                                           \
        q = good;                                                                                  \
        change;                                                                                    \
        build(&q);                                                                                 \
        ck_no_request(q.message);                                                                  \
    } while (0)
    WRONG(q.header.major = 1);
    WRONG(q.header.major = 3);
    WRONG(q.header.exchange = EXCHANGE_IKE_AUTH);
    WRONG(q.header.flags = 0);
    WRONG(q.header.flags = IKE_FLAG_INITIATOR | IKE_FLAG_RESPONSE);
    WRONG(q.header.message_id = 1);
    WRONG(q.header.spi_i = 0);
    WRONG(q.header.spi_r = 1);
    WRONG(q.nonce.len = 0);
    WRONG(q.nonce.len = NONCE_MIN - 1);
#undef WRONG
    /* A minor version, the version flag and reserved flags say nothing (RFC 7296 2.5, 3.1). */
    uint8_t cookie[COOKIE_LEN];
    q = good;
    q.header.minor = 5;
    q.header.flags |= IKE_FLAG_VERSION | 0xc7;
    challenge(&q, &sender, cookie);
    ck_assert(cookie_jar_check(&jar, &sender, q.message));
}
END_TEST

/* A stranger is told to fetch a cookie, whatever is wrong with its request; with it, somebody will
 * read the request, and say that he does not know a payload that he should (RFC 7296 2.5). */
START_TEST(what_is_critical_is_for_the_session_to_refuse)
{
    struct request q = request();
    uint8_t cookie[COOKIE_LEN];
    q.critical = 200;
    build(&q);
    ck_assert(!cookie_jar_check(&jar, &sender, q.message));
    challenge(&q, &sender, cookie);
    ck_assert(cookie_jar_check(&jar, &sender, q.message));
    ck_assert(!cookie_jar_check(&jar, &(struct endpoint){sender.ip, (uint16_t)(sender.port + 1)},
                                q.message));
}
END_TEST

START_TEST(two_nonces_are_none)
{
    struct message_writer m;
    struct request q = request();
    message_begin(&m, q.bytes, sizeof q.bytes, &q.header);
    payload_write(&m, PAYLOAD_NONCE, q.nonce);
    payload_write(&m, PAYLOAD_NONCE, q.nonce);
    ck_ok(message_finish(&m, &q.message));
    ck_no_request(q.message);
}
END_TEST

/* Cut anywhere, with the header's length as it was or made to fit. */
START_TEST(every_short_length)
{
    struct request q = request();
    uint8_t cookie[COOKIE_LEN];
    challenge(&q, &sender, cookie);
    for (size_t len = 0; len < q.message.len; len++) {
        uint8_t *exact = support_exact_copy(span_make(q.bytes, len));
        ck_no_request(span_make(exact, len));
        if (len >= IKE_HEADER_LEN) {
            memcpy(exact + 24, ((const uint8_t[]){0, 0, (uint8_t)(len >> 8), (uint8_t)len}), 4);
            ck_no_request(span_make(exact, len));
        }
        free(exact);
    }
}
END_TEST

START_TEST(no_room_for_the_answer)
{
    struct request q = request();
    build(&q);
    enum { ANSWER_LEN = IKE_HEADER_LEN + 8 + COOKIE_LEN };
    for (size_t cap = 0; cap <= ANSWER_LEN; cap++) {
        uint8_t *out = malloc(cap > 0 ? cap : 1);
        struct span answer;
        ck_assert_ptr_nonnull(out);
        ck_err(cookie_jar_challenge(&jar, &sender, q.message, out, cap, &answer),
               cap == ANSWER_LEN ? ERR_OK : ERR_LIMIT);
        free(out);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ike/cookie");
    TCase *t = tcase_create("cookie");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, a_cookie_proves_its_sender);
    tcase_add_test(t, it_proves_no_other);
    tcase_add_test(t, fields_do_not_run_into_each_other);
    tcase_add_test(t, a_secret_lasts_until_the_second_rotation);
    tcase_add_test(t, a_new_jar_has_no_previous_secret);
    tcase_add_test(t, the_version_wraps);
    tcase_add_test(t, only_a_request_is_answered);
    tcase_add_test(t, what_is_critical_is_for_the_session_to_refuse);
    tcase_add_test(t, two_nonces_are_none);
    tcase_add_test(t, every_short_length);
    tcase_add_test(t, no_room_for_the_answer);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
