/* What people and scripts read. The JSON is a contract: every key is there, null where the value is
 * not known. Nothing that a gateway says drives the terminal. */
#include "client/presentation.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/addresses.h"
#include "tests/support/support.h"

static struct profile profile;
static struct system sys;
static struct session_child child;
static struct connection_view view;

static struct suite suite_of(const char *text, uint8_t protocol)
{
    struct proposal p;
    struct suite s;
    struct fault f;
    ck_ok(proposal_from_text(text, protocol, &p, &f));
    ck_ok(proposal_suite(&p, &s));
    return s;
}

static void select_network(struct selector_list *l, const char *text)
{
    struct prefix p = prefix_of(text);
    struct selector s = selector_from_prefix(&p);
    ck_ok(selector_list_add(l, &s));
}

static void view_nothing(void)
{
    profile = (struct profile){.name = "office"};
    view = (struct connection_view){.profile = &profile, .state = "connecting"};
    view.session.rtt_ms = -1;
}

static void view_all(void)
{
    view_nothing();
    view.state = "up";
    view.since = (struct timespec){.tv_sec = 1767268800, .tv_nsec = 7999999};
    view.established = (struct timespec){.tv_sec = 1767268801};
    view.host = "vpn.example.com";
    view.path_interface = "wifi0";
    view.path_mtu = 1500;
    view.last_error = "what was seen";

    struct session_status *s = &view.session;
    s->spi_i = 0x0123456789abcdef;
    s->spi_r = 0xf;
    s->ike = suite_of("aes256gcm16-prfsha256-x25519", PROTOCOL_IKE);
    s->path.local = (struct endpoint){prefix_of("192.0.2.1").ip, 51324};
    s->path.remote = (struct endpoint){prefix_of("203.0.113.1").ip, 4500};
    s->nat_local = s->peer_mobike = s->peer_fragmentation = s->ppk = true;
    s->rtt_ms = 12;
    ck_ok(identity_parse("vpn.example.com", &s->remote_id));

    sys = (struct system){.state = {.interface = "tern0"}, .mtu = 1400};
    sys.addresses[0] = prefix_of("10.7.0.1");
    sys.addresses[1] = prefix_of("fd07::1");
    sys.address_count = 2;
    sys.dns[0] = prefix_of("10.9.0.53").ip;
    sys.dns_count = 1;
    strcpy(sys.domains[0], "corp.example");
    sys.domain_count = 1;
    sys.into[0] = prefix_of("10.9.0.0/24");
    sys.into_count = 1;
    view.system = &sys;

    child = (struct session_child){.spi_in = 0xc0ffee, .spi_out = 0x80000001};
    child.suite = suite_of("aes256gcm16", PROTOCOL_ESP);
    select_network(&child.local, "10.7.0.1");
    select_network(&child.remote, "10.9.0.0/24");
    view.children[0].child = &child;
    view.child_count = 1;
    view.children[0].counters.in.packets = 1;
    view.children[0].counters.in.bytes = 5000000000;
    view.children[0].counters.in.replayed = 2;
    view.children[0].counters.in.bad = 3;
    view.children[0].counters.out.packets = 4;
    view.children[0].counters.out.bytes = 5;
}

static void teardown(void)
{
    presentation_color(false);
}

/* "gateway.host", "children.0.rx.bad" */
static const json_t *find(const json_t *value, const char *path)
{
    char part[32];
    while (value != NULL && *path != '\0') {
        size_t len = strcspn(path, ".");
        snprintf(part, sizeof(part), "%.*s", (int)len, path);
        value = json_is_array(value) ? json_array_get(value, (size_t)atoi(part))
                                     : json_object_get(value, part);
        path += len + (path[len] == '.');
    }
    return value;
}

struct expectation {
    const char *path, *value;
};

static void expect(const struct expectation *list, size_t count)
{
    json_t *status = presentation_status(&view);
    for (size_t i = 0; i < count; i++) {
        const json_t *value = find(status, list[i].path);
        ck_assert_msg(value != NULL, "%s is absent", list[i].path);
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        ck_assert_msg(strcmp(text, list[i].value) == 0, "%s is %s", list[i].path, text);
        free(text);
    }
    json_decref(status);
}

