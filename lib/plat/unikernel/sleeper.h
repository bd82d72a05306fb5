/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_PLAT_UNIKERNEL_SLEEPER_H
#define FLOW_LIB_PLAT_UNIKERNEL_SLEEPER_H

#include <stdint.h>

#include <flow/wait.h>

/* A waker that ends the sleep of the only thread. */
struct flow__sleeper {
    struct flow_waker base;
    uint32_t woken; /* atomic; interrupt handlers set it */
};

void flow__sleeper_init(struct flow__sleeper *sleeper);
/* Sleeps until the waker was called since the last flow__sleeper_reset(), or
 * until the deadline, or for a shorter time. */
void flow__sleeper_sleep(struct flow__sleeper *sleeper, uint64_t deadline);
void flow__sleeper_reset(struct flow__sleeper *sleeper);

#endif
