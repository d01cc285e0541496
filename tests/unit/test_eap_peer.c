/* The peer of EAP: what each method says, and what of a server's it does not take. */
#include "common/eap/eap.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/be.h"
#include "common/base/wire.h"
#include "common/crypto/legacy.h"
#include "tests/support/fixed_random.h"
#include "tests/support/support.h"

static struct eap_config config;
static struct eap_peer *peer;
static struct eap_result result;
static struct fixed_random fixed;

/* RFC 2759 9.2's user, with the peer challenge of that. */
static void setup(void)
{
    static const uint8_t challenge[] = "!@#$%^&*()_+:3|~";
    config = (struct eap_config){
        .methods = {EAP_MSCHAPV2, EAP_GTC, EAP_MD5}, .method_count = 3, .name = "User"};
    ck_ok(secret_set(&config.password, span_text("clientPass")));
    struct random_source random = fixed_random(&fixed, span_make(challenge, 16));
    ck_ok(eap_peer_new(&config, &random, &peer));
    support_log_begin();
}

static void teardown(void)
{
    ck_assert_ptr_null(strstr(support_logged, "clientPass"));
    support_log_end();
    eap_peer_free(peer);
    peer = NULL;
}

static void again(void)
{
    teardown();
    setup();
}

/* --- what the server says --- */

static struct span packet(uint8_t out[2048], uint8_t code, uint8_t identifier, struct span rest)
{
    struct wire_writer w;
    wire_writer_init(&w, out, 2048);
    wire_write_u8(&w, code);
    wire_write_u8(&w, identifier);
    wire_write_u16(&w, (uint16_t)(4 + rest.len));
    wire_write_span(&w, rest);
    ck_ok(wire_write_finish(&w));
    return wire_written(&w);
}

static enum eap_outcome give(struct span p)
{
    uint8_t *exact = support_exact_copy(p);
    eap_peer_input(peer, span_make(exact, p.len), &result);
    free(exact);
    ck_assert(result.outcome != EAP_FAILED ||
              (result.response.len == 0 && result.fault.text[0] != '\0'));
    ck_assert_ptr_null(strstr(result.fault.text, "clientPass"));
    return result.outcome;
}

static enum eap_outcome say(uint8_t code, uint8_t identifier, struct span rest)
{
    uint8_t buffer[2048];
    return give(packet(buffer, code, identifier, rest));
}

static enum eap_outcome ask(uint8_t identifier, uint8_t type, struct span data)
{
    uint8_t rest[2048];
    struct wire_writer w;
    wire_writer_init(&w, rest, sizeof(rest));
    wire_write_u8(&w, type);
    wire_write_span(&w, data);
    return say(EAP_REQUEST, identifier, wire_written(&w));
}

static struct span mschapv2_data(uint8_t out[1024], uint8_t opcode, struct span data)
{
    struct wire_writer w;
    wire_writer_init(&w, out, 1024);
    wire_write_u8(&w, opcode);
    wire_write_u8(&w, 7);
    wire_write_u16(&w, (uint16_t)(4 + data.len));
    wire_write_span(&w, data);
    return wire_written(&w);
}

static enum eap_outcome mschapv2(uint8_t identifier, uint8_t opcode, struct span data)
{
    uint8_t out[1024];
    return ask(identifier, EAP_MSCHAPV2, mschapv2_data(out, opcode, data));
}

static struct span challenge_data(void)
{
    static uint8_t data[17 + 4] = {16};
    support_hex("5B5D7C7D7B3F2F3E3C2C602132262628", data + 1, 16);
    memcpy(data + 17, "serv", 4);
    return SPAN_OF(data);
}

static enum eap_outcome mschapv2_challenge(uint8_t identifier)
{
    return mschapv2(identifier, 1, challenge_data());
}

#define PROOF "S=407A5589115FD0D6209F510FE9C04566932CDA56"

static enum eap_outcome mschapv2_success(const char *text)
{
    return mschapv2(9, 3, span_text(text));
}

static void ck_response(const char *hex)
{
    uint8_t want[1024];
    ck_assert_int_eq(result.outcome, EAP_GOING_ON);
    size_t len = support_hex(hex, want, sizeof(want));
    ck_span_eq(result.response, span_make(want, len));
}

