/* What CRLs and OCSP responses say about the certificates of one chain (RFC 5280 6.3, RFC
 * 6960 3.2), and whether that is enough for the store's policy.
 *
 * What says "revoked" counts however old it is, for it is not taken back, but for a hold, where the
 * newer word wins. What says "good" counts as long as it is of today: between thisUpdate and
 * nextUpdate, and both clocks may differ by CLOCK_SKEW. Only what the issuer of the certificate has
 * signed counts at all, or, with OCSP, who it made its responder.
 *
 * Invariant: evidence that is not understood, does not verify or is about others changes nothing.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/obj.h>

#include "common/base/log.h"
#include "common/crypto/ocsp.h"
#include "common/crypto/x509_internal.h"

enum {
    CLOCK_SKEW = 300,
    /* RFC 6960 2.4: without nextUpdate there is newer information at any time. */
    ANSWER_AGE_MAX = 3600,
    RESPONDERS_MAX = 8, /* certificates looked at in one response */
    NAME_TEXT_MAX = 112,
    WHY_MAX = 256
};

/* One certificate and who issued it. */
struct inquiry {
    const struct trust_store *t;
    const struct trust_evidence *evidence;
    int64_t now;
    X509 *x, *issuer;
    struct public_key *issuer_key;
    unsigned char *serial_der; /* owned; serial is inside */
    struct span serial;
    struct span distribution_points;
    /* what has been found out */
    bool good, revoked;
    int64_t good_at, revoked_at; /* who said so last, and when */
    struct revocation revocation;
    char why[WHY_MAX]; /* the best reason why nothing is known */
};

static bool final(const struct revocation *r)
{
    return r->reason != REASON_CERTIFICATE_HOLD;
}

static void take_revoked(struct inquiry *q, const struct revocation *r, int64_t said_at)
{
    bool better = !q->revoked || (final(r) && !final(&q->revocation)) ||
                  (final(r) == final(&q->revocation) && said_at > q->revoked_at);
    if (!better)
        return;
    q->revoked = true;
    q->revoked_at = said_at;
    q->revocation = *r;
}

static bool is_revoked(const struct inquiry *q)
{
    return q->revoked && (final(&q->revocation) || !q->good || q->revoked_at >= q->good_at);
}

struct validity {
    int64_t this_update, next_update;
};

/* who: "the CRL of X". Says why not in q->why. */
static bool of_today(struct inquiry *q, const char *who, const struct validity *v)
{
    char then[WALL_TIME_TEXT_MAX], now[WALL_TIME_TEXT_MAX];
    bool early = q->now < v->this_update - CLOCK_SKEW;
    if (!early && q->now <= v->next_update + CLOCK_SKEW)
        return true;
    snprintf(q->why, sizeof q->why, "%s %s %s (this machine's clock says %s)", who,
             early ? "is not valid before" : "is outdated since",
             wall_time_format(early ? v->this_update : v->next_update, then),
             wall_time_format(q->now, now));
    return false;
}

static void take_good(struct inquiry *q, const char *who, const struct validity *v)
{
    if (!of_today(q, who, v))
        return;
    q->good_at = q->good && q->good_at > v->this_update ? q->good_at : v->this_update;
    q->good = true;
}

/* NULL where it is good. */
static const char *bad_signature(const struct public_key *k, struct span algorithm,
                                 struct span message, struct span signature)
{
    enum err e = signature_verify_by(k, algorithm, message, signature);
    if (e == ERR_OK)
        return NULL;
    return e == ERR_INTEGRITY ? "its signature is wrong, or another key's"
                              : "its signature is of a kind not accepted";
}

/* --- CRLs --- */

static bool is_subject(struct span name_der, const X509 *x)
{
    X509_NAME *name = NULL;
    if (name_from_der(name_der, &name) != ERR_OK)
        return false;
    bool equal = X509_NAME_cmp(name, X509_get_subject_name(x)) == 0;
    X509_NAME_free(name);
    return equal;
}

static const char *issuer_text(const struct inquiry *q, char out[NAME_TEXT_MAX])
{
    return name_text(X509_get_subject_name(q->issuer), out, NAME_TEXT_MAX);
}

