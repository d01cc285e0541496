/* Collecting and printing the faults of a profile. The words themselves come from profile.c and
 * credentials.c; what a value holds is escaped by fault_set. */
#include "client/fault_list.h"

#include <stdarg.h>
#include <string.h>

void fault_list_init(struct fault_list *l)
{
    l->count = 0;
    l->dropped = 0;
}

void fault_list_add_fault(struct fault_list *l, unsigned line, const struct fault *f)
{
    if (l->count == FAULTS_MAX) {
        l->dropped++;
        return;
    }
    l->items[l->count++] = (struct fault_list_item){.line = line, .fault = *f};
}

void fault_list_add(struct fault_list *l, unsigned line, const char *format, ...)
{
    char text[sizeof(((struct fault *)0)->text)];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    struct fault f = {0};
    fault_set(&f, ERR_MALFORMED, "%s", text);
    fault_list_add_fault(l, line, &f);
}

bool fault_list_any(const struct fault_list *l)
{
    return l->count > 0;
}

/* Insertion sort: stable, and the list is short. */
static void sort_by_line(struct fault_list *l)
{
    for (size_t i = 1; i < l->count; i++) {
        struct fault_list_item item = l->items[i];
        size_t at = i;
        for (; at > 0 && l->items[at - 1].line > item.line; at--)
            l->items[at] = l->items[at - 1];
        l->items[at] = item;
    }
}

void fault_list_summary(const struct fault_list *l, const char *file, struct fault *ret)
{
    *ret = (struct fault){0};
    if (l->count == 1 && l->dropped == 0) {
        const struct fault *only = &l->items[0].fault;
        (void)fault_set(ret, only->code, "%s:%u: %s", file, l->items[0].line, only->text);
        if (only->hint[0] != '\0')
            fault_hint(ret, "%s", only->hint);
    } else {
        (void)fault_set(ret, ERR_MALFORMED, "%s has %zu faults", file, l->count + l->dropped);
    }
}

void fault_list_print(struct fault_list *l, const char *file, FILE *out)
{
    sort_by_line(l);
    for (size_t i = 0; i < l->count; i++) {
        const struct fault *f = &l->items[i].fault;
        fprintf(out, "%s:%u: %s", file, l->items[i].line, f->text);
        if (f->hint[0] != '\0')
            fprintf(out, " (%s)", f->hint);
        fputc('\n', out);
    }
    if (l->dropped > 0)
        fprintf(out, "%s: and %zu more\n", file, l->dropped);
}
