/* SPDX-License-Identifier: ISC */
#include "evil.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "pki.h"
#include "stacks.h"
#include "test.h"

#define HEADER     5
#define KEY_UPDATE 24
/* Rounds of evil_run() without a change after which it returns. */
#define QUIET 3

unsigned evil_wrong;

static struct evil *
evil_of(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

static size_t
from_hex(const char *hex, uint8_t *out, size_t cap)
{
    size_t n = 0;
    unsigned byte;

    while (n < cap && sscanf(hex + 2 * n, "%2x", &byte) == 1)
        out[n++] = (uint8_t)byte;
    return n;
}

static void
make_ciphers12(struct evil *e)
{
    uint8_t client[32], server[32];

    SSL_get_client_random(e->peer.ssl, client, sizeof(client));
    SSL_get_server_random(e->peer.ssl, server, sizeof(server));
    cipher_init12(&e->open[EVIL_DATA], e->master, client, server, e->we_serve);
    e->seal[EVIL_DATA] = e->open[EVIL_DATA];
}

/* A line of OpenSSL's key log: label, client random, secret. */
static void
on_keylog(const SSL *ssl, const char *line)
{
    static const struct {
        const char *label;
        int epoch;
        int server;
    } labels[] = {
        { "CLIENT_HANDSHAKE_TRAFFIC_SECRET ", EVIL_HANDSHAKE, 0 },
        { "SERVER_HANDSHAKE_TRAFFIC_SECRET ", EVIL_HANDSHAKE, 1 },
        { "CLIENT_TRAFFIC_SECRET_0 ", EVIL_DATA, 0 },
        { "SERVER_TRAFFIC_SECRET_0 ", EVIL_DATA, 1 },
    };
    struct evil *e = evil_of(ssl);
    const char *hex = strrchr(line, ' ') + 1;
    size_t i;

    if (strncmp(line, "CLIENT_RANDOM ", 14) == 0) {
        assert_int_equal(from_hex(hex, e->master, 48), 48);
        e->has_master = true;
        make_ciphers12(e);
    }
    for (i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        uint8_t *secret = e->secret[labels[i].epoch - 1][labels[i].server];

        if (strncmp(line, labels[i].label, strlen(labels[i].label)) != 0)
            continue;
        assert_int_equal(from_hex(hex, secret, CIPHER_SECRET), CIPHER_SECRET);
        e->has_secret[labels[i].epoch - 1][labels[i].server] = true;
        /* The secrets of the peer's direction. */
        if ((labels[i].server != 0) != e->we_serve) {
            cipher_init13(&e->open[labels[i].epoch], secret);
            e->seal[labels[i].epoch] = e->open[labels[i].epoch];
        }
    }
}

void
evil_init(struct evil *e, bool we_serve, int version)
{
    enum flow_tls_version v = (enum flow_tls_version)version;

    memset(e, 0, sizeof(*e));
    e->we_serve = we_serve;
    e->tls12 = version == 0x0303;
    e->status = FLOW_AGAIN;
    loop_init(&e->loop, TEST_ENV);
    ossl_init(&e->peer, !we_serve, version);
    SSL_CTX_set_ciphersuites(e->peer.ctx, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_cipher_list(e->peer.ctx, "ECDHE-ECDSA-AES128-GCM-SHA256");
    SSL_CTX_set_num_tickets(e->peer.ctx, 0);
    SSL_CTX_set_options(e->peer.ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_keylog_callback(e->peer.ctx, on_keylog);
    if (we_serve) {
        assert_status(flow_tls_config_new_server(TEST_ENV, &e->config, NULL),
                      FLOW_OK);
        assert_status(
            flow_tls_config_add_keypair_file(e->config, pki("p256.pem"),
                                             pki("p256.key"), NULL, NULL, NULL),
            FLOW_OK);
    } else {
        assert_status(flow_tls_config_new_client(TEST_ENV, &e->config, NULL),
                      FLOW_OK);
        assert_status(
            flow_tls_config_add_trust_file(e->config, pki("ca.pem"), NULL),
            FLOW_OK);
    }
    assert_status(flow_tls_config_set_versions(e->config, v, v), FLOW_OK);
}

void
evil_start(struct evil *e)
{
    if (e->we_serve)
        assert_status(
            flow_tls_wrap_server(e->config, &e->loop.base, 0, &e->ours, NULL),
            FLOW_OK);
    else
        assert_status(flow_tls_wrap_client(e->config, &e->loop.base,
                                           "server.example", 0, &e->ours, NULL),
                      FLOW_OK);
    ossl_start(&e->peer, NULL);
    SSL_set_app_data(e->peer.ssl, e);
}

void
evil_free(struct evil *e)
{
    flow_close(e->ours);
    if (e->ours != NULL)
        assert_int_equal(e->loop.closes, 1);
    else if (e->loop.closes == 0)
        flow_close(&e->loop.base);
    flow_tls_config_unref(e->config);
    ossl_free(&e->peer);
    loop_free(&e->loop);
}

void
evil_raw(struct evil *e, const void *data, size_t len)
{
    loop_put(&e->loop, data, len);
}

void
evil_plain(struct evil *e, uint8_t type, const void *content, size_t len)
{
    uint8_t header[HEADER] = { type, 3, 3, (uint8_t)(len >> 8), (uint8_t)len };

    loop_put(&e->loop, header, sizeof(header));
    loop_put(&e->loop, content, len);
}

static void
sealed(struct evil *e, enum evil_epoch epoch, uint8_t type, const void *content,
       size_t len, size_t pad)
{
    static uint8_t record[CIPHER_MAX + 64];
    size_t n = cipher_seal(&e->seal[epoch], type, content, len, pad, record);

    loop_put(&e->loop, record, n);
}

void
evil_sealed(struct evil *e, enum evil_epoch epoch, uint8_t type,
            const void *content, size_t len)
{
    if (epoch == EVIL_PLAIN)
        evil_plain(e, type, content, len);
    else
        sealed(e, epoch, type, content, len, 0);
}

void
evil_pass(struct evil *e, struct evil_record *r)
{
    if (r->drop)
        return;
    r->drop = true;
    if (r->epoch == EVIL_PLAIN)
        evil_plain(e, r->type, r->content, r->len);
    else
        sealed(e, r->epoch, r->type, r->content, r->len, r->pad);
}

/* Open a record of OpenSSL; the epoch whose key protects it. */
static void
open_record(struct evil *e, const uint8_t *record, size_t len,
            struct evil_record *r)
{
    int n = -1;

    memset(r, 0, sizeof(*r));
    if (e->tls12 ? !e->changed : record[0] != 23) {
        r->type = record[0];
        r->len = len - HEADER;
        memcpy(r->content, record + HEADER, r->len);
        e->changed = e->changed || record[0] == 20;
        return;
    }
    for (r->epoch = e->tls12 ? EVIL_DATA : EVIL_HANDSHAKE; n < 0; r->epoch++) {
        assert_true(r->epoch <= EVIL_DATA);
        n = cipher_open(&e->open[r->epoch], record, len, &r->type, r->content);
        if (n >= 0)
            break;
    }
    r->len = (size_t)n;
}

static void
take_record(struct evil *e, const uint8_t *record, size_t len)
{
    static struct evil_record r;

    open_record(e, record, len, &r);
    if (e->edit != NULL)
        e->edit(e, &r);
    evil_pass(e, &r);
}

static bool
from_openssl(struct evil *e)
{
    size_t off = 0, len;
    int n = BIO_read(e->peer.out, e->partial + e->partial_len,
                     (int)(sizeof(e->partial) - e->partial_len));

    if (n <= 0)
        return false;
    e->partial_len += (size_t)n;
    while (e->partial_len - off >= HEADER) {
        const uint8_t *p = e->partial + off;

        len = HEADER + (size_t)(p[3] << 8 | p[4]);
        if (e->partial_len - off < len)
            break;
        take_record(e, p, len);
        off += len;
    }
    memmove(e->partial, e->partial + off, e->partial_len - off);
    e->partial_len -= off;
    return true;
}

static bool
to_openssl(struct evil *e)
{
    size_t n = e->loop.out_len - e->given;

    if (n > 0)
        BIO_write(e->peer.in, e->loop.out + e->given, (int)n);
    e->given += n;
    return n > 0;
}

static bool
step_ours(struct evil *e)
{
    size_t before = e->loop.out_len + e->loop.in_off;

    if (e->status == FLOW_AGAIN)
        e->status = flow_open(e->ours);
    return e->loop.out_len + e->loop.in_off != before;
}

void
evil_run(struct evil *e)
{
    int quiet = 0;

    while (quiet < QUIET) {
        bool moved = step_ours(e);

        moved = to_openssl(e) || moved;
        (void)ossl_step(&e->peer);
        moved = from_openssl(e) || moved;
        quiet = moved ? 0 : quiet + 1;
    }
}

void
evil_open(struct evil *e, bool we_serve, int version)
{
    evil_init(e, we_serve, version);
    evil_start(e);
    evil_run(e);
    assert_status(e->status, FLOW_OK);
    assert_true(ossl_open(&e->peer));
}

enum flow_status
evil_read(struct evil *e, void *buf, size_t len, size_t *ret_len)
{
    return flow_read(e->ours, buf, len, ret_len);
}

/* The ciphers of our side, from the first record on. */
static void
our_ciphers(struct evil *e, struct cipher c[3], uint8_t secret[CIPHER_SECRET])
{
    uint8_t client[32], server[32];
    int us = e->we_serve ? 1 : 0, epoch;

    memset(c, 0, 3 * sizeof(*c));
    for (epoch = 0; epoch < 2; epoch++)
        if (e->has_secret[epoch][us])
            cipher_init13(&c[epoch + 1], e->secret[epoch][us]);
    memcpy(secret, e->secret[1][us], CIPHER_SECRET);
    if (!e->has_master)
        return;
    SSL_get_client_random(e->peer.ssl, client, sizeof(client));
    SSL_get_server_random(e->peer.ssl, server, sizeof(server));
    cipher_init12(&c[EVIL_DATA], e->master, client, server, !e->we_serve);
}

static void
note_alert(struct evil_alert *a, const uint8_t *content, enum evil_epoch epoch)
{
    a->number = content[1];
    a->epoch = epoch;
    a->last = true;
    a->fatal += content[0] == 2 && content[1] != 0;
    a->closes += content[1] == 0;
    a->warnings += content[0] == 1 && content[1] != 0;
}

/* Open a record of ours; its type, 0 if no key opens it. */
static uint8_t
read_ours(const struct evil *e, struct cipher c[3], bool *changed,
          const uint8_t *record, size_t len, uint8_t *content, int *ret_len,
          enum evil_epoch *ret_epoch)
{
    uint8_t type = record[0];

    *ret_epoch = EVIL_PLAIN;
    *ret_len = (int)len - HEADER;
    if (e->tls12 ? !*changed : type != 23) {
        *changed = *changed || type == 20;
        memcpy(content, record + HEADER, len - HEADER);
        return type;
    }
    for (*ret_epoch = EVIL_HANDSHAKE; *ret_epoch <= EVIL_DATA; ++*ret_epoch) {
        *ret_len = cipher_open(&c[*ret_epoch], record, len, &type, content);
        if (*ret_len >= 0)
            return type;
    }
    return 0;
}

void
evil_alerts(struct evil *e, struct evil_alert *ret)
{
    static uint8_t content[CIPHER_MAX];
    uint8_t secret[CIPHER_SECRET];
    struct cipher c[3];
    bool changed = false;
    size_t off = 0, len;

    memset(ret, 0, sizeof(*ret));
    ret->number = -1;
    our_ciphers(e, c, secret);
    for (; off < e->loop.out_len; off += len) {
        const uint8_t *p = e->loop.out + off;
        enum evil_epoch epoch;
        uint8_t type;
        int n;

        assert_true(e->loop.out_len - off >= HEADER);
        len = HEADER + (size_t)(p[3] << 8 | p[4]);
        assert_true(e->loop.out_len - off >= len);
        type = read_ours(e, c, &changed, p, len, content, &n, &epoch);
        ret->last = false;
        ret->unknown += type == 0;
        if (type == 21 && n == 2)
            note_alert(ret, content, epoch);
        if (type == 22 && epoch == EVIL_DATA && !e->tls12 && n == 5 &&
            content[0] == KEY_UPDATE) {
            ret->updates++;
            cipher_update(&c[EVIL_DATA], secret);
        }
    }
}

const char *
evil_text(struct evil *e)
{
    static char line[400];
    struct flow_error err;

    flow_get_error(e->ours, FLOW_READ, &err);
    (void)flow_error_format(&err, line, sizeof(line));
    return line;
}

static void
wrong(struct evil *e, const char *what, const char *file, int line)
{
    print_error("%s:%d: %s: %s\n", file, line, what, evil_text(e));
    evil_wrong++;
}

static void
check(struct evil *e, int alert, enum evil_epoch epoch, const char *file,
      int line)
{
    struct flow_error err;
    struct evil_alert a;

    flow_get_error(e->ours, FLOW_READ, &err);
    evil_alerts(e, &a);
    if (err.alert_sent == alert && a.number == alert && a.unknown == 0 &&
        (alert < 0 || (a.epoch == epoch && a.last && a.fatal == 1)))
        return;
    wrong(e, "another alert", file, line);
    print_error("  wanted alert %d under key %d; the error has %d, the wire "
                "%d under key %d (%d fatal, %s, %u unreadable)\n",
                alert, epoch, err.alert_sent, a.number, a.epoch, a.fatal,
                a.last ? "last" : "not last", a.unknown);
}

void
evil_check(struct evil *e, enum flow_status status, int alert,
           enum evil_epoch epoch, const char *file, int line)
{
    size_t out = e->loop.out_len;
    struct flow_error err;

    if (e->status != status) {
        wrong(e, flow_status_name(e->status), file, line);
        return;
    }
    flow_get_error(e->ours, FLOW_READ, &err);
    if (err.text == NULL || err.status != status || err.layer_count == 0 ||
        strcmp(err.layers[0], "tls") != 0)
        wrong(e, "no reason", file, line);
    check(e, alert, epoch, file, line);
    if (flow_open(e->ours) != status || e->loop.out_len != out ||
        e->loop.closes != 0)
        wrong(e, "not final", file, line);
}

void
evil_check_read(struct evil *e, enum flow_status status, int alert,
                enum evil_epoch epoch, const char *file, int line)
{
    size_t n, bound = e->loop.in_len - e->loop.in_off + 1;
    enum flow_status st;
    uint8_t buf[64];

    do
        st = flow_read(e->ours, buf, sizeof(buf), &n);
    while (st == FLOW_OK && bound-- > 0);
    if (st != status) {
        wrong(e, flow_status_name(st), file, line);
        return;
    }
    check(e, alert, epoch, file, line);
    /* A failed flow reads and writes no more, and sends no further record. */
    if (flow_read(e->ours, buf, 1, &n) != status ||
        flow_write(e->ours, "x", 1, &n) >= 0 || e->loop.closes != 0)
        wrong(e, "not final", file, line);
    check(e, alert, epoch, file, line);
}
