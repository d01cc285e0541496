/* The anti-replay window as a ring of bits, after the idea of RFC 6479: bit n of the ring stands
 * for every sequence number that is n modulo its size, and moving the top forward clears the words
 * it passes into. Invariant: words that hold numbers above top are zero there. esp.c decides when
 * to ask and when to mark. */
#include "common/esp/replay.h"

#include <string.h>

static uint64_t *word_of(struct replay_window *w, uint64_t sequence)
{
    return &w->seen[sequence / REPLAY_WORD_BITS % REPLAY_WORDS];
}

static uint64_t bit_of(uint64_t sequence)
{
    return (uint64_t)1 << sequence % REPLAY_WORD_BITS;
}

void replay_init(struct replay_window *w, uint64_t top)
{
    memset(w, 0, sizeof(*w));
    w->top = top;
}

/* The low half names one number in each run of 2^32, so in the run that starts at the window's
 * lower edge there is exactly one candidate. RFC 4303 A2.2 writes this as two cases; at the
 * beginning, where its second case would reach below zero, the run starts at 1. At the very end the
 * addition wraps to a small number, which replay_is_fresh refuses as too old. */
uint64_t replay_extend(const struct replay_window *w, uint32_t low)
{
    uint64_t bottom = w->top < ESP_REPLAY_WINDOW ? 1 : w->top - ESP_REPLAY_WINDOW + 1;
    return bottom + (uint32_t)(low - (uint32_t)bottom);
}

bool replay_is_fresh(const struct replay_window *w, uint64_t sequence)
{
    if (sequence == 0)
        return false;
    if (sequence > w->top)
        return true;
    if (w->top - sequence >= ESP_REPLAY_WINDOW)
        return false;
    return (w->seen[sequence / REPLAY_WORD_BITS % REPLAY_WORDS] & bit_of(sequence)) == 0;
}

void replay_mark(struct replay_window *w, uint64_t sequence)
{
    if (sequence > w->top) {
        uint64_t passed = sequence / REPLAY_WORD_BITS - w->top / REPLAY_WORD_BITS;
        if (passed >= REPLAY_WORDS) {
            memset(w->seen, 0, sizeof(w->seen));
        } else {
            for (uint64_t i = 0; i < passed; i++)
                *word_of(w, sequence - i * REPLAY_WORD_BITS) = 0;
        }
        w->top = sequence;
    }
    *word_of(w, sequence) |= bit_of(sequence);
}
