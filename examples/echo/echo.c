/* SPDX-License-Identifier: ISC */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/endpoint.h>
#include <flow/poller.h>
#include <flow/version.h>

#include "../common/cli.h"
#include "../common/keylog.h"

/*
 * flow-echo: sends back what it receives, and ends a connection when the client
 * ends its direction.  The code is the same for every kind of endpoint.
 */

#define BUFFER 16384
#define EVENTS 64
/* The limit on open files that the program asks for. */
#define DESCRIPTORS 65536

static const char help_text[] =
    "usage: flow-echo --listen ENDPOINT [OPTION...]\n"
    "\n"
    "Sends every byte that it receives back to the client.\n"
    "\n"
    "  --listen ENDPOINT        where to listen; see below\n"
    "  --cert FILE --key FILE   tls+...: certificate chain and private key, "
    "PEM;\n"
    "                           repeat the pair for more names\n"
    "  --require-client-cert CA\n"
    "                           tls+...: refuse clients without a certificate "
    "of an\n"
    "                           authority in this PEM file\n"
    "  --request-client-cert CA\n"
    "                           the same, but clients may send none\n"
    "  --passphrase-file FILE   tls+...: first line: passphrase of encrypted "
    "keys\n"
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
    "Prints 'listening on ADDRESS' when it is ready.  Exits on SIGTERM or "
    "SIGINT.\n"
    "Does not reload anything on SIGHUP.\n"
    "\n";

static const char exit_text[] =
    "\n"
    "Exit codes: 0 ended by a signal, 1 failure, 2 usage error.\n";

struct server {
    const struct flow_env *env;
    struct flow_poller *poller;
    struct flow_listener *listener;
    struct conn *conns;
    uint64_t idle_timeout;
    bool log;
};

struct conn {
    struct conn *next, **link;
    struct server *server;
    struct flow *flow;
    bool ended;      /* the peer has ended its direction; end ours */
    uint64_t echoed; /* bytes */
    size_t off, len; /* of the bytes in buffer that are not echoed yet */
    char buffer[BUFFER];
};

static void
echo_conn_close(struct conn *c)
{
    flow_close(c->flow);
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    free(c);
}

/* What the next step needs.  If it asked for more, the poller would report the
 * flow without end. */
static uint32_t
echo_interest(const struct conn *c)
{
    if (c->ended)
        return FLOW_READY_FLUSH;
    return c->len > 0 ? FLOW_READY_WRITE : FLOW_READY_READ;
}

static void
echo_log_end(struct conn *c, enum flow_status st)
{
    enum flow_dir dir =
        echo_interest(c) == FLOW_READY_READ ? FLOW_READ : FLOW_WRITE;
    char peer[128];
    size_t len = sizeof(peer);
    struct flow_error err;

    if (!c->server->log)
        return;
    if (flow_query(c->flow, FLOW_QUERY_PEER_ADDRESS, peer, &len) != FLOW_OK ||
        peer[0] == '\0')
        snprintf(peer, sizeof(peer), "a peer");
    flow_get_error(c->flow, dir, &err);
    if (st < 0 && err.status != FLOW_OK)
        cli_flow_error(peer, &err);
    else
        cli_complain("%s: echoed %llu bytes%s", peer,
                     (unsigned long long)c->echoed,
                     st == FLOW_EOF ? "" : ", then idle timeout");
}

/* One step: end our direction if the peer has ended its own, else write what is
 * buffered, else read.  FLOW_EOF when the connection is over. */
static enum flow_status
echo_step(struct conn *c)
{
    enum flow_status st;
    size_t n;

    if (c->ended) {
        st = flow_shutdown(c->flow, FLOW_WRITE);
        return st == FLOW_OK ? FLOW_EOF : st;
    }
    if (c->len > 0) {
        st = flow_write(c->flow, c->buffer + c->off, c->len, &n);
        c->echoed += n;
        c->off += n;
        c->len -= n;
        return st;
    }
    c->off = 0;
    st = flow_read(c->flow, c->buffer, BUFFER, &c->len);
    if (st != FLOW_EOF)
        return st;
    c->ended = true;
    return FLOW_OK;
}

static void
echo_conn_run(struct conn *c)
{
    enum flow_status st = FLOW_OK;
    int turns;

    /* Bounded, so that one busy client does not keep the others waiting. */
    for (turns = 0; st == FLOW_OK && turns < 32; turns++)
        st = echo_step(c);
    if (st == FLOW_OK || st == FLOW_AGAIN) {
        flow_poller_set(c->server->poller, c->flow, echo_interest(c));
        flow_set_deadline(c->flow, FLOW_READ | FLOW_WRITE,
                          c->server->env->now(c->server->env->ctx) +
                              c->server->idle_timeout);
        return;
    }
    echo_log_end(c, st);
    echo_conn_close(c);
}

static void
echo_conn_start(struct server *s, struct flow *flow)
{
    struct conn *c = malloc(sizeof(*c));

    if (c == NULL ||
        flow_poller_add(s->poller, flow, FLOW_READY_READ, c) != FLOW_OK) {
        cli_complain("cannot serve a connection: out of memory");
        flow_close(flow);
        free(c);
        return;
    }
    /* The buffer need not be cleared. */
    memset(c, 0, offsetof(struct conn, buffer));
    c->server = s;
    c->flow = flow;
    c->next = s->conns;
    c->link = &s->conns;
    if (c->next != NULL)
        c->next->link = &c->next;
    s->conns = c;
    echo_conn_run(c);
}

static void
echo_accept_all(struct server *s)
{
    struct flow_error err;
    struct flow *flow;
    enum flow_status st;

    while ((st = flow_accept(s->listener, &flow)) == FLOW_OK)
        echo_conn_start(s, flow);
    if (st == FLOW_AGAIN)
        return;
    flow_listener_get_error(s->listener, &err);
    cli_flow_error("cannot accept a connection", &err);
}

