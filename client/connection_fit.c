/* How long a packet may be: what the path bears (its interface, and what routers told of it), less
 * the headers outside and what the Child SA's suite adds. The TUN's MTU follows, and the data path
 * is told, for what is longer all the same.
 *
 * The kernel tells nobody that it has learned something of a path, or forgotten it after ten
 * minutes (RFC 1191 6.3, RFC 8201 4): it is asked again where packets go, once a second, and at
 * once where one did not fit. Without traffic nothing is asked.
 *
 * Routers that swallow what is too long and say nothing (RFC 2923 2.1) show by what becomes of the
 * question that follows silence: the gateway answers, packets go on leaving, most of them long,
 * nothing comes back, and the gateway answers again. Then the path is taken to bear what all paths
 * of IPv6 bear, for as long as the kernel would believe a router, or until it is another one. A
 * flow that is alone meets that; where others bring packets back, or where it is the gateway's
 * packets that are swallowed, nobody here can tell. */
#include "client/connection_state.h"
#include "common/base/log.h"
#include "platform/path_mtu.h"
#include "platform/routes.h"

enum {
    AGAIN_MS = 1000,
    AGAIN_TOO_LONG_MS = 50, /* those of a batch that were on their way say nothing new */
    SWALLOWS_MS = 10 * 60 * 1000,
    OUTER_V4 = 20 + 8, /* IP and UDP (RFC 3948) */
    OUTER_V6 = 40 + 8
};

/* What any of the Child SAs may seal; 0 where none is known. */
static size_t inner_max(const struct connection *c, size_t datagram_max)
{
    size_t least = 0;
    for (size_t i = 0; i < c->children.count; i++) {
        size_t fits = esp_inner_max(&c->children.items[i]->suite.cipher, datagram_max);
        least = i == 0 || fits < least ? fits : least;
    }
    return least < UINT16_MAX ? least : UINT16_MAX;
}

static uint32_t ask(const struct connection *c, const struct path *path)
{
    const struct network_way *way = reach_interface(c->reach, path);
    uint32_t mtu = path_mtu(path, ROUTES_MARK);
    if (way != NULL && (mtu == 0 || way->mtu < mtu))
        mtu = way->mtu;
    if (mtu > PATH_MTU_MIN_V6 && clock_now() < c->fit.swallows_until)
        mtu = PATH_MTU_MIN_V6;
    return mtu;
}

static uint32_t outer_len(const struct path *path)
{
    return path->remote.ip.family == IP_V4 ? OUTER_V4 : OUTER_V6;
}

void connection_fit(struct connection *c, const struct path *path)
{
    struct fault f = {0};
    if (!path_equal(path, &c->fit.path)) {
        c->fit.swallows_until = 0;
        c->fit.answered = false;
    }
    c->fit.path = *path;
    uint32_t mtu = ask(c, path), outer = outer_len(path);
    size_t datagram_max = mtu > outer ? mtu - outer : 0;
    size_t inner = inner_max(c, datagram_max);
    c->fit.looked_at = clock_now();
    c->fit.too_long = datapath_too_long(c->datapath);
    if (inner == 0)
        return; /* the path has gone, or the Child SA */
    if (mtu != c->fit.path_mtu)
        log_info("the path bears %u octets: inner packets of %zu", (unsigned)mtu, inner);
    c->fit.path_mtu = mtu;
    if (system_fit_mtu(c->system, c->options->profile, inner, &f) != ERR_OK)
        log_warn("%s", f.text);
    const struct fit fit = fit_make((uint16_t)inner, c->system->mtu);
    datapath_fit(c->datapath, &fit, datagram_max);
}

void connection_fit_again(struct connection *c, mono_ms now)
{
    struct session_status status;
    bool new = datapath_too_long(c->datapath) != c->fit.too_long;
    if (!c->up || now - c->fit.looked_at < (new ? AGAIN_TOO_LONG_MS : AGAIN_MS))
        return;
    session_status(c->session, &status);
    if (status.path.remote.ip.family != IP_NONE)
        connection_fit(c, &status.path);
}

void connection_fit_answered(struct connection *c)
{
    const struct tunnel_counters t = tunnel_counters(c->tunnel);
    const struct connection_fit before = c->fit;
    c->fit.answered = true;
    c->fit.authentic = t.authentic;
    c->fit.packets = t.out.packets;
    c->fit.bytes = t.out.bytes;
    size_t always = inner_max(c, PATH_MTU_MIN_V6 - outer_len(&before.path));
    uint64_t packets = t.out.packets - before.packets, bytes = t.out.bytes - before.bytes;
    if (!c->up || !before.answered || t.authentic != before.authentic ||
        bytes <= packets * always || before.path_mtu <= PATH_MTU_MIN_V6)
        return;
    log_warn("short packets arrive and long ones do not, though no router says so: none longer "
             "than %d octets for ten minutes",
             (int)PATH_MTU_MIN_V6);
    c->fit.swallows_until = clock_now() + SWALLOWS_MS;
    connection_fit(c, &before.path);
}
