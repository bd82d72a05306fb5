/* SPDX-License-Identifier: ISC */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <flow/tcp.h>
#include <flow/tls.h>
#include <flow/util.h>
#include <flow/version.h>

#include "../common/cli.h"
#include "../common/keylog.h"
#include "../common/show.h"
#include "http.h"
#include "output.h"
#include "progress.h"
#include "session_file.h"

/* Bytes read at a time: a few records. */
#define BUFFER HTTP_HEAD_MAX

/* A progress bar is drawn for bodies of at least this many bytes. */
#define LONG_BODY UINT64_C(1000000)

static const char help_text[] =
    "usage: flow-fetch URL [OPTION...]\n"
    "\n"
    "Fetches an https:// or http:// URL, and verifies the certificate of an "
    "https\n"
    "server.\n"
    "\n"
    "  -o, --output FILE        write the body to FILE instead of stdout; FILE "
    "is\n"
    "                           created when the whole body has arrived\n"
    "  --ca FILE                trust the certificates in this PEM file "
    "instead of\n"
    "                           the system's\n"
    "  --client-cert FILE --client-key FILE\n"
    "                           PEM chain and private key for a server\n"
    "                           that asks for a client certificate; repeat the "
    "pair\n"
    "                           for more, of which one is chosen\n"
    "  --passphrase-file FILE   first line: passphrase of encrypted keys\n"
    "  --connect ADDR:PORT      connect to this address; the name in the URL "
    "is\n"
    "                           still the one that is requested and verified\n"
    "  --alpn LIST              protocols to offer, comma-separated (default\n"
    "                           http/1.1)\n"
    "  --tls1.2, --tls1.3       offer this version only\n"
    "  --session-file FILE      resume a session of FILE, and keep the next "
    "one\n"
    "                           there; it must be readable by you alone\n"
    "  --timeout S              exit after S seconds without progress (default "
    "30)\n"
    "  --show[=json]            print to stderr what TLS agreed on and the "
    "server's\n"
    "                           certificates, as text or as JSON\n"
    "  --insecure-skip-verify   do not verify the server's certificate\n"
    "  -q, --quiet              no progress bar\n"
    "  -v, --verbose            print to stderr what was negotiated and "
    "received\n"
    "  --keylog FILE            append the keys of every TLS connection to "
    "FILE,\n"
    "                           with which Wireshark decrypts it (default: "
    "the\n"
    "                           file in SSLKEYLOGFILE)\n"
    "  -h, --help               print this text\n"
    "  --version                print the version\n"
    "\n"
    "A progress bar is drawn if stderr is a terminal and the body is 1 MB or\n"
    "larger.  Redirects are reported, not followed.  A truncated body is a "
    "failure,\n"
    "and so is every status but 2xx; FILE is not created then.\n"
    "\n"
    "Exit codes: 0 fetched, 1 failure, 2 usage error.\n";

struct options {
    const char *output;
    const char *session_file;
    struct cli_address connect; /* port 0: where the URL points */
    struct cli_client client;
    uint64_t timeout;
    enum show show;
    bool quiet;
    bool verbose;
};

enum {
    OPT_CA = 256,
    OPT_CONNECT,
    OPT_ALPN,
    OPT_TLS_1_2,
    OPT_TLS_1_3,
    OPT_SESSION_FILE,
    OPT_TIMEOUT,
    OPT_SHOW,
    OPT_CLIENT_CERT,
    OPT_CLIENT_KEY,
    OPT_PASSPHRASE_FILE,
    OPT_INSECURE,
    OPT_KEYLOG,
    OPT_VERSION
};