static void ck_failed(enum err e, const char *words)
{
    ck_assert_int_eq(result.outcome, EAP_FAILED);
    ck_assert_msg(result.fault.code == e, "%s (%s)", err_text(result.fault.code),
                  result.fault.text);
    ck_assert_msg(strstr(result.fault.text, words) != NULL, "%s", result.fault.text);
}

/* --- RFC 3748 5.1 to 5.3 --- */

START_TEST(identity)
{
    ask(3, EAP_IDENTITY, span_text("who? \033[2J"));
    ck_response("02 03 0009 01 55736572");
    ck_assert_ptr_null(strchr(support_logged, '\033'));
    ck_assert_ptr_nonnull(strstr(support_logged, "who? \\x1b"));
    ask(4, EAP_IDENTITY, SPAN_EMPTY); /* once more, as after a mistake */
    ck_response("02 04 0009 01 55736572");
}
END_TEST

START_TEST(notification)
{
    ask(3, EAP_NOTIFICATION, span_text("your password expires\nerror: forged"));
    ck_response("02 03 0005 02");
    ck_assert_ptr_nonnull(strstr(support_logged, "your password expires\\x0aerror: forged"));
}
END_TEST

START_TEST(another_method_is_asked_for)
{
    ask(5, 13, SPAN_EMPTY);
    ck_response("02 05 0008 03 1a 06 04");
    ck_assert_int_eq(mschapv2_challenge(6), EAP_GOING_ON);
    say(EAP_FAILURE, 7, SPAN_EMPTY);
    ck_failed(ERR_REFUSED, "refused our credentials");
    ck_assert(result.refused);
}
END_TEST

START_TEST(a_method_that_is_not_ours_to_the_end)
{
    ask(5, 13, SPAN_EMPTY);
    say(EAP_FAILURE, 5, SPAN_EMPTY);
    ck_failed(ERR_REFUSED, "wants EAP-TLS; we offer EAP-MSCHAPv2, EAP-GTC, EAP-MD5");
    again();
    ask(5, 77, SPAN_EMPTY);
    say(EAP_FAILURE, 5, SPAN_EMPTY);
    ck_failed(ERR_REFUSED, "wants EAP type 77");
    again();
    say(EAP_FAILURE, 5, SPAN_EMPTY);
    ck_failed(ERR_REFUSED, "before any proof");
}
END_TEST

/* RFC 3748 5.3.2. */
START_TEST(expanded_types_are_refused_in_kind)
{
    ask(5, EAP_EXPANDED, span_text("whatever"));
    ck_response("02 05 0024 fe 000000 00000003"
                "fe 000000 0000001a fe 000000 00000006 fe 000000 00000004");
}
END_TEST

START_TEST(types_that_are_no_requests)
{
    ask(5, EAP_NAK, SPAN_EMPTY);
    ck_failed(ERR_MALFORMED, "type 3");
    again();
    ask(5, 0, SPAN_EMPTY);
    ck_failed(ERR_MALFORMED, "type 0");
}
END_TEST

/* RFC 3748 2.1. */
START_TEST(no_second_method)
{
    ck_assert_int_eq(mschapv2_challenge(5), EAP_GOING_ON);
    ask(6, EAP_GTC, span_text("Password:"));
    ck_failed(ERR_MALFORMED, "changes from EAP-MSCHAPv2");
    again();
    ck_assert_int_eq(mschapv2_challenge(5), EAP_GOING_ON);
    ask(6, EAP_IDENTITY, SPAN_EMPTY);
    ck_failed(ERR_MALFORMED, "in the midst");
}
END_TEST

/* RFC 3748 4.1: nothing is drawn anew for what has been asked already. */
START_TEST(a_repeated_request_has_the_same_answer)
{
    uint8_t first[EAP_RESPONSE_MAX];
    ck_assert_int_eq(mschapv2_challenge(5), EAP_GOING_ON);
    size_t len = result.response.len;
    memcpy(first, result.response.data, len);
    ck_assert_int_eq(mschapv2_challenge(5), EAP_GOING_ON);
    ck_span_eq(result.response, span_make(first, len));
    ck_assert_int_eq(mschapv2_success(PROOF), EAP_GOING_ON);
    ck_assert_int_eq(mschapv2_success(PROOF), EAP_GOING_ON);
    ck_response("02 09 0006 1a 03");
}
END_TEST

