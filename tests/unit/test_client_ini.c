/* INI text to a list of keys: nothing of a file is lost or misplaced without a fault that names its
 * line, whatever the bytes are. */
#include "client/ini.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

enum { TEXT_MAX = 100000, SHOWN_MAX = 32768 };

static struct fault_list faults;

/* The text as file_read delivers it: exactly its size, and a zero octet behind. */
static enum err parse_bytes(const char *bytes, size_t len, struct ini **ret)
{
    char *text = malloc(len + 1);
    ck_assert_ptr_nonnull(text);
    memcpy(text, bytes, len);
    text[len] = '\0';
    fault_list_init(&faults);
    enum err e = ini_parse(text, len, ret, &faults);
    free(text);
    return e;
}

/* What was understood and what was blamed, a line each: "2 Gateway/Port=500", "3 words". */
static const char *show(const struct ini *ini, char out[SHOWN_MAX])
{
    out[0] = '\0';
    FILE *f = fmemopen(out, SHOWN_MAX, "w");
    ck_assert_ptr_nonnull(f);
    for (size_t i = 0; ini != NULL && i < ini->item_count; i++)
        fprintf(f, "%u %s/%s=%s\n", ini->items[i].line, ini->items[i].section, ini->items[i].key,
                ini->items[i].value);
    for (size_t i = 0; i < faults.count; i++)
        fprintf(f, "%u %s\n", faults.items[i].line, faults.items[i].fault.text);
    ck_assert_int_eq(fclose(f), 0);
    return out;
}

#define HEADER_WORDS "a section's header is [Name], alone on its line\n"

START_TEST(what_is_written_is_what_is_read)
{
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"", ""},
        {"\n", ""},
        {"[A]\n", ""},
        {"[A]\nk=v\n", "2 A/k=v\n"},
        {"[A]\nk=v", "2 A/k=v\n"},
        {"[A]\r\nk=v\r\nj = w \r\n", "2 A/k=v\n3 A/j=w\n"},
        {"\xef\xbb\xbf[A]\nk=v\n", "2 A/k=v\n"},
        {"\n\n  [ A ]\t\n\tk \t=\t v \n", "4 A/k=v\n"},
        /* a secret keeps whatever stands in it */
        {"[A]\nk=a;b #c = \"d\"\\ [e]\n", "2 A/k=a;b #c = \"d\"\\ [e]\n"},
        {"[A]\nk==\n", "2 A/k==\n"},
        {"[A]\nk=\"v\"\n", "2 A/k=\"v\"\n"},
        {"[A]\nk=v\\\nj=w\n", "2 A/k=v\\\n3 A/j=w\n"},
        {"[A]\nk=\xc3\xa9\n", "2 A/k=\xc3\xa9\n"},
        {"[A]\nk=\n", "2 A/k=\n"},
        {"[A]\n# k=1\n;k=2\n  # k=3\n\t; [B]\nk=4\n", "6 A/k=4\n"},
        /* comments have their own line */
        {"[A]\nk=v # not a comment\n", "2 A/k=v # not a comment\n"},
        /* repeated keys, spelled alike or not; repeated sections, spelled alike or not */
        {"[A]\nk=1\nK=2\nk=3\nk=1\n", "2 A/k=1\n3 A/K=2\n4 A/k=3\n5 A/k=1\n"},
        {"[A]\nk=1\n[a]\nk=2\n[B]\nk=3\n[A]\nk=4\n", "2 A/k=1\n4 a/k=2\n6 B/k=3\n8 A/k=4\n"},
        {"[default]\nk=1\n", "2 default/k=1\n"},
        {"[A]\nk v=1\n", "2 A/k v=1\n"},
        /* bad lines; the rest of the file is read */
        {"[A]\nk\nj=1\n", "3 A/j=1\n2 Equal sign is missing.\n"},
        {"[A]\n=1\nj=1\n", "3 A/j=1\n2 Property name is missing.\n"},
        {"[A]\nk=a\n b\nj=1\n", "2 A/k=a\n4 A/j=1\n3 Equal sign is missing.\n"},
        {"[A]\n/* k */\nj=1\n", "3 A/j=1\n2 Equal sign is missing.\n"},
        {"k = secret\n[A]\nj=1\n", "3 A/j=1\n1 key k stands before the first section\n"},
        {"[A]\n\x01k=secret\nj=1\n",
         "3 A/j=1\n2 the key's name holds an octet that is not printable ASCII\n"},
        {"[A]\n\xc2\xa0k=secret\nj=1\n",
         "3 A/j=1\n2 the key's name holds an octet that is not printable ASCII\n"},
        /* after a bad header nobody knows where the keys belong */
        {"[A]\nk=1\n[B\nk=2\n", "2 A/k=1\n3 " HEADER_WORDS},
        {"[A]\nk=1\n[]\nk=2\n", "2 A/k=1\n3 " HEADER_WORDS},
        {"[A]\nk=1\n[ ]\nk=2\n", "2 A/k=1\n3 " HEADER_WORDS},
        {"[A]\nk=1\n[B]]\nk=2\n", "2 A/k=1\n3 " HEADER_WORDS},
        {"[A]\nk=1\n[B]x]\nk=2\n", "2 A/k=1\n3 " HEADER_WORDS},
        {"[A]\nk=1\n[[B]\nk=2\n", "2 A/k=1\n3 " HEADER_WORDS},
        {"[A]\nk=1\n[B] x\nk=2\n", "2 A/k=1\n3 " HEADER_WORDS},
        {"[A]\nk=1\n[B] # x\nk=2\n", "2 A/k=1\n3 " HEADER_WORDS},
        {"[A]\nk=1\n[B]=2\nk=2\n", "2 A/k=1\n3 " HEADER_WORDS},
        {"[A]\nk=1\n[B\x01]\nk=2\n", "2 A/k=1\n3 " HEADER_WORDS},
        {"[A]\nk=1\n[\xc3\xa9]\nk=2\n", "2 A/k=1\n3 " HEADER_WORDS},
        {"[A]\nk=1\n  [\n", "2 A/k=1\n3 " HEADER_WORDS},
    };
    static char shown[SHOWN_MAX];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ini *ini = NULL;
        enum err e = parse_bytes(cases[i].text, strlen(cases[i].text), &ini);
        ck_assert_msg(e == ERR_OK, "%s: %s", cases[i].text, err_text(e));
        ck_assert_msg(strcmp(show(ini, shown), cases[i].shown) == 0, "%s:\n%s", cases[i].text,
                      shown);
        ini_free(ini);
    }
}
END_TEST

