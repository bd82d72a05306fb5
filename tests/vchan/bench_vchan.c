/* SPDX-License-Identifier: ISC */
/*
 * Ours beside the real libxenvchan, over the same fake hypervisor in the same
 * run: how many times as fast, and how many events for the same bytes.
 *
 * Both ends of a vchan are of one maker.  The two makers have everything else
 * in common: the hypervisor, the thread that reads and the processor it stays
 * on, the processor of the thread that writes, both callers' buffers.  Each
 * round makes a new vchan for each maker, because the speed of a large ring
 * depends on which pages of memory it got: they share the sets of a cache by
 * chance, and a vchan that stayed would have the same luck in all rounds.  A
 * first slice of each, in which memory is used for the first time, is not
 * counted.  A round is some slices of each maker in turn, so that whatever else
 * the machine does slows both, and more of them where a slice takes less than a
 * millisecond.  A slice is timed from where both threads are there to the
 * reader's last byte.  The benchmark prints the median of the rounds' ratios
 * and its quartiles.
 *
 * Much depends on how far apart the two processors are, and a hypervisor may
 * move virtual ones at any time.  So each row also tells how long a line of
 * memory took from one to the other: some 50 ns with a cache in common, some
 * 200 ns without.
 */
#include <pthread.h>
#include <sched.h>
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

/* The time and the events of a maker for some slices. */
struct result {
    double seconds;
    double events;
};

/* What every slice of a row moves: bytes in calls, or pings there and back. */
struct row {
    const char *what;
    size_t ring;
    size_t chunk;
    size_t total;
    unsigned slices; /* of each maker in a round */
};

/* The thread at one end of a vchan. */
struct side {
    struct peer *peer;
    const struct row *row;
    uint8_t *buf;
};

/* The processors that the reader and the writer stay on; 0: any. */
static int processor[2];
static unsigned processors;
static pthread_barrier_t start;
static uint8_t read_buf[MIB];
static uint8_t write_buf[MIB];

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
find_processors(void)
{
    cpu_set_t may;

    if (sched_getaffinity(0, sizeof(may), &may) != 0 || CPU_COUNT(&may) < 2)
        return;
    for (int i = 0; i < CPU_SETSIZE && processors < 2; i++)
        if (CPU_ISSET((size_t)i, &may))
            processor[processors++] = i;
}

static void
stay_on(unsigned side)
{
    cpu_set_t set;

    if (processors < 2)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)processor[side], &set);
    assert_int_equal(pthread_setaffinity_np(pthread_self(), sizeof(set), &set),
                     0);
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

static void
send_all(struct side *s)
{
    for (size_t sent = 0; sent < s->row->total; sent += s->row->chunk)
        write_fully(s->peer, s->buf, s->row->chunk);
}

static void
receive_all(struct side *s)
{
    size_t got = 0;

    while (got < s->row->total) {
        long n = peer_read(s->peer, s->buf, s->row->chunk);

        assert_true(n >= 0);
        if (n == 0)
            peer_wait(s->peer, FLOW_READY_READ);
        got += (size_t)n;
    }
}

static void
ask(struct side *s)
{
    for (size_t i = 0; i < s->row->total; i++) {
        write_fully(s->peer, s->buf, PING);
        read_fully(s->peer, s->buf, PING);
    }
}

static void
echo(struct side *s)
{
    for (size_t i = 0; i < s->row->total; i++) {
        read_fully(s->peer, s->buf, PING);
        write_fully(s->peer, s->buf, PING);
    }
}

static void *
other_side(void *arg)
{
    struct side *s = arg;

    stay_on(1);
    pthread_barrier_wait(&start);
    if (s->row->chunk == PING)
        echo(s);
    else
        send_all(s);
    return NULL;
}

static struct result
slice(const struct row *row, enum maker maker, struct peer *peer[2])
{
    struct side in = { peer[0], row, read_buf };
    struct side out = { peer[1], row, write_buf };
    struct result result = { .events = -(double)peers_events(maker) };
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, other_side, &out), 0);
    pthread_barrier_wait(&start);
    result.seconds = -now();
    if (row->chunk == PING)
        ask(&in);
    else
        receive_all(&in);
    result.seconds += now();
    pthread_join(thread, NULL);
    result.events += (double)peers_events(maker);
    return result;
}

