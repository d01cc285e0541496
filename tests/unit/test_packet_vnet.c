/* The vnet header: its octets are those of Linux's struct virtio_net_hdr, and what contradicts
 * itself is refused. */
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_net.h>

#include "common/packet/vnet.h"
#include "tests/support/support.h"

static enum err parse(const struct virtio_net_hdr *h, struct vnet_header *ret)
{
    ck_assert_uint_eq(sizeof(*h), VNET_HEADER_LEN);
    uint8_t *exact = support_exact_copy(span_make(h, sizeof(*h)));
    enum err e = vnet_parse(span_make(exact, sizeof(*h)), ret);
    free(exact);
    return e;
}

static const struct virtio_net_hdr tcp = {
    .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
    .gso_type = VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN,
    .hdr_len = 52,
    .gso_size = 1348,
    .csum_start = 20,
    .csum_offset = 16,
};

START_TEST(fields_of_the_kernel_s)
{
    struct vnet_header v;
    ck_ok(parse(&tcp, &v));
    ck_assert_uint_eq(v.gso, VNET_GSO_TCPV4);
    ck_assert(v.ecn && v.needs_csum && !v.data_valid);
    ck_assert_uint_eq(v.hdr_len, 52);
    ck_assert_uint_eq(v.gso_size, 1348);
    ck_assert_uint_eq(v.csum_start, 20);
    ck_assert_uint_eq(v.csum_offset, 16);
    ck_ok(parse(&(struct virtio_net_hdr){0}, &v));
    ck_assert(v.gso == VNET_GSO_NONE && !v.ecn && !v.needs_csum && !v.data_valid);
    ck_assert_uint_eq(VNET_GSO_TCPV6, VIRTIO_NET_HDR_GSO_TCPV6);
    ck_assert_uint_eq(VNET_GSO_UDP_L4, 5); /* VIRTIO_NET_HDR_GSO_UDP_L4, Linux 6.2 */
}
END_TEST

START_TEST(what_is_written_is_read)
{
    for (unsigned gso = 0; gso <= 5; gso++) {
        for (unsigned flags = 0; flags < 8; flags++) {
            struct vnet_header v = {.gso = (enum vnet_gso)gso,
                                    .ecn = flags & 1,
                                    .needs_csum = flags & 2,
                                    .data_valid = flags & 4,
                                    .hdr_len = 0x1234,
                                    .gso_size = gso == 0 ? 0 : 0x0567,
                                    .csum_start = 0xfedc,
                                    .csum_offset = 0x4321};
            uint8_t bytes[VNET_HEADER_LEN];
            struct vnet_header got = {0};
            vnet_write(&v, bytes);
            bool known = gso != 2 && gso != 3;
            bool sound =
                !(v.ecn && (gso == 0 || gso == 5)) && (gso == 0 || v.needs_csum || v.data_valid);
            ck_err(vnet_parse(SPAN_OF(bytes), &got), !known   ? ERR_UNSUPPORTED
                                                     : !sound ? ERR_MALFORMED
                                                              : ERR_OK);
            if (!known || !sound)
                continue;
            struct virtio_net_hdr h;
            memcpy(&h, bytes, sizeof(h));
            ck_assert_uint_eq(h.csum_offset, 0x4321);
            ck_assert(got.gso == v.gso && got.ecn == v.ecn && got.needs_csum == v.needs_csum &&
                      got.data_valid == v.data_valid && got.hdr_len == v.hdr_len &&
                      got.gso_size == v.gso_size && got.csum_start == v.csum_start &&
                      got.csum_offset == v.csum_offset);
        }
    }
}
END_TEST

START_TEST(what_contradicts_itself)
{
    struct vnet_header v;
    struct virtio_net_hdr h = tcp;
    for (size_t len = 0; len < VNET_HEADER_LEN; len++) {
        uint8_t *exact = support_exact_copy(span_make(&h, len));
        ck_err(vnet_parse(span_make(exact, len), &v), ERR_MALFORMED);
        free(exact);
    }
    h.gso_size = 0;
    ck_err(parse(&h, &v), ERR_MALFORMED);
    h = tcp;
    h.flags = 0; /* nobody answers for the checksum */
    ck_err(parse(&h, &v), ERR_MALFORMED);
    h.flags = VIRTIO_NET_HDR_F_DATA_VALID;
    ck_ok(parse(&h, &v));
    h = (struct virtio_net_hdr){.gso_size = 1};
    ck_err(parse(&h, &v), ERR_MALFORMED);
    h = (struct virtio_net_hdr){.gso_type = VIRTIO_NET_HDR_GSO_ECN};
    ck_err(parse(&h, &v), ERR_MALFORMED);
}
END_TEST

START_TEST(what_was_not_asked_for)
{
    struct vnet_header v;
    struct virtio_net_hdr h = tcp;
    for (unsigned flag = 4; flag <= 0x80; flag <<= 1) {
        h.flags = (uint8_t)(VIRTIO_NET_HDR_F_NEEDS_CSUM | flag);
        ck_err(parse(&h, &v), ERR_UNSUPPORTED);
    }
    h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    for (unsigned type = 0; type < 0x80; type++) {
        h.gso_type = (uint8_t)type;
        bool known = type == 0 || type == 1 || type == 4 || type == 5;
        h.gso_size = type == 0 ? 0 : 100;
        ck_err(parse(&h, &v), known ? ERR_OK : ERR_UNSUPPORTED);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("packet vnet");
    TCase *c = tcase_create("header");
    tcase_add_test(c, fields_of_the_kernel_s);
    tcase_add_test(c, what_is_written_is_read);
    tcase_add_test(c, what_contradicts_itself);
    tcase_add_test(c, what_was_not_asked_for);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return support_run(suite());
}