static const struct option long_options[] = {
    { "output", required_argument, NULL, 'o' },
    { "quiet", no_argument, NULL, 'q' },
    { "verbose", no_argument, NULL, 'v' },
    { "ca", required_argument, NULL, OPT_CA },
    { "connect", required_argument, NULL, OPT_CONNECT },
    { "alpn", required_argument, NULL, OPT_ALPN },
    { "tls1.2", no_argument, NULL, OPT_TLS_1_2 },
    { "tls1.3", no_argument, NULL, OPT_TLS_1_3 },
    { "session-file", required_argument, NULL, OPT_SESSION_FILE },
    { "timeout", required_argument, NULL, OPT_TIMEOUT },
    { "show", optional_argument, NULL, OPT_SHOW },
    { "client-cert", required_argument, NULL, OPT_CLIENT_CERT },
    { "client-key", required_argument, NULL, OPT_CLIENT_KEY },
    { "passphrase-file", required_argument, NULL, OPT_PASSPHRASE_FILE },
    { "insecure-skip-verify", no_argument, NULL, OPT_INSECURE },
    { "keylog", required_argument, NULL, OPT_KEYLOG },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, OPT_VERSION },
    { NULL, 0, NULL, 0 },
};

/* One fetch. */
struct fetch {
    const struct options *options;
    struct http_url url;
    struct flow *flow;
    struct flow_tls_sessions *sessions; /* with --session-file */
    bool open;
    struct http_response response;
    struct http_body body;
    struct progress progress;
    struct output output;
    uint64_t began;    /* ns */
    uint64_t received; /* bytes of the body */
    size_t have;       /* bytes in buffer */
    char buffer[BUFFER];
};

/* An exit code, or -1 to go on. */
static int
fetch_take_option(int option, const char *value, struct options *o)
{
    switch (option) {
    case 'o':
        o->output = value;
        return -1;
    case 'q':
        o->quiet = true;
        return -1;
    case 'v':
        o->verbose = true;
        return -1;
    case OPT_CA:
        o->client.ca = value;
        return -1;
    case OPT_CONNECT:
        if (!cli_address("--connect", value, &o->connect))
            return CLI_USAGE;
        if (o->connect.host[0] != '\0' && o->connect.port != 0)
            return -1;
        return cli_usage("--connect: '%s' is not ADDR:PORT", value);
    case OPT_ALPN:
        o->client.alpn = value;
        return -1;
    case OPT_TLS_1_2:
        return cli_only(&o->client, FLOW_TLS_1_2) ? -1 : CLI_USAGE;
    case OPT_TLS_1_3:
        return cli_only(&o->client, FLOW_TLS_1_3) ? -1 : CLI_USAGE;
    case OPT_SESSION_FILE:
        o->session_file = value;
        return -1;
    case OPT_TIMEOUT:
        return cli_seconds("--timeout", value, &o->timeout) ? -1 : CLI_USAGE;
    case OPT_SHOW:
        return show_take(value, &o->show) ? -1 : CLI_USAGE;
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
    case OPT_KEYLOG:
        keylog_choose(value);
        return -1;
    case 'h':
        fputs(help_text, stdout);
        return cli_close_stdout(CLI_OK);
    case OPT_VERSION:
        printf("flow-fetch %s\n", flow_version());
        return cli_close_stdout(CLI_OK);
    default:
        fprintf(stderr, "Try 'flow-fetch --help'.\n");
        return CLI_USAGE;
    }
}

static uint64_t
fetch_now(void)
{
    const struct flow_env *env = flow_env_default();

    return env->now(env->ctx);
}

/* There was progress: start the timeout again. */
static void
fetch_extend(struct fetch *f)
{
    flow_set_deadline(f->flow, FLOW_READ | FLOW_WRITE,
                      fetch_now() + f->options->timeout);
}

static bool
fetch_flow_failed(struct fetch *f, const char *what, enum flow_status st,
                  enum flow_dir dir)
{
    struct flow_error err;

    flow_get_error(f->flow, dir, &err);
    if (f->open && st == FLOW_E_TIMEOUT)
        cli_complain("%s: no data received for %.9g s (--timeout)", what,
                     (double)f->options->timeout / 1e9);
    else if (err.status == FLOW_OK)
        cli_complain("%s: %s", what, flow_status_text(st));
    else
        cli_flow_error(what, &err);
    return false;
}

