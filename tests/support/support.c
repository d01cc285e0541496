/* Shared pieces of the unit tests. */
#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"

int support_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    const char *tap = getenv("TAP_OUTPUT");
    if (tap != NULL)
        srunner_set_tap(runner, tap);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

size_t support_hex(const char *hex, uint8_t *out, size_t cap)
{
    size_t digits = 0;
    for (; *hex != '\0'; hex++) {
        if (*hex == ' ' || *hex == '\n')
            continue;
        int v = text_hex_digit(*hex);
        /* No ck_assert for every digit: each writes to Check's pipe. */
        if (v < 0)
            ck_abort_msg("not hex: %s", hex);
        if (digits / 2 >= cap)
            ck_abort_msg("hex longer than %zu octets", cap);
        if (digits % 2 == 0)
            out[digits / 2] = (uint8_t)(v << 4);
        else
            out[digits / 2] = (uint8_t)(out[digits / 2] | v);
        digits++;
    }
    ck_assert_msg(digits % 2 == 0, "odd number of hex digits");
    return digits / 2;
}

uint8_t *support_exact_copy(struct span bytes)
{
    uint8_t *copy = malloc(bytes.len > 0 ? bytes.len : 1);
    ck_assert_ptr_nonnull(copy);
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    return copy;
}

char support_logged[65536];

static void keep_line(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    size_t len = strlen(support_logged);
    snprintf(support_logged + len, sizeof(support_logged) - len, "%s\n", line);
}

void support_log_begin(void)
{
    support_logged[0] = '\0';
    log_to(keep_line, NULL, LOG_LEVEL_DEBUG);
}

void support_log_end(void)
{
    log_to(NULL, NULL, LOG_LEVEL_ERROR);
}
