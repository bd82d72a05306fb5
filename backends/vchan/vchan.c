/* SPDX-License-Identifier: ISC */
#include "backends/vchan/vchan.h"

#include <string.h>

static struct vchan *
vchan_of(struct flow *f)
{
    return (struct vchan *)f;
}

/* The core calls this for the end of reading alone: a vchan has no half
 * close. */
static enum flow_status
vchan_shutdown(struct flow *f, enum flow_dir dir)
{
    (void)f;
    (void)dir;
    return FLOW_OK;
}

/* "vchan://3/local/domain/3/data/vchan/7/echo": a domain and a store path. */
static enum flow_status
vchan_answer_address(struct vchan *v, const char *prefix, uint16_t domid,
                     void *buf, size_t *len)
{
    char text[VCHAN_BASE_MAX + 40] = "";

    /* There is room for the longest of each. */
    flow__vchan_append(text, sizeof(text), prefix);
    flow__vchan_append(text, sizeof(text), v->conn.hyp->scheme);
    flow__vchan_append(text, sizeof(text), "://");
    flow__vchan_append_number(text, sizeof(text), domid);
    flow__vchan_append(text, sizeof(text), v->base_path);
    return flow_answer_string(buf, len, text);
}

static size_t
vchan_footprint(const struct vchan *v)
{
    size_t size = sizeof(*v) + v->bounce[0].size + v->bounce[1].size;

    if (v->conn.channel != NULL)
        size += VCHAN_PAGE_SIZE +
                (size_t)VCHAN_PAGE_SIZE *
                    (flow__vchan_order_pages(v->conn.orders.left) +
                     flow__vchan_order_pages(v->conn.orders.right));
    return size;
}

/* The channel's descriptor, if its events come by a descriptor. */
static enum flow_status
vchan_answer_fd(struct vchan *v, void *buf, size_t *len)
{
    struct flow_wait_set set;

    if (!v->conn.hyp->descriptors)
        return FLOW_E_NOTSUP;
    flow_wait_set_init(&set);
    v->conn.hyp->events->wait(v->conn.channel, &set);
    return flow_answer(buf, len, &set.source[0].fd, sizeof(int));
}

/* The port of the peer's end of the channel, if the hypervisor tells it. */
static enum flow_status
vchan_answer_peer_port(struct vchan *v, void *buf, size_t *len)
{
    uint32_t port = v->conn.hyp->events->remote(v->conn.channel);

    if (port == 0)
        return FLOW_E_NOTSUP;
    return flow_answer(buf, len, &port, sizeof(port));
}

static enum flow_status
vchan_query(struct flow *f, enum flow_query_key key, void *buf, size_t *len)
{
    struct vchan *v = vchan_of(f);
    struct vchan_channel *channel = v->conn.channel;
    uint32_t number;
    size_t size;

    if (key == FLOW_QUERY_PEER_ADDRESS)
        return vchan_answer_address(v, "", v->conn.peer, buf, len);
    if (key == FLOW_QUERY_LOCAL_ADDRESS)
        return vchan_answer_address(v, "", v->conn.hyp->domid, buf, len);
    if (key == FLOW_QUERY_DESCRIPTION)
        return vchan_answer_address(v, "vchan ", v->conn.peer, buf, len);
    if (key == FLOW_QUERY_FOOTPRINT) {
        size = vchan_footprint(v);
        return flow_answer(buf, len, &size, sizeof(size));
    }
    if (key == FLOW_QUERY_PINNED_PAGES) {
        number = flow__vchan_pins_of(v->conn.hyp, v->conn.peer);
        if (v->conn.set != NULL)
            number += flow__vchan_sets_stats(v->conn.set->sets).kept.pages;
        return flow_answer(buf, len, &number, sizeof(number));
    }
    if (key == FLOW_QUERY_FD && channel != NULL)
        return vchan_answer_fd(v, buf, len);
    if (key == FLOW_QUERY_PEER_PORT && channel != NULL)
        return vchan_answer_peer_port(v, buf, len);
    return FLOW_E_NOTSUP;
}

