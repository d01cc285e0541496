/* Control's part of the data path, on the loop: it opens and closes, publishes what is carried,
 * sends IKE and gets what the threads have to tell. Its neighbours are in datapath_internal.h.
 *
 * Of two places for what is published one is current. The other may still be in use, by who was
 * inside when it was replaced; before it is written again control waits for them to leave, which
 * takes a batch at most. Nothing is allocated for it, so nothing of this can fail. */
#include "client/datapath_internal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "platform/clock.h"
#include "platform/routes.h"

enum {
    MESSAGES_PER_WAKE = 64, /* of IKE, then the loop looks at its timers */
    COMPLAIN_MS = 1000,
    REPORT_MS = 10,
    REPORT_SELDOM_MS = 100, /* of little traffic that nobody waits for */
    REPORT_MANY = 32,       /* packets since the report before: looking more often costs nothing */
    STACK_LEN = 256 * 1024  /* a batch's headers and control data take a tenth */
};

/* --- what is carried --- */

const struct carried *datapath_enter(struct datapath *d, size_t me)
{
    epoch_enter(&d->epoch, me);
    return atomic_load(&d->current);
}

void datapath_leave(struct datapath *d, size_t me)
{
    epoch_leave(&d->epoch, me);
    if (atomic_load(&d->awaited))
        uv_sem_post(&d->left);
}

/* Until all have left that were inside then. They have been woken. (A post that was not waited for
 * makes a later wait look once more than it needs.) */
static void wait_left(struct datapath *d, const struct epoch_mark *m)
{
    atomic_store(&d->awaited, true);
    while (!epoch_left(&d->epoch, m))
        uv_sem_wait(&d->left);
    atomic_store(&d->awaited, false);
}

static void wake_all(struct datapath *d)
{
    for (size_t i = 0; i < DATAPATH_THREADS; i++)
        waker_wake(d->wakers[i]);
}

static struct carried current(const struct datapath *d)
{
    return *atomic_load(&d->current);
}

static void publish(struct datapath *d, const struct carried *next)
{
    wait_left(d, &d->before);
    struct carried *place = &d->carried[atomic_load(&d->current) == &d->carried[0] ? 1 : 0];
    *place = *next;
    atomic_store(&d->current, place);
    d->before = epoch_mark(&d->epoch);
    wake_all(d);
}

void datapath_carry(struct datapath *d, struct tun *tun, struct tunnel *tunnel,
                    const struct path *path)
{
    struct carried next = current(d);
    bool other = next.tun != tun;
    if (other) {
        next.turn++;
        next.held = false;
    }
    next.tun = tun;
    next.tunnel = tunnel;
    next.path = *path;
    publish(d, &next);
    if (other)
        wait_left(d, &d->before); /* the one before may be closed now */
}

void datapath_move(struct datapath *d, const struct path *path)
{
    struct carried next = current(d);
    next.path = *path;
    publish(d, &next);
}

void datapath_fit(struct datapath *d, const struct fit *fit, size_t datagram_max)
{
    struct carried next = current(d);
    if (memcmp(&next.fit, fit, sizeof(*fit)) == 0 && next.datagram_max == datagram_max)
        return; /* it is asked for often */
    next.fit = *fit;
    next.datagram_max = datagram_max;
    publish(d, &next);
}

void datapath_hold(struct datapath *d, bool held)
{
    struct carried next = current(d);
    if (next.tun == NULL)
        return;
    next.held = held;
    publish(d, &next);
}

void datapath_stop(struct datapath *d)
{
    struct carried next = current(d);
    if (next.tun == NULL)
        return;
    next.tun = NULL;
    next.tunnel = NULL;
    publish(d, &next);
    wait_left(d, &d->before);
}

void datapath_settle(struct datapath *d)
{
    if (current(d).tun == NULL)
        return;
    struct epoch_mark m = epoch_mark(&d->epoch);
    wake_all(d);
    wait_left(d, &m);
}

void datapath_child_came(struct datapath *d)
{
    datapath_in_retry(d->in);
    waker_wake(d->wakers[DATAPATH_IN]);
}

