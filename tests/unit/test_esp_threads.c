/* One thread seals, one opens, and control adds, drains and removes children under both. */
#include "common/esp/tunnel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/support/support.h"

enum { CHILDREN = 8, CHANGES = 4000, LEN = 60, ROOM = ESP_HEADROOM + LEN + ESP_TAILROOM };

static struct tunnel *here; /* under test */
static atomic_bool over;
static atomic_uint sealed, opened; /* so far, and well */

/* Child i has the addresses 10.9.i.0/24 at the far end, and the same keys both ways. */
static struct tunnel_child_parameters child_of(uint8_t i)
{
    struct tunnel_child_parameters p = {
        .in = {.spi = 0x1000 + i, .suite = {ENCR_AES_GCM_16, 128, INTEG_NONE}, .enc_key.len = 20},
        .soft_packets = 3};
    struct prefix prefix = {.ip = {.family = IP_V4, .bytes = {10, 9, i}}, .bits = 24};
    struct selector near = selector_from_prefix(&(struct prefix){.ip = {.family = IP_V4}});
    struct selector far = selector_from_prefix(&prefix);
    memset(p.in.enc_key.data, i, p.in.enc_key.len);
    p.out = p.in;
    ck_ok(selector_list_add(&p.local, &near));
    ck_ok(selector_list_add(&p.remote, &far));
    return p;
}

static struct packet packet_between(uint8_t *storage, const uint8_t from[4], const uint8_t to[4])
{
    struct packet p = {.data = storage, .cap = ROOM, .start = ESP_HEADROOM, .len = LEN};
    uint8_t *b = packet_bytes(&p);
    memset(storage, 0, ROOM);
    b[0] = 0x45;
    b[3] = LEN;
    b[8] = 64;
    b[9] = 17;
    memcpy(b + 12, from, 4);
    memcpy(b + 16, to, 4);
    return p;
}

static enum err seal_in_place(struct tunnel *t, struct packet *p, uint32_t spi)
{
    struct span inner = span_make(packet_bytes(p), p->len);
    struct tunnel_route r = tunnel_route(t, inner);
    enum err e = tunnel_seal(t, &r, inner, p);
    return e == ERR_OK && r.spi != spi ? ERR_STATE : e;
}

static void *seal(void *arg)
{
    size_t *wrong = arg;
    uint8_t storage[ROOM], i = 0;
    while (!atomic_load(&over)) {
        struct packet p =
            packet_between(storage, (uint8_t[]){10, 1, 0, 7}, (uint8_t[]){10, 9, i, 1});
        tunnel_seal_begin(here);
        enum err e = seal_in_place(here, &p, 0x1000u + i);
        tunnel_seal_end(here);
        if (e == ERR_OK)
            atomic_fetch_add(&sealed, 1);
        else
            *wrong += e != ERR_SELECTOR;
        i = (uint8_t)((i + 1) % CHILDREN);
    }
    return NULL;
}

/* What a gateway with all children sends us. */
static void *open_all(void *arg)
{
    size_t *wrong = arg;
    uint8_t storage[CHILDREN][ROOM];
    struct tunnel *there;
    if (tunnel_new(&there) != ERR_OK)
        return NULL;
    for (uint8_t i = 0; i < CHILDREN; i++) {
        struct tunnel_child_parameters p = child_of(i);
        struct selector_list local = p.local;
        p.local = p.remote;
        p.remote = local;
        *wrong += tunnel_add_child(there, &p) != ERR_OK;
    }
    while (!atomic_load(&over)) {
        struct packet packets[CHILDREN];
        struct tunnel_result results[CHILDREN];
        for (uint8_t i = 0; i < CHILDREN; i++)
            packets[i] =
                packet_between(storage[i], (uint8_t[]){10, 9, i, 1}, (uint8_t[]){10, 1, 0, 7});
        for (uint8_t i = 0; i < CHILDREN; i++)
            *wrong += seal_in_place(there, &packets[i], 0x1000u + i) != ERR_OK;
        tunnel_open(here, packets, results, CHILDREN);
        for (size_t i = 0; i < CHILDREN; i++) {
            if (results[i].err == ERR_OK && results[i].spi == 0x1000 + i)
                atomic_fetch_add(&opened, 1);
            else
                *wrong += results[i].err != ERR_NOT_FOUND;
        }
    }
    tunnel_free(there);
    return NULL;
}

/* One of a child's turns: it comes, is drained, goes. */
static void change(uint8_t i, unsigned turn)
{
    struct tunnel_child_parameters p = child_of(i);
    if (turn % 3 == 0) {
        p.outbound_waits = turn % 2 == 0;
        ck_ok(tunnel_add_child(here, &p));
    } else if (turn % 3 == 1) {
        ck_ok(tunnel_drain_child(here, p.in.spi));
    } else {
        ck_ok(tunnel_remove_child(here, p.in.spi));
    }
}

