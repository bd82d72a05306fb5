/* SPDX-License-Identifier: ISC */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/endpoint.h>
#include <flow/poller.h>
#include <flow/tls.h>
#include <flow/util.h>
#include <flow/version.h>

#include "../common/keylog.h"
#include "../common/reload.h"
#include "../common/starttls.h"

/*
 * flow-proxy: relays every connection that it accepts to another endpoint.  The
 * names of the endpoints say which side uses TLS, so the same code adds TLS to
 * a plain server or removes it for a plain client.
 */

#define EVENTS            128
#define ACCEPT_TURN       64
#define OTHER_DESCRIPTORS 32

/* Bytes of each direction of a connection: as many as TLS seals and sends at
 * once.  With one record at a time it takes a third more CPU. */
#define RELAY_BUFFER 65536

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
    "  --to ENDPOINT            where to connect\n"
    "  --ca FILE                for tls+... in --to: trust the certificates "
    "in\n"
    "                           this PEM file instead of the system's\n"
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

struct proxy {
    /* Settings. */
    const char *listen;
    const char *to;
    struct certs_places places;
    struct cli_client client;
    struct flow_endpoint_options dial;
    uint64_t connect_timeout;
    uint64_t idle_timeout;
    size_t max_connections;
    bool log;
    enum starttls_protocol starttls;

    /* What runs. */
    const struct flow_env *env;
    struct flow_poller *poller;
    struct reload *reload; /* of a TLS listener, else NULL */
    struct reload_program program;
    struct flow_listener *listener;
    bool listening;
    struct conn *conns;
    size_t conn_count;
};

/* A client and, once its handshake is done, its connection to the server. */
struct conn {
    struct conn *next, **link;
    struct proxy *proxy;
    struct flow *client;
    struct flow *server; /* NULL: the client's handshake is under way */
    /* What is said before that handshake, or by the server before the relay;
     * NULL: nothing, or no more. */
    struct starttls *starttls;
    uint64_t deadline; /* of the client's handshake */
    struct flow_relay relay;
};

static uint64_t
proxy_now(const struct proxy *p)
{
    return p->env->now(p->env->ctx);
}

static void
proxy_conn_close(struct conn *c)
{
    struct proxy *p = c->proxy;

    if (c->server != NULL)
        flow_relay_fini(&c->relay);
    flow_close(c->client);
    flow_close(c->server);
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    p->conn_count--;
    free(c->starttls);
    free(c);
}

/* The error record of the direction of a flow that failed. */
static bool
proxy_find_error(struct flow *f, struct flow_error *ret)
{
    flow_get_error(f, FLOW_READ, ret);
    if (ret->status >= FLOW_OK)
        flow_get_error(f, FLOW_WRITE, ret);
    return ret->status < FLOW_OK;
}

static void
proxy_log_end(struct conn *c, enum flow_status st)
{
    const struct flow_relay_side *side = c->relay.side;
    char peer[128], what[180];
    size_t len = sizeof(peer);
    struct flow_error err;

    if (!c->proxy->log)
        return;
    if (flow_query(c->client, FLOW_QUERY_PEER_ADDRESS, peer, &len) != FLOW_OK ||
        peer[0] == '\0')
        snprintf(peer, sizeof(peer), "a client");
    if (c->starttls != NULL && c->starttls->problem != NULL) {
        cli_complain("%s: STARTTLS: %s", peer, c->starttls->problem);
    } else if (st < FLOW_OK && c->server != NULL &&
               proxy_find_error(c->server, &err)) {
        snprintf(what, sizeof(what), "%s: connection to the server", peer);
        cli_flow_error(what, &err);
    } else if (st < FLOW_OK && proxy_find_error(c->client, &err)) {
        cli_flow_error(peer, &err);
    } else {
        cli_complain("%s: %llu bytes to the server, %llu bytes back%s", peer,
                     (unsigned long long)side[0].bytes,
                     (unsigned long long)side[1].bytes,
                     st == FLOW_E_TIMEOUT ? ", then idle timeout" : "");
    }
}

