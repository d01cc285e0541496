/* The responder's policy: keys and passwords of the users, EAP, addresses. Called by a session, and
 * calls none. */
#include <string.h>
#include <time.h>

#include "common/base/log.h"
#include "tools/gateway/state.h"

static int64_t wall_time(void *ctx)
{
    (void)ctx;
    return (int64_t)time(NULL);
}

static enum err find_psk(void *ctx, const struct identity *peer, struct secret *ret)
{
    const struct client *c = ctx;
    const struct gateway_config *config = c->gateway->config;

    for (const struct gateway_user *u = config->users; u != NULL; u = u->next) {
        if (u->psk.len > 0 && identity_equal(&u->identity, peer)) {
            *ret = u->psk;
            return ERR_OK;
        }
    }
    if (config->psk.len == 0)
        return ERR_NOT_FOUND;
    *ret = config->psk;
    return ERR_OK;
}

/* Any client may use any of them: which one it has says nothing of who it is. */
static enum err find_ppk(void *ctx, const struct identity *peer, struct span id, struct secret *ret)
{
    const struct client *c = ctx;

    (void)peer;
    for (const struct gateway_ppk *p = c->gateway->config->ppks; p != NULL; p = p->next) {
        if (span_equal(span_text(p->id), id)) {
            *ret = p->key;
            return ERR_OK;
        }
    }
    return ERR_NOT_FOUND;
}

static enum err find_password(void *ctx, struct span name, struct secret *ret_password,
                              struct identity *ret_peer)
{
    const struct gateway_config *config = ctx;

    for (const struct gateway_user *u = config->users; u != NULL; u = u->next) {
        if (u->password.len > 0 && span_equal(span_text(u->name), name)) {
            *ret_password = u->password;
            *ret_peer = u->identity;
            return ERR_OK;
        }
    }
    return ERR_NOT_FOUND;
}

/* Who it claims to be in IDi is of no interest: EAP asks. */
static enum err serve_eap(void *ctx, const struct identity *claimed, struct span response,
                          struct session_eap_step *ret)
{
    struct client *c = ctx;
    const struct gateway_config *config = c->gateway->config;
    struct eap_server_policy policy = {.method_count = config->eap_method_count,
                                       .tls = {.server = true,
                                               .key = config->key,
                                               .chain = &config->chain,
                                               .trust = config->trust},
                                       .wall_time = wall_time,
                                       .random = c->gateway->session.random,
                                       .ctx = (void *)config,
                                       .find_password = find_password};

    (void)claimed;
    memcpy(policy.methods, config->eap_methods, sizeof(policy.methods));
    return eap_server_step(&c->eap, &policy, response, ret);
}

void client_release_addresses(struct client *c)
{
    for (size_t i = 0; i < c->address_count; i++)
        pool_release(c->gateway->pool, &c->addresses[i]);
    c->address_count = 0;
}

void client_replace_older(struct client *c)
{
    struct gateway *g = c->gateway;

    for (size_t i = 0; i < g->client_count; i++) {
        struct client *other = g->clients[i];

        if (other == c || other->down || !identity_equal(&other->peer, &c->peer))
            continue;
        struct client *older = other->serial < c->serial ? other : c;
        client_release_addresses(older);
        older->replaced = true;
    }
}

/* One address of that family where the request has one, or asks for any. */
static void lease(struct client *c, enum ip_family family, const struct configuration *request,
                  struct configuration *reply)
{
    struct gateway *g = c->gateway;
    const struct prefix *asked = NULL;

    for (size_t i = 0; i < request->address_count && asked == NULL; i++) {
        if (request->addresses[i].ip.family == family)
            asked = &request->addresses[i];
    }
    if (asked == NULL || c->address_count == CLIENT_ADDRESSES_MAX)
        return;
    struct ip *address = &c->addresses[c->address_count];
    if (pool_lease(g->pool, family, &asked->ip, &c->peer, c, address) != ERR_OK) {
        if (pool_has_family(g->pool, family))
            log_warn("the pool has no IPv%d address left", (int)family);
        return;
    }
    c->address_count++;
    reply->addresses[reply->address_count++] = prefix_host(address);
}

/* The session asks after it verified AUTH. */
static enum err assign(void *ctx, const struct identity *peer, const struct configuration *request,
                       struct configuration *ret_reply)
{
    struct client *c = ctx;
    const struct gateway_config *config = c->gateway->config;
    struct configuration reply = {.type = CP_REPLY};

    c->peer = *peer;
    client_replace_older(c);
    if (c->replaced)
        return ERR_REFUSED;
    client_release_addresses(c);
    lease(c, IP_V4, request, &reply);
    lease(c, IP_V6, request, &reply);
    if (request->address_count > 0 && reply.address_count == 0)
        return ERR_REFUSED;
    for (size_t i = 0; i < config->dns_count; i++) {
        bool asked = false;

        for (size_t j = 0; j < request->dns_count; j++)
            asked = asked || request->dns[j].family == config->dns[i].family;
        if (asked)
            reply.dns[reply.dns_count++] = config->dns[i];
    }
    *ret_reply = reply;
    return ERR_OK;
}

void policy_prepare(struct gateway *g)
{
    const struct gateway_config *config = g->config;
    struct session_config *s = &g->session;

    session_config_default(s);
    s->role = SESSION_RESPONDER;
    s->wall_time = wall_time;
    s->ike = config->ike;
    s->esp = config->esp;
    s->local_id = config->identity;
    s->local_auth = config->key != NULL ? SESSION_AUTH_CERTIFICATE : SESSION_AUTH_PSK;
    s->local_psk = config->psk;
    s->remote_auth = config->trust != NULL ? SESSION_AUTH_CERTIFICATE : 0U;
    s->remote_auth |= config->psk.len > 0 ? SESSION_AUTH_PSK : 0U;
    for (const struct gateway_user *u = config->users; u != NULL; u = u->next) {
        s->remote_auth |= u->psk.len > 0 ? SESSION_AUTH_PSK : 0U;
        s->remote_auth |= u->password.len > 0 ? SESSION_AUTH_EAP : 0U;
    }
    if (memchr(config->eap_methods, EAP_TLS, config->eap_method_count) != NULL)
        s->remote_auth |= SESSION_AUTH_EAP;
    s->eap_only = config->eap_only;
    s->key = config->key;
    s->chain = config->chain.count > 0 ? &config->chain : NULL;
    s->trust = config->trust;
    s->evidence = &config->evidence;
    s->remote_selectors = config->networks;
    s->lifetimes = config->lifetimes;
    s->mobike = config->mobike;
    s->return_routability = config->return_routability;
    s->auth_lifetime_s = config->auth_lifetime_s;
    s->redirect = config->redirect;
    if (config->ppks != NULL)
        s->ppk.use = config->require_ppk ? SESSION_PPK_REQUIRED : SESSION_PPK_OPTIONAL;
    s->second_use = config->second_proof;
    s->policy.find_psk = find_psk;
    s->policy.find_ppk = find_ppk;
    s->policy.assign = assign;
    s->policy.eap = serve_eap;
    cookie_jar_init(&g->jar, &s->random);
}
