/* SPDX-License-Identifier: ISC */
#ifndef FLOW_MBEDTLS_THREADING_ALT_H
#define FLOW_MBEDTLS_THREADING_ALT_H

#include <stdint.h>

/*
 * mbedTLS asks for this header with MBEDTLS_THREADING_ALT.  Room for a
 * struct flow_lock of lib/plat.h, which cannot be included from here; the
 * functions that use it are given to mbedtls_threading_set_alt() at run time.
 */
typedef struct mbedtls_threading_mutex_t {
    uint64_t lock[8];
} mbedtls_threading_mutex_t;

#endif