static bool
proxy_begin_starttls(struct conn *c, enum starttls_role role)
{
    c->starttls = malloc(sizeof(*c->starttls));
    if (c->starttls == NULL) {
        cli_complain("cannot serve a connection: out of memory");
        return false;
    }
    starttls_init(c->starttls, c->proxy->starttls, role);
    return true;
}

/* Go on with what is said in the clear, on the client's flow or the server's.
 */
static enum flow_status
proxy_speak(struct conn *c)
{
    struct flow *f = c->server != NULL ? c->server : c->client;
    enum flow_status st = starttls_step(c->starttls, f);

    if (st == FLOW_AGAIN)
        flow_poller_set(c->proxy->poller, f, starttls_wants(c->starttls));
    if (st == FLOW_OK) {
        free(c->starttls);
        c->starttls = NULL;
    }
    return st;
}

/* The client has asked for TLS: the flow over which it did becomes one of TLS.
 */
static enum flow_status
proxy_start_tls(struct conn *c)
{
    struct proxy *p = c->proxy;
    struct flow_tls_config *config =
        flow_tls_holder_get(reload_holder(p->reload));
    struct flow_error err;
    enum flow_status st = flow_poller_remove(p->poller, c->client);

    if (st == FLOW_OK)
        st = flow_tls_wrap_server(config, c->client, 0, &c->client, &err);
    flow_tls_config_unref(config);
    if (st == FLOW_OK)
        st = flow_poller_add(p->poller, c->client, FLOW_READY_OPEN, c);
    if (st != FLOW_OK)
        cli_complain("cannot serve a connection: out of memory");
    else
        flow_set_deadline(c->client, FLOW_READ | FLOW_WRITE, c->deadline);
    return st;
}

/* The client's handshake is done: connect to the server. */
static enum flow_status
proxy_reach_server(struct conn *c)
{
    struct proxy *p = c->proxy;
    struct flow_error err;
    enum flow_status st;
    char what[300];

    st = flow_endpoint_dial(NULL, p->to, &p->dial, &c->server, &err);
    if (st != FLOW_OK) {
        snprintf(what, sizeof(what), "cannot reach %s", p->to);
        cli_flow_error(what, &err);
        return st;
    }
    flow_set_deadline(c->client, FLOW_READ | FLOW_WRITE, FLOW_NEVER);
    if (p->starttls != STARTTLS_NONE) {
        if (!proxy_begin_starttls(c, STARTTLS_SKIPS)) {
            flow_close(c->server);
            c->server = NULL;
            return FLOW_E_NOMEM;
        }
        /* Nothing of the client is read before the server's greeting. */
        flow_poller_set(p->poller, c->client, 0);
        flow_set_deadline(c->server, FLOW_READ | FLOW_WRITE,
                          proxy_now(p) + p->connect_timeout);
    }
    st = flow_relay_init(&c->relay, c->client, c->server, RELAY_BUFFER,
                         p->idle_timeout);
    if (st == FLOW_OK) {
        st = flow_poller_add(p->poller, c->server, 0, c);
        if (st == FLOW_OK)
            return FLOW_OK;
        flow_relay_fini(&c->relay);
    }
    cli_complain("cannot serve a connection: out of memory");
    flow_close(c->server);
    c->server = NULL;
    return st;
}

static enum flow_status
proxy_step(struct conn *c)
{
    enum flow_status st;

    if (c->server == NULL && c->starttls != NULL) {
        st = proxy_speak(c);
        if (st == FLOW_OK)
            st = proxy_start_tls(c);
        if (st != FLOW_OK)
            return st;
    }
    if (c->server == NULL) {
        st = flow_open(c->client);
        if (st != FLOW_OK)
            return st;
        st = proxy_reach_server(c);
        if (st != FLOW_OK)
            return st;
    }
    if (c->starttls != NULL) {
        st = proxy_speak(c);
        if (st != FLOW_OK)
            return st;
        flow_set_deadline(c->server, FLOW_READ | FLOW_WRITE, FLOW_NEVER);
    }
    return flow_relay_step(&c->relay);
}

