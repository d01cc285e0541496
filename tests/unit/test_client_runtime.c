/* The runtime directory: who may write there, one lock for each connection, and what a killed
 * process left, readable whatever happened to it. */
#include "client/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/fixture.h"
#include "tests/support/support.h"

static char here[512];
static struct runtime runtime;
static struct fault fault;

static void use(const char *directory)
{
    ck_assert_int_eq(setenv("TERN_RUNTIME_DIR", directory, 1), 0);
}

static void setup(void)
{
    ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
    ck_assert(fixture_try("rm -rf run"));
    fault = (struct fault){0};
    use("run");
    ck_assert_msg(runtime_open(true, &runtime, &fault) == ERR_OK, "%s", fault.text);
}

static void teardown(void)
{
    runtime_close(&runtime);
    runtime_close(&runtime); /* twice is fine */
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    ck_assert_int_eq(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

/* --- the directory --- */

START_TEST(made_for_us_alone)
{
    struct runtime other;
    ck_assert_uint_eq(mode_of("run"), 0700);
    /* Its name serves after the process has gone to another directory. */
    ck_assert_int_eq(runtime.directory[0], '/');
    ck_assert_int_eq(access(runtime.directory, F_OK), 0);
    ck_ok(runtime_open(true, &other, &fault)); /* there already */
    runtime_close(&other);
    ck_ok(runtime_open(false, &other, &fault));
    runtime_close(&other);

    use("absent");
    ck_err(runtime_open(false, &other, &fault), ERR_NOT_FOUND);
    ck_assert_int_eq(access("absent", F_OK), -1);
    use("absent/below");
    ck_err(runtime_open(true, &other, &fault), ERR_SYSTEM);
    ck_assert_str_eq(fault.hint, "set TERN_RUNTIME_DIR to a directory of your own");
}
END_TEST

START_TEST(refused_where_others_could_write)
{
    static const mode_t modes[] = {0777, 0770, 0707, 0720, 0702, 01777};
    struct runtime other;
    char words[600];
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        ck_assert_int_eq(chmod("run", modes[i]), 0);
        ck_err(runtime_open(true, &other, &fault), ERR_REFUSED);
        snprintf(words, sizeof(words), "belongs to uid %u with mode %04o: others could write there",
                 (unsigned)geteuid(), (unsigned)modes[i]);
        ck_assert_msg(strstr(fault.text, words) != NULL, "%s", fault.text);
        ck_assert_ptr_nonnull(strstr(fault.hint, "chmod 700 "));
    }
    ck_assert_int_eq(chmod("run", 0755), 0);
    ck_ok(runtime_open(true, &other, &fault));
    runtime_close(&other);

    ck_assert_int_eq(symlink("run", "link"), 0);
    use("link");
    ck_err(runtime_open(true, &other, &fault), ERR_SYSTEM);
    fixture_write("plain", span_text("x"));
    use("plain");
    ck_err(runtime_open(true, &other, &fault), ERR_SYSTEM);
    if (geteuid() != 0) {
        use("/"); /* another's */
        ck_err(runtime_open(true, &other, &fault), ERR_REFUSED);
    }
}
END_TEST

START_TEST(where_the_environment_says)
{
    struct runtime other;
    char text[600];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    use(text);
    ck_err(runtime_open(false, &other, &fault), ERR_LIMIT);
    if (geteuid() == 0) /* /run/tern is the machine's */
        return;
    ck_assert_int_eq(unsetenv("TERN_RUNTIME_DIR"), 0);
    snprintf(text, sizeof(text), "%s/run", here);
    ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", text, 1), 0);
    ck_ok(runtime_open(true, &other, &fault));
    ck_assert_str_eq(other.directory + strlen(here), "/run/tern");
    runtime_close(&other);
    use(""); /* empty counts as not set */
    ck_ok(runtime_open(false, &other, &fault));
    runtime_close(&other);
    ck_assert_int_eq(unsetenv("XDG_RUNTIME_DIR"), 0);
    ck_err(runtime_open(true, &other, &fault), ERR_SYSTEM);
    ck_assert_str_eq(fault.text, "no runtime directory: XDG_RUNTIME_DIR is not set");
}
END_TEST

/* --- the lock --- */

static struct runtime_lock lock_name(const char *name, struct runtime_state *stale)
{
    struct runtime_lock lock = {.fd = -1};
    memset(stale, 0xff, sizeof(*stale));
    ck_assert_msg(runtime_lock(&runtime, name, &lock, stale, &fault) == ERR_OK, "%s", fault.text);
    return lock;
}

START_TEST(one_for_each_connection)
{
    struct runtime_state stale;
    ck_assert(!runtime_running(&runtime, "office"));
    ck_assert_int_eq(access("run/office.state", F_OK), -1); /* asking makes no file */
    struct runtime_lock lock = lock_name("office", &stale);
    ck_assert_int_eq(stale.pid, 0);
    ck_assert_uint_eq(stale.table, 0);
    ck_assert_str_eq(stale.interface, "");
    ck_assert_int_eq(stale.dns, DNS_NONE);
    ck_assert_uint_eq(mode_of("run/office.state"), 0600);
    ck_assert(runtime_running(&runtime, "office"));
    ck_assert(!runtime_running(&runtime, "offic"));

    struct runtime_lock second = {.fd = -1};
    struct runtime_state untouched = {.pid = 5};
    ck_err(runtime_lock(&runtime, "office", &second, &untouched, &fault), ERR_STATE);
    ck_assert_int_eq(second.fd, -1);
    ck_assert_int_eq(untouched.pid, 5);
    struct runtime_lock other = lock_name("home", &stale); /* does not stand in the way */

    runtime_unlock(&runtime, &lock);
    ck_assert_int_eq(lock.fd, -1);
    runtime_unlock(&runtime, &lock); /* twice is fine */
    ck_assert_int_eq(access("run/office.state", F_OK), -1);
    ck_assert(!runtime_running(&runtime, "office"));
    ck_assert(runtime_running(&runtime, "home"));
    lock = lock_name("office", &stale);
    runtime_unlock(&runtime, &lock);
    runtime_unlock(&runtime, &other);
}
END_TEST

/* Whoever holds an unlinked file must not take the next one's away. */
START_TEST(a_file_that_was_replaced)
{
    struct runtime_state stale;
    struct runtime_lock lost = lock_name("office", &stale);
    ck_assert_int_eq(unlink("run/office.state"), 0);
    struct runtime_lock lock = lock_name("office", &stale);
    runtime_unlock(&runtime, &lost);
    ck_assert_int_eq(access("run/office.state", F_OK), 0);
    ck_assert(runtime_running(&runtime, "office"));
    runtime_unlock(&runtime, &lock);
}
END_TEST

START_TEST(a_link_decides_nothing)
{
    struct runtime_lock lock = {.fd = -1};
    struct runtime_state stale;
    fixture_write("victim", span_text("precious"));
    ck_assert_int_eq(symlink("../victim", "run/office.state"), 0);
    ck_err(runtime_lock(&runtime, "office", &lock, &stale, &fault), ERR_SYSTEM);
    ck_assert_int_eq(lock.fd, -1);
    ck_assert(!runtime_running(&runtime, "office"));
    struct span content = fixture_read("victim");
    ck_span_eq(content, span_text("precious"));
    free((void *)content.data);
}
END_TEST

static const struct runtime_state example = {.pid = 4711,
                                             .interface = "tern0",
                                             .interface_index = 4000000000u,
                                             .table = 4294967295u,
                                             .dns = DNS_RESOLVCONF};

static void expect_example(const struct runtime_state *s)
{
    ck_assert_int_eq(s->pid, example.pid);
    ck_assert_str_eq(s->interface, example.interface);
    ck_assert_uint_eq(s->interface_index, example.interface_index);
    ck_assert_uint_eq(s->table, example.table);
    ck_assert_int_eq(s->dns, example.dns);
}

/* A child takes the lock, says that it did, and stays until it is killed. */
static pid_t start_holder(const char *name)
{
    int ends[2];
    char octet;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct runtime_lock lock;
        struct runtime_state stale;
        if (runtime_lock(&runtime, name, &lock, &stale, &fault) == ERR_OK &&
            runtime_write(&lock, &example, &fault) == ERR_OK && write(ends[1], "x", 1) == 1)
            for (;;)
                pause();
        _exit(1);
    }
    close(ends[1]);
    ck_assert_int_eq(read(ends[0], &octet, 1), 1);
    close(ends[0]);
    return child;
}

