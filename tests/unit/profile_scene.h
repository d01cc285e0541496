/* A profile that is written, read, and what is said of it. */
#ifndef TERN_TESTS_PROFILE_SCENE_H
#define TERN_TESTS_PROFILE_SCENE_H

#include "client/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/fixture.h"
#include "tests/support/support.h"

enum { PRINTED_MAX = 65536 };

#define FILE_NAME "office.conf"
#define MINIMAL                                                                                    \
    "[Gateway]\nAddress = vpn.example.com\n[Local]\nIdentity = alice@example.com\n"                \
    "PresharedKeyFile = office.psk\n" /* lines 1 to 5 */

static struct fault_list faults;
static char printed[PRINTED_MAX];

static enum err load_bytes(const void *bytes, size_t len, mode_t mode, struct profile **ret)
{
    fixture_write(FILE_NAME, span_make(bytes, len));
    ck_assert_int_eq(chmod(FILE_NAME, mode), 0);
    fault_list_init(&faults);
    enum err e = profile_load(FILE_NAME, ret, &faults);
    printed[0] = '\0';
    FILE *f = fmemopen(printed, sizeof(printed), "w");
    ck_assert_ptr_nonnull(f);
    fault_list_print(&faults, FILE_NAME, f);
    ck_assert_int_eq(fclose(f), 0);
    return e;
}

static struct profile *load_good(const char *text)
{
    struct profile *p = NULL;
    enum err e = load_bytes(text, strlen(text), 0600, &p);
    if (e != ERR_OK)
        ck_abort_msg("%s: %s", text, printed);
    ck_assert_str_eq(printed, "");
    return p;
}

static void expect_faults(const char *text, const char *expected)
{
    struct profile *p = NULL;
    enum err e = load_bytes(text, strlen(text), 0600, &p);
    if (e != ERR_MALFORMED || strcmp(printed, expected) != 0)
        ck_abort_msg("%s: %s:\n%s\nnot:\n%s", text, err_text(e), printed, expected);
    ck_assert_ptr_null(p);
}

#endif
