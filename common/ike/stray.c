/* Notices in the clear. The header of INVALID_IKE_SPI is the request's own, with the flags of an
 * answer; INVALID_SPI has no exchange to belong to and stands in a request that nobody answers. */
#include "common/ike/stray.h"

#include "common/ike/payload.h"

static struct span write_notice(const struct ike_header *h, uint16_t type, struct span data,
                                uint8_t out[STRAY_MAX])
{
    struct message_writer m;
    struct span message = SPAN_EMPTY;
    message_begin(&m, out, STRAY_MAX, h);
    notify_write(&m, type, data);
    enum err e = message_finish(&m, &message);
    ASSERT(e == ERR_OK);
    return message;
}

bool stray_answer(const struct ike_header *h, uint8_t out[STRAY_MAX], struct span *ret)
{
    if (h->major != 2 || (h->flags & IKE_FLAG_RESPONSE) != 0 || h->spi_r == 0 || h->spi_i == 0 ||
        h->exchange < EXCHANGE_IKE_AUTH || h->exchange > EXCHANGE_INFORMATIONAL)
        return false;
    struct ike_header answer = *h;
    answer.minor = 0;
    answer.flags = (uint8_t)(IKE_FLAG_RESPONSE | (~h->flags & IKE_FLAG_INITIATOR));
    *ret = write_notice(&answer, NOTIFY_INVALID_IKE_SPI, SPAN_EMPTY, out);
    return true;
}

struct span stray_esp_notice(uint32_t spi, uint8_t out[STRAY_MAX])
{
    const struct ike_header h = {
        .major = 2, .exchange = EXCHANGE_INFORMATIONAL, .flags = IKE_FLAG_INITIATOR};
    uint8_t octets[4];
    struct wire_writer w;
    wire_writer_init(&w, octets, sizeof(octets));
    wire_write_u32(&w, spi);
    return write_notice(&h, NOTIFY_INVALID_SPI, SPAN_OF(octets), out);
}

bool stray_notice(struct span message, const struct ike_header *h, uint16_t type,
                  struct span *ret_data)
{
    struct payload_list list;
    struct notify_payload n;
    uint8_t bad_type;
    if (h->major != 2 || h->next_payload != PAYLOAD_NOTIFY || message.len > STRAY_MAX * 4 ||
        message.len < IKE_HEADER_LEN)
        return false;
    struct span body = span_make(message.data + IKE_HEADER_LEN, message.len - IKE_HEADER_LEN);
    if (payload_list_parse(h->next_payload, body, &list, &bad_type) != ERR_OK ||
        !notify_find(&list, type, &n))
        return false;
    *ret_data = n.data;
    return true;
}
