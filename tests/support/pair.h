/* A client and a gateway session in one process, on virtual time, with a wire between them that a
 * test may listen to, cut, or write on. Links the core: used by programs of the ike room. */
#ifndef TERN_TESTS_PAIR_H
#define TERN_TESTS_PAIR_H

#include "common/ike/cookie.h"
#include "common/ike/session.h"
#include "tests/support/support.h"

enum { PAIR_EVENTS_MAX = 128, PAIR_FLYING_MAX = 64 };

struct pair;

/* What becomes of a datagram: true to deliver it. May change its octets (len stays). */
typedef bool pair_wire(struct pair *p, bool from_client, uint8_t *bytes, size_t len);

/* How long the datagram at wire_path is on its way. */
typedef mono_ms pair_delay(const struct pair *p);

/* A datagram on its way. */
struct pair_flying {
    mono_ms at;
    bool from_client;
    struct path path;
    uint8_t *bytes; /* owned; NULL: free */
    size_t len;
};

/* The inbound SPIs of the children that a side may send by, in the order in which they came: what
 * its CHILD_UP, CHILD_DRAIN and CHILD_DOWN events leave. */
struct pair_children {
    struct {
        uint32_t spi_in, spi_out;
    } items[16];
    size_t count;
};

struct pair {
    struct session_config client_config, gateway_config;
    struct session *client, *gateway;
    struct session *gateway_before; /* of the client's IKE SA before a new IKE_SA_INIT; or NULL */
    mono_ms now;
    pair_wire *wire; /* NULL: deliver all */
    void *wire_ctx;
    pair_delay *delay; /* NULL: none */
    struct pair_flying flying[PAIR_FLYING_MAX];
    struct path wire_path; /* the path of the datagram on the wire, as the client sees it */
    /* A translator in front of the client: the gateway sees it there, and nothing that goes to
     * another port comes back. 0: none. */
    uint16_t nat_port;
    unsigned datagrams; /* so far, both ways */
    unsigned marked;    /* the one that a test is about, counted so; 0: none */
    struct path client_path;
    bool cookies;
    struct cookie_jar jar;
    struct configuration assigned; /* what the gateway's policy hands out */
    struct secret psk;             /* what the gateway has for every client */
    uint64_t seed;

    struct pair_children client_children, gateway_children; /* as told by events so far */
    /* Events so far, in order. */
    struct session_event client_events[PAIR_EVENTS_MAX], gateway_events[PAIR_EVENTS_MAX];
    size_t client_event_count, gateway_event_count;
};

/* Wires that lose the marked one, and all. */
pair_wire pair_lose_marked, pair_lose_all;

/* Configured so that it comes up: PSK, one IPv4 address, 10.9.0.0/24 behind the gateway. */
void pair_init(struct pair *p);
void pair_wipe(struct pair *p);
/* Makes the client and starts it; the gateway is made by its first IKE_SA_INIT request. */
void pair_start(struct pair *p);
/* Delivers until nothing is on the wire. */
void pair_pump(struct pair *p);
/* Pumps and lets time pass from deadline to deadline, until `until` or until nothing is due. */
void pair_run(struct pair *p, mono_ms until);

/* The first event of that type on a side; NULL where there is none. */
const struct session_event *pair_client_event(const struct pair *p, enum session_event_type type);
const struct session_event *pair_gateway_event(const struct pair *p, enum session_event_type type);
size_t pair_count_events(const struct pair *p, bool of_client, enum session_event_type type);
/* Events up to here are old news to the two above. */
void pair_forget_events(struct pair *p);
enum session_state pair_client_state(const struct pair *p);

/* Hand a datagram to the client as if it came from the gateway. */
void pair_forge_to_client(struct pair *p, struct span message);
/* What anybody can who saw the first request: answer it with that notify in the clear. */
void pair_forge_init(struct pair *p, uint64_t spi_r, uint16_t type, struct span data);

/* The client is up, and the first Child SA has at either side what it has at the other. */
void pair_ck_up(const struct pair *p);
/* It ended for that reason, in these words, before there was any; secrets of tests are canaries,
 * and none is told. */
const struct fault *pair_ck_down(const struct pair *p, enum session_down_reason reason,
                                 const char *words);

#endif
