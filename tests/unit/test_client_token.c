/* The conversation with tern-token: every message cut, lengthened and changed, and at the other end
 * somebody who hangs, dies or lies. */
#include "client/token.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/fixture.h"
#include "tests/support/support.h"

/* --- messages --- */

static const struct token_request requests[] = {
    {.type = TOKEN_OPEN, .key_uri = {(const uint8_t *)"pkcs11:token=a", 14}},
    {.type = TOKEN_OPEN,
     .key_uri = {(const uint8_t *)"pkcs11:a", 8},
     .certificate_uri = {(const uint8_t *)"pkcs11:bc", 9}},
    {.type = TOKEN_LOGIN,
     .pin = {(const uint8_t *)"12\0"
                              "34",
             5}},
    {.type = TOKEN_LOGIN},
    {.type = TOKEN_CERTIFICATE, .index = TOKEN_CERTIFICATES_MAX - 1},
    {.type = TOKEN_SIGN,
     .mechanism = TOKEN_RSA_PSS,
     .hash = 2,
     .salt_len = 32,
     .input = {(const uint8_t *)"digest", 6}},
};

static const struct token_answer answers[] = {
    {.type = TOKEN_STATUS, .flags = TOKEN_FLAGS, .text = {(const uint8_t *)"label", 5}},
    {.type = TOKEN_STATUS},
    {.type = TOKEN_DER, .bytes = {(const uint8_t *)"der", 3}},
    {.type = TOKEN_DER},
    {.type = TOKEN_SIGNATURE, .bytes = {(const uint8_t *)"s", 1}},
    {.type = TOKEN_FAULT, .fault = TOKEN_GONE, .text = {(const uint8_t *)"gone", 4}},
};

enum {
    REQUESTS = sizeof(requests) / sizeof(requests[0]),
    ANSWERS = sizeof(answers) / sizeof(answers[0])
};

static uint8_t message[TOKEN_MESSAGE_MAX], again[TOKEN_MESSAGE_MAX];

START_TEST(requests_round_trip)
{
    for (size_t i = 0; i < REQUESTS; i++) {
        const struct token_request *q = &requests[i];
        struct token_request r;
        size_t len = 0, again_len = 0;
        ck_ok(token_request_write(q, message, &len));
        ck_ok(token_request_parse(span_make(message, len), &r));
        ck_assert_int_eq(r.type, q->type);
        ck_assert(span_equal(r.key_uri, q->key_uri));
        ck_assert(span_equal(r.certificate_uri, q->certificate_uri));
        ck_assert(span_equal(r.pin, q->pin));
        ck_assert(span_equal(r.input, q->input));
        ck_assert_uint_eq(r.index, q->index);
        ck_assert_int_eq(r.mechanism, q->mechanism);
        ck_assert_uint_eq(r.hash, q->hash);
        ck_assert_uint_eq(r.salt_len, q->salt_len);
        ck_ok(token_request_write(&r, again, &again_len));
        ck_span_eq(span_make(again, again_len), span_make(message, len));
    }
}
END_TEST

START_TEST(answers_round_trip)
{
    for (size_t i = 0; i < ANSWERS; i++) {
        const struct token_answer *q = &answers[i];
        struct token_answer a;
        size_t len = 0, again_len = 0;
        ck_ok(token_answer_write(q, message, &len));
        ck_ok(token_answer_parse(span_make(message, len), &a));
        ck_assert_int_eq(a.type, q->type);
        ck_assert_uint_eq(a.flags, q->flags);
        ck_assert(span_equal(a.text, q->text));
        ck_assert(span_equal(a.bytes, q->bytes));
        ck_assert_int_eq(a.fault, q->fault);
        ck_ok(token_answer_write(&a, again, &again_len));
        ck_span_eq(span_make(again, again_len), span_make(message, len));
    }
}
END_TEST

/* Each cut in a buffer of exactly that size: what is read of it is within it, and writes back. */
static void check_any(struct span bytes)
{
    struct token_request r;
    struct token_answer a;
    size_t len = 0;
    uint8_t *copy = support_exact_copy(bytes);
    struct span s = span_make(copy, bytes.len);
    if (token_request_parse(s, &r) == ERR_OK) {
        ck_ok(token_request_write(&r, again, &len));
        ck_span_eq(span_make(again, len), s);
    }
    if (token_answer_parse(s, &a) == ERR_OK) {
        ck_ok(token_answer_write(&a, again, &len));
        ck_span_eq(span_make(again, len), s);
    }
    free(copy);
}

