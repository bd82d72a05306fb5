/* SPDX-License-Identifier: ISC */
/*
 * The client of xenstored: its requests over the store of xen_world.h, and a
 * store made of this test's bytes that violates the protocol.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backends/vchan/hyp_unikernel.h"
#include "tests/unikernel/xen_world.h"

#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/io/xs_wire.h>
#include <xen/sched.h>
#include <xen/xen.h>

#define MSEC UINT64_C(1000000)

/* --- a store that works --------------------------------------------------- */

struct fixture {
    struct xen_world *world;
    struct vchan_hyp *hyp; /* of domain 3 */
    struct unikernel_hyp *h;
};

static int
setup(void **state)
{
    static struct fixture f;

    f.world = xen_world_new(flow_env_default());
    f.hyp = xen_domain_start(xen_world_domain(f.world, 3));
    f.h = f.hyp != NULL ? flow__unikernel_of(f.hyp) : NULL;
    *state = &f;
    return f.hyp != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    flow__vchan_hyp_unref(f->hyp);
    return 0;
}

/* Makes a request; the answer's length, or a negative errno. */
static int64_t
ask(struct unikernel_hyp *h, enum flow_guest_store_op op, uint32_t transaction,
    const char *path, const void *value, size_t len, char *answer, size_t size)
{
    const struct flow_guest_request request = {
        .op = op,
        .transaction = transaction,
        .path = path,
        .value = value,
        .len = len,
        .answer = answer,
        .size = size,
    };
    size_t n;
    int64_t rc = flow__unikernel_xs_call(h, &request, &n);

    return rc == 0 ? (int64_t)n : rc;
}

static int64_t
tell(struct unikernel_hyp *h, enum flow_guest_store_op op, uint32_t transaction,
     const char *path, const char *value)
{
    return ask(h, op, transaction, path, value,
               value != NULL ? strlen(value) : 0, NULL, 0);
}

static void
nodes_are_written_and_read(void **state)
{
    struct unikernel_hyp *h = ((struct fixture *)*state)->h;
    char buf[64];

    assert_int_equal(h->base.domid, 3);
    assert_int_equal(tell(h, FLOW_GUEST_STORE_WRITE, 0, "data/a/b", "value"),
                     0);
    assert_int_equal(ask(h, FLOW_GUEST_STORE_READ, 0,
                         "/local/domain/3/data/a/b", NULL, 0, buf, sizeof(buf)),
                     5);
    assert_memory_equal(buf, "value", 5);
    assert_int_equal(tell(h, FLOW_GUEST_STORE_MKDIR, 0, "data/a/c", NULL), 0);
    assert_int_equal(ask(h, FLOW_GUEST_STORE_DIRECTORY, 0, "data/a", NULL, 0,
                         buf, sizeof(buf)),
                     4);
    assert_memory_equal(buf, "b\0c", 4);
    assert_int_equal(
        ask(h, FLOW_GUEST_STORE_SET_PERMS, 0, "data/a/b", "n3\0r7", 6, NULL, 0),
        0);
    assert_int_equal(ask(h, FLOW_GUEST_STORE_GET_PERMS, 0, "data/a/b", NULL, 0,
                         buf, sizeof(buf)),
                     6);
    assert_memory_equal(buf, "n3\0r7", 6);
    assert_int_equal(tell(h, FLOW_GUEST_STORE_RM, 0, "data/a", NULL), 0);
    assert_int_equal(tell(h, FLOW_GUEST_STORE_READ, 0, "data/a/b", NULL),
                     -XEN_ENOENT);
}

static void
errors_of_the_store_are_told(void **state)
{
    struct fixture *f = *state;
    struct flow_error err;
    char buf[2];

    assert_int_equal(tell(f->h, FLOW_GUEST_STORE_READ, 0, "absent", NULL),
                     -XEN_ENOENT);
    assert_int_equal(tell(f->h, FLOW_GUEST_STORE_WRITE, 0, "/elsewhere", "x"),
                     -XEN_EACCES);
    xen_world_quota(f->world, 1);
    assert_int_equal(tell(f->h, FLOW_GUEST_STORE_WRITE, 0, "data/q", "x"),
                     -XEN_ENOSPC);
    assert_int_equal(flow__unikernel_xs_fail(f->h, &err, -XEN_ENOSPC,
                                             "cannot write to the store",
                                             "data/q"),
                     FLOW_E_NOMEM);
    assert_int_equal(err.code, XEN_ENOSPC);
    assert_string_equal(err.text, "cannot write to the store");
    assert_string_equal(err.detail, "data/q");
    assert_non_null(strstr(err.hint, "quotas"));
    assert_int_equal(ask(f->h, FLOW_GUEST_STORE_READ, 0,
                         "/local/domain/3/domid", NULL, 0, buf, 0),
                     -XEN_ENOBUFS);
    /* The connection still works. */
    assert_int_equal(
        ask(f->h, FLOW_GUEST_STORE_READ, 0, "domid", NULL, 0, buf, sizeof(buf)),
        1);
}

