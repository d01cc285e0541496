/* What the process may do: capability and device asked for in the way they will be used, secret
 * files judged by the descriptor that was opened (not by a name that may change meaning). */
#include "platform/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/close_range.h>

#include "platform/linux/permission.h"

enum { DESCRIPTORS_MAX = 65536 };

#define TUN_DEVICE "/dev/net/tun"

void permission_hint_net_admin(struct fault *f)
{
    char program[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    program[len > 0 ? len : 0] = '\0';
    fault_hint(f, "run it with sudo, or once: sudo setcap cap_net_admin+ep %s",
               len > 0 ? program : "/usr/bin/tern");
}

enum err permission_open_tun(int *ret_fd, struct fault *f)
{
    int fd = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) {
        *ret_fd = fd;
        return ERR_OK;
    }
    int number = errno;
    enum err e = ERR_SYSTEM;
    if (number == EACCES || number == EPERM)
        e = ERR_REFUSED;
    (void)fault_set(f, e, "%s cannot be opened: %s", TUN_DEVICE, strerror(number));
    if (number == EACCES)
        fault_hint(f, "run it with sudo, or: sudo chmod 0666 %s", TUN_DEVICE);
    else if (number == EPERM)
        fault_hint(f, "the container must be given the device: --device %s", TUN_DEVICE);
    else if (number == ENOENT || number == ENODEV || number == ENXIO)
        fault_hint(f, "load the kernel's TUN driver: sudo modprobe tun");
    return e;
}

static bool have_net_admin(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    if (syscall(SYS_capget, &header, data) != 0)
        return false;
    return (data[CAP_TO_INDEX(CAP_NET_ADMIN)].effective & CAP_TO_MASK(CAP_NET_ADMIN)) != 0;
}

enum err privileges_check(struct fault *f)
{
    if (!have_net_admin()) {
        (void)fault_set(f, ERR_REFUSED,
                        "no permission to create a network interface: CAP_NET_ADMIN is missing");
        permission_hint_net_admin(f);
        return ERR_REFUSED;
    }
    int fd;
    if (permission_open_tun(&fd, f) != ERR_OK) {
        /* Whatever the reason, there will be no tunnel: one answer for the caller. */
        if (f != NULL)
            f->code = ERR_REFUSED;
        return ERR_REFUSED;
    }
    (void)close(fd);
    return ERR_OK;
}

void privileges_protect_memory(void)
{
    /* Neither fails with these arguments; where a sandbox forbids them, nothing is lost that we
     * had. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

void privileges_keep_file_access(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    const uint32_t kept =
        (uint32_t)(CAP_TO_MASK(CAP_DAC_OVERRIDE) | CAP_TO_MASK(CAP_DAC_READ_SEARCH));
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capget, &header, data) != 0)
        return;
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        uint32_t mask = i == 0 ? kept : 0;
        data[i].effective &= mask;
        data[i].permitted &= mask;
        data[i].inheritable = 0;
    }
    (void)syscall(SYS_capset, &header, data);
}

void privileges_keep_descriptors(void)
{
    if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    long most = sysconf(_SC_OPEN_MAX); /* before Linux 5.11 */
    most = most < DESCRIPTORS_MAX ? most : DESCRIPTORS_MAX;
    for (int fd = STDERR_FILENO + 1; fd < most; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags >= 0)
            (void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
    }
}

static enum err judge_secret(int fd, const char *path, struct fault *f)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fault_set(f, ERR_SYSTEM, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return fault_set(f, ERR_REFUSED, "%s is not a regular file", path);
    if (st.st_uid != 0 && st.st_uid != geteuid()) {
        (void)fault_set(f, ERR_REFUSED, "%s belongs to another user (uid %u)", path,
                        (unsigned)st.st_uid);
        fault_hint(f, "sudo chown %u %s", (unsigned)geteuid(), path);
        return ERR_REFUSED;
    }
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        (void)fault_set(f, ERR_REFUSED, "%s is open to other users (mode %04o)", path,
                        (unsigned)(st.st_mode & 07777));
        fault_hint(f, "chmod 600 %s", path);
        return ERR_REFUSED;
    }
    return ERR_OK;
}

enum err privileges_check_secret_file(const char *path, struct fault *f)
{
    /* Non-blocking: a FIFO must not hold us. */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        int number = errno;
        if (number == ENOENT || number == ENOTDIR)
            return fault_set(f, ERR_NOT_FOUND, "%s: no such file", path);
        if (number != EACCES && number != EPERM)
            return fault_set(f, ERR_SYSTEM, "%s: %s", path, strerror(number));
        (void)fault_set(f, ERR_REFUSED, "%s cannot be read: %s", path, strerror(number));
        fault_hint(f, "sudo chown %u %s", (unsigned)geteuid(), path);
        return ERR_REFUSED;
    }
    enum err e = judge_secret(fd, path, f);
    (void)close(fd);
    return e;
}
