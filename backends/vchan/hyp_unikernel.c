/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_unikernel.h"

#include <xen/errno.h>
#include <xen/grant_table.h>

#include "backends/vchan/proto.h"

/* References of one page of the grant table. */
#define UNIKERNEL_FRAME_REFS                                                   \
    (VCHAN_PAGE_SIZE / (uint32_t)sizeof(struct grant_entry_v1))

static size_t
hyp_unikernel_ports_size(void)
{
    return UNIKERNEL_PORTS * sizeof(struct unikernel_port *);
}

/* Frees what hyp_unikernel_make() allocated, as far as it did. */
static void
hyp_unikernel_release(struct unikernel_hyp *h)
{
    const struct flow_env *env = h->base.env;

    flow_env_free(env, h->refs, h->ref_count / 8);
    flow_env_free(env, h->ports, hyp_unikernel_ports_size());
    flow_lock_fini(&h->lock);
    flow_env_free(env, h, sizeof(*h));
}

static void
hyp_unikernel_free(struct vchan_hyp *hyp)
{
    struct unikernel_hyp *h = flow__unikernel_of(hyp);

    flow__unikernel_regions_forget(h);
    flow__unikernel_xs_fini(h);
    hyp_unikernel_release(h);
}

/* A handle without a connection to the store. */
static struct unikernel_hyp *
hyp_unikernel_make(const struct flow_env *env, const struct flow_guest *guest)
{
    struct unikernel_hyp *h = flow_env_alloc(env, sizeof(*h));

    if (h == NULL)
        return NULL;
    flow__vchan_hyp_init(&h->base, env);
    h->base.grants = &flow__unikernel_grants;
    h->base.events = &flow__unikernel_channels;
    h->base.store = &flow__unikernel_store;
    h->base.free = hyp_unikernel_free;
    h->base.scheme = "vchan";
    h->guest = guest;
    flow_lock_init(&h->lock);
    h->ref_count = guest->grant_frames * UNIKERNEL_FRAME_REFS;
    h->refs = flow_env_alloc(env, h->ref_count / 8);
    h->ports = flow_env_alloc(env, hyp_unikernel_ports_size());
    if (h->refs != NULL && h->ports != NULL)
        return h;
    hyp_unikernel_release(h);
    return NULL;
}

/* Our own number, which the store knows. */
static int64_t
hyp_unikernel_ask_domid(struct unikernel_hyp *h)
{
    char text[8];
    const struct flow_guest_request request = {
        .op = FLOW_GUEST_STORE_READ,
        .path = "domid",
        .answer = text,
        .size = sizeof(text),
    };
    uint32_t domid;
    size_t len;
    int64_t rc = flow__unikernel_xs_call(h, &request, &len);

    if (rc != 0)
        return rc;
    if (!flow__vchan_number(text, len, 0, VCHAN_DOMID_LIMIT - 1, &domid))
        return -XEN_EINVAL;
    h->base.domid = (uint16_t)domid;
    return 0;
}

enum flow_status
flow__unikernel_new(const struct flow_env *env, const struct flow_guest *guest,
                    struct vchan_hyp **ret_hyp, struct flow_error *err)
{
    struct unikernel_hyp *h;
    enum flow_status st;
    int64_t rc;

    if (guest->grant_frames == 0)
        return flow_error_set(err, FLOW_E_INVAL, "vchan", FLOW_DOMAIN_NONE, 0,
                              "the guest has no pages of a grant table");
    h = hyp_unikernel_make(env, guest);
    if (h == NULL)
        return flow_error_set(err, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_NONE, 0,
                              "no memory for the guest's handle");
    rc = flow__unikernel_xs_init(h);
    if (rc != 0) {
        hyp_unikernel_release(h);
        return flow__unikernel_fail(err, rc, "the store has no valid port",
                                    NULL);
    }
    rc = hyp_unikernel_ask_domid(h);
    if (rc == 0) {
        *ret_hyp = &h->base;
        return FLOW_OK;
    }
    st = flow__unikernel_xs_fail(
        h, err, rc, "the store does not tell the id of this domain", "domid");
    flow__vchan_hyp_unref(&h->base);
    return st;
}