/* Requests and answers longer than a ring. */
static void
long_messages_pass(void **state)
{
    struct fixture *f = *state;
    char path[200];
    char buf[XENSTORE_PAYLOAD_MAX];
    char value[XENSTORE_PAYLOAD_MAX + 1];
    int64_t len = 0;

    memset(value, 'v', sizeof(value));
    assert_int_equal(ask(f->h, FLOW_GUEST_STORE_WRITE, 0, "data/x", value,
                         sizeof(value), NULL, 0),
                     -XEN_E2BIG);
    assert_int_equal(ask(f->h, FLOW_GUEST_STORE_WRITE, 0, "data/x", value,
                         XENSTORE_PAYLOAD_MAX - 6, NULL, 0),
                     -XEN_E2BIG);
    for (unsigned i = 0; i < 20; i++) {
        snprintf(path, sizeof(path), "data/%0120u", i);
        assert_int_equal(tell(f->h, FLOW_GUEST_STORE_WRITE, 0, path, "v"), 0);
        len += 121;
    }
    assert_int_equal(ask(f->h, FLOW_GUEST_STORE_DIRECTORY, 0, "data", NULL, 0,
                         buf, sizeof(buf)),
                     len);
    assert_int_equal(buf[119], '0');
    assert_int_equal(buf[121 * 20 - 2], '9');
}

static uint32_t
begin(struct unikernel_hyp *h)
{
    char buf[16] = "";
    uint32_t transaction = 0;
    int64_t n =
        ask(h, FLOW_GUEST_STORE_BEGIN, 0, "", NULL, 0, buf, sizeof(buf));

    assert_true(n > 1);
    assert_true(
        flow__vchan_number(buf, (size_t)n - 1, 1, UINT32_MAX, &transaction));
    return transaction;
}

static void
transactions_hide_and_conflict(void **state)
{
    struct fixture *f = *state;
    uint32_t t = begin(f->h);

    assert_int_equal(tell(f->h, FLOW_GUEST_STORE_WRITE, t, "data/t", "1"), 0);
    assert_int_equal(tell(f->h, FLOW_GUEST_STORE_READ, 0, "data/t", NULL),
                     -XEN_ENOENT);
    assert_int_equal(tell(f->h, FLOW_GUEST_STORE_END, t, "F", NULL), 0);
    assert_int_equal(tell(f->h, FLOW_GUEST_STORE_READ, 0, "data/t", NULL),
                     -XEN_ENOENT);
    t = begin(f->h);
    assert_int_equal(tell(f->h, FLOW_GUEST_STORE_WRITE, t, "data/t", "1"), 0);
    xen_world_write(f->world, "/other", "x");
    assert_int_equal(tell(f->h, FLOW_GUEST_STORE_END, t, "T", NULL),
                     -XEN_EAGAIN);
    t = begin(f->h);
    assert_int_equal(tell(f->h, FLOW_GUEST_STORE_WRITE, t, "data/t", "1"), 0);
    assert_int_equal(tell(f->h, FLOW_GUEST_STORE_END, t, "T", NULL), 0);
    assert_int_equal(tell(f->h, FLOW_GUEST_STORE_READ, 0, "data/t", NULL), 0);
}

#define BASE "/local/domain/3/data/vchan/2/x"

