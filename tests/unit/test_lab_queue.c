/* The emulated link's queue on given times: what is delayed, lost, doubled, overtaken and bounded.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"
#include "tools/lab_link/lab_queue.h"

enum { LEN = 100, MS = 1000 };

/* An IPv4 frame of len octets that carries a number. */
static void push(struct lab_queue *q, uint64_t now_us, uint32_t number, size_t len)
{
    uint8_t *frame = calloc(1, len);
    ck_assert_ptr_nonnull(frame);
    frame[12] = 0x08;
    memcpy(frame + 14, &number, sizeof(number));
    lab_queue_push(q, now_us, span_make(frame, len));
    free(frame);
}

/* The number of the next frame that is due; -1: none. */
static int64_t pop(struct lab_queue *q, uint64_t now_us)
{
    struct lab_frame *f = lab_queue_pop(q, now_us);
    if (!f)
        return -1;
    uint32_t number;
    memcpy(&number, f->data + 14, sizeof(number));
    free(f);
    return number;
}

static void assert_balanced(const struct lab_queue *q)
{
    const struct lab_counters *c = &q->counters;
    ck_assert_uint_eq(c->packets + c->duplicated,
                      c->delivered + c->lost + c->overflowed + c->blackholed + q->count);
}

START_TEST(a_cable_is_at_once_and_in_order)
{
    struct lab_queue q;
    lab_queue_init(&q, 1);
    ck_assert_uint_eq(lab_queue_next_us(&q), LAB_QUEUE_NEVER);
    for (uint32_t i = 0; i < 1000; i++)
        push(&q, 5, i, LEN);
    ck_assert_uint_eq(lab_queue_next_us(&q), 5);
    for (uint32_t i = 0; i < 1000; i++)
        ck_assert_int_eq(pop(&q, 5), i);
    ck_assert_int_eq(pop(&q, 5), -1);
    ck_assert_uint_eq(q.octets, 0);
    assert_balanced(&q);
    lab_queue_clear(&q);
}
END_TEST

START_TEST(a_delay_is_exact)
{
    struct lab_queue q;
    lab_queue_init(&q, 1);
    struct lab_shape shape = {.delay_us = 25 * MS};
    lab_queue_shape(&q, &shape);
    push(&q, 1000, 7, LEN);
    push(&q, 1001, 8, LEN);
    ck_assert_uint_eq(lab_queue_next_us(&q), 1000 + 25 * MS);
    ck_assert_int_eq(pop(&q, 1000 + 25 * MS - 1), -1);
    ck_assert_int_eq(pop(&q, 1000 + 25 * MS), 7);
    ck_assert_int_eq(pop(&q, 1000 + 25 * MS), -1);
    ck_assert_int_eq(pop(&q, 1001 + 25 * MS), 8);
    lab_queue_clear(&q);
}
END_TEST

/* Jitter spreads the delay, within its bounds, and lets nothing overtake. */
START_TEST(jitter_keeps_the_order)
{
    struct lab_queue q;
    lab_queue_init(&q, 3);
    struct lab_shape shape = {.delay_us = 10 * MS, .jitter_us = 5 * MS};
    lab_queue_shape(&q, &shape);
    uint64_t least = UINT64_MAX, most = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        uint64_t now = (uint64_t)i * 100 * MS;
        push(&q, now, i, LEN);
        uint64_t took = lab_queue_next_us(&q) - now;
        least = took < least ? took : least;
        most = took > most ? took : most;
        ck_assert_int_eq(pop(&q, now + 15 * MS), i);
    }
    ck_assert(least >= 10 * MS && least < 11 * MS);
    ck_assert(most <= 15 * MS && most > 14 * MS);
    for (uint32_t i = 0; i < 1000; i++)
        push(&q, 200000 * MS + i, i, LEN);
    for (uint32_t i = 0; i < 1000; i++)
        ck_assert_int_eq(pop(&q, 300000 * MS), i);
    lab_queue_clear(&q);
}
END_TEST

/* Which of a thousand packets arrive, as often as they do. */
static void run_lossy(uint64_t seed, uint64_t pace_us, uint32_t jitter_us, uint8_t arrived[1000])
{
    struct lab_queue q;
    lab_queue_init(&q, seed);
    struct lab_shape shape = {.jitter_us = jitter_us, .loss_ppm = 100000, .duplicate_ppm = 50000};
    lab_queue_shape(&q, &shape);
    memset(arrived, 0, 1000);
    for (uint32_t i = 0; i < 1000; i++)
        push(&q, i * pace_us, i, LEN);
    for (int64_t number; (number = pop(&q, LAB_QUEUE_NEVER - 1)) >= 0;)
        arrived[number]++;
    assert_balanced(&q);
    /* 10 % and 5 %, four standard deviations either way */
    ck_assert(q.counters.lost > 62 && q.counters.lost < 138);
    ck_assert(q.counters.duplicated > 17 && q.counters.duplicated < 73);
    ck_assert_uint_eq(q.counters.delivered, 1000 - q.counters.lost + q.counters.duplicated);
    lab_queue_clear(&q);
}

