/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_unikernel.h"

#include <string.h>

#include <xen/errno.h>
#include <xen/io/xs_wire.h>

#include "backends/vchan/atomic.h"
#include "backends/vchan/shm.h"

/*
 * A client of xenstored over the shared page: requests in one ring, answers and
 * events of watches in the other.
 *
 * One request is made at a time.  Its thread reads the ring until the answer
 * has arrived, and passes events of watches on.  A thread that waits for a
 * watch reads the ring when the port has an event, so the events of one watch
 * may be read by the thread of another: each watch has a flow_event, which is
 * signalled then.
 *
 * Invariants: our own two indexes are private copies.  An index of the store is
 * loaded once for each decision and checked; a message's length is checked
 * before its body is read, so no byte is stored outside of `body`.  After any
 * violation `broken` is set, and the rings are not touched again: where the
 * next message would begin is not known.
 *
 * An answer that comes after its request was given up is discarded: request
 * numbers only grow.  A request that could not be written whole breaks the
 * connection.
 *
 * Locks: `lock` is held from the first byte of a request to the last of its
 * answer, and guards everything here but `seen` of watches.  The lock of the
 * handle is taken under it.
 */

/* How long the store may take, and how long one sleep lasts, in ns.  An
 * interrupt may take the event before the sleep begins. */
#define XS_PATIENCE UINT64_C(10000000000)
#define XS_NAP      UINT64_C(10000000)

/* Messages that are taken in a row; a ring holds that many without a body. */
#define XS_TAKE_MAX 64u

#define XS_RING_SIZE ((uint32_t)XENSTORE_RING_SIZE)

_Static_assert(sizeof(struct xsd_sockmsg) == UNIKERNEL_XS_HEADER, "header");
_Static_assert(XENSTORE_PAYLOAD_MAX == UNIKERNEL_XS_PAYLOAD, "payload");

/* Words of the header, in the order of struct xsd_sockmsg. */
enum xs_word { XS_TYPE, XS_ID, XS_TX, XS_LEN };

static void
xs_lock(struct unikernel_hyp *h)
{
    flow_fork_block();
    flow_lock_acquire(&h->xs.lock);
}

static void
xs_unlock(struct unikernel_hyp *h)
{
    flow_lock_release(&h->xs.lock);
    flow_fork_unblock();
}

/* Ends the use of the connection; threads that wait for watches look at the
 * store again, and learn it. */
static void
xs_break(struct unikernel_hyp *h, const char *why)
{
    if (h->xs.broken != NULL)
        return;
    h->xs.broken = why;
    for (struct vchan_watch *w = h->xs.watches; w != NULL; w = w->next)
        flow_event_signal(&w->event);
}

static void
xs_bell(const struct unikernel_hyp *h)
{
    flow__unikernel_port_send(h, h->xs.port.number);
}

/* Moves up to `len` bytes from the store's ring; how many. */
static uint32_t
xs_ring_read(struct unikernel_hyp *h, uint8_t *buf, uint32_t len)
{
    struct unikernel_xs *xs = &h->xs;
    uint32_t prod = flow__shm_load32(&xs->ring->rsp_prod);
    uint32_t at = xs->rsp_cons % XS_RING_SIZE;
    uint32_t avail = prod - xs->rsp_cons;
    uint32_t first;

    if (avail > XS_RING_SIZE) {
        xs_break(h, "the store's producer index is out of range");
        return 0;
    }
    if (len > avail)
        len = avail;
    if (len == 0)
        return 0;
    first = len < XS_RING_SIZE - at ? len : XS_RING_SIZE - at;
    flow__shm_get(buf, (const uint8_t *)xs->ring->rsp + at, first);
    if (len > first)
        flow__shm_get(buf + first, (const uint8_t *)xs->ring->rsp, len - first);
    xs->rsp_cons += len;
    flow__shm_store32(&xs->ring->rsp_cons, xs->rsp_cons);
    return len;
}

/* Moves up to `len` bytes into our ring; how many. */
static uint32_t
xs_ring_write(struct unikernel_hyp *h, const uint8_t *buf, uint32_t len)
{
    struct unikernel_xs *xs = &h->xs;
    uint32_t filled = xs->req_prod - flow__shm_load32(&xs->ring->req_cons);
    uint32_t at = xs->req_prod % XS_RING_SIZE;
    uint32_t first;

    if (filled > XS_RING_SIZE) {
        xs_break(h, "the store's consumer index is out of range");
        return 0;
    }
    if (len > XS_RING_SIZE - filled)
        len = XS_RING_SIZE - filled;
    if (len == 0)
        return 0;
    /* The store has read these bytes before it moved its index. */
    flow__shm_fence();
    first = len < XS_RING_SIZE - at ? len : XS_RING_SIZE - at;
    flow__shm_put((uint8_t *)xs->ring->req + at, buf, first);
    if (len > first)
        flow__shm_put((uint8_t *)xs->ring->req, buf + first, len - first);
    xs->req_prod += len;
    flow__shm_store32(&xs->ring->req_prod, xs->req_prod);
    return len;
}

