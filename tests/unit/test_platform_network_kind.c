/* The kinds of networks, by what rtnetlink and a folder like /sys/class/net say. */
#include "platform/linux/network_kind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/if_arp.h>

#include "tests/support/support.h"

static char root[64], classes[96];

static void write_text(const char *folder, const char *file, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", root, folder);
    ck_assert(mkdir(path, 0700) == 0 || access(path, F_OK) == 0);
    snprintf(path, sizeof(path), "%s/%s/%s", root, folder, file);
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    fputs(text, out);
    fclose(out);
}

static void setup(void)
{
    snprintf(root, sizeof(root), "/tmp/tern-kind-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    snprintf(classes, sizeof(classes), "%s/net", root);
    ck_assert_int_eq(mkdir(classes, 0700), 0);
}

static void teardown(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", root);
    ck_assert_int_eq(system(command), 0);
}

static enum network_kind kind_of(const char *name, uint16_t type, const char *maker)
{
    struct network_link link = {.index = 5, .type = type};
    snprintf(link.name, sizeof(link.name), "%s", name);
    snprintf(link.maker, sizeof(link.maker), "%s", maker);
    return network_kind_of(&link, classes);
}

START_TEST(by_what_rtnetlink_says)
{
    ck_assert_int_eq(kind_of("eth0", ARPHRD_ETHER, ""), NETWORK_ETHERNET);
    ck_assert_int_eq(kind_of("veth0", ARPHRD_ETHER, "veth"), NETWORK_ETHERNET);
    ck_assert_int_eq(kind_of("br0", ARPHRD_ETHER, "bridge"), NETWORK_ETHERNET);
    ck_assert_int_eq(kind_of("tap0", ARPHRD_ETHER, "tun"), NETWORK_TUNNEL);
    ck_assert_int_eq(kind_of("wg0", ARPHRD_NONE, "wireguard"), NETWORK_TUNNEL);
    ck_assert_int_eq(kind_of("sit0", ARPHRD_SIT, ""), NETWORK_TUNNEL);
    ck_assert_int_eq(kind_of("wwan0", ARPHRD_ETHER, "wwan"), NETWORK_CELLULAR);
    ck_assert_int_eq(kind_of("rmnet0", ARPHRD_RAWIP, ""), NETWORK_CELLULAR);
    ck_assert_int_eq(kind_of("mon0", ARPHRD_IEEE80211_RADIOTAP, ""), NETWORK_WIRELESS);
    ck_assert_int_eq(kind_of("lo", ARPHRD_LOOPBACK, ""), NETWORK_OTHER);
    ck_assert_int_eq(kind_of("ppp0", ARPHRD_PPP, ""), NETWORK_OTHER);
}
END_TEST

START_TEST(by_what_the_folder_says)
{
    char path[160];
    write_text("net/radio0", "uevent", "DEVTYPE=wlan\nINTERFACE=radio0\nIFINDEX=5\n");
    write_text("net/modem0", "uevent", "INTERFACE=modem0\nIFINDEX=5\nDEVTYPE=wwan");
    write_text("net/old0", "uevent", "INTERFACE=old0\nIFINDEX=5\n");
    snprintf(path, sizeof(path), "%s/old0/wireless", classes);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    write_text("net/bond0", "uevent", "DEVTYPE=bond\nINTERFACE=bond0\nIFINDEX=5\n");
    ck_assert_int_eq(kind_of("radio0", ARPHRD_ETHER, ""), NETWORK_WIRELESS);
    ck_assert_int_eq(kind_of("modem0", ARPHRD_ETHER, ""), NETWORK_CELLULAR);
    ck_assert_int_eq(kind_of("modem0", ARPHRD_NONE, ""), NETWORK_CELLULAR);
    ck_assert_int_eq(kind_of("old0", ARPHRD_ETHER, ""), NETWORK_WIRELESS);
    ck_assert_int_eq(kind_of("bond0", ARPHRD_ETHER, "bond"), NETWORK_ETHERNET);
}
END_TEST

/* As from another network namespace's /sys, and lines that only begin alike. */
START_TEST(another_interfaces_folder_counts_for_nothing)
{
    write_text("net/radio0", "uevent", "DEVTYPE=wlan\nINTERFACE=radio0\nIFINDEX=55\n");
    write_text("net/radio1", "uevent", "DEVTYPE=wlanx\nXDEVTYPE=wlan\nIFINDEX=5\n");
    write_text("net/radio2", "uevent", "");
    ck_assert_int_eq(kind_of("radio0", ARPHRD_ETHER, ""), NETWORK_ETHERNET);
    ck_assert_int_eq(kind_of("radio1", ARPHRD_ETHER, ""), NETWORK_ETHERNET);
    ck_assert_int_eq(kind_of("radio2", ARPHRD_ETHER, ""), NETWORK_ETHERNET);
}
END_TEST

START_TEST(a_name_never_leaves_the_folder)
{
    static const char text[] = "DEVTYPE=wlan\nIFINDEX=5\n";
    write_text("net", "uevent", text);
    write_text(".", "uevent", text);
    write_text("out", "uevent", text);
    write_text("net/in", "uevent", text);
    ck_assert_int_eq(kind_of("in", ARPHRD_ETHER, ""), NETWORK_WIRELESS);
    ck_assert_int_eq(kind_of("", ARPHRD_ETHER, ""), NETWORK_ETHERNET);
    ck_assert_int_eq(kind_of(".", ARPHRD_ETHER, ""), NETWORK_ETHERNET);
    ck_assert_int_eq(kind_of("..", ARPHRD_ETHER, ""), NETWORK_ETHERNET);
    ck_assert_int_eq(kind_of("../out", ARPHRD_ETHER, ""), NETWORK_ETHERNET);
    ck_assert_int_eq(kind_of("in/../in", ARPHRD_ETHER, ""), NETWORK_ETHERNET);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("platform network kind");
    TCase *t = tcase_create("kind");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, by_what_rtnetlink_says);
    tcase_add_test(t, by_what_the_folder_says);
    tcase_add_test(t, another_interfaces_folder_counts_for_nothing);
    tcase_add_test(t, a_name_never_leaves_the_folder);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
