/* EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2): the user's proof, then the server's, and a key
 * of both. A password that the server wants changed is not changed here. */
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/crypto/printable.h"
#include "common/eap/peer_internal.h"

enum opcode { CHALLENGE = 1, RESPONSE = 2, SUCCESS = 3, FAILURE = 4 };

enum {
    HEADER_LEN = 4,                                /* opcode, identifier, length */
    VALUE_LEN = 16 + 8 + MSCHAPV2_RESPONSE_LEN + 1 /* challenge, reserved, response, flags */
};

static enum err broken(struct fault *f, const char *what)
{
    return fault_set(f, ERR_MALFORMED, "the gateway's EAP-MSCHAPv2 %s is broken", what);
}

/* --- challenge and response --- */

enum err eap_mschapv2_begin(struct eap_peer *p, struct fault *f)
{
    enum err e = mschapv2_set_password(&p->mschapv2.m, secret_span(&p->config.password));
    if (e == ERR_OK)
        return e;
    return fault_set(f, e,
                     e == ERR_LIMIT ? "the password is longer than EAP-MSCHAPv2 has it"
                                    : "the password is not UTF-8, as EAP-MSCHAPv2 needs it");
}

void eap_mschapv2_respond(struct eap_peer *p, struct wire_writer *w)
{
    struct mschapv2 *m = &p->mschapv2.m;
    random_fill(&p->random, m->peer_challenge, sizeof(m->peer_challenge));
    mschapv2_respond(m, eap_name(p), m->response);
    wire_write_span(w, SPAN_OF(m->peer_challenge));
    wire_write_zeros(w, 8);
    wire_write_span(w, SPAN_OF(m->response));
    p->mschapv2.stage = MSCHAPV2_ANSWERED;
}

void eap_mschapv2_end(struct eap_peer *p)
{
    wipe(&p->mschapv2.m, sizeof(p->mschapv2.m));
    p->mschapv2.stage = MSCHAPV2_OVER;
}

static enum err challenge(struct eap_peer *p, uint8_t identifier, struct span data,
                          struct wire_writer *w, struct fault *f)
{
    struct mschapv2 *m = &p->mschapv2.m;
    struct wire_reader r;
    wire_reader_init(&r, data);
    size_t len = wire_read_u8(&r);
    struct span value = wire_read_span(&r, len);
    struct span name = wire_read_rest(&r);
    if (wire_read_finish(&r) != ERR_OK || len != sizeof(m->server_challenge))
        return broken(f, "challenge");
    eap_tell("the server that asks calls itself", name);
    enum err e = eap_mschapv2_begin(p, f);
    if (e != ERR_OK)
        return e;
    memcpy(m->server_challenge, value.data, len);
    wire_write_u8(w, RESPONSE);
    wire_write_u8(w, identifier);
    wire_write_u16(w, (uint16_t)(HEADER_LEN + 1 + VALUE_LEN + eap_name(p).len));
    wire_write_u8(w, VALUE_LEN);
    eap_mschapv2_respond(p, w);
    wire_write_u8(w, 0);
    wire_write_span(w, eap_name(p));
    return ERR_OK;
}

/* --- what became of it --- */

/* The value behind "K=" at the reader, up to a blank; what follows M= goes to the end. False where
 * no more comes. */
static bool next_field(struct wire_reader *r, char *ret_key, struct span *ret_value)
{
    struct wire_reader ahead;
    do
        *ret_key = (char)wire_read_u8(r);
    while (*ret_key == ' ');
    if (wire_read_u8(r) != '=')
        return false;
    if (*ret_key == 'M') {
        *ret_value = wire_read_rest(r);
        return true;
    }
    ahead = *r;
    size_t len = 0;
    while (wire_left(&ahead) > 0 && wire_read_u8(&ahead) != ' ')
        len++;
    *ret_value = wire_read_span(r, len);
    return !r->failed;
}

/* RFC 2759 5: "S=" and the proof, then perhaps words. */
enum err eap_mschapv2_check(const struct eap_peer *p, struct span data, struct fault *f)
{
    uint8_t expected[MSCHAPV2_PROOF_LEN], proof[MSCHAPV2_PROOF_LEN];
    struct wire_reader r;
    struct span value;
    char key;
    wire_reader_init(&r, data);
    if (!next_field(&r, &key, &value) || key != 'S' || value.len != 2 * sizeof(proof) ||
        text_read_hex(value, proof) != ERR_OK)
        return broken(f, "success message");
    mschapv2_prove(&p->mschapv2.m, eap_name(p), expected);
    if (!secret_equal(SPAN_OF(expected), SPAN_OF(proof)))
        return fault_set(f, ERR_INTEGRITY,
                         "the gateway does not know the password of \"%.100s\": its EAP-MSCHAPv2 "
                         "proof is wrong",
                         p->config.name);
    while (wire_left(&r) > 0 && next_field(&r, &key, &value)) {
        if (key == 'M')
            eap_tell("the gateway says", value);
    }
    return ERR_OK;
}

