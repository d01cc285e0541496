/* Profiles: every mistake is told at its line, all of them at once. */
#include "tests/unit/profile_scene.h"

#define OK_HEAD "[Gateway]\nAddress = a.example\n[Local]\nIdentity = b\nPresharedKeyFile = k\n"

START_TEST(faults_of_single_keys)
{
    /* `more` follows five good lines; the fault is on the last of them. */
    static const struct {
        const char *section, *line, *words;
    } cases[] = {
        {"Gateway", "Port = 0", "Port = 0 is not a port (1 to 65535)"},
        {"Gateway", "Port = 65536", "Port = 65536 is not a port (1 to 65535)"},
        {"Gateway", "Port = 5OO", "Port = 5OO is not a port (1 to 65535)"},
        {"Gateway", "Address = b..c", "Address = b..c is neither a host name nor an address"},
        {"Gateway", "Address = 192.0.2.256",
         "Address = 192.0.2.256 is neither a host name nor an address"},
        {"Gateway", "Address = 0.0.0.0", "Address = 0.0.0.0 cannot be a gateway's address"},
        {"Gateway", "Address = ff02::1", "Address = ff02::1 cannot be a gateway's address"},
        {"Gateway", "Address = b,,c", "an item of Address is empty"},
        {"Gateway", "Address = b,", "an item of Address is empty"},
        {"Gateway", "Address = b,c,d,e,f,g,h,i", "Address has more than 8 items"},
        {"Gateway", "Authentication = PSK",
         "Authentication = PSK: expected certificate, psk or eap"},
        {"Gateway", "Authentication = eap",
         "Authentication = eap in [Gateway] needs Authentication = eap in [Local]"},
        {"Gateway", "Identity = CN=", NULL},
        {"Gateway", "CA = a,,b", "an item of CA is empty"},
        {"Gateway", "CRL = a,,b", "an item of CRL is empty"},
        {"Gateway", "Revocation = hard", "Revocation = hard: expected off, soft or strict"},
        {"Gateway", "Port =", "Port is empty"},
        {"Gateway", "Ports = 500", "unknown key Ports in [Gateway]"},
        {"Gateway", "port = 500", "unknown key port in [Gateway]"},
        {"Gateway", "Certificate = x", "unknown key Certificate in [Gateway]"},
        {"Local", "Authentication = none",
         "Authentication = none: expected psk, certificate or eap"},
        {"Local", "EAPMethods = gtc, gtc", "EAPMethods: gtc is given twice"},
        {"Local", "PrivateKey = pkcs11:objekt=x",
         "PrivateKey: objekt is no attribute of a PKCS#11 URI"},
        {"Local", "EAPMethods = tls, leap",
         "EAPMethods: leap is unknown (mschapv2, tls, ttls, peap, gtc, md5)"},
        {"Local", "Port = 500", "unknown key Port in [Local]"},
        {"Tunnel", "Interface = a-name-that-is-long",
         "Interface = a-name-that-is-long is not an interface name (1 to 15 letters, digits, - _ "
         ".)"},
        {"Tunnel", "Interface = tern*",
         "Interface = tern* is not an interface name (1 to 15 letters, digits, - _ .)"},
        {"Tunnel", "Routes = 10.9.0.0/33",
         "Routes: 10.9.0.0/33 is not a network such as 10.9.0.0/24"},
        {"Tunnel", "Routes = ten", "Routes: ten is not a network such as 10.9.0.0/24"},
        {"Tunnel", "Exclude = fe80::/129",
         "Exclude: fe80::/129 is not a network such as 192.168.0.0/16"},
        {"Tunnel", "RequestAddress = ipv5",
         "RequestAddress: ipv5: expected ipv4, ipv6, none or an address"},
        {"Tunnel", "RequestAddress = 127.0.0.1",
         "RequestAddress: 127.0.0.1 cannot be an address of ours"},
        {"Tunnel", "RequestAddress = 224.0.0.1",
         "RequestAddress: 224.0.0.1 cannot be an address of ours"},
        {"Tunnel", "RequestAddress = ::", "RequestAddress: :: cannot be an address of ours"},
        {"Tunnel", "RequestAddress = 10.0.0.1, 10.0.0.2",
         "RequestAddress: more than one address of a family"},
        {"Tunnel", "DNS = 192.0.2.53", "DNS = 192.0.2.53: expected auto or off"},
        {"Tunnel", "Offload = yes", "Offload = yes: expected auto or off"},
        {"Tunnel", "DSCP = ef", "DSCP = ef: expected inside or copy"},
        {"Tunnel", "MTU = 1279", "MTU = 1279: expected auto, or octets from 1280 to 9000"},
        {"Tunnel", "MTU = 9001", "MTU = 9001: expected auto, or octets from 1280 to 9000"},
        {"Tunnel", "MTU = 18446744073709551616",
         "MTU = 18446744073709551616: expected auto, or octets from 1280 to 9000"},
        {"Crypto", "IKE = rot13-sha256-modp2048", NULL},
        {"Crypto", "IKE = aes256gcm16", NULL},
        {"Crypto", "ESP = aes256gcm16,", NULL},
        {"Crypto", "IKELifetime = 9s", "IKELifetime = 9s is out of range (10s to 7d)"},
        {"Crypto", "IKELifetime = 8d", "IKELifetime = 8d is out of range (10s to 7d)"},
        {"Crypto", "ESPLifetime = 1 h", "ESPLifetime = 1 h: expected a time such as 30s, 5m, 4h"},
        {"Crypto", "ESPBytes = 65535", "ESPBytes = 65535 is out of range (64K and more)"},
        {"Crypto", "ESPBytes = 4GB", "ESPBytes = 4GB: expected octets such as 500M or 4G"},
        {"Roaming", "MOBIKE = maybe", "MOBIKE = maybe: expected yes or no"},
        {"Roaming", "Prefer = wlan*, a b", "Prefer: a b is not an interface name or pattern"},
        {"Roaming", "Prefer = a,b,c,d,e,f,g,h,i", "Prefer has more than 8 items"},
        {"Roaming", "DPD = 0", "DPD = 0 is out of range (1s to 1h, or off)"},
        {"Roaming", "DPD = 2h", "DPD = 2h is out of range (1s to 1h, or off)"},
        {"Roaming", "Keepalive = 0", "Keepalive = 0 is out of range (1s to 1h, auto or off)"},
        {"Roaming", "Keepalive = no", "Keepalive = no: expected a time such as 30s, 5m, 4h"},
        {"Roaming", "HoldDown = 8d", "HoldDown = 8d is out of range (0 to 7d)"},
        {"Roaming", "Retransmit = 500ms",
         "Retransmit = 500ms: expected the first pause, the longest, and how many times, such as "
         "500ms, 8s, 8"},
        {"Roaming", "Retransmit = 500ms, 8s",
         "Retransmit = 500ms, 8s: expected the first pause, the longest, and how many times, such "
         "as "
         "500ms, 8s, 8"},
        {"Roaming", "Retransmit = 500ms, 8s, 8, 8",
         "Retransmit = 500ms, 8s, 8, 8: expected the first pause, the longest, and how many times, "
         "such as "
         "500ms, 8s, 8"},
        {"Roaming", "Retransmit = 50ms, 8s, 8",
         "Retransmit = 50ms, 8s, 8: expected the first pause, the longest, and how many times, "
         "such as "
         "500ms, 8s, 8"},
        {"Roaming", "Retransmit = 9s, 8s, 8",
         "Retransmit = 9s, 8s, 8: expected the first pause, the longest, and how many times, such "
         "as "
         "500ms, 8s, 8"},
        {"Roaming", "Retransmit = 500ms, 8s, 1",
         "Retransmit = 500ms, 8s, 1: expected the first pause, the longest, and how many times, "
         "such as "
         "500ms, 8s, 8"},
        {"Roaming", "Retransmit = 500ms, 8s, 101",
         "Retransmit = 500ms, 8s, 101: expected the first pause, the longest, and how many times, "
         "such as "
         "500ms, 8s, 8"},
        {"Roaming", "Retransmit = x, 8s, 8",
         "Retransmit = x, 8s, 8: expected the first pause, the longest, and how many times, such "
         "as "
         "500ms, 8s, 8"},
        {"Hooks", "Up = bin/true", "Up: bin/true is not an absolute path"},
        {"Hooks", "Down = /nowhere/true", "Down: /nowhere/true: No such file or directory"},
        {"Hooks", "Handover = /bin", "Handover: /bin is not a program that can be run"},
        {"Hooks", "Up = /etc/passwd", "Up: /etc/passwd is not a program that can be run"},
        {"Hooks", "Up = /bin/echo \"a", "Up: a quote is not closed"},
        /* nothing of the value drives the terminal */
        {"Roaming", "MOBIKE = \x1b[31mred", "MOBIKE = \\x1b[31mred: expected yes or no"},
        {"Roaming", "MOBIKE = \xe2\x80\xaeyes", "MOBIKE = \\xe2\\x80\\xaeyes: expected yes or no"},
    };
    char text[512], expected[512];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), OK_HEAD "[%s]\n%s\n", cases[i].section, cases[i].line);
        snprintf(expected, sizeof(expected), "office.conf:7: %s\n",
                 cases[i].words != NULL ? cases[i].words : "");
        if (cases[i].words != NULL) {
            expect_faults(text, expected);
            continue;
        }
        /* words of another room: one fault, at the line, that names the key or its value */
        struct profile *p = NULL;
        ck_err(load_bytes(text, strlen(text), 0600, &p), ERR_MALFORMED);
        ck_assert_uint_eq(faults.count, 1);
        ck_assert_uint_eq(faults.items[0].line, 7);
        ck_assert_uint_gt(strlen(faults.items[0].fault.text), 10);
    }
}
END_TEST