START_TEST(rounds_are_bounded)
{
    unsigned rounds = 0;
    while (rounds < 1000 && ask((uint8_t)rounds, EAP_NOTIFICATION, SPAN_EMPTY) == EAP_GOING_ON)
        rounds++;
    ck_assert_uint_eq(rounds, 64);
    ck_failed(ERR_LIMIT, "without end");
}
END_TEST

/* --- Success that was not earned --- */

START_TEST(success_before_anything)
{
    say(EAP_SUCCESS, (uint8_t)_i, SPAN_EMPTY);
    ck_failed(ERR_INTEGRITY, "has not come to its end");
    again();
    ask(0, EAP_IDENTITY, SPAN_EMPTY);
    say(EAP_SUCCESS, (uint8_t)_i, SPAN_EMPTY);
    ck_failed(ERR_INTEGRITY, "has not come to its end");
}
END_TEST

START_TEST(success_before_the_server_is_proven)
{
    ck_assert_int_eq(mschapv2_challenge(5), EAP_GOING_ON);
    say(EAP_SUCCESS, 5, SPAN_EMPTY);
    ck_failed(ERR_INTEGRITY, "has not come to its end");
    ck_assert_uint_eq(eap_peer_msk(peer).len, 0);
    again();
    ck_assert_int_eq(mschapv2_challenge(5), EAP_GOING_ON);
    ck_assert_int_eq(mschapv2(6, 4, span_text("E=691 R=0")), EAP_GOING_ON);
    say(EAP_SUCCESS, 6, SPAN_EMPTY);
    ck_failed(ERR_INTEGRITY, "has not come to its end");
}
END_TEST

/* RFC 3748 4.2; and as servers are that count one on. */
START_TEST(success_is_about_the_last_answer)
{
    for (unsigned ahead = 0; ahead < 4; ahead++) {
        ask(0xff, EAP_GTC, span_text("Password:"));
        say(EAP_SUCCESS, (uint8_t)(0xff + ahead), SPAN_EMPTY);
        ck_assert_int_eq(result.outcome, ahead < 2 ? EAP_SUCCEEDED : EAP_FAILED);
        again();
    }
}
END_TEST

START_TEST(packets_of_other_codes)
{
    say(EAP_RESPONSE, 5, span_text("\x01who"));
    ck_failed(ERR_MALFORMED, "code 2");
    again();
    say(5, 5, SPAN_EMPTY);
    ck_failed(ERR_MALFORMED, "code 5");
    again();
    ask(0, EAP_GTC, SPAN_EMPTY);
    say(EAP_SUCCESS, 0, span_text("x")); /* RFC 3748 4.2: four octets */
    ck_failed(ERR_MALFORMED, "code 3");
}
END_TEST

/* --- MSCHAPv2 --- */

START_TEST(mschapv2_to_the_end)
{
    mschapv2_challenge(5);
    ck_response("02 05 003f 1a 02 07 003a 31"
                "21402324255E262A28295F2B3A337C7E 0000000000000000"
                "82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF 00 55736572");
    mschapv2_success(PROOF " M=Welcome");
    ck_response("02 09 0006 1a 03");
    ck_assert_ptr_nonnull(strstr(support_logged, "says: Welcome"));
    ck_assert_int_eq(say(EAP_SUCCESS, 9, SPAN_EMPTY), EAP_SUCCEEDED);
    ck_assert_uint_eq(eap_peer_msk(peer).len, 64);
    ck_assert(!eap_peer_told_password(peer));
}
END_TEST

START_TEST(mschapv2_proof_in_small_letters)
{
    mschapv2_challenge(5);
    mschapv2_success("S=407a5589115fd0d6209f510fe9c04566932cda56");
    ck_response("02 09 0006 1a 03");
}
END_TEST

