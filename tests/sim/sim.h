/* The simulator: clients, a gateway, the network between them and what is wrong with it, on virtual
 * time in one thread. One 64-bit seed draws all of it, so a run repeats.
 *
 * Where things are: plan.c draws what a seed is about; world.c has the clock and the two phases of
 * a run (faulty, healed); network.c carries datagrams and mistreats them; end.c is one session with
 * its tunnel, whichever side; client.c and gateway.c are the drivers around it; traffic.c is what
 * users send; hostile.c is the third party; observer.c and check.c hold what must be true;
 * memory.c wraps the allocator and the key functions; transcript.c draws the ladder. */
#ifndef TERN_TESTS_SIM_H
#define TERN_TESTS_SIM_H

#include <stdio.h>

#include "common/esp/tunnel.h"
#include "common/ike/cookie.h"
#include "common/ike/session.h"
#include "tests/sim/rng.h"
#include "tools/gateway/pool.h"

enum {
    CLIENTS_MAX = 2,
    GATEWAY_ENDS_MAX = 40,
    HALF_OPEN_MAX = 12,
    HALF_OPEN_MS = 10000,
    LINGER_MS = 10000,
    NOTICE_MS = 1000,
    COOKIES_FROM = 4, /* half-open sessions */
    CAPTURES_MAX = 32,
    DATAGRAM_MAX = 17000
};

/* What can be wrong, as a set. */
enum fault_kind {
    FAULT_LOSS = 1 << 0,
    FAULT_DUPLICATE = 1 << 1,
    FAULT_REORDER = 1 << 2,
    FAULT_CORRUPT = 1 << 3,
    FAULT_PARTITION = 1 << 4,
    FAULT_SMALL_MTU = 1 << 5, /* IP fragments are lost */
    FAULT_FORGERY = 1 << 6,
    FAULT_REBINDING = 1 << 7, /* of the NAT */
    FAULT_CRASH = 1 << 8,     /* the gateway forgets everything */
    FAULT_PAUSE = 1 << 9,     /* an end stands still, and goes on later */
    FAULT_COMMANDS = 1 << 10, /* at random times, on both sides */
    FAULT_MEMORY = 1 << 11,   /* the n-th allocation fails */
    FAULT_WALL_CLOCK = 1 << 12,
    FAULT_IMPOSTOR = 1 << 13, /* a gateway, and a client, that do not know the key */
    FAULT_BURST = 1 << 14,    /* many packets of one end vanish at once, then old ones come again */
    FAULTS_END = 1 << 15
};

enum plan_cookies { COOKIES_OFF, COOKIES_AUTO, COOKIES_ALWAYS };

struct plan {
    unsigned faults;
    mono_ms faulty_ms;
    size_t clients;
    unsigned loss, duplication, corruption, forgery; /* per mille */
    int64_t delay_min, delay_max;
    bool nat;
    mono_ms nat_expiry_ms;
    size_t mtu;
    enum plan_cookies cookies;
    mono_ms epoch_client, epoch_gateway; /* what their monotonic clocks show at the start */
    int64_t traffic_ms;                  /* mean pause between two inner packets of one sender */
    struct session_config client, gateway;
};

struct violation {
    bool set;
    char name[32];
    char text[400];
    mono_ms at;
};

/* --- one end: a session with its tunnel --- */

struct end_child {
    uint32_t spi_in, spi_out;
    uint64_t key_in, key_out; /* prints of the keys */
    bool drained, succeeds;   /* succeeds: came in another one's place */
    mono_ms since;
    uint64_t packets, bytes; /* sealed by it */
};

enum end_kind { END_CLIENT, END_GATEWAY, END_INTRUDER, END_IMPOSTOR };

struct world;