/*
 * Reads on at the message that is being received; true if it is whole.  The
 * next call begins another.
 */
static bool
xs_receive(struct unikernel_hyp *h)
{
    struct unikernel_xs *xs = &h->xs;
    uint32_t before = xs->rsp_cons;
    bool whole = false;

    if (xs->have < UNIKERNEL_XS_HEADER)
        xs->have += xs_ring_read(h, xs->head.byte + xs->have,
                                 UNIKERNEL_XS_HEADER - xs->have);
    if (xs->have >= UNIKERNEL_XS_HEADER) {
        uint32_t len = xs->head.word[XS_LEN];
        uint32_t got = xs->have - UNIKERNEL_XS_HEADER;

        if (len > UNIKERNEL_XS_PAYLOAD) {
            xs_break(h, "the store's message is longer than 4096 bytes");
            return false;
        }
        if (got < len) {
            uint32_t more = xs_ring_read(h, xs->body + got, len - got);

            got += more;
            xs->have += more;
        }
        whole = got == len;
        xs->body[got] = '\0';
    }
    if (xs->rsp_cons != before)
        xs_bell(h); /* there is room */
    if (whole)
        xs->have = 0;
    return whole && xs->broken == NULL;
}

/* The token of an event: the text after the path's NUL. */
static bool
xs_event_token(const struct unikernel_xs *xs, uint32_t *ret_token)
{
    uint32_t len = xs->head.word[XS_LEN];
    const uint8_t *end = memchr(xs->body, '\0', len);
    const uint8_t *token;

    if (end == NULL)
        return false;
    token = end + 1;
    len -= (uint32_t)(token - xs->body);
    end = memchr(token, '\0', len);
    return end != NULL &&
           flow__vchan_number((const char *)token, (size_t)(end - token), 0,
                              UINT32_MAX, ret_token);
}

/* An event of a watch that was closed since finds none. */
static void
xs_take_event(struct unikernel_hyp *h)
{
    uint32_t token;

    if (!xs_event_token(&h->xs, &token)) {
        xs_break(h, "the store's event of a watch is malformed");
        return;
    }
    for (struct vchan_watch *w = h->xs.watches; w != NULL; w = w->next)
        if (w->token == token)
            flow_event_signal(&w->event);
}

/*
 * Takes the message that is whole.  True: it answers the last request, if that
 * is `awaited`.
 */
static bool
xs_take_message(struct unikernel_hyp *h, bool awaited)
{
    uint32_t id = h->xs.head.word[XS_ID];
    uint32_t last = h->xs.next_id - 1;

    if (h->xs.head.word[XS_TYPE] == XS_WATCH_EVENT) {
        xs_take_event(h);
        return false;
    }
    if (id == last && awaited)
        return true;
    /* The answer of a request that was given up. */
    if (id != 0 && last - id <= INT32_MAX)
        return false;
    xs_break(h, "the store answered a request that was not made");
    return false;
}

/*
 * Takes the messages that are there, up to the answer of the last request if
 * that is awaited; true: it has come.  A store may send without end, so some
 * may be left: the port is signalled then, and a thread looks again.
 */
static bool
xs_take(struct unikernel_hyp *h, bool awaited)
{
    for (unsigned i = 0; i < XS_TAKE_MAX; i++) {
        if (h->xs.broken != NULL || !xs_receive(h))
            return false;
        if (xs_take_message(h, awaited))
            return true;
    }
    flow_event_signal(&h->xs.port.event);
    return false;
}

/* Sleeps for a while, unless the port had an event since the last drain. */
static void
xs_nap(struct unikernel_hyp *h, uint64_t now)
{
    if (!flow__unikernel_port_drain(h, &h->xs.port))
        flow__unikernel_port_poll(h, &h->xs.port, now + XS_NAP);
}

static uint64_t
xs_now(const struct unikernel_hyp *h)
{
    return h->base.env->now(h->base.env->ctx);
}

/* Writes bytes of a request; while there is no room, takes what the store
 * sends, which may itself wait for room. */
static bool
xs_send(struct unikernel_hyp *h, const void *data, size_t len,
        uint64_t deadline)
{
    const uint8_t *at = data;

    while (h->xs.broken == NULL && len > 0) {
        uint32_t n = xs_ring_write(h, at, (uint32_t)len);
        uint64_t now = xs_now(h);

        at += n;
        len -= n;
        if (len == 0)
            break;
        xs_bell(h);
        if (n > 0)
            continue;
        xs_take(h, false);
        if (now >= deadline)
            xs_break(h, "the store does not take requests");
        else
            xs_nap(h, now);
    }
    return h->xs.broken == NULL;
}

