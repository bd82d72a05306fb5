/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include <flow/endpoint.h>
#include <flow/pair.h>
#include <flow/poller.h>

#include "lib/plat/fake/fake.h"
#include "mock_flow.h"
#include "unit.h"

/* The events of flow_poller_wait(), and misuse of a poller. */

struct conn {
    struct flow *flow;
    struct conn *peer; /* closed by this one's handler, or NULL */
    struct flow_poller *poller;
    unsigned served;
};

static struct flow__fake fake;
static struct flow_poller *poller;

static int
setup(void **state)
{
    (void)state;
    flow__fake_init(&fake, 1);
    return flow_poller_new(&fake.env, &poller) == FLOW_OK ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    flow_poller_free(poller);
    return fake.live_blocks == 0 ? 0 : -1;
}

static struct conn *
conn_new(void)
{
    struct conn *c = calloc(1, sizeof(*c));

    assert_non_null(c);
    c->flow = &mock_new(&fake.env, MOCK_CAPS)->base;
    assert_int_equal(flow_poller_add(poller, c->flow, FLOW_READY_READ, c),
                     FLOW_OK);
    return c;
}

static void
serve(void *user, uint32_t ready)
{
    struct conn *c = user;

    assert_int_equal(ready, FLOW_READY_READ);
    c->served++;
    if (c->peer == NULL)
        return;
    flow_close(c->peer->flow);
    free(c->peer);
    c->peer = NULL;
}

/* The example in <flow/poller.h>: a handler closes another connection. */
static void
handler_may_close_what_is_listed(void **state)
{
    struct flow_poller *p = poller;
    const struct flow_poller_event *ev;
    enum flow_status st;
    struct conn *c[3];
    size_t i, n;

    (void)state;
    for (i = 0; i < COUNT(c); i++)
        c[i] = conn_new();
    c[0]->peer = c[1];
    st = flow_poller_wait(p, 64, FLOW_NEVER, &ev, &n);
    for (i = 0; i < n; i++)
        if (ev[i].ready != 0)
            serve(ev[i].user, ev[i].ready);
    assert_int_equal(st, FLOW_OK);
    assert_int_equal(n, 3);
    assert_ptr_equal(ev[0].user, c[0]);
    assert_ptr_equal(ev[2].user, c[2]);
    assert_null(ev[1].flow);
    assert_null(ev[1].listener);
    assert_null(ev[1].user);
    assert_int_equal(ev[1].ready, 0);
    assert_int_equal(c[0]->served, 1);
    assert_int_equal(c[2]->served, 1);
    for (i = 0; i < COUNT(c); i += 2) {
        flow_close(c[i]->flow);
        free(c[i]);
    }
}

/* A flow that is removed and added again while the list is handled is a new
 * entry: the earlier event stays blank. */
static void
event_of_a_removed_flow_stays_blank(void **state)
{
    const struct flow_poller_event *ev;
    struct conn *c = conn_new();
    size_t n;

    (void)state;
    assert_int_equal(flow_poller_wait(poller, 4, FLOW_NOW, &ev, &n), FLOW_OK);
    assert_int_equal(flow_poller_remove(poller, c->flow), FLOW_OK);
    assert_int_equal(flow_poller_add(poller, c->flow, FLOW_READY_READ, c),
                     FLOW_OK);
    assert_null(ev[0].flow);
    assert_int_equal(flow_poller_wait(poller, 4, FLOW_NOW, &ev, &n), FLOW_OK);
    assert_int_equal(n, 1);
    assert_ptr_equal(ev[0].user, c);
    flow_close(c->flow);
    free(c);
}

static void
event_of_a_closed_listener_is_blanked(void **state)
{
    const struct flow_poller_event *ev;
    struct flow_listener *l;
    struct flow *f;
    size_t n;

    (void)state;
    assert_int_equal(
        flow_endpoint_listen(&fake.env, "pair:list", NULL, &l, NULL), FLOW_OK);
    assert_int_equal(flow_poller_add_listener(poller, l, &l), FLOW_OK);
    assert_int_equal(flow_endpoint_dial(&fake.env, "pair:list", NULL, &f, NULL),
                     FLOW_OK);
    assert_int_equal(flow_open(f), FLOW_OK);
    assert_int_equal(flow_poller_wait(poller, 4, FLOW_NOW, &ev, &n), FLOW_OK);
    assert_ptr_equal(ev[0].listener, l);
    flow_listener_close(l);
    assert_null(ev[0].listener);
    assert_null(ev[0].user);
    assert_int_equal(ev[0].ready, 0);
    flow_close(f);
}

