/* SPDX-License-Identifier: ISC */
#include "backends/vchan/conn.h"
#include "backends/vchan/shm.h"

/*
 * Setting up and taking down a connection.
 *
 * - The server's live byte is the last store to a page that is offered, and the
 *   first byte of it that a client reads: a client that reads 1 finds nothing
 *   of the connection before.
 * - A client binds the channel before it maps.  Only one client can bind, and
 *   the kernel clears the live byte of a client that unmaps.
 * - The orders and references of the page are copied once; the copies are
 *   checked and used.
 * - Taking down: live byte, event, rings, control page, channel.
 *
 * One thread sets up or takes down.  Only flow__vchan_conn_disconnect() may be
 * called by the threads of both directions.
 */

static struct vchan_page *
conn_page_of(const struct vchan_conn *conn)
{
    return (struct vchan_page *)(void *)conn->control->base;
}

static enum flow_status
conn_fail_fault(struct flow_error *err, enum vchan_fault fault)
{
    return flow_error_set(err, FLOW_E_PROTO, "vchan", FLOW_DOMAIN_NONE, 0,
                          flow__vchan_fault_text(fault));
}

/*
 * The peer can read the page meanwhile, and a client with old keys may be about
 * to attach.  Our live byte is stored last, with release.
 */
static void
conn_fill_page(struct vchan_conn *conn)
{
    const struct vchan_set *set = conn->set;
    struct vchan_page *page = conn_page_of(conn);

    flow__shm_store16(&page->left_order, (uint16_t)conn->orders.left);
    flow__shm_store16(&page->right_order, (uint16_t)conn->orders.right);
    for (uint32_t i = 0; i < set->ring_pages; i++)
        flow__shm_store32(&page->grants[i], set->ring_refs[i]);
    flow__shm_store8(&page->cli_live, VCHAN_LIVE_NEVER);
    /* So the first write sends an event that the client has not asked for:
     * programs rely on it. */
    flow__shm_store8(&page->cli_notify, VCHAN_NOTIFY_WRITE);
    flow__shm_store8(&page->srv_live, VCHAN_LIVE_HERE);
    flow__shm_fence();
}

enum flow_status
flow__vchan_conn_offer(struct vchan_conn *conn, struct vchan_sets *sets,
                       struct flow_error *err)
{
    struct vchan_set *set;
    struct flow_buf buf;
    enum flow_status st =
        flow_buf_acquire(&sets->policy, VCHAN_PAGE_SIZE, &buf);

    if (st != FLOW_OK) {
        if (err != NULL)
            *err = sets->error;
        return st;
    }
    set = flow__vchan_sets_find(sets, &buf);
    *conn = (struct vchan_conn){ .hyp = flow__vchan_hyp_ref(sets->hyp),
                                 .peer = sets->peer,
                                 .server = true,
                                 .orders = sets->orders,
                                 .channel = set->channel,
                                 .control = set->control,
                                 .left = set->left,
                                 .right = set->right,
                                 .set = set };
    conn_fill_page(conn);
    return FLOW_OK;
}

/* Copies the orders and the grant list once, and checks the copies. */
static enum vchan_fault
conn_snapshot(struct vchan_conn *conn, uint32_t control_ref, uint32_t *refs)
{
    const struct vchan_page *page = conn_page_of(conn);
    enum vchan_fault fault;
    uint32_t count;

    conn->orders.left = flow__shm_load16(&page->left_order);
    conn->orders.right = flow__shm_load16(&page->right_order);
    fault = flow__vchan_orders_check(conn->orders);
    if (fault != VCHAN_FAULT_NONE)
        return fault;
    count = flow__vchan_order_pages(conn->orders.left) +
            flow__vchan_order_pages(conn->orders.right);
    for (uint32_t i = 0; i < count; i++)
        refs[i] = flow__shm_load32(&page->grants[i]);
    return flow__vchan_grants_check(refs, count, control_ref);
}

/*
 * OK if the page is offered: it is then for the client that has bound the
 * channel.  If it is not, the server may be filling it, and its contents may be
 * those of the connection before.
 */
