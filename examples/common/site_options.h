/* SPDX-License-Identifier: ISC */
#ifndef EXAMPLES_COMMON_SITE_OPTIONS_H
#define EXAMPLES_COMMON_SITE_OPTIONS_H

#include <getopt.h>

/* The options of flow-site.  flow-sni has them too, so that it takes each
 * command line of flow-site. */

enum site_option {
    SITE_OPT_LISTEN = 512,
    SITE_OPT_CERT,
    SITE_OPT_KEY,
    SITE_OPT_CERTS,
    SITE_OPT_REQUIRE_CLIENT,
    SITE_OPT_REQUEST_CLIENT,
    SITE_OPT_PASSPHRASE_FILE,
    SITE_OPT_SERVE,
    SITE_OPT_DEFAULT,
    SITE_OPT_REDIRECT,
    SITE_OPT_WORKERS,
    SITE_OPT_MAX_CONNECTIONS,
    SITE_OPT_HANDSHAKE_TIMEOUT,
    SITE_OPT_IDLE_TIMEOUT,
    SITE_OPT_LOG,
    SITE_OPT_KEYLOG,
    SITE_OPT_VERSION,
    SITE_OPT_END
};

/* Those above and --help, which is 'h'. */
#define SITE_OPTION_COUNT (SITE_OPT_END - SITE_OPT_LISTEN + 1)

/* Ended as getopt_long(3) needs it. */
extern const struct option site_options[SITE_OPTION_COUNT + 1];

#endif
