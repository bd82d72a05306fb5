/* SPDX-License-Identifier: ISC */
#ifndef TEST_SUPPORT_OSSL_H
#define TEST_SUPPORT_OSSL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

struct flow;

/*
 * OpenSSL as the other end, in process: over memory, or over a flow.  It sees
 * the messages that it sends and receives in the clear, so it is what counts
 * alerts and KeyUpdates.
 *
 *     ossl_init(&o, true, TLS1_3_VERSION);
 *     SSL_CTX_set_ciphersuites(o.ctx, "TLS_AES_128_CCM_SHA256");
 *     ossl_start(&o, e.b);
 */
struct ossl {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in;  /* Bytes received from the wire. */
    BIO *out; /* Bytes to be sent to it. */
    struct flow *wire;
    uint8_t held[32768]; /* From out; not yet accepted. */
    size_t held_len;
    bool server;
    bool wire_ended;
    bool fin_sent;       /* shutdown(WRITE) on the wire has succeeded. */
    unsigned records_in; /* Records received, counted by their headers. */
    unsigned close_notify_in;
    unsigned close_notify_out;
    unsigned fatal_in;         /* Fatal alerts received. */
    int alert_in;              /* The last alert received, -1 for none. */
    int alert_out;             /* The last alert sent, -1 for none. */
    unsigned key_update_in;    /* KeyUpdates received. */
    unsigned key_update_asked; /* Those of them that requested ours. */
    unsigned key_update_out;
};

/* A context with the test keys: a server is "server.example", a client trusts
 * the test CA and verifies.  version 0 allows 1.2 and 1.3. */
void ossl_init(struct ossl *o, bool server, int version);
/* Use another key pair of the test keys. */
void ossl_use_key(struct ossl *o, const char *chain, const char *key);
/* Make the connection.  wire NULL: over memory only. */
void ossl_start(struct ossl *o, struct flow *wire);
void ossl_free(struct ossl *o);

/* Move bytes between the BIOs and the wire and drive the handshake; whether
 * anything moved. */
bool ossl_step(struct ossl *o);
bool ossl_open(const struct ossl *o);
/* Read; the number of bytes, 0 if there are none now, -1 after an error, -2
 * after close_notify. */
int ossl_read(struct ossl *o, void *buf, size_t len);
/* Write everything or nothing. */
bool ossl_write(struct ossl *o, const void *buf, size_t len);

/* The first certificate of a file of the test CA; the caller frees it. */
X509 *ossl_load_certificate(const char *file);
/* A list in DER that revokes one certificate of the test CA; the caller frees
 * it with OPENSSL_free(). */
unsigned char *ossl_revoke(const char *file, int *ret_len);

#endif