/* An offer is published in a transaction, which is repeated. */
static void
offers_survive_conflicts(void **state)
{
    struct fixture *f = *state;
    const struct vchan_store_ops *store = f->hyp->store;
    uint32_t port = 0;
    uint32_t ref = 0;
    struct flow_error err;

    xen_world_conflicts(f->world, 5);
    assert_int_equal(store->publish(f->hyp, BASE, 2, 77, 5, NULL), FLOW_OK);
    assert_int_equal(store->lookup(f->hyp, 3, BASE, &ref, &port, NULL),
                     FLOW_OK);
    assert_int_equal(ref, 77);
    assert_int_equal(port, 5);
    /* The keys are of another offer. */
    store->withdraw(f->hyp, BASE, 6);
    assert_int_equal(store->lookup(f->hyp, 3, BASE, &ref, &port, NULL),
                     FLOW_OK);
    xen_world_conflicts(f->world, 5);
    store->withdraw(f->hyp, BASE, 5);
    assert_int_equal(store->lookup(f->hyp, 3, BASE, &ref, &port, NULL),
                     FLOW_AGAIN);
    assert_int_equal(xen_world_nodes(f->world, "/local/domain/3/data"), 0);
    xen_world_conflicts(f->world, 1000);
    assert_int_equal(store->publish(f->hyp, BASE, 2, 77, 5, &err), FLOW_E_SYS);
    assert_int_equal(err.code, XEN_EAGAIN);
    assert_int_equal(xen_world_nodes(f->world, "/local/domain/3/data"), 0);
}

static void
wrong_offers_are_refused(void **state)
{
    struct fixture *f = *state;
    const struct vchan_store_ops *store = f->hyp->store;
    uint32_t port, ref;

    assert_int_equal(store->publish(f->hyp, BASE, 2, 77, 5, NULL), FLOW_OK);
    assert_int_equal(store->lookup(f->hyp, 4, BASE, &ref, &port, NULL),
                     FLOW_E_AUTH);
    /* References of the toolstack, ports of no ABI, other text. */
    xen_world_write(f->world, BASE "/ring-ref", "7");
    assert_int_equal(store->lookup(f->hyp, 3, BASE, &ref, &port, NULL),
                     FLOW_E_PROTO);
    xen_world_write(f->world, BASE "/ring-ref", "8");
    xen_world_write(f->world, BASE "/event-channel", "131072");
    assert_int_equal(store->lookup(f->hyp, 3, BASE, &ref, &port, NULL),
                     FLOW_E_PROTO);
    xen_world_write(f->world, BASE "/event-channel",
                    "5555555555555555555555555555");
    assert_int_equal(store->lookup(f->hyp, 3, BASE, &ref, &port, NULL),
                     FLOW_E_PROTO);
    xen_world_write(f->world, BASE "/event-channel", "");
    assert_int_equal(store->lookup(f->hyp, 3, BASE, &ref, &port, NULL),
                     FLOW_AGAIN);
}

static bool
is_signalled(const struct vchan_watch *w)
{
    struct flow_wait_set set;

    flow_wait_set_init(&set);
    flow__unikernel_xs_watch_wait(w, &set);
    for (size_t i = 0; i < set.count; i++)
        if (flow_event_sequence(set.source[i].event) != set.source[i].sequence)
            return true;
    return false;
}

static void
watches_fire(void **state)
{
    struct fixture *f = *state;
    struct vchan_watch *w[2];
    struct flow_error err;
    char buf[8];

    assert_int_equal(flow__unikernel_xs_watch(f->h, "data/w", &w[0], NULL),
                     FLOW_OK);
    assert_int_equal(
        flow__unikernel_xs_watch(f->h, "/local/domain/3/data/v", &w[1], NULL),
        FLOW_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(flow__unikernel_xs_watch_drain(w[i]));
        assert_false(flow__unikernel_xs_watch_drain(w[i]));
        assert_false(is_signalled(w[i]));
    }
    xen_world_write(f->world, "/local/domain/3/data/w", "1");
    assert_true(is_signalled(w[0]));
    assert_true(flow__unikernel_xs_watch_drain(w[0]));
    assert_false(flow__unikernel_xs_watch_drain(w[1]));
    /* An event that comes while another request waits for its answer, or that a
     * thread reads for another watch, is not lost. */
    xen_world_write(f->world, "/local/domain/3/data/w", "2");
    xen_world_write(f->world, "/local/domain/3/data/v", "2");
    assert_int_equal(ask(f->h, FLOW_GUEST_STORE_READ, 0, "data/w", NULL, 0, buf,
                         sizeof(buf)),
                     1);
    assert_true(is_signalled(w[0]));
    assert_true(is_signalled(w[1]));
    assert_true(flow__unikernel_xs_watch_drain(w[1]));
    assert_true(is_signalled(w[0]));
    assert_true(flow__unikernel_xs_watch_drain(w[0]));
    /* An event of a watch that is closed meanwhile finds none. */
    xen_world_write(f->world, "/local/domain/3/data/w", "3");
    flow__unikernel_xs_watch_close(w[0]);
    assert_false(flow__unikernel_xs_watch_drain(w[1]));
    flow__unikernel_xs_watch_close(w[1]);
    assert_int_equal(
        flow__unikernel_xs_watch(f->h, "@releaseDomain", &w[0], &err),
        FLOW_E_SYS);
    assert_int_equal(err.code, XEN_EACCES);
    assert_string_equal(err.detail, "@releaseDomain");
}

