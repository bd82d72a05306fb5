/* SPDX-License-Identifier: ISC */
/*
 * A peer that violates the protocol.  The rings are between pages that cannot
 * be accessed, so an access outside of them crashes.  The tests also check that
 * every operation ends, with bytes, AGAIN or a definite error, and that errors
 * stay.
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

#include <flow/util.h>

#include "backends/vchan/hyp_fake.h"
#include "backends/vchan/vchan.h"
#include "scratch.h"

#define MSEC UINT64_C(1000000)
#define BASE "/local/domain/1/data/vchan/2/x"

struct world {
    char dir[SCRATCH_MAX];
    struct vchan_hyp *hyp[2];
    struct flow_listener *listener;
    struct flow *flow[2];
};

static void
world_start(struct world *w)
{
    const struct flow_env *env = flow_env_default();

    memset(w, 0, sizeof(*w));
    scratch_dir(w->dir);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(flow__vchan_fake_open(env, w->dir, (uint16_t)(i + 1),
                                               i == 0 ? VCHAN_FAKE_MAKE : 0,
                                               &w->hyp[i], NULL),
                         FLOW_OK);
}

static void
world_connect(struct world *w, const struct flow_vchan_options *opt)
{
    assert_int_equal(flow__vchan_listen_on(flow__vchan_hyp_ref(w->hyp[0]), 2,
                                           "x", opt, &w->listener, NULL),
                     FLOW_OK);
    assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(w->hyp[1]), 1,
                                            "x", NULL, &w->flow[1], NULL),
                     FLOW_OK);
    assert_int_equal(flow_open(w->flow[1]), FLOW_OK);
    assert_int_equal(flow_accept(w->listener, &w->flow[0]), FLOW_OK);
    assert_int_equal(flow_open(w->flow[0]), FLOW_OK);
}

static void
world_stop(struct world *w)
{
    flow_close(w->flow[0]);
    flow_close(w->flow[1]);
    flow_listener_close(w->listener);
    flow__vchan_hyp_unref(w->hyp[1]);
    flow__vchan_hyp_unref(w->hyp[0]);
}

static struct vchan *
end_of(struct world *w, unsigned i)
{
    return (struct vchan *)w->flow[i];
}

static uint32_t
draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (uint32_t)(*seed >> 32);
}

static void
expect_fault(struct flow *f, enum vchan_fault fault)
{
    struct flow_error err;
    char buf[8];
    size_t n;

    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(flow_read(f, buf, sizeof(buf), &n), FLOW_E_PROTO);
        assert_int_equal(n, 0);
        assert_int_equal(flow_write(f, buf, sizeof(buf), &n), FLOW_E_PROTO);
        assert_int_equal(n, 0);
    }
    flow_get_error(f, FLOW_READ, &err);
    assert_string_equal(err.text, flow__vchan_fault_text(fault));
    assert_string_equal(err.layers[0], "vchan");
    flow_get_error(f, FLOW_WRITE, &err);
    assert_string_equal(err.text, flow__vchan_fault_text(fault));
}

static void
move(struct flow *from, struct flow *to, size_t writes, size_t reads)
{
    static const char text[16] = "0123456789abcdef";
    struct flow_vec vec = { NULL, reads };
    size_t n;

    assert_int_equal(flow_write(from, text, writes, &n), FLOW_OK);
    assert_int_equal(n, writes);
    assert_int_equal(flow_readv(to, &vec, 1, &n), FLOW_OK);
    assert_int_equal(n, reads);
}

/* Makes the peer of w's flow `victim` commit a fault. */
static void
commit_fault(struct world *w, unsigned victim, enum vchan_fault fault)
{
    struct vchan_page *page = (void *)end_of(w, victim)->conn.control->base;
    struct vchan_index *in = victim == 0 ? &page->left : &page->right;
    struct vchan_index *out = victim == 0 ? &page->right : &page->left;
    struct flow *self = w->flow[victim];
    struct flow *peer = w->flow[!victim];
    struct flow_wait_set set;
    size_t n;

    switch (fault) {
    case VCHAN_FAULT_PROD_RANGE:
        in->prod = 0x80000000u;
        break;
    case VCHAN_FAULT_PROD_BACK:
        move(peer, self, 8, 4);
        in->prod = 6;
        break;
    case VCHAN_FAULT_CONS_RANGE:
        out->cons = 1;
        break;
    case VCHAN_FAULT_CONS_BACK:
        move(self, peer, 8, 8);
        assert_int_equal(flow_write(self, "x", 1, &n), FLOW_OK);
        out->cons = 7;
        break;
    case VCHAN_FAULT_LIVE_VALUE:
        *(victim == 0 ? &page->cli_live : &page->srv_live) = 77;
        break;
    case VCHAN_FAULT_LIVE_BACK: /* the server has seen 1, then sees 2 */
        flow_wait_set_init(&set);
        flow_wait_sources(self, FLOW_READY_READ, &set);
        page->cli_live = VCHAN_LIVE_NEVER;
        break;
    case VCHAN_FAULT_NONE:
    case VCHAN_FAULT_ORDER:
    case VCHAN_FAULT_GRANTS:
    case VCHAN_FAULT_INDEX:
        fail(); /* not of an open flow */
    }
    /* The writer loads the consumer. */
    if (fault == VCHAN_FAULT_CONS_RANGE || fault == VCHAN_FAULT_CONS_BACK)
        assert_int_equal(flow_write(self, "x", 1, &n), FLOW_E_PROTO);
}

