/* The choice among proposals (RFC 7296 2.7, 3.3.3, 3.3.6; RFC 5282 8): what a responder selects,
 * what an initiator takes for an answer, what a chosen proposal means.
 *
 * Proposals are written as transforms TYPE.ID or TYPE.ID/BITS, a ';' between proposals, which are
 * numbered from 1. Types: 1 ENCR, 2 PRF, 3 INTEG, 4 KE, 5 ESN. ENCR: 12 AES-CBC, 20 AES-GCM-16,
 * 28 ChaCha20-Poly1305. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "common/ike/proposal.h"
#include "tests/support/support.h"

static const char *read_number(const char *text, unsigned long *ret)
{
    char *end;
    *ret = strtoul(text, &end, 10);
    ck_assert_msg(end != text, "not a number: %s", text);
    return end;
}

static struct proposal_list list(uint8_t protocol, const char *text)
{
    struct proposal_list l = {.count = 0};
    const uint8_t spi_len = protocol == PROTOCOL_IKE ? 0 : 4;
    if (*text == '\0')
        return l;
    for (const char *at = text;; at++) {
        struct proposal *p = &l.items[l.count++];
        *p = (struct proposal){.number = (uint8_t)l.count, .protocol = protocol};
        p->spi_len = spi_len;
        memset(p->spi, (int)(0x10 + l.count), spi_len);
        while (*at != '\0' && *at != ';') {
            unsigned long type, id, bits = 0;
            at = read_number(at, &type);
            ck_assert_int_eq(*at, '.');
            at = read_number(at + 1, &id);
            if (*at == '/')
                at = read_number(at + 1, &bits);
            p->transforms[p->count++] =
                (struct transform){(uint8_t)type, (uint16_t)id, (uint16_t)bits};
            while (*at == ' ')
                at++;
        }
        if (*at == '\0')
            return l;
    }
}

/* "NUMBER: TRANSFORMS" */
static const char *show(const struct proposal *p, char out[256])
{
    struct text_builder t;
    text_begin(&t, out, 256);
    text_add(&t, "%u:", p->number);
    for (size_t i = 0; i < p->count; i++) {
        text_add(&t, " %u.%u", p->transforms[i].type, p->transforms[i].id);
        if (p->transforms[i].key_bits != 0)
            text_add(&t, "/%u", p->transforms[i].key_bits);
    }
    return out;
}

enum { IKE = PROTOCOL_IKE, ESP = PROTOCOL_ESP };

/* --- the responder --- */