static int
echo_serve(struct server *s)
{
    const struct flow_poller_event *event;
    enum flow_status st;
    size_t count, i;

    while (cli_signals == 0) {
        st = flow_poller_wait(s->poller, EVENTS, FLOW_NEVER, &event, &count);
        if (st != FLOW_OK && st != FLOW_E_TIMEOUT) {
            cli_complain("cannot wait: %s", flow_status_text(st));
            return CLI_FAILED;
        }
        for (i = 0; i < count; i++) {
            struct conn *c = event[i].user;

            if (event[i].listener != NULL) {
                echo_accept_all(s);
            } else if (event[i].flow != NULL &&
                       (event[i].ready & FLOW_READY_DEADLINE) != 0) {
                echo_log_end(c, FLOW_E_TIMEOUT);
                echo_conn_close(c);
            } else if (event[i].flow != NULL) {
                echo_conn_run(c);
            }
        }
    }
    return CLI_OK;
}

/* An exit code. */
static int
echo_listen_on(struct server *s, const char *name,
               const struct cli_keypairs *pairs, const struct clients *clients)
{
    struct flow_endpoint_options options = { .backlog = 1024 };
    struct flow_error err;
    char what[300];
    enum flow_status st;
    int code;

    if (cli_is_tls(name))
        code = cli_server_config(pairs, clients, &options.tls);
    else
        code = cli_plain(name, pairs->cert_count + pairs->key_count > 0 ||
                                   pairs->passphrase_file != NULL ||
                                   clients->ca != NULL || keylog_is_chosen());
    if (code != CLI_OK)
        return code;
    st = flow_endpoint_listen(NULL, name, &options, &s->listener, &err);
    flow_tls_config_unref(options.tls);
    if (st == FLOW_OK)
        return CLI_OK;
    snprintf(what, sizeof(what), "cannot listen on %s", name);
    return cli_endpoint_error(what, &err);
}

static int
echo_run(struct server *s, const char *name, const struct cli_keypairs *pairs,
         const struct clients *clients)
{
    char address[256];
    size_t len = sizeof(address);
    int code;

    s->env = flow_env_default();
    cli_raise_descriptors(DESCRIPTORS);
    code = echo_listen_on(s, name, pairs, clients);
    if (code != CLI_OK)
        return code;
    if (flow_poller_new(s->env, &s->poller) != FLOW_OK ||
        flow_poller_add_listener(s->poller, s->listener, NULL) != FLOW_OK) {
        cli_complain("cannot create a poller");
        return CLI_FAILED;
    }
    if (!cli_catch_signals(s->poller))
        return CLI_FAILED;
    if (flow_listener_query(s->listener, FLOW_QUERY_LOCAL_ADDRESS, address,
                            &len) != FLOW_OK)
        snprintf(address, sizeof(address), "%s", name);
    printf("listening on %s\n", address);
    if (cli_close_stdout(CLI_OK) != CLI_OK)
        return CLI_FAILED;
    return echo_serve(s);
}

static void
echo_clean_up(struct server *s)
{
    while (s->conns != NULL)
        echo_conn_close(s->conns);
    cli_catch_signals(NULL);
    flow_poller_free(s->poller);
    flow_listener_close(s->listener);
}

int
main(int argc, char **argv)
{
    static const struct option long_options[] = {
        { "listen", required_argument, NULL, 'l' },
        { "cert", required_argument, NULL, 'c' },
        { "key", required_argument, NULL, 'k' },
        { "require-client-cert", required_argument, NULL, 'r' },
        { "request-client-cert", required_argument, NULL, 'q' },
        { "passphrase-file", required_argument, NULL, 'p' },
        { "idle-timeout", required_argument, NULL, 'i' },
        { "log", no_argument, NULL, 'g' },
        { "keylog", required_argument, NULL, 'L' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { NULL, 0, NULL, 0 },
    };
    struct server server = { .idle_timeout = 300 * CLI_NSEC };
    struct cli_keypairs pairs = { .cert_count = 0 };
    struct clients clients = { .ca = NULL };
    const char *name = NULL;
    int option, code;
    bool ok = true;

    cli_start("flow-echo");
    while (ok &&
           (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        switch (option) {
        case 'l':
            name = optarg;
            break;
        case 'c':
            ok = cli_add_cert(&pairs, optarg);
            break;
        case 'k':
            ok = cli_add_key(&pairs, optarg);
            break;
        case 'r':
            ok = clients_require(&clients, optarg);
            break;
        case 'q':
            ok = clients_request(&clients, optarg);
            break;
        case 'p':
            pairs.passphrase_file = optarg;
            break;
        case 'i':
            ok = cli_seconds("--idle-timeout", optarg, &server.idle_timeout);
            break;
        case 'g':
            server.log = true;
            break;
        case 'L':
            keylog_choose(optarg);
            break;
        case 'h':
            fputs(help_text, stdout);
            cli_print_endpoints();
            fputs(exit_text, stdout);
            return cli_close_stdout(CLI_OK);
        case 'V':
            printf("flow-echo %s\n", flow_version());
            return cli_close_stdout(CLI_OK);
        default:
            fprintf(stderr, "Try 'flow-echo --help'.\n");
            return CLI_USAGE;
        }
    }
    if (!ok)
        return CLI_USAGE;
    if (optind < argc)
        return cli_usage("unexpected argument '%s'", argv[optind]);
    if (name == NULL)
        return cli_usage("--listen ENDPOINT is missing");
    code = echo_run(&server, name, &pairs, &clients);
    echo_clean_up(&server);
    return code;
}
