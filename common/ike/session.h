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
#include "common/eap/eap.h"
#include "common/ike/payload.h"
#include "common/ike/proposal.h"

struct session;

enum session_role { SESSION_INITIATOR, SESSION_RESPONDER };

/* How a side proves itself, as a set where several are accepted. EAP is for initiators, and for
 * whoever has a responder that proves itself by a certificate (RFC 7296 2.16). An initiator that
 * accepts EAP of its gateway beside that (RFC 5998) has methods alone that prove the server. */
enum session_auth { SESSION_AUTH_PSK = 1, SESSION_AUTH_CERTIFICATE = 2, SESSION_AUTH_EAP = 4 };

/* Retransmission of requests (RFC 7296 2.4): first after first_ms, then each interval grows by
 * growth_percent up to max_ms; the exchange has failed when `tries` transmissions brought no
 * answer. IKE_SA_INIT goes on until the driver gives up where tries is 0. */
struct session_retransmit {
    uint32_t first_ms, max_ms;
    uint32_t growth_percent; /* 180: times 1.8 */
    uint32_t tries;
};

/* A responder tells of so many addresses beside the one in use; an initiator knows one more. */
enum { SESSION_ADDITIONAL_MAX = 8, SESSION_ADDRESSES_MAX = 1 + SESSION_ADDITIONAL_MAX };

/* How long keys serve. 0: no such bound. Rekeying begins when 80 to 90 % are used (the exact point
 * is drawn, so that a thousand clients do not rekey at once); what is used up entirely is deleted,
 * whether a successor stands or not. */
struct session_lifetimes {
    uint32_t ike_ms, child_ms;
    uint64_t child_bytes;   /* inner octets one way; at least some thousand */
    uint64_t child_packets; /* beside the end of the sequence numbers, which always counts */
};

/* What the responder's EAP server says to one packet. */
struct session_eap_step {
    enum eap_outcome outcome;
    uint8_t packet[EAP_RESPONSE_MAX]; /* to be sent, whatever the outcome */
    size_t packet_len;
    struct secret msk;    /* EAP_SUCCEEDED; empty where the method makes none */
    struct identity peer; /* EAP_SUCCEEDED: who has been proven */
};

/* A post-quantum pre-shared key (PPK, RFC 8784): secret from who records what is said now and has a
 * quantum computer later, once it is mixed into the keys of Child SAs and of rekeyed IKE SAs. */
enum session_ppk_use {
    SESSION_PPK_OFF,
    SESSION_PPK_OPTIONAL, /* where the peer has it too */
    SESSION_PPK_REQUIRED
};
enum { SESSION_PPK_ID_MAX = 128 };
struct session_ppk {
    enum session_ppk_use use;
    struct secret key;               /* initiator */
    char id[SESSION_PPK_ID_MAX + 1]; /* initiator: what it is called at both ends (PPK_ID_FIXED) */
};

/* RFC 4739: a second proof of the initiator's, after the first: the user's, after the machine's. */
struct session_second {
    enum session_auth auth; /* 0: none; EAP: as config.eap has it */
    struct identity id;
    struct secret psk;
    const struct private_key *key;        /* borrowed */
    const struct certificate_list *chain; /* borrowed */
};
/* The responder takes it, or insists on it; it is accepted by what remote_auth has. */
enum session_second_use { SESSION_SECOND_OFF, SESSION_SECOND_OPTIONAL, SESSION_SECOND_REQUIRED };

/* The responder's decisions. Called synchronously; must not call the session. */
struct session_policy {
    void *ctx;
    /* The key shared with the peer of that identity. ERR_NOT_FOUND. */
    enum err (*find_psk)(void *ctx, const struct identity *peer, struct secret *ret);
    /* Addresses and servers for the peer. ERR_REFUSED becomes INTERNAL_ADDRESS_FAILURE. */
    enum err (*assign)(void *ctx, const struct identity *peer, const struct configuration *request,
                       struct configuration *ret_reply);
    /* remote_auth EAP: a client's EAP packet; an empty one begins. claimed: its IDi, which nobody
     * has proven. ERR_MALFORMED ends it as EAP_FAILED does, without a word of EAP. */
    enum err (*eap)(void *ctx, const struct identity *claimed, struct span response,
                    struct session_eap_step *ret);
    /* ppk.use not OFF: the PPK of that name, if it is for that peer. ERR_NOT_FOUND. */
    enum err (*find_ppk)(void *ctx, const struct identity *peer, struct span id,
                         struct secret *ret);
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
    /* Responder: borrowed, NULL for none; sent with chain: CRLs always, OCSP responses to whoever
     * asks for them (RFC 4806). */
    const struct trust_evidence *evidence;
    struct session_second second;       /* initiator; local_auth is not EAP then */
    enum session_second_use second_use; /* responder */
    struct eap_config eap;              /* initiator, for whichever of its proofs is by EAP */
    /* Its password is a code that serves once: where a method has handed it over as it is, no other
     * IKE SA is begun with it. */
    bool eap_once;
    struct session_ppk ppk;

