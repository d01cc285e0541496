/* One outstanding request each way. The responder's cached answer is repeated only for an identical
 * request, so that a forged header does not make us an amplifier. */
#include "common/ike/window.h"

#include <stdlib.h>
#include <string.h>

void window_init(struct window *w)
{
    *w = (struct window){0};
}

static void forget(uint8_t **bytes, size_t *len)
{
    if (*bytes != NULL)
        wipe(*bytes, *len);
    free(*bytes);
    *bytes = NULL;
    *len = 0;
}

void window_wipe(struct window *w)
{
    forget(&w->request.bytes, &w->request.len);
    forget(&w->response, &w->response_len);
    window_init(w);
}

static uint8_t *copy(struct span s)
{
    uint8_t *bytes = malloc(s.len > 0 ? s.len : 1);
    if (bytes != NULL && s.len > 0)
        memcpy(bytes, s.data, s.len);
    return bytes;
}

enum err window_request_begin(struct window *w, mono_ms now, uint8_t exchange, struct span bytes,
                              const struct session_retransmit *policy)
{
    struct window_request *r = &w->request;
    if (r->active)
        return ERR_STATE;
    if (w->next_id == UINT32_MAX)
        return ERR_EXHAUSTED; /* RFC 7296 2.2: IDs do not wrap */
    uint8_t *own = copy(bytes);
    if (own == NULL)
        return ERR_MEMORY;
    *r = (struct window_request){
        .active = true,
        .exchange = exchange,
        .id = w->next_id,
        .bytes = own,
        .len = bytes.len,
        .sent = 1,
        .first_at = now,
        .next_at = now + (mono_ms)policy->first_ms,
        .interval = policy->first_ms,
        .policy = *policy,
    };
    return ERR_OK;
}

enum window_due window_request_due(struct window *w, mono_ms now)
{
    struct window_request *r = &w->request;
    if (!r->active || now < r->next_at)
        return WINDOW_WAIT;
    if (r->policy.tries != 0 && r->sent >= r->policy.tries)
        return WINDOW_FAILED;
    r->interval = r->interval * r->policy.growth_percent / 100;
    if (r->interval > r->policy.max_ms)
        r->interval = r->policy.max_ms;
    r->sent++;
    r->next_at = now + (mono_ms)r->interval;
    return WINDOW_RESEND;
}

void window_request_go_on(struct window *w, mono_ms now, uint32_t pace_ms)
{
    struct window_request *r = &w->request;
    ASSERT(r->active);
    r->policy.tries = 0;
    r->policy.max_ms = pace_ms;
    r->interval = pace_ms;
    r->next_at = now + (mono_ms)pace_ms;
}

void window_request_no_later(struct window *w, mono_ms at)
{
    struct window_request *r = &w->request;
    ASSERT(r->active);
    if (r->next_at > at)
        r->next_at = at;
}

void window_request_anew(struct window *w, mono_ms now)
{
    struct window_request *r = &w->request;
    ASSERT(r->active);
    r->sent = 1;
    r->first_at = now;
    r->interval = r->policy.first_ms;
    r->next_at = now + (mono_ms)r->interval;
}

enum err window_request_recut(struct window *w, mono_ms now, struct span bytes)
{
    struct window_request *r = &w->request;
    ASSERT(r->active);
    uint8_t *own = copy(bytes);
    if (own == NULL)
        return ERR_MEMORY;
    forget(&r->bytes, &r->len);
    r->bytes = own;
    r->len = bytes.len;
    r->interval = r->policy.first_ms; /* RFC 7383 2.5.2: it is on its way for the first time */
    r->next_at = now + (mono_ms)r->interval;
    return ERR_OK;
}

bool window_request_matches(const struct window *w, uint8_t exchange, uint32_t id)
{
    return w->request.active && w->request.exchange == exchange && w->request.id == id;
}

int64_t window_request_end(struct window *w, mono_ms now)
{
    struct window_request *r = &w->request;
    ASSERT(r->active);
    int64_t rtt = r->sent == 1 ? now - r->first_at : -1;
    forget(&r->bytes, &r->len);
    r->active = false;
    w->next_id++;
    return rtt;
}

void window_begin_at_one(struct window *w)
{
    ASSERT(w->next_id == 0 && !w->request.active);
    w->next_id = 1;
}

void window_request_restart(struct window *w)
{
    forget(&w->request.bytes, &w->request.len);
    w->request.active = false;
    w->next_id = 0;
}

bool window_is_answered(const struct window *w, uint32_t id)
{
    return w->response != NULL && id == w->expected_id - 1;
}

bool window_is_repeat(const struct window *w, uint32_t id, struct span message)
{
    uint8_t hash[SHA256_LEN];
    if (!window_is_answered(w, id))
        return false;
    hash_sha256(&message, 1, hash);
    return memcmp(hash, w->request_hash, sizeof(hash)) == 0;
}

enum window_arrival window_arrival(const struct window *w, uint32_t id, struct span message)
{
    if (id == w->expected_id)
        return WINDOW_NEW;
    return window_is_repeat(w, id, message) ? WINDOW_REPEAT : WINDOW_FOREIGN;
}

enum err window_respond(struct window *w, struct span request, struct span response)
{
    uint8_t *own = copy(response);
    if (own == NULL)
        return ERR_MEMORY;
    forget(&w->response, &w->response_len);
    w->response = own;
    w->response_len = response.len;
    hash_sha256(&request, 1, w->request_hash);
    w->expected_id++;
    return ERR_OK;
}