static enum flow_status
conn_check_offered(const struct vchan_conn *conn, struct flow_error *err)
{
    uint8_t server = flow__shm_load8(&conn_page_of(conn)->srv_live);

    if (server > VCHAN_LIVE_HERE)
        return conn_fail_fault(err, VCHAN_FAULT_LIVE_VALUE);
    return server == VCHAN_LIVE_HERE ? FLOW_OK : FLOW_AGAIN;
}

static enum flow_status
conn_join_ring(struct vchan_conn *conn, unsigned order, bool writable,
               const uint32_t *refs, struct vchan_region **ret_region,
               struct flow_error *err)
{
    const struct vchan_unmap_notify none = { VCHAN_CLEAR_NONE, NULL };
    uint32_t pages = flow__vchan_order_pages(order);

    if (pages == 0)
        return FLOW_OK;
    return conn->hyp->grants->map(conn->hyp, conn->peer, refs, pages, writable,
                                  none, ret_region, err);
}

/* Binds the channel, maps the control page and the rings. */
static enum flow_status
conn_join_memory(struct vchan_conn *conn, uint32_t ref, uint32_t port,
                 struct flow_error *err)
{
    struct vchan_hyp *hyp = conn->hyp;
    struct vchan_unmap_notify at_unmap;
    uint32_t refs[VCHAN_PAGES_MAX];
    enum vchan_fault fault;
    enum flow_status st;

    /*
     * Bind first: only one client can.  If a client that could not bind had
     * mapped, its unmapping would clear the live byte of the one that could.
     */
    st = hyp->events->bind(hyp, conn->peer, port, &conn->channel, err);
    if (st != FLOW_OK)
        return st;
    at_unmap.clear_at = offsetof(struct vchan_page, cli_live);
    at_unmap.channel = conn->channel;
    st = hyp->grants->map(hyp, conn->peer, &ref, 1, true, at_unmap,
                          &conn->control, err);
    if (st == FLOW_OK)
        st = conn_check_offered(conn, err);
    if (st != FLOW_OK)
        return st;
    fault = conn_snapshot(conn, ref, refs);
    if (fault != VCHAN_FAULT_NONE)
        return conn_fail_fault(err, fault);
    st = conn_join_ring(conn, conn->orders.left, true, refs, &conn->left, err);
    if (st != FLOW_OK)
        return st;
    return conn_join_ring(conn, conn->orders.right, false,
                          refs + flow__vchan_order_pages(conn->orders.left),
                          &conn->right, err);
}

/* Attaches to a page that was mapped and checked. */
static enum flow_status
conn_attach(struct vchan_conn *conn, bool reattach, struct vchan_rx *rx,
            struct vchan_tx *tx, struct flow_error *err)
{
    struct vchan_page *page = conn_page_of(conn);
    enum flow_status st;

    flow__vchan_conn_rings(conn, rx, tx);
    if (!flow__vchan_rx_attach(rx))
        return conn_fail_fault(err, rx->fault);
    if (!flow__vchan_tx_attach(tx))
        return conn_fail_fault(err, tx->fault);
    /* The offer may have ended while the rings were mapped. */
    st = conn_check_offered(conn, err);
    if (st != FLOW_OK)
        return st;

    flow__shm_set8(&page->srv_notify, VCHAN_NOTIFY_WRITE);
    flow__shm_fence();
    if (!flow__shm_swap8(&page->cli_live, VCHAN_LIVE_NEVER, VCHAN_LIVE_HERE) &&
        !(reattach &&
          flow__shm_swap8(&page->cli_live, VCHAN_LIVE_GONE, VCHAN_LIVE_HERE)))
        return FLOW_AGAIN;
    conn->hyp->events->notify(conn->channel);
    return FLOW_OK;
}

enum flow_status
flow__vchan_conn_join(struct vchan_conn *conn, uint32_t ref, uint32_t port,
                      bool reattach, struct vchan_rx *rx, struct vchan_tx *tx,
                      struct flow_error *err)
{
    enum flow_status st;

    flow__vchan_hyp_ref(conn->hyp);
    st = conn_join_memory(conn, ref, port, err);
    if (st == FLOW_OK)
        st = conn_attach(conn, reattach, rx, tx, err);
    if (st != FLOW_OK)
        flow__vchan_conn_leave(conn);
    return st;
}

