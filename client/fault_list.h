/* Everything that is wrong with a profile, as FILE:LINE: text. A person mends all of it at once, so
 * whoever checks goes on after the first fault. */
#ifndef TERN_CLIENT_FAULT_LIST_H
#define TERN_CLIENT_FAULT_LIST_H

#include <stdio.h>

#include "common/base/err.h"

enum { FAULTS_MAX = 64 }; /* more are counted, not kept */

struct fault_list {
    struct fault_list_item {
        unsigned line;
        struct fault fault;
    } items[FAULTS_MAX];
    size_t count;
    size_t dropped;
};

void fault_list_init(struct fault_list *l);
void fault_list_add(struct fault_list *l, unsigned line, const char *format, ...) PRINTF_LIKE(3, 4);
/* One that a lower layer filled in; its hint follows in brackets when printed. */
void fault_list_add_fault(struct fault_list *l, unsigned line, const struct fault *f);
bool fault_list_any(const struct fault_list *l);
/* The list as the one error of a command: its only item, or how many there are. */
void fault_list_summary(const struct fault_list *l, const char *file, struct fault *ret);
/* By line, then in the order they were found. */
void fault_list_print(struct fault_list *l, const char *file, FILE *out);

#endif
