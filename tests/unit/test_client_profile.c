/* Profiles: what every key means, and that every mistake is told at its line, all of them at once.
 */
#include "client/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/fixture.h"
#include "tests/support/support.h"

enum { PRINTED_MAX = 65536 };

#define FILE_NAME "office.conf"
#define MINIMAL                                                                                    \
    "[Gateway]\nAddress = vpn.example.com\n[Local]\nIdentity = alice@example.com\n"                \
    "PresharedKeyFile = office.psk\n" /* lines 1 to 5 */

static struct fault_list faults;
static char printed[PRINTED_MAX];

static enum err load_bytes(const void *bytes, size_t len, mode_t mode, struct profile **ret)
{
    fixture_write(FILE_NAME, span_make(bytes, len));
    ck_assert_int_eq(chmod(FILE_NAME, mode), 0);
    fault_list_init(&faults);
    enum err e = profile_load(FILE_NAME, ret, &faults);
    printed[0] = '\0';
    FILE *f = fmemopen(printed, sizeof(printed), "w");
    ck_assert_ptr_nonnull(f);
    fault_list_print(&faults, FILE_NAME, f);
    ck_assert_int_eq(fclose(f), 0);
    return e;
}

static struct profile *load_good(const char *text)
{
    struct profile *p = NULL;
    enum err e = load_bytes(text, strlen(text), 0600, &p);
    if (e != ERR_OK)
        ck_abort_msg("%s: %s", text, printed);
    ck_assert_str_eq(printed, "");
    return p;
}

static void expect_faults(const char *text, const char *expected)
{
    struct profile *p = NULL;
    enum err e = load_bytes(text, strlen(text), 0600, &p);
    if (e != ERR_MALFORMED || strcmp(printed, expected) != 0)
        ck_abort_msg("%s: %s:\n%s\nnot:\n%s", text, err_text(e), printed, expected);
    ck_assert_ptr_null(p);
}

