/* Why sequentially consistent: a reader writes its count and then reads the pointer, the writer
 * writes the pointer and then reads the count. In one order of all four, either the writer sees the
 * reader inside, or the reader sees the new pointer. With acquire and release alone each could miss
 * the other, and an object be freed that a reader has just found.
 *
 * A count that has changed since it was odd is that of a reader that has left, and what it did
 * inside comes before (its stores release, and the writer's load acquires): it may be inside again,
 * but then with what was published in the meantime.
 *
 * Leaving is so ordered as well, for those who wait: they say that they wait and then look at the
 * count, while who leaves writes the count and then looks whether somebody waits. */
#include "common/base/epoch.h"

void epoch_enter(struct epoch *e, size_t me)
{
    atomic_size_t *turns = &e->readers[me].turns;
    atomic_store(turns, atomic_load_explicit(turns, memory_order_relaxed) + 1);
}

void epoch_leave(struct epoch *e, size_t me)
{
    epoch_enter(e, me); /* even again */
}

struct epoch_mark epoch_mark(const struct epoch *e)
{
    struct epoch_mark m;
    for (size_t i = 0; i < EPOCH_READERS; i++)
        m.turns[i] = atomic_load(&e->readers[i].turns);
    return m;
}

bool epoch_left(const struct epoch *e, const struct epoch_mark *m)
{
    for (size_t i = 0; i < EPOCH_READERS; i++) {
        if (m->turns[i] % 2 != 0 && atomic_load(&e->readers[i].turns) == m->turns[i])
            return false;
    }
    return true;
}

bool epoch_collect(struct epoch *e)
{
    struct epoch_retired **at = &e->retired;
    while (*at != NULL) {
        struct epoch_retired *r = *at;
        if (epoch_left(e, &r->mark)) {
            *at = r->next;
            r->release(r);
        } else {
            at = &r->next;
        }
    }
    return e->retired == NULL;
}

void epoch_retire(struct epoch *e, struct epoch_retired *r)
{
    r->mark = epoch_mark(e);
    r->next = e->retired;
    e->retired = r;
    (void)epoch_collect(e);
}
