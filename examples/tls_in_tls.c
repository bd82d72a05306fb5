/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <flow/pair.h>
#include <flow/tls.h>
#include <flow/util.h>

/*
 * TLS in TLS: a flow on a flow on a flow.
 *
 *     client                                       server
 *     inner TLS  <--- certificate verified --->  inner TLS
 *     outer TLS  <--- certificate verified --->  outer TLS
 *     memory     <------------ pair ------------>  memory
 *
 * This happens with a proxy that is reached over TLS and forwards TLS.  No
 * layer depends on what is below it: replace flow_pair_new() by flow_tcp_dial()
 * and flow_accept(), and nothing else changes.
 */

static const char help_text[] =
    "usage: tls_in_tls CERT KEY CA NAME\n"
    "\n"
    "Connects a client and a server in memory, with TLS inside TLS.  The "
    "client\n"
    "sends a line, and the server sends it back.\n"
    "\n"
    "  CERT, KEY   the server's certificate chain and key, PEM\n"
    "  CA          certificates that the client trusts, PEM\n"
    "  NAME        a name of the certificate\n"
    "\n"
    "Exit codes: 0 success, 1 failure, 2 usage error.\n";

#define CAPACITY 65536
#define TEXT     "through two layers of TLS"

/* How many times each end wraps its flow. */
#define LAYERS 2

static int
tls_in_tls_complain(const char *what, const struct flow_error *err)
{
    char text[512];

    flow_error_format(err, text, sizeof(text));
    fprintf(stderr, "tls_in_tls: %s: %s\n", what, text);
    return 1;
}

static int
tls_in_tls_complain_of_flow(const char *what, struct flow *f, enum flow_dir dir)
{
    struct flow_error err;

    flow_get_error(f, dir, &err);
    return tls_in_tls_complain(what, &err);
}

/* Wrap a flow in TLS twice.  Each layer owns the one below it. */
static enum flow_status
tls_in_tls_wrap(struct flow_tls_config *config, const char *name,
                struct flow **f)
{
    enum flow_status st = FLOW_OK;
    int i;

    for (i = 0; st == FLOW_OK && i < LAYERS; i++)
        st = name != NULL ? flow_tls_wrap_client(config, *f, name, 0, f, NULL)
                          : flow_tls_wrap_server(config, *f, 0, f, NULL);
    return st;
}

/* The server: send everything back, and end when the client ends. */
static void *
tls_in_tls_serve(void *argument)
{
    struct flow *f = argument;

    if (flow_copy(f, f, UINT64_MAX, NULL) != FLOW_EOF ||
        flow_shutdown_wait(f, FLOW_WRITE) != FLOW_OK) {
        tls_in_tls_complain_of_flow("server", f, FLOW_READ);
        /* Make the client fail at once instead of waiting. */
        flow_abort(f);
    }
    flow_close(f);
    return NULL;
}

static int
tls_in_tls_talk(struct flow *f)
{
    char line[160], back[sizeof(TEXT)];
    size_t len = sizeof(line), n;

    if (flow_write_all(f, TEXT, sizeof(TEXT), NULL) != FLOW_OK ||
        flow_shutdown_wait(f, FLOW_WRITE) != FLOW_OK)
        return tls_in_tls_complain_of_flow("cannot send", f, FLOW_WRITE);
    if (flow_read_exact(f, back, sizeof(back), &n) != FLOW_OK ||
        memcmp(back, TEXT, sizeof(back)) != 0)
        return tls_in_tls_complain_of_flow("cannot receive", f, FLOW_READ);
    /* FLOW_EOF needs the server's close_notify, which is authenticated. */
    if (flow_read_exact(f, back, 1, &n) != FLOW_EOF)
        return tls_in_tls_complain_of_flow("end", f, FLOW_READ);
    if (flow_query(f, FLOW_QUERY_DESCRIPTION, line, &len) == FLOW_OK)
        printf("%s\n", line);
    printf("came back: %s\n", TEXT);
    return 0;
}

static int
tls_in_tls_configure(char **argv, struct flow_tls_config **ret_server,
                     struct flow_tls_config **ret_client)
{
    struct flow_error err;

    if (flow_tls_config_new_server(NULL, ret_server, &err) != FLOW_OK ||
        flow_tls_config_add_keypair_file(*ret_server, argv[1], argv[2], NULL,
                                         NULL, &err) != FLOW_OK)
        return tls_in_tls_complain("server's TLS", &err);
    if (flow_tls_config_new_client(NULL, ret_client, &err) != FLOW_OK ||
        flow_tls_config_add_trust_file(*ret_client, argv[3], &err) != FLOW_OK)
        return tls_in_tls_complain("client's TLS", &err);
    return 0;
}

static int
tls_in_tls_run(struct flow_tls_config *server_config,
               struct flow_tls_config *client_config, const char *name)
{
    struct flow *client = NULL, *server = NULL;
    pthread_t thread;
    int code = 1;

    if (flow_pair_new(flow_env_default(), CAPACITY, NULL, &client, &server) !=
            FLOW_OK ||
        tls_in_tls_wrap(server_config, NULL, &server) != FLOW_OK ||
        tls_in_tls_wrap(client_config, name, &client) != FLOW_OK ||
        pthread_create(&thread, NULL, tls_in_tls_serve, server) != 0) {
        fprintf(stderr, "tls_in_tls: cannot set up '%s'\n", name);
        flow_close(server);
    } else {
        code = tls_in_tls_talk(client);
        /* Closing the client ends the wait of the server. */
        flow_close(client);
        client = NULL;
        pthread_join(thread, NULL);
    }
    flow_close(client);
    return code;
}

int
main(int argc, char **argv)
{
    struct flow_tls_config *server_config = NULL, *client_config = NULL;
    int code;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(help_text, stdout);
        return 0;
    }
    if (argc != 5) {
        fputs(help_text, stderr);
        return 2;
    }
    code = tls_in_tls_configure(argv, &server_config, &client_config);
    if (code == 0)
        code = tls_in_tls_run(server_config, client_config, argv[4]);
    flow_tls_config_unref(server_config);
    flow_tls_config_unref(client_config);
    return code;
}
