/* The allocator, and the functions that make keys, wrapped at link time (--wrap): counts blocks,
 * makes the n-th allocation fail, looks for keys in what is freed, and for an IV that is used
 * twice. New memory is filled, so that a run does not depend on what lay there. */
#include "tests/sim/sim.h"

#include <malloc.h>
#include <stdlib.h>

#include "common/crypto/aead.h"
#include "common/crypto/kex.h"
#include "common/ike/keys.h"
#include "common/ike/protect.h"
#include "common/ike/sa.h"

void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__real_realloc(void *p, size_t len);
void __real_free(void *p);
enum err __real_aead_new(const struct aead_suite *suite, struct span enc_key, struct span integ_key,
                         struct aead **ret);
void __real_aead_free(struct aead *a);
enum err __real_aead_seal(const struct aead *a, uint8_t *packet, size_t aad_len, size_t text_len,
                          const uint8_t *esn_high);
enum err __real_aead_seal_from(const struct aead *a, uint8_t *packet, size_t aad_len,
                               struct span text, struct span trailer, const uint8_t *esn_high);
enum err __real_kex_shared(const struct kex *k, struct span peer, struct secret *ret);
enum err __real_ike_keys_derive(const struct suite *suite, const struct ike_keys_input *in,
                                struct ike_keys *ret);
bool __real_selector_list_match(const struct selector_list *l, const struct ip *address,
                                uint8_t protocol, uint16_t port, bool later_fragment);
bool __wrap_selector_list_match(const struct selector_list *l, const struct ip *address,
                                uint8_t protocol, uint16_t port, bool later_fragment);
void __real_mobike_answer_write(struct ike_sa *sa, struct message_writer *m,
                                const struct sa_input *in, const struct mobike_request *q);
void __wrap_mobike_answer_write(struct ike_sa *sa, struct message_writer *m,
                                const struct sa_input *in, const struct mobike_request *q);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t n, size_t len);
void *__wrap_realloc(void *p, size_t len);
void __wrap_free(void *p);
enum err __wrap_aead_new(const struct aead_suite *suite, struct span enc_key, struct span integ_key,
                         struct aead **ret);
void __wrap_aead_free(struct aead *a);
enum err __wrap_aead_seal(const struct aead *a, uint8_t *packet, size_t aad_len, size_t text_len,
                          const uint8_t *esn_high);
enum err __wrap_aead_seal_from(const struct aead *a, uint8_t *packet, size_t aad_len,
                               struct span text, struct span trailer, const uint8_t *esn_high);
enum err __wrap_kex_shared(const struct kex *k, struct span peer, struct secret *ret);
enum err __wrap_ike_keys_derive(const struct suite *suite, const struct ike_keys_input *in,
                                struct ike_keys *ret);

enum { SECRETS_MAX = 256, FILTER_BITS = 1 << 14, RECENT_MAX = 64 };

/* The key of one cipher object, to open what it sealed. */
struct cipher_key {
    struct aead_suite suite;
    struct secret enc, integ;
};

static struct {
    struct world *world;
    size_t blocks;
    unsigned fail_in, fail_run;
    bool failed;
    bool lax_selectors;
    bool mangle, mangled; /* COOKIE2 */
    struct map ciphers;   /* object to its key's print */
    struct map keys;      /* key's print to how many objects have it */
    struct map ivs;       /* key and IV, used */
    uint64_t secrets[SECRETS_MAX];
    size_t secret_count;
    uint64_t filter[FILTER_BITS / 64];
    struct cipher_key recent[RECENT_MAX];
    size_t recent_count;
} memory;

/* --- for the simulator itself --- */

void *sim_alloc(size_t len)
{
    void *p = __real_calloc(1, len > 0 ? len : 1);
    if (p == NULL)
        abort();
    return p;
}

void *sim_resize(void *old, size_t len)
{
    void *p = __real_realloc(old, len);
    if (p == NULL)
        abort();
    return p;
}

void sim_free(void *p)
{
    __real_free(p);
}

void memory_begin(struct world *w)
{
    map_free(&memory.ciphers);
    map_free(&memory.keys);
    map_free(&memory.ivs);
    memset(memory.filter, 0, sizeof(memory.filter));
    memory.world = w;
    memory.blocks = 0;
    memory.fail_in = memory.fail_run = 0;
    memory.failed = false;
    memory.secret_count = memory.recent_count = 0;
}

size_t memory_blocks(void)
{
    return memory.blocks;
}

