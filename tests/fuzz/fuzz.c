/* Shared pieces of the fuzz targets. */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void fuzz_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

uint8_t *fuzz_copy(struct span bytes)
{
    uint8_t *copy = malloc(bytes.len > 0 ? bytes.len : 1);
    CHECK(copy != NULL);
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    return copy;
}

bool fuzz_holds(struct span where, struct span what)
{
    return where.len > 0 && memmem(where.data, where.len, what.data, what.len) != NULL;
}

struct span fuzz_piece(struct wire_reader *r)
{
    size_t len = wire_read_u16(r);
    size_t left = wire_left(r);
    return wire_read_span(r, len < left ? len : left);
}

/* SplitMix64: cheap, and good enough for what only has to repeat. */
static void fill(void *ctx, uint8_t *out, size_t len)
{
    uint64_t *state = ctx;
    while (len > 0) {
        uint64_t z = *state += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        z ^= z >> 31;
        size_t n = len < sizeof(z) ? len : sizeof(z);
        memcpy(out, &z, n);
        out += n;
        len -= n;
    }
}

struct random_source fuzz_random(uint64_t *seed)
{
    return (struct random_source){fill, seed};
}

const char *fuzz_file(struct span text)
{
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        CHECK(fd >= 0 && fchmod(fd, 0600) == 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    CHECK(ftruncate(fd, 0) == 0);
    CHECK(pwrite(fd, text.data, text.len, 0) == (ssize_t)text.len);
    return path;
}