static void kill_holder(pid_t child)
{
    int status;
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
}

START_TEST(what_a_killed_process_left)
{
    struct runtime_state stale;
    struct runtime_lock lock = {.fd = -1};
    pid_t child = start_holder("office");
    ck_assert(runtime_running(&runtime, "office"));
    ck_err(runtime_lock(&runtime, "office", &lock, &stale, &fault), ERR_STATE);
    kill_holder(child);
    ck_assert(!runtime_running(&runtime, "office"));
    lock = lock_name("office", &stale);
    expect_example(&stale);
    runtime_unlock(&runtime, &lock);
    lock = lock_name("office", &stale); /* told once */
    ck_assert_int_eq(stale.pid, 0);
    runtime_unlock(&runtime, &lock);
}
END_TEST

/* Those that run, and what has no state in it, are let alone. */
START_TEST(what_all_killed_processes_left)
{
    size_t count = 0;
    struct runtime_state stale;
    kill_holder(start_holder("attic"));
    kill_holder(start_holder("cellar"));
    pid_t alive = start_holder("office");
    fixture_write("run/home.state", span_text(""));
    ck_err(runtime_clean_all_killed(&runtime, &count, &fault),
           ERR_REFUSED); /* the table's number */
    ck_assert_uint_eq(count, 2);
    ck_assert_int_ne(access("run/attic.state", F_OK), 0);
    ck_assert_int_ne(access("run/cellar.state", F_OK), 0);
    ck_assert_int_eq(access("run/office.state", F_OK), 0);
    ck_assert(runtime_running(&runtime, "office"));
    ck_ok(runtime_clean_all_killed(&runtime, &count, &fault)); /* once */
    ck_assert_uint_eq(count, 2);
    kill_holder(alive);
    struct runtime_lock lock = lock_name("office", &stale);
    expect_example(&stale);
    runtime_unlock(&runtime, &lock);
}
END_TEST

