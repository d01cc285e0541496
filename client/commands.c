/* The commands that speak with running connections: down, status, list. */
#include "client/commands.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "client/control.h"
#include "client/find_profile.h"
#include "client/presentation.h"

enum { DOWN_PATIENCE_MS = 10000, DOWN_LOOK_MS = 10 };

static enum exit_code report(enum exit_code code, const struct fault *f)
{
    presentation_fault(f);
    return code;
}

/* The connection that is meant: by the profile's base name, or the only one that runs. */
static enum exit_code which(const struct command_options *o, const struct runtime *r,
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
        (void)fault_set(&f, ERR_STATE, "\"%s\" is not running", out);
        return report(EXIT_CODE_RUNNING_STATE, &f);
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

static enum exit_code ask(const struct runtime *r, const char *name, const char *command,
                          json_t **ret)
{
    struct fault f = {0};
    json_t *request = json_pack("{s:i, s:s}", "v", 1, "command", command);
    enum err e = control_request(r, name, request, ret, &f);
    json_decref(request);
    if (e == ERR_OK)
        return EXIT_CODE_DONE;
    return report(e == ERR_NOT_FOUND ? EXIT_CODE_RUNNING_STATE : EXIT_CODE_INTERNAL, &f);
}

static void open_runtime(struct runtime *r)
{
    struct fault f = {0};
    *r = (struct runtime){.fd = -1};
    if (runtime_open(false, r, &f) != ERR_OK)
        r->fd = -1; /* nothing can be running there */
}

/* `down` is done when the process has restored the system and let go of its lock. */
static bool await_end(const struct runtime *r, const char *name)
{
    for (int waited = 0; waited < DOWN_PATIENCE_MS; waited += DOWN_LOOK_MS) {
        if (!runtime_running(r, name))
            return true;
        (void)poll(NULL, 0, DOWN_LOOK_MS);
    }
    return false;
}

enum exit_code command_down(const struct command_options *o)
{
    struct runtime r;
    char name[PROFILE_NAME_MAX];
    json_t *answer = NULL;
    open_runtime(&r);
    enum exit_code code = which(o, &r, name);
    if (code == EXIT_CODE_DONE)
        code = ask(&r, name, "down", &answer);
    json_decref(answer);
    if (code == EXIT_CODE_DONE && !await_end(&r, name)) {
        struct fault f = {0};
        (void)fault_set(&f, ERR_STATE, "\"%s\" has not ended within %d s", name,
                        DOWN_PATIENCE_MS / 1000);
        code = report(EXIT_CODE_TIMEOUT, &f);
    }
    runtime_close(&r);
    return code;
}

enum exit_code command_status(const struct command_options *o)
{
    struct runtime r;
    char name[PROFILE_NAME_MAX];
    json_t *answer = NULL;
    open_runtime(&r);
    enum exit_code code = which(o, &r, name);
    if (code == EXIT_CODE_DONE)
        code = ask(&r, name, "status", &answer);
    if (code == EXIT_CODE_DONE && o->json) {
        json_dumpf(answer, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
        putchar('\n');
    } else if (code == EXIT_CODE_DONE) {
        presentation_print_status(answer, stdout);
    }
    json_decref(answer);
    runtime_close(&r);
    return code;
}

static void list_directory(const char *directory, const struct runtime *r)
{
    DIR *d = opendir(directory);
    if (d == NULL)
        return;
    for (const struct dirent *entry = readdir(d); entry != NULL; entry = readdir(d)) {
        char name[PROFILE_NAME_MAX];
        const char *dot = strrchr(entry->d_name, '.');
        if (dot == NULL || strcmp(dot, ".conf") != 0 || profile_name(entry->d_name, name) != ERR_OK)
            continue;
        if (r->fd < 0 || !runtime_running(r, name)) /* those that run were listed before */
            printf("%-20s down\n", name);
    }
    closedir(d);
}

enum exit_code command_list(const struct command_options *o)
{
    struct runtime r;
    char names[RUNTIME_NAMES_MAX][PROFILE_NAME_MAX], directories[2][PROFILE_PATH_MAX];
    (void)o;
    open_runtime(&r);
    size_t count = r.fd >= 0 ? runtime_names(&r, names, RUNTIME_NAMES_MAX) : 0;
    for (size_t i = 0; i < count; i++) {
        struct fault f = {0};
        json_t *request = json_pack("{s:i, s:s}", "v", 1, "command", "status"), *answer = NULL;
        if (control_request(&r, names[i], request, &answer, &f) == ERR_OK)
            printf("%-20s %s\n", names[i], json_string_value(json_object_get(answer, "state")));
        json_decref(request);
        json_decref(answer);
    }
    size_t places = find_profile_directories(directories);
    for (size_t i = 0; i < places; i++)
        list_directory(directories[i], &r);
    runtime_close(&r);
    return EXIT_CODE_DONE;
}
