/* The vnet header: its octets, and what it may say. The numbers are the machine's own, so they are
 * copied and not read by wire.h. */
#include "common/packet/vnet.h"

#include <string.h>

enum { FLAG_NEEDS_CSUM = 1, FLAG_DATA_VALID = 2, FLAGS_KNOWN = FLAG_NEEDS_CSUM | FLAG_DATA_VALID };
enum { GSO_ECN = 0x80 }; /* beside the type, in the same octet */
enum {
    FLAGS_AT = 0,
    GSO_TYPE_AT = 1,
    HDR_LEN_AT = 2,
    GSO_SIZE_AT = 4,
    CSUM_START_AT = 6,
    CSUM_OFFSET_AT = 8
};

static uint16_t get(const uint8_t *at)
{
    uint16_t v;
    memcpy(&v, at, sizeof(v));
    return v;
}

static bool is_known(uint8_t gso_type)
{
    return gso_type == VNET_GSO_NONE || gso_type == VNET_GSO_TCPV4 || gso_type == VNET_GSO_TCPV6 ||
           gso_type == VNET_GSO_UDP_L4;
}

static bool is_tcp(enum vnet_gso gso)
{
    return gso == VNET_GSO_TCPV4 || gso == VNET_GSO_TCPV6;
}

/* Without a sum to finish, who cuts the packet makes sums anew; that nobody has verified the one
 * sum that there was would then never be found out. */
static bool is_sound(const struct vnet_header *h)
{
    if (h->ecn && !is_tcp(h->gso))
        return false;
    if (h->gso == VNET_GSO_NONE)
        return h->gso_size == 0;
    return h->gso_size > 0 && (h->needs_csum || h->data_valid);
}

enum err vnet_parse(struct span bytes, struct vnet_header *ret)
{
    if (bytes.len < VNET_HEADER_LEN)
        return ERR_MALFORMED;
    uint8_t flags = bytes.data[FLAGS_AT];
    uint8_t gso_type = bytes.data[GSO_TYPE_AT] & (uint8_t)~GSO_ECN;
    if ((flags & ~FLAGS_KNOWN) != 0 || !is_known(gso_type))
        return ERR_UNSUPPORTED;
    struct vnet_header h = {
        .gso = (enum vnet_gso)gso_type,
        .ecn = (bytes.data[GSO_TYPE_AT] & GSO_ECN) != 0,
        .needs_csum = (flags & FLAG_NEEDS_CSUM) != 0,
        .data_valid = (flags & FLAG_DATA_VALID) != 0,
        .hdr_len = get(bytes.data + HDR_LEN_AT),
        .gso_size = get(bytes.data + GSO_SIZE_AT),
        .csum_start = get(bytes.data + CSUM_START_AT),
        .csum_offset = get(bytes.data + CSUM_OFFSET_AT),
    };
    if (!is_sound(&h))
        return ERR_MALFORMED;
    *ret = h;
    return ERR_OK;
}

void vnet_write(const struct vnet_header *h, uint8_t out[VNET_HEADER_LEN])
{
    out[FLAGS_AT] =
        (uint8_t)((h->needs_csum ? FLAG_NEEDS_CSUM : 0) | (h->data_valid ? FLAG_DATA_VALID : 0));
    out[GSO_TYPE_AT] = (uint8_t)(h->gso | (h->ecn ? GSO_ECN : 0));
    memcpy(out + HDR_LEN_AT, &h->hdr_len, sizeof(h->hdr_len));
    memcpy(out + GSO_SIZE_AT, &h->gso_size, sizeof(h->gso_size));
    memcpy(out + CSUM_START_AT, &h->csum_start, sizeof(h->csum_start));
    memcpy(out + CSUM_OFFSET_AT, &h->csum_offset, sizeof(h->csum_offset));
}
