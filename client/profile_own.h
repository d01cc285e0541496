/* Our keys and certificates, as [Local] and [User] of a profile name them, taken together. */
#ifndef TERN_CLIENT_PROFILE_OWN_H
#define TERN_CLIENT_PROFILE_OWN_H

#include "client/profile.h"

/* Says which keys p->own and p->user_own are made of. */
void profile_own_begin(struct profile *p);

/* Is any certificate named; and its key as well? A container has both, and on a token both are
 * found by either URI. o: p->own or p->user_own. */
bool profile_own_certificate(const struct profile *p, const struct profile_own *o);
bool profile_own_certificate_and_key(const struct profile *p, const struct profile_own *o);
/* Either of them is on a token. */
bool profile_own_token(const struct profile_own *o);
/* Where the certificate is named, or what it is found by; 0: nowhere. */
unsigned profile_own_line(const struct profile *p, const struct profile_own *o);

/* Faults between the keys; needed: of what is missing as well, at that line. */
void profile_check_own(const struct profile *p, const struct profile_own *o, bool needed,
                       unsigned line, struct fault_list *faults);

#endif
