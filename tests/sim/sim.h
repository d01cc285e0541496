/* The simulator: clients, a gateway, the network between them and what is wrong with it, on virtual
 * time in one thread. One 64-bit seed draws all of it, so a run repeats.
 *
 * Where things are: plan.c draws what a seed is about; world.c has the clock and the two phases of
 * a run (faulty, healed); network.c carries datagrams and mistreats them; places.c has the networks
 * that clients are in and the gateway's addresses, and moves them; walk.c moves clients one step at
 * a time in a network that is well, and says what each step may cost; end.c is one session with its
 * tunnel, whichever side; client.c and gateway.c are the drivers around it; traffic.c is what users
 * send; hostile.c is the third party; observer.c and check.c hold what must be true; memory.c wraps
 * the allocator and the key functions; transcript.c draws the ladder. */
#ifndef TERN_TESTS_SIM_H
#define TERN_TESTS_SIM_H

#include <stdio.h>

#include "common/esp/tunnel.h"
#include "common/ike/cookie.h"
#include "common/ike/session.h"
#include "tests/sim/rng.h"
#include "tools/gateway/eap_server.h"
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
    INTERFACES_MAX = 3,    /* of a client */
    FIRST_INTERFACE = 2,   /* the index of its first */
    GATEWAY_ADDRESSES = 3, /* two of IPv4, one of IPv6 */
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
    FAULT_ROAMING = 1 << 15,  /* clients move, and so does the gateway */
    FAULT_COOKIE2 = 1 << 16,  /* the gateway does not return it as it came */
    FAULTS_END = 1 << 17
};

enum plan_cookies { COOKIES_OFF, COOKIES_AUTO, COOKIES_ALWAYS };

struct plan {
    unsigned faults;
    mono_ms faulty_ms;
    size_t clients;
    unsigned loss, duplication, corruption, forgery; /* per mille */
    int64_t delay_min, delay_max;
    bool nat; /* in front of a client that has but one interface */
    mono_ms nat_expiry_ms;
    unsigned interfaces;             /* of each client */
    bool gateway_second, gateway_v6; /* addresses that it has beside the first */
    bool v6_named, prefer_v6;        /* the client knows the latter beforehand; tries it first */
    bool esp_followed;               /* by the gateway, even where the client has MOBIKE */
    mono_ms move_ms;                 /* mean pause between two moves */
    unsigned walk;                   /* so many steps when all is well */
    mono_ms idle_ms;                 /* and then nobody does anything */
    size_t mtu;
    enum plan_cookies cookies;
    mono_ms epoch_client, epoch_gateway; /* what their monotonic clocks show at the start */
    int64_t traffic_ms;                  /* mean pause between two inner packets of one sender */
    bool ppk_known;                      /* to the gateway: the client's PPK */
    struct session_config client, gateway;
};

struct violation {
    bool set;
    char name[32];
    char text[400];
    mono_ms at;
};

/* --- one end: a session with its tunnel --- */

#define EAP_PASSWORD "a password of the simulator" /* of every client */
#define PPK_ID       "ppk of the simulator"
#define PPK_KEY      "a post-quantum key of the simulator"

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
    uint32_t reconnects; /* IKE SAs that it came by anew */
    struct session *session;
    struct tunnel *tunnel;
    struct end_child children[TUNNEL_CHILDREN_MAX];
    size_t child_count;
    struct session_traffic traffic;
    uint64_t authentic;
    struct path path;
    bool behind_nat, mobike;
    bool answered;      /* what is being taken in is an answer */
    bool authenticated; /* a genuine IKE_AUTH message of the peer has been handed in */
    bool up, down;
    bool was_up;
    bool stopping; /* we asked for it */
    enum session_down_reason reason;
    mono_ms half_open_until; /* gateway, local clock; MONO_NEVER: not half open */
    mono_ms linger_until;    /* gateway, after the end: repeats its last answer till then */
    bool replaced;
    size_t additional; /* gateway: so many other addresses it had when this began */
    struct identity peer;
    struct ip inner; /* the client's inner address */
    bool leased;
    struct eap_server eap;                /* gateway */
    const struct certificate_list *chain; /* by which it proves itself, if by any */
    const struct private_key *key;
    bool certified;     /* impostor: it has the gateway's certificate */
    bool patient;       /* such an impostor plays along to the end of EAP */
    mono_ms handled_at; /* of the last timeouts, to see that they move on */
    unsigned handled_times;
};

/* A translator's memory of what one socket says to one endpoint. */
struct nat_mapping {
    struct endpoint inside;
    uint16_t port; /* outside; 0: none */
    mono_ms used;
};

