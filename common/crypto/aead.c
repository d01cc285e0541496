/* Protection of one packet: BoringSSL's AEADs, and an HMAC (hmac.c) over what AES-CBC made, or over
 * the text as it is (NULL). All that depends on a key is computed in aead_new and only read
 * afterwards, which is what lets threads share an object. Sealed and opened by common/ike's
 * message.c and common/esp. */
#include "common/crypto/aead.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/aead.h>
#include <openssl/aes.h>
#include <openssl/err.h>
#include <openssl/mem.h>

#include "common/base/be.h"
#include "common/crypto/hmac.h"

enum {
    SALT_LEN = 4,
    COMBINED_IV_LEN = 8,
    NONCE_LEN = SALT_LEN + COMBINED_IV_LEN,
    ESP_AAD_LEN = 8, /* SPI and sequence number */
    ESN_HIGH_LEN = 4
};

struct aead {
    bool combined;
    size_t iv_len;
    size_t icv_len;
    size_t block_len;
    /* combined modes */
    uint8_t salt[SALT_LEN];
    EVP_AEAD_CTX context;
    /* AES-CBC and HMAC, or the latter alone: then no AES key is set, and iv_len is 0 */
    AES_KEY encrypt;
    AES_KEY decrypt;
    struct hmac_key mac;
};

struct integ_shape {
    enum integ_id id;
    enum prf_id hmac;
    size_t key_len;
    size_t icv_len;
};

/* RFC 2404, RFC 4868 2.1: the key is as long as the hash, the ICV half of it (SHA-1: 96 bits). */
static const struct integ_shape integ_shapes[] = {
    {INTEG_HMAC_SHA1_96, PRF_HMAC_SHA1, 20, 12},
    {INTEG_HMAC_SHA2_256_128, PRF_HMAC_SHA2_256, 32, 16},
    {INTEG_HMAC_SHA2_384_192, PRF_HMAC_SHA2_384, 48, 24},
    {INTEG_HMAC_SHA2_512_256, PRF_HMAC_SHA2_512, 64, 32},
};

static const struct integ_shape *integ_shape(enum integ_id id)
{
    for (size_t i = 0; i < sizeof(integ_shapes) / sizeof(integ_shapes[0]); i++)
        if (integ_shapes[i].id == id)
            return &integ_shapes[i];
    return NULL;
}

static size_t combined_icv_len(enum encr_id id)
{
    switch (id) {
    case ENCR_AES_GCM_8:
        return 8;
    case ENCR_AES_GCM_12:
        return 12;
    default:
        return 16;
    }
}

static const EVP_AEAD *combined_cipher(const struct aead_suite *s)
{
    if (s->encr == ENCR_CHACHA20_POLY1305)
        return EVP_aead_chacha20_poly1305();
    switch (s->key_bits) {
    case 128:
        return EVP_aead_aes_128_gcm();
    case 192:
        return EVP_aead_aes_192_gcm();
    default:
        return EVP_aead_aes_256_gcm();
    }
}

/* The cipher key's octets without salt, 0 where the length does not fit the cipher. */
static size_t cipher_key_len(const struct aead_suite *s)
{
    if (s->encr == ENCR_CHACHA20_POLY1305)
        return s->key_bits == 0 || s->key_bits == 256 ? 32 : 0;
    return s->key_bits == 128 || s->key_bits == 192 || s->key_bits == 256 ? s->key_bits / 8 : 0;
}

bool aead_supported(const struct aead_suite *suite)
{
    if (encr_is_aead(suite->encr))
        return cipher_key_len(suite) != 0 && suite->integ == INTEG_NONE;
    bool cipher = suite->encr == ENCR_NULL
                      ? suite->key_bits == 0
                      : suite->encr == ENCR_AES_CBC && cipher_key_len(suite) != 0;
    return cipher && integ_shape(suite->integ) != NULL;
}

void aead_key_lens(const struct aead_suite *suite, size_t *ret_enc_len, size_t *ret_integ_len)
{
    size_t enc_len = 0, integ_len = 0;
    if (aead_supported(suite)) {
        enc_len = cipher_key_len(suite); /* NULL's has 0 bits, which is 0 octets */
        if (encr_is_aead(suite->encr))
            enc_len += SALT_LEN;
        else
            integ_len = integ_shape(suite->integ)->key_len;
    }
    *ret_enc_len = enc_len;
    *ret_integ_len = integ_len;
}

static enum err combined_init(struct aead *a, const struct aead_suite *suite, struct span enc_key)
{
    /* RFC 4106 8.1, RFC 7634 2: the salt is the last four octets of the key material. */
    const size_t key_len = enc_key.len - SALT_LEN;
    a->combined = true;
    a->iv_len = COMBINED_IV_LEN;
    a->icv_len = combined_icv_len(suite->encr);
    a->block_len = 1;
    memcpy(a->salt, enc_key.data + key_len, SALT_LEN);
    if (!EVP_AEAD_CTX_init(&a->context, combined_cipher(suite), enc_key.data, key_len, a->icv_len,
                           NULL)) {
        ERR_clear_error();
        return ERR_CRYPTO;
    }
    return ERR_OK;
}

