/* Whether certificates were revoked, told in IKE_AUTH: CRLs in CERT payloads (RFC 7296 3.6), and
 * OCSP responses there, asked for by a CERTREQ (RFC 4806). Judging them is trust_verify's.
 *
 * Invariant: nothing here decides anything; what is left out or broken is as if it had not come. */
#include "common/ike/auth.h"

#include "common/base/log.h"

void proof_write_ocsp_request(const struct ike_sa *sa, struct message_writer *m)
{
    /* 3.1: responders may be named that are trusted beyond those of the CA. We have none. */
    if (trust_store_revocation(sa->config->trust) != REVOCATION_OFF)
        cert_payload_write(m, PAYLOAD_CERTREQ, CERT_OCSP, SPAN_EMPTY);
}

static bool wants_ocsp(const struct sa_input *in)
{
    const struct payload *p = NULL;
    while ((p = payload_next(&in->payloads, PAYLOAD_CERTREQ, p)) != NULL) {
        struct cert_payload request;
        if (cert_payload_parse(p->body, &request) == ERR_OK && request.encoding == CERT_OCSP)
            return true;
    }
    return false;
}

void proof_write_evidence(const struct ike_sa *sa, const struct sa_input *in,
                          struct message_writer *m)
{
    const struct session_config *c = sa->config;
    if (c->local_auth != SESSION_AUTH_CERTIFICATE || c->evidence == NULL)
        return;
    for (size_t i = 0; i < c->evidence->crl_count; i++)
        cert_payload_write(m, PAYLOAD_CERT, CERT_CRL, c->evidence->crls[i]);
    if (!wants_ocsp(in))
        return;
    for (size_t i = 0; i < c->evidence->ocsp_count; i++)
        cert_payload_write(m, PAYLOAD_CERT, CERT_OCSP, c->evidence->ocsp[i]);
}

void proof_collect_evidence(const struct sa_input *in, struct trust_evidence *ret)
{
    const struct payload *p = NULL;
    *ret = (struct trust_evidence){.crl_count = 0};
    while ((p = payload_next(&in->payloads, PAYLOAD_CERT, p)) != NULL) {
        struct cert_payload cert;
        if (cert_payload_parse(p->body, &cert) != ERR_OK)
            continue; /* its sender is told by whoever reads the certificates */
        bool taken = true;
        if (cert.encoding == CERT_CRL)
            taken = trust_evidence_add_crl(ret, cert.data);
        else if (cert.encoding == CERT_OCSP)
            taken = trust_evidence_add_ocsp(ret, cert.data);
        if (!taken)
            log_info("more than %d CRLs or OCSP responses came: the rest is ignored",
                     TRUST_EVIDENCE_MAX);
    }
}
