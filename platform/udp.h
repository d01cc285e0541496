/* UDP sockets for IKE and ESP: unconnected, one per family, told the destination address, the
 * interface and the TOS octet of what arrives, able to choose the source and the TOS octet of what
 * leaves. */
#ifndef TERN_PLATFORM_UDP_H
#define TERN_PLATFORM_UDP_H

#include "common/base/addr.h"
#include "common/base/err.h"
#include "common/base/span.h"

struct udp;

enum {
    UDP_BATCH_MAX = 64,
    UDP_DATAGRAM_MAX = 65535,
    UDP_TRAIN_MAX = 64,        /* datagrams in one piece */
    UDP_TRAIN_LEN_MAX = 65000, /* octets of them: IP's length field, and headers */
};

struct udp_options {
    struct ip address; /* to bind; family alone set (unspecified address) for any */
    uint16_t port;     /* 0: ephemeral */
    uint32_t mark;     /* firewall mark of our own packets, 0: none (needs CAP_NET_ADMIN) */
    bool offload;      /* several datagrams may come, and go, in one piece */
};

/* Large buffers asked for, non-blocking, close-on-exec. */
CHECKED enum err udp_open(const struct udp_options *o, struct udp **ret, struct fault *f);
void udp_close(struct udp *u); /* NULL is fine */
int udp_fd(const struct udp *u);
uint16_t udp_port(const struct udp *u); /* bound port */
enum ip_family udp_family(const struct udp *u);

struct udp_message {
    struct path path; /* received: all of it known. Sent: remote required, local and interface
                       * honoured where set, whatever the routes prefer */
    uint8_t *data;    /* caller's buffer */
    size_t cap;       /* its size (receive) */
    size_t len;       /* octets received or to send */
    size_t segment;   /* 0, or not below len: one datagram. Else a train: each datagram is as
                       * long as this, the last may be shorter */
    uint8_t tos;      /* the IP header's TOS octet or traffic class: DSCP << 2 | ECN. 0 is what a
                       * socket sends by itself */
};

/* The datagrams of a received message, from *at 0 on: false where there is none left. An empty one
 * is one, too. */
bool udp_next_datagram(const struct udp_message *m, size_t *at, struct span *ret);

/* Up to count messages; *ret_count 0 with ERR_AGAIN where there is none. Errors that ICMP left on
 * the socket are passed over (they are hints at most). */
CHECKED enum err udp_receive(struct udp *u, struct udp_message *m, size_t count, size_t *ret_count);

/* What sends from the port of a struct udp, which outlives it: each thread that sends has one of
 * its own, and nothing else of the two is changed after opening. (One thread receives.) */
struct udp_sender;
CHECKED enum err udp_sender_new(const struct udp *u, struct udp_sender **ret);
void udp_sender_free(struct udp_sender *s); /* NULL is fine */

/* Sends in order, as many as the socket takes: *ret_count of them. A kernel, or a path, that does
 * not take trains gets their datagrams one by one, and those that are too long for the path in
 * fragments. All others have DF set: ERR_OK when all are gone; else the fate of the first unsent
 * (of a train some may be gone): ERR_AGAIN (buffer full), ERR_LIMIT (too long for the path),
 * ERR_NOT_FOUND (no route, network down, source address gone), ERR_REFUSED (EPERM), ERR_SYSTEM. */
CHECKED enum err udp_send(struct udp_sender *s, const struct udp_message *m, size_t count,
                          size_t *ret_count);
/* One datagram that IP may fragment (large IKE messages), or a train of them, one by one: here, as
 * far as the kernel knows the path's MTU, and IPv4's at the routers as well. Same errors; of a
 * train some may be gone. */
CHECKED enum err udp_send_fragmentable(struct udp_sender *s, const struct udp_message *m);
/* How often something was longer than its path's MTU as the kernel knows it. Any thread may ask. */
uint64_t udp_too_long(const struct udp_sender *s);

#endif
