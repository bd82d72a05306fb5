/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_SHM_H
#define FLOW_VCHAN_SHM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "backends/vchan/atomic.h"

/*
 * Access to memory that the peer can change.  No other file of this backend
 * reads or writes such memory.
 *
 * - Every access is one atomic load or store into or from a private variable.
 *   A compiler may repeat a plain load, and then the value may change between
 *   the check and the use (a double fetch: XSA-155, CVE-2015-8550).
 * - Words are little-endian on the page on every machine.
 * - An index is stored with release after the bytes that it covers, or after
 *   the copy that empties them, and loaded with acquire before them.  That is
 *   every barrier that the data needs.
 * - Acquire and release do not order a store before a later load.  The two
 *   places that need it call flow__shm_fence(), which is a full barrier even if
 *   this domain has one CPU, because the peer runs on another.
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
    return flow__page_load(p);
}

static inline uint16_t
flow__shm_load16(const uint16_t *p)
{
    return FLOW__SHM_LE16(flow__page_load(p));
}

static inline uint32_t
flow__shm_load32(const uint32_t *p)
{
    return FLOW__SHM_LE32(flow__page_load(p));
}

static inline void
flow__shm_store8(uint8_t *p, uint8_t v)
{
    flow__page_store(p, v);
}

static inline void
flow__shm_store16(uint16_t *p, uint16_t v)
{
    flow__page_store(p, FLOW__SHM_LE16(v));
}

static inline void
flow__shm_store32(uint32_t *p, uint32_t v)
{
    flow__page_store(p, FLOW__SHM_LE32(v));
}

static inline void
flow__shm_set8(uint8_t *p, uint8_t bits)
{
    flow__page_or(p, bits);
}

/*
 * Clears bits.  It does not return the old byte: on x86 that would take a loop
 * of compare and exchange, and a peer that keeps changing the byte could make
 * the loop endless.
 */
static inline void
flow__shm_clear8(uint8_t *p, uint8_t bits)
{
    flow__page_and(p, (uint8_t)~bits);
}

/* Changes `from` into `to` in one step; nonzero if this call changed it. */
static inline int
flow__shm_swap8(uint8_t *p, uint8_t from, uint8_t to)
{
    return flow__page_replace(p, &from, to);
}

static inline void
flow__shm_fence(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}

/* For a loop that reads a byte until the peer changes it. */
static inline void
flow__shm_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    /* Most cores ignore the yield instruction; this one takes a while. */
    __asm__ volatile("isb" ::: "memory");
#elif defined(__arm__)
    __asm__ volatile("yield" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

/*
 * glibc copies 4 KiB and more with one string instruction.  Some processors
 * (AMD's Zen 3 and 4) execute it at a tenth of their speed if the destination
 * is less than a cache line ahead of the source, modulo the size of a page.
 * That case is common here, since a ring starts at a page and malloc() puts a
 * large block 16 bytes after the start of one.  Such a copy goes line by line,
 * with a prefetch of a line further on.
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
 * Copy bytes into the ring, and from it into private memory.  len is not 0,
 * since an empty piece may have no address.  The fence after the copy is for
 * the compiler alone: without it, a compiler that sees both the copy and its
 * use might load from the ring again.
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
    atomic_signal_fence(memory_order_seq_cst);
}

/*
 * flow__shm_put() with non-temporal stores where the processor has them: they
 * go to memory, so no line has to come from the cache of the reader's processor
 * first.  A store with release does not order them, so a barrier of their own
 * ends the copy.
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
