/* The words for a link's shape (lab_shape.h). A number is a decimal fraction of at most nine digits
 * before the point and six behind it, kept as an integer; its unit follows without a space. */
#include "tools/lab_link/lab_shape.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum { MILLION = 1000000, BEFORE_MAX = 9, BEHIND_MAX = 6, WORD_MAX = 32 };

enum kind { DURATION, PART, RATE, SIZE };

/* How many microseconds, millionths, bits per second or octets a unit is. */
struct unit {
    enum kind kind;
    const char *name;
    uint64_t factor;
};
static const struct unit UNITS[] = {
    {DURATION, "us", 1},     {DURATION, "ms", 1000}, {DURATION, "s", MILLION},
    {PART, "%", 10000},      {RATE, "bit", 1},       {RATE, "kbit", 1000},
    {RATE, "mbit", MILLION}, {SIZE, "", 1},          {SIZE, "k", 1 << 10},
};

static const struct {
    const char *meant;
    uint64_t max;
} KINDS[] = {
    [DURATION] = {"a time like 25ms (us, ms, s), at most 60s", 60 * MILLION},
    [PART] = {"a part like 2.5%, at most 100%", MILLION},
    [RATE] = {"a rate like 20mbit (bit, kbit, mbit; 0bit: no limit), at most 10000mbit",
              10000000000},
    [SIZE] = {"a size like 64k (octets, or k), at most 16384k", 16 << 20},
};

static const struct {
    const char *name;
    enum kind kind;
} KEYS[] = {
    {"delay", DURATION}, {"jitter", DURATION}, {"loss", PART},  {"duplicate", PART},
    {"reorder", PART},   {"rate", RATE},       {"queue", SIZE},
};
enum { KEYS_COUNT = sizeof(KEYS) / sizeof(KEYS[0]) };

static void set(struct lab_shape *s, size_t key, uint64_t value)
{
    uint32_t *const fields[KEYS_COUNT] = {
        &s->delay_us,      &s->jitter_us,   &s->loss_ppm,
        &s->duplicate_ppm, &s->reorder_ppm, NULL, /* the rate, which needs more bits */
        &s->queue_len,
    };
    if (fields[key])
        *fields[key] = (uint32_t)value;
    else
        s->rate_bps = value;
}

/* Digits into *value, `places` of them at most; how many there were, or places + 1. */
static size_t digits(const char **text, size_t places, uint64_t *value)
{
    size_t count = 0;
    for (; **text >= '0' && **text <= '9' && count <= places; (*text)++, count++)
        *value = *value * 10 + (uint64_t)(**text - '0');
    return count;
}

static bool parse_value(const char *text, enum kind kind, uint64_t *ret)
{
    uint64_t millionths = 0;
    size_t before = digits(&text, BEFORE_MAX, &millionths), behind = 0;
    if (before == 0 || before > BEFORE_MAX)
        return false;
    if (*text == '.') {
        text++;
        behind = digits(&text, BEHIND_MAX, &millionths);
        if (behind == 0 || behind > BEHIND_MAX)
            return false;
    }
    for (; behind < BEHIND_MAX; behind++)
        millionths *= 10;
    for (size_t i = 0; i < sizeof(UNITS) / sizeof(UNITS[0]); i++) {
        const struct unit *u = &UNITS[i];
        if (u->kind != kind || strcmp(u->name, text) != 0)
            continue;
        /* Nothing above the maximum is multiplied, so that nothing overflows. */
        if (millionths / MILLION > KINDS[kind].max / u->factor)
            return false;
        *ret = millionths * u->factor / MILLION;
        return *ret <= KINDS[kind].max;
    }
    return false;
}

/* The next word of *text; false where there is none, an empty one where it is too long. */
static bool next_word(const char **text, char word[WORD_MAX])
{
    *text += strspn(*text, " ");
    size_t len = strcspn(*text, " ");
    size_t kept = len < WORD_MAX ? len : 0;
    memcpy(word, *text, kept);
    word[kept] = '\0';
    *text += len;
    return len > 0;
}

static bool find_key(const char *word, size_t *ret)
{
    for (size_t i = 0; i < KEYS_COUNT; i++)
        if (strcmp(KEYS[i].name, word) == 0) {
            *ret = i;
            return true;
        }
    return false;
}

enum err lab_shape_parse(const char *text, struct lab_shape *shape, struct fault *f)
{
    struct lab_shape s = *shape;
    char word[WORD_MAX], value[WORD_MAX];
    while (next_word(&text, word)) {
        size_t key = 0;
        if (!find_key(word, &key))
            return fault_set(f, ERR_MALFORMED,
                             "\"%s\": the keys are delay, jitter, loss, "
                             "duplicate, reorder, rate and queue",
                             word);
        uint64_t number = 0;
        if (!next_word(&text, value) || !parse_value(value, KEYS[key].kind, &number))
            return fault_set(f, ERR_MALFORMED, "%s takes %s", word, KINDS[KEYS[key].kind].meant);
        set(&s, key, number);
    }
    *shape = s;
    return ERR_OK;
}