START_TEST(mschapv2_server_without_the_password)
{
    char text[] = PROOF;
    for (size_t i = 2; i < sizeof(text) - 1; i++) {
        char was = text[i];
        text[i] = was == '0' ? '1' : '0';
        mschapv2_challenge(5);
        mschapv2_success(text);
        ck_failed(ERR_INTEGRITY, "does not know the password");
        ck_assert_uint_eq(eap_peer_msk(peer).len, 0);
        text[i] = was;
        again();
    }
}
END_TEST

static const char *const odd_successes[] = {
    "",
    "S",
    "S=",
    "M=Welcome",
    "s=407A5589115FD0D6209F510FE9C04566932CDA56",
    "S=407A5589115FD0D6209F510FE9C04566932CDA5",
    "S=407A5589115FD0D6209F510FE9C04566932CDA561",
    "S=407A5589115FD0D6209F510FE9C04566932CDA5G",
    ("M= " PROOF),
};

START_TEST(mschapv2_odd_successes)
{
    mschapv2_challenge(5);
    mschapv2_success(odd_successes[_i]);
    ck_failed(ERR_MALFORMED, "success message is broken");
}
END_TEST

static const struct {
    const char *text, *words;
} refusals[] = {
    {"E=646 R=0 C=00 V=3", "may not be used at this hour (EAP-MSCHAPv2 error 646)"},
    {"E=647 R=0", "is disabled"},
    {"E=648 R=0 V=3 M=Password expired", "has expired (EAP-MSCHAPv2 error 648), saying \"Password"},
    {"E=649", "may not dial in"},
    {"E=691 R=1 C=0123456789ABCDEF0123456789ABCDEF V=3 M=Try again",
     "wrong user name or password (EAP-MSCHAPv2 error 691, it would take another try)"},
    {"E=709 R=0", "could not be changed"},
    {"R=0 E=12345", "error without a name (EAP-MSCHAPv2 error 12345)"},
    {"E=691 M=a\033[31mb\nE=1 =", "saying \"a\\x1b[31mb\\x0aE=1 =\""},
};

/* The server hears that we heard, and has the last word; which is not repeated to it. */
START_TEST(mschapv2_refusals)
{
    mschapv2_challenge(5);
    mschapv2(6, 4, span_text(refusals[_i].text));
    ck_response("02 06 0006 1a 04");
    struct fault f = {0};
    eap_peer_refused(peer, &f);
    ck_assert_int_eq(f.code, ERR_REFUSED);
    say(EAP_FAILURE, 6, SPAN_EMPTY);
    ck_failed(ERR_REFUSED, refusals[_i].words);
    ck_assert_str_eq(result.fault.text, f.text);
    ck_assert_ptr_nonnull(strstr(result.fault.text, "\"User\""));
}
END_TEST

START_TEST(mschapv2_odd_refusals)
{
    static const char *const odd[] = {"", "E", "E=", "E= R=1", "E=x91", "M=E=691", "691", "   "};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        mschapv2_challenge(5);
        mschapv2(6, 4, span_text(odd[i]));
        ck_failed(ERR_MALFORMED, "failure message is broken");
        again();
    }
}
END_TEST

START_TEST(mschapv2_out_of_order)
{
    static const uint8_t opcodes[] = {0, 2, 3, 4, 5, 7};
    for (size_t i = 0; i < sizeof(opcodes); i++) {
        mschapv2(5, opcodes[i], span_text(PROOF));
        ck_failed(ERR_MALFORMED, "not expected");
        again();
    }
    mschapv2_challenge(5);
    mschapv2_challenge(6); /* another one: a second answer to compare with the first */
    ck_failed(ERR_MALFORMED, "not expected");
    again();
    mschapv2_challenge(5);
    mschapv2_success(PROOF);
    mschapv2_challenge(10);
    ck_failed(ERR_REFUSED, "after its end");
}
END_TEST

START_TEST(mschapv2_password_that_is_no_text)
{
    eap_peer_free(peer);
    ck_ok(secret_set(&config.password, span_text("\xff\xfe")));
    struct random_source random = random_system();
    ck_ok(eap_peer_new(&config, &random, &peer));
    mschapv2_challenge(5);
    ck_failed(ERR_MALFORMED, "password is not UTF-8");
}
END_TEST

