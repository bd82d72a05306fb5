/* SPDX-License-Identifier: ISC */
/* An offer of a listener is for one client, whatever others do meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <flow/util.h>
#include <flow/vchan.h>

#include "backends/vchan/hyp_fake.h"
#include "backends/vchan/vchan.h"
#include "place.h"

#define MSEC UINT64_C(1000000)

/* Domain 1, the server's, makes the world in a place; domain 2 joins it. */
static void
make_domains(const struct place *p, struct vchan_hyp **ret_server,
             struct vchan_hyp **ret_client)
{
    assert_int_equal(flow__vchan_fake_open(flow_env_default(), p->dir, 1,
                                           VCHAN_FAKE_MAKE, ret_server, NULL),
                     FLOW_OK);
    assert_int_equal(flow__vchan_fake_open(flow_env_default(), p->dir, 2, 0,
                                           ret_client, NULL),
                     FLOW_OK);
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

/* After a client that has bound and not attached has left, the next one can
 * take the offer: an event channel can be bound again. */
static void
a_client_that_only_binds_blocks_no_other(void **state)
{
    struct vchan_channel *channel;
    struct flow_listener *l;
    struct vchan_hyp *hyp;
    struct flow *f[2];
    struct place p;
    uint32_t port = 0;
    uint32_t ref = 0;

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    assert_int_equal(
        flow__vchan_fake_open(flow_env_default(), p.dir, 2, 0, &hyp, NULL),
        FLOW_OK);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(hyp->store->lookup(hyp, 1,
                                            "/local/domain/1/data/vchan/2/flow",
                                            &ref, &port, NULL),
                         FLOW_OK);
        assert_int_equal(hyp->events->bind(hyp, 1, port, &channel, NULL),
                         FLOW_OK);
        hyp->events->close(channel);
        assert_int_equal(flow_accept(l, &f[0]), FLOW_AGAIN);
        assert_int_equal(flow_accept(l, &f[0]), FLOW_AGAIN);
    }
    connect_pair(&p, l, NULL, f);
    pass(f[0], f[1], "after all");
    close_pair(f);
    flow__vchan_hyp_unref(hyp);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

/* The client's hypervisor, with a callback at a certain moment. */
static const struct vchan_event_ops *plain_events;
static struct vchan_event_ops late_events;
static void (*between)(struct flow_listener *l);
static struct flow_listener *between_whom;

/* Calls back once, after the channel was bound and before anything is
 * mapped. */
static enum flow_status
bind_late(struct vchan_hyp *hyp, uint16_t peer, uint32_t port,
          struct vchan_channel **ret_channel, struct flow_error *err)
{
    enum flow_status st = plain_events->bind(hyp, peer, port, ret_channel, err);
    void (*then)(struct flow_listener * l) = between;

    if (st == FLOW_OK && then != NULL) {
        between = NULL;
        then(between_whom);
    }
    return st;
}

/* Let the domain call back after its next bind. */
static void
bind_after(struct vchan_hyp *hyp)
{
    plain_events = hyp->events;
    late_events = *plain_events;
    late_events.bind = bind_late;
    hyp->events = &late_events;
}

/*
 * A server ends between a client's bind and its map; another one starts after
 * it.
 */
static void
an_offer_that_ends_during_an_attach_is_tried_again(void **state)
{
    const struct flow_vchan_options opt = { .timeout = 20000 * MSEC };
    struct vchan_hyp *server;
    struct vchan_hyp *client;
    struct flow_listener *l;
    struct flow *f[2];
    struct place p;
    uint32_t ready;

    (void)state;
    place_make(&p);
    make_domains(&p, &server, &client);
    bind_after(client);
    assert_int_equal(flow__vchan_listen_on(flow__vchan_hyp_ref(server), 2,
                                           "flow", NULL, &l, NULL),
                     FLOW_OK);
    between = flow_listener_close;
    between_whom = l;
    assert_int_equal(
        flow__vchan_connect_on(client, 1, "flow", &opt, &f[1], NULL), FLOW_OK);
    assert_int_equal(flow_open(f[1]), FLOW_AGAIN);
    assert_null(between);
    assert_int_equal(flow__vchan_listen_on(server, 2, "flow", NULL, &l, NULL),
                     FLOW_OK);
    while (flow_open(f[1]) == FLOW_AGAIN)
        assert_int_equal(flow_wait(f[1], FLOW_READY_OPEN, &ready), FLOW_OK);
    assert_int_equal(flow_accept(l, &f[0]), FLOW_OK);
    pass(f[0], f[1], "at last");
    close_pair(f);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

/* The offer is withdrawn, and its page gets invalid contents. */
static struct vchan_hyp *spoils;
static struct vchan_region *spoilt;
static uint32_t spoilt_port;

static void
withdraw_and_spoil(struct flow_listener *l)
{
    (void)l;
    spoils->store->withdraw(spoils, "/local/domain/1/data/vchan/2/flow",
                            spoilt_port);
    memset(spoilt->base, 0xee, VCHAN_PAGE_SIZE);
}

static void
leave_and_spoil(struct flow_listener *l)
{
    (void)l;
    memset(spoilt->base, 0xee, VCHAN_PAGE_SIZE);
}

/* A fault of a page counts while its keys are in the store. */
static void
an_invalid_page_of_a_withdrawn_offer_is_tried_again(void **state)
{
    static void (*const act[])(struct flow_listener * l) = { withdraw_and_spoil,
                                                             leave_and_spoil };
    const struct vchan_unmap_notify none = { VCHAN_CLEAR_NONE, NULL };
    struct vchan_channel *channel;
    struct vchan_hyp *client;
    struct place p;
    struct flow *f;
    uint32_t ref;

    (void)state;
    place_make(&p);
    make_domains(&p, &spoils, &client);
    bind_after(client);
    assert_int_equal(
        spoils->grants->share(spoils, 2, 1, true, none, &ref, &spoilt, NULL),
        FLOW_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(spoils->events->alloc(spoils, 2, &channel, NULL),
                         FLOW_OK);
        spoilt_port = spoils->events->port(channel);
        assert_int_equal(
            spoils->store->publish(spoils, "/local/domain/1/data/vchan/2/flow",
                                   2, ref, spoilt_port, NULL),
            FLOW_OK);
        between = act[i];
        assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(client), 1,
                                                "flow", NULL, &f, NULL),
                         FLOW_OK);
        assert_int_equal(flow_open(f), i == 0 ? FLOW_AGAIN : FLOW_E_PROTO);
        flow_close(f);
        spoils->events->close(channel);
    }
    assert_int_equal(spoils->grants->unshare(spoils, spoilt), FLOW_OK);
    flow__vchan_hyp_unref(client);
    flow__vchan_hyp_unref(spoils);
    place_check_and_remove(&p);
}

