/* One configured connection, as pure code: datagrams and time go in; datagrams, events and a
 * deadline come out. Opens no socket, reads no clock. An IKE SA may be replaced (rekeying) while
 * the session lives, so this, and not the SA, is the public object.
 *
 * The driver's loop: feed one input, a timeout or a command; drain session_output; drain
 * session_next_event; arm one timer for session_next_timeout. Nothing re-enters.
 *
 * The same code answers as a gateway (role SESSION_RESPONDER): its driver makes a session for each
 * IKE_SA_INIT request that it lets in, and finds the session for later messages by session_owns. */
#ifndef TERN_IKE_SESSION_H
#define TERN_IKE_SESSION_H

#include "common/base/mono.h"
#include "common/crypto/certificate.h"
#include "common/crypto/random.h"
#include "common/ike/payload.h"
#include "common/ike/proposal.h"

struct session;

enum session_role { SESSION_INITIATOR, SESSION_RESPONDER };

/* How a side proves itself, as a set where several are accepted. */
enum session_auth { SESSION_AUTH_PSK = 1, SESSION_AUTH_CERTIFICATE = 2 };

/* Retransmission of requests (RFC 7296 2.4): first after first_ms, then each interval grows by
 * growth_percent up to max_ms; the exchange has failed when `tries` transmissions brought no
 * answer. IKE_SA_INIT goes on until the driver gives up where tries is 0. */
struct session_retransmit {
    uint32_t first_ms, max_ms;
    uint32_t growth_percent; /* 180: times 1.8 */
    uint32_t tries;
};

/* The responder's decisions. Called synchronously; must not call the session. */
struct session_policy {
    void *ctx;
    /* The key shared with the peer of that identity. ERR_NOT_FOUND. */
    enum err (*find_psk)(void *ctx, const struct identity *peer, struct secret *ret);
    /* Addresses and servers for the peer. ERR_REFUSED becomes INTERNAL_ADDRESS_FAILURE. */
    enum err (*assign)(void *ctx, const struct identity *peer, const struct configuration *request,
                       struct configuration *ret_reply);
};

struct session_config {
    enum session_role role;
    struct random_source random;
    /* Wall clock, seconds since 1970: certificate validity alone. */
    int64_t (*wall_time)(void *ctx);
    void *wall_time_ctx;

    struct proposal_list ike, esp; /* what we offer or accept, in order */

    struct identity local_id;  /* required */
    struct identity remote_id; /* initiator: what IDr must be and the certificate must prove */
    bool send_remote_id;       /* initiator: put IDr into IKE_AUTH */
    enum session_auth local_auth;
    unsigned remote_auth;                 /* set of enum session_auth */
    struct secret local_psk;              /* our own proof, local_auth PSK */
    struct secret remote_psk;             /* initiator, the gateway's proof; usually the same */
    const struct private_key *key;        /* borrowed for the session's life; certificate auth */
    const struct certificate_list *chain; /* borrowed; ours first, then intermediates */
    const struct trust_store *trust;      /* borrowed; NULL where no certificate is accepted */

    /* Initiator: remote selectors asked for. Responder: the networks served. */
    struct selector_list remote_selectors;
    /* Initiator: what to ask for. Both false: our own address is the local selector. An address
     * given in fixed_* is asked for by value. */
    bool request_ipv4, request_ipv6;
    struct ip fixed_ipv4, fixed_ipv6;
    bool request_dns;

    struct session_retransmit retransmit;
    uint32_t keepalive_ms; /* NAT keepalive interval (RFC 3948), 0: off */
    uint32_t dpd_ms;       /* silence after traffic was sent before we ask, 0: off */

    struct session_policy policy; /* responder */
};

/* Sensible timing and random_system(); everything else zero. */
void session_config_default(struct session_config *c);

/* Copies *c (but what is borrowed). ERR_MEMORY; ERR_MALFORMED for a config that cannot work. */
CHECKED enum err session_new(const struct session_config *c, struct session **ret);
/* Wipes all keys. NULL is fine. Sends nothing: session_stop first, and drain. */
void session_free(struct session *s);

/* --- inputs --- */

/* Ways to the gateway, best first; replaces the earlier list. remote.port is the port to start on:
 * 500, or 4500 (with the non-ESP marker) at once; local.ip is the source the kernel would use. */
enum { SESSION_PATHS_MAX = 16 };
void session_networks_changed(struct session *s, mono_ms now, const struct path *candidates,
                              size_t count);
/* Initiator: begin IKE_SA_INIT. ERR_STATE where begun, ERR_NOT_FOUND without candidates. */
CHECKED enum err session_start(struct session *s, mono_ms now);
/* Delete the IKE SA at the peer and end with DOWN(requested); at once where there is none, or when
 * a short budget of retransmissions is used up. */
