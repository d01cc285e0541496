/* A profile, as a person or an attacker with the file's rights wrote it. */
#include <stdlib.h>
#include <string.h>

#include "client/profile.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fault_list faults;
    struct profile *p = NULL;
    fault_list_init(&faults);
    enum err e = profile_load(fuzz_file(span_make(data, size)), &p, &faults);
    CHECK((e == ERR_OK) == (p != NULL));
    CHECK((e == ERR_OK) == !fault_list_any(&faults));
    CHECK(faults.count <= FAULTS_MAX);
    if (p != NULL) {
        CHECK(p->addresses.count >= 1 && p->addresses.count <= PROFILE_LIST_MAX);
        CHECK(p->gateway_identity.type != IDENTITY_NONE);
        CHECK(p->ike.count > 0 && p->esp.count > 0 && p->routes.count > 0);
        CHECK(p->mtu == PROFILE_MTU_AUTO || (p->mtu >= MTU_MIN && p->mtu <= MTU_MAX));
    }
    profile_free(p);
    struct fault summary;
    if (e != ERR_OK)
        fault_list_summary(&faults, "file", &summary);
    return 0;
}
