/* An EAP server that says anything: packets one after the other, each behind its length; an empty
 * one stands for the proof that a server of MSCHAPv2 with the password would give. The first octet
 * says which methods the user accepts. */
#include <stdlib.h>
#include <string.h>

#include "common/eap/mschapv2.h"
#include "tests/fuzz/eap_user.h"

struct server {
    struct mschapv2 m;
    bool answered; /* there is a response of MSCHAPv2 */
    bool earned;   /* Success may come: of MSCHAPv2 after the true proof alone */
};

/* EAP-MSCHAPv2's success with the proof for the response that came; 0 where none did. */
static size_t true_proof(struct server *s, uint8_t out[64])
{
    static const char digits[] = "0123456789ABCDEF";
    static const uint8_t head[] = {EAP_REQUEST, 9, 0, 51, EAP_MSCHAPV2, 3, 9, 0, 46, 'S', '='};
    uint8_t proof[MSCHAPV2_PROOF_LEN];
    if (!s->answered)
        return 0;
    mschapv2_prove(&s->m, span_text(EAP_USER_NAME), proof);
    memcpy(out, head, sizeof(head));
    for (size_t i = 0; i < sizeof(proof); i++) {
        out[sizeof(head) + 2 * i] = (uint8_t)digits[proof[i] >> 4];
        out[sizeof(head) + 2 * i + 1] = (uint8_t)digits[proof[i] & 15];
    }
    return sizeof(head) + 2 * sizeof(proof);
}

/* What the peer says is well-formed, about what was asked, and tells no more than it has to. */
static void look(struct server *s, const struct eap_peer *p, struct span request, struct span said)
{
    enum { MSCHAPV2_LEN = 5 + 4 + 1 + 49 };
    CHECK(said.len >= 5 && said.len <= EAP_RESPONSE_MAX && request.len >= 5);
    CHECK(said.data[0] == EAP_RESPONSE && said.data[1] == request.data[1]);
    CHECK((size_t)(said.data[2] << 8 | said.data[3]) == said.len);
    uint8_t type = said.data[4];
    CHECK(type == request.data[4] || type == EAP_NAK);
    CHECK(!fuzz_holds(said, span_text(EAP_USER_PASSWORD)) ||
          (type == EAP_GTC && eap_peer_told_password(p)));
    s->earned |= type == EAP_GTC || type == EAP_MD5;
    if (type == EAP_MSCHAPV2 && said.len > MSCHAPV2_LEN) {
        CHECK(request.len >= 10 + MSCHAPV2_CHALLENGE_LEN);
        memcpy(s->m.server_challenge, request.data + 10, MSCHAPV2_CHALLENGE_LEN);
        memcpy(s->m.peer_challenge, said.data + 10, MSCHAPV2_CHALLENGE_LEN);
        memcpy(s->m.response, said.data + 34, MSCHAPV2_RESPONSE_LEN);
        s->answered = true;
    } else if (type == EAP_MSCHAPV2 && said.data[5] == 3) {
        uint8_t proof[64];
        CHECK(true_proof(s, proof) > 0);
        s->earned = true;
    }
}

static void converse(struct eap_peer *p, struct wire_reader *r)
{
    struct server s = {.answered = false};
    struct eap_result result;
    CHECK(mschapv2_set_password(&s.m, span_text(EAP_USER_PASSWORD)) == ERR_OK);
    do {
        uint8_t proof[64];
        struct span packet = fuzz_piece(r);
        if (packet.len == 0)
            packet = span_make(proof, true_proof(&s, proof));
        uint8_t *copy = fuzz_copy(packet);
        eap_peer_input(p, span_make(copy, packet.len), &result);
        if (result.outcome == EAP_GOING_ON)
            look(&s, p, packet, result.response);
        else
            CHECK(result.response.len == 0);
        free(copy);
    } while (result.outcome == EAP_GOING_ON && wire_left(r) > 0);
    CHECK(result.outcome != EAP_SUCCEEDED || s.earned);
    CHECK((eap_peer_msk(p).len > 0) <= s.answered);
    CHECK((result.outcome == EAP_FAILED) == (result.fault.text[0] != '\0'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader r;
    struct eap_config config;
    struct eap_peer *p;
    uint64_t seed = EAP_USER_SEED;
    struct random_source random = fuzz_random(&seed);
    wire_reader_init(&r, span_make(data, size));
    uint8_t methods = wire_read_u8(&r);
    if (size < 3 || (methods & 7) == 0)
        return 0;
    eap_user_config(methods, &config);
    CHECK(eap_peer_new(&config, &random, &p) == ERR_OK);
    converse(p, &r);
    eap_peer_free(p);
    return 0;
}
