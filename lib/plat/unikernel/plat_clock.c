/* SPDX-License-Identifier: ISC */
#include "lib/plat.h"
#include "lib/plat/unikernel/machine.h"

uint64_t
flow__plat_now(void)
{
    const struct flow_machine *machine = flow__machine();
    uint64_t now = machine->now(machine->ctx);

    /* 0 and 1 mean never and at once.  The clock is not shifted, since the
     * machine sleeps until times of its own clock. */
    return now > FLOW_NOW ? now : FLOW_NOW + 1;
}

int64_t
flow__plat_wall(void)
{
    const struct flow_machine *machine = flow__machine();

    return machine->wall != NULL ? machine->wall(machine->ctx) : -1;
}
