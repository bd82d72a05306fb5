/* SPDX-License-Identifier: ISC */
#include "site.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <flow/tcp.h>
#include <flow/tls.h>
#include <flow/tls_session.h>
#include <flow/unix.h>
#include <flow/version.h>

#include "../common/keylog.h"
#include "../common/reload.h"
#include "../common/site_options.h"

/* Descriptors besides connections: standard streams, listeners, the poller and
 * the library's reserve; and those of each worker. */
#define OTHER_DESCRIPTORS  32
#define WORKER_DESCRIPTORS 8
#define WORKERS_MAX        256
static const char help_text[] =
    "usage: flow-site --listen ADDR:PORT --cert FILE --key FILE\n"
    "                 --serve NAME=FILE... [OPTION...]\n"
    "       flow-site --listen ADDR:PORT --certs DIR --serve NAME=FILE...\n"
    "                 [OPTION...]\n"
    "\n"
    "Serves one file for each TLS server name over HTTPS: a client that "
    "connects to\n"
    "NAME gets FILE, whatever its request says.\n"
    "\n"
    "  --listen ADDR:PORT       where to serve; :PORT is every address, port 0 "
    "is\n"
    "                           any free port\n"
    "  --cert FILE --key FILE   certificate chain and private key, PEM; repeat "
    "the\n"
    "                           pair for more names or key types\n"
    "  --certs DIR              every certificate in DIR: NAME.pem with "
    "NAME.key, and\n"
    "                           NAME/fullchain.pem with NAME/privkey.pem; "
    "may be\n"
    "                           repeated\n"
    "  --require-client-cert CA\n"
    "                           refuse clients without a certificate of an "
    "authority\n"
    "                           in this PEM file\n"
    "  --request-client-cert CA\n"
    "                           the same, but clients may send none\n"
    "  --passphrase-file FILE   first line: passphrase of encrypted keys\n"
    "  --serve NAME=FILE        serve FILE as NAME; repeat for more names\n"
    "  --default NAME           serve the file of NAME to clients that request "
    "any\n"
    "                           other name (default: 421 Misdirected Request)\n"
    "  --redirect ADDR:PORT     also answer plain HTTP on this address, with a "
    "301\n"
    "                           to https for the names that are served\n"
    "  --workers N              loops, each in a thread with a listener of its "
    "own\n"
    "                           on the same address (default 1)\n"
    "  --max-connections N      connections at a time, divided among the "
    "workers\n"
    "                           (default 4096)\n"
    "  --handshake-timeout S    seconds for a handshake or a plain request\n"
    "                           (default 10)\n"
    "  --idle-timeout S         close a connection if its response makes no\n"
    "                           progress for S seconds (default 30)\n"
    "  --log                    log every connection to stderr when it ends\n"
    "  --keylog FILE            append the keys of every TLS connection to "
    "FILE,\n"
    "                           with which Wireshark decrypts it (default: "
    "the\n"
    "                           file in SSLKEYLOGFILE)\n"
    "  -h, --help               print this text\n"
    "  --version                print the version\n"
    "\n"
    "Prints 'listening on ADDR:PORT' when it is ready and, with --redirect,\n"
    "'redirecting on ADDR:PORT' before that.  On SIGTERM or SIGINT it stops\n"
    "accepting and exits when the last connection has ended; a second signal "
    "closes\n"
    "the connections that are left.  On SIGHUP it loads the certificates "
    "again.  If\n"
    "anything is wrong with them, it says what, and those from before stay in "
    "force.\n"
    "\n"
    "The files of --serve are mapped into memory.  To replace one, rename a "
    "new file to its "
    "name\n"
    "and restart flow-site; do not truncate a file while it is served.\n"
    "\n"
    "Exit codes: 0 ended by a signal, 1 failure, 2 usage error.\n";

struct options {
    const char *listen;
    const char *redirect;
    const char *fallback;
    size_t workers;
    struct certs_places places;
};

/* An exit code, or -1 to go on. */
static int
site_take_option(int option, const char *value, struct options *o,
                 struct site *s)
{
    unsigned long number;
    int code;

