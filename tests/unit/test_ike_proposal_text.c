/* Proposals as profiles write them: every name, what goes without saying, the defaults, faults that
 * name the wrong word, and the way to the wire and back. */
#include <stdio.h>
#include <string.h>

#include "common/ike/proposal.h"
#include "tests/support/support.h"

enum { IKE = PROTOCOL_IKE, ESP = PROTOCOL_ESP };

/* --- what is understood --- */

static const struct {
    uint8_t protocol;
    const char *text;
    const char *back; /* as it is written again */
} texts[] = {
    {IKE, "aes256gcm16-prfsha384-x25519", "aes256gcm16-prfsha384-x25519"},
    {IKE, "aes256-aes128-sha256-modp2048", "aes256-aes128-sha256-modp2048"},
    {IKE, "x25519-prfsha384-aes256gcm16", "aes256gcm16-prfsha384-x25519"}, /* any order */
    {IKE, "ecp256-sha256-x25519-aes128-sha384-aes256", "aes128-aes256-sha256-sha384-ecp256-x25519"},
    {IKE, "AES256GCM16-PrfSha384-X25519", "aes256gcm16-prfsha384-x25519"},
    {IKE, "aes256gcm128-prfsha256-curve25519", "aes256gcm16-prfsha256-x25519"},
    {IKE, "aes-sha-modp1024", "aes128-sha1-modp1024"},
    {IKE, "aes256-sha256-sha2_256-aes256-modp2048", "aes256-sha256-modp2048"}, /* said twice */
    /* PRFs */
    {IKE, "aes256-sha256-prfsha256-modp2048", "aes256-sha256-modp2048"},
    {IKE, "aes256-sha256-prfsha384-modp2048", "aes256-sha256-prfsha384-modp2048"},
    {IKE, "aes256-sha256-prfsha256-prfsha384-modp2048",
     "aes256-sha256-prfsha256-prfsha384-modp2048"},
    {IKE, "aes256-sha256-sha384-prfsha256-modp2048", "aes256-sha256-sha384-prfsha256-modp2048"},
    {IKE, "aes256-sha256-sha384-prfsha384-prfsha256-modp2048",
     "aes256-sha256-sha384-prfsha384-prfsha256-modp2048"}, /* their order counts */
    /* blanks around a proposal, not in it */
    {IKE, " \taes256gcm16-prfsha384-x25519 \t", "aes256gcm16-prfsha384-x25519"},
    {ESP, "aes256gcm16", "aes256gcm16"},
    {ESP, "aes256gcm16-noesn", "aes256gcm16"},
    {ESP, "aes256gcm16-esn", "aes256gcm16-esn"},
    {ESP, "esn-noesn-aes256gcm16", "aes256gcm16-esn-noesn"},
    {ESP, "noesn-esn-aes256gcm16", "aes256gcm16-noesn-esn"},
    {ESP, "aes128-sha1-sha256-ecp384", "aes128-sha1-sha256-ecp384"},
    {ESP, "chacha20poly1305-aes128gcm8-x25519-modp3072",
     "chacha20poly1305-aes128gcm8-x25519-modp3072"},
};

static void ck_same(const struct proposal *a, const struct proposal *b)
{
    ck_assert_uint_eq(a->number, b->number);
    ck_assert_uint_eq(a->protocol, b->protocol);
    ck_assert_uint_eq(a->spi_len, b->spi_len);
    ck_assert_mem_eq(a->spi, b->spi, sizeof a->spi);
    ck_assert_uint_eq(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        ck_assert_uint_eq(a->transforms[i].type, b->transforms[i].type);
        ck_assert_uint_eq(a->transforms[i].id, b->transforms[i].id);
        ck_assert_uint_eq(a->transforms[i].key_bits, b->transforms[i].key_bits);
    }
}

/* To the wire and back. */
static struct proposal_list carried(const struct proposal_list *l)
{
    static uint8_t bytes[8192];
    struct proposal_list sent = *l, got;
    struct wire_writer w;
    for (size_t i = 0; i < sent.count; i++)
        if (sent.items[i].protocol == ESP)
            sent.items[i].spi_len = 4; /* RFC 7296 3.3.1 */
    wire_writer_init(&w, bytes, sizeof bytes);
    proposal_list_write(&w, &sent);
    ck_ok(wire_write_finish(&w));
    ck_ok(proposal_list_parse(wire_written(&w), &got));
    ck_assert_uint_eq(got.count, sent.count);
    for (size_t i = 0; i < got.count; i++) {
        ck_same(&got.items[i], &sent.items[i]);
        got.items[i].spi_len = 0;
    }
    return got;
}

