/* The key and the certificates of a token, and signing by the one. */
#include <string.h>

#include "client/token/card_internal.h"

enum { FOUND_MAX = TOKEN_CERTIFICATES_MAX, TEMPLATE_MAX = 8 };

/* IANA "IKEv2 Hash Algorithms" */
static const struct hash_row {
    uint8_t hash;
    CK_MECHANISM_TYPE mechanism;
    CK_RSA_PKCS_MGF_TYPE mgf;
} hashes[] = {
    {1, CKM_SHA_1, CKG_MGF1_SHA1},
    {2, CKM_SHA256, CKG_MGF1_SHA256},
    {3, CKM_SHA384, CKG_MGF1_SHA384},
    {4, CKM_SHA512, CKG_MGF1_SHA512},
};

struct template
{
    CK_ATTRIBUTE items[TEMPLATE_MAX];
    CK_ULONG count;
};

static void add(struct template *t, CK_ATTRIBUTE_TYPE type, void *value, CK_ULONG len)
{
    t->items[t->count++] = (CK_ATTRIBUTE){type, value, len};
}

/* Adds what of a URI tells objects apart; false where it tells nothing. */
static bool add_from_uri(struct template *t, P11KitUri *uri)
{
    static const CK_ATTRIBUTE_TYPE types[] = {CKA_ID, CKA_LABEL};
    bool any = false;
    for (size_t i = 0; uri != NULL && i < sizeof(types) / sizeof(types[0]); i++) {
        CK_ATTRIBUTE *a = p11_kit_uri_get_attribute(uri, types[i]);
        if (a != NULL) {
            add(t, types[i], a->pValue, a->ulValueLen);
            any = true;
        }
    }
    return any;
}

static bool find(struct card *c, struct template *t, CK_OBJECT_HANDLE out[FOUND_MAX],
                 CK_ULONG *ret_count, struct card_fault *f)
{
    CK_RV rv = c->module->C_FindObjectsInit(c->session, t->items, t->count);
    if (rv == CKR_OK) {
        rv = c->module->C_FindObjects(c->session, out, FOUND_MAX, ret_count);
        CK_RV end = c->module->C_FindObjectsFinal(c->session);
        rv = rv != CKR_OK ? rv : end;
    }
    return rv == CKR_OK || card_refuse(c, f, "does not tell what is on it", rv);
}

/* --- the key --- */

static bool mechanism_signs(const struct card *c, CK_MECHANISM_TYPE type)
{
    CK_MECHANISM_INFO info;
    return c->module->C_GetMechanismInfo(c->slot, type, &info) == CKR_OK &&
           (info.flags & CKF_SIGN) != 0;
}

static bool read_key(struct card *c, struct card_fault *f)
{
    CK_KEY_TYPE type = 0;
    CK_BBOOL always = CK_FALSE;
    CK_ATTRIBUTE kind = {CKA_KEY_TYPE, &type, sizeof(type)};
    CK_ATTRIBUTE id = {CKA_ID, c->id, sizeof(c->id)};
    CK_ATTRIBUTE asks = {CKA_ALWAYS_AUTHENTICATE, &always, sizeof(always)};
    CK_RV rv = c->module->C_GetAttributeValue(c->session, c->key, &kind, 1);
    if (rv == CKR_OK)
        rv = c->module->C_GetAttributeValue(c->session, c->key, &id, 1);
    if (rv != CKR_OK)
        return card_refuse(c, f, "does not tell what key it has", rv);
    if (type != CKK_RSA && type != CKK_EC && type != CKK_EC_EDWARDS)
        return card_fail(f, TOKEN_NOT_FOUND,
                         "the private key on the token \"%s\" is of a kind that is not supported",
                         c->label);
    c->id_len = id.ulValueLen;
    c->pss = type == CKK_RSA && mechanism_signs(c, CKM_RSA_PKCS_PSS);
    /* Drivers that do not know of it ask once. */
    c->asks_each_time =
        c->module->C_GetAttributeValue(c->session, c->key, &asks, 1) == CKR_OK && always == CK_TRUE;
    return true;
}

