/* Proposals (RFC 7296 3.3): what we would accept, in order; what was offered; what was chosen. */
#ifndef TERN_IKE_PROPOSAL_H
#define TERN_IKE_PROPOSAL_H

#include "common/base/wire.h"
#include "common/crypto/aead.h"
#include "common/ike/numbers.h"

enum {
    TRANSFORMS_MAX = 40,
    PROPOSALS_MAX = 16,
    PROPOSAL_TEXT_MAX = 256,
    PROPOSAL_LIST_TEXT_MAX = 1024,
    /* A parsed transform whose attributes we do not understand: its type was offered, but nothing
     * of ours has this ID (of the private range), so it is never chosen (RFC 7296 3.3.6). */
    TRANSFORM_ID_UNUSABLE = 65535
};

struct transform {
    uint8_t type;      /* enum transform_type, or unknown */
    uint16_t id;       /* or TRANSFORM_ID_UNUSABLE */
    uint16_t key_bits; /* 0: no key length attribute */
};

struct proposal {
    uint8_t number;   /* 1.. in a list, as on the wire */
    uint8_t protocol; /* enum protocol_id */
    uint8_t spi_len;  /* 0, 4 or 8 */
    uint8_t spi[8];
    struct transform transforms[TRANSFORMS_MAX];
    size_t count;
};

struct proposal_list {
    struct proposal items[PROPOSALS_MAX];
    size_t count;
};

/* What a chosen proposal means. */
struct suite {
    struct aead_suite cipher;
    enum prf_id prf; /* IKE only */
    enum ke_id ke;   /* IKE; ESP: only with a new key exchange */
    bool esn;        /* ESP only */
};

/* "aes256gcm16-prfsha384-x25519", "aes256-aes128-sha256-modp2048": several of one type are
 * alternatives. For IKE: without a PRF named, the PRFs that go with the INTEG algorithms named (for
 * combined modes one must be named); a key exchange is required. For ESP: no PRF; ESN: "esn",
 * "noesn", default no. Combined modes and others do not mix in one proposal. The fault names the
 * word that is wrong. */
CHECKED enum err proposal_from_text(const char *text, uint8_t protocol, struct proposal *ret,
                                    struct fault *f);
/* Comma-separated; numbers them. */
CHECKED enum err proposal_list_from_text(const char *text, uint8_t protocol,
                                         struct proposal_list *ret, struct fault *f);
/* Does it offer to encipher nothing? */
bool proposal_list_has_null(const struct proposal_list *l);
/* The modern ordered defaults; NULL is not among them. */
void proposal_list_default(uint8_t protocol, struct proposal_list *ret);

/* Back to text; return out. */
const char *proposal_format(const struct proposal *p, char out[PROPOSAL_TEXT_MAX]);
const char *proposal_list_format(const struct proposal_list *l, char out[PROPOSAL_LIST_TEXT_MAX]);
/* The chosen suite, as status shows it: "aes256gcm16-prfsha256-x25519"; ESP: "aes256gcm16". */
const char *suite_format(const struct suite *s, uint8_t protocol, char out[PROPOSAL_TEXT_MAX]);

/* The body of an SA payload. ERR_MALFORMED. Proposals of unknown protocols or with unknown
 * transforms are kept as they are (selection passes over them); of one with an SPI of a wrong
 * length, or with more than TRANSFORMS_MAX transforms, its place is kept; beyond PROPOSALS_MAX all
 * are passed over.
 */
CHECKED enum err proposal_list_parse(struct span sa_body, struct proposal_list *ret);
void proposal_list_write(struct wire_writer *w, const struct proposal_list *l);

/* Responder: the first of `ours` (if ours_first; else the first of `offered`) that has a match.
 * *ret holds one transform of each type, the number and SPI of the offer. ERR_NOT_FOUND.
 * `without_ke`: key exchange transforms are left out (the Child SA of IKE_AUTH, RFC 7296 1.2). */
CHECKED enum err proposal_select(const struct proposal_list *offered,
                                 const struct proposal_list *ours, bool ours_first, bool without_ke,
                                 struct proposal *ret);
/* Initiator: the answer must hold exactly one proposal, with the number of one of ours, the same
 * protocol, exactly one transform of each type that we offered there, and each of them offered
 * (INTEG may be absent where we offered a combined mode). ERR_REFUSED otherwise. */
CHECKED enum err proposal_check_answer(const struct proposal_list *offered,
                                       const struct proposal_list *answer, bool without_ke,
                                       struct proposal *ret);
/* A proposal with one transform of each type. ERR_UNSUPPORTED where we lack one of them. */
CHECKED enum err proposal_suite(const struct proposal *p, struct suite *ret);
/* How many transforms of that type; and is this very one there? */
size_t proposal_count(const struct proposal *p, uint8_t type);
bool proposal_has(const struct proposal *p, const struct transform *t);
/* Is this key exchange method among a list's transforms? */
bool proposal_list_has_ke(const struct proposal_list *l, uint16_t ke);
/* The first KE of the first proposal: the group to guess. KE_NONE where there is none. */
enum ke_id proposal_list_first_ke(const struct proposal_list *l);

#endif
