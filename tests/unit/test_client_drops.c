/* What is said of dropped datagrams, and how often. */
#include "client/drops.h"

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "tests/support/support.h"

static struct {
    unsigned lines;
    char last[LOG_LINE_MAX];
} heard;

static void hear(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    heard.lines++;
    snprintf(heard.last, sizeof(heard.last), "%s", line);
}

static void setup(void)
{
    memset(&heard, 0, sizeof(heard));
    log_to(hear, NULL, LOG_LEVEL_INFO);
}

static void teardown(void)
{
    log_to(NULL, NULL, LOG_LEVEL_ERROR);
}

START_TEST(silence_while_nothing_is_dropped)
{
    struct drops d = {0};
    struct tunnel_counters in = {.authentic = 7, .in = {.packets = 7}};
    drops_tell(&d, 0, NULL);
    drops_tell(&d, DROPS_TELL_MS, &in);
    ck_assert_uint_eq(heard.lines, 0);
}
END_TEST

START_TEST(every_count_is_told)
{
    struct drops d = {.bad = 11, .not_sent = 12, .ike = 16, .not_taken = 18};
    struct tunnel_counters in = {.unknown_spi = 13,
                                 .in = {.bad = 14, .replayed = 15, .congested = 17}};
    drops_tell(&d, 0, &in);
    ck_assert_uint_eq(heard.lines, 1);
    for (int count = 11; count <= 18; count++) {
        char text[16];
        snprintf(text, sizeof(text), " %d ", count);
        ck_assert_msg(strstr(heard.last, text) != NULL, "%d is missing: %s", count, heard.last);
    }
}
END_TEST

/* A million in ten minutes. */
START_TEST(a_flood_is_told_once_a_minute)
{
    enum { FLOOD = 1000000, FLOOD_MS = 10 * DROPS_TELL_MS };
    struct drops d = {0};
    for (mono_ms i = 0; i < FLOOD; i++) {
        d.bad++;
        drops_tell(&d, i * FLOOD_MS / FLOOD, NULL);
    }
    ck_assert_uint_eq(heard.lines, 10);
    drops_tell(&d, FLOOD_MS, NULL); /* the rest of it; and then it is over */
    drops_tell(&d, 2 * FLOOD_MS, NULL);
    ck_assert_uint_eq(heard.lines, 11);
    ck_assert_ptr_nonnull(strstr(heard.last, " 1000000 "));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("client drops");
    TCase *t = tcase_create("drops");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, silence_while_nothing_is_dropped);
    tcase_add_test(t, every_count_is_told);
    tcase_add_test(t, a_flood_is_told_once_a_minute);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
