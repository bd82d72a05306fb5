/* SPDX-License-Identifier: ISC */
/*
 * One end of a vchan on a real Xen, ours or libxenvchan's:
 *
 *     xen_peer flow|libxenvchan serve|dial DOMID PATH TASK [OPTION...]
 *
 * Tasks: exchange (4 MiB each way at once, every byte checked, then 200
 * messages of 64 bytes to and fro), hold (wait for the peer's end and print how
 * long that took).  Options: same-domain, corrupt (change one byte), tls12 and
 * tls13 (TLS over it; the server's certificate is /cert.pem, for NAME),
 * readonly (the server's ring is granted for reading only), watch (the store
 * reports the ends of domains).
 */
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libxenvchan.h>

#include <flow/flow.h>
#include <flow/listener.h>
#include <flow/tls.h>
#include <flow/tls_config.h>
#include <flow/util.h>
#include <flow/vchan.h>

#define TOTAL  (4u << 20)
#define CHUNK  16384u
#define ROUNDS 200
#define PING   64u
#define SEC    UINT64_C(1000000000)
#define NAME   "peer.example"

/* The command line's options for the flow. */
struct wishes {
    bool same_domain;
    bool readonly;
    bool watch;
};

/* A flow of ours, or libxenvchan's channel. */
struct end {
    struct flow *flow;
    struct libxenvchan *ref;
    bool server;
    bool tls;
};

static void
die(const char *what, const struct flow_error *err)
{
    char text[300] = "";

    if (err != NULL)
        flow_error_format(err, text, sizeof(text));
    printf("PEER failed: %s %s\n", what, text);
    exit(1);
}

static uint64_t
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SEC + (uint64_t)t.tv_nsec;
}

static void
open_flow(struct end *e, uint32_t domid, const char *path,
          const struct wishes *wishes)
{
    struct flow_vchan_options opt = {
        .read_size = 16384,
        .write_size = 16384,
        .timeout = 60 * SEC,
        .readonly_ring = wishes->readonly,
        .watch_domains = wishes->watch,
        .insecure_same_domain = wishes->same_domain,
    };
    struct flow_listener *l;
    struct flow_error err;

    if (!e->server) {
        if (flow_vchan_connect(NULL, domid, path, &opt, &e->flow, &err) !=
            FLOW_OK)
            die("connect:", &err);
        if (flow_open_wait(e->flow) != FLOW_OK) {
            flow_get_error(e->flow, FLOW_READ, &err);
            die("open:", &err);
        }
        return;
    }
    if (flow_vchan_listen(NULL, domid, path, &opt, &l, &err) != FLOW_OK)
        die("listen:", &err);
    if (flow_accept_wait(l, &e->flow) != FLOW_OK) {
        flow_listener_get_error(l, &err);
        die("accept:", &err);
    }
    flow_listener_close(l);
}

/* TLS of one version on an open flow. */
static void
wrap(struct end *e, enum flow_tls_version version)
{
    struct flow_tls_config *c;
    struct flow_tls_info info;
    struct flow_error err;
    struct flow *lower = e->flow;

    if ((e->server ? flow_tls_config_new_server(NULL, &c, &err)
                   : flow_tls_config_new_client(NULL, &c, &err)) != FLOW_OK ||
        flow_tls_config_set_versions(c, version, version) != FLOW_OK ||
        (e->server
             ? flow_tls_config_add_keypair_file(c, "/cert.pem", "/key.pem",
                                                NULL, NULL, &err)
             : flow_tls_config_add_trust_file(c, "/cert.pem", &err)) != FLOW_OK)
        die("TLS configuration:", &err);
    if ((e->server ? flow_tls_wrap_server(c, lower, 0, &e->flow, NULL)
                   : flow_tls_wrap_client(c, lower, NAME, 0, &e->flow, NULL)) !=
        FLOW_OK)
        die("wrap", NULL);
    flow_tls_config_unref(c);
    e->tls = true;
    if (flow_open_wait(e->flow) != FLOW_OK) {
        flow_get_error(e->flow, FLOW_READ, &err);
        die("handshake:", &err);
    }
    if (flow_tls_get_info(e->flow, &info) != FLOW_OK || info.version != version)
        die("not the version that was asked for", NULL);
}

/* Send an end marker in band, since a bare vchan has no half-close. */
static void
end_shutdown(struct end *e)
{
    enum flow_status st;
    uint32_t ready;

    while ((st = flow_shutdown(e->flow, FLOW_WRITE)) == FLOW_AGAIN)
        if (flow_wait(e->flow, FLOW_READY_FLUSH, &ready) != FLOW_OK)
            die("wait", NULL);
    if (st != FLOW_OK)
        die("shutdown", NULL);
}

