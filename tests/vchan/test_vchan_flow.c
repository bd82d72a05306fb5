/* SPDX-License-Identifier: ISC */
/* Listeners and flows on the fake hypervisor. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <flow/poller.h>
#include <flow/util.h>
#include <flow/vchan.h>

#include "backends/vchan/hyp_fake.h"
#include "backends/vchan/vchan.h"
#include "scratch.h"

#define MSEC UINT64_C(1000000)

struct place {
    char root[SCRATCH_MAX];
    char dir[SCRATCH_MAX + 8];
};

static void
place_make(struct place *p)
{
    scratch_dir(p->root);
    snprintf(p->dir, sizeof(p->dir), "%s/xen", p->root);
}

/* The last flow has removed what the listener made. */
static void
place_check_and_remove(struct place *p)
{
    assert_int_not_equal(access(p->dir, F_OK), 0);
    assert_int_equal(rmdir(p->root), 0);
}

static struct flow_listener *
listen_on(const struct place *p, const struct flow_vchan_options *opt)
{
    struct flow_listener *l;

    assert_int_equal(flow_vchan_fake_listen(NULL, p->dir, opt, &l, NULL),
                     FLOW_OK);
    return l;
}

static struct flow *
dial(const struct place *p, const struct flow_vchan_options *opt)
{
    struct flow *f;

    assert_int_equal(flow_vchan_fake_connect(NULL, p->dir, opt, &f, NULL),
                     FLOW_OK);
    return f;
}

static void
connect_pair(const struct place *p, struct flow_listener *l,
             const struct flow_vchan_options *opt, struct flow *ret[2])
{
    ret[1] = dial(p, opt);
    assert_int_equal(flow_open(ret[1]), FLOW_OK);
    assert_int_equal(flow_accept(l, &ret[0]), FLOW_OK);
    assert_int_equal(flow_open(ret[0]), FLOW_OK);
}

static void
close_pair(struct flow *f[2])
{
    flow_close(f[0]);
    flow_close(f[1]);
}

static void
pass(struct flow *from, struct flow *to, const char *text)
{
    char buf[64] = "";
    size_t n;

    assert_int_equal(flow_write(from, text, strlen(text), &n), FLOW_OK);
    assert_int_equal(n, strlen(text));
    assert_int_equal(flow_read(to, buf, sizeof(buf), &n), FLOW_OK);
    assert_int_equal(n, strlen(text));
    assert_string_equal(buf, text);
}

static void
each_client_has_pages_of_its_own(void **state)
{
    struct flow *f[3][2];
    struct flow_listener *l;
    struct flow *none;
    struct place p;
    char text[8];

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    assert_int_equal(flow_accept(l, &none), FLOW_AGAIN);
    for (unsigned i = 0; i < 3; i++)
        connect_pair(&p, l, NULL, f[i]);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(text, sizeof(text), "to %u", i);
        pass(f[i][0], f[i][1], text);
        pass(f[2 - i][1], f[2 - i][0], text);
    }
    /* Flows outlive their listener. */
    flow_listener_close(l);
    pass(f[1][0], f[1][1], "still here");
    for (unsigned i = 0; i < 3; i++)
        close_pair(f[i]);
    place_check_and_remove(&p);
}

