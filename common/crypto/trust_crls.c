/* The CRLs of a trust store, as the profile names them: read once, asked for every chain
 * (revocation_check.c). */
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>

#include "common/crypto/x509_internal.h"

enum { TRUST_CRLS_MAX = 256, CRL_BYTES_MAX = 1 << 24 };

static enum err add(struct trust_store *t, struct span der, struct fault *f)
{
    struct stored_crl s;
    if (t->crl_count == TRUST_CRLS_MAX)
        return fault_set(f, ERR_LIMIT, "more than %d CRLs", TRUST_CRLS_MAX);
    struct stored_crl *crls = realloc(t->crls, (t->crl_count + 1) * sizeof *crls);
    if (crls == NULL)
        return fault_set(f, ERR_MEMORY, "out of memory");
    t->crls = crls;
    s.der = malloc(der.len > 0 ? der.len : 1);
    if (s.der == NULL)
        return fault_set(f, ERR_MEMORY, "out of memory");
    if (der.len > 0)
        memcpy(s.der, der.data, der.len);
    enum err e = crl_parse(span_make(s.der, der.len), &s.crl, f);
    if (e != ERR_OK)
        free(s.der);
    else
        t->crls[t->crl_count++] = s;
    return e;
}

static enum err add_pem(struct trust_store *t, BIO *in, struct fault *f)
{
    size_t before = t->crl_count;
    for (;;) {
        struct pem_block b = {0};
        enum err e = pem_next(in, &b);
        if (e == ERR_NOT_FOUND)
            break;
        if (e != ERR_OK)
            (void)fault_set(f, e, "a PEM block is damaged");
        else if (strcmp(b.name, "X509 CRL") == 0)
            e = add(t, span_make(b.data, (size_t)b.len), f);
        pem_block_wipe(&b);
        if (e != ERR_OK)
            return e;
    }
    if (t->crl_count > before)
        return ERR_OK;
    (void)fault_set(f, ERR_MALFORMED, "no CRL found: neither PEM nor DER");
    fault_hint(f, "give the file that begins with \"-----BEGIN X509 CRL-----\"");
    return ERR_MALFORMED;
}

enum err trust_store_add_crls(struct trust_store *t, struct span bytes, size_t *ret_added,
                              struct fault *f)
{
    CBS in, body;
    size_t before = t->crl_count;
    enum err e;
    if (bytes.len > CRL_BYTES_MAX)
        return fault_set(f, ERR_LIMIT, "%zu octets of CRLs are too many", bytes.len);
    CBS_init(&in, bytes.data, bytes.len);
    if (CBS_get_asn1(&in, &body, CBS_ASN1_SEQUENCE) && CBS_len(&in) == 0) {
        e = add(t, bytes, f);
    } else {
        BIO *bio = BIO_new_mem_buf(bytes.len > 0 ? (const void *)bytes.data : "", (int)bytes.len);
        e = bio != NULL ? add_pem(t, bio, f) : fault_set(f, ERR_MEMORY, "out of memory");
        BIO_free(bio);
    }
    ERR_clear_error();
    if (e == ERR_OK)
        *ret_added = t->crl_count - before;
    return e;
}

void trust_store_set_revocation(struct trust_store *t, enum revocation_policy policy)
{
    t->revocation = policy;
}

enum revocation_policy trust_store_revocation(const struct trust_store *t)
{
    return t->revocation;
}

size_t trust_store_crl_count(const struct trust_store *t)
{
    return t->crl_count;
}

void trust_crls_free(struct trust_store *t)
{
    for (size_t i = 0; i < t->crl_count; i++)
        free(t->crls[i].der);
    free(t->crls);
}

/* --- looked at before anybody is met --- */

static bool signed_by(const struct crl *c, const struct certificate *ca)
{
    return (X509_get_key_usage(ca->x509) & KU_CRL_SIGN) != 0 &&
           signature_verify_by(ca->key, c->algorithm, c->tbs, c->signature) == ERR_OK;
}

static enum err check_issuer(const struct trust_store *t, const struct crl *c,
                             const X509_NAME *issuer, struct fault *f)
{
    char name[IDENTITY_TEXT_MAX];
    bool found = false;
    for (size_t i = 0; i < t->count; i++) {
        const struct certificate *ca = t->anchors[i].certificate;
        if (X509_NAME_cmp(X509_get_subject_name(ca->x509), issuer) != 0)
            continue;
        if (signed_by(c, ca))
            return ERR_OK;
        found = true;
    }
    (void)name_text(issuer, name, sizeof name);
    if (!found)
        return fault_set(f, ERR_NOT_FOUND,
                         "the CRL is of \"%.200s\", which is none of the trusted CAs; it counts "
                         "where the gateway sends that CA's certificate",
                         name);
    return fault_set(f, ERR_INTEGRITY,
                     "the CRL is not signed by the CA \"%.200s\" that is trusted, or that CA may "
                     "not sign any",
                     name);
}

static enum err check_time(const struct crl *c, int64_t wall_time, const X509_NAME *issuer,
                           struct fault *f)
{
    char name[IDENTITY_TEXT_MAX], then[WALL_TIME_TEXT_MAX], now[WALL_TIME_TEXT_MAX];
    if (c->has_next_update && wall_time <= c->next_update)
        return ERR_OK;
    (void)name_text(issuer, name, sizeof name);
    if (!c->has_next_update)
        return fault_set(f, ERR_EXHAUSTED,
                         "the CRL of \"%.160s\" does not say until when it is "
                         "valid",
                         name);
    (void)fault_set(f, ERR_EXHAUSTED, "the CRL of \"%.160s\" is outdated since %s; it is now %s",
                    name, wall_time_format(c->next_update, then), wall_time_format(wall_time, now));
    fault_hint(f, "get a new one from that CA; or set this machine's clock, if that is wrong");
    return ERR_EXHAUSTED;
}

enum err trust_store_check_crl(const struct trust_store *t, size_t i, int64_t wall_time,
                               struct fault *f)
{
    ASSERT(i < t->crl_count);
    const struct crl *c = &t->crls[i].crl;
    X509_NAME *issuer = NULL;
    if (name_from_der(c->issuer, &issuer) != ERR_OK)
        return fault_set(f, ERR_INTEGRITY, "the name of the CRL's issuer is damaged");
    enum err e = check_issuer(t, c, issuer, f);
    if (e == ERR_OK)
        e = check_time(c, wall_time, issuer, f);
    X509_NAME_free(issuer);
    ERR_clear_error();
    return e;
}
