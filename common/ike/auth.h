/* IKE_AUTH in all its forms: who proves what to whom, and how. Inside common/ike only. */
#ifndef TERN_IKE_AUTH_H
#define TERN_IKE_AUTH_H

#include "common/ike/sa.h"

/* --- exchange_auth.c, auth_grant.c --- */

CHECKED enum err auth_request_send(struct ike_sa *sa, mono_ms now);
CHECKED enum err auth_request_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err auth_response_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err auth_notify_in(struct ike_sa *sa, struct sa_input *in);

/* What exchange_eap.c shares with it. The exchange has its answer; whatever comes of it. */
void auth_answered(struct ike_sa *sa, const struct sa_input *in);
/* The peer's proof did not convince: say so in an exchange of its own (RFC 7296 2.21.2), and end.
 */
void auth_reject_peer(struct ike_sa *sa, mono_ms now, enum session_down_reason reason,
                      const struct fault *f);
/* The exchange has its answer: has the gateway proven itself by it? Else it is rejected. */
bool auth_proven(struct ike_sa *sa, const struct sa_input *in);
/* An error notify of the gateway, proven, says that it grants nothing: the IKE SA is closed. */
bool auth_not_granted(struct ike_sa *sa, const struct sa_input *in);
/* RFC 5685 6: the gateway, proven, sends us elsewhere. */
bool auth_redirected(struct ike_sa *sa, const struct sa_input *in);
/* Beside proof: what the client wants. */
void auth_write_wishes(struct ike_sa *sa, struct message_writer *m);
/* A Child SA, asked for by a client, or granted to it. */
bool auth_has_child(const struct payload_list *l);
/* The gateway is proven: what it grants, or an error notify that says why it does not. */
CHECKED enum err auth_granted_in(struct ike_sa *sa, const struct sa_input *in);
/* Refuse the client altogether: nothing stays. The reason is ours alone to know (2.21.2). */
CHECKED enum err auth_refuse(struct ike_sa *sa, const struct sa_input *in, const struct fault *f);
/* The client is proven: grant what it asks for, or (auth_remember) has asked for. */
CHECKED enum err auth_grant(struct ike_sa *sa, const struct sa_input *in);

/* --- exchange_second.c: two proofs of the client's (RFC 4739) --- */

/* What we prove, in whichever round. */
struct own_proof {
    enum session_auth auth;
    const struct identity *id;
    const struct secret *psk;
    const struct private_key *key;
    const struct certificate_list *chain;
};
struct own_proof second_own_proof(const struct ike_sa *sa);
/* MULTIPLE_AUTH_SUPPORTED, where it is so: in IKE_SA_INIT the responder's, in IKE_AUTH the
 * initiator's, with ANOTHER_AUTH_FOLLOWS. */
void second_write_support(const struct ike_sa *sa, struct message_writer *m);
void second_write_announcement(const struct ike_sa *sa, struct message_writer *m);
/* Initiator, of an answer to IKE_SA_INIT: ERR_REFUSED where we have two and it takes one. */
CHECKED enum err second_check_announced(const struct ike_sa *asking, const struct sa_input *in,
                                        struct fault *f);
CHECKED enum err second_begin_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err second_end_in(struct ike_sa *sa, struct sa_input *in);
/* Responder: a proof is good. *ret_answered: another one follows, or should, and the request has
 * its answer. */
CHECKED enum err second_awaited(struct ike_sa *sa, const struct sa_input *in, bool *ret_answered);

/* --- exchange_eap.c: EAP within IKE_AUTH --- */

/* Initiator: the gateway is proven, and so are we, once; the second proof is by EAP. */
CHECKED enum err eap_second_begin(struct ike_sa *sa, const struct sa_input *in);
/* Responder: what the client asks for beside proof is kept until it is granted. */
CHECKED enum err auth_remember(struct ike_sa *sa, const struct sa_input *in);

CHECKED enum err eap_begin_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err eap_only_begin_in(struct ike_sa *sa, struct sa_input *in); /* RFC 5998 */
CHECKED enum err eap_response_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err eap_end_in(struct ike_sa *sa, struct sa_input *in);
void eap_refused(struct ike_sa *sa); /* AUTHENTICATION_FAILED, once EAP had begun */
CHECKED enum err eap_request_begin_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err eap_request_second_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err eap_request_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err eap_request_end_in(struct ike_sa *sa, struct sa_input *in);
CHECKED enum err eap_request_abandoned_in(struct ike_sa *sa, struct sa_input *in);

