/* A run as a ladder: clients on the left, the gateway on the right, what the network did beside the
 * arrow. Protected messages are opened with the keys that the run made. */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdarg.h>

enum { LEFT = 44 };

static void line(struct world *w, const char *left, const char *arrow, const char *right)
{
    fprintf(w->transcript, "%10.3f  %-*s %s %s\n", (double)w->now / 1000, LEFT, left, arrow, right);
}

void transcript_note(struct world *w, const char *who, const char *format, ...)
{
    if (w->transcript == NULL)
        return;
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(w->transcript, "%10.3f  -- %s: %s\n", (double)w->now / 1000, who, text);
}

/* --- messages --- */

struct text {
    char s[700];
    size_t len;
};

static void add(struct text *t, const char *format, ...) PRINTF_LIKE(2, 3);

static void add(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->s + t->len, sizeof(t->s) - t->len, format, args);
    va_end(args);
    t->len += n > 0 ? (size_t)n : 0;
    if (t->len >= sizeof(t->s))
        t->len = sizeof(t->s) - 1;
}

static void add_delete(struct text *t, struct span body)
{
    struct delete_payload d;
    if (delete_payload_parse(body, &d) != ERR_OK) {
        add(t, " D?");
        return;
    }
    add(t, d.protocol == PROTOCOL_IKE ? " D(IKE" : " D(ESP");
    for (size_t i = 0; d.spi_len == 4 && i < d.count && i < 4; i++)
        add(t, " %08" PRIx32, delete_payload_esp_spi(&d, i));
    add(t, ")");
}

static void add_payloads(struct text *t, const struct payload_list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        const struct payload *p = &l->items[i];
        struct notify_payload n;
        const char *name = payload_name(p->type);
        if (p->type == PAYLOAD_NOTIFY && notify_payload_parse(p->body, &n) == ERR_OK) {
            const char *notify = notify_name(n.type);
            if (notify != NULL)
                add(t, " N(%s)", notify);
            else
                add(t, " N(%u)", n.type);
        } else if (p->type == PAYLOAD_DELETE) {
            add_delete(t, p->body);
        } else if (name != NULL) {
            add(t, " %s", name);
        } else {
            add(t, " payload%u", p->type);
        }
    }
}

static void add_contents(struct text *t, struct span message, const struct ike_header *h)
{
    struct payload_list l;
    uint8_t bad, first;
    struct span inner;
    struct span body = span_make(message.data + IKE_HEADER_LEN, message.len - IKE_HEADER_LEN);
    if (payload_list_parse(h->next_payload, body, &l, &bad) != ERR_OK) {
        add(t, " broken");
        return;
    }
    add_payloads(t, &l);
    if (l.count == 0 || l.items[l.count - 1].type != PAYLOAD_SK)
        return;
    uint8_t *copy = sim_alloc(message.len);
    memcpy(copy, message.data, message.len);
    if (memory_open(copy, message.len, &first, &inner) &&
        payload_list_parse(first, inner, &l, &bad) == ERR_OK) {
        add(t, " {");
        add_payloads(t, &l);
        add(t, " }");
    }
    sim_free(copy);
}

static void describe(struct text *t, const struct datagram *d)
{
    struct span payload = span_make(d->bytes, d->len), message;
    uint16_t port = d->to_gateway ? d->to.port : d->from.port;
    struct ike_header h;
    switch (datagram_classify(port != IKE_PORT, payload, &message)) {
    case DATAGRAM_IKE:
        if (ike_header_parse(message, &h) != ERR_OK) {
            add(t, "IKE, broken");
            break;
        }
        const char *name = exchange_name(h.exchange);
        add(t, "%s %s %" PRIu32 " %04" PRIx64 "/%04" PRIx64, name != NULL ? name : "exchange?",
            (h.flags & IKE_FLAG_RESPONSE) != 0 ? "response" : "request", h.message_id,
            h.spi_i >> 48, h.spi_r >> 48);
        add_contents(t, message, &h);
        break;
    case DATAGRAM_ESP:
        add(t, "ESP %02x%02x%02x%02x %u", d->bytes[0], d->bytes[1], d->bytes[2], d->bytes[3],
            d->len >= 8 ? (unsigned)d->bytes[6] << 8 | d->bytes[7] : 0);
        break;
    case DATAGRAM_KEEPALIVE:
        add(t, "keepalive");
        break;
    case DATAGRAM_BAD:
        add(t, "rubbish");
        break;
    }
    add(t, ", %zu octets", d->len);
}

