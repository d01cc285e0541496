/* Files of private keys, encrypted ones and PKCS#12 containers, as whoever made them wrote them.
 * The seeds are made by tests/fuzz/keys.sh. */
#include <stdlib.h>
#include <string.h>

#include "common/crypto/external_key.h"
#include "common/crypto/key_file.h"
#include "tests/fuzz/fuzz.h"

enum { ITERATIONS_MAX = 65537 };

#define PASSPHRASE span_text("passphrase")

/* Key derivations may take as long as their file says: an INTEGER of 3 to 8 octets. */
static bool is_costly(struct span s)
{
    for (size_t i = 0; i + 2 < s.len; i++) {
        size_t len = s.data[i + 1];
        uint64_t value = 0;
        if (s.data[i] != 2 || len < 3 || len > 9 || i + 2 + len > s.len)
            continue;
        for (size_t j = 0; j < len; j++)
            value = value << 8 | s.data[i + 2 + j];
        if (value > ITERATIONS_MAX)
            return true;
    }
    return false;
}

static void key(struct span bytes, bool encrypted)
{
    struct private_key *k = NULL;
    struct fault f = {.code = ERR_OK};
    enum err e = encrypted ? private_key_parse_encrypted(bytes, PASSPHRASE, &k, &f)
                           : private_key_parse(bytes, &k, &f);
    CHECK((e == ERR_OK) == (k != NULL));
    CHECK(e == ERR_OK || (f.code == e && f.text[0] != '\0'));
    CHECK(k == NULL || (private_key_type(k) != KEY_NONE && !private_key_is_external(k)));
    private_key_free(k);
}

static void container(struct span bytes)
{
    struct private_key *k = NULL;
    struct certificate_list l = {.count = 0};
    struct fault f = {.code = ERR_OK};
    enum err e = pkcs12_parse(bytes, PASSPHRASE, &k, &l, &f);
    CHECK((e == ERR_OK) == (k != NULL && l.count > 0));
    CHECK(e == ERR_OK || (f.code == e && f.text[0] != '\0'));
    if (e == ERR_OK)
        CHECK(private_key_matches(k, certificate_key(l.items[0])));
    private_key_free(k);
    certificate_list_wipe(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader r;
    wire_reader_init(&r, span_make(data, size));
    uint8_t kind = wire_read_u8(&r);
    struct span rest = wire_read_rest(&r);
    if (is_costly(rest))
        return 0;
    uint8_t *copy = fuzz_copy(rest);
    struct span bytes = span_make(copy, rest.len);
    if (kind % 3 == 0)
        container(bytes);
    else
        key(bytes, kind % 3 == 1);
    free(copy);
    return 0;
}
