/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <gnutls/gnutls.h>

#include "link.h"
#include "peer.h"

/* GnuTLS: over functions that move bytes through a struct link, or over its own
 * calls of a socket. */

struct gtls_setup {
    gnutls_certificate_credentials_t cred[2];
    gnutls_priority_t priority;
};

/* One end, and where its bytes come from and go. */
struct gtls_half {
    gnutls_session_t session;
    struct link *link;
    enum bench_end end;
};

struct gtls_conn {
    struct gtls_half end[2];
    struct link link;
};

static void
gtls_ok(int result, const char *what)
{
    if (result < 0)
        fprintf(stderr, "GnuTLS: %s\n", gnutls_strerror(result));
    bench_check(result >= 0, what);
}

static const char *
gtls_version(void)
{
    return gnutls_check_version(NULL);
}

static void
gtls_limit(struct gtls_setup *s, const struct bench_terms *terms)
{
    static const char *const suite[] = { "AES-128-GCM", "AES-256-GCM",
                                         "CHACHA20-POLY1305", "AES-128-CCM" };
    char text[512];

    (void)snprintf(text, sizeof(text),
                   "NONE:+VERS-TLS1.%d:+%s:+AEAD:+%s:+GROUP-%s:+SIGN-ALL:"
                   "+CTYPE-SRV-X509:+CTYPE-CLI-X509",
                   terms->tls13 ? 3 : 2, suite[terms->suite],
                   terms->is_rsa ? "ECDHE-RSA" : "ECDHE-ECDSA",
                   terms->group == BENCH_X25519 ? "X25519:+GROUP-SECP256R1"
                                                : "SECP256R1");
    gtls_ok(gnutls_priority_init(&s->priority, text, NULL),
            "GnuTLS: priorities");
}

static void *
gtls_setup(const struct bench_terms *terms)
{
    struct gtls_setup *s = NULL;
    const char *chain = bench_key(terms->is_rsa ? "rsa.pem" : "p256.pem");
    const char *key = bench_key(terms->is_rsa ? "rsa.key" : "p256.key");

    if (terms->resumes)
        return NULL;
    s = calloc(1, sizeof(*s));
    bench_check(s != NULL, "memory");
    for (unsigned i = 0; i < 2; i++)
        gtls_ok(gnutls_certificate_allocate_credentials(&s->cred[i]),
                "GnuTLS: credentials");
    gtls_ok(gnutls_certificate_set_x509_key_file(s->cred[1], chain, key,
                                                 GNUTLS_X509_FMT_PEM),
            "GnuTLS: certificate");
    gtls_ok(gnutls_certificate_set_x509_trust_file(
                s->cred[0], bench_key("ca.pem"), GNUTLS_X509_FMT_PEM),
            "GnuTLS: trust");
    gtls_limit(s, terms);
    return s;
}

static void
gtls_teardown(void *setup)
{
    struct gtls_setup *s = setup;

    gnutls_certificate_free_credentials(s->cred[0]);
    gnutls_certificate_free_credentials(s->cred[1]);
    gnutls_priority_deinit(s->priority);
    free(s);
}

static ssize_t
gtls_push(gnutls_transport_ptr_t ptr, const void *buf, size_t len)
{
    struct gtls_half *end = ptr;
    size_t done = fifo_put(&end->link->fifo[1 - end->end], buf, len);

    if (done > 0)
        return (ssize_t)done;
    gnutls_transport_set_errno(end->session, EAGAIN);
    return -1;
}

static ssize_t
gtls_pull(gnutls_transport_ptr_t ptr, void *buf, size_t cap)
{
    struct gtls_half *end = ptr;
    size_t done = fifo_get(&end->link->fifo[end->end], buf, cap);

    if (done > 0)
        return (ssize_t)done;
    gnutls_transport_set_errno(end->session, EAGAIN);
    return -1;
}

static void
gtls_open(struct gtls_setup *s, struct gtls_half *end, bool server)
{
    gtls_ok(
        gnutls_init(&end->session, (server ? GNUTLS_SERVER : GNUTLS_CLIENT) |
                                       GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS |
                                       GNUTLS_KEY_SHARE_TOP | GNUTLS_NO_SIGNAL),
        "GnuTLS: session");
    gtls_ok(gnutls_priority_set(end->session, s->priority),
            "GnuTLS: priorities");
    gtls_ok(gnutls_credentials_set(end->session, GNUTLS_CRD_CERTIFICATE,
                                   s->cred[server]),
            "GnuTLS: credentials");
    if (server)
        return;
    gnutls_session_set_verify_cert(end->session, "server.example", 0);
    gtls_ok(gnutls_server_name_set(end->session, GNUTLS_NAME_DNS,
                                   "server.example", 14),
            "GnuTLS: name");
}

static void *
gtls_connect(void *setup, enum bench_transport transport, size_t room)
{
    struct gtls_setup *s = setup;
    struct gtls_conn *c = calloc(1, sizeof(*c));

    bench_check(c != NULL, "memory");
    link_open(&c->link, transport, room);
    for (unsigned i = 0; i < 2; i++) {
        struct gtls_half *end = &c->end[i];

        gtls_open(s, end, i == BENCH_SERVER);
        if (transport == BENCH_SOCKETS) {
            gnutls_transport_set_int(end->session, c->link.fd[i]);
            continue;
        }
        end->link = &c->link;
        end->end = i;
        gnutls_transport_set_ptr(end->session, end);
        gnutls_transport_set_push_function(end->session, gtls_push);
        gnutls_transport_set_pull_function(end->session, gtls_pull);
    }
    return c;
}

static bool
gtls_step(void *conn, enum bench_end end)
{
    struct gtls_conn *c = conn;
    int result = gnutls_handshake(c->end[end].session);

    if (result == GNUTLS_E_AGAIN)
        return false;
    gtls_ok(result, "GnuTLS: handshake");
    return true;
}

static void
gtls_write(void *conn, enum bench_end end, const uint8_t *buf, size_t len)
{
    struct gtls_conn *c = conn;

    bench_check(gnutls_record_send(c->end[end].session, buf, len) ==
                    (ssize_t)len,
                "GnuTLS: write");
}

static size_t
gtls_read(void *conn, enum bench_end end, uint8_t *buf, size_t cap)
{
    struct gtls_conn *c = conn;
    ssize_t done = gnutls_record_recv(c->end[end].session, buf, cap);

    gtls_ok(done < 0 ? (int)done : 0, "GnuTLS: read");
    return (size_t)done;
}

static void
gtls_settle(void *conn, enum bench_end end)
{
    struct gtls_conn *c = conn;
    uint8_t byte;

    bench_check(gnutls_record_recv(c->end[end].session, &byte, 1) ==
                    GNUTLS_E_AGAIN,
                "GnuTLS: nothing to read");
}

static void
gtls_close_end(void *conn, enum bench_end end)
{
    struct gtls_conn *c = conn;

    gnutls_deinit(c->end[end].session);
    link_close_end(&c->link, end);
}

static void
gtls_close(void *conn)
{
    struct gtls_conn *c = conn;

    link_close(&c->link);
    free(c);
}

const struct bench_peer bench_gnutls = {
    .name = "GnuTLS",
    .version = gtls_version,
    .setup = gtls_setup,
    .teardown = gtls_teardown,
    .connect = gtls_connect,
    .step = gtls_step,
    .write = gtls_write,
    .read = gtls_read,
    .settle = gtls_settle,
    .close_end = gtls_close_end,
    .close = gtls_close,
};
