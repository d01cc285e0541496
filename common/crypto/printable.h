/* A stranger's bytes as text for people, on top of common/base/text.h: names in certificates and
 * identities may hold anything, the NUL included. */
#ifndef TERN_CRYPTO_PRINTABLE_H
#define TERN_CRYPTO_PRINTABLE_H

#include "common/base/span.h"
#include "common/base/text.h"

/* Keeps room for the mark that printable_finish sets where something was cut; cap > 4. */
void printable_begin(struct text_builder *t, char *out, size_t cap);
/* Adds the bytes escaped (\xNN), with a backslash before each octet that occurs in `special`; cuts
 * at a whole character where the room ends. */
void printable_add(struct text_builder *t, struct span bytes, const char *special);
/* Appends "..." to what was cut; returns the text. */
const char *printable_finish(struct text_builder *t);

#endif
