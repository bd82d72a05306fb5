/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <flow/endpoint.h>
#include <flow/tls.h>
#include <flow/unix.h>
#include <flow/util.h>
#include <flow/version.h>

#include "../common/cli.h"
#include "../common/keylog.h"
#include "../common/show.h"
#include "../common/starttls.h"

/*
 * flow-cat: relays between standard input and output and a flow.  The standard
 * streams are adopted as one flow, so the program joins two flows.
 */

static const char help_text[] =
    "usage: flow-cat ENDPOINT [OPTION...]\n"
    "\n"
    "Connects standard input and output to ENDPOINT.  At the end of the "
    "input,\n"
    "flow-cat ends its sending direction and exits when the other side closes. "
    " If\n"
    "standard input is a terminal, it exits as soon as the other side closes.\n"
    "\n"
    "  --ca FILE                tls+...: trust the certificates in this PEM "
    "file\n"
    "                           instead of the system's\n"
    "  --client-cert FILE --client-key FILE\n"
    "                           tls+...: PEM chain and private key for a "
    "server\n"
    "                           that asks for a client certificate; repeat the "
    "pair\n"
    "                           for more, of which one is chosen\n"
    "  --passphrase-file FILE   tls+...: first line: passphrase of encrypted "
    "keys\n"
    "  --server-name NAME       tls+...: request and verify this name instead "
    "of\n"
    "                           the endpoint's host\n"
    "  --alpn LIST              tls+...: protocols to offer, comma-separated\n"
    "  --tls1.2, --tls1.3       tls+...: offer this version only\n"
    "  --starttls PROTOCOL      tls+...: begin in the clear, and ask for TLS "
    "as\n"
    "                           smtp, imap or postgres\n"
    "  --insecure-skip-verify   tls+...: do not verify the server's "
    "certificate\n"
    "  --show[=json]            tls+...: print to stderr what was agreed on "
    "and the\n"
    "                           server's certificates, as text or as JSON\n"
    "  --timeout S              seconds for name lookup, connect and "
    "handshake\n"
    "                           together (default 30)\n"
    "  --idle-timeout S         exit if nothing is sent or received for S "
    "seconds\n"
    "                           (default: no limit)\n"
    "  --keylog FILE            append the keys of every TLS connection to "
    "FILE,\n"
    "                           with which Wireshark decrypts it (default: "
    "the\n"
    "                           file in SSLKEYLOGFILE)\n"
    "  -h, --help               print this text\n"
    "  --version                print the version\n"
    "\n";

static const char exit_text[] =
    "\n"
    "Exit codes: 0 both sides ended in order, 1 failure, 2 usage error.\n";

struct options {
    struct cli_client client;
    const char *server_name;
    uint64_t timeout;
    uint64_t idle_timeout;
    enum starttls_protocol starttls;
    enum show show;
};

enum {
    OPT_CA = 256,
    OPT_SERVER_NAME,
    OPT_ALPN,
    OPT_TLS_1_2,
    OPT_TLS_1_3,
    OPT_CLIENT_CERT,
    OPT_CLIENT_KEY,
    OPT_PASSPHRASE_FILE,
    OPT_INSECURE,
    OPT_SHOW,
    OPT_TIMEOUT,
    OPT_IDLE_TIMEOUT,
    OPT_KEYLOG,
    OPT_STARTTLS,
    OPT_VERSION
};

static const struct option long_options[] = {
    { "ca", required_argument, NULL, OPT_CA },
    { "server-name", required_argument, NULL, OPT_SERVER_NAME },
    { "alpn", required_argument, NULL, OPT_ALPN },
    { "tls1.2", no_argument, NULL, OPT_TLS_1_2 },
    { "tls1.3", no_argument, NULL, OPT_TLS_1_3 },
    { "client-cert", required_argument, NULL, OPT_CLIENT_CERT },
    { "client-key", required_argument, NULL, OPT_CLIENT_KEY },
    { "passphrase-file", required_argument, NULL, OPT_PASSPHRASE_FILE },
    { "insecure-skip-verify", no_argument, NULL, OPT_INSECURE },
    { "show", optional_argument, NULL, OPT_SHOW },
    { "timeout", required_argument, NULL, OPT_TIMEOUT },
    { "idle-timeout", required_argument, NULL, OPT_IDLE_TIMEOUT },
    { "keylog", required_argument, NULL, OPT_KEYLOG },
    { "starttls", required_argument, NULL, OPT_STARTTLS },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, OPT_VERSION },
    { NULL, 0, NULL, 0 },
};

