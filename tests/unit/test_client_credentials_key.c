/* Our own key and certificate: files that a passphrase opens, containers, and a token, played by
 * tests/support/fake_token.py. Who enters passphrases and PINs is a program (TERN_ASKPASS) that
 * takes one line after the other from the file `answers`, and notes what it was asked. */
#include "client/credentials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/fixture.h"
#include "tests/support/support.h"

#define CANARY "kanarienvogel-4711"

static struct fault_list faults, notes;
static char here[512];

static void set_path(const char *variable, const char *name)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/%s", here, name);
    ck_assert_int_eq(setenv(variable, path, 1), 0);
}

static void make_files(void)
{
    fixture_enter();
    fixture_shell(
        "umask 077; set -e\n"
        "key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $1.key; }\n"
        "key root; openssl req -x509 -new -key root.key -subj /CN=root -days 400 -out root.pem\n"
        "for n in alice bob; do key $n; openssl req -new -key $n.key -subj /CN=$n |\n"
        "  openssl x509 -req -CA root.pem -CAkey root.key -set_serial 7 -days 200 -out $n.pem; "
        "done\n"
        "openssl x509 -in alice.pem -outform DER -out card.der; cp alice.key card.key\n"
        "openssl x509 -in root.pem -outform DER -out root.der\n"
        "openssl pkcs8 -topk8 -in alice.key -passout pass:" CANARY " -out locked.key\n"
        "openssl pkcs12 -export -inkey alice.key -in alice.pem -certfile root.pem"
        " -passout pass:" CANARY " -out alice.p12\n"
        "openssl pkcs12 -export -inkey alice.key -in alice.pem -passout pass: -out open.p12\n"
        "printf '" CANARY
        "\\n' >right; printf wrong >wrong; : >empty; cp right open; chmod 644 open\n"
        "cp %s/tests/support/fake_token.py fake; chmod 700 fake\n"
        "printf '#!/bin/sh\\ncd \"$(dirname $0)\"\\necho \"$1\" >>questions\\nhead -n 1 answers\\n"
        "sed -i 1d answers\\n' >ask; chmod 700 ask\n",
        TERN_SOURCE_DIR);
    ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
    set_path("TERN_ASKPASS", "ask");
    set_path("TERN_TOKEN", "fake");
}

static void answers(const char *lines)
{
    fixture_write("answers", span_text(lines));
    (void)unlink("questions");
}

static void expect_questions(const char *lines)
{
    struct span asked = access("questions", F_OK) == 0 ? fixture_read("questions") : SPAN_EMPTY;
    ck_assert_msg(span_equal(asked, span_text(lines)), "asked:\n%.*s", (int)asked.len,
                  (const char *)asked.data);
    free((void *)(uintptr_t)asked.data);
}

/* --- loading --- */

#define HEAD "[Gateway]\nAddress=a\nCA=root.pem\n[Local]\n"

static struct profile *profile_of(const char *local)
{
    char text[2048];
    struct profile *p = NULL;
    snprintf(text, sizeof(text), HEAD "%s", local);
    fault_list_init(&faults);
    fault_list_init(&notes);
    fixture_write("p.conf", span_text(text));
    ck_assert_int_eq(chmod("p.conf", 0600), 0);
    enum err e = profile_load("p.conf", &p, &faults);
    ck_assert_msg(e == ERR_OK, "%s: %s", local, faults.items[0].fault.text);
    return p;
}

static void expect_alice(const char *local, size_t certificates)
{
    char text[IDENTITY_TEXT_MAX];
    struct profile *p = profile_of(local);
    struct credentials *c = NULL;
    enum err e = credentials_load(p, (int64_t)time(NULL), &c, &faults);
    ck_assert_msg(e == ERR_OK, "%s: %s", local, faults.items[0].fault.text);
    ck_assert_uint_eq(c->own.chain.count, certificates);
    ck_assert_str_eq(certificate_subject(c->own.chain.items[0], text), "CN=alice");
    ck_assert(private_key_matches(c->own.key, certificate_key(c->own.chain.items[0])));
    ck_assert_int_eq(c->identity.type, IDENTITY_DN);
    enum auth_method method;
    uint8_t out[SIGNATURE_MAX];
    size_t len = 0;
    struct fault f = {0};
    struct span message = span_text("message");
    e = signature_make(c->own.key, 1 << HASH_SHA2_256, true, message, &method, out, &len, &f);
    ck_assert_msg(e == ERR_OK, "%s: %s", local, f.text);
    ck_ok(signature_verify(certificate_key(c->own.chain.items[0]), method, message,
                           span_make(out, len)));
    credentials_free(c);
    profile_free(p);
}

