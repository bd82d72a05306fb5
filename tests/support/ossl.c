/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include <flow/flow.h>

#include "ossl.h"
#include "pki.h"
#include "stacks.h"
#include "test.h"

static void
count_alert(struct ossl *o, bool out, const uint8_t *alert)
{
    if (out) {
        o->alert_out = alert[1];
        o->close_notify_out += alert[1] == 0;
        return;
    }
    o->alert_in = alert[1];
    o->close_notify_in += alert[1] == 0;
    o->fatal_in += alert[0] == 2 && alert[1] != 0;
}

/* OpenSSL's message callback: sees every message decrypted. */
static void
on_message(int out, int version, int type, const void *data, size_t len,
           SSL *ssl, void *arg)
{
    struct ossl *o = arg;
    const uint8_t *p = data;

    (void)version;
    (void)ssl;
    if (type == SSL3_RT_ALERT && len == 2)
        count_alert(o, out != 0, p);
    if (type == SSL3_RT_HEADER && !out)
        o->records_in++;
    if (type == SSL3_RT_HANDSHAKE && len == 5 && p[0] == SSL3_MT_KEY_UPDATE) {
        if (out) {
            o->key_update_out++;
        } else {
            o->key_update_in++;
            o->key_update_asked += p[4];
        }
    }
}

void
ossl_use_key(struct ossl *o, const char *chain, const char *key)
{
    assert_int_equal(SSL_CTX_use_certificate_chain_file(o->ctx, pki(chain)), 1);
    assert_int_equal(
        SSL_CTX_use_PrivateKey_file(o->ctx, pki(key), SSL_FILETYPE_PEM), 1);
}

void
ossl_init(struct ossl *o, bool server, int version)
{
    memset(o, 0, sizeof(*o));
    o->server = server;
    o->alert_in = o->alert_out = -1;
    o->ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    assert_non_null(o->ctx);
    SSL_CTX_set_min_proto_version(o->ctx, version ? version : TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(o->ctx, version ? version : TLS1_3_VERSION);
    SSL_CTX_set_mode(o->ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* Where versions of OpenSSL differ: which groups are offered first, and
     * from which security level on suites with short tags are refused. */
    assert_int_equal(
        SSL_CTX_set1_groups_list(o->ctx, "X25519:P-256:X448:P-521:P-384"), 1);
    SSL_CTX_set_security_level(o->ctx, 0);
    if (server) {
        ossl_use_key(o, "p256.pem", "p256.key");
        return;
    }
    assert_int_equal(SSL_CTX_load_verify_locations(o->ctx, pki("ca.pem"), NULL),
                     1);
    SSL_CTX_set_verify(o->ctx, SSL_VERIFY_PEER, NULL);
}

void
ossl_start(struct ossl *o, struct flow *wire)
{
    o->ssl = SSL_new(o->ctx);
    o->in = BIO_new(BIO_s_mem());
    o->out = BIO_new(BIO_s_mem());
    assert_true(o->ssl != NULL && o->in != NULL && o->out != NULL);
    SSL_set_bio(o->ssl, o->in, o->out);
    SSL_set_msg_callback(o->ssl, on_message);
    SSL_set_msg_callback_arg(o->ssl, o);
    o->wire = wire;
    if (o->server) {
        SSL_set_accept_state(o->ssl);
        return;
    }
    SSL_set_connect_state(o->ssl);
    assert_int_equal(SSL_set_tlsext_host_name(o->ssl, "server.example"), 1);
    assert_int_equal(SSL_set1_host(o->ssl, "server.example"), 1);
}

void
ossl_free(struct ossl *o)
{
    /* Without a close_notify OpenSSL marks the session as not resumable. */
    if (o->ssl != NULL)
        SSL_set_shutdown(o->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(o->ssl);
    SSL_CTX_free(o->ctx);
    ERR_clear_error();
    o->ssl = NULL;
    o->ctx = NULL;
}

static bool
from_wire(struct ossl *o)
{
    enum flow_status st;
    uint8_t buf[4096];
    size_t n;

    if (o->wire == NULL || o->wire_ended)
        return false;
    st = flow_read(o->wire, buf, sizeof(buf), &n);
    if (st == FLOW_EOF || st < 0) {
        o->wire_ended = true;
        BIO_set_mem_eof_return(o->in, 0);
        return true;
    }
    if (n > 0)
        BIO_write(o->in, buf, (int)n);
    return n > 0;
}

static bool
to_wire(struct ossl *o)
{
    bool moved = false;
    size_t n;
    int got;

    if (o->wire == NULL)
        return false;
    for (;;) {
        if (o->held_len == 0) {
            got = BIO_read(o->out, o->held, sizeof(o->held));
            if (got <= 0)
                return moved;
            o->held_len = (size_t)got;
        }
        if (flow_write(o->wire, o->held, o->held_len, &n) != FLOW_OK)
            return moved;
        moved = true;
        o->held_len -= n;
        memmove(o->held, o->held + n, o->held_len);
    }
}

bool
ossl_step(struct ossl *o)
{
    bool moved = from_wire(o);

    if (!SSL_is_init_finished(o->ssl)) {
        ERR_clear_error();
        (void)SSL_do_handshake(o->ssl);
    }
    return to_wire(o) || moved;
}

bool
ossl_open(const struct ossl *o)
{
    return SSL_is_init_finished(o->ssl) != 0;
}

int
ossl_read(struct ossl *o, void *buf, size_t len)
{
    int n, err;

    ossl_step(o);
    ERR_clear_error();
    n = SSL_read(o->ssl, buf, (int)len);
    to_wire(o);
    if (n > 0)
        return n;
    err = SSL_get_error(o->ssl, n);
    if (err == SSL_ERROR_WANT_READ || err == SSL_ERROR_WANT_WRITE)
        return 0;
    return err == SSL_ERROR_ZERO_RETURN ? -2 : -1;
}

bool
ossl_write(struct ossl *o, const void *buf, size_t len)
{
    int n;

    ERR_clear_error();
    n = SSL_write(o->ssl, buf, (int)len);
    to_wire(o);
    return n == (int)len;
}

X509 *
ossl_load_certificate(const char *file)
{
    FILE *f = fopen(pki(file), "r");
    X509 *cert;

    assert_non_null(f);
    cert = PEM_read_X509(f, NULL, NULL, NULL);
    assert_non_null(cert);
    fclose(f);
    return cert;
}

unsigned char *
ossl_revoke(const char *file, int *ret_len)
{
    X509_CRL *crl = X509_CRL_new();
    X509_REVOKED *entry = X509_REVOKED_new();
    X509 *ca = ossl_load_certificate("ca.pem"),
         *cert = ossl_load_certificate(file);
    ASN1_TIME *now = ASN1_TIME_new();
    unsigned char *der = NULL;
    FILE *f = fopen(pki("ca.key"), "r");
    EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);

    fclose(f);
    X509_CRL_set_version(crl, 1);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca));
    X509_gmtime_adj(now, -3600);
    X509_CRL_set1_lastUpdate(crl, now);
    X509_REVOKED_set_revocationDate(entry, now);
    X509_gmtime_adj(now, 3600);
    X509_CRL_set1_nextUpdate(crl, now);
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(cert));
    X509_CRL_add0_revoked(crl, entry);
    assert_true(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
    *ret_len = i2d_X509_CRL(crl, &der);
    ASN1_TIME_free(now);
    X509_CRL_free(crl);
    X509_free(ca);
    X509_free(cert);
    EVP_PKEY_free(key);
    return der;
}
