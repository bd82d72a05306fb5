/* SPDX-License-Identifier: ISC */
#ifndef FLOW_STACK_H
#define FLOW_STACK_H

#include <flow/flow.h>

/* What stack.c has for other files of flow/. */

/* Remove a flow from the one below, which it then neither owns nor uses. */
void flow__leave_lower(struct flow *f);

#endif