START_TEST(children_come_and_go_under_traffic)
{
    static size_t wrong_sealing, wrong_opening;
    pthread_t sealing, opening;
    unsigned told = 0;
    uint32_t spi;
    ck_ok(tunnel_new(&here));
    ck_assert_int_eq(pthread_create(&sealing, NULL, seal, &wrong_sealing), 0);
    ck_assert_int_eq(pthread_create(&opening, NULL, open_all, &wrong_opening), 0);
    for (unsigned n = 0; n < CHANGES || atomic_load(&sealed) < CHANGES ||
                         atomic_load(&opened) < CHANGES || told < CHILDREN;
         n++) {
        struct tunnel_child_status status;
        change((uint8_t)(n % CHILDREN), n / CHILDREN);
        while (tunnel_expiring(here, &spi))
            told++;
        (void)tunnel_can_seal(here);
        if (tunnel_child_status(here, 0x1001, &status) == ERR_OK)
            ck_assert_uint_eq(status.in.bad + status.in.replayed, 0);
    }
    atomic_store(&over, true);
    ck_assert_int_eq(pthread_join(sealing, NULL), 0);
    ck_assert_int_eq(pthread_join(opening, NULL), 0);
    ck_assert_uint_eq(wrong_sealing, 0);
    ck_assert_uint_eq(wrong_opening, 0);
    const struct tunnel_counters all = tunnel_counters(here);
    ck_assert_uint_eq(all.out.packets, atomic_load(&sealed));
    ck_assert_uint_eq(all.in.packets, atomic_load(&opened));
    ck_assert_uint_eq(all.in.bad + all.in.replayed, 0);
    tunnel_free(here);
}
END_TEST

/* What opening sees of a child that is drained meanwhile does not bring it back. */
START_TEST(a_drained_child_stays_drained)
{
    static size_t wrong;
    pthread_t opening;
    ck_ok(tunnel_new(&here));
    ck_assert_int_eq(pthread_create(&opening, NULL, open_all, &wrong), 0);
    for (unsigned n = 0; n < CHANGES / 4; n++) {
        struct tunnel_child_parameters p = child_of(0);
        unsigned before = atomic_load(&opened);
        p.outbound_waits = true;
        ck_ok(tunnel_add_child(here, &p));
        while (n % 2 == 0 && atomic_load(&opened) == before)
            ;
        ck_ok(tunnel_drain_child(here, p.in.spi));
        ck_assert(!tunnel_can_seal(here));
        ck_ok(tunnel_remove_child(here, p.in.spi));
    }
    atomic_store(&over, true);
    ck_assert_int_eq(pthread_join(opening, NULL), 0);
    ck_assert_uint_eq(wrong, 0);
    tunnel_free(here);
}
END_TEST

static void *seal_always(void *arg)
{
    size_t *lost = arg;
    uint8_t storage[ROOM];
    while (!atomic_load(&over)) {
        struct packet p =
            packet_between(storage, (uint8_t[]){10, 1, 0, 7}, (uint8_t[]){10, 9, 0, 1});
        tunnel_seal_begin(here);
        struct span inner = span_make(packet_bytes(&p), p.len);
        struct tunnel_route r = tunnel_route(here, inner);
        *lost += tunnel_seal(here, &r, inner, &p) != ERR_OK;
        tunnel_seal_end(here);
        atomic_fetch_add(&sealed, 1);
    }
    return NULL;
}

/* Rekeying: each has its successor before it is drained, and so no packet is without a child. */
START_TEST(a_successor_takes_over_without_loss)
{
    static size_t lost;
    pthread_t sealing;
    struct tunnel_child_parameters p = child_of(0);
    ck_ok(tunnel_new(&here));
    ck_ok(tunnel_add_child(here, &p));
    ck_assert_int_eq(pthread_create(&sealing, NULL, seal_always, &lost), 0);
    for (unsigned n = 0; n < CHANGES || atomic_load(&sealed) < CHANGES; n++) {
        uint32_t before = p.in.spi++;
        p.replaces_spi_in = before;
        p.outbound_waits = n % 2 == 0; /* then it is ready as soon as the other is drained */
        ck_ok(tunnel_add_child(here, &p));
        ck_ok(tunnel_drain_child(here, before));
        ck_ok(tunnel_remove_child(here, before));
    }
    atomic_store(&over, true);
    ck_assert_int_eq(pthread_join(sealing, NULL), 0);
    ck_assert_uint_eq(lost, 0);
    ck_assert_uint_eq(tunnel_counters(here).no_child, 0);
    tunnel_free(here);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("esp threads");
    TCase *t = tcase_create("threads");
    tcase_add_test(t, children_come_and_go_under_traffic);
    tcase_add_test(t, a_drained_child_stays_drained);
    tcase_add_test(t, a_successor_takes_over_without_loss);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
