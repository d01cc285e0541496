/* Finding a token among all modules and slots, and logging in. The last try of a PIN is never spent
 * here: whoever asks for LOGIN has seen the flags of STATUS.
 *
 * Invariant: a card that was opened has a session, and one token fits its URIs. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/token/card_internal.h"

enum { SLOTS_MAX = 64 };

bool card_fail(struct card_fault *f, enum token_fault kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(f->text, sizeof(f->text), format, args);
    va_end(args);
    f->kind = kind;
    return false;
}

/* What a driver says once the token is not there any more, or forgot that we had logged in. */
static bool means_gone(CK_RV rv)
{
    static const CK_RV gone[] = {
        CKR_DEVICE_REMOVED,        CKR_TOKEN_NOT_PRESENT,  CKR_SESSION_HANDLE_INVALID,
        CKR_SESSION_CLOSED,        CKR_USER_NOT_LOGGED_IN, CKR_KEY_HANDLE_INVALID,
        CKR_OBJECT_HANDLE_INVALID, CKR_SLOT_ID_INVALID,    CKR_TOKEN_NOT_RECOGNIZED};
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
        if (rv == gone[i])
            return true;
    }
    return false;
}

bool card_refuse(const struct card *c, struct card_fault *f, const char *what, CK_RV rv)
{
    if (means_gone(rv))
        return card_fail(f, TOKEN_GONE, "the token \"%s\" is not there any more (%s)", c->label,
                         p11_kit_strerror(rv));
    return card_fail(f, TOKEN_OTHER, "the token \"%s\" %s: %s", c->label, what,
                     p11_kit_strerror(rv));
}

/* --- URIs and modules --- */

static bool read_uri(const char *text, P11KitUri **ret, struct card_fault *f)
{
    if (text[0] == '\0')
        return true;
    P11KitUri *uri = p11_kit_uri_new();
    int result = p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, uri);
    if (result == P11_KIT_URI_OK && !p11_kit_uri_any_unrecognized(uri)) {
        *ret = uri;
        return true;
    }
    p11_kit_uri_free(uri);
    return card_fail(f, TOKEN_NOT_FOUND, "the URI is not understood: %s",
                     result == P11_KIT_URI_OK ? "an attribute is unknown"
                                              : p11_kit_uri_message(result));
}

/* A module is code: nobody else may have written it. */
static bool module_safe(const char *path, struct card_fault *f)
{
    struct stat st;
    if (path[0] != '/')
        return card_fail(f, TOKEN_NOT_FOUND, "module-path %.200s is not absolute", path);
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return card_fail(f, TOKEN_NOT_FOUND, "module-path %.200s is no file", path);
    if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return card_fail(f, TOKEN_OTHER, "others could write to the module %.200s", path);
    return true;
}

static bool load_one(struct card *c, const char *path, struct card_fault *f)
{
    if (!module_safe(path, f))
        return false;
    c->one_module = p11_kit_module_load(path, 0);
    if (c->one_module == NULL)
        return card_fail(f, TOKEN_OTHER, "the module %.200s cannot be loaded", path);
    CK_RV rv = p11_kit_module_initialize(c->one_module);
    if (rv == CKR_OK)
        return true;
    p11_kit_module_release(c->one_module);
    c->one_module = NULL;
    return card_fail(f, TOKEN_OTHER, "the module %.200s does not start: %s", path,
                     p11_kit_strerror(rv));
}

static const char *module_path(const struct card *c)
{
    const char *path = c->key_uri != NULL ? p11_kit_uri_get_module_path(c->key_uri) : NULL;
    if (path == NULL && c->certificate_uri != NULL)
        path = p11_kit_uri_get_module_path(c->certificate_uri);
    return path;
}

static bool load_modules(struct card *c, struct card_fault *f)
{
    const char *path = module_path(c);
    if (path != NULL)
        return load_one(c, path, f);
    c->modules = p11_kit_modules_load_and_initialize(0);
    if (c->modules == NULL)
        return card_fail(f, TOKEN_OTHER, "p11-kit loads no modules");
    return true;
}

/* --- tokens --- */

static bool uri_fits(P11KitUri *uri, const CK_INFO *module, const CK_SLOT_INFO *slot,
                     const CK_TOKEN_INFO *token, const char *module_name)
{
    if (uri == NULL)
        return true;
    const char *wanted = p11_kit_uri_get_module_name(uri);
    if (wanted != NULL && (module_name == NULL || strcmp(wanted, module_name) != 0))
        return false;
    return p11_kit_uri_match_module_info(uri, module) == 1 &&
           p11_kit_uri_match_slot_info(uri, slot) == 1 &&
           p11_kit_uri_match_token_info(uri, token) == 1;
}

/* The system's trust store is a token as well, and signs nothing. */
static bool can_sign(CK_FUNCTION_LIST *module, CK_SLOT_ID slot)
{
    CK_ULONG count = 0;
    return module->C_GetMechanismList(slot, NULL, &count) == CKR_OK && count > 0;
}

static bool slot_fits(const struct card *c, CK_FUNCTION_LIST *module, CK_SLOT_ID slot,
                      const char *name)
{
    CK_INFO info;
    CK_SLOT_INFO slot_info;
    CK_TOKEN_INFO token;
    return module->C_GetInfo(&info) == CKR_OK &&
           module->C_GetSlotInfo(slot, &slot_info) == CKR_OK &&
           module->C_GetTokenInfo(slot, &token) == CKR_OK &&
           (token.flags & CKF_TOKEN_INITIALIZED) != 0 &&
           uri_fits(c->key_uri, &info, &slot_info, &token, name) &&
           uri_fits(c->certificate_uri, &info, &slot_info, &token, name) && can_sign(module, slot);
}

