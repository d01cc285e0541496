/* Files made while a test runs, by programs that are neither tern nor BoringSSL: keys, certificates
 * and signatures of the openssl command. */
#ifndef TERN_TESTS_FIXTURE_H
#define TERN_TESTS_FIXTURE_H

#include "common/crypto/certificate.h"
#include "common/crypto/secret.h"

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

/* NAME.pem and NAME.key of an authority of that name; and of one to whom it issues: CN=subject, and
 * one extension as the openssl command writes them, which is left in NAME.ext. P-256, 30 days. */
void fixture_authority(const char *name);
void fixture_issue(const char *authority, const char *name, const char *subject,
                   const char *extension);

/* NAME.pem and NAME.key. */
struct fixture_credential {
    struct certificate_list chain;
    struct private_key *key;
};
void fixture_credential_read(const char *name, struct fixture_credential *ret);
void fixture_credential_wipe(struct fixture_credential *c);
/* The certificates of a file as anchors; for the caller to free. */
struct trust_store *fixture_trust(const char *file);
/* What is made here is made now: session_config.wall_time. */
int64_t fixture_wall_time(void *ctx);

/* The one user that servers of tests know, by whichever name of the callback. */
#define FIXTURE_PASSWORD "canary of the tests"
enum err fixture_find_password(void *ctx, struct span name, struct secret *ret_password,
                               struct identity *ret_peer); /* of "alice" */

#endif