START_TEST(there_and_back)
{
    struct proposal p;
    struct proposal_list l, got;
    struct fault f = {0};
    char text[PROPOSAL_TEXT_MAX], list_text[PROPOSAL_LIST_TEXT_MAX];
    enum err e = proposal_from_text(texts[_i].text, texts[_i].protocol, &p, &f);
    ck_assert_msg(e == ERR_OK, "%s: %s", texts[_i].text, f.text);
    ck_assert_uint_eq(p.number, 1);
    ck_assert_str_eq(proposal_format(&p, text), texts[_i].back);
    ck_ok(proposal_list_from_text(texts[_i].text, texts[_i].protocol, &l, &f));
    ck_assert_uint_eq(l.count, 1);
    ck_same(&l.items[0], &p);
    got = carried(&l);
    ck_assert_str_eq(proposal_list_format(&got, list_text), texts[_i].back);
    /* what is written reads as the same */
    ck_ok(proposal_from_text(text, texts[_i].protocol, &got.items[0], &f));
    ck_same(&got.items[0], &p);
}
END_TEST

START_TEST(what_goes_without_saying)
{
    struct proposal p;
    struct fault f;
    ck_ok(proposal_from_text("aes128-sha384-sha256-sha512-sha1-modp2048", IKE, &p, &f));
    static const uint16_t prfs[] = {PRF_HMAC_SHA2_384, PRF_HMAC_SHA2_256, PRF_HMAC_SHA2_512,
                                    PRF_HMAC_SHA1};
    ck_assert_uint_eq(proposal_count(&p, TRANSFORM_PRF), 4);
    for (size_t i = 0; i < 4; i++) { /* in the order of the hashes */
        ck_assert_uint_eq(p.transforms[1 + 4 + i].type, TRANSFORM_PRF);
        ck_assert_uint_eq(p.transforms[1 + 4 + i].id, prfs[i]);
    }
    ck_assert_uint_eq(proposal_count(&p, TRANSFORM_ESN), 0);
    /* one PRF named: no other */
    ck_ok(proposal_from_text("aes128-sha384-prfsha256-modp2048", IKE, &p, &f));
    ck_assert_uint_eq(proposal_count(&p, TRANSFORM_PRF), 1);
    /* RFC 7296 3.3.3: ESP always says about ESN, and never names a PRF */
    ck_ok(proposal_from_text("aes128-sha256", ESP, &p, &f));
    ck_assert(proposal_has(&p, &(struct transform){.type = TRANSFORM_ESN, .id = ESN_NO}));
    ck_assert_uint_eq(proposal_count(&p, TRANSFORM_ESN), 1);
    ck_assert_uint_eq(proposal_count(&p, TRANSFORM_PRF), 0);
    ck_ok(proposal_from_text("aes128-sha256-esn", ESP, &p, &f));
    ck_assert(proposal_has(&p, &(struct transform){.type = TRANSFORM_ESN, .id = ESN_YES}));
    ck_assert_uint_eq(proposal_count(&p, TRANSFORM_ESN), 1);
    /* RFC 7296 3.3: two lengths of key are two transforms */
    ck_ok(proposal_from_text("aes256-aes128-sha256", ESP, &p, &f));
    ck_assert_uint_eq(proposal_count(&p, TRANSFORM_ENCR), 2);
    ck_assert(proposal_has(&p, &(struct transform){TRANSFORM_ENCR, ENCR_AES_CBC, 128}));
    ck_assert(proposal_has(&p, &(struct transform){TRANSFORM_ENCR, ENCR_AES_CBC, 256}));
    /* RFC 5282 8: no INTEG beside a combined mode */
    ck_ok(proposal_from_text("aes128gcm16-prfsha256-x25519", IKE, &p, &f));
    ck_assert_uint_eq(proposal_count(&p, TRANSFORM_INTEG), 0);
}
END_TEST