struct end {
    struct world *world;
    enum end_kind kind;
    size_t client; /* whose: index of the client that it is, or (once proven) serves */
    uint64_t serial;
    struct session *session;
    struct tunnel *tunnel;
    struct end_child children[TUNNEL_CHILDREN_MAX];
    size_t child_count;
    struct session_traffic traffic;
    uint64_t authentic;
    struct path path;
    bool behind_nat;
    bool authenticated; /* a genuine IKE_AUTH message of the peer has been handed in */
    bool up, down;
    bool was_up;
    bool stopping; /* we asked for it */
    enum session_down_reason reason;
    mono_ms half_open_until; /* gateway, local clock; MONO_NEVER: not half open */
    mono_ms linger_until;    /* gateway, after the end: repeats its last answer till then */
    bool replaced;
    struct identity peer;
    struct ip inner; /* the client's inner address */
    bool leased;
    mono_ms handled_at; /* of the last timeouts, to see that they move on */
    unsigned handled_times;
};

struct client {
    struct end *end;   /* NULL: not running */
    bool wanted;       /* the user wants it up */
    unsigned attempts; /* since it was up last */
    bool paused;
    struct ip outer;
    struct rng random;
    uint64_t sent, delivered; /* since healing, of its inner packets and of those to it */
    uint64_t delivered_in;
};

struct gateway {
    struct end *ends[GATEWAY_ENDS_MAX];
    size_t count, half_open;
    struct pool *pool;
    struct cookie_jar jar;
    mono_ms notice_after; /* no stranger is answered before */
    bool alive, paused;
    struct rng random;
};

/* --- the network --- */

struct datagram {
    bool to_gateway;
    bool genuine; /* as an end of ours sent it */
    bool sealed;  /* or a hostile end, which has keys with whom it talks to */
    size_t client;
    struct endpoint from, to;
    size_t len;
    uint8_t bytes[];
};

struct nat_mapping {
    uint16_t port; /* outside; 0: none */
    mono_ms used;
};

struct network {
    struct rng random;
    struct nat_mapping nat[CLIENTS_MAX][2]; /* towards port 500, 4500 */
    uint16_t next_port;
    mono_ms cut_until[2]; /* from clients, to clients */
    struct datagram *captures[CAPTURES_MAX];
    size_t captured;
};

struct hostile {
    struct rng random;
    struct end *intruder; /* a client without the key */
    struct end *impostor; /* a gateway without the key */
    size_t victim;        /* whose datagrams the impostor takes */
    mono_ms impostor_until;
};

/* --- what is due --- */

enum due_kind {
    DUE_DATAGRAM,
    DUE_FROM_CLIENT, /* an inner packet */
    DUE_FROM_GATEWAY,
    DUE_FAULT,
    DUE_CLIENT_START,
    DUE_CLIENT_RESUME,
    DUE_GATEWAY_RESUME
};

struct due {
    mono_ms at;
    uint64_t order;
    enum due_kind kind;
    unsigned arg;
    struct datagram *datagram;
};

struct queue {
    struct due *items;
    size_t count, cap;
    uint64_t order;
};

/* --- books --- */

/* 64-bit keys to 64-bit values, open addressing; key 0 is none. */
struct map {
    uint64_t *slots; /* pairs */
    size_t cap, count;
};

/* One inner packet that a user sent. */
struct ledger_entry {
    uint8_t from_gateway, client, delivered;
    uint16_t len;
};

struct observer {
    struct map messages;  /* what was sent under one IKE message ID */
    struct map requests;  /* last request of a side, and whether it was answered */
    struct map received;  /* requests handed in */
    struct map sequences; /* last ESP sequence number of an SA */
    struct map delivered; /* datagrams by content: who had it when established */
    struct map held;      /* inbound SPI and key of every Child SA that ever stood */
    struct map highest;   /* ESP sequence number that came in by an SA */
};

struct world {
    uint64_t seed;
    struct plan plan;
    mono_ms now;
    mono_ms faulty_until; /* later than planned where clients slept */
    mono_ms asleep_until; /* all clients do, and nobody does anything */
    bool healed;
    struct rng random;
    int64_t wall_seconds;
    struct queue queue;
    struct client clients[CLIENTS_MAX];
    struct gateway gateway;
    struct network network;
    struct hostile hostile;
    struct observer observer;
    struct ledger_entry *ledger;
    size_t ledger_count, ledger_cap;
    uint64_t serial;
    uint64_t steps;
    struct violation violation;
    FILE *transcript; /* NULL: none */
    struct secret psk;
};

