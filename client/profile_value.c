/* Values of profiles. Every parser takes the whole text or refuses it. */
#include "client/profile_value.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool value_next(const char **at, char *out, size_t cap, bool *ret_too_long)
{
    *ret_too_long = false;
    if (*at == NULL)
        return false;
    const char *first = *at, *comma = strchr(first, ',');
    const char *end = comma != NULL ? comma : first + strlen(first);
    *at = comma != NULL ? comma + 1 : NULL;
    while (first < end && is_blank(*first))
        first++;
    while (end > first && is_blank(end[-1]))
        end--;
    size_t len = (size_t)(end - first);
    if (len >= cap) {
        *ret_too_long = true;
        len = cap - 1;
    }
    memcpy(out, first, len);
    out[len] = '\0';
    return true;
}

enum err value_bool(const char *text, bool *ret)
{
    static const char *const yes[] = {"yes", "true", "on", "1"};
    static const char *const no[] = {"no", "false", "off", "0"};
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
            *ret = strcasecmp(text, yes[i]) == 0;
            return ERR_OK;
        }
    }
    return ERR_MALFORMED;
}

/* Digits at the front of the text; *ret_rest is what follows. Saturates. */
static enum err leading_number(const char *text, uint64_t *ret, const char **ret_rest)
{
    if (!isdigit((unsigned char)*text))
        return ERR_MALFORMED;
    uint64_t v = 0;
    for (; isdigit((unsigned char)*text); text++) {
        uint64_t digit = (uint64_t)(*text - '0');
        v = v > (UINT64_MAX - digit) / 10 ? UINT64_MAX : v * 10 + digit;
    }
    *ret = v;
    *ret_rest = text;
    return ERR_OK;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static enum err with_unit(const char *text, const struct unit *units, size_t count, uint64_t min,
                          uint64_t max, uint64_t *ret)
{
    uint64_t v;
    const char *rest;
    enum err e = leading_number(text, &v, &rest);
    if (e != ERR_OK)
        return e;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rest, units[i].name) != 0)
            continue;
        if (v > UINT64_MAX / units[i].factor)
            return ERR_LIMIT;
        v *= units[i].factor;
        if (v < min || v > max)
            return ERR_LIMIT;
        *ret = v;
        return ERR_OK;
    }
    return ERR_MALFORMED;
}

enum err value_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
    static const struct unit none[] = {{"", 1}};
    return with_unit(text, none, 1, min, max, ret);
}

enum err value_duration(const char *text, uint32_t min_s, uint32_t max_s, uint32_t *ret_s)
{
    static const struct unit units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    uint64_t v;
    enum err e = with_unit(text, units, sizeof(units) / sizeof(units[0]), min_s, max_s, &v);
    if (e == ERR_OK)
        *ret_s = (uint32_t)v;
    return e;
}

enum err value_milliseconds(const char *text, uint32_t min_ms, uint32_t max_ms, uint32_t *ret_ms)
{
    static const struct unit units[] = {{"ms", 1}, {"", 1000}, {"s", 1000}, {"m", 60000}};
    uint64_t v;
    enum err e = with_unit(text, units, sizeof(units) / sizeof(units[0]), min_ms, max_ms, &v);
    if (e == ERR_OK)
        *ret_ms = (uint32_t)v;
    return e;
}

enum err value_size(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
    static const struct unit units[] = {{"", 1},
                                        {"K", 1024},
                                        {"M", 1024 * 1024},
                                        {"G", 1024 * 1024 * 1024},
                                        {"T", (uint64_t)1024 * 1024 * 1024 * 1024}};
    return with_unit(text, units, sizeof(units) / sizeof(units[0]), min, max, ret);
}

bool value_is_host_name(const char *text)
{
    size_t label = 0, len = strlen(text);
    if (len == 0 || len > 253)
        return false;
    bool letter = false; /* four numbers are a mistyped address, not a name */
    for (const char *at = text; *at != '\0'; at++) {
        char next = at[1];
        if (*at == '.') {
            if (label == 0)
                return false;
            label = 0;
            continue;
        }
        bool edge = label == 0 || next == '.' || next == '\0';
        if (!isalnum((unsigned char)*at) && *at != '_' && (*at != '-' || edge))
            return false;
        letter = letter || isalpha((unsigned char)*at);
        if (++label > 63)
            return false;
    }
    return letter;
}

bool value_is_interface(const char *text, bool pattern)
{
    size_t len = strlen(text);
    if (len == 0 || len > 15 || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return false;
    for (const char *at = text; *at != '\0'; at++) {
        if (isalnum((unsigned char)*at) || strchr("-_.@", *at) != NULL)
            continue;
        if (!pattern || (*at != '*' && *at != '?'))
            return false;
    }
    return true;
}
