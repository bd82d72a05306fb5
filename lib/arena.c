/* SPDX-License-Identifier: ISC */
#include "lib/align.h"
#include "lib/checked.h"

/*
 * Invariants: used <= size; out counts the buffers that were not released.
 * Memory is used again when all of them are back, so an arena serves a flow
 * that takes and returns its buffers in turn.
 *
 * Threads: one at a time (the policy's any_thread is false), no lock.
 */

static struct flow_arena_policy *
arena_of_policy(const struct flow_buf_policy *policy)
{
    return (struct flow_arena_policy *)(uintptr_t)policy;
}

/* Bytes between the arena's first free byte and the next aligned one. */
static size_t
arena_gap(const struct flow_arena_policy *arena)
{
    uintptr_t at = (uintptr_t)arena->mem + arena->used;
    uintptr_t mask = (uintptr_t)arena->base.hints.align - 1;

    return (size_t)((0 - at) & mask);
}

static enum flow_status
arena_acquire(const struct flow_buf_policy *policy, size_t min_size,
              struct flow_buf *ret_buf)
{
    struct flow_arena_policy *arena = arena_of_policy(policy);
    size_t start, size, end;

    if (!flow__checked_round_up(min_size, policy->hints.align, &size) ||
        !flow__checked_add(arena->used, arena_gap(arena), &start) ||
        !flow__checked_add(start, size, &end))
        return FLOW_E_INVAL;
    if (end > arena->size)
        return FLOW_E_NOMEM;
    arena->used = end;
    arena->out++;
    ret_buf->base = arena->mem + start;
    ret_buf->len = size;
    return FLOW_OK;
}

static void
arena_release(const struct flow_buf_policy *policy, struct flow_buf *buf)
{
    struct flow_arena_policy *arena = arena_of_policy(policy);

    if (policy->hints.secret)
        flow_wipe(buf->base, buf->len);
    arena->out--;
    if (arena->out == 0)
        arena->used = 0;
}

/* See <flow/align.h>. */
enum flow_status
flow_arena_init(struct flow_arena_policy *p, void *mem, size_t size,
                size_t align)
{
    if (!flow__align_is_valid(align))
        return FLOW_E_INVAL;
    *p = (struct flow_arena_policy){
        .base = { .acquire = arena_acquire, .release = arena_release },
        .mem = mem,
        .size = size,
    };
    flow__align_hints(&p->base.hints, align, FLOW_BUF_STATIC);
    return FLOW_OK;
}
