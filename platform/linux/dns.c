/* DNS servers for the tunnel: systemd-resolved over D-Bus where it runs, else the resolvconf
 * program.
 *
 * resolved gets the domains before the servers, so that no name goes to the new servers that should
 * not. */
#include "platform/dns.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <systemd/sd-bus.h>

#include "platform/clock.h"

enum { PATIENCE_US = 5 * 1000 * 1000, RESOLV_TEXT_MAX = 8192, ZONES_MAX = 64, ZONE_TEXT_MAX = 80 };

extern char **environ;

static const char resolved_name[] = "org.freedesktop.resolve1";
static const char resolved_path[] = "/org/freedesktop/resolve1";
static const char resolved_interface[] = "org.freedesktop.resolve1.Manager";

/* --- systemd-resolved --- */

static int bus_open(sd_bus **ret)
{
    int r = sd_bus_open_system(ret);
    if (r >= 0)
        r = sd_bus_set_method_call_timeout(*ret, PATIENCE_US);
    return r;
}

/* It runs, or the bus could start it now. That its name is one to activate says too little:
 * Debian's package brings that even where the service is off. */
static bool resolved_present(void)
{
    sd_bus *bus = NULL;
    bool present = false;
    if (bus_open(&bus) >= 0)
        present = sd_bus_get_name_creds(bus, resolved_name, 0, NULL) >= 0 ||
                  sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                     "org.freedesktop.DBus", "StartServiceByName", NULL, NULL, "su",
                                     resolved_name, 0) >= 0;
    sd_bus_flush_close_unref(bus);
    return present;
}

