/* The IKE header and the chain of payloads: parse, write, parse again. */
#include <stdlib.h>

#include "common/ike/message.h"
#include "tests/fuzz/fuzz.h"

enum { BUFFER_MAX = 128 * 1024 };

static uint8_t buffer[BUFFER_MAX];

/* The writer fills in what a payload calls its successor; SK names what is inside it. */
static bool same(const struct payload *a, const struct payload *b)
{
    return a->type == b->type && span_equal(a->body, b->body);
}

static void write_again(const struct ike_header *h, const struct payload_list *l)
{
    struct message_writer m;
    struct span message;
    message_begin(&m, buffer, sizeof(buffer), h);
    for (size_t i = 0; i < l->count; i++)
        payload_write(&m, l->items[i].type, l->items[i].body);
    CHECK(message_finish(&m, &message) == ERR_OK);
    uint8_t *copy = fuzz_copy(message);
    struct ike_header again;
    struct payload_list list;
    uint8_t bad;
    CHECK(ike_header_parse(span_make(copy, message.len), &again) == ERR_OK);
    CHECK(again.spi_i == h->spi_i && again.spi_r == h->spi_r && again.exchange == h->exchange &&
          again.flags == h->flags && again.message_id == h->message_id && again.major == h->major &&
          again.minor == h->minor && again.length == message.len);
    struct span body = span_make(copy + IKE_HEADER_LEN, message.len - IKE_HEADER_LEN);
    CHECK(payload_list_parse(again.next_payload, body, &list, &bad) == ERR_OK);
    CHECK(list.count == l->count);
    for (size_t i = 0; i < l->count; i++)
        CHECK(same(&list.items[i], &l->items[i]));
    free(copy);
}

static void look(const struct payload_list *l)
{
    CHECK(l->count <= PAYLOADS_MAX);
    for (unsigned type = 0; type <= UINT8_MAX; type++) {
        size_t n = 0;
        const struct payload *first = payload_find(l, (uint8_t)type), *p = NULL;
        while ((p = payload_next(l, (uint8_t)type, p)) != NULL) {
            CHECK(n > 0 || p == first);
            n++;
        }
        CHECK(n == payload_count(l, (uint8_t)type) && (n == 0) == (first == NULL));
    }
}

static void chain(const struct ike_header *h, struct span body)
{
    struct payload_list l;
    uint8_t bad = 0;
    enum err e = payload_list_parse(h->next_payload, body, &l, &bad);
    if (e != ERR_OK)
        return;
    look(&l);
    write_again(h, &l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ike_header h;
    if (ike_header_parse(span_make(data, size), &h) == ERR_OK)
        chain(&h, span_make(data + IKE_HEADER_LEN, size - IKE_HEADER_LEN));
    /* So that a chain is reached without a length that fits. */
    if (size > IKE_HEADER_LEN) {
        h = (struct ike_header){.major = 2, .next_payload = data[16]};
        chain(&h, span_make(data + IKE_HEADER_LEN, size - IKE_HEADER_LEN));
    }
    return 0;
}