/* Many events of one node while no thread looks: more than the ring holds. */
static void
many_events_pass(void **state)
{
    struct fixture *f = *state;
    struct vchan_watch *w;
    char buf[8];

    assert_int_equal(flow__unikernel_xs_watch(f->h, "data/w", &w, NULL),
                     FLOW_OK);
    for (unsigned i = 0; i < 300; i++)
        xen_world_write(f->world, "/local/domain/3/data/w", "x");
    assert_int_equal(ask(f->h, FLOW_GUEST_STORE_READ, 0, "data/w", NULL, 0, buf,
                         sizeof(buf)),
                     1);
    assert_true(flow__unikernel_xs_watch_drain(w));
    assert_false(flow__unikernel_xs_watch_drain(w));
    flow__unikernel_xs_watch_close(w);
}

/* --- a store that violates the protocol ----------------------------------- */

/* It answers the request for the domain's number, and the next one with bytes
 * of the test.  Time passes only in SCHEDOP_poll. */
static struct {
    struct flow_env env;
    struct flow_guest guest;
    struct shared_info info;
    struct xenstore_domain_interface page;
    uint64_t now;
    unsigned requests;
    unsigned bells;
    bool stopped; /* takes no requests */
    bool floods;  /* answers each event with a late answer */
    const void *bytes;
    size_t len;
    uint32_t jump; /* added to an index */
} liar;

static uint64_t
liar_now(void *ctx)
{
    (void)ctx;
    return liar.now;
}

static void
liar_send(const void *data, size_t len)
{
    const char *at = data;

    for (size_t i = 0; i < len; i++)
        liar.page.rsp[liar.page.rsp_prod++ % XENSTORE_RING_SIZE] = at[i];
}

static void
liar_serve(void)
{
    static const struct {
        struct xsd_sockmsg head;
        char body[4];
    } domid = { { XS_READ, 1, 0, 1 }, "3" };

    static const struct xsd_sockmsg late = { XS_READ, 1, 0, 0 };

    liar.bells++;
    if (liar.floods) {
        liar.now += MSEC;
        liar_send(&late, sizeof(late));
        return;
    }
    if (liar.stopped || liar.page.req_cons == liar.page.req_prod)
        return;
    liar.page.req_cons = liar.page.req_prod;
    if (liar.requests++ == 0)
        liar_send(&domid, sizeof(domid.head) + 1);
    else if (liar.requests == 2) {
        liar_send(liar.bytes, liar.len);
        liar.page.rsp_prod += liar.jump;
    }
}

static int64_t
liar_hypercall(void *ctx, uint32_t number, uint64_t a, uint64_t b, uint64_t c)
{
    (void)ctx;
    (void)c;
    if (number == __HYPERVISOR_event_channel_op && a == EVTCHNOP_send)
        liar_serve();
    if (number == __HYPERVISOR_sched_op && a == SCHEDOP_poll) {
        const struct sched_poll *poll = (const void *)(uintptr_t)b;

        assert_true(poll->timeout > liar.now);
        liar.now = poll->timeout;
    }
    return 0;
}

