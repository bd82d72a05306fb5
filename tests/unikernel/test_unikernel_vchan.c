/* SPDX-License-Identifier: ISC */
/*
 * The vchan backend between guests without an operating system.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <flow/util.h>
#include <flow/vchan.h>

#include "backends/vchan/hyp_unikernel.h"
#include "backends/vchan/proto.h"
#include "backends/vchan/vchan.h"
#include "lib/plat/fake/fake.h"
#include "tests/unikernel/xen_world.h"
#include "tests/vchan/clock.h"

struct pair {
    struct flow_env env;
    struct xen_world *world;
    struct xen_domain *domain[2]; /* the server's, the client's */
    struct vchan_hyp *hyp[2];
    struct flow_listener *listener;
    struct flow *flow[2];
};

static void
pair_start(struct pair *p)
{
    *p = (struct pair){ .env = *flow_env_default() };
    clock_set_by_hand(&p->env);
    p->world = xen_world_new(&p->env);
    for (unsigned i = 0; i < 2; i++) {
        p->domain[i] = xen_world_domain(p->world, (uint16_t)(i + 1));
        p->hyp[i] = xen_domain_start(p->domain[i]);
        assert_non_null(p->hyp[i]);
    }
}

static void
pair_listen(struct pair *p)
{
    assert_int_equal(flow__vchan_listen_on(flow__vchan_hyp_ref(p->hyp[0]), 2,
                                           "x", NULL, &p->listener, NULL),
                     FLOW_OK);
}

static void
pair_connect(struct pair *p)
{
    assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(p->hyp[1]), 1,
                                            "x", NULL, &p->flow[1], NULL),
                     FLOW_OK);
    assert_int_equal(flow_open(p->flow[1]), FLOW_OK);
    assert_int_equal(flow_accept(p->listener, &p->flow[0]), FLOW_OK);
    assert_int_equal(flow_open(p->flow[0]), FLOW_OK);
}

static void
pair_stop(struct pair *p)
{
    flow_close(p->flow[0]);
    flow_close(p->flow[1]);
    flow_listener_close(p->listener);
    flow__vchan_hyp_unref(p->hyp[0]);
    flow__vchan_hyp_unref(p->hyp[1]);
}

static void
bytes_pass_both_ways(void **state)
{
    struct pair p;
    char buf[8];
    size_t n;

    (void)state;
    pair_start(&p);
    pair_listen(&p);
    pair_connect(&p);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(flow_write(p.flow[i], "hello", 5, &n), FLOW_OK);
        assert_int_equal(flow_read(p.flow[1 - i], buf, sizeof(buf), &n),
                         FLOW_OK);
        assert_int_equal(n, 5);
        assert_memory_equal(buf, "hello", 5);
    }
    pair_stop(&p);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(xen_domain_mapped(p.domain[i]), 0);
        assert_int_equal(xen_domain_granted(p.domain[i]), 0);
        assert_int_equal(xen_domain_pages(p.domain[i]), 0);
    }
    assert_int_equal(xen_world_nodes(p.world, "/local/domain/1/data"), 0);
}

/* The live byte of the other side, or its index, is the peer's to write. */
static struct vchan_page *
server_page(struct pair *p)
{
    return (struct vchan_page *)(void *)((struct vchan *)p->flow[0])
        ->conn.control->base;
}

static void
a_lying_index_is_a_fault(void **state)
{
    struct flow_error err;
    struct pair p;
    char buf[8];
    size_t n;

    (void)state;
    pair_start(&p);
    pair_listen(&p);
    pair_connect(&p);
    server_page(&p)->left.prod = 0x80000000;
    assert_int_equal(flow_read(p.flow[0], buf, sizeof(buf), &n), FLOW_E_PROTO);
    flow_get_error(p.flow[0], FLOW_READ, &err);
    assert_non_null(err.text);
    assert_int_equal(flow_write(p.flow[0], "x", 1, &n), FLOW_E_PROTO);
    pair_stop(&p);
}

/* A peer that keeps pages mapped after its flow ended: they are not reused, and
 * are freed when it has unmapped them. */