/* [User] has alice's key, and the machine has none. */
static void expect_user(const char *local, bool on_token)
{
    struct profile *p = profile_of(local);
    struct credentials *c = NULL;
    enum err e = credentials_load(p, (int64_t)time(NULL), &c, &faults);
    ck_assert_msg(e == ERR_OK, "%s: %s", local, faults.items[0].fault.text);
    const struct own_credentials *own = &c->user_own;
    ck_assert_uint_eq(own->chain.count, 1);
    ck_assert(private_key_matches(own->key, certificate_key(own->chain.items[0])));
    ck_assert_int_eq(own->token != NULL, on_token);
    ck_assert_ptr_null(c->own.key);
    ck_assert_ptr_null(c->own.token);
    credentials_free(c);
    profile_free(p);
}

static void expect_fault(const char *local, unsigned line, const char *words)
{
    struct profile *p = profile_of(local);
    struct credentials *c = NULL;
    ck_err(credentials_load(p, (int64_t)time(NULL), &c, &faults), ERR_MALFORMED);
    ck_assert_ptr_null(c);
    ck_assert_msg(faults.count == 1 && faults.items[0].line == line &&
                      strstr(faults.items[0].fault.text, words) != NULL,
                  "%s: %zu faults, line %u: %s", local, faults.count, faults.items[0].line,
                  faults.items[0].fault.text);
    ck_assert_ptr_null(strstr(faults.items[0].fault.text, CANARY));
    ck_assert_ptr_null(strstr(faults.items[0].fault.hint, CANARY));
    profile_free(p);
}

#define LOCKED_KEY "Certificate=alice.pem\nPrivateKey=locked.key\n"

/* --- passphrases --- */

START_TEST(passphrases_that_are_kept)
{
    answers("");
    expect_alice(LOCKED_KEY "PassphraseFile=right\n", 1);
    expect_alice(LOCKED_KEY "Passphrase=" CANARY "\n", 1);
    expect_alice("PKCS12=alice.p12\nPassphraseFile=right\n", 1);
    expect_alice("PKCS12=open.p12\n", 1);
    expect_alice("PKCS12=open.p12\nPassphrase=for nothing\n", 1);
    expect_alice("Certificate=alice.pem\nPrivateKey=alice.key\nPassphraseFile=right\n", 1);
    expect_fault(LOCKED_KEY "PassphraseFile=wrong\n", 7,
                 "the passphrase that is given does not open locked.key");
    expect_fault("PKCS12=alice.p12\nPassphrase=wrong\n", 6,
                 "the passphrase that is given does not open alice.p12");
    expect_fault(LOCKED_KEY "PassphraseFile=absent\n", 7, "absent: no such file");
    expect_fault(LOCKED_KEY "PassphraseFile=empty\n", 7, "empty is empty");
    expect_fault(LOCKED_KEY "PassphraseFile=open\n", 7, "open is open to other users");
    expect_fault("PKCS12=absent.p12\n", 5, "absent.p12: no such file");
    expect_fault("PKCS12=alice.pem\n", 5, "alice.pem: the data is no PKCS#12 container");
    expect_fault("Certificate=bob.pem\nPrivateKey=locked.key\nPassphraseFile=right\n", 6,
                 "locked.key is not the key of the certificate in bob.pem");
    expect_questions(""); /* not a word to anybody */
}
END_TEST