/* What everybody can write to is not run with our privileges; and not without end. */
START_TEST(hooks_that_are_refused)
{
    char here[512], text[1024], expected[2048];
    ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
    fixture_write("hook", span_text("#!/bin/sh\n"));
    ck_assert_int_eq(chmod("hook", 0757), 0);
    snprintf(text, sizeof(text), MINIMAL "[Hooks]\nUp = %s/hook\n", here);
    snprintf(expected, sizeof(expected),
             "office.conf:7: Up: %s/hook can be written by everybody: chmod o-w %s/hook\n", here,
             here);
    expect_faults(text, expected);
    ck_assert_int_eq(chmod("hook", 0755), 0);
    profile_free(load_good(text));
    expect_faults(MINIMAL "[Hooks]\nUp = /bin/true\nUp = /bin/true\nUp = /bin/true\n"
                          "Up = /bin/true\nUp = /bin/true\n",
                  "office.conf:11: Up is given more than 4 times\n");
}
END_TEST

START_TEST(duplicates)
{
    static const char *const once[][2] = {
        {"Gateway", "Port = 500"},
        {"Gateway", "Identity = x"},
        {"Gateway", "Authentication = certificate"},
        {"Local", "UserName = x"},
        {"Local", "PasswordFile = x"},
        {"Tunnel", "Interface = tern0"},
        {"Tunnel", "DNS = auto"},
        {"Tunnel", "MTU = 1400"},
        {"Tunnel", "Offload = off"},
        {"Tunnel", "DSCP = inside"},
        {"Tunnel", "RequestAddress = ipv4"},
        {"Crypto", "IKELifetime = 4h"},
        {"Crypto", "ESPLifetime = 1h"},
        {"Crypto", "ESPBytes = 4G"},
        {"Roaming", "MOBIKE = yes"},
        {"Roaming", "DPD = 30s"},
        {"Roaming", "Keepalive = 20"},
        {"Roaming", "HoldDown = 5m"},
        {"Roaming", "Retransmit = 500ms, 8s, 8"},
    };
    char text[512], expected[256];
    for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++) {
        const char *line = once[i][1];
        /* also in another section of that name */
        snprintf(text, sizeof(text), OK_HEAD "[%s]\n%s\n[Tunnel]\n[%s]\n%s\n", once[i][0], line,
                 once[i][0], line);
        snprintf(expected, sizeof(expected),
                 "office.conf:10: %.*s is given twice; the first is on line 7\n",
                 (int)strcspn(line, " "), line);
        expect_faults(text, expected);
    }
    expect_faults("[Gateway]\nAddress=a\nPresharedKeyFile=x\nPresharedKeyFile=x\n"
                  "[Local]\nIdentity=b\nIdentity=b\n",
                  "office.conf:4: PresharedKeyFile is given twice; the first is on line 3\n"
                  "office.conf:7: Identity is given twice; the first is on line 6\n");
}
END_TEST

