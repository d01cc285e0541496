/* The listening side of the control socket, on the connection's loop. The asking side is in
 * control_request.c. */
#include "client/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/log.h"

struct control_peer {
    struct control *control; /* NULL: the slot is free */
    uv_pipe_t pipe;
    uv_timer_t patience;
    uv_write_t write;
    char *answer;
    size_t len;
    unsigned handles; /* open ones */
    bool closing;
    bool follows;
    char request[CONTROL_REQUEST_MAX];
};

struct control {
    uv_pipe_t listener;
    control_handler *handler;
    void *ctx;
    char path[RUNTIME_SOCKET_MAX];
    bool closing;
    bool waiting; /* somebody is at the door, and there is no room */
    unsigned handles;
    struct control_peer *peers[CONTROL_CLIENTS_MAX];
};

static void maybe_free(struct control *c)
{
    if (c->closing && c->handles == 0)
        free(c);
}

static void on_connection(uv_stream_t *listener, int status);

static void on_peer_closed(uv_handle_t *handle)
{
    struct control_peer *p = handle->data;
    struct control *c = p->control;
    if (--p->handles > 0)
        return;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        if (c->peers[i] == p)
            c->peers[i] = NULL;
    }
    free(p->answer);
    free(p);
    c->handles--;
    if (c->waiting && !c->closing)
        on_connection((uv_stream_t *)&c->listener, 0);
    maybe_free(c);
}

static void peer_close(struct control_peer *p)
{
    if (p->closing)
        return;
    p->closing = true;
    uv_close((uv_handle_t *)&p->pipe, on_peer_closed);
    uv_close((uv_handle_t *)&p->patience, on_peer_closed);
}

static void on_impatience(uv_timer_t *timer)
{
    peer_close(timer->data);
}

/* Who follows stays, and may take its time from now on. */
static void on_written(uv_write_t *request, int status)
{
    struct control_peer *p = request->data;
    if (status == 0 && p->follows && !p->closing)
        uv_timer_stop(&p->patience);
    else
        peer_close(p);
}

static bool wants_to_follow(const json_t *request)
{
    const char *command = json_string_value(json_object_get(request, "command"));
    return command != NULL && strcmp(command, "monitor") == 0;
}

char *control_answer(control_handler *handler, void *ctx, const char *line, size_t len,
                     size_t *ret_len, bool *ret_follows)
{
    char *text = NULL;
    *ret_follows = false;
    json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(request)) {
        json_t *reply = handler(ctx, request);
        *ret_follows = wants_to_follow(request) && json_object_get(reply, "error") == NULL;
        text = json_dumps(reply, JSON_COMPACT | JSON_PRESERVE_ORDER);
        json_decref(reply);
    }
    json_decref(request);
    if (text == NULL)
        return NULL;
    *ret_len = strlen(text);
    text[(*ret_len)++] = '\n'; /* in the place of the terminating zero */
    return text;
}