START_TEST(the_seed_decides_by_number_and_not_by_time)
{
    uint8_t a[1000], b[1000], c[1000];
    run_lossy(42, 0, 0, a);
    run_lossy(42, 3333, 900, b);
    run_lossy(43, 0, 0, c);
    ck_assert_mem_eq(a, b, sizeof(a));
    ck_assert_mem_ne(a, c, sizeof(a));
}
END_TEST

/* Everything arrives, some of it after what was sent later, and all else in order. */
START_TEST(what_is_reordered_is_overtaken)
{
    struct lab_queue q;
    lab_queue_init(&q, 5);
    struct lab_shape shape = {.delay_us = 20 * MS, .reorder_ppm = 20000};
    lab_queue_shape(&q, &shape);
    for (uint32_t i = 0; i < 1000; i++)
        push(&q, i * (uint64_t)MS, i, LEN);
    int64_t number, high = -1;
    size_t seen = 0, overtaken = 0;
    for (; (number = pop(&q, LAB_QUEUE_NEVER - 1)) >= 0; seen++) {
        overtaken += number < high;
        high = number > high ? number : high;
    }
    ck_assert_uint_eq(seen, 1000);
    ck_assert_uint_gt(q.counters.reordered, 0);
    /* but those at the very end, which nothing follows */
    ck_assert(overtaken <= q.counters.reordered && overtaken + 3 >= q.counters.reordered);
    lab_queue_clear(&q);
}
END_TEST

START_TEST(a_rate_serializes)
{
    struct lab_queue q;
    lab_queue_init(&q, 1);
    struct lab_shape shape = {.rate_bps = 8000000, .queue_len = 10000};
    lab_queue_shape(&q, &shape);
    for (uint32_t i = 0; i < 5; i++)
        push(&q, 0, i, 1000);
    for (uint32_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(lab_queue_next_us(&q), (i + 1) * 1000);
        ck_assert_int_eq(pop(&q, (i + 1) * 1000), i);
    }
    push(&q, 100 * MS, 9, 1000); /* a pause is not saved up */
    ck_assert_uint_eq(lab_queue_next_us(&q), 101 * MS);
    lab_queue_clear(&q);
}
END_TEST

START_TEST(the_queue_before_a_rate_is_bounded)
{
    struct lab_queue q;
    lab_queue_init(&q, 1);
    struct lab_shape shape = {.delay_us = 60000 * MS, .rate_bps = 8000000, .queue_len = 10000};
    lab_queue_shape(&q, &shape);
    for (uint32_t i = 0; i < 100; i++)
        push(&q, 0, i, 1000);
    /* ten wait, and one is with the transmitter */
    ck_assert_uint_eq(q.count, 11);
    ck_assert_uint_eq(q.counters.overflowed, 89);
    push(&q, 3 * MS, 100, 1000); /* three have left it */
    ck_assert_uint_eq(q.count, 12);
    assert_balanced(&q);
    lab_queue_clear(&q);
}
END_TEST

START_TEST(what_a_link_holds_is_bounded)
{
    struct lab_queue q;
    lab_queue_init(&q, 1);
    struct lab_shape shape = {.delay_us = 60000 * MS, .duplicate_ppm = 1000000};
    lab_queue_shape(&q, &shape);
    for (uint32_t i = 0; i < LAB_QUEUE_FRAMES_MAX; i++)
        push(&q, i, i, 18);
    ck_assert_uint_eq(q.count, LAB_QUEUE_FRAMES_MAX);
    assert_balanced(&q);
    lab_queue_clear(&q);
    ck_assert_uint_eq(q.count, 0);
    lab_queue_init(&q, 1);
    lab_queue_shape(&q, &shape);
    for (uint32_t i = 0; i < 600; i++)
        push(&q, i, i, 65535);
    ck_assert_uint_le(q.octets, LAB_QUEUE_OCTETS_MAX);
    ck_assert_uint_gt(q.counters.overflowed, 0);
    assert_balanced(&q);
    lab_queue_clear(&q);
}
END_TEST

/* Nothing passes, nothing that was on its way arrives, and the numbers go on: the same packets are
 * lost afterwards as without it. */
