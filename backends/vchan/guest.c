/* SPDX-License-Identifier: ISC */
#include <flow/guest.h>

#include "backends/vchan/hyp_unikernel.h"
#include "backends/vchan/hyp_unikernel_entropy.h"
#include "backends/vchan/vchan.h"

/*
 * The one domain that a program without an operating system runs in.  Its
 * handle keeps a reference for as long as the program runs, so that the pages
 * that a peer keeps mapped are never forgotten (hyp.h).
 */
static struct vchan_hyp *guest_hyp;
/* Its channel to xentropyd, or NULL. */
static struct unikernel_entropy *guest_entropy;

/* See <flow/guest.h>. */
enum flow_status
flow_guest_start(const struct flow_env *env, const struct flow_guest *guest,
                 struct flow_error *ret_err)
{
    if (guest_hyp != NULL)
        return flow_error_set(ret_err, FLOW_E_INVAL, "vchan", FLOW_DOMAIN_NONE,
                              0, "the guest was started already");
    if (env == NULL)
        env = flow_env_default();
    return flow__unikernel_new(env, guest, &guest_hyp, ret_err);
}

static enum flow_status
guest_not_started(struct flow_error *err)
{
    flow_error_set(err, FLOW_E_NOTSUP, "vchan", FLOW_DOMAIN_NONE, 0,
                   "the Xen guest was not started");
    if (err != NULL)
        err->hint = "call flow_guest_start() first";
    return FLOW_E_NOTSUP;
}

enum flow_status
flow__vchan_xen_open(const struct flow_env *env, struct vchan_hyp **ret_hyp,
                     struct flow_error *err)
{
    (void)env;
    if (guest_hyp == NULL)
        return guest_not_started(err);
    *ret_hyp = flow__vchan_hyp_ref(guest_hyp);
    return FLOW_OK;
}

/* See <flow/guest.h>. */
void
flow_guest_stop(void)
{
    if (guest_hyp != NULL)
        flow__unikernel_regions_stop(flow__unikernel_of(guest_hyp));
}

/* See <flow/guest.h>. */
void
flow_guest_upcall(void)
{
    if (guest_hyp != NULL)
        flow__unikernel_port_upcall(flow__unikernel_of(guest_hyp));
}

/* See <flow/guest.h>. */
void
flow_guest_idle(uint64_t deadline)
{
    if (guest_hyp != NULL)
        flow__unikernel_port_idle(flow__unikernel_of(guest_hyp), deadline);
}

/* See <flow/guest.h>. */
size_t
flow_guest_console_write(const char *text, size_t len)
{
    if (guest_hyp == NULL)
        return 0;
    return flow__unikernel_console_write(flow__unikernel_of(guest_hyp), text,
                                         len);
}

/* See <flow/guest.h>. */
enum flow_status
flow_guest_entropy(const struct flow_entropy_source **ret_source,
                   struct flow_error *ret_err)
{
    enum flow_status st = FLOW_OK;

    if (guest_hyp == NULL)
        return guest_not_started(ret_err);
    if (guest_entropy == NULL)
        st = flow__unikernel_entropy_open(flow__unikernel_of(guest_hyp),
                                          &guest_entropy, ret_err);
    if (st == FLOW_OK)
        *ret_source = flow__unikernel_entropy_source(guest_entropy);
    return st;
}

/* See <flow/guest.h>. */
enum flow_status
flow_guest_store(const struct flow_guest_request *request, size_t *ret_len,
                 struct flow_error *ret_err)
{
    struct unikernel_hyp *h;
    int64_t rc;

    if (guest_hyp == NULL)
        return guest_not_started(ret_err);
    h = flow__unikernel_of(guest_hyp);
    rc = flow__unikernel_xs_call(h, request, ret_len);
    if (rc == 0)
        return FLOW_OK;
    return flow__unikernel_xs_fail(
        h, ret_err, rc, "the store refuses a request", request->path);
}

static struct vchan_watch *
guest_watch_of(struct flow_guest_watch *watch)
{
    return (struct vchan_watch *)(void *)watch;
}

/* See <flow/guest.h>. */
enum flow_status
flow_guest_watch_open(const char *path, struct flow_guest_watch **ret_watch,
                      struct flow_error *ret_err)
{
    struct vchan_watch *watch;
    enum flow_status st;

    if (guest_hyp == NULL)
        return guest_not_started(ret_err);
    st = flow__unikernel_xs_watch(flow__unikernel_of(guest_hyp), path, &watch,
                                  ret_err);
    if (st == FLOW_OK)
        *ret_watch = (struct flow_guest_watch *)(void *)watch;
    return st;
}

/* See <flow/guest.h>. */
bool
flow_guest_watch_fired(struct flow_guest_watch *watch)
{
    return flow__unikernel_xs_watch_drain(guest_watch_of(watch));
}

/* See <flow/guest.h>. */
void
flow_guest_watch_wait(const struct flow_guest_watch *watch,
                      struct flow_wait_set *set)
{
    flow__unikernel_xs_watch_wait(
        (const struct vchan_watch *)(const void *)watch, set);
}

/* See <flow/guest.h>. */
void
flow_guest_watch_close(struct flow_guest_watch *watch)
{
    flow__unikernel_xs_watch_close(guest_watch_of(watch));
}
