/* Ephemeral key pairs of the three kinds of key exchange. A key pair is kept as octets; BoringSSL's
 * objects live only for the length of a call (and BoringSSL wipes what it frees). The peer's value
 * is judged before the private key touches it. */
#include "common/crypto/kex.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/curve25519.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/nid.h>

#include "common/crypto/kex_modp.h"

enum {
    /* RFC 3526 8 asks for exponents of at most 480 bits at 4096-bit strength; in a group of a safe
     * prime a short exponent is as strong as a full one. */
    MODP_PRIVATE_LEN = 64,
    ECP_FIELD_MAX = 66,
    /* A draw for an ECP private key is refused less than every other time even at worst. */
    ECP_DRAWS_MAX = 64
};

enum kind { KIND_MODP, KIND_ECP, KIND_X25519 };

struct method {
    enum ke_id id;
    enum kind kind;
    size_t public_len;
    const char *prime; /* MODP: hex */
    int curve;         /* ECP: BoringSSL's NID */
    unsigned bits;     /* ECP: of the order, which are those of the field */
};

static const struct method methods[] = {
    {KE_X25519, KIND_X25519, X25519_PUBLIC_VALUE_LEN, NULL, 0, 0},
    {KE_ECP_256, KIND_ECP, 64, NULL, NID_X9_62_prime256v1, 256},
    {KE_ECP_384, KIND_ECP, 96, NULL, NID_secp384r1, 384},
    {KE_ECP_521, KIND_ECP, 132, NULL, NID_secp521r1, 521},
    {KE_MODP_1024, KIND_MODP, 128, modp_1024, 0, 0},
    {KE_MODP_2048, KIND_MODP, 256, modp_2048, 0, 0},
    {KE_MODP_3072, KIND_MODP, 384, modp_3072, 0, 0},
    {KE_MODP_4096, KIND_MODP, 512, modp_4096, 0, 0},
};

struct kex {
    unsigned owners;
    const struct method *method;
    struct secret private_key;
    uint8_t public_value[KEX_PUBLIC_MAX]; /* method->public_len octets of it */
};

static const struct method *find_method(enum ke_id id)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (methods[i].id == id)
            return &methods[i];
    return NULL;
}

bool kex_supported(enum ke_id id)
{
    return find_method(id) != NULL;
}

size_t kex_public_len(enum ke_id id)
{
    const struct method *m = find_method(id);
    return m == NULL ? 0 : m->public_len;
}

/* ---- MODP ---- */

struct modp {
    BIGNUM *prime, *base, *exponent, *result;
    BN_MONT_CTX *mont;
    BN_CTX *ctx;
};

static void modp_wipe(struct modp *g)
{
    BN_free(g->prime);
    BN_free(g->base);
    BN_clear_free(g->exponent);
    BN_clear_free(g->result);
    BN_MONT_CTX_free(g->mont);
    BN_CTX_free(g->ctx);
}

/* base and exponent are taken from octets; on failure there is nothing to wipe. */
static enum err modp_init(struct modp *g, const struct method *m, struct span base,
                          struct span exponent)
{
    *g = (struct modp){0};
    if (BN_hex2bn(&g->prime, m->prime) != 0) {
        g->ctx = BN_CTX_new();
        g->base = BN_bin2bn(base.data, base.len, NULL);
        g->exponent = BN_bin2bn(exponent.data, exponent.len, NULL);
        g->result = BN_new();
        g->mont = g->ctx == NULL ? NULL : BN_MONT_CTX_new_for_modulus(g->prime, g->ctx);
    }
    if (g->base == NULL || g->exponent == NULL || g->result == NULL || g->mont == NULL) {
        modp_wipe(g);
        return ERR_MEMORY;
    }
    return ERR_OK;
}

/* RFC 6989 2.1: for a group of a safe prime, 1 < value < p - 1 is the whole test. */
static bool modp_in_range(const struct modp *g, const BIGNUM *value)
{
    BIGNUM *last = BN_dup(g->prime);
    bool ok = last != NULL && BN_sub_word(last, 1) && !BN_is_zero(value) && !BN_is_one(value) &&
              BN_cmp(value, last) < 0;
    BN_free(last);
    return ok;
}