START_TEST(a_black_hole_swallows)
{
    struct lab_queue q;
    lab_queue_init(&q, 1);
    struct lab_shape shape = {.delay_us = 25 * MS};
    lab_queue_shape(&q, &shape);
    push(&q, 0, 0, LEN);
    lab_queue_blackhole(&q, true);
    push(&q, 1, 1, LEN);
    ck_assert_int_eq(pop(&q, 1000 * MS), -1);
    ck_assert_uint_eq(lab_queue_next_us(&q), LAB_QUEUE_NEVER);
    lab_queue_blackhole(&q, false);
    push(&q, 1000 * MS, 2, LEN);
    ck_assert_int_eq(pop(&q, 1025 * MS), 2);
    ck_assert_uint_eq(q.counters.packets, 3);
    ck_assert_uint_eq(q.counters.blackholed, 2);
    assert_balanced(&q);
    lab_queue_clear(&q);
}
END_TEST

/* A shorter delay is a shorter way: what is sent on it need not wait for what went the long one. */
START_TEST(a_new_shape_is_for_new_frames)
{
    struct lab_queue q;
    lab_queue_init(&q, 1);
    struct lab_shape shape = {.delay_us = 50 * MS};
    lab_queue_shape(&q, &shape);
    push(&q, 0, 0, LEN);
    shape.delay_us = 10 * MS;
    lab_queue_shape(&q, &shape);
    push(&q, 0, 1, LEN);
    ck_assert_int_eq(pop(&q, 10 * MS), 1);
    ck_assert_int_eq(pop(&q, 49 * MS), -1);
    ck_assert_int_eq(pop(&q, 50 * MS), 0);
    lab_queue_clear(&q);
}
END_TEST

/* ARP and neighbour discovery, of which nothing is lost but in a black hole; and what is neither.
 */
START_TEST(neighbours_are_asked_at_once)
{
    struct lab_queue q;
    lab_queue_init(&q, 1);
    struct lab_shape shape = {.delay_us = 25 * MS, .loss_ppm = 1000000};
    lab_queue_shape(&q, &shape);
    uint8_t arp[42] = {[12] = 0x08, [13] = 0x06};
    uint8_t nd[86] = {[12] = 0x86, [13] = 0xdd, [14 + 6] = 58, [54] = 135};
    lab_queue_push(&q, 5, span_make(arp, sizeof(arp)));
    lab_queue_push(&q, 5, span_make(nd, sizeof(nd)));
    for (int i = 0; i < 2; i++) {
        struct lab_frame *f = lab_queue_pop(&q, 5);
        ck_assert_ptr_nonnull(f);
        ck_assert_uint_eq(f->len, i == 0 ? sizeof(arp) : sizeof(nd));
        free(f);
    }
    ck_assert_uint_eq(q.counters.neighbours, 2);
    ck_assert_uint_eq(q.counters.packets, 0);
    nd[54] = 128; /* an echo request, but to all on the link */
    nd[38] = 0xff;
    nd[39] = 0x02;
    lab_queue_push(&q, 5, span_make(nd, sizeof(nd)));
    ck_assert_uint_eq(q.counters.neighbours, 3);
    nd[39] = 0x0e; /* to all the world */
    lab_queue_push(&q, 5, span_make(nd, sizeof(nd)));
    lab_queue_push(&q, 5, span_make(nd, 54)); /* nothing behind the header */
    lab_queue_push(&q, 5, span_make(arp, 13));
    ck_assert_uint_eq(q.counters.lost, 3);
    lab_queue_blackhole(&q, true);
    lab_queue_push(&q, 5, span_make(arp, sizeof(arp)));
    ck_assert_uint_eq(q.count, 0);
    lab_queue_clear(&q);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lab_queue");
    TCase *tests = tcase_create("lab_queue");
    tcase_add_test(tests, a_cable_is_at_once_and_in_order);
    tcase_add_test(tests, a_delay_is_exact);
    tcase_add_test(tests, jitter_keeps_the_order);
    tcase_add_test(tests, the_seed_decides_by_number_and_not_by_time);
    tcase_add_test(tests, what_is_reordered_is_overtaken);
    tcase_add_test(tests, a_rate_serializes);
    tcase_add_test(tests, the_queue_before_a_rate_is_bounded);
    tcase_add_test(tests, what_a_link_holds_is_bounded);
    tcase_add_test(tests, a_black_hole_swallows);
    tcase_add_test(tests, a_new_shape_is_for_new_frames);
    tcase_add_test(tests, neighbours_are_asked_at_once);
    suite_add_tcase(suite, tests);
    return support_run(suite);
}
