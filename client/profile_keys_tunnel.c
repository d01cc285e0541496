/* [Tunnel], [Crypto], [Roaming] and [Hooks]. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/profile_keys_internal.h"
#include "client/profile_value.h"

/* --- [Tunnel] --- */

void key_tunnel_interface(struct reading *r, const char *value)
{
    if (value_is_interface(value, false))
        memcpy(r->p->interface, value, strlen(value) + 1);
    else
        FAULT(r, "Interface = %s is not an interface name (1 to 15 letters, digits, - _ .)", value);
}

static void take_route(struct reading *r, const char *item)
{
    struct prefix prefix;
    if (prefix_parse(item, &prefix) != ERR_OK) {
        FAULT(r, "Routes: %s is not a network such as 10.9.0.0/24", item);
        return;
    }
    prefix = prefix_network(&prefix);
    struct selector s = selector_from_prefix(&prefix);
    if (selector_list_add(&r->p->routes, &s) != ERR_OK)
        FAULT(r, "Routes has more than %d networks", (int)SELECTORS_MAX);
}

void key_tunnel_routes(struct reading *r, const char *value)
{
    value_take_each(r, value, take_route);
}

static void take_exclude(struct reading *r, const char *item)
{
    struct prefix prefix;
    if (prefix_parse(item, &prefix) != ERR_OK)
        FAULT(r, "Exclude: %s is not a network such as 192.168.0.0/16", item);
    else if (r->p->exclude_count == PROFILE_EXCLUDES_MAX)
        FAULT(r, "Exclude has more than %d networks", (int)PROFILE_EXCLUDES_MAX);
    else
        r->p->excludes[r->p->exclude_count++] = prefix_network(&prefix);
}

void key_tunnel_exclude(struct reading *r, const char *value)
{
    value_take_each(r, value, take_exclude);
}

static void take_request(struct reading *r, const char *item)
{
    struct profile *p = r->p;
    struct ip ip;
    if (strcmp(item, "ipv4") == 0) {
        p->request_ipv4 = true;
    } else if (strcmp(item, "ipv6") == 0) {
        p->request_ipv6 = true;
    } else if (ip_parse(item, &ip) != ERR_OK) {
        FAULT(r, "RequestAddress: %s: expected ipv4, ipv6, none or an address", item);
    } else if (ip_is_unspecified(&ip) || ip_is_multicast(&ip) || ip_is_loopback(&ip)) {
        FAULT(r, "RequestAddress: %s cannot be an address of ours", item);
    } else if ((ip.family == IP_V4 ? p->fixed_ipv4 : p->fixed_ipv6).family != IP_NONE) {
        FAULT(r, "RequestAddress: more than one address of a family");
    } else if (ip.family == IP_V4) {
        p->request_ipv4 = true;
        p->fixed_ipv4 = ip;
    } else {
        p->request_ipv6 = true;
        p->fixed_ipv6 = ip;
    }
}

void key_tunnel_request_address(struct reading *r, const char *value)
{
    r->p->request_ipv4 = r->p->request_ipv6 = false;
    if (strcmp(value, "none") != 0)
        value_take_each(r, value, take_request);
}

void key_tunnel_dns(struct reading *r, const char *value)
{
    if (strcmp(value, "auto") == 0)
        r->p->dns = true;
    else if (strcmp(value, "off") == 0)
        r->p->dns = false;
    else
        FAULT(r, "DNS = %s: expected auto or off", value);
}

void key_tunnel_mtu(struct reading *r, const char *value)
{
    uint64_t v;
    if (strcmp(value, "auto") == 0)
        r->p->mtu = PROFILE_MTU_AUTO;
    else if (value_number(value, MTU_MIN, MTU_MAX, &v) != ERR_OK)
        FAULT(r, "MTU = %s: expected auto, or octets from %d to %d", value, (int)MTU_MIN,
              (int)MTU_MAX);
    else
        r->p->mtu = (uint16_t)v;
}

void key_tunnel_offload(struct reading *r, const char *value)
{
    r->p->offload = strcmp(value, "auto") == 0;
    if (!r->p->offload && strcmp(value, "off") != 0)
        FAULT(r, "Offload = %s: expected auto or off", value);
}

void key_tunnel_dscp(struct reading *r, const char *value)
{
    r->p->copy_dscp = strcmp(value, "copy") == 0;
    if (!r->p->copy_dscp && strcmp(value, "inside") != 0)
        FAULT(r, "DSCP = %s: expected inside or copy", value);
}

/* --- [Crypto] --- */

static void take_proposals(struct reading *r, const char *value, uint8_t protocol,
                           struct proposal_list *out)
{
    /* Repeated keys add: the whole list is numbered anew. */
    struct proposal_list more;
    struct fault f = {0};
    if (proposal_list_from_text(value, protocol, &more, &f) != ERR_OK) {
        FAULT(r, "%s: %s", r->key, f.text);
        return;
    }
    if (out->count + more.count > PROPOSALS_MAX) {
        FAULT(r, "%s has more than %d proposals", r->key, (int)PROPOSALS_MAX);
        return;
    }
    for (size_t i = 0; i < more.count; i++) {
        out->items[out->count] = more.items[i];
        out->items[out->count].number = (uint8_t)(out->count + 1);
        out->count++;
    }
}

