/* SPDX-License-Identifier: ISC */
#include "tls/queue.h"

#include <string.h>

/*
 * Memory is taken when the first byte comes and given back with the last, so an
 * idle connection holds none.  Bytes move when room is needed at the end, which
 * makes every pointer into a queue valid only until the next call on it.
 * Memory that held plaintext is wiped before it is given back, also when bytes
 * move to other memory.
 *
 * Threads: the caller holds the lock of the direction that the queue is of.
 */

/* Memory is taken in steps of this, so that a queue that grows by small
 * records does not move for each of them. */
#define QUEUE_STEP 2048u

/* The most that fits into the counts, in whole steps. */
#define QUEUE_MAX (UINT32_MAX / QUEUE_STEP * QUEUE_STEP)

void
flow__queue_init(struct flow__queue *queue, const struct flow_env *env)
{
    *queue = (struct flow__queue){ .env = env };
}

void
flow__queue_release(struct flow__queue *queue)
{
    if (queue->base != NULL) {
        if (!queue->is_public)
            flow_wipe(queue->base, queue->cap);
        queue->env->free(queue->env->ctx, queue->base, queue->cap, 0);
    }
    queue->base = NULL;
    queue->cap = 0;
    queue->start = 0;
    queue->end = 0;
}

/* Move to memory for len bytes, at least as many as are on the queue. */
static bool
queue_move(struct flow__queue *queue, size_t len)
{
    size_t used = flow__queue_len(queue);
    size_t cap;
    uint8_t *base;

    if (len > QUEUE_MAX)
        return false;
    cap = (len + QUEUE_STEP - 1) / QUEUE_STEP * QUEUE_STEP;
    /* Not zeroed: every byte is written before it is read. */
    base = queue->env->alloc(queue->env->ctx, cap, 0);
    if (base == NULL)
        return false;
    if (used > 0)
        memcpy(base, flow__queue_data(queue), used);
    flow__queue_release(queue);
    queue->base = base;
    queue->cap = (uint32_t)cap;
    queue->end = (uint32_t)used;
    return true;
}

bool
flow__queue_reserve(struct flow__queue *queue, size_t len)
{
    size_t used = flow__queue_len(queue);

    if (flow__queue_room(queue) >= len)
        return true;
    if (queue->cap - used < len)
        return queue_move(queue, used + len);
    memmove(queue->base, flow__queue_data(queue), used);
    queue->start = 0;
    queue->end = (uint32_t)used;
    return true;
}

void
flow__queue_trim(struct flow__queue *queue, size_t len)
{
    size_t used = flow__queue_len(queue);

    if (used == 0)
        flow__queue_release(queue);
    else if (queue->cap - QUEUE_STEP >= (len > used ? len : used))
        (void)queue_move(queue, len > used ? len : used);
}

bool
flow__queue_append(struct flow__queue *queue, const void *data, size_t len)
{
    if (len == 0)
        return true;
    if (!flow__queue_reserve(queue, len))
        return false;
    memcpy(flow__queue_tail(queue), data, len);
    flow__queue_extend(queue, len);
    return true;
}

void
flow__queue_consume(struct flow__queue *queue, size_t len)
{
    queue->start += (uint32_t)len;
    if (queue->start == queue->end)
        flow__queue_release(queue);
}