static const struct {
    const char *what;
    uint8_t protocol;
    bool without_ke;
    const char *offered, *ours;
    const char *by_offer, *by_ours; /* NULL: no match */
} selections[] = {
    {"the very same", IKE, false, "1.20/256 2.5 4.31", "1.20/256 2.5 4.31", "1: 1.20/256 2.5 4.31",
     "1: 1.20/256 2.5 4.31"},
    {"one of each, by whose order counts", IKE, false, "1.20/128 1.20/256 2.5 2.6 4.19 4.31",
     "1.20/256 1.20/128 2.6 2.5 4.31 4.19", "1: 1.20/128 2.5 4.19", "1: 1.20/256 2.6 4.31"},
    {"the first proposal, by whose order counts", IKE, false, "1.20/256 2.5 4.31;1.28 2.5 4.31",
     "1.28 2.5 4.31;1.20/256 2.5 4.31", "1: 1.20/256 2.5 4.31", "2: 1.28 2.5 4.31"},
    {"a proposal is taken as a whole", IKE, false, "1.20/256 2.5 4.14;1.20/128 2.6 4.31",
     "1.20/256 2.5 4.31", NULL, NULL},
    {"a later one that fits", IKE, false, "1.20/256 2.7 4.14;1.20/256 2.5 4.14;1.28 2.5 4.31",
     "1.20/256 2.5 4.31 4.14", "2: 1.20/256 2.5 4.14", "2: 1.20/256 2.5 4.14"},
    {"nothing offered", IKE, false, "", "1.20/256 2.5 4.31", NULL, NULL},
    {"nothing of ours", IKE, false, "1.20/256 2.5 4.31", "", NULL, NULL},

    {"another key length", IKE, false, "1.20/128 2.5 4.31", "1.20/256 2.5 4.31", NULL, NULL},
    {"no key length", IKE, false, "1.20 2.5 4.31", "1.20/256 2.5 4.31", NULL, NULL},
    {"a key length where there is none", IKE, false, "1.28/256 2.5 4.31", "1.28 2.5 4.31", NULL,
     NULL},
    {"a key length for a PRF", IKE, false, "1.28 2.5/256 4.31", "1.28 2.5 4.31", NULL, NULL},
    {"attributes not understood", IKE, false, "1.65535 1.20/128 2.5 4.31", "1.20/128 2.5 4.31",
     "1: 1.20/128 2.5 4.31", "1: 1.20/128 2.5 4.31"},
    {"nothing but attributes not understood", IKE, false, "1.65535 2.5 4.31", "1.20/128 2.5 4.31",
     NULL, NULL},
    {"transforms not understood are passed over", IKE, false, "1.99 1.20/256 2.99 2.5 4.1037 4.31",
     "1.20/256 2.5 4.31", "1: 1.20/256 2.5 4.31", "1: 1.20/256 2.5 4.31"},
    {"a type not understood spoils its proposal", IKE, false,
     "1.20/256 2.5 4.31 6.36;1.20/256 2.5 4.31", "1.20/256 2.5 4.31", "2: 1.20/256 2.5 4.31",
     "2: 1.20/256 2.5 4.31"},
    {"even where none of it is offered", IKE, false, "1.20/256 2.5 4.31 6.0", "1.20/256 2.5 4.31",
     NULL, NULL},
    {"type 0", IKE, false, "0.0 1.20/256 2.5 4.31", "1.20/256 2.5 4.31", NULL, NULL},
    {"type 255", IKE, false, "1.20/256 2.5 4.31 255.1", "1.20/256 2.5 4.31", NULL, NULL},

    {"no encryption", IKE, false, "2.5 4.31", "1.20/256 2.5 4.31", NULL, NULL},
    {"no PRF", IKE, false, "1.20/256 4.31", "1.20/256 2.5 4.31", NULL, NULL},
    {"no key exchange", IKE, false, "1.20/256 2.5", "1.20/256 2.5 4.31", NULL, NULL},
    {"key exchange NONE", IKE, false, "1.20/256 2.5 4.0", "1.20/256 2.5 4.31", NULL, NULL},
    {"no transforms", IKE, false, ";1.20/256 2.5 4.31", "1.20/256 2.5 4.31", "2: 1.20/256 2.5 4.31",
     "2: 1.20/256 2.5 4.31"},
    {"no integrity", IKE, false, "1.12/256 2.5 4.31", "1.12/256 2.5 3.12 4.31", NULL, NULL},
    {"integrity NONE for a cipher without", IKE, false, "1.12/256 2.5 3.0 4.31",
     "1.12/256 2.5 3.12 4.31", NULL, NULL},
    {"integrity beside a combined mode", IKE, false, "1.20/256 2.5 3.12 4.31", "1.20/256 2.5 4.31",
     NULL, NULL},
    {"integrity NONE said aloud", IKE, false, "1.20/256 2.5 3.0 4.31", "1.20/256 2.5 4.31",
     "1: 1.20/256 2.5 3.0 4.31", "1: 1.20/256 2.5 3.0 4.31"},
    {"by us", IKE, false, "1.20/256 2.5 4.31", "1.20/256 2.5 3.0 4.31", "1: 1.20/256 2.5 4.31",
     "1: 1.20/256 2.5 4.31"},
    {"integrity NONE with a key length is not NONE", IKE, false, "1.20/256 2.5 3.0/128 4.31",
     "1.20/256 2.5 4.31", NULL, NULL},
    {"both kinds of cipher in one proposal", IKE, false, "1.20/256 1.12/256 2.5 3.12 3.0 4.31",
     "1.20/256 2.5 4.31", "1: 1.20/256 2.5 3.0 4.31", "1: 1.20/256 2.5 3.0 4.31"},
    {"and the other of it", IKE, false, "1.20/256 1.12/256 2.5 3.0 3.12 4.31",
     "1.12/256 2.5 3.12 4.31", "1: 1.12/256 2.5 3.12 4.31", "1: 1.12/256 2.5 3.12 4.31"},
    {"ESN in IKE", IKE, false, "1.20/256 2.5 4.31 5.1", "1.20/256 2.5 4.31", NULL, NULL},

    {"ESP", ESP, false, "1.12/128 3.12 5.0", "1.12/128 3.12 5.0", "1: 1.12/128 3.12 5.0",
     "1: 1.12/128 3.12 5.0"},
    {"ESN demanded", ESP, false, "1.20/256 5.1", "1.20/256 5.0", NULL, NULL},
    {"ESN demanded by us", ESP, false, "1.20/256 5.0", "1.20/256 5.1", NULL, NULL},
    {"ESN either way", ESP, false, "1.20/256 5.0 5.1", "1.20/256 5.1 5.0", "1: 1.20/256 5.0",
     "1: 1.20/256 5.1"},
    {"ESN not said", ESP, false, "1.20/256", "1.20/256 5.1 5.0", "1: 1.20/256", "1: 1.20/256"},
    {"ESN not said but demanded", ESP, false, "1.20/256", "1.20/256 5.1", NULL, NULL},
    {"PRF in ESP", ESP, false, "1.20/256 2.5 5.0", "1.20/256 5.0", NULL, NULL},
    {"a new key exchange", ESP, false, "1.20/256 4.14 4.31 5.0", "1.20/256 4.31 5.0",
     "1: 1.20/256 4.31 5.0", "1: 1.20/256 4.31 5.0"},
    {"demanded by them", ESP, false, "1.20/256 4.31 5.0", "1.20/256 5.0", NULL, NULL},
    {"wished for by them", ESP, false, "1.20/256 4.31 4.0 5.0", "1.20/256 5.0",
     "1: 1.20/256 4.0 5.0", "1: 1.20/256 4.0 5.0"},
    {"demanded by us", ESP, false, "1.20/256 5.0", "1.20/256 4.31 5.0", NULL, NULL},
    {"by us, against NONE", ESP, false, "1.20/256 4.0 5.0", "1.20/256 4.31 5.0", NULL, NULL},
    {"in IKE_AUTH: ours alone", ESP, true, "1.20/256 5.0", "1.20/256 4.31 5.0", "1: 1.20/256 5.0",
     "1: 1.20/256 5.0"},
    {"in IKE_AUTH: NONE", ESP, true, "1.20/256 4.0 5.0", "1.20/256 4.31 5.0", "1: 1.20/256 5.0",
     "1: 1.20/256 5.0"},
    {"in IKE_AUTH: theirs alone", ESP, true, "1.20/256 4.14 5.0", "1.20/256 5.0", "1: 1.20/256 5.0",
     "1: 1.20/256 5.0"},
};