static void
two_clients_never_share_an_offer(void **state)
{
    struct flow_listener *l;
    struct flow *a;
    struct flow *b;
    struct flow *f[2];
    struct place p;

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    a = dial(&p, NULL);
    b = dial(&p, NULL);
    assert_int_equal(flow_open(a), FLOW_OK);
    /* The keys are still there, the channel is taken. */
    assert_int_equal(flow_open(b), FLOW_AGAIN);
    assert_int_equal(flow_accept(l, &f[0]), FLOW_OK);
    assert_int_equal(flow_accept(l, &f[1]), FLOW_AGAIN);
    for (uint32_t ready; flow_open(b) == FLOW_AGAIN;)
        assert_int_equal(flow_wait(b, FLOW_READY_OPEN, &ready), FLOW_OK);
    assert_int_equal(flow_accept(l, &f[1]), FLOW_OK);
    pass(a, f[0], "first");
    pass(b, f[1], "second");
    close_pair(f);
    flow_close(a);
    flow_close(b);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

static void *
late_server(void *arg)
{
    const struct place *p = arg;
    struct flow_listener *l = listen_on(p, NULL);
    struct flow *f;
    size_t n;

    assert_int_equal(flow_accept_wait(l, &f), FLOW_OK);
    assert_int_equal(flow_write_all(f, "welcome", 7, &n), FLOW_OK);
    flow_close(f);
    flow_listener_close(l);
    return NULL;
}

static void
a_client_may_come_before_its_server(void **state)
{
    struct flow *f;
    struct place p;
    pthread_t thread;
    char buf[8];
    size_t n;

    (void)state;
    place_make(&p);
    f = dial(&p, NULL);
    assert_int_equal(flow_open(f), FLOW_AGAIN);
    assert_int_equal(flow_read(f, buf, 1, &n), FLOW_AGAIN);
    assert_int_equal(pthread_create(&thread, NULL, late_server, &p), 0);
    assert_int_equal(flow_read_exact(f, buf, 7, &n), FLOW_OK);
    assert_memory_equal(buf, "welcome", 7);
    pthread_join(thread, NULL);
    flow_close(f);
    place_check_and_remove(&p);
}

static void
expect_timeout(struct flow *f, const char *text)
{
    struct flow_error err;
    enum flow_status st;
    uint32_t ready;

    while ((st = flow_open(f)) == FLOW_AGAIN)
        assert_int_equal(flow_wait(f, FLOW_READY_OPEN, &ready), FLOW_OK);
    assert_int_equal(st, FLOW_E_TIMEOUT);
    flow_get_error(f, FLOW_READ, &err);
    assert_string_equal(err.text, text);
    assert_non_null(err.hint);
    assert_string_equal(err.detail, "/local/domain/1/data/vchan/2/flow");
    flow_close(f);
}

static void
a_client_without_a_server_times_out_and_says_why(void **state)
{
    const struct flow_vchan_options opt = { .timeout = 50 * MSEC };
    struct flow_listener *l;
    struct flow *f;
    struct place p;

    (void)state;
    place_make(&p);
    expect_timeout(dial(&p, &opt), "no server published its keys in the store");
    l = listen_on(&p, NULL);
    f = dial(&p, NULL);
    assert_int_equal(flow_open(f), FLOW_OK);
    /* Nobody accepts, so nothing new is offered. */
    expect_timeout(dial(&p, &opt), "the server's keys are in the store, but "
                                   "its vchan is gone or taken");
    flow_listener_close(l);
    flow_close(f);
    place_check_and_remove(&p);
}

static void
misuse_is_refused_by_name(void **state)
{
    struct flow_vchan_options opt = { .read_size = (1 << 20) + 1 };
    struct flow_listener *l;
    struct flow_error err;
    struct vchan_hyp *hyp;
    struct flow *f;
    struct place p;
    char longer[200];

    (void)state;
    place_make(&p);
    assert_int_equal(flow_vchan_fake_listen(NULL, p.dir, &opt, &l, &err),
                     FLOW_E_INVAL);
    assert_string_equal(err.text, "a ring is at most 1 MiB");
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(flow_vchan_fake_listen(NULL, longer, NULL, &l, &err),
                     FLOW_E_INVAL);
    assert_int_equal(flow_vchan_fake_connect(NULL, longer, NULL, &f, &err),
                     FLOW_E_INVAL);
    assert_int_equal(flow_vchan_fake_connect(NULL, "", NULL, &f, &err),
                     FLOW_E_INVAL);

    assert_int_equal(flow__vchan_fake_open(flow_env_default(), p.dir, 5,
                                           VCHAN_FAKE_MAKE, &hyp, NULL),
                     FLOW_OK);
    /* Our own domain, reserved ones, other people's paths. */
    assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(hyp), 5, "x",
                                            NULL, &f, &err),
                     FLOW_E_INVAL);
    assert_string_equal(err.text, "the peer is our own domain");
    assert_int_equal(
        flow__vchan_listen_on(flow__vchan_hyp_ref(hyp), 5, "x", NULL, &l, &err),
        FLOW_E_INVAL);
    assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(hyp), 0x7ff0,
                                            "x", NULL, &f, &err),
                     FLOW_E_INVAL);
    assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(hyp), 6,
                                            "/local/domain/7/data/x", NULL, &f,
                                            &err),
                     FLOW_E_INVAL);
    assert_string_equal(err.detail, "/local/domain/7/data/x");
    assert_int_equal(flow__vchan_listen_on(flow__vchan_hyp_ref(hyp), 6,
                                           "/local/domain/6/data/x", NULL, &l,
                                           &err),
                     FLOW_E_INVAL);
    opt = (struct flow_vchan_options){ .insecure_same_domain = true };
    assert_int_equal(
        flow__vchan_listen_on(flow__vchan_hyp_ref(hyp), 5, "x", &opt, &l, &err),
        FLOW_OK);
    flow_listener_close(l);
    flow__vchan_hyp_unref(hyp);
    place_check_and_remove(&p);
}