START_TEST(every_key)
{
    static const char text[] = "# an office\n"
                               "[Gateway]\n"
                               "Address = vpn.example.com, 192.0.2.1\n"
                               "Address = 2001:db8::1\n"
                               "Port = 4500\n"
                               "Identity = @gw.example.com\n"
                               "Authentication = certificate\n"
                               "CA = /etc/tern/ca.pem, beside.pem\n"
                               "CA = system\n"
                               "Revocation = strict\n"
                               "CRL = a.crl, /etc/tern/b.crl\n"
                               "CRL = c.crl\n"
                               "[Local]\n"
                               "Identity = CN=alice, O=Example\n"
                               "Authentication = certificate\n"
                               "Certificate = alice.pem\n"
                               "PrivateKey = /etc/tern/alice.key\n"
                               "UserName = alice\n"
                               "PasswordFile = alice.password\n"
                               "EAPMethods = mschapv2, tls\n"
                               "EAPMethods = ttls,peap,gtc,md5\n"
                               "[Tunnel]\n"
                               "Interface = tern7\n"
                               "Routes = 10.9.0.5/24, fd09::/64\n"
                               "Routes = 192.0.2.7\n"
                               "Exclude = 192.168.0.0/16\n"
                               "Exclude = fd00::1/8, 10.9.0.1\n"
                               "RequestAddress = ipv4, fd07::7\n"
                               "DNS = off\n"
                               "MTU = 1280\n"
                               "Offload = off\n"
                               "DSCP = copy\n"
                               "[Crypto]\n"
                               "IKE = aes256gcm16-prfsha384-x25519\n"
                               "IKE = aes256-sha256-modp2048, aes128-sha256-ecp256\n"
                               "ESP = aes256gcm16, chacha20poly1305\n"
                               "IKELifetime = 8h\n"
                               "ESPLifetime = 10s\n"
                               "ESPBytes = 64K\n"
                               "[Roaming]\n"
                               "MOBIKE = no\n"
                               "Prefer = wlan*, eth?\n"
                               "Prefer = wwan0\n"
                               "DPD = 1h\n"
                               "Keepalive = 20\n"
                               "HoldDown = 7d\n"
                               "Retransmit = 250ms, 4s, 12\n"
                               "[Hooks]\n"
                               "Up = /bin/echo 'a b' $c\n"
                               "Up = /bin/true\n"
                               "Down = /bin/echo down\n"
                               "Handover = /bin/echo \"moved\"\n";
    char out[IDENTITY_TEXT_MAX], list[PROPOSAL_LIST_TEXT_MAX], routes[SELECTOR_LIST_TEXT_MAX];
    struct profile *p = load_good(text);

    ck_assert_str_eq(p->path, FILE_NAME);
    ck_assert_str_eq(p->name, "office");
    ck_assert_uint_eq(p->gateway_line, 2);
    ck_assert_uint_eq(p->local_line, 13);
    ck_assert_uint_eq(p->addresses.count, 3);
    ck_assert_str_eq(p->addresses.items[0], "vpn.example.com");
    ck_assert_str_eq(p->addresses.items[1], "192.0.2.1");
    ck_assert_str_eq(p->addresses.items[2], "2001:db8::1");
    ck_assert_uint_eq(p->lines[KEY_GATEWAY_ADDRESS], 3);
    ck_assert_uint_eq(p->port, 4500);
    ck_assert_int_eq(p->gateway_identity.type, IDENTITY_FQDN);
    ck_assert_str_eq(identity_format(&p->gateway_identity, out), "gw.example.com");
    ck_assert_int_eq(p->gateway_authentication, AUTHENTICATION_CERTIFICATE);
    ck_assert_uint_eq(p->cas.count, 3);
    ck_assert_str_eq(p->cas.items[0], "/etc/tern/ca.pem");
    ck_assert_str_eq(p->cas.items[1], "beside.pem");
    ck_assert_str_eq(p->cas.items[2], "system");
    ck_assert_int_eq(p->revocation, REVOCATION_STRICT);
    ck_assert_uint_eq(p->crls.count, 3);
    ck_assert_str_eq(p->crls.items[1], "/etc/tern/b.crl");
    ck_assert_int_eq(p->identity.type, IDENTITY_DN);
    ck_assert_int_eq(p->authentication, AUTHENTICATION_CERTIFICATE);
    ck_assert_str_eq(p->certificate, "alice.pem");
    ck_assert_str_eq(p->private_key, "/etc/tern/alice.key");
    ck_assert_str_eq(p->user_name, "alice");
    ck_assert_str_eq(p->password_file, "alice.password");
    static const uint8_t eap_methods[] = {EAP_MSCHAPV2, EAP_TLS, EAP_TTLS,
                                          EAP_PEAP,     EAP_GTC, EAP_MD5};
    ck_span_eq(span_make(p->eap_methods, p->eap_method_count), SPAN_OF(eap_methods));
    ck_assert_str_eq(p->interface, "tern7");
    ck_assert_str_eq(selector_list_format(&p->routes, routes),
                     "10.9.0.0/24,fd09::/64,192.0.2.7/32");
    ck_assert_uint_eq(p->exclude_count, 3);
    ck_assert_uint_eq(p->retransmit_first_ms, 250);
    ck_assert_uint_eq(p->retransmit_max_ms, 4000);
    ck_assert_uint_eq(p->retransmit_tries, 12);
    ck_assert_str_eq(prefix_format(&p->excludes[1], out), "fd00::/8");
    ck_assert_str_eq(prefix_format(&p->excludes[2], out), "10.9.0.1/32");
    ck_assert(p->request_ipv4 && p->request_ipv6);
    ck_assert_int_eq(p->fixed_ipv4.family, IP_NONE);
    ck_assert_str_eq(ip_format(&p->fixed_ipv6, out), "fd07::7");
    ck_assert(!p->dns);
    ck_assert_uint_eq(p->mtu, 1280);
    ck_assert(!p->offload);
    ck_assert(p->copy_dscp);
    ck_assert_str_eq(proposal_list_format(&p->ike, list),
                     "aes256gcm16-prfsha384-x25519,aes256-sha256-modp2048,aes128-sha256-ecp256");
    for (size_t i = 0; i < p->ike.count; i++) /* as on the wire, RFC 7296 3.3.1 */
        ck_assert_uint_eq(p->ike.items[i].number, i + 1);
    ck_assert_str_eq(proposal_list_format(&p->esp, list), "aes256gcm16,chacha20poly1305");
    ck_assert_uint_eq(p->ike_lifetime_s, 8 * 3600);
    ck_assert_uint_eq(p->esp_lifetime_s, 10);
    ck_assert_uint_eq(p->esp_bytes, 65536);
    ck_assert(!p->mobike);
    ck_assert_uint_eq(p->prefer.count, 3);
    ck_assert_str_eq(p->prefer.items[1], "eth?");
    ck_assert_uint_eq(p->dpd_s, 3600);
    ck_assert_int_eq(p->keepalive_s, 20);
    ck_assert_uint_eq(p->hold_down_s, 7 * 86400);
    const struct profile_hook_list *hooks = p->hooks;
    ck_assert_uint_eq(hooks[PROFILE_HOOK_UP].count, 2);
    ck_assert_uint_eq(hooks[PROFILE_HOOK_UP].items[0].count, 3);
    ck_assert_str_eq(command_line_argument(&hooks[PROFILE_HOOK_UP].items[0], 1), "a b");
    ck_assert_str_eq(command_line_argument(&hooks[PROFILE_HOOK_UP].items[0], 2), "$c");
    ck_assert_str_eq(command_line_argument(&hooks[PROFILE_HOOK_UP].items[1], 0), "/bin/true");
    ck_assert_uint_eq(hooks[PROFILE_HOOK_DOWN].count, 1);
    ck_assert_str_eq(command_line_argument(&hooks[PROFILE_HOOK_DOWN].items[0], 1), "down");
    ck_assert_uint_eq(hooks[PROFILE_HOOK_HANDOVER].count, 1);
    ck_assert_str_eq(command_line_argument(&hooks[PROFILE_HOOK_HANDOVER].items[0], 1), "moved");
    profile_free(p);
}
END_TEST

