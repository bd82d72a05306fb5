/* SPDX-License-Identifier: ISC */
#include "lib/plat.h"
#include "lib/plat/unikernel/machine.h"

/*
 * There is one thread, so a lock is never found taken.  An interrupt handler
 * may signal an event, which takes the wait lock: taking it masks interrupts.
 *
 * Invariant: the wait lock is the innermost and is not nested, and while it is
 * held no handler runs, so one word keeps the state of the interrupts.
 */
static uintptr_t lock_interrupts;

void
flow__wait_lock(void)
{
    const struct flow_machine *machine = flow__machine();

    if (machine->mask != NULL)
        lock_interrupts = machine->mask(machine->ctx);
}

void
flow__wait_unlock(void)
{
    const struct flow_machine *machine = flow__machine();

    if (machine->restore != NULL)
        machine->restore(machine->ctx, lock_interrupts);
}

void
flow__plat_pause(unsigned tries)
{
    (void)tries;
}

/* See <flow/port.h>. */
void
flow_lock_init(struct flow_lock *lock)
{
    *lock = (struct flow_lock){ { 0 } };
}

/* See <flow/port.h>. */
void
flow_lock_fini(struct flow_lock *lock)
{
    (void)lock;
}

/* See <flow/port.h>. */
void
flow_lock_acquire(struct flow_lock *lock)
{
    (void)lock;
}

/* See <flow/port.h>. */
bool
flow_lock_try(struct flow_lock *lock)
{
    (void)lock;
    return true;
}

/* See <flow/port.h>. */
void
flow_lock_release(struct flow_lock *lock)
{
    (void)lock;
}

/* See <flow/port.h>. */
void
flow_once(void (*fn)(void), uint32_t *state)
{
    if (*state != 0)
        return;
    *state = 1;
    fn();
}