/* --- MD5, GTC --- */

START_TEST(md5)
{
    uint8_t want[MD5_LEN];
    const struct span parts[] = {span_text("\x05"), span_text("clientPass"), span_text("0123456")};
    hash_md5(parts, 3, want);
    ask(5, EAP_MD5,
        span_text("\x07"
                  "0123456server"));
    ck_assert_int_eq(result.outcome, EAP_GOING_ON);
    ck_assert_uint_eq(result.response.len, 4 + 1 + 1 + MD5_LEN + 4);
    ck_span_eq(span_make(result.response.data + 6, MD5_LEN), SPAN_OF(want));
    ck_assert(!eap_peer_told_password(peer));
    ck_assert_int_eq(say(EAP_SUCCESS, 5, SPAN_EMPTY), EAP_SUCCEEDED);
    ck_assert_uint_eq(eap_peer_msk(peer).len, 0);
}
END_TEST

START_TEST(gtc)
{
    ask(5, EAP_GTC, span_text("Enter PASSCODE:"));
    ck_response("02 05 000f 06 636c69656e7450617373");
    ck_assert_ptr_nonnull(strstr(support_logged, "Enter PASSCODE:"));
    ck_assert(eap_peer_told_password(peer));
    ck_assert_int_eq(say(EAP_SUCCESS, 5, SPAN_EMPTY), EAP_SUCCEEDED);
    ck_assert_uint_eq(eap_peer_msk(peer).len, 0);
}
END_TEST

/* A code that was wrong is not said again. */
START_TEST(the_same_password_is_not_said_twice)
{
    ask(5, EAP_GTC, span_text("Enter PASSCODE:"));
    ask(6, EAP_GTC, span_text("Wrong. Enter PASSCODE:"));
    ck_failed(ERR_REFUSED, "goes on asking by EAP-GTC");
    again();
    ask(5, EAP_MD5, span_text("\x01x"));
    ask(6, EAP_MD5, span_text("\x01y"));
    ck_failed(ERR_REFUSED, "goes on asking by EAP-MD5");
}
END_TEST

/* --- every length --- */

/* A packet cut at every length, and every octet that may be a length at every value: as it comes,
 * and with the EAP header's length made to fit. */
static void every_length(void (*prepare)(void), struct span whole)
{
    uint8_t copy[2048];
    for (size_t len = 0; len <= whole.len; len++) {
        for (unsigned fit = 0; fit < 2; fit++) {
            memcpy(copy, whole.data, whole.len);
            if (fit && len >= 4) {
                be_write_u16(copy + 2, (uint16_t)len);
            }
            prepare();
            (void)give(span_make(copy, len));
            ck_assert(len == whole.len || fit || result.outcome == EAP_FAILED);
            again();
        }
    }
    for (size_t at = 0; at < whole.len && at < 16; at++) {
        for (unsigned value = 0; value <= UINT8_MAX; value++) {
            memcpy(copy, whole.data, whole.len);
            copy[at] = (uint8_t)value;
            prepare();
            (void)give(span_make(copy, whole.len));
            again();
        }
    }
}

static void nothing(void)
{
}

static void challenged(void)
{
    ck_assert_int_eq(mschapv2_challenge(5), EAP_GOING_ON);
}

START_TEST(lengths_of_mschapv2)
{
    static const char success[] = PROOF " M=Welcome", failure[] = "E=691 R=1 C=00 V=3 M=no";
    uint8_t data[1024], rest[1100], out[2048];
    const struct {
        uint8_t opcode;
        struct span data;
        void (*prepare)(void);
    } cases[] = {{1, challenge_data(), nothing},
                 {3, span_text(success), challenged},
                 {4, span_text(failure), challenged}};
    struct span inner = mschapv2_data(data, cases[_i].opcode, cases[_i].data);
    rest[0] = EAP_MSCHAPV2;
    memcpy(rest + 1, inner.data, inner.len);
    every_length(cases[_i].prepare, packet(out, EAP_REQUEST, 6, span_make(rest, 1 + inner.len)));
}
END_TEST

