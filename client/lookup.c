/* One uv_getaddrinfo for each name that is not an address already; the last to come home calls
 * done. */
#include "client/lookup.h"

#include "common/base/log.h"

void lookup_init(struct lookup *l, uv_loop_t *loop, lookup_done *done, void *ctx)
{
    l->loop = loop;
    l->done = done;
    l->ctx = ctx;
    l->name_count = 0;
}

bool lookup_active(const struct lookup *l)
{
    for (size_t i = 0; i < l->name_count; i++) {
        if (l->names[i].active)
            return true;
    }
    return false;
}

void lookup_cancel(struct lookup *l)
{
    l->done = NULL;
    for (size_t i = 0; i < l->name_count; i++) {
        if (l->names[i].active)
            uv_cancel((uv_req_t *)&l->names[i].request);
    }
}

static void finish(struct lookup *l)
{
    struct ip found[LOOKUP_FOUND_MAX];
    size_t count = 0;
    for (size_t i = 0; i < l->name_count; i++) {
        for (size_t j = 0; j < l->names[i].count && count < LOOKUP_FOUND_MAX; j++)
            found[count++] = l->names[i].found[j];
    }
    if (l->done != NULL)
        l->done(l->ctx, found, count);
}

static struct ip ip_from_sockaddr(const struct sockaddr *s)
{
    if (s->sa_family == AF_INET)
        return ip_from_span(span_make(&((const struct sockaddr_in *)s)->sin_addr, 4));
    if (s->sa_family == AF_INET6)
        return ip_from_span(span_make(&((const struct sockaddr_in6 *)s)->sin6_addr, 16));
    return (struct ip){.family = IP_NONE};
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct lookup_name *n = request->data;
    n->active = false;
    for (const struct addrinfo *a = list; status == 0 && a != NULL && n->count < LOOKUP_FOUND_MAX;
         a = a->ai_next) {
        struct ip ip = ip_from_sockaddr(a->ai_addr);
        if (ip.family != IP_NONE)
            n->found[n->count++] = ip;
    }
    uv_freeaddrinfo(list);
    if (status != 0 && status != UV_ECANCELED)
        log_warn("a gateway address is not resolved: %s", uv_strerror(status));
    if (!lookup_active(n->lookup))
        finish(n->lookup);
}

void lookup_begin(struct lookup *l, const char *const *names, size_t count)
{
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
    if (lookup_active(l))
        return;
    l->name_count = count < LOOKUP_NAMES_MAX ? count : LOOKUP_NAMES_MAX;
    for (size_t i = 0; i < l->name_count; i++) {
        struct lookup_name *n = &l->names[i];
        n->lookup = l;
        n->count = 0;
        n->request.data = n;
        if (ip_parse(names[i], &n->found[0]) == ERR_OK)
            n->count = 1;
        else
            n->active =
                uv_getaddrinfo(l->loop, &n->request, on_resolved, names[i], NULL, &hints) == 0;
    }
    if (!lookup_active(l))
        finish(l);
}