static void
each_violation_has_its_cause_and_ends_both_directions(void **state)
{
    struct vchan_page *page;
    struct world w;

    (void)state;
    for (unsigned victim = 0; victim < 2; victim++) {
        for (enum vchan_fault fault = VCHAN_FAULT_PROD_RANGE;
             fault <= VCHAN_FAULT_LIVE_BACK; fault++) {
            /* A client's live byte has no 2 for its server, and its 0 stays:
             * see ring.h. */
            if (victim == 1 && fault == VCHAN_FAULT_LIVE_BACK)
                continue;
            world_start(&w);
            world_connect(&w, NULL);
            page = (void *)end_of(&w, victim)->conn.control->base;
            commit_fault(&w, victim, fault);
            expect_fault(w.flow[victim], fault);
            assert_int_equal(victim == 0 ? page->srv_live : page->cli_live,
                             VCHAN_LIVE_GONE);
            world_stop(&w);
        }
    }
}

static void
moving_our_indexes_replays_nothing(void **state)
{
    struct vchan_page *page;
    struct world w;
    uint64_t seed = 3;
    size_t got = 0;
    uint8_t *ring;
    size_t n;

    (void)state;
    world_start(&w);
    world_connect(&w, NULL);
    page = (void *)end_of(&w, 0)->conn.control->base;
    ring = (uint8_t *)end_of(&w, 0)->rx.data;
    /* Each byte of the ring tells its place, and stays the same. */
    for (uint32_t i = 0; i < 32768; i++)
        ring[i] = (uint8_t)(i * 2654435761u >> 24);
    for (uint32_t prod = 0; prod < 400000;) {
        uint8_t buf[700];

        prod += draw(&seed) % 600;
        page->left.prod = prod;
        while (flow_read(w.flow[0], buf, sizeof(buf), &n) == FLOW_OK) {
            for (size_t i = 0; i < n; i++)
                assert_int_equal(
                    buf[i],
                    (uint8_t)((uint32_t)((got + i) & 32767) * 2654435761u >>
                              24));
            got += n;
            page->left.cons -= draw(&seed) % 1000;
            page->right.prod += draw(&seed) % 1000;
        }
        assert_int_equal(got, prod);
    }
    world_stop(&w);
}

/* A correct page of a server, with a few random changes. */
static void
fill_page(struct vchan_page *page, const uint32_t *refs, uint64_t *seed)
{
    memset(page, 0, sizeof(*page));
    page->left_order = (uint16_t)(9 + draw(seed) % 13);
    page->right_order = (uint16_t)(9 + draw(seed) % 13);
    page->cli_live = (uint8_t)(draw(seed) % 8 ? 2 : draw(seed));
    page->srv_live = (uint8_t)(draw(seed) % 8 ? 1 : draw(seed));
    for (uint32_t i = 0; i < 512; i++)
        page->grants[i] = draw(seed) % 200 ? refs[i] : draw(seed) % 700;
    page->left.prod = draw(seed) % 2 ? 0 : draw(seed) % 3000;
    page->right.prod = draw(seed) % 2 ? 0 : draw(seed);
    if (draw(seed) % 3 == 0)
        for (unsigned i = 0; i < 6; i++)
            ((uint8_t *)page)[draw(seed) % 64] = (uint8_t)draw(seed);
}

