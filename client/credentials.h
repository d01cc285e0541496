/* The files a profile names, read and checked: keys, certificates, trust, passwords. With them a
 * profile becomes the core's session_config.
 *
 * A password is, in this order, what systemd hands over as the credential NAME.password (NAME is
 * the profile's), what the profile has, or names a file with, or what a person is asked for. So is
 * a passphrase (NAME.passphrase, of [User] NAME.user-passphrase), and the PIN of a token (NAME.pin,
 * NAME.user-pin; the profile has it in a pkcs11: URI). What a person mistyped is asked for again,
 * three times at most; what was stored is tried once, and never as a token's last try. */
#ifndef TERN_CLIENT_CREDENTIALS_H
#define TERN_CLIENT_CREDENTIALS_H

#include "client/profile.h"
#include "client/token.h"
#include "common/crypto/certificate.h"
#include "common/ike/session.h"

/* RFC 8784 6: as many octets as 256 bits of entropy need; what is shorter than half of it is
 * refused. */
enum { CREDENTIALS_PPK_GOOD = 32, CREDENTIALS_PPK_MIN = 16 };

#define CREDENTIALS_SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

/* A file with CRLs, as it was when it was read. */
struct crl_file {
    char path[PROFILE_PATH_MAX]; /* absolute: the process that connects has left its directory */
    struct crl_stamp {
        uint64_t inode, size;
        int64_t changed_ns;
    } stamp;
    size_t count; /* CRLs in it */
};

/* A proof of ours by signature. */
struct own_credentials {
    struct private_key *key; /* NULL without a certificate */
    struct certificate_list chain;
    struct token *token; /* that keeps the key; NULL: nobody does */
};

/* Whom certificates are held against. */
struct trust_stores {
    struct trust_store *gateway; /* NULL where it proves itself by a key we share */
    struct trust_store *eap;     /* the EAP server's; NULL: the gateway's serves */
};
void trust_stores_free(struct trust_stores *t); /* and makes them NULL */

struct credentials {
    struct identity identity;       /* what we say we are */
    struct secret psk, gateway_psk; /* our proof, the gateway's */
    struct own_credentials own;
    struct trust_stores trust;
    struct crl_file crls[PROFILE_LIST_MAX]; /* whose CRLs it has, as many as the profile names */
    struct secret password;                 /* of EAP; empty: it has to be asked for, */
    bool password_asked;                    /* and was */
    char user_name[EAP_NAME_MAX + 1];       /* of EAP; the profile's, or the certificate's */
    struct secret ppk;                      /* RFC 8784; empty: none */
    /* Of [User]; as above, and its certificate for EAP-TLS too. */
    struct identity user_identity;
    struct secret user_psk;
    struct own_credentials user_own;
};

/* Adds a fault for each thing that is wrong, at the line of the key that named it; ERR_MALFORMED
 * then. wall_time: seconds since 1970, for our own certificate's validity. Blocks where somebody is
 * asked for a passphrase or a PIN. */
CHECKED enum err credentials_load(const struct profile *p, int64_t wall_time,
                                  struct credentials **ret, struct fault_list *faults);
/* For `tern check`: where nobody is at hand to be asked, what could not be looked into is a note,
 * and no fault. */
CHECKED enum err credentials_check(const struct profile *p, int64_t wall_time,
                                   struct credentials **ret, struct fault_list *faults,
                                   struct fault_list *notes);
/* Might somebody be asked while they are loaded? */
bool credentials_may_ask(const struct profile *p);
/* The CRLs of the profile into c->trust, as credentials_load does (credentials_crl.c). */
void credentials_load_crls(const struct profile *p, struct credentials *c,
                           struct fault_list *faults);
/* Where one of those files is another than `files` says: *ret is like *old with what they hold now,
 * and `files` likewise. False where none is, and where what they hold now is of no use: that is
 * logged, and the old ones go on. */
bool credentials_renew_crls(const struct trust_stores *old, struct crl_file *files,
                            size_t file_count, struct trust_stores *ret);
/* What else is wrong with them, which matters only once they are asked: a signature that is not of
 * the CA that they name is a fault; being outdated is one where Revocation = strict, else a
 * warning; and so is what is of no use. */
void credentials_check_crls(const struct profile *p, const struct credentials *c, int64_t wall_time,
                            struct fault_list *faults, struct fault_list *warnings);
/* A person's password is needed, and there is none. */
bool credentials_lack_password(const struct profile *p, const struct credentials *c);
/* Ask for it (ask.h). ERR_NOT_FOUND where nobody can be asked. */
CHECKED enum err credentials_ask_password(const struct profile *p, struct credentials *c,
                                          struct fault *f);
void credentials_free(struct credentials *c); /* wipes; NULL is fine */

/* Borrows from both for as long as the session lives. The caller wipes *ret. */
void credentials_session_config(const struct profile *p, const struct credentials *c,
                                struct session_config *ret);

#endif
