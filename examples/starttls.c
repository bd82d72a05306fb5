/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/endpoint.h>
#include <flow/tls.h>
#include <flow/util.h>

/*
 * TLS that begins after the connection and ends before it, as with STARTTLS in
 * SMTP and CCC in FTP:
 *
 *     server: READY
 *     client: STARTTLS
 *     server: GO
 *             ... TLS handshake on the same connection ...
 *     client: HELLO
 *     server: WELCOME
 *     client: CLEAR
 *             ... both end TLS ...
 *     server: PLAIN
 *     client: QUIT
 */

static const char help_text[] =
    "usage: starttls serve ENDPOINT CERT KEY\n"
    "       starttls call ENDPOINT CA NAME\n"
    "\n"
    "Exchanges lines in plaintext, then with TLS, then in plaintext again.  "
    "The\n"
    "server serves one client.\n"
    "\n"
    "  ENDPOINT    without TLS, like tcp://127.0.0.1:2525\n"
    "  CERT, KEY   the server's certificate chain and key, PEM\n"
    "  CA          certificates that the client trusts, PEM\n"
    "  NAME        the name that the server's certificate must have\n"
    "\n"
    "Exit codes: 0 success, 1 failure, 2 usage error.\n";

#define LINE_MAX_LEN 80
#define TIME_LIMIT   UINT64_C(20000000000) /* ns for each of the three parts */

static _Noreturn void
starttls_give_up(const char *what, const struct flow_error *err)
{
    char text[512];

    flow_error_format(err, text, sizeof(text));
    fprintf(stderr, "starttls: %s: %s\n", what, text);
    exit(1);
}

static void
starttls_check(enum flow_status st, const char *what, struct flow *f,
               enum flow_dir dir)
{
    struct flow_error err;

    if (st == FLOW_OK)
        return;
    flow_get_error(f, dir, &err);
    if (err.status == FLOW_OK)
        (void)flow_error_set(
            &err, st, "starttls", FLOW_DOMAIN_NONE, 0,
            "the peer ended the connection early, or sent too much");
    starttls_give_up(what, &err);
}

static void
starttls_limit_time(struct flow *f)
{
    const struct flow_env *env = flow_get_env(f);

    flow_set_deadline(f, (uint32_t)FLOW_READ | (uint32_t)FLOW_WRITE,
                      env->now(env->ctx) + TIME_LIMIT);
}

static void
starttls_say(struct flow *f, const char *word)
{
    char line[LINE_MAX_LEN];
    int len = snprintf(line, sizeof(line), "%s\n", word);

    starttls_check(flow_write_all(f, line, (size_t)len, NULL), word, f,
                   FLOW_WRITE);
}

/* Read byte by byte: the bytes after the line may belong to TLS, or be the end
 * of TLS. */
static void
starttls_hear(struct flow *f, const char *word)
{
    char line[LINE_MAX_LEN];
    size_t len = 0, n;

    do
        starttls_check(flow_read_exact(f, line + len, 1, &n), word, f,
                       FLOW_READ);
    while (line[len++] != '\n' && len < sizeof(line) - 1);
    /* What else the peer sent is not printed: it can contain anything. */
    if (len - 1 != strlen(word) || memcmp(line, word, len - 1) != 0) {
        /* A client must not continue without TLS. */
        fprintf(stderr, "starttls: the peer did not send %s\n", word);
        exit(1);
    }
    printf("%s\n", word);
}

/* Start TLS on a connection; as the server if name is NULL. */
static struct flow *
starttls_begin_tls(struct flow *f, struct flow_tls_config *config,
                   const char *name)
{
    struct flow_error err;
    enum flow_status st =
        name != NULL ? flow_tls_wrap_client(config, f, name, 0, &f, &err)
                     : flow_tls_wrap_server(config, f, 0, &f, &err);

    if (st != FLOW_OK)
        starttls_give_up("cannot start TLS", &err);
    starttls_limit_time(f);
    return f;
}

