/* CRLs and OCSP responses that a peer or a file holds: read, looked into, and as evidence about one
 * certificate. Those and the seeds are tests/vectors/revocation.py's (revocation.sh). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/certificate.h"
#include "common/crypto/crl.h"
#include "common/crypto/ocsp.h"
#include "tests/fuzz/fuzz.h"

enum { DER_MAX = 4096 };

static const int64_t NOW = 1781524800; /* 15 June 2026 */

static struct certificate *certificate(const char *path)
{
    static uint8_t der[DER_MAX];
    struct certificate *c;
    FILE *f = fopen(path, "rb");
    CHECK(f != NULL);
    size_t len = fread(der, 1, sizeof(der), f);
    fclose(f);
    CHECK(certificate_parse_der(span_make(der, len), &c, NULL) == ERR_OK);
    return c;
}

static struct trust_store *store(void)
{
    struct trust_store *t;
    static struct certificate *root;
    if (root == NULL)
        root = certificate(TERN_FUZZ_DIR "/../vectors/revocation/root.der");
    CHECK(trust_store_new(&t) == ERR_OK && trust_store_add(t, root) == ERR_OK);
    trust_store_set_revocation(t, REVOCATION_STRICT);
    return t;
}

static const struct certificate_list *leaf(void)
{
    static struct certificate_list l;
    if (l.count == 0) {
        l.items[0] = certificate(TERN_FUZZ_DIR "/../vectors/revocation/leaf.der");
        l.count = 1;
    }
    return &l;
}

static void check_text(const char *text)
{
    CHECK(text[0] != '\0');
    for (; *text != '\0'; text++)
        CHECK((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void list(struct span der)
{
    struct crl c;
    struct revocation r;
    struct fault f = {0};
    if (crl_parse(der, &c, &f) != ERR_OK) {
        check_text(f.text);
        return;
    }
    /* a serial number that is in it is found; the first one begins behind two headers */
    bool any = c.revoked_count > 0;
    if (any && c.revoked.len > 4 && c.revoked.data[1] < 0x80 && c.revoked.data[3] < 0x80)
        CHECK(crl_find(&c, span_make(c.revoked.data + 4, c.revoked.data[3]), &r));
    if (!any)
        CHECK(!crl_find(&c, SPAN_EMPTY, &r));
    for (int authority = 0; authority < 2; authority++) {
        bool everywhere = crl_covers(&c, authority != 0, SPAN_EMPTY);
        CHECK(!everywhere || crl_covers(&c, authority != 0, der));
    }
}

static void response(struct span der)
{
    struct ocsp_response r;
    struct ocsp_answer a;
    struct fault f = {0};
    if (ocsp_parse(der, &r, &f) != ERR_OK) {
        check_text(f.text);
        return;
    }
    CHECK(r.responder_name.len == 0 || r.responder_key.len == 0);
    struct span answers = r.answers;
    while (answers.len > 0) { /* all of them have been read before */
        size_t before = answers.len;
        CHECK(ocsp_next(&answers, &a));
        CHECK(answers.len < before);
        check_text(revocation_reason_text(a.revocation.reason));
    }
}

/* Pieces behind their lengths: each is both. */
static void evidence(struct wire_reader *r)
{
    struct trust_evidence e = {.crl_count = 0};
    uint8_t *copies[TRUST_EVIDENCE_MAX];
    size_t count = 0;
    while (wire_left(r) > 0 && count < TRUST_EVIDENCE_MAX) {
        struct span piece = fuzz_piece(r);
        copies[count] = fuzz_copy(piece);
        CHECK(trust_evidence_add_crl(&e, span_make(copies[count], piece.len)) &&
              trust_evidence_add_ocsp(&e, span_make(copies[count], piece.len)));
        count++;
    }
    struct trust_store *t = store();
    struct fault f = {0};
    if (trust_verify(t, leaf(), &e, PURPOSE_GATEWAY, NOW, &f) != ERR_OK)
        check_text(f.text);
    trust_store_free(t);
    while (count > 0)
        free(copies[--count]);
}

static void file(struct span bytes)
{
    struct trust_store *t = store();
    struct fault f = {0};
    size_t added;
    if (trust_store_add_crls(t, bytes, &added, &f) != ERR_OK)
        check_text(f.text);
    for (size_t i = 0; i < trust_store_crl_count(t); i++) {
        struct fault why = {0};
        if (trust_store_check_crl(t, i, NOW, &why) != ERR_OK)
            check_text(why.text);
    }
    if (trust_verify(t, leaf(), NULL, PURPOSE_GATEWAY, NOW, &f) != ERR_OK)
        check_text(f.text);
    trust_store_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader r;
    wire_reader_init(&r, span_make(data, size));
    uint8_t kind = wire_read_u8(&r);
    if ((kind & 3) == 2) {
        evidence(&r);
        return 0;
    }
    struct span rest = wire_read_rest(&r);
    uint8_t *copy = fuzz_copy(rest);
    struct span bytes = span_make(copy, rest.len);
    if ((kind & 3) == 0)
        list(bytes);
    else if ((kind & 3) == 1)
        response(bytes);
    else
        file(bytes);
    free(copy);
    return 0;
}
