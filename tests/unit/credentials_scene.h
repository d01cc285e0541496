/* A profile, the files that it names, which the openssl command makes, and what is said of them. */
#ifndef TERN_TESTS_CREDENTIALS_SCENE_H
#define TERN_TESTS_CREDENTIALS_SCENE_H

#include "client/credentials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/fixture.h"
#include "tests/support/support.h"

enum { PRINTED_MAX = 8192 };

#define HINT " (give the file that begins with \"-----BEGIN CERTIFICATE-----\")\n"

static struct fault_list faults;
static char printed[PRINTED_MAX];

/* A chain of our own, another one's key, a bundle of two CAs. */
static void make_files(void)
{
    fixture_enter();
    fixture_shell(
        "umask 077\n"
        "key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $1.key; }\n"
        "ca() { key $1 && openssl req -x509 -new -key $1.key -subj /CN=$1 -days 400 -out $1.pem; "
        "}\n"
        "issue() { key $1 && printf \"$3\" >ext && openssl req -new -key $1.key -subj /CN=$1 |\n"
        "  openssl x509 -req -CA $2.pem -CAkey $2.key -set_serial 7 -days $4 -extfile ext"
        " -out $1.pem; }\n"
        "set -e\n"
        "ca root; ca other\n"
        "issue inter root 'basicConstraints=critical,CA:TRUE\\n' 300\n"
        "issue alice inter 'subjectAltName=email:alice@example.com\\n' 200\n"
        "issue bare inter 'basicConstraints=CA:FALSE\\n' 200\n"
        "cat alice.pem inter.pem >chain.pem\n"
        "{ echo 'two of them'; cat root.pem; echo; cat other.pem; } >bundle.pem\n"
        "openssl x509 -in alice.pem -outform DER -out alice.der\n"
        "sed 's/^M/A/' root.pem >damaged.pem\n"
        "cp alice.key readable.key; chmod 640 readable.key\n");
    ck_assert(fixture_try("printf 'a key;# \\n' >office.psk; printf '\\r\\n\\n' >empty.psk; "
                          "printf 'other' >gateway.psk; printf x >open.psk; chmod 600 *.psk; "
                          "chmod 644 open.psk; printf nonsense >nonsense"));
}

static int64_t now(void)
{
    return (int64_t)time(NULL);
}

static void print_faults(void)
{
    memset(printed, 0, sizeof(printed));
    FILE *f = fmemopen(printed, sizeof(printed), "w");
    ck_assert_ptr_nonnull(f);
    fault_list_print(&faults, "p.conf", f);
    ck_assert_int_eq(fclose(f), 0);
}

static struct profile *profile_of(const char *text)
{
    struct profile *p = NULL;
    fault_list_init(&faults);
    fixture_write("p.conf", span_text(text));
    ck_assert_int_eq(chmod("p.conf", 0600), 0);
    enum err e = profile_load("p.conf", &p, &faults);
    print_faults();
    ck_assert_msg(e == ERR_OK, "%s", printed);
    return p;
}

static struct credentials *load_good(const char *text, struct profile **ret)
{
    struct credentials *c = NULL;
    *ret = profile_of(text);
    enum err e = credentials_load(*ret, now(), &c, &faults);
    print_faults();
    ck_assert_msg(e == ERR_OK && printed[0] == '\0', "%s", printed);
    return c;
}

static void expect_faults_at(const char *text, int64_t when, const char *expected)
{
    struct profile *p = profile_of(text);
    struct credentials *c = NULL;
    ck_err(credentials_load(p, when, &c, &faults), ERR_MALFORMED);
    ck_assert_ptr_null(c);
    print_faults();
    ck_assert_str_eq(printed, expected);
    profile_free(p);
}

static void expect_faults(const char *text, const char *expected)
{
    expect_faults_at(text, now(), expected);
}

static Suite *suite_of(const char *name, TCase **t)
{
    Suite *suite = suite_create(name);
    *t = tcase_create("credentials");
    tcase_add_unchecked_fixture(*t, make_files, fixture_leave);
    tcase_set_timeout(*t, 60);
    suite_add_tcase(suite, *t);
    return suite;
}

#endif
