/* What a profile has beside one proof of ours: a post-quantum pre-shared key (RFC 8784), and a user
 * after the machine (RFC 4739). From the text to the core's configuration, and every mistake at its
 * line. */
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

/* --- [User] --- */

#define CERTIFIED                                                                                  \
    "[Gateway]\nAddress=a\nCA=alice.pem\n[Local]\nIdentity=m\nPresharedKey=0x00\n" /* 1 to 6 */

static void make_certificate(void)
{
    fixture_enter();
    fixture_shell("umask 077\n"
                  "openssl ecparam -genkey -name prime256v1 -noout -out alice.key\n"
                  "openssl req -new -x509 -key alice.key -subj /CN=alice -days 30 -out alice.pem "
                  "-addext subjectAltName=email:alice@example.com\n"
                  "openssl ecparam -genkey -name prime256v1 -noout -out other.key\n"
                  "printf 'a key of hers' >alice.psk");
}

static void ck_second(enum session_auth auth, const char *id)
{
    char text[IDENTITY_TEXT_MAX];
    ck_assert_int_eq(config.local_auth, SESSION_AUTH_PSK);
    ck_assert_str_eq(identity_format(&config.local_id, text), "m");
    ck_assert_int_eq(config.second.auth, auth);
    ck_assert_str_eq(identity_format(&config.second.id, text), id);
}

START_TEST(no_user)
{
    load_good(CERTIFIED);
    ck_assert_int_eq(config.second.auth, 0);
}
END_TEST

START_TEST(user_by_eap)
{
    load_good(CERTIFIED "[User]\nUserName=alice\nPassword=hers\nEAPMethods=gtc\n");
    ck_second(SESSION_AUTH_EAP, "alice");
    ck_assert_str_eq(config.eap.name, "alice");
    ck_assert_uint_eq(config.eap.methods[0], EAP_GTC);
    ck_span_eq(secret_span(&config.eap.password), span_text("hers"));
    load_good(CERTIFIED "[User]\nIdentity=alice@example.com\nPasswordFile=alice.psk\n");
    ck_second(SESSION_AUTH_EAP, "alice@example.com");
    ck_assert_str_eq(config.eap.name, "alice@example.com");
    ck_assert_uint_eq(config.eap.methods[0], EAP_MSCHAPV2);
    ck_span_eq(secret_span(&config.eap.password), span_text("a key of hers"));
    load_good(CERTIFIED "[User]\nAuthentication=eap\nUserName=alice\nIdentity=a@b.example\n");
    ck_second(SESSION_AUTH_EAP, "a@b.example");
    ck_assert(credentials_lack_password(profile, credentials));
}
END_TEST

START_TEST(user_by_key_or_certificate)
{
    load_good(CERTIFIED "[User]\nIdentity=alice\nPresharedKey=0x0102\n");
    ck_second(SESSION_AUTH_PSK, "alice");
    ck_span_eq(secret_span(&config.second.psk), span_make("\1\2", 2));
    ck_span_eq(secret_span(&config.local_psk), span_make("\0", 1));
    load_good(CERTIFIED "[User]\nIdentity=alice\nPresharedKeyFile=alice.psk\n");
    ck_span_eq(secret_span(&config.second.psk), span_text("a key of hers"));
    ck_err(load(CERTIFIED "[User]\nCertificate=alice.pem\nPrivateKey=alice.key\n"),
           ERR_MALFORMED); /* nothing is wrong with it but the time, which is 1970 here */
    ck_assert_msg(strstr(printed, "office.conf:8: our certificate is valid from") == printed, "%s",
                  printed);
}
END_TEST

START_TEST(faults_of_user)
{
    static const struct mistake mistakes[] = {
        {CERTIFIED "[User]\n", "office.conf:7: Authentication = eap needs UserName\n"},
        {CERTIFIED "[User]\nAuthentication=eap\nPassword=x\n",
         "office.conf:8: Authentication = eap needs UserName\n"},
        {CERTIFIED "[User]\nUserName=a\nAuthentication=password\n",
         "office.conf:9: Authentication = password: expected eap, certificate or psk\n"},
        {CERTIFIED "[User]\nUserName=a\nPassword=x\nPasswordFile=y\n",
         "office.conf:10: Password and PasswordFile are both given; keep one\n"},
        {CERTIFIED "[User]\nAuthentication=psk\nIdentity=a\n",
         "office.conf:8: Authentication = psk needs PresharedKey or PresharedKeyFile\n"},
        {CERTIFIED "[User]\nPresharedKey=x\n",
         "office.conf:7: [User] needs an Identity with Authentication = psk\n"},
        {CERTIFIED "[User]\nIdentity=a\nPresharedKey=x\nPresharedKeyFile=y\n",
         "office.conf:10: PresharedKey and PresharedKeyFile are both given; keep one\n"},
        {CERTIFIED "[User]\nCertificate=alice.pem\n",
         "office.conf:7: Authentication = certificate needs PrivateKey\n"},
        {CERTIFIED "[User]\nPrivateKey=alice.key\n",
         "office.conf:7: Authentication = certificate needs Certificate\n"},
        {CERTIFIED "[User]\nUserName=a\nRoutes=::/0\n",
         "office.conf:9: unknown key Routes in [User]\n"},
        {CERTIFIED "UserName=b\n[User]\nUserName=a\n",
         "office.conf:9: UserName stands in [Local] and in [User]; keep this one\n"},
        {"[Gateway]\nAddress=a\nCA=alice.pem\n[Local]\nUserName=b\n[User]\nIdentity=a\n"
         "PresharedKey=x\n",
         "office.conf:6: [User] is proven after the machine: set Authentication = certificate or "
         "psk in [Local], or leave [User] out\n"},
        {GATEWAY LOCAL "[User]\nUserName=a\n",
         "office.conf:7: Authentication = eap needs a gateway that proves itself by a certificate: "
         "set Authentication = certificate in [Gateway]\n"},
    };
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++)
        expect_faults(&mistakes[i]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_profile_proof");
    TCase *c = tcase_create("profile");
    tcase_add_unchecked_fixture(c, make_certificate, fixture_leave);
    tcase_add_checked_fixture(c, NULL, forget);
    tcase_add_test(c, no_ppk);
    tcase_add_test(c, ppk);
    tcase_add_test(c, faults_of_ppk);
    tcase_add_test(c, a_ppk_that_others_can_read);
    tcase_add_test(c, no_user);
    tcase_add_test(c, user_by_eap);
    tcase_add_test(c, user_by_key_or_certificate);
    tcase_add_test(c, faults_of_user);
    suite_add_tcase(s, c);
    return support_run(s);
}
