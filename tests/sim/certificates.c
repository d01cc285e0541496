/* Certificates for the runs that use them: Ed25519, whose signatures are the same each time, valid
 * for as long as the wall clock may jump. The hostile ones come from a root of the same name. */
#include "tests/sim/sim.h"

static const char root_pem[] = "-----BEGIN CERTIFICATE-----\n"
                               "MIIBJDCB16ADAgECAgEBMAUGAytlcDAZMRcwFQYDVQQDDA5TaW11bGF0b3IgUm9v\n"
                               "dDAgFw02MDAxMDEwMDAwMDBaGA85OTk5MTIzMTIzNTk1OVowGTEXMBUGA1UEAwwO\n"
                               "U2ltdWxhdG9yIFJvb3QwKjAFBgMrZXADIQDS0++3ocOrOM936njLX/XWHmdNfIBG\n"
                               "1shj95ADOWRl4qNCMEAwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAgQw\n"
                               "HQYDVR0OBBYEFIE9CpOqcx84RcV/eT8ynKpLUrfeMAUGAytlcANBANrrzq2YlGL4\n"
                               "jxEQgScj3S3tGjP7qkp6b5/WSXQmDCDDTycBRcAApTXsvdGwjnuVNzlx8YM/xoMX\n"
                               "+CS1j7qwvwI=\n"
                               "-----END CERTIFICATE-----\n";

