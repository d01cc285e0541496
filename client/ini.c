/* libini_config, and what it does not tell. It keeps nothing of a file that has one bad line, so a
 * bad line is reported, made a comment, and the file is read once more; it folds the case of names,
 * merges sections and drops keys that stand before the first, so we go through the lines before it
 * does. Callers see what was written. */
#include "client/ini.h"

#include <errno.h>
#include <ini_configobj.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/crypto/secret.h"

enum { PASSES_MAX = 8 };

/* The line's first octet; NULL past the end. */
static char *find_line(char *text, size_t len, unsigned line)
{
    char *at = text, *end = text + len;
    for (unsigned n = 1; n < line && at != NULL; n++) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at != NULL ? at + 1 : NULL;
    }
    return at != NULL && at < end ? at : NULL;
}

static char *skip_blanks(char *at)
{
    while (*at == ' ' || *at == '\t')
        at++;
    return at;
}

/* libini_config words its errors as "Error (5) on line 3: Equal sign is missing." */
static unsigned error_line(const char *words, const char **ret_text)
{
    static const char mark[] = "on line ";
    const char *at = strstr(words, mark);
    if (at == NULL)
        return 0;
    char *end;
    unsigned long line = strtoul(at + strlen(mark), &end, 10);
    *ret_text = *end == ':' ? end + 1 : end;
    while (**ret_text == ' ')
        (*ret_text)++;
    return (unsigned)line;
}

/* Report each bad line and make it a comment. False where the library does not say which line. */
static bool mend(char *text, size_t len, struct ini_cfgobj *config, struct fault_list *faults)
{
    char **errors = NULL;
    if (ini_config_get_errors(config, &errors) != 0)
        return false;
    bool known = true;
    for (size_t i = 0; errors[i] != NULL; i++) {
        const char *words = errors[i];
        unsigned line = error_line(errors[i], &words);
        char *at = find_line(text, len, line);
        if (line == 0 || at == NULL) {
            fault_list_add(faults, line == 0 ? 1 : line, "%s", words);
            known = false;
            continue;
        }
        fault_list_add(faults, line, "%s", words);
        *at = '#';
    }
    ini_config_free_errors(errors);
    return known;
}

static enum err read_config(char *text, size_t len, struct ini_cfgobj **ret,
                            struct fault_list *faults)
{
    for (int pass = 0; pass < PASSES_MAX; pass++) {
        struct ini_cfgobj *config = NULL;
        struct ini_cfgfile *file = NULL;
        if (ini_config_create(&config) != 0)
            return ERR_MEMORY;
        if (ini_config_file_from_mem(text, (uint32_t)len, &file) != 0) {
            fault_list_add(faults, 1, "the file is not UTF-8 text");
            ini_config_destroy(config);
            return ERR_MALFORMED;
        }
        int error =
            ini_config_parse(file, INI_STOP_ON_NONE, INI_MS_MERGE | INI_MV1S_ALLOW | INI_MV2S_ALLOW,
                             INI_PARSE_NOWRAP | INI_PARSE_NO_C_COMMENTS, config);
        ini_config_file_destroy(file);
        if (error == 0) {
            *ret = config;
            return ERR_OK;
        }
        if (ini_config_error_count(config) == 0) {
            ini_config_destroy(config);
            return error == ENOMEM ? ERR_MEMORY : ERR_MALFORMED;
        }
        bool known = mend(text, len, config, faults);
        ini_config_destroy(config);
        if (!known)
            return ERR_MALFORMED;
    }
    return ERR_MALFORMED;
}

static void copy_name(char out[INI_NAME_MAX], const char *from, size_t len)
{
    if (len > INI_NAME_MAX - 1)
        len = INI_NAME_MAX - 1;
    memcpy(out, from, len);
    out[len] = '\0';
}

static bool is_plain(const char *at, const char *end)
{
    while (at < end && ((*at >= ' ' && *at <= '~') || *at == '\t'))
        at++;
    return at == end;
}

