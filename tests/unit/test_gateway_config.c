/* The gateway's configuration file: what it may say, and that every fault names its line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/support.h"
#include "tools/gateway/config.h"

static char path[] = "/tmp/tern-gateway-config-XXXXXX";

static void write_config(const char *text, mode_t mode)
{
    memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
    ck_assert_int_eq(fchmod(fd, mode), 0);
    ck_assert_int_eq(close(fd), 0);
}

static enum err load(const char *text, struct gateway_config *c, struct fault *f)
{
    *f = (struct fault){.code = ERR_OK};
    write_config(text, 0600);
    enum err err = gateway_config_load(path, c, f);
    ck_assert_int_eq(unlink(path), 0);
    return err;
}

START_TEST(all_keys)
{
    static const char text[] = "# a gateway\n"
                               "[Gateway]\n"
                               "Listen = 192.0.2.1, 2001:db8::1\n"
                               "Listen = 192.0.2.2\n"
                               "Port = 5500\n"
                               "NatPort = 5501\n"
                               "Identity = vpn.example.com\n"
                               "PresharedKey = for everyone # and this\n"
                               "Pool = 10.7.0.0/24, fd07::/64\n"
                               "DNS = 10.9.0.53\n"
                               "Networks = 10.9.0.5/24\n"
                               "Interface = gw0\n"
                               "IKE = aes256-sha256-modp2048\n"
                               "ESP = aes256gcm16\n"
                               "MOBIKE = no\n"
                               "Cookies = always\n"
                               "Redirect = 192.0.2.7\n"
                               "RequirePPK = yes\n"
                               "SecondProof = required\n"
                               "[User alice@example.com]\n"
                               "PresharedKey = hers\n"
                               "[PPK alice at work]\n"
                               "Key = 0x0123\n";
    struct gateway_config c;
    struct fault f;
    char out[SELECTOR_LIST_TEXT_MAX];
    char proposals[PROPOSAL_LIST_TEXT_MAX];
    struct identity alice;

    ck_ok(load(text, &c, &f));
    ck_assert_uint_eq(c.listen_count, 3);
    ck_assert_str_eq(ip_format(&c.listen[1], out), "2001:db8::1");
    ck_assert_str_eq(ip_format(&c.listen[2], out), "192.0.2.2");
    ck_assert_uint_eq(c.port, 5500);
    ck_assert_uint_eq(c.nat_port, 5501);
    ck_span_eq(secret_span(&c.psk), span_text("for everyone # and this"));
    ck_assert_uint_eq(c.pool_count, 2);
    ck_assert_uint_eq(c.dns_count, 1);
    ck_assert_str_eq(selector_list_format(&c.networks, out), "10.9.0.0/24");
    ck_assert_str_eq(c.interface, "gw0");
    ck_assert_str_eq(proposal_list_format(&c.esp, proposals), "aes256gcm16");
    ck_assert(!c.mobike);
    ck_assert_int_eq(c.cookies, GATEWAY_COOKIES_ALWAYS);
    const struct ip elsewhere = ip_v4(192, 0, 2, 7);
    ck_assert(ip_equal(&c.redirect.ip, &elsewhere));
    ck_ok(identity_parse("alice@example.com", &alice));
    ck_assert_ptr_nonnull(c.users);
    ck_assert_ptr_null(c.users->next);
    ck_assert(identity_equal(&c.users->identity, &alice));
    ck_span_eq(secret_span(&c.users->psk), span_text("hers"));
    ck_assert(c.require_ppk);
    ck_assert_int_eq(c.second_proof, SESSION_SECOND_REQUIRED);
    ck_assert_str_eq(c.ppks->id, "alice at work");
    ck_span_eq(secret_span(&c.ppks->key), span_make("\x01\x23", 2));
    gateway_config_wipe(&c);
    ck_assert_uint_eq(c.psk.len, 0);
}
END_TEST

START_TEST(defaults)
{
    struct gateway_config c;
    struct fault f;
    char out[SELECTOR_LIST_TEXT_MAX];

    ck_ok(load("[Gateway]\nIdentity=gw\nPresharedKey=x\nPool=10.7.0.0/24\n", &c, &f));
    ck_assert_uint_eq(c.listen_count, 0);
    ck_assert_uint_eq(c.port, 500);
    ck_assert_uint_eq(c.nat_port, 4500);
    ck_assert_str_eq(selector_list_format(&c.networks, out), "0.0.0.0/0,::/0");
    ck_assert_uint_gt(c.ike.count, 0);
    ck_assert_uint_gt(c.esp.count, 0);
    ck_assert_int_eq(c.cookies, GATEWAY_COOKIES_AUTO);
    gateway_config_wipe(&c);
}
END_TEST

#define BASE "[Gateway]\nIdentity=gw\nPresharedKey=x\nPool=10.7.0.0/24\n"

START_TEST(faults_name_the_line)
{
    static const struct {
        const char *text;
        unsigned line; /* 0: none to blame */
        const char *words;
    } cases[] = {
        {BASE "Prot=1\n", 5, "no key \"Prot\""},
        {BASE "port=1\n", 5, "no key \"port\""}, /* CamelCase is the spelling */
        {BASE "Port=0\n", 5, "port"},
        {BASE "Port=65536\n", 5, "port"},
        {BASE "Port=5OO\n", 5, "port"},
        {BASE "Identity=again\n", 5, "twice"},
        {BASE "Listen=192.0.2\n", 5, "\"192.0.2\""},
        {BASE "Listen=192.0.2.1,,::1\n", 5, "empty item"},
        {BASE "Pool=10.7.0.128/25\n", 5, "overlaps"},
        {BASE "Pool=10.8.0.0/31\n", 5, "no address"},
        {BASE "Pool=10.8.0.0/33\n", 5, "not a prefix"},
        {BASE "\n\nNetworks=10.9.0.0/24, ten\n", 7, "\"ten\""},
        {BASE "Interface=a-name-that-is-long\n", 5, "interface name"},
        {BASE "IKE=aes256gcm16-prfsha256-x25518\n", 5, "x25518"},
        {BASE "ESP=rot13\n", 5, "rot13"},
        {BASE "MOBIKE=maybe\n", 5, "yes or no"},
        {BASE "Cookies=chocolate\n", 5, "always"},
        {BASE "Certificate=/nonexistent/cert.pem\n", 5, "/nonexistent/cert.pem"},
        {BASE "CA=/nonexistent/ca.pem\n", 5, "/nonexistent/ca.pem"},
        {BASE "SendCRL=/nonexistent/a.crl\n", 5, "/nonexistent/a.crl"},
        {BASE "SendOCSP=/etc/hostname, /nonexistent/a.ocsp\n", 5, "/nonexistent/a.ocsp"},
        {BASE "not a key\n", 5, "qual sign"},
        {BASE "[Tunnel]\nRoutes=::/0\n", 6, "[Tunnel]"},
        {BASE "[Tunnel]\n", 0, "[Tunnel]"},
        {BASE "[User a]\nPassword=secret\n", 0, "EAP needs a Certificate"},
        {BASE "[User a]\nPassword=\n", 6, "1 to 512 octets"},
        {BASE "EAPMethods=md5, ttls\n", 5, "\"ttls\""},
        {BASE "EAPMethods=md5, tls\n", 0, "EAPMethods has tls, which needs Certificate and CA"},
        {BASE "EAPOnly=yes\n", 0, "EAPOnly = yes needs EAPMethods = tls"},
        {BASE "EAPOnly=maybe\n", 5, "yes or no"},
        {BASE "EAPMethods=md5, md5\n", 5, "md5 twice"},
        {BASE "[User a]\nPresharedKey=\n", 6, "empty"},
        {BASE "[User a]\n", 0, "neither PresharedKey nor Password"},
        {BASE "SecondProof=maybe\n", 5, "no, yes or required"},
        {BASE "RequirePPK=yes\n", 0, "needs a [PPK] section"},
        {BASE "[PPK a]\nKye=x\n", 6, "no key \"Kye\""},
        {BASE "[PPK a]\nKey=0x1\n", 6, "pairs of hexadecimal digits"},
        {"[Gateway]\nIdentity=gw\nPresharedKey=x\n", 0, "Pool="},
        {"[Gateway]\nIdentity=gw\nPool=10.7.0.0/24\n", 0, "clients need"},
        {"[Gateway]\nPresharedKey=x\nPool=10.7.0.0/24\n", 0, "Identity="},
        {"", 1, ""},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gateway_config c;
        struct fault f;
        char start[64];

        ck_assert_msg(load(cases[i].text, &c, &f) != ERR_OK, "accepted: %s", cases[i].text);
        gateway_config_wipe(&c);
        if (cases[i].line == 0)
            snprintf(start, sizeof(start), "%s: ", path);
        else
            snprintf(start, sizeof(start), "%s:%u: ", path, cases[i].line);
        ck_assert_msg(strncmp(f.text, start, strlen(start)) == 0, "%s: %s", cases[i].text, f.text);
        ck_assert_msg(strstr(f.text, cases[i].words) != NULL, "%s: %s", cases[i].text, f.text);
        ck_assert_ptr_null(strstr(f.text, "secret"));
    }
}
END_TEST

START_TEST(a_secret_that_others_can_read)
{
    struct gateway_config c;
    struct fault f = {.code = ERR_OK};

    write_config(BASE, 0640);
    ck_err(gateway_config_load(path, &c, &f), ERR_REFUSED);
    gateway_config_wipe(&c);
    ck_assert_ptr_nonnull(strstr(f.text, ":3: "));
    ck_assert_ptr_nonnull(strstr(f.hint, "chmod"));
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(no_such_file)
{
    struct gateway_config c;
    struct fault f = {.code = ERR_OK};

    ck_err(gateway_config_load("/nonexistent/gateway.conf", &c, &f), ERR_NOT_FOUND);
    gateway_config_wipe(&c);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("gateway_config");
    TCase *t = tcase_create("config");

    tcase_add_test(t, all_keys);
    tcase_add_test(t, defaults);
    tcase_add_test(t, faults_name_the_line);
    tcase_add_test(t, a_secret_that_others_can_read);
    tcase_add_test(t, no_such_file);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
