/* Whole files, bounded: what is read, and what is refused without hanging on it. */
#include "client/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/fixture.h"
#include "tests/support/support.h"

static void expect_refusal(const char *path, size_t max, enum err expected, const char *words)
{
    struct file_bytes b = {.data = NULL, .len = 77};
    struct fault f = {0};
    ck_err(file_read(path, max, &b, &f), expected);
    ck_assert_int_eq(f.code, expected);
    ck_assert_str_eq(f.text, words);
    ck_assert_ptr_null(b.data); /* written on success only */
    ck_assert_uint_eq(b.len, 77);
}

START_TEST(a_file_as_it_is)
{
    static const char content[] = "a\0b\xff\n";
    struct file_bytes b;
    struct fault f = {0};
    fixture_write("bytes", span_make((const uint8_t *)content, sizeof(content) - 1));
    ck_ok(file_read("bytes", sizeof(content) - 1, &b, &f));
    ck_span_eq(span_make(b.data, b.len), span_make((const uint8_t *)content, sizeof(content) - 1));
    ck_assert_uint_eq(b.data[b.len], 0);
    file_bytes_wipe(&b);
    ck_assert_ptr_null(b.data);
    ck_assert_uint_eq(b.len, 0);
    file_bytes_wipe(&b); /* twice is fine */
}
END_TEST

START_TEST(an_empty_file)
{
    struct file_bytes b;
    struct fault f = {0};
    fixture_write("empty", span_text(""));
    ck_ok(file_read("empty", 0, &b, &f));
    ck_assert_uint_eq(b.len, 0);
    ck_assert_ptr_nonnull(b.data);
    ck_assert_uint_eq(b.data[0], 0);
    file_bytes_wipe(&b);
}
END_TEST

START_TEST(larger_than_allowed)
{
    fixture_write("ten", span_text("0123456789"));
    expect_refusal("ten", 9, ERR_LIMIT, "ten is larger than 9 octets");
    /* sparse: nothing of that size may be allocated first */
    ck_assert_int_eq(truncate("ten", (off_t)1 << 40), 0);
    expect_refusal("ten", 65536, ERR_LIMIT, "ten is larger than 65536 octets");
    ck_assert_int_eq(unlink("ten"), 0);
}
END_TEST

START_TEST(what_is_not_there)
{
    expect_refusal("absent", 10, ERR_NOT_FOUND, "cannot read absent: No such file or directory");
    fixture_write("plain", span_text("x"));
    expect_refusal("plain/below", 10, ERR_NOT_FOUND, "cannot read plain/below: Not a directory");
    ck_assert_int_eq(symlink("absent", "dangling"), 0);
    expect_refusal("dangling", 10, ERR_NOT_FOUND,
                   "cannot read dangling: No such file or directory");
    expect_refusal("", 10, ERR_NOT_FOUND, "cannot read : No such file or directory");
    ck_assert_int_eq(symlink("loop", "loop"), 0);
    expect_refusal("loop", 10, ERR_SYSTEM, "cannot read loop: Too many levels of symbolic links");
    expect_refusal("no\nline", 10, ERR_NOT_FOUND,
                   "cannot read no\\x0aline: No such file or directory");
}
END_TEST

/* None of these may hold us up. */
START_TEST(what_is_no_file)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    ck_assert_int_eq(mkdir("directory", 0700), 0);
    expect_refusal("directory", 10, ERR_REFUSED, "directory is not a regular file");
    ck_assert_int_eq(mkfifo("fifo", 0600), 0);
    expect_refusal("fifo", 10, ERR_REFUSED, "fifo is not a regular file");
    expect_refusal("/dev/zero", 10, ERR_REFUSED, "/dev/zero is not a regular file");
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    expect_refusal("socket", 10, ERR_SYSTEM, "cannot read socket: No such device or address");
    close(fd);
}
END_TEST

/* Files of /proc say size 0 and have content: nothing of it is taken. */
START_TEST(a_file_that_denies_its_size)
{
    struct file_bytes b;
    struct fault f = {0};
    ck_ok(file_read("/proc/self/status", 10, &b, &f));
    ck_assert_uint_eq(b.len, 0);
    file_bytes_wipe(&b);
}
END_TEST

START_TEST(no_permission)
{
    fixture_write("locked", span_text("x"));
    ck_assert_int_eq(chmod("locked", 0), 0);
    if (geteuid() == 0) /* root may read it */
        return;
    expect_refusal("locked", 10, ERR_REFUSED, "cannot read locked: Permission denied");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("client_file");
    TCase *t = tcase_create("file");

    tcase_add_unchecked_fixture(t, fixture_enter, fixture_leave);
    tcase_add_test(t, a_file_as_it_is);
    tcase_add_test(t, an_empty_file);
    tcase_add_test(t, larger_than_allowed);
    tcase_add_test(t, what_is_not_there);
    tcase_add_test(t, what_is_no_file);
    tcase_add_test(t, a_file_that_denies_its_size);
    tcase_add_test(t, no_permission);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