/* TCP to --connect or, without it, to the host of the URL. */
static bool
fetch_dial_tcp(struct fetch *f)
{
    struct flow_tcp_options options = { .timeout = f->options->timeout };
    struct cli_address address = f->options->connect;
    enum flow_status st;

    if (address.port == 0) {
        snprintf(address.host, sizeof(address.host), "%s", f->url.host);
        address.port = f->url.port;
    }
    st = flow_tcp_dial(NULL, address.host, address.port, &options, &f->flow,
                       NULL);
    if (st == FLOW_OK)
        return true;
    cli_complain("cannot connect to %s port %u: %s", address.host, address.port,
                 flow_status_text(st));
    return false;
}

/* With --session-file: a store with the sessions of the file. */
static bool
fetch_make_sessions(struct fetch *f)
{
    struct flow_error err;

    if (f->options->session_file == NULL)
        return true;
    if (flow_tls_sessions_new(NULL, &f->sessions, &err) != FLOW_OK) {
        cli_flow_error("cannot keep sessions", &err);
        return false;
    }
    if (session_file_read(f->options->session_file, f->sessions))
        return true;
    /* The file stays as it is. */
    flow_tls_sessions_unref(f->sessions);
    f->sessions = NULL;
    return false;
}

/* Sessions are good for this service only. */
static bool
fetch_name_peer(struct fetch *f)
{
    char peer[300];

    snprintf(peer, sizeof(peer), "%s:%u", f->url.host, f->url.port);
    return f->sessions == NULL ||
           flow_tls_set_session_peer(f->flow, peer) == FLOW_OK;
}

/* Wrap the connection in TLS. */
static bool
fetch_wrap_tls(struct fetch *f)
{
    struct cli_client client = f->options->client;
    struct flow_tls_config *config;
    struct flow_error err;
    struct flow *tls;
    enum flow_status st;
    char what[300];

    if (client.alpn == NULL)
        client.alpn = "http/1.1";
    /* Connecting was progress: the timeout starts again for the handshake. */
    client.handshake_time = f->options->timeout;
    if (!fetch_make_sessions(f))
        return false;
    client.sessions = f->sessions;
    if (cli_client_config(&client, &config) != CLI_OK)
        return false;
    st = flow_tls_wrap_client(config, f->flow, f->url.host, 0, &tls, &err);
    flow_tls_config_unref(config);
    if (st != FLOW_OK) {
        snprintf(what, sizeof(what), "cannot use '%s' as TLS server name",
                 f->url.host);
        cli_flow_error(what, &err);
        return false;
    }
    f->flow = tls;
    return fetch_name_peer(f);
}

/* Print what was negotiated; false if the protocol is not HTTP/1. */
static bool
fetch_check_tls(struct fetch *f)
{
    struct flow_tls_info info;

    if (flow_tls_get_info(f->flow, &info) != FLOW_OK)
        return true;
    if (f->options->verbose)
        fprintf(stderr, "%s %s %s, ALPN %s, certificate %s for %s%s\n",
                info.version == FLOW_TLS_1_3 ? "TLSv1.3" : "TLSv1.2",
                info.suite_name, info.group_name,
                info.alpn[0] ? info.alpn : "none",
                f->options->client.insecure_skip_verify ? "NOT VERIFIED"
                                                        : "verified",
                f->url.host, info.resumed ? ", session resumed" : "");
    if (info.alpn[0] == '\0' || strncmp(info.alpn, "http/1.", 7) == 0)
        return true;
    cli_complain("the server selected the protocol '%s'; flow-fetch supports "
                 "HTTP/1.1 only",
                 info.alpn);
    return false;
}

static bool
fetch_open_flow(struct fetch *f, const char *text)
{
    char peer[80], target[300], what[340];
    size_t len = sizeof(peer);
    enum flow_status st;

    if (!fetch_dial_tcp(f) || (f->url.tls && !fetch_wrap_tls(f)))
        return false;
    st = flow_open_wait(f->flow);
    if (st != FLOW_OK) {
        snprintf(target, sizeof(target), "cannot fetch %s", text);
        cli_within(what, sizeof(what), target, st, f->options->timeout,
                   "--timeout");
        return fetch_flow_failed(f, what, st, FLOW_READ);
    }
    f->open = true;
    if (f->options->verbose &&
        flow_query(f->flow, FLOW_QUERY_PEER_ADDRESS, peer, &len) == FLOW_OK)
        fprintf(stderr, "connected to %s\n", peer);
    show_flow(f->flow, f->options->show);
    return !f->url.tls || fetch_check_tls(f);
}

