/* One direction of an emulated link (lab_queue.h).
 *
 * A frame first waits for the transmitter, which sends `rate_bps` and has room for `queue_len`
 * octets, then travels for the delay and the jitter. Jitter never makes two frames change places,
 * as on a radio link; what is drawn for reordering travels half as long again and is overtaken.
 *
 * ARP, IPv6 neighbour discovery and multicasts of link scope are exempt from all but a black hole:
 * the delay stands for the whole path, while the router that answers them is in the next room. Nor
 * do they count as packets, since the kernel sends some of them when it likes.
 *
 * Invariants: the heap is ordered by (due_us, order); `octets` is the sum of its frames' lengths;
 * both are bounded. */
#include "tools/lab_link/lab_queue.h"

#include <stdlib.h>
#include <string.h>

enum {
    ETHERNET_LEN = 14,
    IPV6_LEN = 40,
    ETHERTYPE_ARP = 0x0806,
    ETHERTYPE_IP6 = 0x86dd,
    ICMPV6 = 58,
    ND_FIRST = 133, /* router solicitation ... redirect (RFC 4861 4) */
    ND_LAST = 137,
    LINK_SCOPE = 2,    /* RFC 4291 2.7 */
    REORDER_US = 5000, /* an overtaken frame comes at least that much later */
    MILLION = 1000000
};

/* What is decided about a packet before anything is known of it but its number. */
struct fate {
    bool lost, duplicated, reordered;
    uint32_t jitter_us;
};

/* splitmix64 */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static struct fate fate_of(const struct lab_queue *q, uint64_t number)
{
    uint64_t state = q->seed;
    state = draw(&state) ^ number;
    /* Always four draws, so that one parameter does not shift what another decides. */
    uint64_t loss = draw(&state) % MILLION, duplicate = draw(&state) % MILLION;
    uint64_t reorder = draw(&state) % MILLION, jitter = draw(&state);
    return (struct fate){
        .lost = loss < q->shape.loss_ppm,
        .duplicated = duplicate < q->shape.duplicate_ppm,
        .reordered = reorder < q->shape.reorder_ppm,
        .jitter_us = (uint32_t)(jitter % ((uint64_t)q->shape.jitter_us + 1)),
    };
}

static bool is_neighbour(struct span frame)
{
    if (frame.len < ETHERNET_LEN)
        return false;
    int type = frame.data[12] << 8 | frame.data[13];
    if (type == ETHERTYPE_ARP)
        return true;
    if (type != ETHERTYPE_IP6 || frame.len <= ETHERNET_LEN + IPV6_LEN)
        return false;
    const uint8_t *header = frame.data + ETHERNET_LEN, *to = header + 24;
    if (to[0] == 0xff && (to[1] & 0xf) == LINK_SCOPE)
        return true;
    return header[6] == ICMPV6 && header[IPV6_LEN] >= ND_FIRST && header[IPV6_LEN] <= ND_LAST;
}

void lab_queue_init(struct lab_queue *q, uint64_t seed)
{
    *q = (struct lab_queue){.seed = seed, .shape = LAB_SHAPE_DEFAULT};
}

void lab_queue_clear(struct lab_queue *q)
{
    for (size_t i = 0; i < q->count; i++)
        free(q->heap[i]);
    free(q->heap);
    q->heap = NULL;
    q->count = q->cap = q->octets = 0;
}

void lab_queue_shape(struct lab_queue *q, const struct lab_shape *shape)
{
    q->shape = *shape;
    /* Nothing waits behind what an earlier, longer delay still holds. */
    q->idle_us = q->last_us = 0;
}

void lab_queue_blackhole(struct lab_queue *q, bool on)
{
    q->blackhole = on;
    if (on) {
        for (size_t i = 0; i < q->count; i++)
            q->counters.blackholed += !q->heap[i]->neighbour;
        lab_queue_clear(q);
        q->idle_us = q->last_us = 0;
    }
}