static void check_all_of(size_t len)
{
    for (size_t cut = 0; cut <= len; cut++)
        check_any(span_make(message, cut));
    for (size_t at = 0; at < len; at++) {
        uint8_t before = message[at];
        for (unsigned value = 0; value < 256; value++) {
            message[at] = (uint8_t)value;
            check_any(span_make(message, len));
        }
        message[at] = before;
    }
    message[len] = 0;
    check_any(span_make(message, len + 1));
}

START_TEST(messages_cut_and_changed)
{
    size_t len = 0;
    for (size_t i = 0; i < REQUESTS; i++) {
        ck_ok(token_request_write(&requests[i], message, &len));
        check_all_of(len);
    }
    for (size_t i = 0; i < ANSWERS; i++) {
        ck_ok(token_answer_write(&answers[i], message, &len));
        check_all_of(len);
    }
}
END_TEST

START_TEST(what_no_message_may_be)
{
    static const char *const bad[] = {
        "",   /* nothing */
        "00", /* no such type */
        "05",
        "40",
        "45",
        "ff",
        "01 0000 0000",        /* OPEN without a URI */
        "01 0003 616200 0000", /* a URI with a zero */
        "01 0401",             /* one that is too long */
        "01 0001 61",          /* the second one missing */
        "01 0001 61 0000 00",  /* more than there is */
        "03",
        "03 00",
        "03 0010",
        "03 000000",        /* CERTIFICATE */
        "04 00 02 0020 61", /* SIGN by nothing, */
        "04 05 02 0020 61", /* by what there is not, */
        "04 01 02 0020",    /* of nothing */
        "41",
        "41 80 0000",
        "41 00 0041",
        "41 00 0001 00",
        "41 00 0000 00", /* STATUS */
        "43",            /* SIGNATURE of nothing */
        "44",
        "44 00 0001 61",
        "44 04 0001 61",
        "44 01 0000",
        "44 01 0001 00",
        "44 01 012d",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct token_request r;
        struct token_answer a;
        size_t len = support_hex(bad[i], message, sizeof(message));
        struct span s = span_make(message, len);
        ck_assert_msg(token_request_parse(s, &r) != ERR_OK, "%s", bad[i]);
        ck_assert_msg(token_answer_parse(s, &a) != ERR_OK, "%s", bad[i]);
    }
}
END_TEST

START_TEST(lengths_at_their_bounds)
{
    static uint8_t octets[TOKEN_MESSAGE_MAX + 1];
    memset(octets, 'x', sizeof(octets));
    size_t len;
    const struct {
        struct token_request request;
        size_t most;
    } cases[] = {
        {{.type = TOKEN_OPEN}, TOKEN_URI_MAX},
        {{.type = TOKEN_LOGIN}, TOKEN_PIN_MAX},
        {{.type = TOKEN_SIGN, .mechanism = TOKEN_EDDSA}, TOKEN_MESSAGE_MAX - 5},
    };
    for (size_t i = 0; i < 3; i++) {
        for (size_t extra = 0; extra < 2; extra++) {
            struct token_request r = cases[i].request, back;
            r.key_uri =
                r.type == TOKEN_OPEN ? span_make(octets, cases[i].most + extra) : SPAN_EMPTY;
            r.pin = r.type == TOKEN_LOGIN ? span_make(octets, cases[i].most + extra) : SPAN_EMPTY;
            r.input = r.type == TOKEN_SIGN ? span_make(octets, cases[i].most + extra) : SPAN_EMPTY;
            ck_err(token_request_write(&r, message, &len), extra == 0 ? ERR_OK : ERR_LIMIT);
            if (extra == 0)
                ck_ok(token_request_parse(span_make(message, len), &back));
        }
    }
    struct token_request q = {.type = TOKEN_OPEN,
                              .key_uri = span_make("a", 1),
                              .certificate_uri = span_make(octets, TOKEN_URI_MAX + 1)};
    ck_err(token_request_write(&q, message, &len), ERR_LIMIT);
    octets[0] = TOKEN_SIGN;
    octets[1] = TOKEN_EDDSA;
    ck_ok(token_request_parse(span_make(octets, TOKEN_MESSAGE_MAX), &q));
    ck_err(token_request_parse(span_make(octets, TOKEN_MESSAGE_MAX + 1), &q), ERR_MALFORMED);
    octets[0] = TOKEN_DER;
    struct token_answer a;
    ck_ok(token_answer_parse(span_make(octets, TOKEN_MESSAGE_MAX), &a));
    ck_err(token_answer_parse(span_make(octets, TOKEN_MESSAGE_MAX + 1), &a), ERR_MALFORMED);
}
END_TEST