static bool crl_is_genuine(struct inquiry *q, const struct crl *c)
{
    char name[NAME_TEXT_MAX];
    if (!is_subject(c->issuer, q->issuer))
        return false;
    /* RFC 5280 6.3.3 (f); all bits are set where the extension is absent */
    if ((X509_get_key_usage(q->issuer) & KU_CRL_SIGN) == 0) {
        log_info("a CRL of \"%s\" is ignored: it may not sign any (key usage)",
                 issuer_text(q, name));
        return false;
    }
    const char *why = bad_signature(q->issuer_key, c->algorithm, c->tbs, c->signature);
    if (why != NULL)
        log_info("a CRL of \"%s\" is ignored: %s", issuer_text(q, name), why);
    return why == NULL;
}

static void ask_crl(struct inquiry *q, const struct crl *c)
{
    char name[NAME_TEXT_MAX], who[NAME_TEXT_MAX + 16];
    struct revocation r;
    if (!crl_is_genuine(q, c))
        return;
    if (crl_find(c, q->serial, &r)) {
        take_revoked(q, &r, c->this_update);
        return;
    }
    snprintf(who, sizeof who, "the CRL of \"%s\"", issuer_text(q, name));
    if (!crl_covers(c, X509_check_ca(q->x) != 0, q->distribution_points)) {
        snprintf(q->why, sizeof q->why, "%s does not cover such certificates", who);
        return;
    }
    if (!c->has_next_update) {
        snprintf(q->why, sizeof q->why, "%s does not say until when it is valid", who);
        return;
    }
    take_good(q, who, &(struct validity){c->this_update, c->next_update});
}

static void ask_sent_crl(struct inquiry *q, struct span der)
{
    struct crl c;
    struct fault f = {0};
    if (crl_parse(der, &c, &f) == ERR_OK)
        ask_crl(q, &c);
    else
        log_info("a CRL that was sent is ignored: %s", f.text);
}

static void ask_crls(struct inquiry *q)
{
    for (size_t i = 0; i < q->t->crl_count; i++)
        ask_crl(q, &q->t->crls[i].crl);
    for (size_t i = 0; q->evidence != NULL && i < q->evidence->crl_count; i++)
        ask_sent_crl(q, q->evidence->crls[i]);
}

/* --- OCSP --- */

static bool hash_equals(enum hash_id hash, struct span data, struct span expected)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    const EVP_MD *md = hash_md(hash);
    return md != NULL && EVP_Digest(data.data, data.len, digest, &len, md, NULL) == 1 &&
           span_equal(span_make(digest, len), expected);
}

static struct span key_octets(X509 *x)
{
    const ASN1_BIT_STRING *key = X509_get0_pubkey_bitstr(x);
    return span_make(ASN1_STRING_get0_data(key), (size_t)ASN1_STRING_length(key));
}

/* RFC 6960 4.1.1: by the issuer's name as it stands in the certificate, its key without tag, length
 * and unused bits, and the serial number. */
static bool is_about(const struct inquiry *q, const struct ocsp_answer *a)
{
    unsigned char *name = NULL;
    if (!span_equal(a->serial, q->serial) ||
        !hash_equals(a->hash, key_octets(q->issuer), a->key_hash))
        return false;
    int len = i2d_X509_NAME(X509_get_issuer_name(q->x), &name);
    bool equal = len > 0 && hash_equals(a->hash, span_make(name, (size_t)len), a->name_hash);
    OPENSSL_free(name);
    return equal;
}

static bool is_responder(const struct ocsp_response *r, X509 *x)
{
    return r->responder_key.len > 0 ? hash_equals(HASH_SHA1, key_octets(x), r->responder_key)
                                    : is_subject(r->responder_name, x);
}

static bool may_answer(X509 *x)
{
    static const uint8_t ocsp_signing[] = {0x2b, 6, 1, 5, 5, 7, 3, 9};
    EXTENDED_KEY_USAGE *eku = X509_get_ext_d2i(x, NID_ext_key_usage, NULL, NULL);
    bool found = false;
    for (size_t i = 0; eku != NULL && i < sk_ASN1_OBJECT_num(eku) && !found; i++) {
        const ASN1_OBJECT *o = sk_ASN1_OBJECT_value(eku, i);
        found = span_equal(span_make(OBJ_get0_data(o), OBJ_length(o)), SPAN_OF(ocsp_signing));
    }
    EXTENDED_KEY_USAGE_free(eku);
    return found && (X509_get_key_usage(x) & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) != 0 &&
           (X509_get_extension_flags(x) & EXFLAG_CRITICAL) == 0;
}