void memory_fail(unsigned n, unsigned run)
{
    memory.fail_in = n;
    memory.fail_run = run;
}

bool memory_failed(void)
{
    return memory.failed;
}

/* --- the allocator --- */

static bool fails(void)
{
    if (memory.fail_in == 0 || memory.world == NULL)
        return false;
    if (memory.fail_in > 1) {
        memory.fail_in--;
        return false;
    }
    if (memory.fail_run == 0) {
        memory.fail_in = 0;
        return false;
    }
    memory.fail_run--;
    memory.failed = true;
    transcript_note(memory.world, "memory", "an allocation fails");
    return true;
}

void *__wrap_malloc(size_t len)
{
    if (fails())
        return NULL;
    void *p = __real_malloc(len);
    if (p != NULL) {
        memset(p, 0xa5, len);
        memory.blocks++;
    }
    return p;
}

void *__wrap_calloc(size_t n, size_t len)
{
    if (fails())
        return NULL;
    void *p = __real_calloc(n, len);
    if (p != NULL)
        memory.blocks++;
    return p;
}

static unsigned filter_bit(uint64_t v)
{
    return (unsigned)(v * 0x9e3779b97f4a7c15u >> 50);
}

static void look_for_keys(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i + 8 <= len; i++) {
        uint64_t v;
        memcpy(&v, p + i, 8);
        if (v == 0)
            continue;
        unsigned bit = filter_bit(v);
        if ((memory.filter[bit / 64] >> (bit % 64) & 1) == 0)
            continue;
        size_t count = memory.secret_count < SECRETS_MAX ? memory.secret_count : SECRETS_MAX;
        for (size_t j = 0; j < count; j++) {
            if (memory.secrets[j] == v)
                violate(memory.world, "key-left", "a block of %zu octets is freed with a key in it",
                        len);
        }
    }
}

void *__wrap_realloc(void *p, size_t len)
{
    if (p == NULL)
        return __wrap_malloc(len);
    if (fails())
        return NULL;
    /* moved by hand, so that the old place is looked at */
    void *fresh = __real_malloc(len);
    if (fresh == NULL)
        return NULL;
    size_t had = malloc_usable_size(p);
    memcpy(fresh, p, had < len ? had : len);
    if (memory.world != NULL)
        look_for_keys(p, had);
    __real_free(p);
    return fresh;
}

void __wrap_free(void *p)
{
    if (p == NULL)
        return;
    if (memory.world != NULL)
        look_for_keys(p, malloc_usable_size(p));
    memory.blocks--;
    __real_free(p);
}

/* --- keys --- */

static void remember(const struct secret *s)
{
    uint64_t v;
    if (s->len < 16)
        return;
    memcpy(&v, s->data, 8);
    unsigned bit = filter_bit(v);
    memory.filter[bit / 64] |= (uint64_t)1 << (bit % 64);
    memory.secrets[memory.secret_count++ % SECRETS_MAX] = v;
}

void memory_secret(const struct secret *s)
{
    remember(s);
}

enum err __wrap_kex_shared(const struct kex *k, struct span peer, struct secret *ret)
{
    enum err err = __real_kex_shared(k, peer, ret);
    if (err == ERR_OK)
        remember(ret);
    return err;
}

enum err __wrap_ike_keys_derive(const struct suite *suite, const struct ike_keys_input *in,
                                struct ike_keys *ret)
{
    enum err err = __real_ike_keys_derive(suite, in, ret);
    if (err == ERR_OK) {
        remember(&ret->d);
        remember(&ret->pi);
        remember(&ret->pr);
    }
    return err;
}

enum err __wrap_aead_new(const struct aead_suite *suite, struct span enc_key, struct span integ_key,
                         struct aead **ret)
{
    enum err err = __real_aead_new(suite, enc_key, integ_key, ret);
    if (err != ERR_OK || memory.world == NULL)
        return err;
    struct cipher_key *k = &memory.recent[memory.recent_count++ % RECENT_MAX];
    *k = (struct cipher_key){.suite = *suite};
    if (secret_set(&k->enc, enc_key) == ERR_OK && secret_set(&k->integ, integ_key) == ERR_OK) {
        remember(&k->enc);
        remember(&k->integ);
    }
    uint64_t print = print_of(enc_key);
    map_set(&memory.ciphers, (uint64_t)(uintptr_t)*ret, print);
    uint64_t times = map_get(&memory.keys, print) + 1;
    map_set(&memory.keys, print, times);
    if (times > 2 && !memory.failed) /* one object at each side */
        violate(memory.world, "key-reuse", "the same key for a third time");
    return ERR_OK;
}

