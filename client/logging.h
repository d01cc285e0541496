/* Where log lines go. */
#ifndef TERN_CLIENT_LOGGING_H
#define TERN_CLIENT_LOGGING_H

#include "client/commands.h"

/* ERR_SYSTEM where the log file cannot be opened. Closed with the process. */
CHECKED enum err logging_start(const struct command_options *o, struct fault *f);
void logging_stop(void);
/* Every line goes to `follower` as well, which must not log; NULL: no more. */
void logging_follow(log_sink *follower, void *ctx);

#endif