/* How many there are; those that are being closed do not count. */
static unsigned followers(const struct control *c)
{
    unsigned count = 0;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        count += c->peers[i] != NULL && c->peers[i]->follows && !c->peers[i]->closing;
    return count;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void answer(struct control_peer *p, size_t line_len)
{
    struct control *c = p->control;
    size_t len;
    bool follows;
    p->answer = control_answer(c->handler, c->ctx, p->request, line_len, &len, &follows);
    if (follows && followers(c) == CONTROL_FOLLOWERS_MAX) {
        static const char full[] = "{\"error\":\"too many follow it already\"}\n";
        free(p->answer);
        p->answer = strdup(full);
        len = strlen(full);
        follows = false;
    }
    if (p->answer == NULL) {
        peer_close(p);
        return;
    }
    p->len = 0; /* whatever stood behind the line */
    uv_buf_t buf = uv_buf_init(p->answer, (unsigned)len);
    p->write.data = p;
    p->follows = follows;
    if (uv_write(&p->write, (uv_stream_t *)&p->pipe, &buf, 1, on_written) != 0 ||
        (follows && uv_read_start((uv_stream_t *)&p->pipe, on_alloc, on_read) != 0))
        peer_close(p);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct control_peer *p = handle->data;
    (void)suggested;
    *buf = uv_buf_init(p->request + p->len, (unsigned)(sizeof(p->request) - p->len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct control_peer *p = stream->data;
    (void)buf;
    if (n == 0)
        return;
    if (n < 0 ||
        p->follows) { /* gone, or UV_ENOBUFS: the line has no end; or has no say any more */
        peer_close(p);
        return;
    }
    p->len += (size_t)n;
    const char *end = memchr(p->request, '\n', p->len);
    if (end == NULL)
        return;
    uv_read_stop(stream);
    answer(p, (size_t)(end - p->request));
}

/* --- those who follow --- */

struct line {
    uv_write_t write;
    struct control_peer *peer;
    char text[];
};

static void on_line_written(uv_write_t *request, int status)
{
    struct line *line = request->data;
    if (status != 0)
        peer_close(
            line->peer); /* which is there until its pipe is closed, and the pipe until now */
    free(line);
}

/* A copy for each, so that a slow one holds nothing of the others'. */
static void send_line(struct control_peer *p, const char *text, size_t len)
{
    size_t backlog = uv_stream_get_write_queue_size((uv_stream_t *)&p->pipe);
    struct line *line = backlog + len <= CONTROL_BACKLOG_MAX ? malloc(sizeof(*line) + len) : NULL;
    if (line == NULL) {
        peer_close(p); /* a gap would go unnoticed, an end does not */
        return;
    }
    line->peer = p;
    line->write.data = line;
    memcpy(line->text, text, len);
    uv_buf_t buf = uv_buf_init(line->text, (unsigned)len);
    if (uv_write(&line->write, (uv_stream_t *)&p->pipe, &buf, 1, on_line_written) != 0) {
        free(line);
        peer_close(p);
    }
}

void control_publish(struct control *c, const char *line, size_t len)
{
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct control_peer *p = c->peers[i];
        if (p != NULL && p->follows && !p->closing)
            send_line(p, line, len);
    }
}

bool control_followed(const struct control *c)
{
    return followers(c) > 0;
}

/* --- who comes --- */

/* The same user or root, whoever could open the socket. */
static bool permitted(const uv_pipe_t *pipe)
{
    uv_os_fd_t fd;
    struct ucred peer;
    socklen_t len = sizeof(peer);
    return uv_fileno((const uv_handle_t *)pipe, &fd) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

static struct control_peer **free_slot(struct control *c)
{
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        if (c->peers[i] == NULL)
            return &c->peers[i];
    }
    return NULL;
}

/* With no slot left it is not accepted yet: libuv asks no more, we come back when a slot is free.
 * So nobody is sent away for what others do, and the slow ones end by their patience. */
static void on_connection(uv_stream_t *listener, int status)
{
    struct control *c = listener->data;
    struct control_peer **slot = free_slot(c);
    struct control_peer *p = status < 0 || slot == NULL ? NULL : calloc(1, sizeof(*p));
    c->waiting = status == 0 && p == NULL;
    if (p == NULL)
        return;
    p->control = c;
    p->pipe.data = p->patience.data = p;
    c->handles++;
    p->handles = 2;
    uv_pipe_init(listener->loop, &p->pipe, 0);
    uv_timer_init(listener->loop, &p->patience);
    *slot = p;
    if (uv_accept(listener, (uv_stream_t *)&p->pipe) != 0 || !permitted(&p->pipe) ||
        uv_timer_start(&p->patience, on_impatience, CONTROL_PATIENCE_MS, 0) != 0 ||
        uv_read_start((uv_stream_t *)&p->pipe, on_alloc, on_read) != 0)
        peer_close(p);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct control *c = handle->data;
    c->handles--;
    maybe_free(c);
}

enum err control_open(uv_loop_t *loop, const struct runtime *r, const char *name,
                      control_handler *handler, void *ctx, struct control **ret, struct fault *f)
{
    struct control *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return fault_set(f, ERR_MEMORY, "no memory for the control socket");
    enum err e = runtime_socket_path(r, name, c->path, f);
    if (e != ERR_OK) {
        free(c);
        return e;
    }
    c->handler = handler;
    c->ctx = ctx;
    c->listener.data = c;
    runtime_remove_socket(r, name); /* the lock is ours: nobody listens there */
    uv_pipe_init(loop, &c->listener, 0);
    c->handles = 1;
    mode_t before = umask(0177);
    int status = uv_pipe_bind(&c->listener, c->path);
    umask(before);
    if (status == 0)
        status = uv_listen((uv_stream_t *)&c->listener, CONTROL_CLIENTS_MAX, on_connection);
    if (status != 0) {
        e = fault_set(f, ERR_SYSTEM, "control socket %s: %s", c->path, uv_strerror(status));
        control_close(c);
        return e;
    }
    /* Who waits for us watches the directory. That somebody listens there now is no change of it,
     * so we make one; the mode is this already. */
    (void)chmod(c->path, 0600);
    *ret = c;
    return ERR_OK;
}

void control_close(struct control *c)
{
    if (c == NULL || c->closing)
        return;
    c->closing = true;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        if (c->peers[i] != NULL)
            peer_close(c->peers[i]);
    }
    uv_close((uv_handle_t *)&c->listener, on_listener_closed); /* removes the socket as well */
}
