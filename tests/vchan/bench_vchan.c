/* SPDX-License-Identifier: ISC */
/*
 * Ours beside the real libxenvchan, over the same fake hypervisor in the same
 * run: how many times as fast, and how many events for the same bytes.  Both
 * ends of a vchan are of one maker.  A round runs both makers, one directly
 * after the other, so that whatever else the machine does slows both; what is
 * printed are the medians of the rounds' ratios, with the lowest and highest.
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

#define ROUNDS 9

/* One round of one maker. */
struct result {
    double seconds;
    double events;
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

static struct result
measure(enum maker maker, size_t ring, size_t chunk, size_t total)
{
    struct result result;
    struct peer *peer[2];
    struct xen xen;

    xen_start(&xen);
    peers_connect(&xen, maker, maker, ring, ring, peer);
    result.events = (double)peers_events(maker);
    result.seconds = now();
    if (chunk == PING)
        round_trips(peer, total);
    else
        stream(peer, chunk, total);
    result.seconds = now() - result.seconds;
    result.events = (double)peers_events(maker) - result.events;
    peer_close(peer[0]);
    peer_close(peer[1]);
    xen_stop(&xen);
    return result;
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static void
compare(const char *what, size_t ring, size_t chunk, size_t total)
{
    double speed[ROUNDS];
    double events[ROUNDS];

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct result of[2];

        /* Whoever comes first has no advantage from it. */
        for (unsigned turn = 0; turn < 2; turn++) {
            enum maker maker = (turn + round) % 2 == 0 ? OURS : REFERENCE;

            of[maker] = measure(maker, ring, chunk, total);
        }
        speed[round] = of[REFERENCE].seconds / of[OURS].seconds;
        /* One more each: a round without any event is possible. */
        events[round] = (of[OURS].events + 1) / (of[REFERENCE].events + 1);
    }
    qsort(speed, ROUNDS, sizeof(speed[0]), by_value);
    qsort(events, ROUNDS, sizeof(events[0]), by_value);
    printf("%-27s %6.2f times as fast (%.2f to %.2f), %5.2f times the events "
           "(%.2f to %.2f)\n",
           what, speed[ROUNDS / 2], speed[0], speed[ROUNDS - 1],
           events[ROUNDS / 2], events[0], events[ROUNDS - 1]);
    fflush(stdout);
}

int
main(void)
{
    compare("1 KiB rings, 4 KiB calls", KIB, 4 * KIB, 2 * MIB);
    compare("16 KiB rings, 16 KiB calls", 16 * KIB, 16 * KIB, 16 * MIB);
    compare("64 KiB rings, 64 KiB calls", 64 * KIB, 64 * KIB, 64 * MIB);
    compare("1 MiB rings, 64 KiB calls", MIB, 64 * KIB, 256 * MIB);
    compare("1 MiB rings, 1 MiB calls", MIB, MIB, 256 * MIB);
    compare("64-byte round trips", 4 * KIB, PING, 2000);
    return 0;
}