static struct unikernel_hyp *
liar_start(const void *bytes, size_t len, uint32_t jump)
{
    struct vchan_hyp *hyp;

    memset(&liar, 0, sizeof(liar));
    liar.env = *flow_env_default();
    liar.env.now = liar_now;
    liar.now = 1000 * MSEC;
    liar.guest.hypercall = liar_hypercall;
    liar.guest.shared_info = &liar.info;
    liar.guest.grant_table = &liar;
    liar.guest.grant_frames = 1;
    liar.guest.store = &liar.page;
    liar.guest.store_port = 1;
    liar.bytes = bytes;
    liar.len = len;
    liar.jump = jump;
    assert_int_equal(flow__unikernel_new(&liar.env, &liar.guest, &hyp, NULL),
                     FLOW_OK);
    return flow__unikernel_of(hyp);
}

/* A request fails with a text, and so does every later one without another
 * look at the rings. */
static void
liar_breaks(struct unikernel_hyp *h, const char *text)
{
    struct flow_error err;
    unsigned bells;

    assert_int_equal(tell(h, FLOW_GUEST_STORE_READ, 0, "a", NULL), -XEN_EIO);
    assert_int_equal(flow__unikernel_xs_fail(h, &err, -XEN_EIO, "x", "a"),
                     FLOW_E_PROTO);
    assert_string_equal(err.text, text);
    bells = liar.bells;
    assert_int_equal(tell(h, FLOW_GUEST_STORE_READ, 0, "a", NULL), -XEN_EIO);
    assert_int_equal(liar.bells, bells);
    flow__vchan_hyp_unref(&h->base);
}

static void
liar_is_refused(const void *bytes, size_t len, uint32_t jump, const char *text)
{
    liar_breaks(liar_start(bytes, len, jump), text);
}

static void
violations_end_the_connection(void **state)
{
    struct xsd_sockmsg head = { XS_READ, 2, 0, XENSTORE_PAYLOAD_MAX + 1 };
    uint8_t event[sizeof(head) + 8] = { 0 };

    (void)state;
    liar_is_refused(&head, sizeof(head), 0,
                    "the store's message is longer than 4096 bytes");
    head.len = UINT32_MAX;
    liar_is_refused(&head, sizeof(head), 0,
                    "the store's message is longer than 4096 bytes");
    head = (struct xsd_sockmsg){ XS_READ, 3, 0, 0 };
    liar_is_refused(&head, sizeof(head), 0,
                    "the store answered a request that was not made");
    head.req_id = 0;
    liar_is_refused(&head, sizeof(head), 0,
                    "the store answered a request that was not made");
    head = (struct xsd_sockmsg){ XS_WRITE, 2, 0, 0 };
    liar_is_refused(&head, sizeof(head), 0,
                    "the store's answer has the type of another request");
    liar_is_refused(&head, 0, XENSTORE_RING_SIZE + 1,
                    "the store's producer index is out of range");
    liar_is_refused(&head, 0, UINT32_MAX,
                    "the store's producer index is out of range");
    head = (struct xsd_sockmsg){ XS_WATCH_EVENT, 0, 0, 8 };
    memcpy(event, &head, sizeof(head));
    memcpy(event + sizeof(head), "noendnul", 8);
    liar_is_refused(event, sizeof(event), 0,
                    "the store's event of a watch is malformed");
    memcpy(event + sizeof(head), "path\0tok", 8);
    liar_is_refused(event, sizeof(event), 0,
                    "the store's event of a watch is malformed");
    memcpy(event + sizeof(head), "pat\0tok", 8);
    liar_is_refused(event, sizeof(event), 0,
                    "the store's event of a watch is malformed");
}

static void
a_consumer_index_is_checked(void **state)
{
    struct unikernel_hyp *h = liar_start(NULL, 0, 0);

    (void)state;
    liar.page.req_cons -= XENSTORE_RING_SIZE + 1;
    liar_breaks(h, "the store's consumer index is out of range");
    h = liar_start(NULL, 0, 0);
    liar.page.req_cons++;
    liar_breaks(h, "the store's consumer index is out of range");
}

