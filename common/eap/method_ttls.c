/* EAP-TTLSv0 (RFC 5281): TLS in which the server proves itself, and inside it, in the attributes of
 * RADIUS, the user's proof: EAP again, or PAP, or MS-CHAP-V2.
 *
 * Nothing inside names the user before the server's certificate was accepted; the name outside is
 * the same one, and a gateway that has proven itself hears it. */
#include <string.h>

#include "common/eap/tls_layer.h"

enum {
    AVP_USER_NAME = 1,
    AVP_USER_PASSWORD = 2,
    AVP_REPLY_MESSAGE = 18,
    AVP_EAP_MESSAGE = 79,
    VENDOR_MICROSOFT = 311, /* RFC 2548 */
    AVP_MS_CHAP_ERROR = 2,
    AVP_MS_CHAP_CHALLENGE = 11,
    AVP_MS_CHAP2_RESPONSE = 25,
    AVP_MS_CHAP2_SUCCESS = 26
};

enum { FLAG_VENDOR = 0x80, FLAG_MANDATORY = 0x40 };

enum { AVPS_MAX = 1024 + EAP_RESPONSE_MAX };

struct avp {
    uint32_t vendor, code;
    bool mandatory;
    struct span data;
};

/* --- attributes --- */

static size_t padding(size_t len)
{
    return (4 - len % 4) % 4;
}

/* RFC 5281 10.1. The last one's padding may be missing. */
static void read_avp(struct wire_reader *r, struct avp *ret)
{
    ret->code = wire_read_u32(r);
    uint32_t word = wire_read_u32(r);
    uint8_t flags = (uint8_t)(word >> 24);
    bool vendor = (flags & FLAG_VENDOR) != 0;
    size_t len = word & 0xffffff, head = vendor ? 12 : 8;
    ret->vendor = vendor ? wire_read_u32(r) : 0;
    ret->mandatory = (flags & FLAG_MANDATORY) != 0;
    if (len < head)
        wire_read_fail(r);
    else
        ret->data = wire_read_span(r, len - head);
    size_t pad = padding(len);
    wire_skip(r, pad < wire_left(r) ? pad : wire_left(r));
}

static void write_avp(struct wire_writer *w, uint32_t vendor, uint32_t code, struct span data,
                      size_t zeros)
{
    size_t head = vendor != 0 ? 12 : 8, len = head + data.len + zeros;
    uint32_t flags = FLAG_MANDATORY | (vendor != 0 ? FLAG_VENDOR : 0);
    wire_write_u32(w, code);
    wire_write_u32(w, flags << 24 | (uint32_t)len);
    if (vendor != 0)
        wire_write_u32(w, vendor);
    wire_write_span(w, data);
    wire_write_zeros(w, zeros + padding(len));
}

/* Buffers of secrets are wiped. */
static enum err say(struct eap_peer *p, struct wire_writer *w, struct fault *f)
{
    enum err e = wire_write_finish(w);
    if (e == ERR_OK)
        e = tls_layer_write(p, wire_written(w), f);
    else
        (void)fault_set(f, e, "what is to be said inside EAP-TTLS is too long");
    wipe(w->data, w->cap);
    return e;
}

/* --- the user's proof --- */

/* RFC 5281 11.2.5: zeros hide the length, up to the next multiple of sixteen. */
static enum err say_pap(struct eap_peer *p, struct fault *f)
{
    uint8_t avps[AVPS_MAX];
    struct wire_writer w;
    struct span password = secret_span(&p->config.password);
    wire_writer_init(&w, avps, sizeof(avps));
    write_avp(&w, 0, AVP_USER_NAME, eap_name(p), 0);
    write_avp(&w, 0, AVP_USER_PASSWORD, password, (16 - password.len % 16) % 16);
    p->tried = p->told_password = true;
    p->tunnel = TUNNEL_OVER;
    enum err e = say(p, &w, f);
    return e == ERR_OK ? tls_layer_finish(p, "ttls keying material", f) : e;
}

