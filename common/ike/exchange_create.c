/* CREATE_CHILD_SA (RFC 7296 1.3): one exchange for three purposes. Here is told apart which of them
 * a message serves: a Child SA, new or rekeyed (exchange_child.c), or a rekeyed IKE SA
 * (exchange_rekey.c). */
#include "common/ike/sa.h"

#include "common/base/log.h"
#include "common/crypto/kex.h"

enum err create_request_in(struct ike_sa *sa, struct sa_input *in)
{
    struct proposal_list offered;
    enum err e = proposal_list_parse(payload_find(&in->payloads, PAYLOAD_SA)->body, &offered);
    if (e != ERR_OK)
        return e;
    if (sa->close_wanted)
        return create_request_not_now_in(sa, in);
    if (!session_is_current(sa))
        rekey_settle_for_rival(sa, in->now);
    if (offered.count > 0 && offered.items[0].protocol == PROTOCOL_IKE)
        return rekey_request_in(sa, in, &offered);
    return child_request_in(sa, in, &offered);
}

/* RFC 7296 2.25.2: what is about to be gone gets no successor and no children. */
enum err create_request_not_now_in(struct ike_sa *sa, struct sa_input *in)
{
    return sa_response_notify(sa, in, NOTIFY_TEMPORARY_FAILURE, SPAN_EMPTY);
}

enum err create_response_in(struct ike_sa *sa, struct sa_input *in)
{
    struct notify_payload n;
    if (notify_find_error(&in->payloads, &n)) /* RFC 7296 3.10.1: whatever else it says */
        return create_notify_in(sa, in);
    sa_answered(sa, in->now);
    sa->retries = 0;
    enum task_kind kind = sa->task.kind;
    enum err e = kind == TASK_REKEY_IKE ? rekey_response_in(sa, in) : child_response_in(sa, in);
    task_end(&sa->task);
    return e;
}

enum err create_notify_in(struct ike_sa *sa, struct sa_input *in)
{
    struct notify_payload n;
    if (!notify_find_error(&in->payloads, &n))
        return ERR_MALFORMED;
    sa_answered(sa, in->now);
    const char *name = notify_name(n.type);
    log_info("peer refuses with %u (%s)", n.type, name != NULL ? name : "unknown");
    enum err e =
        sa->task.kind == TASK_REKEY_IKE ? rekey_notify_in(sa, in, &n) : child_notify_in(sa, in, &n);
    if (!sa->window.request.active)
        task_end(&sa->task); /* else the answer led to a new request, with a task of its own */
    return e;
}

enum err create_other_group(const struct ike_sa *sa, const struct proposal_list *ours,
                            const struct notify_payload *n, enum ke_id *ret)
{
    struct wire_reader r;
    wire_reader_init(&r, n->data);
    uint16_t group = wire_read_u16(&r);
    if (wire_read_finish(&r) != ERR_OK || !proposal_list_has_ke(ours, group) ||
        !kex_supported((enum ke_id)group) ||
        (sa->task.kex != NULL && kex_id(sa->task.kex) == (enum ke_id)group))
        return ERR_REFUSED;
    *ret = (enum ke_id)group;
    return ERR_OK;
}
