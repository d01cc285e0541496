/* The session's own state, shared by its eight files: session.c (the shell: queues, inputs,
 * outputs, views), lifecycle.c (which IKE SA it lives on), attempt.c (how it comes by one), ways.c
 * (by which ways it can go), roam.c (by which it goes), addresses.c (the gateway's others),
 * liveness.c (dead peers) and keepalive.c (translators). The exchanges do not look in here. */
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
enum attempt_kind {
    ATTEMPT_FIRST,
    ATTEMPT_REBUILD,
    ATTEMPT_REAUTH,
    ATTEMPT_MOVE /* to a better way, where the gateway lacks MOBIKE */
};

/* A way to the gateway, as the driver lists it. */
struct way {
    struct path path;
    int64_t srtt_ms; /* smoothed round trip; -1: not measured */
};

/* How an interface has behaved; remembered while it is away. */
struct trust {
    uint32_t interface;
    uint32_t failures; /* 0: none, or forgiven */
    mono_ms failed_at; /* the last one */
};

enum { TRUSTS_MAX = 8 };

enum roam_mode {
    ROAM_STEADY,  /* requests go by the path */
    ROAM_PROBING, /* by a better way, to see whether it carries */
    ROAM_RACING   /* by every way; the first answer decides */
};

/* Of the current IKE SA. */
struct roam {
    struct way ways[SESSION_PATHS_MAX];
    size_t way_count;
    bool stranded; /* there is no way; whoever was up is held */
    /* We are where the gateway does not look for us, and it cannot be told: whatever it answers,
     * the connection has to be made anew. */
    bool astray;
    struct trust trusts[TRUSTS_MAX];

    enum roam_mode mode;
    struct path target; /* PROBING: by that way; family none: none */
    enum session_move target_reason;
    struct path hint;   /* the gateway asked us something on that way; family none: none */
    mono_ms hint_after; /* none is heeded before */
    bool update_wanted; /* the peer has to be told where we are (RFC 4555 3.5) */
    bool update_out;    /* it is being told */
    /* The outstanding request went by more than one way: what its answer says of addresses is not
     * certain (RFC 4555 3.5). */
    bool scattered;
    bool hurry;            /* its answer decides whether the path carries */
    mono_ms raced_at;      /* the last race began */
    int64_t took_ms;       /* what the way that won it takes, at most; 0: none, or long ago */
    mono_ms path_since;    /* the path is this one since */
    mono_ms silence_since; /* of the first packet that brought no answer; MONO_NEVER: all is well */
    uint32_t quiet;        /* questions since something came through a Child SA */
    bool seen_known; /* how the peer sees our end of the path: its NAT_DETECTION_DESTINATION_IP */
    uint8_t seen[NAT_HASH_LEN];

    bool moving; /* a handover goes on: */
    struct session_handover handover;
    mono_ms left_at, moved_at, heard_at;
    uint32_t handovers;

    /* Responder. */
    bool check_wanted;     /* ask at the new address */
    bool path_unconfirmed; /* ESP does not go there yet */
    bool announce_wanted;  /* the list of our addresses */
    bool list_unconfirmed; /* is being told */
};

/* How long the translator of a network remembers. */
struct nat_memory {
    uint32_t interface;
    struct ip local;
    uint32_t good_ms; /* that long, for certain; 0: unused */
    bool bounded;     /* and not much longer */
    mono_ms used;
};

enum { NATS_MAX = 8 };

/* Initiator: what the gateway said last of its other addresses. */
struct addresses {
    struct ip items[SESSION_ADDRESSES_MAX];
    size_t count;
    mono_ms born;  /* of the IKE SA that said so */
    bool news;     /* the driver has not been told */
    unsigned told; /* lists, since: */
    mono_ms told_since;
};

