/* Seeds of what is laid out by hand: inner packets, ESP, pieces of messages, netlink answers, and
 * payloads that no exchange of ours holds. */
#include <stddef.h>
#include <string.h>

#include <netinet/in.h>

#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "common/ike/payload.h"
#include "common/ike/proposal.h"
#include "platform/routes.h"
#include "tests/fuzz/seeds.h"

enum { SEED_MAX = 4096, IPV4_LEN = 20 };

static uint8_t seed[SEED_MAX];
static struct wire_writer w;

static void begin(void)
{
    wire_writer_init(&w, seed, sizeof(seed));
}

static void end(const char *target, const char *name, unsigned n)
{
    CHECK(wire_write_finish(&w) == ERR_OK);
    seed_write(target, name, n, wire_written(&w));
}

/* --- inner packets --- */

static void ipv4(uint8_t protocol, uint16_t fragment, size_t options, struct span text)
{
    size_t at = w.len;
    wire_write_u8(&w, (uint8_t)(0x45 + options / 4));
    wire_write_u8(&w, 0);
    wire_write_u16(&w, (uint16_t)(IPV4_LEN + options + text.len));
    wire_write_u16(&w, 7);
    wire_write_u16(&w, fragment);
    wire_write_u8(&w, 64);
    wire_write_u8(&w, protocol);
    wire_write_u16(&w, 0);
    wire_write_u32(&w, 0x0a070002);
    wire_write_u32(&w, 0x0a090001);
    wire_write_zeros(&w, options);
    CHECK(w.len == at + IPV4_LEN + options);
    wire_write_span(&w, text);
}

static void ipv6(uint8_t next, struct span text)
{
    wire_write_u32(&w, 0x60000000);
    wire_write_u16(&w, (uint16_t)text.len);
    wire_write_u8(&w, next);
    wire_write_u8(&w, 64);
    for (int i = 0; i < 2; i++) {
        wire_write_u64(&w, 0x20010db800000000);
        wire_write_u64(&w, (uint64_t)i + 1);
    }
    wire_write_span(&w, text);
}

static const uint8_t syn[] = {0x12, 0x34, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0,   0x70, 2,
                              255,  255,  0, 0,  0, 0, 1, 1, 2, 4, 5, 180, 0,    0};
static const uint8_t udp[] = {0, 53, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4};
static const uint8_t echo[] = {8, 0, 0, 0, 0, 1, 0, 1};
static const uint8_t unreachable[] = {3, 4, 0, 0, 0, 0, 5, 0, 0x45, 0, 0, 20};
static const uint8_t extended[] = {IPPROTO_DSTOPTS,
                                   0,
                                   1,
                                   4,
                                   0,
                                   0,
                                   0,
                                   0,
                                   IPPROTO_FRAGMENT,
                                   0,
                                   0,
                                   0,
                                   0,
                                   0,
                                   0,
                                   0,
                                   IPPROTO_UDP,
                                   0,
                                   0,
                                   1,
                                   0,
                                   0,
                                   0,
                                   9,
                                   0,
                                   53,
                                   0,
                                   53,
                                   0,
                                   8,
                                   0,
                                   0};
static const uint8_t later[] = {IPPROTO_UDP, 0, 0, 0x08, 0, 0, 0, 9, 1, 2, 3, 4};

static void packet_with(unsigned n)
{
    static const struct {
        uint8_t protocol;
        uint16_t fragment;
        size_t options;
        bool v6;
        struct span text;
    } shapes[] = {
        {IPPROTO_TCP, 0x4000, 0, false, {syn, sizeof(syn)}},
        {IPPROTO_UDP, 0x4000, 8, false, {udp, sizeof(udp)}},
        {IPPROTO_UDP, 0x4010, 0, false, {udp, sizeof(udp)}},
        {IPPROTO_ICMP, 0x4000, 0, false, {echo, sizeof(echo)}},
        {IPPROTO_ICMP, 0x4000, 0, false, {unreachable, sizeof(unreachable)}},
        {IPPROTO_UDP, 0, 0, false, {udp, sizeof(udp)}},
        {IPPROTO_TCP, 0, 0, true, {syn, sizeof(syn)}},
        {IPPROTO_HOPOPTS, 0, 0, true, {extended, sizeof(extended)}},
        {IPPROTO_FRAGMENT, 0, 0, true, {later, sizeof(later)}},
        {IPPROTO_ICMPV6, 0, 0, true, {echo, sizeof(echo)}},
        {IPPROTO_ICMPV6, 0, 0, true, {unreachable, sizeof(unreachable)}},
    };
    const size_t count = sizeof(shapes) / sizeof(shapes[0]);
    if (shapes[n % count].v6)
        ipv6(shapes[n % count].protocol, shapes[n % count].text);
    else
        ipv4(shapes[n % count].protocol, shapes[n % count].fragment, shapes[n % count].options,
             shapes[n % count].text);
}

