/* SPDX-License-Identifier: ISC */
#include "proxy.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include <flow/version.h>

#include "../common/keylog.h"

/*
 * flow-proxy: relays every connection that it accepts to another endpoint.  The
 * names of the endpoints say which side uses TLS, so the same code adds TLS to
 * a plain server or removes it for a plain client.
 */

#define EVENTS            128
#define ACCEPT_TURN       64
#define OTHER_DESCRIPTORS 32

static const char help_text[] =
    "usage: flow-proxy --listen ENDPOINT --to ENDPOINT [OPTION...]\n"
    "\n"
    "Accepts connections on --listen and relays each to a new connection to "
    "--to.\n"
    "If one side ends its direction, the end is passed on and the other "
    "direction\n"
    "stays open.\n"
    "\n"
    "  --listen ENDPOINT        where to listen; see below\n"
    "  --cert FILE --key FILE   for tls+... in --listen: certificate chain "
    "and\n"
    "                           private key, PEM; repeat the pair for more "
    "names\n"
    "  --certs DIR              for tls+... in --listen: every certificate in "
    "DIR,\n"
    "                           NAME.pem with NAME.key, and NAME/fullchain.pem "
    "with\n"
    "                           NAME/privkey.pem; may be repeated\n"
    "  --starttls PROTOCOL      for tls+... in --listen: have clients ask for "
    "TLS\n"
    "                           in the clear, as smtp, imap or postgres\n"
    "  --require-client-cert CA\n"
    "                           for tls+... in --listen: refuse clients "
    "without a\n"
    "                           certificate of an authority in this PEM file\n"
    "  --request-client-cert CA\n"
    "                           the same, but clients may send none\n"
    "  --to ENDPOINT            where to connect\n"
    "  --ca FILE                for tls+... in --to: trust the certificates "
    "in\n"
    "                           this PEM file instead of the system's\n"
    "  --client-cert FILE --client-key FILE\n"
    "                           for tls+... in --to: PEM chain and private key "
    "for\n"
    "                           a server that asks for a client certificate; "
    "repeat\n"
    "                           the pair for more, of which one is chosen\n"
    "  --passphrase-file FILE   first line: passphrase of all encrypted keys\n"
    "  --server-name NAME       for tls+... in --to: request and verify this "
    "name\n"
    "                           instead of the endpoint's host\n"
    "  --insecure-skip-verify   for tls+... in --to: do not verify the "
    "server's\n"
    "                           certificate\n"
    "  --max-connections N      connections at a time (default 4096)\n"
    "  --connect-timeout S      seconds for the TLS handshake of a client, and "
    "for\n"
    "                           connecting to --to (default 10)\n"
    "  --idle-timeout S         close a connection on which nothing was sent "
    "or\n"
    "                           received for S seconds (default 300)\n"
    "  --log                    log every connection to stderr when it ends\n"
    "  --keylog FILE            append the keys of every TLS connection to "
    "FILE,\n"
    "                           with which Wireshark decrypts it (default: "
    "the\n"
    "                           file in SSLKEYLOGFILE)\n"
    "  -h, --help               print this text\n"
    "  --version                print the version\n"
    "\n"
    "Prints 'listening on ADDRESS' when it is ready.  On SIGTERM or SIGINT it "
    "stops\n"
    "accepting and exits when the last connection has ended; a second signal "
    "closes\n"
    "the connections that are left.  On SIGHUP it loads the certificates of "
    "--listen\n"
    "again.  If anything is wrong with them, it says what, and those from "
    "before stay\n"
    "in force.\n"
    "\n";

static const char exit_text[] =
    "\n"
    "Exit codes: 0 ended by a signal, 1 failure, 2 usage error.\n";

static void
proxy_accept_some(struct proxy *p)
{
    struct flow_error err;
    struct flow *flow;
    int i;

    for (i = 0; i < ACCEPT_TURN && p->tunnel_count < p->max_connections; i++) {
        enum flow_status st = flow_accept(p->listener, &flow);

        if (st == FLOW_AGAIN)
            return;
        if (st != FLOW_OK) {
            flow_listener_get_error(p->listener, &err);
            cli_flow_error("cannot accept a connection", &err);
            return;
        }
        tunnel_start(p, flow);
    }
}

/* Watch the listener only while there is room for another connection: otherwise
 * a waiting client would make it ready all the time. */
