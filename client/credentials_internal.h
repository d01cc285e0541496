/* Between the files that load credentials: credentials.c, credentials_key.c (our key and
 * certificate from files) and credentials_token.c (from a token). */
#ifndef TERN_CLIENT_CREDENTIALS_INTERNAL_H
#define TERN_CLIENT_CREDENTIALS_INTERNAL_H

#include "client/credentials.h"
#include "client/file.h"

enum { KEY_FILE_MAX = 65536, SECRET_TRIES = 3 };

struct loading {
    const struct profile *p;
    struct credentials *c;
    int64_t wall_time; /* seconds since 1970 */
    struct fault_list *faults;
    struct fault_list *notes; /* NULL: what cannot be looked into is a fault */
};

/* A file, its name relative to the profile; false with a fault at the line. */
bool loading_read(struct loading *l, unsigned line, const char *name, size_t max, bool secret,
                  struct file_bytes *ret);
/* A lower layer's words about what a file holds, and its advice. */
void loading_fault(struct loading *l, unsigned line, const char *name, const struct fault *from);
/* A key file's line end is the editor's, not the key's. *out stays empty with a fault. */
void loading_secret_file(struct loading *l, unsigned line, const char *name,
                         enum err (*set)(struct secret *s, struct span text), struct secret *out);

/* A secret that is kept somewhere: the credential of systemd, a file, the profile, in this order.
 * False where there is none; empty, with a fault, where it cannot be had. */
struct kept_secret {
    const char *credential; /* "passphrase" */
    const char *file;       /* named by the profile; "": none */
    const struct secret *given;
    unsigned credential_line, file_line, given_line; /* for faults */
};
bool loading_kept_secret(struct loading *l, const struct kept_secret *k, struct secret *out,
                         unsigned *ret_line);
/* A person's, by ask.h. ERR_STATE where nobody can be asked, which is a note or a fault by now;
 * other faults are added as well. subject: what it is for; advice: what to set instead. */
CHECKED enum err loading_ask(struct loading *l, unsigned line, const char *prompt,
                             const char *subject, const char *advice, struct secret *out);

/* Key and chain, from wherever the profile says: what [Local] names, or [User]. */
void loading_own(struct loading *l);
void loading_user_own(struct loading *l);
/* One of the two, from where to where. */
struct own_loading {
    struct loading *l;
    const struct profile_own *from;
    struct own_credentials *to;
    unsigned section_line; /* for faults of what the system hands over, */
    const char *passphrase_credential, *pin_credential; /* which it calls so */
};
static inline unsigned own_line(const struct own_loading *o, enum profile_key key)
{
    return o->l->p->lines[key];
}
/* What is on a token. */
void loading_token(const struct own_loading *o);

#endif
