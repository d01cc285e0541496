/* A stand-in for systemd-resolved on the system bus that DBUS_SYSTEM_BUS_ADDRESS names: it checks
 * what it is told as the real one does (known link, address lengths, sensible domains) and says on
 * standard output what that was, one line a call, before it answers:
 *
 *     ready
 *     SetLinkDomains tern0 down ~corp.example example.org
 *     SetLinkDefaultRoute tern0 down no
 *     SetLinkDNS tern0 down 10.9.0.53 fd09::53
 *     RevertLink 17 absent
 *
 * with the link's name and state at the time of the call. `fake_resolved --refuse METHOD` refuses
 * that one. */
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <systemd/sd-bus.h>

static const char interface_name[] = "org.freedesktop.resolve1.Manager";
static const char *refused; /* a method; NULL: none */

/* The link that a call is about, told with the method; a negative errno where there is none. */
static int begin(sd_bus_message *m, sd_bus_error *error)
{
    const char *method = sd_bus_message_get_member(m);
    struct ifreq link = {0};
    int index;
    int r = sd_bus_message_read(m, "i", &index);
    if (r < 0)
        return r;
    if (index <= 0)
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Invalid interface index");
    if (if_indextoname((unsigned)index, link.ifr_name) == NULL) {
        printf("%s %d absent", method, index);
        return sd_bus_error_setf(error, "org.freedesktop.resolve1.NoSuchLink", "Link %d not known",
                                 index);
    }
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    r = ioctl(fd, SIOCGIFFLAGS, &link);
    close(fd);
    if (r != 0)
        return sd_bus_error_setf(error, SD_BUS_ERROR_FAILED, "no flags");
    printf("%s %s %s", method, link.ifr_name, (link.ifr_flags & IFF_UP) != 0 ? "up" : "down");
    if ((link.ifr_flags & IFF_LOOPBACK) != 0)
        return sd_bus_error_setf(error, "org.freedesktop.resolve1.LinkBusy", "Link %s is loopback",
                                 link.ifr_name);
    if (refused != NULL && strcmp(method, refused) == 0)
        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED, "not today");
    return 0;
}

/* What is to be said is out before the caller goes on. */
static int end(sd_bus_message *m, int r)
{
    printf("\n");
    fflush(stdout);
    return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

static int on_domains(sd_bus_message *m, void *ctx, sd_bus_error *error)
{
    const char *domain;
    int routing;
    (void)ctx;
    int r = begin(m, error);
    if (r >= 0)
        r = sd_bus_message_enter_container(m, 'a', "(sb)");
    while (r >= 0 && (r = sd_bus_message_read(m, "(sb)", &domain, &routing)) > 0) {
        printf(" %s%s", routing ? "~" : "", domain);
        if (strlen(domain) > 253 || strstr(domain, "..") != NULL)
            r = sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Invalid domain %s", domain);
        else if (!routing && (domain[0] == '\0' || strcmp(domain, ".") == 0))
            r = sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Root as search domain");
    }
    return end(m, r);
}

static int on_default_route(sd_bus_message *m, void *ctx, sd_bus_error *error)
{
    int yes;
    (void)ctx;
    int r = begin(m, error);
    if (r >= 0 && (r = sd_bus_message_read(m, "b", &yes)) >= 0)
        printf(" %s", yes ? "yes" : "no");
    return end(m, r);
}

static int read_server(sd_bus_message *m, sd_bus_error *error)
{
    int family;
    const void *bytes;
    size_t len;
    char text[INET6_ADDRSTRLEN];
    int r = sd_bus_message_enter_container(m, 'r', "iay");
    if (r <= 0)
        return r;
    if ((r = sd_bus_message_read(m, "i", &family)) < 0 ||
        (r = sd_bus_message_read_array(m, 'y', &bytes, &len)) < 0 ||
        (r = sd_bus_message_exit_container(m)) < 0)
        return r;
    if (!(family == AF_INET && len == 4) && !(family == AF_INET6 && len == 16))
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Invalid address");
    printf(" %s", inet_ntop(family, bytes, text, sizeof(text)));
    return 1;
}

static int on_servers(sd_bus_message *m, void *ctx, sd_bus_error *error)
{
    (void)ctx;
    int r = begin(m, error);
    if (r >= 0)
        r = sd_bus_message_enter_container(m, 'a', "(iay)");
    while (r >= 0 && (r = read_server(m, error)) > 0) {
    }
    return end(m, r);
}

static int on_revert(sd_bus_message *m, void *ctx, sd_bus_error *error)
{
    (void)ctx;
    return end(m, begin(m, error));
}

static const sd_bus_vtable methods[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("SetLinkDomains", "ia(sb)", "", on_domains, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("SetLinkDefaultRoute", "ib", "", on_default_route, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("SetLinkDNS", "ia(iay)", "", on_servers, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("RevertLink", "i", "", on_revert, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END};

int main(int argc, char **argv)
{
    sd_bus *bus = NULL;
    if (argc == 3 && strcmp(argv[1], "--refuse") == 0)
        refused = argv[2];
    int r = sd_bus_open_system(&bus);
    if (r >= 0)
        r = sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/resolve1", interface_name,
                                     methods, NULL);
    if (r >= 0)
        r = sd_bus_request_name(bus, "org.freedesktop.resolve1", 0);
    if (r >= 0) {
        puts("ready");
        fflush(stdout);
    }
    while (r >= 0) { /* until the bus goes, or a signal comes */
        r = sd_bus_process(bus, NULL);
        if (r == 0)
            r = sd_bus_wait(bus, UINT64_MAX);
    }
    sd_bus_unref(bus);
    fprintf(stderr, "fake_resolved: %s\n", strerror(-r));
    return EXIT_FAILURE;
}
