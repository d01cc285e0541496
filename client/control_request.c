/* The asking side of the control socket: blocking, bounded in time and size. */
#include "client/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

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