/* --- what the threads tell --- */

/* A thread writes down its time, and then looks whether control has been told; control says that it
 * has not, and then reads the times. In one order of all four, either the thread wakes control, or
 * control sees the time: the last word is never missed. While it has been told a report is due. */
void datapath_tell(struct datapath *d)
{
    if (!atomic_load(&d->told) && !atomic_exchange(&d->told, true))
        (void)uv_async_send(&d->async);
}

void datapath_tell_news(struct datapath *d, unsigned news)
{
    if ((atomic_fetch_or(&d->news, news) & news) != news)
        (void)uv_async_send(&d->async);
}

static mono_ms ms_of(int64_t ns)
{
    return ns != 0 ? ns / NS_PER_MS : MONO_NEVER;
}

static struct tunnel_counters carried_counters(const struct datapath *d)
{
    const struct carried c = current(d);
    return c.tunnel != NULL ? tunnel_counters(c.tunnel) : (struct tunnel_counters){0};
}

/* True where there was traffic since the last report. */
static bool report_traffic(struct datapath *d, mono_ms now)
{
    int64_t out_ns = datapath_out_last_ns(d->out), in_ns = datapath_in_last_ns(d->in);
    int64_t first_ns = datapath_out_first_ns(d->out);
    if (out_ns == d->out_reported_ns && in_ns == d->in_reported_ns)
        return false;
    const struct tunnel_counters counters = carried_counters(d);
    uint64_t count = counters.out.packets + counters.authentic;
    d->many = d->many || count - d->packets_reported >= REPORT_MANY;
    d->packets_reported = count;
    d->out_reported_ns = out_ns;
    d->in_reported_ns = in_ns;
    const struct session_traffic traffic = {.last_out = ms_of(out_ns),
                                            .last_in = ms_of(in_ns),
                                            .first_out = first_ns > in_ns ? ms_of(first_ns) : 0,
                                            .out_was_last = out_ns >= in_ns};
    d->callbacks.traffic(d->callbacks.ctx, now, &traffic);
    return true;
}

static void report_drops(struct datapath *d, mono_ms now)
{
    const struct datapath_in_drops in = datapath_in_drops(d->in);
    const struct tunnel_counters counters = carried_counters(d);
    d->drops.bad = in.bad;
    d->drops.ike = d->ike_useless + in.ike;
    d->drops.not_taken = in.not_taken + datapath_out_not_taken(d->out);
    d->drops.not_sent = d->not_sent + datapath_out_not_sent(d->out);
    drops_tell(&d->drops, now, &counters);
}

static void hear_news(struct datapath *d, mono_ms now)
{
    unsigned news = atomic_exchange(&d->news, 0);
    const struct carried c = current(d);
    if ((news & DATAPATH_NEWS_EXPIRING) != 0)
        d->callbacks.expiring(d->callbacks.ctx, now);
    if ((news & DATAPATH_NEWS_TUN_APART) != 0)
        log_warn("this kernel does not take packets in one piece, though it says so");
    if ((news & DATAPATH_NEWS_SOCKET_LOST) != 0)
        log_warn("a UDP socket cannot be read");
    if ((news & DATAPATH_NEWS_TUN_LOST) != 0 && c.tun != NULL &&
        atomic_load(&d->lost_turn) == c.turn) /* else another one has taken its place */
        d->callbacks.tun_lost(d->callbacks.ctx);
}

/* True where there was any. */
static bool hear_ike(struct datapath *d, mono_ms now)
{
    size_t count = 0, len;
    while (ring_take(&d->ike, d->message, sizeof(d->message), &len) == ERR_OK) {
        struct path path;
        memcpy(&path, d->message, sizeof(path));
        d->ike_useless = d->callbacks.ike(d->callbacks.ctx, now, &path,
                                          span_make(d->message + sizeof(path), len - sizeof(path)));
        if (++count == MESSAGES_PER_WAKE) {
            (void)uv_async_send(&d->async);
            break;
        }
    }
    return count > 0;
}

