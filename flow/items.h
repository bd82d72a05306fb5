/* SPDX-License-Identifier: ISC */
#ifndef FLOW_ITEMS_H
#define FLOW_ITEMS_H

#include <flow/util.h>

/* What wait.c has for other files of flow/: waiting for several flows. */

/* More bits of an interest, for flow__wait_items() and flow__check_deadlines()
 * alone: a direction that is not waited for, but whose deadline counts.  They
 * are not reported ready, except that FLOW__OBEY_WRITE is when that direction
 * has failed. */
#define FLOW__OBEY_READ  0x10000u
#define FLOW__OBEY_WRITE 0x20000u

/* Sleep until one of the flows is ready, a deadline of theirs has passed
 * (FLOW_E_TIMEOUT), or the deadline given has (FLOW_OK, nothing ready).  All
 * of the environment env. */
enum flow_status flow__wait_items(struct flow_wait_item *items, size_t count,
                                  const struct flow_env *env,
                                  uint64_t deadline);

/* FLOW_E_TIMEOUT, with its record, when the deadline of a flow has passed that
 * its interest obeys; else FLOW_OK. */
enum flow_status flow__check_deadlines(const struct flow_wait_item *items,
                                       size_t count);

#endif
