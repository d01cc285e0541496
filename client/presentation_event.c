/* Events: names, fields and their order are a contract with scripts. For people the same objects
 * become lines; they come from another process, so nothing in them is taken for granted. */
#include "client/presentation_event.h"

#include <inttypes.h>
#include <string.h>

#include "client/presentation.h"
#include "common/base/text.h"
#include "platform/clock.h"

static const char *const names[CLIENT_EVENTS] = {
    [CLIENT_EVENT_STATE] = "state",       [CLIENT_EVENT_PHASE] = "phase",
    [CLIENT_EVENT_NETWORK] = "network",   [CLIENT_EVENT_PATH_PROBE] = "path-probe",
    [CLIENT_EVENT_HANDOVER] = "handover", [CLIENT_EVENT_NAT_CHANGED] = "nat-changed",
    [CLIENT_EVENT_DPD] = "dpd",           [CLIENT_EVENT_REKEY] = "rekey",
    [CLIENT_EVENT_CHILD] = "child",       [CLIENT_EVENT_CONFIG] = "config",
    [CLIENT_EVENT_REPAIR] = "repair",     [CLIENT_EVENT_ERROR] = "error",
    [CLIENT_EVENT_LOG] = "log",
};

/* --- JSON --- */

static void set(json_t *o, const char *key, json_t *value)
{
    (void)json_object_set_new(o, key, value != NULL ? value : json_null());
}

static void set_text(json_t *o, const char *key, const char *text)
{
    set(o, key, text != NULL && text[0] != '\0' ? json_string(text) : NULL);
}

static void set_number(json_t *o, const char *key, int64_t number)
{
    set(o, key, number >= 0 ? json_integer(number) : NULL);
}

static void set_ms(json_t *o, const char *key, double ms)
{
    set(o, key, ms >= 0 ? json_real(ms) : NULL);
}

static void set_ip(json_t *o, const char *key, const struct ip *ip)
{
    char text[IP_TEXT_MAX];
    set(o, key, ip->family != IP_NONE ? json_string(ip_format(ip, text)) : NULL);
}

static void set_spi(json_t *o, const char *key, uint32_t spi)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "%08" PRIx32, spi);
    set(o, key, spi != 0 ? json_string(text) : NULL);
}

static void set_path(json_t *o, const struct path *path)
{
    static const struct path none;
    const struct path *p = path != NULL ? path : &none;
    set_ip(o, "local", &p->local.ip);
    set_number(o, "local_port", p->local.port != 0 ? p->local.port : -1);
    set_ip(o, "remote", &p->remote.ip);
    set_number(o, "remote_port", p->remote.port != 0 ? p->remote.port : -1);
}

static const char *kind_name(enum network_kind kind)
{
    static const char *const kinds[] = {
        [NETWORK_ETHERNET] = "ethernet", [NETWORK_WIRELESS] = "wireless",
        [NETWORK_CELLULAR] = "cellular", [NETWORK_TUNNEL] = "tunnel",
        [NETWORK_OTHER] = "other",
    };
    return kinds[kind];
}

static json_t *ways(const struct network_way *list, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *way = json_object();
        set_text(way, "interface", list[i].interface_name);
        set_text(way, "kind", kind_name(list[i].kind));
        set_ip(way, "local", &list[i].source);
        set_number(way, "metric", list[i].metric);
        set_number(way, "mtu", list[i].mtu);
        (void)json_array_append_new(array, way);
    }
    return array;
}

static json_t *selectors(const struct selector_list *l)
{
    json_t *array = json_array();
    for (size_t i = 0; i < l->count; i++) {
        char text[SELECTOR_TEXT_MAX];
        (void)json_array_append_new(array, json_string(selector_format(&l->items[i], text)));
    }
    return array;
}

static void add_child(json_t *o, const struct client_event *e)
{
    const struct session_child *c = e->child.child;
    char proposal[PROPOSAL_TEXT_MAX];
    set_text(o, "change", e->child.change);
    set_spi(o, "spi_in", e->child.spi_in);
    set_spi(o, "spi_out", c != NULL ? c->spi_out : 0);
    set_text(o, "proposal", c != NULL ? suite_format(&c->suite, PROTOCOL_ESP, proposal) : NULL);
    set(o, "local", c != NULL ? selectors(&c->local) : NULL);
    set(o, "remote", c != NULL ? selectors(&c->remote) : NULL);
}

static void add_config(json_t *o, const struct configuration *c)
{
    json_t *addresses = json_array(), *dns = json_array(), *domains = json_array();
    char text[PREFIX_TEXT_MAX];
    for (size_t i = 0; i < c->address_count; i++)
        (void)json_array_append_new(addresses, json_string(prefix_format(&c->addresses[i], text)));
    for (size_t i = 0; i < c->dns_count; i++)
        (void)json_array_append_new(dns, json_string(ip_format(&c->dns[i], text)));
    for (size_t i = 0; i < c->domain_count; i++) {
        json_t *domain = json_string(c->domains[i]); /* NULL where it is no text */
        if (domain != NULL)
            (void)json_array_append_new(domains, domain);
    }
    set(o, "addresses", addresses);
    set(o, "dns", dns);
    set(o, "domains", domains);
}

