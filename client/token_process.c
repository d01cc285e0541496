/* Starting tern-token: a child of nobody, in a session of its own, so that neither a terminal that
 * is closed nor a signal for tern takes the token away from a connection that goes on in the
 * background. It ends when the last socket to it is closed. */
#include "client/token.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/privileges.h"

#define PROGRAM "tern-token"

/* Beside the program that runs, as in a build's directory; or where it is installed with it,
 * wherever that is. */
static bool beside(char out[PATH_MAX])
{
    static const char *const places[] = {PROGRAM, "../libexec/tern/" PROGRAM};
    char directory[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", directory, sizeof(directory) - 1);
    directory[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(directory, '/');
    if (slash == NULL)
        return false;
    slash[1] = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        int n = snprintf(out, PATH_MAX, "%s%s", directory, places[i]);
        if (n < PATH_MAX && access(out, X_OK) == 0)
            return true;
    }
    return false;
}

/* Where we run with more rights than who started us (setcap), neither its environment nor a place
 * that it may have chosen counts. */
static enum err find_program(char out[PATH_MAX], struct fault *f)
{
    const char *named = secure_getenv("TERN_TOKEN");
    if (named != NULL && named[0] == '/' && strlen(named) < PATH_MAX) {
        memcpy(out, named, strlen(named) + 1);
        if (access(out, X_OK) == 0)
            return ERR_OK;
        return fault_set(f, ERR_NOT_FOUND, "TERN_TOKEN=%.200s cannot be run: %s", named,
                         strerror(errno));
    }
    if (named != NULL && named[0] != '\0')
        return fault_set(f, ERR_NOT_FOUND, "TERN_TOKEN=%.200s is not an absolute path", named);
    if (getauxval(AT_SECURE) == 0 && beside(out))
        return ERR_OK;
    memcpy(out, TERN_TOKEN_INSTALLED, sizeof(TERN_TOKEN_INSTALLED));
    if (access(out, X_OK) == 0)
        return ERR_OK;
    (void)fault_set(f, ERR_NOT_FOUND, "keys by pkcs11: need " PROGRAM ", and there is no %s", out);
    fault_hint(f, "build tern where libp11-kit-dev is installed, and install it");
    return ERR_NOT_FOUND;
}

/* What drivers print is nobody's answer, and whoever waits for the end of our output shall not wait
 * for theirs. */
static void run_program(const char *path, int fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    privileges_keep_descriptors();
    if (null >= 0 && dup2(fd, STDIN_FILENO) >= 0 && dup2(null, STDOUT_FILENO) >= 0 &&
        dup2(null, STDERR_FILENO) >= 0 && chdir("/") == 0) {
        char *const argv[] = {(char[]){PROGRAM}, NULL};
        execv(path, argv);
    }
    _exit(127);
}

enum err token_process_start(int *ret_fd, struct fault *f)
{
    char path[PATH_MAX];
    int ends[2];
    enum err e = find_program(path, f);
    if (e != ERR_OK)
        return e;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return fault_set(f, ERR_SYSTEM, "cannot make a pair of sockets: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        /* The one in between ends at once: nobody need wait for tern-token. */
        (void)setsid();
        if (fork() == 0)
            run_program(path, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return fault_set(f, ERR_SYSTEM, "cannot start a process: %s", strerror(errno));
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    *ret_fd = ends[0];
    return ERR_OK;
}
