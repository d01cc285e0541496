/* The data path's three threads: datapath.c (control, on the loop: what is carried, IKE, reports),
 * datapath_out.c (TUN to UDP) and datapath_in.c (UDP to TUN).
 *
 * What both of the others need is a struct carried, which control publishes (epoch.h). A thread is
 * inside while it sleeps in poll() and while it works on a batch, and leaves in between: so whoever
 * has left has no descriptor in hand that belongs to what was carried before. They never sleep but
 * in poll(), and control wakes them after publishing.
 *
 * What the threads have to tell they write down, and wake the loop: at once for what went wrong and
 * for IKE, unless there is too much of it, and for traffic after a silence; while it goes on
 * control looks for itself (see datapath_tell). They do not log. */
#ifndef TERN_CLIENT_DATAPATH_INTERNAL_H
#define TERN_CLIENT_DATAPATH_INTERNAL_H

#include <stdatomic.h>

#include "client/datapath.h"
#include "client/drops.h"
#include "common/base/epoch.h"
#include "common/base/ring.h"
#include "common/base/tally.h"
#include "platform/waker.h"

#define NS_PER_MS INT64_C(1000000)

enum { DATAPATH_BUFFER_LEN = UDP_DATAGRAM_MAX + 1, DATAPATH_FAMILIES = 2 };

/* Readers of what is published, and so the threads. */
enum { DATAPATH_OUT, DATAPATH_IN, DATAPATH_THREADS };

/* Never changed once it is published. */
struct carried {
    struct tun *tun;       /* NULL: nothing is carried */
    struct tunnel *tunnel; /* NULL only then */
    struct path path;      /* by which ESP leaves */
    struct fit fit;        /* for that path */
    size_t datagram_max;   /* on it, as far as is known; 0: anything */
    unsigned turn;         /* another one for each TUN */
    bool held;             /* the TUN is not read */
    bool over;             /* the threads end */
};

/* What does not wait for the next report: mostly what went wrong, for control to say or to mend. */
enum {
    DATAPATH_NEWS_TUN_LOST = 1,    /* see lost_turn */
    DATAPATH_NEWS_TUN_APART = 2,   /* the TUN takes no packets in one piece after all */
    DATAPATH_NEWS_SOCKET_LOST = 4, /* a socket cannot be read */
    DATAPATH_NEWS_EXPIRING = 8     /* a Child SA has reached a soft bound */
};

/* What one thread sends by; NULL where the machine lacks the family. */
struct datapath_senders {
    struct udp_sender *of[DATAPATH_FAMILIES];
};

struct datapath_out;
struct datapath_in;

struct datapath {
    uv_loop_t *loop;
    struct datapath_callbacks callbacks;
    struct udp *udp[DATAPATH_FAMILIES]; /* IPv4, IPv6; NULL where the machine lacks the family */
    bool offload;
    struct datapath_out *out;
    struct datapath_in *in;

    /* Control's own. */
    struct datapath_senders senders;
    uv_async_t async; /* a thread has something to tell */
    uv_timer_t timer; /* of reports while there is traffic */
    unsigned handles; /* not yet closed */
    bool closing;
    struct drops drops;
    uint64_t not_sent, ike_useless;
    mono_ms complain_after; /* next, that something could not be sent */
    int64_t out_reported_ns, in_reported_ns;
    uint64_t packets_reported;
    bool closely; /* control wants to know soon */
    bool many;    /* there is much to report */
    uv_thread_t threads[DATAPATH_THREADS];
    size_t thread_count;

    /* Published: one of the two; who was inside then may have the other. */
    struct carried carried[2];
    _Atomic(const struct carried *) current;
    struct epoch epoch;
    struct epoch_mark before;
    struct waker *wakers[DATAPATH_THREADS];
    bool has_left; /* the semaphore has been made */
    uv_sem_t left; /* posted by who leaves, while control waits for that */
    atomic_bool awaited;

    /* From the threads. */
    atomic_bool told;
    atomic_uint news;
    atomic_uint lost_turn; /* of the TUN that cannot be read */
    struct ring ike;       /* a struct path, then the message */
    uint8_t message[sizeof(struct path) + DATAPATH_BUFFER_LEN];
};

/* --- datapath.c, for the threads --- */

/* Where a family stands in what there is for each. */
static inline size_t datapath_index(enum ip_family family)
{
    return family == IP_V6 ? 1 : 0;
}

/* For all sockets that there are. ERR_MEMORY; to be freed in any case. */
CHECKED enum err datapath_senders_new(const struct datapath *d, struct datapath_senders *ret);
void datapath_senders_free(struct datapath_senders *s);
uint64_t datapath_senders_too_long(const struct datapath_senders *s); /* any thread may ask */

/* What is carried, until datapath_leave. */
const struct carried *datapath_enter(struct datapath *d, size_t me);
void datapath_leave(struct datapath *d, size_t me);
/* There was traffic, and its time is written down, or IKE, and it is in the ring: control will see
 * it. */
void datapath_tell(struct datapath *d);
/* Of DATAPATH_NEWS_*: control hears at once. */
void datapath_tell_news(struct datapath *d, unsigned news);

/* --- datapath_out.c --- */

CHECKED enum err datapath_out_new(struct datapath *d, struct datapath_out **ret);
void datapath_out_free(struct datapath_out *o); /* NULL is fine */
void datapath_out_run(void *datapath);          /* until what is carried is over */
/* For any thread: packets that could not be sent; when the last left, and the first since something
 * came, in nanoseconds, 0: never. */
uint64_t datapath_out_not_sent(const struct datapath_out *o);
int64_t datapath_out_last_ns(const struct datapath_out *o);
int64_t datapath_out_first_ns(const struct datapath_out *o);
uint64_t datapath_out_not_taken(const struct datapath_out *o); /* answers, by the TUN */
uint64_t datapath_out_too_long(const struct datapath_out *o);  /* datagrams that did not fit */

/* --- datapath_in.c --- */

struct datapath_in_drops {
    uint64_t bad;       /* neither IKE nor ESP */
    uint64_t ike;       /* no room in the ring */
    uint64_t not_taken; /* by the TUN */
};

CHECKED enum err datapath_in_new(struct datapath *d, struct datapath_in **ret);
void datapath_in_free(struct datapath_in *in); /* NULL is fine */
void datapath_in_run(void *datapath);
/* For any thread: packets that came early are to be tried again, at its next wake-up. */
void datapath_in_retry(struct datapath_in *in);
struct datapath_in_drops datapath_in_drops(const struct datapath_in *in);
int64_t datapath_in_last_ns(const struct datapath_in *in);

#endif
