/* SPDX-License-Identifier: ISC */
#include "tls/mbedtls/random.h"

#include <string.h>

#include <flow/env.h>

#include "lib/plat.h"
#include "tls/mbedtls/step.h"

/*
 * A handshake takes random bytes five times in one step.  They come from one
 * call of the system (decision 0090).
 *
 * Invariants: a byte is given out once and wiped in the same call.  A pool
 * exists only inside mbedTLS, where no fork copies it, and in one thread.
 */

/* See tls/mbedtls/random.h. */
void
flow__random_begin(struct flow__random_pool *pool)
{
    pool->left = 0;
    pool->failed = false;
}

/* See tls/mbedtls/random.h. */
void
flow__random_end(struct flow__random_pool *pool)
{
    flow_wipe(pool->bytes, pool->left);
    pool->left = 0;
}

/* At least len <= FLOW__RANDOM_POOL bytes. */
static bool
random_fill(struct flow__random_pool *pool, size_t len)
{
    if (pool->left >= len)
        return true;
    if (!flow__plat_random(pool->bytes, sizeof(pool->bytes)))
        return false;
    pool->left = sizeof(pool->bytes);
    return true;
}

/* See tls/mbedtls/random.h. */
bool
flow__random_bytes(uint8_t *buf, size_t len)
{
    struct flow__mbed_step *step = flow__mbed_step();
    struct flow__random_pool *pool;
    bool done;

    if (step == NULL)
        return flow__plat_random(buf, len);
    pool = &step->random;
    done = len > sizeof(pool->bytes) ? flow__plat_random(buf, len)
                                     : random_fill(pool, len);
    pool->failed = pool->failed || !done;
    if (!done || len > sizeof(pool->bytes))
        return done;
    pool->left -= len;
    memcpy(buf, pool->bytes + pool->left, len);
    flow_wipe(pool->bytes + pool->left, len);
    return true;
}
