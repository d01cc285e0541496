/* From a name to a profile's file. /etc/tern comes first: looked at in a mount namespace of the
 * test's own, where /etc is empty. */
#include "client/find_profile.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/fixture.h"
#include "tests/support/support.h"

static char here[PROFILE_PATH_MAX];
static char found[PROFILE_PATH_MAX];
static struct fault fault;

static void setup(void)
{
    char path[PROFILE_PATH_MAX + 16];
    ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
    snprintf(path, sizeof(path), "%s/xdg", here);
    ck_assert_int_eq(setenv("XDG_CONFIG_HOME", path, 1), 0);
    snprintf(path, sizeof(path), "%s/home", here);
    ck_assert_int_eq(setenv("HOME", path, 1), 0);
    ck_assert(fixture_try("mkdir -p xdg/tern home/.config/tern"));
    fixture_write("xdg/tern/tern-test-xdg.conf", span_text(""));
    fixture_write("home/.config/tern/tern-test-home.conf", span_text(""));
    fixture_write("tern-test-here.conf", span_text(""));
    fixture_write("tern-test-plain", span_text(""));
    fault = (struct fault){0};
}

static void expect_found(const char *argument, const char *below_here)
{
    char expected[PROFILE_PATH_MAX + 64];
    ck_assert_msg(find_profile(argument, found, &fault) == ERR_OK, "%s: %s", argument, fault.text);
    if (below_here[0] == '/')
        snprintf(expected, sizeof(expected), "%s%s", here, below_here);
    else
        snprintf(expected, sizeof(expected), "%s", below_here);
    ck_assert_str_eq(found, expected);
}

static void expect_not_found(const char *argument, const char *text)
{
    ck_err(find_profile(argument, found, &fault), ERR_NOT_FOUND);
    ck_assert_str_eq(fault.text, text);
}

START_TEST(paths_are_taken_as_they_are)
{
    expect_found("tern-test-here.conf", "tern-test-here.conf");
    expect_found("./tern-test-here.conf", "./tern-test-here.conf");
    expect_found("./tern-test-plain", "./tern-test-plain");
    expect_found("xdg/tern/tern-test-xdg.conf", "xdg/tern/tern-test-xdg.conf");
    expect_not_found("tern-test-xdg.conf", "no such profile: tern-test-xdg.conf");
    ck_assert_str_eq(fault.hint, "");
    expect_not_found("./tern-test-xdg", "no such profile: ./tern-test-xdg");
}
END_TEST

START_TEST(names_are_looked_for)
{
    char hint[sizeof(fault.hint)];
    expect_found("tern-test-xdg", "/xdg/tern/tern-test-xdg.conf");
    /* never in the working directory */
    expect_not_found("tern-test-here", "no such profile: tern-test-here");
    snprintf(hint, sizeof(hint),
             "looked for tern-test-here.conf in /etc/tern and %.150s/xdg/tern; a path is taken as "
             "it is",
             here);
    ck_assert_str_eq(fault.hint, hint);
    expect_not_found("tern-test-plain", "no such profile: tern-test-plain");
    expect_not_found("", "no such profile: ");
    expect_not_found("..", "no such profile: ..");
    expect_not_found(".conf", "no such profile: .conf");
    expect_not_found("a\n\x1b[1m", "no such profile: a\\x0a\\x1b[1m");
}
END_TEST

