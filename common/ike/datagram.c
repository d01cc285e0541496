/* What a UDP payload is, before anything looks inside (RFC 3948 2). */
#include "common/ike/session.h"

enum { ESP_HEADER_LEN = 8, KEEPALIVE_OCTET = 0xff };

/* Where ESP may come too, IKE is told from it by an SPI of zero, which no SA has. Nearly every
 * datagram is asked this and nothing else, so it is read by index. */
static bool is_esp(struct span payload)
{
    const uint8_t *b = payload.data;
    return payload.len >= ESP_HEADER_LEN && (b[0] | b[1] | b[2] | b[3]) != 0;
}

enum datagram_kind datagram_classify(bool with_marker, struct span payload, struct span *ret_ike)
{
    struct wire_reader r;
    if (with_marker && is_esp(payload))
        return DATAGRAM_ESP;
    wire_reader_init(&r, payload);
    if (payload.len == 1 && wire_read_u8(&r) == KEEPALIVE_OCTET)
        return DATAGRAM_KEEPALIVE;
    wire_reader_init(&r, payload);
    if (with_marker && wire_read_u32(&r) != 0)
        return DATAGRAM_BAD;
    struct span message = wire_read_rest(&r);
    if (message.len == 0)
        return DATAGRAM_BAD;
    *ret_ike = message;
    return DATAGRAM_IKE;
}