#define EAP_HEAD "[Gateway]\nAddress=vpn.example.com\n[Local]\n"

START_TEST(users_with_passwords)
{
    struct profile *p = load_good(EAP_HEAD "UserName=alice@example.com\n");
    ck_assert_int_eq(p->authentication, AUTHENTICATION_EAP);
    ck_assert_uint_eq(p->eap_method_count, 1);
    ck_assert_uint_eq(p->eap_methods[0], EAP_MSCHAPV2);
    ck_assert_int_eq(p->identity.type, IDENTITY_EMAIL);
    profile_free(p);
    p = load_good(EAP_HEAD "Authentication=eap\nIdentity=alice@example.com\nEAPMethods=gtc\n");
    ck_assert_str_eq(p->user_name, "alice@example.com");
    ck_assert_uint_eq(p->eap_methods[0], EAP_GTC);
    profile_free(p);
    p = load_good(EAP_HEAD "UserName=CORP\\alice\nIdentity=alice@example.com\n"
                           "Password=0x; # is text\n");
    ck_assert_str_eq(p->user_name, "CORP\\alice");
    ck_span_eq(secret_span(&p->password), span_text("0x; # is text"));
    profile_free(p);
}
END_TEST

START_TEST(users_without_what_they_need)
{
    expect_faults(EAP_HEAD "Authentication=eap\nIdentity=CN=alice\n",
                  "office.conf:4: Authentication = eap needs UserName\n");
    /* RFC 7296 2.16 */
    expect_faults("[Gateway]\nAddress=a\nPresharedKeyFile=k\n[Local]\nAuthentication=eap\n"
                  "UserName=a\n",
                  "office.conf:5: Authentication = eap needs a gateway that proves itself by a "
                  "certificate: set Authentication = certificate in [Gateway]\n");
}
END_TEST

START_TEST(defaults)
{
    char out[SELECTOR_LIST_TEXT_MAX], list[PROPOSAL_LIST_TEXT_MAX];
    struct profile *p = load_good(MINIMAL);

    ck_assert_uint_eq(p->port, 500);
    ck_assert_int_eq(p->gateway_identity.type, IDENTITY_FQDN);
    ck_assert_str_eq(identity_format(&p->gateway_identity, list), "vpn.example.com");
    ck_assert_int_eq(p->gateway_authentication, AUTHENTICATION_CERTIFICATE);
    ck_assert_uint_eq(p->cas.count, 1);
    ck_assert_int_eq(p->revocation, REVOCATION_SOFT);
    ck_assert_str_eq(p->cas.items[0], "system");
    ck_assert_int_eq(p->authentication, AUTHENTICATION_PSK);
    ck_assert_str_eq(p->psk_file, "office.psk");
    ck_assert_str_eq(p->interface, "");
    ck_assert_str_eq(selector_list_format(&p->routes, out), "0.0.0.0/0,::/0");
    ck_assert_uint_eq(p->exclude_count, 0);
    ck_assert(p->request_ipv4 && p->request_ipv6);
    ck_assert_int_eq(p->fixed_ipv4.family, IP_NONE);
    ck_assert_int_eq(p->fixed_ipv6.family, IP_NONE);
    ck_assert(p->dns);
    ck_assert_uint_eq(p->mtu, PROFILE_MTU_AUTO);
    ck_assert(p->offload);
    ck_assert(!p->copy_dscp);
    ck_assert_uint_gt(p->ike.count, 1);
    ck_assert_uint_gt(p->esp.count, 1);
    ck_assert_uint_eq(p->ike_lifetime_s, 4 * 3600);
    ck_assert_uint_eq(p->esp_lifetime_s, 3600);
    ck_assert_uint_eq(p->esp_bytes, 0);
    ck_assert(p->mobike);
    ck_assert_uint_eq(p->prefer.count, 0);
    ck_assert_uint_eq(p->dpd_s, 30);
    ck_assert_int_eq(p->keepalive_s, PROFILE_KEEPALIVE_AUTO);
    ck_assert_uint_eq(p->hold_down_s, 1800);
    profile_free(p);
}
END_TEST