/*
 * The file status flags that standard input and output had.  The process that
 * started us shares them, and a shell does not expect O_NONBLOCK.  Closing the
 * flow restores them; after a signal nothing closes it, so the handler does.
 */
static int saved_flags[2] = { -1, -1 };

static void
cat_save_flags(void)
{
    int fd;

    for (fd = 0; fd < 2; fd++)
        saved_flags[fd] = fcntl(fd, F_GETFL);
}

static void
cat_on_signal(int number)
{
    int fd;

    for (fd = 0; fd < 2; fd++)
        if (saved_flags[fd] >= 0)
            fcntl(fd, F_SETFL, saved_flags[fd]);
    raise(number);
}

static void
cat_catch_signals(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = cat_on_signal;
    action.sa_flags = (int)SA_RESETHAND;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    /* If the reader of standard output has gone, the write fails and the error
     * is reported. */
    signal(SIGPIPE, SIG_IGN);
}

static uint64_t
cat_now(void)
{
    const struct flow_env *env = flow_env_default();

    return env->now(env->ctx);
}

/* An exit code, or -1 to go on. */
static int
cat_take_option(int option, const char *value, struct options *o)
{
    switch (option) {
    case OPT_CA:
        o->client.ca = value;
        return -1;
    case OPT_SERVER_NAME:
        o->server_name = value;
        return -1;
    case OPT_ALPN:
        o->client.alpn = value;
        return -1;
    case OPT_TLS_1_2:
        return cli_only(&o->client, FLOW_TLS_1_2) ? -1 : CLI_USAGE;
    case OPT_TLS_1_3:
        return cli_only(&o->client, FLOW_TLS_1_3) ? -1 : CLI_USAGE;
    case OPT_CLIENT_CERT:
        return cli_add_cert(&o->client.pairs, value) ? -1 : CLI_USAGE;
    case OPT_CLIENT_KEY:
        return cli_add_key(&o->client.pairs, value) ? -1 : CLI_USAGE;
    case OPT_PASSPHRASE_FILE:
        o->client.pairs.passphrase_file = value;
        return -1;
    case OPT_INSECURE:
        o->client.insecure_skip_verify = true;
        return -1;
    case OPT_SHOW:
        return show_take(value, &o->show) ? -1 : CLI_USAGE;
    case OPT_TIMEOUT:
        return cli_seconds("--timeout", value, &o->timeout) ? -1 : CLI_USAGE;
    case OPT_IDLE_TIMEOUT:
        return cli_seconds("--idle-timeout", value, &o->idle_timeout)
                   ? -1
                   : CLI_USAGE;
    case OPT_KEYLOG:
        keylog_choose(value);
        return -1;
    case OPT_STARTTLS:
        return starttls_choose(value, &o->starttls) ? -1 : CLI_USAGE;
    case 'h':
        fputs(help_text, stdout);
        cli_print_endpoints();
        fputs(exit_text, stdout);
        return cli_close_stdout(CLI_OK);
    case OPT_VERSION:
        printf("flow-cat %s\n", flow_version());
        return cli_close_stdout(CLI_OK);
    default:
        fprintf(stderr, "Try 'flow-cat --help'.\n");
        return CLI_USAGE;
    }
}

static int
cat_flow_failed(struct flow *f, enum flow_dir dir, const char *what,
                enum flow_status st)
{
    struct flow_error err;

    flow_get_error(f, dir, &err);
    if (err.status == FLOW_OK)
        cli_complain("%s: %s", what, flow_status_text(st));
    else
        cli_flow_error(what, &err);
    return CLI_FAILED;
}

/* The host in "tls+tcp://HOST:PORT"; false: there is none. */
static bool
cat_find_host(const char *endpoint, char *ret, size_t cap)
{
    const char *host = strstr(endpoint, "://");
    const char *end = host != NULL ? strrchr(host + 3, ':') : NULL;
    size_t len;

    if (end == NULL)
        return false;
    host += 3;
    if (host[0] == '[' && end[-1] == ']') {
        host++;
        end--;
    }
    len = (size_t)(end - host);
    if (len == 0 || len >= cap)
        return false;
    memcpy(ret, host, len);
    ret[len] = '\0';
    return true;
}

