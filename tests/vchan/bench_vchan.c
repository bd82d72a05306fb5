/* SPDX-License-Identifier: ISC */
/*
 * Ours beside the real libxenvchan, over the same fake hypervisor in the same
 * run: how many times as fast, and how many events for the same bytes.  Only
 * ratios are printed; both ends of a vchan are of one maker.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <flow/flow.h>

#include "interop.h"

#define KIB  1024u
#define MIB  (1024u * 1024u)
#define PING 64u

/* Many and short: what the best of them shows is not the machine's noise. */
#define ROUNDS 41

struct result {
    double seconds; /* of the fastest round */
    double events;  /* per megabyte or round trip, of the round with fewest */
};

struct load {
    struct peer *peer;
    size_t chunk;
    size_t total;
};

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
write_fully(struct peer *p, const uint8_t *buf, size_t len)
{
    while (len > 0) {
        long n = peer_write(p, buf, len);

        assert_true(n >= 0);
        if (n == 0)
            peer_wait(p, FLOW_READY_WRITE);
        buf += n;
        len -= (size_t)n;
    }
}

static void
read_fully(struct peer *p, uint8_t *buf, size_t len)
{
    while (len > 0) {
        long n = peer_read(p, buf, len);

        assert_true(n >= 0);
        if (n == 0)
            peer_wait(p, FLOW_READY_READ);
        buf += n;
        len -= (size_t)n;
    }
}

static void *
send_all(void *arg)
{
    struct load *l = arg;
    uint8_t *buf = calloc(1, l->chunk);

    for (size_t done = 0; done < l->total; done += l->chunk)
        write_fully(l->peer, buf, l->chunk);
    free(buf);
    return NULL;
}

static void
receive_all(struct load *l)
{
    uint8_t *buf = malloc(l->chunk);
    size_t got = 0;

    while (got < l->total) {
        long n = peer_read(l->peer, buf, l->chunk);

        assert_true(n >= 0);
        if (n == 0)
            peer_wait(l->peer, FLOW_READY_READ);
        got += (size_t)n;
    }
    free(buf);
}

static void
stream(struct peer *peer[2], size_t chunk, size_t total)
{
    struct load out = { peer[1], chunk, total };
    struct load in = { peer[0], chunk, total };
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, send_all, &out), 0);
    receive_all(&in);
    pthread_join(thread, NULL);
}

static void *
echo(void *arg)
{
    struct load *l = arg;
    uint8_t buf[PING];

    for (size_t i = 0; i < l->total; i++) {
        read_fully(l->peer, buf, PING);
        write_fully(l->peer, buf, PING);
    }
    return NULL;
}

static void
round_trips(struct peer *peer[2], size_t count)
{
    struct load other = { peer[1], PING, count };
    uint8_t buf[PING] = { 0 };
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, echo, &other), 0);
    for (size_t i = 0; i < count; i++) {
        write_fully(peer[0], buf, PING);
        read_fully(peer[0], buf, PING);
    }
    pthread_join(thread, NULL);
}

/* One round of a maker; keeps the best. */
static void
measure(enum maker maker, size_t ring, size_t chunk, size_t total,
        struct result *best)
{
    struct peer *peer[2];
    unsigned long before;
    struct xen xen;
    double took;
    double events;

    xen_start(&xen);
    peers_connect(&xen, maker, maker, ring, ring, peer);
    before = peers_events(maker);
    took = now();
    if (chunk == PING)
        round_trips(peer, total);
    else
        stream(peer, chunk, total);
    took = now() - took;
    events = (double)(peers_events(maker) - before) /
             (chunk == PING ? (double)total : (double)total / MIB);
    if (best->seconds == 0 || took < best->seconds)
        best->seconds = took;
    if (best->events == 0 || events < best->events)
        best->events = events;
    peer_close(peer[0]);
    peer_close(peer[1]);
    xen_stop(&xen);
}

static void
compare(const char *what, size_t ring, size_t chunk, size_t total)
{
    struct result best[2] = { { 0, 0 }, { 0, 0 } };

    /* In turns, so that whatever else the machine does hits both. */
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned maker = OURS; maker <= REFERENCE; maker++)
            measure(maker, ring, chunk, total, &best[maker]);
    printf("%-28s %5.2f times as fast, %5.2f times the events\n", what,
           best[REFERENCE].seconds / best[OURS].seconds,
           best[OURS].events / best[REFERENCE].events);
    fflush(stdout);
}

int
main(void)
{
    compare("stream, rings of 1 KiB", KIB, 4 * KIB, 2 * MIB);
    compare("stream, rings of 16 KiB", 16 * KIB, 16 * KIB, 16 * MIB);
    compare("stream, rings of 1 MiB", MIB, 64 * KIB, 256 * MIB);
    compare("64-byte round trips", 4 * KIB, PING, 2000);
    return 0;
}