    /* Initiator: remote selectors asked for. Responder: the networks served. */
    struct selector_list remote_selectors;
    /* Initiator: what to ask for. Both false: our own address is the local selector. An address
     * given in fixed_* is asked for by value. */
    bool request_ipv4, request_ipv6;
    struct ip fixed_ipv4, fixed_ipv6;
    bool request_dns;

    struct session_retransmit retransmit;
    uint32_t keepalive_ms; /* NAT keepalive interval (RFC 3948), 0: off */
    /* It is where to begin: longer ones are tried, carefully, as long as a translator stands them.
     */
    bool keepalive_learns;
    uint32_t dpd_ms; /* silence after traffic was sent before we ask, 0: off */

    struct session_lifetimes lifetimes;
    /* Initiator: a connection that was up is rebuilt for as long as it takes. The first attempt
     * follows at once; after each that failed the pause doubles, from first to max, with jitter. */
    uint32_t rebuild_first_ms, rebuild_max_ms;
    /* How long the silent gateway is still asked about the old IKE SA beside that; 0: for ever. */
    uint32_t hold_ms;
    /* IKE messages longer than this many octets (IP and UDP headers included) go as fragments to a
     * peer that knows them (RFC 7383); 0: we know none. */
    uint16_t fragment_mtu;
    /* Make the Child SA in an exchange of its own where the gateway allows it (RFC 6023). */
    bool childless;
    /* RFC 4555: the peer may move, we may move. Default on. */
    bool mobike;
    /* Responder: our other addresses, told to a client that knows MOBIKE. */
    struct ip additional[SESSION_ADDITIONAL_MAX];
    size_t additional_count;
    /* Responder: ask at a client's new address before ESP goes there (RFC 4555 3.7). */
    bool return_routability;
    /* Responder: announced to the client (RFC 4478), 0: none. The driver ends what outlives it. */
    uint32_t auth_lifetime_s;
    /* Responder: every client that understands it is sent there in answer to IKE_SA_INIT (RFC 5685
     * 3); neither address nor name: none is. */
    struct redirect_target redirect;

    /* Responder: EAP alone proves us too, without a signature, to a client that asks for that (RFC
     * 5998). Every method of policy.eap must prove the server then. */
    bool eap_only;

    struct session_policy policy; /* responder */
};

/* Sensible timing, MOBIKE, and random_system(); everything else zero. */
void session_config_default(struct session_config *c);

/* Copies *c (but what is borrowed). ERR_MEMORY; ERR_MALFORMED for a config that cannot work. */
CHECKED enum err session_new(const struct session_config *c, struct session **ret);
/* Wipes all keys. NULL is fine. Sends nothing: session_stop first, and drain. */
void session_free(struct session *s);

/* --- inputs --- */

/* Ways to the gateway, best first; replaces the earlier list. remote.port is the port to start on:
 * 500, or 4500 (with the non-ESP marker) at once; local.ip is the source address on that interface.
 * To be called at once whenever the network changes, and before session_start.
 *
 * An initiator's connection follows (RFC 4555): when the way it uses is not listed any more, by
 * another one at once; when one on another interface stands before it, by that one as soon as it
 * has been seen to work. count 0: no network; all is held, and nothing is sent, until there is one
 * again. Where the gateway lacks MOBIKE a new IKE SA is made on the new way. */
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

/* --- commands, and hints of the driver --- */

enum session_rekey { SESSION_REKEY_IKE, SESSION_REKEY_CHILD, SESSION_REKEY_BOTH };
/* Now, instead of at its time; where something else is in flight, after that. ERR_STATE where
 * nothing stands. */
CHECKED enum err session_rekey(struct session *s, mono_ms now, enum session_rekey what);
/* The data path has reached the soft bound (session_child.soft_*) of the child with that SPI. */
void session_child_expiring(struct session *s, mono_ms now, uint32_t spi_in);
/* Initiator: a fresh IKE SA; the old one is deleted once the new one stands. ERR_STATE where
 * nothing stands. */
