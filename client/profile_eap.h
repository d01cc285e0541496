/* A profile's keys about EAP, taken together (profile.c calls for it), and what of it is needed. */
#ifndef TERN_CLIENT_PROFILE_EAP_H
#define TERN_CLIENT_PROFILE_EAP_H

#include "client/profile.h"

/* Authentication = eap: defaults, and faults between keys; line: where it stands. */
void profile_check_eap(struct profile *p, unsigned line, struct fault_list *faults);

/* IDi, where the profile has no Identity: what EAP says first, which is EAPIdentity or the user's
 * name; none of either: nothing. whose: "our". */
void profile_eap_default_identity(const struct profile *p, struct identity *ret, const char *whose,
                                  struct fault_list *faults);

/* It is the user of [User] who is asked by EAP, after the machine was proven; and the certificate
 * that EAP shows, that section's. */
bool profile_eap_second(const struct profile *p);
const struct profile_own *profile_eap_own(const struct profile *p);

/* It is by EAP, and a method that is offered needs the user's password; our certificate; the EAP
 * server's certificate to be judged. */
bool profile_eap_password(const struct profile *p);
bool profile_eap_certificate(const struct profile *p);
bool profile_eap_tls(const struct profile *p);

#endif
