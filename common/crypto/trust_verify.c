/* Is this chain to be believed? trust_path.c finds the ways to an anchor; on each BoringSSL checks
 * signatures, validity, constraints and path length (RFC 5280 6.1); this file adds what IKE asks
 * for (RFC 4945 5.1: key usage, extended key usage), refuses weak algorithms, has
 * revocation_check.c ask who was revoked, and puts the reason into words.
 *
 * Invariant: the time is the caller's; no clock is read. */
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/obj.h>

#include "common/crypto/x509_internal.h"

enum { NAME_TEXT_MAX = 112 }; /* two names fit into a fault */
/* 1 January 2026: no tern is older, and so no right clock is behind it. */
static const int64_t CLOCK_MIN = 1767225600;

/* What trust_verify was asked. */
struct trust_request {
    const struct trust_store *t;
    const struct certificate_list *sent;
    const struct trust_evidence *evidence;
    enum certificate_purpose purpose;
    int64_t wall_time;
};

struct names {
    char subject[NAME_TEXT_MAX], issuer[NAME_TEXT_MAX];
};

static struct names names_of(X509 *x)
{
    struct names n;
    (void)name_text(X509_get_subject_name(x), n.subject, sizeof n.subject);
    (void)name_text(X509_get_issuer_name(x), n.issuer, sizeof n.issuer);
    return n;
}

/* Certificates of different ages that are all of the future: it is the clock that is wrong. */
static bool all_of_the_future(STACK_OF(X509) * chain, int64_t wall_time)
{
    for (size_t i = 0; i < sk_X509_num(chain); i++) {
        int64_t start = 0;
        if (wall_time_from_asn1(X509_get0_notBefore(sk_X509_value(chain, i)), &start) != ERR_OK ||
            start <= wall_time)
            return false;
    }
    return true;
}

static enum err refuse_time(X509_STORE_CTX *ctx, X509 *x, bool expired, int64_t wall_time,
                            struct fault *f)
{
    struct names n = names_of(x);
    char then[WALL_TIME_TEXT_MAX], now[WALL_TIME_TEXT_MAX] = "";
    int64_t limit = 0;
    enum err e =
        wall_time_from_asn1(expired ? X509_get0_notAfter(x) : X509_get0_notBefore(x), &limit);
    if (e != ERR_OK)
        return fault_set(f, ERR_REFUSED, "certificate \"%s\" has a damaged validity", n.subject);
    (void)fault_set(f, ERR_REFUSED, "certificate \"%s\" %s on %s (this machine's clock says %s)",
                    n.subject, expired ? "expired" : "is not yet valid: it starts",
                    wall_time_format(limit, then), wall_time_format(wall_time, now));
    if (wall_time < CLOCK_MIN ||
        (!expired && all_of_the_future(X509_STORE_CTX_get0_chain(ctx), wall_time)))
        fault_hint(f, "this machine's clock is most likely wrong: set it (it says %s)", now);
    else
        fault_hint(f, expired
                          ? "renew the certificate; or set this machine's clock, if that is wrong"
                          : "set this machine's clock, if that is wrong; or wait for that day");
    return ERR_REFUSED;
}

/* Another key than the trusted authority's of that name. */
static enum err refuse_signature(X509 *x, struct fault *f)
{
    struct names n = names_of(x);
    (void)fault_set(f, ERR_REFUSED,
                    "the signature on certificate \"%s\" is wrong: it was altered, or another "
                    "CA with the name \"%s\" issued it",
                    n.subject, n.issuer);
    fault_hint(f, "compare the fingerprint of the CA certificate in CA= with the CA's own");
    return ERR_REFUSED;
}

static bool issuer_name_is_trusted(X509 *x, const struct trust_store *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (X509_NAME_cmp(X509_get_subject_name(t->anchors[i].certificate->x509),
                          X509_get_issuer_name(x)) == 0)
            return true;
    }
    return false;
}

