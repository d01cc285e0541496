/* Between the gateway's configuration file and its keys; inside tools/gateway only. */
#ifndef TERN_TOOLS_GATEWAY_CONFIG_KEYS_H
#define TERN_TOOLS_GATEWAY_CONFIG_KEYS_H

#include <ini_configobj.h>

#include "tools/gateway/config.h"

/* A file being read. */
struct config_reader {
    const char *path;
    uint32_t line; /* of the value being read, 0: none */
    struct ini_cfgobj *ini;
    struct gateway_config *config;
    struct gateway_user *user; /* the [User] section being read */
    struct gateway_ppk *ppk;   /* the [PPK] section being read */
    struct fault *fault;
};

/* What a key's value becomes. */
struct config_key {
    const char *name;
    bool repeats; /* several lines add up */
    enum err (*set)(struct config_reader *r, const char *value);
};

/* All end with a key whose name is NULL. */
extern const struct config_key config_gateway_keys[];
extern const struct config_key config_user_keys[];
extern const struct config_key config_ppk_keys[];

/* FILE:LINE and the words into the fault; returns code. */
PRINTF_LIKE(3, 4)
enum err config_refuse(struct config_reader *r, enum err code, const char *format, ...);

#endif
