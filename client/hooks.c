/* Hooks: a queue of programs, and the one that runs.
 *
 * No shell is started here, but one may well be what the program is. So every value is made of
 * letters, digits and a few signs that no shell gives a meaning to, whatever the gateway or the
 * kernel said; anything else becomes an underscore. */
#include "client/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/profile_value.h"
#include "common/base/log.h"
#include "platform/privileges.h"

enum { VARIABLES_MAX = 16, ENVIRONMENT_MAX = 8192, PRINTED_MAX = 400 };

static const char *const names[PROFILE_HOOKS] = {
    [PROFILE_HOOK_UP] = "up",
    [PROFILE_HOOK_DOWN] = "down",
    [PROFILE_HOOK_HANDOVER] = "handover",
};

/* A program that waits, or runs. */
struct run {
    struct run *next;
    enum profile_hook which;
    const struct command_line *command;
    char text[ENVIRONMENT_MAX];
    size_t len;
    char *environment[VARIABLES_MAX + 1];
    size_t count;
};

struct hooks {
    uv_loop_t *loop;
    const struct profile *profile;
    uint32_t patience_ms;
    struct run *first; /* the first is the one that runs, where `handles` is not 0 */
    size_t waiting;
    bool closing;
    unsigned handles; /* open ones of the program that runs */
    uv_process_t process;
    uv_pipe_t output;
    uv_timer_t patience;
    bool killed;
    char line[PRINTED_MAX + 1];
    size_t line_len;
    unsigned lines;
};

static void run_next(struct hooks *h);

/* --- what a program is told --- */

static bool is_harmless(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("._:/@+,-", c) != NULL);
}

static void append(struct run *r, char c)
{
    if (r->len + 1 < sizeof(r->text)) /* the terminating zeros have their room below */
        r->text[r->len++] = c;
}

static void begin(struct run *r, const char *name)
{
    ASSERT(r->count < VARIABLES_MAX);
    r->environment[r->count++] = r->text + r->len;
    for (const char *at = name; *at != '\0'; at++)
        append(r, *at);
    append(r, '=');
}

static void add(struct run *r, const char *value)
{
    for (const char *at = value != NULL ? value : ""; *at != '\0'; at++)
        append(r, is_harmless(*at) ? *at : '_');
}

static void finish(struct run *r)
{
    r->text[r->len++] = '\0';
    if (r->len == sizeof(r->text))
        r->len--; /* full: what follows is empty */
}

static void variable(struct run *r, const char *name, const char *value)
{
    begin(r, name);
    add(r, value);
    finish(r);
}

static void lists(struct run *r, const struct hook_facts *f)
{
    char text[PREFIX_TEXT_MAX];
    begin(r, "TERN_ADDRESSES");
    for (size_t i = 0; i < f->address_count; i++) {
        if (i > 0)
            append(r, ' ');
        add(r, prefix_format(&f->addresses[i], text));
    }
    finish(r);
    begin(r, "TERN_DNS");
    for (size_t i = 0; i < f->dns_count; i++) {
        if (i > 0)
            append(r, ' ');
        add(r, ip_format(&f->dns[i], text));
    }
    finish(r);
    begin(r, "TERN_DOMAINS");
    for (size_t i = 0, told = 0; i < f->domain_count; i++) {
        if (!value_is_host_name(f->domains[i]))
            continue;
        if (told++ > 0)
            append(r, ' ');
        add(r, f->domains[i]);
    }
    finish(r);
}

static void tell(struct run *r, const char *profile, const struct hook_facts *f)
{
    char text[IP_TEXT_MAX];
    variable(r, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    variable(r, "TERN_EVENT", names[r->which]);
    variable(r, "TERN_PROFILE", profile);
    variable(r, "TERN_INTERFACE", f->interface);
    variable(r, "TERN_STATE", f->state);
    variable(r, "TERN_FROM", f->from);
    variable(r, "TERN_TO", f->to);
    variable(r, "TERN_REASON", f->reason);
    text[0] = '\0';
    if (f->gap_ms >= 0)
        (void)snprintf(text, sizeof(text), "%.1f", f->gap_ms);
    variable(r, "TERN_GAP_MS", text);
    variable(r, "TERN_GATEWAY", f->gateway.family != IP_NONE ? ip_format(&f->gateway, text) : NULL);
    lists(r, f);
}

/* --- what it prints --- */

static const char *program(const struct hooks *h)
{
    return command_line_argument(h->first->command, 0);
}

static void print_line(struct hooks *h)
{
    h->line[h->line_len] = '\0';
    if (h->line_len > 0 && h->lines < HOOKS_LINES_MAX)
        log_info("%s: %s", program(h), h->line);
    if (h->line_len > 0 && h->lines++ == HOOKS_LINES_MAX)
        log_info("%s prints more, which is passed over", program(h));
    h->line_len = 0;
}

static void print(struct hooks *h, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '\n')
            h->line[h->line_len++] = text[i];
        if (text[i] == '\n' || h->line_len == PRINTED_MAX)
            print_line(h);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char space[4096]; /* what is read is printed before anything else is read */
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(space, sizeof(space));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    if (n > 0)
        print(stream->data, buf->base, (size_t)n);
    else if (n < 0)
        (void)uv_read_stop(stream);
}

/* What was printed just before the end. Somebody whom the program left behind may print for ever:
 * as much as a pipe holds, and no more. */
