#include "platform/linux/route_question.h"

#include <linux/rtnetlink.h>

static void read_route(const struct nlmsghdr *m, void *ctx)
{
    struct route_answer *answer = ctx;
    if (m->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(m) < sizeof(struct rtmsg))
        return;
    const struct rtmsg *rt = mnl_nlmsg_get_payload(m);
    const struct nlattr *source = netlink_attribute(m, sizeof(*rt), RTA_PREFSRC, 4);
    const struct nlattr *oif = netlink_attribute(m, sizeof(*rt), RTA_OIF, 4);
    const struct nlattr *metric = netlink_attribute(m, sizeof(*rt), RTA_PRIORITY, 4);
    answer->told = true;
    answer->type = rt->rtm_type;
    if (source != NULL)
        answer->source =
            ip_from_span(span_make(mnl_attr_get_payload(source), mnl_attr_get_payload_len(source)));
    if (oif != NULL)
        answer->interface = mnl_attr_get_u32(oif);
    if (metric != NULL)
        answer->metric = mnl_attr_get_u32(metric);
}

int route_ask(struct netlink *n, const struct route_question *q, uint32_t flags,
              struct route_answer *ret)
{
    struct netlink_request r;
    struct nlmsghdr *m = netlink_begin(&r, RTM_GETROUTE, 0);
    struct rtmsg *rt = mnl_nlmsg_put_extra_header(m, sizeof(*rt));
    rt->rtm_family = netlink_family(q->remote->family);
    rt->rtm_dst_len = ip_bits(q->remote->family);
    rt->rtm_flags = flags;
    netlink_put_ip(m, RTA_DST, q->remote);
    if (q->mark != 0)
        mnl_attr_put_u32(m, RTA_MARK, q->mark);
    if (q->interface != 0)
        mnl_attr_put_u32(m, RTA_OIF, q->interface);
    *ret = (struct route_answer){0};
    return netlink_call(n, m, read_route, ret);
}