static void
no_page_makes_a_client_misbehave(void **state)
{
    const struct vchan_unmap_notify none = { VCHAN_CLEAR_NONE, NULL };
    unsigned count[16] = { 0 };
    struct vchan_region *page;
    struct vchan_region *rings;
    struct vchan_hyp *server;
    uint64_t seed = 11;
    uint32_t refs[513];
    struct world w;
    uint32_t ref;

    (void)state;
    world_start(&w);
    server = w.hyp[0];
    server->grants->share(server, 2, 1, true, none, &ref, &page, NULL);
    server->grants->share(server, 2, 513, true, none, refs, &rings, NULL);
    for (unsigned round = 0; round < 3000; round++) {
        struct vchan_channel *channel;
        enum flow_status st;
        struct flow *f;

        server->events->alloc(server, 2, &channel, NULL);
        fill_page((void *)page->base, refs, &seed);
        server->store->publish(server, BASE, 2,
                               draw(&seed) % 16 ? ref : draw(&seed) % 700,
                               server->events->port(channel), NULL);
        assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(w.hyp[1]),
                                                1, "x", NULL, &f, NULL),
                         FLOW_OK);
        st = flow_open(f);
        /* A reference that is not granted is a stale offer: AGAIN. */
        assert_true(st == FLOW_OK || st == FLOW_AGAIN || st == FLOW_E_PROTO);
        count[st < 0 ? -st : st]++;
        flow_close(f);
        server->events->close(channel);
    }
    server->grants->unshare(server, rings);
    server->grants->unshare(server, page);
    world_stop(&w);
    /* Each kind of answer occurred. */
    assert_true(count[FLOW_OK] > 50);
    assert_true(count[FLOW_AGAIN] > 50);
    assert_true(count[-FLOW_E_PROTO] > 50);
}

struct vandal {
    struct world *w;
    unsigned victim;
    uint64_t seed;
    bool stop;
};

/* Writes random bytes into the control page as fast as it can. */
static void *
scribble(void *arg)
{
    struct vandal *v = arg;
    struct vchan *end = end_of(v->w, !v->victim);
    uint8_t *page = end->conn.control->base;
    uint64_t seed = v->seed;

    while (!__atomic_load_n(&v->stop, __ATOMIC_ACQUIRE)) {
        uint32_t *word = (void *)(page + (draw(&seed) % 6) * 4);
        uint32_t value = __atomic_load_n(word, __ATOMIC_RELAXED);

        switch (draw(&seed) % 8) {
        case 0:
            __atomic_store_n(page + draw(&seed) % 64, (uint8_t)draw(&seed),
                             __ATOMIC_RELAXED);
            break;
        case 1:
            __atomic_store_n(word, draw(&seed), __ATOMIC_RELAXED);
            break;
        case 2:
            end->conn.hyp->events->notify(end->conn.channel);
            break;
        default:
            __atomic_store_n(word, value + draw(&seed) % 200 - 20,
                             __ATOMIC_RELAXED);
        }
    }
    return NULL;
}

/* Uses the flow until it fails; false if it had not failed at the end. */
static bool
suffer(struct flow *f, uint64_t *seed)
{
    const struct flow_env *env = flow_get_env(f);
    uint64_t until = env->now(env->ctx) + 1000 * MSEC;
    uint8_t buf[3000] = { 0 };

    while (env->now(env->ctx) < until) {
        bool reads = draw(seed) & 1;
        size_t len = draw(seed) % sizeof(buf) + 1;
        enum flow_status st;
        uint32_t ready;
        size_t n;

        st = reads ? flow_read(f, buf, len, &n) : flow_write(f, buf, len, &n);
        if (st == FLOW_OK) {
            assert_true(n >= 1 && n <= len);
        } else if (st == FLOW_AGAIN) {
            flow_set_deadline(f, FLOW_READ | FLOW_WRITE,
                              env->now(env->ctx) + MSEC);
            st = flow_wait(f, FLOW_READY_READ | FLOW_READY_WRITE, &ready);
            assert_true(st == FLOW_OK || st == FLOW_E_TIMEOUT);
        } else {
            assert_true(st == FLOW_E_PROTO || st == FLOW_E_CLOSED ||
                        st == FLOW_EOF);
            assert_int_equal(reads ? flow_read(f, buf, len, &n)
                                   : flow_write(f, buf, len, &n),
                             st);
            return true;
        }
    }
    return false;
}