START_TEST(what_is_not_written)
{
    static uint8_t octets[TOKEN_MESSAGE_MAX];
    size_t len = 0;
    memset(octets, 'x', sizeof(octets));
    const struct token_answer bad[] = {
        {.type = (enum token_answer_type)TOKEN_OPEN},
        {.type = TOKEN_STATUS, .flags = 128},
        {.type = TOKEN_STATUS, .text = {octets, TOKEN_LABEL_MAX + 1}},
        {.type = TOKEN_STATUS, .text = {(const uint8_t *)"a\0b", 3}},
        {.type = TOKEN_DER, .bytes = {octets, TOKEN_MESSAGE_MAX}},
        {.type = TOKEN_SIGNATURE},
        {.type = TOKEN_FAULT, .fault = TOKEN_OTHER},
        {.type = TOKEN_FAULT, .fault = TOKEN_OTHER, .text = {octets, TOKEN_TEXT_MAX + 1}},
        {.type = TOKEN_FAULT, .fault = 0, .text = {octets, 1}},
        {.type = TOKEN_FAULT, .fault = TOKEN_GONE + 1, .text = {octets, 1}},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_err(token_answer_write(&bad[i], message, &len), ERR_LIMIT);
    const struct token_request none = {.type = (enum token_request_type)TOKEN_STATUS};
    ck_err(token_request_write(&none, message, &len), ERR_LIMIT);
}
END_TEST

/* --- at the other end --- */

enum { PATIENCE_MS = 30000, SILENCE_MS = 1500 /* with who is silent for ever */ };

struct other {
    pid_t pid;
    int fd; /* ours */
};

/* A process that answers the n-th request with the n-th of these messages (hex), and then ends; "-"
 * is silence for ever, "+" a message that is too long. */
static struct other answering(const char *const *messages)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    struct other o = {.pid = fork(), .fd = ends[0]};
    ck_assert_int_ge(o.pid, 0);
    if (o.pid > 0) {
        close(ends[1]);
        return o;
    }
    static uint8_t in[TOKEN_MESSAGE_MAX], out[TOKEN_MESSAGE_MAX + 1];
    close(ends[0]);
    for (; *messages != NULL && recv(ends[1], in, sizeof(in), 0) > 0; messages++) {
        if (strcmp(*messages, "-") == 0)
            (void)pause();
        size_t len = sizeof(out);
        if (strcmp(*messages, "+") == 0)
            memset(out, TOKEN_SIGNATURE, len);
        else
            len = support_hex(*messages, out, sizeof(out));
        (void)send(ends[1], out, len, MSG_NOSIGNAL);
    }
    _exit(0);
}

static void end(struct other *o)
{
    (void)kill(o->pid, SIGKILL);
    ck_assert_int_eq(waitpid(o->pid, NULL, 0), o->pid);
}

static enum err sign_by(struct token *t, size_t cap, size_t *ret_len, struct fault *f)
{
    static uint8_t out[TOKEN_MESSAGE_MAX];
    const struct key_signer s = token_signer(t);
    const struct key_request r = {
        .mechanism = KEY_MECHANISM_ECDSA, .hash = HASH_SHA2_256, .input = span_text("digest")};
    return s.sign(s.ctx, &r, out, cap, ret_len, f);
}

#define OPENED "41 41 0004 63617264" /* KEY and PSS, "card" */