START_TEST(where_the_environment_says)
{
    char directories[2][PROFILE_PATH_MAX], expected[PROFILE_PATH_MAX + 32];
    expect_not_found("tern-test-home", "no such profile: tern-test-home"); /* XDG stands for it */
    snprintf(expected, sizeof(expected), "%s/home/.config/tern", here);

    static const char *const void_ones[] = {"", "xdg", "./xdg"}; /* relative: to be ignored */
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(setenv("XDG_CONFIG_HOME", void_ones[i], 1), 0);
        expect_found("tern-test-home", "/home/.config/tern/tern-test-home.conf");
        ck_assert_uint_eq(find_profile_directories(directories), 2);
        ck_assert_str_eq(directories[0], "/etc/tern");
        ck_assert_str_eq(directories[1], expected);
    }
    ck_assert_int_eq(unsetenv("XDG_CONFIG_HOME"), 0);
    expect_found("tern-test-home", "/home/.config/tern/tern-test-home.conf");
    ck_assert_int_eq(setenv("HOME", "home", 1), 0);
    ck_assert_uint_eq(find_profile_directories(directories), 1);
    expect_not_found("tern-test-home", "no such profile: tern-test-home");
    ck_assert_str_eq(fault.hint,
                     "looked for tern-test-home.conf in /etc/tern; a path is taken as it is");
    ck_assert_int_eq(unsetenv("HOME"), 0);
    ck_assert_uint_eq(find_profile_directories(directories), 1);
}
END_TEST

/* A path that does not fit is no path: not one that was cut. */
START_TEST(longer_than_a_path)
{
    static char text[5000];
    char directories[2][PROFILE_PATH_MAX];
    memset(text, 'x', sizeof(text) - 1);
    text[0] = '/';
    ck_err(find_profile(text, found, &fault), ERR_NOT_FOUND);
    ck_err(find_profile(text + 1, found, &fault), ERR_NOT_FOUND);
    ck_assert_int_eq(setenv("XDG_CONFIG_HOME", text, 1), 0);
    ck_assert_uint_eq(find_profile_directories(directories), 1);
    text[PROFILE_PATH_MAX - 6] = '\0'; /* "/tern" makes it one too long */
    ck_assert_int_eq(setenv("XDG_CONFIG_HOME", text, 1), 0);
    ck_assert_uint_eq(find_profile_directories(directories), 2);
    ck_assert_uint_eq(strlen(directories[1]), PROFILE_PATH_MAX - 1);
    ck_err(find_profile("tern-test-xdg", found, &fault), ERR_NOT_FOUND);
}
END_TEST

static bool write_map(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return written;
}

enum { CHILD_FINE, CHILD_NO_NAMESPACE, CHILD_WRONG_FIRST, CHILD_WRONG_SECOND };

static int in_an_empty_etc(void)
{
    char users[64], groups[64];
    struct fault f;
    snprintf(users, sizeof(users), "0 %u 1", (unsigned)geteuid());
    snprintf(groups, sizeof(groups), "0 %u 1", (unsigned)getegid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return CHILD_NO_NAMESPACE;
    if (!write_map("/proc/self/setgroups", "deny") || !write_map("/proc/self/uid_map", users) ||
        !write_map("/proc/self/gid_map", groups) || mount("tmpfs", "/etc", "tmpfs", 0, NULL) != 0 ||
        mkdir("/etc/tern", 0755) != 0 ||
        close(open("/etc/tern/tern-test-xdg.conf", O_WRONLY | O_CREAT, 0600)) != 0)
        return CHILD_NO_NAMESPACE;
    if (find_profile("tern-test-xdg", found, &f) != ERR_OK ||
        strcmp(found, "/etc/tern/tern-test-xdg.conf") != 0)
        return CHILD_WRONG_FIRST;
    if (unlink("/etc/tern/tern-test-xdg.conf") != 0 ||
        find_profile("tern-test-xdg", found, &f) != ERR_OK || strncmp(found, here, strlen(here)))
        return CHILD_WRONG_SECOND;
    return CHILD_FINE;
}

START_TEST(the_system_comes_first)
{
    int status;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(in_an_empty_etc());
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), CHILD_FINE);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("client_find_profile");
    TCase *t = tcase_create("find_profile");

    tcase_add_unchecked_fixture(t, fixture_enter, fixture_leave);
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, paths_are_taken_as_they_are);
    tcase_add_test(t, names_are_looked_for);
    tcase_add_test(t, where_the_environment_says);
    tcase_add_test(t, longer_than_a_path);
    tcase_add_test(t, the_system_comes_first);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
