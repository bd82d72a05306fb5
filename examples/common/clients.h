/* SPDX-License-Identifier: ISC */
#ifndef EXAMPLES_COMMON_CLIENTS_H
#define EXAMPLES_COMMON_CLIENTS_H

#include <flow/tls_config.h>

/* What a server asks of its clients: --require-client-cert and
 * --request-client-cert. */
struct clients {
    const char *ca; /* file of authorities; NULL: nothing is asked for */
    enum flow_tls_client_auth auth;
};

/* Take an option; if one returns false, it has printed the reason. */
bool clients_require(struct clients *clients, const char *ca);
bool clients_request(struct clients *clients, const char *ca);

/* Read the authorities and set both in a configuration of a server that is not
 * frozen.  An exit code; it has printed the reason of a failure. */
int clients_set_up(const struct clients *clients,
                   struct flow_tls_config *config);

#endif
