/* Proposals on the wire, and the choice among them (RFC 7296 2.7, 3.3). Their text is
 * proposal_text.c.
 *
 * What a list does not name of INTEG, KE and ESN counts as its number 0 there (none, none, no
 * extended sequence numbers): the two ways to say so mean the same (RFC 7296 3.3.3, RFC 5282 8).
 * For ESN, which 3.3.3 wants to be named, that is leniency on purpose: there are peers that leave
 * it out, and nothing else can be meant.
 *
 * What is no proposal of ours to understand spoils itself alone (3.3.6): it keeps its place in the
 * list, with a transform of a type that nobody has. */
#include "common/ike/proposal.h"

#include <string.h>

enum {
    TRANSFORM_TYPE_UNUSABLE = 255,
    MORE_PROPOSALS = 2, /* first octet of a substructure that is not the last */
    MORE_TRANSFORMS = 3,
    SUBSTRUCTURE_HEAD_LEN = 8,     /* of a proposal and a transform alike */
    ATTRIBUTE_KEY_LENGTH = 0x800e, /* type 14 with the format bit: the value is in the header */
    ATTRIBUTE_SHORT_FORMAT = 0x8000
};

static void read_attributes(struct wire_reader *r, struct transform *t)
{
    bool usable = true;
    while (wire_left(r) > 0) {
        uint16_t type = wire_read_u16(r);
        uint16_t value = wire_read_u16(r);
        if (type == ATTRIBUTE_KEY_LENGTH && t->key_bits == 0 && value != 0) {
            t->key_bits = value;
            continue;
        }
        usable = false;
        if ((type & ATTRIBUTE_SHORT_FORMAT) == 0)
            wire_skip(r, value); /* the long format: a length, and the value behind it */
    }
    if (!usable) {
        t->id = TRANSFORM_ID_UNUSABLE;
        t->key_bits = 0;
    }
}

static enum err transform_parse(struct wire_reader *r, bool last, struct transform *ret)
{
    uint8_t more = wire_read_u8(r);
    wire_skip(r, 1);
    uint16_t len = wire_read_u16(r);
    if (more != (last ? 0 : MORE_TRANSFORMS) || len < SUBSTRUCTURE_HEAD_LEN)
        return ERR_MALFORMED;
    struct wire_reader inner;
    wire_reader_init(&inner, wire_read_span(r, (size_t)len - 4));
    struct transform t = {.type = wire_read_u8(&inner)};
    wire_skip(&inner, 1);
    t.id = wire_read_u16(&inner);
    read_attributes(&inner, &t);
    if (r->failed || wire_read_finish(&inner) != ERR_OK)
        return ERR_MALFORMED;
    *ret = t;
    return ERR_OK;
}

/* RFC 7296 3.3.1: none in the first IKE SA's negotiation, eight octets when it is rekeyed. */
static bool spi_len_good(uint8_t protocol, uint8_t len)
{
    if (protocol == PROTOCOL_IKE)
        return len == 0 || len == 8;
    if (protocol == PROTOCOL_AH || protocol == PROTOCOL_ESP)
        return len == 4;
    return len <= sizeof((struct proposal *)0)->spi;
}

/* A proposal after its first four octets. */
static enum err proposal_parse(struct span body, struct proposal *ret)
{
    struct wire_reader r;
    wire_reader_init(&r, body);
    struct proposal p = {.number = wire_read_u8(&r)};
    p.protocol = wire_read_u8(&r);
    p.spi_len = wire_read_u8(&r);
    uint8_t count = wire_read_u8(&r);
    struct span spi = wire_read_span(&r, p.spi_len);
    bool usable = spi_len_good(p.protocol, p.spi_len) && count <= TRANSFORMS_MAX;
    for (uint8_t i = 0; i < count; i++) {
        struct transform t;
        enum err e = transform_parse(&r, i + 1 == count, &t);
        if (e != ERR_OK)
            return e;
        if (usable)
            p.transforms[p.count++] = t;
    }
    if (wire_read_finish(&r) != ERR_OK)
        return ERR_MALFORMED;
    if (!usable) {
        p.spi_len = 0;
        p.transforms[p.count++] = (struct transform){.type = TRANSFORM_TYPE_UNUSABLE};
    } else if (spi.len > 0) {
        memcpy(p.spi, spi.data, spi.len);
    }
    *ret = p;
    return ERR_OK;
}

enum err proposal_list_parse(struct span sa_body, struct proposal_list *ret)
{
    struct proposal_list l = {.count = 0};
    struct wire_reader r;
    wire_reader_init(&r, sa_body);
    uint8_t more = MORE_PROPOSALS;
    while (more != 0) {
        more = wire_read_u8(&r);
        wire_skip(&r, 1);
        uint16_t len = wire_read_u16(&r);
        if ((more != 0 && more != MORE_PROPOSALS) || len < SUBSTRUCTURE_HEAD_LEN)
            return ERR_MALFORMED; /* a failed read ends here too: its length is 0 */
        struct span body = wire_read_span(&r, (size_t)len - 4);
        if (r.failed)
            return ERR_MALFORMED;
        struct proposal p;
        enum err e = proposal_parse(body, &p);
        if (e != ERR_OK)
            return e;
        if (l.count < PROPOSALS_MAX) /* more than that is passed over: the best ones come first */
            l.items[l.count++] = p;
    }
    if (wire_read_finish(&r) != ERR_OK)
        return ERR_MALFORMED;
    *ret = l;
    return ERR_OK;
}

