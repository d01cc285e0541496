/* How long a packet may be: what the path bears (its interface, and what routers told of it), less
 * the headers outside and what the Child SA's suite adds. The TUN's MTU follows, and the data path
 * is told, for what is longer all the same.
 *
 * The kernel tells nobody that it has learned something of a path, or forgotten it after ten
 * minutes (RFC 1191 6.3, RFC 8201 4): it is asked again where packets go, once a second, and at
 * once where one did not fit. Without traffic nothing is asked. */
#include "client/connection_state.h"
#include "common/base/log.h"
#include "platform/path_mtu.h"
#include "platform/routes.h"

enum {
    AGAIN_MS = 1000,
    AGAIN_TOO_LONG_MS = 50, /* those of a batch that were on their way say nothing new */
    OUTER_V4 = 20 + 8,      /* IP and UDP (RFC 3948) */
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
    return mtu;
}

void connection_fit(struct connection *c, const struct path *path)
{
    struct fault f = {0};
    uint32_t mtu = ask(c, path), outer = path->remote.ip.family == IP_V4 ? OUTER_V4 : OUTER_V6;
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
    connection_fit(c, &status.path);
}
