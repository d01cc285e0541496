/* PEAPv0 (draft-kamath-pppext-peapv0, MS-PEAP): TLS in which the server proves itself, inside it
 * EAP without its header, and at the end an exchange of results, in which both sides may bind the
 * inner method's key to the tunnel.
 *
 * Invariants: nothing inside is said before the server's certificate was accepted; success is
 * agreed to where the inner method has come to its end, and in no other case. */
#include <string.h>

#include "common/eap/peap_binding.h"
#include "common/eap/tls_layer.h"

enum { TYPE_EXTENSIONS = 33, TLV_RESULT = 3, TLV_CRYPTO_BINDING = 12, TLV_MANDATORY = 0x8000 };

enum { RESULT_NONE = 0, RESULT_SUCCESS = 1, RESULT_FAILURE = 2 };

static const char label[] = "client EAP encryption";

struct extensions {
    uint16_t result;
    struct span binding; /* the whole TLV; empty where there is none */
};

/* --- the inner packets --- */

/* Without code, identifier and length; extensions have them all the same, and so may the end of
 * EAP. */
static bool has_header(struct span data)
{
    if (data.len < EAP_HEADER_LEN || (size_t)(data.data[2] << 8 | data.data[3]) != data.len)
        return false;
    if (data.data[0] == EAP_REQUEST)
        return data.len > EAP_HEADER_LEN && data.data[EAP_HEADER_LEN] == TYPE_EXTENSIONS;
    return data.len == EAP_HEADER_LEN &&
           (data.data[0] == EAP_SUCCESS || data.data[0] == EAP_FAILURE);
}

static enum err say_eap(struct eap_peer *p, uint8_t identifier, struct span data, struct fault *f)
{
    uint8_t packet[EAP_HEADER_LEN + TLS_LAYER_DATA_MAX];
    struct wire_writer w;
    struct span response = SPAN_EMPTY;
    enum err e = p->inner == NULL ? tls_layer_inner_begin(p, f) : ERR_OK;
    if (e != ERR_OK)
        return e;
    wire_writer_init(&w, packet, sizeof(packet));
    if (!has_header(data)) {
        wire_write_u8(&w, EAP_REQUEST);
        wire_write_u8(&w, identifier);
        wire_write_u16(&w, (uint16_t)(EAP_HEADER_LEN + data.len));
    }
    wire_write_span(&w, data);
    e = tls_layer_inner(p, wire_written(&w), &response, f);
    if (e != ERR_OK || response.len <= EAP_HEADER_LEN)
        return e;
    struct wire_reader r;
    wire_reader_init(&r, response);
    wire_skip(&r, EAP_HEADER_LEN);
    return tls_layer_write(p, wire_read_rest(&r), f);
}

/* --- the results --- */

static uint16_t read_result(struct span value)
{
    struct wire_reader r;
    wire_reader_init(&r, value);
    uint16_t result = wire_read_u16(&r);
    return wire_read_finish(&r) == ERR_OK ? result : RESULT_NONE;
}

static enum err read_extensions(struct span packet, struct extensions *ret, struct fault *f)
{
    struct wire_reader r;
    wire_reader_init(&r, packet);
    wire_skip(&r, EAP_HEADER_LEN + 1);
    while (wire_left(&r) > 0) {
        struct wire_reader whole = r;
        uint16_t type = wire_read_u16(&r), len = wire_read_u16(&r);
        struct span value = wire_read_span(&r, len);
        switch (r.failed ? 0 : type & ~TLV_MANDATORY) {
        case TLV_RESULT:
            ret->result = read_result(value);
            break;
        case TLV_CRYPTO_BINDING:
            if (value.len != PEAP_BINDING_LEN - 4)
                wire_read_fail(&r);
            else
                ret->binding = wire_read_span(&whole, PEAP_BINDING_LEN);
            break;
        default:
            if ((type & TLV_MANDATORY) != 0)
                wire_read_fail(&r);
            break;
        }
    }
    if (wire_read_finish(&r) != ERR_OK ||
        (ret->result != RESULT_SUCCESS && ret->result != RESULT_FAILURE))
        return fault_set(f, ERR_MALFORMED, "the gateway's result in EAP-PEAP is broken");
    return ERR_OK;
}

static enum err say_result(struct eap_peer *p, uint8_t identifier, uint16_t result,
                           struct span binding, struct fault *f)
{
    uint8_t packet[EAP_HEADER_LEN + 1 + 6 + PEAP_BINDING_LEN];
    struct wire_writer w;
    wire_writer_init(&w, packet, sizeof(packet));
    wire_write_u8(&w, EAP_RESPONSE);
    wire_write_u8(&w, identifier);
    wire_write_u16(&w, (uint16_t)(EAP_HEADER_LEN + 1 + 6 + binding.len));
    wire_write_u8(&w, TYPE_EXTENSIONS);
    wire_write_u16(&w, TLV_MANDATORY | TLV_RESULT);
    wire_write_u16(&w, 2);
    wire_write_u16(&w, result);
    wire_write_span(&w, binding);
    return tls_layer_write(p, wire_written(&w), f);
}

