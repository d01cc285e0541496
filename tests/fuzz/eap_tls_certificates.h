/* Certificates and keys of both ends of the target eap_tls: Ed25519, valid until 2099, good for
 * nothing else. */
#ifndef TERN_TESTS_FUZZ_EAP_TLS_CERTIFICATES_H
#define TERN_TESTS_FUZZ_EAP_TLS_CERTIFICATES_H

static const char eap_tls_root_pem[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIHrMIGeoAMCAQICAQEwBQYDK2VwMBQxEjAQBgNVBAMMCUZ1enogUm9vdDAgFw0y\n"
    "MDAxMDEwMDAwMDBaGA8yMDk5MTIzMTAwMDAwMFowFDESMBAGA1UEAwwJRnV6eiBS\n"
    "b290MCowBQYDK2VwAyEAK2NP/HrrDjyho0zLo3YjVhTWWjWH5qx8QfG0ESv+JdOj\n"
    "EzARMA8GA1UdEwEB/wQFMAMBAf8wBQYDK2VwA0EANyQ5H0ILYOs9gawCQGZJzm8/\n"
    "8F9yjeOtwRHerxbYcjpYtiphA6lMfg+WhdbA0r4Mdyb1cDG3aV5DEsMp6yjtBQ==\n"
    "-----END CERTIFICATE-----\n";

static const char eap_tls_server_pem[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBBDCBt6ADAgECAgECMAUGAytlcDAUMRIwEAYDVQQDDAlGdXp6IFJvb3QwIBcN\n"
    "MjAwMTAxMDAwMDAwWhgPMjA5OTEyMzEwMDAwMDBaMBExDzANBgNVBAMMBnJhZGl1\n"
    "czAqMAUGAytlcAMhAIhT7+ahaTQb6RxVFGOWUjAoTDQSXENZNW0NU1zXzvqroy8w\n"
    "LTAMBgNVHRMBAf8EAjAAMB0GA1UdEQQWMBSCEnJhZGl1cy5leGFtcGxlLmNvbTAF\n"
    "BgMrZXADQQC4Tki1xtMkTh0bFWDeBgLQ5xd4FwnPX8J5djlB09zibMThbjh57CTt\n"
    "E0H4946G5cassa8loonlZ1t/nSNtU4oK\n"
    "-----END CERTIFICATE-----\n"
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEILJiLtQZ8V6fHjGwC6Zafv1/E4HYLFqHxg559V9bYpIz\n"
    "-----END PRIVATE KEY-----\n";

static const char eap_tls_client_pem[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBAjCBtaADAgECAgEDMAUGAytlcDAUMRIwEAYDVQQDDAlGdXp6IFJvb3QwIBcN\n"
    "MjAwMTAxMDAwMDAwWhgPMjA5OTEyMzEwMDAwMDBaMBAxDjAMBgNVBAMMBWFsaWNl\n"
    "MCowBQYDK2VwAyEASK1SfHC4my5yPQtJ3lm2yzj2Ok89yibu7HpGFS3DmiqjLjAs\n"
    "MAwGA1UdEwEB/wQCMAAwHAYDVR0RBBUwE4ERYWxpY2VAZXhhbXBsZS5jb20wBQYD\n"
    "K2VwA0EA31qxBP8SplKDs7OvX4vO68w6aE8ltldw+94K5Ey6Sz3zig0jOb2b+Kuq\n"
    "2kVBXBFiwT8AXcv5Ma4oQmVLMlceCA==\n"
    "-----END CERTIFICATE-----\n"
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIE+xbK2iQPUWqMaZo+bMtxbdglPiWq2c/VWbz8/dw68n\n"
    "-----END PRIVATE KEY-----\n";

#endif