static void transform_write(struct wire_writer *w, const struct transform *t, bool last)
{
    size_t at = w->len;
    wire_write_u8(w, last ? 0 : MORE_TRANSFORMS);
    wire_write_u8(w, 0);
    wire_write_u16(w, 0);
    wire_write_u8(w, t->type);
    wire_write_u8(w, 0);
    wire_write_u16(w, t->id);
    if (t->key_bits != 0) {
        wire_write_u16(w, ATTRIBUTE_KEY_LENGTH);
        wire_write_u16(w, t->key_bits);
    }
    wire_patch_len_u16(w, at + 2, at);
}

void proposal_list_write(struct wire_writer *w, const struct proposal_list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        const struct proposal *p = &l->items[i];
        ASSERT(p->spi_len <= sizeof p->spi && p->count <= TRANSFORMS_MAX);
        size_t at = w->len;
        wire_write_u8(w, i + 1 == l->count ? 0 : MORE_PROPOSALS);
        wire_write_u8(w, 0);
        wire_write_u16(w, 0);
        wire_write_u8(w, p->number);
        wire_write_u8(w, p->protocol);
        wire_write_u8(w, p->spi_len);
        wire_write_u8(w, (uint8_t)p->count);
        wire_write_span(w, span_make(p->spi, p->spi_len));
        for (size_t j = 0; j < p->count; j++)
            transform_write(w, &p->transforms[j], j + 1 == p->count);
        wire_patch_len_u16(w, at + 2, at);
    }
}

static bool transform_equal(const struct transform *a, const struct transform *b)
{
    return a->type == b->type && a->id == b->id && a->key_bits == b->key_bits;
}

bool proposal_has(const struct proposal *p, const struct transform *t)
{
    for (size_t i = 0; i < p->count; i++)
        if (transform_equal(&p->transforms[i], t))
            return true;
    return false;
}

size_t proposal_count(const struct proposal *p, uint8_t type)
{
    size_t count = 0;
    for (size_t i = 0; i < p->count; i++)
        count += p->transforms[i].type == type;
    return count;
}

/* Types where 0 is the same as saying nothing. */
static bool may_be_absent(uint8_t type)
{
    return type == TRANSFORM_INTEG || type == TRANSFORM_KE || type == TRANSFORM_ESN;
}

static bool is_nothing(const struct transform *t)
{
    return may_be_absent(t->type) && t->id == 0 && t->key_bits == 0;
}

/* Does p allow t, be it by saying nothing about a type that may be absent? */
static bool allows(const struct proposal *p, const struct transform *t)
{
    if (proposal_count(p, t->type) > 0)
        return proposal_has(p, t);
    return is_nothing(t);
}

/* The first transform of one type in `first` that `second` allows. */
static bool select_transform(const struct proposal *first, const struct proposal *second,
                             uint8_t type, struct transform *ret)
{
    const struct transform nothing = {.type = type};
    for (size_t i = 0; i < first->count; i++) {
        const struct transform *t = &first->transforms[i];
        if (t->type == type && allows(second, t)) {
            *ret = *t;
            return true;
        }
    }
    if (proposal_count(first, type) > 0 || !allows(first, &nothing) || !allows(second, &nothing))
        return false;
    *ret = nothing;
    return true;
}

static bool types_known(const struct proposal *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->transforms[i].type < TRANSFORM_ENCR || p->transforms[i].type > TRANSFORM_ESN)
            return false;
    return true;
}

/* One transform of each type that the offer names. A type we do not know makes the whole proposal
 * unacceptable (RFC 7296 3.3.6). */
static bool select_one(const struct proposal *offer, const struct proposal *own, bool own_first,
                       bool without_ke, struct proposal *ret)
{
    if (offer->protocol != own->protocol || !types_known(offer))
        return false;
    struct proposal chosen = {
        .number = offer->number, .protocol = offer->protocol, .spi_len = offer->spi_len};
    memcpy(chosen.spi, offer->spi, sizeof chosen.spi);
    for (uint8_t type = TRANSFORM_ENCR; type <= TRANSFORM_ESN; type++) {
        bool offered = proposal_count(offer, type) > 0;
        if ((type == TRANSFORM_KE && without_ke) || (!offered && proposal_count(own, type) == 0))
            continue;
        struct transform t;
        if (!select_transform(own_first ? own : offer, own_first ? offer : own, type, &t))
            return false;
        if (offered)
            chosen.transforms[chosen.count++] = t;
    }
    *ret = chosen;
    return true;
}