    switch (option) {
    case SITE_OPT_LISTEN:
        o->listen = value;
        return -1;
    case SITE_OPT_CERT:
        return cli_add_cert(&o->places.pairs, value) ? -1 : CLI_USAGE;
    case SITE_OPT_KEY:
        return cli_add_key(&o->places.pairs, value) ? -1 : CLI_USAGE;
    case SITE_OPT_CERTS:
        return certs_add_directory(&o->places, value) ? -1 : CLI_USAGE;
    case SITE_OPT_REQUIRE_CLIENT:
        return clients_require(&o->places.clients, value) ? -1 : CLI_USAGE;
    case SITE_OPT_REQUEST_CLIENT:
        return clients_request(&o->places.clients, value) ? -1 : CLI_USAGE;
    case SITE_OPT_PASSPHRASE_FILE:
        o->places.pairs.passphrase_file = value;
        return -1;
    case SITE_OPT_SERVE:
        code = resources_add(&s->resources, value);
        return code == CLI_OK ? -1 : code;
    case SITE_OPT_DEFAULT:
        o->fallback = value;
        return -1;
    case SITE_OPT_REDIRECT:
        o->redirect = value;
        return -1;
    case SITE_OPT_WORKERS:
        if (!cli_number("--workers", value, 1, WORKERS_MAX, &number))
            return CLI_USAGE;
        o->workers = number;
        return -1;
    case SITE_OPT_MAX_CONNECTIONS:
        if (!cli_number("--max-connections", value, 1, 1000000, &number))
            return CLI_USAGE;
        s->max_connections = number;
        return -1;
    case SITE_OPT_HANDSHAKE_TIMEOUT:
        return cli_seconds("--handshake-timeout", value, &s->handshake_timeout)
                   ? -1
                   : CLI_USAGE;
    case SITE_OPT_IDLE_TIMEOUT:
        return cli_seconds("--idle-timeout", value, &s->idle_timeout)
                   ? -1
                   : CLI_USAGE;
    case SITE_OPT_LOG:
        s->log = true;
        return -1;
    case SITE_OPT_KEYLOG:
        keylog_choose(value);
        return -1;
    case 'h':
        fputs(help_text, stdout);
        return cli_close_stdout(CLI_OK);
    case SITE_OPT_VERSION:
        printf("flow-site %s\n", flow_version());
        return cli_close_stdout(CLI_OK);
    default:
        fprintf(stderr, "Try 'flow-site --help'.\n");
        return CLI_USAGE;
    }
}

static int
site_check_options(const struct options *o, struct site *s)
{
    char name[256];

    if (o->listen == NULL)
        return cli_usage("--listen ADDR:PORT is missing");
    if (s->resources.count == 0)
        return cli_usage("--serve NAME=FILE is missing");
    if (!resources_seal(&s->resources))
        return CLI_USAGE;
    if (o->fallback == NULL)
        return CLI_OK;
    if (host_normalise(o->fallback, strlen(o->fallback), name, sizeof(name)))
        s->fallback = resources_find(&s->resources, name);
    if (s->fallback == NULL)
        return cli_usage("--default: nothing is served as '%s'", o->fallback);
    return CLI_OK;
}

/* One descriptor per connection. */
static void
site_prepare_descriptors(struct site *s, size_t workers)
{
    size_t others = OTHER_DESCRIPTORS + (workers - 1) * WORKER_DESCRIPTORS;
    size_t want = s->max_connections + others;
    size_t got = cli_raise_descriptors(want);

    if (got >= want)
        return;
    s->max_connections =
        got > others + OTHER_DESCRIPTORS ? got - others : OTHER_DESCRIPTORS;
    cli_complain("the hard limit on open files (ulimit -Hn) is %zu, so at most "
                 "%zu connections at a time; raise the limit or lower "
                 "--max-connections",
                 got, s->max_connections);
}

/* port: instead of that in the text, or 0.  share: with other workers.  An exit
 * code. */
static int
site_listen_tcp(const char *option, const char *text, uint16_t port, bool share,
                struct flow_listener **ret)
{
    struct flow_tcp_options options = { .backlog = 1024, .reuse_port = share };
    struct cli_address address;
    struct flow_error err;
    char what[320];

    if (!cli_address(option, text, &address))
        return CLI_USAGE;
    if (port != 0)
        address.port = port;
    if (flow_tcp_listen(NULL, address.host, address.port, &options, ret,
                        &err) == FLOW_OK)
        return CLI_OK;
    snprintf(what, sizeof(what), "cannot listen on %s", text);
    cli_flow_error(what, &err);
    return CLI_FAILED;
}