START_TEST(passphrases_of_systemd)
{
    ck_assert(fixture_try("mkdir -p handed && cp right handed/p.passphrase"));
    set_path("CREDENTIALS_DIRECTORY", "handed");
    answers("");
    expect_alice(LOCKED_KEY, 1);
    expect_alice(LOCKED_KEY "Passphrase=wrong\n", 1); /* it comes first */
    ck_assert(fixture_try("cp wrong handed/p.passphrase"));
    expect_fault(LOCKED_KEY, 4, "the passphrase that is given does not open locked.key");
    expect_questions("");
    ck_assert_int_eq(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}
END_TEST

START_TEST(passphrases_that_are_asked_for)
{
    answers(CANARY "\n");
    expect_alice(LOCKED_KEY, 1);
    expect_questions("Passphrase of locked.key for p\n");

    answers("wrong\nwrong\n" CANARY "\n");
    expect_alice("PKCS12=alice.p12\n", 1);
    expect_questions("Passphrase of alice.p12 for p\n"
                     "Wrong passphrase; once more the passphrase of alice.p12 for p\n"
                     "Wrong passphrase; once more the passphrase of alice.p12 for p\n");

    answers("wrong\nwrong\nwrong\n" CANARY "\n");
    expect_fault(LOCKED_KEY, 6, "the passphrase of locked.key was wrong 3 times");

    answers("");
    expect_fault(LOCKED_KEY, 6, "locked.key is encrypted: nothing was entered");
}
END_TEST

/* The second proof's key (RFC 4739) has a passphrase of its own. */
START_TEST(passphrase_of_the_user)
{
#define USER                                                                                       \
    "Identity=laptop7\nPresharedKey=k\n[User]\nAuthentication=certificate\n"                       \
    "Certificate=alice.pem\nPrivateKey=locked.key\n"
    answers("wrong\n" CANARY "\n");
    expect_user(USER, false);
    expect_questions("Passphrase of locked.key for p\n"
                     "Wrong passphrase; once more the passphrase of locked.key for p\n");

    ck_assert(fixture_try("mkdir -p given && cp right given/p.user-passphrase && "
                          "cp wrong given/p.passphrase"));
    set_path("CREDENTIALS_DIRECTORY", "given");
    answers("");
    expect_user(USER, false);
    expect_questions("");
    ck_assert_int_eq(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    expect_fault(USER, 10, "locked.key is encrypted: nothing was entered");

    answers("");
    expect_user(USER "PassphraseFile=right\n", false);
    expect_questions("");
    expect_fault(USER "PassphraseFile=wrong\n", 11, "the passphrase that is given does not open");
}
END_TEST

/* --- a token --- */

#define ON_CARD "PrivateKey=pkcs11:token=fake\n"

static void card(const char *pin, unsigned tries)
{
    char text[8];
    snprintf(text, sizeof(text), "%u", tries);
    fixture_write("card.tries", span_text(text));
    (void)unlink("card.pin");
    (void)unlink("card.pinpad");
    (void)unlink("card.log");
    if (pin != NULL)
        fixture_write("card.pin", span_text(pin));
}

static void expect_tries(const char *left)
{
    struct span tries = fixture_read("card.tries");
    ck_span_eq(tries, span_text(left));
    free((void *)(uintptr_t)tries.data);
}

START_TEST(tokens)
{
    answers("");
    card(NULL, 3);
    expect_alice(ON_CARD, 1);
    expect_alice("Certificate=pkcs11:token=fake\n", 1);
    expect_alice("Certificate=alice.pem\n" ON_CARD, 1);
    /* which one the key is for, it shows once it signs */
    struct profile *p = profile_of("Certificate=bob.pem\n" ON_CARD);
    struct credentials *c = NULL;
    ck_ok(credentials_load(p, (int64_t)time(NULL), &c, &faults));
    enum auth_method method;
    uint8_t out[SIGNATURE_MAX];
    size_t len = 0;
    struct fault f = {0};
    ck_err(signature_make(c->own.key, 0, true, span_text("x"), &method, out, &len, &f),
           ERR_REFUSED);
    ck_assert_str_eq(f.text, "what our key made is no signature that our certificate verifies");
    credentials_free(c);
    profile_free(p);
    /* several on the card */
    ck_assert(fixture_try("cp root.der card.1.der"));
    expect_alice(ON_CARD, 2);
    ck_assert(fixture_try("rm card.1.der; mv card.der kept.der"));
    expect_fault(ON_CARD, 5, "has no certificate with the key's id: set Certificate");
    ck_assert(fixture_try("cp alice.key card.der"));
    expect_fault(ON_CARD, 5, "the data is not a certificate");
    ck_assert(fixture_try("mv kept.der card.der"));
    expect_questions("");
}
END_TEST

START_TEST(pins_that_are_kept)
{
    answers("");
    card("4711", 3);
    ck_assert(fixture_try("printf '4711\\n' >pin; printf 4712 >badpin; chmod 600 pin badpin; "
                          "cp pin openpin; chmod 644 openpin"));
    char local[1024];
    expect_alice("PrivateKey=pkcs11:token=fake?pin-value=4711\n", 1);
    snprintf(local, sizeof(local), "PrivateKey=pkcs11:token=fake?pin-source=file:%s/pin\n", here);
    expect_alice(local, 1);
    snprintf(local, sizeof(local), "PrivateKey=pkcs11:token=fake?pin-source=%s/openpin\n", here);
    expect_fault(local, 5, "openpin is open to other users");
    expect_tries("3");
    /* A wrong one costs one try each time, but for the last, which is a person's to risk. */
    snprintf(local, sizeof(local), "PrivateKey=pkcs11:token=fake?pin-source=%s/badpin\n", here);
    expect_fault(local, 5, "is not that of the token \"fake\\x1b[31m card\" (few tries are left");
    expect_tries("2");
    expect_fault(local, 5, "(the last try before it is locked)");
    expect_tries("1");
    expect_questions("");
    expect_fault(local, 5, "wants its PIN (the last try before it is locked): nothing was entered");
    expect_tries("1");
    expect_questions("PIN of the token \"fake\\x1b[31m card\" for p (the last try before it is "
                     "locked)\n");
    answers("4711\n");
    expect_alice(local, 1);
    expect_tries("3");
    /* systemd's comes first */
    ck_assert(fixture_try("mkdir -p handed && cp pin handed/p.pin"));
    set_path("CREDENTIALS_DIRECTORY", "handed");
    expect_alice(local, 1);
    ck_assert_int_eq(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}
END_TEST

/* The second proof's token is another one, or the same once more, with a PIN of its own. */
START_TEST(token_of_the_user)
{
#define USER_ON_CARD "Identity=laptop7\nPresharedKey=k\n[User]\n" ON_CARD
    card("4711", 3);
    answers("1\n4711\n");
    expect_user(USER_ON_CARD, true);
    expect_questions("PIN of the token \"fake\\x1b[31m card\" for p\n"
                     "Wrong PIN; once more the PIN of the token \"fake\\x1b[31m card\" for p (few "
                     "tries are left before it is locked)\n");

    ck_assert(fixture_try("mkdir -p hers && printf 4711 >hers/p.user-pin && printf 1 >hers/p.pin "
                          "&& chmod 600 hers/*"));
    set_path("CREDENTIALS_DIRECTORY", "hers");
    answers("");
    expect_user(USER_ON_CARD, true);
    expect_tries("3");
    expect_questions("");
    ck_assert(fixture_try("printf 2 >hers/p.user-pin"));
    expect_fault(USER_ON_CARD, 7, "the PIN that is given is not that of the token");
    ck_assert_int_eq(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}
END_TEST

START_TEST(pins_that_are_asked_for)
{
    card("4711", 3);
    answers("1\n2\n4711\n");
    expect_alice(ON_CARD, 1);
    expect_questions("PIN of the token \"fake\\x1b[31m card\" for p\n"
                     "Wrong PIN; once more the PIN of the token \"fake\\x1b[31m card\" for p (few "
                     "tries are left "
                     "before it is locked)\n"
                     "Wrong PIN; once more the PIN of the token \"fake\\x1b[31m card\" for p (the "
                     "last try before "
                     "it is locked)\n");
    expect_tries("3");
    answers("1\n2\n3\n4711\n");
    expect_fault(ON_CARD, 5, "the PIN of the token \"fake\\x1b[31m card\" is locked");
    expect_tries("0");
    answers("4711\n");
    expect_fault(ON_CARD, 5, "is locked"); /* nobody is asked */
    expect_questions("");
    card("4711", 9); /* a patient one */
    answers("1\n2\n3\n4711\n");
    expect_fault(ON_CARD, 5, "was wrong 3 times");
    expect_tries("6");
}
END_TEST

START_TEST(readers_with_keys_of_their_own)
{
    answers("");
    card("4711", 3);
    fixture_write("card.pinpad", span_text("4711"));
    expect_alice(ON_CARD, 1);
    fixture_write("card.pinpad", span_text("1"));
    expect_fault(ON_CARD, 5, "was wrong (few tries are left");
    expect_questions("");
    ck_assert(fixture_try("grep -qx 'login 0' card.log"));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("client_credentials_key");
    TCase *t = tcase_create("key");
    tcase_add_unchecked_fixture(t, make_files, fixture_leave);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, passphrases_that_are_kept);
    tcase_add_test(t, passphrases_of_systemd);
    tcase_add_test(t, passphrases_that_are_asked_for);
    tcase_add_test(t, passphrase_of_the_user);
    tcase_add_test(t, tokens);
    tcase_add_test(t, pins_that_are_kept);
    tcase_add_test(t, token_of_the_user);
    tcase_add_test(t, pins_that_are_asked_for);
    tcase_add_test(t, readers_with_keys_of_their_own);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