void key_crypto_ike(struct reading *r, const char *value)
{
    take_proposals(r, value, PROTOCOL_IKE, &r->p->ike);
}

void key_crypto_esp(struct reading *r, const char *value)
{
    take_proposals(r, value, PROTOCOL_ESP, &r->p->esp);
}

void key_crypto_ike_lifetime(struct reading *r, const char *value)
{
    value_take_duration(r, value, 10, 7 * 86400, "10s to 7d", &r->p->ike_lifetime_s);
}

void key_crypto_esp_lifetime(struct reading *r, const char *value)
{
    value_take_duration(r, value, 10, 7 * 86400, "10s to 7d", &r->p->esp_lifetime_s);
}

void key_crypto_esp_bytes(struct reading *r, const char *value)
{
    enum err e = value_size(value, 65536, UINT64_MAX, &r->p->esp_bytes);
    if (e == ERR_LIMIT)
        FAULT(r, "ESPBytes = %s is out of range (64K and more)", value);
    else if (e != ERR_OK)
        FAULT(r, "ESPBytes = %s: expected octets such as 500M or 4G", value);
}

/* --- [Roaming] --- */

void key_roaming_mobike(struct reading *r, const char *value)
{
    value_take_bool(r, value, &r->p->mobike);
}

static void take_prefer(struct reading *r, const char *item)
{
    if (value_is_interface(item, true))
        value_take_item(r, &r->p->prefer, item);
    else
        FAULT(r, "Prefer: %s is not an interface name or pattern", item);
}

void key_roaming_prefer(struct reading *r, const char *value)
{
    value_take_each(r, value, take_prefer);
}

void key_roaming_dpd(struct reading *r, const char *value)
{
    if (strcmp(value, "off") == 0)
        r->p->dpd_s = 0;
    else
        value_take_duration(r, value, 1, 3600, "1s to 1h, or off", &r->p->dpd_s);
}

void key_roaming_keepalive(struct reading *r, const char *value)
{
    uint32_t s = 0;
    if (strcmp(value, "auto") == 0) {
        r->p->keepalive_s = PROFILE_KEEPALIVE_AUTO;
    } else {
        if (strcmp(value, "off") != 0)
            value_take_duration(r, value, 1, 3600, "1s to 1h, auto or off", &s);
        r->p->keepalive_s = (int32_t)s;
    }
}

void key_roaming_hold_down(struct reading *r, const char *value)
{
    value_take_duration(r, value, 0, 7 * 86400, "0 to 7d", &r->p->hold_down_s);
}

enum { RETRANSMIT_PARTS = 3 };

/* The first pause, the longest, and how many transmissions: each pause is 1.8 times the one before.
 */
void key_roaming_retransmit(struct reading *r, const char *value)
{
    char parts[RETRANSMIT_PARTS][PROFILE_TEXT_MAX], item[PROFILE_TEXT_MAX];
    size_t count = 0;
    bool too_long = false;
    for (const char *at = value; value_next(&at, item, sizeof(item), &too_long); count++) {
        if (count < RETRANSMIT_PARTS && !too_long)
            memcpy(parts[count], item, sizeof(item));
    }
    struct profile *p = r->p;
    uint64_t tries = 0;
    if (count != RETRANSMIT_PARTS || too_long ||
        value_milliseconds(parts[0], 100, 60000, &p->retransmit_first_ms) != ERR_OK ||
        value_milliseconds(parts[1], p->retransmit_first_ms, 120000, &p->retransmit_max_ms) !=
            ERR_OK ||
        value_number(parts[2], 2, 100, &tries) != ERR_OK) {
        FAULT(r,
              "Retransmit = %s: expected the first pause, the longest, and how many times, such as "
              "500ms, 8s, 8",
              value);
        return;
    }
    p->retransmit_tries = (uint32_t)tries;
}

/* --- [Hooks] --- */

/* It will run with our privileges: what others can write to is not for us to run. */
static void check_program(struct reading *r, const char *path)
{
    struct stat st;
    if (path[0] != '/')
        FAULT(r, "%s: %s is not an absolute path", r->key, path);
    else if (stat(path, &st) != 0)
        FAULT(r, "%s: %s: %s", r->key, path, strerror(errno));
    else if (!S_ISREG(st.st_mode) || access(path, X_OK) != 0)
        FAULT(r, "%s: %s is not a program that can be run", r->key, path);
    else if ((st.st_mode & S_IWOTH) != 0)
        FAULT(r, "%s: %s can be written by everybody: chmod o-w %s", r->key, path, path);
}

void key_hook(struct reading *r, const char *value)
{
    enum profile_hook which = strcmp(r->key, "Up") == 0     ? PROFILE_HOOK_UP
                              : strcmp(r->key, "Down") == 0 ? PROFILE_HOOK_DOWN
                                                            : PROFILE_HOOK_HANDOVER;
    struct profile_hook_list *l = &r->p->hooks[which];
    struct command_line line;
    struct fault f = {0};
    if (l->count == PROFILE_HOOK_COMMANDS_MAX) {
        FAULT(r, "%s is given more than %d times", r->key, (int)PROFILE_HOOK_COMMANDS_MAX);
    } else if (command_line_parse(value, &line, &f) != ERR_OK) {
        FAULT(r, "%s: %s", r->key, f.text);
    } else {
        check_program(r, command_line_argument(&line, 0));
        l->items[l->count++] = line;
    }
}
