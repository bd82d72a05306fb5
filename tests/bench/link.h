/* SPDX-License-Identifier: ISC */
#ifndef BENCH_LINK_H
#define BENCH_LINK_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer.h"

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

/*
 * What joins the two ends of such a library: a fifo for each direction, or
 * sockets.  End i reads fifo[i] and writes the other, or has fd[i]; without
 * sockets both descriptors are -1.
 */
struct link {
    struct fifo fifo[2];
    int fd[2];
};

static inline void
link_open(struct link *link, enum bench_transport transport, size_t room)
{
    *link = (struct link){ .fd = { -1, -1 } };
    if (transport == BENCH_SOCKETS) {
        bench_sockets(link->fd);
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        link->fifo[i].size = room;
        link->fifo[i].data = malloc(room);
        bench_check(link->fifo[i].data != NULL, "memory");
    }
}

static inline void
link_close_end(struct link *link, enum bench_end end)
{
    if (link->fd[end] >= 0)
        close(link->fd[end]);
}

static inline void
link_close(struct link *link)
{
    free(link->fifo[0].data);
    free(link->fifo[1].data);
}

#endif
