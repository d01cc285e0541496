/* CRLs and OCSP responses in CERT payloads, and the request for them (RFC 7296 3.6, RFC 4806). What
 * is made of them is in test_crypto_revocation.c. */
#include "common/ike/auth.h"

#include <string.h>

#include "tests/support/support.h"

static struct session_config config;
static struct ike_sa sa;
static struct trust_store *store;
static struct trust_evidence evidence;

static const uint8_t list_a[] = "list a", list_b[] = "list b", response_a[] = "response";

static void setup(void)
{
    session_config_default(&config);
    memset(&sa, 0, sizeof sa);
    ck_ok(trust_store_new(&store));
    config.local_auth = SESSION_AUTH_CERTIFICATE;
    config.remote_auth = SESSION_AUTH_CERTIFICATE;
    config.trust = store;
    sa.config = &config;
    evidence = (struct trust_evidence){.crl_count = 0};
}

static void teardown(void)
{
    trust_store_free(store);
}

/* --- a message --- */

struct sent {
    uint8_t bytes[8192];
    struct message_writer w;
    struct sa_input in;
};

static void begin(struct sent *m)
{
    static const struct ike_header h = {.major = 2, .exchange = EXCHANGE_IKE_AUTH};
    memset(m, 0, sizeof *m);
    message_begin(&m->w, m->bytes, sizeof m->bytes, &h);
}

static void end(struct sent *m)
{
    struct ike_header h;
    struct span all;
    uint8_t bad;
    ck_ok(message_finish(&m->w, &all));
    ck_ok(ike_header_parse(all, &h));
    if (h.next_payload != PAYLOAD_NONE)
        ck_ok(payload_list_parse(h.next_payload,
                                 span_make(all.data + IKE_HEADER_LEN, all.len - IKE_HEADER_LEN),
                                 &m->in.payloads, &bad));
}

static struct cert_payload payload(const struct sent *m, size_t i)
{
    struct cert_payload p = {.encoding = 0};
    ck_assert_uint_lt(i, m->in.payloads.count);
    ck_ok(cert_payload_parse(m->in.payloads.items[i].body, &p));
    return p;
}

/* --- asking --- */

/* RFC 4806 3.1, 4.1: a CERTREQ of its own, which names no responders, for we trust none beyond
 * those of the CA. */
START_TEST(request)
{
    struct sent m;
    for (int policy = REVOCATION_OFF; policy <= REVOCATION_STRICT; policy++) {
        trust_store_set_revocation(store, (enum revocation_policy)policy);
        begin(&m);
        proof_write_certreq(&sa, &m.w);
        end(&m);
        ck_assert_uint_eq(m.in.payloads.count, policy == REVOCATION_OFF ? 1 : 2);
        ck_assert_uint_eq(payload(&m, 0).encoding, CERT_X509_SIGNATURE);
        if (policy == REVOCATION_OFF)
            continue;
        ck_assert_uint_eq(m.in.payloads.items[1].type, PAYLOAD_CERTREQ);
        ck_assert_uint_eq(payload(&m, 1).encoding, CERT_OCSP);
        ck_assert_uint_eq(payload(&m, 1).data.len, 0);
    }
    config.remote_auth = SESSION_AUTH_PSK; /* no certificate, no question */
    begin(&m);
    proof_write_certreq(&sa, &m.w);
    end(&m);
    ck_assert_uint_eq(m.in.payloads.count, 0);
}
END_TEST

/* --- sending --- */

static void answer_to(const struct sent *question, struct sent *m)
{
    begin(m);
    proof_write_evidence(&sa, &question->in, &m->w);
    end(m);
}

