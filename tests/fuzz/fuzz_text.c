/* Texts of people: addresses, prefixes, identities. What parses is formatted, and parses back to
 * the same value. */
#include <stdlib.h>
#include <string.h>

#include "common/base/addr.h"
#include "common/base/text.h"
#include "common/crypto/identity.h"
#include "tests/fuzz/fuzz.h"

static void addresses(const char *text)
{
    struct ip ip, again;
    char out[IP_TEXT_MAX];
    if (ip_parse(text, &ip) == ERR_OK) {
        CHECK(ip_parse(ip_format(&ip, out), &again) == ERR_OK && ip_equal(&ip, &again));
        (void)ip_is_multicast(&ip);
        (void)ip_is_link_local(&ip);
    }
    struct prefix p, p_again;
    char prefix_out[PREFIX_TEXT_MAX];
    if (prefix_parse(text, &p) == ERR_OK) {
        CHECK(prefix_parse(prefix_format(&p, prefix_out), &p_again) == ERR_OK);
        CHECK(prefix_equal(&p, &p_again) && p.bits <= ip_bits(p.ip.family));
        struct ip_range range = range_from_prefix(&p);
        CHECK(range_valid(&range) && range_contains(&range, &p.ip));
        struct prefix back[RANGE_PREFIXES_MAX];
        size_t count;
        CHECK(range_prefixes(&range, back, RANGE_PREFIXES_MAX, &count) == ERR_OK && count == 1);
        CHECK(prefix_equal(&back[0], &p));
    }
}

/* Any two addresses of one family are a range, and its prefixes make it up again. */
static void ranges(struct span bytes)
{
    size_t len = bytes.len >= 32 ? 16 : 4;
    if (bytes.len < 2 * len)
        return;
    struct ip_range r = {ip_from_span(span_make(bytes.data, len)),
                         ip_from_span(span_make(bytes.data + len, len))};
    struct prefix parts[RANGE_PREFIXES_MAX];
    size_t count;
    if (!range_valid(&r))
        return;
    CHECK(range_prefixes(&r, parts, RANGE_PREFIXES_MAX, &count) == ERR_OK && count > 0);
    struct ip_range first = range_from_prefix(&parts[0]);
    struct ip_range last = range_from_prefix(&parts[count - 1]);
    CHECK(ip_equal(&first.first, &r.first) && ip_equal(&last.last, &r.last));
    for (size_t i = 0; i < count; i++) {
        struct ip_range part = range_from_prefix(&parts[i]);
        CHECK(range_within(&part, &r));
    }
}

static void identities(const char *text, struct span bytes)
{
    struct identity id, again;
    char out[IDENTITY_TEXT_MAX];
    if (identity_parse(text, &id) == ERR_OK) {
        CHECK(id.len <= IDENTITY_MAX && identity_equal(&id, &id));
        CHECK(strlen(identity_format(&id, out)) < sizeof(out));
        CHECK(identity_set(&again, (uint8_t)id.type, identity_span(&id)) == ERR_OK);
        CHECK(identity_equal(&id, &again));
    }
    if (bytes.len > 0 &&
        identity_set(&id, bytes.data[0] % 16, span_make(bytes.data + 1, bytes.len - 1)) == ERR_OK) {
        CHECK(strlen(identity_format(&id, out)) < sizeof(out));
        for (const char *c = out; *c != '\0'; c++)
            CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
        (void)identity_equal(&id, &id);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = calloc(1, size + 1);
    CHECK(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    addresses(text);
    ranges(span_make(data, size));
    identities(text, span_make(data, size));
    struct fault f = {0};
    (void)fault_set(&f, ERR_MALFORMED, "%.*s", (int)size, text);
    for (const char *c = f.text; *c != '\0'; c++)
        CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
    free(text);
    return 0;
}
