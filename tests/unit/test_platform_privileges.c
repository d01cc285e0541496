/* What the process may do, and which secret files it takes. */
#include "platform/privileges.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>

#include "tests/support/namespace.h"
#include "tests/support/support.h"

static char directory[] = "/tmp/tern-secret-XXXXXX";
static char path[64];
static struct fault f;

static void setup(void)
{
    memcpy(directory + sizeof(directory) - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/secret", directory);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    f = (struct fault){0};
}

static void teardown(void)
{
    ck_assert(unlink(path) == 0 || rmdir(path) == 0);
    ck_assert_int_eq(rmdir(directory), 0);
}

/* --- secret files --- */

START_TEST(modes)
{
    static const mode_t good[] = {0600, 0400, 0700};
    char mode[16];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_int_eq(chmod(path, good[i]), 0);
        ck_ok(privileges_check_secret_file(path, &f));
    }
    for (unsigned bit = 1; bit <= 040; bit *= 2) { /* any access of group or others */
        ck_assert_int_eq(chmod(path, 0600 | bit), 0);
        ck_err(privileges_check_secret_file(path, &f), ERR_REFUSED);
        snprintf(mode, sizeof(mode), "mode %04o", 0600 | bit);
        ck_assert_ptr_nonnull(strstr(f.text, mode));
        ck_assert_ptr_nonnull(strstr(f.hint, "chmod 600"));
        ck_assert_ptr_nonnull(strstr(f.hint, path));
    }
}
END_TEST

START_TEST(not_there)
{
    char below[96];
    ck_err(privileges_check_secret_file("/nowhere/at/all", &f), ERR_NOT_FOUND);
    snprintf(below, sizeof(below), "%s/below", path); /* a file is no directory */
    ck_err(privileges_check_secret_file(below, &f), ERR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(f.text, below));
}
END_TEST

START_TEST(no_regular_file)
{
    ck_err(privileges_check_secret_file(directory, &f), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(f.text, "not a regular file"));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0); /* nobody writes: we are not to wait for it */
    ck_err(privileges_check_secret_file(path, &f), ERR_REFUSED);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink(path, path), 0); /* round and round */
    ck_err(privileges_check_secret_file(path, &f), ERR_SYSTEM);
}
END_TEST

START_TEST(not_readable)
{
    bool root = geteuid() == 0;
    ck_assert_int_eq(chmod(path, 0), 0);
    if (root) {
        support_capability(CAP_DAC_OVERRIDE, false);
        support_capability(CAP_DAC_READ_SEARCH, false);
    }
    enum err e = privileges_check_secret_file(path, &f);
    if (root) {
        support_capability(CAP_DAC_OVERRIDE, true);
        support_capability(CAP_DAC_READ_SEARCH, true);
    }
    ck_err(e, ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(f.text, "cannot be read"));
    ck_assert_ptr_nonnull(strstr(f.hint, "chown"));
}
END_TEST

/* Root can give a file away; for the others root's files look like a stranger's from inside a user
 * namespace. */
START_TEST(of_another_user)
{
    const char *strange = path;
    if (geteuid() != 0) {
        support_enter_namespace();
        strange = "/etc/passwd";
    } else {
        ck_assert_int_eq(chown(path, 4711, 4711), 0);
    }
    ck_err(privileges_check_secret_file(strange, &f), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(f.text, "belongs to another user"));
    ck_assert_ptr_nonnull(strstr(f.hint, "chown"));
}
END_TEST

/* --- the process --- */

START_TEST(what_up_needs)
{
    support_enter_namespace();
    ck_assert_msg(privileges_check(&f) == ERR_OK, "%s", f.text);
    support_capability(CAP_NET_ADMIN, false);
    enum err e = privileges_check(&f);
    support_capability(CAP_NET_ADMIN, true);
    ck_err(e, ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(f.text, "CAP_NET_ADMIN is missing"));
    ck_assert_ptr_nonnull(strstr(f.hint, "setcap cap_net_admin+ep /")); /* this very program */
    ck_assert_ptr_nonnull(strstr(f.hint, "test_platform_privileges"));
}
END_TEST

START_TEST(without_the_device)
{
    support_enter_namespace();
    ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
    ck_assert_int_eq(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL), 0);
    ck_assert_int_eq(mount("none", "/dev/net", "tmpfs", 0, NULL), 0);
    enum err e = privileges_check(&f);
    ck_assert_int_eq(umount("/dev/net"), 0);
    ck_err(e, ERR_REFUSED);
    ck_assert_int_eq(f.code, ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(f.text, "/dev/net/tun"));
    ck_assert_ptr_nonnull(strstr(f.hint, "modprobe tun"));
}
END_TEST

START_TEST(nobody_looks_into_our_memory)
{
    struct rlimit core;
    privileges_protect_memory();
    ck_assert_int_eq(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_CORE, &core), 0);
    ck_assert_uint_eq(core.rlim_cur, 0);
    ck_assert_uint_eq(core.rlim_max, 0);
}
END_TEST

/* In a child, since there is no way back; as root of a namespace, who has all of them. */
START_TEST(what_foreign_code_may_do)
{
    support_enter_namespace();
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct d[_LINUX_CAPABILITY_U32S_3] = {0};
        privileges_keep_file_access();
        bool asked = syscall(SYS_capget, &header, d) == 0;
        uint32_t files = 1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH;
        bool good = asked && d[0].effective == files && d[0].permitted == files &&
                    d[0].inheritable == 0 && d[1].effective == 0 && d[1].permitted == 0 &&
                    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
        _exit(good ? 0 : 1);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("platform privileges");
    TCase *files = tcase_create("files"), *process = tcase_create("process");
    tcase_add_checked_fixture(files, setup, teardown);
    tcase_add_test(files, modes);
    tcase_add_test(files, not_there);
    tcase_add_test(files, no_regular_file);
    tcase_add_test(files, not_readable);
    tcase_add_test(files, of_another_user);
    suite_add_tcase(suite, files);
    tcase_add_test(process, what_up_needs);
    tcase_add_test(process, without_the_device);
    tcase_add_test(process, nobody_looks_into_our_memory);
    tcase_add_test(process, what_foreign_code_may_do);
    suite_add_tcase(suite, process);
    return support_run(suite);
}