START_TEST(every_key_and_null_where_nothing_is_known)
{
    static const struct expectation nothing[] = {
        {"v", "1"},
        {"profile", "\"office\""},
        {"state", "\"connecting\""},
        {"since", "null"},
        {"interface", "null"},
        {"gateway.host", "null"},
        {"gateway.address", "null"},
        {"gateway.port", "null"},
        {"gateway.identity", "null"},
        {"path.local", "null"},
        {"path.local_port", "null"},
        {"path.interface", "null"},
        {"path.nat", "null"},
        {"path.rtt_ms", "null"},
        {"path.mtu", "null"},
        {"addresses", "[]"},
        {"dns", "[]"},
        {"domains", "[]"},
        {"routes", "[]"},
        {"mtu", "null"},
        {"ike.spi_i", "null"},
        {"ike.spi_r", "null"},
        {"ike.proposal", "null"},
        {"ike.established", "null"},
        {"ike.rekeys", "0"},
        {"ike.mobike", "false"},
        {"ike.fragmentation", "false"},
        {"ike.ppk", "false"},
        {"children", "[]"},
        {"handovers", "0"},
        {"reconnects", "0"},
        {"last_handover", "null"},
        {"last_error", "null"},
    };
    char pid[24];
    snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    view_nothing();
    expect(nothing, sizeof(nothing) / sizeof(nothing[0]));
    expect(&(struct expectation){"pid", pid}, 1);
}
END_TEST

START_TEST(every_value)
{
    static const struct expectation all[] = {
        {"state", "\"up\""},
        {"since", "\"2026-01-01T12:00:00.007Z\""},
        {"interface", "\"tern0\""},
        {"gateway.host", "\"vpn.example.com\""},
        {"gateway.address", "\"203.0.113.1\""},
        {"gateway.port", "4500"},
        {"gateway.identity", "\"vpn.example.com\""},
        {"path.local", "\"192.0.2.1\""},
        {"path.local_port", "51324"},
        {"path.interface", "\"wifi0\""},
        {"path.nat", "true"},
        {"path.rtt_ms", "12.0"},
        {"path.mtu", "1500"},
        {"addresses", "[\"10.7.0.1/32\",\"fd07::1/128\"]"},
        {"dns", "[\"10.9.0.53\"]"},
        {"domains", "[\"corp.example\"]"},
        {"routes", "[\"10.9.0.0/24\"]"},
        {"mtu", "1400"},
        {"ike.spi_i", "\"0123456789abcdef\""},
        {"ike.spi_r", "\"000000000000000f\""},
        {"ike.proposal", "\"aes256gcm16-prfsha256-x25519\""},
        {"ike.established", "\"2026-01-01T12:00:01.000Z\""},
        {"ike.mobike", "true"},
        {"ike.fragmentation", "true"},
        {"ike.ppk", "true"},
        {"children.0.spi_in", "\"00c0ffee\""},
        {"children.0.spi_out", "\"80000001\""},
        {"children.0.proposal", "\"aes256gcm16\""},
        {"children.0.local", "[\"10.7.0.1/32\"]"},
        {"children.0.remote", "[\"10.9.0.0/24\"]"},
        {"children.0.rekeys", "0"},
        {"children.0.rx.packets", "1"},
        {"children.0.rx.bytes", "5000000000"},
        {"children.0.rx.replayed", "2"},
        {"children.0.rx.bad", "3"},
        {"children.0.tx.packets", "4"},
        {"children.0.tx.bytes", "5"},
        {"last_error", "\"what was seen\""},
    };
    view_all();
    expect(all, sizeof(all) / sizeof(all[0]));
    view.session.nat_local = false;
    expect(&(struct expectation){"path.nat", "false"}, 1);
}
END_TEST

/* Scripts may read the line without a parser: the order is the contract's. */
START_TEST(in_the_order_of_the_contract)
{
    static const char *const order[] = {
        "v",         "profile",    "state",         "since",      "pid",
        "interface", "gateway",    "path",          "addresses",  "dns",
        "domains",   "routes",     "mtu",           "ike",        "children",
        "handovers", "reconnects", "last_handover", "last_error",
    };
    view_all();
    json_t *status = presentation_status(&view);
    size_t next = 0;
    for (void *i = json_object_iter(status); i != NULL; i = json_object_iter_next(status, i)) {
        if (next < sizeof(order) / sizeof(order[0]) &&
            strcmp(json_object_iter_key(i), order[next]) == 0)
            next++;
    }
    ck_assert_uint_eq(next, sizeof(order) / sizeof(order[0]));
    json_decref(status);
}
END_TEST

static void expect_harmless(const char *text)
{
    for (const char *at = text; *at != '\0'; at++)
        ck_assert_msg((unsigned char)*at >= ' ' || *at == '\n', "a control character in %s", text);
    ck_assert_ptr_null(strchr(text, 0x7f));
    ck_assert_ptr_null(strstr(text, "\xff"));
    ck_assert_ptr_null(strstr(text, "\xc2\x9b")); /* CSI */
}