/* --- proof.c --- */

/* Write our CERT payloads (certificate authentication), then elsewhere our AUTH. */
void proof_write_certificates(struct ike_sa *sa, struct message_writer *m);
void proof_write_certreq(struct ike_sa *sa, struct message_writer *m);
/* Responder: what session_config.evidence has (proof_revocation.c); `in` is the request that asks
 * for our proof. */
void proof_write_evidence(const struct ike_sa *sa, const struct sa_input *in,
                          struct message_writer *m);
/* Where revocation matters: ask for OCSP responses (RFC 4806 3.1). */
void proof_write_ocsp_request(const struct ike_sa *sa, struct message_writer *m);
/* The CRLs and OCSP responses among the CERT payloads; borrows the message. */
void proof_collect_evidence(const struct sa_input *in, struct trust_evidence *ret);
CHECKED enum err proof_write_auth(struct ike_sa *sa, struct message_writer *m);
/* Responder: who we are and all that proves it, in answer to `in`: IDr, CERT, evidence, AUTH. */
CHECKED enum err proof_write_gateway(struct ike_sa *sa, const struct sa_input *in,
                                     struct message_writer *m);
/* Check the peer's ID (`id_type`: its payload), CERT and AUTH payloads. On success sa->peer_id is
 * set; otherwise the fault has the words and *ret_reason the reason. */
CHECKED enum err proof_check_peer(struct ike_sa *sa, const struct sa_input *in, uint8_t id_type,
                                  enum session_down_reason *ret_reason, struct fault *f);
/* Initiator: who the gateway says it is, which EAP alone is to prove (RFC 5998), fits the profile.
 * ERR_REFUSED with words. */
CHECKED enum err proof_check_claim(const struct ike_sa *sa, const struct sa_input *in,
                                   struct fault *f);
/* After EAP: AUTH with its key, or with SK_pi and SK_pr where it made none (RFC 7296 2.16). The
 * peer's: ERR_INTEGRITY. */
CHECKED enum err proof_write_eap_auth(struct ike_sa *sa, struct message_writer *m);
CHECKED enum err proof_check_eap_peer(struct ike_sa *sa, const struct sa_input *in,
                                      struct fault *f);
/* "identity "alice@example.com" with a pre-shared key of 20 octets", for hints. */
enum { PROOF_TEXT_MAX = 1024 };
const char *proof_sent_text(const struct ike_sa *sa, char out[PROOF_TEXT_MAX]);

/* --- ppk.c: post-quantum pre-shared keys (RFC 8784) --- */

/* IKE_SA_INIT: USE_PPK, where we have one (responder: and the initiator asked). */
void ppk_write_support(const struct ike_sa *sa, struct message_writer *m);
void ppk_read_support(struct ike_sa *sa, const struct sa_input *in);
/* Initiator, of an answer to IKE_SA_INIT: ERR_REFUSED where it lacks what is required. */
CHECKED enum err ppk_check_announced(const struct ike_sa *asking, const struct sa_input *in,
                                     struct fault *f);
/* Initiator: its first AUTH is about to be made, with the keys that ppk_keys returns from then on.
 */
CHECKED enum err ppk_offer(struct ike_sa *sa);
const struct ike_keys *ppk_keys(const struct ike_sa *sa);
/* To stand beside an AUTH: what has been offered (PPK_IDENTITY), or granted. */
void ppk_write(struct ike_sa *sa, struct message_writer *m);
/* Initiator: does NO_PPK_AUTH go with it, by the keys without the PPK? */
bool ppk_spare_wanted(const struct ike_sa *sa);
/* The peer's AUTH is about to be checked: by which keys, and (responder) which data. From then on
 * sa->keys are those that count. peer: who it says it is. ERR_REFUSED, with words. */
CHECKED enum err ppk_settle(struct ike_sa *sa, const struct sa_input *in,
                            const struct identity *peer, struct auth_payload *auth,
                            struct fault *f);
/* ", and the PPK "alice" of 32 octets" where one has been offered, else nothing; for hints. */
enum { PPK_TEXT_MAX = SESSION_PPK_ID_MAX + 64 };
const char *ppk_sent_text(const struct ike_sa *sa, char out[PPK_TEXT_MAX]);

#endif
