/* SPDX-License-Identifier: ISC */
#ifndef BENCH_FIFO_H
#define BENCH_FIFO_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * Memory between two ends of a library that has no transport in memory of its
 * own: one direction, first in, first out.  A batch of records fits.
 *
 * Invariant: head <= tail <= size; bytes in between are stored.  Both go
 * back to 0 when the last byte is taken, so nothing ever wraps.
 */
struct fifo {
    size_t head;
    size_t tail;
    size_t size;
    uint8_t *data;
};

static inline bool
fifo_init(struct fifo *fifo, size_t size)
{
    *fifo = (struct fifo){ .size = size, .data = malloc(size) };
    return fifo->data != NULL;
}

static inline size_t
fifo_put(struct fifo *fifo, const void *buf, size_t len)
{
    if (len > fifo->size - fifo->tail)
        len = fifo->size - fifo->tail;
    memcpy(fifo->data + fifo->tail, buf, len);
    fifo->tail += len;
    return len;
}

static inline size_t
fifo_get(struct fifo *fifo, void *buf, size_t cap)
{
    size_t len = fifo->tail - fifo->head;

    if (len > cap)
        len = cap;
    memcpy(buf, fifo->data + fifo->head, len);
    fifo->head += len;
    if (fifo->head == fifo->tail)
        fifo->head = fifo->tail = 0;
    return len;
}

#endif
