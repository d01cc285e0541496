/* An INI file as a flat list of what stands in it, each with its line: libini_config behind a face
 * that keeps repeated keys, exact spelling and line numbers. What the keys mean is profile.h's. */
#ifndef TERN_CLIENT_INI_H
#define TERN_CLIENT_INI_H

#include "client/fault_list.h"
#include "common/base/span.h"

enum { INI_SIZE_MAX = 65536, INI_ITEMS_MAX = 256, INI_SECTIONS_MAX = 64, INI_NAME_MAX = 64 };

struct ini_item {
    char section[INI_NAME_MAX];
    char key[INI_NAME_MAX]; /* as written; longer names are cut (and so unknown) */
    char *value;            /* trimmed; never NULL; may be a secret */
    unsigned line;
};

struct ini_section {
    char name[INI_NAME_MAX];
    unsigned line;
};

struct ini {
    struct ini_item items[INI_ITEMS_MAX]; /* by line */
    size_t item_count;
    struct ini_section sections[INI_SECTIONS_MAX]; /* every header, repeated ones too */
    size_t section_count;
};

/* Lines that are no INI become faults, and what can be read of the rest is still delivered.
 * ERR_MEMORY; ERR_MALFORMED where nothing could be read; ERR_LIMIT. `text`, which has a zero octet
 * behind it, is used as scratch: it comes back changed. */
CHECKED enum err ini_parse(char *text, size_t len, struct ini **ret, struct fault_list *faults);
void ini_free(struct ini *ini); /* wipes the values; NULL is fine */

#endif