/* More events than there was room for at first, and no memory for more. */
static void
event_list_grows_while_memory_lasts(void **state)
{
    const struct flow_poller_event *ev;
    struct conn *c[200];
    size_t i, n;

    (void)state;
    for (i = 0; i < COUNT(c); i++)
        c[i] = conn_new();
    fake.fail_at = fake.allocs + 1;
    assert_int_equal(flow_poller_wait(poller, 1000, FLOW_NOW, &ev, &n),
                     FLOW_OK);
    assert_in_range(n, 1, COUNT(c) - 1);
    assert_int_equal(flow_poller_wait(poller, 1000, FLOW_NOW, &ev, &n),
                     FLOW_OK);
    assert_int_equal(n, COUNT(c));
    assert_int_equal(flow_poller_wait(poller, 3, FLOW_NOW, &ev, &n), FLOW_OK);
    assert_int_equal(n, 3);
    for (i = 0; i < COUNT(c); i++) {
        flow_close(c[i]->flow);
        free(c[i]);
    }
}

static void
poller_misuse_is_refused(void **state)
{
    static const uint32_t unknown[] = { FLOW_READY_DEADLINE, FLOW_READY_ACCEPT,
                                        0x8000, FLOW_READY_READ | 0x10 };
    const struct flow_poller_event *ev = (void *)&ev;
    struct conn *c = conn_new();
    struct flow_poller *other;
    struct flow *f, *g;
    uint32_t ready;
    size_t i, n = 9;

    (void)state;
    assert_int_equal(flow_poller_new(&fake.env, &other), FLOW_OK);
    assert_int_equal(flow_pair_new(&fake.env, 64, NULL, &f, &g), FLOW_OK);
    /* A flow that is in no poller. */
    assert_int_equal(flow_poller_set(poller, f, FLOW_READY_READ), FLOW_E_INVAL);
    assert_int_equal(flow_poller_remove(poller, f), FLOW_E_INVAL);
    /* A flow of another poller. */
    assert_int_equal(flow_poller_set(other, c->flow, 0), FLOW_E_INVAL);
    assert_int_equal(flow_poller_remove(other, c->flow), FLOW_E_INVAL);
    assert_int_equal(flow_poller_add(other, c->flow, 0, NULL), FLOW_E_INVAL);
    for (i = 0; i < COUNT(unknown); i++) {
        assert_int_equal(flow_wait(f, unknown[i], &ready), FLOW_E_INVAL);
        assert_int_equal(flow_poller_add(poller, f, unknown[i], NULL),
                         FLOW_E_INVAL);
        assert_int_equal(flow_poller_set(poller, c->flow, unknown[i]),
                         FLOW_E_INVAL);
    }
    assert_int_equal(flow_poller_wait(poller, 0, FLOW_NOW, &ev, &n),
                     FLOW_E_INVAL);
    assert_null(ev);
    assert_int_equal(n, 0);
    /* The refused calls had no effect. */
    assert_int_equal(flow_poller_wait(poller, 4, FLOW_NOW, &ev, &n), FLOW_OK);
    assert_int_equal(n, 1);
    assert_ptr_equal(ev[0].user, c);
    flow_poller_free(other);
    flow_close(f);
    flow_close(g);
    flow_close(c->flow);
    free(c);
}

static void
poller_misuse_of_a_listener_is_refused(void **state)
{
    struct flow_listener *l;
    struct flow_poller *other;

    (void)state;
    assert_int_equal(flow_poller_new(&fake.env, &other), FLOW_OK);
    assert_int_equal(
        flow_endpoint_listen(&fake.env, "pair:list", NULL, &l, NULL), FLOW_OK);
    assert_int_equal(flow_poller_remove_listener(poller, l), FLOW_E_INVAL);
    assert_int_equal(flow_poller_add_listener(poller, l, NULL), FLOW_OK);
    assert_int_equal(flow_poller_add_listener(other, l, NULL), FLOW_E_INVAL);
    assert_int_equal(flow_poller_remove_listener(other, l), FLOW_E_INVAL);
    assert_int_equal(flow_poller_remove_listener(poller, l), FLOW_OK);
    flow_poller_free(other);
    flow_listener_close(l);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(handler_may_close_what_is_listed),
        TEST(event_of_a_removed_flow_stays_blank),
        TEST(event_of_a_closed_listener_is_blanked),
        TEST(event_list_grows_while_memory_lasts),
        TEST(poller_misuse_is_refused),
        TEST(poller_misuse_of_a_listener_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
