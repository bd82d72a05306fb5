/* SPDX-License-Identifier: ISC */
#include "lib/plat/unikernel/machine.h"

static uint64_t
machine_none_now(void *ctx)
{
    (void)ctx;
    return 0;
}

static void *
machine_none_alloc(void *ctx, size_t size, size_t align)
{
    (void)ctx;
    (void)size;
    (void)align;
    return NULL;
}

static void
machine_none_free(void *ctx, void *ptr, size_t size, size_t align)
{
    (void)ctx;
    (void)ptr;
    (void)size;
    (void)align;
}

static void
machine_none_idle(void *ctx, uint64_t deadline, const uint32_t *woken)
{
    (void)ctx;
    (void)deadline;
    (void)woken;
}

static const struct flow_machine machine_none = {
    .now = machine_none_now,
    .alloc = machine_none_alloc,
    .free = machine_none_free,
    .idle = machine_none_idle,
};

static const struct flow_machine *machine_started = &machine_none;

/* See <flow/machine.h>. */
void
flow_machine_start(const struct flow_machine *machine)
{
    machine_started = machine;
}

const struct flow_machine *
flow__machine(void)
{
    return machine_started;
}
