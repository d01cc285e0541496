/* The connections that run, as the commands look for them. */
#ifndef TERN_CLIENT_RUNNING_H
#define TERN_CLIENT_RUNNING_H

#include "client/commands.h"
#include "client/runtime.h"

/* The runtime directory; fd -1 where there is none, and so nothing can be running. */
void running_open(struct runtime *r);
/* The connection that is meant: by the profile's base name, or the only one that runs. Anything but
 * EXIT_CODE_DONE: there is none, which was reported. */
enum exit_code running_which(const struct command_options *o, const struct runtime *r,
                             char out[PROFILE_NAME_MAX]);
/* That none of that name runs; EXIT_CODE_RUNNING_STATE. */
enum exit_code running_report_none(const char *name);
/* A process has ended when it has restored the system and let go of its lock. */
bool running_await_end(const struct runtime *r, const char *name, int patience_ms);

#endif
