/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <psa/crypto.h>

#include "link.h"
#include "peer.h"

/*
 * mbedTLS in its stock configuration: over functions that move bytes through a
 * struct link, or read(2) and write(2).
 */

struct mbed_setup {
    mbedtls_ssl_config conf[2];
    mbedtls_x509_crt trust;
    mbedtls_x509_crt chain;
    mbedtls_pk_context key;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context drbg;
    int suite[2];
    uint16_t group[3];
};

struct mbed_half {
    mbedtls_ssl_context ssl;
    struct link *link;
    enum bench_end end;
};

struct mbed_conn {
    struct mbed_half end[2];
    struct link link;
};

static const char *
mbed_version(void)
{
    return MBEDTLS_VERSION_STRING;
}

static int
mbed_suite(const struct bench_terms *terms)
{
    static const int tls13[] = { 0x1301, 0x1302, 0x1303, 0x1304 };
    static const int tls12[2][4] = { { 0xc02b, 0xc02c, 0xcca9, 0xc0ac },
                                     { 0xc02f, 0xc030, 0xcca8 } };

    return terms->tls13 ? tls13[terms->suite]
                        : tls12[terms->is_rsa][terms->suite];
}

static void
mbed_configure(struct mbed_setup *s, unsigned end, bool tls13)
{
    mbedtls_ssl_config *conf = &s->conf[end];
    const mbedtls_ssl_protocol_version version =
        tls13 ? MBEDTLS_SSL_VERSION_TLS1_3 : MBEDTLS_SSL_VERSION_TLS1_2;

    mbedtls_ssl_config_init(conf);
    bench_check(
        mbedtls_ssl_config_defaults(
            conf,
            end == BENCH_SERVER ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
            MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT) == 0,
        "mbedTLS: configuration");
    mbedtls_ssl_conf_rng(conf, mbedtls_ctr_drbg_random, &s->drbg);
    mbedtls_ssl_conf_min_tls_version(conf, version);
    mbedtls_ssl_conf_max_tls_version(conf, version);
    mbedtls_ssl_conf_ciphersuites(conf, s->suite);
    mbedtls_ssl_conf_groups(conf, s->group);
    if (end == BENCH_SERVER) {
        mbedtls_ssl_conf_new_session_tickets(conf, 0);
        bench_check(mbedtls_ssl_conf_own_cert(conf, &s->chain, &s->key) == 0,
                    "mbedTLS: certificate");
    } else {
        mbedtls_ssl_conf_authmode(conf, MBEDTLS_SSL_VERIFY_REQUIRED);
        mbedtls_ssl_conf_ca_chain(conf, &s->trust, NULL);
    }
}

static void *
mbed_setup(const struct bench_terms *terms)
{
    struct mbed_setup *s = NULL;
    uint16_t *group;
    const char *chain = bench_key(terms->is_rsa ? "rsa.pem" : "p256.pem");
    const char *key = bench_key(terms->is_rsa ? "rsa.key" : "p256.key");

    if (terms->resumes)
        return NULL;
    s = calloc(1, sizeof(*s));
    bench_check(s != NULL, "memory");
    group = s->group;
    bench_check(psa_crypto_init() == PSA_SUCCESS, "mbedTLS: PSA");
    mbedtls_entropy_init(&s->entropy);
    mbedtls_ctr_drbg_init(&s->drbg);
    bench_check(mbedtls_ctr_drbg_seed(&s->drbg, mbedtls_entropy_func,
                                      &s->entropy, NULL, 0) == 0,
                "mbedTLS: random numbers");
    mbedtls_x509_crt_init(&s->trust);
    mbedtls_x509_crt_init(&s->chain);
    mbedtls_pk_init(&s->key);
    bench_check(mbedtls_x509_crt_parse_file(&s->chain, chain) == 0 &&
                    mbedtls_pk_parse_keyfile(&s->key, key, NULL,
                                             mbedtls_ctr_drbg_random,
                                             &s->drbg) == 0,
                "mbedTLS: certificate");
    bench_check(mbedtls_x509_crt_parse_file(&s->trust, bench_key("ca.pem")) ==
                    0,
                "mbedTLS: trust");
    s->suite[0] = mbed_suite(terms);
    if (terms->group == BENCH_X25519)
        *group++ = MBEDTLS_SSL_IANA_TLS_GROUP_X25519;
    *group = MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1;
    for (unsigned i = 0; i < 2; i++)
        mbed_configure(s, i, terms->tls13);
    return s;
}

