/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_PAIR_RING_H
#define BACKENDS_PAIR_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Arithmetic of byte rings, without memory.  Indexes run freely modulo 2^32, so
 * that full and empty differ; the place of an index is its low bits.
 *
 * Invariants: size is a power of two, 1..2^31; prod - cons <= size, modulo
 * 2^32.
 */

/* One run of bytes in the ring's memory. */
struct flow__ring_span {
    uint32_t off; /* from the start of the memory */
    uint32_t len;
};

/* Bytes to read. */
static inline uint32_t
flow__ring_used(uint32_t prod, uint32_t cons)
{
    return prod - cons;
}

/* Bytes that can be written. */
static inline uint32_t
flow__ring_room(uint32_t size, uint32_t prod, uint32_t cons)
{
    return size - (prod - cons);
}

/* The place of an index in the memory. */
static inline uint32_t
flow__ring_place(uint32_t size, uint32_t index)
{
    return index & (size - 1);
}

/* The one or two runs of the len bytes that start at an index; len <= size.
 * The second is empty unless they wrap. */
void flow__ring_spans(uint32_t size, uint32_t index, uint32_t len,
                      struct flow__ring_span ret_span[2]);

#endif
