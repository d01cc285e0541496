/* Addresses and networks, as they are written. */
#ifndef TERN_TESTS_ADDRESSES_H
#define TERN_TESTS_ADDRESSES_H

#include "common/base/addr.h"
#include "tests/support/support.h"

static inline struct ip ip_of(const char *text)
{
    struct ip ip;
    ck_assert_msg(ip_parse(text, &ip) == ERR_OK, "%s", text);
    return ip;
}

static inline struct prefix prefix_of(const char *text)
{
    struct prefix prefix;
    ck_assert_msg(prefix_parse(text, &prefix) == ERR_OK, "%s", text);
    return prefix;
}

#endif
