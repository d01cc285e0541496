/* Files of running connections. Everything is opened relative to one checked directory and never
 * through a symbolic link, so that nobody else's link decides what we write. */
#include "client/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/routes.h"

enum { STATE_MAX = 1024, LOCK_TRIES = 16 };

static enum err directory_path(char out[RUNTIME_PATH_MAX], struct fault *f)
{
    const char *given = getenv("TERN_RUNTIME_DIR"), *xdg = getenv("XDG_RUNTIME_DIR");
    char here[RUNTIME_PATH_MAX];
    int n;
    if (given != NULL && given[0] == '/')
        n = snprintf(out, RUNTIME_PATH_MAX, "%s", given);
    else if (given != NULL && given[0] != '\0') /* the process in the background goes to / */
        n = getcwd(here, sizeof(here)) == NULL
                ? RUNTIME_PATH_MAX
                : snprintf(out, RUNTIME_PATH_MAX, "%s/%s", here, given);
    else if (geteuid() == 0)
        n = snprintf(out, RUNTIME_PATH_MAX, "/run/tern");
    else if (xdg != NULL && xdg[0] != '\0')
        n = snprintf(out, RUNTIME_PATH_MAX, "%s/tern", xdg);
    else {
        fault_set(f, ERR_SYSTEM, "no runtime directory: XDG_RUNTIME_DIR is not set");
        fault_hint(f, "set TERN_RUNTIME_DIR to a directory of your own, or run as root");
        return ERR_SYSTEM;
    }
    if (n >= RUNTIME_PATH_MAX)
        return fault_set(f, ERR_LIMIT, "the runtime directory's name is too long");
    return ERR_OK;
}

static enum err check_directory(const struct runtime *r, struct fault *f)
{
    struct stat st;
    if (fstat(r->fd, &st) != 0)
        return fault_set(f, ERR_SYSTEM, "%s: %s", r->directory, strerror(errno));
    if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        fault_set(f, ERR_REFUSED, "%s belongs to uid %u with mode %04o: others could write there",
                  r->directory, (unsigned)st.st_uid, (unsigned)(st.st_mode & 07777));
        fault_hint(f, "chmod 700 %s, or set TERN_RUNTIME_DIR to a directory of your own",
                   r->directory);
        return ERR_REFUSED;
    }
    return ERR_OK;
}

