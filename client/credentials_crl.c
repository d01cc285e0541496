/* The CRL files of a profile: into the trust store, and looked at by `tern check`. */
#include "client/credentials.h"
#include "client/file.h"

enum { CRL_FILE_MAX = 4 * 1024 * 1024 };

static void add_fault(struct fault_list *l, const struct profile *p, const char *name,
                      const struct fault *from)
{
    struct fault f = {0};
    (void)fault_set(&f, from->code, "%s: %s", name, from->text);
    fault_hint(&f, "%s", from->hint);
    fault_list_add_fault(l, p->lines[KEY_GATEWAY_CRL], &f);
}

void credentials_load_crls(const struct profile *p, struct credentials *c,
                           struct fault_list *faults)
{
    trust_store_set_revocation(c->trust, p->revocation);
    for (size_t i = 0; i < p->crls.count; i++) {
        char path[PROFILE_PATH_MAX];
        struct file_bytes bytes;
        struct fault f = {0};
        profile_file(p, p->crls.items[i], path);
        if (file_read(path, CRL_FILE_MAX, &bytes, &f) != ERR_OK) {
            fault_list_add_fault(faults, p->lines[KEY_GATEWAY_CRL], &f);
            continue;
        }
        enum err e =
            trust_store_add_crls(c->trust, span_make(bytes.data, bytes.len), &c->crl_counts[i], &f);
        file_bytes_wipe(&bytes);
        if (e != ERR_OK)
            add_fault(faults, p, path, &f);
    }
}

void credentials_check_crls(const struct profile *p, const struct credentials *c, int64_t wall_time,
                            struct fault_list *faults, struct fault_list *warnings)
{
    size_t crl = 0;
    if (c->trust == NULL)
        return;
    if (p->crls.count > 0 && p->revocation == REVOCATION_OFF)
        fault_list_add(warnings, p->lines[KEY_GATEWAY_CRL],
                       "CRL is of no use where Revocation = off");
    for (size_t i = 0; i < p->crls.count; i++) {
        char path[PROFILE_PATH_MAX];
        profile_file(p, p->crls.items[i], path);
        for (size_t n = 0; n < c->crl_counts[i]; n++) {
            struct fault f = {0};
            enum err e = trust_store_check_crl(c->trust, crl++, wall_time, &f);
            bool wrong = e != ERR_OK && e != ERR_NOT_FOUND &&
                         (e != ERR_EXHAUSTED || p->revocation == REVOCATION_STRICT);
            if (e != ERR_OK)
                add_fault(wrong ? faults : warnings, p, path, &f);
        }
    }
}
