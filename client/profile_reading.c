/* Values of any section of a profile: taken whole, or a fault at the line of the key. */
#include <string.h>

#include "client/profile_keys_internal.h"
#include "client/profile_value.h"

void value_take_text(struct reading *r, const char *value, char *out, size_t cap)
{
    if (strlen(value) >= cap)
        FAULT(r, "%s is longer than %zu octets", r->key, cap - 1);
    else
        memcpy(out, value, strlen(value) + 1);
}

void value_take_each(struct reading *r, const char *value,
                     void (*take)(struct reading *r, const char *item))
{
    char item[PROFILE_TEXT_MAX];
    bool too_long;
    for (const char *at = value; value_next(&at, item, sizeof(item), &too_long);) {
        if (too_long)
            FAULT(r, "an item of %s is longer than %zu octets", r->key, sizeof(item) - 1);
        else if (item[0] == '\0')
            FAULT(r, "an item of %s is empty", r->key);
        else
            take(r, item);
    }
}

void value_take_item(struct reading *r, struct profile_list *l, const char *item)
{
    if (l->count == PROFILE_LIST_MAX)
        FAULT(r, "%s has more than %d items", r->key, (int)PROFILE_LIST_MAX);
    else
        memcpy(l->items[l->count++], item, strlen(item) + 1);
}

void value_take_secret(struct reading *r, const char *value, struct secret *out)
{
    if (secret_set(out, span_text(value)) != ERR_OK)
        FAULT(r, "%s is longer than %d octets", r->key, (int)SECRET_MAX);
}

void value_take_shared_key(struct reading *r, const char *value, struct secret *out)
{
    enum err e = secret_set_shared_key(out, span_text(value));
    if (e == ERR_LIMIT)
        FAULT(r, "%s is longer than %d octets", r->key, (int)SECRET_MAX);
    else if (e != ERR_OK)
        FAULT(r,
              "%s begins with 0x and goes on with something else than pairs of hexadecimal digits",
              r->key);
}

void value_take_bool(struct reading *r, const char *value, bool *out)
{
    if (value_bool(value, out) != ERR_OK)
        FAULT(r, "%s = %s: expected yes or no", r->key, value);
}

void value_take_duration(struct reading *r, const char *value, uint32_t min_s, uint32_t max_s,
                         const char *range, uint32_t *out)
{
    enum err e = value_duration(value, min_s, max_s, out);
    if (e == ERR_LIMIT)
        FAULT(r, "%s = %s is out of range (%s)", r->key, value, range);
    else if (e != ERR_OK)
        FAULT(r, "%s = %s: expected a time such as 30s, 5m, 4h", r->key, value);
}

void value_take_identity(struct reading *r, const char *value, struct identity *out)
{
    enum err e = identity_parse(value, out);
    if (e == ERR_LIMIT)
        FAULT(r, "%s is too long", r->key);
    else if (e != ERR_OK)
        FAULT(r, "%s = %s: expected an email, a host name, an address or a DN", r->key, value);
}

void value_take_authentication(struct reading *r, const char *value, const char *expected,
                               enum profile_authentication *out)
{
    if (strcmp(value, "certificate") == 0)
        *out = AUTHENTICATION_CERTIFICATE;
    else if (strcmp(value, "psk") == 0)
        *out = AUTHENTICATION_PSK;
    else if (strcmp(value, "eap") == 0)
        *out = AUTHENTICATION_EAP;
    else
        FAULT(r, "Authentication = %s: expected %s", value, expected);
}