static const struct {
    const char *certificate, *key;
} issued[] = {
    [CERTIFIED_GATEWAY] = {"-----BEGIN CERTIFICATE-----\n"
                           "MIIBWDCCAQqgAwIBAgIBAjAFBgMrZXAwGTEXMBUGA1UEAwwOU2ltdWxhdG9yIFJv\n"
                           "b3QwIBcNNjAwMTAxMDAwMDAwWhgPOTk5OTEyMzEyMzU5NTlaMBkxFzAVBgNVBAMM\n"
                           "Dmd3LmV4YW1wbGUuY29tMCowBQYDK2VwAyEADvFB8hCFdSKnmB5TZbB1KAcayOAf\n"
                           "7mzgK1fFpa83UoqjdTBzMAkGA1UdEwQCMAAwCwYDVR0PBAQDAgeAMBkGA1UdEQQS\n"
                           "MBCCDmd3LmV4YW1wbGUuY29tMB0GA1UdDgQWBBRXEoVDQL6kQKUCtmMwkAGboQxd\n"
                           "kTAfBgNVHSMEGDAWgBSBPQqTqnMfOEXFf3k/MpyqS1K33jAFBgMrZXADQQAnqR6q\n"
                           "kIRfBg0phekZXGvf/i3v1MuXgbCs+to5NPIuD8KQwhGzWfXKT2+G1rl2hEGcEKyE\n"
                           "Du7MLnQYKt7mhPsN\n"
                           "-----END CERTIFICATE-----\n",
                           "-----BEGIN PRIVATE KEY-----\n"
                           "MC4CAQAwBQYDK2VwBCIEIOKXQp+6QDfxevpbCo/Xkg/E64JZMn2VJd1q2q+BmVmH\n"
                           "-----END PRIVATE KEY-----\n"},
    [CERTIFIED_CLIENT1] = {"-----BEGIN CERTIFICATE-----\n"
                           "MIIBYjCCARSgAwIBAgIBAzAFBgMrZXAwGTEXMBUGA1UEAwwOU2ltdWxhdG9yIFJv\n"
                           "b3QwIBcNNjAwMTAxMDAwMDAwWhgPOTk5OTEyMzEyMzU5NTlaMB4xHDAaBgNVBAMM\n"
                           "E2NsaWVudDEuZXhhbXBsZS5jb20wKjAFBgMrZXADIQBUTOrlZ9g091VFPMkAfGi3\n"
                           "QwxI0PRidnDXXQ7UJ1kSL6N6MHgwCQYDVR0TBAIwADALBgNVHQ8EBAMCB4AwHgYD\n"
                           "VR0RBBcwFYITY2xpZW50MS5leGFtcGxlLmNvbTAdBgNVHQ4EFgQU4/p4QzuD6d3B\n"
                           "A4548avW3ZKOwO0wHwYDVR0jBBgwFoAUgT0Kk6pzHzhFxX95PzKcqktSt94wBQYD\n"
                           "K2VwA0EAzZciBhU75mBXLM8RPHdEwxN/JmGnISOygehR1Jynnp/R1jnkXdMwnHHc\n"
                           "0+GY1XcDaRA/apckes/9AfXY6iY1BQ==\n"
                           "-----END CERTIFICATE-----\n",
                           "-----BEGIN PRIVATE KEY-----\n"
                           "MC4CAQAwBQYDK2VwBCIEIGM2uOlqAJXFpHAa4rHZZAKnbVaW7AaQVOejOsRR3JTw\n"
                           "-----END PRIVATE KEY-----\n"},
    [CERTIFIED_CLIENT2] = {"-----BEGIN CERTIFICATE-----\n"
                           "MIIBYjCCARSgAwIBAgIBBDAFBgMrZXAwGTEXMBUGA1UEAwwOU2ltdWxhdG9yIFJv\n"
                           "b3QwIBcNNjAwMTAxMDAwMDAwWhgPOTk5OTEyMzEyMzU5NTlaMB4xHDAaBgNVBAMM\n"
                           "E2NsaWVudDIuZXhhbXBsZS5jb20wKjAFBgMrZXADIQAThNCBaSwE5JRTdTsdBNpm\n"
                           "czUTUQAfskcMSQe7TxiWIaN6MHgwCQYDVR0TBAIwADALBgNVHQ8EBAMCB4AwHgYD\n"
                           "VR0RBBcwFYITY2xpZW50Mi5leGFtcGxlLmNvbTAdBgNVHQ4EFgQUmFYF+dpy67EW\n"
                           "hzeAViA3+kHT9MYwHwYDVR0jBBgwFoAUgT0Kk6pzHzhFxX95PzKcqktSt94wBQYD\n"
                           "K2VwA0EApuQoNuR2zrOTXuoYQTF99bYKVydgr6Bmll581rC9V/TTGbHH4e9yWRH2\n"
                           "UtzSiJz3ojq+bs4Kd9lJIQva4ezXDA==\n"
                           "-----END CERTIFICATE-----\n",
                           "-----BEGIN PRIVATE KEY-----\n"
                           "MC4CAQAwBQYDK2VwBCIEIPaJlj65SADbXw07iScfuyrfsz80I68PatMpLed5Ge7L\n"
                           "-----END PRIVATE KEY-----\n"},
    [CERTIFIED_IMPOSTOR] = {"-----BEGIN CERTIFICATE-----\n"
                            "MIIBWDCCAQqgAwIBAgIBAjAFBgMrZXAwGTEXMBUGA1UEAwwOU2ltdWxhdG9yIFJv\n"
                            "b3QwIBcNNjAwMTAxMDAwMDAwWhgPOTk5OTEyMzEyMzU5NTlaMBkxFzAVBgNVBAMM\n"
                            "Dmd3LmV4YW1wbGUuY29tMCowBQYDK2VwAyEAxBHLUXg2QrqGB11/ht4g2b+gNuky\n"
                            "6kTHCgpGPOmFxUmjdTBzMAkGA1UdEwQCMAAwCwYDVR0PBAQDAgeAMBkGA1UdEQQS\n"
                            "MBCCDmd3LmV4YW1wbGUuY29tMB0GA1UdDgQWBBTYx5/yjJftvOuAxNXeHZmiIgZy\n"
                            "jjAfBgNVHSMEGDAWgBSEmcUMLcqJ88fWlyrcncmGq3q/FzAFBgMrZXADQQAW1GVC\n"
                            "Q1LYZhInaHsgnhX+M31ycAXozN9INTPB6tIxMCDS9sf3Ebt+SgLu4u4yytC5uQlA\n"
                            "afn/4FTCBgdStjYB\n"
                            "-----END CERTIFICATE-----\n",
                            "-----BEGIN PRIVATE KEY-----\n"
                            "MC4CAQAwBQYDK2VwBCIEIKbA+MzAE07GEAiKXq9PoGF7YMqdA8U9gnO9CtBrTZge\n"
                            "-----END PRIVATE KEY-----\n"},
    [CERTIFIED_INTRUDER] = {"-----BEGIN CERTIFICATE-----\n"
                            "MIIBYjCCARSgAwIBAgIBAzAFBgMrZXAwGTEXMBUGA1UEAwwOU2ltdWxhdG9yIFJv\n"
                            "b3QwIBcNNjAwMTAxMDAwMDAwWhgPOTk5OTEyMzEyMzU5NTlaMB4xHDAaBgNVBAMM\n"
                            "E2NsaWVudDEuZXhhbXBsZS5jb20wKjAFBgMrZXADIQB7miGCpv1qWMmi7WS8SBLr\n"
                            "taqC0IRO/39w5wObR1oGgKN6MHgwCQYDVR0TBAIwADALBgNVHQ8EBAMCB4AwHgYD\n"
                            "VR0RBBcwFYITY2xpZW50MS5leGFtcGxlLmNvbTAdBgNVHQ4EFgQUzOO345c/UkCl\n"
                            "3ozqDZMiK/JIMHMwHwYDVR0jBBgwFoAUhJnFDC3KifPH1pcq3J3Jhqt6vxcwBQYD\n"
                            "K2VwA0EA/LNmCEY1s6PYswdLdutk25DHHurDV79oX2YPivfVo+FUTM6S/H0iP/Kf\n"
                            "K+T5p9nQRamH8XdX7imBT0sXFXV5Dw==\n"
                            "-----END CERTIFICATE-----\n",
                            "-----BEGIN PRIVATE KEY-----\n"
                            "MC4CAQAwBQYDK2VwBCIEIBb0CB0FEG3ouRK02DKETVZHQB+h8k0CcfZhkfjYZaXH\n"
                            "-----END PRIVATE KEY-----\n"},
};

