/* Splitting a command line, by the rules that systemd's units have. What comes out is never longer
 * than what went in. */
#include "client/command_line.h"

#include <string.h>

#include "common/base/text.h"

struct splitter {
    const char *at;
    struct command_line *out;
    size_t len;
    struct fault *f;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Behind a backslash. */
static enum err escape(struct splitter *s, char *ret)
{
    static const char names[] = "\\\"'stnr", meanings[] = "\\\"' \t\n\r";
    char c = *s->at;
    const char *known = c != '\0' ? strchr(names, c) : NULL;
    if (known != NULL) {
        *ret = meanings[known - names];
        s->at++;
        return ERR_OK;
    }
    int high = c == 'x' ? text_hex_digit(s->at[1]) : -1;
    int low = high >= 0 ? text_hex_digit(s->at[2]) : -1;
    if (low < 0 || high + low == 0)
        return fault_set(s->f, ERR_MALFORMED,
                         "a backslash is not followed by \\ \" ' s t n r or xNN");
    *ret = (char)(high * 16 + low);
    s->at += 3;
    return ERR_OK;
}

static void put(struct splitter *s, char c)
{
    s->out->text[s->len++] = c;
}

/* One word; at its first character. */
static enum err word(struct splitter *s)
{
    char quote = '\0';
    for (; *s->at != '\0' && (quote != '\0' || !is_blank(*s->at));) {
        char c = *s->at++;
        if (c == '\\') {
            enum err e = escape(s, &c);
            if (e != ERR_OK)
                return e;
            put(s, c);
        } else if (quote == '\0' && (c == '"' || c == '\'')) {
            quote = c;
        } else if (c == quote) {
            quote = '\0';
        } else {
            put(s, c);
        }
    }
    if (quote != '\0')
        return fault_set(s->f, ERR_MALFORMED, "a quote is not closed");
    put(s, '\0');
    return ERR_OK;
}

enum err command_line_parse(const char *text, struct command_line *ret, struct fault *f)
{
    struct command_line line = {0};
    struct splitter s = {.at = text, .out = &line, .f = f};
    if (strlen(text) >= COMMAND_LINE_MAX)
        return fault_set(f, ERR_LIMIT, "longer than %d octets", COMMAND_LINE_MAX - 1);
    for (;;) {
        while (is_blank(*s.at))
            s.at++;
        if (*s.at == '\0')
            break;
        if (line.count == COMMAND_ARGUMENTS_MAX)
            return fault_set(f, ERR_LIMIT, "more than %d arguments", COMMAND_ARGUMENTS_MAX - 1);
        line.starts[line.count++] = (uint16_t)s.len;
        enum err e = word(&s);
        if (e != ERR_OK)
            return e;
    }
    if (line.count == 0)
        return fault_set(f, ERR_MALFORMED, "no program");
    *ret = line;
    return ERR_OK;
}

const char *command_line_argument(const struct command_line *c, size_t index)
{
    ASSERT(index < c->count);
    return c->text + c->starts[index];
}
