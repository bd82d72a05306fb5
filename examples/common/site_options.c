/* SPDX-License-Identifier: ISC */
#include "site_options.h"

#include <stddef.h>

/* See "site_options.h". */
const struct option site_options[SITE_OPTION_COUNT + 1] = {
    { "listen", required_argument, NULL, SITE_OPT_LISTEN },
    { "cert", required_argument, NULL, SITE_OPT_CERT },
    { "key", required_argument, NULL, SITE_OPT_KEY },
    { "certs", required_argument, NULL, SITE_OPT_CERTS },
    { "require-client-cert", required_argument, NULL, SITE_OPT_REQUIRE_CLIENT },
    { "request-client-cert", required_argument, NULL, SITE_OPT_REQUEST_CLIENT },
    { "passphrase-file", required_argument, NULL, SITE_OPT_PASSPHRASE_FILE },
    { "serve", required_argument, NULL, SITE_OPT_SERVE },
    { "default", required_argument, NULL, SITE_OPT_DEFAULT },
    { "redirect", required_argument, NULL, SITE_OPT_REDIRECT },
    { "workers", required_argument, NULL, SITE_OPT_WORKERS },
    { "max-connections", required_argument, NULL, SITE_OPT_MAX_CONNECTIONS },
    { "handshake-timeout", required_argument, NULL,
      SITE_OPT_HANDSHAKE_TIMEOUT },
    { "idle-timeout", required_argument, NULL, SITE_OPT_IDLE_TIMEOUT },
    { "log", no_argument, NULL, SITE_OPT_LOG },
    { "keylog", required_argument, NULL, SITE_OPT_KEYLOG },
    { "version", no_argument, NULL, SITE_OPT_VERSION },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};
