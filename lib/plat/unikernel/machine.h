/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_PLAT_UNIKERNEL_MACHINE_H
#define FLOW_LIB_PLAT_UNIKERNEL_MACHINE_H

#include <flow/env.h>
#include <flow/machine.h>

/* The machine of flow_machine_start(); before that call one that has
 * nothing. */
const struct flow_machine *flow__machine(void);

/* flow_env.wait */
enum flow_status flow__machine_wait(void *ctx, struct flow_wait_set *set,
                                    uint64_t deadline);

#endif