enum err runtime_open(bool create, struct runtime *ret, struct fault *f)
{
    struct runtime r = {.fd = -1};
    enum err e = directory_path(r.directory, f);
    if (e != ERR_OK)
        return e;
    if (create && mkdir(r.directory, 0700) != 0 && errno != EEXIST) {
        fault_set(f, ERR_SYSTEM, "cannot make the runtime directory %s: %s", r.directory,
                  strerror(errno));
        fault_hint(f, "set TERN_RUNTIME_DIR to a directory of your own");
        return ERR_SYSTEM;
    }
    r.fd = open(r.directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (r.fd < 0) {
        e = errno == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM;
        return fault_set(f, e, "cannot open the runtime directory %s: %s", r.directory,
                         strerror(errno));
    }
    e = check_directory(&r, f);
    if (e != ERR_OK) {
        runtime_close(&r);
        return e;
    }
    *ret = r;
    return ERR_OK;
}

void runtime_close(struct runtime *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

static void state_file(const char *name, char out[PROFILE_NAME_MAX + 8])
{
    (void)snprintf(out, PROFILE_NAME_MAX + 8, "%s.state", name);
}

/* Nothing that is wrong in the file stops us: what cannot be read is taken as not there. */
static void state_read(int fd, struct runtime_state *ret)
{
    char text[STATE_MAX];
    *ret = (struct runtime_state){0};
    ssize_t n = pread(fd, text, sizeof(text), 0);
    /* Behind it there may be the rest of what stood there before: see runtime_write. */
    json_t *root = n > 0 ? json_loadb(text, (size_t)n, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    const char *interface = json_string_value(json_object_get(root, "interface"));
    if (json_is_integer(json_object_get(root, "pid"))) {
        ret->pid = (long)json_integer_value(json_object_get(root, "pid"));
        ret->interface_index =
            (uint32_t)json_integer_value(json_object_get(root, "interface_index"));
        ret->table = (uint32_t)json_integer_value(json_object_get(root, "table"));
        if (interface != NULL && strlen(interface) < sizeof(ret->interface))
            memcpy(ret->interface, interface, strlen(interface) + 1);
        json_int_t dns = json_integer_value(json_object_get(root, "dns"));
        ret->dns = dns == DNS_RESOLVED || dns == DNS_RESOLVCONF ? (enum dns_backend)dns : DNS_NONE;
    }
    json_decref(root);
}

/* A lock of the open file, which a child inherits, and which can be asked after without being
 * taken: flock could not, and who asked kept others from starting. */
static bool take_lock(int fd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &whole) == 0;
}

static bool is_locked(int fd)
{
    struct flock whole = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
}

static bool same_file(int fd, int directory, const char *file)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && fstatat(directory, file, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
           a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Whoever removes the file holds its lock; so a file that is locked but no longer in the directory
 * was removed between our open and our lock, and we try again. */
static enum err open_locked(const struct runtime *r, const char *file, int *ret_fd, struct fault *f)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        int fd = openat(r->fd, file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
            return fault_set(f, ERR_SYSTEM, "cannot open %s/%s: %s", r->directory, file,
                             strerror(errno));
        if (!take_lock(fd)) {
            enum err e = errno == EAGAIN || errno == EACCES ? ERR_STATE : ERR_SYSTEM;
            fault_set(f, e, "cannot lock %s/%s: %s", r->directory, file, strerror(errno));
            close(fd);
            return e;
        }
        if (same_file(fd, r->fd, file)) {
            *ret_fd = fd;
            return ERR_OK;
        }
        close(fd);
    }
    return fault_set(f, ERR_SYSTEM, "%s/%s does not stay in place", r->directory, file);
}

enum err runtime_lock(const struct runtime *r, const char *name, struct runtime_lock *ret,
                      struct runtime_state *ret_stale, struct fault *f)
{
    char file[PROFILE_NAME_MAX + 8];
    int fd = -1;
    state_file(name, file);
    enum err e = open_locked(r, file, &fd, f);
    if (e != ERR_OK)
        return e;
    state_read(fd, ret_stale);
    ret->fd = fd;
    (void)snprintf(ret->name, sizeof(ret->name), "%s", name);
    return ERR_OK;
}

enum err runtime_write(struct runtime_lock *l, const struct runtime_state *s, struct fault *f)
{
    char text[STATE_MAX];
    json_t *root = json_pack("{s:I, s:s, s:I, s:I, s:i}", "pid", (json_int_t)s->pid, "interface",
                             s->interface, "interface_index", (json_int_t)s->interface_index,
                             "table", (json_int_t)s->table, "dns", (int)s->dns);
    size_t len = root != NULL ? json_dumpb(root, text, sizeof(text), JSON_COMPACT) : 0;
    json_decref(root);
    if (len == 0 || len > sizeof(text))
        return fault_set(f, ERR_MEMORY, "out of memory");
    /* Over the old one, and cut only then: whenever we are killed, one of the two can be read. */
    if (pwrite(l->fd, text, len, 0) != (ssize_t)len || ftruncate(l->fd, (off_t)len) != 0 ||
        fdatasync(l->fd) != 0)
        return fault_set(f, ERR_SYSTEM, "cannot write the state file of %s: %s", l->name,
                         strerror(errno));
    return ERR_OK;
}

void runtime_unlock(const struct runtime *r, struct runtime_lock *l)
{
    if (l->fd < 0)
        return;
    char file[PROFILE_NAME_MAX + 8];
    state_file(l->name, file);
    if (same_file(l->fd, r->fd, file))
        (void)unlinkat(r->fd, file, 0);
    runtime_lock_forget(l);
}

void runtime_lock_forget(struct runtime_lock *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

bool runtime_running(const struct runtime *r, const char *name)
{
    char file[PROFILE_NAME_MAX + 8];
    state_file(name, file);
    int fd = openat(r->fd, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool running = is_locked(fd);
    close(fd);
    return running;
}

enum err runtime_clean(const struct runtime_state *stale, struct fault *f)
{
    if (stale->dns != DNS_NONE)
        dns_revert(stale->dns, stale->interface, stale->interface_index);
    return stale->table != 0 ? routes_clean(stale->table, f) : ERR_OK;
}

enum err runtime_clean_killed(const struct runtime *r, const char *name, size_t *ret_count,
                              struct fault *f)
{
    struct runtime_lock lock;
    struct runtime_state stale = {0};
    enum err e = ERR_OK;
    if (runtime_lock(r, name, &lock, &stale, NULL) != ERR_OK)
        return ERR_OK; /* somebody is at it */
    if (stale.pid != 0) {
        e = runtime_clean(&stale, f);
        runtime_remove_socket(r, name);
        (*ret_count)++;
    }
    runtime_unlock(r, &lock);
    return e;
}

/* Names of the connections that run, or of those that do not and left something. */
static size_t list_names(const struct runtime *r, bool running, char names[][PROFILE_NAME_MAX],
                         size_t max)
{
    int fd = openat(r->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    size_t count = 0;
    for (struct dirent *entry; count < max && (entry = readdir(dir)) != NULL;) {
        char name[PROFILE_NAME_MAX];
        size_t len = strlen(entry->d_name);
        if (len <= 6 || len - 6 >= sizeof(name) || strcmp(entry->d_name + len - 6, ".state") != 0)
            continue;
        memcpy(name, entry->d_name, len - 6);
        name[len - 6] = '\0';
        if (runtime_running(r, name) == running)
            memcpy(names[count++], name, sizeof(name));
    }
    closedir(dir);
    return count;
}

enum err runtime_clean_all_killed(const struct runtime *r, size_t *ret_count, struct fault *f)
{
    char names[RUNTIME_NAMES_MAX][PROFILE_NAME_MAX];
    size_t count = list_names(r, false, names, RUNTIME_NAMES_MAX);
    enum err e = ERR_OK;
    for (size_t i = 0; i < count; i++) {
        enum err one = runtime_clean_killed(r, names[i], ret_count, f);
        e = one != ERR_OK ? one : e;
    }
    return e;
}

size_t runtime_names(const struct runtime *r, char names[][PROFILE_NAME_MAX], size_t max)
{
    return list_names(r, true, names, max);
}

enum err runtime_socket_path(const struct runtime *r, const char *name,
                             char out[RUNTIME_SOCKET_MAX], struct fault *f)
{
    int n = snprintf(out, RUNTIME_SOCKET_MAX, "%s/%s.sock", r->directory, name);
    if (n < RUNTIME_SOCKET_MAX)
        return ERR_OK;
    fault_set(f, ERR_LIMIT, "%s/%s.sock is too long for a socket's name", r->directory, name);
    fault_hint(f, "set TERN_RUNTIME_DIR to a shorter path");
    return ERR_LIMIT;
}

void runtime_remove_socket(const struct runtime *r, const char *name)
{
    char file[PROFILE_NAME_MAX + 8];
    (void)snprintf(file, sizeof(file), "%s.sock", name);
    (void)unlinkat(r->fd, file, 0);
}