static void
proxy_conn_run(struct conn *c)
{
    struct proxy *p = c->proxy;
    enum flow_status st = proxy_step(c);
    uint32_t client_interest, server_interest;
    uint64_t latest;

    if (st != FLOW_AGAIN) {
        proxy_log_end(c, st);
        proxy_conn_close(c);
        return;
    }
    /* The interest is still FLOW_READY_OPEN, or proxy_speak() has set it. */
    if (c->server == NULL || c->starttls != NULL)
        return;
    latest = flow_relay_interest(&c->relay, &client_interest, &server_interest);
    flow_poller_set(p->poller, c->client, client_interest);
    flow_poller_set(p->poller, c->server, server_interest);
    /* The relay's own deadline is set on one of the two flows, so that the
     * poller reports it. */
    flow_set_deadline(c->client, FLOW_READ, latest);
}

static void
proxy_conn_start(struct proxy *p, struct flow *client)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (c == NULL ||
        flow_poller_add(p->poller, client, FLOW_READY_OPEN, c) != FLOW_OK) {
        cli_complain("cannot serve a connection: out of memory");
        flow_close(client);
        free(c);
        return;
    }
    c->proxy = p;
    c->client = client;
    c->next = p->conns;
    c->link = &p->conns;
    if (c->next != NULL)
        c->next->link = &c->next;
    p->conns = c;
    p->conn_count++;
    c->deadline = proxy_now(p) + p->connect_timeout;
    flow_set_deadline(client, FLOW_READ | FLOW_WRITE, c->deadline);
    if (p->starttls != STARTTLS_NONE &&
        !proxy_begin_starttls(c, STARTTLS_SERVES))
        proxy_conn_close(c);
    else
        proxy_conn_run(c);
}

/* The relay looks after its time itself; what comes before it does not. */
static void
proxy_conn_event(struct conn *c, uint32_t ready)
{
    bool is_relay = c->server != NULL && c->starttls == NULL;

    if (!is_relay && (ready & FLOW_READY_DEADLINE) != 0) {
        if (c->server != NULL)
            c->starttls->problem = "the server does not send its greeting";
        proxy_log_end(c, FLOW_E_TIMEOUT);
        proxy_conn_close(c);
        return;
    }
    proxy_conn_run(c);
}

static void
proxy_accept_some(struct proxy *p)
{
    struct flow_error err;
    struct flow *flow;
    int i;

    for (i = 0; i < ACCEPT_TURN && p->conn_count < p->max_connections; i++) {
        enum flow_status st = flow_accept(p->listener, &flow);

        if (st == FLOW_AGAIN)
            return;
        if (st != FLOW_OK) {
            flow_listener_get_error(p->listener, &err);
            cli_flow_error("cannot accept a connection", &err);
            return;
        }
        proxy_conn_start(p, flow);
    }
}

/* Watch the listener only while there is room for another connection: otherwise
 * a waiting client would make it ready all the time. */
static bool
proxy_watch_listener(struct proxy *p)
{
    bool want = p->listener != NULL && p->conn_count < p->max_connections;

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
            proxy_conn_event(event[i].user, event[i].ready);
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
        if (p->listener == NULL && p->conn_count == 0)
            return CLI_OK;
        if (cli_signals > 1) {
            cli_complain("closed %zu connections that had not ended",
                         p->conn_count);
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
                                                0) == FLOW_OK
               ? CLI_OK
               : CLI_FAILED;
}

static int
proxy_load(struct proxy *p)
{
    if (!cli_is_tls(p->listen))
        return cli_plain(p->listen,
                         certs_given(&p->places) ||
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

static int
proxy_run(struct proxy *p)
{
    char address[256];
    size_t len = sizeof(address);
    int code;

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
    while (p->conns != NULL)
        proxy_conn_close(p->conns);
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
    OPT_CA,
    OPT_SERVER_NAME,
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
    { "ca", required_argument, NULL, OPT_CA },
    { "server-name", required_argument, NULL, OPT_SERVER_NAME },
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
    case OPT_CA:
        p->client.ca = value;
        return -1;
    case OPT_SERVER_NAME:
        p->dial.server_name = value;
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