/* out = base ^ exponent mod p, padded to the prime's length; both base and result in range. */
static enum err modp_power(const struct method *m, struct span base, struct span exponent,
                           uint8_t *out)
{
    struct modp g;
    enum err e = modp_init(&g, m, base, exponent);
    if (e != ERR_OK)
        return e;
    bool ok = modp_in_range(&g, g.base) &&
              BN_mod_exp_mont_consttime(g.result, g.base, g.exponent, g.prime, g.ctx, g.mont) &&
              modp_in_range(&g, g.result) && BN_bn2bin_padded(out, m->public_len, g.result);
    modp_wipe(&g);
    return ok ? ERR_OK : ERR_CRYPTO;
}

static enum err modp_new(struct kex *k, const struct random_source *random)
{
    static const uint8_t generator[] = {2};
    k->private_key.len = MODP_PRIVATE_LEN;
    random_fill(random, k->private_key.data, MODP_PRIVATE_LEN);
    return modp_power(k->method, SPAN_OF(generator), secret_span(&k->private_key), k->public_value);
}

/* ---- ECP ---- */

struct ecp {
    EC_GROUP *group;
    EC_POINT *peer, *result;
    BIGNUM *scalar, *x, *y;
    BN_CTX *ctx;
};

static void ecp_wipe(struct ecp *c)
{
    EC_POINT_free(c->peer);
    EC_POINT_clear_free(c->result);
    BN_clear_free(c->scalar);
    BN_clear_free(c->x);
    BN_clear_free(c->y);
    BN_CTX_free(c->ctx);
    EC_GROUP_free(c->group);
}

/* On failure there is nothing to wipe. */
static enum err ecp_init(struct ecp *c, const struct method *m)
{
    *c = (struct ecp){0};
    c->group = EC_GROUP_new_by_curve_name(m->curve);
    if (c->group != NULL) {
        c->peer = EC_POINT_new(c->group);
        c->result = EC_POINT_new(c->group);
        c->scalar = BN_new();
        c->x = BN_new();
        c->y = BN_new();
        c->ctx = BN_CTX_new();
    }
    if (c->peer == NULL || c->result == NULL || c->scalar == NULL || c->x == NULL || c->y == NULL ||
        c->ctx == NULL) {
        ecp_wipe(c);
        return ERR_MEMORY;
    }
    return ERR_OK;
}

/* A uniform scalar in 1 .. order-1: whole octets are drawn, bits beyond the order's length cleared,
 * and what is still out of range drawn again (NIST SP 800-56A, 5.6.1.2.2). */
static enum err ecp_draw(struct ecp *c, struct kex *k, const struct random_source *random)
{
    struct secret *s = &k->private_key;
    const unsigned bits = k->method->bits;
    s->len = (bits + 7) / 8;
    for (int i = 0; i < ECP_DRAWS_MAX; i++) {
        random_fill(random, s->data, s->len);
        s->data[0] &= (uint8_t)(0xff >> (8 * s->len - bits));
        if (BN_bin2bn(s->data, s->len, c->scalar) == NULL)
            return ERR_MEMORY;
        if (!BN_is_zero(c->scalar) && BN_cmp(c->scalar, EC_GROUP_get0_order(c->group)) < 0)
            return ERR_OK;
    }
    return ERR_CRYPTO;
}

/* x | y, each as long as the field (RFC 5903 7). */
static bool ecp_write(struct ecp *c, const struct method *m, uint8_t *out)
{
    const size_t field_len = m->public_len / 2;
    return EC_POINT_get_affine_coordinates_GFp(c->group, c->result, c->x, c->y, c->ctx) &&
           BN_bn2bin_padded(out, field_len, c->x) &&
           BN_bn2bin_padded(out + field_len, field_len, c->y);
}

static enum err ecp_new(struct kex *k, const struct random_source *random)
{
    struct ecp c;
    enum err e = ecp_init(&c, k->method);
    if (e != ERR_OK)
        return e;
    e = ecp_draw(&c, k, random);
    if (e == ERR_OK && (!EC_POINT_mul(c.group, c.result, c.scalar, NULL, NULL, c.ctx) ||
                        !ecp_write(&c, k->method, k->public_value)))
        e = ERR_CRYPTO;
    ecp_wipe(&c);
    return e;
}

