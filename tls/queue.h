/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_QUEUE_H
#define FLOW_TLS_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/env.h>

/*
 * A queue of bytes in private memory, between TLS and the flow below or the
 * engine.  It holds memory only while it holds bytes, and wipes it before it
 * gives it back, unless only ciphertext ever stands in it.
 *
 * Invariant: start <= end <= cap; base is NULL iff cap is 0.  A queue of 4 GiB
 * cannot be had: five of them are in every connection, so counts are short.
 */
struct flow__queue {
    const struct flow_env *env;
    uint8_t *base;
    uint32_t cap;
    uint32_t start;
    uint32_t end;
    bool is_public; /* holds ciphertext only: not wiped */
};

void flow__queue_init(struct flow__queue *queue, const struct flow_env *env);

/* Give the memory back; the queue is empty and usable again. */
void flow__queue_release(struct flow__queue *queue);

static inline size_t
flow__queue_len(const struct flow__queue *queue)
{
    return (size_t)queue->end - queue->start;
}

static inline uint8_t *
flow__queue_data(const struct flow__queue *queue)
{
    return queue->base != NULL ? queue->base + queue->start : NULL;
}

/* Where to put bytes after the last, and how many fit. */
static inline uint8_t *
flow__queue_tail(const struct flow__queue *queue)
{
    return queue->base + queue->end;
}

static inline size_t
flow__queue_room(const struct flow__queue *queue)
{
    return (size_t)queue->cap - queue->end;
}

/* len bytes were written after the last; they fit. */
static inline void
flow__queue_extend(struct flow__queue *queue, size_t len)
{
    queue->end += (uint32_t)len;
}

/* Make room for len more bytes after the last; bytes may move.  false: no
 * memory, nothing changed. */
bool flow__queue_reserve(struct flow__queue *queue, size_t len);

/* Give memory back, but for len bytes or for what is in the queue if that is
 * more; all of it if the queue is empty.  If there is no memory to move to, the
 * queue stays as it was. */
void flow__queue_trim(struct flow__queue *queue, size_t len);

/* Append; false: no memory, nothing changed. */
bool flow__queue_append(struct flow__queue *queue, const void *data,
                        size_t len);

/* Take len bytes off the front; releases the memory when nothing is left. */
void flow__queue_consume(struct flow__queue *queue, size_t len);

#endif
