/* Keeps DNS as the tunnel needs it when systemd-resolved is restarted. */
#ifndef TERN_CLIENT_DNS_KEEPER_H
#define TERN_CLIENT_DNS_KEEPER_H

#include <uv.h>

#include "client/system.h"

struct dns_keeper;

/* NULL where there is nothing to keep, or nothing to keep it with (a line in the log). */
struct dns_keeper *dns_keeper_start(uv_loop_t *loop, struct system *system);
/* Before the system is undone; freed by the loop, which has to run on. NULL is fine. */
void dns_keeper_stop(struct dns_keeper *k);

#endif
