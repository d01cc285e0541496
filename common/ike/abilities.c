/* What else a side understands, of what concerns the messages to come, as IKE_SA_INIT announces it.
 * Nothing of it is authenticated until IKE_AUTH is over. */
#include "common/ike/auth.h"

static void write_hash_algorithms(struct message_writer *m)
{
    static const uint8_t hashes[] = {0, HASH_SHA2_256, 0, HASH_SHA2_384,
                                     0, HASH_SHA2_512, 0, HASH_IDENTITY};
    notify_write(m, NOTIFY_SIGNATURE_HASH_ALGORITHMS, SPAN_OF(hashes));
}

static hash_set read_hash_algorithms(const struct sa_input *in)
{
    struct notify_payload n;
    hash_set hashes = 0;
    if (!notify_find(&in->payloads, NOTIFY_SIGNATURE_HASH_ALGORITHMS, &n))
        return hashes;
    struct wire_reader r;
    wire_reader_init(&r, n.data);
    while (wire_left(&r) >= 2) {
        uint16_t id = wire_read_u16(&r);
        if (id >= HASH_SHA1 && id <= HASH_IDENTITY)
            hashes |= 1u << id;
    }
    return hashes;
}

void abilities_write(const struct ike_sa *sa, struct message_writer *m)
{
    write_hash_algorithms(m);
    ppk_write_support(sa, m);
    if (sa->initiator ? sa->config->fragment_mtu != 0 : sa->peer_fragmentation)
        notify_write(m, NOTIFY_IKEV2_FRAGMENTATION_SUPPORTED, SPAN_EMPTY); /* RFC 7383 2.3 */
    if (!sa->initiator) {
        second_write_support(sa, m);
        notify_write(m, NOTIFY_CHILDLESS_IKEV2_SUPPORTED, SPAN_EMPTY); /* RFC 6023 3 */
        return;
    }
    const struct ip *from = session_redirected_from(sa->session);
    if (from->family != IP_NONE)
        redirect_write(m, NOTIFY_REDIRECTED_FROM, &(struct redirect_target){.ip = *from},
                       SPAN_EMPTY);
    else if (session_wants_redirect(sa->session))
        notify_write(m, NOTIFY_REDIRECT_SUPPORTED, SPAN_EMPTY); /* RFC 5685 3 */
}

void abilities_read(struct ike_sa *sa, const struct sa_input *in)
{
    struct notify_payload n;
    sa->handshake->peer_hashes = read_hash_algorithms(in);
    ppk_read_support(sa, in);
    sa->handshake->peer_childless =
        notify_find(&in->payloads, NOTIFY_CHILDLESS_IKEV2_SUPPORTED, &n);
    sa->peer_fragmentation = sa->config->fragment_mtu != 0 &&
                             notify_find(&in->payloads, NOTIFY_IKEV2_FRAGMENTATION_SUPPORTED, &n);
    sa->peer_redirects = notify_find(&in->payloads, NOTIFY_REDIRECT_SUPPORTED, &n) ||
                         notify_find(&in->payloads, NOTIFY_REDIRECTED_FROM, &n);
}