static struct {
    bool loaded;
    struct trust_store *trust;
    struct certificate_list chains[CERTIFIED_COUNT];
    struct private_key *keys[CERTIFIED_COUNT];
} loaded;

static void load(void)
{
    struct fault f;
    size_t added;
    loaded.loaded = true;
    ASSERT(trust_store_new(&loaded.trust) == ERR_OK);
    ASSERT(trust_store_add_pem(loaded.trust, span_text(root_pem), false, &added, &f) == ERR_OK);
    for (size_t i = 0; i < CERTIFIED_COUNT; i++) {
        ASSERT(certificate_parse_file(span_text(issued[i].certificate), &loaded.chains[i], &f) ==
               ERR_OK);
        ASSERT(private_key_parse(span_text(issued[i].key), &loaded.keys[i], &f) == ERR_OK);
    }
}

void certificates_use(struct session_config *c, enum certified who)
{
    if (c->local_auth != SESSION_AUTH_CERTIFICATE &&
        (c->remote_auth & SESSION_AUTH_CERTIFICATE) == 0)
        return;
    if (!loaded.loaded)
        load();
    c->trust = loaded.trust;
    c->eap.trust = loaded.trust; /* of use for EAP-TLS */
    c->eap.chain = &loaded.chains[who];
    c->eap.key = loaded.keys[who];
    if (c->local_auth != SESSION_AUTH_CERTIFICATE)
        return;
    c->chain = &loaded.chains[who];
    c->key = loaded.keys[who];
}