/* The zone of the first `labels` octets (IPv4) or nibbles (IPv6) of an address. */
static void zone_format(const struct ip *ip, unsigned labels, char out[ZONE_TEXT_MAX])
{
    size_t at = 0;
    for (unsigned i = labels; i-- > 0;) {
        unsigned nibble = (unsigned)ip->bytes[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15;
        if (ip->family == IP_V4)
            at += (size_t)snprintf(out + at, ZONE_TEXT_MAX - at, "%u.", ip->bytes[i]);
        else
            at += (size_t)snprintf(out + at, ZONE_TEXT_MAX - at, "%x.", nibble);
    }
    snprintf(out + at, ZONE_TEXT_MAX - at, "%s", ip->family == IP_V4 ? "in-addr.arpa" : "ip6.arpa");
}

/* A prefix that ends within a label is several zones. Where these are more than are left to have,
 * they are left out: their names go where they went before. */
static int put_zones(sd_bus_message *m, const struct prefix *network, unsigned *left)
{
    unsigned bits_each = network->ip.family == IP_V4 ? 8 : 4;
    unsigned labels = (network->bits + bits_each - 1) / bits_each;
    unsigned count = 1u << (labels * bits_each - network->bits);
    if (count > *left)
        return 0;
    *left -= count;
    struct ip ip = network->ip;
    bool high = network->ip.family == IP_V6 && labels % 2 == 1; /* the last label's half */
    size_t last = labels == 0 ? 0 : (labels - 1) / (8 / bits_each);
    int r = 0;
    for (unsigned i = 0; r >= 0 && i < count; i++) {
        char zone[ZONE_TEXT_MAX];
        ip.bytes[last] = (uint8_t)(network->ip.bytes[last] | i << (high ? 4 : 0));
        zone_format(&ip, labels, zone);
        r = sd_bus_message_append(m, "(sb)", zone, 1);
    }
    return r;
}

/* Routing domains, all of them; "." is every name. */
static int put_domains(sd_bus_message *m, const struct dns_plan *plan)
{
    unsigned zones_left = plan->all_names ? 0 : ZONES_MAX;
    int r = sd_bus_message_append(m, "i", (int)plan->interface);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "(sb)");
    if (r >= 0 && plan->all_names)
        r = sd_bus_message_append(m, "(sb)", ".", 1);
    for (size_t i = 0; r >= 0 && i < plan->domain_count; i++)
        r = sd_bus_message_append(m, "(sb)", plan->domains[i], 1);
    for (size_t i = 0; r >= 0 && i < plan->network_count; i++)
        r = put_zones(m, &plan->networks[i], &zones_left);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int put_servers(sd_bus_message *m, const struct dns_plan *plan)
{
    int r = sd_bus_message_append(m, "i", (int)plan->interface);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "(iay)");
    for (size_t i = 0; r >= 0 && i < plan->server_count; i++) {
        const struct ip *server = &plan->servers[i];
        r = sd_bus_message_open_container(m, 'r', "iay");
        if (r >= 0)
            r = sd_bus_message_append(m, "i", server->family == IP_V4 ? AF_INET : AF_INET6);
        if (r >= 0)
            r = sd_bus_message_append_array(m, 'y', server->bytes, ip_len(server->family));
        if (r >= 0)
            r = sd_bus_message_close_container(m);
    }
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int put_default_route(sd_bus_message *m, const struct dns_plan *plan)
{
    return sd_bus_message_append(m, "ib", (int)plan->interface, plan->all_names);
}

static int put_interface(sd_bus_message *m, const struct dns_plan *plan)
{
    return sd_bus_message_append(m, "i", (int)plan->interface);
}

static enum err call(sd_bus *bus, const char *method, const struct dns_plan *plan,
                     int (*put)(sd_bus_message *m, const struct dns_plan *plan), struct fault *f)
{
    sd_bus_message *m = NULL;
    sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = sd_bus_message_new_method_call(bus, &m, resolved_name, resolved_path,
                                           resolved_interface, method);
    if (r >= 0)
        r = put(m, plan);
    if (r >= 0)
        r = sd_bus_call(bus, m, PATIENCE_US, &error, NULL);
    enum err e = ERR_OK;
    if (r < 0)
        e = fault_set(f, ERR_SYSTEM, "systemd-resolved: %s: %s", method,
                      error.message != NULL ? error.message : strerror(-r));
    sd_bus_error_free(&error);
    sd_bus_message_unref(m);
    return e;
}

static enum err resolved_apply(const struct dns_plan *plan, struct fault *f)
{
    sd_bus *bus = NULL;
    int r = bus_open(&bus);
    if (r < 0)
        return fault_set(f, ERR_SYSTEM, "the system bus: %s", strerror(-r));
    enum err e = call(bus, "SetLinkDomains", plan, put_domains, f);
    if (e == ERR_OK)
        e = call(bus, "SetLinkDefaultRoute", plan, put_default_route, f);
    if (e == ERR_OK)
        e = call(bus, "SetLinkDNS", plan, put_servers, f);
    sd_bus_flush_close_unref(bus);
    return e;
}

static void resolved_revert(const char *interface_name, uint32_t interface)
{
    const struct dns_plan plan = {.interface = interface};
    char name[IF_NAMESIZE];
    sd_bus *bus = NULL;
    if (if_indextoname(interface, name) != NULL && strcmp(name, interface_name) != 0)
        return;              /* the number is somebody else's by now */
    if (bus_open(&bus) >= 0) /* a link that is gone resolved has forgotten by itself */
        (void)call(bus, "RevertLink", &plan, put_interface, NULL);
    sd_bus_flush_close_unref(bus);
}

/* --- does it come back --- */

struct dns_watch {
    sd_bus *bus;
    bool came_back;
};

static int on_owner_changed(sd_bus_message *m, void *ctx, sd_bus_error *error)
{
    struct dns_watch *w = ctx;
    const char *name, *before, *now;
    (void)error;
    if (sd_bus_message_read(m, "sss", &name, &before, &now) >= 0 && now[0] != '\0')
        w->came_back = true;
    return 0;
}

enum err dns_watch_open(struct dns_watch **ret, struct fault *f)
{
    static const char match[] = "type='signal',sender='org.freedesktop.DBus',"
                                "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
                                "arg0='org.freedesktop.resolve1'";
    struct dns_watch *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return fault_set(f, ERR_MEMORY, "no memory to watch systemd-resolved");
    int r = bus_open(&w->bus);
    if (r >= 0)
        r = sd_bus_add_match(w->bus, NULL, match, on_owner_changed, w);
    if (r < 0) {
        dns_watch_close(w);
        return fault_set(f, ERR_SYSTEM, "cannot watch systemd-resolved: %s", strerror(-r));
    }
    *ret = w;
    return ERR_OK;
}

void dns_watch_close(struct dns_watch *w)
{
    if (w == NULL)
        return;
    sd_bus_flush_close_unref(w->bus);
    free(w);
}

int dns_watch_fd(const struct dns_watch *w)
{
    return sd_bus_get_fd(w->bus);
}

enum err dns_watch_read(struct dns_watch *w, bool *ret_came_back)
{
    int r;
    while ((r = sd_bus_process(w->bus, NULL)) > 0) {
    }
    *ret_came_back = w->came_back;
    w->came_back = false;
    return r < 0 ? ERR_SYSTEM : ERR_OK;
}

/* --- resolvconf --- */

static bool resolvconf_present(void)
{
    const char *path = getenv("PATH");
    if (path == NULL)
        path = "/usr/sbin:/usr/bin:/sbin:/bin";
    while (*path != '\0') {
        size_t n = strcspn(path, ":");
        char file[1024];
        int len = snprintf(file, sizeof(file), "%.*s/resolvconf", (int)n, path);
        if (n > 0 && len > 0 && (size_t)len < sizeof(file) && access(file, X_OK) == 0)
            return true;
        path += n + (path[n] == ':');
    }
    return false;
}

/* Waits at most our patience; a program that takes longer is ended. */
static int await(pid_t pid)
{
    int status = -1;
    for (int64_t end = clock_awake_ms() + PATIENCE_US / 1000; clock_awake_ms() < end;) {
        pid_t done = waitpid(pid, &status, WNOHANG);
        if (done == pid)
            return status;
        if (done < 0)
            return -1;
        (void)poll(NULL, 0, 10);
    }
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return -1;
}

/* `resolvconf OPTION NAME`, with text on its standard input. No shell. 0 where it succeeded. */
static int resolvconf_run(char *option, char *name, const char *text)
{
    char program[] = "resolvconf";
    char *const argv[] = {program, option, name, NULL};
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return -1;
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;
    if (posix_spawn_file_actions_init(&actions) != 0) {
        close(ends[0]);
        close(ends[1]);
        return -1;
    }
    int r = posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
    if (r == 0)
        r = posix_spawnp(&pid, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    size_t len = strlen(text);
    bool written = r == 0 && send(ends[0], text, len, MSG_NOSIGNAL) == (ssize_t)len;
    close(ends[0]);
    if (r != 0)
        return -1;
    int status = await(pid);
    return written && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static void resolvconf_name(const char *interface_name, char out[64])
{
    snprintf(out, 64, "%.16s.tern", interface_name);
}

static enum err resolvconf_apply(const struct dns_plan *plan, struct fault *f)
{
    char text[RESOLV_TEXT_MAX], name[64], option[] = "-a";
    size_t at = 0;
    for (size_t i = 0; i < plan->server_count; i++) {
        char ip[IP_TEXT_MAX];
        at += (size_t)snprintf(text + at, sizeof(text) - at, "nameserver %s\n",
                               ip_format(&plan->servers[i], ip));
    }
    for (size_t i = 0; i < plan->domain_count; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", i == 0 ? "search " : " ",
                               plan->domains[i]);
    snprintf(text + at, sizeof(text) - at, "\n");
    resolvconf_name(plan->interface_name, name);
    if (resolvconf_run(option, name, text) != 0)
        return fault_set(f, ERR_SYSTEM, "resolvconf -a %s failed", name);
    return ERR_OK;
}

/* --- either --- */

enum dns_backend dns_backend_present(void)
{
    if (resolved_present())
        return DNS_RESOLVED;
    return resolvconf_present() ? DNS_RESOLVCONF : DNS_NONE;
}

const char *dns_backend_text(enum dns_backend b)
{
    switch (b) {
    case DNS_RESOLVED:
        return "systemd-resolved";
    case DNS_RESOLVCONF:
        return "resolvconf";
    case DNS_NONE:
        break;
    }
    return "none";
}

enum err dns_apply(const struct dns_plan *plan, enum dns_backend *ret_backend, struct fault *f)
{
    enum dns_backend backend = dns_backend_present();
    enum err e;
    switch (backend) {
    case DNS_RESOLVED:
        e = resolved_apply(plan, f);
        break;
    case DNS_RESOLVCONF:
        e = resolvconf_apply(plan, f);
        break;
    case DNS_NONE:
    default:
        e = fault_set(f, ERR_NOT_FOUND,
                      "neither systemd-resolved nor resolvconf is here to take the DNS servers");
        fault_hint(f, "install one (apt install systemd-resolved), or set DNS = off in [Tunnel]");
        break;
    }
    if (e == ERR_OK)
        *ret_backend = backend;
    else if (backend != DNS_NONE)
        dns_revert(backend, plan->interface_name, plan->interface);
    return e;
}

void dns_revert(enum dns_backend backend, const char *interface_name, uint32_t interface)
{
    char name[64], option[] = "-d";
    if (backend == DNS_RESOLVED) {
        resolved_revert(interface_name, interface);
    } else if (backend == DNS_RESOLVCONF) {
        resolvconf_name(interface_name, name);
        (void)resolvconf_run(option, name, "");
    }
}
