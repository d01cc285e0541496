/* What the process may do, asked before anything is changed. */
#ifndef TERN_PLATFORM_PRIVILEGES_H
#define TERN_PLATFORM_PRIVILEGES_H

#include "common/base/err.h"

/* ERR_REFUSED where /dev/net/tun cannot be opened or CAP_NET_ADMIN is missing, with the exact line
 * that mends it in the hint. */
CHECKED enum err privileges_check(struct fault *f);

/* Nobody else may read, trace or dump us: core dumps off, PR_SET_DUMPABLE 0. */
void privileges_protect_memory(void);

/* For good: no capability but those to read files of others, and none to be had by execve. For a
 * program that runs code which is not ours. */
void privileges_keep_file_access(void);

/* No program that we start gets a descriptor that we have now, ours or of whoever started us, but
 * for the standard three. */
void privileges_keep_descriptors(void);

/* A secret file: regular, readable, owned by us or root, no access for group and others.
 * ERR_REFUSED with the fault (mode seen, chmod line as hint), ERR_NOT_FOUND, ERR_SYSTEM. */
CHECKED enum err privileges_check_secret_file(const char *path, struct fault *f);

#endif