enum err proposal_select(const struct proposal_list *offered, const struct proposal_list *ours,
                         bool ours_first, bool without_ke, struct proposal *ret)
{
    const struct proposal_list *outer = ours_first ? ours : offered;
    const struct proposal_list *inner = ours_first ? offered : ours;
    for (size_t i = 0; i < outer->count; i++) {
        for (size_t j = 0; j < inner->count; j++) {
            const struct proposal *offer = ours_first ? &inner->items[j] : &outer->items[i];
            const struct proposal *own = ours_first ? &outer->items[i] : &inner->items[j];
            if (select_one(offer, own, ours_first, without_ke, ret))
                return ERR_OK;
        }
    }
    return ERR_NOT_FOUND;
}

static const struct proposal *find_number(const struct proposal_list *l, uint8_t number)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i].number == number)
            return &l->items[i];
    return NULL;
}

static bool expected_type(const struct proposal *offer, uint8_t type, bool without_ke)
{
    return proposal_count(offer, type) > 0 && !(type == TRANSFORM_KE && without_ke);
}

/* A combined mode's answer may leave out the "none" that we said aloud (RFC 5282 8). */
static bool may_be_left_out(const struct proposal *offer, uint8_t type)
{
    const struct transform none = {.type = TRANSFORM_INTEG, .id = INTEG_NONE};
    return type == TRANSFORM_INTEG && proposal_has(offer, &none);
}

enum err proposal_check_answer(const struct proposal_list *offered,
                               const struct proposal_list *answer, bool without_ke,
                               struct proposal *ret)
{
    if (answer->count != 1)
        return ERR_REFUSED;
    const struct proposal *got = &answer->items[0];
    const struct proposal *offer = find_number(offered, got->number);
    if (offer == NULL || offer->protocol != got->protocol || offer->spi_len != got->spi_len)
        return ERR_REFUSED;

    struct proposal chosen = *got;
    chosen.count = 0;
    for (size_t i = 0; i < got->count; i++) {
        const struct transform *t = &got->transforms[i];
        if (proposal_count(got, t->type) != 1)
            return ERR_REFUSED;
        if (expected_type(offer, t->type, without_ke)) {
            if (!proposal_has(offer, t))
                return ERR_REFUSED;
            chosen.transforms[chosen.count++] = *t;
        } else if (t->type == TRANSFORM_ESN || !is_nothing(t)) {
            return ERR_REFUSED; /* "none" said aloud where we said nothing is no addition */
        }
    }
    for (uint8_t type = TRANSFORM_ENCR; type <= TRANSFORM_ESN; type++)
        if (expected_type(offer, type, without_ke) && proposal_count(&chosen, type) == 0 &&
            !may_be_left_out(offer, type))
            return ERR_REFUSED;
    *ret = chosen;
    return ERR_OK;
}

enum err proposal_suite(const struct proposal *p, struct suite *ret)
{
    struct suite s = {.prf = PRF_NONE};
    for (size_t i = 0; i < p->count; i++) {
        const struct transform *t = &p->transforms[i];
        if (proposal_count(p, t->type) != 1 ||
            (!is_nothing(t) && algorithm_by_id(t->type, t->id, t->key_bits) == NULL))
            return ERR_UNSUPPORTED;
        switch (t->type) {
        case TRANSFORM_ENCR:
            s.cipher.encr = (enum encr_id)t->id;
            s.cipher.key_bits = t->key_bits;
            break;
        case TRANSFORM_PRF:
            s.prf = (enum prf_id)t->id;
            break;
        case TRANSFORM_INTEG:
            s.cipher.integ = (enum integ_id)t->id;
            break;
        case TRANSFORM_KE:
            s.ke = (enum ke_id)t->id;
            break;
        case TRANSFORM_ESN:
            s.esn = t->id == ESN_YES;
            break;
        default:
            return ERR_UNSUPPORTED;
        }
    }
    bool ike = p->protocol == PROTOCOL_IKE;
    if (!aead_supported(&s.cipher) || ike != (s.prf != PRF_NONE) || (ike && s.ke == KE_NONE) ||
        (ike && s.cipher.encr == ENCR_NULL))
        return ERR_UNSUPPORTED;
    *ret = s;
    return ERR_OK;
}

bool proposal_list_has_null(const struct proposal_list *l)
{
    const struct transform t = {.type = TRANSFORM_ENCR, .id = ENCR_NULL};
    for (size_t i = 0; i < l->count; i++)
        if (proposal_has(&l->items[i], &t))
            return true;
    return false;
}

bool proposal_list_has_ke(const struct proposal_list *l, uint16_t ke)
{
    const struct transform t = {.type = TRANSFORM_KE, .id = ke};
    for (size_t i = 0; i < l->count; i++)
        if (proposal_has(&l->items[i], &t))
            return true;
    return false;
}

enum ke_id proposal_list_first_ke(const struct proposal_list *l)
{
    for (size_t i = 0; l->count > 0 && i < l->items[0].count; i++)
        if (l->items[0].transforms[i].type == TRANSFORM_KE)
            return (enum ke_id)l->items[0].transforms[i].id;
    return KE_NONE;
}
