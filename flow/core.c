/* SPDX-License-Identifier: ISC */
#include "flow/core.h"
#include "lib/atomic.h"
#include "lib/bits.h"
#include "lib/event.h"
#include "lib/plat.h"

/*
 * What the other files of the core depend on, and which depends on none of
 * them: the state of a direction, the errors, waking, and the opening.
 *
 * Invariants: state[i] leaves FLOW_OK once and does not change again, so the
 * first end of a direction is its end (C04).  busy[i] is set between enter and
 * leave: one call of a direction at a time.  The exchange that sets it is the
 * one locked instruction of a call that moves bytes; leave stores with release,
 * so that the next call, in whichever thread, sees all that this one did.  One
 * thread at a time is inside the opening.  It looks again at what the thread
 * before it achieved, so that an opening that has failed is not tried again
 * (C50).  noted[i] is FLOW_OK, or reason[i] is not NULL, or error[i] is a
 * record with the status noted[i].
 *
 * Locks: the wait lock, for the error records and for the chain of flows above
 * a flow; nothing is allocated under it.  All else is atomic.
 *
 * Threads: any.  A thread that finds the opening taken gets FLOW_AGAIN, and is
 * woken after the step.
 */

/* --- states --------------------------------------------------------------- */

enum flow_status
flow__state(const struct flow *f, enum flow_dir dir)
{
    return (enum flow_status)flow__load(&f->state[flow__index(dir)]);
}

void
flow__end(struct flow *f, uint32_t dirs, enum flow_status st)
{
    size_t i;

    for (i = 0; i < 2; i++) {
        int8_t running = FLOW_OK;

        /* The first end of a direction is its end (C04). */
        if ((dirs & (1u << i)) != 0)
            flow__replace(&f->state[i], &running, (int8_t)st);
    }
}

bool
flow__is_due(const struct flow_env *env, uint64_t deadline)
{
    return deadline != FLOW_NEVER && deadline <= env->now(env->ctx);
}

uint64_t
flow__earlier_deadline(const struct flow *f)
{
    return flow_deadline_min(flow__load(&f->deadline[0]),
                             flow__load(&f->deadline[1]));
}

/* --- waking --------------------------------------------------------------- */

void
flow__used(struct flow *f)
{
    for (; f != NULL; f = flow__load(&f->upper))
        flow__watch_used(f->watch);
}

/* See <flow/backend.h>. */
void
flow_fd_closing(struct flow *f, int fd)
{
    for (; f != NULL; f = flow__load(&f->upper))
        flow__watch_closing(f->watch, fd);
}

/* See <flow/backend.h>. */
void
flow_wake(struct flow *f, uint32_t dirs)
{
    struct flow *upper;

    if ((dirs & FLOW_READ) != 0)
        flow_event_signal(&f->wake[0]);
    if ((dirs & FLOW_WRITE) != 0)
        flow_event_signal(&f->wake[1]);
    if (flow__load(&f->upper) == NULL)
        return;
    /* Either direction above may wait for either one here. */
    flow__wait_lock();
    for (upper = flow__load(&f->upper); upper != NULL;
         upper = flow__load(&upper->upper)) {
        flow__event_signal_locked(&upper->wake[0]);
        flow__event_signal_locked(&upper->wake[1]);
    }
    flow__wait_unlock();
}

/* --- errors --------------------------------------------------------------- */

/*
 * Most flows never fail, and most errors are a status and a static text, for
 * which the flow itself has room.  Memory for a whole record is allocated at
 * the first error that has more to say: a code, a detail, a layer below.  If
 * there is no memory, the status and the text are kept.
 *
 * A layer may fail both directions from the thread of one.  While a direction
 * runs, the next error replaces the record of a temporary one.  After its end
 * the first record that gives the reason stays.
 */

/* Whether a flow has room for all that a record says. */
static bool
core_error_is_short(const struct flow *f, const struct flow_error *err)
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
core_error_note(struct flow *f, size_t i, const struct flow_error *err,
                bool ran, struct flow_error **spare)
{
    enum flow_status end = (enum flow_status)flow__load(&f->state[i]);
    enum flow_status st = err->status;

    if (!ran && (st != end || f->noted[i] == (int8_t)end))
        return;
    f->noted[i] = (int8_t)st;
    f->reason[i] = err->text != NULL ? err->text : flow_status_text(st);
    if (core_error_is_short(f, err))
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

/* Note an error for the directions; ends: and end them with it. */
static void
core_error_record(struct flow *f, uint32_t dirs, const struct flow_error *err,
                  bool ends)
{
    struct flow_error *spare[2] = { NULL, NULL };
    bool whole = !core_error_is_short(f, err);
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
            core_error_note(f, i, err, ran[i], &spare[i]);
    flow__wait_unlock();
    for (i = 0; i < 2; i++)
        flow_env_free(f->env, spare[i], sizeof(*spare[i]));
}

/* See <flow/backend.h>. */
enum flow_status
flow_fail_with(struct flow *f, uint32_t dirs, const struct flow_error *err)
{
    bool sticky = flow_status_is_sticky(err->status);

    core_error_record(f, dirs, err, sticky);
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
    core_error_record(f, (uint32_t)dir, &err, false);
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
        core_error_record(f, (uint32_t)dir, &err, true);
        return st;
    }
    flow_get_error(f, dir, &err);
    if (err.status != st)
        flow__report(f, dir, st, flow_status_text(st));
    return st;
}

