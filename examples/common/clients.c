/* SPDX-License-Identifier: ISC */
#include "clients.h"
#include "cli.h"

static bool
clients_take(struct clients *clients, const char *ca,
             enum flow_tls_client_auth auth)
{
    if (clients->ca != NULL) {
        cli_usage("--request-client-cert and --require-client-cert are given "
                  "once, and one of them");
        return false;
    }
    clients->ca = ca;
    clients->auth = auth;
    return true;
}

/* See "clients.h". */
bool
clients_require(struct clients *clients, const char *ca)
{
    return clients_take(clients, ca, FLOW_TLS_CLIENT_AUTH_REQUIRED);
}

/* See "clients.h". */
bool
clients_request(struct clients *clients, const char *ca)
{
    return clients_take(clients, ca, FLOW_TLS_CLIENT_AUTH_OPTIONAL);
}

/* See "clients.h". */
int
clients_set_up(const struct clients *clients, struct flow_tls_config *config)
{
    struct flow_error err;
    enum flow_status st;

    if (clients->ca == NULL)
        return CLI_OK;
    st = flow_tls_config_set_client_auth(config, clients->auth);
    if (st != FLOW_OK) {
        cli_complain("cannot set up TLS: %s", flow_status_text(st));
        return CLI_FAILED;
    }
    if (flow_tls_config_add_trust_file(config, clients->ca, &err) == FLOW_OK)
        return CLI_OK;
    cli_flow_error(clients->auth == FLOW_TLS_CLIENT_AUTH_REQUIRED
                       ? "cannot load --require-client-cert"
                       : "cannot load --request-client-cert",
                   &err);
    return CLI_FAILED;
}
