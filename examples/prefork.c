/* SPDX-License-Identifier: ISC */
/*
 * prefork ENDPOINT [CERT KEY]: an echo server with one process per client.
 *
 * The parent accepts and forks.  Each process closes what it does not use: the
 * parent its copy of the connection, the child its copy of the listener.  With
 * TLS the parent loads the keys once, and the child does the handshake: only
 * the process that began a TLS connection may use it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <flow/endpoint.h>
#include <flow/tls_config.h>
#include <flow/util.h>

/* Time limits for a silent client and for ending, in ns. */
#define PATIENCE UINT64_C(30000000000)

static void
prefork_report(const char *what, const struct flow_error *err)
{
    char text[256];

    flow_error_format(err, text, sizeof(text));
    fprintf(stderr, "prefork: %s: %s\n", what, text);
}

static uint64_t
prefork_soon(struct flow *f)
{
    const struct flow_env *env = flow_get_env(f);

    return env->now(env->ctx) + PATIENCE;
}

/* Runs in the child; returns its exit code. */
static int
prefork_serve(struct flow *f)
{
    struct flow_error err;
    enum flow_status st;
    char buf[16384];
    size_t n;

    do {
        flow_set_deadline(f, (uint32_t)FLOW_READ | (uint32_t)FLOW_WRITE,
                          prefork_soon(f));
        st = flow_read_wait(f, buf, sizeof(buf),
                            &n); /* does the TLS handshake, too */
        if (st == FLOW_OK)
            st = flow_write_all(f, buf, n, NULL);
    } while (st == FLOW_OK);
    if (st != FLOW_EOF) {
        flow_get_error(f, FLOW_READ, &err);
        if (err.status != st)
            flow_get_error(f, FLOW_WRITE, &err);
        prefork_report("client", &err);
    }
    st = flow_finish(f, prefork_soon(f), sizeof(buf), NULL);
    return st == FLOW_OK ? 0 : 1;
}

static void
prefork_accept_for_ever(struct flow_listener *l)
{
    struct flow_error err;
    struct flow *f;

    for (;;) {
        if (flow_accept_wait(l, &f) != FLOW_OK) {
            flow_listener_get_error(l, &err);
            prefork_report("cannot accept", &err);
            return;
        }
        switch (fork()) {
        case 0:
            flow_listener_close(l);
            _exit(prefork_serve(f));
        case -1:
            perror("prefork: fork");
            break;
        default:
            break;
        }
        flow_close(f); /* sends nothing: the child has the connection */
    }
}

static enum flow_status
prefork_read_keys(char **argv, struct flow_endpoint_options *opt,
                  struct flow_error *err)
{
    enum flow_status st = flow_tls_config_new_server(NULL, &opt->tls, err);

    if (st == FLOW_OK)
        st = flow_tls_config_add_keypair_file(opt->tls, argv[2], argv[3], NULL,
                                              NULL, err);
    return st;
}

int
main(int argc, char **argv)
{
    struct flow_endpoint_options opt = { .backlog = 0 };
    enum flow_status st = FLOW_OK;
    struct flow_listener *l;
    struct flow_error err;
    char address[128];
    size_t len = sizeof(address);

    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: prefork ENDPOINT [CERT KEY]\n");
        return 2;
    }
    signal(SIGCHLD, SIG_IGN); /* children leave no zombies */
    if (argc == 4)
        st = prefork_read_keys(argv, &opt, &err);
    if (st == FLOW_OK)
        st = flow_endpoint_listen(NULL, argv[1], &opt, &l, &err);
    flow_tls_config_unref(opt.tls);
    if (st != FLOW_OK) {
        prefork_report(argv[1], &err);
        return 1;
    }
    if (flow_listener_query(l, FLOW_QUERY_LOCAL_ADDRESS, address, &len) ==
        FLOW_OK)
        printf("listening on %s\n", address);
    fflush(stdout); /* or every child would print it again */
    prefork_accept_for_ever(l);
    flow_listener_close(l);
    return 1;
}