START_TEST(a_conversation)
{
    static const char *const messages[] = {"41 08 0004 63617264",
                                           "41 1c 0004 63617264",
                                           "41 41 0004 63617264",
                                           "42 3082",
                                           "42",
                                           "43 010203",
                                           NULL};
    struct other o = answering(messages);
    struct token *t = NULL;
    struct fault f = {0};
    struct span der;
    size_t len = 0;
    ck_ok(token_attach(o.fd, PATIENCE_MS, "pkcs11:token=card", "", &t, &f));
    ck_assert_str_eq(token_state(t)->label, "card");
    ck_assert_uint_eq(token_state(t)->flags, TOKEN_FEW_TRIES);
    ck_assert(!token_signer(t).pss);
    ck_err(token_login(t, span_text("12"), &f), ERR_INTEGRITY);
    ck_assert_uint_eq(token_state(t)->flags, TOKEN_WRONG | TOKEN_FEW_TRIES | TOKEN_LAST_TRY);
    ck_ok(token_login(t, span_text("1234"), &f));
    ck_assert(token_signer(t).pss);
    ck_ok(token_certificate(t, 0, &der, &f));
    ck_span_eq(der, span_make("\x30\x82", 2));
    ck_ok(token_certificate(t, 1, &der, &f));
    ck_assert_uint_eq(der.len, 0);
    ck_ok(sign_by(t, SIGNATURE_MAX, &len, &f));
    ck_assert_uint_eq(len, 3);
    ck_err(sign_by(t, SIGNATURE_MAX, &len, &f), ERR_REFUSED);
    ck_assert_str_eq(f.text,
                     "our key cannot be used: tern-token, which speaks with the token, has ended");
    token_free(t);
    end(&o);
}
END_TEST

