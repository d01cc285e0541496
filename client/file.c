/* Reading files that may hold secrets: one buffer of the file's own size, so that no copy is left
 * behind by a growing one, wiped before it is freed. */
#include "client/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crypto/secret.h"

static enum err system_fault(const char *path, int number, struct fault *f)
{
    enum err e = number == ENOENT || number == ENOTDIR ? ERR_NOT_FOUND
                 : number == EACCES || number == EPERM ? ERR_REFUSED
                                                       : ERR_SYSTEM;
    return fault_set(f, e, "cannot read %s: %s", path, strerror(number));
}

static enum err read_all(int fd, const char *path, size_t size, struct file_bytes *ret,
                         struct fault *f)
{
    struct file_bytes b = {.data = malloc(size + 1), .len = 0};
    if (b.data == NULL)
        return fault_set(f, ERR_MEMORY, "out of memory");
    while (b.len < size) {
        ssize_t n = read(fd, b.data + b.len, size - b.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            enum err e = system_fault(path, errno, f);
            file_bytes_wipe(&b);
            return e;
        }
        if (n == 0)
            break;
        b.len += (size_t)n;
    }
    b.data[b.len] = 0;
    *ret = b;
    return ERR_OK;
}

enum err file_read(const char *path, size_t max, struct file_bytes *ret, struct fault *f)
{
    /* O_NONBLOCK: a FIFO in place of the file must not hang us before fstat sees it. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return system_fault(path, errno, f);
    struct stat st;
    enum err e;
    if (fstat(fd, &st) != 0)
        e = system_fault(path, errno, f);
    else if (!S_ISREG(st.st_mode))
        e = fault_set(f, ERR_REFUSED, "%s is not a regular file", path);
    else if ((uintmax_t)st.st_size > max)
        e = fault_set(f, ERR_LIMIT, "%s is larger than %zu octets", path, max);
    else
        e = read_all(fd, path, (size_t)st.st_size, ret, f);
    close(fd);
    return e;
}

void file_bytes_wipe(struct file_bytes *b)
{
    if (b->data != NULL)
        wipe(b->data, b->len);
    free(b->data);
    *b = (struct file_bytes){0};
}