static enum err refuse_issuer(X509 *x, const struct trust_store *t, struct fault *f)
{
    struct names n = names_of(x);
    bool self_signed = X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0;
    if (t->count == 0) {
        (void)fault_set(f, ERR_REFUSED,
                        "certificate \"%s\" cannot be verified: no CA certificate is trusted",
                        n.subject);
        fault_hint(f, "set CA= to the certificate of the CA that issued it, \"%s\"", n.issuer);
    } else if (self_signed) {
        (void)fault_set(f, ERR_REFUSED,
                        "certificate \"%s\" is self-signed and not among the trusted ones",
                        n.subject);
        fault_hint(f, "if it is the right one, add it to CA=");
    } else if (issuer_name_is_trusted(x, t)) {
        return refuse_signature(x, f);
    } else {
        (void)fault_set(
            f, ERR_REFUSED,
            "certificate \"%s\" was issued by \"%s\", which is neither trusted nor among "
            "the certificates sent",
            n.subject, n.issuer);
        fault_hint(f,
                   "add the certificate of \"%s\" to CA=; or, where that is an intermediate CA, "
                   "have the sender send it too",
                   n.issuer);
    }
    return ERR_REFUSED;
}

static enum err refuse(struct fault *f, X509 *x, const char *what, const char *hint)
{
    struct names n = names_of(x);
    (void)fault_set(f, ERR_REFUSED, "certificate \"%s\" %s", n.subject, what);
    fault_hint(f, "%s", hint);
    return ERR_REFUSED;
}

static enum err check_signature_algorithm(X509 *x, struct fault *f)
{
    const X509_ALGOR *algorithm = NULL;
    const ASN1_BIT_STRING *signature = NULL;
    struct signature_scheme s;
    unsigned char *der = NULL;
    X509_get0_signature(&signature, &algorithm, x);
    int len = i2d_X509_ALGOR((X509_ALGOR *)algorithm, &der);
    enum err e = len > 0 ? signature_scheme_parse(span_make(der, (size_t)len), &s) : ERR_MEMORY;
    OPENSSL_free(der);
    if (e == ERR_OK && s.hash != HASH_SHA1)
        return ERR_OK;
    struct names n = names_of(x);
    (void)fault_set(
        f, ERR_REFUSED, "certificate \"%s\" is signed with %s, which is not accepted", n.subject,
        e == ERR_OK ? signature_scheme_text(&s) : OBJ_nid2ln(X509_get_signature_nid(x)));
    fault_hint(f, "have it issued again, with SHA-256 or better");
    return ERR_REFUSED;
}

static enum err check_key(X509 *x, struct fault *f)
{
    unsigned bits = 0;
    EVP_PKEY *pkey = X509_get_pubkey(x);
    enum key_type type = pkey != NULL ? pkey_type(pkey, &bits) : KEY_NONE;
    EVP_PKEY_free(pkey);
    if (type == KEY_NONE)
        return refuse(f, x, "has a public key of an unsupported kind",
                      "use RSA, ECDSA on P-256, P-384 or P-521, or Ed25519");
    if (type == KEY_RSA && bits < RSA_BITS_MIN) {
        struct names n = names_of(x);
        (void)fault_set(f, ERR_REFUSED, "certificate \"%s\" has an RSA key of only %u bits",
                        n.subject, bits);
        fault_hint(f, "have it issued again for a key of %d bits or more", RSA_BITS_MIN);
        return ERR_REFUSED;
    }
    return ERR_OK;
}

enum err certificate_check_algorithms(X509 *x, struct fault *f)
{
    enum err e = check_key(x, f);
    return e == ERR_OK ? check_signature_algorithm(x, f) : e;
}