/* --- certificates.c --- */
enum certified {
    CERTIFIED_GATEWAY,
    CERTIFIED_CLIENT1,
    CERTIFIED_CLIENT2,
    CERTIFIED_IMPOSTOR,
    CERTIFIED_INTRUDER,
    CERTIFIED_COUNT
};
/* Trust, and where it proves itself by certificate, whose. */
void certificates_use(struct session_config *c, enum certified who);

/* --- plan.c --- */
void plan_draw(struct plan *plan, uint64_t seed, const struct secret *psk);
const char *plan_text(const struct plan *plan, char *out, size_t cap);
/* How long a client may need to notice that the gateway forgot it, and to be back. */
mono_ms plan_recovery_ms(const struct plan *plan);

/* --- world.c --- */
struct result {
    struct violation violation;
    mono_ms virtual_ms;
    uint64_t steps;
};
void world_run(uint64_t seed, FILE *transcript, struct result *ret);
void world_at(struct world *w, mono_ms delay, enum due_kind kind, unsigned arg,
              struct datagram *datagram);
bool has_fault(const struct world *w, enum fault_kind f); /* drawn, and not healed */
mono_ms client_clock(const struct world *w);
mono_ms gateway_clock(const struct world *w);

/* --- end.c --- */
mono_ms end_clock(const struct end *e);
/* NULL without memory. */
struct end *end_new(struct world *w, enum end_kind kind, const struct session_config *config);
void end_free(struct end *e);
void end_input(struct end *e, const struct path *path, struct span message);
/* Outputs to the network, events to the tunnel; checks that both are bounded. */
void end_settle(struct end *e);
/* Absolute, in the world's time. */
mono_ms end_deadline(const struct end *e);
void end_timeout(struct end *e);
size_t end_children(const struct end *e); /* that are not drained */
/* A sealed packet that arrived; an inner one to send. */
void end_esp_in(struct end *e, const struct path *path, struct span bytes);
/* lax: as a peer that breaks the rules, without a look at the selectors. */
void end_esp_out(struct end *e, struct span inner, bool outside, bool lax);
/* Sealed, and lost at once. False where it could not be. */
bool end_esp_waste(struct end *e, struct span inner);
const char *end_name(const struct end *e, char out[24]);

/* --- client.c --- */
void client_start(struct world *w, size_t i);
void client_datagram(struct world *w, struct datagram *d);
void client_settled(struct world *w, size_t i);
void client_command(struct world *w, size_t i);

/* --- gateway.c --- */
void gateway_open(struct world *w);
void gateway_close(struct world *w); /* a crash: without a word */
void gateway_datagram(struct world *w, struct datagram *d);
void gateway_timeouts(struct world *w);
mono_ms gateway_deadline(const struct world *w);
void gateway_command(struct world *w);
/* Both sides rekey at the same moment. */
void gateway_rekey_together(struct world *w, size_t client, enum session_rekey what);
void gateway_stop_end(struct world *w, struct end *e);
size_t gateway_sessions(const struct world *w); /* that have not ended */
struct end *gateway_end_for(const struct world *w, const struct ip *inner);
enum err gateway_assign(struct end *e, const struct identity *peer,
                        const struct configuration *request, struct configuration *ret_reply);

/* --- network.c --- */
enum { GATEWAY_PORTS = 2 };
struct ip gateway_outer(void);
/* A datagram leaves an end. */
void network_send(struct world *w, struct end *from, const struct path *path, struct span bytes);
/* The hostile party puts one on the wire. */
void network_inject(struct world *w, struct datagram *d, mono_ms delay);
void network_arrive(struct world *w, struct datagram *d);
void network_rebind(struct world *w);
void network_heal(struct world *w);
void network_free(struct world *w);
struct datagram *datagram_new(bool to_gateway, size_t client, const struct endpoint *from,
                              const struct endpoint *to, struct span bytes);

