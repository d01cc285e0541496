/* Status and errors. The JSON's field names and order are a contract with scripts. */
#include "client/presentation.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/text.h"

static bool color;

void presentation_color(bool allowed)
{
    const char *no_color = getenv("NO_COLOR");
    color = allowed && isatty(STDERR_FILENO) && (no_color == NULL || no_color[0] == '\0');
}

void presentation_fault(const struct fault *f)
{
    fprintf(stderr, "%serror:%s %s\n", color ? "\033[1;31m" : "", color ? "\033[0m" : "", f->text);
    if (f->hint[0] != '\0')
        fprintf(stderr, "%shint:%s %s\n", color ? "\033[1;36m" : "", color ? "\033[0m" : "",
                f->hint);
}

const char *presentation_time(const struct timespec *t, char out[PRESENTATION_TIME_MAX])
{
    struct tm tm;
    char seconds[24];
    gmtime_r(&t->tv_sec, &tm);
    strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, PRESENTATION_TIME_MAX, "%s.%03ldZ", seconds, t->tv_nsec / 1000000 % 1000);
    return out;
}

/* --- JSON --- */

static json_t *time_or_null(const struct timespec *t)
{
    char text[PRESENTATION_TIME_MAX];
    return t->tv_sec == 0 ? json_null() : json_string(presentation_time(t, text));
}

static json_t *text_or_null(const char *text)
{
    json_t *s = text != NULL && text[0] != '\0' ? json_string(text) : NULL;
    return s != NULL ? s : json_null();
}

static json_t *hex(uint64_t value, int digits)
{
    char text[24];
    snprintf(text, sizeof(text), "%0*" PRIx64, digits, value);
    return json_string(text);
}

static json_t *ip_or_null(const struct ip *ip)
{
    char text[IP_TEXT_MAX];
    return ip->family == IP_NONE ? json_null() : json_string(ip_format(ip, text));
}

static json_t *number_or_null(uint64_t value)
{
    return value == 0 ? json_null() : json_integer((json_int_t)value);
}

static json_t *gateway_object(const struct connection_view *v)
{
    const struct session_status *s = &v->session;
    char id[IDENTITY_TEXT_MAX];
    const char *identity =
        s->remote_id.type != IDENTITY_NONE ? identity_format(&s->remote_id, id) : NULL;
    return json_pack("{s:o, s:o, s:o, s:o}", "host", text_or_null(v->host), "address",
                     ip_or_null(&s->path.remote.ip), "port", number_or_null(s->path.remote.port),
                     "identity", text_or_null(identity));
}

static json_t *path_object(const struct connection_view *v)
{
    const struct session_status *s = &v->session;
    bool known = s->path.local.ip.family != IP_NONE;
    json_t *rtt = s->rtt_ms < 0 ? json_null() : json_real((double)s->rtt_ms);
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "local", ip_or_null(&s->path.local.ip),
                     "local_port", number_or_null(s->path.local.port), "interface",
                     text_or_null(v->path_interface), "nat",
                     known ? json_boolean(s->nat_local) : json_null(), "rtt_ms", rtt, "mtu",
                     number_or_null(v->path_mtu));
}

static json_t *ike_object(const struct connection_view *v)
{
    const struct session_status *s = &v->session;
    char proposal[PROPOSAL_TEXT_MAX];
    const char *chosen =
        s->ike.prf != PRF_NONE ? suite_format(&s->ike, PROTOCOL_IKE, proposal) : NULL;
    return json_pack("{s:o, s:o, s:o, s:o, s:I, s:b, s:b, s:b, s:b}", "spi_i",
                     s->spi_i != 0 ? hex(s->spi_i, 16) : json_null(), "spi_r",
                     s->spi_r != 0 ? hex(s->spi_r, 16) : json_null(), "proposal",
                     text_or_null(chosen), "established", time_or_null(&v->established), "rekeys",
                     (json_int_t)s->ike_rekeys, "mobike", s->peer_mobike, "fragmentation",
                     s->peer_fragmentation, "outstanding", s->outstanding, "ppk", s->ppk);
}

