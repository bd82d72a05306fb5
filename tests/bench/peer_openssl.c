/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "peer.h"

/* OpenSSL: over memory BIOs, of which each is one end's output and the other's
 * input, or over its BIO of a socket. */

struct openssl_setup {
    SSL_CTX *ctx[2];
    SSL_SESSION *session; /* the last one that a ticket came for */
};

struct openssl_conn {
    SSL *end[2];
};

static void
openssl_check(bool ok, const char *what)
{
    if (!ok)
        ERR_print_errors_fp(stderr);
    bench_check(ok, what);
}

static const char *
openssl_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION_STRING);
}

static void
openssl_limit(SSL_CTX *ctx, const struct bench_terms *terms)
{
    static const char *const tls13[] = { "TLS_AES_128_GCM_SHA256",
                                         "TLS_AES_256_GCM_SHA384",
                                         "TLS_CHACHA20_POLY1305_SHA256",
                                         "TLS_AES_128_CCM_SHA256" };
    static const char *const tls12[] = {
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-CCM"
    };
    const int version = terms->tls13 ? TLS1_3_VERSION : TLS1_2_VERSION;

    openssl_check(SSL_CTX_set_min_proto_version(ctx, version) == 1 &&
                      SSL_CTX_set_max_proto_version(ctx, version) == 1,
                  "OpenSSL: version");
    openssl_check(SSL_CTX_set_ciphersuites(ctx, tls13[terms->suite]) == 1 &&
                      SSL_CTX_set_cipher_list(ctx, tls12[terms->suite]) == 1,
                  "OpenSSL: suite");
    openssl_check(SSL_CTX_set1_groups_list(ctx, terms->group == BENCH_X25519
                                                    ? "X25519:P-256"
                                                    : "P-256") == 1,
                  "OpenSSL: group");
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (!terms->resumes)
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    openssl_check(SSL_CTX_set_num_tickets(ctx, terms->resumes) == 1,
                  "OpenSSL: tickets");
}

static int
openssl_on_session(SSL *ssl, SSL_SESSION *session)
{
    struct openssl_setup *s = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    SSL_SESSION_free(s->session);
    s->session = session;
    return 1;
}

