/* What a UDP payload is, before anything looks inside (RFC 3948 2). */
#include "common/ike/session.h"

enum { ESP_HEADER_LEN = 8, KEEPALIVE_OCTET = 0xff };

enum datagram_kind datagram_classify(bool with_marker, struct span payload, struct span *ret_ike)
{
    struct wire_reader r;
    wire_reader_init(&r, payload);
    if (payload.len == 1 && wire_read_u8(&r) == KEEPALIVE_OCTET)
        return DATAGRAM_KEEPALIVE;
    wire_reader_init(&r, payload);
    /* Where ESP may come too, IKE is told from it by an SPI of zero, which no SA has. */
    if (with_marker && wire_read_u32(&r) != 0)
        return payload.len < ESP_HEADER_LEN ? DATAGRAM_BAD : DATAGRAM_ESP;
    struct span message = wire_read_rest(&r);
    if (message.len == 0)
        return DATAGRAM_BAD;
    *ret_ike = message;
    return DATAGRAM_IKE;
}
