/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_EVENT_H
#define FLOW_LIB_EVENT_H

#include <flow/wait.h>

/* The functions of <flow/wait.h> for callers that hold the wait lock. */
void flow__event_signal_locked(struct flow_event *ev);
bool flow__event_arm_locked(struct flow_event *ev, struct flow_event_node *node,
                            struct flow_waker *waker, uint32_t sequence);
void flow__event_disarm_locked(struct flow_event_node *node);

#endif