static void
mapped_pages_stay_pinned(void **state)
{
    static const struct vchan_unmap_notify none = { VCHAN_CLEAR_NONE, NULL };
    struct vchan_region *shared, *mapped, *other;
    const struct vchan_grant_ops *grants;
    uint32_t refs[3], others[3];
    struct pair p;

    (void)state;
    pair_start(&p);
    grants = p.hyp[0]->grants;
    assert_int_equal(
        grants->share(p.hyp[0], 2, 3, true, none, refs, &shared, NULL),
        FLOW_OK);
    for (unsigned i = 0; i < 3 * VCHAN_PAGE_SIZE; i++)
        assert_int_equal(shared->base[i], 0);
    assert_int_equal(
        grants->map(p.hyp[1], 1, &refs[1], 1, true, none, &mapped, NULL),
        FLOW_OK);
    assert_int_equal(grants->unshare(p.hyp[0], shared), FLOW_E_BUSY);
    /* Two grants have ended; no page and no reference is free. */
    assert_int_equal(xen_domain_granted(p.domain[0]), 1);
    assert_int_equal(xen_domain_pages(p.domain[0]), 3);
    assert_int_equal(
        grants->map(p.hyp[1], 1, &refs[0], 1, true, none, &other, NULL),
        FLOW_AGAIN);
    assert_int_equal(
        grants->share(p.hyp[0], 2, 3, true, none, others, &other, NULL),
        FLOW_OK);
    for (unsigned i = 0; i < 9; i++)
        assert_int_not_equal(refs[i / 3], others[i % 3]);
    mapped->base[7] = 9;
    assert_int_equal(shared->base[VCHAN_PAGE_SIZE + 7], 9);
    grants->unmap(p.hyp[1], mapped);
    assert_int_equal(grants->unshare(p.hyp[0], shared), FLOW_OK);
    assert_int_equal(grants->unshare(p.hyp[0], other), FLOW_OK);
    assert_int_equal(xen_domain_pages(p.domain[0]), 0);
    flow__vchan_hyp_unref(p.hyp[0]);
    flow__vchan_hyp_unref(p.hyp[1]);
}

/* Of several pages one is not granted: none stays mapped. */
static void
a_map_is_all_or_nothing(void **state)
{
    static const struct vchan_unmap_notify none = { VCHAN_CLEAR_NONE, NULL };
    struct vchan_region *shared, *mapped;
    const struct vchan_grant_ops *grants;
    uint32_t refs[40];
    struct pair p;

    (void)state;
    pair_start(&p);
    grants = p.hyp[0]->grants;
    assert_int_equal(
        grants->share(p.hyp[0], 2, 40, false, none, refs, &shared, NULL),
        FLOW_OK);
    for (unsigned bad = 0; bad < 40; bad += 13) {
        uint32_t good = refs[bad];

        refs[bad] = 2000;
        assert_int_equal(
            grants->map(p.hyp[1], 1, refs, 40, false, none, &mapped, NULL),
            FLOW_AGAIN);
        assert_int_equal(xen_domain_mapped(p.domain[1]), 0);
        refs[bad] = good;
    }
    /* Granted for reading only. */
    assert_int_equal(
        grants->map(p.hyp[1], 1, refs, 40, true, none, &mapped, NULL),
        FLOW_AGAIN);
    assert_int_equal(
        grants->map(p.hyp[1], 1, refs, 40, false, none, &mapped, NULL),
        FLOW_OK);
    assert_int_equal(xen_domain_mapped(p.domain[1]), 40);
    for (unsigned i = 0; i < 40; i++) {
        shared->base[i * VCHAN_PAGE_SIZE] = (uint8_t)i;
        assert_int_equal(mapped->base[i * VCHAN_PAGE_SIZE], i);
    }
    grants->unmap(p.hyp[1], mapped);
    assert_int_equal(grants->unshare(p.hyp[0], shared), FLOW_OK);
    flow__vchan_hyp_unref(p.hyp[0]);
    flow__vchan_hyp_unref(p.hyp[1]);
}