/* The tunnel's key is the beginning of the method's, with either TLS (RFC 9427 2.5). hostapd, up to
 * 2.11 at least, asks the exporter of TLS 1.3 for as many octets as it keeps, half of them, and
 * what comes depends on how many these are. Whoever has that key is the tunnel's other end as well.
 */
static enum err find_binding(const struct eap_peer *p, struct span tlv, struct peap_binding *b,
                             const uint8_t **ret_nonce, struct fault *f)
{
    uint8_t key[TLS_LAYER_KEY_LEN];
    struct span inner = eap_peer_msk(p->inner);
    enum err e = peap_binding_derive(b, p->msk.data, inner);
    if (e != ERR_OK || peap_binding_good(b, PEAP_BINDING_REQUEST, tlv.data, ret_nonce))
        return e;
    if (tls_is_1_3(p->tls->tls)) {
        e = tls_layer_export(p, label, key, sizeof(key));
        if (e == ERR_OK)
            e = peap_binding_derive(b, key, inner);
        wipe(key, sizeof(key));
        if (e != ERR_OK || peap_binding_good(b, PEAP_BINDING_REQUEST, tlv.data, ret_nonce))
            return e;
    }
    return fault_set(f, ERR_INTEGRITY,
                     "who asks inside EAP-PEAP is somebody else than who made the tunnel: the "
                     "cryptobinding is wrong");
}

/* The method's key becomes one of both, and what is said proves that we have it. */
static enum err bind(struct eap_peer *p, const struct extensions *x, uint8_t out[PEAP_BINDING_LEN],
                     struct fault *f)
{
    struct peap_binding b;
    uint8_t key[PEAP_BINDING_KEY_LEN];
    const uint8_t *nonce = NULL;
    enum err e = find_binding(p, x->binding, &b, &nonce, f);
    if (e == ERR_OK)
        e = peap_binding_key(&b, key);
    if (e == ERR_OK) {
        peap_binding_write(&b, PEAP_BINDING_RESPONSE, nonce, out);
        e = secret_set(&p->msk, SPAN_OF(key));
    }
    wipe(&b, sizeof(b));
    wipe(key, sizeof(key));
    return e;
}

static enum err take_success(struct eap_peer *p, uint8_t identifier, const struct extensions *x,
                             struct fault *f)
{
    uint8_t binding[PEAP_BINDING_LEN];
    bool binds = x->binding.len > 0;
    enum err e = tls_layer_finish(p, label, f);
    if (e == ERR_OK && binds)
        e = bind(p, x, binding, f);
    if (e != ERR_OK) {
        p->done = false;
        return e;
    }
    p->tunnel = TUNNEL_OVER;
    return say_result(p, identifier, RESULT_SUCCESS, binds ? SPAN_OF(binding) : SPAN_EMPTY, f);
}

/* What was said inside before is the reason; where nothing was, what may be. */
static enum err take_failure(struct eap_peer *p, uint8_t identifier, struct fault *f)
{
    struct fault why = {0};
    if (p->inner != NULL)
        eap_peer_refused(p->inner, &why);
    else
        (void)fault_set(&why, ERR_REFUSED, "the gateway refused us inside EAP-PEAP, unasked");
    enum err e = say_result(p, identifier, RESULT_FAILURE, SPAN_EMPTY, f);
    return e == ERR_OK ? tls_layer_give_up(p, &why) : e;
}

static enum err take_extensions(struct eap_peer *p, struct span packet, struct fault *f)
{
    struct extensions x = {.result = RESULT_NONE};
    enum err e = read_extensions(packet, &x, f);
    if (e != ERR_OK)
        return e;
    uint8_t identifier = packet.data[1];
    if (x.result == RESULT_FAILURE)
        return take_failure(p, identifier, f);
    if (p->inner == NULL || !p->inner->done)
        return fault_set(f, ERR_INTEGRITY,
                         "the gateway claims that what is inside EAP-PEAP has succeeded, and it "
                         "has not come to its end");
    return take_success(p, identifier, &x, f);
}

static enum err inside(struct eap_peer *p, struct fault *f)
{
    uint8_t data[TLS_LAYER_DATA_MAX];
    size_t len = 0;
    enum err e = tls_layer_read(p, data, sizeof(data), &len, f);
    if (e != ERR_OK || p->tls->over || len == 0)
        return e;
    struct span said = span_make(data, len);
    if (p->tunnel == TUNNEL_OVER)
        return fault_set(f, ERR_MALFORMED, "the gateway goes on inside EAP-PEAP after its end");
    if (has_header(said) && data[0] == EAP_REQUEST)
        return take_extensions(p, said, f);
    return say_eap(p, p->peap_identifier, said, f);
}

static enum err input(struct eap_peer *p, uint8_t identifier, struct span data,
                      struct wire_writer *w, struct fault *f)
{
    p->peap_identifier = identifier; /* what is inside without one has it too */
    return tls_layer_input(p, data, w, inside, f);
}

const struct eap_method eap_peap = {EAP_PEAP, "peap", METHOD_TLS | METHOD_PASSWORD, input};
