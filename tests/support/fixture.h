/* Files made while a test runs, by programs that are neither tern nor BoringSSL: keys, certificates
 * and signatures of the openssl command. */
#ifndef TERN_TESTS_FIXTURE_H
#define TERN_TESTS_FIXTURE_H

#include "common/base/err.h"
#include "common/base/span.h"

/* Unchecked fixtures for Check: a fresh directory, which becomes the working directory, and its
 * removal. Names below are relative to it. */
void fixture_enter(void);
void fixture_leave(void);

/* Runs a shell command; fails the test, showing what it printed, where it returns other than 0. */
void fixture_shell(const char *format, ...) PRINTF_LIKE(1, 2);
/* Does the command succeed? */
bool fixture_try(const char *format, ...) PRINTF_LIKE(1, 2);

/* A whole file, with nothing after it in memory; free() the data. */
struct span fixture_read(const char *name);
void fixture_write(const char *name, struct span bytes);

#endif
