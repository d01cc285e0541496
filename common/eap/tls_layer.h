/* What EAP-TLS, EAP-TTLS and EAP-PEAP have in common (RFC 5216 3, RFC 5281 9): a flags octet before
 * the data, messages in pieces that are acknowledged one by one, and the handshake. Between peer.c
 * and these methods. */
#ifndef TERN_EAP_TLS_LAYER_H
#define TERN_EAP_TLS_LAYER_H

#include "common/crypto/tls.h"
#include "common/eap/peer_internal.h"

enum {
    TLS_LAYER_MESSAGE_MAX = 65536, /* octets of one message of theirs, put together */
    TLS_LAYER_DATA_MAX = 4096,     /* octets of what is said inside at a time */
    TLS_LAYER_KEY_LEN = 64         /* of the MSK */
};

struct tls_layer {
    struct tls *tls;
    const struct certificate_list *chain; /* that we show; borrowed, NULL: none */
    /* A message of theirs, as far as it has come. */
    uint8_t *message;
    size_t message_len, message_total; /* total 0: not told */
    bool receiving;
    size_t sent; /* of what TLS has to send */
    bool over;   /* p->refusal says why; the next packet of theirs ends it */
};

/* One request of a method with TLS. `inside` is called with each message of theirs once the
 * handshake is over and all of our own has been sent: it reads with tls_read and says with
 * tls_write. */
CHECKED enum err tls_layer_input(struct eap_peer *p, struct span data, struct wire_writer *w,
                                 enum err (*inside)(struct eap_peer *p, struct fault *f),
                                 struct fault *f);
/* All that is inside, at most cap octets; *ret_len 0 where there is nothing. */
CHECKED enum err tls_layer_read(struct eap_peer *p, uint8_t *out, size_t cap, size_t *ret_len,
                                struct fault *f);
CHECKED enum err tls_layer_write(struct eap_peer *p, struct span data, struct fault *f);
/* What both sides can derive of the tunnel. label: of TLS 1.2; with TLS 1.3 it is one for all, and
 * the length is part of what comes (RFC 9427 2.1). Errors as tls_export has them. */
CHECKED enum err tls_layer_export(const struct eap_peer *p, const char *label, uint8_t *out,
                                  size_t len);
/* The key of the method, and with it the end of what is ours: p->done. label as above. */
CHECKED enum err tls_layer_finish(struct eap_peer *p, const char *label, struct fault *f);
/* It is over for the reason in *f: that is kept, TLS's last word goes out, and EAP ends with the
 * next packet of theirs. */
enum err tls_layer_give_up(struct eap_peer *p, const struct fault *f);

void tls_layer_free(struct tls_layer *l); /* NULL is fine */

/* EAP inside: the packet goes to the inner peer, which begins with it, and *ret_response is what to
 * say, empty where nothing is. */
CHECKED enum err tls_layer_inner(struct eap_peer *p, struct span packet, struct span *ret_response,
                                 struct fault *f);
CHECKED enum err tls_layer_inner_begin(struct eap_peer *p, struct fault *f);

#endif