START_TEST(selection)
{
    const char *what = selections[_i].what;
    const struct proposal_list offered = list(selections[_i].protocol, selections[_i].offered);
    const struct proposal_list ours = list(selections[_i].protocol, selections[_i].ours);
    for (int first = 0; first < 2; first++) {
        const char *expected = first ? selections[_i].by_ours : selections[_i].by_offer;
        struct proposal got = {.number = 99};
        char text[256];
        enum err e = proposal_select(&offered, &ours, first, selections[_i].without_ke, &got);
        ck_assert_msg(e == (expected == NULL ? ERR_NOT_FOUND : ERR_OK), "%s: %s", what,
                      err_text(e));
        if (expected == NULL) {
            ck_assert_uint_eq(got.number, 99);
            continue;
        }
        ck_assert_msg(strcmp(show(&got, text), expected) == 0, "%s: \"%s\", expected \"%s\"", what,
                      text, expected);
        /* RFC 7296 2.7, 3.3.1: protocol and number are the offer's, and so is the SPI here. */
        const struct proposal *offer = &offered.items[got.number - 1];
        ck_assert_uint_eq(got.protocol, offer->protocol);
        ck_assert_uint_eq(got.spi_len, offer->spi_len);
        ck_assert_mem_eq(got.spi, offer->spi, sizeof got.spi);
        /* What one side selects, the other takes. */
        const struct proposal_list answer = {.items = {got}, .count = 1};
        if (selections[_i].without_ke || proposal_count(&got, TRANSFORM_ESN) > 0 ||
            selections[_i].protocol == IKE)
            ck_ok(proposal_check_answer(&offered, &answer, selections[_i].without_ke, &got));
    }
}
END_TEST

