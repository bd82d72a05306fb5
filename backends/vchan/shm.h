/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_SHM_H
#define FLOW_VCHAN_SHM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * The only way this backend touches memory that the peer can change.
 *
 * Every access is one atomic load or store, so a value cannot change between
 * the check and the use: a compiler that re-reads a plain load is how double
 * fetches come about (XSA-155, CVE-2015-8550).  Words are little-endian on
 * the page whatever the machine is.
 *
 * Ordering, in C11 terms.  An index is published with release after the bytes
 * it covers (or after the copy that empties them) and loaded with acquire
 * before them, which gives every data barrier of the protocol.  What
 * acquire and release cannot give is store-before-load; both places that need
 * it call flow__shm_fence(), a full barrier also when this domain has a
 * single CPU, since the peer runs on another one.
 */

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define FLOW__SHM_LE16(v) __builtin_bswap16(v)
#define FLOW__SHM_LE32(v) __builtin_bswap32(v)
#else
#define FLOW__SHM_LE16(v) (v)
#define FLOW__SHM_LE32(v) (v)
#endif

static inline uint8_t
flow__shm_load8(const uint8_t *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline uint16_t
flow__shm_load16(const uint16_t *p)
{
    return FLOW__SHM_LE16(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static inline uint32_t
flow__shm_load32(const uint32_t *p)
{
    return FLOW__SHM_LE32(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static inline void
flow__shm_store8(uint8_t *p, uint8_t v)
{
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static inline void
flow__shm_store16(uint16_t *p, uint16_t v)
{
    __atomic_store_n(p, FLOW__SHM_LE16(v), __ATOMIC_RELEASE);
}

static inline void
flow__shm_store32(uint32_t *p, uint32_t v)
{
    __atomic_store_n(p, FLOW__SHM_LE32(v), __ATOMIC_RELEASE);
}

static inline void
flow__shm_set8(uint8_t *p, uint8_t bits)
{
    __atomic_fetch_or(p, bits, __ATOMIC_RELAXED);
}

/*
 * Clears bits.  It does not return what the byte held before: on x86 that
 * would be a loop of compare and exchange, which a peer that keeps changing
 * the byte could keep from ending.
 */
static inline void
flow__shm_clear8(uint8_t *p, uint8_t bits)
{
    __atomic_fetch_and(p, (uint8_t)~bits, __ATOMIC_RELAXED);
}

/* Changes `from` into `to` in one step; nonzero when this call did it. */
static inline int
flow__shm_swap8(uint8_t *p, uint8_t from, uint8_t to)
{
    return __atomic_compare_exchange_n(p, &from, to, 0, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

static inline void
flow__shm_fence(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Between two looks at a byte that a peer may be about to change. */
static inline void
flow__shm_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    /* The yield instruction does nothing on most; this one takes a while. */
    __asm__ volatile("isb" ::: "memory");
#elif defined(__arm__)
    __asm__ volatile("yield" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

/*
 * For 4 KiB and more glibc copies with one string instruction, which is fast,
 * but for one case: some processors (AMD's Zen 3 and 4) execute it at a tenth
 * of their speed if the destination is less than a line of the cache ahead of
 * the source, modulo the size of a page.  That case is common here, since rings
 * start at a page and malloc() puts a large block 16 bytes after one.  So it is
 * copied in lines, each asked for some lines before it is used.
 */
#define FLOW__SHM_LINE  64u
#define FLOW__SHM_AHEAD (16 * FLOW__SHM_LINE)

static inline void
flow__shm_copy(uint8_t *dst, const uint8_t *src, size_t len)
{
    uintptr_t ahead = ((uintptr_t)dst - (uintptr_t)src) % 4096;

    while (ahead != 0 && ahead < FLOW__SHM_LINE && len > FLOW__SHM_AHEAD) {
        __builtin_prefetch(src + FLOW__SHM_AHEAD);
        memcpy(dst, src, FLOW__SHM_LINE);
        dst += FLOW__SHM_LINE;
        src += FLOW__SHM_LINE;
        len -= FLOW__SHM_LINE;
    }
    memcpy(dst, src, len);
}

/*
 * Ring bytes: into the ring, and out of it into private memory.  len is not 0,
 * since an empty piece may have no address.  Without the fence after the copy,
 * which orders the compiler and not the processor, a compiler that sees both
 * the copy and its use might load from the ring once more.
 */
static inline void
flow__shm_put(uint8_t *ring, const void *src, size_t len)
{
    flow__shm_copy(ring, src, len);
}

static inline void
flow__shm_get(void *dst, const uint8_t *ring, size_t len)
{
    flow__shm_copy(dst, ring, len);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/*
 * flow__shm_put() past the caches, to memory, where the processor can do that:
 * it then need not take each line from the one that read it last.  Such stores
 * are not ordered by a store with release, so they end with a barrier of their
 * own.
 */
#ifdef __SSE2__
#define FLOW__SHM_BYPASSES 1

typedef long long flow__shm_word __attribute__((vector_size(16)));

static inline void
flow__shm_store_word(uint8_t *dst, flow__shm_word word)
{
#ifdef __clang__
    __builtin_nontemporal_store(word, (flow__shm_word *)(void *)dst);
#else
    __builtin_ia32_movntdq((flow__shm_word *)(void *)dst, word);
#endif
}

static inline void
flow__shm_store_line(uint8_t *dst, const uint8_t *src)
{
    flow__shm_word word[FLOW__SHM_LINE / sizeof(flow__shm_word)];

    memcpy(word, src, FLOW__SHM_LINE);
    for (size_t i = 0; i < FLOW__SHM_LINE / sizeof(word[0]); i++)
        flow__shm_store_word(dst + i * sizeof(word[0]), word[i]);
}

static inline void
flow__shm_put_past_caches(uint8_t *ring, const void *src, size_t len)
{
    const uint8_t *from = src;
    size_t head = -(uintptr_t)ring % FLOW__SHM_LINE;

    if (len < FLOW__SHM_AHEAD) {
        flow__shm_put(ring, src, len);
        return;
    }
    memcpy(ring, from, head);
    ring += head;
    from += head;
    len -= head;
    while (len >= FLOW__SHM_LINE) {
        flow__shm_store_line(ring, from);
        ring += FLOW__SHM_LINE;
        from += FLOW__SHM_LINE;
        len -= FLOW__SHM_LINE;
    }
    memcpy(ring, from, len);
    __builtin_ia32_sfence();
}
#else
#define FLOW__SHM_BYPASSES 0

static inline void
flow__shm_put_past_caches(uint8_t *ring, const void *src, size_t len)
{
    flow__shm_put(ring, src, len);
}
#endif

#endif
