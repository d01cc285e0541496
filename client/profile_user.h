/* [User] of a profile: a second proof of ours, after [Local]'s (RFC 4739). */
#ifndef TERN_CLIENT_PROFILE_USER_H
#define TERN_CLIENT_PROFILE_USER_H

#include "client/profile.h"

/* After all keys have been read, and [Local] has its defaults: what was not given, and what does
 * not go together. What [User] has of EAP stands in the lines of [Local]'s keys from then on. */
void profile_default_user(struct profile *p, struct fault_list *faults);

/* Is a user asked by EAP, be it as the only proof or as the second? */
bool profile_uses_eap(const struct profile *p);

#endif