static void
openssl_resume(struct openssl_setup *s)
{
    SSL_CTX_set_session_cache_mode(s->ctx[0], SSL_SESS_CACHE_CLIENT |
                                                  SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_app_data(s->ctx[0], s);
    SSL_CTX_sess_set_new_cb(s->ctx[0], openssl_on_session);
}

static void *
openssl_setup(const struct bench_terms *terms)
{
    struct openssl_setup *s = calloc(1, sizeof(*s));
    const char *chain = bench_key(terms->is_rsa ? "rsa.pem" : "p256.pem");
    const char *key = bench_key(terms->is_rsa ? "rsa.key" : "p256.key");

    bench_check(s != NULL, "memory");
    s->ctx[0] = SSL_CTX_new(TLS_client_method());
    s->ctx[1] = SSL_CTX_new(TLS_server_method());
    openssl_check(s->ctx[0] != NULL && s->ctx[1] != NULL, "OpenSSL: context");
    openssl_check(
        SSL_CTX_use_certificate_chain_file(s->ctx[1], chain) == 1 &&
            SSL_CTX_use_PrivateKey_file(s->ctx[1], key, SSL_FILETYPE_PEM) == 1,
        "OpenSSL: certificate");
    openssl_check(SSL_CTX_load_verify_file(s->ctx[0], bench_key("ca.pem")) == 1,
                  "OpenSSL: trust");
    SSL_CTX_set_verify(s->ctx[0], SSL_VERIFY_PEER, NULL);
    for (unsigned i = 0; i < 2; i++)
        openssl_limit(s->ctx[i], terms);
    if (terms->resumes)
        openssl_resume(s);
    return s;
}

static void
openssl_teardown(void *setup)
{
    struct openssl_setup *s = setup;

    SSL_CTX_free(s->ctx[0]);
    SSL_CTX_free(s->ctx[1]);
    SSL_SESSION_free(s->session);
    free(s);
}

static BIO *
openssl_bio(void)
{
    BIO *bio = BIO_new(BIO_s_mem());

    openssl_check(bio != NULL, "OpenSSL: BIO");
    /* Empty: try again later. */
    BIO_set_mem_eof_return(bio, -1);
    return bio;
}

static void
openssl_join(struct openssl_conn *c, enum bench_transport transport)
{
    BIO *bio[2];
    int fd[2];

    if (transport == BENCH_SOCKETS) {
        bench_sockets(fd);
        for (unsigned i = 0; i < 2; i++) {
            bio[i] = BIO_new_socket(fd[i], BIO_CLOSE);
            openssl_check(bio[i] != NULL, "OpenSSL: BIO");
            SSL_set_bio(c->end[i], bio[i], bio[i]);
        }
        return;
    }
    bio[0] = openssl_bio();
    bio[1] = openssl_bio();
    openssl_check(BIO_up_ref(bio[0]) == 1 && BIO_up_ref(bio[1]) == 1,
                  "OpenSSL: BIO");
    SSL_set_bio(c->end[0], bio[0], bio[1]);
    SSL_set_bio(c->end[1], bio[1], bio[0]);
}

static void *
openssl_connect(void *setup, enum bench_transport transport, size_t room)
{
    struct openssl_setup *s = setup;
    struct openssl_conn *c = calloc(1, sizeof(*c));

    (void)room; /* a memory BIO grows */
    bench_check(c != NULL, "memory");
    for (unsigned i = 0; i < 2; i++) {
        c->end[i] = SSL_new(s->ctx[i]);
        openssl_check(c->end[i] != NULL, "OpenSSL: connection");
    }
    openssl_join(c, transport);
    openssl_check(SSL_set1_host(c->end[0], "server.example") == 1 &&
                      SSL_set_tlsext_host_name(c->end[0], "server.example") ==
                          1,
                  "OpenSSL: name");
    if (s->session != NULL)
        openssl_check(SSL_set_session(c->end[0], s->session) == 1,
                      "OpenSSL: session");
    SSL_set_connect_state(c->end[0]);
    SSL_set_accept_state(c->end[1]);
    return c;
}

static bool
openssl_step(void *conn, enum bench_end end)
{
    struct openssl_conn *c = conn;
    int result = SSL_do_handshake(c->end[end]);
    int error = SSL_get_error(c->end[end], result);

    openssl_check(result == 1 || error == SSL_ERROR_WANT_READ ||
                      error == SSL_ERROR_WANT_WRITE,
                  "OpenSSL: handshake");
    return result == 1;
}

static void
openssl_write(void *conn, enum bench_end end, const uint8_t *buf, size_t len)
{
    struct openssl_conn *c = conn;
    size_t done;

    openssl_check(SSL_write_ex(c->end[end], buf, len, &done) == 1 &&
                      done == len,
                  "OpenSSL: write");
}

static size_t
openssl_read(void *conn, enum bench_end end, uint8_t *buf, size_t cap)
{
    struct openssl_conn *c = conn;
    size_t done;

    openssl_check(SSL_read_ex(c->end[end], buf, cap, &done) == 1,
                  "OpenSSL: read");
    return done;
}

static void
openssl_take_ticket(void *conn)
{
    struct openssl_conn *c = conn;
    uint8_t byte;
    size_t done;

    openssl_check(SSL_read_ex(c->end[0], &byte, 1, &done) == 0,
                  "OpenSSL: ticket");
    /* It would not resume the session of a connection that was cut. */
    SSL_set_shutdown(c->end[0], SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

static bool
openssl_is_resumed(void *conn)
{
    struct openssl_conn *c = conn;

    return SSL_session_reused(c->end[0]) == 1;
}

static void
openssl_settle(void *conn, enum bench_end end)
{
    struct openssl_conn *c = conn;
    uint8_t byte;
    size_t done;
    int result = SSL_read_ex(c->end[end], &byte, 1, &done);

    openssl_check(result == 0 &&
                      SSL_get_error(c->end[end], result) == SSL_ERROR_WANT_READ,
                  "OpenSSL: nothing to read");
}

static void
openssl_close_end(void *conn, enum bench_end end)
{
    struct openssl_conn *c = conn;

    SSL_free(c->end[end]);
}

static void
openssl_close(void *conn)
{
    free(conn);
}

const struct bench_peer bench_openssl = {
    .name = "OpenSSL",
    .version = openssl_version,
    .setup = openssl_setup,
    .teardown = openssl_teardown,
    .connect = openssl_connect,
    .step = openssl_step,
    .write = openssl_write,
    .read = openssl_read,
    .take_ticket = openssl_take_ticket,
    .is_resumed = openssl_is_resumed,
    .settle = openssl_settle,
    .close_end = openssl_close_end,
    .close = openssl_close,
};