static void
vchan_close(struct flow *f)
{
    struct vchan *v = vchan_of(f);
    const struct flow_env *env = f->env;

    flow__vchan_dial_end(v);
    if (v->conn.channel != NULL)
        flow__vchan_conn_leave(&v->conn);
    else
        flow__vchan_hyp_unref(v->conn.hyp);
    for (unsigned i = 0; i < 2; i++)
        flow_env_free(env, v->bounce[i].base, v->bounce[i].size);
    flow_base_fini(f);
    flow_env_free(env, v, sizeof(*v));
}

static const struct flow_ops vchan_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "vchan",
    .readv = flow__vchan_readv,
    .writev = flow__vchan_writev,
    .shutdown = vchan_shutdown,
    .wait = flow__vchan_wait,
    .close = vchan_close,
    .open = flow__vchan_dial_step,
    .lease = flow__vchan_lease,
    .commit = flow__vchan_commit,
    .query = vchan_query,
};

enum flow_status
flow__vchan_check_peer(const struct vchan_hyp *hyp, uint32_t domid,
                       const struct flow_vchan_options *opt,
                       struct flow_error *err)
{
    if (domid >= VCHAN_DOMID_LIMIT)
        return flow_error_set(err, FLOW_E_INVAL, "vchan", FLOW_DOMAIN_NONE, 0,
                              "the domain is not in 0..32751");
    if (domid == hyp->domid && !opt->insecure_same_domain) {
        flow_error_set(err, FLOW_E_INVAL, "vchan", FLOW_DOMAIN_NONE, 0,
                       "the peer is our own domain");
        if (err != NULL)
            err->hint = "some kernels crash on it; insecure_same_domain "
                        "allows it in tests";
        return FLOW_E_INVAL;
    }
    return FLOW_OK;
}

static uint32_t
vchan_caps_of(const struct flow_vchan_options *opt, const struct vchan_hyp *hyp,
              bool dials)
{
    uint32_t caps = FLOW_CAP_DUPLEX;

    if (hyp->descriptors)
        caps |= FLOW_CAP_FD;
    if (opt->lease_rings)
        caps |= FLOW_CAP_LEASE_READ | FLOW_CAP_LEASE_WRITE |
                FLOW_CAP_LEASE_VOLATILE | FLOW_CAP_LEASE_SHARED;
    if (dials)
        caps |= FLOW_CAP_NEEDS_OPEN;
    return caps;
}

enum flow_status
flow__vchan_new(const struct flow_env *env,
                const struct flow_vchan_options *opt, struct vchan_conn *conn,
                struct vchan_hyp *hyp, uint16_t peer, const char *base,
                struct vchan **ret_vchan, struct flow_error *err)
{
    struct vchan *v = flow_env_alloc(env, sizeof(*v));
    enum flow_status st;

    if (v == NULL)
        return flow_error_set(err, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_NONE, 0,
                              "no memory for a flow");
    st = flow_base_init(
        &v->base, &vchan_ops, env,
        vchan_caps_of(opt, conn != NULL ? conn->hyp : hyp, conn == NULL));
    if (st != FLOW_OK) {
        flow_env_free(env, v, sizeof(*v));
        return flow_error_set(err, st, "vchan", FLOW_DOMAIN_NONE, 0,
                              "no flow can be made of these operations");
    }
    memcpy(v->base_path, base, strlen(base) + 1);
    if (conn != NULL) {
        v->conn = *conn;
        *conn = (struct vchan_conn){ 0 };
        flow__vchan_conn_rings(&v->conn, &v->rx, &v->tx);
    } else {
        v->conn.hyp = hyp;
        v->conn.peer = peer;
        flow__vchan_dial_init(v, opt);
    }
    *ret_vchan = v;
    return FLOW_OK;
}
