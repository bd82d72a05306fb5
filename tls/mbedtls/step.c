/* SPDX-License-Identifier: ISC */
#include "tls/mbedtls/step.h"

#include <psa/crypto.h>

#include "tls/mbedtls/compat.h"
#include "tls/mbedtls/mbed.h"

/* See tls/mbedtls/step.h. */
void
flow__mbed_begin_step(struct flow__mbed_step *step, struct flow__arena **arena)
{
    step->own = NULL;
    step->arena = arena != NULL ? arena : &step->own;
    flow__mbed_enter();
    flow__random_begin(&step->random);
    flow__mbed_set_step(step);
}

/* See tls/mbedtls/step.h. */
int
flow__mbed_end_step(struct flow__mbed_step *step, int code)
{
    code = flow__mbed_result(code);
    if (step->random.failed && !flow__mbed_no_memory(code))
        code = PSA_ERROR_INSUFFICIENT_ENTROPY;
    flow__mbed_set_step(NULL);
    flow__random_end(&step->random);
    flow__mbed_leave();
    flow__mbed_end_arena(step->own);
    return code;
}

/* See tls/mbedtls/step.h. */
struct flow__arena **
flow__mbed_arena(void)
{
    const struct flow__mbed_step *step = flow__mbed_step();

    return step != NULL ? step->arena : NULL;
}

/* See tls/mbedtls/step.h.  A system's mbedTLS has memory of its own. */
void
flow__mbed_end_arena(struct flow__arena *arena)
{
#ifdef FLOW_MBEDTLS_ARENA
    flow__mbed_release(arena);
#else
    (void)arena;
#endif
}