static enum err inquiry_open(struct inquiry *q);
static void inquiry_close(struct inquiry *q);

/* RFC 6960 4.2.2.2.1 leaves to us how a responder's own revocation is found out: by the CRLs. */
static bool responder_revoked(const struct inquiry *q, X509 *responder)
{
    struct inquiry own = {
        .t = q->t, .evidence = q->evidence, .now = q->now, .x = responder, .issuer = q->issuer};
    bool revoked = true;
    if (inquiry_open(&own) == ERR_OK) {
        ask_crls(&own);
        revoked = is_revoked(&own);
    }
    inquiry_close(&own);
    return revoked;
}

/* Why the issuer did not make it its responder; NULL where it did (RFC 6960 4.2.2.2). */
static const char *not_delegated(const struct inquiry *q, const struct certificate *c)
{
    struct fault f = {0};
    if (X509_NAME_cmp(X509_get_issuer_name(c->x509), X509_get_subject_name(q->issuer)) != 0 ||
        X509_verify(c->x509, q->issuer_key->pkey) != 1)
        return "the issuer of the certificate did not issue the responder's";
    if (certificate_check_algorithms(c->x509, &f) != ERR_OK)
        return "the responder's certificate uses weak algorithms";
    if (!may_answer(c->x509))
        return "the responder's certificate is not for that (id-kp-OCSPSigning)";
    if (q->now < c->not_before - CLOCK_SKEW || q->now > c->not_after + CLOCK_SKEW)
        return "the responder's certificate is not valid now";
    return responder_revoked(q, c->x509) ? "the responder's certificate was revoked" : NULL;
}

static const char *not_genuine_by(const struct inquiry *q, const struct ocsp_response *r,
                                  struct span der)
{
    struct certificate *c;
    if (certificate_parse_der(der, &c, NULL) != ERR_OK)
        return "the responder's certificate is damaged, or of an unsupported kind";
    const char *why = is_responder(r, c->x509) ? not_delegated(q, c) : "nobody it names signed it";
    if (why == NULL)
        why = bad_signature(c->key, r->algorithm, r->tbs, r->signature);
    certificate_free(c);
    return why;
}

/* Why it is not the word of the issuer, or of its responder; NULL where it is. */
static const char *not_genuine(const struct inquiry *q, const struct ocsp_response *r)
{
    CBS certificates, one;
    const char *why = "nobody it names signed it";
    if (is_responder(r, q->issuer))
        return bad_signature(q->issuer_key, r->algorithm, r->tbs, r->signature);
    CBS_init(&certificates, r->certificates.data, r->certificates.len);
    for (size_t i = 0; i < RESPONDERS_MAX; i++) {
        if (!CBS_get_asn1_element(&certificates, &one, CBS_ASN1_SEQUENCE))
            break;
        why = not_genuine_by(q, r, span_of_cbs(&one));
        if (why == NULL)
            break;
    }
    return why;
}

static void take_answer(struct inquiry *q, const struct ocsp_answer *a)
{
    static const char who[] = "the OCSP response";
    struct validity v = {a->this_update,
                         a->has_next_update ? a->next_update : a->this_update + ANSWER_AGE_MAX};
    if (a->unusable)
        snprintf(q->why, sizeof q->why, "%s has a critical extension", who);
    else if (a->status == OCSP_UNKNOWN)
        snprintf(q->why, sizeof q->why, "%s says that the responder does not know it", who);
    else if (a->status == OCSP_REVOKED)
        take_revoked(q, &a->revocation, a->this_update);
    else
        take_good(q, who, &v);
}

static void ask_ocsp(struct inquiry *q, struct span der)
{
    struct ocsp_response r;
    struct ocsp_answer a;
    struct fault f = {0};
    bool genuine = false;
    if (ocsp_parse(der, &r, &f) != ERR_OK) {
        log_info("an OCSP response is ignored: %s", f.text);
        return;
    }
    struct span answers = r.answers;
    while (ocsp_next(&answers, &a)) {
        if (!is_about(q, &a))
            continue;
        const char *why = genuine ? NULL : not_genuine(q, &r);
        if (why != NULL) {
            snprintf(q->why, sizeof q->why, "the OCSP response does not count: %s", why);
            log_info("an OCSP response is ignored: %s", why);
            return;
        }
        genuine = true;
        take_answer(q, &a);
    }
}

/* --- one certificate, and all of a chain --- */