START_TEST(selection_by_protocol)
{
    static const uint8_t protocols[] = {PROTOCOL_NONE, PROTOCOL_IKE, PROTOCOL_AH, PROTOCOL_ESP, 99};
    for (size_t i = 0; i < sizeof protocols; i++) {
        for (size_t j = 0; j < sizeof protocols; j++) {
            const struct proposal_list offered = list(protocols[i], "1.20/256 5.0");
            const struct proposal_list ours = list(protocols[j], "1.20/256 5.0");
            struct proposal got;
            ck_err(proposal_select(&offered, &ours, true, false, &got),
                   i == j ? ERR_OK : ERR_NOT_FOUND);
        }
    }
}
END_TEST

/* --- the initiator --- */

static const struct {
    const char *what;
    uint8_t protocol;
    bool without_ke;
    const char *offered, *answer;
    const char *expected; /* NULL: refused */
} answers[] = {
    {"the very same", IKE, false, "1.20/256 2.5 4.31", "1.20/256 2.5 4.31", "1: 1.20/256 2.5 4.31"},
    {"one of several", IKE, false, "1.20/256 1.20/128 2.5 2.6 4.31 4.19", "1.20/128 2.6 4.19",
     "1: 1.20/128 2.6 4.19"},
    {"in another order", IKE, false, "1.20/256 2.5 4.31", "4.31 1.20/256 2.5",
     "1: 4.31 1.20/256 2.5"},
    {"no transforms", IKE, false, "1.20/256 2.5 4.31", ";", NULL},

    {"not offered: encryption", IKE, false, "1.20/256 2.5 4.31", "1.12/256 2.5 4.31", NULL},
    {"not offered: PRF", IKE, false, "1.20/256 2.5 4.31", "1.20/256 2.2 4.31", NULL},
    {"not offered: key exchange", IKE, false, "1.20/256 2.5 4.31", "1.20/256 2.5 4.2", NULL},
    {"not offered: integrity", IKE, false, "1.12/256 2.5 3.12 4.31", "1.12/256 2.5 3.2 4.31", NULL},
    {"offered in another proposal", IKE, false, "1.20/256 2.5 4.31;1.20/128 2.6 4.14",
     "1.20/256 2.5 4.14", NULL},
    {"an ID of another type", IKE, false, "1.20/256 2.5 4.31", "1.20/256 2.31 4.5", NULL},

    {"two of encryption", IKE, false, "1.20/256 1.20/128 2.5 4.31", "1.20/256 1.20/128 2.5 4.31",
     NULL},
    {"two of PRF", IKE, false, "1.20/256 2.5 2.6 4.31", "1.20/256 2.5 2.6 4.31", NULL},
    {"two of key exchange", IKE, false, "1.20/256 2.5 4.31 4.19", "1.20/256 2.5 4.31 4.19", NULL},
    {"the same one twice", IKE, false, "1.20/256 2.5 4.31", "1.20/256 2.5 4.31 4.31", NULL},
    {"one offered and one not", IKE, false, "1.20/256 2.5 4.31", "1.20/256 2.5 4.31 4.2", NULL},

    {"missing: encryption", IKE, false, "1.20/256 2.5 4.31", "2.5 4.31", NULL},
    {"missing: PRF", IKE, false, "1.20/256 2.5 4.31", "1.20/256 4.31", NULL},
    {"missing: key exchange", IKE, false, "1.20/256 2.5 4.31", "1.20/256 2.5", NULL},
    {"NONE for key exchange", IKE, false, "1.20/256 2.5 4.31", "1.20/256 2.5 4.0", NULL},

    {"another key length", IKE, false, "1.20/256 2.5 4.31", "1.20/128 2.5 4.31", NULL},
    {"without the key length", IKE, false, "1.20/256 2.5 4.31", "1.20 2.5 4.31", NULL},
    {"a key length where there is none", IKE, false, "1.28 2.5 4.31", "1.28/256 2.5 4.31", NULL},
    {"a key length for a PRF", IKE, false, "1.28 2.5 4.31", "1.28 2.5/256 4.31", NULL},
    {"another attribute", IKE, false, "1.20/256 2.5 4.31", "1.65535 2.5 4.31", NULL},

    {"integrity NONE said aloud", IKE, false, "1.20/256 2.5 4.31", "1.20/256 2.5 3.0 4.31",
     "1: 1.20/256 2.5 4.31"},
    {"said twice", IKE, false, "1.20/256 2.5 4.31", "1.20/256 2.5 3.0 3.0 4.31", NULL},
    {"with a key length", IKE, false, "1.20/256 2.5 4.31", "1.20/256 2.5 3.0/128 4.31", NULL},
    {"integrity added", IKE, false, "1.20/256 2.5 4.31", "1.20/256 2.5 3.12 4.31", NULL},
    {"integrity NONE offered aloud", IKE, false, "1.20/256 2.5 3.0 4.31", "1.20/256 2.5 3.0 4.31",
     "1: 1.20/256 2.5 3.0 4.31"},
    {"and not answered", IKE, false, "1.20/256 2.5 3.0 4.31", "1.20/256 2.5 4.31",
     "1: 1.20/256 2.5 4.31"},
    {"integrity dropped", IKE, false, "1.12/256 2.5 3.12 4.31", "1.12/256 2.5 4.31", NULL},
    {"integrity made NONE", IKE, false, "1.12/256 2.5 3.12 4.31", "1.12/256 2.5 3.0 4.31", NULL},

    {"ESN in IKE", IKE, false, "1.20/256 2.5 4.31", "1.20/256 2.5 4.31 5.0", NULL},
    {"a type not understood", IKE, false, "1.20/256 2.5 4.31", "1.20/256 2.5 4.31 6.0", NULL},
    {"type 0", IKE, false, "1.20/256 2.5 4.31", "1.20/256 2.5 4.31 0.0", NULL},

    {"ESP", ESP, false, "1.12/128 3.12 5.0", "1.12/128 3.12 5.0", "1: 1.12/128 3.12 5.0"},
    {"ESN not offered", ESP, false, "1.20/256 5.0", "1.20/256 5.1", NULL},
    {"ESN chosen", ESP, false, "1.20/256 5.0 5.1", "1.20/256 5.1", "1: 1.20/256 5.1"},
    {"ESN both", ESP, false, "1.20/256 5.0 5.1", "1.20/256 5.0 5.1", NULL},
    {"ESN not answered", ESP, false, "1.20/256 5.0", "1.20/256", NULL},
    {"ESN demanded, not answered", ESP, false, "1.20/256 5.1", "1.20/256", NULL},
    {"ESN demanded, refused", ESP, false, "1.20/256 5.1", "1.20/256 5.0", NULL},
    {"PRF in ESP", ESP, false, "1.20/256 5.0", "1.20/256 2.5 5.0", NULL},
    {"a new key exchange", ESP, false, "1.20/256 4.31 5.0", "1.20/256 4.31 5.0",
     "1: 1.20/256 4.31 5.0"},
    {"dropped", ESP, false, "1.20/256 4.31 5.0", "1.20/256 5.0", NULL},
    {"made NONE", ESP, false, "1.20/256 4.31 5.0", "1.20/256 4.0 5.0", NULL},
    {"added", ESP, false, "1.20/256 5.0", "1.20/256 4.31 5.0", NULL},
    {"NONE added", ESP, false, "1.20/256 5.0", "1.20/256 4.0 5.0", "1: 1.20/256 5.0"},
    {"in IKE_AUTH: not sent", ESP, true, "1.20/256 4.31 5.0", "1.20/256 5.0", "1: 1.20/256 5.0"},
    {"in IKE_AUTH: NONE", ESP, true, "1.20/256 4.31 5.0", "1.20/256 4.0 5.0", "1: 1.20/256 5.0"},
    {"in IKE_AUTH: a method", ESP, true, "1.20/256 4.31 5.0", "1.20/256 4.31 5.0", NULL},
};

