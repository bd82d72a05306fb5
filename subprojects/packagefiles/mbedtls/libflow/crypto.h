/* SPDX-License-Identifier: ISC */
#ifndef FLOW_MBEDTLS_CRYPTO_H
#define FLOW_MBEDTLS_CRYPTO_H

#include <stdbool.h>

/*
 * Use of libcrypto in a program that may use it as well: what an operation adds
 * to the thread's queue of errors is taken away when it ends.
 *
 * An operation is what lies between flow__crypto_begin() and
 * flow__crypto_end().
 */

/*
 * false: libcrypto has shut down, which it does in exit(3), and a program may
 * have handlers or threads that still use libflow.  Then the operation calls
 * nothing that looks up an algorithm or draws random numbers, and ends.
 */
bool flow__crypto_begin(void);
void flow__crypto_end(void);

/* Before an operation: whether the queue is empty, so that every error in it
 * will be of the operation. */
bool flow__crypto_is_alone(void);

/*
 * Whether an error of the operation says that there was no memory.  is_alone is
 * what flow__crypto_is_alone() answered; if there are other errors in the
 * queue, only the last one is looked at.  libcrypto often adds an error that
 * names another cause, and now and then adds none at all.
 */
bool flow__crypto_lacks_memory(bool is_alone);

#endif
