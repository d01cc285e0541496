/* Whole files into memory, bounded, and wiped when they are let go: keys and profiles pass here. */
#ifndef TERN_CLIENT_FILE_H
#define TERN_CLIENT_FILE_H

#include "common/base/err.h"
#include "common/base/span.h"

struct file_bytes {
    uint8_t *data; /* len octets, and a terminating zero behind them */
    size_t len;
};

/* A regular file of at most `max` octets. ERR_NOT_FOUND, ERR_REFUSED (no permission, no regular
 * file), ERR_LIMIT, ERR_SYSTEM, ERR_MEMORY; the fault says which file and why. */
CHECKED enum err file_read(const char *path, size_t max, struct file_bytes *ret, struct fault *f);
void file_bytes_wipe(struct file_bytes *b); /* wipes and frees */

#endif
