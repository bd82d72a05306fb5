/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_EVENT_H
#define FLOW_LIB_EVENT_H

#include <flow/wait.h>

/* flow_event_signal() for who holds the wait lock. */
void flow__event_signal_locked(struct flow_event *ev);

#endif