/* RFC 5281 11.2.4: the challenge and its identifier are TLS's. */
static enum err derive_challenge(struct eap_peer *p, uint8_t *ret_identifier, struct fault *f)
{
    uint8_t made[MSCHAPV2_CHALLENGE_LEN + 1];
    enum err e = tls_export(p->tls->tls, "ttls challenge", SPAN_EMPTY, made, sizeof(made));
    if (e != ERR_OK)
        return fault_set(f, e, "TLS makes no challenge: %s", err_text(e));
    memcpy(p->mschapv2.m.server_challenge, made, MSCHAPV2_CHALLENGE_LEN);
    *ret_identifier = made[MSCHAPV2_CHALLENGE_LEN];
    return ERR_OK;
}

static enum err say_mschapv2(struct eap_peer *p, struct fault *f)
{
    struct mschapv2 *m = &p->mschapv2.m;
    uint8_t avps[AVPS_MAX], response[2 + MSCHAPV2_CHALLENGE_LEN + 8 + MSCHAPV2_RESPONSE_LEN];
    struct wire_writer w, value;
    uint8_t identifier = 0;
    enum err e = eap_mschapv2_begin(p, f);
    if (e == ERR_OK)
        e = derive_challenge(p, &identifier, f);
    if (e != ERR_OK)
        return e;
    wire_writer_init(&value, response, sizeof(response));
    wire_write_u8(&value, identifier);
    wire_write_u8(&value, 0);
    eap_mschapv2_respond(p, &value);
    wire_writer_init(&w, avps, sizeof(avps));
    write_avp(&w, 0, AVP_USER_NAME, eap_name(p), 0);
    write_avp(&w, VENDOR_MICROSOFT, AVP_MS_CHAP_CHALLENGE, SPAN_OF(m->server_challenge), 0);
    write_avp(&w, VENDOR_MICROSOFT, AVP_MS_CHAP2_RESPONSE, wire_written(&value), 0);
    p->tried = true;
    return say(p, &w, f);
}

static enum err say_eap(struct eap_peer *p, struct span packet, struct fault *f)
{
    static const uint8_t who_are_you[] = {EAP_REQUEST, 0, 0, 5, EAP_IDENTITY};
    uint8_t avps[AVPS_MAX];
    struct wire_writer w;
    struct span response = SPAN_EMPTY;
    bool begins = p->inner == NULL;
    enum err e = begins ? tls_layer_inner_begin(p, f) : ERR_OK;
    /* RFC 5281 11.2.1: the client says who it is without having been asked. */
    if (e == ERR_OK)
        e = tls_layer_inner(p, packet.len > 0 ? packet : SPAN_OF(who_are_you), &response, f);
    if (e != ERR_OK || p->tls->over)
        return e;
    if (response.len > 0) {
        wire_writer_init(&w, avps, sizeof(avps));
        write_avp(&w, 0, AVP_EAP_MESSAGE, response, 0);
        e = say(p, &w, f);
    }
    if (e != ERR_OK || !p->inner->done || p->done)
        return e;
    p->tunnel = TUNNEL_OVER;
    return tls_layer_finish(p, "ttls keying material", f);
}

/* --- the server's answer --- */

struct answer {
    struct span success, error; /* of MS-CHAP-V2, behind the identifier */
    struct wire_writer packet;  /* EAP, of as many attributes as it takes */
};

static struct span without_identifier(struct span value)
{
    struct wire_reader r;
    wire_reader_init(&r, value);
    wire_skip(&r, 1);
    return wire_read_rest(&r);
}

