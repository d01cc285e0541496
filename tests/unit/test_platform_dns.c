/* What resolved and resolvconf are told, on a system bus of the test's own with a stand-in for
 * resolved, and with a resolvconf of its own in PATH. */
#include "platform/dns.h"

#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/tun.h"
#include "tests/support/namespace.h"
#include "tests/support/support.h"

static char directory[] = "/tmp/tern-dns-XXXXXX";
static char bus_address[64], fake[PATH_MAX], *usual_path;
static struct tun *tun;
static struct dns_plan plan;

/* --- programs --- */

struct program {
    pid_t pid;
    FILE *out;
};

static struct program bus, resolved;

static struct program start(const char *path, const char *a, const char *b)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    struct program p = {.pid = fork()};
    ck_assert_int_ge(p.pid, 0);
    if (p.pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        if (freopen("/dev/null", "w", stderr) == NULL) /* the bus talks a lot */
            _exit(127);
        execlp(path, path, a, b, NULL);
        _exit(127);
    }
    close(ends[1]);
    p.out = fdopen(ends[0], "r");
    ck_assert_ptr_nonnull(p.out);
    return p;
}

static void stop(struct program *p)
{
    if (p->pid <= 0)
        return;
    kill(p->pid, SIGTERM);
    ck_assert_int_eq(waitpid(p->pid, NULL, 0), p->pid);
    fclose(p->out);
    *p = (struct program){0};
}

/* The next line that it says is this one. */
static void expect(struct program *p, const char *line)
{
    char got[2048] = "";
    ck_assert_msg(fgets(got, sizeof(got), p->out) != NULL, "nothing, and not: %s", line);
    got[strcspn(got, "\n")] = '\0';
    ck_assert_str_eq(got, line);
}

static const char *in_directory(const char *name)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

__attribute__((format(printf, 3, 4))) static void write_file(const char *name, mode_t mode,
                                                             const char *format, ...)
{
    va_list args;
    FILE *out = fopen(in_directory(name), "w");
    ck_assert_ptr_nonnull(out);
    va_start(args, format);
    vfprintf(out, format, args);
    va_end(args);
    ck_assert_int_eq(fclose(out), 0);
    ck_assert_int_eq(chmod(in_directory(name), mode), 0);
}

static void start_bus(void)
{
    write_file("bus.conf", 0600,
               "<busconfig><listen>%s</listen><servicedir>%s</servicedir>"
               "<policy context='default'><allow send_destination='*'/><allow own='*'/>"
               "<allow receive_sender='*'/><allow user='*'/></policy></busconfig>",
               bus_address, directory);
    char option[PATH_MAX + 32];
    snprintf(option, sizeof(option), "--config-file=%s", in_directory("bus.conf"));
    bus = start("dbus-daemon", option, "--print-address");
    char line[256] = ""; /* it listens */
    ck_assert_ptr_nonnull(fgets(line, sizeof(line), bus.out));
}

static void start_resolved(const char *refuse)
{
    start_bus();
    resolved = start(fake, refuse != NULL ? "--refuse" : NULL, refuse);
    expect(&resolved, "ready");
}

/* A resolvconf that writes down what it is told and ends with this code. */
static void install_resolvconf(int code)
{
    write_file("resolvconf", 0700,
               "#!/bin/sh\necho \"$@\" >> %s/told\n/bin/cat >> %s/told\nexit %d\n", directory,
               directory, code);
}

static void expect_told(const char *text)
{
    char got[1024] = "";
    FILE *in = fopen(in_directory("told"), "r");
    ck_assert_ptr_nonnull(in);
    got[fread(got, 1, sizeof(got) - 1, in)] = '\0';
    fclose(in);
    ck_assert_str_eq(got, text);
}

/* --- before and after --- */