bool card_find_key(struct card *c, struct card_fault *f)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_BBOOL yes = CK_TRUE;
    CK_OBJECT_HANDLE found[FOUND_MAX];
    CK_ULONG count = 0;
    struct template t = {.count = 0};
    add(&t, CKA_CLASS, &class, sizeof(class));
    add(&t, CKA_SIGN, &yes, sizeof(yes));
    if (!add_from_uri(&t, c->key_uri)) /* a certificate and its key have the same */
        (void)add_from_uri(&t, c->certificate_uri);
    if (!find(c, &t, found, &count, f))
        return false;
    if (count == 0)
        return card_fail(f, TOKEN_NOT_FOUND,
                         "no private key that signs and fits the URI is on the token \"%s\"",
                         c->label);
    if (count > 1)
        return card_fail(f, TOKEN_NOT_FOUND,
                         "several private keys on the token \"%s\" fit the URI: tell them apart by "
                         "id= or object=",
                         c->label);
    c->key = found[0];
    c->has_key = read_key(c, f);
    return c->has_key;
}

/* --- certificates --- */

bool card_certificate(struct card *c, size_t index, uint8_t *out, size_t cap, size_t *ret_len,
                      struct card_fault *f)
{
    CK_OBJECT_CLASS class = CKO_CERTIFICATE;
    CK_CERTIFICATE_TYPE x509 = CKC_X_509;
    CK_OBJECT_HANDLE found[FOUND_MAX];
    CK_ULONG count = 0;
    struct template t = {.count = 0};
    add(&t, CKA_CLASS, &class, sizeof(class));
    add(&t, CKA_CERTIFICATE_TYPE, &x509, sizeof(x509));
    if (!add_from_uri(&t, c->certificate_uri))
        add(&t, CKA_ID, c->id, c->id_len);
    if (!find(c, &t, found, &count, f))
        return false;
    *ret_len = 0;
    if (index >= count)
        return true;
    CK_ATTRIBUTE value = {CKA_VALUE, NULL, 0};
    CK_RV rv = c->module->C_GetAttributeValue(c->session, found[index], &value, 1);
    if (rv == CKR_OK && value.ulValueLen > cap)
        return card_fail(f, TOKEN_OTHER, "a certificate on the token \"%s\" is too long", c->label);
    value.pValue = out;
    if (rv == CKR_OK)
        rv = c->module->C_GetAttributeValue(c->session, found[index], &value, 1);
    if (rv != CKR_OK)
        return card_refuse(c, f, "does not show a certificate", rv);
    *ret_len = value.ulValueLen;
    return true;
}

/* --- signing --- */

static bool choose(const struct token_request *r, CK_MECHANISM *ret, CK_RSA_PKCS_PSS_PARAMS *pss,
                   struct card_fault *f)
{
    static const CK_MECHANISM_TYPE types[] = {
        [TOKEN_PKCS1] = CKM_RSA_PKCS,
        [TOKEN_RSA_PSS] = CKM_RSA_PKCS_PSS,
        [TOKEN_ECDSA] = CKM_ECDSA,
        [TOKEN_EDDSA] = CKM_EDDSA,
    };
    *ret = (CK_MECHANISM){types[r->mechanism], NULL, 0};
    if (r->mechanism != TOKEN_RSA_PSS)
        return true;
    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
        if (hashes[i].hash != r->hash)
            continue;
        *pss = (CK_RSA_PKCS_PSS_PARAMS){hashes[i].mechanism, hashes[i].mgf, r->salt_len};
        ret->pParameter = pss;
        ret->ulParameterLen = sizeof(*pss);
        return true;
    }
    return card_fail(f, TOKEN_OTHER, "a hash was asked for that is not known");
}

bool card_sign(struct card *c, const struct token_request *r, uint8_t *out, size_t cap,
               size_t *ret_len, struct card_fault *f)
{
    CK_RSA_PKCS_PSS_PARAMS pss;
    CK_MECHANISM mechanism;
    CK_TOKEN_INFO token;
    CK_ULONG len = cap;
    uint8_t input[TOKEN_MESSAGE_MAX];
    if (!choose(r, &mechanism, &pss, f))
        return false;
    /* Drivers may have the key at hand, and sign, when the token is gone. */
    CK_RV rv = c->module->C_GetTokenInfo(c->slot, &token);
    if (rv == CKR_OK)
        rv = c->module->C_SignInit(c->session, &mechanism, c->key);
    if (rv == CKR_OK && c->asks_each_time)
        rv = c->module->C_Login(c->session, CKU_CONTEXT_SPECIFIC, c->pin_len > 0 ? c->pin : NULL,
                                c->pin_len);
    memcpy(input, r->input.data, r->input.len); /* the interface knows no const */
    if (rv == CKR_OK)
        rv = c->module->C_Sign(c->session, input, r->input.len, out, &len);
    if (rv != CKR_OK)
        return card_refuse(c, f, "does not sign", rv);
    *ret_len = len;
    return true;
}
