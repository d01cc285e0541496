/* What unit tests share. */
#ifndef TERN_TESTS_SUPPORT_H
#define TERN_TESTS_SUPPORT_H

#include <check.h>

#include "common/base/err.h"
#include "common/base/span.h"

/* Runs the suite; with TAP_OUTPUT set in the environment also writes TAP to that file. The value
 * for main to return. */
int support_run(Suite *suite);

/* Hex text (spaces and newlines passed over) into out; fails the test where it is bad or too long.
 * Returns the octets written. */
size_t support_hex(const char *hex, uint8_t *out, size_t cap);

/* What is logged from now on, a line each; support_logged is emptied first. */
extern char support_logged[65536];
void support_log_begin(void);
void support_log_end(void);

/* A heap copy of exactly that size, so that ASan sees every overrun; free() it. */
uint8_t *support_exact_copy(struct span bytes);

#define ck_err(expression, expected)                                                               \
    do {                                                                                           \
        enum err ck_err_got = (expression);                                                        \
        ck_assert_msg(ck_err_got == (expected), "%s: got \"%s\", expected \"%s\"", #expression,    \
                      err_text(ck_err_got), err_text(expected));                                   \
    } while (0)
#define ck_ok(expression) ck_err(expression, ERR_OK)

#define ck_span_eq(a, b)                                                                           \
    do {                                                                                           \
        struct span ck_a = (a), ck_b = (b);                                                        \
        ck_assert_uint_eq(ck_a.len, ck_b.len);                                                     \
        ck_assert_mem_eq(ck_a.data, ck_b.data, ck_a.len);                                          \
    } while (0)

#endif
