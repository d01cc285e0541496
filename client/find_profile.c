/* Where profiles are. */
#include "client/find_profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

size_t find_profile_directories(char out[2][PROFILE_PATH_MAX])
{
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int n = -1;
    snprintf(out[0], PROFILE_PATH_MAX, "/etc/tern");
    if (xdg != NULL && xdg[0] == '/')
        n = snprintf(out[1], PROFILE_PATH_MAX, "%s/tern", xdg);
    else if (home != NULL && home[0] == '/')
        n = snprintf(out[1], PROFILE_PATH_MAX, "%s/.config/tern", home);
    return n > 0 && n < PROFILE_PATH_MAX ? 2 : 1;
}

static bool is_path(const char *argument)
{
    size_t len = strlen(argument);
    return strchr(argument, '/') != NULL || (len > 5 && strcmp(argument + len - 5, ".conf") == 0);
}

enum err find_profile(const char *argument, char out[PROFILE_PATH_MAX], struct fault *f)
{
    char directories[2][PROFILE_PATH_MAX], path[PROFILE_PATH_MAX + PROFILE_NAME_MAX];
    if (is_path(argument)) {
        if (strlen(argument) >= PROFILE_PATH_MAX || access(argument, F_OK) != 0)
            return fault_set(f, ERR_NOT_FOUND, "no such profile: %s", argument);
        snprintf(out, PROFILE_PATH_MAX, "%s", argument);
        return ERR_OK;
    }
    size_t count = find_profile_directories(directories);
    for (size_t i = 0; i < count; i++) {
        int n = snprintf(path, sizeof(path), "%s/%s.conf", directories[i], argument);
        if (n > 0 && n < PROFILE_PATH_MAX && access(path, F_OK) == 0) {
            memcpy(out, path, (size_t)n + 1);
            return ERR_OK;
        }
    }
    (void)fault_set(f, ERR_NOT_FOUND, "no such profile: %s", argument);
    fault_hint(f, "looked for %s.conf in %.150s%s%.150s; a path is taken as it is", argument,
               directories[0], count > 1 ? " and " : "", count > 1 ? directories[1] : "");
    return ERR_NOT_FOUND;
}