CHECKED enum err session_reconnect(struct session *s, mono_ms now);
/* Initiator: ways to where SESSION_EVENT_REDIRECT told to go, as session_networks_changed takes
 * them; count 0: it was not found, or is not wanted. */
void session_redirected(struct session *s, mono_ms now, const struct path *candidates,
                        size_t count);
/* Responder: send the client elsewhere (RFC 5685): now where the IKE SA stands. ERR_STATE. */
CHECKED enum err session_redirect(struct session *s, mono_ms now, const struct redirect_target *to);
/* Something that anybody could have said (an unprotected INVALID_SPI, ICMP) has it that the peer
 * forgot us: worth a question, at a bounded rate, and nothing more (RFC 7296 2.21.4). */
void session_suspect(struct session *s, mono_ms now);
/* Whom to trust from now on, in place of session_config.trust and .eap.trust, which are needed no
 * more; may be the same one, borrowed. */
void session_set_trust(struct session *s, const struct trust_store *trust,
                       const struct trust_store *eap_trust);
/* Initiator: this machine slept. Whether the gateway still knows us, and where, is asked at once.
 */
void session_resumed(struct session *s, mono_ms now);
/* Responder: our other addresses have changed; the client is told the whole list (RFC 4555 3.6).
 * ERR_STATE where nothing stands or the client lacks MOBIKE. */
CHECKED enum err session_set_additional(struct session *s, mono_ms now, const struct ip *addresses,
                                        size_t count);

/* What the data path saw, for liveness and keepalives: times of the last ESP packet sent, and the
 * last one received that verified; MONO_NEVER for none yet. Cheap; call it before reading the
 * deadline and when the first packet leaves after a silence. */
struct session_traffic {
    mono_ms last_out, last_in;
    mono_ms first_out; /* the first since last_in, where it was not reported yet; 0: as last_out */
    bool out_was_last; /* where both are the same: an answer takes less than a millisecond */
};
void session_traffic(struct session *s, mono_ms now, const struct session_traffic *report);
/* Is an answer of the peer awaited? What comes meanwhile should be reported soon. */
bool session_asks(const struct session *s);

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
    SESSION_EVENT_PHASE,       /* progress worth a line */
    SESSION_EVENT_CONFIG,      /* initiator: what the gateway assigned; before the first CHILD_UP */
    SESSION_EVENT_CHILD_UP,    /* install these keys */
    SESSION_EVENT_CHILD_DRAIN, /* nothing more leaves by it; what still arrives may come in */
    SESSION_EVENT_CHILD_DOWN,
    SESSION_EVENT_UP,   /* IKE SA and first Child SA stand; again after SEARCHING */
    SESSION_EVENT_PATH, /* IKE and ESP now use this path: to be followed at once */
    /* Initiator: it moved, and the gateway has confirmed that. */
    SESSION_EVENT_HANDOVER,
    /* Initiator: whether another way than the one in use carries. */
    SESSION_EVENT_PATH_PROBE,
    /* Initiator: whether a translator stands in front of us, or where it puts us, is other now. */
    SESSION_EVENT_NAT_CHANGED,
    /* Silence was asked about; the peer answers; or it does not. */
    SESSION_EVENT_LIVENESS,
    /* Initiator: all the addresses that the gateway says it has (RFC 4555 3.6), and the one at
     * which it was when it said so: ways to them are worth listing. */
    SESSION_EVENT_ADDRESSES,
    /* Initiator, after UP: the gateway is silent, or the IKE SA ended other than by our wish. Held,
     * and being rebuilt: keep addresses and routes. Comes again with every attempt that failed; a
     * driver that knows better ways by now says so with session_networks_changed. */
    SESSION_EVENT_SEARCHING,
    SESSION_EVENT_REKEYED,  /* an SA has a successor that carries on */
    SESSION_EVENT_REDIRECT, /* go there: resolve, then session_redirected */
    SESSION_EVENT_DOWN      /* the last event */
};

enum session_phase { SESSION_PHASE_INIT, SESSION_PHASE_AUTH };

struct session_child {
    uint32_t spi_in, spi_out;
    uint32_t replaces_spi_in; /* 0: nothing */
    /* Inbound works at once. Outbound waits until a packet of this child has verified, or the child
     * that it replaces is gone: before, the peer may not know the keys yet (RFC 7296 2.8). */
    bool outbound_waits;
    /* session_child_expiring at the soft bounds; nothing is sealed beyond the hard ones. 0: none.
     */
    uint64_t soft_bytes, hard_bytes, soft_packets, hard_packets;
    struct suite suite;
    struct secret enc_in, integ_in, enc_out, integ_out;
    struct selector_list local, remote;
};