START_TEST(one_or_the_other)
{
    expect_faults("[Gateway]\nAddress=a\nPresharedKeyFile=x\nPresharedKey=y\n"
                  "[Local]\nIdentity=b\nPresharedKey=x\nPresharedKeyFile=y\n"
                  "Password=x\nPasswordFile=y\n",
                  "office.conf:4: PresharedKey and PresharedKeyFile are both given; keep one\n"
                  "office.conf:8: PresharedKey and PresharedKeyFile are both given; keep one\n"
                  "office.conf:10: Password and PasswordFile are both given; keep one\n");
}
END_TEST

START_TEST(what_is_missing)
{
    expect_faults("", "office.conf:1: [Gateway] has no Address\n"
                      "office.conf:1: [Local] has no credentials: set Authentication, and "
                      "PresharedKeyFile, Certificate and PrivateKey, or UserName\n");
    expect_faults("[Tunnel]\n[Gateway]\n\n[Local]\n",
                  "office.conf:2: [Gateway] has no Address\n"
                  "office.conf:4: [Local] has no credentials: set Authentication, and "
                  "PresharedKeyFile, Certificate and PrivateKey, or UserName\n");
    expect_faults("[Gateway]\nAddress=a\n[Local]\nPresharedKeyFile=x\n",
                  "office.conf:3: [Local] needs an Identity with Authentication = psk\n");
    expect_faults("[Gateway]\nAddress=a\nAuthentication=psk\n[Local]\nCertificate=c\n",
                  "office.conf:3: Authentication = psk needs PresharedKey or PresharedKeyFile\n"
                  "office.conf:4: Authentication = certificate needs PrivateKey\n");
    expect_faults("[Gateway]\nAddress=a\n[Local]\nAuthentication=certificate\n",
                  "office.conf:4: Authentication = certificate needs Certificate\n"
                  "office.conf:4: Authentication = certificate needs PrivateKey\n");
    expect_faults("[Gateway]\nAddress=a\n[Local]\nIdentity=b\nAuthentication=psk\n",
                  "office.conf:5: Authentication = psk needs PresharedKey or PresharedKeyFile\n");
}
END_TEST

