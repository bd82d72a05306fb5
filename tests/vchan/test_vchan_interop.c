/* SPDX-License-Identifier: ISC */
/*
 * Our ends with those of the real libxenvchan, over one fake hypervisor: each
 * reads what the other writes, in both roles.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <flow/flow.h>

#include "backends/vchan/proto.h"
#include "interop.h"

#define KIB 1024u
#define MIB (1024u * 1024u)

static const struct {
    enum maker server;
    enum maker client;
    const char *name;
} roles[4] = {
    { OURS, OURS, "ours/ours" },
    { OURS, REFERENCE, "ours/libxenvchan" },
    { REFERENCE, OURS, "libxenvchan/ours" },
    { REFERENCE, REFERENCE, "libxenvchan/libxenvchan" },
};

/* xorshift: the traffic is the same in every run. */
static uint32_t
draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (uint32_t)(*seed >> 32);
}

/* Mostly a short length, sometimes one larger than any ring. */
static size_t
draw_len(uint64_t *seed, size_t most)
{
    uint32_t kind = draw(seed) % 16;
    size_t top = kind == 0 ? most : kind < 8 ? 64 : 2048;

    return draw(seed) % (top < most ? top : most) + 1;
}

/* FNV-1a of the bytes. */
static uint64_t
hash(uint64_t h, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return h;
}

#define HASH_START UINT64_C(0xcbf29ce484222325)

/* One direction's traffic. */
struct stream {
    uint64_t bytes; /* seed of the content */
    uint64_t sent_hash;
    uint64_t got_hash;
    size_t sent;
    size_t got;
    size_t total;
};

static void
stream_start(struct stream *s, uint64_t seed, size_t total)
{
    *s = (struct stream){ .bytes = seed,
                          .sent_hash = HASH_START,
                          .got_hash = HASH_START,
                          .total = total };
}

static bool
step_write(struct peer *p, struct stream *s, uint64_t *seed, uint8_t *buf,
           size_t size)
{
    size_t len = draw_len(seed, size);
    uint64_t content = s->bytes;
    long n;

    if (len > s->total - s->sent)
        len = s->total - s->sent;
    if (len == 0)
        return false;
    for (size_t i = 0; i < len; i += 4) {
        uint32_t word = draw(&content);

        memcpy(buf + i, &word, len - i < 4 ? len - i : 4);
    }
    n = peer_write(p, buf, len);
    assert_true(n >= 0);
    s->sent_hash = hash(s->sent_hash, buf, (size_t)n);
    s->sent += (size_t)n;
    if (n > 0)
        draw(&s->bytes);
    return n > 0;
}

static bool
step_read(struct peer *p, struct stream *s, uint64_t *seed, uint8_t *buf,
          size_t size)
{
    size_t len = draw_len(seed, size);
    long n = peer_read(p, buf, len);

    assert_true(n >= 0 && (size_t)n <= len);
    s->got_hash = hash(s->got_hash, buf, (size_t)n);
    s->got += (size_t)n;
    return n > 0;
}

/* Both directions at once, stepped by one thread. */
static void
exchange(struct peer *peer[2], size_t total, uint64_t seed)
{
    static uint8_t buf[3 * MIB];
    struct stream s[2]; /* s[i]: what peer i writes */
    uint64_t round = 0;

    stream_start(&s[0], seed | 1, total);
    stream_start(&s[1], (seed << 1) | 1, total);
    seed |= 1;
    while (s[0].got < total || s[1].got < total) {
        unsigned who = draw(&seed) & 1;

        if (draw(&seed) & 1)
            step_write(peer[who], &s[who], &seed, buf, sizeof(buf) - 4);
        else
            step_read(peer[who], &s[!who], &seed, buf, sizeof(buf));
        assert_true(++round < 40u * MIB);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(s[i].sent, total);
        assert_int_equal(s[i].got, total);
        assert_true(s[i].sent_hash == s[i].got_hash);
    }
}

/* After one end has written and closed, the other still reads the bytes. */
static void
check_end(struct peer *peer[2], unsigned closes)
{
    struct peer *other = peer[!closes];
    char buf[8];

    assert_int_equal(peer_write(peer[closes], "tail", 4), 4);
    peer_close(peer[closes]);
    assert_int_equal(peer_read(other, buf, sizeof(buf)), 4);
    assert_memory_equal(buf, "tail", 4);
    assert_int_equal(peer_read(other, buf, sizeof(buf)), -1);
    assert_int_equal(peer_write(other, buf, 1), -1);
    peer_close(other);
}

static void
run_pair(unsigned role, size_t read_size, size_t write_size, size_t total)
{
    struct peer *peer[2];
    struct xen xen;

    xen_start(&xen);
    peers_connect(&xen, roles[role].server, roles[role].client, read_size,
                  write_size, peer);
    exchange(peer, total, read_size * 31 + write_size + role);
    check_end(peer, (unsigned)(read_size ^ write_size) >> 12 & 1);
    xen_stop(&xen);
}