static void packet_seeds(void)
{
    for (unsigned n = 0; n < 11; n++) {
        begin();
        wire_write_u16(&w, 1280);
        wire_write_u16(&w, 1200);
        wire_write_u16(&w, 1280);
        wire_write_u8(&w, 0);
        wire_write_u16(&w, 0);
        wire_write_u16(&w, UINT16_MAX);
        packet_with(n);
        end("packet", "inner", n);
    }
}

/* As authentic packets of every suite, the last one a dummy; then the same numbers again. */
static void esp_seeds(void)
{
    for (unsigned kind = 0; kind < 10; kind++) {
        begin();
        wire_write_u8(&w, (uint8_t)(kind | (kind % 3 == 0 ? 0x80 : 0)));
        if (kind % 3 == 0)
            wire_write_u16(&w, 1000);
        for (unsigned n = 0; n < 8; n++) {
            wire_write_u8(&w, n == 5 ? 1 | 4 : n == 6 ? 1 | 8 : 1);
            if (n == 5)
                wire_write_u32(&w, 5000);
            else
                wire_write_u16(&w, (uint16_t)(2048 + 1 - n % 3));
            if (n == 6)
                wire_write_u8(&w, 9);
            size_t at = w.len;
            wire_write_u16(&w, 0);
            size_t from = w.len;
            packet_with(n < 4 ? n : n + 2);
            bool v4 = seed[from] >> 4 == 4;
            size_t pad = (16 - (w.len - from + 2) % 16) % 16;
            for (size_t i = 0; i < pad; i++)
                wire_write_u8(&w, (uint8_t)(i + 1));
            wire_write_u8(&w, (uint8_t)pad);
            wire_write_u8(&w, n == 7 ? IPPROTO_NONE : v4 ? IPPROTO_IPIP : IPPROTO_IPV6);
            wire_patch_len_u16(&w, at, from);
        }
        wire_write_u8(&w, 0);
        wire_write_u16(&w, 40);
        wire_write_zeros(&w, 40);
        end("esp_open", "packets", kind);
    }
}

/* --- pieces of messages --- */

static void piece(uint8_t id, uint8_t shape, uint8_t number, uint8_t total, size_t len)
{
    wire_write_u8(&w, id);
    wire_write_u8(&w, shape);
    wire_write_u8(&w, number);
    wire_write_u8(&w, total);
    wire_write_u8(&w, PAYLOAD_VENDOR);
    wire_write_u16(&w, (uint16_t)len);
    wire_write_zeros(&w, len);
    if ((shape & 0x10) != 0)
        wire_write_u16(&w, 0x2001);
}

