/* Reading PKCS#11 URIs: attributes between ';', after a '?' between '&', each NAME=VALUE with %XX.
 * An attribute that nobody knows is refused, since what a misspelt one would tell apart would not
 * be. */
#include "client/pkcs11_uri.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"

#define SCHEME "pkcs11:"

enum { PATH_ATTRIBUTES = 13, QUERY_ATTRIBUTES = 4 };

static const char *const path_names[PATH_ATTRIBUTES] = {
    "token",
    "manufacturer",
    "serial",
    "model",
    "library-version",
    "library-description",
    "library-manufacturer",
    "object",
    "type",
    "id",
    "slot-description",
    "slot-manufacturer",
    "slot-id",
};
static const char *const query_names[QUERY_ATTRIBUTES] = {"pin-source", "pin-value", "module-name",
                                                          "module-path"};

struct attribute {
    const char *start;
    size_t name_len;
    const char *value;
    size_t value_len;
};

struct uri_reading {
    struct pkcs11_uri *out;
    size_t len; /* of out->text */
    const char *wanted;
    unsigned seen; /* bit by attribute of this part */
    struct fault *f;
};

bool pkcs11_uri_is_one(const char *text)
{
    return strncmp(text, SCHEME, strlen(SCHEME)) == 0;
}

static bool is(const struct attribute *a, const char *name)
{
    return strlen(name) == a->name_len && memcmp(name, a->start, a->name_len) == 0;
}

/* RFC 7512 2.3: what may stand unescaped, in either part. */
static bool is_plain(char c)
{
    return isalnum((unsigned char)c) || (c != '\0' && strchr("-._~:[]@!$'()*+,=/?|&", c) != NULL);
}

/* *ret_len octets into out; ERR_MALFORMED. */
static enum err decode(const struct attribute *a, uint8_t out[PKCS11_URI_MAX], size_t *ret_len)
{
    size_t len = 0;
    for (size_t i = 0; i < a->value_len; i++) {
        const char *at = a->value + i;
        if (*at != '%') {
            if (!is_plain(*at))
                return ERR_MALFORMED;
            out[len++] = (uint8_t)*at;
            continue;
        }
        int high = a->value_len - i > 2 ? text_hex_digit(at[1]) : -1;
        int low = high >= 0 ? text_hex_digit(at[2]) : -1;
        if (low < 0)
            return ERR_MALFORMED;
        out[len++] = (uint8_t)(high * 16 + low);
        i += 2;
    }
    *ret_len = len;
    return ERR_OK;
}

static enum err take_pin_file(struct uri_reading *r, const uint8_t *octets, size_t len)
{
    static const char *const heads[] = {"file://", "file:"};
    const char *path = (const char *)octets;
    for (size_t i = 0; i < 2; i++) {
        size_t head = strlen(heads[i]);
        if (len > head && memcmp(path, heads[i], head) == 0) {
            path += head;
            len -= head;
            break;
        }
    }
    if (len == 0 || path[0] != '/' || memchr(path, '\0', len) != NULL)
        return fault_set(r->f, ERR_MALFORMED,
                         "pin-source is neither an absolute path nor file: with one");
    memcpy(r->out->pin_file, path, len);
    r->out->pin_file[len] = '\0';
    return ERR_OK;
}

static enum err take_pin(struct uri_reading *r, const struct attribute *a, const uint8_t *octets,
                         size_t len)
{
    if (is(a, "pin-source"))
        return take_pin_file(r, octets, len);
    if (len == 0 || secret_set(&r->out->pin, span_make(octets, len)) != ERR_OK)
        return fault_set(r->f, ERR_MALFORMED, "pin-value is empty or too long");
    return ERR_OK;
}

static void append(struct uri_reading *r, const char *text, size_t len)
{
    memcpy(r->out->text + r->len, text, len); /* never longer than what was given */
    r->len += len;
    r->out->text[r->len] = '\0';
}

static enum err find_name(struct uri_reading *r, const struct attribute *a, bool query)
{
    const char *const *names = query ? query_names : path_names;
    size_t count = query ? QUERY_ATTRIBUTES : PATH_ATTRIBUTES;
    for (size_t i = 0; i < count; i++) {
        if (!is(a, names[i]))
            continue;
        if ((r->seen & 1U << i) != 0)
            return fault_set(r->f, ERR_MALFORMED, "%s is given twice in the URI", names[i]);
        r->seen |= 1U << i;
        return ERR_OK;
    }
    return fault_set(r->f, ERR_MALFORMED, "%.*s is no attribute of a PKCS#11 URI",
                     a->name_len < 40 ? (int)a->name_len : 40, a->start);
}

static enum err take(struct uri_reading *r, const struct attribute *a, bool query, bool *first)
{
    uint8_t octets[PKCS11_URI_MAX];
    size_t len = 0;
    enum err e = find_name(r, a, query);
    if (e == ERR_OK && decode(a, octets, &len) != ERR_OK)
        e = fault_set(r->f, ERR_MALFORMED, "%.*s has a sign that must be written as %%XX",
                      (int)a->name_len, a->start);
    if (e == ERR_OK && !query && is(a, "type") &&
        (len != strlen(r->wanted) || memcmp(octets, r->wanted, len) != 0))
        e = fault_set(r->f, ERR_MALFORMED, "the URI's type is not %s", r->wanted);
    if (e == ERR_OK && (is(a, "pin-source") || is(a, "pin-value"))) {
        e = take_pin(r, a, octets, len);
    } else if (e == ERR_OK) {
        if (query || !*first)
            append(r, query ? (*first ? "?" : "&") : ";", 1);
        append(r, a->start, (size_t)(a->value + a->value_len - a->start));
        *first = false;
    }
    wipe(octets, sizeof(octets));
    return e;
}

/* One part: from `at` to `end`. */
static enum err take_part(struct uri_reading *r, const char *at, const char *end, bool query)
{
    bool first = true;
    enum err e = ERR_OK;
    r->seen = 0;
    while (e == ERR_OK && at < end) {
        const char *stop = memchr(at, query ? '&' : ';', (size_t)(end - at));
        stop = stop != NULL ? stop : end;
        const char *equals = memchr(at, '=', (size_t)(stop - at));
        if (equals == NULL)
            return fault_set(r->f, ERR_MALFORMED, "the URI has an attribute without =");
        const struct attribute a = {at, (size_t)(equals - at), equals + 1,
                                    (size_t)(stop - equals - 1)};
        e = take(r, &a, query, &first);
        at = stop + 1;
    }
    return e;
}

enum err pkcs11_uri_parse(const char *text, const char *wanted, struct pkcs11_uri *ret,
                          struct fault *f)
{
    size_t len = strlen(text);
    struct uri_reading r = {.out = ret, .wanted = wanted, .f = f};
    *ret = (struct pkcs11_uri){.text = ""};
    if (!pkcs11_uri_is_one(text))
        return fault_set(f, ERR_MALFORMED, "the URI does not begin with " SCHEME);
    if (len >= PKCS11_URI_MAX)
        return fault_set(f, ERR_LIMIT, "the URI is longer than %d octets", PKCS11_URI_MAX - 1);
    append(&r, SCHEME, strlen(SCHEME));
    const char *question = strchr(text, '?'), *end = text + len;
    enum err e = take_part(&r, text + strlen(SCHEME), question != NULL ? question : end, false);
    if (e == ERR_OK && question != NULL)
        e = take_part(&r, question + 1, end, true);
    if (e != ERR_OK)
        wipe(ret, sizeof(*ret));
    return e;
}