START_TEST(answer)
{
    const struct proposal_list offered = list(answers[_i].protocol, answers[_i].offered);
    struct proposal_list given = list(answers[_i].protocol, answers[_i].answer);
    given.count = 1; /* ";" is an empty one */
    struct proposal got = {.number = 99};
    char text[256];
    enum err e = proposal_check_answer(&offered, &given, answers[_i].without_ke, &got);
    ck_assert_msg(e == (answers[_i].expected == NULL ? ERR_REFUSED : ERR_OK), "%s: %s",
                  answers[_i].what, err_text(e));
    if (answers[_i].expected == NULL)
        ck_assert_uint_eq(got.number, 99);
    else
        ck_assert_str_eq(show(&got, text), answers[_i].expected);
}
END_TEST

START_TEST(answer_by_number)
{
    const struct proposal_list offered = list(ESP, "1.20/256 5.0;1.20/128 5.0;1.12/256 3.12 5.0");
    for (unsigned number = 0; number < 256; number++) {
        struct proposal_list given = list(ESP, "1.20/128 5.0");
        struct proposal got;
        given.items[0].number = (uint8_t)number;
        memset(given.items[0].spi, 0x77, 4);
        ck_err(proposal_check_answer(&offered, &given, true, &got),
               number == 2 ? ERR_OK : ERR_REFUSED);
        if (number == 2)
            ck_assert_mem_eq(got.spi, "\x77\x77\x77\x77\0\0\0\0", 8); /* the responder's own */
    }
}
END_TEST

