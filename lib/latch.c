/* SPDX-License-Identifier: ISC */
#include "lib/latch.h"

#include "lib/plat.h"

void
flow__latch_wait(struct flow__latch *latch)
{
    unsigned tries = 0;

    /* Look before trying: an exchange would take the line from the holder. */
    do {
        flow__plat_pause(tries++);
    } while (flow__load_relaxed(&latch->taken) != 0 || !flow__latch_try(latch));
}
