/* Generic Token Card (RFC 3748 5.6): a prompt for people, and what they enter, in the clear inside
 * the IKE SA. Proves nothing of the server, makes no key. */
#include "common/eap/peer_internal.h"

static enum err input(struct eap_peer *p, uint8_t identifier, struct span data,
                      struct wire_writer *w, struct fault *f)
{
    (void)identifier;
    (void)f;
    eap_tell("the gateway asks", data);
    p->told_password = p->done = true;
    wire_write_span(w, secret_span(&p->config.password));
    return ERR_OK;
}

const struct eap_method eap_gtc = {EAP_GTC, "gtc", METHOD_PASSWORD, input};