/* Every name, in strongSwan's spelling, with its number of the IANA registry. */
static const struct {
    const char *name;
    uint8_t type;
    uint16_t id, key_bits;
} names[] = {
    {"aes", 1, 12, 128},
    {"aes128", 1, 12, 128},
    {"aes192", 1, 12, 192},
    {"aes256", 1, 12, 256},
    {"aes128gcm8", 1, 18, 128},
    {"aes128gcm64", 1, 18, 128},
    {"aes192gcm8", 1, 18, 192},
    {"aes192gcm64", 1, 18, 192},
    {"aes256gcm8", 1, 18, 256},
    {"aes256gcm64", 1, 18, 256},
    {"aes128gcm12", 1, 19, 128},
    {"aes128gcm96", 1, 19, 128},
    {"aes192gcm12", 1, 19, 192},
    {"aes192gcm96", 1, 19, 192},
    {"aes256gcm12", 1, 19, 256},
    {"aes256gcm96", 1, 19, 256},
    {"aes128gcm16", 1, 20, 128},
    {"aes128gcm128", 1, 20, 128},
    {"aes192gcm16", 1, 20, 192},
    {"aes192gcm128", 1, 20, 192},
    {"aes256gcm16", 1, 20, 256},
    {"aes256gcm128", 1, 20, 256},
    {"chacha20poly1305", 1, 28, 0},
    {"prfsha1", 2, 2, 0},
    {"prfsha256", 2, 5, 0},
    {"prfsha384", 2, 6, 0},
    {"prfsha512", 2, 7, 0},
    {"sha", 3, 2, 0},
    {"sha1", 3, 2, 0},
    {"sha256", 3, 12, 0},
    {"sha2_256", 3, 12, 0},
    {"sha384", 3, 13, 0},
    {"sha2_384", 3, 13, 0},
    {"sha512", 3, 14, 0},
    {"sha2_512", 3, 14, 0},
    {"modp1024", 4, 2, 0},
    {"modp2048", 4, 14, 0},
    {"modp3072", 4, 15, 0},
    {"modp4096", 4, 16, 0},
    {"ecp256", 4, 19, 0},
    {"ecp384", 4, 20, 0},
    {"ecp521", 4, 21, 0},
    {"x25519", 4, 31, 0},
    {"curve25519", 4, 31, 0},
    {"noesn", 5, 0, 0},
    {"esn", 5, 1, 0},
};

/* The name among what it needs to be a proposal, and nothing of its own type. */
static enum err with_company(size_t i, uint8_t protocol, struct proposal *ret, struct fault *f)
{
    const bool aead = names[i].type == TRANSFORM_ENCR && encr_is_aead((enum encr_id)names[i].id);
    char text[PROPOSAL_TEXT_MAX];
    snprintf(text, sizeof text, "%s%s%s%s%s", names[i].name,
             names[i].type == TRANSFORM_ENCR ? "" : "-aes256",
             names[i].type == TRANSFORM_INTEG || aead ? "" : "-sha512",
             protocol == ESP || names[i].type == TRANSFORM_PRF ? "" : "-prfsha512",
             protocol == ESP || names[i].type == TRANSFORM_KE ? "" : "-ecp521");
    return proposal_from_text(text, protocol, ret, f);
}

START_TEST(every_name)
{
    const struct transform t = {names[_i].type, names[_i].id, names[_i].key_bits};
    struct proposal p;
    struct suite s;
    struct fault f = {0};
    enum err e = with_company((size_t)_i, IKE, &p, &f);
    if (names[_i].type == TRANSFORM_ESN) {
        ck_err(e, ERR_MALFORMED);
    } else {
        ck_assert_msg(e == ERR_OK, "%s: %s", names[_i].name, f.text);
        ck_assert(proposal_has(&p, &t));
        ck_assert_uint_eq(proposal_count(&p, t.type), 1);
        ck_ok(proposal_suite(&p, &s));
    }
    e = with_company((size_t)_i, ESP, &p, &f);
    if (names[_i].type == TRANSFORM_PRF) {
        ck_err(e, ERR_MALFORMED);
    } else {
        ck_assert_msg(e == ERR_OK, "%s: %s", names[_i].name, f.text);
        ck_assert(proposal_has(&p, &t));
        ck_assert_uint_eq(proposal_count(&p, t.type), 1);
        ck_ok(proposal_suite(&p, &s));
    }
}
END_TEST

START_TEST(lists)
{
    struct proposal_list l, got;
    struct fault f;
    char text[PROPOSAL_LIST_TEXT_MAX];
    static const char in[] =
        "aes256gcm16-prfsha384-x25519 ,\taes256-sha256-modp2048,aes-sha-ecp256";
    static const char out[] =
        "aes256gcm16-prfsha384-x25519,aes256-sha256-modp2048,aes128-sha1-ecp256";
    ck_ok(proposal_list_from_text(in, IKE, &l, &f));
    ck_assert_uint_eq(l.count, 3);
    for (size_t i = 0; i < l.count; i++) { /* RFC 7296 3.3.1 */
        ck_assert_uint_eq(l.items[i].number, i + 1);
        ck_assert_uint_eq(l.items[i].protocol, IKE);
        ck_assert_uint_eq(l.items[i].spi_len, 0);
    }
    ck_assert_str_eq(proposal_list_format(&l, text), out);
    got = carried(&l);
    ck_assert_str_eq(proposal_list_format(&got, text), out);
    l.count = 0;
    ck_assert_str_eq(proposal_list_format(&l, text), "");
}
END_TEST

