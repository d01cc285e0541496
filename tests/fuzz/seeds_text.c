/* Seeds of what people write: files, proposals, names; and of JSON. */
#include <stddef.h>

#include "tests/fuzz/seeds.h"

static const char *const profiles[] = {
    "[Gateway]\nAddress = vpn.example.com\nIdentity = vpn.example.com\nAuthentication = "
    "certificate\nCA = ca.pem, system\n\n[Local]\nIdentity = alice@example.com\nAuthentication = "
    "certificate\nCertificate = alice.pem\nPrivateKey = alice.key\n\n[Tunnel]\nRoutes = "
    "10.9.0.0/16\n",
    "# shared\n[Gateway]\nAddress = 192.0.2.1, 2001:db8::1\nPort = 4500\nAuthentication = "
    "psk\nPresharedKey = 0x00112233\n[Local]\nIdentity = @#0a0b\nAuthentication = "
    "psk\nPresharedKeyFile = key\n[Tunnel]\nInterface = tern7\nRoutes = 0.0.0.0/0, ::/0\nExclude = "
    "10.0.0.0/8\nRequestAddress = ipv4, ipv6\nDNS = no\nMTU = 1300\n[Crypto]\nIKE = "
    "aes256gcm16-prfsha384-x25519\nESP = aes256gcm16\nIKELifetime = 4h\nESPLifetime = "
    "60m\nESPBytes "
    "= 10G\n[Roaming]\nMOBIKE = no\nPrefer = ethernet, wlan\nDPD = 30s\nKeepalive = auto\nHoldDown "
    "= 5m\n[Hooks]\nUp = x\nDown = y\nHandover = z\n",
    "[Local]\nAuthentication=eap\nUserName=alice\nPassword=secret\nEAPMethods=mschapv2\nPKCS12=a\n"
    "PasswordFile=b\n[Gateway]\nAddress=a\nIdentity=CN=gw, O=Example\n",
    "[Gateway]\nAddress = a\nAddress = b\nWhat = ever\n[Nowhere]\nx = y\n[Gateway\n=\nPort = "
    "70000\n  indented = 1\n[Tunnel]\nRequestAddress = 10.1.2.3, 2001:db8::7\nRoutes = 1/33\nMTU = "
    "12\n",
    "[Gateway]\nAddress = a\n[Local]\nCertificate = pkcs11:token=a%20card;type=cert\nPrivateKey = "
    "pkcs11:token=a%20card;id=%01?pin-source=file:/pin&module-path=/m.so\nPassphraseFile = p\n",
};

static const char *const gateways[] = {
    "[Gateway]\nListen = 127.0.0.1, ::1\nPort = 500\nNatPort = 4500\nIdentity = "
    "gw.example.com\nPresharedKey = secret\nPool = 10.7.0.0/24, fd00::/120\nDNS = "
    "10.9.0.53\nNetworks = 10.9.0.0/16\nInterface = tun9\nIKE = aes256gcm16-prfsha256-x25519\nESP "
    "= "
    "aes256gcm16\nMOBIKE = yes\nCookies = auto\n",
    "[Gateway]\nIdentity = gw\nPool = 10.7.0.0/24\n[User alice@example.com]\nPresharedKey = "
    "one\n[User bob]\nPresharedKey = two\n",
    "[Gateway]\nCertificate = gw.pem\nPrivateKey = gw.key\nCA = ca.pem\nPool = 10.0.0.0/33\n",
    "[Gateway]\nPool = 10.7.0.0/24\nPresharedKey = x\nCookies = always\n"
    "AuthLifetime = 3600\nIKELifetime = 600\nESPLifetime = 60\nESPBytes = 100000\n",
};

static const char *const proposals[] = {
    "aes256gcm16-prfsha384-x25519",
    "aes256-aes128-sha256-sha1-modp2048-ecp256,chacha20poly1305-prfsha256-ecp521",
    "aes128gcm8-aes192gcm12-prfsha1-modp1024-modp4096,aes192-sha512-ecp384",
    "aes256gcm16-esn,aes128-sha256-noesn",
    "aes256gcm16-x25519-ecp256-noesn-esn",
    "aes256-aes256gcm16-sha256",
    "-,aes--sha256,,",
};

