/* SPDX-License-Identifier: ISC */
/* client ENDPOINT SECONDS TEXT [NAME CA]: send TEXT as a line, print the
 * answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/endpoint.h>
#include <flow/tls.h>
#include <flow/util.h>

static int
client_failed(const char *what, const struct flow_error *err)
{
    char text[512];

    flow_error_format(err, text, sizeof(text));
    fprintf(stderr, "client: %s: %s\n", what, text);
    return 1;
}

static int
client_flow_failed(const char *what, const struct flow *f, enum flow_dir dir)
{
    struct flow_error err;

    flow_get_error(f, dir, &err);
    return client_failed(what, &err);
}

static int
client_exchange(struct flow *f, uint64_t limit, const char *text)
{
    struct flow_cvec line[] = { { text, strlen(text) }, { "\n", 1 } };
    enum flow_status st;
    char buf[4096];
    size_t n;

    flow_set_timeout(f, FLOW_READ | FLOW_WRITE, limit);
    st = flow_open_wait(f);
    if (st != FLOW_OK)
        return client_flow_failed("cannot connect", f, FLOW_WRITE);

    flow_set_timeout(f, FLOW_WRITE, limit);
    st = flow_writev_all(f, line, 2, FLOW_FIN, NULL);
    if (st != FLOW_OK)
        return client_flow_failed("cannot send", f, FLOW_WRITE);

    do {
        flow_set_timeout(f, FLOW_READ, limit);
        st = flow_read_wait(f, buf, sizeof(buf), &n);
        fwrite(buf, 1, n, stdout);
    } while (st == FLOW_OK);
    if (st != FLOW_EOF)
        return client_flow_failed("cannot receive", f, FLOW_READ);
    if (fflush(stdout) != 0) {
        perror("client: standard output");
        return 1;
    }
    return 0;
}

static enum flow_status
client_tls(struct flow **f, const char *name, const char *ca,
           struct flow_error *err)
{
    struct flow_tls_config *config;
    struct flow *tls;
    enum flow_status st;

    st = flow_tls_config_new_client(NULL, &config, err);
    if (st != FLOW_OK)
        return st;
    st = flow_tls_config_add_trust_file(config, ca, err);
    if (st == FLOW_OK)
        st = flow_tls_wrap_client(config, *f, name, 0, &tls, err);
    if (st == FLOW_OK)
        *f = tls;
    flow_tls_config_unref(config);
    return st;
}

int
main(int argc, char **argv)
{
    struct flow_error err;
    struct flow *f;
    double seconds;
    int code;

    if (argc != 4 && argc != 6) {
        fprintf(stderr, "usage: client ENDPOINT SECONDS TEXT [NAME CA]\n");
        return 2;
    }
    seconds = atof(argv[2]);
    if (!(seconds > 0 && seconds < 1e6)) {
        fprintf(stderr, "client: SECONDS is not a number above 0\n");
        return 2;
    }
    if (flow_endpoint_dial(NULL, argv[1], NULL, &f, &err) != FLOW_OK)
        return client_failed("cannot dial", &err);
    if (argc == 6 && client_tls(&f, argv[4], argv[5], &err) != FLOW_OK)
        code = client_failed("cannot set up TLS", &err);
    else
        code = client_exchange(f, (uint64_t)(seconds * 1e9), argv[3]);
    flow_close(f);
    return code;
}
