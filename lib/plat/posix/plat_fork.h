/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_PLAT_POSIX_PLAT_FORK_H
#define FLOW_LIB_PLAT_POSIX_PLAT_FORK_H

#include <stdbool.h>

/* Have the handlers of plat_fork.c run at every fork(2); once. */
void flow__fork_watch(void);

/* What the handlers do with the locks of plat_lock.c: the wait lock and that
 * of flow_once() are held across the fork. */
void flow__locks_before_fork(void);
void flow__locks_after_fork(bool in_child);

/* What they do with the threads' wakers, under the wait lock: a child closes
 * its parent's. */
void flow__wakers_after_fork(void);

#endif