static const char *const texts[] = {
    "192.0.2.1",
    "2001:db8::192.0.2.1",
    "fe80::1%eth0",
    "10.9.0.0/16",
    "2001:db8::/32",
    "::ffff:1.2.3.4",
    "alice@example.com",
    "CN=vpn.example.com, O=Example",
    "/C=XX/O=Ex,ample/CN=x",
    "@#0a0b0c",
    "@name",
    "C=XX, CN=a\\,b+OU=\"c, d\"",
    "0.0.0.0/0",
    "1.2.3.4/33",
    "999.1.1.1",
    "emailAddress=a@b, DC=example",
    /* what would end a line, turn the text around, or is no character */
    "\xe2\x80\xa8 \xe2\x80\xa9",
    "\xd8\x9c\xe2\x80\x8e\xe2\x80\x8f",
    "\xe2\x80\xaa\xe2\x80\xae\xe2\x81\xa6\xe2\x81\xa9",
    "\xc2\x85\xf0\x9f\x98\x80\xed\xa0\x80\xff\xc0\x80",
};

static const char *const requests[] = {
    "{\"command\":\"status\"}",
    "{\"command\":\"down\",\"what\":\"ike\"}",
    "{\"command\":\"rekey\",\"what\":\"child\"}",
    "[{\"command\":1}]",
    "{\"a\":1,\"a\":2}",
    "{\"v\":1,\"profile\":\"office\",\"state\":\"up\",\"since\":\"2026-01-01T12:00:00.000Z\","
    "\"pid\":1,"
    "\"interface\":\"tern0\",\"gateway\":{\"host\":\"vpn\",\"address\":\"192.0.2.1\",\"port\":500,"
    "\"identity\":\"vpn\"},\"path\":{\"local\":\"192.0.2.2\",\"local_port\":4500,\"interface\":"
    "\"eth0\",\"nat\":true,\"rtt_ms\":1.5,\"mtu\":1400},\"addresses\":[\"10.7.0.2/32\"],\"dns\":["
    "\"10.9.0.53\"],\"domains\":[],\"routes\":[null,7,\"10.9.0.0/16\"],\"mtu\":1400,\"ike\":{"
    "\"spi_i\":\"01\",\"spi_r\":\"02\",\"proposal\":\"aes\",\"established\":null,\"rekeys\":1,"
    "\"mobike\":true,\"fragmentation\":false},\"children\":[{\"spi_in\":\"01\",\"spi_out\":\"02\","
    "\"proposal\":\"aes\",\"local\":[\"10.0.0.0/8\"],\"remote\":[],\"rekeys\":0,\"rx\":{"
    "\"packets\":1,\"bytes\":2,\"replayed\":3,\"bad\":4},\"tx\":{\"packets\":1,\"bytes\":2}}],"
    "\"handovers\":0,\"reconnects\":0,\"last_handover\":null,\"last_error\":\"x\\u001b[31m\"}",
};

static void all_of(const char *target, const char *name, const char *const *list, size_t count,
                   int option)
{
    static uint8_t seed[4096];
    for (size_t i = 0; i < count; i++) {
        struct wire_writer w;
        wire_writer_init(&w, seed, sizeof(seed));
        if (option >= 0)
            wire_write_u8(&w, (uint8_t)option);
        wire_write_span(&w, span_text(list[i]));
        CHECK(wire_write_finish(&w) == ERR_OK);
        seed_write(target, name, (unsigned)i, wire_written(&w));
    }
}

#define ALL_OF(target, name, list, option)                                                         \
    all_of(target, name, list, sizeof(list) / sizeof((list)[0]), option)

void seeds_of_texts(void)
{
    ALL_OF("profile", "text", profiles, -1);
    ALL_OF("gateway_config", "text", gateways, -1);
    ALL_OF("proposal", "ike", proposals, 1);
    ALL_OF("proposal", "esp", proposals, 3);
    ALL_OF("text", "text", texts, -1);
    ALL_OF("control", "line", requests, -1);
}
