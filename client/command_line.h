/* A program and its arguments, as a profile writes them: no shell ever sees them. */
#ifndef TERN_CLIENT_COMMAND_LINE_H
#define TERN_CLIENT_COMMAND_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

enum { COMMAND_LINE_MAX = 1024, COMMAND_ARGUMENTS_MAX = 16 };

struct command_line {
    char text[COMMAND_LINE_MAX]; /* the arguments, each with its terminating zero */
    uint16_t starts[COMMAND_ARGUMENTS_MAX];
    size_t count; /* the program included; 0: none */
};

/* Words between blanks; 'single' and "double" quotes keep blanks, also inside a word; the escapes
 * \\ \" \' \s (a blank) \t \n \r and \xNN count everywhere. Nothing is expanded: $, % and * are
 * themselves. ERR_MALFORMED, or ERR_LIMIT where it is too long; the fault says why. */
CHECKED enum err command_line_parse(const char *text, struct command_line *ret, struct fault *f);

const char *command_line_argument(const struct command_line *c, size_t index);

#endif
