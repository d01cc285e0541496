/* The vectors that tests/vectors/revocation.py makes. */
#ifndef TERN_TESTS_REVOCATION_H
#define TERN_TESTS_REVOCATION_H

#include "common/base/err.h"
#include "common/base/span.h"

/* What is today for them: 15 June 2026, 12:00 UTC; lists and responses are of 1 June and are valid
 * until 1 July. */
enum { REVOCATION_TODAY = 1781524800, REVOCATION_THIS = 1780272000, REVOCATION_NEXT = 1782864000 };

/* revocation/NAME.der, with nothing after it in memory; free() the data. A name with a dot is the
 * file's whole name. */
struct span revocation_read(const char *name);

/* The names of all whose name begins with that, sorted; free() each and the array. */
char **revocation_list(const char *prefix, size_t *ret_count);

/* No part of any of those is whole: `parse` has to say ERR_MALFORMED, and to read no further. */
void revocation_ck_parts(const char *prefix, enum err (*parse)(struct span der));

#endif
