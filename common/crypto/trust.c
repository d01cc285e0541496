/* The set of CA certificates that are trusted. Verifying a chain against it is in trust_verify.c.
 *
 * Invariant: anchors are distinct, and the X509_STORE holds exactly these. */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/mem.h>

#include "common/crypto/x509_internal.h"

enum { TRUST_ANCHORS_MAX = 4096 };

enum err trust_store_new(struct trust_store **ret)
{
    struct trust_store *t = calloc(1, sizeof *t);
    X509_STORE *store = X509_STORE_new();
    if (t == NULL || store == NULL) {
        free(t);
        X509_STORE_free(store);
        return ERR_MEMORY;
    }
    t->store = store;
    *ret = t;
    return ERR_OK;
}

void trust_store_free(struct trust_store *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->count; i++)
        certificate_free(t->anchors[i].certificate);
    free(t->anchors);
    X509_STORE_free(t->store);
    trust_crls_free(t);
    free(t);
}

static bool has(const struct trust_store *t, const struct certificate *c)
{
    for (size_t i = 0; i < t->count; i++) {
        if (span_equal(certificate_der(t->anchors[i].certificate), certificate_der(c)))
            return true;
    }
    return false;
}

static enum err make_room(struct trust_store *t)
{
    if (t->count < t->cap)
        return ERR_OK;
    if (t->count >= TRUST_ANCHORS_MAX)
        return ERR_LIMIT;
    size_t cap = t->cap == 0 ? 8 : t->cap * 2;
    struct anchor *anchors = realloc(t->anchors, cap * sizeof *anchors);
    if (anchors == NULL)
        return ERR_MEMORY;
    t->anchors = anchors;
    t->cap = cap;
    return ERR_OK;
}

/* RFC 7296 3.7: the hash over the whole SubjectPublicKeyInfo element. */
static enum err key_hash(const struct certificate *c, uint8_t out[SHA1_LEN])
{
    unsigned char *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(c->x509), &der);
    if (len <= 0)
        return ERR_MEMORY;
    struct span spki = span_make(der, (size_t)len);
    hash_sha1(&spki, 1, out);
    OPENSSL_free(der);
    return ERR_OK;
}

enum err trust_store_add(struct trust_store *t, struct certificate *c)
{
    struct anchor a = {.certificate = c};
    if (has(t, c))
        return ERR_OK;
    enum err e = make_room(t);
    if (e == ERR_OK)
        e = key_hash(c, a.key_hash);
    if (e == ERR_OK && X509_STORE_add_cert(t->store, c->x509) != 1)
        e = ERR_MEMORY;
    ERR_clear_error();
    if (e != ERR_OK)
        return e;
    certificate_ref(c);
    t->anchors[t->count++] = a;
    return ERR_OK;
}

enum err trust_store_new_like(const struct trust_store *like, struct trust_store **ret)
{
    struct trust_store *t = NULL;
    enum err e = trust_store_new(&t);
    for (size_t i = 0; e == ERR_OK && i < like->count; i++)
        e = trust_store_add(t, like->anchors[i].certificate);
    if (e != ERR_OK) {
        trust_store_free(t);
        return e;
    }
    t->revocation = like->revocation;
    *ret = t;
    return ERR_OK;
}

static enum err add_anchor(void *ctx, struct certificate *c, struct fault *f)
{
    enum err e = trust_store_add(ctx, c);
    return e == ERR_OK ? e
                       : fault_set(f, e, "a CA certificate could not be added: %s", err_text(e));
}

enum err trust_store_add_pem(struct trust_store *t, struct span pem, bool lenient,
                             size_t *ret_added, struct fault *f)
{
    size_t before = t->count;
    enum err e = certificate_each(pem, lenient, add_anchor, t, f);
    if (e == ERR_OK)
        *ret_added = t->count - before;
    return e;
}

size_t trust_store_count(const struct trust_store *t)
{
    return t->count;
}

void trust_store_key_hash(const struct trust_store *t, size_t i, uint8_t out[SHA1_LEN])
{
    ASSERT(i < t->count);
    memcpy(out, t->anchors[i].key_hash, SHA1_LEN);
}
