/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_VCHAN_ATOMIC_H
#define BACKENDS_VCHAN_ATOMIC_H

#include <stdatomic.h>

/*
 * Atomic operations, in two groups.
 *
 * Members of this backend's structs are _Atomic, and C11's own functions, which
 * are sequentially consistent, work on them.  The first group has short names
 * for the other orders.
 */

/* For a value that says whether other memory may be read. */
#define load_acquire(ptr) atomic_load_explicit((ptr), memory_order_acquire)
#define store_release(ptr, value)                                              \
    atomic_store_explicit((ptr), (value), memory_order_release)

/* For counters and hints: an old value does no harm. */
#define load_relaxed(ptr) atomic_load_explicit((ptr), memory_order_relaxed)
#define store_relaxed(ptr, value)                                              \
    atomic_store_explicit((ptr), (value), memory_order_relaxed)

/*
 * Bytes and words of a page that is shared with the peer have the protocol's
 * plain types, since the other program is not C11's to know.  Only the
 * compilers' builtins work on plain types.  No other file of a backend uses
 * them (tests/check/layering.py).
 */
#define flow__page_load(ptr) __atomic_load_n((ptr), __ATOMIC_ACQUIRE)
#define flow__page_store(ptr, value)                                           \
    __atomic_store_n((ptr), (value), __ATOMIC_RELEASE)
#define flow__page_or(ptr, bits)                                               \
    ((void)__atomic_fetch_or((ptr), (bits), __ATOMIC_RELAXED))
#define flow__page_and(ptr, bits)                                              \
    ((void)__atomic_fetch_and((ptr), (bits), __ATOMIC_RELAXED))
/* True: *ptr was *expected and is now value. */
#define flow__page_replace(ptr, expected, value)                               \
    __atomic_compare_exchange_n((ptr), (expected), (value), 0,                 \
                                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

#endif