/* 121 pairs of sizes from 1 KiB to 1 MiB. */
static void
every_size(unsigned role)
{
    for (size_t left = KIB; left <= MIB; left *= 2)
        for (size_t right = KIB; right <= MIB; right *= 2)
            run_pair(role, left, right, 256 * KIB);
}

static void
every_size_ours_ours(void **state)
{
    (void)state;
    every_size(0);
}

static void
every_size_ours_reference(void **state)
{
    (void)state;
    every_size(1);
}

static void
every_size_reference_ours(void **state)
{
    (void)state;
    every_size(2);
}

static void
every_size_reference_reference(void **state)
{
    (void)state;
    every_size(3);
}

/* One end in a thread of its own: both directions, sleeping in between. */
struct worker {
    struct peer *peer;
    struct stream *out;
    struct stream *in;
    uint64_t seed;
};

static void *
work(void *arg)
{
    struct worker *w = arg;
    size_t size = 64 * KIB;
    uint8_t *buf = malloc(size);

    while (w->out->sent < w->out->total || w->in->got < w->in->total) {
        bool moved = step_write(w->peer, w->out, &w->seed, buf, size - 4);

        if (w->in->got < w->in->total)
            moved |= step_read(w->peer, w->in, &w->seed, buf, size);
        if (!moved)
            peer_wait(w->peer, FLOW_READY_READ | (w->out->sent < w->out->total
                                                      ? FLOW_READY_WRITE
                                                      : 0));
    }
    free(buf);
    return NULL;
}

static void
ten_megabytes_between_threads(void **state)
{
    static const size_t size[10][2] = {
        { KIB, 2 * KIB },     { 2 * KIB, KIB },        { KIB, 64 * KIB },
        { 4 * KIB, 4 * KIB }, { 16 * KIB, 16 * KIB },  { 4 * KIB, MIB },
        { MIB, 2 * KIB },     { 64 * KIB, 256 * KIB }, { 128 * KIB, 8 * KIB },
        { MIB, MIB },
    };
    const size_t total = 10 * MIB;

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        struct worker w[2];
        struct stream s[2];
        struct peer *peer[2];
        pthread_t thread;
        struct xen xen;

        xen_start(&xen);
        peers_connect(&xen, roles[i % 4].server, roles[i % 4].client,
                      size[i / 4][0], size[i / 4][1], peer);
        stream_start(&s[0], i * 2 + 1, total);
        stream_start(&s[1], i * 2 + 1001, total);
        w[0] = (struct worker){ peer[0], &s[0], &s[1], 77 + i };
        w[1] = (struct worker){ peer[1], &s[1], &s[0], 177 + i };
        assert_int_equal(pthread_create(&thread, NULL, work, &w[1]), 0);
        work(&w[0]);
        pthread_join(thread, NULL);
        for (unsigned k = 0; k < 2; k++) {
            assert_int_equal(s[k].got, total);
            assert_true(s[k].sent_hash == s[k].got_hash);
        }
        check_end(peer, i & 1);
        xen_stop(&xen);
    }
}

/* Indexes, live and notify bytes: the first 24 bytes of a page. */
static void
expect_page(struct peer *p, uint32_t left_cons, uint32_t left_prod,
            const char *live_and_notify)
{
    const struct vchan_page *page = (const void *)peer_page(p);
    char text[16];

    assert_int_equal(page->left.cons, left_cons);
    assert_int_equal(page->left.prod, left_prod);
    assert_int_equal(page->left_order, 10);
    assert_int_equal(page->right_order, 11);
    snprintf(text, sizeof(text), "%02x %02x %02x %02x", page->cli_live,
             page->srv_live, page->cli_notify, page->srv_notify);
    assert_string_equal(text, live_and_notify);
}

static void
golden_page_of_a_server(void **state)
{
    static const uint8_t golden[8] = { 0x0a, 0, 0x0b, 0, 2, 1, 1, 0 };
    const struct vchan_unmap_notify none = { VCHAN_CLEAR_NONE, NULL };

    (void)state;
    for (unsigned maker = OURS; maker <= REFERENCE; maker++) {
        struct vchan_region *region;
        struct peer *server;
        struct xen xen;
        uint32_t ref;

        xen_start(&xen);
        server = peer_serve(&xen, maker, 1024, 2048, &ref);
        assert_int_equal(xen.client->grants->map(xen.client, 1, &ref, 1, true,
                                                 none, &region, NULL),
                         FLOW_OK);
        for (unsigned i = 0; i < VCHAN_PAGE_SIZE; i++)
            assert_int_equal(region->base[i],
                             i >= 16 && i < 24 ? golden[i - 16] : 0);
        xen.client->grants->unmap(xen.client, region);
        peer_close(server);
        xen_stop(&xen);
    }
}

