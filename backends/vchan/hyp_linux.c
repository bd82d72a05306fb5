/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_linux.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backends/vchan/vchan.h"

static struct linux_hyp *
linux_of(struct vchan_hyp *hyp)
{
    return (struct linux_hyp *)hyp;
}

/*
 * The handles of this process and those that it inherited, one for each
 * environment.  The list's lock is taken before any lock of a handle.
 *
 * A handle that was lost by a migration stays in the list until its last
 * reference is dropped; linux_handle_find() passes over it.
 */
static pthread_mutex_t linux_handles_lock = PTHREAD_MUTEX_INITIALIZER;
static struct linux_hyp *linux_handles;

static void
linux_free(struct vchan_hyp *hyp)
{
    struct linux_hyp *h = linux_of(hyp);
    struct linux_hyp **at = &linux_handles;
    bool inherited = flow__vchan_hyp_is_inherited(hyp);

    flow__vchan_linux_lock(&linux_handles_lock);
    while (*at != NULL && *at != h)
        at = &(*at)->next;
    if (*at != NULL)
        *at = h->next;
    flow__vchan_linux_unlock(&linux_handles_lock);
    if (h->store != NULL)
        flow__vchan_linux_hang_up(h->store, inherited);
    /* A child does not have the library's pages for hypercalls, and closing
     * would unmap whatever is at their address.  No peer depends on this
     * descriptor. */
    if (h->call != NULL && !inherited)
        flow__xen.xencall_close(h->call);
    if (h->map != NULL)
        flow__xen.xengnttab_close(h->map);
    if (h->share != NULL)
        flow__xen.xengntshr_close(h->share);
    close(h->lost);
    flow_lock_fini(&h->views.lock);
    pthread_mutex_destroy(&h->lock);
    flow_env_free(hyp->env, h, sizeof(*h));
}

static enum flow_status
linux_new(const struct flow_env *env, struct linux_hyp **ret_hyp,
          struct flow_error *err)
{
    struct linux_hyp *h = flow_env_alloc(env, sizeof(*h));
    const char *missing = NULL;
    enum flow_status st;

    if (h == NULL)
        return flow_error_set(err, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_NONE, 0,
                              "no memory");
    flow__vchan_hyp_init(&h->base, env);
    h->base.grants = &flow__vchan_linux_grants;
    h->base.events = &flow__vchan_linux_channels;
    h->base.store = &flow__vchan_linux_store;
    h->base.free = linux_free;
    h->base.scheme = "vchan";
    h->base.descriptors = true;
    pthread_mutex_init(&h->lock, NULL);
    flow_lock_init(&h->views.lock);

    h->lost = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (h->lost < 0)
        missing = "cannot make an eventfd";
    else if ((h->store = flow__xen.xs_open(0)) == NULL)
        missing = "cannot reach the Xen store";
    else if (!flow__vchan_linux_own(h->store, &h->base.domid))
        missing = "the Xen store does not tell the id of this domain";
    else if ((h->call = flow__xen.xencall_open(&flow__vchan_linux_log, 0)) ==
                 NULL &&
             flow__vchan_linux_lacks_descriptors(errno))
        missing = "cannot open the device for hypercalls";
    if (missing == NULL) {
        *ret_hyp = h;
        return FLOW_OK;
    }
    st = flow__vchan_linux_fail(
        err, missing,
        "is this a Xen domain with its modules loaded, and may this "
        "user open /dev/xen?");
    if (h->store != NULL)
        flow__xen.xs_close(h->store);
    if (h->lost >= 0)
        close(h->lost);
    flow_lock_fini(&h->views.lock);
    pthread_mutex_destroy(&h->lock);
    flow_env_free(env, h, sizeof(*h));
    return st;
}

/* Makes every wait source of the handle fire for good. */
static void
linux_lose(struct linux_hyp *h)
{
    const uint64_t one = 1;

    flow__vchan_hyp_lost(&h->base);
    (void)!write(h->lost, &one, sizeof(one));
    flow__vchan_linux_views_lose(&h->views);
}

/* Whether a handle can be used.  A domain that was migrated or restored has
 * another id, and every handle of before is lost. */
static bool
linux_handle_is_current(struct linux_hyp *h)
{
    uint16_t domid;

    if (flow__vchan_hyp_check(&h->base, NULL) != FLOW_OK ||
        !flow__vchan_linux_own(h->store, &domid))
        return false;
    if (domid != h->base.domid)
        linux_lose(h);
    return domid == h->base.domid;
}

/* A new reference of the handle of an environment, or NULL. */
static struct linux_hyp *
linux_handle_find(const struct flow_env *env)
{
    struct linux_hyp *found = NULL;

    for (struct linux_hyp *h = linux_handles; h != NULL; h = h->next)
        if (linux_handle_is_current(h) && found == NULL && h->base.env == env &&
            flow__vchan_hyp_try_ref(&h->base))
            found = h;
    return found;
}

enum flow_status
flow__vchan_xen_open(const struct flow_env *env, struct vchan_hyp **ret_hyp,
                     struct flow_error *err)
{
    enum flow_status st = FLOW_OK;
    struct linux_hyp *h;

    flow__vchan_linux_lock(&linux_handles_lock);
    h = linux_handle_find(env);
    if (h == NULL && (st = flow__vchan_linux_load(err)) == FLOW_OK &&
        (st = linux_new(env, &h, err)) == FLOW_OK) {
        h->next = linux_handles;
        linux_handles = h;
    }
    if (st == FLOW_OK)
        *ret_hyp = &h->base;
    flow__vchan_linux_unlock(&linux_handles_lock);
    return st;
}
