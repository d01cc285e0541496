/* The embedded gateway: a fair IKEv2 peer for the demo, the simulator and the tests, on the same
 * core as the client. */
#ifndef TERN_TOOLS_GATEWAY_GATEWAY_H
#define TERN_TOOLS_GATEWAY_GATEWAY_H

#include "tools/gateway/config.h"

struct gateway;

/* TUN and sockets; what arrives from now on waits in them. *c is borrowed for the gateway's life.
 * The fault says what the system refused. */
CHECKED enum err gateway_open(const struct gateway_config *c, struct gateway **ret,
                              struct fault *f);
void gateway_close(struct gateway *g); /* NULL is fine */

/* Serves until SIGTERM or SIGINT, deletes the SAs at the clients, returns. SIGUSR1 prints the
 * sessions to stdout, a line of JSON each, then one of totals. Makes its event loop itself, so that
 * a program may fork before it. ERR_SYSTEM where the TUN was taken away. */
CHECKED enum err gateway_run(struct gateway *g, struct fault *f);

#endif
