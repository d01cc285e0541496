/* Asking for a secret. What is read lies in a struct secret or is wiped. */
#include "client/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "platform/privileges.h"

#define SYSTEMD_ASK       "/usr/bin/systemd-ask-password"
#define SYSTEMD_DIRECTORY "/run/systemd/ask-password"

/* One octet more than a secret has tells what is too long. */
enum { ANSWER_MAX = SECRET_MAX + 2 };

struct answer {
    char text[ANSWER_MAX];
    size_t len;
};

/* The first line of it. */
static enum err take_answer(struct answer *a, struct secret *ret, struct fault *f)
{
    size_t len = 0;
    while (len < a->len && a->text[len] != '\n' && a->text[len] != '\r')
        len++;
    enum err e = len == 0 ? ERR_REFUSED : secret_set(ret, span_make(a->text, len));
    wipe(a, sizeof(*a));
    if (e == ERR_REFUSED)
        return fault_set(f, e, "nothing was entered");
    if (e != ERR_OK)
        return fault_set(f, e, "what was entered is longer than %d octets", (int)SECRET_MAX);
    return ERR_OK;
}

/* --- by another program --- */

static void run_program(const char *const argv[], int out)
{
    privileges_keep_descriptors();
    if (dup2(out, STDOUT_FILENO) >= 0)
        execv(argv[0], (char *const *)argv);
    _exit(127);
}

static bool read_all(int fd, struct answer *a)
{
    while (a->len < sizeof(a->text)) {
        ssize_t n = read(fd, a->text + a->len, sizeof(a->text) - a->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        a->len += (size_t)n;
    }
    return true;
}

static enum err ask_program(const char *const argv[], struct secret *ret, struct fault *f)
{
    struct answer a = {.len = 0};
    int ends[2], status = 0;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return fault_set(f, ERR_SYSTEM, "cannot make a pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0)
        run_program(argv, ends[1]);
    close(ends[1]);
    bool read_well = pid > 0 && read_all(ends[0], &a);
    close(ends[0]);
    if (pid < 0)
        return fault_set(f, ERR_SYSTEM, "cannot start a process: %s", strerror(errno));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!read_well || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        wipe(&a, sizeof(a));
        return fault_set(f, ERR_REFUSED, "%s did not say a password", argv[0]);
    }
    return take_answer(&a, ret, f);
}

/* --- on the terminal --- */

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    caught = number;
}

enum { SIGNALS = 5 };

static const int signals[SIGNALS] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};

static void write_text(int fd, const char *text)
{
    size_t len = strlen(text);
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n <= 0)
            return; /* the answer may come all the same */
        text += n;
        len -= (size_t)n;
    }
}

/* Until the line's end; false at a signal, which comes while we wait and at no other time. */
static bool read_line(int fd, const sigset_t *waiting, struct answer *a)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char c = '\0';
    ssize_t n = 1;
    while (n == 1 && c != '\n' && caught == 0) {
        if (ppoll(&p, 1, NULL, waiting) < 0)
            continue;
        n = read(fd, &c, 1);
        if (n == 1 && a->len < sizeof(a->text))
            a->text[a->len++] = c;
    }
    return n >= 0 && caught == 0;
}

/* One try, with echo off; *ret_signal is what came between, 0 for nothing. */
static enum err ask_once(int fd, const char *prompt, struct answer *a, int *ret_signal)
{
    struct sigaction before[SIGNALS], ours = {.sa_handler = on_signal};
    struct termios shown, hidden;
    sigset_t held, waiting;
    caught = 0;
    if (tcgetattr(fd, &shown) != 0)
        return ERR_SYSTEM;
    sigemptyset(&held);
    for (size_t i = 0; i < SIGNALS; i++)
        sigaddset(&held, signals[i]);
    (void)sigprocmask(SIG_BLOCK, &held, &waiting);
    for (size_t i = 0; i < SIGNALS; i++)
        (void)sigaction(signals[i], &ours, &before[i]);
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    bool ready = tcsetattr(fd, TCSAFLUSH, &hidden) == 0;
    if (ready) {
        write_text(fd, prompt);
        write_text(fd, ": ");
        ready = read_line(fd, &waiting, a);
        (void)tcsetattr(fd, TCSAFLUSH, &shown);
        write_text(fd, "\n");
    }
    for (size_t i = 0; i < SIGNALS; i++)
        (void)sigaction(signals[i], &before[i], NULL);
    (void)sigprocmask(SIG_SETMASK, &waiting, NULL);
    *ret_signal = caught;
    return ready ? ERR_OK : ERR_SYSTEM;
}

/* A signal that stops us is obeyed, and then the question comes again; one that ends us ends us. */
static enum err ask_terminal(int fd, const char *prompt, struct secret *ret, struct fault *f)
{
    struct answer a = {.len = 0};
    int number = 0;
    enum err e;
    do {
        wipe(&a, sizeof(a));
        e = ask_once(fd, prompt, &a, &number);
        if (number != 0)
            (void)raise(number);
    } while (number != 0);
    if (e == ERR_OK)
        return take_answer(&a, ret, f);
    wipe(&a, sizeof(a));
    return fault_set(f, e, "the terminal cannot be read: %s", strerror(errno));
}

/* -1: none, or in the background, where it is somebody else's. */
static int open_terminal(void)
{
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0 && tcgetpgrp(fd) != getpgrp()) {
        close(fd);
        return -1;
    }
    return fd;
}

bool ask_attended(void)
{
    const char *program = getenv("TERN_ASKPASS");
    int fd = program != NULL && program[0] != '\0' ? -1 : open_terminal();
    bool attended = fd >= 0 || (program != NULL && program[0] != '\0');
    if (fd >= 0)
        close(fd);
    return attended;
}

enum err ask_secret(const char *prompt, struct secret *ret, struct fault *f)
{
    const char *program = getenv("TERN_ASKPASS");
    if (program != NULL && program[0] == '/') {
        const char *const argv[] = {program, prompt, NULL};
        return ask_program(argv, ret, f);
    }
    if (program != NULL && program[0] != '\0')
        return fault_set(f, ERR_REFUSED, "TERN_ASKPASS=%s is not an absolute path", program);
    int fd = open_terminal();
    if (fd >= 0) {
        enum err e = ask_terminal(fd, prompt, ret, f);
        close(fd);
        return e;
    }
    if (access(SYSTEMD_DIRECTORY, F_OK) == 0 && access(SYSTEMD_ASK, X_OK) == 0) {
        const char *const argv[] = {SYSTEMD_ASK, "--no-tty", "--timeout=60", prompt, NULL};
        return ask_program(argv, ret, f);
    }
    return fault_set(f, ERR_NOT_FOUND, "there is no terminal, and TERN_ASKPASS is not set");
}
