/* SPDX-License-Identifier: ISC */
/* Flows on the fake hypervisor. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <flow/util.h>
#include <flow/vchan.h>

#include "backends/vchan/vchan.h"
#include "place.h"

static void
capabilities_and_addresses_are_answered(void **state)
{
    const struct flow_vchan_options lends = { .lease_rings = true };
    struct flow_listener *l;
    struct flow *f[2];
    struct place p;
    char text[256];
    uint32_t number;
    uint32_t caps;
    size_t len;
    size_t n;
    int fd;

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    connect_pair(&p, l, &lends, f);
    caps = flow_caps(f[0]);
    assert_int_equal(caps & (FLOW_CAP_HALF_CLOSE_WRITE | FLOW_CAP_ORDERLY_END |
                             FLOW_CAP_AUTHENTICATED_END |
                             FLOW_CAP_CONFIDENTIAL | FLOW_CAP_LEASE_READ |
                             FLOW_CAP_LEASE_WRITE | FLOW_CAP_NEEDS_OPEN),
                     0);
    assert_int_equal(caps & FLOW_CAP_DUPLEX, FLOW_CAP_DUPLEX);
    caps = flow_caps(f[1]);
    number = FLOW_CAP_LEASE_READ | FLOW_CAP_LEASE_WRITE |
             FLOW_CAP_LEASE_VOLATILE | FLOW_CAP_LEASE_SHARED |
             FLOW_CAP_NEEDS_OPEN;
    assert_int_equal(caps & number, number);

    assert_int_equal(flow_shutdown(f[0], FLOW_WRITE), FLOW_E_NOTSUP);
    pass(f[0], f[1], "nothing happened");

    len = sizeof(text);
    assert_int_equal(flow_query(f[0], FLOW_QUERY_PEER_ADDRESS, text, &len),
                     FLOW_OK);
    assert_string_equal(text,
                        "vchan+fake://2/local/domain/1/data/vchan/2/flow");
    len = sizeof(text);
    assert_int_equal(flow_query(f[0], FLOW_QUERY_LOCAL_ADDRESS, text, &len),
                     FLOW_OK);
    assert_string_equal(text,
                        "vchan+fake://1/local/domain/1/data/vchan/2/flow");
    len = sizeof(fd);
    assert_int_equal(flow_query(f[0], FLOW_QUERY_FD, &fd, &len), FLOW_OK);
    assert_true(fd >= 0);
    /* The addresses of both ends are the same. */
    for (unsigned i = 0; i < 2; i++) {
        const struct vchan_conn *other = &((struct vchan *)f[!i])->conn;

        len = sizeof(number);
        assert_int_equal(flow_query(f[i], FLOW_QUERY_PEER_PORT, &number, &len),
                         FLOW_OK);
        assert_int_equal(number, other->hyp->events->port(other->channel));
    }
    len = sizeof(n);
    assert_int_equal(flow_query(f[0], FLOW_QUERY_FOOTPRINT, &n, &len), FLOW_OK);
    /* Two rings of 32 KiB, the control page and the object. */
    assert_true(n > 17 * 4096 && n < 17 * 4096 + 4096);
    close_pair(f);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