static void
two_listeners_cannot_have_one_directory(void **state)
{
    struct flow_listener *l;
    struct flow_listener *second;
    struct flow_error err;
    struct flow *f[2];
    struct place p;

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    assert_int_equal(flow_vchan_fake_listen(NULL, p.dir, NULL, &second, &err),
                     FLOW_E_SYS);
    assert_int_equal(err.code, EADDRINUSE);
    connect_pair(&p, l, NULL, f);
    pass(f[0], f[1], "unharmed");
    close_pair(f);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

static void
it_says_what_it_can_and_who_it_is(void **state)
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
    len = sizeof(number);
    assert_int_equal(flow_query(f[0], FLOW_QUERY_PEER_PORT, &number, &len),
                     FLOW_OK);
    assert_true(number > 0);
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
    assert_string_equal(err.text, "the peer closed its end or died");
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

static void
leases_are_ring_memory_and_contiguous_when_wanted(void **state)
{
    const struct flow_vchan_options opt = { .read_size = 1024,
                                            .write_size = 2048,
                                            .lease_rings = true };
    struct flow_listener *l;
    struct flow_vec span[2];
    struct flow *f[2];
    struct place p;
    uint8_t *ring;
    char buf[1024];
    size_t n;

    (void)state;
    place_make(&p);
    l = listen_on(&p, &opt);
    connect_pair(&p, l, &opt, f);
    ring = ((struct vchan *)f[1])->tx.data;

    /* All of an empty ring, in place. */
    assert_int_equal(flow_lease(f[1], FLOW_WRITE, 1, span), FLOW_OK);
    assert_ptr_equal(span[0].base, ring);
    assert_int_equal(span[0].len, 1024);
    assert_int_equal(span[1].len, 0);
    memset(span[0].base, 'a', 1000);
    assert_int_equal(flow_commit(f[1], FLOW_WRITE, 1000, 0), FLOW_OK);

    /* Peek, take a part. */
    assert_int_equal(flow_lease(f[0], FLOW_READ, 1000, span), FLOW_OK);
    assert_int_equal(span[0].len, 1000);
    assert_int_equal(flow_commit(f[0], FLOW_READ, 0, 0), FLOW_OK);
    assert_int_equal(flow_lease(f[0], FLOW_READ, 1, span), FLOW_OK);
    assert_int_equal(flow_commit(f[0], FLOW_READ, 990, 0), FLOW_OK);

    /* 24 bytes up to the end, the rest from the start: two spans, ... */
    assert_int_equal(flow_lease(f[1], FLOW_WRITE, 1, span), FLOW_OK);
    assert_int_equal(span[0].len, 24);
    assert_int_equal(span[1].len, 990);
    assert_ptr_equal(span[1].base, ring);
    assert_int_equal(flow_commit(f[1], FLOW_WRITE, 0, 0), FLOW_OK);
    /* ... or one that is not in the ring when more is wanted in a piece. */
    assert_int_equal(flow_lease(f[1], FLOW_WRITE, 100, span), FLOW_OK);
    assert_int_equal(span[0].len, 1014);
    assert_int_equal(span[1].len, 0);
    for (unsigned i = 0; i < 100; i++)
        ((uint8_t *)span[0].base)[i] = (uint8_t)i;
    assert_int_equal(flow_commit(f[1], FLOW_WRITE, 100, 0), FLOW_OK);

    assert_int_equal(flow_lease(f[0], FLOW_READ, 111, span), FLOW_AGAIN);
    assert_int_equal(flow_lease(f[0], FLOW_READ, 1025, span), FLOW_E_INVAL);
    assert_int_equal(flow_lease(f[0], FLOW_READ, 110, span), FLOW_OK);
    assert_int_equal(span[0].len, 110);
    memcpy(buf, span[0].base, 110);
    assert_memory_equal(buf, "aaaaaaaaaa", 10);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal((uint8_t)buf[10 + i], i);
    assert_int_equal(flow_commit(f[0], FLOW_READ, 110, 0), FLOW_OK);

    /* Behind the end there are fewer. */
    assert_int_equal(flow_write(f[1], "end", 3, &n), FLOW_OK);
    flow_close(f[1]);
    assert_int_equal(flow_lease(f[0], FLOW_READ, 3, span), FLOW_OK);
    assert_int_equal(flow_commit(f[0], FLOW_READ, 0, 0), FLOW_OK);
    assert_int_equal(flow_read(f[0], buf, 1, &n), FLOW_OK);
    assert_int_equal(flow_lease(f[0], FLOW_READ, 2, span), FLOW_OK);
    assert_memory_equal(span[0].base, "nd", 2);
    assert_int_equal(flow_commit(f[0], FLOW_READ, 2, 0), FLOW_OK);
    assert_int_equal(flow_lease(f[0], FLOW_READ, 1, span), FLOW_EOF);
    flow_close(f[0]);
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
nothing_but_payload_stands_in_shared_pages(void **state)
{
    struct flow_listener *l;
    struct flow *f[2];
    struct place p;
    struct vchan *v;

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    connect_pair(&p, l, NULL, f);
    pass(f[0], f[1], "payload");
    close_pair(f);

    /* The pages of the next client are those of before, and empty. */
    connect_pair(&p, l, NULL, f);
    v = (struct vchan *)f[0];
    for (unsigned i = 24; i < VCHAN_PAGE_SIZE; i++)
        if (i >= 24 + 16 * 4)
            assert_int_equal(v->conn.control->base[i], 0);
    for (unsigned i = 0; i < v->conn.left->count * VCHAN_PAGE_SIZE; i++) {
        assert_int_equal(v->conn.left->base[i], 0);
        assert_int_equal(v->conn.right->base[i], 0);
    }
    close_pair(f);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

/* Writes as much as fits before it reads, in both at once. */
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

/* A reader and a writer thread at each end share one channel each: an event
 * that one takes in must not be lost to the other. */
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

static uint64_t
soon(void)
{
    const struct flow_env *env = flow_env_default();

    return env->now(env->ctx) + 100 * MSEC;
}

/* A client by hand: binds, then attaches, then leaves, while its server
 * sleeps in between.  Too short a pause makes the test weaker, not wrong. */
static void *
slow_client(void *arg)
{
    const struct place *p = arg;
    const struct vchan_parting none = { VCHAN_CLEAR_NONE, NULL };
    struct vchan_channel *channel;
    struct vchan_region *page;
    struct vchan_hyp *hyp;
    uint32_t port = 0;
    uint32_t ref = 0;

    flow__vchan_fake_open(flow_env_default(), p->dir, 2, 0, &hyp, NULL);
    hyp->store->lookup(hyp, "/local/domain/1/data/vchan/2/flow", &ref, &port,
                       NULL);
    hyp->events->bind(hyp, 1, port, &channel, NULL);
    poll(NULL, 0, 30);
    hyp->grants->map(hyp, 1, &ref, 1, true, none, &page, NULL);
    page->base[20] = VCHAN_LIVE_HERE;
    hyp->events->notify(channel);
    poll(NULL, 0, 30);
    page->base[20] = VCHAN_LIVE_GONE;
    hyp->events->notify(channel);
    hyp->grants->unmap(hyp, page);
    hyp->events->close(channel);
    flow__vchan_hyp_unref(hyp);
    return NULL;
}

/*
 * A client that has bound and not yet attached has sent an event that says
 * nothing yet.  Those that follow must reach a poller too, which knows the
 * channel's descriptor by what it was.
 */
static void
a_poller_sees_a_client_that_takes_its_time(void **state)
{
    struct flow_poller_event event;
    struct flow_listener *l;
    struct flow_poller *poller;
    pthread_t thread;
    struct flow *f;
    struct place p;
    size_t n;

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    assert_int_equal(flow_poller_new(flow_env_default(), &poller), FLOW_OK);
    assert_int_equal(flow_poller_add_listener(poller, l, NULL), FLOW_OK);
    assert_int_equal(pthread_create(&thread, NULL, slow_client, &p), 0);
    assert_int_equal(
        flow_poller_wait(poller, &event, 1, soon() + 5000 * MSEC, &n), FLOW_OK);
    assert_ptr_equal(event.listener, l);
    assert_int_equal(flow_accept(l, &f), FLOW_OK);
    assert_int_equal(flow_poller_add(poller, f, FLOW_READY_READ, NULL),
                     FLOW_OK);
    assert_int_equal(
        flow_poller_wait(poller, &event, 1, soon() + 5000 * MSEC, &n), FLOW_OK);
    assert_ptr_equal(event.flow, f);
    pthread_join(thread, NULL);
    flow_poller_free(poller);
    flow_close(f);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

/* Three clients, one after the other, each with its flow in the poller that
 * has the listener. */
static void
a_poller_has_a_listener_and_its_flows(void **state)
{
    const struct flow_env *env = flow_env_default();
    struct flow_poller_event event;
    struct flow_listener *l;
    struct flow_poller *poller;
    struct flow *f[3][2];
    struct place p;
    size_t n;

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    assert_int_equal(flow_poller_new(env, &poller), FLOW_OK);
    assert_int_equal(flow_poller_add_listener(poller, l, NULL), FLOW_OK);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(flow_poller_wait(poller, &event, 1, soon(), &n),
                         FLOW_E_TIMEOUT);
        f[i][1] = dial(&p, NULL);
        assert_int_equal(flow_open(f[i][1]), FLOW_OK);
        assert_int_equal(
            flow_poller_wait(poller, &event, 1, soon() + 5000 * MSEC, &n),
            FLOW_OK);
        assert_ptr_equal(event.listener, l);
        assert_int_equal(flow_accept(l, &f[i][0]), FLOW_OK);
        assert_int_equal(
            flow_poller_add(poller, f[i][0], FLOW_READY_READ, NULL), FLOW_OK);
        assert_int_equal(flow_poller_wait(poller, &event, 1, soon(), &n),
                         FLOW_E_TIMEOUT);
        assert_int_equal(flow_write(f[i][1], "x", 1, &n), FLOW_OK);
        assert_int_equal(
            flow_poller_wait(poller, &event, 1, soon() + 5000 * MSEC, &n),
            FLOW_OK);
        assert_ptr_equal(event.flow, f[i][0]);
        flow_poller_set(poller, f[i][0], 0);
    }
    flow_poller_free(poller);
    for (unsigned i = 0; i < 3; i++)
        close_pair(f[i]);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

static void
memory_that_runs_out_is_an_error_and_no_leak(void **state)
{
    /* 513 pages each; the world has 16384. */
    const struct flow_vchan_options opt = { .read_size = 1 << 20,
                                            .write_size = 1 << 20 };
    struct flow *f[40][2];
    struct flow_listener *l;
    struct flow_error err;
    struct flow *none;
    struct place p;
    unsigned count = 0;

    (void)state;
    place_make(&p);
    l = listen_on(&p, &opt);
    for (;;) {
        struct flow *client = dial(&p, NULL);

        if (flow_open(client) != FLOW_OK) {
            flow_close(client);
            break;
        }
        f[count][1] = client;
        assert_int_equal(flow_accept(l, &f[count][0]), FLOW_OK);
        count++;
        assert_true(count < 40);
    }
    assert_int_equal(count, 31);
    assert_int_equal(flow_accept(l, &none), FLOW_AGAIN); /* backs off */
    flow_listener_get_error(l, &err);
    assert_int_equal(err.status, FLOW_E_NOMEM);
    /* Room again: the listener offers again. */
    close_pair(f[--count]);
    for (struct flow *client = dial(&p, NULL);;) {
        uint32_t ready;

        if (flow_open(client) == FLOW_OK) {
            f[count][1] = client;
            break;
        }
        assert_int_not_equal(flow_accept(l, &none), FLOW_OK);
        assert_int_equal(flow_wait(client, FLOW_READY_OPEN, &ready), FLOW_OK);
    }
    assert_int_equal(flow_accept(l, &f[count][0]), FLOW_OK);
    for (unsigned i = 0; i <= count; i++)
        close_pair(f[i]);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_client_has_pages_of_its_own),
        cmocka_unit_test(two_clients_never_share_an_offer),
        cmocka_unit_test(a_client_may_come_before_its_server),
        cmocka_unit_test(a_client_without_a_server_times_out_and_says_why),
        cmocka_unit_test(misuse_is_refused_by_name),
        cmocka_unit_test(two_listeners_cannot_have_one_directory),
        cmocka_unit_test(it_says_what_it_can_and_who_it_is),
        cmocka_unit_test(the_end_is_gone_and_never_orderly),
        cmocka_unit_test(leases_are_ring_memory_and_contiguous_when_wanted),
        cmocka_unit_test(a_ring_for_reading_only_works),
        cmocka_unit_test(nothing_but_payload_stands_in_shared_pages),
        cmocka_unit_test(two_greedy_writers_do_not_deadlock),
        cmocka_unit_test(four_threads_share_two_channels),
        cmocka_unit_test(a_poller_sees_a_client_that_takes_its_time),
        cmocka_unit_test(a_poller_has_a_listener_and_its_flows),
        cmocka_unit_test(memory_that_runs_out_is_an_error_and_no_leak),
    };

    return cmocka_run_group_tests_name("vchan: flows", tests, NULL, NULL);
}