static void add_handover(json_t *o, const struct client_event *e)
{
    set_text(o, "from", e->handover.from);
    set_text(o, "to", e->handover.to);
    set_text(o, "reason", e->handover.reason);
    set_path(o, e->handover.path);
    set_number(o, "messages", e->handover.messages);
    set_ms(o, "gap_ms", e->handover.gap_ms);
}

static void add_repair(json_t *o, const struct client_event *e)
{
    json_t *missing = json_array();
    for (size_t i = 0; i < e->repair.count; i++)
        (void)json_array_append_new(missing, json_string(e->repair.missing[i]));
    set_text(o, "interface", e->repair.interface);
    set_text(o, "was", e->repair.was);
    set(o, "missing", missing);
    set_text(o, "fault", e->repair.fault);
}

static void add_fields(json_t *o, const struct client_event *e)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    switch (e->type) {
    case CLIENT_EVENT_STATE:
        set_text(o, "state", e->state.state);
        set_text(o, "was", e->state.was);
        set_text(o, "reason", e->state.reason);
        break;
    case CLIENT_EVENT_PHASE:
        set_text(o, "phase", e->phase.name);
        set_text(o, "text", e->phase.text);
        set_number(o, "ms", e->phase.ms);
        break;
    case CLIENT_EVENT_NETWORK:
        set(o, "ways", ways(e->network.ways, e->network.count));
        break;
    case CLIENT_EVENT_PATH_PROBE:
        set_text(o, "interface", e->probe.interface);
        set_path(o, e->probe.path);
        set_text(o, "result", e->probe.result);
        set_ms(o, "rtt_ms", e->probe.rtt_ms);
        break;
    case CLIENT_EVENT_HANDOVER:
        add_handover(o, e);
        break;
    case CLIENT_EVENT_NAT_CHANGED:
        set(o, "nat", json_boolean(e->nat.nat));
        set_path(o, e->nat.path);
        break;
    case CLIENT_EVENT_DPD:
        set_text(o, "result", e->dpd.result);
        set_number(o, "silence_ms", e->dpd.silence_ms);
        break;
    case CLIENT_EVENT_REKEY:
        set_text(o, "sa", e->rekey.ike ? "ike" : "child");
        set_spi(o, "old_spi_in", e->rekey.old_spi_in);
        set_spi(o, "spi_in", e->rekey.spi_in);
        break;
    case CLIENT_EVENT_CHILD:
        add_child(o, e);
        break;
    case CLIENT_EVENT_CONFIG:
        add_config(o, e->config);
        break;
    case CLIENT_EVENT_REPAIR:
        add_repair(o, e);
        break;
    case CLIENT_EVENT_ERROR:
        set_text(o, "text", e->error.fault->text);
        set_text(o, "hint", e->error.fault->hint);
        set_number(o, "exit_code", e->error.exit_code);
        break;
    case CLIENT_EVENT_LOG:
        set_text(o, "level", levels[e->log.level]);
        set_text(o, "text", e->log.line);
        break;
    case CLIENT_EVENTS:
        break;
    }
}

json_t *presentation_event(const struct client_event *e)
{
    char at[PRESENTATION_TIME_MAX];
    ASSERT(e->type < CLIENT_EVENTS);
    json_t *o = json_object();
    if (o == NULL)
        return NULL;
    set_number(o, "v", 1);
    set_text(o, "at", presentation_time(&e->at, at));
    set_number(o, "mono_ms", e->mono);
    set_text(o, "event", names[e->type]);
    add_fields(o, e);
    return o;
}

json_t *presentation_state_of(const json_t *status)
{
    struct client_event e = {
        .type = CLIENT_EVENT_STATE,
        .mono = clock_now(),
        .state = {.state = json_string_value(json_object_get(status, "state"))},
    };
    clock_gettime(CLOCK_REALTIME, &e.at);
    return presentation_event(&e);
}

/* --- text --- */

static const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static const char *or_dash(const json_t *o, const char *key)
{
    const char *text = text_of(o, key);
    return text != NULL ? text : "-";
}

/* Behind a comma, where it is known. */
static void put_number(FILE *out, const json_t *o, const char *key, const char *before,
                       const char *after)
{
    const json_t *value = json_object_get(o, key);
    if (json_is_integer(value))
        presentation_put(out, "%s%" JSON_INTEGER_FORMAT "%s", before, json_integer_value(value),
                         after);
    else if (json_is_real(value))
        presentation_put(out, "%s%.1f%s", before, json_real_value(value), after);
}

static void put_text(FILE *out, const json_t *o, const char *key, const char *before,
                     const char *after)
{
    const char *text = text_of(o, key);
    if (text != NULL)
        presentation_put(out, "%s%s%s", before, text, after);
}

static void put_list(FILE *out, const json_t *o, const char *key)
{
    const json_t *array = json_object_get(o, key);
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *text = json_string_value(json_array_get(array, i));
        presentation_put(out, "%s%s", i == 0 ? "" : ", ", text != NULL ? text : "-");
    }
    if (json_array_size(array) == 0)
        presentation_put(out, "-");
}

