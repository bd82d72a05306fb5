/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_MBEDTLS_RANDOM_H
#define FLOW_TLS_MBEDTLS_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Random bytes for mbedTLS: the system's, without a generator of ours.  In a
 * step of a handshake the system is asked for as many as one call gives, and
 * what mbedTLS does not take is wiped at the end of the step.
 */

/* What one call of the system gives. */
#define FLOW__RANDOM_POOL 256u

/* All zero at first. */
struct flow__random_pool {
    uint8_t bytes[FLOW__RANDOM_POOL];
    size_t left; /* the first ones; the rest is wiped */
    bool failed; /* there were none, whatever mbedTLS made of that */
};

/* After flow__mbed_enter(), so that no fork copies it, and before
 * flow__mbed_leave(). */
void flow__random_begin(struct flow__random_pool *pool);
/* Wipes what is left. */
void flow__random_end(struct flow__random_pool *pool);

/* From the pool of the step that this thread runs, if it runs one.  false: the
 * system has none. */
bool flow__random_bytes(uint8_t *buf, size_t len);

#endif