/* --- hostile.c --- */
void hostile_act(struct world *w);
void hostile_impostor(struct world *w);
/* What was heard is played again when as many packets have passed as the window is wide. */
void hostile_burst(struct world *w);
void hostile_free(struct world *w);
/* True where it was for the hostile party's ends. */
bool hostile_datagram(struct world *w, const struct datagram *d);
mono_ms hostile_deadline(const struct world *w);
void hostile_timeouts(struct world *w);

/* --- traffic.c --- */
enum { CANARY_LEN = 16, INNER_MIN = 28 + CANARY_LEN + 16, INNER_MAX_LEN = 1400 };
extern const uint8_t traffic_canary[CANARY_LEN];
void traffic_from_client(struct world *w, size_t i);
void traffic_from_gateway(struct world *w, size_t i);
/* So many of them from that side vanish. */
void traffic_burst(struct world *w, size_t i, bool from_gateway, size_t count);
/* An inner packet came out of an end's tunnel. */
void traffic_arrived(struct end *e, struct span inner);

/* --- observer.c: what goes over the wire --- */
void observe_sent(struct end *from, struct span payload, bool marker);
/* True where it had that very message before, established. genuine: else a hostile end's. */
bool observe_delivered(struct end *to, const struct ike_header *h, struct span message,
                       bool genuine);
/* A Child SA stands; a packet was sealed with the one of that outbound SPI; a packet came in. */
void observe_child(struct end *e, const struct end_child *c);
void observe_sealed(struct end *from, uint32_t spi_out, size_t inner_len);
void observe_opened(struct end *to, struct span packet);
void observer_free(struct observer *o);
uint64_t map_get(const struct map *m, uint64_t key);
void map_set(struct map *m, uint64_t key, uint64_t value);
void map_free(struct map *m);
uint64_t print_of(struct span bytes); /* a 64-bit hash */

/* --- check.c: the invariants by name, and what is looked at in the whole --- */
void violate(struct world *w, const char *name, const char *format, ...) PRINTF_LIKE(3, 4);
void check_list(FILE *out);
/* Index of an invariant, -1 for none of that name; and back. */
int check_index(const char *name);
const char *check_name(int index); /* NULL beyond the last */
void check_allow(int index);       /* told in the transcript, but no failure */
/* What an end looks like to its driver; nothing unauthenticated may change it. */
uint64_t check_print(const struct end *e);
/* After each input. */
void check_end(struct end *e);
/* May a client's session end for that reason, with what is wrong in this run? */
void check_reason(struct end *e);
/* NULL where clients are up and traffic passes; else the invariant's name and the words. */
const char *check_recovered(struct world *w, char *text, size_t cap);
/* And both sides hold the same SAs, and no others. */
const char *check_settled(struct world *w, char *text, size_t cap);
/* Nothing is left of a client that stopped. */
const char *check_stopped(struct world *w, char *text, size_t cap);

/* --- memory.c --- */
void *sim_alloc(size_t len); /* not counted, never fails; zeroed */
void *sim_resize(void *old, size_t len);
void sim_free(void *p);
void memory_begin(struct world *w);
void memory_secret(const struct secret *s); /* must not be found in what is freed */
size_t memory_blocks(void);
/* The n-th allocation from now on fails, `run` of them in a row; 0: none any more. */
void memory_fail(unsigned n, unsigned run);
bool memory_failed(void); /* has one failed since memory_begin? */
/* A peer that does not look at selectors when it sends: all match while this is on. */
void memory_lax_selectors(bool on);
/* Open a protected message with any key that was made in this run, in place. */
bool memory_open(uint8_t *message, size_t len, uint8_t *ret_first, struct span *ret_inner);

/* --- transcript.c --- */
void transcript_note(struct world *w, const char *who, const char *format, ...) PRINTF_LIKE(3, 4);
void transcript_datagram(struct world *w, const struct datagram *d, const char *fate);
void transcript_event(const struct end *e, const struct session_event *event);

#endif