/* Counts those that fit; the first is taken. */
static size_t look_in(struct card *c, CK_FUNCTION_LIST *module)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    size_t fitting = 0;
    if (module->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK)
        return 0;
    char *name = p11_kit_module_get_name(module);
    for (CK_ULONG i = 0; i < count && i < SLOTS_MAX; i++) {
        if (!slot_fits(c, module, slots[i], name))
            continue;
        if (fitting++ == 0 && c->module == NULL) {
            c->module = module;
            c->slot = slots[i];
        }
    }
    free(name);
    return fitting;
}

static bool find_token(struct card *c, struct card_fault *f)
{
    size_t fitting = 0;
    if (c->one_module != NULL)
        fitting = look_in(c, c->one_module);
    for (CK_FUNCTION_LIST **m = c->modules; m != NULL && *m != NULL; m++)
        fitting += look_in(c, *m);
    if (fitting == 0)
        return card_fail(f, TOKEN_NOT_FOUND, "no token fits the URI");
    if (fitting > 1)
        return card_fail(f, TOKEN_NOT_FOUND,
                         "%zu tokens fit the URI: tell them apart by token= or serial=", fitting);
    return true;
}

/* PKCS#11 fills its texts up with blanks, and does not end them. */
static void take_label(struct card *c, const CK_TOKEN_INFO *token)
{
    size_t len = sizeof(token->label);
    while (len > 0 && token->label[len - 1] == ' ')
        len--;
    memcpy(c->label, token->label, len);
    c->label[len] = '\0';
}

static bool read_token(struct card *c, CK_TOKEN_INFO *ret, struct card_fault *f)
{
    CK_RV rv = c->module->C_GetTokenInfo(c->slot, ret);
    return rv == CKR_OK || card_refuse(c, f, "does not answer", rv);
}

static bool open_session(struct card *c, struct card_fault *f)
{
    CK_TOKEN_INFO token;
    if (!read_token(c, &token, f))
        return false;
    take_label(c, &token);
    CK_RV rv = c->module->C_OpenSession(c->slot, CKF_SERIAL_SESSION, NULL, NULL, &c->session);
    if (rv != CKR_OK)
        return card_refuse(c, f, "cannot be used", rv);
    c->has_session = true;
    return (token.flags & CKF_LOGIN_REQUIRED) != 0 || card_find_key(c, f);
}

bool card_open(const char *key_uri, const char *certificate_uri, struct card **ret,
               struct card_fault *f)
{
    struct card *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return card_fail(f, TOKEN_OTHER, "out of memory");
    p11_kit_be_quiet(); /* what it would print is in the faults */
    if (!read_uri(key_uri, &c->key_uri, f) || !read_uri(certificate_uri, &c->certificate_uri, f) ||
        !load_modules(c, f) || !find_token(c, f) || !open_session(c, f)) {
        card_close(c);
        return false;
    }
    *ret = c;
    return true;
}

void card_close(struct card *c)
{
    if (c == NULL)
        return;
    if (c->has_session)
        (void)c->module->C_CloseSession(c->session);
    if (c->one_module != NULL) {
        (void)p11_kit_module_finalize(c->one_module);
        p11_kit_module_release(c->one_module);
    }
    if (c->modules != NULL)
        p11_kit_modules_finalize_and_release(c->modules);
    p11_kit_uri_free(c->key_uri);
    p11_kit_uri_free(c->certificate_uri);
    explicit_bzero(c, sizeof(*c));
    free(c);
}

bool card_status(struct card *c, struct card_status *ret, struct card_fault *f)
{
    CK_TOKEN_INFO token;
    if (!read_token(c, &token, f))
        return false;
    static const struct {
        CK_FLAGS theirs;
        uint8_t ours;
    } flags[] = {
        {CKF_PROTECTED_AUTHENTICATION_PATH, TOKEN_PINPAD},
        {CKF_USER_PIN_COUNT_LOW, TOKEN_FEW_TRIES},
        {CKF_USER_PIN_FINAL_TRY, TOKEN_LAST_TRY},
        {CKF_USER_PIN_LOCKED, TOKEN_LOCKED},
    };
    *ret = (struct card_status){.flags = (uint8_t)(c->has_key ? TOKEN_KEY : 0)};
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if ((token.flags & flags[i].theirs) != 0)
            ret->flags |= flags[i].ours;
    }
    if (c->has_key && c->pss)
        ret->flags |= TOKEN_PSS;
    memcpy(ret->label, c->label, sizeof(ret->label));
    return true;
}

bool card_login(struct card *c, struct span pin, bool *ret_wrong, struct card_fault *f)
{
    CK_UTF8CHAR copy[TOKEN_PIN_MAX]; /* the interface knows no const */
    if (pin.len > 0)
        memcpy(copy, pin.data, pin.len);
    CK_RV rv = c->module->C_Login(c->session, CKU_USER, pin.len > 0 ? copy : NULL, pin.len);
    explicit_bzero(copy, sizeof(copy));
    *ret_wrong = rv == CKR_PIN_INCORRECT || rv == CKR_PIN_LEN_RANGE || rv == CKR_PIN_INVALID ||
                 rv == CKR_PIN_LOCKED;
    if (*ret_wrong)
        return true;
    if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN)
        return card_refuse(c, f, "lets nobody log in", rv);
    if (!card_find_key(c, f))
        return false;
    if (c->asks_each_time && pin.len > 0) {
        memcpy(c->pin, pin.data, pin.len);
        c->pin_len = pin.len;
    }
    return true;
}
