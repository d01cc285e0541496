/* The commands of `tern`, one function each, behind main's table. */
#ifndef TERN_CLIENT_COMMANDS_H
#define TERN_CLIENT_COMMANDS_H

#include <stdint.h>

#include "client/exit_code.h"
#include "common/base/log.h"

/* What the options say, for every command. */
struct command_options {
    enum log_level log_level;
    const char *log_file; /* NULL: stderr in the foreground, syslog in the background */
    bool quiet;
    bool no_color;
    bool foreground;
    bool json;
    bool ike, child;     /* of rekey: what; neither: both */
    uint32_t timeout_s;  /* 0: not given */
    const char *profile; /* NULL: not given */
    const char *what;    /* of wait: for what */
};

enum exit_code command_up(const struct command_options *o);
enum exit_code command_down(const struct command_options *o);
enum exit_code command_status(const struct command_options *o);
enum exit_code command_rekey(const struct command_options *o);
enum exit_code command_reconnect(const struct command_options *o);
enum exit_code command_check(const struct command_options *o);
enum exit_code command_monitor(const struct command_options *o);
enum exit_code command_wait(const struct command_options *o);
enum exit_code command_list(const struct command_options *o);

#endif