/* --- the defaults --- */

START_TEST(defaults)
{
    static const struct {
        uint8_t protocol;
        const char *text;
    } expected[] = {
        {IKE, "aes256gcm16-aes128gcm16-chacha20poly1305-prfsha384-prfsha256-prfsha512-"
              "x25519-ecp256-ecp384-modp3072-modp2048,"
              "aes256-aes128-sha256-sha384-sha512-x25519-ecp256-ecp384-modp3072-modp2048"},
        {ESP, "aes256gcm16-aes128gcm16-chacha20poly1305,aes256-aes128-sha256-sha384-sha512"},
    };
    for (size_t i = 0; i < 2; i++) {
        struct proposal_list l, again;
        struct fault f;
        char text[PROPOSAL_LIST_TEXT_MAX];
        proposal_list_default(expected[i].protocol, &l);
        ck_assert_str_eq(proposal_list_format(&l, text), expected[i].text);
        ck_ok(proposal_list_from_text(text, expected[i].protocol, &again, &f));
        const struct proposal_list got = carried(&l);
        ck_assert_uint_eq(l.count, 2);
        for (size_t j = 0; j < l.count; j++) {
            ck_same(&again.items[j], &l.items[j]);
            ck_same(&got.items[j], &l.items[j]);
        }
        /* nothing weak unless somebody names it */
        static const struct transform weak[] = {{TRANSFORM_ENCR, ENCR_NULL, 0},
                                                {TRANSFORM_PRF, PRF_HMAC_SHA1, 0},
                                                {TRANSFORM_INTEG, INTEG_HMAC_SHA1_96, 0},
                                                {TRANSFORM_KE, KE_MODP_1024, 0}};
        for (size_t j = 0; j < l.count; j++)
            for (size_t k = 0; k < sizeof(weak) / sizeof(weak[0]); k++)
                ck_assert(!proposal_has(&l.items[j], &weak[k]));
        ck_assert(!proposal_list_has_null(&l));
    }
}
END_TEST

START_TEST(null_is_found)
{
    struct proposal_list l;
    struct fault f = {0};
    ck_ok(proposal_list_from_text("aes256gcm16, aes256-null-sha256", ESP, &l, &f));
    ck_assert(proposal_list_has_null(&l));
}
END_TEST

/* Whatever one side picks of the defaults is a suite that we have. */
START_TEST(every_default_is_implemented)
{
    static const uint8_t protocols[] = {IKE, ESP};
    for (size_t i = 0; i < 2; i++) {
        struct proposal_list l;
        proposal_list_default(protocols[i], &l);
        for (size_t j = 0; j < l.count; j++) {
            for (size_t k = 0; k < l.items[j].count; k++) {
                /* one of each type: this one, and the first of every other */
                const struct transform t = l.items[j].transforms[k];
                struct proposal p = {.protocol = protocols[i]};
                struct suite s;
                for (size_t n = 0; n < l.items[j].count; n++) {
                    const struct transform *u = &l.items[j].transforms[n];
                    if (proposal_count(&p, u->type) == 0)
                        p.transforms[p.count++] = u->type == t.type ? t : *u;
                }
                ck_ok(proposal_suite(&p, &s));
            }
        }
    }
}
END_TEST

/* --- faults --- */