/* To OPEN, and to SIGN: an answer of another kind, broken, too long, none at all. */
START_TEST(others_who_hang_die_or_lie)
{
    static const struct {
        const char *message, *words;
    } cases[] = {
        {NULL, "has ended"},
        {"-", "does not answer"},
        {"+", "says what makes no sense"},
        {"41", "says what makes no sense"},
        {"42 3082", "says what makes no sense"},
        {"01 0001 61 0000", "says what makes no sense"},
        {"00", "says what makes no sense"},
        {"44 01 0000", "says what makes no sense"},
        {"44 01 0003 1b5b41", "\\x1b[A"}, /* drives no terminal */
        {"44 03 0004 676f6e65", "gone"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *const first[] = {cases[i].message, NULL};
        const char *const second[] = {OPENED, cases[i].message, NULL};
        bool silent = cases[i].message != NULL && strcmp(cases[i].message, "-") == 0;
        uint32_t patience_ms = silent ? SILENCE_MS : PATIENCE_MS;
        struct token *t = NULL;
        struct fault f = {0};
        size_t len = 0;
        struct other o = answering(first);
        ck_assert_int_ne(token_attach(o.fd, patience_ms, "pkcs11:", "", &t, &f), ERR_OK);
        ck_assert_msg(strstr(f.text, cases[i].words) != NULL, "%zu: %s", i, f.text);
        ck_assert_ptr_null(t);
        end(&o);

        o = answering(second);
        ck_ok(token_attach(o.fd, patience_ms, "pkcs11:", "", &t, &f));
        ck_err(sign_by(t, SIGNATURE_MAX, &len, &f), ERR_REFUSED);
        ck_assert_msg(strstr(f.text, cases[i].words) != NULL, "%zu: %s", i, f.text);
        ck_err(sign_by(t, SIGNATURE_MAX, &len, &f), ERR_REFUSED); /* and from there on */
        ck_err(token_login(t, span_text("1"), &f), ERR_REFUSED);
        token_free(t);
        end(&o);
    }
}
END_TEST

START_TEST(signatures_longer_than_there_is_room)
{
    static const char *const messages[] = {OPENED, "43 0102030405", NULL};
    struct other o = answering(messages);
    struct token *t = NULL;
    struct fault f = {0};
    size_t len = 0;
    ck_ok(token_attach(o.fd, PATIENCE_MS, "pkcs11:", "", &t, &f));
    ck_err(sign_by(t, 4, &len, &f), ERR_REFUSED);
    ck_assert_uint_eq(len, 0);
    token_free(t);
    end(&o);
}
END_TEST

START_TEST(pins_that_are_none)
{
    static uint8_t pin[TOKEN_PIN_MAX + 1];
    static const char *const messages[] = {"41 00 0000", OPENED, NULL};
    struct other o = answering(messages);
    struct token *t = NULL;
    struct fault f = {0};
    ck_ok(token_attach(o.fd, PATIENCE_MS, "pkcs11:", "", &t, &f));
    ck_err(token_login(t, SPAN_OF(pin), &f), ERR_INTEGRITY); /* nobody was asked */
    ck_ok(token_login(t, span_make(pin, TOKEN_PIN_MAX), &f));
    token_free(t);
    end(&o);
}
END_TEST

/* --- the program --- */

static void start_named(const char *program, const char *words)
{
    struct token *t = NULL;
    struct fault f = {0};
    ck_assert_int_eq(setenv("TERN_TOKEN", program, 1), 0);
    ck_assert_int_ne(token_open("pkcs11:token=a", "", &t, &f), ERR_OK);
    ck_assert_msg(strstr(f.text, words) != NULL, "%s: %s", program, f.text);
    ck_assert_int_eq(unsetenv("TERN_TOKEN"), 0);
}

START_TEST(programs_that_are_none)
{
    start_named("tern-token", "is not an absolute path");
    start_named("/nowhere/tern-token", "cannot be run: No such file");
    start_named("/bin/true", "has ended");
}
END_TEST

/* Nothing of ours is at hand there but the socket; and it is nobody's child, and of no terminal. */
START_TEST(what_the_program_is_given)
{
    char here[512], path[600], text[1024];
    ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
    snprintf(text, sizeof(text),
             "#!/bin/sh\ncd %s\nls /proc/self/fd | wc -l >count\nreadlink /proc/$$/fd/0 >in\n"
             "out=$(readlink /proc/$$/fd/1)\necho $out >out\nreadlink /proc/$$/fd/2 >err\n"
             "cut -d' ' -f6 /proc/$$/stat >sid\necho $# >arguments\n",
             here);
    fixture_write("fake", span_text(text));
    ck_assert_int_eq(chmod("fake", 0755), 0);
    snprintf(path, sizeof(path), "%s/fake", here);
    int kept = open("/dev/zero", O_RDONLY);
    ck_assert_int_ge(kept, 0);
    start_named(path, "has ended");
    close(kept);
    ck_assert(fixture_try("grep -q '^socket:' in"));
    ck_assert(fixture_try("[ \"$(cat out err | sort -u)\" = /dev/null ]"));
    ck_assert(fixture_try("[ $(cat count) = 4 ]")); /* three, and that of ls itself */
    ck_assert(fixture_try("[ $(cat sid) != %d ]", (int)getsid(0)));
    ck_assert(fixture_try("[ $(cat arguments) = 0 ]"));
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

/* tern-token itself hangs up at what is no request, out of order, or too long. */
START_TEST(the_program_hangs_up)
{
    static const char *const bad[] = {
        "00", "01", "01 0000 0000", "02 31", "03 0000", "04 01 02 0020 61", "41 00 0000", "+",
    };
    char path[1024];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 16);
    ck_assert_int_gt(n, 0);
    path[n] = '\0';
    memcpy(strrchr(path, '/'), "/tern-token", 12);
    if (access(path, X_OK) != 0)
        return; /* built without p11-kit */
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        static uint8_t bytes[TOKEN_MESSAGE_MAX + 1];
        struct fault f = {0};
        uint8_t octet;
        int fd = -1;
        ck_ok(token_process_start(&fd, &f));
        size_t len =
            strcmp(bad[i], "+") == 0 ? sizeof(bytes) : support_hex(bad[i], bytes, sizeof(bytes));
        if (len == sizeof(bytes))
            memset(bytes, TOKEN_LOGIN, len);
        ck_assert_int_eq(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
        ck_assert_int_eq(recv(fd, &octet, 1, 0), 0);
        close(fd);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("client_token");
    TCase *t = tcase_create("token");
    tcase_add_unchecked_fixture(t, fixture_enter, fixture_leave);
    tcase_add_test(t, requests_round_trip);
    tcase_add_test(t, answers_round_trip);
    tcase_add_test(t, messages_cut_and_changed);
    tcase_add_test(t, what_no_message_may_be);
    tcase_add_test(t, lengths_at_their_bounds);
    tcase_add_test(t, what_is_not_written);
    tcase_add_test(t, a_conversation);
    tcase_add_test(t, others_who_hang_die_or_lie);
    tcase_add_test(t, signatures_longer_than_there_is_room);
    tcase_add_test(t, pins_that_are_none);
    tcase_add_test(t, programs_that_are_none);
    tcase_add_test(t, what_the_program_is_given);
    tcase_add_test(t, the_program_hangs_up);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