START_TEST(every_header_is_told)
{
    static const char text[] = "\xef\xbb\xbf[A]\n[B]\n k=[x]\n#[C]\n\t[ A ]\n[no\n[D]\n";
    struct ini *ini = NULL;
    ck_ok(parse_bytes(text, strlen(text), &ini));
    ck_assert_uint_eq(ini->section_count, 3);
    ck_assert_str_eq(ini->sections[0].name, "A");
    ck_assert_uint_eq(ini->sections[0].line, 1);
    ck_assert_str_eq(ini->sections[1].name, "B");
    ck_assert_uint_eq(ini->sections[1].line, 2);
    ck_assert_str_eq(ini->sections[2].name, "A");
    ck_assert_uint_eq(ini->sections[2].line, 5);
    ini_free(ini);
}
END_TEST

START_TEST(what_is_no_text)
{
    static const struct {
        const char *bytes;
        size_t len;
        unsigned line;
        const char *words;
    } cases[] = {
        {"[A]\nk=v\0w\n", 10, 2, "a zero octet: this is no text file"},
        {"[A]\nk=v\n\0", 9, 3, "a zero octet: this is no text file"},
        {"\0", 1, 1, "a zero octet: this is no text file"},
        {"\xff\xfe[\0A\0]\0\n\0", 10, 1, "a zero octet: this is no text file"},
        {"[A]\nk=\xff\n", 8, 1, "the file is not UTF-8 text"},
        {"[A]\nk=\xed\xa0\x80\n", 10, 1, "the file is not UTF-8 text"},
        {"[A]\nk=\xc3", 7, 1, "the file is not UTF-8 text"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ini *ini = NULL;
        ck_err(parse_bytes(cases[i].bytes, cases[i].len, &ini), ERR_MALFORMED);
        ck_assert_ptr_null(ini);
        ck_assert_uint_eq(faults.count, 1);
        ck_assert_uint_eq(faults.items[0].line, cases[i].line);
        ck_assert_str_eq(faults.items[0].fault.text, cases[i].words);
    }
}
END_TEST

START_TEST(long_values_and_names)
{
    static char text[TEXT_MAX];
    struct ini *ini = NULL;
    int n = snprintf(text, sizeof(text), "[A]\nk=");
    memset(text + n, 'x', 60000);
    ck_ok(parse_bytes(text, (size_t)n + 60000, &ini));
    ck_assert_uint_eq(ini->item_count, 1);
    ck_assert_uint_eq(strlen(ini->items[0].value), 60000);
    ck_assert_uint_eq(strspn(ini->items[0].value, "x"), 60000);
    ini_free(ini);

    /* A name is cut, never to one that means something: no key is that long. */
    n = snprintf(text, sizeof(text), "[%0300d]\n%0100d=v\n", 7, 8);
    ck_ok(parse_bytes(text, (size_t)n, &ini));
    ck_assert_uint_eq(ini->item_count, 1);
    ck_assert_uint_eq(strlen(ini->items[0].key), INI_NAME_MAX - 1);
    ck_assert_uint_eq(strlen(ini->items[0].section), INI_NAME_MAX - 1);
    ck_assert_str_eq(ini->items[0].section, ini->sections[0].name);
    ck_assert_str_eq(ini->items[0].value, "v");
    ini_free(ini);
}
END_TEST

/* Keys behind one header too many must not count as the header's before it. */
START_TEST(as_many_sections_as_there_is_room_for)
{
    char text[4096];
    int n = 0;
    struct ini *ini = NULL;
    for (int i = 0; i < INI_SECTIONS_MAX; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "[S%d]\nk=%d\n", i, i);
    ck_ok(parse_bytes(text, (size_t)n, &ini));
    ck_assert(!fault_list_any(&faults));
    ck_assert_uint_eq(ini->item_count, INI_SECTIONS_MAX);
    for (int i = 0; i < INI_SECTIONS_MAX; i++)
        ck_assert_int_eq(atoi(ini->items[i].section + 1), atoi(ini->items[i].value));
    ini_free(ini);

    n += snprintf(text + n, sizeof(text) - (size_t)n, "[Over]\nk=over\n");
    ck_ok(parse_bytes(text, (size_t)n, &ini));
    ck_assert_uint_eq(faults.count, 1);
    ck_assert_uint_eq(faults.items[0].line, 2 * INI_SECTIONS_MAX + 1);
    ck_assert_str_eq(faults.items[0].fault.text, "too many sections");
    ck_assert_uint_eq(ini->item_count, INI_SECTIONS_MAX);
    ini_free(ini);
}
END_TEST

START_TEST(as_many_keys_as_there_is_room_for)
{
    char text[8192];
    int n = snprintf(text, sizeof(text), "[A]\n");
    struct ini *ini = NULL;
    for (int i = 0; i < INI_ITEMS_MAX; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "k=%d\n", i);
    ck_ok(parse_bytes(text, (size_t)n, &ini));
    ck_assert(!fault_list_any(&faults));
    ck_assert_uint_eq(ini->item_count, INI_ITEMS_MAX);
    for (int i = 0; i < INI_ITEMS_MAX; i++)
        ck_assert_int_eq(atoi(ini->items[i].value), i);
    ini_free(ini);

    n += snprintf(text + n, sizeof(text) - (size_t)n, "k=over\n");
    ini = NULL;
    ck_err(parse_bytes(text, (size_t)n, &ini), ERR_LIMIT);
    ck_assert_ptr_null(ini);
    ck_assert_str_eq(faults.items[0].fault.text, "more than 256 keys");
}
END_TEST

/* More bad lines than faults that are kept: none is taken for good, all are counted. */
START_TEST(nothing_but_bad_lines)
{
    char text[8192];
    int n = snprintf(text, sizeof(text), "[A]\n");
    struct ini *ini = NULL;
    for (int i = 0; i < 300; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "bad %d\n", i);
    n += snprintf(text + n, sizeof(text) - (size_t)n, "k=v\n");
    ck_ok(parse_bytes(text, (size_t)n, &ini));
    ck_assert_uint_eq(ini->item_count, 1);
    ck_assert_uint_eq(ini->items[0].line, 302);
    ck_assert_uint_eq(faults.count + faults.dropped, 300);
    for (size_t i = 0; i < faults.count; i++)
        ck_assert_uint_eq(faults.items[i].line, i + 2);
    ini_free(ini);
}
END_TEST

/* --- random lines, against a few lines that say what the format is --- */

static uint32_t seed;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 16) % below;
}

