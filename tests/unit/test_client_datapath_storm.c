/* Both directions at once while control changes all that it may change: for ThreadSanitizer. */
#include <pthread.h>

#include "tests/unit/datapath_ends.h"

enum { TURNS = 400, CHILDREN = 3 /* at once */ };

static atomic_bool over;
static atomic_uint echoed, answered;

/* What comes is sent back, and IKE in between. */
static void *play_gateway(void *arg)
{
    static uint8_t in[ROOM], storage[ROOM], ike[12];
    uint64_t number = 0;
    (void)arg;
    while (!atomic_load(&over)) {
        struct udp_message m = {.data = in, .cap = sizeof(in)}, back[2];
        struct span inner;
        size_t count;
        if (!far_readable(5) || udp_receive(far, &m, 1, &count) != ERR_OK || !far_open(&m, &inner))
            continue;
        uint8_t *b = in + (inner.data - in), swap[4];
        memcpy(swap, b + 12, 4); /* sums stay as they are */
        memcpy(b + 12, b + 16, 4);
        memcpy(b + 16, swap, 4);
        memcpy(swap, b + 20, 2);
        memcpy(b + 20, b + 22, 2);
        memcpy(b + 22, swap, 2);
        far_seal(storage, inner, &back[0]);
        far_ike(ike, number, &back[1]);
        far_send(back, number++ % 8 == 0 ? 2 : 1);
        atomic_fetch_add(&echoed, 1);
    }
    return NULL;
}

static void *play_application(void *arg)
{
    (void)arg;
    while (!atomic_load(&over)) {
        for (uint8_t i = 0; i < 16; i++)
            (void)!send(app, &i, 1, MSG_DONTWAIT);
        for (int i = 0; i < 16 && hear(i == 0 ? 0 : MSG_DONTWAIT) >= 0; i++)
            atomic_fetch_add(&answered, 1);
    }
    return NULL;
}

static struct {
    uint32_t oldest, next; /* SPIs that are there, from the one on up to before the other */
    unsigned turn;
} storm = {SPI_FIRST, SPI_FIRST, 0};

static void come(void)
{
    if (storm.next - storm.oldest == CHILDREN) {
        ck_ok(tunnel_drain_child(here, storm.oldest));
        datapath_settle(d);
        ck_ok(tunnel_remove_child(here, storm.oldest++));
    }
    add_child(here, storm.next++);
    datapath_child_came(d);
}

static void change_tun(void)
{
    datapath_stop(d);
    tun_close(tun);
    open_tun();
    datapath_carry(d, tun, here, &paths[0]);
}

static void one_turn(void)
{
    uint32_t spi;
    switch (storm.turn++ % 8) {
    case 0:
    case 4:
        come();
        break;
    case 1:
        datapath_move(d, &paths[storm.turn / 8 % 2]);
        break;
    case 2:
        datapath_hold(d, true);
        break;
    case 3:
        datapath_hold(d, false);
        break;
    case 5:
        datapath_stop(d);
        datapath_carry(d, tun, here, &paths[0]);
        break;
    case 6:
        if (storm.turn % 64 == 7)
            change_tun();
        break;
    default:
        (void)tunnel_expiring(here, &spi);
        (void)tunnel_can_seal(here);
        break;
    }
}

START_TEST(both_directions_while_everything_changes)
{
    pthread_t gateway, application;
    come();
    datapath_carry(d, tun, here, &paths[0]);
    ck_assert_int_eq(pthread_create(&gateway, NULL, play_gateway, NULL), 0);
    ck_assert_int_eq(pthread_create(&application, NULL, play_application, NULL), 0);
    while (storm.turn < TURNS || atomic_load(&echoed) < TURNS || atomic_load(&answered) < TURNS ||
           heard.ike_count < TURNS / 16) {
        uv_run(&loop, UV_RUN_NOWAIT);
        one_turn();
        poll(NULL, 0, 1); /* as control is idle mostly */
    }
    atomic_store(&over, true);
    ck_assert_int_eq(pthread_join(gateway, NULL), 0);
    ck_assert_int_eq(pthread_join(application, NULL), 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert(!heard.ike_wrong);
    ck_assert_uint_eq(heard.lost, 0);
    ck_assert_uint_gt(heard.traffics, 0);
    const struct tunnel_counters all = tunnel_counters(here);
    ck_assert_uint_eq(all.in.bad + all.in.replayed, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client datapath storm");
    TCase *t = tcase_create("storm");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, both_directions_while_everything_changes);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
