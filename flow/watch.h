/* SPDX-License-Identifier: ISC */
#ifndef FLOW_WATCH_H
#define FLOW_WATCH_H

#include <flow/flow.h>

/*
 * What the core tells the poller that watches a flow or a listener.  watch is
 * flow::watch or flow_listener::watch, which may be NULL.  All in the thread
 * of the poller.
 */

/* It was used: its readiness may have changed. */
void flow__watch_touch(void *watch);

/* A descriptor that it named as a wait source is about to be closed; -1: all
 * that it named. */
void flow__watch_closing(void *watch, int fd);

/* It is about to be closed. */
void flow__watch_end(void *watch);

#endif
