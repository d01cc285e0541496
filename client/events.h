/* What happens to a connection, told to those who follow it (`tern monitor`, `tern wait`). Whoever
 * sees something happen says so with events_emit; as long as nobody follows that costs nothing. */
#ifndef TERN_CLIENT_EVENTS_H
#define TERN_CLIENT_EVENTS_H

#include <time.h>

#include "client/control.h"
#include "common/base/log.h"
#include "common/base/mono.h"
#include "common/ike/session.h"
#include "platform/network.h"

/* The names are a contract: see presentation_event.c. */
enum client_event_type {
    CLIENT_EVENT_STATE,
    CLIENT_EVENT_PHASE,
    CLIENT_EVENT_NETWORK,
    CLIENT_EVENT_PATH_PROBE,
    CLIENT_EVENT_HANDOVER,
    CLIENT_EVENT_NAT_CHANGED,
    CLIENT_EVENT_DPD,
    CLIENT_EVENT_REKEY,
    CLIENT_EVENT_CHILD,
    CLIENT_EVENT_CONFIG,
    CLIENT_EVENT_REPAIR,
    CLIENT_EVENT_ERROR,
    CLIENT_EVENT_LOG,
    CLIENT_EVENTS
};

enum { REPAIR_WORDS_MAX = 5 };

/* Text is borrowed for the call; NULL, a family of none and a number below 0 mean: not known. */
struct client_event {
    enum client_event_type type;
    struct timespec at; /* both 0: events_emit fills them in */
    mono_ms mono;
    union {
        struct {
            const char *state, *was; /* connecting, up, searching, down */
            const char *reason;      /* what was seen */
        } state;
        struct {
            const char *name, *text;
            int64_t ms; /* that it took */
        } phase;
        struct {
            const struct network_way *ways; /* best first */
            size_t count;
        } network;
        struct {
            const struct path *path;
            const char *interface;
            const char *result; /* sent, answered, silent */
            double rtt_ms;
        } probe;
        struct {
            const char *from, *to; /* interfaces */
            const char *reason;    /* address-gone, better-path, dead-path, nat-changed, peer-moved,
                                      manual */
            const struct path *path; /* the new one */
            int64_t messages;        /* that were sent for it */
            double gap_ms;           /* without traffic */
        } handover;
        struct {
            bool nat; /* in front of us */
            const struct path *path;
        } nat;
        struct {
            const char *result; /* asked, answered, silent */
            int64_t silence_ms; /* since the gateway was heard last */
        } dpd;
        struct {
            bool ike;                    /* else a child: */
            uint32_t old_spi_in, spi_in; /* 0: not known */
        } rekey;
        struct {
            const char *change; /* up, drain, down */
            uint32_t spi_in;
            const struct session_child *child; /* may be NULL */
        } child;
        const struct configuration *config;
        struct {
            const char *interface, *was; /* was: its name, where others have changed it */
            const char *const *missing;  /* interface, link, addresses, rules, routes */
            size_t count;
            const char *fault; /* why it is missing still */
        } repair;
        struct {
            const struct fault *fault;
            int exit_code; /* below 0: the connection goes on */
        } error;
        struct {
            enum log_level level;
            const char *line;
        } log;
    };
};

/* Renders the event and sends it to all who follow. Never logs: log lines are events. c may be
 * NULL. */
void events_emit(struct control *c, struct client_event e);
/* What the session's event means to those who follow, where that needs nothing else: CONFIG,
 * CHILD_*, REKEYED, NAT_CHANGED, LIVENESS. */
void events_of_session(struct control *c, const struct session_event *e);

#endif
