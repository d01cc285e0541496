/* A TUN interface: layer 3, no packet information header, and before each packet the vnet header
 * (common/packet/vnet.h), by which several packets go in one piece. Gone when closed (never
 * persistent). */
#ifndef TERN_PLATFORM_TUN_H
#define TERN_PLATFORM_TUN_H

#include "common/base/addr.h"
#include "common/base/err.h"
#include "common/base/span.h"

struct tun;

enum {
    TUN_NAME_MAX = 16,
    TUN_HEADER_LEN = 10,                    /* the vnet header */
    TUN_FRAME_MAX = TUN_HEADER_LEN + 65535, /* octets of one read or write */
    TUN_SPANS_MAX = 65                      /* of one write */
};

/* What the kernel gives in one piece, and takes so, segments of TCP and of UDP. */
struct tun_offload {
    bool tcp, udp;
};

/* name: exact, or NULL for the first free ternN. ERR_SYSTEM, with the exact line that mends missing
 * permission in the fault's hint; ERR_REFUSED where the name is taken or too long. The interface is
 * down, without addresses, and the descriptor non-blocking and close-on-exec. offload: as much of
 * it as this kernel has; false: none of it, one packet a read and a write. */
CHECKED enum err tun_open(const char *name, bool offload, struct tun **ret, struct fault *f);
void tun_close(struct tun *t); /* NULL is fine */

const char *tun_name(const struct tun *t);
uint32_t tun_index(const struct tun *t);
struct tun_offload tun_offload(const struct tun *t);
int tun_fd(const struct tun *t); /* for the loop to poll; owned by t */

CHECKED enum err tun_set_mtu(struct tun *t, uint16_t mtu, struct fault *f);
/* Of an interface that is up: packets to the address arrive when this returns. */
CHECKED enum err tun_add_address(struct tun *t, const struct prefix *address, struct fault *f);
CHECKED enum err tun_remove_address(struct tun *t, const struct prefix *address, struct fault *f);
/* Also keeps the kernel from giving it an IPv6 link-local address or sending router solicitations
 * through it. */
CHECKED enum err tun_up(struct tun *t, struct fault *f);

/* What others have made of it. */
struct tun_look {
    bool gone; /* or in another network namespace; then nothing else is known */
    bool down;
    bool renamed;           /* since it was opened or looked at: tun_name is the new one */
    bool address_lost;      /* one of those that were asked for is not there */
    char was[TUN_NAME_MAX]; /* its name before */
};
CHECKED enum err tun_look(struct tun *t, const struct prefix *addresses, size_t count,
                          struct tun_look *ret, struct fault *f);

/* A vnet header and a packet into buf, which has TUN_FRAME_MAX octets. ERR_AGAIN where there is
 * none; ERR_SYSTEM where the device is gone. */
CHECKED enum err tun_read(struct tun *t, uint8_t *buf, size_t cap, size_t *ret_len);
/* A vnet header and a packet, in pieces. ERR_AGAIN (queue full), ERR_REFUSED (the kernel does not
 * like this packet: drop it), ERR_UNSUPPORTED (it does not like packets in one piece, as some
 * kernels do not though they say they do: tun_offload() is nothing from now on, and this one is
 * lost), ERR_SYSTEM. */
CHECKED enum err tun_write(struct tun *t, const struct span *spans, size_t count);

#endif
