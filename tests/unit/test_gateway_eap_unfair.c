/* EAP within IKE_AUTH (RFC 7296 2.16) against the rules: what a gateway that does not play fair
 * gets out of a client, what a client out of the gateway, and what is left of one that is stopped
 * in the midst. */
#include "common/ike/session_state.h"
#include "tests/unit/eap_scene.h"

/* --- the gateway's own proof --- */

/* Nothing of EAP leaves, not even the user's name, for a gateway that has not proven itself. */
START_TEST(no_word_before_the_gateway_is_proven)
{
    pair.gateway_config.chain = &stranger.chain;
    pair.gateway_config.key = stranger.key;
    run();
    pair_ck_down(&pair, SESSION_DOWN_PEER_UNTRUSTED, "other");
    ck_assert_uint_eq(begun, 1);
    ck_assert_uint_eq(asked, 0);
    ck_gateway_down();
}
END_TEST

START_TEST(no_word_for_a_gateway_of_another_name)
{
    ck_ok(identity_parse("vpn.example.net", &pair.client_config.remote_id));
    run();
    pair_ck_down(&pair, SESSION_DOWN_PEER_UNTRUSTED, "vpn.example.net");
    ck_assert_uint_eq(asked, 0);
}
END_TEST

/* The method's key binds EAP to the gateway that we talk to. */
START_TEST(last_auth_with_another_key)
{
    other_msk = true;
    run();
    pair_ck_down(&pair, SESSION_DOWN_REFUSED, "refused our AUTH");
    ck_gateway_down();
}
END_TEST

/* The gateway's last answer is on its way when what the client has of the key changes. */
static bool change_msk(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    (void)bytes, (void)len;
    for (size_t i = 0; !from_client && p->datagrams == 12 && i < SESSION_SAS_MAX; i++) {
        struct ike_sa *sa = p->client->sas[i];
        if (sa != NULL && sa->handshake != NULL && sa->handshake->msk.len > 0)
            sa->handshake->msk.data[5] ^= 1;
    }
    return true;
}

START_TEST(last_auth_of_somebody_else)
{
    pair.wire = change_msk;
    pair_start(&pair);
    pair_run(&pair, 60000);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_DOWN);
    ck_assert_ptr_nonnull(e);
    ck_assert_int_eq(e->down.reason, SESSION_DOWN_PEER_UNTRUSTED);
    ck_assert_ptr_nonnull(strstr(e->down.fault.text, "last AUTH is wrong"));
    ck_assert_ptr_null(pair_client_event(&pair, SESSION_EVENT_CHILD_UP));
    ck_gateway_down();
}
END_TEST

/* --- gateways that do not play fair --- */

static enum err put(struct session_eap_step *ret, uint8_t code, uint8_t identifier, uint8_t type,
                    struct span data)
{
    struct wire_writer w;
    ret->outcome = EAP_GOING_ON;
    wire_writer_init(&w, ret->packet, sizeof(ret->packet));
    wire_write_u8(&w, code);
    wire_write_u8(&w, identifier);
    wire_write_u16(&w, (uint16_t)((type != 0 ? 5 : 4) + data.len));
    if (type != 0)
        wire_write_u8(&w, type);
    wire_write_span(&w, data);
    ret->packet_len = w.len;
    return wire_write_finish(&w);
}

static enum err unearned_success(struct span response, struct session_eap_step *ret)
{
    (void)response;
    return put(ret, EAP_SUCCESS, 1, 0, SPAN_EMPTY);
}

static enum err success_after_identity(struct span response, struct session_eap_step *ret)
{
    if (response.len == 0)
        return put(ret, EAP_REQUEST, 1, EAP_IDENTITY, SPAN_EMPTY);
    return put(ret, EAP_SUCCESS, 1, 0, SPAN_EMPTY);
}

/* The client's response is not answered with the server's own proof. */
static enum err success_without_proof(struct span response, struct session_eap_step *ret)
{
    enum err e = eap_server_step(&server, &policy, response, ret);
    if (server.stage == EAP_SERVER_JUDGED)
        return put(ret, EAP_SUCCESS, server.identifier - 1, 0, SPAN_EMPTY);
    return e;
}

