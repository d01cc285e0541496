/* The runtime directory: one lock-and-state file and one control socket for each connection.
 *
 * NAME.state is locked for as long as the connection's process lives, so the kernel itself
 * says whether it runs; what is written in it says what a killed process left to undo. Written
 * before the system is changed, removed after it was restored. */
#ifndef TERN_CLIENT_RUNTIME_H
#define TERN_CLIENT_RUNTIME_H

#include "client/profile.h"
#include "platform/dns.h"
#include "platform/tun.h"

enum {
    RUNTIME_PATH_MAX = 256,
    RUNTIME_SOCKET_MAX = 108, /* sun_path */
    RUNTIME_NAMES_MAX = 64
};

struct runtime {
    char directory[RUNTIME_PATH_MAX];
    int fd; /* of the directory; -1: not open */
};

/* $TERN_RUNTIME_DIR, /run/tern for root, else $XDG_RUNTIME_DIR/tern. Must be ours, and not writable
 * by others. create: makes it (0700). Without create ERR_NOT_FOUND, quietly, where there is none.
 */
CHECKED enum err runtime_open(bool create, struct runtime *ret, struct fault *f);
void runtime_close(struct runtime *r);

/* What has been changed outside this process. */
struct runtime_state {
    long pid;
    char interface[TUN_NAME_MAX];
    uint32_t interface_index;
    uint32_t table; /* 0: no routes or rules */
    enum dns_backend dns;
};

struct runtime_lock {
    int fd; /* -1: not held */
    char name[PROFILE_NAME_MAX];
};

/* ERR_STATE: another process runs this connection. *ret_stale: what a dead one left (pid 0:
 * nothing). */
CHECKED enum err runtime_lock(const struct runtime *r, const char *name, struct runtime_lock *ret,
                              struct runtime_state *ret_stale, struct fault *f);
/* Replaces what the file says; on the disk before it returns. */
CHECKED enum err runtime_write(struct runtime_lock *l, const struct runtime_state *s,
                               struct fault *f);
/* Forget: the file is removed and the lock let go. */
void runtime_unlock(const struct runtime *r, struct runtime_lock *l);
/* Let go in a process that handed the lock to its child. */
void runtime_lock_forget(struct runtime_lock *l);

/* Is the connection's process alive? */
bool runtime_running(const struct runtime *r, const char *name);
/* Undo what a killed process left. */
CHECKED enum err runtime_clean(const struct runtime_state *stale, struct fault *f);
/* The same for one connection, or for all; how many were left (a fault: of the last that could not
 * be undone). */
CHECKED enum err runtime_clean_killed(const struct runtime *r, const char *name, size_t *ret_count,
                                      struct fault *f);
CHECKED enum err runtime_clean_all_killed(const struct runtime *r, size_t *ret_count,
                                          struct fault *f);

/* The connections that run, in the directory's order; returns how many. */
size_t runtime_names(const struct runtime *r, char names[][PROFILE_NAME_MAX], size_t max);

CHECKED enum err runtime_socket_path(const struct runtime *r, const char *name,
                                     char out[RUNTIME_SOCKET_MAX], struct fault *f);
/* What a killed process left of its socket. */
void runtime_remove_socket(const struct runtime *r, const char *name);

#endif