/* Why a connection moved. */
enum session_move {
    SESSION_MOVE_ADDRESS_GONE, /* the driver does not list the way any more */
    SESSION_MOVE_BETTER_PATH,
    SESSION_MOVE_DEAD_PATH,   /* it brought no answer */
    SESSION_MOVE_NAT_CHANGED, /* same way, but the gateway sees us elsewhere */
    SESSION_MOVE_PEER_MOVED
};

enum session_liveness {
    SESSION_LIVENESS_ASKED,
    SESSION_LIVENESS_ANSWERED,
    SESSION_LIVENESS_SILENT
};

struct session_handover {
    struct path from, to;
    enum session_move reason;
    /* From when the old path was left (where it was found dead: from the first packet that brought
     * no answer) until something authentic came in. */
    int64_t gap_ms;
    uint32_t messages; /* of IKE, sent and received */
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
        uint32_t child_down_spi_in; /* CHILD_DRAIN, CHILD_DOWN */
        struct path path;
        struct session_handover handover;
        struct {
            struct path path;
            bool answered;
        } path_probe;
        struct {
            bool nat_local;
            struct path path;
        } nat;
        struct {
            enum session_liveness result;
            int64_t silence_ms; /* since the peer was heard last; -1: not known */
        } liveness;
        struct {
            struct ip items[SESSION_ADDRESSES_MAX];
            size_t count;
        } addresses;
        struct {
            enum session_down_reason reason;
            struct fault fault; /* the two lines for the user */
        } down, searching;
        struct {
            bool ike; /* else a child: */
            uint32_t old_spi_in, spi_in;
        } rekeyed;
        struct redirect_target redirect;
    };
};
/* Takes the oldest event; false where there is none. */
bool session_next_event(struct session *s, struct session_event *ret);
void session_event_wipe(struct session_event *e);

/* The one absolute deadline; MONO_NEVER where nothing is due. */
mono_ms session_next_timeout(const struct session *s);

/* --- views --- */

enum session_state {
    SESSION_IDLE,
    SESSION_CONNECTING, /* for the first time */
    SESSION_UP,
    SESSION_SEARCHING, /* was up; held, and being rebuilt */
    SESSION_STOPPING,
    SESSION_DOWN
};

struct session_status {
    enum session_state state;
    uint64_t spi_i, spi_r;
    struct suite ike; /* valid once the key exchange is chosen (prf not PRF_NONE) */
    struct path path;
    bool nat_local, nat_remote; /* a translator in front of us, of the peer */
    bool peer_fragmentation, peer_mobike;
    bool ppk;                            /* a PPK is mixed into the keys (RFC 8784) */
    struct identity local_id, remote_id; /* remote: as proven; type none before */
    mono_ms established;                 /* MONO_NEVER before */
    int64_t rtt_ms;                      /* last measured, -1: none */
    uint32_t ike_rekeys;                 /* of the connection that stands */
    uint32_t reconnects;                 /* IKE SAs built anew since the first */
    uint32_t handovers;                  /* moves that the gateway confirmed */
    bool moving;                         /* a move that the gateway has not confirmed yet */
    bool outstanding;                    /* a request of ours has no answer yet */
    bool eap;                            /* initiator: EAP has begun, and is not at its end */
};
void session_status(const struct session *s, struct session_status *ret);
/* Rekeys that led to the child with that inbound SPI; 0 where there is none. */
uint32_t session_child_rekeys(const struct session *s, uint32_t spi_in);
/* IKE messages that were of no use: malformed, unknown, unexpected, not authentic, repeated. */
uint64_t session_dropped(const struct session *s);
/* Does this IKE message, with that header, belong here? A responder also owns repeats of its
 * IKE_SA_INIT request. */
bool session_owns(const struct session *s, const struct ike_header *h, struct span message);

/* --- beside sessions --- */

/* What a UDP payload is (RFC 3948 2). with_marker: it arrived on a port other than 500. */
enum datagram_kind { DATAGRAM_IKE, DATAGRAM_ESP, DATAGRAM_KEEPALIVE, DATAGRAM_BAD };
enum datagram_kind datagram_classify(bool with_marker, struct span payload, struct span *ret_ike);

#endif
