/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_PLAT_POSIX_PLAT_FORK_H
#define FLOW_LIB_PLAT_POSIX_PLAT_FORK_H

#include <stdbool.h>

/*
 * What plat_fork.c calls at every fork(2), for the files that depend on it.
 */

/* The locks that must be free in the child: before the fork this thread takes
 * them, and afterwards it releases them in both processes. */
struct flow__fork_locks {
    void (*acquire)(void);
    void (*release)(bool in_child);
};

/* Have the handlers run from now on; once, before a lock can be held. */
void flow__fork_watch(const struct flow__fork_locks *locks);

/* Have fn called in every child, with the locks held; once, by a function that
 * flow_once() runs, so that no fork runs beside it. */
void flow__fork_in_child(void (*fn)(void));

#endif
