/* SPDX-License-Identifier: ISC */
#include "backends/vchan/bypass.h"

#include <string.h>

/*
 * The way that is not in use is tried in parts 1, 2, 4 and so on, and in every
 * 1,024th: the first use of memory is slow either way, so the first times must
 * be replaced soon.  The way that is in use is timed in every 16th part, since
 * two readings of the clock take as long as copying about 2 KiB.
 */
#define BYPASS_TRIAL 1024u
#define BYPASS_TIMED 16u

static uint64_t
bypass_faster(const uint64_t time[2])
{
    return time[0] < time[1] ? time[0] : time[1];
}

/* Past the caches only if that saves a third, since the reader then has to load
 * every byte from memory. */
static bool
bypass_pays(const struct vchan_bypass *bypass)
{
    uint64_t through = bypass_faster(bypass->time[0]);
    uint64_t past = bypass_faster(bypass->time[1]);

    return past != 0 && past < through - through / 3;
}

bool
flow__vchan_bypass_next(struct vchan_bypass *bypass, bool *ret_timed)
{
    uint32_t part = ++bypass->parts;
    bool trial = part % BYPASS_TRIAL == 0 || (part & (part - 1)) == 0;

    *ret_timed = trial || part % BYPASS_TIMED == 0 || part < BYPASS_TIMED;
    return bypass_pays(bypass) != trial;
}

void
flow__vchan_bypass_took(struct vchan_bypass *bypass, bool past, uint64_t ns)
{
    uint64_t *time = bypass->time[past ? 1 : 0];

    time[1] = time[0];
    time[0] = ns;
}