static void
open_reference(struct end *e, int domid, const char *path)
{
    uint64_t until = now() + 60 * SEC;

    if (e->server) {
        e->ref = libxenvchan_server_init(NULL, domid, path, 16384, 16384);
        if (e->ref == NULL)
            die("libxenvchan_server_init", NULL);
        while (libxenvchan_is_open(e->ref) == 2)
            libxenvchan_wait(e->ref);
    }
    /* libxenvchan does not wait for its server by itself. */
    while (e->ref == NULL && now() < until) {
        e->ref = libxenvchan_client_init(NULL, domid, path);
        if (e->ref == NULL)
            poll(NULL, 0, 100);
    }
    if (e->ref == NULL)
        die("libxenvchan_client_init", NULL);
    e->ref->blocking = 0;
}

/* The number of bytes, 0 for "not now", -1 at the end. */
static long
end_read(struct end *e, void *buf, size_t len)
{
    enum flow_status st;
    struct flow_error err;
    size_t n;

    if (e->ref != NULL)
        return libxenvchan_read(e->ref, buf, len);
    st = flow_read(e->flow, buf, len, &n);
    if (st == FLOW_OK || st == FLOW_AGAIN)
        return (long)n;
    if (st == FLOW_EOF)
        return -1;
    flow_get_error(e->flow, FLOW_READ, &err);
    die("read:", &err);
    return -1;
}

static long
end_write(struct end *e, const void *buf, size_t len)
{
    enum flow_status st;
    struct flow_error err;
    size_t n;

    if (e->ref != NULL)
        return libxenvchan_write(e->ref, buf, len);
    st = flow_write(e->flow, buf, len, &n);
    if (st == FLOW_OK || st == FLOW_AGAIN)
        return (long)n;
    if (st == FLOW_E_CLOSED)
        return -1;
    flow_get_error(e->flow, FLOW_WRITE, &err);
    die("write:", &err);
    return -1;
}

/* Wait for reading, and for the other interest. */
static void
end_wait(struct end *e, uint32_t besides)
{
    uint32_t ready;

    if (e->ref != NULL)
        libxenvchan_wait(e->ref);
    else if (flow_wait(e->flow, FLOW_READY_READ | besides, &ready) != FLOW_OK)
        die("wait", NULL);
}

/*
 * Flush bytes that TLS accepted and the ring had no room for.  If both peers
 * only read while each holds the rest of the other's record, they would wait
 * for ever.  Returns 0, or the interest to wait for.
 */
static uint32_t
end_flush(struct end *e)
{
    enum flow_status st = e->flow != NULL ? flow_flush(e->flow) : FLOW_OK;

    if (st != FLOW_OK && st != FLOW_AGAIN)
        die("flush", NULL);
    return st == FLOW_AGAIN ? FLOW_READY_FLUSH : 0;
}

static void
end_close(struct end *e)
{
    if (e->ref != NULL)
        libxenvchan_close(e->ref);
    flow_close(e->flow);
}

/* Byte i of the server's (or client's) data. */
static uint8_t
pattern(uint32_t i, bool server)
{
    return (uint8_t)((i + (server ? 77u : 0)) * 2654435761u >> 23);
}

static uint32_t
send_some(struct end *e, uint32_t at, bool corrupt)
{
    uint8_t buf[CHUNK];
    uint32_t len = TOTAL - at < CHUNK ? TOTAL - at : CHUNK;
    long n;

    for (uint32_t i = 0; i < len; i++) {
        buf[i] = pattern(at + i, e->server);
        if (corrupt && at + i == 3000000)
            buf[i] ^= 0x10;
    }
    n = end_write(e, buf, len);
    if (n < 0)
        die("the peer went away", NULL);
    return (uint32_t)n;
}

static uint32_t
check_some(struct end *e, uint32_t at)
{
    uint8_t buf[CHUNK];
    long n = end_read(e, buf, TOTAL - at < CHUNK ? TOTAL - at : CHUNK);

    if (n < 0)
        die("the stream ended early", NULL);
    for (uint32_t i = 0; i < (uint32_t)n; i++)
        if (buf[i] != pattern(at + i, !e->server)) {
            printf("PEER failed: byte %u is wrong\n", at + i);
            exit(1);
        }
    return (uint32_t)n;
}

