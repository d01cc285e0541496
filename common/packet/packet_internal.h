/* Fields of headers by their offset, behind a length check of the caller's. */
#ifndef TERN_PACKET_INTERNAL_H
#define TERN_PACKET_INTERNAL_H

#include "common/base/be.h"

enum {
    IPV4_TOTAL_LEN_AT = 2,
    IPV4_ID_AT = 4,
    IPV4_FLAGS_AT = 6,
    IPV4_PROTOCOL_AT = 9,
    IPV4_CHECKSUM_AT = 10,
    IPV4_ADDRESSES_AT = 12, /* source, then destination */
    IPV4_ADDRESSES_LEN = 8,
    IPV6_PAYLOAD_LEN_AT = 4,
    IPV6_NEXT_HEADER_AT = 6,
    IPV6_ADDRESSES_AT = 8,
    IPV6_ADDRESSES_LEN = 32
};

/* In the TCP and UDP headers. */
enum {
    TCP_SEQUENCE_AT = 4,
    TCP_DATA_OFFSET_AT = 12, /* in words, the upper half of the octet */
    TCP_FLAGS_AT = 13,
    TCP_CHECKSUM_AT = 16,
    UDP_LEN_AT = 4,
    UDP_CHECKSUM_AT = 6
};

enum {
    TCP_FLAG_FIN = 0x01,
    TCP_FLAG_SYN = 0x02,
    TCP_FLAG_RST = 0x04,
    TCP_FLAG_PSH = 0x08,
    TCP_FLAG_ACK = 0x10,
    TCP_FLAG_ECE = 0x40,
    TCP_FLAG_CWR = 0x80
};

enum {
    IPV4_FLAG_DF = 0x4000,
    IPV4_FRAGMENT_MASK = 0x3fff /* more fragments, and the offset */
};

#endif
