/* Between the table of a profile's keys (profile_keys.c) and the functions that take their values:
 * profile_keys_proof.c, profile_keys_eap.c and profile_keys_ppk.c for [Gateway] and [Local],
 * profile_keys_own.c for our keys and certificates, profile_keys_user.c for what else [User] has,
 * profile_keys_tunnel.c for the other sections. */
#ifndef TERN_CLIENT_PROFILE_KEYS_INTERNAL_H
#define TERN_CLIENT_PROFILE_KEYS_INTERNAL_H

#include "client/fault_list.h"
#include "client/profile.h"

/* What a value parser works on. */
struct reading {
    struct profile *p;
    struct profile_own *own; /* p's, of that section: for keys that both have */
    struct fault_list *faults;
    const char *key;
    unsigned line;
};

#define FAULT(r, ...) fault_list_add((r)->faults, (r)->line, __VA_ARGS__)

/* Of any section (profile_reading.c): the whole value into *out, or a fault. */
void value_take_text(struct reading *r, const char *value, char *out, size_t cap);
/* Calls `take` for every item of the list. */
void value_take_each(struct reading *r, const char *value,
                     void (*take)(struct reading *r, const char *item));
void value_take_item(struct reading *r, struct profile_list *l, const char *item);
void value_take_secret(struct reading *r, const char *value, struct secret *out);
void value_take_shared_key(struct reading *r, const char *value, struct secret *out);
void value_take_bool(struct reading *r, const char *value, bool *out);
void value_take_duration(struct reading *r, const char *value, uint32_t min_s, uint32_t max_s,
                         const char *range, uint32_t *out);
void value_take_identity(struct reading *r, const char *value, struct identity *out);
/* expected: "psk, certificate or eap", what most people want there first. */
void value_take_authentication(struct reading *r, const char *value, const char *expected,
                               enum profile_authentication *out);

/* One function a key: the value into r->p, or a fault. */
void key_gateway_address(struct reading *r, const char *value);
void key_gateway_port(struct reading *r, const char *value);
void key_gateway_identity(struct reading *r, const char *value);
void key_gateway_authentication(struct reading *r, const char *value);
void key_gateway_ca(struct reading *r, const char *value);
void key_gateway_psk(struct reading *r, const char *value);
void key_gateway_psk_file(struct reading *r, const char *value);
void key_gateway_revocation(struct reading *r, const char *value);
void key_gateway_crl(struct reading *r, const char *value);
void key_local_identity(struct reading *r, const char *value);
void key_local_authentication(struct reading *r, const char *value);
void key_local_psk(struct reading *r, const char *value);
void key_local_psk_file(struct reading *r, const char *value);
void key_own_certificate(struct reading *r, const char *value);
void key_own_private_key(struct reading *r, const char *value);
void key_own_pkcs12(struct reading *r, const char *value);
void key_local_user_name(struct reading *r, const char *value);
void key_local_password(struct reading *r, const char *value);
void key_local_password_file(struct reading *r, const char *value);
void key_local_eap_methods(struct reading *r, const char *value);
void key_own_passphrase(struct reading *r, const char *value);
void key_own_passphrase_file(struct reading *r, const char *value);
void key_local_eap_inner(struct reading *r, const char *value);
void key_local_eap_identity(struct reading *r, const char *value);
void key_local_eap_server(struct reading *r, const char *value);
void key_local_eap_ca(struct reading *r, const char *value);
void key_gateway_require_ppk(struct reading *r, const char *value);
void key_local_ppk(struct reading *r, const char *value);
void key_local_ppk_file(struct reading *r, const char *value);
void key_local_ppk_identity(struct reading *r, const char *value);
void key_user_identity(struct reading *r, const char *value);
void key_user_authentication(struct reading *r, const char *value);
void key_user_psk(struct reading *r, const char *value);
void key_user_psk_file(struct reading *r, const char *value);
void key_tunnel_interface(struct reading *r, const char *value);
void key_tunnel_routes(struct reading *r, const char *value);
void key_tunnel_exclude(struct reading *r, const char *value);
void key_tunnel_request_address(struct reading *r, const char *value);
void key_tunnel_dns(struct reading *r, const char *value);
void key_tunnel_mtu(struct reading *r, const char *value);
void key_tunnel_offload(struct reading *r, const char *value);
void key_tunnel_dscp(struct reading *r, const char *value);
void key_crypto_ike(struct reading *r, const char *value);
void key_crypto_esp(struct reading *r, const char *value);
void key_crypto_ike_lifetime(struct reading *r, const char *value);
void key_crypto_esp_lifetime(struct reading *r, const char *value);
void key_crypto_esp_bytes(struct reading *r, const char *value);
void key_roaming_mobike(struct reading *r, const char *value);
void key_roaming_prefer(struct reading *r, const char *value);
void key_roaming_dpd(struct reading *r, const char *value);
void key_roaming_keepalive(struct reading *r, const char *value);
void key_roaming_hold_down(struct reading *r, const char *value);
void key_roaming_retransmit(struct reading *r, const char *value);
void key_hook(struct reading *r, const char *value);

#endif