static void
mbed_teardown(void *setup)
{
    struct mbed_setup *s = setup;

    mbedtls_ssl_config_free(&s->conf[0]);
    mbedtls_ssl_config_free(&s->conf[1]);
    mbedtls_x509_crt_free(&s->trust);
    mbedtls_x509_crt_free(&s->chain);
    mbedtls_pk_free(&s->key);
    mbedtls_ctr_drbg_free(&s->drbg);
    mbedtls_entropy_free(&s->entropy);
    free(s);
}

static int
mbed_push(void *ctx, const unsigned char *buf, size_t len)
{
    struct mbed_half *end = ctx;
    const int fd = end->link->fd[end->end];
    ssize_t done =
        fd >= 0 ? write(fd, buf, len)
                : (ssize_t)fifo_put(&end->link->fifo[1 - end->end], buf, len);

    return done > 0 ? (int)done : MBEDTLS_ERR_SSL_WANT_WRITE;
}

static int
mbed_pull(void *ctx, unsigned char *buf, size_t cap)
{
    struct mbed_half *end = ctx;
    const int fd = end->link->fd[end->end];
    ssize_t done =
        fd >= 0 ? read(fd, buf, cap)
                : (ssize_t)fifo_get(&end->link->fifo[end->end], buf, cap);

    return done > 0 ? (int)done : MBEDTLS_ERR_SSL_WANT_READ;
}

static void *
mbed_connect(void *setup, enum bench_transport transport, size_t room)
{
    struct mbed_setup *s = setup;
    struct mbed_conn *c = calloc(1, sizeof(*c));

    bench_check(c != NULL, "memory");
    link_open(&c->link, transport, room);
    for (unsigned i = 0; i < 2; i++) {
        struct mbed_half *end = &c->end[i];

        end->link = &c->link;
        end->end = i;
        mbedtls_ssl_init(&end->ssl);
        bench_check(mbedtls_ssl_setup(&end->ssl, &s->conf[i]) == 0,
                    "mbedTLS: connection");
        mbedtls_ssl_set_bio(&end->ssl, end, mbed_push, mbed_pull, NULL);
    }
    bench_check(mbedtls_ssl_set_hostname(&c->end[0].ssl, "server.example") == 0,
                "mbedTLS: name");
    return c;
}

static bool
mbed_step(void *conn, enum bench_end end)
{
    struct mbed_conn *c = conn;
    int result = mbedtls_ssl_handshake(&c->end[end].ssl);

    bench_check(result == 0 || result == MBEDTLS_ERR_SSL_WANT_READ ||
                    result == MBEDTLS_ERR_SSL_WANT_WRITE,
                "mbedTLS: handshake");
    return result == 0;
}

static void
mbed_write(void *conn, enum bench_end end, const uint8_t *buf, size_t len)
{
    struct mbed_conn *c = conn;

    /* A record of TLS 1.3 holds some bytes less than others' do. */
    while (len > 0) {
        int done = mbedtls_ssl_write(&c->end[end].ssl, buf, len);

        bench_check(done > 0, "mbedTLS: write");
        buf += done;
        len -= (size_t)done;
    }
}

static size_t
mbed_read(void *conn, enum bench_end end, uint8_t *buf, size_t cap)
{
    struct mbed_conn *c = conn;
    int done = mbedtls_ssl_read(&c->end[end].ssl, buf, cap);

    bench_check(done > 0, "mbedTLS: read");
    return (size_t)done;
}

static void
mbed_settle(void *conn, enum bench_end end)
{
    struct mbed_conn *c = conn;
    uint8_t byte;

    bench_check(mbedtls_ssl_read(&c->end[end].ssl, &byte, 1) ==
                    MBEDTLS_ERR_SSL_WANT_READ,
                "mbedTLS: nothing to read");
}

static void
mbed_close_end(void *conn, enum bench_end end)
{
    struct mbed_conn *c = conn;

    mbedtls_ssl_free(&c->end[end].ssl);
    link_close_end(&c->link, end);
}

static void
mbed_close(void *conn)
{
    struct mbed_conn *c = conn;

    link_close(&c->link);
    free(c);
}

const struct bench_peer bench_mbedtls = {
    .name = "mbedTLS",
    .version = mbed_version,
    .setup = mbed_setup,
    .teardown = mbed_teardown,
    .connect = mbed_connect,
    .step = mbed_step,
    .write = mbed_write,
    .read = mbed_read,
    .settle = mbed_settle,
    .close_end = mbed_close_end,
    .close = mbed_close,
};
