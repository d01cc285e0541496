/* A connection's own state, shared by its five files: connection.c (opening, driving the session,
 * stopping), connection_events.c (what the session's events lead to), connection_fit.c (what of a
 * packet fits the path), connection_repair.c (what others did to our part of the system) and
 * connection_news.c (who is told what: progress, followers, hooks, the control socket). */
#ifndef TERN_CLIENT_CONNECTION_STATE_H
#define TERN_CLIENT_CONNECTION_STATE_H

#include "client/child_list.h"
#include "client/connection.h"
#include "client/control.h"
#include "client/dns_keeper.h"
#include "client/hooks.h"
#include "client/lookup.h"
#include "client/pace.h"
#include "client/reach.h"
#include "client/wakeup.h"
#include "common/base/log.h"

/* What the path bears, as it was found last. */
struct connection_fit {
    struct path path;
    uint32_t path_mtu; /* 0: not known */
    mono_ms looked_at;
    uint64_t too_long; /* of the data path, then */
    /* The gateway answered on this path, what the tunnel had counted then, and until when the path
     * is thought to swallow what is long. */
    bool answered;
    uint64_t authentic, packets, bytes;
    mono_ms swallows_until;
};

struct connection {
    const struct connection_options *options;
    uv_loop_t loop;
    struct wakeup *wakeup; /* at the session's deadline, and when the machine has slept */
    uv_timer_t patience;   /* --timeout, then the bound on stopping */
    uv_timer_t hold;       /* how long packets wait for a Child SA */
    uv_timer_t repair;     /* when our part of the system is looked at */
    struct pace pace;      /* of its repairs */
    uv_signal_t on_int, on_term;
    struct reach *reach;
    struct lookup redirect; /* RFC 5685 */
    struct datapath *datapath;
    struct control *control;
    struct hooks *hooks;
    struct session *session;
    struct trust_stores trust; /* in place of the credentials', once CRLs have changed */
    struct crl_file crls[PROFILE_LIST_MAX]; /* as they were read last */
    struct tunnel *tunnel;
    struct system *system;
    struct dns_keeper *dns_keeper;
    struct configuration config;  /* what the gateway assigned last */
    struct configuration applied; /* and what the system has */
    struct selector_list applied_remote;
    struct child_list children;
    /* The path's interface; and that of the path before, while a handover goes on. */
    char path_name[NETWORK_NAME_MAX], settled_name[NETWORK_NAME_MAX];
    char tun_name[TUN_NAME_MAX];
    bool up, searching, ended;
    bool stopping; /* down was asked for */
    bool started;  /* the session has been */
    bool holding;  /* no Child SA to leave by: packets wait in the TUN */
    bool tun_lost; /* it cannot be read, and is read no more */
    const char *host;
    const char *state_told; /* to those who follow */
    struct connection_fit fit;
    struct timespec since, established; /* the latter as told last, of: */
    mono_ms established_mono;
    struct connection_handover handover; /* the last one */
    mono_ms phase_at;
    enum exit_code code;
    struct fault fault;
};

/* --- connection.c --- */

/* Everything that the loop calls ends with it: drains the session, sets the deadline. */
void connection_settle(struct connection *c);
/* The loop ends. f may be NULL. */
void connection_end(struct connection *c, enum exit_code code, const struct fault *f);
/* Stopped by the user: as it should be once it was up, else `up` has not done what it was asked. */
void connection_end_as_asked(struct connection *c);
/* What went wrong here, not at the gateway: it has to hear that we go. */
void connection_fail(struct connection *c, enum exit_code code, const struct fault *f);
void connection_stop(struct connection *c);
/* The gateway sent us to another one (RFC 5685): look where that is. */
void connection_redirect(struct connection *c, const struct redirect_target *to);

/* --- connection_events.c --- */
void connection_event(struct connection *c, const struct session_event *e);

/* --- connection_fit.c --- */
/* ESP leaves by that path: what leaves the tunnel has to fit it. */
void connection_fit(struct connection *c, const struct path *path);
/* The gateway answered, after what went through the tunnel had brought nothing back. */
void connection_fit_answered(struct connection *c);
/* Packets went, now: does the path bear what it bore? Cheap where that was asked just before. */
void connection_fit_again(struct connection *c, mono_ms now);

/* --- connection_repair.c --- */
/* Packets go through the system's interface, whatever its name and number now. */
void connection_carry(struct connection *c);
void connection_ours_changed(void *ctx); /* perhaps */
void connection_tun_lost(void *ctx);
/* A repair that waits for its time is done now: the system is about to be changed. */
void connection_repair_due(struct connection *c);

/* --- connection_news.c --- */
struct timespec connection_wall_now(void);
const char *connection_state_text(const struct connection *c); /* connecting, up, ... */
/* Of a path; NULL where it is not known. */
const char *connection_interface_name(const struct connection *c, const struct path *path);
void news_state(struct connection *c); /* where it is another one than was told last */
void news_error(struct connection *c, int exit_code);
/* A line of progress with the time that the phase took. */
void news_phase(struct connection *c, const char *name, const char *text);
void news_probe(struct connection *c, const struct path *path, bool answered);
void news_network(struct connection *c, const struct path *paths, size_t count);
void news_handover(struct connection *c, const struct session_handover *h);
/* The profile's programs for up and down. */
void news_hook(struct connection *c, enum profile_hook which);
void news_log(void *ctx, enum log_level level, const char *line);
json_t *connection_request(void *ctx, const json_t *request); /* of the control socket */

#endif