struct session {
    struct session_config config;
    struct ike_sa *sas[SESSION_SAS_MAX]; /* NULL: free */
    struct ike_sa *current;              /* carries the children; NULL for none */
    struct ike_sa *attempt;              /* asks with IKE_SA_INIT; NULL for none */
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
    struct roam roam;
    struct addresses addresses;
    size_t candidate;       /* of the ways, in this attempt */
    size_t candidate_limit; /* only the first so many are tried; 0: all */
    unsigned tried;         /* ways that were asked in this attempt */
    bool attempt_owed;      /* as soon as there is a way */
    enum attempt_kind attempt_kind;
    bool remote_id_withheld; /* the one retry without IDr has been made */
    bool retried_afresh;     /* and the one for a request that may have been mistaken */
    bool password_spent;     /* config.eap_once, and it has been handed over */
    bool password_refused;   /* and trying it again would not make it better */
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
    struct nat_memory nats[NATS_MAX];
    uint32_t nat_tried_ms;   /* the silence that the outstanding question is about; 0: none */
    bool asked;              /* whether the peer lives, and it has not answered yet */
    bool suspect;            /* somebody says the peer forgot us: ask at the next occasion */
    bool hinted;             /* and be less patient until it is heard */
    mono_ms suspect_after;   /* no hint is heeded before */
    uint32_t doubted_spi_in; /* the child that the last INVALID_SPI was about */
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

/* The last event; nothing is sent any more but answers that are asked for again. */
void lifecycle_end(struct session *s, enum session_down_reason reason, const struct fault *f);
void lifecycle_search(struct session *s, enum session_down_reason reason, const struct fault *f);
/* Make what stands anew, at once or when it is time again. */
void lifecycle_rebuild(struct session *s, mono_ms now, enum attempt_kind kind);

/* --- attempt.c --- */

void attempt_begin(struct session *s, mono_ms now);
void attempt_abandon(struct session *s); /* without consequences */
bool attempt_going_on(const struct session *s);
bool attempt_answered(const struct session *s); /* IKE_AUTH is out */
/* Of the IKE SAs of an attempt the one to be shown; NULL for none. */
const struct ike_sa *attempt_face(const struct session *s);
void attempt_member_ended(struct session *s, mono_ms now, struct ike_sa *sa);
void attempt_handle_timeout(struct session *s, mono_ms now);
/* The ways have changed: first what can no longer be gone is given up, and when what stands has
 * followed, so does what is attempted. */
void attempt_ways_going(struct session *s);
void attempt_ways_changed(struct session *s, mono_ms now);

/* --- ways.c --- */

/* The driver's list; what is known of those that stay is kept. True where a new one is there. */
bool ways_set(struct session *s, const struct path *paths, size_t count);
bool ways_is_path(const struct path *path); /* or none */
bool ways_same_ends(const struct path *a, const struct path *b);
/* The one with these ends; NULL. */
struct way *ways_find(struct session *s, const struct path *path);
/* Is it listed, on its interface? */
bool ways_lists(const struct session *s, const struct path *path);
/* Is its local end? */
bool ways_have_source(const struct session *s, const struct path *path);
/* Of an interface: it went away under us; it was asked while another carried, and did not answer
 * (its first packets may just have been late); it was in use, and did not carry. */
enum ways_failure { WAYS_WENT, WAYS_UNHEARD, WAYS_DEAD };
void ways_failed(struct roam *r, mono_ms now, uint32_t interface, enum ways_failure how);
void ways_forgive(struct roam *r, uint32_t interface);
/* When it may be moved to of our own accord. */
mono_ms ways_trusted_at(const struct session *s, uint32_t interface);
/* Where to, in a hurry; there is a way. */
const struct way *ways_best(const struct session *s, mono_ms now, const struct path *current);
/* A way on another interface that stands before the path in use, and the moment from which it may
 * be tried; NULL for none. */
const struct way *ways_better(const struct session *s, mono_ms *ret_at);

/* --- roam_move.c --- */

/* From that way, to the gateway's port as it is. */
struct path roam_along(const struct ike_sa *sa, const struct path *way);
void roam_steady(struct roam *r); /* no way is being asked but the path */
void roam_announce_path(struct session *s);
void roam_ask_again(struct session *s, mono_ms now); /* all that is outstanding, by the path */
/* A handover begins; one that goes on keeps its beginning. */
void roam_move_begin(struct session *s, mono_ms now, enum session_move reason);
/* resend: what is outstanding has no answer yet, and goes by the new path. */
void roam_move(struct session *s, mono_ms now, const struct path *way, enum session_move reason,
               bool resend);
void roam_move_anew(struct session *s, mono_ms now); /* by a new IKE SA: the gateway lacks MOBIKE */
void roam_move_finish(struct session *s, mono_ms now); /* the gateway knows where we are */

/* --- roam.c --- */

void roam_init(struct session *s);
/* A new IKE SA is current: it stands where it stands. */
void roam_begin(struct session *s, mono_ms now);
void roam_not_better(struct session *s, mono_ms now);
mono_ms roam_next_timeout(const struct session *s);
void roam_handle_timeout(struct session *s, mono_ms now);
/* Something authentic came in at that time. */
void roam_heard(struct session *s, mono_ms at);
/* How long silence may last before the path is doubted; MONO_NEVER: not at all. */
mono_ms roam_patience(const struct session *s);

/* --- addresses.c --- */
mono_ms addresses_next_timeout(const struct session *s);
void addresses_handle_timeout(struct session *s, mono_ms now);

/* --- liveness.c --- */
mono_ms liveness_next_timeout(const struct session *s);
mono_ms liveness_last_in(const struct session *s); /* of anything authentic; MONO_NEVER */
/* Somebody says, unprotected, that the peer does not know this child. */
void liveness_doubt_child(struct session *s, mono_ms now, struct child_sa *c);

/* --- keepalive.c --- */
mono_ms keepalive_next_timeout(const struct session *s);
void keepalive_handle_timeout(struct session *s, mono_ms now);
/* The translator has been asked about a silence: the gateway sees us elsewhere now, or as before.
 */
void keepalive_judge(struct session *s, bool changed);

#endif