/*
 * The exchange of docs/vchan.md, step by step.  Where libxenvchan asks for an
 * event with a read that found less than it wanted, ours does not.
 */
static void
trace(struct peer *server, struct peer *client, bool reference)
{
    const char *after_short_read = reference ? "01 01 01 01" : "01 01 00 01";
    struct peer *both[2] = { server, client };
    uint8_t buf[4096] = { 0 };
    unsigned long before;

    expect_page(server, 0, 0, "01 01 01 01");
    before = peers_events(OURS) + peers_events(REFERENCE);
    assert_int_equal(peer_write(client, buf, 5), 5);
    expect_page(server, 0, 5, "01 01 00 01");
    assert_int_equal(peers_events(OURS) + peers_events(REFERENCE), before + 1);

    assert_int_equal(peer_read(server, buf, 4096), 5);
    expect_page(server, 5, 5, after_short_read);
    assert_int_equal(peers_events(OURS) + peers_events(REFERENCE), before + 1);

    assert_int_equal(peer_write(client, buf, 1024), 1024);
    expect_page(server, 5, 0x405, "01 01 00 01");
    assert_int_equal(peer_write(client, buf, 1), 0);
    peer_arm(client, true);
    expect_page(server, 5, 0x405, "01 01 00 03");

    before = peers_events(OURS) + peers_events(REFERENCE);
    assert_int_equal(peer_read(server, buf, 1024), 1024);
    expect_page(server, 0x405, 0x405, "01 01 00 01");
    assert_int_equal(peers_events(OURS) + peers_events(REFERENCE), before + 1);

    peers_set_left(both, 0xfffffffc);
    assert_int_equal(peer_write(client, "01234567", 8), 8);
    assert_int_equal(peer_read(server, buf, 4096), 8);
    assert_memory_equal(buf, "01234567", 8);
    expect_page(server, 4, 4, after_short_read);

    assert_int_equal(peer_write(client, "end", 3), 3);
    peer_close(client);
    expect_page(server, 4, 7, "00 01 00 01");
    assert_int_equal(peer_read(server, buf, 4096), 3);
    assert_memory_equal(buf, "end", 3);
    assert_int_equal(peer_read(server, buf, 4096), -1);
    peer_close(server);
}

static void
traced_exchange(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct peer *peer[2];
        struct xen xen;

        xen_start(&xen);
        peers_connect(&xen, roles[i].server, roles[i].client, 1024, 2048, peer);
        trace(peer[0], peer[1], roles[i].server == REFERENCE);
        xen_stop(&xen);
    }
}

/*
 * A persistent server keeps its rings: the next client continues where the last
 * one stopped, with the bytes that it has not read.
 */
static void
a_persistent_server_has_one_client_after_the_other(void **state)
{
    struct peer *server;
    struct peer *client;
    enum flow_status st;
    struct xen xen;
    char buf[16];
    uint32_t ref;

    (void)state;
    xen_start(&xen);
    server = peer_serve(&xen, REFERENCE, 4096, 4096, &ref);
    peer_persist(server);
    for (unsigned i = 0; i < 5; i++) {
        client = peer_dial(&xen, i > 0, &st);
        assert_int_equal(st, FLOW_OK);
        assert_int_equal(peer_write(client, "to you", 6), 6);
        assert_int_equal(peer_read(server, buf, sizeof(buf)), 6);
        assert_memory_equal(buf, "to you", 6);
        assert_int_equal(peer_write(server, "and back", 8), 8);
        if (i > 0) {
            assert_int_equal(peer_read(client, buf, 5), 5);
            assert_memory_equal(buf, " back", 5);
        }
        assert_int_equal(peer_read(client, buf, 3), 3);
        assert_memory_equal(buf, "and", 3);
        peer_close(client);
        /* The server consumes the event that the channel is free. */
        peer_wait(server, 0);
        assert_int_equal(peer_write(server, "", 0), 0);
        /* Only a client with the option is the next one. */
        client = peer_dial(&xen, false, &st);
        assert_int_equal(st, FLOW_AGAIN);
        peer_close(client);
        peer_wait(server, 0);
    }
    peer_close(server);
    xen_stop(&xen);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_page_of_a_server),
        cmocka_unit_test(traced_exchange),
        cmocka_unit_test(every_size_ours_ours),
        cmocka_unit_test(every_size_ours_reference),
        cmocka_unit_test(every_size_reference_ours),
        cmocka_unit_test(every_size_reference_reference),
        cmocka_unit_test(ten_megabytes_between_threads),
        cmocka_unit_test(a_persistent_server_has_one_client_after_the_other),
    };

    return cmocka_run_group_tests_name("vchan: libxenvchan", tests, NULL, NULL);
}