START_TEST(words_that_stand_for_values)
{
    struct profile *p = load_good(MINIMAL "[Tunnel]\nRequestAddress = none\nDNS = auto\n"
                                          "MTU = auto\n[Roaming]\nDPD = off\nKeepalive = off\n"
                                          "HoldDown = 0\nMOBIKE = on\n");
    ck_assert(!p->request_ipv4 && !p->request_ipv6);
    ck_assert(p->dns && p->mobike);
    ck_assert_uint_eq(p->mtu, PROFILE_MTU_AUTO);
    ck_assert_uint_eq(p->dpd_s, 0);
    ck_assert_int_eq(p->keepalive_s, 0);
    ck_assert_uint_eq(p->hold_down_s, 0);
    profile_free(p);

    p = load_good(MINIMAL "[Tunnel]\nRequestAddress = 10.7.0.9\n[Roaming]\nKeepalive = auto\n");
    char out[IP_TEXT_MAX];
    ck_assert(p->request_ipv4 && !p->request_ipv6);
    ck_assert_str_eq(ip_format(&p->fixed_ipv4, out), "10.7.0.9");
    ck_assert_int_eq(p->keepalive_s, PROFILE_KEEPALIVE_AUTO);
    profile_free(p);
}
END_TEST

/* Whoever proves what is told by what is there, where Authentication is not. */
START_TEST(authentication_by_what_is_given)
{
    static const struct {
        const char *text;
        enum profile_authentication gateway, local;
    } cases[] = {
        {"[Gateway]\nAddress=a\nPresharedKeyFile=k\n[Local]\nIdentity=b\n", AUTHENTICATION_PSK,
         AUTHENTICATION_PSK},
        {"[Gateway]\nAddress=a\n[Local]\nIdentity=b\nPresharedKeyFile=k\n",
         AUTHENTICATION_CERTIFICATE, AUTHENTICATION_PSK},
        {"[Gateway]\nAddress=a\nAuthentication=psk\n[Local]\nIdentity=b\nPresharedKeyFile=k\n",
         AUTHENTICATION_PSK, AUTHENTICATION_PSK},
        {"[Gateway]\nAddress=a\n[Local]\nCertificate=c\nPrivateKey=k\n", AUTHENTICATION_CERTIFICATE,
         AUTHENTICATION_CERTIFICATE},
        {"[Gateway]\nAddress=a\nPresharedKeyFile=k\n[Local]\nCertificate=c\nPrivateKey=k\n",
         AUTHENTICATION_PSK, AUTHENTICATION_CERTIFICATE},
        {"[Gateway]\nAddress=a\nPresharedKeyFile=k\n[Local]\nUserName=b\n", AUTHENTICATION_PSK,
         AUTHENTICATION_PSK},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct profile *p = load_good(cases[i].text);
        ck_assert_int_eq(p->gateway_authentication, cases[i].gateway);
        ck_assert_int_eq(p->authentication, cases[i].local);
        profile_free(p);
    }
}
END_TEST

/* --- secrets --- */