/* Sends a request whose length has been checked. */
static bool
xs_send_request(struct unikernel_hyp *h,
                const struct flow_guest_request *request, uint64_t deadline)
{
    size_t path_len = strlen(request->path) + 1;
    struct xsd_sockmsg head = {
        .type = (uint32_t)request->op,
        .req_id = h->xs.next_id,
        .tx_id = request->transaction,
        .len = (uint32_t)(path_len + request->len),
    };

    /* 0 is the number of events. */
    if (++h->xs.next_id == 0)
        h->xs.next_id = 1;
    if (!xs_send(h, &head, sizeof(head), deadline) ||
        !xs_send(h, request->path, path_len, deadline) ||
        !xs_send(h, request->value, request->len, deadline))
        return false;
    xs_bell(h);
    return true;
}

/* 0 if the answer came. */
static int64_t
xs_await(struct unikernel_hyp *h, uint64_t deadline)
{
    for (;;) {
        uint64_t now = xs_now(h);

        if (xs_take(h, true))
            return 0;
        if (h->xs.broken != NULL)
            return -XEN_EIO;
        if (now >= deadline)
            return -XEN_ETIMEDOUT;
        xs_nap(h, now);
    }
}

/* Names of errors on the wire; EQUOTA is oxenstored's. */
static const struct {
    const char *name;
    int32_t code;
} xs_errors[] = {
    { "EINVAL", XEN_EINVAL }, { "EACCES", XEN_EACCES },
    { "EEXIST", XEN_EEXIST }, { "EISDIR", XEN_EISDIR },
    { "ENOENT", XEN_ENOENT }, { "ENOMEM", XEN_ENOMEM },
    { "ENOSPC", XEN_ENOSPC }, { "EQUOTA", XEN_ENOSPC },
    { "EROFS", XEN_EROFS },   { "EBUSY", XEN_EBUSY },
    { "EAGAIN", XEN_EAGAIN }, { "EPERM", XEN_EPERM },
    { "ENOSYS", XEN_ENOSYS }, { "E2BIG", XEN_ENOSPC },
};

static int64_t
xs_error_of(const struct unikernel_xs *xs)
{
    for (size_t i = 0; i < sizeof(xs_errors) / sizeof(xs_errors[0]); i++)
        if (strcmp((const char *)xs->body, xs_errors[i].name) == 0)
            return -xs_errors[i].code;
    return -XEN_EINVAL;
}

/* Checks the answer and copies it out. */
static int64_t
xs_finish(struct unikernel_hyp *h, const struct flow_guest_request *request,
          size_t *ret_len)
{
    uint32_t type = h->xs.head.word[XS_TYPE];
    uint32_t len = h->xs.head.word[XS_LEN];

    if (type == XS_ERROR)
        return xs_error_of(&h->xs);
    if (type != (uint32_t)request->op) {
        xs_break(h, "the store's answer has the type of another request");
        return -XEN_EIO;
    }
    if (request->answer == NULL)
        len = 0;
    if (len > request->size)
        return -XEN_ENOBUFS;
    if (len > 0)
        memcpy(request->answer, h->xs.body, len);
    *ret_len = len;
    return 0;
}

int64_t
flow__unikernel_xs_call(struct unikernel_hyp *h,
                        const struct flow_guest_request *request,
                        size_t *ret_len)
{
    size_t path_len = strlen(request->path) + 1;
    int64_t rc = -XEN_EIO;
    uint64_t deadline;

    *ret_len = 0;
    if (path_len > UNIKERNEL_XS_PAYLOAD ||
        request->len > UNIKERNEL_XS_PAYLOAD - path_len)
        return -XEN_E2BIG;
    xs_lock(h);
    deadline = flow_time_after(xs_now(h), XS_PATIENCE);
    if (h->xs.broken == NULL && xs_send_request(h, request, deadline))
        rc = xs_await(h, deadline);
    if (rc == 0)
        rc = xs_finish(h, request, ret_len);
    /* Their signal may have been consumed with that of the answer. */
    xs_take(h, false);
    xs_unlock(h);
    return rc;
}

