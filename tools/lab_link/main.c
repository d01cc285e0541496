/* tern-link: a cable between two network namespaces that behaves like a path of the internet.
 *
 * Each end is a TAP: no offload reaches it, so a checksum is complete when the frame is read, and
 * its network namespace keeps it for exactly as long as this process lives. One thread waits for
 * frames, for the next frame's time (a timerfd, so that nothing is rounded up) and for commands.
 *
 * Commands come on stdin, a line each, and each is answered with a line; the end of stdin ends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "tools/lab_link/lab_queue.h"

enum {
    FRAME_MAX = 65536,
    BATCH = 64, /* frames of one end before the others have their turn */
    COMMAND_MAX = 512
};

static const char USAGE[] =
    "usage: tern-link [--seed N] PID:INTERFACE PID:INTERFACE\n"
    "\n"
    "Makes a TAP in the network namespace of each process and carries frames between them until\n"
    "stdin ends. Prints `ready`, then answers commands, `up` being from the first to the second:\n"
    "\n"
    "    shape up|down|both KEY VALUE ...   delay 25ms, jitter 2ms, loss 2%, duplicate 1%,\n"
    "                                       reorder 1%, rate 20mbit, queue 64k\n"
    "    blackhole up|down|both on|off      nothing passes, and nobody is told\n"
    "    counters                           what happened so far, as one line of JSON\n"
    "\n"
    "The answer is `ok`, `error: TEXT`, or the line of JSON. The same seed decides the same about\n"
    "the n-th packet of a direction. What stays on the link (ARP, neighbour discovery) is neither\n"
    "delayed nor lost.\n";

enum { UP, DOWN };

struct link {
    int taps[2]; /* [UP] is read for what goes up */
    struct lab_queue queues[2];
    int timer;
    uint64_t armed_us; /* for when the timer is set */
    char line[COMMAND_MAX];
    size_t line_len;
};

