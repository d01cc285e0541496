/* Numbers of the Internet protocol family (IANA "Protocol Numbers") and fixed header lengths. */
#ifndef TERN_PACKET_PROTOCOL_H
#define TERN_PACKET_PROTOCOL_H

enum {
    PROTOCOL_HOP_BY_HOP = 0, /* IPv6 options */
    PROTOCOL_ICMP = 1,
    PROTOCOL_IPV4 = 4, /* IPv4 inside something */
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17,
    PROTOCOL_DCCP = 33,
    PROTOCOL_IPV6 = 41, /* IPv6 inside something */
    PROTOCOL_ROUTING = 43,
    PROTOCOL_FRAGMENT = 44,
    PROTOCOL_ICMPV6 = 58,
    PROTOCOL_NONE = 59, /* no next header; in ESP, a dummy packet */
    PROTOCOL_DESTINATION_OPTIONS = 60,
    PROTOCOL_SCTP = 132,
    PROTOCOL_UDP_LITE = 136
};

enum { IPV4_HEADER_LEN = 20, IPV6_HEADER_LEN = 40, TCP_HEADER_LEN = 20, UDP_HEADER_LEN = 8 };

#endif
