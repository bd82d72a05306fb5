/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_ATOMIC_H
#define FLOW_LIB_ATOMIC_H

/*
 * Atomic access to plain members.  Public structs cannot have _Atomic members,
 * since C++ has no such word; the compilers' builtins work on any integer or
 * pointer.  Sequentially consistent unless the name says otherwise: the other
 * uses decide whether a thread sleeps, where a store must not pass a later
 * load.
 */
#define flow__load(ptr) __atomic_load_n((ptr), __ATOMIC_SEQ_CST)
#define flow__store(ptr, value)                                                \
    __atomic_store_n((ptr), (value), __ATOMIC_SEQ_CST)
#define flow__swap(ptr, value)                                                 \
    __atomic_exchange_n((ptr), (value), __ATOMIC_SEQ_CST)
#define flow__add(ptr, value)                                                  \
    __atomic_fetch_add((ptr), (value), __ATOMIC_SEQ_CST)
#define flow__sub(ptr, value)                                                  \
    __atomic_fetch_sub((ptr), (value), __ATOMIC_SEQ_CST)
#define flow__or(ptr, value) __atomic_fetch_or((ptr), (value), __ATOMIC_SEQ_CST)
#define flow__and(ptr, value)                                                  \
    __atomic_fetch_and((ptr), (value), __ATOMIC_SEQ_CST)
/* true: *ptr was *expected and is value now; false: *expected is what it is. */
#define flow__replace(ptr, expected, value)                                    \
    __atomic_compare_exchange_n((ptr), (expected), (value), 0,                 \
                                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

/* For values that only tell whether other memory may be read, or used. */
#define flow__load_acquire(ptr) __atomic_load_n((ptr), __ATOMIC_ACQUIRE)
#define flow__store_release(ptr, value)                                        \
    __atomic_store_n((ptr), (value), __ATOMIC_RELEASE)

#define flow__swap_acquire(ptr, value)                                         \
    __atomic_exchange_n((ptr), (value), __ATOMIC_ACQUIRE)

/* For counters and hints, of which an old value does no harm. */
#define flow__load_relaxed(ptr) __atomic_load_n((ptr), __ATOMIC_RELAXED)
#define flow__store_relaxed(ptr, value)                                        \
    __atomic_store_n((ptr), (value), __ATOMIC_RELAXED)

#endif