/* "[name]" and nothing else on the line, without its blanks. */
static bool header_name(const char *first, const char *end, struct span *ret)
{
    if (end == first || *first != '[' || end[-1] != ']')
        return false;
    for (first++, end--; first < end && (*first == ' ' || *first == '\t');)
        first++;
    while (end > first && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *ret = span_make((const uint8_t *)first, (size_t)(end - first));
    return ret->len > 0 && is_plain(first, end) && memchr(first, '[', ret->len) == NULL &&
           memchr(first, ']', ret->len) == NULL;
}

/* What the library would lose without a word, or choke on as a whole: a key before the first
 * section, a name that is not plain text. Such a line becomes a comment. */
static void sift_key(const struct ini *ini, char *first, const char *end, unsigned line,
                     struct fault_list *faults)
{
    const char *equal = memchr(first, '=', (size_t)(end - first));
    if (equal == NULL || equal == first)
        return; /* the library's to judge */
    while (equal > first && (equal[-1] == ' ' || equal[-1] == '\t'))
        equal--;
    if (!is_plain(first, equal))
        fault_list_add(faults, line, "the key's name holds an octet that is not printable ASCII");
    else if (ini->section_count == 0)
        fault_list_add(faults, line, "key %.*s stands before the first section",
                       (int)(equal - first), first);
    else
        return;
    memset(first, '#', (size_t)(equal - first));
}

/* Every section header, with its line, which the library does not keep. Returns the length of what
 * may be read: it ends at a header that cannot be used. */
static size_t sift(struct ini *ini, char *text, size_t len, struct fault_list *faults)
{
    static const char mark[] = "\xef\xbb\xbf"; /* some editors begin with it; so may we */
    bool marked = len >= 3 && memcmp(text, mark, 3) == 0;
    unsigned line = 1;
    for (char *at = text + (marked ? 3 : 0); at < text + len; line++) {
        char *newline = memchr(at, '\n', (size_t)(text + len - at));
        char *end = newline != NULL ? newline : text + len, *next = end + (newline != NULL);
        char *first = skip_blanks(at);
        struct span name;
        while (end > first && strchr(" \t\r", end[-1]) != NULL)
            end--;
        if (end > first && (*first == '#' || *first == ';')) {
            *at = '#'; /* indented, it would be a key of that name */
        } else if (end > first && *first != '[') {
            sift_key(ini, first, end, line, faults);
        } else if (end > first) {
            if (!header_name(first, end, &name) || ini->section_count == INI_SECTIONS_MAX) {
                fault_list_add(faults, line,
                               ini->section_count == INI_SECTIONS_MAX
                                   ? "too many sections"
                                   : "a section's header is [Name], alone on its line");
                return (size_t)(at - text);
            }
            struct ini_section *s = &ini->sections[ini->section_count++];
            copy_name(s->name, (const char *)name.data, name.len);
            s->line = line;
            *first = ' '; /* the library wants no blanks before it */
            *at = '[';
        }
        at = next;
    }
    return len;
}

/* The section whose header is the last one at or before the line. */
static const char *section_of(const struct ini *ini, unsigned line)
{
    const char *name = "";
    for (size_t i = 0; i < ini->section_count && ini->sections[i].line <= line; i++)
        name = ini->sections[i].name;
    return name;
}

/* libini_config finds values by name without regard to case: the k-th of those is the k-th name in
 * the list that reads alike. */
static struct value_obj *nth_value(struct ini_cfgobj *config, const char *section, char **keys,
                                   int index)
{
    struct value_obj *value = NULL;
    if (ini_get_config_valueobj(section, keys[index], config, INI_GET_FIRST_VALUE, &value) != 0)
        return NULL;
    for (int i = 0; i < index && value != NULL; i++) {
        if (strcasecmp(keys[i], keys[index]) == 0 &&
            ini_get_config_valueobj(section, keys[index], config, INI_GET_NEXT_VALUE, &value) != 0)
            return NULL;
    }
    return value;
}

static enum err add_item(struct ini *ini, const char *key, struct value_obj *value)
{
    const char *text = NULL;
    uint32_t line = 0;
    if (value == NULL || value_get_concatenated(value, &text) != 0 ||
        value_get_line(value, &line) != 0 || text == NULL)
        return ERR_MALFORMED;
    struct ini_item *item = &ini->items[ini->item_count];
    item->value = strdup(text);
    if (item->value == NULL)
        return ERR_MEMORY;
    copy_name(item->key, key, strlen(key));
    item->line = line;
    copy_name(item->section, section_of(ini, line), strlen(section_of(ini, line)));
    ini->item_count++;
    return ERR_OK;
}

static enum err collect_section(struct ini *ini, struct ini_cfgobj *config, const char *section,
                                struct fault_list *faults)
{
    int count = 0, error = 0;
    char **keys = ini_get_attribute_list(config, section, &count, &error);
    if (keys == NULL)
        return error == 0 ? ERR_OK : ERR_MEMORY;
    enum err e = ERR_OK;
    for (int i = 0; i < count && e == ERR_OK; i++) {
        if (ini->item_count == INI_ITEMS_MAX) {
            fault_list_add(faults, 1, "more than %d keys", (int)INI_ITEMS_MAX);
            e = ERR_LIMIT;
            break;
        }
        e = add_item(ini, keys[i], nth_value(config, section, keys, i));
    }
    ini_free_attribute_list(keys);
    return e;
}

static int by_line(const void *a, const void *b)
{
    const struct ini_item *x = a, *y = b;
    return x->line < y->line ? -1 : x->line > y->line;
}

static enum err collect(struct ini *ini, struct ini_cfgobj *config, struct fault_list *faults)
{
    int count = 0, error = 0;
    char **sections = ini_get_section_list(config, &count, &error);
    if (sections == NULL)
        return error == 0 ? ERR_OK : ERR_MEMORY;
    enum err e = ERR_OK;
    for (int i = 0; i < count && e == ERR_OK; i++)
        e = collect_section(ini, config, sections[i], faults);
    ini_free_section_list(sections);
    qsort(ini->items, ini->item_count, sizeof(ini->items[0]), by_line);
    return e;
}

static enum err parse(char *text, size_t len, struct ini **ret, struct fault_list *faults)
{
    char *zero = memchr(text, '\0', len);
    if (zero != NULL) {
        unsigned line = 1;
        for (const char *at = text; at < zero; at++)
            line += *at == '\n';
        fault_list_add(faults, line, "a zero octet: this is no text file");
        return ERR_MALFORMED;
    }
    struct ini *ini = calloc(1, sizeof(*ini));
    if (ini == NULL)
        return ERR_MEMORY;
    len = sift(ini, text, len, faults);
    struct ini_cfgobj *config = NULL;
    enum err e = read_config(text, len, &config, faults);
    if (e == ERR_OK) {
        e = collect(ini, config, faults);
        ini_config_destroy(config);
    }
    if (e != ERR_OK) {
        ini_free(ini);
        return e;
    }
    *ret = ini;
    return ERR_OK;
}

enum err ini_parse(char *text, size_t len, struct ini **ret, struct fault_list *faults)
{
    /* The library's own copies of a pre-shared key are freed, not wiped: have the allocator
     * overwrite what is freed while it works. */
    (void)mallopt(M_PERTURB, 0xa5);
    enum err e = parse(text, len, ret, faults);
    (void)mallopt(M_PERTURB, 0);
    return e;
}

void ini_free(struct ini *ini)
{
    if (ini == NULL)
        return;
    for (size_t i = 0; i < ini->item_count; i++) {
        wipe(ini->items[i].value, strlen(ini->items[i].value));
        free(ini->items[i].value);
    }
    free(ini);
}
