/* One direction of an emulated link: frames go in, and come out later, or twice, or never.
 *
 * Pure: time is given in microseconds, and so is the seed. What happens to the n-th packet depends
 * on the seed, on n and on the shape alone, never on when it came or on how many were lost before.
 */
#ifndef TERN_TOOLS_LAB_QUEUE_H
#define TERN_TOOLS_LAB_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/span.h"
#include "tools/lab_link/lab_shape.h"

/* What one direction holds at most, whatever its shape asks for. */
enum { LAB_QUEUE_FRAMES_MAX = 65536, LAB_QUEUE_OCTETS_MAX = 32 << 20 };

#define LAB_QUEUE_NEVER UINT64_MAX

struct lab_frame {
    uint64_t due_us;
    uint64_t order; /* of arrival, where two are due at once */
    size_t len;
    bool neighbour; /* talk of the link itself */
    uint8_t data[];
};

/* packets + duplicated == delivered + lost + overflowed + blackholed + what is on its way; frames
 * of neighbour discovery are counted apart. */
struct lab_counters {
    uint64_t packets, octets;
    uint64_t delivered, lost, overflowed, blackholed;
    uint64_t duplicated, reordered;
    uint64_t neighbours;
};

struct lab_queue {
    struct lab_shape shape;
    bool blackhole; /* nothing passes; change it by lab_queue_blackhole() */
    uint64_t seed;
    struct lab_counters counters;
    struct lab_frame **heap; /* the first is due first */
    size_t count, cap;
    size_t octets;
    uint64_t idle_us; /* when the transmitter has sent all that it was given */
    uint64_t last_us; /* when the last frame that keeps its place is due */
    uint64_t order;
};

void lab_queue_init(struct lab_queue *q, uint64_t seed);
void lab_queue_clear(struct lab_queue *q);

/* Frames that are on their way stay as they are. */
void lab_queue_shape(struct lab_queue *q, const struct lab_shape *shape);

/* Frames that are on their way are lost with the rest. */
void lab_queue_blackhole(struct lab_queue *q, bool on);

/* Takes a copy, or drops it; the counters tell which. */
void lab_queue_push(struct lab_queue *q, uint64_t now_us, struct span frame);

/* When the next frame is due, or LAB_QUEUE_NEVER. */
uint64_t lab_queue_next_us(const struct lab_queue *q);

/* The next frame that is due, to be given to free(); NULL where there is none. */
struct lab_frame *lab_queue_pop(struct lab_queue *q, uint64_t now_us);

#endif
