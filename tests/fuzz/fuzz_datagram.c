/* What a gateway does with a datagram of which it knows nothing: classify, cookies, strays. */
#include <string.h>

#include "common/ike/cookie.h"
#include "common/ike/session.h"
#include "common/ike/stray.h"
#include "tests/fuzz/fuzz.h"

static void cookies(struct span message, const struct ike_header *h)
{
    static struct cookie_jar jar;
    static bool made;
    uint64_t seed = 1;
    struct random_source random = fuzz_random(&seed);
    if (!made) {
        cookie_jar_init(&jar, &random);
        made = true;
    }
    const struct endpoint from = {ip_v4(192, 0, 2, 1), 500};
    uint8_t out[256];
    struct span challenge;
    CHECK(!cookie_jar_check(&jar, &from, message)); /* it cannot know the jar's secret */
    enum err e = cookie_jar_challenge(&jar, &from, message, out, sizeof(out), &challenge);
    if (e != ERR_OK)
        return;
    struct ike_header answer;
    struct payload_list l;
    struct notify_payload n;
    uint8_t bad;
    CHECK(ike_header_parse(challenge, &answer) == ERR_OK);
    CHECK(answer.spi_i == h->spi_i && answer.exchange == EXCHANGE_IKE_SA_INIT);
    struct span body = span_make(challenge.data + IKE_HEADER_LEN, challenge.len - IKE_HEADER_LEN);
    CHECK(payload_list_parse(answer.next_payload, body, &l, &bad) == ERR_OK);
    CHECK(notify_find(&l, NOTIFY_COOKIE, &n) && n.data.len == COOKIE_LEN);
}

static void strays(struct span message, const struct ike_header *h)
{
    uint8_t out[STRAY_MAX];
    struct span answer, data;
    struct ike_header again;
    if (stray_answer(h, out, &answer)) {
        CHECK(answer.len <= STRAY_MAX && ike_header_parse(answer, &again) == ERR_OK);
        CHECK(!stray_answer(&again, out, &answer)); /* or two of us talk for ever */
    }
    for (uint16_t type = 0; type < 64; type++)
        if (stray_notice(message, h, type, &data))
            CHECK(data.len < message.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct span payload = span_make(data + 1, size - 1), message;
    bool marker = (data[0] & 1) != 0;
    if (datagram_classify(marker, payload, &message) != DATAGRAM_IKE)
        return 0;
    CHECK(message.len == payload.len - (marker ? NON_ESP_MARKER_LEN : 0));
    struct ike_header h;
    if (ike_header_parse(message, &h) != ERR_OK)
        return 0;
    cookies(message, &h);
    strays(message, &h);
    return 0;
}