static void
random_writes_to_the_page_are_a_definite_error(void **state)
{
    const struct flow_vchan_options small = { .read_size = 1024,
                                              .write_size = 2048 };
    unsigned failed = 0;

    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        struct vandal v = { .victim = round & 1, .seed = round * 2 + 1 };
        uint64_t seed = round * 7919 + 1;
        pthread_t thread;
        struct world w;

        world_start(&w);
        world_connect(&w, round & 2 ? &small : NULL);
        v.w = &w;
        assert_int_equal(pthread_create(&thread, NULL, scribble, &v), 0);
        failed += suffer(w.flow[v.victim], &seed);
        __atomic_store_n(&v.stop, true, __ATOMIC_RELEASE);
        pthread_join(thread, NULL);
        world_stop(&w);
    }
    /* A second of random bytes must have been detected. */
    assert_int_equal(failed, 200);
}

static void
an_event_storm_is_muted_and_bytes_still_come(void **state)
{
    struct flow_wait_set set;
    bool muted = false;
    struct vchan *end;
    struct world w;
    uint32_t ready;
    char c;
    size_t n;

    (void)state;
    world_start(&w);
    world_connect(&w, NULL);
    end = end_of(&w, 1);
    for (unsigned i = 0; i < 5000 && !muted; i++) {
        end->conn.hyp->events->notify(end->conn.channel);
        flow_wait_set_init(&set);
        assert_int_equal(flow_wait_sources(w.flow[0], FLOW_READY_READ, &set),
                         0);
        muted = set.count == 0 || set.source[0].kind != FLOW_WAIT_FD;
        for (size_t k = 0; k < set.count; k++)
            muted = muted && set.source[k].kind != FLOW_WAIT_FD;
    }
    assert_true(muted);
    /* The channel is muted for a limited time. */
    assert_true(set.deadline != FLOW_NEVER);
    assert_int_equal(flow_write(w.flow[1], "x", 1, &n), FLOW_OK);
    assert_int_equal(flow_wait(w.flow[0], FLOW_READY_READ, &ready), FLOW_OK);
    assert_int_equal(flow_read(w.flow[0], &c, 1, &n), FLOW_OK);
    assert_int_equal(c, 'x');
    world_stop(&w);
}

/* A hypervisor whose channel always has another event, and a clock that
 * moves by the time that a wake takes. */
static struct {
    struct vchan_event_ops events;
    struct flow_env env;
    uint64_t now;
} storm;

static uint64_t
storm_now(void *ctx)
{
    (void)ctx;
    return storm.now;
}

static bool
storm_drain(struct vchan_channel *channel)
{
    (void)channel;
    return true;
}

static bool
listens_to_channel(const struct flow_wait_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->source[i].kind == FLOW_WAIT_FD)
            return true;
    return false;
}

/* How often a sleeping reader is woken in a second of virtual time, if its
 * peer writes a byte with every n-th event (0: never). */
static unsigned
wakes_in_a_storm(struct world *w, unsigned events_per_byte)
{
    const uint64_t end = storm.now + 1000000000u;
    struct flow_wait_set set;
    unsigned wakes = 0;
    char byte;
    size_t n;

    while (storm.now < end) {
        if (events_per_byte != 0 && wakes % events_per_byte == 0)
            assert_int_equal(flow_write(w->flow[1], "x", 1, &n), FLOW_OK);
        while (flow_read(w->flow[0], &byte, 1, &n) == FLOW_OK)
            continue;
        flow_wait_set_init(&set);
        assert_int_equal(flow_wait_sources(w->flow[0], FLOW_READY_READ, &set),
                         0);
        if (!listens_to_channel(&set))
            storm.now = set.deadline;
        storm.now += 5000;
        wakes++;
    }
    return wakes;
}

/* At 5 microseconds for one, 20,000 wakes would be a tenth of a processor. */
static void
an_event_storm_wakes_its_reader_seldom(void **state)
{
    struct world w;

    (void)state;
    world_start(&w);
    world_connect(&w, NULL);
    storm.env = *w.flow[0]->env;
    storm.env.now = storm_now;
    storm.now = 1000000000u;
    storm.events = *w.hyp[0]->events;
    storm.events.drain = storm_drain;
    w.hyp[0]->events = &storm.events;
    w.flow[0]->env = &storm.env;
    assert_in_range(wakes_in_a_storm(&w, 0), 100, 2000);
    assert_in_range(wakes_in_a_storm(&w, 500), 100, 2000);
    assert_in_range(wakes_in_a_storm(&w, 10), 100, 4000);
    world_stop(&w);
}