/* X509_verify_cert said no: which certificate, and why. */
static enum err explain(X509_STORE_CTX *ctx, const struct trust_store *t, X509 *leaf,
                        int64_t wall_time, struct fault *f)
{
    static const char ask[] = "the CA that issued it has to correct this";
    int error = X509_STORE_CTX_get_error(ctx);
    X509 *x = X509_STORE_CTX_get_current_cert(ctx);
    if (x == NULL)
        x = leaf;
    struct names n = names_of(x);
    switch (error) {
    case X509_V_ERR_OUT_OF_MEM:
        return fault_set(f, ERR_MEMORY, "out of memory");
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return refuse_time(ctx, x, error == X509_V_ERR_CERT_HAS_EXPIRED, wall_time, f);
    case X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD:
    case X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD: /* the fields parsed, so the clock is absurd */
        return refuse_time(ctx, x, wall_time > 0, wall_time, f);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
        return refuse_issuer(x, t, f);
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        if (check_signature_algorithm(x, f) != ERR_OK) /* MD5 and its like are never right */
            return ERR_REFUSED;
        return refuse_signature(x, f);
    case X509_V_ERR_INVALID_CA:
    case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
        return refuse(f, x, "issued another one, but is not a CA's", ask);
    case X509_V_ERR_PATH_LENGTH_EXCEEDED:
        return refuse(f, x, "allows fewer intermediate CAs below it than there are", ask);
    case X509_V_ERR_CERT_CHAIN_TOO_LONG:
        return refuse(f, x, "is too far from any trusted CA", "send a shorter chain");
    case X509_V_ERR_PERMITTED_VIOLATION:
    case X509_V_ERR_EXCLUDED_VIOLATION:
    case X509_V_ERR_NAME_CONSTRAINTS_WITHOUT_SANS:
        return refuse(f, x, "has a name that a CA above it may not certify (name constraints)",
                      ask);
    case X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE:
    case X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX:
    case X509_V_ERR_UNSUPPORTED_NAME_SYNTAX:
    case X509_V_ERR_SUBTREE_MINMAX:
        return refuse(f, x, "is under name constraints of a kind that cannot be checked here", ask);
    case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
        return refuse(f, x, "has a critical extension that is not known here", ask);
    default:
        break;
    }
    (void)fault_set(f, ERR_REFUSED, "certificate \"%s\" was not accepted: %s", n.subject,
                    X509_verify_cert_error_string(error));
    fault_hint(f, "%s", ask);
    return ERR_REFUSED;
}

/* RFC 5280 6.1.4 (k): who issues has basicConstraints with the CA bit. An anchor may also be of the
 * time before there were extensions; but one gateway's certificate, trusted by itself, must not
 * vouch for others. */
static bool may_issue(X509 *x, bool anchor)
{
    int ca = X509_check_ca(x);
    return anchor ? ca != 0 : ca == 1;
}

