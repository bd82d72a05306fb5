/* SPDX-License-Identifier: ISC */
#include <flow/listener.h>

#include <string.h>

#include "flow/core.h"
#include "lib/atomic.h"

/*
 * Invariants: the count of the wake event is read before the operation is asked
 * (C40).  canceled is never cleared.  A listener that accepts from another is
 * its upper one, and the upper one is closed first.
 *
 * Threads: one, except that flow_listener_set_deadline() and
 * flow_listener_abort() come from any, so deadline and canceled are atomic.  No
 * lock is held while an operation runs.
 */

/* See <flow/listener.h>. */
void
flow_listener_init(struct flow_listener *l, const struct flow_listener_ops *ops,
                   const struct flow_env *env)
{
    memset(l, 0, sizeof(*l));
    l->ops = ops;
    l->env = env;
    flow_event_init(&l->wake);
    flow_error_clear(&l->error);
}

/* See <flow/listener.h>. */
enum flow_status
flow_listener_fail(struct flow_listener *l, enum flow_status status,
                   enum flow_domain domain, int32_t code, const char *text)
{
    return flow_error_set(&l->error, status, l->ops->name, domain, code, text);
}

static enum flow_status
listener_canceled(struct flow_listener *l)
{
    return flow_listener_fail(l, FLOW_E_CANCELED, FLOW_DOMAIN_NONE, 0,
                              "aborted on this side");
}

/* See <flow/listener.h>. */
enum flow_status
flow_accept(struct flow_listener *l, struct flow **ret_flow)
{
    flow__watch_used(l->watch);
    if (flow__load(&l->canceled) != 0)
        return listener_canceled(l);
    return l->ops->accept(l, ret_flow);
}

/* See <flow/listener.h>. */
bool
flow_listener_wait_sources(struct flow_listener *l, struct flow_wait_set *set)
{
    /* Read before looking, so that a change while we look is seen (C40). */
    uint32_t seen = flow_event_sequence(&l->wake);
    bool ready = flow__load(&l->canceled) != 0;

    set->depth++;
    ready = ready || l->ops->wait(l, set);
    set->depth--;
    if (ready)
        return true;
    /* A deadline that has passed is not a source: the caller checks its own
     * before it sleeps, and that of a listener below does not apply. */
    if (!flow__is_due(l->env, flow__load(&l->deadline)))
        flow_wait_add_time(set, flow__load(&l->deadline));
    if (set->depth == 0)
        flow_wait_add_event(set, &l->wake, seen);
    return false;
}

static enum flow_status
listener_wait_for_flow(struct flow_listener *l)
{
    struct flow_wait_set set;

    flow_wait_set_init(&set);
    if (flow_listener_wait_sources(l, &set))
        return FLOW_OK;
    if (flow__is_due(l->env, flow__load(&l->deadline)))
        return flow_listener_fail(l, FLOW_E_TIMEOUT, FLOW_DOMAIN_NONE, 0,
                                  "the deadline passed");
    return l->env->wait(l->env->ctx, &set, FLOW_NEVER);
}

/* See <flow/listener.h>. */
enum flow_status
flow_accept_wait(struct flow_listener *l, struct flow **ret_flow)
{
    enum flow_status st;

    for (;;) {
        st = flow_accept(l, ret_flow);
        if (st != FLOW_AGAIN)
            return st;
        st = listener_wait_for_flow(l);
        if (st != FLOW_OK)
            return st;
    }
}

/* See <flow/listener.h>. */
void
flow_listener_wrap(struct flow_listener *l, struct flow_listener *lower)
{
    lower->upper = l;
}

/* See <flow/listener.h>. */
void
flow_listener_fd_closing(struct flow_listener *l, int fd)
{
    for (; l != NULL; l = l->upper)
        flow__watch_closing(l->watch, fd);
}

/* See <flow/listener.h>. */
void
flow_listener_set_deadline(struct flow_listener *l, uint64_t nsec)
{
    flow__store(&l->deadline, nsec);
    flow_event_signal(&l->wake);
}

/* See <flow/listener.h>. */
void
flow_listener_abort(struct flow_listener *l)
{
    flow__store(&l->canceled, 1);
    flow_event_signal(&l->wake);
}

/* See <flow/listener.h>. */
enum flow_status
flow_listener_query(struct flow_listener *l, enum flow_query_key key, void *buf,
                    size_t *len)
{
    enum flow_status st = FLOW_E_NOTSUP;

    if (l->ops->query != NULL)
        st = l->ops->query(l, key, buf, len);
    if (st == FLOW_E_NOTSUP && key == FLOW_QUERY_DESCRIPTION)
        st = flow_answer_string(buf, len, l->ops->name);
    return st;
}

/* See <flow/listener.h>. */
void
flow_listener_get_error(const struct flow_listener *l,
                        struct flow_error *ret_err)
{
    *ret_err = l->error;
}

/* See <flow/listener.h>. */
void
flow_listener_close(struct flow_listener *l)
{
    if (l == NULL)
        return;
    flow__watch_end(l->watch);
    /* Wake sleepers now: the operation frees the memory. */
    flow_event_fini(&l->wake);
    l->ops->close(l);
}