START_TEST(a_secret_is_every_octet_of_its_line)
{
    struct profile *p = load_good("[Gateway]\nAddress=a\nPresharedKey = a;b #c, \"d\" = \\\n"
                                  "[Local]\nIdentity=b\nPresharedKey=\xc3\xa9\x01;\n");
    ck_span_eq(secret_span(&p->gateway_psk), span_text("a;b #c, \"d\" = \\"));
    ck_span_eq(secret_span(&p->psk), span_text("\xc3\xa9\x01;"));
    profile_free(p);
}
END_TEST

START_TEST(a_secret_as_long_as_may_be)
{
    char text[1024];
    int n = snprintf(text, sizeof(text),
                     "[Gateway]\nAddress=a\nPresharedKey=%0*d\n[Local]\n"
                     "Identity=b\n",
                     SECRET_MAX, 7);
    ck_assert_int_gt(n, SECRET_MAX);
    struct profile *p = load_good(text);
    ck_assert_uint_eq(p->gateway_psk.len, SECRET_MAX);
    profile_free(p);
    snprintf(text, sizeof(text), "[Gateway]\nAddress=a\nPresharedKey=%0*d\n[Local]\nIdentity=b\n",
             SECRET_MAX + 1, 7);
    expect_faults(text, "office.conf:3: PresharedKey is longer than 512 octets\n");
}
END_TEST

/* The profile itself is a secret file as soon as there is a secret in it. */
START_TEST(a_secret_that_others_can_read)
{
    static const char *const secrets[] = {
        "[Gateway]\nAddress=a\n[Local]\nIdentity=b\nPresharedKey=c\n",
        "[Local]\nIdentity=b\n[Gateway]\nAddress=a\n\nPresharedKey=c\n",
        "[Gateway]\nAddress=a\n[Local]\nPresharedKeyFile=k\nUserName=b\nPassword=c\n",
    };
    static const unsigned lines[] = {5, 6, 6};
    static const mode_t open_modes[] = {0640, 0604, 0620, 0602, 0610, 0644, 0666};
    char expected[256];
    struct profile *p = NULL;
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < sizeof(open_modes) / sizeof(open_modes[0]); k++) {
            mode_t mode = open_modes[k];
            ck_err(load_bytes(secrets[i], strlen(secrets[i]), mode, &p), ERR_MALFORMED);
            snprintf(expected, sizeof(expected),
                     "office.conf:%u: office.conf is open to other users (mode %04o) "
                     "(chmod 600 office.conf)\n",
                     lines[i], (unsigned)mode);
            ck_assert_str_eq(printed, expected);
        }
        ck_assert_int_eq(unlink(FILE_NAME), 0);
        ck_ok(load_bytes(secrets[i], strlen(secrets[i]), 0400, &p));
        profile_free(p);
        p = NULL;
        ck_assert_int_eq(unlink(FILE_NAME), 0);
    }
    /* Without a secret it may be read by anybody. */
    ck_ok(load_bytes(MINIMAL, strlen(MINIMAL), 0644, &p));
    profile_free(p);
}
END_TEST

/* What is secret stays out of every fault, whatever else is wrong. */
START_TEST(no_secret_in_a_fault)
{
    static const char *const texts[] = {
        "[Gateway]\nPresharedKey=hunter2\nPresharedKey=hunter2\nPresharedKeyFile=x\n",
        "PresharedKey=hunter2\n",
        "[gateway]\nPresharedKey=hunter2\n",
        "[Gateway]\npresharedkey=hunter2\n[Local]\nPre sharedKey=hunter2\n",
        "[Local]\nPassword=hunter2\nPassword=hunter2\nPasswordFile=x\nPass\x7fword=hunter2\n",
        "[Local\nPassword=hunter2\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct profile *p = NULL;
        ck_err(load_bytes(texts[i], strlen(texts[i]), 0600, &p), ERR_MALFORMED);
        ck_assert_str_ne(printed, "");
        ck_assert_ptr_null(strstr(printed, "hunter2"));
    }
}
END_TEST

/* --- faults --- */

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

/* --- files and names --- */

START_TEST(what_cannot_be_read)
{
    struct profile *p = NULL;
    fault_list_init(&faults);
    ck_err(profile_load("absent.conf", &p, &faults), ERR_NOT_FOUND);
    ck_err(profile_load("absent/absent.conf", &p, &faults), ERR_NOT_FOUND);
    ck_assert(!fault_list_any(&faults));

    ck_assert_int_eq(mkdir("directory.conf", 0700), 0);
    ck_err(profile_load("directory.conf", &p, &faults), ERR_MALFORMED);
    ck_assert_str_eq(faults.items[0].fault.text, "directory.conf is not a regular file");
    ck_assert_int_eq(mkfifo("fifo.conf", 0600), 0);
    fault_list_init(&faults);
    ck_err(profile_load("fifo.conf", &p, &faults), ERR_MALFORMED);
    ck_assert_str_eq(faults.items[0].fault.text, "fifo.conf is not a regular file");
    ck_assert_ptr_null(p);
}
END_TEST

