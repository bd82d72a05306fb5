/* SPDX-License-Identifier: ISC */
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

#include "lib/plat.h"

/* Most that getentropy() gives at a time, on every system that has it. */
#define ENTROPY_CHUNK 256u

bool
flow__plat_random(void *buf, size_t len)
{
    uint8_t *at = buf;
    size_t n;

    for (; len > 0; at += n, len -= n) {
        n = len < ENTROPY_CHUNK ? len : ENTROPY_CHUNK;
        if (getentropy(at, n) != 0)
            return false;
    }
    return true;
}

enum flow_status
flow__plat_random_error(struct flow_error *err, const char *layer)
{
    flow_error_set(err, FLOW_E_ENTROPY, layer, FLOW_DOMAIN_NONE, 0,
                   "the system gives no random bytes");
    if (err != NULL)
        err->hint = "permit getrandom(2), or mount /dev";
    return FLOW_E_ENTROPY;
}