static void on_report_due(uv_timer_t *timer);

static void report_again(struct datapath *d)
{
    uv_timer_start(&d->timer, on_report_due, d->closely || d->many ? REPORT_MS : REPORT_SELDOM_MS,
                   0);
}

/* Where nothing came since the last one the next traffic wakes us. */
static void on_report_due(uv_timer_t *timer)
{
    struct datapath *d = timer->data;
    mono_ms now = clock_now();
    atomic_store(&d->told, false);
    d->many = hear_ike(d, now);
    if (report_traffic(d, now)) {
        atomic_store(&d->told, true);
        report_again(d);
    }
    report_drops(d, now);
}

static void on_told(uv_async_t *async)
{
    struct datapath *d = async->data;
    mono_ms now = clock_now();
    (void)report_traffic(d, now);
    d->many = hear_ike(d, now) || d->many;
    hear_news(d, now);
    report_drops(d, now);
    if (atomic_load(&d->told) && !uv_is_active((const uv_handle_t *)&d->timer))
        report_again(d);
}

void datapath_watch(struct datapath *d, bool closely)
{
    bool sooner = closely && !d->closely && uv_is_active((const uv_handle_t *)&d->timer);
    d->closely = closely;
    if (sooner)
        report_again(d);
}

void datapath_report(struct datapath *d)
{
    (void)report_traffic(d, clock_now());
}

/* --- senders --- */

enum err datapath_senders_new(const struct datapath *d, struct datapath_senders *ret)
{
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < DATAPATH_FAMILIES; i++) {
        if (d->udp[i] != NULL)
            e = udp_sender_new(d->udp[i], &ret->of[i]);
    }
    return e;
}

void datapath_senders_free(struct datapath_senders *s)
{
    for (size_t i = 0; i < DATAPATH_FAMILIES; i++)
        udp_sender_free(s->of[i]);
}

uint64_t datapath_senders_too_long(const struct datapath_senders *s)
{
    uint64_t count = 0;
    for (size_t i = 0; i < DATAPATH_FAMILIES; i++)
        count += s->of[i] != NULL ? udp_too_long(s->of[i]) : 0;
    return count;
}

/* --- what control sends --- */

uint16_t datapath_port(const struct datapath *d, enum ip_family family)
{
    const struct udp *u = d->udp[datapath_index(family)];
    return u != NULL ? udp_port(u) : 0;
}

void datapath_send(struct datapath *d, const struct session_datagram *datagram)
{
    struct udp_sender *sender = d->senders.of[datapath_index(datagram->path.remote.ip.family)];
    if (sender == NULL || datagram->bytes.len > DATAPATH_BUFFER_LEN)
        return;
    struct udp_message m = {.path = datagram->path, .len = datagram->bytes.len};
    /* udp_send takes writable buffers and does not write them. */
    union {
        const uint8_t *read_only;
        uint8_t *writable;
    } bytes = {.read_only = datagram->bytes.data};
    m.data = bytes.writable;
    enum err e = udp_send_fragmentable(sender, &m);
    if (e == ERR_OK)
        return;
    /* Where an answer goes may be a stranger's choice: not a line for each. */
    mono_ms now = clock_now();
    char text[ENDPOINT_TEXT_MAX];
    d->not_sent++;
    log_write(now < d->complain_after ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "cannot send to %s: %s",
              endpoint_format(&m.path.remote, text), err_text(e));
    if (now >= d->complain_after)
        d->complain_after = now + COMPLAIN_MS;
}

uint64_t datapath_too_long(const struct datapath *d)
{
    return datapath_out_too_long(d->out) + datapath_senders_too_long(&d->senders);
}

/* --- opening and closing --- */

static enum err open_family(struct datapath *d, size_t i, struct fault *f)
{
    const struct udp_options o = {
        .address = {.family = i == 0 ? IP_V4 : IP_V6}, .mark = ROUTES_MARK, .offload = d->offload};
    return udp_open(&o, &d->udp[i], f);
}

