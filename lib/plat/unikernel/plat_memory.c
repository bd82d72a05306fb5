/* SPDX-License-Identifier: ISC */
#include <stdalign.h>

#include "lib/plat.h"
#include "lib/plat/unikernel/machine.h"

/* What alignment 0 stands for. */
static size_t
memory_align(size_t align)
{
    return align < alignof(max_align_t) ? alignof(max_align_t) : align;
}

void *
flow__plat_alloc(size_t size, size_t align)
{
    const struct flow_machine *machine = flow__machine();

    return machine->alloc(machine->ctx, size, memory_align(align));
}

void
flow__plat_free(void *ptr, size_t size, size_t align)
{
    const struct flow_machine *machine = flow__machine();

    machine->free(machine->ctx, ptr, size, memory_align(align));
}