static void fragment_seeds(void)
{
    for (uint8_t suite = 0; suite < 3; suite++) {
        begin();
        wire_write_u8(&w, (uint8_t)(suite << 2 | 1)); /* ours */
        wire_write_u16(&w, 200);
        wire_write_u8(&w, suite);
        wire_write_zeros(&w, 900);
        end("fragment", "ours", suite);
        begin();
        wire_write_u8(&w, (uint8_t)(suite << 2 | 2)); /* a peer's */
        piece(1, 8, 2, 3, 40);
        piece(1, 0, 3, 3, 8);
        piece(1, 0, 3, 3, 8); /* again */
        piece(1, 0x10, 1, 3, 8);
        piece(1, 8, 1, 3, 4);
        piece(1, 0, 1, 2, 4); /* fewer */
        piece(2, 4, 1, 2, 4); /* another message */
        piece(2, 4, 1, 4, 4); /* cut smaller */
        piece(2, 4, 5, 4, 4);
        piece(2, 4, 1, 65, 4);
        piece(3, 1, 1, 1, 0);
        end("fragment", "peer", suite);
        begin();
        wire_write_u8(&w, (uint8_t)(suite << 2));
        wire_write_zeros(&w, 16);
        wire_write_u32(&w, 0x35202308);
        wire_write_u32(&w, 1);
        wire_write_u32(&w, 28 + 60);
        wire_write_u16(&w, 0);
        wire_write_u16(&w, 60);
        wire_write_u16(&w, 1);
        wire_write_u16(&w, 2);
        wire_write_zeros(&w, 52);
        end("fragment", "raw", suite);
    }
}

/* --- netlink --- */

static void put(const void *bytes, size_t len)
{
    wire_write_span(&w, span_make(bytes, len));
    wire_write_zeros(&w, (4 - len % 4) % 4);
}

static void attribute(uint16_t type, const void *value, size_t len)
{
    const struct nlattr a = {.nla_len = (uint16_t)(sizeof(a) + len), .nla_type = type};
    put(&a, sizeof(a));
    put(value, len);
}

static size_t answer_begin(uint16_t type, uint16_t flags)
{
    const struct nlmsghdr m = {.nlmsg_type = type, .nlmsg_flags = flags};
    size_t at = w.len;
    put(&m, sizeof(m));
    return at;
}

static void answer_end(size_t at)
{
    uint32_t len = (uint32_t)(w.len - at); /* host order */
    memcpy(seed + at, &len, sizeof(len));
}

static void verdict(uint16_t type, int number, const char *words)
{
    struct nlmsgerr error = {.error = number, .msg = {.nlmsg_len = sizeof(struct nlmsghdr)}};
    size_t at = answer_begin(type, words != NULL ? NLM_F_ACK_TLVS | NLM_F_CAPPED : 0);
    put(&error, type == NLMSG_ERROR ? sizeof(error) : sizeof(number));
    if (words != NULL)
        attribute(NLMSGERR_ATTR_MSG, words, strlen(words) + 1);
    answer_end(at);
}

static void route_answer(uint16_t type, uint32_t table)
{
    const struct rtmsg rt = {.rtm_family = 2, .rtm_dst_len = 32};
    const uint8_t source[] = {192, 0, 2, 7};
    const uint32_t oif = 1;
    size_t at = answer_begin(type, NLM_F_MULTI);
    put(&rt, sizeof(rt));
    attribute(RTA_TABLE, &table, sizeof(table));
    attribute(RTA_PREFSRC, source, sizeof(source));
    attribute(RTA_OIF, &oif, sizeof(oif));
    answer_end(at);
}

static void link_answer(void)
{
    const struct ifinfomsg link = {.ifi_index = 1};
    const uint32_t mtu = 1500;
    size_t at = answer_begin(RTM_NEWLINK, 0);
    put(&link, sizeof(link));
    attribute(4 /* IFLA_MTU */, &mtu, sizeof(mtu));
    answer_end(at);
}

/* Our rule, and the guard of ours that fuzz_netlink installs. */
static void ours_answer(void)
{
    const struct fib_rule_hdr rule = {
        .family = 10, .action = FR_ACT_TO_TBL, .flags = FIB_RULE_INVERT};
    const struct rtmsg guard = {.rtm_family = 10, .rtm_dst_len = 32, .rtm_type = RTN_UNREACHABLE};
    const uint32_t table = 52000, priority = ROUTES_PRIORITY, mark = ROUTES_MARK,
                   mask = ROUTES_MARK_MASK, metric = 0x7fff0000;
    size_t at = answer_begin(RTM_NEWRULE, NLM_F_MULTI);
    put(&rule, sizeof(rule));
    attribute(FRA_TABLE, &table, sizeof(table));
    attribute(FRA_PRIORITY, &priority, sizeof(priority));
    attribute(FRA_FWMARK, &mark, sizeof(mark));
    attribute(FRA_FWMASK, &mask, sizeof(mask));
    answer_end(at);
    at = answer_begin(RTM_NEWROUTE, NLM_F_MULTI);
    put(&guard, sizeof(guard));
    attribute(RTA_TABLE, &table, sizeof(table));
    attribute(RTA_DST, "0123\0\0\0\0\0\0\0\0\0\0\0", 16);
    attribute(RTA_PRIORITY, &metric, sizeof(metric));
    answer_end(at);
}

