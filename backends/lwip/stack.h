/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_LWIP_STACK_H
#define BACKENDS_LWIP_STACK_H

#include <stdbool.h>
#include <stdint.h>

#include <flow/backend.h>

/*
 * lwIP has one stack per process.  Every call of its functions, and every look
 * at what its callbacks write, stands between enter and leave.
 */

/* The name of the layer in error records. */
#define LWIP_LAYER "lwip"

/* FLOW_OK if this process has started the stack.  Otherwise fills err, which
 * may be NULL. */
enum flow_status flow__lwip_check(struct flow_error *err);

/* The same for directions of a flow. */
enum flow_status flow__lwip_check_flow(struct flow *f, uint32_t dirs);

/* Whether another process has started the stack that this one inherited. */
bool flow__lwip_is_inherited(void);

void flow__lwip_enter(void);

/* Lets the stack do what has become possible, and gives it to other threads. */
void flow__lwip_leave(void);

/* Runs the timers that are due and delivers the packets of the host to itself.
 * Entered. */
void flow__lwip_turn(void);

/* When to turn next at the latest, by the clock of env; FLOW_NEVER: no timer.
 * Entered. */
uint64_t flow__lwip_due(const struct flow_env *env);

#endif