static void put_state(FILE *out, const json_t *o)
{
    presentation_put(out, "%s", or_dash(o, "state"));
    put_text(out, o, "was", " after ", "");
    put_text(out, o, "reason", ": ", "");
}

static void put_phase(FILE *out, const json_t *o)
{
    presentation_put(out, "%s: %s", or_dash(o, "phase"), or_dash(o, "text"));
    put_number(out, o, "ms", ", ", " ms");
}

static void put_network(FILE *out, const json_t *o)
{
    const json_t *list = json_object_get(o, "ways");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *way = json_array_get(list, i);
        presentation_put(out, "%s%s %s (%s", i == 0 ? "" : ", ", or_dash(way, "interface"),
                         or_dash(way, "local"), or_dash(way, "kind"));
        put_number(out, way, "metric", ", metric ", "");
        presentation_put(out, ")");
    }
    if (json_array_size(list) == 0)
        presentation_put(out, "no way to the gateway");
}

static void put_probe(FILE *out, const json_t *o)
{
    presentation_put(out, "%s to %s through %s: %s", or_dash(o, "local"), or_dash(o, "remote"),
                     or_dash(o, "interface"), or_dash(o, "result"));
    put_number(out, o, "rtt_ms", " after ", " ms");
}

static void put_handover(FILE *out, const json_t *o)
{
    presentation_put(out, "%s to %s", or_dash(o, "from"), or_dash(o, "to"));
    put_text(out, o, "reason", " (", ")");
    put_text(out, o, "local", ", from ", "");
    put_number(out, o, "messages", ", ", " messages");
    put_number(out, o, "gap_ms", ", a gap of ", " ms");
}

static void put_nat(FILE *out, const json_t *o)
{
    presentation_put(out, json_is_true(json_object_get(o, "nat")) ? "behind a NAT" : "no NAT");
    put_text(out, o, "local", ", from ", "");
}

static void put_dpd(FILE *out, const json_t *o)
{
    presentation_put(out, "%s", or_dash(o, "result"));
    put_number(out, o, "silence_ms", ", nothing heard for ", " ms");
}

static void put_rekey(FILE *out, const json_t *o)
{
    presentation_put(out, "%s", or_dash(o, "sa"));
    put_text(out, o, "old_spi_in", ", SPI ", "");
    put_text(out, o, "spi_in", ", now ", "");
}

static void put_child(FILE *out, const json_t *o)
{
    presentation_put(out, "%s, SPI %s", or_dash(o, "change"), or_dash(o, "spi_in"));
    put_text(out, o, "proposal", ", ", "");
    if (json_is_array(json_object_get(o, "remote"))) {
        presentation_put(out, ", to ");
        put_list(out, o, "remote");
    }
}

static void put_config(FILE *out, const json_t *o)
{
    presentation_put(out, "addresses ");
    put_list(out, o, "addresses");
    presentation_put(out, "; dns ");
    put_list(out, o, "dns");
    presentation_put(out, "; domains ");
    put_list(out, o, "domains");
}

static void put_repair(FILE *out, const json_t *o)
{
    presentation_put(out, "%s", or_dash(o, "interface"));
    put_text(out, o, "was", ", named ", " before");
    if (json_array_size(json_object_get(o, "missing")) > 0) {
        presentation_put(out, ", was missing: ");
        put_list(out, o, "missing");
    }
    put_text(out, o, "fault", "; not mended: ", "");
}

static void put_error(FILE *out, const json_t *o)
{
    presentation_put(out, "%s", or_dash(o, "text"));
    put_text(out, o, "hint", " (", ")");
}

static void put_log(FILE *out, const json_t *o)
{
    presentation_put(out, "%s: %s", or_dash(o, "level"), or_dash(o, "text"));
}

void presentation_print_event(const json_t *event, FILE *out)
{
    static void (*const puts_of[CLIENT_EVENTS])(FILE * out, const json_t *o) = {
        [CLIENT_EVENT_STATE] = put_state,       [CLIENT_EVENT_PHASE] = put_phase,
        [CLIENT_EVENT_NETWORK] = put_network,   [CLIENT_EVENT_PATH_PROBE] = put_probe,
        [CLIENT_EVENT_HANDOVER] = put_handover, [CLIENT_EVENT_NAT_CHANGED] = put_nat,
        [CLIENT_EVENT_DPD] = put_dpd,           [CLIENT_EVENT_REKEY] = put_rekey,
        [CLIENT_EVENT_CHILD] = put_child,       [CLIENT_EVENT_CONFIG] = put_config,
        [CLIENT_EVENT_REPAIR] = put_repair,     [CLIENT_EVENT_ERROR] = put_error,
        [CLIENT_EVENT_LOG] = put_log,
    };
    const char *name = text_of(event, "event");
    presentation_put(out, "%s  %-11s  ", or_dash(event, "at"), name != NULL ? name : "-");
    for (size_t i = 0; name != NULL && i < CLIENT_EVENTS; i++) {
        if (strcmp(names[i], name) == 0)
            puts_of[i](out, event);
    }
    fputc('\n', out);
}