static json_t *selectors(const struct selector_list *l)
{
    json_t *array = json_array();
    for (size_t i = 0; i < l->count; i++) {
        char text[SELECTOR_TEXT_MAX];
        json_array_append_new(array, json_string(selector_format(&l->items[i], text)));
    }
    return array;
}

static json_t *child_object(const struct connection_child *v)
{
    const struct tunnel_child_status *c = &v->counters;
    char proposal[PROPOSAL_TEXT_MAX];
    json_t *rx = json_pack("{s:I, s:I, s:I, s:I}", "packets", (json_int_t)c->in.packets, "bytes",
                           (json_int_t)c->in.bytes, "replayed", (json_int_t)c->in.replayed, "bad",
                           (json_int_t)c->in.bad);
    json_t *tx = json_pack("{s:I, s:I}", "packets", (json_int_t)c->out.packets, "bytes",
                           (json_int_t)c->out.bytes);
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:I, s:o, s:o}", "spi_in", hex(v->child->spi_in, 8),
                     "spi_out", hex(v->child->spi_out, 8), "proposal",
                     suite_format(&v->child->suite, PROTOCOL_ESP, proposal), "local",
                     selectors(&v->child->local), "remote", selectors(&v->child->remote), "rekeys",
                     (json_int_t)v->rekeys, "rx", rx, "tx", tx);
}

static json_t *handover_or_null(const struct connection_handover *h)
{
    if (h == NULL)
        return json_null();
    return json_pack("{s:o, s:o, s:o, s:f}", "at", time_or_null(&h->at), "from",
                     text_or_null(h->from[0] != '\0' ? h->from : NULL), "to",
                     text_or_null(h->to[0] != '\0' ? h->to : NULL), "gap_ms", (double)h->gap_ms);
}

static json_t *children(const struct connection_view *v)
{
    json_t *array = json_array();
    for (size_t i = 0; i < v->child_count; i++)
        json_array_append_new(array, child_object(&v->children[i]));
    return array;
}

static json_t *prefixes(const struct prefix *list, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        char text[PREFIX_TEXT_MAX];
        json_array_append_new(array, json_string(prefix_format(&list[i], text)));
    }
    return array;
}

static json_t *addresses(const struct ip *list, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, ip_or_null(&list[i]));
    return array;
}

static json_t *domains(const struct system *s)
{
    json_t *array = json_array();
    for (size_t i = 0; i < s->domain_count; i++)
        json_array_append_new(array, text_or_null(s->domains[i]));
    return array;
}

const char *presentation_move(enum session_move reason)
{
    switch (reason) {
    case SESSION_MOVE_ADDRESS_GONE:
        return "address-gone";
    case SESSION_MOVE_BETTER_PATH:
        return "better-path";
    case SESSION_MOVE_DEAD_PATH:
        return "dead-path";
    case SESSION_MOVE_NAT_CHANGED:
        return "nat-changed";
    case SESSION_MOVE_PEER_MOVED:
        return "peer-moved";
    }
    return "unknown";
}

json_t *presentation_status(const struct connection_view *v)
{
    static const struct system nothing;
    const struct system *s = v->system != NULL ? v->system : &nothing;
    json_t *o = json_object();
    json_object_set_new(o, "v", json_integer(1));
    json_object_set_new(o, "profile", json_string(v->profile->name));
    json_object_set_new(o, "state", json_string(v->state));
    json_object_set_new(o, "since", time_or_null(&v->since));
    json_object_set_new(o, "pid", json_integer(getpid()));
    json_object_set_new(o, "interface", text_or_null(s->state.interface));
    json_object_set_new(o, "gateway", gateway_object(v));
    json_object_set_new(o, "path", path_object(v));
    json_object_set_new(o, "addresses", prefixes(s->addresses, s->address_count));
    json_object_set_new(o, "dns", addresses(s->dns, s->dns_count));
    json_object_set_new(o, "domains", domains(s));
    json_object_set_new(o, "routes", prefixes(s->into, s->into_count));
    json_object_set_new(o, "mtu", number_or_null(s->mtu));
    json_object_set_new(o, "ike", ike_object(v));
    json_object_set_new(o, "children", children(v));
    json_object_set_new(o, "handovers", json_integer(v->session.handovers));
    json_object_set_new(o, "reconnects", json_integer((json_int_t)v->session.reconnects));
    json_object_set_new(o, "last_handover", handover_or_null(v->handover));
    json_object_set_new(o, "last_error", text_or_null(v->last_error));
    return o;
}

