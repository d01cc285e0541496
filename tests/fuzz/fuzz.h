/* What the fuzz targets share. A target is one file fuzz_NAME.c with LLVMFuzzerTestOneInput;
 * libFuzzer feeds it (TERN_FUZZ), and in every other build replay.c, with the committed corpus.
 * Targets repeat: randomness comes from a seed, time from the input, nothing is logged. */
#ifndef TERN_TESTS_FUZZ_H
#define TERN_TESTS_FUZZ_H

#include "common/base/err.h"
#include "common/base/span.h"
#include "common/base/wire.h"
#include "common/crypto/random.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input; a failure is a finding. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fuzz_failed(#condition, __FILE__, __LINE__);                                           \
    } while (0)
_Noreturn void fuzz_failed(const char *condition, const char *file, int line);

/* A heap copy of exactly that size, so that ASan sees every step beside it; free() it. */
uint8_t *fuzz_copy(struct span bytes);

/* Do these octets stand anywhere in it? */
bool fuzz_holds(struct span where, struct span what);

/* The next octets of the input behind a length in two octets: as many as there are. */
struct span fuzz_piece(struct wire_reader *r);

/* A generator that repeats from its seed, which must outlive it. */
struct random_source fuzz_random(uint64_t *seed);

/* A path under which `text` can be read, until the next call. */
const char *fuzz_file(struct span text);

#endif