static bool before(const struct lab_frame *a, const struct lab_frame *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static bool make_room(struct lab_queue *q, size_t len)
{
    if (q->count >= LAB_QUEUE_FRAMES_MAX || q->octets + len > LAB_QUEUE_OCTETS_MAX)
        return false;
    if (q->count < q->cap)
        return true;
    size_t cap = q->cap ? 2 * q->cap : 64;
    struct lab_frame **heap = realloc(q->heap, cap * sizeof(struct lab_frame *));
    if (!heap)
        return false;
    q->heap = heap;
    q->cap = cap;
    return true;
}

/* False where there is no room. */
static bool insert(struct lab_queue *q, uint64_t due_us, struct span frame, bool neighbour)
{
    struct lab_frame *f;
    if (!make_room(q, frame.len) || !(f = malloc(sizeof(*f) + frame.len)))
        return false;
    f->due_us = due_us;
    f->order = q->order++;
    f->len = frame.len;
    f->neighbour = neighbour;
    if (frame.len > 0)
        memcpy(f->data, frame.data, frame.len);
    size_t at = q->count++;
    for (; at > 0 && before(f, q->heap[(at - 1) / 2]); at = (at - 1) / 2)
        q->heap[at] = q->heap[(at - 1) / 2];
    q->heap[at] = f;
    q->octets += frame.len;
    return true;
}

/* When the transmitter has sent the frame; LAB_QUEUE_NEVER where it finds no place to wait. */
static uint64_t transmit(struct lab_queue *q, uint64_t now_us, size_t len)
{
    uint64_t rate = q->shape.rate_bps;
    if (rate == 0)
        return now_us;
    uint64_t start = q->idle_us > now_us ? q->idle_us : now_us;
    /* A bounded product: nothing waits for longer than its queue takes to drain. */
    if (start > now_us && (start - now_us) > (uint64_t)q->shape.queue_len * 8 * MILLION / rate)
        return LAB_QUEUE_NEVER;
    q->idle_us = start + ((uint64_t)len * 8 * MILLION + rate - 1) / rate;
    return q->idle_us;
}

static uint64_t arrival(struct lab_queue *q, uint64_t sent_us, const struct fate *fate)
{
    uint64_t due = sent_us + q->shape.delay_us + fate->jitter_us;
    if (fate->reordered) {
        uint64_t more = q->shape.delay_us / 2;
        q->counters.reordered++;
        return due + (more > REORDER_US ? more : REORDER_US);
    }
    if (due < q->last_us)
        due = q->last_us;
    q->last_us = due;
    return due;
}

void lab_queue_push(struct lab_queue *q, uint64_t now_us, struct span frame)
{
    if (is_neighbour(frame)) {
        q->counters.neighbours++;
        if (!q->blackhole)
            (void)insert(q, now_us, frame, true);
        return;
    }
    struct fate fate = fate_of(q, q->counters.packets++);
    q->counters.octets += frame.len;
    if (q->blackhole) {
        q->counters.blackholed++;
        return;
    }
    if (fate.lost) {
        q->counters.lost++;
        return;
    }
    uint64_t sent_us = transmit(q, now_us, frame.len);
    if (sent_us == LAB_QUEUE_NEVER) {
        q->counters.overflowed++;
        return;
    }
    uint64_t due_us = arrival(q, sent_us, &fate);
    if (!insert(q, due_us, frame, false))
        q->counters.overflowed++;
    if (fate.duplicated) {
        q->counters.duplicated++;
        if (!insert(q, due_us, frame, false))
            q->counters.overflowed++;
    }
}

uint64_t lab_queue_next_us(const struct lab_queue *q)
{
    return q->count > 0 ? q->heap[0]->due_us : LAB_QUEUE_NEVER;
}

struct lab_frame *lab_queue_pop(struct lab_queue *q, uint64_t now_us)
{
    if (q->count == 0 || q->heap[0]->due_us > now_us)
        return NULL;
    struct lab_frame *first = q->heap[0], *last = q->heap[--q->count];
    size_t at = 0;
    for (size_t child = 1; child < q->count; child = 2 * at + 1) {
        if (child + 1 < q->count && before(q->heap[child + 1], q->heap[child]))
            child++;
        if (!before(q->heap[child], last))
            break;
        q->heap[at] = q->heap[child];
        at = child;
    }
    if (q->count > 0)
        q->heap[at] = last;
    q->octets -= first->len;
    q->counters.delivered += !first->neighbour;
    return first;
}
