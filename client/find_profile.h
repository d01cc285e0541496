/* From what a person types to a profile's file. */
#ifndef TERN_CLIENT_FIND_PROFILE_H
#define TERN_CLIENT_FIND_PROFILE_H

#include "client/profile.h"

/* A path (with a slash, or ending in .conf) as it is; a name: /etc/tern/NAME.conf, then
 * $XDG_CONFIG_HOME/tern/NAME.conf. ERR_NOT_FOUND with the places that were looked at. */
CHECKED enum err find_profile(const char *argument, char out[PROFILE_PATH_MAX], struct fault *f);

/* The directories in which names are looked for, in order; returns how many (at most 2). */
size_t find_profile_directories(char out[2][PROFILE_PATH_MAX]);

#endif
