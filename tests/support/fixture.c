/* Files made while a test runs. */
#include "tests/support/fixture.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/support.h"

enum { COMMAND_MAX = 4096, OUTPUT_MAX = 2048 };

static char directory[] = "/tmp/tern-test-XXXXXX";

void fixture_enter(void)
{
    ck_assert_msg(mkdtemp(directory) != NULL, "%s: %s", directory, strerror(errno));
    ck_assert_msg(chdir(directory) == 0, "%s: %s", directory, strerror(errno));
}

void fixture_leave(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(system(command), 0);
}

static int run(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

static int run(const char *format, va_list args)
{
    char command[COMMAND_MAX], all[COMMAND_MAX + 64];
    int len = vsnprintf(command, sizeof command, format, args);
    ck_assert_msg(len > 0 && (size_t)len < sizeof command, "command too long");
    snprintf(all, sizeof all, "{ %s\n} >output 2>&1 </dev/null", command);
    return system(all);
}

bool fixture_try(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int status = run(format, args);
    va_end(args);
    return status == 0;
}

void fixture_shell(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int status = run(format, args);
    va_end(args);
    if (status == 0)
        return;
    char output[OUTPUT_MAX] = "";
    FILE *f = fopen("output", "rb");
    if (f != NULL) {
        output[fread(output, 1, sizeof output - 1, f)] = '\0';
        fclose(f);
    }
    ck_abort_msg("%s ended with %d and printed: %s", format, status, output);
}

struct span fixture_read(const char *name)
{
    FILE *f = fopen(name, "rb");
    ck_assert_msg(f != NULL, "%s: %s", name, strerror(errno));
    ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
    long len = ftell(f);
    ck_assert_int_ge(len, 0);
    rewind(f);
    uint8_t *data = malloc(len > 0 ? (size_t)len : 1);
    ck_assert_ptr_nonnull(data);
    ck_assert_uint_eq(fread(data, 1, (size_t)len, f), (size_t)len);
    fclose(f);
    return span_make(data, (size_t)len);
}

void fixture_write(const char *name, struct span bytes)
{
    FILE *f = fopen(name, "wb");
    ck_assert_msg(f != NULL, "%s: %s", name, strerror(errno));
    ck_assert_uint_eq(fwrite(bytes.data, 1, bytes.len, f), bytes.len);
    ck_assert_int_eq(fclose(f), 0);
}

void fixture_authority(const char *name)
{
    fixture_shell("umask 077; openssl ecparam -genkey -name prime256v1 -noout -out %s.key &&\n"
                  "openssl req -new -x509 -key %s.key -subj /CN=%s -days 30 -out %s.pem",
                  name, name, name, name);
}

void fixture_issue(const char *authority, const char *name, const char *subject,
                   const char *extension)
{
    fixture_shell("umask 077; printf '%s\\n' >%s.ext\n"
                  "openssl ecparam -genkey -name prime256v1 -noout -out %s.key &&\n"
                  "openssl req -new -key %s.key -subj /CN=%s -out req &&\n"
                  "openssl x509 -req -in req -days 30 -CA %s.pem -CAkey %s.key -set_serial 1 "
                  "-extfile %s.ext -out %s.pem",
                  extension, name, name, name, subject, authority, authority, name, name);
}

void fixture_credential_read(const char *name, struct fixture_credential *ret)
{
    char file[32];
    struct fault f = {0};
    snprintf(file, sizeof(file), "%s.pem", name);
    struct span s = fixture_read(file);
    ck_assert_msg(certificate_parse_file(s, &ret->chain, &f) == ERR_OK, "%s: %s", file, f.text);
    free((void *)(uintptr_t)s.data);
    snprintf(file, sizeof(file), "%s.key", name);
    s = fixture_read(file);
    ck_assert_msg(private_key_parse(s, &ret->key, &f) == ERR_OK, "%s: %s", file, f.text);
    free((void *)(uintptr_t)s.data);
}

void fixture_credential_wipe(struct fixture_credential *c)
{
    certificate_list_wipe(&c->chain);
    private_key_free(c->key);
    c->key = NULL;
}

struct trust_store *fixture_trust(const char *file)
{
    struct trust_store *store;
    struct fault f = {0};
    size_t added;
    struct span pem = fixture_read(file);
    ck_ok(trust_store_new(&store));
    ck_assert_msg(trust_store_add_pem(store, pem, false, &added, &f) == ERR_OK, "%s: %s", file,
                  f.text);
    free((void *)(uintptr_t)pem.data);
    return store;
}

int64_t fixture_wall_time(void *ctx)
{
    (void)ctx;
    return (int64_t)time(NULL);
}

enum err fixture_find_password(void *ctx, struct span name, struct secret *ret_password,
                               struct identity *ret_peer)
{
    (void)ctx;
    if (!span_equal(name, span_text("alice")))
        return ERR_NOT_FOUND;
    ck_ok(identity_parse("alice", ret_peer));
    return secret_set(ret_password, span_text(FIXTURE_PASSWORD));
}
