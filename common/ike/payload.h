/* The payloads of RFC 7296 3.4 to 3.16, each as a parse and a write. Parsed spans borrow the
 * message. Parsers take a payload's body (after the generic header) and check it to the last octet;
 * writers write a body between payload_begin and payload_end, or the whole payload where they take
 * a message_writer. */
#ifndef TERN_IKE_PAYLOAD_H
#define TERN_IKE_PAYLOAD_H

#include "common/base/selector.h"
#include "common/crypto/identity.h"
#include "common/ike/message.h"

/* 3.4 Key Exchange */
struct ke_payload {
    uint16_t method;
    struct span value;
};
CHECKED enum err ke_payload_parse(struct span body, struct ke_payload *ret);
void ke_payload_write(struct message_writer *m, uint16_t method, struct span value);

/* 3.5 Identification. ERR_MALFORMED, ERR_LIMIT, ERR_UNSUPPORTED (type). */
CHECKED enum err id_payload_parse(struct span body, struct identity *ret);
void id_payload_write(struct message_writer *m, uint8_t payload_type, const struct identity *id);

/* 3.6, 3.7 Certificate, Certificate Request */
struct cert_payload {
    uint8_t encoding;
    struct span data; /* CERTREQ: SHA-1 hashes, 20 octets each */
};
CHECKED enum err cert_payload_parse(struct span body, struct cert_payload *ret);
void cert_payload_write(struct message_writer *m, uint8_t payload_type, uint8_t encoding,
                        struct span data);

/* 3.8 Authentication */
struct auth_payload {
    uint8_t method;
    struct span data;
};
CHECKED enum err auth_payload_parse(struct span body, struct auth_payload *ret);
void auth_payload_write(struct message_writer *m, uint8_t method, struct span data);

/* 3.9 Nonce: 16 to 256 octets, else ERR_MALFORMED. Written with payload_write. */
enum { NONCE_MIN = 16, NONCE_MAX = 256, NONCE_LEN = 32 /* ours */ };
CHECKED enum err nonce_payload_parse(struct span body, struct span *ret);

/* 3.10 Notify */
struct notify_payload {
    uint8_t protocol;
    struct span spi;
    uint16_t type;
    struct span data;
};
CHECKED enum err notify_payload_parse(struct span body, struct notify_payload *ret);
void notify_payload_write(struct message_writer *m, const struct notify_payload *n);
/* Without protocol, SPI: the common case. */
void notify_write(struct message_writer *m, uint16_t type, struct span data);
/* The first well-formed notify of that type; false where there is none. */
bool notify_find(const struct payload_list *l, uint16_t type, struct notify_payload *ret);
/* The first error notify (type <= NOTIFY_ERROR_LAST). */
bool notify_find_error(const struct payload_list *l, struct notify_payload *ret);

/* RFC 5685 4: where to go. */
enum { REDIRECT_NAME_MAX = 255 };
struct redirect_target {
    struct ip ip;                     /* family none: a name */
    char name[REDIRECT_NAME_MAX + 1]; /* plain host-name text */
};
/* The data of REDIRECT, REDIRECTED_FROM: identity type, length, identity; then, in an IKE_SA_INIT
 * response, our nonce (*ret_nonce). ERR_MALFORMED. */
CHECKED enum err redirect_parse(struct span data, struct redirect_target *ret,
                                struct span *ret_nonce);
void redirect_write(struct message_writer *m, uint16_t notify, const struct redirect_target *to,
                    struct span nonce);

/* 3.11 Delete */
struct delete_payload {
    uint8_t protocol;
    uint8_t spi_len; /* 0 for IKE, 4 for ESP */
    uint16_t count;
    struct span spis; /* count * spi_len octets */
};
CHECKED enum err delete_payload_parse(struct span body, struct delete_payload *ret);
void delete_ike_write(struct message_writer *m);
void delete_esp_write(struct message_writer *m, const uint32_t *spis, size_t count);
/* i < count, spi_len 4 */
uint32_t delete_payload_esp_spi(const struct delete_payload *d, size_t i);

/* 3.13 Traffic Selector. Unknown TS types, and those beyond SELECTORS_MAX, are passed over;
 * ERR_MALFORMED where a range is upside down or a length is wrong. */
CHECKED enum err ts_payload_parse(struct span body, struct selector_list *ret);
void ts_payload_write(struct message_writer *m, uint8_t payload_type,
                      const struct selector_list *l);

/* 3.15 Configuration. Unknown attributes are passed over. */
enum {
    CP_ADDRESSES_MAX = 8,
    CP_DNS_MAX = 8,
    CP_SUBNETS_MAX = 32,
    CP_DOMAINS_MAX = 16,
    CP_DOMAIN_MAX = 256
};
/* Plain host-name text: labels of letters, digits, hyphen and underscore; safe to hand on. */
bool host_name_good(struct span text);
struct configuration {
    uint8_t type; /* enum cp_type */
    /* Addresses: an empty attribute (a request for any) is one with ip unspecified. IPv4 has bits
     * 32 or, with INTERNAL_IP4_NETMASK, that mask's; IPv6 as sent. */
    struct prefix addresses[CP_ADDRESSES_MAX];
    size_t address_count;
    struct ip dns[CP_DNS_MAX]; /* in a request: unspecified, one a family */
    size_t dns_count;
    struct prefix subnets[CP_SUBNETS_MAX];
    size_t subnet_count;
    char domains[CP_DOMAINS_MAX][CP_DOMAIN_MAX]; /* RFC 8598; plain host-name text only */
    size_t domain_count;
};
CHECKED enum err cp_payload_parse(struct span body, struct configuration *ret);
void cp_payload_write(struct message_writer *m, const struct configuration *c);

/* 3.16 EAP: the EAP message itself, code to data; its length field must be the payload's. */
CHECKED enum err eap_payload_parse(struct span body, struct span *ret);

/* NAT detection hash (RFC 7296 2.23): SHA-1 of SPIs, address and port. */
enum { NAT_HASH_LEN = 20 };
void nat_detection_hash(uint64_t spi_i, uint64_t spi_r, const struct endpoint *e,
                        uint8_t out[NAT_HASH_LEN]);

#endif