static bool
proxy_watch_listener(struct proxy *p)
{
    bool want = p->listener != NULL && p->tunnel_count < p->max_connections;

    if (want && !p->listening &&
        flow_poller_add_listener(p->poller, p->listener, NULL) != FLOW_OK) {
        cli_complain("cannot watch the listener: out of memory");
        return false;
    }
    if (!want && p->listening)
        flow_poller_remove_listener(p->poller, p->listener);
    p->listening = want;
    return true;
}

static bool
proxy_turn(struct proxy *p)
{
    const struct flow_poller_event *event;
    enum flow_status st;
    size_t count, i;

    st = flow_poller_wait(p->poller, EVENTS, FLOW_NEVER, &event, &count);
    if (st != FLOW_OK && st != FLOW_E_TIMEOUT) {
        cli_complain("cannot wait: %s", flow_status_text(st));
        return false;
    }
    for (i = 0; i < count; i++) {
        if (event[i].listener != NULL)
            proxy_accept_some(p);
        else if (event[i].flow != NULL)
            tunnel_event(event[i].user, event[i].ready);
    }
    return true;
}

static void
proxy_stop_listening(struct proxy *p)
{
    p->listening = false;
    flow_listener_close(p->listener);
    p->listener = NULL;
}

static int
proxy_serve(struct proxy *p)
{
    for (;;) {
        if (cli_signals > 0 && p->listener != NULL)
            proxy_stop_listening(p);
        if (p->listener == NULL && p->tunnel_count == 0)
            return CLI_OK;
        if (cli_signals > 1) {
            cli_complain("closed %zu connections that had not ended",
                         p->tunnel_count);
            return CLI_FAILED;
        }
        if (!proxy_watch_listener(p) || !proxy_turn(p))
            return CLI_FAILED;
    }
}

/* Also reports a mistake in --to at startup instead of at the first
 * connection. */
static int
proxy_prepare_dial(struct proxy *p)
{
    struct flow_error err;
    struct flow *probe;
    enum flow_status st;
    char what[300];
    int code;

    p->dial.timeout = p->connect_timeout;
    p->client.write_records = TUNNEL_RECORDS;
    if (cli_is_tls(p->to))
        code = cli_client_config(&p->client, &p->dial.tls);
    else
        code = cli_plain(p->to, cli_client_given(&p->client) ||
                                    p->dial.server_name != NULL);
    if (code != CLI_OK)
        return code;
    /* Dialing only checks the name; opening the flow would connect. */
    st = flow_endpoint_dial(NULL, p->to, &p->dial, &probe, &err);
    if (st == FLOW_OK) {
        flow_close(probe);
        return CLI_OK;
    }
    snprintf(what, sizeof(what), "--to %s", p->to);
    return cli_endpoint_error(what, &err);
}

/* What is set besides the certificates.  An exit code. */
static int
proxy_complete(void *user, struct flow_tls_config *config)
{
    const struct proxy *p = user;

    return flow_tls_config_set_handshake_limits(config, p->connect_timeout,
                                                0) == FLOW_OK &&
                   flow_tls_config_set_write_records(config, TUNNEL_RECORDS) ==
                       FLOW_OK
               ? CLI_OK
               : CLI_FAILED;
}

static int
proxy_load(struct proxy *p)
{
    if (!cli_is_tls(p->listen))
        return cli_plain(p->listen,
                         certs_given(&p->places) ||
                             p->places.clients.ca != NULL ||
                             p->starttls != STARTTLS_NONE ||
                             (keylog_is_chosen() && !cli_is_tls(p->to)));
    p->program.complete = proxy_complete;
    p->program.user = p;
    return reload_new(&p->places, &p->program, &p->reload);
}

static int
proxy_listen_on(struct proxy *p)
{
    struct flow_endpoint_options options = { .backlog = 1024 };
    const char *endpoint = p->listen;
    struct flow_error err;
    enum flow_status st;
    char what[300];
    int code = proxy_load(p);

    if (code != CLI_OK)
        return code;
    /* With STARTTLS the flows that are accepted are of TLS later. */
    if (p->starttls != STARTTLS_NONE)
        endpoint += strlen("tls+");
    else if (p->reload != NULL)
        options.tls_holder = reload_holder(p->reload);
    st = flow_endpoint_listen(NULL, endpoint, &options, &p->listener, &err);
    if (st == FLOW_OK)
        return CLI_OK;
    snprintf(what, sizeof(what), "cannot listen on %s", p->listen);
    return cli_endpoint_error(what, &err);
}

