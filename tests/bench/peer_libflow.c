/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include <flow/flow.h>
#include <flow/pair.h>
#include <flow/tls.h>
#include <flow/tls_session.h>
#include <flow/unix.h>

#include "peer.h"

/* libflow: over flow_pair_new() in memory, over adopted descriptors else. */

struct libflow_setup {
    struct flow_tls_config *config[2];
};

struct libflow_conn {
    struct flow *end[2];
};

static const char *
libflow_version(void)
{
    return BENCH_VERSION;
}

static uint16_t
libflow_suite(const struct bench_terms *terms)
{
    static const uint16_t tls13[] = { 0x1301, 0x1302, 0x1303, 0x1304 };
    static const uint16_t tls12[2][4] = { { 0xc02b, 0xc02c, 0xcca9, 0xc0ac },
                                          { 0xc02f, 0xc030, 0xcca8 } };

    return terms->tls13 ? tls13[terms->suite]
                        : tls12[terms->is_rsa][terms->suite];
}

static void
libflow_limit(struct flow_tls_config *c, const struct bench_terms *terms)
{
    const uint16_t suite = libflow_suite(terms);
    const uint16_t group[] = { FLOW_TLS_GROUP_X25519, FLOW_TLS_GROUP_P256 };
    const bool p256 = terms->group == BENCH_P256;
    const enum flow_tls_version version =
        terms->tls13 ? FLOW_TLS_1_3 : FLOW_TLS_1_2;

    bench_check(flow_tls_config_set_versions(c, version, version) == FLOW_OK,
                "libflow: version");
    bench_check(flow_tls_config_set_suites(c, &suite, 1) == FLOW_OK,
                "libflow: suite");
    bench_check(flow_tls_config_set_groups(c, group + p256, 2u - p256) ==
                    FLOW_OK,
                "libflow: group");
}

static void
libflow_resume(struct libflow_setup *s)
{
    struct flow_tls_tickets *tickets;
    struct flow_tls_sessions *store;

    bench_check(flow_tls_tickets_new(NULL, &tickets, NULL) == FLOW_OK &&
                    flow_tls_tickets_set_limits(tickets, 7200, 1) == FLOW_OK &&
                    flow_tls_config_set_tickets(s->config[1], tickets, 0,
                                                NULL) == FLOW_OK,
                "libflow: tickets");
    bench_check(flow_tls_sessions_new(NULL, &store, NULL) == FLOW_OK &&
                    flow_tls_config_set_sessions(s->config[0], store, 1,
                                                 NULL) == FLOW_OK,
                "libflow: sessions");
    flow_tls_tickets_unref(tickets);
    flow_tls_sessions_unref(store);
}

static void *
libflow_setup(const struct bench_terms *terms)
{
    struct libflow_setup *s = calloc(1, sizeof(*s));
    const char *chain = bench_key(terms->is_rsa ? "rsa.pem" : "p256.pem");
    const char *key = bench_key(terms->is_rsa ? "rsa.key" : "p256.key");

    bench_check(s != NULL, "memory");
    bench_check(
        flow_tls_config_new_client(NULL, &s->config[0], NULL) == FLOW_OK &&
            flow_tls_config_new_server(NULL, &s->config[1], NULL) == FLOW_OK,
        "libflow: configuration");
    bench_check(flow_tls_config_add_keypair_file(s->config[1], chain, key, NULL,
                                                 NULL, NULL) == FLOW_OK,
                "libflow: certificate");
    bench_check(flow_tls_config_add_trust_file(
                    s->config[0], bench_key("ca.pem"), NULL) == FLOW_OK,
                "libflow: trust");
    for (unsigned i = 0; i < 2; i++)
        libflow_limit(s->config[i], terms);
    if (terms->resumes)
        libflow_resume(s);
    return s;
}

static void
libflow_teardown(void *setup)
{
    struct libflow_setup *s = setup;

    flow_tls_config_unref(s->config[0]);
    flow_tls_config_unref(s->config[1]);
    free(s);
}