/* BoringSSL leaves these to the purposes it knows, and IKE is none of them. */
static enum err check_chain(STACK_OF(X509) * chain, struct fault *f)
{
    size_t count = sk_X509_num(chain);
    for (size_t i = 0; i < count; i++) {
        X509 *x = sk_X509_value(chain, i);
        bool anchor = i + 1 == count;
        enum err e = anchor ? check_key(x, f) : certificate_check_algorithms(x, f);
        if (e == ERR_OK && i > 0 && !may_issue(x, anchor))
            e = refuse(f, x, "issued another one, but is not a CA's",
                       "the CA that issued it has to correct this");
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

/* RFC 4945 5.1.3.12 with serverAuth and clientAuth, which is what CAs issue. */
static bool eku_allows(const ASN1_OBJECT *object, enum certificate_purpose purpose)
{
    static const uint8_t server_auth[] = {0x2b, 6, 1, 5, 5, 7, 3, 1};
    static const uint8_t client_auth[] = {0x2b, 6, 1, 5, 5, 7, 3, 2};
    static const uint8_t ike_intermediate[] = {0x2b, 6, 1, 5, 5, 8, 2, 2};
    static const uint8_t any[] = {0x55, 0x1d, 0x25, 0};
    struct span oid = span_make(OBJ_get0_data(object), OBJ_length(object));
    return span_equal(oid, SPAN_OF(any)) || span_equal(oid, SPAN_OF(ike_intermediate)) ||
           span_equal(oid,
                      purpose == PURPOSE_GATEWAY ? SPAN_OF(server_auth) : SPAN_OF(client_auth));
}

static enum err check_eku(X509 *x, enum certificate_purpose purpose, struct fault *f)
{
    int found = 0;
    EXTENDED_KEY_USAGE *eku = X509_get_ext_d2i(x, NID_ext_key_usage, &found, NULL);
    if (eku == NULL)
        return found == -1 ? ERR_OK
                           : refuse(f, x, "has a damaged extendedKeyUsage",
                                    "the CA that issued it has to correct this");
    bool allowed = false;
    for (size_t i = 0; i < sk_ASN1_OBJECT_num(eku) && !allowed; i++)
        allowed = eku_allows(sk_ASN1_OBJECT_value(eku, i), purpose);
    EXTENDED_KEY_USAGE_free(eku);
    if (allowed)
        return ERR_OK;
    return purpose == PURPOSE_GATEWAY
               ? refuse(f, x, "may not be used by a gateway (extended key usage)",
                        "have it issued with serverAuth (1.3.6.1.5.5.7.3.1)")
               : refuse(f, x, "may not be used by a client (extended key usage)",
                        "have it issued with clientAuth (1.3.6.1.5.5.7.3.2)");
}

static enum err check_leaf(X509 *x, enum certificate_purpose purpose, struct fault *f)
{
    /* RFC 4945 5.1.3.2; all bits are set where the extension is absent */
    if ((X509_get_key_usage(x) & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) == 0)
        return refuse(f, x, "may not be used for signatures (key usage)",
                      "have it issued with digitalSignature");
    return check_eku(x, purpose, f);
}

static enum err check_all(X509_STORE_CTX *ctx, const struct trust_request *r, struct fault *f)
{
    X509 *leaf = r->sent->items[0]->x509;
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
    X509_VERIFY_PARAM_set_depth(param, TRUST_PATH_MAX);
    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY);
    X509_VERIFY_PARAM_set_time(param, r->wall_time);
    if (X509_verify_cert(ctx) != 1)
        return explain(ctx, r->t, leaf, r->wall_time, f);
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
    enum err e = check_chain(chain, f);
    if (e == ERR_OK)
        e = check_leaf(leaf, r->purpose, f);
    return e == ERR_OK ? revocation_check(r->t, chain, r->evidence, r->wall_time, f) : e;
}

/* With these alone between the end entity and the store's anchors, or `only` of them. */
static enum err verify(const struct trust_request *r, const struct certificate *const *between,
                       size_t count, const struct certificate *only, struct fault *f)
{
    STACK_OF(X509) *untrusted = sk_X509_new_null(), *anchors = sk_X509_new_null();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    bool good = untrusted != NULL && anchors != NULL && ctx != NULL;
    for (size_t i = 0; good && i < count; i++)
        good = sk_X509_push(untrusted, between[i]->x509) > 0;
    good = good && (only == NULL || sk_X509_push(anchors, only->x509) > 0) &&
           X509_STORE_CTX_init(ctx, r->t->store, r->sent->items[0]->x509, untrusted) == 1;
    if (good && only != NULL)
        X509_STORE_CTX_trusted_stack(ctx, anchors);
    enum err e = good ? check_all(ctx, r, f) : fault_set(f, ERR_MEMORY, "out of memory");
    X509_STORE_CTX_free(ctx);
    sk_X509_free(untrusted);
    sk_X509_free(anchors);
    ERR_clear_error();
    return e;
}

struct attempt {
    const struct trust_request *request;
    struct fault *fault; /* of the first way, which is the shortest */
    enum err e;
    size_t ways;
};

static bool try_way(void *ctx, const struct certificate *const *way, size_t len)
{
    struct attempt *a = ctx;
    size_t between = len > 2 ? len - 2 : 0;
    enum err e = verify(a->request, way + 1, between, way[len - 1], a->ways == 0 ? a->fault : NULL);
    if (a->ways++ == 0 || e == ERR_OK)
        a->e = e;
    return e == ERR_OK;
}

enum err trust_verify(const struct trust_store *t, const struct certificate_list *chain,
                      const struct trust_evidence *evidence, enum certificate_purpose purpose,
                      int64_t wall_time, struct fault *f)
{
    const struct trust_request r = {t, chain, evidence, purpose, wall_time};
    struct attempt a = {.request = &r, .fault = f};
    if (chain->count == 0) {
        (void)fault_set(f, ERR_REFUSED, "no certificate was sent");
        fault_hint(f, "have the sender send its certificate");
        return ERR_REFUSED;
    }
    trust_path_each(t, chain, try_way, &a);
    if (a.ways > 0)
        return a.e;
    /* There is none: BoringSSL goes as far as it can, which shows what is missing. */
    const struct certificate *others[CERTIFICATES_MAX];
    for (size_t i = 1; i < chain->count; i++)
        others[i - 1] = chain->items[i];
    return verify(&r, others, chain->count - 1, NULL, f);
}
