/* Netlink answers as no kernel should give them. libmnl's socket calls are replaced: what is
 * received is what the test wrote down. */
#include "platform/linux/netlink.h"

#include <errno.h>
#include <limits.h>
#include <linux/netlink.h>
#include <string.h>

#include "tests/support/support.h"

enum { PORT = 77, ANSWERS_MAX = 2, ANSWER_MAX = 256 };

static struct {
    uint8_t bytes[ANSWER_MAX];
    size_t len;
} answers[ANSWERS_MAX];
static size_t answer_count, answer_next;
static uint32_t sequence;
static int socket_stub;
static struct netlink netlink;
static unsigned visited;

struct mnl_socket *mnl_socket_open2(int bus, int flags)
{
    (void)bus, (void)flags;
    return (void *)&socket_stub;
}

int mnl_socket_bind(struct mnl_socket *s, unsigned groups, pid_t pid)
{
    (void)s, (void)groups, (void)pid;
    return 0;
}

int mnl_socket_setsockopt(const struct mnl_socket *s, int type, void *buf, socklen_t len)
{
    (void)s, (void)type, (void)buf, (void)len;
    return 0;
}

int mnl_socket_close(struct mnl_socket *s)
{
    (void)s;
    return 0;
}

unsigned mnl_socket_get_portid(const struct mnl_socket *s)
{
    (void)s;
    return PORT;
}

ssize_t mnl_socket_sendto(const struct mnl_socket *s, const void *request, size_t len)
{
    struct nlmsghdr m;
    (void)s;
    memcpy(&m, request, sizeof m);
    sequence = m.nlmsg_seq;
    return (ssize_t)len;
}

/* The first message of each answer is about what was asked. */
ssize_t mnl_socket_recvfrom(const struct mnl_socket *s, void *buf, size_t cap)
{
    (void)s;
    if (answer_next == answer_count) {
        errno = EAGAIN;
        return -1;
    }
    size_t len = answers[answer_next].len;
    ck_assert(len <= cap && len >= sizeof(struct nlmsghdr));
    memcpy(buf, answers[answer_next++].bytes, len);
    struct nlmsghdr m;
    memcpy(&m, buf, sizeof m);
    m.nlmsg_seq = sequence;
    m.nlmsg_pid = PORT;
    memcpy(buf, &m, sizeof m);
    return (ssize_t)len;
}

static void setup(void)
{
    struct fault f;
    answer_count = answer_next = visited = 0;
    ck_ok(netlink_open(&netlink, &f));
}

static void teardown(void)
{
    netlink_close(&netlink);
}

static void visit(const struct nlmsghdr *m, void *ctx)
{
    (void)m, (void)ctx;
    visited++;
}

static int ask(void)
{
    struct netlink_request r;
    struct nlmsghdr *m = netlink_begin(&r, NLMSG_MIN_TYPE, 0);
    answer_next = 0;
    return netlink_call(&netlink, m, visit, NULL);
}

static void answer(struct nlmsghdr header, const void *body, size_t len)
{
    ck_assert(answer_count < ANSWERS_MAX && sizeof header + len <= ANSWER_MAX);
    uint8_t *bytes = answers[answer_count].bytes;
    if (header.nlmsg_len == 0)
        header.nlmsg_len = (uint32_t)(sizeof header + len);
    memcpy(bytes, &header, sizeof header);
    memcpy(bytes + sizeof header, body, len);
    answers[answer_count++].len = sizeof header + len;
}

static void answer_done(int number)
{
    const struct nlmsgerr done = {.error = number};
    answer((struct nlmsghdr){.nlmsg_type = NLMSG_ERROR, .nlmsg_flags = NLM_F_CAPPED}, &done,
           sizeof done);
}

/* libmnl takes them for negative, and so for short. */
START_TEST(a_length_of_gigabytes_is_passed_over)
{
    static const uint32_t lengths[] = {0x80000000, 0x80000010, 0xfffffff0, UINT32_MAX, INT_MAX};
    const uint8_t body[32] = {0};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        answer_count = 0;
        answer((struct nlmsghdr){.nlmsg_type = NLMSG_MIN_TYPE, .nlmsg_len = lengths[i]}, body,
               sizeof body);
        answer_done(0);
        ck_assert_int_eq(ask(), 0);
        ck_assert_uint_eq(answer_next, 2);
        ck_assert_uint_eq(visited, 0);
    }
    answer_count = 0;
    answer((struct nlmsghdr){.nlmsg_type = NLMSG_MIN_TYPE}, body, sizeof body);
    answer_done(0);
    ck_assert_int_eq(ask(), 0);
    ck_assert_uint_eq(visited, 1);
}
END_TEST

