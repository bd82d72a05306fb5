/* SPDX-License-Identifier: ISC */
#include "lib/plat.h"
#include "lib/plat/unikernel/machine.h"

bool
flow__plat_random(void *buf, size_t len)
{
    const struct flow_machine *machine = flow__machine();

    return machine->random != NULL && machine->random(machine->ctx, buf, len);
}

enum flow_status
flow__plat_random_error(struct flow_error *err, const char *layer)
{
    const struct flow_machine *machine = flow__machine();
    const bool has = machine->random != NULL;

    flow_error_set(err, FLOW_E_ENTROPY, layer, FLOW_DOMAIN_NONE, 0,
                   has ? "no source of entropy is healthy"
                       : "the machine has no source of entropy");
    if (err == NULL)
        return FLOW_E_ENTROPY;
    err->hint =
        has ? NULL : "set flow_machine.random, as <flow/entropy.h> says";
    if (has && machine->random_error != NULL)
        machine->random_error(machine->ctx, err);
    return FLOW_E_ENTROPY;
}
