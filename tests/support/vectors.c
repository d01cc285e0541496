/* Readers for published test vectors. */
#include "tests/support/vectors.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

static FILE *open_file(const char *path, const char *package)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s cannot be read; to have it: apt-get install %s", path, package);
    return f;
}

void vectors_open(struct vectors *v, const char *path, const char *package)
{
    *v = (struct vectors){.file = open_file(path, package)};
}

static void drop_field(struct vectors *v, size_t i)
{
    free(v->fields[i].name);
    free(v->fields[i].value);
    v->count--;
    memmove(&v->fields[i], &v->fields[i + 1], (v->count - i) * sizeof(v->fields[0]));
}

static char *trim(char *text)
{
    text += strspn(text, " \t\r\n");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
        len--;
    text[len] = '\0';
    return text;
}

static void add_field(struct vectors *v, const char *name, const char *value, bool header)
{
    for (size_t i = 0; header && i < v->count; i++)
        if (v->fields[i].header && strcmp(v->fields[i].name, name) == 0)
            drop_field(v, i--);
    ck_assert_uint_lt(v->count, VECTOR_FIELDS_MAX);
    v->fields[v->count++] = (struct vector_field){strdup(name), strdup(value), header};
}

/* `[Keylen = 128]`, `[ENCRYPT]`, `Key = 00ff` or a bare word. */
static void add_line(struct vectors *v, char *line)
{
    bool header = line[0] == '[';
    if (header) {
        line++;
        line[strcspn(line, "]")] = '\0';
    }
    char *equals = strchr(line, '=');
    if (equals != NULL) {
        *equals = '\0';
        add_field(v, trim(line), trim(equals + 1), header);
    } else if (header) {
        add_field(v, "section", trim(line), true);
    } else {
        add_field(v, line, "", false);
    }
}

bool vectors_next(struct vectors *v)
{
    for (size_t i = v->count; i-- > 0;)
        if (!v->fields[i].header)
            drop_field(v, i);
    bool any = false;
    while (getline(&v->line, &v->line_cap, v->file) >= 0) {
        char *line = trim(v->line);
        if (line[0] == '#')
            continue;
        if (line[0] == '\0' && any)
            return true;
        if (line[0] == '\0')
            continue;
        any = any || line[0] != '[';
        add_line(v, line);
    }
    return any;
}

void vectors_close(struct vectors *v)
{
    while (v->count > 0)
        drop_field(v, v->count - 1);
    free(v->line);
    fclose(v->file);
}

const char *vectors_text(const struct vectors *v, const char *name)
{
    for (size_t i = 0; i < v->count; i++)
        if (strcmp(v->fields[i].name, name) == 0)
            return v->fields[i].value;
    return NULL;
}

bool vectors_is(const struct vectors *v, const char *name, const char *value)
{
    const char *text = vectors_text(v, name);
    return text != NULL && strcmp(text, value) == 0;
}

struct span vectors_hex(const struct vectors *v, const char *name, uint8_t *out, size_t cap)
{
    const char *text = vectors_text(v, name);
    ck_assert_msg(text != NULL, "no field %s", name);
    if (text[0] != '"')
        return span_make(out, support_hex(text, out, cap));
    size_t len = strlen(text);
    ck_assert_msg(len >= 2 && text[len - 1] == '"' && len - 2 <= cap, "bad text: %s", text);
    memcpy(out, text + 1, len - 2);
    return span_make(out, len - 2);
}

json_t *vectors_json(const char *path, const char *package)
{
    fclose(open_file(path, package));
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    ck_assert_msg(root != NULL, "%s:%d: %s", path, error.line, error.text);
    return root;
}

const char *vectors_json_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    ck_assert_msg(text != NULL, "no field %s", name);
    return text;
}

struct span vectors_json_hex(const json_t *object, const char *name, uint8_t *out, size_t cap)
{
    return span_make(out, support_hex(vectors_json_text(object, name), out, cap));
}

struct span vectors_file(const char *path, const char *package)
{
    FILE *f = open_file(path, package);
    ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
    long size = ftell(f);
    ck_assert_int_gt(size, 0);
    rewind(f);
    uint8_t *data = malloc((size_t)size);
    ck_assert_ptr_nonnull(data);
    ck_assert_uint_eq(fread(data, 1, (size_t)size, f), (size_t)size);
    fclose(f);
    return span_make(data, (size_t)size);
}
