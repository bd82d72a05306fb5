/* SPDX-License-Identifier: ISC */
/*
 * Replaces backends/vchan/shm.h, whose include guard it defines, when the ring
 * code is built for exploration.  Every access to shared memory becomes a step
 * that the explorer schedules: so the code that ships is explored, and not a
 * model of it.
 */
#ifndef FLOW_VCHAN_SHM_H
#define FLOW_VCHAN_SHM_H

#include <stddef.h>
#include <stdint.h>

enum explore_kind {
    EXPLORE_LOAD,
    EXPLORE_STORE,         /* plain: ring bytes */
    EXPLORE_STORE_RELEASE, /* indexes, live bytes */
    EXPLORE_SET,           /* atomic OR, result unused: may be delayed */
    EXPLORE_CLEAR,         /* atomic AND-NOT, likewise */
    EXPLORE_FENCE,
    EXPLORE_EVENT, /* send an event to the peer */
};

/* One step of the running thread; returns what a load or clear found. */
uint32_t explore_step(enum explore_kind kind, const void *p, uint8_t width,
                      uint32_t value);

static inline uint8_t
flow__shm_load8(const uint8_t *p)
{
    return (uint8_t)explore_step(EXPLORE_LOAD, p, 1, 0);
}

static inline uint32_t
flow__shm_load32(const uint32_t *p)
{
    return explore_step(EXPLORE_LOAD, p, 4, 0);
}

static inline void
flow__shm_store8(uint8_t *p, uint8_t v)
{
    explore_step(EXPLORE_STORE_RELEASE, p, 1, v);
}

static inline void
flow__shm_store32(uint32_t *p, uint32_t v)
{
    explore_step(EXPLORE_STORE_RELEASE, p, 4, v);
}

static inline void
flow__shm_set8(uint8_t *p, uint8_t bits)
{
    explore_step(EXPLORE_SET, p, 1, bits);
}

static inline void
flow__shm_clear8(uint8_t *p, uint8_t bits)
{
    explore_step(EXPLORE_CLEAR, p, 1, bits);
}

static inline void
flow__shm_fence(void)
{
    explore_step(EXPLORE_FENCE, NULL, 0, 0);
}

static inline void
flow__shm_put(uint8_t *ring, const void *src, size_t len)
{
    for (size_t i = 0; i < len; i++)
        explore_step(EXPLORE_STORE, ring + i, 1, ((const uint8_t *)src)[i]);
}

static inline void
flow__shm_put_past_caches(uint8_t *ring, const void *src, size_t len)
{
    flow__shm_put(ring, src, len);
}

static inline void
flow__shm_get(void *dst, const uint8_t *ring, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)dst)[i] =
            (uint8_t)explore_step(EXPLORE_LOAD, ring + i, 1, 0);
}

#endif
