/* The network and its liars, without any key: a client and a gateway talk, and the input decides
 * what is delivered, when, how often, what is changed on the way, what is made up, and what both
 * are told to do meanwhile. What is not authentic changes nothing that stands.
 *
 * Input: variant, then steps: an octet, and what it needs. */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/ends.h"

enum { QUEUE_MAX = 32, STEPS_MAX = 96, HEAL_MAX = 40 };

struct waiting {
    bool from_client;
    struct path path;
    uint8_t *bytes; /* owned */
    size_t len;
};

struct network {
    struct waiting queue[QUEUE_MAX];
    size_t count;
    bool open; /* delivers at once */
};

static void remove_at(struct network *n, size_t i)
{
    free(n->queue[i].bytes);
    n->count--;
    memmove(&n->queue[i], &n->queue[i + 1], (n->count - i) * sizeof(n->queue[0]));
}

static bool keep(struct ends *e, bool from_client, const struct path *path, struct span bytes)
{
    struct network *n = e->wire_ctx;
    if (n->open)
        return true;
    if (n->count == QUEUE_MAX)
        remove_at(n, 0);
    n->queue[n->count++] = (struct waiting){from_client, *path, fuzz_copy(bytes), bytes.len};
    return false;
}

/* What a side shows of itself that only its peer may change. */
struct view {
    bool stands; /* is there anything to protect */
    struct session_status status;
    unsigned children_up, configs;
    bool down;
};

static struct view view_of(const struct ends_side *side)
{
    struct view v = {.children_up = side->children_up, .configs = side->configs};
    if (side->session == NULL)
        return v;
    session_status(side->session, &v.status);
    v.stands = v.status.established != MONO_NEVER;
    v.down = side->down;
    return v;
}

static void check_unmoved(const struct view *before, const struct ends_side *side)
{
    struct view after = view_of(side);
    if (!before->stands)
        return;
    CHECK(after.status.state == before->status.state && after.down == before->down);
    CHECK(after.status.spi_i == before->status.spi_i && after.status.spi_r == before->status.spi_r);
    CHECK(after.status.established == before->status.established);
    CHECK(path_equal(&after.status.path, &before->status.path));
    CHECK(after.children_up == before->children_up && after.configs == before->configs);
    CHECK(after.status.ike_rekeys == before->status.ike_rekeys);
}

/* Octets that nobody sealed. */
static void lie(struct ends *e, bool to_client, const struct path *sent_on, struct span payload)
{
    const struct ends_side *side = to_client ? &e->client : &e->gateway;
    struct view before = view_of(side);
    bool lasting = e->lasting;
    e->lasting = true;
    ends_deliver(e, to_client, sent_on, payload);
    e->lasting = lasting;
    check_unmoved(&before, side);
}

static void deliver(struct ends *e, struct network *n, struct wire_reader *r, uint8_t op)
{
    if (n->count == 0)
        return;
    size_t i = (op & 0x40) != 0 ? wire_read_u8(r) % n->count : 0;
    const struct waiting *w = &n->queue[i];
    bool once = (op & 0x80) == 0, from_client = w->from_client;
    struct path path = w->path;
    uint8_t *copy = fuzz_copy(span_make(w->bytes, w->len));
    struct span payload = span_make(copy, w->len);
    if (once)
        remove_at(n, i);
    ends_deliver(e, !from_client, &path, payload);
    free(copy);
}

/* An octet changed, or the end cut off. */
static void damage(struct ends *e, struct network *n, struct wire_reader *r, uint8_t op)
{
    uint16_t at = wire_read_u16(r);
    uint8_t by = wire_read_u8(r);
    if (n->count == 0)
        return;
    const struct waiting *w = &n->queue[(op >> 4) % n->count];
    if (w->len == 0)
        return;
    struct path path = w->path;
    bool to_client = !w->from_client;
    size_t len = w->len;
    uint8_t *copy = fuzz_copy(span_make(w->bytes, len));
    if ((op & 8) != 0)
        len = at % len;
    else
        copy[at % len] ^= (uint8_t)(by == 0 ? 1 : by);
    uint8_t *exact = fuzz_copy(span_make(copy, len));
    lie(e, to_client, &path, span_make(exact, len));
    free(exact);
    free(copy);
}

static struct path way(const struct ends *e, bool to_client)
{
    struct session_status status;
    session_status(e->client.session, &status);
    struct path p = status.path.remote.ip.family != IP_NONE ? status.path : e->path;
    return to_client ? (struct path){.local = p.remote, .remote = p.local} : p;
}

