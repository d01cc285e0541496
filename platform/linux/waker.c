/* An eventfd: however often it is woken before it is cleared, it counts once. */
#include "platform/waker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct waker {
    int fd;
};

enum err waker_open(struct waker **ret, struct fault *f)
{
    struct waker *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return fault_set(f, ERR_MEMORY, "no memory for a thread");
    w->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (w->fd < 0) {
        free(w);
        return fault_set(f, ERR_SYSTEM, "cannot make an eventfd: %s", strerror(errno));
    }
    *ret = w;
    return ERR_OK;
}

void waker_close(struct waker *w)
{
    if (w == NULL)
        return;
    (void)close(w->fd);
    free(w);
}

int waker_fd(const struct waker *w)
{
    return w->fd;
}

/* It can only fail where it counts already as much as it can, and then it is readable. */
void waker_wake(struct waker *w)
{
    (void)!eventfd_write(w->fd, 1);
}

void waker_clear(struct waker *w)
{
    eventfd_t count;
    (void)!eventfd_read(w->fd, &count);
}
