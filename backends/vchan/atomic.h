/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_VCHAN_ATOMIC_H
#define BACKENDS_VCHAN_ATOMIC_H

#include <stdatomic.h>

/* Short names for the orders that the files of this directory use; C11's own
 * functions are sequentially consistent. */

/* For values that tell whether other memory may be looked at. */
#define load_acquire(ptr) atomic_load_explicit((ptr), memory_order_acquire)
#define store_release(ptr, value)                                              \
    atomic_store_explicit((ptr), (value), memory_order_release)

/* For counters and hints, of which an old value does no harm. */
#define load_relaxed(ptr) atomic_load_explicit((ptr), memory_order_relaxed)
#define store_relaxed(ptr, value)                                              \
    atomic_store_explicit((ptr), (value), memory_order_relaxed)

#endif
