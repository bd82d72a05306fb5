/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "kinds.h"
#include "test.h"

/*
 * flow-fetch against a server with the chain of each kind: what it prints, the
 * alert that the server gets, and that a server that is refused gets no
 * Finished.
 */

static const struct {
    const char *text;
    int alert;
} said[] = {
    [FLOW_TLS_CHECK_EXPIRED] = { "certificate has expired", 45 },
    [FLOW_TLS_CHECK_FUTURE] = { "certificate is not yet valid", 45 },
    [FLOW_TLS_CHECK_TRUST] = { "certificate signed by unknown authority", 48 },
    [FLOW_TLS_CHECK_AUTHORITY] = { "issuer is not a certificate authority",
                                   48 },
    [FLOW_TLS_CHECK_SIGNATURE] = { "certificate signature is wrong", 42 },
    [FLOW_TLS_CHECK_NAME] = { "host name mismatch", 42 },
    [FLOW_TLS_CHECK_PURPOSE] = { "unsuitable certificate purpose", 43 },
    [FLOW_TLS_CHECK_USAGE] = { "key usage has no digitalSignature", 43 },
    [FLOW_TLS_CHECK_PATH_LENGTH] = { "path length constraint exceeded", 42 },
    [FLOW_TLS_CHECK_CONSTRAINT] = { "name constraint violated", 42 },
    [FLOW_TLS_CHECK_UNSUPPORTED] = { "unsupported name constraint", 43 },
    [FLOW_TLS_CHECK_CRITICAL] = { "unsupported critical extension", 43 },
    [FLOW_TLS_CHECK_KEY] = { "certificate key too weak or not supported", 42 },
    [FLOW_TLS_CHECK_HASH] = { "certificate signature algorithm too weak or not "
                              "supported",
                              42 },
};

/* What one kind is served with. */
struct server {
    const struct kind *kind;
    struct scene scene;
    char ca[64]; /* file with what is trusted */
    int listener;
    uint16_t port;
    SSL_CTX *ctx;
    int alert; /* received; -1: none */
};

static void
note_alert(const SSL *ssl, int where, int ret)
{
    struct server *s = SSL_get_app_data(ssl);

    if (where == SSL_CB_READ_ALERT && (ret & 0xff) != 0)
        s->alert = ret & 0xff;
}

static void
write_trust(struct server *s)
{
    FILE *f;
    int fd;

    strcpy(s->ca, "verify-XXXXXX");
    fd = mkstemp(s->ca);
    assert_true(fd >= 0);
    f = fdopen(fd, "w");
    assert_non_null(f);
    /* A file without a certificate would be refused. */
    assert_true(s->scene.trust_count > 0);
    for (size_t i = 0; i < s->scene.trust_count; i++) {
        const unsigned char *p = s->scene.trust[i].base;
        X509 *cert = d2i_X509(NULL, &p, (long)s->scene.trust[i].len);

        assert_int_equal(PEM_write_X509(f, cert), 1);
        X509_free(cert);
    }
    assert_int_equal(fclose(f), 0);
}

static void
load_chain(struct server *s)
{
    for (size_t i = 0; i < s->scene.chain_count; i++) {
        const unsigned char *p = s->scene.chain[i].base;
        X509 *cert = d2i_X509(NULL, &p, (long)s->scene.chain[i].len);

        if (i == 0) {
            assert_int_equal(SSL_CTX_use_certificate(s->ctx, cert), 1);
            X509_free(cert);
        } else {
            assert_int_equal(SSL_CTX_add0_chain_cert(s->ctx, cert), 1);
        }
    }
    assert_int_equal(
        SSL_CTX_use_PrivateKey(s->ctx, scene_key(s->kind->chain[0].key)), 1);
}

static void
server_start(struct server *s, const struct kind *kind)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);

    memset(s, 0, sizeof(*s));
    s->kind = kind;
    s->alert = -1;
    kind_build(&s->scene, kind);
    write_trust(s);
    s->ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_security_level(s->ctx, 0);
    SSL_CTX_set_info_callback(s->ctx, note_alert);
    load_chain(s);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(s->listener, 1), 0);
    assert_int_equal(
        getsockname(s->listener, (struct sockaddr *)&address, &len), 0);
    s->port = ntohs(address.sin_port);
}

static void
server_stop(struct server *s)
{
    close(s->listener);
    SSL_CTX_free(s->ctx);
    assert_int_equal(unlink(s->ca), 0);
    scene_free(&s->scene);
}

