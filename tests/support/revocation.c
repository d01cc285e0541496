#include "tests/support/revocation.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"
#include "tests/support/vectors.h"

#define DIRECTORY TERN_SOURCE_DIR "/tests/vectors/revocation/"

struct span revocation_read(const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, DIRECTORY "%s%s", name, strchr(name, '.') != NULL ? "" : ".der");
    return vectors_file(path, "tests/vectors/revocation.py");
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **revocation_list(const char *prefix, size_t *ret_count)
{
    size_t count = 0, cap = 512;
    char **names = calloc(cap, sizeof *names);
    DIR *d = opendir(DIRECTORY);
    ck_assert_ptr_nonnull(names);
    ck_assert_msg(d != NULL, "%s cannot be read", DIRECTORY);
    for (struct dirent *e; (e = readdir(d)) != NULL && count < cap;) {
        char *dot = strstr(e->d_name, ".der");
        if (dot == NULL || strncmp(e->d_name, prefix, strlen(prefix)) != 0)
            continue;
        names[count++] = strndup(e->d_name, (size_t)(dot - e->d_name));
    }
    closedir(d);
    ck_assert_uint_gt(count, 0);
    qsort(names, count, sizeof *names, compare);
    *ret_count = count;
    return names;
}

void revocation_ck_parts(const char *prefix, enum err (*parse)(struct span der))
{
    size_t count;
    char **names = revocation_list(prefix, &count);
    for (size_t i = 0; i < count; i++) {
        struct span der = revocation_read(names[i]);
        for (size_t len = 0; len < der.len; len++) {
            uint8_t *part = support_exact_copy(span_make(der.data, len));
            ck_err(parse(span_make(part, len)), ERR_MALFORMED);
            free(part);
        }
        free((void *)der.data);
        free(names[i]);
    }
    free(names);
}