/* End TLS; the connection below it stays open. */
static struct flow *
starttls_end_tls(struct flow *f)
{
    struct flow *lower = NULL;
    size_t n;

    /* The end of TLS is not the end of what is below. */
    starttls_check(flow_control(f, FLOW_CONTROL_PROPAGATE, 0), "control", f,
                   FLOW_WRITE);
    starttls_check(flow_shutdown_wait(f, FLOW_WRITE), "cannot end TLS", f,
                   FLOW_WRITE);
    /* The peer's close_notify is authenticated, unlike a FIN. */
    if (flow_read_wait(f, NULL, 1, &n) != FLOW_EOF)
        starttls_check(FLOW_E_PROTO, "the peer's end of TLS", f, FLOW_READ);
    starttls_check(flow_detach(f, &lower), "cannot detach TLS", f, FLOW_READ);
    starttls_limit_time(lower);
    return lower;
}

static void
starttls_serve(struct flow *f, struct flow_tls_config *config)
{
    starttls_say(f, "READY");
    starttls_hear(f, "STARTTLS");
    starttls_say(f, "GO");
    f = starttls_begin_tls(f, config, NULL);
    starttls_hear(f, "HELLO");
    starttls_say(f, "WELCOME");
    starttls_hear(f, "CLEAR");
    f = starttls_end_tls(f);
    starttls_say(f, "PLAIN");
    starttls_hear(f, "QUIT");
    flow_close(f);
}

static void
starttls_call(struct flow *f, struct flow_tls_config *config, const char *name)
{
    starttls_hear(f, "READY");
    starttls_say(f, "STARTTLS");
    starttls_hear(f, "GO");
    f = starttls_begin_tls(f, config, name);
    starttls_say(f, "HELLO");
    starttls_hear(f, "WELCOME");
    starttls_say(f, "CLEAR");
    f = starttls_end_tls(f);
    starttls_hear(f, "PLAIN");
    starttls_say(f, "QUIT");
    flow_close(f);
}

static struct flow *
starttls_accept_one(const char *endpoint)
{
    struct flow_listener *l;
    struct flow_error err;
    struct flow *f;
    char where[128];
    size_t len = sizeof(where);

    if (flow_endpoint_listen(NULL, endpoint, NULL, &l, &err) != FLOW_OK)
        starttls_give_up(endpoint, &err);
    if (flow_listener_query(l, FLOW_QUERY_LOCAL_ADDRESS, where, &len) ==
        FLOW_OK)
        printf("listening on %s\n", where);
    fflush(stdout);
    if (flow_accept_wait(l, &f) != FLOW_OK) {
        flow_listener_get_error(l, &err);
        starttls_give_up("cannot accept", &err);
    }
    flow_listener_close(l);
    starttls_limit_time(f);
    return f;
}

static struct flow *
starttls_dial(const char *endpoint)
{
    struct flow_error err;
    struct flow *f;

    if (flow_endpoint_dial(NULL, endpoint, NULL, &f, &err) != FLOW_OK)
        starttls_give_up(endpoint, &err);
    starttls_limit_time(f);
    return f;
}

int
main(int argc, char **argv)
{
    struct flow_tls_config *config;
    struct flow_error err;
    bool server = argc == 5 && strcmp(argv[1], "serve") == 0;
    enum flow_status st;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(help_text, stdout);
        return 0;
    }
    if (!server && (argc != 5 || strcmp(argv[1], "call") != 0)) {
        fputs(help_text, stderr);
        return 2;
    }
    st = server ? flow_tls_config_new_server(NULL, &config, &err)
                : flow_tls_config_new_client(NULL, &config, &err);
    if (st == FLOW_OK)
        st = server ? flow_tls_config_add_keypair_file(config, argv[3], argv[4],
                                                       NULL, NULL, &err)
                    : flow_tls_config_add_trust_file(config, argv[3], &err);
    if (st != FLOW_OK)
        starttls_give_up("TLS", &err);
    if (server)
        starttls_serve(starttls_accept_one(argv[2]), config);
    else
        starttls_call(starttls_dial(argv[2]), config, argv[4]);
    flow_tls_config_unref(config);
    return 0;
}
