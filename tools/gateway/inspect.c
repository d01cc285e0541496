/* The sessions as lines of JSON, so that a test can prove what the gateway holds: that `down`
 * removed both SAs, that packets took the tunnel. A last line of totals says that the list is
 * complete. */
#include "tools/gateway/state.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* Text that is no UTF-8 after all becomes null rather than no line at all. */
static json_t *text(const char *s)
{
    json_t *value = json_string(s);

    return value == NULL ? json_null() : value;
}

static json_t *counters(const struct esp_counters *c)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "packets", (json_int_t)c->packets, "bytes",
                     (json_int_t)c->bytes, "replayed", (json_int_t)c->replayed, "bad",
                     (json_int_t)c->bad, "congested", (json_int_t)c->congested);
}

static json_t *children(const struct client *c)
{
    json_t *list = json_array();

    for (size_t i = 0; i < TUNNEL_CHILDREN_MAX; i++) {
        struct tunnel_child_status status;
        char in[9], out[9];

        if (c->children[i].spi_in == 0 ||
            tunnel_child_status(c->tunnel, c->children[i].spi_in, &status) != ERR_OK)
            continue;
        snprintf(in, sizeof(in), "%08" PRIx32, status.spi_in);
        snprintf(out, sizeof(out), "%08" PRIx32, status.spi_out);
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:o, s:o}", "spi_in", in, "spi_out", out, "rx",
                                        counters(&status.in), "tx", counters(&status.out)));
    }
    return list;
}

static json_t *addresses(const struct client *c)
{
    json_t *list = json_array();
    char out[IP_TEXT_MAX];

    for (size_t i = 0; i < c->address_count; i++)
        json_array_append_new(list, json_string(ip_format(&c->addresses[i], out)));
    return list;
}

static const char *state_text(enum session_state state)
{
    switch (state) {
    case SESSION_IDLE:
        return "idle";
    case SESSION_CONNECTING:
        return "connecting";
    case SESSION_UP:
        return "up";
    case SESSION_SEARCHING: /* an initiator's */
        break;
    case SESSION_STOPPING:
        return "stopping";
    case SESSION_DOWN:
        return "down";
    }
    return "unknown";
}

static json_t *session_json(const struct client *c)
{
    struct session_status s;
    char peer[IDENTITY_TEXT_MAX], spi_i[17], spi_r[17];
    char suite[PROPOSAL_TEXT_MAX] = "", local[ENDPOINT_TEXT_MAX], remote[ENDPOINT_TEXT_MAX];

    session_status(c->session, &s);
    snprintf(spi_i, sizeof(spi_i), "%016" PRIx64, s.spi_i);
    snprintf(spi_r, sizeof(spi_r), "%016" PRIx64, s.spi_r);
    if (s.ike.prf != PRF_NONE)
        (void)suite_format(&s.ike, PROTOCOL_IKE, suite);
    const struct tunnel_counters total = tunnel_counters(c->tunnel);
    bool known = c->peer.type != IDENTITY_NONE;
    return json_pack("{s:i, s:s, s:o, s:s, s:s, s:s, s:{s:s, s:s, s:b}, s:o, s:o, s:o, s:o, s:I}",
                     "v", 1, "state", state_text(s.state), "peer",
                     known ? text(identity_format(&c->peer, peer)) : json_null(), "spi_i", spi_i,
                     "spi_r", spi_r, "proposal", suite, "path", "local",
                     endpoint_format(&c->path.local, local), "remote",
                     endpoint_format(&c->path.remote, remote), "nat", (int)c->behind_nat,
                     "addresses", addresses(c), "children", children(c), "rx", counters(&total.in),
                     "tx", counters(&total.out), "rekeys", (json_int_t)c->rekeys);
}

static json_t *totals_json(const struct gateway *g)
{
    const struct gateway_drops *d = &g->drops;

    size_t sessions = 0;

    for (size_t i = 0; i < g->client_count; i++)
        sessions += g->clients[i]->down ? 0 : 1;
    return json_pack("{s:i, s:I, s:I, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I}}", "v", 1, "sessions",
                     (json_int_t)sessions, "half_open", (json_int_t)g->half_open, "dropped",
                     "unowned_ike", (json_int_t)d->unowned_ike, "unknown_spi",
                     (json_int_t)d->unknown_spi, "bad", (json_int_t)d->bad, "full",
                     (json_int_t)d->full, "no_client", (json_int_t)d->no_client, "not_sent",
                     (json_int_t)d->not_sent, "not_delivered", (json_int_t)d->not_delivered);
}

static void print_line(json_t *object)
{
    char *line = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);

    if (line != NULL)
        puts(line);
    free(line);
    json_decref(object);
}

void inspect_print(const struct gateway *g)
{
    for (size_t i = 0; i < g->client_count; i++) {
        if (!g->clients[i]->down)
            print_line(session_json(g->clients[i]));
    }
    print_line(totals_json(g));
    fflush(stdout);
}
