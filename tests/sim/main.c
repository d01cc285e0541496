/* tern_sim: runs seeds, in several processes, and tells of those that failed. */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"

enum { JOBS_MAX = 64, SEED_SECONDS_MAX = 30, SHOWN_OF_A_KIND = 3, KINDS_MAX = 64 };

struct options {
    uint64_t first, count;
    unsigned jobs;
    bool one, transcript, list, all;
};

/* What a worker has done; in memory that it shares, so that a crash does not lose it. */
struct worker {
    pid_t pid;
    uint64_t next; /* seed that it is at, or comes next */
    uint64_t done, failed, virtual_ms, steps, changes, moves;
    uint64_t kinds[KINDS_MAX]; /* failures by invariant */
};

static const char usage[] = "usage: tools/sim --seeds N [--first S] [--jobs J]\n"
                            "       tools/sim --seed S [--transcript]\n"
                            "       tools/sim --list\n"
                            "--allow NAME (may be repeated) looks past failures of that kind.\n"
                            "Runs simulated clients and a gateway; the same seed is the same run. "
                            "--list: what is checked.\n";

static bool number(const char *text, uint64_t *ret)
{
    char *end;
    if (text == NULL || text[0] < '0' || text[0] > '9')
        return false;
    *ret = strtoull(text, &end, 0);
    return *end == '\0';
}

static bool parse(int argc, char **argv, struct options *o)
{
    uint64_t n;
    bool seeds = false;
    *o = (struct options){.first = 1, .jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN)};
    for (int i = 1; i < argc; i++) {
        const char *value = argv[i + 1]; /* argv ends with NULL */
        if (strcmp(argv[i], "--transcript") == 0) {
            o->transcript = true;
            continue;
        }
        if (strcmp(argv[i], "--allow") == 0 && value != NULL && check_index(value) >= 0) {
            check_allow(check_index(argv[++i]));
            continue;
        }
        if (strcmp(argv[i], "--list") == 0) {
            o->list = true;
            continue;
        }
        if (!number(value, &n))
            return false;
        if (strcmp(argv[i], "--seeds") == 0) {
            o->count = n;
            seeds = true;
        } else if (strcmp(argv[i], "--first") == 0) {
            o->first = n;
        } else if (strcmp(argv[i], "--jobs") == 0 && n >= 1) {
            o->jobs = n > JOBS_MAX ? JOBS_MAX : (unsigned)n;
        } else if (strcmp(argv[i], "--seed") == 0) {
            o->first = n;
            o->one = true;
        } else {
            return false;
        }
        i++;
    }
    return o->list || o->one || seeds;
}

static void report(uint64_t seed, const struct violation *v)
{
    printf("FAILED %s at %.3f s: %s; again: tools/sim --seed %" PRIu64 " --transcript\n", v->name,
           (double)v->at / 1000, v->text, seed);
    fflush(stdout);
}

static void print_log(void *ctx, enum log_level level, const char *text)
{
    (void)level;
    fprintf(ctx, "            log: %s\n", text);
}

static int run_one(const struct options *o)
{
    struct result result;
    if (o->transcript)
        log_to(print_log, stdout, LOG_LEVEL_DEBUG);
    world_run(o->first, o->transcript ? stdout : NULL, &result);
    if (result.violation.set) {
        report(o->first, &result.violation);
        return 1;
    }
    printf("seed %" PRIu64 ": all holds; %.1f virtual seconds, %" PRIu64 " steps, %" PRIu64
           " changes of network, %" PRIu64 " moves\n",
           o->first, (double)result.virtual_ms / 1000, result.steps, result.changes, result.moves);
    return 0;
}

/* --- many --- */

static void count_failure(struct worker *w, const struct violation *v)
{
    int kind = check_index(v->name);
    w->failed++;
    if (++w->kinds[kind] <= SHOWN_OF_A_KIND)
        report(w->next, v);
}