/* One network that a client is in, or could be. */
struct interface {
    bool up;
    struct ip v4, v6;                                  /* family none: it has no such address */
    struct ip lost_v4;                                 /* what v4 was, while only IPv6 is there */
    mono_ms since;                                     /* it has been as it is */
    bool nat;                                          /* in front of v4 */
    struct ip outside;                                 /* of the translator */
    struct nat_mapping mappings[GATEWAY_ADDRESSES][2]; /* towards port 500, 4500 */
    mono_ms delay;                                     /* one way, beside the network's */
    mono_ms dead_until[2]; /* nothing passes to the gateway, from the gateway */
    unsigned troubles;     /* how often it failed its client */
};

struct client {
    struct end *end;   /* NULL: not running */
    bool wanted;       /* the user wants it up */
    unsigned attempts; /* since it was up last */
    bool paused;
    bool slept;        /* and will be told so */
    bool stale;        /* the network has changed meanwhile */
    bool excused;      /* it was out of reach for so long that its IKE SA may go */
    mono_ms served_at; /* the last time that some way had carried for a while */
    struct interface interfaces[INTERFACES_MAX]; /* best first */
    uint16_t port, gateway_port;                 /* to begin on */
    struct path told[SESSION_PATHS_MAX];         /* what its session was told last */
    size_t told_count;
    mono_ms unconnected_at;                     /* since then; MONO_NEVER: it is connected */
    struct ip announced[SESSION_ADDRESSES_MAX]; /* by the gateway */
    size_t announced_count;
    uint64_t liar_spi; /* of an IKE SA that it must leave, for COOKIE2 came back wrong; 0: none */
    mono_ms leave_by;
    uint64_t ike_datagrams, keepalives, wakeups; /* of its conversation so far, both ways */
    struct session_handover handover;            /* the last one told */
    unsigned handovers;
    unsigned probes, probes_answered, bettered; /* and it has moved for those; told so */
    struct rng random;
    uint64_t sent, delivered; /* since healing, of its inner packets and of those to it */
    uint64_t delivered_in;
};

struct gateway_address {
    struct ip ip;
    bool announced;
    mono_ms since;
    mono_ms dead_until;
};

struct gateway {
    struct gateway_address addresses[GATEWAY_ADDRESSES];
    size_t address_count;
    mono_ms lying_until;
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
    int interface;            /* of the client; -1: not known */
    struct endpoint from, to; /* as they are between translators and gateway */
    size_t len;
    uint8_t bytes[];
};

struct network {
    bool diverting; /* what goes to the gateway takes a turn through somebody else's hands */
    struct rng random;
    uint16_t next_port;   /* of translators */
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
    DUE_GATEWAY_RESUME,
    DUE_INTERFACE_UP,
    DUE_GATEWAY_REKEY /* while the client moves */
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
    struct map lies;      /* responses of which COOKIE2 is not what was asked for */
};

/* One step of a walk, and how everything was before. */
struct step {
    size_t client;
    const char *text;
    bool hard, soft; /* the address went; a better way came, and is to be trusted */
    bool blocked;    /* and the way that comes next carries nothing */
    bool misled;     /* what it told the gateway was passed on from elsewhere */
    uint64_t serial; /* of the client's end */
    uint32_t reconnects;
    uint64_t ike_datagrams;
    unsigned handovers, probes, probes_answered, bettered;
    mono_ms at;
    mono_ms rtt; /* of the slowest way */
    bool keeps;  /* the IKE SA */
    bool moving; /* it still is, from before, or is asking something */
    bool asked;  /* or the gateway is */
    bool young;  /* it is */
};

