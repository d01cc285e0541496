/* rtnetlink on libmnl. The kernel answers within the system call that asks, so blocking reads end;
 * answers are matched by sequence number, so leftovers of an abandoned conversation are passed
 * over. The watcher of changes, which asks nothing, is in network_watch.c. */
#include "platform/linux/netlink.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netlink.h>

/* A dump is read in pieces of up to this size; the kernel makes none larger. */
enum { ANSWER_MAX = 32768, DUMP_TRIES = 4, ERRNO_MAX = 4095 };

enum err netlink_open(struct netlink *n, struct fault *f)
{
    *n = (struct netlink){.socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC)};
    if (n->socket == NULL)
        return fault_set(f, ERR_SYSTEM, "netlink socket: %s", strerror(errno));
    if (mnl_socket_bind(n->socket, 0, MNL_SOCKET_AUTOPID) != 0) {
        enum err e = fault_set(f, ERR_SYSTEM, "netlink socket: %s", strerror(errno));
        netlink_close(n);
        return e;
    }
    /* Words with refusals, refusals without our request echoed, dumps filtered by the kernel: all
     * of it is comfort that an older kernel may lack. */
    int on = 1;
    (void)mnl_socket_setsockopt(n->socket, NETLINK_EXT_ACK, &on, sizeof on);
    (void)mnl_socket_setsockopt(n->socket, NETLINK_CAP_ACK, &on, sizeof on);
    (void)mnl_socket_setsockopt(n->socket, NETLINK_GET_STRICT_CHK, &on, sizeof on);
    return ERR_OK;
}

void netlink_close(struct netlink *n)
{
    if (n->socket != NULL)
        (void)mnl_socket_close(n->socket);
    n->socket = NULL;
}

struct nlmsghdr *netlink_begin(struct netlink_request *r, uint16_t type, uint16_t flags)
{
    memset(r, 0, sizeof(*r)); /* libmnl leaves the padding of attributes as it was */
    struct nlmsghdr *m = mnl_nlmsg_put_header(r->bytes);
    m->nlmsg_type = type;
    m->nlmsg_flags = flags;
    return m;
}

void netlink_put_ip(struct nlmsghdr *m, uint16_t attribute, const struct ip *a)
{
    mnl_attr_put(m, attribute, ip_len(a->family), a->bytes);
}

uint8_t netlink_family(enum ip_family family)
{
    return family == IP_V6 ? AF_INET6 : AF_INET;
}

static const struct nlattr *find_attribute(const char *at, const char *end, uint16_t type,
                                           size_t least)
{
    for (const struct nlattr *a = (const void *)at; mnl_attr_ok(a, (int)(end - (const char *)a));
         a = mnl_attr_next(a)) {
        if (mnl_attr_get_type(a) == type)
            return mnl_attr_get_payload_len(a) >= least ? a : NULL;
    }
    return NULL;
}

const struct nlattr *netlink_attribute(const struct nlmsghdr *m, size_t header, uint16_t type,
                                       size_t least)
{
    if (mnl_nlmsg_get_payload_len(m) < header)
        return NULL;
    return find_attribute(mnl_nlmsg_get_payload_offset(m, header), mnl_nlmsg_get_payload_tail(m),
                          type, least);
}

const struct nlattr *netlink_nested(const struct nlattr *parent, uint16_t type, size_t least)
{
    const char *at = mnl_attr_get_payload(parent);
    return find_attribute(at, at + mnl_attr_get_payload_len(parent), type, least);
}

/* The extended acknowledgement's text, or NULL. */
static const char *verdict_words(const struct nlmsghdr *m, size_t header)
{
    if ((m->nlmsg_flags & NLM_F_ACK_TLVS) == 0)
        return NULL;
    if (m->nlmsg_type == NLMSG_ERROR && (m->nlmsg_flags & NLM_F_CAPPED) == 0) {
        const struct nlmsgerr *error = mnl_nlmsg_get_payload(m);
        if (error->msg.nlmsg_len < sizeof(struct nlmsghdr))
            return NULL;
        header += error->msg.nlmsg_len - sizeof(struct nlmsghdr);
    }
    const struct nlattr *a = netlink_attribute(m, (header + 3) & ~(size_t)3, NLMSGERR_ATTR_MSG, 1);
    return a != NULL && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0 ? mnl_attr_get_str(a) : NULL;
}

/* What NLMSG_ERROR or NLMSG_DONE says: 0 or an errno. */
static int verdict(struct netlink *n, const struct nlmsghdr *m)
{
    size_t header = m->nlmsg_type == NLMSG_ERROR ? sizeof(struct nlmsgerr) : sizeof(int);
    if (mnl_nlmsg_get_payload_len(m) < header)
        return m->nlmsg_type == NLMSG_ERROR ? EBADMSG : 0;
    int number = 0; /* both begin with the negative errno */
    memcpy(&number, mnl_nlmsg_get_payload(m), sizeof number);
    if (number >= 0)
        return 0;
    if (number < -ERRNO_MAX)
        return EBADMSG;
    const char *words = verdict_words(m, header);
    if (words != NULL)
        (void)snprintf(n->reason, sizeof n->reason, "%s (%s)", strerror(-number), words);
    else
        (void)snprintf(n->reason, sizeof n->reason, "%s", strerror(-number));
    return -number;
}

static int fail(struct netlink *n, int number)
{
    (void)snprintf(n->reason, sizeof n->reason, "%s", strerror(number));
    return number;
}

bool netlink_holds_message(const struct nlmsghdr *m, int left)
{
    return left >= (int)sizeof(*m) && m->nlmsg_len >= sizeof(*m) && m->nlmsg_len <= (uint32_t)left;
}

/* Answers up to the verdict; EINTR where the tables changed under a dump. */
static int receive(struct netlink *n, netlink_visit *visit, void *ctx)
{
    _Alignas(struct nlmsghdr) char buf[ANSWER_MAX];
    bool interrupted = false;
    for (;;) {
        ssize_t got = mnl_socket_recvfrom(n->socket, buf, sizeof buf);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(n, errno);
        int left = (int)got;
        for (const struct nlmsghdr *m = (const void *)buf; netlink_holds_message(m, left);
             m = mnl_nlmsg_next(m, &left)) {
            if (m->nlmsg_seq != n->sequence || m->nlmsg_pid != mnl_socket_get_portid(n->socket))
                continue;
            if ((m->nlmsg_flags & NLM_F_DUMP_INTR) != 0)
                interrupted = true;
            if (m->nlmsg_type == NLMSG_ERROR || m->nlmsg_type == NLMSG_DONE) {
                int number = verdict(n, m);
                return number == 0 && interrupted ? fail(n, EINTR) : number;
            }
            if (m->nlmsg_type >= NLMSG_MIN_TYPE && visit != NULL)
                visit(m, ctx);
        }
    }
}

int netlink_call(struct netlink *n, struct nlmsghdr *request, netlink_visit *visit, void *ctx)
{
    request->nlmsg_flags |= NLM_F_REQUEST;
    if ((request->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
        request->nlmsg_flags |= NLM_F_ACK;
    int number = EINTR;
    for (int i = 0; i < DUMP_TRIES && number == EINTR; i++) {
        request->nlmsg_seq = ++n->sequence;
        if (mnl_socket_sendto(n->socket, request, request->nlmsg_len) < 0)
            number = fail(n, errno);
        else
            number = receive(n, visit, ctx);
    }
    return number;
}
