/* The names of IKEv2's numbers, against the IANA registry: each number that has a name here has the
 * registry's, and no other number has one. */
#include "common/ike/numbers.h"

#include <string.h>

#include "tests/support/support.h"

struct entry {
    unsigned number;
    const char *name;
};

/* "IKEv2 Exchange Types", as far as we speak them. */
static const struct entry exchanges[] = {
    {34, "IKE_SA_INIT"},
    {35, "IKE_AUTH"},
    {36, "CREATE_CHILD_SA"},
    {37, "INFORMATIONAL"},
};

/* "IKEv2 Payload Types" */
static const struct entry payloads[] = {
    {33, "SA"},   {34, "KE"},    {35, "IDi"}, {36, "IDr"}, {37, "CERT"}, {38, "CERTREQ"},
    {39, "AUTH"}, {40, "Nonce"}, {41, "N"},   {42, "D"},   {43, "V"},    {44, "TSi"},
    {45, "TSr"},  {46, "SK"},    {47, "CP"},  {48, "EAP"}, {53, "SKF"},
};

/* "IKEv2 Notify Message Error Types" and "Status Types" */
static const struct entry notifies[] = {
    {1, "UNSUPPORTED_CRITICAL_PAYLOAD"},
    {4, "INVALID_IKE_SPI"},
    {5, "INVALID_MAJOR_VERSION"},
    {7, "INVALID_SYNTAX"},
    {9, "INVALID_MESSAGE_ID"},
    {11, "INVALID_SPI"},
    {14, "NO_PROPOSAL_CHOSEN"},
    {17, "INVALID_KE_PAYLOAD"},
    {24, "AUTHENTICATION_FAILED"},
    {34, "SINGLE_PAIR_REQUIRED"},
    {35, "NO_ADDITIONAL_SAS"},
    {36, "INTERNAL_ADDRESS_FAILURE"},
    {37, "FAILED_CP_REQUIRED"},
    {38, "TS_UNACCEPTABLE"},
    {39, "INVALID_SELECTORS"},
    {40, "UNACCEPTABLE_ADDRESSES"},
    {41, "UNEXPECTED_NAT_DETECTED"},
    {43, "TEMPORARY_FAILURE"},
    {44, "CHILD_SA_NOT_FOUND"},
    {16384, "INITIAL_CONTACT"},
    {16385, "SET_WINDOW_SIZE"},
    {16386, "ADDITIONAL_TS_POSSIBLE"},
    {16387, "IPCOMP_SUPPORTED"},
    {16388, "NAT_DETECTION_SOURCE_IP"},
    {16389, "NAT_DETECTION_DESTINATION_IP"},
    {16390, "COOKIE"},
    {16391, "USE_TRANSPORT_MODE"},
    {16392, "HTTP_CERT_LOOKUP_SUPPORTED"},
    {16393, "REKEY_SA"},
    {16394, "ESP_TFC_PADDING_NOT_SUPPORTED"},
    {16395, "NON_FIRST_FRAGMENTS_ALSO"},
    {16396, "MOBIKE_SUPPORTED"},
    {16397, "ADDITIONAL_IP4_ADDRESS"},
    {16398, "ADDITIONAL_IP6_ADDRESS"},
    {16399, "NO_ADDITIONAL_ADDRESSES"},
    {16400, "UPDATE_SA_ADDRESSES"},
    {16401, "COOKIE2"},
    {16402, "NO_NATS_ALLOWED"},
    {16403, "AUTH_LIFETIME"},
    {16404, "MULTIPLE_AUTH_SUPPORTED"},
    {16405, "ANOTHER_AUTH_FOLLOWS"},
    {16406, "REDIRECT_SUPPORTED"},
    {16407, "REDIRECT"},
    {16408, "REDIRECTED_FROM"},
    {16417, "EAP_ONLY_AUTHENTICATION"},
    {16418, "CHILDLESS_IKEV2_SUPPORTED"},
    {16430, "IKEV2_FRAGMENTATION_SUPPORTED"},
    {16431, "SIGNATURE_HASH_ALGORITHMS"},
    {16435, "USE_PPK"},
    {16436, "PPK_IDENTITY"},
    {16437, "NO_PPK_AUTH"},
};

static const char *expected(const struct entry *entries, size_t count, unsigned number)
{
    for (size_t i = 0; i < count; i++)
        if (entries[i].number == number)
            return entries[i].name;
    return NULL;
}

static void ck_name(const char *got, const char *wanted, unsigned number)
{
    bool same = got == NULL || wanted == NULL ? got == wanted : strcmp(got, wanted) == 0;
    if (!same)
        ck_abort_msg("%u is \"%s\", expected \"%s\"", number, got == NULL ? "" : got,
                     wanted == NULL ? "" : wanted);
}

#define EXPECTED(entries, number) expected(entries, sizeof entries / sizeof entries[0], number)

START_TEST(every_number)
{
    for (unsigned n = 0; n < 256; n++) {
        ck_name(exchange_name((uint8_t)n), EXPECTED(exchanges, n), n);
        ck_name(payload_name((uint8_t)n), EXPECTED(payloads, n), n);
    }
    for (unsigned n = 0; n < 65536; n++)
        ck_name(notify_name((uint16_t)n), EXPECTED(notifies, n), n);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ike/numbers");
    TCase *t = tcase_create("names");
    tcase_add_test(t, every_number);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return support_run(suite());
}