START_TEST(unknown_sections)
{
    expect_faults(OK_HEAD "[Tunel]\nMTU=1\nX=2\n[tunnel]\n[DEFAULT]\nPort=0\n",
                  "office.conf:6: unknown section [Tunel]\n"
                  "office.conf:9: unknown section [tunnel]\n"
                  "office.conf:10: unknown section [DEFAULT]\n");
    expect_faults("Port = 500\n" OK_HEAD,
                  "office.conf:1: key Port stands before the first section\n");
}
END_TEST

/* All of a file's mistakes in one reading, by line. */
START_TEST(all_faults_at_once)
{
    expect_faults("[Gateway]\n"
                  "Port = 0\n"
                  "nonsense\n"
                  "[Tunnel]\n"
                  "MTU = 1\n"
                  "Key = 1\n"
                  "[Local]\n"
                  "Identity = b\n"
                  "PresharedKeyFile = k\n"
                  "DPD = 1\n"
                  "[Nowhere]\n",
                  "office.conf:1: [Gateway] has no Address\n"
                  "office.conf:2: Port = 0 is not a port (1 to 65535)\n"
                  "office.conf:3: Equal sign is missing.\n"
                  "office.conf:5: MTU = 1: expected auto, or octets from 1280 to 9000\n"
                  "office.conf:6: unknown key Key in [Tunnel]\n"
                  "office.conf:10: unknown key DPD in [Local]\n"
                  "office.conf:11: unknown section [Nowhere]\n");
}
END_TEST

