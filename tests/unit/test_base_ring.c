/* Records through a ring: whole, in order, none invented; and what does not fit is refused. */
#include "common/base/ring.h"

#include <pthread.h>
#include <string.h>

#include "tests/support/support.h"

enum { RECORD_MAX = 65536, RECORDS = 20000 };

static struct ring ring;
static uint8_t buffer[RING_LEN];

static enum err put(const void *data, size_t len)
{
    struct span parts[] = {span_make(data, len)};
    return ring_put(&ring, parts, 1);
}

START_TEST(what_is_put_is_taken_in_order)
{
    const struct span parts[] = {span_text("ab"), SPAN_EMPTY, span_text("cde")};
    size_t len;
    ck_err(ring_take(&ring, buffer, sizeof(buffer), &len), ERR_AGAIN);
    ck_ok(ring_put(&ring, parts, 3));
    ck_ok(ring_put(&ring, parts, 0));
    ck_ok(put("f", 1));
    ck_ok(ring_take(&ring, buffer, sizeof(buffer), &len));
    ck_span_eq(span_make(buffer, len), span_text("abcde"));
    ck_ok(ring_take(&ring, buffer, sizeof(buffer), &len));
    ck_assert_uint_eq(len, 0);
    ck_ok(ring_take(&ring, buffer, sizeof(buffer), &len));
    ck_span_eq(span_make(buffer, len), span_text("f"));
    ck_err(ring_take(&ring, buffer, sizeof(buffer), &len), ERR_AGAIN);
}
END_TEST

/* To the last octet, and then nothing until something was taken. */
START_TEST(full)
{
    static uint8_t bytes[RING_LEN];
    size_t len, most = RING_LEN - sizeof(size_t);
    memset(bytes, 7, sizeof(bytes));
    ck_err(put(bytes, most + 1), ERR_LIMIT);
    ck_ok(put(bytes, most));
    ck_err(ring_put(&ring, NULL, 0), ERR_LIMIT);
    ck_ok(ring_take(&ring, buffer, sizeof(buffer), &len));
    ck_assert_uint_eq(len, most);
    ck_assert_mem_eq(buffer, bytes, most);
    ck_ok(put(bytes, 1));
    ck_err(put(bytes, most), ERR_LIMIT);
}
END_TEST

/* A record's length and octets by its number. */
static size_t write_record(size_t number, uint8_t *bytes)
{
    size_t len = number * 7919 % (RECORD_MAX / 16);
    memset(bytes, (int)(number & 0xff), len);
    return len;
}

static void *put_all(void *arg)
{
    static uint8_t bytes[RECORD_MAX];
    (void)arg;
    for (size_t i = 0; i < RECORDS; i++) {
        size_t len = write_record(i, bytes);
        while (put(bytes, len) != ERR_OK)
            ;
    }
    return NULL;
}

START_TEST(from_thread_to_thread)
{
    static uint8_t expected[RECORD_MAX];
    pthread_t writer;
    ck_assert_int_eq(pthread_create(&writer, NULL, put_all, NULL), 0);
    for (size_t i = 0; i < RECORDS; i++) {
        size_t len;
        while (ring_take(&ring, buffer, sizeof(buffer), &len) != ERR_OK)
            ;
        ck_assert_uint_eq(len, write_record(i, expected));
        ck_assert_int_eq(memcmp(buffer, expected, len), 0);
    }
    ck_assert_int_eq(pthread_join(writer, NULL), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("base ring");
    TCase *t = tcase_create("ring");
    tcase_add_test(t, what_is_put_is_taken_in_order);
    tcase_add_test(t, full);
    tcase_add_test(t, from_thread_to_thread);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