static void *
libflow_connect(void *setup, enum bench_transport transport, size_t room)
{
    struct libflow_setup *s = setup;
    struct libflow_conn *c = calloc(1, sizeof(*c));
    struct flow *below[2];
    int fd[2];

    bench_check(c != NULL, "memory");
    if (transport == BENCH_MEMORY) {
        bench_check(flow_pair_new(NULL, room, NULL, &below[0], &below[1]) ==
                        FLOW_OK,
                    "libflow: pair");
    } else {
        bench_sockets(fd);
        for (unsigned i = 0; i < 2; i++)
            bench_check(flow_fd_adopt(NULL, fd[i], fd[i], &below[i], NULL) ==
                            FLOW_OK,
                        "libflow: descriptor");
    }
    bench_check(flow_tls_wrap_client(s->config[0], below[0], "server.example",
                                     0, &c->end[0], NULL) == FLOW_OK &&
                    flow_tls_wrap_server(s->config[1], below[1], 0, &c->end[1],
                                         NULL) == FLOW_OK,
                "libflow: connection");
    return c;
}

static bool
libflow_step(void *conn, enum bench_end end)
{
    struct libflow_conn *c = conn;
    enum flow_status st = flow_open(c->end[end]);

    bench_check(st == FLOW_OK || st == FLOW_AGAIN, "libflow: handshake");
    return st == FLOW_OK;
}

static void
libflow_write(void *conn, enum bench_end end, const uint8_t *buf, size_t len)
{
    struct libflow_conn *c = conn;
    size_t done;

    bench_check(flow_write(c->end[end], buf, len, &done) == FLOW_OK &&
                    done == len,
                "libflow: write");
}

static void
libflow_flush(void *conn, enum bench_end end)
{
    struct libflow_conn *c = conn;

    bench_check(flow_flush(c->end[end]) == FLOW_OK, "libflow: flush");
}

static size_t
libflow_read(void *conn, enum bench_end end, uint8_t *buf, size_t cap)
{
    struct libflow_conn *c = conn;
    size_t done;

    bench_check(flow_read(c->end[end], buf, cap, &done) == FLOW_OK,
                "libflow: read");
    return done;
}

static void
libflow_take_ticket(void *conn)
{
    struct libflow_conn *c = conn;
    uint8_t byte;
    size_t done;

    bench_check(flow_read(c->end[0], &byte, 1, &done) == FLOW_AGAIN,
                "libflow: ticket");
}

static bool
libflow_is_resumed(void *conn)
{
    struct libflow_conn *c = conn;
    struct flow_tls_info info;

    return flow_tls_get_info(c->end[0], &info) == FLOW_OK && info.resumed;
}

static void
libflow_settle(void *conn, enum bench_end end)
{
    struct libflow_conn *c = conn;
    struct flow_wait_set set;
    uint8_t byte;
    size_t done;

    flow_wait_set_init(&set);
    bench_check(flow_read(c->end[end], &byte, 1, &done) == FLOW_AGAIN &&
                    flow_wait_sources(c->end[end], FLOW_READY_READ, &set) == 0,
                "libflow: nothing to read");
}

static void
libflow_close_end(void *conn, enum bench_end end)
{
    struct libflow_conn *c = conn;

    flow_abort(c->end[end]);
    flow_close(c->end[end]);
}

static void
libflow_close(void *conn)
{
    free(conn);
}

const struct bench_peer bench_libflow = {
    .name = "libflow",
    .version = libflow_version,
    .setup = libflow_setup,
    .teardown = libflow_teardown,
    .connect = libflow_connect,
    .step = libflow_step,
    .write = libflow_write,
    .flush = libflow_flush,
    .read = libflow_read,
    .take_ticket = libflow_take_ticket,
    .is_resumed = libflow_is_resumed,
    .settle = libflow_settle,
    .close_end = libflow_close_end,
    .close = libflow_close,
};
