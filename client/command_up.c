/* `tern up`: check everything that can be checked, then connect; the process that connects is a
 * child, made before it has any thread or event loop, and the parent waits until traffic can flow.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/commands.h"
#include "client/connection.h"
#include "client/find_profile.h"
#include "client/logging.h"
#include "client/presentation.h"
#include "client/running.h"
#include "platform/privileges.h"

enum {
    TIMEOUT_S = 30,
    PASSWORD_TRIES = 3 /* an account may be locked for a fourth */
};

static enum exit_code report(enum exit_code code, const struct fault *f)
{
    presentation_fault(f);
    return code;
}

struct background {
    int fd;  /* tells the parent the exit code, one octet; -1 in the foreground */
    bool up; /* it was */
};

static void tell(struct background *b, enum exit_code code)
{
    uint8_t octet = (uint8_t)code;
    if (b->fd < 0)
        return;
    while (write(b->fd, &octet, 1) < 0 && errno == EINTR) {
    }
    close(b->fd);
    b->fd = -1;
}

/* Traffic can flow: the parent goes, and the terminal with it. */
static void on_up(void *ctx)
{
    struct background *b = ctx;
    b->up = true;
    if (b->fd < 0)
        return;
    (void)setsid();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        for (int fd = 0; fd <= 2; fd++)
            (void)dup2(null, fd);
        if (null > 2)
            close(null);
    }
    if (chdir("/") != 0)
        log_debug("cannot change to /");
    tell(b, EXIT_CODE_DONE);
}

static enum exit_code connect_and_stay(const struct command_options *o, const struct profile *p,
                                       const struct credentials *c, const struct runtime *r,
                                       struct runtime_lock *lock, struct background *b)
{
    struct fault f = {0};
    if (logging_start(o, &f) != ERR_OK) {
        presentation_fault(&f);
        tell(b, EXIT_CODE_INTERNAL);
        return EXIT_CODE_INTERNAL;
    }
    const struct connection_options options = {
        .profile = p,
        .credentials = c,
        .runtime = r,
        .lock = lock,
        .timeout_ms = (o->timeout_s != 0 ? o->timeout_s : TIMEOUT_S) * 1000,
        .quiet = o->quiet,
        .on_up = on_up,
        .on_up_ctx = b,
    };
    bool was_background = b->fd >= 0;
    enum exit_code code = connection_run(&options, &f);
    bool detached = was_background && b->fd < 0;
    if (code != EXIT_CODE_DONE) {
        log_error("%s%s%s", f.text, f.hint[0] != '\0' ? "; " : "", f.hint);
        if (!detached)
            presentation_fault(&f);
    }
    runtime_unlock(r, lock); /* everything is as before: only now may the next one come */
    tell(b, code);
    logging_stop();
    return code;
}

/* The child's exit code; or, where it dies without a word, an internal error. After a failure the
 * child is gone as well when we return. */
static enum exit_code await(pid_t child, int fd)
{
    uint8_t octet;
    ssize_t n;
    do
        n = read(fd, &octet, 1);
    while (n < 0 && errno == EINTR);
    close(fd);
    if (n == 1 && octet == EXIT_CODE_DONE)
        return EXIT_CODE_DONE;
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
    if (n == 1)
        return (enum exit_code)octet;
    struct fault f = {0};
    (void)fault_set(&f, ERR_SYSTEM, "the connection's process ended without a word");
    return report(EXIT_CODE_INTERNAL, &f);
}

/* ret_over: whatever the code says, nothing is to be tried again here: it was up, and has ended; or
 * we are the process that connected, and another one asks. */