static bool
fetch_send_request(struct fetch *f)
{
    char request[4096];
    enum flow_status st;
    int len = snprintf(request, sizeof(request),
                       "GET %s HTTP/1.1\r\n"
                       "Host: %s\r\n"
                       "User-Agent: flow-fetch/%s\r\n"
                       "Accept: */*\r\n"
                       "Connection: close\r\n"
                       "\r\n",
                       f->url.target, f->url.authority, flow_version());

    fetch_extend(f);
    st = flow_write_all(f->flow, request, (size_t)len, NULL);
    /* A server may respond and close without reading the request: its response
     * can still be read. */
    if (st == FLOW_OK || st == FLOW_E_CLOSED || st == FLOW_E_RESET)
        return true;
    return fetch_flow_failed(f, "cannot send the request", st, FLOW_WRITE);
}

/* Read up to the end of the final head; bytes after it stay in the buffer. */
static bool
fetch_read_head(struct fetch *f)
{
    const char *why = NULL;
    enum http_result result;
    enum flow_status st;
    size_t len;

    for (;;) {
        result = http_parse_head(f->buffer, f->have, &f->response, &len, &why);
        if (result == HTTP_BAD) {
            cli_complain("not a valid HTTP response: %s", why);
            return false;
        }
        if (result == HTTP_OK) {
            f->have -= len;
            memmove(f->buffer, f->buffer + len, f->have);
            /* A 1xx response is interim (RFC 9110 15.2). */
            if (f->response.status >= 200)
                return true;
            continue;
        }
        fetch_extend(f);
        st = flow_read_wait(f->flow, f->buffer + f->have, BUFFER - f->have,
                            &len);
        if (st == FLOW_EOF) {
            cli_complain(
                f->have == 0
                    ? "the server closed the connection without a response"
                    : "the response ends within its head");
            return false;
        }
        if (st != FLOW_OK)
            return fetch_flow_failed(f, "no response", st, FLOW_READ);
        f->have += len;
    }
}

static bool
fetch_check_status(struct fetch *f, const char *text)
{
    const struct http_response *r = &f->response;

    if (f->options->verbose)
        fprintf(stderr, "HTTP %d %s\n", r->status, r->reason);
    if (r->status < 300)
        return true;
    if (r->location[0] != '\0')
        cli_complain("%s has moved (%d %s): fetch %s", text, r->status,
                     r->reason, r->location);
    else
        cli_complain("%s: the server responded %d %s", text, r->status,
                     r->reason);
    return false;
}

/* Write the content in the buffer to the output. */
static bool
fetch_take_buffer(struct fetch *f)
{
    const char *data;
    size_t at = 0, used, len;

    while (at < f->have && !f->body.complete) {
        if (http_body_feed(&f->body, f->buffer + at, f->have - at, &used, &data,
                           &len) == HTTP_BAD) {
            cli_complain("malformed response: %s", f->body.why);
            return false;
        }
        if (!output_write(&f->output, data, len))
            return false;
        f->received += len;
        at += used;
    }
    f->have = 0;
    return true;
}

static void
fetch_describe_cut(const struct fetch *f, char *text, size_t cap)
{
    if (f->response.framing == HTTP_LENGTH)
        snprintf(text, cap,
                 "the body was cut short after %" PRIu64 " of %" PRIu64
                 " bytes",
                 f->received, f->response.length);
    else
        snprintf(text, cap, "the body was cut short after %" PRIu64 " bytes",
                 f->received);
}