static enum err mac_init(struct aead *a, const struct aead_suite *suite, struct span enc_key,
                         struct span integ_key)
{
    const struct integ_shape *shape = integ_shape(suite->integ);
    bool null = suite->encr == ENCR_NULL;
    a->combined = false;
    a->iv_len = null ? 0 : AES_BLOCK_SIZE;
    a->icv_len = shape->icv_len;
    a->block_len = null ? 1 : AES_BLOCK_SIZE;
    if (null)
        return hmac_key_set(&a->mac, shape->hmac, integ_key);
    if (AES_set_encrypt_key(enc_key.data, suite->key_bits, &a->encrypt) != 0 ||
        AES_set_decrypt_key(enc_key.data, suite->key_bits, &a->decrypt) != 0)
        return ERR_CRYPTO;
    return hmac_key_set(&a->mac, shape->hmac, integ_key);
}

enum err aead_new(const struct aead_suite *suite, struct span enc_key, struct span integ_key,
                  struct aead **ret)
{
    if (!aead_supported(suite))
        return ERR_UNSUPPORTED;
    size_t enc_len, integ_len;
    aead_key_lens(suite, &enc_len, &integ_len);
    if (enc_key.len != enc_len || integ_key.len != integ_len)
        return ERR_CRYPTO;
    struct aead *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return ERR_MEMORY;
    EVP_AEAD_CTX_zero(&a->context);
    enum err e = encr_is_aead(suite->encr) ? combined_init(a, suite, enc_key)
                                           : mac_init(a, suite, enc_key, integ_key);
    if (e != ERR_OK) {
        aead_free(a);
        return e;
    }
    *ret = a;
    return ERR_OK;
}

void aead_free(struct aead *a)
{
    if (a == NULL)
        return;
    EVP_AEAD_CTX_cleanup(&a->context);
    wipe(a, sizeof(*a));
    free(a);
}

size_t aead_iv_len(const struct aead *a)
{
    return a->iv_len;
}

size_t aead_icv_len(const struct aead *a)
{
    return a->icv_len;
}

size_t aead_block_len(const struct aead *a)
{
    return a->block_len;
}

void aead_write_iv(const struct aead *a, uint64_t counter, uint8_t *iv)
{
    if (a->combined) {
        be_write_u64(iv, counter);
    } else if (a->iv_len > 0) {
        uint8_t block[AES_BLOCK_SIZE] = {0};
        be_write_u64(block + AES_BLOCK_SIZE - 8, counter);
        AES_encrypt(block, iv, &a->encrypt);
    }
}

/* What a combined mode authenticates beside the text, and under which nonce. */
struct combined_input {
    struct span aad; /* the packet's head, or extended[] */
    uint8_t extended[ESP_AAD_LEN + ESN_HIGH_LEN];
    uint8_t nonce[NONCE_LEN];
};

static void combined_input(const struct aead *a, const uint8_t *packet, size_t aad_len,
                           const uint8_t *esn_high, struct combined_input *in)
{
    in->aad = span_make(packet, aad_len);
    if (esn_high != NULL) {
        /* RFC 4106 5: SPI, then the sequence number with its upper half in place. */
        ASSERT(aad_len == ESP_AAD_LEN);
        memcpy(in->extended, packet, 4);
        memcpy(in->extended + 4, esn_high, ESN_HIGH_LEN);
        memcpy(in->extended + 8, packet + 4, 4);
        in->aad = SPAN_OF(in->extended);
    }
    memcpy(in->nonce, a->salt, SALT_LEN);
    memcpy(in->nonce + SALT_LEN, packet + aad_len, COMBINED_IV_LEN);
}

static void mac_compute(const struct aead *a, const uint8_t *packet, size_t covered_len,
                        const uint8_t *esn_high, uint8_t out[HMAC_OUT_MAX])
{
    struct hmac h;
    hmac_start(&h, &a->mac);
    hmac_add(&h, span_make(packet, covered_len));
    if (esn_high != NULL)
        hmac_add(&h, span_make(esn_high, ESN_HIGH_LEN));
    hmac_finish(&h, out);
}

/* The trailer goes through `extra_in`, which every combined mode takes: what it becomes is written
 * where the ICV follows it, and that is right behind the text. */