/* Run both ends of a handshake in this thread. */
static void
site_shake_hands(struct flow *server, struct flow *client)
{
    enum flow_status ours, theirs;

    do {
        theirs = flow_open(client);
        ours = flow_open(server);
    } while (ours == FLOW_AGAIN && (theirs == FLOW_AGAIN || theirs == FLOW_OK));
}

/* Whether the server has a certificate for this name; true if that cannot be
 * found out.  Connects a client that requests the name and looks at the
 * certificate that the server chose. */
static bool
site_has_certificate(struct flow_tls_config *config,
                     struct flow_tls_config *asking, const char *name)
{
    struct flow *end[2] = { NULL, NULL }, *tls;
    struct flow_tls_info info;
    bool has = true;
    int fd[2], i;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0)
        return true;
    for (i = 0; i < 2; i++)
        if (flow_fd_adopt(NULL, fd[i], fd[i], &end[i], NULL) != FLOW_OK)
            close(fd[i]);
    if (end[0] != NULL && end[1] != NULL &&
        flow_tls_wrap_server(config, end[0], 0, &tls, NULL) == FLOW_OK) {
        end[0] = tls;
        if (flow_tls_wrap_client(asking, end[1], name, 0, &tls, NULL) ==
            FLOW_OK) {
            end[1] = tls;
            site_shake_hands(end[0], end[1]);
            has = flow_tls_get_info(end[0], &info) != FLOW_OK ||
                  info.matched_name[0] != '\0';
        }
    }
    flow_close(end[1]);
    flow_close(end[0]);
    return has;
}

/* Warn about a served name that no certificate covers: clients would refuse the
 * connection, and the server would see only their alerts. */
static void
site_check_names(void *user, struct flow_tls_config *config)
{
    const struct site *s = user;
    struct flow_tls_config *asking;
    size_t i;

    if (flow_tls_config_new_client(NULL, &asking, NULL) != FLOW_OK)
        return;
    if (flow_tls_config_insecure_skip_verify(asking, true) == FLOW_OK)
        for (i = 0; i < s->resources.count; i++)
            if (!site_has_certificate(config, asking,
                                      s->resources.item[i].name))
                cli_complain("--serve %s: no certificate is for this name; "
                             "clients will refuse the default one instead; add "
                             "one whose subjectAltName has the name",
                             s->resources.item[i].name);
    flow_tls_config_unref(asking);
}

/* The port that a listener has; 0 if it cannot be found out. */
static uint16_t
site_port_of(struct flow_listener *l)
{
    char address[80];
    size_t len = sizeof(address);

    if (flow_listener_query(l, FLOW_QUERY_LOCAL_ADDRESS, address, &len) !=
        FLOW_OK)
        return 0;
    return (uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10);
}

/* The listener of one worker.  An exit code. */
static int
site_listen_worker(struct site *s, struct flow_tls_holder *holder,
                   const struct options *o)
{
    struct flow_listener *tcp;
    enum flow_status st;
    int code = site_listen_tcp("--listen", o->listen, s->https_port,
                               o->workers > 1, &tcp);

    if (code != CLI_OK)
        return code;
    s->https_port = site_port_of(tcp);
    st = flow_tls_listen_holder(holder, tcp, (unsigned)s->max_connections,
                                &s->tls, NULL);
    if (st == FLOW_OK)
        return CLI_OK;
    cli_complain("cannot listen with TLS: %s", flow_status_text(st));
    flow_listener_close(tcp);
    return CLI_FAILED;
}

/* Keys of our own, which end with the configuration: after a restart, or when
 * certificates are loaded again, a client makes one full handshake. */
static bool
site_give_tickets(struct flow_tls_config *config)
{
    struct flow_tls_tickets *tickets;
    bool ok;

    if (flow_tls_tickets_new(NULL, &tickets, NULL) != FLOW_OK)
        return false;
    ok = flow_tls_config_set_tickets(config, tickets, 0, NULL) == FLOW_OK;
    flow_tls_tickets_unref(tickets);
    return ok;
}

/* What is set besides the certificates.  An exit code. */
static int
site_complete(void *user, struct flow_tls_config *config)
{
    return site_give_tickets(config) ? settings_apply(user, config)
                                     : CLI_FAILED;
}

/* The listeners of all workers, on the port that the first one got.  An exit
 * code. */
