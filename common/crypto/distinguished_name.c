/* Distinguished names: text as people write it (RFC 4514 and its relatives) to X.501 Names, and
 * back. Everything else about identities is in identity.c.
 *
 * Invariant: no '=' stands unescaped within a printed value, so nothing in a name can pass for
 * another attribute of it; what is printed parses to an equal Name. */
#include <ctype.h>
#include <limits.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/obj.h>

#include "common/crypto/x509_internal.h"

/* The spelling first in the table is the one printed. string is what RFC 5280 appendix A, and
 * OpenSSL, use for the attribute; names compare equal whatever the string type was. SN is the
 * surname, as in X.520 and OpenSSL. */
static const struct attribute {
    const char *name;
    int nid;
    int string;
} attributes[] = {
    {"CN", NID_commonName, V_ASN1_UTF8STRING},
    {"O", NID_organizationName, V_ASN1_UTF8STRING},
    {"OU", NID_organizationalUnitName, V_ASN1_UTF8STRING},
    {"C", NID_countryName, V_ASN1_PRINTABLESTRING},
    {"L", NID_localityName, V_ASN1_UTF8STRING},
    {"ST", NID_stateOrProvinceName, V_ASN1_UTF8STRING},
    {"E", NID_pkcs9_emailAddress, V_ASN1_IA5STRING},
    {"emailAddress", NID_pkcs9_emailAddress, V_ASN1_IA5STRING},
    {"Email", NID_pkcs9_emailAddress, V_ASN1_IA5STRING},
    {"DC", NID_domainComponent, V_ASN1_IA5STRING},
    {"serialNumber", NID_serialNumber, V_ASN1_PRINTABLESTRING},
    {"SN", NID_surname, V_ASN1_UTF8STRING},
    {"surname", NID_surname, V_ASN1_UTF8STRING},
    {"GN", NID_givenName, V_ASN1_UTF8STRING},
    {"givenName", NID_givenName, V_ASN1_UTF8STRING},
    {"UID", NID_userId, V_ASN1_UTF8STRING},
    {"title", NID_title, V_ASN1_UTF8STRING},
    {"STREET", NID_streetAddress, V_ASN1_UTF8STRING},
    {"postalCode", NID_postalCode, V_ASN1_UTF8STRING},
    {"unstructuredName", NID_pkcs9_unstructuredName, V_ASN1_IA5STRING},
};
enum { ATTRIBUTES = sizeof attributes / sizeof attributes[0], TYPE_MAX = 64 };

static size_t spaces(const char *text)
{
    return strspn(text, " ");
}

/* Length of "TYPE" where "TYPE=" stands at the start of text, else 0. */
static size_t type_len(const char *text)
{
    size_t len = 0;
    while (isalnum((unsigned char)text[len]) || text[len] == '.')
        len++;
    return text[len + spaces(text + len)] == '=' ? len : 0;
}

/* Commas, slashes and plus signs occur in values too ("O=Acme, Inc."): one separates attributes
 * where a TYPE= follows. An unknown type is then an error, never part of the value before. */
static bool separates(const char *text)
{
    if (*text != ',' && *text != '/' && *text != '+')
        return false;
    return type_len(text + 1 + spaces(text + 1)) > 0;
}

bool name_text_looks_like_one(const char *text)
{
    text += spaces(text);
    if (*text == '/')
        text++;
    return type_len(text) > 0;
}

