/* The ways from an end entity to an anchor, through what was sent. Authorities that share a name
 * (a new key, a cross-certificate) make several; all are tried, in a bounded search, until one
 * holds.
 *
 * Invariants: in a way each is signed by the next; of those sent nobody (a subject with its key) is
 * in it twice; the last is an anchor, and the only one. */
#include <openssl/err.h>

#include "common/crypto/x509_internal.h"

/* Far more than any honest sender needs, and soon done. */
enum { SIGNATURES_MAX = 64, WAYS_MAX = 16 };

struct search {
    const struct trust_store *t;
    const struct certificate_list *sent;
    trust_path_try *try;
    void *ctx;
    const struct certificate *way[TRUST_PATH_MAX];
    size_t len;
    unsigned signatures, ways;
};

static bool same_entity(const struct certificate *a, const struct certificate *b)
{
    return X509_NAME_cmp(X509_get_subject_name(a->x509), X509_get_subject_name(b->x509)) == 0 &&
           EVP_PKEY_cmp(a->key->pkey, b->key->pkey) == 1;
}

static bool on_the_way(const struct search *s, const struct certificate *c)
{
    for (size_t i = 0; i < s->len; i++) {
        if (same_entity(s->way[i], c))
            return true;
    }
    return false;
}

static bool issued(struct search *s, const struct certificate *issuer, const struct certificate *c)
{
    if (X509_NAME_cmp(X509_get_issuer_name(c->x509), X509_get_subject_name(issuer->x509)) != 0 ||
        s->signatures == SIGNATURES_MAX)
        return false;
    s->signatures++;
    bool good = X509_verify(c->x509, issuer->key->pkey) == 1;
    ERR_clear_error();
    return good;
}

static bool is_anchor(const struct search *s, const struct certificate *c)
{
    for (size_t i = 0; i < s->t->count; i++) {
        if (span_equal(certificate_der(s->t->anchors[i].certificate), certificate_der(c)))
            return true;
    }
    return false;
}

/* The way ends here. */
static bool arrived(struct search *s)
{
    return s->ways++ < WAYS_MAX && s->try(s->ctx, s->way, s->len);
}

static bool go_on(struct search *s);

static bool step(struct search *s, const struct certificate *c)
{
    ASSERT(s->len < TRUST_PATH_MAX); /* nobody is met twice, and no anchor is passed */
    s->way[s->len++] = c;
    bool done = go_on(s);
    s->len--;
    return done;
}

static bool to_an_anchor(struct search *s, const struct certificate *at)
{
    for (size_t i = 0; i < s->t->count; i++) {
        const struct certificate *anchor = s->t->anchors[i].certificate;
        if (issued(s, anchor, at) && step(s, anchor))
            return true;
    }
    return false;
}

static bool go_on(struct search *s)
{
    const struct certificate *at = s->way[s->len - 1];
    if (is_anchor(s, at))
        return arrived(s);
    if (to_an_anchor(s, at))
        return true;
    for (size_t i = 1; i < s->sent->count; i++) {
        const struct certificate *c = s->sent->items[i];
        if (!is_anchor(s, c) && !on_the_way(s, c) && issued(s, c, at) && step(s, c))
            return true;
    }
    return false;
}

void trust_path_each(const struct trust_store *t, const struct certificate_list *sent,
                     trust_path_try *try, void *ctx)
{
    struct search s = {
        .t = t, .sent = sent, .try = try, .ctx = ctx, .way = {sent->items[0]}, .len = 1};
    (void)go_on(&s);
}