START_TEST(answer_of_another_kind)
{
    const struct proposal_list offered = list(ESP, "1.20/256 5.0;1.20/128 5.0");
    struct proposal got;
    for (unsigned protocol = 0; protocol < 256; protocol++) {
        struct proposal_list given = list(ESP, "1.20/256 5.0");
        given.items[0].protocol = (uint8_t)protocol;
        ck_err(proposal_check_answer(&offered, &given, true, &got),
               protocol == ESP ? ERR_OK : ERR_REFUSED);
    }
    for (uint8_t len = 0; len <= 8; len++) {
        struct proposal_list given = list(ESP, "1.20/256 5.0");
        given.items[0].spi_len = len;
        ck_err(proposal_check_answer(&offered, &given, true, &got),
               len == 4 ? ERR_OK : ERR_REFUSED);
    }
    /* RFC 7296 2.7: a single proposal */
    struct proposal_list given = offered;
    ck_err(proposal_check_answer(&offered, &given, true, &got), ERR_REFUSED);
    given.count = 0;
    ck_err(proposal_check_answer(&offered, &given, true, &got), ERR_REFUSED);
    given.count = 1;
    ck_ok(proposal_check_answer(&offered, &given, true, &got));
    const struct proposal_list nothing = {.count = 0};
    ck_err(proposal_check_answer(&nothing, &given, true, &got), ERR_REFUSED);
}
END_TEST

/* --- what it means --- */

static const struct {
    uint8_t protocol;
    const char *transforms;
    const char *expected; /* as suite_format has it; NULL: unsupported */
} suites[] = {
    {IKE, "1.20/256 2.5 4.31", "aes256gcm16-prfsha256-x25519"},
    {IKE, "4.31 2.5 1.20/256", "aes256gcm16-prfsha256-x25519"},
    {IKE, "1.20/256 2.5 3.0 4.31", "aes256gcm16-prfsha256-x25519"},
    {IKE, "1.28 2.6 4.20", "chacha20poly1305-prfsha384-ecp384"},
    {IKE, "1.12/192 3.12 2.5 4.14", "aes192-sha256-modp2048"},
    {IKE, "1.12/128 3.2 2.7 4.2", "aes128-sha1-prfsha512-modp1024"},
    {ESP, "1.20/128 5.0", "aes128gcm16"},
    {ESP, "1.20/128", "aes128gcm16"},
    {ESP, "1.18/256 5.1", "aes256gcm8-esn"},
    {ESP, "1.19/256 3.0 4.0 5.1", "aes256gcm12-esn"},
    {ESP, "1.12/256 3.14 5.0", "aes256-sha512"},
    {ESP, "1.12/256 3.13 4.31 5.0", "aes256-sha384-x25519"},

    {IKE, "", NULL},
    {ESP, "", NULL},
    {IKE, "1.20/256 2.5", NULL},              /* no key exchange */
    {IKE, "1.20/256 2.5 4.0", NULL},          /* nor here */
    {IKE, "1.20/256 4.31", NULL},             /* no PRF */
    {IKE, "1.20/256 2.0 4.31", NULL},         /* nor here */
    {IKE, "2.5 4.31", NULL},                  /* no cipher */
    {IKE, "1.0 3.12 2.5 4.31", NULL},         /* nor here */
    {IKE, "1.12/256 2.5 4.31", NULL},         /* no integrity */
    {IKE, "1.12/256 2.5 3.0 4.31", NULL},     /* nor here */
    {IKE, "1.20/256 3.12 2.5 4.31", NULL},    /* one too many */
    {IKE, "1.20/256 3.0/128 2.5 4.31", NULL}, /* NONE with a key length */
    {IKE, "1.20/256 2.5 2.6 4.31", NULL},     /* two of a type */
    {IKE, "1.20/256 2.5 4.31 4.31", NULL},
    {IKE, "1.20 2.5 4.31", NULL}, /* no key length */
    {IKE, "1.20/64 2.5 4.31", NULL},
    {IKE, "1.28/256 2.5 4.31", NULL},
    {IKE, "1.20/256 2.99 4.31", NULL},
    {IKE, "1.20/256 2.5 4.99", NULL},
    {IKE, "1.65535 2.5 4.31", NULL},
    {IKE, "1.20/256 2.5 4.31 6.0", NULL}, /* types unknown */
    {IKE, "0.0 1.20/256 2.5 4.31", NULL},
    {IKE, "1.11 3.12 2.5 4.31", NULL}, /* enciphers nothing: for ESP alone */
    {ESP, "1.11 3.12 5.0", "null-sha256"},
    {ESP, "1.11 5.0", NULL},
    {ESP, "1.11/128 3.12 5.0", NULL},
    {ESP, "1.20/256 2.5 5.0", NULL}, /* a PRF in ESP */
    {ESP, "1.20/256 5.2", NULL},     /* neither ESN nor not */
    {PROTOCOL_AH, "3.12 5.0", NULL},
};

