/* SPDX-License-Identifier: ISC */
#include "tls/stage.h"

#include <string.h>

/*
 * Memory is taken when the first byte comes and given back with the last, so an
 * idle connection holds none.  Bytes move when room is needed at the end, which
 * makes every pointer into a stage valid only until the next call on it.
 * Memory that held plaintext is wiped wherever it is left: at a move too.
 *
 * Threads: a stage belongs to whoever holds the lock of its direction.
 */

/* Memory is taken in steps of this, so that a stage that grows by small
 * records does not move for each of them. */
#define STEP 2048u

void
flow__stage_init(struct flow__stage *stage, const struct flow_env *env)
{
    memset(stage, 0, sizeof(*stage));
    stage->env = env;
}

void
flow__stage_release(struct flow__stage *stage)
{
    if (stage->base != NULL) {
        if (!stage->is_public)
            flow_wipe(stage->base, stage->cap);
        stage->env->free(stage->env->ctx, stage->base, stage->cap, 0);
    }
    stage->base = NULL;
    stage->cap = 0;
    stage->start = 0;
    stage->end = 0;
}

/* Move to memory for len bytes, at least as many as are on the stage. */
static bool
stage_move_stage(struct flow__stage *stage, size_t len)
{
    size_t used = flow__stage_len(stage);
    size_t cap = (len + STEP - 1) / STEP * STEP;
    /* Not zeroed: every byte is written before it is read. */
    uint8_t *base = stage->env->alloc(stage->env->ctx, cap, 0);

    if (base == NULL)
        return false;
    if (used > 0)
        memcpy(base, flow__stage_data(stage), used);
    flow__stage_release(stage);
    stage->base = base;
    stage->cap = cap;
    stage->end = used;
    return true;
}

bool
flow__stage_reserve(struct flow__stage *stage, size_t len)
{
    size_t used = flow__stage_len(stage);

    if (flow__stage_room(stage) >= len)
        return true;
    if (stage->cap - used < len)
        return stage_move_stage(stage, used + len);
    memmove(stage->base, flow__stage_data(stage), used);
    stage->start = 0;
    stage->end = used;
    return true;
}

void
flow__stage_trim(struct flow__stage *stage, size_t len)
{
    size_t used = flow__stage_len(stage);

    if (used == 0)
        flow__stage_release(stage);
    else if (stage->cap - STEP >= (len > used ? len : used))
        (void)stage_move_stage(stage, len > used ? len : used);
}

bool
flow__stage_append(struct flow__stage *stage, const void *data, size_t len)
{
    if (len == 0)
        return true;
    if (!flow__stage_reserve(stage, len))
        return false;
    memcpy(flow__stage_tail(stage), data, len);
    stage->end += len;
    return true;
}

void
flow__stage_consume(struct flow__stage *stage, size_t len)
{
    stage->start += len;
    if (stage->start == stage->end)
        flow__stage_release(stage);
}
