/* Numbers in network order (big-endian), at an address that has room for them: for headers whose
 * place is known. What is parsed from the start is read by wire.h. */
#ifndef TERN_BASE_BE_H
#define TERN_BASE_BE_H

#include <stdint.h>

static inline uint16_t be_read_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t be_read_u32(const uint8_t *at)
{
    return (uint32_t)be_read_u16(at) << 16 | be_read_u16(at + 2);
}

static inline void be_write_u16(uint8_t *at, uint16_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

static inline void be_write_u32(uint8_t *at, uint32_t v)
{
    be_write_u16(at, (uint16_t)(v >> 16));
    be_write_u16(at + 2, (uint16_t)v);
}

static inline void be_write_u64(uint8_t *at, uint64_t v)
{
    be_write_u32(at, (uint32_t)(v >> 32));
    be_write_u32(at + 4, (uint32_t)v);
}

#endif