static const struct {
    uint8_t protocol;
    const char *text;
    const char *seen; /* part of the fault's text */
} faults[] = {
    {IKE, "aes256-sha257-modp2048", "unknown algorithm \"sha257\""},
    {IKE, "aes256gcm16-prfsha384-x25519,aes512-sha256-modp2048", "unknown algorithm \"aes512\""},
    {IKE, "aes256gcm16-prfsha384-x25519,aes512-sha256-modp2048", "\"aes512-sha256-modp2048\""},
    {IKE, "aes256-sha256-modp20480", "unknown algorithm \"modp20480\""},
    {IKE, "aes256-sha256-modp204", "unknown algorithm \"modp204\""},
    {IKE, "aes256--sha256-modp2048", "unknown algorithm \"\""},
    {IKE, "-aes256-sha256-modp2048", "unknown algorithm \"\""},
    {IKE, "aes256-sha256-modp2048-", "unknown algorithm \"\""},
    {IKE, "-", "unknown algorithm \"\""},
    {IKE, "aes256 -sha256-modp2048", "unknown algorithm \"aes256 \""},
    {IKE, "aes256-sha256-modp2048;aes128-sha256-modp2048", "\"modp2048;aes128\""},
    {IKE, "aes256-sha256-modp2048!", "unknown algorithm \"modp2048!\""},
    {IKE, "3des-sha256-modp2048", "unknown algorithm \"3des\""},
    {IKE, "aes256-md5-modp2048", "unknown algorithm \"md5\""},
    {IKE, "aes256-sha\x1b[2J-modp2048", "unknown algorithm \"sha\\x1b[2J\""},
    {IKE, "", "a proposal is empty"},
    {IKE, " \t ", "a proposal is empty"},
    {IKE, ",aes256-sha256-modp2048", "a proposal is empty"},
    {IKE, "aes256-sha256-modp2048,", "a proposal is empty"},
    {IKE, "aes256-sha256-modp2048, ,aes128-sha256-modp2048", "a proposal is empty"},

    {IKE, "aes256-sha256-modp2048-esn", "\"esn\" has no place in an IKE proposal"},
    {IKE, "aes256-sha256-NoESN-modp2048", "\"NoESN\" has no place in an IKE proposal"},
    {IKE, "null-sha256-modp2048", "\"null\" has no place in an IKE proposal"},
    {ESP, "null", "\"null\" names no integrity"},
    {ESP, "aes256-sha256-prfsha256", "\"prfsha256\" has no place in an ESP proposal"},

    {IKE, "sha256-modp2048", "\"sha256-modp2048\" names no encryption"},
    {ESP, "esn", "\"esn\" names no encryption"},
    {IKE, "aes256-modp2048", "\"aes256-modp2048\" names no integrity"},
    {IKE, "aes256-prfsha256-modp2048", "names no integrity"},
    {ESP, "aes256", "names no integrity"},
    {IKE, "aes256gcm16-x25519", "names no PRF"},
    {IKE, "aes256gcm16-prfsha256", "names no key exchange"},
    {IKE, "aes256-sha256", "names no key exchange"},
    {IKE, "aes256gcm16-sha256-x25519", "has an integrity algorithm beside a combined mode"},
    {ESP, "aes256gcm16-sha256", "has an integrity algorithm beside a combined mode"},
    {ESP, "chacha20poly1305-sha256", "has an integrity algorithm beside a combined mode"},
    {IKE, "aes256gcm16-aes256-sha256-x25519", "mixes combined modes"},
    {ESP, "aes256-chacha20poly1305-sha256", "mixes combined modes"},
};

START_TEST(faults_name_the_wrong_word)
{
    struct proposal_list l = {.count = 77};
    struct fault f = {0};
    ck_err(proposal_list_from_text(faults[_i].text, faults[_i].protocol, &l, &f), ERR_MALFORMED);
    ck_assert_int_eq(f.code, ERR_MALFORMED);
    ck_assert_msg(strstr(f.text, faults[_i].seen) != NULL, "%s: \"%s\", expected \"%s\"",
                  faults[_i].text, f.text, faults[_i].seen);
    ck_assert_uint_eq(l.count, 77);
    ck_err(proposal_list_from_text(faults[_i].text, faults[_i].protocol, &l, NULL), ERR_MALFORMED);
}
END_TEST

START_TEST(one_proposal_is_no_list)
{
    struct proposal p = {.number = 77};
    struct fault f;
    ck_err(proposal_from_text("aes256-sha256-modp2048,aes128-sha256-modp2048", IKE, &p, &f),
           ERR_MALFORMED);
    ck_assert_ptr_nonnull(strstr(f.text, "\"modp2048,aes128\""));
    ck_assert_ptr_nonnull(strstr(f.hint, "joined by '-'"));
    ck_assert_uint_eq(p.number, 77);
}
END_TEST