/* The same from a client that has bound an offer and never attaches. */
static void
an_event_storm_wakes_its_listener_seldom(void **state)
{
    struct flow_wait_set set;
    unsigned wakes = 0;
    struct world w;
    uint64_t end;

    (void)state;
    world_start(&w);
    world_connect(&w, NULL);
    storm.env = *w.listener->env;
    storm.env.now = storm_now;
    storm.now = 1000000000u;
    storm.events = *w.hyp[0]->events;
    storm.events.drain = storm_drain;
    w.hyp[0]->events = &storm.events;
    w.listener->env = &storm.env;
    for (end = storm.now + 1000000000u; storm.now < end; wakes++) {
        flow_wait_set_init(&set);
        assert_false(flow_listener_wait_sources(w.listener, &set));
        if (!listens_to_channel(&set))
            storm.now = set.deadline;
        storm.now += 5000;
    }
    assert_in_range(wakes, 100, 2000);
    /* A client is still noticed by its live byte. */
    flow_close(w.flow[0]);
    flow_close(w.flow[1]);
    assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(w.hyp[1]), 1,
                                            "x", NULL, &w.flow[1], NULL),
                     FLOW_OK);
    assert_int_equal(flow_open(w.flow[1]), FLOW_OK);
    flow_wait_set_init(&set);
    assert_true(flow_listener_wait_sources(w.listener, &set));
    assert_int_equal(flow_accept(w.listener, &w.flow[0]), FLOW_OK);
    world_stop(&w);
}

/* Events with bytes are not a storm, whatever their number. */
static void
events_with_bytes_are_not_a_storm(void **state)
{
    struct flow_wait_set set;
    struct world w;
    char byte;
    size_t n;

    (void)state;
    world_start(&w);
    world_connect(&w, NULL);
    for (unsigned i = 0; i < 5000; i++) {
        flow_wait_set_init(&set);
        assert_int_equal(flow_wait_sources(w.flow[0], FLOW_READY_READ, &set),
                         0);
        assert_true(listens_to_channel(&set));
        assert_int_equal(flow_write(w.flow[1], "x", 1, &n), FLOW_OK);
        assert_int_equal(flow_read(w.flow[0], &byte, 1, &n), FLOW_OK);
    }
    world_stop(&w);
}

static void
a_faulty_client_does_not_harm_the_listener(void **state)
{
    struct vchan_region *region;
    struct vchan_channel *channel;
    struct world w;
    uint32_t port;
    uint32_t ref;

    (void)state;
    world_start(&w);
    for (unsigned value = 3; value < 256; value += 50) {
        const struct vchan_unmap_notify none = { VCHAN_CLEAR_NONE, NULL };

        assert_int_equal(flow__vchan_listen_on(flow__vchan_hyp_ref(w.hyp[0]), 2,
                                               "x", NULL, &w.listener, NULL),
                         FLOW_OK);
        w.hyp[1]->store->lookup(w.hyp[1], 1, BASE, &ref, &port, NULL);
        w.hyp[1]->events->bind(w.hyp[1], 1, port, &channel, NULL);
        w.hyp[1]->grants->map(w.hyp[1], 1, &ref, 1, true, none, &region, NULL);
        ((struct vchan_page *)(void *)region->base)->cli_live = (uint8_t)value;
        assert_int_equal(flow_accept(w.listener, &w.flow[0]), FLOW_OK);
        expect_fault(w.flow[0], VCHAN_FAULT_LIVE_VALUE);
        flow_close(w.flow[0]);
        w.hyp[1]->grants->unmap(w.hyp[1], region);
        w.hyp[1]->events->close(channel);

        assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(w.hyp[1]),
                                                1, "x", NULL, &w.flow[1], NULL),
                         FLOW_OK);
        assert_int_equal(flow_open(w.flow[1]), FLOW_OK);
        assert_int_equal(flow_accept(w.listener, &w.flow[0]), FLOW_OK);
        flow_close(w.flow[1]);
        flow_close(w.flow[0]);
        flow_listener_close(w.listener);
    }
    w.listener = NULL;
    w.flow[0] = w.flow[1] = NULL;
    world_stop(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_violation_has_its_cause_and_ends_both_directions),
        cmocka_unit_test(moving_our_indexes_replays_nothing),
        cmocka_unit_test(no_page_makes_a_client_misbehave),
        cmocka_unit_test(random_writes_to_the_page_are_a_definite_error),
        cmocka_unit_test(an_event_storm_is_muted_and_bytes_still_come),
        cmocka_unit_test(an_event_storm_wakes_its_reader_seldom),
        cmocka_unit_test(an_event_storm_wakes_its_listener_seldom),
        cmocka_unit_test(events_with_bytes_are_not_a_storm),
        cmocka_unit_test(a_faulty_client_does_not_harm_the_listener),
    };

    return cmocka_run_group_tests_name("vchan: hostile peers", tests, NULL,
                                       NULL);
}