START_TEST(more_than_fits)
{
    static char text[80000];
    struct profile *p = NULL;
    int n = snprintf(text, sizeof(text), OK_HEAD "[Tunnel]\nRoutes = ");
    for (int i = 0; i < SELECTORS_MAX; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "10.%d.0.0/16%s", i,
                      i + 1 < SELECTORS_MAX ? ", " : "\n");
    p = load_good(text);
    ck_assert_uint_eq(p->routes.count, SELECTORS_MAX);
    profile_free(p);
    snprintf(text + n, sizeof(text) - (size_t)n, "Routes = 10.99.0.0/16\n");
    expect_faults(text, "office.conf:8: Routes has more than 32 networks\n");

    n = snprintf(text, sizeof(text), OK_HEAD "[Tunnel]\nExclude = ");
    for (int i = 0; i <= PROFILE_EXCLUDES_MAX; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "10.%d.0.0/16%s", i,
                      i < PROFILE_EXCLUDES_MAX ? ", " : "\n");
    expect_faults(text, "office.conf:7: Exclude has more than 64 networks\n");

    n = snprintf(text, sizeof(text), OK_HEAD "[Crypto]\n");
    for (int i = 0; i <= PROPOSALS_MAX; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "ESP = aes256gcm16\n");
    expect_faults(text, "office.conf:23: ESP has more than 16 proposals\n");

    snprintf(text, sizeof(text), OK_HEAD "[Gateway]\nCA = %0255d\n", 1);
    p = load_good(text);
    ck_assert_uint_eq(strlen(p->cas.items[0]), 255);
    profile_free(p);
    snprintf(text, sizeof(text), OK_HEAD "[Gateway]\nCA = %0256d\n", 1);
    expect_faults(text, "office.conf:7: an item of CA is longer than 255 octets\n");
    snprintf(text, sizeof(text),
             "[Gateway]\nAddress=a\n[Local]\nIdentity=b\n"
             "PresharedKeyFile = %01024d\n",
             1);
    expect_faults(text, "office.conf:5: PresharedKeyFile is longer than 1023 octets\n");
    snprintf(text, sizeof(text), OK_HEAD "UserName = %0254d\n", 1);
    expect_faults(text, "office.conf:6: UserName is longer than 253 octets\n");
    snprintf(text, sizeof(text),
             "[Gateway]\nAddress=a\nIdentity=@%0600d\n[Local]\nIdentity=b\n"
             "PresharedKeyFile=k\n",
             1);
    expect_faults(text, "office.conf:3: Identity is too long\n");

    n = snprintf(text, sizeof(text), OK_HEAD "[Tunnel]\n");
    for (int i = 0; i < 300; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "Routes=::/0\n");
    expect_faults(text, "office.conf:1: more than 256 keys\n");

    n = snprintf(text, sizeof(text), OK_HEAD "#");
    memset(text + n, 'x', 70000);
    text[n + 70000] = '\0';
    expect_faults(text, "office.conf:1: office.conf is larger than 65536 octets\n");
}
END_TEST

START_TEST(no_text_at_all)
{
    static const char zero[] = OK_HEAD "[Tunnel]\nMTU=\0\n";
    struct profile *p = NULL;
    ck_err(load_bytes(zero, sizeof(zero) - 1, 0600, &p), ERR_MALFORMED);
    ck_assert_str_eq(printed, "office.conf:7: a zero octet: this is no text file\n");
    expect_faults(OK_HEAD "[Tunnel]\nMTU=\xff\n", "office.conf:1: the file is not UTF-8 text\n");
}
END_TEST

/* Octets of all kinds in every place: faults or a profile, nothing else. */
START_TEST(any_octets)
{
    char
        text[sizeof(OK_HEAD "[Tunnel]\nRoutes = 10.9.0.0/16, ::/0\n[Crypto]\nESP = aes256gcm16\n")];
    uint32_t seed = 1;
    for (int round = 0; round < 1500; round++) {
        memcpy(text, OK_HEAD "[Tunnel]\nRoutes = 10.9.0.0/16, ::/0\n[Crypto]\nESP = aes256gcm16\n",
               sizeof(text));
        for (int i = 0; i < 3; i++) {
            seed = seed * 1664525u + 1013904223u;
            text[(seed >> 8) % (sizeof(text) - 1)] = (char)(seed >> 24);
        }
        struct profile *p = NULL;
        enum err e = load_bytes(text, sizeof(text) - 1, 0600, &p);
        if ((e == ERR_OK) != (p != NULL) || (e == ERR_OK) == fault_list_any(&faults) ||
            (e != ERR_OK && e != ERR_MALFORMED))
            ck_abort_msg("round %d: %s, %s", round, err_text(e), printed);
        for (const char *at = printed; *at != '\0'; at++) {
            if (*at != '\n' && ((unsigned char)*at < ' ' || *at == 0x7f))
                ck_abort_msg("round %d: a control character in %s", round, printed);
        }
        profile_free(p);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("client_profile_faults");
    TCase *t = tcase_create("profile");

    tcase_add_unchecked_fixture(t, fixture_enter, fixture_leave);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, faults_of_single_keys);
    tcase_add_test(t, hooks_that_are_refused);
    tcase_add_test(t, duplicates);
    tcase_add_test(t, one_or_the_other);
    tcase_add_test(t, what_is_missing);
    tcase_add_test(t, unknown_sections);
    tcase_add_test(t, all_faults_at_once);
    tcase_add_test(t, more_than_fits);
    tcase_add_test(t, no_text_at_all);
    tcase_add_test(t, any_octets);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