static void
transfer(struct end *e, bool corrupt)
{
    uint32_t sent = 0;
    uint32_t got = 0;

    while (sent < TOTAL || got < TOTAL) {
        uint32_t moved = 0;
        uint32_t n;

        if (sent < TOTAL) {
            n = send_some(e, sent, corrupt);
            sent += n;
            moved += n;
        }
        if (got < TOTAL) {
            n = check_some(e, got);
            got += n;
            moved += n;
        }
        if (moved == 0)
            end_wait(e, sent < TOTAL ? FLOW_READY_WRITE : end_flush(e));
    }
    while (end_flush(e) != 0)
        end_wait(e, FLOW_READY_FLUSH);
}

/* A whole message in one direction. */
static void
message(struct end *e, bool writes, uint8_t *buf)
{
    uint32_t done = 0;

    while (done < PING) {
        long n = writes ? end_write(e, buf + done, PING - done)
                        : end_read(e, buf + done, PING - done);

        if (n < 0)
            die("the peer went away", NULL);
        if (n == 0)
            end_wait(e, writes ? FLOW_READY_WRITE : 0);
        done += (uint32_t)n;
    }
    while (writes && end_flush(e) != 0)
        end_wait(e, FLOW_READY_FLUSH);
}

static void
ping_pong(struct end *e)
{
    uint8_t buf[PING];
    uint8_t want[PING];

    for (uint32_t i = 0; i < ROUNDS; i++) {
        memset(want, (int)i, PING);
        memcpy(buf, want, PING);
        if (!e->server)
            message(e, true, buf);
        memset(buf, 0, PING);
        message(e, false, buf);
        if (memcmp(buf, want, PING) != 0)
            die("a message is wrong", NULL);
        if (e->server)
            message(e, true, buf);
    }
}

static void
exchange(struct end *e, bool corrupt)
{
    uint64_t t0 = now();
    uint64_t t1;
    uint64_t t2;
    char byte;

    transfer(e, corrupt);
    t1 = now();
    ping_pong(e);
    t2 = now();
    /* The client ends; the server sees the end, and over TLS answers it. */
    if (e->tls && !e->server)
        end_shutdown(e);
    if (e->tls || e->server)
        while (end_read(e, &byte, 1) == 0)
            end_wait(e, 0);
    if (e->tls && e->server)
        end_shutdown(e);
    printf("PEER ok: %u bytes each way in %u ms, %u round trips in %u ms\n",
           TOTAL, (unsigned)((t1 - t0) / 1000000), ROUNDS,
           (unsigned)((t2 - t1) / 1000000));
}

static void
hold(struct end *e)
{
    char byte = 'x';
    uint64_t t0;

    if (end_write(e, &byte, 1) != 1)
        die("cannot write", NULL);
    while (end_read(e, &byte, 1) == 0)
        end_wait(e, 0);
    printf("PEER holds\n");
    fflush(stdout);
    t0 = now();
    while (end_read(e, &byte, 1) == 0)
        end_wait(e, 0);
    printf("PEER gone after %u ms\n", (unsigned)((now() - t0) / 1000000));
}

int
main(int argc, char **argv)
{
    struct wishes wishes = { false, false, false };
    bool corrupt = false;
    int tls = 0;
    struct end e = { 0 };

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 6) {
        fprintf(stderr,
                "usage: %s flow|libxenvchan serve|dial DOMID PATH "
                "exchange|hold [same-domain] [corrupt] [tls12|tls13] "
                "[readonly] [watch]\n",
                argv[0]);
        return 2;
    }
    for (int i = 6; i < argc; i++) {
        wishes.same_domain |= strcmp(argv[i], "same-domain") == 0;
        wishes.readonly |= strcmp(argv[i], "readonly") == 0;
        wishes.watch |= strcmp(argv[i], "watch") == 0;
        corrupt |= strcmp(argv[i], "corrupt") == 0;
        if (strcmp(argv[i], "tls12") == 0)
            tls = FLOW_TLS_1_2;
        if (strcmp(argv[i], "tls13") == 0)
            tls = FLOW_TLS_1_3;
    }
    e.server = strcmp(argv[2], "serve") == 0;
    if (strcmp(argv[1], "flow") == 0)
        open_flow(&e, (uint32_t)atoi(argv[3]), argv[4], &wishes);
    else
        open_reference(&e, atoi(argv[3]), argv[4]);
    if (tls != 0)
        wrap(&e, (enum flow_tls_version)tls);
    if (strcmp(argv[5], "exchange") == 0)
        exchange(&e, corrupt);
    else
        hold(&e);
    end_close(&e);
    return 0;
}
