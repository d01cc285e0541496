/* What fits a tunnel: packets too long for the path behind it, and the TCP segments that two ends
 * agree on. The TUN's MTU follows the path, but later than the path changes, and never below 1280
 * octets; and hosts behind either end know nothing of it. */
#ifndef TERN_PACKET_FIT_H
#define TERN_PACKET_FIT_H

#include "common/packet/packet.h"
#include "common/packet/vnet.h"

enum { FIT_ANSWER_MAX = VNET_HEADER_LEN + 1280, FIT_IPV6_MTU_MIN = 1280 };

/* All 0: everything fits, nothing is clamped. */
struct fit {
    uint16_t inner_max;      /* octets of the longest inner packet that leaves in one piece */
    uint16_t mss_v4, mss_v6; /* octets of TCP payload that fit; IPv6's may well be less than its
                              * least MTU leaves, as TCP may send less than fits */
};

/* tun_mtu: no packet of the TUN is to be longer, whatever the path bears. */
struct fit fit_make(uint16_t inner_max, uint16_t tun_mtu);

/* A frame (vnet header and packet) from the TUN, before it is sealed: the MSS option of a SYN is
 * lowered in place. True: it may leave; also where it is too long but may not be answered (IPv4
 * without DF, ICMP errors, multicast; IPv6 of up to 1280 octets, RFC 8200 5): then the outer packet
 * goes in fragments. False: it does not leave; its sender is to hear why, by a frame for the TUN of
 * *ret_answer_len octets in answer. */
bool fit_outbound(const struct fit *f, uint8_t *frame, size_t len, uint8_t answer[FIT_ANSWER_MAX],
                  size_t *ret_answer_len);

/* An inner packet that was opened: likewise the MSS option. */
void fit_inbound(const struct fit *f, uint8_t *packet, size_t len);

#endif
