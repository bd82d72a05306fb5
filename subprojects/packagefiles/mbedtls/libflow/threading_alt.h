/* SPDX-License-Identifier: ISC */
#ifndef FLOW_MBEDTLS_THREADING_ALT_H
#define FLOW_MBEDTLS_THREADING_ALT_H

/*
 * mbedTLS asks for this header with MBEDTLS_THREADING_ALT.  What a lock is
 * depends on the port, so only its address stands here; the functions that
 * make and use it are given to mbedtls_threading_set_alt() at run time.
 */
typedef struct mbedtls_threading_mutex_t {
    void *lock; /* NULL when making the lock failed */
} mbedtls_threading_mutex_t;

#endif
