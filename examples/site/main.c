/* SPDX-License-Identifier: ISC */
#include "site.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <flow/tcp.h>
#include <flow/tls.h>
#include <flow/unix.h>
#include <flow/version.h>

#include "../common/cli.h"

/* Descriptors besides connections: standard streams, listeners, the poller and
 * the library's reserve. */
#define OTHER_DESCRIPTORS 32
static const char help_text[] =
    "usage: flow-site --listen ADDR:PORT --cert FILE --key FILE\n"
    "                 --serve NAME=FILE... [OPTION...]\n"
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
    "  --serve NAME=FILE        serve FILE as NAME; repeat for more names\n"
    "  --default NAME           serve the file of NAME to clients that request "
    "any\n"
    "                           other name (default: 421 Misdirected Request)\n"
    "  --redirect ADDR:PORT     also answer plain HTTP on this address, with a "
    "301\n"
    "                           to https for the names that are served\n"
    "  --max-connections N      connections at a time (default 4096)\n"
    "  --handshake-timeout S    seconds for a handshake or a plain request\n"
    "                           (default 10)\n"
    "  --idle-timeout S         close a connection if its response makes no\n"
    "                           progress for S seconds (default 30)\n"
    "  --log                    log every connection to stderr when it ends\n"
    "  -h, --help               print this text\n"
    "  --version                print the version\n"
    "\n"
    "Prints 'listening on ADDR:PORT' when it is ready and, with --redirect,\n"
    "'redirecting on ADDR:PORT' before that.  On SIGTERM or SIGINT it stops\n"
    "accepting and exits when the last connection has ended; a second signal "
    "closes\n"
    "the connections that are left.  Does not reload anything on SIGHUP.\n"
    "\n"
    "Files are mapped into memory.  To replace one, rename a new file to its "
    "name\n"
    "and restart flow-site; do not truncate a file while it is served.\n"
    "\n"
    "Exit codes: 0 ended by a signal, 1 failure, 2 usage error.\n";

struct options {
    const char *listen;
    const char *redirect;
    const char *fallback;
    struct cli_keypairs pairs;
};

enum {
    OPT_LISTEN = 256,
    OPT_CERT,
    OPT_KEY,
    OPT_SERVE,
    OPT_DEFAULT,
    OPT_REDIRECT,
    OPT_MAX_CONNECTIONS,
    OPT_HANDSHAKE_TIMEOUT,
    OPT_IDLE_TIMEOUT,
    OPT_LOG,
    OPT_VERSION
};

static const struct option long_options[] = {
    { "listen", required_argument, NULL, OPT_LISTEN },
    { "cert", required_argument, NULL, OPT_CERT },
    { "key", required_argument, NULL, OPT_KEY },
    { "serve", required_argument, NULL, OPT_SERVE },
    { "default", required_argument, NULL, OPT_DEFAULT },
    { "redirect", required_argument, NULL, OPT_REDIRECT },
    { "max-connections", required_argument, NULL, OPT_MAX_CONNECTIONS },
    { "handshake-timeout", required_argument, NULL, OPT_HANDSHAKE_TIMEOUT },
    { "idle-timeout", required_argument, NULL, OPT_IDLE_TIMEOUT },
    { "log", no_argument, NULL, OPT_LOG },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, OPT_VERSION },
    { NULL, 0, NULL, 0 },
};

/* An exit code, or -1 to go on. */
static int
site_take_option(int option, const char *value, struct options *o,
                 struct site *s)
{
    unsigned long number;
    int code;