static enum err combined_seal(const struct aead *a, uint8_t *packet, size_t aad_len,
                              struct span text, struct span trailer, const uint8_t *esn_high)
{
    struct combined_input in;
    uint8_t *out = packet + aad_len + COMBINED_IV_LEN;
    size_t behind_len;
    combined_input(a, packet, aad_len, esn_high, &in);
    if (!EVP_AEAD_CTX_seal_scatter(&a->context, out, out + text.len, &behind_len,
                                   trailer.len + a->icv_len, in.nonce, NONCE_LEN, text.data,
                                   text.len, trailer.data, trailer.len, in.aad.data, in.aad.len)) {
        ERR_clear_error();
        return ERR_CRYPTO;
    }
    return ERR_OK;
}

/* Whole blocks from where they are; what is left of the text is put in front of the trailer first.
 */
static void cbc_seal(const struct aead *a, uint8_t *packet, size_t aad_len, struct span text,
                     struct span trailer, const uint8_t *esn_high)
{
    uint8_t mac[HMAC_OUT_MAX], chain[AES_BLOCK_SIZE]; /* AES_cbc_encrypt moves it along */
    uint8_t *out = packet + aad_len + AES_BLOCK_SIZE;
    size_t rest_len = text.len % AES_BLOCK_SIZE, whole_len = text.len - rest_len;
    memcpy(chain, packet + aad_len, sizeof(chain));
    AES_cbc_encrypt(text.data, out, whole_len, &a->encrypt, chain, AES_ENCRYPT);
    out += whole_len;
    memmove(out, text.data + whole_len, rest_len);
    if (trailer.len > 0) /* else it may be NULL, which memcpy does not take */
        memcpy(out + rest_len, trailer.data, trailer.len);
    rest_len += trailer.len;
    AES_cbc_encrypt(out, out, rest_len, &a->encrypt, chain, AES_ENCRYPT);
    out += rest_len;
    mac_compute(a, packet, (size_t)(out - packet), esn_high, mac);
    memcpy(out, mac, a->icv_len);
}

static void null_seal(const struct aead *a, uint8_t *packet, size_t aad_len, struct span text,
                      struct span trailer, const uint8_t *esn_high)
{
    uint8_t mac[HMAC_OUT_MAX], *out = packet + aad_len;
    memmove(out, text.data, text.len);
    out += text.len;
    if (trailer.len > 0) /* as above */
        memcpy(out, trailer.data, trailer.len);
    out += trailer.len;
    mac_compute(a, packet, (size_t)(out - packet), esn_high, mac);
    memcpy(out, mac, a->icv_len);
}

enum err aead_seal_from(const struct aead *a, uint8_t *packet, size_t aad_len, struct span text,
                        struct span trailer, const uint8_t *esn_high)
{
    if ((text.len + trailer.len) % aead_block_len(a) != 0)
        return ERR_MALFORMED;
    if (a->combined)
        return combined_seal(a, packet, aad_len, text, trailer, esn_high);
    if (a->iv_len == 0)
        null_seal(a, packet, aad_len, text, trailer, esn_high);
    else
        cbc_seal(a, packet, aad_len, text, trailer, esn_high);
    return ERR_OK;
}

enum err aead_seal(const struct aead *a, uint8_t *packet, size_t aad_len, size_t text_len,
                   const uint8_t *esn_high)
{
    const struct span text = span_make(packet + aad_len + a->iv_len, text_len);
    return aead_seal_from(a, packet, aad_len, text, SPAN_EMPTY, esn_high);
}

enum err aead_open(const struct aead *a, uint8_t *packet, size_t packet_len, size_t aad_len,
                   const uint8_t *esn_high, size_t *ret_text_len)
{
    const size_t around = aad_len + a->iv_len + a->icv_len;
    if (packet_len < around || (packet_len - around) % aead_block_len(a) != 0)
        return ERR_MALFORMED;
    const size_t text_len = packet_len - around;
    uint8_t *text = packet + aad_len + a->iv_len;
    const uint8_t *icv = text + text_len;
    if (a->combined) {
        struct combined_input in;
        combined_input(a, packet, aad_len, esn_high, &in);
        if (!EVP_AEAD_CTX_open_gather(&a->context, text, in.nonce, NONCE_LEN, text, text_len, icv,
                                      a->icv_len, in.aad.data, in.aad.len)) {
            ERR_clear_error();
            return ERR_INTEGRITY;
        }
    } else {
        uint8_t mac[HMAC_OUT_MAX];
        mac_compute(a, packet, aad_len + a->iv_len + text_len, esn_high, mac);
        if (CRYPTO_memcmp(mac, icv, a->icv_len) != 0)
            return ERR_INTEGRITY;
        if (a->iv_len > 0) {
            uint8_t chain[AES_BLOCK_SIZE];
            memcpy(chain, text - a->iv_len, sizeof(chain));
            AES_cbc_encrypt(text, text, text_len, &a->decrypt, chain, AES_DECRYPT);
        }
    }
    *ret_text_len = text_len;
    return ERR_OK;
}
