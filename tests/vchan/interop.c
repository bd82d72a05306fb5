/* SPDX-License-Identifier: ISC */
#include "interop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libxenvchan.h>

#include <flow/flow.h>
#include <flow/listener.h>

#include "backends/vchan/hyp_fake.h"
#include "backends/vchan/vchan.h"
#include "fake_libxen.h"

#define SERVER 1u
#define CLIENT 2u
#define PATH   "/local/domain/1/data/vchan/2/test"

struct peer {
    struct vchan_hyp *hyp;
    struct flow *flow;
    struct flow_listener *listener;
    struct libxenvchan *ref;
};

static unsigned long our_events;
static const struct vchan_event_ops *uncounted;
static struct vchan_event_ops counted;

static void
count_notify(struct vchan_channel *channel)
{
    __atomic_add_fetch(&our_events, 1, __ATOMIC_RELAXED);
    uncounted->notify(channel);
}

unsigned long
peers_events(enum maker maker)
{
    unsigned long all = __atomic_load_n(&our_events, __ATOMIC_RELAXED);

    /* The reference's events pass through the same hypervisor. */
    return maker == REFERENCE ? fake_libxen_events()
                              : all - fake_libxen_events();
}

void
xen_start(struct xen *xen)
{
    const struct flow_env *env = flow_env_default();

    scratch_dir(xen->dir);
    assert_int_equal(flow__vchan_fake_open(env, xen->dir, SERVER,
                                           VCHAN_FAKE_MAKE, &xen->server, NULL),
                     FLOW_OK);
    assert_int_equal(
        flow__vchan_fake_open(env, xen->dir, CLIENT, 0, &xen->client, NULL),
        FLOW_OK);
    uncounted = xen->server->events;
    counted = *uncounted;
    counted.notify = count_notify;
    xen->server->events = xen->client->events = &counted;
}

void
xen_stop(struct xen *xen)
{
    flow__vchan_hyp_unref(xen->client);
    flow__vchan_hyp_unref(xen->server);
}

static struct peer *
peer_new(struct vchan_hyp *hyp)
{
    struct peer *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    p->hyp = hyp;
    return p;
}

static void
serve(struct peer *p, enum maker maker, size_t read_size, size_t write_size)
{
    struct flow_vchan_options opt = { .read_size = read_size,
                                      .write_size = write_size };

    if (maker == OURS) {
        assert_int_equal(flow__vchan_listen_on(flow__vchan_hyp_ref(p->hyp),
                                               CLIENT, PATH, &opt, &p->listener,
                                               NULL),
                         FLOW_OK);
        return;
    }
    fake_libxen_enter(p->hyp);
    p->ref = libxenvchan_server_init(NULL, CLIENT, PATH, read_size, write_size);
    assert_non_null(p->ref);
    p->ref->blocking = 0;
}

static void
dial(struct peer *p, enum maker maker)
{
    if (maker == OURS) {
        assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(p->hyp),
                                                SERVER, PATH, NULL, &p->flow,
                                                NULL),
                         FLOW_OK);
        assert_int_equal(flow_open(p->flow), FLOW_OK);
        return;
    }
    fake_libxen_enter(p->hyp);
    p->ref = libxenvchan_client_init(NULL, SERVER, PATH);
    assert_non_null(p->ref);
    p->ref->blocking = 0;
}

struct peer *
peer_serve(struct xen *xen, enum maker maker, size_t read_size,
           size_t write_size, uint32_t *ret_ref)
{
    struct peer *p = peer_new(xen->server);
    uint32_t port;

    serve(p, maker, read_size, write_size);
    assert_int_equal(
        xen->client->store->lookup(xen->client, 1, PATH, ret_ref, &port, NULL),
        FLOW_OK);
    return p;
}

void
peers_connect(struct xen *xen, enum maker server, enum maker client,
              size_t read_size, size_t write_size, struct peer *ret[2])
{
    uint32_t ref;

    /* The lookup also makes the client's domain join. */
    ret[0] = peer_serve(xen, server, read_size, write_size, &ref);
    ret[1] = peer_new(xen->client);
    dial(ret[1], client);
    if (server == OURS)
        assert_int_equal(flow_accept(ret[0]->listener, &ret[0]->flow), FLOW_OK);
}

void
peer_persist(struct peer *server)
{
    server->ref->server_persist = -1; /* a bit with a sign */
}

struct peer *
peer_dial(struct xen *xen, bool reattach, enum flow_status *ret_status)
{
    const struct flow_vchan_options opt = { .reattach = reattach };
    struct peer *p = peer_new(xen->client);

    assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(p->hyp), SERVER,
                                            PATH, &opt, &p->flow, NULL),
                     FLOW_OK);
    *ret_status = flow_open(p->flow);
    return p;
}

long
peer_read(struct peer *p, void *buf, size_t len)
{
    enum flow_status st;
    size_t n;

    if (p->ref != NULL)
        return libxenvchan_read(p->ref, buf, len);
    st = flow_read(p->flow, buf, len, &n);
    if (st == FLOW_EOF)
        return -1;
    assert_true(st == FLOW_OK || st == FLOW_AGAIN);
    return (long)n;
}

long
peer_write(struct peer *p, const void *buf, size_t len)
{
    enum flow_status st;
    size_t n;

    if (p->ref != NULL)
        return libxenvchan_write(p->ref, buf, len);
    st = flow_write(p->flow, buf, len, &n);
    if (st == FLOW_E_CLOSED)
        return -1;
    assert_true(st == FLOW_OK || st == FLOW_AGAIN);
    return (long)n;
}

void
peer_wait(struct peer *p, uint32_t interest)
{
    uint32_t ready;

    if (p->ref != NULL)
        libxenvchan_wait(p->ref);
    else
        assert_int_equal(flow_wait(p->flow, interest, &ready), FLOW_OK);
}

void
peer_arm(struct peer *p, bool writes)
{
    struct flow_wait_set set;
    char none;

    /* The reference requests an event in the write that finds no room. */
    if (p->ref != NULL) {
        if (writes)
            assert_int_equal(libxenvchan_write(p->ref, "", 1), 0);
        else
            assert_int_equal(libxenvchan_read(p->ref, &none, 1), 0);
        return;
    }
    flow_wait_set_init(&set);
    assert_int_equal(
        flow_wait_sources(p->flow, writes ? FLOW_READY_WRITE : FLOW_READY_READ,
                          &set),
        0);
}

uint8_t *
peer_page(struct peer *p)
{
    if (p->ref != NULL)
        return (uint8_t *)p->ref->ring;
    return ((struct vchan *)p->flow)->conn.control->base;
}

void
peers_set_left(struct peer *peer[2], uint32_t index)
{
    struct vchan_page *page = (void *)peer_page(peer[0]);

    page->left.cons = page->left.prod = index;
    for (unsigned i = 0; i < 2; i++) {
        struct vchan *v = (struct vchan *)peer[i]->flow;

        if (v == NULL)
            continue;
        if (v->conn.server)
            v->rx.cons = v->rx.prod = index;
        else
            v->tx.cons = v->tx.prod = index;
    }
}

void
peer_close(struct peer *p)
{
    if (p->ref != NULL)
        libxenvchan_close(p->ref);
    flow_close(p->flow);
    flow_listener_close(p->listener);
    free(p);
}
