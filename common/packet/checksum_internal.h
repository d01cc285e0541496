/* The parts of a sum, of which checksum.c chooses what this processor does best. */
#ifndef TERN_PACKET_CHECKSUM_INTERNAL_H
#define TERN_PACKET_CHECKSUM_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CHECKSUM_BLOCK_LEN = 64 };

/* The words of whole blocks, 2^32 of them at most, as the machine loads them, added up in 32 bits
 * each. Both give the same; the wide one takes what checksum_has_wide says is there. */
uint64_t checksum_blocks(const uint8_t *at, size_t len);
uint64_t checksum_blocks_wide(const uint8_t *at, size_t len);
bool checksum_has_wide(void);

#endif
