/* Profiles: what every key means, what is kept secret, and which files they are and name. What is
 * wrong with one is in test_client_profile_faults.c. */
#include "tests/unit/profile_scene.h"

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
    ck_assert_str_eq(p->own.certificate, "alice.pem");
    ck_assert_str_eq(p->own.private_key, "/etc/tern/alice.key");
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
    tcase_add_test(t, users_with_passwords);
    tcase_add_test(t, users_without_what_they_need);
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