/* --- text --- */

void presentation_put(FILE *out, const char *format, ...)
{
    char text[TEXT_LINE_MAX];
    va_list args;
    va_start(args, format);
    text_vescape(text, sizeof(text), format, args);
    va_end(args);
    fputs(text, out);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "-";
}

enum { NUMBER_MAX = 24 };

static const char *number_of(const json_t *object, const char *key, char out[NUMBER_MAX])
{
    const json_t *value = json_object_get(object, key);
    if (json_is_integer(value))
        snprintf(out, NUMBER_MAX, "%lld", (long long)json_integer_value(value));
    else
        memcpy(out, "-", 2);
    return out;
}

static void print_list(FILE *out, const char *label, const json_t *array)
{
    if (json_array_size(array) == 0)
        return;
    presentation_put(out, "  %-10s", label);
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *text = json_string_value(json_array_get(array, i));
        presentation_put(out, "%s%s", i == 0 ? "" : ", ", text != NULL ? text : "-");
    }
    fputc('\n', out);
}

static void print_child(FILE *out, const json_t *child)
{
    const json_t *rx = json_object_get(child, "rx"), *tx = json_object_get(child, "tx");
    char n[4][NUMBER_MAX];
    presentation_put(out, "  %-10s%s, SPIs %s in, %s out", "esp", text_of(child, "proposal"),
                     text_of(child, "spi_in"), text_of(child, "spi_out"));
    fputc('\n', out);
    presentation_put(out, "  %-10s%s packets, %s bytes in; %s packets, %s bytes out", "traffic",
                     number_of(rx, "packets", n[0]), number_of(rx, "bytes", n[1]),
                     number_of(tx, "packets", n[2]), number_of(tx, "bytes", n[3]));
    fputc('\n', out);
}

void presentation_print_status(const json_t *status, FILE *out)
{
    const json_t *gateway = json_object_get(status, "gateway");
    const json_t *path = json_object_get(status, "path"), *ike = json_object_get(status, "ike");
    const json_t *list = json_object_get(status, "children");
    char n[NUMBER_MAX];
    presentation_put(out, "%s: %s since %s", text_of(status, "profile"), text_of(status, "state"),
                     text_of(status, "since"));
    fputc('\n', out);
    presentation_put(out, "  %-10s%s (%s, port %s), identity %s", "gateway",
                     text_of(gateway, "host"), text_of(gateway, "address"),
                     number_of(gateway, "port", n), text_of(gateway, "identity"));
    fputc('\n', out);
    presentation_put(out, "  %-10s%s through %s%s", "path", text_of(path, "local"),
                     text_of(path, "interface"),
                     json_is_true(json_object_get(path, "nat")) ? ", behind a NAT" : "");
    fputc('\n', out);
    presentation_put(out, "  %-10s%s, mtu %s", "interface", text_of(status, "interface"),
                     number_of(status, "mtu", n));
    fputc('\n', out);
    print_list(out, "addresses", json_object_get(status, "addresses"));
    print_list(out, "routes", json_object_get(status, "routes"));
    print_list(out, "dns", json_object_get(status, "dns"));
    print_list(out, "domains", json_object_get(status, "domains"));
    presentation_put(out, "  %-10s%s%s", "ike", text_of(ike, "proposal"),
                     json_is_true(json_object_get(ike, "ppk")) ? ", with a PPK" : "");
    fputc('\n', out);
    for (size_t i = 0; i < json_array_size(list); i++)
        print_child(out, json_array_get(list, i));
}
