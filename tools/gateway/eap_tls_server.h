/* TLS within EAP, the server's side: flags, pieces and acknowledgements (RFC 5216 3), by whichever
 * method. Put together by hand, apart from the client's code, as eap_server.h has it. */
#ifndef TERN_TOOLS_GATEWAY_EAP_TLS_SERVER_H
#define TERN_TOOLS_GATEWAY_EAP_TLS_SERVER_H

#include "common/base/wire.h"
#include "common/crypto/tls.h"

enum { EAP_TLS_SERVER_MESSAGE_MAX = 65536, EAP_TLS_SERVER_KEY_LEN = 64 };

/* All zero before it begins. */
struct eap_tls_server {
    struct tls *tls;
    uint8_t type;     /* of the method */
    size_t piece_max; /* octets of TLS in one packet; 0: all that fits */
    uint8_t *message; /* the client's, as far as it has come */
    size_t message_len;
    size_t sent; /* of what TLS has to send */
    bool receiving, started;
    bool refused; /* TLS has failed: what is left to be sent is its alert */
};

CHECKED enum err eap_tls_server_begin(struct eap_tls_server *s, uint8_t type,
                                      const struct tls_config *c);
/* The client's data behind the type. *ret_whole: a message is complete with it, and TLS has had it;
 * else it was a piece, or the acknowledgement of one of ours. ERR_MALFORMED where it is neither. A
 * failure of TLS is no error of this: it sets refused, with words in the log. */
CHECKED enum err eap_tls_server_input(struct eap_tls_server *s, struct span data, bool *ret_whole);
/* The next data behind the type: a piece of what TLS has to say, or an acknowledgement. */
void eap_tls_server_write(struct eap_tls_server *s, struct wire_writer *w);
/* Nothing is left to be sent. */
bool eap_tls_server_idle(const struct eap_tls_server *s);
/* label: of TLS 1.2. */
CHECKED enum err eap_tls_server_key(const struct eap_tls_server *s, const char *label,
                                    uint8_t out[EAP_TLS_SERVER_KEY_LEN]);
void eap_tls_server_wipe(struct eap_tls_server *s);

#endif
