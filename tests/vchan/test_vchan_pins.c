/* SPDX-License-Identifier: ISC */
/*
 * Pages that a peer keeps mapped after the server ended its grants: they are
 * counted for that peer, tried again, and do not affect other peers.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <flow/util.h>
#include <flow/vchan.h>

#include "domains.h"

/* A client by hand maps the control page and a page of the left ring. */
#define HELD 2u

static const struct flow_vchan_options bounded = { .read_size = 4096,
                                                   .write_size = 4096,
                                                   .pinned_max = HELD };

static enum flow_status
try_listen(struct world *w, uint16_t domid, struct flow_listener **ret_listener,
           struct flow_error *err)
{
    return flow__vchan_listen_on(flow__vchan_hyp_ref(w->server), domid, "x",
                                 &bounded, ret_listener, err);
}

/* The flow and its listener end while the client still has pages mapped. */
static void
pin(struct vchan_hyp *hyp, struct flow_listener *l, struct client *c)
{
    struct flow *f;

    client_attach(hyp, c);
    assert_int_equal(flow_accept(l, &f), FLOW_OK);
    flow_close(f);
    flow_listener_close(l);
}

static void
a_peer_that_pins_its_limit_stops_no_other(void **state)
{
    struct flow_listener *l[2];
    struct flow_error err;
    struct client held[2];
    struct flow *f[4][2];
    struct vchan_hyp *third;
    struct world w;

    (void)state;
    world_start(&w, 0);
    third = world_domain(&w, 3, 0);
    l[0] = world_listen_for(&w, 3, &bounded);
    for (unsigned i = 0; i < 2; i++)
        pin(w.client, world_listen_for(&w, 2, &bounded), &held[i]);
    assert_int_equal(try_listen(&w, 2, &l[1], &err), FLOW_E_NOMEM);
    assert_int_equal(err.status, FLOW_E_NOMEM);
    assert_string_equal(err.text,
                        "the peer still maps too many pages of closed flows");
    assert_non_null(err.hint);
    assert_int_equal(try_listen(&w, 2, &l[1], NULL), FLOW_E_NOMEM);

    /* The earlier offer, and sets that are granted now. */
    for (unsigned i = 0; i < 3; i++) {
        world_pair(third, l[0], f[i]);
        pass(f[i][0], f[i][1], "down");
        pass(f[i][1], f[i][0], "up");
    }
    assert_int_equal(ask(l[0], FLOW_QUERY_PINNED_PAGES), 0);
    for (unsigned i = 0; i < 3; i++)
        close_pair(f[i]);
    flow_listener_close(l[0]);
    l[0] = world_listen_for(&w, 3, &bounded);
    world_pair(third, l[0], f[0]);
    close_pair(f[0]);
    flow_listener_close(l[0]);

    /* The peer itself is served again too. */
    for (unsigned i = 0; i < 2; i++) {
        client_leave(&held[i]);
        client_unmap(&held[i]);
    }
    world_listen(&w, &bounded);
    assert_int_equal(ask(w.listener, FLOW_QUERY_PINNED_PAGES), 0);
    world_connect(&w);
    pass(w.flow[0], w.flow[1], "again");
    flow__vchan_hyp_unref(third);
    world_stop(&w);
}

static uint32_t
pinned_of(struct flow *f)
{
    uint32_t number;
    size_t len = sizeof(number);

    assert_int_equal(flow_query(f, FLOW_QUERY_PINNED_PAGES, &number, &len),
                     FLOW_OK);
    return number;
}

/* A flow answers for its own peer, in both roles. */
static void
a_flow_answers_what_its_own_peer_holds(void **state)
{
    struct flow_listener *l;
    struct vchan_hyp *third;
    struct client held;
    struct flow *other[2];
    struct flow *dials;
    struct world w;

    (void)state;
    world_start(&w, 0);
    third = world_domain(&w, 3, 0);
    l = world_listen_for(&w, 3, &bounded);
    pin(w.client, world_listen_for(&w, 2, &bounded), &held);
    world_listen(&w, &bounded);
    world_connect(&w);
    world_pair(third, l, other);
    assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(w.server), 2,
                                            "back", NULL, &dials, NULL),
                     FLOW_OK);
    assert_int_equal(pinned_of(w.flow[0]), HELD);
    assert_int_equal(pinned_of(dials), HELD);
    assert_int_equal(pinned_of(other[0]), 0);
    assert_int_equal(pinned_of(other[1]), 0);
    flow_close(dials);
    close_pair(other);
    flow_listener_close(l);
    client_leave(&held);
    client_unmap(&held);
    assert_int_equal(pinned_of(w.flow[0]), 0);
    flow__vchan_hyp_unref(third);
    world_stop(&w);
}

