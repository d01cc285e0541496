/* The exit codes of tern: a contract with scripts. */
#ifndef TERN_CLIENT_EXIT_CODE_H
#define TERN_CLIENT_EXIT_CODE_H

enum exit_code {
    EXIT_CODE_DONE = 0,
    EXIT_CODE_INTERNAL = 1,
    EXIT_CODE_USAGE = 2,
    EXIT_CODE_TIMEOUT = 3,
    EXIT_CODE_NO_PROFILE = 10,
    EXIT_CODE_PROFILE_INVALID = 11,
    EXIT_CODE_RUNNING_STATE = 12, /* already running, or not running */
    EXIT_CODE_UNREACHABLE = 20,
    EXIT_CODE_NO_PROPOSAL = 21,
    EXIT_CODE_PEER_UNTRUSTED = 22,
    EXIT_CODE_REFUSED = 23,
    EXIT_CODE_SELECTORS = 24,
    EXIT_CODE_PRIVILEGE = 25, /* local privilege or TUN */
    EXIT_CODE_ROUTES_DNS = 26
};

#endif