void session_stop(struct session *s, mono_ms now);
/* One IKE message (without non-ESP marker; see datagram_classify) that arrived on a path. */
void session_input(struct session *s, mono_ms now, const struct path *path, struct span message);
void session_handle_timeout(struct session *s, mono_ms now);

/* What the data path saw, for liveness and keepalives: times of the last ESP packet sent, and the
 * last one received that verified; MONO_NEVER for none yet. Cheap; call it before reading the
 * deadline and when the first packet leaves after a silence. */
struct session_traffic {
    mono_ms last_out, last_in;
};
void session_traffic(struct session *s, mono_ms now, const struct session_traffic *report);

/* --- outputs --- */

struct session_datagram {
    struct path path;
    struct span bytes; /* the UDP payload, marker included; valid until the next call on s */
};
/* The next datagram to send; false where there is none. */
bool session_output(struct session *s, mono_ms now, struct session_datagram *ret);

/* Why a session ended; maps to the exit codes of the command line. */
enum session_down_reason {
    SESSION_DOWN_REQUESTED = 0,
    SESSION_DOWN_UNREACHABLE,    /* no answer */
    SESSION_DOWN_NO_PROPOSAL,    /* NO_PROPOSAL_CHOSEN, no common group */
    SESSION_DOWN_PEER_UNTRUSTED, /* certificate, identity or AUTH of the peer not accepted */
    SESSION_DOWN_REFUSED,        /* AUTHENTICATION_FAILED: our credentials */
    SESSION_DOWN_SELECTORS,      /* TS_UNACCEPTABLE, INTERNAL_ADDRESS_FAILURE, wider than asked */
    SESSION_DOWN_BY_PEER,        /* the peer deleted the IKE SA */
    SESSION_DOWN_PROTOCOL,       /* the peer broke the protocol */
    SESSION_DOWN_INTERNAL
};

enum session_event_type {
    SESSION_EVENT_PHASE,    /* progress worth a line */
    SESSION_EVENT_CONFIG,   /* initiator: what the gateway assigned; before the first CHILD_UP */
    SESSION_EVENT_CHILD_UP, /* install these keys */
    SESSION_EVENT_CHILD_DOWN,
    SESSION_EVENT_UP,   /* IKE SA and first Child SA stand */
    SESSION_EVENT_PATH, /* IKE and ESP now use this path */
    SESSION_EVENT_DOWN  /* the last event */
};

enum session_phase { SESSION_PHASE_INIT, SESSION_PHASE_AUTH };

struct session_child {
    uint32_t spi_in, spi_out;
    struct suite suite;
    struct secret enc_in, integ_in, enc_out, integ_out;
    struct selector_list local, remote;
};

struct session_event {
    enum session_event_type type;
    union {
        struct {
            enum session_phase phase;
            char text[256]; /* "aes256gcm16-prfsha256-x25519 with 192.0.2.1:500" */
        } phase;
        struct configuration config;
        struct session_child child; /* CHILD_UP; the caller wipes its copy */
        uint32_t child_down_spi_in;
        struct path path;
        struct {
            enum session_down_reason reason;
            struct fault fault; /* the two lines for the user */
        } down;
    };
};
/* Takes the oldest event; false where there is none. */
bool session_next_event(struct session *s, struct session_event *ret);
void session_event_wipe(struct session_event *e);

/* The one absolute deadline; MONO_NEVER where nothing is due. */
mono_ms session_next_timeout(const struct session *s);

/* --- views --- */

enum session_state { SESSION_IDLE, SESSION_CONNECTING, SESSION_UP, SESSION_STOPPING, SESSION_DOWN };

struct session_status {
    enum session_state state;
    uint64_t spi_i, spi_r;
    struct suite ike; /* valid once the key exchange is chosen (prf not PRF_NONE) */
    struct path path;
    bool nat_local, nat_remote; /* a translator in front of us, of the peer */
    bool peer_fragmentation, peer_mobike;
    struct identity local_id, remote_id; /* remote: as proven; type none before */
    mono_ms established;                 /* MONO_NEVER before */
    int64_t rtt_ms;                      /* last measured, -1: none */
};
void session_status(const struct session *s, struct session_status *ret);
/* Does an IKE message with these SPIs belong here? A responder also owns repeats of its IKE_SA_INIT
 * request (spi_r 0, same spi_i). */
bool session_owns(const struct session *s, uint64_t spi_i, uint64_t spi_r);

/* --- beside sessions --- */

/* What a UDP payload is (RFC 3948 2). with_marker: it arrived on a port other than 500. */
enum datagram_kind { DATAGRAM_IKE, DATAGRAM_ESP, DATAGRAM_KEEPALIVE, DATAGRAM_BAD };
enum datagram_kind datagram_classify(bool with_marker, struct span payload, struct span *ret_ike);

#endif