/* Ask for TLS in the clear; all of it within the timeout of the opening. */
static int
cat_ask_for_tls(const struct options *o, struct flow *f, const char *target)
{
    struct starttls s;
    char asking[400], what[440];
    enum flow_status st;

    starttls_init(&s, o->starttls, STARTTLS_CALLS);
    do {
        uint32_t ready;

        st = starttls_step(&s, f);
        if (st == FLOW_AGAIN)
            st = flow_wait(f, starttls_wants(&s), &ready);
        else if (st == FLOW_OK)
            return CLI_OK;
    } while (st == FLOW_OK);
    snprintf(asking, sizeof(asking), "%s: STARTTLS", target);
    if (st == FLOW_E_PROTO && s.problem != NULL) {
        cli_complain("%s: %s", asking, s.problem);
        return CLI_FAILED;
    }
    cli_within(what, sizeof(what), asking, st, o->timeout, "--timeout");
    return cat_flow_failed(f, FLOW_READ, what, st);
}

/* Starts TLS on an open flow, which it replaces. */
static int
cat_start_tls(const struct options *o, const char *name, const char *target,
              struct flow_tls_config *config, struct flow **flow)
{
    char host[300];
    const char *server_name = o->server_name;
    struct flow_error err;
    int code;

    if (server_name == NULL && cat_find_host(name, host, sizeof(host)))
        server_name = host;
    if (server_name == NULL && !o->client.insecure_skip_verify)
        return cli_usage("%s has no host; give the name to verify with "
                         "--server-name",
                         name);
    code = cat_ask_for_tls(o, *flow, target);
    if (code != CLI_OK)
        return code;
    if (flow_tls_wrap_client(config, *flow, server_name, 0, flow, &err) ==
        FLOW_OK)
        return CLI_OK;
    cli_flow_error(target, &err);
    return CLI_FAILED;
}

/* Connects, and verifies the peer, before a byte of input is read. */
static int
cat_open(const struct options *o, const char *name,
         struct flow_endpoint_options *options, struct flow **ret_flow)
{
    const uint32_t both = (uint32_t)FLOW_READ | (uint32_t)FLOW_WRITE;
    const uint64_t deadline = cat_now() + o->timeout;
    struct flow_tls_config *config = options->tls;
    const bool asks = o->starttls != STARTTLS_NONE;
    struct flow_error err;
    struct flow *flow;
    enum flow_status st;
    char target[300], what[340];
    int code = CLI_OK;

    if (asks)
        options->tls = NULL;
    st = flow_endpoint_dial(NULL, asks ? name + strlen("tls+") : name, options,
                            &flow, &err);
    options->tls = config;
    snprintf(target, sizeof(target), "cannot reach %s", name);
    if (st != FLOW_OK)
        return cli_endpoint_error(target, &err);
    st = flow_open_wait(flow);
    if (st == FLOW_OK && asks) {
        flow_set_deadline(flow, both, deadline);
        code = cat_start_tls(o, name, target, config, &flow);
        if (code == CLI_OK) {
            flow_set_deadline(flow, both, deadline);
            st = flow_open_wait(flow);
        }
    }
    if (st != FLOW_OK) {
        cli_within(what, sizeof(what), target, st, o->timeout, "--timeout");
        code = cat_flow_failed(flow, FLOW_READ, what, st);
    }
    if (code != CLI_OK) {
        flow_close(flow);
        return code;
    }
    if (asks)
        flow_set_deadline(flow, both, FLOW_NEVER);
    *ret_flow = flow;
    return CLI_OK;
}

static int
cat_dial(const struct options *o, const char *name, struct flow **ret_flow)
{
    struct flow_endpoint_options options = { .timeout = o->timeout,
                                             .server_name = o->server_name };
    int code;

    if (cli_is_tls(name))
        code = cli_client_config(&o->client, &options.tls);
    else
        code = cli_plain(name,
                         cli_client_given(&o->client) || keylog_is_chosen() ||
                             o->starttls != STARTTLS_NONE ||
                             o->server_name != NULL || o->show != SHOW_NOTHING);
    if (code != CLI_OK)
        return code;
    code = cat_open(o, name, &options, ret_flow);
    flow_tls_config_unref(options.tls);
    if (code == CLI_OK)
        show_flow(*ret_flow, o->show);
    return code;
}