/* One line of the file, and what show() must say of it ("" for nothing). */
struct piece {
    const char *text, *key, *value, *words;
};

static const struct piece pieces[] = {
    {"", NULL, NULL, NULL},
    {"# [x]", NULL, NULL, NULL},
    {" ; k = 1", NULL, NULL, NULL},
    {"Port=500", "Port", "500", NULL},
    {" Port = 1, 2 ", "Port", "1, 2", NULL},
    {"port=[x]", "port", "[x]", NULL},
    {"PORT==#;", "PORT", "=#;", NULL},
    {"Key=", "Key", "", NULL},
    {"nothing", NULL, NULL, "Equal sign is missing."},
    {"=x", NULL, NULL, "Property name is missing."},
    {"k\x7f=x", NULL, NULL, "the key's name holds an octet that is not printable ASCII"},
};
enum { PIECES = sizeof(pieces) / sizeof(pieces[0]), LINES_MAX = 24 };

static void random_file(char *text, char *items, char *blamed)
{
    static const char *const sections[] = {"A", "a", "B", "Gateway"};
    const char *section = NULL;
    bool cut = false;
    unsigned count = 1 + draw(LINES_MAX);
    text[0] = items[0] = blamed[0] = '\0';
    for (unsigned line = 1; line <= count; line++) {
        const char *end = draw(4) == 0 ? "\r\n" : "\n";
        if (section == NULL || draw(5) == 0) {
            section = sections[draw(4)];
            text += sprintf(text, "%s[%s]%s", draw(2) == 0 ? "" : " ", section, end);
            continue;
        }
        if (draw(40) == 0) {
            text += sprintf(text, "[%s%s", section, end);
            if (!cut)
                blamed += sprintf(blamed, "%u %s", line, HEADER_WORDS);
            cut = true;
            continue;
        }
        const struct piece *p = &pieces[draw(PIECES)];
        text += sprintf(text, "%s%s", p->text, end);
        if (!cut && p->key != NULL)
            items += sprintf(items, "%u %s/%s=%s\n", line, section, p->key, p->value);
        if (!cut && p->words != NULL)
            blamed += sprintf(blamed, "%u %s\n", line, p->words);
    }
}

