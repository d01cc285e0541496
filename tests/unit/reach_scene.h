/* The ways to the gateway, in a network namespace of the test's own with networks that come and go,
 * and a resolver that answers when and what the test wants: it stands between libuv's thread and
 * the C library. */
#ifndef TERN_TESTS_REACH_SCENE_H
#define TERN_TESTS_REACH_SCENE_H

#include "client/reach.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "platform/tun.h"
#include "tests/support/addresses.h"
#include "tests/support/namespace.h"
#include "tests/support/support.h"

enum { BOUND_MS = 30000, TEXT_MAX = 4096, ADDRESSES_MAX = 24, PORT_V4 = 4501, PORT_V6 = 4502 };

static uv_loop_t loop;
static uv_timer_t bound; /* what does not come is found by it */
static bool overdue;
static struct profile profile;
static struct reach *reach;
static struct fault f;
static struct tun *tun, *other_tun;

/* What was told last, "NAME LOCAL>REMOTE" each, and how often something was. */
static char told[TEXT_MAX];
static unsigned tells;
static struct path told_paths[SESSION_PATHS_MAX];
static size_t told_count;
static bool close_when_told, closed;

/* --- the resolver --- */

struct answer {
    const char *name;
    const char *addresses[ADDRESSES_MAX]; /* none: it fails */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;
static struct answer answers[2];
static unsigned asked, answered; /* questions so far; answers that are on their way */
static bool hanging;

static struct addrinfo *make_info(const char *text)
{
    struct {
        struct addrinfo info;
        union {
            struct sockaddr_in v4;
            struct sockaddr_in6 v6;
        } address;
    } *made = calloc(1, sizeof(*made));
    struct ip ip;
    ck_assert_ptr_nonnull(made);
    ck_ok(ip_parse(text, &ip));
    made->info.ai_family = ip.family == IP_V4 ? AF_INET : AF_INET6;
    made->info.ai_addr = (struct sockaddr *)&made->address;
    made->address.v4.sin_family = (sa_family_t)made->info.ai_family;
    if (ip.family == IP_V4)
        memcpy(&made->address.v4.sin_addr, ip.bytes, 4);
    else
        memcpy(&made->address.v6.sin6_addr, ip.bytes, 16);
    return &made->info;
}

int getaddrinfo(const char *restrict node, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict ret)
{
    struct addrinfo *first = NULL, **last = &first;
    (void)service;
    (void)hints;
    pthread_mutex_lock(&lock);
    asked++;
    pthread_cond_broadcast(&news);
    while (hanging)
        pthread_cond_wait(&news, &lock);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        if (answers[i].name == NULL || strcmp(answers[i].name, node) != 0)
            continue;
        for (size_t k = 0; k < ADDRESSES_MAX && answers[i].addresses[k] != NULL; k++) {
            *last = make_info(answers[i].addresses[k]);
            last = &(*last)->ai_next;
        }
    }
    answered++;
    pthread_cond_broadcast(&news);
    pthread_mutex_unlock(&lock);
    *ret = first;
    return first != NULL ? 0 : EAI_AGAIN;
}

void freeaddrinfo(struct addrinfo *list)
{
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;
        free(list);
        list = next;
    }
}

static void answer_with(size_t i, struct answer answer)
{
    pthread_mutex_lock(&lock);
    answers[i] = answer;
    pthread_mutex_unlock(&lock);
}

static void hang(bool yes)
{
    pthread_mutex_lock(&lock);
    hanging = yes;
    pthread_cond_broadcast(&news);
    pthread_mutex_unlock(&lock);
}

static unsigned asked_so_far(void)
{
    pthread_mutex_lock(&lock);
    unsigned count = asked;
    pthread_mutex_unlock(&lock);
    return count;
}

static void await_thread(const unsigned *counter, unsigned count)
{
    struct timespec until;
    int status = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += BOUND_MS / 1000;
    pthread_mutex_lock(&lock);
    while (*counter < count && status == 0)
        status = pthread_cond_timedwait(&news, &lock, &until);
    unsigned got = *counter;
    pthread_mutex_unlock(&lock);
    ck_assert_uint_eq(got, count);
}

/* Until a thread is in there: what has begun cannot be cancelled. */
static void await_question(unsigned count)
{
    await_thread(&asked, count);
}

/* --- the networks --- */

/* Three networks with the metrics that NetworkManager gives them, best first the second. */
static void make_networks(void)
{
    support_enter_namespace();
    support_network("wlan0", 2, 600);
    support_network("eth0", 1, 100);
    support_network("cell0", 3, 700);
    support_shell(
        "for d in eth0 wlan0 cell0; do i=0; until ip link show $d | grep -q 'state UP'; do "
        "[ $((i += 1)) -lt 300 ]; sleep 0.1; done; done");
}