START_TEST(sending)
{
    struct sent asked, unasked, m;
    config.evidence = &evidence;
    ck_assert(trust_evidence_add_crl(&evidence, SPAN_OF(list_a)));
    ck_assert(trust_evidence_add_crl(&evidence, SPAN_OF(list_b)));
    ck_assert(trust_evidence_add_ocsp(&evidence, SPAN_OF(response_a)));
    begin(&asked);
    payload_write(&asked.w, PAYLOAD_CERTREQ, SPAN_EMPTY); /* broken, and no matter */
    cert_payload_write(&asked.w, PAYLOAD_CERTREQ, CERT_X509_SIGNATURE, SPAN_EMPTY);
    cert_payload_write(&asked.w, PAYLOAD_CERTREQ, CERT_OCSP, SPAN_EMPTY);
    end(&asked);
    answer_to(&asked, &m);
    ck_assert_uint_eq(m.in.payloads.count, 3);
    ck_assert_uint_eq(payload(&m, 0).encoding, CERT_CRL);
    ck_span_eq(payload(&m, 1).data, SPAN_OF(list_b));
    ck_assert_uint_eq(payload(&m, 2).encoding, CERT_OCSP);
    ck_span_eq(payload(&m, 2).data, SPAN_OF(response_a));

    begin(&unasked); /* CERT payloads of that kind ask for nothing */
    cert_payload_write(&unasked.w, PAYLOAD_CERT, CERT_OCSP, SPAN_EMPTY);
    cert_payload_write(&unasked.w, PAYLOAD_CERTREQ, CERT_X509_SIGNATURE, SPAN_EMPTY);
    end(&unasked);
    answer_to(&unasked, &m);
    ck_assert_uint_eq(m.in.payloads.count, 2);

    config.local_auth = SESSION_AUTH_PSK;
    answer_to(&asked, &m);
    ck_assert_uint_eq(m.in.payloads.count, 0);
    config.local_auth = SESSION_AUTH_CERTIFICATE;
    config.evidence = NULL;
    answer_to(&asked, &m);
    ck_assert_uint_eq(m.in.payloads.count, 0);
}
END_TEST

/* --- taking --- */

START_TEST(taking)
{
    struct sent m;
    struct trust_evidence got;
    begin(&m);
    cert_payload_write(&m.w, PAYLOAD_CERT, CERT_X509_SIGNATURE, SPAN_OF(list_a));
    cert_payload_write(&m.w, PAYLOAD_CERT, CERT_CRL, SPAN_OF(list_a));
    payload_write(&m.w, PAYLOAD_CERT, SPAN_EMPTY);
    cert_payload_write(&m.w, PAYLOAD_CERT, CERT_OCSP, SPAN_OF(response_a));
    cert_payload_write(&m.w, PAYLOAD_CERT, CERT_HASH_URL, SPAN_OF(list_a));
    cert_payload_write(&m.w, PAYLOAD_CERTREQ, CERT_CRL, SPAN_OF(list_a));
    cert_payload_write(&m.w, PAYLOAD_CERT, CERT_CRL, SPAN_EMPTY);
    end(&m);
    proof_collect_evidence(&m.in, &got);
    ck_assert_uint_eq(got.crl_count, 2);
    ck_span_eq(got.crls[0], SPAN_OF(list_a));
    ck_assert_uint_eq(got.crls[1].len, 0);
    ck_assert_uint_eq(got.ocsp_count, 1);
    ck_span_eq(got.ocsp[0], SPAN_OF(response_a));
}
END_TEST

/* However many come, a bounded number is looked at, and the log says so. */
START_TEST(too_many)
{
    struct sent m;
    struct trust_evidence got;
    begin(&m);
    for (size_t i = 0; i < TRUST_EVIDENCE_MAX + 3; i++)
        cert_payload_write(&m.w, PAYLOAD_CERT, CERT_CRL, SPAN_OF(list_a));
    for (size_t i = 0; i < TRUST_EVIDENCE_MAX + 5; i++)
        cert_payload_write(&m.w, PAYLOAD_CERT, CERT_OCSP, SPAN_OF(response_a));
    end(&m);
    support_log_begin();
    proof_collect_evidence(&m.in, &got);
    support_log_end();
    ck_assert_uint_eq(got.crl_count, TRUST_EVIDENCE_MAX);
    ck_assert_uint_eq(got.ocsp_count, TRUST_EVIDENCE_MAX);
    ck_assert_ptr_nonnull(strstr(support_logged, "the rest is ignored"));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ike/revocation");
    TCase *t = tcase_create("revocation");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, request);
    tcase_add_test(t, sending);
    tcase_add_test(t, taking);
    tcase_add_test(t, too_many);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
