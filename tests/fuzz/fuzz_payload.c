/* Each payload's body: what parses is written, and what was written parses to the same. The first
 * octet says which payload it is. */
#include <string.h>

#include "common/ike/payload.h"
#include "tests/fuzz/fuzz.h"

enum { BUFFER_MAX = 128 * 1024 };

/* Parse a body and write the whole payload; false where it does not parse, or has no writer. */
typedef bool codec(struct span body, struct message_writer *m);

static bool ke(struct span body, struct message_writer *m)
{
    struct ke_payload p;
    if (ke_payload_parse(body, &p) != ERR_OK)
        return false;
    ke_payload_write(m, p.method, p.value);
    return true;
}

static bool id(struct span body, struct message_writer *m)
{
    struct identity i;
    char text[IDENTITY_TEXT_MAX];
    if (id_payload_parse(body, &i) != ERR_OK)
        return false;
    CHECK(strlen(identity_format(&i, text)) < sizeof(text));
    id_payload_write(m, PAYLOAD_ID_I, &i);
    return true;
}

static bool cert(struct span body, struct message_writer *m)
{
    struct cert_payload p;
    if (cert_payload_parse(body, &p) != ERR_OK)
        return false;
    cert_payload_write(m, PAYLOAD_CERT, p.encoding, p.data);
    return true;
}

static bool auth(struct span body, struct message_writer *m)
{
    struct auth_payload p;
    if (auth_payload_parse(body, &p) != ERR_OK)
        return false;
    auth_payload_write(m, p.method, p.data);
    return true;
}

static bool nonce(struct span body, struct message_writer *m)
{
    struct span value;
    if (nonce_payload_parse(body, &value) != ERR_OK)
        return false;
    CHECK(value.len >= NONCE_MIN && value.len <= NONCE_MAX);
    payload_write(m, PAYLOAD_NONCE, value);
    return true;
}

static bool notify(struct span body, struct message_writer *m)
{
    struct notify_payload n;
    if (notify_payload_parse(body, &n) != ERR_OK)
        return false;
    notify_payload_write(m, &n);
    return true;
}

static bool redirect(struct span body, struct message_writer *m)
{
    struct redirect_target to;
    struct notify_payload n;
    struct span value;
    if (notify_payload_parse(body, &n) != ERR_OK || redirect_parse(n.data, &to, &value) != ERR_OK)
        return false;
    CHECK(memchr(to.name, '\0', sizeof(to.name)) != NULL);
    CHECK(to.ip.family != IP_NONE || host_name_good(span_text(to.name)));
    redirect_write(m, NOTIFY_REDIRECT, &to, value);
    return true;
}

static bool delete (struct span body, struct message_writer *m)
{
    struct delete_payload d;
    if (delete_payload_parse(body, &d) != ERR_OK)
        return false;
    if (d.protocol == PROTOCOL_IKE) {
        delete_ike_write(m);
        return true;
    }
    uint32_t spis[64];
    if (d.protocol != PROTOCOL_ESP || d.count > sizeof(spis) / sizeof(spis[0]))
        return false;
    for (size_t i = 0; i < d.count; i++)
        spis[i] = delete_payload_esp_spi(&d, i);
    delete_esp_write(m, spis, d.count);
    return true;
}

static bool ts(struct span body, struct message_writer *m)
{
    struct selector_list l = {0};
    char text[SELECTOR_LIST_TEXT_MAX];
    if (ts_payload_parse(body, &l) != ERR_OK)
        return false;
    CHECK(l.count <= SELECTORS_MAX);
    for (size_t i = 0; i < l.count; i++)
        CHECK(range_valid(&l.items[i].range));
    CHECK(strlen(selector_list_format(&l, text)) < sizeof(text));
    ts_payload_write(m, PAYLOAD_TS_I, &l);
    return l.count > 0; /* nothing but types that we do not know */
}

static bool cp(struct span body, struct message_writer *m)
{
    static struct configuration c;
    if (cp_payload_parse(body, &c) != ERR_OK)
        return false;
    for (size_t i = 0; i < c.domain_count; i++)
        CHECK(host_name_good(span_text(c.domains[i])) ||
              (c.type == CP_REQUEST && c.domains[i][0] == '\0'));
    cp_payload_write(m, &c);
    return true;
}

static bool eap(struct span body, struct message_writer *m)
{
    struct span message;
    if (eap_payload_parse(body, &message) != ERR_OK)
        return false;
    payload_write(m, PAYLOAD_EAP, message);
    return true;
}

static codec *const codecs[] = {ke, id, cert, auth, nonce, notify, redirect, delete, ts, cp, eap};

static struct span written(struct message_writer *m)
{
    struct span message;
    CHECK(message_finish(m, &message) == ERR_OK);
    return message;
}

static void begin(struct message_writer *m, uint8_t *buffer)
{
    message_begin(m, buffer, BUFFER_MAX, &(struct ike_header){.major = 2});
}

/* Its notifies in a list, as exchanges look for them. */
static void search(struct span message)
{
    struct payload_list l;
    struct notify_payload n;
    uint8_t bad;
    struct span body = span_make(message.data + IKE_HEADER_LEN, message.len - IKE_HEADER_LEN);
    CHECK(payload_list_parse(message.data[16], body, &l, &bad) == ERR_OK);
    CHECK(l.count == 1);
    if (notify_find_error(&l, &n))
        CHECK(notify_find(&l, n.type, &n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t first[BUFFER_MAX], second[BUFFER_MAX];
    struct message_writer m;
    if (size == 0)
        return 0;
    codec *c = codecs[data[0] % (sizeof(codecs) / sizeof(codecs[0]))];
    begin(&m, first);
    if (!c(span_make(data + 1, size - 1), &m))
        return 0;
    struct span once = written(&m);
    search(once);
    begin(&m, second);
    const size_t head = IKE_HEADER_LEN + 4;
    CHECK(c(span_make(first + head, once.len - head), &m));
    CHECK(span_equal(once, written(&m)));
    return 0;
}