START_TEST(length_limits)
{
    char text[PROPOSAL_TEXT_MAX + 64];
    struct proposal p;
    struct fault f;
    for (int over = 0; over < 2; over++) {
        size_t len = (size_t)snprintf(text, sizeof text, "aes256gcm12%s", over ? "8" : "");
        for (int i = 0; i < 61; i++)
            len += (size_t)snprintf(text + len, sizeof text - len, "-esn");
        ck_assert_uint_eq(len, over ? PROPOSAL_TEXT_MAX : PROPOSAL_TEXT_MAX - 1);
        ck_err(proposal_from_text(text, ESP, &p, &f), over ? ERR_MALFORMED : ERR_OK);
        ck_assert_uint_eq(p.count, 2);
    }
    ck_assert_str_eq(f.text, "a proposal is too long");
    /* blanks do not count */
    text[PROPOSAL_TEXT_MAX - 4] = '\0';
    strcat(text, "          ");
    ck_ok(proposal_from_text(text, ESP, &p, &f));
}
END_TEST

START_TEST(count_limits)
{
    char text[32 * (PROPOSALS_MAX + 1)] = "aes256gcm16";
    struct proposal_list l;
    struct fault f;
    char out[PROPOSAL_LIST_TEXT_MAX];
    for (size_t count = 1; count <= PROPOSALS_MAX; count++) {
        ck_ok(proposal_list_from_text(text, ESP, &l, &f));
        ck_assert_uint_eq(l.count, count);
        ck_assert_uint_eq(l.items[count - 1].number, count);
        ck_assert_str_eq(proposal_list_format(&l, out), text);
        strcat(text, ",aes256gcm16");
    }
    ck_err(proposal_list_from_text(text, ESP, &l, &f), ERR_LIMIT);
    ck_assert_ptr_nonnull(strstr(f.text, "16 proposals"));
}
END_TEST

/* --- what a peer may send, as text --- */

START_TEST(foreign_transforms)
{
    char text[PROPOSAL_TEXT_MAX];
    const struct proposal p = {.protocol = IKE,
                               .transforms = {{TRANSFORM_ENCR, 99, 128},
                                              {TRANSFORM_ENCR, TRANSFORM_ID_UNUSABLE, 0},
                                              {TRANSFORM_INTEG, 0, 0},
                                              {TRANSFORM_PRF, 5, 0},
                                              {TRANSFORM_KE, 1037, 0},
                                              {TRANSFORM_ESN, 0, 0},
                                              {77, 1, 0}},
                               .count = 7};
    ck_assert_str_eq(proposal_format(&p, text),
                     "encr-99/128-encr-65535-integ-0-prfsha256-ke-1037-transform-1");
}
END_TEST

START_TEST(long_text_is_cut_at_a_word)
{
    struct proposal_list l = {.count = PROPOSALS_MAX};
    char text[PROPOSAL_TEXT_MAX], list_text[PROPOSAL_LIST_TEXT_MAX];
    for (size_t i = 0; i < PROPOSALS_MAX; i++) {
        l.items[i] = (struct proposal){.protocol = ESP, .count = TRANSFORMS_MAX};
        for (size_t j = 0; j < TRANSFORMS_MAX; j++)
            l.items[i].transforms[j] = (struct transform){255, 65535, 65535};
    }
    static const char word[] = "transform-65535/65535";
    proposal_format(&l.items[0], text);
    ck_assert_uint_gt(strlen(text), sizeof text - 2 - sizeof word);
    ck_assert_str_eq(text + strlen(text) - strlen(word), word);
    proposal_list_format(&l, list_text);
    ck_assert_uint_gt(strlen(list_text), sizeof list_text - 2 - sizeof word);
    ck_assert_str_eq(list_text + strlen(list_text) - strlen(word), word);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ike/proposal_text");
    TCase *t = tcase_create("text");
    tcase_add_loop_test(t, there_and_back, 0, (int)(sizeof texts / sizeof texts[0]));
    tcase_add_test(t, what_goes_without_saying);
    tcase_add_loop_test(t, every_name, 0, (int)(sizeof names / sizeof names[0]));
    tcase_add_test(t, lists);
    tcase_add_test(t, defaults);
    tcase_add_test(t, every_default_is_implemented);
    tcase_add_test(t, null_is_found);
    suite_add_tcase(s, t);
    t = tcase_create("faults");
    tcase_add_loop_test(t, faults_name_the_wrong_word, 0, (int)(sizeof faults / sizeof faults[0]));
    tcase_add_test(t, one_proposal_is_no_list);
    tcase_add_test(t, length_limits);
    tcase_add_test(t, count_limits);
    suite_add_tcase(s, t);
    t = tcase_create("foreign");
    tcase_add_test(t, foreign_transforms);
    tcase_add_test(t, long_text_is_cut_at_a_word);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
