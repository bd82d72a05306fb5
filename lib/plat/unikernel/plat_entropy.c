/* SPDX-License-Identifier: ISC */
#include "lib/plat.h"
#include "lib/plat/unikernel/machine.h"

bool
flow__plat_random(void *buf, size_t len)
{
    const struct flow_machine *machine = flow__machine();

    return machine->random != NULL && machine->random(machine->ctx, buf, len);
}