/* Made up; with the SPIs that anybody has seen where the input wants them. */
static void forge(struct ends *e, struct wire_reader *r, uint8_t op)
{
    bool to_client = (op & 8) != 0;
    struct span given = fuzz_piece(r);
    struct path path = way(e, to_client);
    bool marker = (to_client ? path.local.port : path.remote.port) != IKE_PORT;
    size_t head = marker ? NON_ESP_MARKER_LEN : 0;
    uint8_t *payload = calloc(1, head + given.len + 1);
    CHECK(payload != NULL);
    if (given.len > 0)
        memcpy(payload + head, given.data, given.len);
    struct session_status status;
    session_status(e->client.session, &status);
    if ((op & 0x10) != 0 && given.len >= IKE_HEADER_LEN) {
        struct wire_writer w;
        wire_writer_init(&w, payload + head, IKE_HEADER_LEN);
        wire_write_u64(&w, status.spi_i);
        wire_write_u64(&w, (op & 0x20) != 0 ? 0 : status.spi_r);
        w.len = IKE_HEADER_LEN;
        wire_patch_u32(&w, 24, (uint32_t)given.len);
    }
    lie(e, to_client, &path, span_make(payload, head + given.len));
    free(payload);
}

/* Nobody woke for a while: the client has slept, or both did not get to run. */
static void sleep_for(struct ends *e, struct wire_reader *r, uint8_t op)
{
    e->now += (mono_ms)wire_read_u8(r) * 10000;
    ends_wait(e, &e->client, 0);
    ends_wait(e, &e->gateway, 0);
    if ((op & 8) != 0)
        session_resumed(e->client.session, e->now);
}

static void command(struct ends *e, struct wire_reader *r, uint8_t op)
{
    struct ends_side *side = (op & 8) != 0 ? &e->client : &e->gateway;
    struct session *s = side->session;
    const struct session_traffic traffic = {.last_out = e->now, .last_in = MONO_NEVER};
    const struct redirect_target elsewhere = {.name = "other.example.com"};
    uint8_t ways;
    if (s == NULL)
        return;
    switch (op >> 4 & 7) {
    case 0:
        (void)!session_rekey(s, e->now, SESSION_REKEY_IKE);
        break;
    case 1:
        (void)!session_rekey(s, e->now, SESSION_REKEY_CHILD);
        break;
    case 2:
        (void)!session_reconnect(s, e->now);
        break;
    case 3:
        if ((op & 0x80) != 0)
            sleep_for(e, r, op);
        else
            session_traffic(s, e->now, &traffic);
        break;
    case 4:
        session_suspect(s, e->now);
        break;
    case 5:
        if (!side->is_client)
            (void)!session_redirect(s, e->now, &elsewhere);
        else if (side->redirected)
            session_redirected(s, e->now, &e->path, op >> 7);
        break;
    case 6:
        ways = (op & 0x80) != 0 ? wire_read_u8(r) : 1;
        ends_networks(e, side, ways & 3, ways >> 2);
        break;
    default:
        session_stop(s, e->now);
    }
    ends_judge(e, side);
}

static void step(struct ends *e, struct network *n, struct wire_reader *r)
{
    uint8_t op = wire_read_u8(r);
    switch (op & 7) {
    case 0:
    case 1:
        deliver(e, n, r, op);
        break;
    case 2:
        if (n->count > 0)
            remove_at(n, 0);
        break;
    case 3:
        damage(e, n, r, op);
        break;
    case 4:
        forge(e, r, op);
        break;
    case 5:
        ends_wait(e, (op & 8) != 0 ? &e->client : &e->gateway, (mono_ms)wire_read_u16(r) * 4);
        break;
    case 6:
        n->open = (op & 8) != 0;
        break;
    default:
        command(e, r, op);
    }
    ends_pump(e);
}

/* The network is whole again: everything goes on from there without a broken invariant. */
static void heal(struct ends *e, struct network *n)
{
    n->open = true;
    if (session_stranded(e->client.session))
        ends_networks(e, &e->client, 1, 0);
    while (n->count > 0)
        remove_at(n, 0);
    for (int i = 0; i < HEAL_MAX && !e->client.down; i++) {
        ends_pump(e);
        mono_ms next = session_next_timeout(e->client.session);
        if (e->gateway.session != NULL)
            next = mono_earlier(next, session_next_timeout(e->gateway.session));
        if (next == MONO_NEVER)
            break;
        e->now = next > e->now ? next : e->now;
        ends_wait(e, &e->client, 0);
        ends_wait(e, &e->gateway, 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ends e;
    static struct network n;
    struct wire_reader r;
    wire_reader_init(&r, span_make(data, size));
    uint8_t variant = wire_read_u8(&r);
    ends_init(&e, variant & 0x3f);
    e.lasting = (variant & 0x80) != 0;
    e.wire = keep;
    e.wire_ctx = &n;
    n = (struct network){.open = (variant & 0x40) != 0};
    ends_start(&e);
    ends_pump(&e);
    for (int i = 0; wire_left(&r) > 0 && i < STEPS_MAX; i++)
        step(&e, &n, &r);
    heal(&e, &n);
    while (n.count > 0)
        remove_at(&n, 0);
    ends_wipe(&e);
    return 0;
}
