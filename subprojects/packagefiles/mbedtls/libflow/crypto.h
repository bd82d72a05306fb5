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

/* Whether the queue is empty, so that every error in it will be of the
 * operation. */
bool flow__crypto_begin(void);
void flow__crypto_end(void);

/*
 * Whether an error of the operation says that there was no memory.  is_alone is
 * what flow__crypto_begin() answered; if there are other errors in the queue,
 * only the last one is looked at.  libcrypto often adds an error that names
 * another cause, and now and then adds none at all.
 */
bool flow__crypto_lacks_memory(bool is_alone);

#endif