void __wrap_aead_free(struct aead *a)
{
    if (a != NULL && memory.world != NULL)
        map_set(&memory.ciphers, (uint64_t)(uintptr_t)a, 0);
    __real_aead_free(a);
}

static void see_iv(const struct aead *a, const uint8_t *iv)
{
    if (memory.world == NULL)
        return;
    const uint64_t use[] = {map_get(&memory.ciphers, (uint64_t)(uintptr_t)a),
                            print_of(span_make(iv, aead_iv_len(a)))};
    uint64_t key = print_of(span_make(use, sizeof(use)));
    if (map_get(&memory.ivs, key) != 0)
        violate(memory.world, "iv-reuse", "an IV is used twice with one key");
    map_set(&memory.ivs, key, 1);
}

enum err __wrap_aead_seal(const struct aead *a, uint8_t *packet, size_t aad_len, size_t text_len,
                          const uint8_t *esn_high)
{
    see_iv(a, packet + aad_len);
    return __real_aead_seal(a, packet, aad_len, text_len, esn_high);
}

enum err __wrap_aead_seal_from(const struct aead *a, uint8_t *packet, size_t aad_len,
                               struct span text, struct span trailer, const uint8_t *esn_high)
{
    see_iv(a, packet + aad_len);
    return __real_aead_seal_from(a, packet, aad_len, text, trailer, esn_high);
}

void memory_lax_selectors(bool on)
{
    memory.lax_selectors = on;
}

bool __wrap_selector_list_match(const struct selector_list *l, const struct ip *address,
                                uint8_t protocol, uint16_t port, bool later_fragment)
{
    return memory.lax_selectors ||
           __real_selector_list_match(l, address, protocol, port, later_fragment);
}

bool memory_mangle_cookie2(bool on)
{
    bool mangled = memory.mangled;
    memory.mangle = on;
    memory.mangled = false;
    return mangled;
}

void __wrap_mobike_answer_write(struct ike_sa *sa, struct message_writer *m,
                                const struct sa_input *in, const struct mobike_request *q)
{
    struct mobike_request other = *q;
    uint8_t bytes[64];
    if (!memory.mangle || q->cookie2.len == 0) {
        __real_mobike_answer_write(sa, m, in, q);
        return;
    }
    memory.mangled = true;
    memcpy(bytes, q->cookie2.data, q->cookie2.len);
    bytes[0] ^= 1;
    other.cookie2 = span_make(bytes, (bytes[1] & 3) == 0 ? 0 : q->cookie2.len); /* 0: forgotten */
    __real_mobike_answer_write(sa, m, in, &other);
}

bool memory_open(uint8_t *message, size_t len, uint8_t *ret_first, struct span *ret_inner)
{
    struct ike_header h;
    struct payload_list outer;
    uint8_t bad;
    uint8_t *copy = sim_alloc(len);
    bool opened = false;
    size_t count = memory.recent_count < RECENT_MAX ? memory.recent_count : RECENT_MAX;
    for (size_t i = 0; i < count && !opened; i++) {
        const struct cipher_key *k = &memory.recent[(memory.recent_count - 1 - i) % RECENT_MAX];
        struct aead *a;
        memcpy(copy, message, len);
        if (ike_header_parse(span_make(copy, len), &h) != ERR_OK ||
            payload_list_parse(h.next_payload,
                               span_make(copy + IKE_HEADER_LEN, len - IKE_HEADER_LEN), &outer,
                               &bad) != ERR_OK)
            break;
        struct world *w = memory.world;
        memory.world = NULL; /* what follows is not the run's */
        unsigned in = memory.fail_in;
        memory.fail_in = 0;
        size_t blocks = memory.blocks;
        if (__real_aead_new(&k->suite, secret_span(&k->enc), secret_span(&k->integ), &a) ==
            ERR_OK) {
            opened = sk_open(copy, len, &outer, a, ret_first, ret_inner) == ERR_OK;
            __real_aead_free(a);
        }
        memory.blocks = blocks;
        memory.world = w;
        memory.fail_in = in;
    }
    if (opened) {
        ret_inner->data = message + (ret_inner->data - copy);
        memcpy(message, copy, len);
    }
    sim_free(copy);
    return opened;
}
