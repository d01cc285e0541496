/* A bounded queue of records from one thread to one other, without locks. What does not fit is
 * refused: the writer counts and drops, as a full socket buffer does.
 *
 * What has been put, and that there is nothing, are told in the one order of all sequentially
 * consistent operations: where the writer puts and then reads a flag, and the reader writes that
 * flag and then takes, one of the two sees what the other did. */
#ifndef TERN_BASE_RING_H
#define TERN_BASE_RING_H

#include <stdatomic.h>

#include "common/base/err.h"
#include "common/base/span.h"

enum { RING_LEN = 256 * 1024, RING_LINE = 64 };

/* All zero: empty. Pages that were never written are never backed. */
struct ring {
    atomic_size_t written; /* octets, ever: the writer's */
    uint8_t line[RING_LINE - sizeof(atomic_size_t)];
    atomic_size_t taken; /* octets, ever: the reader's */
    uint8_t line_too[RING_LINE - sizeof(atomic_size_t)];
    uint8_t bytes[RING_LEN];
};

/* The writer's: one record, of all the parts one behind the other. ERR_LIMIT where there is no room
 * for it now. */
CHECKED enum err ring_put(struct ring *r, const struct span *parts, size_t count);
/* The reader's: the oldest record into buf, of which it is as long as *ret_len. ERR_AGAIN where
 * there is none. A record longer than cap is our own mistake. */
CHECKED enum err ring_take(struct ring *r, uint8_t *buf, size_t cap, size_t *ret_len);

#endif