/* Two descriptors per connection. */
static void
proxy_prepare_descriptors(struct proxy *p)
{
    size_t want = 2 * p->max_connections + OTHER_DESCRIPTORS;
    size_t got = cli_raise_descriptors(want);

    if (got >= want)
        return;
    p->max_connections =
        got > 2 * OTHER_DESCRIPTORS ? (got - OTHER_DESCRIPTORS) / 2 : 16;
    cli_complain("the hard limit on open files (ulimit -Hn) is %zu, so at most "
                 "%zu connections at a time; raise the limit or lower "
                 "--max-connections",
                 got, p->max_connections);
}

/* The file is for the keys of either side that has one. */
static int
proxy_take_passphrase(struct proxy *p)
{
    if (p->passphrase_file == NULL)
        return CLI_OK;
    if (!certs_given(&p->places) && p->client.pairs.key_count == 0)
        return cli_usage("--passphrase-file is for a key, and there is no "
                         "--key, --certs or --client-key");
    if (certs_given(&p->places))
        p->places.pairs.passphrase_file = p->passphrase_file;
    if (p->client.pairs.key_count > 0)
        p->client.pairs.passphrase_file = p->passphrase_file;
    return CLI_OK;
}

static int
proxy_run(struct proxy *p)
{
    char address[256];
    size_t len = sizeof(address);
    int code = proxy_take_passphrase(p);

    if (code != CLI_OK)
        return code;
    p->env = flow_env_default();
    proxy_prepare_descriptors(p);
    code = proxy_prepare_dial(p);
    if (code == CLI_OK)
        code = proxy_listen_on(p);
    if (code != CLI_OK)
        return code;
    if (flow_poller_new(p->env, &p->poller) != FLOW_OK) {
        cli_complain("cannot create a poller");
        return CLI_FAILED;
    }
    if (!cli_catch_signals(p->poller) ||
        (p->reload != NULL && reload_start(p->reload) != CLI_OK))
        return CLI_FAILED;
    if (flow_listener_query(p->listener, FLOW_QUERY_LOCAL_ADDRESS, address,
                            &len) != FLOW_OK)
        snprintf(address, sizeof(address), "%s", p->listen);
    printf("listening on %s\n", address);
    if (cli_close_stdout(CLI_OK) != CLI_OK)
        return CLI_FAILED;
    return proxy_serve(p);
}

static void
proxy_clean_up(struct proxy *p)
{
    while (p->tunnels != NULL)
        tunnel_close(p->tunnels);
    cli_catch_signals(NULL);
    flow_poller_free(p->poller);
    flow_listener_close(p->listener);
    reload_free(p->reload);
    flow_tls_config_unref(p->dial.tls);
}

enum {
    OPT_LISTEN = 256,
    OPT_TO,
    OPT_CERT,
    OPT_KEY,
    OPT_CERTS,
    OPT_REQUIRE_CLIENT,
    OPT_REQUEST_CLIENT,
    OPT_CA,
    OPT_SERVER_NAME,
    OPT_CLIENT_CERT,
    OPT_CLIENT_KEY,
    OPT_PASSPHRASE_FILE,
    OPT_INSECURE,
    OPT_MAX_CONNECTIONS,
    OPT_CONNECT_TIMEOUT,
    OPT_IDLE_TIMEOUT,
    OPT_LOG,
    OPT_KEYLOG,
    OPT_STARTTLS,
    OPT_VERSION
};

