/* The kind of an interface: rtnetlink knows the makers of virtual ones and the type of the link;
 * that an Ethernet-like link is a radio only /sys tells. The name comes from the kernel, yet
 * whoever may make interfaces chose it: it never leaves the folder. */
#include "platform/linux/network_kind.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/if_arp.h>

enum { UEVENT_MAX = 1024 };

struct maker {
    const char *name;
    enum network_kind kind;
};

static const struct maker makers[] = {
    {"tun", NETWORK_TUNNEL},     {"wireguard", NETWORK_TUNNEL}, {"ipip", NETWORK_TUNNEL},
    {"gre", NETWORK_TUNNEL},     {"gretap", NETWORK_TUNNEL},    {"erspan", NETWORK_TUNNEL},
    {"ip6gre", NETWORK_TUNNEL},  {"ip6gretap", NETWORK_TUNNEL}, {"ip6tnl", NETWORK_TUNNEL},
    {"sit", NETWORK_TUNNEL},     {"vti", NETWORK_TUNNEL},       {"vti6", NETWORK_TUNNEL},
    {"xfrm", NETWORK_TUNNEL},    {"vxlan", NETWORK_TUNNEL},     {"geneve", NETWORK_TUNNEL},
    {"ovpn", NETWORK_TUNNEL},    {"bareudp", NETWORK_TUNNEL},   {"wwan", NETWORK_CELLULAR},
    {"rmnet", NETWORK_CELLULAR},
};

/* The line "KEY=..." of the text. */
static bool line_is(const char *text, const char *key, const char *value)
{
    size_t key_len = strlen(key), value_len = strlen(value);
    for (const char *at = text; at != NULL && *at != '\0'; at = strchr(at, '\n')) {
        at += *at == '\n' ? 1 : 0;
        if (strncmp(at, key, key_len) == 0 && at[key_len] == '=' &&
            strncmp(at + key_len + 1, value, value_len) == 0 &&
            (at[key_len + 1 + value_len] == '\n' || at[key_len + 1 + value_len] == '\0'))
            return true;
    }
    return false;
}

static bool read_text(int folder, const char *name, char *out, size_t cap)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, out, cap - 1);
    close(fd);
    out[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* What the interface's folder says; NETWORK_OTHER where it says nothing. */
static enum network_kind ask_folder(const struct network_link *link, const char *classes)
{
    char path[256], index[16], uevent[UEVENT_MAX];
    if (link->name[0] == '\0' || strchr(link->name, '/') != NULL || strcmp(link->name, ".") == 0 ||
        strcmp(link->name, "..") == 0 ||
        snprintf(path, sizeof(path), "%s/%s", classes, link->name) >= (int)sizeof(path))
        return NETWORK_OTHER;
    int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC); /* a link into /sys/devices */
    if (folder < 0)
        return NETWORK_OTHER;
    enum network_kind kind = NETWORK_OTHER;
    (void)snprintf(index, sizeof(index), "%u", link->index);
    if (read_text(folder, "uevent", uevent, sizeof(uevent)) && line_is(uevent, "IFINDEX", index)) {
        if (line_is(uevent, "DEVTYPE", "wwan"))
            kind = NETWORK_CELLULAR;
        else if (line_is(uevent, "DEVTYPE", "wlan") ||
                 faccessat(folder, "wireless", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            kind = NETWORK_WIRELESS;
    }
    close(folder);
    return kind;
}

enum network_kind network_kind_of(const struct network_link *link, const char *classes)
{
    for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
        if (strcmp(link->maker, makers[i].name) == 0)
            return makers[i].kind;
    }
    switch (link->type) {
    case ARPHRD_TUNNEL:
    case ARPHRD_TUNNEL6:
    case ARPHRD_SIT:
    case ARPHRD_IPGRE:
    case ARPHRD_IP6GRE:
        return NETWORK_TUNNEL;
    case ARPHRD_IEEE80211:
    case ARPHRD_IEEE80211_PRISM:
    case ARPHRD_IEEE80211_RADIOTAP:
        return NETWORK_WIRELESS;
    case ARPHRD_RAWIP: /* modems that speak IP without a frame */
        return NETWORK_CELLULAR;
    default:
        break;
    }
    enum network_kind kind = ask_folder(link, classes);
    return kind == NETWORK_OTHER && link->type == ARPHRD_ETHER ? NETWORK_ETHERNET : kind;
}
