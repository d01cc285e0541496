/* The session's own state, shared by its three files: session.c (the shell: queues, inputs,
 * outputs, views), lifecycle.c (which IKE SA it lives on) and liveness.c (dead peers, keepalives).
 * The exchanges do not look in here. */
#ifndef TERN_IKE_SESSION_STATE_H
#define TERN_IKE_SESSION_STATE_H

#include "common/ike/sa.h"

enum { SESSION_SAS_MAX = 8 };

struct outgoing {
    struct outgoing *next;
    struct path path;
    size_t len;
    uint8_t bytes[];
};

struct queued_event {
    struct queued_event *next;
    struct session_event event;
};

/* Why an attempt is made. */
enum attempt_kind { ATTEMPT_FIRST, ATTEMPT_REBUILD, ATTEMPT_REAUTH };

struct session {
    struct session_config config;
    struct ike_sa *sas[SESSION_SAS_MAX]; /* NULL: free */
    struct ike_sa *current;              /* carries the children; NULL for none */
    struct ike_sa *attempt;              /* being connected; NULL for none */
    struct child_sa *children[CHILDREN_MAX];
    bool started, stopping, down;
    /* DOWN needs no memory: it is made when the queue is empty. */
    bool down_told;
    uint64_t dropped;
    bool broken; /* an event that the driver relies on could not be queued */
    enum session_down_reason down_reason;
    struct fault down_fault;
    mono_ms stop_by;

    /* Initiator: where to, and how it goes. */
    struct path candidates[SESSION_PATHS_MAX];
    size_t candidate_count, candidate;
    unsigned tried; /* candidates that were asked in this attempt */
    enum attempt_kind attempt_kind;
    bool remote_id_withheld; /* the one retry without IDr has been made */
    bool retried_afresh;     /* and the one for a request that may have been mistaken */
    bool was_up;
    bool up_told;       /* UP was the last word on it */
    bool searching;     /* or SEARCHING was */
    mono_ms attempt_at; /* the next one; MONO_NEVER: none planned */
    uint32_t failures;  /* attempts in a row */
    uint32_t refusals;  /* of them, for our credentials */
    uint32_t reconnects;
    struct configuration assigned; /* to be asked for again */
    /* What a child of this session may cover at most. */
    struct selector_list scope_local, scope_remote;

    /* RFC 5685 */
    bool redirecting;       /* asked the driver for ways, or trying them */
    bool redirect_unwanted; /* it led nowhere: stay where we are */
    struct path redirect_paths[SESSION_PATHS_MAX];
    size_t redirect_path_count;
    unsigned redirects;
    mono_ms redirects_since;
    struct ip redirected_from;

    struct outgoing *out_first, **out_last;
    struct outgoing *handed_out; /* what session_output returned last; freed at the next call */
    struct queued_event *event_first, **event_last;

    struct session_traffic traffic; /* as last reported */
    mono_ms unanswered_since;       /* first packet out after the last one in; MONO_NEVER: none */
    mono_ms last_sent;              /* anything on the path */
    bool suspect;                   /* somebody says the peer forgot us: ask at the next occasion */
    bool hinted;                    /* and be less patient until it is heard */
    mono_ms suspect_after;          /* no hint is heeded before */
    uint32_t doubted_spi_in;        /* the child that the last INVALID_SPI was about */
    mono_ms doubted_at;
    mono_ms doubt_after; /* no child is rekeyed for a doubt before */

    uint8_t buffer[IKE_MESSAGE_MAX];
    uint8_t scratch[IKE_MESSAGE_MAX];
    uint8_t train[FRAGMENT_TRAIN_MAX];
};

/* --- session.c --- */
void session_queue(struct session *s, const struct path *path, struct span bytes);

/* --- lifecycle.c --- */

/* After every input: what has ended is acted upon, what is due is sent. */
void lifecycle_settle(struct session *s, mono_ms now);
mono_ms lifecycle_next_timeout(const struct session *s);
void lifecycle_handle_timeout(struct session *s, mono_ms now);

/* --- liveness.c --- */
mono_ms liveness_next_timeout(const struct session *s);
void liveness_handle_timeout(struct session *s, mono_ms now);
/* Somebody says, unprotected, that the peer does not know this child. */
void liveness_doubt_child(struct session *s, mono_ms now, struct child_sa *c);

#endif
