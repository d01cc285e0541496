/* libini_config, and what it does not tell. It keeps nothing of a file that has one bad line, so a
 * bad line is reported, made a comment, and the file is read once more; it folds the case of names
 * and merges sections, so the headers are found again in the text. Callers see what was written. */
#include "client/ini.h"

#include <ctype.h>
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

/* Report each bad line and make it a comment. Returns the length of what may be read again: a bad
 * section header ends it, since nobody knows where the keys after it belong. */
static size_t mend(char *text, size_t len, struct ini_cfgobj *config, struct fault_list *faults)
{
    char **errors = NULL;
    if (ini_config_get_errors(config, &errors) != 0)
        return 0;
    size_t keep = len;
    for (size_t i = 0; errors[i] != NULL; i++) {
        const char *words = errors[i];
        unsigned line = error_line(errors[i], &words);
        char *at = find_line(text, len, line);
        if (line == 0 || at == NULL) {
            fault_list_add(faults, line == 0 ? 1 : line, "%s", words);
            keep = 0;
            continue;
        }
        char *first = skip_blanks(at);
        if (*first != '#' && *first != ';') /* an indented comment is no fault to us */
            fault_list_add(faults, line, "%s", words);
        if (*first == '[' && (size_t)(at - text) < keep)
            keep = (size_t)(at - text);
        *at = '#';
    }
    ini_config_free_errors(errors);
    return keep;
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
            return ERR_MEMORY;
        }
        len = mend(text, len, config, faults);
        ini_config_destroy(config);
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

static void find_sections(struct ini *ini, char *text, size_t len)
{
    unsigned line = 1;
    for (char *at = text; at != NULL && at < text + len; line++) {
        char *next = memchr(at, '\n', (size_t)(text + len - at));
        char *end = next != NULL ? next : text + len;
        char *first = skip_blanks(at);
        char *close =
            first < end && *first == '[' ? memchr(first, ']', (size_t)(end - first)) : NULL;
        if (close != NULL && ini->section_count < INI_SECTIONS_MAX) {
            struct ini_section *s = &ini->sections[ini->section_count++];
            first = skip_blanks(first + 1);
            while (close > first && (close[-1] == ' ' || close[-1] == '\t'))
                close--;
            copy_name(s->name, first, close > first ? (size_t)(close - first) : 0);
            s->line = line;
        }
        at = next != NULL ? next + 1 : NULL;
    }
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
    find_sections(ini, text, len);
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
