/* The gateway's clients, without sockets and a loop: which session is left where one identity has
 * several. */
#include <string.h>

#include "tests/support/pair.h"
#include "tools/gateway/state.h"

/* A client's session, at a port of its own. */
struct device {
    struct session *session;
    uint16_t port;
};

static struct pair pair; /* its configurations */
static struct gateway_config config;
static struct gateway gateway;
static struct device first, second;
static const mono_ms now = 1000;

/* --- what is gateway.c's --- */

void gateway_send_ike(struct gateway *g, const struct path *path, struct span bytes)
{
    struct device *d = path->remote.port == first.port ? &first : &second;
    struct path seen = {.local = path->remote, .remote = path->local, .interface = 2};
    struct span message;
    (void)g;
    seen.local.port = pair.client_path.local.port;
    if (datagram_classify(path->local.port != IKE_PORT, bytes, &message) == DATAGRAM_IKE)
        session_input(d->session, now, &seen, message);
}

struct gateway_socket *gateway_socket_find(struct gateway *g, const struct endpoint *local)
{
    (void)g;
    (void)local;
    return NULL;
}

void gateway_wake_at(struct gateway *g, mono_ms deadline)
{
    (void)g;
    (void)deadline;
}

void gateway_drop(struct gateway *g, uint64_t *counter, const struct path *path, const char *why)
{
    (void)g;
    (void)counter;
    (void)path;
    ck_abort_msg("dropped: %s", why);
}

void gateway_stray_ike(struct gateway *g, const struct path *path, const struct ike_header *h)
{
    (void)g;
    (void)path;
    ck_abort_msg("a message of no session, exchange %u", h->exchange);
}

void gateway_leave(struct gateway *g)
{
    (void)g;
    ck_abort_msg("the gateway is not to leave");
}

/* --- between them --- */

static void begin(struct device *d, uint16_t port)
{
    d->port = port;
    ck_ok(session_new(&pair.client_config, &d->session));
    session_networks_changed(d->session, now, &pair.client_path, 1);
    ck_ok(session_start(d->session, now));
}

/* One datagram of the client's, and what answers it; false where it has none. */
static bool carry(struct device *d)
{
    static uint8_t copy[IKE_MESSAGE_MAX];
    struct session_datagram out;
    struct span message;
    if (!session_output(d->session, now, &out))
        return false;
    ck_assert_int_eq(datagram_classify(out.path.remote.port != IKE_PORT, out.bytes, &message),
                     DATAGRAM_IKE);
    memcpy(copy, message.data, message.len);
    const struct path seen = {
        .local = out.path.remote, .remote = {out.path.local.ip, d->port}, .interface = 1};
    clients_input(&gateway, now, &seen, span_make(copy, message.len));
    return true;
}

static enum session_state state_of(const struct session *s)
{
    struct session_status status;
    session_status(s, &status);
    return status.state;
}

/* The gateway's session of that client. */
static const struct client *client_of(const struct device *d)
{
    for (size_t i = 0; i < gateway.client_count; i++) {
        if (gateway.clients[i]->path.remote.port == d->port)
            return gateway.clients[i];
    }
    return NULL;
}

static void ck_served(const struct device *d, size_t addresses)
{
    const struct client *c = client_of(d);
    ck_assert_int_eq(state_of(d->session), SESSION_UP);
    ck_assert_ptr_nonnull(c);
    ck_assert_int_eq(state_of(c->session), SESSION_UP);
    ck_assert(!c->replaced);
    ck_assert_uint_eq(c->address_count, addresses);
}

/* Every other session is gone, or being deleted, and holds no address. */
static void ck_alone(const struct device *d)
{
    for (size_t i = 0; i < gateway.client_count; i++) {
        const struct client *c = gateway.clients[i];
        if (c == client_of(d))
            continue;
        ck_assert(c->down || state_of(c->session) == SESSION_STOPPING);
        ck_assert_uint_eq(c->address_count, 0);
    }
}

static void setup(void)
{
    const struct prefix inner = {ip_v4(10, 7, 0, 0), 24};
    pair_init(&pair);
    config = (struct gateway_config){
        .identity = pair.gateway_config.local_id,
        .psk = pair.psk,
        .networks = pair.client_config.remote_selectors,
        .ike = pair.gateway_config.ike,
        .esp = pair.gateway_config.esp,
        .mobike = true,
        .cookies = GATEWAY_COOKIES_OFF,
    };
    memset(&gateway, 0, sizeof(gateway));
    gateway.config = &config;
    ck_ok(pool_new(&inner, 1, &gateway.pool));
    policy_prepare(&gateway);
}

static void teardown(void)
{
    clients_close(&gateway);
    pool_free(gateway.pool);
    session_free(first.session);
    session_free(second.session);
    first = second = (struct device){.session = NULL};
    pair_wipe(&pair);
}

/* --- tests --- */

/* _i: with an address of the pool, or with its own. */
START_TEST(who_comes_back_replaces_what_it_had)
{
    pair.client_config.request_ipv4 = _i == 0;
    begin(&first, 40001);
    while (carry(&first))
        ;
    ck_served(&first, _i == 0);
    begin(&second, 40002);
    while (carry(&second))
        ;
    ck_served(&second, _i == 0);
    ck_alone(&second);
}
END_TEST

/* It tried another way meanwhile, which was faster, and the proof that it gave by the first one
 * comes last: that one it has given up. */
START_TEST(a_late_proof_does_not_replace_what_began_after_it)
{
    pair.client_config.request_ipv4 = _i == 0;
    begin(&first, 40001);
    ck_assert(carry(&first)); /* IKE_SA_INIT; IKE_AUTH is on its way */
    begin(&second, 40002);
    while (carry(&second))
        ;
    ck_served(&second, _i == 0);
    ck_assert(carry(&first));
    ck_served(&second, _i == 0);
    ck_alone(&second);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway clients");
    TCase *t = tcase_create("one identity");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, who_comes_back_replaces_what_it_had, 0, 2);
    tcase_add_loop_test(t, a_late_proof_does_not_replace_what_began_after_it, 0, 2);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
