/* The gateway's configuration file. Files that it names are looked for in an empty place. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tools/gateway/config.h"

/* Somebody's certificate store is no input of ours, and may be endless. */
static bool names_a_path(struct span text)
{
    return memchr(text.data, '/', text.len) != NULL && memmem(text.data, text.len, "/dev", 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gateway_config c;
    struct fault f = {0};
    if (size > 0 && names_a_path(span_make(data, size)))
        return 0;
    enum err e = gateway_config_load(fuzz_file(span_make(data, size)), &c, &f);
    CHECK(e == ERR_OK || f.text[0] != '\0');
    if (e == ERR_OK)
        CHECK(c.pool_count > 0 && c.pool_count <= POOL_PREFIXES_MAX && c.networks.count > 0 &&
              c.identity.type != IDENTITY_NONE && c.ike.count > 0 && c.esp.count > 0);
    gateway_config_wipe(&c);
    return 0;
}