    switch (option) {
    case OPT_LISTEN:
        o->listen = value;
        return -1;
    case OPT_CERT:
        return cli_add_cert(&o->pairs, value) ? -1 : CLI_USAGE;
    case OPT_KEY:
        return cli_add_key(&o->pairs, value) ? -1 : CLI_USAGE;
    case OPT_SERVE:
        code = resources_add(&s->resources, value);
        return code == CLI_OK ? -1 : code;
    case OPT_DEFAULT:
        o->fallback = value;
        return -1;
    case OPT_REDIRECT:
        o->redirect = value;
        return -1;
    case OPT_MAX_CONNECTIONS:
        if (!cli_number("--max-connections", value, 1, 1000000, &number))
            return CLI_USAGE;
        s->max_connections = number;
        return -1;
    case OPT_HANDSHAKE_TIMEOUT:
        return cli_seconds("--handshake-timeout", value, &s->handshake_timeout)
                   ? -1
                   : CLI_USAGE;
    case OPT_IDLE_TIMEOUT:
        return cli_seconds("--idle-timeout", value, &s->idle_timeout)
                   ? -1
                   : CLI_USAGE;
    case OPT_LOG:
        s->log = true;
        return -1;
    case 'h':
        fputs(help_text, stdout);
        return cli_close_stdout(CLI_OK);
    case OPT_VERSION:
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

static bool
site_prepare_answers(struct site *s)
{
    if (answer_text(&s->misdirected, 421, "Misdirected Request",
                    "This server does not serve that name.\n") &&
        answer_text(&s->bad_request, 400, "Bad Request",
                    "This request could not be understood.\n") &&
        answer_text(&s->too_large, 431, "Request Header Fields Too Large",
                    "This request is too long.\n") &&
        answer_text(&s->too_slow, 408, "Request Timeout",
                    "This request took too long.\n"))
        return true;
    cli_complain("out of memory");
    return false;
}

/* One descriptor per connection. */
static void
site_prepare_descriptors(struct site *s)
{
    size_t want = s->max_connections + OTHER_DESCRIPTORS;
    size_t got = cli_raise_descriptors(want);

    if (got >= want)
        return;
    s->max_connections = got > 2 * OTHER_DESCRIPTORS ? got - OTHER_DESCRIPTORS
                                                     : OTHER_DESCRIPTORS;
    cli_complain("the hard limit on open files (ulimit -Hn) is %zu, so at most "
                 "%zu connections at a time; raise the limit or lower "
                 "--max-connections",
                 got, s->max_connections);
}

/* An exit code. */
static int
site_listen_tcp(const char *option, const char *text,
                struct flow_listener **ret)
{
    struct flow_tcp_options options = { .backlog = 1024 };
    struct cli_address address;
    struct flow_error err;
    char what[320];

    if (!cli_address(option, text, &address))
        return CLI_USAGE;
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
site_check_names(const struct site *s, struct flow_tls_config *config)
{
    struct flow_tls_config *asking;
    size_t i;

    if (flow_tls_config_new_client(NULL, &asking, NULL) != FLOW_OK)
        return;
    if (flow_tls_config_insecure_skip_verify(asking, true) == FLOW_OK)
        for (i = 0; i < s->resources.count; i++)
            if (!site_has_certificate(config, asking,
                                      s->resources.item[i].name))
                cli_complain("--serve %s: no --cert is for this name; clients "
                             "will refuse the first certificate instead; add "
                             "one whose subjectAltName has the name",
                             s->resources.item[i].name);
    flow_tls_config_unref(asking);
}

/* An exit code. */
static int
site_listen_tls(struct site *s, const struct options *o)
{
    struct flow_tls_config *config;
    struct flow_listener *tcp;
    enum flow_status st;
    int code;

    code = cli_server_config(&o->pairs, &config);
    if (code != CLI_OK)
        return code;
    st = flow_tls_config_set_handshake_limits(config, s->handshake_timeout, 0);
    if (st != FLOW_OK || !cli_set_alpn(config, "http/1.1"))
        code = CLI_FAILED;
    else
        code = site_listen_tcp("--listen", o->listen, &tcp);
    if (code != CLI_OK) {
        flow_tls_config_unref(config);
        return code;
    }
    st = flow_tls_listen(config, tcp, (unsigned)s->max_connections, &s->tls,
                         NULL);
    if (st == FLOW_OK)
        site_check_names(s, config);
    flow_tls_config_unref(config);
    if (st == FLOW_OK)
        return CLI_OK;
    cli_complain("cannot listen with TLS: %s", flow_status_text(st));
    flow_listener_close(tcp);
    return CLI_FAILED;
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

/* Also stores the port of the TLS listener, which redirects name. */
static bool
site_announce(struct site *s)
{
    char plain[80], address[80];

    if (s->plain != NULL &&
        !site_print_address("redirecting", s->plain, plain, sizeof(plain)))
        return false;
    if (!site_print_address("listening", s->tls, address, sizeof(address)))
        return false;
    s->https_port = (uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10);
    return cli_close_stdout(CLI_OK) == CLI_OK;
}

static bool
site_watch_listeners(struct site *s)
{
    if (flow_poller_add_listener(s->poller, s->tls, s->tls) == FLOW_OK &&
        (s->plain == NULL ||
         flow_poller_add_listener(s->poller, s->plain, s->plain) == FLOW_OK)) {
        s->listening = true;
        return true;
    }
    cli_complain("cannot watch the listeners: out of memory");
    return false;
}

static void
site_unwatch_listeners(struct site *s)
{
    if (!s->listening)
        return;
    flow_poller_remove_listener(s->poller, s->tls);
    if (s->plain != NULL)
        flow_poller_remove_listener(s->poller, s->plain);
    s->listening = false;
}

/* One connection for each report: asking whether there is another would cost a
 * system call, and the poller tells it anyway. */
static void
site_accept(struct site *s, struct flow_listener *l)
{
    struct flow_error err;
    struct flow *flow;
    enum flow_status st;

    if (s->conn_count >= s->max_connections)
        return;
    st = flow_accept(l, &flow);
    if (st == FLOW_OK) {
        conn_start(s, flow, l == s->plain);
    } else if (st != FLOW_AGAIN) {
        flow_listener_get_error(l, &err);
        cli_flow_error("cannot accept a connection", &err);
    }
}

static void
site_stop_listening(struct site *s)
{
    site_unwatch_listeners(s);
    flow_listener_close(s->tls);
    flow_listener_close(s->plain);
    s->tls = NULL;
    s->plain = NULL;
    if (s->log && s->conn_count > 0)
        cli_complain("stopping; %zu connections are still open", s->conn_count);
}

/* Wait once and handle the events. */
static bool
site_turn(struct site *s)
{
    const struct flow_poller_event *event;
    enum flow_status st;
    size_t count, i;

    st = flow_poller_wait(s->poller, SITE_EVENTS, FLOW_NEVER, &event, &count);
    if (st != FLOW_OK && st != FLOW_E_TIMEOUT) {
        cli_complain("cannot wait: %s", flow_status_text(st));
        return false;
    }
    for (i = 0; i < count; i++) {
        if (event[i].listener != NULL)
            site_accept(s, event[i].listener);
        else if (event[i].flow != NULL)
            conn_event(event[i].user, event[i].ready);
    }
    return true;
}

static int
site_serve(struct site *s)
{
    while (s->tls != NULL || s->conn_count > 0) {
        if (cli_signals > 0 && s->tls != NULL)
            site_stop_listening(s);
        else if (cli_signals > 1) {
            cli_complain("closed %zu connections that had not ended",
                         s->conn_count);
            return CLI_FAILED;
        }
        if (s->tls == NULL && s->conn_count == 0)
            break;
        /* With the most connections do not watch the listeners: a waiting
         * client would make them ready all the time. */
        if (s->conn_count >= s->max_connections)
            site_unwatch_listeners(s);
        else if (s->tls != NULL && !s->listening && !site_watch_listeners(s))
            return CLI_FAILED;
        if (!site_turn(s))
            return CLI_FAILED;
    }
    return CLI_OK;
}

static int
site_run(struct site *s, const struct options *o)
{
    int code;

    s->env = flow_env_default();
    site_prepare_descriptors(s);
    if (!site_prepare_answers(s))
        return CLI_FAILED;
    code = site_listen_tls(s, o);
    if (code != CLI_OK)
        return code;
    if (o->redirect != NULL)
        code = site_listen_tcp("--redirect", o->redirect, &s->plain);
    if (code != CLI_OK)
        return code;
    if (flow_poller_new(s->env, &s->poller) != FLOW_OK) {
        cli_complain("cannot create a poller: %s", strerror(errno));
        return CLI_FAILED;
    }
    if (!cli_catch_signals(s->poller) || !site_announce(s))
        return CLI_FAILED;
    return site_serve(s);
}

static void
site_clean_up(struct site *s)
{
    conn_close_all(s);
    cli_catch_signals(NULL);
    flow_poller_free(s->poller);
    flow_listener_close(s->tls);
    flow_listener_close(s->plain);
    answer_fini(&s->misdirected);
    answer_fini(&s->bad_request);
    answer_fini(&s->too_large);
    answer_fini(&s->too_slow);
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
    struct options options = { 0 };
    int option, code = -1;

    cli_start("flow-site");
    while (code < 0 &&
           (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1)
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