START_TEST(a_verdict_is_an_errno)
{
    answer_done(-EPERM);
    ck_assert_int_eq(ask(), EPERM);
    ck_assert_str_eq(netlink.reason, strerror(EPERM));
    static const int wrong[] = {INT_MIN, INT_MIN + 1, -4096};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        answer_count = 0;
        answer_done(wrong[i]);
        ck_assert_int_eq(ask(), EBADMSG);
    }
}
END_TEST

/* EPERM about a request that claims a length, of which `echoed` octets behind its header are given
 * back (none where it is capped); then `words`. */
static void answer_words(uint16_t flags, uint32_t claimed, size_t echoed, const void *words,
                         size_t words_len)
{
    uint8_t body[ANSWER_MAX - sizeof(struct nlmsghdr)] = {0};
    const struct nlmsgerr head = {.error = -EPERM, .msg.nlmsg_len = claimed};
    const struct nlattr a = {(uint16_t)(sizeof a + words_len), NLMSGERR_ATTR_MSG};
    size_t at = sizeof head + echoed;
    memcpy(body, &head, sizeof head);
    memcpy(body + at, &a, sizeof a);
    memcpy(body + at + sizeof a, words, words_len);
    answer_count = 0;
    answer((struct nlmsghdr){.nlmsg_type = NLMSG_ERROR,
                             .nlmsg_flags = (uint16_t)(NLM_F_ACK_TLVS | flags)},
           body, (at + sizeof a + words_len + 3) & ~(size_t)3);
    ck_assert_int_eq(ask(), EPERM);
}

START_TEST(the_kernel_has_words)
{
    char expected[NETLINK_REASON_MAX];
    snprintf(expected, sizeof expected, "%s (no such thing)", strerror(EPERM));
    const uint32_t head = sizeof(struct nlmsghdr);
    answer_words(NLM_F_CAPPED, head + 20, 0, "no such thing", 14);
    ck_assert_str_eq(netlink.reason, expected);
    answer_words(0, head + 20, 20, "no such thing", 14);
    ck_assert_str_eq(netlink.reason, expected);
    answer_words(0, head + 19, 20, "no such thing", 14); /* aligned */
    ck_assert_str_eq(netlink.reason, expected);
}
END_TEST

/* An echoed request that is shorter than its header, or longer than the answer; words without an
 * end: no words. */
START_TEST(words_that_lie_elsewhere_are_none)
{
    const uint32_t head = sizeof(struct nlmsghdr);
    answer_words(0, head + 20, 20, "endless", 7);
    ck_assert_str_eq(netlink.reason, strerror(EPERM));
    answer_words(NLM_F_CAPPED, head, 0, "", 0);
    ck_assert_str_eq(netlink.reason, strerror(EPERM));
    static const uint32_t claims[] = {0, 4, 15, 1000, INT_MAX, 0x80000000, UINT32_MAX};
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        answer_words(0, claims[i], 0, "words", 6);
        ck_assert_str_eq(netlink.reason, strerror(EPERM));
    }
    /* at 8 octets its own sequence number and port would be the words */
    struct nlmsgerr error = {.error = -EPERM, .msg.nlmsg_len = 8};
    const struct nlattr a = {sizeof a + 4, NLMSGERR_ATTR_MSG};
    memcpy(&error.msg.nlmsg_seq, &a, sizeof a);
    memcpy(&error.msg.nlmsg_pid, "abc", 4);
    answer_count = 0;
    answer((struct nlmsghdr){.nlmsg_type = NLMSG_ERROR, .nlmsg_flags = NLM_F_ACK_TLVS}, &error,
           sizeof error);
    ck_assert_int_eq(ask(), EPERM);
    ck_assert_str_eq(netlink.reason, strerror(EPERM));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("platform netlink");
    TCase *t = tcase_create("answers");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_length_of_gigabytes_is_passed_over);
    tcase_add_test(t, a_verdict_is_an_errno);
    tcase_add_test(t, the_kernel_has_words);
    tcase_add_test(t, words_that_lie_elsewhere_are_none);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
