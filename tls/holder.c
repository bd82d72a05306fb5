/* SPDX-License-Identifier: ISC */
#include <flow/tls_holder.h>

#include "tls/config.h"

/*
 * The configuration in force.
 *
 * Invariants: config is frozen and never NULL, and the holder has a reference
 * to it.  A caller that gets it takes a reference of its own before the lock is
 * released, so it cannot be freed in between.  The role of a holder, server or
 * client, never changes.
 *
 * Locks: lock guards config, inside flow_fork_block(), so that a child never
 * inherits it taken.  Nothing is frozen or freed under it.
 */

struct flow_tls_holder {
    const struct flow_env *env;
    uint32_t refs; /* atomic */
    struct flow_lock lock;
    struct flow_tls_config *config;
};

/* See <flow/tls_holder.h>. */
enum flow_status
flow_tls_holder_new(const struct flow_env *env, struct flow_tls_config *c,
                    struct flow_tls_holder **ret_holder,
                    struct flow_error *ret_err)
{
    enum flow_status st = flow_tls_config_freeze(c, ret_err);
    struct flow_tls_holder *h;

    if (st != FLOW_OK)
        return st;
    if (env == NULL)
        env = flow_env_default();
    h = flow_env_alloc(env, sizeof(*h));
    if (h == NULL)
        return flow__config_refuse(ret_err, FLOW_E_NOMEM, "no memory");
    h->env = env;
    h->refs = 1;
    flow_lock_init(&h->lock);
    h->config = flow_tls_config_ref(c);
    *ret_holder = h;
    return FLOW_OK;
}

/* See <flow/tls_holder.h>. */
struct flow_tls_holder *
flow_tls_holder_ref(struct flow_tls_holder *h)
{
    (void)flow__add(&h->refs, 1);
    return h;
}

/* See <flow/tls_holder.h>. */
void
flow_tls_holder_unref(struct flow_tls_holder *h)
{
    if (h == NULL || flow__sub(&h->refs, 1) != 1)
        return;
    flow_tls_config_unref(h->config);
    flow_lock_fini(&h->lock);
    flow_env_free(h->env, h, sizeof(*h));
}

static void
holder_lock(struct flow_tls_holder *h)
{
    flow_fork_block();
    flow_lock_acquire(&h->lock);
}

static void
holder_unlock(struct flow_tls_holder *h)
{
    flow_lock_release(&h->lock);
    flow_fork_unblock();
}

/* See <flow/tls_holder.h>. */
struct flow_tls_config *
flow_tls_holder_get(struct flow_tls_holder *h)
{
    struct flow_tls_config *c;

    holder_lock(h);
    c = flow_tls_config_ref(h->config);
    holder_unlock(h);
    return c;
}

/* See <flow/tls_holder.h>. */
enum flow_status
flow_tls_holder_set(struct flow_tls_holder *h, struct flow_tls_config *c,
                    struct flow_error *ret_err)
{
    enum flow_status st = flow_tls_config_freeze(c, ret_err);
    struct flow_tls_config *before;
    bool is_same_role;

    if (st != FLOW_OK)
        return st;
    (void)flow_tls_config_ref(c);
    holder_lock(h);
    before = h->config;
    is_same_role = before->server == c->server;
    if (is_same_role)
        h->config = c;
    holder_unlock(h);
    flow_tls_config_unref(is_same_role ? before : c);
    if (is_same_role)
        return FLOW_OK;
    return flow__config_refuse(
        ret_err, FLOW_E_INVAL,
        "a server's configuration cannot replace a client's, nor the reverse");
}