static enum err succeeded(struct eap_peer *p, struct span data, struct wire_writer *w,
                          struct fault *f)
{
    uint8_t msk[MSCHAPV2_MSK_LEN];
    enum err e = eap_mschapv2_check(p, data, f);
    if (e != ERR_OK)
        return e;
    mschapv2_msk(&p->mschapv2.m, msk);
    e = secret_set(&p->msk, SPAN_OF(msk));
    wipe(msk, sizeof(msk));
    eap_mschapv2_end(p);
    p->done = true;
    wire_write_u8(w, SUCCESS);
    return e;
}

static const struct {
    unsigned code;
    const char *text, *hint;
} errors[] = {
    {646, "the account may not be used at this hour", "try again at an hour that is allowed"},
    {647, "the account is disabled", "ask whoever looks after the gateway"},
    {648, "the password has expired", "change it where it is kept: that cannot be done from here"},
    {649, "the account may not dial in", "ask whoever looks after the gateway"},
    {691, "wrong user name or password", "check UserName and the password"},
    {709, "the password could not be changed",
     "change it where it is kept: that cannot be done from here"},
};

static unsigned read_number(struct span digits)
{
    unsigned n = 0;
    for (size_t i = 0; i < digits.len && n < 100000; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return 0;
        n = n * 10 + (unsigned)(digits.data[i] - '0');
    }
    return n;
}

/* RFC 2759 6: "E=691 R=1 C=... V=3 M=words". */
static void set_refusal(struct eap_peer *p, unsigned code, bool again, struct span words)
{
    char said[160];
    struct text_builder t;
    printable_begin(&t, said, sizeof(said));
    printable_add(&t, words, "");
    printable_finish(&t);
    const char *text = "an error without a name", *hint = "ask whoever looks after the gateway";
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (errors[i].code == code) {
            text = errors[i].text;
            hint = errors[i].hint;
        }
    }
    (void)fault_set(&p->refusal, ERR_REFUSED,
                    "the gateway refused user \"%.100s\": %s (EAP-MSCHAPv2 error %u%s)%s%s%s",
                    p->config.name, text, code, again ? ", it would take another try" : "",
                    said[0] != '\0' ? ", saying \"" : "", said, said[0] != '\0' ? "\"" : "");
    fault_hint(&p->refusal, "%s", hint);
}

enum err eap_mschapv2_refused(struct eap_peer *p, struct span data, struct fault *f)
{
    struct wire_reader r;
    struct span value, words = SPAN_EMPTY;
    unsigned code = 0;
    bool again = false;
    char key;
    wire_reader_init(&r, data);
    while (wire_left(&r) > 0 && next_field(&r, &key, &value)) {
        if (key == 'E')
            code = read_number(value);
        else if (key == 'R')
            again = read_number(value) == 1;
        else if (key == 'M')
            words = value;
    }
    if (code == 0)
        return broken(f, "failure message");
    set_refusal(p, code, again, words);
    eap_mschapv2_end(p);
    return ERR_OK;
}

/* The answer takes note, and so ends it: another try is one for another conversation. */
static enum err failed(struct eap_peer *p, struct span data, struct wire_writer *w, struct fault *f)
{
    enum err e = eap_mschapv2_refused(p, data, f);
    if (e == ERR_OK)
        wire_write_u8(w, FAILURE);
    return e;
}

static enum err input(struct eap_peer *p, uint8_t identifier, struct span data,
                      struct wire_writer *w, struct fault *f)
{
    enum mschapv2_stage stage = p->mschapv2.stage;
    struct wire_reader r;
    (void)identifier; /* theirs is in the message */
    wire_reader_init(&r, data);
    uint8_t opcode = wire_read_u8(&r), ours = wire_read_u8(&r);
    uint16_t len = wire_read_u16(&r);
    struct span rest = wire_read_rest(&r);
    if (wire_read_finish(&r) != ERR_OK || len != data.len)
        return broken(f, "packet");
    if (opcode == CHALLENGE && stage == MSCHAPV2_BEGUN)
        return challenge(p, ours, rest, w, f);
    if (opcode == SUCCESS && stage == MSCHAPV2_ANSWERED)
        return succeeded(p, rest, w, f);
    if (opcode == FAILURE && stage == MSCHAPV2_ANSWERED)
        return failed(p, rest, w, f);
    return fault_set(f, ERR_MALFORMED, "an EAP-MSCHAPv2 message (%u) was not expected here",
                     opcode);
}

const struct eap_method eap_mschapv2 = {EAP_MSCHAPV2, "mschapv2", METHOD_PASSWORD, input};
