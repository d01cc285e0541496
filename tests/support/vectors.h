/* Readers for published test vectors that Debian packages install: NIST's text form (lines
 * `Name = value`, records parted by blank lines, `[Name = value]` for what follows) and JSON. Every
 * failure to read fails the test, naming the package that holds the file. */
#ifndef TERN_TESTS_VECTORS_H
#define TERN_TESTS_VECTORS_H

#include <jansson.h>
#include <stdio.h>

#include "common/base/span.h"

enum { VECTOR_FIELDS_MAX = 32 };

struct vector_field {
    char *name;
    char *value; /* "" for a bare word such as FAIL */
    bool header; /* from brackets: stays until given anew */
};

struct vectors {
    FILE *file;
    char *line;
    size_t line_cap;
    struct vector_field fields[VECTOR_FIELDS_MAX];
    size_t count;
};

void vectors_open(struct vectors *v, const char *path, const char *package);
bool vectors_next(struct vectors *v); /* the next record; false at the end */
void vectors_close(struct vectors *v);
/* NULL where the record has none. A bracketed line without '=' is named "section". */
const char *vectors_text(const struct vectors *v, const char *name);
bool vectors_is(const struct vectors *v, const char *name, const char *value);
/* Hex, or "text" in quotes, into out. The field must exist. */
struct span vectors_hex(const struct vectors *v, const char *name, uint8_t *out, size_t cap);

json_t *vectors_json(const char *path, const char *package); /* json_decref() it */
const char *vectors_json_text(const json_t *object, const char *name);
struct span vectors_json_hex(const json_t *object, const char *name, uint8_t *out, size_t cap);

/* A whole file; free() the data. */
struct span vectors_file(const char *path, const char *package);

#endif