static enum err open_parts(struct datapath *d, struct fault *f)
{
    enum err v4 = open_family(d, 0, f);
    enum err v6 = open_family(d, 1, f);
    if (v4 != ERR_OK && v6 != ERR_OK)
        return v4;
    enum err e = datapath_senders_new(d, &d->senders);
    if (e == ERR_OK)
        e = datapath_out_new(d, &d->out);
    if (e == ERR_OK)
        e = datapath_in_new(d, &d->in);
    if (e != ERR_OK)
        return fault_set(f, e, "no memory for packet buffers");
    for (size_t i = 0; e == ERR_OK && i < DATAPATH_THREADS; i++)
        e = waker_open(&d->wakers[i], f);
    d->has_left = e == ERR_OK && uv_sem_init(&d->left, 0) == 0;
    if (e == ERR_OK && !d->has_left)
        e = fault_set(f, ERR_SYSTEM, "no semaphore for the data path");
    return e;
}

static enum err open_handles(struct datapath *d, struct fault *f)
{
    uv_timer_init(d->loop, &d->timer);
    d->timer.data = d->async.data = d;
    d->handles++;
    if (uv_async_init(d->loop, &d->async, on_told) != 0)
        return fault_set(f, ERR_SYSTEM, "the event loop hears of no threads");
    d->handles++;
    return ERR_OK;
}

/* Signals are the loop's: the threads take none. */
static enum err start_threads(struct datapath *d, struct fault *f)
{
    static const uv_thread_cb runs[] = {datapath_out_run, datapath_in_run};
    const uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE,
                                         .stack_size = STACK_LEN};
    sigset_t all, before;
    int status = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (status == 0 && d->thread_count < DATAPATH_THREADS) {
        status =
            uv_thread_create_ex(&d->threads[d->thread_count], &options, runs[d->thread_count], d);
        d->thread_count += status == 0 ? 1 : 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status != 0)
        return fault_set(f, ERR_SYSTEM, "no thread for packets: %s", uv_strerror(status));
    return ERR_OK;
}

enum err datapath_new(uv_loop_t *loop, const struct datapath_callbacks *callbacks, bool offload,
                      struct datapath **ret, struct fault *f)
{
    struct datapath *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return fault_set(f, ERR_MEMORY, "no memory for packet buffers");
    d->loop = loop;
    d->callbacks = *callbacks;
    d->offload = offload;
    atomic_init(&d->current, &d->carried[0]);
    enum err e = open_parts(d, f);
    if (e == ERR_OK)
        e = open_handles(d, f);
    if (e == ERR_OK)
        e = start_threads(d, f);
    if (e != ERR_OK) {
        datapath_close(d);
        return e;
    }
    *ret = d;
    return ERR_OK;
}

static void release(struct datapath *d)
{
    datapath_out_free(d->out);
    datapath_in_free(d->in);
    for (size_t i = 0; i < DATAPATH_THREADS; i++)
        waker_close(d->wakers[i]);
    datapath_senders_free(&d->senders);
    for (size_t i = 0; i < DATAPATH_FAMILIES; i++)
        udp_close(d->udp[i]);
    if (d->has_left)
        uv_sem_destroy(&d->left);
    free(d);
}

static void on_closed(uv_handle_t *handle)
{
    struct datapath *d = handle->data;
    if (--d->handles == 0)
        release(d);
}

static void join_threads(struct datapath *d)
{
    const struct carried over = {.over = true};
    if (d->thread_count == 0)
        return;
    publish(d, &over);
    while (d->thread_count > 0)
        uv_thread_join(&d->threads[--d->thread_count]);
}

void datapath_close(struct datapath *d)
{
    if (d == NULL || d->closing)
        return;
    d->closing = true;
    join_threads(d);
    if (d->handles == 0) {
        release(d);
        return;
    }
    bool has_async = d->handles == 2;
    uv_close((uv_handle_t *)&d->timer, on_closed);
    if (has_async)
        uv_close((uv_handle_t *)&d->async, on_closed);
}