static enum err take_avp(const struct avp *a, struct answer *ret, struct fault *f)
{
    struct span *behind = NULL;
    if (a->vendor == 0 && a->code == AVP_EAP_MESSAGE) {
        wire_write_span(&ret->packet, a->data); /* fits: all of it does */
        return ERR_OK;
    }
    if (a->vendor == VENDOR_MICROSOFT && a->code == AVP_MS_CHAP2_SUCCESS)
        behind = &ret->success;
    else if (a->vendor == VENDOR_MICROSOFT && a->code == AVP_MS_CHAP_ERROR)
        behind = &ret->error;
    if (behind != NULL)
        *behind = without_identifier(a->data);
    else if (a->vendor == 0 && a->code == AVP_REPLY_MESSAGE)
        eap_tell("the gateway says", a->data);
    else if (a->mandatory) /* RFC 5281 10.1 */
        return fault_set(f, ERR_UNSUPPORTED,
                         "the gateway's EAP-TTLS has an attribute that is not known here (%u, "
                         "vendor %u)",
                         a->code, a->vendor);
    return ERR_OK;
}

static enum err read_answer(struct span data, struct answer *ret, struct fault *f)
{
    struct wire_reader r;
    wire_reader_init(&r, data);
    while (wire_left(&r) > 0) {
        struct avp a = {.data = SPAN_EMPTY};
        read_avp(&r, &a);
        enum err e = r.failed ? ERR_OK : take_avp(&a, ret, f);
        if (e != ERR_OK)
            return e;
    }
    if (wire_read_finish(&r) != ERR_OK)
        return fault_set(f, ERR_MALFORMED, "the gateway's attributes in EAP-TTLS are broken");
    return ERR_OK;
}

static enum err take_mschapv2(struct eap_peer *p, const struct answer *a, struct fault *f)
{
    if (a->error.len > 0) {
        p->tunnel = TUNNEL_OVER;
        return eap_mschapv2_refused(p, a->error, f);
    }
    if (a->success.len == 0)
        return fault_set(f, ERR_MALFORMED, "the gateway's EAP-TTLS says nothing of MS-CHAP-V2");
    enum err e = eap_mschapv2_check(p, a->success, f);
    eap_mschapv2_end(p);
    p->tunnel = TUNNEL_OVER;
    return e == ERR_OK ? tls_layer_finish(p, "ttls keying material", f) : e;
}

static enum err begin(struct eap_peer *p, struct fault *f)
{
    p->tunnel = TUNNEL_ASKED;
    switch (p->config.plain) {
    case EAP_PLAIN_PAP:
        return say_pap(p, f);
    case EAP_PLAIN_MSCHAPV2:
        return say_mschapv2(p, f);
    case EAP_PLAIN_NONE:
        break;
    }
    return say_eap(p, SPAN_EMPTY, f);
}

static enum err inside(struct eap_peer *p, struct fault *f)
{
    uint8_t data[TLS_LAYER_DATA_MAX], packet[TLS_LAYER_DATA_MAX];
    struct answer a = {.success = SPAN_EMPTY};
    size_t len = 0;
    wire_writer_init(&a.packet, packet, sizeof(packet));
    enum err e = tls_layer_read(p, data, sizeof(data), &len, f);
    if (e == ERR_OK && !p->tls->over)
        e = read_answer(span_make(data, len), &a, f);
    if (e != ERR_OK || p->tls->over)
        return e;
    bool plain = p->config.plain != EAP_PLAIN_NONE;
    if (p->tunnel == TUNNEL_BEGUN && (len == 0 || plain))
        return begin(p, f);
    if (len == 0)
        return ERR_OK;
    if (!plain && a.packet.len > 0)
        return say_eap(p, wire_written(&a.packet), f);
    if (p->config.plain == EAP_PLAIN_MSCHAPV2 && p->tunnel == TUNNEL_ASKED)
        return take_mschapv2(p, &a, f);
    return fault_set(f, ERR_MALFORMED, "the gateway goes on inside EAP-TTLS after its end");
}

static enum err input(struct eap_peer *p, uint8_t identifier, struct span data,
                      struct wire_writer *w, struct fault *f)
{
    (void)identifier;
    return tls_layer_input(p, data, w, inside, f);
}

const struct eap_method eap_ttls = {EAP_TTLS, "ttls", METHOD_TLS | METHOD_PASSWORD, input};
