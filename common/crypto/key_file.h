/* Private keys as files protect them by a passphrase, and containers of a key with its
 * certificates. Reads no file: the bytes are handed in. A key derivation may take seconds, as its
 * file says. */
#ifndef TERN_CRYPTO_KEY_FILE_H
#define TERN_CRYPTO_KEY_FILE_H

#include "common/crypto/certificate.h"

/* As private_key_parse, of what a passphrase opens: PKCS#8 encrypted by PBES2 (RFC 8018: PBKDF2 or
 * scrypt, AES or 3DES in CBC) or by the PBES1 schemes of PKCS#12, and traditional PEM with
 * Proc-Type: 4,ENCRYPTED. What is not encrypted is taken as well. ERR_INTEGRITY where the
 * passphrase is wrong, ERR_UNSUPPORTED for another way to encrypt, ERR_LIMIT where the derivation
 * is made to take too long. */
CHECKED enum err private_key_parse_encrypted(struct span bytes, struct span passphrase,
                                             struct private_key **ret, struct fault *f);

/* A PKCS#12 container (RFC 7292, DER or BER): one key, its certificate first in *ret_chain, then
 * the others without those that certify themselves (a gateway has its own anchors). ERR_INTEGRITY
 * where the passphrase is wrong; where nothing was set it is the empty one. */
CHECKED enum err pkcs12_parse(struct span bytes, struct span passphrase,
                              struct private_key **ret_key, struct certificate_list *ret_chain,
                              struct fault *f);

#endif
