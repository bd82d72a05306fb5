/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_EVENT_H
#define FLOW_LIB_EVENT_H

#include <flow/wait.h>

/* Their counterparts in <flow/wait.h>, for who holds the wait lock. */
void flow__event_signal_locked(struct flow_event *ev);
bool flow__event_arm_locked(struct flow_event *ev, struct flow_event_node *node,
                            struct flow_waker *waker, uint32_t sequence);
void flow__event_disarm_locked(struct flow_event_node *node);

#endif
