/* SPDX-License-Identifier: ISC */
#include "lib/plat/unikernel/sleeper.h"
#include "lib/atomic.h"
#include "lib/plat.h"
#include "lib/plat/unikernel/machine.h"

static void
sleeper_wake(struct flow_waker *self)
{
    struct flow__sleeper *sleeper = (struct flow__sleeper *)(void *)self;

    flow__store(&sleeper->woken, 1);
}

void
flow__sleeper_init(struct flow__sleeper *sleeper)
{
    *sleeper = (struct flow__sleeper){ { sleeper_wake }, 0 };
}

void
flow__sleeper_sleep(struct flow__sleeper *sleeper, uint64_t deadline)
{
    const struct flow_machine *machine = flow__machine();

    if (flow__load(&sleeper->woken) != 0 ||
        (deadline != FLOW_NEVER && deadline <= flow__plat_now()))
        return;
    machine->idle(machine->ctx, deadline, &sleeper->woken);
}

void
flow__sleeper_reset(struct flow__sleeper *sleeper)
{
    flow__store(&sleeper->woken, 0);
}
