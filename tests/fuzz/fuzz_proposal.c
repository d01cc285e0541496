/* Proposals: as the peer sends them (an even first octet) and as a person writes them. What a
 * responder chooses, the initiator that offered it accepts. */
#include <stdlib.h>
#include <string.h>

#include "common/ike/proposal.h"
#include "tests/fuzz/fuzz.h"

enum { BUFFER_MAX = 64 * 1024 };

static struct span write_list(const struct proposal_list *l, uint8_t *buffer)
{
    struct wire_writer w;
    wire_writer_init(&w, buffer, BUFFER_MAX);
    proposal_list_write(&w, l);
    CHECK(wire_write_finish(&w) == ERR_OK);
    return wire_written(&w);
}

static void round_trip(const struct proposal_list *l)
{
    static uint8_t first[BUFFER_MAX], second[BUFFER_MAX];
    static struct proposal_list again;
    struct span once = write_list(l, first);
    CHECK(proposal_list_parse(once, &again) == ERR_OK);
    CHECK(again.count == l->count);
    CHECK(span_equal(once, write_list(&again, second)));
}

static bool distinct_numbers(const struct proposal_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        for (size_t j = 0; j < i; j++)
            if (l->items[i].number == l->items[j].number)
                return false;
    return true;
}

static void choose(const struct proposal_list *offered, uint8_t protocol, bool ours_first,
                   bool without_ke)
{
    static struct proposal_list ours, answer;
    struct proposal chosen;
    struct suite suite;
    char text[PROPOSAL_TEXT_MAX];
    proposal_list_default(protocol, &ours);
    if (proposal_select(offered, &ours, ours_first, without_ke, &chosen) == ERR_OK) {
        CHECK(chosen.protocol == protocol);
        CHECK(proposal_suite(&chosen, &suite) == ERR_OK);
        CHECK(strlen(suite_format(&suite, protocol, text)) < sizeof(text));
        answer.count = 1;
        answer.items[0] = chosen;
        struct proposal accepted;
        if (distinct_numbers(offered))
            CHECK(proposal_check_answer(offered, &answer, without_ke, &accepted) == ERR_OK);
    }
    if (proposal_check_answer(&ours, offered, without_ke, &chosen) == ERR_OK) {
        CHECK(offered->count == 1);
        CHECK(proposal_suite(&chosen, &suite) == ERR_OK);
    }
}

static void wire(struct span body, unsigned variant)
{
    static struct proposal_list l;
    char text[PROPOSAL_LIST_TEXT_MAX];
    if (proposal_list_parse(body, &l) != ERR_OK)
        return;
    CHECK(l.count <= PROPOSALS_MAX);
    for (size_t i = 0; i < l.count; i++)
        CHECK(l.items[i].count <= TRANSFORMS_MAX);
    CHECK(strlen(proposal_list_format(&l, text)) < sizeof(text));
    round_trip(&l);
    (void)proposal_list_first_ke(&l);
    (void)proposal_list_has_ke(&l, KE_X25519);
    choose(&l, PROTOCOL_IKE, (variant & 2) != 0, false);
    choose(&l, PROTOCOL_ESP, (variant & 2) != 0, (variant & 4) != 0);
}

static void text(struct span bytes, unsigned variant)
{
    static struct proposal_list l, again;
    struct fault f = {0};
    uint8_t protocol = (variant & 2) != 0 ? PROTOCOL_ESP : PROTOCOL_IKE;
    char *words = calloc(1, bytes.len + 1);
    CHECK(words != NULL);
    if (bytes.len > 0)
        memcpy(words, bytes.data, bytes.len);
    enum err e = proposal_list_from_text(words, protocol, &l, &f);
    free(words);
    if (e != ERR_OK) {
        CHECK(f.code == e && f.text[0] != '\0');
        return;
    }
    CHECK(l.count > 0 && l.count <= PROPOSALS_MAX);
    for (size_t i = 0; i < l.count; i++)
        l.items[i].spi_len = protocol == PROTOCOL_ESP ? 4 : 0; /* which is not written in words */
    round_trip(&l);
    for (size_t i = 0; i < l.count; i++) {
        char back[PROPOSAL_TEXT_MAX], once_more[PROPOSAL_TEXT_MAX];
        proposal_format(&l.items[i], back);
        if (strlen(back) + 16 >= sizeof(back))
            continue; /* cut */
        CHECK(proposal_list_from_text(back, protocol, &again, &f) == ERR_OK);
        CHECK(again.count == 1 && again.items[0].count == l.items[i].count);
        CHECK(strcmp(proposal_format(&again.items[0], once_more), back) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if ((data[0] & 1) == 0)
        wire(span_make(data + 1, size - 1), data[0]);
    else
        text(span_make(data + 1, size - 1), data[0]);
    return 0;
}
