/* A stranger's bytes as text for people. The escaping itself is text_vescape's
 * (common/base/text.c); here is what C strings do not give: NULs inside, and cutting that shows.
 *
 * Invariant: the text is one line of valid UTF-8, and one that is not whole ends in "...". */
#include "common/crypto/printable.h"

#include <string.h>

static const char cut_mark[] = "...";

void printable_begin(struct text_builder *t, char *out, size_t cap)
{
    ASSERT(cap > sizeof cut_mark);
    text_begin(t, out, cap - strlen(cut_mark));
}

static void escape(char *out, size_t cap, const char *format, ...) PRINTF_LIKE(3, 4);

static void escape(char *out, size_t cap, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_vescape(out, cap, format, args);
    va_end(args);
}

void printable_add(struct text_builder *t, struct span bytes, const char *special)
{
    if (t->cut)
        return;
    char raw[TEXT_LINE_MAX];
    struct text_builder r;
    text_begin(&r, raw, sizeof raw);
    for (size_t i = 0; i < bytes.len && !r.cut; i++) {
        if (bytes.data[i] == 0)
            text_add(&r, "\\x00");
        else if (strchr(special, bytes.data[i]) != NULL)
            text_add(&r, "\\%c", bytes.data[i]);
        else
            text_add(&r, "%c", bytes.data[i]);
    }

    char safe[TEXT_LINE_MAX], fitting[TEXT_LINE_MAX];
    escape(safe, sizeof safe, "%s", raw);
    size_t room = t->cap - t->len;
    bool cut = r.cut || strlen(safe) >= room;
    if (room > sizeof fitting)
        room = sizeof fitting;
    /* What is clean already passes unchanged, but ends at a whole character. */
    escape(fitting, room, "%s", safe);
    text_add(t, "%s", fitting);
    t->cut = t->cut || cut;
}

const char *printable_finish(struct text_builder *t)
{
    if (t->cut)
        memcpy(t->out + t->len, cut_mark, sizeof cut_mark);
    return t->out;
}