START_TEST(names)
{
    static const struct {
        const char *path, *name;
    } cases[] = {
        {"office", "office"},
        {"office.conf", "office"},
        {"/etc/tern/office.conf", "office"},
        {"./a.b-c_d@e+1.conf", "a.b-c_d@e+1"},
        {"office.conf.conf", "office.conf"},
        {"office.CONF", "office.CONF"},
        {"", NULL},
        {"a/", NULL},
        {".conf", NULL},
        {"a/.conf", NULL},
        {".hidden.conf", NULL},
        {"..", NULL},
        {"a b.conf", NULL},
        {"a\n.conf", NULL},
        {"\xc3\xa9.conf", NULL},
        {"a%s.conf", NULL},
        {"a;b.conf", NULL},
    };
    char out[PROFILE_NAME_MAX], path[128];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum err e = profile_name(cases[i].path, out);
        ck_assert_msg((e == ERR_OK) == (cases[i].name != NULL), "%s", cases[i].path);
        if (e == ERR_OK)
            ck_assert_str_eq(out, cases[i].name);
    }
    snprintf(path, sizeof(path), "/a/%063d.conf", 1);
    ck_ok(profile_name(path, out));
    ck_assert_uint_eq(strlen(out), 63);
    snprintf(path, sizeof(path), "/a/%064d.conf", 1);
    ck_err(profile_name(path, out), ERR_MALFORMED);

    struct profile *p = NULL;
    fault_list_init(&faults);
    ck_err(profile_load("a b.conf", &p, &faults), ERR_MALFORMED);
    ck_assert_str_eq(faults.items[0].fault.text,
                     "the file's name cannot name a connection (letters, digits, . _ - and at "
                     "most 63 octets)");
}
END_TEST

START_TEST(files_beside_the_profile)
{
    static struct profile p;
    char out[PROFILE_PATH_MAX], longest[PROFILE_PATH_MAX];
    strcpy(p.path, "/etc/tern/office.conf");
    ck_assert_str_eq(profile_file(&p, "ca.pem", out), "/etc/tern/ca.pem");
    ck_assert_str_eq(profile_file(&p, "sub/ca.pem", out), "/etc/tern/sub/ca.pem");
    ck_assert_str_eq(profile_file(&p, "/ca.pem", out), "/ca.pem");
    strcpy(p.path, "office.conf");
    ck_assert_str_eq(profile_file(&p, "ca.pem", out), "ca.pem");
    /* Too long together: no file, rather than another file. */
    strcpy(p.path, "/etc/tern/office.conf");
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    ck_assert_str_eq(profile_file(&p, longest, out), "");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("client_profile");
    TCase *t = tcase_create("profile");

    tcase_add_unchecked_fixture(t, fixture_enter, fixture_leave);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, every_key);
    tcase_add_test(t, defaults);
    tcase_add_test(t, words_that_stand_for_values);
    tcase_add_test(t, authentication_by_what_is_given);
    tcase_add_test(t, a_secret_is_every_octet_of_its_line);
    tcase_add_test(t, a_secret_as_long_as_may_be);
    tcase_add_test(t, a_secret_that_others_can_read);
    tcase_add_test(t, no_secret_in_a_fault);
    tcase_add_test(t, faults_of_single_keys);
    tcase_add_test(t, hooks_that_are_refused);
    tcase_add_test(t, duplicates);
    tcase_add_test(t, one_or_the_other);
    tcase_add_test(t, what_is_missing);
    tcase_add_test(t, users_with_passwords);
    tcase_add_test(t, users_without_what_they_need);
    tcase_add_test(t, unknown_sections);
    tcase_add_test(t, all_faults_at_once);
    tcase_add_test(t, more_than_fits);
    tcase_add_test(t, no_text_at_all);
    tcase_add_test(t, any_octets);
    tcase_add_test(t, what_cannot_be_read);
    tcase_add_test(t, names);
    tcase_add_test(t, files_beside_the_profile);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