static enum exit_code run(const struct command_options *o, const struct profile *p,
                          const struct credentials *c, const struct runtime *r,
                          struct runtime_lock *lock, bool *ret_over)
{
    struct background b = {.fd = -1};
    if (o->foreground) {
        enum exit_code code = connect_and_stay(o, p, c, r, lock, &b);
        *ret_over = b.up;
        return code;
    }
    int ends[2];
    struct fault f = {0};
    pid_t pid = -1;
    if (pipe2(ends, O_CLOEXEC) == 0)
        pid = fork();
    if (pid < 0) {
        (void)fault_set(&f, ERR_SYSTEM, "cannot start a process: %s", strerror(errno));
        return report(EXIT_CODE_INTERNAL, &f);
    }
    if (pid > 0) {
        close(ends[1]);
        runtime_lock_forget(lock);
        return await(pid, ends[0]);
    }
    close(ends[0]);
    b.fd = ends[1];
    *ret_over = true;
    return connect_and_stay(o, p, c, r, lock, &b);
}

static enum exit_code lock_and_run(const struct command_options *o, const struct profile *p,
                                   const struct credentials *c, bool *ret_over)
{
    struct runtime r;
    struct runtime_lock lock;
    struct runtime_state stale = {0};
    struct fault f = {0};
    if (runtime_open(true, &r, &f) != ERR_OK)
        return report(EXIT_CODE_PRIVILEGE, &f);
    enum exit_code code;
    size_t killed = 0;
    enum err e = runtime_lock(&r, p->name, &lock, &stale, &f);
    if (e != ERR_OK) {
        code = report(e == ERR_STATE ? EXIT_CODE_RUNNING_STATE : EXIT_CODE_INTERNAL, &f);
    } else if ((stale.pid != 0 && runtime_clean(&stale, &f) != ERR_OK) ||
               /* Another's remains may hold back what is ours to carry. */
               runtime_clean_all_killed(&r, &killed, &f) != ERR_OK) {
        code = report(EXIT_CODE_ROUTES_DNS, &f);
        runtime_unlock(&r, &lock);
    } else {
        code = run(o, p, c, &r, &lock, ret_over);
    }
    runtime_close(&r);
    return code;
}

/* Does it run already? Then nobody need be asked for a password. */
static bool runs(const struct profile *p)
{
    struct runtime r;
    running_open(&r);
    bool running = r.fd >= 0 && runtime_running(&r, p->name);
    runtime_close(&r);
    return running;
}

/* A password that was mistyped is asked for again. */
static enum exit_code ask_and_run(const struct command_options *o, const struct profile *p,
                                  struct credentials *c)
{
    bool ask = credentials_lack_password(p, c) && !runs(p), over = false;
    enum exit_code code = EXIT_CODE_REFUSED;
    for (unsigned i = 0; i < PASSWORD_TRIES && code == EXIT_CODE_REFUSED && !over; i++) {
        struct fault f = {0};
        enum err e = ask ? credentials_ask_password(p, c, &f) : ERR_OK;
        if (e != ERR_OK)
            return report(e == ERR_NOT_FOUND ? EXIT_CODE_PROFILE_INVALID : EXIT_CODE_REFUSED, &f);
        code = lock_and_run(o, p, c, &over);
        if (!ask)
            break;
    }
    return code;
}

/* Where it would be in vain, nobody is asked for a passphrase. */
static enum exit_code before_credentials(const struct profile *p)
{
    struct fault f = {0};
    if (privileges_check(&f) != ERR_OK)
        return report(EXIT_CODE_PRIVILEGE, &f);
    if (!credentials_may_ask(p) || !runs(p))
        return EXIT_CODE_DONE;
    (void)fault_set(&f, ERR_STATE, "\"%s\" is running already", p->name);
    return report(EXIT_CODE_RUNNING_STATE, &f);
}

/* Every fault as FILE:LINE: text. */
static enum exit_code report_faults(struct fault_list *faults, const char *path, enum err e)
{
    struct fault f = {0};
    if (fault_list_any(faults))
        fault_list_summary(faults, path, &f);
    else
        (void)fault_set(&f, e, "%s cannot be read: %s", path, err_text(e));
    if (faults->count > 1)
        fault_list_print(faults, path, stderr);
    return report(e == ERR_NOT_FOUND ? EXIT_CODE_NO_PROFILE : EXIT_CODE_PROFILE_INVALID, &f);
}