/* Of the processor's time, so that a busy machine makes no failures. */
static void limit_time(void)
{
    const struct itimerval limit = {.it_value = {.tv_sec = SEED_SECONDS_MAX}};
    setitimer(ITIMER_VIRTUAL, &limit, NULL);
}

static _Noreturn void work(struct worker *me, uint64_t end, unsigned stride)
{
    while (me->next < end) {
        struct result result;
        limit_time();
        world_run(me->next, NULL, &result);
        if (result.violation.set) {
            count_failure(me, &result.violation);
        }
        me->virtual_ms += (uint64_t)result.virtual_ms;
        me->steps += result.steps;
        me->changes += result.changes;
        me->moves += result.moves;
        me->done++;
        me->next += stride;
    }
    _exit(0);
}

static void begin_worker(struct worker *w, uint64_t end, unsigned stride)
{
    fflush(stdout);
    pid_t pid = fork(); /* *w is the child's too */
    if (pid == 0)
        work(w, end, stride);
    if (pid < 0) {
        perror("fork");
        exit(2);
    }
    w->pid = pid;
}

static struct worker *worker_of(struct worker *all, unsigned count, pid_t pid)
{
    for (unsigned i = 0; i < count; i++) {
        if (all[i].pid == pid)
            return &all[i];
    }
    return NULL;
}

/* A worker that died took a seed with it: that seed has failed, the others go on. */
static bool worker_died(struct worker *w, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return false;
    struct violation v = {.set = true, .name = "crash"};
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGVTALRM)
        snprintf(v.text, sizeof(v.text), "not finished after %d s", SEED_SECONDS_MAX);
    else if (WIFSIGNALED(status))
        snprintf(v.text, sizeof(v.text), "%s", strsignal(WTERMSIG(status)));
    else
        snprintf(v.text, sizeof(v.text), "exit status %d", WEXITSTATUS(status));
    count_failure(w, &v);
    w->done++;
    return true;
}

static int run_many(const struct options *o)
{
    struct worker *workers = mmap(NULL, sizeof(*workers) * JOBS_MAX, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct timespec start, now;
    uint64_t end = o->first + o->count, done = 0, failed = 0, virtual_ms = 0, steps = 0;
    uint64_t changes = 0, moves = 0;
    int status;
    pid_t pid;
    if (workers == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (unsigned i = 0; i < o->jobs; i++) {
        workers[i].next = o->first + i;
        begin_worker(&workers[i], end, o->jobs);
    }
    while ((pid = wait(&status)) > 0) {
        struct worker *w = worker_of(workers, o->jobs, pid);
        if (w != NULL && worker_died(w, status)) {
            w->next += o->jobs;
            begin_worker(w, end, o->jobs);
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    for (unsigned i = 0; i < o->jobs; i++) {
        done += workers[i].done;
        failed += workers[i].failed;
        virtual_ms += workers[i].virtual_ms;
        steps += workers[i].steps;
        changes += workers[i].changes;
        moves += workers[i].moves;
    }
    for (int kind = 0; check_name(kind) != NULL; kind++) {
        uint64_t of_kind = 0;
        for (unsigned i = 0; i < o->jobs; i++)
            of_kind += workers[i].kinds[kind];
        if (of_kind > 0)
            printf("%8" PRIu64 " %s\n", of_kind, check_name(kind));
    }
    double seconds =
        (double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9 + 1e-9;
    printf("%" PRIu64 " seeds, %" PRIu64 " failed, in %.1f s: %.0f seeds/s, %.2f simulated years "
           "per hour, %.0f steps each; %" PRIu64 " changes of network, %" PRIu64 " moves\n",
           done, failed, seconds, (double)done / seconds,
           (double)virtual_ms / 1000 / (365.25 * 86400) / (seconds / 3600),
           done > 0 ? (double)steps / (double)done : 0, changes, moves);
    return failed > 0 || done != o->count ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct options o;
    if (!parse(argc, argv, &o)) {
        fputs(usage, stderr);
        return 2;
    }
    if (o.list) {
        check_list(stdout);
        return 0;
    }
    return o.one ? run_one(&o) : run_many(&o);
}