/* Sleep until one of the two flows can make progress.  flow_relay_run() cannot
 * be used here: the caller checks between two steps whether the peer ended. */
static enum flow_status
cat_wait_for_either(struct flow_relay *relay, struct flow *a, struct flow *b)
{
    struct flow_wait_set set;
    const struct flow_env *env = flow_get_env(a);
    uint32_t interest_a, interest_b;
    uint64_t latest = flow_relay_interest(relay, &interest_a, &interest_b);

    flow_wait_set_init(&set);
    if (flow_wait_sources(a, interest_a, &set) != 0 ||
        flow_wait_sources(b, interest_b, &set) != 0)
        return FLOW_OK;
    return env->wait(env->ctx, &set, latest);
}

/* Report which side of the relay failed. */
static int
cat_relay_failed(struct flow_relay *relay, struct flow *net,
                 enum flow_status st)
{
    static const char *const reading[2] = { "cannot read the input",
                                            "cannot receive" };
    static const char *const writing[2] = { "cannot send",
                                            "cannot write the output" };
    int i;

    if (st == FLOW_E_TIMEOUT) {
        cli_complain("nothing sent or received for too long (--idle-timeout)");
        return CLI_FAILED;
    }
    for (i = 0; i < 2; i++) {
        struct flow_relay_side *side = &relay->side[i];
        const char *what = reading[i];
        struct flow_error err;

        if (side->status >= 0)
            continue;
        flow_get_error(side->from, FLOW_READ, &err);
        if (err.status == FLOW_OK || err.status == FLOW_EOF) {
            what = writing[i];
            flow_get_error(side->to, FLOW_WRITE, &err);
        }
        if (err.status != FLOW_OK)
            cli_flow_error(what, &err);
        else
            cat_flow_failed(net, FLOW_READ, what, side->status);
    }
    return CLI_FAILED;
}

static int
cat_join(struct flow *standard, struct flow *net, uint64_t idle)
{
    bool terminal = isatty(STDIN_FILENO) != 0;
    struct flow_relay relay;
    enum flow_status st;
    int code = CLI_OK;

    if (flow_relay_init(&relay, standard, net, 65536, idle) != FLOW_OK) {
        cli_complain("out of memory");
        return CLI_FAILED;
    }
    while ((st = flow_relay_step(&relay)) == FLOW_AGAIN) {
        /* Nothing more can arrive.  On a terminal do not wait for more input
         * once the peer has ended. */
        if (relay.side[1].status < 0 ||
            (terminal && relay.side[1].status == FLOW_EOF)) {
            st = relay.side[1].status;
            break;
        }
        st = cat_wait_for_either(&relay, standard, net);
        if (st < 0)
            break;
    }
    if (st < 0)
        code = cat_relay_failed(&relay, net, st);
    flow_relay_fini(&relay);
    return code;
}

static int
cat_run(const struct options *o, const char *name)
{
    struct flow *standard, *net = NULL;
    int code;

    code = cat_dial(o, name, &net);
    if (code != CLI_OK)
        return code;
    cat_save_flags();
    cat_catch_signals();
    if (flow_fd_adopt(NULL, STDIN_FILENO, STDOUT_FILENO, &standard, NULL) !=
        FLOW_OK) {
        cli_complain("standard input and output must be open");
        flow_close(net);
        return CLI_FAILED;
    }
    code = cat_join(standard, net, o->idle_timeout);
    flow_close(standard);
    if (code != CLI_OK)
        flow_close(net);
    else
        flow_finish(net, cat_now() + CLI_NSEC, 65536, NULL);
    return code;
}

int
main(int argc, char **argv)
{
    struct options options = { .timeout = 30 * CLI_NSEC };
    int option, code = -1;

    cli_start("flow-cat");
    while (code < 0 &&
           (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1)
        code = cat_take_option(option, optarg, &options);
    if (code >= 0)
        return code;
    if (optind + 1 != argc)
        return cli_usage(optind == argc ? "ENDPOINT is missing"
                                        : "more than one ENDPOINT");
    return cat_run(&options, argv[optind]);
}
