/* Which of the keys about our own keys and certificates go together, and what is missing. */
#include "client/profile_own.h"

#include "client/pkcs11_uri.h"

static bool certificate_on_token(const struct profile_own *o)
{
    return pkcs11_uri_is_one(o->certificate);
}

static bool key_on_token(const struct profile_own *o)
{
    return pkcs11_uri_is_one(o->private_key);
}

bool profile_own_certificate(const struct profile_own *o)
{
    return o->pkcs12_line != 0 || o->certificate_line != 0 || key_on_token(o);
}

static bool has_key(const struct profile_own *o)
{
    return o->pkcs12_line != 0 || o->private_key_line != 0 || certificate_on_token(o);
}

bool profile_own_certificate_and_key(const struct profile_own *o)
{
    return profile_own_certificate(o) && has_key(o);
}

bool profile_own_token(const struct profile_own *o)
{
    return key_on_token(o) || certificate_on_token(o);
}

unsigned profile_own_line(const struct profile_own *o)
{
    return o->pkcs12_line != 0        ? o->pkcs12_line
           : o->certificate_line != 0 ? o->certificate_line
                                      : o->private_key_line;
}

static void refuse_both(unsigned a_line, const char *a, unsigned b_line, const char *b,
                        struct fault_list *faults)
{
    if (a_line != 0 && b_line != 0)
        fault_list_add(faults, a_line > b_line ? a_line : b_line,
                       "%s and %s are both given; keep one", a, b);
}

void profile_check_own(const struct profile_own *o, bool needed, unsigned line,
                       struct fault_list *faults)
{
    if (needed && !profile_own_certificate(o))
        fault_list_add(faults, line, "Authentication = certificate needs Certificate");
    if (needed && !has_key(o))
        fault_list_add(faults, line, "Authentication = certificate needs PrivateKey");
    if (certificate_on_token(o) && o->private_key_line != 0 && !key_on_token(o))
        fault_list_add(faults, o->private_key_line,
                       "Certificate is on a token, and PrivateKey is not");
    refuse_both(o->passphrase_line, "Passphrase", o->passphrase_file_line, "PassphraseFile",
                faults);
    refuse_both(o->pkcs12_line, "PKCS12", o->certificate_line, "Certificate", faults);
    refuse_both(o->pkcs12_line, "PKCS12", o->private_key_line, "PrivateKey", faults);
}