/* A channel that a client has bound and left can be bound again. */
static void
see_the_client_off(struct vchan_hyp *hyp, struct vchan_channel *channel)
{
    assert_true(hyp->events->drain(channel));
    assert_int_equal(hyp->events->state(channel), VCHAN_CHANNEL_UNBOUND);
}

/*
 * Old keys of a set lead to its page while the next offer is being written to
 * it: its contents are not valid yet.
 */
static void
a_page_that_is_not_offered_yet_is_tried_again(void **state)
{
    static const char base[] = "/local/domain/1/data/vchan/2/flow";
    const struct flow_vchan_options opt = { .timeout = 20000 * MSEC };
    const struct vchan_unmap_notify none = { VCHAN_CLEAR_NONE, NULL };
    struct vchan_channel *channel;
    struct vchan_region *control;
    struct vchan_page *page;
    struct vchan_hyp *server;
    struct vchan_hyp *client;
    struct place p;
    struct flow *f;
    uint32_t ready;
    uint32_t ref;

    (void)state;
    place_make(&p);
    make_domains(&p, &server, &client);
    assert_int_equal(
        server->grants->share(server, 2, 1, true, none, &ref, &control, NULL),
        FLOW_OK);
    assert_int_equal(server->events->alloc(server, 2, &channel, NULL), FLOW_OK);
    assert_int_equal(server->store->publish(server, base, 2, ref,
                                            server->events->port(channel),
                                            NULL),
                     FLOW_OK);
    assert_int_equal(flow__vchan_connect_on(client, 1, "flow", &opt, &f, NULL),
                     FLOW_OK);
    page = (struct vchan_page *)(void *)control->base;
    /* First with zeros, then with the contents of an earlier connection. */
    assert_int_equal(flow_open(f), FLOW_AGAIN);
    see_the_client_off(server, channel);
    page->left_order = 10;
    page->right_order = 11;
    page->left.prod = 5000;
    assert_int_equal(flow_wait(f, FLOW_READY_OPEN, &ready), FLOW_OK);
    assert_int_equal(flow_open(f), FLOW_AGAIN);
    see_the_client_off(server, channel);
    page->left.prod = 0;
    page->cli_live = VCHAN_LIVE_NEVER;
    page->srv_live = VCHAN_LIVE_HERE;
    assert_int_equal(flow_open_wait(f), FLOW_OK);
    assert_int_equal(page->cli_live, VCHAN_LIVE_HERE);
    flow_close(f);
    server->store->withdraw(server, base, server->events->port(channel));
    assert_int_equal(server->grants->unshare(server, control), FLOW_OK);
    server->events->close(channel);
    flow__vchan_hyp_unref(server);
    place_check_and_remove(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_clients_never_share_an_offer),
        cmocka_unit_test(a_client_that_only_binds_blocks_no_other),
        cmocka_unit_test(an_offer_that_ends_during_an_attach_is_tried_again),
        cmocka_unit_test(an_invalid_page_of_a_withdrawn_offer_is_tried_again),
        cmocka_unit_test(a_page_that_is_not_offered_yet_is_tried_again),
    };

    return cmocka_run_group_tests_name("vchan: offers", tests, NULL, NULL);
}
