/* Nothing is freed under a reader, and nothing is kept for ever: by hand, and with threads. */
#include "common/base/epoch.h"

#include <pthread.h>
#include <stdlib.h>

#include "tests/support/support.h"

enum { TURNS = 20000, ALIVE = 0x11fe };

struct object {
    struct epoch_retired retired;
    unsigned alive;
    unsigned number;
};

static struct epoch epoch;
static _Atomic(struct object *) current;
static unsigned freed; /* the writer's */

static void release(struct epoch_retired *r)
{
    struct object *o = (struct object *)r;
    o->alive = 0;
    freed++;
    free(o);
}

static struct object *make(unsigned number)
{
    struct object *o = malloc(sizeof(*o));
    ck_assert_ptr_nonnull(o);
    *o = (struct object){.retired.release = release, .alive = ALIVE, .number = number};
    return o;
}

static void publish(struct object *o)
{
    struct object *old = atomic_exchange(&current, o);
    if (old != NULL)
        epoch_retire(&epoch, &old->retired);
}

START_TEST(freed_at_once_where_nobody_is_inside)
{
    publish(make(0));
    publish(make(1));
    ck_assert_uint_eq(freed, 1);
    epoch_enter(&epoch, 0);
    epoch_leave(&epoch, 0);
    publish(NULL);
    ck_assert_uint_eq(freed, 2);
    ck_assert(epoch_collect(&epoch));
}
END_TEST

START_TEST(kept_while_a_reader_is_inside)
{
    for (size_t me = 0; me < EPOCH_READERS; me++) {
        freed = 0;
        publish(make(0));
        epoch_enter(&epoch, me);
        struct object *held = atomic_load(&current);
        publish(make(1));
        publish(make(2));
        ck_assert(!epoch_collect(&epoch));
        ck_assert_uint_eq(held->alive, ALIVE);
        ck_assert_uint_eq(freed, 0);
        epoch_leave(&epoch, me);
        ck_assert_uint_eq(freed, 0);
        ck_assert(epoch_collect(&epoch));
        ck_assert_uint_eq(freed, 2);
        publish(NULL);
    }
}
END_TEST

/* A reader that is never found outside does not keep what it cannot hold. */
START_TEST(inside_again_is_not_inside_still)
{
    publish(make(0));
    epoch_enter(&epoch, 0);
    publish(make(1));
    epoch_leave(&epoch, 0);
    epoch_enter(&epoch, 0);
    struct object *held = atomic_load(&current);
    publish(make(2));
    ck_assert(!epoch_collect(&epoch));
    ck_assert_uint_eq(freed, 1);
    ck_assert_uint_eq(held->number, 1);
    ck_assert_uint_eq(held->alive, ALIVE);
    epoch_leave(&epoch, 0);
    ck_assert(epoch_collect(&epoch));
    ck_assert_uint_eq(freed, 2);
    publish(NULL);
}
END_TEST

START_TEST(whoever_was_inside_has_left)
{
    struct epoch_mark m = epoch_mark(&epoch);
    ck_assert(epoch_left(&epoch, &m));
    epoch_enter(&epoch, 0);
    ck_assert(epoch_left(&epoch, &m)); /* came later */
    m = epoch_mark(&epoch);
    epoch_enter(&epoch, 1);
    ck_assert(!epoch_left(&epoch, &m));
    epoch_leave(&epoch, 0);
    ck_assert(epoch_left(&epoch, &m));
    m = epoch_mark(&epoch);
    ck_assert(!epoch_left(&epoch, &m));
    epoch_leave(&epoch, 1);
    ck_assert(epoch_left(&epoch, &m));
}
END_TEST

struct reader {
    size_t me;
    bool wrong;
    pthread_t thread;
};

static void *read_until_the_last(void *arg)
{
    struct reader *r = arg;
    unsigned seen = 0;
    while (seen < TURNS) {
        epoch_enter(&epoch, r->me);
        const struct object *o = atomic_load(&current);
        r->wrong |= o->alive != ALIVE || o->number < seen; /* never an older one */
        seen = o->number;
        epoch_leave(&epoch, r->me);
    }
    return NULL;
}

START_TEST(readers_and_a_writer)
{
    struct reader readers[EPOCH_READERS] = {{.me = 0}, {.me = 1}};
    publish(make(0));
    for (size_t i = 0; i < EPOCH_READERS; i++)
        ck_assert_int_eq(pthread_create(&readers[i].thread, NULL, read_until_the_last, &readers[i]),
                         0);
    for (unsigned i = 1; i <= TURNS; i++)
        publish(make(i));
    for (size_t i = 0; i < EPOCH_READERS; i++) {
        ck_assert_int_eq(pthread_join(readers[i].thread, NULL), 0);
        ck_assert(!readers[i].wrong);
    }
    ck_assert(epoch_collect(&epoch));
    ck_assert_uint_eq(freed, TURNS);
    publish(NULL);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("base epoch");
    TCase *t = tcase_create("epoch");
    tcase_add_test(t, freed_at_once_where_nobody_is_inside);
    tcase_add_test(t, kept_while_a_reader_is_inside);
    tcase_add_test(t, inside_again_is_not_inside_still);
    tcase_add_test(t, whoever_was_inside_has_left);
    tcase_add_test(t, readers_and_a_writer);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