START_TEST(suite_of_a_proposal)
{
    const struct proposal_list l = list(suites[_i].protocol, suites[_i].transforms);
    const struct proposal none = {.protocol = suites[_i].protocol};
    struct suite s;
    char text[PROPOSAL_TEXT_MAX];
    enum err e = proposal_suite(l.count > 0 ? &l.items[0] : &none, &s);
    ck_assert_msg(e == (suites[_i].expected == NULL ? ERR_UNSUPPORTED : ERR_OK), "%s: %s",
                  suites[_i].transforms, err_text(e));
    if (suites[_i].expected != NULL)
        ck_assert_str_eq(suite_format(&s, suites[_i].protocol, text), suites[_i].expected);
}
END_TEST

START_TEST(looking_into_lists)
{
    const struct proposal_list l = list(IKE, "1.20/256 2.5 2.6 4.19 4.31;1.28 2.5 4.14 4.15/9");
    ck_assert_uint_eq(proposal_count(&l.items[0], TRANSFORM_PRF), 2);
    ck_assert_uint_eq(proposal_count(&l.items[0], TRANSFORM_INTEG), 0);
    ck_assert(proposal_has(&l.items[0], &(struct transform){TRANSFORM_ENCR, 20, 256}));
    ck_assert(!proposal_has(&l.items[0], &(struct transform){TRANSFORM_ENCR, 20, 0}));
    ck_assert(!proposal_has(&l.items[0], &(struct transform){TRANSFORM_PRF, 20, 256}));
    ck_assert(proposal_list_has_ke(&l, KE_X25519));
    ck_assert(proposal_list_has_ke(&l, KE_MODP_2048));
    ck_assert(!proposal_list_has_ke(&l, KE_MODP_3072)); /* with a key length it is another */
    ck_assert(!proposal_list_has_ke(&l, KE_NONE));
    ck_assert(!proposal_list_has_ke(&l, PRF_HMAC_SHA2_256));
    ck_assert_int_eq(proposal_list_first_ke(&l), KE_ECP_256);
    const struct proposal_list without = list(ESP, "1.20/256 5.0;1.20/256 4.31");
    ck_assert_int_eq(proposal_list_first_ke(&without), KE_NONE);
    const struct proposal_list nothing = {.count = 0};
    ck_assert_int_eq(proposal_list_first_ke(&nothing), KE_NONE);
    ck_assert(!proposal_list_has_ke(&nothing, KE_NONE));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ike/proposal_choice");
    TCase *t = tcase_create("responder");
    tcase_add_loop_test(t, selection, 0, (int)(sizeof selections / sizeof selections[0]));
    tcase_add_test(t, selection_by_protocol);
    suite_add_tcase(s, t);
    t = tcase_create("initiator");
    tcase_add_loop_test(t, answer, 0, (int)(sizeof answers / sizeof answers[0]));
    tcase_add_test(t, answer_by_number);
    tcase_add_test(t, answer_of_another_kind);
    suite_add_tcase(s, t);
    t = tcase_create("meaning");
    tcase_add_loop_test(t, suite_of_a_proposal, 0, (int)(sizeof suites / sizeof suites[0]));
    tcase_add_test(t, looking_into_lists);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
