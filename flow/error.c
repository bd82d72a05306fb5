/* SPDX-License-Identifier: ISC */
#include "flow/core.h"
#include "lib/atomic.h"
#include "lib/plat.h"

/*
 * Why the directions of a flow failed.
 *
 * Most flows never fail, and most errors are a status and a static text, for
 * which the flow itself has room.  Memory for a whole record is taken when the
 * first error comes that has more to tell: a code, a detail, a layer below.  If
 * there is no memory, the status and the text are kept.
 *
 * Records are guarded by the wait lock: a layer may fail both directions from
 * the thread of one.  Nothing is allocated under it.  While a direction runs, a
 * record of passing trouble makes room for the next; once it has ended, the
 * first record that says how stays.
 *
 * Invariant: noted[i] is FLOW_OK, or reason[i] is not NULL, or error[i] is a
 * record with the status noted[i].
 */

/* Whether a flow has room for all that a record says. */
static bool
error_is_short(const struct flow *f, const struct flow_error *err)
{
    return err->domain == FLOW_DOMAIN_NONE && err->code == 0 &&
           err->alert_sent < 0 && err->alert_received < 0 &&
           err->verify_flags == 0 && err->hint == NULL &&
           err->detail[0] == '\0' && err->layer_count == 1 &&
           err->layers[0] == f->ops->name;
}

/* Under the lock.  ran: the direction had not ended before this error.  Takes
 * *spare if it is needed. */
static void
error_note(struct flow *f, size_t i, const struct flow_error *err, bool ran,
           struct flow_error **spare)
{
    enum flow_status end = (enum flow_status)flow__load(&f->state[i]);
    enum flow_status st = err->status;

    if (!ran && (st != end || f->noted[i] == (int8_t)end))
        return;
    f->noted[i] = (int8_t)st;
    f->reason[i] = err->text != NULL ? err->text : flow_status_text(st);
    if (error_is_short(f, err))
        return;
    if (f->error[i] == NULL) {
        flow__store(&f->error[i], *spare);
        *spare = NULL;
    }
    if (f->error[i] == NULL)
        return;
    *f->error[i] = *err;
    f->reason[i] = NULL;
}

/* Note an error, and end the directions with it if it is said to. */
static void
error_record(struct flow *f, uint32_t dirs, const struct flow_error *err,
             bool ends)
{
    struct flow_error *spare[2] = { NULL, NULL };
    bool whole = !error_is_short(f, err);
    bool ran[2];
    size_t i;

    for (i = 0; i < 2; i++)
        if (whole && (dirs & (1u << i)) != 0 &&
            flow__load(&f->error[i]) == NULL)
            spare[i] = flow_env_alloc(f->env, sizeof(*spare[i]));
    flow__wait_lock();
    for (i = 0; i < 2; i++)
        ran[i] = flow__load(&f->state[i]) == FLOW_OK;
    if (ends)
        flow__end(f, dirs, err->status);
    for (i = 0; i < 2; i++)
        if ((dirs & (1u << i)) != 0)
            error_note(f, i, err, ran[i], &spare[i]);
    flow__wait_unlock();
    for (i = 0; i < 2; i++)
        flow_env_free(f->env, spare[i], sizeof(*spare[i]));
}

/* See <flow/backend.h>. */
enum flow_status
flow_fail_with(struct flow *f, uint32_t dirs, const struct flow_error *err)
{
    bool sticky = flow_status_is_sticky(err->status);

    error_record(f, dirs, err, sticky);
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
    error_record(f, (uint32_t)dir, &err, false);
    return st;
}

enum flow_status
flow__settle(struct flow *f, enum flow_dir dir, enum flow_status st)
{
    struct flow_error err;

    if (st == FLOW_OK || st == FLOW_AGAIN)
        return st;
    if (st == FLOW_EOF) {
        flow__end(f, (uint32_t)dir, st);
        return st;
    }
    /* A backend that calls flow_fail() has ended the direction by that. */
    if (flow_status_is_sticky(st) && flow__state(f, dir) == FLOW_OK) {
        flow_error_set(&err, st, f->ops->name, FLOW_DOMAIN_NONE, 0,
                       flow_status_text(st));
        error_record(f, (uint32_t)dir, &err, true);
        return st;
    }
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
    error_record(f, FLOW__BOTH, &err, false);
}

/* See <flow/flow.h>. */
void
flow_get_error(const struct flow *f, enum flow_dir dir,
               struct flow_error *ret_err)
{
    size_t i = flow__index(dir);
    enum flow_status st;
    const char *reason;

    flow__wait_lock();
    st = (enum flow_status)f->noted[i];
    reason = f->reason[i];
    if (st != FLOW_OK && reason == NULL)
        *ret_err = *f->error[i];
    flow__wait_unlock();
    if (st == FLOW_OK)
        flow_error_clear(ret_err);
    else if (reason != NULL)
        flow_error_set(ret_err, st, f->ops->name, FLOW_DOMAIN_NONE, 0, reason);
}