static enum err proof_that_is_false(struct span response, struct session_eap_step *ret)
{
    enum err e = eap_server_step(&server, &policy, response, ret);
    if (server.stage == EAP_SERVER_JUDGED)
        ret->packet[11] = ret->packet[11] == 'A' ? 'B' : 'A';
    return e;
}

static enum err without_end(struct span response, struct session_eap_step *ret)
{
    (void)response;
    return put(ret, EAP_REQUEST, (uint8_t)asked, EAP_NOTIFICATION, span_text("patience"));
}

static enum err method_that_changes(struct span response, struct session_eap_step *ret)
{
    enum err e = eap_server_step(&server, &policy, response, ret);
    if (server.stage == EAP_SERVER_JUDGED)
        return put(ret, EAP_REQUEST, 77, EAP_GTC, span_text("Password:"));
    return e;
}

static enum err broken_packet(struct span response, struct session_eap_step *ret)
{
    (void)response;
    return put(ret, EAP_REQUEST, 1, EAP_MSCHAPV2, span_text("\x01\x01\xff\xff"));
}

static const struct {
    serve *serve;
    enum session_down_reason reason;
    const char *words;
} unfair_ones[] = {
    {unearned_success, SESSION_DOWN_PEER_UNTRUSTED, "has not come to its end"},
    {success_after_identity, SESSION_DOWN_PEER_UNTRUSTED, "has not come to its end"},
    {success_without_proof, SESSION_DOWN_PEER_UNTRUSTED, "has not come to its end"},
    {proof_that_is_false, SESSION_DOWN_PEER_UNTRUSTED, "does not know the password"},
    {without_end, SESSION_DOWN_PROTOCOL, "without end"},
    {method_that_changes, SESSION_DOWN_PROTOCOL, "changes from EAP-MSCHAPv2"},
    {broken_packet, SESSION_DOWN_PROTOCOL, "is broken"},
};

START_TEST(does_not_play_fair)
{
    unfair = unfair_ones[_i].serve;
    run();
    pair_ck_down(&pair, unfair_ones[_i].reason, unfair_ones[_i].words);
    ck_gateway_down(); /* it has been told */
}
END_TEST

static enum err odd_failure(struct span response, struct session_eap_step *ret)
{
    static const char words[] = "\x04\x01\x00\x23"
                                "E=691 R=1 M=\033]0;owned\007\nerror: x";
    enum err e = eap_server_step(&server, &policy, response, ret);
    if (server.stage == EAP_SERVER_JUDGED)
        return put(ret, EAP_REQUEST, server.identifier, EAP_MSCHAPV2,
                   span_make(words, sizeof(words) - 1));
    return e;
}

/* A gateway's words do not drive a terminal, and are no line of their own. */
START_TEST(words_of_the_gateway)
{
    ck_ok(secret_set(&pair.client_config.eap.password, span_text("another")));
    unfair = odd_failure;
    run();
    const struct fault *f = pair_ck_down(&pair, SESSION_DOWN_REFUSED, "would take another try");
    ck_assert_ptr_nonnull(strstr(f->text, "\\x1b]0;owned\\x07\\x0aerror: x"));
    ck_assert_ptr_null(strpbrk(f->text, "\033\007\n"));
}
END_TEST

/* --- what is out of place --- */

static const struct ike_sa *unproven_client(void)
{
    for (size_t i = 0; i < SESSION_SAS_MAX; i++) {
        const struct ike_sa *sa = pair.client->sas[i];
        if (sa != NULL && sa->handshake != NULL && sa->seal != NULL)
            return sa;
    }
    return NULL;
}

/* A request of the client's in place of the one that is on its way: sealed with its keys, and of an
 * exchange whose time has not come. */