START_TEST(lengths_of_the_others)
{
    static const char *const rests[] = {"\x01who?",
                                        "\x02note",
                                        "\x04\x03"
                                        "abcname",
                                        "\x06pass",
                                        "\x0dtls",
                                        "\xfe"
                                        "vendors"};
    uint8_t out[2048];
    every_length(nothing, packet(out, EAP_REQUEST, 6, span_text(rests[_i])));
}
END_TEST

/* A name as long as may be, and the longest password by GTC, fit an answer. */
START_TEST(the_longest)
{
    eap_peer_free(peer);
    memset(config.name, 'n', EAP_NAME_MAX);
    uint8_t password[SECRET_MAX];
    memset(password, 'p', sizeof(password));
    ck_ok(secret_set(&config.password, SPAN_OF(password)));
    struct random_source random = random_system();
    ck_ok(eap_peer_new(&config, &random, &peer));
    ask(5, EAP_GTC, SPAN_EMPTY);
    ck_assert_uint_eq(result.response.len, 5 + SECRET_MAX);
    eap_peer_free(peer);
    config.password.len = 256;
    ck_ok(eap_peer_new(&config, &random, &peer));
    mschapv2_challenge(5);
    ck_assert_uint_eq(result.response.len, 5 + 4 + 1 + 49 + EAP_NAME_MAX);
}
END_TEST

START_TEST(names_of_methods)
{
    ck_assert_uint_eq(eap_type_from_text("mschapv2"), EAP_MSCHAPV2);
    ck_assert_uint_eq(eap_type_from_text("gtc"), EAP_GTC);
    ck_assert_uint_eq(eap_type_from_text("md5"), EAP_MD5);
    ck_assert_uint_eq(eap_type_from_text("tls"), EAP_TLS);
    ck_assert_uint_eq(eap_type_from_text("ttls"), EAP_TTLS);
    ck_assert_uint_eq(eap_type_from_text("peap"), EAP_PEAP);
    ck_assert_uint_eq(eap_type_from_text("aka"), 0);
    ck_assert_str_eq(eap_type_name(13), "EAP-TLS");
    ck_assert_ptr_null(eap_type_name(200));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("eap_peer");
    TCase *t = tcase_create("peer");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, identity);
    tcase_add_test(t, notification);
    tcase_add_test(t, another_method_is_asked_for);
    tcase_add_test(t, a_method_that_is_not_ours_to_the_end);
    tcase_add_test(t, expanded_types_are_refused_in_kind);
    tcase_add_test(t, types_that_are_no_requests);
    tcase_add_test(t, no_second_method);
    tcase_add_test(t, a_repeated_request_has_the_same_answer);
    tcase_add_test(t, rounds_are_bounded);
    tcase_add_loop_test(t, success_before_anything, 0, 2);
    tcase_add_test(t, success_before_the_server_is_proven);
    tcase_add_test(t, success_is_about_the_last_answer);
    tcase_add_test(t, packets_of_other_codes);
    tcase_add_test(t, mschapv2_to_the_end);
    tcase_add_test(t, mschapv2_proof_in_small_letters);
    tcase_add_test(t, mschapv2_server_without_the_password);
    tcase_add_loop_test(t, mschapv2_odd_successes, 0,
                        sizeof(odd_successes) / sizeof(odd_successes[0]));
    tcase_add_loop_test(t, mschapv2_refusals, 0, sizeof(refusals) / sizeof(refusals[0]));
    tcase_add_test(t, mschapv2_odd_refusals);
    tcase_add_test(t, mschapv2_out_of_order);
    tcase_add_test(t, mschapv2_password_that_is_no_text);
    tcase_add_test(t, md5);
    tcase_add_test(t, gtc);
    tcase_add_test(t, the_same_password_is_not_said_twice);
    tcase_add_loop_test(t, lengths_of_mschapv2, 0, 3);
    tcase_add_loop_test(t, lengths_of_the_others, 0, 6);
    tcase_add_test(t, the_longest);
    tcase_add_test(t, names_of_methods);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