static struct span extension_value(X509 *x, int nid)
{
    int at = X509_get_ext_by_NID(x, nid, -1);
    if (at < 0)
        return SPAN_EMPTY;
    const ASN1_OCTET_STRING *s = X509_EXTENSION_get_data(X509_get_ext(x, at));
    return span_make(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

static enum err inquiry_open(struct inquiry *q)
{
    CBS in;
    EVP_PKEY *pkey = X509_get_pubkey(q->issuer);
    enum err e = pkey != NULL ? public_key_from_pkey(pkey, &q->issuer_key) : ERR_UNSUPPORTED;
    EVP_PKEY_free(pkey);
    if (e != ERR_OK)
        return e;
    int len = i2d_ASN1_INTEGER((ASN1_INTEGER *)X509_get0_serialNumber(q->x), &q->serial_der);
    CBS_init(&in, q->serial_der, len > 0 ? (size_t)len : 0);
    if (!asn1_integer_read(&in, &q->serial))
        return ERR_MEMORY;
    q->distribution_points = extension_value(q->x, NID_crl_distribution_points);
    return ERR_OK;
}

static void inquiry_close(struct inquiry *q)
{
    public_key_free(q->issuer_key);
    OPENSSL_free(q->serial_der);
}

static enum err refuse_revoked(const struct inquiry *q, struct fault *f)
{
    char name[NAME_TEXT_MAX], serial[64], when[WALL_TIME_TEXT_MAX];
    struct span digits = q->serial;
    if (digits.len > 1 && digits.data[0] == 0) /* which only says that it is not negative */
        digits = span_make(digits.data + 1, digits.len - 1);
    span_hex(digits, serial, sizeof serial);
    (void)fault_set(f, ERR_REFUSED, "certificate \"%s\" (serial %s) was revoked on %s (%s)",
                    name_text(X509_get_subject_name(q->x), name, sizeof name), serial,
                    wall_time_format(q->revocation.at, when),
                    revocation_reason_text(q->revocation.reason));
    fault_hint(f, "who holds its key may not be who it names: have its owner get a new one");
    return ERR_REFUSED;
}

static enum err judge(const struct inquiry *q, struct fault *f)
{
    char name[NAME_TEXT_MAX], issuer[NAME_TEXT_MAX];
    if (is_revoked(q))
        return refuse_revoked(q, f);
    (void)name_text(X509_get_subject_name(q->x), name, sizeof name);
    if (q->good) {
        log_debug("certificate \"%s\" is not revoked", name);
        return ERR_OK;
    }
    const char *why = q->why[0] != '\0' ? q->why : "there is neither a CRL nor an OCSP response";
    if (q->t->revocation == REVOCATION_SOFT) {
        log_info("whether certificate \"%s\" was revoked is not known: %s", name, why);
        return ERR_OK;
    }
    (void)fault_set(f, ERR_REFUSED, "whether certificate \"%s\" was revoked is not known: %s", name,
                    why);
    fault_hint(f,
               "have the gateway send an OCSP response, or set CRL= to a list of \"%s\" that is of "
               "today; or set Revocation = soft",
               issuer_text(q, issuer));
    return ERR_REFUSED;
}

static enum err check(struct inquiry *q, struct fault *f)
{
    enum err e = inquiry_open(q);
    if (e != ERR_OK)
        return fault_set(f, e, "cannot tell whether a certificate was revoked: %s", err_text(e));
    ask_crls(q);
    for (size_t i = 0; q->evidence != NULL && i < q->evidence->ocsp_count; i++)
        ask_ocsp(q, q->evidence->ocsp[i]);
    return judge(q, f);
}

enum err revocation_check(const struct trust_store *t, STACK_OF(X509) * chain,
                          const struct trust_evidence *evidence, int64_t wall_time, struct fault *f)
{
    enum err e = ERR_OK;
    if (t->revocation == REVOCATION_OFF)
        return ERR_OK;
    /* From the anchor down: who is revoked says nothing about those below. */
    for (size_t i = sk_X509_num(chain); i > 1 && e == ERR_OK; i--) {
        struct inquiry q = {.t = t,
                            .evidence = evidence,
                            .now = wall_time,
                            .x = sk_X509_value(chain, i - 2),
                            .issuer = sk_X509_value(chain, i - 1)};
        e = check(&q, f);
        inquiry_close(&q);
    }
    ERR_clear_error();
    return e;
}
