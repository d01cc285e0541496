/* The keys that a profile may hold. For profile.c alone. */
#ifndef TERN_CLIENT_PROFILE_KEYS_H
#define TERN_CLIENT_PROFILE_KEYS_H

#include "client/ini.h"
#include "client/profile.h"

/* "PresharedKey" */
const char *profile_key_name(enum profile_key key);
/* Does the key make the profile a file that others must not read? */
bool profile_key_secret(enum profile_key key);
bool profile_section_known(const char *name);
/* The item's value into the profile, or a fault. Says nothing of unknown sections. */
void profile_take_item(struct profile *p, const struct ini_item *item, struct fault_list *faults);

#endif
