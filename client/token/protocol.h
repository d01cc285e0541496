/* What tern and tern-token say to each other. tern-token is a program of its own, since PKCS#11
 * modules bring OpenSSL with them, which cannot live in one process with BoringSSL; it holds the
 * session with a token, in which somebody has logged in, for as long as tern holds the socket.
 *
 * A message is one datagram of a SOCK_SEQPACKET socket pair: an octet that says what it is, then
 * its fields, numbers in network byte order; "text" is two octets of length and as many octets.
 * tern asks, and to every request there is exactly one answer; nothing comes unasked. Whoever gets
 * what is not described here hangs up.
 *
 *     OPEN         text URI of the private key, text URI of the certificate; one may be empty
 *                  -> STATUS
 *     LOGIN        the PIN, which is all the rest; nothing where the reader has keys of its own
 *                  -> STATUS
 *     CERTIFICATE  u16 which, counted from 0; once STATUS says KEY
 *                  -> DER
 *     SIGN         u8 mechanism, u8 hash, u16 octets of salt, what is to be signed (all the rest)
 *                  -> SIGNATURE
 *     STATUS       u8 flags, text label of the token
 *     DER          a certificate, or nothing: there are no more
 *     SIGNATURE    as PKCS#11 makes it: ECDSA is r | s
 *     FAULT        u8 kind, text what was seen; to any request
 *
 * Reads and writes neither sockets nor memory but the caller's. */
#ifndef TERN_CLIENT_TOKEN_PROTOCOL_H
#define TERN_CLIENT_TOKEN_PROTOCOL_H

#include "common/base/err.h"
#include "common/base/span.h"

enum {
    TOKEN_MESSAGE_MAX = 16384, /* octets of a message: a certificate, a message for Ed25519 */
    TOKEN_URI_MAX = 1024,
    TOKEN_LABEL_MAX = 64,
    TOKEN_PIN_MAX = 255,
    TOKEN_TEXT_MAX = 300,
    TOKEN_CERTIFICATES_MAX = 16 /* that can be asked for */
};

enum token_request_type { TOKEN_OPEN = 1, TOKEN_LOGIN = 2, TOKEN_CERTIFICATE = 3, TOKEN_SIGN = 4 };

enum token_answer_type {
    TOKEN_STATUS = 65,
    TOKEN_DER = 66,
    TOKEN_SIGNATURE = 67,
    TOKEN_FAULT = 68
};

/* STATUS. WRONG is about the PIN that was just given; the three below it say what is left. */
enum token_flag {
    TOKEN_KEY = 1,    /* the private key is there and can be used */
    TOKEN_PINPAD = 2, /* the PIN is entered at the reader, and not here */
    TOKEN_WRONG = 4,
    TOKEN_FEW_TRIES = 8,
    TOKEN_LAST_TRY = 16,
    TOKEN_LOCKED = 32,
    TOKEN_PSS = 64, /* an RSA key that can do PSS */
    TOKEN_FLAGS = 127
};

/* The numbers are those of enum key_mechanism, hashes those of enum hash_id. */
enum token_mechanism { TOKEN_PKCS1 = 1, TOKEN_RSA_PSS = 2, TOKEN_ECDSA = 3, TOKEN_EDDSA = 4 };

enum token_fault {
    TOKEN_OTHER = 1,     /* of the token, of its driver, of what was asked */
    TOKEN_NOT_FOUND = 2, /* no such token, key or certificate; or several */
    TOKEN_GONE = 3       /* it was there: pulled out, or logged out by others */
};

struct token_request {
    enum token_request_type type;
    struct span key_uri, certificate_uri; /* OPEN */
    struct span pin;                      /* LOGIN */
    uint16_t index;                       /* CERTIFICATE */
    enum token_mechanism mechanism;       /* SIGN */
    uint8_t hash;
    uint16_t salt_len;
    struct span input;
};

struct token_answer {
    enum token_answer_type type;
    uint8_t flags;          /* STATUS: of enum token_flag */
    struct span text;       /* STATUS: the label; FAULT: what was seen. Any octets */
    struct span bytes;      /* DER, SIGNATURE */
    enum token_fault fault; /* FAULT */
};

/* Spans borrow the message. ERR_MALFORMED for what this header does not describe. */
CHECKED enum err token_request_parse(struct span message, struct token_request *ret);
CHECKED enum err token_answer_parse(struct span message, struct token_answer *ret);
/* ERR_LIMIT where a field is longer than above. */
CHECKED enum err token_request_write(const struct token_request *r, uint8_t out[TOKEN_MESSAGE_MAX],
                                     size_t *ret_len);
CHECKED enum err token_answer_write(const struct token_answer *a, uint8_t out[TOKEN_MESSAGE_MAX],
                                    size_t *ret_len);

#endif
