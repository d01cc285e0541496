/* Certificates that a peer sends: DER of any kind, chains of them against a store with one CA, and
 * what is read out of them. certificates/ca.der and the seeds are made by
 * tests/fuzz/certificates.sh.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/certificate.h"
#include "tests/fuzz/fuzz.h"

enum { DER_MAX = 4096 };

static const int64_t NOW = 1800000000; /* 2027 */

static struct trust_store *store(void)
{
    static struct trust_store *t;
    if (t != NULL)
        return t;
    static uint8_t der[DER_MAX];
    FILE *f = fopen(TERN_FUZZ_DIR "/ca.der", "rb");
    CHECK(f != NULL);
    size_t len = fread(der, 1, sizeof(der), f);
    fclose(f);
    struct certificate *ca;
    CHECK(certificate_parse_der(span_make(der, len), &ca, NULL) == ERR_OK);
    CHECK(trust_store_new(&t) == ERR_OK && trust_store_add(t, ca) == ERR_OK);
    certificate_free(ca);
    return t;
}

static void check_text(const char *text)
{
    CHECK(strlen(text) < IDENTITY_TEXT_MAX);
    for (; *text != '\0'; text++)
        CHECK((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void look(const struct certificate *c, struct span der)
{
    char text[IDENTITY_TEXT_MAX];
    struct identity id;
    CHECK(span_equal(certificate_der(c), der));
    check_text(certificate_subject(c, text));
    check_text(certificate_issuer(c, text));
    check_text(certificate_names(c, text));
    (void)certificate_not_before(c);
    (void)certificate_not_after(c);
    CHECK(certificate_key(c) != NULL);
    certificate_default_identity(c, &id);
    if (id.type != IDENTITY_NONE)
        CHECK(certificate_proves(c, &id));
    static const char *const names[] = {"vpn.example.com",
                                        "alice@example.com",
                                        "192.0.2.1",
                                        "2001:db8::1",
                                        "CN=vpn.example.com, O=Example",
                                        "@#0102"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        CHECK(identity_parse(names[i], &id) == ERR_OK);
        bool proven = certificate_proves(c, &id);
        CHECK(id.type != IDENTITY_KEY_ID || !proven);
    }
}

static void chain(struct wire_reader *r, bool client)
{
    struct certificate_list l = {0};
    while (wire_left(r) > 0 && l.count < CERTIFICATES_MAX) {
        struct span der = fuzz_piece(r);
        uint8_t *copy = fuzz_copy(der);
        struct fault f = {0};
        enum err e = certificate_parse_der(span_make(copy, der.len), &l.items[l.count], &f);
        free(copy);
        if (e != ERR_OK) {
            CHECK(f.text[0] != '\0');
            continue;
        }
        look(l.items[l.count], der);
        l.count++;
    }
    struct fault f = {0};
    if (l.count > 0 && trust_verify(store(), &l, NULL, client ? PURPOSE_CLIENT : PURPOSE_GATEWAY,
                                    NOW, &f) != ERR_OK)
        check_text(f.text);
    certificate_list_wipe(&l);
}

static void file(struct span bytes)
{
    struct certificate_list l = {0};
    struct fault f = {0};
    if (certificate_parse_file(bytes, &l, &f) != ERR_OK)
        CHECK(f.text[0] != '\0');
    certificate_list_wipe(&l);
    struct trust_store *t;
    size_t added;
    CHECK(trust_store_new(&t) == ERR_OK);
    if (trust_store_add_pem(t, bytes, true, &added, &f) == ERR_OK)
        CHECK(trust_store_count(t) <= added);
    trust_store_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader r;
    wire_reader_init(&r, span_make(data, size));
    uint8_t kind = wire_read_u8(&r);
    if ((kind & 1) != 0)
        file(wire_read_rest(&r));
    else
        chain(&r, (kind & 2) != 0);
    return 0;
}
