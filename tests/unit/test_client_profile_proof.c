/* What a profile has beside one proof of ours: a post-quantum pre-shared key (RFC 8784). From the
 * text to the core's configuration, and every mistake at its line. */
#include "client/credentials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/fixture.h"
#include "tests/support/support.h"

#define FILE_NAME "office.conf"
#define GATEWAY                                                                                    \
    "[Gateway]\nAddress=a\nAuthentication=psk\nPresharedKey=0x00\n" /* lines 1 to 4                \
                                                                     */
#define LOCAL "[Local]\nIdentity=b\n"                               /* and 5, 6 */

static struct fault_list faults;
static char printed[8192];
static struct profile *profile;
static struct credentials *credentials;
static struct session_config config;

static void forget(void)
{
    credentials_free(credentials);
    profile_free(profile);
    credentials = NULL;
    profile = NULL;
    wipe(&config, sizeof(config));
}

static enum err load(const char *text)
{
    forget();
    fixture_write(FILE_NAME, span_text(text));
    ck_assert_int_eq(chmod(FILE_NAME, 0600), 0);
    fault_list_init(&faults);
    enum err e = profile_load(FILE_NAME, &profile, &faults);
    if (e == ERR_OK)
        e = credentials_load(profile, 0, &credentials, &faults);
    memset(printed, 0, sizeof(printed));
    FILE *f = fmemopen(printed, sizeof(printed), "w");
    ck_assert_ptr_nonnull(f);
    fault_list_print(&faults, FILE_NAME, f);
    ck_assert_int_eq(fclose(f), 0);
    return e;
}

static void load_good(const char *text)
{
    enum err e = load(text);
    ck_assert_msg(e == ERR_OK && printed[0] == '\0', "%s: %s", text, printed);
    credentials_session_config(profile, credentials, &config);
}

struct mistake {
    const char *text, *expected;
};

static void expect_faults(const struct mistake *m)
{
    ck_err(load(m->text), ERR_MALFORMED);
    ck_assert_msg(strcmp(printed, m->expected) == 0, "%s:\n%s\nnot:\n%s", m->text, printed,
                  m->expected);
}

/* --- PPK --- */

#define KEY "thirty-two octets, or so they say"

START_TEST(no_ppk)
{
    load_good(GATEWAY LOCAL);
    ck_assert_int_eq(config.ppk.use, SESSION_PPK_OFF);
    load_good(GATEWAY "RequirePPK=no\n" LOCAL);
    ck_assert_int_eq(config.ppk.use, SESSION_PPK_OFF);
}
END_TEST

START_TEST(ppk)
{
    load_good(GATEWAY LOCAL "PPK=" KEY "\nPPKIdentity=alice at work\n");
    ck_assert_int_eq(config.ppk.use, SESSION_PPK_REQUIRED);
    ck_span_eq(secret_span(&config.ppk.key), span_text(KEY));
    ck_assert_str_eq(config.ppk.id, "alice at work");
    load_good(GATEWAY "RequirePPK=no\n" LOCAL "PPK=" KEY "\nPPKIdentity=alice\n");
    ck_assert_int_eq(config.ppk.use, SESSION_PPK_OPTIONAL);
    load_good(GATEWAY LOCAL "PPK=0x000102030405060708090a0b0c0d0e0f\nPPKIdentity=alice\n");
    ck_assert_uint_eq(config.ppk.key.len, 16);
    ck_assert_uint_eq(config.ppk.key.data[15], 15);
    fixture_write("office.ppk", span_text(KEY "\n"));
    ck_assert_int_eq(chmod("office.ppk", 0600), 0);
    load_good(GATEWAY LOCAL "PPKFile=office.ppk\nPPKIdentity=alice\n");
    ck_span_eq(secret_span(&config.ppk.key), span_text(KEY));
}
END_TEST

START_TEST(faults_of_ppk)
{
    static const struct mistake mistakes[] = {
        {GATEWAY LOCAL "PPK=" KEY "\n",
         "office.conf:7: a PPK needs PPKIdentity, which is what the gateway calls it\n"},
        {GATEWAY LOCAL "PPKFile=x\n",
         "office.conf:7: a PPK needs PPKIdentity, which is what the gateway calls it\n"},
        {GATEWAY LOCAL "PPKIdentity=a\n", "office.conf:7: PPKIdentity needs PPK or PPKFile\n"},
        {GATEWAY LOCAL "PPKIdentity=a\nPPK=" KEY "\nPPKFile=x\n",
         "office.conf:9: PPK and PPKFile are both given; keep one\n"},
        {GATEWAY "RequirePPK=yes\n" LOCAL,
         "office.conf:5: RequirePPK = yes needs PPKIdentity and PPK or PPKFile in [Local]\n"},
        {GATEWAY "RequirePPK=optional\n" LOCAL,
         "office.conf:5: RequirePPK = optional: expected yes or no\n"},
        {GATEWAY LOCAL "PPKIdentity=a\nPPK=0x123\n",
         "office.conf:8: PPK begins with 0x and goes on with something else than pairs of "
         "hexadecimal digits\n"},
        {GATEWAY LOCAL "PPKIdentity=a\nPPK=fifteen octets!\n",
         "office.conf:8: the PPK has 15 octets; it needs 16, and 32 random ones are good\n"},
        {GATEWAY LOCAL "PPKIdentity=a\nPPKFile=absent.ppk\n",
         "office.conf:8: absent.ppk: no such file\n"},
    };
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++)
        expect_faults(&mistakes[i]);
}
END_TEST

/* A profile with a PPK is a secret itself. */
START_TEST(a_ppk_that_others_can_read)
{
    (void)load(GATEWAY LOCAL);
    fixture_write(FILE_NAME,
                  span_text("[Gateway]\nAddress=a\nAuthentication=psk\nPresharedKeyFile=x\n" LOCAL
                            "PPKIdentity=a\nPPK=" KEY "\n"));
    ck_assert_int_eq(chmod(FILE_NAME, 0640), 0);
    forget();
    fault_list_init(&faults);
    ck_err(profile_load(FILE_NAME, &profile, &faults), ERR_MALFORMED);
    ck_assert_uint_eq(faults.items[0].line, 8);
    ck_assert_ptr_nonnull(strstr(faults.items[0].fault.text, "open to other users"));
    ck_assert_ptr_null(strstr(faults.items[0].fault.text, KEY));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_profile_proof");
    TCase *c = tcase_create("ppk");
    tcase_add_unchecked_fixture(c, fixture_enter, fixture_leave);
    tcase_add_checked_fixture(c, NULL, forget);
    tcase_add_test(c, no_ppk);
    tcase_add_test(c, ppk);
    tcase_add_test(c, faults_of_ppk);
    tcase_add_test(c, a_ppk_that_others_can_read);
    suite_add_tcase(s, c);
    return support_run(s);
}
