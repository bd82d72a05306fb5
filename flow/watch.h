/* SPDX-License-Identifier: ISC */
#ifndef FLOW_WATCH_H
#define FLOW_WATCH_H

#include <flow/flow.h>

/*
 * A watched flow or listener was used: its readiness may have changed, in the
 * thread of its poller.  watch is flow::watch, may be NULL.
 */
void flow__watch_touch(void *watch);

/* It is about to be closed. */
void flow__watch_end(void *watch);

#endif