/* One datagram of the kernel: what `write` puts in. */
static void datagram(unsigned kind)
{
    wire_write_u8(&w, kind == 5 ? 1 : 0);
    size_t at = w.len;
    wire_write_u16(&w, 0);
    size_t from = w.len;
    switch (kind) {
    case 0:
        route_answer(RTM_NEWROUTE, 100);
        verdict(NLMSG_ERROR, 0, NULL);
        break;
    case 1:
        link_answer();
        verdict(NLMSG_ERROR, 0, NULL);
        break;
    case 2:
        route_answer(RTM_NEWROUTE, 52000);
        route_answer(RTM_NEWRULE, 100);
        verdict(NLMSG_DONE, 0, NULL);
        break;
    case 10:
        ours_answer();
        verdict(NLMSG_DONE, 0, NULL);
        break;
    case 3:
        verdict(NLMSG_ERROR, -22, "because");
        break;
    case 4:
        verdict(NLMSG_DONE, -4, "interrupted");
        break;
    case 6: /* neither means anything to us */
        answer_end(answer_begin(NLMSG_NOOP, 0));
        answer_end(answer_begin(NLMSG_OVERRUN, NLM_F_DUMP_INTR));
        break;
    case 7: /* cut short */
        answer_end(answer_begin(NLMSG_ERROR, 0));
        break;
    case 8:
        answer_end(answer_begin(NLMSG_DONE, 0));
        break;
    case 9: /* our request echoed, with a length that it cannot have */
        verdict(NLMSG_ERROR, -1, "a");
        memset(seed + from + sizeof(struct nlmsghdr) + sizeof(int), 0, sizeof(uint32_t));
        memset(seed + from + offsetof(struct nlmsghdr, nlmsg_flags), NLM_F_ACK_TLVS >> 8, 2);
        seed[from + offsetof(struct nlmsghdr, nlmsg_flags)] = 0;
        break;
    default:
        route_answer(RTM_NEWROUTE, 100);
        verdict(NLMSG_ERROR, 0, NULL);
    }
    wire_patch_len_u16(&w, at, from);
}

static void netlink_seeds(void)
{
    static const uint8_t order[][8] = {{0, 1},       {2, 2, 2, 2}, {3, 2, 3, 0, 0, 3, 2, 3},
                                       {0, 3},       {3},          {4, 2, 2, 2},
                                       {5, 0, 1},    {6, 0},       {7},
                                       {8, 8, 8, 8}, {9}};
    for (uint8_t what = 0; what < 4; what++) {
        for (unsigned i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
            begin();
            wire_write_u8(&w, i == 5 ? what | 0x40 : what);
            for (size_t j = 0; j < sizeof(order[i]) && (j == 0 || order[i][j] != 0 || i == 2); j++)
                datagram(order[i][j]);
            end("netlink",
                what == 0   ? "route"
                : what == 1 ? "table"
                : what == 2 ? "clean"
                            : "watch",
                i);
        }
    }
    /* Three of ours are taken; then what the kernel has, and what becomes of that. */
    static const uint8_t restored[][9] = {{0, 0, 0, 10, 10, 0, 0, 0, 0},
                                          {0, 0, 0, 2, 2, 0, 0, 3},
                                          {0, 0, 0, 10, 3},
                                          {0, 0, 0, 3},
                                          {0, 0, 0, 10, 4, 4, 4, 4},
                                          {0, 0, 3}};
    for (unsigned i = 0; i < sizeof(restored) / sizeof(restored[0]); i++) {
        begin();
        wire_write_u8(&w, 0x22);
        for (size_t j = 0; j < sizeof(restored[i]); j++)
            datagram(restored[i][j]);
        end("netlink", "restore", i);
    }
}

