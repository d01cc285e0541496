/* Errors, as every room of tern reports them.
 *
 * A function that can fail returns enum err, 0 meaning success; its `ret_` outputs are written only
 * on success. Where a person will read about the failure, a struct fault carries the words: what
 * was seen, and what to do about it. */
#ifndef TERN_BASE_ERR_H
#define TERN_BASE_ERR_H

#include <stdbool.h>

/* The compiler refuses a caller that ignores the result. */
#define CHECKED __attribute__((warn_unused_result))

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

enum err {
    ERR_OK = 0,
    ERR_MALFORMED,   /* bytes or text that do not parse */
    ERR_UNSUPPORTED, /* well-formed, but nothing we implement (or an unknown critical payload) */
    ERR_LIMIT,       /* more, or longer, than we accept */
    ERR_INTEGRITY,   /* an ICV, a signature or an AUTH payload did not verify */
    ERR_REPLAYED,    /* sequence number or message ID seen before, or too old */
    ERR_SELECTOR,    /* outside the negotiated traffic selectors */
    ERR_NOT_FOUND,   /* no such SA, file, name */
    ERR_REFUSED,     /* policy, or the peer, says no */
    ERR_STATE,       /* not now: the exchange or object is in another state */
    ERR_EXHAUSTED,   /* a counter or lifetime has ended (sequence number, message ID) */
    ERR_MEMORY,      /* allocation failed */
    ERR_CRYPTO,      /* a primitive refused (bad public value, bad key) */
    ERR_SYSTEM,      /* the operating system said no; the fault has its words */
    ERR_AGAIN        /* nothing to read, or no room to write, right now */
};

/* A short lower-case English phrase; never NULL. */
const char *err_text(enum err e);

/* What a person is told: two lines, without newline at the end. */
struct fault {
    enum err code;
    char text[384]; /* what was seen */
    char hint[384]; /* what to do; may be empty */
};

/* Both return f->code, so that `return fault_set(f, ERR_X, ...)` reads well. f may be NULL.
 * Bytes that are not printable ASCII or UTF-8 text are escaped: a peer's bytes may be passed. */
enum err fault_set(struct fault *f, enum err code, const char *format, ...) PRINTF_LIKE(3, 4);
void fault_hint(struct fault *f, const char *format, ...) PRINTF_LIKE(2, 3);
/* "WHAT: ..." as a lower layer has it, with its code and its hint. */
enum err fault_about(struct fault *f, const char *what, const struct fault *from);

/* Our own mistakes only, never the peer's input; stays on in release builds. */
#define ASSERT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            assert_failed(#condition, __FILE__, __LINE__);                                         \
    } while (0)
_Noreturn void assert_failed(const char *condition, const char *file, int line);

#endif
