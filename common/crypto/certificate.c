/* X.509 certificates: from bytes to an immutable, counted object. Which names one proves is in
 * certificate_names.c, whom to trust in trust.c and trust_verify.c.
 *
 * Invariant: a struct certificate has a key we can use, a validity that parsed, and a
 * subjectAltName that parsed or none at all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>

#include "common/crypto/x509_internal.h"

enum { CERTIFICATE_DER_MAX = 1 << 16, CERTIFICATE_FILE_MAX = 1 << 24 };

static enum err read_key(struct certificate *c, struct fault *f)
{
    char subject[IDENTITY_TEXT_MAX];
    EVP_PKEY *pkey = X509_get_pubkey(c->x509);
    enum err e = pkey != NULL ? public_key_from_pkey(pkey, &c->key) : ERR_UNSUPPORTED;
    EVP_PKEY_free(pkey);
    if (e == ERR_UNSUPPORTED)
        return fault_set(f, e, "certificate \"%.160s\" has a public key of an unsupported kind",
                         certificate_subject(c, subject));
    return e == ERR_OK ? e : fault_set(f, e, "out of memory");
}

/* RFC 5280 4.2: an extension occurs once at most. */
static enum err read_names(struct certificate *c, struct fault *f)
{
    char subject[IDENTITY_TEXT_MAX];
    int found = 0;
    c->names = X509_get_ext_d2i(c->x509, NID_subject_alt_name, &found, NULL);
    if (c->names == NULL && found != -1)
        return fault_set(f, ERR_MALFORMED, "certificate \"%.160s\" has a damaged subjectAltName",
                         certificate_subject(c, subject));
    return ERR_OK;
}

static enum err read_validity(struct certificate *c, struct fault *f)
{
    char subject[IDENTITY_TEXT_MAX];
    if (wall_time_from_asn1(X509_get0_notBefore(c->x509), &c->not_before) == ERR_OK &&
        wall_time_from_asn1(X509_get0_notAfter(c->x509), &c->not_after) == ERR_OK)
        return ERR_OK;
    return fault_set(f, ERR_MALFORMED, "certificate \"%.160s\" has a damaged validity",
                     certificate_subject(c, subject));
}

static enum err fill(struct certificate *c, struct span der, struct fault *f)
{
    const uint8_t *at = der.data;
    c->x509 = d2i_X509(NULL, &at, (long)der.len);
    if (c->x509 == NULL || at != der.data + der.len)
        return fault_set(f, ERR_MALFORMED, "the data is not a certificate, or a damaged one");
    c->der = malloc(der.len);
    if (c->der == NULL)
        return fault_set(f, ERR_MEMORY, "out of memory");
    memcpy(c->der, der.data, der.len);
    c->der_len = der.len;
    enum err e = read_names(c, f);
    if (e == ERR_OK)
        e = read_validity(c, f);
    return e == ERR_OK ? read_key(c, f) : e;
}

enum err certificate_parse_der(struct span der, struct certificate **ret, struct fault *f)
{
    if (der.len > CERTIFICATE_DER_MAX)
        return fault_set(f, ERR_LIMIT, "%zu octets are too many for a certificate", der.len);
    struct certificate *c = calloc(1, sizeof *c);
    if (c == NULL)
        return fault_set(f, ERR_MEMORY, "out of memory");
    c->references = 1;
    enum err e = fill(c, der, f);
    ERR_clear_error();
    if (e == ERR_OK)
        *ret = c;
    else
        certificate_free(c);
    return e;
}

struct certificate *certificate_ref(struct certificate *c)
{
    c->references++;
    return c;
}

void certificate_free(struct certificate *c)
{
    if (c == NULL || --c->references > 0)
        return;
    GENERAL_NAMES_free(c->names);
    public_key_free(c->key);
    X509_free(c->x509);
    free(c->der);
    free(c);
}

void certificate_list_wipe(struct certificate_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        certificate_free(l->items[i]);
    *l = (struct certificate_list){.count = 0};
}