static void setup(void)
{
    struct fault f = {0};
    support_enter_namespace();
    memcpy(directory + sizeof(directory) - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(bus_address, sizeof(bus_address), "unix:path=%s/bus", directory);
    setenv("DBUS_SYSTEM_BUS_ADDRESS", bus_address, 1);
    usual_path = strdup(getenv("PATH"));
    char self[PATH_MAX - 32] = "";
    ck_assert_int_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
    snprintf(fake, sizeof(fake), "%s/fake_resolved", dirname(self));
    ck_assert_msg(tun_open("tern0", true, &tun, &f) == ERR_OK, "%s", f.text);
    plan = (struct dns_plan){.interface_name = "tern0",
                             .interface = tun_index(tun),
                             .server_count = 2,
                             .domains = {"corp.example", "lab.example"},
                             .domain_count = 2};
    ck_ok(ip_parse("10.9.0.53", &plan.servers[0]));
    ck_ok(ip_parse("fd09::53", &plan.servers[1]));
}

static void teardown(void)
{
    static const char *const files[] = {"bus", "bus.conf", "org.freedesktop.resolve1.service",
                                        "resolvconf", "told"};
    setenv("PATH", usual_path, 1);
    free(usual_path);
    stop(&resolved);
    stop(&bus);
    tun_close(tun);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        (void)unlink(in_directory(files[i]));
    ck_assert_int_eq(rmdir(directory), 0);
}

/* From here on the programs of this system are not found, only the test's own. */
static void own_path(void)
{
    setenv("PATH", directory, 1);
}

/* --- resolved --- */

/* What is not inside must not be asked of the servers inside: so they come last, when the domains
 * and the default route are settled. */
START_TEST(split_dns_domains_before_servers)
{
    enum dns_backend backend = DNS_NONE;
    struct fault f = {0};
    struct prefix networks[5];
    ck_ok(prefix_parse("10.9.8.0/23", &networks[0]));
    ck_ok(prefix_parse("10.128.0.0/9", &networks[1])); /* 128 zones: more than sensible */
    ck_ok(prefix_parse("192.0.2.1/32", &networks[2]));
    ck_ok(prefix_parse("fd09::/16", &networks[3]));
    ck_ok(prefix_parse("2001:db8:40::/43", &networks[4]));
    plan.networks = networks;
    plan.network_count = 5;
    start_resolved(NULL);
    ck_assert_int_eq(dns_backend_present(), DNS_RESOLVED);
    ck_assert_msg(dns_apply(&plan, &backend, &f) == ERR_OK, "%s", f.text);
    ck_assert_int_eq(backend, DNS_RESOLVED);
    expect(&resolved, "SetLinkDomains tern0 down ~corp.example ~lab.example ~8.9.10.in-addr.arpa "
                      "~9.9.10.in-addr.arpa ~1.2.0.192.in-addr.arpa ~9.0.d.f.ip6.arpa "
                      "~4.0.0.8.b.d.0.1.0.0.2.ip6.arpa ~5.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
    expect(&resolved, "SetLinkDefaultRoute tern0 down no");
    expect(&resolved, "SetLinkDNS tern0 down 10.9.0.53 fd09::53");
    dns_revert(backend, "tern0", plan.interface);
    expect(&resolved, "RevertLink tern0 down");
}
END_TEST

START_TEST(all_names)
{
    enum dns_backend backend = DNS_NONE;
    struct fault f = {0};
    struct prefix network;
    ck_ok(prefix_parse("10.9.0.0/16", &network));
    plan.networks = &network;
    plan.network_count = 1;
    plan.all_names = true;
    plan.domain_count = 1;
    start_resolved(NULL);
    ck_ok(tun_up(tun, &f));
    ck_ok(dns_apply(&plan, &backend, &f));
    expect(&resolved, "SetLinkDomains tern0 up ~. ~corp.example");
    expect(&resolved, "SetLinkDefaultRoute tern0 up yes");
    expect(&resolved, "SetLinkDNS tern0 up 10.9.0.53 fd09::53");
}
END_TEST

/* Whatever it refuses, the fault says what and why, and nothing of the rest stays. */
START_TEST(refused_and_reverted)
{
    static const char *const methods[] = {"SetLinkDomains", "SetLinkDefaultRoute", "SetLinkDNS"};
    static const char *const lines[] = {"SetLinkDomains tern0 down ~.",
                                        "SetLinkDefaultRoute tern0 down yes",
                                        "SetLinkDNS tern0 down 10.9.0.53 fd09::53"};
    enum dns_backend backend = DNS_NONE;
    struct fault f = {0};
    plan.all_names = true;
    plan.domain_count = 0;
    start_resolved(methods[_i]);
    ck_err(dns_apply(&plan, &backend, &f), ERR_SYSTEM);
    ck_assert_int_eq(backend, DNS_NONE);
    ck_assert_ptr_nonnull(strstr(f.text, methods[_i]));
    ck_assert_ptr_nonnull(strstr(f.text, "not today"));
    for (int i = 0; i < _i; i++)
        expect(&resolved, lines[i]);
    char refused[64];
    snprintf(refused, sizeof(refused), "%s tern0 down", methods[_i]);
    expect(&resolved, refused);
    expect(&resolved, "RevertLink tern0 down");
}
END_TEST

/* A killed process left a number; by now it is nobody's, or somebody else's. */
START_TEST(reverting_what_is_gone)
{
    start_resolved(NULL);
    dns_revert(DNS_RESOLVED, "tern9", plan.interface);
    dns_revert(DNS_RESOLVED, "tern9", plan.interface + 1000);
    char line[64];
    snprintf(line, sizeof(line), "RevertLink %u absent", plan.interface + 1000);
    expect(&resolved, line);
}
END_TEST

/* The bus starts it when it is asked for. */
START_TEST(resolved_is_started)
{
    write_file("org.freedesktop.resolve1.service", 0600,
               "[D-BUS Service]\nName=org.freedesktop.resolve1\nExec=%s\n", fake);
    start_bus();
    ck_assert_int_eq(dns_backend_present(), DNS_RESOLVED);
}
END_TEST

/* Installed and switched off, as Debian's package leaves the name on the bus. */
START_TEST(resolved_cannot_be_started)
{
    enum dns_backend backend = DNS_NONE;
    struct fault f = {0};
    write_file("org.freedesktop.resolve1.service", 0600,
               "[D-BUS Service]\nName=org.freedesktop.resolve1\nExec=/bin/false\n");
    start_bus();
    own_path();
    ck_assert_int_eq(dns_backend_present(), DNS_NONE);
    install_resolvconf(0);
    ck_ok(dns_apply(&plan, &backend, &f));
    ck_assert_int_eq(backend, DNS_RESOLVCONF);
}
END_TEST

static bool came_back(struct dns_watch *w)
{
    struct pollfd ready = {.fd = dns_watch_fd(w), .events = POLLIN};
    bool yes = false;
    ck_assert_int_eq(poll(&ready, 1, 5000), 1);
    ck_ok(dns_watch_read(w, &yes));
    return yes;
}

START_TEST(watched)
{
    struct fault f = {0};
    struct dns_watch *w = NULL;
    bool yes;
    ck_err(dns_watch_open(&w, &f), ERR_SYSTEM); /* no bus */
    ck_assert_ptr_null(w);
    dns_watch_close(NULL);
    start_resolved(NULL);
    ck_assert_msg(dns_watch_open(&w, &f) == ERR_OK, "%s", f.text);
    ck_ok(dns_watch_read(w, &yes));
    ck_assert(!yes); /* it is there all the time */
    for (int i = 0; i < 2; i++) {
        stop(&resolved);
        ck_assert(!came_back(w)); /* it went */
        resolved = start(fake, NULL, NULL);
        expect(&resolved, "ready");
        ck_assert(came_back(w));
    }
    stop(&resolved);
    stop(&bus);
    struct pollfd ready = {.fd = dns_watch_fd(w), .events = POLLIN};
    ck_assert_int_eq(poll(&ready, 1, 5000), 1);
    enum err e = ERR_OK;
    for (int i = 0; e == ERR_OK && i < 10; i++) /* what is buffered comes first */
        e = dns_watch_read(w, &yes);
    ck_err(e, ERR_SYSTEM);
    dns_watch_close(w);
}
END_TEST

/* --- resolvconf, and neither --- */

START_TEST(told_to_resolvconf)
{
    enum dns_backend backend = DNS_NONE;
    struct fault f = {0};
    start_bus();
    own_path();
    install_resolvconf(0);
    ck_assert_int_eq(dns_backend_present(), DNS_RESOLVCONF);
    ck_ok(dns_apply(&plan, &backend, &f));
    ck_assert_int_eq(backend, DNS_RESOLVCONF);
    dns_revert(backend, "tern0", plan.interface);
    expect_told("-a tern0.tern\nnameserver 10.9.0.53\nnameserver fd09::53\n"
                "search corp.example lab.example\n-d tern0.tern\n");
}
END_TEST

START_TEST(resolvconf_fails)
{
    enum dns_backend backend = DNS_NONE;
    struct fault f = {0};
    own_path();
    install_resolvconf(1);
    plan.server_count = 1;
    plan.domain_count = 0;
    ck_err(dns_apply(&plan, &backend, &f), ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(f.text, "resolvconf"));
    ck_assert_int_eq(backend, DNS_NONE);
    expect_told("-a tern0.tern\nnameserver 10.9.0.53\n\n-d tern0.tern\n");
}
END_TEST

START_TEST(neither_is_here)
{
    enum dns_backend backend = DNS_NONE;
    struct fault f = {0};
    own_path();
    ck_assert_int_eq(dns_backend_present(), DNS_NONE);
    ck_err(dns_apply(&plan, &backend, &f), ERR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(f.text, "neither systemd-resolved nor resolvconf"));
    ck_assert_ptr_nonnull(strstr(f.hint, "DNS = off"));
    dns_revert(DNS_RESOLVED, "tern0", plan.interface); /* no bus to say it on */
    dns_revert(DNS_NONE, "tern0", plan.interface);
}
END_TEST

START_TEST(names_of_the_backends)
{
    ck_assert_str_eq(dns_backend_text(DNS_RESOLVED), "systemd-resolved");
    ck_assert_str_eq(dns_backend_text(DNS_RESOLVCONF), "resolvconf");
    ck_assert_str_eq(dns_backend_text(DNS_NONE), "none");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("platform dns");
    TCase *t = tcase_create("dns");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, split_dns_domains_before_servers);
    tcase_add_test(t, all_names);
    tcase_add_loop_test(t, refused_and_reverted, 0, 3);
    tcase_add_test(t, reverting_what_is_gone);
    tcase_add_test(t, resolved_is_started);
    tcase_add_test(t, watched);
    tcase_add_test(t, resolved_cannot_be_started);
    tcase_add_test(t, told_to_resolvconf);
    tcase_add_test(t, resolvconf_fails);
    tcase_add_test(t, neither_is_here);
    tcase_add_test(t, names_of_the_backends);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
