/* SPDX-License-Identifier: ISC */
#include "flow/core.h"
#include "lib/atomic.h"
#include "lib/plat.h"

/*
 * Records are guarded by the wait lock: a layer may fail both directions from
 * the thread of one.  While a direction runs, a record of passing trouble
 * makes room for the next; once it has ended, the first record that says how
 * stays.
 */
static void
note(struct flow *f, size_t i, const struct flow_error *err)
{
    enum flow_status end = (enum flow_status)flow__load(&f->state[i]);

    if (end == FLOW_OK || (err->status == end && f->error[i].status != end))
        f->error[i] = *err;
}

/* See <flow/backend.h>. */
enum flow_status
flow_fail_with(struct flow *f, uint32_t dirs, const struct flow_error *err)
{
    bool sticky = flow_status_is_sticky(err->status);
    size_t i;

    flow__wait_lock();
    if (sticky)
        flow__end(f, dirs, err->status);
    for (i = 0; i < 2; i++)
        if ((dirs & (1u << i)) != 0)
            note(f, i, err);
    flow__wait_unlock();
    if (sticky)
        flow_wake(f, dirs);
    return err->status;
}

/* See <flow/backend.h>. */
enum flow_status
flow_fail(struct flow *f, uint32_t dirs, enum flow_status status,
          enum flow_domain domain, int32_t code, const char *text)
{
    struct flow_error err;

    flow_error_set(&err, status, f->ops->name, domain, code, text);
    return flow_fail_with(f, dirs, &err);
}

/* See <flow/backend.h>. */
enum flow_status
flow_fail_lower(struct flow *f, uint32_t dirs, enum flow_dir lower_dir,
                enum flow_status status)
{
    struct flow_error err;

    if (status >= 0)
        return status;
    flow_get_error(f->lower, lower_dir, &err);
    if (err.status == FLOW_OK)
        flow_error_set(&err, status, f->lower->ops->name, FLOW_DOMAIN_NONE, 0,
                       flow_status_text(status));
    err.status = status;
    flow_error_add_layer(&err, f->ops->name);
    return flow_fail_with(f, dirs, &err);
}

enum flow_status
flow__report(struct flow *f, enum flow_dir dir, enum flow_status st,
             const char *text)
{
    struct flow_error err;

    flow_error_set(&err, st, f->ops->name, FLOW_DOMAIN_NONE, 0, text);
    flow__wait_lock();
    note(f, flow__index(dir), &err);
    flow__wait_unlock();
    return st;
}

enum flow_status
flow__settle(struct flow *f, enum flow_dir dir, enum flow_status st)
{
    struct flow_error err;

    if (st == FLOW_OK || st == FLOW_AGAIN)
        return st;
    if (flow_status_is_sticky(st))
        flow__end(f, (uint32_t)dir, st);
    if (st == FLOW_EOF)
        return st;
    flow_get_error(f, dir, &err);
    if (err.status != st)
        flow__report(f, dir, st, flow_status_text(st));
    return st;
}

void
flow__settle_open(struct flow *f, enum flow_status st)
{
    struct flow_error err;

    flow__end(f, FLOW__BOTH, st);
    flow_get_error(f, FLOW_READ, &err);
    if (err.status != st)
        flow_get_error(f, FLOW_WRITE, &err);
    if (err.status != st)
        flow_error_set(&err, st, f->ops->name, FLOW_DOMAIN_NONE, 0,
                       flow_status_text(st));
    flow__wait_lock();
    note(f, 0, &err);
    note(f, 1, &err);
    flow__wait_unlock();
}

/* See <flow/flow.h>. */
void
flow_get_error(const struct flow *f, enum flow_dir dir,
               struct flow_error *ret_err)
{
    flow__wait_lock();
    *ret_err = f->error[flow__index(dir)];
    flow__wait_unlock();
}
