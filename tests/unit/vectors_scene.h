/* Published vectors in bulk, through our own wrappers. Debian packages hold NIST's CAVP files and
 * parts of Wycheproof; where TERN_WYCHEPROOF names a directory of Wycheproof's testvectors_v1, its
 * whole files run too. Each family prints how many vectors ran and how many our wrappers cannot
 * express (other nonce, ICV or key lengths). Vectors typed in from RFCs are in other
 * test_crypto_*.c. */
#ifndef TERN_TESTS_VECTORS_SCENE_H
#define TERN_TESTS_VECTORS_SCENE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"
#include "tests/support/vectors.h"

#define NIST_PACKAGE "python3-cryptography-vectors"
#define NIST_DIR     "/usr/lib/python3/dist-packages/cryptography_vectors/"

enum { FIELD_MAX = 4096 };

struct tally {
    unsigned ran, skipped;
};

static void report(const char *family, struct tally t, unsigned at_least)
{
    printf("%s: %u vectors ran, %u not expressible\n", family, t.ran, t.skipped);
    ck_assert_msg(t.ran >= at_least, "%s: only %u vectors ran, %u expected", family, t.ran,
                  at_least);
}

static json_t *wycheproof(const char *name)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s_test.json", getenv("TERN_WYCHEPROOF"), name);
    return vectors_json(path, "nothing; TERN_WYCHEPROOF must name Wycheproof's testvectors_v1");
}

static bool is_valid(const json_t *test)
{
    return strcmp(vectors_json_text(test, "result"), "valid") == 0;
}

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *t = tcase_create(name);
    tcase_set_timeout(t, 120);
    suite_add_tcase(suite, t);
    return t;
}

/* NULL, and said so, where Wycheproof's files are not there. */
static TCase *add_wycheproof(Suite *suite)
{
    if (getenv("TERN_WYCHEPROOF") != NULL)
        return add_case(suite, "wycheproof");
    printf("TERN_WYCHEPROOF is not set: only Debian's vectors run\n");
    return NULL;
}

#endif
