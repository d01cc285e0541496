/* Protection of a packet: combined-mode ciphers, and AES-CBC with an HMAC in encrypt-then-MAC
 * order, behind one face. IKE's SK payload (RFC 7296 3.14, RFC 5282, RFC 7634) and ESP (RFC 4303,
 * 4106, 7634, 3602, 4868) both use it. ESP alone also knows the HMAC without a cipher (NULL, RFC
 * 2410).
 *
 * The packet lies contiguous:
 *
 *     | aad (cleartext header) | IV | text | ICV |
 *       aad_len                 iv_len      icv_len
 *
 * For combined modes the aad is the additional data; for CBC+HMAC the MAC covers aad, IV and
 * ciphertext. An object is immutable after aead_new: several threads may use it at once.
 * Sealing and opening allocate nothing. */
#ifndef TERN_CRYPTO_AEAD_H
#define TERN_CRYPTO_AEAD_H

#include "common/crypto/algorithm.h"
#include "common/crypto/secret.h"

/* What was negotiated. integ is INTEG_NONE exactly where encr is a combined mode. */
struct aead_suite {
    enum encr_id encr;
    uint16_t key_bits; /* 128, 192, 256; for ChaCha20-Poly1305 0 (or 256), for NULL 0 */
    enum integ_id integ;
};

struct aead;

/* Octets of key material of each kind; 0,0 for an unknown suite. For combined modes enc_len
 * includes the salt (4 octets, RFC 4106 8.1, RFC 7634 2) and integ_len is 0; for NULL enc_len is.
 */
void aead_key_lens(const struct aead_suite *suite, size_t *ret_enc_len, size_t *ret_integ_len);
bool aead_supported(const struct aead_suite *suite);

/* Keys must have exactly the lengths above. The caller keeps and wipes its own copies. */
CHECKED enum err aead_new(const struct aead_suite *suite, struct span enc_key,
                          struct span integ_key, struct aead **ret);
void aead_free(struct aead *a); /* wipes; NULL is fine */

size_t aead_iv_len(const struct aead *a);  /* on the wire: 8 or 16; NULL: 0 */
size_t aead_icv_len(const struct aead *a); /* 8, 12, 16, 24, 32 */
/* The text's length must be a multiple of this: 16 for CBC, 1 for the others (ESP aligns to 4). */
size_t aead_block_len(const struct aead *a);

/* Put into iv (aead_iv_len octets) the IV for `counter`, which the caller never uses twice with
 * one key. Combined modes: the counter itself; CBC: the counter enciphered under the key, which
 * is unpredictable (NIST SP 800-38A, appendix C). */
void aead_write_iv(const struct aead *a, uint64_t counter, uint8_t *iv);

/* Encrypt text in place and append the ICV. packet holds aad_len + iv_len + text_len octets and
 * has room for icv_len more. esn_high: NULL, or the upper half of an extended sequence number
 * (RFC 4303 2.2.1), which is authenticated and not sent: combined modes then use the additional
 * data  aad[0..4] | esn_high | aad[4..8]  (RFC 4106 5), HMACs append it.
 * ERR_MALFORMED where text_len is no multiple of the block. */
CHECKED enum err aead_seal(const struct aead *a, uint8_t *packet, size_t aad_len, size_t text_len,
                           const uint8_t *esn_high);

/* The same from elsewhere, in two pieces: the text is `text` and behind it `trailer`, and the
 * packet holds aad and IV, with room for the text and the ICV. Both are read only. text lies where
 * it goes, or does not overlap the packet; trailer does not overlap it. */
CHECKED enum err aead_seal_from(const struct aead *a, uint8_t *packet, size_t aad_len,
                                struct span text, struct span trailer, const uint8_t *esn_high);

/* The reverse: packet_len counts aad, IV, text and ICV. Verifies before anything is used; on
 * ERR_INTEGRITY the text area's contents are unspecified. On success the text lies decrypted at
 * packet + aad_len + iv_len. ERR_MALFORMED where the packet is too short or not block-aligned. */
CHECKED enum err aead_open(const struct aead *a, uint8_t *packet, size_t packet_len, size_t aad_len,
                           const uint8_t *esn_high, size_t *ret_text_len);

#endif