static int hex_value(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

struct value {
    uint8_t data[IDENTITY_MAX];
    size_t len;
};

/* Reads a value (RFC 4514 3: a backslash makes the next character plain, or begins two hex digits)
 * up to a separator or the end; *text moves there. Spaces around it are not part of it. */
static enum err read_value(const char **text, struct value *ret)
{
    const char *at = *text + spaces(*text);
    struct value v = {.len = 0};
    size_t trimmed = 0;
    while (*at != '\0' && !separates(at)) {
        bool plain = *at == '\\';
        int octet = (unsigned char)*at;
        if (plain) {
            at++;
            if (*at == '\0')
                return ERR_MALFORMED;
            octet = (unsigned char)*at;
            if (hex_value(at[0]) >= 0 && hex_value(at[1]) >= 0) {
                octet = hex_value(at[0]) << 4 | hex_value(at[1]);
                at++;
            }
        }
        at++;
        if (v.len == sizeof v.data)
            return ERR_LIMIT;
        v.data[v.len++] = (uint8_t)octet;
        if (plain || octet != ' ')
            trimmed = v.len;
    }
    v.len = trimmed;
    *text = at;
    *ret = v;
    return v.len > 0 ? ERR_OK : ERR_MALFORMED;
}

static bool value_fits(const struct value *v, int string)
{
    for (size_t i = 0; i < v->len; i++) {
        uint8_t c = v->data[i];
        bool printable = isalnum(c) || (c != 0 && strchr(" '()+,-./:=?", c) != NULL);
        if (c >= 0x80 || c == 0 || (string == V_ASN1_PRINTABLESTRING && !printable))
            return false;
    }
    return true;
}

static enum err add_attribute(X509_NAME *name, const char *type, const struct value *v,
                              bool same_rdn)
{
    ASN1_OBJECT *made = NULL;
    const ASN1_OBJECT *object = NULL;
    int string = V_ASN1_UTF8STRING;
    for (size_t i = 0; i < ATTRIBUTES && object == NULL; i++) {
        if (OPENSSL_strcasecmp(attributes[i].name, type) != 0)
            continue;
        object = OBJ_nid2obj(attributes[i].nid);
        string = attributes[i].string;
    }
    if (object == NULL && isdigit((unsigned char)type[0]))
        object = made = OBJ_txt2obj(type, 1);
    enum err e = ERR_MALFORMED;
    if (string != V_ASN1_UTF8STRING && !value_fits(v, string))
        string = string == V_ASN1_PRINTABLESTRING ? V_ASN1_UTF8STRING : 0;
    if (object != NULL && string != 0 &&
        X509_NAME_add_entry_by_OBJ(name, (ASN1_OBJECT *)object, string, v->data, (int)v->len, -1,
                                   same_rdn ? -1 : 0) == 1)
        e = ERR_OK;
    ASN1_OBJECT_free(made);
    return e;
}

static enum err parse_attributes(const char *text, X509_NAME *name)
{
    text += spaces(text);
    if (*text == '/')
        text++;
    bool same_rdn = false;
    for (;;) {
        size_t len = type_len(text);
        char type[TYPE_MAX];
        if (len == 0 || len >= sizeof type)
            return ERR_MALFORMED;
        memcpy(type, text, len);
        type[len] = '\0';
        text += len + spaces(text + len) + 1; /* past the '=' */
        struct value v;
        enum err e = read_value(&text, &v);
        if (e == ERR_OK)
            e = add_attribute(name, type, &v, same_rdn);
        if (e != ERR_OK || *text == '\0')
            return e;
        same_rdn = *text == '+';
        text++;
        text += spaces(text);
    }
}

enum err name_from_text(const char *text, X509_NAME **ret)
{
    X509_NAME *name = X509_NAME_new();
    if (name == NULL)
        return ERR_MEMORY;
    enum err e = parse_attributes(text, name);
    /* Encoding also refuses what is no UTF-8. */
    if (e == ERR_OK && i2d_X509_NAME(name, NULL) <= 0)
        e = ERR_MALFORMED;
    ERR_clear_error();
    if (e != ERR_OK) {
        X509_NAME_free(name);
        return e;
    }
    *ret = name;
    return ERR_OK;
}

enum err name_from_der(struct span der, X509_NAME **ret)
{
    if (der.len == 0 || der.len > LONG_MAX)
        return ERR_MALFORMED;
    const uint8_t *at = der.data;
    X509_NAME *name = d2i_X509_NAME(NULL, &at, (long)der.len);
    ERR_clear_error();
    if (name == NULL || at != der.data + der.len) {
        X509_NAME_free(name);
        return ERR_MALFORMED;
    }
    *ret = name;
    return ERR_OK;
}

static void print_type(const ASN1_OBJECT *object, struct text_builder *t)
{
    int nid = OBJ_obj2nid(object);
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        if (attributes[i].nid == nid) {
            text_add(t, "%s=", attributes[i].name);
            return;
        }
    }
    char dotted[TYPE_MAX];
    int len = OBJ_obj2txt(dotted, sizeof dotted, object, 1);
    text_add(t, "%s=", len > 0 && len < (int)sizeof dotted ? dotted : "?");
}

void name_print(const X509_NAME *name, struct text_builder *t)
{
    int count = X509_NAME_entry_count(name), set = -1;
    for (int i = 0; i < count; i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
        bool same_rdn = i > 0 && X509_NAME_ENTRY_set(entry) == set;
        set = X509_NAME_ENTRY_set(entry);
        text_add(t, "%s", i == 0 ? "" : same_rdn ? "+" : ", ");
        print_type(X509_NAME_ENTRY_get_object(entry), t);
        unsigned char *utf8 = NULL;
        int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
        if (len >= 0)
            printable_add(t, span_make(utf8, (size_t)len), ",+\"\\<>;=");
        else
            text_add(t, "?");
        OPENSSL_free(utf8);
    }
    ERR_clear_error();
}

const char *name_text(const X509_NAME *name, char *out, size_t cap)
{
    struct text_builder t;
    printable_begin(&t, out, cap);
    if (X509_NAME_entry_count(name) == 0)
        text_add(&t, "(empty name)");
    name_print(name, &t);
    return printable_finish(&t);
}