void transcript_datagram(struct world *w, const struct datagram *d, const char *fate)
{
    if (w->transcript == NULL)
        return;
    struct text t = {.len = 0};
    char from[ENDPOINT_TEXT_MAX], to[ENDPOINT_TEXT_MAX], left[140];
    bool lost = strncmp(fate, "lost", 4) == 0;
    describe(&t, d);
    if (fate[0] != '\0')
        add(&t, "  [%s]", fate);
    snprintf(left, sizeof(left), "%s %s", endpoint_format(d->to_gateway ? &d->from : &d->to, from),
             endpoint_format(d->to_gateway ? &d->to : &d->from, to));
    if (d->to_gateway)
        line(w, left, lost ? "-----x   " : "-------->", t.s);
    else
        line(w, left, lost ? "   x-----" : "<--------", t.s);
}

/* --- events --- */

static void event_text(struct text *t, const struct session_event *event)
{
    char path[ENDPOINT_TEXT_MAX];
    switch ((int)event->type) {
    case SESSION_EVENT_PHASE:
        add(t, "PHASE %s", event->phase.text);
        break;
    case SESSION_EVENT_CONFIG:
        add(t, "CONFIG");
        break;
    case SESSION_EVENT_CHILD_UP:
        add(t, "CHILD_UP in %08" PRIx32 " out %08" PRIx32 "%s", event->child.spi_in,
            event->child.spi_out, event->child.outbound_waits ? ", waits" : "");
        break;
    case SESSION_EVENT_CHILD_DOWN:
        add(t, "CHILD_DOWN in %08" PRIx32, event->child_down_spi_in);
        break;
    case SESSION_EVENT_CHILD_DRAIN:
        add(t, "CHILD_DRAIN in %08" PRIx32, event->child_down_spi_in);
        break;
    case SESSION_EVENT_SEARCHING:
        add(t, "SEARCHING %d: %s", (int)event->searching.reason, event->searching.fault.text);
        break;
    case SESSION_EVENT_REKEYED:
        add(t, event->rekeyed.ike ? "REKEYED IKE" : "REKEYED child");
        break;
    case SESSION_EVENT_REDIRECT:
        add(t, "REDIRECT");
        break;
    case SESSION_EVENT_UP:
        add(t, "UP");
        break;
    case SESSION_EVENT_PATH:
        add(t, "PATH %s", endpoint_format(&event->path.local, path));
        add(t, " %s", endpoint_format(&event->path.remote, path));
        break;
    case SESSION_EVENT_HANDOVER:
        add(t, "HANDOVER %d to %s, %" PRId64 " ms, %" PRIu32 " messages",
            (int)event->handover.reason, endpoint_format(&event->handover.to.local, path),
            event->handover.gap_ms, event->handover.messages);
        break;
    case SESSION_EVENT_PATH_PROBE:
        add(t, "PATH_PROBE %s %s", endpoint_format(&event->path_probe.path.local, path),
            event->path_probe.answered ? "answers" : "does not answer");
        break;
    case SESSION_EVENT_ADDRESSES:
        add(t, "ADDRESSES %zu", event->addresses.count);
        break;
    case SESSION_EVENT_DOWN:
        add(t, "DOWN %d: %s", (int)event->down.reason, event->down.fault.text);
        break;
    default:
        add(t, "event %d", (int)event->type);
    }
}

void transcript_event(const struct end *e, const struct session_event *event)
{
    struct world *w = e->world;
    if (w->transcript == NULL)
        return;
    struct text t = {.len = 0};
    char name[24], left[128];
    event_text(&t, event);
    end_name(e, name);
    if (e->kind == END_CLIENT || e->kind == END_INTRUDER) {
        snprintf(left, sizeof(left), "%s: %.80s", name, t.s);
        line(w, left, "|       |", "");
    } else {
        struct text right = {.len = 0};
        add(&right, "%s: %s", name, t.s);
        line(w, "", "|       |", right.s);
    }
}