static const struct option long_options[] = {
    { "listen", required_argument, NULL, OPT_LISTEN },
    { "to", required_argument, NULL, OPT_TO },
    { "cert", required_argument, NULL, OPT_CERT },
    { "key", required_argument, NULL, OPT_KEY },
    { "certs", required_argument, NULL, OPT_CERTS },
    { "require-client-cert", required_argument, NULL, OPT_REQUIRE_CLIENT },
    { "request-client-cert", required_argument, NULL, OPT_REQUEST_CLIENT },
    { "ca", required_argument, NULL, OPT_CA },
    { "server-name", required_argument, NULL, OPT_SERVER_NAME },
    { "client-cert", required_argument, NULL, OPT_CLIENT_CERT },
    { "client-key", required_argument, NULL, OPT_CLIENT_KEY },
    { "passphrase-file", required_argument, NULL, OPT_PASSPHRASE_FILE },
    { "insecure-skip-verify", no_argument, NULL, OPT_INSECURE },
    { "max-connections", required_argument, NULL, OPT_MAX_CONNECTIONS },
    { "connect-timeout", required_argument, NULL, OPT_CONNECT_TIMEOUT },
    { "idle-timeout", required_argument, NULL, OPT_IDLE_TIMEOUT },
    { "log", no_argument, NULL, OPT_LOG },
    { "keylog", required_argument, NULL, OPT_KEYLOG },
    { "starttls", required_argument, NULL, OPT_STARTTLS },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, OPT_VERSION },
    { NULL, 0, NULL, 0 },
};

/* An exit code, or -1 to go on. */
static int
proxy_take_option(int option, const char *value, struct proxy *p)
{
    unsigned long number;

    switch (option) {
    case OPT_LISTEN:
        p->listen = value;
        return -1;
    case OPT_TO:
        p->to = value;
        return -1;
    case OPT_CERT:
        return cli_add_cert(&p->places.pairs, value) ? -1 : CLI_USAGE;
    case OPT_KEY:
        return cli_add_key(&p->places.pairs, value) ? -1 : CLI_USAGE;
    case OPT_CERTS:
        return certs_add_directory(&p->places, value) ? -1 : CLI_USAGE;
    case OPT_REQUIRE_CLIENT:
        return clients_require(&p->places.clients, value) ? -1 : CLI_USAGE;
    case OPT_REQUEST_CLIENT:
        return clients_request(&p->places.clients, value) ? -1 : CLI_USAGE;
    case OPT_CA:
        p->client.ca = value;
        return -1;
    case OPT_SERVER_NAME:
        p->dial.server_name = value;
        return -1;
    case OPT_CLIENT_CERT:
        return cli_add_cert(&p->client.pairs, value) ? -1 : CLI_USAGE;
    case OPT_CLIENT_KEY:
        return cli_add_key(&p->client.pairs, value) ? -1 : CLI_USAGE;
    case OPT_PASSPHRASE_FILE:
        p->passphrase_file = value;
        return -1;
    case OPT_INSECURE:
        p->client.insecure_skip_verify = true;
        return -1;
    case OPT_MAX_CONNECTIONS:
        if (!cli_number("--max-connections", value, 1, 1000000, &number))
            return CLI_USAGE;
        p->max_connections = number;
        return -1;
    case OPT_CONNECT_TIMEOUT:
        return cli_seconds("--connect-timeout", value, &p->connect_timeout)
                   ? -1
                   : CLI_USAGE;
    case OPT_IDLE_TIMEOUT:
        return cli_seconds("--idle-timeout", value, &p->idle_timeout)
                   ? -1
                   : CLI_USAGE;
    case OPT_LOG:
        p->log = true;
        return -1;
    case OPT_KEYLOG:
        keylog_choose(value);
        return -1;
    case OPT_STARTTLS:
        return starttls_choose(value, &p->starttls) ? -1 : CLI_USAGE;
    case 'h':
        fputs(help_text, stdout);
        cli_print_endpoints();
        fputs(exit_text, stdout);
        return cli_close_stdout(CLI_OK);
    case OPT_VERSION:
        printf("flow-proxy %s\n", flow_version());
        return cli_close_stdout(CLI_OK);
    default:
        fprintf(stderr, "Try 'flow-proxy --help'.\n");
        return CLI_USAGE;
    }
}

int
main(int argc, char **argv)
{
    struct proxy proxy = {
        .max_connections = 4096,
        .connect_timeout = 10 * CLI_NSEC,
        .idle_timeout = 300 * CLI_NSEC,
    };
    int option, code = -1;

    cli_start("flow-proxy");
    while (code < 0 &&
           (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1)
        code = proxy_take_option(option, optarg, &proxy);
    if (code >= 0)
        return code;
    if (optind < argc)
        return cli_usage("unexpected argument '%s'", argv[optind]);
    if (proxy.listen == NULL)
        return cli_usage("--listen ENDPOINT is missing");
    if (proxy.to == NULL)
        return cli_usage("--to ENDPOINT is missing");
    code = proxy_run(&proxy);
    proxy_clean_up(&proxy);
    return code;
}
