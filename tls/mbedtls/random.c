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
}

/* See tls/mbedtls/random.h. */
void
flow__random_end(struct flow__random_pool *pool)
{
    flow_wipe(pool->bytes, pool->left);
    pool->left = 0;
}

/* See tls/mbedtls/random.h. */
bool
flow__random_bytes(uint8_t *buf, size_t len)
{
    struct flow__mbed_step *step = flow__mbed_step();
    struct flow__random_pool *pool;

    if (step == NULL || len > sizeof(step->random.bytes))
        return flow__plat_random(buf, len);
    pool = &step->random;
    if (pool->left < len) {
        if (!flow__plat_random(pool->bytes, sizeof(pool->bytes)))
            return false;
        pool->left = sizeof(pool->bytes);
    }
    pool->left -= len;
    memcpy(buf, pool->bytes + pool->left, len);
    flow_wipe(pool->bytes + pool->left, len);
    return true;
}