/* --- payloads --- */

static void payload(uint8_t codec, const char *name, unsigned n, struct span body)
{
    begin();
    wire_write_u8(&w, codec);
    wire_write_span(&w, body);
    end("payload", name, n);
}

static void payload_seeds(void)
{
    static const uint8_t redirect_v4[] = {0, 0, 0x40, 0x17, 1, 4, 192, 0, 2, 1, 1, 2, 3,
                                          4, 5, 6,    7,    8, 9, 0,   1, 2, 3, 4, 5, 6};
    static const uint8_t redirect_v6[] = {0, 0, 0x40, 0x17, 2, 16, 0x20, 1, 13, 0xb8, 0,
                                          0, 0, 0,    0,    0, 0,  0,    0, 0,  0,    1};
    static const uint8_t redirect_name[] = {0, 0, 0x40, 0x17, 3, 5, 'g', 'w', '.', 'e', 'x'};
    static const uint8_t notify_spi[] = {3, 4, 0x40, 9, 1, 2, 3, 4};
    static const uint8_t delete_esp[] = {3, 4, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t delete_ike[] = {1, 0, 0, 0};
    static const uint8_t ts_v6[] = {
        3, 0,  0, 0,  8, 58,   0,  40, 0,    0, 255, 255, 0x20, 1, 13, 0xb8, 0, 0, 0, 0, 0, 0, 0,
        0, 0,  0, 0,  1, 0x20, 1,  13, 0xb8, 0, 0,   0,   0,    0, 0,  0,    0, 0, 0, 0, 9, 7, 6,
        0, 16, 0, 80, 0, 80,   10, 0,  0,    1, 10,  0,   0,    9, 99, 0,    0, 8, 1, 2, 3, 4};
    static const uint8_t cp_all[] = {
        2, 0,  0, 0, 0,   1,   0,   4,   10, 7,  0,  2,  0,    2,    0,  4,    255,  255, 255, 0,
        0, 3,  0, 4, 10,  9,   0,   53,  0,  13, 0,  8,  10,   9,    0,  0,    255,  255, 0,   0,
        0, 25, 0, 4, 'e', 'x', '.', 'a', 0,  8,  0,  17, 0x20, 1,    13, 0xb8, 0,    0,   0,   0,
        0, 0,  0, 0, 0,   0,   0,   7,   64, 0,  10, 0,  16,   0x20, 1,  13,   0xb8, 0,   0,   0,
        0, 0,  0, 0, 0,   0,   0,   0,   8,  0,  15, 0,  17,   0x20, 1,  13,   0xb8, 0,   0,   0,
        0, 0,  0, 0, 0,   0,   0,   0,   0,  48, 0,  7,  0,    1,    'x'};
    static const uint8_t cp_ask[] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 8, 0, 0, 0, 10, 0, 0};
    static const uint8_t eap_identity[] = {1, 7, 0, 6, 1, 'a'};
    static const uint8_t eap_success[] = {3, 7, 0, 4};
    static const uint8_t id_dn[] = {9, 0, 0,  0, 0x30, 14, 0x31, 12,  0x30, 10,
                                    6, 3, 85, 4, 3,    12, 3,    'a', 'b',  'c'};
    static const uint8_t id_v6[] = {5, 0, 0, 0, 0x20, 1, 13, 0xb8, 0, 0,
                                    0, 0, 0, 0, 0,    0, 0,  0,    0, 1};
    static const uint8_t cert[] = {4, 0x30, 0};
    payload(6, "redirect", 0, SPAN_OF(redirect_v4));
    payload(6, "redirect", 1, SPAN_OF(redirect_v6));
    payload(6, "redirect", 2, SPAN_OF(redirect_name));
    payload(5, "notify-spi", 0, SPAN_OF(notify_spi));
    payload(7, "delete", 0, SPAN_OF(delete_esp));
    payload(7, "delete", 1, SPAN_OF(delete_ike));
    payload(8, "selectors", 0, SPAN_OF(ts_v6));
    payload(9, "configuration", 0, SPAN_OF(cp_all));
    payload(9, "configuration", 1, SPAN_OF(cp_ask));
    payload(10, "eap", 0, SPAN_OF(eap_identity));
    payload(10, "eap", 1, SPAN_OF(eap_success));
    payload(1, "identity", 0, SPAN_OF(id_dn));
    payload(1, "identity", 1, SPAN_OF(id_v6));
    payload(2, "certificate", 0, SPAN_OF(cert));
}