/* The lock goes from the process that was started to the one that stays. */
START_TEST(handed_to_a_child)
{
    struct runtime_state stale;
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    struct runtime_lock lock = lock_name("office", &stale);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        char octet;
        close(ends[1]);
        _exit(read(ends[0], &octet, 1) == 0 ? 0 : 1); /* until the parent closes */
    }
    close(ends[0]);
    runtime_lock_forget(&lock);
    ck_assert_int_eq(lock.fd, -1);
    ck_assert(runtime_running(&runtime, "office"));
    ck_assert_int_eq(access("run/office.state", F_OK), 0);
    close(ends[1]);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_assert(!runtime_running(&runtime, "office"));
}
END_TEST

/* `tern status` in a loop must not keep `tern up` from starting. */
START_TEST(asking_stands_in_nobodys_way)
{
    struct runtime_state stale;
    struct runtime_lock lock;
    fixture_write("run/office.state", span_text(""));
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        for (;;)
            (void)runtime_running(&runtime, "office");
    }
    enum err e = ERR_OK;
    for (int i = 0; i < 3000 && e == ERR_OK; i++) {
        e = runtime_lock(&runtime, "office", &lock, &stale, &fault);
        if (e == ERR_OK)
            runtime_lock_forget(&lock);
    }
    kill_holder(child);
    ck_ok(e);
}
END_TEST

/* --- the state --- */

START_TEST(written_over_and_over)
{
    struct runtime_state stale, s = {.pid = 1};
    struct runtime_lock lock = lock_name("office", &stale);
    ck_ok(runtime_write(&lock, &example, &fault));
    ck_ok(runtime_write(&lock, &s, &fault)); /* shorter */
    runtime_lock_forget(&lock);
    lock = lock_name("office", &stale);
    ck_assert_int_eq(stale.pid, 1);
    ck_assert_str_eq(stale.interface, "");
    ck_assert_uint_eq(stale.table, 0);
    ck_assert_int_eq(stale.dns, DNS_NONE);
    ck_ok(runtime_write(&lock, &example, &fault)); /* longer */
    runtime_lock_forget(&lock);
    lock = lock_name("office", &stale);
    expect_example(&stale);
    runtime_unlock(&runtime, &lock);
}
END_TEST

/* The disk is full (here: no file may grow): the failure is told, and what the file said before is
 * still there, or a SIGKILL at that moment would leave routes behind for good. */
START_TEST(a_write_that_fails_loses_nothing)
{
    struct runtime_state stale, s = example;
    struct runtime_lock lock = lock_name("office", &stale);
    struct rlimit before, none;
    ck_ok(runtime_write(&lock, &example, &fault));
    s.pid = 1;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0); /* nothing of Check's in between */
    enum err e = runtime_write(&lock, &s, &fault);
    int restored = setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    ck_assert_int_eq(restored, 0);
    ck_err(e, ERR_SYSTEM);
    ck_assert_str_eq(fault.text, "cannot write the state file of office: File too large");
    runtime_lock_forget(&lock);
    lock = lock_name("office", &stale);
    expect_example(&stale);
    runtime_unlock(&runtime, &lock);
}
END_TEST

