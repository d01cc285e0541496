/* Namespaces for tests of the platform. One user namespace serves all tests of a process (they can
 * be nested 32 deep only, and without Check's fork there may be more tests); the network is new
 * each time. */
#include "tests/support/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>

#include "tests/support/support.h"

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_msg(fd >= 0, "%s", path);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void become_root(void)
{
    char map[64];
    unsigned uid = geteuid(), gid = getegid();
    if (unshare(CLONE_NEWUSER) !=
        0) { /* with several threads: ThreadSanitizer has one of its own */
        ck_assert_msg(errno == EINVAL && geteuid() == 0, "no user namespaces here");
        return;
    }
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof(map), "0 %u 1", uid);
    write_file("/proc/self/uid_map", map);
    snprintf(map, sizeof(map), "0 %u 1", gid);
    write_file("/proc/self/gid_map", map);
}

void support_enter_namespace(void)
{
    static bool inside;
    if (!inside)
        become_root();
    inside = true;
    ck_assert_msg(unshare(CLONE_NEWNET) == 0, "no network namespaces here");
    ck_assert_int_eq(system("ip link set lo up"), 0);
}

void support_capability(int capability, bool effective)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    ck_assert_int_eq(syscall(SYS_capget, &header, data), 0);
    __u32 *set = &data[CAP_TO_INDEX(capability)].effective;
    *set = effective ? *set | CAP_TO_MASK(capability) : *set & ~CAP_TO_MASK(capability);
    ck_assert_int_eq(syscall(SYS_capset, &header, data), 0);
}

void support_shell(const char *commands)
{
    char text[2048];
    ck_assert(snprintf(text, sizeof(text), "set -e; %s", commands) < (int)sizeof(text));
    ck_assert_msg(system(text) == 0, "%s", commands);
}

void support_addresses_settle(void)
{
    support_shell("i=0; until [ $(ip -6 -o addr | wc -l) = "
                  "$(ip -6 route show table local | grep -c ^local) ]; do "
                  "[ $((i += 1)) -lt 300 ]; sleep 0.1; done");
}

void support_network(const char *name, unsigned number, unsigned metric)
{
    char text[1024];
    int len = snprintf(text, sizeof(text),
                       "ip -batch - <<END\n"
                       "link add %1$s type veth peer name far%2$u\n"
                       "link set far%2$u up\n"
                       "link set %1$s up\n"
                       "addr add 10.0.%2$u.2/24 dev %1$s\n"
                       "addr add 2001:db8:%2$u::2/64 dev %1$s nodad\n"
                       "route add default via 10.0.%2$u.1 metric %3$u\n"
                       "route add default via 2001:db8:%2$u::1 metric %3$u\n"
                       "END\n",
                       name, number, metric);
    ck_assert(len < (int)sizeof(text));
    support_shell(text);
}
