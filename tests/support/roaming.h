/* A client with two networks, and the wire between it and the gateway, for tests of roaming. Each
 * test program has its own: what is static here is the program's. */
#ifndef TERN_TESTS_ROAMING_H
#define TERN_TESTS_ROAMING_H

#include "tests/support/pair.h"
#include "tests/support/support.h"

static struct pair pair;
static struct path wifi, cell, wifi6; /* wifi6: to another address of the gateway's */

/* What the wire does not carry: everything of a client's address, or all. */
static struct ip dead_local;
static bool dead_all;
static struct ip gone_local; /* nothing must leave from there */
static bool gone_all;
static struct ip open_local; /* nothing else gets through; none: all does */
static struct ip slow_local; /* what goes from and to that address takes slow_ms each way */
static mono_ms slow_ms;

static inline bool wire(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    (void)bytes;
    (void)len;
    ck_assert(!from_client || !ip_equal(&p->wire_path.local.ip, &gone_local));
    ck_assert(!from_client || !gone_all);
    if (open_local.family != IP_NONE && !ip_equal(&p->wire_path.local.ip, &open_local))
        return false;
    return !dead_all && !ip_equal(&p->wire_path.local.ip, &dead_local);
}

enum { FAST_MS = 10, SLOW_MS = 125, SLOWER_MS = 170 };

static inline mono_ms delay(const struct pair *p)
{
    return ip_equal(&p->wire_path.local.ip, &slow_local) ? slow_ms : FAST_MS;
}

static inline void setup(void)
{
    pair_init(&pair);
    pair.wire = wire;
    dead_local = (struct ip){.family = IP_NONE};
    dead_all = gone_all = false;
    gone_local = open_local = (struct ip){.family = IP_NONE};
    slow_local = (struct ip){.family = IP_NONE};
    slow_ms = SLOW_MS;
    wifi = pair.client_path;
    cell = wifi;
    cell.local.ip = ip_v4(198, 51, 100, 7);
    cell.interface = 3;
    wifi6 = wifi;
    wifi6.local.ip = ip_v4(192, 0, 2, 66);
    wifi6.remote.ip = ip_v4(203, 0, 113, 66);
}

static inline void teardown(void)
{
    pair_wipe(&pair);
}

static inline void networks(const struct path *a, const struct path *b)
{
    struct path ways[2];
    size_t count = 0;
    if (a != NULL)
        ways[count++] = *a;
    if (b != NULL)
        ways[count++] = *b;
    session_networks_changed(pair.client, pair.now, ways, count);
}

static inline void come_up(const struct path *a, const struct path *b)
{
    pair.client_path = *a;
    pair_start(&pair);
    networks(a, b);
    pair_pump(&pair);
    ck_assert_int_eq(pair_client_state(&pair), SESSION_UP);
    pair_forget_events(&pair);
    pair.datagrams = 0;
}

static inline void ck_on(const struct path *path)
{
    struct session_status client, gateway;
    session_status(pair.client, &client);
    session_status(pair.gateway, &gateway);
    ck_assert_int_eq(client.state, SESSION_UP);
    ck_assert(ip_equal(&client.path.local.ip, &path->local.ip));
    ck_assert(ip_equal(&client.path.remote.ip, &path->remote.ip));
    ck_assert(ip_equal(&gateway.path.remote.ip, &path->local.ip));
    ck_assert(ip_equal(&gateway.path.local.ip, &path->remote.ip));
    ck_assert_uint_eq(client.path.remote.port, IKE_NAT_PORT);
    ck_assert_uint_eq(client.spi_i, gateway.spi_i);
    ck_assert_uint_eq(pair.client_children.count, 1);
    ck_assert_uint_eq(pair.gateway_children.count, 1);
}

static inline const struct session_handover *ck_handover(enum session_move reason)
{
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_HANDOVER);
    ck_assert_ptr_nonnull(e);
    ck_assert_int_eq(e->handover.reason, reason);
    return &e->handover;
}

static inline void traffic(mono_ms out, mono_ms in)
{
    struct session_traffic t = {.last_out = out, .last_in = in};
    session_traffic(pair.client, pair.now, &t);
}

#endif
