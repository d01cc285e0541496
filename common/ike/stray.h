/* Messages outside any IKE SA, in the clear (RFC 7296 1.5, 2.21.4): what a stranger may be told,
 * and what a stranger's word is worth: a question, never a fact. Who sends them bounds their rate.
 */
#ifndef TERN_IKE_STRAY_H
#define TERN_IKE_STRAY_H

#include "common/ike/message.h"

enum { STRAY_MAX = 64 }; /* octets of either message */

/* The answer to a request whose SPIs are unknown: INVALID_IKE_SPI under its own header. False where
 * `h` is none that may be answered (a response, a beginning, another version). */
bool stray_answer(const struct ike_header *h, uint8_t out[STRAY_MAX], struct span *ret);
/* The notice that an ESP packet with that SPI belongs to no SA. */
struct span stray_esp_notice(uint32_t spi, uint8_t out[STRAY_MAX]);

/* Is `message` (whose header is `h`) an unprotected notice of that type? *ret_data: its data. */
bool stray_notice(struct span message, const struct ike_header *h, uint16_t type,
                  struct span *ret_data);

#endif