/* A late answer is that of a request that was given up. */
static void
a_silent_store_times_out(void **state)
{
    struct xsd_sockmsg late = { XS_READ, 2, 0, 0 };
    struct {
        struct xsd_sockmsg head;
        char body[4];
    } answer = { { XS_READ, 3, 0, 2 }, "ok" };
    struct unikernel_hyp *h = liar_start(NULL, 0, 0);
    uint64_t before = liar.now;
    struct flow_error err;
    char buf[8];

    (void)state;
    assert_int_equal(tell(h, FLOW_GUEST_STORE_READ, 0, "a", NULL),
                     -XEN_ETIMEDOUT);
    assert_in_range(liar.now - before, 10000 * MSEC, 10020 * MSEC);
    assert_int_equal(flow__unikernel_xs_fail(h, &err, -XEN_ETIMEDOUT, "", "a"),
                     FLOW_E_SYS);
    assert_string_equal(err.text, "the store does not answer");
    liar_send(&late, sizeof(late));
    liar_send(&answer, sizeof(answer.head) + 2);
    assert_int_equal(
        ask(h, FLOW_GUEST_STORE_READ, 0, "b", NULL, 0, buf, sizeof(buf)), 2);
    assert_memory_equal(buf, "ok", 2);
    flow__vchan_hyp_unref(&h->base);
}

/* A store that sends without end does not keep a call for ever. */
static void
a_flood_ends_at_the_deadline(void **state)
{
    struct unikernel_hyp *h = liar_start(NULL, 0, 0);
    uint64_t before = liar.now;

    (void)state;
    liar.floods = true;
    assert_int_equal(tell(h, FLOW_GUEST_STORE_READ, 0, "a", NULL),
                     -XEN_ETIMEDOUT);
    assert_in_range(liar.now - before, 10000 * MSEC, 10200 * MSEC);
    flow__vchan_hyp_unref(&h->base);
}

/* A request that could not be written whole cannot be followed by another. */
static void
a_store_that_takes_nothing_breaks(void **state)
{
    struct unikernel_hyp *h = liar_start(NULL, 0, 0);
    char value[2000] = "";

    (void)state;
    liar.stopped = true;
    assert_int_equal(
        ask(h, FLOW_GUEST_STORE_WRITE, 0, "a", value, sizeof(value), NULL, 0),
        -XEN_EIO);
    assert_string_equal(h->xs.broken, "the store does not take requests");
    flow__vchan_hyp_unref(&h->base);
}

static void
errors_with_other_names_are_told(void **state)
{
    struct {
        struct xsd_sockmsg head;
        char body[8];
    } answer = { { XS_ERROR, 2, 0, 5 }, "EWHAT" };
    struct unikernel_hyp *h = liar_start(&answer, sizeof(answer.head) + 5, 0);

    (void)state;
    /* The name has no NUL on the wire. */
    assert_int_equal(tell(h, FLOW_GUEST_STORE_READ, 0, "a", NULL), -XEN_EINVAL);
    flow__vchan_hyp_unref(&h->base);
}

/* A watch's waiter learns that the connection is broken. */
static void
watchers_learn_of_a_violation(void **state)
{
    struct xsd_sockmsg ok = { XS_WATCH, 2, 0, 0 };
    struct xsd_sockmsg bad = { XS_READ, 99, 0, 0 };
    struct unikernel_hyp *h = liar_start(&ok, sizeof(ok), 0);
    struct vchan_watch *w;

    (void)state;
    assert_int_equal(flow__unikernel_xs_watch(h, "a", &w, NULL), FLOW_OK);
    assert_false(flow__unikernel_xs_watch_drain(w));
    liar_send(&bad, sizeof(bad));
    assert_true(flow__unikernel_xs_watch_drain(w));
    assert_true(flow__unikernel_xs_watch_drain(w));
    assert_non_null(h->xs.broken);
    flow__unikernel_xs_watch_close(w);
    flow__vchan_hyp_unref(&h->base);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nodes_are_written_and_read, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(errors_of_the_store_are_told, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(long_messages_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(transactions_hide_and_conflict, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(offers_survive_conflicts, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(wrong_offers_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(watches_fire, setup, teardown),
        cmocka_unit_test_setup_teardown(many_events_pass, setup, teardown),
        cmocka_unit_test(violations_end_the_connection),
        cmocka_unit_test(a_consumer_index_is_checked),
        cmocka_unit_test(a_silent_store_times_out),
        cmocka_unit_test(a_flood_ends_at_the_deadline),
        cmocka_unit_test(a_store_that_takes_nothing_breaks),
        cmocka_unit_test(errors_with_other_names_are_told),
        cmocka_unit_test(watchers_learn_of_a_violation),
    };

    return cmocka_run_group_tests_name("unikernel: the store", tests, NULL,
                                       NULL);
}
