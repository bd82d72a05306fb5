/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/tls.h>
#include <flow/util.h>
#include <flow/vchan.h>

/*
 * TLS between two Xen domains, over shared memory.
 *
 *     domain 7                                  domain 3
 *     TLS     <---- certificate verified ---->  TLS
 *     vchan   <------- rings, events ------->   vchan
 *
 * A vchan has no half close, and it cannot tell a peer that closed from one
 * that crashed.  With TLS on it the client can end its direction alone, and a
 * crash is an error instead of an end.
 */

static const char help_text[] =
    "usage: tls_over_vchan serve DOMID NAME CERT KEY\n"
    "       tls_over_vchan dial DOMID NAME CA HOST <text\n"
    "\n"
    "The client sends its standard input and ends its direction.  The server\n"
    "answers with the number of bytes that it received.\n"
    "\n"
    "  DOMID       the other domain; with \"fake\", which works without Xen,\n"
    "              NAME is a directory\n"
    "  NAME        of the vchan, such as \"counter\"\n"
    "  CERT, KEY   the server's certificate chain and key, PEM\n"
    "  CA          certificates that the client trusts, PEM\n"
    "  HOST        a name of the certificate\n"
    "\n"
    "Exit codes: 0 success, 1 failure, 2 usage error.\n";

/* How long a client waits until its server offers the vchan, in ns. */
#define PATIENCE UINT64_C(10000000000)

static int
vchan_complain(const char *what, const struct flow_error *err)
{
    char text[512];

    flow_error_format(err, text, sizeof(text));
    fprintf(stderr, "tls_over_vchan: %s: %s\n", what, text);
    return 1;
}

static int
vchan_complain_of_flow(const char *what, struct flow *f, enum flow_dir dir)
{
    struct flow_error err;

    flow_get_error(f, dir, &err);
    return vchan_complain(what, &err);
}

/* The client: send the input and the end of our direction, print the answer. */
static int
vchan_ask(struct flow *f)
{
    char buf[4096];
    size_t len;
    enum flow_status st;

    while ((len = fread(buf, 1, sizeof(buf), stdin)) > 0)
        if (flow_write_all(f, buf, len, NULL) != FLOW_OK)
            return vchan_complain_of_flow("cannot send", f, FLOW_WRITE);
    /* The vchan has no half close; close_notify of TLS is one. */
    if (flow_shutdown_wait(f, FLOW_WRITE) != FLOW_OK)
        return vchan_complain_of_flow("cannot end the direction", f,
                                      FLOW_WRITE);

    while ((st = flow_read_wait(f, buf, sizeof(buf), &len)) == FLOW_OK)
        fwrite(buf, 1, len, stdout);
    /* FLOW_EOF needs the server's close_notify, which is authenticated.  If the
     * server crashed or its live byte was cleared, it is FLOW_E_TRUNCATED. */
    return st == FLOW_EOF
               ? 0
               : vchan_complain_of_flow("cannot receive", f, FLOW_READ);
}

static int
vchan_answer(struct flow *f)
{
    char buf[4096];
    unsigned long count = 0;
    size_t len;
    enum flow_status st;

    while ((st = flow_read_wait(f, buf, sizeof(buf), &len)) == FLOW_OK)
        count += len;
    if (st != FLOW_EOF)
        return vchan_complain_of_flow("cannot receive", f, FLOW_READ);
    len = (size_t)snprintf(buf, sizeof(buf), "%lu bytes\n", count);
    if (flow_write_all(f, buf, len, NULL) != FLOW_OK ||
        flow_shutdown_wait(f, FLOW_WRITE) != FLOW_OK)
        return vchan_complain_of_flow("cannot answer", f, FLOW_WRITE);
    return 0;
}

/* Serve one client. */
static int
vchan_serve(char **argv)
{
    struct flow_tls_config *config = NULL;
    struct flow_listener *l = NULL;
    struct flow *f = NULL;
    struct flow_error err;
    enum flow_status st;
    int code = 1;

    if (strcmp(argv[2], "fake") == 0)
        st = flow_vchan_fake_listen(NULL, argv[3], NULL, &l, &err);
    else
        st = flow_vchan_listen(NULL, (uint32_t)atoi(argv[2]), argv[3], NULL, &l,
                               &err);
    if (st != FLOW_OK) {
        vchan_complain("cannot listen", &err);
    } else if (flow_tls_config_new_server(NULL, &config, &err) != FLOW_OK ||
               flow_tls_config_add_keypair_file(config, argv[4], argv[5], NULL,
                                                NULL, &err) != FLOW_OK) {
        vchan_complain("certificate", &err);
    } else if (flow_accept_wait(l, &f) != FLOW_OK) {
        flow_listener_get_error(l, &err);
        vchan_complain("cannot accept", &err);
    } else if (flow_tls_wrap_server(config, f, 0, &f, NULL) != FLOW_OK) {
        fprintf(stderr, "tls_over_vchan: no memory for TLS\n");
    } else {
        code = vchan_answer(f);
    }
    flow_close(f);
    flow_listener_close(l);
    flow_tls_config_unref(config);
    return code;
}

static int
vchan_dial(char **argv)
{
    const struct flow_vchan_options patient = { .timeout = PATIENCE };
    struct flow_tls_config *config = NULL;
    struct flow *f = NULL;
    struct flow_error err;
    enum flow_status st;
    int code = 1;

    if (strcmp(argv[2], "fake") == 0)
        st = flow_vchan_fake_connect(NULL, argv[3], &patient, &f, &err);
    else
        st = flow_vchan_connect(NULL, (uint32_t)atoi(argv[2]), argv[3],
                                &patient, &f, &err);
    if (st != FLOW_OK)
        vchan_complain("cannot connect", &err);
    else if (flow_tls_config_new_client(NULL, &config, &err) != FLOW_OK ||
             flow_tls_config_add_trust_file(config, argv[4], &err) != FLOW_OK)
        vchan_complain("trust", &err);
    else if (flow_tls_wrap_client(config, f, argv[5], 0, &f, NULL) != FLOW_OK)
        fprintf(stderr, "tls_over_vchan: '%s' is not a valid host name\n",
                argv[5]);
    else
        code = vchan_ask(f);
    flow_close(f);
    flow_tls_config_unref(config);
    return code;
}

int
main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(help_text, stdout);
        return 0;
    }
    if (argc == 6 && strcmp(argv[1], "serve") == 0)
        return vchan_serve(argv);
    if (argc == 6 && strcmp(argv[1], "dial") == 0)
        return vchan_dial(argv);
    fputs(help_text, stderr);
    return 2;
}
