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
void flow__crypto_begin(void);
void flow__crypto_end(void);

/*
 * The number of mbedTLS for an operation that failed for no fault of its input,
 * to be asked before flow__crypto_end(): no_memory if libcrypto had none, of
 * which libflow is told (memory.h), else other.
 */
int flow__crypto_cause(int no_memory, int other);

/* Tell libflow, and return no_memory. */
int flow__crypto_no_memory(int no_memory);

/* Whether the last error of the operation has this reason, in that part of
 * libcrypto. */
bool flow__crypto_reason(int lib, int reason);

#endif
