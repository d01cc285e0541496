/* Objects that some threads read while another replaces them, without locks: a writer publishes a
 * new object by an atomic pointer, and what it replaced is freed once every reader that may still
 * hold it has left. Readers never wait; a writer may, for as long as a reader stays inside.
 *
 *     reader                                        writer
 *         epoch_enter(&e, me);                          atomic_store(&current, made_anew);
 *         o = atomic_load(&current);                    epoch_retire(&e, &old->retired);
 *         ... o is not freed here ...                   ... and later, now and then:
 *         epoch_leave(&e, me);                          epoch_collect(&e);
 *
 * Both accesses to the pointer are sequentially consistent (the default of stdatomic.h). One
 * writer; each reader is one thread, or several that take turns. Where all is one thread, nobody is
 * inside while it writes, and what is retired is freed at once. */
#ifndef TERN_BASE_EPOCH_H
#define TERN_BASE_EPOCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EPOCH_READERS = 2, EPOCH_LINE = 64 };

/* Each on a cache line of its own: readers do not slow one another down. */
struct epoch_reader {
    atomic_size_t turns; /* odd: inside */
    uint8_t line[EPOCH_LINE - sizeof(atomic_size_t)];
};

/* Who was inside at a moment. */
struct epoch_mark {
    size_t turns[EPOCH_READERS];
};

/* A part of each object that is to be retired. */
struct epoch_retired {
    struct epoch_retired *next;
    struct epoch_mark mark;
    void (*release)(struct epoch_retired *r); /* frees the object */
};

/* All zero: nobody is inside, nothing is retired. */
struct epoch {
    struct epoch_reader readers[EPOCH_READERS];
    struct epoch_retired *retired; /* the writer's own */
};

/* Reader `me`, below EPOCH_READERS. Not nested. */
void epoch_enter(struct epoch *e, size_t me);
void epoch_leave(struct epoch *e, size_t me);

/* The writer's. What is not reachable any more, its release set: freed here, or by a later call. */
void epoch_retire(struct epoch *e, struct epoch_retired *r);
/* Frees what can be freed; true where nothing is left to free. */
bool epoch_collect(struct epoch *e);

/* For who cannot leave it to a later call. Have all left that were inside then? (Who came after
 * that has seen what was published before.) */
struct epoch_mark epoch_mark(const struct epoch *e);
bool epoch_left(const struct epoch *e, const struct epoch_mark *m);

#endif
