/* The gateway's own state, shared by its files:
 *
 *     gateway.c   sockets, TUN, event loop, timer, signals
 *     clients.c   one session for each client: who is let in, what its events bring
 *     policy.c    keys, passwords and addresses for them
 *     datapath.c  batches of packets between the sockets and the TUN
 *     inspect.c   the sessions as JSON, for tests
 *
 * One thread. A struct client may be freed by client_settle and by nothing else but
 * gateway_close; whoever called that forgets the pointer. */
#ifndef TERN_TOOLS_GATEWAY_STATE_H
#define TERN_TOOLS_GATEWAY_STATE_H

#include <uv.h>

#include "common/base/mono.h"
#include "common/esp/tunnel.h"
#include "common/ike/cookie.h"
#include "common/ike/session.h"
#include "platform/routes.h"
#include "platform/tun.h"
#include "platform/udp.h"
#include "tools/gateway/eap_server.h"
#include "tools/gateway/gateway.h"
#include "tools/gateway/pool.h"

enum {
    CLIENTS_MAX = 1024,
    HALF_OPEN_MAX = 256,       /* beyond it, no new session */
    HALF_OPEN_COOKIES = 32,    /* from here on Cookies=auto asks for them */
    HALF_OPEN_MS = 30000,      /* to get from IKE_SA_INIT to an established IKE SA */
    COOKIE_SECRET_MS = 120000, /* how long one secret makes cookies */
    LINGER_MS = 10000,         /* how long an ended session repeats its last answer */
    DROP_LOG_MS = 1000,        /* between lines that strangers can cause */
    STOP_MS = 3000,            /* to delete all SAs at the clients before we leave anyway */
    SOCKETS_MAX = 2 * GATEWAY_LISTEN_MAX,
    SPI_BUCKETS = 2048,
    CLIENT_ADDRESSES_MAX = 2, /* one of each family */
};

struct gateway;
struct client;
struct datapath;

struct gateway_socket {
    struct gateway *gateway;
    struct udp *udp;
    struct udp_sender *sender;
    struct ip address; /* unspecified: any */
    uv_poll_t poll;
};

/* An installed Child SA, by the SPI that its packets to us carry. */
struct child {
    uint32_t spi_in, spi_out; /* spi_in 0: unused (RFC 4303 2.1: never on the wire) */
    struct client *client;
    struct child *next; /* in its bucket */
};

struct client {
    struct gateway *gateway;
    uint64_t serial; /* who began later has the greater one */
    struct session *session;
    struct tunnel *tunnel;
    struct child children[TUNNEL_CHILDREN_MAX];
    struct ip addresses[CLIENT_ADDRESSES_MAX]; /* leased */
    size_t address_count;
    struct identity peer; /* once the session asked for addresses or was up */
    struct eap_server eap;

    /* Where its ESP goes: what the session says, or the source of the last packet that verified,
     * where a translator is in front of the client (RFC 7296 2.23). */
    struct path path;
    struct gateway_socket *socket; /* NULL: none has that local address */
    bool behind_nat;
    bool follows_packets; /* it is where its last good packet came from */

    uint64_t rekeys; /* of both kinds, by either side */
    struct session_traffic traffic;
    uint64_t authentic;      /* of the tunnel's counters, when traffic was last told */
    mono_ms half_open_until; /* MONO_NEVER once up */
    mono_ms deadline;        /* the session's next, or that one */
    bool replaced;           /* the same identity has a newer session: to be stopped */
    bool down;               /* ended; stays until linger_until to repeat its last answer */
    mono_ms linger_until;
};

/* What was not delivered, by reason; for SIGUSR1. */
struct gateway_drops {
    uint64_t unowned_ike, unknown_spi, bad, full;
    uint64_t no_client, not_sent, not_delivered;
};

struct gateway {
    const struct gateway_config *config;
    struct session_config session; /* the same for all, but for policy.ctx */
    struct tun *tun;
    struct routes *routes; /* the pools, into the TUN */
    struct pool *pool;
    struct gateway_socket sockets[SOCKETS_MAX];
    size_t socket_count;
    struct datapath *datapath;

    struct client *clients[CLIENTS_MAX];
    size_t client_count, half_open;
    uint64_t serial; /* of the newest client */
    struct child *by_spi[SPI_BUCKETS];
    struct cookie_jar jar;
    mono_ms jar_made;

    uv_loop_t loop;
    uv_timer_t timer;
    uv_poll_t tun_poll;
    uv_signal_t terminate, interrupt, inspect;
    mono_ms deadline; /* what the timer is armed for */
    bool stopping;
    mono_ms stop_by;
    struct fault *fault; /* where the loop says why it ended; code ERR_OK: as asked */

    struct gateway_drops drops;
    mono_ms drop_log_after;
    mono_ms refusal_log_after;
    mono_ms notice_after; /* one notice in the clear a second (RFC 7296 2.21.4) */
};

/* --- gateway.c --- */
mono_ms gateway_now(const struct gateway *g);
/* The socket that has this local end; NULL where none has. */
struct gateway_socket *gateway_socket_find(struct gateway *g, const struct endpoint *local);
/* One IKE datagram, marker included. Losing it is what retransmission is for. */
void gateway_send_ike(struct gateway *g, const struct path *path, struct span bytes);
/* Arms the timer where `deadline` comes before what it waits for. */
void gateway_wake_at(struct gateway *g, mono_ms deadline);
/* A datagram that is nobody's: counted in *counter, and told at most once a second. */
void gateway_drop(struct gateway *g, uint64_t *counter, const struct path *path, const char *why);
/* ESP with an SPI of no session. */
void gateway_stray_esp(struct gateway *g, const struct path *path, uint32_t spi);
/* An IKE message of no session. */
void gateway_stray_ike(struct gateway *g, const struct path *path, const struct ike_header *h);
/* The loop ends at once: by fault, or where f->code is ERR_OK because all is done. */
void gateway_leave(struct gateway *g);

/* --- policy.c --- */
void policy_prepare(struct gateway *g); /* g->session and the cookie jar */
void client_release_addresses(struct client *c);
/* The peer has proven to be `c->peer`: of all sessions of it the one that began last is left; that
 * may be another one (c->replaced). */
void client_replace_older(struct client *c);

/* --- clients.c --- */
/* An IKE message without marker, on the path it came. */
void clients_input(struct gateway *g, mono_ms now, const struct path *path, struct span message);
/* Drains the session: sends, obeys its events, notes its deadline. May free the client. */
void client_settle(struct client *c, mono_ms now);
/* ESP goes there from now on. */
void client_move(struct client *c, const struct path *path);
struct client *client_by_spi(const struct gateway *g, uint32_t spi_in);
/* Due timers of all; returns the earliest deadline left. */
mono_ms clients_handle_timeout(struct gateway *g, mono_ms now);
void clients_stop(struct gateway *g, mono_ms now);
void clients_close(struct gateway *g); /* without a word to the peers */

/* --- datapath.c --- */
CHECKED enum err datapath_new(struct datapath **ret);
void datapath_free(struct datapath *d); /* NULL is fine */
void datapath_from_socket(struct gateway_socket *socket);
/* ERR_SYSTEM where the TUN is gone. */
CHECKED enum err datapath_from_tun(struct gateway *g);

/* --- inspect.c --- */
void inspect_print(const struct gateway *g);

#endif
