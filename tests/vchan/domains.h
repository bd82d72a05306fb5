/* SPDX-License-Identifier: ISC */
#ifndef TESTS_VCHAN_DOMAINS_H
#define TESTS_VCHAN_DOMAINS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <flow/vchan.h>

#include "backends/vchan/hyp_fake.h"
#include "backends/vchan/vchan.h"
#include "clock.h"
#include "place.h"

/*
 * Domains of one fake hypervisor: a server's, number 1, and its peers'.  Their
 * clock is that of clock.h.
 */
struct world {
    struct place place;
    struct flow_env env;
    struct vchan_hyp *server;
    struct vchan_hyp *client; /* domain 2 */
    struct flow_listener *listener;
    struct flow *flow[2]; /* the server's end, the client's */
};

/* A domain that makes the world, or joins it. */
static inline struct vchan_hyp *
world_domain(struct world *w, uint16_t domid, unsigned flags)
{
    struct vchan_hyp *hyp;
    uint32_t port;
    uint32_t ref;

    assert_int_equal(
        flow__vchan_fake_open(&w->env, w->place.dir, domid, flags, &hyp, NULL),
        FLOW_OK);
    if ((flags & VCHAN_FAKE_MAKE) == 0)
        assert_int_equal(
            hyp->store->lookup(hyp, 1, "/nowhere", &ref, &port, NULL),
            FLOW_AGAIN);
    return hyp;
}

/* flags: how the server's domain makes the world. */
static inline void
world_start(struct world *w, unsigned flags)
{
    *w = (struct world){ .env = *flow_env_default() };
    clock_set_by_hand(&w->env);
    place_make(&w->place);
    w->server = world_domain(w, 1, VCHAN_FAKE_MAKE | flags);
    w->client = world_domain(w, 2, 0);
}

static inline struct flow_listener *
world_listen_for(struct world *w, uint16_t domid,
                 const struct flow_vchan_options *opt)
{
    struct flow_listener *l;

    assert_int_equal(flow__vchan_listen_on(flow__vchan_hyp_ref(w->server),
                                           domid, "x", opt, &l, NULL),
                     FLOW_OK);
    return l;
}

static inline void
world_listen(struct world *w, const struct flow_vchan_options *opt)
{
    w->listener = world_listen_for(w, 2, opt);
}

/* Two rings of a page each: a set has three pages. */
#define SET_PAGES 3u

static inline void
world_listen_small(struct world *w, uint32_t pinned_max)
{
    const struct flow_vchan_options opt = { .read_size = 4096,
                                            .write_size = 4096,
                                            .pinned_max = pinned_max };

    world_listen(w, &opt);
}

static inline struct flow *
world_dial(struct vchan_hyp *hyp)
{
    struct flow *f;

    assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(hyp), 1, "x",
                                            NULL, &f, NULL),
                     FLOW_OK);
    return f;
}

/* Makes the two ends of a flow between the server and a peer. */
static inline void
world_pair(struct vchan_hyp *hyp, struct flow_listener *l, struct flow *ret[2])
{
    ret[1] = world_dial(hyp);
    assert_int_equal(flow_open(ret[1]), FLOW_OK);
    assert_int_equal(flow_accept(l, &ret[0]), FLOW_OK);
    assert_int_equal(flow_open(ret[0]), FLOW_OK);
}

static inline void
world_connect(struct world *w)
{
    world_pair(w->client, w->listener, w->flow);
}

/* For a child that inherited the world; the place belongs to its parent. */
static inline void
world_leave(struct world *w)
{
    close_pair(w->flow);
    flow_listener_close(w->listener);
    flow__vchan_hyp_unref(w->client);
    flow__vchan_hyp_unref(w->server);
}

static inline void
world_stop(struct world *w)
{
    world_leave(w);
    place_check_and_remove(&w->place);
}

static inline uint32_t
ask(struct flow_listener *l, enum flow_query_key key)
{
    uint32_t number;
    size_t len = sizeof(number);

    assert_int_equal(flow_listener_query(l, key, &number, &len), FLOW_OK);
    return number;
}

static const struct vchan_unmap_notify no_unmap_notify = { VCHAN_CLEAR_NONE,
                                                           NULL };

/* A client by hand, which can leave and keep some of its resources. */
struct client {
    struct vchan_hyp *hyp;
    struct vchan_channel *channel;
    struct vchan_region *control;
    struct vchan_region *ring; /* the first page of the left one, if any */
};

/* The keys of the server's offer to a domain. */
static inline void
client_look(struct vchan_hyp *hyp, uint32_t *ret_ref, uint32_t *ret_port)
{
    char base[VCHAN_BASE_MAX];

    snprintf(base, sizeof(base), "/local/domain/1/data/vchan/%u/x", hyp->domid);
    assert_int_equal(hyp->store->lookup(hyp, 1, base, ret_ref, ret_port, NULL),
                     FLOW_OK);
}

static inline void
client_attach(struct vchan_hyp *hyp, struct client *c)
{
    struct vchan_page *page;
    uint32_t port;
    uint32_t ref;

    *c = (struct client){ .hyp = hyp };
    client_look(hyp, &ref, &port);
    assert_int_equal(hyp->events->bind(hyp, 1, port, &c->channel, NULL),
                     FLOW_OK);
    assert_int_equal(hyp->grants->map(hyp, 1, &ref, 1, true, no_unmap_notify,
                                      &c->control, NULL),
                     FLOW_OK);
    page = (struct vchan_page *)(void *)c->control->base;
    if (page->left_order >= 12)
        assert_int_equal(hyp->grants->map(hyp, 1, page->grants, 1, true,
                                          no_unmap_notify, &c->ring, NULL),
                         FLOW_OK);
    page->cli_live = VCHAN_LIVE_HERE;
    hyp->events->notify(c->channel);
}

/* Disconnects and closes the channel. */
static inline void
client_leave(struct client *c)
{
    c->control->base[offsetof(struct vchan_page, cli_live)] = VCHAN_LIVE_GONE;
    c->hyp->events->notify(c->channel);
    c->hyp->events->close(c->channel);
}

static inline void
client_unmap(struct client *c)
{
    c->hyp->grants->unmap(c->hyp, c->control);
    if (c->ring != NULL)
        c->hyp->grants->unmap(c->hyp, c->ring);
}

#endif