static int by_line(const void *a, const void *b)
{
    const struct fault_list_item *x = a, *y = b;
    return x->line < y->line ? -1 : x->line > y->line;
}

START_TEST(any_mixture_of_lines)
{
    static char text[4096], items[4096], blamed[4096], expected[8192], shown[SHOWN_MAX];
    for (seed = 1; seed < 400; seed++) {
        uint32_t before = seed;
        struct ini *ini = NULL;
        random_file(text, items, blamed);
        seed = before;
        enum err e = parse_bytes(text, strlen(text), &ini);
        if (e != ERR_OK)
            ck_abort_msg("seed %u: %s\n%s", seed, err_text(e), text);
        qsort(faults.items, faults.count, sizeof(faults.items[0]), by_line);
        snprintf(expected, sizeof(expected), "%s%s", items, blamed);
        if (strcmp(show(ini, shown), expected) != 0)
            ck_abort_msg("seed %u:\n%s\nshown:\n%s\nexpected:\n%s", seed, text, shown, expected);
        ini_free(ini);
    }
}
END_TEST

/* Any octets at all: read or blamed, but never both lost. */
START_TEST(any_octets)
{
    static const char alphabet[] = "[]=#; \t\n\n\nkA1\r\v\"\\/*\x01\x7f\xc3\xa9\xef\xbb\xbf\xff,";
    char text[64];
    for (seed = 1; seed < 3000; seed++) {
        uint32_t before = seed;
        size_t len = draw(sizeof(text));
        for (size_t i = 0; i < len; i++)
            text[i] = alphabet[draw(sizeof(alphabet))]; /* the terminating zero as well */
        seed = before;
        struct ini *ini = NULL;
        enum err e = parse_bytes(text, len, &ini);
        if (e == ERR_MEMORY || (e != ERR_OK && !fault_list_any(&faults)))
            ck_abort_msg("seed %u: %s", seed, err_text(e));
        for (size_t i = 0; ini != NULL && i < ini->item_count; i++) {
            const struct ini_item *item = &ini->items[i];
            if (item->section[0] == '\0' || item->key[0] == '\0' || item->line == 0)
                ck_abort_msg("seed %u: a key of nowhere", seed);
        }
        ini_free(ini);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("client_ini");
    TCase *t = tcase_create("ini");

    tcase_set_timeout(t, 120);
    tcase_add_test(t, what_is_written_is_what_is_read);
    tcase_add_test(t, every_header_is_told);
    tcase_add_test(t, what_is_no_text);
    tcase_add_test(t, long_values_and_names);
    tcase_add_test(t, as_many_sections_as_there_is_room_for);
    tcase_add_test(t, as_many_keys_as_there_is_room_for);
    tcase_add_test(t, nothing_but_bad_lines);
    tcase_add_test(t, any_mixture_of_lines);
    tcase_add_test(t, any_octets);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