enum flow_status
flow__unikernel_xs_fail(const struct unikernel_hyp *h, struct flow_error *err,
                        int64_t code, const char *text, const char *path)
{
    enum flow_status st;

    if (code == -XEN_EIO)
        st = flow_error_set(err, FLOW_E_PROTO, "vchan", FLOW_DOMAIN_NONE, 0,
                            h->xs.broken);
    else if (code == -XEN_E2BIG || code == -XEN_ENOBUFS)
        st = flow_error_set(err, FLOW_E_INVAL, "vchan", FLOW_DOMAIN_NONE, 0,
                            code == -XEN_E2BIG
                                ? "the request to the store is too long"
                                : "the store's answer is too long");
    else if (code == -XEN_ETIMEDOUT)
        st = flow__unikernel_fail(err, code, "the store does not answer",
                                  "is xenstored running?");
    else
        st = flow__unikernel_fail(
            err, code, text,
            code == -XEN_ENOSPC ? "the store limits what a domain may have: "
                                  "see the quotas of xenstored"
                                : NULL);
    flow_error_set_detail(err, path);
    return st;
}

/* A watch or the end of one; the value is its token. */
static int64_t
xs_watch_request(struct vchan_watch *w, enum xsd_sockmsg_type type)
{
    struct flow_guest_request request = {
        .op = (enum flow_guest_store_op)type,
        .path = w->path,
    };
    char token[16] = "";
    size_t n;

    flow__vchan_append_number(token, sizeof(token), w->token);
    request.value = token;
    request.len = strlen(token) + 1;
    return flow__unikernel_xs_call(w->hyp, &request, &n);
}

static void
xs_watch_enlist(struct unikernel_hyp *h, struct vchan_watch *w)
{
    xs_lock(h);
    w->token = h->xs.next_token++;
    w->next = h->xs.watches;
    h->xs.watches = w;
    xs_unlock(h);
}

static void
xs_watch_delist(struct unikernel_hyp *h, struct vchan_watch *w)
{
    struct vchan_watch **at = &h->xs.watches;

    xs_lock(h);
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    xs_unlock(h);
    flow_event_fini(&w->event);
    flow_env_free(h->base.env, w, sizeof(*w));
}

enum flow_status
flow__unikernel_xs_watch(struct unikernel_hyp *h, const char *path,
                         struct vchan_watch **ret_watch, struct flow_error *err)
{
    struct vchan_watch *w = flow_env_alloc(h->base.env, sizeof(*w));
    int64_t rc;

    if (w == NULL)
        return flow_error_set(err, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_NONE, 0,
                              "no memory for a watch");
    w->hyp = h;
    flow_event_init(&w->event);
    if (!flow__vchan_append(w->path, sizeof(w->path), path)) {
        flow_env_free(h->base.env, w, sizeof(*w));
        return flow__unikernel_xs_fail(h, err, -XEN_E2BIG, NULL, path);
    }
    xs_watch_enlist(h, w);
    rc = xs_watch_request(w, XS_WATCH);
    if (rc == 0) {
        *ret_watch = w;
        return FLOW_OK;
    }
    xs_watch_delist(h, w);
    return flow__unikernel_xs_fail(h, err, rc, "the store refuses a watch",
                                   path);
}

void
flow__unikernel_xs_watch_wait(const struct vchan_watch *w,
                              struct flow_wait_set *set)
{
    /* A wait set has events that change when they are waited for. */
    struct vchan_watch *mine = (struct vchan_watch *)(uintptr_t)w;

    flow__unikernel_port_wait(&w->hyp->xs.port, set);
    flow_wait_add_event(set, &mine->event, atomic_load(&mine->seen));
}

bool
flow__unikernel_xs_watch_drain(struct vchan_watch *w)
{
    struct unikernel_hyp *h = w->hyp;
    bool broken;
    uint32_t now;

    xs_lock(h);
    flow__unikernel_port_drain(h, &h->xs.port);
    xs_take(h, false);
    broken = h->xs.broken != NULL;
    xs_unlock(h);
    now = flow_event_sequence(&w->event);
    return atomic_exchange(&w->seen, now) != now || broken;
}

void
flow__unikernel_xs_watch_close(struct vchan_watch *w)
{
    if (!flow__vchan_hyp_is_inherited(&w->hyp->base))
        xs_watch_request(w, XS_UNWATCH);
    xs_watch_delist(w->hyp, w);
}

int64_t
flow__unikernel_xs_init(struct unikernel_hyp *h)
{
    struct unikernel_xs *xs = &h->xs;

    xs->ring = h->guest->store;
    if (!flow__unikernel_port_open(h, &xs->port, h->guest->store_port))
        return -XEN_EINVAL;
    flow_lock_init(&xs->lock);
    xs->next_id = 1;
    /* The boot loader or an earlier kernel may have used the rings. */
    xs->req_prod = flow__shm_load32(&xs->ring->req_prod);
    xs->rsp_cons = flow__shm_load32(&xs->ring->rsp_cons);
    return 0;
}

void
flow__unikernel_xs_fini(struct unikernel_hyp *h)
{
    flow__unikernel_port_close(h, &h->xs.port);
    flow_lock_fini(&h->xs.lock);
}