struct world {
    uint64_t seed;
    struct plan plan;
    mono_ms now;
    mono_ms faulty_until; /* later than planned where clients slept */
    mono_ms asleep_until; /* all clients do, and nobody does anything */
    bool healed;
    mono_ms silent_until; /* users do nothing */
    struct rng places_random, moves_random;
    unsigned addresses; /* given out so far */
    struct step step;   /* of the walk */
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
    uint64_t changes; /* of networks */
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
/* Is a PPK in the keys of what comes up? */
bool plan_uses_ppk(const struct plan *plan);
/* Does a client prove itself by EAP, at first or after that? */
bool plan_uses_eap(const struct plan *plan);
/* Round trips that EAP and a second proof add to a new IKE SA. */
mono_ms plan_auth_trips(const struct plan *plan);

/* --- world.c --- */
struct result {
    struct violation violation;
    mono_ms virtual_ms;
    uint64_t steps;
    uint64_t changes; /* of networks */
    uint64_t moves;   /* told as done, of clients that did not end before */
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
/* Its networks, or what it knows of the gateway's addresses, have changed: tells its session. */
void client_networks(struct world *w, size_t i);
/* Goes on after a pause. */
void client_resume(struct world *w, size_t i);
/* What its session told: the gateway's addresses; to go elsewhere; that it moved; that a path was
 * asked, and whether it answered. */
void client_addresses(struct end *e, const struct ip *addresses, size_t count);
void client_redirected(struct end *e, const struct ip *to);
void client_moved(struct end *e, const struct session_handover *h);
void client_probed(struct end *e, bool answered);
void client_moves(struct end *e); /* to another path, of which the gateway has not heard yet */
/* May it send from there, as far as it knows? */
bool client_has(const struct client *c, const struct path *path);

/* --- places.c --- */
void places_begin(struct world *w);
/* Draws one change, and makes it. */
void places_strike(struct world *w);
void places_interface_up(struct world *w, unsigned arg);
void places_heal(struct world *w);
/* After each step: is somebody out of reach? */
void places_watch(struct world *w);
/* All ways from a client to these addresses, best first. */
size_t places_ways(const struct world *w, size_t client, const struct ip *to, size_t to_count,
                   struct path ret[SESSION_PATHS_MAX]);
/* Index of the gateway's address; -1. */
int places_gateway_index(const struct world *w, const struct ip *ip);
/* Of the client that interface has that address; -1. */
int places_interface(const struct client *c, const struct ip *local);
void places_down(struct world *w, size_t client, size_t interface);
void places_up(struct world *w, size_t client, size_t interface);
void places_renumber(struct world *w, size_t client, size_t interface, bool elsewhere);
void places_forget_mappings(struct interface *f);
struct gateway_address *places_gateway_address(struct world *w, const struct ip *ip);

/* --- walk.c --- */
/* All clients are up: one that left a liar, or whose time ended, comes back first. */
const char *walk_ready(struct world *w, char *text, size_t cap);
/* Makes one step; how long it may take until all has found together again. */
mono_ms walk_step(struct world *w);
const char *check_converged(struct world *w, char *text, size_t cap);
/* And until packets pass: the keys may have come to their end meanwhile. */
mono_ms walk_passing_ms(const struct world *w);
void walk_judge(struct world *w);
void walk_idle_begin(struct world *w);
void walk_idle_judge(struct world *w);

/* --- gateway.c --- */
void gateway_open(struct world *w);
void gateway_close(struct world *w); /* a crash: without a word */
void gateway_datagram(struct world *w, struct datagram *d);
void gateway_timeouts(struct world *w);
mono_ms gateway_deadline(const struct world *w);
void gateway_command(struct world *w);
/* Its addresses have changed: tells all clients. */
void gateway_announce(struct world *w);
struct end *gateway_end_of(const struct world *w, size_t client); /* the newest that is up; NULL */
/* Both sides rekey at the same moment. */
void gateway_rekey_together(struct world *w, size_t client, enum session_rekey what);
/* The gateway alone, its IKE SA with that client. */
void gateway_rekey_ike(struct world *w, size_t client);
void gateway_stop_end(struct world *w, struct end *e);
size_t gateway_sessions(const struct world *w); /* that have not ended */
struct end *gateway_end_for(const struct world *w, const struct ip *inner);
/* The impostor, too, has it: there are PPKs that whole groups have. */
enum err gateway_ppk(void *ctx, const struct identity *peer, struct span id, struct secret *ret);
enum err gateway_eap(void *ctx, const struct identity *claimed, struct span response,
                     struct session_eap_step *ret);
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
/* How the gateway sees that path of a client; false where it cannot be seen. */
bool network_seen(struct world *w, size_t client, const struct path *path, struct endpoint *ret);
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
void observe_sent(struct end *from, const struct path *path, struct span payload, bool marker);
/* True where it had that very message before, established. genuine: else a hostile end's. */
bool observe_delivered(struct end *to, const struct ike_header *h, struct span message,
                       bool genuine);
/* A Child SA stands; a packet was sealed with the one of that outbound SPI; a packet came in. */
void observe_child(struct end *e, const struct end_child *c);
void observe_sealed(struct end *from, uint32_t spi_out, size_t inner_len);
void observe_opened(struct end *to, struct span packet);
/* That answer of the gateway's returned COOKIE2 wrongly; is this such a one? */
void observe_lie(struct world *w, const struct ike_header *request);
bool observe_lied(const struct world *w, const struct ike_header *response);
bool message_is_update(struct span message); /* or its key is too old to tell */
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
/* A gateway's end was given that message on that path, and had been elsewhere. */
void check_moved(struct end *e, const struct session_status *before, const struct path *path,
                 struct span message);
void check_handover(struct end *e, const struct session_handover *h);
void check_told_path(struct end *e);
void check_addresses(struct end *e); /* it tells of some */
void check_held(const struct client *c, mono_ms held_ms);
/* Does the driver have a way for what it would send now? */
bool check_way_out(struct end *e);
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
/* A gateway that returns COOKIE2 wrongly while this is on; off returns whether it did. */
bool memory_mangle_cookie2(bool on);
/* Open a protected message with any key that was made in this run, in place. */
bool memory_open(uint8_t *message, size_t len, uint8_t *ret_first, struct span *ret_inner);

/* --- transcript.c --- */
void transcript_note(struct world *w, const char *who, const char *format, ...) PRINTF_LIKE(3, 4);
void transcript_datagram(struct world *w, const struct datagram *d, const char *fate);
void transcript_event(const struct end *e, const struct session_event *event);

#endif