/* RFC 6989 2.3: coordinates below the field's prime that satisfy the curve's equation; setting the
 * point from octets checks both. The point at infinity has no x | y. The cofactor is 1, so no
 * other check is due. The secret is the x coordinate alone (RFC 5903 7). */
static enum err ecp_shared(const struct kex *k, struct span peer, uint8_t *out)
{
    const struct method *m = k->method;
    struct ecp c;
    enum err e = ecp_init(&c, m);
    if (e != ERR_OK)
        return e;
    uint8_t octets[1 + 2 * ECP_FIELD_MAX] = {POINT_CONVERSION_UNCOMPRESSED};
    memcpy(octets + 1, peer.data, peer.len);
    uint8_t point[2 * ECP_FIELD_MAX];
    bool ok = BN_bin2bn(k->private_key.data, k->private_key.len, c.scalar) != NULL &&
              EC_POINT_oct2point(c.group, c.peer, octets, 1 + peer.len, c.ctx) &&
              EC_POINT_mul(c.group, c.result, NULL, c.peer, c.scalar, c.ctx) &&
              ecp_write(&c, m, point);
    if (ok)
        memcpy(out, point, m->public_len / 2);
    wipe(point, sizeof(point));
    ecp_wipe(&c);
    return ok ? ERR_OK : ERR_CRYPTO;
}

/* ---- X25519 ---- */

static void x25519_new(struct kex *k, const struct random_source *random)
{
    k->private_key.len = X25519_PRIVATE_KEY_LEN;
    random_fill(random, k->private_key.data, X25519_PRIVATE_KEY_LEN);
    X25519_public_from_private(k->public_value, k->private_key.data);
}

/* ---- all of them ---- */

static enum err make_key_pair(struct kex *k, const struct random_source *random)
{
    switch (k->method->kind) {
    case KIND_MODP:
        return modp_new(k, random);
    case KIND_ECP:
        return ecp_new(k, random);
    case KIND_X25519:
        x25519_new(k, random);
        break;
    }
    return ERR_OK;
}

enum err kex_new(enum ke_id id, const struct random_source *random, struct kex **ret)
{
    const struct method *m = find_method(id);
    if (m == NULL)
        return ERR_UNSUPPORTED;
    struct kex *k = calloc(1, sizeof(*k));
    if (k == NULL)
        return ERR_MEMORY;
    k->owners = 1;
    k->method = m;
    enum err e = make_key_pair(k, random);
    if (e != ERR_OK) {
        ERR_clear_error();
        kex_free(k);
        return e;
    }
    *ret = k;
    return ERR_OK;
}

struct kex *kex_share(struct kex *k)
{
    k->owners++;
    return k;
}

void kex_free(struct kex *k)
{
    if (k == NULL || --k->owners > 0)
        return;
    wipe(k, sizeof(*k));
    free(k);
}

enum ke_id kex_id(const struct kex *k)
{
    return k->method->id;
}

struct span kex_public(const struct kex *k)
{
    return span_make(k->public_value, k->method->public_len);
}

enum err kex_shared(const struct kex *k, struct span peer, struct secret *ret)
{
    const struct method *m = k->method;
    if (peer.len != m->public_len)
        return ERR_CRYPTO;
    uint8_t shared[KEX_PUBLIC_MAX];
    size_t shared_len = m->public_len;
    enum err e = ERR_OK;
    switch (m->kind) {
    case KIND_MODP:
        e = modp_power(m, peer, secret_span(&k->private_key), shared);
        break;
    case KIND_ECP:
        shared_len = m->public_len / 2;
        e = ecp_shared(k, peer, shared);
        break;
    case KIND_X25519:
        /* RFC 8031 2.3: an all-zero result, from a point of low order, is refused. */
        if (!X25519(shared, k->private_key.data, peer.data))
            e = ERR_CRYPTO;
        break;
    }
    if (e == ERR_OK)
        e = secret_set(ret, span_make(shared, shared_len));
    else
        ERR_clear_error();
    wipe(shared, sizeof(shared));
    return e;
}
