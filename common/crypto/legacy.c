/* MD4, MD5 and DES, over BoringSSL's. */
#include "common/crypto/legacy.h"

#include <string.h>

#include <openssl/des.h>
#include <openssl/md4.h>
#include <openssl/md5.h>

#include "common/crypto/secret.h"

void hash_md4(const struct span *parts, size_t count, uint8_t out[MD4_LEN])
{
    MD4_CTX c;
    MD4_Init(&c);
    for (size_t i = 0; i < count; i++)
        if (parts[i].len > 0)
            MD4_Update(&c, parts[i].data, parts[i].len);
    MD4_Final(out, &c);
    wipe(&c, sizeof(c));
}

void hash_md5(const struct span *parts, size_t count, uint8_t out[MD5_LEN])
{
    MD5_CTX c;
    MD5_Init(&c);
    for (size_t i = 0; i < count; i++)
        if (parts[i].len > 0)
            MD5_Update(&c, parts[i].data, parts[i].len);
    MD5_Final(out, &c);
    wipe(&c, sizeof(c));
}

/* Each octet of a DES key has seven bits of it, and one of parity, which nobody looks at. */
static void spread(const uint8_t key[DES_KEY_LEN], DES_cblock *ret)
{
    unsigned bits = 0, have = 0;
    for (size_t i = 0; i < DES_BLOCK_LEN; i++) {
        if (i < DES_KEY_LEN)
            bits = bits << 8 | key[i];
        have += i < DES_KEY_LEN ? 1 : -7U;
        ret->bytes[i] = (uint8_t)((bits >> have & 0x7f) << 1);
    }
}

void des_encrypt(const uint8_t key[DES_KEY_LEN], const uint8_t clear[DES_BLOCK_LEN],
                 uint8_t out[DES_BLOCK_LEN])
{
    DES_cblock block, in, cipher;
    DES_key_schedule schedule;
    spread(key, &block);
    memcpy(in.bytes, clear, DES_BLOCK_LEN);
    DES_set_key(&block, &schedule);
    DES_ecb_encrypt(&in, &cipher, &schedule, DES_ENCRYPT);
    memcpy(out, cipher.bytes, DES_BLOCK_LEN);
    wipe(&schedule, sizeof(schedule));
    wipe(&block, sizeof(block));
    wipe(&in, sizeof(in));
}
