/* SPDX-License-Identifier: ISC */
#include "flow/core.h"
#include "flow/front.h"
#include "lib/assert.h"
#include "lib/atomic.h"

/*
 * Invariants: leased[i] is set from a lease to its commit, and no read or write
 * of direction i begins meanwhile (core.c refuses it).  lent[i] is the number
 * of bytes of the lease and changes only with leased[i].  wanted[i] is not 0
 * while a lease that answered FLOW_AGAIN decides readiness (C34).  A lease that
 * lasts for one call (flow_with_lease()) keeps the direction entered instead:
 * busy[i] refuses all that leased[i] would.
 *
 * Threads: one per direction, as for reading and writing.  A commit takes busy,
 * since flow_abort() may end the direction from another thread meanwhile.
 */

static enum flow_status
lease_check(struct flow *f, enum flow_dir dir, size_t want)
{
    uint32_t cap =
        dir == FLOW_READ ? FLOW_CAP_LEASE_READ : FLOW_CAP_LEASE_WRITE;

    if (want == 0)
        return flow__report(f, dir, FLOW_E_INVAL, "a lease of 0 bytes");
    if ((f->caps & cap) == 0)
        return flow__report(f, dir, FLOW_E_NOTSUP,
                            "this flow lends no memory in this direction");
    return FLOW_OK;
}

/* Entered. */
static enum flow_status
lease_step(struct flow *f, enum flow_dir dir, size_t want,
           struct flow_vec ret_span[2])
{
    enum flow_status st;

    if (dir == FLOW_WRITE && flow__load(&f->ending) != 0)
        return flow__report(f, dir, FLOW_E_CLOSED,
                            "leased after flow_shutdown()");
    st = flow__drive_open(f);
    if (st == FLOW_OK)
        st = f->ops->lease(f, dir, want, ret_span);
    return flow__settle(f, dir, st);
}

static enum flow_status
lease_refuse_used(struct flow *f, enum flow_dir dir)
{
    return flow__report(f, dir, FLOW_E_INVAL,
                        "more bytes are committed than were leased");
}

/* Enter a direction and lend its memory.  FLOW_OK: the direction is still
 * entered, and at least one byte is lent. */
static enum flow_status
lease_take(struct flow *f, enum flow_dir dir, size_t want,
           struct flow_vec ret_span[2])
{
    enum flow_status st;

    if (!flow__is_direction(dir))
        return FLOW_E_INVAL;
    st = lease_check(f, dir, want);
    if (st != FLOW_OK)
        return st;
    st = flow__enter_data(f, dir);
    if (st != FLOW_OK)
        return st;
    st = lease_step(f, dir, want, ret_span);
    if (st == FLOW_OK) {
        flow__assert(ret_span[0].len > 0);
        return FLOW_OK;
    }
    if (st == FLOW_AGAIN)
        flow__store(&f->wanted[flow__index(dir)], want);
    flow__leave(f, dir);
    return st;
}

/* Take lent memory back; the direction is entered.  If it has failed meanwhile,
 * its memory is given back without any bytes (C58). */
static enum flow_status
lease_give(struct flow *f, enum flow_dir dir, size_t used, uint32_t flags)
{
    enum flow_status ended = flow__state(f, dir);
    enum flow_status st = f->ops->commit(f, dir, ended == FLOW_OK ? used : 0,
                                         flags != 0 ? FLOW_MORE : 0);

    return ended != FLOW_OK ? ended : flow__settle(f, dir, st);
}

/* See <flow/flow.h>. */
enum flow_status
flow_lease(struct flow *f, enum flow_dir dir, size_t want,
           struct flow_vec ret_span[2])
{
    struct flow_vec span[2] = { { NULL, 0 }, { NULL, 0 } };
    size_t i = flow__index(dir);
    enum flow_status st = lease_take(f, dir, want, span);

    if (st != FLOW_OK)
        return st;
    ret_span[0] = span[0];
    ret_span[1] = span[1];
    f->lent[i] = span[0].len + span[1].len;
    flow__store_release(&f->leased[i], 1);
    flow__leave(f, dir);
    return FLOW_OK;
}

/* See <flow/backend.h>. */
enum flow_status
flow_with_lease(struct flow *f, enum flow_dir dir, size_t want,
                flow_lease_fn *use, void *ctx)
{
    struct flow_vec span[2] = { { NULL, 0 }, { NULL, 0 } };
    enum flow_status st = lease_take(f, dir, want, span);
    size_t used;
    bool too_many;

    if (st != FLOW_OK)
        return st;
    used = use(ctx, span);
    too_many = used > span[0].len + span[1].len;
    st = lease_give(f, dir, too_many ? 0 : used, 0);
    if (too_many)
        st = lease_refuse_used(f, dir);
    flow__leave(f, dir);
    return st;
}

static enum flow_status
lease_check_commit(struct flow *f, enum flow_dir dir, size_t used,
                   uint32_t flags)
{
    size_t i = flow__index(dir);
    uint32_t known = dir == FLOW_WRITE ? FLOW_MORE | FLOW_FIN : 0;

    if (flow__load(&f->leased[i]) == 0)
        return flow__report(f, dir, FLOW_E_INVAL, "no lease is out");
    if (used > f->lent[i])
        return lease_refuse_used(f, dir);
    if ((flags & ~known) != 0 || flags == (FLOW_MORE | FLOW_FIN))
        return flow__report(f, dir, FLOW_E_INVAL,
                            "invalid flags for this direction");
    if ((flags & FLOW_FIN) != 0 && (f->caps & FLOW_CAP_HALF_CLOSE_WRITE) == 0)
        return flow__report(f, dir, FLOW_E_NOTSUP,
                            "this flow has no half close");
    return FLOW_OK;
}

/* See <flow/flow.h>. */
enum flow_status
flow_commit(struct flow *f, enum flow_dir dir, size_t used, uint32_t flags)
{
    size_t i = flow__index(dir);
    enum flow_status st;

    if (!flow__is_direction(dir))
        return FLOW_E_INVAL;
    st = lease_check_commit(f, dir, used, flags);
    if (st != FLOW_OK)
        return st;
    flow__used(f);
    if (flow__swap(&f->busy[i], 1) != 0)
        return flow__report(f, dir, FLOW_E_BUSY,
                            "another call of this direction is running");
    st = lease_give(f, dir, used, flags);
    flow__store_release(&f->leased[i], 0);
    if (st == FLOW_OK && (flags & FLOW_FIN) != 0)
        flow__end_write(f);
    flow__leave(f, dir);
    return st;
}
