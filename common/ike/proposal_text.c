/* Proposals from and to text, in strongSwan's spelling. Their wire form, and the choice among them,
 * is proposal.c.
 *
 * The text leaves out what goes without saying: PRFs that are the INTEG algorithms' own, and "no
 * ESN". */
#include <string.h>

#include "common/base/text.h"
#include "common/ike/proposal.h"

/* The order in which a proposal's transforms are kept, sent and shown. */
static const uint8_t type_order[] = {TRANSFORM_ENCR, TRANSFORM_INTEG, TRANSFORM_PRF, TRANSFORM_KE,
                                     TRANSFORM_ESN};
enum { TYPE_COUNT = sizeof type_order / sizeof type_order[0] };

/* The text up to the next separator; *rest is what follows it, and *more whether there was one. */
static struct span next_word(struct span *rest, char separator, bool *more)
{
    const uint8_t *end =
        rest->len == 0 ? NULL : (const uint8_t *)memchr(rest->data, separator, rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->data);
    struct span word = span_make(rest->data, len);
    *more = end != NULL;
    *rest = end == NULL ? SPAN_EMPTY : span_make(end + 1, rest->len - len - 1);
    return word;
}

static struct span trim(struct span s)
{
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = span_make(s.data + 1, s.len - 1);
    while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* A word said twice adds nothing. */
static enum err add(struct proposal *p, uint8_t type, uint16_t id, uint16_t key_bits)
{
    const struct transform t = {.type = type, .id = id, .key_bits = key_bits};
    if (proposal_has(p, &t))
        return ERR_OK;
    if (p->count == TRANSFORMS_MAX)
        return ERR_LIMIT;
    p->transforms[p->count++] = t;
    return ERR_OK;
}

/* The PRF on the same hash as an INTEG algorithm. */
static enum prf_id prf_of_integ(uint16_t integ)
{
    switch (integ) {
    case INTEG_HMAC_SHA1_96:
        return PRF_HMAC_SHA1;
    case INTEG_HMAC_SHA2_256_128:
        return PRF_HMAC_SHA2_256;
    case INTEG_HMAC_SHA2_384_192:
        return PRF_HMAC_SHA2_384;
    case INTEG_HMAC_SHA2_512_256:
        return PRF_HMAC_SHA2_512;
    default:
        return PRF_NONE;
    }
}

static enum err add_word(struct proposal *p, struct span word, struct span whole, struct fault *f)
{
    const struct algorithm *a = algorithm_by_name(word);
    const char *text = word.len > 0 ? (const char *)word.data : "";
    if (a == NULL) {
        fault_set(f, ERR_MALFORMED, "unknown algorithm \"%.*s\" in the proposal \"%.*s\"",
                  (int)word.len, text, (int)whole.len, (const char *)whole.data);
        fault_hint(f, "algorithms are joined by '-', as in aes256gcm16-prfsha384-x25519");
        return ERR_MALFORMED;
    }
    bool null = a->type == TRANSFORM_ENCR && a->id == ENCR_NULL; /* RFC 7296 3.3.2: not in IKE */
    bool fits =
        p->protocol == PROTOCOL_IKE ? a->type != TRANSFORM_ESN && !null : a->type != TRANSFORM_PRF;
    if (!fits)
        return fault_set(f, ERR_MALFORMED, "\"%.*s\" has no place in an %s proposal (\"%.*s\")",
                         (int)word.len, text, p->protocol == PROTOCOL_IKE ? "IKE" : "ESP",
                         (int)whole.len, (const char *)whole.data);
    if (add(p, (uint8_t)a->type, a->id, a->key_bits) != ERR_OK)
        return fault_set(f, ERR_LIMIT, "more than %d algorithms in one proposal",
                         (int)TRANSFORMS_MAX);
    return ERR_OK;
}

/* Why the algorithms named cannot be one proposal; NULL where they can. */
static const char *missing_or_mixed(const struct proposal *p)
{
    size_t encr = proposal_count(p, TRANSFORM_ENCR), aead = 0;
    for (size_t i = 0; i < p->count; i++)
        aead += p->transforms[i].type == TRANSFORM_ENCR &&
                encr_is_aead((enum encr_id)p->transforms[i].id);
    size_t integ = proposal_count(p, TRANSFORM_INTEG);
    if (encr == 0)
        return "names no encryption algorithm";
    if (aead != 0 && aead != encr)
        return "mixes combined modes with other ciphers: make it two proposals";
    if (aead != 0 && integ != 0)
        return "has an integrity algorithm beside a combined mode, which needs none (a PRF is "
               "named prfsha256)";
    if (aead == 0 && integ == 0)
        return "names no integrity algorithm, such as sha256";
    if (p->protocol == PROTOCOL_IKE && aead != 0 && proposal_count(p, TRANSFORM_PRF) == 0)
        return "names no PRF, such as prfsha256";
    if (p->protocol == PROTOCOL_IKE && proposal_count(p, TRANSFORM_KE) == 0)
        return "names no key exchange, such as x25519";
    return NULL;
}

/* What the words leave to be understood: PRFs, and the ESN transform that every ESP proposal
 * carries (RFC 7296 3.3.3). */
static enum err add_implied(struct proposal *p)
{
    if (p->protocol == PROTOCOL_ESP)
        return proposal_count(p, TRANSFORM_ESN) > 0 ? ERR_OK : add(p, TRANSFORM_ESN, ESN_NO, 0);
    if (proposal_count(p, TRANSFORM_PRF) > 0)
        return ERR_OK;
    size_t named = p->count;
    for (size_t i = 0; i < named; i++) {
        if (p->transforms[i].type != TRANSFORM_INTEG)
            continue;
        enum err e = add(p, TRANSFORM_PRF, (uint16_t)prf_of_integ(p->transforms[i].id), 0);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

static void sort_by_type(struct proposal *p)
{
    struct proposal sorted = *p;
    sorted.count = 0;
    for (size_t t = 0; t < TYPE_COUNT; t++)
        for (size_t i = 0; i < p->count; i++)
            if (p->transforms[i].type == type_order[t])
                sorted.transforms[sorted.count++] = p->transforms[i];
    *p = sorted;
}

static enum err parse_one(struct span text, uint8_t protocol, struct proposal *ret, struct fault *f)
{
    ASSERT(protocol == PROTOCOL_IKE || protocol == PROTOCOL_ESP);
    text = trim(text);
    if (text.len == 0 || text.len >= PROPOSAL_TEXT_MAX)
        return fault_set(f, ERR_MALFORMED, "a proposal is %s",
                         text.len == 0 ? "empty" : "too long");
    struct proposal p = {.number = 1, .protocol = protocol};
    struct span rest = text;
    for (bool more = true; more;) {
        struct span word = next_word(&rest, '-', &more);
        enum err e = add_word(&p, word, text, f);
        if (e != ERR_OK)
            return e;
    }
    const char *wrong = missing_or_mixed(&p);
    if (wrong != NULL)
        return fault_set(f, ERR_MALFORMED, "the proposal \"%.*s\" %s", (int)text.len,
                         (const char *)text.data, wrong);
    if (add_implied(&p) != ERR_OK)
        return fault_set(f, ERR_LIMIT, "more than %d algorithms in one proposal",
                         (int)TRANSFORMS_MAX);
    sort_by_type(&p);
    *ret = p;
    return ERR_OK;
}

enum err proposal_from_text(const char *text, uint8_t protocol, struct proposal *ret,
                            struct fault *f)
{
    return parse_one(span_text(text), protocol, ret, f);
}

enum err proposal_list_from_text(const char *text, uint8_t protocol, struct proposal_list *ret,
                                 struct fault *f)
{
    struct proposal_list l = {.count = 0};
    struct span rest = span_text(text);
    for (bool more = true; more;) {
        struct span one = next_word(&rest, ',', &more);
        if (l.count == PROPOSALS_MAX)
            return fault_set(f, ERR_LIMIT, "more than %d proposals", (int)PROPOSALS_MAX);
        struct proposal *p = &l.items[l.count];
        enum err e = parse_one(one, protocol, p, f);
        if (e != ERR_OK)
            return e;
        p->number = (uint8_t)++l.count;
    }
    *ret = l;
    return ERR_OK;
}

void proposal_list_default(uint8_t protocol, struct proposal_list *ret)
{
    static const char ike[] = "aes256gcm16-aes128gcm16-chacha20poly1305-"
                              "prfsha384-prfsha256-prfsha512-"
                              "x25519-ecp256-ecp384-modp3072-modp2048,"
                              "aes256-aes128-sha256-sha384-sha512-"
                              "x25519-ecp256-ecp384-modp3072-modp2048";
    static const char esp[] = "aes256gcm16-aes128gcm16-chacha20poly1305,"
                              "aes256-aes128-sha256-sha384-sha512";
    struct fault f;
    const char *text = protocol == PROTOCOL_IKE ? ike : esp;
    enum err e = proposal_list_from_text(text, protocol, ret, &f);
    ASSERT(e == ERR_OK);
}

/* Are the PRFs just those that the INTEG algorithms would bring along? */
static bool prfs_implied(const struct proposal *p)
{
    struct proposal all = *p, without = *p;
    without.count = 0;
    for (size_t i = 0; i < p->count; i++)
        if (p->transforms[i].type != TRANSFORM_PRF)
            without.transforms[without.count++] = p->transforms[i];
    if (p->protocol != PROTOCOL_IKE || add_implied(&without) != ERR_OK)
        return false;
    sort_by_type(&all);
    sort_by_type(&without);
    if (all.count != without.count)
        return false;
    for (size_t i = 0; i < all.count; i++)
        if (all.transforms[i].id != without.transforms[i].id)
            return false;
    return true;
}

static void add_text(const struct proposal *p, struct text_builder *t)
{
    bool bare = prfs_implied(p);
    const char *between = "";
    for (size_t i = 0; i < p->count; i++) {
        const struct transform *x = &p->transforms[i];
        bool silent =
            (x->type == TRANSFORM_PRF && bare) ||
            (x->type == TRANSFORM_ESN && x->id == ESN_NO && proposal_count(p, TRANSFORM_ESN) == 1);
        if (silent)
            continue;
        char name[ALGORITHM_TEXT_MAX];
        text_add(t, "%s%s", between,
                 algorithm_text((enum transform_type)x->type, x->id, x->key_bits, name));
        between = "-";
    }
}

const char *proposal_format(const struct proposal *p, char out[PROPOSAL_TEXT_MAX])
{
    struct text_builder t;
    text_begin(&t, out, PROPOSAL_TEXT_MAX);
    add_text(p, &t);
    return out;
}

const char *proposal_list_format(const struct proposal_list *l, char out[PROPOSAL_LIST_TEXT_MAX])
{
    struct text_builder t;
    text_begin(&t, out, PROPOSAL_LIST_TEXT_MAX);
    for (size_t i = 0; i < l->count; i++) {
        text_add(&t, "%s", i > 0 ? "," : "");
        add_text(&l->items[i], &t);
    }
    return out;
}

const char *suite_format(const struct suite *s, uint8_t protocol, char out[PROPOSAL_TEXT_MAX])
{
    const struct transform all[TYPE_COUNT] = {
        {TRANSFORM_ENCR, (uint16_t)s->cipher.encr, s->cipher.key_bits},
        {TRANSFORM_INTEG, (uint16_t)s->cipher.integ, 0},
        {TRANSFORM_PRF, (uint16_t)s->prf, 0},
        {TRANSFORM_KE, (uint16_t)s->ke, 0},
        {TRANSFORM_ESN, s->esn ? ESN_YES : ESN_NO, 0},
    };
    struct proposal p = {.protocol = protocol};
    for (size_t i = 0; i < TYPE_COUNT; i++)
        if (all[i].id != 0)
            p.transforms[p.count++] = all[i];
    return proposal_format(&p, out);
}