static bool is_certificate(const char *pem_name)
{
    return strcmp(pem_name, "CERTIFICATE") == 0 || strcmp(pem_name, "X509 CERTIFICATE") == 0;
}

static enum err nothing_found(const char *seen, struct fault *f)
{
    if (seen[0] == '\0')
        (void)fault_set(f, ERR_MALFORMED, "no certificate found: neither PEM nor DER");
    else
        (void)fault_set(f, ERR_MALFORMED, "no certificate found, but \"%s\"", seen);
    fault_hint(f, "give the file that begins with \"-----BEGIN CERTIFICATE-----\"");
    return ERR_MALFORMED;
}

static enum err each_pem(BIO *in, bool lenient, certificate_sink *sink, void *ctx, struct fault *f)
{
    char seen[64] = "";
    size_t good = 0, number = 0;
    for (;;) {
        struct pem_block b = {0};
        struct certificate *c = NULL;
        enum err e = pem_next(in, &b);
        if (e == ERR_NOT_FOUND)
            return good > 0 || lenient ? ERR_OK : nothing_found(seen, f);
        number++;
        if (e != ERR_OK)
            (void)fault_set(f, e, "PEM block %zu is damaged", number);
        else if (is_certificate(b.name))
            e = certificate_parse_der(span_make(b.data, (size_t)b.len), &c, f);
        else
            (void)snprintf(seen, sizeof seen, "%s", b.name);
        pem_block_wipe(&b);
        if (e != ERR_OK && !lenient)
            return e;
        if (c == NULL)
            continue;
        good++;
        e = sink(ctx, c, f);
        certificate_free(c);
        if (e != ERR_OK)
            return e;
    }
}

enum err certificate_each(struct span bytes, bool lenient, certificate_sink *sink, void *ctx,
                          struct fault *f)
{
    CBS in, body;
    if (bytes.len > CERTIFICATE_FILE_MAX)
        return fault_set(f, ERR_LIMIT, "%zu octets of certificates are too many", bytes.len);
    if (bytes.len == 0)
        return lenient ? ERR_OK : fault_set(f, ERR_MALFORMED, "no certificate: the file is empty");
    CBS_init(&in, bytes.data, bytes.len);
    if (CBS_get_asn1(&in, &body, CBS_ASN1_SEQUENCE) && CBS_len(&in) == 0) {
        struct certificate *c = NULL;
        enum err e = certificate_parse_der(bytes, &c, f);
        if (e != ERR_OK)
            return lenient ? ERR_OK : e;
        e = sink(ctx, c, f);
        certificate_free(c);
        return e;
    }
    BIO *bio = BIO_new_mem_buf(bytes.data, (int)bytes.len);
    if (bio == NULL)
        return fault_set(f, ERR_MEMORY, "out of memory");
    enum err e = each_pem(bio, lenient, sink, ctx, f);
    BIO_free(bio);
    return e;
}

static enum err add_to_list(void *ctx, struct certificate *c, struct fault *f)
{
    struct certificate_list *l = ctx;
    if (l->count == CERTIFICATES_MAX)
        return fault_set(f, ERR_LIMIT, "more than %d certificates in one file", CERTIFICATES_MAX);
    l->items[l->count++] = certificate_ref(c);
    return ERR_OK;
}

enum err certificate_parse_file(struct span bytes, struct certificate_list *ret, struct fault *f)
{
    struct certificate_list l = {.count = 0};
    enum err e = certificate_each(bytes, false, add_to_list, &l, f);
    if (e != ERR_OK) {
        certificate_list_wipe(&l);
        return e;
    }
    *ret = l;
    return ERR_OK;
}

struct span certificate_der(const struct certificate *c)
{
    return span_make(c->der, c->der_len);
}

const struct public_key *certificate_key(const struct certificate *c)
{
    return c->key;
}

int64_t certificate_not_before(const struct certificate *c)
{
    return c->not_before;
}

int64_t certificate_not_after(const struct certificate *c)
{
    return c->not_after;
}
