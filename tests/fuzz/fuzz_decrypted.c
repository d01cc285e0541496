/* A hostile peer that has the keys: the input becomes the plaintext inside SK of correctly sealed
 * messages, to a client or a gateway, in every state in which one can be.
 *
 * Input: scene, variant, then steps: kind, (first payload type, length, chain | time). */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/ends.h"

enum {
    STEPS_MAX = 24,
    CHAIN_MAX = 8192,
    SETTLE_MAX = 12,
    BURST_MAX = 24 /* datagrams that one step makes a side send */
};

/* Who gets the messages, and what it is waiting for. */
enum scene {
    CLIENT_AUTH_SENT,
    CLIENT_UP,
    CLIENT_CHILD_REKEY,
    CLIENT_IKE_REKEY,
    CLIENT_CLOSING,
    CLIENT_PROBE,
    CLIENT_REPLACED, /* the gateway rekeyed, and has not deleted the old IKE SA yet */
    CLIENT_REAUTH,   /* a second IKE SA is being connected beside the first */
    CLIENT_SEARCHING,
    GATEWAY_INIT_ANSWERED,
    GATEWAY_UP,
    GATEWAY_CHILD_REKEY,
    GATEWAY_IKE_REKEY,
    GATEWAY_CLOSING,
    GATEWAY_REDIRECT,
    CLIENT_MOVING,    /* UPDATE_SA_ADDRESSES is out */
    CLIENT_RACING,    /* and has gone by every way */
    GATEWAY_CHECKING, /* the client has moved, and is asked whether it is there */
    SCENES
};

static bool lose_all(struct ends *e, bool from_client, const struct path *path, struct span bytes)
{
    (void)e;
    (void)from_client;
    (void)path;
    (void)bytes;
    return false;
}

/* Keys are agreed and IKE_AUTH gets lost. */
static bool lose_auth(struct ends *e, bool from_client, const struct path *path, struct span bytes)
{
    (void)e;
    (void)from_client;
    (void)bytes;
    return path->remote.port == IKE_PORT || path->local.port == IKE_PORT;
}

/* Deletes of the old IKE SA: whatever the client sends after its answer. */
static bool only_first_answers(struct ends *e, bool from_client, const struct path *path,
                               struct span bytes)
{
    unsigned *left = e->wire_ctx;
    (void)from_client;
    (void)path;
    (void)bytes;
    if (*left == 0)
        return false;
    (*left)--;
    return true;
}

static bool of_client(enum scene scene)
{
    return scene < GATEWAY_INIT_ANSWERED || scene == CLIENT_MOVING || scene == CLIENT_RACING;
}

static void client_scene(struct ends *e, enum scene scene)
{
    struct session *s = e->client.session;
    const struct session_traffic silent = {.last_out = 1, .last_in = MONO_NEVER};
    e->wire = lose_all;
    switch (scene) {
    case CLIENT_CHILD_REKEY:
        CHECK(session_rekey(s, e->now, SESSION_REKEY_CHILD) == ERR_OK);
        break;
    case CLIENT_IKE_REKEY:
        CHECK(session_rekey(s, e->now, SESSION_REKEY_IKE) == ERR_OK);
        break;
    case CLIENT_CLOSING:
        session_stop(s, e->now);
        break;
    case CLIENT_PROBE:
        session_traffic(s, e->now, &silent);
        ends_wait(e, &e->client, 40000);
        break;
    case CLIENT_REAUTH:
        CHECK(session_reconnect(s, e->now) == ERR_OK);
        e->wire = lose_auth;
        break;
    case CLIENT_MOVING:
        ends_networks(e, &e->client, 1, 1);
        break;
    case CLIENT_RACING:
        ends_networks(e, &e->client, 3, 1);
        ends_wait(e, &e->client, 1000);
        break;
    case CLIENT_SEARCHING:
        session_suspect(s, e->now);
        for (int i = 0; i < 6; i++)
            ends_wait(e, &e->client, 10000);
        break;
    default:
        break;
    }
}

static void gateway_scene(struct ends *e, enum scene scene)
{
    struct session *s = e->gateway.session;
    struct redirect_target to = {.name = "other.example.com"};
    static unsigned left;
    left = 2;
    e->wire = lose_all;
    switch (scene) {
    case GATEWAY_CHILD_REKEY:
        CHECK(session_rekey(s, e->now, SESSION_REKEY_CHILD) == ERR_OK);
        break;
    case GATEWAY_IKE_REKEY:
        CHECK(session_rekey(s, e->now, SESSION_REKEY_IKE) == ERR_OK);
        break;
    case GATEWAY_CLOSING:
        session_stop(s, e->now);
        break;
    case GATEWAY_CHECKING:
        e->wire = only_first_answers;
        e->wire_ctx = &left;
        ends_networks(e, &e->client, 1, 1);
        break;
    case GATEWAY_REDIRECT:
        CHECK(session_redirect(s, e->now, &to) == ERR_OK);
        break;
    default:
        break;
    }
}