static void ask_out_of_place(uint8_t exchange)
{
    const struct ike_sa *sa = unproven_client();
    ck_assert_ptr_nonnull(sa);
    const struct ike_header h = {.spi_i = sa->spi_i,
                                 .spi_r = sa->spi_r,
                                 .major = 2,
                                 .exchange = exchange,
                                 .flags = IKE_FLAG_INITIATOR,
                                 .message_id = sa->window.request.id};
    const struct path at = {.local = sa->path.remote, .remote = sa->path.local, .interface = 1};
    uint8_t buffer[2048];
    struct message_writer m;
    struct proposal_list esp = pair.client_config.esp;
    struct nonce nonce;
    struct span message;
    message_begin(&m, buffer, sizeof(buffer), &h);
    size_t sk = sk_begin(&m, sa->seal);
    for (size_t i = 0; i < esp.count; i++)
        child_spi_put(&esp.items[i], 0x11223344);
    write_proposals(&m, &esp);
    nonce_make(sa, &nonce);
    payload_write(&m, PAYLOAD_NONCE, nonce_span(&nonce));
    ts_payload_write(&m, PAYLOAD_TS_I, &pair.client_config.remote_selectors);
    ts_payload_write(&m, PAYLOAD_TS_R, &pair.client_config.remote_selectors);
    ck_ok(sk_seal(&m, sk, sa->seal, 1000 + pair.marked, &message));
    session_input(pair.gateway, pair.now, &at, message);
}

/* CREATE_CHILD_SA before the client is proven changes nothing; what it goes on with, counts. */
START_TEST(nothing_is_created_before_the_end)
{
    pair.marked = 5 + 2 * (unsigned)_i; /* a round of EAP; the last AUTH */
    pair.wire = pair_lose_marked;
    pair_start(&pair);
    pair_pump(&pair);
    struct session_datagram d;
    ck_assert_uint_eq(pair.datagrams, pair.marked);
    ask_out_of_place(EXCHANGE_CREATE_CHILD_SA);
    ck_assert(!session_output(pair.gateway, pair.now, &d));
    ck_assert_ptr_null(pair_gateway_event(&pair, SESSION_EVENT_CHILD_UP));
    pair_run(&pair, 60000);
    pair_ck_up(&pair);
}
END_TEST

/* --- stopping --- */

static bool stop_in_the_midst(struct pair *p, bool from_client, uint8_t *bytes, size_t len)
{
    (void)from_client, (void)bytes, (void)len;
    if (p->datagrams == p->marked)
        session_stop(p->client, p->now);
    return true;
}

/* Whenever it is stopped: nothing more of EAP leaves, and the gateway hears of the end. */
START_TEST(stopped_in_the_midst)
{
    pair.marked = 4 + 2 * (unsigned)_i; /* the gateway's answer is on its way */
    pair.wire = stop_in_the_midst;
    pair_start(&pair);
    pair_pump(&pair);
    unsigned before = (unsigned)_i;
    pair_run(&pair, 60000);
    ck_assert_uint_eq(asked, before);
    const struct session_event *e = pair_client_event(&pair, SESSION_EVENT_DOWN);
    ck_assert_ptr_nonnull(e);
    ck_assert_int_eq(e->down.reason, SESSION_DOWN_REQUESTED);
    ck_gateway_down();
    ck_assert_int_lt(pair.datagrams, 9 + 2 * (unsigned)_i);
}
END_TEST

int main(void)
{
    TCase *t;
    Suite *suite = suite_of("eap unfair", &t);
    tcase_add_test(t, no_word_before_the_gateway_is_proven);
    tcase_add_test(t, no_word_for_a_gateway_of_another_name);
    tcase_add_test(t, last_auth_with_another_key);
    tcase_add_test(t, last_auth_of_somebody_else);
    tcase_add_loop_test(t, does_not_play_fair, 0, sizeof(unfair_ones) / sizeof(unfair_ones[0]));
    tcase_add_test(t, words_of_the_gateway);
    tcase_add_loop_test(t, nothing_is_created_before_the_end, 0, 4);
    tcase_add_loop_test(t, stopped_in_the_midst, 0, 4);
    return support_run(suite);
}