/* Serve one connection; whether its handshake completed. */
static bool
serve(struct server *s)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
                                 "Connection: close\r\n\r\nhello";
    int fd = accept(s->listener, NULL, NULL);
    SSL *ssl = SSL_new(s->ctx);
    char request[2048];
    bool complete;

    assert_true(fd >= 0);
    SSL_set_app_data(ssl, s);
    SSL_set_fd(ssl, fd);
    complete = SSL_accept(ssl) == 1;
    if (complete && SSL_read(ssl, request, sizeof(request)) > 0) {
        (void)SSL_write(ssl, answer, sizeof(answer) - 1);
        (void)SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    close(fd);
    return complete;
}

/* Start flow-fetch; *ret_errors is the end of a pipe with what it prints on
 * stderr. */
static pid_t
start_fetch(const struct server *s, int version, int *ret_errors)
{
    char url[128], address[64];
    int ends[2];
    pid_t pid;

    (void)snprintf(url, sizeof(url), "https://%s/", s->scene.name);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", s->port);
    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl(TEST_FETCH, TEST_FETCH, url, "-q", "-o", "/dev/null", "--ca",
              s->ca, "--connect", address,
              version == 0x0303 ? "--tls1.2" : "--tls1.3", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    *ret_errors = ends[0];
    return pid;
}

/* The exit code, and what was printed. */
static int
end_fetch(pid_t pid, int errors, char *text, size_t cap)
{
    size_t len = 0;
    ssize_t n;
    int status;

    while ((n = read(errors, text + len, cap - 1 - len)) > 0 ||
           (n < 0 && errno == EINTR))
        len += n > 0 ? (size_t)n : 0;
    text[len] = '\0';
    close(errors);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Whether the engine refuses a chain that passes our checks: a system's mbedTLS
 * refuses critical name constraints. */
static bool
engine_refuses(const struct kind *k)
{
    for (size_t i = 0; i < KIND_CERTS; i++)
        if (k->chain[i].constraints != NULL &&
            strncmp(k->chain[i].constraints, "critical", 8) == 0)
            return true;
    return false;
}

static bool
fetch_says(struct server *s, int version)
{
    const enum flow_tls_check check = s->kind->check;
    bool good = check == FLOW_TLS_CHECK_NONE;
    const char *wanted = good ? "" : said[check].text;
    int alert = good ? -1 : said[check].alert;
    char text[4096];
    bool complete;
    int errors, code;
    pid_t pid;

    if (TEST_ENGINE_REFUSES && good && engine_refuses(s->kind)) {
        good = false;
        wanted = "the peer's certificate is not understood";
        alert = 42;
    }
    pid = start_fetch(s, version, &errors);
    complete = serve(s);
    code = end_fetch(pid, errors, text, sizeof(text));
    if (complete == good && code == (good ? 0 : 1) &&
        (good || s->alert == alert) && strstr(text, wanted) != NULL)
        return true;
    print_error("%s, %s: exit code %d, alert %d, handshake %s: %s\n",
                s->kind->what, version == 0x0303 ? "TLS 1.2" : "TLS 1.3", code,
                s->alert, complete ? "complete" : "not complete", text);
    return false;
}

static void
fetch_refuses_each_kind_of_bad_certificate(void **state)
{
    unsigned wrong = 0, served = 0;

    (void)state;
    scene_now = (int64_t)time(NULL);
    for (size_t i = 0; i < kind_count; i++) {
        const struct kind *k = &kinds[i];

        /* flow-fetch asks a server, by a name, and has something to trust. */
        if (k->purpose != FLOW_TLS_PURPOSE_SERVER ||
            (k->name != NULL && k->name[0] == '\0') ||
            (k->trust[0].ca == SCENE_CA_ABSENT && k->trust[0].subject == 0) ||
            k->offline)
            continue;
        guard_case(k->what);
        for (int version = k->tls13_only ? 0x0304 : 0x0303; version <= 0x0304;
             version++) {
            struct server s;

            server_start(&s, k);
            wrong += fetch_says(&s, version) ? 0 : 1;
            server_stop(&s);
        }
        served++;
    }
    assert_int_equal(wrong, 0);
    assert_true(served > 60);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fetch_refuses_each_kind_of_bad_certificate),
    };

    return TEST_RUN(tests);
}