static void set_up(struct ends *e, enum scene scene)
{
    unsigned left = 2;
    ends_start(e);
    if (scene == CLIENT_AUTH_SENT || scene == GATEWAY_INIT_ANSWERED)
        e->wire = lose_auth;
    ends_pump(e);
    if (scene == CLIENT_AUTH_SENT || scene == GATEWAY_INIT_ANSWERED)
        return;
    CHECK(e->client.up && e->gateway.up);
    if (scene == CLIENT_REPLACED) {
        e->wire = only_first_answers;
        e->wire_ctx = &left;
        CHECK(session_rekey(e->gateway.session, e->now, SESSION_REKEY_IKE) == ERR_OK);
    } else if (of_client(scene)) {
        client_scene(e, scene);
    } else {
        gateway_scene(e, scene);
    }
    ends_pump(e);
    e->wire = lose_all;
    e->wire_ctx = NULL;
}

static const uint8_t exchanges[] = {EXCHANGE_IKE_AUTH, EXCHANGE_CREATE_CHILD_SA,
                                    EXCHANGE_INFORMATIONAL, 99};

/* The header that the SA expects of its peer: bit 7 of kind says response, bits 5 and 6 the
 * exchange. An answer is to what is out, where anything is. */
static struct ike_header header_for(const struct ike_sa *sa, uint8_t kind)
{
    bool response = (kind & 0x80) != 0;
    const struct window_request *r = &sa->window.request;
    struct ike_header h = {
        .spi_i = sa->spi_i,
        .spi_r = sa->spi_r,
        .major = 2,
        .exchange = exchanges[kind >> 5 & 3],
        .flags = sa->initiator ? 0 : IKE_FLAG_INITIATOR,
        .message_id = sa->window.expected_id,
    };
    if (response) {
        h.flags |= IKE_FLAG_RESPONSE;
        h.message_id = r->id;
        if (r->active && h.exchange != 99)
            h.exchange = r->exchange;
    }
    return h;
}

static void message(struct ends *e, struct ends_side *side, struct wire_reader *r, uint8_t kind,
                    bool in_pieces)
{
    static uint8_t chain[CHAIN_MAX];
    uint8_t first = wire_read_u8(r);
    struct span text = fuzz_piece(r), train, sealed;
    const struct ike_sa *sa = ends_sa(side->session, kind & 3);
    if (sa == NULL || text.len > sizeof(chain))
        return;
    if (text.len > 0)
        memcpy(chain, text.data, text.len);
    struct ike_header h = header_for(sa, kind);
    bool waits_for_proof = sa->handshake != NULL && sa->state != SA_SECOND_SENT;
    bool was_up = side->up;
    unsigned children = side->children_up, configs = side->configs;
    bool proven = ends_prove(e, sa, first, chain, text.len);
    ends_seal(sa, &h, first, span_make(chain, text.len), in_pieces, &train);
    while (fragment_train_next(&train, &sealed))
        ends_input(e, side, sealed);
    if (waits_for_proof && !proven) /* nothing is granted, and nothing used, before the proof */
        CHECK(side->children_up == children && side->configs == configs && side->up == was_up);
    CHECK(side->children_up <= children + 1);
}

static void command(struct ends *e, struct ends_side *side, uint8_t what)
{
    struct session *s = side->session;
    const struct session_traffic traffic = {.last_out = e->now, .last_in = e->now};
    switch (what % 8) {
    case 0:
        (void)!session_rekey(s, e->now, SESSION_REKEY_BOTH);
        break;
    case 1:
        (void)!session_reconnect(s, e->now);
        break;
    case 2:
        session_suspect(s, e->now);
        break;
    case 3:
        if (what >> 7 != 0)
            session_resumed(s, e->now);
        else
            session_traffic(s, e->now, &traffic);
        break;
    case 4:
        if (side->redirected)
            session_redirected(s, e->now, &e->path, what >> 7);
        break;
    case 5:
        ends_networks(e, side, ((what >> 5 & 3u) + 1) % 4, what >> 7);
        break;
    case 6:
        (void)!session_rekey(s, e->now, SESSION_REKEY_CHILD);
        break;
    default:
        session_stop(s, e->now);
    }
    ends_judge(e, side);
}

static void drain(struct ends *e, struct ends_side *side)
{
    struct session_datagram d;
    for (int i = 0; ends_output(e, side, &d); i++)
        CHECK(i < BURST_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ends e;
    struct wire_reader r;
    wire_reader_init(&r, span_make(data, size));
    enum scene scene = wire_read_u8(&r) % SCENES;
    uint8_t variant = wire_read_u8(&r);
    ends_init(&e, scene == GATEWAY_CHECKING ? variant | ENDS_CHECKED : variant);
    set_up(&e, scene);
    struct ends_side *side = of_client(scene) ? &e.client : &e.gateway;
    CHECK(side->session != NULL && !side->down);
    drain(&e, side);
    for (int i = 0; wire_left(&r) > 0 && i < STEPS_MAX; i++) {
        uint8_t kind = wire_read_u8(&r);
        /* bits 3 and 4: 3 a command, 2 time, else a message */
        if ((kind & 0x18) == 0x18)
            command(&e, side, (uint8_t)(kind >> 5 | (kind & 7) << 5));
        else if ((kind & 0x18) == 0x10)
            ends_wait(&e, side, (mono_ms)wire_read_u16(&r) * 4);
        else
            message(&e, side, &r, kind, (variant & ENDS_PIECES) != 0);
        drain(&e, side);
    }
    for (int i = 0; i < SETTLE_MAX && !side->down; i++) {
        ends_wait(&e, side, 100000);
        drain(&e, side);
    }
    ends_wipe(&e);
    return 0;
}