/* A file that says nothing we understand counts as nothing, and stops nobody. */
START_TEST(state_that_is_none)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        "{\"pid\":\"4711\",\"table\":7}",
        "{\"pid\":1e3,\"table\":7}",
        "\xff\xfe",
        "{\"pid\":99999999999999999999999999,\"table\":7}",
    };
    struct runtime_state stale;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        fixture_write("run/office.state", span_text(texts[i]));
        struct runtime_lock lock = lock_name("office", &stale);
        ck_assert_int_eq(stale.pid, 0);
        ck_assert_uint_eq(stale.table, 0);
        ck_assert_str_eq(stale.interface, "");
        ck_assert_int_eq(stale.dns, DNS_NONE);
        runtime_unlock(&runtime, &lock);
    }
    /* parts that cannot be are left out; the rest is used */
    fixture_write(
        "run/office.state",
        span_text("{\"pid\":5,\"interface\":\"0123456789abcdef\",\"table\":7,\"dns\":99}"));
    struct runtime_lock lock = lock_name("office", &stale);
    ck_assert_int_eq(stale.pid, 5);
    ck_assert_str_eq(stale.interface, "");
    ck_assert_uint_eq(stale.table, 7);
    ck_assert_int_eq(stale.dns, DNS_NONE);
    runtime_lock_forget(&lock);
    /* killed between writing and cutting */
    fixture_write("run/office.state", span_text("{\"pid\":6,\"table\":8}able\":4294967295}"));
    lock = lock_name("office", &stale);
    ck_assert_int_eq(stale.pid, 6);
    ck_assert_uint_eq(stale.table, 8);
    ck_ok(runtime_clean(&(struct runtime_state){.pid = 5}, &fault)); /* nothing to undo */
    runtime_unlock(&runtime, &lock);
}
END_TEST

/* --- names and sockets --- */

START_TEST(the_connections_that_run)
{
    char names[4][PROFILE_NAME_MAX], longest[PROFILE_NAME_MAX], path[128];
    struct runtime_state stale;
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    ck_assert_uint_eq(runtime_names(&runtime, names, 4), 0);
    struct runtime_lock a = lock_name("a.b", &stale), b = lock_name(longest, &stale);
    fixture_write("run/dead.state", span_text("{\"pid\":1}")); /* nobody holds it */
    fixture_write("run/a.b.sock", span_text(""));
    fixture_write("run/.state", span_text(""));
    snprintf(path, sizeof(path), "run/y%s.state", longest); /* too long for a name of ours */
    fixture_write(path, span_text(""));
    ck_assert_int_eq(mkdir("run/directory.state", 0700), 0);
    ck_assert_uint_eq(runtime_names(&runtime, names, 4), 2);
    bool in_order = strcmp(names[0], "a.b") == 0;
    ck_assert_str_eq(names[in_order ? 0 : 1], "a.b");
    ck_assert_str_eq(names[in_order ? 1 : 0], longest);
    ck_assert_uint_eq(runtime_names(&runtime, names, 1), 1);
    ck_assert_uint_eq(runtime_names(&runtime, names, 0), 0);
    runtime_unlock(&runtime, &a);
    ck_assert_uint_eq(runtime_names(&runtime, names, 4), 1);
    runtime_unlock(&runtime, &b);
}
END_TEST

START_TEST(socket_names)
{
    char out[RUNTIME_SOCKET_MAX], name[PROFILE_NAME_MAX];
    ck_ok(runtime_socket_path(&runtime, "office", out, &fault));
    ck_assert_int_eq(strncmp(out, runtime.directory, strlen(runtime.directory)), 0);
    ck_assert_str_eq(out + strlen(runtime.directory), "/office.sock");

    /* sun_path has room for 107 octets and its end. */
    struct runtime r = {.fd = -1};
    memset(r.directory, 'd', 107 - strlen("/office.sock"));
    ck_ok(runtime_socket_path(&r, "office", out, &fault));
    ck_assert_uint_eq(strlen(out), 107);
    ck_err(runtime_socket_path(&r, "office2", out, &fault), ERR_LIMIT);
    ck_assert_str_eq(fault.hint, "set TERN_RUNTIME_DIR to a shorter path");
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    ck_err(runtime_socket_path(&r, name, out, &fault), ERR_LIMIT);

    fixture_write("run/office.sock", span_text(""));
    runtime_remove_socket(&runtime, "office");
    ck_assert_int_eq(access("run/office.sock", F_OK), -1);
    runtime_remove_socket(&runtime, "office"); /* gone is fine */
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("client_runtime");
    TCase *t = tcase_create("runtime");

    tcase_add_unchecked_fixture(t, fixture_enter, fixture_leave);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, made_for_us_alone);
    tcase_add_test(t, refused_where_others_could_write);
    tcase_add_test(t, where_the_environment_says);
    tcase_add_test(t, one_for_each_connection);
    tcase_add_test(t, a_file_that_was_replaced);
    tcase_add_test(t, a_link_decides_nothing);
    tcase_add_test(t, what_a_killed_process_left);
    tcase_add_test(t, what_all_killed_processes_left);
    tcase_add_test(t, handed_to_a_child);
    tcase_add_test(t, asking_stands_in_nobodys_way);
    tcase_add_test(t, written_over_and_over);
    tcase_add_test(t, a_write_that_fails_loses_nothing);
    tcase_add_test(t, state_that_is_none);
    tcase_add_test(t, the_connections_that_run);
    tcase_add_test(t, socket_names);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