/* --- what is told --- */

static void close_reach(void)
{
    reach_close(reach); /* freed by finish(): what the resolver holds is in use until then */
    closed = true;
    close_when_told = false;
}

static void on_changed(void *ctx, const struct path *paths, size_t count)
{
    size_t at = 0;
    ck_assert_ptr_eq(ctx, &loop);
    ck_assert_uint_le(count, SESSION_PATHS_MAX);
    told[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        char local[IP_TEXT_MAX], remote[IP_TEXT_MAX];
        const struct network_way *way = reach_interface(reach, &paths[i]);
        ck_assert_ptr_nonnull(way);
        ck_assert_uint_eq(paths[i].remote.port, profile.port);
        ck_assert_uint_eq(paths[i].local.port,
                          paths[i].remote.ip.family == IP_V4 ? PORT_V4 : PORT_V6);
        at += (size_t)snprintf(told + at, sizeof(told) - at, "%s%s %s>%s", i > 0 ? ", " : "",
                               way->interface_name, ip_format(&paths[i].local.ip, local),
                               ip_format(&paths[i].remote.ip, remote));
        told_paths[i] = paths[i];
    }
    told_count = count;
    tells++;
    if (close_when_told)
        close_reach();
}

static void on_bound(uv_timer_t *timer)
{
    (void)timer;
    overdue = true;
}

/* Whatever is ready by now. What is done to a network is told before the command returns. */
static void look_once(void)
{
    for (int i = 0; i < 3; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
}

/* Until these are the ways that were told last. */
static void expect(const char *expected)
{
    look_once();
    while (strcmp(told, expected) != 0 && !overdue)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_str_eq(told, expected);
}

static void await_tells(unsigned count)
{
    while (tells < count && !overdue)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_uint_eq(tells, count);
}

/* Until no name is looked for any more, and what came of it is told. */
static void await_answers(void)
{
    while (reach_looking(reach) && !overdue)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert(!reach_looking(reach));
}

static void setup(void)
{
    make_networks();
    memset(&profile, 0, sizeof(profile));
    memset(answers, 0, sizeof(answers));
    profile.port = 500;
    asked = answered = tells = 0;
    hanging = overdue = close_when_told = closed = false;
    reach = NULL;
    tun = other_tun = NULL;
    told_count = 0;
    snprintf(told, sizeof(told), "nothing");
    f = (struct fault){0};
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(uv_timer_init(&loop, &bound), 0);
    ck_assert_int_eq(uv_timer_start(&bound, on_bound, BOUND_MS, 0), 0);
}

static void see_handle(uv_handle_t *handle, void *count)
{
    (void)handle;
    ++*(unsigned *)count;
}

static unsigned handles(void)
{
    unsigned count = 0;
    uv_walk(&loop, see_handle, &count);
    return count;
}

static void finish(void)
{
    if (!closed)
        reach_close(reach);
    look_once();
    ck_assert_uint_eq(handles(), 1); /* our own timer */
    hang(false);
    uv_close((uv_handle_t *)&bound, NULL);
    unsigned before = tells;
    ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
    ck_assert_uint_eq(tells, before);
    ck_assert(!reach_looking(reach));
    reach_free(reach);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    tun_close(tun);
    tun_close(other_tun);
}

static void open_ports(uint16_t port_v4, uint16_t port_v6)
{
    const struct reach_options o = {.profile = &profile,
                                    .port_v4 = port_v4,
                                    .port_v6 = port_v6,
                                    .changed = on_changed,
                                    .ctx = &loop};
    ck_assert_msg(reach_new(&loop, &o, &reach, &f) == ERR_OK, "%s", f.text);
}

static void add_name(const char *name)
{
    struct profile_list *l = &profile.addresses;
    snprintf(l->items[l->count++], PROFILE_TEXT_MAX, "%s", name);
}

/* With these addresses of the gateway's, known from the start. */
static void begin(const char *first, const char *second)
{
    add_name(first);
    if (second != NULL)
        add_name(second);
    open_ports(PORT_V4, PORT_V6);
    reach_resolve(reach);
    ck_assert_uint_eq(tells, 1);
}

#define GW   "203.0.113.1"
#define GW_B "203.0.113.66"
#define GW6  "2001:db8:ffff::1"
#define ALL  "eth0 10.0.1.2>" GW ", wlan0 10.0.2.2>" GW ", cell0 10.0.3.2>" GW

static void add_case(Suite *suite, TCase **t, const char *name)
{
    *t = tcase_create(name);
    tcase_set_timeout(*t, 60);
    tcase_add_checked_fixture(*t, setup, finish);
    suite_add_tcase(suite, *t);
}

#endif
