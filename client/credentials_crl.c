/* The CRL files of a profile: into the trust store, once more when they have changed, and looked at
 * by `tern check`. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client/credentials.h"
#include "client/file.h"
#include "common/base/log.h"

enum { CRL_FILE_MAX = 4 * 1024 * 1024 };

/* Zeros where there is none: that is another one, too. */
static struct crl_stamp stamp_of(const char *path)
{
    struct stat st;
    struct crl_stamp s = {.inode = 0};
    if (stat(path, &st) != 0)
        return s;
    s.inode = st.st_ino;
    s.size = (uint64_t)st.st_size;
    s.changed_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    return s;
}

static bool is_of(const char *path, const struct crl_stamp *before)
{
    const struct crl_stamp now = stamp_of(path);
    return now.inode == before->inode && now.size == before->size &&
           now.changed_ns == before->changed_ns;
}

/* The CRLs of file->path into both stores. name: for the fault. */
static enum err load(struct crl_file *file, const char *name, const struct trust_stores *t,
                     struct fault *f)
{
    struct file_bytes bytes;
    struct fault inner = {0};
    file->stamp = stamp_of(file->path); /* first: what changes meanwhile is read again */
    enum err e = file_read(file->path, CRL_FILE_MAX, &bytes, f);
    if (e != ERR_OK)
        return e;
    const struct span all = span_make(bytes.data, bytes.len);
    e = trust_store_add_crls(t->gateway, all, &file->count, &inner);
    if (e == ERR_OK && t->eap != NULL)
        e = trust_store_add_crls(t->eap, all, &file->count, &inner);
    file_bytes_wipe(&bytes);
    return e == ERR_OK ? e : fault_about(f, name, &inner);
}

void credentials_load_crls(const struct profile *p, struct credentials *c,
                           struct fault_list *faults)
{
    trust_store_set_revocation(c->trust.gateway, p->revocation);
    if (c->trust.eap != NULL)
        trust_store_set_revocation(c->trust.eap, p->revocation);
    for (size_t i = 0; i < p->crls.count; i++) {
        char name[PROFILE_PATH_MAX];
        struct fault f = {0};
        profile_file(p, p->crls.items[i], name);
        char *path = realpath(name, NULL);
        bool whole = path != NULL && strlen(path) < PROFILE_PATH_MAX;
        memcpy(c->crls[i].path, whole ? path : name, strlen(whole ? path : name) + 1);
        free(path);
        if (load(&c->crls[i], name, &c->trust, &f) != ERR_OK)
            fault_list_add_fault(faults, p->lines[KEY_GATEWAY_CRL], &f);
    }
}

static enum err stores_like(const struct trust_stores *old, struct trust_stores *ret)
{
    enum err e = trust_store_new_like(old->gateway, &ret->gateway);
    if (e == ERR_OK && old->eap != NULL)
        e = trust_store_new_like(old->eap, &ret->eap);
    return e;
}

bool credentials_renew_crls(const struct trust_stores *old, struct crl_file *files,
                            size_t file_count, struct trust_stores *ret)
{
    struct trust_stores t = {.gateway = NULL};
    struct fault f = {0};
    size_t same = 0;
    while (same < file_count && is_of(files[same].path, &files[same].stamp))
        same++;
    if (same == file_count)
        return false;
    enum err e = stores_like(old, &t);
    if (e != ERR_OK)
        (void)fault_set(&f, e, "%s", err_text(e));
    for (size_t i = 0; e == ERR_OK && i < file_count; i++)
        e = load(&files[i], files[i].path, &t, &f);
    if (e != ERR_OK) {
        log_warn("the CRLs have changed and cannot be used, the old ones go on: %s", f.text);
        trust_stores_free(&t);
        return false;
    }
    log_info("the CRLs have changed and were read again");
    *ret = t;
    return true;
}

void credentials_check_crls(const struct profile *p, const struct credentials *c, int64_t wall_time,
                            struct fault_list *faults, struct fault_list *warnings)
{
    size_t crl = 0;
    unsigned line = p->lines[KEY_GATEWAY_CRL];
    if (c->trust.gateway == NULL)
        return;
    if (p->crls.count > 0 && p->revocation == REVOCATION_OFF)
        fault_list_add(warnings, line, "CRL is of no use where Revocation = off");
    for (size_t i = 0; i < p->crls.count; i++) {
        char name[PROFILE_PATH_MAX];
        profile_file(p, p->crls.items[i], name);
        for (size_t n = 0; n < c->crls[i].count; n++) {
            struct fault f = {0}, named = {0};
            enum err e = trust_store_check_crl(c->trust.gateway, crl++, wall_time, &f);
            bool wrong =
                e != ERR_NOT_FOUND && (e != ERR_EXHAUSTED || p->revocation == REVOCATION_STRICT);
            if (e == ERR_OK)
                continue;
            (void)fault_about(&named, name, &f);
            fault_list_add_fault(wrong ? faults : warnings, line, &named);
        }
    }
}
