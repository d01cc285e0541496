/* The anti-replay window of one inbound SA (RFC 4303 3.4.3), over 64-bit sequence numbers. */
#ifndef TERN_ESP_REPLAY_H
#define TERN_ESP_REPLAY_H

#include "common/esp/esp.h"

/* One word beyond the window, so that moving forward clears whole words only (RFC 6479). */
enum { REPLAY_WORD_BITS = 64, REPLAY_WORDS = ESP_REPLAY_WINDOW / REPLAY_WORD_BITS + 1 };

struct replay_window {
    uint64_t top; /* the highest authenticated sequence number; 0 before the first */
    uint64_t seen[REPLAY_WORDS];
};

void replay_init(struct replay_window *w, uint64_t top);
/* The full number of a packet of which only the low half was sent (RFC 4303 A2.2): the one not
 * older than the window that is nearest to it. */
uint64_t replay_extend(const struct replay_window *w, uint32_t low);
/* Neither too old nor seen. Number 0 is never sent. */
bool replay_is_fresh(const struct replay_window *w, uint64_t sequence);
/* Only for a fresh number whose packet has been authenticated. */
void replay_mark(struct replay_window *w, uint64_t sequence);

#endif