static uint8_t *
conn_ring_memory(const struct vchan_conn *conn, unsigned order,
                 const struct vchan_region *region)
{
    if (region != NULL)
        return region->base;
    return conn->control->base + flow__vchan_order_offset(order);
}

void
flow__vchan_conn_rings(const struct vchan_conn *conn, struct vchan_rx *rx,
                       struct vchan_tx *tx)
{
    struct vchan_page *page = conn_page_of(conn);
    uint8_t *left = conn_ring_memory(conn, conn->orders.left, conn->left);
    uint8_t *right = conn_ring_memory(conn, conn->orders.right, conn->right);
    struct vchan_notify notify;
    struct vchan_live live;
    bool server = conn->server;

    notify.peer = server ? &page->cli_notify : &page->srv_notify;
    notify.own = server ? &page->srv_notify : &page->cli_notify;
    live.byte = server ? &page->cli_live : &page->srv_live;
    live.seen = live.max = server ? VCHAN_LIVE_NEVER : VCHAN_LIVE_HERE;

    *rx = (struct vchan_rx){
        .data = server ? left : right,
        .size = flow__vchan_order_size(server ? conn->orders.left
                                              : conn->orders.right),
        .shr_prod = server ? &page->left.prod : &page->right.prod,
        .shr_cons = server ? &page->left.cons : &page->right.cons,
        .notify = notify,
        .live = live,
    };
    *tx = (struct vchan_tx){
        .data = server ? right : left,
        .size = flow__vchan_order_size(server ? conn->orders.right
                                              : conn->orders.left),
        .shr_prod = server ? &page->right.prod : &page->left.prod,
        .shr_cons = server ? &page->right.cons : &page->left.cons,
        .notify = notify,
        .live = live,
    };
}

enum flow_status
flow__vchan_conn_watch(struct vchan_conn *conn, struct flow_error *err)
{
    if (conn->hyp->store->watch_domains == NULL)
        return FLOW_OK;
    return conn->hyp->store->watch_domains(conn->hyp, &conn->domains, err);
}

uint8_t
flow__vchan_conn_client(const struct vchan_conn *conn)
{
    return flow__shm_load8(&conn_page_of(conn)->cli_live);
}

void
flow__vchan_conn_disconnect(struct vchan_conn *conn)
{
    struct vchan_page *page;

    if (flow__vchan_hyp_check(conn->hyp, NULL) != FLOW_OK)
        return;
    page = conn_page_of(conn);
    flow__shm_store8(conn->server ? &page->srv_live : &page->cli_live,
                     VCHAN_LIVE_GONE);
    flow__shm_fence();
    conn->hyp->events->notify(conn->channel);
}

/*
 * Unmaps the server's pages.  The channel is closed last: unmapping a region
 * may send an event on it, and to a server the close means that nothing is
 * mapped any more.  The control page is unmapped after the rings, so that our
 * live byte is 0 for as long as anything of ours is mapped.
 */
static void
conn_leave_memory(struct vchan_conn *conn)
{
    struct vchan_region *region[] = { conn->left, conn->right, conn->control };

    for (unsigned i = 0; i < 3; i++)
        if (region[i] != NULL)
            conn->hyp->grants->unmap(conn->hyp, region[i]);
    if (conn->channel != NULL)
        conn->hyp->events->close(conn->channel);
}

void
flow__vchan_conn_leave(struct vchan_conn *conn)
{
    struct vchan_hyp *hyp = conn->hyp;
    struct flow_buf buf;

    if (hyp == NULL)
        return;
    if (conn->control != NULL)
        flow__vchan_conn_disconnect(conn);
    if (conn->domains != NULL)
        hyp->store->watch_close(conn->domains);
    if (conn->set != NULL) {
        buf = flow__vchan_set_buf(conn->set);
        flow_buf_release(&conn->set->sets->policy, &buf);
    } else {
        conn_leave_memory(conn);
    }
    *conn = (struct vchan_conn){ 0 };
    flow__vchan_hyp_unref(hyp);
}
