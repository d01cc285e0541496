/* Child SAs: their SPIs and keys, and CREATE_CHILD_SA (RFC 7296 1.3).
 *
 * One Child SA comes with IKE_AUTH. Further ones, and rekeying, are refused for now: the peer gets
 * the answer that RFC 7296 has for it, and keeps what it has. */
#include "common/ike/sa.h"

#include <string.h>

#include "common/base/log.h"

enum err child_request_in(struct ike_sa *sa, struct sa_input *in)
{
    struct notify_payload n;
    const struct payload *sa_payload = payload_find(&in->payloads, PAYLOAD_SA);
    struct proposal_list offered;
    enum err e = proposal_list_parse(sa_payload->body, &offered);
    if (e != ERR_OK)
        return e;
    bool rekey_ike = offered.count > 0 && offered.items[0].protocol == PROTOCOL_IKE;
    bool rekey_child = notify_find(&in->payloads, NOTIFY_REKEY_SA, &n);
    /* RFC 7296 1.3: NO_ADDITIONAL_SAS says never, 2.25: TEMPORARY_FAILURE says not now. */
    uint16_t answer =
        rekey_ike || rekey_child ? NOTIFY_TEMPORARY_FAILURE : NOTIFY_NO_ADDITIONAL_SAS;
    log_info("peer asked to %s: answered %s",
             rekey_ike ? "rekey the IKE SA" : (rekey_child ? "rekey a Child SA" : "add a Child SA"),
             notify_name(answer));
    return sa_response_notify(sa, in, answer, SPAN_EMPTY);
}

static bool spi_in_use(const struct ike_sa *sa, uint32_t spi)
{
    for (size_t i = 0; i < SA_CHILDREN_MAX; i++) {
        if (sa->children[i].used && sa->children[i].spi_in == spi)
            return true;
    }
    return false;
}

uint32_t child_new_spi(struct ike_sa *sa)
{
    uint32_t spi;
    do
        spi = (uint32_t)random_u64(&sa->config->random);
    while (spi < 256 || spi_in_use(sa, spi));
    return spi;
}

static struct sa_child *free_slot(struct ike_sa *sa)
{
    for (size_t i = 0; i < SA_CHILDREN_MAX; i++) {
        if (!sa->children[i].used)
            return &sa->children[i];
    }
    return NULL;
}

enum err child_install(struct ike_sa *sa, bool we_initiated, uint32_t spi_in, uint32_t spi_out,
                       const struct suite *suite, struct span shared, const struct nonce *nonce_i,
                       const struct nonce *nonce_r, const struct selector_list *local,
                       const struct selector_list *remote)
{
    struct sa_child *slot = free_slot(sa);
    if (slot == NULL)
        return ERR_LIMIT;
    struct child_keys keys = {0};
    enum err e = child_keys_derive(sa->suite.prf, &sa->keys.d, suite, shared,
                                   span_make(nonce_i->data, nonce_i->len),
                                   span_make(nonce_r->data, nonce_r->len), &keys);
    if (e != ERR_OK)
        return e;
    struct session_event *event = session_emit(sa->session, SESSION_EVENT_CHILD_UP);
    if (event == NULL) {
        child_keys_wipe(&keys);
        return ERR_MEMORY;
    }
    event->child = (struct session_child){
        .spi_in = spi_in,
        .spi_out = spi_out,
        .suite = *suite,
        .enc_out = we_initiated ? keys.enc_i : keys.enc_r,
        .integ_out = we_initiated ? keys.integ_i : keys.integ_r,
        .enc_in = we_initiated ? keys.enc_r : keys.enc_i,
        .integ_in = we_initiated ? keys.integ_r : keys.integ_i,
        .local = *local,
        .remote = *remote,
    };
    child_keys_wipe(&keys);
    *slot = (struct sa_child){.used = true, .spi_in = spi_in, .spi_out = spi_out};
    return ERR_OK;
}

struct sa_child *child_by_spi_out(struct ike_sa *sa, uint32_t spi_out)
{
    for (size_t i = 0; i < SA_CHILDREN_MAX; i++) {
        if (sa->children[i].used && sa->children[i].spi_out == spi_out)
            return &sa->children[i];
    }
    return NULL;
}

void child_remove(struct ike_sa *sa, struct sa_child *child)
{
    struct session_event *event = session_emit(sa->session, SESSION_EVENT_CHILD_DOWN);
    if (event != NULL)
        event->child_down_spi_in = child->spi_in;
    *child = (struct sa_child){0};
}