static uint64_t now_us(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
        abort();
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* --- the two ends --- */

static bool enter_namespace(const char *pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%.20s/ns/net", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool entered = fd >= 0 && setns(fd, CLONE_NEWNET) == 0;
    if (fd >= 0)
        close(fd);
    return entered;
}

/* PID:INTERFACE; -1 where it cannot be had, with a message. */
static int open_end(const char *end)
{
    char pid[24];
    const char *colon = strchr(end, ':');
    size_t pid_len = colon ? (size_t)(colon - end) : 0;
    if (pid_len == 0 || pid_len >= sizeof(pid) || strspn(end, "0123456789") != pid_len ||
        colon[1] == '\0' || strlen(colon + 1) >= IFNAMSIZ) {
        fprintf(stderr, "tern-link: \"%s\" is not PID:INTERFACE\n", end);
        return -1;
    }
    memcpy(pid, end, pid_len);
    pid[pid_len] = '\0';
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    memcpy(request.ifr_name, colon + 1, strlen(colon + 1));
    int fd = -1;
    if (!enter_namespace(pid) || (fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)) < 0 ||
        ioctl(fd, TUNSETIFF, &request) != 0) {
        fprintf(stderr, "tern-link: %s: %s\n", end, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

/* --- frames --- */

static void take_frames(struct link *l, int direction)
{
    static uint8_t frame[FRAME_MAX];
    for (int i = 0; i < BATCH; i++) {
        ssize_t len = read(l->taps[direction], frame, sizeof(frame));
        if (len <= 0)
            return;
        lab_queue_push(&l->queues[direction], now_us(), span_make(frame, (size_t)len));
    }
}

/* What the other end does not take (its interface is down) is lost, as on any cable. */
static void deliver(struct link *l, int direction)
{
    struct lab_frame *f;
    while ((f = lab_queue_pop(&l->queues[direction], now_us()))) {
        ssize_t sent = write(l->taps[!direction], f->data, f->len);
        (void)sent;
        free(f);
    }
}

static void arm(struct link *l)
{
    uint64_t next = lab_queue_next_us(&l->queues[UP]);
    uint64_t other = lab_queue_next_us(&l->queues[DOWN]);
    if (other < next)
        next = other;
    if (next == l->armed_us)
        return;
    l->armed_us = next;
    struct itimerspec at = {.it_value = {.tv_sec = 0}}; /* never */
    if (next != LAB_QUEUE_NEVER) {
        at.it_value.tv_sec = (time_t)(next / 1000000);
        at.it_value.tv_nsec = (long)(next % 1000000 * 1000);
    }
    if (timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &at, NULL) != 0)
        abort();
}

/* --- commands --- */

/* The queues that a word names, as a mask; 0: no such word. */
static unsigned directions(const char *word)
{
    if (strcmp(word, "both") == 0)
        return 1u << UP | 1u << DOWN;
    return strcmp(word, "up") == 0 ? 1u << UP : strcmp(word, "down") == 0 ? 1u << DOWN : 0;
}

static void command_shape(struct link *l, unsigned which, const char *words)
{
    for (int d = UP; d <= DOWN; d++) {
        struct lab_shape shape = l->queues[d].shape;
        struct fault f = {.code = ERR_OK};
        if (!(which & 1u << d))
            continue;
        if (lab_shape_parse(words, &shape, &f) != ERR_OK) {
            printf("error: %s\n", f.text);
            return;
        }
        lab_queue_shape(&l->queues[d], &shape);
    }
    puts("ok");
}

static void command_blackhole(struct link *l, unsigned which, const char *words)
{
    bool on = strcmp(words, "on") == 0;
    if (!on && strcmp(words, "off") != 0) {
        puts("error: blackhole is on or off");
        return;
    }
    for (int d = UP; d <= DOWN; d++)
        if (which & 1u << d)
            lab_queue_blackhole(&l->queues[d], on);
    puts("ok");
}

static void print_counters(const struct lab_queue *q)
{
    const struct lab_counters *c = &q->counters;
    printf("{\"packets\":%" PRIu64 ",\"octets\":%" PRIu64 ",\"delivered\":%" PRIu64
           ",\"lost\":%" PRIu64 ",\"overflowed\":%" PRIu64 ",\"blackholed\":%" PRIu64
           ",\"duplicated\":%" PRIu64 ",\"reordered\":%" PRIu64 ",\"neighbours\":%" PRIu64
           ",\"blackhole\":%s,\"delay_us\":%" PRIu32 ",\"jitter_us\":%" PRIu32
           ",\"loss_ppm\":%" PRIu32 ",\"duplicate_ppm\":%" PRIu32 ",\"reorder_ppm\":%" PRIu32
           ",\"rate_bps\":%" PRIu64 ",\"queue_len\":%" PRIu32 "}",
           c->packets, c->octets, c->delivered, c->lost, c->overflowed, c->blackholed,
           c->duplicated, c->reordered, c->neighbours, q->blackhole ? "true" : "false",
           q->shape.delay_us, q->shape.jitter_us, q->shape.loss_ppm, q->shape.duplicate_ppm,
           q->shape.reorder_ppm, q->shape.rate_bps, q->shape.queue_len);
}

static void command(struct link *l, char *line)
{
    if (strcmp(line, "counters") == 0) {
        printf("{\"up\":");
        print_counters(&l->queues[UP]);
        printf(",\"down\":");
        print_counters(&l->queues[DOWN]);
        puts("}");
        return;
    }
    char *verb = strtok(line, " "), *where = strtok(NULL, " "), *words = strtok(NULL, "");
    unsigned which = where ? directions(where) : 0;
    if (!which || !words)
        puts("error: a command is: shape|blackhole up|down|both ..., or counters");
    else if (strcmp(verb, "shape") == 0)
        command_shape(l, which, words);
    else if (strcmp(verb, "blackhole") == 0)
        command_blackhole(l, which, words);
    else
        puts("error: the commands are shape, blackhole and counters");
}

/* False at the end of stdin, or where a line is too long to be one. */
static bool take_commands(struct link *l)
{
    ssize_t got = read(STDIN_FILENO, l->line + l->line_len, sizeof(l->line) - l->line_len);
    if (got <= 0)
        return got < 0 && errno == EINTR;
    l->line_len += (size_t)got;
    char *end;
    while ((end = memchr(l->line, '\n', l->line_len))) {
        *end = '\0';
        command(l, l->line);
        size_t used = (size_t)(end + 1 - l->line);
        l->line_len -= used;
        memmove(l->line, end + 1, l->line_len);
    }
    fflush(stdout);
    return l->line_len < sizeof(l->line);
}

/* --- the loop --- */

static int serve(struct link *l)
{
    struct pollfd fds[] = {
        {.fd = l->taps[UP], .events = POLLIN},
        {.fd = l->taps[DOWN], .events = POLLIN},
        {.fd = l->timer, .events = POLLIN},
        {.fd = STDIN_FILENO, .events = POLLIN},
    };
    for (;;) {
        arm(l);
        if (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 0 && errno != EINTR)
            return 1;
        uint64_t expired;
        if (fds[2].revents && read(l->timer, &expired, sizeof(expired)) > 0)
            l->armed_us = 0;
        for (int d = UP; d <= DOWN; d++) {
            /* An interface that is gone (somebody deleted it) would wake us for ever. */
            if (fds[d].revents & POLLERR)
                fds[d].fd = -1;
            else if (fds[d].revents)
                take_frames(l, d);
        }
        deliver(l, UP);
        deliver(l, DOWN);
        if (fds[3].revents && !take_commands(l))
            return 0;
    }
}

int main(int argc, char **argv)
{
    uint64_t seed = 1;
    int at = 1;
    if (argc == 5 && strcmp(argv[1], "--seed") == 0) {
        char *end;
        seed = strtoull(argv[2], &end, 10);
        at = *argv[2] != '\0' && *end == '\0' ? 3 : argc;
    }
    if (argc - at != 2) {
        fputs(USAGE, argc == 2 && strcmp(argv[1], "--help") == 0 ? stdout : stderr);
        return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
    }
    struct link l = {.taps = {-1, -1}, .timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)};
    if (l.timer < 0)
        return 1;
    for (int d = UP; d <= DOWN; d++) {
        lab_queue_init(&l.queues[d], 2 * seed + (uint64_t)d);
        if ((l.taps[d] = open_end(argv[at + d])) < 0)
            return 1;
    }
    puts("ready");
    fflush(stdout);
    int code = serve(&l);
    lab_queue_clear(&l.queues[UP]);
    lab_queue_clear(&l.queues[DOWN]);
    return code;
}