#define PASSES 200u

static uint32_t passed;

static void *
pass_back(void *arg)
{
    stay_on(1);
    pthread_barrier_wait(&start);
    for (uint32_t i = 0; i < PASSES; i++) {
        while (__atomic_load_n(&passed, __ATOMIC_ACQUIRE) != 2 * i + 1)
            continue;
        __atomic_store_n(&passed, 2 * i + 2, __ATOMIC_RELEASE);
    }
    return arg;
}

/* The time that a cache line takes from one processor to the other, in ns. */
static double
distance(void)
{
    pthread_t thread;
    double time;

    if (processors < 2)
        return 0;
    passed = 0;
    assert_int_equal(pthread_create(&thread, NULL, pass_back, NULL), 0);
    pthread_barrier_wait(&start);
    time = -now();
    for (uint32_t i = 0; i < PASSES; i++) {
        __atomic_store_n(&passed, 2 * i + 1, __ATOMIC_RELEASE);
        while (__atomic_load_n(&passed, __ATOMIC_ACQUIRE) != 2 * i + 2)
            continue;
    }
    time += now();
    pthread_join(thread, NULL);
    return time / (2 * PASSES) * 1e9;
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static void
sort(double value[ROUNDS])
{
    qsort(value, ROUNDS, sizeof(value[0]), by_value);
}

/* One round: the times of both makers for the same slices, with new vchans. */
static void
play(const struct row *row, struct result of[2])
{
    struct peer *peer[2][2];
    struct xen xen[2];

    for (enum maker m = OURS; m <= REFERENCE; m++) {
        xen_start(&xen[m]);
        peers_connect(&xen[m], m, m, row->ring, row->ring, peer[m]);
        slice(row, m, peer[m]);
        of[m] = (struct result){ 0 };
    }
    for (unsigned turn = 0; turn < 2 * row->slices; turn++) {
        /* The makers take turns in being first. */
        enum maker m = (turn + turn / 2) % 2 == 0 ? OURS : REFERENCE;
        struct result result = slice(row, m, peer[m]);

        of[m].seconds += result.seconds;
        of[m].events += result.events;
    }
    for (enum maker m = OURS; m <= REFERENCE; m++) {
        peer_close(peer[m][0]);
        peer_close(peer[m][1]);
        xen_stop(&xen[m]);
    }
}

static void
compare(const struct row *row)
{
    double speed[ROUNDS];
    double events[ROUNDS];
    double apart[ROUNDS];

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct result of[2];

        apart[round] = distance();
        play(row, of);
        speed[round] = of[REFERENCE].seconds / of[OURS].seconds;
        /* One more each: a round without any event is possible. */
        events[round] = (of[OURS].events + 1) / (of[REFERENCE].events + 1);
    }
    sort(speed);
    sort(events);
    sort(apart);
    printf("%-27s %6.2f times as fast (%.2f to %.2f), %5.2f times the events "
           "(%.2f to %.2f), %.0f ns apart\n",
           row->what, speed[ROUNDS / 2], speed[ROUNDS / 4],
           speed[ROUNDS - 1 - ROUNDS / 4], events[ROUNDS / 2],
           events[ROUNDS / 4], events[ROUNDS - 1 - ROUNDS / 4],
           apart[ROUNDS / 2]);
    fflush(stdout);
}

int
main(void)
{
    static const struct row rows[] = {
        { "1 KiB rings, 4 KiB calls", KIB, 4 * KIB, 256 * KIB, 4 },
        { "16 KiB rings, 16 KiB calls", 16 * KIB, 16 * KIB, 4 * MIB, 4 },
        { "64 KiB rings, 64 KiB calls", 64 * KIB, 64 * KIB, 16 * MIB, 4 },
        { "1 MiB rings, 64 KiB calls", MIB, 64 * KIB, 16 * MIB, 48 },
        { "1 MiB rings, 1 MiB calls", MIB, MIB, 64 * MIB, 16 },
        { "64-byte round trips", 4 * KIB, PING, 250, 4 },
    };

    find_processors();
    stay_on(0);
    pthread_barrier_init(&start, NULL, 2);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        compare(&rows[i]);
    pthread_barrier_destroy(&start);
    return 0;
}