static char *print(const json_t *status)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    ck_assert_ptr_nonnull(f);
    presentation_print_status(status, f);
    ck_assert_int_eq(fclose(f), 0);
    return text;
}

START_TEST(hostile_octets)
{
    static const char name[] = "vpn\n\x1b[31m\"\\\x7f\xff\xc2\x9b"
                               "2J";
    view_all();
    view.session.remote_id = (struct identity){.type = IDENTITY_FQDN, .len = sizeof(name) - 1};
    memcpy(view.session.remote_id.data, name, sizeof(name) - 1);
    view.path_interface = "a\x1b[1m\xc2\x9b"
                          "b"; /* the kernel lets a name hold that */
    json_t *status = presentation_status(&view);
    char *line = json_dumps(status, JSON_COMPACT | JSON_PRESERVE_ORDER);
    ck_assert_ptr_null(strchr(line, '\n')); /* one answer, one line */
    ck_assert_ptr_null(strchr(line, '\x1b'));
    json_t *again = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    ck_assert(json_equal(status, again));
    ck_assert(json_is_string(find(again, "gateway.identity")));
    char *text = print(status);
    expect_harmless(text);
    ck_assert_ptr_nonnull(strstr(text, "\\x1b[31m"));
    ck_assert_ptr_nonnull(strstr(text, "through a\\x1b[1m\\xc2\\x9b"
                                       "b,"));
    free(text);
    free(line);
    json_decref(again);
    json_decref(status);

    /* What is no UTF-8 cannot stand in JSON: null, not a broken object. */
    view.path_interface = "wifi\xff";
    expect(&(struct expectation){"path.interface", "null"}, 1);
}
END_TEST

START_TEST(as_text)
{
    view_all();
    json_t *status = presentation_status(&view);
    char *text = print(status);
    ck_assert_str_eq(text, "office: up since 2026-01-01T12:00:00.007Z\n"
                           "  gateway   vpn.example.com (203.0.113.1, port 4500), identity "
                           "vpn.example.com\n"
                           "  path      192.0.2.1 through wifi0, behind a NAT\n"
                           "  interface tern0, mtu 1400\n"
                           "  addresses 10.7.0.1/32, fd07::1/128\n"
                           "  routes    10.9.0.0/24\n"
                           "  dns       10.9.0.53\n"
                           "  domains   corp.example\n"
                           "  ike       aes256gcm16-prfsha256-x25519, with a PPK\n"
                           "  esp       aes256gcm16, SPIs 00c0ffee in, 80000001 out\n"
                           "  traffic   1 packets, 5000000000 bytes in; 4 packets, 5 bytes out\n");
    free(text);
    json_decref(status);

    view_nothing();
    status = presentation_status(&view);
    text = print(status);
    ck_assert_str_eq(text, "office: connecting since -\n"
                           "  gateway   - (-, port -), identity -\n"
                           "  path      - through -\n"
                           "  interface -, mtu -\n"
                           "  ike       -\n");
    free(text);
    json_decref(status);
}
END_TEST

/* The answer comes from another process, perhaps of another version. */
START_TEST(an_answer_that_is_no_status)
{
    static const char *const answers[] = {
        "{}",
        "{\"profile\":7,\"gateway\":[],\"path\":null,\"children\":{},\"mtu\":\"x\"}",
        "{\"addresses\":[null,7,{}],\"dns\":\"x\",\"children\":[null,[],{\"rx\":7}]}",
    };
    for (size_t i = 0; i < 3; i++) {
        json_t *answer = json_loads(answers[i], 0, NULL);
        ck_assert_ptr_nonnull(answer);
        char *text = print(answer);
        ck_assert_int_eq(strncmp(text, "-: - since -\n", 13), 0);
        ck_assert_ptr_null(strstr(text, "(null)"));
        free(text);
        json_decref(answer);
    }
}
END_TEST

/* A list longer than a line of the log is whole. */
START_TEST(many_routes)
{
    view_all();
    for (size_t i = 0; i < ROUTES_MAX; i++)
        sys.into[i] = (struct prefix){ip_v4(10, (uint8_t)i, 0, 0), 16};
    sys.into_count = ROUTES_MAX;
    json_t *status = presentation_status(&view);
    ck_assert_uint_eq(json_array_size(json_object_get(status, "routes")), ROUTES_MAX);
    char *text = print(status);
    ck_assert_ptr_nonnull(strstr(text, ", 10.255.0.0/16\n"));
    free(text);
    json_decref(status);
}
END_TEST

