/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_STAGE_H
#define FLOW_TLS_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/env.h>

/*
 * A queue of bytes in private memory, between TLS and the flow below or the
 * engine.  It holds memory only while it holds bytes, and wipes it before it
 * gives it back, unless only ciphertext ever stands in it.
 *
 * Invariant: start <= end <= cap; base is NULL iff cap is 0.
 */
struct flow__stage {
    const struct flow_env *env;
    uint8_t *base;
    size_t cap;
    size_t start;
    size_t end;
    bool is_public; /* holds ciphertext only: not wiped */
};

void flow__stage_init(struct flow__stage *stage, const struct flow_env *env);

/* Give the memory back; the stage is empty and usable again. */
void flow__stage_release(struct flow__stage *stage);

static inline size_t
flow__stage_len(const struct flow__stage *stage)
{
    return stage->end - stage->start;
}

static inline uint8_t *
flow__stage_data(const struct flow__stage *stage)
{
    return stage->base + stage->start;
}

/* Where to put bytes after the last, and how many fit. */
static inline uint8_t *
flow__stage_tail(const struct flow__stage *stage)
{
    return stage->base + stage->end;
}

static inline size_t
flow__stage_room(const struct flow__stage *stage)
{
    return stage->cap - stage->end;
}

/* Make room for len more bytes after the last; bytes may move.  false: no
 * memory, nothing changed. */
bool flow__stage_reserve(struct flow__stage *stage, size_t len);

/* Hold no more memory than len bytes need, or than what is on it; none if that
 * is nothing.  Without memory to move to it stays as it was. */
void flow__stage_trim(struct flow__stage *stage, size_t len);

/* Append; false: no memory, nothing changed. */
bool flow__stage_append(struct flow__stage *stage, const void *data,
                        size_t len);

/* Take len bytes off the front; releases the memory when nothing is left. */
void flow__stage_consume(struct flow__stage *stage, size_t len);

#endif