/* The limit is for all that a peer holds, as the query answers. */
static void
pinned_and_kept_pages_count_together(void **state)
{
    struct flow_vchan_options opt = bounded;
    struct flow_error err;
    struct client held[4];
    struct flow *none;
    struct world w;
    struct flow *f;

    (void)state;
    world_start(&w, 0);
    /* A set has three pages. */
    opt.pinned_max = HELD + 3;
    pin(w.client, world_listen_for(&w, 2, &opt), &held[0]);
    world_listen(&w, &opt);
    for (unsigned i = 1; i < 4; i++) {
        client_attach(w.client, &held[i]);
        assert_int_equal(flow_accept(w.listener, &f), FLOW_OK);
        flow_close(f);
    }
    assert_int_equal(ask(w.listener, FLOW_QUERY_PINNED_PAGES), HELD + 3 * 3);
    assert_int_equal(flow_accept(w.listener, &none), FLOW_AGAIN);
    flow_listener_get_error(w.listener, &err);
    assert_string_equal(err.text,
                        "the peer still maps too many pages of closed flows");
    for (unsigned i = 0; i < 4; i++) {
        client_leave(&held[i]);
        client_unmap(&held[i]);
    }
    world_stop(&w);
}

static const struct vchan_grant_ops *plain_grants;
static struct vchan_grant_ops counting_grants;
static uint32_t granted_pages;

static enum flow_status
counting_share(struct vchan_hyp *hyp, uint16_t peer, uint32_t count,
               bool writable, struct vchan_unmap_notify at_unmap,
               uint32_t *ret_refs, struct vchan_region **ret_region,
               struct flow_error *err)
{
    enum flow_status st = plain_grants->share(
        hyp, peer, count, writable, at_unmap, ret_refs, ret_region, err);

    granted_pages += st == FLOW_OK ? count : 0;
    return st;
}

static enum flow_status
counting_unshare(struct vchan_hyp *hyp, struct vchan_region *region)
{
    uint32_t count = region->count;
    enum flow_status st = plain_grants->unshare(hyp, region);

    granted_pages -= st == FLOW_OK ? count : 0;
    return st;
}

static void
count_grants(struct vchan_hyp *hyp)
{
    plain_grants = hyp->grants;
    counting_grants = *plain_grants;
    counting_grants.share = counting_share;
    counting_grants.unshare = counting_unshare;
    hyp->grants = &counting_grants;
    granted_pages = 0;
}

/* Its domain may have no listener any more. */
static void
a_new_listener_frees_pages_that_peers_have_unmapped(void **state)
{
    struct vchan_hyp *third;
    struct client held;
    struct world w;

    (void)state;
    world_start(&w, 0);
    third = world_domain(&w, 3, 0);
    count_grants(w.server);
    pin(third, world_listen_for(&w, 3, &bounded), &held);
    assert_int_equal(granted_pages, HELD);
    world_listen(&w, &bounded);
    assert_int_equal(granted_pages, HELD + 3);
    client_leave(&held);
    client_unmap(&held);
    flow_listener_close(w.listener);
    assert_int_equal(granted_pages, HELD);
    world_listen(&w, &bounded);
    assert_int_equal(granted_pages, 3);
    flow__vchan_hyp_unref(third);
    world_stop(&w);
}

#define ROUNDS 100u

struct pinner {
    struct world *world;
    struct vchan_hyp *hyp;
    uint32_t wrong;
};

static void *
pin_and_let_go(void *arg)
{
    struct pinner *p = arg;
    struct client held;
    uint32_t domid = p->hyp->domid;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct flow_listener *l =
            world_listen_for(p->world, (uint16_t)domid, &bounded);

        pin(p->hyp, l, &held);
        l = world_listen_for(p->world, (uint16_t)domid, &bounded);
        p->wrong += ask(l, FLOW_QUERY_PINNED_PAGES) != HELD;
        client_leave(&held);
        client_unmap(&held);
        p->wrong += ask(l, FLOW_QUERY_PINNED_PAGES) != 0;
        flow_listener_close(l);
    }
    return NULL;
}

static void
each_thread_gets_the_count_of_its_peer(void **state)
{
    struct pinner p[2];
    pthread_t thread[2];
    struct world w;

    (void)state;
    world_start(&w, 0);
    for (unsigned i = 0; i < 2; i++) {
        p[i] = (struct pinner){ .world = &w };
        p[i].hyp = world_domain(&w, (uint16_t)(3 + i), 0);
        assert_int_equal(
            pthread_create(&thread[i], NULL, pin_and_let_go, &p[i]), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
        assert_int_equal(p[i].wrong, 0);
        flow__vchan_hyp_unref(p[i].hyp);
    }
    world_stop(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_that_pins_its_limit_stops_no_other),
        cmocka_unit_test(a_flow_answers_what_its_own_peer_holds),
        cmocka_unit_test(pinned_and_kept_pages_count_together),
        cmocka_unit_test(a_new_listener_frees_pages_that_peers_have_unmapped),
        cmocka_unit_test(each_thread_gets_the_count_of_its_peer),
    };

    return cmocka_run_group_tests_name("vchan: pinned pages", tests, NULL,
                                       NULL);
}
