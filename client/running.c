/* Which connection is meant, and whether it runs. */
#include "client/running.h"

#include <poll.h>
#include <string.h>

#include "client/presentation.h"

enum { LOOK_MS = 10 };

static enum exit_code report(enum exit_code code, const struct fault *f)
{
    presentation_fault(f);
    return code;
}

void running_open(struct runtime *r)
{
    struct fault f = {0};
    *r = (struct runtime){.fd = -1};
    if (runtime_open(false, r, &f) != ERR_OK)
        r->fd = -1; /* nothing can be running there */
}

bool running_await_end(const struct runtime *r, const char *name, int patience_ms)
{
    for (int waited = 0; waited < patience_ms; waited += LOOK_MS) {
        if (!runtime_running(r, name))
            return true;
        (void)poll(NULL, 0, LOOK_MS);
    }
    return false;
}

enum exit_code running_report_none(const char *name)
{
    struct fault f = {0};
    (void)fault_set(&f, ERR_STATE, "\"%s\" is not running", name);
    return report(EXIT_CODE_RUNNING_STATE, &f);
}

enum exit_code running_which(const struct command_options *o, const struct runtime *r,
                             char out[PROFILE_NAME_MAX])
{
    struct fault f = {0};
    if (o->profile != NULL) {
        if (profile_name(o->profile, out) != ERR_OK) {
            (void)fault_set(&f, ERR_NOT_FOUND, "\"%s\" cannot name a profile", o->profile);
            return report(EXIT_CODE_NO_PROFILE, &f);
        }
        if (r->fd >= 0 && runtime_running(r, out))
            return EXIT_CODE_DONE;
        return running_report_none(out);
    }
    char names[RUNTIME_NAMES_MAX][PROFILE_NAME_MAX];
    size_t count = r->fd >= 0 ? runtime_names(r, names, RUNTIME_NAMES_MAX) : 0;
    if (count == 1) {
        memcpy(out, names[0], PROFILE_NAME_MAX);
        return EXIT_CODE_DONE;
    }
    (void)fault_set(&f, ERR_STATE,
                    count == 0 ? "no connection is running" : "several connections are running");
    if (count > 1)
        fault_hint(&f, "name one of them; `tern list` shows them");
    return report(count == 0 ? EXIT_CODE_RUNNING_STATE : EXIT_CODE_USAGE, &f);
}
