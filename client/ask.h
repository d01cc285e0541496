/* A secret that a person is asked for: by the program that TERN_ASKPASS names, else on the terminal
 * without echo, else, where there is none, by systemd's password agents. It is on no command line
 * and in no file. Blocks; to be called before there is an event loop. */
#ifndef TERN_CLIENT_ASK_H
#define TERN_CLIENT_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/crypto/secret.h"

/* prompt: "Password of alice for office", without colon. ERR_NOT_FOUND where nobody can be asked,
 * ERR_REFUSED where nothing was answered, ERR_LIMIT, ERR_SYSTEM. A signal that would end the
 * process does so, once the terminal is as it was. */
CHECKED enum err ask_secret(const char *prompt, struct secret *ret, struct fault *f);

/* Is somebody at hand: a program, or a terminal of ours? Agents may be answered by nobody. */
bool ask_attended(void);

#endif