static int
site_listen_tls(struct site *workers, const struct options *o)
{
    int code = reload_new(&o->places, &workers->program, &workers->reload);
    size_t i;

    for (i = 0; i < o->workers && code == CLI_OK; i++) {
        workers[i].https_port = workers->https_port;
        code =
            site_listen_worker(&workers[i], reload_holder(workers->reload), o);
    }
    return code;
}

static bool
site_print_address(const char *what, struct flow_listener *l, char *address,
                   size_t cap)
{
    if (flow_listener_query(l, FLOW_QUERY_LOCAL_ADDRESS, address, &cap) !=
        FLOW_OK) {
        cli_complain("cannot find the address of the listener");
        return false;
    }
    printf("%s on %s\n", what, address);
    return true;
}

static bool
site_announce(struct site *s)
{
    char plain[80], address[80];

    if (s->plain != NULL &&
        !site_print_address("redirecting", s->plain, plain, sizeof(plain)))
        return false;
    return site_print_address("listening", s->tls, address, sizeof(address)) &&
           cli_close_stdout(CLI_OK) == CLI_OK;
}

/* Workers that share the settings of s and its answers. */
static struct site *
site_copy_for_workers(struct site *s, const struct options *o)
{
    const size_t count = o->workers;
    struct site *workers = calloc(count, sizeof(*workers));
    size_t i;

    if (workers == NULL) {
        cli_complain("out of memory");
        return NULL;
    }
    s->max_connections = (s->max_connections + count - 1) / count;
    for (i = 0; i < count; i++) {
        workers[i] = *s;
        workers[i].index = i;
    }
    workers->program.complete = site_complete;
    /* It would refuse the client that looks for the names. */
    if (o->places.clients.auth != FLOW_TLS_CLIENT_AUTH_REQUIRED)
        workers->program.in_force = site_check_names;
    workers->program.user = workers;
    return workers;
}

static void
site_free_workers(struct site *workers, size_t count)
{
    size_t i;

    cli_catch_signals(NULL);
    reload_free(workers->reload);
    for (i = 0; i < count; i++) {
        conn_close_all(&workers[i]);
        flow_poller_free(workers[i].poller);
        flow_listener_close(workers[i].tls);
        flow_listener_close(workers[i].plain);
    }
    free(workers);
}

/* An exit code. */
static int
site_make_pollers(struct site *workers, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (flow_poller_new(workers->env, &workers[i].poller) != FLOW_OK) {
            cli_complain("cannot create a poller: %s", strerror(errno));
            return CLI_FAILED;
        }
    }
    return CLI_OK;
}

static int
site_serve(struct site *workers, const struct options *o)
{
    int code = site_listen_tls(workers, o);

    /* The first worker alone redirects. */
    if (code == CLI_OK && o->redirect != NULL)
        code = site_listen_tcp("--redirect", o->redirect, 0, false,
                               &workers->plain);
    if (code == CLI_OK)
        code = site_make_pollers(workers, o->workers);
    if (code != CLI_OK)
        return code;
    if (!cli_catch_signals(workers->poller) ||
        reload_start(workers->reload) != CLI_OK || !site_announce(workers))
        return CLI_FAILED;
    return workers_run(workers, o->workers);
}

static int
site_run(struct site *s, const struct options *o)
{
    struct site *workers;
    int code;

    s->env = flow_env_default();
    site_prepare_descriptors(s, o->workers);
    if (!settings_make_answers(s))
        return CLI_FAILED;
    workers = site_copy_for_workers(s, o);
    if (workers == NULL)
        return CLI_FAILED;
    code = site_serve(workers, o);
    site_free_workers(workers, o->workers);
    return code;
}

static void
site_clean_up(struct site *s)
{
    settings_free_answers(s);
    resources_fini(&s->resources);
}

int
main(int argc, char **argv)
{
    struct site site = {
        .max_connections = 4096,
        .handshake_timeout = 10 * CLI_NSEC,
        .idle_timeout = 30 * CLI_NSEC,
    };
    struct options options = { .workers = 1 };
    int option, code = -1;

    cli_start("flow-site");
    while (code < 0 &&
           (option = getopt_long(argc, argv, "h", site_options, NULL)) != -1)
        code = site_take_option(option, optarg, &options, &site);
    if (code < 0 && optind < argc)
        code = cli_usage("unexpected argument '%s'", argv[optind]);
    if (code < 0)
        code = site_check_options(&options, &site);
    else
        goto out;
    if (code == CLI_OK)
        code = site_run(&site, &options);
out:
    site_clean_up(&site);
    return code;
}
