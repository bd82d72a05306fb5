/* SPDX-License-Identifier: ISC */
#ifndef FLOW_TLS_MBEDTLS_STEP_H
#define FLOW_TLS_MBEDTLS_STEP_H

#include "tls/mbedtls/random.h"

/*
 * A step of a handshake: what a thread does inside of mbedTLS for one
 * handshake.  mbedTLS's requests for memory and random numbers do not say for
 * which handshake they are; they find here what they take it from.
 */

/* The memory of one handshake; our build of mbedTLS has it.  NULL at first. */
struct flow__arena;

struct flow__mbed_step {
    struct flow__random_pool random;
    struct flow__arena **arena;
    struct flow__arena *own;
};

/* Enter mbedTLS for a handshake.  arena: where its memory is kept; NULL: what
 * the step takes does not outlive it. */
void flow__mbed_begin_step(struct flow__mbed_step *step,
                           struct flow__arena **arena);
/* Leave it.  The answer is flow__mbed_result(code), or, if mbedTLS asked for
 * random bytes and got none, a number that says so. */
int flow__mbed_end_step(struct flow__mbed_step *step, int code);

/* The step that this thread runs, or NULL (memory.c has the thread's word). */
struct flow__mbed_step *flow__mbed_step(void);
void flow__mbed_set_step(struct flow__mbed_step *step);

/* In our build of mbedTLS, for which it is declared there too. */
struct flow__arena **flow__mbed_arena(void);

/* Release the memory of a handshake that is over. */
void flow__mbed_end_arena(struct flow__arena *arena);

#endif