static void print_rest(struct hooks *h)
{
    enum { PIECES_MAX = 16 };
    char text[4096];
    uv_os_fd_t fd;
    (void)uv_read_stop((uv_stream_t *)&h->output);
    for (int i = 0; i < PIECES_MAX && uv_fileno((uv_handle_t *)&h->output, &fd) == 0; i++) {
        ssize_t n = read(fd, text, sizeof(text));
        if (n <= 0)
            break;
        print(h, text, (size_t)n);
    }
    print_line(h);
}

/* --- one program --- */

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void maybe_free(struct hooks *h)
{
    if (h->closing && h->first == NULL)
        uv_close((uv_handle_t *)&h->patience, on_timer_closed);
}

static void drop_first(struct hooks *h)
{
    struct run *r = h->first;
    h->first = r->next;
    h->waiting--;
    free(r);
}

static void on_closed(uv_handle_t *handle)
{
    struct hooks *h = handle->data;
    if (--h->handles > 0)
        return;
    drop_first(h);
    run_next(h);
}

static void close_handles(struct hooks *h)
{
    uv_timer_stop(&h->patience);
    uv_close((uv_handle_t *)&h->process, on_closed);
    uv_close((uv_handle_t *)&h->output, on_closed);
}

static void on_exit_status(uv_process_t *process, int64_t status, int signal_number)
{
    struct hooks *h = process->data;
    print_rest(h);
    if (h->killed)
        log_warn("%s did not end in time and was killed", program(h));
    else if (signal_number != 0)
        log_warn("%s was ended by signal %d", program(h), signal_number);
    else if (status != 0)
        log_warn("%s ended with status %d", program(h), (int)status);
    close_handles(h);
}

static void on_impatience(uv_timer_t *timer)
{
    struct hooks *h = timer->data;
    h->killed = true;
    (void)uv_kill(-h->process.pid, SIGKILL); /* it leads a group of its own */
}

static int spawn(struct hooks *h, int out)
{
    const struct command_line *c = h->first->command;
    char *arguments[COMMAND_ARGUMENTS_MAX + 1] = {NULL};
    for (size_t i = 0; i < c->count; i++)
        arguments[i] = (char *)(uintptr_t)command_line_argument(c, i); /* execve changes nothing */
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = out},
        {.flags = UV_INHERIT_FD, .data.fd = out},
    };
    const uv_process_options_t options = {
        .exit_cb = on_exit_status,
        .file = arguments[0],
        .args = arguments,
        .env = h->first->environment,
        .cwd = "/",
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = 3,
        .stdio = stdio,
    };
    return uv_spawn(h->loop, &h->process, &options);
}

static void run_next(struct hooks *h)
{
    int ends[2];
    while (h->first != NULL && pipe2(ends, O_CLOEXEC) != 0) {
        log_error("%s cannot be run: %s", program(h), strerror(errno));
        drop_first(h);
    }
    if (h->first == NULL) {
        maybe_free(h);
        return;
    }
    h->killed = false;
    h->lines = 0;
    h->line_len = 0;
    h->handles = 2;
    uv_pipe_init(h->loop, &h->output, 0);
    h->output.data = h->process.data = h;
    int status = uv_pipe_open(&h->output, ends[0]);
    if (status != 0)
        close(ends[0]);
    int spawned = spawn(h, ends[1]);
    close(ends[1]);
    h->process.data = h;
    if (spawned != 0) {
        log_error("%s cannot be run: %s", program(h), uv_strerror(spawned));
        close_handles(h);
        return;
    }
    log_debug("%s runs, for %s", program(h), names[h->first->which]);
    if (status == 0)
        (void)uv_read_start((uv_stream_t *)&h->output, on_alloc, on_read);
    uv_timer_start(&h->patience, on_impatience, h->patience_ms, 0);
}

/* --- all of them --- */

enum err hooks_new(uv_loop_t *loop, const struct profile *p, uint32_t patience_ms,
                   struct hooks **ret)
{
    struct hooks *h = calloc(1, sizeof(*h));
    if (h == NULL)
        return ERR_MEMORY;
    h->loop = loop;
    h->profile = p;
    h->patience_ms = patience_ms;
    privileges_keep_descriptors();
    uv_timer_init(loop, &h->patience);
    h->patience.data = h;
    *ret = h;
    return ERR_OK;
}

static void enqueue(struct hooks *h, struct run *r)
{
    struct run **end = &h->first;
    while (*end != NULL)
        end = &(*end)->next;
    *end = r;
    h->waiting++;
}

void hooks_run(struct hooks *h, enum profile_hook which, const struct hook_facts *facts)
{
    const struct profile_hook_list *l = &h->profile->hooks[which];
    bool idle = h->first == NULL;
    for (size_t i = 0; i < l->count && !h->closing; i++) {
        struct run *r = h->waiting < HOOKS_WAITING_MAX ? calloc(1, sizeof(*r)) : NULL;
        if (r == NULL) {
            log_warn("%s is not run: too many wait", command_line_argument(&l->items[i], 0));
            continue;
        }
        r->which = which;
        r->command = &l->items[i];
        tell(r, h->profile->name, facts);
        enqueue(h, r);
    }
    if (idle && h->first != NULL)
        run_next(h);
}

void hooks_close(struct hooks *h)
{
    if (h == NULL || h->closing)
        return;
    h->closing = true;
    if (h->first == NULL) {
        maybe_free(h);
        return;
    }
    for (struct run **at = &h->first->next; *at != NULL;) {
        struct run *r = *at;
        if (r->which == PROFILE_HOOK_DOWN) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        h->waiting--;
        free(r);
    }
    if (h->first->which != PROFILE_HOOK_DOWN && h->patience_ms > HOOKS_ENDING_MS)
        uv_timer_start(&h->patience, on_impatience, HOOKS_ENDING_MS, 0);
}
