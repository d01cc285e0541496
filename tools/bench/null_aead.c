/* common/crypto/aead.h without a cipher: nothing is enciphered and nothing verified, the framing is
 * that of the combined modes. Linked in aead.c's place into tern-null and tern-gateway-null, by
 * which tools/bench/throughput tells what tern costs beside its AEAD. IKE's messages go through it,
 * too: such a connection protects nothing at all, no secret and no packet. So the two are in no
 * target `all` and in no installation, and do not run but for who knows what they are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/be.h"
#include "common/crypto/aead.h"

enum { SALT_LEN = 4, IV_LEN = 8 };

#define CONSENT "TERN_PROTECTS_NOTHING"

struct aead {
    size_t icv_len;
};

/* Before main, of either program. */
__attribute__((constructor)) static void refuse(void)
{
    const char *consent = getenv(CONSENT);
    bool known = consent != NULL && strcmp(consent, "yes") == 0;
    fprintf(
        stderr,
        "*** This program is for measurements. It enciphers nothing and verifies nothing: what it "
        "carries, everybody can read and write. ***\n%s",
        known ? "" : "It runs with " CONSENT "=yes in its environment alone.\n");
    if (!known)
        exit(EXIT_FAILURE);
}

bool aead_supported(const struct aead_suite *suite)
{
    return encr_is_aead(suite->encr) && suite->integ == INTEG_NONE;
}

void aead_key_lens(const struct aead_suite *suite, size_t *ret_enc_len, size_t *ret_integ_len)
{
    size_t key_bits = suite->key_bits != 0 ? suite->key_bits : 256;
    *ret_enc_len = aead_supported(suite) ? key_bits / 8 + SALT_LEN : 0;
    *ret_integ_len = 0;
}

enum err aead_new(const struct aead_suite *suite, struct span enc_key, struct span integ_key,
                  struct aead **ret)
{
    size_t enc_len, integ_len;
    aead_key_lens(suite, &enc_len, &integ_len);
    if (!aead_supported(suite))
        return ERR_UNSUPPORTED;
    if (enc_key.len != enc_len || integ_key.len != integ_len)
        return ERR_CRYPTO;
    struct aead *a = malloc(sizeof(*a));
    if (a == NULL)
        return ERR_MEMORY;
    a->icv_len = suite->encr == ENCR_AES_GCM_8 ? 8 : suite->encr == ENCR_AES_GCM_12 ? 12 : 16;
    *ret = a;
    return ERR_OK;
}

void aead_free(struct aead *a)
{
    free(a);
}

size_t aead_iv_len(const struct aead *a)
{
    (void)a;
    return IV_LEN;
}

size_t aead_icv_len(const struct aead *a)
{
    return a->icv_len;
}

size_t aead_block_len(const struct aead *a)
{
    (void)a;
    return 1;
}

void aead_write_iv(const struct aead *a, uint64_t counter, uint8_t *iv)
{
    (void)a;
    be_write_u64(iv, counter);
}

/* What a cipher writes elsewhere has to be put there by somebody. */
enum err aead_seal_from(const struct aead *a, uint8_t *packet, size_t aad_len, struct span text,
                        struct span trailer, const uint8_t *esn_high)
{
    uint8_t *out = packet + aad_len + IV_LEN;
    (void)esn_high;
    if (text.data != out && text.len > 0)
        memcpy(out, text.data, text.len);
    if (trailer.len > 0)
        memcpy(out + text.len, trailer.data, trailer.len);
    memset(out + text.len + trailer.len, 0, a->icv_len);
    return ERR_OK;
}

enum err aead_seal(const struct aead *a, uint8_t *packet, size_t aad_len, size_t text_len,
                   const uint8_t *esn_high)
{
    const struct span text = span_make(packet + aad_len + IV_LEN, text_len);
    return aead_seal_from(a, packet, aad_len, text, SPAN_EMPTY, esn_high);
}

enum err aead_open(const struct aead *a, uint8_t *packet, size_t packet_len, size_t aad_len,
                   const uint8_t *esn_high, size_t *ret_text_len)
{
    const size_t around = aad_len + IV_LEN + a->icv_len;
    (void)packet;
    (void)esn_high;
    if (packet_len < around)
        return ERR_MALFORMED;
    *ret_text_len = packet_len - around;
    return ERR_OK;
}