/* End both directions, and see that both have a record: the opening failed. */
static void
core_settle_open(struct flow *f, enum flow_status st)
{
    struct flow_error err;

    flow__end(f, FLOW__BOTH, st);
    flow_get_error(f, FLOW_READ, &err);
    if (err.status != st)
        flow_get_error(f, FLOW_WRITE, &err);
    if (err.status != st)
        flow_error_set(&err, st, f->ops->name, FLOW_DOMAIN_NONE, 0,
                       flow_status_text(st));
    core_error_record(f, FLOW__BOTH, &err, false);
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

/* --- calls ---------------------------------------------------------------- */

static enum flow_status
core_begin_call(struct flow *f, enum flow_dir dir)
{
    size_t i = flow__index(dir);

    if (flow__load(&f->leased[i]) != 0)
        return flow__report(f, dir, FLOW_E_BUSY,
                            "a lease of this direction is out");
    if ((f->caps & FLOW_CAP_DUPLEX) == 0 && flow__load(&f->busy[1 - i]) != 0)
        return flow__report(f, dir, FLOW_E_BUSY,
                            "the other direction is in use, and this flow "
                            "takes one thread at a time");
    return flow__state(f, dir);
}

enum flow_status
flow__enter(struct flow *f, enum flow_dir dir)
{
    enum flow_status st;

    flow__used(f);
    if (flow__swap(&f->busy[flow__index(dir)], 1) != 0)
        return flow__report(f, dir, FLOW_E_BUSY,
                            "another call of this direction is running");
    st = core_begin_call(f, dir);
    if (st != FLOW_OK)
        flow__leave(f, dir);
    return st;
}

enum flow_status
flow__enter_data(struct flow *f, enum flow_dir dir)
{
    enum flow_status st = flow__enter(f, dir);
    size_t *wanted = &f->wanted[flow__index(dir)];

    if (st == FLOW_OK && flow__load(wanted) != 0)
        flow__store(wanted, 0);
    return st;
}

/* See <flow/backend.h>. */
size_t
flow_wanted(const struct flow *f, enum flow_dir dir)
{
    return flow__max(1, flow__load(&f->wanted[flow__index(dir)]));
}

void
flow__leave(struct flow *f, enum flow_dir dir)
{
    flow__store_release(&f->busy[flow__index(dir)], 0);
}

/* --- the opening ---------------------------------------------------------- */

static enum flow_status
core_call_open(struct flow *f)
{
    enum flow_status st;

    if (f->ops->open != NULL)
        return f->ops->open(f);
    st = flow_open(f->lower);
    return flow_fail_lower(f, FLOW__BOTH, FLOW_READ, st);
}

static bool
core_opening_is_due(const struct flow *f)
{
    return flow__is_due(f->env, flow__earlier_deadline(f));
}

/* See <flow/backend.h>. */
bool
flow_opening_is_late(const struct flow *f)
{
    /* A flow above that is not inside its opening does not drive ours. */
    while (!core_opening_is_due(f)) {
        f = flow__load(&f->upper);
        if (f == NULL || flow__load(&f->opening) != FLOW__OPENING_INSIDE)
            return false;
    }
    return true;
}

/* Every failure here is final, even a temporary one: it is unknown how far the
 * peer has come (C45, C50).  After the deadline no opening begins, but one that
 * has begun may know already why it fails. */
static enum flow_status
core_open_step(struct flow *f, bool begun)
{
    bool due = core_opening_is_due(f);
    enum flow_status st = FLOW_AGAIN;

    if (begun || !flow_opening_is_late(f))
        st = core_call_open(f);
    if (due && st >= 0)
        st = flow_fail(f, FLOW__BOTH, FLOW_E_TIMEOUT, FLOW_DOMAIN_NONE, 0,
                       "the deadline passed while it was opened");
    if (st == FLOW_OK) {
        flow__store(&f->opened, 1);
    } else if (st != FLOW_AGAIN) {
        core_settle_open(f, st);
    }
    return st;
}

/* Called with opening held: look again at the state, which a step of another
 * thread may have changed.  A backend whose opening has failed is not called
 * again (C50). */
static enum flow_status
core_opening_step(struct flow *f, bool begun)
{
    enum flow_status st;

    if (flow__load(&f->opened) != 0)
        return FLOW_OK;
    st = flow__state(f, FLOW_WRITE);
    if (st >= 0)
        st = flow__state(f, FLOW_READ);
    /* Reading that was shut down does not keep the rest from opening. */
    return st < 0 ? st : core_open_step(f, begun);
}

enum flow_status
flow__drive_open(struct flow *f)
{
    enum flow_status st;
    uint8_t before;

    if (flow__load(&f->opened) != 0)
        return FLOW_OK;
    before = flow__swap(&f->opening, FLOW__OPENING_INSIDE);
    if (before == FLOW__OPENING_INSIDE)
        return FLOW_AGAIN;
    st = core_opening_step(f, before == FLOW__OPENING_BEGUN);
    flow__store(&f->opening, FLOW__OPENING_BEGUN);
    /* Threads that wait for the same opening may have other sources now. */
    flow_wake(f, FLOW__BOTH);
    return st;
}

/* See <flow/flow.h>. */
enum flow_status
flow_open(struct flow *f)
{
    enum flow_status reading = flow__state(f, FLOW_READ);
    enum flow_status writing = flow__state(f, FLOW_WRITE);

    flow__used(f);
    if (reading < 0 && writing < 0)
        return writing;
    return flow__drive_open(f);
}
