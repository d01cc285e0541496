/* Packets between the TUN and the UDP sockets, in batches, by one thread for each direction:
 * several in one piece wherever the kernel gives and takes them so. IKE that arrives on the way is
 * handed up. All functions and callbacks are the loop's; none waits longer than a batch takes. */
#ifndef TERN_CLIENT_DATAPATH_H
#define TERN_CLIENT_DATAPATH_H

#include <uv.h>

#include "common/esp/tunnel.h"
#include "common/ike/session.h"
#include "common/packet/fit.h"
#include "platform/tun.h"
#include "platform/udp.h"

struct datapath;

struct datapath_callbacks {
    void *ctx;
    /* An IKE message, without marker; valid during the call. Returns how many so far were of no
     * use. */
    uint64_t (*ike)(void *ctx, mono_ms now, const struct path *path, struct span message);
    /* ESP went out or came in since the last call: at once after a silence, then again and again
     * (datapath_watch). */
    void (*traffic)(void *ctx, mono_ms now, const struct session_traffic *t);
    /* A Child SA has reached a soft bound: tunnel_expiring tells which. At once, for beyond the
     * hard one nothing is sealed. */
    void (*expiring)(void *ctx, mono_ms now);
    /* The TUN device is gone. */
    void (*tun_lost)(void *ctx);
};

/* Opens a socket for each family (marked), and listens on them. offload: datagrams may come and go
 * in one piece. */
CHECKED enum err datapath_new(uv_loop_t *loop, const struct datapath_callbacks *callbacks,
                              bool offload, struct datapath **ret, struct fault *f);
/* Closes everything; frees after the loop has run its close callbacks. NULL is fine. */
void datapath_close(struct datapath *d);

/* The bound port of that family's socket; 0 where the machine has none. */
uint16_t datapath_port(const struct datapath *d, enum ip_family family);
/* An IKE datagram or keepalive, as session_output gave it. */
void datapath_send(struct datapath *d, const struct session_datagram *datagram);
/* Begin to carry: from this TUN, through this tunnel, on this path. Borrows both. Another TUN than
 * before: that one is not used any more. */
void datapath_carry(struct datapath *d, struct tun *tun, struct tunnel *tunnel,
                    const struct path *path);
/* ESP leaves by that path from now on; what comes in may have come by any. */
void datapath_move(struct datapath *d, const struct path *path);
/* What fits that path. ESP datagrams longer than datagram_max octets go in fragments without being
 * tried; 0: all are tried. */
void datapath_fit(struct datapath *d, const struct fit *fit, size_t datagram_max);
/* How often a datagram did not fit, so far. */
uint64_t datapath_too_long(const struct datapath *d);
/* While that is so, traffic is reported within a few milliseconds; else, where it is little, more
 * seldom: each report wakes the loop. */
void datapath_watch(struct datapath *d, bool closely);
/* What traffic there was since the last report is reported now. */
void datapath_report(struct datapath *d);
/* A Child SA was added to the tunnel: packets that came just before it can be opened now. */
void datapath_child_came(struct datapath *d);
/* When it returns, what was sealed as it was before has left: after a Child SA was drained, before
 * the gateway is told that it goes. */
void datapath_settle(struct datapath *d);
/* Packets stay in the TUN's own queue while held. */
void datapath_hold(struct datapath *d, bool held);
/* No more packets, in either direction; when it returns TUN and tunnel are not used any more. */
void datapath_stop(struct datapath *d);

#endif
