/* Events for scripts, field by field, and for people. */
#include "client/presentation_event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

#define HEAD "{\"v\":1,\"at\":\"2026-01-01T12:00:00.250Z\",\"mono_ms\":123456,\"event\":"
#define WHEN "2026-01-01T12:00:00.250Z  "

static struct path path_of(const char *local, const char *remote)
{
    struct path p = {.local.port = 51324, .remote.port = 4500};
    ck_ok(ip_parse(local, &p.local.ip));
    ck_ok(ip_parse(remote, &p.remote.ip));
    return p;
}

static char *print(const json_t *event)
{
    static char text[4096];
    FILE *out = fmemopen(text, sizeof(text), "w");
    ck_assert_ptr_nonnull(out);
    presentation_print_event(event, out);
    fclose(out);
    return text;
}

/* fields: behind HEAD, its name included; line: behind the time. */
static void expect(struct client_event e, const char *fields, const char *line)
{
    char whole[4096];
    e.at = (struct timespec){.tv_sec = 1767268800, .tv_nsec = 250000000};
    e.mono = 123456;
    json_t *event = presentation_event(&e);
    char *text = json_dumps(event, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
    snprintf(whole, sizeof(whole), HEAD "%s}", fields);
    ck_assert_str_eq(text, whole);
    free(text);
    snprintf(whole, sizeof(whole), WHEN "%s\n", line);
    ck_assert_str_eq(print(event), whole);
    json_decref(event);
}

START_TEST(state_phase_error_log)
{
    struct fault f = {.text = "no answer", .hint = "look at the cable"};
    expect((struct client_event){.type = CLIENT_EVENT_STATE,
                                 .state = {"searching", "up", "the gateway is silent"}},
           "\"state\",\"state\":\"searching\",\"was\":\"up\",\"reason\":\"the gateway is silent\"",
           "state        searching after up: the gateway is silent");
    expect((struct client_event){.type = CLIENT_EVENT_STATE, .state = {"up", NULL, NULL}},
           "\"state\",\"state\":\"up\",\"was\":null,\"reason\":null", "state        up");
    expect((struct client_event){.type = CLIENT_EVENT_PHASE, .phase = {"init", "a suite", 52}},
           "\"phase\",\"phase\":\"init\",\"text\":\"a suite\",\"ms\":52",
           "phase        init: a suite, 52 ms");
    expect((struct client_event){.type = CLIENT_EVENT_ERROR, .error = {&f, 20}},
           "\"error\",\"text\":\"no answer\",\"hint\":\"look at the cable\",\"exit_code\":20",
           "error        no answer (look at the cable)");
    f.hint[0] = '\0';
    expect((struct client_event){.type = CLIENT_EVENT_ERROR, .error = {&f, -1}},
           "\"error\",\"text\":\"no answer\",\"hint\":null,\"exit_code\":null",
           "error        no answer");
    expect((struct client_event){.type = CLIENT_EVENT_LOG, .log = {LOG_LEVEL_WARN, "a line"}},
           "\"log\",\"level\":\"warn\",\"text\":\"a line\"", "log          warn: a line");
}
END_TEST

START_TEST(networks_and_paths)
{
    const struct path path = path_of("192.0.2.1", "203.0.113.1");
    struct network_way ways[2] = {
        {.interface = 2,
         .interface_name = "wlan0",
         .kind = NETWORK_WIRELESS,
         .metric = 600,
         .mtu = 1500,
         .source = path.local.ip},
        {.interface = 3,
         .interface_name = "wwan0",
         .kind = NETWORK_CELLULAR,
         .metric = 0,
         .mtu = 1430},
    };
    ck_ok(ip_parse("2001:db8::1", &ways[1].source));
    expect((struct client_event){.type = CLIENT_EVENT_NETWORK, .network = {ways, 2}},
           "\"network\",\"ways\":[{\"interface\":\"wlan0\",\"kind\":\"wireless\","
           "\"local\":\"192.0.2.1\",\"metric\":600,\"mtu\":1500},{\"interface\":\"wwan0\","
           "\"kind\":\"cellular\",\"local\":\"2001:db8::1\",\"metric\":0,\"mtu\":1430}]",
           "network      wlan0 192.0.2.1 (wireless, metric 600), "
           "wwan0 2001:db8::1 (cellular, metric 0)");
    expect((struct client_event){.type = CLIENT_EVENT_NETWORK}, "\"network\",\"ways\":[]",
           "network      no way to the gateway");
    expect((struct client_event){.type = CLIENT_EVENT_PATH_PROBE,
                                 .probe = {&path, "wlan0", "answered", 12.5}},
           "\"path-probe\",\"interface\":\"wlan0\",\"local\":\"192.0.2.1\",\"local_port\":51324,"
           "\"remote\":\"203.0.113.1\",\"remote_port\":4500,\"result\":\"answered\","
           "\"rtt_ms\":12.5",
           "path-probe   192.0.2.1 to 203.0.113.1 through wlan0: answered after 12.5 ms");
    expect((struct client_event){.type = CLIENT_EVENT_HANDOVER,
                                 .handover = {"wlan0", "wwan0", "address-gone", &path, 2, 3.125}},
           "\"handover\",\"from\":\"wlan0\",\"to\":\"wwan0\",\"reason\":\"address-gone\","
           "\"local\":\"192.0.2.1\",\"local_port\":51324,\"remote\":\"203.0.113.1\","
           "\"remote_port\":4500,\"messages\":2,\"gap_ms\":3.125",
           "handover     wlan0 to wwan0 (address-gone), from 192.0.2.1, 2 messages, "
           "a gap of 3.1 ms");
    expect((struct client_event){.type = CLIENT_EVENT_HANDOVER,
                                 .handover = {NULL, "wwan0", NULL, NULL, -1, -1}},
           "\"handover\",\"from\":null,\"to\":\"wwan0\",\"reason\":null,"
           "\"local\":null,\"local_port\":null,\"remote\":null,"
           "\"remote_port\":null,\"messages\":null,\"gap_ms\":null",
           "handover     - to wwan0");
    expect((struct client_event){.type = CLIENT_EVENT_NAT_CHANGED, .nat = {true, &path}},
           "\"nat-changed\",\"nat\":true,\"local\":\"192.0.2.1\",\"local_port\":51324,"
           "\"remote\":\"203.0.113.1\",\"remote_port\":4500",
           "nat-changed  behind a NAT, from 192.0.2.1");
}
END_TEST

START_TEST(associations)
{
    struct session_child child = {.spi_in = 0xc0ffee, .spi_out = 0x1};
    struct prefix prefix;
    ck_ok(prefix_parse("10.9.0.0/24", &prefix));
    struct selector selector = selector_from_prefix(&prefix);
    ck_ok(selector_list_add(&child.remote, &selector));
    ck_ok(prefix_parse("10.7.0.1/32", &prefix));
    selector = selector_from_prefix(&prefix);
    ck_ok(selector_list_add(&child.local, &selector));
    struct proposal_list proposals;
    struct fault f = {0};
    ck_ok(proposal_list_from_text("aes256gcm16", PROTOCOL_ESP, &proposals, &f));
    ck_ok(proposal_suite(&proposals.items[0], &child.suite));
    expect((struct client_event){.type = CLIENT_EVENT_CHILD, .child = {"up", 0xc0ffee, &child}},
           "\"child\",\"change\":\"up\",\"spi_in\":\"00c0ffee\",\"spi_out\":\"00000001\","
           "\"proposal\":\"aes256gcm16\",\"local\":[\"10.7.0.1/32\"],"
           "\"remote\":[\"10.9.0.0/24\"]",
           "child        up, SPI 00c0ffee, aes256gcm16, to 10.9.0.0/24");
    expect((struct client_event){.type = CLIENT_EVENT_DPD, .dpd = {"asked", 30000}},
           "\"dpd\",\"result\":\"asked\",\"silence_ms\":30000",
           "dpd          asked, nothing heard for 30000 ms");
    expect((struct client_event){.type = CLIENT_EVENT_REKEY, .rekey = {true, 0, 0}},
           "\"rekey\",\"sa\":\"ike\",\"old_spi_in\":null,\"spi_in\":null", "rekey        ike");
    expect((struct client_event){.type = CLIENT_EVENT_REKEY, .rekey = {false, 1, 0xabc}},
           "\"rekey\",\"sa\":\"child\",\"old_spi_in\":\"00000001\",\"spi_in\":\"00000abc\"",
           "rekey        child, SPI 00000001, now 00000abc");
    expect((struct client_event){.type = CLIENT_EVENT_CHILD, .child = {"down", 0xabc, NULL}},
           "\"child\",\"change\":\"down\",\"spi_in\":\"00000abc\",\"spi_out\":null,"
           "\"proposal\":null,\"local\":null,\"remote\":null",
           "child        down, SPI 00000abc");
}
END_TEST

START_TEST(configuration)
{
    struct configuration c = {.address_count = 1, .dns_count = 1, .domain_count = 1};
    ck_ok(prefix_parse("10.7.0.1/32", &c.addresses[0]));
    ck_ok(ip_parse("10.9.0.53", &c.dns[0]));
    snprintf(c.domains[0], sizeof(c.domains[0]), "corp.example");
    expect((struct client_event){.type = CLIENT_EVENT_CONFIG, .config = &c},
           "\"config\",\"addresses\":[\"10.7.0.1/32\"],\"dns\":[\"10.9.0.53\"],"
           "\"domains\":[\"corp.example\"]",
           "config       addresses 10.7.0.1/32; dns 10.9.0.53; domains corp.example");
    memset(&c, 0, sizeof(c));
    expect((struct client_event){.type = CLIENT_EVENT_CONFIG, .config = &c},
           "\"config\",\"addresses\":[],\"dns\":[],\"domains\":[]",
           "config       addresses -; dns -; domains -");
}
END_TEST

START_TEST(the_state_of_a_status)
{
    json_t *status = json_pack("{s:s}", "state", "searching");
    json_t *event = presentation_state_of(status);
    ck_assert_str_eq(json_string_value(json_object_get(event, "event")), "state");
    ck_assert_str_eq(json_string_value(json_object_get(event, "state")), "searching");
    ck_assert(json_is_null(json_object_get(event, "was")));
    json_decref(status);
    json_decref(event);
}
END_TEST

/* What is printed came from another process. */
START_TEST(whatever_comes_is_one_harmless_line)
{
    static const char *const lines[] = {
        "{}",
        "{\"event\":7,\"at\":[]}",
        "{\"event\":\"state\"}",
        "{\"event\":\"state\",\"state\":\"\\u001b[31mred\\nsecond\"}",
        "{\"event\":\"network\",\"ways\":[1,{},{\"interface\":\"\\u202e\"}]}",
        "{\"event\":\"handover\",\"gap_ms\":\"x\",\"messages\":{}}",
        "{\"event\":\"child\",\"remote\":[7,\"x\"]}",
        "{\"event\":\"config\",\"addresses\":7}",
        "{\"event\":\"of tomorrow\",\"at\":\"now\"}",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        json_t *event = json_loads(lines[i], 0, NULL);
        ck_assert_ptr_nonnull(event);
        const char *text = print(event);
        ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
        ck_assert_ptr_null(strchr(text, '\033'));
        ck_assert_ptr_null(strstr(text, "\xe2\x80\xae"));
        json_decref(event);
    }
}
END_TEST

START_TEST(repairs)
{
    static const char *const missing[] = {"interface", "routes"};
    expect((struct client_event){.type = CLIENT_EVENT_REPAIR,
                                 .repair = {"tern0", NULL, missing, 2, NULL}},
           "\"repair\",\"interface\":\"tern0\",\"was\":null,"
           "\"missing\":[\"interface\",\"routes\"],\"fault\":null",
           "repair       tern0, was missing: interface, routes");
    expect((struct client_event){.type = CLIENT_EVENT_REPAIR,
                                 .repair = {"wan7", "tern0", NULL, 0, NULL}},
           "\"repair\",\"interface\":\"wan7\",\"was\":\"tern0\",\"missing\":[],\"fault\":null",
           "repair       wan7, named tern0 before");
    expect((struct client_event){.type = CLIENT_EVENT_REPAIR,
                                 .repair = {"tern0", NULL, missing, 1, "no memory"}},
           "\"repair\",\"interface\":\"tern0\",\"was\":null,\"missing\":[\"interface\"],"
           "\"fault\":\"no memory\"",
           "repair       tern0, was missing: interface; not mended: no memory");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client presentation event");
    TCase *t = tcase_create("events");
    tcase_add_test(t, state_phase_error_log);
    tcase_add_test(t, repairs);
    tcase_add_test(t, networks_and_paths);
    tcase_add_test(t, associations);
    tcase_add_test(t, configuration);
    tcase_add_test(t, the_state_of_a_status);
    tcase_add_test(t, whatever_comes_is_one_harmless_line);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