START_TEST(times)
{
    char out[PRESENTATION_TIME_MAX];
    ck_assert_str_eq(presentation_time(&(struct timespec){0, 0}, out), "1970-01-01T00:00:00.000Z");
    ck_assert_str_eq(presentation_time(&(struct timespec){951782400, 999999999}, out),
                     "2000-02-29T00:00:00.999Z");
    ck_assert_str_eq(presentation_time(&(struct timespec){4102444799, 1000000}, out),
                     "2099-12-31T23:59:59.001Z");
}
END_TEST

/* --- errors --- */

/* What presentation_fault writes where stderr is the other end of `reader`. */
static void fault_text(int reader, int writer, bool allowed, char out[512])
{
    struct fault f;
    (void)fault_set(&f, ERR_REFUSED, "it was \x1b[31m refused");
    fault_hint(&f, "try\nagain");
    fflush(stderr);
    int before = dup(STDERR_FILENO);
    ck_assert_int_ge(before, 0);
    ck_assert_int_ge(dup2(writer, STDERR_FILENO), 0);
    presentation_color(allowed);
    presentation_fault(&f);
    fflush(stderr);
    ck_assert_int_ge(dup2(before, STDERR_FILENO), 0);
    close(before);
    size_t len = 0;
    while (len < 511 && (len == 0 || strstr(out, "again") == NULL)) {
        ssize_t n = read(reader, out + len, 511 - len);
        ck_assert_int_gt(n, 0);
        len += (size_t)n;
        out[len] = '\0';
    }
}

static const char plain[] = "error: it was \\x1b[31m refused";
static const char plain_hint[] = "hint: try\\x0aagain";

START_TEST(not_coloured_where_it_is_no_terminal)
{
    int ends[2];
    char out[512] = "";
    ck_assert_int_eq(unsetenv("NO_COLOR"), 0);
    ck_assert_int_eq(pipe(ends), 0);
    fault_text(ends[0], ends[1], true, out);
    ck_assert_str_eq(out, "error: it was \\x1b[31m refused\nhint: try\\x0aagain\n");
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(coloured_on_a_terminal)
{
    char out[512] = "";
    int reader = posix_openpt(O_RDWR | O_NOCTTY);
    ck_assert_msg(reader >= 0 && grantpt(reader) == 0 && unlockpt(reader) == 0, "no terminal");
    int writer = open(ptsname(reader), O_RDWR | O_NOCTTY);
    ck_assert_int_ge(writer, 0);

    ck_assert_int_eq(unsetenv("NO_COLOR"), 0);
    fault_text(reader, writer, true, out);
    ck_assert_ptr_nonnull(strstr(out, "\033[1;31merror:\033[0m it was \\x1b[31m refused"));
    ck_assert_ptr_nonnull(strstr(out, "\033[1;36mhint:\033[0m try\\x0aagain"));

    out[0] = '\0';
    fault_text(reader, writer, false, out); /* --no-color */
    ck_assert_ptr_null(strchr(out, '\033'));
    ck_assert_ptr_nonnull(strstr(out, plain));
    ck_assert_ptr_nonnull(strstr(out, plain_hint));

    out[0] = '\0';
    ck_assert_int_eq(setenv("NO_COLOR", "1", 1), 0);
    fault_text(reader, writer, true, out);
    ck_assert_ptr_null(strchr(out, '\033'));

    out[0] = '\0';
    ck_assert_int_eq(setenv("NO_COLOR", "", 1), 0); /* empty counts as not set */
    fault_text(reader, writer, true, out);
    ck_assert_ptr_nonnull(strchr(out, '\033'));
    ck_assert_int_eq(unsetenv("NO_COLOR"), 0);
    close(writer);
    close(reader);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("client_presentation");
    TCase *t = tcase_create("presentation");

    tcase_add_checked_fixture(t, NULL, teardown);
    tcase_add_test(t, every_key_and_null_where_nothing_is_known);
    tcase_add_test(t, every_value);
    tcase_add_test(t, in_the_order_of_the_contract);
    tcase_add_test(t, hostile_octets);
    tcase_add_test(t, as_text);
    tcase_add_test(t, an_answer_that_is_no_status);
    tcase_add_test(t, many_routes);
    tcase_add_test(t, times);
    tcase_add_test(t, not_coloured_where_it_is_no_terminal);
    tcase_add_test(t, coloured_on_a_terminal);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