/* More grants than the table has entries for. */
static void
references_run_out(void **state)
{
    static const struct vchan_unmap_notify none = { VCHAN_CLEAR_NONE, NULL };
    struct vchan_region *region[8];
    uint32_t refs[512];
    struct flow_error err;
    unsigned count = 0;
    struct pair p;

    (void)state;
    pair_start(&p);
    /* 2048 entries, of which 8 are the toolstack's. */
    while (p.hyp[0]->grants->share(p.hyp[0], 2, 500, true, none, refs,
                                   &region[count], &err) == FLOW_OK) {
        for (unsigned i = 0; i < 500; i++)
            assert_in_range(refs[i], VCHAN_REF_MIN, 2047);
        count++;
    }
    assert_int_equal(count, 4);
    assert_int_equal(err.status, FLOW_E_NOMEM);
    assert_string_equal(err.text, "no grant references are left");
    assert_int_equal(xen_domain_pages(p.domain[0]), 2000);
    while (count > 0)
        assert_int_equal(p.hyp[0]->grants->unshare(p.hyp[0], region[--count]),
                         FLOW_OK);
    flow__vchan_hyp_unref(p.hyp[0]);
    flow__vchan_hyp_unref(p.hyp[1]);
}

static void
channels_tell_their_state(void **state)
{
    const struct vchan_event_ops *events;
    struct vchan_channel *a, *b, *other;
    struct pair p;

    (void)state;
    pair_start(&p);
    events = p.hyp[0]->events;
    assert_int_equal(p.hyp[0]->store->presence(p.hyp[0], 2), VCHAN_PRESENT);
    assert_int_equal(p.hyp[0]->store->presence(p.hyp[0], 9), VCHAN_ABSENT);
    assert_int_equal(events->alloc(p.hyp[0], 2, &a, NULL), FLOW_OK);
    assert_int_equal(events->state(a), VCHAN_CHANNEL_UNBOUND);
    assert_int_equal(events->remote(a), 0);
    assert_int_equal(events->bind(p.hyp[1], 1, events->port(a) + 1, &b, NULL),
                     FLOW_AGAIN);
    assert_int_equal(events->bind(p.hyp[1], 9, 1, &b, NULL), FLOW_AGAIN);
    assert_int_equal(events->bind(p.hyp[1], 1, events->port(a), &b, NULL),
                     FLOW_OK);
    /* Only one client can. */
    assert_int_equal(events->bind(p.hyp[1], 1, events->port(a), &other, NULL),
                     FLOW_AGAIN);
    assert_int_equal(events->state(a), VCHAN_CHANNEL_BOUND);
    assert_int_equal(events->remote(a), events->port(b));
    assert_int_equal(events->remote(b), events->port(a));
    /* Xen marks the port of the side that binds. */
    assert_true(events->drain(b));
    assert_false(events->drain(b));
    assert_false(events->drain(a));
    events->notify(b);
    events->notify(b);
    assert_true(events->drain(a));
    assert_false(events->drain(a));
    events->close(b);
    assert_int_equal(events->state(a), VCHAN_CHANNEL_UNBOUND);
    assert_int_equal(events->bind(p.hyp[1], 1, events->port(a), &b, NULL),
                     FLOW_OK);
    events->close(a);
    events->close(b);
    flow__vchan_hyp_unref(p.hyp[0]);
    flow__vchan_hyp_unref(p.hyp[1]);
}

/* Handles are made and ended under failing allocations without a leak. */
static void
failing_allocations_are_told(void **state)
{
    struct xen_domain *d;
    struct flow__fake fake;
    struct vchan_hyp *hyp = NULL;
    struct flow_error err;
    uint64_t at = 0;

    (void)state;
    flow__fake_init(&fake, 1);
    do {
        struct xen_world *w = xen_world_new(&fake.env);

        d = xen_world_domain(w, 1);
        fake.allocs = 0;
        fake.fail_at = ++at;
        if (flow__unikernel_new(&fake.env, xen_domain_guest(d), &hyp, &err) !=
            FLOW_OK)
            assert_int_equal(err.status, FLOW_E_NOMEM);
    } while (hyp == NULL && fake.live_blocks == 0);
    assert_int_equal(at, 4);
    fake.fail_at = 0;
    flow__vchan_hyp_unref(hyp);
    assert_int_equal(fake.live_blocks, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass_both_ways),
        cmocka_unit_test(a_lying_index_is_a_fault),
        cmocka_unit_test(mapped_pages_stay_pinned),
        cmocka_unit_test(a_map_is_all_or_nothing),
        cmocka_unit_test(references_run_out),
        cmocka_unit_test(channels_tell_their_state),
        cmocka_unit_test(failing_allocations_are_told),
    };

    return cmocka_run_group_tests_name("unikernel: vchan", tests, NULL, NULL);
}