/* Profile and the files it names. notes NULL: for `up`. */
static enum exit_code load(const struct command_options *o, struct profile **ret_profile,
                           struct credentials **ret_credentials, struct fault_list *notes)
{
    char path[PROFILE_PATH_MAX];
    struct fault f = {0};
    struct fault_list faults;
    if (find_profile(o->profile, path, &f) != ERR_OK)
        return report(EXIT_CODE_NO_PROFILE, &f);
    fault_list_init(&faults);
    enum err e = profile_load(path, ret_profile, &faults);
    enum exit_code code =
        e == ERR_OK && notes == NULL ? before_credentials(*ret_profile) : EXIT_CODE_DONE;
    if (code != EXIT_CODE_DONE)
        return code;
    if (e == ERR_OK)
        e = notes == NULL
                ? credentials_load(*ret_profile, time(NULL), ret_credentials, &faults)
                : credentials_check(*ret_profile, time(NULL), ret_credentials, &faults, notes);
    return e == ERR_OK ? EXIT_CODE_DONE : report_faults(&faults, path, e);
}

enum exit_code command_up(const struct command_options *o)
{
    struct profile *p = NULL;
    struct credentials *c = NULL;
    privileges_protect_memory();
    enum exit_code code = load(o, &p, &c, NULL);
    if (code == EXIT_CODE_DONE)
        code = ask_and_run(o, p, c);
    credentials_free(c);
    profile_free(p);
    return code;
}

/* No faults, but worth a word. */
static void warn(const struct profile *p, const struct credentials *c)
{
    if (proposal_list_has_null(&p->esp))
        fprintf(stderr,
                "%s:%u: warning: ESP offers null: the gateway may choose that nothing is "
                "enciphered\n",
                p->path, p->lines[KEY_CRYPTO_ESP]);
    if (c->ppk.len > 0 && c->ppk.len < CREDENTIALS_PPK_GOOD)
        fprintf(stderr,
                "%s:%u: warning: the PPK has %zu octets; against a quantum computer %d random "
                "ones are good\n",
                p->path, p->lines[KEY_LOCAL_PPK_IDENTITY], c->ppk.len, (int)CREDENTIALS_PPK_GOOD);
}

static enum exit_code check_crls(const struct profile *p, const struct credentials *c)
{
    struct fault_list faults, warnings;
    fault_list_init(&faults);
    fault_list_init(&warnings);
    credentials_check_crls(p, c, time(NULL), &faults, &warnings);
    for (size_t i = 0; i < warnings.count; i++)
        fprintf(stderr, "%s:%u: warning: %s\n", p->path, warnings.items[i].line,
                warnings.items[i].fault.text);
    return fault_list_any(&faults) ? report_faults(&faults, p->path, ERR_MALFORMED)
                                   : EXIT_CODE_DONE;
}

enum exit_code command_check(const struct command_options *o)
{
    struct profile *p = NULL;
    struct credentials *c = NULL;
    struct fault_list notes;
    fault_list_init(&notes);
    privileges_protect_memory(); /* somebody may enter a passphrase */
    enum exit_code code = load(o, &p, &c, &notes);
    if (code == EXIT_CODE_DONE)
        warn(p, c);
    for (size_t i = 0; code == EXIT_CODE_DONE && i < notes.count; i++)
        fprintf(stderr, "%s:%u: warning: %s\n", p->path, notes.items[i].line,
                notes.items[i].fault.text);
    if (code == EXIT_CODE_DONE)
        code = check_crls(p, c);
    if (code == EXIT_CODE_DONE && !o->quiet)
        printf("%s: no faults\n", p->path);
    credentials_free(c);
    profile_free(p);
    return code;
}