static void
the_end_is_gone_and_never_orderly(void **state)
{
    struct flow_listener *l;
    struct flow_error err;
    struct flow *f[2];
    struct place p;
    uint32_t end;
    char buf[8];
    size_t len;
    size_t n;

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    connect_pair(&p, l, NULL, f);
    assert_int_equal(flow_write(f[1], "last", 4, &n), FLOW_OK);
    flow_close(f[1]);
    assert_int_equal(flow_write(f[0], "x", 1, &n), FLOW_E_CLOSED);
    assert_int_equal(n, 0);
    flow_get_error(f[0], FLOW_WRITE, &err);
    assert_string_equal(err.text, "the peer closed its end or disappeared");
    assert_int_equal(flow_read(f[0], buf, sizeof(buf), &n), FLOW_OK);
    assert_int_equal(n, 4);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(flow_read(f[0], buf, sizeof(buf), &n), FLOW_EOF);
    len = sizeof(end);
    assert_int_equal(flow_query(f[0], FLOW_QUERY_END_READ, &end, &len),
                     FLOW_OK);
    assert_int_equal(end, FLOW_END_GONE);
    flow_close(f[0]);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

/* The descriptor of the channel is among the sources: the channel is not
 * muted. */
static bool
listens(struct flow *f, uint32_t interest)
{
    struct flow_wait_set set;

    flow_wait_set_init(&set);
    assert_int_equal(flow_wait_sources(f, interest, &set), 0);
    for (size_t i = 0; i < set.count; i++)
        if (set.source[i].kind == FLOW_WAIT_FD)
            return true;
    return false;
}

/* Each byte of a large lease sends an event, and any number of these is not
 * a storm. */
static void
bytes_one_by_one_are_not_a_storm(void **state)
{
    const struct flow_vchan_options opt = { .read_size = 4096,
                                            .write_size = 4096,
                                            .lease_rings = true };
    struct flow_listener *l;
    struct flow_vec span[2];
    struct flow *f[2];
    struct place p;
    uint8_t buf[4096];
    size_t n;

    (void)state;
    place_make(&p);
    l = listen_on(&p, &opt);
    connect_pair(&p, l, &opt, f);
    memset(buf, 'a', sizeof(buf));
    for (unsigned i = 0; i < 2000; i++) {
        assert_int_equal(flow_lease(f[0], FLOW_READ, 2000, span), FLOW_AGAIN);
        assert_true(listens(f[0], FLOW_READY_READ));
        assert_true(
            (*((struct vchan *)f[1])->tx.notify.own & VCHAN_NOTIFY_WRITE) != 0);
        assert_int_equal(flow_write(f[1], "a", 1, &n), FLOW_OK);
    }
    assert_int_equal(flow_lease(f[0], FLOW_READ, 2000, span), FLOW_OK);
    assert_int_equal(flow_commit(f[0], FLOW_READ, 2000, 0), FLOW_OK);

    assert_int_equal(flow_write(f[1], buf, 4096, &n), FLOW_OK);
    assert_int_equal(n, 4096);
    for (unsigned i = 0; i < 2000; i++) {
        assert_int_equal(flow_lease(f[1], FLOW_WRITE, 2000, span), FLOW_AGAIN);
        assert_true(listens(f[1], FLOW_READY_WRITE));
        assert_true(
            (*((struct vchan *)f[0])->rx.notify.own & VCHAN_NOTIFY_READ) != 0);
        assert_int_equal(flow_read(f[0], buf, 1, &n), FLOW_OK);
    }
    assert_int_equal(flow_lease(f[1], FLOW_WRITE, 2000, span), FLOW_OK);
    close_pair(f);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

static void
a_ring_for_reading_only_works(void **state)
{
    const struct flow_vchan_options opt = { .readonly_ring = true };
    struct flow_listener *l;
    struct flow *f[2];
    struct place p;

    (void)state;
    place_make(&p);
    l = listen_on(&p, &opt);
    connect_pair(&p, l, NULL, f);
    pass(f[0], f[1], "down");
    pass(f[1], f[0], "up");
    close_pair(f);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

static void
shared_pages_hold_payload_only(void **state)
{
    static const char text[] = "payload";
    struct flow_listener *l;
    struct flow *f[2];
    struct place p;
    struct vchan *v;

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    /* A client has the pages of the client before the last one, since the
     * next offer is published when it attaches.  They are zero at first. */
    for (unsigned round = 0; round < 4; round++) {
        connect_pair(&p, l, NULL, f);
        v = (struct vchan *)f[0];
        for (unsigned i = 24 + 16 * 4; i < VCHAN_PAGE_SIZE; i++)
            assert_int_equal(v->conn.control->base[i], 0);
        for (unsigned i = 0; i < v->conn.left->count * VCHAN_PAGE_SIZE; i++) {
            assert_int_equal(v->conn.left->base[i], 0);
            assert_int_equal(v->conn.right->base[i], 0);
        }
        pass(f[0], f[1], text);
        assert_memory_equal(v->conn.right->base, text, sizeof(text) - 1);
        close_pair(f);
    }
    flow_listener_close(l);
    place_check_and_remove(&p);
}

/* Each end writes as much as fits before it reads. */
static void *
greedy(void *arg)
{
    struct flow *f = arg;
    size_t sent = 0;
    size_t got = 0;
    char *buf = calloc(1, 65536);
    const size_t total = 4u << 20;

    while (sent < total || got < total) {
        uint32_t want = FLOW_READY_READ;
        uint32_t ready;
        size_t n = 0;

        if (sent < total) {
            size_t len = total - sent < 65536 ? total - sent : 65536;

            if (flow_write(f, buf, len, &n) == FLOW_OK) {
                sent += n;
                continue;
            }
            want |= FLOW_READY_WRITE;
        }
        if (flow_read(f, buf, 65536, &n) == FLOW_OK)
            got += n;
        else
            assert_int_equal(flow_wait(f, want, &ready), FLOW_OK);
    }
    free(buf);
    return NULL;
}

static void
two_greedy_writers_do_not_deadlock(void **state)
{
    struct flow_listener *l;
    struct flow *f[2];
    struct place p;
    pthread_t thread;

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    connect_pair(&p, l, NULL, f);
    assert_int_equal(pthread_create(&thread, NULL, greedy, f[1]), 0);
    greedy(f[0]);
    pthread_join(thread, NULL);
    close_pair(f);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

#define DUPLEX_TOTAL (8u << 20)

static void *
duplex_writer(void *arg)
{
    struct flow *f = arg;
    uint8_t buf[3000];
    size_t sent = 0;
    size_t n;

    while (sent < DUPLEX_TOTAL) {
        size_t len = DUPLEX_TOTAL - sent;

        len = len < sizeof(buf) ? len : sizeof(buf);
        for (size_t i = 0; i < len; i++)
            buf[i] = (uint8_t)((sent + i) % 251);
        assert_int_equal(flow_write_all(f, buf, len, &n), FLOW_OK);
        sent += len;
    }
    return NULL;
}

static void *
duplex_reader(void *arg)
{
    struct flow *f = arg;
    uint8_t buf[5000];
    size_t got = 0;
    size_t n;

    while (got < DUPLEX_TOTAL) {
        size_t len = DUPLEX_TOTAL - got;

        len = len < sizeof(buf) ? len : sizeof(buf);
        assert_int_equal(flow_read_exact(f, buf, len, &n), FLOW_OK);
        for (size_t i = 0; i < len; i++)
            assert_int_equal(buf[i], (uint8_t)((got + i) % 251));
        got += len;
    }
    return NULL;
}

/* A reader thread and a writer thread at each end share one channel: an
 * event that one consumes must not be lost to the other. */
static void
four_threads_share_two_channels(void **state)
{
    const struct flow_vchan_options opt = { .read_size = 1024,
                                            .write_size = 2048 };
    struct flow_listener *l;
    struct flow *f[2];
    struct place p;
    pthread_t thread[4];

    (void)state;
    place_make(&p);
    l = listen_on(&p, &opt);
    connect_pair(&p, l, NULL, f);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL,
                                        i < 2 ? duplex_writer : duplex_reader,
                                        f[i & 1]),
                         0);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    close_pair(f);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

/* A hypervisor whose drain() is preempted once, so that another thread runs. */
static struct {
    struct vchan_event_ops events;
    const struct vchan_event_ops *real;
    struct flow *here;
    struct flow *peer;
    uint32_t seen; /* sequence of the writer's wakes when it fell asleep */
} preempted;

static void
fill(struct flow *f)
{
    static const char zeros[4096];
    size_t n;

    while (flow_write(f, zeros, sizeof(zeros), &n) == FLOW_OK)
        continue;
}

/* The writer goes to sleep with a full ring; its peer makes room. */
static bool
drain_preempted(struct vchan_channel *channel)
{
    struct flow *here = preempted.here;
    struct flow_wait_set set;
    char buf[4096];
    size_t n;

    if (here != NULL) {
        preempted.here = NULL;
        preempted.seen = flow_event_sequence(&here->wake[1]);
        flow_wait_set_init(&set);
        assert_int_equal(flow_wait_sources(here, FLOW_READY_WRITE, &set), 0);
        assert_int_equal(flow_read(preempted.peer, buf, sizeof(buf), &n),
                         FLOW_OK);
    }
    return preempted.real->drain(channel);
}

static void
consuming_an_event_wakes_the_other_direction(void **state)
{
    struct flow_wait_set set;
    struct flow_listener *l;
    struct flow *f[2];
    struct place p;
    struct vchan *v;

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    connect_pair(&p, l, NULL, f);
    v = (struct vchan *)f[0];
    preempted.real = v->conn.hyp->events;
    preempted.events = *preempted.real;
    preempted.events.drain = drain_preempted;
    v->conn.hyp->events = &preempted.events;
    fill(f[0]);

    /* The reader has slept, and consumes the writer's event. */
    for (unsigned i = 0; i < 2; i++) {
        preempted.here = i == 1 ? f[0] : NULL;
        preempted.peer = f[1];
        flow_wait_set_init(&set);
        assert_int_equal(flow_wait_sources(f[0], FLOW_READY_READ, &set), 0);
    }
    assert_null(preempted.here);
    assert_int_not_equal(flow_event_sequence(&f[0]->wake[1]), preempted.seen);
    close_pair(f);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

/* How many of a number of waits polled the ring. */
static unsigned
patient_waits(struct flow *f, unsigned waits)
{
    struct vchan *v = (struct vchan *)f;
    unsigned patient = 0;

    while (waits-- > 0) {
        struct flow_wait_set set;
        uint32_t left = v->skips_left;

        flow_wait_set_init(&set);
        assert_int_equal(flow_wait_sources(f, FLOW_READY_READ, &set), 0);
        patient += left == 0;
    }
    return patient;
}

static void
polls_that_find_nothing_become_rare(void **state)
{
    struct flow_listener *l;
    struct flow *f[2];
    struct place p;

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    connect_pair(&p, l, NULL, f);
    /* Pauses of 3, 15, 63 ... 4095 waits between them, and of 4095 for ever. */
    assert_int_equal(patient_waits(f[0], 1 + 3 + 1 + 15 + 1 + 63), 3);
    assert_int_equal(patient_waits(f[0], 1 + 255 + 1 + 1023 + 1 + 4095), 3);
    assert_int_equal(patient_waits(f[0], 10 * 4096), 10);
    close_pair(f);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capabilities_and_addresses_are_answered),
        cmocka_unit_test(the_end_is_gone_and_never_orderly),
        cmocka_unit_test(bytes_one_by_one_are_not_a_storm),
        cmocka_unit_test(a_ring_for_reading_only_works),
        cmocka_unit_test(shared_pages_hold_payload_only),
        cmocka_unit_test(two_greedy_writers_do_not_deadlock),
        cmocka_unit_test(four_threads_share_two_channels),
        cmocka_unit_test(consuming_an_event_wakes_the_other_direction),
        cmocka_unit_test(polls_that_find_nothing_become_rare),
    };

    return cmocka_run_group_tests_name("vchan: flows", tests, NULL, NULL);
}
