/* The asking side of the control socket: blocking, bounded in time and size. Who follows waits as
 * long as it likes, but a line is bounded as well. */
#include "client/control.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "platform/clock.h"

enum { ANSWER_MAX = 1024 * 1024, PATIENCE_S = 15 };

static enum err open_socket(const struct runtime *r, const char *name, int *ret_fd, struct fault *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    enum err e = runtime_socket_path(r, name, address.sun_path, f);
    if (e != ERR_OK)
        return e;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        e = errno == ENOENT || errno == ECONNREFUSED ? ERR_NOT_FOUND : ERR_SYSTEM;
        e = fault_set(f, e, "connection \"%s\" does not answer: %s", name, strerror(errno));
        if (fd >= 0)
            close(fd);
        return e;
    }
    *ret_fd = fd;
    return ERR_OK;
}

static bool send_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text += n;
        len -= (size_t)n;
    }
    return true;
}

/* Up to the end of the line. */
static char *receive_line(int fd, size_t *ret_len)
{
    size_t cap = 16384, len = 0;
    char *text = malloc(cap);
    while (text != NULL) {
        ssize_t n = recv(fd, text + len, cap - len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
        if (text[len - 1] == '\n') {
            *ret_len = len;
            return text;
        }
        if (len == cap) {
            char *more = cap < ANSWER_MAX ? realloc(text, cap * 2) : NULL;
            if (more == NULL)
                break;
            text = more;
            cap *= 2;
        }
    }
    free(text);
    return NULL;
}

static json_t *converse(int fd, const json_t *request)
{
    char *text = json_dumps(request, JSON_COMPACT);
    bool sent = text != NULL && send_all(fd, text, strlen(text)) && send_all(fd, "\n", 1);
    free(text);
    size_t len;
    char *reply = sent ? receive_line(fd, &len) : NULL;
    json_t *answer = reply != NULL ? json_loadb(reply, len, 0, NULL) : NULL;
    free(reply);
    return answer;
}

enum err control_request(const struct runtime *r, const char *name, const json_t *request,
                         json_t **ret, struct fault *f)
{
    int fd = -1;
    enum err e = open_socket(r, name, &fd, f);
    if (e != ERR_OK)
        return e;
    json_t *answer = converse(fd, request);
    close(fd);
    if (answer == NULL)
        return fault_set(f, ERR_SYSTEM, "connection \"%s\" gave no answer", name);
    *ret = answer;
    return ERR_OK;
}

/* --- following --- */

enum err control_follow_open(const struct runtime *r, const char *name, const json_t *request,
                             struct control_follow *ret, struct fault *f)
{
    struct control_follow c = {.fd = -1};
    enum err e = open_socket(r, name, &c.fd, f);
    if (e != ERR_OK)
        return e;
    char *text = json_dumps(request, JSON_COMPACT);
    bool sent = text != NULL && send_all(c.fd, text, strlen(text)) && send_all(c.fd, "\n", 1);
    free(text);
    if (!sent) { /* it ended just now */
        control_follow_close(&c);
        return fault_set(f, ERR_NOT_FOUND, "connection \"%s\" took no request", name);
    }
    *ret = c;
    return ERR_OK;
}

/* ERR_OK: readable, or at its end. */
static enum err await_line(const struct control_follow *c, mono_ms until)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    for (;;) {
        mono_ms left = until == MONO_NEVER ? -1 : until - clock_now();
        if (until != MONO_NEVER && left < 0)
            left = 0;
        int n = poll(&p, 1, left > INT_MAX ? INT_MAX : (int)left);
        if (n > 0)
            return ERR_OK;
        if (n < 0 && errno != EINTR)
            return ERR_SYSTEM;
        if (until != MONO_NEVER && clock_now() >= until)
            return ERR_AGAIN;
    }
}

static enum err receive_more(struct control_follow *c)
{
    if (c->len == c->cap) {
        size_t cap = c->cap == 0 ? 16384 : c->cap * 2;
        char *more = cap <= ANSWER_MAX ? realloc(c->text, cap) : NULL;
        if (more == NULL)
            return ERR_LIMIT;
        c->text = more;
        c->cap = cap;
    }
    ssize_t n = recv(c->fd, c->text + c->len, c->cap - c->len, MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return ERR_OK;
    if (n <= 0)
        return ERR_NOT_FOUND;
    c->len += (size_t)n;
    return ERR_OK;
}

enum err control_follow_next(struct control_follow *c, mono_ms until, json_t **ret)
{
    char *end;
    while ((end = c->len > 0 ? memchr(c->text, '\n', c->len) : NULL) == NULL) {
        enum err e = await_line(c, until);
        if (e == ERR_OK)
            e = receive_more(c);
        if (e != ERR_OK)
            return e;
    }
    size_t line_len = (size_t)(end - c->text);
    json_t *line = json_loadb(c->text, line_len, JSON_REJECT_DUPLICATES, NULL);
    c->len -= line_len + 1;
    memmove(c->text, end + 1, c->len);
    if (!json_is_object(line)) {
        json_decref(line);
        return ERR_MALFORMED;
    }
    *ret = line;
    return ERR_OK;
}

void control_follow_close(struct control_follow *c)
{
    if (c->fd >= 0)
        close(c->fd);
    free(c->text);
    *c = (struct control_follow){.fd = -1};
}
