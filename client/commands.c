/* The commands that speak with running connections: down, status, list. */
#include "client/commands.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "client/control.h"
#include "client/find_profile.h"
#include "client/presentation.h"
#include "client/running.h"

enum { DOWN_PATIENCE_MS = 10000, ENDING_PATIENCE_MS = 500 };

static enum exit_code report(enum exit_code code, const struct fault *f)
{
    presentation_fault(f);
    return code;
}

/* ERR_NOT_FOUND where it is not running (any more). what: NULL, or a word to the command. */
static enum err ask_about(const struct runtime *r, const char *name, const char *command,
                          const char *what, json_t **ret, struct fault *f)
{
    json_t *request = json_pack("{s:i, s:s, s:s*}", "v", 1, "command", command, "what", what);
    enum err e = control_request(r, name, request, ret, f);
    json_decref(request);
    /* It may just be ending: then there is nothing to answer, and that is the answer. */
    if (e != ERR_OK && (e == ERR_NOT_FOUND || running_await_end(r, name, ENDING_PATIENCE_MS))) {
        *f = (struct fault){0};
        return fault_set(f, ERR_NOT_FOUND, "\"%s\" is not running", name);
    }
    return e;
}

static enum err ask(const struct runtime *r, const char *name, const char *command, json_t **ret,
                    struct fault *f)
{
    return ask_about(r, name, command, NULL, ret, f);
}

static enum exit_code report_ask(enum err e, const struct fault *f)
{
    return report(e == ERR_NOT_FOUND ? EXIT_CODE_RUNNING_STATE : EXIT_CODE_INTERNAL, f);
}

/* What a killed process left is undone; name NULL: whichever it was. False where there is nothing
 * of it. */
static bool clean_after_killed(const struct runtime *r, const char *name, enum exit_code *ret_code)
{
    struct fault f = {0};
    size_t count = 0;
    enum err e = ERR_OK;
    if (r->fd >= 0)
        e = name != NULL ? runtime_clean_killed(r, name, &count, &f)
                         : runtime_clean_all_killed(r, &count, &f);
    if (count > 0)
        *ret_code = e == ERR_OK ? EXIT_CODE_DONE : report(EXIT_CODE_ROUTES_DNS, &f);
    return count > 0;
}

static enum exit_code down(const struct runtime *r, const char *name)
{
    struct fault f = {0};
    json_t *answer = NULL;
    enum exit_code code = EXIT_CODE_DONE;
    enum err e = ask(r, name, "down", &answer, &f);
    json_decref(answer);
    if (e == ERR_NOT_FOUND && clean_after_killed(r, name, &code))
        return code;
    if (e != ERR_OK)
        return report_ask(e, &f);
    if (running_await_end(r, name, DOWN_PATIENCE_MS))
        return EXIT_CODE_DONE;
    (void)fault_set(&f, ERR_STATE, "\"%s\" has not ended within %d s", name,
                    DOWN_PATIENCE_MS / 1000);
    return report(EXIT_CODE_TIMEOUT, &f);
}

static bool any_runs(const struct runtime *r)
{
    char names[1][PROFILE_NAME_MAX];
    return runtime_names(r, names, 1) > 0;
}

enum exit_code command_down(const struct command_options *o)
{
    struct runtime r;
    char name[PROFILE_NAME_MAX];
    enum exit_code code = EXIT_CODE_DONE;
    running_open(&r);
    bool named = o->profile != NULL && profile_name(o->profile, name) == ERR_OK;
    bool killed = false;
    if (r.fd >= 0 && named)
        killed = !runtime_running(&r, name) && clean_after_killed(&r, name, &code);
    else if (r.fd >= 0 && o->profile == NULL)
        killed = !any_runs(&r) && clean_after_killed(&r, NULL, &code);
    if (!killed)
        code = running_which(o, &r, name);
    if (!killed && code == EXIT_CODE_DONE)
        code = down(&r, name);
    runtime_close(&r);
    return code;
}

enum exit_code command_status(const struct command_options *o)
{
    struct runtime r;
    char name[PROFILE_NAME_MAX];
    json_t *answer = NULL;
    struct fault f = {0};
    running_open(&r);
    enum exit_code code = running_which(o, &r, name);
    enum err e = code == EXIT_CODE_DONE ? ask(&r, name, "status", &answer, &f) : ERR_OK;
    if (e != ERR_OK)
        code = report_ask(e, &f);
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

/* A command that is done, or cannot be done now. */
static enum exit_code tell(const struct command_options *o, const char *command, const char *what)
{
    struct runtime r;
    char name[PROFILE_NAME_MAX];
    json_t *answer = NULL;
    struct fault f = {0};
    running_open(&r);
    enum exit_code code = running_which(o, &r, name);
    enum err e = code == EXIT_CODE_DONE ? ask_about(&r, name, command, what, &answer, &f) : ERR_OK;
    const char *error = json_string_value(json_object_get(answer, "error"));
    if (e != ERR_OK) {
        code = report_ask(e, &f);
    } else if (error != NULL) {
        (void)fault_set(&f, ERR_STATE, "\"%s\": %s", name, error);
        fault_hint(&f, "tern status %s shows its state", name);
        code = report(EXIT_CODE_RUNNING_STATE, &f);
    }
    json_decref(answer);
    runtime_close(&r);
    return code;
}

enum exit_code command_rekey(const struct command_options *o)
{
    return tell(o, "rekey", o->ike == o->child ? NULL : o->ike ? "ike" : "child");
}

enum exit_code command_reconnect(const struct command_options *o)
{
    return tell(o, "reconnect", NULL);
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
    running_open(&r);
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
