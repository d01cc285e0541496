/* MS-CHAP-V2. The names of the steps are RFC 2759's and RFC 3079's. */
#include "common/eap/mschapv2.h"

#include <string.h>

#include "common/base/text.h"
#include "common/base/wire.h"
#include "common/crypto/legacy.h"
#include "common/crypto/prf.h"

/* --- the password --- */

static void write_unit(struct wire_writer *w, uint32_t unit)
{
    wire_write_u8(w, (uint8_t)(unit & 0xff));
    wire_write_u8(w, (uint8_t)(unit >> 8));
}

static void write_character(struct wire_writer *w, uint32_t c)
{
    if (c < 0x10000) {
        write_unit(w, c);
    } else {
        write_unit(w, 0xd800 + ((c - 0x10000) >> 10));
        write_unit(w, 0xdc00 + ((c - 0x10000) & 0x3ff));
    }
}

enum err mschapv2_set_password(struct mschapv2 *m, struct span password)
{
    uint8_t units[2 * MSCHAPV2_PASSWORD_MAX];
    struct wire_writer w;
    enum err e = ERR_OK;
    wire_writer_init(&w, units, sizeof(units));
    while (e == ERR_OK && password.len > 0) {
        uint32_t c;
        size_t len = text_utf8_decode(password, &c);
        if (len > 0)
            write_character(&w, c);
        else
            e = ERR_MALFORMED;
        password = span_make(password.data + len, password.len - len);
    }
    if (e == ERR_OK)
        e = wire_write_finish(&w);
    if (e == ERR_OK) { /* NtPasswordHash */
        struct span text = wire_written(&w);
        hash_md4(&text, 1, m->password_hash);
    }
    wipe(units, sizeof(units));
    return e;
}

struct span mschapv2_user(struct span name)
{
    for (size_t i = name.len; i > 0; i--) {
        if (name.data[i - 1] == '\\')
            return span_make(name.data + i, name.len - i);
    }
    return name;
}

/* --- RFC 2759 --- */

static void challenge_hash(const struct mschapv2 *m, struct span name, uint8_t out[SHA1_LEN])
{
    const struct span parts[] = {SPAN_OF(m->peer_challenge), SPAN_OF(m->server_challenge),
                                 mschapv2_user(name)};
    hash_sha1(parts, 3, out);
}

void mschapv2_respond(const struct mschapv2 *m, struct span name,
                      uint8_t out[MSCHAPV2_RESPONSE_LEN])
{
    uint8_t challenge[SHA1_LEN], keys[3 * DES_KEY_LEN] = {0};
    challenge_hash(m, name, challenge); /* its first eight octets */
    memcpy(keys, m->password_hash, MSCHAPV2_HASH_LEN);
    for (size_t i = 0; i < 3; i++)
        des_encrypt(keys + i * DES_KEY_LEN, challenge, out + i * DES_BLOCK_LEN);
    wipe(keys, sizeof(keys));
}

static void password_hash_hash(const struct mschapv2 *m, uint8_t out[MD4_LEN])
{
    const struct span hash = SPAN_OF(m->password_hash);
    hash_md4(&hash, 1, out);
}

void mschapv2_prove(const struct mschapv2 *m, struct span name, uint8_t out[MSCHAPV2_PROOF_LEN])
{
    uint8_t twice[MD4_LEN], digest[SHA1_LEN], challenge[SHA1_LEN];
    password_hash_hash(m, twice);
    const struct span first[] = {SPAN_OF(twice), SPAN_OF(m->response),
                                 span_text("Magic server to client signing constant")};
    hash_sha1(first, 3, digest);
    challenge_hash(m, name, challenge);
    const struct span second[] = {SPAN_OF(digest), span_make(challenge, DES_BLOCK_LEN),
                                  span_text("Pad to make it do more than one iteration")};
    hash_sha1(second, 3, out);
    wipe(twice, sizeof(twice));
    wipe(digest, sizeof(digest));
}

/* --- RFC 3079 --- */

enum { SESSION_KEY_LEN = 16, PAD_LEN = 40 };

/* GetAsymmetricStartKey. client_sends: of what the client sends with, and the server receives with.
 */
static void start_key(const uint8_t master[SHA1_LEN], bool client_sends,
                      uint8_t out[SESSION_KEY_LEN])
{
    static const uint8_t zeros[PAD_LEN] = {0};
    uint8_t pad[PAD_LEN], digest[SHA1_LEN];
    memset(pad, 0xf2, sizeof(pad));
    const struct span parts[] = {span_make(master, SESSION_KEY_LEN), SPAN_OF(zeros),
                                 span_text(client_sends
                                               ? "On the client side, this is the send key; "
                                                 "on the server side, it is the receive key."
                                               : "On the client side, this is the receive key; "
                                                 "on the server side, it is the send key."),
                                 SPAN_OF(pad)};
    hash_sha1(parts, 4, digest);
    memcpy(out, digest, SESSION_KEY_LEN);
    wipe(digest, sizeof(digest));
}

void mschapv2_msk(const struct mschapv2 *m, uint8_t out[MSCHAPV2_MSK_LEN])
{
    uint8_t twice[MD4_LEN], master[SHA1_LEN];
    password_hash_hash(m, twice);
    const struct span parts[] = {SPAN_OF(twice), SPAN_OF(m->response),
                                 span_text("This is the MPPE Master Key")};
    hash_sha1(parts, 3, master);
    memset(out, 0, MSCHAPV2_MSK_LEN);
    start_key(master, true, out);
    start_key(master, false, out + SESSION_KEY_LEN);
    wipe(twice, sizeof(twice));
    wipe(master, sizeof(master));
}
