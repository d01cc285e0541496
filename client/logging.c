/* The log's sinks: a file, stderr, syslog. */
#include "client/logging.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "client/presentation.h"

static FILE *file; /* NULL: syslog */
static log_sink *follower;
static void *follower_ctx;

static const char *const names[] = {"error", "warn", "info", "debug"};

static void tell_follower(enum log_level level, const char *line)
{
    if (follower != NULL)
        follower(follower_ctx, level, line);
}

static void to_file(void *ctx, enum log_level level, const char *line)
{
    FILE *out = ctx;
    char text[PRESENTATION_TIME_MAX];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    fprintf(out, "%s %-5s %s\n", presentation_time(&now, text), names[level], line);
    fflush(out);
    tell_follower(level, line);
}

static void to_syslog(void *ctx, enum log_level level, const char *line)
{
    static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
    (void)ctx;
    syslog(priorities[level], "%s", line);
    tell_follower(level, line);
}

enum err logging_start(const struct command_options *o, struct fault *f)
{
    if (o->log_file != NULL) {
        int fd = open(o->log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
        file = fd >= 0 ? fdopen(fd, "a") : NULL;
        if (file == NULL) {
            enum err e = fault_set(f, ERR_SYSTEM, "log file %s: %s", o->log_file, strerror(errno));
            if (fd >= 0)
                close(fd);
            return e;
        }
        log_to(to_file, file, o->log_level);
    } else if (o->foreground) {
        log_to(to_file, stderr, o->log_level);
    } else {
        openlog("tern", LOG_PID, LOG_DAEMON);
        log_to(to_syslog, NULL, o->log_level);
    }
    return ERR_OK;
}

void logging_stop(void)
{
    logging_follow(NULL, NULL);
    log_to(NULL, NULL, LOG_LEVEL_ERROR);
    if (file != NULL)
        fclose(file);
    else
        closelog();
    file = NULL;
}

void logging_follow(log_sink *sink, void *ctx)
{
    follower = sink;
    follower_ctx = ctx;
}