static bool
fetch_read_body(struct fetch *f)
{
    enum flow_status st;
    char what[120];

    for (;;) {
        if (!fetch_take_buffer(f))
            return false;
        progress_update(&f->progress, f->received, fetch_now());
        if (f->body.complete)
            return true;
        fetch_extend(f);
        st = flow_read_wait(f->flow, f->buffer, BUFFER, &f->have);
        if (st == FLOW_OK)
            continue;
        if (st == FLOW_EOF && http_body_may_end(&f->body))
            return true;
        progress_end(&f->progress, f->received, fetch_now());
        fetch_describe_cut(f, what, sizeof(what));
        if (st != FLOW_EOF)
            return fetch_flow_failed(f, what, st, FLOW_READ);
        cli_complain("%s: the server closed the connection", what);
        return false;
    }
}

static bool
fetch_body(struct fetch *f)
{
    uint64_t total =
        f->response.framing == HTTP_LENGTH ? f->response.length : 0;
    bool bar = !f->options->quiet &&
               (f->response.framing != HTTP_LENGTH || total >= LONG_BODY) &&
               (f->options->output != NULL || !isatty(STDOUT_FILENO));
    bool ok;

    if (!output_open(&f->output, f->options->output))
        return false;
    http_body_init(&f->body, &f->response);
    progress_start(&f->progress, bar, total, fetch_now());
    ok = fetch_read_body(f);
    progress_end(&f->progress, f->received, fetch_now());
    if (ok && f->options->verbose)
        fprintf(stderr, "%" PRIu64 " bytes in %.3f s\n", f->received,
                (double)(fetch_now() - f->began) / 1e9);
    return ok && output_keep(&f->output);
}

/* The body is complete: end the connection in order, for at most a second. */
static void
fetch_finish(struct fetch *f)
{
    struct flow *flow = f->flow;

    f->flow = NULL;
    flow_finish(flow, fetch_now() + CLI_NSEC, BUFFER, NULL);
}

/* A session that was offered is used up, whether or not the response came: if
 * it stayed in the file, and its server no longer had its version, no later
 * fetch would succeed. */
static bool
fetch_keep_sessions(struct fetch *f)
{
    return f->sessions == NULL ||
           session_file_write(f->options->session_file, f->sessions);
}

static bool
fetch_wants_tls(const struct options *o)
{
    return cli_client_given(&o->client) || keylog_is_chosen() ||
           o->session_file != NULL || o->show != SHOW_NOTHING;
}

static int
fetch(const struct options *o, const char *text)
{
    struct fetch *f = calloc(1, sizeof(*f));
    const char *why;
    int code = CLI_FAILED;

    if (f == NULL) {
        cli_complain("out of memory");
        return CLI_FAILED;
    }
    f->options = o;
    f->output.fd = -1;
    f->began = fetch_now();
    why = http_parse_url(text, &f->url);
    if (why != NULL) {
        code = cli_usage("'%s' is not a valid URL: %s", text, why);
    } else if (!f->url.tls && fetch_wants_tls(o)) {
        code = cli_usage("'%s' is not encrypted, but there are options for "
                         "TLS; write https://",
                         text);
    } else if (fetch_open_flow(f, text) && fetch_send_request(f) &&
               fetch_read_head(f) && fetch_check_status(f, text) &&
               fetch_body(f)) {
        fetch_finish(f);
        code = CLI_OK;
    }
    if (!fetch_keep_sessions(f))
        code = CLI_FAILED;
    output_fini(&f->output);
    flow_close(f->flow);
    flow_tls_sessions_unref(f->sessions);
    free(f);
    return code;
}

int
main(int argc, char **argv)
{
    struct options options = { .timeout = 30 * CLI_NSEC };
    int option, code = -1;

    cli_start("flow-fetch");
    while (code < 0 && (option = getopt_long(argc, argv, "ho:qv", long_options,
                                             NULL)) != -1)
        code = fetch_take_option(option, optarg, &options);
    if (code >= 0)
        return code;
    if (optind + 1 != argc)
        return cli_usage(optind == argc ? "URL is missing"
                                        : "more than one URL");
    return fetch(&options, argv[optind]);
}
