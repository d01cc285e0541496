/* The table of algorithms. Each implementation refers to it by transform ID: ciphers in aead.c,
 * pseudo-random functions in prf.c, key exchange in kex.c. Of the names for one algorithm the
 * canonical one stands first. */
#include "common/crypto/algorithm.h"

#include <stdio.h>

static const struct algorithm algorithms[] = {
    {"aes128", TRANSFORM_ENCR, ENCR_AES_CBC, 128},
    {"aes192", TRANSFORM_ENCR, ENCR_AES_CBC, 192},
    {"aes256", TRANSFORM_ENCR, ENCR_AES_CBC, 256},
    {"aes", TRANSFORM_ENCR, ENCR_AES_CBC, 128},

    {"null", TRANSFORM_ENCR, ENCR_NULL, 0},

    {"aes128gcm16", TRANSFORM_ENCR, ENCR_AES_GCM_16, 128},
    {"aes192gcm16", TRANSFORM_ENCR, ENCR_AES_GCM_16, 192},
    {"aes256gcm16", TRANSFORM_ENCR, ENCR_AES_GCM_16, 256},
    {"aes128gcm12", TRANSFORM_ENCR, ENCR_AES_GCM_12, 128},
    {"aes192gcm12", TRANSFORM_ENCR, ENCR_AES_GCM_12, 192},
    {"aes256gcm12", TRANSFORM_ENCR, ENCR_AES_GCM_12, 256},
    {"aes128gcm8", TRANSFORM_ENCR, ENCR_AES_GCM_8, 128},
    {"aes192gcm8", TRANSFORM_ENCR, ENCR_AES_GCM_8, 192},
    {"aes256gcm8", TRANSFORM_ENCR, ENCR_AES_GCM_8, 256},
    /* The same with the ICV's length in bits. */
    {"aes128gcm128", TRANSFORM_ENCR, ENCR_AES_GCM_16, 128},
    {"aes192gcm128", TRANSFORM_ENCR, ENCR_AES_GCM_16, 192},
    {"aes256gcm128", TRANSFORM_ENCR, ENCR_AES_GCM_16, 256},
    {"aes128gcm96", TRANSFORM_ENCR, ENCR_AES_GCM_12, 128},
    {"aes192gcm96", TRANSFORM_ENCR, ENCR_AES_GCM_12, 192},
    {"aes256gcm96", TRANSFORM_ENCR, ENCR_AES_GCM_12, 256},
    {"aes128gcm64", TRANSFORM_ENCR, ENCR_AES_GCM_8, 128},
    {"aes192gcm64", TRANSFORM_ENCR, ENCR_AES_GCM_8, 192},
    {"aes256gcm64", TRANSFORM_ENCR, ENCR_AES_GCM_8, 256},

    {"chacha20poly1305", TRANSFORM_ENCR, ENCR_CHACHA20_POLY1305, 0},

    {"sha256", TRANSFORM_INTEG, INTEG_HMAC_SHA2_256_128, 0},
    {"sha384", TRANSFORM_INTEG, INTEG_HMAC_SHA2_384_192, 0},
    {"sha512", TRANSFORM_INTEG, INTEG_HMAC_SHA2_512_256, 0},
    {"sha1", TRANSFORM_INTEG, INTEG_HMAC_SHA1_96, 0},
    {"sha2_256", TRANSFORM_INTEG, INTEG_HMAC_SHA2_256_128, 0},
    {"sha2_384", TRANSFORM_INTEG, INTEG_HMAC_SHA2_384_192, 0},
    {"sha2_512", TRANSFORM_INTEG, INTEG_HMAC_SHA2_512_256, 0},
    {"sha", TRANSFORM_INTEG, INTEG_HMAC_SHA1_96, 0},

    {"prfsha256", TRANSFORM_PRF, PRF_HMAC_SHA2_256, 0},
    {"prfsha384", TRANSFORM_PRF, PRF_HMAC_SHA2_384, 0},
    {"prfsha512", TRANSFORM_PRF, PRF_HMAC_SHA2_512, 0},
    {"prfsha1", TRANSFORM_PRF, PRF_HMAC_SHA1, 0},

    {"x25519", TRANSFORM_KE, KE_X25519, 0},
    {"curve25519", TRANSFORM_KE, KE_X25519, 0},
    {"ecp256", TRANSFORM_KE, KE_ECP_256, 0},
    {"ecp384", TRANSFORM_KE, KE_ECP_384, 0},
    {"ecp521", TRANSFORM_KE, KE_ECP_521, 0},
    {"modp1024", TRANSFORM_KE, KE_MODP_1024, 0},
    {"modp2048", TRANSFORM_KE, KE_MODP_2048, 0},
    {"modp3072", TRANSFORM_KE, KE_MODP_3072, 0},
    {"modp4096", TRANSFORM_KE, KE_MODP_4096, 0},

    {"noesn", TRANSFORM_ESN, ESN_NO, 0},
    {"esn", TRANSFORM_ESN, ESN_YES, 0},
};

enum { ALGORITHM_COUNT = sizeof(algorithms) / sizeof(algorithms[0]) };

static char lower(uint8_t c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool same_name(const char *name, struct span text)
{
    size_t i = 0;
    while (i < text.len && name[i] != '\0' && name[i] == lower(text.data[i]))
        i++;
    return i == text.len && name[i] == '\0';
}

const struct algorithm *algorithm_by_name(struct span name)
{
    for (size_t i = 0; i < ALGORITHM_COUNT; i++)
        if (same_name(algorithms[i].name, name))
            return &algorithms[i];
    return NULL;
}

const struct algorithm *algorithm_by_id(enum transform_type type, uint16_t id, uint16_t key_bits)
{
    for (size_t i = 0; i < ALGORITHM_COUNT; i++) {
        const struct algorithm *a = &algorithms[i];
        if (a->type == type && a->id == id && a->key_bits == key_bits)
            return a;
    }
    return NULL;
}

static const char *type_text(enum transform_type type)
{
    switch (type) {
    case TRANSFORM_ENCR:
        return "encr";
    case TRANSFORM_PRF:
        return "prf";
    case TRANSFORM_INTEG:
        return "integ";
    case TRANSFORM_KE:
        return "ke";
    case TRANSFORM_ESN:
        return "esn";
    }
    return "transform";
}

const char *algorithm_text(enum transform_type type, uint16_t id, uint16_t key_bits,
                           char out[ALGORITHM_TEXT_MAX])
{
    const struct algorithm *known = algorithm_by_id(type, id, key_bits);
    if (known != NULL)
        snprintf(out, ALGORITHM_TEXT_MAX, "%s", known->name);
    else if (key_bits != 0)
        snprintf(out, ALGORITHM_TEXT_MAX, "%s-%u/%u", type_text(type), id, key_bits);
    else
        snprintf(out, ALGORITHM_TEXT_MAX, "%s-%u", type_text(type), id);
    return out;
}

bool encr_is_aead(enum encr_id id)
{
    switch (id) {
    case ENCR_AES_GCM_8:
    case ENCR_AES_GCM_12:
    case ENCR_AES_GCM_16:
    case ENCR_CHACHA20_POLY1305:
        return true;
    case ENCR_NONE:
    case ENCR_NULL:
    case ENCR_AES_CBC:
        break;
    }
    return false;
}