/* More than fits a line for people. */
static void many_selectors(void)
{
    enum { MANY = 32 };
    begin();
    wire_write_u8(&w, 8);
    wire_write_u8(&w, MANY);
    wire_write_zeros(&w, 3);
    for (uint64_t i = 0; i < MANY; i++) {
        wire_write_u32(&w, 0x08060028);
        wire_write_u32(&w, 0x00010002);
        for (int end_of = 0; end_of < 2; end_of++) {
            wire_write_u64(&w, 0x20010db8123456ff);
            wire_write_u64(&w, 0xabcdef0100000000 + i * 16 + (end_of ? 7u : 1u));
        }
    }
    end("payload", "selectors-many", 0);
}

static void proposal_seeds(void)
{
    static struct proposal_list l;
    for (uint8_t protocol = PROTOCOL_IKE; protocol <= PROTOCOL_ESP; protocol += 2) {
        proposal_list_default(protocol, &l);
        for (size_t i = 0; protocol == PROTOCOL_ESP && i < l.count; i++)
            l.items[i].spi_len = 4;
        for (uint8_t variant = 0; variant < 8; variant += 2) {
            begin();
            wire_write_u8(&w, variant);
            proposal_list_write(&w, &l);
            end("proposal", protocol == PROTOCOL_IKE ? "default-ike" : "default-esp", variant);
        }
    }
}

/* Notices and requests of strangers, right and nearly right. */
static void stray_seeds(void)
{
    static const struct {
        uint64_t spi_i, spi_r;
        uint8_t next, version, exchange, flags;
        size_t len;
    } shapes[] = {
        {1, 2, PAYLOAD_NOTIFY, 0x20, EXCHANGE_INFORMATIONAL, 0x20, 12},
        {1, 2, PAYLOAD_NOTIFY, 0x20, EXCHANGE_INFORMATIONAL, 0, 300},
        {1, 2, PAYLOAD_NOTIFY, 0x10, EXCHANGE_INFORMATIONAL, 0x20, 12},
        {1, 2, PAYLOAD_SK, 0x20, EXCHANGE_INFORMATIONAL, 0x08, 40},
        {0, 2, PAYLOAD_SK, 0x20, EXCHANGE_INFORMATIONAL, 0x08, 40},
        {1, 0, PAYLOAD_SK, 0x20, EXCHANGE_INFORMATIONAL, 0x08, 40},
        {1, 2, PAYLOAD_SK, 0x20, EXCHANGE_IKE_SA_INIT, 0x08, 40},
        {1, 2, PAYLOAD_SK, 0x30, EXCHANGE_INFORMATIONAL, 0x08, 40},
    };
    for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        begin();
        wire_write_u8(&w, 0);
        wire_write_u64(&w, shapes[i].spi_i);
        wire_write_u64(&w, shapes[i].spi_r);
        wire_write_u8(&w, shapes[i].next);
        wire_write_u8(&w, shapes[i].version);
        wire_write_u8(&w, shapes[i].exchange);
        wire_write_u8(&w, shapes[i].flags);
        wire_write_u32(&w, 0);
        wire_write_u32(&w, (uint32_t)(IKE_HEADER_LEN + shapes[i].len));
        wire_write_u16(&w, 0);
        wire_write_u16(&w, (uint16_t)shapes[i].len);
        wire_write_u32(&w, NOTIFY_INVALID_SPI);
        wire_write_zeros(&w, shapes[i].len - 8);
        end("datagram", "stray", i);
    }
}

void seeds_of_packets(void)
{
    packet_seeds();
    esp_seeds();
    fragment_seeds();
    netlink_seeds();
    payload_seeds();
    many_selectors();
    stray_seeds();
    proposal_seeds();
}
