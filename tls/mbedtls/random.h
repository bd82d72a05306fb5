/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_MBEDTLS_RANDOM_H
#define FLOW_TLS_MBEDTLS_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Random bytes for mbedTLS: the system's, without a generator of ours.  While a
 * thread has a pool, the system is asked for as many as one call gives, and
 * what mbedTLS does not take is wiped when the pool is put away.
 */

/* What one call of the system gives. */
#define FLOW__RANDOM_POOL 256u

/* All zero at first. */
struct flow__random_pool {
    uint8_t bytes[FLOW__RANDOM_POOL];
    size_t left; /* the first ones; the rest is wiped */
};

/* After flow__mbed_enter(), so that no fork copies it: this thread uses the
 * pool, until flow__random_end(), which comes before flow__mbed_leave(). */
void flow__random_begin(struct flow__random_pool *pool);
/* Wipes what is left. */
void flow__random_end(struct flow__random_pool *pool);

/* false: the system has none. */
bool flow__random_bytes(uint8_t *buf, size_t len);

/* The pool of this thread, or NULL (memory.c has the thread's word). */
struct flow__random_pool *flow__mbed_pool(void);
void flow__mbed_use_pool(struct flow__random_pool *pool);

#endif
